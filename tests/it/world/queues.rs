//! The stack's queues by their words, and queues of a test's own, with their dead-letter queues.

use std::collections::BTreeMap;

use bucketwheel::aws::{SqsBacklog, SqsInbox};
use bucketwheel::ports::{Backlog as _, DeadLetter, Inbox as _};

use super::World;

/// A queue of a test's own.
pub(crate) struct OwnQueue {
    pub(crate) backlog: SqsBacklog,
    /// The same two queues the other way round: takes what lives, and sends to the dead.
    pub(crate) mirror: SqsBacklog,
    /// What buries messages with a cause.
    pub(crate) inbox: SqsInbox,
}

impl World {
    /// The word of each queue of the stack, by its address: `calls`, and `dead calls` for its dead letters.
    pub(crate) async fn queue_words(&self) -> BTreeMap<String, String> {
        let settings = self.local().environment("console").await.expect("the console is deployed");
        let word = |(name, url): (String, String)| {
            let name = name.strip_prefix("BUCKETWHEEL_")?.to_lowercase();
            let living = name.strip_suffix("_queue").map(str::to_owned);
            Some((url, living.or_else(|| Some(format!("dead {}", name.strip_suffix("_dlq")?)))?))
        };
        settings.into_iter().filter_map(word).collect()
    }

    /// All that lies in the dead-letter queues, as one text each, with its queue's word. It is hidden for a
    /// while.
    pub(crate) async fn dead_letters(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (url, word) in self.queue_words().await {
            let backlog = SqsBacklog::new(&self.account, String::new(), url);
            while word.starts_with("dead ") {
                let letters = backlog.take(60).await.expect("taken");
                if letters.is_empty() {
                    break;
                }
                let text = |letter: DeadLetter| {
                    let values = letter.attributes.iter().map(|of| String::from_utf8_lossy(&of.value));
                    let values = values.collect::<Vec<_>>().join("\n");
                    [letter.body, letter.cause.unwrap_or_default(), letter.group.unwrap_or_default(), values]
                        .join("\n")
                };
                all.extend(letters.into_iter().map(|letter| (word.clone(), text(letter))));
            }
        }
        all
    }

    /// Buries a message of the calls queue.
    pub(crate) async fn bury(&self, body: &str, cause: &str) {
        let outputs = &self.local().outputs;
        let (url, dead_url) = (outputs.calls_queue_url.clone(), outputs.calls_dlq_url.clone());
        SqsInbox::new(&self.account, url, dead_url).bury(body, cause).await.expect("buried");
    }

    /// Makes a queue; ordered if its name says `.fifo`.
    pub(crate) async fn own_queue(&self, name: &str) -> OwnQueue {
        let make = async |name: String| self.local().queue(&name).await.expect("a queue");
        let (url, dead) = (make(name.to_owned()).await, make(format!("dead-{name}")).await);
        let backlog = |url: &String, dead: &String| SqsBacklog::new(&self.account, url.clone(), dead.clone());
        OwnQueue {
            backlog: backlog(&url, &dead),
            mirror: backlog(&dead, &url),
            inbox: SqsInbox::new(&self.account, url, dead),
        }
    }
}
