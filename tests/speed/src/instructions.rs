//! How many instructions a warm delivery takes. Unlike a time, this is nearly the same on every run, so a
//! change that makes the hot path dearer is seen in the continuous integration.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::event;
use crate::program::Program;

/// More than the budget by this share is a regression.
const TOLERANCE: f64 = 0.05;
/// A run of so many deliveries is taken from one of so many: what is left is warm.
const RUNS: [u32; 2] = [100, 400];

/// Counts, and compares with the budget in `file`, which `--write` renews.
pub(crate) fn check(
    ingest: Contender,
    scratch: &Path,
    file: &Path,
    write: bool,
) -> Result<(), Box<dyn Error>> {
    let counted = warm(ingest, scratch)?;
    if write {
        fs::write(file, format!("{counted}\n"))?;
        println!("{counted} instructions for a warm delivery of 5 KB: the new budget");
        return Ok(());
    }
    let budget: u64 = fs::read_to_string(file)?.trim().parse()?;
    let change = counted as f64 / budget as f64 - 1.0;
    println!(
        "{counted} instructions for a warm delivery of 5 KB; the budget is {budget}: {:+.1} %",
        change * 100.0
    );
    if change > TOLERANCE {
        return Err(
            "a warm delivery has become dearer. If it must be, run with --instructions --write".into()
        );
    }
    if change < -TOLERANCE {
        println!("It has become cheaper: run with --instructions --write, so that it stays so.");
    }
    Ok(())
}

fn warm(ingest: Contender, scratch: &Path) -> Result<u64, Box<dyn Error>> {
    let profile = scratch.join("callgrind.out");
    let mut command = vec!["/usr/bin/env".into(), "valgrind".into(), "--tool=callgrind".into()];
    command.push(format!("--callgrind-out-file={}", profile.display()).into());
    command.extend(ingest.program.command.clone());
    let mut environment = ingest.program.environment.clone();
    environment.push(("PATH", std::env::var("PATH").unwrap_or_default()));
    let program = Program { command, environment, ..ingest.program };
    let event = event::push(5 * 1024);
    let mut counts = Vec::new();
    for deliveries in RUNS {
        let _ = fs::remove_file(&profile);
        let running = program.start(None)?;
        for _ in 0..deliveries {
            running.invoke(&event)?;
        }
        Command::new("kill").args(["-TERM", &running.id().to_string()]).status()?;
        counts.push(total(&profile)?);
    }
    Ok((counts[1] - counts[0]) / u64::from(RUNS[1] - RUNS[0]))
}

/// The sum at the end of the profile, once valgrind has written it.
fn total(profile: &Path) -> Result<u64, Box<dyn Error>> {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let text = fs::read_to_string(profile).unwrap_or_default();
        if let Some(sum) = text.lines().find_map(|line| line.strip_prefix("totals: ")) {
            return Ok(sum.trim().parse()?);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("valgrind wrote no profile".into())
}
