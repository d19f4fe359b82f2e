mod answers;
mod hostile;
mod ledger;
mod outages;
mod wanted;
mod world;

use bucketwheel::memory::{MemoryEdge, MemoryKeys, MemoryQueue, MemoryTable};
use bucketwheel::ports::Key;
use bucketwheel::seal::{Keyring, NONCE_LEN};
use bucketwheel::signature::{Claimed, sign, verify};
use bucketwheel::store::hooks::{self, HookSecrets, put_first};
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;

const RING: &str = r#"{"k0001":"0123456789abcdef0123456789abcdef"}"#;

type Memory = Ingest<MemoryTable, MemoryQueue, MemoryKeys, MemoryEdge>;

fn ring() -> Keyring {
    Keyring::parse(&SecretString::from(RING)).expect("a ring")
}

fn secret() -> SecretString {
    SecretString::from("hook secret")
}

/// An ingest that knows no hook, and what it works on.
struct Ports {
    table: MemoryTable,
    events: MemoryQueue,
    keys: MemoryKeys,
    edge: MemoryEdge,
}

impl Ports {
    fn new() -> Self {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        Self {
            table: MemoryTable::default(),
            events: MemoryQueue::default(),
            keys: MemoryKeys::new(RING),
            edge: MemoryEdge::new(now, 1),
        }
    }

    async fn with_hook() -> Self {
        let ports = Self::new();
        ports.make_hook("c1", &secret()).await;
        ports
    }

    async fn make_hook(&self, credential: &str, secret: &SecretString) {
        let credential = credential.parse().expect("an id");
        let secrets = HookSecrets::first(&ring(), &credential, secret, [1; NONCE_LEN], Timestamp::UNIX_EPOCH);
        put_first(&self.table, &credential, &secrets).await.expect("stored");
    }

    /// The items of the table that belong to parked deliveries. There are others besides the hook: the
    /// drain's beat, and what was counted.
    fn parked(&self) -> Vec<Key> {
        let keys = self.table.items().into_iter().map(|(key, _)| key);
        keys.filter(|key| key.pk.starts_with("PARKED#")).collect()
    }

    /// A process that has just started.
    fn ingest(&self) -> Memory {
        Ingest::new(self.table.clone(), self.events.clone(), self.keys.clone(), self.edge.clone())
    }
}

/// The event of a request.
fn event(credential: &str, headers: Value, body: &str) -> Value {
    json!({
        "version": "2.0",
        "headers": headers,
        "requestContext": {"http": {"method": "POST"}},
        "pathParameters": {"credential_id": credential},
        "isBase64Encoded": false,
        "body": body,
    })
}

/// The event of a delivery as Bitbucket sends it.
fn delivery(credential: &str, body: &str, secret: &SecretString) -> String {
    let headers = json!({"x-event-key": "repo:push", "x-hub-signature": sign(body.as_bytes(), secret)});
    event(credential, headers, body).to_string()
}

async fn answer<T: Table, Q: Queue, K: Keys, E: Edge>(ingest: &Ingest<T, Q, K, E>, event: &str) -> Answer {
    ingest.handle(&Request::parse(event).expect("a request")).await
}
