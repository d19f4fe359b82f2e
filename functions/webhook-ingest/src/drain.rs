//! Puts on the events queue what waits in the table, per group the oldest first.
//!
//! Two drains at once do no harm: each sends the deliveries of a group in their order, the queue drops
//! what it has taken already, and a delivery is taken away only by its own stamp.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bucketwheel::error::Causes;
use bucketwheel::metric::Metric;
use bucketwheel::ports::{Edge, Keys, KeysError, Outgoing, Queue, QueueError, Table, TableError};
use bucketwheel::seal::{Keyring, OpenError};
use bucketwheel::store::beats::{self, Schedule};
use bucketwheel::store::deliveries::{self, Parked};
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Serialize;
use tokio::time::{error::Elapsed, timeout};

use crate::onward::SEND;
use crate::{Ingest, NOTE, PATIENCE};

/// How many groups are drained at the same time.
const GROUPS: usize = 16;
/// How many groups are listed at a time.
const PAGE: u32 = 100;

/// What a drain did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// How many deliveries it put on the queue.
    pub sent: usize,
    /// Whether something waits still.
    pub left: bool,
}

/// Why a group still waits.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error("the table failed")]
    Table(#[from] TableError),
    #[error("the keyring failed")]
    Keys(#[from] KeysError),
    #[error("a parked delivery cannot be opened; put the dropped key back on the hook keyring")]
    Sealed(#[from] OpenError),
    #[error("a parked delivery is not text")]
    NotText(#[from] std::str::Utf8Error),
    #[error("the queue failed")]
    Queue(#[from] QueueError),
    #[error("the queue is slow")]
    Slow(#[from] Elapsed),
}

/// What the drains of all groups share.
#[derive(Default)]
struct Run {
    sent: AtomicUsize,
    left: AtomicBool,
    /// One group found the queue closed, so that the others need not try.
    closed: AtomicBool,
}

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    /// Drains what there is time for; the next run goes on.
    pub async fn drain(&self) -> Drained {
        let run = Run::default();
        let finished = match timeout(PATIENCE, self.drain_all(&run)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(error = %Causes(&error), "drain failed");
                false
            }
            Err(_) => false,
        };
        let left = !finished || run.left.load(Ordering::Relaxed);
        let drained = Drained { sent: run.sent.load(Ordering::Relaxed), left };
        if drained != Drained::default() {
            tracing::info!(sent = drained.sent, left = drained.left, "drained");
        }
        self.tally.add(Metric::Drain, 1);
        self.tally.add(Metric::Drained, drained.sent.try_into().unwrap_or(u64::MAX));
        self.tally.add(Metric::DrainLeft, drained.left.into());
        if finished {
            self.note_beat().await;
        }
        drained
    }

    /// Notes that a drain took place. It comes last and has little time, for nothing may wait for it.
    async fn note_beat(&self) {
        match timeout(NOTE, beats::beat(&self.table, Schedule::Drain, self.edge.now())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %Causes(&error), "that a drain took place could not be noted");
            }
            Err(_) => tracing::warn!("that a drain took place could not be noted in time"),
        }
    }

    fn patient(&self) -> &T {
        self.patient.as_ref().unwrap_or(&self.table)
    }

    async fn drain_all(&self, run: &Run) -> Result<(), Stuck> {
        let mut after = None;
        loop {
            let (groups, next) = deliveries::groups(self.patient(), PAGE, after.as_ref()).await?;
            if !groups.is_empty() {
                let ring = &*self.ring.get(self.edge.now()).await?;
                let drain = |group: String| async move {
                    if let Err(error) = self.drain_group(&group, ring, run).await {
                        tracing::error!(error = %Causes(&error), group, "a group still waits");
                        run.left.store(true, Ordering::Relaxed);
                    }
                };
                stream::iter(groups).for_each_concurrent(GROUPS, drain).await;
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn drain_group(&self, group: &str, ring: &Keyring, run: &Run) -> Result<(), Stuck> {
        loop {
            if run.closed.load(Ordering::Relaxed) {
                run.left.store(true, Ordering::Relaxed);
                return Ok(());
            }
            // The head is read first: whatever is parked later changes it, and the group does not end.
            let Some(head) = deliveries::head(self.patient(), group).await? else { return Ok(()) };
            let oldest = deliveries::oldest(self.patient(), group).await?;
            if oldest.is_empty() {
                match deliveries::end(self.patient(), group, &head).await {
                    Ok(()) => return Ok(()),
                    Err(TableError::Refused) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            for parked in oldest {
                self.send_parked(&parked, ring, run).await?;
                match deliveries::done(self.patient(), &parked).await {
                    // Refused: another drain has sent it too, and was faster.
                    Ok(()) | Err(TableError::Refused) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    async fn send_parked(&self, parked: &Parked, ring: &Keyring, run: &Run) -> Result<(), Stuck> {
        let text = match parked.open(ring) {
            Err(OpenError::UnknownKey(_)) if let Some(newer) = self.ring.newer(self.edge.now()).await? => {
                parked.open(&newer)?
            }
            opened => opened?,
        };
        let message = Outgoing {
            body: str::from_utf8(&text)?.into(),
            group: Some(parked.group.clone()),
            dedup: Some(parked.id.clone()),
        };
        let sent = timeout(SEND, self.events.send(message)).await;
        if !matches!(sent, Ok(Ok(()) | Err(QueueError::Rejected(_)))) {
            run.closed.store(true, Ordering::Relaxed);
        }
        sent??;
        run.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
