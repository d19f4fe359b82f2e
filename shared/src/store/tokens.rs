//! `CRED#id/TOKENS`: the sealed pair and the state of its chain.
//!
//! One item is written by three: a connect, a claim and what ends a claim. Each carries the condition
//! that makes the others safe, and none compares two clocks. A connect raises the generation, so that a
//! refresh which is under way finds its own commit refused.
//!
//! This file is long because whoever changes one of these conditions must see the others.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::keys::Change;
use super::{credential_pk, from_attributes};
use crate::credential::{CredentialId, Health, Scopes};
use crate::ports::{Attributes, Condition, Cursor, Key, Query, Table, TableError, Write};
use crate::rotation::{
    Chain, Claim, Intent, Lease, Origin, Present, Probed, RunId, Settlement, Spare, Terms, Upkeep, later,
};
use crate::seal::{Field, Keyring, NONCE_LEN, OpenError, Place, Sealed};
use crate::token::{AccessToken, RefreshToken, TokenSet};

const TOKENS: &str = "TOKENS";
/// Due by any clock.
const AT_ONCE: Timestamp = Timestamp::UNIX_EPOCH;
/// Over how many partitions of the index `due` the credentials are spread.
pub const SHARDS: u8 = 4;

/// The item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    generation: u64,
    consent: u64,
    #[serde(default)]
    upkeep: Upkeep,
    access: Sealed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh: Option<Sealed>,
    expires_at_ms: i64,
    refreshed_at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent_id: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent_since_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent_attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_owner: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_until_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probed_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spare: Option<SealedPair>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spare_generation: Option<u64>,
    #[serde(default)]
    spare_attempt: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    spare_refused: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ended: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    troubled_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_shard: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<i64>,
}

/// What a claim writes, and what goes when it ends.
const INTENT: [&str; 3] = ["intent_id", "intent_since_ms", "intent_attempts"];
const LEASE: [&str; 2] = ["lease_owner", "lease_until_ms"];
const SPARE: [&str; 4] = ["spare", "spare_generation", "spare_attempt", "spare_refused"];

/// What people were last told of a chain, as against how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// No trouble.
    Well,
    /// Trouble. Until it is over, each sweep tries.
    Troubled,
    /// Trouble, and since then the chain was refreshed: somebody stored the pair and did not live to tell.
    Outdated,
}

/// A pair, sealed for one generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPair {
    generation: u64,
    access: Sealed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh: Option<Sealed>,
    expires_at: Timestamp,
}

/// A message of the refresh queue: a pair that was bought while the table did not answer. It holds no
/// token in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Whose.
    pub credential: CredentialId,
    /// Where it comes from.
    pub origin: Origin,
    /// The pair, sealed for the generation after its origin's.
    pub pair: SealedPair,
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

    /// When its access token dies.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The same pair sealed again for another generation, and with the newest keys.
    pub fn reseal(
        &self,
        rings: Rings<'_>,
        credential: &CredentialId,
        generation: u64,
        nonces: [[u8; NONCE_LEN]; 2],
    ) -> Result<Self, OpenError> {
        let place = |field| Place { credential, field, generation: self.generation };
        let refresh = self.refresh.as_ref().map(|r| rings.refresh.open_text(r, place(Field::Refresh)));
        let set = TokenSet {
            access: AccessToken::new(rings.access.open_text(&self.access, place(Field::Access))?),
            refresh: refresh.transpose()?.map(RefreshToken::new),
            expires_at: self.expires_at,
            scopes: Scopes::default(),
        };
        Ok(Self::seal(rings, credential, generation, &set, None, nonces))
    }
}

impl Tokens {
    /// The chain's state.
    pub fn chain(&self) -> Chain {
        Chain {
            generation: self.generation,
            consent: self.consent,
            upkeep: self.upkeep,
            expires_at: time(self.expires_at_ms),
            refreshed_at: time(self.refreshed_at_ms),
            intent: self.intent_id.map(|id| Intent {
                id,
                first_spent_at: time(self.intent_since_ms.unwrap_or_default()),
                attempts: self.intent_attempts.unwrap_or_default(),
            }),
            lease: self
                .lease_owner
                .map(|owner| Lease { owner, until: time(self.lease_until_ms.unwrap_or_default()) }),
            refused_at: self.refused_at_ms.map(time),
            spare: self.spare_generation.map(|generation| Spare {
                generation,
                attempt: self.spare_attempt,
                refused: self.spare_refused,
            }),
            ended: self.ended,
        }
    }

    /// Where the index `due` shows it.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.due_at.map(time)
    }

    /// When a token that was made by hand was last tried.
    pub fn probed_at(&self) -> Option<Timestamp> {
        self.probed_at_ms.map(time)
    }

    /// What people were last told, as against how the chain stands.
    pub fn shown(&self, now: Timestamp) -> Shown {
        let Chain { intent, refused_at, ended, expires_at, .. } = self.chain();
        let at_rest = intent.is_none() && refused_at.is_none() && !ended && expires_at > now;
        match self.troubled_at {
            None => Shown::Well,
            Some(at) if at < self.generation && at_rest => Shown::Outdated,
            Some(_) => Shown::Troubled,
        }
    }

    /// At which generation trouble was noted whose end has not been told.
    pub fn troubled_at(&self) -> Option<u64> {
        self.troubled_at
    }

    /// Whether this is the pair that was to be stored: how a writer finds out that a write took place
    /// whose acknowledgement was lost.
    pub fn is(&self, pair: &SealedPair) -> bool {
        self.generation == pair.generation && self.access == pair.access
    }

    /// The chain's own pair.
    pub fn pair(&self) -> SealedPair {
        SealedPair {
            generation: self.generation,
            access: self.access.clone(),
            refresh: self.refresh.clone(),
            expires_at: time(self.expires_at_ms),
        }
    }

    /// The pair that is kept beside the chain's own.
    pub fn spare(&self) -> Option<&SealedPair> {
        self.spare.as_ref()
    }

    /// The access token.
    pub fn access(&self, ring: &Keyring, id: &CredentialId) -> Result<AccessToken, OpenError> {
        let place = Place { credential: id, field: Field::Access, generation: self.generation };
        ring.open_text(&self.access, place).map(AccessToken::new)
    }

    /// The boxes with access tokens, and those with refresh tokens: the pair's and the spare's.
    pub fn boxes(&self) -> (impl Iterator<Item = &Sealed>, impl Iterator<Item = &Sealed>) {
        let spare = self.spare.as_ref();
        let access = std::iter::once(&self.access).chain(spare.map(|spare| &spare.access));
        let refresh = self.refresh.iter().chain(spare.and_then(|spare| spare.refresh.as_ref()));
        (access, refresh)
    }

    /// The tokens that are not sealed by the newest keys, sealed by those. A spare is left as it is: it is
    /// gone with the next commit, and its key stays in use until then.
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
/// (none for a new credential). Who connects again may have been told of trouble, so the news is owed that
/// there is none.
pub fn connect(
    id: &CredentialId,
    pair: &SealedPair,
    before: Option<u64>,
    upkeep: Upkeep,
    now: Timestamp,
    due_at: Timestamp,
) -> Write {
    let condition = match before {
        None => Condition::Absent,
        Some(generation) => Condition::Equals("generation", Value::from(generation)),
    };
    let mut attributes = stored(id, pair, now, due_at);
    attributes.insert("consent".to_owned(), Value::from(pair.generation));
    attributes.insert("upkeep".to_owned(), json!(upkeep));
    attributes.extend(before.map(|generation| ("troubled_at".to_owned(), Value::from(generation))));
    Write::Put { key: key(id), attributes, condition }
}

/// Writes a claim: the intent, before anything is sent, and the lease.
pub async fn claim(table: &impl Table, id: &CredentialId, claim: &Claim) -> Result<(), TableError> {
    let unchanged = match claim.over {
        None => Condition::Lacks("intent_id"),
        Some(over) => Condition::Equals("intent_id", json!(over)),
    };
    let set = attributes(json!({
        "intent_id": claim.intent.id,
        "intent_since_ms": claim.intent.first_spent_at.as_millisecond(),
        "intent_attempts": claim.intent.attempts,
        "lease_owner": claim.lease.owner,
        "lease_until_ms": claim.lease.until.as_millisecond(),
        "due_shard": shard_name(shard_of(id)),
        "due_at": claim.due_at.as_millisecond(),
    }));
    let condition =
        Condition::All(vec![Condition::Equals("generation", Value::from(claim.generation)), unchanged]);
    table.write(vec![Write::Update { key: key(id), set, remove: Vec::new(), condition }]).await
}

/// Stores the pair that was bought under a claim, at once or after it was parked. A kept pair stays: it may
/// be a sibling of this one. Where people were told of trouble, the pair is due at once and not at `due_at`:
/// whoever stores it owes the news that the trouble is over, and may die before it can tell. The table is asked
/// for it, since somebody may have told since the chain was read.
pub async fn commit(
    table: &impl Table,
    id: &CredentialId,
    origin: &Origin,
    pair: &SealedPair,
    now: Timestamp,
    due_at: Timestamp,
) -> Result<(), TableError> {
    let remove = [&INTENT[..], &LEASE, &["refused_at_ms", "ended"]].concat();
    let write = |due_at, condition| {
        let set = stored(id, pair, now, due_at);
        table.write(vec![Write::Update { key: key(id), set, remove: remove.clone(), condition }])
    };
    let well = Condition::All(vec![mine(origin), Condition::Lacks("troubled_at")]);
    match write(due_at, well).await {
        Err(TableError::Refused) => write(AT_ONCE, mine(origin)).await,
        written => written,
    }
}

/// Keeps a pair that came too late to be committed, beside its sibling or beside the token that bought
/// it. Nobody can tell which of two siblings Bitbucket still accepts, so neither is thrown away. There is
/// room for one: it is refused where a [better](Chain::keeps_better) one is kept. A chain that had been
/// given up is taken up again.
pub async fn keep(
    table: &impl Table,
    id: &CredentialId,
    origin: &Origin,
    pair: &SealedPair,
) -> Result<(), TableError> {
    let at = |generation| Condition::Equals("generation", Value::from(generation));
    let near = Condition::Any(vec![at(origin.generation), at(origin.generation + 1)]);
    let consent = Condition::Equals("consent", Value::from(origin.consent));
    let near = Condition::All(vec![consent, near, no_better_is_kept(origin)]);
    let kept = Spare { generation: pair.generation, attempt: origin.attempt, refused: false };
    let mut set = spare(pair, kept);
    let alive = Condition::All(vec![near.clone(), Condition::Lacks("ended")]);
    let kept = Write::Update { key: key(id), set: set.clone(), remove: Vec::new(), condition: alive };
    match table.write(vec![kept]).await {
        Err(TableError::Refused) => {}
        written => return written,
    }
    set.extend(due_at_once(id));
    let given_up = Condition::All(vec![near, Condition::Equals("ended", Value::from(true))]);
    table.write(vec![Write::Update { key: key(id), set, remove: vec!["ended"], condition: given_up }]).await
}

/// What a promotion moves: all sealed for the generation after the claim's, but `spare`. Where the present
/// pair is kept as the better one, it is sealed for one generation more, as a successor is.
#[derive(Debug)]
pub struct Promotion {
    /// The kept pair as it lies in the table.
    pub spare: SealedPair,
    /// The kept pair, which becomes the chain's own.
    pub pair: SealedPair,
    /// The chain's own pair, if it is kept instead.
    pub kept: Option<SealedPair>,
    /// What is known of it.
    pub present: Present,
}

/// Makes the kept pair the chain's own, if it is still the one that is kept. It is due at once: its next
/// refresh shows whether it still works.
pub async fn promote(
    table: &impl Table,
    id: &CredentialId,
    claim: &Claim,
    promotion: &Promotion,
    now: Timestamp,
    terms: &Terms,
) -> Result<(), TableError> {
    let pair = SealedPair { expires_at: now, ..promotion.pair.clone() };
    let mut set = stored(id, &pair, now, claim.due_at);
    let mut remove = [&INTENT[..], &LEASE, &["refused_at_ms", "ended"]].concat();
    match promotion.kept.as_ref().zip(promotion.present.as_spare(claim.generation)) {
        Some((pair, kept)) => set.extend(spare(pair, kept)),
        None => remove.extend(SPARE),
    }
    if let Present::BothRefused(at) = promotion.present {
        remove.retain(|name| *name != "refused_at_ms");
        set.insert("refused_at_ms".to_owned(), Value::from(at.as_millisecond()));
        set.insert("due_at".to_owned(), Value::from(later(at, terms.lockout).as_millisecond()));
    }
    let unchanged = Condition::Equals("spare", json!(promotion.spare));
    let condition = Condition::All(vec![mine(&claim.origin()), unchanged]);
    table.write(vec![Write::Update { key: key(id), set, remove, condition }]).await
}

fn spare(pair: &SealedPair, kept: Spare) -> Attributes {
    attributes(json!({
        "spare": pair,
        "spare_generation": kept.generation,
        "spare_attempt": kept.attempt,
        "spare_refused": kept.refused,
    }))
}

fn no_better_is_kept(than: &Origin) -> Condition {
    let number = |of: u64| i64::try_from(of).unwrap_or(i64::MAX);
    let same = Condition::Equals("spare_generation", Value::from(than.generation + 1));
    let later = |at_most| Condition::Any(vec![Condition::Lacks("spare_attempt"), at_most]);
    Condition::Any(vec![
        Condition::Lacks("spare_generation"),
        Condition::AtMost("spare_generation", number(than.generation)),
        Condition::All(vec![same, later(Condition::AtMost("spare_attempt", than.attempt.into()))]),
    ])
}

/// Gives a claim back without a new pair. Where the token may have been spent, the intent stays. A chain
/// that ends stays in the index until [`rest`].
pub async fn settle(
    table: &impl Table,
    id: &CredentialId,
    claim: &Claim,
    settlement: &Settlement,
) -> Result<(), TableError> {
    let mut set = attributes(json!({ "due_at": settlement.due_at.as_millisecond() }));
    let mut remove = LEASE.to_vec();
    match settlement.refused_at {
        Some(at) => drop(set.insert("refused_at_ms".to_owned(), Value::from(at.as_millisecond()))),
        None => remove.push("refused_at_ms"),
    }
    match claim.over {
        None if settlement.unspent => remove.extend(INTENT),
        Some(_) if settlement.unspent => {
            set.insert("intent_attempts".to_owned(), Value::from(claim.intent.attempts - 1));
        }
        _ => {}
    }
    let mut condition = vec![mine(&claim.origin())];
    if settlement.ended {
        set.insert("ended".to_owned(), Value::from(true));
        // A pair may have been kept since the chain was read.
        condition.push(nothing_kept(claim));
    }
    let condition = Condition::All(condition);
    table.write(vec![Write::Update { key: key(id), set, remove, condition }]).await
}

fn nothing_kept(claim: &Claim) -> Condition {
    let older = i64::try_from(claim.generation).unwrap_or(i64::MAX).saturating_sub(1);
    Condition::Any(vec![Condition::Lacks("spare_generation"), Condition::AtMost("spare_generation", older)])
}

/// Takes a chain that has ended out of the index, once everybody has been told.
pub async fn rest(table: &impl Table, id: &CredentialId, generation: u64) -> Result<(), TableError> {
    let at = Condition::Equals("generation", Value::from(generation));
    let condition = Condition::All(vec![at, Condition::Equals("ended", Value::from(true))]);
    let remove = vec!["due_shard", "due_at"];
    table.write(vec![Write::Update { key: key(id), set: Attributes::new(), remove, condition }]).await
}

/// Notes, before anybody is told, that people are about to be told of trouble, and makes the chain due at once if
/// it is to be tried again. So whoever tells and dies leaves word that the end of the trouble must be told too.
pub async fn troubled(
    table: &impl Table,
    id: &CredentialId,
    generation: u64,
    tried_again: bool,
) -> Result<(), TableError> {
    let mut set = attributes(json!({ "troubled_at": generation }));
    if tried_again {
        set.extend(due_at_once(id));
    }
    let condition = Condition::Equals("generation", Value::from(generation));
    table.write(vec![Write::Update { key: key(id), set, remove: Vec::new(), condition }]).await
}

/// A write that changes nothing of the chain and is refused unless it is at `generation`: what the telling
/// of a status adds, which must not come after a reconnect. It notes whether the status is good: the note of
/// trouble goes, if it is the one that was known. Another one is of somebody who is about to tell.
pub(super) fn told(id: &CredentialId, generation: u64, health: Health, noted: Option<u64>) -> Write {
    let mut condition = vec![Condition::Equals("generation", Value::from(generation))];
    let (mut set, mut remove) = (Attributes::new(), Vec::new());
    match health {
        Health::Degraded | Health::Down => drop(set.insert("troubled_at".to_owned(), generation.into())),
        Health::Up | Health::Disabled => {
            remove.push("troubled_at");
            condition.push(match noted {
                Some(at) => Condition::Equals("troubled_at", Value::from(at)),
                None => Condition::Lacks("troubled_at"),
            });
        }
    }
    Write::Update { key: key(id), set, remove, condition: Condition::All(condition) }
}

/// Puts a chain off that is not due, so that it is not looked at each minute. It stays where it is if somebody
/// has begun to work on it since it was read, for an open intent must be found by whoever looks next; or has
/// told that it is in trouble, for the end of that must be told too.
pub async fn postpone(
    table: &impl Table,
    id: &CredentialId,
    generation: u64,
    due_at: Timestamp,
) -> Result<(), TableError> {
    let mut at_rest = vec![Condition::Equals("generation", Value::from(generation))];
    at_rest.extend(["lease_owner", "intent_id", "refused_at_ms", "troubled_at"].map(Condition::Lacks));
    let set = attributes(json!({ "due_at": due_at.as_millisecond() }));
    let condition = Condition::All(at_rest);
    table.write(vec![Write::Update { key: key(id), set, remove: Vec::new(), condition }]).await
}

/// Stores what a probe found, on the condition that the token is still the one that was tried, and that
/// nobody else has found something meanwhile.
pub async fn probed(
    table: &impl Table,
    id: &CredentialId,
    chain: &Chain,
    probed: &Probed,
    now: Timestamp,
) -> Result<(), TableError> {
    let refused_at = |of: Option<Timestamp>| of.map(|at| Value::from(at.as_millisecond()));
    let unchanged = match refused_at(chain.refused_at) {
        Some(at) => Condition::Equals("refused_at_ms", at),
        None => Condition::Lacks("refused_at_ms"),
    };
    let at = Condition::Equals("generation", Value::from(chain.generation));
    let mut set = attributes(json!({
        "due_shard": shard_name(shard_of(id)),
        "due_at": probed.due_at.as_millisecond(),
        "probed_at_ms": now.as_millisecond(),
    }));
    let mut remove = Vec::new();
    match refused_at(probed.refused_at) {
        Some(at) => drop(set.insert("refused_at_ms".to_owned(), at)),
        None => remove.push("refused_at_ms"),
    }
    match probed.ended {
        true => drop(set.insert("ended".to_owned(), Value::from(true))),
        false => remove.push("ended"),
    }
    let condition = Condition::All(vec![at, unchanged]);
    table.write(vec![Write::Update { key: key(id), set, remove, condition }]).await
}

/// The write by which a person says how a chain is kept alive. When it is due is for the refresher to find
/// out, who is at it maybe.
pub fn keep_as(id: &CredentialId, generation: u64, upkeep: Upkeep) -> Write {
    amended(id, generation, json!({ "upkeep": upkeep }), Vec::new())
}

/// The write by which a person says when a token expires that was made by hand. It may be tried at once,
/// however lately it was.
pub fn expires_at(id: &CredentialId, generation: u64, expires_at: Timestamp) -> Write {
    amended(id, generation, json!({ "expires_at_ms": expires_at.as_millisecond() }), vec!["probed_at_ms"])
}

fn amended(id: &CredentialId, generation: u64, set: Value, remove: Vec<&'static str>) -> Write {
    let condition = Condition::Equals("generation", Value::from(generation));
    Write::Update { key: key(id), set: attributes(set), remove, condition }
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

/// The attributes of a pair that is stored now. How it is kept alive is not among them: a person may have
/// changed that since the claim.
fn stored(id: &CredentialId, pair: &SealedPair, now: Timestamp, due_at: Timestamp) -> Attributes {
    let mut set = attributes(json!({
        "generation": pair.generation,
        "access": pair.access,
        "expires_at_ms": pair.expires_at.as_millisecond(),
        "refreshed_at_ms": now.as_millisecond(),
        "due_shard": shard_name(shard_of(id)),
        "due_at": due_at.as_millisecond(),
    }));
    if let Some(refresh) = &pair.refresh {
        set.insert("refresh".to_owned(), json!(refresh));
    }
    set
}

/// The claim still stands.
fn mine(origin: &Origin) -> Condition {
    Condition::All(vec![
        Condition::Equals("generation", Value::from(origin.generation)),
        Condition::Equals("intent_id", json!(origin.intent)),
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

fn due_at_once(id: &CredentialId) -> Attributes {
    attributes(json!({ "due_shard": shard_name(shard_of(id)), "due_at": AT_ONCE.as_millisecond() }))
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
