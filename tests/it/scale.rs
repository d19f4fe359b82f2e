//! The numbers of `infra/scale.md` that come from our code: what the real binaries ask of AWS, how many chains
//! one sweep a minute keeps alive, and when the busiest repository fills its message group. They are compared
//! with the document, and with what `infra/cost.md` prices, so that none drifts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bucketwheel::rotation::{Terms, Upkeep, due_at, falls_due};
use bucketwheel::signature::sign;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::lambda::{Invocation, invoke, no_trouble, record};
use crate::world::World;

/// A file of this repository.
fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The row of a table of the document that begins with this, without its first cell.
fn row(name: &str) -> Vec<String> {
    cells(&file("infra/scale.md"), name)
}

/// The row of a table of `text` that begins with this, without its first cell.
fn cells(text: &str, name: &str) -> Vec<String> {
    let row = text.lines().find(|line| line.starts_with(&format!("| {name} |")));
    let row = row.unwrap_or_else(|| panic!("there is no row {name:?}"));
    row.trim_matches('|').split('|').skip(1).map(|cell| cell.trim().to_owned()).collect()
}

/// How many of something a part of `infra/cost.md` prices.
fn priced(part: &str, what: &str) -> u64 {
    let cost = file("infra/cost.md");
    let part = cost.split("\n## ").find(|text| text.starts_with(part)).expect("the part");
    cells(part, what)[0].parse().expect("a number")
}

/// Requests by kind: reads, queries, writes (a transaction counts once), messages, secrets, Bitbucket.
fn counted(steps: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for step in steps {
        let kind = match step.rsplit('.').next().unwrap_or_default() {
            "GetItem" => "read",
            "Query" => "query",
            "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems" => "write",
            "SendMessage" => "message",
            "GetSecretValue" => "secret",
            _ => "bitbucket",
        };
        *counts.entry(kind).or_default() += 1;
    }
    let kinds = ["read", "query", "write", "message", "secret", "bitbucket"];
    kinds.map(|kind| counts.get(kind).copied().unwrap_or_default().to_string()).to_vec()
}

/// What a claim adds to the item with the tokens, in bytes, generously: two ids, two times, a number.
const CLAIM: usize = 256;

async fn asked(world: &World, function: &str, event: Value) -> Vec<String> {
    let (life, trouble) = (Duration::from_secs(120), no_trouble());
    let visit = invoke(world, Invocation { function, event, life, trouble, killed_after: None }).await;
    assert!(visit.answer.is_some(), "{function}: {:?}", visit.steps);
    println!("{function}: {:?}", visit.steps);
    counted(&visit.steps)
}

#[tokio::test]
async fn what_the_functions_ask_of_aws_is_what_the_document_says() {
    let world = World::running().await;
    let credential = world.connect_due("scale").await;
    let secret = world.hook(&credential, "seilbahn/website").await;
    let body = r#"{"repository":{"uuid":"{scale}"}}"#;
    let delivery = json!({
        "version": "2.0",
        "headers": {"x-event-key": "repo:push", "x-hub-signature": sign(body.as_bytes(), &secret)},
        "requestContext": {"http": {"method": "POST"}},
        "pathParameters": {"credential_id": credential},
        "isBase64Encoded": false,
        "body": body,
    });
    let delivered = asked(&world, "webhook-ingest", delivery).await;
    let nudge = record(&json!({ "credential": credential }).to_string(), 1);
    let refreshed = asked(&world, "token-refresh", nudge).await;
    let item = serde_json::to_string(&world.tokens(&credential).await).expect("an item").len();
    let call = |id: &str, call: Value| {
        let message = json!({"id": format!("{id}-{credential}"), "credential": credential, "call": call});
        record(&message.to_string(), 1)
    };
    let read = asked(&world, "api-worker", call("read", json!({"method": "GET", "path": "user"}))).await;
    let path = "repositories/seilbahn/website/refs/branches";
    let body = json!({"name": format!("scale-{credential}"), "target": {"hash": "main"}});
    let change = json!({"method": "POST", "path": path, "body": body});
    let changed = asked(&world, "api-worker", call("change", change)).await;
    let found = [
        ("a delivery, in a new process", delivered),
        ("a refresh, in a new process", refreshed),
        ("a call that reads, in a new process", read),
        ("a call that changes something, in a new process", changed),
    ];
    let said: Vec<_> = found.iter().map(|(name, _)| (*name, row(name))).collect();
    assert_eq!(found.to_vec(), said, "infra/scale.md and the functions differ");
    let counted = |of: usize, kind: usize| found[of].1[kind].parse::<u64>().expect("a number");
    let million = priced("A million webhooks", "DynamoDB strong read of 4 KB");
    assert_eq!(million, counted(0, 0) * 1_000_000, "reads of a million deliveries");
    // Each write of a refresh pays for the whole item, as large as it is while claimed, and moves it in the
    // index `due`: out, and in.
    let units = counted(1, 2) * (u64::try_from(item + CLAIM).expect("small").div_ceil(1024) + 2);
    println!("an item of {item} bytes, {units} write units a refresh");
    let month = priced("A credential for a month", "DynamoDB write of 1 KB");
    assert_eq!(month, (units * 43_200 + 47) / 95, "write units of a month, at a refresh each 95 minutes");
}

/// Sweeps with what is Bitbucket's or ours to choose; the rest is the code's.
struct Sweeps {
    /// How long a refresh takes, in milliseconds, nearly all of it Bitbucket's: an assumption.
    refresh: u64,
    /// How many are worked on at once.
    at_once: u64,
}

/// How long an access token lives (<https://developer.atlassian.com/cloud/bitbucket/oauth-2>).
const LIVES: SignedDuration = SignedDuration::from_hours(2);

fn terms() -> Terms {
    Terms::with_grace(SignedDuration::from_mins(8))
}

/// For how many seconds of each minute a sweep begins chains: its time-out less the longest run.
fn begins_for() -> u64 {
    let template = file("template.yaml");
    let function = template.split("\n  TokenRefresh:").nth(1).expect("token-refresh");
    let timeout =
        function.split("Timeout: ").nth(1).and_then(|rest| rest.lines().next()).expect("a time-out");
    let sweep = file("functions/token-refresh/src/sweep.rs");
    assert!(sweep.contains("self.terms.lease + self.terms.spend + SignedDuration::from_secs(10)"));
    let longest = terms().lease + terms().spend + SignedDuration::from_secs(10);
    timeout.parse::<u64>().expect("seconds") - u64::try_from(longest.as_secs()).expect("seconds")
}

impl Sweeps {
    /// Lets so many chains live for eight hours; how late the latest refresh of the last two was, in seconds.
    fn latest(&self, chains: u64) -> u64 {
        let (terms, begins_for) = (terms(), begins_for());
        let seconds = |time: Timestamp| u64::try_from(time.as_second()).expect("after 1970");
        let expires = |now: Timestamp| now + LIVES;
        let usual = due_at(Upkeep::Hot, Timestamp::UNIX_EPOCH, expires(Timestamp::UNIX_EPOCH), &terms);
        let mut random = 7_u64;
        let mut dice = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 33
        };
        let (mut due, hours) = (vec![0_u32; 10 * 3600 + 7_200], 8 * 3600);
        for _ in 0..chains {
            due[usize::try_from(dice() % seconds(usual)).expect("small")] += 1;
        }
        let each_second = self.at_once * 1_000 / self.refresh;
        let (mut waiting, mut latest) = (std::collections::VecDeque::new(), 0);
        for now in 0..hours {
            let at = usize::try_from(now).expect("small");
            if due[at] > 0 {
                waiting.push_back((now, due[at]));
            }
            // A sweep each minute, which begins nothing any more in its last seconds.
            let mut room = if now % 60 < begins_for { u32::try_from(each_second).expect("small") } else { 0 };
            while let (Some((since, count)), true) = (waiting.front_mut(), room > 0) {
                let taken = room.min(*count);
                let late = now - *since;
                if now > hours - 7_200 {
                    latest = latest.max(late);
                }
                let stored = Timestamp::UNIX_EPOCH + Duration::from_secs(now);
                for _ in 0..taken {
                    let by_chance = dice().to_le_bytes();
                    let by_chance = [by_chance[0], by_chance[1]];
                    let next = falls_due(Upkeep::Hot, stored, expires(stored), &terms, by_chance);
                    due[usize::try_from(seconds(next)).expect("small")] += 1;
                }
                room -= taken;
                *count -= taken;
                if *count == 0 {
                    waiting.pop_front();
                }
            }
        }
        let oldest = waiting.front().map_or(0, |(since, _)| hours - since);
        latest.max(oldest)
    }
}

#[test]
fn one_sweep_a_minute_keeps_as_many_chains_as_the_document_says() {
    for (source, constant) in [
        ("functions/token-refresh/src/sweep.rs", "const AT_ONCE: usize = 16;"),
        ("shared/src/store/tokens.rs", "pub const SHARDS: u8 = 4;"),
        ("functions/webhook-ingest/src/known.rs", "const MOST: usize = 2_000;"),
        ("functions/api-worker/src/lib.rs", "const AT_ONCE: usize = 10;"),
        ("template.yaml", "ScheduleExpression: !Ref RefreshSchedule"),
        ("template.yaml", "RefreshSchedule:\n    Type: String\n    Default: rate(1 minute)"),
        ("template.yaml", "WorkerConcurrency:\n    Type: Number\n    Default: 5\n"),
    ] {
        assert!(file(source).contains(constant), "{source} does not say {constant} any more");
    }
    assert_eq!(begins_for(), 55, "infra/scale.md says 55 seconds");
    let at = |minutes: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
    let fall = |random| falls_due(Upkeep::Hot, at(0), at(0) + LIVES, &terms(), random);
    assert!(fall([255, 255]) >= at(90) && fall([255, 255]) < at(91), "infra/scale.md says 90 to 100 minutes");
    assert_eq!(fall([0, 0]), at(100), "infra/scale.md says 90 to 100 minutes");
    let ends = u64::try_from(terms().margin.as_secs()).expect("seconds");
    assert_eq!(ends, 20 * 60, "infra/scale.md says twenty minutes");
    for (chains, at_once, refresh) in [
        (50_000, 16, 600),
        (100_000, 16, 600),
        (135_000, 16, 600),
        (150_000, 16, 600),
        (200_000, 16, 600),
        (200_000, 16, 300),
        (100_000, 16, 1_200),
        (1_000_000, 16, 600),
        (1_000_000, 96, 600),
        (1_000_000, 128, 600),
    ] {
        let latest = Sweeps { refresh, at_once }.latest(chains);
        let keeps = if latest < ends { "yes" } else { "no" };
        let name = format!("{chains} chains, {at_once} at once, 0.{} s each", refresh / 100);
        let name = name.replace("0.12 s", "1.2 s");
        let found = [format!("{} min", latest / 60), keeps.to_owned()];
        println!("| {name} | {} | {} |", found[0], found[1]);
        assert_eq!(row(&name), found, "{name}");
    }
}

/// Sends a second that one message group takes
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/partitions-and-data-distribution.html>).
const GROUP: f64 = 300.0;

#[test]
fn the_busiest_repository_fills_its_group_where_the_document_says() {
    for (repositories, skew) in
        [(10_000, 1.0), (1_000_000, 1.0), (10_000, 0.8), (1_000_000, 0.8), (10_000, 0.0)]
    {
        // The repository in place n gets n^-skew of what the busiest gets (Zipf).
        let weight = |place: u32| f64::from(place).powf(-skew);
        let all: f64 = (1..=repositories).map(weight).sum();
        let over = (1..=repositories).take_while(|place| weight(*place) / all * 10_000.0 > GROUP).count();
        let name = format!("{repositories} repositories, skew {skew:.1}");
        let found = [format!("{:.0}/s", 10_000.0 / all), over.to_string(), format!("{:.0}/s", GROUP * all)];
        println!("| {name} | {} |", found.join(" | "));
        assert_eq!(row(&name), found, "{name}");
    }
}
