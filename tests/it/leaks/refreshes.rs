//! Refreshes that end in each way, and that each of them really happened.

use serde_json::{Value, json};

use super::canaries::{Canaries, Place};
use super::flows::{Seen, tokens};
use super::places::of_log;
use crate::parked::parks;
use crate::refreshes::grant_of;
use crate::world::{World, text, until};

pub(super) async fn all(world: &World, canaries: &mut Canaries, credential: &str, seen: &mut Seen) {
    let fails = |failure: Value| json!({"fail_token_endpoint": failure});
    for (failure, ends) in [
        (json!({}), "rotated"),
        (fails(json!({"count": 1, "status": 503, "html": true})), "transient"),
        (fails(json!({"count": 1, "status": 200, "html": true})), "transient"),
        (json!({"lose_answer": {"count": 1, "when": "before_commit"}}), "transient"),
        // Who lost the answer may ask again only as long as Bitbucket forgives it.
        (
            json!({"lose_answer": {"count": 1, "when": "after_commit"}, "grace_window_seconds": 600}),
            "transient",
        ),
    ] {
        world.pass(credential, 3).await;
        let before = world.generation(credential).await;
        tokens(world, canaries).await;
        world.behave(failure.clone()).await;
        let report = world.sweep().await;
        assert_eq!(report["runs"], json!({(ends): 1}), "{failure}");
        assert_eq!(world.generation(credential).await, before + u64::from(ends == "rotated"), "{failure}");
        until("it is refreshed after all", async || {
            world.sweep().await;
            (world.generation(credential).await == before + 1).then_some(())
        })
        .await;
        world.behave(json!({"grace_window_seconds": 0})).await;
        tokens(world, canaries).await;
    }
    nudged(world, credential).await;
    tokens(world, canaries).await;
    parked(world, credential, seen).await;
    tokens(world, canaries).await;
    refused(world, canaries, seen).await;
}

async fn nudged(world: &World, credential: &str) {
    world.pass(credential, 3).await;
    let before = world.generation(credential).await;
    let (status, answer) = world.operator("POST", &format!("credentials/{credential}/refresh"), None).await;
    assert!(status.is_success(), "{answer}");
    until("it is refreshed", async || (world.generation(credential).await == before + 1).then_some(())).await;
}

/// The new pair waits on the refresh queue, and comes home. That run's requests do not pass the tap.
async fn parked(world: &World, credential: &str, seen: &mut Seen) {
    world.pass(credential, 3).await;
    let before = world.generation(credential).await;
    let visit = parks(world, credential).await;
    seen.extend(of_log(&visit.log));
    assert_eq!(visit.messages.len(), 1, "{:?}", visit.messages);
    seen.extend(visit.messages.into_iter().map(|message| (Place::Queue("refresh".to_owned()), message)));
    until("the pair comes home", async || (world.generation(credential).await == before + 1).then_some(()))
        .await;
}

/// Somebody withdraws the grant: the refusal is confirmed, and the credential is down.
async fn refused(world: &World, canaries: &mut Canaries, seen: &mut Seen) {
    let credential = world.connect("Canary refused").await;
    tokens(world, canaries).await;
    let grant = grant_of(world, &credential).await;
    world.pass(&credential, 3).await;
    world.sandbox("DELETE", &format!("grants/{}", text(&grant["id"])), None).await;
    for (ends, health, cause) in
        [("suspect", "degraded", "refresh_refused"), ("revoked", "down", "rotation_lost")]
    {
        let report = world.sweep().await;
        assert_eq!(report["runs"], json!({(ends): 1}));
        let (_, shown) = world.operator("GET", &format!("credentials/{credential}"), None).await;
        let status = &shown["status"];
        assert_eq!((&status["health"], &status["cause"]), (&json!(health), &json!(cause)));
        seen.push((Place::Page, shown.to_string()));
    }
}
