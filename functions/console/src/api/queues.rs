//! `/api/queues`: depths, dead letters, and sending them again.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use bucketwheel::ports::{Backlog, Edge};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::guard::Who;
use crate::letter::Whole;
use crate::problem::ErrorAnswer;
use crate::queues::{Glance, Letters, QueueName, Queues, Redriven, Which};
use crate::request::{Body, Id, parameter};

/// How many dead letters are listed, unless `limit` says otherwise.
const USUAL_LIMIT: usize = 50;
const HIGHEST_LIMIT: usize = 200;
/// How many ids one request may name.
const MOST_IDS: usize = 200;

/// What is to be sent again: `{"ids": […]}` or `{"all": true}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    ids: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    dry_run: bool,
}

/// All queues at a glance.
pub(crate) async fn list<B: Backlog, E: Edge>(
    State(queues): State<Arc<Queues<B, E>>>,
) -> Result<Json<Value>, ErrorAnswer> {
    let all = queues.glance().await?;
    let shown = all.into_iter().map(|Glance { name, depths, oldest_dead }| {
        json!({
            "name": name,
            "waiting": depths.living.waiting,
            "hidden": depths.living.hidden,
            "delayed": depths.living.delayed,
            "dead": depths.dead.waiting + depths.dead.hidden,
            "oldest_dead_sent_at": oldest_dead,
        })
    });
    Ok(Json(json!({ "values": shown.collect::<Vec<_>>() })))
}

/// A queue's dead letters.
pub(crate) async fn letters<B: Backlog, E: Edge>(
    State(queues): State<Arc<Queues<B, E>>>,
    Id(name): Id<QueueName>,
    RawQuery(query): RawQuery,
) -> Result<Json<Letters>, ErrorAnswer> {
    let limit = parameter(query.as_deref(), "limit").map_or(Ok(USUAL_LIMIT), |limit| limit.parse());
    let Some(limit) = limit.ok().filter(|limit| (1..=HIGHEST_LIMIT).contains(limit)) else {
        return Err(ErrorAnswer::bad_request(
            "bad_limit",
            format!("limit must be a number from 1 to {HIGHEST_LIMIT}."),
            "Correct it, or leave it out.",
        ));
    };
    let name = name.ok_or_else(no_such_queue)?;
    Ok(Json(queues.letters(name, limit).await?))
}

/// One dead letter.
pub(crate) async fn letter<B: Backlog, E: Edge>(
    State(queues): State<Arc<Queues<B, E>>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Whole>, ErrorAnswer> {
    let Path((name, id)) = path.map_err(|_| no_such_queue())?;
    let name = name.parse().map_err(|()| no_such_queue())?;
    queues.letter(name, &id).await?.map(Json).ok_or_else(no_such_letter)
}

/// Sends dead letters again.
pub(crate) async fn redrive<B: Backlog, E: Edge>(
    State(queues): State<Arc<Queues<B, E>>>,
    Id(name): Id<QueueName>,
    who: Who,
    Body(wish): Body<Wish>,
) -> Result<Json<Redriven>, ErrorAnswer> {
    let name = name.ok_or_else(no_such_queue)?;
    let which = match wish.ids {
        None if wish.all => Which::All,
        Some(ids) if !wish.all && (1..=MOST_IDS).contains(&ids.len()) => Which::These(ids),
        _ => {
            return Err(ErrorAnswer::bad_request(
                "which_letters",
                format!("Either ids names 1 to {MOST_IDS} dead letters, or all is true."),
                "Say which dead letters to send again.",
            ));
        }
    };
    run(&queues, name, &which, wish.dry_run, &who).await.map(Json)
}

/// Redrives, and writes down who did.
pub(crate) async fn run<B: Backlog, E: Edge>(
    queues: &Queues<B, E>,
    name: QueueName,
    which: &Which,
    dry_run: bool,
    who: &Who,
) -> Result<Redriven, ErrorAnswer> {
    let done = queues.redrive(name, which, dry_run).await?;
    if !dry_run {
        tracing::info!(
            queue = name.word(),
            letters = done.letters.len(),
            complete = done.complete,
            actor = who.actor,
            request = who.request,
            "dead letters were sent again"
        );
    }
    Ok(done)
}

pub(crate) fn no_such_queue() -> ErrorAnswer {
    ErrorAnswer::not_found(
        "no_such_queue",
        "There is no queue of this name.",
        "The queues are events, calls, results, refresh, gitops and changes.",
    )
}

pub(crate) fn no_such_letter() -> ErrorAnswer {
    ErrorAnswer::not_found(
        "no_such_letter",
        "There is no dead letter of this id in sight.",
        "List the dead letters again. It may have been sent again, or be hidden while somebody else looks.",
    )
}
