//! The queues: how much waits, what died, and how the dead are sent again.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use bucketwheel::error::Causes;
use bucketwheel::ports::{Backlog, DeadLetter, Depths, Edge, QueueError};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::letter::{Letter, Whole};

/// How many seconds a dead letter is hidden while an operator looks through its queue. It is put back as
/// soon as the look is over.
const HIDDEN: u32 = 60;
/// How long one redrive goes on. The API gives up on a function after half a minute.
const PATIENCE: SignedDuration = SignedDuration::from_secs(18);
/// How many dead letters one redrive moves, or looks through, at most.
const MOST: usize = 1_000;

/// The queues, each with its dead letters.
#[derive(Debug)]
pub struct Queues<B, E> {
    /// What came from Bitbucket.
    pub events: B,
    /// Calls to make.
    pub calls: B,
    /// Outcomes of calls.
    pub results: B,
    /// Wishes to refresh, and pairs that could not be stored.
    pub refresh: B,
    /// What gitops-sync is told, where that is on.
    pub gitops: Option<B>,
    /// What people changed in the folders of clusters, where that is on.
    pub changes: Option<B>,
    /// The time.
    pub edge: E,
}

/// Which of the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueName {
    Events,
    Calls,
    Results,
    Refresh,
    Gitops,
    Changes,
}

impl QueueName {
    pub(crate) const ALL: [Self; 6] =
        [Self::Events, Self::Calls, Self::Results, Self::Refresh, Self::Gitops, Self::Changes];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Calls => "calls",
            Self::Results => "results",
            Self::Refresh => "refresh",
            Self::Gitops => "gitops",
            Self::Changes => "changes",
        }
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for QueueName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|name| name.word() == text).ok_or(())
    }
}

/// One queue at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glance {
    pub(crate) name: QueueName,
    pub(crate) depths: Depths,
    /// When the oldest of the dead letters that were looked at was sent.
    pub(crate) oldest_dead: Option<Timestamp>,
}

/// Some of a queue's dead letters.
#[derive(Debug, Serialize)]
pub(crate) struct Letters {
    pub(crate) values: Vec<Letter>,
    /// How many lie there, as far as the queue can tell.
    pub(crate) total: u64,
}

/// Which dead letters to send again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    These(Vec<String>),
}

/// What a redrive did, or would do.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Redriven {
    pub(crate) dry_run: bool,
    /// Those that were sent again.
    pub(crate) letters: Vec<Letter>,
    /// The ids that were asked for and not met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<String>,
    /// Whether all that was asked for was looked at. If not, ask again.
    pub(crate) complete: bool,
}

impl<B: Backlog, E: Edge> Queues<B, E> {
    /// None where gitops-sync is off, and so are its queues.
    fn of(&self, name: QueueName) -> Option<&B> {
        match name {
            QueueName::Events => Some(&self.events),
            QueueName::Calls => Some(&self.calls),
            QueueName::Results => Some(&self.results),
            QueueName::Refresh => Some(&self.refresh),
            QueueName::Gitops => self.gitops.as_ref(),
            QueueName::Changes => self.changes.as_ref(),
        }
    }

    /// All queues at a glance.
    pub(crate) async fn glance(&self) -> Result<Vec<Glance>, QueueError> {
        let there = QueueName::ALL.into_iter().filter_map(|name| Some((name, self.of(name)?)));
        try_join_all(there.map(|(name, backlog)| Self::glance_at(name, backlog))).await
    }

    /// One queue at a glance.
    async fn glance_at(name: QueueName, backlog: &B) -> Result<Glance, QueueError> {
        let depths = backlog.depths().await?;
        let mut oldest_dead = None;
        if depths.dead.waiting > 0 {
            let mut held = Held::new(backlog);
            oldest_dead = held.take().await?.iter().map(|letter| letter.sent_at).min();
            held.put_back().await?;
        }
        Ok(Glance { name, depths, oldest_dead })
    }

    /// Up to `most` of a queue's dead letters.
    pub(crate) async fn letters(&self, name: QueueName, most: usize) -> Result<Letters, QueueError> {
        let mut values = Vec::new();
        let total = self
            .look(name, |letter| {
                values.push(Letter::from(&letter));
                values.len() < most
            })
            .await?;
        values.truncate(most);
        values.sort_by_key(|letter| letter.sent_at);
        Ok(Letters { values, total })
    }

    /// One dead letter, with its text.
    pub(crate) async fn letter(&self, name: QueueName, id: &str) -> Result<Option<Whole>, QueueError> {
        let mut found = None;
        self.look(name, |letter| {
            if letter.id == id {
                found = Some(Whole::from(letter));
            }
            found.is_none()
        })
        .await?;
        Ok(found)
    }

    /// Shows dead letters to `go_on` until it is content or there are no more, and puts them back. Gives how
    /// many lie there.
    async fn look(
        &self,
        name: QueueName,
        mut go_on: impl FnMut(DeadLetter) -> bool,
    ) -> Result<u64, QueueError> {
        let Some(backlog) = self.of(name) else { return Ok(0) };
        let dead = backlog.depths().await?.dead;
        if dead.waiting > 0 {
            let (began, mut held, mut more) = (self.edge.now(), Held::new(backlog), true);
            while more && held.fits() && self.edge.now().duration_since(began) < PATIENCE {
                let taken = held.take().await?;
                more = !taken.is_empty();
                for letter in taken {
                    more &= go_on(letter);
                }
            }
            held.put_back().await?;
        }
        Ok(dead.waiting + dead.hidden)
    }

    /// Sends dead letters again, each before it is removed: what breaks off in between leaves two, never
    /// none. Those that die again meanwhile are left alone, or it would go on for ever.
    pub(crate) async fn redrive(
        &self,
        name: QueueName,
        which: &Which,
        dry_run: bool,
    ) -> Result<Redriven, QueueError> {
        let Some(backlog) = self.of(name) else {
            return Ok(Redriven { dry_run, complete: true, ..Redriven::default() });
        };
        let mut held = Held::new(backlog);
        let mut letters = Vec::new();
        let ended = self.go_through(&mut held, which, dry_run, &mut letters).await;
        let back = held.put_back().await;
        // Whoever asked must learn of what was sent again, even if it broke off.
        let complete = match ended.and_then(|complete| back.map(|()| complete)) {
            Ok(complete) => complete,
            Err(error) if letters.is_empty() => return Err(error),
            Err(error) => {
                tracing::error!(queue = name.word(), error = %Causes(&error), "a redrive broke off");
                false
            }
        };
        let met = |id: &&String| letters.iter().any(|letter| letter.id == **id);
        let missing = match which {
            Which::These(ids) => ids.iter().filter(|id| !met(id)).cloned().collect(),
            Which::All => Vec::new(),
        };
        Ok(Redriven { dry_run, letters, missing, complete })
    }

    /// Gives whether all that is wanted was met.
    async fn go_through(
        &self,
        held: &mut Held<'_, B>,
        which: &Which,
        dry_run: bool,
        letters: &mut Vec<Letter>,
    ) -> Result<bool, QueueError> {
        let began = self.edge.now();
        while held.fits() && letters.len() < MOST && self.edge.now().duration_since(began) < PATIENCE {
            let taken = held.take().await?;
            if taken.is_empty() {
                return Ok(true);
            }
            for letter in taken {
                let wanted = match which {
                    Which::All => letter.sent_at < began,
                    Which::These(ids) => ids.contains(&letter.id),
                };
                if !wanted || letters.iter().any(|done| done.id == letter.id) {
                    continue;
                }
                if !dry_run {
                    held.backlog.send_again(&letter).await?;
                    held.backlog.remove(&letter).await?;
                    held.receipts.remove(&letter.receipt);
                }
                letters.push(Letter::from(&letter));
            }
            if matches!(which, Which::These(ids) if ids.len() == letters.len()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The dead letters that are hidden for the sake of this look.
struct Held<'a, B> {
    backlog: &'a B,
    receipts: BTreeSet<String>,
}

impl<'a, B: Backlog> Held<'a, B> {
    fn new(backlog: &'a B) -> Self {
        Self { backlog, receipts: BTreeSet::new() }
    }

    fn fits(&self) -> bool {
        self.receipts.len() < MOST
    }

    async fn take(&mut self) -> Result<Vec<DeadLetter>, QueueError> {
        let taken = self.backlog.take(HIDDEN).await?;
        self.receipts.extend(taken.iter().map(|letter| letter.receipt.clone()));
        Ok(taken)
    }

    async fn put_back(self) -> Result<(), QueueError> {
        self.backlog.put_back(&Vec::from_iter(self.receipts)).await
    }
}
