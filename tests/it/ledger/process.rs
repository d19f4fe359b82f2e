//! One process of webhook-ingest as Lambda runs it, and the way between it and AWS, on which a test puts
//! obstacles.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bucketwheel_local::{KEY, REGION};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;

use crate::world::World;

/// What happens to a request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The service says that it is unavailable.
    Down,
    /// The service does it long after the caller has given up.
    Slow,
    /// The service does it and the answer is lost.
    Lost,
    /// The process is killed, and the request never leaves.
    KilledBefore,
    /// The service does it, and the process is killed.
    KilledAfter,
}

/// The obstacles that stand now.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The service, as `X-Amz-Target` begins: `AmazonSQS`, `DynamoDB`, `secretsmanager`.
    obstacles: Mutex<Vec<(&'static str, Obstacle)>>,
    kill: Notify,
}

impl Way {
    pub(super) fn set(&self, obstacles: &[(&'static str, Obstacle)]) {
        *self.obstacles.lock().unwrap_or_else(PoisonError::into_inner) = obstacles.to_vec();
    }

    fn obstacle(&self, headers: &HeaderMap) -> Option<Obstacle> {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let obstacles = self.obstacles.lock().unwrap_or_else(PoisonError::into_inner);
        obstacles.iter().find(|(service, _)| target.starts_with(service)).map(|(_, obstacle)| *obstacle)
    }
}

#[derive(Clone)]
struct Proxy {
    way: Arc<Way>,
    http: reqwest::Client,
    upstream: String,
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let unavailable = || (StatusCode::SERVICE_UNAVAILABLE, "obstacle").into_response();
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { return unavailable() };
    let obstacle = proxy.way.obstacle(&parts.headers);
    let forward = async move {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let request = proxy.http.request(parts.method, format!("{}{path}", proxy.upstream));
        let answer = request.headers(parts.headers).body(body).send().await.ok()?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Some((status, headers, answer.bytes().await.ok()?))
    };
    let way = proxy.way.clone();
    match obstacle {
        Some(Obstacle::Down) => return unavailable(),
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
        Some(Obstacle::KilledBefore) => {
            way.kill.notify_one();
            return std::future::pending().await;
        }
        Some(Obstacle::KilledAfter) => {
            forward.await;
            way.kill.notify_one();
            return std::future::pending().await;
        }
        None => {}
    }
    let Some((status, headers, body)) = forward.await else { return unavailable() };
    let mut answer = (status, body).into_response();
    for name in ["content-type", "x-amz-crc32", "x-amzn-errortype", "x-amzn-query-error"] {
        if let Some(value) = headers.get(name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

type Invocation = (String, oneshot::Sender<Value>);

#[derive(Clone)]
struct Runtime {
    next: Arc<tokio::sync::Mutex<mpsc::Receiver<Invocation>>>,
    running: Arc<Mutex<Option<oneshot::Sender<Value>>>>,
}

async fn next(State(runtime): State<Runtime>) -> Response {
    let Some((event, done)) = runtime.next.lock().await.recv().await else {
        return std::future::pending().await;
    };
    *runtime.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    let headers = [
        ("lambda-runtime-aws-request-id", "1"),
        ("lambda-runtime-deadline-ms", "4000000000000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:ingest"),
    ];
    (headers, event).into_response()
}

async fn done(State(runtime): State<Runtime>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    if let Some(done) = runtime.running.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = done.send(serde_json::from_slice(&body).unwrap_or_default());
    }
    StatusCode::ACCEPTED
}

/// One process.
pub(super) struct Process {
    child: Child,
    way: Arc<Way>,
    invocations: mpsc::Sender<Invocation>,
}

impl Process {
    /// Starts a cold one whose way to AWS is `way`.
    pub(super) async fn start(world: &World, way: &Arc<Way>) -> Self {
        let local = world.local();
        let upstream = local.aws_endpoint.clone();
        let proxy = Proxy { way: way.clone(), http: world.http.clone(), upstream };
        let aws = serve(Router::new().fallback(any(pass)).with_state(proxy)).await;
        let (invocations, next_ones) = mpsc::channel(1);
        let runtime = Runtime { next: Arc::new(next_ones.into()), running: Arc::default() };
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(done))
            .with_state(runtime);
        let api = serve(routes).await;
        let child = Command::new(binary())
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "ingest"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_REGION", REGION),
                ("AWS_ACCESS_KEY_ID", KEY),
                ("AWS_SECRET_ACCESS_KEY", KEY),
                ("AWS_ENDPOINT_URL", &format!("http://{aws}")),
                ("BUCKETWHEEL_LOG", "error"),
                ("BUCKETWHEEL_TABLE", &local.outputs.table_name),
                ("BUCKETWHEEL_EVENTS_QUEUE", &local.outputs.events_queue_url),
                ("BUCKETWHEEL_HOOK_KEYRING", &local.outputs.hook_keyring),
                ("BUCKETWHEEL_DETECT_MISSED", "off"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the function starts");
        Self { child, way: way.clone(), invocations }
    }

    /// The answer's status; none if the process was killed, which API Gateway answers with 500.
    pub(super) async fn request(&mut self, event: String) -> Option<u64> {
        let (send, receive) = oneshot::channel();
        self.invocations.send((event, send)).await.expect("it takes one at a time");
        tokio::select! {
            answer = receive => answer.expect("an answer")["statusCode"].as_u64(),
            () = self.way.kill.notified() => {
                self.child.start_kill().expect("SIGKILL");
                self.child.wait().await.expect("it ends");
                None
            }
        }
    }
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// The binary that the running system uses too.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    test.ancestors().nth(2).expect("target/debug").join("webhook-ingest")
}
