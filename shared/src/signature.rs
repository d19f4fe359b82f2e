//! The signature of a delivery: `X-Hub-Signature: sha256=<hex HMAC-SHA256 of the raw body>`
//! (<https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/>).

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// A body whose signature was checked. There is no other way to get one, so whoever takes a
/// `Verified` cannot be reached by an unsigned delivery.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    body: &'a [u8],
    /// Which secret matched.
    pub secret_version: u64,
}

impl<'a> Verified<'a> {
    /// The body, byte for byte as it came.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// A secret that deliveries may be signed with.
#[derive(Debug, Clone)]
pub struct HookSecret {
    /// Counts up with each rotation.
    pub version: u64,
    /// The secret; its UTF-8 bytes are the key.
    pub secret: SecretString,
}

/// The digest that a signature header claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed([u8; 32]);

/// The header is missing or does not have the form `sha256=<64 hex digits>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("X-Hub-Signature is missing or not sha256=<64 hex digits>")]
pub struct NotASignature;

impl Claimed {
    /// Reads the header's value.
    pub fn parse(header: Option<&str>) -> Result<Self, NotASignature> {
        let digits = header.and_then(|h| h.trim().strip_prefix("sha256=")).ok_or(NotASignature)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(digits, &mut digest).map_err(|_| NotASignature)?;
        Ok(Self(digest))
    }
}

/// Checks `body` against each secret. The comparison takes the same time wherever it fails.
pub fn verify<'a>(body: &'a [u8], claimed: Claimed, secrets: &[HookSecret]) -> Option<Verified<'a>> {
    secrets.iter().find_map(|HookSecret { version, secret }| {
        let mut mac = keyed(secret);
        mac.update(body);
        mac.verify_slice(&claimed.0).is_ok().then_some(Verified { body, secret_version: *version })
    })
}

/// The header's value for `body`, as Bitbucket writes it.
pub fn sign(body: &[u8], secret: &SecretString) -> String {
    let mut mac = keyed(secret);
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn keyed(secret: &SecretString) -> Hmac<Sha256> {
    let Ok(mac) = Hmac::new_from_slice(secret.expose_secret().as_bytes()) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(version: u64, text: &str) -> HookSecret {
        HookSecret { version, secret: SecretString::from(text) }
    }

    // Atlassian's published vector.
    const SECRET: &str = "It's a Secret to Everybody";
    const GOOD: &str = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9";

    #[test]
    fn the_published_vector_verifies_and_signs() {
        let claimed = Claimed::parse(Some(GOOD)).expect("a signature");
        let verified = verify(b"Hello World!", claimed, &[secret(4, SECRET)]).expect("verified");
        assert_eq!((verified.body(), verified.secret_version), (&b"Hello World!"[..], 4));
        assert_eq!(sign(b"Hello World!", &SecretString::from(SECRET)), GOOD);
    }

    #[test]
    fn the_previous_secret_still_verifies_and_says_so() {
        let claimed = Claimed::parse(Some(GOOD)).expect("a signature");
        let secrets = [secret(5, "new"), secret(4, SECRET)];
        assert_eq!(verify(b"Hello World!", claimed, &secrets).map(|v| v.secret_version), Some(4));
    }

    #[test]
    fn another_body_another_secret_or_no_secret_is_refused() {
        let claimed = Claimed::parse(Some(GOOD)).expect("a signature");
        assert!(verify(b"Hello World?", claimed, &[secret(1, SECRET)]).is_none());
        assert!(verify(b"Hello World!", claimed, &[secret(1, "other")]).is_none());
        assert!(verify(b"Hello World!", claimed, &[]).is_none());
    }

    #[test]
    fn only_sha256_and_64_hex_digits_are_a_signature() {
        let upper = format!("sha256={}", GOOD["sha256=".len()..].to_uppercase());
        assert!(Claimed::parse(Some(&upper)).is_ok());
        assert!(Claimed::parse(Some(&format!(" {GOOD} "))).is_ok());
        let bare = &GOOD["sha256=".len()..];
        for bad in [
            None,
            Some(""),
            Some("sha256="),
            Some(bare),
            Some(&GOOD[..GOOD.len() - 1]),
            Some("sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"),
            Some("sha256=zz"),
        ] {
            assert_eq!(Claimed::parse(bad), Err(NotASignature), "{bad:?}");
        }
    }
}
