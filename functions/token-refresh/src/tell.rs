//! What a run means for the credential: its status, and the event that announces a change.

use bucketwheel::credential::{Cause, Credential, CredentialId, Health, Status};
use bucketwheel::error::Causes;
use bucketwheel::event::StatusChange;
use bucketwheel::ports::{Edge, Outgoing, Queue, QueueError, Table, TableError, TokenEndpoint};
use bucketwheel::rotation::{Chain, Outcome, Upkeep, due_at, forecast};
use bucketwheel::store::credentials::Told;
use bucketwheel::store::{credentials, tokens};
use jiff::Timestamp;

use crate::Refresher;
use crate::run::Ran;

/// Why nobody was told.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("the table failed")]
    Table(#[from] TableError),
    #[error("the events queue failed")]
    Queue(#[from] QueueError),
}

impl<T: Table, Q: Queue, E: Edge, O: TokenEndpoint> Refresher<T, Q, E, O> {
    /// Tells what a run means, if that is news. Returns the new health.
    pub(crate) async fn tell(&self, id: &CredentialId, ran: &Ran) -> Option<Health> {
        match self.news(id, ran).await {
            Ok(news) => news,
            Err(Untold::Table(TableError::Refused)) => None,
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "status not told");
                None
            }
        }
    }

    async fn news(&self, id: &CredentialId, ran: &Ran) -> Result<Option<Health>, Untold> {
        tracing::info!(credential = id.as_str(), outcome = ran.outcome.word(), "refresh");
        let Some(read) = &ran.chain else { return Ok(None) };
        let now = self.edge.now();
        // A commit has moved the chain on by one.
        let rotated = u64::from(ran.outcome == Outcome::Rotated);
        let generation = read.generation + rotated;
        let told = match status_after(ran, now) {
            None if ran.outcome == Outcome::NotDue => self.look_after(id, read, now).await?,
            None => None,
            Some(status) => match credentials::get(&self.table, id).await? {
                Some(credential) => self.announce(&credential, status, generation, read, now).await?,
                None => None,
            },
        };
        match ran.outcome {
            Outcome::Revoked => tokens::rest(&self.table, id, generation).await?,
            // Nobody holds it, so nobody else would put it off.
            Outcome::Misconfigured if read.lease.is_none() && read.intent.is_none() => {
                let later = now.checked_add(self.terms.backoff).unwrap_or(now);
                tokens::postpone(&self.table, id, generation, later).await?;
            }
            _ => {}
        }
        Ok(told)
    }

    /// A chain that the index shows and that is not due is put where it belongs.
    async fn look_after(
        &self,
        id: &CredentialId,
        chain: &Chain,
        now: Timestamp,
    ) -> Result<Option<Health>, Untold> {
        let due = due_at(chain.upkeep, chain.refreshed_at, chain.expires_at, &self.terms);
        if chain.upkeep != Upkeep::Fixed && chain.intent.is_none() && due > now {
            tokens::postpone(&self.table, id, chain.generation, due).await?;
        }
        Ok(None)
    }

    /// The event goes first: a run that dies in between announces it again, under the same id.
    async fn announce(
        &self,
        credential: &Credential,
        status: Status,
        generation: u64,
        chain: &Chain,
        now: Timestamp,
    ) -> Result<Option<Health>, Untold> {
        let known = &credential.status;
        if known.health == Health::Disabled {
            return Ok(None);
        }
        let told = credentials::told(&self.table, &credential.id).await?;
        let (was, is) = ((known.health, known.cause), (status.health, status.cause));
        // A credential begins `up`, and nobody needs to hear that.
        let told = told.unwrap_or(Told { health: Health::Up, cause: None });
        if was == is && (told.health, told.cause) == is {
            return Ok(None);
        }
        let status = if was == is { known.clone() } else { status };
        let forecast = forecast(chain, now, &self.terms);
        let mut page = self.public_url.clone();
        page.set_path(&format!("credentials/{}", credential.id));
        let change = StatusChange {
            credential,
            status: &status,
            generation,
            forecast: &forecast,
            page: page.as_str(),
        };
        let event = change.envelope();
        let message = Outgoing { body: event.text, group: Some(event.group), dedup: Some(event.id) };
        self.events.send(message).await?;
        credentials::tell(&self.table, &credential.id, &status, generation).await?;
        Ok(Some(status.health))
    }
}

fn status_after(ran: &Ran, now: Timestamp) -> Option<Status> {
    let (health, cause) = match ran.outcome {
        Outcome::NotDue | Outcome::Contested => return None,
        Outcome::Rotated => (Health::Up, None),
        Outcome::Transient | Outcome::Parked => (Health::Degraded, ran.cause.or(Some(Cause::RefreshFailed))),
        Outcome::Suspect => (Health::Degraded, Some(Cause::RefreshRefused)),
        Outcome::Revoked => (Health::Down, Some(Cause::RotationLost)),
        Outcome::Misconfigured => (Health::Degraded, ran.cause.or(Some(Cause::CannotUnseal))),
    };
    Some(Status { health, cause, since: now })
}
