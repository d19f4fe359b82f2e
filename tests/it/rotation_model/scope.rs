//! What is searched: which behaviours of the token endpoint, with how many faults.
//!
//! `cargo test` takes a minute of one core. The full search, and one that goes on for hours:
//!
//! ```sh
//! BUCKETWHEEL_MODEL=full cargo test --profile simulation --test it no_interleaving -- --nocapture
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::provider::{Answers, Replay, Variant};
use super::search::{Search, Seen};
use super::state::Faults;

fn variants() -> Vec<Variant> {
    let mut all = Vec::new();
    for grace in [0, 45, 600] {
        for replay in [Replay::Same, Replay::Sibling, Replay::Revoking] {
            for family in [false, true] {
                for lockout in [0, 240] {
                    let answers = Answers::Successor;
                    if grace > 0 || replay == Replay::Same {
                        all.push(Variant { grace, replay, family, answers, lockout });
                    }
                }
            }
        }
    }
    for answers in [Answers::SameToken, Answers::NoToken] {
        all.push(Variant { grace: 600, replay: Replay::Same, family: true, answers, lockout: 240 });
    }
    all
}

/// How much goes wrong in one search.
fn mixes() -> Vec<Faults> {
    #[expect(clippy::disallowed_methods, reason = "how much to search is for the caller to say")]
    let asked = std::env::var("BUCKETWHEEL_MODEL").unwrap_or_default();
    let faults =
        |[any, outages, nudges, reconnects, runs]: [u8; 5]| Faults { any, outages, nudges, reconnects, runs };
    match asked.as_str() {
        "" => [
            // Crashes, lost answers and lost acknowledgements around a nudged and a due run.
            [2, 0, 1, 0, 3],
            // A reconnect comes in between.
            [1, 0, 0, 1, 3],
            // The table goes away.
            [1, 1, 0, 0, 3],
        ]
        .map(faults)
        .to_vec(),
        "full" => [[3, 0, 1, 0, 3], [2, 0, 1, 1, 3], [2, 1, 0, 0, 3], [1, 1, 1, 1, 3]].map(faults).to_vec(),
        own => {
            let counts: Vec<_> =
                own.split(' ').map(|n| n.parse().expect("BUCKETWHEEL_MODEL is five counts")).collect();
            vec![faults(counts.try_into().expect("BUCKETWHEEL_MODEL is five counts"))]
        }
    }
}

#[test]
fn no_interleaving_loses_a_chain() {
    let mixes = mixes();
    // A successor that may be revoked, beside a token whose window is over by this clock and may not be by
    // another: a lockout that refuses the first makes the second look like the one to try, and that ends
    // the family. No order is right by both clocks, so one thing fewer may go wrong there.
    let beside = |v: &Variant, faults: Faults| {
        let clocks = v.family && v.lockout > 0 && faults.outages > 0;
        Faults { any: if clocks { faults.any.min(1) } else { faults.any }, ..faults }
    };
    let each = |v: Variant| mixes.iter().map(move |faults| (v, beside(&v, *faults)));
    let work: Vec<_> = variants().into_iter().flat_map(each).collect();
    let (count, started) = (work.len(), Instant::now());
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seen = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut total = Seen::default();
                    while let Some((variant, faults)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let seen = Search::all(*variant, *faults);
                        total.states += seen.states;
                        total.transitions += seen.transitions;
                        println!("{variant:?} {faults:?}: {} states, {:?}", seen.states, seen.time);
                    }
                    total
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
    });
    let (mut states, mut transitions) = (0, 0);
    for seen in seen {
        let seen = seen.unwrap_or_else(|breach| std::panic::resume_unwind(breach));
        states += seen.states;
        transitions += seen.transitions;
    }
    println!(
        "{count} searches: {states} states, {transitions} transitions, {:.1} s",
        started.elapsed().as_secs_f64()
    );
}
