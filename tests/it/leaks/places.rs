//! What is searched besides what was shown on the way: logs, metrics, queues and the table.

use std::fs;

use super::canaries::{Canaries, Place, spellings};
use super::flows::Seen;
use super::tap::Tap;
use crate::world::World;

/// The queues on which something is in each run.
const QUEUES: [&str; 7] = ["events", "calls", "results", "refresh", "gitops", "changes", "dead calls"];

/// Every kind of place.
pub(super) fn kinds() -> Vec<Place> {
    let shown =
        [Place::Log, Place::Metric, Place::Page, Place::Link, Place::Error, Place::Table, Place::Crash];
    shown.into_iter().chain(QUEUES.map(|word| Place::Queue(word.to_owned()))).collect()
}

/// All that the system has written anywhere.
pub(super) async fn all(world: &World, tap: &Tap) -> Seen {
    let queues = world.queue_words().await;
    let mut seen = tap.seen(&queues);
    let letters = world.dead_letters().await.into_iter();
    seen.extend(letters.map(|(word, text)| (Place::Queue(word), text)));
    for entry in fs::read_dir(world.local().logs()).expect("the logs").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // The stand-in's own log has the addresses that browsers asked for, as no log of AWS has.
        if name != "stand-in.log" {
            let log = fs::read(entry.path()).expect("a log");
            seen.extend(of_log(&String::from_utf8_lossy(&log)));
        }
    }
    let table =
        bucketwheel_local::items(&world.local().aws_endpoint, &world.local().outputs.table_name).await;
    seen.push((Place::Table, table.expect("all items")));
    seen
}

/// A function's log: what is written for people, and what CloudWatch makes metrics of.
pub(super) fn of_log(log: &str) -> Seen {
    let (metrics, lines): (Vec<_>, Vec<_>) = log.lines().partition(|line| line.contains("\"_aws\":"));
    let text = |place, lines: Vec<&str>| (!lines.is_empty()).then(|| (place, lines.join("\n")));
    [text(Place::Log, lines), text(Place::Metric, metrics)].into_iter().flatten().collect()
}

#[test]
fn a_canary_that_is_planted_in_any_kind_of_place_is_found_there_in_each_spelling() {
    use serde_json::json;

    // So much of a token in one line is enough.
    let (secret, queues) =
        ("canary/0123456789+abcdefghijklmnop=qrstu", [("q".to_owned(), "dead calls".to_owned())]);
    let mut canaries = Canaries::default();
    canaries.add("the canary", secret);
    let queue = || Place::Queue("dead calls".to_owned());
    for planted in spellings(secret.as_bytes()) {
        let planted = String::from_utf8(planted).expect("text");
        let sent = |target: &str, body: serde_json::Value| {
            let body = body.to_string();
            vec![(super::tap::place(target, &body, &queues.clone().into()).expect("a place"), body)]
        };
        let line = format!("{{\"level\":\"DEBUG\",\"message\":\"asked with {planted}\"}}");
        let metric = json!({"_aws": {"Timestamp": 0}, "function": planted, "sweep": 1}).to_string();
        let page = format!("<p class=\"cause\">{planted}</p>");
        let crash = format!("thread 'main' panicked at src/main.rs:1:1:\n{planted}");
        for (place, seen) in [
            (Place::Log, of_log(&format!("INIT\n{line}\nEND"))),
            (Place::Log, of_log(&crash)),
            (Place::Metric, of_log(&format!("INIT\n{metric}"))),
            (queue(), sent("AmazonSQS.SendMessage", json!({"QueueUrl": "q", "MessageBody": planted}))),
            (
                queue(),
                sent(
                    "AmazonSQS.SendMessageBatch",
                    json!({"QueueUrl": "q", "Entries": [{"MessageBody": json!({"a": planted}).to_string()}]}),
                ),
            ),
            (Place::Table, sent("DynamoDB_20120810.PutItem", json!({"Item": {"access": {"S": planted}}}))),
            (Place::Page, vec![(Place::Page, page.clone())]),
            (Place::Link, vec![(Place::Link, page.clone())]),
            (Place::Error, vec![(Place::Error, page)]),
            (Place::Crash, vec![(Place::Crash, crash)]),
        ] {
            let found: Vec<_> = seen.iter().flat_map(|(at, text)| canaries.found(at, text)).collect();
            let [found] = &found[..] else { panic!("{place:?}: {planted} is found {} times", found.len()) };
            assert!(found.starts_with(&format!("the canary in {place:?}: ")), "{found}");
        }
    }
}
