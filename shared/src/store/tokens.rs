//! `CRED#id/TOKENS`: the sealed pair and the state of its chain.
//!
//! One item is written by three: a connect, a claim and a commit (or settlement). Each carries the
//! condition that makes the others safe. A connect raises the generation, so that a refresh which is
//! under way finds its own commit refused.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::keys::Change;
use super::{credential_pk, from_attributes, to_attributes};
use crate::credential::CredentialId;
use crate::ports::{Attributes, Condition, Cursor, Key, Query, Table, TableError, Write};
use crate::rotation::{Chain, Claim, Intent, Lease, Settlement, Terms, due_at};
use crate::seal::{Field, Keyring, NONCE_LEN, OpenError, Place, Sealed};
use crate::token::{AccessToken, RefreshToken, TokenSet};

const TOKENS: &str = "TOKENS";
/// Over how many partitions of the index `due` the credentials are spread.
pub const SHARDS: u8 = 4;

/// The item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    generation: u64,
    access: Sealed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh: Option<Sealed>,
    expires_at_ms: i64,
    refreshed_at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent_since_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent_attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_until_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused_at_ms: Option<i64>,
    /// Nobody can renew it, so that it is not due is no end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    kept: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_shard: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<i64>,
}

/// A pair, sealed for one generation.
#[derive(Debug, Clone)]
pub struct SealedPair {
    generation: u64,
    access: Sealed,
    refresh: Option<Sealed>,
    expires_at: Timestamp,
}

/// The two rings that hold a pair.
#[derive(Debug, Clone, Copy)]
pub struct Rings<'a> {
    /// For access tokens.
    pub access: &'a Keyring,
    /// For refresh tokens.
    pub refresh: &'a Keyring,
}

impl SealedPair {
    /// Seals what the token endpoint gave. `kept` is the refresh token that stays if it gave none.
    pub fn seal(
        rings: Rings<'_>,
        credential: &CredentialId,
        generation: u64,
        set: &TokenSet,
        kept: Option<&RefreshToken>,
        nonces: [[u8; NONCE_LEN]; 2],
    ) -> Self {
        let place = |field| Place { credential, field, generation };
        let access = rings.access.seal(set.access.reveal().as_bytes(), place(Field::Access), nonces[0]);
        let refresh = set.refresh.as_ref().or(kept);
        let refresh = refresh
            .map(|token| rings.refresh.seal(token.reveal().as_bytes(), place(Field::Refresh), nonces[1]));
        Self { generation, access, refresh, expires_at: set.expires_at }
    }
}

impl Tokens {
    /// The chain's state.
    pub fn chain(&self) -> Chain {
        Chain {
            generation: self.generation,
            expires_at: time(self.expires_at_ms),
            refreshed_at: time(self.refreshed_at_ms),
            intent: self.intent_id.clone().map(|id| Intent {
                id,
                first_spent_at: time(self.intent_since_ms.unwrap_or_default()),
                attempts: self.intent_attempts.unwrap_or_default(),
            }),
            lease: self
                .lease_owner
                .clone()
                .map(|owner| Lease { owner, until: time(self.lease_until_ms.unwrap_or_default()) }),
            refused_at: self.refused_at_ms.map(time),
            ended: self.due_at.is_none() && !self.kept,
        }
    }

    /// Whether this is the pair that was to be stored: how a writer finds out that a write took place
    /// whose acknowledgement was lost.
    pub fn is(&self, pair: &SealedPair) -> bool {
        self.generation == pair.generation && self.access == pair.access
    }

    /// The access token.
    pub fn access(&self, ring: &Keyring, id: &CredentialId) -> Result<AccessToken, OpenError> {
        let place = Place { credential: id, field: Field::Access, generation: self.generation };
        ring.open_text(&self.access, place).map(AccessToken::new)
    }

    /// The ids of the keys that sealed the access token and the refresh token.
    pub fn key_ids(&self) -> (Option<&str>, Option<&str>) {
        (self.access.key_id(), self.refresh.as_ref().and_then(Sealed::key_id))
    }

    /// The tokens that are not sealed by the newest keys, sealed by those.
    pub fn resealed(
        &self,
        rings: Rings<'_>,
        id: &CredentialId,
        nonce: impl Fn() -> [u8; NONCE_LEN],
    ) -> Result<Vec<Change>, OpenError> {
        let refresh = self.refresh.as_ref().map(|sealed| ("refresh", Field::Refresh, rings.refresh, sealed));
        let mut changes = Vec::new();
        for (name, field, ring, sealed) in
            [("access", Field::Access, rings.access, &self.access)].into_iter().chain(refresh)
        {
            let place = Place { credential: id, field, generation: self.generation };
            if let Some(after) = ring.reseal(sealed, place, nonce())? {
                changes.push(Change { field: name, before: sealed.clone(), after });
            }
        }
        Ok(changes)
    }

    /// The refresh token, if the credential has one.
    pub fn refresh(&self, ring: &Keyring, id: &CredentialId) -> Result<Option<RefreshToken>, OpenError> {
        let place = Place { credential: id, field: Field::Refresh, generation: self.generation };
        self.refresh.as_ref().map(|sealed| ring.open_text(sealed, place).map(RefreshToken::new)).transpose()
    }
}

/// Reads a credential's tokens.
pub async fn get(table: &impl Table, id: &CredentialId) -> Result<Option<Tokens>, TableError> {
    table.get(&key(id)).await?.map(from_attributes).transpose()
}

/// The write that stores the pair of a connect, on the condition that the generation is still `before`
/// (none for a new credential).
pub fn connect(
    id: &CredentialId,
    pair: &SealedPair,
    before: Option<u64>,
    now: Timestamp,
    terms: &Terms,
) -> Write {
    let condition = match before {
        None => Condition::Absent,
        Some(generation) => Condition::Equals("generation", Value::from(generation)),
    };
    let attributes = to_attributes(&fresh(id, pair, now, terms));
    Write::Put { key: key(id), attributes, condition }
}

/// The write that stores a token which nobody can renew, on the same condition as [`connect`]. It is never
/// due.
pub fn keep(
    id: &CredentialId,
    pair: &SealedPair,
    before: Option<u64>,
    now: Timestamp,
    terms: &Terms,
) -> Write {
    let mut write = connect(id, pair, before, now, terms);
    if let Write::Put { attributes, .. } = &mut write {
        attributes.remove("due_shard");
        attributes.remove("due_at");
        attributes.insert("kept".to_owned(), Value::from(true));
    }
    write
}

/// Writes a claim.
pub async fn claim(
    table: &impl Table,
    id: &CredentialId,
    claim: &Claim,
    now: Timestamp,
) -> Result<(), TableError> {
    let free = Condition::Any(vec![
        Condition::Lacks("lease_until_ms"),
        Condition::AtMost("lease_until_ms", now.as_millisecond()),
    ]);
    let unchanged = Condition::Equals("generation", Value::from(claim.generation));
    let set = attributes(json!({
        "intent_id": claim.intent.id,
        "intent_since_ms": claim.intent.first_spent_at.as_millisecond(),
        "intent_attempts": claim.intent.attempts,
        "lease_owner": claim.lease.owner,
        "lease_until_ms": claim.lease.until.as_millisecond(),
    }));
    let condition = Condition::All(vec![unchanged, free]);
    table.write(vec![Write::Update { key: key(id), set, remove: Vec::new(), condition }]).await
}

/// Stores the pair that a claim bought.
pub async fn commit(
    table: &impl Table,
    id: &CredentialId,
    claim: &Claim,
    pair: &SealedPair,
    now: Timestamp,
    terms: &Terms,
) -> Result<(), TableError> {
    let attributes = to_attributes(&fresh(id, pair, now, terms));
    table.write(vec![Write::Put { key: key(id), attributes, condition: mine(claim) }]).await
}

/// Gives a claim back without a new pair. The intent stays: the token may have been spent.
pub async fn settle(
    table: &impl Table,
    id: &CredentialId,
    claim: &Claim,
    settlement: &Settlement,
) -> Result<(), TableError> {
    let mut set = Attributes::new();
    let mut remove = vec!["lease_owner", "lease_until_ms"];
    if let Some(refused_at) = settlement.refused_at {
        set.insert("refused_at_ms".to_owned(), Value::from(refused_at.as_millisecond()));
    }
    match settlement.due_at {
        Some(due_at) => {
            set.insert("due_at".to_owned(), Value::from(due_at.as_millisecond()));
        }
        None => remove.extend(["due_shard", "due_at"]),
    }
    table.write(vec![Write::Update { key: key(id), set, remove, condition: mine(claim) }]).await
}

/// Reads the credentials of one shard whose time has come, the earliest first.
pub async fn due(
    table: &impl Table,
    shard: u8,
    now: Timestamp,
    limit: u32,
    after: Option<&Cursor>,
) -> Result<(Vec<CredentialId>, Option<Cursor>), TableError> {
    let query = Query::Due { shard: shard_name(shard), until: now.as_millisecond() };
    let page = table.query(&query, limit, after).await?;
    let id = |key: &Key| key.pk.strip_prefix("CRED#").and_then(|id| id.parse().ok());
    let ids = page.items.iter().filter_map(|(key, _)| id(key)).collect();
    Ok((ids, page.next))
}

fn fresh(id: &CredentialId, pair: &SealedPair, now: Timestamp, terms: &Terms) -> Tokens {
    Tokens {
        generation: pair.generation,
        access: pair.access.clone(),
        refresh: pair.refresh.clone(),
        expires_at_ms: pair.expires_at.as_millisecond(),
        refreshed_at_ms: now.as_millisecond(),
        intent_id: None,
        intent_since_ms: None,
        intent_attempts: None,
        lease_owner: None,
        lease_until_ms: None,
        refused_at_ms: None,
        kept: false,
        due_shard: Some(shard_name(shard_of(id))),
        due_at: Some(due_at(pair.expires_at, terms).as_millisecond()),
    }
}

fn mine(claim: &Claim) -> Condition {
    Condition::All(vec![
        Condition::Equals("generation", Value::from(claim.generation)),
        Condition::Equals("intent_id", Value::from(claim.intent.id.as_str())),
    ])
}

fn attributes(value: Value) -> Attributes {
    let Value::Object(attributes) = value else { unreachable!("attributes are an object") };
    attributes
}

/// Spreads credentials evenly and always alike.
fn shard_of(id: &CredentialId) -> u8 {
    let sum = id.as_str().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    sum % SHARDS
}

fn shard_name(shard: u8) -> String {
    format!("DUE#{shard}")
}

fn key(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), TOKENS)
}

fn time(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::UNIX_EPOCH)
}
