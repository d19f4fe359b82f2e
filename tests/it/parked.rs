//! The second store: the table refuses writes right after a spend.

use std::time::Duration;

use serde_json::json;

use crate::lambda::{Fault, Invocation, Trouble, Visit, invoke, record};
use crate::upkeep::counted;
use crate::world::{World, until};

const SPEND: &str = "POST /site/oauth2/access_token";

/// Refreshes a credential that is due, with a table that takes nothing right after the spend.
pub(crate) async fn parks(world: &World, credential: &str) -> Visit {
    let away: Trouble = Box::new(|steps| {
        let (now, before) = steps.split_last()?;
        let spent = before.iter().any(|step| step == SPEND);
        (spent && now.starts_with("DynamoDB_")).then_some(Fault::LostBefore)
    });
    let event = record(&json!({ "credential": credential }).to_string(), 1);
    let life = Duration::from_secs(120);
    let what = Invocation { function: "token-refresh", event, life, trouble: away, killed_after: None };
    let visit = invoke(world, what).await;
    assert_eq!(counted(&visit.log, "refresh_parked"), 1, "{}", visit.log);
    visit
}

#[tokio::test]
async fn a_pair_that_the_table_does_not_take_is_parked_sealed_and_comes_home() {
    let world = World::running().await;
    let credential = world.connect_lazily("parked").await;
    world.pass(&credential, 3).await;
    let spent = world.refresh_token(&credential).await;
    let visit = parks(&world, &credential).await;

    assert_eq!(visit.steps.iter().filter(|step| *step == SPEND).count(), 1, "{:?}", visit.steps);
    let [message] = &visit.messages[..] else { panic!("one message, not {:?}", visit.messages) };
    // The deployed function takes it from the queue. Bitbucket refuses the spent token by now.
    until("the pair comes home", async || (world.generation(&credential).await == 2).then_some(())).await;
    assert_eq!(world.standing(&credential).await, "active");
    let new = [world.refresh_token(&credential).await, world.access_token(&credential).await];
    assert_ne!(new[0], spent);
    for secret in new.iter().chain([&spent]) {
        assert!(!message.contains(secret.as_str()), "a token lay in clear on the queue");
    }
    let left = world.tokens(&credential).await;
    for gone in ["intent_id", "lease_owner", "refused_at_ms", "spare"] {
        assert!(!left.contains_key(gone), "{gone} is left behind");
    }
}
