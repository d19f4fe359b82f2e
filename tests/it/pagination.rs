//! Lists over several pages, and answers that point elsewhere.

use std::sync::{Arc, Mutex};

use bucketwheel::call::{Pages, State};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

const COMMITS: &str = "repositories/seilbahn/infrastructure/commits";

/// Submits a paginated call and gives its id once it is over.
pub(crate) async fn paginated(
    world: &World,
    credential: &str,
    id: &str,
    call: Value,
    paginate: Value,
) -> String {
    let id = format!("{id}-{credential}");
    let message = json!({"id": id, "credential": credential, "call": call, "paginate": paginate});
    world.submit(message.to_string()).await;
    assert_eq!(world.result(&id).await.state, State::Succeeded);
    id
}

#[tokio::test]
async fn pages_come_as_parts_on_the_queue_and_in_the_store() {
    let world = World::running().await;
    let credential = world.connect("pages").await;
    let push = json!({"repository": "seilbahn/infrastructure", "branch": format!("many-{credential}"), "commits": 25});
    world.sandbox("POST", "push", Some(push)).await;
    let query = json!({"pagelen": "10", "include": format!("many-{credential}"), "fields": "values.hash"});
    let call = json!({"method": "GET", "path": COMMITS, "query": query});

    let id = paginated(&world, &credential, "all", call.clone(), json!({})).await;
    let outcome = world.result(&id).await;
    let pages = outcome.pages.expect("pages");
    assert!(pages.parts >= 3 && pages.items >= 25 && !pages.more, "{pages:?}");
    let parts = world.parts(&id);
    assert_eq!(
        parts.iter().filter_map(|part| part.part).collect::<Vec<_>>(),
        (1..=pages.parts).collect::<Vec<_>>()
    );
    let mut hashes: Vec<String> = Vec::new();
    for part in &parts {
        let stored =
            world.operator("GET", &format!("calls/{id}/parts/{}", part.part.expect("a number")), None).await;
        assert_eq!(stored, (StatusCode::OK, json!(part)));
        let values = part.body.as_ref().expect("a page")["values"].as_array().expect("values").clone();
        hashes.extend(values.iter().map(|value| value["hash"].to_string()));
    }
    assert_eq!(hashes.len() as u64, pages.items);
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len() as u64, pages.items, "no value comes twice");

    let id = paginated(&world, &credential, "items", call.clone(), json!({"items": 15})).await;
    assert_eq!(world.result(&id).await.pages, Some(Pages { parts: 2, items: 15, more: true }));
    let id = paginated(&world, &credential, "pages", call, json!({"pages": 1})).await;
    assert_eq!(world.result(&id).await.pages, Some(Pages { parts: 1, items: 10, more: true }));
}

/// A server that notes whatever comes to it.
pub(crate) async fn hostile() -> (String, Arc<Mutex<Vec<String>>>) {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = heard.clone();
    let note = async move |request: axum::extract::Request| {
        noted.lock().expect("unpoisoned").push(format!("{request:?}"));
        "{}"
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(note)).await });
    (format!("http://{address}"), heard)
}

#[tokio::test]
async fn no_request_follows_an_answer_to_another_host() {
    let world = World::running().await;
    let credential = world.connect("lured").await;
    let (evil, heard) = hostile().await;
    let alone = world.alone().await;
    let path = "repositories/seilbahn/leer/refs";
    for to in [format!("{evil}/2.0/user"), evil.replace("http://", "//")] {
        world.behave(json!({"lure": {"path": path, "to": to, "by": "redirect"}})).await;
        for method in ["GET", "DELETE"] {
            let outcome = world.call(&credential, json!({"method": method, "path": path})).await;
            assert_eq!(outcome.error.expect("a cause").code, "redirected");
        }
        world.behave(json!({"lure": {"path": path, "to": to, "by": "next"}})).await;
        let id = format!("lured-{}-{credential}", to.len());
        let call = json!({"method": "GET", "path": path});
        let message = json!({"id": id, "credential": credential, "call": call, "paginate": {}});
        world.submit(message.to_string()).await;
        assert_eq!(world.result(&id).await.error.expect("a cause").code, "foreign_link");
    }
    world.behave(json!({"lure": null})).await;
    drop(alone);
    assert_eq!(*heard.lock().expect("unpoisoned"), Vec::<String>::new());
}

#[tokio::test]
async fn a_renamed_repository_is_followed_inside_the_api() {
    let world = World::running().await;
    let credential = world.connect("renamed").await;
    let old = format!("old-{}", &credential[..12]);
    let new = format!("new-{}", &credential[..12]);
    world
        .sandbox(
            "POST",
            "repositories",
            Some(json!({"full_name": format!("seilbahn/{old}"), "files": {"a": "b"}})),
        )
        .await;
    let path = format!("repositories/seilbahn/{old}");
    let renamed =
        world.call(&credential, json!({"method": "PUT", "path": path, "body": {"name": new}})).await;
    assert_eq!(renamed.state, State::Succeeded, "{renamed:?}");
    let found = world.call(&credential, json!({"method": "GET", "path": path})).await;
    assert_eq!(found.body.expect("a repository")["full_name"], format!("seilbahn/{new}"));
}

#[tokio::test]
async fn the_console_answers_directly_when_it_is_quick() {
    let world = World::running().await;
    let credential = world.connect("direct").await;
    let call = json!({"credential": credential, "call": {"method": "GET", "path": "user"}});
    let (status, outcome) = world.operator("POST", "call", Some(call)).await;
    assert_eq!((status, &outcome["state"]), (StatusCode::OK, &json!("succeeded")), "{outcome}");
    let nowhere = json!({"credential": credential, "call": {"method": "GET", "path": "a/%2e%2e/b"}});
    let (status, refused) = world.operator("POST", "call", Some(nowhere)).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("bad_path")));
}

#[tokio::test]
async fn forms_and_binary_answers_pass_as_they_are() {
    let world = World::running().await;
    let credential = world.connect("forms").await;
    let branch = format!("forms-{credential}");
    let form = json!([
        {"name": "message", "text": "Ä form"},
        {"name": "branch", "text": branch},
        {"name": "/bin/blob", "base64": "AAH/gA==", "filename": "blob", "attributes": "executable"},
    ]);
    let src = "repositories/seilbahn/website/src";
    let made = world.call(&credential, json!({"method": "POST", "path": src, "form": form})).await;
    assert_eq!((made.state, made.status), (State::Succeeded, Some(201)), "{made:?}");
    assert!(made.headers["location"].contains("/commit/"));
    let commit = made.headers["location"].rsplit('/').next().expect("a hash");
    let read = json!({"method": "GET", "path": format!("{src}/{commit}/bin/blob")});
    assert_eq!(world.call(&credential, read).await.body_base64.as_deref(), Some("AAH/gA=="));
    let meta =
        json!({"method": "GET", "path": format!("{src}/{commit}/bin/blob"), "query": {"format": "meta"}});
    assert_eq!(world.call(&credential, meta).await.body.expect("JSON")["attributes"], json!(["executable"]));
}
