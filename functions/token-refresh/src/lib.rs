//! token-refresh: find what is due, claim it, spend its refresh token, store the successor, settle.
//!
//! This is the only function that spends refresh tokens. What happens to one chain is decided by
//! [`bucketwheel::rotation`]; this crate finds the chains and carries out the effects.

mod run;
mod sweep;

use bucketwheel::bitbucket::Oauth;
use bucketwheel::rotation::Terms;
use bucketwheel::seal::Keyring;
use bucketwheel::store::tokens::Rings;
pub use sweep::{Report, nudged, stop_at};

/// The function with everything it needs.
#[derive(Debug)]
pub struct Refresher<T, E> {
    /// The table.
    pub table: T,
    /// Time and randomness.
    pub edge: E,
    /// Seals access tokens.
    pub access_ring: Keyring,
    /// Seals and opens refresh tokens.
    pub refresh_ring: Keyring,
    /// Bitbucket's token endpoint, with our consumer.
    pub oauth: Oauth,
    /// How long things take.
    pub terms: Terms,
}

impl<T, E> Refresher<T, E> {
    fn rings(&self) -> Rings<'_> {
        Rings { access: &self.access_ring, refresh: &self.refresh_ring }
    }
}
