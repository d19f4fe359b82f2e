//! `/api/calls`: hand in a call, ask what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bucketwheel::call::{Call, CallId, Message, Outcome, Problem};
use bucketwheel::credential::{CredentialId, ulid};
use bucketwheel::ports::{Edge, Outgoing, Queue, Table};
use bucketwheel::store::calls::{self, Entry, Recent};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::credentials::known;
use crate::Console;
use crate::page::{Asked, Listed};
use crate::problem::ErrorAnswer;
use crate::request::{Body, Id, unreadable};

/// How long a caller waits for a direct answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the outcome is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(150);

/// Puts a call on the queue. Without an `id` it gets one.
pub(crate) async fn submit<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Body(fields): Body<Map<String, Value>>,
) -> Result<Response, ErrorAnswer> {
    let id = enqueue(&console, fields).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": id }))).into_response())
}

/// Puts a call on the queue and answers with its outcome if that comes soon, else with the id to ask for.
pub(crate) async fn call<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Body(mut fields): Body<Map<String, Value>>,
) -> Result<Response, ErrorAnswer> {
    // Whoever waits for the outcome here does not expect it on the results queue as well.
    fields.entry("reply").or_insert_with(|| "store".into());
    fields.entry("priority").or_insert_with(|| "interactive".into());
    let id = enqueue(&console, fields).await?;
    match answer(&console, &id).await? {
        Some(outcome) => Ok(Json(outcome).into_response()),
        None => Ok((StatusCode::ACCEPTED, Json(json!({ "id": id }))).into_response()),
    }
}

/// Waits for the outcome of a call, if it comes soon.
pub(crate) async fn answer<T: Table, Q: Queue, E: Edge>(
    console: &Console<T, Q, E>,
    id: &CallId,
) -> Result<Option<Box<Outcome>>, ErrorAnswer> {
    for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
        tokio::time::sleep(LOOK).await;
        if let Entry::Finished(outcome) = calls::get(&console.table, id, console.edge.now()).await? {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}

/// Checks a call and puts it on the queue. Without an `id` it gets one.
pub(crate) async fn enqueue<T: Table, Q: Queue, E: Edge>(
    console: &Console<T, Q, E>,
    mut fields: Map<String, Value>,
) -> Result<CallId, ErrorAnswer> {
    fields.entry("id").or_insert_with(|| Value::from(ulid(console.edge.now(), console.edge.random())));
    // Serde would take a number for the name of an action: the place of it among the others.
    if fields.get("call").and_then(|call| call.get("action")).is_some_and(|action| !action.is_string()) {
        return Err(unreadable(&serde::de::Error::custom("action is a text")));
    }
    // Serde would take a list for a record: its fields in their order.
    if fields.get("paginate").is_some_and(Value::is_array) {
        return Err(unreadable(&serde::de::Error::custom("paginate is an object")));
    }
    let message: Message =
        serde_json::from_value(Value::Object(fields)).map_err(|error| unreadable(&error))?;
    if let Call::Request(request) = &message.call {
        let checked = request.wire();
        checked.map_err(|Problem { code, cause, resolution }| {
            ErrorAnswer::bad_request(&code, format!("The call is refused: {cause}."), &resolution)
        })?;
    }
    calls::about_to_queue(&console.table, &message.id, console.edge.now()).await?;
    console.calls.send(Outgoing::call(&message)).await?;
    Ok(message.id)
}

/// A page of a credential's calls that are over, the latest first.
pub(crate) async fn recent<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    RawQuery(query): RawQuery,
) -> Result<Json<Listed<Recent>>, ErrorAnswer> {
    let asked = Asked::read(query.as_deref())?;
    let id = known(&console.table, id).await?.id;
    let (table, now) = (&console.table, console.edge.now());
    asked.page(calls::recent(table, &id, asked.limit, asked.after.as_ref(), now).await).map(Json)
}

/// One page of a paginated call.
pub(crate) async fn part<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    path: Result<Path<(String, u32)>, PathRejection>,
) -> Result<Response, ErrorAnswer> {
    let Path((id, number)) = path.map_err(|_| unknown())?;
    let id = id.parse().map_err(|_| unknown())?;
    let part = calls::part(&console.table, &id, number, console.edge.now()).await?;
    part.map(|part| Json(part).into_response()).ok_or_else(unknown)
}

/// What became of a call.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CallId>,
) -> Result<Response, ErrorAnswer> {
    let id = id.ok_or_else(unknown)?;
    match calls::get(&console.table, &id, console.edge.now()).await? {
        Entry::New => Err(unknown()),
        Entry::Queued(at) => Ok(pending(json!({ "id": id, "state": "queued", "queued_at": at }))),
        Entry::Sent(sent) => Ok(pending(json!({ "id": id, "state": "sent", "sent_at": sent.at }))),
        Entry::Finished(outcome) => Ok(Json(outcome).into_response()),
    }
}

fn pending(answer: Value) -> Response {
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

pub(crate) fn unknown() -> ErrorAnswer {
    ErrorAnswer::not_found(
        "no_such_call",
        "Nothing is known of a call of this id.",
        "Correct the id. A call that went straight to the queue is known once a worker has taken it; outcomes \
         are kept for 7 days.",
    )
}
