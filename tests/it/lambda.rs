//! The real worker binary in a Lambda of the test's own, where everything that goes over the wire can
//! fail: each request that the worker sends, to AWS or to Bitbucket, is a step, and at a chosen step the
//! worker is killed (SIGKILL) or an answer is lost.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use bucketwheel::aws::Host;
use bucketwheel::ports::Edge as _;
use bucketwheel_local::{KEY, REGION};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::world::World;

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The worker is killed before the request takes effect.
    KilledBefore,
    /// The worker is killed after the request took effect.
    KilledAfter,
    /// The connection breaks before the request takes effect.
    LostBefore,
    /// The request takes effect, and the connection breaks before the answer.
    LostAfter,
    /// The request takes effect, and Bitbucket says that it took too long.
    TookTooLong,
}

pub(crate) const FAULTS: [Fault; 5] =
    [Fault::KilledBefore, Fault::KilledAfter, Fault::LostBefore, Fault::LostAfter, Fault::TookTooLong];

/// What one invocation came to.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The requests that the worker sent, in order: an action of AWS, or a method and path of Bitbucket.
    pub(crate) steps: Vec<String>,
    /// The mutations among them that took effect at Bitbucket.
    pub(crate) sent: usize,
    /// What the worker answered; none if it died.
    pub(crate) answer: Option<Value>,
}

impl Visit {
    /// Whether the message is done with.
    pub(crate) fn acknowledged(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer["batchItemFailures"] == json!([]))
    }
}

struct Surroundings {
    http: reqwest::Client,
    aws: String,
    bitbucket: String,
    event: Mutex<Option<(String, i64)>>,
    fault: Option<(usize, Fault)>,
    seen: Mutex<(Vec<String>, usize)>,
    ended: mpsc::UnboundedSender<Option<Value>>,
}

/// Runs the worker over one message, for `life` at most, with a fault at a step (from 0 on).
pub(crate) async fn visit(
    world: &World,
    message: &str,
    receives: u32,
    life: Duration,
    fault: Option<(usize, Fault)>,
) -> Visit {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let event = json!({"Records": [{
        "messageId": "m", "receiptHandle": "r", "body": message,
        "attributes": {"ApproximateReceiveCount": receives.to_string()},
        "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": REGION,
    }]});
    let deadline = Host.now() + life;
    let (ended, mut end) = mpsc::unbounded_channel();
    let host = Arc::new(Surroundings {
        http: world.http.clone(),
        aws: world.local().aws_endpoint.clone(),
        bitbucket: world.local().sandbox_url.clone().expect("a sandbox"),
        event: Mutex::new(Some((event.to_string(), deadline.as_millisecond()))),
        fault,
        seen: Mutex::default(),
        ended,
    });
    let router = axum::Router::new().fallback(serve).with_state(host.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut worker = start(world, &format!("http://{address}"));
    let answer = tokio::time::timeout(Duration::from_secs(60), end.recv()).await.expect("it ends").flatten();
    worker.kill().await.expect("SIGKILL");
    server.abort();
    let (steps, sent) = std::mem::take(&mut *host.seen.lock().expect("unpoisoned"));
    Visit { steps, sent, answer }
}

fn start(world: &World, here: &str) -> tokio::process::Child {
    // Tests lie in target/{profile}/deps, what they test beside that folder.
    let tests = std::env::current_exe().expect("this binary");
    let binary = tests.ancestors().nth(2).expect("the profile's folder").join("api-worker");
    let outputs = &world.local().outputs;
    Command::new(binary)
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", here.trim_start_matches("http://")),
            ("AWS_LAMBDA_FUNCTION_NAME", "api-worker"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", KEY),
            ("AWS_ENDPOINT_URL", here),
            ("BUCKETWHEEL_TABLE", &outputs.table_name),
            ("BUCKETWHEEL_CALLS_QUEUE", &outputs.calls_queue_url),
            ("BUCKETWHEEL_CALLS_DLQ", &outputs.calls_queue_url),
            ("BUCKETWHEEL_RESULTS_QUEUE", &outputs.results_queue_url),
            ("BUCKETWHEEL_REFRESH_QUEUE", &outputs.refresh_queue_url),
            ("BUCKETWHEEL_ACCESS_KEYRING", &outputs.access_keyring),
            ("BUCKETWHEEL_HOOK_KEYRING", &outputs.access_keyring),
            ("BUCKETWHEEL_PUBLIC_URL", &world.local().public_url),
            ("BUCKETWHEEL_BITBUCKET_API_URL", here),
            ("BUCKETWHEEL_CALLS_PER_HOUR", "1000000"),
            ("BUCKETWHEEL_REPOSITORY_LIST_HOURS", "0"),
            ("BUCKETWHEEL_HOOK_SECRET_DAYS", "0"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the worker starts")
}

/// The Runtime API, and everything that the worker believes to be AWS or Bitbucket.
async fn serve(
    State(host): State<Arc<Surroundings>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path();
    if path.ends_with("/invocation/next") {
        let event = host.event.lock().expect("unpoisoned").take();
        let Some((event, deadline)) = event else { return std::future::pending().await };
        return Response::builder()
            .header("lambda-runtime-aws-request-id", "1")
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:x:0:function:api-worker")
            .body(event.into())
            .expect("an event");
    }
    if path.starts_with("/2018-06-01/runtime/") {
        let answer = path.ends_with("/response").then(|| serde_json::from_slice(&body).unwrap_or_default());
        host.ended.send(answer).expect("somebody waits");
        return Response::builder().status(StatusCode::ACCEPTED).body("{}".into()).expect("an answer");
    }
    host.step(method, &uri, headers, body).await
}

impl Surroundings {
    async fn step(&self, method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
        let at_bitbucket = uri.path().starts_with("/2.0/");
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let name = target.map_or_else(|| format!("{method} {}", uri.path()), str::to_owned);
        let number = {
            let mut seen = self.seen.lock().expect("unpoisoned");
            seen.0.push(name);
            seen.0.len() - 1
        };
        let fault = self.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        match fault {
            Some(Fault::KilledBefore) => return self.killed().await,
            Some(Fault::LostBefore) => return lost(),
            _ => {}
        }
        let mutates = at_bitbucket && method != Method::GET;
        let base = if at_bitbucket { &self.bitbucket } else { &self.aws };
        // The signature of a request to AWS covers the header Host, so all headers stay.
        let sent = self.http.request(method, format!("{base}{uri}")).headers(headers).body(body).send().await;
        let answer = sent.expect("an answer");
        if mutates && answer.status().is_success() {
            self.seen.lock().expect("unpoisoned").1 += 1;
        }
        match fault {
            Some(Fault::KilledAfter) => return self.killed().await,
            Some(Fault::LostAfter) => return lost(),
            Some(Fault::TookTooLong) if at_bitbucket => {
                return Response::builder().status(555).body("<html>too long</html>".into()).expect("one");
            }
            _ => {}
        }
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if name != "transfer-encoding" {
                response = response.header(name, value);
            }
        }
        response.body(answer.bytes().await.expect("a body").into()).expect("a response")
    }

    async fn killed(&self) -> Response<Body> {
        self.ended.send(None).expect("somebody waits");
        std::future::pending().await
    }
}

/// An answer that breaks off.
fn lost() -> Response<Body> {
    let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("broken"))]);
    Response::builder().header("content-length", "10").body(Body::from_stream(broken)).expect("a response")
}
