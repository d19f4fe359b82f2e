//! The one HTTP client for Bitbucket: its token endpoint and its REST API.

mod api;
mod oauth;

use std::time::Duration;

pub use crate::token::ExchangeError;
pub use api::{Api, SendError};
pub use oauth::{Consumer, Oauth};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

/// How long one exchange with Bitbucket may take. Shorter than a lease, and than any function's time-out.
pub const TIME_OUT: Duration = Duration::from_secs(20);

/// Bitbucket could not be set up as a peer.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be made")]
pub struct NoClient(#[source] reqwest::Error);

fn client(redirects: Policy) -> Result<ClientBuilder, NoClient> {
    // The provider is process-wide; a second client finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "the one place where a client for Bitbucket is made")]
    let builder = Client::builder();
    Ok(builder
        .timeout(TIME_OUT)
        .connect_timeout(Duration::from_secs(5))
        .redirect(redirects)
        .retry(reqwest::retry::never())
        .user_agent(concat!("bucketwheel/", env!("CARGO_PKG_VERSION"))))
}
