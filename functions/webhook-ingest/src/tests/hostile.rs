//! What an attacker can send and learn.

use std::collections::HashMap;
use std::time::Instant;

use bucketwheel::event::Envelope;
use proptest::prelude::*;

use super::*;

fn finished<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_event_makes_the_function_panic(event in "\\PC{0,200}") {
        finished(async { Ports::new().ingest().woken(&event).await });
    }

    #[test]
    fn no_headers_get_an_unsigned_body_in(
        headers in proptest::collection::hash_map("(?i)x-hub-signature(-256)?|x-event-key|[ -~]{0,20}", "(sha256=)?[0-9a-f, ]{0,130}|\\PC{0,40}", 0..6),
        body in "\\PC{0,60}",
        credential in "c1|\\PC{0,12}",
    ) {
        let headers: HashMap<_, _> = headers.into_iter().collect();
        let event = event(&credential, json!(headers), &body).to_string();
        let (answer, sent) = finished(async {
            let ports = Ports::with_hook().await;
            (answer(&ports.ingest(), &event).await, ports.events.sent())
        });
        prop_assert_eq!(answer, Answer::Rejected);
        prop_assert!(sent.is_empty());
    }

    #[test]
    fn whatever_bitbucket_signs_comes_out_byte_for_byte(body in "\\PC{0,300}", key in "[ -~]{0,70}") {
        let headers = json!({"x-event-key": key, "x-hub-signature": sign(body.as_bytes(), &secret())});
        let event = event("c1", headers, &body).to_string();
        let (answer, sent) = finished(async {
            let ports = Ports::with_hook().await;
            (answer(&ports.ingest(), &event).await, ports.events.sent())
        });
        prop_assert_eq!(answer, Answer::Accepted);
        let envelope = Envelope::parse(&sent[0].body).expect("an envelope");
        prop_assert_eq!(envelope.body().expect("a body"), body.into_bytes());
    }

    #[test]
    fn no_message_makes_a_consumer_panic(text in "\\PC{0,200}|\\{\"id\":\"a\",\"data\":\\PC{0,60}\\}") {
        if let Ok(envelope) = Envelope::parse(&text) {
            let _ = (envelope.body(), envelope.event());
        }
    }
}

/// A credential that exists must not be told from one that does not by the time of the refusal. Both are
/// measured in turn, so that a busy machine slows both; the quarter of the fastest is compared.
#[test]
#[ignore = "a measurement, for a quiet machine: cargo test -p webhook-ingest --release -- --ignored"]
fn an_unknown_credential_takes_as_long_as_a_wrong_signature() {
    let body = "x".repeat(64 * 1024);
    let wrong = json!({"x-hub-signature": format!("sha256={}", "0".repeat(64))});
    let events = ["c1", "c2"].map(|credential| event(credential, wrong.clone(), &body).to_string());
    let times = finished(async {
        let ports = Ports::new();
        ports.make_hook("c1", &SecretString::from("s".repeat(128))).await;
        let ingest = ports.ingest();
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..200 {
            for (event, times) in events.iter().zip(&mut times) {
                // So that each may ask the table again.
                ports.edge.advance(SignedDuration::from_secs(1));
                let request = Request::parse(event).expect("a request");
                let began = Instant::now();
                assert_eq!(ingest.handle(&request).await, Answer::Rejected);
                times.push(began.elapsed());
            }
        }
        times
    });
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 4].as_secs_f64() * 1e6
    });
    println!("refused in {known:.0} µs (wrong signature), {unknown:.0} µs (unknown credential)");
    assert!((0.8..1.25).contains(&(known / unknown)), "{known:.0} µs and {unknown:.0} µs");
}
