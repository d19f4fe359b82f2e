//! A call: one Bitbucket API request that an automation asks for, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
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
        /// `workspace/repository`.
        repository: String,
        /// The event keys to subscribe to.
        events: Vec<String>,
    },
    /// Removes the credential's hooks at Bitbucket where that is still possible, and then all that is
    /// stored of it but the audit trail. Done only for a credential that the console marked for it.
    DeleteCredential,
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

/// A path below `/2.0` that cannot lead anywhere else, encoded for the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiPath(String);

/// Why a path is refused, before a credential is anywhere near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing is left of it.
    #[error("the path is empty")]
    Empty,
    /// It names a host.
    #[error("the path must be relative to https://api.bitbucket.org/2.0, without a host")]
    Host,
    /// It climbs, or hides a slash or a dot in an escape.
    #[error("the path has an empty segment, . or .., or an escaped slash, backslash or dot")]
    Climbs,
    /// It carries a query, a fragment, a backslash or control characters.
    #[error("the path has ?, #, a backslash or control characters; query parameters go into query")]
    Characters,
}

/// Kept as they are: RFC 3986 pchar and `/`. `%` is kept too, so that an encoded path stays one.
const UNSAFE: AsciiSet =
    CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

impl ApiPath {
    /// Checks a path and encodes what needs it: spaces, braces, letters beyond ASCII.
    pub fn parse(path: &str) -> Result<Self, BadPath> {
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.is_empty() {
            return Err(BadPath::Empty);
        }
        if path.starts_with('/') || path.contains("://") {
            return Err(BadPath::Host);
        }
        if path.chars().any(|c| c.is_control() || matches!(c, '?' | '#' | '\\')) {
            return Err(BadPath::Characters);
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.split('/').any(climbs) {
            return Err(BadPath::Climbs);
        }
        Ok(Self(utf8_percent_encode(path, &UNSAFE).to_string()))
    }

    /// The path as it goes into the request line, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn climbs(segment: &str) -> bool {
    let decoded: Vec<u8> = percent_decode_str(segment).collect();
    let escaped = |byte: u8| decoded.contains(&byte) && !segment.as_bytes().contains(&byte);
    let dots = matches!(decoded.as_slice(), b"" | b"." | b"..");
    dots || escaped(b'/')
        || escaped(b'\\')
        || segment.to_ascii_lowercase().contains("%2e")
        || decoded.iter().any(u8::is_ascii_control)
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

/// What Bitbucket's answer to a call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Done.
    Succeeded,
    /// Not done, and sending it again would not help.
    Failed(Problem),
    /// The token is not valid (any more): the refresher is nudged, and the call waits.
    Unauthorized,
    /// Not done; later it may be.
    Later(Problem),
    /// Bitbucket gave up half-way: it may or may not be done.
    Unclear(Problem),
}

/// Judges an answer by its status and Bitbucket's error body
/// (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#standardized-error-responses>).
pub fn judge(method: Method, status: u16, body: &[u8]) -> Judgement {
    let said = said(body);
    let cause = |otherwise: &str| said.clone().unwrap_or_else(|| otherwise.to_owned());
    match status {
        200..=299 | 304 => Judgement::Succeeded,
        401 => Judgement::Unauthorized,
        429 => Judgement::Later(Problem::new(
            "rate_limited",
            cause("Bitbucket's rate limit is exceeded."),
            "It is tried again later.",
        )),
        500.. if method.mutates() => Judgement::Unclear(Problem::new(
            "outcome_unknown",
            format!("Bitbucket answered {status} and may or may not have done it."),
            "Look at Bitbucket whether it was done, then submit it under a new id if not.",
        )),
        500.. => Judgement::Later(Problem::new(
            "bitbucket_unavailable",
            format!("Bitbucket answered {status}."),
            "It is tried again later.",
        )),
        403 => Judgement::Failed(Problem::new(
            "forbidden",
            cause("Bitbucket refused it."),
            "Give the credential the missing scope or permission, then reconnect it.",
        )),
        404 => Judgement::Failed(Problem::new(
            "not_found",
            cause("There is no such thing, or the credential's account cannot see it."),
            "Check the path, and that the account has access.",
        )),
        409 => Judgement::Failed(Problem::new(
            "conflict",
            cause("It was changed meanwhile."),
            "Read it again and decide anew.",
        )),
        410 => Judgement::Failed(Problem::new(
            "removed",
            cause("Bitbucket has removed this endpoint."),
            "See Bitbucket's changelog for the replacement.",
        )),
        _ => Judgement::Failed(Problem::new(
            "refused",
            cause(&format!("Bitbucket answered {status}.")),
            "Correct the call.",
        )),
    }
}

/// The longest error text that is passed on; whole pages never are.
const LONGEST_CAUSE: usize = 500;

fn said(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    let Body { error } = serde_json::from_slice(body).ok()?;
    Some(error.message.chars().take(LONGEST_CAUSE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_api() {
        for (path, want) in [
            ("user", "user"),
            ("/repositories/w/r/", "repositories/w/r"),
            ("repositories/{ab-1}/r", "repositories/%7Bab-1%7D/r"),
            ("repositories/%7Bab%7D/r", "repositories/%7Bab%7D/r"),
            ("repositories/w/r/src/main/a b/ü.txt", "repositories/w/r/src/main/a%20b/%C3%BC.txt"),
            ("repositories/w/r/diffstat/a..b", "repositories/w/r/diffstat/a..b"),
        ] {
            assert_eq!(ApiPath::parse(path).expect(path).as_str(), want);
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for (path, want) in [
            ("", BadPath::Empty),
            ("/", BadPath::Empty),
            ("//evil.example/2.0", BadPath::Host),
            ("https://evil.example/", BadPath::Host),
            ("a/../b", BadPath::Climbs),
            ("a/%2e%2E/b", BadPath::Climbs),
            ("a/%2Fb", BadPath::Climbs),
            ("a//b", BadPath::Climbs),
            ("a/%5c..%5c", BadPath::Climbs),
            ("a/%0d%0ab", BadPath::Climbs),
            ("a?b=c", BadPath::Characters),
            ("a#b", BadPath::Characters),
            ("a\r\nHost: evil", BadPath::Characters),
            ("a\\b", BadPath::Characters),
        ] {
            assert_eq!(ApiPath::parse(path), Err(want), "{path:?}");
        }
    }

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
    fn only_a_mutation_that_broke_half_way_is_unclear() {
        assert!(matches!(judge(Method::Get, 555, b""), Judgement::Later(_)));
        assert!(matches!(judge(Method::Post, 555, b""), Judgement::Unclear(_)));
        assert!(matches!(judge(Method::Post, 429, b"Rate limit"), Judgement::Later(_)));
        assert_eq!(judge(Method::Delete, 204, b""), Judgement::Succeeded);
        assert_eq!(judge(Method::Get, 401, b""), Judgement::Unauthorized);
    }

    #[test]
    fn bitbuckets_own_words_are_passed_on_and_pages_are_not() {
        let body = br#"{"type":"error","error":{"message":"Repository w/r not found"}}"#;
        let Judgement::Failed(problem) = judge(Method::Get, 404, body) else { panic!("failed") };
        assert_eq!(problem.cause, "Repository w/r not found");
        let Judgement::Failed(problem) = judge(Method::Get, 404, b"<html>...") else { panic!("failed") };
        assert!(!problem.cause.contains("html"));
    }
}
