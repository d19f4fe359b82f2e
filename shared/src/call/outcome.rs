//! What became of a call.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CallId;
use crate::credential::CredentialId;
use crate::trace::{self, Trace};

/// What became of a call. On the results queue, an answer of several pages comes as several of these with
/// the state `part`, and one at the end that counts them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The caller's name for it.
    pub id: CallId,
    /// Whose token was used.
    pub credential: CredentialId,
    /// The verdict.
    pub state: State,
    /// Bitbucket's HTTP status, if it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The headers that a caller may need: `Location`, `ETag`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The answer, if it was JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The answer in base64, if it was anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// What is known of a request whose answer was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Which page this is, from 1 on, if the state is `part`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// What a paginated call brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Pages>,
    /// When the verdict fell.
    pub finished_at: Timestamp,
    /// The trace that the call came with.
    #[serde(default, deserialize_with = "trace::lenient", skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Trace>,
}

impl Outcome {
    /// An outcome of which only the verdict is known.
    pub fn new(id: CallId, credential: CredentialId, state: State, finished_at: Timestamp) -> Self {
        Self {
            id,
            credential,
            state,
            status: None,
            headers: BTreeMap::new(),
            body: None,
            body_base64: None,
            error: None,
            evidence: None,
            part: None,
            pages: None,
            finished_at,
            traceparent: None,
        }
    }
}

/// A call's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Bitbucket did it.
    Succeeded,
    /// It was not done.
    Failed,
    /// It was sent, and nobody knows whether it was done. It is not sent again.
    Unknown,
    /// It came too late and was not sent.
    Expired,
    /// This is one page of several; the verdict follows.
    Part,
}

/// How much a paginated call brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pages {
    /// How many pages: the parts 1 to this.
    pub parts: u32,
    /// How many values they hold together.
    pub items: u64,
    /// Whether the caller's limit ended it before Bitbucket's last page.
    pub more: bool,
}

/// What is known of a mutation whose answer never came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When it was written down, just before it was sent.
    pub sent_at: Timestamp,
    /// What happened instead of an answer.
    pub instead: String,
    /// What a look at Bitbucket showed afterwards, if one was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<String>,
}

/// An error as people and programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A word for programs.
    pub code: String,
    /// What happened.
    pub cause: String,
    /// What to do.
    pub resolution: String,
}

impl Problem {
    /// A problem in three texts.
    pub fn new(code: &str, cause: impl Into<String>, resolution: impl Into<String>) -> Self {
        Self { code: code.to_owned(), cause: cause.into(), resolution: resolution.into() }
    }

    /// It was sent, and nobody knows whether it was done.
    pub fn outcome_unknown(cause: impl Into<String>) -> Self {
        let resolution = "Look at Bitbucket whether it was done, then submit it under a new id if not.";
        Self::new("outcome_unknown", cause, resolution)
    }
}
