//! The round: what the worker does unasked.
//!
//! Once an hour every credential is visited, and what is due for it is put on the calls queue as any other
//! call, with the lowest priority. The schedule comes more often: each time a part of the credentials is
//! visited, and where that part ends is noted. A call's id is made of what it does, the credential and the
//! round's number. So two runs at once, or one that stopped before it noted how far it came, submit the
//! same call again, and not another one.

mod chores;
#[cfg(test)]
mod tests;

use bucketwheel::call::{Action, CallId, Message};
use bucketwheel::credential::{Credential, Health};
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Outgoing, Queue, QueueError, Table, TableError};
use bucketwheel::store::beats::{self, Schedule};
use bucketwheel::store::rounds::{self, Round};
use bucketwheel::store::{credentials, hooks, repositories};
use futures_util::future::try_join;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::rounds::chores::{REPOSITORIES, Seen, chores};

/// Between the beginnings of two rounds. A call that has waited for so long is submitted anew.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// A round that has not ended after so many hours begins anew.
const LONGEST: i64 = 24;
/// How many credentials are read at a time, and how many such pages one run reads.
const PAGE: u32 = 100;
const PAGES: usize = 20;
/// How many credentials are visited at the same time.
const AT_ONCE: usize = 16;
/// A page is not begun when less time than this is left.
const LEAST_TIME: SignedDuration = SignedDuration::from_secs(20);

/// The rounds with all that they need.
#[derive(Debug)]
pub struct Rounds<T, Q, E> {
    /// The table.
    pub table: T,
    /// Where calls are submitted.
    pub calls: Q,
    /// Time.
    pub edge: E,
    /// After so many days a hook secret is replaced; 0: never.
    pub secret_days: u32,
    /// After so many hours the repositories are listed anew; 0: never.
    pub list_hours: u32,
    /// Whether missed events are searched for.
    pub search: bool,
}

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Walked {
    /// How many credentials it visited.
    pub visited: usize,
    /// How many calls it submitted.
    pub submitted: usize,
    /// Whether the round is at its end.
    pub ended: bool,
}

/// Why a run stopped early.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error("the table failed")]
    Table(#[from] TableError),
    #[error("the calls queue failed")]
    Queue(#[from] QueueError),
}

impl<T: Table, Q: Queue, E: Edge> Rounds<T, Q, E> {
    /// Walks on until `until` at most; the next run goes on.
    pub async fn walk(&self, until: Timestamp) -> Walked {
        let mut walked = Walked::default();
        match self.run(until, &mut walked).await {
            Ok(()) => {
                if let Err(error) = beats::beat(&self.table, Schedule::Round, self.edge.now()).await {
                    tracing::warn!(error = %Causes(&error), "that a run took place could not be noted");
                }
            }
            // Another run is at it.
            Err(Stuck::Table(TableError::Refused)) => {}
            Err(error) => tracing::error!(error = %Causes(&error), "the round stopped"),
        }
        if walked.visited > 0 || walked.submitted > 0 {
            tracing::info!(visited = walked.visited, submitted = walked.submitted, walked.ended, "round");
        }
        walked
    }

    async fn run(&self, until: Timestamp, walked: &mut Walked) -> Result<(), Stuck> {
        self.follow_events(walked).await?;
        self.walk_on(until, walked).await
    }

    /// Has the lists read of which an event said that they change: once for all events since the last run.
    async fn follow_events(&self, walked: &mut Walked) -> Result<(), Stuck> {
        for stale in repositories::marked(&self.table, PAGE).await? {
            let id = CallId::own(REPOSITORIES, &stale.credential, stale.at);
            self.submit(Message::own(id, stale.credential.clone(), Action::RefreshRepositories {})).await?;
            repositories::unmark(&self.table, &stale).await?;
            walked.submitted += 1;
        }
        Ok(())
    }

    /// Puts a call on the queue that is worth nothing any more when the next round comes.
    async fn submit(&self, call: Message) -> Result<(), QueueError> {
        let call = Message { deadline: Some(self.edge.now() + HOUR), ..call };
        self.calls.send(Outgoing::call(&call)).await
    }

    async fn walk_on(&self, until: Timestamp, walked: &mut Walked) -> Result<(), Stuck> {
        let number = self.edge.now().as_second().div_euclid(HOUR.as_secs());
        let mut round = match rounds::get(&self.table).await? {
            Some(round) if round.ended && round.number >= number => {
                walked.ended = true;
                return Ok(());
            }
            Some(round) if !round.ended && number - round.number < LONGEST => round,
            before => Round::next(before, number),
        };
        for _ in 0..PAGES {
            if until.duration_since(self.edge.now()) < LEAST_TIME {
                return Ok(());
            }
            let all = credentials::Which::All;
            let (page, next) = credentials::list(&self.table, all, PAGE, round.after().as_ref()).await?;
            let number = round.number;
            let visits = page.iter().map(|credential| self.visit(credential, number));
            let mut visits = stream::iter(visits).buffer_unordered(AT_ONCE);
            while let Some(submitted) = visits.next().await {
                walked.visited += 1;
                walked.submitted += submitted?;
            }
            rounds::go_on(&self.table, &mut round, next).await?;
            if round.ended {
                walked.ended = true;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Submits what is due for one credential; gives how much that is.
    async fn visit(&self, credential: &Credential, round: i64) -> Result<usize, Stuck> {
        // One that is down makes no calls. When it is up again the next round finds it.
        let health = credential.status.health;
        if credential.disabled_at.is_some() || matches!(health, Health::Down | Health::Disabled) {
            return Ok(0);
        }
        let id = &credential.id;
        let read = try_join(hooks::get(&self.table, id), repositories::listed(&self.table, id)).await;
        let (hooks, listed) = match read {
            Ok(read) => read,
            Err(error) if error.is_transient() => return Err(error.into()),
            // One item that cannot be read must not hold up the others.
            Err(error) => {
                tracing::error!(error = %Causes(&error), credential = id.as_str(), "not visited");
                return Ok(0);
            }
        };
        let seen = Seen {
            hooks: hooks.as_ref(),
            secret_days: self.secret_days,
            listed_at: listed.map(|listed| listed.at),
            list_hours: self.list_hours,
            search: self.search,
            now: self.edge.now(),
        };
        let due = chores(seen);
        let submitted = due.len();
        for (what, action) in due {
            self.submit(Message::own(CallId::own(what, id, round), id.clone(), action)).await?;
        }
        Ok(submitted)
    }
}
