//! Random bytes, uuids and tokens made from them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::Error;

/// 32 random bytes from which identifiers and tokens are made.
pub(crate) type Seed = [u8; 32];

/// A new seed. The only place that asks the machine for randomness.
pub(crate) fn seed() -> Result<Seed, Error> {
    let mut bytes = Seed::default();
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}

/// Another seed derived from one, so that one request can need several.
pub(crate) fn derived(seed: &Seed, label: &str) -> Seed {
    Sha256::new().chain_update(seed).chain_update(label.as_bytes()).finalize().into()
}

/// A version-4 uuid without braces.
pub(crate) fn uuid(seed: &Seed, label: &str) -> String {
    let mut bytes = derived(seed, label);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(&bytes[..16]);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// An opaque text of about `bytes` bytes of entropy-looking characters.
pub(crate) fn text(seed: &Seed, label: &str, bytes: usize) -> String {
    let mut all = Vec::with_capacity(bytes + 32);
    let mut block = derived(seed, label);
    while all.len() < bytes {
        all.extend_from_slice(&block);
        block = derived(&block, "next");
    }
    all.truncate(bytes);
    URL_SAFE_NO_PAD.encode(all)
}

/// The SHA-256 of a token in hexadecimal, to speak about it without showing it.
pub(crate) fn fingerprint(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}
