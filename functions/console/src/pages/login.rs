//! Signing in and out.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::web::from_here;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode, Uri};
use maud::{Markup, html};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::notice::Notice;
use super::open_page;
use super::typed::Typed;
use crate::Console;
use crate::problem::ErrorAnswer;
use crate::request::{bad_form, parameter};
use crate::session;

/// Where the operator is led who did not ask for a page.
const HOME: &str = "/credentials";

/// The form as it is sent.
#[derive(Deserialize)]
pub(crate) struct Entered {
    token: SecretString,
    next: Option<String>,
    typed_path: Option<String>,
    typed: Option<String>,
}

/// The address of the login page, which leads on to `next` and shows `notice`.
pub(crate) fn address(next: Option<&str>, notice: Option<&Notice>) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(next.map(|next| ("next", next)));
    query.extend_pairs(notice.map(Notice::parameter));
    let query = query.finish();
    if query.is_empty() { "/login".to_owned() } else { format!("/login?{query}") }
}

/// The form.
pub(crate) async fn show(uri: Uri) -> Markup {
    let next = local(parameter(uri.query(), "next").as_deref());
    form(&next, Notice::from_query(uri.query()).map(|notice| notice.show()), None)
}

/// The form for somebody whose session has ended while they typed.
pub(crate) fn interrupted(typed: &Typed) -> Response {
    let banner = html! {
        p.banner.warn role="alert" { "Your session has ended. Sign in again; what you had typed is kept." }
    };
    (StatusCode::UNAUTHORIZED, form(HOME, Some(banner), Some(typed))).into_response()
}

/// Begins a session, for the right token.
pub(crate) async fn enter<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    headers: HeaderMap,
    entered: Result<Form<Entered>, FormRejection>,
) -> Result<Response, ErrorAnswer> {
    let Form(Entered { token, next, typed_path, typed }) =
        entered.map_err(|rejection| bad_form(&rejection))?;
    let next = local(next.as_deref());
    let typed = typed_path.zip(typed).filter(|_| from_here(&headers, &console.public_url));
    let typed = typed.and_then(|(path, body)| Typed::read(&path, body.as_bytes()));
    let operator = console.operators.current(console.edge.now()).await;
    if !operator.knows(token.expose_secret()) {
        console.doubt().await;
        let banner = html! { p.banner.bad role="alert" { "That is not the operator token." } };
        return Ok((StatusCode::UNAUTHORIZED, form(&next, Some(banner), typed.as_ref())).into_response());
    }
    let cookie = session::begin(&operator, console.edge.now());
    match typed {
        Some(typed) => Ok(([(SET_COOKIE, cookie)], typed.restore(&console).await).into_response()),
        None => Ok(([(SET_COOKIE, cookie)], Redirect::to(&next)).into_response()),
    }
}

/// Ends the session of this browser.
pub(crate) async fn leave() -> Response {
    ([(SET_COOKIE, session::end())], Redirect::to("/login")).into_response()
}

fn form(next: &str, banner: Option<Markup>, typed: Option<&Typed>) -> Markup {
    let content = html! {
        @if let Some(banner) = banner { (banner) }
        form.card.form method="post" action="/login" {
            div.field {
                label for="token" { "Operator token" }
                input #token type="password" name="token" autocomplete="current-password" required autofocus;
            }
            @match typed {
                Some(typed) => (typed.carry()),
                None => { input type="hidden" name="next" value=(next); }
            }
            div.buttons { button { "Sign in" } }
        }
        p.hint {
            "This console is for the operator. The token lies in AWS Secrets Manager: see the output "
            code { "OperatorSecretName" } " of the stack."
        }
    };
    open_page("Sign in", &content)
}

/// A path of this console, as it is safe in a `Location`; home if it is anything else.
fn local(next: Option<&str>) -> String {
    next.and_then(checked).unwrap_or_else(|| HOME.to_owned())
}

/// Browsers read `//host`, `/\host` and `/<tab>/host` as another host. So the path is read as a browser
/// reads it, and only what comes out of that is used.
fn checked(next: &str) -> Option<String> {
    if !next.starts_with('/') || next.contains('\\') || next.chars().any(char::is_control) {
        return None;
    }
    let here = Url::parse("https://here.invalid/").ok()?;
    let there = here.join(next).ok()?;
    let path = &there[url::Position::BeforePath..url::Position::AfterQuery];
    (there.origin() == here.origin() && !path.starts_with("//")).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_paths_are_led_to() {
        for good in ["/credentials", "/credentials/a-1?x=%2F&y=//z", "/"] {
            assert_eq!(local(Some(good)), good);
        }
        for bad in [
            "",
            "credentials",
            "https://evil.example/",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/./\u{0}/evil.example",
            " //evil.example",
            "/..//evil.example",
            "/.//evil.example",
            "/a/..//evil.example",
            "javascript:alert(1)",
        ] {
            assert_eq!(local(Some(bad)), HOME, "{bad:?}");
        }
        assert_eq!(local(None), HOME);
        assert_eq!(local(Some("/a b\u{e4}")), "/a%20b%C3%A4");
    }

    #[test]
    fn the_way_back_and_the_notice_stand_in_the_address() {
        let notice = Notice::from_query(Some("connected=c-1")).expect("a notice");
        assert_eq!(address(None, None), "/login");
        assert_eq!(address(Some("/a?b=c&d"), Some(&notice)), "/login?next=%2Fa%3Fb%3Dc%26d&connected=c-1");
    }
}
