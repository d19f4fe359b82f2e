//! `/api/credentials/{id}/hooks`: a credential's hooks, what is wanted of them, and what became of their
//! deliveries.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bucketwheel::credential::CredentialId;
use bucketwheel::ports::{Edge, Queue, Table};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::credentials::{known, usable};
use crate::Console;
use crate::guard::Who;
use crate::hooks::{Seen, Wanted};
use crate::problem::ErrorAnswer;
use crate::request::{Body, Id};

/// The hooks.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
) -> Result<Json<Seen>, ErrorAnswer> {
    console.hooks(&known(&console.table, id).await?).await.map(Json)
}

/// Wants the events of a workspace or repository.
pub(crate) async fn attach<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    who: Who,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Value>), ErrorAnswer> {
    let credential = usable(&console, id).await?;
    let call = console.attach(&who, &credential, wanted).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "credential": credential.id, "call": call }))))
}

/// Sets the credential's own filter.
pub(crate) async fn filter<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    who: Who,
    Body(filter): Body<Map<String, Value>>,
) -> Result<Json<Seen>, ErrorAnswer> {
    let credential = usable(&console, id).await?;
    console.set_filter(&who, &credential, filter).await?;
    console.hooks(&credential).await.map(Json)
}
