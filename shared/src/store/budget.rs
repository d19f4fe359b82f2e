//! `BUDGET#…`: how much of Bitbucket's hourly allowances is used.
//!
//! A request is counted before it is sent: for its credential, and for whom Bitbucket counts, which may be
//! many credentials together. Of what they share, the less urgent leave a part to the more urgent, and those
//! who have used much leave a fifth to those who have used little. What Bitbucket itself says of its limits
//! counts more than the numbers of its documentation.

mod book;

use futures_util::future::try_join;
use jiff::{SignedDuration, Timestamp};

use self::book::{Book, HOUR, MINUTE};
use crate::call::{Allowance, Priority};
use crate::credential::{Credential, CredentialId, Entry};
use crate::ports::{Table, TableError};

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// All calls of the OAuth consumer. Atlassian's pages disagree on whether Bitbucket counts these or the
    /// account's (<https://support.atlassian.com/bitbucket-cloud/kb/bitbucket-cloud-rate-limit-troubleshooting/>);
    /// this is the stricter.
    Consumer,
    /// All calls of one account with its API tokens.
    Account(String),
    /// The calls of one credential. An access token has an allowance of its own.
    Credential(CredentialId),
}

impl Who {
    /// Whom Bitbucket counts when this credential calls.
    pub fn counted(credential: &Credential) -> Self {
        match credential.kind.entry() {
            Entry::Consent | Entry::Consumer => Who::Consumer,
            Entry::EmailAndToken => Who::Account(credential.account.uuid.clone()),
            Entry::Token => Who::Credential(credential.id.clone()),
        }
    }
}

/// Who is counted, and against what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Who.
    pub who: Who,
    /// Against what.
    pub allowance: Allowance,
}

impl Scope {
    fn whole(credential: &Credential, allowance: Allowance) -> Self {
        Self { who: Who::counted(credential), allowance }
    }

    /// What one credential uses of an allowance, shared or not.
    pub fn own(id: &CredentialId, allowance: Allowance) -> Self {
        Self { who: Who::Credential(id.clone()), allowance }
    }
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests to repositories per rolling hour of all the OAuth consumer's credentials together.
    pub per_hour: u32,
}

impl Limits {
    fn of(self, scope: &Scope, learnt: Option<u32>) -> u32 {
        learnt.unwrap_or(match scope {
            Scope { who: Who::Consumer, allowance: Allowance::Repositories } => self.per_hour,
            Scope { allowance, .. } => allowance.per_hour(),
        })
    }
}

/// What a call of this priority may bring the count to. An automation leaves a tenth to people, what can
/// wait leaves three tenths; and of what is shared, whoever has used much leaves a fifth to the others.
fn most(limit: u32, priority: Priority, much: bool) -> u32 {
    let percent = match priority {
        Priority::Interactive => 100,
        Priority::Automation => 90,
        Priority::Background => 70,
    };
    let percent = if much { percent * 80 / 100 } else { percent };
    u32::try_from(u64::from(limit) * percent / 100).unwrap_or(u32::MAX).max(1)
}

/// Whether a credential has used much of what it shares: more than a twentieth.
fn is_much(own: i64, limit: u32) -> bool {
    own > i64::from(limit / 20)
}

/// What the ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticket {
    /// It is counted and may be sent. So many more may follow.
    Taken(u32),
    /// It is not counted; there is room after this time.
    Wait(SignedDuration),
}

/// Counts a request, if there is room for it.
pub async fn take(
    table: &impl Table,
    limits: Limits,
    credential: &Credential,
    allowance: Allowance,
    priority: Priority,
    now: Timestamp,
) -> Result<Ticket, TableError> {
    let (own, whole) = (Scope::own(&credential.id, allowance), Scope::whole(credential, allowance));
    let shared = own != whole;
    let (mut mine, mut all) = try_join(Book::read(table, &own, now), async {
        if shared { Book::read(table, &whole, now).await } else { Ok(Book::default()) }
    })
    .await?;
    if let Some(until) = mine.shut(priority, now).max(all.shut(priority, now)) {
        return Ok(Ticket::Wait(until.duration_since(now)));
    }
    mine.add(table, &own, 1, now).await?;
    if shared {
        all.add(table, &whole, 1, now).await?;
    }
    let (counted, scope) = if shared { (&all, &whole) } else { (&mine, &own) };
    let limit = limits.of(scope, counted.learnt());
    let most = most(limit, priority, shared && is_much(mine.used(now), limit));
    let over = counted.used(now) - i64::from(most);
    if over <= 0 {
        return Ok(Ticket::Taken(u32::try_from(-over).unwrap_or_default()));
    }
    let wait = counted.room_after(over, now);
    mine.add(table, &own, -1, now).await?;
    if shared {
        all.add(table, &whole, -1, now).await?;
    }
    Ok(Ticket::Wait(wait))
}

/// How long nothing is sent after Bitbucket's first refusal that does not say. It documents no `Retry-After`.
const CLOSED: i64 = MINUTE;

/// Notes that Bitbucket takes nothing more for `after`. Where it does not say how long: for a minute, and
/// twice as long each time it refuses again, up to an hour. Gives when it ends.
pub async fn close(
    table: &impl Table,
    scope: &Scope,
    after: Option<SignedDuration>,
    now: Timestamp,
) -> Result<Timestamp, TableError> {
    let refusals = Book::read(table, scope, now).await?.refusals(now);
    let grown = SignedDuration::from_secs((CLOSED << refusals.min(6)).min(HOUR));
    let until = now + after.unwrap_or(grown);
    book::close(table, scope, until, refusals + 1, now).await?;
    Ok(until)
}

/// What an answer says of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// `X-RateLimit-Limit`: requests per hour.
    pub per_hour: Option<u32>,
    /// `X-RateLimit-NearLimit`: whether less than a fifth is left, by whomever it was used.
    pub near: bool,
}

/// For how long it is believed that little is left, unless an answer says otherwise.
const NEAR: SignedDuration = SignedDuration::from_mins(10);

/// Notes what Bitbucket said of an allowance when this credential called.
pub async fn learn(
    table: &impl Table,
    credential: &Credential,
    allowance: Allowance,
    told: Told,
    now: Timestamp,
) -> Result<(), TableError> {
    let near_until = told.near.then(|| now + NEAR);
    book::learn(table, &Scope::whole(credential, allowance), told.per_hour, near_until, now).await
}

/// Counts `requests` that belong together, against `percent` of what all who share the allowance have in an
/// hour of the clock. They are counted as all others, too; this only says how many of them are left.
pub async fn take_part(
    table: &impl Table,
    limits: Limits,
    credential: &Credential,
    percent: u32,
    requests: u32,
    now: Timestamp,
) -> Result<u32, TableError> {
    let scope = Scope::whole(credential, Allowance::Repositories);
    let most = u64::from(limits.of(&scope, None)) * u64::from(percent) / 100;
    let used = book::part(table, &scope, requests, now).await?;
    Ok(u32::try_from(most.saturating_sub(used)).unwrap_or(u32::MAX))
}

/// How much of an allowance is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Requests in the last hour.
    pub requests: u32,
    /// How many Bitbucket allows in an hour: to the credential, or to all that share it.
    pub per_hour: u32,
    /// Bitbucket said to wait until then.
    pub closed_until: Option<Timestamp>,
    /// Bitbucket said that little is left; until then, what can wait waits.
    pub near_limit_until: Option<Timestamp>,
    /// When an automation's next call finds room; none if it does now.
    pub free_at: Option<Timestamp>,
}

/// What was used in the last hour: by a credential, or by all of the OAuth consumer.
pub async fn used(
    table: &impl Table,
    limits: Limits,
    credential: Option<&Credential>,
    allowance: Allowance,
    now: Timestamp,
) -> Result<Used, TableError> {
    let whole = match credential {
        Some(credential) => Scope::whole(credential, allowance),
        None => Scope { who: Who::Consumer, allowance },
    };
    let own = credential.map(|credential| Scope::own(&credential.id, allowance));
    let all = Book::read_on(table, &whole, now).await?;
    let mine = match own.filter(|own| *own != whole) {
        Some(own) => Some(Book::read_on(table, &own, now).await?),
        None => None,
    };
    let limit = limits.of(&whole, all.learnt());
    let much = mine.as_ref().is_some_and(|mine| is_much(mine.used(now) + 1, limit));
    let over = all.used(now) + 1 - i64::from(most(limit, Priority::Automation, much));
    let room = (over > 0).then(|| now + all.room_after(over, now));
    let shut = |book: &Book| book.shut(Priority::Automation, now);
    let shut = shut(&all).max(mine.as_ref().and_then(shut));
    let requests = mine.as_ref().unwrap_or(&all).used(now);
    Ok(Used {
        requests: u32::try_from(requests).unwrap_or_default(),
        per_hour: limit,
        closed_until: shut,
        near_limit_until: all.near_until(now),
        free_at: room.max(shut),
    })
}

#[cfg(feature = "memory")]
#[cfg(test)]
mod tests;
