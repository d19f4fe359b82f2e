//! The command line, and functions that die.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::canaries::{Canaries, Place};
use super::flows::{Seen, rings};
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
    for process in processes(world) {
        std::process::Command::new("sh")
            .args(["-c", &format!("kill -KILL {process}")])
            .status()
            .expect("killed");
    }
    for function in
        ["token-refresh", "api-worker", "console", "oauth-callback", "webhook-ingest", "gitops-sync"]
    {
        let answer =
            tokio::time::timeout(Duration::from_secs(40), world.local().invoke(function, "{}")).await;
        let answer = answer.map(|answer| format!("{answer:?}"));
        seen.push((Place::Crash, answer.unwrap_or_else(|_| "it does not start".to_owned())));
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
