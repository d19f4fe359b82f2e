//! token-refresh: find what is due, claim it, spend its refresh token, store the successor, settle.
//!
//! This is the only function that spends refresh tokens. What happens to one chain is decided by
//! [`bucketwheel::rotation`]; this crate finds the chains and carries out the effects.

mod adopt;
mod breaker;
mod index;
mod probe;
mod request;
mod run;
mod sweep;
mod tell;
#[cfg(test)]
mod tests;

pub use breaker::Breaker;
use bucketwheel::rotation::Terms;
use bucketwheel::seal::Keyring;
use bucketwheel::store::budget::Limits;
use bucketwheel::store::tokens::Rings;
pub use sweep::Report;
use url::Url;

/// The function with everything it needs.
#[derive(Debug)]
pub struct Refresher<T, Q, E, O, A> {
    /// The table.
    pub table: T,
    /// Where changes of state are announced.
    pub events: Q,
    /// The second store: our own refresh queue.
    pub parking: Q,
    /// Time and randomness.
    pub edge: E,
    /// Bitbucket's token endpoint, with our consumer.
    pub oauth: O,
    /// Bitbucket's API, where tokens that were made by hand are tried.
    pub api: A,
    /// How much Bitbucket allows.
    pub limits: Limits,
    /// Seals access tokens.
    pub access_ring: Keyring,
    /// Seals and opens refresh tokens.
    pub refresh_ring: Keyring,
    /// Where the console is reached.
    pub public_url: Url,
    /// How long things take.
    pub terms: Terms,
    /// Holds runs back while Bitbucket fails.
    pub breaker: Breaker,
}

impl<T, Q, E, O, A> Refresher<T, Q, E, O, A> {
    fn rings(&self) -> Rings<'_> {
        Rings { access: &self.access_ring, refresh: &self.refresh_ring }
    }
}
