//! `/calls/{id}`: what became of a call.

use std::sync::Arc;

use axum::extract::State;
use bucketwheel::call::{CallId, Outcome, Problem, State as Verdict};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::calls::{self, Entry};
use jiff::Timestamp;
use maud::{Markup, html};

use super::parts::{Tone, ago, badge, copy, copyable_inline, heading, moment};
use super::{Place, page};
use crate::Console;
use crate::api::calls::unknown;
use crate::problem::ErrorAnswer;
use crate::request::Id;

/// What became of a call.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CallId>,
) -> Result<Markup, ErrorAnswer> {
    let id = id.ok_or_else(unknown)?;
    let now = console.edge.now();
    let (state, more) = match calls::get(&console.table, &id, now).await? {
        Entry::New => return Err(unknown()),
        Entry::Queued(at) => (badge(Tone::Off, "queued"), waiting("It waits for a worker since ", at, now)),
        Entry::Sent(sent) => (badge(Tone::Off, "sent"), waiting("Bitbucket was asked ", sent.at, now)),
        Entry::Finished(outcome) => (verdict(outcome.state), finished(&outcome)),
    };
    let title = html! { h1 { "Call" } (state) };
    let content = html! {
        (heading(Some(("/calls", "Try a call")), &title, &html! { a.button.quiet href="/calls" { "Another call" } }))
        p { (copyable_inline(id.as_str(), "the call's id")) }
        (more)
    };
    Ok(page(Place::Call, "Call", &content))
}

fn waiting(what: &str, at: Timestamp, now: Timestamp) -> Markup {
    html! {
        div.card {
            p { (what) (ago(at, now)) "." }
            p.hint { "Load the page again to see its outcome. A call may wait for Bitbucket, for its token, or for room in the hourly allowance." }
            div.buttons { a.button href="" { "Look again" } }
        }
    }
}

/// A verdict, told by shape and word.
pub(super) fn verdict(state: Verdict) -> Markup {
    match state {
        Verdict::Succeeded => badge(Tone::Good, "succeeded"),
        Verdict::Failed => badge(Tone::Bad, "failed"),
        Verdict::Unknown => badge(Tone::Warn, "unknown"),
        Verdict::Expired => badge(Tone::Off, "expired"),
        Verdict::Part => badge(Tone::Off, "part"),
    }
}

fn finished(outcome: &Outcome) -> Markup {
    let body = outcome.body.as_ref().map(|body| format!("{body:#}"));
    html! {
        @if let Some(Problem { code, cause, resolution, .. }) = &outcome.error {
            p.banner.bad data-code=(code) { strong { (cause) } " " (resolution) " " code { (code) } }
        }
        div.card {
            dl {
                dt { "Credential" } dd { a href={ "/credentials/" (outcome.credential) } { code { (outcome.credential) } } }
                @if let Some(status) = outcome.status { dt { "Bitbucket's status" } dd.number { (status) } }
                dt { "Finished" } dd { (moment(outcome.finished_at)) }
                @for (name, value) in &outcome.headers { dt { (name) } dd { code { (value) } } }
                @if let Some(evidence) = &outcome.evidence {
                    dt { "What is known" }
                    dd {
                        "Sent " (moment(evidence.sent_at)) ". " (evidence.instead)
                        @if let Some(looked) = &evidence.looked { " " (looked) }
                    }
                }
                @if let Some(pages) = &outcome.pages {
                    dt { "Pages" } dd { (pages.parts) " with " (pages.items) " values" @if pages.more { ", and there are more" } }
                }
            }
        }
        @if let Some(body) = &body {
            div.card {
                div.head { h2 { "Answer" } (copy(body, "the answer")) }
                pre.wraps tabindex="0" { (body) }
            }
        } @else if let Some(base64) = &outcome.body_base64 {
            div.card {
                div.head { h2 { "Answer, in base64" } (copy(base64, "the answer")) }
                pre.wraps tabindex="0" { (base64) }
            }
        }
    }
}
