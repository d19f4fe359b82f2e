//! What stands in the place of a list does not say that there is nothing.

use bucketwheel::call::State;
use bucketwheel::store::repositories;
use bucketwheel_sandbox::Failure;

use super::*;

impl World {
    /// Lets the next request whose path has this text be answered with 200, by what is no list: a page, as in
    /// an outage, or JSON.
    fn answer_otherwise(&self, path: &str, html: bool) {
        let sandbox = self.sandbox.sandbox();
        let failure = Failure { count: 1, status: 200, html, method: None, path: Some(path.to_owned()) };
        sandbox.set_behaviour(Behaviour { fail_api: Some(failure), ..sandbox.behaviour() });
    }
}

fn says_nothing(visited: Result<(), Again>) {
    assert!(matches!(&visited, Err(Again::Later(_))), "{visited:?}");
}

#[tokio::test]
async fn no_repository_is_forgotten() {
    let world = World::new().await;
    let credential = world.connect("list", |_| {}).await;
    let refresh = json!({"action": "refresh_repositories"});
    world.call("first", &credential, &refresh).await;
    for (id, html) in [("page", true), ("json", false)] {
        world.answer_otherwise("/repositories/", html);
        says_nothing(world.visit(id, &credential, &refresh).await);
        let listed = repositories::listed(&world.worker.table, &credential).await.expect("a read");
        assert_eq!(listed.map(|listed| listed.count), Some(3));
        let outcome = world.call(id, &credential, &refresh).await;
        assert_eq!(outcome.body, Some(json!({"repositories": 3, "removed": 0})));
    }
}

#[tokio::test]
async fn no_second_hook_is_made() {
    let world = World::new().await;
    let credential = world.connect("hook", |_| {}).await;
    let subject = "seilbahn/website";
    world.ensure("first", &credential, subject).await;
    let before = world.registered(subject).await;
    for (id, html) in [("page", true), ("json", false)] {
        world.answer_otherwise("/hooks", html);
        says_nothing(world.visit(id, &credential, &json!({"action": "repair_hooks"})).await);
        assert_eq!(world.registered(subject).await, before);
    }
}

#[tokio::test]
async fn no_event_is_told_of_what_was_not_seen() {
    let (world, credential) = World::watching("sweep", &["repo:push"]).await;
    world.sweep(&credential).await;
    for html in [true, false] {
        world.advance(SignedDuration::from_hours(1));
        world.answer_otherwise("/refs", html);
        let id = format!("sweep-{html}");
        says_nothing(world.visit(&id, &credential, &json!({"action": "detect_missed"})).await);
        let (said, sent) = world.sweep(&credential).await;
        assert_eq!((&said["missed"], sent.len()), (&json!(0), 0));
    }
}

#[tokio::test]
async fn pages_do_not_end_before_the_list_does() {
    let world = World::new().await;
    let credential = world.connect("pages", |_| {}).await;
    let call = json!({"method": "GET", "path": "repositories/seilbahn", "query": {"pagelen": "1"}});
    let message = json!({"id": "pages", "credential": credential, "call": call, "paginate": {}});
    world.answer_otherwise("/repositories/", true);
    says_nothing(world.receive(message.clone()).await);
    world.receive(message).await.expect("it ends");
    assert_eq!(world.outcome("pages").await.pages.map(|pages| (pages.parts, pages.items)), Some((3, 3)));
}

#[tokio::test]
async fn pages_are_made_of_lists_alone() {
    let world = World::new().await;
    let credential = world.connect("single", |_| {}).await;
    let call = json!({"method": "GET", "path": "repositories/seilbahn/website"});
    world
        .receive(json!({"id": "single", "credential": credential, "call": call, "paginate": {}}))
        .await
        .expect("it ends");
    let outcome = world.outcome("single").await;
    assert_eq!(
        (outcome.state, outcome.error.map(|error| error.code)),
        (State::Failed, Some("not_a_list".into()))
    );
}

#[tokio::test]
async fn a_file_that_is_a_page_is_a_file() {
    let world = World::new().await;
    let credential = world.connect("file", |_| {}).await;
    let files = json!([{"path": "index.html", "text": "<html>ours</html>"}]);
    let commit = json!({"action": "commit_files", "repository": "seilbahn/website", "message": "A page", "files": files});
    world.call("commit", &credential, &commit).await;
    let read =
        json!({"method": "GET", "path": "repositories/seilbahn/website/src/main/index.html", "raw": true});
    let outcome = world.call("read", &credential, &read).await;
    assert_eq!(outcome.state, State::Succeeded, "{outcome:?}");
}
