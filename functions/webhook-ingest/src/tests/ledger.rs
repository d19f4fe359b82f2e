//! The ledger: thousands of deliveries through every kind of weather, with Bitbucket's rule for sending
//! again, and at the end a line for each promise. A seed gives the same run again:
//! `LEDGER_SEED=7 cargo test -p webhook-ingest ledger -- --nocapture`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bucketwheel::event::Envelope;
use bucketwheel::trace::Trace;
use tokio::time::{Instant, sleep};

use super::world::{Asked, Clock, Fifo, Random, Sky, StormyKeys, StormyTable, WINDOW, Weather, locked};
use super::*;

const REPOSITORIES: usize = 12;
/// Who sends at the same time, per repository: Bitbucket waits for no answer before the next delivery.
const SENDERS: usize = 2;
const DELIVERIES: usize = 4_000;
/// API Gateway waits for a function no longer than this, and answers 5xx.
const TIME_OUT: Duration = Duration::from_secs(9);
/// Some drains are killed in their midst.
const DRAINS: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(8), Duration::from_secs(1)];

type Process = Ingest<StormyTable, Fifo, StormyKeys, Clock>;

/// One delivery as its sender saw it.
#[derive(Debug, Clone)]
struct Line {
    repository: usize,
    began: Instant,
    accepted: Option<Instant>,
    /// Whether it was sent while the table could not be asked what waits.
    unasked: bool,
    statuses: Vec<u16>,
}

/// The processes of the function, which come and go.
struct Lambda {
    make: Box<dyn Fn() -> Process + Send + Sync>,
    warm: Mutex<Vec<Arc<Process>>>,
    random: Random,
    killed: Mutex<usize>,
}

impl Lambda {
    /// One request, on a warm process or a new one. The process may be killed on the way.
    async fn request(&self, event: &str, risky: bool) -> (u16, bool) {
        let process = locked(&self.warm).pop().unwrap_or_else(|| Arc::new((self.make)()));
        let killed_after = self.random.millis(0, 120);
        let handling = async {
            let Ok(answer) = timeout(TIME_OUT, answer(&process, event)).await else { return 500 };
            let status = json!(answer.response())["statusCode"].as_u64().expect("a status");
            u16::try_from(status).expect("a status")
        };
        let request = Asked::of_this_request(async {
            let status = tokio::select! {
                biased;
                status = handling => Some(status),
                () = sleep(killed_after), if risky => None,
            };
            (status, Asked::sent_unasked())
        });
        let (status, unasked) = request.await;
        let Some(status) = status else {
            *locked(&self.killed) += 1;
            return (502, unasked);
        };
        if !self.random.chance(2) {
            locked(&self.warm).push(process);
        }
        (status, unasked)
    }
}

/// What kinds of weather there are: over the queue, the table and the keyring, and whether processes die.
const SEASONS: [(&str, [Sky; 3], bool); 11] = {
    use Sky::{Calm, Down, Lossy, Mixed, Slow};
    [
        ("calm", [Calm, Calm, Calm], false),
        ("queue down", [Down, Calm, Calm], false),
        ("queue slow", [Slow, Calm, Calm], false),
        ("queue loses answers", [Lossy, Calm, Calm], false),
        ("table down", [Calm, Down, Calm], false),
        ("table slow", [Calm, Slow, Calm], false),
        ("table loses answers", [Mixed, Lossy, Calm], false),
        ("keyring down", [Calm, Calm, Down], false),
        ("processes die", [Mixed, Calm, Calm], true),
        ("queue and table down", [Down, Down, Calm], false),
        ("everything at once", [Mixed, Mixed, Mixed], true),
    ]
};

#[expect(clippy::disallowed_methods, reason = "a test's seed")]
fn seeds() -> Vec<u64> {
    match std::env::var("LEDGER_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => vec![1, 2],
    }
}

#[tokio::test(start_paused = true)]
async fn every_delivery_answered_2xx_is_on_the_queue_once_and_in_order() {
    for seed in seeds() {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let random = Random::new(seed);
    let weather = Weather::new(random.clone());
    let queue = Fifo::new(&weather);
    let ports = Ports::with_hook().await;
    let table = StormyTable { weather: weather.clone(), table: ports.table.clone() };
    let keys = StormyKeys { weather: weather.clone(), keys: ports.keys.clone() };
    let clock = Clock::new(random.clone());
    let make = {
        let queue = queue.clone();
        move || Ingest::new(table.clone(), queue.clone(), keys.clone(), clock.clone())
    };
    let lambda = Arc::new(Lambda {
        make: Box::new(make.clone()),
        warm: Mutex::default(),
        random: random.clone(),
        killed: Mutex::default(),
    });
    let risky = Arc::new(Mutex::new(false));
    let lines: Arc<Mutex<HashMap<String, Line>>> = Arc::default();
    let numbers = Arc::new(Mutex::new(0));

    let senders = (0..REPOSITORIES * SENDERS).map(|sender| {
        let (lambda, random, risky) = (lambda.clone(), random.clone(), risky.clone());
        let (lines, numbers) = (lines.clone(), numbers.clone());
        tokio::spawn(async move {
            let repository = sender % REPOSITORIES;
            let mut earlier: Vec<String> = Vec::new();
            loop {
                // Now and then one of the last is sent again, as by a person who presses "resend".
                let again =
                    random.chance(4).then(|| earlier.iter().rev().take(20).next_back().cloned()).flatten();
                let body = again.unwrap_or_else(|| {
                    let mut number = locked(&numbers);
                    *number += 1;
                    format!(r#"{{"repository":{{"uuid":"{{r{repository}}}"}},"n":{number}}}"#)
                });
                if *locked(&numbers) > DELIVERIES {
                    return;
                }
                earlier.push(body.clone());
                let event = delivery("c1", &body, &secret());
                let began = Instant::now();
                for _attempt in 0..3 {
                    let risk = *locked(&risky);
                    let (status, unasked) = lambda.request(&event, risk).await;
                    let mut lines = locked(&lines);
                    let line = lines.entry(body.clone()).or_insert_with(|| Line {
                        repository,
                        began,
                        accepted: None,
                        unasked: false,
                        statuses: Vec::new(),
                    });
                    line.statuses.push(status);
                    line.unasked |= unasked;
                    if status < 300 {
                        line.accepted.get_or_insert_with(Instant::now);
                    }
                    if status < 500 {
                        break;
                    }
                }
                sleep(random.millis(1, 2_500)).await;
            }
        })
    });
    let senders: Vec<_> = senders.collect();

    // The seasons pass, and drains come, also while the weather is bad, and two at a time.
    let drains = [0, 1].map(|which| {
        let make = make.clone();
        tokio::spawn(async move {
            for lives in DRAINS.into_iter().cycle() {
                sleep(Duration::from_secs(20 + which)).await;
                let sent = timeout(lives, make().drain()).await.map_or(0, |drained| drained.sent);
                *locked(&DRAINED).entry(seed).or_default() += sent;
            }
        })
    });
    let mut season = 0;
    while *locked(&numbers) <= DELIVERIES {
        let (_, skies, kills) = SEASONS[season % SEASONS.len()];
        weather.set(skies);
        *locked(&risky) = kills;
        sleep(random.millis(5_000, 25_000)).await;
        season += 1;
    }
    weather.set([Sky::Calm; 3]);
    for sender in senders {
        sender.await.expect("a sender");
    }
    drains.iter().for_each(tokio::task::JoinHandle::abort);
    while make().drain().await.left {}

    let (lines, groups) = (locked(&lines).clone(), queue.groups());
    check(seed, season, &lines, &groups, &ports);
    println!(
        "  {:<44}{:>7}\n  {:<44}{:>7}\n  {:<44}{:>7}",
        "duplicates that the queue dropped",
        queue.dropped(),
        "put on the queue by drains meanwhile",
        locked(&DRAINED).get(&seed).copied().unwrap_or_default(),
        "processes killed",
        *locked(&lambda.killed),
    );
}

static DRAINED: Mutex<std::collections::BTreeMap<u64, usize>> = Mutex::new(std::collections::BTreeMap::new());

fn check(
    seed: u64,
    seasons: usize,
    lines: &HashMap<String, Line>,
    groups: &HashMap<String, Vec<super::world::Queued>>,
    ports: &Ports,
) {
    let (mut accepted, mut refused, mut at_first, mut gone_on) = (0, 0, 0, 0);
    let id_of = |body: &str| {
        let credential: CredentialId = "c1".parse().expect("an id");
        let claimed = Claimed::parse([sign(body.as_bytes(), &secret()).as_str()]).expect("a signature");
        let secrets = [bucketwheel::signature::HookSecret { version: 1, secret: secret() }];
        let verified = verify(body.as_bytes(), &claimed, &secrets).expect("verified");
        let now = Timestamp::UNIX_EPOCH;
        let delivery = Delivery {
            credential: &credential,
            verified,
            event_key: "repo:push",
            hook_id: None,
            request_id: None,
            attempt: None,
            trace: &Trace::new([3; 24]),
            received_at: now,
        };
        Envelope::parse(&delivery.envelope().text).expect("an envelope").id
    };
    let mut by_repository: HashMap<usize, Vec<(usize, &Line)>> = HashMap::new();
    for (body, line) in lines {
        let queue = &groups[&format!("{{r{}}}", line.repository)];
        let id = id_of(body);
        let places: Vec<_> = queue.iter().enumerate().filter(|(_, queued)| queued.id == id).collect();
        assert!(
            line.statuses.iter().all(|s| [202, 500, 502, 503].contains(s)),
            "seed {seed}: {body} {line:?}"
        );
        if line.accepted.is_some() {
            accepted += 1;
            at_first += usize::from(line.statuses[0] == 202);
            assert!(!places.is_empty(), "seed {seed}: lost: {body} {line:?}");
            by_repository.entry(line.repository).or_default().push((places[0].0, line));
        } else {
            refused += 1;
            gone_on += usize::from(!places.is_empty());
        }
        for pair in places.windows(2) {
            assert!(pair[1].1.at - pair[0].1.at >= WINDOW, "seed {seed}: twice: {body}");
        }
    }
    let (mut pairs, mut overtakers) = (0, std::collections::BTreeSet::new());
    for lines in by_repository.values() {
        for (place, line) in lines {
            for (later_place, later) in lines {
                if line.accepted.is_some_and(|accepted| accepted < later.began) {
                    pairs += 1;
                    let kept = place < later_place;
                    assert!(kept || later.unasked, "seed {seed}: overtaken: {line:?} by {later:?}");
                    if !kept {
                        overtakers.insert((later.repository, later_place));
                    }
                }
            }
        }
    }
    assert_eq!(ports.parked(), [], "seed {seed}: something waits still");
    let attempts: usize = lines.values().map(|line| line.statuses.len()).sum();
    println!("ledger, seed {seed}: {seasons} seasons of {:?}", SEASONS.map(|(name, ..)| name));
    for (what, count) in [
        ("deliveries", lines.len()),
        ("attempts", attempts),
        ("answered 2xx", accepted),
        ("  at the first attempt", at_first),
        ("  on the queue", accepted),
        ("  lost", 0),
        ("answered 5xx three times", refused),
        ("  on the queue all the same", gone_on),
        ("pairs of which one was answered first", pairs),
        ("  overtaken", 0),
        ("sent while the table could not be asked", lines.values().filter(|line| line.unasked).count()),
        ("  overtook others then", overtakers.len()),
    ] {
        println!("  {what:<44}{count:>7}");
    }
    assert!(refused > 0 && accepted > DELIVERIES / 2, "seed {seed}: the weather was no test");
}
