//! A keyring's secret as text: adding a key that waits, and dropping one.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use crate::seal::{Keyring, KeyringError, OLDEST_RING};

/// How long a new key waits with sealing. By then every process has read the ring again, even one that was
/// busy for as long as a function may be (60 seconds).
pub const WAIT: SignedDuration = SignedDuration::from_secs(2 * OLDEST_RING.as_secs() + 60);

/// Why a keyring is not changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be read.
    #[error("the keyring cannot be read: {0}")]
    Unreadable(String),
    /// A key was added lately.
    #[error("key {id} was added and seals only from {until}; wait until then")]
    Waiting {
        /// Its id.
        id: String,
        /// When it begins to seal, and every process knows it.
        until: Timestamp,
    },
    /// There is no such key.
    #[error("key {0} is not on the ring")]
    NoSuchKey(String),
    /// New values are sealed with it.
    #[error("key {0} seals; add another one first")]
    Seals(String),
    /// Something is sealed with it.
    #[error(
        "key {id} still seals {values} values; run `bucketwheel rotate keys reseal` first, and let deliveries \
         that wait in the table drain"
    )]
    InUse {
        /// Its id.
        id: String,
        /// How many.
        values: usize,
    },
    /// Its successor began to seal only now: somebody may still seal with it.
    #[error("key {id} may still be used until {until}; wait until then")]
    TooEarly {
        /// Its id.
        id: String,
        /// When nobody does any more.
        until: Timestamp,
    },
}

impl From<KeyringError> for Refused {
    fn from(error: KeyringError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Adds a key of this text, which seals from `now` and [`WAIT`] on. Gives the new secret and the key's id.
pub fn add(secret: &SecretString, text: &str, now: Timestamp) -> Result<(SecretString, String), Refused> {
    let mut keys = read(secret, now)?;
    settled(&keys, now)?;
    let id = next_id(keys.keys().next_back().map_or("", String::as_str));
    let seals_from = now.saturating_add(WAIT).unwrap_or(now);
    keys.insert(id.clone(), json!({ "key": text, "seals_from": seals_from }));
    let secret = write(keys);
    Keyring::parse(&secret)?;
    Ok((secret, id))
}

/// Drops a key that seals nothing any more. `values` is how many it was counted to seal.
pub fn drop(secret: &SecretString, id: &str, values: usize, now: Timestamp) -> Result<SecretString, Refused> {
    let mut keys = read(secret, now)?;
    let id = id.to_owned();
    if !keys.contains_key(&id) {
        return Err(Refused::NoSuchKey(id));
    }
    let ring = Keyring::read("", secret, now)?;
    if ring.sealing() == id {
        return Err(Refused::Seals(id));
    }
    settled(&keys, now)?;
    let since = keys.get(&ring.sealing()).and_then(seals_from);
    let until = since.and_then(|since| since.saturating_add(WAIT).ok()).filter(|until| *until > now);
    if let Some(until) = until {
        return Err(Refused::TooEarly { id, until });
    }
    if values > 0 {
        return Err(Refused::InUse { id, values });
    }
    keys.remove(&id);
    Ok(write(keys))
}

/// That no key waits.
fn settled(keys: &Map<String, Value>, now: Timestamp) -> Result<(), Refused> {
    let waiting = keys.iter().find_map(|(id, key)| Some((id, seals_from(key).filter(|from| *from > now)?)));
    match waiting {
        Some((id, until)) => Err(Refused::Waiting { id: id.clone(), until }),
        None => Ok(()),
    }
}

fn seals_from(key: &Value) -> Option<Timestamp> {
    key["seals_from"].as_str()?.parse().ok()
}

fn read(secret: &SecretString, now: Timestamp) -> Result<Map<String, Value>, Refused> {
    Keyring::read("", secret, now)?;
    serde_json::from_str(secret.expose_secret()).map_err(|_| Refused::from(KeyringError::NotAnObject))
}

fn write(keys: Map<String, Value>) -> SecretString {
    SecretString::from(Value::Object(keys).to_string())
}

/// `k0001`, `k0002` …; an id of another form gets a tail that sorts after it.
fn next_id(last: &str) -> String {
    match last.strip_prefix('k').filter(|digits| digits.len() == 4).map(str::parse::<u16>) {
        Some(Ok(number)) if number < 9_999 => format!("k{:04}", number + 1),
        _ => format!("{last}-1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"k0001":"0123456789abcdef0123456789abcdef"}"#;
    const TEXT: &str = "fedcba9876543210fedcba9876543210";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_key_is_added_waits_seals_and_only_then_the_old_one_is_dropped() {
        let wait = WAIT.as_secs();
        let (both, id) = add(&SecretString::from(FIRST), TEXT, at(0)).expect("added");
        assert_eq!(id, "k0002");
        let sealing = |now| Keyring::read("", &both, at(now)).expect("a ring").sealing();
        assert_eq!((sealing(wait - 1), sealing(wait)), ("k0001".to_owned(), "k0002".to_owned()));

        let dropped = |values, now| drop(&both, "k0001", values, at(now)).map(|_| ());
        assert_eq!(dropped(0, wait - 1), Err(Refused::Seals("k0001".into())));
        assert_eq!(add(&both, TEXT, at(1)).err(), Some(Refused::Waiting { id, until: at(wait) }));
        assert_eq!(dropped(0, wait), Err(Refused::TooEarly { id: "k0001".into(), until: at(2 * wait) }));
        assert_eq!(dropped(3, 2 * wait), Err(Refused::InUse { id: "k0001".into(), values: 3 }));
        assert_eq!(drop(&both, "k0007", 0, at(0)).err(), Some(Refused::NoSuchKey("k0007".into())));
        assert_eq!(drop(&both, "k0002", 0, at(2 * wait)).err(), Some(Refused::Seals("k0002".into())));
        let left = drop(&both, "k0001", 0, at(2 * wait)).expect("dropped");
        assert_eq!(Keyring::parse(&left).expect("a ring").ids(), ["k0002"]);
    }

    #[test]
    fn the_next_id_sorts_last() {
        for (last, want) in [("k0001", "k0002"), ("k0099", "k0100"), ("k9999", "k9999-1"), ("old", "old-1")] {
            assert_eq!(next_id(last), want);
            assert!(next_id(last).as_str() > last);
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        assert!(matches!(add(&SecretString::from("[]"), TEXT, at(0)), Err(Refused::Unreadable(_))));
        assert!(matches!(add(&SecretString::from(FIRST), "short", at(0)), Err(Refused::Unreadable(_))));
    }
}
