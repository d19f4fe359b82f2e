//! oauth-callback: begin a connect (state, cookie, redirect to Bitbucket), and complete it (check the
//! state and the cookie, exchange the code, read the account, store the credential).
//!
//! ```text
//! GET /connect/{link}   ─▶ 302 {bitbucket}/site/oauth2/authorize
//! GET /oauth/callback   ─▶ 302 {public}/credentials?connected={id}
//!                          302 {public}/credentials?bitbucket_error={code}
//! ```

mod begin;
mod complete;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bucketwheel::bitbucket::{Api, Oauth};
use bucketwheel::connect::Failure;
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Table};
use bucketwheel::seal::Keyring;
use http::{HeaderValue, StatusCode, header};
use url::Url;

/// The cookie that ties a state to the browser that began it. One serves all tabs. The prefix makes
/// browsers insist on `Secure`, on `Path=/` and on no `Domain`
/// (<https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes>).
const COOKIE: &str = "__Host-connect";

/// The function with everything it needs.
#[derive(Debug)]
pub struct Connect<T, E> {
    /// The table.
    pub table: T,
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
pub fn router<T: Table + 'static, E: Edge + 'static>(connect: Connect<T, E>) -> Router {
    Router::new()
        .route("/connect/{link}", get(begin::begin::<T, E>))
        .route("/oauth/callback", get(complete::complete::<T, E>))
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

impl Failed {
    fn because(failure: Failure, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { failure, source: Some(Box::new(source)) }
    }
}

impl<T, E> Connect<T, E> {
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
    // The address carries a state or a code, which no cache and no other site may see.
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::FOUND, headers).into_response()
}

fn cookie(headers: &http::HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| match pair.trim().split_once('=') {
        Some((COOKIE, value)) if !value.is_empty() => Some(value),
        _ => None,
    })
}
