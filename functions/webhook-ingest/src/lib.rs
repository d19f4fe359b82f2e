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

mod came;
mod copy;
mod counted;
mod drain;
mod known;
mod onward;
mod proof;
mod request;
mod ring;
mod stale;
mod waiting;

use std::time::Duration;

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::event::Delivery;
use bucketwheel::metric::{Metric, Tally};
use bucketwheel::ports::{Edge, Keys, KeysError, Queue, QueueError, Table, TableError};
use bucketwheel::seal::OpenError;
use bucketwheel::signature::Verified;
use bucketwheel::trace::Trace;
use came::Unnoted;
use counted::Counted;
pub use drain::Drained;
use jiff::Timestamp;
use known::Known;
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
/// One attempt of the drain at the table: nobody waits for its answer, and a slow one is better than none.
pub const DRAIN_ATTEMPT: Duration = Duration::from_secs(4);
/// Time in which a drain sends: most of the minute until the next one, since what comes meanwhile for a group
/// that waits is parked behind it; and less than the five minutes in which the queue drops what it has taken.
pub const DRAIN: Duration = Duration::from_secs(48);
/// Time for a drain to take away what it has sent.
pub const ENDS: Duration = Duration::from_secs(8);
/// Time for all of it. Within this the answer is 202 or 503, whatever the table and the queue do.
const PATIENCE: Duration = Duration::from_secs(7);
/// Time for the hook and its secrets.
const LOOKUP: Duration = Duration::from_millis(2_500);
/// Time for a note: that a new secret has matched, that a list has changed, what was counted.
const NOTE: Duration = Duration::from_millis(300);
/// Time for all that was counted, when the drain comes.
const FLUSH: Duration = Duration::from_millis(600);

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is on the events queue.
    Accepted,
    /// It is on the events queue, and the table could not be asked whether others wait before it.
    Unasked,
    /// It waits in the table for the events queue.
    Parked,
    /// A filter dropped it.
    Filtered,
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
            Answer::Accepted | Answer::Unasked | Answer::Parked | Answer::Filtered => {
                Response::new(202, "accepted")
            }
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
    /// The same table, for the drain.
    patient: Option<T>,
    events: Q,
    pushes: Option<Q>,
    ring: Ring<K>,
    edge: E,
    known: Known,
    waiting: Waiting,
    counted: Counted,
    /// None where missed events are not searched for.
    unnoted: Option<Unnoted>,
    /// What this invocation counts.
    pub tally: Tally,
}

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    /// An ingest that knows no hook yet.
    pub fn new(table: T, events: Q, keys: K, edge: E) -> Self {
        let (ring, known, waiting) = (Ring::new(keys), Known::default(), Waiting::default());
        Self {
            table,
            patient: None,
            events,
            pushes: None,
            ring,
            edge,
            known,
            waiting,
            counted: Counted::default(),
            unnoted: None,
            tally: Tally::default(),
        }
    }

    /// Has the drain ask the table in this way, which may wait longer for an answer ([`DRAIN_ATTEMPT`]).
    #[must_use]
    pub fn with_patient(self, table: T) -> Self {
        Self { patient: Some(table), ..self }
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
            Event::Wake => {
                let drained = Box::pin(self.drain()).await;
                let stored = async { tokio::join!(self.store_all(), self.note_all_that_came()) };
                let _ = timeout(FLUSH, stored).await;
                Done::Drained(drained)
            }
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
            Answer::Filtered => &[Metric::DeliveryFiltered],
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
        let now = self.edge.now();
        let credential = request.credential().parse::<CredentialId>();
        let Ok(claimed) = request.claimed() else {
            if let Ok(credential) = &credential {
                self.note_rejection(request, credential, "unsigned", now);
            }
            return Ok(self.rejected(Metric::RejectedUnsigned));
        };
        let Ok(credential) = credential else { return Ok(self.rejected(Metric::RejectedSignature)) };
        let Some(verified) = self.verified(&credential, &body, &claimed, now).await? else {
            self.note_rejection(request, &credential, "wrong_signature", now);
            return Ok(self.rejected(Metric::RejectedSignature));
        };
        self.note_match(&credential, verified.secret_version, now).await;
        let taken = self.taken(request, &credential, verified, trace, now).await;
        self.note_taken(request, &credential, verified.secret_version, &taken, now).await;
        self.note_came(request, &credential, verified.body(), &taken, now).await;
        taken
    }

    /// What becomes of a delivery whose signature is right.
    async fn taken(
        &self,
        request: &Request<'_>,
        credential: &CredentialId,
        verified: Verified<'_>,
        trace: &Trace,
        now: Timestamp,
    ) -> Result<Answer, Unstored> {
        if self.is_filtered(request, credential, verified.body(), now).await {
            return Ok(Answer::Filtered);
        }
        let delivery = Delivery {
            credential,
            verified,
            event_key: request.event_key(),
            hook_id: request.hook_id(),
            request_id: request.request_id(),
            attempt: request.attempt(),
            trace,
            received_at: now,
        };
        Box::pin(self.sent(credential, request.event_key(), &delivery.envelope())).await
    }
}

#[cfg(test)]
mod tests;
