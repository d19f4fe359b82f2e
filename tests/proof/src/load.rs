//! How many webhooks a second the running system takes on this machine, and who is busy meanwhile.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bucketwheel::ports::{Key, Outgoing, Queue, Table};
use bucketwheel_local::{Local, Options};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::ledger::{Facts, Verdict, judge};
use crate::processes::{self, busy};
use crate::system::{Hook, System, client};
use crate::webhooks::Journal;
use crate::{Failure, webhooks};

/// The body of a delivery, in bytes.
const BODY: usize = 5 * 1024;
/// What the table calls the stand-in.
const STAND_IN: &str = "the stand-in: gateway, Lambda, table, queue";
/// How many senders are tried, side by side.
const SENDERS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// One row of a measurement.
#[derive(Debug, Clone)]
pub struct Row {
    /// How many senders, each with one request at a time.
    pub senders: usize,
    /// Answered as wanted, each second.
    pub rate: f64,
    /// Half of them were answered within this.
    pub p50: Duration,
    /// All but one in a hundred were answered within this.
    pub p99: Duration,
}

impl Row {
    fn of(senders: usize, lasted: Duration, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: usize| {
            times.get(times.len().saturating_sub(1) * share / 100).copied().unwrap_or_default()
        };
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
        Self { senders, rate: f64::from(count) / lasted.as_secs_f64(), p50: at(50), p99: at(99) }
    }
}

/// Starts a system without GitOps, which would queue each push a second time, and hooks to deliver to.
pub(crate) async fn started(say: &(dyn Fn(&str) + Sync)) -> Result<(Local, System, Vec<Hook>), Failure> {
    let parameters = [("CallsPerHour", "1000000"), ("GitopsSync", "off"), ("LogLevel", "warn")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = Options { parameters, ..Options::default() };
    let local = bucketwheel_local::start(options, &|step| say(&format!("{step} …"))).await?;
    let system = System::of(&local, client()?)?;
    let mut hooks = Vec::new();
    for n in 0..4 {
        hooks.push(system.hook(&format!("load {n}"), "seilbahn/website").await?);
    }
    Ok((local, system, hooks))
}

/// What a load came to.
#[derive(Debug)]
pub struct Loaded {
    /// Deliveries that were accepted, verified, queued and read back.
    pub sustained: Row,
    /// What became of them.
    pub verdict: Verdict,
    /// The tables for a person.
    pub text: String,
}

/// Finds the highest rate, and what it is made of.
///
/// # Errors
/// If the system cannot be started or asked.
pub async fn load(step: Duration, say: &(dyn Fn(&str) + Sync)) -> Result<Loaded, Failure> {
    let (local, system, hooks) = started(say).await?;
    let loaded = measured(&local, &system, &hooks, step, say).await;
    local.stop().await;
    loaded
}

async fn measured(
    local: &Local,
    system: &System,
    hooks: &[Hook],
    step: Duration,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Loaded, Failure> {
    let mut text = "| senders | a second | p50 ms | p99 ms | the stand-in's ms for each |\n\
                    |---:|---:|---:|---:|---:|\n"
        .to_owned();
    let mut best: Option<Row> = None;
    for senders in SENDERS {
        let before = spent(local);
        let (row, verdict) = deliveries(system, hooks, senders, None, step).await?;
        say(&format!("{senders} senders: {:.0} a second", row.rate));
        let each = each(&before, &spent(local), &verdict).get(STAND_IN).copied().unwrap_or_default();
        let _ = writeln!(text, "{} {each:.1} |", line(&senders.to_string(), &row));
        if best.as_ref().is_none_or(|best| row.rate > best.rate) {
            best = Some(row);
        }
    }
    let senders = best.map_or(8, |best| best.senders);
    say(&format!("{senders} senders, {} s …", step.as_secs() * 3));
    let before = spent(local);
    let (sustained, verdict) = deliveries(system, hooks, senders, None, step * 3).await?;
    let after = spent(local);
    let _ =
        writeln!(text, "\nSustained with {senders} senders for {} s, and read back:\n", step.as_secs() * 3);
    let _ = writeln!(text, "| | a second | p50 ms | p99 ms |\n|---|---:|---:|---:|");
    let _ = writeln!(text, "{}", line("accepted, verified, queued, read back", &sustained));
    for (name, row) in parts(system, hooks, senders, step).await? {
        say(&format!("{name}: {:.0} a second", row.rate));
        let _ = writeln!(text, "{}", line(name, &row));
    }
    let _ = writeln!(text, "\n| busy meanwhile | ms of a core for each delivery |\n|---|---:|");
    for (who, each) in each(&before, &after, &verdict) {
        let _ = writeln!(text, "| {who} | {each:.2} |");
    }
    for breach in &verdict.breaches {
        let _ = writeln!(text, "{breach}");
    }
    Ok(Loaded { sustained, verdict, text })
}

fn line(name: &str, row: &Row) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    format!("| {name} | {:.0} | {:.0} | {:.0} |", row.rate, millis(row.p50), millis(row.p99))
}

/// Deliveries by so many senders, as fast as they are answered or at a pace, until all are read back.
pub(crate) async fn deliveries(
    system: &System,
    hooks: &[Hook],
    senders: usize,
    pace: Option<Duration>,
    lasts: Duration,
) -> Result<(Row, Verdict), Failure> {
    let journal = Journal::new();
    let (enough, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let began = Instant::now();
    let sending = (0..senders).map(|group| {
        webhooks::send(system, &hooks[group % hooks.len()], group, || BODY, pace, &journal, &enough)
    });
    let limit = async {
        sleep(lasts).await;
        enough.store(true, Ordering::Relaxed);
    };
    let read_back = async {
        tokio::join!(futures_util::future::join_all(sending), limit);
        let taken = journal.delivered().len();
        let patience = Instant::now();
        while journal.seen_so_far() < taken && patience.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(20)).await;
        }
        over.store(true, Ordering::Relaxed);
        // Read back is part of it: what lies on the queue still is not sustained.
        began.elapsed()
    };
    let (lasted, ()) = tokio::join!(read_back, webhooks::consume(system, &journal, &over));
    let row = Row::of(senders, lasted, journal.take_times());
    let facts = Facts { delivered: journal.delivered(), seen: journal.seen(), ..Facts::default() };
    let mut verdict = judge(&facts);
    // Nothing fails here, so nothing may be refused either.
    for what in ["refused with 5xx", "not answered"] {
        let count = verdict.of(what);
        if count > 0 {
            verdict.breaches.push(format!("{count} deliveries were {what}"));
        }
    }
    Ok((row, verdict))
}

/// Milliseconds of a core that everybody spent on each delivery.
fn each(
    before: &BTreeMap<String, Duration>,
    after: &BTreeMap<String, Duration>,
    verdict: &Verdict,
) -> BTreeMap<String, f64> {
    let taken = u32::try_from(verdict.of("answered 2xx").max(1)).map_or(f64::MAX, f64::from);
    let since = |(who, spent): (&String, &Duration)| {
        let spent = spent.saturating_sub(before.get(who).copied().unwrap_or_default());
        (who.clone(), spent.as_secs_f64() * 1_000.0 / taken)
    };
    after.iter().map(since).collect()
}

/// The parts of a delivery, each as fast as it goes alone.
async fn parts(
    system: &System,
    hooks: &[Hook],
    senders: usize,
    step: Duration,
) -> Result<Vec<(&'static str, Row)>, Failure> {
    let address = format!("{}/webhooks/bitbucket-cloud/{}", system.public_url, hooks[0].credential);
    let gateway = repeated(senders, step, async |_| {
        let answer = system.http.get(format!("{}/nowhere", system.public_url)).send().await?;
        if answer.status() == 404 { Ok(()) } else { Err(format!("{}", answer.status()).into()) }
    });
    let gateway = gateway.await?;
    let function = repeated(senders, step, async |_| {
        let answer = system.http.post(&address).body("x".repeat(BODY)).send().await?;
        if answer.status() == 401 { Ok(()) } else { Err(format!("{}", answer.status()).into()) }
    });
    let function = function.await?;
    let table = system.table();
    let read = repeated(senders, step, async |_| {
        Ok(table.get(&Key::new("PARKED#nothing", "HEAD")).await.map(drop)?)
    });
    let read = read.await?;
    let url = bucketwheel_local::queue(&system.aws_endpoint, "proof.fifo").await?;
    let queue = system.queue(&url);
    let send = repeated(senders, step, async |n| {
        let body = json!({"n": n, "pad": "x".repeat(BODY)}).to_string();
        let group = Some(format!("group-{}", n % senders));
        Ok(queue.send(Outgoing { body: body.into(), group, dedup: Some(n.to_string()) }).await?)
    });
    let send = send.await?;
    Ok(vec![
        ("the stand-in's gateway alone (no such route: 404)", gateway),
        ("gateway, Lambda and our function, without AWS behind it (no signature: 401)", function),
        ("one strong read of the stand-in's table", read),
        ("one message to the stand-in's FIFO queue", send),
    ])
}

async fn repeated(
    senders: usize,
    step: Duration,
    what: impl AsyncFn(usize) -> Result<(), Failure>,
) -> Result<Row, Failure> {
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let sender = async || {
        let mut times = Vec::new();
        while began.elapsed() < step {
            let at = Instant::now();
            what(next.fetch_add(1, Ordering::Relaxed)).await?;
            times.push(at.elapsed());
        }
        Ok::<_, Failure>(times)
    };
    let times = futures_util::future::try_join_all((0..senders).map(|_| sender())).await?;
    Ok(Row::of(senders, began.elapsed(), times.concat()))
}

/// How much of a core everybody has spent so far.
fn spent(local: &Local) -> BTreeMap<String, Duration> {
    let mut spent = BTreeMap::from([(
        "this program: senders, consumer, the origin in front, the sandbox".to_owned(),
        busy(std::process::id()),
    )]);
    if let Some(stand_in) = local.aws_process() {
        spent.insert(STAND_IN.to_owned(), busy(stand_in));
        for process in processes::functions(stand_in) {
            *spent.entry(format!("our function {}", process.function)).or_default() += busy(process.id);
        }
    }
    spent
}
