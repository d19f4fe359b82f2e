//! The credential's hooks at Bitbucket.
//!
//! They are one item, and what is wanted is written there before Bitbucket is asked. So
//! an action that stopped half-way is finished by the next one, whichever that is.

use std::collections::{BTreeMap, BTreeSet};

use bucketwheel::call::{Answer, ApiPath, Method, Problem, Wire};
use bucketwheel::credential::CredentialId;
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::hooks::{self, Attached, HookSecrets};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::Worker;
use crate::exchange::{Stop, made};
use crate::holder::Holder;
use crate::work::Again;

/// How often a write is tried that other workers come before.
const TRIES: usize = 5;

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Makes sure that a subject's events come.
    pub(crate) async fn ensure_hook(
        &self,
        holder: &Holder,
        subject: &str,
        events: &[String],
    ) -> Result<Answer, Stop> {
        let id = &holder.credential.id;
        let stored = self.with_secret(id, |stored| stored.attach(subject, events)).await?;
        self.set_all_right(holder, stored, Some(subject)).await
    }

    /// Sets right what somebody changed, and what a rotation left undone.
    pub(crate) async fn repair_hooks(&self, holder: &Holder) -> Result<Answer, Stop> {
        let id = &holder.credential.id;
        match hooks::get(&self.table, id).await.map_err(Again::from)? {
            None => Ok(made(&json!({ "hooks": [] }))),
            Some(stored) if stored.secrets.is_empty() => {
                let stored = self.with_secret(id, |_| {}).await?;
                self.set_all_right(holder, stored, None).await
            }
            Some(stored) => self.set_all_right(holder, stored, None).await,
        }
    }

    /// Gives the hooks a new secret.
    pub(crate) async fn rotate_hook(&self, holder: &Holder) -> Result<Answer, Stop> {
        let id = &holder.credential.id;
        if self.attached(id).await?.by_hand() {
            let cause = "A person registers a hook of this credential.";
            let resolution = "Make a new secret with `bucketwheel hooks by-hand`, and enter it at Bitbucket.";
            return Err(Stop::Failed(Problem::new("by_hand", cause, resolution), None));
        }
        let (secret, nonce, now) = (self.new_secret(), self.edge.random(), self.edge.now());
        let rotate = |stored: &mut HookSecrets| {
            stored.rotate(&self.hook_ring, id, &secret, nonce, now);
        };
        let stored = self.change(id, rotate).await?;
        self.set_all_right(holder, stored, None).await
    }

    /// Takes the hooks away at Bitbucket, and their secrets here.
    pub(crate) async fn remove_hooks(&self, holder: &Holder) -> Result<Answer, Stop> {
        let id = &holder.credential.id;
        let stored = self.attached(id).await?;
        for hook in &stored.hooks {
            self.take_away(holder, hook).await?;
        }
        match hooks::remove(&self.table, id, &stored).await {
            Ok(()) => Ok(made(&json!({ "removed": stored.hooks.len() }))),
            Err(TableError::Refused) => Err(Stop::Again(Again::Elsewhere)),
            Err(error) => Err(Stop::Again(error.into())),
        }
    }

    /// Makes Bitbucket's hooks what they should be: `only` one of them, or all. Gives Bitbucket's answer
    /// for the one, else what became of each.
    async fn set_all_right(
        &self,
        holder: &Holder,
        stored: HookSecrets,
        only: Option<&str>,
    ) -> Result<Answer, Stop> {
        let id = &holder.credential.id;
        let newest = stored.newest();
        let secret = self.open_newest(id, &stored)?;
        let (mut settled, mut last, mut failed) = (BTreeMap::new(), None, None);
        let asked = |hook: &&Attached| !hook.by_hand && only.is_none_or(|only| only == hook.subject);
        for hook in stored.hooks.iter().filter(asked) {
            match self.set_right(holder, hook, newest, &secret).await {
                Ok(answer) => {
                    settled.insert(hook.subject.as_str(), Ok(uuid(&answer)));
                    last = Some(answer);
                }
                Err(Stop::Failed(problem, answer)) => {
                    let problem = self.by_hand(id, hook, problem);
                    settled.insert(hook.subject.as_str(), Err(problem.clone()));
                    failed.get_or_insert((problem, answer));
                }
                // Doing it again is harmless, so an unclear end is no end.
                Err(Stop::Unknown(_)) => {
                    return Err(Stop::Again(Again::Later("it is unclear whether the hook was made")));
                }
                Err(again) => return Err(again),
            }
        }
        let now = self.edge.now();
        let note = |stored: &mut HookSecrets| {
            for hook in &mut stored.hooks {
                match settled.get(hook.subject.as_str()) {
                    Some(Ok(uuid)) => {
                        (hook.registered, hook.problem) = (newest, None);
                        hook.uuid.clone_from(uuid);
                    }
                    Some(Err(problem)) => hook.problem = Some(problem.clone()),
                    None => {}
                }
            }
            stored.retire(now);
        };
        let stored = self.change(id, note).await?;
        match (failed, last, only) {
            (Some((problem, answer)), ..) => Err(Stop::Failed(problem, answer)),
            (None, Some(answer), Some(_)) => Ok(answer),
            (None, ..) => {
                let hooks: Vec<_> = stored.hooks.iter().map(|hook| &hook.subject).collect();
                Ok(made(&json!({
                    "hooks": hooks, "secret_version": stored.newest(), "secrets": stored.secrets.len(),
                })))
            }
        }
    }

    /// Looks first, so it can be repeated: a hook with our address is set right, a missing one is made.
    /// The secret is stored before Bitbucket learns it, since the first delivery may come at once.
    async fn set_right(
        &self,
        holder: &Holder,
        hook: &Attached,
        newest: u64,
        secret: &SecretString,
    ) -> Result<Answer, Stop> {
        let address = self.webhook_url(&holder.credential.id);
        let listed = self.listed(holder, hook).await?;
        let ours = ours(&listed, &address);
        let wanted = json!({
            "description": "Bucketwheel",
            "url": address,
            "active": true,
            "events": hook.events,
            "secret": secret.expose_secret(),
        });
        match ours {
            Some(found) if hook.registered == newest && is_right(&found, &hook.events) => Ok(made(&found)),
            Some(found) => {
                let uuid = found["uuid"].as_str().unwrap_or_default();
                let path = path(&hook.subject, &format!("/{uuid}"))?;
                self.exchange(holder, &Wire::json(Method::Put, path, &wanted)).await
            }
            None => self.exchange(holder, &Wire::json(Method::Post, path(&hook.subject, "")?, &wanted)).await,
        }
    }

    /// Removes every hook with our address. What is gone already is gone.
    pub(crate) async fn take_away(&self, holder: &Holder, hook: &Attached) -> Result<(), Stop> {
        let address = self.webhook_url(&holder.credential.id);
        let gone = |stop: &Stop| matches!(stop, Stop::Failed(_, Some(answer)) if matches!(answer.status, 403 | 404 | 410));
        loop {
            let found = match self.listed(holder, hook).await {
                Ok(listed) => ours(&listed, &address),
                Err(stop) if gone(&stop) => return Ok(()),
                Err(stop) => return Err(stop),
            };
            let Some(found) = found else { return Ok(()) };
            let path = path(&hook.subject, &format!("/{}", found["uuid"].as_str().unwrap_or_default()))?;
            match self.exchange(holder, &Wire { method: Method::Delete, ..Wire::get(path, &[]) }).await {
                Ok(_) => {}
                Err(stop) if gone(&stop) => return Ok(()),
                Err(Stop::Unknown(_)) => {
                    return Err(Stop::Again(Again::Later("it is unclear whether the hook was removed")));
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    async fn listed(&self, holder: &Holder, hook: &Attached) -> Result<Answer, Stop> {
        self.exchange(holder, &Wire::get(path(&hook.subject, "")?, &[("pagelen", "100")])).await
    }

    /// Changes the credential's hooks, and makes the first secret if there is none.
    async fn with_secret(
        &self,
        id: &CredentialId,
        change: impl Fn(&mut HookSecrets),
    ) -> Result<HookSecrets, Stop> {
        if hooks::get(&self.table, id).await.map_err(Again::from)?.is_none() {
            match hooks::put_first(&self.table, id, &HookSecrets::unmade()).await {
                Ok(()) | Err(TableError::Refused) => {}
                Err(error) => return Err(Stop::Again(error.into())),
            }
        }
        let (secret, nonce, now) = (self.new_secret(), self.edge.random(), self.edge.now());
        let made = |stored: &mut HookSecrets| {
            stored.make(&self.hook_ring, id, &secret, nonce, now);
            change(stored);
        };
        self.change(id, made).await
    }

    /// Reads, changes and writes the credential's hooks, again where another worker wrote meanwhile.
    async fn change(
        &self,
        id: &CredentialId,
        change: impl Fn(&mut HookSecrets),
    ) -> Result<HookSecrets, Stop> {
        for _ in 0..TRIES {
            let mut stored = self.attached(id).await?;
            change(&mut stored);
            match hooks::replace(&self.table, id, &mut stored).await {
                Ok(()) => return Ok(stored),
                Err(TableError::Refused) => {}
                Err(error) => return Err(Stop::Again(error.into())),
            }
        }
        Err(Stop::Again(Again::Elsewhere))
    }

    async fn attached(&self, id: &CredentialId) -> Result<HookSecrets, Stop> {
        let stored = hooks::get(&self.table, id).await.map_err(Again::from)?;
        stored.ok_or_else(|| {
            let resolution = "Attach a workspace or a repository first, with the action ensure_hook.";
            Stop::Failed(Problem::new("no_hook", "The credential has no hook.", resolution), None)
        })
    }

    /// 128 characters, the most that Bitbucket takes.
    fn new_secret(&self) -> SecretString {
        SecretString::from(hex::encode(self.edge.random::<64>()))
    }

    fn open_newest(&self, id: &CredentialId, stored: &HookSecrets) -> Result<SecretString, Stop> {
        let opened = stored.open(&self.hook_ring, id).map_err(|error| {
            let resolution = "Put the dropped key back on the hook keyring.";
            Stop::Failed(Problem::new("cannot_unseal", error.to_string(), resolution), None)
        })?;
        let newest = opened.into_iter().max_by_key(|secret| secret.version);
        newest.map(|secret| secret.secret).ok_or(Stop::Again(Again::Later("the hook has no secret")))
    }

    /// Where Bitbucket refuses us, a person may do it.
    fn by_hand(&self, id: &CredentialId, hook: &Attached, problem: Problem) -> Problem {
        let resolution = format!(
            "{} A hook needs the scope webhook and administration of {}: grant these and repair the hooks. Or let a \
             person make it who may: it is to send {} to {}, with the secret that `bucketwheel hooks by-hand {}` shows.",
            problem.resolution,
            hook.subject,
            hook.events.join(", "),
            self.webhook_url(id),
            hook.subject,
        );
        Problem { resolution, ..problem }
    }

    fn webhook_url(&self, credential: &CredentialId) -> String {
        let mut url = self.public_url.clone();
        url.set_path(&format!("webhooks/bitbucket-cloud/{credential}"));
        url.to_string()
    }
}

/// The hooks of a workspace or of a repository.
fn path(subject: &str, rest: &str) -> Result<ApiPath, Stop> {
    let of = if subject.contains('/') { "repositories" } else { "workspaces" };
    ApiPath::parse(&format!("{of}/{subject}/hooks{rest}")).map_err(|error| {
        let resolution = "Write workspace/repository, or workspace.";
        Stop::Failed(Problem::new("bad_repository", error.to_string(), resolution), None)
    })
}

/// The uuid of the hook that Bitbucket answered with, as its deliveries write it.
fn uuid(answer: &Answer) -> Option<String> {
    let uuid = answer.json()?["uuid"].as_str()?.trim_matches(['{', '}']).to_owned();
    Some(uuid).filter(|uuid| !uuid.is_empty())
}

fn ours(listed: &Answer, address: &str) -> Option<Value> {
    let listed = listed.json()?;
    listed["values"].as_array()?.iter().find(|hook| hook["url"] == address).cloned()
}

fn is_right(found: &Value, events: &[String]) -> bool {
    let has: BTreeSet<_> =
        found["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wanted: BTreeSet<_> = events.iter().map(String::as_str).collect();
    found["active"] == true && found["secret_set"] == true && has == wanted
}
