//! The worker over ports in memory, with a Bitbucket sandbox of each test's own.

mod actions;
mod hooks;
mod lists;
mod missed;
mod repositories;
mod throughput;

use bucketwheel::bitbucket::{Api, Trust};
use bucketwheel::call::{CallId, Outcome};
use bucketwheel::credential::{Credential, CredentialId, Kind, Scopes};
use bucketwheel::memory::{MemoryEdge, MemoryQueue, MemoryTable};
use bucketwheel::metric::Tally;
use bucketwheel::ports::{Edge, Table};
use bucketwheel::rotation::Upkeep;
use bucketwheel::seal::Keyring;
use bucketwheel::store::budget::Limits;
use bucketwheel::store::calls::{self, Entry};
use bucketwheel::store::credentials;
use bucketwheel::store::tokens::{self, Rings, SealedPair};
use bucketwheel::token::{AccessToken, NEVER, TokenSet};
use bucketwheel_sandbox::{Behaviour, Sandbox, Served, Settings, seed};
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::work::Again;
use crate::{Learnt, Worker};

struct World {
    worker: Worker<MemoryTable, MemoryQueue, MemoryEdge>,
    sandbox: Served,
}

fn ring() -> Keyring {
    Keyring::parse(&SecretString::from(format!(r#"{{"k1":"{}"}}"#, "x".repeat(64)))).expect("a keyring")
}

impl World {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let sandbox = Sandbox::serve(listener, Settings::default()).expect("a sandbox");
        let worker = Worker {
            table: MemoryTable::default(),
            results: MemoryQueue::default(),
            events: Some(MemoryQueue::default()),
            nudges: MemoryQueue::default(),
            edge: MemoryEdge::new("2026-11-21T05:10:00Z".parse().expect("a time"), 7),
            access_ring: ring(),
            hook_ring: ring(),
            api: Api::new(sandbox.url().parse().expect("an address"), &Trust::default()).expect("a client"),
            public_url: "https://bw.example".parse().expect("an address"),
            limits: Limits { per_hour: 1_000 },
            learnt: Learnt::default(),
            tally: Tally::default(),
        };
        Self { worker, sandbox }
    }

    /// Sets how many requests an hour Bitbucket allows from now on.
    fn allow(&self, per_hour: u32) {
        let sandbox = self.sandbox.sandbox();
        sandbox.set_behaviour(Behaviour { rate_limit: per_hour, ..sandbox.behaviour() });
    }

    /// Lets time go by, here and at Bitbucket.
    fn advance(&self, by: SignedDuration) {
        self.worker.edge.advance(by);
        self.sandbox.sandbox().advance_clock(by.as_secs());
    }

    /// A credential of the workspace, with an access token of the sandbox.
    async fn connect(&self, id: &str, change: impl FnOnce(&mut Credential)) -> CredentialId {
        self.connect_with(id, seed::WORKSPACE_ACCESS_TOKEN, change).await
    }

    /// The same with another access token of the sandbox.
    async fn connect_with(
        &self,
        id: &str,
        token: &str,
        change: impl FnOnce(&mut Credential),
    ) -> CredentialId {
        let id: CredentialId = id.parse().expect("an id");
        let (now, ring) = (self.worker.edge.now(), ring());
        let set = TokenSet {
            access: AccessToken::new(SecretString::from(token)),
            refresh: None,
            expires_at: NEVER,
            scopes: Scopes::default(),
        };
        let pair =
            SealedPair::seal(Rings { access: &ring, refresh: &ring }, &id, 1, &set, None, [[0; 24]; 2]);
        let mut credential = Credential {
            kind: Kind::WorkspaceAccessToken,
            workspace: seed::WORKSPACE.to_owned(),
            granted: Scopes::default(),
            ..Credential::sample(id.clone(), now)
        };
        change(&mut credential);
        let tokens = tokens::connect(&id, &pair, None, Upkeep::Fixed, now, now);
        self.worker.table.write(vec![credentials::put(&credential), tokens]).await.expect("a write");
        id
    }

    async fn credential(&self, id: &CredentialId) -> Credential {
        credentials::get(&self.worker.table, id).await.expect("a read").expect("there")
    }

    /// Lets the worker visit a call in the background once.
    async fn visit(&self, id: &str, credential: &CredentialId, call: &Value) -> Result<(), Again> {
        self.receive(json!({"id": id, "credential": credential, "call": call, "priority": "background"}))
            .await
    }

    async fn receive(&self, mut message: Value) -> Result<(), Again> {
        message["reply"] = json!("store");
        let until = self.worker.edge.now() + SignedDuration::from_secs(60);
        self.worker.work(&message.to_string(), 1, until).await
    }

    /// Lets the worker carry out a call.
    async fn call(&self, id: &str, credential: &CredentialId, call: &Value) -> Outcome {
        self.visit(id, credential, call).await.expect("it ends");
        self.outcome(id).await
    }

    async fn outcome(&self, id: &str) -> Outcome {
        let id: CallId = id.parse().expect("an id");
        match calls::get(&self.worker.table, &id, self.worker.edge.now()).await.expect("a read") {
            Entry::Finished(outcome) => *outcome,
            other => panic!("{other:?}"),
        }
    }
}
