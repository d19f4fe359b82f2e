//! One process of webhook-ingest as Lambda runs it: warm for as long as nobody kills it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use proof::way::{Gate, Way};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};

use crate::lambda::program;
use crate::world::World;

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
    /// Starts a cold one that goes to AWS by this gate.
    pub(super) async fn start(world: &World, gate: &Gate) -> Self {
        let (invocations, next_ones) = mpsc::channel(1);
        let runtime = Runtime { next: Arc::new(next_ones.into()), running: Arc::default() };
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(done))
            .with_state(runtime);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let mut program = program(world, "webhook-ingest", &api, &gate.endpoint).await;
        // The copies of pushes would meet the obstacles in the place of the deliveries.
        program.env_remove("BUCKETWHEEL_GITOPS_QUEUE");
        let child = program.spawn().expect("the function starts");
        Self { child, way: gate.way.clone(), invocations }
    }

    /// The answer's status; none if the process was killed, which API Gateway answers with 500.
    pub(super) async fn request(&mut self, event: String) -> Option<u64> {
        let (send, receive) = oneshot::channel();
        self.invocations.send((event, send)).await.expect("it takes one at a time");
        tokio::select! {
            answer = receive => answer.expect("an answer")["statusCode"].as_u64(),
            () = self.way.waits() => {
                self.child.start_kill().expect("SIGKILL");
                self.child.wait().await.expect("it ends");
                None
            }
        }
    }
}
