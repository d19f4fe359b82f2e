//! A delivery on its way to the consumer: a CloudEvents 1.0 envelope in structured JSON
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>).
//!
//! The body is not parsed into a model and written again: its bytes stand in the envelope as they
//! came, as the last member, `data`. A body that is not JSON stands in `data_base64`, and one that would
//! make the envelope larger than a queue takes stands there compressed.

mod announcement;
pub mod bodies;
mod envelope;
mod filter;
pub mod nouns;
#[cfg(feature = "schema")]
pub mod schema;
pub mod span;
mod status;
mod synthetic;
mod typed;

use std::io::Write as _;

pub use announcement::Announcement;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
pub use envelope::{Envelope, NotAnEnvelope};
pub use filter::{BadGlob, Filter, Filters, Glob, HookFilter};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
pub use synthetic::Synthetic;
pub use typed::{Event, EventKey, NotListed};

use crate::credential::CredentialId;
use crate::signature::Verified;
use crate::trace::Trace;

pub use status::StatusChange;

/// Whether an event of this key says that an account sees other repositories than before, or sees one under
/// another name.
pub fn changes_repositories(event_key: &str) -> bool {
    use EventKey::{RepoCreated, RepoDeleted, RepoImported, RepoTransfer, RepoUpdated};
    let changing = [RepoCreated, RepoDeleted, RepoImported, RepoTransfer, RepoUpdated];
    event_key.parse().is_ok_and(|key| changing.contains(&key))
}

/// The version of the envelope's own members. Consumers accept it and the one before.
pub const ENVELOPE_VERSION: u32 = 1;

/// The largest message that SQS takes, in bytes
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub const LARGEST_MESSAGE: usize = 1024 * 1024;

/// The longest name of the head, in bytes. A full name has two parts of up to 62 characters.
const LONGEST_NAME: usize = 512;

/// The event key of a delivery that names none.
pub const UNKNOWN: &str = "unknown";

/// A verified delivery with what its unsigned headers say.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The credential whose address it came to.
    pub credential: &'a CredentialId,
    /// The body, whose signature was checked.
    pub verified: Verified<'a>,
    /// `X-Event-Key`, such as `repo:push`.
    pub event_key: &'a str,
    /// `X-Hook-UUID`, without braces.
    pub hook_id: Option<&'a str>,
    /// `X-Request-UUID`, the same on every attempt.
    pub request_id: Option<&'a str>,
    /// `X-Attempt-Number`, from 1.
    pub attempt: Option<u32>,
    /// The W3C trace context: one that came, or a new one.
    pub trace: &'a Trace,
    /// When we received it.
    pub received_at: Timestamp,
}

/// A delivery ready for the events queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enveloped {
    /// Digest of credential and body: the same for every attempt, and what the queue deduplicates by.
    /// It leaves out the headers, because nobody signs them.
    pub id: String,
    /// What keeps its order: the repository's uuid, else the credential.
    pub group: String,
    /// The message.
    pub text: String,
}

#[derive(Serialize)]
struct Head<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: Timestamp,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacontentencoding: Option<&'static str>,
    envelopeversion: u32,
    credentialid: &'a CredentialId,
    #[serde(skip_serializing_if = "Option::is_none")]
    hookid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requestid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    secretversion: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    synthetic: bool,
    partitionkey: &'a str,
    traceparent: &'a Trace,
}

/// A body with where it comes from.
#[derive(Clone, Copy)]
struct Origin<'a> {
    credential: &'a CredentialId,
    event_key: &'a str,
    hook_id: Option<&'a str>,
    request_id: Option<&'a str>,
    attempt: Option<u32>,
    secret_version: u64,
    synthetic: bool,
    trace: &'a Trace,
    at: Timestamp,
}

/// What routing needs of a body, and nothing else. Every part may be missing: pipeline events have no
/// repository, old bodies no workspace.
#[derive(Default, Deserialize)]
struct Routing {
    #[serde(default)]
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    uuid: Option<String>,
    full_name: Option<String>,
    workspace: Option<Owner>,
    owner: Option<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    uuid: Option<String>,
}

impl Delivery<'_> {
    /// Wraps the delivery.
    pub fn envelope(&self) -> Enveloped {
        let body = self.verified.body();
        let origin = Origin {
            credential: self.credential,
            event_key: self.event_key,
            hook_id: self.hook_id,
            request_id: self.request_id,
            attempt: self.attempt,
            secret_version: self.verified.secret_version,
            synthetic: false,
            trace: self.trace,
            at: self.received_at,
        };
        origin.wrap(digest(self.credential, body), body)
    }
}

impl Origin<'_> {
    fn wrap(self, id: String, body: &[u8]) -> Enveloped {
        let text = std::str::from_utf8(body).ok().filter(|text| fits_a_queue(text));
        let (json, routing) = text.and_then(read).unzip();
        let routing: Routing = routing.unwrap_or_default();
        let repository = routing.repository.as_ref();
        let group = repository.and_then(|r| name(&r.uuid)).unwrap_or(self.credential.as_str());
        let head = Head {
            specversion: "1.0",
            id: &id,
            source: source(repository),
            r#type: event_type(self.event_key),
            subject: repository.and_then(|r| name(&r.full_name)),
            time: self.at,
            datacontenttype: if json.is_some() { "application/json" } else { "application/octet-stream" },
            datacontentencoding: None,
            envelopeversion: ENVELOPE_VERSION,
            credentialid: self.credential,
            hookid: self.hook_id,
            requestid: self.request_id,
            attempt: self.attempt,
            secretversion: self.secret_version,
            synthetic: self.synthetic,
            partitionkey: group,
            traceparent: self.trace,
        };
        let mut text = match json {
            Some(body) => head.with("data", body),
            None => head.with_base64(body),
        };
        if text.len() > LARGEST_MESSAGE {
            text = Head { datacontentencoding: Some("gzip"), ..head }.with_base64(&gzip(body));
        }
        Enveloped { group: queue_name(group), text, id }
    }
}

impl Head<'_> {
    /// The envelope, with this JSON as its last member.
    fn with(&self, member: &str, json: &str) -> String {
        let Ok(mut text) = serde_json::to_string(self) else {
            unreachable!("an envelope's head is texts and numbers")
        };
        // The head is an object with members; the body joins it as the last one.
        text.pop();
        text.reserve_exact(member.len() + json.len() + 5);
        for part in [",\"", member, "\":", json, "}"] {
            text.push_str(part);
        }
        text
    }

    fn with_base64(&self, bytes: &[u8]) -> String {
        let mut json = String::from('"');
        STANDARD.encode_string(bytes, &mut json);
        json.push('"');
        self.with("data_base64", &json)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    let Ok(compressed) = written else { unreachable!("a vector takes every byte") };
    compressed
}

fn digest(credential: &CredentialId, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(credential.as_str());
    hash.update([0]);
    hash.update(body);
    hex::encode(hash.finalize())
}

fn source(repository: Option<&Repository>) -> String {
    let workspace = repository
        .and_then(|r| [&r.workspace, &r.owner].into_iter().flatten().find_map(|owner| name(&owner.uuid)));
    match (workspace, repository.and_then(|r| name(&r.uuid))) {
        (Some(workspace), Some(repository)) => format!("https://bitbucket.org/{workspace}/{repository}"),
        _ => "https://bitbucket.org/".to_owned(),
    }
}

/// A name that may stand in the envelope's head: the head must not be what makes a message too large, or
/// what a queue refuses.
fn name(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| (1..=LONGEST_NAME).contains(&text.len()) && fits_a_queue(text))
}

fn event_type(event_key: &str) -> String {
    format!("org.bitbucket.{}", event_key.replace(':', "."))
}

/// SQS group ids have up to 128 letters, digits and punctuation; a uuid with braces is one, and
/// anything else is replaced by its digest.
fn queue_name(group: &str) -> String {
    if (1..=128).contains(&group.len()) && group.bytes().all(|b| b.is_ascii_graphic()) {
        group.to_owned()
    } else {
        hex::encode(Sha256::digest(group))
    }
}

/// What routing needs of a body, if it is JSON. It is read once, and again only where there is something else
/// than it needs.
fn read(text: &str) -> Option<(&str, Routing)> {
    let routing = serde_json::from_str(text)
        .or_else(|_| serde_json::from_str::<&RawValue>(text).map(|_| Routing::default()));
    Some((text, routing.ok()?))
}

/// SQS refuses the two noncharacters U+FFFE and U+FFFF, which JSON allows inside a text. (The other
/// characters it refuses are control characters, which JSON wants escaped.)
pub(crate) fn fits_a_queue(text: &str) -> bool {
    // Both begin with the same byte, which few texts have: looking for that alone is many times as quick.
    !text.as_bytes().contains(&0xEF) || !text.contains(['\u{FFFE}', '\u{FFFF}'])
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::signature::{Claimed, HookSecret, sign, verify};

    fn wrap(body: &[u8], event_key: &str) -> Enveloped {
        let secret = SecretString::from("s");
        let claimed = Claimed::parse([sign(body, &secret).as_str()]).expect("a signature");
        let secrets = [HookSecret { version: 2, secret }];
        let credential: CredentialId = "c1".parse().expect("an id");
        Delivery {
            credential: &credential,
            verified: verify(body, &claimed, &secrets).expect("verified"),
            event_key,
            hook_id: Some("h"),
            request_id: Some("r"),
            attempt: Some(1),
            trace: &Trace::new([3; 24]),
            received_at: Timestamp::from_second(1_000).expect("a time"),
        }
        .envelope()
    }

    #[test]
    fn a_push_is_grouped_by_its_repository_and_named_by_its_uuids() {
        let body = br#"{"repository":{"uuid":"{r}","full_name":"w/r","workspace":{"uuid":"{w}"}},"push":{}}"#;
        let enveloped = wrap(body, "repo:push");
        assert_eq!(enveloped.group, "{r}");
        let envelope = Envelope::parse(&enveloped.text).expect("an envelope");
        assert_eq!(envelope.r#type, "org.bitbucket.repo.push");
        assert_eq!(envelope.source, "https://bitbucket.org/{w}/{r}");
        assert_eq!(envelope.subject.as_deref(), Some("w/r"));
        assert_eq!(envelope.id, enveloped.id);
    }

    #[test]
    fn every_body_comes_back_byte_for_byte() {
        let bodies: [&[u8]; 9] = [
            br#"{"a":1.0,"b":"\u00e4","a":2}"#,
            b" \r\n{ \"data\": {\"data\":null} }\n\t ",
            b"{}",
            b"[1,2]",
            b"null",
            b"",
            b"not json",
            b"\xff\xfe",
            "{\"n\":\"\u{FFFE}\"}".as_bytes(),
        ];
        for body in bodies {
            let enveloped = wrap(body, "repo:push");
            let envelope = Envelope::parse(&enveloped.text).expect("an envelope");
            assert_eq!(envelope.body().expect("a body"), body, "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn every_key_comes_back_as_it_was() {
        for key in ["repo:push", "unknown", "a:b:c", "org:bitbucket:x", "repo:"] {
            let enveloped = wrap(b"{}", key);
            assert_eq!(Envelope::parse(&enveloped.text).expect("an envelope").event_key(), key);
        }
    }

    #[test]
    fn wrong_types_where_routing_looks_lose_nothing() {
        for body in [r#"{"repository":null}"#, r#"{"repository":7}"#, r#"{"repository":{"uuid":7}}"#, "{}"] {
            assert_eq!(wrap(body.as_bytes(), "x").group, "c1", "{body}");
        }
    }

    #[test]
    fn the_id_depends_on_the_body_and_not_on_the_headers() {
        assert_eq!(wrap(b"{}", "repo:push").id, wrap(b"{}", "repo:fork").id);
        assert_ne!(wrap(b"{}", "repo:push").id, wrap(b"{ }", "repo:push").id);
    }

    #[test]
    fn a_body_too_large_for_a_queue_is_compressed_and_comes_back() {
        let json =
            format!(r#"{{"repository":{{"uuid":"{{r}}"}},"x":"{}"}}"#, "ab".repeat(LARGEST_MESSAGE / 2));
        for body in [json.as_bytes(), &vec![0xff; LARGEST_MESSAGE * 4 / 5]] {
            let enveloped = wrap(body, "repo:push");
            assert!(enveloped.text.len() < LARGEST_MESSAGE);
            let envelope = Envelope::parse(&enveloped.text).expect("an envelope");
            assert_eq!(envelope.body().expect("a body"), body);
        }
        assert_eq!(wrap(json.as_bytes(), "repo:push").group, "{r}");
    }

    #[test]
    fn names_that_no_repository_has_stay_out_of_the_head() {
        let long = "n".repeat(LARGEST_MESSAGE / 2);
        for odd in [long.as_str(), "\\ufffe", ""] {
            let body = format!(
                r#"{{"repository":{{"uuid":"{odd}","full_name":"{odd}","owner":{{"uuid":"{odd}"}}}}}}"#
            );
            let enveloped = wrap(body.as_bytes(), "repo:push");
            assert_eq!(enveloped.group, "c1");
            assert!(fits_a_queue(&enveloped.text) && enveloped.text.len() < body.len() + 1_000);
        }
    }
}
