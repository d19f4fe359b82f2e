//! The request as API Gateway's HTTP API hands it over, payload format 2.0
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).
//! Only what is needed is read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bucketwheel::event::UNKNOWN;
use bucketwheel::signature::{Claimed, NotASignature};
use bucketwheel::trace::Trace;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashMap;
use std::fmt;

/// What the function is woken by.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request to the webhook address.
    Request(Request<'a>),
    /// A request that API Gateway would not write: it is answered all the same.
    Unreadable(serde_json::Error),
    /// Anything else, such as the schedule.
    Wake,
}

impl<'a> Event<'a> {
    /// Tells a request from everything else.
    pub fn parse(event: &'a str) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape {
            request_context: Option<IgnoredAny>,
        }
        match Request::parse(event) {
            Ok(request) if request.request_context.is_some() => Event::Request(request),
            Ok(_) => Event::Wake,
            Err(error) => match serde_json::from_str(event) {
                Ok(Shape { request_context: Some(_) }) => Event::Unreadable(error),
                Ok(Shape { request_context: None }) | Err(_) => Event::Wake,
            },
        }
    }
}

/// A request to the webhook address.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    request_context: Option<IgnoredAny>,
    #[serde(borrow, default)]
    headers: Headers<'a>,
    #[serde(borrow, default)]
    body: Option<Cow<'a, str>>,
    #[serde(default)]
    is_base64_encoded: bool,
    #[serde(borrow, default)]
    path_parameters: Option<PathParameters<'a>>,
}

#[derive(Debug, Deserialize)]
struct PathParameters<'a> {
    #[serde(borrow, default)]
    credential_id: Cow<'a, str>,
}

/// Names and values, in the order in which they came.
#[derive(Debug, Default)]
struct Headers<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        /// Borrowed where it holds nothing that JSON escapes.
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Headers<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut headers = Vec::with_capacity(24);
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    headers.push((name, value));
                }
                Ok(Headers(headers))
            }
        }

        from.deserialize_map(Names)
    }
}

/// Bitbucket signs in the first; senders and proxies made for other hosts write the second.
const SIGNATURES: [&str; 2] = ["x-hub-signature", "x-hub-signature-256"];
/// Longer header values than this are not Bitbucket's and are left out.
const LONGEST_ID: usize = 64;

impl<'a> Request<'a> {
    /// Reads the event. The body may still be anything.
    pub fn parse(event: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(event)
    }

    /// The credential in the address, unchecked.
    pub fn credential(&self) -> &str {
        self.path_parameters.as_ref().map_or("", |parameters| &parameters.credential_id)
    }

    /// The body's size in bytes, without decoding it.
    pub fn size(&self) -> usize {
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_base64_encoded {
            let padding = body.bytes().rev().take_while(|b| *b == b'=').count().min(2);
            (body.len() / 4 * 3).saturating_sub(padding)
        } else {
            body.len()
        }
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

    pub(crate) fn claimed(&self) -> Result<Claimed, NotASignature> {
        Claimed::parse(SIGNATURES.into_iter().flat_map(|name| self.headers(name)))
    }

    /// `X-Event-Key`, or `unknown` where the header is missing or not a key: nobody signs it.
    pub fn event_key(&self) -> &str {
        let key = |key: &&str| {
            key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:-".contains(&b))
        };
        self.short("x-event-key", LONGEST_ID).filter(key).unwrap_or(UNKNOWN)
    }

    pub(crate) fn hook_id(&self) -> Option<&str> {
        self.short("x-hook-uuid", LONGEST_ID)
    }

    /// `X-Request-UUID`.
    pub fn request_id(&self) -> Option<&str> {
        self.short("x-request-uuid", LONGEST_ID)
    }

    pub(crate) fn attempt(&self) -> Option<u32> {
        self.headers("x-attempt-number").next().and_then(|value| value.trim().parse().ok())
    }

    /// The sender's trace, else X-Ray's, which API Gateway brings, else a new one.
    pub(crate) fn trace(&self, random: [u8; 24]) -> Trace {
        let theirs = || self.headers("traceparent").find_map(|text| Trace::parse(text.trim()));
        let x_ray = || self.headers("x-amzn-trace-id").find_map(|text| Trace::from_xray(text, random));
        theirs().or_else(x_ray).unwrap_or_else(|| Trace::new(random))
    }

    fn short(&self, name: &str, longest: usize) -> Option<&str> {
        let fits = |value: &&str| {
            (1..=longest).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())
        };
        self.headers(name).next().map(str::trim).filter(fits)
    }

    /// The values of a header. API Gateway writes names in lower case; a caller in front of it may not,
    /// and then a name may be there twice.
    fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .0
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }
}

/// The answer as API Gateway wants it.
#[derive(Debug, PartialEq, Eq, Serialize)]
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
