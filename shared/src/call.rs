//! A call: one Bitbucket API request that an automation asks for, and what became of it.

mod judgement;
mod path;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
pub use judgement::{Judgement, judge};
pub use path::{ApiPath, BadPath};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::credential::CredentialId;

/// The caller's name for a call: 1 to 128 letters, digits, `-`, `_`, `.` or `:`. A second call with the
/// same id is the same call and is not sent again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallId(String);

/// The text is not a call id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a call id has 1 to 128 letters, digits, -, _, . or :")]
pub struct BadCallId;

impl CallId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CallId {
    type Err = BadCallId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadCallId)
        }
    }
}

impl TryFrom<String> for CallId {
    type Error = BadCallId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CallId> for String {
    fn from(id: CallId) -> Self {
        id.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message of the calls queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The caller's name for it.
    pub id: CallId,
    /// Whose token to use.
    pub credential: CredentialId,
    /// What to do.
    pub call: Call,
    /// After this time the call is not worth sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Where the outcome goes, besides `GET /api/calls/{id}`.
    #[serde(default)]
    pub reply: Reply,
}

/// Where an outcome goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To the results queue, and to the store.
    #[default]
    Queue,
    /// To the store alone.
    Store,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a call is {\"method\",\"path\"} or {\"action\"}")]
pub enum Call {
    /// Something that takes several requests.
    Action(Action),
    /// One request, as Bitbucket documents it.
    Request(Request),
}

/// A known action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Makes sure that Bitbucket sends the repository's events to this credential's webhook address.
    EnsureHook {
        /// `workspace/repository`; or `workspace` for all of its repositories.
        repository: String,
        /// The event keys to subscribe to.
        #[serde(default = "pushes")]
        events: Vec<String>,
    },
    /// Removes the credential's hooks at Bitbucket where that is still possible, and then all that is
    /// stored of it but the audit trail. Done only for a credential that the console marked for it.
    DeleteCredential,
    /// Looks at each hook of the credential and sets right what somebody changed, disabled or deleted, and
    /// what a rotation left undone.
    RepairHooks {},
    /// Gives the credential's hooks a new secret. The old one is accepted until the new one has been seen
    /// and a day has passed.
    RotateHook {},
    /// Takes the credential's hooks away at Bitbucket, and their secrets here.
    RemoveHooks {},
}

/// What an automation that follows branches needs.
fn pushes() -> Vec<String> {
    vec!["repo:push".to_owned()]
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path below `/2.0`, such as `repositories/{workspace}/{repository}`.
    pub path: String,
    /// Query parameters, unencoded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// The methods of Bitbucket's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// Whether sending it twice could do something twice.
    pub fn mutates(self) -> bool {
        self != Method::Get
    }

    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// What became of a call.
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
    /// When the verdict fell.
    pub finished_at: Timestamp,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_as_request_or_action_and_unknown_fields_are_refused() {
        let read = |call: &str| {
            serde_json::from_str::<Message>(&format!(r#"{{"id":"a","credential":"c","call":{call}}}"#))
        };
        let request = read(r#"{"method":"GET","path":"user"}"#).expect("a request");
        assert!(matches!(request.call, Call::Request(_)));
        assert_eq!(request.reply, Reply::Queue);
        let action = r#"{"action":"ensure_hook","repository":"w/r","events":["repo:push"]}"#;
        assert!(matches!(read(action).expect("an action").call, Call::Action(_)));
        assert!(read(r#"{"method":"GET","path":"user","pth":"x"}"#).is_err());
        assert!(read(r#"{"method":"TRACE","path":"user"}"#).is_err());
    }
}
