//! The port [`Backlog`] on SQS.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Account;
use super::api::{self, Api};
use super::queue::{CAUSE, Message, MessageAttribute, RECEIVES, Received, away, hidden_for};
use crate::ports::{Attribute, Backlog, DeadLetter, Depth, Depths, QueueError};

/// How long a take waits for a first message, in seconds. One that does not wait asks only some of the
/// servers that a queue lies on
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>).
const PATIENCE: u8 = 1;

/// A queue and its dead-letter queue.
#[derive(Debug, Clone)]
pub struct SqsBacklog {
    api: Api,
    url: String,
    dead_url: String,
}

impl SqsBacklog {
    /// The queue at `url`, whose dead letters go to `dead_url`.
    pub fn new(account: &Account, url: String, dead_url: String) -> Self {
        Self { api: Api::new(account, api::QUEUE), url, dead_url }
    }

    async fn depth(&self, url: &str) -> Result<Depth, QueueError> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Told {
            attributes: HashMap<String, String>,
        }
        let names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ];
        let question = json!({ "QueueUrl": url, "AttributeNames": names });
        let told: Told = self.api.ask("GetQueueAttributes", &question).await.map_err(away)?;
        let [waiting, hidden, delayed] = names
            .map(|name| told.attributes.get(name).and_then(|count| count.parse().ok()).unwrap_or_default());
        Ok(Depth { waiting, hidden, delayed })
    }
}

impl Backlog for SqsBacklog {
    async fn depths(&self) -> Result<Depths, QueueError> {
        Ok(Depths { living: self.depth(&self.url).await?, dead: self.depth(&self.dead_url).await? })
    }

    async fn take(&self, seconds: u32) -> Result<Vec<DeadLetter>, QueueError> {
        let question = json!({
            "QueueUrl": self.dead_url,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": PATIENCE,
            "VisibilityTimeout": hidden_for(seconds),
            "MessageAttributeNames": ["All"],
            "MessageSystemAttributeNames": ["All"],
        });
        let attempt = std::time::Duration::from_secs(5);
        let received: Received =
            self.api.ask_for(attempt, "ReceiveMessage", &question).await.map_err(away)?;
        Ok(received.messages.into_iter().map(letter).collect())
    }

    async fn put_back(&self, receipts: &[String]) -> Result<(), QueueError> {
        for receipts in receipts.chunks(10) {
            let shown = receipts.iter().map(async |receipt| {
                let what =
                    json!({ "QueueUrl": self.dead_url, "ReceiptHandle": receipt, "VisibilityTimeout": 0 });
                match self.api.tell("ChangeMessageVisibility", &what).await {
                    Err(failure) if !is_over(failure.code()) => Err(away(failure)),
                    _ => Ok(()),
                }
            });
            try_join_all(shown).await?;
        }
        Ok(())
    }

    async fn send_again(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        let mut message = json!({ "QueueUrl": self.url, "MessageBody": letter.body });
        if let Some(group) = &letter.group {
            message["MessageGroupId"] = json!(group);
        }
        if self.url.ends_with(".fifo") {
            // Its own deduplication id would not do: within five minutes after it was first sent, SQS would
            // take the copy and drop it, and the letter would be lost when it is removed.
            message["MessageDeduplicationId"] = json!(letter.id);
        }
        let beside = letter.attributes.iter().map(|Attribute { name, kind, value }| {
            let value = if kind.starts_with("Binary") {
                json!({ "DataType": kind, "BinaryValue": STANDARD.encode(value) })
            } else {
                json!({ "DataType": kind, "StringValue": String::from_utf8_lossy(value) })
            };
            (name.clone(), value)
        });
        message["MessageAttributes"] = Value::Object(beside.collect::<Map<_, _>>());
        self.api.tell("SendMessage", &message).await.map_err(away)
    }

    async fn remove(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        let what = json!({ "QueueUrl": self.dead_url, "ReceiptHandle": letter.receipt });
        self.api.tell("DeleteMessage", &what).await.map_err(away)
    }
}

/// Whether SQS says that the receipt is worth nothing any more: the message is gone, or was seen again.
fn is_over(code: Option<&str>) -> bool {
    matches!(code, Some("MessageNotInflight" | "ReceiptHandleIsInvalid" | "InvalidParameterValue"))
}

fn letter(message: Message) -> DeadLetter {
    let (told, mut beside) = (message.attributes, message.message_attributes);
    let number = |name| told.get(name).and_then(|text: &String| text.parse::<i64>().ok()).unwrap_or_default();
    DeadLetter {
        id: message.message_id,
        body: message.body,
        cause: beside.remove(CAUSE).and_then(|cause| cause.string_value),
        attributes: attributes(beside),
        group: told.get("MessageGroupId").cloned(),
        sent_at: Timestamp::from_millisecond(number("SentTimestamp")).unwrap_or_default(),
        receives: number(RECEIVES).try_into().unwrap_or_default(),
        receipt: message.receipt_handle,
    }
}

fn attributes(beside: HashMap<String, MessageAttribute>) -> Vec<Attribute> {
    let attribute = |(name, value): (String, MessageAttribute)| {
        let bytes = value.binary_value.and_then(|text| STANDARD.decode(text).ok());
        let value_bytes = bytes.unwrap_or_else(|| value.string_value.unwrap_or_default().into_bytes());
        Attribute { name, kind: value.data_type, value: value_bytes }
    };
    let mut all: Vec<_> = beside.into_iter().map(attribute).collect();
    all.sort_by(|one, two| one.name.cmp(&two.name));
    all
}
