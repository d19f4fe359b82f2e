//! The real edge: this machine's clock and the operating system's randomness.

use jiff::Timestamp;

use crate::ports::Edge;

/// The machine that a function runs on.
#[derive(Debug, Clone, Copy)]
pub struct Host;

impl Edge for Host {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(clippy::expect_used, reason = "without randomness there is no safe way on")]
    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).expect("the operating system gives randomness");
        bytes
    }
}
