//! `CRED#id/HOOK`: the secrets that deliveries to a credential's address are signed with.
//!
//! All hooks of one credential share its address and so its secret. The item exists before a hook is
//! registered at Bitbucket, since the first delivery may come at once.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{credential_pk, from_attributes, to_attributes};
use crate::credential::CredentialId;
use crate::ports::{Condition, Key, Table, TableError, Write};
use crate::seal::{Field, Keyring, NONCE_LEN, OpenError, Place, Sealed};
use crate::signature::HookSecret;

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

fn key(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), "HOOK")
}

fn place(credential: &CredentialId, generation: u64) -> Place<'_> {
    Place { credential, field: Field::Hook, generation }
}
