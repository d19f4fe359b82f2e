//! The repositories that a credential sees, as the worker has listed them.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use bucketwheel::credential::{CredentialId, Repository};
use bucketwheel::ports::{Cursor, Edge, Queue, Table, TableError};
use bucketwheel::store::repositories::{self, Listed};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::Console;
use crate::api::credentials::{from_outside, known};
use crate::pages::parts::{ago, empty, heading, table};
use crate::pages::{Place, page};
use crate::problem::ErrorAnswer;
use crate::request::{Id, parameter};

/// How many the credential's own page has, and how many a page of the list.
const FIRST: u32 = 5;
const PAGE: u32 = 100;

/// The first of them, with the way to all.
pub(super) async fn first<T: Table>(
    store: &T,
    id: &CredentialId,
    now: Timestamp,
) -> Result<Markup, TableError> {
    let listed = repositories::listed(store, id).await?;
    let (some, next) = repositories::list(store, id, FIRST, None, now).await?;
    Ok(html! {
        section.card.bare {
            div.head {
                h2 { "Repositories" }
                @if let Some(Listed { at, count }) = &listed { span.hint { (count) ", listed " (ago(*at, now)) } }
            }
            @if some.is_empty() {
                @if listed.is_some() { (empty("It sees none", &html! { "Bitbucket showed an empty list." })) }
                @else { (empty("Not listed yet", &html! { "The list is read in the background after a connect." })) }
            } @else {
                (list(&some))
                @if next.is_some() {
                    div.pager { a.button.quiet href={ "/credentials/" (id) "/repositories" } { "All repositories" } }
                }
            }
        }
    })
}

/// All of them, page by page.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    RawQuery(query): RawQuery,
) -> Result<Markup, ErrorAnswer> {
    let credential = known(&console.table, id).await?;
    let (id, now) = (&credential.id, console.edge.now());
    let after = parameter(query.as_deref(), "after").map(Cursor);
    let read = repositories::list(&console.table, id, PAGE, after.as_ref(), now).await;
    let (some, next) = from_outside(read, after.as_ref())?;
    let here = format!("/credentials/{id}/repositories");
    let further = next.map(|next| {
        let mut query = url::form_urlencoded::Serializer::new(format!("{here}?"));
        query.append_pair("after", &next.0).finish()
    });
    let up = format!("/credentials/{id}");
    let content = html! {
        (heading(Some((&up, &credential.label)), &html! { h1 { "Repositories" } }, &html! {}))
        div.card.bare {
            @if some.is_empty() { (empty("No repositories here", &html! { a href=(up) { "To the credential" } })) }
            @else { (list(&some)) }
            @if after.is_some() || further.is_some() {
                nav.pager aria-label="Pages" {
                    @if after.is_some() { a.button.quiet href=(here) rel="first" { "First page" } } @else { span {} }
                    @if let Some(further) = further { a.button.quiet href=(further) rel="next" { "Next page" } }
                }
            }
        }
    };
    Ok(page(Place::Credentials, "Repositories", &content))
}

fn list(repositories: &[Repository]) -> Markup {
    let rows = repositories.iter().map(|one| {
        let main = one.main_branch.as_deref().unwrap_or("none");
        [
            html! { (one.full_name) },
            html! { code { (main) } },
            html! { @if one.is_private { "private" } @else { "public" } },
        ]
    });
    table("Repositories", ["Repository", "Main branch", "Visible"], rows)
}
