//! The one HTTP client for Bitbucket: its token endpoint and its REST API.

mod api;
mod oauth;

use std::sync::Arc;
use std::time::Duration;

pub use crate::token::ExchangeError;
pub use api::{Api, SendError};
pub use oauth::{Consumer, Oauth};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};

/// How long one exchange with Bitbucket may take. Shorter than a lease, and than any function's time-out.
pub const TIME_OUT: Duration = Duration::from_secs(20);

/// Bitbucket could not be set up as a peer.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be made")]
pub struct NoClient(#[source] reqwest::Error);

/// Whose certificates Bitbucket's must lead to: any of the authorities that Mozilla trusts. They are in the
/// binary, for reading the system's store takes longer than all the rest of a function's start.
#[derive(Debug, Clone)]
pub struct Trust(Arc<RootCertStore>);

impl Default for Trust {
    fn default() -> Self {
        Self(Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()))
    }
}

impl Trust {
    /// These authorities alone, in PEM, where there are any: a network may have a proxy that opens TLS.
    /// Those that cannot be read are left out.
    pub fn in_place(pem: Option<&[u8]>) -> Self {
        let Some(pem) = pem else { return Self::default() };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
        Self(Arc::new(roots))
    }
}

fn client(redirects: Policy, trust: &Trust) -> Result<ClientBuilder, NoClient> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let Ok(config) = config else { unreachable!("the provider has the usual versions of TLS") };
    let config = config.with_root_certificates(trust.0.clone()).with_no_client_auth();
    #[expect(clippy::disallowed_methods, reason = "the one place where a client for Bitbucket is made")]
    let builder = Client::builder();
    Ok(builder
        .tls_backend_preconfigured(config)
        .timeout(TIME_OUT)
        .connect_timeout(Duration::from_secs(5))
        .redirect(redirects)
        .retry(reqwest::retry::never())
        .user_agent(concat!("bucketwheel/", env!("CARGO_PKG_VERSION"))))
}
