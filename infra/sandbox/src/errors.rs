//! What can go wrong: in starting a sandbox, and in Bitbucket's own words in the API.

use serde_json::{Value, json};

/// Why a sandbox could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no tokio runtime to serve on.
    #[error("the sandbox needs a tokio runtime: call serve from inside one")]
    NoRuntime(#[source] tokio::runtime::TryCurrentError),
    /// The listener has no address.
    #[error("the listener's address cannot be read")]
    Listener(#[source] std::io::Error),
    /// The HTTP client for webhooks could not be made.
    #[error("the client for webhook deliveries cannot be made")]
    Client(#[source] reqwest::Error),
    /// The machine gives no random bytes.
    #[error("the machine gives no random bytes")]
    Random(#[source] getrandom::Error),
    /// Something that was named does not exist.
    #[error("there is no {0}")]
    NotFound(String),
    /// A name is taken.
    #[error("there is already a {0}")]
    Taken(String),
}

/// An error answer of the API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Problem {
    /// 401: no credentials, or none that work.
    Unauthorized,
    /// 403: the credentials lack scopes.
    Scopes { required: Vec<String>, granted: Vec<String> },
    /// 403: the person may not.
    Forbidden(String),
    /// 404 with a message.
    NotFound(String),
    /// 404 as bare text, as some endpoints answer.
    NotFoundText,
    /// 404: no such URL.
    NoSuchApi,
    /// 410: removed by this change.
    Gone(&'static str),
    /// 301: the repository was renamed.
    Moved(String),
    /// 400 with a message and, if any, `fields`.
    Bad { message: String, fields: Option<Value> },
    /// 409.
    Conflict(String),
    /// 429; as text or JSON.
    RateLimited { text: bool, retry_after: Option<u32> },
    /// An outage that was asked for; as HTML or JSON.
    Outage { status: u16, html: bool },
}

impl Problem {
    /// 400 about one field.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let fields = Some(json!({ field: [&message] }));
        Self::Bad { message: format!("{field}: {message}"), fields }
    }

    /// 400 with a message alone.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::Bad { message: message.into(), fields: None }
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Moved(_) => 301,
            Self::Bad { .. } => 400,
            Self::Unauthorized => 401,
            Self::Scopes { .. } | Self::Forbidden(_) => 403,
            Self::NotFound(_) | Self::NotFoundText | Self::NoSuchApi => 404,
            Self::Conflict(_) => 409,
            Self::Gone(_) => 410,
            Self::RateLimited { .. } => 429,
            Self::Outage { status, .. } => *status,
        }
    }

    /// The body as JSON, or as bare text with its content type.
    pub(crate) fn body(&self) -> Result<Value, (&'static str, String)> {
        let envelope = |error: Value| Ok(json!({"type": "error", "error": error}));
        match self {
            Self::Unauthorized => {
                envelope(json!({"message": "Token is invalid, expired, or not supported for this endpoint."}))
            }
            Self::Scopes { required, granted } => envelope(json!({
                "message": "Your credentials lack one or more required privilege scopes.",
                "detail": {"required": required, "granted": granted},
            })),
            Self::Forbidden(message) | Self::NotFound(message) | Self::Conflict(message) => {
                envelope(json!({ "message": message }))
            }
            Self::NotFoundText => Err(("text/plain", "Not Found".to_owned())),
            Self::NoSuchApi => envelope(
                json!({"message": "Resource not found", "detail": "There is no API hosted at this URL"}),
            ),
            Self::Gone(change) => {
                let url = format!("https://developer.atlassian.com/cloud/bitbucket/changelog#{change}");
                let data = json!({ "announcement_url": url });
                Ok(json!({
                    "type": "error",
                    "error": {
                        "message": format!("{change} - Functionality has been deprecated"),
                        "detail": "Please read the changelog entry for more details.",
                        "data": data,
                    },
                    "data": data,
                }))
            }
            Self::Moved(_) => Err(("text/html; charset=utf-8", String::new())),
            Self::Bad { message, fields: None } => envelope(json!({ "message": message })),
            Self::Bad { message, fields: Some(fields) } => {
                envelope(json!({"message": message, "fields": fields}))
            }
            Self::RateLimited { text: true, .. } => Err(("text/plain", LIMITED.to_owned())),
            Self::RateLimited { .. } => envelope(json!({ "message": LIMITED })),
            Self::Outage { html: true, status } => {
                Err(("text/html; charset=utf-8", crate::pages::outage(*status).into_string()))
            }
            Self::Outage { .. } => envelope(json!({"message": "Something went wrong"})),
        }
    }
}

const LIMITED: &str = "Rate limit for this resource has been exceeded";
