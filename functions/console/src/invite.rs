//! Making connect links, for the API and for the pages.

use bucketwheel::connect::{Link, Ticket};
use bucketwheel::credential::{Credential, CredentialId, Kind, Resource, Scopes};
use bucketwheel::ports::{Edge, Table};
use bucketwheel::rotation::Upkeep;
use bucketwheel::store::connects;
use bucketwheel::store::credentials::{self, Audit};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Console;
use crate::guard::Who;
use crate::hooks;
use crate::problem::ErrorAnswer;
use crate::upkeep::chosen;

/// How long a link waits to be opened and used.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// No credential needs more scopes than Bitbucket has.
const MOST_SCOPES: usize = 60;

/// The link that is asked for. To reconnect, `credential` is enough: what is left out stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) workspace: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) kind: Option<Kind>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) events: Option<Vec<String>>,
    pub(crate) credential: Option<CredentialId>,
    pub(crate) upkeep: Option<Upkeep>,
    #[serde(default)]
    pub(crate) allow_other_account: bool,
}

/// The link that is given. Its address is shown this once and cannot be asked for again.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    pub(crate) url: String,
    pub(crate) credential: CredentialId,
    pub(crate) expires_at: Timestamp,
}

impl<T: Table, Q, E: Edge> Console<T, Q, E> {
    /// Makes a connect link, and writes down that it was made.
    pub(crate) async fn invite(&self, who: &Who, wanted: Wanted) -> Result<Made, ErrorAnswer> {
        let now = self.edge.now();
        let known = match &wanted.credential {
            Some(id) => Some(self.known(id).await?),
            None => None,
        };
        let link = link(wanted, known.as_ref(), now, || CredentialId::new(now, self.edge.random()))?;
        let ticket = Ticket::new(self.edge.random());
        let line = Audit {
            actor: who.actor.clone(),
            action: "link_made".to_owned(),
            note: format!(
                "link {}, {}{}",
                &ticket.digest()[..8],
                link.kind.title(),
                if link.other_account { ", for another account too" } else { "" },
            ),
            at: now,
            request: who.request.clone(),
        };
        let audit = credentials::audit_line(&link.credential, &line, self.edge.random());
        self.table.write(vec![connects::offer(&ticket, &link), audit]).await?;
        tracing::info!(credential = %link.credential, again = link.renews, "connect link made");
        let url = self.address(&format!("/connect/{}", ticket.reveal()));
        Ok(Made { url, credential: link.credential, expires_at: link.until })
    }

    /// Reads a credential that must be there, and not be on its way out.
    pub(crate) async fn known(&self, id: &CredentialId) -> Result<Credential, ErrorAnswer> {
        let found = credentials::get(&self.table, id).await?;
        found.filter(|known| known.deleting_at.is_none()).ok_or_else(ErrorAnswer::no_such_credential)
    }
}

fn link(
    wanted: Wanted,
    known: Option<&Credential>,
    now: Timestamp,
    new_id: impl FnOnce() -> CredentialId,
) -> Result<Link, ErrorAnswer> {
    let kind = kind(wanted.kind, known)?;
    let or = |given: Option<String>, of: fn(&Credential) -> &String| {
        given.unwrap_or_else(|| known.map(of).cloned().unwrap_or_default())
    };
    let scopes = match wanted.scopes {
        Some(scopes) => wanted_scopes(scopes)?,
        None => known.map(|known| known.wanted.clone()).unwrap_or_default(),
    };
    let resource = match (kind.resource(), wanted.resource) {
        (None, None) => String::new(),
        (None, Some(_)) => {
            return Err(bad_field("resource is for repository and project access tokens alone."));
        }
        (Some(resource), given) => {
            let name = match resource {
                Resource::Repository => "resource, the repository's slug,",
                Resource::Project => "resource, the project's key,",
            };
            place(name, or(given, |known| &known.resource))?
        }
    };
    let events = match wanted.events {
        Some(_) if known.is_some() => return Err(bad_field("events are for a new credential alone.")),
        Some(events) => hooks::checked_events(events)?,
        None => Vec::new(),
    };
    Ok(Link {
        events,
        label: text("label", &or(wanted.label, |known| &known.label), 1, 100)?,
        workspace: place("workspace", or(wanted.workspace, |known| &known.workspace))?.to_ascii_lowercase(),
        owner: text("owner", &or(wanted.owner, |known| &known.owner), 0, 128)?,
        resource,
        kind,
        wanted: scopes,
        renews: known.is_some(),
        other_account: wanted.allow_other_account,
        upkeep: wanted.upkeep.map(|upkeep| chosen(kind, upkeep)).transpose()?,
        credential: wanted.credential.unwrap_or_else(new_id),
        until: now + LIFETIME,
    })
}

fn wanted_scopes(names: Vec<String>) -> Result<Scopes, ErrorAnswer> {
    let fits = |name: &String| !name.is_empty() && Scopes::parse(name).well_formed();
    if names.len() > MOST_SCOPES || !names.iter().all(fits) {
        return Err(bad_field(
            "scopes must be names such as repository:write, or read:repository:bitbucket for an API token.",
        ));
    }
    Ok(Scopes::parse(&names.join(" ")))
}

/// A credential stays what it is: calls and refreshes go by its kind.
fn kind(wanted: Option<Kind>, known: Option<&Credential>) -> Result<Kind, ErrorAnswer> {
    match (wanted, known) {
        (Some(wanted), Some(known)) if wanted != known.kind => Err(ErrorAnswer::conflict(
            "kind_is_fixed",
            format!("This credential is of the kind {}.", known.kind.code()),
            "Leave out kind, or make a new credential of another kind.",
        )),
        (wanted, known) => Ok(wanted.or(known.map(|known| known.kind)).unwrap_or(Kind::OauthUser)),
    }
}

/// A slug, a key, or a uuid with braces: what Bitbucket takes as one part of a path.
pub(crate) fn place(name: &str, text: String) -> Result<String, ErrorAnswer> {
    let first = |c: char| c.is_ascii_alphanumeric() || "-_~{".contains(c);
    let rest = |c: char| c.is_ascii_alphanumeric() || "-_.~{}".contains(c);
    let mut visible = text.strip_prefix('.').unwrap_or(&text).chars();
    if visible.next().is_some_and(first) && visible.all(rest) && text.len() <= 64 {
        return Ok(text);
    }
    Err(bad_field(&format!("{name} must be a slug, or a uuid with braces, of at most 64 characters.")))
}

/// A text of one line.
pub(crate) fn text(name: &str, given: &str, least: usize, most: usize) -> Result<String, ErrorAnswer> {
    let text = given.trim();
    if text.chars().count() >= least && given.chars().count() <= most && !given.chars().any(char::is_control)
    {
        return Ok(text.to_owned());
    }
    Err(bad_field(&format!("{name} must have {least} to {most} characters, without control characters.")))
}

pub(crate) fn bad_field(cause: &str) -> ErrorAnswer {
    ErrorAnswer::bad_request("bad_field", cause, "Correct the field and send the request again.")
}
