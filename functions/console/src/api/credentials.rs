//! `/api/credentials`: which there are, how they are, and the wish to refresh one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bucketwheel::credential::{Credential, CredentialId};
use bucketwheel::error::Causes;
use bucketwheel::ports::{Cursor, Edge, Outgoing, Queue, Table, TableError};
use bucketwheel::rotation::{Chain, Forecast, Intent, Nudge, Terms, forecast};
use bucketwheel::store::{credentials, tokens};
use http::{StatusCode, Uri};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Console;
use crate::problem::ErrorAnswer;
use crate::request::{Id, parameter};

/// How many credentials a page has, unless `limit` says otherwise.
const USUAL_LIMIT: u32 = 50;
const HIGHEST_LIMIT: u32 = 100;

/// A page of something.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<V> {
    pub(crate) values: Vec<V>,
    /// What to send as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// All that is known of one credential.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    credential: Credential,
    chain: Option<ChainSeen>,
    /// What is to be expected of the chain.
    forecast: Option<Forecast>,
    webhook_url: String,
}

/// A chain as outsiders see it: no names of runs.
#[derive(Debug, Serialize)]
struct ChainSeen {
    generation: u64,
    refreshed_at: Timestamp,
    expires_at: Timestamp,
    ended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<IntentSeen>,
}

#[derive(Debug, Serialize)]
struct IntentSeen {
    first_spent_at: Timestamp,
    attempts: u32,
}

impl From<Chain> for ChainSeen {
    fn from(chain: Chain) -> Self {
        let Chain { generation, refreshed_at, expires_at, ended, intent, .. } = chain;
        let seen = |Intent { first_spent_at, attempts, .. }| IntentSeen { first_spent_at, attempts };
        Self { generation, refreshed_at, expires_at, ended, intent: intent.map(seen) }
    }
}

/// A page of credentials, in the order of their making.
pub(crate) async fn list<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    uri: Uri,
) -> Result<Json<Listed<Credential>>, ErrorAnswer> {
    read(&console.table, uri.query()).await.map(Json)
}

/// Reads the page that the parameters `limit` and `after` ask for.
pub(crate) async fn read(table: &impl Table, query: Option<&str>) -> Result<Listed<Credential>, ErrorAnswer> {
    let limit = parameter(query, "limit").map_or(Ok(USUAL_LIMIT), |limit| limit.parse());
    let Some(limit) = limit.ok().filter(|limit| (1..=HIGHEST_LIMIT).contains(limit)) else {
        return Err(ErrorAnswer::bad_request(
            "bad_limit",
            format!("limit must be a number from 1 to {HIGHEST_LIMIT}."),
            "Correct it, or leave it out.",
        ));
    };
    let after = parameter(query, "after").map(Cursor);
    match credentials::list(table, limit, after.as_ref()).await {
        Ok((values, next)) => Ok(Listed { values, next: next.map(|cursor| cursor.0) }),
        // The table cannot say whether the cursor or an item is at fault. The first page, which needs
        // no cursor, can.
        Err(error @ (TableError::Unreadable(_) | TableError::Rejected(_))) if after.is_some() => {
            tracing::warn!(error = %Causes(&error), "a page was not read");
            Err(ErrorAnswer::bad_request(
                "bad_cursor",
                "after is not the next of an earlier page.",
                "Begin again without after.",
            ))
        }
        Err(error) => Err(error.into()),
    }
}

/// One credential.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
) -> Result<Json<Detail>, ErrorAnswer> {
    let credential = known(&console.table, id).await?;
    let chain = tokens::get(&console.table, &credential.id).await?.map(|tokens| tokens.chain());
    // The window as Bitbucket gives it. The refresher's own is a little shorter.
    let terms = Terms::with_grace(SignedDuration::from_mins(10));
    let forecast = chain.map(|chain| forecast(&chain, console.edge.now(), &terms));
    let webhook_url = console.webhook_url(&credential.id);
    Ok(Json(Detail { credential, chain: chain.map(ChainSeen::from), forecast, webhook_url }))
}

/// Asks for a refresh now.
pub(crate) async fn refresh<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
) -> Result<(StatusCode, Json<Value>), ErrorAnswer> {
    let credential = known(&console.table, id).await?.id;
    let answer = json!({ "credential": credential });
    console.nudges.send(Outgoing::plain(json!(Nudge { credential }).to_string())).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// Reads a credential that must be there.
pub(crate) async fn known(table: &impl Table, id: Option<CredentialId>) -> Result<Credential, ErrorAnswer> {
    let found = match id {
        Some(id) => credentials::get(table, &id).await?,
        None => None,
    };
    found.ok_or_else(ErrorAnswer::no_such_credential)
}
