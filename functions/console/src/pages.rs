//! The pages for people: what they share. Every text is escaped by the macro. Everything works without
//! script; the little there is shows dates in the reader's zone and copies texts.

mod allowances;
pub(crate) mod call;
pub(crate) mod connect;
pub(crate) mod credential;
pub(crate) mod credentials;
mod first_run;
pub(crate) mod login;
pub(crate) mod notice;
pub(crate) mod outcome;
mod parts;
pub(crate) mod queue;
pub(crate) mod queues;
mod timeline;
pub(crate) mod typed;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bucketwheel::call::Problem;
use bucketwheel::web::document;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use maud::{Markup, html};

use crate::problem::ErrorAnswer;

/// Answers with the style sheet, the script or the icon.
pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, ErrorAnswer> {
    let (kind, text) = match name.as_str() {
        "console.css" => ("text/css; charset=utf-8", include_str!("assets/console.css")),
        "console.js" => ("text/javascript; charset=utf-8", include_str!("assets/console.js")),
        "icon.svg" => ("image/svg+xml", include_str!("assets/icon.svg")),
        _ => return Err(ErrorAnswer::no_such_page()),
    };
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=300")], text).into_response())
}

/// A part of the console, as the navigation has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Credentials,
    Queues,
    Call,
    Connect,
}

impl Place {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Credentials, "/credentials", "Credentials"),
        (Self::Queues, "/queues", "Queues"),
        (Self::Call, "/calls", "Try a call"),
        (Self::Connect, "/credentials/new", "Connect"),
    ];
}

/// A page for somebody who is signed in. Its content begins with its heading.
fn page(place: Place, title: &str, content: &Markup) -> Markup {
    let navigation = html! {
        nav aria-label="Main" {
            @for (other, address, name) in Place::ALL {
                a href=(address) aria-current=[(other == place).then_some("page")] { (name) }
            }
        }
        form method="post" action="/logout" { button.quiet { "Sign out" } }
    };
    document(title, &navigation, &html! { main #content { (content) } })
}

/// A page for anybody.
fn open_page(title: &str, content: &Markup) -> Markup {
    document(title, &html! {}, &html! { main #content .narrow { h1 { (title) } (content) } })
}

/// A page that says what went wrong.
pub(crate) fn error(problem: &Problem) -> Markup {
    let content = html! {
        div.card {
            p { strong { (problem.cause) } }
            p { (problem.resolution) }
            p.hint { "Code " code { (problem.code) } }
            div.buttons {
                a.button href="/credentials" { "To the credentials" }
            }
        }
    };
    open_page("That did not work", &content)
}
