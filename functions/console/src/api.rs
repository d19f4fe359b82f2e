//! The JSON API: what automations and the command line use. `openapi.json` describes it.

pub(crate) mod budget;
pub(crate) mod calls;
pub(crate) mod connect_links;
pub(crate) mod credentials;
pub(crate) mod gitops;
pub(crate) mod health;
pub(crate) mod hooks;
pub(crate) mod kinds;
pub(crate) mod queues;
pub(crate) mod repositories;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

/// The description of the API (OpenAPI 3.1).
pub(crate) async fn description() -> Response {
    ([(CONTENT_TYPE, "application/json")], include_str!("assets/openapi.json")).into_response()
}
