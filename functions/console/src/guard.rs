//! Who may enter. Every path that is not named here needs the operator.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::web::{Asked, from_here};
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, Uri};
use jiff::Timestamp;
use url::Url;

use crate::pages::login;
use crate::pages::notice::Notice;
use crate::pages::typed::Typed;
use crate::problem::{Area, ErrorAnswer};
use crate::session::{self, Operator};
use crate::{Console, LONGEST_BODY};

/// What the guard decides.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Come in, as whom.
    Enter(Entrant),
    /// Nobody we know.
    Unknown,
    /// Somebody with a token that is not the operator's.
    WrongToken,
    /// A known browser, sent by a page that is not ours.
    Elsewhere,
}

/// How somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrant {
    /// With the operator token.
    Token,
    /// With a session.
    Session,
    /// To the open area, as anybody may.
    Anybody,
}

/// Who does something, and with which request: for the audit trail.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) actor: String,
    pub(crate) request: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let way = match parts.extensions.get() {
            Some(Entrant::Token) => "operator, by token",
            Some(Entrant::Session) => "operator, by session",
            Some(Entrant::Anybody) | None => "anybody",
        };
        let asked = Asked::from_request_parts(parts, state).await?;
        let actor =
            asked.person.as_ref().map_or_else(|| way.to_owned(), |person| format!("{person} ({way})"));
        Ok(Self { actor, request: asked.line() })
    }
}

/// Lets a request pass to its handler, or answers it.
pub(crate) async fn enter<T, Q, E>(
    State(console): State<Arc<Console<T, Q, E>>>,
    mut request: Request,
    next: Next,
) -> Response
where
    T: Table + 'static,
    Q: Queue + 'static,
    E: Edge + 'static,
{
    let now = console.edge.now();
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let area = Area::of(uri.path());
    let operator = console.operators.current(now).await;
    match judge(&operator, &console.public_url, area, method, headers, now) {
        Verdict::Enter(entrant) => {
            request.extensions_mut().insert(entrant);
            next.run(request).await
        }
        Verdict::Elsewhere => ErrorAnswer::elsewhere(&console.address("/")).into_response(),
        Verdict::WrongToken => {
            console.doubt().await;
            not_signed_in()
        }
        Verdict::Unknown if area == Area::Api => not_signed_in(),
        Verdict::Unknown => {
            let way = way_to_login(method, uri);
            let from_a_form = method == Method::POST && from_here(headers, &console.public_url);
            match if from_a_form { typed(request).await } else { None } {
                Some(typed) => login::interrupted(&typed),
                None => Redirect::to(&way).into_response(),
            }
        }
    }
}

/// What a form of ours brought.
async fn typed(request: Request) -> Option<Typed> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LONGEST_BODY).await.ok()?;
    Typed::read(parts.uri.path(), &body)
}

fn not_signed_in() -> Response {
    ([(WWW_AUTHENTICATE, "Bearer")], ErrorAnswer::not_signed_in()).into_response()
}

fn judge(
    operator: &Operator,
    public_url: &Url,
    area: Area,
    method: &Method,
    headers: &HeaderMap,
    now: Timestamp,
) -> Verdict {
    // Another site cannot make a browser send this header, so it needs no look at the origin.
    if area == Area::Api && headers.contains_key(AUTHORIZATION) {
        let known = bearer(headers).is_some_and(|token| operator.knows(token));
        return if known { Verdict::Enter(Entrant::Token) } else { Verdict::WrongToken };
    }
    let cookie = texts(headers, COOKIE).find_map(session::find);
    match (area, cookie) {
        (Area::Open, None) => Verdict::Enter(Entrant::Anybody),
        (Area::Api | Area::Pages, None) => Verdict::Unknown,
        (Area::Api | Area::Pages, Some(cookie)) if !operator.admits(cookie, now) => Verdict::Unknown,
        (_, Some(_)) if method.is_safe() || from_here(headers, public_url) => {
            Verdict::Enter(Entrant::Session)
        }
        (_, Some(_)) => Verdict::Elsewhere,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// The login page, which then leads back. It also tells an end user, who has no session and comes from
/// a connect, how that went.
fn way_to_login(method: &Method, uri: &Uri) -> String {
    let notice = Notice::from_query(uri.query());
    let next = method.is_safe().then(|| uri.path_and_query().map_or(uri.path(), |whole| whole.as_str()));
    login::address(if notice.is_some() { Some(uri.path()) } else { next }, notice.as_ref())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{ORIGIN, REFERER};
    use secrecy::SecretString;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn verdict(area: Area, method: Method, headers: &[(HeaderName, &str)]) -> Verdict {
        let operator = Operator::new(SecretString::from(TOKEN)).expect("a token");
        let now = Timestamp::from_second(1_000).expect("a time");
        let cookie = format!("{}={}", session::COOKIE, operator.sign(now));
        let public_url = Url::parse("https://bw.example/").expect("an address");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = value.replace("$COOKIE", &cookie);
            map.append(name, HeaderValue::from_str(&value).expect("a header"));
        }
        judge(&operator, &public_url, area, &method, &map, now)
    }

    #[test]
    fn a_write_by_cookie_must_come_from_our_own_pages() {
        let ours = (COOKIE, "$COOKIE");
        for (headers, want) in [
            (vec![(ORIGIN, "https://bw.example")], Verdict::Enter(Entrant::Session)),
            (vec![(REFERER, "https://bw.example/credentials?x=1")], Verdict::Enter(Entrant::Session)),
            (vec![], Verdict::Elsewhere),
            (vec![(ORIGIN, "null")], Verdict::Elsewhere),
            (vec![(ORIGIN, "https://evil.example")], Verdict::Elsewhere),
            (vec![(ORIGIN, "http://bw.example")], Verdict::Elsewhere),
            (vec![(ORIGIN, "https://bw.example:8443")], Verdict::Elsewhere),
            (vec![(ORIGIN, "https://bw.example.evil.example")], Verdict::Elsewhere),
            (vec![(ORIGIN, "https://evil.example"), (REFERER, "https://bw.example/")], Verdict::Elsewhere),
            (vec![(REFERER, "https://evil.example/https://bw.example/")], Verdict::Elsewhere),
        ] {
            for area in [Area::Open, Area::Pages, Area::Api] {
                let mut all = headers.clone();
                all.push(ours.clone());
                assert_eq!(verdict(area, Method::POST, &all), want, "{area:?} {headers:?}");
                assert_eq!(
                    verdict(area, Method::GET, &all),
                    Verdict::Enter(Entrant::Session),
                    "{area:?} {headers:?}"
                );
            }
        }
    }

    #[test]
    fn the_token_opens_the_api_from_anywhere_and_no_page() {
        let right = [(AUTHORIZATION, "bearer 0123456789abcdef"), (ORIGIN, "https://elsewhere.example")];
        assert_eq!(verdict(Area::Api, Method::POST, &right), Verdict::Enter(Entrant::Token));
        assert_eq!(verdict(Area::Pages, Method::GET, &right), Verdict::Unknown);
        for wrong in ["Bearer 0123456789abcdeg", "Bearer", "Bearer ", "Basic 0123456789abcdef", ""] {
            assert_eq!(verdict(Area::Api, Method::GET, &[(AUTHORIZATION, wrong)]), Verdict::WrongToken);
        }
    }

    #[test]
    fn a_wrong_token_is_not_saved_by_a_cookie() {
        let both = [(AUTHORIZATION, "Bearer wrong"), (COOKIE, "$COOKIE")];
        assert_eq!(verdict(Area::Api, Method::GET, &both), Verdict::WrongToken);
    }

    #[test]
    fn the_session_may_stand_in_the_second_cookie_header() {
        let two = [(COOKIE, "a=1"), (COOKIE, "$COOKIE")];
        assert_eq!(verdict(Area::Pages, Method::GET, &two), Verdict::Enter(Entrant::Session));
    }
}
