//! `/queues/{name}`: its dead letters, one of them, and sending them again after a dry run.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawForm, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use bucketwheel::ports::{Backlog, Edge};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::parts::{ago, copy, copyable_inline, empty, heading, moment, table};
use super::queues::holds;
use super::{Place, page};
use crate::api::queues::{no_such_letter, no_such_queue, run};
use crate::guard::Who;
use crate::letter::{Letter, Whole};
use crate::problem::ErrorAnswer;
use crate::queues::{Letters, QueueName, Queues, Redriven, Which};
use crate::request::{Id, parameter};

/// How many dead letters the page has.
const MOST: usize = 100;

/// The page of a queue.
pub(crate) async fn show<B: Backlog, E: Edge>(
    State(queues): State<Arc<Queues<B, E>>>,
    Id(name): Id<QueueName>,
    RawQuery(query): RawQuery,
) -> Result<Markup, ErrorAnswer> {
    let name = name.ok_or_else(no_such_queue)?;
    let letters = queues.letters(name, MOST).await?;
    let told = |which| parameter(query.as_deref(), which).and_then(|number| number.parse::<u64>().ok());
    let content = html! {
        (heading(Some(("/queues", "Queues")), &html! { h1 { "Dead letters of " (name) } }, &html! {}))
        p.hint { (holds(name)) }
        @if let Some(sent) = told("sent") {
            p.banner.(if sent > 0 { "good" } else { "warn" }) role="status" {
                (sent) " sent again." @if told("missing").is_some() { " Some were not met: they may be gone, or somebody else looks at them." }
                @if told("more").is_some() { " There are more: go on if you like." }
            }
        }
        (list(name, &letters, queues.edge.now()))
    };
    Ok(page(Place::Queues, &format!("Dead letters of {name}"), &content))
}

fn list(name: QueueName, letters: &Letters, now: Timestamp) -> Markup {
    let Letters { values, total } = letters;
    let columns = ["Message", "Cause", "Credential", "Sent", "Receives"];
    let rows = values.iter().map(|letter| {
        [
            html! {
                label.choice {
                    input type="checkbox" name="id" value=(letter.id) aria-label={ "Choose " (letter.about) };
                    span.breaks {
                        a href=(address(name, &letter.id)) { (letter.about) }
                        span.hint { code { (letter.id) } }
                    }
                }
            },
            html! { @if let Some(cause) = &letter.cause { span { (cause) } } @else { span.faint { "received too often" } } },
            html! { @if let Some(id) = &letter.credential { (credential(id)) } @else { span.faint { "–" } } },
            html! { (ago(letter.sent_at, now)) },
            html! { span.number { (letter.receives) } },
        ]
    });
    html! {
        @if values.is_empty() {
            div.card {
                @if *total == 0 {
                    (empty("No dead letters", &html! { "Everything on this queue was worked on, or waits for it." }))
                } @else {
                    (empty("None in sight", &html! { (total) " are hidden, because somebody looks at them right now. Load the page again in a minute." }))
                }
            }
        } @else {
            form method="post" action={ "/queues/" (name) } {
                div.card.bare {
                    (table("Dead letters", columns, rows))
                    div.pager {
                        span.hint { (values.len()) " of " (total) }
                        div.buttons {
                            label.choice hidden { input type="checkbox" data-ticks="id"; " Choose all shown" }
                            button.quiet name="do" value="try-these" { "Try the chosen ones" }
                            button.quiet name="do" value="try-all" { "Try all" }
                        }
                    }
                }
            }
            p.hint {
                "To try moves nothing: it shows what would be sent again. "
                @if name == QueueName::Events {
                    "Of each repository, the first ten are shown. What is sent again comes after what has come since."
                }
            }
        }
    }
}

/// A message may name anything as its credential.
fn credential(id: &str) -> Markup {
    html! {
        @if id.parse::<bucketwheel::credential::CredentialId>().is_ok() {
            a href={ "/credentials/" (id) } { code { (id) } }
        } @else { code { (id) } }
    }
}

/// The page of one dead letter. An id may hold anything, so it stands in the query.
fn address(name: QueueName, id: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(format!("/queues/{name}/letter?"));
    query.append_pair("id", id).finish()
}

/// One dead letter.
pub(crate) async fn letter<B: Backlog, E: Edge>(
    State(queues): State<Arc<Queues<B, E>>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Markup, ErrorAnswer> {
    let name = path.ok().and_then(|Path(name)| name.parse().ok()).ok_or_else(no_such_queue)?;
    let id = parameter(query.as_deref(), "id").ok_or_else(no_such_letter)?;
    let Whole { letter, body } = queues.letter(name, &id).await?.ok_or_else(no_such_letter)?;
    let up = format!("/queues/{name}");
    let body = serde_json::from_str::<Value>(&body).map_or(body, |value| format!("{value:#}"));
    let content = html! {
        (heading(Some((&up, &format!("Dead letters of {name}"))), &html! { h1 { (letter.about) } }, &html! {
            form method="post" action=(up) {
                input type="hidden" name="id" value=(letter.id);
                button name="do" value="try-these" { "Try to send it again" }
            }
        }))
        div.card {
            dl {
                dt { "Cause" }
                dd { @if let Some(cause) = &letter.cause { (cause) } @else { "Received " (letter.receives) " times without an end. The log of the function that reads this queue says more." } }
                dt { "Sent" } dd { (moment(letter.sent_at)) " (" (ago(letter.sent_at, queues.edge.now())) ")" }
                dt { "Message" } dd { (copyable_inline(&letter.id, "the message's id")) }
                @if let Some(id) = &letter.credential { dt { "Credential" } dd { (credential(id)) } }
                @if let Some(group) = &letter.group { dt { "Group" } dd { code { (group) } } }
                dt { "Length" } dd { (letter.bytes) " bytes" }
            }
        }
        div.card {
            div.head { h2 { "Text" } (copy(&body, "the text")) }
            pre.wraps tabindex="0" { (body) }
        }
    };
    Ok(page(Place::Queues, &letter.about, &content))
}

/// Tries or does what a button of the page asks for.
pub(crate) async fn act<B: Backlog, E: Edge>(
    State(queues): State<Arc<Queues<B, E>>>,
    Id(name): Id<QueueName>,
    who: Who,
    RawForm(form): RawForm,
) -> Result<Response, ErrorAnswer> {
    let name = name.ok_or_else(no_such_queue)?;
    let (mut ids, mut deed) = (Vec::new(), String::new());
    for (field, value) in url::form_urlencoded::parse(&form) {
        match field.as_ref() {
            "id" => ids.push(value.into_owned()),
            "do" => deed = value.into_owned(),
            _ => {}
        }
    }
    let (dry_run, which) = match deed.as_str() {
        "try-all" => (true, Which::All),
        "all" => (false, Which::All),
        "try-these" if !ids.is_empty() => (true, Which::These(ids)),
        "these" if !ids.is_empty() => (false, Which::These(ids)),
        _ => {
            return Err(ErrorAnswer::bad_request(
                "which_letters",
                "No dead letter is chosen.",
                "Go back and choose one, some or all.",
            ));
        }
    };
    let done = run(&queues, name, &which, dry_run, &who).await?;
    if dry_run {
        return Ok(tried(name, &which, &done, queues.edge.now()).into_response());
    }
    let missing = if done.missing.is_empty() { "" } else { "&missing=1" };
    let more = if done.complete || matches!(which, Which::These(_)) { "" } else { "&more=1" };
    let sent = done.letters.len();
    Ok(Redirect::to(&format!("/queues/{name}?sent={sent}{missing}{more}")).into_response())
}

/// What a dry run found, and the button that does it.
fn tried(name: QueueName, which: &Which, done: &Redriven, now: Timestamp) -> Markup {
    let up = format!("/queues/{name}");
    let rows = done.letters.iter().take(MOST).map(|letter: &Letter| {
        [
            html! { (letter.about) },
            html! { (letter.cause.as_deref().unwrap_or("received too often")) },
            html! { (ago(letter.sent_at, now)) },
        ]
    });
    let count = done.letters.len();
    let content = html! {
        (heading(Some((&up, &format!("Dead letters of {name}"))), &html! { h1 { "Send " (count) " again?" } }, &html! {}))
        @if count == 0 {
            div.card {
                (empty("Nothing to send", &html! { "None of them is in sight: they may be gone, or somebody else looks at them. " a href=(up) { "Look again" } }))
            }
        } @else {
            p.banner.note role="status" {
                "Nothing is moved yet. Each goes to the end of the queue " strong { (name) } " and then leaves this list. "
                @if !done.missing.is_empty() { (done.missing.len()) " of those chosen are not in sight. " }
                @if !done.complete { "There are more than these. " }
                "Whose cause is not mended will come back."
            }
            div.card.bare {
                (table("What would be sent again", ["Message", "Cause", "Sent"], rows))
                @if count > MOST { p.pager { span.hint { "and " (count - MOST) " more" } } }
            }
            form.buttons method="post" action=(up) {
                @if let Which::These(_) = which {
                    @for letter in &done.letters { input type="hidden" name="id" value=(letter.id); }
                    button name="do" value="these" { "Send " (count) " again" }
                } @else {
                    button name="do" value="all" { "Send all again" }
                }
                a.button.quiet href=(up) { "Back" }
            }
        }
    };
    page(Place::Queues, &format!("Send {count} again?"), &content)
}
