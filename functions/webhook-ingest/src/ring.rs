//! The hook keyring, read when a secret has to be opened. A function that read it at its start would not
//! start while Secrets Manager is down, and could not even answer 503.

use std::sync::{Arc, Mutex, PoisonError};

use bucketwheel::credential::CredentialId;
use bucketwheel::ports::{Keys, KeysError};
use bucketwheel::seal::{Keyring, NONCE_LEN};
use bucketwheel::store::hooks::HookSecrets;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

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
    nobodys: Option<Arc<(CredentialId, HookSecrets)>>,
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

    /// Does for a credential that has no hook what is done for one that has: neither the time nor a keyring
    /// that is away must tell them apart.
    pub(crate) async fn open_nobodys(&self, now: Timestamp) -> Result<(), KeysError> {
        let ring = self.get(now).await?;
        if let Some(nobodys) = self.last().and_then(|read| read.nobodys) {
            let (credential, secrets) = &*nobodys;
            std::hint::black_box(secrets.clone().open(&ring, credential).is_ok());
        }
        Ok(())
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
        *read = Some(Read { ring: ring.clone(), nobodys: nobodys(&ring), at: now });
        Ok(ring)
    }

    fn last(&self) -> Option<Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A secret that signs nothing, as long as the others.
fn nobodys(ring: &Keyring) -> Option<Arc<(CredentialId, HookSecrets)>> {
    let credential: CredentialId = "nobody".parse().ok()?;
    let secret = SecretString::from("0".repeat(128));
    let secrets = HookSecrets::first(ring, &credential, &secret, [0; NONCE_LEN], Timestamp::UNIX_EPOCH);
    Some(Arc::new((credential, secrets)))
}
