//! What each input is answered. The table in README.md under "What the webhook address answers" says the
//! same in words.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bucketwheel::event::{Envelope, LARGEST_MESSAGE};

use super::*;

/// One input, how it is answered, and the bytes and the type of the event that comes of it.
struct Case {
    what: &'static str,
    event: Value,
    answer: Answer,
    queued: Option<(String, Vec<u8>)>,
}

fn case(what: &'static str, event: Value, answer: Answer) -> Case {
    Case { what, event, answer, queued: None }
}

/// A signed body of an event, as text.
fn taken(what: &'static str, event_key: &str, body: &str) -> Case {
    let headers = json!({"x-event-key": event_key, "x-hub-signature": sign(body.as_bytes(), &secret())});
    let queued = (format!("org.bitbucket.{}", event_key.replace(':', ".")), body.as_bytes().to_vec());
    Case { what, event: event("c1", headers, body), answer: Answer::Accepted, queued: Some(queued) }
}

/// A signed body that API Gateway handed over in base64.
fn taken_in_base64(what: &'static str, body: &[u8]) -> Case {
    let headers = json!({"x-event-key": "repo:push", "x-hub-signature": sign(body, &secret())});
    let mut event = event("c1", headers, &STANDARD.encode(body));
    event["isBase64Encoded"] = json!(true);
    let queued = ("org.bitbucket.repo.push".to_owned(), body.to_vec());
    Case { what, event, answer: Answer::Accepted, queued: Some(queued) }
}

/// The body `{}` with these headers.
fn with(what: &'static str, headers: Value, answer: Answer) -> Case {
    let queued = (answer == Answer::Accepted).then(|| ("org.bitbucket.unknown".to_owned(), b"{}".to_vec()));
    Case { what, event: event("c1", headers, "{}"), answer, queued }
}

/// Bytes that do not compress, in a JSON text.
fn noise(length: usize) -> String {
    use sha2::Digest as _;
    let mut bytes = Vec::new();
    for n in 0_u64.. {
        if bytes.len() >= length {
            break;
        }
        bytes.extend_from_slice(&sha2::Sha256::digest(n.to_be_bytes()));
    }
    let mut text = STANDARD.encode(bytes);
    text.truncate(length - 2);
    format!("\"{text}\"")
}

fn cases() -> Vec<Case> {
    let good = sign(b"{}", &secret());
    let bare = &good["sha256=".len()..];
    let zeros = format!("sha256={}", "0".repeat(64));
    let padded = |size: usize| format!(r#"{{"x":"{}"}}"#, "x".repeat(size - 8));
    let mut broken_base64 = event("c1", json!({"x-hub-signature": good}), "*");
    broken_base64["isBase64Encoded"] = json!(true);
    let mut no_headers = event("c1", json!({}), "{}");
    no_headers["headers"].take();
    let mut no_body = event("c1", json!({"x-hub-signature": sign(b"", &secret())}), "");
    no_body.as_object_mut().expect("an object").remove("body");
    let span = r#"{"resourceSpans":[{"scopeSpans":[]}]}"#;
    let anonymous = r#"{"actor":{"type":"anonymous"},"repository":{"uuid":"{r}","full_name":"w/r"},"push":{"changes":[]}}"#;
    vec![
        // Bodies.
        taken("a body that is JSON", "repo:push", r#"{"push":{"changes":[{}]}}"#),
        taken("no actor and no repository", "pipeline:span_created", span),
        taken("an anonymous actor and no changes", "repo:push", anonymous),
        taken("an event key that nobody knows", "repo:not_known_yet", r#"{"new":1}"#),
        taken("repository is not an object", "repo:push", r#"{"repository":[1]}"#),
        taken("not JSON", "repo:push", "not JSON"),
        taken("an empty text", "repo:push", ""),
        taken("256 KiB", "repo:push", &padded(256 * 1024)),
        taken("1 MiB", "repo:push", &padded(LARGEST_BODY)),
        taken("1 MiB in many words", "repo:push", &format!("[{}0]", "123456789,".repeat(104_857))),
        taken_in_base64("in base64", b"{}"),
        taken_in_base64("not UTF-8", &[0xff, 0xfe, 0x00]),
        taken_in_base64("1 MiB in base64", padded(LARGEST_BODY).as_bytes()),
        taken_in_base64("1 MiB that is not UTF-8", &vec![0xff; LARGEST_BODY]),
        case(
            "more than 1 MiB",
            event("c1", json!({"x-hub-signature": good}), &padded(LARGEST_BODY + 1)),
            Answer::TooLarge,
        ),
        case(
            "1 MiB that does not compress, so that no queue takes it",
            {
                let body = noise(LARGEST_BODY);
                event("c1", json!({"x-hub-signature": sign(body.as_bytes(), &secret())}), &body)
            },
            Answer::TooLarge,
        ),
        case("broken base64", broken_base64, Answer::Unavailable),
        Case {
            what: "no body",
            event: no_body,
            answer: Answer::Accepted,
            queued: Some(("org.bitbucket.unknown".to_owned(), Vec::new())),
        },
        // Signatures.
        with("a signature alone", json!({"x-hub-signature": good}), Answer::Accepted),
        with("names in upper case", json!({"X-HUB-SIGNATURE": good}), Answer::Accepted),
        with(
            "digits in upper case",
            json!({"X-Hub-Signature": format!("sha256={}", bare.to_uppercase())}),
            Answer::Accepted,
        ),
        with("white space around it", json!({"x-hub-signature": format!(" \t{good} ")}), Answer::Accepted),
        with(
            "a wrong one, commas, a right one",
            json!({"x-hub-signature": format!("{zeros}, ,,{good}")}),
            Answer::Accepted,
        ),
        with(
            "SHA-1 and SHA-256",
            json!({"x-hub-signature": format!("sha1={},{good}", "0".repeat(40))}),
            Answer::Accepted,
        ),
        with("the header -256 alone", json!({"x-hub-signature-256": good}), Answer::Accepted),
        with(
            "a SHA-1 header and the header -256",
            json!({"x-hub-signature": "sha1=00", "x-hub-signature-256": good}),
            Answer::Accepted,
        ),
        with(
            "the name in two cases, one right",
            json!({"X-Hub-Signature": zeros, "x-hub-signature": good}),
            Answer::Accepted,
        ),
        with("no signature", json!({}), Answer::Rejected),
        case("no headers", no_headers, Answer::Unavailable),
        with("an empty signature", json!({"x-hub-signature": ""}), Answer::Rejected),
        with("sha256= missing", json!({"x-hub-signature": bare}), Answer::Rejected),
        with("no digits", json!({"x-hub-signature": "sha256="}), Answer::Rejected),
        with("too few digits", json!({"x-hub-signature": &good[..70]}), Answer::Rejected),
        with("SHA-1 alone", json!({"x-hub-signature": format!("sha1={}", "0".repeat(40))}), Answer::Rejected),
        with("a wrong signature", json!({"x-hub-signature": zeros}), Answer::Rejected),
        with(
            "the signature of another body",
            json!({"x-hub-signature": sign(b"{} ", &secret())}),
            Answer::Rejected,
        ),
        with(
            "the signature of another secret",
            json!({"x-hub-signature": sign(b"{}", &SecretString::from("other"))}),
            Answer::Rejected,
        ),
        // Addresses.
        case(
            "a credential that there is not",
            event("c2", json!({"x-hub-signature": good}), "{}"),
            Answer::Rejected,
        ),
        case(
            "no id of a credential",
            event("Not An Id", json!({"x-hub-signature": good}), "{}"),
            Answer::Rejected,
        ),
        case(
            "no address",
            json!({"requestContext": {}, "headers": {"x-hub-signature": good}, "body": "{}"}),
            Answer::Rejected,
        ),
        // Other headers.
        with(
            "headers that are not Bitbucket's",
            json!({"x-hub-signature": good, "x-event-key": "Repo Push\u{7}", "x-hook-uuid": "x".repeat(65),
                   "x-attempt-number": "two", "x-request-uuid": "a b", "traceparent": "ä"}),
            Answer::Accepted,
        ),
    ]
}

#[tokio::test]
async fn each_input_has_its_answer() {
    for Case { what, event, answer: wanted, queued } in cases() {
        let ports = Ports::with_hook().await;
        let text = event.to_string();
        assert_eq!(ports.ingest().woken(&text).await, Done::Answered(wanted.response()), "{what}");
        let sent = ports.events.take();
        let came: Vec<_> = sent
            .iter()
            .map(|message| {
                assert!(message.body.len() <= LARGEST_MESSAGE, "{what}");
                let envelope = Envelope::parse(&message.body).expect("an envelope");
                assert_eq!(message.dedup.as_deref(), Some(envelope.id.as_str()), "{what}");
                (envelope.r#type.clone(), envelope.body().expect("a body"))
            })
            .collect();
        assert!(came == Vec::from_iter(queued), "{what}");
        assert!(ports.table.items().iter().all(|(key, _)| key.sk == "HOOK"), "{what}");
    }
}

#[tokio::test]
async fn a_rejection_says_nothing_of_its_reason() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    let wrong = sign(b"{}", &SecretString::from("other"));
    let mut answers = Vec::new();
    for (credential, headers) in [
        ("c1", json!({})),
        ("c1", json!({"x-hub-signature": wrong})),
        ("c2", json!({"x-hub-signature": wrong})),
        ("Not An Id", json!({"x-hub-signature": wrong})),
    ] {
        answers.push(json!(ingest.woken(&event(credential, headers, "{}").to_string()).await));
    }
    assert_eq!(answers[0]["statusCode"], 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn what_is_no_request_is_a_wake_and_a_request_that_cannot_be_read_is_answered() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    for wake in ["{}", "null", "[]", r#"{"source":"aws.scheduler","detail":{}}"#] {
        assert_eq!(ingest.woken(wake).await, Done::Drained(Drained::default()), "{wake}");
    }
    let odd = ingest.woken(r#"{"requestContext":{},"headers":[1]}"#).await;
    assert_eq!(odd, Done::Answered(Answer::Unavailable.response()));
}
