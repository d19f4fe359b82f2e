//! A cluster tied to a folder.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::call::Problem;
use crate::credential::CredentialId;

/// The name of an attachment: up to 64 characters `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttachmentId(String);

/// The text is not an attachment's id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an attachment's id has 1 to 64 characters a-z, 0-9 and -")]
pub struct BadAttachmentId;

impl FromStr for AttachmentId {
    type Err = BadAttachmentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_plain(text) { Ok(Self(text.to_owned())) } else { Err(BadAttachmentId) }
    }
}

impl TryFrom<String> for AttachmentId {
    type Error = BadAttachmentId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AttachmentId> for String {
    fn from(id: AttachmentId) -> Self {
        id.0
    }
}

impl fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The cluster that follows the folder, in the caller's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Up to 64 characters `a-z`, `0-9` and `-`.
    pub name: String,
    /// Its id, such as a uuid: as many of those characters.
    pub id: String,
}

impl Cluster {
    /// The folder: `clusters/{name}-{the first eight letters and digits of the id}/`.
    ///
    /// # Errors
    /// If the name or the id has other characters, or too many.
    pub fn folder(&self) -> Result<String, Problem> {
        if !is_plain(&self.name) || !is_plain(&self.id) {
            let cause = "The cluster's name and id have 1 to 64 characters a-z, 0-9 and -.";
            return Err(Problem::new("bad_cluster", cause, "Correct them."));
        }
        let short: String = self.id.chars().filter(|c| *c != '-').take(8).collect();
        Ok(format!("clusters/{}-{short}", self.name))
    }
}

/// A cluster tied to a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name.
    pub id: AttachmentId,
    /// Whose token is used.
    pub credential: CredentialId,
    /// `workspace/repository`, as it was called when it was attached.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The cluster.
    pub cluster: Cluster,
    /// The folder, without a slash at its ends.
    pub folder: String,
    /// When it was attached.
    pub attached_at: Timestamp,
}
