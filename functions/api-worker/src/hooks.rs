//! The credential's hooks at Bitbucket.
//!
//! They are one item, and what is wanted is written there before Bitbucket is asked. So
//! an action that stopped half-way is finished by the next one, whichever that is.

mod at_bitbucket;
mod stand_in;

use std::collections::{BTreeMap, VecDeque};

use bucketwheel::call::{Answer, Problem};
use bucketwheel::credential::CredentialId;
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::hooks::{self, Attached, HookSecrets};
use secrecy::SecretString;
use serde_json::json;

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

    /// Takes hooks away at Bitbucket: the one of a subject, or all. With the last one their secrets go.
    pub(crate) async fn remove_hooks(&self, holder: &Holder, only: Option<&str>) -> Result<Answer, Stop> {
        let id = &holder.credential.id;
        let stored = self.attached(id).await?;
        let goes = |hook: &&Attached| {
            only.is_none_or(|only| hook.subject == only || hook.stands_in_for.as_deref() == Some(only))
        };
        let going: Vec<_> = stored.hooks.iter().filter(goes).collect();
        if let (Some(only), []) = (only, going.as_slice()) {
            let cause = format!("The credential has no hook of {only}.");
            let resolution = "See `bucketwheel hooks list` for those that it has.";
            return Err(Stop::Failed(Problem::new("no_hook", cause, resolution), None));
        }
        for hook in &going {
            self.take_away(holder, hook).await?;
        }
        if let Some(only) = only.filter(|_| going.len() < stored.hooks.len()) {
            self.change(id, |stored| stored.detach(only)).await?;
            return Ok(made(&json!({ "removed": going.len() })));
        }
        match hooks::remove(&self.table, id, &stored).await {
            Ok(()) => Ok(made(&json!({ "removed": going.len() }))),
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
        let (mut settled, mut last, mut failed, mut stood_in) = (BTreeMap::new(), None, None, None);
        let asked = |hook: &&Attached| {
            let this = |only| hook.subject == only || hook.stands_in_for.as_deref() == Some(only);
            !hook.by_hand && hook.stands_in_for.is_none() && only.is_none_or(this)
        };
        let mut asked: VecDeque<_> = stored.hooks.iter().filter(asked).cloned().collect();
        while let Some(hook) = asked.pop_front() {
            match self.set_right(holder, &hook, newest, &secret).await {
                Ok(answer) => {
                    self.relieve(holder, &hook, &stored).await?;
                    settled.insert(hook.subject.clone(), Ok(uuid(&answer)));
                    last = Some(answer);
                }
                Err(Stop::Failed(problem, answer)) => {
                    let stand_ins = self.stand_in(holder, &hook, answer.as_deref()).await?;
                    let problem = self.by_hand(id, &hook, problem, stand_ins.len());
                    settled.insert(hook.subject.clone(), Err(problem.clone()));
                    if !stand_ins.is_empty() {
                        stood_in.get_or_insert((problem, answer));
                    } else if hook.stands_in_for.is_none() {
                        failed.get_or_insert((problem, answer));
                    }
                    asked.extend(stand_ins);
                }
                // Doing it again is harmless, so an unclear end is no end.
                Err(Stop::Unknown(_)) => {
                    return Err(Stop::Again(Again::Later("it is unclear whether the hook was made")));
                }
                Err(again) => return Err(again),
            }
        }
        if last.is_none() {
            failed = failed.or(stood_in.take());
        }
        let only = only.filter(|_| stood_in.is_none());
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
    fn by_hand(&self, id: &CredentialId, hook: &Attached, problem: Problem, stand_ins: usize) -> Problem {
        let meanwhile = match stand_ins {
            0 => String::new(),
            number => format!("The hooks of {number} repositories stand in for it. "),
        };
        let resolution = format!(
            "{meanwhile}{} A hook needs the scope webhook and administration of {}: grant these and repair the hooks. Or let a \
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

/// The uuid of the hook that Bitbucket answered with, as its deliveries write it.
fn uuid(answer: &Answer) -> Option<String> {
    let uuid = answer.json()?["uuid"].as_str()?.trim_matches(['{', '}']).to_owned();
    Some(uuid).filter(|uuid| !uuid.is_empty())
}
