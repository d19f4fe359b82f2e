//! The port [`Backlog`] as two lists.

use std::sync::{Arc, Mutex};

use super::{SwitchedOff, locked};
use crate::ports::{Backlog, DeadLetter, Depth, Depths, QueueError};

/// A queue with its dead letters. What is hidden stays so until it is put back: there is no clock.
#[derive(Debug, Clone, Default)]
pub struct MemoryBacklog {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    living: Vec<DeadLetter>,
    dead: Vec<(DeadLetter, bool)>,
    made: u64,
    ordered: bool,
    down: bool,
    keeps: bool,
}

impl MemoryBacklog {
    /// A queue that keeps the order inside a group.
    pub fn ordered() -> Self {
        let inner = Inner { ordered: true, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Lays a dead letter down; its receipt is not yet worth anything.
    pub fn bury(&self, letter: DeadLetter) {
        locked(&self.inner).dead.push((letter, false));
    }

    /// What was sent again, the oldest first.
    pub fn living(&self) -> Vec<DeadLetter> {
        locked(&self.inner).living.clone()
    }

    /// The dead letters, hidden or not, the oldest first.
    pub fn dead(&self) -> Vec<DeadLetter> {
        locked(&self.inner).dead.iter().map(|(letter, _)| letter.clone()).collect()
    }

    /// Switches the queue off or on. While it is off it says that it is unavailable.
    pub fn set_down(&self, down: bool) {
        locked(&self.inner).down = down;
    }

    /// Lets removals fail, or no longer.
    pub fn set_keeps(&self, keeps: bool) {
        locked(&self.inner).keeps = keeps;
    }

    fn up(&self) -> Result<std::sync::MutexGuard<'_, Inner>, QueueError> {
        let inner = locked(&self.inner);
        if inner.down { Err(QueueError::Unavailable(Box::new(SwitchedOff))) } else { Ok(inner) }
    }
}

impl Backlog for MemoryBacklog {
    async fn depths(&self) -> Result<Depths, QueueError> {
        let inner = self.up()?;
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let hidden = inner.dead.iter().filter(|(_, hidden)| *hidden).count();
        let living = Depth { waiting: count(inner.living.len()), ..Depth::default() };
        let dead =
            Depth { waiting: count(inner.dead.len() - hidden), hidden: count(hidden), ..Depth::default() };
        Ok(Depths { living, dead })
    }

    async fn take(&self, _: u32) -> Result<Vec<DeadLetter>, QueueError> {
        let mut inner = self.up()?;
        let ordered = inner.ordered;
        let busy: Vec<_> = inner.dead.iter().filter(|(_, h)| *h).map(|(l, _)| l.group.clone()).collect();
        let free = |letter: &DeadLetter| !ordered || !busy.contains(&letter.group);
        let mut made = inner.made;
        let mut taken = Vec::new();
        for (letter, hidden) in inner.dead.iter_mut().filter(|(l, hidden)| !hidden && free(l)).take(10) {
            made += 1;
            *hidden = true;
            letter.receipt = format!("receipt-{made}");
            letter.receives += 1;
            taken.push(letter.clone());
        }
        inner.made = made;
        Ok(taken)
    }

    async fn put_back(&self, receipts: &[String]) -> Result<(), QueueError> {
        let mut inner = self.up()?;
        for (_, hidden) in inner.dead.iter_mut().filter(|(letter, _)| receipts.contains(&letter.receipt)) {
            *hidden = false;
        }
        Ok(())
    }

    async fn send_again(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        let mut inner = self.up()?;
        if !(inner.ordered && inner.living.iter().any(|sent| sent.id == letter.id)) {
            inner.living.push(DeadLetter { cause: None, receives: 0, ..letter.clone() });
        }
        Ok(())
    }

    async fn remove(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        let mut inner = self.up()?;
        if inner.keeps {
            return Err(QueueError::Unavailable(Box::new(SwitchedOff)));
        }
        inner.dead.retain(|(one, _)| one.receipt != letter.receipt);
        Ok(())
    }
}
