//! Clusters and folders in step, with a real git history on the other side.

use serde_json::{Value, json};

use crate::world::World;
use crate::world::gitops::Told;

fn changes(told: &[Told]) -> Vec<(&str, &str, &str)> {
    told.iter().map(Told::change).filter(|(operation, ..)| !operation.is_empty()).collect()
}

fn inside(folder: &str, files: &[(&str, Value)]) -> Value {
    files
        .iter()
        .map(|(path, content)| (format!("{folder}/{path}"), content.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test]
async fn a_cluster_gets_its_folder_by_one_commit_and_hears_what_people_push() {
    let world = World::running().await;
    let credential = world.connect("gitops").await;
    let repository = world.repository("gitops-first", json!({"README.md": "Hello"})).await;
    let files = json!([{"path": "app/web.yaml", "text": "replicas: 1\n"}, {"path": "app/db.yaml", "text": "size: 1\n"}]);
    let cluster = world.attach(&credential, &repository, "blue", files).await;
    assert_eq!(cluster.folder, "clusters/blue-0f3c5a7e");
    let log = world.log(&cluster).await;
    assert_eq!(log.len(), 2, "one commit beside the first: {log:?}");
    assert_eq!(world.file(&cluster, "app/web.yaml").await.as_deref(), Some("replicas: 1\n"));
    assert!(world.file(&cluster, "cluster.json").await.is_some());

    let author = "Bo Okafor <bo@example.com>";
    let pushed = world
        .push(&cluster, json!({
            "message": "Three replicas", "author": author,
            "files": inside(&cluster.folder, &[("app/web.yaml", json!("replicas: 3\n")), ("app/db.yaml", Value::Null)]),
        }))
        .await;
    let told = world.told(&cluster, |told| changes(told).len() >= 2).await;
    assert_eq!(
        changes(&told),
        [("removed", "app/db.yaml", ""), ("modified", "app/web.yaml", "replicas: 3\n")]
    );
    let web = &told[1].data;
    assert_eq!((&web["commit"], &web["author"]["raw"]), (&json!(pushed), &json!(author)));
    assert_eq!((&web["message"], &web["cluster"]["name"]), (&json!("Three replicas"), &json!("blue")));

    let lines = world
        .until_history(&cluster, |lines| lines.iter().filter(|line| line["side"] == "bitbucket").count() == 2)
        .await;
    let last = lines.last().expect("a line");
    assert_eq!(
        (&last["what"], &last["path"], &last["commit"]["author"]),
        (&json!("modified"), &json!("app/web.yaml"), &json!(author))
    );
}

/// The changes told since the first `before`, without order.
fn since(told: &[Told], before: usize) -> std::collections::BTreeSet<(String, String, String)> {
    let changes = changes(told).into_iter().skip(before);
    changes
        .map(|(operation, path, content)| (operation.to_owned(), path.to_owned(), content.to_owned()))
        .collect()
}

fn three(operation: &str, path: &str, content: &str) -> (String, String, String) {
    (operation.to_owned(), path.to_owned(), content.to_owned())
}

#[tokio::test]
async fn whatever_happens_to_the_branch_the_cluster_comes_to_have_what_is_there() {
    let world = World::running().await;
    let credential = world.connect("gitops-history").await;
    let repository = world.repository("gitops-history", json!({"README.md": "Hello"})).await;
    let files = json!([{"path": "a.yaml", "text": "a: 1\n"}, {"path": "b.yaml", "text": "b: 1\n"}]);
    let cluster = world.attach(&credential, &repository, "red", files).await;
    let push = async |files: &[(&str, Value)], more: Value| {
        let mut wish = json!({"files": inside(&cluster.folder, files)});
        wish.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let commit = world.push(&cluster, wish).await;
        world.settled(&cluster, &commit).await;
        world.told(&cluster, |_| true).await
    };

    // More commits than an event lists.
    let told = push(&[("a.yaml", json!("a: 2\n"))], json!({"commits": 12})).await;
    assert_eq!(since(&told, 0), [three("modified", "a.yaml", "a: 2\n")].into());

    // The commit before is gone, and so is what it did; another one stands in its place.
    let before = told.len();
    let told = push(&[("c.yaml", json!("c: 1\n"))], json!({"force": true})).await;
    assert_eq!(
        since(&told, before),
        [three("modified", "a.yaml", "a: 1\n"), three("added", "c.yaml", "c: 1\n")].into()
    );
    world.until_history(&cluster, |lines| lines.iter().any(|line| line["what"] == "dropped")).await;

    // A rename.
    let before = told.len();
    let told = push(&[("c.yaml", Value::Null), ("d.yaml", json!("c: 1\n"))], json!({})).await;
    assert_eq!(
        since(&told, before),
        [three("removed", "c.yaml", ""), three("added", "d.yaml", "c: 1\n")].into()
    );

    // A merge: a branch that touches the folder, and one beside it.
    let before = told.len();
    let feature = json!({"repository": repository, "branch": "feature", "files": {
        (format!("{}/b.yaml", cluster.folder)): "b: 2\n", "elsewhere.txt": "x",
    }});
    world.sandbox("POST", "push", Some(feature)).await;
    let create = json!({"action": "create_pull_request", "repository": repository, "title": "Two", "source": "feature"});
    let number = world.call(&credential, create).await.body.expect("a pull request")["id"].clone();
    let merge = json!({"action": "merge_pull_request", "repository": repository, "id": number, "strategy": "merge_commit"});
    assert!(world.call(&credential, merge).await.error.is_none());
    let told = world.told(&cluster, |told| changes(told).len() > before).await;
    assert_eq!(since(&told, before), [three("modified", "b.yaml", "b: 2\n")].into());
    let tip = world.log(&cluster).await[0]["hash"].as_str().expect("a hash").to_owned();
    world.settled(&cluster, &tip).await;

    // The branch goes, and comes again without what it had.
    let count = told.len();
    world.push(&cluster, json!({"delete": true})).await;
    let told = world.told(&cluster, |told| told.len() > count).await;
    assert_eq!(told[count].kind, "org.bucketwheel.gitops.branch_deleted");
    world.put_files(&cluster, json!([{"path": "waits.yaml", "text": "w: 1\n"}])).await;
    world.push(&cluster, json!({"files": inside(&cluster.folder, &[("a.yaml", json!("a: 9\n"))])})).await;
    let told = world.told(&cluster, |told| changes(told).len() == before + 5).await;
    assert_eq!(told[count + 1].kind, "org.bucketwheel.gitops.branch_back");
    let gone = ["b.yaml", "cluster.json", "d.yaml"].map(|path| three("removed", path, ""));
    let want = gone.into_iter().chain([three("modified", "a.yaml", "a: 9\n")]).collect();
    assert_eq!(since(&told, before + 1), want);
    // What waited while the branch was away is committed now.
    world.until_history(&cluster, |lines| lines.iter().any(|line| line["path"] == "waits.yaml")).await;
    assert_eq!(world.file(&cluster, "waits.yaml").await.as_deref(), Some("w: 1\n"));
}

#[tokio::test]
async fn files_of_every_kind_and_large_folders_come_out_whole() {
    let world = World::running().await;
    let credential = world.connect("gitops-large").await;
    let repository = world.repository("gitops-large", json!({"README.md": "Hello"})).await;
    let cluster = world.attach(&credential, &repository, "green", json!([])).await;
    let many = (0..53).map(|n| (format!("{}/many/{n:03}.yaml", cluster.folder), json!(format!("n: {n}\n"))));
    let mut files: serde_json::Map<String, Value> = many.collect();
    for (path, content) in [
        ("list.json", "{\"b\": 1,  \"a\": 2}\n"),
        ("empty", ""),
        ("odd name %20#?.txt", "odd"),
        ("number", "7"),
    ] {
        files.insert(format!("{}/{path}", cluster.folder), json!(content));
    }
    files.insert(format!("{}/huge", cluster.folder), json!("x".repeat(300 * 1024)));
    world.push(&cluster, json!({ "files": files })).await;
    let blob = json!([{"path": format!("{}/blob", cluster.folder), "base64": "AAH/gA=="}]);
    let commit = json!({"action": "commit_files", "repository": repository, "branch": "main", "message": "A blob", "files": blob});
    assert!(world.call(&credential, commit).await.error.is_none());

    let told = world.told(&cluster, |told| changes(told).len() == 59).await;
    let of = |path: &str| &told.iter().find(|told| told.data["path"] == path).expect(path).data;
    assert_eq!(of("list.json")["content"], "{\"b\": 1,  \"a\": 2}\n", "byte for byte");
    assert_eq!((&of("empty")["content"], &of("number")["content"]), (&json!(""), &json!("7")));
    assert_eq!(of("odd name %20#?.txt")["content"], "odd");
    assert_eq!(of("blob")["content_base64"], "AAH/gA==");
    assert_eq!(of("huge")["content_omitted"], "too_large");
    let many =
        told.iter().filter(|told| told.data["path"].as_str().is_some_and(|path| path.starts_with("many/")));
    let order: Vec<_> = many.map(|told| told.data["path"].as_str().expect("a path")).collect();
    assert!(order.len() == 53 && order.is_sorted());
    let ids: std::collections::BTreeSet<_> = told.iter().map(|told| &told.id).collect();
    assert_eq!(ids.len(), told.len());
}

#[tokio::test]
async fn our_own_commits_do_not_come_back() {
    let world = World::running().await;
    let credential = world.connect("gitops-own").await;
    let repository = world.repository("gitops-own", json!({"README.md": "Hello"})).await;
    let cluster = world.attach(&credential, &repository, "white", json!([])).await;
    for number in 1..=3 {
        world.put_files(&cluster, json!([{"path": "ours.yaml", "text": format!("n: {number}\n")}])).await;
    }
    world
        .push(&cluster, json!({"files": inside(&cluster.folder, &[("theirs.yaml", json!("t: 1\n"))])}))
        .await;
    world.put_files(&cluster, json!([{"path": "ours.yaml", "delete": true}])).await;
    let ours = |lines: &[Value]| {
        lines.iter().filter(|line| line["side"] == "us" && line["path"] == "ours.yaml").count()
    };
    world.until_history(&cluster, |lines| ours(lines) == 4).await;
    let tip = world.log(&cluster).await[0]["hash"].as_str().expect("a hash").to_owned();
    world.settled(&cluster, &tip).await;
    let told = world.told(&cluster, |told| !told.is_empty()).await;
    assert_eq!(since(&told, 0), [three("added", "theirs.yaml", "t: 1\n")].into());
    assert_eq!(changes(&told).len(), 1);
    assert_eq!(world.file(&cluster, "ours.yaml").await, None);
    assert_eq!(world.log(&cluster).await.len(), 7, "each put is one commit");
}

#[tokio::test]
async fn what_no_webhook_told_is_found_by_the_schedule() {
    let world = World::running().await;
    let credential = world.connect("gitops-missed").await;
    let repository = world.repository("gitops-missed", json!({"README.md": "Hello"})).await;
    let cluster = world.attach(&credential, &repository, "grey", json!([])).await;
    let tip = world.log(&cluster).await[0]["hash"].as_str().expect("a hash").to_owned();
    world.settled(&cluster, &tip).await;
    assert!(world.call(&credential, json!({"action": "remove_hooks"})).await.error.is_none());
    let pushed =
        world.push(&cluster, json!({"files": inside(&cluster.folder, &[("missed", json!("m"))])})).await;
    world.make_due(&cluster).await;
    world.local().invoke("gitops-sync", "{}").await.expect("the schedule's work");
    let told = world.told(&cluster, |told| !told.is_empty()).await;
    assert_eq!(told[0].change(), ("added", "missed", "m"));
    world.settled(&cluster, &pushed).await;
}

#[tokio::test]
async fn a_folder_is_attached_once_and_a_detached_one_leaves_its_history() {
    let world = World::running().await;
    let credential = world.connect("gitops-detach").await;
    let repository = world.repository("gitops-detach", json!({"README.md": "Hello"})).await;
    let cluster = world.attach(&credential, &repository, "black", json!([])).await;
    let again = json!({
        "credential": credential, "repository": repository, "branch": "main",
        "cluster": {"name": "black", "id": "0f3c5a7e-1b2d-4c6e-8f90-a1b2c3d4e5f6"},
    });
    let (status, answer) = world.operator("POST", "gitops", Some(again)).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (409, &json!("already_attached")));
    let (status, _) = world.operator("DELETE", &format!("gitops/{}", cluster.id), None).await;
    assert_eq!(status.as_u16(), 202);
    crate::world::until("it is forgotten", async || {
        let (status, _) = world.operator("GET", &format!("gitops/{}", cluster.id), None).await;
        (status.as_u16() == 404).then_some(())
    })
    .await;
    assert!(world.file(&cluster, "cluster.json").await.is_some());
    world.until_history(&cluster, |lines| !lines.is_empty()).await;
}
