//! What the two functions that people meet share: the frame of a page, the headers of every answer, and
//! which request it was.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use lambda_http::request::RequestContext;
use maud::{DOCTYPE, Markup, html};
use url::Url;

/// Nothing from elsewhere, nothing inside a page but its words and pictures.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The security headers that every page and every answer carries.
pub const ON_EVERY_ANSWER: [(HeaderName, HeaderValue); 3] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

/// A whole page. Its style sheet, its script and its icon are the console's. The content is a `main` with the
/// id `content`.
pub fn document(title: &str, navigation: &Markup, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Bucketwheel" }
                link rel="stylesheet" href="/assets/console.css";
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                script src="/assets/console.js" type="module" {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header { a.name href="/" { img src="/assets/icon.svg" alt="" width="22" height="22"; "Bucketwheel" } (navigation) }
                (content)
            }
        }
    }
}

/// Which HTTP request it was: for the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The gateway's id of the request, as its access log has it.
    pub id: String,
    /// The address that it came from.
    pub from: String,
    /// The person whom the gateway's authorizer let in, if there is one.
    pub person: Option<String>,
}

impl Asked {
    /// One line for the audit trail.
    pub fn line(&self) -> String {
        match (self.id.is_empty(), self.from.is_empty()) {
            (true, _) => String::new(),
            (false, true) => self.id.clone(),
            (false, false) => format!("{} from {}", self.id, self.from),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let Some(RequestContext::ApiGatewayV2(context)) = parts.extensions.get() else {
            return Ok(Self::default());
        };
        let claims = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref());
        let claim = |name: &str| claims.and_then(|jwt| jwt.claims.get(name)).cloned();
        Ok(Self {
            id: context.request_id.clone().unwrap_or_default(),
            from: context.http.source_ip.clone().unwrap_or_default(),
            person: claim("email").or_else(|| claim("sub")),
        })
    }
}

/// Whether a page of this installation caused the request. Browsers say so in `Origin`, or else in
/// `Referer`.
pub fn from_here(headers: &http::HeaderMap, public_url: &Url) -> bool {
    let said = headers.get(http::header::ORIGIN).or_else(|| headers.get(http::header::REFERER));
    let said = said.and_then(|value| value.to_str().ok()).and_then(|value| Url::parse(value).ok());
    said.is_some_and(|page| page.origin() == public_url.origin())
}
