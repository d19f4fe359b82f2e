//! api-worker: takes calls from the calls queue, sends them to Bitbucket with the credential's token, and
//! says what became of each.
//!
//! A mutation is written down before it is sent. So a message that is delivered twice, or a worker that
//! dies half-way, leads to the stored outcome or to `unknown`, never to a silent second send.
//!
//! ```text
//! message ─▶ journal ─▶ credential and token ─▶ write down ─▶ send ─▶ judge ─▶ store ─▶ reply ─▶ ack
//!               │ finished: reply again                         │
//!               └ sent, no outcome: unknown                     └ not done: take back, retry
//! ```

mod action;
mod delete;
mod exchange;
mod work;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use bucketwheel::bitbucket::Api;
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::seal::Keyring;
use url::Url;

/// The function with everything it needs.
#[derive(Debug)]
pub struct Worker<T, Q, E> {
    /// The table.
    pub table: T,
    /// Where outcomes go.
    pub results: Q,
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
}

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done with.
    Ack,
    /// It stays on the queue and comes again, or ends in the dead-letter queue.
    Retry,
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Works on one batch, and names the messages that must come again.
    pub async fn batch(&self, event: SqsEvent) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for message in event.records {
            let text = message.body.as_deref().unwrap_or_default();
            if self.work(text).await == Verdict::Retry {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = message.message_id.unwrap_or_default();
                response.batch_item_failures.push(failure);
            }
        }
        response
    }
}
