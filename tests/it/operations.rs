//! The table of known operations is the one that Bitbucket's description makes.

#[path = "../../shared/examples/operations.rs"]
#[expect(dead_code, reason = "the example's main is not called here")]
mod example;

use std::fs;
use std::path::Path;

use bucketwheel::call::State;
use serde_json::json;

use crate::world::World;

#[test]
fn the_table_is_what_the_description_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
    // The description is Atlassian's and no part of this repository.
    let Ok(text) = fs::read_to_string(root.join("../shared/bitbucket/openapi.json")) else { return };
    let description = serde_json::from_str(&text).expect("JSON");
    let table = fs::read_to_string(root.join("shared/src/call/operations.tsv")).expect("the table");
    assert_eq!(table, example::table(&description));
}

#[tokio::test]
async fn a_call_without_its_scope_is_refused_unsent_unless_forced() {
    let world = World::running().await;
    let credential = world.connect("scopes").await;
    let path = format!("repositories/seilbahn/website/pipelines-config/runners/{credential}");
    let call = json!({"method": "GET", "path": path});
    let outcome = world.call(&credential, call.clone()).await;
    let problem = outcome.error.expect("a cause");
    assert_eq!((outcome.state, problem.code.as_str()), (State::Failed, "missing_scope"));
    assert!(
        problem.cause.contains("runner") && problem.cause.contains("repository:write"),
        "{}",
        problem.cause
    );
    assert_eq!(world.requests("GET", &credential).await.len(), 0);

    let id = format!("forced-{credential}");
    let forced = json!({"id": id, "credential": credential, "call": call, "force": true});
    world.submit(forced.to_string()).await;
    assert_eq!(world.result(&id).await.error.expect("a cause").code, "not_found");
    assert_eq!(world.requests("GET", &credential).await.len(), 1);
}
