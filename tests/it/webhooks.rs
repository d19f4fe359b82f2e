//! From Bitbucket to the events queue.

use bucketwheel::signature::sign;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::fixtures;
use crate::world::{World, until};

const REPOSITORY: &str = "seilbahn/website";

#[tokio::test]
async fn a_push_at_bitbucket_arrives_on_the_events_queue() {
    let world = World::running().await;
    let credential = world.connect("push").await;
    world.hook(&credential, "seilbahn/infrastructure").await;
    let push = json!({
        "repository": "seilbahn/infrastructure", "branch": "main", "message": "One change", "files": {"a.txt": "a"},
    });
    world.sandbox("POST", "push", Some(push)).await;

    let events = world.events(&credential, 1).await;
    let (event_type, body) = &events[0];
    assert_eq!(event_type, "org.bitbucket.repo.push");
    let body: serde_json::Value = serde_json::from_slice(body).expect("Bitbucket's JSON");
    assert_eq!(body["repository"]["full_name"], "seilbahn/infrastructure");
}

#[tokio::test]
async fn every_body_is_answered_202_and_comes_off_the_queue_byte_for_byte() {
    let world = World::running().await;
    let credential = world.connect("bodies").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let mut bodies = fixtures::bodies();
    bodies.extend(fixtures::recorded());
    for (event_key, body) in &bodies {
        assert_eq!(
            world.deliver(&credential, event_key, body, &secret).await,
            StatusCode::ACCEPTED,
            "{event_key}"
        );
    }

    let events = world.events(&credential, bodies.len()).await;
    for (event_key, body) in &bodies {
        let wanted = (format!("org.bitbucket.{}", event_key.replace(':', ".")), body.clone());
        assert!(events.contains(&wanted), "{event_key}: {}", String::from_utf8_lossy(body));
    }
    assert_eq!(events.len(), bodies.len());
}

#[tokio::test]
async fn a_delivery_without_a_right_signature_gets_401_and_is_not_queued() {
    let world = World::running().await;
    let credential = world.connect("forged").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let body = br#"{"push":{"changes":[]}}"#;
    let wrong = SecretString::from("wrong");
    let zeros = format!("sha256={}", "0".repeat(64));
    for signature in
        [None, Some(""), Some(zeros.as_str()), Some("sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")]
    {
        let status = world.deliver_signed(&credential, "repo:push", body, signature).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{signature:?}");
    }
    assert_eq!(world.deliver(&credential, "repo:push", body, &wrong).await, StatusCode::UNAUTHORIZED);
    let unknown = world.deliver("unknown", "repo:push", body, &secret).await;
    assert_eq!(unknown, StatusCode::UNAUTHORIZED);

    // A good one behind them shows that nothing of them is on its way.
    assert_eq!(world.deliver(&credential, "repo:push", b"{}", &secret).await, StatusCode::ACCEPTED);
    assert_eq!(world.events(&credential, 1).await, [("org.bitbucket.repo.push".to_owned(), b"{}".to_vec())]);
}

#[tokio::test]
async fn neither_bodies_nor_signatures_nor_secrets_reach_the_log() {
    let world = World::running().await;
    let credential = world.connect("log").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let body = br#"{"marker":"payload-in-no-log"}"#;
    let right = sign(body, &secret);
    let wrong = format!("sha256={}", "5ca1ab1e".repeat(8));
    let injected = "sha256=signature-in-no-log\t\"quoted\"";
    for signature in [right.as_str(), &wrong, injected] {
        world.deliver_signed(&credential, "repo:push", body, Some(signature)).await;
        world.deliver_signed("credential-not-there", "payload-in-no-log{}", body, Some(signature)).await;
    }
    until("the deliveries are logged", async || {
        let log = world.local().log("webhook-ingest");
        (log.matches(&credential).count() >= 3).then_some(())
    })
    .await;
    let log = world.local().log("webhook-ingest");
    let digits = right.trim_start_matches("sha256=");
    for word in
        ["payload-in-no-log", "signature-in-no-log", digits, "5ca1ab1e5ca1ab1e", secret.expose_secret()]
    {
        assert!(!log.contains(word), "the log has {word}");
    }
}

#[tokio::test]
async fn an_unknown_credential_and_a_wrong_signature_get_the_same_answer() {
    let world = World::running().await;
    let credential = world.connect("oracle").await;
    world.hook(&credential, REPOSITORY).await;
    let wrong = format!("sha256={}", "0".repeat(64));
    let mut answers = Vec::new();
    for credential in [credential.as_str(), "01unknown00000000000000000"] {
        let url = format!("{}/webhooks/bitbucket-cloud/{credential}", world.local().public_url);
        let answer = world.http.post(url).header("x-hub-signature", &wrong).body("{}").send().await;
        let answer = answer.expect("an answer");
        let mut headers = answer.headers().clone();
        for changing in ["date", "apigw-requestid", "x-amzn-requestid", "x-amz-request-id", "x-amz-id-2"] {
            headers.remove(changing);
        }
        let status = answer.status();
        answers.push((status, format!("{headers:?}"), answer.text().await.expect("a body")));
    }
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn pushes_to_one_repository_arrive_in_their_order_and_only_once() {
    let world = World::running().await;
    let credential = world.connect("order").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let body = |n: usize| format!(r#"{{"repository":{{"uuid":"{{order}}"}},"n":{n}}}"#).into_bytes();
    for n in 0..30 {
        for _attempt in 0..2 {
            assert_eq!(
                world.deliver(&credential, "repo:push", &body(n), &secret).await,
                StatusCode::ACCEPTED
            );
        }
    }
    let bodies: Vec<_> = world.events(&credential, 30).await.into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, (0..30).map(body).collect::<Vec<_>>());
}
