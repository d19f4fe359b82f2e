//! The pages for people: what they share. No script; every text is escaped by the macro.

pub(crate) mod credential;
pub(crate) mod credentials;
pub(crate) mod login;
pub(crate) mod new;
pub(crate) mod notice;

use axum::response::{IntoResponse, Response};
use bucketwheel::call::Problem;
use bucketwheel::credential::Health;
use bucketwheel::web::document;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use jiff::Timestamp;
use maud::{Markup, html};

/// Answers with the one style sheet.
pub(crate) async fn style() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, include_str!("assets/console.css")).into_response()
}

/// A page for somebody who is signed in.
fn page(title: &str, content: Markup) -> Markup {
    let navigation = html! {
        nav {
            a href="/credentials" { "Credentials" }
            a href="/credentials/new" { "Connect" }
            form method="post" action="/logout" { button.quiet { "Sign out" } }
        }
    };
    document(title, &navigation, &content)
}

/// A page for anybody.
fn open_page(title: &str, content: Markup) -> Markup {
    document(title, &html! {}, &content)
}

/// A page that says what went wrong.
pub(crate) fn error(problem: &Problem) -> Markup {
    let content = html! {
        p { (problem.cause) }
        p { (problem.resolution) }
        p { a href="/credentials" { "To the credentials" } }
    };
    open_page("That did not work", content)
}

/// A time, to the minute; the exact one for machines and on hovering.
fn moment(time: Timestamp) -> Markup {
    html! { time datetime=(time) title=(time) { (time.strftime("%Y-%m-%d %H:%M UTC")) } }
}

/// A state, told by a shape and a word: colour alone would not reach everybody.
fn state(health: Health) -> Markup {
    let shape = match health {
        Health::Up => "●",
        Health::Degraded => "▲",
        Health::Down => "■",
        Health::Disabled => "○",
    };
    html! { span.state.(health.word()) { span aria-hidden="true" { (shape) } " " (health.word()) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_and_told_exactly() {
        let time: Timestamp = "2026-11-21T05:10:09.5Z".parse().expect("a time");
        assert_eq!(
            moment(time).into_string(),
            "<time datetime=\"2026-11-21T05:10:09.5Z\" title=\"2026-11-21T05:10:09.5Z\">2026-11-21 05:10 UTC</time>"
        );
    }

    #[test]
    fn each_state_has_its_own_shape_and_its_word() {
        let all = [Health::Up, Health::Degraded, Health::Down, Health::Disabled];
        let shown = all.map(|health| state(health).into_string());
        for (health, html) in all.iter().zip(&shown) {
            assert!(html.ends_with(&format!(" {}</span>", health.word())), "{html}");
        }
        let shapes = shown.map(|html| html.chars().find(|c| !c.is_ascii()));
        assert_eq!(shapes.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
