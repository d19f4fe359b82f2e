//! Files: reading them, and the commits that `POST src` makes.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{Answer, Call, Content, Part, Reply, page::MOST, refs};
use crate::{
    behaviour::UnchangedCommit,
    caller::Level,
    errors::Problem,
    events::RefMove,
    git::{Commit, Edits, Entry, Hash, Mode, Signature},
    scope,
    world::{Actor, Repository, World},
};

/// The names that are not files in a form, unless they begin with a slash.
const FIELDS: [&str; 5] = ["message", "author", "branch", "parents", "files"];

pub(super) fn get(call: &mut Call<'_>, ws: &str, slug: &str, rest: &[&str]) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    let segments: Vec<String> = rest.iter().map(|segment| (*segment).to_owned()).collect();
    let (commit, path) = if segments.is_empty() {
        let tip = repository.main_tip().and_then(|hash| repository.git.commit(hash));
        (tip.ok_or_else(|| Problem::NotFound("The repository is empty".to_owned()))?, String::new())
    } else {
        let found = repository.git.resolve_prefix(&segments);
        let missing = || Problem::NotFound(format!("Commit not found: {}", rest.first().unwrap_or(&"")));
        let (commit, used) = found.ok_or_else(missing)?;
        (commit, segments[used..].join("/").trim_end_matches('/').to_owned())
    };
    let wants_meta = call.request.parameter("format") == Some("meta");
    if let Some(entry) = commit.tree.get(&path) {
        if wants_meta {
            return Ok(Reply::json(200, file_json(call.world, repository, commit, &path, entry)));
        }
        let content = repository.git.blob(&entry.blob).cloned().unwrap_or_default();
        let kind = match path.rsplit('.').next() {
            Some("html" | "htm") => "text/html",
            _ if std::str::from_utf8(&content).is_ok() => "text/plain",
            _ => "application/octet-stream",
        };
        // So that no browser runs it.
        let headers = vec![("content-disposition", "attachment".to_owned())];
        return Ok(Reply { status: 200, body: super::Body::Bytes(kind, content), headers });
    }
    let depth = call.request.parameter("max_depth").and_then(|depth| depth.parse().ok()).unwrap_or(1);
    let listed = listing(call.world, repository, commit, &path, depth);
    match listed {
        Some(_) if wants_meta => Ok(Reply::json(200, folder_json(call.world, repository, commit, &path))),
        Some(values) => call.page(values, MOST),
        None => Err(Problem::NotFound(format!("No such file or directory: {path}"))),
    }
}

/// The folders and files in a folder, folders first; `None` if there is no such folder.
fn listing(
    world: &World,
    repository: &Repository,
    commit: &Commit,
    folder: &str,
    depth: usize,
) -> Option<Vec<Value>> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let inside = commit.tree.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
    let mut folders: BTreeMap<String, ()> = BTreeMap::new();
    let mut files = Vec::new();
    let mut any = folder.is_empty();
    for (path, entry) in inside {
        any = true;
        let names: Vec<&str> = path[prefix.len()..].split('/').collect();
        for level in 1..names.len().min(depth + 1) {
            folders.insert(format!("{prefix}{}", names[..level].join("/")), ());
        }
        if names.len() <= depth {
            files.push(file_json(world, repository, commit, path, entry));
        }
    }
    let folders = folders.keys().map(|path| folder_json(world, repository, commit, path));
    any.then(|| folders.chain(files).collect())
}

fn file_json(world: &World, repository: &Repository, commit: &Commit, path: &str, entry: &Entry) -> Value {
    let api = format!("{}/repositories/{}", world.api(), repository.full_name());
    let own = format!("{api}/src/{}/{path}", commit.hash);
    let attributes: &[&str] = match entry.mode {
        Mode::File => &[],
        Mode::Executable => &["executable"],
        Mode::Link => &["link"],
    };
    json!({
        "type": "commit_file",
        "path": path,
        "escaped_path": path,
        "size": repository.git.blob(&entry.blob).map_or(0, |content| content.len()),
        "mimetype": null,
        "attributes": attributes,
        "commit": world.commit_short_json(repository, &commit.hash),
        "links": {
            "self": {"href": own},
            "meta": {"href": format!("{own}?format=meta")},
            "history": {"href": format!("{api}/filehistory/{}/{path}", commit.hash)},
        },
    })
}

fn folder_json(world: &World, repository: &Repository, commit: &Commit, path: &str) -> Value {
    let own = format!("{}/repositories/{}/src/{}/{path}/", world.api(), repository.full_name(), commit.hash);
    json!({
        "type": "commit_directory",
        "path": path,
        "commit": world.commit_short_json(repository, &commit.hash),
        "links": {"self": {"href": own}, "meta": {"href": format!("{own}?format=meta")}},
    })
}

/// A commit from a form.
pub(super) fn post(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    let actor = call.needs(&scope::SOURCE_WRITE)?.actor.clone();
    let at = call.repository(ws, slug, Level::Write)?;
    let Content::Form(parts) = &call.request.content else {
        return Err(Problem::bad("Unsupported content type: send a form"));
    };
    let form = read(parts)?;
    let repository = &call.world.repositories[at];
    let first_with_branch = repository.git.branches.is_empty() && form.branch.is_some();
    if first_with_branch && !call.world.behaviour.first_commit_with_branch {
        return Err(Problem::field("branch", "The repository has no branches yet."));
    }
    let plan = plan(repository, form.branch.as_deref(), form.parent.as_deref())?;
    let existing = repository.git.branches.get(&plan.branch).cloned();
    if existing.is_none() && !refs::is_valid(&plan.branch) {
        return Err(Problem::field("branch", format!("Invalid branch name: {}", plan.branch)));
    }
    let author = form.author.unwrap_or_else(|| author_of(call.world, &actor));
    let message = form.message.unwrap_or_else(|| "Edited online with Bitbucket".to_owned());
    let signature = Signature { author, date: call.now, message };
    let keeps_unchanged = call.world.behaviour.unchanged_commit == UnchangedCommit::Kept;
    let git = &mut call.world.repositories[at].git;
    let before = git.tree_of(plan.parent.as_deref());
    let missing = |path: String| Problem::field("files", format!("No such file: {path}"));
    let tree = git.edited(&before, &form.edits).map_err(missing)?;
    let unchanged = existing.as_ref().filter(|_| keeps_unchanged && tree == *before);
    let hash = match unchanged {
        Some(tip) => tip.clone(),
        None => git.write(Arc::new(tree), plan.parent.into_iter().collect(), signature),
    };
    if existing.as_ref() != Some(&hash) {
        let repository = &mut call.world.repositories[at];
        repository.main.get_or_insert_with(|| plan.branch.clone());
        call.move_ref(
            at,
            RefMove { name: plan.branch, is_tag: false, old: existing, new: Some(hash.clone()) },
        );
    }
    let full_name = call.world.repositories[at].full_name();
    let location = format!("{}/repositories/{full_name}/commit/{hash}", call.world.api());
    Ok(Reply::empty(201).with("location", location))
}

/// The name under which somebody commits who names nobody.
pub(super) fn author_of(world: &World, actor: &Actor) -> String {
    match (actor, world.user(actor.uuid())) {
        (_, Some(user)) => format!("{} <{}>", user.display_name, user.email),
        (Actor::App { name, .. }, None) => format!("{name} <{name}@bots.bitbucket.org>"),
        (Actor::User(_), None) => "Unknown <unknown@bitbucket.org>".to_owned(),
    }
}

/// On which branch, and on top of what.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    branch: String,
    parent: Option<Hash>,
}

/// The table of `branch` and `parents` in the description of `POST src`.
fn plan(repository: &Repository, branch: Option<&str>, parent: Option<&str>) -> Result<Plan, Problem> {
    let git = &repository.git;
    let unknown = |parent: &str| Problem::Bad {
        message: format!("parents: Commit not found: {parent}"),
        fields: Some(json!({"parents": []})),
    };
    let parent = match parent {
        Some(parent) => Some(git.commit(parent).ok_or_else(|| unknown(parent))?.hash.clone()),
        None => None,
    };
    let branch = branch.or(repository.main.as_deref()).unwrap_or("main").to_owned();
    let tip = git.branches.get(&branch).cloned();
    let parent = match (tip, parent) {
        (Some(tip), Some(parent)) if tip != parent => {
            return Err(Problem::Conflict(format!(
                "The branch {branch} has moved: {parent} is not its tip."
            )));
        }
        (Some(tip), _) => Some(tip),
        (None, Some(parent)) => Some(parent),
        (None, None) => repository.main_tip().cloned(),
    };
    Ok(Plan { branch, parent })
}

/// A form in its parts.
#[derive(Debug, Default)]
struct Form {
    message: Option<String>,
    author: Option<String>,
    branch: Option<String>,
    parent: Option<String>,
    edits: Edits,
}

fn read(parts: &[Part]) -> Result<Form, Problem> {
    let mut form = Form::default();
    let mut named = Vec::new();
    for part in parts {
        let text = || String::from_utf8_lossy(&part.content).into_owned();
        if part.is_file || !FIELDS.contains(&part.name.as_str()) {
            let path = clean(&part.name)?;
            form.edits.insert(path, Some((part.content.clone(), part.mode)));
            continue;
        }
        let once = |slot: &mut Option<String>| match slot.replace(text()).is_some() {
            true => Err(Problem::field(&part.name, "This field cannot be repeated.")),
            false => Ok(()),
        };
        match part.name.as_str() {
            "message" => once(&mut form.message)?,
            "author" => once(&mut form.author)?,
            "branch" => once(&mut form.branch)?,
            "parents" => once(&mut form.parent)?,
            _ => named.push(clean(&text())?),
        }
    }
    if form.author.as_ref().is_some_and(|author| !(author.contains(" <") && author.ends_with('>'))) {
        return Err(Problem::field("author", "The author must be of the form Name <mail>."));
    }
    // A path that is named without content is deleted.
    for path in named {
        form.edits.entry(path).or_insert(None);
    }
    form.branch = form.branch.filter(|branch| !branch.is_empty());
    form.parent = form.parent.filter(|parent| !parent.is_empty());
    Ok(form)
}

/// A path from the root, without the slash before it.
fn clean(path: &str) -> Result<String, Problem> {
    let path = path.trim_start_matches('/');
    let bad = |name: &str| matches!(name, "" | "." | ".." | ".git");
    if path.split('/').any(bad) {
        return Err(Problem::field("files", format!("Invalid path: {path}")));
    }
    Ok(path.to_owned())
}
