//! `/api/calls`: hand in a call, ask what became of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bucketwheel::call::{ApiPath, Call, CallId, Message};
use bucketwheel::credential::ulid;
use bucketwheel::ports::{Edge, Outgoing, Queue, Table};
use bucketwheel::store::calls::{self, Entry};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::Console;
use crate::problem::ErrorAnswer;
use crate::request::{Body, Id, unreadable};

/// Puts a call on the queue. Without an `id` it gets one.
pub(crate) async fn submit<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Body(mut fields): Body<Map<String, Value>>,
) -> Result<Response, ErrorAnswer> {
    fields.entry("id").or_insert_with(|| Value::from(ulid(console.edge.now(), console.edge.random())));
    // Serde would take a number for the name of an action: the place of it among the others.
    if fields.get("call").and_then(|call| call.get("action")).is_some_and(|action| !action.is_string()) {
        return Err(unreadable(&serde::de::Error::custom("action is a text")));
    }
    let message: Message =
        serde_json::from_value(Value::Object(fields)).map_err(|error| unreadable(&error))?;
    if let Call::Request(request) = &message.call {
        ApiPath::parse(&request.path).map_err(|error| {
            ErrorAnswer::bad_request(
                "bad_path",
                format!("The call's path is refused: {error}."),
                "Give the path below https://api.bitbucket.org/2.0, such as repositories/{workspace}.",
            )
        })?;
    }
    calls::about_to_queue(&console.table, &message.id, console.edge.now()).await?;
    console.calls.send(Outgoing::plain(json!(message).to_string())).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": message.id }))).into_response())
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
        Entry::Sent(at) => Ok(pending(json!({ "id": id, "state": "sent", "sent_at": at }))),
        Entry::Finished(outcome) => Ok(Json(outcome).into_response()),
    }
}

fn pending(answer: Value) -> Response {
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

fn unknown() -> ErrorAnswer {
    ErrorAnswer::not_found(
        "no_such_call",
        "Nothing is known of a call of this id.",
        "Correct the id. A call that went straight to the queue is known once a worker has taken it; outcomes \
         are kept for 7 days.",
    )
}
