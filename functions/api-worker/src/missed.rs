//! The search for events that Bitbucket did not deliver. [`bucketwheel::missed`] says how it judges; this
//! reads where the repositories stand and puts what is missing on the events queue, marked as synthetic.
//!
//! A sweep uses [`SHARE`] percent of the hourly allowance, together with all other sweeps of that hour. Where
//! that is not enough for all repositories, the next sweep goes on where this one stopped.

mod reading;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, Ordering};

use bucketwheel::call::{Answer, Problem, Wire};
use bucketwheel::credential::{CredentialId, Repository};
use bucketwheel::metric::Metric;
use bucketwheel::missed::{Missed, judge};
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::hooks::{self, HookSecrets};
use bucketwheel::store::missed::{self, Found, Sums};
use bucketwheel::store::{budget, deliveries, repositories};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::Worker;
use crate::exchange::{Stop, made};
use crate::holder::Holder;
use crate::work::Again;

/// The most that all sweeps of an hour use of the hourly allowance, in percent. A repository that was begun
/// is finished, so it may be a little more.
const SHARE: u32 = 10;
/// How many repositories of the list are read at once.
const PAGE: u32 = 100;

/// A repository whose events are to come.
#[derive(Debug)]
pub(crate) struct Watched {
    repository: Repository,
    /// The event keys, each with the hook that is to send it: its uuid without braces.
    events: BTreeMap<String, Option<String>>,
}

impl Watched {
    /// By its uuid; none if none of its events is to come.
    fn of(events: BTreeMap<String, Option<String>>, repository: Repository) -> Option<(String, Self)> {
        (!events.is_empty()).then(|| (repository.uuid.clone(), Self { repository, events }))
    }
}

/// One sweep.
pub(crate) struct Sweep<'a, T, Q, E> {
    worker: &'a Worker<T, Q, E>,
    holder: &'a Holder,
    stored: HookSecrets,
    until: Timestamp,
    requests: AtomicU32,
}

/// Why a sweep stops before its end.
enum Early {
    /// The hour's share is used up.
    Share,
    Stop(Stop),
}

impl<T: Into<Stop>> From<T> for Early {
    fn from(stop: T) -> Self {
        Self::Stop(stop.into())
    }
}

impl From<TableError> for Early {
    fn from(error: TableError) -> Self {
        Self::Stop(Again::from(error).into())
    }
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Looks for missed events of a credential's hooks.
    pub(crate) async fn detect_missed(&self, holder: &Holder, until: Timestamp) -> Result<Answer, Stop> {
        let id = &holder.credential.id;
        if self.events.is_none() {
            let resolution = "Set the template's parameter DetectMissed to on.";
            let problem = Problem::new("switched_off", "The search for missed events is off.", resolution);
            return Err(Stop::Failed(problem, None));
        }
        let stored = hooks::get(&self.table, id).await.map_err(Again::from)?;
        let stored = stored.unwrap_or_else(HookSecrets::unmade);
        let now = self.edge.now();
        let before = missed::found(&self.table, id, now).await.map_err(Again::from)?;
        let mut found = Found::begun(before.as_ref(), now);
        let sweep = Sweep { worker: self, holder, stored, until, requests: AtomicU32::new(0) };
        let begun_after = found.after.clone();
        let ended = Box::pin(sweep.run(&mut found)).await;
        self.count(&found.sums);
        missed::add(&self.table, id, &found, now).await.map_err(Again::from)?;
        if let Err(Early::Stop(stop)) = ended {
            return Err(stop);
        }
        Ok(made(&json!({
            "watched": found.watched,
            "came": found.sums.came, "missed": found.sums.missed, "late": found.sums.late,
            "begun_after": begun_after, "stopped_after": found.after,
        })))
    }

    fn count(&self, sums: &Sums) {
        self.tally.add(Metric::EventCame, sums.came);
        self.tally.add(Metric::EventMissed, sums.missed);
        self.tally.add(Metric::EventLate, sums.late);
        if sums.delays.count > 0 {
            self.tally.set(Metric::EventDelay, sums.delays.most_ms.div_ceil(1_000));
        }
    }
}

impl<T: Table, Q: Queue, E: Edge> Sweep<'_, T, Q, E> {
    async fn run(&self, found: &mut Found) -> Result<(), Early> {
        let watched = self.watched().await?;
        found.watched = watched.len() as u64;
        let after = found.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        for (uuid, watched) in watched.range::<String, _>((after, Bound::Unbounded)) {
            if self.share().await? == 0 {
                return Err(Early::Share);
            }
            if self.worker.little_time(self.until) {
                return Err(
                    Again::After(SignedDuration::from_secs(1), "more repositories are to come").into()
                );
            }
            match Box::pin(self.one(uuid, watched, found)).await {
                Ok(()) => {}
                // One that cannot be looked at must not hold up the others.
                Err(Stop::Failed(problem, _)) => found.problem = Some(problem),
                Err(stop) => return Err(stop.into()),
            }
            found.after = Some(uuid.clone());
        }
        self.share().await?;
        found.after = None;
        Ok(())
    }

    /// Notes the requests that were made since; gives how many are left to this hour's sweeps.
    async fn share(&self) -> Result<u32, TableError> {
        let (worker, credential) = (self.worker, &self.holder.credential);
        let requests = self.requests.swap(0, Ordering::Relaxed);
        budget::take_part(&worker.table, worker.limits, credential, SHARE, requests, worker.edge.now()).await
    }

    async fn ask(&self, wire: &Wire) -> Result<Value, Stop> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.worker.read(self.holder, wire).await
    }

    fn id(&self) -> &CredentialId {
        &self.holder.credential.id
    }

    /// The repositories of the credential's hooks, by uuid.
    async fn watched(&self) -> Result<BTreeMap<String, Watched>, Early> {
        let mut left: BTreeSet<_> = self.stored.hooks.iter().map(|hook| hook.subject.as_str()).collect();
        let (mut watched, mut after) = (BTreeMap::new(), None);
        loop {
            let (table, now) = (&self.worker.table, self.worker.edge.now());
            let (page, next) = repositories::list(table, self.id(), PAGE, after.as_ref(), now).await?;
            for repository in page {
                left.remove(repository.full_name.as_str());
                watched.extend(Watched::of(self.events_of(&repository.full_name), repository));
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        // The list may not have come to it yet.
        for subject in left.into_iter().filter(|subject| subject.contains('/')) {
            match self.repository(subject).await {
                Ok(Some(repository)) => watched.extend(Watched::of(self.events_of(subject), repository)),
                Ok(None) | Err(Stop::Failed(..)) => {}
                Err(stop) => return Err(stop.into()),
            }
        }
        Ok(watched)
    }

    /// The events that hooks are to send of a repository: its own hook's, and its workspace's. A hook that
    /// Bitbucket never had sends nothing, so nothing of it can be missed.
    fn events_of(&self, full_name: &str) -> BTreeMap<String, Option<String>> {
        let workspace = full_name.split('/').next();
        let hooks = self.stored.hooks.iter().filter(|hook| {
            (hook.registered > 0 || hook.by_hand)
                && (hook.subject == full_name || Some(hook.subject.as_str()) == workspace)
        });
        let events = hooks.flat_map(|hook| hook.events.iter().map(|key| (key.clone(), hook.uuid.clone())));
        events.collect()
    }

    async fn one(&self, uuid: &str, watched: &Watched, found: &mut Found) -> Result<(), Stop> {
        let (table, id, now) = (&self.worker.table, self.id(), self.worker.edge.now());
        // What came is read last: what it tells may be newer than what Bitbucket says, never the other way.
        let before = missed::heads(table, id, uuid, now).await.map_err(Again::from)?;
        let reading = self.reading(watched, now).await?;
        let came = missed::came(table, id, uuid, now).await.map_err(Again::from)?;
        let revision = before.as_ref().map(|heads| heads.revision);
        let judged = judge(before, found.since, &reading, &came, now);
        let Some(told) = self.tell(watched, &judged.missed).await? else {
            // Deliveries wait in the table, and this would overtake them.
            return Ok(());
        };
        if let Some(heads) = &judged.heads {
            match missed::put_heads(table, id, uuid, heads, revision, now).await {
                Ok(()) => {}
                // Another sweep is at it, and has said the same under the same ids.
                Err(TableError::Refused) => return Ok(()),
                Err(error) => return Err(Again::from(error).into()),
            }
        }
        let done: Vec<_> = judged.done.iter().filter_map(|place| came.get(*place)).collect();
        missed::forget(table, id, &done).await.map_err(Again::from)?;
        found.sums.missed += told;
        found.sums.late += judged.late.len() as u64;
        found.sums.came += done.len() as u64;
        for came in done {
            if let Some(happened_at) = came.facts.happened_at {
                found.sums.delays.add(came.at.duration_since(happened_at));
            }
        }
        Ok(())
    }

    /// Puts events on the queue for what was missed; gives how many, or nothing if others wait before them.
    async fn tell(&self, watched: &Watched, missed: &[Missed]) -> Result<Option<u64>, Stop> {
        let (mut told, mut repository) = (0, None);
        for missed in missed {
            let Some((event_key, mut body)) = self.event(watched, missed).await? else { continue };
            let Some(hook_id) = watched.events.get(event_key) else { continue };
            if repository.is_none() {
                repository = Some(self.repository_as_bitbucket_has_it(&watched.repository).await?);
            }
            body["repository"] = repository.clone().unwrap_or_default();
            let body = body.to_string();
            if self.stored.filters().drop(hook_id.as_deref(), event_key, body.as_bytes()) {
                continue;
            }
            let uuid = &watched.repository.uuid;
            let enveloped = self.enveloped(event_key, &body, hook_id.as_deref(), missed, uuid);
            let head = deliveries::head(&self.worker.table, &enveloped.group).await.map_err(Again::from)?;
            if head.is_some() {
                return Ok(None);
            }
            self.send(enveloped).await?;
            tracing::warn!(credential = self.id().as_str(), event_key, repository = uuid, "missed event");
            told += 1;
        }
        Ok(Some(told))
    }
}
