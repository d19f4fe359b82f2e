//! While Bitbucket fails for everybody.

use jiff::SignedDuration;

use super::world::{Fault, World, names};

#[tokio::test]
async fn in_an_outage_few_are_tried_and_afterwards_all_are_refreshed() {
    let world = World::new(1);
    world.connect_due(names("due", 100)).await;
    world.all_fail(Some(Fault::Lost));
    let first = world.sweep().await;
    // Those that were under way when it opened.
    let tried = first.runs["transient"];
    assert!(tried <= 18 && first.held_back == 100 - tried, "{first:?}");
    let before = world.spends().len();
    world.minute().await;
    let again = world.spends().len() - before;
    assert!(again <= usize::try_from(tried).expect("few") + 1, "the open ones and one probe, not {again}");

    world.all_fail(None);
    world.minute().await;
    let report = world.minute().await;
    assert_eq!((report.held_back, report.left), (0, 0));
    for name in names("due", 100) {
        assert_eq!(world.chain(&name).await.generation, 2, "{name}");
        assert_eq!(world.state(&name).await, "up");
    }
}

#[tokio::test]
async fn a_spend_that_is_open_is_repeated_inside_its_window_though_everybody_else_waits() {
    let world = World::new(1);
    world.connect_due(names("due", 4)).await;
    world.all_fail(Some(Fault::Lost));
    world.sweep().await;
    for minute in 1..8 {
        let before = world.spends().len();
        world.minute().await;
        assert!(world.spends().len() - before >= 3, "minute {minute}");
    }
    world.all_fail(None);
    world.minute().await;
    for name in names("due", 4) {
        assert_eq!(world.chain(&name).await.generation, 2, "{name}");
    }
}

#[tokio::test]
async fn who_waits_is_told_of_before_its_access_token_ends() {
    let world = World::new(1);
    world.connect_due(names("due", 40)).await;
    world.all_fail(Some(Fault::Refused));
    let held_back = world.sweep().await.held_back;
    assert!(held_back > 20, "{held_back}");
    assert!(!world.told().iter().any(|told| told.contains("held_back")));
    // They have lived for twenty minutes yet.
    world.edge.advance(SignedDuration::from_mins(10));
    world.sweep().await;
    let told = world.told().iter().filter(|told| told.ends_with("degraded: held_back")).count();
    assert!(told > 20, "{told}");
    // It is told once.
    world.edge.advance(SignedDuration::from_secs(5));
    world.sweep().await;
    assert!(!world.told().iter().any(|told| told.contains("held_back")));
}
