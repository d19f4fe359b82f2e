//! The hook keyring, read when a secret has to be opened. A function that read it at its start would not
//! start while Secrets Manager is down, and could not even answer 503.

use std::sync::{Arc, Mutex, PoisonError};

use bucketwheel::ports::{Keys, KeysError};
use bucketwheel::seal::Keyring;
use jiff::{SignedDuration, Timestamp};

/// A key that is missing may have been added since; the ring is read again, but not more often than this.
const REREAD_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// The ring as it was read last.
#[derive(Debug)]
pub(crate) struct Ring<K> {
    keys: K,
    read: Mutex<Option<Read>>,
}

#[derive(Debug, Clone)]
struct Read {
    ring: Arc<Keyring>,
    at: Timestamp,
}

impl<K: Keys> Ring<K> {
    pub(crate) fn new(keys: K) -> Self {
        Self { keys, read: Mutex::default() }
    }

    pub(crate) async fn get(&self, now: Timestamp) -> Result<Arc<Keyring>, KeysError> {
        let read = self.last().map(|read| read.ring);
        match read {
            Some(ring) => Ok(ring),
            None => self.read(now).await,
        }
    }

    /// The ring that may hold a key which the last one lacked; none if that one is too young.
    pub(crate) async fn newer(&self, now: Timestamp) -> Result<Option<Arc<Keyring>>, KeysError> {
        if self.last().is_some_and(|read| now.duration_since(read.at) < REREAD_AFTER) {
            return Ok(None);
        }
        self.read(now).await.map(Some)
    }

    async fn read(&self, now: Timestamp) -> Result<Arc<Keyring>, KeysError> {
        let ring = Arc::new(self.keys.ring().await?);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *read = Some(Read { ring: ring.clone(), at: now });
        Ok(ring)
    }

    fn last(&self) -> Option<Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
