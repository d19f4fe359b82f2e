//! The table stops to answer right after a spend.

use std::time::Duration;

use serde_json::Value;

use super::world::{World, names};

async fn cut_off() -> World {
    let world = World::new(1);
    world.connect_due(names("due", 1)).await;
    world.a_spend_cuts_the_table_off(true);
    world
}

#[tokio::test]
async fn the_successor_is_parked_sealed_and_adopted() {
    let world = cut_off().await;
    assert_eq!(world.sweep().await.runs["parked"], 1);
    let parked = world.parking.take();
    assert_eq!(parked.len(), 1);
    for token in ["due-0.2", "access to due-0"] {
        assert!(!parked[0].body.contains(token), "{}", parked[0].body);
    }

    world.table.table.set_down(false);
    assert_eq!(world.chain("due-0").await.generation, 1);
    let parked: Value = serde_json::from_str(&parked[0].body).expect("JSON");
    assert!(world.nudge(&parked).await.again.is_empty());
    let chain = world.chain("due-0").await;
    assert_eq!((chain.generation, chain.intent, chain.lease), (2, None, None));
    // It can come home twice, and the successor is what is spent next.
    world.nudge(&parked).await;
    assert_eq!(world.chain("due-0").await.generation, 2);
    world.a_spend_cuts_the_table_off(false);
    world.edge.advance(jiff::SignedDuration::from_mins(101));
    world.sweep().await;
    assert_eq!(world.spends(), ["due-0.1", "due-0.2"]);
}

#[tokio::test]
async fn a_pair_stays_parked_while_the_table_is_away() {
    let world = cut_off().await;
    world.sweep().await;
    let parked: Value = serde_json::from_str(&world.parking.take()[0].body).expect("JSON");
    assert_eq!(world.nudge(&parked).await.again.len(), 1);
}

#[tokio::test]
async fn a_pair_that_no_store_takes_is_held_until_one_does() {
    let world = cut_off().await;
    world.parking.set_down(true);
    let back = async {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        world.table.table.set_down(false);
    };
    let (report, ()) = tokio::join!(world.sweep(), back);
    assert_eq!((report.runs["rotated"], world.chain("due-0").await.generation), (1, 2));
}
