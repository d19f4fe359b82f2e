//! Bitbucket's hourly allowance, and credentials that do not work.

use std::time::Duration;

use bucketwheel::aws::Host;
use bucketwheel::call::{Allowance, Priority, State};
use bucketwheel::credential::{Cause, Credential, Health, Kind, Status};
use bucketwheel::ports::{Attributes, Condition, Edge as _, Key, Table as _, Write};
use bucketwheel::store::budget::{self, Limits, Scope, Ticket, Told};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::World;

impl World {
    /// Stores what a credential is worth, as the refresher would.
    async fn set_status(&self, credential: &str, status: &Status) {
        let set = Attributes::from_iter([("status".to_owned(), json!(status))]);
        let key = Key::new(format!("CRED#{credential}"), "META");
        let write = Write::Update { key, set, remove: Vec::new(), condition: Condition::Present };
        self.table().write(vec![write]).await.expect("stored");
    }
}

/// What the API tells of a credential's requests to repositories.
async fn repositories_used(world: &World, credential: &str) -> Value {
    let (_, budget) = world.operator("GET", &format!("budget?credential={credential}"), None).await;
    budget["allowances"][0].clone()
}

const PATH: &str = "repositories/seilbahn/leer";

#[tokio::test]
async fn a_closed_credential_waits_and_does_not_hold_up_another() {
    let world = World::running().await;
    let (noisy, quiet) = (world.connect("noisy").await, world.connect("quiet").await);
    let scope = Scope::own(&noisy.parse().expect("an id"), Allowance::Repositories);
    let after = Some(SignedDuration::from_secs(20));
    let closed = budget::close(&world.table(), &scope, after, now()).await.expect("closed");
    let call = json!({"method": "GET", "path": PATH});
    let (first, second) = tokio::join!(async { (world.call(&noisy, call.clone()).await, now()) }, async {
        (world.call(&quiet, call.clone()).await, now())
    },);
    assert_eq!((first.0.state, second.0.state), (State::Succeeded, State::Succeeded));
    assert!(first.1 >= closed, "it was not held back");
    assert!(second.1 < closed, "the quiet one waited too");
}

#[tokio::test]
async fn a_429_closes_the_credential_for_as_long_as_it_says() {
    let world = World::running().await;
    let credential = world.connect("limited").await;
    let alone = world.alone().await;
    world.behave(json!({"rate_limit": 0, "retry_after_seconds": 5})).await;
    let id = format!("limited-{credential}");
    let message = json!({"id": id, "credential": credential, "call": {"method": "GET", "path": PATH}});
    world.submit(message.to_string()).await;
    let closed = crate::world::until("it is closed", async || {
        let used = repositories_used(&world, &credential).await;
        used["closed_until"].as_str().map(|until| until.parse::<Timestamp>().expect("a time"))
    })
    .await;
    world.behave(json!({"rate_limit": 1_000_000, "retry_after_seconds": null})).await;
    drop(alone);
    assert!(closed <= now() + Duration::from_secs(6), "{closed}");
    assert_eq!(world.result(&id).await.state, State::Succeeded);
    assert!(now() >= closed, "it was sent before its time");
    let used = repositories_used(&world, &credential).await;
    assert_eq!((&used["closed_until"], &used["free_at"]), (&Value::Null, &Value::Null));
    assert!(used["requests_last_hour"].as_u64() >= Some(2), "{used}");
}

#[tokio::test]
async fn however_many_workers_there_are_the_ledger_is_exact() {
    let world = World::running().await;
    let id = format!("ledger-{}", now().as_millisecond()).parse().expect("an id");
    let token = Credential { kind: Kind::RepositoryAccessToken, ..Credential::sample(id, now()) };
    let (table, limits, allowance) = (world.table(), Limits { per_hour: 100 }, Allowance::Repositories);
    let told = Told { per_hour: Some(80), near: false };
    budget::learn(&table, &token, allowance, told, now()).await.expect("noted");
    let take = || budget::take(&table, limits, &token, allowance, Priority::Interactive, now());
    let tries = (0..120).map(|_| take());
    let tickets = futures_util::future::join_all(tries).await;
    let taken = tickets.into_iter().filter(|ticket| matches!(ticket, Ok(Ticket::Taken(_)))).count();
    // Those who came too late may keep others off for a moment, but never let one too many in.
    assert!((60..=80).contains(&taken), "{taken} of 80");
}

#[tokio::test]
async fn the_calls_of_a_credential_that_is_down_wait_until_it_is_up_or_their_deadline() {
    let world = World::running().await;
    let credential = world.connect("down").await;
    let down = Status { health: Health::Down, cause: Some(Cause::RotationLost), since: now() };
    world.set_status(&credential, &down).await;
    let message = |name: &str, seconds: u64| {
        json!({
            "id": format!("{name}-{credential}"), "credential": credential,
            "deadline": now() + Duration::from_secs(seconds), "call": {"method": "GET", "path": "user"},
        })
    };
    world.submit(message("short", 1).to_string()).await;
    world.submit(message("long", 600).to_string()).await;
    assert_eq!(world.result(&format!("short-{credential}")).await.state, State::Expired);
    world.set_status(&credential, &Status::up(now())).await;
    assert_eq!(world.result(&format!("long-{credential}")).await.state, State::Succeeded);
}

/// The ledger of the running system keeps this machine's time.
fn now() -> Timestamp {
    Host.now()
}
