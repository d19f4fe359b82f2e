//! Reads the index of due chains, all shards alike.

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::ports::{Cursor, Table};
use bucketwheel::store::tokens;
use jiff::Timestamp;

/// How many are read at once.
const PAGE: u32 = 100;
/// How many are given at once: more than one sweep can work on.
const MOST: usize = 5_000;

/// What is due at a time, as far as it is not read yet.
pub(crate) struct Index {
    until: Timestamp,
    /// The shards that have more, with the place where it begins.
    shards: Vec<(u8, Option<Cursor>)>,
    /// Whether a shard could not be read.
    pub(crate) failed: bool,
}

impl Index {
    pub(crate) fn until(until: Timestamp) -> Self {
        Self { until, shards: (0..tokens::SHARDS).map(|shard| (shard, None)).collect(), failed: false }
    }

    /// The next of each shard, the earliest first. None is left when it gives nothing. A shard that cannot
    /// be read is left to the next sweep.
    pub(crate) async fn read(&mut self, table: &impl Table) -> Vec<CredentialId> {
        let mut due = Vec::new();
        while due.len() < MOST && !self.shards.is_empty() {
            for (shard, after) in std::mem::take(&mut self.shards) {
                match tokens::due(table, shard, self.until, PAGE, after.as_ref()).await {
                    Ok((ids, next)) => {
                        due.extend(ids);
                        self.shards.extend(next.map(|next| (shard, Some(next))));
                    }
                    Err(error) => {
                        tracing::error!(shard, error = %Causes(&error), "due chains could not be read");
                        self.failed = true;
                    }
                }
            }
        }
        due
    }
}
