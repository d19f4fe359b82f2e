//! webhook-ingest: verify a delivery, wrap it, enqueue it, answer 202.
//!
//! Bitbucket gives ten seconds, and sends again only after an answer of 500 to 599, at most twice and at
//! once (<https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/>). So a delivery that
//! the queue does not take is parked in the table and still answered 202; what cannot be stored at all is
//! answered 503; and 4xx is for a sender who is proven wrong. What is parked is drained by the same
//! function, woken by a schedule.
//!
//! ```text
//! request ─▶ size ─▶ signature header ─▶ hook ─▶ verify ─▶ wrap ─▶ something waits? ─no─▶ queue ─▶ 202
//!                                                                       │ yes              │ fails
//!                                                                       └─────▶ park ◀─────┘ ─▶ 202
//! schedule ─▶ drain: parked, oldest first per group ─▶ queue
//! ```

mod drain;
mod known;
mod onward;
mod request;
mod ring;
mod stale;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::event::Delivery;
use bucketwheel::metric::{Metric, Tally};
use bucketwheel::ports::{Edge, Keys, KeysError, Queue, QueueError, Table, TableError};
use bucketwheel::seal::OpenError;
use bucketwheel::signature::{Claimed, Verified, verify};
use bucketwheel::store::hooks::{self, HookSecrets};
use bucketwheel::trace::Trace;
pub use drain::Drained;
use jiff::Timestamp;
use known::{Hook, Known};
pub use request::{Event, Request, Response};
use ring::Ring;
use serde::Serialize;
use tokio::time::timeout;
use tracing::Instrument as _;
use waiting::Waiting;

/// The largest body that is looked at, in bytes. Bitbucket sends up to 256 KiB.
pub const LARGEST_BODY: usize = 1024 * 1024;
/// One attempt at the table, the queue or the keyring takes no longer than this.
pub const ATTEMPT: Duration = Duration::from_millis(900);
/// Time for all of it. Within this the answer is 202 or 503, whatever the table and the queue do.
const PATIENCE: Duration = Duration::from_secs(7);
/// Time for the hook and its secrets.
const LOOKUP: Duration = Duration::from_millis(2_500);
/// Time for a note: that a new secret has matched, that a list has changed.
const NOTE: Duration = Duration::from_millis(300);

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is on the events queue.
    Accepted,
    /// It is on the events queue, and the table could not be asked whether others wait before it.
    Unasked,
    /// It waits in the table for the events queue.
    Parked,
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
            Answer::Accepted | Answer::Unasked | Answer::Parked => Response::new(202, "accepted"),
            Answer::Rejected => Response::new(401, "signature missing or wrong"),
            Answer::TooLarge => Response::new(413, "larger than 1 MiB"),
            Answer::Unavailable => Response::new(503, "try again"),
        }
    }
}

/// What the function gives back.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Done {
    /// To API Gateway.
    Answered(Response),
    /// To whoever woke it.
    Drained(Drained),
}

/// Why a delivery could not be stored.
#[derive(Debug, thiserror::Error)]
enum Unstored {
    #[error("API Gateway's base64 is broken")]
    Base64,
    #[error("the hook's secrets could not be read")]
    Table(#[from] TableError),
    #[error("the hook's secrets could not be opened")]
    Seal(#[from] OpenError),
    #[error("the hook's secrets could not be opened")]
    Keys(#[from] KeysError),
    #[error("the hook's secrets could not be read in time")]
    Slow,
    #[error("the signature does not match, but there may be a newer secret")]
    Unproven,
    #[error("the delivery could not be put on the events queue")]
    Queue(#[from] QueueError),
    #[error("others may wait, and the table cannot be asked")]
    Unasked,
}

/// The function with its table, its queue, its keyring and its edge.
#[derive(Debug)]
pub struct Ingest<T, Q, K, E> {
    table: T,
    events: Q,
    ring: Ring<K>,
    edge: E,
    known: Known,
    waiting: Waiting,
    /// What this invocation counts.
    pub tally: Tally,
}

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    /// An ingest that knows no hook yet.
    pub fn new(table: T, events: Q, keys: K, edge: E) -> Self {
        let (ring, known, waiting) = (Ring::new(keys), Known::default(), Waiting::default());
        Self { table, events, ring, edge, known, waiting, tally: Tally::default() }
    }

    /// Handles one event: answers a request, or drains.
    pub async fn woken(&self, event: &str) -> Done {
        match Event::parse(event) {
            Event::Request(request) => Done::Answered(Box::pin(self.handle(&request)).await.response()),
            Event::Unreadable(error) => {
                tracing::error!(line = error.line(), column = error.column(), "request not understood");
                self.count(Answer::Unavailable);
                Done::Answered(Answer::Unavailable.response())
            }
            Event::Wake => Done::Drained(Box::pin(self.drain()).await),
        }
    }

    /// Handles one request.
    pub async fn handle(&self, request: &Request<'_>) -> Answer {
        let trace = request.trace(self.edge.random());
        // At the highest level, so that no log level takes it from the lines inside.
        let span = tracing::error_span!("delivery", trace = trace.id());
        self.answer(request, &trace).instrument(span).await
    }

    async fn answer(&self, request: &Request<'_>, trace: &Trace) -> Answer {
        let answer = match timeout(PATIENCE, self.take(request, trace)).await {
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
            credential = request.credential().parse::<CredentialId>().ok().as_ref().map(CredentialId::as_str),
            event_key = request.event_key(),
            request_id = request.request_id(),
            bytes = request.size(),
            ?answer,
            "delivery"
        );
        self.count(answer);
        self.note_stale(request, answer).await;
        answer
    }

    fn count(&self, answer: Answer) {
        let metrics: &[Metric] = match answer {
            Answer::Accepted => &[Metric::DeliveryAccepted],
            Answer::Unasked => &[Metric::DeliveryAccepted, Metric::DeliveryUnasked],
            Answer::Parked => &[Metric::DeliveryParked],
            // Counted with its cause, where that is known.
            Answer::Rejected => &[],
            Answer::TooLarge => &[Metric::RejectedSize],
            Answer::Unavailable => &[Metric::DeliveryUnavailable],
        };
        metrics.iter().for_each(|metric| self.tally.add(*metric, 1));
    }

    fn rejected(&self, cause: Metric) -> Answer {
        self.tally.add(cause, 1);
        Answer::Rejected
    }

    async fn take(&self, request: &Request<'_>, trace: &Trace) -> Result<Answer, Unstored> {
        if request.size() > LARGEST_BODY {
            return Ok(Answer::TooLarge);
        }
        let body = request.body().ok_or(Unstored::Base64)?;
        let Ok(claimed) = request.claimed() else { return Ok(self.rejected(Metric::RejectedUnsigned)) };
        let Ok(credential) = request.credential().parse::<CredentialId>() else {
            return Ok(self.rejected(Metric::RejectedSignature));
        };
        let now = self.edge.now();
        let Some(verified) = self.verified(&credential, &body, &claimed, now).await? else {
            return Ok(self.rejected(Metric::RejectedSignature));
        };
        self.note_match(&credential, verified.secret_version, now).await;
        let delivery = Delivery {
            credential: &credential,
            verified,
            event_key: request.event_key(),
            hook_id: request.hook_id(),
            request_id: request.request_id(),
            attempt: request.attempt(),
            trace,
            received_at: now,
        };
        Box::pin(self.onward(&credential, delivery.envelope())).await
    }

    /// Checks the signature against the secrets that are known, and against the table's if those may be
    /// out of date. None only where the table's own secrets do not match: a secret that is newer than
    /// what this process knows must not cost a delivery.
    async fn verified<'b>(
        &self,
        credential: &CredentialId,
        body: &'b [u8],
        claimed: &Claimed,
        now: Timestamp,
    ) -> Result<Option<Verified<'b>>, Unstored> {
        let known = self.known.get(credential);
        if let Some(hook) = known.as_ref().filter(|hook| hook.is_fresh(now)) {
            let verified = verify(body, claimed, &hook.secrets);
            if verified.is_some() {
                return Ok(verified);
            }
            if !self.known.may_reread(now) {
                return Err(Unstored::Unproven);
            }
        }
        let read = timeout(LOOKUP, self.read(credential, now)).await;
        match read.unwrap_or(Err(Unstored::Slow)) {
            Ok(hook) => Ok(verify(body, claimed, &hook.secrets)),
            Err(error) => {
                let hook = known.filter(|hook| hook.may_stand_in(now));
                match hook.and_then(|hook| verify(body, claimed, &hook.secrets)) {
                    Some(verified) => {
                        tracing::warn!(error = %Causes(&error), "verified with what was read earlier");
                        Ok(Some(verified))
                    }
                    None => Err(error),
                }
            }
        }
    }

    /// Tells a rotation that Bitbucket signs with the new secret: one write, not one per delivery. What
    /// fails here is done by a later delivery.
    async fn note_match(&self, credential: &CredentialId, version: u64, now: Timestamp) {
        let Some(hook) = self.known.get(credential).filter(|hook| hook.awaited == Some(version)) else {
            return;
        };
        let noted = timeout(NOTE, hooks::matched(&self.table, credential, version)).await;
        if matches!(noted, Ok(Ok(()))) {
            let hook = Hook { secrets: hook.secrets.clone(), awaited: None, read_at: now.min(hook.read_at) };
            self.known.remember(credential, hook);
        }
    }

    async fn read(&self, credential: &CredentialId, now: Timestamp) -> Result<Arc<Hook>, Unstored> {
        let found = hooks::get(&self.table, credential).await?;
        let awaited = found.as_ref().map(HookSecrets::newest);
        let awaited = awaited.filter(|newest| found.as_ref().is_some_and(|found| found.awaits(*newest)));
        let secrets = match found {
            Some(sealed) => match sealed.open(&*self.ring.get(now).await?, credential) {
                Err(OpenError::UnknownKey(_)) if let Some(newer) = self.ring.newer(now).await? => {
                    sealed.open(&newer, credential)?
                }
                opened => opened?,
            },
            // The same work, so that neither the time nor a keyring that is away tells which hooks there are.
            None => {
                self.ring.open_nobodys(now).await?;
                Vec::new()
            }
        };
        Ok(self.known.remember(credential, Hook { secrets, awaited, read_at: now }))
    }
}

#[cfg(test)]
mod tests;
