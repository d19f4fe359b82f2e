//! Hooks that are wanted: attached at a connect or by the API, with a filter, and what is told of them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bucketwheel::store::hooks;
use bucketwheel_sandbox::person::Decision;
use bucketwheel_sandbox::seed;
use futures_util::future::join_all;
use jiff::Timestamp;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::hooks::{done, registered};
use crate::world::{World, text, until};

/// Waits until the credential's hooks are told as wanted.
async fn seen(world: &World, credential: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(what, async || {
        let (status, seen) = world.operator("GET", &format!("credentials/{credential}/hooks"), None).await;
        assert_eq!(status, StatusCode::OK, "{seen}");
        Some(seen).filter(&wanted)
    })
    .await
}

#[tokio::test]
async fn a_connect_with_events_registers_the_hook_by_itself() {
    let world = World::running().await;
    let body =
        json!({"workspace": seed::WORKSPACE, "label": "by itself", "events": ["repo:push", "repo:fork"]});
    let (status, link) = world.operator("POST", "connect-links", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{link}");
    let credential = text(&link["credential"]);
    world.visit(&mut world.person(), &text(&link["url"]), Decision::Grant).await;

    let seen = seen(&world, &credential, "the hook is registered", |seen| {
        seen["hooks"][0]["state"] == json!("registered")
    })
    .await;
    assert_eq!(seen["hooks"][0]["subject"], json!(seed::WORKSPACE), "{seen}");
    let hooks = registered(&world, &credential).await;
    assert_eq!((hooks.len(), text(&hooks[0]["secret"]).len()), (1, 128));
    assert_eq!(hooks[0]["events"].as_array().map(Vec::len), Some(2), "{hooks:?}");
    assert!(!seen.to_string().contains(&text(&hooks[0]["secret"])), "a secret is shown to nobody");
}

#[tokio::test]
async fn a_hook_has_a_filter_and_what_it_drops_is_counted() {
    let world = World::running().await;
    let credential = world.connect("filter").await;
    let repository = format!("seilbahn/f-{credential}");
    world.sandbox("POST", "repositories", Some(json!({"full_name": repository, "files": {"a": "b"}}))).await;
    let wanted = json!({"subject": repository, "filter": {"branches": ["main"]}});
    let (status, told) =
        world.operator("POST", &format!("credentials/{credential}/hooks"), Some(wanted)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    seen(&world, &credential, "the hook is registered", |seen| {
        seen["hooks"][0]["state"] == json!("registered")
    })
    .await;

    for branch in ["other", "main"] {
        let push =
            json!({"repository": repository, "branch": branch, "message": branch, "files": {"c": branch}});
        world.sandbox("POST", "push", Some(push)).await;
    }
    let events = world.events(&credential, 1).await;
    assert!(events.iter().all(|(_, body)| !String::from_utf8_lossy(body).contains("\"other\"")));
    until("the history is stored", async || {
        // Each environment of the function has counts of its own.
        join_all((0..4).map(|_| world.local().invoke("webhook-ingest", "{}"))).await;
        let (_, seen) = world.operator("GET", &format!("credentials/{credential}/hooks"), None).await;
        let counts = &seen["hooks"][0]["deliveries"]["counts"];
        (*counts == json!({"accepted": 1, "filtered": 1})).then_some(())
    })
    .await;

    let filter = json!({"events": ["pullrequest:*"]});
    let (status, told) =
        world.operator("PATCH", &format!("credentials/{credential}/hooks"), Some(filter.clone())).await;
    assert_eq!((status, &told["filter"]), (StatusCode::OK, &filter), "{told}");
    for wrong in [json!([]), json!({"events": [""]}), json!({"branch": ["main"]})] {
        let (status, _) =
            world.operator("PATCH", &format!("credentials/{credential}/hooks"), Some(wrong.clone())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn while_deliveries_flow_two_rotations_reject_none() {
    let world = World::running().await;
    let credential = world.connect("rotations").await;
    let repository = format!("seilbahn/r-{credential}");
    world.sandbox("POST", "repositories", Some(json!({"full_name": repository, "files": {"a": "b"}}))).await;
    world.hook(&credential, &repository).await;
    let (stop, counts) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; 3]);
    // As Bitbucket does it: signed with the secret that the hook has when the delivery is made, and sent
    // again at once after a 5xx, at most twice.
    let flow = async |sender: usize| {
        while !stop.load(Ordering::Relaxed) {
            let number = counts[sender].load(Ordering::Relaxed);
            let body = format!(r#"{{"repository":{{"uuid":"{credential}-{sender}"}},"n":{number}}}"#);
            let secret = SecretString::from(text(&registered(&world, &credential).await[0]["secret"]));
            let mut statuses = Vec::new();
            while statuses.len() < 3 && statuses.last().is_none_or(StatusCode::is_server_error) {
                statuses.push(world.deliver(&credential, "repo:push", body.as_bytes(), &secret).await);
            }
            assert_eq!(statuses.last(), Some(&StatusCode::ACCEPTED), "{statuses:?}");
            counts[sender].fetch_add(1, Ordering::Relaxed);
        }
    };
    let counted = || counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    let rotate = async {
        let id = credential.parse().expect("an id");
        for version in [2, 3] {
            done(&world, &credential, json!({"action": "rotate_hook"})).await;
            let stored = until("the new secret has matched", async || {
                let stored = hooks::get(&world.table(), &id).await.expect("the table answers")?;
                (stored.matched == Some(version)).then_some(stored)
            })
            .await;
            assert_eq!(stored.secrets.len(), 2);
            // A day later: no delivery is under way that was signed before.
            let before = counted();
            until("each sender has gone on", async || {
                counted().iter().zip(before).all(|(now, before)| *now > before + 1).then_some(())
            })
            .await;
            until("the clock of the rotation is set back", async || {
                let mut stored = hooks::get(&world.table(), &id).await.expect("the table answers")?;
                stored.made_at = Timestamp::UNIX_EPOCH;
                hooks::replace(&world.table(), &id, &mut stored).await.ok()
            })
            .await;
            let repaired = done(&world, &credential, json!({"action": "repair_hooks"})).await;
            assert_eq!((&repaired["secret_version"], &repaired["secrets"]), (&json!(version), &json!(1)));
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all((0..counts.len()).map(flow)), rotate);
    let sent: usize = counted().into_iter().sum();
    world.events(&credential, sent).await;
    println!("{sent} deliveries flowed through two rotations, none was rejected");
}
