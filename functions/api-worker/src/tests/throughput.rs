//! A measurement: how many calls one worker makes a second where Bitbucket takes 50 ms to answer.
//!
//! ```sh
//! cargo test -p api-worker -- --ignored --nocapture throughput
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lambda_events::sqs::SqsEvent;
use bucketwheel::ports::{
    Attributes, Cursor, Inbox, Key, Outgoing, Page, Query, Queue, QueueError, TableError, Write,
};
use jiff::Timestamp;
use tokio::time::sleep;

use super::*;
use crate::AT_ONCE;

/// How long a request to AWS takes.
const AWS: Duration = Duration::from_millis(5);
/// How long Bitbucket takes.
const BITBUCKET: Duration = Duration::from_millis(50);
const CALLS: usize = 10_000;

/// A table as far away as DynamoDB, which remembers no calls: what is measured is the worker.
#[derive(Clone)]
struct Far(MemoryTable);

impl Table for Far {
    async fn get(&self, key: &Key) -> Result<Option<Attributes>, TableError> {
        sleep(AWS).await;
        self.0.get(key).await
    }

    async fn query(&self, query: &Query, limit: u32, after: Option<&Cursor>) -> Result<Page, TableError> {
        sleep(AWS).await;
        self.0.query(query, limit, after).await
    }

    async fn add(&self, key: &Key, name: &str, by: i64, set: Attributes) -> Result<Attributes, TableError> {
        sleep(AWS).await;
        self.0.add(key, name, by, set).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        sleep(AWS).await;
        match writes.iter().all(|write| write.key().pk.starts_with("CALL#")) {
            true => Ok(()),
            false => self.0.write(writes).await,
        }
    }
}

/// A queue as far away, that nobody reads.
struct Nowhere;

impl Queue for Nowhere {
    async fn send(&self, _: Outgoing<'_>) -> Result<(), QueueError> {
        sleep(AWS).await;
        Ok(())
    }
}

impl Inbox for Nowhere {
    async fn hide(&self, _: &str, _: u32) -> Result<(), QueueError> {
        panic!("nothing waits")
    }

    async fn bury(&self, _: &str, _: &str) -> Result<(), QueueError> {
        panic!("everything is a call")
    }
}

/// A Bitbucket that counts how many requests are under way at most.
async fn slow_bitbucket(most: Arc<AtomicUsize>) -> url::Url {
    let under_way = Arc::new(AtomicUsize::new(0));
    let answer = async move || {
        most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(BITBUCKET).await;
        under_way.fetch_sub(1, Ordering::SeqCst);
        axum::Json(json!({"type": "repository", "full_name": "seilbahn/website", "text": "x".repeat(2_000)}))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    url.parse().expect("an address")
}

fn batch(first: usize) -> SqsEvent {
    let record = |number: usize| {
        let call = json!({"method": "GET", "path": "repositories/seilbahn/website"});
        let body = json!({"id": format!("call-{number}"), "credential": "fast", "call": call}).to_string();
        json!({"messageId": number.to_string(), "body": body, "attributes": {}, "messageAttributes": {}})
    };
    let records: Vec<_> = (first..first + 10).map(record).collect();
    serde_json::from_value(json!({ "Records": records })).expect("an event")
}

/// What this process holds in memory, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a number")
}

#[tokio::test]
#[ignore = "a measurement, which takes two minutes"]
async fn throughput_of_one_worker() {
    let world = World::new().await;
    world.connect("fast", |fast| fast.kind = Kind::OauthUser).await;
    let most = Arc::new(AtomicUsize::new(0));
    let worker = Worker {
        events: None,
        table: Far(world.worker.table.clone()),
        results: Nowhere,
        nudges: Nowhere,
        edge: world.worker.edge.clone(),
        access_ring: ring(),
        hook_ring: ring(),
        api: Api::new(slow_bitbucket(Arc::clone(&most)).await, &Trust::default()).expect("a client"),
        public_url: "https://bw.example".parse().expect("an address"),
        limits: Limits { per_hour: 1_000_000 },
        learnt: Learnt::default(),
        tally: Tally::default(),
    };
    let run = async |from: usize, count: usize| {
        for first in (from..from + count).step_by(10) {
            let response = worker.batch(batch(first), Timestamp::MAX, &Nowhere).await;
            assert!(response.batch_item_failures.is_empty(), "{response:?}");
        }
    };
    run(0, 1_000).await;
    let (before, begun) = (resident(), Instant::now());
    run(1_000, CALLS).await;
    let (after, took) = (resident(), begun.elapsed());
    let most = most.load(Ordering::SeqCst);
    println!(
        "{CALLS} calls in {:.1} s: {:.0} a second; {most} at once at most; {before} KiB before, {after} KiB after",
        took.as_secs_f64(),
        CALLS as f64 / took.as_secs_f64(),
    );
    assert!(most <= AT_ONCE, "{most} at once");
    assert!(after < before + 4 * 1024, "memory grows: {before} KiB, then {after} KiB");
}
