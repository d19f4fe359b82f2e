//! Calls: who submits them, who takes their outcomes, and what Bitbucket shows of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bucketwheel::call::Outcome;
use bucketwheel::ports::{Outgoing, Queue};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::Failure;
use crate::dice::Dice;
use crate::ledger::Called;
use crate::system::System;

/// How many calls that are younger than [`YOUNG`] may be without an outcome before the next is submitted.
const OPEN: usize = 24;
/// An older one may be hidden on the queue, since its worker died: nobody waits for it.
const YOUNG: Duration = Duration::from_secs(15);
/// How many calls of any age may be without an outcome: they all have to be made before there is rest.
const OPEN_IN_ALL: usize = 200;

/// A call that was submitted.
#[derive(Debug, Clone)]
struct Submitted {
    mutates: bool,
    confirmed: bool,
    at: Instant,
    reported: BTreeSet<String>,
}

/// What was submitted, and what outcomes said.
#[derive(Debug, Default)]
pub(crate) struct Register(Mutex<BTreeMap<String, Submitted>>);

impl Register {
    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Submitted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls that the queue has confirmed and that nobody has reported on.
    pub(crate) fn open(&self) -> Vec<String> {
        let open = self.locked();
        let open = open.iter().filter(|(_, call)| call.confirmed && call.reported.is_empty());
        open.map(|(id, _)| id.clone()).collect()
    }

    fn young(&self) -> usize {
        self.locked().values().filter(|call| call.reported.is_empty() && call.at.elapsed() < YOUNG).count()
    }

    fn note(&self, outcome: &Outcome) {
        if outcome.part.is_some() {
            return;
        }
        if let Some(call) = self.locked().get_mut(outcome.id.as_str()) {
            call.reported.insert(format!("{:?}", outcome.state).to_lowercase());
        }
    }

    /// The ledger's facts, with what Bitbucket shows.
    pub(crate) fn called(&self, effects: &BTreeMap<String, u32>) -> Vec<Called> {
        let called = self.locked();
        let called = called.iter().map(|(id, call)| Called {
            id: id.clone(),
            mutates: call.mutates,
            confirmed: call.confirmed,
            reported: call.reported.clone(),
            effects: effects.get(id).copied().unwrap_or_default(),
        });
        called.collect()
    }
}

/// The repositories that calls change.
pub(crate) fn repositories() -> [String; 4] {
    [0, 1, 2, 3].map(|n| format!("seilbahn/proof-{n}"))
}

/// Makes the repositories, each with a pull request to comment on.
pub(crate) async fn prepare(system: &System) -> Result<(), Failure> {
    for repository in repositories() {
        let made = json!({"full_name": repository, "files": {"README.md": "what calls change"}});
        system.sandbox("POST", "repositories", Some(made)).await?;
        let push =
            json!({"repository": repository, "branch": "work", "message": "Work", "files": {"work": "1"}});
        system.sandbox("POST", "push", Some(push)).await?;
        let wish = json!({"title": "Work", "source": {"branch": {"name": "work"}}});
        system.bitbucket("POST", &format!("repositories/{repository}/pullrequests"), Some(wish)).await?;
    }
    Ok(())
}

/// A call, and whether it changes something. What it changes carries its id.
fn call(dice: &mut Dice, id: &str, heads: &[String]) -> (Value, bool) {
    let at = usize::try_from(dice.below(4)).unwrap_or_default();
    let (repository, head) = (&repositories()[at], &heads[at]);
    match dice.below(4) {
        0 => (json!({"method": "GET", "path": format!("repositories/{repository}/commits")}), false),
        1 => {
            let path = format!("repositories/{repository}/pullrequests/1/comments");
            (json!({"method": "POST", "path": path, "body": {"content": {"raw": id}}}), true)
        }
        2 => {
            let files = json!([{"path": "state.txt", "text": id}]);
            let call = json!({"action": "commit_files", "repository": repository, "branch": "main",
                "message": "State", "files": files});
            (call, true)
        }
        _ => {
            let path = format!("repositories/{repository}/refs/branches");
            (json!({"method": "POST", "path": path, "body": {"name": id, "target": {"hash": head}}}), true)
        }
    }
}

/// Submits calls until it is told to stop, as fast as outcomes come.
pub(crate) async fn submit(
    system: &System,
    credentials: &[String],
    seed: u64,
    register: &Register,
    over: &AtomicBool,
) -> Result<(), Failure> {
    let queue = system.queue(&system.outputs.calls_queue_url);
    let mut dice = Dice::new(seed, 50);
    let mut heads = Vec::new();
    for repository in repositories() {
        let branch =
            system.bitbucket("GET", &format!("repositories/{repository}/refs/branches/work"), None).await?;
        heads.push(branch["target"]["hash"].as_str().unwrap_or_default().to_owned());
    }
    for number in 0_u64.. {
        let full = || register.young() >= OPEN || register.open().len() >= OPEN_IN_ALL;
        while full() && !over.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(20)).await;
        }
        if over.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("proof-{number:06}");
        let credential = &credentials[usize::try_from(number).unwrap_or_default() % credentials.len()];
        let (call, mutates) = call(&mut dice, &id, &heads);
        let message = json!({"id": id, "credential": credential, "call": call}).to_string();
        let at = Instant::now();
        let submitted = Submitted { mutates, confirmed: false, at, reported: BTreeSet::new() };
        register.locked().insert(id.clone(), submitted);
        let confirmed = queue.send(Outgoing::plain(message)).await.is_ok();
        if let Some(call) = register.locked().get_mut(&id) {
            call.confirmed = confirmed;
        }
    }
    Ok(())
}

/// Takes outcomes off the results queue until it is told to stop.
pub(crate) async fn hear(system: &System, register: &Register, over: &AtomicBool) {
    let queue = system.queue(&system.outputs.results_queue_url);
    while !over.load(Ordering::Relaxed) {
        let Ok(messages) = queue.receive(1).await else {
            sleep(Duration::from_millis(200)).await;
            continue;
        };
        for message in messages {
            if let Ok(outcome) = serde_json::from_str::<Outcome>(&message.body) {
                register.note(&outcome);
            }
            // What cannot be removed comes again and says the same.
            let _ = queue.delete(&message).await;
        }
    }
}

/// How often each call was carried out, as Bitbucket shows it.
pub(crate) async fn effects(system: &System) -> Result<BTreeMap<String, u32>, Failure> {
    let mut effects = BTreeMap::new();
    let mut count = |id: &str| *effects.entry(id.to_owned()).or_default() += 1;
    for repository in repositories() {
        let at = |path: &str| format!("repositories/{repository}/{path}");
        for comment in system.all(&at("pullrequests/1/comments")).await? {
            count(comment["content"]["raw"].as_str().unwrap_or_default());
        }
        for branch in system.all(&at("refs/branches")).await? {
            count(branch["name"].as_str().unwrap_or_default());
        }
        for commit in system.all(&at("commits/main")).await? {
            let message = commit["message"].as_str().unwrap_or_default();
            if let Some((_, id)) = message.split_once("Bucketwheel-Call: ") {
                count(id.trim());
            }
        }
    }
    Ok(effects)
}
