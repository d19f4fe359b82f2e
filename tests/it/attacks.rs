//! The attacks of the threat model, tried against the running system as a stranger would. What other tests
//! try already is not repeated here: `.github/THREATS.md` has all of them, with the answer that each got, and
//! `every_attack_of_the_threat_model_names_a_test_that_exists` keeps that list honest: a test that does not run
//! with the others, or not against the running system, is marked there.

mod bombs;
mod console;
mod listed;

use bucketwheel::signature::sign;
use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::pagination::hostile;
use crate::world::World;

const REPOSITORY: &str = "seilbahn/website";

/// Posts to the webhook address with these headers.
async fn posted(world: &World, path: &str, headers: &[(&str, &str)], body: &[u8]) -> StatusCode {
    let url = format!("{}/webhooks/bitbucket-cloud/{path}", world.local().public_url);
    let request =
        headers.iter().fold(world.http.post(url), |request, (name, value)| request.header(*name, *value));
    request.body(body.to_vec()).send().await.expect("an answer").status()
}

/// A good delivery behind bad ones shows that nothing of them is on its way.
async fn only_the_last_came(world: &World, credential: &str, secret: &SecretString, before: usize) {
    assert_eq!(world.deliver(credential, "repo:push", b"{\"last\":1}", secret).await, StatusCode::ACCEPTED);
    let events = world.events(credential, before + 1).await;
    assert_eq!(events.len(), before + 1);
    assert_eq!(events[before].1, b"{\"last\":1}");
}

#[tokio::test]
async fn a_replayed_delivery_comes_once_whatever_headers_it_wears() {
    let world = World::running().await;
    let credential = world.connect("replayed").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let body = br#"{"repository":{"uuid":"{replayed}"}}"#;
    let right = sign(body, &secret);
    for (key, attempt) in [("repo:push", "1"), ("repo:push", "2"), ("pullrequest:fulfilled", "1"), ("", "9")]
    {
        let headers = [
            ("x-hub-signature", right.as_str()),
            ("x-event-key", key),
            ("x-attempt-number", attempt),
            ("x-request-uuid", "another"),
        ];
        assert_eq!(posted(&world, &credential, &headers, body).await, StatusCode::ACCEPTED);
    }
    only_the_last_came(&world, &credential, &secret, 1).await;
    assert_eq!(world.events(&credential, 1).await[0].0, "org.bitbucket.repo.push");
}

#[tokio::test]
async fn a_body_that_differs_by_a_byte_and_a_secret_of_another_credential_get_401() {
    let world = World::running().await;
    let credential = world.connect("truncated").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let other = world.connect("truncated, other").await;
    let others = world.hook(&other, REPOSITORY).await;
    assert_ne!(secret.expose_secret(), others.expose_secret());
    let body = br#"{"push":{"changes":[]}}"#;
    let right = sign(body, &secret);
    let mut longer = body.to_vec();
    longer.push(b'\n');
    let mut flipped = body.to_vec();
    flipped[2] ^= 1;
    for body in [&body[..body.len() - 1], &[], &longer, &flipped] {
        let status = world.deliver_signed(&credential, "repo:push", body, Some(&right)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body:?}");
    }
    let strange = world.deliver(&credential, "repo:push", body, &others).await;
    assert_eq!(strange, StatusCode::UNAUTHORIZED, "another credential's secret");
    only_the_last_came(&world, &credential, &secret, 0).await;
}

#[tokio::test]
async fn no_other_algorithm_and_no_doubled_header_gets_a_delivery_in() {
    let world = World::running().await;
    let credential = world.connect("algorithm").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let body = br#"{"push":{"changes":[]}}"#;
    let right = sign(body, &secret);
    let digits = right.trim_start_matches("sha256=");
    for value in [
        digits.to_owned(),
        format!("sha1={}", &digits[..40]),
        format!("sha512={digits}{digits}"),
        format!("none={digits}"),
        "none=".to_owned(),
        format!("sha256={}", &digits[..62]),
        format!("sha256={digits}00"),
        format!("sha256={digits};sha256={digits}"),
    ] {
        for name in ["x-hub-signature", "x-hub-signature-256"] {
            let status = posted(&world, &credential, &[(name, &value)], body).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: {value}");
        }
    }
    // Five signatures, of which the last is right, are more than anybody sends.
    let wrong = format!("sha256={}", "0".repeat(64));
    let many = [wrong.as_str(), &wrong, &wrong, &wrong, &right].join(", ");
    assert_eq!(
        posted(&world, &credential, &[("x-hub-signature", &many)], body).await,
        StatusCode::UNAUTHORIZED
    );
    // The same as header lines of their own, under one name and under both. One that is right counts among
    // four, since whoever has it could send it alone.
    let name = ["x-hub-signature", "x-hub-signature-256"];
    for (lines, answer) in [
        (vec![(name[0], &wrong), (name[0], &wrong)], StatusCode::UNAUTHORIZED),
        (vec![(name[0], &wrong), (name[1], &wrong)], StatusCode::UNAUTHORIZED),
        (
            vec![(name[0], &wrong); 4].into_iter().chain([(name[0], &right)]).collect(),
            StatusCode::UNAUTHORIZED,
        ),
        (
            vec![(name[0], &wrong); 4].into_iter().chain([(name[1], &right)]).collect(),
            StatusCode::UNAUTHORIZED,
        ),
        (vec![(name[0], &wrong), (name[0], &right)], StatusCode::ACCEPTED),
        (vec![(name[1], &wrong), (name[0], &right)], StatusCode::ACCEPTED),
    ] {
        let lines: Vec<_> = lines.into_iter().map(|(name, value)| (name, value.as_str())).collect();
        assert_eq!(posted(&world, &credential, &lines, body).await, answer, "{lines:?}");
    }
    // Names that a proxy might trust change nothing.
    let trusted = [
        ("authorization", "Bearer anything"),
        ("x-hub-signature-verified", "true"),
        ("x-forwarded-for", "104.192.136.1"),
        ("x-http-method-override", "GET"),
        ("x-original-url", "/api/credentials"),
        ("user-agent", "Bitbucket-Webhooks/2.0"),
    ];
    assert_eq!(posted(&world, &credential, &trusted, body).await, StatusCode::UNAUTHORIZED);
    only_the_last_came(&world, &credential, &secret, 1).await;
}

#[tokio::test]
async fn no_spelling_of_an_address_reaches_another_credential_or_route() {
    let world = World::running().await;
    let credential = world.connect("spelling").await;
    let secret = world.hook(&credential, REPOSITORY).await;
    let body = br#"{"push":{"changes":[]}}"#;
    let right = sign(body, &secret);
    for path in [
        format!("{credential}/"),
        format!("{credential}%00"),
        format!("{credential}%2f..%2fother"),
        format!("%2e%2e/{credential}"),
        credential.to_uppercase(),
        format!("x{credential}"),
        "CRED%23x".to_owned(),
        "*".to_owned(),
    ] {
        let status = posted(&world, &path, &[("x-hub-signature", &right)], body).await;
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST];
        assert!(refused.contains(&status), "{path}: {status}");
    }
    only_the_last_came(&world, &credential, &secret, 0).await;
}

#[tokio::test]
async fn a_state_of_one_connect_is_worth_nothing_in_another_browser_that_began_its_own() {
    let world = World::running().await;
    let (attackers, planted) = world.connect_link("fixation, attacker").await;
    let (victims, _) = world.connect_link("fixation, victim").await;
    let (mut attacker, mut victim) = (world.person(), world.person());
    let begun = attacker.open(&attackers).await.expect("the consent page");
    let state = begun.parameter("state").expect("a state");
    // The victim's browser has a cookie too, of its own connect.
    victim.open(&victims).await.expect("the consent page");
    let callback = format!("{}/oauth/callback?code=planted&state={state}", world.local().public_url);
    let landed = victim.open(&callback).await.expect("a page");
    assert_eq!(landed.parameter("bitbucket_error").as_deref(), Some("other_browser"));
    assert!(world.item(&format!("CRED#{planted}"), "META").await.is_none());
}

#[tokio::test]
async fn no_path_of_a_call_reaches_another_host_or_leaves_the_api() {
    let world = World::running().await;
    let credential = world.connect("ssrf").await;
    let (evil, heard) = hostile().await;
    let host = evil.trim_start_matches("http://");
    let before = world.requests("GET", "").await.len();
    for path in [
        format!("//{host}/2.0/user"),
        format!("{evil}/2.0/user"),
        format!("@{host}/user"),
        format!("..//{host}"),
        "../site/oauth2/access_token".to_owned(),
        "%2e%2e/site/oauth2/access_token".to_owned(),
        "user/..%2f..%2fsite".to_owned(),
        "repositories/./../../_sandbox/state".to_owned(),
        "\\\\169.254.169.254\\latest".to_owned(),
        "user?access_token=x".to_owned(),
        "user#fragment".to_owned(),
        "user\r\nHost: evil".to_owned(),
        String::new(),
    ] {
        let call = json!({"credential": credential, "call": {"method": "GET", "path": path}});
        let (status, answer) = world.operator("POST", "call", Some(call)).await;
        let refused =
            status == StatusCode::BAD_REQUEST || (status == StatusCode::OK && answer["state"] == "failed");
        assert!(refused, "{path:?}: {status} {answer}");
    }
    // Headers, a body's host and a query decide no host either.
    for call in [
        json!({"method": "GET", "path": "user", "headers": {"host": host, "authorization": "Basic eDp5"}}),
        json!({"method": "GET", "path": "user", "url": evil, "host": host, "base": evil}),
        json!({"method": "GET", "path": "user", "query": {"url": evil, "next": evil}}),
    ] {
        let call = json!({"credential": credential, "call": call});
        let (status, answer) = world.operator("POST", "call", Some(call)).await;
        let own = answer["body"]["display_name"] == "Ada Lindt";
        assert!(own || status == StatusCode::BAD_REQUEST, "{status} {answer}");
    }
    assert_eq!(*heard.lock().expect("unpoisoned"), Vec::<String>::new());
    let strayed = world.requests("GET", "").await;
    let strayed = strayed[before.min(strayed.len())..].iter().filter(|line| {
        let path = line["path"].as_str().unwrap_or_default();
        line["who"].as_str().is_some() && !path.starts_with("/2.0/")
    });
    assert_eq!(strayed.count(), 0);
}

/// An answer's text as JSON, if it is any.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
