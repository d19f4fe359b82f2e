//! The ledger on the real binary: deliveries through an AWS that fails in each way, and a process that is
//! killed before and after it sends. The thousands are in webhook-ingest's own tests, where time can be
//! paused.

mod process;

use bucketwheel::signature::sign;
use process::Process;
use proof::way::{Blocked, Gate, Obstacle};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::world::{World, until};

const QUEUE: &str = "AmazonSQS";
const TABLE: &str = "DynamoDB";
const KEYS: &str = "secretsmanager";

/// What stands in the way, how many deliveries meet it, whether by a cold process, and how it ends.
type Season = (&'static str, &'static [(&'static str, Obstacle)], usize, bool, Ends);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Taken,
    Refused,
    /// The first attempt dies, the second is taken.
    TakenAgain,
}

const SEASONS: [Season; 12] = {
    use Ends::{Refused, Taken, TakenAgain};
    use Obstacle::{Down, Lost, Slow, Swallowed, Unanswered};
    [
        ("calm", &[], 20, true, Taken),
        ("table down", &[(TABLE, Down)], 3, false, Taken),
        ("keyring down", &[(KEYS, Down)], 3, false, Taken),
        ("table down, cold", &[(TABLE, Down)], 1, true, Refused),
        ("keyring down, cold", &[(KEYS, Down)], 1, true, Refused),
        ("keyring slow, cold", &[(KEYS, Slow)], 1, true, Refused),
        ("killed before the send", &[(QUEUE, Swallowed)], 3, true, TakenAgain),
        ("killed after the send", &[(QUEUE, Unanswered)], 3, true, TakenAgain),
        ("queue loses answers", &[(QUEUE, Lost)], 5, false, Taken),
        ("queue down", &[(QUEUE, Down)], 5, false, Taken),
        ("queue slow", &[(QUEUE, Slow)], 2, true, Taken),
        ("queue and table down", &[(QUEUE, Down), (TABLE, Down)], 1, false, Refused),
    ]
};

#[tokio::test]
async fn what_the_real_function_answers_2xx_is_on_the_queue_once_and_in_order() {
    let world = World::running().await;
    let credential = world.connect("ledger").await;
    let secret = world.hook(&credential, "seilbahn/website").await;
    let gate = Gate::open(world.http.clone()).await.expect("a gate");
    gate.lead_to(&world.local().aws_endpoint);
    let block = |obstacles: &[(&'static str, Obstacle)]| {
        let blocked = obstacles.iter().map(|&(service, obstacle)| Blocked { service, obstacle, one_in: 1 });
        gate.way.set(&blocked.collect::<Vec<_>>());
    };
    let mut process = Process::start(&world, &gate).await;
    let (mut number, mut accepted, mut refused) = (0, Vec::new(), 0);
    for (name, obstacles, deliveries, cold, ends) in SEASONS {
        for _ in 0..deliveries {
            block(&[]);
            if cold {
                process = Process::start(&world, &gate).await;
            }
            let body = format!(r#"{{"repository":{{"uuid":"{{{credential}}}"}},"n":{number}}}"#);
            number += 1;
            block(obstacles);
            let mut statuses = vec![process.request(event(&credential, &body, &secret)).await];
            if statuses[0].is_none() {
                // Bitbucket got a 500 and sends again at once.
                block(&[]);
                process = Process::start(&world, &gate).await;
                statuses.push(process.request(event(&credential, &body, &secret)).await);
            }
            match ends {
                Ends::Taken => assert_eq!(statuses, [Some(202)], "{name}"),
                Ends::TakenAgain => assert_eq!(statuses, [None, Some(202)], "{name}"),
                Ends::Refused => assert_eq!(statuses, [Some(503)], "{name}"),
            }
            if ends == Ends::Refused { refused += 1 } else { accepted.push(body) }
        }
        println!("{name:<24} {deliveries:>3} deliveries, {ends:?}");
    }
    // What is answered while something waits, waits behind it.
    block(&[]);
    let body = format!(r#"{{"repository":{{"uuid":"{{{credential}}}"}},"last":true}}"#);
    assert_eq!(process.request(event(&credential, &body, &secret)).await, Some(202));
    accepted.push(body);

    until("all is drained", async || {
        let drained = world.local().invoke("webhook-ingest", "{}").await.expect("the drain answers");
        let drained: Value = serde_json::from_slice(&drained).expect("a report");
        (drained["left"] == false).then_some(())
    })
    .await;
    let events = world.events(&credential, accepted.len()).await;
    let bodies: Vec<_> = events.into_iter().map(|(_, body)| String::from_utf8(body).expect("text")).collect();
    assert_eq!(bodies, accepted, "what was accepted is there, once and in order, and nothing else");
    println!(
        "{} answered 2xx, {} on the queue, 0 lost, 0 twice; {refused} answered 503",
        accepted.len(),
        bodies.len()
    );
}

fn event(credential: &str, body: &str, secret: &SecretString) -> String {
    json!({
        "version": "2.0",
        "headers": {"x-event-key": "repo:push", "x-hub-signature": sign(body.as_bytes(), secret)},
        "requestContext": {"http": {"method": "POST"}},
        "pathParameters": {"credential_id": credential},
        "isBase64Encoded": false,
        "body": body,
    })
    .to_string()
}
