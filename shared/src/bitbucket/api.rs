//! The REST API, `{api}/2.0/…`.

use std::collections::BTreeMap;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::{NoClient, client};
use crate::call::{ApiPath, Method};
use crate::credential::Scopes;
use crate::token::Authorization;

/// The longest answer that is taken. A whole outcome must fit into an item of the table (400 KB) and a
/// message of a queue (1 MiB).
const LARGEST_ANSWER: usize = 256 * 1024;

/// The REST API.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    base: Url,
}

/// What Bitbucket answered, whatever the status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type, without parameters.
    pub content_type: String,
    /// The headers that a caller may need, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The scopes of the token, if the answer names them.
    pub scopes: Option<Scopes>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection came about, so nothing was sent.
    #[error("no connection to Bitbucket's API")]
    Unsent(#[source] reqwest::Error),
    /// It was sent and no answer came. Whether it took effect is unknown.
    #[error("the answer of Bitbucket's API was lost")]
    Lost(#[source] reqwest::Error),
    /// The answer is longer than can be passed on.
    #[error("the answer of Bitbucket's API is longer than {LARGEST_ANSWER} bytes")]
    TooLarge,
}

impl Api {
    /// The API at `base` (<https://api.bitbucket.org>). A redirect is followed only to the same host,
    /// so that no token leaves for another.
    pub fn new(base: Url) -> Result<Self, NoClient> {
        let same_origin = Policy::custom(|attempt| {
            let first = attempt.previous().first().map(Url::origin);
            let stays = first == Some(attempt.url().origin());
            if stays && attempt.previous().len() < 5 { attempt.follow() } else { attempt.stop() }
        });
        Ok(Self { client: client(same_origin)?.build().map_err(NoClient)?, base })
    }

    /// Sends one request.
    pub async fn send(
        &self,
        authorization: &Authorization,
        method: Method,
        path: &ApiPath,
        query: &BTreeMap<String, String>,
        body: Option<&Value>,
    ) -> Result<Answer, SendError> {
        let mut url = self.base.clone();
        url.set_path(&format!("2.0/{}", path.as_str()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let method = match method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        };
        // A token with characters that no header takes cannot be one of Bitbucket's, which then says so.
        let value = HeaderValue::from_str(authorization.header().expose_secret());
        let mut value = value.unwrap_or(HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        let request = self.client.request(method, url).header(AUTHORIZATION, value);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.map_err(|error| {
            let error = error.without_url();
            if error.is_connect() { SendError::Unsent(error) } else { SendError::Lost(error) }
        })?;
        read(answer).await
    }

    /// Reads something.
    pub async fn get(
        &self,
        authorization: &Authorization,
        path: &ApiPath,
        query: &[(&str, &str)],
    ) -> Result<Answer, SendError> {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.send(authorization, Method::Get, path, &query, None).await
    }
}

async fn read(mut answer: reqwest::Response) -> Result<Answer, SendError> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type =
        header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
    let wanted = ["etag", "location", "retry-after", "x-request-id"];
    let headers =
        wanted.iter().filter_map(|name| Some(((*name).to_owned(), header(name)?.to_owned()))).collect();
    let scopes = header("x-oauth-scopes").map(Scopes::parse);
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| SendError::Lost(error.without_url()))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(SendError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, content_type, headers, scopes, body })
}
