//! `/queues`: how much waits, and what died.

use std::sync::Arc;

use axum::extract::State;
use bucketwheel::ports::{Backlog, Edge};
use jiff::Timestamp;
use maud::{Markup, html};

use super::parts::{Tone, ago, badge, table};
use super::{Place, page};
use crate::problem::ErrorAnswer;
use crate::queues::{Glance, QueueName, Queues};

/// What a queue holds, for people.
pub(super) fn holds(name: QueueName) -> &'static str {
    match name {
        QueueName::Events => "What Bitbucket told us, in order per repository. Your automations read it.",
        QueueName::Calls => {
            "Bitbucket API calls to make. A call that waits for its turn is hidden meanwhile."
        }
        QueueName::Results => "What became of calls. Your automations read it.",
        QueueName::Gitops => "Pushes, and clusters to look at, on their way to gitops-sync.",
        QueueName::Changes => {
            "What people changed in the folders of clusters, in order per cluster. Your automations read it."
        }
        QueueName::Refresh => "Wishes to refresh a token now, and pairs of tokens that could not be stored.",
    }
}

/// The page.
pub(crate) async fn show<B: Backlog, E: Edge>(
    State(queues): State<Arc<Queues<B, E>>>,
) -> Result<Markup, ErrorAnswer> {
    let all = queues.glance().await?;
    let now = queues.edge.now();
    let dead: u64 = all.iter().map(|one| one.depths.dead.waiting + one.depths.dead.hidden).sum();
    let content = html! {
        div.title { h1 { "Queues" } }
        @if dead > 0 {
            p.banner.warn {
                strong { "Something could not be worked on. " }
                "A dead letter waits for two weeks after it was sent. Look at it, mend the cause, then send it again."
            }
        }
        div.card.bare { (list(all, now)) }
        p.hint {
            "Counts are SQS's own, which are approximate. How old the oldest living message is, SQS tells CloudWatch "
            "alone: the metric " code { "ApproximateAgeOfOldestMessage" } ", on which the alarms of the stack look."
        }
    };
    Ok(page(Place::Queues, "Queues", &content))
}

fn list(all: Vec<Glance>, now: Timestamp) -> Markup {
    let rows = all.into_iter().map(|Glance { name, depths, oldest_dead }| {
        let dead = depths.dead.waiting + depths.dead.hidden;
        [
            html! { div { a href={ "/queues/" (name) } { (name) } span.hint { (holds(name)) } } },
            html! { span.number { (depths.living.waiting) } },
            html! { span.number { (depths.living.hidden + depths.living.delayed) } },
            html! {
                div {
                    @if dead == 0 { (badge(Tone::Good, "none")) } @else {
                        a href={ "/queues/" (name) } { (badge(Tone::Bad, &dead.to_string())) }
                    }
                }
            },
            html! { @if let Some(oldest) = oldest_dead { span { "sent " (ago(oldest, now)) } } @else { span.faint { "–" } } },
        ]
    });
    table("Queues", ["Queue", "Waiting", "Being worked on", "Dead letters", "Oldest dead letter"], rows)
}
