//! `bucketwheel events`: what is on the events queue.

use std::collections::HashSet;

use bucketwheel::aws::{Incoming, SqsQueue};
use bucketwheel::event::Envelope;
use clap::Subcommand;

use crate::profile::Profile;
use crate::screen::{Screen, harmless, say};

/// The queue gives a message to its dead-letter queue after ten receives; a look counts as one. So we stop
/// while consumers still have most of theirs.
const MOST_LOOKS: u32 = 4;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show events as they come
    ///
    /// A queue has no way to look without receiving. Without --take each message is received and left
    /// where it is. That has three limits. Of a repository whose events nobody takes, only the oldest ten
    /// are seen. Each look counts as a receive, and after ten receives SQS moves a message to the
    /// dead-letter queue, so this command looks at most four times and then ends. And for the moment of a
    /// look the repository's events are locked for other consumers.
    ///
    /// With --take each event is shown and removed from the queue: other consumers do not get it. Use that
    /// where there are none, such as on your own machine.
    #[command(verbatim_doc_comment)]
    Tail {
        /// Remove what is shown from the queue
        #[arg(long)]
        take: bool,
        /// End after this many events
        #[arg(long, value_name = "NUMBER")]
        count: Option<usize>,
        /// Show the bodies too; with --json they always are
        #[arg(long)]
        bodies: bool,
    },
}

pub(crate) async fn obey(profile: &Profile, screen: Screen, verb: Verb) -> Result<(), crate::Error> {
    let Verb::Tail { take, count, bodies } = verb;
    let queue = SqsQueue::new(&profile.account()?, profile.events_queue.clone());
    let (mut shown, mut seen) = (0, HashSet::new());
    while count.is_none_or(|count| shown < count) {
        let messages = if take { queue.receive(20).await? } else { queue.peek(5).await? };
        let mut worn = false;
        for message in messages {
            if count.is_some_and(|count| shown >= count) {
                break;
            }
            worn |= message.receives >= MOST_LOOKS;
            let id = Envelope::parse(&message.body).map(|envelope| envelope.id).unwrap_or_default();
            if seen.insert(id) {
                show(&message, screen, bodies);
                shown += 1;
            }
            if take {
                queue.delete(&message).await?;
            }
        }
        if worn && !take {
            screen.aside(
                "Further looks would bring these events nearer to the dead-letter queue. Use --take to see the others.",
            );
            break;
        }
    }
    Ok(())
}

fn show(message: &Incoming, screen: Screen, bodies: bool) {
    // An envelope is JSON already; what it carries stays as Bitbucket sent it.
    if screen == Screen::Json {
        say(&message.body);
        return;
    }
    let Ok(envelope) = Envelope::parse(&message.body) else {
        say(&format!("not an event of Bucketwheel, {} bytes", message.body.len()));
        return;
    };
    say(&harmless(&format!(
        "{}  {:<36}  {:<32}  {}",
        envelope.time,
        envelope.event_key(),
        envelope.subject.as_deref().unwrap_or("-"),
        envelope.id.get(..12).unwrap_or(&envelope.id),
    )));
    if bodies && let Ok(body) = envelope.body() {
        String::from_utf8_lossy(&body).lines().for_each(|line| say(&harmless(line)));
    }
}
