//! Calls that wait: for a new token, for Bitbucket, for a mended message.

use bucketwheel::call::State;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_storm_of_calls_with_one_expired_token_causes_one_refresh_and_all_succeed() {
    let world = World::running().await;
    let credential = world.connect_for("storm", 1).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let id = |n: u32| format!("storm-{n}-{credential}");
    let text = |n| {
        let call = json!({"method": "GET", "path": "repositories/seilbahn/website"});
        json!({"id": id(n), "credential": credential, "call": call}).to_string()
    };
    world.submit_all((0..200).map(text).collect()).await;
    let outcomes = stream::iter(0..200).map(|n| {
        let id = id(n);
        let world = &world;
        async move { world.result(&id).await }
    });
    let outcomes: Vec<_> = outcomes.buffer_unordered(200).collect().await;
    for outcome in &outcomes {
        assert_eq!((outcome.state, outcome.status), (State::Succeeded, Some(200)), "{outcome:?}");
    }
    assert_eq!(world.generation(&credential).await, 2);
}

#[tokio::test]
async fn a_call_that_bitbucket_cannot_serve_now_is_served_seconds_later() {
    let world = World::running().await;
    let credential = world.connect("outage").await;
    let alone = world.alone().await;
    world
        .behave(json!({"fail_api": {"count": 1, "status": 503, "html": true, "path": "seilbahn/leer"}}))
        .await;
    let outcome =
        world.call(&credential, json!({"method": "GET", "path": "repositories/seilbahn/leer"})).await;
    drop(alone);
    assert_eq!((outcome.state, outcome.status), (State::Succeeded, Some(200)));
    assert!(!world.local().log("api-worker").contains("<html"), "a page was logged");
}

#[tokio::test]
async fn a_message_that_is_no_call_ends_among_the_dead_letters_with_its_cause() {
    let world = World::running().await;
    world.submit("this is not a call".to_owned()).await;
    let dead = world.dead_letter("this is not a call").await;
    assert!(dead.contains("the message is not a call"), "{dead}");
}

#[tokio::test]
async fn one_bad_message_does_not_hold_up_its_batch() {
    let world = World::running().await;
    let credential = world.connect("batch").await;
    let call = |n: u32, path: &str| json!({"id": format!("batch-{n}-{credential}"), "credential": credential, "call": {"method": "GET", "path": path}});
    let mut texts: Vec<_> = (0..9).map(|n| call(n, "user").to_string()).collect();
    texts.push(format!("no call of {credential}"));
    world.submit_all(texts).await;
    for n in 0..9 {
        let outcome = world.result(&format!("batch-{n}-{credential}")).await;
        assert_eq!(outcome.state, State::Succeeded);
    }
    world.dead_letter(&format!("no call of {credential}")).await;
}
