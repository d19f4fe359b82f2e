//! How the cost of webhook-ingest grows.

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::event;
use crate::measure::percentile;
use crate::picture::Curve;

const KIB: usize = 1024;
/// How long parallel environments are kept busy.
const BUSY: Duration = Duration::from_secs(4);

/// All of them.
pub(crate) fn curves(ingest: &Contender, invocations: u32) -> Result<Vec<Curve>, Box<dyn Error>> {
    Ok(vec![by_size(ingest)?, memory(ingest, invocations)?, parallel(ingest)?])
}

fn by_size(ingest: &Contender) -> Result<Curve, Box<dyn Error>> {
    let environment = ingest.program.start(None)?;
    let sizes = [1, 16, 32, 64, 96, 128, 160, 192, 224, 256];
    let events: Vec<_> = sizes.iter().map(|kib| event::push(kib * KIB)).collect();
    let mut times = vec![Vec::new(); sizes.len()];
    // In turns, so that a slow moment of the machine does not become a bend of the line.
    for round in 0..220 {
        for (event, times) in events.iter().zip(&mut times) {
            let took = environment.invoke(event)?.took;
            if round >= 20 {
                times.push(took);
            }
        }
    }
    let median = |times: &Vec<Duration>| percentile(times, 50).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    Ok(Curve {
        name: "body-size",
        title: "A warm delivery by the size of its body",
        across: "KiB of body",
        up: "µs, median",
        points: sizes.iter().zip(&times).map(|(kib, times)| (*kib as f64, median(times))).collect(),
    })
}

fn memory(ingest: &Contender, invocations: u32) -> Result<Curve, Box<dyn Error>> {
    let environment = ingest.program.start(None)?;
    let events = [event::push(5 * KIB), event::push(64 * KIB)];
    let mut points = Vec::new();
    for number in 0..=invocations {
        if number % (invocations / 20).max(1) == 0 {
            points.push((f64::from(number), environment.memory()? as f64 / 1024.0));
        }
        let event = if number % 50 == 0 { &events[1] } else { &events[0] };
        environment.invoke(event)?;
    }
    Ok(Curve {
        name: "memory",
        title: "Memory of one environment",
        across: "invocations",
        up: "MiB resident",
        points,
    })
}

/// Lambda runs one environment per delivery at a time; here they share this machine's cores.
fn parallel(ingest: &Contender) -> Result<Curve, Box<dyn Error>> {
    let event: Arc<[u8]> = event::push(5 * KIB);
    let mut points = Vec::new();
    for environments in [1_u32, 2, 4, 8] {
        let counts = thread::scope(|scope| {
            let busy: Vec<_> = (0..environments)
                .map(|_| {
                    scope.spawn(|| {
                        let environment = ingest.program.start(None).ok()?;
                        environment.invoke(&event).ok()?;
                        let (began, mut count) = (Instant::now(), 0_u32);
                        while began.elapsed() < BUSY {
                            environment.invoke(&event).ok()?;
                            count += 1;
                        }
                        Some(f64::from(count) / began.elapsed().as_secs_f64())
                    })
                })
                .collect();
            busy.into_iter().map(|one| one.join().ok().flatten()).collect::<Option<Vec<_>>>()
        });
        let counts = counts.ok_or("an environment failed")?;
        points.push((f64::from(environments), counts.iter().sum()));
    }
    let cores = thread::available_parallelism().map_or(0, usize::from);
    Ok(Curve {
        name: "parallel",
        title: if cores == 2 {
            "Deliveries by parallel environments, on two cores"
        } else {
            "Deliveries by parallel environments"
        },
        across: "environments",
        up: "deliveries a second",
        points,
    })
}
