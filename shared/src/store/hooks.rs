//! `CRED#id/HOOK`: the hooks of a credential, and the secrets that deliveries to its address are signed with.
//!
//! All hooks of one credential share its address and so its secret. The item exists before a hook is
//! registered at Bitbucket, since the first delivery may come at once.
//!
//! A rotation stores the new secret beside the old one, tells Bitbucket, and drops the old one once the new
//! one has been seen and [`KEPT`] has passed. Each step is found in the item, so whoever comes next goes on
//! where the last one stopped.

mod attached;
mod by_hand;
mod stand_in;

pub use attached::Attached;
pub use by_hand::UnderWay;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{credential_pk, from_attributes, to_attributes};
use crate::credential::CredentialId;
use crate::event::{Filter, Filters, HookFilter};
use crate::ports::{Attributes, Condition, Key, Table, TableError, Write};
use crate::seal::{Field, Keyring, NONCE_LEN, OpenError, Place, Sealed};
use crate::signature::HookSecret;

/// How long the old secret is accepted at least. Deliveries under way carry the old signature, and a
/// person may have Bitbucket send one again.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24);

const REVISION: &str = "revision";
const MATCHED: &str = "matched";

/// The sealed secrets, the newest first, and the hooks that use them. A second secret is the one before,
/// while deliveries signed with it may still come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSecrets {
    /// The secrets with their versions.
    pub secrets: Vec<SealedSecret>,
    /// When the newest secret was made; long ago in items from before this was noted.
    #[serde(default)]
    pub made_at: Timestamp,
    /// The version that a delivery was last seen to be signed with, as far as that mattered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<u64>,
    /// The hooks.
    #[serde(default)]
    pub hooks: Vec<Attached>,
    /// Which deliveries are wanted, from whichever hook.
    #[serde(default)]
    pub filter: Filter,
    #[serde(default)]
    revision: u64,
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
    pub fn first(
        ring: &Keyring,
        id: &CredentialId,
        secret: &SecretString,
        nonce: [u8; NONCE_LEN],
        now: Timestamp,
    ) -> Self {
        let mut first = Self::unmade();
        first.make(ring, id, secret, nonce, now);
        first
    }

    /// A credential's hooks before there is a secret: what is wanted can be written down already.
    pub fn unmade() -> Self {
        let (secrets, hooks, filter) = (Vec::new(), Vec::new(), Filter::default());
        Self { secrets, made_at: Timestamp::UNIX_EPOCH, matched: None, hooks, filter, revision: 0 }
    }

    /// Makes the first secret, unless there is one.
    pub fn make(
        &mut self,
        ring: &Keyring,
        id: &CredentialId,
        secret: &SecretString,
        nonce: [u8; NONCE_LEN],
        now: Timestamp,
    ) {
        if self.secrets.is_empty() {
            self.secrets.push(sealed(ring, id, 1, secret, nonce));
            self.made_at = now;
        }
    }

    /// The newest secret's version.
    pub fn newest(&self) -> u64 {
        self.secrets.iter().map(|secret| secret.version).max().unwrap_or_default()
    }

    /// Begins a rotation, unless one is under way: there are never more than two secrets.
    pub fn rotate(
        &mut self,
        ring: &Keyring,
        id: &CredentialId,
        secret: &SecretString,
        nonce: [u8; NONCE_LEN],
        now: Timestamp,
    ) -> bool {
        if self.secrets.len() != 1 {
            return false;
        }
        self.secrets.insert(0, sealed(ring, id, self.newest() + 1, secret, nonce));
        self.made_at = now;
        true
    }

    /// Drops the old secret if it has served: every hook has the new one, a delivery signed with the new
    /// one has come, and [`KEPT`] has passed.
    pub fn retire(&mut self, now: Timestamp) {
        let newest = self.newest();
        // A match does not say which hook it was of. Beside others, one made by hand may still have the old.
        let sure = self.hooks.len() == 1 || !self.by_hand();
        let has_it = |hook: &Attached| hook.registered == newest || self.has_stand_ins(&hook.subject);
        let registered = sure && self.hooks.iter().all(has_it);
        let kept = now.duration_since(self.made_at) >= KEPT;
        if registered && kept && self.matched == Some(newest) {
            self.secrets.retain(|secret| secret.version == newest);
        }
    }

    /// Whether it should be noted that a delivery was signed with this version.
    pub fn awaits(&self, version: u64) -> bool {
        self.secrets.len() > 1 && version == self.newest() && self.matched != Some(version)
    }

    /// The hook of a subject; made if there is none.
    pub fn attach(&mut self, subject: &str, events: &[String]) {
        match self.hooks.iter_mut().find(|hook| hook.subject == subject) {
            Some(hook) => {
                (hook.events, hook.by_hand, hook.stands_in_for) = (events.to_vec(), false, None);
            }
            None => self.hooks.push(Attached::new(subject, events)),
        }
    }

    /// Forgets the hook of a subject, with those that stand in for it.
    pub fn detach(&mut self, subject: &str) {
        self.hooks.retain(|hook| hook.subject != subject && hook.stands_in_for.as_deref() != Some(subject));
    }

    /// Which deliveries are wanted.
    pub fn filters(&self) -> Filters {
        let of_hook = |hook: &Attached| {
            let (hook_id, events, filter) = (hook.uuid.clone()?, hook.events.clone(), hook.filter.clone());
            Some(HookFilter { hook_id, events, filter })
        };
        Filters { own: self.filter.clone(), hooks: self.hooks.iter().filter_map(of_hook).collect() }
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
        Ok(Self { secrets: anew.collect::<Result<_, _>>()?, ..self.clone() })
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

/// Seals a secret under its version.
pub fn sealed(
    ring: &Keyring,
    id: &CredentialId,
    version: u64,
    secret: &SecretString,
    nonce: [u8; NONCE_LEN],
) -> SealedSecret {
    SealedSecret { version, secret: ring.seal(secret.expose_secret().as_bytes(), place(id, version), nonce) }
}

/// Reads a credential's hooks.
pub async fn get(table: &impl Table, id: &CredentialId) -> Result<Option<HookSecrets>, TableError> {
    table.get(&key(id)).await?.map(from_attributes).transpose()
}

/// Stores a credential's first hooks; refused if it has some.
pub async fn put_first(
    table: &impl Table,
    id: &CredentialId,
    secrets: &HookSecrets,
) -> Result<(), TableError> {
    let attributes = to_attributes(secrets);
    table.write(vec![Write::Put { key: key(id), attributes, condition: Condition::Absent }]).await
}

/// Stores what became of hooks that were read; refused if they have changed meanwhile.
pub async fn replace(
    table: &impl Table,
    id: &CredentialId,
    hooks: &mut HookSecrets,
) -> Result<(), TableError> {
    let write = replacing(id, hooks);
    table.write(vec![write]).await
}

/// The write of [`replace`]; of hooks that were not read but made, if there are none.
pub fn replacing(id: &CredentialId, hooks: &mut HookSecrets) -> Write {
    let condition = unchanged(hooks);
    hooks.revision += 1;
    Write::Put { key: key(id), attributes: to_attributes(hooks), condition }
}

/// Notes that a delivery was signed with this version.
pub async fn matched(table: &impl Table, id: &CredentialId, version: u64) -> Result<(), TableError> {
    let mut set = Attributes::new();
    set.insert(MATCHED.to_owned(), json!(version));
    let write = Write::Update { key: key(id), set, remove: Vec::new(), condition: Condition::Present };
    table.write(vec![write]).await
}

/// Forgets the hooks and their secrets; refused if they have changed meanwhile.
pub async fn remove(table: &impl Table, id: &CredentialId, hooks: &HookSecrets) -> Result<(), TableError> {
    let condition = unchanged(hooks);
    table.write(vec![Write::Delete { key: key(id), condition }]).await
}

/// Items from before there were revisions have none.
fn unchanged(hooks: &HookSecrets) -> Condition {
    let same = Condition::Equals(REVISION, Value::from(hooks.revision));
    if hooks.revision > 0 { same } else { Condition::Any(vec![same, Condition::Lacks(REVISION)]) }
}

fn key(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), "HOOK")
}

fn place(credential: &CredentialId, generation: u64) -> Place<'_> {
    Place { credential, field: Field::Hook, generation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_secret_goes_when_every_hook_has_the_new_one_it_was_seen_and_a_day_has_passed() {
        let ring = SecretString::from(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#);
        let ring = Keyring::parse(&ring).expect("a ring");
        let (id, secret) = ("c1".parse().expect("an id"), SecretString::from("s"));
        let at = |hour: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        let mut stored = HookSecrets::first(&ring, &id, &secret, [0; NONCE_LEN], at(0));
        stored.attach("w/r", &["repo:push".to_owned()]);
        assert!(stored.rotate(&ring, &id, &secret, [1; NONCE_LEN], at(10)));
        assert!(!stored.rotate(&ring, &id, &secret, [2; NONCE_LEN], at(11)), "one at a time");
        let left = |registered, matched, hour| {
            let mut stored = stored.clone();
            (stored.hooks[0].registered, stored.matched) = (registered, matched);
            stored.retire(at(hour));
            stored.secrets.iter().map(|secret| secret.version).collect::<Vec<_>>()
        };
        assert_eq!(left(2, Some(2), 34), [2]);
        assert_eq!(left(2, Some(2), 33), [2, 1], "a day has not passed");
        assert_eq!(left(1, Some(2), 34), [2, 1], "Bitbucket may still sign with the old one");
        assert_eq!(left(2, Some(1), 34), [2, 1], "the new one was not seen");
        assert_eq!(left(2, None, 34), [2, 1], "the new one was not seen");
    }
}
