//! The hooks that this process has read lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bucketwheel::credential::CredentialId;
use bucketwheel::event::Filters;
use bucketwheel::signature::HookSecret;
use jiff::{SignedDuration, Timestamp};

/// How long what was read is believed.
const BELIEVED: SignedDuration = SignedDuration::from_secs(60);
/// How old it may be where a delivery is dropped by it.
const JUST_NOW: SignedDuration = SignedDuration::from_secs(5);
/// How long it is believed while the table cannot be asked. It lets deliveries in, never refuses one.
const BELIEVED_AT_MOST: SignedDuration = SignedDuration::from_hours(1);
/// After a mismatch the table is asked again. A process may do that so many times at once, and then
/// once in each [`REFILL`]: a sender with wrong signatures cannot make us read at will.
const REREADS: i64 = 20;
const REFILL: SignedDuration = SignedDuration::from_millis(500);
/// Above this many credentials of a kind the memory is emptied. Those that do not exist are kept apart,
/// so that made-up ones cannot drive out the others.
const MOST: usize = 2_000;

/// What was read of a credential's hook.
#[derive(Debug)]
pub(crate) struct Hook {
    /// No secrets means that there is no such hook.
    pub(crate) secrets: Vec<HookSecret>,
    pub(crate) filters: Filters,
    /// The version whose first match a rotation waits for.
    pub(crate) awaited: Option<u64>,
    pub(crate) read_at: Timestamp,
}

impl Hook {
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.read_at) < BELIEVED
    }

    /// Whether a filter may drop a delivery by it.
    pub(crate) fn was_read_just_now(&self, now: Timestamp) -> bool {
        now.duration_since(self.read_at) < JUST_NOW
    }

    pub(crate) fn may_stand_in(&self, now: Timestamp) -> bool {
        now.duration_since(self.read_at) < BELIEVED_AT_MOST
    }
}

/// The hooks by credential.
#[derive(Debug, Default)]
pub(crate) struct Known {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    real: HashMap<CredentialId, Arc<Hook>>,
    made_up: HashMap<CredentialId, Arc<Hook>>,
    /// When the rereads that were made are all forgotten.
    paid_at: Timestamp,
}

impl Known {
    pub(crate) fn get(&self, credential: &CredentialId) -> Option<Arc<Hook>> {
        let inner = self.locked();
        inner.real.get(credential).or_else(|| inner.made_up.get(credential)).cloned()
    }

    /// Whether the table may be asked again now; counts as having done so.
    pub(crate) fn may_reread(&self, now: Timestamp) -> bool {
        let mut inner = self.locked();
        let paid_at = inner.paid_at.max(now) + REFILL;
        let within = paid_at.duration_since(now).as_millis() <= REFILL.as_millis() * i128::from(REREADS);
        if within {
            inner.paid_at = paid_at;
        }
        within
    }

    pub(crate) fn remember(&self, credential: &CredentialId, hook: Hook) -> Arc<Hook> {
        let hook = Arc::new(hook);
        let mut inner = self.locked();
        let Inner { real, made_up, .. } = &mut *inner;
        let (entries, others) = if hook.secrets.is_empty() { (made_up, real) } else { (real, made_up) };
        others.remove(credential);
        if entries.len() >= MOST {
            entries.clear();
        }
        entries.insert(credential.clone(), hook.clone());
        hook
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rereads_are_given_at_once_and_then_slowly() {
        let known = Known::default();
        let at = |millis: i64| Timestamp::from_millisecond(1_000_000 + millis).expect("a time");
        let given = (0..100).filter(|_| known.may_reread(at(0))).count();
        assert_eq!(given, 20);
        assert!(!known.may_reread(at(499)));
        assert!(known.may_reread(at(500)));
        assert!(!known.may_reread(at(500)));
        assert_eq!((0..100).filter(|_| known.may_reread(at(60_000))).count(), 20);
    }

    #[test]
    fn made_up_credentials_do_not_drive_out_real_ones() {
        let known = Known::default();
        let hook = |secrets| Hook {
            secrets,
            filters: Filters::default(),
            awaited: None,
            read_at: Timestamp::UNIX_EPOCH,
        };
        let secret = HookSecret { version: 1, secret: "s".to_owned().into() };
        let real: CredentialId = "real".parse().expect("an id");
        known.remember(&real, hook(vec![secret]));
        for n in 0..MOST * 2 {
            known.remember(&format!("c{n}").parse().expect("an id"), hook(Vec::new()));
        }
        assert_eq!(known.get(&real).map(|hook| hook.secrets.len()), Some(1));
        assert!(known.locked().made_up.len() <= MOST);
    }
}
