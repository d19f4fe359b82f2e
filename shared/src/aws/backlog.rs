//! The port [`Backlog`] on SQS.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::queue::{CAUSE, away, hidden_for};
use super::{Account, client};
use crate::ports::{Attribute, Backlog, DeadLetter, Depth, Depths, QueueError};

/// How long a take waits for a first message, in seconds. One that does not wait asks only some of the
/// servers that a queue lies on
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>).
const PATIENCE: i32 = 1;

/// A queue and its dead-letter queue.
#[derive(Debug, Clone)]
pub struct SqsBacklog {
    client: Client,
    url: String,
    dead_url: String,
}

impl SqsBacklog {
    /// The queue at `url`, whose dead letters go to `dead_url`.
    pub fn new(account: &Account, url: String, dead_url: String) -> Self {
        Self { client: client!(account, aws_sdk_sqs), url, dead_url }
    }

    async fn depth(&self, url: &str) -> Result<Depth, QueueError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
            ApproximateNumberOfMessagesNotVisible,
        };
        let names = [
            ApproximateNumberOfMessages,
            ApproximateNumberOfMessagesNotVisible,
            ApproximateNumberOfMessagesDelayed,
        ];
        let asked = self.client.get_queue_attributes().queue_url(url);
        let told = asked.set_attribute_names(Some(names.to_vec())).send().await.map_err(away)?;
        let told = told.attributes.unwrap_or_default();
        let [waiting, hidden, delayed] =
            names.map(|name| told.get(&name).and_then(|count| count.parse().ok()).unwrap_or_default());
        Ok(Depth { waiting, hidden, delayed })
    }
}

impl Backlog for SqsBacklog {
    async fn depths(&self) -> Result<Depths, QueueError> {
        Ok(Depths { living: self.depth(&self.url).await?, dead: self.depth(&self.dead_url).await? })
    }

    async fn take(&self, seconds: u32) -> Result<Vec<DeadLetter>, QueueError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.dead_url)
            .max_number_of_messages(10)
            .wait_time_seconds(PATIENCE)
            .visibility_timeout(hidden_for(seconds))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .map_err(away)?;
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(letter).collect())
    }

    async fn put_back(&self, receipts: &[String]) -> Result<(), QueueError> {
        for receipts in receipts.chunks(10) {
            let shown = receipts.iter().map(async |receipt| {
                let change = self.client.change_message_visibility().queue_url(&self.dead_url);
                match change.receipt_handle(receipt).visibility_timeout(0).send().await {
                    Err(error) if !is_over(error.code()) => Err(away(error)),
                    _ => Ok(()),
                }
            });
            try_join_all(shown).await?;
        }
        Ok(())
    }

    async fn send_again(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        let mut message = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(&letter.body)
            .set_message_group_id(letter.group.clone());
        if self.url.ends_with(".fifo") {
            // Its own deduplication id would not do: within five minutes after it was first sent, SQS would
            // take the copy and drop it, and the letter would be lost when it is removed.
            message = message.message_deduplication_id(&letter.id);
        }
        for Attribute { name, kind, value } in &letter.attributes {
            let attribute = MessageAttributeValue::builder().data_type(kind);
            let attribute = if kind.starts_with("Binary") {
                attribute.binary_value(Blob::new(value.clone()))
            } else {
                attribute.string_value(String::from_utf8_lossy(value))
            };
            let attribute = attribute.build().map_err(|error| QueueError::Rejected(error.into()))?;
            message = message.message_attributes(name, attribute);
        }
        message.send().await.map(drop).map_err(away)
    }

    async fn remove(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        let deletion = self.client.delete_message().queue_url(&self.dead_url);
        deletion.receipt_handle(&letter.receipt).send().await.map(drop).map_err(away)
    }
}

/// Whether SQS says that the receipt is worth nothing any more: the message is gone, or was seen again.
fn is_over(code: Option<&str>) -> bool {
    matches!(code, Some("MessageNotInflight" | "ReceiptHandleIsInvalid" | "InvalidParameterValue"))
}

fn letter(message: Message) -> Option<DeadLetter> {
    let told = message.attributes.unwrap_or_default();
    let number = |name| told.get(&name).and_then(|text: &String| text.parse::<i64>().ok());
    let mut beside = message.message_attributes.unwrap_or_default();
    let cause = beside.remove(CAUSE).and_then(|cause| cause.string_value);
    let sent_at = number(MessageSystemAttributeName::SentTimestamp).unwrap_or_default();
    let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or_default();
    Some(DeadLetter {
        id: message.message_id?,
        body: message.body?,
        cause,
        attributes: attributes(beside),
        group: told.get(&MessageSystemAttributeName::MessageGroupId).cloned(),
        sent_at: Timestamp::from_millisecond(sent_at).unwrap_or_default(),
        receives: receives.try_into().unwrap_or_default(),
        receipt: message.receipt_handle?,
    })
}

fn attributes(beside: HashMap<String, MessageAttributeValue>) -> Vec<Attribute> {
    let attribute = |(name, value): (String, MessageAttributeValue)| Attribute {
        name,
        kind: value.data_type,
        value: value
            .binary_value
            .map_or_else(|| value.string_value.unwrap_or_default().into_bytes(), Blob::into_inner),
    };
    let mut all: Vec<_> = beside.into_iter().map(attribute).collect();
    all.sort_by(|one, two| one.name.cmp(&two.name));
    all
}
