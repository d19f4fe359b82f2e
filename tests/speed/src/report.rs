//! The figures as tables: what was measured, and the ratios that count.

use std::fmt::Write as _;
use std::time::Duration;

use crate::contender::{FLOOR, INGEST, NODE, PYTHON, WARM_LARGE, WARM_SMALL};
use crate::measure::{Figures, percentile};
use crate::picture::bars;

/// One quantity, in which more is worse.
struct Quantity {
    name: &'static str,
    of: fn(&Figures) -> Option<f64>,
    /// At most so many times the floor; and at least so many times better than the peers.
    floor: Option<f64>,
    node: Option<f64>,
    python: Option<f64>,
}

const QUANTITIES: [Quantity; 8] = [
    Quantity { name: "init", of: init, floor: Some(1.2), node: Some(40.0), python: Some(60.0) },
    Quantity { name: "cold", of: cold, floor: Some(1.4), node: Some(30.0), python: Some(45.0) },
    Quantity {
        name: "cold at 1/14 core",
        of: cold_share,
        floor: Some(2.0),
        node: Some(40.0),
        python: Some(40.0),
    },
    Quantity { name: "warm p50, 5 KB", of: small, floor: Some(1.5), node: Some(5.0), python: Some(5.0) },
    Quantity { name: "warm p50, 200 KB", of: large, floor: Some(1.5), node: Some(4.0), python: Some(3.0) },
    Quantity { name: "warm p99, 5 KB", of: tail, floor: Some(2.0), node: Some(6.0), python: Some(6.0) },
    Quantity { name: "peak memory", of: memory, floor: Some(1.7), node: Some(12.0), python: Some(6.0) },
    Quantity { name: "zip", of: zip, floor: None, node: None, python: None },
];

fn init(figures: &Figures) -> Option<f64> {
    seconds(percentile(&figures.init, 50))
}

fn cold(figures: &Figures) -> Option<f64> {
    seconds(percentile(&figures.cold, 50))
}

fn cold_share(figures: &Figures) -> Option<f64> {
    seconds(percentile(&figures.cold_share, 50))
}

fn small(figures: &Figures) -> Option<f64> {
    seconds(percentile(figures.times(WARM_SMALL), 50))
}

fn large(figures: &Figures) -> Option<f64> {
    seconds(percentile(figures.times(WARM_LARGE), 50))
}

fn tail(figures: &Figures) -> Option<f64> {
    seconds(percentile(figures.times(WARM_SMALL), 99))
}

fn memory(figures: &Figures) -> Option<f64> {
    figures.memory.iter().max().map(|kib| *kib as f64)
}

fn zip(figures: &Figures) -> Option<f64> {
    figures.sizes.map(|(_, zip)| zip as f64)
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

/// What was measured, as Markdown.
pub(crate) fn measured(all: &[Figures]) -> String {
    let mut text = String::from(
        "| program | init ms | cold ms | cold at 1/14 core ms | event | p50 µs | p90 µs | p99 µs | peak MiB | file KiB | zip KiB |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for figures in all {
        for (at, (event, times)) in figures.warm.iter().enumerate() {
            let once =
                |value: Option<f64>, digits| if at == 0 { shown(value, digits) } else { String::new() };
            let micros = |percent| shown(seconds(percentile(times, percent)).map(|s| s * 1e6), 0);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {event} | {} | {} | {} | {} | {} | {} |",
                if at == 0 { figures.name } else { "" },
                once(init(figures).map(|s| s * 1e3), 1),
                once(cold(figures).map(|s| s * 1e3), 1),
                once(cold_share(figures).map(|s| s * 1e3), 0),
                micros(50),
                micros(90),
                micros(99),
                once(memory(figures).map(|kib| kib / 1024.0), 1),
                once(figures.sizes.map(|(file, _)| file as f64 / 1024.0), 0),
                once(zip(figures).map(|bytes| bytes / 1024.0), 0),
            );
        }
    }
    text
}

/// webhook-ingest beside the floor and the peers, with the goals; empty where it was not measured.
pub(crate) fn ratios(all: &[Figures]) -> String {
    let find = |name| all.iter().find(|figures| figures.name == name);
    let Some(ours) = find(INGEST) else { return String::new() };
    let mut text = String::from(
        "| webhook-ingest | times the floor | goal | better than Node by | goal | better than Python by | goal |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for Quantity { name, of, floor, node, python } in QUANTITIES {
        let against = |other: Option<&Figures>| Some((of(ours)?, of(other?)?));
        let worse = against(find(FLOOR)).map(|(ours, theirs)| ours / theirs);
        let better = |name| against(find(name)).map(|(ours, theirs)| theirs / ours);
        let (met, beaten) = (|value, goal| value <= goal, |value, goal| value >= goal);
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} |",
            judged(worse, floor, 2, met),
            floor.map_or_else(dash, |goal| format!("≤ {goal}")),
            judged(better(NODE), node, 1, beaten),
            node.map_or_else(dash, |goal| format!("≥ {goal}")),
            judged(better(PYTHON), python, 1, beaten),
            python.map_or_else(dash, |goal| format!("≥ {goal}")),
        );
    }
    text
}

/// The receivers beside each other.
pub(crate) fn picture(all: &[Figures]) -> String {
    let groups = QUANTITIES.iter().map(|Quantity { name, of, .. }| {
        let floor = all.iter().find(|figures| figures.name == FLOOR).and_then(of);
        let bars = [FLOOR, INGEST, NODE, PYTHON].iter().filter_map(|who| {
            let figures = all.iter().find(|figures| figures.name == *who)?;
            Some((*who, of(figures)? / floor?))
        });
        ((*name).to_owned(), bars.collect())
    });
    bars("Times the floor (logarithmic)", &groups.collect::<Vec<_>>(), INGEST)
}

fn judged(value: Option<f64>, goal: Option<f64>, digits: usize, met: fn(f64, f64) -> bool) -> String {
    match (value, goal) {
        (Some(value), Some(goal)) if !met(value, goal) => {
            format!("**{}** missed", shown(Some(value), digits))
        }
        _ => shown(value, digits),
    }
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(dash, |value| format!("{value:.digits$}"))
}

fn dash() -> String {
    "–".to_owned()
}
