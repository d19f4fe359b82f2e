//! `CALL#id`: the journal of calls. A mutation is written down before it is sent.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{EXPIRES_AT, live};
use crate::call::{CallId, Outcome};
use crate::ports::{Attributes, Condition, Key, Table, TableError, Write};

/// How long an outcome can be asked for, and how long an id stays taken.
pub const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

const OUTCOME: &str = "outcome";
const SENT_AT: &str = "sent_at";
const QUEUED_AT: &str = "queued_at";

/// What the journal knows of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Nothing.
    New,
    /// It was put on the calls queue by the console at that time, and no worker has sent it.
    Queued(Timestamp),
    /// It was about to be sent at that time, and no outcome was stored.
    Sent(Timestamp),
    /// It is over.
    Finished(Box<Outcome>),
}

/// Reads what became of a call.
pub async fn get(table: &impl Table, id: &CallId, now: Timestamp) -> Result<Entry, TableError> {
    let Some(mut found) = live(table.get(&key(id)).await?, now) else { return Ok(Entry::New) };
    match found.remove(OUTCOME) {
        Some(Value::String(outcome)) => serde_json::from_str(&outcome)
            .map(|outcome| Entry::Finished(Box::new(outcome)))
            .map_err(|error| TableError::Unreadable(error.to_string())),
        _ => {
            let time = |name| found.get(name).and_then(Value::as_i64).map(millisecond);
            Ok(match (time(SENT_AT), time(QUEUED_AT)) {
                (Some(sent_at), _) => Entry::Sent(sent_at),
                (None, Some(queued_at)) => Entry::Queued(queued_at),
                (None, None) => Entry::New,
            })
        }
    }
}

/// Writes down that a call is about to be queued, unless it is known already: whoever submitted it may
/// ask for it from now on.
pub async fn about_to_queue(table: &impl Table, id: &CallId, now: Timestamp) -> Result<(), TableError> {
    let attributes = entry(json!({ QUEUED_AT: now.as_millisecond() }), now);
    match table.write(vec![Write::Put { key: key(id), attributes, condition: Condition::Absent }]).await {
        Ok(()) | Err(TableError::Refused) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes down that a call is about to be sent; refused if it already was.
pub async fn about_to_send(table: &impl Table, id: &CallId, now: Timestamp) -> Result<(), TableError> {
    let set = entry(json!({ SENT_AT: now.as_millisecond() }), now);
    let condition = Condition::All(vec![Condition::Lacks(SENT_AT), Condition::Lacks(OUTCOME)]);
    table.write(vec![Write::Update { key: key(id), set, remove: Vec::new(), condition }]).await
}

/// Takes back [`about_to_send`], after Bitbucket said that it did nothing.
pub async fn not_sent(table: &impl Table, id: &CallId, now: Timestamp) -> Result<(), TableError> {
    let set = entry(json!({ QUEUED_AT: now.as_millisecond() }), now);
    let condition = Condition::Lacks(OUTCOME);
    table.write(vec![Write::Update { key: key(id), set, remove: vec![SENT_AT], condition }]).await
}

/// Stores the outcome.
pub async fn finish(table: &impl Table, outcome: &Outcome, now: Timestamp) -> Result<(), TableError> {
    let Ok(text) = serde_json::to_string(outcome) else { unreachable!("an outcome is texts and numbers") };
    let set = entry(json!({ OUTCOME: text }), now);
    let update = Write::Update {
        key: key(&outcome.id),
        set,
        remove: Vec::new(),
        condition: Condition::Lacks(OUTCOME),
    };
    table.write(vec![update]).await
}

fn entry(attributes: Value, now: Timestamp) -> Attributes {
    let Value::Object(mut attributes) = attributes else { unreachable!("an entry is an object") };
    attributes.insert(EXPIRES_AT.to_owned(), Value::from((now.as_second()) + KEPT.as_secs()));
    attributes
}

fn millisecond(since_1970: i64) -> Timestamp {
    Timestamp::from_millisecond(since_1970).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn key(id: &CallId) -> Key {
    Key::new(format!("CALL#{id}"), "CALL")
}
