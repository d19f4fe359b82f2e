//! What is known of the sender: whether the signature is right, and whether the delivery is wanted.

use std::sync::Arc;

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Keys, Queue, Table};
use bucketwheel::seal::OpenError;
use bucketwheel::signature::{Claimed, Verified, verify};
use bucketwheel::store::hooks::{self, HookSecrets};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::known::Hook;
use crate::request::Request;
use crate::{Ingest, LOOKUP, NOTE, Unstored};

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    /// Checks the signature against the secrets that are known, and against the table's if those may be
    /// out of date. None only where the table's own secrets do not match: a secret that is newer than
    /// what this process knows must not cost a delivery.
    pub(crate) async fn verified<'b>(
        &self,
        credential: &CredentialId,
        body: &'b [u8],
        claimed: &Claimed,
        now: Timestamp,
    ) -> Result<Option<Verified<'b>>, Unstored> {
        let known = self.known.get(credential);
        if let Some(hook) = known.as_ref().filter(|hook| hook.is_fresh(now)) {
            let verified = verify(body, claimed, &hook.secrets);
            if verified.is_some() {
                return Ok(verified);
            }
            if !self.known.may_reread(now) {
                return Err(Unstored::Unproven);
            }
        }
        let read = timeout(LOOKUP, self.read(credential, now)).await;
        match read.unwrap_or(Err(Unstored::Slow)) {
            Ok(hook) => Ok(verify(body, claimed, &hook.secrets)),
            Err(error) => {
                let hook = known.filter(|hook| hook.may_stand_in(now));
                match hook.and_then(|hook| verify(body, claimed, &hook.secrets)) {
                    Some(verified) => {
                        tracing::warn!(error = %Causes(&error), "verified with what was read earlier");
                        Ok(Some(verified))
                    }
                    None => Err(error),
                }
            }
        }
    }

    /// Tells a rotation that Bitbucket signs with the new secret: one write, not one per delivery. What
    /// fails here is done by a later delivery.
    pub(crate) async fn note_match(&self, credential: &CredentialId, version: u64, now: Timestamp) {
        let Some(hook) = self.known.get(credential).filter(|hook| hook.awaited == Some(version)) else {
            return;
        };
        let noted = timeout(NOTE, hooks::matched(&self.table, credential, version)).await;
        if matches!(noted, Ok(Ok(()))) {
            let (secrets, filters) = (hook.secrets.clone(), hook.filters.clone());
            let hook = Hook { secrets, filters, awaited: None, read_at: now.min(hook.read_at) };
            self.known.remember(credential, hook);
        }
    }

    async fn read(&self, credential: &CredentialId, now: Timestamp) -> Result<Arc<Hook>, Unstored> {
        let found = hooks::get(&self.table, credential).await?;
        let awaited = found.as_ref().map(HookSecrets::newest);
        let awaited = awaited.filter(|newest| found.as_ref().is_some_and(|found| found.awaits(*newest)));
        let filters = found.as_ref().map(HookSecrets::filters).unwrap_or_default();
        let secrets = match found {
            Some(sealed) => match sealed.open(&*self.ring.get(now).await?, credential) {
                Err(OpenError::UnknownKey(_)) if let Some(newer) = self.ring.newer(now).await? => {
                    sealed.open(&newer, credential)?
                }
                opened => opened?,
            },
            // The same work, so that neither the time nor a keyring that is away tells which hooks there are.
            None => {
                self.ring.open_nobodys(now).await?;
                Vec::new()
            }
        };
        Ok(self.known.remember(credential, Hook { secrets, filters, awaited, read_at: now }))
    }

    /// Whether a filter drops the delivery. What is dropped is gone, so only a filter that was read just now
    /// may do that; where it cannot be read the delivery is taken.
    pub(crate) async fn is_filtered(
        &self,
        request: &Request<'_>,
        credential: &CredentialId,
        body: &[u8],
        now: Timestamp,
    ) -> bool {
        let (hook_id, event_key) = (request.hook_id(), request.event_key());
        let drops = |hook: &Hook| hook.filters.drop(hook_id, event_key, body);
        match self.known.get(credential) {
            Some(hook) if !drops(&hook) => false,
            Some(hook) if hook.was_read_just_now(now) => true,
            _ => match timeout(LOOKUP, self.read(credential, now)).await {
                Ok(Ok(hook)) => drops(&hook),
                Ok(Err(_)) | Err(_) => false,
            },
        }
    }
}
