//! The search itself: each state once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bucketwheel::rotation::{Effect, Phase, Terms};
use jiff::SignedDuration;

use super::canon::key;
use super::provider::{Standing, Variant};
use super::state::{Action, Faults, State};

/// So long a recovery may take: a lease that looks alive and is not (one sweep), a lease that has to be
/// outlasted, a spend, and the sweeps in between.
const RECOVERY: i64 = 240;

/// Nobody sleeps for longer: two more rotations, or an hour.
const GENERATIONS: u64 = 3;
const HORIZON: i64 = 6_000 + 3_600;

pub(crate) struct Search {
    variant: Variant,
    terms: Terms,
    came_from: HashMap<u128, (u128, Action)>,
    transitions: u64,
}

/// What a search has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) states: usize,
    pub(crate) transitions: u64,
    pub(crate) time: Duration,
}

impl Search {
    pub(crate) fn all(variant: Variant, faults: Faults) -> Seen {
        let terms = Terms::with_grace(SignedDuration::from_mins(8));
        let mut search = Search { variant, terms, came_from: HashMap::new(), transitions: 0 };
        let started = Instant::now();
        search.explore(State::new(faults, &terms));
        Seen { states: search.came_from.len(), transitions: search.transitions, time: started.elapsed() }
    }

    fn explore(&mut self, first: State) {
        let mut actions = Vec::new();
        let first_key = key(&first, &self.variant);
        self.came_from.insert(first_key, (first_key, Action::Wait));
        let mut open = vec![(first_key, first)];
        while let Some((from, state)) = open.pop() {
            self.check(from, &state);
            if done(&state) {
                continue;
            }
            state.actions(&self.variant, &self.terms, &mut actions);
            for &action in &actions {
                let mut next = state.clone();
                self.transitions += 1;
                let applied = next.apply(action, &self.variant, &self.terms);
                let applied = applied.and_then(|()| never_back(&state, &next));
                let to = key(&next, &self.variant);
                if let Err(breach) = applied {
                    self.came_from.insert(to, (from, action));
                    self.fail(to, &breach);
                }
                if self.came_from.contains_key(&to) {
                    continue;
                }
                self.came_from.insert(to, (from, action));
                open.push((to, next));
            }
        }
    }

    fn check(&self, at: u128, state: &State) {
        if let Err(breach) = state.sound(&self.variant) {
            self.fail(at, &breach);
        }
        // Only where something is under way or amiss can calm make a difference.
        let quiet = state.actors.iter().all(Option::is_none) && state.item.chain.intent.is_none();
        if quiet && state.parked.is_empty() && state.reconnect.is_none() && !state.item.chain.ended {
            return;
        }
        if self.can_be_served(state) && !self.calm(state.clone()).up(&self.variant) {
            self.fail(at, "not up after calm, though Bitbucket could serve it");
        }
    }

    /// A token is known that works and goes on working, or one whose window is open for long enough.
    fn can_be_served(&self, state: &State) -> bool {
        if state.reconnect.is_some() {
            return true;
        }
        let chain = &state.item.chain;
        let near = |generation: u64, consent: u64| {
            consent == chain.consent && [generation, generation + 1].contains(&chain.generation)
        };
        let in_hand = state.actors.iter().flatten().filter_map(|actor| match (actor.phase, actor.effect) {
            (Phase::Spending(claim), _)
            | (Phase::Committing(claim, _) | Phase::Keeping(claim) | Phase::Parking(claim), _)
                if near(claim.generation, claim.consent) =>
            {
                actor.pair
            }
            _ => None,
        });
        // Who replays a token whose window is over, while its successor is on the way, ends the family.
        let main = state.provider.of(state.item.refresh).standing;
        let from = state.now.max(state.provider.locked_until);
        let open = |used: i64| from + RECOVERY < used + self.variant.grace;
        let hostile = self.variant.family && matches!(main, Standing::UsedAt(used) if !open(used));
        let alone = state.actors.iter().flatten().count() == 1 && state.parked.is_empty();
        let in_hand = in_hand.filter(|_| !hostile || alone);
        let parked = state
            .parked
            .iter()
            .filter(|_| !hostile)
            .filter(|(origin, ..)| near(origin.generation, origin.consent));
        let idle = state.actors.iter().all(Option::is_none);
        let kept = state.item.spare.filter(|_| chain.spare().is_some() && (!hostile || idle));
        let known = in_hand.chain(parked.map(|(_, token, _)| *token)).chain(kept);
        let works = known.into_iter().any(|token| state.provider.of(token).standing == Standing::Unused);
        // A token is held to be as old as the first intent to spend it, though Bitbucket may have seen it
        // for the first time much later.
        let (grace, skew) = (self.terms.grace.as_secs(), self.terms.skew.as_secs());
        let since = chain.intent.map(|intent| intent.first_spent_at.as_second());
        let aged = since.is_some_and(|since| state.now + RECOVERY >= since + grace + skew);
        works
            || match main {
                Standing::Unused => true,
                Standing::UsedAt(used) => open(used) && !aged,
                Standing::Killed => false,
            }
    }

    /// Faults stop, everybody goes on, and a sweep comes each minute.
    fn calm(&self, mut state: State) -> State {
        let end = state.now + 5_400;
        let mut tick = state.now;
        state.table_down = false;
        while state.now < end {
            let mut busy = false;
            for n in 0..state.actors.len() {
                let Some(actor) = &state.actors[n] else { continue };
                if actor.effect != Effect::Wait || state.now >= actor.until {
                    busy |= state.apply(Action::Act(n), &self.variant, &self.terms).is_ok();
                }
            }
            if !busy && state.reconnect.is_some() {
                busy = state.apply(Action::Reconnect, &self.variant, &self.terms).is_ok();
            }
            if !busy && !state.parked.is_empty() {
                busy = state.apply(Action::Deliver(0), &self.variant, &self.terms).is_ok();
            }
            if busy {
                continue;
            }
            let idle = state.actors.iter().all(Option::is_none);
            if idle && (state.up(&self.variant) || state.item.chain.ended) {
                return state;
            }
            if state.now >= tick {
                tick = state.now + 60;
                if idle && state.item.due_at.as_second() <= state.now {
                    state.start(false);
                    continue;
                }
            }
            let waits = state.actors.iter().flatten().map(|actor| actor.until).filter(|at| *at > state.now);
            state.now = waits.chain([tick]).min().unwrap_or(tick);
        }
        state
    }

    fn fail(&self, at: u128, breach: &str) -> ! {
        let (mut path, mut at) = (Vec::new(), at);
        while let Some((from, action)) = self.came_from.get(&at) {
            if *from == at {
                break;
            }
            path.push(*action);
            at = *from;
        }
        path.reverse();
        let mut state = State::new(MOST, &self.terms);
        println!("{:?}", self.variant);
        for action in path {
            let _ = state.apply(action, &self.variant, &self.terms);
            let doing: Vec<_> = state
                .actors
                .iter()
                .flatten()
                .map(|a| format!("{:?}", a.effect).chars().take(8).collect::<String>())
                .collect();
            println!(
                "{:>6} {action:?} -> {doing:?} generation {} main {} spare {:?}",
                state.now, state.item.chain.generation, state.item.refresh, state.item.spare
            );
        }
        panic!("{breach}");
    }
}

/// A chain that has moved on and is at rest begins anew: from here on nothing new comes.
fn done(state: &State) -> bool {
    let chain = &state.item.chain;
    let idle = state.actors.iter().all(Option::is_none) && chain.intent.is_none();
    let quiet =
        state.parked.is_empty() && state.reconnect.is_none() && state.item.due_at.as_second() > state.now;
    let rests = idle && quiet && chain.generation > 1 && state.left.nudges == 0 && state.left.reconnects == 0;
    rests || chain.generation > GENERATIONS || state.now > HORIZON
}

fn never_back(before: &State, after: &State) -> Result<(), String> {
    let (was, is) = (&before.item.chain, &after.item.chain);
    if is.generation < was.generation {
        return Err("the generation went back".to_owned());
    }
    let consent = |state: &State| state.provider.of(state.item.refresh).consent;
    if is.consent < was.consent || consent(after) < consent(before) {
        return Err("a reconnect lost to an older consent".to_owned());
    }
    Ok(())
}

const MOST: Faults = Faults { any: 9, outages: 9, nudges: 9, reconnects: 9, runs: 99 };
