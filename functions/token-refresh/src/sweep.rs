//! A sweep: everything that is due, and everything that somebody nudged. It takes no other input and can
//! be repeated at will.

use std::collections::BTreeMap;

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Table, TableError};
use bucketwheel::rotation::{Nudge, Outcome};
use bucketwheel::store::tokens;
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::Refresher;

/// How many chains are worked on at once.
const AT_ONCE: usize = 8;
/// How many due chains are read from the index at once.
const PAGE: u32 = 100;
/// No run begins when less time than this is left: one spend with its time-out and the commit.
const ONE_RUN: SignedDuration = SignedDuration::from_secs(30);

/// How many runs ended how.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Runs by outcome.
    pub runs: BTreeMap<&'static str, u32>,
    /// Whether something was left for the next sweep.
    pub cut_short: bool,
}

/// The credentials that the messages of the refresh queue name. Any other event is the schedule's tick.
pub fn nudged(event: &Value) -> Vec<CredentialId> {
    let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let nudge = |record: &Value| serde_json::from_str::<Nudge>(record["body"].as_str()?).ok();
    records.iter().filter_map(nudge).map(|nudge| nudge.credential).collect()
}

/// The time at which a sweep must be over, from Lambda's deadline in milliseconds since 1970.
pub fn stop_at(deadline: u64) -> Timestamp {
    let millisecond = i64::try_from(deadline).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::MAX)
}

impl<T: Table, E: Edge> Refresher<T, E> {
    /// Works on the nudged credentials, then on all that are due, until little time is left.
    pub async fn sweep(&self, nudged: &[CredentialId], stop_at: Timestamp) -> Report {
        let mut report = Report::default();
        self.all(nudged.to_vec(), true, stop_at, &mut report).await;
        for shard in 0..tokens::SHARDS {
            if let Err(error) = self.shard(shard, stop_at, &mut report).await {
                tracing::error!(shard, error = %Causes(&error), "due chains could not be read");
            }
        }
        tracing::info!(runs = ?report.runs, cut_short = report.cut_short, "sweep");
        report
    }

    async fn shard(&self, shard: u8, stop_at: Timestamp, report: &mut Report) -> Result<(), TableError> {
        let now = self.edge.now();
        let mut after = None;
        loop {
            let (due, next) = tokens::due(&self.table, shard, now, PAGE, after.as_ref()).await?;
            self.all(due, false, stop_at, report).await;
            if next.is_none() || report.cut_short {
                return Ok(());
            }
            after = next;
        }
    }

    async fn all(&self, ids: Vec<CredentialId>, nudged: bool, stop_at: Timestamp, report: &mut Report) {
        let runs = stream::iter(ids).map(|id| async move {
            let in_time = stop_at.duration_since(self.edge.now()) >= ONE_RUN;
            if in_time { Some(self.run(&id, nudged).await) } else { None }
        });
        let outcomes: Vec<Option<Outcome>> = runs.buffer_unordered(AT_ONCE).collect().await;
        for outcome in outcomes {
            match outcome {
                Some(outcome) => *report.runs.entry(outcome.word()).or_default() += 1,
                None => report.cut_short = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nudges_are_read_and_anything_else_is_a_tick() {
        let event = json!({"Records": [{"body": "{\"credential\":\"c1\"}"}, {"body": "?"}, {}]});
        assert_eq!(nudged(&event), ["c1".parse().expect("an id")]);
        assert_eq!(nudged(&json!({"source": "aws.scheduler"})), []);
        assert_eq!(nudged(&json!(null)), []);
    }
}
