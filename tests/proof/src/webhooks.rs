//! Webhooks: who sends them, and who takes the events off the queue.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bucketwheel::event::Envelope;
use futures_util::future::join_all;
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
    pub(crate) begun: Instant,
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

/// The group whose name stands in a text.
pub(crate) fn group_of(text: &str) -> Option<usize> {
    text.split_once("{proof-")?.1.split_once('}')?.0.parse().ok()
}

/// The number of the delivery that an event carries.
pub(crate) fn number_of(message: &str) -> Option<u64> {
    seen(message, Duration::ZERO).map(|seen| seen.number)
}

pub(crate) fn body(group: usize, number: u64, size: usize) -> String {
    let pad = "x".repeat(size);
    format!(r#"{{"repository":{{"uuid":"{{proof-{group}}}"}},"n":{number},"pad":"{pad}"}}"#)
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
        let size = sizes();
        let body = body(group, number, size);
        let mut attempts = 0;
        let answered = loop {
            attempts += 1;
            let began = Instant::now();
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
        let delivered = Delivered { group, number, size, answered, attempts };
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
        let mut numbers = Vec::new();
        for message in &messages {
            let seen = seen(&message.body, journal.begun.elapsed());
            numbers.push(seen.as_ref().map(|seen| seen.number));
            if let Some(seen) = seen
                && !unremoved.remove(&seen.number)
            {
                journal.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            }
        }
        let removed = join_all(messages.iter().map(|message| queue.delete(message))).await;
        for (number, removed) in numbers.into_iter().zip(removed) {
            if removed.is_err() {
                unremoved.extend(number);
            }
        }
    }
}

/// One of our deliveries; none for what else is on the queue.
fn seen(message: &str, at: Duration) -> Option<Seen> {
    let envelope = Envelope::parse(message).ok()?;
    let came = envelope.body().ok()?;
    let value: Value = serde_json::from_slice(&came).ok()?;
    let (number, size) = (value["n"].as_u64()?, value["pad"].as_str()?.len());
    let group = group_of(value["repository"]["uuid"].as_str()?)?;
    let whole = (came == body(group, number, size).as_bytes()).then_some((group, size));
    Some(Seen { number, id: envelope.id, whole, at })
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
