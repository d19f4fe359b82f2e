//! The hooks of a credential on its page.

use super::*;
use bucketwheel::call::{Action, Call, Message, Problem};
use bucketwheel::store::history::{self, Became, History, Rejection};
use bucketwheel::store::hooks::{self, HookSecrets};
use bucketwheel::store::missed::{self, Delays, Found, Sums};
use http::header::LOCATION;

#[tokio::test(start_paused = true)]
async fn a_page_attaches_a_hook_as_the_api_does() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let form = "deed=attach_hook&subject=+acme+&events=repo%3Apush++repo%3Afork\
                &branches=main+release%2F*&repositories=";
    let attached = world.press("/credentials/c-1", form).await;
    assert_eq!(attached.status, StatusCode::SEE_OTHER, "{}", attached.text);
    let sent: Message = serde_json::from_str(&world.calls.take()[0].body).expect("a message");
    assert_eq!((&sent.credential, &sent.call), (&id, &Call::Action(Action::RepairHooks {})));
    assert_eq!(attached.header(LOCATION), format!("/calls/{}", sent.id));
    let seen = world.get("/api/credentials/c-1/hooks").await.json();
    let hook = json!({
        "subject": "acme",
        "state": "waiting",
        "events": ["repo:push", "repo:fork"],
        "filter": { "branches": ["main", "release/*"] },
    });
    assert_eq!(seen["hooks"], json!([hook]));
    let page = world.look("/credentials/c-1").await.text;
    for text in ["waiting</span>", "repo:fork", "only branches", "release/*", "hook wanted"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // Of the filter nothing is said, so it stays.
    world.press("/credentials/c-1", "deed=attach_hook&subject=acme&events=repo%3Apush").await;
    let seen = world.get("/api/credentials/c-1/hooks").await.json();
    assert_eq!(
        (&seen["hooks"][0]["events"], &seen["hooks"][0]["filter"]),
        (&json!(["repo:push"]), &hook["filter"])
    );
}

#[tokio::test]
async fn a_hook_that_is_wrong_is_explained_and_what_was_typed_stays() {
    let world = World::new();
    world.connected("c-1", "Build bot").await;
    let form = "deed=attach_hook&subject=acme%2Fwebsite&events=Repo+Push&branches=main";
    let refused = world.press("/credentials/c-1", form).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    for text in
        ["event keys", "value=\"acme/website\"", "value=\"Repo Push\"", "value=\"main\"", "<details open"]
    {
        assert!(refused.text.contains(text), "{text}: {}", refused.text);
    }
    assert!(world.calls.sent().is_empty());
}

#[tokio::test]
async fn what_became_of_hooks_and_deliveries_is_told() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let now = world.edge.now();
    let ring = Keyring::parse(&SecretString::from(format!(r#"{{"k1":"{}"}}"#, "x".repeat(64))));
    let ring = ring.expect("a keyring");
    let mut stored = HookSecrets::first(&ring, &id, &SecretString::from("hush"), [0; 24], now);
    let events = ["repo:push".to_owned()];
    for subject in ["acme/ours", "acme/refused", "acme/by-hand"] {
        stored.attach(subject, &events);
    }
    (stored.hooks[0].registered, stored.hooks[0].uuid) = (1, Some("u-1".to_owned()));
    stored.hooks[1].problem = Some(Problem::new("forbidden", "It may not", "Ask <b>Ada</b>"));
    stored.hooks[2].by_hand = true;
    stored.filter = serde_json::from_value(json!({"repositories": ["acme/web-*"]})).expect("a filter");
    hooks::put_first(&world.table, &id, &stored).await.expect("a write");
    let mut counted = History::default();
    for became in [Became::Accepted, Became::Parked, Became::Filtered] {
        counted.note(Some("u-1"), 1, "repo:push", became, now);
    }
    counted.note(Some("u-else"), 1, "repo:fork", Became::Unavailable, now);
    let (cause, event_key) = ("wrong_signature".to_owned(), "pullrequest:created".to_owned());
    counted.reject(Rejection { at: now, cause, event_key, request_id: None });
    history::add(&world.table, &id, &counted, now).await.expect("added");

    let page = world.look("/credentials/c-1").await.text;
    for text in [
        "registered</span>",
        "refused</span>",
        "It may not",
        "Ask &lt;b&gt;Ada&lt;/b&gt;",
        "by hand</span>",
        "acme/web-*",
        "Version 1",
        "1 by way of the table",
        "u-else",
        "1 rejected",
        "wrong signature",
        "pullrequest:created",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("hush") && !page.contains("none yet"), "{page}");
}

#[tokio::test]
async fn what_the_search_for_missed_events_has_measured_is_on_the_page_where_it_has_looked() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let page = world.look("/credentials/c-1").await.text;
    assert!(!page.contains("Search for missed events"), "{page}");

    let now = world.edge.now();
    let delays = Delays { count: 4, total_ms: 9_200, most_ms: 5_150 };
    let problem = Some(Problem::new("forbidden", "It may not look", "Grant the scope"));
    let mut found = Found::begun(None, now);
    (found.watched, found.problem) = (3, problem);
    found.sums = Sums { came: 40, missed: 2, late: 1, delays };
    missed::add(&world.table, &id, &found, now).await.expect("added");
    let page = world.look("/credentials/c-1").await.text;
    for text in [
        "Search for missed events",
        "2 of 42",
        "1 came after all",
        "2.3 s",
        "5.1 s at most",
        "It may not look",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}
