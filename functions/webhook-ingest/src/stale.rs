//! Events that change which repositories a credential sees.
//!
//! This function may not submit calls: whoever finds a hole in what the internet reaches must not be able to
//! make the worker do things at Bitbucket. So it leaves a mark in the table, and the worker's schedule takes
//! it up.

use bucketwheel::credential::CredentialId;
use bucketwheel::event::changes_repositories;
use bucketwheel::ports::{Edge, Keys, Queue, Table};
use bucketwheel::store::repositories;
use tokio::time::timeout;

use crate::{Answer, Ingest, NOTE, Request};

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    /// Marks the credential's list where a genuine event says that it changes: one write, for rare events
    /// alone, once the delivery is safe. What fails here is made good by the schedule.
    pub(crate) async fn note_stale(&self, request: &Request<'_>, answer: Answer) {
        let Ok(credential) = request.credential().parse::<CredentialId>() else { return };
        let is_safe = matches!(answer, Answer::Accepted | Answer::Unasked | Answer::Parked);
        if is_safe && changes_repositories(request.event_key()) {
            let noted = timeout(NOTE, repositories::mark(&self.table, &credential, self.edge.now())).await;
            if !matches!(noted, Ok(Ok(()))) {
                tracing::warn!("the list of repositories was not marked");
            }
        }
    }
}
