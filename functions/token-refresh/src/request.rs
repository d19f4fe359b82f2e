//! What the function is called with: the schedule's tick, or messages of the refresh queue.

use bucketwheel::credential::CredentialId;
use bucketwheel::rotation::Nudge;
use bucketwheel::store::tokens::Parked;
use serde::Deserialize;
use serde_json::Value;

/// One message of the refresh queue, with the name by which SQS takes it back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: Body,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Body {
    Parked(Box<Parked>),
    Nudge(Nudge),
}

impl Body {
    pub(crate) fn credential(&self) -> &CredentialId {
        match self {
            Body::Parked(parked) => &parked.credential,
            Body::Nudge(nudge) => &nudge.credential,
        }
    }
}

/// The messages that the event carries; none if it is the schedule's tick. What is neither a nudge nor a
/// parked pair is dropped: coming back would not make it one.
pub(crate) fn messages(event: &Value) -> Option<Vec<Message>> {
    let records = event["Records"].as_array()?;
    let message = |record: &Value| {
        let id = record["messageId"].as_str().unwrap_or_default().to_owned();
        match serde_json::from_str(record["body"].as_str().unwrap_or_default()) {
            Ok(body) => Some(Message { id, body }),
            Err(error) => {
                tracing::error!(message = id, %error, "neither a nudge nor a parked pair");
                None
            }
        }
    };
    Some(records.iter().filter_map(message).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nudges_are_read_and_anything_without_records_is_a_tick() {
        let event = json!({"Records": [
            {"messageId": "m", "body": "{\"credential\":\"c1\"}"}, {"body": "?"}, {}
        ]});
        let read = messages(&event).expect("messages");
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].id.as_str(), read[0].body.credential().as_str()), ("m", "c1"));
        assert_eq!(messages(&json!({"source": "aws.scheduler"})), None);
        assert_eq!(messages(&json!(null)), None);
    }
}
