//! `/credentials/new`: choose how to connect, and get the link.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use bucketwheel::credential::{Entry, Kind, Resource, Scopes, purpose};
use bucketwheel::ports::{Edge, Queue, Table};
use maud::{Markup, html};
use serde::Deserialize;

use super::{moment, page};
use crate::Console;
use crate::guard::Who;
use crate::invite::{Made, Wanted};
use crate::problem::ErrorAnswer;
use crate::request::bad_form;

/// The form as it is sent.
#[derive(Deserialize)]
pub(crate) struct Chosen {
    kind: Kind,
    label: String,
    workspace: String,
    resource: Option<String>,
    owner: Option<String>,
    scopes: Option<String>,
}

/// The kinds with their trades, and the form.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
) -> Markup {
    let content = html! {
        p {
            "You make a link here. Whoever opens it connects the account or enters the token; you never see either. "
            "The link works once, for one day."
        }
        form method="post" action="/credentials/new" {
            fieldset.kinds {
                legend { "Kind" }
                @for (at, kind) in Kind::ALL.into_iter().enumerate() { (offer(kind, at == 0)) }
            }
            div.entry {
                (field("label", "Label", "What you call it", true))
                (field("workspace", "Workspace", "Its slug, or its uuid with braces", true))
                (field("resource", "Repository or project", "Slug or key, for those access tokens alone", false))
                (field("owner", "Owner", "The end user it belongs to, in your own words; empty if shared", false))
                (field("scopes", "Wanted scopes", "Parted by spaces; what is not granted is named", false))
                button { "Make the link" }
            }
        }
        p.hint {
            "For OAuth, the consumer at Bitbucket must have exactly this callback URL: "
            code { (console.address("/oauth/callback")) }
        }
        details {
            summary { "What the scopes are for" }
            (scopes())
        }
    };
    page("Connect Bitbucket", content)
}

/// Makes the link and shows it, this once.
pub(crate) async fn make<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    who: Who,
    chosen: Result<Form<Chosen>, FormRejection>,
) -> Result<Markup, ErrorAnswer> {
    let Form(chosen) = chosen.map_err(|rejection| bad_form(&rejection))?;
    // People paste with spaces around, and leave empty what they do not need.
    let given =
        |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let scopes = Scopes::parse(chosen.scopes.as_deref().unwrap_or_default());
    let wanted = Wanted {
        workspace: given(Some(chosen.workspace)),
        resource: given(chosen.resource),
        label: given(Some(chosen.label)),
        owner: given(chosen.owner),
        kind: Some(chosen.kind),
        scopes: Some(scopes.iter().map(str::to_owned).collect()),
        ..Wanted::default()
    };
    console.invite(&who, wanted).await.map(|made| link(&made, chosen.kind))
}

/// The link, as it is shown this once.
pub(crate) fn link(made: &Made, kind: Kind) -> Markup {
    let content = html! {
        p.banner.good role="status" {
            "The link is made. It is shown this once, works once, and ends " (moment(made.expires_at)) "."
        }
        pre { (made.url) }
        p {
            @match kind.entry() {
                Entry::Consent => "Open it, or send it to whom the account belongs to, and choose Grant access at Bitbucket.",
                Entry::Consumer => "Open it and confirm.",
                Entry::EmailAndToken | Entry::Token => "Open it, or send it to whoever has the token, and enter the token there.",
            }
        }
        p { "The credential is " code { (made.credential) } "." }
        p { a href="/credentials" { "To the credentials" } }
    };
    page("Connect link", content)
}

fn offer(kind: Kind, chosen: bool) -> Markup {
    let trade = kind.trade();
    html! {
        label.kind {
            input type="radio" name="kind" value=(kind.code()) checked[chosen] required;
            span {
                strong { (kind.title()) }
                br; span.hint { "Acts as " } (trade.acts_as)
                br; span.hint { "Rotates " } (trade.rotates)
                br; span.hint { "Cannot " } (trade.cannot)
                @match kind.resource() {
                    Some(Resource::Repository) => { br; "Needs the repository's slug." }
                    Some(Resource::Project) => { br; "Needs the project's key." }
                    None => {}
                }
            }
        }
    }
}

fn field(name: &str, title: &str, hint: &str, required: bool) -> Markup {
    html! {
        label for=(name) { (title) }
        input id=(name) name=(name) required[required] aria-describedby={ (name) "-hint" };
        span.hint id={ (name) "-hint" } { (hint) }
    }
}

fn scopes() -> Markup {
    const USUAL: [(&str, &str); 8] = [
        ("account", "read:user:bitbucket"),
        ("repository", "read:repository:bitbucket"),
        ("repository:write", "write:repository:bitbucket"),
        ("pullrequest", "read:pullrequest:bitbucket"),
        ("pullrequest:write", "write:pullrequest:bitbucket"),
        ("webhook", "write:webhook:bitbucket"),
        ("pipeline:write", "write:pipeline:bitbucket"),
        ("project", "read:project:bitbucket"),
    ];
    html! {
        div.wide {
            table {
                thead { tr { th { "OAuth, access token" } th { "API token" } th { "For" } } }
                tbody {
                    @for (oauth, api) in USUAL {
                        tr { td { code { (oauth) } } td { code { (api) } } td { (purpose(oauth)) } }
                    }
                }
            }
        }
    }
}
