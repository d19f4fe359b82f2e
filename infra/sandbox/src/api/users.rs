//! The caller itself and its workspaces.

use serde_json::json;

use super::{Answer, Call, Reply, page::MOST};
use crate::{
    errors::Problem,
    scope,
    world::{Actor, Role},
};

pub(super) fn me(call: &mut Call<'_>) -> Answer {
    let actor = call.needs(&scope::ACCOUNT)?.actor.clone();
    let json = match &actor {
        Actor::User(uuid) => call.world.user(uuid).map(|user| call.world.account_json(user)),
        Actor::App { .. } => Some(call.world.actor_json(&actor)),
    };
    json.map(|json| Reply::json(200, json)).ok_or(Problem::Unauthorized)
}

pub(super) fn emails(call: &mut Call<'_>) -> Answer {
    let actor = call.needs(&scope::EMAIL)?.actor.clone();
    let user = call.world.user(actor.uuid());
    let email = user
        .map(|user| json!({"type": "email", "email": user.email, "is_primary": true, "is_confirmed": true}));
    call.page(email.into_iter().collect(), MOST)
}

pub(super) fn workspaces(call: &mut Call<'_>) -> Answer {
    let caller = call.needs(&scope::WORKSPACE)?.clone();
    let mine = call.world.workspaces.iter().filter_map(|workspace| {
        let role = caller.role(call.world, &workspace.uuid)?;
        Some(call.world.workspace_access_json(workspace, role == Role::Owner))
    });
    call.page(mine.collect(), MOST)
}

pub(super) fn permission(call: &mut Call<'_>, ws: &str) -> Answer {
    let caller = call.needs(&scope::WORKSPACE)?.clone();
    let denied = || Problem::Forbidden("You do not have access to this workspace.".to_owned());
    let workspace = call.world.workspace(ws).ok_or_else(denied)?;
    let role = caller.role(call.world, &workspace.uuid).ok_or_else(denied)?;
    let body = json!({
        "type": "workspace_membership",
        "permission": word(role),
        "user": call.world.actor_json(&caller.actor),
        "workspace": call.world.workspace_json(workspace),
    });
    Ok(Reply::json(200, body))
}

pub(super) fn workspace(call: &mut Call<'_>, ws: &str) -> Answer {
    let uuid = visible(call, ws)?;
    let workspace = call.world.workspace(&uuid).ok_or(Problem::NoSuchApi)?;
    Ok(Reply::json(200, call.world.workspace_detail_json(workspace)))
}

pub(super) fn members(call: &mut Call<'_>, ws: &str) -> Answer {
    let uuid = visible(call, ws)?;
    let workspace = call.world.workspace(&uuid).ok_or(Problem::NoSuchApi)?;
    let members = workspace.members.iter().filter_map(|(uuid, role)| {
        let user = call.world.user(uuid)?;
        Some(json!({
            "type": "workspace_membership",
            "permission": word(*role),
            "user": call.world.user_json(user),
            "workspace": call.world.workspace_json(workspace),
        }))
    });
    call.page(members.collect(), MOST)
}

/// The uuid of a workspace which the caller belongs to.
fn visible(call: &mut Call<'_>, ws: &str) -> Result<String, Problem> {
    let caller = call.needs(&scope::WORKSPACE)?.clone();
    let missing = || Problem::NotFound(format!("No workspace with identifier '{ws}'."));
    let workspace = call.world.workspace(ws).ok_or_else(missing)?;
    caller.role(call.world, &workspace.uuid).ok_or_else(missing)?;
    Ok(workspace.uuid.clone())
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Member => "member",
    }
}
