//! What was promised and what became of it. Facts in, breaches out: no log of a function decides, and no clock
//! but the one that the facts carry.
//!
//! | | promise | breach |
//! |---|---|---|
//! | P1 | a delivery that was answered 2xx is on the queue, once in five minutes | lost, doubled |
//! | P2 | a chain goes on: no fault lasts for as long as Bitbucket's window | a chain that does not |
//! | P3 | a mutation is carried out once at most, or reported as unknown | done twice; a false report |
//! | P4 | what is not signed is not let in, and no log holds a secret | let in; found |
//! | P5 | a repository's events keep the order in which they were answered | overtaken |

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// For so long a FIFO queue drops what it has taken already
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html>).
const WINDOW: Duration = Duration::from_secs(300);

/// How a delivery ended for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// With 2xx.
    Taken,
    /// With 5xx, three times: it was never promised.
    Refused,
    /// Not within ten seconds, after which nobody sends again: it was never promised.
    Unanswered,
    /// With anything else, though its signature was right.
    Wrong(u16),
}

/// A delivery, as its sender knows it. A group's deliveries are sent one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) group: usize,
    pub(crate) number: u64,
    pub(crate) answered: Answered,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// When it was sent the last time, and when that ended, since the beginning.
    pub(crate) last: (Duration, Duration),
}

/// A delivery whose signature is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forged {
    pub(crate) number: u64,
    pub(crate) answered: Option<u16>,
}

/// A function asked the table what waits of a group, and got no answer: an obstacle stood in the way, or it
/// gave up waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Withheld {
    pub(crate) group: usize,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

/// A delivery as it came off the queue, in the order of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    /// When, since the beginning.
    pub(crate) at: Duration,
}

/// How a chain stands after everything came to rest and was asked to rotate once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) credential: String,
    /// How many rotations it has made since it was connected.
    pub(crate) rotations: u64,
    /// Whether it rotated when it was asked to.
    pub(crate) goes_on: bool,
    /// `up`, `degraded` or `down`.
    pub(crate) health: String,
    /// What Bitbucket thinks of the refresh token that the table holds: `active`, `grace` or `dead`.
    pub(crate) at_bitbucket: String,
    /// Whether a spend is still written down as begun.
    pub(crate) open_intent: bool,
}

/// A call, as its sender knows it, and what can be seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) mutates: bool,
    /// Whether the queue has confirmed it.
    pub(crate) confirmed: bool,
    /// The states that outcomes reported: `succeeded`, `failed`, `unknown`, `expired`.
    pub(crate) reported: BTreeSet<String>,
    /// How often it was carried out, as Bitbucket shows it.
    pub(crate) effects: u32,
}

/// What there is left where nothing should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Whether deliveries are parked.
    pub(crate) parked: bool,
    /// Messages in dead-letter queues, by queue.
    pub(crate) dead: BTreeMap<String, u64>,
}

/// Everything that the ledger judges by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) delivered: Vec<Delivered>,
    pub(crate) seen: Vec<Seen>,
    /// What the way to the table withheld: the exception to the order that the README names.
    pub(crate) withheld: Vec<Withheld>,
    pub(crate) forged: Vec<Forged>,
    /// In which logs a secret was found, by its name.
    pub(crate) leaked: Vec<String>,
    pub(crate) chains: Vec<Chain>,
    pub(crate) called: Vec<Called>,
    pub(crate) left: Left,
}

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
    if facts.left.parked {
        verdict.breaches.push("deliveries are still parked".to_owned());
    }
    verdict
}

fn deliveries(facts: &Facts, verdict: &mut Verdict) {
    let mut times: HashMap<u64, Vec<Duration>> = HashMap::new();
    for seen in &facts.seen {
        times.entry(seen.number).or_default().push(seen.at);
    }
    let ended = |wanted: Answered| facts.delivered.iter().filter(move |d| d.answered == wanted);
    let taken = ended(Answered::Taken).count();
    let lost: Vec<_> = ended(Answered::Taken).filter(|d| !times.contains_key(&d.number)).collect();
    let (mut doubled, mut late) = (Vec::new(), 0);
    for (number, at) in &times {
        for pair in at.windows(2) {
            if pair[1] - pair[0] < WINDOW { doubled.push(*number) } else { late += 1 }
        }
    }
    verdict.count("deliveries sent", facts.delivered.len());
    verdict.count("attempts", facts.delivered.iter().map(|d| d.attempts as usize).sum());
    verdict.count("answered 2xx", taken);
    verdict.count("refused with 5xx", ended(Answered::Refused).count());
    verdict.count("not answered", ended(Answered::Unanswered).count());
    verdict.count("off the queue", facts.seen.len());
    verdict.count("lost", lost.len());
    verdict.count("doubled within five minutes", doubled.len());
    verdict.count("doubled later, with the same id", late);
    verdict
        .breaches
        .extend(lost.iter().map(|d| format!("P1: delivery {} was answered 2xx and is lost", d.number)));
    verdict
        .breaches
        .extend(doubled.iter().map(|n| format!("P1: delivery {n} came twice within five minutes")));
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

/// Whether the table could not be asked, while this was on its way, what waits of its group.
fn is_excused(facts: &Facts, delivered: &Delivered) -> bool {
    let (from, until) = delivered.last;
    let mut withheld = facts.withheld.iter().filter(|withheld| withheld.group == delivered.group);
    withheld.any(|withheld| withheld.from <= until && from <= withheld.until)
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
    let (mut overtaken, mut excused) = (0, 0);
    for answered in groups.values() {
        for (at, (delivered, place)) in answered.iter().enumerate() {
            let overtakers: Vec<_> =
                answered[at + 1..].iter().filter(|later| later.1 < *place).map(|later| later.0).collect();
            let unexcused: Vec<_> = overtakers.iter().filter(|later| !is_excused(facts, later)).collect();
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
    verdict.count("overtaken while the table could not be asked", excused);
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
