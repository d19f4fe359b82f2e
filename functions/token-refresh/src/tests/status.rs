//! What is told of a credential.

use bucketwheel::credential::{Cause, Kind};
use bucketwheel::rotation::Upkeep;
use serde_json::json;

use super::world::{Fault, World, names};

#[tokio::test]
async fn each_failure_has_its_own_cause_and_remedy() {
    // The first three are what Atlassian's page on failing integrations calls "failed to get token",
    // "failed to parse token response" and "token refresh failure".
    let failures = [
        (Fault::Lost, Cause::RefreshFailed),
        (Fault::Page, Cause::AnswerUnreadable),
        (Fault::Refused, Cause::RefreshRefused),
        (Fault::Stranger, Cause::ConsumerRefused),
    ];
    for (at, (fault, cause)) in failures.into_iter().enumerate() {
        let world = World::new(1);
        world.connect_due(names("due", 1)).await;
        world.fails("due-0", Some(fault));
        world.sweep().await;
        let state = format!("degraded: {}", cause.code());
        assert_eq!(world.state("due-0").await, state);
        assert_eq!(world.told(), [format!("due-0 {state}")]);
        for (_, other) in &failures[..at] {
            assert_ne!(cause.sentence(), other.sentence());
            assert_ne!(cause.resolution(), other.resolution());
        }
        // It is told once, and then that it is over.
        world.minute().await;
        assert!(world.told().is_empty());
        world.fails("due-0", None);
        for _ in 0..16 {
            world.minute().await;
        }
        assert_eq!(world.told(), ["due-0 up"]);
    }
}

#[tokio::test]
async fn a_revoked_chain_is_down_after_the_wait() {
    let world = World::new(1);
    world.connect_due(names("due", 1)).await;
    world.fails("due-0", Some(Fault::Refused));
    for _ in 0..17 {
        world.minute().await;
    }
    assert_eq!(world.told(), ["due-0 degraded: refresh_refused", "due-0 down: rotation_lost"]);
    assert_eq!(world.spends().len(), 2);
    assert!(world.minute().await.runs.is_empty(), "it rests");
}

#[tokio::test]
async fn the_consumers_own_token_is_fetched_anew_and_never_given_up() {
    let world = World::new(1);
    world.connect("app", Kind::OauthClientCredentials, Upkeep::Renew, 1_190).await;
    // To a consumer that is public Bitbucket says the same as of a refresh token that is dead.
    world.all_fail(Some(Fault::Refused));
    for _ in 0..40 {
        world.minute().await;
    }
    assert_eq!(world.told(), ["app degraded: consumer_refused"]);
    world.all_fail(None);
    world.minute().await;
    world.minute().await;
    assert_eq!((world.state("app").await.as_str(), world.chain("app").await.generation), ("up", 2));
    for _ in 0..101 {
        world.minute().await;
    }
    assert_eq!(world.chain("app").await.generation, 3, "before the two hours are over");
}

#[tokio::test]
async fn what_a_person_changed_is_announced_on_request_once() {
    let world = World::new(1);
    world.connect("bot", Kind::OauthUser, Upkeep::Hot, 7_200).await;
    let tell = json!({ "credential": "bot", "wish": "tell" });
    world.nudge(&tell).await;
    assert!(world.told().is_empty(), "a credential begins up");
    world.disable("bot").await;
    world.events.set_down(true);
    assert_eq!(world.nudge(&tell).await.again, [json!({ "itemIdentifier": "m" })]);
    world.events.set_down(false);
    world.nudge(&tell).await;
    world.nudge(&tell).await;
    assert_eq!(world.told(), ["bot disabled"]);
    // Its token is kept alive, and that says nothing new.
    for _ in 0..101 {
        world.minute().await;
    }
    assert_eq!((world.chain("bot").await.generation, world.told().len()), (2, 0));
    world.enable("bot").await;
    let report = world.nudge(&tell).await;
    assert_eq!((world.told(), report.changes["up"]), (vec!["bot up".to_owned()], 1));
    assert_eq!(world.chain("bot").await.generation, 2, "nothing was spent for that");
}

#[tokio::test]
async fn what_nobody_announced_is_announced_by_the_next_refresh() {
    let world = World::new(1);
    world.connect_due(names("due", 1)).await;
    world.disable("due-0").await;
    world.sweep().await;
    assert_eq!((world.told(), world.chain("due-0").await.generation), (vec!["due-0 disabled".to_owned()], 2));
}

#[tokio::test]
async fn a_recovery_that_nobody_could_tell_is_told_by_the_next_sweep() {
    let world = World::new(1);
    world.connect_due(names("due", 1)).await;
    world.fails("due-0", Some(Fault::Lost));
    world.sweep().await;
    assert_eq!(world.told(), ["due-0 degraded: refresh_failed"]);
    world.fails("due-0", None);
    world.events.set_down(true);
    world.minute().await;
    assert_eq!(world.chain("due-0").await.generation, 2);
    world.events.set_down(false);
    assert_eq!(world.state("due-0").await, "degraded: refresh_failed");
    world.minute().await;
    assert_eq!((world.told(), world.state("due-0").await), (vec!["due-0 up".to_owned()], "up".to_owned()));
    world.minute().await;
    assert!(world.minute().await.runs.is_empty(), "and from then on it is looked at when it is due");
    assert_eq!(world.spends().len(), 2);
}
