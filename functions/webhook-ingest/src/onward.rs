//! A delivery on its way to the events queue, or into the table where it waits for it.
//!
//! While something of a group waits, what comes later waits behind it: the group's head is read before
//! each send. Two deliveries of which one was answered before the other came keep that order so. Of
//! deliveries that come at the same time either may be first.
//!
//! Without the table nobody can know what waits. Then a process that has lately seen neither a failure of
//! the queue nor something that waits sends all the same: to refuse everything for as long as the table
//! is away would lose more than the order. So the order can break where first the queue fails, and then
//! the table before the drain has come, and the delivery meets a process that has noticed neither.

use std::time::Duration;

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::event::Enveloped;
use bucketwheel::ports::{Edge, Keys, Outgoing, Queue, QueueError, Table, TableError};
use bucketwheel::store::deliveries::{self, Head};
use tokio::time::{sleep, timeout};

use crate::{Answer, Ingest, Unstored};

/// Time for the question whether something waits.
const LOOK: Duration = Duration::from_millis(1_200);
/// Time for the queue. Then the delivery is parked, though the queue may have taken it: it drops the
/// second one (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html>).
pub(crate) const SEND: Duration = Duration::from_millis(2_000);
/// Between two tries to park.
const PAUSE: Duration = Duration::from_millis(50);

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    pub(crate) async fn onward(
        &self,
        credential: &CredentialId,
        delivery: &Enveloped,
    ) -> Result<Answer, Unstored> {
        let now = self.edge.now();
        let looked = timeout(LOOK, deliveries::head(&self.table, &delivery.group)).await;
        let (head, asked) = match looked {
            Ok(Ok(head)) => (head, true),
            Ok(Err(_)) | Err(_) if self.waiting.seen_lately(now) => return Err(Unstored::Unasked),
            Ok(Err(error)) => {
                tracing::warn!(error = %Causes(&error), "sent without asking what waits");
                (None, false)
            }
            Err(_) => {
                tracing::warn!("sent without asking what waits, for the table is slow");
                (None, false)
            }
        };
        if head.is_none() {
            match timeout(SEND, self.events.send(Outgoing::event(delivery))).await {
                Ok(Ok(())) if asked => return Ok(Answer::Accepted),
                Ok(Ok(())) => return Ok(Answer::Unasked),
                Ok(Err(error @ QueueError::Rejected(_))) => return Err(error.into()),
                Ok(Err(error)) => tracing::warn!(error = %Causes(&error), "parking, for the queue failed"),
                Err(_) => tracing::warn!("parking, for the queue is slow"),
            }
        }
        self.waiting.seen(now);
        self.park(credential, delivery, head).await
    }

    /// Tries until it is parked; the time for all of it is the caller's.
    async fn park(
        &self,
        credential: &CredentialId,
        delivery: &Enveloped,
        mut head: Option<Head>,
    ) -> Result<Answer, Unstored> {
        let ring = self.ring.get(self.edge.now()).await?;
        loop {
            let nonce = self.edge.random();
            match deliveries::park(&self.table, head.as_ref(), credential, delivery, &ring, nonce).await {
                Ok(()) => return Ok(Answer::Parked),
                // Another one took the number, or the group was drained.
                Err(TableError::Refused) => {}
                Err(error) if error.is_transient() => {
                    tracing::warn!(error = %Causes(&error), "not parked yet");
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
            head = loop {
                match deliveries::head(&self.table, &delivery.group).await {
                    Ok(head) => break head,
                    Err(error) if error.is_transient() => sleep(PAUSE).await,
                    Err(error) => return Err(error.into()),
                }
            };
        }
    }
}
