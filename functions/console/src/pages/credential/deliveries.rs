//! What became of a credential's deliveries, hook by hook, which were rejected, and which never came.

use bucketwheel::store::history::{Became, OfHook, Rejection};
use bucketwheel::store::missed::{Found, Sums};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::hooks::Seen;
use crate::pages::parts::{ago, empty, table, trouble};

/// The history. Hooks that are not ours, or not any more, have no name but their uuid.
pub(super) fn show(seen: &Seen, now: Timestamp) -> Markup {
    let ours =
        seen.hooks.iter().filter_map(|hook| Some((html! { (hook.subject) }, hook.deliveries.as_ref()?)));
    let others = seen.others.iter().map(|(uuid, of_hook)| (html! { code { (uuid) } }, of_hook));
    let rows: Vec<_> = ours.chain(others).map(|(hook, of_hook)| row(hook, of_hook, now)).collect();
    let rejections = seen.rejections.iter().map(|Rejection { at, cause, event_key, request_id }| {
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
                span.hint { (seen.rejected) " rejected" }
            }
            @if rows.is_empty() {
                (empty("No delivery yet", &html! { "What Bitbucket sends is counted here within a few minutes." }))
            } @else {
                (table("Deliveries", ["Hook", "Last one", "Taken", "Filtered", "Asked again"], rows))
            }
            @if let Some(found) = &seen.missed { (search(found, now)) }
            @if !seen.rejections.is_empty() {
                details.pager {
                    summary { "The last that were rejected" }
                    (table("Rejected deliveries", ["Why", "When", "It said it was"], rejections))
                }
            }
        }
    }
}

/// What the search for missed events has measured.
fn search(found: &Found, now: Timestamp) -> Markup {
    let Found { swept_at, watched, problem, sums, .. } = found;
    let Sums { came, missed, late, delays } = sums;
    let numbers = [
        html! { span.number { (watched) } },
        html! {
            div {
                span.number { (missed) " of " (came + missed) }
                @if *late > 0 { span.hint { (late) " came after all" } }
            }
        },
        html! {
            @if let Some(usual) = delays.total_ms.checked_div(delays.count) {
                div { span.number { (seconds(usual)) } span.hint { (seconds(delays.most_ms)) " at most" } }
            } @else {
                span.faint { "not known yet" }
            }
        },
        ago(*swept_at, now),
    ];
    html! {
        (table("Search for missed events", ["Repositories", "Never came", "Delay", "Last look"], [numbers]))
        @if let Some(problem) = problem { (trouble(problem)) }
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

fn row(hook: Markup, OfHook { last_at, last_event, counts }: &OfHook, now: Timestamp) -> [Markup; 5] {
    let count = |became| counts.get(&became).copied().unwrap_or_default();
    let parked = count(Became::Parked);
    [
        hook,
        html! { div { (ago(*last_at, now)) span.hint { code { (last_event) } } } },
        html! {
            div {
                span.number { (count(Became::Accepted) + parked) }
                @if parked > 0 { span.hint { (parked) " by way of the table" } }
            }
        },
        html! { span.number { (count(Became::Filtered)) } },
        html! { span.number { (count(Became::Unavailable)) } },
    ]
}
