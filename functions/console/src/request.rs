//! Reading a request, with an [`ErrorAnswer`] for whatever cannot be read.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::ErrorAnswer;

/// A JSON body, whatever its content type says.
pub(crate) struct Body<B>(pub(crate) B);

impl<S: Send + Sync, B: DeserializeOwned> FromRequest<S> for Body<B> {
    type Rejection = ErrorAnswer;

    async fn from_request(request: Request, state: &S) -> Result<Self, ErrorAnswer> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ErrorAnswer::too_large()
            } else {
                ErrorAnswer::bad_request("body_lost", "The body did not arrive.", "Send it again.")
            }
        })?;
        // Serde would take a list for a record: its fields in their order.
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(unreadable(&serde::de::Error::custom("a list is no object")));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| unreadable(&error))
    }
}

/// The body does not have the form that is asked for.
pub(crate) fn unreadable(error: &serde_json::Error) -> ErrorAnswer {
    ErrorAnswer::bad_request(
        "body_unreadable",
        format!("The body cannot be read: {error}."),
        "Send a JSON object with the documented fields.",
    )
}

/// The form cannot be read.
pub(crate) fn bad_form(rejection: &FormRejection) -> ErrorAnswer {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ErrorAnswer::too_large();
    }
    ErrorAnswer::bad_request(
        "bad_form",
        "The form could not be read.",
        "Go back to its page and send it again.",
    )
}

/// The `{id}` of a path; none if it cannot be the id of anything.
pub(crate) struct Id<I>(pub(crate) Option<I>);

impl<S: Send + Sync, I: FromStr> FromRequestParts<S> for Id<I> {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        Ok(Self(text.and_then(|Path(text)| text.parse().ok())))
    }
}

/// The first value that a query gives to a name.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
