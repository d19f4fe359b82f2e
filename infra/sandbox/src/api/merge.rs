//! Merging a pull request, at once or as a task that is polled.

use serde::Deserialize;
use serde_json::json;

use super::{Answer, Call, Reply, pullrequests::shown, source::author_of};
use crate::{
    errors::Problem,
    events::RefMove,
    git::{MergeFailure, Signature, Strategy},
    random,
    world::{Actor, MergeTask, MergeWish, PullRequestState},
};

/// How long a merge message may be, in bytes.
const LONGEST_MESSAGE: usize = 128 * 1024;

#[derive(Debug, Deserialize)]
struct Wish {
    message: Option<String>,
    close_source_branch: Option<bool>,
    merge_strategy: Option<String>,
}

pub(super) fn post(call: &mut Call<'_>, at: usize, pull: usize) -> Answer {
    let wish: Wish = call.json()?;
    let name = wish.merge_strategy.as_deref().unwrap_or("merge_commit");
    let strategy = Strategy::named(name)
        .ok_or_else(|| Problem::field("merge_strategy", format!("Unknown merge strategy: {name}")))?;
    if wish.message.as_ref().is_some_and(|message| message.len() > LONGEST_MESSAGE) {
        return Err(Problem::field("message", "The message is longer than 128 KiB."));
    }
    let actor = call.caller.ok_or(Problem::Unauthorized)?.actor.clone();
    let wish = MergeWish { strategy, message: wish.message, close_source_branch: wish.close_source_branch };
    let target = &call.world.repositories[at].pull_requests[pull];
    if target.state != PullRequestState::Open {
        return Err(closed());
    }
    let later = call.request.parameter("async") == Some("true") || call.world.behaviour.merge_slow;
    if !later {
        carry_out(call, at, pull, &actor, &wish)?;
        return Ok(Reply::json(200, shown(call, at, pull)));
    }
    let id = random::uuid(call.seed, "merge task");
    let location = task_url(call, at, target.id, &id);
    let task = MergeTask {
        id,
        pull_request: target.id,
        actor,
        wish,
        polls_left: call.world.behaviour.merge_pending_polls,
        outcome: None,
    };
    call.world.repositories[at].merges.push(task);
    Ok(Reply::empty(202).with("location", location))
}

/// The state of a merge task. An unknown one is pending for ever, as was seen.
pub(super) fn task(call: &mut Call<'_>, at: usize, id: &str) -> Answer {
    let tasks = &mut call.world.repositories[at].merges;
    let found = tasks.iter().position(|task| task.id == id);
    let number = call.request.segments.get(4).cloned().unwrap_or_default();
    let url = task_url(call, at, number.parse().unwrap_or(0), id);
    let pending = json!({"task_status": "PENDING", "links": {"self": {"href": url}}});
    let Some(found) = found else { return Ok(Reply::json(200, pending)) };
    let task = &mut call.world.repositories[at].merges[found];
    if call.caller.is_none_or(|caller| caller.actor != task.actor) {
        return Err(Problem::Forbidden("Only the user who started the merge may see its status.".to_owned()));
    }
    if task.outcome.is_none() && task.polls_left > 0 {
        task.polls_left -= 1;
        return Ok(Reply::json(200, pending));
    }
    let task = task.clone();
    let pulls = &call.world.repositories[at].pull_requests;
    let missing = || Problem::NotFound(format!("Pull request {} not found", task.pull_request));
    let pull = pulls.iter().position(|pull| pull.id == task.pull_request).ok_or_else(missing)?;
    let outcome = match task.outcome {
        Some(outcome) => outcome,
        None => carry_out(call, at, pull, &task.actor, &task.wish),
    };
    call.world.repositories[at].merges[found].outcome = Some(outcome.clone());
    outcome?;
    let body = json!({
        "task_status": "SUCCESS",
        "merge_result": shown(call, at, pull),
        "links": {"self": {"href": url}},
    });
    Ok(Reply::json(200, body))
}

fn task_url(call: &Call<'_>, at: usize, pull: u64, id: &str) -> String {
    let full_name = call.world.repositories[at].full_name();
    format!("{}/repositories/{full_name}/pullrequests/{pull}/merge/task-status/{id}", call.world.api())
}

pub(super) fn closed() -> Problem {
    Problem::field("newstatus", "This pull request is already closed.")
}

/// Merges; a push to the destination, perhaps one that closes the source, then the pull request's
/// own event.
fn carry_out(
    call: &mut Call<'_>,
    at: usize,
    pull: usize,
    actor: &Actor,
    wish: &MergeWish,
) -> Result<(), Problem> {
    let repository = &call.world.repositories[at];
    let target = repository.pull_requests[pull].clone();
    if target.state != PullRequestState::Open {
        return Err(closed());
    }
    let gone = || Problem::bad(format!("Branch not found: {}", target.source));
    let source = repository.git.branches.get(&target.source).cloned().ok_or_else(gone)?;
    let destination = repository.git.branches.get(&target.destination).cloned();
    let destination =
        destination.ok_or_else(|| Problem::Conflict("The destination branch is gone.".to_owned()))?;
    let message = wish.message.clone().unwrap_or_else(|| {
        format!("Merged in {} (pull request #{})\n\n{}\n", target.source, target.id, target.title)
    });
    let signature = Signature { author: author_of(call.world, actor), date: call.now, message };
    let git = &mut call.world.repositories[at].git;
    let merged =
        git.merge(&source, &destination, wish.strategy, signature).map_err(|failure| match failure {
            MergeFailure::Conflict(paths) => Problem::bad(format!(
                "You can't merge until you resolve all merge conflicts: {}",
                paths.join(", ")
            )),
            MergeFailure::NotFastForward => {
                Problem::bad("The merge strategy is not possible: not a fast forward.")
            }
            MergeFailure::Unrelated => Problem::bad("The branches have nothing in common."),
        })?;
    let close = wish.close_source_branch.unwrap_or(target.close_source_branch);
    let now = call.now;
    let closing = &mut call.world.repositories[at].pull_requests[pull];
    // Closed first, so that the pushes below do not count as changes to it.
    closing.state = PullRequestState::Merged;
    closing.source_hash.clone_from(&source);
    closing.destination_hash.clone_from(&destination);
    closing.merge_commit = Some(merged.clone());
    closing.close_source_branch = close;
    closing.closed_by = Some(actor.clone());
    closing.updated = now;
    let push = RefMove { name: target.destination, is_tag: false, old: Some(destination), new: Some(merged) };
    call.move_ref(at, push);
    if close && call.world.repositories[at].main.as_deref() != Some(target.source.as_str()) {
        call.move_ref(at, RefMove { name: target.source, is_tag: false, old: Some(source), new: None });
    }
    call.emit_pull_request(at, pull, "pullrequest:fulfilled", json!({}));
    Ok(())
}
