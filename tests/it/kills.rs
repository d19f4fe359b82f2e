//! The real token-refresh binary under the local system, killed with SIGKILL again and again: at chosen
//! points of its run and at any time, with 50 credentials at once. The sandbox refuses a spent token once its
//! window is over, and revokes the whole family of one that comes late.
//!
//! `cargo test` kills each credential's refresher once. A longer run has 500 kills: ten of each credential's
//! refresher while the window is open, and one of each of 500 where there is none.
//!
//! ```sh
//! BUCKETWHEEL_KILLS=500 cargo test --test it kills:: -- --nocapture
//! ```

mod point;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bucketwheel::aws::Host;
use bucketwheel::ports::Edge as _;
use futures_util::{StreamExt as _, stream};
use point::{POINTS, Point};
use serde_json::{Value, json};

use crate::lambda::{Invocation, Visit, invoke, no_trouble, record};
use crate::world::World;

const CREDENTIALS: usize = 50;
/// How long token-refresh may live, as template.yaml says.
const LIFE: Duration = Duration::from_secs(120);
/// How long Bitbucket's window is, in seconds.
const WINDOW: u32 = 600;
/// Who has to be saved by then is killed no more: a run that finds a dead one's lease lets it lapse first.
const SPARED: Duration = Duration::from_secs(350);

/// What the kills at one point came to.
#[derive(Debug, Default)]
struct Line {
    kills: u32,
    /// Bitbucket had rotated the token, and the table still held the spent one.
    rotated: u32,
    slowest: Duration,
}

#[tokio::test]
async fn no_kill_loses_a_chain_while_the_window_is_open() {
    let behaviour = json!({
        "grace_window_seconds": WINDOW, "replay": "revoking", "family_revocation": true,
        "access_token_lifetime": 540,
    });
    let world = World::apart(&[], behaviour).await;
    let (kills, seed) = (asked("BUCKETWHEEL_KILLS", CREDENTIALS as u64), asked("BUCKETWHEEL_SEED", 1));
    let each = usize::try_from(kills).expect("a count").div_ceil(CREDENTIALS);
    let credentials = connect(&world, CREDENTIALS).await;
    let started = Instant::now();
    let lives = credentials.iter().enumerate().map(|(n, id)| survive(&world, id, n, each, seed));
    let lives: Vec<_> = stream::iter(lives).buffer_unordered(CREDENTIALS).collect().await;

    let mut table = BTreeMap::<Point, Line>::new();
    for (point, rotated, recovered) in lives.into_iter().flatten() {
        let line = table.entry(point).or_default();
        line.kills += 1;
        line.rotated += u32::from(rotated);
        line.slowest = line.slowest.max(recovered);
    }
    println!("SIGKILL                              kills  rotated, not stored  slowest recovery");
    for (point, line) in &table {
        let Line { kills, rotated, slowest } = line;
        println!("{:<36} {kills:>5} {rotated:>20} {:>15.0} s", point.words(), slowest.as_secs_f64());
    }
    // Now every spent token is refused, and no access token works any more.
    world.sandbox("POST", "clock", Some(json!({"advance_seconds": 7_200}))).await;
    let before = generations(&world, &credentials).await;
    sweep_all(&world).await;
    let after = generations(&world, &credentials).await;
    let lost: Vec<_> =
        credentials.iter().zip(before.iter().zip(&after)).filter(|(_, (b, a))| a <= b).collect();
    let down = shown(&world, &credentials, "up").await;
    println!(
        "{} kills, {CREDENTIALS} credentials, {} lost, {:.0} s (seed {seed})",
        table.values().map(|line| line.kills).sum::<u32>(),
        lost.len(),
        started.elapsed().as_secs_f64()
    );
    assert!(lost.is_empty(), "these chains do not go on: {lost:?}");
    assert!(down.is_empty(), "these are not shown as up: {down:?}");
    assert!(
        table.values().any(|line| line.rotated > 0),
        "no kill came between Bitbucket's rotation and ours"
    );
    world.stop();
}

#[tokio::test]
async fn without_a_window_those_that_cannot_be_saved_and_only_they_are_lost_within_two_sweeps() {
    let behaviour = json!({
        "grace_window_seconds": 0, "family_revocation": true, "access_token_lifetime": 540,
    });
    let settings = [("GraceWindow", "60"), ("LockoutWait", "0")];
    let world = World::apart(&settings, behaviour).await;
    let (kills, seed) = (asked("BUCKETWHEEL_KILLS", CREDENTIALS as u64), asked("BUCKETWHEEL_SEED", 1));
    let credentials = connect(&world, usize::try_from(kills).expect("a count")).await;
    let kills =
        credentials.iter().enumerate().map(|(n, id)| {
            let world = &world;
            async move {
                (POINTS[n % POINTS.len()], kill(world, id, POINTS[n % POINTS.len()], seed + n as u64).await)
            }
        });
    let kills: Vec<_> = stream::iter(kills).buffered(CREDENTIALS).collect().await;
    let survived = |(point, visit): &&(Point, Visit)| *point != Point::Anywhere && visit.answer.is_some();
    assert!(kills.iter().find(survived).is_none(), "each of them dies at its point");
    let mut doomed = BTreeSet::new();
    for id in &credentials {
        if world.standing(id).await == "dead" {
            doomed.insert(id.clone());
        }
    }
    for id in &credentials {
        tokio::time::sleep(lease(&world, id).await).await;
    }
    // A process of its own for each: one process that meets many refusals would hold the others back.
    let mut visits = Vec::new();
    for _ in 0..2 {
        let looking = stream::iter(&credentials).map(async |id| (id, look_after(&world, id).await));
        visits.extend(looking.buffer_unordered(CREDENTIALS).collect::<Vec<_>>().await);
    }
    let down: BTreeSet<_> = shown(&world, &credentials, "up").await.into_iter().collect();
    println!("SIGKILL                              kills  rotated, not stored   down  up");
    for point in POINTS {
        let of: Vec<_> =
            credentials.iter().enumerate().filter(|(n, _)| POINTS[n % POINTS.len()] == point).collect();
        let count = |set: &BTreeSet<String>| of.iter().filter(|(_, id)| set.contains(*id)).count();
        let (doomed, down) = (count(&doomed), count(&down));
        println!("{:<36} {:>5} {doomed:>20} {down:>6} {:>3}", point.words(), of.len(), of.len() - down);
    }
    assert_eq!(down, doomed, "those that cannot be saved, and only they");
    assert!(!doomed.is_empty() && doomed.len() < credentials.len(), "{}", doomed.len());
    for id in &doomed {
        let status = status(&world, id).await;
        let logs = visits.iter().filter(|(of, _)| *of == id).map(|(_, visit)| visit.log.as_str());
        let lost = (&json!("down"), &json!("rotation_lost"));
        assert_eq!((&status["health"], &status["cause"]), lost, "{id}: {}", logs.collect::<String>());
    }
    world.stop();
}

/// Kills a credential's refreshers so often, lets the next one finish each time when the window asks for it,
/// and gives for each kill: where, whether Bitbucket had rotated, and how long it took to recover.
async fn survive(world: &World, id: &str, n: usize, kills: usize, seed: u64) -> Vec<(Point, bool, Duration)> {
    let mut killed = Vec::new();
    let mut open: Option<Instant> = None;
    for round in 0..kills {
        let number = n + round * CREDENTIALS;
        let point = POINTS[(n + round) % POINTS.len()];
        let visit = kill(world, id, point, seed.wrapping_mul(1_000_003) + number as u64).await;
        let rotated = world.standing(id).await != "active";
        if visit.answer.is_none() {
            killed.push((point, rotated, Instant::now()));
        }
        open = if rotated { open.or_else(|| Some(Instant::now())) } else { None };
        if open.is_some_and(|since| since.elapsed() > SPARED) {
            recover(world, id).await;
            open = None;
        }
        tokio::time::sleep(lease(world, id).await).await;
    }
    recover(world, id).await;
    killed.into_iter().map(|(point, rotated, at)| (point, rotated, at.elapsed())).collect()
}

/// Runs the refresher for a credential, as a nudge does, and kills it.
async fn kill(world: &World, id: &str, point: Point, random: u64) -> Visit {
    let (trouble, killed_after) = point.trouble(random);
    let event = record(&json!({ "credential": id }).to_string(), 1);
    invoke(world, Invocation { function: "token-refresh", event, life: LIFE, trouble, killed_after }).await
}

/// Runs the refresher for a credential, and lets it live.
async fn look_after(world: &World, id: &str) -> Visit {
    let event = record(&json!({ "credential": id }).to_string(), 1);
    let (trouble, killed_after) = (no_trouble(), None);
    invoke(world, Invocation { function: "token-refresh", event, life: LIFE, trouble, killed_after }).await
}

/// Runs the refresher for a credential until it has a new pair.
async fn recover(world: &World, id: &str) {
    let before = world.generation(id).await;
    for _ in 0..5 {
        tokio::time::sleep(lease(world, id).await).await;
        look_after(world, id).await;
        if world.generation(id).await > before {
            return;
        }
    }
    panic!("{id} does not recover: {:?}", world.tokens(id).await);
}

/// One sweep over all that is due, in as many invocations as it takes.
async fn sweep_all(world: &World) {
    for _ in 0..10 {
        if world.sweep().await["left"] == 0 {
            return;
        }
    }
    panic!("the sweep does not come to an end");
}

async fn connect(world: &World, count: usize) -> Vec<String> {
    let connecting = (0..count).map(async |n| world.connect(&format!("killed {n}")).await);
    stream::iter(connecting).buffered(4).collect().await
}

/// How long a dead one's lease still looks alive.
async fn lease(world: &World, id: &str) -> Duration {
    let until = world.tokens(id).await.get("lease_until_ms").and_then(Value::as_i64);
    let now = Host.now().as_millisecond();
    Duration::from_millis(until.map_or(0, |until| (until - now).max(0)).unsigned_abs())
}

async fn generations(world: &World, credentials: &[String]) -> Vec<u64> {
    stream::iter(credentials).then(|id| world.generation(id)).collect().await
}

/// Those that are shown as anything else.
async fn shown(world: &World, credentials: &[String], health: &str) -> Vec<String> {
    let mut others = Vec::new();
    for id in credentials {
        if status(world, id).await["health"] != health {
            others.push(id.clone());
        }
    }
    others
}

async fn status(world: &World, id: &str) -> Value {
    world.operator("GET", &format!("credentials/{id}"), None).await.1["status"].clone()
}

fn asked(name: &str, usually: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how much to try is for the caller to say")]
    let asked = std::env::var(name).ok();
    asked.map_or(usually, |asked| asked.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
