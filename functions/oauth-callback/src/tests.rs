//! The whole function over ports in memory, with a Bitbucket sandbox of each test's own, as a browser
//! meets it.

mod consent;
mod entry;
mod follow;

use axum::serve;
use bucketwheel::bitbucket::{Api, Consumer, Oauth, Trust};
use bucketwheel::connect::{Link, Ticket};
use bucketwheel::credential::{Credential, CredentialId, Kind, Scopes};
use bucketwheel::memory::{MemoryEdge, MemoryQueue, MemoryTable};
use bucketwheel::ports::{Attributes, Edge, Key, Queue, Table};
use bucketwheel::seal::Keyring;
use bucketwheel::store::{connects, credentials};
use bucketwheel_sandbox::person::{Decision, Person, Visit};
use bucketwheel_sandbox::{ConsumerSettings, Sandbox, Served, Settings, seed};
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{Connect, router};

struct World<T = MemoryTable> {
    table: T,
    edge: MemoryEdge,
    base: String,
    sandbox: Served,
}

impl World {
    async fn new() -> Self {
        Self::with(MemoryTable::default(), seed::CONSUMER_SECRET, None).await
    }
}

impl<T: Table + Clone + 'static> World<T> {
    /// A world whose function knows this consumer secret, and whose consumer has this callback URL.
    async fn with(table: T, secret: &str, callback: Option<&str>) -> Self {
        Self::over(table, MemoryQueue::default(), secret, callback).await
    }

    /// The same over a calls queue.
    async fn over(table: T, calls: impl Queue + 'static, secret: &str, callback: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let callback = callback.map_or_else(|| format!("{base}/oauth/callback"), str::to_owned);
        let consumer = ConsumerSettings {
            key: seed::CONSUMER_KEY.to_owned(),
            secret: seed::CONSUMER_SECRET.to_owned(),
            name: "Bucketwheel".to_owned(),
            callback_urls: vec![callback],
            ..ConsumerSettings::default()
        };
        let settings = Settings { consumers: vec![consumer], ..Settings::default() };
        let at = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let sandbox = Sandbox::serve(at, settings).expect("a sandbox");
        let bitbucket: url::Url = sandbox.url().parse().expect("an address");
        let edge = MemoryEdge::new("2026-11-21T05:00:00Z".parse().expect("a time"), 3);
        let ring = || {
            let text = format!(r#"{{"k0001":"{}"}}"#, "x".repeat(64));
            Keyring::parse(&SecretString::from(text)).expect("a keyring")
        };
        let consumer =
            Consumer { key: seed::CONSUMER_KEY.to_owned(), secret: SecretString::from(secret.to_owned()) };
        let connect = Connect {
            table: table.clone(),
            calls,
            edge: edge.clone(),
            access_ring: ring(),
            refresh_ring: ring(),
            oauth: Oauth::new(bitbucket.clone(), consumer, &Trust::default()).expect("a client"),
            api: Api::new(bitbucket, &Trust::default()).expect("a client"),
            public_url: base.parse().expect("an address"),
        };
        tokio::spawn(async move { serve(listener, router(connect)).await });
        Self { table, edge, base, sandbox }
    }

    /// Sets switches of the sandbox.
    fn behave(&self, switches: &Value) {
        let mut behaviour = json!(self.sandbox.sandbox().behaviour());
        for (name, value) in switches.as_object().expect("switches") {
            behaviour[name] = value.clone();
        }
        self.sandbox.sandbox().set_behaviour(serde_json::from_value(behaviour).expect("switches"));
    }

    /// A link for a credential, and its address.
    async fn link(&self, credential: &str, change: impl FnOnce(&mut Link)) -> String {
        let mut link = Link::sample(id(credential), self.edge.now() + SignedDuration::from_hours(24));
        change(&mut link);
        let ticket = Ticket::new(self.edge.random());
        self.table.write(vec![connects::offer(&ticket, &link)]).await.expect("a link");
        format!("{}/connect/{}", self.base, ticket.reveal())
    }

    fn ada(&self) -> Person {
        Person::new(seed::ADA_UUID).expect("a browser")
    }

    /// Opens a link, consents, and gives where that led.
    async fn consent(&self, person: &mut Person, link: &str) -> Visit {
        let page = person.open(link).await.expect("the consent page");
        person.decide(&page, Decision::Grant).await.expect("back")
    }

    async fn credential(&self, credential: &str) -> Option<Credential> {
        credentials::get(&self.table, &id(credential)).await.expect("a read")
    }

    async fn tokens(&self, credential: &str) -> Option<Attributes> {
        self.table.get(&Key::new(format!("CRED#{credential}"), "TOKENS")).await.expect("a read")
    }
}

fn id(text: &str) -> CredentialId {
    text.parse().expect("an id")
}

fn failure(visit: &Visit) -> String {
    visit.parameter("bitbucket_error").unwrap_or_else(|| format!("none, but {}", visit.url))
}

fn generation(tokens: Option<Attributes>) -> Option<u64> {
    tokens.and_then(|tokens| tokens["generation"].as_u64())
}

fn as_value(attributes: Attributes) -> Value {
    Value::Object(attributes)
}
