//! Which deliveries are wanted, and what is known of them afterwards.

use bucketwheel::event::Filter;
use bucketwheel::store::history::{self, Became, History};
use bucketwheel::store::hooks::replace;

use super::*;

const HOOK: &str = "7b3f6d6e-0000-4000-8000-000000000001";

fn push(branch: &str) -> String {
    let new = json!({"type": "branch", "name": branch});
    json!({"repository": {"uuid": "{r}", "full_name": "w/r"}, "push": {"changes": [{"new": new}]}})
        .to_string()
}

/// A delivery of the hook.
fn sent(event_key: &str, body: &str, secret: &SecretString) -> String {
    let signature = sign(body.as_bytes(), secret);
    let headers = json!({"x-event-key": event_key, "x-hub-signature": signature, "x-hook-uuid": HOOK, "x-request-uuid": "q"});
    event("c1", headers, body).to_string()
}

async fn change(ports: &Ports, change: impl FnOnce(&mut HookSecrets)) {
    let id = "c1".parse().expect("an id");
    let mut stored = hooks::get(&ports.table, &id).await.expect("the table answers").expect("a hook");
    change(&mut stored);
    replace(&ports.table, &id, &mut stored).await.expect("stored");
}

fn filter(filter: Value) -> Filter {
    serde_json::from_value(filter).expect("a filter")
}

async fn history(ports: &Ports) -> History {
    let id = "c1".parse().expect("an id");
    history::get(&ports.table, &id, ports.edge.now()).await.expect("the table answers")
}

#[tokio::test]
async fn what_a_filter_drops_is_answered_202_counted_and_never_stored() {
    let ports = Ports::with_hook().await;
    change(&ports, |stored| {
        stored.attach("w", &["repo:push".to_owned()]);
        stored.hooks[0].uuid = Some(HOOK.to_owned());
        stored.hooks[0].filter = filter(json!({"branches": ["main", "release/*"]}));
    })
    .await;
    let ingest = ports.ingest();
    let take = async |key: &str, branch: &str| answer(&ingest, &sent(key, &push(branch), &secret())).await;
    assert_eq!(take("repo:push", "main").await, Answer::Accepted);
    assert_eq!(take("repo:push", "x").await, Answer::Filtered);
    assert_eq!(take("repo:fork", "main").await, Answer::Filtered, "the hook is not to send it");
    assert_eq!(take("repo:push", "release/1").await, Answer::Accepted);
    assert_eq!(Answer::Filtered.response(), Answer::Accepted.response());
    assert_eq!(ports.events.sent().len(), 2);

    ingest.woken("{}").await;
    let of_hook = &history(&ports).await.hooks[HOOK];
    assert_eq!((of_hook.counts[&Became::Accepted], of_hook.counts[&Became::Filtered]), (2, 2));
}

#[tokio::test]
async fn a_forged_delivery_is_rejected_whatever_the_filter_says() {
    let ports = Ports::with_hook().await;
    change(&ports, |stored| stored.filter = filter(json!({"events": ["repo:fork"]}))).await;
    let forged = sent("repo:push", &push("main"), &SecretString::from("wrong"));
    assert_eq!(answer(&ports.ingest(), &forged).await, Answer::Rejected);
}

#[tokio::test]
async fn only_a_filter_that_was_read_just_now_drops() {
    let ports = Ports::with_hook().await;
    change(&ports, |stored| stored.filter = filter(json!({"events": ["repo:fork"]}))).await;
    let ingest = ports.ingest();
    let take = async || answer(&ingest, &sent("repo:push", &push("main"), &secret())).await;
    assert_eq!(take().await, Answer::Filtered);
    // Somebody widens the filter. This process knows the old one for up to a minute.
    change(&ports, |stored| stored.filter = Filter::default()).await;
    ports.edge.advance(SignedDuration::from_secs(6));
    assert_eq!(take().await, Answer::Accepted);
    // Without the table nobody can tell whether a filter still stands.
    change(&ports, |stored| stored.filter = filter(json!({"events": ["repo:fork"]}))).await;
    ports.edge.advance(SignedDuration::from_secs(61));
    assert_eq!(take().await, Answer::Filtered);
    ports.edge.advance(SignedDuration::from_secs(6));
    ports.table.set_down(true);
    assert_eq!(take().await, Answer::Unasked);
}

#[tokio::test]
async fn the_history_tells_what_became_of_deliveries_and_costs_no_write_for_each() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    for n in 0..50 {
        ports.edge.advance(SignedDuration::from_millis(1_500));
        let body = format!(r#"{{"n":{n}}}"#);
        assert_eq!(answer(&ingest, &sent("repo:push", &body, &secret())).await, Answer::Accepted);
    }
    ports.events.set_down(true);
    assert_eq!(answer(&ingest, &sent("repo:fork", "{}", &secret())).await, Answer::Parked);
    ports.events.set_down(false);
    let forged = sent("repo:push", "{}", &SecretString::from("wrong"));
    assert_eq!(answer(&ingest, &forged).await, Answer::Rejected);
    let unsigned = event("c1", json!({"x-event-key": "repo:push"}), "{}").to_string();
    assert_eq!(answer(&ingest, &unsigned).await, Answer::Rejected);
    assert_eq!(history(&ports).await, History::default(), "nothing is written for a while");

    ingest.woken("{}").await;
    let found = history(&ports).await;
    let of_hook = &found.hooks[HOOK];
    assert_eq!((of_hook.counts[&Became::Accepted], of_hook.counts[&Became::Parked]), (50, 1));
    assert_eq!((of_hook.last_event.as_str(), of_hook.last_at), ("repo:fork", ports.edge.now()));
    assert_eq!(found.matched, [(1, ports.edge.now())].into());
    let causes: Vec<_> = found.rejections.iter().map(|rejection| rejection.cause.as_str()).collect();
    assert_eq!((found.rejected, causes), (2, vec!["wrong_signature", "unsigned"]));
    let text = json!(found).to_string();
    assert!(!text.contains("sha256") && !text.contains("\"n\""), "{text}");
}

#[tokio::test]
async fn a_rejection_costs_no_write_and_one_of_nobodys_is_not_kept() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    let items = ports.table.items();
    let wrong = SecretString::from("wrong");
    for _ in 0..3 {
        ports.edge.advance(SignedDuration::from_mins(5));
        assert_eq!(answer(&ingest, &delivery("c1", "{}", &wrong)).await, Answer::Rejected);
        assert_eq!(answer(&ingest, &delivery("nobody-1", "{}", &wrong)).await, Answer::Rejected);
    }
    assert_eq!(ports.table.items(), items, "the time of a rejection would tell which credentials there are");
    ingest.woken("{}").await;
    assert_eq!(ports.table.items().len(), items.len() + 2, "the counts of c1, and the drain's beat");
    assert_eq!(history(&ports).await.rejected, 3);
}

#[tokio::test]
async fn where_the_drain_does_not_come_a_delivery_stores_what_was_counted() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    let take = async || answer(&ingest, &sent("repo:push", "{}", &secret())).await;
    assert_eq!(take().await, Answer::Accepted);
    ports.edge.advance(SignedDuration::from_secs(91));
    assert_eq!(take().await, Answer::Accepted);
    assert_eq!(history(&ports).await.hooks[HOOK].counts[&Became::Accepted], 2);
    // What cannot be stored is kept for the next time.
    ports.edge.advance(SignedDuration::from_secs(1));
    assert_eq!(take().await, Answer::Accepted);
    ports.table.set_down(true);
    ingest.woken("{}").await;
    ports.table.set_down(false);
    ingest.woken("{}").await;
    assert_eq!(history(&ports).await.hooks[HOOK].counts[&Became::Accepted], 3);
}
