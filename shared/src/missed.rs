//! Which of Bitbucket's events never came: pure functions of what was delivered and of how a repository
//! stands.
//!
//! A delivery that came is noted as [`Facts`]: this branch was moved from here to there, this pull request
//! was opened. A sweep reads where all branches, tags and open pull requests stand, and [`judge`] compares:
//! what has moved, and what no delivery has told. A difference is judged by a later sweep than the one that
//! found it, [`GRACE`] after it at the earliest, for its delivery may be on the way.
//!
//! It sees where things stand and not how they came there. So several lost pushes of one branch between two
//! sweeps are one event, and what was there and gone between two sweeps leaves no trace.

mod facts;
mod judge;

use std::collections::BTreeMap;
use std::fmt;

pub use facts::Facts;
use jiff::{SignedDuration, Timestamp};
pub use judge::{Judgement, judge};
use serde::{Deserialize, Serialize};

/// How long a delivery may be on the way. Bitbucket makes its three attempts at once
/// (<https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/>).
pub const GRACE: SignedDuration = SignedDuration::from_mins(10);
/// How long what was read of a repository is believed. After that it is read as if for the first time.
pub const BELIEVED: SignedDuration = SignedDuration::from_hours(24);
/// How long a delivery that came is remembered: longer than [`BELIEVED`], so that nothing is judged by less.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(48);

/// What is watched: `branch/main`, `tag/v1` or `pull/7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Thing(String);

/// What there is to watch in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Branches and tags.
    Refs,
    /// Pull requests.
    Pulls,
}

impl Thing {
    /// A branch.
    pub fn branch(name: &str) -> Self {
        Self(format!("branch/{name}"))
    }

    /// A tag.
    pub fn tag(name: &str) -> Self {
        Self(format!("tag/{name}"))
    }

    /// A pull request.
    pub fn pull(id: u64) -> Self {
        Self(format!("pull/{id}"))
    }

    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        if self.0.starts_with("pull/") { Kind::Pulls } else { Kind::Refs }
    }

    /// `branch` or `tag` or `pull`, and its name or number.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or(("", &self.0))
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where things stand at one time, as Bitbucket says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The commit of each branch and tag, and of each open pull request's source.
    pub heads: BTreeMap<Thing, String>,
    /// What of the branches and tags is in it; none if they were not asked for.
    pub refs: Option<Extent>,
    /// What of the pull requests is in it; none if they were not asked for.
    pub pulls: Option<Extent>,
    /// When.
    pub at: Timestamp,
}

/// How much of a list was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// All of it.
    Whole,
    /// There is more than we look at.
    Part,
}

impl Reading {
    fn extent(&self, kind: Kind) -> Option<Extent> {
        match kind {
            Kind::Refs => self.refs,
            Kind::Pulls => self.pulls,
        }
    }
}

/// What is remembered of a repository from one sweep to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    /// Where things stand, as far as it is judged.
    pub known: BTreeMap<Thing, String>,
    /// What of the branches and tags is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refs: Option<Extent>,
    /// What of the pull requests is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulls: Option<Extent>,
    /// What was found to stand elsewhere, and is to be judged; none where it is gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: BTreeMap<Thing, Option<String>>,
    /// When that was found.
    pub read_at: Timestamp,
    /// What was made up for lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub synthetic: Vec<MadeUp>,
    /// Counts the writes of this item.
    #[serde(default)]
    pub revision: u64,
}

/// A missing event that was made up for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeUp {
    /// Which.
    pub missed: Missed,
    /// When.
    pub at: Timestamp,
}

/// A delivery that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Came {
    /// Names it.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What it told.
    #[serde(flatten)]
    pub facts: Facts,
}

/// Something that no delivery has told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Of what.
    pub of: Thing,
    /// Where it stood; none if it was not there.
    pub was: Option<String>,
    /// Where it stands; none if it is gone.
    pub is: Option<String>,
}

#[cfg(test)]
mod tests;
