//! What the tests play with: a table that counts, a token endpoint that fails as it is told, a clock.
//!
//! This file is long because the ports and the vocabulary of the tests share one world.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bucketwheel::call::{Answer, ApiPath};
use bucketwheel::credential::{Credential, CredentialId, Health, Kind, Scopes, Status};
use bucketwheel::memory::{MemoryEdge, MemoryQueue, MemoryTable};
use bucketwheel::ports::{
    Attributes, Condition, Cursor, Edge, Key, Page, Probe, Query, Table, TableError, TokenEndpoint, Unasked,
    Write,
};
use bucketwheel::rotation::{Chain, Terms, Upkeep};
use bucketwheel::seal::Keyring;
use bucketwheel::store::budget::Limits;
use bucketwheel::store::credentials;
use bucketwheel::store::tokens::{self, Rings, SealedPair};
use bucketwheel::token::{
    AccessToken, Authorization, ExchangeError, RefreshToken, Refusal, TokenError, TokenSet, read_answer,
};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{Breaker, Refresher, Report};

/// How the token endpoint fails for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The answer never comes, and nobody knows whether the token was spent.
    Lost,
    /// The answer is a page.
    Page,
    /// `unauthorized_client`.
    Refused,
    /// `invalid_client`.
    Stranger,
}

/// The table, counting what is read. No write to a chain goes past it without a condition.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    pub(super) table: MemoryTable,
    pub(super) requests: Arc<AtomicUsize>,
    pub(super) rows: Arc<AtomicUsize>,
    /// What was read and written, and what the token endpoint was asked, in order.
    log: Arc<Mutex<Vec<String>>>,
}

impl Counted {
    fn count(&self, rows: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    fn logs(&self, what: &str, key: &Key) {
        locked(&self.log).push(format!("{what} {}", key.sk));
    }
}

impl Table for Counted {
    async fn get(&self, key: &Key) -> Result<Option<Attributes>, TableError> {
        self.count(1);
        self.logs("get", key);
        self.table.get(key).await
    }

    async fn query(&self, query: &Query, limit: u32, after: Option<&Cursor>) -> Result<Page, TableError> {
        let page = self.table.query(query, limit, after).await?;
        self.count(page.items.len());
        Ok(page)
    }

    async fn add(&self, key: &Key, name: &str, by: i64, set: Attributes) -> Result<Attributes, TableError> {
        self.count(0);
        self.table.add(key, name, by, set).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        self.count(0);
        for write in &writes {
            self.logs("write", write.key());
            let (Write::Put { condition, .. }
            | Write::Update { condition, .. }
            | Write::Delete { condition, .. }) = write;
            assert!(write.key().sk != "TOKENS" || *condition != Condition::Always, "{write:?}");
        }
        self.table.write(writes).await
    }
}

/// The token endpoint. A token is called `credential.generation`; its successor is the next.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    faults: Arc<Mutex<BTreeMap<String, Fault>>>,
    /// For everybody who has none of their own.
    outage: Arc<Mutex<Option<Fault>>>,
    spends: Arc<Mutex<Vec<String>>>,
    /// How many are at it now, and the most that ever were.
    now: Arc<(AtomicUsize, AtomicUsize)>,
    /// How many seconds an answer takes.
    seconds: Arc<AtomicI64>,
    /// The table stops to answer as soon as a token is spent.
    cuts: Arc<AtomicBool>,
    table: MemoryTable,
    edge: MemoryEdge,
    log: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    async fn answer(&self, asked: &str, next: Option<RefreshToken>) -> Result<TokenSet, ExchangeError> {
        locked(&self.spends).push(asked.to_owned());
        locked(&self.log).push("spend".to_owned());
        let (now, most) = &*self.now;
        most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        now.fetch_sub(1, Ordering::Relaxed);
        self.edge.advance(SignedDuration::from_secs(self.seconds.load(Ordering::Relaxed)));
        if self.cuts.load(Ordering::Relaxed) {
            self.table.set_down(true);
        }
        let name = asked.split('.').next().unwrap_or_default();
        let fault = locked(&self.faults).get(name).copied().or(*locked(&self.outage));
        let refused = |refusal| Err(TokenError::Refused { status: 400, refusal }.into());
        match fault {
            None => Ok(set(&format!("access to {name}"), next, self.edge.now(), LIFETIME)),
            Some(Fault::Lost) => Err(ExchangeError::Lost("lost".into())),
            Some(Fault::Page) => Ok(read_answer(200, b"<html>", self.edge.now())?),
            Some(Fault::Refused) => refused(Refusal::Client),
            Some(Fault::Stranger) => refused(Refusal::Consumer),
        }
    }
}

impl TokenEndpoint for Endpoint {
    async fn refresh(&self, token: &RefreshToken, _: Timestamp) -> Result<TokenSet, ExchangeError> {
        let (name, generation) = token.reveal().split_once('.').expect("a token of ours");
        let generation: u64 = generation.parse().expect("a number");
        let next = RefreshToken::new(SecretString::from(format!("{name}.{}", generation + 1)));
        self.answer(token.reveal(), Some(next)).await
    }

    async fn renew(&self, _: Timestamp) -> Result<TokenSet, ExchangeError> {
        self.answer("consumer", None).await
    }
}

/// The API: what it answers to each token, as status and body.
#[derive(Debug, Clone, Default)]
pub(super) struct Api {
    answers: Arc<Mutex<BTreeMap<String, (u16, &'static str)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Probe for Api {
    async fn probe(&self, authorization: &Authorization, path: &ApiPath) -> Result<Answer, Unasked> {
        let token = authorization.token().reveal().to_owned();
        locked(&self.asked).push(format!("{token} {}", path.as_str()));
        match locked(&self.answers).get(&token) {
            None => Ok(Answer { status: 200, ..Answer::default() }),
            Some((0, _)) => Err(Unasked("no connection".into())),
            Some((status, body)) => {
                Ok(Answer { status: *status, body: body.as_bytes().to_vec(), ..Answer::default() })
            }
        }
    }
}

/// Seconds that an access token lives.
const LIFETIME: i64 = 7_200;

fn set(access: &str, refresh: Option<RefreshToken>, now: Timestamp, seconds: i64) -> TokenSet {
    TokenSet {
        access: AccessToken::new(SecretString::from(access)),
        refresh,
        expires_at: now + SignedDuration::from_secs(seconds),
        scopes: Scopes::default(),
    }
}

pub(super) struct World {
    pub(super) table: Counted,
    pub(super) events: MemoryQueue,
    pub(super) parking: MemoryQueue,
    pub(super) edge: MemoryEdge,
    pub(super) endpoint: Endpoint,
    pub(super) api: Api,
    pub(super) refresher: Refresher<Counted, MemoryQueue, MemoryEdge, Endpoint, Api>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let edge = MemoryEdge::new("2026-11-21T05:00:00Z".parse().expect("a time"), seed);
        let (table, events, parking) = (Counted::default(), MemoryQueue::default(), MemoryQueue::default());
        let endpoint = Endpoint {
            faults: Arc::default(),
            outage: Arc::default(),
            spends: Arc::default(),
            now: Arc::default(),
            seconds: Arc::default(),
            cuts: Arc::default(),
            table: table.table.clone(),
            edge: edge.clone(),
            log: table.log.clone(),
        };
        let api = Api::default();
        let refresher = Refresher {
            api: api.clone(),
            limits: Limits { per_hour: 1_000 },
            table: table.clone(),
            events: events.clone(),
            parking: parking.clone(),
            edge: edge.clone(),
            oauth: endpoint.clone(),
            access_ring: ring(),
            refresh_ring: ring(),
            public_url: "https://bw.example".parse().expect("an address"),
            terms: Terms::with_grace(SignedDuration::from_mins(8)),
            breaker: Breaker::default(),
        };
        Self { table, events, parking, edge, endpoint, api, refresher }
    }

    /// A credential whose access token lives for so many seconds more.
    pub(super) async fn connect(&self, name: &str, kind: Kind, upkeep: Upkeep, seconds: i64) {
        let id: CredentialId = name.parse().expect("an id");
        let now = self.edge.now();
        let refresh = upkeep.spends().then(|| RefreshToken::new(SecretString::from(format!("{name}.1"))));
        let set = set(&format!("token of {name}"), refresh, now, seconds);
        let ring = ring();
        let rings = Rings { access: &ring, refresh: &ring };
        let pair = SealedPair::seal(rings, &id, 1, &set, None, [[1; 24]; 2]);
        let due = bucketwheel::rotation::due_at(upkeep, now, set.expires_at, &self.refresher.terms);
        let credential = Credential { kind, resource: "r".to_owned(), ..Credential::sample(id.clone(), now) };
        let tokens = tokens::connect(&id, &pair, None, upkeep, now, due);
        self.table.write(vec![tokens, credentials::put(&credential)]).await.expect("connected");
    }

    /// Credentials of people whose access tokens end soon, so that they are due.
    pub(super) async fn connect_due(&self, names: impl IntoIterator<Item = String>) {
        for name in names {
            self.connect(&name, Kind::OauthUser, Upkeep::Hot, 1_190).await;
        }
    }

    pub(super) fn fails(&self, name: &str, fault: Option<Fault>) {
        match fault {
            Some(fault) => drop(locked(&self.endpoint.faults).insert(name.to_owned(), fault)),
            None => drop(locked(&self.endpoint.faults).remove(name)),
        }
    }

    /// What the API answers to a credential's token from now on; status 0 is no answer.
    pub(super) fn is_answered(&self, name: &str, status: u16, body: &'static str) {
        locked(&self.api.answers).insert(format!("token of {name}"), (status, body));
    }

    /// What the API was asked since the last look: token and path.
    pub(super) fn probes(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.api.asked))
    }

    pub(super) fn all_fail(&self, fault: Option<Fault>) {
        *locked(&self.endpoint.outage) = fault;
    }

    pub(super) fn a_spend_cuts_the_table_off(&self, cuts: bool) {
        self.endpoint.cuts.store(cuts, Ordering::Relaxed);
    }

    pub(super) fn each_takes(&self, seconds: i64) {
        self.endpoint.seconds.store(seconds, Ordering::Relaxed);
    }

    pub(super) async fn disable(&self, name: &str) {
        let status = Status { health: Health::Disabled, cause: None, since: self.edge.now() };
        let change = credentials::disable(&self.credential(name).await, &status);
        self.table.write(vec![change]).await.expect("written");
    }

    pub(super) async fn enable(&self, name: &str) {
        let change = credentials::enable(&self.credential(name).await, &Status::up(self.edge.now()));
        self.table.write(vec![change]).await.expect("written");
    }

    /// Makes a chain's item one that nobody can read.
    pub(super) async fn spoil(&self, name: &str) {
        let key = Key::new(format!("CRED#{name}"), "TOKENS");
        let set = Attributes::from_iter([("generation".to_owned(), json!("?"))]);
        let spoilt = Write::Update { key, set, remove: Vec::new(), condition: Condition::Present };
        self.table.write(vec![spoilt]).await.expect("written");
    }

    pub(super) async fn sweep(&self) -> Report {
        self.sweep_for(86_400).await
    }

    /// A sweep that Lambda ends after so many seconds.
    pub(super) async fn sweep_for(&self, seconds: i64) -> Report {
        self.handle(&json!({ "source": "aws.scheduler" }), seconds).await
    }

    pub(super) async fn nudge(&self, body: &Value) -> Report {
        self.handle(&message(body), 86_400).await
    }

    pub(super) async fn handle(&self, event: &Value, seconds: i64) -> Report {
        self.refresher.handle(event, self.edge.now() + SignedDuration::from_secs(seconds)).await
    }

    pub(super) async fn minute(&self) -> Report {
        self.edge.advance(SignedDuration::from_mins(1));
        self.sweep().await
    }

    pub(super) async fn chain(&self, name: &str) -> Chain {
        let id = name.parse().expect("an id");
        tokens::get(&self.table, &id).await.expect("a read").expect("tokens").chain()
    }

    pub(super) async fn credential(&self, name: &str) -> Credential {
        let id = name.parse().expect("an id");
        credentials::get(&self.table, &id).await.expect("a read").expect("a credential")
    }

    /// The state, with its cause if there is one.
    pub(super) async fn state(&self, name: &str) -> String {
        let status = self.credential(name).await.status;
        let cause = status.cause.map(|cause| format!(": {}", cause.code())).unwrap_or_default();
        format!("{}{cause}", status.health.word())
    }

    /// The types of the events since the last look, without what all have in common.
    pub(super) fn told(&self) -> Vec<String> {
        let words = self.events.take().into_iter().map(|message| {
            let event: Value = serde_json::from_str(&message.body).expect("an event");
            let word = event["type"].as_str().and_then(|of| of.strip_prefix("org.bucketwheel.credential."));
            let (whose, word) = (event["subject"].as_str().expect("whose"), word.expect("ours"));
            let cause = event["data"]["cause"]["code"].as_str().map(|code| format!(": {code}"));
            format!("{whose} {word}{}", cause.unwrap_or_default())
        });
        words.collect()
    }

    /// Every token that was spent, in order.
    pub(super) fn spends(&self) -> Vec<String> {
        locked(&self.endpoint.spends).clone()
    }

    /// What was read, written and spent since the last look, in order.
    pub(super) fn log(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.table.log))
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.endpoint.now.1.load(Ordering::Relaxed)
    }
}

/// An event with one message of the refresh queue.
pub(super) fn message(body: &Value) -> Value {
    json!({ "Records": [{ "messageId": "m", "body": body.to_string() }] })
}

pub(super) fn names(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("{prefix}-{n}"))
}

fn ring() -> Keyring {
    Keyring::parse(&SecretString::from(format!(r#"{{"k1":"{}"}}"#, "x".repeat(64)))).expect("a keyring")
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
