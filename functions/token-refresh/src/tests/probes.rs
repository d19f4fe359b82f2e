//! Tokens that were made by hand.

use bucketwheel::call::{Allowance, Priority};
use bucketwheel::credential::Kind;
use bucketwheel::ports::Edge as _;
use bucketwheel::rotation::Upkeep;
use bucketwheel::store::{budget, credentials};
use jiff::SignedDuration;
use serde_json::json;

use super::world::{World, names};

const DAY: i64 = 86_400;
const YEARS: i64 = 3 * 365 * DAY;

/// The same again, after so many hours.
impl World {
    async fn after(&self, hours: i64) {
        self.edge.advance(SignedDuration::from_hours(hours));
        self.sweep().await;
    }
}

async fn with_token(seconds: i64) -> World {
    let world = World::new(1);
    world.connect("bot", Kind::ApiTokenShared, Upkeep::Fixed, seconds).await;
    world
}

#[tokio::test]
async fn each_kind_is_tried_by_what_it_can_read() {
    let world = World::new(1);
    for (name, kind) in [
        ("shared", Kind::ApiTokenShared),
        ("repository", Kind::RepositoryAccessToken),
        ("project", Kind::ProjectAccessToken),
        ("workspace", Kind::WorkspaceAccessToken),
    ] {
        world.connect(name, kind, Upkeep::Fixed, YEARS).await;
    }
    world.after(6).await;
    let mut probes = world.probes();
    probes.sort();
    assert_eq!(
        probes,
        [
            "token of project workspaces/acme/projects/r",
            "token of repository repositories/acme/r",
            "token of shared user",
            "token of workspace workspaces/acme",
        ]
    );
    assert!(world.told().is_empty() && world.spends().is_empty());
}

#[tokio::test]
async fn a_revoked_token_is_down_before_anybody_calls() {
    let world = with_token(YEARS).await;
    world.after(5).await;
    assert!(world.probes().is_empty());
    world.is_answered("bot", 401, "");
    world.after(1).await;
    assert_eq!(world.told(), ["bot degraded: token_refused"]);
    // It is confirmed first.
    for _ in 0..5 {
        world.minute().await;
    }
    assert_eq!(world.told(), ["bot down: token_revoked"]);
    // What was news is looked at once more, should nobody have lived to tell it.
    assert_eq!(world.probes().len(), 3);
    world.minute().await;
    world.probes();
    world.minute().await;
    assert!(world.probes().is_empty(), "from now on it is tried as slowly as before");
    // Should it have been a mistake of Bitbucket's, somebody notices.
    world.is_answered("bot", 200, "");
    world.after(6).await;
    assert_eq!(world.told(), ["bot up"]);
}

#[tokio::test]
async fn what_is_not_about_the_token_changes_nothing() {
    for (status, body) in [
        (
            403,
            r#"{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes."}}"#,
        ),
        (403, r#"{"type":"error","error":{"message":"Rate limit for this resource has been exceeded"}}"#),
        (404, "Not Found"),
        (429, "Rate limit for this resource has been exceeded"),
        (500, "<html>"),
        (503, ""),
        (0, ""),
    ] {
        let world = with_token(YEARS).await;
        world.is_answered("bot", status, body);
        for _ in 0..4 {
            world.after(6).await;
        }
        assert!(world.told().is_empty(), "{status} {body}");
        assert_eq!(world.state("bot").await, "up");
    }
}

#[tokio::test]
async fn a_refusal_that_passes_is_told_as_passing() {
    let world = with_token(YEARS).await;
    world.is_answered("bot", 401, "");
    world.after(6).await;
    world.is_answered("bot", 403, "");
    world.after(1).await;
    assert_eq!(world.told(), ["bot degraded: token_refused", "bot up"]);
}

#[tokio::test]
async fn a_token_that_expires_warns_two_weeks_ahead_and_goes_down_when_it_is_refused() {
    let world = with_token(30 * DAY).await;
    for _ in 0..15 {
        world.after(24).await;
    }
    assert!(world.told().is_empty());
    world.after(24).await;
    assert_eq!(world.told(), ["bot degraded: token_expires"]);
    let report = {
        world.edge.advance(SignedDuration::from_hours(24));
        world.sweep().await
    };
    assert_eq!((report.outlooks["expiring"], world.told().len()), (1, 0));
    world.is_answered("bot", 401, "");
    for _ in 0..14 {
        world.after(24).await;
    }
    assert_eq!(world.told(), ["bot degraded: token_refused", "bot down: token_revoked"]);
}

#[tokio::test]
async fn a_call_that_was_refused_has_the_token_tried_at_once_and_many_calls_once() {
    let world = with_token(YEARS).await;
    world.is_answered("bot", 401, "");
    for _ in 0..5 {
        world.nudge(&json!({ "credential": "bot" })).await;
    }
    assert_eq!((world.probes().len(), world.told()), (1, vec!["bot degraded: token_refused".to_owned()]));
}

#[tokio::test]
async fn a_probe_leaves_the_last_of_the_allowance_to_calls_and_happens_later() {
    let world = World::new(1);
    world.connect("bot", Kind::RepositoryAccessToken, Upkeep::Fixed, YEARS).await;
    let credential = credentials::get(&world.table, &"bot".parse().expect("an id")).await;
    let credential = credential.expect("read").expect("there");
    world.edge.advance(SignedDuration::from_hours(6));
    for _ in 0..700 {
        let (limits, now) = (world.refresher.limits, world.edge.now());
        let taken = budget::take(
            &world.table,
            limits,
            &credential,
            Allowance::Repositories,
            Priority::Automation,
            now,
        );
        taken.await.expect("taken");
    }
    world.sweep().await;
    assert_eq!(world.probes().len(), 0, "of a thousand an hour, three hundred are for what is more urgent");
    world.after(2).await;
    assert_eq!(world.probes().len(), 1);
}

#[tokio::test]
async fn probes_do_not_wait_for_a_token_endpoint_that_is_down() {
    let world = with_token(YEARS).await;
    world.connect_due(names("due", 20)).await;
    world.all_fail(Some(super::world::Fault::Lost));
    world.sweep().await;
    world.nudge(&json!({ "credential": "bot" })).await;
    assert_eq!(world.probes().len(), 1);
}
