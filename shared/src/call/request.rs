//! One request to Bitbucket: as a caller writes it, and checked and encoded as it is sent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::form::{self, Part};
use super::{ApiPath, Problem};

/// One request, as Bitbucket documents it. Of the three bodies it has one at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path below `/2.0`, such as `repositories/{workspace}/{repository}`.
    pub path: String,
    /// Query parameters, unencoded; among them Bitbucket's `q`, `sort`, `fields`, `pagelen`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Any other body, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// The media type of `body_base64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// A form, sent as `multipart/form-data`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub form: Vec<Part>,
    /// Give the answer in `body_base64`, byte for byte, even if it can be read as JSON.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raw: bool,
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

/// A request that is checked and encoded: it can lead nowhere but to Bitbucket's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: ApiPath,
    /// The query parameters.
    pub query: Vec<(String, String)>,
    /// The body with its media type.
    pub body: Option<(String, Vec<u8>)>,
}

impl Wire {
    /// A request that reads.
    pub fn get(path: ApiPath, query: &[(&str, &str)]) -> Self {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { method: Method::Get, path, query, body: None }
    }

    /// A request with a JSON body.
    pub fn json(method: Method, path: ApiPath, body: &Value) -> Self {
        Self { method, path, query: Vec::new(), body: Some((JSON.to_owned(), body.to_string().into_bytes())) }
    }
}

const JSON: &str = "application/json";

impl Request {
    /// A request without a body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: BTreeMap::new(),
            body: None,
            body_base64: None,
            content_type: None,
            form: Vec::new(),
            raw: false,
        }
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn with(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Checks and encodes it, before a credential is anywhere near.
    ///
    /// # Errors
    /// If the path leads elsewhere, or the body is not one.
    pub fn wire(&self) -> Result<Wire, Problem> {
        let path = ApiPath::parse(&self.path)
            .map_err(|error| Problem::new("bad_path", error.to_string(), "Correct the path."))?;
        let query = self.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Wire { method: self.method, path, query, body: self.encoded()? })
    }

    fn encoded(&self) -> Result<Option<(String, Vec<u8>)>, Problem> {
        let bad = |cause: &str| {
            Err(Problem::new("bad_body", cause, "Give one of body (JSON), body_base64 and form."))
        };
        match (&self.body, &self.body_base64, self.form.as_slice()) {
            (None, None, []) => Ok(None),
            (Some(body), None, []) => Ok(Some((JSON.to_owned(), body.to_string().into_bytes()))),
            (None, Some(text), []) => {
                let kind = self.content_type.as_deref().unwrap_or("application/octet-stream");
                if !kind.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
                    return bad("The content type has characters that no header takes.");
                }
                match STANDARD.decode(text) {
                    Ok(bytes) => Ok(Some((kind.to_owned(), bytes))),
                    Err(_) => bad("body_base64 is not base64."),
                }
            }
            (None, None, parts) => match form::encode(parts) {
                Ok(form) => Ok(Some(form)),
                Err(error) => bad(&error.to_string()),
            },
            _ => bad("The request has more than one body."),
        }
    }
}
