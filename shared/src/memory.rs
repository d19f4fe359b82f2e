//! The ports in memory, for tests and simulations. They keep the promises of [`ports`](crate::ports)
//! and are as strict as the real ones where a test would otherwise pass for the wrong reason.
//!
//! Each is a handle: a clone shares what it holds, so that a test keeps one and gives one away.

mod backlog;
mod edge;
mod keys;
mod queue;
mod table;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use backlog::MemoryBacklog;
pub use edge::MemoryEdge;
pub use keys::MemoryKeys;
pub use queue::MemoryQueue;
pub use table::MemoryTable;

/// What a port that is down says.
#[derive(Debug, thiserror::Error)]
#[error("switched off by the test")]
struct SwitchedOff;

/// A test that failed while it held a lock has left whole values behind: nothing here stops half-way.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
