//! `/api/credentials/{id}/repositories`: what a credential sees.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bucketwheel::call::Problem;
use bucketwheel::credential::{Credential, CredentialId, Repository};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::repositories;
use http::Uri;
use jiff::Timestamp;
use serde::Serialize;

use super::credentials::known;
use crate::Console;
use crate::page::{Asked, Listed};
use crate::problem::ErrorAnswer;
use crate::request::Id;

/// A page of repositories.
#[derive(Debug, Serialize)]
pub(crate) struct Repositories {
    #[serde(flatten)]
    page: Listed<Repository>,
    /// When the list was last read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    listed_at: Option<Timestamp>,
    /// Why there are none, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    blind: Option<Problem>,
}

/// A page of the repositories that a credential sees, in the order of their uuids.
pub(crate) async fn list<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    uri: Uri,
) -> Result<Json<Repositories>, ErrorAnswer> {
    let asked = Asked::read(uri.query())?;
    let credential = known(&console.table, id).await?;
    let (table, now) = (&console.table, console.edge.now());
    let found = repositories::list(table, &credential.id, asked.limit, asked.after.as_ref(), now).await;
    let page = asked.page(found)?;
    let listed_at = repositories::listed(table, &credential.id).await?.map(|listed| listed.at);
    let blind = why_none(&credential, listed_at);
    Ok(Json(Repositories { page, listed_at, blind }))
}

fn why_none(credential: &Credential, listed_at: Option<Timestamp>) -> Option<Problem> {
    match (credential.sight.explanation(), listed_at) {
        (Some((cause, resolution)), _) => Some(Problem::new("no_repositories", cause, resolution)),
        (None, None) => Some(Problem::new(
            "not_listed_yet",
            "The repositories have not been listed yet.",
            "Wait a minute. A credential that is down or switched off lists none.",
        )),
        (None, Some(_)) => None,
    }
}
