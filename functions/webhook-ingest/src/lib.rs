//! webhook-ingest: verify a delivery, wrap it, enqueue it, answer 202.
//!
//! Bitbucket gives ten seconds, and sends again only after an answer of 500 to 599, at most twice and at
//! once (<https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/>). So a delivery that
//! cannot be stored is answered 503, and 4xx is for a sender who is proven wrong.

mod known;
mod request;

use std::time::Duration;

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::event::{Delivery, Enveloped};
use bucketwheel::ports::{Outgoing, Queue, QueueError, Table, TableError};
use bucketwheel::seal::{Keyring, OpenError};
use bucketwheel::signature::{Claimed, Verified, verify};
use jiff::Timestamp;
use known::Known;
pub use request::{Request, Response};

/// The largest body that is looked at, in bytes. Bitbucket sends up to 256 KiB.
pub const LARGEST_BODY: usize = 1024 * 1024;
/// The largest message that SQS takes, in bytes.
const LARGEST_MESSAGE: usize = 1024 * 1024;
/// Time for all of it. Within this the answer is 202 or 503, whatever the table and the queue do.
const PATIENCE: Duration = Duration::from_secs(7);

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is on the events queue.
    Accepted,
    /// Its signature is missing or wrong, or there is no such credential. The two look alike.
    Rejected,
    /// It is larger than a delivery can be.
    TooLarge,
    /// It could not be stored: Bitbucket must send it again.
    Unavailable,
}

impl Answer {
    /// As API Gateway wants it.
    pub fn response(self) -> Response {
        match self {
            Answer::Accepted => Response::new(202, "accepted"),
            Answer::Rejected => Response::new(401, "signature missing or wrong"),
            Answer::TooLarge => Response::new(413, "larger than 1 MiB"),
            Answer::Unavailable => Response::new(503, "try again"),
        }
    }
}

/// Why a delivery could not be stored.
#[derive(Debug, thiserror::Error)]
enum Unstored {
    #[error("the hook's secret could not be read")]
    Table(#[from] TableError),
    #[error("the hook's secret could not be opened")]
    Seal(#[from] OpenError),
    #[error("the delivery could not be put on the events queue")]
    Queue(#[from] QueueError),
}

/// The function with its table, its queue and its keyring.
#[derive(Debug)]
pub struct Ingest<T, Q> {
    table: T,
    events: Q,
    ring: Keyring,
    known: Known,
}

impl<T: Table, Q: Queue> Ingest<T, Q> {
    /// An ingest that knows no hook yet.
    pub fn new(table: T, events: Q, ring: Keyring) -> Self {
        Self { table, events, ring, known: Known::default() }
    }

    /// Handles one request.
    pub async fn handle(&self, request: &Request<'_>, now: Timestamp) -> Answer {
        let answer = match tokio::time::timeout(PATIENCE, self.take(request, now)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::error!(error = %Causes(&error), "delivery not stored");
                Answer::Unavailable
            }
            Err(_) => {
                tracing::error!("delivery not stored in time");
                Answer::Unavailable
            }
        };
        tracing::info!(
            credential = request.credential(),
            event_key = request.event_key(),
            request_id = request.request_id(),
            bytes = request.size(),
            ?answer,
            "delivery"
        );
        answer
    }

    async fn take(&self, request: &Request<'_>, now: Timestamp) -> Result<Answer, Unstored> {
        if request.size() > LARGEST_BODY {
            return Ok(Answer::TooLarge);
        }
        let Some(body) = request.body() else { return Ok(Answer::Rejected) };
        let Ok(credential) = request.credential().parse::<CredentialId>() else {
            return Ok(Answer::Rejected);
        };
        let Ok(claimed) = Claimed::parse(request.signature()) else { return Ok(Answer::Rejected) };
        let Some(verified) = self.verified(&credential, &body, claimed, now).await? else {
            return Ok(Answer::Rejected);
        };
        let delivery = Delivery {
            credential: &credential,
            verified,
            event_key: request.event_key(),
            hook_id: request.hook_id(),
            request_id: request.request_id(),
            attempt: request.attempt(),
            traceparent: request.traceparent(),
            received_at: now,
        };
        self.enqueue(delivery.envelope()).await
    }

    async fn enqueue(&self, Enveloped { id, group, text }: Enveloped) -> Result<Answer, Unstored> {
        if text.len() > LARGEST_MESSAGE {
            return Ok(Answer::TooLarge);
        }
        self.events.send(Outgoing { body: text, group: Some(group), dedup: Some(id) }).await?;
        Ok(Answer::Accepted)
    }

    /// Checks the signature against the secrets that are known, and against the table's if those may be
    /// out of date.
    async fn verified<'b>(
        &self,
        credential: &CredentialId,
        body: &'b [u8],
        claimed: Claimed,
        now: Timestamp,
    ) -> Result<Option<Verified<'b>>, Unstored> {
        if let Some(secrets) = self.known.fresh(credential, now) {
            let verified = verify(body, claimed, &secrets);
            if verified.is_some() || !self.known.may_reread(credential, now) {
                return Ok(verified);
            }
        }
        let found = bucketwheel::store::hooks::get(&self.table, credential).await?;
        let secrets = match found {
            Some(sealed) => sealed.open(&self.ring, credential)?,
            None => Vec::new(),
        };
        let verified = verify(body, claimed, &secrets);
        self.known.remember(credential, secrets, now);
        Ok(verified)
    }
}

#[cfg(test)]
mod tests;
