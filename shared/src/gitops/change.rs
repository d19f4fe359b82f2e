//! A change that people made, as the consumer of the changes queue reads it: a CloudEvents envelope like
//! those of the events queue.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Attachment, Commit};
use crate::event::{Announcement, Enveloped, fits_a_queue};

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// It is new.
    Added,
    /// It has another content.
    Modified,
    /// It is gone.
    Removed,
}

/// A file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// It cannot be told in a message: why.
    Omitted(&'static str),
}

impl Content {
    /// Its digest. What is not known is a different thing at each commit.
    pub fn digest(&self, commit: &str) -> String {
        match self {
            Content::Bytes(bytes) => hex::encode(Sha256::digest(bytes)),
            Content::Omitted(why) => format!("{why} at {commit}"),
        }
    }

    /// Its size in bytes, 0 if that is not known.
    pub fn size(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Omitted(_) => 0,
        }
    }
}

/// One change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What became of it.
    pub operation: Operation,
    /// The file, from the folder on.
    pub path: String,
    /// Its new content; none if it is gone.
    pub content: Option<Content>,
    /// The commit that changed it last.
    pub by: Commit,
    /// The branch's tip at which it was read.
    pub tip: String,
}

/// What the changes queue is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A file changed.
    Change(Change),
    /// The branch was deleted. The cluster keeps what it has until the branch is back.
    BranchDeleted {
        /// Where it last stood.
        head: String,
    },
    /// The branch is there again; what differs follows.
    BranchBack {
        /// Where it stands.
        tip: Commit,
    },
}

#[derive(Serialize)]
struct Data<'a> {
    cluster: &'a super::Cluster,
    repository: &'a str,
    branch: &'a str,
    folder: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_omitted: Option<&'a str>,
    commit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<Author<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    tip: &'a str,
}

#[derive(Serialize)]
struct Author<'a> {
    raw: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
}

impl Told {
    /// Wraps it. The id follows from what is told, so what is told twice has the same.
    pub fn envelope(&self, attachment: &Attachment, turn: u64, now: Timestamp) -> Enveloped {
        let nothing = Data {
            cluster: &attachment.cluster,
            repository: &attachment.repository,
            branch: &attachment.branch,
            folder: &attachment.folder,
            operation: None,
            path: None,
            content: None,
            content_base64: None,
            content_omitted: None,
            commit: "",
            author: None,
            committed_at: None,
            message: None,
            tip: "",
        };
        let (word, subject, data) = match self {
            Told::Change(change) => ("changed", change.path.as_str(), change.data(nothing)),
            Told::BranchDeleted { head } => {
                ("branch_deleted", attachment.branch.as_str(), Data { commit: head, tip: head, ..nothing })
            }
            Told::BranchBack { tip } => {
                let data = Data { tip: &tip.hash, ..named(tip, nothing) };
                ("branch_back", attachment.branch.as_str(), data)
            }
        };
        let id = format!("{} {turn} {word} {subject} {}", attachment.id, data.tip);
        let id = hex::encode(Sha256::digest(id));
        let Ok(data) = serde_json::to_string(&data) else { unreachable!("a change is texts") };
        Announcement {
            id: &id,
            kind: &format!("gitops.{word}"),
            subject,
            time: now,
            credential: &attachment.credential,
            partition: &attachment.id.to_string(),
        }
        .wrap(&data)
    }
}

impl Change {
    fn data<'a>(&'a self, nothing: Data<'a>) -> Data<'a> {
        let mut data = Data {
            operation: Some(self.operation),
            path: Some(&self.path),
            tip: &self.tip,
            ..named(&self.by, nothing)
        };
        match &self.content {
            None => {}
            Some(Content::Omitted(why)) => data.content_omitted = Some(why),
            Some(Content::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) if is_text(text) => data.content = Some(text),
                _ => data.content_base64 = Some(STANDARD.encode(bytes)),
            },
        }
        data
    }
}

/// Whether it may stand in a message as it is: what JSON escapes to six characters would not fit.
fn is_text(text: &str) -> bool {
    fits_a_queue(text) && !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn named<'a>(by: &'a Commit, data: Data<'a>) -> Data<'a> {
    Data {
        commit: &by.hash,
        author: Some(Author { raw: &by.author, account: by.account.as_deref() }),
        committed_at: Some(&by.date),
        message: Some(&by.message),
        ..data
    }
}
