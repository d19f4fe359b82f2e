//! One name for all states that differ only in names: of runs, of tokens, of idle refreshers, and in how
//! far back an instant lies that nothing depends on any more.

use std::hash::{DefaultHasher, Hasher};

use bucketwheel::rotation::{Claim, Effect, Event, Origin, Phase, Present, RunId};
use jiff::Timestamp;

use super::Token;
use super::provider::{Standing, Variant};
use super::state::{Actor, State};

// What lies further back than this makes no difference any more (seconds; the usual terms).
const FRESH: i64 = 61;
const LATE: i64 = 1_080;
const LOCKOUT: i64 = 900;
const VISIBILITY: i64 = 720;
const FREEZE: i64 = 150;
/// From here on an expiry is due.
const MARGIN: i64 = -1_200;

struct Canon<'a> {
    state: &'a State,
    window: i64,
    bytes: Vec<u8>,
    runs: Vec<RunId>,
    tokens: Vec<Token>,
}

/// 128 bits that tell states apart.
pub(crate) fn key(state: &State, variant: &Variant) -> u128 {
    let mut canon = Canon {
        state,
        window: variant.grace,
        bytes: Vec::with_capacity(256),
        runs: Vec::new(),
        tokens: Vec::new(),
    };
    canon.all();
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(&canon.bytes);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

impl Canon<'_> {
    fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// An instant, as seen from now; all that are longer ago than `horizon` seconds are alike.
    fn time(&mut self, second: i64, horizon: i64) {
        let relative = i16::try_from((second - self.state.now).max(-horizon)).unwrap_or(i16::MAX);
        self.bytes.extend(relative.to_le_bytes());
    }

    fn instant(&mut self, at: Timestamp, horizon: i64) {
        self.time(at.as_second(), horizon);
    }

    fn maybe_instant(&mut self, at: Option<Timestamp>, horizon: i64) {
        self.byte(u8::from(at.is_some()));
        if let Some(at) = at {
            self.instant(at, horizon);
        }
    }

    fn generation(&mut self, generation: u64) {
        let relative = i64::try_from(generation).unwrap_or(0) - self.base();
        self.bytes.extend(i8::try_from(relative).unwrap_or(i8::MIN).to_le_bytes());
    }

    fn base(&self) -> i64 {
        i64::try_from(self.state.item.chain.generation).unwrap_or(0)
    }

    fn run(&mut self, run: RunId) {
        let known = self.runs.iter().position(|known| *known == run);
        let n = known.unwrap_or_else(|| {
            self.runs.push(run);
            self.runs.len() - 1
        });
        self.byte(u8::try_from(n).unwrap_or(u8::MAX));
    }

    fn maybe_run(&mut self, run: Option<RunId>) {
        match run {
            Some(run) => self.run(run),
            None => self.byte(254),
        }
    }

    fn token(&mut self, token: Option<Token>) {
        let Some(token) = token else { return self.byte(255) };
        let known = self.tokens.iter().position(|known| *known == token);
        let n = known.unwrap_or_else(|| {
            self.tokens.push(token);
            self.tokens.len() - 1
        });
        self.byte(u8::try_from(n).unwrap_or(u8::MAX));
    }

    fn origin(&mut self, origin: &Origin) {
        self.generation(origin.consent);
        self.generation(origin.generation);
        self.run(origin.intent);
        self.attempt(origin.attempt);
    }

    /// Only which of two comes first makes a difference.
    fn attempt(&mut self, attempt: u32) {
        let last = self.state.item.chain.intent.map_or(0, |intent| intent.attempts);
        let relative = i64::from(attempt) - i64::from(last);
        self.bytes.extend(i8::try_from(relative).unwrap_or(i8::MIN).to_le_bytes());
    }

    fn claim(&mut self, claim: &Claim) {
        self.origin(&claim.origin());
        self.maybe_run(claim.over);
        self.instant(claim.intent.first_spent_at, LATE);
        self.instant(claim.lease.until, 0);
        self.maybe_instant(claim.refused_at, LOCKOUT);
        let known = [claim.successor, claim.decides, claim.sibling, claim.outdated];
        self.byte(known.iter().fold(0, |bits, known| bits << 1 | u8::from(*known)));
    }

    fn phase(&mut self, phase: &Phase) {
        match phase {
            Phase::Reading(outlasted) => {
                self.byte(1);
                self.maybe_run(*outlasted);
            }
            Phase::Waiting(owner) => {
                self.byte(2);
                self.run(*owner);
            }
            Phase::Claiming(claim) => self.claiming(3, claim),
            Phase::Asking(claim) => self.claiming(4, claim),
            Phase::Spending(claim) => self.claiming(5, claim),
            Phase::Committing(claim, failures) => {
                self.claiming(6, claim);
                self.byte(u8::try_from(*failures).unwrap_or(u8::MAX));
            }
            Phase::Keeping(claim) => self.claiming(7, claim),
            Phase::Parking(claim) => self.claiming(8, claim),
            Phase::Confirming(claim, answer) => {
                self.claiming(9, claim);
                self.byte(*answer as u8);
            }
            Phase::Promoting(claim) => self.claiming(10, claim),
            Phase::Settling(outcome) => {
                self.byte(11);
                self.byte(*outcome as u8);
            }
            Phase::Ended(_) => self.byte(12),
        }
    }

    fn claiming(&mut self, tag: u8, claim: &Claim) {
        self.byte(tag);
        self.claim(claim);
    }

    fn actor(&mut self, actor: &Actor) {
        self.run(actor.run.id);
        self.byte(u8::from(actor.run.nudged));
        self.phase(&actor.phase);
        if let Effect::Settle(claim, settlement) = &actor.effect {
            self.claim(claim);
            self.instant(settlement.due_at, 0);
            self.maybe_instant(settlement.refused_at, LOCKOUT);
            self.byte(u8::from(settlement.unspent) | u8::from(settlement.ended) << 1);
        }
        if let Effect::Promote(_, present) = actor.effect {
            self.byte(match present {
                Present::Goes => 0,
                Present::Stays(_) => 1,
                Present::StaysRefused => 2,
                Present::StaysBetter => 3,
                Present::BothRefused(_) => 4,
            });
            match present {
                Present::BothRefused(at) => self.instant(at, LOCKOUT),
                Present::Stays(attempt) => self.attempt(attempt),
                _ => {}
            }
        }
        self.byte(match actor.heard {
            None => 0,
            Some(Event::Stored) => 1,
            Some(Event::Refused) => 2,
            Some(Event::Answered(answer)) => 3 + answer as u8,
            Some(_) => 100,
        });
        self.token(actor.refresh);
        self.token(actor.spare);
        self.token(actor.pair);
        self.byte(u8::from(actor.frozen.is_some()));
        self.time(actor.frozen.unwrap_or(0), FREEZE);
        self.time(actor.until, 0);
        if let Some((generation, due_at)) = actor.puts_off {
            self.generation(generation);
            self.instant(due_at, 0);
        }
    }

    fn all(&mut self) {
        let state = self.state;
        let chain = &state.item.chain;
        self.generation(chain.consent);
        self.instant(chain.expires_at, MARGIN);
        self.instant(chain.refreshed_at, FRESH);
        self.byte(u8::from(chain.intent.is_some()));
        if let Some(intent) = chain.intent {
            self.run(intent.id);
            self.instant(intent.first_spent_at, LATE);
        }
        self.maybe_instant(chain.lease.map(|lease| lease.until), 0);
        self.maybe_run(chain.lease.map(|lease| lease.owner));
        self.maybe_instant(chain.refused_at, LOCKOUT);
        self.byte(u8::from(chain.ended));
        self.byte(u8::from(chain.spare.is_some()));
        if let Some(spare) = chain.spare {
            self.generation(spare.generation);
            self.attempt(spare.attempt);
            self.byte(u8::from(spare.refused));
        }
        self.token(Some(state.item.refresh));
        self.token(state.item.spare);
        self.instant(state.item.due_at, 0);
        self.maybe_run(state.asked.map(|(run, _)| run));
        self.time(state.asked.map_or(0, |(_, asked)| asked), LOCKOUT);
        for (origin, token, since) in &state.parked {
            self.byte(200);
            self.origin(origin);
            self.token(Some(*token));
            self.time(*since, VISIBILITY);
        }
        let idle = state.actors.iter().filter(|actor| actor.is_none()).count();
        self.byte(u8::try_from(idle).unwrap_or(0));
        for actor in state.actors.iter().flatten() {
            self.actor(actor);
        }
        self.byte(u8::from(state.reconnect.is_some()));
        if let Some((before, token)) = state.reconnect {
            self.generation(before);
            self.token(Some(token));
        }
        let left = &state.left;
        self.bytes.extend([
            u8::from(state.table_down),
            left.any,
            left.outages,
            left.nudges,
            left.reconnects,
            left.runs,
        ]);
        self.time(state.provider.locked_until, 0);
        // The provider knows more tokens than anybody holds. Those that descend from one that is held, or
        // from which one descends, count too.
        let mut n = 0;
        while n < self.tokens.len() {
            let issued = *state.provider.of(self.tokens[n]);
            self.byte(issued.consent);
            match issued.standing {
                Standing::Unused => self.byte(0),
                Standing::Killed => self.byte(1),
                Standing::UsedAt(used) => {
                    self.byte(2);
                    self.time(used, self.window);
                }
            }
            self.token(issued.parent);
            self.token(issued.successor);
            n += 1;
        }
    }
}
