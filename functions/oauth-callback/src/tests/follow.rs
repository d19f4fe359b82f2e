//! The calls that follow a connect.

use std::time::Duration;

use bucketwheel::call::{Message, Priority, Reply};
use bucketwheel::ports::{Outgoing, QueueError};

use super::*;

async fn connected(calls: impl Queue + 'static) -> World {
    let world = World::over(MemoryTable::default(), calls, seed::CONSUMER_SECRET, None).await;
    let link = world.link("c-1", |_| {}).await;
    let landed = world.consent(&mut world.ada(), &link).await;
    assert_eq!(landed.parameter("connected").as_deref(), Some("c-1"), "{}", landed.url);
    world
}

#[tokio::test]
async fn a_connect_is_followed_by_calls_in_the_background() {
    let calls = MemoryQueue::default();
    let world = connected(calls.clone()).await;
    let sent = calls.take();
    let messages: Vec<Message> =
        sent.iter().map(|sent| serde_json::from_str(&sent.body).expect("a call")).collect();
    assert!(messages.iter().any(|message| message.id.as_str() == "list-repositories-c-1-1"), "{messages:?}");
    for (sent, message) in sent.iter().zip(&messages) {
        assert_eq!((message.priority, message.reply), (Priority::Background, Reply::Store));
        assert_eq!((sent.group.as_deref(), message.credential.as_str()), (Some("c-1"), "c-1"));
    }

    // A reconnect is another one. What an operator switched off makes no calls.
    let again = world.link("c-1", |link| link.renews = true).await;
    world.consent(&mut world.ada(), &again).await;
    assert!(calls.take().iter().any(|sent| sent.body.contains("list-repositories-c-1-2")));
    let known = world.credential("c-1").await.expect("there");
    let off = credentials::disable(&known, &bucketwheel::credential::Status::up(world.edge.now()));
    world.table.write(vec![off]).await.expect("switched off");
    let again = world.link("c-1", |link| link.renews = true).await;
    world.consent(&mut world.ada(), &again).await;
    assert!(calls.take().is_empty());
}

#[tokio::test]
async fn a_calls_queue_that_fails_does_not_fail_the_connect() {
    let calls = MemoryQueue::default();
    calls.set_down(true);
    let world = connected(calls).await;
    assert!(world.credential("c-1").await.is_some());
}

/// A queue that never answers.
struct Stuck;

impl Queue for Stuck {
    async fn send(&self, _: Outgoing<'_>) -> Result<(), QueueError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_calls_queue_that_is_stuck_does_not_hold_up_the_connect() {
    let connected = tokio::time::timeout(Duration::from_secs(20), connected(Stuck)).await;
    assert!(connected.is_ok(), "the browser still waits");
}
