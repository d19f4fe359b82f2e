//! Webhooks: who sends them, and who takes the events off the queue.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bucketwheel::event::Envelope;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::dice::Dice;
use crate::ledger::{Answered, Delivered, Forged, Seen};
use crate::system::{Hook, System};

/// Bitbucket sends again after 5xx at once, and at most twice
/// (<https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/>).
const ATTEMPTS: u32 = 3;

/// The number of the next delivery: in one system none may look like an earlier one, which the queue would
/// drop.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What senders and the consumer wrote down.
#[derive(Debug)]
pub(crate) struct Journal {
    begun: Instant,
    delivered: Mutex<Vec<Delivered>>,
    seen: Mutex<Vec<Seen>>,
    forged: Mutex<Vec<Forged>>,
    /// How long it took from the first byte sent to an answer of 2xx.
    took: Mutex<Vec<Duration>>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            delivered: Mutex::default(),
            seen: Mutex::default(),
            forged: Mutex::default(),
            took: Mutex::default(),
        }
    }

    pub(crate) fn delivered(&self) -> Vec<Delivered> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn forged(&self) -> Vec<Forged> {
        self.forged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A time as the ledger has it.
    pub(crate) fn since_the_beginning(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.begun)
    }

    /// How many came off the queue so far.
    pub(crate) fn seen_so_far(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The times of what was taken since the last look.
    pub(crate) fn take_times(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.took.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The id of the attempt to deliver something, which the function's log names.
fn request_id(number: u64, attempt: u32) -> String {
    format!("{number:08x}-0000-4000-8000-{attempt:012x}")
}

/// The name of a repository of which deliveries come.
fn repository(group: usize) -> String {
    format!("{{proof-{group}}}")
}

/// The group whose name stands in a text.
pub(crate) fn group_of(text: &str) -> Option<usize> {
    text.split_once("{proof-")?.1.split_once('}')?.0.parse().ok()
}

fn body(group: usize, number: u64, size: usize) -> String {
    let (repository, pad) = (repository(group), "x".repeat(size));
    format!(r#"{{"repository":{{"uuid":"{repository}"}},"n":{number},"pad":"{pad}"}}"#)
}

/// Sends what looks like deliveries and is signed with a secret that nobody has, until it is told to stop.
pub(crate) async fn forge(system: &System, hooks: &[Hook], journal: &Journal, over: &AtomicBool) {
    for hook in hooks.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let forger = Hook { secret: "not the secret".into(), ..hook.clone() };
        let answered = system.deliver(&forger, &request_id(number, 1), body(0, number, 300)).await;
        journal.forged.lock().unwrap_or_else(PoisonError::into_inner).push(Forged { number, answered });
        sleep(Duration::from_millis(500)).await;
    }
}

/// Sends one repository's deliveries one after the other until it is told to stop, or `pace` apart.
pub(crate) async fn send(
    system: &System,
    hook: &Hook,
    group: usize,
    mut sizes: impl FnMut() -> usize,
    pace: Option<Duration>,
    journal: &Journal,
    over: &AtomicBool,
) {
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let body = body(group, number, sizes());
        let mut attempts = 0;
        let mut began;
        let answered = loop {
            attempts += 1;
            began = Instant::now();
            let status = system.deliver(hook, &request_id(number, attempts), body.clone()).await;
            match status {
                Some(200..=299) => {
                    journal.took.lock().unwrap_or_else(PoisonError::into_inner).push(began.elapsed());
                    break Answered::Taken;
                }
                Some(500..=599) if attempts < ATTEMPTS => {}
                Some(500..=599) => break Answered::Refused,
                Some(status) => break Answered::Wrong(status),
                None => break Answered::Unanswered,
            }
        };
        let last = [began, Instant::now()].map(|at| journal.since_the_beginning(at));
        let delivered = Delivered { group, number, answered, attempts, last: last.into() };
        journal.delivered.lock().unwrap_or_else(PoisonError::into_inner).push(delivered);
        if answered != Answered::Taken {
            sleep(Duration::from_millis(100)).await;
        }
        if let Some(pace) = pace {
            due = (due + pace).max(Instant::now() - pace * 10);
            tokio::time::sleep_until(due).await;
        }
    }
}

/// Sizes of bodies as they are in life: mostly a few kilobytes, now and then a large one.
pub(crate) fn lifelike(seed: u64, group: usize) -> impl FnMut() -> usize {
    let mut dice = Dice::new(seed, 100 + group as u64);
    move || {
        let bytes = match dice.below(100) {
            0 => dice.between(100_000, 240_000),
            1..10 => dice.between(8_000, 40_000),
            _ => dice.between(300, 8_000),
        };
        usize::try_from(bytes).unwrap_or_default()
    }
}

/// Takes events off the queue, in its order, until it is told to stop.
pub(crate) async fn consume(system: &System, journal: &Journal, over: &AtomicBool) {
    let queue = system.queue(&system.outputs.events_queue_url);
    // What could not be removed comes again, and is no double for it.
    let mut unremoved: HashSet<u64> = HashSet::new();
    while !over.load(Ordering::Relaxed) {
        let Ok(messages) = queue.receive(1).await else {
            sleep(Duration::from_millis(200)).await;
            continue;
        };
        for message in messages {
            let number = number(&message.body);
            if let Some(number) = number
                && !unremoved.remove(&number)
            {
                let seen = Seen { number, at: journal.begun.elapsed() };
                journal.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            }
            if queue.delete(&message).await.is_err() {
                unremoved.extend(number);
            }
        }
    }
}

/// The number of one of our deliveries; none for what else is on the queue.
fn number(message: &str) -> Option<u64> {
    let body = Envelope::parse(message).ok()?.body().ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    body["pad"].as_str()?;
    body["n"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_its_group() {
        assert_eq!(group_of(&body(12, 1, 3)), Some(12));
        assert_eq!(group_of("PARKED#{proof-3}"), Some(3));
        assert_eq!(group_of("PARKED#{another}"), None);
    }
}
