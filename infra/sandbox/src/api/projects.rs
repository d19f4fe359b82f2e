//! Projects, to be read.

use super::{Answer, Call, Reply, page::MOST};
use crate::{errors::Problem, scope};

pub(super) fn list(call: &mut Call<'_>, ws: &str) -> Answer {
    let caller = call.needs(&scope::PROJECT)?.clone();
    let world = &*call.world;
    let workspace = world.workspace(ws).ok_or_else(|| no_workspace(ws))?;
    let projects = world.projects.iter().filter(|project| project.workspace == workspace.uuid);
    let visible = projects.filter(|project| caller.sees(world, project));
    let values = visible.map(|project| world.project_json(project, workspace)).collect();
    call.page(values, MOST)
}

pub(super) fn get(call: &mut Call<'_>, ws: &str, key: &str) -> Answer {
    let caller = call.needs(&scope::PROJECT)?.clone();
    let world = &*call.world;
    let workspace = world.workspace(ws).ok_or_else(|| no_workspace(ws))?;
    let project = world.project(ws, key).filter(|project| caller.sees(world, project));
    let project = project.ok_or_else(|| Problem::NotFound(format!("Project {key} not found")))?;
    Ok(Reply::json(200, world.project_json(project, workspace)))
}

fn no_workspace(ws: &str) -> Problem {
    Problem::NotFound(format!("No workspace with identifier '{ws}'."))
}
