//! The real edge: this machine's clock and the operating system's randomness.

use jiff::Timestamp;

use crate::ports::Edge;

/// The machine that a function runs on.
#[derive(Debug, Clone, Copy)]
pub struct Host;

impl Host {
    /// The time at which Lambda ends an invocation, from the deadline in its context, in milliseconds since
    /// 1970 (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
    pub fn ends_at(deadline: u64) -> Timestamp {
        let millisecond = i64::try_from(deadline).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::MAX)
    }
}

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
