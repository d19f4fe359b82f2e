//! The short form of the storm; the long one is `cargo run -p proof -- chaos --minutes 30 --seed 7`.

use std::time::Duration;

use proof::{Chaos, chaos};

/// Workers live here: what a dead one held is hidden on the calls queue for six minutes.
#[tokio::test]
async fn every_promise_outlives_a_short_storm() {
    let short = Chaos {
        lasts: Duration::from_secs(20),
        seed: 4,
        workers_die: false,
        patience: Duration::from_secs(600),
        hooks: 2,
        groups: 6,
        chains: 4,
    };
    let report = chaos(short, &|step| println!("{step}")).await.unwrap_or_else(|error| panic!("{error}"));
    println!("{}", report.text);
    assert!(report.verdict.breaches.is_empty(), "{}", report.text);
    assert!(report.faults.values().sum::<u32>() > 3, "{}", report.text);
}
