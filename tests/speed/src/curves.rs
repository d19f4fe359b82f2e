//! How the cost of the functions grows.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::aws::{Contents, Endpoints};
use crate::contender::{Contender, Places, ingest, others};
use crate::contents::contents;
use crate::event;
use crate::measure::percentile;
use crate::picture::Curve;

const KIB: usize = 1024;
/// How long parallel environments are kept busy.
const BUSY: Duration = Duration::from_secs(4);

/// How long Bitbucket takes for an answer, where it is waited for.
const BITBUCKET: Duration = Duration::from_millis(100);

/// All of them.
pub(crate) fn curves(
    places: &Places,
    aws: &Endpoints,
    invocations: u32,
) -> Result<Vec<Curve>, Box<dyn Error>> {
    let ingest = ingest(places, aws);
    let deliveries = Curve {
        name: "parallel",
        title: "Deliveries by parallel environments",
        across: "environments of webhook-ingest",
        up: "deliveries a second",
        points: parallel(&ingest, &[1, 2, 4, 8])?,
    };
    let slow = Contents { bitbucket_takes: BITBUCKET, ..contents(Timestamp::now(), 0)? };
    let slow = Endpoints::start(slow, &places.scratch)?;
    let worker = named(places, &slow, "api-worker")?;
    let calls = Curve {
        name: "worker",
        title: "Calls by parallel environments; Bitbucket takes 100 ms for each",
        across: "environments of api-worker",
        up: "calls a second",
        points: parallel(&worker, &[1, 2, 4, 8, 16, 32])?,
    };
    Ok(vec![by_size(&ingest)?, memory(&ingest, invocations)?, deliveries, calls, sweeps(places)?])
}

fn named(places: &Places, aws: &Endpoints, name: &str) -> Result<Contender, Box<dyn Error>> {
    let mut others = others(places, aws).into_iter();
    Ok(others.find(|contender| contender.program.name == name).ok_or("no such function")?)
}

/// A sweep by how many credentials are due. What it stores is forgotten, so each sweep finds them all.
fn sweeps(places: &Places) -> Result<Curve, Box<dyn Error>> {
    let mut points = Vec::new();
    for due in [0, 50, 100, 200, 300, 400] {
        let aws = Endpoints::start(contents(Timestamp::now(), due)?, &places.scratch)?;
        let refresher = named(places, &aws, "token-refresh")?;
        let environment = refresher.program.start(None)?;
        let mut times = Vec::new();
        for _ in 0..6 {
            let swept = environment.invoke(&event::sweep())?;
            let rotated = format!("\"rotated\":{due}");
            if due > 0 && !String::from_utf8_lossy(&swept.answer).contains(&rotated) {
                return Err(format!("not {rotated}: {}", String::from_utf8_lossy(&swept.answer)).into());
            }
            times.push(swept.took);
        }
        points.push((f64::from(due), percentile(&times, 50).map_or(0.0, |time| time.as_secs_f64() * 1e3)));
    }
    Ok(Curve {
        name: "sweep",
        title: "A sweep by how many tokens are due",
        across: "tokens that are refreshed",
        up: "ms, median",
        points,
    })
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

/// Lambda runs one environment per event at a time; here they share this machine's cores.
fn parallel(contender: &Contender, numbers: &[u32]) -> Result<Vec<(f64, f64)>, Box<dyn Error>> {
    let (_, event) = contender.events.first().ok_or("no event")?;
    let mut points = Vec::new();
    for environments in numbers {
        let counts = thread::scope(|scope| {
            let busy: Vec<_> = (0..*environments)
                .map(|_| {
                    scope.spawn(|| {
                        let environment = contender.program.start(None).ok()?;
                        environment.invoke(event).ok()?;
                        let (began, mut count) = (Instant::now(), 0_u32);
                        while began.elapsed() < BUSY {
                            environment.invoke(event).ok()?;
                            count += 1;
                        }
                        Some(f64::from(count) / began.elapsed().as_secs_f64())
                    })
                })
                .collect();
            busy.into_iter().map(|one| one.join().ok().flatten()).collect::<Option<Vec<_>>>()
        });
        let counts = counts.ok_or("an environment failed")?;
        points.push((f64::from(*environments), counts.iter().sum()));
    }
    Ok(points)
}
