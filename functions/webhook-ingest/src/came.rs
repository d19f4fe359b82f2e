//! Notes in the table of deliveries that came, where missed events are searched for.
//!
//! Without the search no delivery costs a write. With it a push, and what opens, moves or closes a pull
//! request, costs a small one, once the delivery is safe. It must not be lost, or the event would be made up
//! for though it came: what the table does not take at once is kept for the next delivery or the drain.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::missed::Facts;
use bucketwheel::ports::{Edge, Keys, Queue, Table, TableError};
use bucketwheel::store::missed;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::{Answer, Ingest, NOTE, Request, Unstored};

/// How many notes are kept while the table does not take them.
const MOST: usize = 1_000;

/// What is still to be noted: whose, what, and when it came.
#[derive(Debug, Default)]
pub(crate) struct Unnoted(Mutex<Vec<Note>>);

type Note = (CredentialId, Facts, Timestamp);

impl Unnoted {
    fn keep(&self, note: Note) {
        let mut kept = self.locked();
        if kept.len() < MOST {
            kept.push(note);
        }
    }

    fn take(&self) -> Vec<Note> {
        std::mem::take(&mut *self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Note>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Table, Q: Queue, K: Keys, E: Edge> Ingest<T, Q, K, E> {
    /// The same, where missed events are searched for.
    #[must_use]
    pub fn with_search(self, on: bool) -> Self {
        Self { unnoted: on.then(Unnoted::default), ..self }
    }

    /// Notes a delivery that is safe, or that a filter dropped: it came.
    pub(crate) async fn note_came(
        &self,
        request: &Request<'_>,
        credential: &CredentialId,
        body: &[u8],
        taken: &Result<Answer, Unstored>,
        now: Timestamp,
    ) {
        let came = matches!(taken, Ok(answer) if *answer != Answer::TooLarge);
        let Some(unnoted) = self.unnoted.as_ref().filter(|_| came) else { return };
        if let Some(facts) = Facts::read(request.event_key(), body) {
            unnoted.keep((credential.clone(), facts, now));
            self.note_all_that_came().await;
        }
    }

    /// Notes what is still to be noted.
    pub(crate) async fn note_all_that_came(&self) {
        let Some(unnoted) = &self.unnoted else { return };
        let notes = stream::iter(unnoted.take());
        notes
            .for_each_concurrent(16, |(credential, facts, at)| async move {
                let noted = timeout(NOTE, missed::note(&self.table, &credential, facts.clone(), at)).await;
                match noted {
                    Ok(Ok(())) => {}
                    Ok(Err(error @ TableError::Rejected(_))) => {
                        tracing::warn!(error = %Causes(&error), "that a delivery came is not noted");
                    }
                    Ok(Err(_)) | Err(_) => unnoted.keep((credential, facts, at)),
                }
            })
            .await;
    }
}
