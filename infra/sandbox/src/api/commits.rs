//! Commits and what differs between them.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, page::MOST};
use crate::{
    caller::Level,
    errors::Problem,
    git::{Change, Commit, Hash, Tree},
    scope,
    world::{Repository, World},
};

/// A page of a diffstat may be longer than others.
const MOST_CHANGES: usize = 500;

pub(super) fn list(call: &mut Call<'_>, ws: &str, slug: &str, revision: &str) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    let found = |name: &str| {
        let commit = repository.git.resolve(name).map(|commit| commit.hash.clone());
        commit.ok_or_else(|| Problem::NotFound(format!("Commit not found: {name}")))
    };
    let mut include = call.request.parameters("include").map(found).collect::<Result<Vec<Hash>, _>>()?;
    let exclude = call.request.parameters("exclude").map(found).collect::<Result<Vec<Hash>, _>>()?;
    if !revision.is_empty() {
        include.push(found(revision)?);
    }
    if include.is_empty() {
        include.extend(repository.git.branches.values().chain(repository.git.tags.values()).cloned());
    }
    let path = call.request.parameter("path").map(|path| path.trim_matches('/'));
    let log = repository.git.log(&include, &exclude).into_iter();
    let touching = log.filter(|commit| path.is_none_or(|path| touches(repository, commit, path)));
    let values = touching.map(|commit| call.world.commit_json(repository, commit)).collect();
    call.page_with(values, MOST, false)
}

/// Whether a commit changed a file, or a file in a folder.
fn touches(repository: &Repository, commit: &Commit, path: &str) -> bool {
    let parent = repository.git.tree_of(commit.parents.first().map(String::as_str));
    let inside =
        |known: &str| known == path || known.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    let differs = |one: &Tree, other: &Tree| {
        one.iter().any(|(known, entry)| inside(known) && other.get(known) != Some(entry))
    };
    differs(&commit.tree, &parent) || differs(&parent, &commit.tree)
}

pub(super) fn get(call: &mut Call<'_>, ws: &str, slug: &str, hash: &str) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    let commit = find(repository, hash)?;
    Ok(Reply::json(200, call.world.commit_json(repository, commit)))
}

/// A commit by hash, branch or tag.
pub(super) fn find<'a>(repository: &'a Repository, name: &str) -> Result<&'a Commit, Problem> {
    repository.git.resolve(name).ok_or_else(|| Problem::NotFound(format!("Commit not found: {name}")))
}

/// `a..b` or one commit. Of two, the first has the changes and the second is compared with.
pub(super) fn diffstat(call: &mut Call<'_>, ws: &str, slug: &str, spec: &str) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    let (new, old) = match spec.split_once("..") {
        Some((new, old)) => (find(repository, new)?, Some(find(repository, old)?.hash.as_str())),
        None => {
            let new = find(repository, spec)?;
            (new, new.parents.first().map(String::as_str))
        }
    };
    let three_dots = spec.contains("..") && call.request.parameter("topic") != Some("false");
    let base = old.filter(|_| three_dots).and_then(|old| repository.git.merge_base(&new.hash, old));
    let old = base.map(|base| base.hash.as_str()).or(old);
    let values = changes(call, repository, old, &new.hash);
    call.page(values, MOST_CHANGES)
}

/// The differences between two commits of a repository, as the query wants them.
pub(super) fn changes(call: &Call<'_>, repository: &Repository, old: Option<&str>, new: &str) -> Vec<Value> {
    let renames = call.request.parameter("renames") != Some("false");
    let changes =
        repository.git.diff(&repository.git.tree_of(old), &repository.git.tree_of(Some(new)), renames);
    let wanted: Vec<&str> = call.request.parameters("path").collect();
    let asked = |change: &&Change| {
        let sides = [&change.old, &change.new];
        wanted.is_empty()
            || sides.iter().filter_map(|side| side.as_deref()).any(|path| {
                wanted.iter().any(|wanted| path == *wanted || path.starts_with(&format!("{wanted}/")))
            })
    };
    let changes = changes.iter().filter(asked);
    changes.map(|change| change_json(call.world, repository, old, new, change)).collect()
}

fn change_json(
    world: &World,
    repository: &Repository,
    old: Option<&str>,
    new: &str,
    change: &Change,
) -> Value {
    let side = |path: &Option<String>, commit: &str| match path {
        None => Value::Null,
        Some(path) => json!({
            "type": "commit_file",
            "path": path,
            "escaped_path": path,
            "links": {"self": {
                "href": format!("{}/repositories/{}/src/{commit}/{path}", world.api(), repository.full_name()),
            }},
        }),
    };
    json!({
        "type": "diffstat",
        "status": change.status.word(),
        "lines_added": change.lines_added,
        "lines_removed": change.lines_removed,
        "old": side(&change.old, old.unwrap_or_default()),
        "new": side(&change.new, new),
    })
}

pub(super) fn merge_base(call: &mut Call<'_>, ws: &str, slug: &str, spec: &str) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    let (one, other) = spec.split_once("..").ok_or_else(|| Problem::bad("Invalid revspec"))?;
    let (one, other) = (find(repository, one)?, find(repository, other)?);
    let base = repository.git.merge_base(&one.hash, &other.hash);
    let base = base.ok_or_else(|| Problem::NotFound("No common ancestor".to_owned()))?;
    Ok(Reply::json(200, call.world.commit_json(repository, base)))
}
