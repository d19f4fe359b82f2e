//! `bucketwheel doctor` before a deployment in which one thing at a time is broken.
//!
//! The deployment is a stub that answers as the real one does. That the real one answers so is shown by
//! `command`, where the doctor looks at a running system.

use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use bucketwheel::aws::Host;
use bucketwheel::credential::{Cause, Credential, Health, Scopes, Sight, Status};
use bucketwheel::ports::Edge as _;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::command::bucketwheel;

/// What is broken: a request, and what is answered instead.
type Broken = Option<(&'static str, u16, Value)>;

/// A deployment that is well but for one thing; gives the profile that leads to it.
async fn deployment(broken: Broken) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = move |request: Request<Body>| {
        let asked = format!("{} {}", request.method(), request.uri().path());
        let known = request.headers().contains_key("authorization");
        let (status, to, body) = match &broken {
            Some((broken, status, body)) if *broken == asked && (known || !asked.contains("/api/")) => {
                (*status, "", body.clone())
            }
            _ => well(request.method(), request.uri().path(), known),
        };
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let status = StatusCode::from_u16(status).expect("a status");
        let response = Response::builder().status(status).header("location", to);
        std::future::ready(response.body(Body::from(text)).expect("an answer"))
    };
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(answer)).await });
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("bucketwheel-doctor-{}-{number}.json", std::process::id()));
    let profile = json!({
        "public_url": url, "bitbucket_url": "https://bitbucket.org", "sandbox_url": url, "region": "eu-central-1",
        "table": "t", "events_queue": "q", "results_queue": "q", "hook_keyring": "k", "access_keyring": "k",
        "refresh_keyring": "k", "app_secret": "k", "operator_secret": "k", "operator_token": "a token",
    });
    std::fs::write(&path, profile.to_string()).expect("written");
    path
}

/// What a deployment answers that is well.
fn well(method: &Method, path: &str, known: bool) -> (u16, &'static str, Value) {
    let now = Host.now();
    let nobody = json!({"error": {"code": "not_signed_in", "cause": "…", "resolution": "…"}});
    match (method.as_str(), path) {
        ("GET", "/login") => (200, "", json!("Sign in")),
        ("GET", "/" | "/credentials") => (303, "/login", json!("")),
        ("GET", "/assets/console.css") => (200, "", json!("")),
        ("GET", "/connect/doctor") => (302, "/credentials?bitbucket_error=link_unusable", json!("")),
        ("GET", "/oauth/callback") => (302, "/credentials?bitbucket_error=state_unusable", json!("")),
        ("POST", "/webhooks/bitbucket-cloud/doctor") => (401, "", json!("")),
        (_, path) if path.starts_with("/api/") && !known => (401, "", nobody),
        ("GET", "/api/health") => (200, "", json!({"now": now, "schedules": [schedule(json!(now))]})),
        ("GET", "/api/queues") => (200, "", json!({"values": [queue(0)]})),
        ("POST", "/api/call") => (
            200,
            "",
            json!({
                "id": "1", "credential": "doctor", "state": "failed", "attempts": 0, "finished_at": now,
                "error": {"code": "no_credential", "cause": "…", "resolution": "…"},
            }),
        ),
        ("GET", "/api/credentials") => (200, "", credential(|_| ())),
        ("GET", "/api/budget") => (200, "", allowance(Value::Null)),
        _ => (404, "", json!({"message": "Not Found"})),
    }
}

fn schedule(last_run: Value) -> Value {
    json!({"name": "sweep", "function": "token-refresh", "last_run": last_run, "late_after_seconds": 600})
}

fn queue(dead: u64) -> Value {
    json!({"name": "calls", "waiting": 0, "hidden": 0, "delayed": 0, "dead": dead, "oldest_dead_sent_at": null})
}

fn allowance(free_at: Value) -> Value {
    json!({"allowances": [{
        "allowance": "calls", "requests_last_hour": 7, "allowed_per_hour": 1000, "closed_until": null,
        "near_limit_until": null, "free_at": free_at,
    }]})
}

/// A credential that is well, but for what the change does to it.
fn credential(change: impl FnOnce(&mut Credential)) -> Value {
    let mut credential = Credential::sample("c-1".parse().expect("an id"), Host.now());
    change(&mut credential);
    json!({ "values": [credential] })
}

fn ill(health: Health) -> Value {
    let since = Host.now();
    credential(|one| one.status = Status { health, cause: Some(Cause::RotationLost), since })
}

async fn doctor(profile: &PathBuf, arguments: &[&str]) -> Output {
    let mut command = bucketwheel();
    command.arg("doctor").args(arguments).arg("--profile").arg(profile);
    // Nobody's AWS credentials are used by accident.
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    command.output().await.expect("the doctor comes")
}

#[tokio::test]
async fn each_thing_that_is_broken_is_explained_with_a_remedy() {
    crate::world::World::running().await;
    let healthy = deployment(None).await;
    let output = doctor(&healthy, &["--json"]).await;
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &seen["healthy"]), (Some(0), &json!(true)), "{seen:#}");

    let now = Host.now();
    let health = |now, last: Value| json!({"now": now, "schedules": [schedule(last)]});
    let an_hour_ago = now - SignedDuration::from_hours(1);
    let lacking = credential(|one| one.wanted = Scopes::parse("webhook"));
    let blind = credential(|one| one.sight = Sight::Unseen);
    let internal =
        json!({"error": {"code": "internal", "cause": "Something is wrong.", "resolution": "See logs."}});
    let old = json!({"error": {"code": "no_such_page", "cause": "…", "resolution": "…"}});
    let refused = json!({"error": {"code": "not_signed_in", "cause": "…", "resolution": "…"}});
    for (broken, wrong, wanted) in [
        (
            ("GET /assets/console.css", 404, json!({"message": "Not Found"})),
            true,
            ["routes", "route is missing"],
        ),
        (("GET /login", 502, json!("")), true, ["routes", "-console"]),
        (("POST /webhooks/bitbucket-cloud/doctor", 500, json!("")), true, ["routes", "-webhook-ingest"]),
        (("GET /oauth/callback", 200, json!("a parking page")), true, ["routes", "Something else answers"]),
        (("GET /login", 401, json!({"message": "Unauthorized"})), true, ["routes", "sign_on_header"]),
        (("GET /api/health", 401, refused), true, ["operator token", "does not accept"]),
        (("GET /api/health", 404, old), true, ["operator token", "older than this command"]),
        (("GET /api/health", 500, internal.clone()), true, ["operator token", "needs its table"]),
        (("GET /api/health", 200, health(an_hour_ago, json!(an_hour_ago))), true, ["clocks", "differ by 3"]),
        (("GET /api/health", 200, health(now, json!(an_hour_ago))), true, ["schedules", "60 minutes ago"]),
        (("GET /api/health", 200, health(now, Value::Null)), false, ["schedules", "not run yet"]),
        (
            ("GET /api/queues", 200, json!({"values": [queue(3)]})),
            true,
            ["dead letters", "dlq redrive calls"],
        ),
        (("GET /api/queues", 500, internal.clone()), true, ["dead letters", "AccessDenied"]),
        (("POST /api/call", 500, internal), true, ["calls", "could not be submitted"]),
        (
            ("GET /api/credentials", 200, ill(Health::Down)),
            true,
            ["credentials", "no longer accepts the refresh token"],
        ),
        (("GET /api/credentials", 200, ill(Health::Degraded)), false, ["credentials", "is degraded"]),
        (("GET /api/credentials", 200, lacking), false, ["credentials", "no registering webhooks"]),
        (("GET /api/credentials", 200, blind), false, ["credentials", "let an admin invite the account"]),
        (
            ("GET /api/budget", 200, allowance(json!("2026-11-21T10:00:00Z"))),
            false,
            ["budget", "go on at 2026-11-21T10:00:00Z"],
        ),
    ] {
        let case = format!("{} {}", broken.0, broken.1);
        let profile = deployment(Some(broken)).await;
        let output = doctor(&profile, &[]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(if wrong { 3 } else { 0 }), "{case}: {said}");
        let word = if wrong { "WRONG" } else { "WARNING" };
        let lines: Vec<_> = said.lines().collect();
        let at =
            lines.iter().position(|line| line.starts_with(word)).unwrap_or_else(|| panic!("{case}: {said}"));
        let finding = format!("{}\n{}", lines[at], lines.get(at + 1).unwrap_or(&""));
        assert!(wanted.iter().all(|part| finding.contains(part)), "{case}: {said}");
        assert!(finding.contains('→'), "{case} has no remedy: {said}");
        std::fs::remove_file(profile).expect("it was there");
    }
    std::fs::remove_file(healthy).expect("it was there");
}

#[tokio::test]
async fn where_nothing_is_the_doctor_says_so_and_each_end_has_its_number() {
    crate::world::World::running().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", gone.local_addr().expect("an address"));
    drop(gone);
    let path = deployment(None).await;
    let text = std::fs::read_to_string(&path).expect("the profile");
    let mut profile: Value = serde_json::from_str(&text).expect("JSON");
    profile["public_url"] = json!(url);
    std::fs::write(&path, profile.to_string()).expect("written");

    let output = doctor(&path, &[]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("WRONG     address") && said.contains("does not answer"), "{said}");
    assert!(said.contains("skipped   secrets") && said.contains("AWS_ACCESS_KEY_ID"), "{said}");

    let mut list = bucketwheel();
    let list = list.args(["credentials", "--json", "--profile"]).arg(&path).output().await.expect("it ends");
    let said: Value = serde_json::from_slice(&list.stderr).expect("an error as JSON");
    assert_eq!(
        (list.status.code(), said["error"]["code"].as_str()),
        (Some(4), Some("unreachable")),
        "{said}"
    );
    std::fs::remove_file(&path).expect("it was there");
    let nobody = doctor(&path, &[]).await;
    assert_eq!(nobody.status.code(), Some(4));
    let misspelt = bucketwheel().arg("docter").output().await.expect("it ends");
    assert_eq!(misspelt.status.code(), Some(2));
}
