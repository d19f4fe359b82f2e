//! From a due token to its successor.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{World, text};

#[tokio::test]
async fn a_due_token_is_rotated_and_the_old_one_is_refused_afterwards() {
    let world = World::running().await;
    let credential = world.connect_due("due").await;
    let old = newest_refresh_token(&world, &credential).await;
    world.sweep().await;

    assert_eq!(world.generation(&credential).await, 2);
    let tokens = world.tokens(&credential).await;
    for gone in ["intent_id", "lease_owner", "refused_at_ms"] {
        assert!(!tokens.contains_key(gone), "{gone} is left behind");
    }
    let checked = world.sandbox("POST", "refresh-tokens/check", Some(json!({"refresh_token": old}))).await;
    assert_eq!(checked["state"], "dead");
    let (_, shown) = world.operator("GET", &format!("credentials/{credential}"), None).await;
    assert_eq!(shown["status"]["health"], "up");
}

#[tokio::test]
async fn a_token_that_has_time_left_is_left_alone() {
    let world = World::running().await;
    let credential = world.connect("fresh").await;
    world.sweep().await;
    assert_eq!(world.generation(&credential).await, 1);
}

#[tokio::test]
async fn the_schedule_fires_by_itself() {
    let world = World::running().await;
    let credential = world.connect_due("schedule").await;
    for _ in 0..90 {
        if world.generation(&credential).await == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("the schedule did not refresh a due token within 90 seconds");
}

#[tokio::test]
async fn two_sweeps_at_once_refresh_once() {
    let world = World::running().await;
    let credential = world.connect_due("race").await;
    tokio::join!(world.sweep(), world.sweep(), world.sweep());
    assert_eq!(world.generation(&credential).await, 2);
}

#[tokio::test]
async fn a_withdrawn_grant_is_confirmed_before_it_is_believed() {
    let world = World::running().await;
    let credential = world.connect_due("withdrawn").await;
    let grant = grant_of(&world, &credential).await;
    world.sandbox("DELETE", &format!("grants/{}", text(&grant["id"])), None).await;
    world.sweep().await;
    let status =
        async || world.operator("GET", &format!("credentials/{credential}"), None).await.1["status"].clone();
    let first = status().await;
    assert_eq!((&first["health"], &first["cause"]), (&json!("degraded"), &json!("refresh_refused")));
    let tokens = world.tokens(&credential).await;
    assert!(tokens.contains_key("refused_at_ms") && !tokens.contains_key("lease_owner"), "{tokens:?}");
    // It is not tried again before a possible lockout is over.
    world.sweep().await;
    assert_eq!(status().await, first);
    assert_eq!(world.generation(&credential).await, 1);
}

async fn newest_refresh_token(world: &World, credential: &str) -> String {
    text(&grant_of(world, credential).await["refresh_tokens"][0]["value"])
}

/// The sandbox's grant behind a credential, found by the access token that the table holds sealed.
pub(crate) async fn grant_of(world: &World, credential: &str) -> Value {
    let access = world.access_token(credential).await;
    let state = world.sandbox("GET", "state?reveal=true", None).await;
    let grants = state["grants"].as_array().expect("grants").iter();
    let holds = |grant: &&Value| {
        grant["access_tokens"]
            .as_array()
            .is_some_and(|tokens| tokens.iter().any(|t| t["value"] == access.as_str()))
    };
    grants.clone().find(holds).expect("the credential's grant").clone()
}
