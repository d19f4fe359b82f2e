//! `cargo run -p proof`: chaos, load and soak from the command line.

#![expect(clippy::print_stdout, reason = "its output is for a person at a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use proof::{Chaos, Failure, Soak, Verdict};

/// Proofs over the whole running system.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    proof: Proof,
}

#[derive(Debug, Subcommand)]
enum Proof {
    /// Everything fails for a while; then a ledger decides whether every promise was kept.
    Chaos {
        /// How long it storms.
        #[arg(long, default_value_t = 30)]
        minutes: u64,
        /// The seed of weather and load.
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// Repositories whose deliveries come side by side.
        #[arg(long, default_value_t = 20)]
        groups: usize,
        /// Credentials whose tokens are always due.
        #[arg(long, default_value_t = 12)]
        chains: usize,
    },
    /// The highest rate of webhooks, and what it is made of.
    Load {
        /// How long each step takes, in seconds.
        #[arg(long, default_value_t = 20)]
        step: u64,
    },
    /// Half of that rate for an hour: memory must stay flat.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        /// Deliveries a second; half of the most if it is not given.
        #[arg(long)]
        rate: Option<f64>,
        /// Where to write the picture of the memory.
        #[arg(long)]
        picture: Option<PathBuf>,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let say = |line: &str| println!("{line}");
    let Options { proof } = Options::parse();
    match proof {
        Proof::Chaos { minutes, seed, groups, chains } => {
            let chaos = Chaos {
                lasts: Duration::from_secs(minutes * 60),
                seed,
                workers_die: true,
                patience: Duration::from_secs(1_200),
                hooks: 4,
                groups,
                chains,
            };
            let report = proof::chaos(chaos, &say).await?;
            println!("\n{}", report.text);
            Ok(judged(&report.verdict))
        }
        Proof::Load { step } => {
            let loaded = proof::load(Duration::from_secs(step), &say).await?;
            println!("\n{}", loaded.text);
            Ok(judged(&loaded.verdict))
        }
        Proof::Soak { minutes, rate, picture } => {
            let soak = Soak { lasts: Duration::from_secs(minutes * 60), rate, senders: 8 };
            let soaked = proof::soak(soak, &say).await?;
            println!("\n{}", soaked.text);
            if let Some(picture) = picture {
                std::fs::write(picture, &soaked.picture)?;
            }
            Ok(judged(&soaked.verdict))
        }
    }
}

fn judged(verdict: &Verdict) -> ExitCode {
    if verdict.breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
