//! A call: one Bitbucket API request that an automation asks for, and what became of it.

mod allowance;
mod commit;
mod form;
mod judgement;
mod look;
mod needs;
pub mod operations;
mod outcome;
mod path;
mod request;
mod single;
mod verdict;

use std::fmt;
use std::str::FromStr;

pub use allowance::Allowance;
pub use commit::{Commit, File};
pub use form::{BadForm, Part};
use jiff::Timestamp;
pub use judgement::{Answer, Judgement, judge};
pub use look::{Look, Seen, look};
pub use operations::refusal;
pub use outcome::{Evidence, Outcome, Pages, Problem, State};
pub use path::{ApiPath, BadPath};
pub use request::{Method, Request, Wire};
use serde::{Deserialize, Serialize};
use serde_json::json;
pub use single::{PULL_REQUEST, Removed, Single, Variable, shaped};
pub use verdict::{Ending, Entry, Reaction, Sent, Verdict, answered, arrived, given_up, in_doubt, looked};

use crate::credential::CredentialId;
use crate::trace::{self, Trace};

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
    /// The id of a call of our own: what it does, for which credential, and a number that tells it from
    /// others of the same kind.
    pub fn own(what: &'static str, credential: &CredentialId, number: impl fmt::Display) -> Self {
        Self(format!("{what}-{credential}-{number}"))
    }

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
    /// Follow the answer's pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paginate: Option<Paginate>,
    /// After this time the call is not worth sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// How urgent it is while there is little left of Bitbucket's hourly allowance.
    #[serde(default)]
    pub priority: Priority,
    /// Send it even if it is known that it cannot succeed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Where the outcome goes, besides `GET /api/calls/{id}`.
    #[serde(default)]
    pub reply: Reply,
    /// The trace that it belongs to, such as the `traceparent` of the event that it comes of.
    #[serde(default, deserialize_with = "trace::lenient", skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Trace>,
}

impl Message {
    /// A call of our own that nobody waits for: its outcome goes to the store alone.
    pub fn own(id: CallId, credential: CredentialId, action: Action) -> Self {
        Self {
            id,
            credential,
            call: Call::Action(action),
            paginate: None,
            deadline: None,
            priority: Priority::Background,
            force: false,
            reply: Reply::Store,
            traceparent: None,
        }
    }
}

/// How urgent a call is. The less urgent, the more of the hourly allowance it leaves to others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// A person waits for it.
    Interactive,
    /// An automation does its work.
    #[default]
    Automation,
    /// It may take hours.
    Background,
}

/// How far to follow the pages of a list. Each page becomes a part of the outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paginate {
    /// At most so many pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<u32>,
    /// At most so many values; the last page is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
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
    /// One request by a name of its own.
    Single(Single),
    /// One request, as Bitbucket documents it.
    Request(Request),
}

impl Call {
    /// What it is in a few words: method and path, or the action's name.
    pub fn what(&self) -> String {
        let name = |action: serde_json::Value| action["action"].as_str().unwrap_or_default().to_owned();
        match self {
            Call::Action(action) => name(json!(action)),
            Call::Single(single) => name(json!(single)),
            Call::Request(request) => format!("{} {}", request.method.as_str(), request.path),
        }
    }
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
    /// One atomic commit of many files.
    CommitFiles(Commit),
    /// Merges a pull request, however long that takes.
    MergePullRequest(Merge),
    /// Removes the credential's hooks at Bitbucket where that is still possible, and then all that is
    /// stored of it but the audit trail. Done only for a credential that the console marked for it.
    DeleteCredential,
    /// Looks at each hook of the credential and sets right what somebody changed, disabled or deleted, and
    /// what a rotation left undone.
    RepairHooks {},
    /// Gives the credential's hooks a new secret. The old one is accepted until the new one has been seen
    /// and a day has passed.
    RotateHook {},
    /// Reads which repositories the credential sees, and stores the list.
    RefreshRepositories {},
    /// Compares where the repositories of the credential's hooks stand with what was delivered, and puts
    /// events that never came on the events queue, marked as synthetic. Refused where that is off.
    DetectMissed {},
    /// Takes one of the credential's hooks away at Bitbucket; or all, and their secrets here.
    RemoveHooks {
        /// The one: `workspace/repository`, or `workspace`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repository: Option<String>,
    },
}

/// What an automation that follows branches needs.
fn pushes() -> Vec<String> {
    vec!["repo:push".to_owned()]
}

/// A pull request to merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// `workspace/repository`.
    pub repository: String,
    /// The pull request's number.
    pub id: u64,
    /// The merge commit's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `merge_commit`, `squash`, `fast_forward` or another of Bitbucket's strategies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Whether the source branch is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_source_branch: Option<bool>,
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

    #[test]
    fn a_number_of_a_body_is_passed_on_with_every_digit() {
        for number in ["31.245270191439438", "121.48791951161945", "1e46", "18446744073709551615"] {
            let call = format!(r#"{{"method":"PUT","path":"a","body":{number}}}"#);
            let Ok(Call::Request(request)) = serde_json::from_str(&call) else {
                panic!("{call} is a request")
            };
            let written = request.body.map(|body| body.to_string()).expect("a body");
            assert_eq!(written.replace("e+", "e"), number);
        }
    }
}
