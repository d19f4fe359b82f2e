//! What became of a credential's deliveries, hook by hook, and which were rejected.

use bucketwheel::store::history::{Became, History, OfHook, Rejection};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::pages::parts::{ago, empty, table};

/// The history.
pub(super) fn show(history: &History, now: Timestamp) -> Markup {
    let hooks = history.hooks.iter().map(|(hook, OfHook { last_at, last_event, counts })| {
        let count = |became| counts.get(&became).copied().unwrap_or_default();
        [
            html! { code { (hook) } },
            html! { div { (ago(*last_at, now)) span.hint { code { (last_event) } } } },
            html! { span.number { (count(Became::Accepted) + count(Became::Parked)) } },
            html! { span.number { (count(Became::Filtered)) } },
            html! { span.number { (count(Became::Unavailable)) } },
        ]
    });
    let rejections = history.rejections.iter().map(|Rejection { at, cause, event_key, request_id }| {
        [
            html! { (cause.replace('_', " ")) },
            html! { (ago(*at, now)) },
            html! { code { (event_key) } @if let Some(id) = request_id { span.hint { code { (id) } } } },
        ]
    });
    html! {
        section.card.bare {
            div.head {
                h2 { "Deliveries" }
                span.hint { (history.rejected) " rejected" }
            }
            @if history.hooks.is_empty() {
                (empty("No delivery yet", &html! { "What Bitbucket sends is counted here within a few minutes." }))
            } @else {
                (table("Deliveries", ["Hook", "Last one", "Taken", "Filtered", "Asked again"], hooks))
            }
            @if !history.rejections.is_empty() {
                details.pager {
                    summary { "The last that were rejected" }
                    (table("Rejected deliveries", ["Why", "When", "It said it was"], rejections))
                }
            }
        }
    }
}

/// When the last delivery came whose signature was right.
pub(in crate::pages) fn last(history: &History) -> Option<Timestamp> {
    history.hooks.values().map(|hook| hook.last_at).max()
}
