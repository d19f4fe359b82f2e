//! How many instructions a warm delivery takes. Unlike a time, this is nearly the same on every run, so a
//! change that makes the hot path dearer is seen in the continuous integration.
//!
//! Those of SHA-256 are left out: a processor that Lambda has does them in hardware, which valgrind does not
//! imitate, and they would be more than half of all.

use std::collections::HashSet;
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
    environment.push(("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()));
    // The C library copies memory in another way on each kind of processor.
    let copies = "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-ERMS,-FSRM,-AVX512F";
    environment.push(("GLIBC_TUNABLES".to_owned(), copies.to_owned()));
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

/// The instructions of a profile, once valgrind has written it.
fn total(profile: &Path) -> Result<u64, Box<dyn Error>> {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let text = fs::read_to_string(profile).unwrap_or_default();
        if text.lines().any(|line| line.starts_with("totals: ")) {
            return counted(&text)
                .ok_or_else(|| "the profile names no SHA-256: is the binary stripped?".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("valgrind wrote no profile".into())
}

/// What the functions of a profile cost by themselves, without those of SHA-256
/// (<https://valgrind.org/docs/manual/cl-format.html>).
fn counted(profile: &str) -> Option<u64> {
    let (mut sum, mut left_out) = (0, 0);
    let mut hashes = HashSet::new();
    let (mut is_hash, mut is_of_a_call) = (false, false);
    for line in profile.lines() {
        // A name stands at the first mention of its number alone.
        if let Some((kind, name)) = line.split_once("fn=") {
            let (number, name) = name.split_once(' ').unwrap_or((name, ""));
            if name.contains("sha2::") {
                hashes.insert(number.to_owned());
            }
            if kind.is_empty() {
                is_hash = hashes.contains(number);
            }
        } else if line.starts_with("calls=") {
            is_of_a_call = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            let cost: u64 = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or_default();
            match (std::mem::take(&mut is_of_a_call), is_hash) {
                (true, _) => {}
                (false, true) => left_out += cost,
                (false, false) => sum += cost,
            }
        }
    }
    (left_out > 0).then_some(sum)
}
