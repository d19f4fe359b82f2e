//! What a process knew of deliveries that wait, when it sent another one. The way to AWS sees it: the question, its
//! answer, what is parked, and what is sent.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::Value;
use tokio::time::Instant;

use crate::ledger::Unasked;
use crate::webhooks;

/// webhook-ingest remembers for ten minutes that something waits, by its own clock.
const REMEMBERED: Duration = Duration::from_secs(9 * 60);

/// What has been seen of all processes, by the path that each of them sends its requests to.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    processes: HashMap<String, Process>,
    unasked: Vec<Unasked>,
}

#[derive(Debug, Default)]
struct Process {
    /// Whether the last question what waits of a group was answered.
    told: HashMap<usize, bool>,
    /// When it parked something the last time, and so knew that something waits.
    parked: Option<Instant>,
}

/// A question what waits of a group, by one process.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    process: String,
    group: usize,
}

impl Witness {
    /// Sees a request on its way to AWS; gives the question that it is, if it is one.
    pub(crate) fn see(
        &mut self,
        process: &str,
        headers: &HeaderMap,
        body: &[u8],
        now: Instant,
    ) -> Option<Question> {
        let target = headers.get("x-amz-target")?.to_str().ok()?;
        let text = std::str::from_utf8(body).ok()?;
        let group = webhooks::group_of(text)?;
        let known = self.processes.entry(process.to_owned()).or_default();
        match target.rsplit('.').next()? {
            "GetItem" if text.contains("PARKED#") => {
                known.told.insert(group, false);
                return Some(Question { process: process.to_owned(), group });
            }
            // A drain takes away; who parks puts.
            "TransactWriteItems" if text.contains("PARKED#") && text.contains("\"Put\"") => {
                known.parked = Some(now);
            }
            "SendMessage" if known.told.get(&group) == Some(&false) => {
                let noticed = known.parked.is_some_and(|parked| now - parked < REMEMBERED);
                let message: Value = serde_json::from_str(text).ok()?;
                let number = webhooks::number_of(message["MessageBody"].as_str()?)?;
                self.unasked.push(Unasked { number, noticed });
            }
            _ => {}
        }
        None
    }

    /// The process has been told what waits.
    pub(crate) fn told(&mut self, question: Question) {
        let Question { process, group } = question;
        self.processes.entry(process).or_default().told.insert(group, true);
    }

    /// The deliveries that were sent without an answer to the question what waits.
    pub(crate) fn unasked(&self) -> Vec<Unasked> {
        self.unasked.clone()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use bucketwheel::event::Synthetic;
    use bucketwheel::trace::Trace;

    use super::*;

    fn see(witness: &mut Witness, process: &str, target: &'static str, body: &str) -> Option<Question> {
        let headers = [("x-amz-target".parse().expect("a name"), HeaderValue::from_static(target))];
        witness.see(process, &headers.into_iter().collect(), body.as_bytes(), Instant::now())
    }

    fn message(number: u64) -> String {
        let body = webhooks::body(3, number, 9);
        let event = Synthetic {
            credential: &"c1".parse().expect("an id"),
            event_key: "repo:push",
            body: body.as_bytes(),
            hook_id: None,
            about: "",
            trace: &Trace::new([0; 24]),
            found_at: "1970-01-01T00:00:00Z".parse().expect("a time"),
        };
        serde_json::json!({ "MessageBody": event.envelope().text }).to_string()
    }

    #[test]
    fn who_was_told_by_its_own_last_question_has_asked_and_nobody_else() {
        let mut witness = Witness::default();
        let key = r#"{"Key": {"pk": {"S": "PARKED#{proof-3}"}}}"#;
        let (ask, send) = ("DynamoDB_20120810.GetItem", "AmazonSQS.SendMessage");
        see(&mut witness, "1", ask, key);
        // Another process, such as a drain, is told; that does not help the first.
        let other = see(&mut witness, "2", ask, key).expect("a question");
        witness.told(other);
        see(&mut witness, "2", send, &message(20));
        see(&mut witness, "1", send, &message(10));
        let again = see(&mut witness, "1", ask, key).expect("a question");
        witness.told(again);
        see(&mut witness, "1", send, &message(11));
        see(&mut witness, "1", ask, key);
        let park = r#"{"TransactItems": [{"Put": {"Item": {"pk": {"S": "PARKED#{proof-3}"}}}}]}"#;
        see(&mut witness, "1", "DynamoDB_20120810.TransactWriteItems", park);
        see(&mut witness, "1", send, &message(12));
        let unasked = [(10, false), (12, true)].map(|(number, noticed)| Unasked { number, noticed });
        assert_eq!(witness.unasked(), unasked);
    }
}
