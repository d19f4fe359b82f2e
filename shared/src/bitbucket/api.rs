//! The REST API, `{api}/2.0/…`.

use std::time::Duration;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use url::Url;

use super::{NoClient, TIME_OUT, Trust, client};
use crate::call::{Answer, ApiPath, Method, Wire};
use crate::credential::Scopes;
use crate::ports::{Probe, Unasked};
use crate::token::Authorization;

/// The longest answer that is taken. A whole outcome must fit into an item of the table (400 KB) and a
/// message of a queue (1 MiB).
const LARGEST_ANSWER: usize = 256 * 1024;
/// A renamed repository redirects once; anything that redirects more often is lost.
const MOST_REDIRECTS: usize = 3;

/// The headers of an answer that are passed on or learnt from.
const HEADERS: [&str; 9] = [
    "content-disposition",
    "content-type",
    "etag",
    "location",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-nearlimit",
    "x-ratelimit-resource",
    "x-request-id",
];

/// The REST API.
#[derive(Debug, Clone)]
pub struct Api {
    reads: reqwest::Client,
    writes: reqwest::Client,
    base: Url,
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
    /// The API at `base` (<https://api.bitbucket.org>).
    pub fn new(base: Url, trust: &Trust) -> Result<Self, NoClient> {
        // A kept connection may be closed by the peer just as it is used again, which the HTTP library
        // answers by sending once more. Reads may be sent twice; mutations get connections of their own.
        let reads = client(Policy::none(), trust)?.build().map_err(NoClient)?;
        let writes = client(Policy::none(), trust)?.pool_max_idle_per_host(0).build().map_err(NoClient)?;
        Ok(Self { reads, writes, base })
    }

    /// Where the API is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Sends one request, and waits for its answer for `patience`, at most the usual time-out. A redirect
    /// is followed, with the same method, only inside the API: no token leaves for another host.
    pub async fn send(
        &self,
        authorization: &Authorization,
        wire: &Wire,
        patience: Duration,
    ) -> Result<Answer, SendError> {
        let mut answer = self.send_once(authorization, wire, patience).await?;
        let mut hops = 0;
        while (300..400).contains(&answer.status) && answer.status != 304 && hops < MOST_REDIRECTS {
            let link = answer.headers.get("location").map(|link| ApiPath::follow(link, &self.base));
            let Some(Ok((path, query))) = link else { break };
            let wire = Wire { path, query, ..wire.clone() };
            answer = self.send_once(authorization, &wire, patience).await?;
            hops += 1;
        }
        Ok(answer)
    }

    async fn send_once(
        &self,
        authorization: &Authorization,
        wire: &Wire,
        patience: Duration,
    ) -> Result<Answer, SendError> {
        let mut url = self.base.clone();
        url.set_path(&format!("2.0/{}", wire.path.as_str()));
        if !wire.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&wire.query);
        }
        let method = match wire.method {
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
        let client = if wire.method.mutates() { &self.writes } else { &self.reads };
        let request = client.request(method, url).header(AUTHORIZATION, value);
        let request = match &wire.body {
            Some((kind, body)) => request.header("content-type", kind).body(body.clone()),
            None => request,
        };
        let answer = request.timeout(patience.min(TIME_OUT)).send().await.map_err(|error| {
            let error = error.without_url();
            if error.is_connect() || error.is_builder() {
                SendError::Unsent(error)
            } else {
                SendError::Lost(error)
            }
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
        self.send(authorization, &Wire::get(path.clone(), query), TIME_OUT).await
    }
}

impl Probe for Api {
    async fn probe(&self, authorization: &Authorization, path: &ApiPath) -> Result<Answer, Unasked> {
        self.get(authorization, path, &[]).await.map_err(|error| Unasked(Box::new(error)))
    }
}

async fn read(mut answer: reqwest::Response) -> Result<Answer, SendError> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let mut headers: std::collections::BTreeMap<_, _> =
        HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), header(name)?.to_owned()))).collect();
    let content_type = headers.remove("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().to_owned();
    let scopes = header("x-oauth-scopes").map(Scopes::parse);
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| SendError::Lost(error.without_url()))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(SendError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, content_type, headers, scopes, body, raw: false })
}
