//! Making things happen: pushes, and deliveries of any body.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{Outcome, Refused, bad, parsed};
use crate::{
    Error, Sandbox,
    events::RefMove,
    git::{Edits, Hash, Mode, Signature},
    random, seed,
    world::{Actor, Event, Repository},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Push {
    repository: String,
    branch: Option<String>,
    message: Option<String>,
    /// `Name <mail>`; whose mail is known is also the actor.
    author: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, Option<String>>,
    /// Put the commit on the parent of the tip instead of on the tip.
    #[serde(default)]
    force: bool,
    /// How many commits; the files are in the last one.
    #[serde(default = "one")]
    commits: u32,
    /// A tag to put on the branch's tip, with or without a new commit.
    tag: Option<String>,
    /// Delete the branch, or the tag if one is named.
    #[serde(default)]
    delete: bool,
}

fn one() -> u32 {
    1
}

pub(super) async fn push(State(sandbox): State<Sandbox>, body: Bytes) -> Outcome {
    let wish: Push = parsed(&body)?;
    let seed = random::seed()?;
    let mut world = sandbox.world();
    let missing = || Error::NotFound(format!("repository {}", wish.repository));
    let at = world.repository_named(&wish.repository).ok_or_else(missing)?;
    let now = world.clock.now();
    let author = wish.author.clone().unwrap_or_else(|| format!("Ada Lindt <{}>", seed::ADA_EMAIL));
    let mail = author.split_once('<').map_or("", |(_, rest)| rest.trim_end_matches('>'));
    let person = world.users.iter().find(|user| user.email == mail);
    let actor = Actor::User(person.map_or_else(|| seed::ADA_UUID.to_owned(), |user| user.uuid.clone()));
    let (moves, commit) = moves(&mut world.repositories[at], &wish, &author, now)?;
    world.push(at, &actor, &moves, now);
    let deliveries = sandbox.flush(&mut world, &seed);
    Ok(Json(json!({"commit": commit, "deliveries": deliveries})))
}

/// Writes the commits and says which refs are to move.
fn moves(
    repository: &mut Repository,
    wish: &Push,
    author: &str,
    now: jiff::Timestamp,
) -> Result<(Vec<RefMove>, Option<Hash>), Refused> {
    let branch = wish.branch.clone().or(repository.main.clone()).unwrap_or_else(|| "main".to_owned());
    let git = &mut repository.git;
    let tip = git.branches.get(&branch).cloned();
    if wish.delete {
        let (name, is_tag) = wish.tag.clone().map_or((branch, false), |tag| (tag, true));
        let old = if is_tag { git.tags.get(&name).cloned() } else { tip };
        let old = old.ok_or_else(|| Error::NotFound(format!("ref {name}")))?;
        return Ok((vec![RefMove { name, is_tag, old: Some(old), new: None }], None));
    }
    let mut moves = Vec::new();
    let main = repository.main.as_ref().and_then(|main| git.branches.get(main)).cloned();
    let mut new = tip.clone().or(main);
    if wish.force {
        new = new.and_then(|tip| git.commit(&tip)?.parents.first().cloned());
    }
    let only_tag = wish.tag.is_some() && wish.files.is_empty() && wish.message.is_none();
    if !only_tag {
        for number in 1..=wish.commits {
            let last = number == wish.commits;
            let text = wish.message.clone().unwrap_or_else(|| "A push\n".to_owned());
            let message = if last { text } else { format!("{} ({number})\n", text.trim_end()) };
            let edits: Edits = wish
                .files
                .iter()
                .filter(|_| last)
                .map(|(path, content)| {
                    (path.clone(), content.clone().map(|content| (content.into(), Mode::File)))
                })
                .collect();
            let before = git.tree_of(new.as_deref());
            let tree = git.edited(&before, &edits).map_err(|path| bad(format!("there is no file {path}")))?;
            let signature = Signature { author: author.to_owned(), date: now, message };
            new = Some(git.write(Arc::new(tree), new.into_iter().collect(), signature));
        }
        repository.main.get_or_insert_with(|| branch.clone());
        moves.push(RefMove { name: branch, is_tag: false, old: tip, new: new.clone() });
    }
    if let Some(name) = &wish.tag {
        let old = repository.git.tags.get(name).cloned();
        moves.push(RefMove { name: name.clone(), is_tag: true, old, new: new.clone() });
    }
    Ok((moves, new))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deliver {
    event_key: String,
    /// `workspace/slug`; without it only the workspace's hooks hear of it.
    repository: Option<String>,
    /// Sent byte for byte as it stands in the request.
    body: Box<RawValue>,
}

pub(super) async fn deliver(State(sandbox): State<Sandbox>, body: Bytes) -> Outcome {
    let wish: Deliver = parsed(&body)?;
    let seed = random::seed()?;
    let mut world = sandbox.world();
    let repository = match &wish.repository {
        None => None,
        Some(name) => {
            let at = world.repository_named(name);
            Some(&world.repositories[at.ok_or_else(|| Error::NotFound(format!("repository {name}")))?])
        }
    };
    let workspace =
        repository.map_or(seed::WORKSPACE_UUID, |repository| repository.workspace.as_str()).to_owned();
    let event = Event {
        key: wish.event_key,
        workspace,
        repository: repository.map(|repository| repository.uuid.clone()),
        body: wish.body.get().to_owned().into(),
    };
    world.outbox.push(event);
    let deliveries = sandbox.flush(&mut world, &seed);
    Ok(Json(json!({"deliveries": deliveries})))
}

pub(super) async fn deliveries(State(sandbox): State<Sandbox>) -> Response {
    Json(json!({"values": sandbox.world().deliveries})).into_response()
}

/// Sends a delivery again under the same request id, as a person can in the web page.
pub(super) async fn resend(State(sandbox): State<Sandbox>, Path(request_id): Path<String>) -> Response {
    let mut world = sandbox.world();
    let known = world.deliveries.iter().rev().find(|delivery| delivery.request_id == request_id).cloned();
    let hook = known.as_ref().and_then(|delivery| {
        world.hooks.iter().position(|hook| hook.uuid.trim_matches(['{', '}']) == delivery.hook)
    });
    let (Some(delivery), Some(hook)) = (known, hook) else {
        let text = format!("there is no delivery {request_id}, or its hook is gone");
        return Refused(StatusCode::NOT_FOUND, text).into_response();
    };
    let event =
        Event { key: delivery.event, workspace: String::new(), repository: None, body: delivery.body };
    sandbox.deliver(&mut world, hook, &event, request_id, false);
    (StatusCode::ACCEPTED, Json(json!({"deliveries": 1}))).into_response()
}
