//! What every backlog promises, tried on the one in memory and on the stand-in's SQS alike.

use bucketwheel::memory::MemoryBacklog;
use bucketwheel::ports::{Attribute, Backlog, DeadLetter, Inbox};

use crate::world::World;
use crate::world::queues::OwnQueue;

/// Runs each promise on both, with queues of its own.
macro_rules! promises {
    ($($name:ident $queue:literal)*) => {
        mod in_memory {
            $(#[tokio::test] async fn $name() {
                let backlog = match $queue.ends_with(".fifo") {
                    true => super::MemoryBacklog::ordered(),
                    false => super::MemoryBacklog::default(),
                };
                super::$name(&backlog.clone(), &super::Yard::Memory(backlog)).await;
            })*
        }
        mod on_sqs {
            $(#[tokio::test] async fn $name() {
                let queue = super::World::running().await.own_queue($queue).await;
                super::$name(&queue.backlog.clone(), &super::Yard::Sqs(queue)).await;
            })*
        }
    };
}

promises! {
    a_dead_letter_is_seen_as_it_was_buried "seen"
    what_is_put_back_comes_again "back"
    what_is_hidden_is_not_taken_twice "hidden"
    a_letter_that_is_sent_again_lives_with_all_that_belongs_to_it "again"
    an_ordered_queue_takes_a_copy_once "once.fifo"
    an_ordered_queue_gives_its_dead_letters_in_order "order.fifo"
    depths_count_the_living_and_the_dead "depths"
}

/// Where the letters come from and go to.
enum Yard {
    Memory(MemoryBacklog),
    Sqs(OwnQueue),
}

impl Yard {
    /// Buries a letter, perhaps with a cause; gives what it was made of.
    async fn bury(&self, body: &str, group: Option<&str>, cause: Option<&str>) {
        let letter = DeadLetter {
            id: format!("id-{body}"),
            body: body.to_owned(),
            cause: cause.map(str::to_owned),
            attributes: vec![text("traceparent", "00-1")],
            group: group.map(str::to_owned),
            sent_at: "2026-11-21T05:10:00Z".parse().expect("a time"),
            receives: 0,
            receipt: String::new(),
        };
        match (self, cause) {
            (Yard::Memory(backlog), _) => backlog.bury(letter),
            (Yard::Sqs(queue), Some(cause)) => queue.inbox.bury(body, cause).await.expect("buried"),
            (Yard::Sqs(queue), None) => queue.mirror.send_again(&letter).await.expect("buried"),
        }
    }

    /// All that lives.
    async fn living(&self) -> Vec<DeadLetter> {
        match self {
            Yard::Memory(backlog) => backlog.living(),
            Yard::Sqs(queue) => all(&queue.mirror).await,
        }
    }
}

fn text(name: &str, value: &str) -> Attribute {
    Attribute { name: name.to_owned(), kind: "String".to_owned(), value: value.into() }
}

/// Takes until there is no more.
async fn all(backlog: &impl Backlog) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    loop {
        let taken = backlog.take(60).await.expect("taken");
        if taken.is_empty() {
            return letters;
        }
        letters.extend(taken);
    }
}

fn bodies(letters: &[DeadLetter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.body.as_str()).collect()
}

async fn put_back(backlog: &impl Backlog, letters: Vec<DeadLetter>) {
    let receipts: Vec<_> = letters.into_iter().map(|letter| letter.receipt).collect();
    backlog.put_back(&receipts).await.expect("put back");
}

async fn a_dead_letter_is_seen_as_it_was_buried(backlog: &impl Backlog, yard: &Yard) {
    assert_eq!(backlog.take(60).await.expect("taken"), []);
    yard.bury("ä <b>", None, Some("it is no call")).await;
    let [letter] = &all(backlog).await[..] else { panic!("one letter") };
    assert_eq!((letter.body.as_str(), letter.cause.as_deref()), ("ä <b>", Some("it is no call")));
    assert_eq!((letter.receives, letter.group.as_deref()), (1, None));
    assert!(letter.sent_at.as_second() > 0 && !letter.id.is_empty());
}

async fn what_is_put_back_comes_again(backlog: &impl Backlog, yard: &Yard) {
    yard.bury("a", None, None).await;
    yard.bury("b", None, None).await;
    let letters = all(backlog).await;
    let ids: Vec<_> = letters.iter().map(|letter| letter.id.clone()).collect();
    put_back(backlog, letters).await;
    let mut again = all(backlog).await;
    again.sort_by_key(|letter| ids.iter().position(|id| *id == letter.id));
    assert_eq!(again.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>(), ids);
    assert!(again.iter().all(|letter| letter.receives == 2));
    // Nobody minds a receipt that is not worth anything any more.
    backlog.remove(&again[0]).await.expect("removed");
    put_back(backlog, again).await;
    assert_eq!(all(backlog).await.len(), 1);
}

async fn what_is_hidden_is_not_taken_twice(backlog: &impl Backlog, yard: &Yard) {
    for number in 0..23 {
        yard.bury(&number.to_string(), None, None).await;
    }
    let letters = all(backlog).await;
    let mut seen: Vec<_> =
        letters.iter().map(|letter| letter.body.parse::<i32>().expect("a number")).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..23).collect::<Vec<_>>());
}

async fn a_letter_that_is_sent_again_lives_with_all_that_belongs_to_it(backlog: &impl Backlog, yard: &Yard) {
    yard.bury("a", Some("fair"), None).await;
    let letters = all(backlog).await;
    let mut letter = letters[0].clone();
    letter.attributes.push(Attribute {
        name: "raw".to_owned(),
        kind: "Binary".to_owned(),
        value: vec![0, 255],
    });
    letter.attributes.sort_by(|one, two| one.name.cmp(&two.name));
    letter.cause = Some("no more".to_owned());
    backlog.send_again(&letter).await.expect("sent");
    backlog.remove(&letter).await.expect("removed");
    let [living] = &yard.living().await[..] else { panic!("one message") };
    assert_eq!((living.body.as_str(), living.group.as_deref(), &living.cause), ("a", Some("fair"), &None));
    assert_eq!(living.attributes, letter.attributes);
    put_back(backlog, letters).await;
    assert_eq!(all(backlog).await, []);
}

async fn an_ordered_queue_takes_a_copy_once(backlog: &impl Backlog, yard: &Yard) {
    yard.bury("a", Some("g"), None).await;
    let letter = all(backlog).await.remove(0);
    backlog.send_again(&letter).await.expect("sent");
    backlog.send_again(&letter).await.expect("sent again after a crash");
    let living = yard.living().await;
    assert_eq!((bodies(&living), living[0].group.as_deref()), (vec!["a"], Some("g")));
}

async fn an_ordered_queue_gives_its_dead_letters_in_order(backlog: &impl Backlog, yard: &Yard) {
    for body in ["a1", "a2", "a3"] {
        yard.bury(body, Some("a"), None).await;
    }
    let taken = backlog.take(60).await.expect("taken");
    assert_eq!(bodies(&taken), ["a1", "a2", "a3"]);
    yard.bury("a4", Some("a"), None).await;
    yard.bury("b1", Some("b"), None).await;
    assert_eq!(bodies(&all(backlog).await), ["b1"], "no more of a group while some are hidden");
    put_back(backlog, taken).await;
    assert_eq!(bodies(&all(backlog).await), ["a1", "a2", "a3", "a4"]);
}

async fn depths_count_the_living_and_the_dead(backlog: &impl Backlog, yard: &Yard) {
    for body in ["a", "b", "c"] {
        yard.bury(body, None, None).await;
    }
    let letters = all(backlog).await;
    backlog.send_again(&letters[0]).await.expect("sent");
    backlog.remove(&letters[0]).await.expect("removed");
    let depths = backlog.depths().await.expect("depths");
    assert_eq!((depths.living.waiting, depths.dead.waiting, depths.dead.hidden), (1, 0, 2));
    put_back(backlog, letters).await;
    assert_eq!(backlog.depths().await.expect("depths").dead.waiting, 2);
}
