//! Adding people, consumers, repositories and tokens.

use std::collections::BTreeMap;

use axum::{Json, body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::json;

use super::{Outcome, bad, parsed};
use crate::{
    Error, Sandbox, random,
    settings::{AccessTokenSettings, ApiTokenSettings, ConsumerSettings},
    world::{Role, User},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    display_name: String,
    email: String,
    workspace: Option<String>,
    role: Option<Role>,
}

pub(super) async fn user(State(sandbox): State<Sandbox>, body: Bytes) -> Outcome {
    let wish: NewUser = parsed(&body)?;
    let seed = random::seed()?;
    let mut world = sandbox.world();
    if world.users.iter().any(|user| user.email == wish.email) {
        return Err(Error::Taken(format!("person with the e-mail address {}", wish.email)).into());
    }
    let user = User {
        uuid: format!("{{{}}}", random::uuid(&seed, "user")),
        nickname: wish.display_name.clone(),
        display_name: wish.display_name,
        email: wish.email,
        created: world.clock.now(),
    };
    if let Some(slug) = &wish.workspace {
        let workspace = world.workspaces.iter_mut().find(|workspace| workspace.slug == *slug);
        let workspace = workspace.ok_or_else(|| Error::NotFound(format!("workspace {slug}")))?;
        workspace.members.push((user.uuid.clone(), wish.role.unwrap_or(Role::Member)));
    }
    let json = world.account_json(&user);
    world.users.push(user);
    Ok(Json(json))
}

pub(super) async fn consumer(State(sandbox): State<Sandbox>, body: Bytes) -> Outcome {
    let wish: ConsumerSettings = parsed(&body)?;
    let seed = random::seed()?;
    let mut world = sandbox.world();
    if world.ledger.consumers.contains_key(&wish.key) {
        return Err(Error::Taken(format!("consumer {}", wish.key)).into());
    }
    let consumer = world.ledger.register(wish, &seed);
    Ok(Json(json!({
        "key": consumer.key,
        "secret": consumer.secret,
        "name": consumer.name,
        "callback_urls": consumer.callback_urls,
        "scopes": consumer.scopes,
        "private": consumer.private,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRepository {
    full_name: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

pub(super) async fn repository(State(sandbox): State<Sandbox>, body: Bytes) -> Outcome {
    let wish: NewRepository = parsed(&body)?;
    let (workspace, slug) =
        wish.full_name.split_once('/').ok_or_else(|| bad("full_name must be workspace/slug"))?;
    let uuid = format!("{{{}}}", random::uuid(&random::seed()?, "repository"));
    let mut world = sandbox.world();
    let now = world.clock.now();
    let at = world.add_repository(workspace, slug, uuid, wish.files.into_iter().collect(), now)?;
    Ok(Json(world.repository_json(&world.repositories[at])))
}

pub(super) async fn api_token(State(sandbox): State<Sandbox>, body: Bytes) -> Outcome {
    let wish: ApiTokenSettings = parsed(&body)?;
    let added = sandbox.world().add_api_token(wish, &random::seed()?)?;
    Ok(Json(json!(added)))
}

pub(super) async fn access_token(State(sandbox): State<Sandbox>, body: Bytes) -> Outcome {
    let wish: AccessTokenSettings = parsed(&body)?;
    let added = sandbox.world().add_access_token(wish, &random::seed()?)?;
    Ok(Json(json!(added)))
}
