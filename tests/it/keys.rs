//! Rotating the keys that seal, on the running system.

use bucketwheel::aws::Host;
use bucketwheel::call::State;
use bucketwheel::event::Enveloped;
use bucketwheel::memory::MemoryTable;
use bucketwheel::ports::Edge as _;
use bucketwheel::seal::Keyring;
use bucketwheel::store::tokens::Rings;
use bucketwheel::store::{deliveries, keys};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::world::{World, text};

const NEW_KEY: &str = "fedcba9876543210fedcba9876543210";

impl World {
    /// A ring of the running system with one more key, which the system does not know.
    async fn ring_with(&self, name: &str, key: Value) -> Keyring {
        let secret = self.secrets().text(name).await.expect("the ring");
        let mut keys: Value = serde_json::from_str(secret.expose_secret()).expect("JSON");
        keys["k0002"] = key;
        Keyring::read(name, &SecretString::from(keys.to_string()), Host.now()).expect("a ring")
    }

    /// Seals a credential's values anew, as `bucketwheel rotate keys reseal` does.
    async fn reseal(&self, credential: &str, key: Value) -> usize {
        let outputs = &self.local().outputs;
        let access = self.ring_with(&outputs.access_keyring, key.clone()).await;
        let refresh = self.ring_with(&outputs.refresh_keyring, key.clone()).await;
        let hook = self.ring_with(&outputs.hook_keyring, key).await;
        let rings = Rings { access: &access, refresh: &refresh };
        let id = credential.parse().expect("an id");
        keys::reseal(&self.table(), &id, rings, &hook, || Host.random()).await.expect("sealed anew")
    }
}

#[tokio::test]
async fn what_an_old_key_seals_is_counted_and_sealed_anew_and_a_dropped_key_is_named() {
    let world = World::running().await;
    let credential = world.connect("Sealed anew").await;
    world.hook(&credential, "seilbahn/infrastructure").await;
    let read = json!({"method": "GET", "path": "user"});

    assert_eq!(
        world.reseal(&credential, json!(NEW_KEY)).await,
        3,
        "access token, refresh token, hook secret"
    );
    assert_eq!(world.reseal(&credential, json!(NEW_KEY)).await, 0, "a second time there is nothing to do");
    let tokens = world.tokens(&credential).await;
    assert!(
        text(&tokens["access"]).starts_with("v1.k0002.") && text(&tokens["refresh"]).starts_with("v1.k0002.")
    );
    let usage = keys::usage(&world.table()).await.expect("counted");
    for counts in [usage.access, usage.refresh, usage.hook] {
        assert!(counts.get("k0002").is_some_and(|values| *values >= 1), "{counts:?}");
    }
    // To the running system this is a key that was dropped too early.
    let sealed = world.call(&credential, read.clone()).await;
    assert_eq!(sealed.error.map(|error| error.code).as_deref(), Some("cannot_unseal"));

    // A key that waits does not seal: everything goes back to the old one, and works again.
    let waiting = json!({"key": NEW_KEY, "seals_from": "2100-01-01T00:00:00Z"});
    assert_eq!(world.reseal(&credential, waiting).await, 3);
    assert_eq!(world.call(&credential, read).await.state, State::Succeeded);
}

#[tokio::test]
async fn a_delivery_that_waits_counts_for_the_key_that_seals_it_whatever_its_size() {
    let table = MemoryTable::default();
    let ring = |keys: Value| Keyring::parse(&SecretString::from(keys.to_string())).expect("a ring");
    let old = ring(json!({"k0001": NEW_KEY}));
    let new = ring(json!({"k0001": NEW_KEY, "k0002": NEW_KEY}));
    let credential = "c-1".parse().expect("an id");
    for (number, (ring, group, size)) in
        (1..).zip([(&old, "{r-1}", 10), (&old, "{r-1}", 900_000), (&new, "{r-1}", 10), (&new, "{r-2}", 10)])
    {
        let delivery = Enveloped { id: number.to_string(), group: group.to_owned(), text: "x".repeat(size) };
        let head = deliveries::head(&table, group).await.expect("read");
        let parked = deliveries::park(&table, head.as_ref(), &credential, &delivery, ring, [number; 24]);
        parked.await.expect("parked");
    }
    let usage = keys::usage(&table).await.expect("counted");
    let counted: Vec<_> = usage.hook.iter().map(|(id, values)| (id.as_str(), *values)).collect();
    assert_eq!(counted, [("k0001", 2), ("k0002", 2)]);
}
