//! `cargo run --release -p speed`: how quick the functions are, beside the least program that does the
//! same and beside what others would write. Everything runs on this machine, in turns, so that what
//! disturbs one disturbs all: read the ratios, not the times.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is for a person at a terminal")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock and the environment")]

mod aws;
mod contender;
mod contents;
mod curves;
mod event;
mod http;
mod instructions;
mod measure;
mod picture;
mod program;
mod report;
mod runtime;
mod settings;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use aws::Endpoints;
use clap::Parser;
use contender::{INGEST, Places, ingest, others, receivers, run};
use jiff::Timestamp;
use measure::measure;
use program::Share;
use settings::settings;

/// Measures the functions.
#[derive(Debug, Parser)]
struct Options {
    /// Cold starts of each program.
    #[arg(long, default_value_t = 21)]
    starts: u32,
    /// Warm invocations of each program with each event, in all.
    #[arg(long, default_value_t = 9_000)]
    warm: u32,
    /// Measure these programs only, such as `floor,webhook-ingest`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measure the binaries that are there, without building them anew.
    #[arg(long)]
    as_is: bool,
    /// Count the instructions of a warm delivery instead, and fail if they are over the budget.
    #[arg(long)]
    instructions: bool,
    /// Write what was found into tests/speed: the figures and the pictures, or the budget of instructions.
    #[arg(long)]
    write: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("no project")?.to_owned();
    let this = std::env::current_exe()?;
    let binaries = this.parent().ok_or("no folder")?.to_owned();
    let scratch = binaries.parent().ok_or("no target folder")?.join("speed");
    fs::create_dir_all(&scratch)?;
    let settings = settings(&project)?;
    let places = Places { project, binaries, scratch, settings };

    if !options.as_is {
        build(&places.project, options.instructions)?;
    }
    let mut aws = Endpoints::start(contents::contents(Timestamp::now(), 0)?, &places.scratch)?;
    let here = places.project.join("tests/speed");
    if options.instructions {
        // Without TLS, whose cost depends on how its records happen to be cut.
        aws.aws.clone_from(&aws.bitbucket);
        return instructions::check(
            ingest(&places, &aws),
            &places.scratch,
            &here.join("instructions.txt"),
            options.write,
        );
    }
    let asked = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let mut contenders = receivers(&places, &aws, asked);
    contenders.extend(others(&places, &aws));
    contenders.retain(|contender| asked(contender.program.name));
    let share = Share::new(14);
    if share.is_none() {
        eprintln!("the share of a core is left out: this user may not make control groups");
    }
    let figures = measure(&contenders, options.starts, options.warm, share.as_ref())?;
    let (measured, ratios) = (report::measured(&figures), report::ratios(&figures));
    println!("{ratios}\n{measured}");
    if options.write {
        let date = Timestamp::now().strftime("%Y-%m-%d");
        let conditions = format!(
            "{date}; {} cold starts, {} warm invocations with each event; medians.",
            options.starts, options.warm
        );
        let curves = curves::curves(&places, &aws, 100_000)?;
        written(&here.join("README.md"), &format!("{conditions}\n\n{ratios}\n{measured}"))?;
        fs::write(here.join("beside.svg"), report::picture(&figures))?;
        for curve in curves {
            fs::write(here.join(format!("{}.svg", curve.name)), curve.svg())?;
        }
    }
    Ok(())
}

/// Puts the figures where the page has its marks.
fn written(page: &Path, figures: &str) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(page)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("the page has no mark for the figures")?;
    let (_, after) = rest.split_once(END).ok_or("the page has no mark after the figures")?;
    Ok(fs::write(page, format!("{before}{BEGIN}\n{figures}\n{END}{after}"))?)
}

const BEGIN: &str = "<!-- figures -->";
const END: &str = "<!-- end of figures -->";

/// Builds all that is measured; or webhook-ingest alone, with the names of its functions. The packages are the
/// same ones, so that dependencies are built once.
fn build(project: &Path, to_count: bool) -> Result<(), Box<dyn Error>> {
    let functions = [INGEST, "oauth-callback", "token-refresh", "api-worker", "gitops-sync", "console"];
    let packages = [&functions[..], &["floor"]].concat();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release"]).args(packages.iter().flat_map(|package| ["-p", package]));
    if to_count {
        cargo.args(["--bin", INGEST, "--config", "profile.release.package.webhook-ingest.strip=false"]);
    }
    // Cargo tells its own build of the package whose binary this is; the functions must not see that.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            cargo.env_remove(name);
        }
    }
    run(cargo.current_dir(project))
}
