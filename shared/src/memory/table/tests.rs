use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde_json::json;

use super::*;

/// Nothing here ever waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a table in memory does not wait"),
    }
}

fn attributes(value: Value) -> Attributes {
    value.as_object().expect("an object").clone()
}

fn put(pk: &str, sk: &str, value: Value, condition: Condition) -> Write {
    Write::Put { key: Key::new(pk, sk), attributes: attributes(value), condition }
}

fn update(pk: &str, set: Value, remove: &[&'static str], condition: Condition) -> Write {
    Write::Update { key: Key::new(pk, "s"), set: attributes(set), remove: remove.to_vec(), condition }
}

fn filled(items: &[(&str, &str, Value)]) -> MemoryTable {
    let table = MemoryTable::default();
    for (pk, sk, value) in items {
        ready(table.write(vec![put(pk, sk, value.clone(), Condition::Absent)])).expect("a write");
    }
    table
}

#[test]
fn conditions_judge_the_item_as_it_is() {
    let item = attributes(json!({ "n": 5, "t": "x" }));
    let yes = [
        Condition::Always,
        Condition::Present,
        Condition::Equals("n", json!(5_u64)),
        Condition::AtMost("n", 5),
        Condition::Lacks("m"),
        Condition::All(vec![Condition::Present, Condition::Lacks("m")]),
        Condition::Any(vec![Condition::Absent, Condition::Present]),
    ];
    let no = [
        Condition::Absent,
        Condition::Equals("n", json!("5")),
        Condition::AtMost("n", 4),
        Condition::AtMost("t", 4),
        Condition::AtMost("m", 4),
        Condition::Lacks("n"),
        Condition::All(vec![Condition::Present, Condition::Lacks("n")]),
        Condition::Any(vec![Condition::Absent, Condition::Lacks("n")]),
    ];
    assert!(yes.iter().all(|condition| holds(condition, Some(&item))));
    assert!(!no.iter().any(|condition| holds(condition, Some(&item))));
    assert!(holds(&Condition::Lacks("n"), None) && holds(&Condition::Absent, None));
    assert!(!holds(&Condition::Equals("n", Value::Null), None));
}

#[test]
fn several_writes_take_place_together_or_not_at_all() {
    let table = filled(&[("a", "s", json!({ "n": 1 }))]);
    let before = table.items();
    let refused = vec![
        put("b", "s", json!({}), Condition::Absent),
        update("a", json!({ "n": 2 }), &[], Condition::Equals("n", json!(9))),
    ];
    assert!(matches!(ready(table.write(refused)), Err(TableError::Refused)));
    let rejected = vec![
        put("b", "s", json!({}), Condition::Absent),
        put("c", "s", json!({ "due_at": "soon" }), Condition::Always),
    ];
    assert!(matches!(ready(table.write(rejected)), Err(TableError::Rejected(_))));
    assert_eq!(table.items(), before);
}

#[test]
fn an_update_sets_removes_and_makes() {
    let table = filled(&[("a", "s", json!({ "n": 1, "old": true }))]);
    ready(table.write(vec![
        update("a", json!({ "n": 2 }), &["old"], Condition::Present),
        update("b", json!({ "n": 3 }), &["never"], Condition::Absent),
    ]))
    .expect("a write");
    let read = |pk| ready(table.get(&Key::new(pk, "s"))).expect("a read").expect("an item");
    assert_eq!(read("a"), attributes(json!({ "n": 2 })));
    assert_eq!(read("b"), attributes(json!({ "n": 3 })));
}

#[test]
fn what_dynamodb_always_rejects_is_rejected() {
    let table = MemoryTable::default();
    for writes in [
        vec![],
        vec![put("a", "s", json!({}), Condition::Always), put("a", "s", json!({}), Condition::Always)],
        vec![put("", "s", json!({}), Condition::Always)],
        vec![put("a", "s", json!({ "pk": "b" }), Condition::Always)],
        vec![put("a", "s", json!({ "listing": "" }), Condition::Always)],
        vec![update("a", json!({}), &[], Condition::Always)],
        vec![update("a", json!({ "n": 1 }), &["n"], Condition::Always)],
    ] {
        assert!(matches!(ready(table.write(writes)), Err(TableError::Rejected(_))));
    }
}

#[test]
fn pages_follow_each_other_in_the_order_of_their_query() {
    let due = |at: i64| json!({ "due_shard": "D", "due_at": at, "secret": "x", "listing": "L" });
    let table = filled(&[
        ("p", "A#2", json!({})),
        ("p", "A#1", json!({})),
        ("p", "B", json!({})),
        ("pp", "A#0", json!({})),
        ("x", "s", due(30)),
        ("y", "s", due(10)),
        ("z", "s", due(20)),
        ("w", "s", due(31)),
    ]);
    let walk = |query: Query| {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = ready(table.query(&query, 1, after.as_ref())).expect("a page");
            names.extend(page.items.iter().map(|(key, _)| format!("{} {}", key.pk, key.sk)));
            after = page.next;
            if after.is_none() {
                return names;
            }
        }
    };
    assert_eq!(walk(Query::Partition { pk: "p".into(), prefix: "A#".into() }), ["p A#1", "p A#2"]);
    assert_eq!(walk(Query::Due { shard: "D".into(), until: 30 }), ["y s", "z s", "x s"]);
    assert_eq!(walk(Query::Listing("L".into())), ["w s", "x s", "y s", "z s"]);

    let first = ready(table.query(&Query::Due { shard: "D".into(), until: 10 }, 9, None)).expect("a page");
    assert_eq!(first.items[0].1, attributes(json!({ "due_shard": "D", "due_at": 10 })));
    assert_eq!(first.next, None);
}

#[test]
fn a_cursor_of_elsewhere_is_not_taken() {
    let table = filled(&[("p", "A", json!({ "listing": "L" }))]);
    let listing = Query::Listing("L".into());
    let next = ready(table.query(&listing, 1, None)).expect("a page").next.expect("a full page");
    let other = Query::Partition { pk: "p".into(), prefix: String::new() };
    assert!(matches!(ready(table.query(&other, 1, Some(&next))), Err(TableError::Rejected(_))));
    let junk = Cursor("junk".to_owned());
    assert!(matches!(ready(table.query(&listing, 1, Some(&junk))), Err(TableError::Unreadable(_))));
}

#[test]
fn a_table_that_is_down_changes_nothing() {
    let table = MemoryTable::default();
    table.set_down(true);
    let write = || table.write(vec![put("a", "s", json!({}), Condition::Always)]);
    assert!(ready(write()).is_err_and(|error| error.is_transient()));
    table.set_down(false);
    assert!(table.items().is_empty());
    ready(write()).expect("a write");
}
