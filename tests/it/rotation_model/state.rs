//! The state of the whole world, and what can happen next.
//!
//! This file is long because every effect and every fault acts on the one state.

use bucketwheel::rotation::{
    Answer, Claim, Effect, Event, Origin, Outcome, Phase, Run, RunId, Terms, due_at, step,
};
use jiff::{SignedDuration, Timestamp};

use super::Token;
use super::item::Item;
use super::provider::{Provider, Standing, Variant};

pub(crate) const REFRESHERS: usize = 3;
/// A message that could not be handled comes again after the queue's visibility time-out.
const VISIBILITY: i64 = 720;
/// Lambda ends a function after its time-out, which is 120 s.
const LONGEST_FREEZE: i64 = 150;

/// One refresher: what it will do next, and what it holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor {
    pub(crate) run: Run,
    pub(crate) phase: Phase,
    pub(crate) effect: Effect,
    /// The effect took place, and this is what the refresher has not heard yet.
    pub(crate) heard: Option<Event>,
    pub(crate) refresh: Option<Token>,
    pub(crate) spare: Option<Token>,
    pub(crate) pair: Option<Token>,
    /// When a wait ends, or by when an answer must have come.
    pub(crate) until: i64,
    /// The process stands still, since then: time passes over it until it acts again.
    pub(crate) frozen: Option<i64>,
    /// It found that nothing is due, and puts the chain of this generation off until then.
    pub(crate) puts_off: Option<(u64, Timestamp)>,
}

/// What can still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// Crashes, freezes, lost answers, lost acknowledgements, refused tokens of another credential.
    pub(crate) any: u8,
    /// Times that the table goes away for a while.
    pub(crate) outages: u8,
    pub(crate) nudges: u8,
    pub(crate) reconnects: u8,
    /// Runs that may still begin. Those that follow are tried by letting everything calm down.
    pub(crate) runs: u8,
}

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) now: i64,
    pub(crate) item: Item,
    /// The item `CONSUMER/REFUSALS`.
    pub(crate) asked: Option<(RunId, i64)>,
    pub(crate) parked: Vec<(Origin, Token, i64)>,
    pub(crate) provider: Provider,
    pub(crate) actors: [Option<Actor>; REFRESHERS],
    /// A reconnect that has read this generation and holds this token.
    pub(crate) reconnect: Option<(u64, Token)>,
    pub(crate) table_down: bool,
    pub(crate) left: Faults,
    pub(crate) runs: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Start {
        nudged: bool,
    },
    Act(usize),
    /// The write is made, and its acknowledgement is lost.
    Unheard(usize),
    /// The request is lost before Bitbucket sees it.
    LostBefore(usize),
    /// The answer is lost.
    LostAfter(usize),
    /// There is no connection: the request is not sent, and the refresher knows it.
    Unsent(usize),
    /// The queue does not take the pair.
    Unparked(usize),
    Crash(usize),
    Freeze(usize),
    TableDown,
    TableUp,
    Deliver(usize),
    /// It is delivered and comes once more.
    DeliverTwice(usize),
    Reconnect,
    Neighbour,
    Wait,
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn second(at: Timestamp) -> i64 {
    at.as_second()
}

fn seconds(of: SignedDuration) -> i64 {
    of.as_secs()
}

/// The table's answer.
fn written(accepted: bool) -> Event {
    if accepted { Event::Stored } else { Event::Refused }
}

impl State {
    /// A chain whose access token is about to expire.
    pub(crate) fn new(left: Faults, terms: &Terms) -> Self {
        let mut provider = Provider { tokens: Vec::new(), locked_until: 0 };
        let token = provider.consent(1);
        let mut item = Item::connected(1, token, at(0), terms);
        item.chain.expires_at = at(7_200);
        Self {
            now: 6_000,
            item,
            asked: None,
            parked: Vec::new(),
            provider,
            actors: [None; REFRESHERS],
            reconnect: None,
            table_down: false,
            left,
            runs: 0,
        }
    }

    /// All that can happen now.
    pub(crate) fn actions(&self, variant: &Variant, terms: &Terms, into: &mut Vec<Action>) {
        into.clear();
        if self.left.runs > 0 && self.actors.iter().any(Option::is_none) {
            let due = second(self.item.due_at) <= self.now && !self.item.chain.ended;
            if due && !self.table_down {
                into.push(Action::Start { nudged: false });
            }
            if self.left.nudges > 0 {
                into.push(Action::Start { nudged: true });
            }
        }
        for (n, actor) in self.actors.iter().enumerate() {
            let Some(actor) = actor else { continue };
            let waits = actor.effect == Effect::Wait && self.now < actor.until;
            if !waits {
                into.push(Action::Act(n));
            }
            // Who has done nothing yet may as well not have begun.
            let begun = actor.heard.is_some()
                || !matches!(actor.effect, Effect::Read | Effect::Wait | Effect::Claim(_))
                || matches!(actor.phase, Phase::Confirming(..));
            if self.left.any > 0 && begun {
                into.push(Action::Crash(n));
            }
            if self.left.any > 0 && !waits && actor.frozen.is_none() {
                into.push(Action::Freeze(n));
            }
            if self.left.any > 0 {
                match actor.effect {
                    _ if actor.heard.is_some() => {
                        if matches!(actor.effect, Effect::Spend(_)) {
                            into.push(Action::LostAfter(n));
                        }
                    }
                    Effect::Spend(_) => into.extend([Action::LostBefore(n), Action::Unsent(n)]),
                    Effect::Read | Effect::Wait | Effect::End(_) => {}
                    Effect::Park(_) => into.extend([Action::Unheard(n), Action::Unparked(n)]),
                    _ if !self.table_down => into.push(Action::Unheard(n)),
                    _ => {}
                }
            }
        }
        if self.table_down {
            into.push(Action::TableUp);
        } else {
            if self.left.outages > 0 && self.actors.iter().any(Option::is_some) {
                into.push(Action::TableDown);
            }
            into.extend((0..self.parked.len()).map(Action::Deliver));
            if self.left.any > 0 {
                into.extend((0..self.parked.len()).map(Action::DeliverTwice));
            }
            if self.left.reconnects > 0 || self.reconnect.is_some() {
                into.push(Action::Reconnect);
            }
        }
        if self.left.any > 0 && variant.lockout > 0 && !self.table_down {
            into.push(Action::Neighbour);
        }
        if self.next_deadline(variant, terms).is_some() {
            into.push(Action::Wait);
        }
    }

    pub(crate) fn apply(&mut self, action: Action, variant: &Variant, terms: &Terms) -> Result<(), String> {
        match action {
            Action::Start { nudged } => {
                self.left.runs -= 1;
                let n = self.start(nudged);
                return self.act(n, variant, terms);
            }
            Action::Act(n) => return self.act(n, variant, terms),
            Action::Unheard(n) => {
                self.left.any -= 1;
                self.perform(n, variant, terms)?;
                self.hear(n, Event::StoreFailed, terms);
            }
            Action::LostBefore(n) => {
                self.left.any -= 1;
                self.hear(n, Event::Answered(Answer::Lost), terms);
            }
            Action::Unsent(n) => {
                self.left.any -= 1;
                self.hear(n, Event::Answered(Answer::Unsent), terms);
            }
            Action::Unparked(n) => {
                self.left.any -= 1;
                self.hear(n, Event::StoreFailed, terms);
            }
            Action::LostAfter(n) => {
                self.left.any -= 1;
                if let Some(actor) = &mut self.actors[n] {
                    (actor.heard, actor.pair) = (None, None);
                }
                self.hear(n, Event::Answered(Answer::Lost), terms);
            }
            Action::Crash(n) => {
                self.left.any -= 1;
                self.actors[n] = None;
            }
            Action::Freeze(n) => {
                self.left.any -= 1;
                self.actors[n].iter_mut().for_each(|actor| actor.frozen = Some(self.now));
            }
            Action::TableDown => {
                self.left.outages -= 1;
                self.table_down = true;
            }
            Action::TableUp => {
                self.table_down = false;
                self.parked.iter_mut().for_each(|parked| parked.2 = parked.2.max(self.now));
            }
            Action::Deliver(n) => {
                let (origin, token, _) = self.parked.remove(n);
                self.item.adopt(&origin, token, at(self.now), terms);
            }
            Action::DeliverTwice(n) => {
                self.left.any -= 1;
                let (origin, token, _) = self.parked[n];
                self.item.adopt(&origin, token, at(self.now), terms);
                self.parked[n].2 = self.now;
            }
            Action::Reconnect => self.connect(terms),
            Action::Neighbour => {
                self.left.any -= 1;
                self.asked = Some((RunId::new([255; 16]), self.now));
                self.provider.locked_until = self.provider.locked_until.max(self.now + variant.lockout);
            }
            Action::Wait => self.now = self.next_deadline(variant, terms).expect("there is one"),
        }
        Ok(())
    }

    pub(crate) fn start(&mut self, nudged: bool) -> usize {
        if nudged {
            self.left.nudges -= 1;
        }
        self.runs += 1;
        let free = self.actors.iter().position(Option::is_none).expect("an idle refresher");
        let (phase, effect) = Phase::START;
        let run = Run { id: RunId::new(u128::from(self.runs).to_be_bytes()), nudged };
        self.actors[free] = Some(Actor {
            run,
            phase,
            effect,
            heard: None,
            refresh: None,
            spare: None,
            pair: None,
            until: 0,
            frozen: None,
            puts_off: None,
        });
        free
    }

    /// Carries out the next effect of a refresher, or lets it hear what came of the last one. Claims and
    /// spends are two steps: time may pass between the deed and the news of it.
    fn act(&mut self, n: usize, variant: &Variant, terms: &Terms) -> Result<(), String> {
        let actor = self.actors[n].as_mut().expect("a refresher at work");
        actor.frozen = None;
        let actor = *actor;
        if let Some(heard) = actor.heard {
            self.hear(n, heard, terms);
            return Ok(());
        }
        if let Some((generation, due_at)) = actor.puts_off {
            self.actors[n] = None;
            if !self.table_down {
                self.item.postpone(generation, due_at);
            }
            return Ok(());
        }
        let event = self.perform(n, variant, terms)?;
        let apart =
            matches!(actor.effect, Effect::Claim(_) | Effect::Spend(_)) && event != Event::StoreFailed;
        match &mut self.actors[n] {
            Some(actor) if apart => actor.heard = Some(event),
            _ => self.hear(n, event, terms),
        }
        Ok(())
    }

    fn hear(&mut self, n: usize, event: Event, terms: &Terms) {
        let Some(actor) = &mut self.actors[n] else { return };
        actor.heard = None;
        (actor.phase, actor.effect) = step(actor.phase, event, at(self.now), &actor.run, terms);
        actor.until = match actor.effect {
            Effect::Wait => self.now + seconds(terms.lease),
            Effect::Spend(_) => self.now + seconds(terms.spend),
            _ => 0,
        };
        let Effect::End(outcome) = actor.effect else { return };
        if let (Outcome::NotDue, Event::Read(Some(chain))) = (outcome, event)
            && chain.intent.is_none()
        {
            let due = due_at(chain.upkeep, chain.refreshed_at, chain.expires_at, terms);
            actor.puts_off = (due > at(self.now)).then_some((chain.generation, due));
        }
        if actor.puts_off.is_none() {
            self.actors[n] = None;
        }
    }

    fn perform(&mut self, n: usize, variant: &Variant, terms: &Terms) -> Result<Event, String> {
        let Some(mut actor) = self.actors[n] else { return Err("nobody acts".to_owned()) };
        let now = at(self.now);
        let failed = self.table_down
            && !matches!(actor.effect, Effect::Wait | Effect::Spend(_) | Effect::Park(_) | Effect::End(_));
        if failed {
            return Ok(Event::StoreFailed);
        }
        let event = match actor.effect {
            Effect::Read => {
                (actor.refresh, actor.spare) = (Some(self.item.refresh), self.item.spare);
                Event::Read(Some(self.item.chain))
            }
            Effect::Wait => Event::Waited,
            Effect::Claim(claim) => written(self.item.claim(&claim)),
            Effect::Ask(claim) => written(self.ask(&claim, terms)),
            Effect::Spend(claim) => {
                self.alone(n, &claim)?;
                let spent = actor.refresh.expect("read before it was spent");
                actor.pair = self.provider.spend(spent, self.now, variant);
                Event::Answered(match actor.pair {
                    Some(_) => Answer::Pair,
                    None if !claim.decides || self.asked.is_some_and(|(run, _)| run == claim.intent.id) => {
                        Answer::No
                    }
                    None => Answer::Doubtful,
                })
            }
            Effect::Commit(claim) => {
                let pair = actor.pair.expect("a pair to commit");
                let before = self.item.chain.generation;
                let accepted = self.item.commit(&claim.origin(), pair, now, terms);
                // A refusal is followed by a read that finds the pair where an earlier try stored it.
                let ours = before == claim.generation + 1 && self.item.refresh == pair;
                written(accepted || ours && self.item.chain.consent == claim.consent)
            }
            Effect::Keep(claim) => {
                written(self.item.keep(&claim.origin(), actor.pair.expect("a pair to keep")))
            }
            Effect::Park(claim) => {
                self.parked.push((claim.origin(), actor.pair.expect("a pair to park"), self.now));
                Event::Stored
            }
            Effect::Promote(claim, present) => match actor.spare {
                Some(spare) => written(self.item.promote(&claim, present, spare, now, terms)),
                None => return Err("nothing to promote".to_owned()),
            },
            Effect::Settle(claim, settlement) => written(self.item.settle(&claim, &settlement)),
            Effect::End(_) => return Err("a run goes on after its end".to_owned()),
        };
        self.actors[n] = Some(actor);
        Ok(event)
    }

    fn ask(&mut self, claim: &Claim, terms: &Terms) -> bool {
        let quiet = |(_, asked): (RunId, i64)| asked <= self.now - seconds(terms.lockout);
        let accepted = !claim.decides || self.asked.is_none_or(quiet);
        if accepted {
            self.asked = Some((claim.intent.id, self.now));
        }
        accepted
    }

    /// No two spends of one token are under way at once.
    fn alone(&self, n: usize, claim: &Claim) -> Result<(), String> {
        let others = self.actors.iter().enumerate().filter(|(other, _)| *other != n);
        let same = |actor: &Actor| {
            let under_way = actor.heard.is_none() || self.now < actor.until;
            matches!(actor.effect, Effect::Spend(other)
                if under_way && (other.generation, other.consent) == (claim.generation, claim.consent))
        };
        if others.filter_map(|(_, actor)| actor.as_ref()).any(same) {
            return Err("two uncoordinated spends of one token".to_owned());
        }
        Ok(())
    }

    fn connect(&mut self, terms: &Terms) {
        match self.reconnect.take() {
            None => {
                self.left.reconnects -= 1;
                let consent = self.provider.tokens.iter().map(|token| token.consent).max().unwrap_or(0) + 1;
                let token = self.provider.consent(consent);
                self.reconnect = Some((self.item.chain.generation, token));
            }
            Some((before, token)) => {
                if !self.item.connect(before, token, at(self.now), terms) {
                    self.reconnect = Some((self.item.chain.generation, token));
                }
            }
        }
    }

    /// The next time at which something changes by itself. Nothing may be passed over that has to happen
    /// by then.
    pub(crate) fn next_deadline(&self, variant: &Variant, terms: &Terms) -> Option<i64> {
        let mut soonest: Option<i64> = None;
        let mut note = |at: i64| {
            if at > self.now && soonest.is_none_or(|soonest| at < soonest) {
                soonest = Some(at);
            }
        };
        let chain = &self.item.chain;
        note(second(self.item.due_at));
        if let Some(lease) = chain.lease {
            note(second(lease.until));
        }
        if let Some(intent) = chain.intent {
            note(second(intent.first_spent_at) + seconds(terms.grace));
            note(second(intent.first_spent_at) + seconds(terms.grace) + seconds(terms.skew));
        }
        if let Some(refused_at) = chain.refused_at {
            note(second(refused_at) + seconds(terms.lockout));
            note(second(refused_at) + seconds(terms.backoff));
        }
        if let Some((_, asked)) = self.asked {
            note(asked + seconds(terms.lockout));
        }
        note(self.provider.locked_until);
        for token in &self.provider.tokens {
            if let Standing::UsedAt(used) = token.standing {
                note(used + variant.grace);
            }
        }
        for actor in self.actors.iter().flatten() {
            match (actor.phase, actor.effect) {
                (_, Effect::Spend(_)) if self.now >= actor.until && actor.heard.is_none() => return None,
                (_, Effect::Wait) if self.now < actor.until => {}
                (_, Effect::Spend(_)) if actor.heard.is_none() => {}
                _ => match actor.frozen {
                    Some(since) if self.now < since + LONGEST_FREEZE => note(since + LONGEST_FREEZE),
                    _ => return None,
                },
            }
            match (actor.phase, actor.effect) {
                (_, Effect::Spend(_) | Effect::Wait) => note(actor.until),
                (Phase::Claiming(claim) | Phase::Asking(claim), _) => {
                    note(second(claim.lease.until) - seconds(terms.spend) + 1);
                }
                _ => {}
            }
        }
        for (_, _, parked) in &self.parked {
            if !self.table_down && self.now >= parked + VISIBILITY {
                return None;
            }
            note(parked + VISIBILITY);
        }
        soonest
    }

    /// Whether this token would buy a pair now.
    pub(crate) fn serves(&self, token: Token, variant: &Variant) -> bool {
        self.provider.serves(token, self.now, variant)
    }

    /// What must hold of every state.
    pub(crate) fn sound(&self, variant: &Variant) -> Result<(), String> {
        if self.item.chain.ended {
            // What is parked is not known before it comes home. Then the chain must come back to life, which
            // the search checks by letting everything calm down.
            let kept = self.item.spare.filter(|_| self.item.chain.spare().is_some());
            let mut known = kept.into_iter().chain([self.item.refresh]);
            if known.any(|token| self.serves(token, variant)) {
                return Err("down while a token that works is known".to_owned());
            }
        }
        let consent = self.provider.of(self.item.refresh).consent;
        let spare = self.item.spare.map(|spare| self.provider.of(spare).consent);
        if spare.is_some_and(|spare| spare != consent) {
            return Err("a pair of another consent is kept".to_owned());
        }
        Ok(())
    }

    /// Whether the last run of this actor has ended in this outcome.
    pub(crate) fn up(&self, variant: &Variant) -> bool {
        let chain = &self.item.chain;
        let verified = second(chain.expires_at) > self.now;
        !chain.ended && chain.intent.is_none() && verified && self.serves(self.item.refresh, variant)
    }
}
