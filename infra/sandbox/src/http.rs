//! The edge: connections, the clock, randomness, and HTTP's view of the API.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest, Multipart, Request as HttpRequest, State, multipart::Field},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::{net::TcpListener, task::JoinSet};
use tower::ServiceExt;

use crate::{
    Sandbox, admin,
    api::{self, Content, Part, Reply, Request},
    behaviour::{Lost, Lure, LureBy, take_failure, take_lost},
    caller,
    errors::Problem,
    git::Mode,
    journal::Line,
    pages, random, site,
    world::World,
};

/// The largest body that is read.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// Marks an answer that must not be sent.
#[derive(Debug, Clone, Copy)]
struct LostOnTheWay;

/// An answer that closes the connection instead of being sent.
pub(crate) fn lost() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(LostOnTheWay);
    response
}

/// Serves connections until the task is aborted; with it all connections end.
pub(crate) async fn serve(listener: TcpListener, sandbox: Sandbox) {
    let router = router(sandbox);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let _unset = stream.set_nodelay(true);
                connections.spawn(connection(stream, router.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, router: Router) {
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let answer: Result<Response, Infallible> = router.oneshot(request.map(Body::new)).await;
            let Ok(answer) = answer;
            // An error of the service makes hyper close the connection without a word.
            match answer.extensions().get::<LostOnTheWay>() {
                Some(_) => Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)),
                None => Ok(answer),
            }
        }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn router(sandbox: Sandbox) -> Router {
    let not_found = || async {
        let page = pages::error("That link has no power here", "There is no such page in the sandbox.");
        (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string())
    };
    Router::new()
        .merge(site::routes())
        .merge(admin::routes())
        .route("/2.0", any(rest))
        .route("/2.0/", any(rest))
        .route("/2.0/{*path}", any(rest))
        .fallback(not_found)
        .layer(axum::extract::DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(sandbox)
}

/// A request to the API.
async fn rest(State(sandbox): State<Sandbox>, request: HttpRequest) -> Response {
    let request = match read(request).await {
        Ok(request) => request,
        Err(problem) => return problem,
    };
    let Ok(seed) = random::seed() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let delay = sandbox.world().behaviour.slow_ms.api;
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut world = sandbox.world();
    let now = world.clock.now();
    let caller = caller::identify(&world, &request.headers, now);
    let mut line = Line {
        when: now,
        method: request.method.clone(),
        path: request.path.clone(),
        query: shown_query(&request),
        status: 0,
        who: caller.as_ref().ok().and_then(|caller| Some(caller.as_ref()?.who(&world))),
        lost: false,
    };
    let losing = take_lost(&mut world.behaviour.lose_api_answer, &request.method, &request.path);
    line.lost = losing.is_some();
    if losing == Some(Lost::BeforeCommit) {
        world.journal.note(line);
        return lost();
    }
    let failing = take_failure(&mut world.behaviour.fail_api, &request.method, &request.path);
    let caller = match failing {
        Some((429, text)) => {
            let retry_after = world.behaviour.retry_after_seconds;
            Err(Problem::RateLimited { text, retry_after })
        }
        Some((status, html)) => Err(Problem::Outage { status, html }),
        None => caller,
    };
    let mut reply = api::answer(&mut world, &request, caller, now, &seed);
    if let Some(lure) = world.behaviour.lure.as_ref().filter(|lure| request.path.contains(&lure.path)) {
        mislead(&mut reply, lure);
    }
    line.status = if losing.is_some() { 0 } else { reply.status };
    world.journal.note(line);
    sandbox.flush(&mut world, &seed);
    drop(world);
    if losing.is_some() { lost() } else { sent(reply) }
}

fn mislead(reply: &mut Reply, lure: &Lure) {
    match (lure.by, &mut reply.body) {
        (LureBy::Redirect, _) => {
            *reply =
                Reply { status: 302, body: api::Body::Empty, headers: vec![("location", lure.to.clone())] };
        }
        (LureBy::Next, api::Body::Json(body)) => body["next"] = lure.to.clone().into(),
        (LureBy::Next, _) => {}
    }
}

/// The query without what nobody should send in it.
fn shown_query(request: &Request) -> String {
    let harmless = request.query.iter().filter(|(name, _)| name != "access_token");
    harmless.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

async fn read(request: HttpRequest) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let segments =
        path.strip_prefix("/2.0").unwrap_or(&path).split('/').filter(|segment| !segment.is_empty());
    let segments =
        segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect();
    let query = parts.uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let headers = parts.headers.clone();
    let method = if parts.method == "HEAD" { "GET".to_owned() } else { parts.method.to_string() };
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let content = if kind.starts_with("multipart/form-data") {
        let form = Multipart::from_request(HttpRequest::from_parts(parts, body), &()).await;
        Content::Form(multipart(form.map_err(IntoResponse::into_response)?).await.map_err(unreadable)?)
    } else {
        let bytes =
            to_bytes(body, LARGEST_BODY).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
        if kind.starts_with("application/x-www-form-urlencoded") {
            Content::Form(url::form_urlencoded::parse(&bytes).map(field).collect())
        } else {
            Content::Raw(bytes)
        }
    };
    Ok(Request { method, path, segments, query, headers, content })
}

fn unreadable(error: axum::extract::multipart::MultipartError) -> Response {
    (error.status(), error.body_text()).into_response()
}

fn field<'a>((name, value): (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)) -> Part {
    Part {
        name: name.into_owned(),
        is_file: false,
        mode: Mode::File,
        content: Bytes::from(value.into_owned()),
    }
}

async fn multipart(mut form: Multipart) -> Result<Vec<Part>, axum::extract::multipart::MultipartError> {
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await? {
        let name = field.name().map(str::to_owned).or_else(|| content_id(&field)).unwrap_or_default();
        let (is_file, mode) = (field.file_name().is_some(), attributes(field.headers()));
        parts.push(Part { name, is_file, mode, content: field.bytes().await? });
    }
    Ok(parts)
}

/// Atlassian's example names its files by `Content-ID` alone.
fn content_id(field: &Field<'_>) -> Option<String> {
    field.headers().get("content-id")?.to_str().ok().map(|id| id.trim_matches(['"', '<', '>']).to_owned())
}

/// `x-attributes` in the `Content-Disposition`, with an equals sign or, as documented, a colon.
fn attributes(headers: &HeaderMap) -> Mode {
    let disposition =
        headers.get("content-disposition").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let value = disposition
        .split_once("x-attributes")
        .map_or("", |(_, rest)| rest.trim_start_matches(['=', ':', '"']));
    match value {
        value if value.starts_with("executable") => Mode::Executable,
        value if value.starts_with("link") => Mode::Link,
        _ => Mode::File,
    }
}

fn sent(reply: Reply) -> Response {
    let (kind, bytes) = match reply.body {
        api::Body::Json(json) => (Some("application/json; charset=utf-8"), Bytes::from(json.to_string())),
        api::Body::Bytes(kind, bytes) => (Some(kind), bytes),
        api::Body::Empty => (None, Bytes::new()),
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Authorization, Origin"));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate, max-age=0"),
    );
    if let Some(kind) = kind {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

impl Sandbox {
    /// Sends what waits in the outbox; says how many deliveries that are.
    pub(crate) fn flush(&self, world: &mut World, seed: &random::Seed) -> usize {
        let mut count = 0;
        for event in std::mem::take(&mut world.outbox) {
            for at in world.listeners(&event) {
                let request_id = random::uuid(seed, &format!("delivery {count}"));
                let lost = world.loses(&event);
                self.deliver(world, at, &event, request_id, lost);
                count += 1;
            }
        }
        count
    }
}
