//! Actions: what takes several requests.

use bucketwheel::call::{
    Action, Answer, ApiPath, Message, Method, PULL_REQUEST, Problem, Sent, Wire, shaped,
};
use bucketwheel::credential::CredentialId;
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::hooks::{self, HookSecrets};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::Worker;
use crate::commit::Committing;
use crate::exchange::Stop;
use crate::holder::Holder;
use crate::work::Again;

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    pub(crate) async fn action(
        &self,
        message: &Message,
        action: &Action,
        holder: &Holder,
        before: Option<Sent>,
        until: Timestamp,
    ) -> Result<Option<Answer>, Stop> {
        match action {
            Action::CommitFiles(commit) => {
                Committing { worker: self, message, commit, holder, until }.run(before).await.map(Some)
            }
            Action::MergePullRequest(merge) => {
                let mut merged = self.merge(holder, merge, until).await?;
                let body = shaped(PULL_REQUEST, &merged.json().unwrap_or_default());
                merged.body = body.to_string().into_bytes();
                Ok(Some(merged))
            }
            Action::EnsureHook { repository, events } => {
                self.ensure_hook(holder, repository, events).await.map(Some)
            }
            Action::DeleteCredential => self.delete(message, holder).await.map(|()| None),
        }
    }

    /// Looks first, so it can be repeated: a hook with our address is set right, a missing one is made.
    /// The secret is stored before Bitbucket learns it, since the first delivery may come at once.
    async fn ensure_hook(
        &self,
        holder: &Holder,
        repository: &str,
        events: &[String],
    ) -> Result<Answer, Stop> {
        let credential = &holder.credential.id;
        let list = hooks_of(repository)?;
        let secret = self.hook_secret(credential).await?;
        let address = self.webhook_url(credential);
        let listed = self.exchange(holder, &list).await?;
        let hook = json!({
            "description": "Bucketwheel",
            "url": address,
            "active": true,
            "events": events,
            "secret": secret.expose_secret(),
        });
        hooks::note(&self.table, credential, repository).await.map_err(Again::from)?;
        let wire = match ours(&listed, &address) {
            Some(uuid) => Wire::json(Method::Put, hook_path(repository, &format!("/{uuid}"))?, &hook),
            None => Wire::json(Method::Post, list.path, &hook),
        };
        match self.exchange(holder, &wire).await {
            // Doing it again is harmless, so an unclear end is no end.
            Err(Stop::Unknown(_)) => {
                Err(Stop::Again(Again::Later("it is unclear whether the hook was made")))
            }
            sent => sent,
        }
    }

    /// The credential's newest hook secret; made if there is none.
    async fn hook_secret(&self, credential: &CredentialId) -> Result<SecretString, Stop> {
        let stored = hooks::get(&self.table, credential).await.map_err(Again::from)?;
        if let Some(stored) = stored {
            return newest(&stored, self, credential);
        }
        let secret = SecretString::from(hex::encode(self.edge.random::<64>()));
        let first = HookSecrets::first(&self.hook_ring, credential, &secret, self.edge.random());
        match hooks::put_first(&self.table, credential, &first).await {
            Ok(()) => Ok(secret),
            Err(TableError::Refused) => Err(Stop::Again(Again::Elsewhere)),
            Err(error) => Err(Stop::Again(error.into())),
        }
    }

    pub(crate) fn webhook_url(&self, credential: &CredentialId) -> String {
        let mut url = self.public_url.clone();
        url.set_path(&format!("webhooks/bitbucket-cloud/{credential}"));
        url.to_string()
    }
}

fn newest<T, Q, E>(
    stored: &HookSecrets,
    worker: &Worker<T, Q, E>,
    credential: &CredentialId,
) -> Result<SecretString, Stop> {
    let opened = stored.open(&worker.hook_ring, credential).map_err(|error| {
        let resolution = "Put the dropped key back on the hook keyring.";
        Stop::Failed(Problem::new("cannot_unseal", error.to_string(), resolution), None)
    })?;
    let newest = opened.into_iter().max_by_key(|secret| secret.version);
    newest.map(|secret| secret.secret).ok_or(Stop::Again(Again::Later("the hook has no secret")))
}

/// The address of a repository's hooks, or of one of them.
pub(crate) fn hook_path(repository: &str, rest: &str) -> Result<ApiPath, Stop> {
    ApiPath::parse(&format!("repositories/{repository}/hooks{rest}")).map_err(|error| {
        Stop::Failed(Problem::new("bad_repository", error.to_string(), "Write workspace/repository."), None)
    })
}

/// A request for a repository's hooks, as many as one page has.
pub(crate) fn hooks_of(repository: &str) -> Result<Wire, Stop> {
    Ok(Wire::get(hook_path(repository, "")?, &[("pagelen", "100")]))
}

/// The uuid of the hook with our address.
pub(crate) fn ours(listed: &Answer, address: &str) -> Option<String> {
    let listed = listed.json()?;
    let hook = listed["values"].as_array()?.iter().find(|hook| hook["url"] == address)?;
    hook["uuid"].as_str().map(str::to_owned)
}
