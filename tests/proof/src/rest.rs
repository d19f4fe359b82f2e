//! After the storm: nothing is parked, begun or on a queue any more, or it is said what is.

use std::collections::BTreeMap;
use std::time::Duration;

use bucketwheel::ports::{Backlog as _, Depth};
use bucketwheel::store::deliveries;
use tokio::time::{Instant, sleep};

use crate::calls::Register;
use crate::chaos::Chaos;
use crate::ledger::Left;
use crate::system::System;
use crate::webhooks::Journal;
use crate::{Failure, chains};

/// Waits until nothing is under way any more; gives what is left, and how long it took. Nothing is hurried: the
/// schedules sweep and drain.
pub(crate) async fn rest(
    chaos: Chaos,
    system: &System,
    credentials: &[String],
    journal: &Journal,
    register: &Register,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(Left, Duration), Failure> {
    let began = Instant::now();
    let console = system.environment("console").await?;
    let queue = |name: &str| console.get(name).cloned().unwrap_or_default();
    let outputs = &system.outputs;
    let queues = [
        ("events", &outputs.events_queue_url, "BUCKETWHEEL_EVENTS_DLQ"),
        ("calls", &outputs.calls_queue_url, "BUCKETWHEEL_CALLS_DLQ"),
        ("results", &outputs.results_queue_url, "BUCKETWHEEL_RESULTS_DLQ"),
        ("refresh", &outputs.refresh_queue_url, "BUCKETWHEEL_REFRESH_DLQ"),
    ];
    let queues = queues.map(|(name, url, dlq)| (name, system.backlog(url, &queue(dlq))));
    let table = system.table();
    let mut said = Instant::now();
    loop {
        let (mut restless, mut dead) = (Vec::new(), BTreeMap::new());
        let seen = journal.seen_so_far();
        if !deliveries::groups(&table, 1, None).await?.0.is_empty() {
            restless.push("parked deliveries".to_owned());
        }
        let (open, intents) = (register.open().len(), chains::open_intents(system, credentials).await?);
        for (what, count) in [("calls without an outcome", open), ("open intents", intents)] {
            if count > 0 {
                restless.push(format!("{count} {what}"));
            }
        }
        for (name, queue) in &queues {
            let depths = queue.depths().await?;
            let all = |depth: Depth| depth.waiting + depth.hidden + depth.delayed;
            // What a dead refresher held is hidden for twelve minutes: too long for a short storm.
            let hidden = if *name == "refresh" && !chaos.workers_die { depths.living.hidden } else { 0 };
            let left = all(depths.living) - hidden;
            if left > 0 {
                restless.push(format!("{left} messages on the {name} queue"));
            }
            dead.insert((*name).to_owned(), all(depths.dead));
        }
        sleep(Duration::from_secs(2)).await;
        if seen != journal.seen_so_far() {
            restless.push("events".to_owned());
        }
        if restless.is_empty() || began.elapsed() > chaos.patience {
            return Ok((Left { restless, dead }, began.elapsed()));
        }
        if said.elapsed() > Duration::from_secs(20) {
            say(&format!("  not at rest: {}", restless.join(", ")));
            said = Instant::now();
        }
    }
}
