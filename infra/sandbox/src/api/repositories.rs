//! Repositories.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call, Reply, forbidden, page::MOST};
use crate::{
    caller::Level,
    errors::Problem,
    random, scope,
    world::{Role, Subject},
};

/// What a client may say about a repository.
#[derive(Debug, Deserialize)]
struct Wish {
    name: Option<String>,
    description: Option<String>,
    is_private: Option<bool>,
}

pub(super) fn list(call: &mut Call<'_>, ws: &str) -> Answer {
    let caller = call.needs(&scope::REPOSITORY)?.clone();
    let missing = || Problem::NotFound(format!("No workspace with identifier '{ws}'."));
    let workspace = call.world.workspace(ws).ok_or_else(missing)?.uuid.clone();
    let role = match call.request.parameter("role") {
        None => None,
        Some("member") => Some(Level::Read),
        Some("contributor") => Some(Level::Write),
        Some("admin" | "owner") => Some(Level::Admin),
        Some(other) => return Err(Problem::field("role", format!("Invalid role: {other}"))),
    };
    let repositories = call.world.repositories.iter();
    let visible = repositories
        .filter(|repository| repository.workspace == workspace)
        .filter(|repository| !repository.is_private || caller.level(call.world, repository).is_some())
        .filter(|repository| caller.level(call.world, repository) >= role);
    let values = visible.map(|repository| call.world.repository_json(repository)).collect();
    call.page(values, MOST)
}

pub(super) fn get(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    Ok(Reply::json(200, call.world.repository_json(&call.world.repositories[at])))
}

pub(super) fn create(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    call.needs(&scope::REPOSITORY_ADMIN)?;
    add(call, ws, slug, 200)
}

/// Changes a repository, or creates it if it is missing.
pub(super) fn put(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    call.needs(&scope::REPOSITORY_ADMIN)?;
    let at = match call.repository(ws, slug, Level::Admin) {
        Ok(at) => at,
        Err(Problem::NotFound(_)) => return add(call, ws, slug, 201),
        Err(problem) => return Err(problem),
    };
    let wish: Wish = call.json()?;
    let before = call.world.repository_json(&call.world.repositories[at]);
    if let Some(name) = &wish.name {
        let new = slug_of(name);
        let workspace = call.world.repositories[at].workspace.clone();
        let taken = call.world.repositories.iter().enumerate().any(|(other, repository)| {
            other != at && repository.workspace == workspace && repository.slug == new
        });
        if taken {
            return Err(name_taken());
        }
        let repository = &mut call.world.repositories[at];
        repository.name.clone_from(name);
        if new != repository.slug {
            let former = std::mem::replace(&mut repository.slug, new);
            repository.former_slugs.push(former);
        }
    }
    let repository = &mut call.world.repositories[at];
    repository.description = wish.description.unwrap_or_else(|| repository.description.clone());
    repository.is_private = wish.is_private.unwrap_or(repository.is_private);
    repository.updated = call.now;
    let after = call.world.repository_json(&call.world.repositories[at]);
    let changes: serde_json::Map<String, Value> = ["name", "full_name", "description", "is_private", "links"]
        .into_iter()
        .filter(|field| before[field] != after[field])
        .map(|field| (field.to_owned(), json!({"old": before[field], "new": after[field]})))
        .collect();
    call.emit(at, "repo:updated", json!({ "changes": changes }));
    let location = after["links"]["self"]["href"].as_str().unwrap_or_default().to_owned();
    Ok(Reply::json(200, after).with("location", location))
}

pub(super) fn delete(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    call.needs(&scope::REPOSITORY_DELETE)?;
    let at = call.repository(ws, slug, Level::Admin)?;
    call.emit(at, "repo:deleted", json!({}));
    let gone = call.world.repositories.remove(at);
    call.world.hooks.retain(|hook| hook.subject != Subject::Repository(gone.uuid.clone()));
    Ok(Reply::empty(204))
}

fn add(call: &mut Call<'_>, ws: &str, slug: &str, status: u16) -> Answer {
    let caller = call.needs(&scope::REPOSITORY_ADMIN)?.clone();
    let wish: Wish = call.json()?;
    let missing = || Problem::NotFound(format!("No workspace with identifier '{ws}'."));
    let workspace = call.world.workspace(ws).ok_or_else(missing)?;
    if caller.role(call.world, &workspace.uuid) != Some(Role::Owner) {
        return Err(forbidden(Level::Admin));
    }
    let workspace = workspace.slug.clone();
    let uuid = format!("{{{}}}", random::uuid(call.seed, "repository"));
    let added = call.world.add_repository(&workspace, &slug_of(slug), uuid, Vec::new(), call.now);
    let at = added.map_err(|_| name_taken())?;
    let repository = &mut call.world.repositories[at];
    repository.name = wish.name.unwrap_or_else(|| slug.to_owned());
    repository.description = wish.description.unwrap_or_default();
    repository.is_private = wish.is_private.unwrap_or(true);
    call.emit(at, "repo:created", json!({}));
    Ok(Reply::json(status, call.world.repository_json(&call.world.repositories[at])))
}

fn name_taken() -> Problem {
    Problem::Bad {
        message: "Repository with this Slug and Owner already exists.".to_owned(),
        fields: Some(json!({"name": ["You already have a repository with this name."]})),
    }
}

/// The slug that Bitbucket makes of a name.
fn slug_of(name: &str) -> String {
    let kept = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let letters = name.trim().to_lowercase();
    letters.chars().map(|letter| if kept(letter) { letter } else { '-' }).collect()
}
