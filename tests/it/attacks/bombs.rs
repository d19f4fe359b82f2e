//! Inputs that are small on the wire and large in memory, or larger than anything should be.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bucketwheel::signature::sign;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::json;

use super::{REPOSITORY, only_the_last_came, parsed, posted};
use crate::lambda::{Fault, Invocation, invoke, record};
use crate::world::{World, until};

/// 64 MiB of zeros, in about 64 KiB.
fn zip_bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0_u8; 1024 * 1024];
    for _ in 0..64 {
        encoder.write_all(&zeros).expect("written");
    }
    encoder.finish().expect("a bomb")
}

#[tokio::test]
async fn a_zip_bomb_stays_packed() {
    let world = World::running().await;
    let credential = world.connect("zip bomb").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let bomb = zip_bomb();
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let right = sign(&bomb, &secret);
    for encoding in ["gzip", "deflate", "br"] {
        let headers = [
            ("x-hub-signature", right.as_str()),
            ("content-encoding", encoding),
            ("x-event-key", "repo:push"),
        ];
        assert_eq!(posted(&world, &credential, &headers, &bomb).await, StatusCode::ACCEPTED, "{encoding}");
    }
    // As it came, and once: nobody unpacked it to look inside.
    only_the_last_came(&world, &credential, &secret, 1).await;
    assert_eq!(world.events(&credential, 1).await[0].1, bomb);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_one_at_the_edge_is_not() {
    let world = World::running().await;
    let credential = world.connect("oversized").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let body = |bytes: usize| format!(r#"{{"pad":"{}"}}"#, "a".repeat(bytes - 10)).into_bytes();
    for (bytes, answer) in [
        (1024 * 1024, StatusCode::ACCEPTED),
        (1024 * 1024 + 1, StatusCode::PAYLOAD_TOO_LARGE),
        (3 * 1024 * 1024, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let body = body(bytes);
        assert_eq!(world.deliver(&credential, "repo:push", &body, &secret).await, answer, "{bytes}");
    }
    only_the_last_came(&world, &credential, &secret, 1).await;
}

#[tokio::test]
async fn a_json_bomb_is_a_text_like_any_other() {
    let world = World::running().await;
    let credential = world.connect("json bomb").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let deep = |depth: usize| format!(r#"{{"repository":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let wide = format!("{{{}\"z\":1}}", "\"a\":1e999999,".repeat(50_000));
    let bombs =
        [deep(200_000), deep(127), wide, "[".repeat(500_000), format!("{{\"n\":{}}}", "9".repeat(300_000))];
    for bomb in &bombs {
        let status = world.deliver(&credential, "repo:push", bomb.as_bytes(), &secret).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{}…", &bomb[..40]);
    }
    only_the_last_came(&world, &credential, &secret, bombs.len()).await;
    let events = world.events(&credential, bombs.len()).await;
    for bomb in &bombs {
        assert!(events.iter().any(|(_, body)| body == bomb.as_bytes()), "{}…", &bomb[..40]);
    }

    // The console's API, and the queues behind it.
    for bomb in [deep(200_000), "[".repeat(500_000)] {
        let url = format!("{}/api/calls", world.local().public_url);
        let request = world.http.post(url).bearer_auth(&world.local().outputs.operator_token);
        let answer = request.header("content-type", "application/json").body(bomb.clone()).send().await;
        let answer = answer.expect("an answer");
        let refused = [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE];
        assert!(refused.contains(&answer.status()), "{}", answer.status());
        let text = answer.text().await.expect("a text");
        assert!(parsed(&text)["error"]["code"].is_string(), "{text}");
    }
    let id = format!("bomb-{credential}");
    world.submit(format!(r#"{{"id":"{id}","credential":"{credential}","call":{}}}"#, deep(100_000))).await;
    assert_eq!(world.result(&id).await.error.expect("a cause").code, "bad_call");
    // Without an id and a credential nobody can be told, so it is a dead letter.
    let nameless = deep(500);
    world.submit(nameless.clone()).await;
    assert!(world.dead_letter(&nameless).await.contains("not"), "it says why");
    // All of them live.
    let (status, _) = world.operator("GET", &format!("credentials/{credential}"), None).await;
    assert_eq!(status, StatusCode::OK);
    let outcome = world.call(&credential, json!({"method": "GET", "path": "user"})).await;
    assert!(outcome.error.is_none(), "{outcome:?}");
    until("nothing died of it", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let log = world.local().log("api-worker") + &world.local().log("webhook-ingest");
        (!log.contains("stack overflow") && !log.contains("panicked")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_bomb_as_bitbuckets_answer_is_a_body_like_any_other() {
    let world = World::running().await;
    let credential = world.connect("bombs as answers").await;
    let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    let (zip, deepest) = (zip_bomb(), deep(100_000));
    for (name, encoding, bomb) in [
        ("gzip", "gzip", zip.clone()),
        ("brotli", "br", zip),
        ("deep", "identity", deepest),
        // As deep as we read, which is too deep for whoever reads the outcome around it.
        ("edge", "identity", deep(127)),
        ("shallow", "identity", deep(100)),
        ("wide", "identity", format!("{{{}\"z\":1}}", "\"a\":1e999999,".repeat(10_000)).into_bytes()),
        ("large", "identity", vec![b' '; 8 * 1024 * 1024]),
    ] {
        let id = format!("bomb-{name}-{credential}");
        let call = json!({"method": "GET", "path": "user"});
        let message = json!({"id": id, "credential": credential, "call": call, "reply": "store"});
        let bytes: &'static [u8] = bomb.leak();
        let trouble = Box::new(move |steps: &[String]| {
            let asks = steps.last().is_some_and(|step| step.starts_with("GET /2.0/"));
            asks.then_some(Fault::Answered(encoding, bytes))
        });
        let (life, event) = (Duration::from_secs(30), record(&message.to_string(), 1));
        let what = Invocation { function: "api-worker", event, life, trouble, killed_after: None };
        let visit = invoke(&world, what).await;
        assert!(visit.acknowledged() && !visit.log.contains("panicked"), "{name}: {visit:?}");
        // Whoever asks the console gets what came, packed as it was, or that it is too much.
        let (status, outcome) = world.operator("GET", &format!("calls/{id}"), None).await;
        assert_eq!(status, StatusCode::OK, "{name}: {outcome}");
        let told = outcome["error"]["code"].as_str();
        let is_whole = match outcome["body_base64"].as_str() {
            Some(text) => STANDARD.decode(text).expect("base64") == bytes,
            None => outcome["body"].to_string().as_bytes() == bytes,
        };
        assert_eq!(
            (told, is_whole),
            if name == "large" { (Some("answer_too_large"), false) } else { (None, true) },
            "{name}"
        );
    }
}
