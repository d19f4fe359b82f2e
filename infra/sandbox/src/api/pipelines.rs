//! Pipelines: started, listed the oldest first, stopped. Nothing is run.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call, Reply, page::MOST};
use crate::{
    caller::Level,
    clock::written,
    errors::Problem,
    random, scope,
    world::{Pipeline, Repository, World},
};

#[derive(Debug, Deserialize)]
struct Wish {
    target: Target,
}

#[derive(Debug, Deserialize)]
struct Target {
    ref_type: String,
    ref_name: String,
    selector: Option<Selector>,
}

#[derive(Debug, Deserialize)]
struct Selector {
    #[serde(rename = "type")]
    kind: String,
    pattern: Option<String>,
}

pub(super) fn of_repository(call: &mut Call<'_>, ws: &str, slug: &str, rest: &[&str]) -> Answer {
    match (call.request.method.as_str(), rest) {
        ("GET", []) => list(call, ws, slug),
        ("POST", []) => run(call, ws, slug),
        ("GET", [uuid]) => get(call, ws, slug, uuid),
        ("POST", [uuid, "stopPipeline"]) => stop(call, ws, slug, uuid),
        _ => Err(Problem::NoSuchApi),
    }
}

fn list(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    call.needs(&scope::PIPELINE)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let repository = &call.world.repositories[at];
    let values = repository.pipelines.iter().map(|one| shown(call.world, repository, one)).collect();
    call.page(values, MOST)
}

fn get(call: &mut Call<'_>, ws: &str, slug: &str, uuid: &str) -> Answer {
    call.needs(&scope::PIPELINE)?;
    let at = call.repository(ws, slug, Level::Read)?;
    let found = find(&call.world.repositories[at], uuid)?;
    let repository = &call.world.repositories[at];
    Ok(Reply::json(200, shown(call.world, repository, &repository.pipelines[found])))
}

fn run(call: &mut Call<'_>, ws: &str, slug: &str) -> Answer {
    let creator = call.needs(&scope::PIPELINE_RUN)?.actor.clone();
    let at = call.repository(ws, slug, Level::Write)?;
    let Target { ref_type, ref_name, selector } = call.json::<Wish>()?.target;
    if ref_type != "branch" {
        return Err(Problem::field("target", "The sandbox runs pipelines of branches only."));
    }
    let repository = &mut call.world.repositories[at];
    let tip = repository.git.branches.get(&ref_name).cloned();
    let commit = tip.ok_or_else(|| Problem::field("target", format!("Branch not found: {ref_name}")))?;
    let custom = selector.filter(|selector| selector.kind == "custom").and_then(|selector| selector.pattern);
    let pipeline = Pipeline {
        uuid: format!("{{{}}}", random::uuid(call.seed, "pipeline")),
        number: repository.pipelines.len() + 1,
        branch: ref_name,
        commit,
        custom,
        creator,
        created: call.now,
        stopped: None,
    };
    repository.pipelines.push(pipeline.clone());
    Ok(Reply::json(201, shown(call.world, &call.world.repositories[at], &pipeline)))
}

fn stop(call: &mut Call<'_>, ws: &str, slug: &str, uuid: &str) -> Answer {
    call.needs(&scope::PIPELINE_STOP)?;
    let at = call.repository(ws, slug, Level::Write)?;
    let found = find(&call.world.repositories[at], uuid)?;
    let pipeline = &mut call.world.repositories[at].pipelines[found];
    if pipeline.stopped.is_some() {
        return Err(Problem::bad("The pipeline has already completed."));
    }
    pipeline.stopped = Some(call.now);
    Ok(Reply::empty(204))
}

fn find(repository: &Repository, uuid: &str) -> Result<usize, Problem> {
    let found = repository.pipelines.iter().position(|pipeline| pipeline.uuid == uuid);
    found.ok_or_else(|| Problem::NotFound("Pipeline not found".to_owned()))
}

fn shown(world: &World, repository: &Repository, pipeline: &Pipeline) -> Value {
    let state = match pipeline.stopped {
        None => json!({"type": "pipeline_state_in_progress", "name": "IN_PROGRESS"}),
        Some(_) => json!({
            "type": "pipeline_state_completed",
            "name": "COMPLETED",
            "result": {"type": "pipeline_state_completed_stopped", "name": "STOPPED"},
        }),
    };
    let selector = match &pipeline.custom {
        Some(pattern) => json!({"type": "custom", "pattern": pattern}),
        None => json!({"type": "default"}),
    };
    json!({
        "type": "pipeline",
        "uuid": pipeline.uuid,
        "build_number": pipeline.number,
        "state": state,
        "target": {
            "type": "pipeline_ref_target",
            "ref_type": "branch",
            "ref_name": pipeline.branch,
            "commit": {"type": "commit", "hash": pipeline.commit},
            "selector": selector,
        },
        "creator": world.actor_json(&pipeline.creator),
        "repository": world.repository_short_json(repository),
        "created_on": written(pipeline.created),
        "completed_on": pipeline.stopped.map(written),
    })
}
