//! The whole system in a storm: webhooks, refreshes and calls as fast as this machine takes them, while
//! functions are killed, AWS fails, freezes and restarts, and Bitbucket answers slowly, wrongly or not at
//! all. Then the faults stop, everything comes to rest, and the [ledger](crate::ledger) judges.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bucketwheel_local::{Local, Options};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::calls::Register;
use crate::ledger::{Facts, Verdict, judge};
use crate::rest::rest;
use crate::storm::Storm;
use crate::system::{Hook, System, client};
use crate::way::Gate;
use crate::weather::{Terms, forecast};
use crate::webhooks::Journal;
use crate::{Failure, calls, chains, shells, webhooks};

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Chaos {
    /// How long it storms.
    pub lasts: Duration,
    /// What the weather and the load are drawn from.
    pub seed: u64,
    /// Whether workers are killed too. What they held is hidden on the calls queue for six minutes, what
    /// refreshers held for twelve, and the rest takes as long.
    pub workers_die: bool,
    /// How long it may take to come to rest.
    pub patience: Duration,
    /// Credentials that hooks deliver to.
    pub hooks: usize,
    /// Repositories whose deliveries come side by side.
    pub groups: usize,
    /// Credentials whose tokens are always due.
    pub chains: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// The ledger's verdict.
    pub verdict: Verdict,
    /// How often each fault took place.
    pub faults: BTreeMap<String, u32>,
    /// The table for a person.
    pub text: String,
}

/// Runs it.
///
/// # Errors
/// If the system cannot be started, or cannot be asked in the end. A broken promise is no error but a
/// breach of the verdict.
pub async fn chaos(chaos: Chaos, say: &(dyn Fn(&str) + Sync)) -> Result<Report, Failure> {
    let http = client()?;
    let gate = Gate::open(http.clone()).await?;
    let state = Options::default().state.join("proof").join(std::process::id().to_string());
    fs::create_dir_all(&state)?;
    let state = fs::canonicalize(state)?;
    let clock = state.join("clock");
    let library = shells::library();
    let binaries = bucketwheel_local::build().await?;
    let folder = state.join("binaries");
    fs::create_dir_all(&folder)?;
    shells::wrapped(&binaries, &folder, &clock, library)?;
    let options = Options {
        functions_endpoint: Some(gate.endpoint.clone()),
        binaries: Some(folder),
        parameters: [("CallsPerHour", "1000000"), ("GitopsSync", "off")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..Options::default()
    };
    let mut local = bucketwheel_local::start(options, &|step| say(&format!("{step} …"))).await?;
    gate.lead_to(&local.aws_endpoint);
    let system = System::of(&local, http)?;
    let report = run(chaos, &mut local, &system, &gate, &clock, library.is_some(), say).await;
    local.stop().await;
    let _ = fs::remove_dir_all(&state);
    report
}

async fn run(
    chaos: Chaos,
    local: &mut Local,
    system: &System,
    gate: &Gate,
    clock: &std::path::Path,
    clocks: bool,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Report, Failure> {
    // A spent token that comes late revokes its family: a wrong move is not forgiven.
    let behaviour = json!({
        "access_token_lifetime": 540, "replay": "revoking", "family_revocation": true,
        "rate_limit": 1_000_000, "hook_rate_limit": 1_000_000, "raw_rate_limit": 1_000_000,
    });
    system.sandbox("PATCH", "behaviour", Some(behaviour)).await?;
    calls::prepare(system).await?;
    say("Connecting credentials …");
    let mut hooks = Vec::new();
    for n in 0..chaos.hooks {
        hooks.push(system.hook(&format!("hook {n}"), "seilbahn/website").await?);
    }
    let mut credentials: Vec<String> = hooks.iter().map(|hook| hook.credential.clone()).collect();
    for n in credentials.len()..chaos.chains.max(chaos.hooks) {
        credentials.push(system.connect(&format!("chain {n}")).await?);
    }
    say(&format!("The storm begins: {} s, seed {}.", chaos.lasts.as_secs(), chaos.seed));

    let (journal, register) = (Journal::new(), Register::default());
    let (calm, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let storm = Storm::new(system, &gate.way, clock, local.aws_process().ok_or("AWS does not run")?);
    let terms = Terms { lasts: chaos.lasts, workers_die: chaos.workers_die, clocks };
    let weather = forecast(chaos.seed, terms);
    let began = Instant::now();
    let load = load(chaos, system, &hooks, &credentials, &journal, &register, &calm);
    let rage = async {
        let raged = storm.rage(local, weather, &calm).await;
        // The load goes on for as long as it was to storm.
        sleep(chaos.lasts.saturating_sub(began.elapsed())).await;
        calm.store(true, Ordering::Relaxed);
        raged
    };
    let listen = async {
        tokio::join!(webhooks::consume(system, &journal, &over), calls::hear(system, &register, &over));
        Ok(())
    };
    let judge_it = async {
        let stormy = tokio::try_join!(rage, load);
        say(&format!("The faults are over after {} s.", began.elapsed().as_secs()));
        let ended = async {
            let ((), connected) = stormy?;
            let everyone = [credentials.as_slice(), &connected].concat();
            let rested = rest(chaos, system, &everyone, &journal, &register, say).await?;
            Ok::<_, Failure>((rested, chains::stand(system, &everyone).await?))
        };
        let ended = ended.await;
        over.store(true, Ordering::Relaxed);
        ended
    };
    let (((left, rested_in), chains), ()) = tokio::try_join!(judge_it, listen)?;

    let facts = Facts {
        delivered: journal.delivered(),
        seen: journal.seen(),
        unasked: gate.way.unasked(),
        forged: journal.forged(),
        leaked: leaked(system, &hooks)?,
        chains,
        called: register.called(&calls::effects(system).await?),
        left,
    };
    let (mut verdict, faults) = (judge(&facts), storm.tally());
    verdict.must_have_met(faults.len());
    let text = table(chaos, &verdict, &faults, gate.way.met(), clocks, rested_in);
    Ok(Report { verdict, faults, text })
}

async fn load(
    chaos: Chaos,
    system: &System,
    hooks: &[Hook],
    credentials: &[String],
    journal: &Journal,
    register: &Register,
    calm: &AtomicBool,
) -> Result<Vec<String>, Failure> {
    let senders = (0..chaos.groups).map(|group| {
        let sizes = webhooks::lifelike(chaos.seed, group);
        webhooks::send(system, &hooks[group % hooks.len()], group, sizes, None, journal, calm)
    });
    let (_, (), submitted, (), (), connected) = tokio::join!(
        futures_util::future::join_all(senders),
        webhooks::forge(system, hooks, journal, calm),
        calls::submit(system, credentials, chaos.seed, register, calm),
        chains::nudge(system, credentials, chaos.seed, calm),
        chains::sweep(system, calm),
        chains::people(system, calm),
    );
    submitted.map(|()| connected)
}

/// The logs in which a hook's secret stands, or the operator's token; and, for a search that finds nothing must be
/// seen to find something, whether no log names a credential.
fn leaked(system: &System, hooks: &[Hook]) -> Result<Vec<String>, Failure> {
    let secrets = hooks.iter().map(|hook| ("a hook's secret", hook.secret.expose_secret()));
    let secrets: Vec<_> =
        secrets.chain([("the operator's token", system.outputs.operator_token.as_str())]).collect();
    let (mut found, mut names_credentials) = (Vec::new(), false);
    for log in fs::read_dir(&system.logs)? {
        let path = log?.path();
        for line in BufReader::new(File::open(&path)?).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            names_credentials |= hooks.iter().any(|hook| line.contains(&hook.credential));
            let held = secrets.iter().filter(|(_, secret)| line.contains(secret));
            found.extend(held.map(|(name, _)| format!("{name} stands in {}", path.display())));
        }
    }
    if !names_credentials {
        found.push("no log names a credential: was anything searched?".to_owned());
    }
    Ok(found)
}

fn table(
    chaos: Chaos,
    verdict: &Verdict,
    faults: &BTreeMap<String, u32>,
    met: u64,
    clocks: bool,
    rested_in: Duration,
) -> String {
    let mut text = "| fault | times |\n|---|---:|\n".to_owned();
    for (fault, times) in faults {
        let _ = writeln!(text, "| {fault} | {times} |");
    }
    let _ = writeln!(text, "| requests to AWS that met a fault | {met} |");
    if !clocks {
        let _ = writeln!(text, "| clocks | left out: libfaketime is not installed |");
    }
    let _ = writeln!(text, "\n| what | count |\n|---|---:|");
    for (name, count) in &verdict.counts {
        let _ = writeln!(text, "| {name} | {count} |");
    }
    let _ = writeln!(
        text,
        "\nSeed {}, {} s of faults, at rest after {} s more: {}.",
        chaos.seed,
        chaos.lasts.as_secs(),
        rested_in.as_secs(),
        if verdict.breaches.is_empty() { "every promise kept" } else { "PROMISES BROKEN" }
    );
    for breach in verdict.breaches.iter().take(50) {
        let _ = writeln!(text, "  {breach}");
    }
    text
}
