//! A service of AWS that speaks JSON: a signed request, its answer, and another try where that may help.
//!
//! Three services with fifteen operations do not need three SDK crates: these were half of every function's
//! file, and two thirds of the time of a warm delivery.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::sign::{Signable, Signer};
use super::{Account, Host};
use crate::ports::Edge as _;

/// How often a request is made at most. What may be made twice is safe to make twice: a write of the table
/// has a condition, and a queue with an order drops the second message.
const TRIES: u32 = 3;
/// The longest pause before the second try; it doubles with each further one. Each pause is a random part
/// of that, so that many who failed together do not come again together.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(1);

/// Connections to AWS, which clients of several services share.
#[derive(Debug, Clone)]
pub(super) struct Connections(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Connections {
    /// Trusts these certificates, in PEM; those that cannot be read are left out.
    pub(super) fn trusting(pem: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let Ok(config) = config else { unreachable!("the provider has the usual versions of TLS") };
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let tls = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        Self(Client::builder(TokioExecutor::new()).build(tls.wrap_connector(tcp)))
    }
}

/// What a service is called, and which JSON it speaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    /// In its address and in a signature.
    name: &'static str,
    /// Before the name of an operation.
    prefix: &'static str,
    kind: &'static str,
}

pub(super) const TABLE: Dialect =
    Dialect { name: "dynamodb", prefix: "DynamoDB_20120810", kind: "application/x-amz-json-1.0" };
pub(super) const QUEUE: Dialect =
    Dialect { name: "sqs", prefix: "AmazonSQS", kind: "application/x-amz-json-1.0" };
pub(super) const SECRETS: Dialect =
    Dialect { name: "secretsmanager", prefix: "secretsmanager", kind: "application/x-amz-json-1.1" };

/// One service.
#[derive(Debug, Clone)]
pub(super) struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connections: Connections,
    signer: Signer,
    dialect: Dialect,
    /// None where the settings do not make an address.
    address: Option<Uri>,
    attempt: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("AWS has no address: {0}")]
    NoAddress(&'static str),
    #[error("no answer came")]
    Lost(#[source] hyper_util::client::legacy::Error),
    #[error("the answer broke off")]
    BrokenOff(#[source] hyper::Error),
    #[error("no answer came in time")]
    Slow,
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("the answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

/// What AWS said instead of an answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    /// Which error it is, such as `ConditionalCheckFailedException`.
    code: String,
    pub(super) body: Value,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name| self.body.get(name).and_then(Value::as_str);
        let message = text("message").or_else(|| text("Message")).unwrap_or_default();
        write!(f, "{} {}: {message}", self.status, self.code)
    }
}

impl Refusal {
    /// SQS names its errors in a header as it did before it spoke JSON, where it is asked to
    /// (<https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>).
    fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let before = headers.get("x-amzn-query-error").and_then(|value| value.to_str().ok());
        let before = before.and_then(|error| error.split(';').next());
        let before = before.map(|code| code.trim_start_matches("AWS.SimpleQueueService."));
        let told = body.get("__type").and_then(Value::as_str);
        let told = told.and_then(|kind| kind.rsplit('#').next());
        Self { status, code: before.or(told).unwrap_or_default().to_owned(), body }
    }
}

impl Failure {
    /// AWS's name for the error, if it was AWS that refused.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    /// Whether another try may help: nobody answered, or the answer was not to this request
    /// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
    fn may_pass(&self) -> bool {
        const PASSING: [&str; 16] = [
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "LimitExceededException",
            "PriorRequestNotComplete",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestTimeout",
            "RequestTimeoutException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
            "TransactionInProgressException",
        ];
        match self {
            Self::Lost(_) | Self::BrokenOff(_) | Self::Slow => true,
            Self::Refused(refusal) => {
                matches!(refusal.status, 500 | 502..=504) || PASSING.contains(&&*refusal.code)
            }
            Self::NoAddress(_) | Self::Unreadable(_) => false,
        }
    }
}

impl Api {
    pub(super) fn new(account: &Account, dialect: Dialect) -> Self {
        let Account { region, credentials, endpoint, connections, attempt } = account;
        let address = match endpoint {
            Some(endpoint) => endpoint.to_string(),
            None => {
                // China is a partition of its own.
                let end = if region.starts_with("cn-") { ".cn" } else { "" };
                format!("https://{}.{region}.amazonaws.com{end}/", dialect.name)
            }
        };
        let signer = Signer::new(credentials.clone(), region.clone(), dialect.name);
        let (connections, attempt) = (connections.clone(), *attempt);
        Self(Arc::new(Inner { connections, signer, dialect, address: address.parse().ok(), attempt }))
    }

    /// Asks, and reads the answer.
    pub(super) async fn ask<A: DeserializeOwned>(
        &self,
        operation: &str,
        question: &impl Serialize,
    ) -> Result<A, Failure> {
        self.ask_for(self.0.attempt, operation, question).await
    }

    /// The same, where each attempt may take this long.
    pub(super) async fn ask_for<A: DeserializeOwned>(
        &self,
        attempt: Duration,
        operation: &str,
        question: &impl Serialize,
    ) -> Result<A, Failure> {
        let answer = self.exchange(attempt, operation, question).await?;
        serde_json::from_slice(&answer).map_err(Failure::Unreadable)
    }

    /// Tells AWS something to which there is no answer besides that it was done.
    pub(super) async fn tell(&self, operation: &str, what: &impl Serialize) -> Result<(), Failure> {
        self.exchange(self.0.attempt, operation, what).await.map(drop)
    }

    async fn exchange(
        &self,
        attempt: Duration,
        operation: &str,
        question: &impl Serialize,
    ) -> Result<Bytes, Failure> {
        let body = Bytes::from(serde_json::to_vec(question).map_err(Failure::Unreadable)?);
        let target = format!("{}.{operation}", self.0.dialect.prefix);
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.attempt(attempt, &target, body.clone()).await {
                Err(failure) if failure.may_pass() => {}
                settled => return settled,
            }
            let part = f64::from(u32::from_le_bytes(Host.random())) / f64::from(u32::MAX);
            sleep(pause.mul_f64(part)).await;
            pause *= 2;
        }
        self.attempt(attempt, &target, body).await
    }

    async fn attempt(&self, longest: Duration, target: &str, body: Bytes) -> Result<Bytes, Failure> {
        timeout(longest, self.once(target, body)).await.unwrap_or(Err(Failure::Slow))
    }

    async fn once(&self, target: &str, body: Bytes) -> Result<Bytes, Failure> {
        let Inner { connections, signer, dialect, address, .. } = &*self.0;
        let address = address.as_ref().ok_or(Failure::NoAddress("the region or the endpoint is none"))?;
        let host = address.authority().map_or("", |authority| authority.as_str());
        let signable = Signable { host, path: address.path(), kind: dialect.kind, target, body: &body };
        let signed = signer.sign(signable, Host.now());
        let mut request = Request::post(address.clone())
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, dialect.kind)
            .header("x-amz-target", target)
            // SQS: errors under their old names, as `Refusal` reads them.
            .header("x-amzn-query-mode", "true")
            .header("x-amz-date", signed.time)
            .header(header::AUTHORIZATION, signed.authorization);
        if let Some(session) = &signer.credentials.session {
            request = request.header("x-amz-security-token", session);
        }
        let request = request.body(Full::new(body));
        let request = request.map_err(|_| Failure::NoAddress("the credentials are no headers"))?;
        let (head, body) = connections.0.request(request).await.map_err(Failure::Lost)?.into_parts();
        let body = body.collect().await.map_err(Failure::BrokenOff)?.to_bytes();
        if head.status.is_success() {
            return Ok(body);
        }
        Err(Failure::Refused(Box::new(Refusal::new(head.status.as_u16(), &head.headers, &body))))
    }
}

#[cfg(test)]
mod tests;
