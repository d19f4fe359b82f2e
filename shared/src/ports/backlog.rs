//! A queue as its operator sees it: how much waits, and what died.

use std::future::Future;

use jiff::Timestamp;

use super::QueueError;

/// How many messages a queue holds, as far as it can tell at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Those that the next reader gets.
    pub waiting: u64,
    /// Those that a reader has and has not finished with, or that were hidden to come again later.
    pub hidden: u64,
    /// Those that were sent with a delay.
    pub delayed: u64,
}

/// The depths of a queue and of its dead-letter queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depths {
    /// Of the queue.
    pub living: Depth,
    /// Of its dead-letter queue.
    pub dead: Depth,
}

/// What a sender put beside a message's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// `String`, `Number` or `Binary`, perhaps with a custom part after a dot.
    pub kind: String,
    /// Its value: a text's bytes, unless it is binary.
    pub value: Vec<u8>,
}

/// A message that nobody could work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// What the queue calls it. It keeps that name while it lies there.
    pub id: String,
    /// The text.
    pub body: String,
    /// Why it was put there, if somebody said so. A queue that gave up after too many receives says nothing.
    pub cause: Option<String>,
    /// What else was put beside the text.
    pub attributes: Vec<Attribute>,
    /// What it is ordered with, or shares the queue fairly with.
    pub group: Option<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// How often it was received, looks of operators included.
    pub receives: u32,
    /// Names it until it is put back or removed.
    pub receipt: String,
}

/// A queue together with its dead-letter queue.
pub trait Backlog: Send + Sync {
    /// How much waits in both.
    fn depths(&self) -> impl Future<Output = Result<Depths, QueueError>> + Send;

    /// Takes up to ten dead letters and hides them for so many seconds, so that the next take gives others.
    /// None means that none was left, but for hidden ones. Of a group that is ordered no more are given
    /// while some are hidden.
    fn take(&self, seconds: u32) -> impl Future<Output = Result<Vec<DeadLetter>, QueueError>> + Send;

    /// Shows hidden dead letters again, in the order in which they lay. Those that are not hidden any more
    /// are passed over.
    fn put_back(&self, receipts: &[String]) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Puts a copy of a dead letter on the queue it came from, with its group and its attributes, but for the
    /// cause. Within five minutes an ordered queue takes a copy of the same dead letter once.
    fn send_again(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Removes a dead letter for good.
    fn remove(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), QueueError>> + Send;
}
