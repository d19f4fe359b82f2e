//! The whole router over ports in memory, as a browser or a program meets it.

mod api;
mod entry;
mod forms;
mod hooks;
mod life;
mod pages;
mod queues;

use axum::body::{Body, to_bytes};
use bucketwheel::credential::{Credential, Kind, Scopes, Sight, Status};
use bucketwheel::memory::{MemoryBacklog, MemoryEdge, MemoryQueue, MemoryTable};
use bucketwheel::ports::{Edge, Table};
use bucketwheel::rotation::Upkeep;
use bucketwheel::seal::Keyring;
use bucketwheel::store::budget::Limits;
use bucketwheel::store::tokens::{Rings, SealedPair};
use bucketwheel::store::{credentials, tokens};
use bucketwheel::token::{AccessToken, TokenSet};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::session::Operator;
use super::{Console, CredentialId, LONGEST_BODY, Operators, Queues, Router, router, session};

const TOKEN: &str = "operator-token-of-the-tests";
const BEARER: (HeaderName, &str) = (AUTHORIZATION, "Bearer operator-token-of-the-tests");

struct World {
    table: MemoryTable,
    calls: MemoryQueue,
    nudges: MemoryQueue,
    events: MemoryBacklog,
    dead_calls: MemoryBacklog,
    edge: MemoryEdge,
    router: Router,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }

    fn json(&self) -> Value {
        assert_eq!(self.header(CONTENT_TYPE), "application/json", "{}", self.text);
        serde_json::from_str(&self.text).expect("JSON")
    }

    fn error(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["cause"].is_string() && error["resolution"].is_string(), "{error}");
        error["code"].as_str().expect("a code").to_owned()
    }
}

impl World {
    fn new() -> Self {
        let (table, calls, nudges) = (MemoryTable::default(), MemoryQueue::default(), MemoryQueue::default());
        let edge = MemoryEdge::new("2026-11-21T05:10:00Z".parse().expect("a time"), 7);
        let (events, dead_calls) = (MemoryBacklog::ordered(), MemoryBacklog::default());
        let queues = Queues {
            events: events.clone(),
            calls: dead_calls.clone(),
            results: MemoryBacklog::default(),
            refresh: MemoryBacklog::default(),
            gitops: Some(MemoryBacklog::ordered()),
            changes: None,
            edge: edge.clone(),
        };
        let console = Console {
            table: table.clone(),
            calls: calls.clone(),
            nudges: nudges.clone(),
            gitops: Some(nudges.clone()),
            edge: edge.clone(),
            operators: operators(),
            doubt: session::Doubt::default(),
            public_url: "https://bw.example".parse().expect("an address"),
            limits: Limits { per_hour: 1_000 },
        };
        let router = router(console, queues);
        Self { table, calls, nudges, events, dead_calls, edge, router }
    }

    async fn send(&self, method: Method, uri: &str, headers: &[(HeaderName, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8(bytes.to_vec()).expect("a text");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// As a stranger.
    async fn knock(&self, method: Method, uri: &str) -> Answer {
        self.send(method, uri, &[], String::new()).await
    }

    /// As an operator in a browser.
    async fn look(&self, uri: &str) -> Answer {
        let cookie = format!("{}={}", session::COOKIE, operator().sign(self.edge.now()));
        self.send(Method::GET, uri, &[(COOKIE, &cookie)], String::new()).await
    }

    /// As a program.
    async fn get(&self, uri: &str) -> Answer {
        self.send(Method::GET, uri, &[BEARER], String::new()).await
    }

    /// As a program.
    async fn post(&self, uri: &str, body: impl Into<String>) -> Answer {
        self.send(Method::POST, uri, &[BEARER], body.into()).await
    }

    async fn connected(&self, id: &str, label: &str) -> CredentialId {
        let id: CredentialId = id.parse().expect("an id");
        let now = self.edge.now();
        let ring = Keyring::parse(&SecretString::from(format!(r#"{{"k1":"{}"}}"#, "x".repeat(64))))
            .expect("a keyring");
        let set = TokenSet {
            access: AccessToken::new(SecretString::from("hush")),
            refresh: None,
            expires_at: now + SignedDuration::from_hours(2),
            scopes: Scopes::default(),
        };
        let rings = Rings { access: &ring, refresh: &ring };
        let pair = SealedPair::seal(rings, &id, 1, &set, None, [[0; 24]; 2]);
        let due = now + SignedDuration::from_mins(100);
        let credential = Credential { label: label.to_owned(), ..Credential::sample(id.clone(), now) };
        let line = credentials::Audit {
            actor: "link".to_owned(),
            action: "connected".to_owned(),
            note: String::new(),
            at: now,
            request: String::new(),
        };
        let mut writes = vec![
            credentials::put(&credential),
            tokens::connect(&id, &pair, None, Upkeep::Hot, now, due),
            credentials::audit_line(&id, &line, self.edge.random()),
        ];
        writes.extend(credentials::lookups(&credential));
        self.table.write(writes).await.expect("a write");
        id
    }
}

fn operator() -> Operator {
    Operator::new(SecretString::from(TOKEN)).expect("a token")
}

/// The token of the tests never changes.
fn operators() -> Operators {
    Operators::new(operator(), || Box::pin(async { Ok(operator()) }))
}
