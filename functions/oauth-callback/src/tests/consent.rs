//! Connects by consent, and everything that can go wrong with one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bucketwheel::connect::{Begun, STATE_LIFETIME};
use bucketwheel::credential::{Health, Sight, Status};
use bucketwheel::ports::{Condition, Cursor, Page, Query, TableError, Write};

use super::*;

#[tokio::test]
async fn a_lost_answer_ends_in_start_again_and_never_in_half_a_credential() {
    for when in ["before_commit", "after_commit"] {
        let world = World::new().await;
        let link = world.link("c-1", |_| {}).await;
        world.behave(&json!({"lose_answer": {"when": when, "count": 1}}));
        let mut ada = world.ada();
        let landed = world.consent(&mut ada, &link).await;
        assert_eq!(failure(&landed), "bitbucket_down", "{when:?}");
        assert!(world.credential("c-1").await.is_none() && world.tokens("c-1").await.is_none());

        let landed = world.consent(&mut ada, &link).await;
        assert_eq!(landed.parameter("connected").as_deref(), Some("c-1"), "the link still works");
        assert_eq!(generation(world.tokens("c-1").await), Some(1));
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_told_from_one_that_says_no() {
    for (status, want) in [(200, "answer_unreadable"), (503, "bitbucket_down"), (429, "bitbucket_down")] {
        let world = World::new().await;
        let link = world.link("c-1", |_| {}).await;
        world.behave(&json!({"fail_token_endpoint": {"count": 1, "status": status, "html": true}}));
        assert_eq!(failure(&world.consent(&mut world.ada(), &link).await), want, "{status}");
        assert!(world.credential("c-1").await.is_none());
    }
}

#[tokio::test]
async fn a_wrong_consumer_secret_is_named_and_stores_nothing() {
    let world = World::with(MemoryTable::default(), "not the secret", None).await;
    let link = world.link("c-1", |_| {}).await;
    assert_eq!(failure(&world.consent(&mut world.ada(), &link).await), "consumer_refused");
    assert!(world.credential("c-1").await.is_none());
}

#[tokio::test]
async fn a_callback_url_that_is_not_the_consumers_never_reaches_a_code() {
    let world =
        World::with(MemoryTable::default(), seed::CONSUMER_SECRET, Some("https://else.example/cb")).await;
    let link = world.link("c-1", |_| {}).await;
    let mut ada = world.ada();
    let page = ada.open(&link).await.expect("a page");
    assert!(page.url.as_str().starts_with(&world.sandbox.url()) && page.status == 400, "{}", page.url);

    // Where Bitbucket sends the browser back instead, the reason is named.
    let state = page.parameter("state").expect("a state");
    let back = format!("{}/oauth/callback?error=redirect_uri_mismatch&state={state}", world.base);
    assert_eq!(failure(&ada.open(&back).await.expect("a page")), "redirect_mismatch");
}

#[tokio::test]
async fn a_state_lives_ten_minutes_and_works_once() {
    let world = World::new().await;
    let link = world.link("c-1", |_| {}).await;
    let mut ada = world.ada();
    let page = ada.open(&link).await.expect("the consent page");
    world.edge.advance(SignedDuration::from_mins(10));
    assert_eq!(failure(&ada.decide(&page, Decision::Grant).await.expect("back")), "state_unusable");

    let page = ada.open(&link).await.expect("the consent page");
    world.edge.advance(SignedDuration::from_secs(599));
    let state = page.parameter("state").expect("a state");
    let landed = ada.decide(&page, Decision::Grant).await.expect("back");
    assert_eq!(landed.parameter("connected").as_deref(), Some("c-1"));
    let replay = format!("{}/oauth/callback?code=any&state={state}", world.base);
    assert_eq!(failure(&ada.open(&replay).await.expect("a page")), "state_unusable");
    assert_eq!(generation(world.tokens("c-1").await), Some(1));
}

#[tokio::test]
async fn of_two_callbacks_that_race_one_is_taken() {
    let world = World::new().await;
    let link = world.link("c-1", |_| {}).await;
    let mut ada = world.ada();
    let page = ada.open(&link).await.expect("the consent page");
    let mut double = ada.clone();
    let (one, two) = tokio::join!(ada.decide(&page, Decision::Grant), double.decide(&page, Decision::Grant));
    let landed = [one.expect("back"), two.expect("back")];
    let connected = landed.iter().filter(|visit| visit.parameter("connected").is_some()).count();
    assert_eq!(connected, 1);
    assert!(landed.iter().any(|visit| failure(visit) == "state_unusable"));
}

#[tokio::test]
async fn a_browser_without_its_cookie_or_with_anothers_is_refused() {
    let world = World::new().await;
    let link = world.link("c-1", |_| {}).await;
    let mut ada = world.ada();
    let page = ada.open(&link).await.expect("the consent page");
    ada.forget();
    assert_eq!(failure(&ada.decide(&page, Decision::Grant).await.expect("back")), "cookie_missing");

    let page = ada.open(&link).await.expect("the consent page");
    let mut other = world.ada();
    other.open(&link).await.expect("the consent page");
    let state = page.parameter("state").expect("a state");
    let stolen = format!("{}/oauth/callback?code=stolen&state={state}", world.base);
    assert_eq!(failure(&other.open(&stolen).await.expect("a page")), "other_browser");
    assert!(world.credential("c-1").await.is_none());
}

#[tokio::test]
async fn another_account_takes_over_only_if_the_operator_allowed_it() {
    let world = World::new().await;
    let first = world.link("c-1", |_| {}).await;
    world.consent(&mut world.ada(), &first).await;
    let mut bo = Person::new(seed::BO_UUID).expect("a browser");
    let again = world.link("c-1", |link| link.renews = true).await;
    assert_eq!(failure(&world.consent(&mut bo, &again).await), "other_account");
    assert_eq!(world.credential("c-1").await.expect("there").account.uuid, seed::ADA_UUID);
    assert_eq!(generation(world.tokens("c-1").await), Some(1));

    let allowed = world.link("c-1", |link| (link.renews, link.other_account) = (true, true)).await;
    let landed = world.consent(&mut bo, &allowed).await;
    assert_eq!(landed.parameter("connected").as_deref(), Some("c-1"));
    let credential = world.credential("c-1").await.expect("there");
    assert_eq!((credential.account.uuid.as_str(), credential.revision), (seed::BO_UUID, 2));
    assert_eq!(generation(world.tokens("c-1").await), Some(2));
}

#[tokio::test]
async fn a_reconnect_neither_switches_on_nor_brings_back() {
    let world = World::new().await;
    let first = world.link("c-1", |_| {}).await;
    world.consent(&mut world.ada(), &first).await;
    let known = world.credential("c-1").await.expect("there");
    let off = Status { health: Health::Disabled, cause: None, since: world.edge.now() };
    world.table.write(vec![credentials::disable(&known, &off)]).await.expect("a write");
    let again = world.link("c-1", |link| link.renews = true).await;
    world.consent(&mut world.ada(), &again).await;
    let known = world.credential("c-1").await.expect("there");
    assert_eq!((known.status.health, known.disabled_at.is_some()), (Health::Disabled, true));

    let late = world.link("c-1", |link| link.renews = true).await;
    world.table.write(vec![credentials::begin_delete(&known, &off)]).await.expect("a write");
    assert_eq!(failure(&world.consent(&mut world.ada(), &late).await), "link_unusable");
    let known = world.credential("c-1").await.expect("there");
    world.table.write(credentials::remove(&known)).await.expect("a write");
    assert_eq!(failure(&world.consent(&mut world.ada(), &late).await), "link_unusable");
    assert!(world.credential("c-1").await.is_none());
}

#[tokio::test]
async fn granted_scopes_are_kept_and_what_is_missing_is_named() {
    for field in ["scope", "scopes"] {
        let world = World::new().await;
        world.behave(&json!({"scope_field": field}));
        let wanted = Scopes::parse("repository runner:write");
        let link = world.link("c-1", |link| link.wanted = wanted).await;
        world.consent(&mut world.ada(), &link).await;
        let credential = world.credential("c-1").await.expect("there");
        assert!(credential.granted.gives("repository:write"));
        let missing: Vec<_> = credential.missing().into_iter().map(|missing| missing.scope).collect();
        assert_eq!(missing, ["runner:write"]);
        assert_eq!(credential.sight, Sight::Repositories);
    }
}

#[tokio::test]
async fn a_workspace_that_cannot_be_seen_is_explained_and_not_refused() {
    let world = World::new().await;
    let link = world.link("c-1", |link| link.workspace = "elsewhere".to_owned()).await;
    world.consent(&mut world.ada(), &link).await;
    let credential = world.credential("c-1").await.expect("there");
    assert_eq!(credential.sight, Sight::Unseen);
}

/// A table on which a refresh commits just before the first transaction.
#[derive(Clone)]
struct Overtaken {
    inner: MemoryTable,
    armed: Arc<AtomicBool>,
}

impl Table for Overtaken {
    async fn get(&self, key: &Key) -> Result<Option<Attributes>, TableError> {
        self.inner.get(key).await
    }

    async fn query(&self, query: &Query, limit: u32, after: Option<&Cursor>) -> Result<Page, TableError> {
        self.inner.query(query, limit, after).await
    }

    async fn add(&self, key: &Key, name: &str, by: i64, set: Attributes) -> Result<Attributes, TableError> {
        self.inner.add(key, name, by, set).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        // So that whoever runs at the same time has read by now.
        tokio::task::yield_now().await;
        if writes.len() > 1 && self.armed.swap(false, Ordering::SeqCst) {
            let key = Key::new("CRED#c-1", "TOKENS");
            let mut set = Attributes::new();
            set.insert("generation".to_owned(), Value::from(7));
            let update = Write::Update { key, set, remove: Vec::new(), condition: Condition::Present };
            self.inner.write(vec![update]).await?;
        }
        self.inner.write(writes).await
    }
}

#[tokio::test]
async fn of_two_that_take_one_state_at_once_one_gets_it() {
    let table = Overtaken { inner: MemoryTable::default(), armed: Arc::default() };
    let (state, now) = (Ticket::new([1; 32]), "2026-11-21T05:00:00Z".parse().expect("a time"));
    let begun =
        Begun { link: "l".into(), browser: "b".into(), verifier: "v".into(), until: now + STATE_LIFETIME };
    connects::begin(&table, &state, &begun).await.expect("begun");
    let (one, two) = tokio::join!(connects::take(&table, &state, now), connects::take(&table, &state, now));
    let taken = [one.expect("an answer"), two.expect("an answer")];
    assert_eq!(taken.iter().flatten().count(), 1);
}

#[tokio::test]
async fn a_reconnect_beats_a_refresh_that_commits_meanwhile() {
    let table = Overtaken { inner: MemoryTable::default(), armed: Arc::default() };
    let world = World::with(table, seed::CONSUMER_SECRET, None).await;
    let first = world.link("c-1", |_| {}).await;
    world.consent(&mut world.ada(), &first).await;
    let again = world.link("c-1", |link| link.renews = true).await;
    let mut ada = world.ada();
    let page = ada.open(&again).await.expect("the consent page");
    world.table.armed.store(true, Ordering::SeqCst);
    let landed = ada.decide(&page, Decision::Grant).await.expect("back");
    assert_eq!(landed.parameter("connected").as_deref(), Some("c-1"));
    assert_eq!(generation(world.tokens("c-1").await), Some(8));
}
