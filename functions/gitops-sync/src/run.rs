//! One attachment: asks what the step needs, and carries out what comes next, until it rests.

use std::time::Duration;

use bucketwheel::call::{CallId, Message};
use bucketwheel::gitops::{Answered, AttachmentId, Next, Step, begin, step, wanted};
use bucketwheel::metric::Metric;
use bucketwheel::ports::{Edge, Outgoing, Queue, QueueError, Table, TableError};
use bucketwheel::store::calls::{self, Entry};
use bucketwheel::store::gitops::{self, Held};
use jiff::{SignedDuration, Timestamp};

use crate::Syncer;

/// How long an answer is waited for. Then the schedule takes the attachment up.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);
/// How often an answer is looked for.
const LOOK: Duration = Duration::from_millis(150);
/// A call that was queued so long ago is queued again: whoever wrote it down may have died before it was sent.
const LOST: SignedDuration = SignedDuration::from_mins(10);

/// Why an attachment was left.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the table failed")]
    Table(#[from] TableError),
    #[error("a queue failed")]
    Queue(#[from] QueueError),
}

impl<T: Table, Q: Queue, E: Edge> Syncer<T, Q, E> {
    /// Works on an attachment until it rests; false if answers are still to come.
    pub(crate) async fn run(&self, id: &AttachmentId, until: Timestamp) -> Result<bool, Stop> {
        let mut first = true;
        loop {
            let Some(held) = gitops::get(&self.table, id).await? else { return Ok(true) };
            if held.state.detaching {
                gitops::remove(&self.table, &held.attachment).await?;
                return Ok(true);
            }
            let now = self.edge.now();
            let due = held.state.woken || (first && held.state.due_at <= now);
            let begins = held.state.step == Step::Idle || held.state.trouble.is_some();
            if begins && !due {
                return Ok(true);
            }
            first = false;
            let next = if begins {
                begin(held.state.clone(), now)
            } else {
                match Box::pin(self.next(&held, until)).await? {
                    Some(next) => next,
                    None => return Ok(false),
                }
            };
            if Box::pin(self.advance(&held, next)).await? {
                return Ok(true);
            }
        }
    }

    /// What comes next; none if answers are still to come.
    async fn next(&self, held: &Held, until: Timestamp) -> Result<Option<Next>, Stop> {
        let Held { attachment, state } = held;
        let work = gitops::work(&self.table, held).await?;
        let mut answers = Vec::new();
        let calls = wanted(attachment, state, &work);
        // All are asked before the first is waited for.
        for call in &calls {
            self.submit(call).await?;
        }
        let until = until.min(self.edge.now() + PATIENCE);
        for call in &calls {
            match self.answer(&call.id, until).await? {
                Some(answer) => answers.push(answer),
                None => return Ok(None),
            }
        }
        Ok(Some(step(attachment, state.clone(), &work, &answers, self.edge.now())))
    }

    /// Carries out what comes next: says it, then writes it down. Whoever dies in between says it again,
    /// under the same id. True if the attachment rests.
    async fn advance(&self, held: &Held, next: Next) -> Result<bool, Stop> {
        let now = self.edge.now();
        for told in &next.told {
            let envelope = told.envelope(&held.attachment, held.state.turn, now);
            self.changes.send(Outgoing::event(&envelope)).await?;
            self.tally.add(Metric::GitopsTold, 1);
        }
        match gitops::advance(&self.table, held, next).await {
            Ok(state) => {
                if let Some(trouble) = &state.trouble {
                    let (attachment, code) = (&held.attachment.id, trouble.code.as_str());
                    self.tally.add(Metric::GitopsTrouble, 1);
                    tracing::warn!(%attachment, code, tries = state.tries, "a step failed");
                }
                Ok(state.rests())
            }
            // Another one was faster, or somebody called: read it again.
            Err(TableError::Refused) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Submits a call, unless it is under way.
    async fn submit(&self, call: &Message) -> Result<(), Stop> {
        let now = self.edge.now();
        match calls::get(&self.table, &call.id, now).await? {
            Entry::New => calls::about_to_queue(&self.table, &call.id, now).await?,
            Entry::Queued(at) if now.duration_since(at) > LOST => {}
            _ => return Ok(()),
        }
        Ok(self.calls.send(Outgoing::call(call)).await?)
    }

    /// Waits for the outcome of a call, with its pages.
    async fn answer(&self, id: &CallId, until: Timestamp) -> Result<Option<Answered>, Stop> {
        loop {
            if let Entry::Finished(outcome) = calls::get(&self.table, id, self.edge.now()).await? {
                let mut pages = Vec::new();
                for number in 1..=outcome.pages.as_ref().map_or(0, |pages| pages.parts) {
                    let part = calls::part(&self.table, id, number, self.edge.now()).await?;
                    pages.extend(part.and_then(|part| part.body));
                }
                return Ok(Some(Answered { outcome: *outcome, pages }));
            }
            if self.edge.now() >= until {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
