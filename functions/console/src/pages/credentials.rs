//! `/credentials`: all of them at a glance.

use std::sync::Arc;

use axum::extract::State;
use bucketwheel::call::Allowance;
use bucketwheel::credential::{Credential, Health, Kind};
use bucketwheel::ports::{Cursor, Edge, Queue, Table, TableError};
use bucketwheel::rotation::Forecast;
use bucketwheel::store::budget::{self, Used};
use bucketwheel::store::history;
use bucketwheel::store::tokens::{self, Tokens};
use http::Uri;
use jiff::Timestamp;
use maud::{Markup, html};
use tokio::task::JoinSet;

use super::notice::Notice;
use super::parts::{ago, empty, state, table};
use super::{Place, allowances, first_run, page};
use crate::Console;
use crate::problem::ErrorAnswer;
use crate::search::{Found, Search};

/// One row: a credential with what lies in other items.
struct Row {
    credential: Credential,
    tokens: Option<Tokens>,
    used: Used,
    last_delivery: Option<Timestamp>,
}

/// The list.
pub(crate) async fn show<T, Q, E>(
    State(console): State<Arc<Console<T, Q, E>>>,
    uri: Uri,
) -> Result<Markup, ErrorAnswer>
where
    T: Table + 'static,
    Q: Queue + 'static,
    E: Edge + 'static,
{
    let search = Search::from_query(uri.query());
    let now = console.edge.now();
    let Found { credentials, next, looked_at } = search.run(&console.table).await?;
    let none = credentials.is_empty();
    let rows = with_the_rest(&console, credentials).await?;
    let content = html! {
        div.title {
            h1 { "Credentials" }
            div.does { a.button href="/credentials/new" { "Connect an account" } }
        }
        @if let Some(notice) = Notice::from_query(uri.query()) { (notice.show()) }
        @if none && search.is_first() && !search.filters() {
            (first_run::show(&console))
        } @else {
            (filter(&search))
            div.card.bare {
                @if none { (nothing(&search, looked_at, next.is_some())) } @else { (list(rows, now)) }
                (pager(&search, next.as_ref()))
            }
        }
    };
    Ok(page(Place::Credentials, "Credentials", &content))
}

fn nothing(search: &Search, looked_at: usize, more: bool) -> Markup {
    if more {
        let text = html! { "None of the " (looked_at) " credentials that were looked at so far. Look further below." };
        return empty("Nothing found yet", &text);
    }
    let clear = html! { a href="/credentials" { "Show all credentials" } };
    empty(if search.is_first() { "No credential fits" } else { "That was all" }, &clear)
}

fn pager(search: &Search, next: Option<&Cursor>) -> Markup {
    html! {
        @if next.is_some() || !search.is_first() {
            nav.pager aria-label="Pages" {
                @if search.is_first() { span {} } @else {
                    a.button.quiet href=(search.address(None)) rel="first" { "First page" }
                }
                @if let Some(next) = next {
                    a.button.quiet href=(search.address(Some(next))) rel="next" { "Next page" }
                }
            }
        }
    }
}

fn filter(search: &Search) -> Markup {
    let health = |health: Health| (health.word(), health.word());
    let states = [Health::Up, Health::Degraded, Health::Down, Health::Disabled].map(health);
    let kinds = Kind::ALL.map(|kind| (kind.code(), kind.title()));
    html! {
        form.filter method="get" action="/credentials" role="search" {
            div.wide {
                label for="q" { "Search" }
                input #q type="search" name="q" value=(search.text) placeholder="Label, account, owner or id";
            }
            (one_of("state", "State", search.state.map(Health::word), &states))
            (one_of("kind", "Kind", search.kind.map(Kind::code), &kinds))
            div.field {
                label for="workspace" { "Workspace" }
                input #workspace name="workspace" value=(search.workspace);
            }
            div.field {
                label for="owner" { "Owner" }
                input #owner name="owner" value=(search.owner);
            }
            button.quiet { "Find" }
            @if search.filters() { a.button.quiet href="/credentials" { "Clear" } }
        }
    }
}

fn one_of(name: &str, title: &str, chosen: Option<&str>, all: &[(&str, &str)]) -> Markup {
    html! {
        div.field {
            label for=(name) { (title) }
            select id=(name) name=(name) {
                option value="" { "any" }
                @for (value, word) in all {
                    option value=(value) selected[chosen == Some(*value)] { (word) }
                }
            }
        }
    }
}

/// What lies in items of their own is read side by side: one after the other, a page would take as many
/// round trips as it has rows.
async fn with_the_rest<T, Q, E>(
    console: &Arc<Console<T, Q, E>>,
    credentials: Vec<Credential>,
) -> Result<Vec<Row>, TableError>
where
    T: Table + 'static,
    Q: Queue + 'static,
    E: Edge + 'static,
{
    let mut reads = JoinSet::new();
    for (at, credential) in credentials.into_iter().enumerate() {
        let console = Arc::clone(console);
        reads.spawn(async move {
            let (limits, now) = (console.limits, console.edge.now());
            let (tokens, used, deliveries) = tokio::try_join!(
                tokens::get(&console.table, &credential.id),
                budget::used(&console.table, limits, Some(&credential), Allowance::Repositories, now),
                history::get(&console.table, &credential.id, now),
            )?;
            // Of those whose signature was right.
            let last_delivery = deliveries.hooks.values().map(|hook| hook.last_at).max();
            Ok((at, Row { credential, tokens, used, last_delivery }))
        });
    }
    let mut rows = reads.join_all().await.into_iter().collect::<Result<Vec<_>, TableError>>()?;
    rows.sort_by_key(|(at, _)| *at);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn list(rows: Vec<Row>, now: Timestamp) -> Markup {
    let columns =
        ["Credential", "State", "Account", "Workspace", "Rotation", "Calls this hour", "Last webhook"];
    let rows = rows.into_iter().map(|Row { credential, tokens, used, last_delivery }| {
        let Credential { id, label, kind, account, workspace, resource, owner, status, .. } = &credential;
        [
            html! {
                div {
                    a href={ "/credentials/" (id) } { (label) }
                    span.hint { code { (id) } }
                }
            },
            html! {
                div {
                    (state(status.health))
                    @for mark in marks(&credential) { span.hint { (mark) } }
                }
            },
            html! { div { (account.display_name) span.hint { (kind.title()) } } },
            html! {
                div {
                    (workspace) @if !resource.is_empty() { "/" (resource) }
                    span.hint { @if owner.is_empty() { "shared" } @else { "of " (owner) } }
                }
            },
            rotation(kind.renews_itself(), tokens.as_ref(), now),
            allowances::used(&used, now),
            html! { @if let Some(at) = last_delivery { (ago(at, now)) } @else { span.faint { "none yet" } } },
        ]
    });
    table("Credentials", columns, rows)
}

/// What else is to be known at a glance.
fn marks(credential: &Credential) -> impl Iterator<Item = &'static str> {
    [
        (credential.deleting_at.is_some(), "being deleted"),
        (!credential.missing().is_empty(), "scopes missing"),
        (credential.sight.explanation().is_some(), "sees no repositories"),
    ]
    .into_iter()
    .filter_map(|(so, mark)| so.then_some(mark))
}

fn rotation(renews_itself: bool, tokens: Option<&Tokens>, now: Timestamp) -> Markup {
    let Some(tokens) = tokens else { return html! { span.faint { "no tokens" } } };
    let Forecast { rotated_at, access_expires_at, due_at, .. } = crate::outlook(tokens, now);
    html! {
        div {
            @if !renews_itself { "entered " }
            (ago(rotated_at, now))
            span.hint {
                @match (renews_itself, due_at, access_expires_at) {
                    (true, Some(next), _) => { "next " (ago(next, now)) }
                    (true, None, _) => "no further",
                    (false, _, Some(end)) if end > now => { "expires " (ago(end, now)) }
                    (false, _, Some(end)) => { "expired " (ago(end, now)) }
                    (false, _, None) => "replaced by hand",
                }
            }
        }
    }
}
