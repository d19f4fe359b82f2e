//! Whose turn it is: nobody starves, and a sweep ends in time.

use bucketwheel::credential::Kind;
use bucketwheel::ports::Edge as _;
use bucketwheel::rotation::Upkeep;
use jiff::SignedDuration;
use serde_json::json;

use super::world::{Fault, World, message, names};

#[tokio::test]
async fn a_few_that_always_fail_do_not_starve_the_others() {
    for seed in 0..50 {
        let world = World::new(seed);
        world.connect_due(names("bad", 3)).await;
        for name in names("bad", 3) {
            world.fails(&name, Some(Fault::Lost));
        }
        world.sweep().await;
        // They stay due, and come before everything that falls due later.
        world.connect_due(names("good", 2)).await;
        for _ in 0..3 {
            world.minute().await;
        }
        for name in names("good", 2) {
            assert_eq!(world.chain(&name).await.generation, 2, "{name}, seed {seed}");
        }
    }
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_does_not_stop_a_sweep() {
    let world = World::new(1);
    world.connect_due(names("due", 20)).await;
    world.spoil("due-7").await;
    let report = world.sweep().await;
    assert_eq!((report.runs["rotated"], report.runs["transient"]), (19, 1));
}

#[tokio::test]
async fn a_sweep_stops_before_its_deadline_and_the_next_one_carries_on() {
    let world = World::new(1);
    world.connect_due(names("due", 100)).await;
    world.each_takes(1);
    let begun = world.edge.now();
    let first = world.sweep_for(120).await;
    let took = world.edge.now().duration_since(begun);
    // A run that may last 65 seconds is begun while there are as many.
    assert!(took <= SignedDuration::from_secs(120 - 65 + 16), "{took:?}");
    assert!(first.left > 0 && first.runs["rotated"] + first.left == 100, "{first:?}");
    world.sweep_for(120).await;
    world.sweep_for(120).await;
    assert_eq!(world.sweep_for(120).await.left, 0);
    let mut spends = world.spends();
    spends.sort();
    spends.dedup();
    assert_eq!((spends.len(), world.spends().len()), (100, 100), "each was spent once");
}

#[tokio::test]
async fn a_nudge_that_comes_too_late_in_an_invocation_comes_again() {
    let world = World::new(1);
    world.connect("idle", Kind::OauthUser, Upkeep::Lazy, 7_200).await;
    world.edge.advance(SignedDuration::from_mins(2));
    let nudge = json!({ "credential": "idle" });
    let late = world.handle(&message(&nudge), 60).await;
    assert_eq!(late.again, [json!({ "itemIdentifier": "m" })]);
    let soon = world.handle(&message(&nudge), 120).await;
    assert!(soon.again.is_empty());
    assert_eq!(world.chain("idle").await.generation, 2);
}

#[tokio::test]
async fn chance_parts_those_that_were_stored_together() {
    let world = World::new(1);
    world.connect_due(names("due", 50)).await;
    world.sweep().await;
    world.edge.advance(SignedDuration::from_mins(89));
    assert!(world.sweep().await.runs.is_empty(), "a tenth of a hundred minutes is the most");
    let mut per_minute = Vec::new();
    for _ in 0..11 {
        per_minute.extend(world.minute().await.runs.get("rotated"));
    }
    assert_eq!(per_minute.iter().sum::<u32>(), 50);
    assert!(per_minute.len() > 5 && per_minute.iter().all(|count| *count < 20), "{per_minute:?}");
}
