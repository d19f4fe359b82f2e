//! Chains of refresh tokens: who hurries them, and how they stand in the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bucketwheel::aws::Secrets;
use bucketwheel::ports::{Key, Outgoing, Queue, Table};
use bucketwheel::store::tokens;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::Failure;
use crate::dice::Dice;
use crate::ledger::Chain;
use crate::system::System;

/// Nudges one credential after the other until it is told to stop. The schedule sweeps besides.
pub(crate) async fn nudge(system: &System, credentials: &[String], seed: u64, over: &AtomicBool) {
    let queue = system.queue(&system.outputs.refresh_queue_url);
    let mut dice = Dice::new(seed, 60);
    while !over.load(Ordering::Relaxed) {
        let at = usize::try_from(dice.below(credentials.len() as u64)).unwrap_or_default();
        let nudge = json!({"credential": credentials[at]}).to_string();
        let _ = queue.send(Outgoing::plain(nudge)).await;
        sleep(Duration::from_millis(dice.between(100, 1_500))).await;
    }
}

/// Sweeps besides the schedule, until it is told to stop.
pub(crate) async fn sweep(system: &System, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let _ = timeout(Duration::from_secs(20), system.invoke("token-refresh")).await;
        sleep(Duration::from_secs(3)).await;
    }
}

/// What people do until it is told to stop: each second one looks at the credentials, each minute one connects
/// an account. Gives the credentials of whom was told that they are connected.
pub(crate) async fn people(system: &System, over: &AtomicBool) -> Vec<String> {
    let mut connected = Vec::new();
    for second in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        if second % 60 == 0
            && let Ok(Ok(credential)) = timeout(Duration::from_secs(40), system.connect("in the storm")).await
        {
            connected.push(credential);
        }
        let _ = timeout(Duration::from_secs(10), system.operator("GET", "credentials", None)).await;
        sleep(Duration::from_secs(1)).await;
    }
    connected
}

/// How many of these have a spend that is written down as begun.
pub(crate) async fn open_intents(system: &System, credentials: &[String]) -> Result<usize, Failure> {
    let mut open = 0;
    for credential in credentials {
        let item = system.table().get(&Key::new(format!("CRED#{credential}"), "TOKENS")).await?;
        open += usize::from(item.is_some_and(|item| item.contains_key("intent_id")));
    }
    Ok(open)
}

/// The generations of these.
pub(crate) async fn generations(system: &System, credentials: &[String]) -> Result<Vec<u64>, Failure> {
    let mut generations = Vec::new();
    for credential in credentials {
        let item = system.table().get(&Key::new(format!("CRED#{credential}"), "TOKENS")).await?;
        let item = item.ok_or("a credential without tokens")?;
        generations.push(item["generation"].as_u64().unwrap_or_default());
    }
    Ok(generations)
}

/// Lets every access token end and every window close, and looks who goes on.
pub(crate) async fn stand(system: &System, credentials: &[String]) -> Result<Vec<Chain>, Failure> {
    let before = generations(system, credentials).await?;
    system.sandbox("POST", "clock", Some(json!({"advance_seconds": 7_200}))).await?;
    for _ in 0..40 {
        let report = system.invoke("token-refresh").await?;
        let after = generations(system, credentials).await?;
        let all = before.iter().zip(&after).all(|(before, after)| after > before);
        if all && report["left"] == 0 && open_intents(system, credentials).await? == 0 {
            break;
        }
        sleep(Duration::from_secs(3)).await;
    }
    let ring = Secrets::new(&system.account).keyring(&system.outputs.refresh_keyring).await?;
    let mut chains = Vec::new();
    for (credential, before) in credentials.iter().zip(before) {
        let id = credential.parse()?;
        let tokens = tokens::get(&system.table(), &id).await?.ok_or("a credential without tokens")?;
        let token = tokens.refresh(&ring, &id)?.ok_or("no refresh token")?;
        let asked = json!({"refresh_token": token.reveal()});
        let checked = system.sandbox("POST", "refresh-tokens/check", Some(asked)).await?;
        let shown = system.operator("GET", &format!("credentials/{credential}"), None).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let after = tokens.chain().generation;
        chains.push(Chain {
            credential: credential.clone(),
            rotations: before.saturating_sub(1),
            goes_on: after > before,
            health: text(&shown["status"]["health"]),
            at_bitbucket: text(&checked["state"]),
            open_intent: tokens.chain().intent.is_some(),
        });
    }
    Ok(chains)
}
