//! Proofs over the whole running system that take longer than a test may: a storm of faults, a load, a soak.
//!
//! ```sh
//! cargo run -p proof -- chaos --minutes 30 --seed 7
//! cargo run --release -p proof -- load
//! cargo run --release -p proof -- soak
//! ```

mod calls;
mod chains;
mod chaos;
mod dice;
mod ledger;
mod load;
mod picture;
mod processes;
mod rest;
mod shells;
mod soak;
mod storm;
mod system;
pub mod way;
mod weather;
mod webhooks;
mod witness;

pub use chaos::{Chaos, Report, chaos};
pub use ledger::Verdict;
pub use load::{Loaded, Row, load};
pub use soak::{Soak, Soaked, soak};
pub use system::{account, client, with_body};

/// Why a proof could not be made.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
