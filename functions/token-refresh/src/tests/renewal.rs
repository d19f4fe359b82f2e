//! Client credentials: nothing is single use, so a new access token is simply fetched.

use bucketwheel::credential::Kind;
use bucketwheel::rotation::Upkeep;
use jiff::SignedDuration;
use serde_json::json;

use super::world::{Fault, World};

async fn due() -> World {
    let world = World::new(1);
    world.connect("app", Kind::OauthClientCredentials, Upkeep::Renew, 1_190).await;
    world
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_however_late() {
    let world = due().await;
    world.fails("consumer", Some(Fault::Lost));
    world.sweep().await;
    assert_eq!(world.state("app").await, "degraded: refresh_failed");
    world.fails("consumer", None);
    // Long after any window of a refresh token.
    world.edge.advance(SignedDuration::from_hours(3));
    world.sweep().await;
    assert_eq!((world.chain("app").await.generation, world.state("app").await.as_str()), (2, "up"));
}

#[tokio::test]
async fn a_nudge_fetches_early_but_not_twice() {
    let world = due().await;
    world.sweep().await;
    let nudge = json!({ "credential": "app" });
    world.nudge(&nudge).await;
    assert_eq!(world.chain("app").await.generation, 2, "it is fresh");
    world.edge.advance(SignedDuration::from_mins(1));
    world.nudge(&nudge).await;
    assert_eq!(world.chain("app").await.generation, 3);
}
