//! A delivery on its way to the consumer: a CloudEvents 1.0 envelope in structured JSON
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>).
//!
//! The body is not parsed into a model and written again: its bytes stand in the envelope as they
//! came, as the last member, `data`. A body that is not JSON stands in `data_base64`.

mod status;

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::credential::CredentialId;
use crate::signature::Verified;

pub use status::StatusChange;

/// The version of the envelope's own members. Consumers accept it and the one before.
pub const ENVELOPE_VERSION: u32 = 1;

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
    /// The W3C trace context, if one came.
    pub traceparent: Option<&'a str>,
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
    envelopeversion: u32,
    credentialid: &'a CredentialId,
    #[serde(skip_serializing_if = "Option::is_none")]
    hookid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requestid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    secretversion: u64,
    partitionkey: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
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
        let json = std::str::from_utf8(body).ok().filter(|text| fits_a_queue(text) && is_json(text));
        let routing: Routing = json.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let id = digest(self.credential, body);
        let repository = routing.repository.as_ref();
        let group = repository.and_then(|r| r.uuid.as_deref()).unwrap_or(self.credential.as_str());
        let head = Head {
            specversion: "1.0",
            id: &id,
            source: source(repository),
            r#type: event_type(self.event_key),
            subject: repository.and_then(|r| r.full_name.as_deref()),
            time: self.received_at,
            datacontenttype: if json.is_some() { "application/json" } else { "application/octet-stream" },
            envelopeversion: ENVELOPE_VERSION,
            credentialid: self.credential,
            hookid: self.hook_id,
            requestid: self.request_id,
            attempt: self.attempt,
            secretversion: self.verified.secret_version,
            partitionkey: group,
            traceparent: self.traceparent,
        };
        let Ok(mut text) = serde_json::to_string(&head) else {
            unreachable!("an envelope's head is texts and numbers")
        };
        // The head is an object with members; the body joins it as the last one.
        text.pop();
        match json {
            Some(body) => {
                text.reserve_exact(body.len() + 10);
                text.push_str(r#","data":"#);
                text.push_str(body);
            }
            None => {
                text.push_str(r#","data_base64":""#);
                STANDARD.encode_string(body, &mut text);
                text.push('"');
            }
        }
        text.push('}');
        Enveloped { group: queue_name(group), text, id }
    }
}

fn digest(credential: &CredentialId, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(credential.as_str());
    hash.update([0]);
    hash.update(body);
    hex::encode(hash.finalize())
}

fn source(repository: Option<&Repository>) -> String {
    let uuid = |owner: &Option<Owner>| owner.as_ref().and_then(|o| o.uuid.clone());
    let workspace = repository.and_then(|r| uuid(&r.workspace).or_else(|| uuid(&r.owner)));
    match (workspace, repository.and_then(|r| r.uuid.as_deref())) {
        (Some(workspace), Some(repository)) => format!("https://bitbucket.org/{workspace}/{repository}"),
        _ => "https://bitbucket.org/".to_owned(),
    }
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

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// SQS refuses the two noncharacters U+FFFE and U+FFFF, which JSON allows inside a text. (The other
/// characters it refuses are control characters, which JSON wants escaped.)
fn fits_a_queue(text: &str) -> bool {
    !text.contains(['\u{FFFE}', '\u{FFFF}'])
}

/// An envelope as the consumer reads it. Members that it does not know are left alone.
#[derive(Debug, Clone, Deserialize)]
pub struct Envelope<'a> {
    /// Digest of credential and body. Handle each id once.
    pub id: String,
    /// Who sent it: `https://bitbucket.org/{workspace uuid}/{repository uuid}`.
    pub source: String,
    /// `org.bitbucket.` and the event key with `.` for `:`.
    pub r#type: String,
    /// The repository's full name, if the event has one.
    pub subject: Option<String>,
    /// When it was received.
    pub time: Timestamp,
    /// The credential whose address it came to.
    pub credentialid: CredentialId,
    /// The hook that sent it.
    pub hookid: Option<String>,
    /// Bitbucket's id of the delivery.
    pub requestid: Option<String>,
    /// What orders it.
    pub partitionkey: String,
    // A body may be `null`, which is data all the same.
    #[serde(borrow, default, deserialize_with = "some")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    #[serde(skip)]
    body: Range<usize>,
    #[serde(skip)]
    text: &'a str,
}

fn some<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The message is not an envelope of ours.
#[derive(Debug, thiserror::Error)]
pub enum NotAnEnvelope {
    /// It is not JSON, or a member is missing or has the wrong type.
    #[error("the message is not a CloudEvents envelope of Bucketwheel: {0}")]
    Json(#[from] serde_json::Error),
    /// It has neither `data` nor a readable `data_base64`.
    #[error("the envelope has no data")]
    NoData,
}

impl<'a> Envelope<'a> {
    /// Reads a message of the events queue.
    pub fn parse(text: &'a str) -> Result<Self, NotAnEnvelope> {
        let mut envelope: Self = serde_json::from_str(text)?;
        if let Some(data) = envelope.data {
            // `data` is the last member, so the body reaches from its first byte to the last brace;
            // white space around it belongs to the body too, since the signature covered it.
            let first = data.get().as_ptr() as usize - text.as_ptr() as usize;
            let key = text[..first].rfind(r#""data":"#).ok_or(NotAnEnvelope::NoData)?;
            let end = text.rfind('}').ok_or(NotAnEnvelope::NoData)?;
            envelope.body = key + r#""data":"#.len()..end;
        }
        envelope.text = text;
        Ok(envelope)
    }

    /// The body, byte for byte as Bitbucket sent it.
    pub fn body(&self) -> Result<Vec<u8>, NotAnEnvelope> {
        match (&self.data, &self.data_base64) {
            (Some(_), _) => Ok(self.text.as_bytes()[self.body.clone()].to_vec()),
            (None, Some(encoded)) => STANDARD.decode(encoded).map_err(|_| NotAnEnvelope::NoData),
            (None, None) => Err(NotAnEnvelope::NoData),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::signature::{Claimed, HookSecret, sign, verify};

    fn wrap(body: &[u8], event_key: &str) -> Enveloped {
        let secret = SecretString::from("s");
        let claimed = Claimed::parse(Some(&sign(body, &secret))).expect("a signature");
        let secrets = [HookSecret { version: 2, secret }];
        let credential: CredentialId = "c1".parse().expect("an id");
        Delivery {
            credential: &credential,
            verified: verify(body, claimed, &secrets).expect("verified"),
            event_key,
            hook_id: Some("h"),
            request_id: Some("r"),
            attempt: Some(1),
            traceparent: None,
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
}
