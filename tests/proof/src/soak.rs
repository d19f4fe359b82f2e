//! Hours at half of what the machine takes: the memory of every process must stay flat, and nothing may be
//! lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bucketwheel_local::Local;
use tokio::time::{Instant, sleep};

use crate::ledger::Verdict;
use crate::load::{deliveries, started};
use crate::processes::{functions, memory};
use crate::{Failure, picture};

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    /// How long.
    pub lasts: Duration,
    /// Deliveries a second. None: half of what is found to be the most.
    pub rate: Option<f64>,
    /// Senders side by side.
    pub senders: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Soaked {
    /// What became of the deliveries, and whose memory is not flat.
    pub verdict: Verdict,
    /// The table for a person.
    pub text: String,
    /// The memory over time, as SVG.
    pub picture: String,
}

/// The memory of every process so long after the beginning, in KiB; of several of one function the largest.
type Sample = (Duration, BTreeMap<String, u64>);

/// How many KiB more a function may have in the last quarter than in the second: what the allocator rounds.
const GROWTH: u64 = 256;

/// Runs it.
///
/// # Errors
/// If the system cannot be started or asked.
pub async fn soak(soak: Soak, say: &(dyn Fn(&str) + Sync)) -> Result<Soaked, Failure> {
    let (local, system, hooks) = started(say).await?;
    let soaked = async {
        let rate = match soak.rate {
            Some(rate) => rate,
            None => {
                let (row, _) =
                    deliveries(&system, &hooks, soak.senders, None, Duration::from_secs(60)).await?;
                say(&format!("At most {:.0} a second with {} senders.", row.rate, soak.senders));
                row.rate / 2.0
            }
        };
        let pace = Duration::from_secs_f64(soak.senders as f64 / rate.max(0.1));
        say(&format!("{rate:.0} a second for {} minutes …", soak.lasts.as_secs() / 60));
        let (done, samples) = tokio::join!(
            deliveries(&system, &hooks, soak.senders, Some(pace), soak.lasts),
            sampled(&local, soak.lasts),
        );
        let (row, mut verdict) = done?;
        verdict.breaches.extend(not_flat(&samples));
        let mut text = format!(
            "{:.1} deliveries a second for {} minutes; p50 {:.0} ms, p99 {:.0} ms.\n\n",
            row.rate,
            soak.lasts.as_secs() / 60,
            row.p50.as_secs_f64() * 1_000.0,
            row.p99.as_secs_f64() * 1_000.0
        );
        text += &table(&samples);
        for (name, count) in &verdict.counts {
            let _ = writeln!(text, "- {name}: {count}");
        }
        for breach in &verdict.breaches {
            let _ = writeln!(text, "{breach}");
        }
        Ok(Soaked { verdict, text, picture: picture::memory(&samples) })
    };
    let soaked = soaked.await;
    local.stop().await;
    soaked
}

async fn sampled(local: &Local, lasts: Duration) -> Vec<Sample> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < lasts {
        let mut now = BTreeMap::new();
        if let Some(stand_in) = local.aws_process() {
            now.insert("the stand-in".to_owned(), memory(stand_in).unwrap_or_default());
            for process in functions(stand_in) {
                let of = now.entry(process.function).or_default();
                *of = memory(process.id).unwrap_or_default().max(*of);
            }
        }
        now.insert("this program".to_owned(), memory(std::process::id()).unwrap_or_default());
        samples.push((began.elapsed(), now));
        sleep(lasts / 60).await;
    }
    samples
}

/// The most that a process had in a quarter, from 0 to 3, in KiB.
fn quarter(samples: &[Sample], who: &str, quarter: usize) -> Option<u64> {
    let size = samples.len().div_ceil(4).max(1);
    samples.chunks(size).nth(quarter)?.iter().filter_map(|(_, all)| all.get(who).copied()).max()
}

/// Our functions whose memory grew from the second quarter to the last. The stand-in keeps what it is told
/// and is not judged; nor is this program, which keeps the journal of all deliveries.
fn not_flat(samples: &[Sample]) -> Vec<String> {
    let names = samples.last().map(|(_, all)| all.keys()).into_iter().flatten();
    let judged = names.filter(|name| !["the stand-in", "this program"].contains(&name.as_str()));
    let grown = judged.filter_map(|name| {
        let (early, late) = (quarter(samples, name, 1)?, quarter(samples, name, 3)?);
        (late > early + GROWTH)
            .then(|| format!("the memory of {name} is not flat: {early} KiB became {late} KiB"))
    });
    grown.collect()
}

fn table(samples: &[Sample]) -> String {
    let mut text = "| peak MiB in each quarter | 1 | 2 | 3 | 4 |\n|---|---:|---:|---:|---:|\n".to_owned();
    let names = samples.last().map(|(_, all)| all.keys()).into_iter().flatten();
    for name in names {
        let _ = write!(text, "| {name} |");
        for at in 0..4 {
            let _ = match quarter(samples, name, at) {
                Some(kib) => write!(text, " {:.1} |", kib as f64 / 1_024.0),
                None => write!(text, " – |"),
            };
        }
        text.push('\n');
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(kib: impl Fn(u64) -> u64) -> Vec<Sample> {
        let all = |n| {
            BTreeMap::from([("webhook-ingest".to_owned(), kib(n)), ("the stand-in".to_owned(), n * 9_000)])
        };
        (0..60).map(|n| (Duration::from_secs(n * 60), all(n))).collect()
    }

    #[test]
    fn memory_that_grows_all_the_time_is_not_flat_and_that_which_grows_at_first_is() {
        assert!(not_flat(&samples(|n| 8_000 + n.min(10) * 400)).is_empty());
        assert_eq!(not_flat(&samples(|n| 8_000 + n * 200)).len(), 1);
    }
}
