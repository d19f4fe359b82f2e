//! Queues, dead letters, and sending them again.

use super::*;
use bucketwheel::ports::{Backlog, DeadLetter};

fn letter(id: &str, body: &str, group: Option<&str>) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        body: body.to_owned(),
        cause: Some("it is no call".to_owned()),
        attributes: Vec::new(),
        group: group.map(str::to_owned),
        sent_at: "2026-11-21T05:00:00Z".parse().expect("a time"),
        receives: 0,
        receipt: String::new(),
    }
}

fn ids(letters: &[DeadLetter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.id.as_str()).collect()
}

fn shown(answer: &Value, list: &str) -> Vec<String> {
    let values = answer[list].as_array().expect("a list");
    values.iter().map(|letter| letter["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn queues_are_seen_at_a_glance_and_a_look_leaves_no_trace() {
    let world = World::new();
    for id in ["m-1", "m-2"] {
        world.dead_calls.bury(letter(id, r#"{"credential":"c-1"}"#, None));
    }
    let queues = world.get("/api/queues").await.json();
    let names: Vec<_> =
        queues["values"].as_array().expect("queues").iter().map(|q| q["name"].clone()).collect();
    assert_eq!(
        names,
        ["events", "calls", "results", "refresh", "gitops"],
        "gitops-sync is on, and its changes are not told"
    );
    let calls = &queues["values"][1];
    assert_eq!((&calls["dead"], &calls["waiting"]), (&json!(2), &json!(0)));
    assert_eq!(calls["oldest_dead_sent_at"], "2026-11-21T05:00:00Z");
    assert_eq!(queues["values"][0]["oldest_dead_sent_at"], Value::Null);

    let list = world.get("/api/queues/calls/dead-letters?limit=1").await.json();
    assert_eq!((shown(&list, "values"), &list["total"]), (vec!["m-1".to_owned()], &json!(2)));
    let one = world.get("/api/queues/calls/dead-letters/m-2").await.json();
    assert_eq!((&one["body"], &one["cause"]), (&json!(r#"{"credential":"c-1"}"#), &json!("it is no call")));
    let depths = world.dead_calls.depths().await.expect("depths");
    assert_eq!((depths.dead.waiting, depths.dead.hidden), (2, 0), "all are put back");

    for (uri, code) in [
        ("/api/queues/nothing/dead-letters", "no_such_queue"),
        ("/api/queues/calls/dead-letters/m-9", "no_such_letter"),
        ("/api/queues/calls/dead-letters?limit=0", "bad_limit"),
    ] {
        assert_eq!(world.get(uri).await.error(), code, "{uri}");
    }
}

#[tokio::test]
async fn one_some_or_all_are_sent_again_and_a_dry_run_moves_none() {
    let world = World::new();
    for number in 1..=25 {
        world.dead_calls.bury(letter(&format!("m-{number}"), "{}", None));
    }
    let redrive = async |body: Value| world.post("/api/queues/calls/redrive", body.to_string()).await;
    let dry = redrive(json!({"all": true, "dry_run": true})).await.json();
    assert_eq!((shown(&dry, "letters").len(), &dry["complete"]), (25, &json!(true)));
    assert_eq!((world.dead_calls.dead().len(), world.dead_calls.living().len()), (25, 0));

    let some = redrive(json!({"ids": ["m-20", "m-3", "m-99"]})).await.json();
    assert_eq!(
        (shown(&some, "letters"), &some["missing"]),
        (vec!["m-3".into(), "m-20".into()], &json!(["m-99"]))
    );
    assert_eq!(ids(&world.dead_calls.living()), ["m-3", "m-20"]);
    assert_eq!(world.dead_calls.depths().await.expect("depths").dead.waiting, 23, "the others are put back");

    assert_eq!(shown(&redrive(json!({"all": true})).await.json(), "letters").len(), 23);
    assert!(world.dead_calls.dead().is_empty() && world.dead_calls.living().len() == 25);
    for body in [json!({}), json!({"ids": []}), json!({"ids": ["a"], "all": true})] {
        let answer = redrive(body.clone()).await;
        assert_eq!(
            (answer.status, answer.error().as_str()),
            (StatusCode::BAD_REQUEST, "which_letters"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_letter_is_sent_before_it_is_removed() {
    let world = World::new();
    for id in ["m-1", "m-2"] {
        world.events.bury(letter(id, "{}", Some("repository")));
    }
    let redrive = async || world.post("/api/queues/events/redrive", r#"{"all":true}"#).await;
    // It breaks off between the two, and nothing after it is sent: it would overtake.
    world.events.set_keeps(true);
    assert_eq!(redrive().await.error(), "try_again");
    assert_eq!((ids(&world.events.living()), ids(&world.events.dead())), (vec!["m-1"], vec!["m-1", "m-2"]));
    // Again, as whoever asked does after an error: the ordered queue drops the second copy.
    world.events.set_keeps(false);
    assert_eq!(redrive().await.status, StatusCode::OK);
    assert_eq!((ids(&world.events.living()), world.events.dead()), (vec!["m-1", "m-2"], vec![]));
}

#[tokio::test]
async fn what_dies_again_meanwhile_is_left_alone() {
    let world = World::new();
    world.dead_calls.bury(letter("old", "{}", None));
    let again = DeadLetter {
        sent_at: world.edge.now() + SignedDuration::from_secs(1),
        ..letter("again", "{}", None)
    };
    world.dead_calls.bury(again);
    let done = world.post("/api/queues/calls/redrive", r#"{"all":true}"#).await.json();
    assert_eq!((shown(&done, "letters"), &done["complete"]), (vec!["old".to_owned()], &json!(true)));
    assert_eq!(ids(&world.dead_calls.dead()), ["again"]);
}
