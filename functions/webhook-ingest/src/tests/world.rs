//! A table, a FIFO queue and a keyring in bad weather, on the runtime's own clock, which a test pauses.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bucketwheel::memory::{MemoryKeys, MemoryTable};
use bucketwheel::ports::{Attributes, Cursor, Key, Outgoing, Page, Query, Write};
use tokio::time::{Instant, sleep};

use super::*;

/// The queue drops a second message with the same id within this time
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html>).
pub(super) const WINDOW: Duration = Duration::from_secs(300);

/// Random numbers that follow from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub(super) struct Random(Arc<Mutex<u64>>);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }

    fn next(&self) -> u64 {
        let mut state = locked(&self.0);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    pub(super) fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How one service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sky {
    Calm,
    /// It refuses: throttled, or away.
    Down,
    /// It does it, seconds later.
    Slow,
    /// It does it, and the answer is lost.
    Lossy,
    /// Now this, now that.
    Mixed,
}

/// How the services are.
#[derive(Debug, Clone)]
pub(super) struct Weather {
    pub(super) random: Random,
    skies: Arc<Mutex<[Sky; 3]>>,
}

#[derive(Debug, thiserror::Error)]
#[error("bad weather")]
struct Bad;

impl Weather {
    pub(super) fn new(random: Random) -> Self {
        Self { random, skies: Arc::new(Mutex::new([Sky::Calm; 3])) }
    }

    /// Sets the sky over queue, table and keyring.
    pub(super) fn set(&self, skies: [Sky; 3]) {
        *locked(&self.skies) = skies;
    }

    /// Does something as a service does it: on its own, so that it takes place even where the caller has
    /// given up or was killed.
    async fn does<T: Send + 'static>(
        &self,
        service: usize,
        act: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Bad> {
        let mut sky = locked(&self.skies)[service];
        if sky == Sky::Mixed {
            let skies = [Sky::Calm, Sky::Calm, Sky::Calm, Sky::Down, Sky::Slow, Sky::Lossy];
            sky = skies[usize::try_from(self.random.below(6)).expect("small")];
        }
        let delay = if sky == Sky::Slow { self.random.millis(500, 9_000) } else { self.random.millis(1, 15) };
        let way_back = self.random.millis(1, 15);
        let done = tokio::spawn(async move {
            sleep(delay).await;
            if sky == Sky::Down { None } else { Some(act.await) }
        });
        let done = done.await.expect("the service works");
        sleep(way_back).await;
        done.filter(|_| sky != Sky::Lossy).ok_or(Bad)
    }
}

/// The clock of the runtime.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    began: Instant,
    random: Random,
}

impl Clock {
    pub(super) fn new(random: Random) -> Self {
        Self { began: Instant::now(), random }
    }
}

impl Edge for Clock {
    fn now(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.began.elapsed()).expect("short");
        Timestamp::from_second(1_000_000).expect("a time") + since
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        std::array::from_fn(|_| u8::try_from(self.random.below(256)).expect("a byte"))
    }
}

/// A message on the queue.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    pub(super) id: String,
    pub(super) at: Instant,
}

/// A FIFO queue with deduplication per group.
#[derive(Debug, Clone)]
pub(super) struct Fifo {
    weather: Weather,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    groups: HashMap<String, Vec<Queued>>,
    dropped: usize,
}

impl Fifo {
    pub(super) fn new(weather: &Weather) -> Self {
        Self { weather: weather.clone(), inner: Arc::default() }
    }

    pub(super) fn groups(&self) -> HashMap<String, Vec<Queued>> {
        locked(&self.inner).groups.clone()
    }

    pub(super) fn dropped(&self) -> usize {
        locked(&self.inner).dropped
    }
}

impl Queue for Fifo {
    async fn send(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        Asked::note(|before| Asked { sent_unasked: before.sent_unasked || !before.asked, ..before });
        let inner = self.inner.clone();
        let take = async move {
            let (group, id) = (message.group.expect("a group"), message.dedup.expect("an id"));
            let mut inner = locked(&inner);
            let queue = inner.groups.entry(group).or_default();
            let again = queue.iter().any(|queued| queued.id == id && queued.at.elapsed() < WINDOW);
            if again {
                inner.dropped += 1;
            } else {
                queue.push(Queued { id, at: Instant::now() });
            }
        };
        self.weather.does(0, take).await.map_err(|bad| QueueError::Unavailable(Box::new(bad)))
    }
}

/// What one request has seen: whether the table said what waits, and whether something was sent to the
/// queue without that.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Asked {
    asked: bool,
    sent_unasked: bool,
}

tokio::task_local! {
    static ASKED: Cell<Asked>;
}

impl Asked {
    pub(super) async fn of_this_request<T>(request: impl Future<Output = T>) -> T {
        ASKED.scope(Cell::default(), request).await
    }

    pub(super) fn sent_unasked() -> bool {
        ASKED.with(|asked| asked.get().sent_unasked)
    }

    fn note(change: impl Fn(Asked) -> Asked) {
        // A drain is no request; it sends only what it has read.
        let _ = ASKED.try_with(|asked| asked.set(change(asked.get())));
    }
}

/// A table in bad weather.
#[derive(Debug, Clone)]
pub(super) struct StormyTable {
    pub(super) weather: Weather,
    pub(super) table: MemoryTable,
}

fn unavailable(bad: Bad) -> TableError {
    TableError::Unavailable(Box::new(bad))
}

impl Table for StormyTable {
    async fn get(&self, key: &Key) -> Result<Option<Attributes>, TableError> {
        let is_head = key.sk == "HEAD";
        let (table, key) = (self.table.clone(), key.clone());
        let found = self.weather.does(1, async move { table.get(&key).await }).await.map_err(unavailable)?;
        if is_head {
            Asked::note(|before| Asked { asked: true, ..before });
        }
        found
    }

    async fn query(&self, query: &Query, limit: u32, after: Option<&Cursor>) -> Result<Page, TableError> {
        let (table, query, after) = (self.table.clone(), query.clone(), after.cloned());
        let act = async move { table.query(&query, limit, after.as_ref()).await };
        self.weather.does(1, act).await.map_err(unavailable)?
    }

    async fn add(&self, key: &Key, name: &str, by: i64, set: Attributes) -> Result<Attributes, TableError> {
        let (table, key, name) = (self.table.clone(), key.clone(), name.to_owned());
        let act = async move { table.add(&key, &name, by, set).await };
        self.weather.does(1, act).await.map_err(unavailable)?
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        let table = self.table.clone();
        self.weather.does(1, async move { table.write(writes).await }).await.map_err(unavailable)?
    }
}

/// A keyring in bad weather.
#[derive(Debug, Clone)]
pub(super) struct StormyKeys {
    pub(super) weather: Weather,
    pub(super) keys: MemoryKeys,
}

impl Keys for StormyKeys {
    async fn ring(&self) -> Result<Keyring, KeysError> {
        let keys = self.keys.clone();
        let read = self.weather.does(2, async move { keys.ring().await }).await;
        read.map_err(|bad| KeysError(Box::new(bad)))?
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
