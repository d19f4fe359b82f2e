//! `CRED#id/HOOK`: the secrets that deliveries to a credential's address are signed with.
//!
//! All hooks of one credential share its address and so its secret. The item exists before a hook is
//! registered at Bitbucket, since the first delivery may come at once.
//!
//! `CRED#id/HOOK#repository`: that a hook is, or is about to be, registered there. Without it nobody would
//! know where to remove hooks when the credential goes.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{credential_pk, from_attributes, to_attributes};
use crate::credential::CredentialId;
use crate::ports::{Attributes, Condition, Key, Query, Table, TableError, Write};
use crate::seal::{Field, Keyring, NONCE_LEN, OpenError, Place, Sealed};
use crate::signature::HookSecret;

const NOTED: &str = "HOOK#";

/// The sealed secrets, the newest first. A second one is the secret before it, while deliveries signed
/// with that one may still come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSecrets {
    /// The secrets with their versions.
    pub secrets: Vec<SealedSecret>,
}

/// One sealed secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// Counts up with each rotation; the generation it is sealed for.
    pub version: u64,
    /// The secret.
    pub secret: Sealed,
}

impl HookSecrets {
    /// The first secret of a credential.
    pub fn first(ring: &Keyring, id: &CredentialId, secret: &SecretString, nonce: [u8; NONCE_LEN]) -> Self {
        let version = 1;
        let secret = ring.seal(secret.expose_secret().as_bytes(), place(id, version), nonce);
        Self { secrets: vec![SealedSecret { version, secret }] }
    }

    /// All of them, sealed by the newest key.
    pub fn resealed(
        &self,
        ring: &Keyring,
        id: &CredentialId,
        nonce: impl Fn() -> [u8; NONCE_LEN],
    ) -> Result<Self, OpenError> {
        let anew = self.secrets.iter().map(|SealedSecret { version, secret }| {
            let after = ring.reseal(secret, place(id, *version), nonce())?;
            Ok(SealedSecret { version: *version, secret: after.unwrap_or_else(|| secret.clone()) })
        });
        Ok(Self { secrets: anew.collect::<Result<_, _>>()? })
    }

    /// Opens all of them.
    pub fn open(&self, ring: &Keyring, id: &CredentialId) -> Result<Vec<HookSecret>, OpenError> {
        self.secrets
            .iter()
            .map(|SealedSecret { version, secret }| {
                let secret = ring.open_text(secret, place(id, *version))?;
                Ok(HookSecret { version: *version, secret })
            })
            .collect()
    }
}

/// Reads a credential's secrets.
pub async fn get(table: &impl Table, id: &CredentialId) -> Result<Option<HookSecrets>, TableError> {
    table.get(&key(id)).await?.map(from_attributes).transpose()
}

/// Stores a credential's first secrets; refused if it has some.
pub async fn put_first(
    table: &impl Table,
    id: &CredentialId,
    secrets: &HookSecrets,
) -> Result<(), TableError> {
    let attributes = to_attributes(secrets);
    table.write(vec![Write::Put { key: key(id), attributes, condition: Condition::Absent }]).await
}

/// Notes that a hook is about to be registered for `workspace/repository`.
pub async fn note(table: &impl Table, id: &CredentialId, repository: &str) -> Result<(), TableError> {
    let key = place_of(id, repository);
    let attributes = Attributes::new();
    table.write(vec![Write::Put { key, attributes, condition: Condition::Always }]).await
}

/// Forgets that there is a hook for `workspace/repository`.
pub async fn forget(table: &impl Table, id: &CredentialId, repository: &str) -> Result<(), TableError> {
    let key = place_of(id, repository);
    table.write(vec![Write::Delete { key, condition: Condition::Always }]).await
}

/// The repositories that have hooks of a credential, or may have: up to 100.
pub async fn noted(table: &impl Table, id: &CredentialId) -> Result<Vec<String>, TableError> {
    let query = Query::Partition { pk: credential_pk(id), prefix: NOTED.to_owned() };
    let page = table.query(&query, 100, None).await?;
    let repository = |key: &Key| key.sk.strip_prefix(NOTED).map(str::to_owned);
    Ok(page.items.iter().filter_map(|(key, _)| repository(key)).collect())
}

fn place_of(id: &CredentialId, repository: &str) -> Key {
    Key::new(credential_pk(id), format!("{NOTED}{repository}"))
}

fn key(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), "HOOK")
}

fn place(credential: &CredentialId, generation: u64) -> Place<'_> {
    Place { credential, field: Field::Hook, generation }
}
