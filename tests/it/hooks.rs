//! The hooks that Bucketwheel registers at Bitbucket, and their secrets.

use bucketwheel::aws::Host;
use bucketwheel::ports::Edge as _;
use bucketwheel::seal::{Keyring, NONCE_LEN};
use bucketwheel::store::hooks;
use jiff::Timestamp;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::world::{World, text, until};

const REPOSITORY: &str = "seilbahn/website";

/// What Bitbucket has of the credential's hooks.
pub(crate) async fn registered(world: &World, credential: &str) -> Vec<Value> {
    let state = world.sandbox("GET", "state?reveal=true", None).await;
    let hooks = state["hooks"].as_array().expect("hooks");
    hooks
        .iter()
        .filter(|hook| hook["url"].as_str().is_some_and(|url| url.ends_with(credential)))
        .cloned()
        .collect()
}

pub(crate) async fn done(world: &World, credential: &str, action: Value) -> Value {
    let outcome = world.call(credential, action).await;
    assert!(outcome.error.is_none(), "{outcome:?}");
    outcome.body.unwrap_or_default()
}

async fn hook_ring(world: &World) -> Keyring {
    world.keyring(&world.local().outputs.hook_keyring).await
}

#[tokio::test]
async fn a_hook_is_registered_once_repaired_and_removed() {
    let world = World::running().await;
    let credential = world.connect("hooks").await;
    for subject in ["seilbahn", REPOSITORY, REPOSITORY] {
        let action =
            json!({"action": "ensure_hook", "repository": subject, "events": ["repo:push", "repo:fork"]});
        done(&world, &credential, action).await;
    }
    let hooks = registered(&world, &credential).await;
    assert_eq!(hooks.len(), 2, "one of the workspace, one of the repository: {hooks:?}");
    for hook in &hooks {
        assert_eq!((text(&hook["secret"]).len(), &hook["active"]), (128, &json!(true)), "{hook}");
    }

    // Somebody disables one, changes its events and takes its secret away; somebody deletes the other.
    // Other tests have hooks there too, more than one page.
    let path = format!("repositories/{REPOSITORY}/hooks");
    let list = json!({"method": "GET", "path": path, "query": {"pagelen": "100"}});
    let ours = |body: &Value| {
        let all = body["values"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|hook| hook["url"].as_str().is_some_and(|url| url.ends_with(&credential)))
    };
    let found = ours(&done(&world, &credential, list).await).expect("our hook");
    let path = format!("repositories/{REPOSITORY}/hooks/{}", text(&found["uuid"]));
    let change = json!({"active": false, "events": ["repo:updated"], "url": found["url"], "description": "x", "secret": null});
    done(&world, &credential, json!({"method": "PUT", "path": path, "body": change})).await;
    let list = json!({"method": "GET", "path": "workspaces/seilbahn/hooks", "query": {"pagelen": "100"}});
    let found = ours(&done(&world, &credential, list).await).expect("our hook");
    let path = format!("workspaces/seilbahn/hooks/{}", text(&found["uuid"]));
    done(&world, &credential, json!({"method": "DELETE", "path": path})).await;

    done(&world, &credential, json!({"action": "repair_hooks"})).await;
    let repaired = registered(&world, &credential).await;
    assert_eq!(repaired.len(), 2);
    for hook in &repaired {
        let events: Vec<_> = hook["events"].as_array().expect("events").iter().collect();
        assert_eq!((events.len(), &hook["active"]), (2, &json!(true)), "{hook}");
        assert_eq!(hook["secret"], hooks[0]["secret"], "the secret is the stored one again");
    }

    done(&world, &credential, json!({"action": "remove_hooks"})).await;
    assert!(registered(&world, &credential).await.is_empty());
    assert!(world.item(&format!("CRED#{credential}"), "HOOK").await.is_none());
}

#[tokio::test]
async fn a_rotation_rejects_no_delivery() {
    let world = World::running().await;
    let credential = world.connect("rotate").await;
    let old = world.hook(&credential, REPOSITORY).await;
    let (mut sent, mut number) = (0, 0);
    let mut deliver = async |secret: &SecretString| {
        number += 1;
        let body = format!(r#"{{"repository":{{"uuid":"{{{credential}}}"}},"n":{number}}}"#);
        let status = world.deliver(&credential, "repo:push", body.as_bytes(), secret).await;
        assert_eq!(status, StatusCode::ACCEPTED, "delivery {number}");
        sent += 1;
    };
    deliver(&old).await;
    let rotated = done(&world, &credential, json!({"action": "rotate_hook"})).await;
    assert_eq!((&rotated["secret_version"], &rotated["secrets"]), (&json!(2), &json!(2)));
    let new = SecretString::from(text(&registered(&world, &credential).await[0]["secret"]));
    // Deliveries under way carry the old signature; the warm function has not read the new secret yet.
    deliver(&new).await;
    deliver(&old).await;
    deliver(&new).await;
    // A second rotation does not push the old secret out.
    let again = done(&world, &credential, json!({"action": "rotate_hook"})).await;
    assert_eq!((&again["secret_version"], &again["secrets"]), (&json!(2), &json!(2)));
    deliver(&old).await;
    until("the new secret's match is noted", async || {
        world
            .item(&format!("CRED#{credential}"), "HOOK")
            .await
            .filter(|item| item.get("matched") == Some(&json!(2)))
    })
    .await;

    // A day later the old secret goes.
    let id = credential.parse().expect("an id");
    let mut stored = hooks::get(&world.table(), &id).await.expect("the table answers").expect("hooks");
    stored.made_at = Timestamp::UNIX_EPOCH;
    hooks::replace(&world.table(), &id, &mut stored).await.expect("stored");
    let repaired = done(&world, &credential, json!({"action": "repair_hooks"})).await;
    assert_eq!((&repaired["secret_version"], &repaired["secrets"]), (&json!(2), &json!(1)));
    deliver(&new).await;
    world.events(&credential, sent).await;
}

#[tokio::test]
async fn a_rotation_that_stopped_after_the_secret_was_stored_is_finished_by_a_repair() {
    let world = World::running().await;
    let credential = world.connect("half-way").await;
    let old = world.hook(&credential, REPOSITORY).await;
    let id = credential.parse().expect("an id");
    let mut stored = hooks::get(&world.table(), &id).await.expect("the table answers").expect("hooks");
    let new = SecretString::from("n".repeat(128));
    assert!(stored.rotate(&hook_ring(&world).await, &id, &new, [7; NONCE_LEN], Timestamp::UNIX_EPOCH));
    hooks::replace(&world.table(), &id, &mut stored).await.expect("stored");

    // Long ago, and still the old one stays: Bitbucket does not know the new one yet.
    assert_eq!(world.deliver(&credential, "repo:push", b"{\"n\":1}", &old).await, StatusCode::ACCEPTED);
    let repaired = done(&world, &credential, json!({"action": "repair_hooks"})).await;
    assert_eq!((&repaired["secret_version"], &repaired["secrets"]), (&json!(2), &json!(2)));
    assert_eq!(text(&registered(&world, &credential).await[0]["secret"]), "n".repeat(128));
    assert_eq!(world.deliver(&credential, "repo:push", b"{\"n\":2}", &new).await, StatusCode::ACCEPTED);
    assert_eq!(world.deliver(&credential, "repo:push", b"{\"n\":3}", &old).await, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_rotation_that_stopped_before_its_registration_was_noted_is_finished_by_a_repair() {
    let world = World::running().await;
    let credential = world.connect("not confirmed").await;
    let old = world.hook(&credential, REPOSITORY).await;
    let id = credential.parse().expect("an id");
    let read = async || hooks::get(&world.table(), &id).await.expect("the table answers").expect("hooks");
    let mut stored = read().await;
    let new = SecretString::from("c".repeat(128));
    assert!(stored.rotate(&hook_ring(&world).await, &id, &new, [8; NONCE_LEN], Host.now()));
    hooks::replace(&world.table(), &id, &mut stored).await.expect("stored");
    // Bitbucket was told, and whoever told it ended before it wrote that down.
    let found = registered(&world, &credential).await.remove(0);
    let path = format!("repositories/{REPOSITORY}/hooks/{}", text(&found["uuid"]));
    let change = json!({"active": true, "events": found["events"], "url": found["url"], "description": "x",
                        "secret": "c".repeat(128)});
    done(&world, &credential, json!({"method": "PUT", "path": path, "body": change})).await;
    let deliver = async |number: usize, secret: &SecretString| {
        let body = format!(r#"{{"n":{number}}}"#);
        world.deliver(&credential, "repo:push", body.as_bytes(), secret).await
    };
    assert_eq!(deliver(1, &new).await, StatusCode::ACCEPTED);
    assert_eq!(deliver(2, &old).await, StatusCode::ACCEPTED);
    assert_eq!(read().await.hooks[0].registered, 1, "nobody has written it down");

    // As the schedule does each hour.
    done(&world, &credential, json!({"action": "repair_hooks"})).await;
    until("it is written down, and the new secret's match", async || {
        Some(read().await).filter(|stored| stored.hooks[0].registered == 2 && stored.matched == Some(2))
    })
    .await;
    assert_eq!(text(&registered(&world, &credential).await[0]["secret"]), "c".repeat(128));
    assert_eq!(deliver(3, &new).await, StatusCode::ACCEPTED);
    assert_eq!(deliver(4, &old).await, StatusCode::ACCEPTED, "a day has not passed");

    let mut stored = read().await;
    stored.made_at = Timestamp::UNIX_EPOCH;
    hooks::replace(&world.table(), &id, &mut stored).await.expect("stored");
    done(&world, &credential, json!({"action": "repair_hooks"})).await;
    assert_eq!(read().await.secrets.len(), 1);
    assert_eq!(deliver(5, &new).await, StatusCode::ACCEPTED);
    world.events(&credential, 5).await;
}

#[tokio::test]
async fn a_hook_that_may_not_be_registered_says_what_to_do() {
    let world = World::running().await;
    let credential = world.connect("no hook").await;
    let action = json!({"action": "ensure_hook", "repository": "seilbahn/nowhere", "events": ["repo:push"]});
    let outcome = world.call(&credential, action).await;
    let problem = outcome.error.expect("a problem");
    assert!(
        problem.resolution.contains("webhook") && problem.resolution.contains(&credential),
        "{problem:?}"
    );
    let stored = world.item(&format!("CRED#{credential}"), "HOOK").await.expect("the item");
    assert_eq!(stored["hooks"][0]["problem"], json!(problem));
    let (_, seen) = world.operator("GET", &format!("credentials/{credential}/hooks"), None).await;
    assert_eq!(seen["hooks"][0]["state"], json!("refused"), "{seen}");
    assert!(text(&seen["hooks"][0]["problem"]["resolution"]).contains("hooks by-hand seilbahn/nowhere"));
}
