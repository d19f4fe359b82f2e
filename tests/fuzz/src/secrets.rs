//! What the table gives back, if somebody wrote into it.

use bucketwheel::credential::CredentialId;
use bucketwheel::seal::{Field, Keyring, NONCE_LEN, Place, Sealed};
use secrecy::SecretString;
use serde_json::json;

use super::line;

const RING: &str = r#"{"k0001":"0123456789abcdef0123456789abcdef"}"#;
const FIELDS: [Field; 4] = [Field::Access, Field::Refresh, Field::Hook, Field::Delivery];

/// A line with a box, one with another place's credential, and what is sealed. Nothing but a box that was
/// sealed for a place opens there, and it does so only unchanged.
pub fn sealed(data: &[u8]) {
    let _ = std::str::from_utf8(data).map(|text| Keyring::parse(&SecretString::from(text)));
    let Some((written, rest)) = line(data) else { return };
    let Some((other, plain)) = line(rest) else { return };
    let ring = Keyring::parse(&SecretString::from(RING)).expect("a ring");
    let credential: CredentialId = "c1".parse().expect("an id");
    let place = Place { credential: &credential, field: Field::Refresh, generation: 7 };

    let found: Sealed = serde_json::from_value(json!(written)).expect("a text");
    let _ = (found.key_id(), ring.open_text(&found, place));
    if let Ok(plain) = ring.open(&found, place) {
        // The corpus holds a box of this ring. Whatever else opens, was forged.
        assert_eq!(plain.as_slice(), b"a token", "a forged box opens");
    }

    let mut nonce = [0; NONCE_LEN];
    nonce.iter_mut().zip(plain).for_each(|(to, from)| *to = *from);
    let sealed = ring.seal(plain, place, nonce);
    assert_eq!(ring.open(&sealed, place).expect("it opens").as_slice(), plain);
    assert_eq!(ring.open_text(&sealed, place).is_ok(), std::str::from_utf8(plain).is_ok());
    for field in FIELDS {
        for generation in [7, 8] {
            let elsewhere = Place { field, generation, ..place };
            assert_eq!(ring.open(&sealed, elsewhere).is_ok(), elsewhere == place);
        }
    }
    if let Ok(other) = other.parse::<CredentialId>() {
        let elsewhere = Place { credential: &other, ..place };
        assert_eq!(ring.open(&sealed, elsewhere).is_ok(), other == credential);
    }
    let text = serde_json::to_value(&sealed).expect("JSON").as_str().expect("a text").to_owned();
    let at = plain.iter().fold(0, |sum, byte| sum + usize::from(*byte)) % text.len();
    let mut changed = text.into_bytes();
    changed[at] ^= 1 << (plain.len() % 7);
    let changed: Sealed =
        serde_json::from_value(json!(String::from_utf8(changed).expect("ASCII"))).expect("a text");
    assert!(ring.open(&changed, place).is_err(), "a box that was changed opens");
}
