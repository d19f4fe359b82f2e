//! What the functions ask of AWS, written down on its way. So every message of every queue is seen as it was
//! sent, before a function takes it, and every item of the table that is gone in the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;

use super::canaries::Place;
use crate::world::World;

/// The way of the functions to AWS.
pub(super) struct Tap {
    /// Its beginning.
    pub(super) endpoint: String,
    tapped: Tapped,
}

#[derive(Clone)]
struct Tapped {
    http: reqwest::Client,
    aws: String,
    /// Each request, by its `X-Amz-Target` and its body.
    requests: Arc<Mutex<Vec<(String, String)>>>,
}

impl Tap {
    pub(super) async fn open(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let tapped = Tapped {
            http: world.http.clone(),
            aws: world.local().aws_endpoint.clone(),
            requests: Arc::default(),
        };
        let router = Router::new().fallback(pass).with_state(tapped.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, tapped }
    }

    /// All that passed through so far and belongs to a place.
    pub(super) fn seen(&self, queues: &BTreeMap<String, String>) -> Vec<(Place, String)> {
        let requests = self.tapped.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let placed = |(target, body): &(String, String)| Some((place(target, body, queues)?, body.clone()));
        requests.iter().filter_map(placed).collect()
    }
}

/// Where a request puts its body, if it puts it anywhere or the table is asked with it.
pub(super) fn place(target: &str, body: &str, queues: &BTreeMap<String, String>) -> Option<Place> {
    if target.starts_with("DynamoDB") {
        return Some(Place::Table);
    }
    let sends = target.starts_with("AmazonSQS.SendMessage");
    sends.then(|| {
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        let url = request["QueueUrl"].as_str().unwrap_or_default();
        Place::Queue(queues.get(url).map_or(url, String::as_str).to_owned())
    })
}

async fn pass(State(tapped): State<Tapped>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    if let Some(target) = parts.headers.get("x-amz-target") {
        let request = (target.to_str().expect("a text").to_owned(), String::from_utf8_lossy(&body).into());
        tapped.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    // The signature of a request to AWS covers the header Host, so all headers stay.
    let sent = tapped.http.request(parts.method, format!("{}{path}", tapped.aws)).headers(parts.headers);
    let Ok(answer) = sent.body(body).send().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    match answer.bytes().await {
        Ok(body) => (status, headers, body).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
