//! The request as API Gateway's HTTP API hands it over, payload format 2.0
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).
//! Only what is needed is read, and texts are borrowed where they have no escapes.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A request to the webhook address.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    #[serde(borrow, default)]
    headers: HashMap<&'a str, Cow<'a, str>>,
    #[serde(borrow, default)]
    body: Option<Cow<'a, str>>,
    #[serde(default)]
    is_base64_encoded: bool,
    #[serde(borrow, default)]
    path_parameters: Option<PathParameters<'a>>,
}

#[derive(Debug, Deserialize)]
struct PathParameters<'a> {
    #[serde(borrow)]
    credential_id: Cow<'a, str>,
}

/// Longer header values than these are not Bitbucket's and are left out.
const LONGEST_ID: usize = 64;
const LONGEST_TRACE: usize = 128;

impl<'a> Request<'a> {
    /// Reads the event. The body may still be anything.
    pub fn parse(event: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(event)
    }

    /// The credential in the address, unchecked.
    pub fn credential(&self) -> &str {
        self.path_parameters.as_ref().map_or("", |parameters| &parameters.credential_id)
    }

    /// An upper bound of the body's size in bytes, without decoding it.
    pub fn size(&self) -> usize {
        let length = self.body.as_ref().map_or(0, |body| body.len());
        if self.is_base64_encoded { length / 4 * 3 } else { length }
    }

    /// The body's bytes; none if API Gateway's base64 is broken.
    pub(crate) fn body(&self) -> Option<Cow<'_, [u8]>> {
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_base64_encoded {
            STANDARD.decode(body).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(body.as_bytes()))
        }
    }

    pub(crate) fn signature(&self) -> Option<&str> {
        self.header("x-hub-signature")
    }

    /// `X-Event-Key`, or `unknown` where the header is missing or not a key: nobody signs it.
    pub fn event_key(&self) -> &str {
        let key = |key: &&str| {
            key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:-".contains(&b))
        };
        self.short("x-event-key", LONGEST_ID).filter(key).unwrap_or("unknown")
    }

    pub(crate) fn hook_id(&self) -> Option<&str> {
        self.short("x-hook-uuid", LONGEST_ID)
    }

    /// `X-Request-UUID`.
    pub fn request_id(&self) -> Option<&str> {
        self.short("x-request-uuid", LONGEST_ID)
    }

    pub(crate) fn attempt(&self) -> Option<u32> {
        self.header("x-attempt-number").and_then(|value| value.trim().parse().ok())
    }

    pub(crate) fn traceparent(&self) -> Option<&str> {
        self.short("traceparent", LONGEST_TRACE)
    }

    fn short(&self, name: &str, longest: usize) -> Option<&str> {
        let fits = |value: &&str| {
            (1..=longest).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())
        };
        self.header(name).map(str::trim).filter(fits)
    }

    /// API Gateway writes header names in lower case; a caller in front of it may not.
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.get(name);
        let found = found
            .or_else(|| self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v));
        found.map(|value| &**value)
    }
}

/// The answer as API Gateway wants it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    headers: HashMap<&'static str, &'static str>,
    body: &'static str,
}

impl Response {
    pub(crate) fn new(status_code: u16, body: &'static str) -> Self {
        Self { status_code, headers: HashMap::from([("content-type", "text/plain")]), body }
    }
}
