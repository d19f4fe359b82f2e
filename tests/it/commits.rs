//! `commit_files`: many files, one commit, whoever else commits.

use std::collections::BTreeSet;

use bucketwheel::call::{Outcome, State};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::at_most_once::{every_fault, looked_for_among_pages};
use crate::lambda::Fault;
use crate::world::World;

const WRITERS: u32 = 20;
const EACH: u32 = 10;

async fn commit(world: &World, credential: &str, wish: Value) -> Outcome {
    let mut action =
        json!({"action": "commit_files", "repository": "seilbahn/website", "message": "A commit"});
    action.as_object_mut().expect("an object").extend(wish.as_object().expect("an object").clone());
    world.call(credential, action).await
}

fn body(outcome: Outcome) -> Value {
    assert_eq!(outcome.state, State::Succeeded, "{outcome:?}");
    outcome.body.expect("a body")
}

/// The messages on a branch that are not on another.
async fn messages(world: &World, credential: &str, branch: &str) -> Vec<String> {
    let query = json!({"include": branch, "exclude": "main", "pagelen": "100", "fields": "values.message"});
    let call = json!({"method": "GET", "path": "repositories/seilbahn/website/commits", "query": query});
    let id = format!("log-{branch}");
    let message = json!({"id": id, "credential": credential, "call": call, "paginate": {}});
    world.submit(message.to_string()).await;
    assert_eq!(world.result(&id).await.state, State::Succeeded);
    let pages = world.parts(&id).into_iter().map(|part| part.body.expect("a page"));
    let values = pages.flat_map(|page| page["values"].as_array().expect("values").clone());
    values.map(|commit| commit["message"].as_str().expect("a message").to_owned()).collect()
}

#[tokio::test]
async fn of_twenty_writers_no_commit_is_lost_and_none_is_doubled() {
    let world = World::running().await;
    let credential = world.connect("writers").await;
    let branch = format!("race-{credential}");
    let writers = (0..WRITERS).map(|writer| {
        let (world, credential, branch) = (&world, &credential, &branch);
        async move {
            for number in 0..EACH {
                let file = json!({"path": format!("{writer}/{number}.txt"), "text": "x"});
                let wish =
                    json!({"branch": branch, "message": format!("{writer}:{number}"), "files": [file]});
                assert_eq!(body(commit(world, credential, wish).await)["changed"], true);
            }
        }
    });
    stream::iter(writers).buffer_unordered(WRITERS as usize).collect::<Vec<()>>().await;
    let messages = messages(&world, &credential, &branch).await;
    let first: Vec<_> = messages.iter().filter_map(|text| text.lines().next()).collect();
    let want: BTreeSet<_> =
        (0..WRITERS).flat_map(|writer| (0..EACH).map(move |n| format!("{writer}:{n}"))).collect();
    assert_eq!(first.len(), want.len(), "each once");
    assert_eq!(first.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>(), want);
}

#[tokio::test]
async fn whatever_fails_at_whichever_step_there_is_one_commit() {
    let world = World::running().await;
    let credential = world.connect("killed-commit").await;
    let branch = format!("killed-{credential}");
    body(
        commit(&world, &credential, json!({"branch": branch, "files": [{"path": "first", "text": "x"}]}))
            .await,
    );
    let message = |id: &str| {
        let file = json!({"path": format!("{id}.txt"), "text": id});
        let action = json!({
            "action": "commit_files", "repository": "seilbahn/website", "branch": branch,
            "message": id, "files": [file],
        });
        json!({"id": id, "credential": credential, "call": action})
    };
    let tries = every_fault(&world, "commits", &credential, message).await;
    for (step, fault, sent, outcome) in &tries {
        assert_eq!((*sent, outcome.state), (1, State::Succeeded), "{fault:?} at {step}");
        assert_eq!(outcome.body.as_ref().expect("a body")["changed"], true, "{fault:?} at {step}");
    }
    assert!(tries.iter().any(|(step, fault, ..)| step.contains("/src") && *fault == Fault::TookTooLong));
    let messages = messages(&world, &credential, &branch).await;
    let once: BTreeSet<_> = messages.iter().collect();
    assert_eq!((messages.len(), once.len()), (tries.len() + 2, tries.len() + 2));
}

#[tokio::test]
async fn a_page_in_the_place_of_an_answer_does_not_commit_again() {
    let world = World::running().await;
    let credential = world.connect("paged-commit").await;
    let branch = format!("paged-{credential}");
    let files = |path: &str| json!([{"path": path, "text": "x"}]);
    body(commit(&world, &credential, json!({"branch": branch, "files": files("first")})).await);
    let action = json!({
        "action": "commit_files", "repository": "seilbahn/website", "branch": branch, "message": "paged",
        "files": files("second"),
    });
    let message = json!({"id": format!("commit-{branch}"), "credential": credential, "call": action});
    let (sent, outcome) = looked_for_among_pages(&world, &message).await;
    assert_eq!((sent, outcome.state), (1, State::Succeeded));
    assert_eq!(messages(&world, &credential, &branch).await.len(), 2);
}

#[tokio::test]
async fn files_of_every_kind_are_written_and_nothing_new_is_no_commit() {
    let world = World::running().await;
    let credential = world.connect("kinds").await;
    let branch = format!("kinds-{credential}");
    let files = json!([
        {"path": "bin/run", "text": "#!/bin/sh\n", "executable": true},
        {"path": "blob", "base64": "AAH/gA=="},
        {"path": "message", "text": "a file called as a field"},
    ]);
    let wish = json!({"branch": branch, "files": files});
    let made = body(commit(&world, &credential, wish.clone()).await);
    assert_eq!((&made["changed"], &made["branch"]), (&json!(true), &json!(branch)));
    let again = body(commit(&world, &credential, wish).await);
    assert_eq!((&again["changed"], &again["commit"]), (&json!(false), &made["commit"]));

    let deletion = json!({"branch": branch, "files": [{"path": "blob", "delete": true}]});
    let deleted = body(commit(&world, &credential, deletion.clone()).await);
    assert_eq!(body(commit(&world, &credential, deletion).await)["changed"], false);
    let tip = deleted["commit"].as_str().expect("a hash");
    let read = async |path: &str, query: Value| {
        let path = format!("repositories/seilbahn/website/src/{tip}/{path}");
        world.call(&credential, json!({"method": "GET", "path": path, "query": query})).await
    };
    assert_eq!(read("blob", json!({})).await.status, Some(404));
    let meta = read("bin/run", json!({"format": "meta"})).await.body.expect("JSON");
    assert_eq!(meta["attributes"], json!(["executable"]));
    assert_eq!(read("message", json!({})).await.status, Some(200));
}

#[tokio::test]
async fn an_expected_parent_is_insisted_on() {
    let world = World::running().await;
    let credential = world.connect("parent").await;
    let branch = format!("parent-{credential}");
    let file = |text: &str| json!([{"path": "a", "text": text}]);
    let first = body(commit(&world, &credential, json!({"branch": branch, "files": file("1")})).await);
    let wish =
        |text, parent: &Value| json!({"branch": branch, "files": file(text), "expected_parent": parent});
    let second = body(commit(&world, &credential, wish("2", &first["commit"])).await);
    assert_eq!(second["parent"], first["commit"]);
    let late = commit(&world, &credential, wish("3", &first["commit"])).await;
    assert_eq!((late.state, late.error.expect("a cause").code.as_str()), (State::Failed, "conflict"));
}

#[tokio::test]
async fn an_empty_repository_gets_its_first_commit() {
    let world = World::running().await;
    let credential = world.connect("empty").await;
    let repository = format!("seilbahn/empty-{}", &credential[..16]);
    let made =
        world.call(&credential, json!({"action": "create_repository", "repository": repository})).await;
    assert_eq!(made.state, State::Succeeded, "{made:?}");
    let files = json!([{"path": "README.md", "text": "Hello"}]);
    let wish = json!({"repository": repository, "files": files});
    let first = body(commit(&world, &credential, wish.clone()).await);
    assert_eq!((&first["changed"], &first["parent"]), (&json!(true), &Value::Null));
    assert_eq!(body(commit(&world, &credential, wish).await)["changed"], false);
}
