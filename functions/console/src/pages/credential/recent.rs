//! The calls of a credential that are over.

use bucketwheel::credential::CredentialId;
use bucketwheel::ports::{Table, TableError};
use bucketwheel::store::calls::{Recent, recent};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::pages::outcome::verdict;
use crate::pages::parts::{ago, empty, table};

/// How many the page has.
const NEWEST: u32 = 10;

/// The newest of them, each with the way to its outcome.
pub(super) async fn show<T: Table>(
    store: &T,
    id: &CredentialId,
    now: Timestamp,
) -> Result<Markup, TableError> {
    let (calls, _) = recent(store, id, NEWEST, None, now).await?;
    let rows = calls.iter().map(|Recent { id, summary, finished_at }| {
        [
            html! { a href={ "/calls/" (id) } { (summary.what) } span.hint { code { (id) } } },
            html! {
                div {
                    (verdict(summary.state))
                    @if let Some(error) = &summary.error { span.hint { code { (error) } } }
                }
            },
            html! { @if let Some(status) = summary.status { span.number { (status) } } @else { span.faint { "–" } } },
            html! { (ago(*finished_at, now)) },
        ]
    });
    Ok(html! {
        section.card.bare {
            div.head { h2 { "Recent calls" } }
            @if calls.is_empty() { (empty("No calls yet", &html! { a href={ "/calls?credential=" (id) } { "Try one" } })) }
            @else { (table("Recent calls", ["Call", "Outcome", "Status", "Finished"], rows)) }
        }
    })
}
