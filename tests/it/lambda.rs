//! A function's real binary in a Lambda of the test's own, where everything that goes over the wire can
//! fail: each request that the function sends, to AWS or to Bitbucket, is a step, and at a chosen step or
//! time the function is killed (SIGKILL), or an answer is lost.

mod fault;

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
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::mpsc;

pub(crate) use fault::{FAULTS, Fault, Trouble, no_trouble};

use self::fault::trouble_at;
use crate::world::World;

/// What to run, and what happens to it.
pub(crate) struct Invocation<'a> {
    pub(crate) function: &'a str,
    pub(crate) event: Value,
    /// How much time the function is told that it has.
    pub(crate) life: Duration,
    pub(crate) trouble: Trouble,
    /// It is killed so long after it got the event, wherever it is then.
    pub(crate) killed_after: Option<Duration>,
}

/// What one invocation came to.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The requests that the function sent, in order: an action of AWS, or a method and path of Bitbucket.
    pub(crate) steps: Vec<String>,
    /// The mutations among them that took effect at Bitbucket.
    pub(crate) sent: usize,
    /// What the function answered; none if it died.
    pub(crate) answer: Option<Value>,
    /// What it sent to queues.
    pub(crate) messages: Vec<String>,
    /// What the function logged.
    pub(crate) log: String,
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
    trouble: Trouble,
    killed_after: Option<Duration>,
    seen: Mutex<(Vec<String>, usize)>,
    messages: Mutex<Vec<String>>,
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
    let event = record(message, receives);
    let trouble = fault.map_or_else(no_trouble, |(step, fault)| trouble_at(step, fault));
    invoke(world, Invocation { function: "api-worker", event, life, trouble, killed_after: None }).await
}

/// An event with one message of a queue.
pub(crate) fn record(message: &str, receives: u32) -> Value {
    json!({"Records": [{
        "messageId": "m", "receiptHandle": "r", "body": message,
        "attributes": {"ApproximateReceiveCount": receives.to_string()},
        "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": REGION,
    }]})
}

/// Runs a new process of a function over one event.
pub(crate) async fn invoke(world: &World, what: Invocation<'_>) -> Visit {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let deadline = Host.now() + what.life;
    let (ended, mut end) = mpsc::unbounded_channel();
    let host = Arc::new(Surroundings {
        http: world.http.clone(),
        aws: world.local().aws_endpoint.clone(),
        bitbucket: world.local().sandbox_url.clone().expect("a sandbox"),
        event: Mutex::new(Some((what.event.to_string(), deadline.as_millisecond()))),
        trouble: what.trouble,
        killed_after: what.killed_after,
        seen: Mutex::default(),
        messages: Mutex::default(),
        ended,
    });
    let router = axum::Router::new().fallback(serve).with_state(host.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let here = format!("http://{address}");
    let lives = async {
        loop {
            let (answer, log) = live(world, what.function, &here, &mut end).await;
            // As Lambda does, it is started again if it ends by itself before it asked for work.
            if answer.is_some() || host.event.lock().expect("unpoisoned").is_none() {
                return (answer.flatten(), log);
            }
        }
    };
    let patience = what.life + Duration::from_secs(60);
    let (answer, log) = tokio::time::timeout(patience, lives).await.expect("it ends");
    server.abort();
    let (steps, sent) = std::mem::take(&mut *host.seen.lock().expect("unpoisoned"));
    let messages = std::mem::take(&mut *host.messages.lock().expect("unpoisoned"));
    Visit { steps, sent, answer, messages, log }
}

/// One process of a function, until it answers or is killed, and its log. No answer: it ended by itself.
async fn live(
    world: &World,
    function: &str,
    here: &str,
    end: &mut mpsc::UnboundedReceiver<Option<Value>>,
) -> (Option<Option<Value>>, String) {
    let mut program = program(world, function, here.trim_start_matches("http://"), here).await;
    let mut process = program.stdout(Stdio::piped()).spawn().expect("the function starts");
    let mut stdout = process.stdout.take().expect("its log");
    let log = tokio::spawn(async move {
        let mut log = Vec::new();
        let _ = stdout.read_to_end(&mut log).await;
        String::from_utf8_lossy(&log).into_owned()
    });
    let answer = tokio::select! {
        answer = end.recv() => answer,
        _ = process.wait() => None,
    };
    process.kill().await.expect("SIGKILL");
    (answer, log.await.expect("its log"))
}

/// A function with the environment that the template gives it, but for where things are: the Runtime API, and
/// AWS and Bitbucket.
pub(crate) async fn program(world: &World, function: &str, runtime: &str, outside: &str) -> Command {
    // Tests lie in target/{profile}/deps, what they test beside that folder.
    let tests = std::env::current_exe().expect("this binary");
    let binary = tests.ancestors().nth(2).expect("the profile's folder").join(function);
    let mut program = Command::new(binary);
    program
        .env_clear()
        .envs(world.local().environment(function).await.expect("the function is deployed"))
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", runtime),
            ("AWS_LAMBDA_FUNCTION_NAME", function),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", KEY),
            ("AWS_ENDPOINT_URL", outside),
            ("BUCKETWHEEL_BITBUCKET_URL", outside),
            ("BUCKETWHEEL_BITBUCKET_API_URL", outside),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    program
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
        if let Some(after) = host.killed_after {
            let ended = host.ended.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let _ = ended.send(None);
            });
        }
        return Response::builder()
            .header("lambda-runtime-aws-request-id", "1")
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:x:0:function:tested")
            .body(event.into())
            .expect("an event");
    }
    if path.starts_with("/2018-06-01/runtime/") {
        let answer = path.ends_with("/response").then(|| serde_json::from_slice(&body).unwrap_or_default());
        let _ = host.ended.send(answer);
        return Response::builder().status(StatusCode::ACCEPTED).body("{}".into()).expect("an answer");
    }
    host.step(method, &uri, headers, body).await
}

impl Surroundings {
    async fn step(&self, method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
        let at_bitbucket = ["/2.0/", "/site/"].iter().any(|place| uri.path().starts_with(place));
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let name = target.map_or_else(|| format!("{method} {}", uri.path()), str::to_owned);
        let fault = {
            let mut seen = self.seen.lock().expect("unpoisoned");
            seen.0.push(name);
            (self.trouble)(&seen.0)
        };
        match fault {
            Some(Fault::KilledBefore) => return self.killed().await,
            Some(Fault::LostBefore) => return lost(),
            _ => {}
        }
        if target == Some("AmazonSQS.SendMessage") {
            let request: Value = serde_json::from_slice(&body).expect("a request");
            self.messages.lock().expect("unpoisoned").push(crate::world::text(&request["MessageBody"]));
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
            Some(Fault::Answered(encoding, body)) if at_bitbucket => {
                let response = Response::builder().header("content-type", "application/json");
                return response.header("content-encoding", encoding).body(body.into()).expect("one");
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
        let _ = self.ended.send(None);
        std::future::pending().await
    }
}

/// An answer that breaks off.
fn lost() -> Response<Body> {
    let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("broken"))]);
    Response::builder().header("content-length", "10").body(Body::from_stream(broken)).expect("a response")
}
