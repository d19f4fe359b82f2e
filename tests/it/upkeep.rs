//! How credentials of every kind are kept alive, and what is told of them.

use std::time::Instant;

use bucketwheel::aws::Host;
use bucketwheel::call::State;
use bucketwheel::ports::{Attributes, Condition, Edge as _, Key, Table as _, Write};
use bucketwheel::token::NEVER;
use bucketwheel_sandbox::person::Decision;
use bucketwheel_sandbox::seed;
use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::refreshes::grant_of;
use crate::world::{World, text, until};

impl World {
    /// Ada connects her account, to be refreshed only when somebody uses it.
    pub(crate) async fn connect_lazily(&self, label: &str) -> String {
        let body = json!({"workspace": seed::WORKSPACE, "label": label, "upkeep": "lazy"});
        let (status, link) = self.operator("POST", "connect-links", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{link}");
        self.visit(&mut self.person(), &text(&link["url"]), Decision::Grant).await;
        self.followed_up(&text(&link["credential"])).await
    }

    /// Waits for the calls that follow a connect: they use the token too.
    async fn followed_up(&self, credential: &str) -> String {
        let listed = async || self.item(&format!("CRED#{credential}"), "REPOS").await;
        until("the repositories are listed", listed).await;
        credential.to_owned()
    }

    /// Lets so many hours pass for a credential's tokens: all that the table says of them was, or will be,
    /// so much earlier.
    pub(crate) async fn pass(&self, credential: &str, hours: i64) {
        let by = SignedDuration::from_hours(hours).as_secs() * 1_000;
        let tokens = self.tokens(credential).await;
        let mut set = Attributes::new();
        for name in ["due_at", "expires_at_ms", "refreshed_at_ms", "refused_at_ms", "probed_at_ms"] {
            let at = tokens.get(name).and_then(Value::as_i64);
            if let Some(at) = at.filter(|at| *at < NEVER.as_millisecond()) {
                set.insert(name.to_owned(), json!(at - by));
            }
        }
        let condition = Condition::Equals("due_at", tokens["due_at"].clone());
        let key = Key::new(format!("CRED#{credential}"), "TOKENS");
        let write = Write::Update { key, set, remove: Vec::new(), condition };
        self.table().write(vec![write]).await.expect("nobody else is at it");
    }

    /// Sweeps, and waits until the credential is shown like this; gives its status.
    async fn sweep_until(&self, credential: &str, health: &str, cause: &str) -> Value {
        self.sweep().await;
        until(&format!("{credential} is {health}: {cause}"), async || {
            let (_, shown) = self.operator("GET", &format!("credentials/{credential}"), None).await;
            let status = &shown["status"];
            (status["health"] == health && status["cause"] == cause).then(|| status.clone())
        })
        .await
    }

    /// Waits until these changes are announced of a credential, each with its cause, and gives their data. Two
    /// sweeps at once may both announce one.
    async fn announced(&self, credential: &str, expected: &[(&str, &str)]) -> Vec<Value> {
        until(&format!("{expected:?} is announced"), async || {
            let told = self.events(credential, 0).await.into_iter().map(|(kind, body)| {
                let data: Value = serde_json::from_slice(&body).expect("JSON");
                assert_eq!(kind, format!("org.bucketwheel.credential.{}", text(&data["health"])));
                data
            });
            let words = |data: &Value| (text(&data["health"]), data["cause"]["code"].clone());
            let mut told: Vec<_> = told.collect();
            told.dedup_by_key(|data| words(data));
            let cause = |of: &Value| of.as_str().unwrap_or_default().to_owned();
            let found = told.iter().map(words).map(|(health, of)| (health, cause(&of)));
            found.eq(expected.iter().map(|(h, c)| ((*h).to_owned(), (*c).to_owned()))).then_some(told)
        })
        .await
    }
}

/// How often this was counted, as the metrics in a function's log say.
pub(crate) fn counted(log: &str, metric: &str) -> u64 {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let metrics = lines.filter(|line| line["_aws"].is_object());
    metrics.filter_map(|line| line[metric].as_u64()).sum()
}

#[tokio::test]
async fn a_lazy_credential_is_left_alone_until_a_call_meets_its_expired_token() {
    let world = World::running().await;
    let credential = world.connect_lazily("lazy").await;
    world.pass(&credential, 3).await;
    world.sweep().await;
    assert_eq!(world.generation(&credential).await, 1, "nobody uses it");

    // So Bitbucket answers by then. No other test asks for this path.
    let expired = json!({"count": 1, "status": 401, "path": "seilbahn/leer/refs/tags"});
    world.behave(json!({ "fail_api": expired })).await;
    let read = json!({"method": "GET", "path": "repositories/seilbahn/leer/refs/tags"});
    let outcome = world.call(&credential, read).await;
    assert_eq!((outcome.state, outcome.status), (State::Succeeded, Some(200)), "{outcome:?}");
    assert_eq!(world.generation(&credential).await, 2);
}

#[tokio::test]
async fn a_nudge_makes_one_credential_due_within_seconds() {
    let world = World::running().await;
    let [nudged, other] = ["nudged", "not nudged"].map(|label| world.connect_lazily(label));
    let (nudged, other) = (nudged.await, other.await);
    world.pass(&nudged, 3).await;
    world.pass(&other, 3).await;
    let asked = Instant::now();
    let (status, answer) = world.operator("POST", &format!("credentials/{nudged}/refresh"), None).await;
    assert!(status.is_success(), "{answer}");
    until("it is refreshed", async || (world.generation(&nudged).await == 2).then_some(())).await;
    println!("refreshed {:.1} s after the nudge", asked.elapsed().as_secs_f64());
    assert_eq!(world.generation(&other).await, 1);
}

#[tokio::test]
async fn a_revoked_token_is_down_before_a_call_needs_it() {
    let world = World::running().await;
    let made = async |what: &str, body: Value| text(&world.sandbox("POST", what, Some(body)).await["token"]);
    let person = json!({"email": seed::ADA_EMAIL, "scopes": seed::api_token_scopes()});
    let person = made("api-tokens", person).await;
    let repository = json!({"name": "revoked", "workspace": seed::WORKSPACE, "repository": "website"});
    let repository = made("access-tokens", repository).await;
    let email = ("email", seed::ADA_EMAIL);
    for (kind, resource, form) in [
        ("api_token_shared", None, &[email, ("token", person.as_str())][..]),
        ("repository_access_token", Some("website"), &[("token", repository.as_str())]),
    ] {
        let mut body = json!({"workspace": seed::WORKSPACE, "label": kind, "kind": kind});
        if let Some(resource) = resource {
            body["resource"] = json!(resource);
        }
        let credential = world.enter(body, form).await;
        let credential = world.followed_up(&credential).await;
        let (_, token) = form[form.len() - 1];
        world.sandbox("POST", "tokens/revoke", Some(json!({ "token": token }))).await;

        world.pass(&credential, 7).await;
        world.sweep_until(&credential, "degraded", "token_refused").await;
        world.pass(&credential, 1).await;
        world.sweep_until(&credential, "down", "token_revoked").await;
        world.announced(&credential, &[("degraded", "token_refused"), ("down", "token_revoked")]).await;
    }
}

#[tokio::test]
async fn a_token_that_expires_within_two_weeks_warns() {
    let world = World::running().await;
    let day = (Host.now() + SignedDuration::from_hours(20 * 24)).strftime("%F").to_string();
    let body = json!({
        "workspace": seed::WORKSPACE, "label": "expires", "kind": "workspace_access_token",
    });
    let form = [("token", seed::WORKSPACE_ACCESS_TOKEN), ("expires_on", day.as_str())];
    let credential = world.enter(body, &form).await;
    let credential = world.followed_up(&credential).await;
    world.pass(&credential, 7).await;
    world.sweep().await;
    let (_, shown) = world.operator("GET", &format!("credentials/{credential}"), None).await;
    assert_eq!(shown["status"]["health"], "up", "there are 20 days left");

    world.pass(&credential, 7 * 24).await;
    world.sweep_until(&credential, "degraded", "token_expires").await;
    let told = world.announced(&credential, &[("degraded", "token_expires")]).await;
    assert!(told[0]["works_until"].is_string(), "{}", told[0]);
    assert!(counted(&world.local().log("token-refresh"), "token_expiring") > 0);
}

#[tokio::test]
async fn each_change_is_announced_and_counted_once() {
    let behaviour = json!({"grace_window_seconds": 0, "access_token_lifetime": 540});
    let world = World::apart(&[("LockoutWait", "0")], behaviour).await;
    let credential = world.connect("changes").await;
    let credential = world.followed_up(&credential).await;
    let grant = grant_of(&world, &credential).await;
    world.sandbox("DELETE", &format!("grants/{}", text(&grant["id"])), None).await;
    world.sweep_until(&credential, "degraded", "refresh_refused").await;
    world.sweep_until(&credential, "down", "rotation_lost").await;
    let changes = [
        ("degraded", "refresh_refused"),
        ("down", "rotation_lost"),
        ("up", ""),
        ("disabled", ""),
        ("up", ""),
    ];
    world.announced(&credential, &changes[..2]).await;
    world.behave(json!({"access_token_lifetime": 7200})).await;
    let body = json!({"workspace": seed::WORKSPACE, "label": "changes", "credential": credential});
    let (_, link) = world.operator("POST", "connect-links", Some(body)).await;
    world.visit(&mut world.person(), &text(&link["url"]), Decision::Grant).await;
    // Nothing is to be refreshed, but told.
    world.sweep().await;
    assert_eq!(world.generation(&credential).await, 2);
    world.announced(&credential, &changes[..3]).await;
    world.operator("POST", &format!("credentials/{credential}/disable"), None).await;
    world.announced(&credential, &changes[..4]).await;
    world.operator("POST", &format!("credentials/{credential}/enable"), None).await;

    for data in world.announced(&credential, &changes).await {
        assert!(text(&data["reconnect"]).ends_with(&format!("/credentials/{credential}")), "{data}");
        assert!(data["cause"].is_null() || !text(&data["cause"]["resolution"]).is_empty(), "{data}");
        assert_eq!(data["works_until"].is_string(), data["health"] == "degraded", "{data}");
    }
    let counts = async || {
        let log = world.local().log("token-refresh");
        ["degraded", "down", "up", "disabled"].map(|word| counted(&log, &format!("credential_{word}")))
    };
    until("all are counted", async || (counts().await.iter().sum::<u64>() >= 5).then_some(())).await;
    assert_eq!(counts().await, [1, 1, 2, 1]);
    world.stop();
}
