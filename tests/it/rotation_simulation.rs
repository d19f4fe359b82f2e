//! Seeded simulation of the real refresher: `token_refresh::Refresher` with `bucketwheel::store` over a
//! table in memory, against a simulated token endpoint whose window is 0, 45 or 600 seconds long. Runs are
//! killed at any await, calls hang, acknowledgements are lost of writes that took place, the table throttles
//! and goes away, people reconnect while refreshes are under way, nudges come twice and out of order, and
//! every refresher's clock is up to five minutes wrong.
//!
//! `cargo test` tries 10,000 seeds. A million, or one seed alone:
//!
//! ```sh
//! BUCKETWHEEL_SEEDS=1000000 cargo test --profile simulation --test it no_seed_loses -- --nocapture
//! BUCKETWHEEL_SEEDS=4711..4712 cargo test --test it no_seed_loses -- --nocapture
//! ```

mod judge;
mod seed;
mod world;

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::{AddAssign, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

const SEEDS: Range<u64> = 0..10_000;

/// What happened in one seed, or in many.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    seeds: u64,
    spends: u64,
    kills: u64,
    stalls: u64,
    reconnects: u64,
    parked: u64,
    chains: u64,
    lost: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.spends += other.spends;
        self.kills += other.kills;
        self.stalls += other.stalls;
        self.reconnects += other.reconnects;
        self.parked += other.parked;
        self.chains += other.chains;
        self.lost += other.lost;
    }
}

#[test]
fn no_seed_loses_a_chain_that_could_be_saved() {
    let (seeds, started) = (seeds(), Instant::now());
    let next = AtomicU64::new(seeds.start);
    let (failed, tallies) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::<i64, Tally>::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    match on_this_thread(seed::simulate(seed)) {
                        Ok((window, tally)) => *locked(&tallies).entry(window).or_default() += tally,
                        Err(breach) => locked(&failed).push((seed, breach)),
                    }
                }
            });
        }
    });
    println!("window   seeds   spends    kills   stalls  reconnects  parked   chains     lost");
    for (window, tally) in &*locked(&tallies) {
        let Tally { seeds, spends, kills, stalls, reconnects, parked, chains, lost } = tally;
        println!(
            "{window:>4} s {seeds:>8} {spends:>8} {kills:>8} {stalls:>8} {reconnects:>11} {parked:>7} \
             {chains:>8} {lost:>8}"
        );
    }
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = started.elapsed().as_secs_f64();
    println!("seeds {} to {}: {} failed, {seconds:.1} s", seeds.start, seeds.end - 1, failed.len());
    for (seed, breach) in failed.iter().take(5) {
        println!("seed {seed}: {breach}");
    }
    assert!(failed.is_empty(), "{} seeds failed", failed.len());
}

/// Those of `BUCKETWHEEL_SEEDS`: a count, or a range as `first..end`.
fn seeds() -> Range<u64> {
    #[expect(clippy::disallowed_methods, reason = "which seeds to try is for the caller to say")]
    let Ok(asked) = std::env::var("BUCKETWHEEL_SEEDS") else { return SEEDS };
    let number = |text: &str| text.parse().expect("BUCKETWHEEL_SEEDS is a count, or first..end");
    match asked.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => 0..number(&asked),
    }
}

fn on_this_thread<T>(simulation: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, simulation)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
