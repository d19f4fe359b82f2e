//! oauth-callback: begin a connect, and complete it. What leads to a token differs with the kind; what is
//! stored, and how, does not. Once it is stored, calls in the background follow.
//!
//! ```text
//! GET  /connect/{link}  ─▶ 302 {bitbucket}/site/oauth2/authorize   consent: state, cookie
//!                          200 a form                              for a token that is entered
//! POST /connect/{link}  ─▶ try the token, store, 303 below         or the form with what is wrong
//! GET  /oauth/callback  ─▶ check state and cookie, exchange, read the account, store
//!                          302 {public}/credentials?connected={id}
//!                          302 {public}/credentials?bitbucket_error={code}
//! ```

mod begin;
mod complete;
mod enter;
mod follow;
mod form;
mod look;
mod store;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bucketwheel::bitbucket::{Api, Oauth};
use bucketwheel::connect::{Failure, Link};
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::seal::Keyring;
use bucketwheel::store::connects;
use bucketwheel::web::ON_EVERY_ANSWER;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use url::Url;

/// The cookie that ties a state to the browser that began it. One serves all tabs. The prefix makes
/// browsers insist on `Secure`, on `Path=/` and on no `Domain`
/// (<https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes>).
const COOKIE: &str = "__Host-connect";

/// The longest form that is read, in bytes.
const LONGEST_FORM: usize = 32 * 1024;

/// The function with everything it needs.
#[derive(Debug)]
pub struct Connect<T, Q, E> {
    /// The table.
    pub table: T,
    /// Where the calls go that follow a connect.
    pub calls: Q,
    /// Time and randomness.
    pub edge: E,
    /// Seals access tokens.
    pub access_ring: Keyring,
    /// Seals refresh tokens.
    pub refresh_ring: Keyring,
    /// Bitbucket's token endpoint, with our consumer.
    pub oauth: Oauth,
    /// Bitbucket's API, to read the account.
    pub api: Api,
    /// Where the console and this function are reached.
    pub public_url: Url,
}

/// The function's routes.
pub fn router<T, Q, E>(connect: Connect<T, Q, E>) -> Router
where
    T: Table + 'static,
    Q: Queue + 'static,
    E: Edge + 'static,
{
    Router::new()
        .route("/connect/{link}", get(begin::begin::<T, Q, E>).post(enter::enter::<T, Q, E>))
        .route("/oauth/callback", get(complete::complete::<T, Q, E>))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .layer(map_response(dress))
        .with_state(Arc::new(connect))
}

/// A failure, with what was behind it where there was something.
#[derive(Debug)]
struct Failed {
    failure: Failure,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, source: None }
    }
}

/// Our own table failed: nothing was stored, or nobody knows. Starting again is safe either way.
impl From<TableError> for Failed {
    fn from(error: TableError) -> Self {
        Self::because(Failure::TryAgain, error)
    }
}

impl Failed {
    fn because(failure: Failure, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { failure, source: Some(Box::new(source)) }
    }
}

impl<T: Table, Q, E> Connect<T, Q, E> {
    /// The invitation behind a ticket's digest, if it still works.
    async fn link(&self, digest: &str, now: Timestamp) -> Result<Link, Failed> {
        connects::link(&self.table, digest, now).await?.ok_or_else(|| Failure::LinkUnusable.into())
    }
}

impl<T, Q, E> Connect<T, Q, E> {
    /// Fixed, since Bitbucket compares it with the consumer's callback URL, and sent with the exchange
    /// again (RFC 6749 section 4.1.3).
    fn redirect_uri(&self) -> String {
        self.page("oauth/callback").to_string()
    }

    fn page(&self, path: &str) -> Url {
        let mut url = self.public_url.clone();
        url.set_path(path);
        url
    }

    fn land(&self, name: &str, value: &str) -> Response {
        let mut page = self.page("credentials");
        page.query_pairs_mut().append_pair(name, value);
        redirect(&page)
    }

    fn fail(&self, Failed { failure, source }: Failed) -> Response {
        let code = failure.code();
        match source {
            Some(source) => tracing::error!(code, error = %Causes(&*source), "connect failed"),
            None => tracing::warn!(code, "connect failed"),
        }
        self.land("bitbucket_error", code)
    }
}

fn redirect(to: &Url) -> Response {
    let Ok(location) = HeaderValue::from_str(to.as_str()) else {
        unreachable!("an address is printable ASCII")
    };
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

/// An address here carries a link, a state or a code, which no cache and no other site may see. (With a
/// stricter referrer policy than these headers have, browsers would not name the origin of a form.)
async fn dress(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.extend(ON_EVERY_ANSWER);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn cookie(headers: &http::HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| match pair.trim().split_once('=') {
        Some((COOKIE, value)) if !value.is_empty() => Some(value),
        _ => None,
    })
}
