//! In which order the effects of a run take place.

use bucketwheel::ports::{Edge as _, TableError};
use bucketwheel::store::tokens;
use jiff::SignedDuration;

use super::world::{Fault, World, names};

async fn due() -> World {
    let world = World::new(1);
    world.connect_due(names("due", 1)).await;
    world.log();
    world
}

#[tokio::test]
async fn nothing_comes_between_the_claim_the_spend_and_the_commit() {
    let world = due().await;
    world.sweep().await;
    let log = world.log();
    assert_eq!(log[..4], ["get TOKENS", "write TOKENS", "spend", "write TOKENS"], "{log:?}");
    assert_eq!(world.chain("due-0").await.generation, 2);
}

#[tokio::test]
async fn the_chain_is_read_again_after_a_refusal_before_anything_is_written() {
    let world = due().await;
    world.fails("due-0", Some(Fault::Refused));
    world.sweep().await;
    let log = world.log();
    assert_eq!(log[2..5], ["spend", "get TOKENS", "write TOKENS"], "{log:?}");
}

#[tokio::test]
async fn a_chain_that_somebody_has_begun_to_work_on_is_not_put_off() {
    let world = due().await;
    world.fails("due-0", Some(Fault::Lost));
    world.sweep().await;
    // Whoever has read the chain before that may believe that it is not due.
    let (id, later) = ("due-0".parse().expect("an id"), world.edge.now() + SignedDuration::from_hours(1));
    let put_off = tokens::postpone(&world.table, &id, 1, later).await;
    assert!(matches!(put_off, Err(TableError::Refused)), "{put_off:?}");
}

#[tokio::test]
async fn an_end_that_nobody_could_be_told_of_is_told_by_the_next_sweep() {
    let world = due().await;
    world.fails("due-0", Some(Fault::Refused));
    world.sweep().await;
    world.told();
    world.events.set_down(true);
    for _ in 0..15 {
        world.minute().await;
    }
    assert!(world.chain("due-0").await.ended);
    world.events.set_down(false);
    world.minute().await;
    assert_eq!(world.told(), ["due-0 down: rotation_lost"]);
}
