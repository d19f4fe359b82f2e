//! What every table promises, tried on the one in memory and on the stand-in's DynamoDB alike.

use bucketwheel::memory::MemoryTable;
use bucketwheel::ports::{Attributes, Condition, Key, Query, Table, TableError, Write};
use serde_json::{Value, json};

use crate::world::World;

/// Runs each promise on both tables, under partition keys of its own.
macro_rules! promises {
    ($($name:ident)*) => {
        mod in_memory {
            $(#[tokio::test] async fn $name() { super::$name(&super::MemoryTable::default()).await; })*
        }
        mod on_dynamodb {
            $(#[tokio::test] async fn $name() { super::$name(&super::World::running().await.table()).await; })*
        }
    };
}

promises! {
    what_was_put_comes_back_as_it_was
    a_put_replaces_the_whole_item
    an_update_touches_only_what_it_names
    a_write_whose_condition_fails_changes_nothing
    conditions_mean_what_they_say
    additions_are_never_lost
    one_of_many_conditional_writers_wins
    a_transaction_is_all_or_nothing
    a_partition_is_read_in_order_and_by_prefix
    pages_end_and_lose_nothing
    a_page_ends_at_a_megabyte
    the_index_due_gives_what_has_come_the_earliest_first
    the_index_listing_gives_only_what_is_listed
}

fn key(test: &str, sk: &str) -> Key {
    Key::new(format!("CONTRACT#{test}"), sk)
}

fn attributes(value: Value) -> Attributes {
    let Value::Object(attributes) = value else { panic!("an object") };
    attributes
}

fn put(key: &Key, value: Value, condition: Condition) -> Write {
    Write::Put { key: key.clone(), attributes: attributes(value), condition }
}

async fn store(table: &impl Table, key: &Key, value: Value) {
    table.write(vec![put(key, value, Condition::Always)]).await.expect("stored");
}

async fn found(table: &impl Table, key: &Key) -> Option<Value> {
    table.get(key).await.expect("read").map(Value::Object)
}

async fn what_was_put_comes_back_as_it_was(table: &impl Table) {
    let key = key("put", "a");
    assert_eq!(found(table, &key).await, None);
    let value = json!({
        "text": "ä 😀 \"quoted\"", "empty": "", "number": -7_000_000_000_000_i64, "yes": true,
        "list": ["a", 1, []], "map": {"x": {"y": "z"}}, "long": "x".repeat(10_000),
    });
    store(table, &key, value.clone()).await;
    assert_eq!(found(table, &key).await, Some(value));
}

async fn a_put_replaces_the_whole_item(table: &impl Table) {
    let key = key("replace", "a");
    store(table, &key, json!({"a": 1, "b": 2})).await;
    store(table, &key, json!({"a": 3})).await;
    assert_eq!(found(table, &key).await, Some(json!({"a": 3})));
}

async fn an_update_touches_only_what_it_names(table: &impl Table) {
    let key = key("update", "a");
    store(table, &key, json!({"a": 1, "b": 2, "c": 3})).await;
    let set = attributes(json!({"a": 9, "d": 4}));
    let update =
        Write::Update { key: key.clone(), set, remove: vec!["b", "missing"], condition: Condition::Present };
    table.write(vec![update]).await.expect("updated");
    assert_eq!(found(table, &key).await, Some(json!({"a": 9, "c": 3, "d": 4})));
}

async fn a_write_whose_condition_fails_changes_nothing(table: &impl Table) {
    let key = key("refused", "a");
    store(table, &key, json!({"a": 1})).await;
    let delete = Write::Delete { key: key.clone(), condition: Condition::Equals("a", json!(2)) };
    let set = attributes(json!({"a": 2}));
    let update = Write::Update { key: key.clone(), set, remove: vec![], condition: Condition::Absent };
    for write in [put(&key, json!({"b": 1}), Condition::Absent), delete, update] {
        assert!(matches!(table.write(vec![write]).await, Err(TableError::Refused)));
    }
    assert_eq!(found(table, &key).await, Some(json!({"a": 1})));
}

async fn conditions_mean_what_they_say(table: &impl Table) {
    use Condition::{Absent, All, Always, Any, AtMost, Equals, Lacks, Present};
    let (here, gone) = (key("conditions", "here"), key("conditions", "gone"));
    store(table, &here, json!({"n": 5, "t": "x"})).await;
    let cases = [
        (Always, true, true),
        (Absent, false, true),
        (Present, true, false),
        (Equals("n", json!(5)), true, false),
        (Equals("n", json!(6)), false, false),
        (Equals("n", json!("5")), false, false),
        (Equals("t", json!("x")), true, false),
        (Lacks("n"), false, true),
        (Lacks("m"), true, true),
        (AtMost("n", 5), true, false),
        (AtMost("n", 4), false, false),
        (AtMost("m", 4), false, false),
        (All(vec![Present, Equals("n", json!(5))]), true, false),
        (All(vec![Present, Lacks("n")]), false, false),
        (Any(vec![Absent, AtMost("n", 9)]), true, true),
        (Any(vec![Lacks("n"), AtMost("n", 4)]), false, true),
        (Any(vec![Always, Lacks("n")]), true, true),
        (All(vec![All(vec![Present, Equals("n", json!(5))])]), true, false),
        (Any(vec![All(vec![Any(vec![Absent, AtMost("n", 9)])])]), true, true),
        (All(vec![Present, Any(vec![Lacks("n"), Equals("t", json!("x"))])]), true, false),
        (All(vec![]), true, true),
        (Any(vec![]), false, false),
    ];
    for (condition, on_here, on_gone) in cases {
        for (key, holds) in [(&here, on_here), (&gone, on_gone)] {
            let set = attributes(json!({"touched": true}));
            let write = Write::Update { key: key.clone(), set, remove: vec![], condition: condition.clone() };
            let written = table.write(vec![write]).await;
            match written {
                Ok(()) => assert!(holds, "{condition:?} held on {}", key.sk),
                Err(TableError::Refused) => assert!(!holds, "{condition:?} failed on {}", key.sk),
                Err(error) => panic!("{condition:?}: {error:?}"),
            }
        }
        table.write(vec![Write::Delete { key: gone.clone(), condition: Always }]).await.expect("deleted");
    }
}

async fn additions_are_never_lost(table: &impl Table) {
    let key = key("additions", "a");
    let add = |by| table.add(&key, "n", by, attributes(json!({"other": "x"})));
    let additions: Vec<_> = (0..20).map(|_| add(1)).collect();
    let mut seen = Vec::new();
    for added in futures_util::future::join_all(additions).await {
        seen.push(added.expect("added")["n"].as_i64().expect("a number"));
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    let after = add(-5).await.expect("added");
    assert_eq!(Value::Object(after), json!({"n": 15, "other": "x"}));
}

async fn one_of_many_conditional_writers_wins(table: &impl Table) {
    let key = key("race", "a");
    let writers: Vec<_> =
        (0..20).map(|n| table.write(vec![put(&key, json!({"n": n}), Condition::Absent)])).collect();
    let mut won = 0;
    for written in futures_util::future::join_all(writers).await {
        match written {
            Ok(()) => won += 1,
            Err(TableError::Refused) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(won, 1);
}

async fn a_transaction_is_all_or_nothing(table: &impl Table) {
    let (a, b) = (key("transaction", "a"), key("transaction", "b"));
    let writes = |condition| {
        let delete = Write::Delete { key: b.clone(), condition };
        vec![put(&a, json!({"n": 1}), Condition::Absent), delete]
    };
    let refused = table.write(writes(Condition::Present)).await;
    assert!(matches!(refused, Err(TableError::Refused)), "{refused:?}");
    assert_eq!(found(table, &a).await, None);

    store(table, &b, json!({"n": 2})).await;
    table.write(writes(Condition::Present)).await.expect("both");
    assert_eq!((found(table, &a).await, found(table, &b).await), (Some(json!({"n": 1})), None));
}

async fn a_partition_is_read_in_order_and_by_prefix(table: &impl Table) {
    for sk in ["B#2", "A#1", "B#10", "B#1", "C"] {
        store(table, &key("partition", sk), json!({"sk_was": sk})).await;
    }
    store(table, &key("partition-other", "B#3"), json!({})).await;
    let query = Query::Partition { pk: "CONTRACT#partition".to_owned(), prefix: "B#".to_owned() };
    let page = table.query(&query, 10, None).await.expect("a page");
    let order: Vec<_> = page.items.iter().map(|(key, _)| key.sk.as_str()).collect();
    assert_eq!(order, ["B#1", "B#10", "B#2"]);
    assert_eq!(page.items[0].1["sk_was"], "B#1");
    assert_eq!(page.next, None);
}

async fn pages_end_and_lose_nothing(table: &impl Table) {
    for n in 0..7 {
        store(table, &key("pages", &format!("N#{n}")), json!({"n": n})).await;
    }
    let query = Query::Partition { pk: "CONTRACT#pages".to_owned(), prefix: "N#".to_owned() };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = table.query(&query, 3, after.as_ref()).await.expect("a page");
        assert!(page.items.len() <= 3);
        seen.extend(page.items.into_iter().map(|(_, item)| item["n"].as_i64().expect("a number")));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).collect::<Vec<_>>());
}

async fn a_page_ends_at_a_megabyte(table: &impl Table) {
    for n in 0..5 {
        store(table, &key("large", &format!("N#{n}")), json!({"n": n, "x": "x".repeat(300_000)})).await;
    }
    let query = Query::Partition { pk: "CONTRACT#large".to_owned(), prefix: "N#".to_owned() };
    let first = table.query(&query, 100, None).await.expect("a page");
    let second = table.query(&query, 100, first.next.as_ref()).await.expect("a page");
    assert_eq!((first.items.len(), second.items.len(), second.next), (3, 2, None));
}

async fn the_index_due_gives_what_has_come_the_earliest_first(table: &impl Table) {
    let shard = "CONTRACT-DUE";
    for (sk, due_at) in [("late", 3_000), ("early", 1_000), ("middle", 2_000)] {
        store(table, &key("due", sk), json!({"due_shard": shard, "due_at": due_at})).await;
    }
    store(table, &key("due", "never"), json!({"due_shard": shard})).await;
    store(table, &key("due", "elsewhere"), json!({"due_shard": "CONTRACT-OTHER", "due_at": 1})).await;
    let query = Query::Due { shard: shard.to_owned(), until: 2_000 };
    let page = table.query(&query, 10, None).await.expect("a page");
    let order: Vec<_> = page.items.iter().map(|(key, _)| key.sk.as_str()).collect();
    assert_eq!(order, ["early", "middle"]);
}

async fn the_index_listing_gives_only_what_is_listed(table: &impl Table) {
    store(table, &key("listing-a", "x"), json!({"listing": "CONTRACT-LIST", "n": 1})).await;
    store(table, &key("listing-b", "x"), json!({"listing": "CONTRACT-LIST", "n": 2})).await;
    store(table, &key("listing-c", "x"), json!({"n": 3})).await;
    let page = table.query(&Query::Listing("CONTRACT-LIST".to_owned()), 10, None).await.expect("a page");
    let listed: Vec<_> = page.items.iter().map(|(key, item)| (key.pk.as_str(), item["n"].as_i64())).collect();
    assert_eq!(listed, [("CONTRACT#listing-a", Some(1)), ("CONTRACT#listing-b", Some(2))]);
}
