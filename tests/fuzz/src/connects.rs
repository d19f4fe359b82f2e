//! What browsers bring to a connect, and what the token endpoint answers.

use std::cell::RefCell;
use std::net::TcpListener;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode, header};
use bucketwheel::bitbucket::{Api, Consumer, Oauth, Trust};
use bucketwheel::connect::{Begun, Link, Ticket};
use bucketwheel::credential::Kind;
use bucketwheel::memory::{MemoryEdge, MemoryQueue, MemoryTable};
use bucketwheel::ports::Table;
use bucketwheel::seal::Keyring;
use bucketwheel::store::connects;
use bucketwheel::token::{TokenError, read_answer};
use jiff::{SignedDuration, Timestamp};
use oauth_callback::{Connect, router};
use secrecy::SecretString;
use serde::de::IgnoredAny;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;
use url::Url;

use super::line;

const PUBLIC: &str = "https://wheel.example";

/// A line with the status, and the body. Tokens come of a 2xx alone, live on, and show nowhere.
pub fn token_answer(data: &[u8]) {
    let Some((status, body)) = line(data) else { return };
    let Ok(status) = status.parse::<u16>() else { return };
    let now = now();
    match read_answer(status, body, now) {
        Ok(set) => {
            assert!((200..300).contains(&status));
            assert!(!set.access.reveal().is_empty());
            assert!(set.refresh.as_ref().is_none_or(|refresh| !refresh.reveal().is_empty()));
            assert!(set.expires_at > now);
            let (shown, scopes) = (format!("{set:?}"), format!("{:?}", set.scopes));
            let tokens = [Some(set.access.reveal()), set.refresh.as_ref().map(|refresh| refresh.reveal())];
            for token in tokens.into_iter().flatten().filter(|token| token.len() >= 32) {
                assert!(scopes.contains(token) || !shown.contains(token), "a token shows");
            }
        }
        Err(error) => {
            let refused = matches!(error, TokenError::Refused { .. });
            assert!(
                !refused
                    || (400..500).contains(&status) && serde_json::from_slice::<IgnoredAny>(body).is_ok()
            );
            assert!(error.to_string().len() < 120, "{error}");
        }
    }
}

/// A line with the method, one with the address, one with the cookie, and a form, to the whole function.
/// No browser is sent elsewhere, nothing that was entered becomes a tag, and nothing is a failure of ours.
pub fn connect(data: &[u8]) {
    let Some((method, rest)) = line(data) else { return };
    let Some((address, rest)) = line(rest) else { return };
    let Some((cookie, form)) = line(rest) else { return };
    let method = if method == "POST" { "POST" } else { "GET" };
    let request = Request::builder().method(method).uri(address).header(header::COOKIE, cookie);
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let Ok(request) = request.body(Body::from(form.to_vec())) else { return };
    let (status, location, page) = SYSTEM.with_borrow_mut(|system| {
        let system = match system {
            Some(system) if system.runs < MOST_RUNS => system,
            _ => system.insert(System::start()),
        };
        system.runs += 1;
        system.answer(request)
    });
    assert!(!status.is_server_error(), "{status}");
    assert_eq!(status == StatusCode::FOUND, location.is_some(), "{status}");
    let own = format!("{PUBLIC}/credentials?");
    let fits = |to: &String| to.starts_with(&own) || to.starts_with("http://127.0.0.1:");
    assert!(location.as_ref().is_none_or(fits), "the browser is sent to {location:?}");
    assert!(!String::from_utf8_lossy(&page).contains("<x>"), "what was entered became a tag");
    assert!(!location.is_some_and(|to| to.contains("connected=")), "connected without Bitbucket");
}

/// A system is used so often: each begun connect leaves a state in its table.
const MOST_RUNS: usize = 500;

thread_local! {
    static SYSTEM: RefCell<Option<System>> = const { RefCell::new(None) };
}

struct System {
    runtime: Runtime,
    table: MemoryTable,
    router: Router,
    runs: usize,
}

impl System {
    /// Three links, and nobody where Bitbucket should be: a port of this machine that was free.
    fn start() -> Self {
        let free =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let bitbucket = Url::parse(&format!("http://{free}")).expect("an address");
        let consumer = Consumer { key: "key".to_owned(), secret: SecretString::from("secret") };
        let ring = SecretString::from(format!(r#"{{"k0001":"{}"}}"#, "x".repeat(64)));
        let ring = Keyring::parse(&ring).expect("a ring");
        let table = MemoryTable::default();
        let connect = Connect {
            table: table.clone(),
            calls: MemoryQueue::default(),
            edge: MemoryEdge::new(now(), 3),
            access_ring: ring.clone(),
            refresh_ring: ring,
            oauth: Oauth::new(bitbucket.clone(), consumer, &Trust::default()).expect("a client"),
            api: Api::new(bitbucket, &Trust::default()).expect("a client"),
            public_url: Url::parse(PUBLIC).expect("an address"),
        };
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let links =
            [("user", Kind::OauthUser), ("api", Kind::ApiTokenShared), ("token", Kind::WorkspaceAccessToken)];
        let links = links.map(|(name, kind)| connects::offer(&Ticket::presented(name), &link(kind)));
        runtime.block_on(table.write(links.to_vec())).expect("links");
        Self { runtime, table, router: router(connect), runs: 0 }
    }

    fn answer(&self, request: Request<Body>) -> (StatusCode, Option<String>, Bytes) {
        let begun = Begun {
            link: Ticket::presented("user").digest(),
            browser: Ticket::presented("browser").digest(),
            verifier: "v".to_owned(),
            until: now() + SignedDuration::from_hours(1),
        };
        self.runtime.block_on(async {
            // Whoever presents it uses it up; else it is there still.
            let _ = connects::begin(&self.table, &Ticket::presented("state"), &begun).await;
            let answer = self.router.clone().oneshot(request).await.expect("an answer");
            let location = answer.headers().get(header::LOCATION);
            let location = location.map(|location| location.to_str().expect("ASCII").to_owned());
            (answer.status(), location, to_bytes(answer.into_body(), 1 << 20).await.expect("a page"))
        })
    }
}

fn link(kind: Kind) -> Link {
    let until = now() + SignedDuration::from_hours(1);
    Link { kind, ..Link::sample("c1".parse().expect("an id"), until) }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_000_000).expect("a time")
}
