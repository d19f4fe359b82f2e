//! `/api/credentials`: which there are, how they are, and what an operator does to them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bucketwheel::call::Problem;
use bucketwheel::credential::{Credential, CredentialId, Missing};
use bucketwheel::error::Causes;
use bucketwheel::ports::{Cursor, Edge, Queue, Table, TableError};
use bucketwheel::rotation::{Chain, Forecast, Intent, Upkeep};
use bucketwheel::store::credentials::{self, Audit, Which};
use bucketwheel::store::tokens::{self, Tokens};
use bucketwheel::token::NEVER;
use http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::guard::Who;
use crate::page::{Asked, Listed};
use crate::problem::ErrorAnswer;
use crate::request::{Body, Id, parameter};
use crate::upkeep::{ExpiresOn, chosen, expiry};
use crate::{Console, outlook};

/// All that is known of one credential.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    credential: Credential,
    /// The wanted scopes that were not granted, with what will not work.
    missing: Vec<Missing>,
    /// Why no repositories are visible, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    blind: Option<Problem>,
    chain: Option<ChainSeen>,
    /// What is to be expected of the chain.
    forecast: Option<Forecast>,
    /// How long calls go on to work although something is wrong, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    works_until: Option<Timestamp>,
    webhook_url: String,
}

/// What may be changed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    label: Option<String>,
    upkeep: Option<Upkeep>,
    expires_on: Option<ExpiresOn>,
}

/// A chain as outsiders see it: no names of runs.
#[derive(Debug, Serialize)]
struct ChainSeen {
    generation: u64,
    upkeep: Upkeep,
    refreshed_at: Timestamp,
    /// Left out where Bitbucket tells none.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
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
        let Chain { generation, upkeep, refreshed_at, expires_at, ended, intent, .. } = chain;
        let seen = |Intent { first_spent_at, attempts, .. }| IntentSeen { first_spent_at, attempts };
        let expires_at = Some(expires_at).filter(|expiry| *expiry < NEVER);
        Self { generation, upkeep, refreshed_at, expires_at, ended, intent: intent.map(seen) }
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
    let asked = Asked::read(query)?;
    let given = |name| parameter(query, name).filter(|value| !value.is_empty());
    let (owner, workspace) = (given("owner"), given("workspace").map(|slug| slug.to_ascii_lowercase()));
    let which = match (&owner, &workspace) {
        (None, None) => Which::All,
        (Some(owner), None) => Which::Owner(owner),
        (None, Some(workspace)) => Which::Workspace(workspace),
        (Some(_), Some(_)) => {
            return Err(ErrorAnswer::bad_request(
                "one_filter",
                "owner and workspace cannot be combined.",
                "Ask by one of them.",
            ));
        }
    };
    asked.page(credentials::list(table, which, asked.limit, asked.after.as_ref()).await)
}

/// Reads a page from a cursor that somebody outside kept.
pub(crate) async fn page(
    table: &impl Table,
    which: Which<'_>,
    limit: u32,
    after: Option<&Cursor>,
) -> Result<(Vec<Credential>, Option<Cursor>), ErrorAnswer> {
    from_outside(credentials::list(table, which, limit, after).await, after)
}

/// What was read from a cursor that somebody outside kept. The table cannot say whether the cursor or an item
/// is at fault. The first page, which needs no cursor, can.
pub(crate) fn from_outside<P>(read: Result<P, TableError>, after: Option<&Cursor>) -> Result<P, ErrorAnswer> {
    match read {
        Err(error @ (TableError::Unreadable(_) | TableError::Rejected(_))) if after.is_some() => {
            tracing::warn!(error = %Causes(&error), "a page was not read");
            Err(ErrorAnswer::bad_request(
                "bad_cursor",
                "after is not the next of an earlier page.",
                "Begin again without after.",
            ))
        }
        read => Ok(read?),
    }
}

/// One credential.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
) -> Result<Json<Detail>, ErrorAnswer> {
    console.detail(&known(&console.table, id).await?).await.map(Json)
}

impl<T: Table, Q, E: Edge> Console<T, Q, E> {
    async fn detail(&self, credential: &Credential) -> Result<Detail, ErrorAnswer> {
        let tokens = tokens::get(&self.table, &credential.id).await?;
        let blind = credential.sight.explanation();
        Ok(Detail {
            missing: credential.missing(),
            blind: blind.map(|(cause, resolution)| Problem::new("no_repositories", cause, resolution)),
            chain: tokens.as_ref().map(Tokens::chain).map(ChainSeen::from),
            works_until: tokens.as_ref().and_then(|found| credential.status.works_until(&found.chain())),
            forecast: tokens.as_ref().map(|tokens| outlook(tokens, self.edge.now())),
            webhook_url: self.webhook_url(&credential.id),
            credential: credential.clone(),
        })
    }
}

/// Changes what is said of one.
pub(crate) async fn change<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    who: Who,
    Body(change): Body<Change>,
) -> Result<Json<Detail>, ErrorAnswer> {
    let credential = usable(&console, id).await?;
    // All is checked before anything is done.
    let upkeep = change.upkeep.map(|upkeep| chosen(credential.kind, upkeep)).transpose()?;
    let expires_at = change.expires_on.map(|on| expiry(credential.kind, on)).transpose()?;
    if let Some(label) = change.label {
        console.rename(&who, &credential, &label).await?;
    }
    if let Some(upkeep) = upkeep {
        console.keep_as(&who, &console.known(&credential.id).await?, upkeep).await?;
    }
    if let Some(at) = expires_at {
        console.expires(&who, &console.known(&credential.id).await?, at).await?;
    }
    console.detail(&console.known(&credential.id).await?).await.map(Json)
}

/// Switches one off.
pub(crate) async fn disable<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    who: Who,
) -> Result<Json<Detail>, ErrorAnswer> {
    let credential = usable(&console, id).await?;
    console.disable(&who, &credential).await?;
    console.detail(&console.known(&credential.id).await?).await.map(Json)
}

/// Switches one on.
pub(crate) async fn enable<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    who: Who,
) -> Result<Json<Detail>, ErrorAnswer> {
    let credential = usable(&console, id).await?;
    console.enable(&who, &credential).await?;
    console.detail(&console.known(&credential.id).await?).await.map(Json)
}

/// Begins to delete one.
pub(crate) async fn delete<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    who: Who,
) -> Result<(StatusCode, Json<Value>), ErrorAnswer> {
    let credential = known(&console.table, id).await?;
    let call = console.delete(&who, &credential).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "credential": credential.id, "call": call }))))
}

/// Asks for a refresh now.
pub(crate) async fn refresh<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
) -> Result<(StatusCode, Json<Value>), ErrorAnswer> {
    let credential = usable(&console, id).await?;
    console.refresh(&credential).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "credential": credential.id }))))
}

/// A credential's audit trail, the oldest line first. It outlives the credential.
pub(crate) async fn audit<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
) -> Result<Json<Listed<Audit>>, ErrorAnswer> {
    let id = id.ok_or_else(ErrorAnswer::no_such_credential)?;
    let values = credentials::audit(&console.table, &id).await?;
    if values.is_empty() {
        Err(ErrorAnswer::no_such_credential())
    } else {
        Ok(Json(Listed { values, next: None }))
    }
}

/// Reads a credential that must be there.
pub(crate) async fn known(table: &impl Table, id: Option<CredentialId>) -> Result<Credential, ErrorAnswer> {
    let found = match id {
        Some(id) => credentials::get(table, &id).await?,
        None => None,
    };
    found.ok_or_else(ErrorAnswer::no_such_credential)
}

/// Reads a credential that must be there, and not be on its way out.
pub(crate) async fn usable<T: Table, Q, E: Edge>(
    console: &Console<T, Q, E>,
    id: Option<CredentialId>,
) -> Result<Credential, ErrorAnswer> {
    console.known(&id.ok_or_else(ErrorAnswer::no_such_credential)?).await
}
