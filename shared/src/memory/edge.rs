//! The port [`Edge`] with a clock that is set and bytes that repeat.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::locked;
use crate::ports::Edge;

/// A clock that stands still until it is moved, and bytes that follow from a seed.
#[derive(Debug, Clone)]
pub struct MemoryEdge {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    now: Timestamp,
    seed: u64,
    drawn: u64,
}

impl MemoryEdge {
    /// An edge at `now`. The same seed gives the same bytes in the same order.
    pub fn new(now: Timestamp, seed: u64) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { now, seed, drawn: 0 })) }
    }

    /// Sets the clock, also backwards.
    pub fn set(&self, now: Timestamp) {
        locked(&self.inner).now = now;
    }

    /// Moves the clock on.
    ///
    /// # Panics
    ///
    /// If the clock would leave the years that a [`Timestamp`] knows.
    pub fn advance(&self, by: SignedDuration) {
        let mut inner = locked(&self.inner);
        inner.now += by;
    }
}

impl Edge for MemoryEdge {
    fn now(&self) -> Timestamp {
        locked(&self.inner).now
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut inner = locked(&self.inner);
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(32) {
            let block = Sha256::digest([inner.seed.to_be_bytes(), inner.drawn.to_be_bytes()].concat());
            chunk.copy_from_slice(&block[..chunk.len()]);
            inner.drawn += 1;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_again_and_no_two_draws_are_alike() {
        let (one, two) =
            (MemoryEdge::new(Timestamp::UNIX_EPOCH, 1), MemoryEdge::new(Timestamp::UNIX_EPOCH, 1));
        let first: [u8; 80] = one.random();
        assert_eq!(first, two.random::<80>());
        assert_ne!(first, one.random::<80>());
        assert_ne!(first, MemoryEdge::new(Timestamp::UNIX_EPOCH, 2).random::<80>());
    }

    #[test]
    fn the_clock_moves_when_told() {
        let edge = MemoryEdge::new(Timestamp::UNIX_EPOCH, 0);
        edge.advance(SignedDuration::from_secs(3));
        assert_eq!(edge.now().as_second(), 3);
    }
}
