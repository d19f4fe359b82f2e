//! GitOps: a folder of a repository that a cluster follows, and that follows the cluster.
//!
//! An [`Attachment`] ties a cluster to a folder on a branch. Its [`State`] says up to which commit the folder
//! is known, and what is under way; [`step`] decides what comes next. What people push comes out as
//! [`Change`]s; what our side wants is a [`Put`] and becomes a commit.

mod answers;
mod attachment;
mod calls;
mod change;
mod history;
mod next;
mod step;

pub use answers::Answered;
pub use attachment::{Attachment, AttachmentId, BadAttachmentId, Cluster};
pub use calls::wanted;
pub use change::{Change, Content, Operation, Told};
pub use history::{Line, Side, What};
use jiff::Timestamp;
pub use next::{Next, Work};
use serde::{Deserialize, Serialize};
pub use step::{begin, step};

use crate::call::{File, Problem};

/// A commit, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its full hash.
    pub hash: String,
    /// `Name <mail>`.
    pub author: String,
    /// The account at Bitbucket, if it has one with that mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When it was made, as Bitbucket writes it.
    pub date: String,
    /// The first line of its message.
    pub message: String,
}

/// What is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "doing", rename_all = "snake_case")]
pub enum Step {
    /// Nothing.
    #[default]
    Idle,
    /// Where does the branch stand?
    Looking,
    /// What differs between the known commit and the tip?
    Comparing {
        /// The tip.
        tip: Commit,
    },
    /// What is in the folder? There is no known commit to compare with.
    Listing {
        /// The tip.
        tip: Commit,
    },
    /// What is in the files of the next batch?
    Reading {
        /// The tip that they are read at.
        tip: Commit,
        /// The commit that it was compared with.
        base: Option<String>,
        /// The one commit that made all the difference, if it was one.
        by: Option<Commit>,
        /// The turn at which its batches were written down.
        of: u64,
    },
    /// A commit of ours is being made.
    Committing {
        /// Of which put.
        put: String,
    },
}

/// How far an attachment has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Goes up with each write.
    pub revision: u64,
    /// The repository's uuid, once it is known. A repository may be renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The commit up to which the folder is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Whether the branch was deleted after it had been seen.
    #[serde(default)]
    pub branch_gone: bool,
    /// Whether somebody has called since the branch was looked at.
    #[serde(default)]
    pub woken: bool,
    /// Whether it is to be forgotten.
    #[serde(default)]
    pub detaching: bool,
    /// Names this step's calls. A new turn asks anew.
    pub turn: u64,
    /// How often the step has failed.
    #[serde(default)]
    pub tries: u32,
    /// How many lines the history has.
    #[serde(default)]
    pub lines: u64,
    /// What is under way.
    pub step: Step,
    /// Why it does not go on, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Problem>,
    /// When it was last known to be in step with Bitbucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// When to look at it again, if nobody calls before.
    pub due_at: Timestamp,
}

impl State {
    /// Whether nothing can be done for it now.
    pub fn rests(&self) -> bool {
        !self.detaching && !self.woken && (self.trouble.is_some() || self.step == Step::Idle)
    }
}

/// What our side wants to be in the folder: becomes one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The files; their paths begin at the folder.
    pub files: Vec<File>,
    /// The commit message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `Name <mail>`; without it Bitbucket names the credential's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

impl Put {
    /// Checks what can be checked before it is taken.
    ///
    /// # Errors
    /// If there is nothing to do, a file is named twice or unclearly, or a path leads out of the folder.
    pub fn check(&self) -> Result<(), Problem> {
        let out = |path: &str| path.split('/').any(|part| matches!(part, "" | "." | ".." | ".git"));
        if let Some(file) = self.files.iter().find(|file| out(&file.path)) {
            let cause = format!("{:?} is not a path inside the folder.", file.path);
            return Err(Problem::new(
                "bad_path",
                cause,
                "Write paths from the folder on, such as app/web.yaml.",
            ));
        }
        let commit = crate::call::Commit {
            repository: String::new(),
            branch: None,
            message: String::new(),
            author: None,
            expected_parent: None,
            files: self.files.clone(),
        };
        commit.check()
    }
}

/// Files that are to be read next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Paths from the repository's root; false if the file is not there any more.
    pub files: Vec<(String, bool)>,
}

/// The most files that are read at once.
pub const BATCH: usize = 20;

/// What our side knows of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The digest of its content.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// The commit that it was read at, or that we made.
    pub commit: String,
}

#[cfg(test)]
mod tests;
