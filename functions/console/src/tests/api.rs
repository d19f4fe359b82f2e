//! What programs get.

use super::*;
use bucketwheel::call::{CallId, Message, Outcome, Priority, Problem, Reply, Sent, State};
use bucketwheel::connect::Ticket;
use bucketwheel::rotation::{Nudge, Wish};
use bucketwheel::store::{calls, connects};
use http::header::ALLOW;

#[tokio::test]
async fn credentials_are_listed_page_by_page() {
    let world = World::new();
    for id in ["c-1", "c-2", "c-3"] {
        world.connected(id, id).await;
    }
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/api/credentials?limit=2{after}")).await.json();
        let values = page["values"].as_array().expect("values");
        ids.extend(values.iter().map(|value| value["id"].as_str().expect("an id").to_owned()));
        let Some(next) = page.get("next") else { break };
        after = format!("&after={}", next.as_str().expect("a cursor"));
    }
    assert_eq!(ids, ["c-1", "c-2", "c-3"]);
    for (uri, code) in [
        ("/api/credentials?limit=0", "bad_limit"),
        ("/api/credentials?limit=101", "bad_limit"),
        ("/api/credentials?limit=x", "bad_limit"),
        ("/api/credentials?after=junk", "bad_cursor"),
    ] {
        let answer = world.get(uri).await;
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::BAD_REQUEST, code), "{uri}");
    }
}

#[tokio::test]
async fn a_connect_link_is_given_once_and_stored_as_a_digest() {
    let world = World::new();
    let body = json!({ "workspace": "acme", "label": " Build bot ", "owner": "ada" }).to_string();
    let made = world.post("/api/connect-links", body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.json();
    assert_eq!(made["expires_at"], "2026-11-22T05:10:00Z");
    let url = made["url"].as_str().expect("an address");
    let ticket = url.strip_prefix("https://bw.example/connect/").expect("our address");
    assert_eq!(ticket.len(), 43);

    let now = world.edge.now();
    let digest = Ticket::presented(ticket).digest();
    let link = connects::link(&world.table, &digest, now).await.expect("a read").expect("a link");
    assert_eq!((link.label.as_str(), link.workspace.as_str()), ("Build bot", "acme"));
    assert_eq!((link.owner.as_str(), link.kind), ("ada", Kind::OauthUser));
    assert_eq!(made["credential"], link.credential.as_str());
    assert!(!format!("{:?}", world.table.items()).contains(ticket));
}

#[tokio::test]
async fn a_reconnect_keeps_what_is_not_said_anew() {
    let world = World::new();
    world.connected("c-1", "Build bot").await;
    let made = world.post("/api/connect-links", r#"{"credential":"c-1","owner":"grace"}"#).await.json();
    assert_eq!(made["credential"], "c-1");
    let ticket = made["url"].as_str().and_then(|url| url.rsplit('/').next()).expect("a ticket");
    let digest = Ticket::presented(ticket).digest();
    let link =
        connects::link(&world.table, &digest, world.edge.now()).await.expect("a read").expect("a link");
    assert_eq!(
        (link.label.as_str(), link.workspace.as_str(), link.owner.as_str()),
        ("Build bot", "acme", "grace")
    );
    let unknown = world.post("/api/connect-links", r#"{"credential":"c-2"}"#).await;
    assert_eq!((unknown.status, unknown.error().as_str()), (StatusCode::NOT_FOUND, "no_such_credential"));
}

#[tokio::test]
async fn a_connect_link_is_refused_for_what_does_not_fit() {
    let world = World::new();
    let x = |n: usize| "x".repeat(n);
    for (body, code) in [
        (json!({ "workspace": "w" }), "bad_field"),
        (json!({ "label": "l" }), "bad_field"),
        (json!({ "workspace": "w", "label": "  " }), "bad_field"),
        (json!({ "workspace": "w", "label": x(101) }), "bad_field"),
        (json!({ "workspace": x(65), "label": "l" }), "bad_field"),
        (json!({ "workspace": "w", "label": "l", "owner": x(129) }), "bad_field"),
        (json!({ "workspace": "w", "label": "a\u{7}b" }), "bad_field"),
        (json!({ "workspace": "w", "label": "l", "colour": "red" }), "body_unreadable"),
        (json!({ "workspace": "w", "label": "l", "kind": "magic" }), "body_unreadable"),
        (json!({ "workspace": "w", "label": "l", "credential": "A/B" }), "body_unreadable"),
        (json!([]), "body_unreadable"),
    ] {
        let answer = world.post("/api/connect-links", body.to_string()).await;
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::BAD_REQUEST, code), "{body}");
    }
    assert!(world.table.items().is_empty());
    let longest = json!({ "workspace": x(64), "label": "ü".repeat(100), "owner": x(128) });
    assert_eq!(world.post("/api/connect-links", longest.to_string()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_refresh_is_a_nudge_for_a_known_credential() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    assert_eq!(world.post("/api/credentials/c-1/refresh", "").await.status, StatusCode::ACCEPTED);
    let sent = world.nudges.take();
    let nudge: Nudge = serde_json::from_str(&sent[0].body).expect("a nudge");
    assert_eq!((sent.len(), nudge), (1, Nudge { credential: id, wish: Wish::Refresh }));
    for uri in
        ["/api/credentials/c-2/refresh", "/api/credentials/A%20b/refresh", "/api/credentials/%FF/refresh"]
    {
        let answer = world.post(uri, "").await;
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::NOT_FOUND, "no_such_credential"));
    }
    assert!(world.nudges.sent().is_empty());
}

#[tokio::test]
async fn a_call_is_checked_named_and_queued() {
    let world = World::new();
    let call = |path: &str| json!({ "credential": "c-1", "call": { "method": "GET", "path": path } });
    let unnamed = world.post("/api/calls", call("user").to_string()).await;
    assert_eq!(unnamed.status, StatusCode::ACCEPTED);
    let mut named = call("user");
    named["id"] = json!("mine:1");
    assert_eq!(world.post("/api/calls", named.to_string()).await.json(), json!({ "id": "mine:1" }));
    let sent: Vec<Message> =
        world.calls.take().iter().map(|m| serde_json::from_str(&m.body).expect("a message")).collect();
    assert_eq!(unnamed.json()["id"], sent[0].id.as_str());
    assert_eq!(sent[1].id.as_str(), "mine:1");

    let mut bad_id = call("user");
    bad_id["id"] = json!("a b");
    let mut unknown_field = call("user");
    unknown_field["urgent"] = json!(true);
    for (body, code) in [
        (call("../admin").to_string(), "bad_path"),
        (call("https://evil.example/").to_string(), "bad_path"),
        (bad_id.to_string(), "body_unreadable"),
        (unknown_field.to_string(), "body_unreadable"),
        ("{".to_owned(), "body_unreadable"),
        (String::new(), "body_unreadable"),
    ] {
        let answer = world.post("/api/calls", body.clone()).await;
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::BAD_REQUEST, code), "{body}");
    }
    assert!(world.calls.sent().is_empty());
}

#[tokio::test]
async fn a_calls_outcome_can_be_asked_for() {
    let world = World::new();
    let now = world.edge.now();
    let id: CallId = "mine:1".parse().expect("an id");
    for uri in ["/api/calls/mine:1", "/api/calls/a%20b"] {
        assert_eq!(world.get(uri).await.error(), "no_such_call");
    }
    let sent = Sent { at: now, until: now, by: 1 };
    calls::about_to_send(&world.table, &id, sent, None, now).await.expect("a write");
    let sent = world.get("/api/calls/mine:1").await;
    assert_eq!((sent.status, sent.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("sent")));
    let credential = "c-1".parse().expect("an id");
    let outcome = Outcome {
        status: Some(200),
        body: Some(json!({ "ok": true })),
        ..Outcome::new(id.clone(), credential, State::Succeeded, now)
    };
    calls::finish(&world.table, &outcome, "GET user", now).await.expect("a write");
    let finished = world.get("/api/calls/mine:1").await;
    assert_eq!((finished.status, finished.json()), (StatusCode::OK, json!(outcome)));
}

#[tokio::test(start_paused = true)]
async fn a_direct_call_is_answered_when_it_is_quick_and_else_with_the_id_to_ask_for() {
    let world = World::new();
    let body = r#"{"id":"slow","credential":"c-1","call":{"method":"GET","path":"user"}}"#;
    let accepted = world.post("/api/call", body).await;
    assert_eq!((accepted.status, accepted.json()), (StatusCode::ACCEPTED, json!({ "id": "slow" })));
    let sent: Message = serde_json::from_str(&world.calls.take()[0].body).expect("a call");
    assert_eq!((sent.reply, sent.priority), (Reply::Store, Priority::Interactive));
    let queued = world.get("/api/calls/slow").await;
    assert_eq!((queued.status, queued.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("queued")));

    let now = world.edge.now();
    let outcome = Outcome::new(sent.id, sent.credential, State::Succeeded, now);
    calls::finish(&world.table, &outcome, "GET user", now).await.expect("a write");
    let again = world.post("/api/call", body).await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, json!(outcome)));
}

#[tokio::test]
async fn the_recent_calls_of_a_credential_are_listed_the_latest_first() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let problem = Some(Problem::new("not_found", "There is none.", "Look."));
    for (number, error) in [None, problem, None].into_iter().enumerate() {
        world.edge.advance(SignedDuration::from_secs(1));
        let (call, now) = (format!("call-{number}").parse().expect("an id"), world.edge.now());
        let state = if error.is_some() { State::Failed } else { State::Succeeded };
        let outcome = Outcome { error, ..Outcome::new(call, id.clone(), state, now) };
        calls::finish(&world.table, &outcome, "GET user", now).await.expect("a write");
    }
    let first = world.get("/api/credentials/c-1/calls?limit=2").await.json();
    let short = |value: &Value| format!("{} {} {}", value["id"], value["state"], value["error"]);
    let shorts =
        |page: &Value| page["values"].as_array().expect("values").iter().map(short).collect::<Vec<_>>();
    assert_eq!(shorts(&first), [r#""call-2" "succeeded" null"#, r#""call-1" "failed" "not_found""#]);
    let next = first["next"].as_str().expect("a next");
    let second = world.get(&format!("/api/credentials/c-1/calls?limit=2&after={next}")).await.json();
    assert_eq!(shorts(&second), [r#""call-0" "succeeded" null"#]);
    assert!(second["next"].is_null() && second["values"][0]["what"] == "GET user", "{second}");
    assert_eq!(world.get("/api/credentials/nobody/calls").await.error(), "no_such_credential");
}

#[tokio::test]
async fn what_is_too_long_or_leads_nowhere_is_said_so() {
    let world = World::new();
    let long = world.post("/api/calls", "x".repeat(LONGEST_BODY + 1)).await;
    assert_eq!((long.status, long.error().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    let nowhere = world.get("/api/oh/no").await;
    assert_eq!((nowhere.status, nowhere.error().as_str()), (StatusCode::NOT_FOUND, "no_such_page"));
    let wrong = world.get("/api/connect-links").await;
    assert_eq!((wrong.status, wrong.error().as_str()), (StatusCode::METHOD_NOT_ALLOWED, "wrong_method"));
    assert_eq!(wrong.header(ALLOW), "POST");
    let page = world.look("/credentials/nobody").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(page.header(CONTENT_TYPE), "text/html; charset=utf-8");
    assert!(page.text.contains("There is no credential of this id."), "{}", page.text);
}

#[tokio::test]
async fn when_table_or_queue_are_away_that_is_said_in_dull_words() {
    let world = World::new();
    world.connected("c-1", "Build bot").await;
    world.nudges.set_down(true);
    let answer = world.post("/api/credentials/c-1/refresh", "").await;
    assert_eq!((answer.status, answer.error().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "try_again"));
    world.table.set_down(true);
    let answer = world.get("/api/credentials").await;
    assert_eq!((answer.status, answer.error().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "try_again"));
    assert!(!answer.text.contains("switched off"), "{}", answer.text);
    let page = world.look("/credentials").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text.contains("The table is not available right now."), "{}", page.text);
}
