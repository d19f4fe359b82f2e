//! Which keys still seal something in the table, and sealing it anew. Walks the listings of credentials and
//! of parked deliveries: no scan. Pairs that are parked on the refresh queue are not seen from here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::hooks::{self, HookSecrets};
use super::tokens::{self, Rings};
use super::{credential_pk, credentials, deliveries, to_attributes};
use crate::credential::CredentialId;
use crate::ports::{Attributes, Condition, Cursor, Key, Table, TableError, Write};
use crate::seal::{Keyring, NONCE_LEN, OpenError, Sealed};
use crate::store::credentials::Which;

/// How many values each key seals, by its id.
pub type Counts = BTreeMap<String, usize>;

/// What the keys of the three rings seal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Access tokens, API tokens.
    pub access: Counts,
    /// Refresh tokens.
    pub refresh: Counts,
    /// Hook secrets, and deliveries that wait in the table for the events queue.
    pub hook: Counts,
}

/// Why something was not sealed anew.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The table did not do it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// What is there cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Counts what each key seals. What is stored while this runs may be missed, so a key is dropped only after
/// it has stopped sealing.
pub async fn usage(table: &impl Table) -> Result<Usage, TableError> {
    let mut usage = Usage::default();
    deliveries::keys(table).await?.iter().for_each(|id| count(&mut usage.hook, Some(id)));
    let mut after: Option<Cursor> = None;
    loop {
        let (page, next) = credentials::list(table, Which::All, 100, after.as_ref()).await?;
        for credential in page {
            if let Some(found) = tokens::get(table, &credential.id).await? {
                let (access, refresh) = found.boxes();
                access.for_each(|sealed| count(&mut usage.access, sealed.key_id()));
                refresh.for_each(|sealed| count(&mut usage.refresh, sealed.key_id()));
            }
            if let Some(found) = hooks::get(table, &credential.id).await? {
                found.secrets.iter().for_each(|one| count(&mut usage.hook, one.secret.key_id()));
            }
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(usage),
        }
    }
}

fn count(counts: &mut Counts, key_id: Option<&str>) {
    if let Some(id) = key_id {
        *counts.entry(id.to_owned()).or_default() += 1;
    }
}

/// Seals a credential's tokens and hook secrets with the newest keys, where they are not. Gives how many
/// values that were. A value that changes at the same time is sealed by whoever changes it, and is left.
pub async fn reseal(
    table: &impl Table,
    id: &CredentialId,
    rings: Rings<'_>,
    hook_ring: &Keyring,
    nonce: impl Fn() -> [u8; NONCE_LEN],
) -> Result<usize, ResealError> {
    let mut sealed = 0;
    if let Some(found) = tokens::get(table, id).await? {
        let changes = found.resealed(rings, id, &nonce)?;
        let unchanged: Vec<_> =
            changes.iter().map(|change| Condition::Equals(change.field, json!(change.before))).collect();
        let set: Attributes =
            changes.iter().map(|change| (change.field.to_owned(), json!(change.after))).collect();
        sealed += replace(table, id, "TOKENS", set, Condition::All(unchanged)).await?;
    }
    if let Some(found) = hooks::get(table, id).await? {
        let anew = found.resealed(hook_ring, id, &nonce)?;
        if anew != found {
            let unchanged = Condition::Equals("secrets", secrets(&found));
            let set = Attributes::from_iter([("secrets".to_owned(), secrets(&anew))]);
            sealed += replace(table, id, "HOOK", set, unchanged).await?;
        }
    }
    Ok(sealed)
}

/// A field that is sealed anew.
#[derive(Debug)]
pub struct Change {
    /// The attribute.
    pub field: &'static str,
    /// The box that is there.
    pub before: Sealed,
    /// The box that takes its place.
    pub after: Sealed,
}

async fn replace(
    table: &impl Table,
    id: &CredentialId,
    sk: &str,
    set: Attributes,
    condition: Condition,
) -> Result<usize, TableError> {
    let values = set.len();
    if values == 0 {
        return Ok(0);
    }
    let key = Key::new(credential_pk(id), sk);
    match table.write(vec![Write::Update { key, set, remove: Vec::new(), condition }]).await {
        Ok(()) => Ok(values),
        Err(TableError::Refused) => Ok(0),
        Err(error) => Err(error),
    }
}

fn secrets(of: &HookSecrets) -> Value {
    to_attributes(of).remove("secrets").unwrap_or_default()
}
