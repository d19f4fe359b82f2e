//! What the system says of a trace.

use std::fs;

use bucketwheel::event::Envelope;
use bucketwheel::signature::sign;
use bucketwheel::trace::Trace;
use reqwest::StatusCode;
use secrecy::SecretString;

use super::{World, locked, until};

impl World {
    /// Posts a body with a trace context to the webhook address.
    pub(crate) async fn deliver_traced(
        &self,
        credential: &str,
        body: &[u8],
        secret: &SecretString,
        traceparent: &str,
    ) -> StatusCode {
        let url = format!("{}/webhooks/bitbucket-cloud/{credential}", self.local().public_url);
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("x-event-key", "repo:push")
            .header("x-hub-signature", sign(body, secret))
            .header("traceparent", traceparent);
        request.body(body.to_vec()).send().await.expect("the webhook address answers").status()
    }

    /// The trace of a credential's first event.
    pub(crate) async fn trace_of_event(&self, credential: &str) -> Trace {
        until("the event comes", async || {
            let texts = locked(&self.system.events).clone();
            texts.iter().find_map(|text| {
                let envelope = Envelope::parse(text).expect("an envelope");
                (envelope.credentialid.as_str() == credential).then_some(envelope.traceparent)?
            })
        })
        .await
    }

    /// Waits until a function's log has a line of this trace that says `words`.
    pub(crate) async fn logged(&self, function: &str, trace: &Trace, words: &str) {
        let file = self.local().logs().join(format!("bucketwheel-{function}.log"));
        until(&format!("{function} logs the trace"), async || {
            let log = fs::read_to_string(&file).unwrap_or_default();
            log.lines().any(|line| line.contains(trace.id()) && line.contains(words)).then_some(())
        })
        .await;
    }
}
