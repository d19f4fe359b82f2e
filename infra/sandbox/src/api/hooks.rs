//! Webhook subscriptions of repositories and workspaces.

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Answer, Call, Reply, forbidden, page::MOST};
use crate::{
    caller::Level,
    errors::Problem,
    events, random, scope,
    world::{Hook, Role, Subject},
};

/// How many hooks a repository may have.
const MOST_HOOKS: usize = 50;
/// How long a secret may be.
const LONGEST_SECRET: usize = 128;

#[derive(Debug, Deserialize)]
struct Wish {
    description: Option<String>,
    url: Option<String>,
    active: Option<bool>,
    events: Option<Vec<String>>,
    /// `Some(None)` takes the secret away; left out keeps it.
    #[serde(default, deserialize_with = "given")]
    secret: Option<Option<String>>,
}

fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

pub(super) fn subjects(call: &mut Call<'_>) -> Answer {
    let link = |kind: &str| json!({"links": {"events": {"href": format!("{}/hook_events/{kind}", call.world.api())}}});
    Ok(Reply::json(200, json!({"repository": link("repository"), "workspace": link("workspace")})))
}

/// The valid event keys; needs no credentials.
pub(super) fn events(call: &mut Call<'_>, subject: &str) -> Answer {
    if !matches!(subject, "repository" | "workspace") {
        return Err(Problem::NotFound(format!("Invalid subject type: {subject}")));
    }
    let known = events::KEYS.iter().filter(|key| subject == "workspace" || !key.starts_with("project:"));
    let values = known.map(|key| {
        let (category, label) = events::words(key);
        json!({
            "category": category,
            "event": key,
            "label": label,
            "description": format!("Whenever a {} {} occurs", category.to_lowercase(), label.to_lowercase()),
        })
    });
    call.page(values.collect(), MOST)
}

pub(super) fn of_repository(call: &mut Call<'_>, ws: &str, slug: &str, rest: &[&str]) -> Answer {
    need(call)?;
    let at = call.repository(ws, slug, Level::Admin)?;
    dispatch(call, &Subject::Repository(call.world.repositories[at].uuid.clone()), rest)
}

pub(super) fn of_workspace(call: &mut Call<'_>, ws: &str, rest: &[&str]) -> Answer {
    need(call)?;
    let missing = || Problem::NotFound(format!("No workspace with identifier '{ws}'."));
    let workspace = call.world.workspace(ws).ok_or_else(missing)?.uuid.clone();
    match call.caller.and_then(|caller| caller.role(call.world, &workspace)) {
        Some(Role::Owner) => dispatch(call, &Subject::Workspace(workspace), rest),
        Some(Role::Member) => Err(forbidden(Level::Admin)),
        None => Err(missing()),
    }
}

fn need(call: &mut Call<'_>) -> Result<(), Problem> {
    let scope = match call.request.method.as_str() {
        "GET" => &scope::WEBHOOK,
        "DELETE" => &scope::WEBHOOK_DELETE,
        _ => &scope::WEBHOOK_WRITE,
    };
    call.needs(scope).map(|_| ())
}

fn dispatch(call: &mut Call<'_>, subject: &Subject, rest: &[&str]) -> Answer {
    match (call.request.method.as_str(), rest) {
        ("GET", []) => list(call, subject),
        ("POST", []) => create(call, subject),
        ("GET", [uid]) => {
            let at = find(call, subject, uid)?;
            Ok(Reply::json(200, call.world.hook_json(&call.world.hooks[at])))
        }
        ("PUT", [uid]) => change(call, subject, uid),
        ("DELETE", [uid]) => {
            let at = find(call, subject, uid)?;
            call.world.hooks.remove(at);
            Ok(Reply::empty(204))
        }
        _ => Err(Problem::NoSuchApi),
    }
}

fn list(call: &mut Call<'_>, subject: &Subject) -> Answer {
    let hooks = call.world.hooks.iter().filter(|hook| hook.subject == *subject);
    let values = hooks.map(|hook| call.world.hook_json(hook)).collect();
    call.page(values, MOST)
}

fn find(call: &Call<'_>, subject: &Subject, uid: &str) -> Result<usize, Problem> {
    let same = |hook: &Hook| {
        hook.subject == *subject && hook.uuid.trim_matches(['{', '}']) == uid.trim_matches(['{', '}'])
    };
    let missing = || Problem::NotFound(format!("Webhook {uid} not found"));
    call.world.hooks.iter().position(same).ok_or_else(missing)
}

fn create(call: &mut Call<'_>, subject: &Subject) -> Answer {
    let wish: Wish = call.json()?;
    let url = wish.url.clone().ok_or_else(|| required("url"))?;
    let events = wish.events.clone().ok_or_else(|| required("events"))?;
    check(call, &wish)?;
    if call.world.hooks.iter().filter(|hook| hook.subject == *subject).count() >= MOST_HOOKS {
        return Err(Problem::bad(format!("A maximum of {MOST_HOOKS} webhooks is allowed.")));
    }
    let hook = Hook {
        uuid: format!("{{{}}}", random::uuid(call.seed, "hook")),
        subject: subject.clone(),
        description: wish.description.unwrap_or_default(),
        url,
        active: wish.active.unwrap_or(true),
        events,
        secret: wish.secret.flatten().filter(|secret| !secret.is_empty()),
        created: call.now,
    };
    let json = call.world.hook_json(&hook);
    call.world.hooks.push(hook);
    Ok(Reply::json(201, json))
}

fn change(call: &mut Call<'_>, subject: &Subject, uid: &str) -> Answer {
    let at = find(call, subject, uid)?;
    let wish: Wish = call.json()?;
    check(call, &wish)?;
    let hook = &mut call.world.hooks[at];
    hook.description = wish.description.unwrap_or_else(|| hook.description.clone());
    hook.url = wish.url.unwrap_or_else(|| hook.url.clone());
    hook.active = wish.active.unwrap_or(hook.active);
    hook.events = wish.events.unwrap_or_else(|| hook.events.clone());
    if let Some(secret) = wish.secret {
        hook.secret = secret.filter(|secret| !secret.is_empty());
    }
    Ok(Reply::json(200, call.world.hook_json(&call.world.hooks[at])))
}

/// Checks what a wish says; what it leaves out is not looked at.
fn check(call: &Call<'_>, wish: &Wish) -> Result<(), Problem> {
    if let Some(url) = &wish.url {
        let fits =
            Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !fits {
            return Err(Problem::field("url", "Enter a valid URL."));
        }
    }
    if wish.secret.iter().flatten().any(|secret| secret.chars().count() > LONGEST_SECRET) {
        let text = format!("Ensure this value has at most {LONGEST_SECRET} characters.");
        return Err(Problem::field("secret", text));
    }
    let Some(events) = &wish.events else { return Ok(()) };
    if events.is_empty() {
        return Err(Problem::field("events", "At least one event is required."));
    }
    for (at, event) in events.iter().enumerate() {
        if !events::KEYS.contains(&event.as_str()) {
            return Err(Problem::field("events", format!("Invalid event: {event}")));
        }
        if events[..at].contains(event) {
            return Err(Problem::field("events", format!("Duplicate event: {event}")));
        }
        let caller = call.caller.ok_or(Problem::Unauthorized)?;
        caller.must_have(if event.starts_with("pullrequest:") {
            &scope::PULL_REQUEST
        } else {
            &scope::REPOSITORY
        })?;
    }
    Ok(())
}

fn required(field: &str) -> Problem {
    Problem::Bad {
        message: "Bad request".to_owned(),
        fields: Some(Value::from_iter([(field.to_owned(), "required key not provided")])),
    }
}
