//! The example consumers, as they are shipped, at work on real events.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{Response, StatusCode, Uri};
use axum::routing::any;
use bucketwheel_local::{KEY, REGION};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::world::consumers::Poisoned;
use crate::world::{World, until};

/// Where the examples lie.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/examples");

/// The settings that every consumer reads.
fn settings(world: &World, command: &mut Command, events: &str) {
    let outputs = &world.local().outputs;
    command
        .envs([
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", KEY),
            ("AWS_ENDPOINT_URL", &world.local().aws_endpoint),
            ("EVENTS_QUEUE_URL", events),
            ("CALLS_QUEUE_URL", &outputs.calls_queue_url),
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true);
}

/// Runs a program on a queue of its own and sees what it does.
async fn shows_what_it_should(name: &str, program: impl AsyncFnOnce(&World, &str) -> Child) {
    let world = World::running().await;
    let events = world.pushes(name).await;
    let queue = world.poisoned_queue(name, &events).await;
    let running = program(&world, &queue).await;
    let status = async |event: &str| {
        let (_, outcome) = world.operator("GET", &format!("calls/{name}-{}-0", events.id(event)), None).await;
        (outcome["state"] == "succeeded").then_some(())
    };
    // The last of one repository comes after both copies of the first; the other repository is held up by
    // what nobody can read.
    until("the first repository is handled", async || status("second").await).await;
    until("the other one is begun", async || status("before").await).await;
    assert_eq!(
        world.statuses(name, events.commit("first")).await,
        [201],
        "an event that comes twice is handled once"
    );
    assert!(
        world.statuses(name, events.commit("after")).await.is_empty(),
        "what comes after a failure waits"
    );
    drop(running);
}

#[tokio::test]
async fn the_consumer_in_python_keeps_order_and_handles_each_event_once() {
    shows_what_it_should("python", async |world, queue| {
        let mut command = Command::new(python(world));
        settings(world, &mut command, queue);
        command.arg("consumer.py").current_dir(Path::new(EXAMPLES).join("python")).spawn().expect("it starts")
    })
    .await;
}

#[tokio::test]
async fn the_consumer_in_typescript_keeps_order_and_handles_each_event_once() {
    if Command::new("npm").arg("--version").output().await.is_err() {
        let required = std::env::var_os("BUCKETWHEEL_NODE").is_some_and(|value| value == "required");
        assert!(!required, "the TypeScript consumer needs Node.js 20, and npm is not there");
        println!("skipped: the TypeScript consumer needs Node.js 20");
        return;
    }
    shows_what_it_should("typescript", async |world, queue| {
        let mut command = Command::new("node");
        settings(world, &mut command, queue);
        command.arg("dist/consumer.js").current_dir(built().await).spawn().expect("it starts")
    })
    .await;
}

#[tokio::test]
async fn the_consumer_in_rust_keeps_order_and_names_what_must_come_again() {
    let world = World::running().await;
    let events = world.pushes("rust").await;
    let Poisoned { messages, poison } = Poisoned::of(&events);
    let records: Vec<_> = (0..)
        .zip(&messages)
        .map(|(number, (group, body))| {
            json!({
                "messageId": format!("m{number}"), "receiptHandle": "r", "body": body,
                "attributes": {"MessageGroupId": group}, "messageAttributes": {}, "eventSource": "aws:sqs",
            })
        })
        .collect();
    let answer = invoke(&world, json!({ "Records": records })).await;
    let again: Vec<_> = answer["batchItemFailures"].as_array().expect("a list").clone();
    let want = [poison, poison + 1].map(|number| json!({"itemIdentifier": format!("m{number}")}));
    assert_eq!(again, want, "the message that cannot be read, and the one after it");
    until("the calls are made", async || {
        let (_, first) = world.operator("GET", &format!("calls/rust-{}-0", events.id("second")), None).await;
        (first["state"] == "succeeded").then_some(())
    })
    .await;
    assert_eq!(
        world.statuses("rust", events.commit("first")).await,
        [201],
        "an event that comes twice is handled once"
    );
    assert!(
        world.statuses("rust", events.commit("after")).await.is_empty(),
        "what comes after a failure waits"
    );
}

/// The Python that has boto3 for the local system.
fn python(world: &World) -> PathBuf {
    let state = world.local().logs().ancestors().nth(3).expect("the state's folder").to_owned();
    let entries = std::fs::read_dir(&state).expect("the state's folder");
    let homes = entries.map(|entry| entry.expect("an entry").path());
    let python = homes.map(|home| home.join("bin/python")).find(|python| {
        python.exists() && python.ancestors().nth(2).is_some_and(|home| home.join("complete").exists())
    });
    python.expect("the local system's Python")
}

/// The TypeScript consumer, compiled below the target folder.
async fn built() -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bucketwheel/typescript");
    std::fs::create_dir_all(&home).expect("a folder");
    let files = ["package.json", "package-lock.json", "tsconfig.json", "consumer.ts", ".npmrc"];
    let fresh = files.iter().all(|name| {
        std::fs::read(home.join(name)).ok()
            == std::fs::read(Path::new(EXAMPLES).join("typescript").join(name)).ok()
    });
    if !(fresh && home.join("dist/consumer.js").exists()) {
        let _ = std::fs::remove_dir_all(home.join("dist"));
        for name in files {
            std::fs::copy(Path::new(EXAMPLES).join("typescript").join(name), home.join(name))
                .expect("copied");
        }
        for arguments in [&["ci", "--no-audit", "--no-fund"][..], &["run", "build"]] {
            let run =
                Command::new("npm").args(arguments).current_dir(&home).stdin(Stdio::null()).output().await;
            let output = run.expect("npm runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
        }
    }
    home
}

/// What the Rust consumer is told and says, over Lambda's Runtime API
/// (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
struct Runtime {
    event: Mutex<Option<String>>,
    answer: Mutex<Option<Value>>,
}

async fn invoke(world: &World, event: Value) -> Value {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let runtime = Arc::new(Runtime { event: Mutex::new(Some(event.to_string())), answer: Mutex::default() });
    let router = axum::Router::new().fallback(any(serve)).with_state(Arc::clone(&runtime));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    // Tests lie in target/{profile}/deps, what they test beside that folder.
    let tests = std::env::current_exe().expect("this binary");
    let mut command = Command::new(tests.ancestors().nth(2).expect("a folder").join("example-consumer"));
    settings(world, &mut command, "");
    command.envs([
        ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", "example-consumer"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ]);
    let running = command.spawn().expect("it starts");
    let answer = until("it answers", async || runtime.answer.lock().expect("unpoisoned").take()).await;
    drop(running);
    server.abort();
    answer
}

async fn serve(State(runtime): State<Arc<Runtime>>, uri: Uri, body: String) -> Response<String> {
    if uri.path().ends_with("/invocation/next") {
        let event = runtime.event.lock().expect("unpoisoned").take();
        let Some(event) = event else { return std::future::pending().await };
        return Response::builder()
            .header("lambda-runtime-aws-request-id", "1")
            .header("lambda-runtime-deadline-ms", "9999999999999")
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:x:0:function:example-consumer")
            .body(event)
            .expect("an event");
    }
    let answer = serde_json::from_str(&body).unwrap_or_default();
    *runtime.answer.lock().expect("unpoisoned") = Some(answer);
    Response::builder().status(StatusCode::ACCEPTED).body("{}".to_owned()).expect("an answer")
}
