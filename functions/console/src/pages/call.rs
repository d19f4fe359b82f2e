//! `/calls`: try a call.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use bucketwheel::call::operations::{self, Operation};
use bucketwheel::credential::{Credential, Kind, ulid};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::credentials::{self, Which};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::parts::{Tone, badge, trouble};
use super::{Place, page};
use crate::Console;
use crate::api::calls::{answer, enqueue};
use crate::problem::ErrorAnswer;
use crate::request::{bad_form, parameter};

/// How many credentials are offered by name. Any other is named by its id.
const OFFERED: u32 = 100;

/// The form as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// Names the call, so that a second press of the button is the same one.
    id: String,
    credential: String,
    method: String,
    path: String,
    body: String,
}

/// The form; with an operation filled in if the address names one.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    RawQuery(query): RawQuery,
) -> Markup {
    let given = |name| parameter(query.as_deref(), name).unwrap_or_default();
    let (operation, credential) = (given("operation"), given("credential"));
    let (method, path) = operation.split_once(' ').unwrap_or(("GET", "user"));
    let typed = Wanted { credential, method: method.to_owned(), path: path.to_owned(), ..Wanted::default() };
    form(&console, &typed, None).await
}

/// Sends it, and shows its outcome at an address of its own.
pub(crate) async fn send<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    wanted: Result<Form<Wanted>, FormRejection>,
) -> Result<Response, ErrorAnswer> {
    let Form(wanted) = wanted.map_err(|rejection| bad_form(&rejection))?;
    let sent = match message(&wanted) {
        Ok(fields) => enqueue(&console, fields).await,
        Err(problem) => Err(problem),
    };
    match sent {
        Ok(id) => {
            answer(&console, &id).await?;
            Ok(Redirect::to(&format!("/calls/{id}")).into_response())
        }
        Err(ErrorAnswer { status, problem }) if status.is_client_error() => {
            Ok((status, form(&console, &wanted, Some(&trouble(&problem))).await).into_response())
        }
        Err(error) => Err(error),
    }
}

/// The message that the form stands for.
fn message(wanted: &Wanted) -> Result<Map<String, Value>, ErrorAnswer> {
    let bad = |cause: String, resolution| Err(ErrorAnswer::bad_request("bad_field", cause, resolution));
    if wanted.credential.parse::<bucketwheel::credential::CredentialId>().is_err() {
        return bad("No credential is chosen.".to_owned(), "Choose one of the list, or enter its id.");
    }
    if let Some(blank) = wanted.path.split('{').nth(1).and_then(|rest| rest.split('}').next()) {
        return bad(format!("The path still has the blank {{{blank}}}."), "Put its value in place of it.");
    }
    let (path, query) = wanted.path.trim().split_once('?').unwrap_or((wanted.path.trim(), ""));
    let query: Map<_, _> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
        .collect();
    let mut call = json!({ "method": wanted.method, "path": path.trim_start_matches('/'), "query": query });
    if !wanted.body.trim().is_empty() {
        match serde_json::from_str::<Value>(&wanted.body) {
            Ok(body) => call["body"] = body,
            Err(error) => {
                return bad(format!("The body is not JSON: {error}."), "Correct it, or leave it empty.");
            }
        }
    }
    let mut fields = Map::new();
    fields.insert("credential".to_owned(), wanted.credential.clone().into());
    fields.insert("call".to_owned(), call);
    fields.insert("reply".to_owned(), "store".into());
    fields.insert("priority".to_owned(), "interactive".into());
    if !wanted.id.is_empty() {
        fields.insert("id".to_owned(), wanted.id.clone().into());
    }
    Ok(fields)
}

/// The form, with what was typed.
pub(super) async fn form<T: Table, Q: Queue, E: Edge>(
    console: &Console<T, Q, E>,
    typed: &Wanted,
    banner: Option<&Markup>,
) -> Markup {
    // Without the list the form works as well.
    let offered = credentials::list(&console.table, Which::All, OFFERED, None).await;
    let offered = offered.map(|(offered, _)| offered).unwrap_or_default();
    let chosen = offered.iter().find(|one| one.id.as_str() == typed.credential);
    let id = ulid(console.edge.now(), console.edge.random());
    let path = match chosen {
        Some(one) => typed.path.replace("{workspace}", &one.workspace),
        None => typed.path.clone(),
    };
    let operation = operations::all()
        .find(|one| one.method == typed.method && one.path.trim_matches('/') == typed.path.trim_matches('/'));
    let content = html! {
        div.title { h1 { "Try a call" } }
        @if let Some(banner) = banner { (banner) }
        div.columns {
            form.card.form method="post" action="/calls" {
                input type="hidden" name="id" value=(id);
                div.field {
                    label for="credential" { "Credential" }
                    input #credential name="credential" value=(typed.credential) list="credentials" required maxlength="64" autocomplete="off" aria-describedby="credential-hint";
                    datalist #credentials { @for one in &offered { option value=(one.id) { (one.label) } } }
                    span.hint #credential-hint {
                        @if let Some(one) = chosen { (one.label) ", acts as " (one.account.display_name) }
                        @else { "Begin to type its label, or enter its id." }
                    }
                }
                div.field {
                    label for="method" { "Method" }
                    select #method name="method" {
                        @for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                            option selected[method == typed.method] { (method) }
                        }
                    }
                }
                div.field {
                    label for="path" { "Path" }
                    input #path name="path" value=(path.trim_start_matches('/')) required autocomplete="off" spellcheck="false" aria-describedby="path-hint";
                    span.hint #path-hint { "Below https://api.bitbucket.org/2.0, with a query if you like: " code { "repositories/acme?pagelen=10" } }
                }
                div.field {
                    label for="body" { "Body " span.faint { "(optional, JSON)" } }
                    textarea #body name="body" spellcheck="false" { (typed.body) }
                }
                div.buttons { button { "Send the call" } }
            }
            aside {
                (known(typed, operation.as_ref(), chosen))
            }
        }
    };
    page(Place::Call, "Try a call", &content)
}

/// The known operations, to choose one from. Its scopes are shown with the form.
fn known(typed: &Wanted, operation: Option<&Operation>, credential: Option<&Credential>) -> Markup {
    let groups = operations::all().fold(Vec::<(&str, Vec<Operation>)>::new(), |mut groups, one| {
        match groups.iter_mut().find(|(name, _)| *name == group(one.path)) {
            Some((_, group)) => group.push(one),
            None => groups.push((group(one.path), vec![one])),
        }
        groups
    });
    let kind = credential.map_or(Kind::OauthUser, |one| one.kind);
    html! {
        form.card method="get" action="/calls" {
            h2 { "Known operations" }
            input type="hidden" name="credential" value=(typed.credential);
            div.field {
                label for="operation" { "Operation" }
                select #operation name="operation" data-fills {
                    @for (name, operations) in &groups {
                        optgroup label=(name) {
                            @for one in operations {
                                @let value = format!("{} {}", one.method, one.path);
                                option value=(value) selected[operation == Some(one)] { (value) }
                            }
                        }
                    }
                }
            }
            p {}
            div.buttons { button.quiet { "Use it, and show its scopes" } }
            @if let Some(one) = operation { (needs(one, kind, credential)) }
            @else { p {} p.hint { "A call that lacks a scope is refused before it is sent, and says so." } }
        }
    }
}

fn needs(operation: &Operation, kind: Kind, credential: Option<&Credential>) -> Markup {
    let scopes = operation.scopes(kind);
    html! {
        h3 { "Scopes it needs" }
        @if scopes.is_empty() { p { "None." } } @else {
            ul.tags { @for scope in &scopes { li { code { (scope) } } } }
        }
        @if let Some(one) = credential && !one.granted.is_empty() {
            p {}
            @if operation.allowed(one) { (badge(Tone::Good, "this credential has them")) }
            @else { (badge(Tone::Bad, "this credential lacks one")) }
        }
    }
}

/// What an operation is about: the first thing in its path that is no place.
fn group(path: &'static str) -> &'static str {
    let mut parts = path.trim_matches('/').split('/');
    let first = parts.next().unwrap_or_default();
    parts
        .find(|part| !part.starts_with('{'))
        .filter(|_| matches!(first, "repositories" | "workspaces" | "user"))
        .unwrap_or(first)
}
