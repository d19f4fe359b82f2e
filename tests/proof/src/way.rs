//! The way between the functions and AWS, on which obstacles can stand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::Failure;
use crate::ledger::Unasked;
use crate::witness::Witness;

/// What happens to a request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The service says that it is unavailable, and does nothing.
    Down,
    /// The service answers that it is throttled, and does nothing.
    Throttled,
    /// The service does it, long after the caller has given up.
    Slow,
    /// The service does it, and the answer is lost.
    Lost,
    /// The request is swallowed, and the caller waits for ever.
    Swallowed,
    /// The service does it, and the caller waits for ever.
    Unanswered,
}

/// An obstacle before one service, as `X-Amz-Target` begins: `AmazonSQS`, `DynamoDB`, `secretsmanager`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// The service.
    pub service: &'static str,
    /// What stands before it.
    pub obstacle: Obstacle,
    /// Of so many requests one meets it; 1 is every request.
    pub one_in: u64,
}

/// The obstacles that stand now, and how many requests met them.
#[derive(Debug, Default)]
pub struct Way {
    inner: Mutex<Inner>,
    waits: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    blocked: Vec<Blocked>,
    requests: u64,
    met: u64,
    witness: Witness,
}

impl Way {
    /// Puts these obstacles there, and takes all others away.
    pub fn set(&self, blocked: &[Blocked]) {
        self.locked().blocked = blocked.to_vec();
    }

    /// How many requests have met an obstacle.
    pub fn met(&self) -> u64 {
        self.locked().met
    }

    /// The deliveries that were sent by a process which was not told what waits.
    pub(crate) fn unasked(&self) -> Vec<Unasked> {
        self.locked().witness.unasked()
    }

    /// Returns when a caller waits for an answer that never comes.
    pub async fn waits(&self) {
        self.waits.notified().await;
    }

    async fn never(&self) -> Response {
        self.waits.notify_one();
        std::future::pending().await
    }

    fn obstacle(&self, headers: &HeaderMap) -> Option<Obstacle> {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let mut inner = self.locked();
        inner.requests += 1;
        let number = inner.requests;
        let stands =
            |blocked: &&Blocked| target.starts_with(blocked.service) && number.is_multiple_of(blocked.one_in);
        let obstacle = inner.blocked.iter().find(stands).map(|blocked| blocked.obstacle);
        inner.met += u64::from(obstacle.is_some());
        obstacle
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Proxy {
    way: Arc<Way>,
    http: reqwest::Client,
    upstream: Arc<Mutex<String>>,
}

/// The beginning of the way: where functions look for AWS. Its end is told once the stand-in runs.
#[derive(Debug)]
pub struct Gate {
    /// Its address.
    pub endpoint: String,
    /// What stands behind it.
    pub way: Arc<Way>,
    upstream: Arc<Mutex<String>>,
}

impl Gate {
    /// Opens a gate on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub async fn open(http: reqwest::Client) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (way, upstream) = (Arc::new(Way::default()), Arc::default());
        let proxy = Proxy { way: Arc::clone(&way), http, upstream: Arc::clone(&upstream) };
        let router = Router::new().fallback(pass).with_state(proxy);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { endpoint, way, upstream })
    }

    /// Says where AWS is.
    pub fn lead_to(&self, upstream: &str) {
        upstream.clone_into(&mut self.upstream.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let unavailable = || (StatusCode::SERVICE_UNAVAILABLE, "obstacle").into_response();
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { return unavailable() };
    let way = proxy.way.clone();
    let question = way.locked().witness.see(parts.uri.path(), &parts.headers, &body, Instant::now());
    let obstacle = way.obstacle(&parts.headers);
    let forward = async move {
        let upstream = proxy.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        // The signature of a request to AWS covers the header Host, so all headers stay.
        let request = proxy.http.request(parts.method, format!("{upstream}{path}"));
        let answer = request.headers(parts.headers).body(body).send().await.ok()?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Some((status, headers, answer.bytes().await.ok()?))
    };
    match obstacle {
        Some(Obstacle::Down) => return unavailable(),
        Some(Obstacle::Throttled) => {
            let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
            return (StatusCode::BAD_REQUEST, [("x-amzn-errortype", "ThrottlingException")], body)
                .into_response();
        }
        Some(Obstacle::Slow) => {
            tokio::spawn(async move {
                sleep(Duration::from_secs(4)).await;
                forward.await
            });
            sleep(Duration::from_secs(20)).await;
            return unavailable();
        }
        Some(Obstacle::Lost) => {
            forward.await;
            return unavailable();
        }
        Some(Obstacle::Swallowed) => return way.never().await,
        Some(Obstacle::Unanswered) => {
            forward.await;
            return way.never().await;
        }
        None => {}
    }
    let Some((status, headers, body)) = forward.await else { return unavailable() };
    if let Some(question) = question.filter(|_| status.is_success()) {
        way.locked().witness.told(question);
    }
    let mut answer = (status, body).into_response();
    for name in ["content-type", "x-amz-crc32", "x-amzn-errortype", "x-amzn-query-error"] {
        if let Some(value) = headers.get(name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}
