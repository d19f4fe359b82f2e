//! The port [`Queue`] as a list.

use std::sync::{Arc, Mutex};

use super::{SwitchedOff, locked};
use crate::ports::{Outgoing, Queue, QueueError};

/// A queue that keeps what it is sent. It drops nothing: a FIFO queue's look at `dedup` is the reader's.
#[derive(Debug, Clone, Default)]
pub struct MemoryQueue {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    sent: Vec<Outgoing<'static>>,
    down: bool,
}

impl MemoryQueue {
    /// What was sent and not taken, the oldest first.
    pub fn sent(&self) -> Vec<Outgoing<'static>> {
        locked(&self.inner).sent.clone()
    }

    /// Takes what was sent, the oldest first.
    pub fn take(&self) -> Vec<Outgoing<'static>> {
        std::mem::take(&mut locked(&self.inner).sent)
    }

    /// Switches the queue off or on. While it is off it takes nothing and says that it is unavailable.
    pub fn set_down(&self, down: bool) {
        locked(&self.inner).down = down;
    }
}

impl Queue for MemoryQueue {
    async fn send(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        let mut inner = locked(&self.inner);
        if inner.down {
            return Err(QueueError::Unavailable(Box::new(SwitchedOff)));
        }
        inner.sent.push(Outgoing { body: message.body.into_owned().into(), ..message });
        Ok(())
    }
}
