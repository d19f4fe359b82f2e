//! Build statuses: the same key on the same commit overwrites.

use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{Answer, Call, Reply, commits, page::MOST};
use crate::{caller::Level, errors::Problem, scope, world::BuildStatus};

/// How long a key may be.
const LONGEST_KEY: usize = 40;
const STATES: [&str; 4] = ["SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"];

#[derive(Debug, Deserialize)]
struct Wish {
    key: Option<String>,
    state: Option<String>,
    url: Option<String>,
    name: Option<String>,
    description: Option<String>,
    refname: Option<String>,
}

pub(super) fn list(call: &mut Call<'_>, ws: &str, slug: &str, commit: &str) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    let hash = &commits::find(repository, commit)?.hash;
    let statuses = repository.statuses.iter().filter(|status| status.commit == *hash);
    let values = statuses.map(|status| call.world.status_json(repository, status)).collect();
    call.page(values, MOST)
}

pub(super) fn get(call: &mut Call<'_>, ws: &str, slug: &str, commit: &str, key: &str) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    let hash = &commits::find(repository, commit)?.hash;
    let same = |status: &&BuildStatus| status.commit == *hash && status.key == key;
    let status = repository.statuses.iter().find(same);
    let status = status.ok_or_else(|| Problem::NotFound(format!("No build status with key {key}")))?;
    Ok(Reply::json(200, call.world.status_json(repository, status)))
}

/// Writes a status; with a key in the URL it must exist already.
pub(super) fn post(call: &mut Call<'_>, ws: &str, slug: &str, commit: &str, key: Option<&str>) -> Answer {
    call.needs(&scope::REPOSITORY)?;
    let at = call.repository(ws, slug, Level::Write)?;
    let wish: Wish = call.json()?;
    let repository = &call.world.repositories[at];
    let hash = commits::find(repository, commit)?.hash.clone();
    let required = |field: &str| Problem::Bad {
        message: "Bad request".to_owned(),
        fields: Some(json!({ field: "required key not provided" })),
    };
    let name = key.map(str::to_owned).or(wish.key).ok_or_else(|| required("key"))?;
    if name.chars().count() > LONGEST_KEY {
        return Err(Problem::field(
            "key",
            format!("Ensure this value has at most {LONGEST_KEY} characters."),
        ));
    }
    let same = |status: &BuildStatus| status.commit == hash && status.key == name;
    let known = repository.statuses.iter().position(same);
    if key.is_some() && known.is_none() {
        return Err(Problem::NotFound(format!("No build status with key {name}")));
    }
    let before = known.map(|known| repository.statuses[known].clone());
    let state = wish.state.or(before.as_ref().map(|before| before.state.clone()));
    let state = state.ok_or_else(|| required("state"))?;
    if !STATES.contains(&state.as_str()) {
        return Err(Problem::field("state", format!("expected one of {}", STATES.join(", "))));
    }
    let url = wish.url.or(before.as_ref().map(|before| before.url.clone())).ok_or_else(|| required("url"))?;
    if Url::parse(&url).is_err() {
        return Err(Problem::field("url", "Enter a valid URL."));
    }
    let status = BuildStatus {
        commit: hash,
        key: name,
        state,
        url,
        name: wish.name,
        description: wish.description,
        refname: wish.refname,
        created: before.as_ref().map_or(call.now, |before| before.created),
        updated: call.now,
    };
    let json = call.world.status_json(repository, &status);
    let statuses = &mut call.world.repositories[at].statuses;
    let (event, code) = match known {
        Some(known) => {
            statuses[known] = status;
            ("repo:commit_status_updated", if key.is_some() { 200 } else { 201 })
        }
        None => {
            statuses.push(status);
            ("repo:commit_status_created", 201)
        }
    };
    call.emit(at, event, json!({"commit_status": json}));
    Ok(Reply::json(code, json))
}
