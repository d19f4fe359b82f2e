//! Actions, from checked input to typed output.

use bucketwheel::call::State;
use serde_json::{Value, json};

use crate::world::World;

async fn act(world: &World, credential: &str, action: Value) -> Value {
    let outcome = world.call(credential, action.clone()).await;
    assert_eq!(outcome.state, State::Succeeded, "{action}: {outcome:?}");
    outcome.body.unwrap_or_default()
}

#[tokio::test]
async fn a_pull_request_from_its_branch_to_its_merge() {
    let world = World::running().await;
    let ada = world.connect("pull").await;
    let repository = format!("seilbahn/pull-{}", &ada[..16]);
    let act = async |mut action: Value| {
        action["repository"] = json!(repository);
        act(&world, &ada, action).await
    };
    let made = act(json!({"action": "create_repository", "description": "For a pull request"})).await;
    assert_eq!((&made["full_name"], &made["is_private"]), (&json!(repository), &json!(true)));
    let commit = |branch: Value, text: &str| {
        let files = json!([{"path": "a.txt", "text": text}]);
        json!({"action": "commit_files", "message": "m", "branch": branch, "files": files})
    };
    let first = act(commit(Value::Null, "1")).await;
    let branch = act(json!({"action": "create_branch", "name": "x", "target": first["commit"]})).await;
    assert_eq!(branch, json!({"name": "x", "commit": first["commit"]}));
    let second = act(commit(json!("x"), "2")).await;
    let status = json!({
        "action": "set_build_status", "commit": second["commit"], "key": "ci", "state": "SUCCESSFUL",
        "url": "https://example.com/1",
    });
    assert_eq!(act(status).await["state"], "SUCCESSFUL");

    let pull = act(json!({"action": "create_pull_request", "title": "T", "source": "x"})).await;
    assert_eq!((&pull["state"], &pull["source"]), (&json!("OPEN"), &json!("x")));
    let id = pull["id"].clone();
    let changed = act(json!({"action": "update_pull_request", "id": id, "title": "U"})).await;
    assert_eq!(changed["title"], "U");
    let comment = act(json!({"action": "comment_pull_request", "id": id, "text": "Good"})).await;
    assert_eq!(comment["text"], "Good");
    assert_eq!(act(json!({"action": "approve_pull_request", "id": id})).await["approved"], true);
    let listed = act(json!({"action": "list_pull_requests"})).await;
    assert_eq!((&listed["values"][0]["id"], &listed["more"]), (&id, &json!(false)));

    // Merging takes long: a task is polled.
    let merged = act(json!({"action": "merge_pull_request", "id": id, "message": "Merged"})).await;
    assert_eq!((&merged["state"], merged["merge_commit"].is_string()), (&json!("MERGED"), true), "{merged}");
    let again = act(json!({"action": "merge_pull_request", "id": id})).await;
    assert_eq!(again["merge_commit"], merged["merge_commit"]);
    act(json!({"action": "delete_repository"})).await;
}

#[tokio::test]
async fn a_pull_request_can_be_declined_and_lists_have_steady_shapes() {
    let world = World::running().await;
    let ada = world.connect("decline").await;
    let branch = format!("decline-{ada}");
    let push =
        json!({"repository": "seilbahn/website", "branch": branch, "message": "x", "files": {"x": ada}});
    world.sandbox("POST", "push", Some(push)).await;
    let repository = json!("seilbahn/website");
    let pull =
        json!({"action": "create_pull_request", "repository": repository, "title": "No", "source": branch});
    let id = act(&world, &ada, pull).await["id"].clone();
    let declined = json!({"action": "decline_pull_request", "repository": repository, "id": id});
    assert_eq!(act(&world, &ada, declined).await["state"], "DECLINED");
    let workspaces = act(&world, &ada, json!({"action": "list_workspaces"})).await;
    assert_eq!(workspaces["values"][0]["slug"], "seilbahn");
    let repositories =
        act(&world, &ada, json!({"action": "list_repositories", "workspace": "seilbahn"})).await;
    assert!(repositories["values"].as_array().expect("values").iter().all(|one| one["uuid"].is_string()));
}

#[tokio::test]
async fn a_pipeline_is_started_and_stopped() {
    let world = World::running().await;
    let ada = world.connect("pipelines").await;
    let act = async |mut action: Value| {
        action["repository"] = json!("seilbahn/website");
        act(&world, &ada, action).await
    };
    let run = act(json!({"action": "run_pipeline", "branch": "main", "custom": "deploy"})).await;
    assert_eq!((&run["state"], &run["branch"]), (&json!("IN_PROGRESS"), &json!("main")));
    act(json!({"action": "stop_pipeline", "pipeline": run["uuid"]})).await;
    let stopped = act(json!({"action": "get_pipeline", "pipeline": run["uuid"]})).await;
    assert_eq!((&stopped["state"], &stopped["result"]), (&json!("COMPLETED"), &json!("STOPPED")));
    let listed = act(json!({"action": "list_pipelines"})).await;
    assert!(listed["values"].as_array().expect("values").contains(&stopped));
}

#[tokio::test]
async fn issue_actions_say_that_bitbucket_removed_the_tracker() {
    let world = World::running().await;
    let ada = world.connect("issues").await;
    let action = json!({"action": "create_issue", "repository": "seilbahn/website", "title": "T"});
    let outcome = world.call(&ada, action).await;
    let problem = outcome.error.expect("a cause");
    assert_eq!((outcome.state, problem.code.as_str()), (State::Failed, "removed"));
    assert!(problem.resolution.contains("Jira"), "{}", problem.resolution);
}
