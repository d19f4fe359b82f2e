//! `CRED#id/CAME#uuid#id`, `CRED#id/HEADS#uuid`, `CRED#id/MISSED`: the search for missed events.
//!
//! The first is a delivery that came, noted by webhook-ingest; the second is how a repository stood, and the
//! third what all sweeps of a credential have found, both noted by the worker. There are none of them where
//! the search is off.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{EXPIRES_AT, credential_pk, from_attributes, live, revised, to_attributes};
use crate::call::Problem;
use crate::credential::CredentialId;
use crate::missed::{Came, Facts, Heads, REMEMBERED};
use crate::ports::{Condition, Key, Query, Table, TableError, Write};

/// Sweeps come each hour; the search goes on where no more than this lies between two of them.
const BREAK: SignedDuration = SignedDuration::from_hours(3);
/// How many facts of one delivery are noted. A body of 256 KiB has fewer.
const MOST_FACTS: usize = 500;
/// How many deliveries of a repository are looked at. More in two days are judged as if they had not come.
const MOST_CAME: usize = 10_000;
const PAGE: u32 = 1_000;
/// How many are removed at once.
const AT_ONCE: usize = 10;
const HEADS: &str = "HEADS#";

/// What the search has found of one credential: how its last sweep stood, and the sums of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Since when it goes on without a longer break. What was read before is not judged.
    pub since: Timestamp,
    /// When the last sweep was.
    pub swept_at: Timestamp,
    /// How many repositories are watched.
    pub watched: u64,
    /// The uuid of the repository after which the next sweep goes on, if the last one did not come to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Why a repository could not be looked at, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// What was counted.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What sweeps have counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// How many deliveries came.
    pub came: u64,
    /// How many never came, and were made up for.
    pub missed: u64,
    /// How many of those came after all.
    pub late: u64,
    /// How long deliveries took.
    pub delays: Delays,
}

/// How long deliveries took from when it happened, where Bitbucket says when: of pull requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delays {
    /// Of how many that is known.
    pub count: u64,
    /// All of them together, in milliseconds.
    pub total_ms: u64,
    /// The longest, in milliseconds.
    pub most_ms: u64,
}

impl Delays {
    /// Counts one. Clocks differ, so it may seem to be less than nothing.
    pub fn add(&mut self, delay: SignedDuration) {
        let ms = u64::try_from(delay.as_millis()).unwrap_or_default();
        self.count += 1;
        self.total_ms += ms;
        self.most_ms = self.most_ms.max(ms);
    }
}

impl Found {
    /// A sweep that begins now, after what was found before. After a longer break the search begins anew:
    /// nobody knows whether what came meanwhile was noted.
    pub fn begun(before: Option<&Self>, now: Timestamp) -> Self {
        let before = before.filter(|before| now.duration_since(before.swept_at) <= BREAK);
        Self {
            since: before.map_or(now, |before| before.since),
            swept_at: now,
            after: before.and_then(|before| before.after.clone()),
            ..Self::default()
        }
    }

    /// Becomes what a further sweep has found, with the sums of both.
    fn add(&mut self, sweep: &Self) {
        self.sums.add(&sweep.sums);
        *self = Self { sums: self.sums, ..sweep.clone() };
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.came += other.came;
        self.missed += other.missed;
        self.late += other.late;
        self.delays.count += other.delays.count;
        self.delays.total_ms += other.delays.total_ms;
        self.delays.most_ms = self.delays.most_ms.max(other.delays.most_ms);
    }
}

/// Notes a delivery that came.
pub async fn note(
    table: &impl Table,
    id: &CredentialId,
    mut facts: Facts,
    at: Timestamp,
) -> Result<(), TableError> {
    facts.facts.truncate(MOST_FACTS);
    // The same delivery twice is one note.
    let name = hex::encode(&Sha256::digest(json!(facts).to_string())[..16]);
    let key = Key::new(credential_pk(id), format!("{}{name}", prefix(&facts.repository)));
    let mut attributes = to_attributes(&Came { id: name, at, facts });
    let expires = at.as_second() + REMEMBERED.as_secs();
    attributes.insert(EXPIRES_AT.to_owned(), Value::from(expires));
    table.write(vec![Write::Put { key, attributes, condition: Condition::Always }]).await
}

/// The deliveries of a repository that came, the earliest first.
pub async fn came(
    table: &impl Table,
    id: &CredentialId,
    uuid: &str,
    now: Timestamp,
) -> Result<Vec<Came>, TableError> {
    let query = Query::Partition { pk: credential_pk(id), prefix: prefix(uuid) };
    let (mut all, mut after): (Vec<Came>, _) = (Vec::new(), None);
    while all.len() < MOST_CAME {
        let page = table.query(&query, PAGE, after.as_ref()).await?;
        for (_, found) in page.items {
            all.extend(live(Some(found), now).map(from_attributes).transpose()?);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.sort_by_key(|came| came.at);
    Ok(all)
}

/// Forgets deliveries that are judged.
pub async fn forget(table: &impl Table, id: &CredentialId, came: &[&Came]) -> Result<(), TableError> {
    let keys: Vec<_> = came
        .iter()
        .map(|came| Key::new(credential_pk(id), format!("{}{}", prefix(&came.facts.repository), came.id)))
        .collect();
    let gone = stream::iter(keys)
        .map(|key| table.write(vec![Write::Delete { key, condition: Condition::Always }]))
        .buffer_unordered(AT_ONCE);
    gone.try_collect().await
}

/// How a repository stood.
pub async fn heads(
    table: &impl Table,
    id: &CredentialId,
    uuid: &str,
    now: Timestamp,
) -> Result<Option<Heads>, TableError> {
    live(table.get(&heads_key(id, uuid)).await?, now).map(from_attributes).transpose()
}

/// Notes how a repository stands; refused if another sweep has noted it since it was read.
pub async fn put_heads(
    table: &impl Table,
    id: &CredentialId,
    uuid: &str,
    heads: &Heads,
    before: Option<u64>,
    now: Timestamp,
) -> Result<(), TableError> {
    revised::put(table, &heads_key(id, uuid), heads, before, now).await
}

/// What the search has found of a credential; none if it never looked.
pub async fn found(
    table: &impl Table,
    id: &CredentialId,
    now: Timestamp,
) -> Result<Option<Found>, TableError> {
    live(table.get(&found_key(id)).await?, now).map(from_attributes).transpose()
}

/// Adds what a sweep has counted, and notes how far it came.
pub async fn add(
    table: &impl Table,
    id: &CredentialId,
    sweep: &Found,
    now: Timestamp,
) -> Result<(), TableError> {
    revised::add(table, &found_key(id), |found: &mut Found| found.add(sweep), now).await
}

/// Forgets how a credential's repositories stood and what was found. The deliveries that came forget
/// themselves.
pub async fn forget_all(table: &impl Table, id: &CredentialId) -> Result<(), TableError> {
    let query = Query::Partition { pk: credential_pk(id), prefix: HEADS.to_owned() };
    let delete = |key| table.write(vec![Write::Delete { key, condition: Condition::Always }]);
    loop {
        let page = table.query(&query, 100, None).await?;
        for (key, _) in page.items {
            delete(key).await?;
        }
        if page.next.is_none() {
            return delete(found_key(id)).await;
        }
    }
}

fn prefix(uuid: &str) -> String {
    format!("CAME#{uuid}#")
}

fn heads_key(id: &CredentialId, uuid: &str) -> Key {
    Key::new(credential_pk(id), format!("{HEADS}{uuid}"))
}

fn found_key(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), "MISSED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_the_version_before_is_read_and_shown_without_its_revision() {
        let stored = json!({
            "since": "2026-11-20T05:00:00Z", "swept_at": "2026-11-21T05:00:00Z", "watched": 3, "after": "u",
            "came": 7, "missed": 2, "late": 1, "delays": {"count": 4, "total_ms": 900, "most_ms": 500},
            "problem": {"code": "c", "cause": "why", "resolution": "what"}, "revision": 9,
        });
        let found: Found = serde_json::from_value(stored.clone()).expect("it is read");
        assert_eq!((found.sums.came, found.sums.delays.most_ms), (7, 500));
        let Value::Object(mut shown) = stored else { unreachable!("an item") };
        shown.remove("revision");
        assert_eq!(json!(found), Value::Object(shown));
    }
}
