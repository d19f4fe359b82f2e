//! Deliveries of webhooks: signing, the rule of retries, and the attempts themselves
//! (<https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/>).

use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;

use crate::{Behaviour, Error, Sandbox};

/// How often a delivery is attempted at most.
const MOST_ATTEMPTS: u32 = 3;
/// How many deliveries are remembered.
pub(crate) const KEPT: usize = 5_000;

/// One event on its way to one hook.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Delivery {
    pub(crate) request_id: String,
    /// The hook's uuid, without braces.
    pub(crate) hook: String,
    pub(crate) event: String,
    pub(crate) url: String,
    #[serde(skip)]
    pub(crate) body: Bytes,
    pub(crate) bytes: usize,
    pub(crate) signed: bool,
    pub(crate) done: bool,
    pub(crate) attempts: Vec<Attempt>,
}

/// One attempt of a delivery.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) started: Timestamp,
    /// `None` if there was no answer.
    pub(crate) status: Option<u16>,
    /// Why there was none.
    pub(crate) error: Option<&'static str>,
    pub(crate) milliseconds: u64,
}

/// The value of `X-Hub-Signature`.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Whether another attempt follows. Only answers from 500 to 599 are retried; what was not answered
/// at all is not, unless switched so.
pub(crate) fn retried(number: u32, status: Option<u16>, behaviour: &Behaviour) -> bool {
    let failed = match status {
        Some(status) => (500..600).contains(&status),
        None => behaviour.retry_unanswered,
    };
    failed && number < MOST_ATTEMPTS
}

/// The client of all deliveries. It follows no redirects: a 3xx is final.
#[expect(
    clippy::disallowed_methods,
    reason = "this client is Bitbucket's, and speaks to receivers of webhooks"
)]
pub(crate) fn client() -> Result<reqwest::Client, Error> {
    // An error means that the process has chosen a provider already.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.user_agent("Bitbucket-Webhooks/2.0").build().map_err(Error::Client)
}

/// Carries a delivery out, attempt by attempt.
pub(crate) async fn carry(sandbox: Sandbox, delivery: Delivery, secret: Option<String>) {
    for number in 1..=MOST_ATTEMPTS {
        let (started, behaviour) = {
            let world = sandbox.world();
            (world.clock.now(), world.behaviour.clone())
        };
        let begun = Instant::now();
        let outcome = attempt(&sandbox, &delivery, secret.as_deref(), number, &behaviour).await;
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, error) = (outcome.ok(), outcome.err());
        let again = retried(number, status, &behaviour);
        tracing::debug!(event = delivery.event, number, ?status, ?error, again, "webhook attempted");
        let mut world = sandbox.world();
        let log = world.deliveries.iter_mut().rev();
        for logged in log.filter(|logged| logged.request_id == delivery.request_id && !logged.done).take(1) {
            logged.attempts.push(Attempt { number, started, status, error, milliseconds });
            logged.done = !again;
        }
        if !again {
            break;
        }
    }
}

async fn attempt(
    sandbox: &Sandbox,
    delivery: &Delivery,
    secret: Option<&str>,
    number: u32,
    behaviour: &Behaviour,
) -> Result<u16, &'static str> {
    let mut request = sandbox
        .http()
        .post(&delivery.url)
        .timeout(Duration::from_millis(behaviour.webhook_timeout_ms.into()))
        .header("content-type", "application/json")
        .header("x-event-key", &delivery.event)
        .header("x-hook-uuid", &delivery.hook)
        .header("x-request-uuid", &delivery.request_id)
        .header("x-attempt-number", number);
    if let Some(secret) = secret {
        request = request.header("x-hub-signature", signature(secret, &delivery.body));
    }
    match request.body(delivery.body.clone()).send().await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) if error.is_timeout() => Err("timeout"),
        Err(error) if error.is_connect() => Err("connection refused"),
        Err(_) => Err("connection broken"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_atlassians_example() {
        assert_eq!(
            signature("It's a Secret to Everybody", b"Hello World!"),
            "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
        );
    }

    #[test]
    fn only_server_errors_are_retried_and_at_most_twice() {
        let behaviour = Behaviour::default();
        for status in [500, 503, 599] {
            assert!(retried(1, Some(status), &behaviour) && retried(2, Some(status), &behaviour));
            assert!(!retried(3, Some(status), &behaviour));
        }
        for status in [200, 202, 301, 400, 404, 429, 600] {
            assert!(!retried(1, Some(status), &behaviour));
        }
    }

    #[test]
    fn what_was_not_answered_is_retried_only_if_switched_so() {
        assert!(!retried(1, None, &Behaviour::default()));
        assert!(retried(1, None, &Behaviour { retry_unanswered: true, ..Behaviour::default() }));
    }
}
