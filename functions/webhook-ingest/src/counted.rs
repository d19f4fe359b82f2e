//! What this process has counted of each credential's deliveries and not yet stored.
//!
//! It is stored by the drain, and with a delivery that was accepted when the drain has not come by for
//! [`LONGEST`]. It is never stored with a rejected one, whose time would then tell that there is such a
//! credential.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bucketwheel::credential::CredentialId;
use bucketwheel::ports::{Edge, Keys, Queue, Table};
use bucketwheel::store::history::{self, Became, History, Rejection};
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use crate::request::Request;
use crate::{Answer, Ingest, NOTE, Unstored};

/// How old the oldest number may become while deliveries come.
const LONGEST: SignedDuration = SignedDuration::from_secs(90);

/// By credential, with the time of the oldest number.
#[derive(Debug, Default)]
pub(crate) struct Counted(Mutex<HashMap<CredentialId, (Timestamp, History)>>);

impl Counted {
    pub(crate) fn note(&self, credential: &CredentialId, now: Timestamp, note: impl FnOnce(&mut History)) {
        let mut counted = self.locked();
        let (_, history) = counted.entry(credential.clone()).or_insert_with(|| (now, History::default()));
        note(history);
    }

    /// Takes what is due to be stored.
    pub(crate) fn due(&self, credential: &CredentialId, now: Timestamp) -> Option<History> {
        let mut counted = self.locked();
        let (since, _) = counted.get(credential)?;
        if now.duration_since(*since) < LONGEST {
            return None;
        }
        counted.remove(credential).map(|(_, history)| history)
    }

    /// Takes everything.
    pub(crate) fn all(&self) -> Vec<(CredentialId, History)> {
        self.locked().drain().map(|(credential, (_, history))| (credential, history)).collect()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<CredentialId, (Timestamp, History)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    /// Notes what became of a delivery whose signature was right, and stores what is due.
    pub(crate) async fn note_taken(
        &self,
        request: &Request<'_>,
        credential: &CredentialId,
        version: u64,
        taken: &Result<Answer, Unstored>,
        now: Timestamp,
    ) {
        let became = match taken {
            Ok(Answer::Accepted | Answer::Unasked) => Became::Accepted,
            Ok(Answer::Parked) => Became::Parked,
            Ok(Answer::Filtered) => Became::Filtered,
            Ok(_) => return,
            Err(_) => Became::Unavailable,
        };
        let (hook, key) = (request.hook_id(), request.event_key());
        self.counted.note(credential, now, |history| history.note(hook, version, key, became, now));
        if taken.is_ok()
            && let Some(due) = self.counted.due(credential, now)
        {
            self.store(credential, due).await;
        }
    }

    /// Notes a rejection for a credential that exists, as far as this process knows.
    pub(crate) fn note_rejection(
        &self,
        request: &Request<'_>,
        credential: &CredentialId,
        cause: &str,
        now: Timestamp,
    ) {
        if self.known.get(credential).is_some_and(|hook| !hook.secrets.is_empty()) {
            let rejection = Rejection {
                at: now,
                cause: cause.to_owned(),
                event_key: request.event_key().to_owned(),
                request_id: request.request_id().map(str::to_owned),
            };
            self.counted.note(credential, now, |history| history.reject(rejection));
        }
    }

    /// Stores what was counted; what cannot be stored now is kept for the next time.
    async fn store(&self, credential: &CredentialId, counted: History) {
        let now = self.edge.now();
        let stored = timeout(NOTE, history::add(&self.table, credential, &counted, now)).await;
        if !matches!(stored, Ok(Ok(()))) {
            self.counted.note(credential, now, |history| history.add(counted));
        }
    }

    /// Stores everything that was counted.
    pub(crate) async fn store_all(&self) {
        let counted = stream::iter(self.counted.all());
        counted
            .for_each_concurrent(16, |(credential, counted)| async move {
                self.store(&credential, counted).await;
            })
            .await;
    }
}
