//! The port [`Queue`] on SQS.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName};

use super::{Account, client};
use crate::ports::{Inbox, Outgoing, Queue, QueueError};

/// The message attribute that says why a message is a dead letter. SQS itself records no cause.
pub(super) const CAUSE: &str = "cause";

/// One queue.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(account: &Account, url: String) -> Self {
        Self { client: client!(account, aws_sdk_sqs), url }
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

    async fn receive_hidden(&self, seconds: u8, hidden: Option<i32>) -> Result<Vec<Incoming>, QueueError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .message_attribute_names(CAUSE)
            .wait_time_seconds(seconds.min(20).into())
            .set_visibility_timeout(hidden)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .customize()
            .config_override(
                aws_sdk_sqs::config::Config::builder().timeout_config(
                    TimeoutConfig::builder()
                        .operation_attempt_timeout(Duration::from_secs(u64::from(seconds) + 5))
                        .build(),
                ),
            )
            .send()
            .await
            .map_err(away)?;
        let messages = received.messages.unwrap_or_default().into_iter();
        let incoming = |message: aws_sdk_sqs::types::Message| {
            let counted = message
                .attributes
                .as_ref()
                .and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount));
            let receives = counted.and_then(|count| count.parse().ok()).unwrap_or(1);
            let said = message.message_attributes.as_ref();
            let cause = said.and_then(|all| all.get(CAUSE)?.string_value.clone());
            Some(Incoming { body: message.body?, cause, receives, receipt: message.receipt_handle? })
        };
        Ok(messages.filter_map(incoming).collect())
    }

    /// Removes a received message for good.
    pub async fn delete(&self, message: &Incoming) -> Result<(), QueueError> {
        let deletion = self.client.delete_message().queue_url(&self.url).receipt_handle(&message.receipt);
        deletion.send().await.map(drop).map_err(away)
    }
}

impl Queue for SqsQueue {
    async fn send(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        let sent = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(message.body.into_owned())
            .set_message_group_id(message.group)
            .set_message_deduplication_id(message.dedup)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            // Only a message that SQS calls malformed is beyond help. A missing permission, a missing
            // queue or a throttle is our side's fault and may be mended while the sender tries again.
            Err(error) => match error.code() {
                Some("InvalidMessageContents" | "InvalidParameterValue") => {
                    Err(QueueError::Rejected(error.into()))
                }
                _ => Err(QueueError::Unavailable(error.into())),
            },
        }
    }
}

/// The queue that wakes a function, with its dead-letter queue.
#[derive(Debug, Clone)]
pub struct SqsInbox {
    client: Client,
    url: String,
    dead_url: String,
}

impl SqsInbox {
    /// The queue at `url`, whose dead letters go to `dead_url`.
    pub fn new(account: &Account, url: impl Into<String>, dead_url: impl Into<String>) -> Self {
        Self { client: client!(account, aws_sdk_sqs), url: url.into(), dead_url: dead_url.into() }
    }
}

impl Inbox for SqsInbox {
    async fn hide(&self, receipt: &str, seconds: u32) -> Result<(), QueueError> {
        let change = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        let changed = change.visibility_timeout(hidden_for(seconds)).send().await;
        changed.map(drop).map_err(away)
    }

    async fn bury(&self, body: &str, cause: &str) -> Result<(), QueueError> {
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(cause).build();
        let attribute = attribute.map_err(|error| QueueError::Rejected(error.into()))?;
        let message = self.client.send_message().queue_url(&self.dead_url).message_body(body);
        let sent = message.message_attributes(CAUSE, attribute).send().await;
        sent.map(drop).map_err(away)
    }
}

/// For how long a message is hidden: SQS allows twelve hours at most.
pub(super) fn hidden_for(seconds: u32) -> i32 {
    i32::try_from(seconds.min(43_200)).unwrap_or(43_200)
}

pub(super) fn away(error: impl std::error::Error + Send + Sync + 'static) -> QueueError {
    QueueError::Unavailable(error.into())
}
