//! The adapters to AWS. No type of an SDK leaves this module.
//!
//! Clients are built by hand from the environment that Lambda gives a function: region, credentials,
//! and an endpoint where somebody set one. Looking elsewhere for them would cost start-up time.

mod backlog;
mod edge;
mod queue;
mod secrets;
mod table;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
pub use backlog::SqsBacklog;
pub use edge::Host;
pub use queue::{Incoming, SqsInbox, SqsQueue};
pub use secrets::{Reading, SecretError, SecretKeyring, Secrets};
pub use table::DynamoTable;

use crate::config::Settings;

/// How to reach AWS.
#[derive(Debug, Clone)]
pub struct Account {
    region: String,
    credentials: Credentials,
    endpoint: Option<String>,
    http: SharedHttpClient,
    attempt: Duration,
}

/// One client per service, made from the same settings.
macro_rules! client {
    ($account:expr, $sdk:ident) => {{
        let account: &Account = $account;
        let mut config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new(account.region.clone()))
            .credentials_provider(account.credentials.clone())
            .http_client(account.http.clone())
            .timeout_config(crate::aws::time_outs(account.attempt));
        if let Some(endpoint) = &account.endpoint {
            config = config.endpoint_url(endpoint);
        }
        $sdk::Client::from_conf(config.build())
    }};
}
use client;

impl Account {
    /// The same account, for a function that has to answer soon: one attempt takes this long at most.
    #[must_use]
    pub fn impatient(self, attempt: Duration) -> Self {
        Self { attempt, ..self }
    }

    /// Reads `AWS_REGION`, the credentials, and if they are set `AWS_ENDPOINT_URL` and `AWS_CA_BUNDLE`, the
    /// path of the certificates to trust in the place of Amazon's own
    /// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>).
    pub fn from(settings: &mut Settings<impl Fn(&str) -> Option<String>>) -> Self {
        let region = settings.text("AWS_REGION");
        let key = settings.text("AWS_ACCESS_KEY_ID");
        let secret = settings.text("AWS_SECRET_ACCESS_KEY");
        let session = settings.optional("AWS_SESSION_TOKEN");
        let endpoint = settings.optional("AWS_ENDPOINT_URL");
        let credentials = Credentials::new(key, secret, session, None, "environment");
        let trusted = settings.certificates("AWS_CA_BUNDLE").unwrap_or_else(|| AMAZON_ROOTS.into());
        let trusted = TrustStore::empty().with_pem_certificate(trusted);
        let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        let http = match TlsContext::builder().with_trust_store(trusted).build() {
            Ok(trusting) => http.tls_context(trusting).build_https(),
            Err(error) => unreachable!("a trust store is all that is set: {error}"),
        };
        Self { region, credentials, endpoint, http, attempt: ATTEMPT }
    }
}

/// The roots that AWS's certificates lead to (<https://www.amazontrust.com/repository/>). The system's store
/// would do as well, but reading it costs a third of a function's start.
const AMAZON_ROOTS: &str = include_str!("aws/amazon-roots.pem");

/// How long one attempt may take. Three, which is what the SDKs make, end before a function is stopped.
const ATTEMPT: Duration = Duration::from_secs(2);

fn time_outs(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1).min(attempt))
        .operation_attempt_timeout(attempt)
        .build()
}
