//! Puts on the events queue what waits in the table, per group the oldest first.
//!
//! Two drains at once do no harm: each sends the deliveries of a group in their order, the queue drops
//! what it has taken already, and a delivery is taken away only by its own stamp. Deliveries are sent one
//! by one, since a batch may fail in its midst and go on behind it; and taken away several at a time.
//!
//! A drain passes over the groups again and again, and sends a page of each at a time, so that one of which
//! more comes than can be sent does not keep the others waiting.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bucketwheel::error::Causes;
use bucketwheel::metric::Metric;
use bucketwheel::ports::{Edge, Keys, KeysError, Outgoing, Queue, QueueError, Table, TableError};
use bucketwheel::seal::{Keyring, OpenError};
use bucketwheel::store::beats::{self, Schedule};
use bucketwheel::store::deliveries::{self, Parked, TOGETHER};
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Serialize;
use tokio::time::{Instant, error::Elapsed, sleep, timeout};

use crate::onward::SEND;
use crate::{DRAIN, ENDS, Ingest, NOTE};

/// How many groups are drained at the same time.
const GROUPS: usize = 16;
/// How many groups are listed at a time.
const PAGE: u32 = 100;
/// How often a group that has little left is looked at before it is the next one's turn.
const LOOKS: usize = 10;
/// Before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Once nothing was sent for so long and something fails, the rest is left to the next drain.
const HOPE: Duration = Duration::from_secs(10);

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
enum Failed {
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

impl Failed {
    /// Whether another try may help.
    fn is_transient(&self) -> bool {
        match self {
            Self::Table(error) => error.is_transient(),
            Self::Queue(QueueError::Unavailable(_)) | Self::Slow(_) | Self::Keys(_) => true,
            Self::Queue(QueueError::Rejected(_)) | Self::Sealed(_) | Self::NotText(_) => false,
        }
    }
}

/// What the drains of all groups share.
struct Run {
    sent: AtomicUsize,
    /// When something went well the last time, or else the beginning.
    hopeful: Mutex<Instant>,
    /// No more is sent: the time is over, or there is no hope.
    over: AtomicBool,
    /// The groups that another try does not help.
    stuck: Mutex<BTreeSet<String>>,
}

impl Run {
    fn new() -> Self {
        let (sent, over, stuck) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::default());
        Self { sent, hopeful: Mutex::new(Instant::now()), over, stuck }
    }

    fn went_well(&self, sent: usize) {
        self.sent.fetch_add(sent, Ordering::Relaxed);
        *locked(&self.hopeful) = Instant::now();
    }

    /// Waits before another try, or ends the run.
    async fn failed(&self) {
        if locked(&self.hopeful).elapsed() < HOPE {
            sleep(PAUSE).await;
        } else {
            self.end();
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    /// Drains what there is time for; the next run goes on.
    pub async fn drain(&self) -> Drained {
        let run = Run::new();
        let time_is_over = async {
            sleep(DRAIN).await;
            run.end();
            sleep(ENDS).await;
        };
        let finished = tokio::select! {
            done = self.drain_all(&run) => match done {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(error = %Causes(&error), "drain failed");
                    false
                }
            },
            () = time_is_over => false,
        };
        let left = !finished || run.is_over() || !locked(&run.stuck).is_empty();
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

    async fn drain_all(&self, run: &Run) -> Result<(), Failed> {
        loop {
            match self.pass(run).await {
                Ok(again) if again && !run.is_over() => {}
                Err(error) if error.is_transient() && !run.is_over() => {
                    tracing::warn!(error = %Causes(&error), "the groups cannot be listed yet");
                    run.failed().await;
                }
                done => return done.map(drop),
            }
        }
    }

    /// Passes over all groups once; says whether another pass is due.
    async fn pass(&self, run: &Run) -> Result<bool, Failed> {
        let (mut again, mut after) = (false, None);
        loop {
            let (mut groups, next) = deliveries::groups(self.patient(), PAGE, after.as_ref()).await?;
            groups.retain(|group| !locked(&run.stuck).contains(group));
            if !groups.is_empty() {
                let ring = &*self.ring.get(self.edge.now()).await?;
                let visits = stream::iter(groups).map(|group| self.visit(group, ring, run));
                let visits = visits.buffer_unordered(GROUPS);
                again |= visits.fold(false, async |again, more| again | more).await;
            }
            match next {
                Some(next) if !run.is_over() => after = Some(next),
                _ => return Ok(again),
            }
        }
    }

    /// Drains some of a group; says whether another try is due.
    async fn visit(&self, group: String, ring: &Keyring, run: &Run) -> bool {
        match self.drain_group(&group, ring, run).await {
            Ok(more) => more,
            Err(error) if error.is_transient() => {
                tracing::warn!(error = %Causes(&error), group, "a group still waits");
                run.failed().await;
                true
            }
            Err(error) => {
                tracing::error!(error = %Causes(&error), group, "a group still waits, and another try is no help");
                locked(&run.stuck).insert(group);
                false
            }
        }
    }

    /// Sends a page of a group, or the little that it has and ends it; says whether more of it may wait.
    async fn drain_group(&self, group: &str, ring: &Keyring, run: &Run) -> Result<bool, Failed> {
        for _ in 0..LOOKS {
            if run.is_over() {
                break;
            }
            // The head is read first: whatever is parked later changes it, and the group does not end.
            let Some(head) = deliveries::head(self.patient(), group).await? else { return Ok(false) };
            let oldest = deliveries::oldest(self.patient(), group).await?;
            if oldest.is_empty() {
                match deliveries::end(self.patient(), group, &head).await {
                    Ok(()) => return Ok(false),
                    Err(TableError::Refused) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            for some in oldest.chunks(TOGETHER) {
                self.send_some(some, ring, run).await?;
            }
            if oldest.len() > TOGETHER {
                break;
            }
        }
        Ok(true)
    }

    /// Sends deliveries of a group until one fails, and takes away those that are sent.
    async fn send_some(&self, some: &[Parked], ring: &Keyring, run: &Run) -> Result<(), Failed> {
        let (mut sent, mut failed) = (0, Ok(()));
        for parked in some {
            if run.is_over() {
                break;
            }
            failed = self.send_parked(parked, ring).await;
            if failed.is_err() {
                break;
            }
            sent += 1;
        }
        let gone = deliveries::done(self.patient(), &some[..sent]).await;
        if gone.is_ok() && sent > 0 {
            run.went_well(sent);
        }
        failed.and(gone.map_err(Failed::from))
    }

    async fn send_parked(&self, parked: &Parked, ring: &Keyring) -> Result<(), Failed> {
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
        Ok(timeout(SEND, self.events.send(message)).await??)
    }
}
