//! The hook secrets that this process has read lately.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bucketwheel::credential::CredentialId;
use bucketwheel::signature::HookSecret;
use jiff::{SignedDuration, Timestamp};

/// How long what was read is believed.
const BELIEVED: SignedDuration = SignedDuration::from_secs(60);
/// After a mismatch the table is asked again, but not more often than this: a sender with a wrong
/// signature cannot make us read at will.
const REREAD_AFTER: SignedDuration = SignedDuration::from_secs(2);
/// Above this many credentials the memory is emptied, so that made-up ones cannot fill it.
const MOST: usize = 2_000;

/// The secrets by credential. No secrets means that there is no such hook.
#[derive(Debug, Default)]
pub(crate) struct Known {
    entries: Mutex<HashMap<CredentialId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    secrets: Vec<HookSecret>,
    read_at: Timestamp,
}

impl Known {
    pub(crate) fn fresh(&self, credential: &CredentialId, now: Timestamp) -> Option<Vec<HookSecret>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(credential).filter(|entry| now.duration_since(entry.read_at) < BELIEVED)?;
        Some(entry.secrets.clone())
    }

    pub(crate) fn may_reread(&self, credential: &CredentialId, now: Timestamp) -> bool {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(credential).is_none_or(|entry| now.duration_since(entry.read_at) >= REREAD_AFTER)
    }

    pub(crate) fn remember(&self, credential: &CredentialId, secrets: Vec<HookSecret>, now: Timestamp) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            entries.clear();
        }
        entries.insert(credential.clone(), Entry { secrets, read_at: now });
    }
}
