//! Queues of a test's own, with their dead-letter queues.

use bucketwheel::aws::{SqsBacklog, SqsInbox};
use bucketwheel::ports::Inbox as _;

use super::{World, locked};

/// A queue of a test's own.
pub(crate) struct OwnQueue {
    pub(crate) backlog: SqsBacklog,
    /// The same two queues the other way round: takes what lives, and sends to the dead.
    pub(crate) mirror: SqsBacklog,
    /// What buries messages with a cause.
    pub(crate) inbox: SqsInbox,
}

impl World {
    /// Everything that was taken off the queues of events, outcomes and changes, with the queue's name.
    pub(crate) fn heard(&self) -> Vec<(&'static str, String)> {
        let events = locked(&self.system.events).clone().into_iter().map(|text| ("events", text));
        let changes = locked(&self.system.changes).clone().into_iter().map(|text| ("changes", text));
        let results = locked(&self.system.results).clone().into_iter();
        let results = results.map(|outcome| ("results", serde_json::json!(outcome).to_string()));
        events.chain(changes).chain(results).collect()
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
