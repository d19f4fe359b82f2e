//! Comments on pull requests.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call, Reply, page::MOST};
use crate::{
    clock::after,
    errors::Problem,
    world::{Comment, Participant},
};

#[derive(Debug, Deserialize)]
struct Remark {
    content: Text,
    parent: Option<Parent>,
    inline: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Text {
    raw: String,
}

#[derive(Debug, Deserialize)]
struct Parent {
    id: u64,
}

/// Everything below `/comments`.
pub(super) fn dispatch(call: &mut Call<'_>, at: usize, pull: usize, rest: &[&str]) -> Answer {
    match (call.request.method.as_str(), rest) {
        ("GET", []) => list(call, at, pull),
        ("POST", []) => remark(call, at, pull),
        ("GET", [id]) => {
            let comment = find(call, at, pull, id)?;
            Ok(Reply::json(200, shown(call, at, pull, comment)))
        }
        ("PUT", [id]) => edit(call, at, pull, id),
        ("DELETE", [id]) => erase(call, at, pull, id),
        _ => Err(Problem::NoSuchApi),
    }
}

fn list(call: &mut Call<'_>, at: usize, pull: usize) -> Answer {
    let repository = &call.world.repositories[at];
    let pull = &repository.pull_requests[pull];
    let values =
        pull.comments.iter().map(|comment| call.world.comment_json(repository, pull, comment)).collect();
    call.page(values, MOST)
}

fn find(call: &Call<'_>, at: usize, pull: usize, id: &str) -> Result<usize, Problem> {
    let comments = &call.world.repositories[at].pull_requests[pull].comments;
    let number: Option<u64> = id.parse().ok();
    let found = comments.iter().position(|comment| Some(comment.id) == number && !comment.deleted);
    found.ok_or_else(|| Problem::NotFound(format!("Comment {id} not found")))
}

fn shown(call: &Call<'_>, at: usize, pull: usize, comment: usize) -> Value {
    let repository = &call.world.repositories[at];
    let pull = &repository.pull_requests[pull];
    call.world.comment_json(repository, pull, &pull.comments[comment])
}

fn remark(call: &mut Call<'_>, at: usize, pull: usize) -> Answer {
    let actor = call.caller.ok_or(Problem::Unauthorized)?.actor.clone();
    let wish: Remark = call.json()?;
    let now = call.now;
    if let Some(parent) = &wish.parent {
        find(call, at, pull, &parent.id.to_string())?;
    }
    let repository = &mut call.world.repositories[at];
    let last =
        repository.pull_requests.iter().flat_map(|pull| &pull.comments).map(|comment| comment.id).max();
    let target = &mut repository.pull_requests[pull];
    target.comments.push(Comment {
        id: last.unwrap_or(0) + 1,
        actor: actor.clone(),
        raw: wish.content.raw,
        parent: wish.parent.map(|parent| parent.id),
        inline: wish.inline,
        deleted: false,
        created: now,
        updated: now,
    });
    if !target.participants.iter().any(|participant| participant.actor == actor) {
        target.participants.push(Participant { actor, state: None, on: now });
    }
    target.updated = now;
    let new = target.comments.len() - 1;
    let json = shown(call, at, pull, new);
    call.emit_pull_request(at, pull, "pullrequest:comment_created", json!({"comment": json}));
    Ok(Reply::json(201, json))
}

fn edit(call: &mut Call<'_>, at: usize, pull: usize, id: &str) -> Answer {
    let place = own_comment(call, at, pull, id)?;
    let wish: Remark = call.json()?;
    let now = call.now;
    let target = &mut call.world.repositories[at].pull_requests[pull].comments[place];
    // An edit is reported only if ten minutes have passed since the last report.
    let reported = after(target.updated, 600) <= now;
    target.raw = wish.content.raw;
    target.updated = now;
    let json = shown(call, at, pull, place);
    if reported {
        call.emit_pull_request(at, pull, "pullrequest:comment_updated", json!({"comment": json}));
    }
    Ok(Reply::json(200, json))
}

fn erase(call: &mut Call<'_>, at: usize, pull: usize, id: &str) -> Answer {
    let place = own_comment(call, at, pull, id)?;
    call.world.repositories[at].pull_requests[pull].comments[place].deleted = true;
    let json = shown(call, at, pull, place);
    call.emit_pull_request(at, pull, "pullrequest:comment_deleted", json!({ "comment": json }));
    Ok(Reply::empty(204))
}

fn own_comment(call: &Call<'_>, at: usize, pull: usize, id: &str) -> Result<usize, Problem> {
    let place = find(call, at, pull, id)?;
    let author = &call.world.repositories[at].pull_requests[pull].comments[place].actor;
    let own = call.caller.is_some_and(|caller| caller.actor == *author);
    own.then_some(place)
        .ok_or_else(|| Problem::Forbidden("You do not have access to edit this comment.".into()))
}
