//! api-worker: takes calls from the calls queue, sends them to Bitbucket with the credential's token, and
//! says what became of each.
//!
//! What happens to a call is decided by [`bucketwheel::call`]'s verdicts; this crate carries them out. A
//! mutation is written down before it is sent. So a message that is delivered twice, a worker that dies
//! half-way, or an answer that is lost, leads to the stored outcome, to a look at Bitbucket, or to
//! `unknown`, never to a silent second send. Waiting is done by hiding the message, not by sleeping.

mod action;
mod backoff;
mod commit;
mod delete;
mod ending;
mod exchange;
mod holder;
mod hooks;
mod limits;
mod merge;
mod missed;
mod pages;
mod repositories;
mod rounds;
#[cfg(test)]
mod tests;
mod work;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use bucketwheel::bitbucket::Api;
use bucketwheel::call::CallId;
use bucketwheel::error::Causes;
use bucketwheel::metric::{Metric, Tally};
use bucketwheel::ports::{Edge, Inbox, Queue, Table};
use bucketwheel::seal::Keyring;
use bucketwheel::store::budget::Limits;
use bucketwheel::trace::{self, Trace};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
pub use limits::Learnt;
pub use rounds::{Rounds, Walked};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::{Instrument as _, Span};
use url::Url;

use crate::work::Again;

/// How many messages of a batch are worked on at once. A batch has ten at most, and none of them may use
/// up the time of the others.
const AT_ONCE: usize = 10;

/// The function with everything it needs.
#[derive(Debug)]
pub struct Worker<T, Q, E> {
    /// The table.
    pub table: T,
    /// Where outcomes go.
    pub results: Q,
    /// Where missed events go; none where they are not searched for.
    pub events: Option<Q>,
    /// Where the refresher is nudged.
    pub nudges: Q,
    /// Time and randomness.
    pub edge: E,
    /// Opens access tokens.
    pub access_ring: Keyring,
    /// Seals hook secrets.
    pub hook_ring: Keyring,
    /// Bitbucket's API.
    pub api: Api,
    /// Where webhooks are to be sent.
    pub public_url: Url,
    /// How much Bitbucket allows.
    pub limits: Limits,
    /// What this process has noted of that.
    pub learnt: Learnt,
    /// What this invocation counts.
    pub tally: Tally,
}

/// The worker, what it does unasked, and the queue that wakes it.
#[derive(Debug)]
pub struct Function<T, Q, E, I> {
    /// Works on calls.
    pub worker: Worker<T, Q, E>,
    /// Submits calls that nobody else does.
    pub rounds: Rounds<T, Q, E>,
    /// Where calls come from.
    pub inbox: I,
}

/// What an invocation gives back.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Done {
    /// To the queue.
    Worked(SqsBatchResponse),
    /// To the schedule.
    Walked(Walked),
}

impl<T: Table, Q: Queue, E: Edge, I: Inbox> Function<T, Q, E, I> {
    /// Works on a batch of the queue, or, for anything else, walks on.
    pub async fn woken(&self, event: Value, until: Timestamp) -> Result<Done, serde_json::Error> {
        if event.get("Records").is_none() {
            return Ok(Done::Walked(self.rounds.walk(until).await));
        }
        let batch = serde_json::from_value(event)?;
        Ok(Done::Worked(self.worker.batch(batch, until, &self.inbox).await))
    }
}

/// What each log line about a message says: its id and its trace. At the highest level, so that no log level
/// takes it from the lines inside.
fn span_of(text: &str) -> Span {
    #[derive(Default, Deserialize)]
    struct Marks {
        id: Option<CallId>,
        #[serde(default, deserialize_with = "trace::lenient")]
        traceparent: Option<Trace>,
    }
    let marks: Marks = serde_json::from_str(text).unwrap_or_default();
    let (id, trace) = (marks.id.as_ref().map(CallId::as_str), marks.traceparent.as_ref().map(Trace::id));
    tracing::error_span!("call", id, trace)
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Works on one batch until `until` at most, and names the messages that must come again.
    pub async fn batch(&self, event: SqsEvent, until: Timestamp, inbox: &impl Inbox) -> SqsBatchResponse {
        let messages = stream::iter(event.records).map(|message| {
            let span = span_of(message.body.as_deref().unwrap_or_default());
            self.one(message, until, inbox).instrument(span)
        });
        let again: Vec<_> = messages.buffer_unordered(AT_ONCE).filter_map(async |id| id).collect().await;
        let mut response = SqsBatchResponse::default();
        for id in again {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
        response
    }

    /// Works on one message; gives its id if it must come again.
    async fn one(&self, message: SqsMessage, until: Timestamp, inbox: &impl Inbox) -> Option<String> {
        let text = message.body.as_deref().unwrap_or_default();
        let receives = message.attributes.get("ApproximateReceiveCount").and_then(|n| n.parse().ok());
        let receives = receives.unwrap_or(1);
        let again = match self.work(text, receives, until).await {
            Ok(()) => return None,
            Err(again) => again,
        };
        tracing::warn!(error = %Causes(&again), receives, "call not finished");
        let put = match &again {
            Again::NotACall(_) => {
                self.tally.add(Metric::CallMalformed, 1);
                let buried = inbox.bury(text, &Causes(&again).to_string()).await;
                if buried.is_ok() {
                    return None;
                }
                buried
            }
            again => {
                let seconds = backoff::seconds(again.after(), receives, self.edge.random());
                inbox.hide(message.receipt_handle.as_deref().unwrap_or_default(), seconds).await
            }
        };
        // Then it comes again when the queue's own time-out is over.
        if let Err(error) = put {
            tracing::warn!(error = %Causes(&error), "message not put back");
        }
        Some(message.message_id.unwrap_or_default())
    }
}
