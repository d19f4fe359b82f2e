//! `CRED#id/REPO#uuid`, `CRED#id/REPOS`: the repositories that a credential sees.
//!
//! The list is read from Bitbucket page by page, in as many visits as it takes. Each repository carries the
//! time at which it was last seen. Whoever comes to the end of the list removes those that were last seen
//! before it began. So walks may overlap, begin anew or stop half-way without harm.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{EXPIRES_AT, credential_pk, from_attributes, live, to_attributes};
use crate::call::CallId;
use crate::credential::{CredentialId, Repository};
use crate::ports::{Attributes, Condition, Cursor, Key, Query, Table, TableError, Write};

/// How long a repository is kept that nobody sees again, of a credential that nobody lists any more.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
const SEEN_AT: &str = "seen_at";
const PREFIX: &str = "REPO#";
const LISTING: &str = "listing";
/// The place in the index `listing` of the lists that have changed.
const STALE: &str = "STALE";
const AT: &str = "at";
/// How long a mark is kept that nobody looks at.
const DAY: i64 = 24 * 3600;
/// How many are removed at once.
const AT_ONCE: usize = 10;

/// When the list was read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// When that was.
    pub at: Timestamp,
    /// How many repositories it had.
    pub count: u64,
}

/// How far a call has come with the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// When it began.
    pub began_at: Timestamp,
    /// Bitbucket's link to the next page; none before the first.
    pub next: Option<String>,
    /// How many repositories it has seen.
    pub seen: u64,
}

/// Stores one page of the list. `seen_at` must not be before the walk began, whatever the clock says.
pub async fn put_page(
    table: &impl Table,
    id: &CredentialId,
    repositories: &[Repository],
    seen_at: Timestamp,
) -> Result<(), TableError> {
    let item = |repository: &Repository| {
        let mut attributes = to_attributes(repository);
        attributes.insert(SEEN_AT.to_owned(), Value::from(seen_at.as_millisecond()));
        (key(id, &repository.uuid), expiring(attributes, seen_at))
    };
    table.put_all(repositories.iter().map(item).collect()).await
}

/// Reads up to `limit` repositories, in the order of their uuids.
pub async fn list(
    table: &impl Table,
    id: &CredentialId,
    limit: u32,
    after: Option<&Cursor>,
    now: Timestamp,
) -> Result<(Vec<Repository>, Option<Cursor>), TableError> {
    let query = all(id);
    let page = table.query(&query, limit, after).await?;
    let alive = page.items.into_iter().filter_map(|(_, found)| live(Some(found), now));
    Ok((alive.map(from_attributes).collect::<Result<_, _>>()?, page.next))
}

/// When the list was last read to its end; none if it never was.
pub async fn listed(table: &impl Table, id: &CredentialId) -> Result<Option<Listed>, TableError> {
    table.get(&summary(id)).await?.map(from_attributes).transpose()
}

/// The end of a walk: notes it, and removes what it did not see. Gives how many those were.
pub async fn finish(
    table: &impl Table,
    id: &CredentialId,
    walk: &Walk,
    now: Timestamp,
) -> Result<u64, TableError> {
    let before = walk.began_at.as_millisecond() - 1;
    let removed = remove(table, id, Condition::AtMost(SEEN_AT, before), |found| {
        found.get(SEEN_AT).and_then(Value::as_i64).is_none_or(|seen_at| seen_at <= before)
    })
    .await?;
    note(table, id, walk, now).await?;
    Ok(removed)
}

/// The end of a walk that may have missed something: nothing is removed.
pub async fn note(
    table: &impl Table,
    id: &CredentialId,
    walk: &Walk,
    now: Timestamp,
) -> Result<(), TableError> {
    let attributes = expiring(to_attributes(&Listed { at: now, count: walk.seen }), now);
    table.write(vec![Write::Put { key: summary(id), attributes, condition: Condition::Always }]).await
}

/// Removes all that is known of a credential's repositories.
pub async fn forget(table: &impl Table, id: &CredentialId) -> Result<(), TableError> {
    remove(table, id, Condition::Always, |_| true).await?;
    table.write(vec![Write::Delete { key: summary(id), condition: Condition::Always }]).await
}

/// Reads how far a call has come with the list.
pub async fn walk(table: &impl Table, call: &CallId, now: Timestamp) -> Result<Option<Walk>, TableError> {
    live(table.get(&progress(call)).await?, now).map(from_attributes).transpose()
}

/// Stores how far a call has come with the list.
pub async fn put_walk(
    table: &impl Table,
    call: &CallId,
    walk: &Walk,
    now: Timestamp,
) -> Result<(), TableError> {
    let attributes = expiring(to_attributes(walk), now);
    table.write(vec![Write::Put { key: progress(call), attributes, condition: Condition::Always }]).await
}

/// A list that is to be read anew, because an event said that it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// Whose list.
    pub credential: CredentialId,
    /// When the last such event came, in milliseconds since 1970.
    pub at: i64,
}

/// Notes that a credential's list has changed.
pub async fn mark(table: &impl Table, id: &CredentialId, now: Timestamp) -> Result<(), TableError> {
    let marked = json!({ LISTING: STALE, AT: now.as_millisecond(), EXPIRES_AT: now.as_second() + DAY });
    let Value::Object(attributes) = marked else { unreachable!("a mark is an object") };
    table.write(vec![Write::Put { key: marked_at(id), attributes, condition: Condition::Always }]).await
}

/// Up to `limit` lists that have changed.
pub async fn marked(table: &impl Table, limit: u32) -> Result<Vec<Stale>, TableError> {
    let page = table.query(&Query::Listing(STALE.to_owned()), limit, None).await?;
    let stale = |(key, found): (Key, Attributes)| {
        let credential = key.pk.strip_prefix("CRED#")?.parse().ok()?;
        Some(Stale { credential, at: found.get(AT)?.as_i64()? })
    };
    Ok(page.items.into_iter().filter_map(stale).collect())
}

/// Takes a mark away, unless another event has come since.
pub async fn unmark(table: &impl Table, stale: &Stale) -> Result<(), TableError> {
    let condition = Condition::Equals(AT, Value::from(stale.at));
    match table.write(vec![Write::Delete { key: marked_at(&stale.credential), condition }]).await {
        Ok(()) | Err(TableError::Refused) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes those that are `meant`, unless they change meanwhile so that `condition` no longer holds.
async fn remove(
    table: &impl Table,
    id: &CredentialId,
    condition: Condition,
    meant: impl Fn(&Attributes) -> bool,
) -> Result<u64, TableError> {
    let query = all(id);
    let condition = &condition;
    let (mut after, mut removed) = (None, 0);
    loop {
        let page = table.query(&query, 100, after.as_ref()).await?;
        let keys = page.items.into_iter().filter(|(_, found)| meant(found)).map(|(key, _)| key);
        let gone = stream::iter(keys).map(async |key| {
            match table.write(vec![Write::Delete { key, condition: condition.clone() }]).await {
                Ok(()) => Ok(1),
                Err(TableError::Refused) => Ok(0),
                Err(error) => Err(error),
            }
        });
        removed += gone.buffer_unordered(AT_ONCE).try_fold(0, async |sum, one| Ok(sum + one)).await?;
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(removed),
        }
    }
}

fn expiring(mut attributes: Attributes, now: Timestamp) -> Attributes {
    attributes.insert(EXPIRES_AT.to_owned(), Value::from(now.as_second() + KEPT.as_secs()));
    attributes
}

fn all(id: &CredentialId) -> Query {
    Query::Partition { pk: credential_pk(id), prefix: PREFIX.to_owned() }
}

fn key(id: &CredentialId, uuid: &str) -> Key {
    Key::new(credential_pk(id), format!("{PREFIX}{uuid}"))
}

fn summary(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), "REPOS")
}

fn marked_at(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), STALE)
}

fn progress(call: &CallId) -> Key {
    Key::new(format!("CALL#{call}"), "PROGRESS")
}
