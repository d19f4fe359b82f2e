//! The numbers of `infra/scale.md` that come from our code: what the real binaries ask of AWS, and how many
//! chains one sweep a minute keeps alive. They are compared with the document, so that neither drifts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bucketwheel::signature::sign;
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
    let document = file("infra/scale.md");
    let row = document.lines().find(|line| line.starts_with(&format!("| {name} |")));
    let row = row.unwrap_or_else(|| panic!("infra/scale.md has no row {name:?}"));
    row.trim_matches('|').split('|').skip(1).map(|cell| cell.trim().to_owned()).collect()
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
}

/// A second is the unit of this: how many chains a sweep begins in it, and how late the latest is.
struct Sweeps {
    /// How long a refresh takes, in milliseconds, nearly all of it Bitbucket's.
    refresh: u64,
    /// How many are worked on at once.
    at_once: u64,
}

/// A sweep begins chains for so long: 120 s less the 65 s that a late one could need.
const BEGINS_FOR: u64 = 55;
/// A hot chain is refreshed 20 to 30 minutes before its two hours are over, and up to a tenth early.
const EARLIEST: u64 = 80 * 60;
const LATEST: u64 = 100 * 60;
/// Then its access token has ended.
const ENDS: u64 = 20 * 60;

impl Sweeps {
    /// Lets so many chains live for eight hours; how late the latest refresh of the last two was, in seconds.
    fn latest(&self, chains: u64) -> u64 {
        let mut random = 7_u64;
        let mut dice = |end: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % end
        };
        let (mut due, hours) = (vec![0_u32; 10 * 3600 + 7_200], 8 * 3600);
        for _ in 0..chains {
            due[usize::try_from(dice(LATEST)).expect("small")] += 1;
        }
        let each_second = self.at_once * 1_000 / self.refresh;
        let (mut waiting, mut latest) = (std::collections::VecDeque::new(), 0);
        for now in 0..hours {
            let at = usize::try_from(now).expect("small");
            if due[at] > 0 {
                waiting.push_back((now, due[at]));
            }
            // A sweep each minute, which begins nothing any more in its last seconds.
            let mut room = if now % 60 < BEGINS_FOR { u32::try_from(each_second).expect("small") } else { 0 };
            while let (Some((since, count)), true) = (waiting.front_mut(), room > 0) {
                let taken = room.min(*count);
                let late = now - *since;
                if now > hours - 7_200 {
                    latest = latest.max(late);
                }
                for _ in 0..taken {
                    let next = now + EARLIEST + dice(LATEST - EARLIEST);
                    due[usize::try_from(next).expect("small")] += 1;
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
        ("template.yaml", "ScheduleExpression: !Ref RefreshSchedule"),
    ] {
        assert!(file(source).contains(constant), "{source} does not say {constant} any more");
    }
    let mut found = Vec::new();
    for (chains, at_once) in [
        (50_000, 16),
        (100_000, 16),
        (150_000, 16),
        (200_000, 16),
        (1_000_000, 16),
        (1_000_000, 96),
        (1_000_000, 128),
    ] {
        let latest = Sweeps { refresh: 600, at_once }.latest(chains);
        let keeps = if latest < ENDS { "yes" } else { "no" };
        println!("| {chains} chains, {at_once} at once | {} min | {keeps} |", latest / 60);
        found.push((
            format!("{chains} chains, {at_once} at once"),
            [format!("{} min", latest / 60), keeps.to_owned()],
        ));
    }
    for (name, cells) in found {
        assert_eq!(row(&name), cells, "{name}");
    }
}
