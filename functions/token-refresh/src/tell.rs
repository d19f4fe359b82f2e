//! What a run means for the credential: its status, and the event that announces a change.

use bucketwheel::credential::{Cause, CredentialId, Health, Status};
use bucketwheel::error::Causes;
use bucketwheel::event::StatusChange;
use bucketwheel::ports::{Edge, Outgoing, Probe, Queue, QueueError, Table, TableError, TokenEndpoint};
use bucketwheel::rotation::{Chain, Outcome, Upkeep, falls_due, forecast};
use bucketwheel::store::credentials::{self, Told};
use bucketwheel::store::tokens::{self, Shown};
use jiff::Timestamp;

use crate::Refresher;
use crate::run::Ran;

/// Why nobody was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untold {
    #[error("the table failed")]
    Table(#[from] TableError),
    #[error("the events queue failed")]
    Queue(#[from] QueueError),
}

impl<T: Table, Q: Queue, E: Edge, O: TokenEndpoint, A: Probe> Refresher<T, Q, E, O, A> {
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
        let told = match ran.outcome {
            Outcome::Contested => None,
            _ => self.announce(id, self.verdict(ran, now), ran.shown, generation, now).await?,
        };
        match ran.outcome {
            Outcome::NotDue if ran.shown != Shown::Troubled => self.look_after(id, read, now).await?,
            Outcome::Revoked => tokens::rest(&self.table, id, generation).await?,
            _ => {}
        }
        Ok(told)
    }

    /// A chain that the index shows and that is not due is put where it belongs.
    async fn look_after(&self, id: &CredentialId, chain: &Chain, now: Timestamp) -> Result<(), Untold> {
        let (upkeep, at) = (chain.upkeep, chain.refreshed_at);
        let due = falls_due(upkeep, at, chain.expires_at, &self.terms, self.edge.random());
        if upkeep != Upkeep::Fixed && chain.intent.is_none() && due > now {
            tokens::postpone(&self.table, id, chain.generation, due).await?;
        }
        Ok(())
    }

    /// Tells what is known of a credential that a person has changed, if nobody was told yet.
    pub(crate) async fn tell_known(&self, id: &CredentialId) -> Result<Option<Health>, Untold> {
        let Some(tokens) = tokens::get(&self.table, id).await? else { return Ok(None) };
        self.announce(id, None, Shown::Well, tokens.chain().generation, self.edge.now()).await
    }

    /// Announces what was found, or, if nothing was, what is known and was not announced. What an operator
    /// switched off stays so. The event goes first: a run that dies in between announces it again, under
    /// the same id; and before an event of trouble it is noted that its end will have to be told.
    async fn announce(
        &self,
        id: &CredentialId,
        found: Option<Verdict>,
        shown: Shown,
        generation: u64,
        now: Timestamp,
    ) -> Result<Option<Health>, Untold> {
        let Some(credential) = credentials::get(&self.table, id).await? else { return Ok(None) };
        let known = &credential.status;
        let found = found.filter(|_| known.health != Health::Disabled);
        let told = credentials::told(&self.table, id).await?;
        // A credential begins `up`, and nobody needs to hear that.
        let told = told.unwrap_or(Told { health: Health::Up, cause: None });
        let (health, cause) = found.unwrap_or((known.health, known.cause));
        let changed = (health, cause) != (known.health, known.cause);
        // An event of trouble may have been sent by a run that could not store that it was.
        let retracts = shown == Shown::Outdated && matches!(health, Health::Up | Health::Disabled);
        if !changed && !retracts && (told.health, told.cause) == (health, cause) {
            return Ok(None);
        }
        let since = if changed || retracts { now } else { known.since };
        let status = Status { health, cause, since };
        let Some(tokens) = tokens::get(&self.table, id).await? else { return Ok(None) };
        let chain = tokens.chain();
        // A newer run is about to tell of trouble, or has told that the chain ended.
        let noted = tokens.troubled_at().filter(|_| chain.upkeep.asks_token_endpoint());
        let newer = match health {
            Health::Up => found.is_some() && noted.is_some_and(|at| at >= generation),
            Health::Degraded => chain.ended,
            Health::Down | Health::Disabled => false,
        };
        if newer {
            return Ok(None);
        }
        let troubled = matches!(health, Health::Degraded | Health::Down);
        if troubled {
            // What was refused waits, and when a token expires is for a person to say.
            let tried_again =
                chain.refused_at.is_none() && !chain.ended && cause != Some(Cause::TokenExpires);
            tokens::troubled(&self.table, id, generation, tried_again).await?;
        }
        let mut page = self.public_url.clone();
        page.set_path(&format!("credentials/{id}"));
        let change = StatusChange {
            credential: &credential,
            status: &status,
            generation,
            works_until: status.works_until(&chain),
            forecast: &forecast(&chain, tokens.due_at(), now, &self.terms),
            page: page.as_str(),
        };
        self.events.send(Outgoing::event(&change.envelope())).await?;
        match credentials::tell(&self.table, &credential, &status, generation, tokens.troubled_at()).await {
            // Others were faster, and may have told before this event what is so now.
            Err(TableError::Refused) if troubled => {
                let Some(tokens) = tokens::get(&self.table, id).await? else { return Ok(None) };
                tokens::troubled(&self.table, id, tokens.chain().generation, true).await?;
                Ok(None)
            }
            told => Ok(told.map(|()| Some(health))?),
        }
    }

    /// What a run says of its credential, if anything.
    fn verdict(&self, ran: &Ran, now: Timestamp) -> Option<Verdict> {
        if ran.verdict.is_some() {
            return ran.verdict;
        }
        let cause = |otherwise| Some(ran.cause.unwrap_or(otherwise));
        Some(match ran.outcome {
            Outcome::NotDue if ran.shown == Shown::Outdated => (Health::Up, None),
            Outcome::NotDue | Outcome::Contested => return None,
            // One that waits for Bitbucket is told of when its access token will not wait much longer.
            Outcome::Transient if ran.cause == Some(Cause::HeldBack) && !self.ends_soon(ran, now) => {
                return (ran.shown == Shown::Outdated).then_some((Health::Up, None));
            }
            Outcome::Rotated => (Health::Up, None),
            Outcome::Transient | Outcome::Parked => (Health::Degraded, cause(Cause::RefreshFailed)),
            Outcome::Suspect => (Health::Degraded, Some(Cause::RefreshRefused)),
            Outcome::Revoked => (Health::Down, Some(Cause::RotationLost)),
            Outcome::Misconfigured => (Health::Degraded, cause(Cause::CannotUnseal)),
        })
    }

    /// A lazy chain's access token may end: nobody uses it.
    fn ends_soon(&self, ran: &Ran, now: Timestamp) -> bool {
        let used = ran.chain.filter(|chain| chain.upkeep != Upkeep::Lazy);
        used.is_some_and(|chain| chain.expires_at.duration_since(now) < self.terms.margin / 2)
    }
}

/// A state and its cause.
pub(crate) type Verdict = (Health, Option<Cause>);
