//! What the schedule does unasked.

use bucketwheel::aws::Host;
use bucketwheel::ports::{Condition, Edge as _, Key, Table as _, Write};
use serde_json::{Value, json};

use crate::hooks::registered;
use crate::world::{World, text, until};

/// Begins a round of its own number, whenever the last one was, and walks to its end as the schedule does.
async fn round(world: &World) {
    let number = u32::from_be_bytes(Host.random());
    let Value::Object(attributes) = json!({"number": number, "step": 1}) else { unreachable!("an object") };
    let key = Key::new("ROUND", "ROUND");
    let begin = Write::Put { key, attributes, condition: Condition::Always };
    world.table().write(vec![begin]).await.expect("the table takes it");
    until("the round ends", async || {
        let walked = world.local().invoke("api-worker", "{}").await.expect("the worker answers");
        let walked: Value = serde_json::from_slice(&walked).expect("JSON");
        (walked["ended"] == json!(true)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_hook_that_somebody_deleted_comes_back_with_the_next_round() {
    let world = World::running().await;
    let credential = world.connect("round").await;
    world.hook(&credential, "seilbahn/website").await;
    let before = registered(&world, &credential).await;
    let uuid = text(&before[0]["uuid"]);
    let path = format!("repositories/seilbahn/website/hooks/{uuid}");
    let outcome = world.call(&credential, json!({"method": "DELETE", "path": path})).await;
    assert!(outcome.error.is_none(), "{outcome:?}");

    round(&world).await;
    let after = until("the hook is there again", async || registered(&world, &credential).await.pop()).await;
    assert_ne!(after["uuid"], before[0]["uuid"]);
    assert_eq!(after["secret"], before[0]["secret"]);
}
