//! What a delivery tells of branches, tags and pull requests.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Thing;

/// Pull requests name their commits by so many characters.
const SHORT: usize = 12;

/// What one delivery told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Of which repository: its uuid, with braces.
    pub repository: String,
    /// When it happened, if the body says so: those of pull requests do, those of pushes do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened_at: Option<Timestamp>,
    /// What.
    pub facts: Vec<Fact>,
}

/// Something of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Of what.
    pub of: Thing,
    /// What.
    #[serde(flatten)]
    pub said: Said,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    /// A branch or tag was made, moved or deleted.
    Moved {
        /// The commit before; none if it is new.
        was: Option<String>,
        /// The commit now; none if it was deleted.
        is: Option<String>,
    },
    /// A pull request was opened.
    Opened {
        /// Its source's commit.
        is: String,
    },
    /// A pull request was changed.
    Changed {
        /// Its source's commit.
        is: String,
    },
    /// A pull request was merged or declined.
    Closed,
}

#[derive(Deserialize)]
struct Body {
    repository: Repository,
    push: Option<Push>,
    pullrequest: Option<PullRequest>,
}

#[derive(Deserialize)]
struct Repository {
    uuid: String,
}

#[derive(Deserialize)]
struct Push {
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    old: Option<Ref>,
    new: Option<Ref>,
}

#[derive(Deserialize)]
struct Ref {
    r#type: Option<String>,
    name: String,
    target: Commit,
}

#[derive(Deserialize)]
struct Commit {
    hash: String,
}

#[derive(Deserialize)]
struct PullRequest {
    id: u64,
    source: Side,
    created_on: Option<String>,
    updated_on: Option<String>,
}

#[derive(Deserialize)]
struct Side {
    commit: Commit,
}

impl Facts {
    /// Reads them from a delivery; none if it is of no kind that is watched for, or cannot be read.
    pub fn read(event_key: &str, body: &[u8]) -> Option<Self> {
        let pull = matches!(
            event_key,
            "pullrequest:created"
                | "pullrequest:updated"
                | "pullrequest:push"
                | "pullrequest:fulfilled"
                | "pullrequest:rejected"
        );
        if !pull && event_key != "repo:push" {
            return None;
        }
        let Body { repository: Repository { uuid: repository }, push, pullrequest } =
            serde_json::from_slice(body).ok()?;
        if !pull {
            let facts = push?.changes.into_iter().filter_map(Change::fact).collect();
            return Some(Self { repository, happened_at: None, facts });
        }
        let pull = pullrequest?;
        let is = short(&pull.source.commit.hash);
        let (said, time) = match event_key {
            "pullrequest:created" => (Said::Opened { is }, pull.created_on),
            "pullrequest:fulfilled" | "pullrequest:rejected" => (Said::Closed, pull.updated_on),
            _ => (Said::Changed { is }, pull.updated_on),
        };
        let happened_at = time.and_then(|time| time.parse().ok());
        Some(Self { repository, happened_at, facts: vec![Fact { of: Thing::pull(pull.id), said }] })
    }
}

/// As a pull request names a commit.
pub(super) fn short(hash: &str) -> String {
    hash.chars().take(SHORT).collect()
}

impl Change {
    fn fact(self) -> Option<Fact> {
        let side = self.new.as_ref().or(self.old.as_ref())?;
        let is_tag = side.r#type.as_deref().is_some_and(|kind| kind.ends_with("tag"));
        let of = if is_tag { Thing::tag(&side.name) } else { Thing::branch(&side.name) };
        let hash = |side: Option<Ref>| side.map(|side| side.target.hash);
        Some(Fact { of, said: Said::Moved { was: hash(self.old), is: hash(self.new) } })
    }
}
