//! The adapters to AWS.
//!
//! They are made from the environment that Lambda gives a function: region, credentials, and an endpoint
//! where somebody set one. Looking elsewhere for them would cost start-up time.

mod api;
mod backlog;
mod edge;
mod queue;
mod secrets;
mod sign;
mod table;

use std::time::Duration;

use api::Connections;
pub use backlog::SqsBacklog;
pub use edge::Host;
pub use queue::{Incoming, SqsInbox, SqsQueue};
pub use secrets::{Reading, SecretError, SecretKeyring, Secrets};
use sign::Credentials;
pub use table::DynamoTable;
use url::Url;

use crate::config::Settings;

/// How to reach AWS.
#[derive(Debug, Clone)]
pub struct Account {
    region: String,
    credentials: Credentials,
    endpoint: Option<Url>,
    connections: Connections,
    attempt: Duration,
}

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
        let secret = settings.text("AWS_SECRET_ACCESS_KEY").into();
        let session = settings.optional("AWS_SESSION_TOKEN");
        let credentials = Credentials { key, secret, session };
        let endpoint = settings.optional_url("AWS_ENDPOINT_URL");
        let trusted = settings.certificates("AWS_CA_BUNDLE");
        let connections = Connections::trusting(trusted.as_deref().unwrap_or(AMAZON_ROOTS));
        Self { region, credentials, endpoint, connections, attempt: ATTEMPT }
    }
}

/// The roots that AWS's certificates lead to (<https://www.amazontrust.com/repository/>). The system's store
/// would do as well, but reading it costs a third of a function's start.
const AMAZON_ROOTS: &[u8] = include_bytes!("aws/amazon-roots.pem");

/// How long one attempt may take. Three, with the pauses between them, end before a function is stopped.
const ATTEMPT: Duration = Duration::from_secs(2);
