//! The measurement: every program in turn, round after round.

use std::error::Error;
use std::time::Duration;

use crate::contender::Contender;
use crate::program::Share;

/// What was measured of one program.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// From the spawn to the first poll.
    pub(crate) init: Vec<Duration>,
    /// From the spawn to the first answer.
    pub(crate) cold: Vec<Duration>,
    /// The same with a fourteenth of a core.
    pub(crate) cold_share: Vec<Duration>,
    /// One invocation, by the name of the event.
    pub(crate) warm: Vec<(&'static str, Vec<Duration>)>,
    /// The most memory, in KiB.
    pub(crate) memory: Vec<u64>,
    /// The file, and the file zipped, in bytes.
    pub(crate) sizes: Option<(u64, u64)>,
}

impl Figures {
    /// The invocations with one event.
    pub(crate) fn times(&self, event: &str) -> &[Duration] {
        self.warm.iter().find(|(name, _)| *name == event).map_or(&[], |(_, times)| times)
    }
}

/// In how many rounds there are warm invocations too.
const WARM_ROUNDS: u32 = 3;
/// Warm invocations before the first that counts.
const UNCOUNTED: u32 = 200;

/// Measures all of them, interleaved.
pub(crate) fn measure(
    contenders: &[Contender],
    starts: u32,
    warm: u32,
    share: Option<&Share>,
) -> Result<Vec<Figures>, Box<dyn Error>> {
    let mut all = contenders.iter().map(prepared).collect::<Result<Vec<_>, _>>()?;
    let every = (starts / WARM_ROUNDS).max(1);
    for round in 0..starts {
        for (contender, figures) in contenders.iter().zip(&mut all) {
            let Some((_, first)) = contender.events.first() else { continue };
            let environment = contender.program.start(None)?;
            figures.init.push(environment.init);
            figures.cold.push(environment.since_spawn(environment.invoke(first)?.answered_at));
            if round % every == 0 {
                for ((_, event), (_, times)) in contender.events.iter().zip(&mut figures.warm) {
                    for _ in 0..UNCOUNTED {
                        environment.invoke(event)?;
                    }
                    for _ in 0..warm / WARM_ROUNDS {
                        times.push(environment.invoke(event)?.took);
                    }
                }
                figures.memory.push(environment.peak_memory()?);
            }
            drop(environment);
            if let Some(share) = share {
                let environment = contender.program.start(Some(share))?;
                figures.cold_share.push(environment.since_spawn(environment.invoke(first)?.answered_at));
            }
        }
        eprintln!("round {} of {starts}", round + 1);
    }
    Ok(all)
}

fn prepared(contender: &Contender) -> Result<Figures, Box<dyn Error>> {
    Ok(Figures {
        name: contender.program.name,
        warm: contender.events.iter().map(|(name, _)| (*name, Vec::new())).collect(),
        sizes: contender.program.sizes()?,
        ..Figures::default()
    })
}

/// The value below which so many in a hundred lie.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied()
}
