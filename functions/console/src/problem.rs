//! Everything that goes wrong, and the headers that every answer carries.
//!
//! A handler returns an [`ErrorAnswer`] and does not care who reads it: [`dress`] writes JSON for `/api`
//! and a page for everything else. What is our own fault is logged here, once, and told in dull words.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bucketwheel::call::Problem;
use bucketwheel::error::Causes;
use bucketwheel::ports::{QueueError, TableError};
use bucketwheel::web::ON_EVERY_ANSWER;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::pages;

/// A part of the console: it decides who may enter and how errors look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// The login and what it needs to be seen.
    Open,
    /// JSON, for programs.
    Api,
    /// Everything else, for people.
    Pages,
}

impl Area {
    /// The area of a path.
    pub(crate) fn of(path: &str) -> Self {
        if path == "/login" || path.starts_with("/assets/") {
            Area::Open
        } else if path == "/api" || path.starts_with("/api/") {
            Area::Api
        } else {
            Area::Pages
        }
    }
}

/// An answer that says what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorAnswer {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// What is said.
    pub(crate) problem: Problem,
}

impl ErrorAnswer {
    fn new(status: StatusCode, code: &str, cause: impl Into<String>, resolution: impl Into<String>) -> Self {
        Self { status, problem: Problem::new(code, cause, resolution) }
    }

    /// The request itself is wrong.
    pub(crate) fn bad_request(code: &str, cause: impl Into<String>, resolution: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, cause, resolution)
    }

    /// There is no such credential, call or the like.
    pub(crate) fn not_found(code: &str, cause: &str, resolution: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, cause, resolution)
    }

    /// There is no such credential.
    pub(crate) fn no_such_credential() -> Self {
        Self::not_found(
            "no_such_credential",
            "There is no credential of this id.",
            "Look up its id in the list of credentials.",
        )
    }

    /// What is asked for does not fit the state of things.
    pub(crate) fn conflict(code: &str, cause: impl Into<String>, resolution: &str) -> Self {
        Self::new(StatusCode::CONFLICT, code, cause, resolution)
    }

    /// The path leads nowhere.
    pub(crate) fn no_such_page() -> Self {
        Self::not_found("no_such_page", "There is nothing at this address.", "Check the address.")
    }

    /// The path does not take this method.
    pub(crate) fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "wrong_method",
            "This address does not take this method.",
            "Use one of the methods in the header Allow.",
        )
    }

    /// The body is longer than is read.
    pub(crate) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("The body is longer than {} KiB.", crate::LONGEST_BODY / 1024),
            "Send less at once.",
        )
    }

    /// Nobody we know.
    pub(crate) fn not_signed_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "not_signed_in",
            "The operator token is missing or wrong, or the session has expired.",
            "Send the header Authorization: Bearer with the operator token, or sign in again.",
        )
    }

    /// A page of another site sent the browser here.
    pub(crate) fn elsewhere(home: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "The request was not sent by a page of this console.",
            format!("Open the console at {home} and try again."),
        )
    }
}

impl From<TableError> for ErrorAnswer {
    fn from(error: TableError) -> Self {
        if let TableError::Refused = error {
            return Self::conflict(
                "changed_meanwhile",
                "Somebody changed this at the same time.",
                "Look at it again, then decide again.",
            );
        }
        tracing::error!(error = %Causes(&error), "the table did not do it");
        if error.is_transient() {
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "try_again",
                "The table is not available right now.",
                "Wait a moment and try again.",
            );
        }
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something is wrong on our side.",
            "Look into the logs of the function console.",
        )
    }
}

impl From<QueueError> for ErrorAnswer {
    fn from(error: QueueError) -> Self {
        tracing::error!(error = %Causes(&error), "the queue did not take it");
        match error {
            QueueError::Unavailable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "try_again",
                "The queue is not available right now, and may or may not have taken the message.",
                "Wait a moment and try again with the same id.",
            ),
            QueueError::Rejected(_) => Self::bad_request(
                "message_refused",
                "The queue does not take this message.",
                "Check it for control characters and its length.",
            ),
        }
    }
}

impl IntoResponse for ErrorAnswer {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes out what went wrong, and puts the security headers on.
pub(crate) async fn dress(request: Request, next: Next) -> Response {
    let area = Area::of(request.uri().path());
    let mut response = next.run(request).await;
    if let Some(answer) = response.extensions_mut().remove::<ErrorAnswer>() {
        let (kind, text) = match area {
            Area::Api => ("application/json", json!({ "error": answer.problem }).to_string()),
            Area::Open | Area::Pages => {
                ("text/html; charset=utf-8", pages::error(&answer.problem).into_string())
            }
        };
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *response.body_mut() = Body::from(text);
    }
    let headers = response.headers_mut();
    headers.extend(ON_EVERY_ANSWER);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
