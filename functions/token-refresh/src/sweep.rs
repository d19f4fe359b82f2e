//! A sweep: everything that is due. It takes no input and can be repeated at will. A message of the
//! refresh queue makes one credential due at once.
//!
//! Only the index of due chains is read, so what is not due costs nothing. What is due is worked on in an
//! order that chance gives, so that neither a few that always fail and are always due, nor another sweep at
//! the same time, keep the same ones waiting.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bucketwheel::credential::{Cause, CredentialId, Health};
use bucketwheel::error::Causes;
use bucketwheel::metric::{Metric, Tally};
use bucketwheel::ports::{Edge, Probe, Queue, Table, TableError, TokenEndpoint};
use bucketwheel::rotation::{Nudge, Outlook, Wish, forecast};
use bucketwheel::store::beats::{self, Schedule};
use bucketwheel::store::tokens;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Refresher;
use crate::breaker::Leave;
use crate::index::Index;
use crate::request::{Body, Message, messages};
use crate::run::Ran;

/// How many chains are worked on at once.
const AT_ONCE: usize = 16;

/// How many runs ended how.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Runs by outcome.
    pub runs: BTreeMap<&'static str, u32>,
    /// Credentials whose state has changed, by what it is now.
    pub changes: BTreeMap<&'static str, u32>,
    /// Chains that were looked at, by how they stood before.
    pub outlooks: BTreeMap<&'static str, u32>,
    /// Chains that were met with a spend whose end nobody had stored yet.
    pub open_intents: u32,
    /// Chains that were due and not worked on, because Bitbucket fails.
    pub held_back: u32,
    /// Chains that were due and are left for the next sweep, because time is up. There may be more.
    pub left: u32,
    /// Whether it looked for what is due, and was not called for a message.
    #[serde(skip)]
    pub is_sweep: bool,
    /// The messages that have to come again, as SQS wants it to be said.
    #[serde(rename = "batchItemFailures")]
    pub again: Vec<Value>,
}

/// One chain's part in a report.
#[derive(Default)]
struct Line {
    run: Option<&'static str>,
    change: Option<&'static str>,
    outlook: Option<Outlook>,
    open_intent: bool,
    held_back: bool,
    left: bool,
    again: Option<String>,
}

impl Report {
    fn add(&mut self, line: Line) {
        let count = |map: &mut BTreeMap<&'static str, u32>, word| *map.entry(word).or_default() += 1;
        line.run.into_iter().for_each(|word| count(&mut self.runs, word));
        line.change.into_iter().for_each(|word| count(&mut self.changes, word));
        line.outlook.into_iter().for_each(|outlook| count(&mut self.outlooks, outlook.word()));
        self.open_intents += u32::from(line.open_intent);
        self.held_back += u32::from(line.held_back);
        self.left += u32::from(line.left);
        self.again.extend(line.again.map(|id| json!({ "itemIdentifier": id })));
    }

    /// What is counted in metrics. After a sweep every name is there, so that a graph has no gaps.
    pub fn tally(&self) -> Tally {
        const RUNS: [(&str, Metric); 8] = [
            ("probed", Metric::TokenProbed),
            ("rotated", Metric::RefreshRotated),
            ("transient", Metric::RefreshTransient),
            ("contested", Metric::RefreshContested),
            ("parked", Metric::RefreshParked),
            ("suspect", Metric::RefreshSuspect),
            ("revoked", Metric::RefreshRevoked),
            ("misconfigured", Metric::RefreshMisconfigured),
        ];
        const CHANGES: [(&str, Metric); 4] = [
            ("up", Metric::CredentialUp),
            ("degraded", Metric::CredentialDegraded),
            ("down", Metric::CredentialDown),
            ("disabled", Metric::CredentialDisabled),
        ];
        const OUTLOOKS: [(&str, Metric); 3] = [
            ("endangered", Metric::ChainEndangered),
            ("doubtful", Metric::ChainDoubtful),
            ("expiring", Metric::TokenExpiring),
        ];
        let tally = Tally::default();
        let groups = [(&self.runs, &RUNS[..]), (&self.changes, &CHANGES), (&self.outlooks, &OUTLOOKS)];
        for (found, named) in groups {
            for (word, metric) in named {
                tally.add(*metric, found.get(word).copied().unwrap_or_default().into());
            }
        }
        tally.add(Metric::OpenIntent, self.open_intents.into());
        tally.add(Metric::RefreshHeldBack, self.held_back.into());
        tally.add(Metric::SweepCutShort, (self.is_sweep && self.left > 0).into());
        tally.add(Metric::Sweep, self.is_sweep.into());
        tally
    }
}

impl<T: Table, Q: Queue, E: Edge, O: TokenEndpoint, A: Probe> Refresher<T, Q, E, O, A> {
    /// Works on what the event's messages name, or on all that is due if there are none, until little
    /// time is left before `stop_at`.
    pub async fn handle(&self, event: &Value, stop_at: Timestamp) -> Report {
        let mut report = Report::default();
        match messages(event) {
            Some(messages) => {
                let lines = messages.into_iter().map(|message| self.message(message, stop_at));
                all(lines, &mut report).await;
            }
            None => {
                report.is_sweep = true;
                self.sweep(stop_at, &mut report).await;
            }
        }
        tracing::info!(
            runs = ?report.runs,
            changes = ?report.changes,
            held_back = report.held_back,
            left = report.left,
            "sweep"
        );
        report
    }

    async fn sweep(&self, stop_at: Timestamp, report: &mut Report) {
        let seed: [u8; 8] = self.edge.random();
        let mut index = Index::until(self.edge.now());
        loop {
            let mut due = index.read(&self.table).await;
            if due.is_empty() || report.left > 0 {
                break;
            }
            due.sort_by_cached_key(|id| {
                let mut hasher = DefaultHasher::new();
                (seed, id).hash(&mut hasher);
                hasher.finish()
            });
            all(due.iter().map(|id| self.one(id, false, stop_at)), report).await;
        }
        if index.failed {
            return;
        }
        if let Err(error) = beats::beat(&self.table, Schedule::Sweep, self.edge.now()).await {
            tracing::warn!(error = %Causes(&error), "that a sweep took place could not be noted");
        }
    }

    async fn message(&self, message: Message, stop_at: Timestamp) -> Line {
        let id = message.body.credential().clone();
        let again = match &message.body {
            Body::Nudge(Nudge { wish: Wish::Tell, .. }) => return self.told(&id, message.id).await,
            Body::Nudge(Nudge { wish: Wish::Refresh, .. }) => {
                let line = self.one(&id, true, stop_at).await;
                return Line { again: line.left.then_some(message.id), ..line };
            }
            Body::Parked(parked) => self.adopt(parked).await,
        };
        match again {
            Ok(adoption) => {
                tracing::info!(credential = id.as_str(), ?adoption, "a parked pair came home");
                self.one(&id, false, stop_at).await
            }
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "a pair stays parked");
                Line { again: Some(message.id), ..Line::default() }
            }
        }
    }

    async fn told(&self, id: &CredentialId, message: String) -> Line {
        match self.tell_known(id).await {
            Ok(health) => Line { change: health.map(Health::word), ..Line::default() },
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "status not told");
                Line { again: Some(message), ..Line::default() }
            }
        }
    }

    async fn one(&self, id: &CredentialId, nudged: bool, stop_at: Timestamp) -> Line {
        let now = self.edge.now();
        if stop_at.duration_since(now) < self.longest_run() {
            return Line { left: true, ..Line::default() };
        }
        let leave = self.breaker.leave(id, now, &self.terms);
        let ran = match leave {
            Leave::Refused => self.without_leave(id, nudged).await,
            Leave::Granted | Leave::Probe => Some(self.run(id, nudged).await),
        };
        let Some(mut ran) = ran else { return Line { held_back: true, ..Line::default() } };
        let by_hand = ran.chain.is_some_and(|chain| !chain.upkeep.asks_token_endpoint());
        let probed = if by_hand { self.probed(id, nudged, &mut ran).await } else { false };
        self.breaker.found(id, leave, ran.found, self.edge.now(), &self.terms);
        let outlook = ran.chain.as_ref().map(|chain| forecast(chain, None, now, &self.terms).outlook);
        let open_intent = ran.chain.is_some_and(|chain| chain.intent.is_some());
        let change = self.tell(id, &ran).await.map(Health::word);
        let held_back = ran.cause == Some(Cause::HeldBack);
        let run = (!held_back).then(|| if probed { "probed" } else { ran.outcome.word() });
        Line { run, change, outlook, open_intent, held_back, ..Line::default() }
    }

    /// Whether it was tried; what was found goes into `ran`.
    async fn probed(&self, id: &CredentialId, nudged: bool, ran: &mut Ran) -> bool {
        match self.probe(id, nudged).await {
            Ok(Some((chain, verdict))) => {
                (ran.chain, ran.verdict) = (Some(chain), Some(verdict));
                true
            }
            Ok(None) | Err(TableError::Refused) => false,
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "the table failed");
                false
            }
        }
    }

    /// While Bitbucket fails a chain waits, unless a spend is open: it can be repeated only inside a window
    /// that will not wait. Nothing is told of one that can wait for as long as its access token works.
    async fn without_leave(&self, id: &CredentialId, nudged: bool) -> Option<Ran> {
        let tokens = match tokens::get(&self.table, id).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "the table failed");
                return None;
            }
        };
        let chain = tokens.chain();
        if chain.intent.is_some() || !chain.upkeep.asks_token_endpoint() {
            return Some(self.run(id, nudged).await);
        }
        Some(Ran::held_back(chain, tokens.shown(self.edge.now())))
    }

    /// A run that has to let a lease lapse first, with its spend and the commit.
    fn longest_run(&self) -> SignedDuration {
        self.terms.lease + self.terms.spend + SignedDuration::from_secs(10)
    }
}

async fn all(lines: impl Iterator<Item = impl Future<Output = Line>>, report: &mut Report) {
    let mut lines = std::pin::pin!(stream::iter(lines).buffer_unordered(AT_ONCE));
    while let Some(line) = lines.next().await {
        report.add(line);
    }
}
