//! `BUDGET#…`: how much of Bitbucket's hourly allowance is used.
//!
//! Bitbucket counts requests over a rolling hour
//! (<https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/>). Here each hour is an item with
//! a counter per minute. A request is counted before it is sent, by one atomic addition that returns the
//! whole item, so however many workers there are, none sends what would go over the limit. The minute of
//! an hour ago counts in full: we believe to have used a little more than Bitbucket does.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{EXPIRES_AT, live};
use crate::call::Priority;
use crate::credential::CredentialId;
use crate::ports::{Attributes, Condition, Key, Table, TableError, Write};

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All calls of the OAuth consumer: one of Atlassian's pages says that this is whom Bitbucket counts.
    Consumer,
    /// The calls of one credential. It may not use up what belongs to all.
    Credential(CredentialId),
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests per rolling hour of all credentials together.
    pub per_hour: u32,
}

impl Limits {
    /// What a call of this priority may bring the count to: of the whole, an automation leaves a tenth to
    /// people, what can wait leaves three tenths, and a single credential leaves a fifth to the others.
    fn most(self, scope: &Scope, priority: Priority) -> u32 {
        let tenths = match priority {
            Priority::Interactive => 10,
            Priority::Automation => 9,
            Priority::Background => 7,
        };
        let whole = match scope {
            Scope::Consumer => self.per_hour,
            Scope::Credential(_) => self.per_hour / 5 * 4,
        };
        (whole / 10 * tenths).max(1)
    }
}

/// What the ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticket {
    /// It is counted and may be sent. So many more may follow.
    Taken(u32),
    /// It is not counted; there is room after this time.
    Wait(SignedDuration),
}

/// How much of an hour's allowance is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Requests in the last hour.
    pub requests: u32,
    /// Bitbucket said to wait until then.
    pub closed_until: Option<Timestamp>,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const CLOSED_UNTIL: &str = "closed_until";

/// Counts a request, if there is room for it.
pub async fn take(
    table: &impl Table,
    scope: &Scope,
    limits: Limits,
    priority: Priority,
    now: Timestamp,
) -> Result<Ticket, TableError> {
    if let Some(until) = closed_until(table, scope, now).await? {
        return Ok(Ticket::Wait(until.duration_since(now)));
    }
    let before = minutes(table, scope, now.as_second() - HOUR).await?;
    let mut counts = add(table, scope, now, 1).await?;
    counts.extend(before);
    let (most, window) = (limits.most(scope, priority), recent(&counts, now));
    let used: i64 = window.iter().map(|(_, count)| count).sum();
    if used <= i64::from(most) {
        return Ok(Ticket::Taken(u32::try_from(i64::from(most) - used).unwrap_or_default()));
    }
    add(table, scope, now, -1).await?;
    Ok(Ticket::Wait(room_after(&window, used - i64::from(most), now)))
}

/// Counts a request of a credential, if there is room for it among its own and among all.
pub async fn take_for(
    table: &impl Table,
    credential: &CredentialId,
    limits: Limits,
    priority: Priority,
    now: Timestamp,
) -> Result<Ticket, TableError> {
    let own = Scope::Credential(credential.clone());
    if let Ticket::Wait(wait) = take(table, &own, limits, priority, now).await? {
        return Ok(Ticket::Wait(wait));
    }
    let ticket = take(table, &Scope::Consumer, limits, priority, now).await?;
    if let Ticket::Wait(_) = ticket {
        give_back(table, &own, now).await?;
    }
    Ok(ticket)
}

/// Takes a count back, of a request that was not sent after all.
pub async fn give_back(table: &impl Table, scope: &Scope, now: Timestamp) -> Result<(), TableError> {
    add(table, scope, now, -1).await.map(drop)
}

/// Notes that Bitbucket takes nothing more until `until`.
pub async fn close(
    table: &impl Table,
    scope: &Scope,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), TableError> {
    let set = json!({ CLOSED_UNTIL: until.as_second(), EXPIRES_AT: until.as_second() + HOUR });
    let Value::Object(set) = set else { unreachable!("attributes are an object") };
    let condition = Condition::Any(vec![
        Condition::Lacks(CLOSED_UNTIL),
        Condition::AtMost(CLOSED_UNTIL, until.as_second()),
        Condition::AtMost(CLOSED_UNTIL, now.as_second()),
    ]);
    let update = Write::Update { key: key(scope, "CLOSED"), set, remove: Vec::new(), condition };
    match table.write(vec![update]).await {
        // Somebody knows of a later time.
        Err(TableError::Refused) => Ok(()),
        written => written,
    }
}

/// What was used in the last hour.
pub async fn used(table: &impl Table, scope: &Scope, now: Timestamp) -> Result<Used, TableError> {
    let mut counts = minutes(table, scope, now.as_second() - HOUR).await?;
    counts.extend(minutes(table, scope, now.as_second()).await?);
    let requests: i64 = recent(&counts, now).iter().map(|(_, count)| count).sum();
    let closed_until = closed_until(table, scope, now).await?;
    Ok(Used { requests: u32::try_from(requests).unwrap_or_default(), closed_until })
}

async fn closed_until(
    table: &impl Table,
    scope: &Scope,
    now: Timestamp,
) -> Result<Option<Timestamp>, TableError> {
    let found = live(table.get(&key(scope, "CLOSED")).await?, now);
    let until = found.and_then(|found| Timestamp::from_second(found.get(CLOSED_UNTIL)?.as_i64()?).ok());
    Ok(until.filter(|until| *until > now))
}

/// Minutes since 1970 with their counts.
type Minutes = Vec<(i64, i64)>;

async fn add(table: &impl Table, scope: &Scope, now: Timestamp, by: i64) -> Result<Minutes, TableError> {
    let (hour, minute) = (now.as_second() / HOUR, now.as_second() / MINUTE);
    let place = key(scope, &format!("HOUR#{hour}"));
    let mut set = Attributes::new();
    set.insert(EXPIRES_AT.to_owned(), Value::from((hour + 3) * HOUR));
    read(table.add(&place, &format!("m{minute}"), by, set).await?)
}

async fn minutes(table: &impl Table, scope: &Scope, second: i64) -> Result<Minutes, TableError> {
    let place = key(scope, &format!("HOUR#{}", second / HOUR));
    read(table.get(&place).await?.unwrap_or_default())
}

fn read(attributes: Attributes) -> Result<Minutes, TableError> {
    let minute =
        |(name, count): (String, Value)| Some((name.strip_prefix('m')?.parse().ok()?, count.as_i64()?));
    Ok(attributes.into_iter().filter_map(minute).collect())
}

/// The counts of the last hour, the oldest first.
fn recent(counts: &[(i64, i64)], now: Timestamp) -> Minutes {
    let since = (now.as_second() - HOUR) / MINUTE;
    let mut recent: Minutes = counts.iter().filter(|(minute, _)| *minute >= since).copied().collect();
    recent.sort_unstable();
    recent
}

/// How long until so many requests are more than an hour ago.
fn room_after(window: &[(i64, i64)], mut over: i64, now: Timestamp) -> SignedDuration {
    for (minute, count) in window {
        over -= count;
        if over <= 0 {
            let leaves = (minute + 1) * MINUTE + HOUR;
            return SignedDuration::from_secs((leaves - now.as_second()).max(1));
        }
    }
    SignedDuration::from_secs(MINUTE)
}

fn key(scope: &Scope, sk: &str) -> Key {
    match scope {
        Scope::Consumer => Key::new("BUDGET#consumer", sk),
        Scope::Credential(id) => Key::new(format!("BUDGET#credential#{id}"), sk),
    }
}

#[cfg(feature = "memory")]
#[cfg(test)]
mod tests;
