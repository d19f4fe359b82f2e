//! The audit trail of a credential. It outlives the credential.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use bucketwheel::credential::CredentialId;
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::credentials::{Audit, audit};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::Console;
use crate::pages::parts::{ago, empty, heading, table};
use crate::pages::{Place, page};
use crate::problem::ErrorAnswer;
use crate::request::{Id, parameter};

/// How many lines the credential's own page has, and how many a page of the trail.
const NEWEST: usize = 8;
const PAGE: usize = 100;

/// The newest lines, with the way to all of them.
pub(super) fn newest(id: &CredentialId, lines: &[Audit], now: Timestamp) -> Markup {
    html! {
        section.card.bare {
            div.head {
                h2 { "What was done" }
                a href={ "/credentials/" (id) "/audit" } { "Audit trail, " (lines.len()) " lines" }
            }
            (list(lines.iter().rev().take(NEWEST), now))
        }
    }
}

/// The whole trail, the newest line first, in pages.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    RawQuery(query): RawQuery,
) -> Result<Markup, ErrorAnswer> {
    let id = id.ok_or_else(ErrorAnswer::no_such_credential)?;
    let lines = audit(&console.table, &id).await?;
    if lines.is_empty() {
        return Err(ErrorAnswer::no_such_credential());
    }
    let from = parameter(query.as_deref(), "from").and_then(|from| from.parse().ok()).unwrap_or(0);
    let here = format!("/credentials/{id}/audit");
    let title = html! { h1 { "Audit trail" } };
    let shown = lines.iter().rev().skip(from).take(PAGE);
    let content = html! {
        (heading(Some((&format!("/credentials/{id}"), id.as_str())), &title, &html! {}))
        div.card.bare {
            (list(shown, console.edge.now()))
            @if lines.len() > PAGE {
                nav.pager aria-label="Pages" {
                    @if from == 0 { span {} } @else { a.button.quiet href={ (here) "?from=" (from.saturating_sub(PAGE)) } rel="prev" { "Newer" } }
                    @if from + PAGE < lines.len() { a.button.quiet href={ (here) "?from=" (from + PAGE) } rel="next" { "Older" } }
                }
            }
        }
    };
    Ok(page(Place::Credentials, "Audit trail", &content))
}

fn list<'a>(lines: impl Iterator<Item = &'a Audit>, now: Timestamp) -> Markup {
    let rows: Vec<_> = lines
        .map(|line| {
            [
                html! { (line.action.replace('_', " ")) @if !line.note.is_empty() { span.hint { (line.note) } } },
                html! { (ago(line.at, now)) },
                html! { div { (line.actor) @if !line.request.is_empty() { span.hint { code { (line.request) } } } } },
            ]
        })
        .collect();
    if rows.is_empty() {
        return empty("Nothing more", &html! { "The trail begins with the first connect link." });
    }
    table("What was done", ["What", "When", "Who"], rows)
}
