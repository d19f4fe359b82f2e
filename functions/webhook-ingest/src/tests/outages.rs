//! What happens while the table, the queue or the keyring is away, and after secrets have changed.

use bucketwheel::event::Envelope;
use bucketwheel::ports::{Attributes, Cursor, Outgoing, Page, Query, Write};
use bucketwheel::store::repositories;

use super::*;

fn body(n: usize) -> String {
    format!(r#"{{"repository":{{"uuid":"{{r}}"}},"n":{n}}}"#)
}

fn bodies(ports: &Ports) -> Vec<String> {
    let sent = ports.events.sent();
    let body = |text: &str| Envelope::parse(text).expect("an envelope").body().expect("a body");
    sent.iter().map(|message| String::from_utf8(body(&message.body)).expect("text")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_does_not_take_is_parked_and_drained_in_order() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    let send = async |n: usize| answer(&ingest, &delivery("c1", &body(n), &secret())).await;
    assert_eq!(send(0).await, Answer::Accepted);
    ports.events.set_down(true);
    assert_eq!(send(1).await, Answer::Parked);
    assert_eq!(send(2).await, Answer::Parked);
    assert_eq!(ports.parked().len(), 3, "two deliveries and the head of their group");
    assert_eq!(ingest.drain().await, Drained { sent: 0, left: true });

    // The queue is back, but what waits goes first. Another process knows nothing and keeps to it too.
    ports.events.set_down(false);
    let other = ports.ingest();
    assert_eq!(answer(&other, &delivery("c1", &body(3), &secret())).await, Answer::Parked);
    let elsewhere = r#"{"repository":{"uuid":"{other}"}}"#;
    assert_eq!(answer(&other, &delivery("c1", elsewhere, &secret())).await, Answer::Accepted);
    assert_eq!(ingest.drain().await, Drained { sent: 3, left: false });
    assert_eq!(send(4).await, Answer::Accepted);
    assert_eq!(bodies(&ports), [&body(0), elsewhere, &body(1), &body(2), &body(3), &body(4)]);
    assert_eq!(ingest.drain().await, Drained::default());
    assert_eq!(ports.parked(), []);
    assert_eq!(ports.table.items().len(), 2, "nothing is left but the hook and the drain's beat");
}

#[tokio::test]
async fn a_parked_delivery_is_sealed_in_pieces_that_fit_and_comes_back_whole() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    ports.events.set_down(true);
    let large = |n: usize| {
        format!(r#"{{"n":{n},"repository":{{"uuid":"{{r}}"}},"x":"{}"}}"#, "payload ".repeat(120_000))
    };
    for n in 0..12 {
        assert_eq!(answer(&ingest, &delivery("c1", &large(n), &secret())).await, Answer::Parked);
    }
    for (key, attributes) in ports.table.items() {
        let text = Value::Object(attributes).to_string();
        assert!(text.len() < 400 * 1024 && !text.contains("payload"), "{key:?}");
    }
    ports.events.set_down(false);
    assert_eq!(ingest.drain().await, Drained { sent: 12, left: false });
    assert_eq!(bodies(&ports), (0..12).map(large).collect::<Vec<_>>());
}

/// Switches the queue off, and parks so many deliveries of one group.
async fn park(ports: &Ports, ingest: &Memory, count: usize) {
    ports.events.set_down(true);
    for n in 0..count {
        assert_eq!(answer(ingest, &delivery("c1", &body(n), &secret())).await, Answer::Parked);
    }
}

/// A queue that fails once it has taken so many messages.
struct Closes(MemoryQueue, usize);

impl Queue for Closes {
    async fn send(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        self.0.set_down(self.0.sent().len() >= self.1);
        self.0.send(message).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_in_the_midst_of_a_group_gets_each_delivery_once_and_in_order() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    park(&ports, &ingest, 25).await;
    for (takes, sent) in [(4, 4), (17, 13)] {
        let closes = Closes(ports.events.clone(), takes);
        let closing = Ingest::new(ports.table.clone(), closes, ports.keys.clone(), ports.edge.clone());
        assert_eq!(closing.drain().await, Drained { sent, left: true });
        assert_eq!(ports.parked().len(), 25 - takes + 1, "those that wait, and the head");
    }
    ports.events.set_down(false);
    assert_eq!(ingest.drain().await, Drained { sent: 8, left: false });
    assert_eq!(bodies(&ports), (0..25).map(body).collect::<Vec<_>>());
}

/// A queue behind which another delivery of the same group is parked for each that it takes, but for one group.
struct Refills {
    sent: MemoryQueue,
    ingest: Memory,
}

impl Queue for Refills {
    async fn send(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let group = message.group.clone().expect("a group");
        if group != "{quiet}" {
            let number = self.sent.sent().len();
            let body = format!(r#"{{"repository":{{"uuid":"{group}"}},"n":{number}}}"#);
            assert_eq!(answer(&self.ingest, &delivery("c1", &body, &secret())).await, Answer::Parked);
        }
        self.sent.send(message).await
    }
}

#[tokio::test(start_paused = true)]
async fn groups_of_which_more_comes_than_a_drain_sends_do_not_keep_the_others() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    ports.events.set_down(true);
    let busy = (0..20).map(|n| format!("{{busy {n}}}"));
    for group in busy.chain(["{quiet}".to_owned()]) {
        let body = format!(r#"{{"repository":{{"uuid":"{group}"}}}}"#);
        assert_eq!(answer(&ingest, &delivery("c1", &body, &secret())).await, Answer::Parked);
    }
    let refills = Refills { sent: MemoryQueue::default(), ingest };
    let draining = Ingest::new(ports.table.clone(), refills, ports.keys.clone(), ports.edge.clone());
    let drained = draining.drain().await;
    assert!(drained.left && drained.sent > 200, "{drained:?}");
    let sent = draining.events.sent.sent();
    assert_eq!(sent.iter().filter(|message| message.group.as_deref() == Some("{quiet}")).count(), 1);
    // Its time was over in the midst of its work, and yet all that was sent is taken away.
    assert_eq!(ports.parked().len(), 2 * 20, "one delivery of each busy group, and its head");
}

#[tokio::test(start_paused = true)]
async fn a_drain_goes_on_where_the_queue_was_away_for_a_moment() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    park(&ports, &ingest, 3).await;
    let back = async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        ports.events.set_down(false);
    };
    let (drained, ()) = tokio::join!(ingest.drain(), back);
    assert_eq!(drained, Drained { sent: 3, left: false });
}

#[tokio::test]
async fn what_another_drain_took_away_does_not_keep_the_others() {
    use bucketwheel::store::deliveries::{done, oldest};
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    park(&ports, &ingest, 3).await;
    let waiting = oldest(&ports.table, "{r}").await.expect("a read");
    done(&ports.table, &waiting[1..2]).await.expect("taken away");
    done(&ports.table, &waiting).await.expect("taken away");
    assert_eq!(ports.parked().len(), 1, "the head");
    // A later delivery has the number of an earlier one, but not its stamp.
    ports.events.set_down(false);
    assert_eq!(ingest.drain().await, Drained::default());
    ports.events.set_down(true);
    assert_eq!(answer(&ingest, &delivery("c1", &body(3), &secret())).await, Answer::Parked);
    done(&ports.table, &waiting).await.expect("taken away");
    assert_eq!(ports.parked().len(), 2, "the delivery and the head");
}

#[tokio::test]
async fn without_the_table_a_warm_process_accepts_and_a_cold_one_says_503() {
    let ports = Ports::with_hook().await;
    let (warm, cold) = (ports.ingest(), ports.ingest());
    let event = delivery("c1", &body(1), &secret());
    assert_eq!(answer(&warm, &event).await, Answer::Accepted);
    ports.table.set_down(true);
    assert_eq!(answer(&cold, &event).await, Answer::Unavailable);
    assert_eq!(answer(&warm, &event).await, Answer::Unasked);
    ports.edge.advance(SignedDuration::from_mins(50));
    assert_eq!(answer(&warm, &event).await, Answer::Unasked);
    // What is wrong according to an old secret may be right according to a newer one.
    let newer = delivery("c1", &body(1), &SecretString::from("newer"));
    assert_eq!(answer(&warm, &newer).await, Answer::Unavailable);
    ports.events.set_down(true);
    assert_eq!(answer(&warm, &event).await, Answer::Unavailable);
    ports.events.set_down(false);
    ports.edge.advance(SignedDuration::from_mins(11));
    assert_eq!(answer(&warm, &event).await, Answer::Unavailable);
}

#[tokio::test]
async fn without_the_table_nothing_overtakes_what_this_process_has_parked() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    ports.events.set_down(true);
    assert_eq!(answer(&ingest, &delivery("c1", &body(1), &secret())).await, Answer::Parked);
    ports.events.set_down(false);
    ports.table.set_down(true);
    assert_eq!(answer(&ingest, &delivery("c1", &body(2), &secret())).await, Answer::Unavailable);
}

#[tokio::test]
async fn without_the_keyring_a_cold_process_says_503_and_a_warm_one_accepts() {
    let ports = Ports::with_hook().await;
    let (warm, cold) = (ports.ingest(), ports.ingest());
    let event = delivery("c1", &body(1), &secret());
    assert_eq!(answer(&warm, &event).await, Answer::Accepted);
    ports.keys.set_down(true);
    assert_eq!(answer(&cold, &event).await, Answer::Unavailable);
    let unknown = delivery("c2", &body(1), &secret());
    assert_eq!(answer(&cold, &unknown).await, Answer::Unavailable, "it tells which credentials there are");
    ports.edge.advance(SignedDuration::from_secs(61));
    assert_eq!(answer(&warm, &event).await, Answer::Accepted);
    ports.keys.set_down(false);
    assert_eq!(answer(&cold, &event).await, Answer::Accepted);
    assert_eq!(ports.keys.reads(), 2, "each process reads the ring once");
}

#[tokio::test]
async fn a_key_added_after_the_start_is_found() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    assert_eq!(answer(&ingest, &delivery("c1", "{}", &secret())).await, Answer::Accepted);
    let both = r#"{"k0001":"0123456789abcdef0123456789abcdef","k0002":"fedcba9876543210fedcba9876543210"}"#;
    ports.keys.set(both);
    ports.edge.advance(SignedDuration::from_secs(31));
    let ring = Keyring::parse(&SecretString::from(both)).expect("a ring");
    let credential = "c2".parse().expect("an id");
    let secrets = HookSecrets::first(&ring, &credential, &secret(), [2; NONCE_LEN], Timestamp::UNIX_EPOCH);
    put_first(&ports.table, &credential, &secrets).await.expect("stored");
    assert_eq!(answer(&ingest, &delivery("c2", "{}", &secret())).await, Answer::Accepted);
}

#[tokio::test]
async fn a_hook_made_right_after_a_rejected_delivery_is_found_at_once() {
    let ports = Ports::new();
    let ingest = ports.ingest();
    let event = delivery("c1", "{}", &secret());
    assert_eq!(answer(&ingest, &event).await, Answer::Rejected);
    ports.make_hook("c1", &secret()).await;
    assert_eq!(answer(&ingest, &event).await, Answer::Accepted);
}

#[tokio::test]
async fn a_flood_of_forgeries_ends_in_503_and_not_in_a_read_for_each() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    let forged = delivery("c1", "{}", &SecretString::from("wrong"));
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(answer(&ingest, &forged).await);
    }
    assert_eq!(answers[0], Answer::Rejected);
    assert_eq!(answers[49], Answer::Unavailable);
    assert_eq!(answer(&ingest, &delivery("c1", "{}", &secret())).await, Answer::Accepted);
}

#[tokio::test]
async fn a_write_that_takes_place_late_does_not_end_a_group_that_waits_anew() {
    use bucketwheel::store::deliveries::{end, head};
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    let park = async |n: usize| {
        ports.events.set_down(true);
        assert_eq!(answer(&ingest, &delivery("c1", &body(n), &secret())).await, Answer::Parked);
        ports.events.set_down(false);
        head(&ports.table, "{r}").await.expect("the table answers").expect("a head")
    };
    let before = park(1).await;
    assert_eq!(ingest.drain().await.sent, 1);
    park(2).await;
    assert!(matches!(end(&ports.table, "{r}", &before).await, Err(TableError::Refused)));
    assert_eq!(ingest.drain().await.sent, 1);
}

#[tokio::test]
async fn an_event_marks_the_list_of_repositories_where_it_changes_and_only_if_it_is_genuine() {
    let ports = Ports::with_hook().await;
    let ingest = ports.ingest();
    let marked = async || repositories::marked(&ports.table, 10).await.expect("a read").len();
    let sent = async |key: &str, secret: &SecretString| {
        let event = delivery("c1", &body(0), secret).replace("repo:push", key);
        answer(&ingest, &event).await
    };
    assert_eq!(sent("repo:push", &secret()).await, Answer::Accepted);
    assert_eq!(sent("repo:updated", &SecretString::from("wrong")).await, Answer::Rejected);
    assert_eq!(marked().await, 0);
    for key in ["repo:created", "repo:deleted", "repo:updated", "repo:transfer", "repo:imported"] {
        assert_eq!(sent(key, &secret()).await, Answer::Accepted);
        let stale = repositories::marked(&ports.table, 10).await.expect("a read").pop().expect(key);
        repositories::unmark(&ports.table, &stale).await.expect("unmarked");
    }
}

/// A table that never answers a write of anything but parked deliveries.
struct NotesHang(MemoryTable);

impl Table for NotesHang {
    async fn get(&self, key: &Key) -> Result<Option<Attributes>, TableError> {
        self.0.get(key).await
    }

    async fn query(&self, query: &Query, limit: u32, after: Option<&Cursor>) -> Result<Page, TableError> {
        self.0.query(query, limit, after).await
    }

    async fn add(&self, _: &Key, _: &str, _: i64, _: Attributes) -> Result<Attributes, TableError> {
        std::future::pending().await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        let is_parked = |write: &Write| match write {
            Write::Put { key, .. } | Write::Delete { key, .. } => key.pk.starts_with("PARKED#"),
            _ => false,
        };
        if !writes.iter().all(is_parked) {
            std::future::pending::<()>().await;
        }
        self.0.write(writes).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_only_noted_does_not_hold_up_a_drain() {
    let ports = Ports::with_hook().await;
    let hanging = NotesHang(ports.table.clone());
    let ingest = Ingest::new(hanging, ports.events.clone(), ports.keys.clone(), ports.edge.clone());
    ports.events.set_down(true);
    assert_eq!(answer(&ingest, &delivery("c1", &body(1), &secret())).await, Answer::Parked);
    ports.events.set_down(false);
    let woken = timeout(Duration::from_secs(1), ingest.woken("{}")).await;
    assert_eq!(woken.expect("in time"), Done::Drained(Drained { sent: 1, left: false }));
    assert_eq!(ports.parked(), []);
    assert_eq!(bodies(&ports), [body(1)]);
}
