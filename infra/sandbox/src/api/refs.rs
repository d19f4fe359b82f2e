//! Branches and tags.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call, Reply, page::MOST};
use crate::{
    caller::Level,
    errors::Problem,
    events::RefMove,
    scope,
    world::{Repository, World},
};

#[derive(Debug, Deserialize)]
struct Wish {
    name: String,
    target: Target,
}

#[derive(Debug, Deserialize)]
struct Target {
    hash: String,
}

pub(super) fn all(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    listed(call, ws, slug, &[false, true])
}

pub(super) fn branches(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    listed(call, ws, slug, &[false])
}

pub(super) fn tags(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    listed(call, ws, slug, &[true])
}

fn listed(call: &mut Call<'_>, ws: &str, slug: &str, kinds: &[bool]) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    let mut values = Vec::new();
    for is_tag in kinds {
        let refs = if *is_tag { &repository.git.tags } else { &repository.git.branches };
        values.extend(refs.keys().map(|name| shown(call.world, repository, name, *is_tag)));
    }
    call.page(values, MOST)
}

fn shown(world: &World, repository: &Repository, name: &str, is_tag: bool) -> Value {
    let refs = if is_tag { &repository.git.tags } else { &repository.git.branches };
    let commit = refs.get(name).and_then(|hash| repository.git.commit(hash));
    let target = commit.map_or(Value::Null, |commit| world.commit_json(repository, commit));
    world.ref_json(repository, name, is_tag, target)
}

pub(super) fn branch(call: &mut Call<'_>, ws: &str, slug: &str, name: &str) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    if !repository.git.branches.contains_key(name) {
        return Err(Problem::NotFound(format!("Branch \"{name}\" not found")));
    }
    Ok(Reply::json(200, shown(call.world, repository, name, false)))
}

pub(super) fn create(call: &mut Call<'_>, ws: &str, slug: &str, is_tag: bool) -> Answer {
    call.needs(&scope::BRANCH_WRITE)?;
    let at = call.repository(ws, slug, Level::Write)?;
    let wish: Wish = call.json()?;
    let repository = &call.world.repositories[at];
    let refs = if is_tag { &repository.git.tags } else { &repository.git.branches };
    if refs.contains_key(&wish.name) {
        let kind = if is_tag { "Tag" } else { "Branch" };
        return Err(Problem::Bad {
            message: format!("{kind} \"{}\" already exists.", wish.name),
            fields: Some(json!({"name": [format!("{kind} \"{}\" already exists.", wish.name)]})),
        });
    }
    if !is_valid(&wish.name) {
        return Err(Problem::field("name", format!("Invalid ref name: {}", wish.name)));
    }
    let commit = repository.git.resolve(&wish.target.hash);
    let missing = || Problem::field("target", format!("Commit not found: {}", wish.target.hash));
    let new = commit.ok_or_else(missing)?.hash.clone();
    call.move_ref(at, RefMove { name: wish.name.clone(), is_tag, old: None, new: Some(new) });
    let repository = &call.world.repositories[at];
    Ok(Reply::json(201, shown(call.world, repository, &wish.name, is_tag)))
}

pub(super) fn delete(call: &mut Call<'_>, ws: &str, slug: &str, name: &str, is_tag: bool) -> Answer {
    call.needs(&scope::BRANCH_WRITE)?;
    let at = call.repository(ws, slug, Level::Write)?;
    let repository = &call.world.repositories[at];
    let refs = if is_tag { &repository.git.tags } else { &repository.git.branches };
    let missing = || Problem::NotFound(format!("Branch \"{name}\" not found"));
    let old = refs.get(name).cloned().ok_or_else(missing)?;
    if !is_tag && repository.main.as_deref() == Some(name) {
        return Err(Problem::bad("You cannot delete the main branch."));
    }
    call.move_ref(at, RefMove { name: name.to_owned(), is_tag, old: Some(old), new: None });
    Ok(Reply::empty(204))
}

/// The rules of git-check-ref-format that matter here.
pub(super) fn is_valid(name: &str) -> bool {
    let forbidden =
        |letter: char| letter.is_whitespace() || letter.is_control() || "~^:?*[\\".contains(letter);
    !name.is_empty()
        && !name.contains(forbidden)
        && !["..", "//", "@{"].iter().any(|bad| name.contains(bad))
        && !name.starts_with(['/', '-', '.'])
        && !name.ends_with(['/', '.'])
        && !name.ends_with(".lock")
}
