//! The site's part: the consent page and the token endpoint.

use std::{collections::HashMap, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::Markup;
use serde_json::json;
use url::Url;

use crate::{
    Sandbox,
    behaviour::{Lost, ScopeField, take_failure, take_lost},
    caller::basic,
    http::lost,
    journal::Line,
    oauth::{Ask, Challenge, Issued, Moment, Refusal, Subject},
    pages,
    random::{self, Seed},
    world::World,
};

/// The fields of an authorisation request that the form brings back.
const FIELDS: [&str; 7] = [
    "client_id",
    "response_type",
    "state",
    "redirect_uri",
    "scope",
    "code_challenge",
    "code_challenge_method",
];

const TOKEN_PATH: &str = "/site/oauth2/access_token";

pub(crate) fn routes() -> Router<Sandbox> {
    Router::new().route("/site/oauth2/authorize", get(ask).post(decide)).route(TOKEN_PATH, post(token))
}

type Fields = HashMap<String, String>;

fn fields(text: &[u8]) -> Fields {
    url::form_urlencoded::parse(text).into_owned().collect()
}

/// An HTML answer that loads nothing and tells nobody where it was.
fn page(status: StatusCode, markup: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("content-security-policy"),
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ];
    (status, headers, markup.into_string()).into_response()
}

/// A mistake of the client, which must not be answered with a redirect: title and text.
struct Mistake(&'static str, &'static str);

impl IntoResponse for Mistake {
    fn into_response(self) -> Response {
        page(StatusCode::BAD_REQUEST, pages::error(self.0, self.1))
    }
}

/// The callback of a request, or the page that says why there is none.
fn callback(world: &World, asked: &Fields) -> Result<Url, Mistake> {
    let client = asked.get("client_id").map(String::as_str).unwrap_or_default();
    if !world.ledger.consumers.contains_key(client) {
        return Err(Mistake(
            "Invalid client_id",
            "This integration is misconfigured: the client is not known.",
        ));
    }
    let redirect = asked.get("redirect_uri").map(String::as_str);
    let found = world.ledger.callback(client, redirect, world.behaviour.redirect_match);
    found.and_then(|url| Url::parse(&url).ok()).ok_or(Mistake(
        "Invalid redirect_uri",
        "The redirect_uri does not match the callback URL registered for this client.",
    ))
}

async fn ask(State(sandbox): State<Sandbox>, RawQuery(query): RawQuery) -> Response {
    let asked = fields(query.unwrap_or_default().as_bytes());
    let world = sandbox.world();
    let callback = match callback(&world, &asked) {
        Ok(callback) => callback,
        Err(mistake) => return mistake.into_response(),
    };
    if asked.get("response_type").map(String::as_str) != Some("code") {
        return redirect(callback, &asked, &[("error", "unsupported_response_type")]);
    }
    let Some(consumer) = world.ledger.consumers.get(&asked["client_id"]) else {
        return Mistake("Invalid client_id", "The client is not known.").into_response();
    };
    let kept: Vec<(&str, &str)> =
        FIELDS.iter().filter_map(|name| Some((*name, asked.get(*name)?.as_str()))).collect();
    page(StatusCode::OK, pages::consent(consumer, &world.users, callback.as_str(), &kept))
}

async fn decide(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let asked = fields(&body);
    let Ok(seed) = random::seed() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut world = sandbox.world();
    let callback = match callback(&world, &asked) {
        Ok(callback) => callback,
        Err(mistake) => return mistake.into_response(),
    };
    match asked.get("decision").map(String::as_str) {
        Some("grant") => {}
        Some("deny") => {
            let text = "The user denied access to the application";
            return redirect(callback, &asked, &[("error", "access_denied"), ("error_description", text)]);
        }
        _ => return Mistake("No decision", "Go back and choose to grant or to deny access.").into_response(),
    }
    let user = asked.get("user").filter(|uuid| world.user(uuid).is_some()).cloned();
    let Some(user) = user else {
        return Mistake("Nobody chosen", "Go back and choose who you are.").into_response();
    };
    let code = consented(&mut world, &asked, user, &seed);
    redirect(callback, &asked, &[("code", &code)])
}

fn consented(world: &mut World, asked: &Fields, user: String, seed: &Seed) -> String {
    let challenge = asked.get("code_challenge").map(|value| Challenge {
        value: value.clone(),
        hashed: asked.get("code_challenge_method").is_some_and(|method| method == "S256"),
    });
    let now = world.clock.now();
    let redirect_uri = asked.get("redirect_uri").cloned();
    let moment = Moment { behaviour: &world.behaviour, now, seed };
    world.ledger.consent(&asked["client_id"], Subject::User(user), redirect_uri, challenge, moment)
}

/// Back to the client, with its state unchanged.
fn redirect(mut callback: Url, asked: &Fields, pairs: &[(&str, &str)]) -> Response {
    let state = asked.get("state").map(|state| ("state", state.as_str()));
    callback.query_pairs_mut().extend_pairs(pairs.iter().copied().chain(state));
    let headers =
        [(header::LOCATION, String::from(callback)), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::FOUND, headers).into_response()
}

async fn token(State(sandbox): State<Sandbox>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(seed) = random::seed() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let delay = sandbox.world().behaviour.slow_ms.token;
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let form =
        if kind.starts_with("application/x-www-form-urlencoded") { fields(&body) } else { Fields::new() };
    let mut world = sandbox.world();
    let now = world.clock.now();
    let client = basic(&headers);
    let mut line = Line {
        when: now,
        method: "POST".to_owned(),
        path: TOKEN_PATH.to_owned(),
        query: form.get("grant_type").cloned().unwrap_or_default(),
        status: 0,
        who: client.as_ref().and_then(|(key, _)| Some(world.ledger.consumers.get(key)?.name.clone())),
        lost: false,
    };
    if let Some((status, html)) = take_failure(&mut world.behaviour.fail_token_endpoint, "POST", TOKEN_PATH) {
        line.status = status;
        world.journal.note(line);
        return outage(status, html);
    }
    let losing = take_lost(&mut world.behaviour.lose_answer, "POST", TOKEN_PATH);
    line.lost = losing.is_some();
    if losing == Some(Lost::BeforeCommit) {
        world.journal.note(line);
        return lost();
    }
    let World { ledger, behaviour, .. } = &mut *world;
    let valid = client.filter(|(key, secret)| ledger.client_is_valid(key, secret));
    let outcome = match valid {
        None => Err(Refusal::InvalidClient),
        Some((key, _)) => ledger.answer(&key, &asked_for(&form), Moment { behaviour, now, seed: &seed }),
    };
    let field = behaviour.scope_field;
    line.status = if losing.is_some() {
        0
    } else if outcome.is_ok() {
        200
    } else {
        400
    };
    world.journal.note(line);
    drop(world);
    if losing.is_some() {
        return lost();
    }
    answered(outcome, field, form.get("grant_type"))
}

fn outage(status: u16, html: bool) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    if html {
        return page(status, pages::outage(status.as_u16()));
    }
    (status, Json(json!({"error": "server_error", "error_description": "Something went wrong"})))
        .into_response()
}

fn asked_for(form: &Fields) -> Ask {
    let text = |name: &str| form.get(name).cloned();
    match form.get("grant_type").map(String::as_str) {
        Some("authorization_code") => Ask::Code {
            code: text("code").unwrap_or_default(),
            redirect_uri: text("redirect_uri"),
            verifier: text("code_verifier"),
        },
        Some("refresh_token") => Ask::Refresh(text("refresh_token").unwrap_or_default()),
        Some("client_credentials") => Ask::ClientCredentials,
        other => Ask::Unknown(other.map(str::to_owned)),
    }
}

fn answered(outcome: Result<Issued, Refusal>, field: ScopeField, grant: Option<&String>) -> Response {
    let (status, body) = match outcome {
        Ok(issued) => {
            let mut body = json!({
                "access_token": issued.access_token,
                "expires_in": issued.expires_in,
                "token_type": "bearer",
            });
            let scopes = json!(issued.scopes.join(" "));
            match field {
                ScopeField::Scope => body["scope"] = scopes,
                // Older answers also had the name of the grant, which is not the client's state.
                ScopeField::Scopes => {
                    body["scopes"] = scopes;
                    body["state"] = json!(grant);
                }
            }
            if let Some(token) = issued.refresh_token {
                body["refresh_token"] = json!(token);
            }
            (StatusCode::OK, body)
        }
        Err(refusal) => {
            let (error, description) = refusal.texts();
            (StatusCode::BAD_REQUEST, json!({"error": error, "error_description": description}))
        }
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
