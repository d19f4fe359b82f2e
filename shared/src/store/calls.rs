//! `CALL#id`: the journal of calls. A mutation is written down before it is sent.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{EXPIRES_AT, from_attributes, live};
pub use crate::call::Entry;
use crate::call::{CallId, Outcome, Pages, Sent, State};
use crate::credential::CredentialId;
use crate::ports::{Attributes, Condition, Cursor, Key, Query, Table, TableError, Write};

/// How long an outcome can be asked for, and how long an id stays taken.
pub const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

const OUTCOME: &str = "outcome";
const RECENT_OF: &str = "recent_of";
const RECENT_AT: &str = "recent_at";
const SUMMARY: &str = "summary";
const SENT_AT: &str = "sent_at";
const SENT_UNTIL: &str = "sent_until";
const SENT_BY: &str = "sent_by";
const QUEUED_AT: &str = "queued_at";

/// Reads what became of a call.
pub async fn get(table: &impl Table, id: &CallId, now: Timestamp) -> Result<Entry, TableError> {
    let Some(mut found) = live(table.get(&key(id)).await?, now) else { return Ok(Entry::New) };
    match found.remove(OUTCOME) {
        Some(text) => Ok(Entry::Finished(Box::new(outcome(Some(&text))?))),
        None => {
            let time = |name| found.get(name).and_then(Value::as_i64).map(millisecond);
            Ok(match (time(SENT_AT), time(QUEUED_AT)) {
                (Some(at), _) => {
                    let by = found.get(SENT_BY).and_then(Value::as_u64).and_then(|by| u32::try_from(by).ok());
                    let until = time(SENT_UNTIL).unwrap_or(at);
                    Entry::Sent(Sent { at, until, by: by.unwrap_or_default() })
                }
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

/// Writes down that a call is about to be sent, in place of `before`; refused if the journal says anything
/// else by now.
pub async fn about_to_send(
    table: &impl Table,
    id: &CallId,
    sent: Sent,
    before: Option<Sent>,
    now: Timestamp,
) -> Result<(), TableError> {
    let (at, until) = (sent.at.as_millisecond(), sent.until.as_millisecond());
    let set = json!({ SENT_AT: at, SENT_UNTIL: until, SENT_BY: sent.by });
    let unchanged = match before {
        Some(before) => is(before),
        None => Condition::Lacks(SENT_AT),
    };
    let condition = Condition::All(vec![unchanged, Condition::Lacks(OUTCOME)]);
    let set = entry(set, now);
    let written = table.write(vec![Write::Update { key: key(id), set, remove: Vec::new(), condition }]).await;
    // A write is tried again when its acknowledgement is lost, and then finds itself.
    match written {
        Err(TableError::Refused) => match get(table, id, now).await? {
            Entry::Sent(found) if found.by == sent.by => Ok(()),
            _ => Err(TableError::Refused),
        },
        written => written,
    }
}

/// Takes back [`about_to_send`], after Bitbucket said that it did nothing.
pub async fn not_sent(table: &impl Table, id: &CallId, sent: Sent, now: Timestamp) -> Result<(), TableError> {
    let set = entry(json!({ QUEUED_AT: now.as_millisecond() }), now);
    let condition = Condition::All(vec![is(sent), Condition::Lacks(OUTCOME)]);
    let remove = vec![SENT_AT, SENT_UNTIL, SENT_BY];
    table.write(vec![Write::Update { key: key(id), set, remove, condition }]).await
}

fn is(sent: Sent) -> Condition {
    Condition::Equals(SENT_BY, Value::from(sent.by))
}

/// How far a paginated call has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is stored so far.
    pub pages: Pages,
    /// Bitbucket's link to the page after those.
    pub next: Option<String>,
}

/// Reads how far a paginated call has come.
pub async fn progress(table: &impl Table, id: &CallId) -> Result<Progress, TableError> {
    let found = table.get(&Key::new(format!("CALL#{id}"), "PROGRESS")).await?;
    Ok(found.map(from_attributes).transpose()?.unwrap_or_default())
}

/// Stores one page and how far the call has come with it.
pub async fn put_part(
    table: &impl Table,
    part: &Outcome,
    progress: &Progress,
    now: Timestamp,
) -> Result<(), TableError> {
    let put = |key, attributes| Write::Put { key, attributes, condition: Condition::Always };
    let page =
        put(part_key(&part.id, part.part.unwrap_or_default()), entry(json!({ OUTCOME: text(part) }), now));
    let Value::Object(progress) = json!(progress) else { unreachable!("progress is an object") };
    let place = Key::new(format!("CALL#{}", part.id), "PROGRESS");
    table.write(vec![page, put(place, entry(Value::Object(progress), now))]).await
}

/// Reads one page, from 1 on.
pub async fn part(
    table: &impl Table,
    id: &CallId,
    number: u32,
    now: Timestamp,
) -> Result<Option<Outcome>, TableError> {
    let found = live(table.get(&part_key(id, number)).await?, now);
    found.map(|found| outcome(found.get(OUTCOME))).transpose()
}

fn part_key(id: &CallId, number: u32) -> Key {
    Key::new(format!("CALL#{id}"), format!("PART#{number:06}"))
}

fn outcome(text: Option<&Value>) -> Result<Outcome, TableError> {
    serde_json::from_str(text.and_then(Value::as_str).unwrap_or_default())
        .map_err(|error| TableError::Unreadable(error.to_string()))
}

fn text(outcome: &Outcome) -> String {
    match serde_json::to_string(outcome) {
        Ok(text) => text,
        Err(_) => unreachable!("an outcome is texts and numbers"),
    }
}

/// Stores the outcome. `what` says in a few words what was called; it goes into the list of recent calls.
pub async fn finish(
    table: &impl Table,
    outcome: &Outcome,
    what: &str,
    now: Timestamp,
) -> Result<(), TableError> {
    let Outcome { state, status, error, finished_at, .. } = outcome;
    let error = error.as_ref().map(|error| error.code.as_str());
    let summary =
        Summary { what: what.to_owned(), state: *state, status: *status, error: error.map(Into::into) };
    let set = json!({
        OUTCOME: text(outcome),
        RECENT_OF: recent_of(&outcome.credential),
        RECENT_AT: finished_at.as_millisecond(),
        SUMMARY: summary,
    });
    let set = entry(set, now);
    let update = Write::Update {
        key: key(&outcome.id),
        set,
        remove: Vec::new(),
        condition: Condition::Lacks(OUTCOME),
    };
    table.write(vec![update]).await
}

/// A call that is over, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// The caller's name for it.
    pub id: CallId,
    /// What it was.
    #[serde(flatten)]
    pub summary: Summary,
    /// When the verdict fell.
    pub finished_at: Timestamp,
}

/// What a call was and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The method and path, or the name of the action.
    pub what: String,
    /// The verdict.
    pub state: State,
    /// Bitbucket's HTTP status, if it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A page of a credential's calls that are over, the latest first, as far back as outcomes are kept.
pub async fn recent(
    table: &impl Table,
    credential: &CredentialId,
    limit: u32,
    after: Option<&Cursor>,
    now: Timestamp,
) -> Result<(Vec<Recent>, Option<Cursor>), TableError> {
    let page = table.query(&Query::Recent(recent_of(credential)), limit, after).await?;
    let read = |(key, found): (Key, Attributes)| {
        let mut found = live(Some(found), now)?;
        let id = key.pk.strip_prefix("CALL#")?.parse().ok()?;
        let finished_at = millisecond(found.get(RECENT_AT)?.as_i64()?);
        Some(Recent { id, summary: serde_json::from_value(found.remove(SUMMARY)?).ok()?, finished_at })
    };
    Ok((page.items.into_iter().filter_map(read).collect(), page.next))
}

fn recent_of(credential: &CredentialId) -> String {
    format!("CALLS#{credential}")
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
