//! The envelope as the consumer reads it.

use std::io::Read as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Event;
use crate::credential::CredentialId;
use crate::trace::{self, Trace};

/// The largest body that a compressed one may become, in bytes: more than webhook-ingest takes.
const LARGEST_BODY: u64 = 4 * 1024 * 1024;

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
    /// Whether it was made up for one that never came (see [`Synthetic`](super::Synthetic)).
    #[serde(default)]
    pub synthetic: bool,
    /// What orders it.
    pub partitionkey: String,
    /// The trace context: for the calls that come of this event.
    #[serde(default, deserialize_with = "trace::lenient")]
    pub traceparent: Option<Trace>,
    // A body may be `null`, which is data all the same.
    #[serde(borrow, default, deserialize_with = "some")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    datacontentencoding: Option<String>,
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

    /// The event key as Bitbucket writes it, such as `repo:push`; the whole type of what we say ourselves.
    pub fn event_key(&self) -> String {
        // No key has a dot of its own.
        let key = self.r#type.strip_prefix("org.bitbucket.").map(|key| key.replace('.', ":"));
        key.unwrap_or_else(|| self.r#type.clone())
    }

    /// The body as a type of its own.
    pub fn event(&self) -> Result<Event, NotAnEnvelope> {
        Ok(Event::parse(&self.event_key(), &self.body()?)?)
    }

    /// The body, byte for byte as Bitbucket sent it.
    pub fn body(&self) -> Result<Vec<u8>, NotAnEnvelope> {
        match (&self.data, &self.data_base64) {
            (Some(_), _) => Ok(self.text.as_bytes()[self.body.clone()].to_vec()),
            (None, Some(encoded)) => {
                let bytes = STANDARD.decode(encoded).map_err(|_| NotAnEnvelope::NoData)?;
                match self.datacontentencoding.as_deref() {
                    None => Ok(bytes),
                    Some("gzip") => gunzip(&bytes),
                    Some(_) => Err(NotAnEnvelope::NoData),
                }
            }
            (None, None) => Err(NotAnEnvelope::NoData),
        }
    }
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, NotAnEnvelope> {
    let mut body = Vec::new();
    let read = GzDecoder::new(bytes).take(LARGEST_BODY + 1).read_to_end(&mut body);
    if read.is_err() || body.len() as u64 > LARGEST_BODY {
        return Err(NotAnEnvelope::NoData);
    }
    Ok(body)
}
