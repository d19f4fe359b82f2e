//! The history of an attachment: who changed what, and when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Commit;

/// What a line of the history tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A file is new.
    Added,
    /// A file has another content.
    Modified,
    /// A file is gone.
    Removed,
    /// A commit touched the folder, beside others that were pushed with it.
    Commit,
    /// The branch was moved to a commit that does not contain the one before: this one is gone.
    Dropped,
    /// The branch was deleted.
    BranchDeleted,
    /// The branch is there again.
    BranchBack,
    /// Nothing could be compared, so that the whole folder was read.
    Listed,
    /// A commit of ours was refused.
    Refused,
    /// Nobody knows whether a commit of ours was made.
    Unknown,
    /// The cluster was attached.
    Attached,
}

/// One line of the history: who changed what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When we learned of it.
    pub at: Timestamp,
    /// What.
    pub what: What,
    /// Which side: `bitbucket` for people, `us` for our own.
    pub side: Side,
    /// The file, from the folder on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// By which commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// What more there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Where a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Somebody pushed it.
    Bitbucket,
    /// We committed it.
    Us,
}
