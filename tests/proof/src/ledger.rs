//! What was promised and what became of it. Facts in, breaches out: no log of a function decides, and no clock
//! but the one that the facts carry.
//!
//! | | promise | breach |
//! |---|---|---|
//! | P1 | a delivery that was answered 2xx is on the queue as it was sent, once in five minutes | lost, changed, doubled |
//! | P2 | a chain goes on: no fault lasts for as long as Bitbucket's window | a chain that does not |
//! | P3 | a mutation is carried out once at most, or reported as unknown | done twice; a false report |
//! | P4 | what is not signed is not let in, and no log holds a secret | let in; found |
//! | P5 | a repository's events keep the order in which they were answered | overtaken |

mod facts;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

pub(crate) use facts::{Answered, Called, Chain, Delivered, Facts, Forged, Left, Seen, Unasked};

/// For so long a FIFO queue drops what it has taken already
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html>).
const WINDOW: Duration = Duration::from_secs(300);

/// The verdict: what was counted, and what was broken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What was counted, with its name.
    pub counts: Vec<(&'static str, u64)>,
    /// One line for each breach of a promise.
    pub breaches: Vec<String>,
}

impl Verdict {
    fn count(&mut self, name: &'static str, count: usize) {
        self.counts.push((name, count as u64));
    }

    /// Adds a breach for everything that a storm has to meet and of which there was nothing.
    pub(crate) fn must_have_met(&mut self, faults: usize) {
        const NEEDED: [&str; 5] =
            ["answered 2xx", "forgeries answered 401", "rotations", "carried out", "reported as succeeded"];
        let met = NEEDED.map(|name| (name, self.of(name))).into_iter().chain([("faults", faults as u64)]);
        let idle = met.filter(|(_, count)| *count == 0);
        self.breaches.extend(idle.map(|(name, _)| format!("nothing is proven: {name}: 0")));
    }

    /// The count of this name.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.counts.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count)
    }
}

/// Judges.
pub(crate) fn judge(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    deliveries(facts, &mut verdict);
    order(facts, &mut verdict);
    entrance(facts, &mut verdict);
    chains(facts, &mut verdict);
    calls(facts, &mut verdict);
    for (queue, dead) in facts.left.dead.iter().filter(|(_, dead)| **dead > 0) {
        verdict.breaches.push(format!("{dead} messages are dead letters of {queue}"));
    }
    verdict.breaches.extend(facts.left.restless.iter().map(|what| format!("not at rest: {what}")));
    verdict
}

fn deliveries(facts: &Facts, verdict: &mut Verdict) {
    let mut came: HashMap<u64, Vec<&Seen>> = HashMap::new();
    for seen in &facts.seen {
        came.entry(seen.number).or_default().push(seen);
    }
    let ended = |wanted: Answered| facts.delivered.iter().filter(move |d| d.answered == wanted);
    let taken = ended(Answered::Taken).count();
    let lost: Vec<_> = ended(Answered::Taken).filter(|d| !came.contains_key(&d.number)).collect();
    let (mut doubled, mut late, mut changed) = (Vec::new(), 0, BTreeSet::new());
    for (number, copies) in &came {
        for pair in copies.windows(2) {
            if pair[1].at - pair[0].at < WINDOW {
                doubled.push(*number)
            } else {
                late += 1
            }
            if pair[0].id != pair[1].id {
                changed.insert(*number);
            }
        }
    }
    for sent in &facts.delivered {
        let differs = |seen: &&Seen| seen.whole != Some((sent.group, sent.size));
        if came.get(&sent.number).is_some_and(|copies| copies.iter().any(differs)) {
            changed.insert(sent.number);
        }
    }
    verdict.count("deliveries sent", facts.delivered.len());
    verdict.count("attempts", facts.delivered.iter().map(|d| d.attempts as usize).sum());
    verdict.count("answered 2xx", taken);
    verdict.count("refused with 5xx", ended(Answered::Refused).count());
    verdict.count("not answered", ended(Answered::Unanswered).count());
    verdict.count("off the queue", facts.seen.len());
    verdict.count("lost", lost.len());
    verdict.count("come with another body or id", changed.len());
    verdict.count("doubled within five minutes", doubled.len());
    verdict.count("doubled later, with the same id", late);
    verdict
        .breaches
        .extend(lost.iter().map(|d| format!("P1: delivery {} was answered 2xx and is lost", d.number)));
    verdict
        .breaches
        .extend(doubled.iter().map(|n| format!("P1: delivery {n} came twice within five minutes")));
    verdict.breaches.extend(changed.iter().map(|n| format!("P1: delivery {n} came with another body or id")));
    let wrong = facts.delivered.iter().filter_map(|d| match d.answered {
        Answered::Wrong(status) => Some(format!("P1: delivery {} was answered {status}", d.number)),
        _ => None,
    });
    verdict.breaches.extend(wrong);
}

fn entrance(facts: &Facts, verdict: &mut Verdict) {
    let seen: BTreeSet<u64> = facts.seen.iter().map(|seen| seen.number).collect();
    let let_in =
        |forged: &&Forged| seen.contains(&forged.number) || matches!(forged.answered, Some(200..=299));
    let let_in: Vec<_> = facts.forged.iter().filter(let_in).collect();
    verdict.count("forgeries sent", facts.forged.len());
    verdict.count("forgeries answered 401", facts.forged.iter().filter(|f| f.answered == Some(401)).count());
    verdict.count("forgeries let in", let_in.len());
    verdict.count("secrets found in logs", facts.leaked.len());
    verdict.breaches.extend(let_in.iter().map(|forged| format!("P4: {forged:?} was let in")));
    verdict.breaches.extend(facts.leaked.iter().map(|found| format!("P4: {found}")));
}

fn order(facts: &Facts, verdict: &mut Verdict) {
    let mut places: HashMap<u64, usize> = HashMap::new();
    for (place, seen) in facts.seen.iter().enumerate() {
        places.entry(seen.number).or_insert(place);
    }
    let mut groups: BTreeMap<usize, Vec<(&Delivered, usize)>> = BTreeMap::new();
    for delivered in facts.delivered.iter().filter(|d| d.answered == Answered::Taken) {
        if let Some(place) = places.get(&delivered.number) {
            groups.entry(delivered.group).or_default().push((delivered, *place));
        }
    }
    // What a process sent that could not ask, and had noticed nothing. Whoever had noticed should have refused.
    let (wrongly, rightly): (Vec<Unasked>, _) = facts.unasked.iter().partition(|unasked| unasked.noticed);
    let excuses: HashSet<u64> = rightly.iter().map(|unasked| unasked.number).collect();
    let told =
        |unasked: &Unasked| format!("P5: delivery {} was sent past what was known to wait", unasked.number);
    verdict.breaches.extend(wrongly.iter().map(told));
    let (mut overtaken, mut excused) = (0, 0);
    for answered in groups.values() {
        for (at, (delivered, place)) in answered.iter().enumerate() {
            let overtakers: Vec<_> =
                answered[at + 1..].iter().filter(|later| later.1 < *place).map(|later| later.0).collect();
            let unexcused: Vec<_> =
                overtakers.iter().filter(|later| !excuses.contains(&later.number)).collect();
            if !unexcused.is_empty() {
                overtaken += 1;
                verdict.breaches.push(format!("P5: {delivered:?} was overtaken by {unexcused:?}"));
            } else if !overtakers.is_empty() {
                excused += 1;
            }
        }
    }
    verdict.count("repositories", groups.len());
    verdict.count("overtaken", overtaken);
    verdict.count("sent while the table could not be asked", excuses.len());
    verdict.count("overtaken by one of those", excused);
}

fn chains(facts: &Facts, verdict: &mut Verdict) {
    let rotations = facts.chains.iter().map(|chain| chain.rotations).sum::<u64>();
    let goes_on = |chain: &&Chain| chain.goes_on && chain.health == "up" && !chain.open_intent;
    let rightly_down =
        |chain: &&Chain| chain.health == "down" && chain.at_bitbucket == "dead" && !chain.open_intent;
    verdict.count("chains", facts.chains.len());
    verdict.counts.push(("rotations", rotations));
    verdict.count("chains that go on", facts.chains.iter().filter(goes_on).count());
    verdict.count("chains that are rightly down", facts.chains.iter().filter(rightly_down).count());
    // Bitbucket's window is longer than any fault lasted, so none may be lost, and if one is, it may not be
    // shown as anything else.
    for chain in facts.chains.iter().filter(|chain| !goes_on(chain)) {
        verdict.breaches.push(format!("P2: {chain:?}"));
    }
}

fn calls(facts: &Facts, verdict: &mut Verdict) {
    let state = |wanted: &str| facts.called.iter().filter(|call| call.reported.contains(wanted)).count();
    let mutations: Vec<_> = facts.called.iter().filter(|call| call.mutates).collect();
    verdict.count("calls", facts.called.len());
    verdict.count("calls that change something", mutations.len());
    verdict.count("carried out", mutations.iter().filter(|call| call.effects > 0).count());
    verdict.count("carried out twice", mutations.iter().filter(|call| call.effects > 1).count());
    verdict.count("reported as succeeded", state("succeeded"));
    verdict.count("reported as failed", state("failed"));
    verdict.count("reported as unknown", state("unknown"));
    verdict.count("reported as expired", state("expired"));
    for call in &facts.called {
        let reported: Vec<_> = call.reported.iter().map(String::as_str).collect();
        let breach = match (reported.as_slice(), call.effects) {
            ([], _) if call.confirmed => Some("has no outcome"),
            ([_, _, ..], _) => Some("has two outcomes that differ"),
            (_, 2..) => Some("was carried out more than once"),
            (["succeeded"], 0) if call.mutates => Some("is said to have succeeded and was not carried out"),
            (["failed" | "expired"], 1) => Some("is said to have failed and was carried out"),
            _ => None,
        };
        verdict.breaches.extend(breach.map(|breach| format!("P3: {} {breach}: {call:?}", call.id)));
    }
}

#[cfg(test)]
mod tests;
