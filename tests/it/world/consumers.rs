//! What consumers are given to do.

use std::collections::BTreeMap;

use bucketwheel::aws::SqsQueue;
use bucketwheel::event::Envelope;
use bucketwheel::ports::{Outgoing, Queue};
use serde_json::{Value, json};

use super::{World, locked, text, until};

/// Real events of two repositories, by what the test calls them: `first` and `second` of one, `before` and
/// `after` of the other.
pub(crate) struct Events(BTreeMap<&'static str, (String, String)>);

impl Events {
    /// The envelope.
    fn text(&self, name: &str) -> &str {
        &self.0[name].0
    }

    /// The envelope's id.
    pub(crate) fn id(&self, name: &str) -> String {
        Envelope::parse(self.text(name)).expect("an envelope").id
    }

    /// The commit that was pushed.
    pub(crate) fn commit(&self, name: &str) -> &str {
        &self.0[name].1
    }
}

/// Messages in their order, with their groups: one comes twice, and one cannot be read.
pub(crate) struct Poisoned {
    pub(crate) messages: Vec<(&'static str, String)>,
    /// The place of the one that cannot be read.
    pub(crate) poison: usize,
}

impl Poisoned {
    pub(crate) fn of(events: &Events) -> Self {
        let event = |group, name: &str| (group, events.text(name).to_owned());
        let poison = ("other", "what nobody can read".to_owned());
        let messages = vec![
            event("one", "first"),
            event("other", "before"),
            poison,
            event("other", "after"),
            event("one", "first"),
            event("one", "second"),
        ];
        Self { messages, poison: 2 }
    }
}

impl World {
    /// All that was on the events queue so far.
    pub(crate) fn event_texts(&self) -> Vec<String> {
        locked(&self.system.events).clone()
    }

    /// Pushes to two repositories, and what the events queue said of it.
    pub(crate) async fn pushes(&self, name: &str) -> Events {
        let credential = self.connect(name).await;
        let mut events = BTreeMap::new();
        for (repository, names) in [("one", ["first", "second"]), ("other", ["before", "after"])] {
            let repository =
                self.repository(&format!("consumer-{name}-{repository}"), json!({"a": "1"})).await;
            self.hook(&credential, &repository).await;
            for name in names {
                let push = json!({"repository": repository, "files": {"a": name}});
                let commit = text(&self.sandbox("POST", "push", Some(push)).await["commit"]);
                let event = until("the push is on the events queue", async || {
                    let of_push = |text: &&String| text.contains(&credential) && text.contains(&commit);
                    locked(&self.system.events).iter().find(of_push).cloned()
                })
                .await;
                events.insert(name, (event, commit));
            }
        }
        Events(events)
    }

    /// A queue like the events queue, with messages that are hard to handle.
    pub(crate) async fn poisoned_queue(&self, name: &str, events: &Events) -> String {
        let url = self.local().queue(&format!("consumer-{name}.fifo")).await.expect("a queue");
        let queue = SqsQueue::new(&self.account, url.clone());
        for (number, (group, body)) in Poisoned::of(events).messages.into_iter().enumerate() {
            let dedup = Some(number.to_string());
            let message = Outgoing { group: Some(group.to_owned()), dedup, ..Outgoing::plain(body) };
            queue.send(message).await.expect("sent");
        }
        url
    }

    /// What Bitbucket answered to those who set a build status on a consumer's commit. Another repository may
    /// have a commit of the same hash.
    pub(crate) async fn statuses(&self, name: &str, commit: &str) -> Vec<Value> {
        let requests = self.requests("POST", &format!("commit/{commit}/statuses/build")).await;
        let own = format!("/consumer-{name}-");
        let requests = requests.into_iter().filter(|request| text(&request["path"]).contains(&own));
        requests.map(|request| request["status"].clone()).collect()
    }
}
