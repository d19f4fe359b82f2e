//! A push is sent to gitops-sync as well, where that is on.
//!
//! The copy is only a call to look: one that is lost is made up for by gitops-sync's own schedule, so
//! nothing depends on it.

use std::time::Duration;

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::event::{Enveloped, LARGEST_MESSAGE};
use bucketwheel::ports::{Edge, Keys, Outgoing, Queue, Table};
use tokio::time::timeout;

use crate::{Answer, Ingest, Unstored};

/// Time for the copy. It must not hold up the answer to Bitbucket.
const COPY: Duration = Duration::from_millis(1_000);

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    /// The same, with a queue that pushes are sent to as well.
    #[must_use]
    pub fn with_pushes(self, pushes: Option<Q>) -> Self {
        Self { pushes, ..self }
    }

    /// Sends a delivery onward, and its copy at the same time.
    pub(crate) async fn sent(
        &self,
        credential: &CredentialId,
        event_key: &str,
        delivery: &Enveloped,
    ) -> Result<Answer, Unstored> {
        if delivery.text.len() > LARGEST_MESSAGE {
            return Ok(Answer::TooLarge);
        }
        let copied = self.copy(event_key, delivery);
        let (answer, ()) = tokio::join!(self.onward(credential, delivery), copied);
        answer
    }

    /// Sends a push to gitops-sync, if that is on. What fails is logged: gitops-sync finds out by itself.
    async fn copy(&self, event_key: &str, delivery: &Enveloped) {
        let Some(pushes) = self.pushes.as_ref().filter(|_| event_key == "repo:push") else { return };
        match timeout(COPY, pushes.send(Outgoing::event(delivery))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %Causes(&error), "gitops-sync was not told of a push"),
            Err(_) => tracing::warn!("gitops-sync was not told of a push, for its queue is slow"),
        }
    }
}
