//! The outside of the simulated refreshers: a table, a token endpoint, queues and clocks, all of them bad.
//!
//! This file is long because every port draws its faults from the same dice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bucketwheel::call::{Answer, ApiPath};
use bucketwheel::credential::{CredentialId, Scopes};
use bucketwheel::memory::{MemoryQueue, MemoryTable};
use bucketwheel::ports::{
    Attributes, Cursor, Edge, Key, Outgoing, Page, Probe, Query, Queue, QueueError, Table, TableError,
    TokenEndpoint, Unasked, Write,
};
use bucketwheel::rotation::{SPEND, Terms};
use bucketwheel::seal::Keyring;
use bucketwheel::store::budget::Limits;
use bucketwheel::store::tokens;
use bucketwheel::token::{
    AccessToken, Authorization, ExchangeError, RefreshToken, Refusal, TokenError, TokenSet,
};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::Value;
use token_refresh::{Breaker, Refresher};
use tokio::sync::oneshot;

use super::{Tally, locked};
use crate::rotation_model::provider::{Answers, Provider, Variant};

/// Faults come in the first minutes; then there is time to recover.
pub(super) const FAULTS: i64 = 240;

#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)))
    }

    fn draw(&self) -> u64 {
        // SplitMix64.
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&self, sides: u64) -> u64 {
        self.draw() % sides
    }

    pub(super) fn hits(&self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub(super) fn one_of<T: Copy, const N: usize>(&self, these: [T; N]) -> T {
        these[usize::try_from(self.below(N as u64)).expect("a small number")]
    }
}

/// What all refreshers of one seed share.
pub(super) struct Shared {
    pub(super) dice: Dice,
    pub(super) began: tokio::time::Instant,
    pub(super) provider: Mutex<Provider>,
    pub(super) variant: Variant,
    pub(super) table: MemoryTable,
    /// What consumers were told of each credential: the ids of all events, and the state in the last. An event
    /// that is repeated has the same id, and they handle each id once.
    pub(super) heard: Mutex<BTreeMap<String, (BTreeSet<String>, String)>>,
    /// Until then the table does not answer, in seconds since the beginning.
    pub(super) table_back: i64,
    pub(super) tally: Mutex<Tally>,
    /// Refresh tokens that were sent and not answered yet.
    pub(super) under_way: Mutex<Vec<u8>>,
    /// The newest generation and consent of each chain, and which of the person's consents its token is of.
    pub(super) newest: Mutex<BTreeMap<CredentialId, (u64, u64, u8)>>,
    /// The first thing that must never happen and did.
    pub(super) breach: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn second(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_secs()).expect("a short simulation")
    }

    pub(super) fn faulty(&self) -> bool {
        self.second() < FAULTS
    }

    pub(super) fn breached(&self, what: String) {
        locked(&self.breach).get_or_insert(what);
    }

    pub(super) fn count(&self, what: impl FnOnce(&mut Tally)) {
        what(&mut locked(&self.tally));
    }

    /// A consumer reads an event of the queue.
    fn hear(&self, event: &str) {
        let event: Value = serde_json::from_str(event).expect("an event");
        let text = |name: &str| event[name].as_str().expect("a text").to_owned();
        let word = text("type").rsplit('.').next().expect("a word").to_owned();
        let mut heard = locked(&self.heard);
        let (ids, last) = heard.entry(text("subject")).or_default();
        if ids.insert(text("id")) {
            *last = word;
        }
    }

    pub(super) async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(self.dice.below(300))).await;
    }

    /// A call that hangs, now and then for longer than a lease lasts, or than Lambda lets a function live.
    async fn way(&self) {
        if self.faulty() && self.dice.hits(100) {
            self.count(|tally| tally.stalls += 1);
            tokio::time::sleep(Duration::from_secs(self.dice.below(130))).await;
        }
        self.pause().await;
    }

    fn away(&self) -> Result<(), TableError> {
        let gone = self.second() < self.table_back && self.second() >= 30;
        let away = gone || self.faulty() && self.dice.hits(25);
        if away { Err(TableError::Unavailable("throttled".into())) } else { Ok(()) }
    }

    /// A request on its way to Bitbucket and back, whatever becomes of who sent it.
    async fn request(self: Arc<Self>, token: u8, answer: oneshot::Sender<Option<u8>>) {
        if locked(&self.under_way).contains(&token) {
            self.breached(format!("token {token} is sent while it is under way"));
        }
        locked(&self.under_way).push(token);
        let there_and_back = async {
            self.pause().await;
            if self.faulty() && self.dice.hits(12) {
                return None;
            }
            self.count(|tally| tally.spends += 1);
            let spent = locked(&self.provider).spend(token, self.second(), &self.variant);
            let slow = self.faulty() && self.dice.hits(20);
            tokio::time::sleep(Duration::from_millis(self.dice.below(if slow { 30_000 } else { 300 }))).await;
            Some(spent).filter(|_| !self.faulty() || !self.dice.hits(8))
        };
        let answered = tokio::time::timeout(SPEND.unsigned_abs(), there_and_back).await;
        locked(&self.under_way).retain(|other| *other != token);
        if let Ok(Some(spent)) = answered {
            let _ = answer.send(spent);
        }
    }

    /// What must hold after each write to a chain.
    async fn watch(&self, write: &Write) {
        let Some(id) = write.key().pk.strip_prefix("CRED#").filter(|_| write.key().sk == "TOKENS") else {
            return;
        };
        let id: CredentialId = id.parse().expect("an id");
        let found = tokens::get(&self.table, &id).await.expect("read").expect("tokens");
        let chain = found.chain();
        if locked(&self.newest).get(&id).is_some_and(|newest| newest.0 == chain.generation) {
            return;
        }
        let consent = locked(&self.provider).of(number(found.refresh(&ring(), &id))).consent;
        let is = (chain.generation, chain.consent, consent);
        let was = locked(&self.newest).insert(id.clone(), is);
        if let Some(was) = was.filter(|was| is.0 <= was.0 || is.1 < was.1 || is.1 == was.1 && is.2 != was.2) {
            self.breached(format!("{id} went back from {was:?} to {is:?}"));
        }
    }
}

/// The table and the token endpoint, as one refresher reaches them.
#[derive(Clone)]
pub(super) struct World(pub(super) Arc<Shared>);

impl Table for World {
    async fn get(&self, key: &Key) -> Result<Option<Attributes>, TableError> {
        self.0.way().await;
        self.0.away()?;
        let found = self.0.table.get(key).await;
        self.0.pause().await;
        found
    }

    async fn query(&self, query: &Query, limit: u32, after: Option<&Cursor>) -> Result<Page, TableError> {
        self.0.pause().await;
        self.0.away()?;
        self.0.table.query(query, limit, after).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        self.0.way().await;
        self.0.away()?;
        let written = self.0.table.write(writes.clone()).await;
        if written.is_ok() {
            for write in &writes {
                self.0.watch(write).await;
            }
        }
        self.0.pause().await;
        if self.0.faulty() && self.0.dice.hits(25) {
            return Err(TableError::Unavailable("the acknowledgement was lost".into()));
        }
        written
    }

    async fn add(
        &self,
        key: &Key,
        attribute: &str,
        by: i64,
        set: Attributes,
    ) -> Result<Attributes, TableError> {
        self.0.pause().await;
        self.0.away()?;
        self.0.table.add(key, attribute, by, set).await
    }
}

impl TokenEndpoint for World {
    async fn refresh(&self, token: &RefreshToken, now: Timestamp) -> Result<TokenSet, ExchangeError> {
        let shared = &self.0;
        if shared.faulty() && shared.dice.hits(12) {
            return Err(ExchangeError::Unsent("no connection".into()));
        }
        let (send, answer) = oneshot::channel();
        tokio::task::spawn_local(shared.clone().request(token.reveal().parse().expect("a number"), send));
        match answer.await {
            Err(lost) => Err(ExchangeError::Lost(lost.into())),
            Ok(None) => Err(TokenError::Refused { status: 400, refusal: Refusal::Client }.into()),
            Ok(Some(next)) => Ok(set(Some(next).filter(|_| shared.variant.answers != Answers::NoToken), now)),
        }
    }

    async fn renew(&self, now: Timestamp) -> Result<TokenSet, ExchangeError> {
        Ok(set(None, now))
    }
}

/// A pair whose refresh token is a number of the simulated provider.
pub(super) fn set(token: Option<u8>, now: Timestamp) -> TokenSet {
    TokenSet {
        access: AccessToken::new(SecretString::from("access")),
        refresh: token.map(|token| RefreshToken::new(SecretString::from(token.to_string()))),
        expires_at: now + SignedDuration::from_hours(2),
        scopes: Scopes::default(),
    }
}

/// That number.
pub(super) fn number<E: std::fmt::Debug>(opened: Result<Option<RefreshToken>, E>) -> u8 {
    opened.expect("opens").expect("a refresh token").reveal().parse().expect("a token of ours")
}

/// A clock that is wrong by a fixed number of seconds.
pub(super) struct Clock {
    pub(super) shared: Arc<Shared>,
    pub(super) skew: i64,
}

pub(super) fn epoch() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

impl Edge for Clock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.shared.began.elapsed().as_millis()).expect("short");
        epoch() + SignedDuration::from_millis(elapsed) + SignedDuration::from_secs(self.skew)
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.chunks_mut(8).for_each(|chunk| {
            let drawn = self.shared.dice.draw().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        });
        bytes
    }
}

/// A queue that takes its time.
#[derive(Clone)]
pub(super) struct Slow(pub(super) MemoryQueue, pub(super) World);

impl Queue for Slow {
    async fn send(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        self.1.0.pause().await;
        // Events are grouped; of what goes to the refresh queue a refresher itself sends nothing but pairs.
        match message.group {
            Some(_) => self.1.0.hear(&message.body),
            None => self.1.0.count(|tally| tally.parked += 1),
        }
        self.0.send(message).await
    }
}

impl Probe for World {
    async fn probe(&self, _: &Authorization, _: &ApiPath) -> Result<Answer, Unasked> {
        unreachable!("no credential of the simulation was made by hand")
    }
}

pub(super) fn ring() -> Keyring {
    Keyring::parse(&SecretString::from(format!(r#"{{"k1":"{}"}}"#, "x".repeat(64)))).expect("a keyring")
}

/// Everything as an operator gets it who changes no setting.
pub(super) fn terms() -> Terms {
    Terms::with_grace(SignedDuration::from_mins(8))
}

pub(super) type Simulated = Refresher<World, Slow, Clock, World, World>;

pub(super) fn refresher(world: &World, parking: &MemoryQueue, skew: i64) -> Simulated {
    Refresher {
        table: world.clone(),
        events: Slow(MemoryQueue::default(), world.clone()),
        parking: Slow(parking.clone(), world.clone()),
        edge: Clock { shared: world.0.clone(), skew },
        oauth: world.clone(),
        api: world.clone(),
        limits: Limits { per_hour: 1_000 },
        access_ring: ring(),
        refresh_ring: ring(),
        public_url: "https://bw.example".parse().expect("a URL"),
        terms: terms(),
        breaker: Breaker::default(),
    }
}
