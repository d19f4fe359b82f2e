//! `/api/connect-links`: invite somebody to connect a Bitbucket account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bucketwheel::connect::{Link, Ticket};
use bucketwheel::credential::{CredentialId, Kind};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::{connects, credentials};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Console;
use crate::problem::ErrorAnswer;
use crate::request::Body;

/// How long a link waits to be opened and used.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// The link that is asked for. To reconnect, `credential` is enough: what is left out stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    workspace: Option<String>,
    label: Option<String>,
    owner: Option<String>,
    kind: Option<Kind>,
    credential: Option<CredentialId>,
}

/// The link that is given. Its address is shown this once and cannot be asked for again.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    url: String,
    credential: CredentialId,
    expires_at: Timestamp,
}

/// Makes a connect link.
pub(crate) async fn make<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Made>), ErrorAnswer> {
    let now = console.edge.now();
    let existing = match &wanted.credential {
        Some(id) => {
            Some(credentials::get(&console.table, id).await?.ok_or_else(ErrorAnswer::no_such_credential)?)
        }
        None => None,
    };
    let (label, workspace, owner, kind) = match &existing {
        Some(known) => (Some(&known.label), Some(&known.workspace), Some(&known.owner), Some(known.kind)),
        None => (None, None, None, None),
    };
    let link = Link {
        label: text("label", wanted.label.as_ref().or(label), 1, 100)?,
        workspace: text("workspace", wanted.workspace.as_ref().or(workspace), 1, 64)?,
        owner: text("owner", wanted.owner.as_ref().or(owner), 0, 128)?,
        kind: wanted.kind.or(kind).unwrap_or(Kind::OauthUser),
        credential: wanted.credential.unwrap_or_else(|| CredentialId::new(now, console.edge.random())),
        until: now + LIFETIME,
    };
    let ticket = Ticket::new(console.edge.random());
    connects::offer(&console.table, &ticket, &link).await?;
    tracing::info!(credential = %link.credential, again = existing.is_some(), "connect link made");
    let url = console.address(&format!("/connect/{}", ticket.reveal()));
    Ok((StatusCode::CREATED, Json(Made { url, credential: link.credential, expires_at: link.until })))
}

fn text(name: &str, given: Option<&String>, least: usize, most: usize) -> Result<String, ErrorAnswer> {
    let text = given.map_or("", |text| text.trim());
    if (least..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(ErrorAnswer::bad_request(
        "bad_field",
        format!("{name} must have {least} to {most} characters, without control characters."),
        "Correct the field and send the request again.",
    ))
}
