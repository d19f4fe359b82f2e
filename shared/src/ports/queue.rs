//! What is needed of a queue: by whoever puts a message on it, and by whom it wakes.

use std::borrow::Cow;
use std::future::Future;

use serde_json::json;

use crate::call::Message;
use crate::event::Enveloped;
use crate::rotation::Nudge;

/// A message for a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The text.
    pub body: Cow<'a, str>,
    /// In a FIFO queue: what it is ordered with.
    pub group: Option<String>,
    /// In a FIFO queue: a second message with the same text here, within five minutes, is dropped.
    pub dedup: Option<String>,
}

impl<'a> Outgoing<'a> {
    /// A message for a queue without order.
    pub fn plain(body: impl Into<Cow<'a, str>>) -> Self {
        Self { body: body.into(), group: None, dedup: None }
    }

    /// A message for the events queue, or for another with the same order.
    pub fn event(event: &'a Enveloped) -> Self {
        let Enveloped { id, group, text } = event;
        Self { body: Cow::Borrowed(text), group: Some(group.clone()), dedup: Some(id.clone()) }
    }

    /// A message for the refresh queue.
    pub fn nudge(nudge: &Nudge) -> Self {
        Self::plain(json!(nudge).to_string())
    }

    /// A message for the calls queue. The calls of one credential are one group, so that a long row of
    /// them does not hold up the others
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>).
    pub fn call(message: &Message) -> Self {
        Self { group: Some(message.credential.to_string()), ..Self::plain(json!(message).to_string()) }
    }
}

/// Why the queue did not take it.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue did not answer, or said to slow down. The message may have been taken.
    #[error("the queue is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The queue will not take this message.
    #[error("the queue refused the message")]
    Rejected(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A queue that takes messages.
pub trait Queue: Send + Sync {
    /// Puts one message on the queue.
    fn send(&self, message: Outgoing<'_>) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// The queue that a function is woken by: what can be done with a message besides working on it.
pub trait Inbox: Send + Sync {
    /// Hides a received message from everybody for so many seconds; then it comes again.
    fn hide(&self, receipt: &str, seconds: u32) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Puts a message that nobody can work on into the dead-letter queue, with the cause beside it. Moved
    /// back from there it is the same message.
    fn bury(&self, body: &str, cause: &str) -> impl Future<Output = Result<(), QueueError>> + Send;
}
