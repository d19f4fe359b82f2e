//! The port [`Queue`] on SQS.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Account;
use super::api::{self, Api, Failure};
use crate::ports::{Inbox, Outgoing, Queue, QueueError};

/// The message attribute that says why a message is a dead letter. SQS itself records no cause.
pub(super) const CAUSE: &str = "cause";

/// One queue.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    api: Api,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(account: &Account, url: String) -> Self {
        Self { api: Api::new(account, api::QUEUE), url }
    }
}

/// A message that was received and is hidden from others for the queue's visibility time-out.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The text.
    pub body: String,
    /// In a dead-letter queue: why it was put there, if somebody said so.
    pub cause: Option<String>,
    /// How often it was received, this time included. After some times a queue moves it to its
    /// dead-letter queue.
    pub receives: u32,
    receipt: String,
}

impl SqsQueue {
    /// Receives up to ten messages, waiting up to `seconds` (at most 20) for the first.
    pub async fn receive(&self, seconds: u8) -> Result<Vec<Incoming>, QueueError> {
        self.receive_hidden(seconds, None).await
    }

    /// Receives like [`receive`](Self::receive), and leaves the messages where others receive them too.
    pub async fn peek(&self, seconds: u8) -> Result<Vec<Incoming>, QueueError> {
        self.receive_hidden(seconds, Some(0)).await
    }

    async fn receive_hidden(&self, seconds: u8, hidden: Option<u32>) -> Result<Vec<Incoming>, QueueError> {
        let mut question = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": 10,
            "MessageAttributeNames": [CAUSE],
            "MessageSystemAttributeNames": [RECEIVES],
            "WaitTimeSeconds": seconds.min(20),
        });
        if let Some(hidden) = hidden {
            question["VisibilityTimeout"] = json!(hidden);
        }
        let attempt = Duration::from_secs(u64::from(seconds) + 5);
        let received: Received =
            self.api.ask_for(attempt, "ReceiveMessage", &question).await.map_err(away)?;
        let incoming = |mut message: Message| Incoming {
            receives: message.attributes.get(RECEIVES).and_then(|count| count.parse().ok()).unwrap_or(1),
            cause: message.message_attributes.remove(CAUSE).and_then(|cause| cause.string_value),
            body: message.body,
            receipt: message.receipt_handle,
        };
        Ok(received.messages.into_iter().map(incoming).collect())
    }

    /// Removes a received message for good.
    pub async fn delete(&self, message: &Incoming) -> Result<(), QueueError> {
        let what = json!({ "QueueUrl": self.url, "ReceiptHandle": message.receipt });
        self.api.tell("DeleteMessage", &what).await.map_err(away)
    }
}

/// The messages of an answer; where there are none it has no such member.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Received {
    pub(super) messages: Vec<Message>,
}

/// A message as SQS hands it out.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    pub(super) message_id: String,
    pub(super) receipt_handle: String,
    pub(super) body: String,
    #[serde(default)]
    pub(super) attributes: HashMap<String, String>,
    #[serde(default)]
    pub(super) message_attributes: HashMap<String, MessageAttribute>,
}

/// What stands beside a message's body.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MessageAttribute {
    pub(super) data_type: String,
    pub(super) string_value: Option<String>,
    /// In base64.
    pub(super) binary_value: Option<String>,
}

/// How often a message was received.
pub(super) const RECEIVES: &str = "ApproximateReceiveCount";

impl Queue for SqsQueue {
    async fn send(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        // The body is escaped right into the request: it may be a megabyte.
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Message<'a> {
            queue_url: &'a str,
            message_body: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            message_group_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            message_deduplication_id: Option<&'a str>,
        }
        let message = Message {
            queue_url: &self.url,
            message_body: &message.body,
            message_group_id: message.group.as_deref(),
            message_deduplication_id: message.dedup.as_deref(),
        };
        // Only a message that SQS calls malformed is beyond help. A missing permission, a missing queue or a
        // throttle is our side's fault and may be mended while the sender tries again.
        self.api.tell("SendMessage", &message).await.map_err(|failure| match failure.code() {
            Some("InvalidMessageContents" | "InvalidParameterValue") => QueueError::Rejected(failure.into()),
            _ => away(failure),
        })
    }
}

/// The queue that wakes a function, with its dead-letter queue.
#[derive(Debug, Clone)]
pub struct SqsInbox {
    api: Api,
    url: String,
    dead_url: String,
}

impl SqsInbox {
    /// The queue at `url`, whose dead letters go to `dead_url`.
    pub fn new(account: &Account, url: impl Into<String>, dead_url: impl Into<String>) -> Self {
        Self { api: Api::new(account, api::QUEUE), url: url.into(), dead_url: dead_url.into() }
    }
}

impl Inbox for SqsInbox {
    async fn hide(&self, receipt: &str, seconds: u32) -> Result<(), QueueError> {
        let what = json!({
            "QueueUrl": self.url, "ReceiptHandle": receipt, "VisibilityTimeout": hidden_for(seconds),
        });
        self.api.tell("ChangeMessageVisibility", &what).await.map_err(away)
    }

    async fn bury(&self, body: &str, cause: &str) -> Result<(), QueueError> {
        let cause = json!({ CAUSE: {"DataType": "String", "StringValue": cause} });
        let what = json!({ "QueueUrl": self.dead_url, "MessageBody": body, "MessageAttributes": cause });
        self.api.tell("SendMessage", &what).await.map_err(away)
    }
}

/// For how long a message is hidden: SQS allows twelve hours at most.
pub(super) fn hidden_for(seconds: u32) -> u32 {
    seconds.min(43_200)
}

pub(super) fn away(failure: Failure) -> QueueError {
    QueueError::Unavailable(failure.into())
}
