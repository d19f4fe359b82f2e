//! Actions of several requests.

use bucketwheel::call::State;

use super::*;

#[tokio::test]
async fn an_action_that_lacks_a_scope_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    // So that whatever is sent is seen: it would be judged as something else.
    world.allow(0);
    let credential = world.connect("weak", |weak| weak.granted = Scopes::parse("repository")).await;
    let files = json!([{"path": "a", "text": "x"}]);
    let repository = "seilbahn/website";
    for (id, call, scope) in [
        (
            "commit",
            json!({"action": "commit_files", "repository": repository, "message": "m", "files": files}),
            "repository:write",
        ),
        (
            "merge",
            json!({"action": "merge_pull_request", "repository": repository, "id": 1}),
            "pullrequest:write",
        ),
        ("hook", json!({"action": "ensure_hook", "repository": repository}), "webhook"),
        ("hooks", json!({"action": "ensure_hook", "repository": "seilbahn"}), "webhook"),
    ] {
        let outcome = world.call(id, &credential, &call).await;
        let problem = outcome.error.expect("a cause");
        assert_eq!((outcome.state, problem.code.as_str()), (State::Failed, "missing_scope"), "{problem:?}");
        assert!(problem.cause.contains(&format!("needs the scope {scope}")), "{}", problem.cause);
    }
}
