//! gitops-sync: keeps clusters and folders of repositories in step.
//!
//! What comes next for an attachment is decided by [`bucketwheel::gitops::step`]; this crate finds the
//! attachments and carries out the effects. It has no token: it submits calls, and reads their outcomes from
//! the store. All it knows lies in the table, so that it may die anywhere. README.md tells the design.

mod request;
mod run;

use std::collections::BTreeSet;

use bucketwheel::error::Causes;
use bucketwheel::gitops::AttachmentId;
use bucketwheel::metric::{Metric, Tally};
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::gitops;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::request::{Wish, messages};

/// How many attachments are worked on at once.
const AT_ONCE: usize = 8;
/// How many due attachments are read at once.
const PAGE: u32 = 100;
/// What is left of the invocation when the last write begins.
const TO_STORE: SignedDuration = SignedDuration::from_secs(5);

/// The function with everything it needs.
#[derive(Debug)]
pub struct Syncer<T, Q, E> {
    /// The table.
    pub table: T,
    /// Where calls go.
    pub calls: Q,
    /// Where the changes that people made are told.
    pub changes: Q,
    /// The clock.
    pub edge: E,
    /// What this invocation counts.
    pub tally: Tally,
}

/// What became of an invocation.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Attachments that are in step, or as far as they come for now.
    pub rested: u32,
    /// Attachments that wait for answers; the schedule takes them up.
    pub waiting: u32,
    /// Attachments that failed; the schedule takes them up.
    pub failed: u32,
    /// The messages that have to come again, as SQS wants it to be said.
    #[serde(rename = "batchItemFailures")]
    pub again: Vec<Value>,
}

impl<T: Table, Q: Queue, E: Edge> Syncer<T, Q, E> {
    /// Works on the attachments that the event's messages concern, or on all that are due if there are none.
    pub async fn handle(&self, event: &Value, ends_at: Timestamp) -> Report {
        let until = ends_at - TO_STORE;
        let mut report = Report::default();
        let concerned = match messages(event) {
            Some(messages) => {
                let mut concerned = BTreeSet::new();
                for (id, text) in messages {
                    // A queue in order gives a failed message again, and so all that come after it.
                    let found =
                        if report.again.is_empty() { self.called(text).await } else { Ok(Vec::new()) };
                    match found {
                        Ok(found) if report.again.is_empty() => concerned.extend(found),
                        Ok(_) => report.again.push(json!({ "itemIdentifier": id })),
                        Err(error) => {
                            tracing::error!(error = %Causes(&error), "a push was not noted");
                            report.again.push(json!({ "itemIdentifier": id }));
                        }
                    }
                }
                concerned
            }
            None => self.due().await,
        };
        let runs = stream::iter(concerned).map(|id| self.one(id, until)).buffer_unordered(AT_ONCE);
        let mut runs = std::pin::pin!(runs);
        while let Some(ended) = runs.next().await {
            match ended {
                Ok(true) => report.rested += 1,
                Ok(false) => report.waiting += 1,
                Err(()) => report.failed += 1,
            }
        }
        for (metric, number) in [
            (Metric::GitopsRun, 1),
            (Metric::GitopsRested, report.rested),
            (Metric::GitopsWaiting, report.waiting),
            (Metric::GitopsFailed, report.failed),
        ] {
            self.tally.add(metric, number.into());
        }
        tracing::info!(rested = report.rested, waiting = report.waiting, failed = report.failed, "sync");
        report
    }

    async fn one(&self, id: AttachmentId, until: Timestamp) -> Result<bool, ()> {
        Box::pin(self.run(&id, until)).await.map_err(|error| {
            tracing::error!(attachment = %id, error = %Causes(&error), "attachment not worked on");
        })
    }

    /// Notes in the table whom a message concerns. From then on the message may be lost.
    async fn called(&self, text: &str) -> Result<Vec<AttachmentId>, TableError> {
        let now = self.edge.now();
        let mut woken = Vec::new();
        match request::wish(text) {
            Wish::Attachment(id) => {
                gitops::wake(&self.table, &id, now).await?;
                woken.push(id);
            }
            Wish::Push(push) => {
                for id in gitops::of_credential(&self.table, &push.credential).await? {
                    let found = gitops::get(&self.table, &id).await?;
                    if found.is_some_and(|held| push.concerns(&held)) {
                        gitops::wake(&self.table, &id, now).await?;
                        woken.push(id);
                    }
                }
            }
            Wish::Nothing => {}
        }
        Ok(woken)
    }

    async fn due(&self) -> BTreeSet<AttachmentId> {
        let (now, mut found, mut after) = (self.edge.now(), BTreeSet::new(), None);
        loop {
            match gitops::due(&self.table, now, PAGE, after.as_ref()).await {
                Ok((ids, next)) => {
                    found.extend(ids);
                    after = next;
                }
                Err(error) => {
                    tracing::error!(error = %Causes(&error), "due attachments could not be read");
                    return found;
                }
            }
            if after.is_none() {
                return found;
            }
        }
    }
}
