//! Pull requests: creating one twice changes the first, without saying so.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call, Reply, comments, commits, merge, page::MOST};
use crate::{
    caller::Level,
    errors::Problem,
    scope,
    world::{Actor, Participant, PullRequest, PullRequestState, Repository},
};

/// Pages of pull requests are shorter than others.
const MOST_PULL_REQUESTS: usize = 50;

#[derive(Debug, Deserialize)]
struct Wish {
    title: Option<String>,
    description: Option<String>,
    source: Option<Side>,
    destination: Option<Side>,
    reviewers: Option<Vec<Reviewer>>,
    close_source_branch: Option<bool>,
    draft: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Side {
    branch: Branch,
}

#[derive(Debug, Deserialize)]
struct Branch {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Reviewer {
    uuid: Option<String>,
    account_id: Option<String>,
}

/// Everything below `/pullrequests`.
pub(super) fn dispatch(call: &mut Call<'_>, ws: &str, slug: &str, rest: &[&str]) -> Answer {
    let method = call.request.method.as_str();
    let comments = matches!(rest, [_, "comments"]);
    let reads = method == "GET" || (method == "POST" && comments);
    call.needs(if reads { &scope::PULL_REQUEST } else { &scope::PULL_REQUEST_WRITE })?;
    let merges = matches!(rest, [_, "merge"]);
    let at = call.repository(ws, slug, if merges { Level::Write } else { Level::Read })?;
    match (method, rest) {
        ("GET", []) => list(call, at),
        ("POST", []) => create(call, at),
        (_, [id, rest @ ..]) => {
            // Some of Bitbucket's own answers to an unknown id are bare text.
            let missing = || if rest == ["merge"] { Problem::NotFoundText } else { not_found(id) };
            let pull_requests = &call.world.repositories[at].pull_requests;
            let number: Option<u64> = id.parse().ok();
            let pull = pull_requests.iter().position(|pull| Some(pull.id) == number).ok_or_else(missing)?;
            one(call, at, pull, rest)
        }
        _ => Err(Problem::NoSuchApi),
    }
}

fn one(call: &mut Call<'_>, at: usize, pull: usize, rest: &[&str]) -> Answer {
    match (call.request.method.as_str(), rest) {
        ("GET", []) => Ok(Reply::json(200, shown(call, at, pull))),
        ("PUT", []) => change(call, at, pull),
        ("POST", ["approve"]) => review(call, at, pull, Some("approved")),
        ("DELETE", ["approve"]) => review(call, at, pull, None),
        ("POST", ["request-changes"]) => review(call, at, pull, Some("changes_requested")),
        ("DELETE", ["request-changes"]) => review(call, at, pull, None),
        ("POST", ["decline"]) => decline(call, at, pull),
        ("POST", ["merge"]) => merge::post(call, at, pull),
        ("GET", ["merge", "task-status", task]) => merge::task(call, at, task),
        (_, ["comments", rest @ ..]) => comments::dispatch(call, at, pull, rest),
        ("GET", ["commits"]) => {
            let repository = &call.world.repositories[at];
            let pull = &repository.pull_requests[pull];
            let log = repository
                .git
                .log(std::slice::from_ref(&pull.source_hash), std::slice::from_ref(&pull.destination_hash));
            let values = log.into_iter().map(|commit| call.world.commit_json(repository, commit)).collect();
            call.page_with(values, MOST, false)
        }
        ("GET", ["diffstat"]) => {
            let repository = &call.world.repositories[at];
            let pull = &repository.pull_requests[pull];
            let base = repository.git.merge_base(&pull.source_hash, &pull.destination_hash);
            let base = base.map(|base| base.hash.as_str());
            call.page(commits::changes(call, repository, base, &pull.source_hash), 500)
        }
        ("GET", ["statuses"]) => {
            let repository = &call.world.repositories[at];
            let tip = &repository.pull_requests[pull].source_hash;
            let statuses = repository.statuses.iter().filter(|status| status.commit == *tip);
            call.page(statuses.map(|status| call.world.status_json(repository, status)).collect(), MOST)
        }
        _ => Err(Problem::NoSuchApi),
    }
}

pub(super) fn shown(call: &Call<'_>, at: usize, pull: usize) -> Value {
    let repository = &call.world.repositories[at];
    call.world.pull_request_json(repository, &repository.pull_requests[pull])
}

fn not_found(id: &str) -> Problem {
    Problem::NotFound(format!("Pull request {id} not found"))
}

fn list(call: &mut Call<'_>, at: usize) -> Answer {
    let states: Vec<String> = call.request.parameters("state").map(str::to_uppercase).collect();
    let asked = call.request.parameter("q").is_some();
    let wanted = |pull: &&PullRequest| {
        let state = pull.state.word();
        // With `q`, `state` is not looked at.
        asked || if states.is_empty() { state == "OPEN" } else { states.iter().any(|known| known == state) }
    };
    let repository = &call.world.repositories[at];
    let newest_first = repository.pull_requests.iter().rev().filter(wanted);
    let values = newest_first.map(|pull| call.world.pull_request_json(repository, pull)).collect();
    call.page(values, MOST_PULL_REQUESTS)
}

fn create(call: &mut Call<'_>, at: usize) -> Answer {
    let wish: Wish = call.json()?;
    let author = call.caller.ok_or(Problem::Unauthorized)?.actor.clone();
    let repository = &call.world.repositories[at];
    let required = |field: &str| Problem::Bad {
        message: "Bad request".to_owned(),
        fields: Some(json!({ field: "required key not provided" })),
    };
    let title = wish.title.clone().ok_or_else(|| required("title"))?;
    let source = wish.source.as_ref().ok_or_else(|| required("source"))?.branch.name.clone();
    let destination = wish.destination.as_ref().map(|side| side.branch.name.clone());
    let destination = destination.or(repository.main.clone()).unwrap_or_default();
    let source_hash = tip(repository, "source", &source)?;
    let destination_hash = tip(repository, "destination", &destination)?;
    if repository.git.is_ancestor(&source_hash, &destination_hash) {
        return Err(Problem::bad("There are no changes to be pulled"));
    }
    let reviewers = reviewers(call, wish.reviewers.as_deref().unwrap_or_default(), &author)?;
    let same = |pull: &PullRequest| {
        pull.state == PullRequestState::Open && pull.source == source && pull.destination == destination
    };
    if let Some(open) = repository.pull_requests.iter().position(same) {
        let pull = &mut call.world.repositories[at].pull_requests[open];
        pull.title = title;
        pull.description = wish.description.unwrap_or_default();
        pull.reviewers = reviewers;
        pull.close_source_branch = wish.close_source_branch.unwrap_or(false);
        pull.draft = wish.draft.unwrap_or(pull.draft);
        pull.updated = call.now;
        call.emit_pull_request(at, open, "pullrequest:updated", json!({}));
        return Ok(Reply::json(201, shown(call, at, open)));
    }
    let id = repository.pull_requests.iter().map(|pull| pull.id).max().unwrap_or(0) + 1;
    let pull = PullRequest {
        id,
        title,
        description: wish.description.unwrap_or_default(),
        state: PullRequestState::Open,
        draft: wish.draft.unwrap_or(false),
        source,
        source_hash,
        destination,
        destination_hash,
        author,
        reviewers,
        participants: Vec::new(),
        comments: Vec::new(),
        close_source_branch: wish.close_source_branch.unwrap_or(false),
        merge_commit: None,
        closed_by: None,
        reason: String::new(),
        created: call.now,
        updated: call.now,
    };
    let pull_requests = &mut call.world.repositories[at].pull_requests;
    pull_requests.push(pull);
    let new = pull_requests.len() - 1;
    call.emit_pull_request(at, new, "pullrequest:created", json!({}));
    let reply = shown(call, at, new);
    let location = reply["links"]["self"]["href"].as_str().unwrap_or_default().to_owned();
    Ok(Reply::json(201, reply).with("location", location))
}

fn tip(repository: &Repository, side: &str, branch: &str) -> Result<String, Problem> {
    let tip = repository.git.branches.get(branch).cloned();
    tip.ok_or_else(|| Problem::field(side, format!("branch not found: {branch}")))
}

fn reviewers(call: &Call<'_>, wanted: &[Reviewer], author: &Actor) -> Result<Vec<String>, Problem> {
    let mut uuids = Vec::new();
    for reviewer in wanted {
        let of_account = |uuid: &str| {
            let tail = reviewer.account_id.as_deref().and_then(|id| id.rsplit(':').next());
            tail == Some(uuid.trim_matches(['{', '}']))
        };
        let known = call.world.users.iter().find(|user| {
            reviewer.uuid.as_ref().map_or_else(|| of_account(&user.uuid), |uuid| *uuid == user.uuid)
        });
        let name = reviewer.uuid.as_ref().or(reviewer.account_id.as_ref()).cloned().unwrap_or_default();
        let user = known.ok_or_else(|| Problem::field("reviewers", format!("Unknown user: {name}")))?;
        if user.uuid == author.uuid() {
            let text = format!("{} is the author and cannot be included as a reviewer.", user.display_name);
            return Err(Problem::field("reviewers", text));
        }
        if !uuids.contains(&user.uuid) {
            uuids.push(user.uuid.clone());
        }
    }
    Ok(uuids)
}

/// Changes an open pull request; the list of reviewers replaces the old one.
fn change(call: &mut Call<'_>, at: usize, pull: usize) -> Answer {
    let wish: Wish = call.json()?;
    let repository = &call.world.repositories[at];
    let before = &repository.pull_requests[pull];
    if before.state != PullRequestState::Open {
        return Err(Problem::bad("Only open pull requests can be mutated"));
    }
    let author = before.author.clone();
    let destination = match &wish.destination {
        Some(side) => Some((side.branch.name.clone(), tip(repository, "destination", &side.branch.name)?)),
        None => None,
    };
    let reviewers = match &wish.reviewers {
        Some(wanted) => Some(reviewers(call, wanted, &author)?),
        None => None,
    };
    let now = call.now;
    let target = &mut call.world.repositories[at].pull_requests[pull];
    if let Some((branch, hash)) = destination {
        (target.destination, target.destination_hash) = (branch, hash);
    }
    target.title = wish.title.unwrap_or_else(|| target.title.clone());
    target.description = wish.description.unwrap_or_else(|| target.description.clone());
    target.reviewers = reviewers.unwrap_or_else(|| target.reviewers.clone());
    target.close_source_branch = wish.close_source_branch.unwrap_or(target.close_source_branch);
    target.draft = wish.draft.unwrap_or(target.draft);
    target.updated = now;
    call.emit_pull_request(at, pull, "pullrequest:updated", json!({}));
    Ok(Reply::json(200, shown(call, at, pull)))
}

/// Approves, asks for changes, or takes either back.
fn review(call: &mut Call<'_>, at: usize, pull: usize, state: Option<&'static str>) -> Answer {
    let actor = call.caller.ok_or(Problem::Unauthorized)?.actor.clone();
    let now = call.now;
    let target = &mut call.world.repositories[at].pull_requests[pull];
    if target.state != PullRequestState::Open {
        return Err(Problem::bad("This pull request is already closed."));
    }
    let known = target.participants.iter().position(|participant| participant.actor == actor);
    let before = known.and_then(|known| target.participants[known].state);
    let place = known.unwrap_or_else(|| {
        target.participants.push(Participant { actor: actor.clone(), state: None, on: now });
        target.participants.len() - 1
    });
    target.participants[place].state = state;
    target.participants[place].on = now;
    let repository = &call.world.repositories[at];
    let target = &repository.pull_requests[pull];
    let json = call.world.participant_json(target, &target.participants[place]);
    let date_and_user = json!({"date": json["participated_on"], "user": json["user"]});
    let asks_for_changes = call.request.path.ends_with("request-changes");
    let (event, field) = match (asks_for_changes, state.is_some()) {
        (false, true) => ("pullrequest:approved", "approval"),
        (false, false) => ("pullrequest:unapproved", "approval"),
        (true, true) => ("pullrequest:changes_request_created", "changes_request"),
        (true, false) => ("pullrequest:changes_request_removed", "changes_request"),
    };
    if before != state {
        call.emit_pull_request(at, pull, event, json!({ field: date_and_user }));
    }
    Ok(if state.is_some() { Reply::json(200, json) } else { Reply::empty(204) })
}

fn decline(call: &mut Call<'_>, at: usize, pull: usize) -> Answer {
    let actor = call.caller.ok_or(Problem::Unauthorized)?.actor.clone();
    let now = call.now;
    let target = &mut call.world.repositories[at].pull_requests[pull];
    if target.state != PullRequestState::Open {
        return Err(merge::closed());
    }
    target.state = PullRequestState::Declined;
    target.closed_by = Some(actor);
    target.updated = now;
    call.emit_pull_request(at, pull, "pullrequest:rejected", json!({}));
    Ok(Reply::json(200, shown(call, at, pull)))
}
