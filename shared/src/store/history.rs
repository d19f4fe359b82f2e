//! `CRED#id/DELIVERIES`: what became of a credential's deliveries.
//!
//! No delivery costs a write. Whoever takes deliveries counts them in its memory, as a [`History`] of its
//! own, and adds that to the stored one now and then. What an execution environment has not yet added when
//! it ends is lost, so the numbers are a little low at times, and never too high.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{credential_pk, from_attributes, live, revised};
use crate::credential::CredentialId;
use crate::ports::{Key, Table, TableError};

/// How many rejections are kept.
const REJECTIONS: usize = 20;
/// How many hooks are told apart. Nobody signs the header that names them.
const HOOKS: usize = 100;
/// How many versions of the secret are kept.
const VERSIONS: usize = 5;

/// What became of a delivery whose signature was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It was put on the events queue.
    Accepted,
    /// It waits, or waited, in the table for the events queue.
    Parked,
    /// A filter dropped it.
    Filtered,
    /// It could not be stored: Bitbucket was asked to send it again.
    Unavailable,
}

/// The deliveries of one credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// By the hook that sent them: its uuid without braces, or `unknown`.
    #[serde(default)]
    pub hooks: BTreeMap<String, OfHook>,
    /// When a delivery was last signed with which version of the secret.
    #[serde(default)]
    pub matched: BTreeMap<u64, Timestamp>,
    /// How many were rejected.
    #[serde(default)]
    pub rejected: u64,
    /// The last of those, the newest first.
    #[serde(default)]
    pub rejections: Vec<Rejection>,
}

/// The deliveries of one hook whose signature was right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfHook {
    /// When the last one came.
    pub last_at: Timestamp,
    /// Its event key.
    pub last_event: String,
    /// What became of them.
    pub counts: BTreeMap<Became, u64>,
}

/// A delivery that was rejected. Nothing of it is proven but the time and the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// When.
    pub at: Timestamp,
    /// Why, as a word: `unsigned` or `wrong_signature`.
    pub cause: String,
    /// What it said its event key is.
    pub event_key: String,
    /// What it said its request id is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl History {
    /// Notes a delivery whose signature was right.
    pub fn note(&mut self, hook: Option<&str>, version: u64, event_key: &str, became: Became, at: Timestamp) {
        let mut of_hook = OfHook { last_at: at, last_event: event_key.to_owned(), ..OfHook::default() };
        of_hook.counts.insert(became, 1);
        let noted = Self {
            hooks: BTreeMap::from([(hook.unwrap_or("unknown").to_owned(), of_hook)]),
            matched: BTreeMap::from([(version, at)]),
            ..Self::default()
        };
        self.add(noted);
    }

    /// Notes a rejection.
    pub fn reject(&mut self, rejection: Rejection) {
        self.add(Self { rejected: 1, rejections: vec![rejection], ..Self::default() });
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: Self) {
        for (hook, of_hook) in other.hooks {
            if self.hooks.len() >= HOOKS && !self.hooks.contains_key(&hook) {
                let oldest = self.hooks.iter().min_by_key(|(_, of_hook)| of_hook.last_at);
                let oldest = oldest.map(|(hook, _)| hook.clone()).unwrap_or_default();
                self.hooks.remove(&oldest);
            }
            let known = self.hooks.entry(hook).or_default();
            if of_hook.last_at >= known.last_at {
                (known.last_at, known.last_event) = (of_hook.last_at, of_hook.last_event);
            }
            for (became, count) in of_hook.counts {
                *known.counts.entry(became).or_default() += count;
            }
        }
        for (version, at) in other.matched {
            let known = self.matched.entry(version).or_insert(at);
            *known = at.max(*known);
        }
        while self.matched.len() > VERSIONS {
            self.matched.pop_first();
        }
        self.rejected += other.rejected;
        self.rejections.extend(other.rejections);
        self.rejections.sort_by_key(|rejection| std::cmp::Reverse(rejection.at));
        self.rejections.truncate(REJECTIONS);
    }
}

/// Reads a credential's history; an empty one if nothing was ever added.
pub async fn get(table: &impl Table, id: &CredentialId, now: Timestamp) -> Result<History, TableError> {
    let found = live(table.get(&key(id)).await?, now);
    Ok(found.map(from_attributes).transpose()?.unwrap_or_default())
}

/// Adds to a credential's history.
pub async fn add(
    table: &impl Table,
    id: &CredentialId,
    counted: &History,
    now: Timestamp,
) -> Result<(), TableError> {
    revised::add(table, &key(id), |history: &mut History| history.add(counted.clone()), now).await
}

fn key(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), "DELIVERIES")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn two_that_counted_apart_come_to_the_same_as_one() {
        let mut one = History::default();
        let (mut left, mut right) = (History::default(), History::default());
        for n in 0..40 {
            let hook = ["a", "b"][n % 2];
            let part = if n % 3 == 0 { &mut left } else { &mut right };
            let second = i64::try_from(n).expect("small");
            for history in [&mut one, part] {
                history.note(
                    Some(hook),
                    second.unsigned_abs() % 2,
                    "repo:push",
                    Became::Accepted,
                    at(second),
                );
                history.reject(Rejection {
                    at: at(second),
                    cause: "unsigned".to_owned(),
                    event_key: "x".to_owned(),
                    request_id: None,
                });
            }
        }
        left.add(right);
        assert_eq!(left, one);
        assert_eq!((one.rejected, one.rejections.len(), one.rejections[0].at), (40, REJECTIONS, at(39)));
        assert_eq!(one.hooks["a"].counts[&Became::Accepted], 20);
    }

    #[test]
    fn made_up_hooks_and_old_versions_do_not_pile_up() {
        let mut history = History::default();
        for n in 0..300 {
            history.note(Some(&format!("h{n}")), n, "x", Became::Filtered, at(n.cast_signed()));
        }
        assert_eq!((history.hooks.len(), history.matched.len()), (HOOKS, VERSIONS));
        assert!(history.hooks.contains_key("h299") && history.matched.contains_key(&299));
    }
}
