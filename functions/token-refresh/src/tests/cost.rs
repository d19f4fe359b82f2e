//! What a sweep costs, and how much it does at once.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bucketwheel::credential::Kind;
use bucketwheel::rotation::Upkeep;

use super::world::{World, names};

/// Of `all` credentials `due` are due.
async fn table_of(all: usize, due: usize) -> World {
    let world = World::new(1);
    world.connect_due(names("due", due)).await;
    for name in names("idle", all - due) {
        world.connect(&name, Kind::OauthUser, Upkeep::Hot, 7_200).await;
    }
    world.table.requests.store(0, Ordering::Relaxed);
    world.table.rows.store(0, Ordering::Relaxed);
    world
}

fn cost(world: &World) -> (usize, usize) {
    (world.table.requests.load(Ordering::Relaxed), world.table.rows.load(Ordering::Relaxed))
}

#[tokio::test]
async fn what_is_not_due_costs_nothing() {
    let (few, many) = (table_of(200, 100).await, table_of(2_000, 100).await);
    assert_eq!(few.sweep().await.runs["rotated"], 100);
    assert_eq!(many.sweep().await.runs["rotated"], 100);
    assert_eq!(cost(&few), cost(&many));
}

#[tokio::test]
async fn only_so_many_are_worked_on_at_once() {
    let world = table_of(100, 100).await;
    world.sweep().await;
    assert_eq!((world.spends().len(), world.most_at_once()), (100, 16));
}

/// `cargo test --release -p token-refresh -- --ignored --nocapture measured`
#[tokio::test]
#[ignore = "a measurement"]
async fn a_sweep_is_measured() {
    println!("| credentials | due | requests to the table | rows read | time |");
    println!("|---|---|---|---|---|");
    for (all, due) in [(1_000, 500), (10_000, 500), (100_000, 500), (100_000, 50), (100_000, 5_000)] {
        let world = table_of(all, due).await;
        let started = Instant::now();
        assert_eq!(world.sweep().await.runs["rotated"], u32::try_from(due).expect("a few"));
        let time = started.elapsed().as_secs_f64() * 1_000.0;
        let (requests, rows) = cost(&world);
        println!("| {all} | {due} | {requests} | {rows} | {time:.0} ms |");
    }
}
