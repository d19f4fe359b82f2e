//! Everything that the sandbox knows, for tests to look at.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Query, State},
};
use serde_json::{Value, json};

use crate::{
    Sandbox,
    oauth::{Grant, Standing},
    random::fingerprint,
    world::World,
};

pub(super) async fn state(
    State(sandbox): State<Sandbox>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let reveal = query.get("reveal").is_some_and(|value| value == "true");
    let world = sandbox.world();
    let now = world.clock.now();
    let consumers = world.ledger.consumers.values().map(|consumer| {
        json!({
            "key": consumer.key,
            "secret": reveal.then_some(&consumer.secret),
            "name": consumer.name,
            "callback_urls": consumer.callback_urls,
            "scopes": consumer.scopes,
            "private": consumer.private,
            "locked_out": world.ledger.locked_out(&consumer.key, now),
        })
    });
    let repositories = world.repositories.iter().map(|repository| {
        json!({
            "full_name": repository.full_name(),
            "uuid": repository.uuid,
            "project": world.projects.iter().find(|known| known.uuid == repository.project).map(|known| &known.key),
            "main": repository.main,
            "branches": repository.git.branches,
            "tags": repository.git.tags,
            "pull_requests": repository.pull_requests.len(),
        })
    });
    let workspaces = world.workspaces.iter().map(|workspace| {
        let members = workspace.members.iter().map(|(user, role)| json!({"user": user, "role": role}));
        json!({"slug": workspace.slug, "uuid": workspace.uuid, "members": members.collect::<Vec<_>>()})
    });
    let users = world
        .users
        .iter()
        .map(|user| json!({"uuid": user.uuid, "display_name": user.display_name, "email": user.email}));
    let hooks = world.hooks.iter().map(|hook| {
        let mut json = world.hook_json(hook);
        json["secret"] = json!(hook.secret);
        json
    });
    let api_tokens = world.api_tokens.iter().map(
        |token| json!({"email": token.email, "scopes": token.scopes, "token": shown(&token.token, reveal)}),
    );
    let access_tokens = world.access_tokens.iter().map(|token| {
        json!({
            "name": token.name,
            "workspace": token.workspace,
            "repository": token.repository,
            "project": token.project,
            "scopes": token.scopes,
            "token": shown(&token.token, reveal),
        })
    });
    let grants = world.ledger.grants().map(|grant| grant_json(&world, grant, reveal));
    Json(json!({
        "base_url": world.base,
        "now": now.to_string(),
        "users": users.collect::<Vec<_>>(),
        "workspaces": workspaces.collect::<Vec<_>>(),
        "repositories": repositories.collect::<Vec<_>>(),
        "consumers": consumers.collect::<Vec<_>>(),
        "api_tokens": api_tokens.collect::<Vec<_>>(),
        "access_tokens": access_tokens.collect::<Vec<_>>(),
        "grants": grants.collect::<Vec<_>>(),
        "hooks": hooks.collect::<Vec<_>>(),
    }))
}

/// A token's fingerprint, with the token itself only if revealed.
fn shown(token: &str, reveal: bool) -> Value {
    let mut json = json!({"sha256": fingerprint(token)});
    if reveal {
        json["value"] = json!(token);
    }
    json
}

fn grant_json(world: &World, grant: &Grant, reveal: bool) -> Value {
    let now = world.clock.now();
    let refresh = world.ledger.refresh_tokens(&grant.id, &world.behaviour, now);
    let alive = refresh.into_iter().filter(|seen| seen.standing != Standing::Dead).map(|seen| {
        let mut json = shown(seen.token, reveal);
        json["state"] = json!(seen.standing);
        json["generation"] = json!(seen.generation);
        json["first_used"] = json!(seen.first_used.map(|time| time.to_string()));
        json
    });
    let access =
        world.ledger.access_tokens(&grant.id, &world.behaviour, now).into_iter().map(|(token, expires)| {
            let mut json = shown(token, reveal);
            json["expires"] = json!(expires.to_string());
            json
        });
    json!({
        "id": grant.id,
        "consumer": grant.consumer,
        "subject": grant.subject,
        "scopes": grant.scopes,
        "created": grant.created.to_string(),
        "generation": grant.generation,
        "revoked": grant.revoked,
        "refresh_tokens": alive.collect::<Vec<_>>(),
        "access_tokens": access.collect::<Vec<_>>(),
    })
}
