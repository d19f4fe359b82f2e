//! The signature of a delivery: `X-Hub-Signature: sha256=<hex HMAC-SHA256 of the raw body>`
//! (<https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/>).

use hmac::digest::CtOutput;
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

/// The most signatures of one delivery that are looked at. Bitbucket sends one; a proxy that joins the
/// values of a repeated header with commas may make it two.
const MOST_CLAIMED: usize = 4;

/// How many keys a body is checked with: the current secret and the one before it. Where there are
/// fewer, others that nobody knows take their place, so that the time says nothing about them.
const KEYS: usize = 2;

/// The digests that a delivery's signature headers claim, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed(Vec<[u8; 32]>);

/// No header has the form `sha256=<64 hex digits>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("X-Hub-Signature is missing or not sha256=<64 hex digits>")]
pub struct NotASignature;

impl Claimed {
    /// Reads the values of the signature headers. Each may hold several signatures with commas or white
    /// space between them; those of another algorithm, or of none, are left out.
    pub fn parse<'h>(headers: impl IntoIterator<Item = &'h str>) -> Result<Self, NotASignature> {
        let signatures = headers.into_iter().flat_map(|value| value.split([',', ' ', '\t']));
        let digests: Vec<_> = signatures.filter_map(digest).take(MOST_CLAIMED).collect();
        if digests.is_empty() { Err(NotASignature) } else { Ok(Self(digests)) }
    }
}

fn digest(signature: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(signature.strip_prefix("sha256=")?, &mut digest).ok()?;
    Some(digest)
}

/// Checks `body` against each secret. The time depends on the body's length alone: not on how many
/// secrets there are, nor on where a comparison fails.
pub fn verify<'a>(body: &'a [u8], claimed: &Claimed, secrets: &[HookSecret]) -> Option<Verified<'a>> {
    let nobodys = HookSecret { version: 0, secret: SecretString::from("") };
    let padding = KEYS.saturating_sub(secrets.len());
    let mut verified = None;
    for (at, HookSecret { version, secret }) in
        secrets.iter().chain(std::iter::repeat_n(&nobodys, padding)).enumerate()
    {
        let mut mac = keyed(secret);
        mac.update(body);
        let right = mac.finalize();
        for digest in &claimed.0 {
            // This comparison takes the same time wherever it fails.
            let matches = right == CtOutput::new((*digest).into());
            if matches && at < secrets.len() {
                verified.get_or_insert(Verified { body, secret_version: *version });
            }
        }
    }
    verified
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
        let claimed = Claimed::parse([GOOD]).expect("a signature");
        let verified = verify(b"Hello World!", &claimed, &[secret(4, SECRET)]).expect("verified");
        assert_eq!((verified.body(), verified.secret_version), (&b"Hello World!"[..], 4));
        assert_eq!(sign(b"Hello World!", &SecretString::from(SECRET)), GOOD);
    }

    #[test]
    fn the_previous_secret_still_verifies_and_says_so() {
        let claimed = Claimed::parse([GOOD]).expect("a signature");
        let secrets = [secret(5, "new"), secret(4, SECRET)];
        assert_eq!(verify(b"Hello World!", &claimed, &secrets).map(|v| v.secret_version), Some(4));
    }

    #[test]
    fn another_body_another_secret_or_no_secret_is_refused() {
        let claimed = Claimed::parse([GOOD]).expect("a signature");
        assert!(verify(b"Hello World?", &claimed, &[secret(1, SECRET)]).is_none());
        assert!(verify(b"Hello World!", &claimed, &[secret(1, "other")]).is_none());
        assert!(verify(b"Hello World!", &claimed, &[]).is_none());
    }

    #[test]
    fn only_sha256_and_64_hex_digits_are_a_signature() {
        let bare = &GOOD["sha256=".len()..];
        let sha1 = "sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12";
        for bad in ["", "sha256=", bare, &GOOD[..GOOD.len() - 1], sha1, "sha256=zz", "SHA256 =", ", ,"] {
            assert_eq!(Claimed::parse([bad]), Err(NotASignature), "{bad:?}");
        }
        assert_eq!(Claimed::parse([]), Err(NotASignature));
    }

    #[test]
    fn one_right_signature_among_several_is_enough_and_the_fifth_is_not_looked_at() {
        let upper = format!("sha256={}", GOOD["sha256=".len()..].to_uppercase());
        let zeros = format!("sha256={}", "0".repeat(64));
        let secrets = [secret(1, SECRET)];
        let good = |headers: &[&str]| {
            let claimed = Claimed::parse(headers.iter().copied()).expect("a signature");
            verify(b"Hello World!", &claimed, &secrets).is_some()
        };
        assert!(good(&[&upper]));
        assert!(good(&[&format!("  {GOOD}\t")]));
        assert!(good(&[&format!("sha1=00, ,{zeros} ,, {GOOD}")]));
        assert!(good(&[&zeros, GOOD]));
        assert!(!good(&[&[&*zeros; 5].join(",")]));
        assert!(!good(&[&format!("{},{GOOD}", [&*zeros; 4].join(","))]));
    }

    #[test]
    fn the_key_that_stands_for_a_missing_one_opens_nothing() {
        let forged = sign(b"{}", &SecretString::from(""));
        let claimed = Claimed::parse([forged.as_str()]).expect("a signature");
        assert!(verify(b"{}", &claimed, &[]).is_none());
        assert!(verify(b"{}", &claimed, &[secret(1, "s")]).is_none());
    }
}
