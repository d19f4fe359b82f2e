//! A sweep: everything that is due. It takes no input and can be repeated at will. A message of the
//! refresh queue makes one credential due at once.

use std::collections::BTreeMap;

use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::metric::{Metric, Tally};
use bucketwheel::ports::{Cursor, Edge, Queue, Table, TokenEndpoint};
use bucketwheel::rotation::{Outlook, forecast};
use bucketwheel::store::tokens;
use futures_util::stream;
use futures_util::{Stream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Refresher;
use crate::breaker::Leave;
use crate::request::{Body, Message, messages};

/// How many chains are worked on at once.
const AT_ONCE: usize = 16;
/// How many due chains are read from the index at once.
const PAGE: u32 = 100;

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
    /// Whether something was left for the next sweep.
    pub cut_short: bool,
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
    cut_short: bool,
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
        self.cut_short |= line.cut_short;
        self.again.extend(line.again.map(|id| json!({ "itemIdentifier": id })));
    }

    /// What is counted in metrics. After a sweep every name is there, so that a graph has no gaps.
    pub fn tally(&self) -> Tally {
        const RUNS: [(&str, Metric); 7] = [
            ("rotated", Metric::RefreshRotated),
            ("transient", Metric::RefreshTransient),
            ("contested", Metric::RefreshContested),
            ("parked", Metric::RefreshParked),
            ("suspect", Metric::RefreshSuspect),
            ("revoked", Metric::RefreshRevoked),
            ("misconfigured", Metric::RefreshMisconfigured),
        ];
        const CHANGES: [(&str, Metric); 3] = [
            ("up", Metric::CredentialUp),
            ("degraded", Metric::CredentialDegraded),
            ("down", Metric::CredentialDown),
        ];
        const OUTLOOKS: [(&str, Metric); 2] =
            [("endangered", Metric::ChainEndangered), ("doubtful", Metric::ChainDoubtful)];
        let tally = Tally::default();
        let groups = [(&self.runs, &RUNS[..]), (&self.changes, &CHANGES), (&self.outlooks, &OUTLOOKS)];
        for (found, named) in groups {
            for (word, metric) in named {
                tally.add(*metric, found.get(word).copied().unwrap_or_default().into());
            }
        }
        tally.add(Metric::OpenIntent, self.open_intents.into());
        tally.add(Metric::RefreshHeldBack, self.held_back.into());
        tally.add(Metric::SweepCutShort, self.cut_short.into());
        tally.add(Metric::Sweep, self.is_sweep.into());
        tally
    }
}

impl<T: Table, Q: Queue, E: Edge, O: TokenEndpoint> Refresher<T, Q, E, O> {
    /// Works on what the event's messages name, or on all that is due if there are none, until little
    /// time is left before `stop_at`.
    pub async fn handle(&self, event: &Value, stop_at: Timestamp) -> Report {
        let mut report = Report::default();
        match messages(event) {
            Some(messages) => {
                let lines = stream::iter(messages).map(|message| self.message(message, stop_at));
                self.all(lines, &mut report).await;
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
            cut_short = report.cut_short,
            "sweep"
        );
        report
    }

    async fn sweep(&self, stop_at: Timestamp, report: &mut Report) {
        // Several sweeps at once begin in different places.
        let [first] = self.edge.random();
        let shards = (0..tokens::SHARDS).map(|n| n.wrapping_add(first % tokens::SHARDS) % tokens::SHARDS);
        let due = stream::iter(shards).flat_map(|shard| self.due(shard));
        self.all(due.map(|id| self.due_run(id, stop_at)), report).await;
    }

    async fn all(&self, lines: impl Stream<Item = impl Future<Output = Line>>, report: &mut Report) {
        let mut lines = std::pin::pin!(lines.buffer_unordered(AT_ONCE));
        while let Some(line) = lines.next().await {
            report.add(line);
        }
    }

    /// The due chains of one shard, read page by page as they are needed.
    fn due(&self, shard: u8) -> impl Stream<Item = CredentialId> {
        let until = self.edge.now();
        stream::unfold(Some(None::<Cursor>), move |after| async move {
            let after = after?;
            match tokens::due(&self.table, shard, until, PAGE, after.as_ref()).await {
                Ok((ids, next)) => Some((ids, next.map(Some))),
                Err(error) => {
                    tracing::error!(shard, error = %Causes(&error), "due chains could not be read");
                    None
                }
            }
        })
        .flat_map(stream::iter)
    }

    async fn message(&self, message: Message, stop_at: Timestamp) -> Line {
        let id = message.body.credential().clone();
        let again = match &message.body {
            Body::Nudge(_) => return self.one(&id, true, stop_at).await,
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

    async fn due_run(&self, id: CredentialId, stop_at: Timestamp) -> Line {
        self.one(&id, false, stop_at).await
    }

    async fn one(&self, id: &CredentialId, nudged: bool, stop_at: Timestamp) -> Line {
        let now = self.edge.now();
        if stop_at.duration_since(now) < self.longest_run() {
            return Line { cut_short: true, ..Line::default() };
        }
        let leave = self.breaker.leave(now);
        if leave == Leave::Refused {
            return Line { held_back: true, ..Line::default() };
        }
        let ran = self.run(id, nudged).await;
        self.breaker.found(leave, ran.found, self.edge.now(), &self.terms);
        let outlook = ran.chain.as_ref().map(|chain| forecast(chain, now, &self.terms).outlook);
        let open_intent = ran.chain.as_ref().is_some_and(|chain| chain.intent.is_some());
        let change = self.tell(id, &ran).await.map(|health| health.word());
        Line { run: Some(ran.outcome.word()), change, outlook, open_intent, ..Line::default() }
    }

    /// A run that has to let a lease lapse first, with its spend and the commit.
    fn longest_run(&self) -> SignedDuration {
        self.terms.lease + self.terms.spend + SignedDuration::from_secs(10)
    }
}
