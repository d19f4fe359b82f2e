//! When this process last saw that something waits. It matters only while the table cannot be asked: then
//! a process that has seen nothing of the kind lately sends without asking.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// For so long after the last sign nothing is sent without asking, in milliseconds: a drain comes each
/// minute, and a few of them may fail.
const REMEMBERED: i64 = 10 * 60 * 1000;

/// The last sign, in milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct Waiting(AtomicI64);

impl Default for Waiting {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Waiting {
    pub(crate) fn seen(&self, now: Timestamp) {
        self.0.fetch_max(now.as_millisecond(), Ordering::Relaxed);
    }

    pub(crate) fn seen_lately(&self, now: Timestamp) -> bool {
        now.as_millisecond().saturating_sub(self.0.load(Ordering::Relaxed)) < REMEMBERED
    }
}
