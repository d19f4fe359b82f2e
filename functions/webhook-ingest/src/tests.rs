use bucketwheel::event::Envelope;
use bucketwheel::memory::{MemoryQueue, MemoryTable};
use bucketwheel::seal::NONCE_LEN;
use bucketwheel::signature::sign;
use bucketwheel::store::hooks::{HookSecrets, put_first};
use secrecy::SecretString;
use serde_json::json;

use super::*;

const RING: &str = r#"{"k0001":"0123456789abcdef0123456789abcdef"}"#;

fn ring() -> Keyring {
    Keyring::parse(&SecretString::from(RING)).expect("a ring")
}

fn secret() -> SecretString {
    SecretString::from("hook secret")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

async fn ingest() -> Ingest<MemoryTable, MemoryQueue> {
    let table = MemoryTable::default();
    let credential = "c1".parse().expect("an id");
    let secrets = HookSecrets::first(&ring(), &credential, &secret(), [1; NONCE_LEN]);
    put_first(&table, &credential, &secrets).await.expect("stored");
    Ingest::new(table, MemoryQueue::default(), ring())
}

fn event(credential: &str, signature: Option<&str>, body: &str) -> String {
    let mut headers = json!({"x-event-key": "repo:push", "x-attempt-number": "1"});
    if let Some(signature) = signature {
        headers["x-hub-signature"] = json!(signature);
    }
    json!({"headers": headers, "pathParameters": {"credential_id": credential}, "body": body}).to_string()
}

async fn answer(ingest: &Ingest<MemoryTable, MemoryQueue>, event: &str) -> Answer {
    ingest.handle(&Request::parse(event).expect("a request"), at(1_000)).await
}

#[tokio::test]
async fn a_signed_delivery_is_enqueued_byte_for_byte() {
    let ingest = ingest().await;
    let body = "{\"repository\": {\"uuid\":\"{r}\"}, \"text\":\"\\u00e4 \\\" ä\"}\n";
    let event = event("c1", Some(&sign(body.as_bytes(), &secret())), body);
    assert_eq!(answer(&ingest, &event).await, Answer::Accepted);

    let sent = ingest.events.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].group.as_deref(), Some("{r}"));
    let envelope = Envelope::parse(&sent[0].body).expect("an envelope");
    assert_eq!(envelope.body().expect("a body"), body.as_bytes());
    assert_eq!(sent[0].dedup.as_deref(), Some(envelope.id.as_str()));
}

#[tokio::test]
async fn whoever_cannot_sign_is_rejected_and_nothing_is_queued() {
    let ingest = ingest().await;
    let good = sign(b"{}", &secret());
    for (credential, signature) in [
        ("c1", None),
        ("c1", Some("sha256=00")),
        ("c1", Some(sign(b"{} ", &secret()).as_str())),
        ("c1", Some(sign(b"{}", &SecretString::from("other")).as_str())),
        ("c2", Some(good.as_str())),
        ("Not An Id", Some(good.as_str())),
    ] {
        assert_eq!(
            answer(&ingest, &event(credential, signature, "{}")).await,
            Answer::Rejected,
            "{credential}"
        );
    }
    assert!(ingest.events.sent().is_empty());
}

#[tokio::test]
async fn a_body_in_base64_is_decoded_before_it_is_verified() {
    use base64::Engine as _;
    let ingest = ingest().await;
    let body = [0xff, 0xfe, 0x00];
    let event = json!({
        "headers": {"X-Hub-Signature": sign(&body, &secret()), "X-Event-Key": "repo:push"},
        "pathParameters": {"credential_id": "c1"},
        "isBase64Encoded": true,
        "body": base64::engine::general_purpose::STANDARD.encode(body),
    });
    assert_eq!(answer(&ingest, &event.to_string()).await, Answer::Accepted);
    let sent = ingest.events.sent();
    assert_eq!(Envelope::parse(&sent[0].body).expect("an envelope").body().expect("a body"), body);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_anything_else() {
    let ingest = ingest().await;
    let body = "x".repeat(LARGEST_BODY + 1);
    assert_eq!(answer(&ingest, &event("c1", None, &body)).await, Answer::TooLarge);
}

#[tokio::test]
async fn a_hook_made_after_a_rejected_delivery_is_found_after_two_seconds() {
    let ingest = Ingest::new(MemoryTable::default(), MemoryQueue::default(), ring());
    let event = event("c1", Some(&sign(b"{}", &secret())), "{}");
    let request = Request::parse(&event).expect("a request");
    assert_eq!(ingest.handle(&request, at(1_000)).await, Answer::Rejected);

    let credential = "c1".parse().expect("an id");
    let secrets = HookSecrets::first(&ring(), &credential, &secret(), [1; NONCE_LEN]);
    put_first(&ingest.table, &credential, &secrets).await.expect("stored");
    assert_eq!(ingest.handle(&request, at(1_001)).await, Answer::Rejected);
    assert_eq!(ingest.handle(&request, at(1_002)).await, Answer::Accepted);
}

#[test]
fn headers_that_are_not_bitbuckets_are_left_out() {
    let event = json!({"headers": {"x-event-key": "Repo Push\u{7}", "x-hook-uuid": "x".repeat(65), "x-attempt-number": "two"}});
    let text = event.to_string();
    let request = Request::parse(&text).expect("a request");
    assert_eq!((request.event_key(), request.hook_id(), request.attempt()), ("unknown", None, None));
    assert_eq!(request.credential(), "");
}
