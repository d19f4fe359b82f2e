//! From the calls queue to Bitbucket and back.

use bucketwheel::call::State;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_call_becomes_a_request_and_its_outcome_comes_back_both_ways() {
    let world = World::running().await;
    let credential = world.connect("call").await;
    let message = json!({
        "id": format!("both-ways-{credential}"), "credential": credential,
        "call": {"method": "GET", "path": "repositories/seilbahn/website"},
    });
    world.submit(message.to_string()).await;
    let outcome = world.result(message["id"].as_str().expect("an id")).await;
    assert_eq!((outcome.state, outcome.status), (State::Succeeded, Some(200)));
    assert_eq!(outcome.body.as_ref().expect("a body")["full_name"], "seilbahn/website");

    let (status, stored) = world.operator("GET", &format!("calls/{}", outcome.id), None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(stored, serde_json::to_value(&outcome).expect("JSON"));
}

#[tokio::test]
async fn a_message_that_comes_twice_is_sent_once_and_answered_twice() {
    let world = World::running().await;
    let credential = world.connect("twice").await;
    let id = format!("twice-{credential}");
    let path = "repositories/seilbahn/website/refs/branches";
    let head = world.call(&credential, json!({"method": "GET", "path": format!("{path}/main")})).await;
    let target = head.body.expect("a branch")["target"]["hash"].clone();
    let message = json!({
        "id": id, "credential": credential,
        "call": {"method": "POST", "path": path, "body": {"name": id, "target": {"hash": target}}},
    });
    world.submit(message.to_string()).await;
    let first = world.result(&id).await;
    assert_eq!((first.state, first.status), (State::Succeeded, Some(201)));

    // A second request would be answered 400: the branch exists.
    world.submit(message.to_string()).await;
    crate::world::until("the outcome comes again", async || (world.results(&id) == 2).then_some(())).await;
    assert_eq!(world.result(&id).await, first);
}

#[tokio::test]
async fn what_cannot_succeed_fails_with_its_cause() {
    let world = World::running().await;
    let credential = world.connect("causes").await;
    for (call, code) in [
        (json!({"method": "GET", "path": "repositories/seilbahn/nowhere"}), "not_found"),
        (json!({"method": "GET", "path": "repositories"}), "removed"),
        (json!({"method": "GET", "path": "repositories/seilbahn/website/issues"}), "removed"),
    ] {
        let outcome = world.call(&credential, call.clone()).await;
        assert_eq!(outcome.state, State::Failed, "{call}");
        assert_eq!(outcome.error.expect("a cause").code, code, "{call}");
    }
}

#[tokio::test]
async fn messages_that_are_wrong_are_answered_where_they_can_be() {
    let world = World::running().await;
    let credential = world.connect("wrong").await;
    let message = |id: &str, credential: &str, call| json!({"id": format!("{id}-{credential}"), "credential": credential, "call": call});
    for (message, code) in [
        (message("method", &credential, json!({"method": "TRACE", "path": "user"})), "bad_call"),
        (message("climb", &credential, json!({"method": "GET", "path": "../user"})), "bad_path"),
        (message("nobody", "nobody", json!({"method": "GET", "path": "user"})), "unknown_credential"),
    ] {
        world.submit(message.to_string()).await;
        let outcome = world.result(message["id"].as_str().expect("an id")).await;
        assert_eq!(outcome.state, State::Failed, "{message}");
        assert_eq!(outcome.error.expect("a cause").code, code, "{message}");
    }
}

#[tokio::test]
async fn a_call_after_its_deadline_is_not_sent() {
    let world = World::running().await;
    let credential = world.connect("late").await;
    let id = format!("late-{credential}");
    let message = json!({
        "id": id, "credential": credential, "deadline": "2020-01-01T00:00:00Z",
        "call": {"method": "DELETE", "path": "repositories/seilbahn/website"},
    });
    world.submit(message.to_string()).await;
    assert_eq!(world.result(&id).await.state, State::Expired);
}

#[tokio::test]
async fn the_recent_calls_of_a_credential_are_listed_with_their_outcomes() {
    let world = World::running().await;
    let credential = world.connect("recent").await;
    world.call(&credential, json!({"method": "GET", "path": "user"})).await;
    world.call(&credential, json!({"action": "get_repository", "repository": "seilbahn/nowhere"})).await;
    let listed = crate::world::until("both are listed", async || {
        let (status, page) = world.operator("GET", &format!("credentials/{credential}/calls"), None).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let values = page["values"].as_array().expect("values").clone();
        // What follows every connect is listed too.
        let ours = |call: &Value| call["what"] != "refresh_repositories" && call["what"] != "repair_hooks";
        let asked = values.into_iter().filter(ours);
        let asked: Vec<_> = asked.map(|call| json!([call["what"], call["state"], call["error"]])).collect();
        (asked.len() == 2).then_some(asked)
    });
    let expected = [json!(["get_repository", "failed", "not_found"]), json!(["GET user", "succeeded", null])];
    assert_eq!(listed.await, expected);
}
