//! The sandbox's own controls, in JSON under `/_sandbox`. For tests and people, not a part of
//! Bitbucket.

mod add;
mod events;
mod state;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{Error, Sandbox, oauth::Standing};

const HELP: &str = include_str!("help.txt");

pub(crate) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/_sandbox", get(help))
        .route("/_sandbox/", get(help))
        .route("/_sandbox/behaviour", get(behaviour).patch(change_behaviour))
        .route("/_sandbox/clock", get(clock).post(advance))
        .route("/_sandbox/state", get(state::state))
        .route("/_sandbox/requests", get(requests).delete(forget_requests))
        .route("/_sandbox/refresh-tokens/check", post(check))
        .route("/_sandbox/grants/{id}", delete(revoke))
        .route("/_sandbox/tokens/revoke", post(revoke_token))
        .route("/_sandbox/push", post(events::push))
        .route("/_sandbox/deliver", post(events::deliver))
        .route("/_sandbox/deliveries", get(events::deliveries))
        .route("/_sandbox/deliveries/{request_id}/resend", post(events::resend))
        .route("/_sandbox/users", post(add::user))
        .route("/_sandbox/consumers", post(add::consumer))
        .route("/_sandbox/repositories", post(add::repository))
        .route("/_sandbox/api-tokens", post(add::api_token))
        .route("/_sandbox/access-tokens", post(add::access_token))
}

/// Why a control was not carried out.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Taken(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

type Outcome = Result<Json<Value>, Refused>;

fn bad(text: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, text.into())
}

/// The JSON body, whatever its content type says.
fn parsed<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
}

async fn help() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], HELP).into_response()
}

async fn behaviour(State(sandbox): State<Sandbox>) -> Response {
    Json(sandbox.behaviour()).into_response()
}

async fn change_behaviour(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let patch: Value = match parsed(&body) {
        Ok(patch) => patch,
        Err(refused) => return refused.into_response(),
    };
    let mut world = sandbox.world();
    match world.behaviour.patched(&patch) {
        Ok(changed) => {
            world.behaviour = changed;
            Json(&world.behaviour).into_response()
        }
        Err(error) => bad(error.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: i64,
}

async fn clock(State(sandbox): State<Sandbox>) -> Json<Value> {
    let clock = sandbox.world().clock;
    Json(json!({"now": clock.now().to_string(), "offset_seconds": clock.offset_seconds()}))
}

async fn advance(State(sandbox): State<Sandbox>, body: Bytes) -> Outcome {
    let wish: Advance = parsed(&body)?;
    sandbox.advance_clock(wish.advance_seconds);
    Ok(clock(State(sandbox)).await)
}

async fn requests(State(sandbox): State<Sandbox>) -> Response {
    Json(json!({"values": sandbox.world().journal.lines()})).into_response()
}

async fn forget_requests(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.world().journal.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    refresh_token: String,
}

async fn check(State(sandbox): State<Sandbox>, body: Bytes) -> Outcome {
    let Check { refresh_token } = parsed(&body)?;
    let world = sandbox.world();
    let standing: Standing = world.ledger.standing(&refresh_token, &world.behaviour, world.clock.now());
    Ok(Json(json!({"state": standing, "generation": world.ledger.generation(&refresh_token)})))
}

async fn revoke(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    if sandbox.world().ledger.revoke(&id) {
        return StatusCode::NO_CONTENT.into_response();
    }
    Refused(StatusCode::NOT_FOUND, format!("there is no grant {id}")).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    token: String,
}

async fn revoke_token(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let Revoke { token } = match parsed(&body) {
        Ok(wish) => wish,
        Err(refused) => return refused.into_response(),
    };
    if sandbox.world().revoke_token(&token) {
        return StatusCode::NO_CONTENT.into_response();
    }
    Refused(StatusCode::NOT_FOUND, "there is no such API token or access token".to_owned()).into_response()
}
