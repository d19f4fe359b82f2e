//! Sealing: what keeps a token or a hook secret unreadable outside this process.
//!
//! A *box* is text: `v1.<key id>.<credential>.<field>.<generation>.<nonce and ciphertext>`. Everything
//! in front of the last dot is authenticated together with the ciphertext, so a box opens only at the
//! place it was sealed for. The place is written out, and not only authenticated, so that a box in the
//! wrong place is told apart from a damaged one.
//!
//! A ring is replaced while it is in use. A key that is added waits with sealing until every process has
//! read it, so that nobody meets a box that it cannot open: *add, wait, seal, drop*.
//!
//! The cipher is XChaCha20-Poly1305, whose 192-bit nonce may be random
//! (draft-irtf-cfrg-xchacha-03, section 2.1).
//!
//! This file is long because boxes and rings are checked against each other, and by one set of tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::credential::CredentialId;

/// The bytes of randomness that sealing one value takes.
pub const NONCE_LEN: usize = 24;
const FORMAT: &str = "v1";
/// Separates sealing keys from any other use of the same secret text.
const PURPOSE: &[u8] = b"bucketwheel/seal/v1";

/// Where a sealed value belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The credential that owns the value.
    pub credential: &'a CredentialId,
    /// Which of its values this is.
    pub field: Field,
    /// The generation of the value: a box of an older generation does not open as a newer one.
    pub generation: u64,
}

/// The sealed fields of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The access token, or an API token entered by hand.
    Access,
    /// The refresh token.
    Refresh,
    /// The secret that Bitbucket signs deliveries with.
    Hook,
    /// A delivery that waits in the table for the events queue.
    Delivery,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Field::Access => "access",
            Field::Refresh => "refresh",
            Field::Hook => "hook",
            Field::Delivery => "delivery",
        }
    }
}

/// A sealed value as it is stored. Safe to store and to send; not safe to lose.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// The id of the key that sealed this box, if the box has the right form.
    pub fn key_id(&self) -> Option<&str> {
        self.0.split('.').nth(1)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Several keys, of which the newest that may seal seals, and all open. A clone is the same ring.
#[derive(Clone)]
pub struct Keyring {
    name: Arc<str>,
    keys: Arc<RwLock<Keys>>,
}

/// What is on the ring right now.
struct Keys {
    by_id: BTreeMap<String, Key>,
    sealing: String,
    read_at: Timestamp,
}

struct Key {
    cipher: XChaCha20Poly1305,
    seals_from: Option<Timestamp>,
}

/// A key as its secret writes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(Zeroizing<String>),
    Waiting { key: Zeroizing<String>, seals_from: Timestamp },
}

/// How old a ring may be when it is used. A new key must wait longer than this with sealing.
pub const OLDEST_RING: SignedDuration = SignedDuration::from_secs(60);

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("ids", &self.ids()).finish_non_exhaustive()
    }
}

/// Why a keyring's text could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The secret is not a JSON object of texts.
    #[error("the keyring is not a JSON object of key id to key text")]
    NotAnObject,
    /// The object has no key.
    #[error("the keyring holds no key")]
    Empty,
    /// A key is too short to be safe.
    #[error("key {id:?} of the keyring has fewer than 32 characters")]
    Short {
        /// The id of that key.
        id: String,
    },
    /// A key id cannot be written into a box.
    #[error("key id {id:?} has characters other than letters, digits and dashes")]
    BadId {
        /// The id as it was found.
        id: String,
    },
}

/// Why a box did not open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The text is not a box: cut off, or never one.
    #[error("the sealed value is damaged: it does not have the form of a box")]
    Malformed,
    /// The box was sealed by a later version of this software.
    #[error("the sealed value has the unknown format {0:?}")]
    UnknownFormat(String),
    /// The key is not on the ring (any more).
    #[error("the sealed value needs key {0:?}, which is not on the keyring")]
    UnknownKey(String),
    /// The box belongs to another credential.
    #[error("the sealed value belongs to another credential")]
    WrongCredential,
    /// The box belongs to another field.
    #[error("the sealed value belongs to another field")]
    WrongField,
    /// The box belongs to another generation.
    #[error("the sealed value belongs to another generation")]
    WrongGeneration,
    /// Some bit of the box was changed.
    #[error("the sealed value was changed after it was sealed")]
    Tampered,
}

impl Keyring {
    /// Reads a ring from its secret: a JSON object of key id to key text (at least 32 characters), or to
    /// `{"key", "seals_from"}` for a key that waits. The id that sorts last is the newest.
    pub fn parse(secret: &SecretString) -> Result<Self, KeyringError> {
        Self::read("", secret, Timestamp::UNIX_EPOCH)
    }

    /// Reads the ring called `name` at time `now`.
    pub fn read(name: &str, secret: &SecretString, now: Timestamp) -> Result<Self, KeyringError> {
        let keys = Arc::new(RwLock::new(Keys::parse(secret, now)?));
        Ok(Self { name: Arc::from(name), keys })
    }

    /// The name of its secret.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ids of its keys, the oldest first.
    pub fn ids(&self) -> Vec<String> {
        self.now().by_id.keys().cloned().collect()
    }

    /// The id of the key that seals.
    pub fn sealing(&self) -> String {
        self.now().sealing.clone()
    }

    /// Whether it was last read so long ago that it must be read again before it is used.
    pub fn is_old(&self, now: Timestamp) -> bool {
        now.duration_since(self.now().read_at) >= OLDEST_RING
    }

    /// Takes over what its secret says now. What cannot be read is refused, and the ring stays as it is.
    pub fn renew(&self, secret: &SecretString, now: Timestamp) -> Result<(), KeyringError> {
        let keys = Keys::parse(secret, now)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Says that it was tried to read the ring again, so that not every use tries.
    pub fn tried(&self, now: Timestamp) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).read_at = now;
    }

    /// Seals `plain` for `place`. `nonce` must be random and used once.
    pub fn seal(&self, plain: &[u8], place: Place<'_>, nonce: [u8; NONCE_LEN]) -> Sealed {
        let keys = self.now();
        let id = &keys.sealing;
        let Some(Key { cipher, .. }) = keys.by_id.get(id) else {
            unreachable!("the sealing key is on the ring")
        };
        let Place { credential, field, generation } = place;
        let header = format!("{FORMAT}.{id}.{credential}.{}.{generation}", field.name());
        let payload = Payload { msg: plain, aad: header.as_bytes() };
        // XChaCha20-Poly1305 refuses only messages beyond 256 GiB.
        let Ok(cipher_text) = cipher.encrypt(&XNonce::from(nonce), payload) else {
            unreachable!("a token fits into one message")
        };
        let mut raw = nonce.to_vec();
        raw.extend_from_slice(&cipher_text);
        Sealed(format!("{header}.{}", URL_SAFE_NO_PAD.encode(raw)))
    }

    fn now(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a box that was sealed for `place`.
    pub fn open(&self, sealed: &Sealed, place: Place<'_>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (header, raw) = sealed.0.rsplit_once('.').ok_or(OpenError::Malformed)?;
        let parts: Vec<&str> = header.split('.').collect();
        let &[format, key_id, credential, field, generation] = parts.as_slice() else {
            return Err(OpenError::Malformed);
        };
        if format != FORMAT {
            return Err(OpenError::UnknownFormat(format.to_owned()));
        }
        if credential != place.credential.as_str() {
            return Err(OpenError::WrongCredential);
        }
        if field != place.field.name() {
            return Err(OpenError::WrongField);
        }
        if generation != place.generation.to_string() {
            return Err(OpenError::WrongGeneration);
        }
        let keys = self.now();
        let unknown = || OpenError::UnknownKey(key_id.to_owned());
        let Key { cipher, .. } = keys.by_id.get(key_id).ok_or_else(unknown)?;
        let raw = URL_SAFE_NO_PAD.decode(raw).map_err(|_| OpenError::Malformed)?;
        let (nonce, cipher_text) = raw.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Malformed)?;
        let payload = Payload { msg: cipher_text, aad: header.as_bytes() };
        let plain = cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| OpenError::Tampered)?;
        Ok(Zeroizing::new(plain))
    }

    /// The same value in a box of the key that seals now; nothing if it is in one.
    pub fn reseal(
        &self,
        sealed: &Sealed,
        place: Place<'_>,
        nonce: [u8; NONCE_LEN],
    ) -> Result<Option<Sealed>, OpenError> {
        if sealed.key_id() == Some(self.sealing().as_str()) {
            return Ok(None);
        }
        Ok(Some(self.seal(&self.open(sealed, place)?, place, nonce)))
    }

    /// Opens a box that holds text.
    pub fn open_text(&self, sealed: &Sealed, place: Place<'_>) -> Result<SecretString, OpenError> {
        let plain = self.open(sealed, place)?;
        let text = std::str::from_utf8(&plain).map_err(|_| OpenError::Malformed)?;
        Ok(SecretString::from(text))
    }
}

impl Keys {
    fn parse(secret: &SecretString, now: Timestamp) -> Result<Self, KeyringError> {
        let written: BTreeMap<String, Written> =
            serde_json::from_str(secret.expose_secret()).map_err(|_| KeyringError::NotAnObject)?;
        let mut by_id = BTreeMap::new();
        for (id, key) in written {
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err(KeyringError::BadId { id });
            }
            let (text, seals_from) = match key {
                Written::Text(text) => (text, None),
                Written::Waiting { key, seals_from } => (key, Some(seals_from)),
            };
            if text.chars().count() < 32 {
                return Err(KeyringError::Short { id });
            }
            by_id.insert(id, Key { cipher: XChaCha20Poly1305::new(&derive(&text)), seals_from });
        }
        let seals = |key: &Key| key.seals_from.is_none_or(|from| from <= now);
        let newest = by_id.iter().rev().find(|(_, key)| seals(key)).or_else(|| by_id.iter().next_back());
        let sealing = newest.map(|(id, _)| id.clone()).ok_or(KeyringError::Empty)?;
        Ok(Self { by_id, sealing, read_at: now })
    }
}

fn derive(text: &str) -> chacha20poly1305::Key {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(text.as_bytes()) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac.update(PURPOSE);
    let bytes: [u8; 32] = mac.finalize().into_bytes().into();
    bytes.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(json: &str) -> Keyring {
        Keyring::parse(&SecretString::from(json)).expect("a ring")
    }

    const OLD: &str = r#"{"k0001":"0123456789abcdef0123456789abcdef"}"#;
    const BOTH: &str =
        r#"{"k0001":"0123456789abcdef0123456789abcdef","k0002":"fedcba9876543210fedcba9876543210"}"#;
    const NEW: &str = r#"{"k0002":"fedcba9876543210fedcba9876543210"}"#;

    fn id(text: &str) -> CredentialId {
        text.parse().expect("an id")
    }

    #[test]
    fn the_newest_key_seals_all_open_and_a_dropped_key_is_named() {
        let credential = id("c1");
        let place = Place { credential: &credential, field: Field::Refresh, generation: 7 };
        let old = ring(OLD).seal(b"token", place, [1; NONCE_LEN]);
        assert_eq!(ring(BOTH).open(&old, place).expect("opens").as_slice(), b"token");
        assert_eq!(ring(BOTH).seal(b"token", place, [1; NONCE_LEN]).key_id(), Some("k0002"));
        assert_eq!(ring(NEW).open(&old, place).unwrap_err(), OpenError::UnknownKey("k0001".into()));
    }

    #[test]
    fn a_key_that_waits_opens_at_once_and_seals_when_its_time_has_come() {
        let credential = id("c1");
        let place = Place { credential: &credential, field: Field::Access, generation: 1 };
        let waiting = SecretString::from(
            r#"{"k0001":"0123456789abcdef0123456789abcdef",
                "k0002":{"key":"fedcba9876543210fedcba9876543210","seals_from":"2026-11-21T05:10:00Z"}}"#,
        );
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let ring = Keyring::read("access", &waiting, at("2026-11-21T05:05:00Z")).expect("a ring");
        let same = ring.clone();
        assert_eq!(
            (ring.sealing(), ring.ids()),
            ("k0001".into(), vec!["k0001".to_owned(), "k0002".to_owned()])
        );
        let early = self::ring(NEW).seal(b"token", place, [9; NONCE_LEN]);
        assert_eq!(ring.open(&early, place).expect("opens").as_slice(), b"token");

        assert!(!ring.is_old(at("2026-11-21T05:05:59Z")) && ring.is_old(at("2026-11-21T05:06:00Z")));
        ring.renew(&waiting, at("2026-11-21T05:10:00Z")).expect("renewed");
        assert_eq!(
            same.seal(b"token", place, [9; NONCE_LEN]).key_id(),
            Some("k0002"),
            "a clone is the same ring"
        );
        assert!(ring.renew(&SecretString::from("{}"), Timestamp::MAX).is_err());
        assert_eq!(ring.ids().len(), 2, "what cannot be read changes nothing");
    }

    #[test]
    fn a_box_in_the_wrong_place_says_which_part_is_wrong() {
        let (a, b) = (id("a"), id("b"));
        let ring = ring(OLD);
        let place = Place { credential: &a, field: Field::Access, generation: 1 };
        let sealed = ring.seal(b"token", place, [2; NONCE_LEN]);
        let refused = |place| ring.open(&sealed, place).unwrap_err();
        assert_eq!(refused(Place { credential: &b, ..place }), OpenError::WrongCredential);
        assert_eq!(refused(Place { field: Field::Refresh, ..place }), OpenError::WrongField);
        assert_eq!(refused(Place { generation: 2, ..place }), OpenError::WrongGeneration);
    }

    #[test]
    fn a_box_relabelled_for_another_place_is_tampered_with() {
        let (a, b) = (id("a"), id("b"));
        let ring = ring(OLD);
        let place = Place { credential: &a, field: Field::Access, generation: 1 };
        let Sealed(text) = ring.seal(b"token", place, [3; NONCE_LEN]);
        let moved = Sealed(text.replacen(".a.", ".b.", 1));
        assert_eq!(ring.open(&moved, Place { credential: &b, ..place }).unwrap_err(), OpenError::Tampered);
    }

    #[test]
    fn short_keys_empty_rings_and_bad_ids_are_refused() {
        let refused = |json: &str| Keyring::parse(&SecretString::from(json)).unwrap_err();
        assert!(matches!(refused("[]"), KeyringError::NotAnObject));
        assert!(matches!(refused("{}"), KeyringError::Empty));
        assert!(matches!(refused(r#"{"k1":"short"}"#), KeyringError::Short { .. }));
        assert!(matches!(
            refused(r#"{"k.1":"0123456789abcdef0123456789abcdef"}"#),
            KeyringError::BadId { .. }
        ));
    }

    #[test]
    fn nothing_secret_shows_in_debug() {
        let shown = format!("{:?}", ring(OLD));
        assert!(shown.contains("k0001") && !shown.contains("0123456789abcdef"));
    }

    fn field() -> impl Strategy<Value = Field> {
        prop_oneof![Just(Field::Access), Just(Field::Refresh), Just(Field::Hook)]
    }

    proptest! {
        #[test]
        fn a_box_opens_nowhere_but_at_its_place_and_says_what_is_wrong(
            (ours, theirs) in ("[a-z0-9-]{1,20}", "[a-z0-9-]{1,20}"),
            (our_field, their_field) in (field(), field()),
            (our_generation, their_generation) in (any::<u64>(), 0..3_u64),
            nonce in any::<[u8; NONCE_LEN]>(),
        ) {
            let (ours, theirs) = (id(&ours), id(&theirs));
            let sealed_at = Place { credential: &ours, field: our_field, generation: our_generation };
            let asked_at = Place { credential: &theirs, field: their_field, generation: their_generation };
            let sealed = ring(OLD).seal(b"token", sealed_at, nonce);
            let opened = ring(OLD).open(&sealed, asked_at);
            let want = if ours != theirs {
                Some(OpenError::WrongCredential)
            } else if our_field != their_field {
                Some(OpenError::WrongField)
            } else if our_generation != their_generation {
                Some(OpenError::WrongGeneration)
            } else {
                None
            };
            prop_assert_eq!(opened.err(), want);
            // Two boxes that were swapped in the table are two boxes in the wrong place, even when
            // somebody writes the other's place on them.
            let Sealed(text) = sealed;
            let (_, raw) = text.rsplit_once('.').expect("a box");
            let relabelled =
                Sealed(format!("v1.k0001.{theirs}.{}.{their_generation}.{raw}", their_field.name()));
            let opened = ring(OLD).open(&relabelled, asked_at);
            prop_assert_eq!(opened.err(), (sealed_at != asked_at).then_some(OpenError::Tampered));
        }

        #[test]
        fn flipped_bits_cut_ends_and_dropped_keys_each_have_their_error(
            plain in proptest::collection::vec(any::<u8>(), 0..100),
            nonce in any::<[u8; NONCE_LEN]>(),
            at in any::<proptest::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let credential = id("c1");
            let place = Place { credential: &credential, field: Field::Refresh, generation: 1 };
            let Sealed(text) = ring(OLD).seal(&plain, place, nonce);
            let (header, raw) = text.rsplit_once('.').expect("a box");
            let mut bytes = URL_SAFE_NO_PAD.decode(raw).expect("base64");
            let sealed = |bytes: &[u8]| Sealed(format!("{header}.{}", URL_SAFE_NO_PAD.encode(bytes)));

            let cut = at.index(bytes.len());
            let want = if cut < NONCE_LEN { OpenError::Malformed } else { OpenError::Tampered };
            prop_assert_eq!(ring(OLD).open(&sealed(&bytes[..cut]), place).err(), Some(want));

            bytes[cut] ^= 1 << bit;
            prop_assert_eq!(ring(OLD).open(&sealed(&bytes), place).err(), Some(OpenError::Tampered));
            bytes[cut] ^= 1 << bit;

            prop_assert!(ring(BOTH).open(&sealed(&bytes), place).is_ok(), "an old key opens");
            let dropped = ring(NEW).open(&sealed(&bytes), place);
            prop_assert_eq!(dropped.err(), Some(OpenError::UnknownKey("k0001".to_owned())));
        }

        #[test]
        fn any_bytes_come_back_and_any_changed_character_is_noticed(
            plain in proptest::collection::vec(any::<u8>(), 0..400),
            nonce in any::<[u8; NONCE_LEN]>(),
            at in any::<proptest::sample::Index>(),
        ) {
            let credential = id("c1");
            let ring = ring(OLD);
            let place = Place { credential: &credential, field: Field::Hook, generation: 3 };
            let sealed = ring.seal(&plain, place, nonce);
            let opened = ring.open(&sealed, place).expect("opens");
            prop_assert_eq!(opened.as_slice(), plain.as_slice());

            let mut bytes = sealed.0.clone().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = Sealed(String::from_utf8(bytes).expect("ascii"));
            prop_assert!(ring.open(&changed, place).is_err());

            let cut = Sealed(sealed.0[..at].to_owned());
            prop_assert!(ring.open(&cut, place).is_err());
        }
    }
}
