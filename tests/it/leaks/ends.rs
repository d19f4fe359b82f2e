//! The command line, new keys, and functions that die.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::canaries::{Canaries, Place};
use super::flows::{self, Seen, rings};
use crate::upkeep::counted;
use crate::world::{World, until};

/// The command line, with a profile of this system.
pub(super) async fn commands(world: &World, credential: &str, seen: &mut Seen) {
    for arguments in [
        &["doctor"][..],
        &["credentials"],
        &["credentials", "show", credential],
        &["credentials", "audit", credential],
        &["credentials", "show", "nobody"],
        &["hooks", "list"],
        &["rotate", "keys"],
        &["dlq"],
        &["dlq", "list", "calls"],
        &["dlq", "redrive", "calls", "--yes"],
        &["call", "GET", "user", "--credential", credential],
        &["call", "GET", "repositories/seilbahn/nowhere", "--credential", credential],
    ] {
        for json in [false, true] {
            let mut command = world.command(arguments);
            let output = if json { command.arg("--json").output() } else { command.output() };
            let output = output.await.expect("it runs");
            let said = [output.stdout, output.stderr].concat();
            seen.push((Place::Page, String::from_utf8_lossy(&said).into_owned()));
        }
    }
    // What was sent again is no better than before, and comes back.
    let malformed = async || (counted(&world.local().log("api-worker"), "call_malformed") >= 2).then_some(());
    until("the dead letter was sent again", malformed).await;
}

/// Each ring gets a new key, everything is sealed anew, and the old key is dropped.
pub(super) async fn keys(world: &World, canaries: &mut Canaries, seen: &mut Seen) {
    let mut rotate = async |arguments: &[&str]| {
        let output =
            world.command(&[&["rotate", "keys"][..], arguments].concat()).arg("--json").output().await;
        let output = output.expect("it runs");
        let said = [output.stdout.clone(), output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        seen.push((Place::Page, said));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let named = ["hook", "access", "refresh"];
    for ring in named {
        rotate(&["add", ring]).await;
    }
    flows::keys(world, canaries).await;
    // The time passes after which the new keys seal, and every function has read them.
    for ring in rings(world) {
        let text = world.secrets().text(&ring).await.expect("the keyring");
        let mut keys: Value = serde_json::from_str(text.expose_secret()).expect("JSON");
        for key in keys.as_object_mut().expect("keys").values_mut().filter(|key| key.is_object()) {
            key["seals_from"] = json!("2026-01-01T00:00:00Z");
        }
        world.secrets().put(&ring, &SecretString::from(keys.to_string())).await.expect("put");
    }
    kill(world);
    let resealed = rotate(&["reseal"]).await;
    assert!(resealed["values"].as_u64() >= Some(10), "{resealed}");
    for ring in named {
        rotate(&["drop", ring, "k0001"]).await;
    }
    rotate(&[]).await;
}

/// Functions that die: by a secret that is not what it should be, and by SIGKILL in the middle of their work.
pub(super) async fn crashes(world: &World, canaries: &mut Canaries) -> Seen {
    let outputs = &world.local().outputs;
    let mut seen = Vec::new();
    let [hook, access, refresh] = rings(world);
    let secrets = [hook, access, refresh, outputs.app_secret.clone(), outputs.operator_secret.clone()];
    let mut before = Vec::new();
    for (number, name) in secrets.iter().enumerate() {
        before.push(world.secrets().text(name).await.expect("a secret"));
        let broken = format!("canary-broken-secret-{number}-8c4e2f6a0d1b3957");
        canaries.add("a broken secret", &broken);
        let text = match number % 3 {
            0 => json!(broken).to_string(),
            1 => json!({"k0009": [broken], "token": [broken], "key": {"a": broken}}).to_string(),
            _ => format!("{{\"token\": \"{broken}\", \"k0001\": \"{broken}\", {broken}"),
        };
        world.secrets().put(name, &SecretString::from(text)).await.expect("put");
    }
    // Killed in the middle, and started again with secrets that are none.
    kill(world);
    for function in
        ["token-refresh", "api-worker", "console", "oauth-callback", "webhook-ingest", "gitops-sync"]
    {
        let answer =
            tokio::time::timeout(Duration::from_secs(40), world.local().invoke(function, "{}")).await;
        let answer = answer.map_or_else(|_| "it does not start".to_owned(), |answer| format!("{answer:?}"));
        // Only these two read no secret before they are asked for something.
        let starts = ["webhook-ingest", "gitops-sync"].contains(&function);
        assert_eq!(answer.contains("exited during init"), !starts, "{function}: {answer}");
        seen.push((Place::Crash, answer));
    }
    let answer = world.http.get(format!("{}/credentials", world.local().public_url)).send().await;
    if let Ok(answer) = answer {
        seen.push((Place::Error, answer.text().await.unwrap_or_default()));
    }
    for (name, text) in secrets.iter().zip(before) {
        world.secrets().put(name, &text).await.expect("put back");
    }
    until("it runs again", async || {
        let (status, _) = world.operator("GET", "credentials", None).await;
        status.is_success().then_some(())
    })
    .await;
    seen
}

/// The operator's token is replaced; the new one is nowhere to be seen either.
pub(super) async fn operator(world: &World, canaries: &mut Canaries) -> Seen {
    let output = world.command(&["rotate", "operator", "--yes"]).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    let secret = &world.local().outputs.operator_secret;
    let stored = world.secrets().text(secret).await.expect("a secret");
    let stored: Value = serde_json::from_str(stored.expose_secret()).expect("JSON");
    canaries.add("the operator's new token", stored["token"].as_str().expect("a token"));
    let page = world.http.get(format!("{}/credentials", world.local().public_url)).send().await;
    vec![(Place::Page, said), (Place::Page, page.expect("a page").text().await.expect("a text"))]
}

/// Ends every function's process. The next invocation starts a new one.
fn kill(world: &World) {
    for process in processes(world) {
        let killed = std::process::Command::new("sh").args(["-c", &format!("kill -KILL {process}")]).status();
        killed.expect("killed");
    }
}

/// The functions' processes: children of the stand-in.
fn processes(world: &World) -> Vec<u32> {
    let stand_in = world.local().aws_process().expect("the stand-in");
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |id: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse::<u32>().ok()
    };
    ids.filter(|id| parent(id) == Some(stand_in)).collect()
}
