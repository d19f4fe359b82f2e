//! `/credentials/new`: choose how to connect, and get the link.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bucketwheel::call::Problem;
use bucketwheel::credential::{Entry, Kind, Resource, Scopes};
use bucketwheel::ports::{Edge, Queue, Table};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::first_run::scopes;
use super::parts::{Field, ago, copy, copyable, heading, trouble};
use super::{Place, page};
use crate::Console;
use crate::guard::Who;
use crate::invite::{Made, Wanted};
use crate::problem::ErrorAnswer;
use crate::request::{bad_form, parameter};

/// The form as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chosen {
    kind: String,
    label: String,
    workspace: String,
    resource: String,
    owner: String,
    scopes: String,
}

impl Chosen {
    fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.code() == self.kind)
    }
}

/// The kinds with their trades, and the form.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    RawQuery(query): RawQuery,
) -> Markup {
    let kind = parameter(query.as_deref(), "kind").unwrap_or_default();
    form(&console, &Chosen { kind, ..Chosen::default() }, None)
}

/// Makes the link and shows it, this once; or the form again with what is wrong.
pub(crate) async fn make<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    who: Who,
    chosen: Result<Form<Chosen>, FormRejection>,
) -> Result<Response, ErrorAnswer> {
    let Form(chosen) = chosen.map_err(|rejection| bad_form(&rejection))?;
    // People paste with spaces around, and leave empty what they do not need.
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let Some(kind) = chosen.kind() else {
        let problem = Problem::new("bad_field", "No kind is chosen.", "Choose how to connect.");
        return Ok(
            (StatusCode::BAD_REQUEST, form(&console, &chosen, Some(&trouble(&problem)))).into_response()
        );
    };
    let wanted = Wanted {
        workspace: given(&chosen.workspace),
        // What a kind does not use may have been typed before another was chosen.
        resource: kind.resource().and_then(|_| given(&chosen.resource)),
        label: given(&chosen.label),
        owner: given(&chosen.owner),
        kind: Some(kind),
        scopes: Some(Scopes::parse(&chosen.scopes).iter().map(str::to_owned).collect()),
        ..Wanted::default()
    };
    match console.invite(&who, wanted).await {
        Ok(made) => Ok(link(&made, kind, console.edge.now()).into_response()),
        Err(ErrorAnswer { status, problem }) if status.is_client_error() => {
            Ok((status, form(&console, &chosen, Some(&trouble(&problem)))).into_response())
        }
        Err(error) => Err(error),
    }
}

/// The form, with what was typed.
pub(super) fn form<T, Q, E>(console: &Console<T, Q, E>, typed: &Chosen, banner: Option<&Markup>) -> Markup {
    let field =
        |name, title, hint, value: &str, required| Field { name, title, hint, value, required }.show();
    let kind = typed.kind().unwrap_or(Kind::OauthUser);
    let content = html! {
        (heading(Some(("/credentials", "Credentials")), &html! { h1 { "Connect Bitbucket" } }, &html! {}))
        @if let Some(banner) = banner { (banner) }
        p {
            "You make a link here. Whoever opens it connects the account or enters the token; you never see either, "
            "unless you open it yourself. It works once, for one day."
        }
        form method="post" action="/credentials/new" {
            fieldset {
                legend { "How should it be authorised?" }
                div.kinds { @for one in Kind::ALL { (offer(one, one == kind)) } }
            }
            fieldset.card {
                legend.skip { "What it is for" }
                div.form.across {
                    (field("label", "Label", "What you call it in this console.", &typed.label, true))
                    (field("workspace", "Workspace", "Its slug as in Bitbucket's addresses, or its uuid with braces.", &typed.workspace, true))
                    (field("resource", "Repository or project", "The slug or key that an access token of that kind belongs to.", &typed.resource, false))
                    (field("owner", "Owner", "The end user whom it belongs to, in your own words. Empty: it is shared.", &typed.owner, false))
                    (field("scopes", "Wanted scopes", "Parted by spaces. What is not granted will be named.", &typed.scopes, false))
                    div.buttons { button { "Make the link" } }
                }
            }
        }
        div.card {
            h2 { "For OAuth: the consumer's callback URL" }
            (copyable(&console.address("/oauth/callback"), "the callback URL"))
            p.hint { "The consumer at Bitbucket must have exactly this one." }
        }
        details.card {
            summary { "What the scopes are for" }
            (scopes())
        }
    };
    page(Place::Connect, "Connect Bitbucket", &content)
}

/// The link, as it is shown this once.
pub(super) fn link(made: &Made, kind: Kind, now: Timestamp) -> Markup {
    let (send, open) = match kind.entry() {
        Entry::Consent => (
            "Send it to the person whose account it is. Bitbucket asks them to grant access.",
            "Connect my own account",
        ),
        Entry::Consumer => {
            ("Open it and confirm. The consumer's key and secret are used.", "Open and confirm")
        }
        Entry::EmailAndToken | Entry::Token => (
            "Send it to whoever has the token. It is entered there, tried at Bitbucket at once, and stored sealed.",
            "Enter the token myself",
        ),
    };
    let content = html! {
        (heading(Some(("/credentials", "Credentials")), &html! { h1 { "Connect link" } }, &html! {}))
        p.banner.good role="status" {
            "The link is made. It is shown this once, works once, and ends " (ago(made.expires_at, now)) "."
        }
        div.card {
            p { (send) }
            pre.wraps #link { (made.url) }
            div.buttons {
                (copy(&made.url, "the link"))
                a.button href=(made.url) { (open) }
            }
        }
        p.hint { "The credential will be " code { (made.credential) } ". It is listed once it is connected." }
        p { a href="/credentials" { "To the credentials" } }
    };
    page(Place::Connect, "Connect link", &content)
}

fn offer(kind: Kind, chosen: bool) -> Markup {
    let trade = kind.trade();
    let name = format!("kind-{}", kind.code());
    html! {
        label.kind {
            span.choice {
                input type="radio" name="kind" value=(kind.code()) checked[chosen] required aria-describedby=(name);
                (kind.title())
            }
            dl id=(name) {
                dt { "Acts as" } dd { (trade.acts_as) }
                dt { "Rotates" } dd { (trade.rotates) }
                dt { "Cannot" } dd { (trade.cannot) }
                @match kind.resource() {
                    Some(Resource::Repository) => { dt { "Needs" } dd { "The repository's slug, below." } }
                    Some(Resource::Project) => { dt { "Needs" } dd { "The project's key, below." } }
                    None => {}
                }
            }
        }
    }
}
