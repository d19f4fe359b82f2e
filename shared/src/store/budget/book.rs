//! What the table holds of one scope: `HOUR#hour` with a counter per minute, and `STATE`.
//!
//! A request is counted by one atomic addition that returns the whole item, so however many workers there
//! are, none sends what would go over the limit. The minute of an hour ago counts in full: we believe to
//! have used a little more than Bitbucket does.

use futures_util::future::try_join;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Scope, Who};
use crate::call::Priority;
use crate::ports::{Attributes, Condition, Key, Table, TableError, Write};
use crate::store::{EXPIRES_AT, live};

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 3600;
/// How long it is remembered what Bitbucket said.
const KEPT: i64 = 7 * 24 * HOUR;

const STATE: &str = "STATE";
const CLOSED_UNTIL: &str = "closed_until";
const REFUSALS: &str = "refusals";
const PER_HOUR: &str = "per_hour";
const NEAR_UNTIL: &str = "near_until";

/// Minutes since 1970 with their counts.
type Minutes = Vec<(i64, i64)>;

/// What was read of one scope.
#[derive(Debug, Default)]
pub(super) struct Book {
    state: Attributes,
    before: Minutes,
    current: Minutes,
}

impl Book {
    /// Reads all that an [`add`](Self::add) does not return.
    pub(super) async fn read(table: &impl Table, scope: &Scope, now: Timestamp) -> Result<Self, TableError> {
        let (state, before) = (key(scope, STATE.to_owned()), hour(scope, now.as_second() - HOUR));
        let (state, before) = try_join(table.get(&state), table.get(&before)).await?;
        let state = live(state, now).unwrap_or_default();
        Ok(Self { state, before: minutes(before.unwrap_or_default()), current: Minutes::new() })
    }

    /// Reads the current hour as well.
    pub(super) async fn read_on(
        table: &impl Table,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Self, TableError> {
        let place = hour(scope, now.as_second());
        let (book, current) = try_join(Self::read(table, scope, now), table.get(&place)).await?;
        Ok(Self { current: minutes(current.unwrap_or_default()), ..book })
    }

    /// Counts requests, or takes them back.
    pub(super) async fn add(
        &mut self,
        table: &impl Table,
        scope: &Scope,
        by: i64,
        now: Timestamp,
    ) -> Result<(), TableError> {
        let second = now.as_second();
        let set = Attributes::from_iter([(EXPIRES_AT.to_owned(), Value::from((second / HOUR + 3) * HOUR))]);
        let added = table.add(&hour(scope, second), &format!("m{}", second / MINUTE), by, set).await?;
        self.current = minutes(added);
        Ok(())
    }

    /// The counts of the last hour, the oldest first.
    fn window(&self, now: Timestamp) -> Minutes {
        let since = (now.as_second() - HOUR) / MINUTE;
        let all = self.before.iter().chain(&self.current);
        let mut window: Minutes = all.filter(|(minute, _)| *minute >= since).copied().collect();
        window.sort_unstable();
        window
    }

    /// Requests in the last hour.
    pub(super) fn used(&self, now: Timestamp) -> i64 {
        self.window(now).iter().map(|(_, count)| count).sum()
    }

    /// How long until so many requests are more than an hour ago.
    pub(super) fn room_after(&self, mut over: i64, now: Timestamp) -> SignedDuration {
        for (minute, count) in self.window(now) {
            over -= count;
            if over <= 0 {
                let leaves = (minute + 1) * MINUTE + HOUR;
                return SignedDuration::from_secs((leaves - now.as_second()).max(1));
            }
        }
        SignedDuration::from_secs(MINUTE)
    }

    /// Until when a call of this priority need not try.
    pub(super) fn shut(&self, priority: Priority, now: Timestamp) -> Option<Timestamp> {
        let closed = self.time(CLOSED_UNTIL).filter(|until| *until > now);
        let near = self.near_until(now).filter(|_| priority == Priority::Background);
        closed.max(near)
    }

    /// Until when little is left.
    pub(super) fn near_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.time(NEAR_UNTIL).filter(|until| *until > now)
    }

    /// What Bitbucket said that it allows per hour.
    pub(super) fn learnt(&self) -> Option<u32> {
        self.number(PER_HOUR).and_then(|number| u32::try_from(number).ok())
    }

    /// How often Bitbucket refused in a row: again within an hour after the last refusal was over.
    pub(super) fn refusals(&self, now: Timestamp) -> i64 {
        let lately = self.time(CLOSED_UNTIL).is_some_and(|until| now.as_second() - until.as_second() < HOUR);
        self.number(REFUSALS).filter(|_| lately).unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.state.get(name).and_then(Value::as_i64)
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        Timestamp::from_second(self.number(name)?).ok()
    }
}

/// Notes that Bitbucket takes nothing more until `until`. An earlier end than is known changes nothing.
pub(super) async fn close(
    table: &impl Table,
    scope: &Scope,
    until: Timestamp,
    refusals: i64,
    now: Timestamp,
) -> Result<(), TableError> {
    let set = json!({ CLOSED_UNTIL: until.as_second(), REFUSALS: refusals });
    let condition = Condition::Any(vec![
        Condition::Lacks(CLOSED_UNTIL),
        Condition::AtMost(CLOSED_UNTIL, until.as_second()),
        Condition::AtMost(CLOSED_UNTIL, now.as_second()),
    ]);
    match note(table, scope, set, Vec::new(), condition, now).await {
        // Somebody knows of a later time.
        Err(TableError::Refused) => Ok(()),
        written => written,
    }
}

/// Notes what Bitbucket said of its limit.
pub(super) async fn learn(
    table: &impl Table,
    scope: &Scope,
    per_hour: Option<u32>,
    near_until: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), TableError> {
    let mut set = json!({});
    if let Some(per_hour) = per_hour {
        set[PER_HOUR] = per_hour.into();
    }
    let mut remove = Vec::new();
    match near_until {
        Some(until) => set[NEAR_UNTIL] = until.as_second().into(),
        None => remove.push(NEAR_UNTIL),
    }
    note(table, scope, set, remove, Condition::Always, now).await
}

async fn note(
    table: &impl Table,
    scope: &Scope,
    set: Value,
    remove: Vec<&'static str>,
    condition: Condition,
    now: Timestamp,
) -> Result<(), TableError> {
    let Value::Object(mut set) = set else { unreachable!("a note is an object") };
    set.insert(EXPIRES_AT.to_owned(), Value::from(now.as_second() + KEPT));
    let key = key(scope, STATE.to_owned());
    table.write(vec![Write::Update { key, set, remove, condition }]).await
}

/// Adds to what a part of the requests has used in this hour of the clock, and gives it.
pub(super) async fn part(
    table: &impl Table,
    scope: &Scope,
    requests: u32,
    now: Timestamp,
) -> Result<u64, TableError> {
    let hour = now.as_second() / HOUR;
    let set = Attributes::from_iter([(EXPIRES_AT.to_owned(), Value::from((hour + 3) * HOUR))]);
    let place = key(scope, format!("PART#{hour}"));
    let counted = table.add(&place, "requests", requests.into(), set).await?;
    Ok(counted.get("requests").and_then(Value::as_u64).unwrap_or_default())
}

fn minutes(attributes: Attributes) -> Minutes {
    let minute =
        |(name, count): (String, Value)| Some((name.strip_prefix('m')?.parse().ok()?, count.as_i64()?));
    attributes.into_iter().filter_map(minute).collect()
}

fn hour(scope: &Scope, second: i64) -> Key {
    key(scope, format!("HOUR#{}", second / HOUR))
}

fn key(Scope { who, allowance }: &Scope, sk: String) -> Key {
    let allowance = allowance.code();
    Key::new(
        match who {
            Who::Consumer => format!("BUDGET#consumer#{allowance}"),
            Who::Account(uuid) => format!("BUDGET#account#{uuid}#{allowance}"),
            Who::Credential(id) => format!("BUDGET#credential#{id}#{allowance}"),
        },
        sk,
    )
}
