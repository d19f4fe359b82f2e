use bucketwheel::call::{Priority, Reply};
use bucketwheel::memory::{MemoryEdge, MemoryQueue, MemoryTable};
use bucketwheel::ports::{Condition, Key, Write};
use bucketwheel::seal::Keyring;
use bucketwheel::store::hooks::HookSecrets;
use secrecy::SecretString;
use serde_json::Value;

use super::*;

struct World {
    rounds: Rounds<MemoryTable, MemoryQueue, MemoryEdge>,
    ring: Keyring,
}

impl World {
    fn new() -> Self {
        let ring = SecretString::from(format!(r#"{{"k1":"{}"}}"#, "x".repeat(64)));
        let rounds = Rounds {
            table: MemoryTable::default(),
            calls: MemoryQueue::default(),
            edge: MemoryEdge::new("2026-11-21T05:10:00Z".parse().expect("a time"), 7),
            secret_days: 90,
            list_hours: 0,
            search: false,
        };
        Self { rounds, ring: Keyring::parse(&ring).expect("a keyring") }
    }

    /// A credential with a hook.
    async fn attached(&self, id: &str, change: impl FnOnce(&mut Credential)) {
        let now = self.rounds.edge.now();
        let mut credential = credential(id, now);
        change(&mut credential);
        let table = &self.rounds.table;
        table.write(vec![credentials::put(&credential)]).await.expect("a write");
        let secret = SecretString::from("s".repeat(128));
        let mut secrets = HookSecrets::first(&self.ring, &credential.id, &secret, [1; 24], now);
        secrets.attach("acme", &["repo:push".to_owned()]);
        hooks::put_first(table, &credential.id, &secrets).await.expect("a write");
    }

    /// Walks to the end of the round; gives the ids of the calls, run by run.
    async fn round(&self) -> Vec<Vec<String>> {
        let mut runs = Vec::new();
        loop {
            let walked = self.walk().await;
            runs.push(self.submitted());
            if walked.ended {
                return runs;
            }
        }
    }

    async fn walk(&self) -> Walked {
        self.rounds.walk(self.rounds.edge.now() + SignedDuration::from_secs(60)).await
    }

    fn submitted(&self) -> Vec<String> {
        let sent = self.rounds.calls.take();
        let read = |message: &Outgoing| serde_json::from_str::<Value>(&message.body).expect("JSON");
        let mut ids: Vec<_> =
            sent.iter().map(|m| read(m)["id"].as_str().expect("an id").to_owned()).collect();
        ids.sort();
        ids
    }
}

fn credential(id: &str, now: Timestamp) -> Credential {
    Credential::sample(id.parse().expect("an id"), now)
}

#[tokio::test]
async fn each_round_repairs_the_hooks_of_every_credential_that_can_make_calls() {
    let world = World::new();
    world.attached("a", |_| {}).await;
    world.attached("b", |b| b.disabled_at = Some(b.created_at)).await;
    world.attached("c", |c| c.status.health = Health::Down).await;
    world.attached("d", |d| d.status.health = Health::Degraded).await;
    let number = 498_677;
    let expected = |number: i64| vec![format!("repair-hooks-a-{number}"), format!("repair-hooks-d-{number}")];
    assert_eq!(world.round().await, [expected(number)]);
    assert_eq!(world.round().await, [Vec::<String>::new()], "the same hour");
    world.rounds.edge.advance(HOUR);
    assert_eq!(world.round().await, [expected(number + 1)]);
}

#[tokio::test]
async fn a_call_of_the_round_is_one_that_the_worker_reads_and_bothers_nobody() {
    let world = World::new();
    world.attached("a", |_| {}).await;
    world.walk().await;
    let sent = world.rounds.calls.take();
    let message: Message = serde_json::from_str(&sent[0].body).expect("a call");
    assert_eq!((message.priority, message.reply), (Priority::Background, Reply::Store));
    assert_eq!(sent[0].group.as_deref(), Some("a"));
}

#[tokio::test]
async fn a_run_does_a_part_and_the_next_one_goes_on() {
    let world = World::new();
    world.attached("b-first", |_| {}).await;
    for page in 1..=PAGES {
        let bare = |n| credentials::put(&credential(&format!("c{page}-{n}"), world.rounds.edge.now()));
        world.rounds.table.write((0..PAGE).map(bare).collect()).await.expect("a write");
    }
    world.attached("d-last", |_| {}).await;
    let first = world.walk().await;
    assert_eq!((first.visited, first.submitted, first.ended), (PAGES * PAGE as usize, 1, false));
    let second = world.walk().await;
    assert_eq!((second.visited, second.submitted, second.ended), (2, 1, true));
    assert_eq!(world.submitted(), ["repair-hooks-b-first-498677", "repair-hooks-d-last-498677"]);
}

#[tokio::test]
async fn a_run_that_stopped_submits_the_same_calls_again_and_no_others() {
    let world = World::new();
    for id in ["a", "b"] {
        world.attached(id, |_| {}).await;
    }
    world.rounds.calls.set_down(true);
    assert!(!world.walk().await.ended);
    world.rounds.calls.set_down(false);
    world.walk().await;
    let first = world.submitted();
    assert_eq!(first.len(), 2);
    // As if that run had been killed before it noted how far it came.
    let key = Key::new("ROUND", "ROUND");
    let unnoted = Write::Delete { key, condition: Condition::Present };
    world.rounds.table.write(vec![unnoted]).await.expect("a write");
    world.walk().await;
    assert_eq!(world.submitted(), first);
}

#[tokio::test]
async fn a_secret_is_rotated_at_its_age_and_not_while_a_rotation_is_under_way() {
    let mut world = World::new();
    world.attached("a", |_| {}).await;
    let names = |runs: Vec<Vec<String>>| runs.concat()[0].split("-a-").next().unwrap_or_default().to_owned();
    world.rounds.edge.advance(HOUR * (24 * 90 - 1));
    assert_eq!(names(world.round().await), "repair-hooks");
    world.rounds.edge.advance(HOUR);
    assert_eq!(names(world.round().await), "rotate-hook");
    world.rounds.secret_days = 0;
    world.rounds.edge.advance(HOUR);
    assert_eq!(names(world.round().await), "repair-hooks", "0 days: never");

    world.rounds.secret_days = 90;
    let id = "a".parse().expect("an id");
    let mut stored = hooks::get(&world.rounds.table, &id).await.expect("the table").expect("hooks");
    let secret = SecretString::from("n".repeat(128));
    assert!(stored.rotate(&world.ring, &id, &secret, [2; 24], world.rounds.edge.now()));
    hooks::replace(&world.rounds.table, &id, &mut stored).await.expect("stored");
    world.rounds.edge.advance(HOUR * 24 * 91);
    assert_eq!(names(world.round().await), "repair-hooks", "the one before is not at its end");
}

#[tokio::test]
async fn a_list_of_repositories_is_read_anew_when_it_is_old_or_an_event_says_so() {
    let mut world = World::new();
    world.rounds.list_hours = 6;
    let (table, edge) = (world.rounds.table.clone(), world.rounds.edge.clone());
    let id = "a".parse().expect("an id");
    table.write(vec![credentials::put(&credential("a", edge.now()))]).await.expect("a write");
    assert_eq!(world.round().await, [["list-repositories-a-498677"]], "never listed");
    let walk = repositories::Walk { began_at: edge.now(), next: None, seen: 1 };
    repositories::note(&table, &id, &walk, edge.now()).await.expect("noted");
    edge.advance(HOUR * 5);
    assert!(world.round().await.concat().is_empty());

    repositories::mark(&table, &id, edge.now()).await.expect("marked");
    let at = edge.now().as_millisecond();
    assert_eq!(world.round().await, [[format!("list-repositories-a-{at}")]]);
    assert!(world.round().await.concat().is_empty(), "once");

    edge.advance(HOUR);
    assert_eq!(world.round().await, [["list-repositories-a-498683"]]);
}
