//! The credential's hooks at Bitbucket.

use bucketwheel::bitbucket::TIME_OUT;
use bucketwheel::call::{ApiPath, State, Wire};
use bucketwheel::credential::Scheme;
use bucketwheel::store::hooks::{self, HookSecrets};
use bucketwheel::token::Authorization;

use super::*;

const WEBSITE: &str = "seilbahn/website";

impl World {
    async fn hooks(&self, credential: &CredentialId) -> Option<HookSecrets> {
        hooks::get(&self.worker.table, credential).await.expect("a read")
    }

    /// The hooks that Bitbucket has of a workspace or repository.
    pub(super) async fn registered(&self, subject: &str) -> Vec<Value> {
        let owner = AccessToken::new(SecretString::from(seed::WORKSPACE_ACCESS_TOKEN));
        let owner = Authorization::new(Scheme::Bearer, owner);
        let of = if subject.contains('/') { "repositories" } else { "workspaces" };
        let path = ApiPath::parse(&format!("{of}/{subject}/hooks")).expect("a path");
        let answer = self.worker.api.send(&owner, &Wire::get(path, &[]), TIME_OUT).await.expect("an answer");
        answer.json().expect("JSON")["values"].as_array().cloned().expect("hooks")
    }

    pub(super) async fn ensure(&self, id: &str, credential: &CredentialId, subject: &str) -> Outcome {
        let call =
            json!({"action": "ensure_hook", "repository": subject, "events": ["repo:push", "repo:fork"]});
        self.call(id, credential, &call).await
    }

    /// A credential that administers the repositories of one project, and not the workspace.
    async fn of_project(&self, id: &str) -> CredentialId {
        let change = |credential: &mut Credential| {
            (credential.kind, credential.resource) = (Kind::ProjectAccessToken, seed::WEB_PROJECT.to_owned());
        };
        self.connect_with(id, seed::PROJECT_ACCESS_TOKEN, change).await
    }
}

#[tokio::test]
async fn where_a_workspaces_hook_is_refused_those_of_its_repositories_stand_in() {
    let world = World::new().await;
    let credential = world.of_project("project").await;
    let outcome = world.ensure("hook", &credential, seed::WORKSPACE).await;
    assert_eq!(outcome.state, State::Succeeded, "{outcome:?}");
    let hooks = world.registered(WEBSITE).await;
    assert_eq!((hooks.len(), &hooks[0]["secret_set"]), (1, &json!(true)));
    assert_eq!(hooks[0]["events"].as_array().map(Vec::len), Some(2));
    assert!(world.registered("seilbahn/infrastructure").await.is_empty(), "it administers only its project");

    let stored = world.hooks(&credential).await.expect("hooks");
    let [workspace, website] = stored.hooks.as_slice() else { panic!("{:?}", stored.hooks) };
    let problem = workspace.problem.as_ref().expect("a problem");
    assert!(problem.resolution.starts_with("The hooks of 1 repositories stand in for it."), "{problem:?}");
    assert_eq!((website.subject.as_str(), website.problem.as_ref()), (WEBSITE, None));

    // A rotation reaches them, and does not wait for the one that is not there.
    let rotated = world.call("rotate", &credential, &json!({"action": "rotate_hook"})).await;
    assert_eq!(rotated.state, State::Succeeded, "{rotated:?}");
    hooks::matched(&world.worker.table, &credential, 2).await.expect("noted");
    world.advance(SignedDuration::from_hours(25));
    world.call("repair", &credential, &json!({"action": "repair_hooks"})).await;
    let stored = world.hooks(&credential).await.expect("hooks");
    assert_eq!((stored.secrets.len(), stored.hooks[1].registered), (1, 2));

    let call = json!({"action": "remove_hooks", "repository": seed::WORKSPACE});
    let removed = world.call("remove", &credential, &call).await;
    assert_eq!(removed.body, Some(json!({"removed": 2})));
    assert!(world.registered(WEBSITE).await.is_empty() && world.hooks(&credential).await.is_none());
}

#[tokio::test]
async fn stand_ins_go_once_bitbucket_takes_the_workspaces_hook() {
    let world = World::new().await;
    let credential = world.connect("owner", |_| {}).await;
    world.ensure("website", &credential, WEBSITE).await;
    // As if the workspace's hook had been refused until now.
    let mut stored = world.hooks(&credential).await.expect("hooks");
    stored.hooks[0].stands_in_for = Some(seed::WORKSPACE.to_owned());
    hooks::replace(&world.worker.table, &credential, &mut stored).await.expect("stored");
    let outcome = world.ensure("workspace", &credential, seed::WORKSPACE).await;
    assert_eq!(outcome.state, State::Succeeded, "{outcome:?}");
    assert_eq!(world.registered(seed::WORKSPACE).await.len(), 1);
    assert!(world.registered(WEBSITE).await.is_empty(), "each event would come twice");
    assert_eq!(world.hooks(&credential).await.expect("hooks").hooks.len(), 1);
}

#[tokio::test]
async fn one_hook_is_removed_and_the_others_and_their_secret_stay() {
    let world = World::new().await;
    let credential = world.connect("two", |_| {}).await;
    for subject in [seed::WORKSPACE, WEBSITE] {
        world.ensure(&subject.replace('/', "-"), &credential, subject).await;
    }
    let before = world.hooks(&credential).await.expect("hooks");
    let remove = |subject: &str| json!({"action": "remove_hooks", "repository": subject});
    let removed = world.call("one", &credential, &remove(WEBSITE)).await;
    assert_eq!(removed.body, Some(json!({"removed": 1})));
    assert!(world.registered(WEBSITE).await.is_empty());
    assert_eq!(world.registered(seed::WORKSPACE).await.len(), 1);
    let after = world.hooks(&credential).await.expect("hooks");
    assert_eq!((after.hooks.as_slice(), &after.secrets), (&before.hooks[..1], &before.secrets));

    let again = world.call("again", &credential, &remove(WEBSITE)).await;
    assert_eq!(again.error.expect("a cause").code, "no_hook");
    world.call("last", &credential, &remove(seed::WORKSPACE)).await;
    assert!(world.registered(seed::WORKSPACE).await.is_empty() && world.hooks(&credential).await.is_none());
}

#[tokio::test]
async fn a_hook_and_its_secret_are_stored_before_bitbucket_is_told() {
    let world = World::new().await;
    let credential = world.connect("before", |_| {}).await;
    // Bitbucket answers nothing usable, so the action does not come to its end.
    let sandbox = world.sandbox.sandbox();
    let down = serde_json::from_value(json!({"count": 100, "status": 503})).expect("a failure");
    let up = sandbox.behaviour();
    sandbox.set_behaviour(Behaviour { fail_api: Some(down), ..up.clone() });
    let call = json!({"action": "ensure_hook", "repository": WEBSITE});
    world.visit("hook", &credential, &call).await.expect_err("it comes again");
    let stored = world.hooks(&credential).await.expect("what is wanted is stored");
    assert_eq!((stored.secrets.len(), stored.hooks[0].registered), (1, 0));
    let secret = stored.secrets[0].clone();

    sandbox.set_behaviour(up);
    world.call("hook", &credential, &call).await;
    let stored = world.hooks(&credential).await.expect("hooks");
    assert_eq!((&stored.secrets[0], stored.hooks[0].registered), (&secret, 1));
    assert_eq!(world.registered(WEBSITE).await[0]["secret_set"], json!(true));
}

#[tokio::test]
async fn each_single_change_of_somebodys_is_taken_back_and_a_second_hook_goes() {
    let world = World::new().await;
    let credential = world.connect("changed", |_| {}).await;
    world.ensure("hook", &credential, WEBSITE).await;
    let before = world.registered(WEBSITE).await.remove(0);
    let uuid = before["uuid"].as_str().expect("a uuid").trim_matches(['{', '}']).to_owned();
    let hook = |name: &str, value: Value| {
        let mut hook =
            json!({"active": true, "events": before["events"], "url": before["url"], "description": "x"});
        hook[name] = value;
        hook
    };
    let put = |body: Value| json!({"method": "PUT", "path": format!("repositories/{WEBSITE}/hooks/{uuid}"), "body": body});
    let post = json!({"method": "POST", "path": format!("repositories/{WEBSITE}/hooks"), "body": hook("secret", json!("theirs"))});
    for (what, change) in [
        ("inactive", put(hook("active", json!(false)))),
        ("events", put(hook("events", json!(["repo:updated"])))),
        ("secret", put(hook("secret", Value::Null))),
        ("second", post),
    ] {
        let changed = world.call(what, &credential, &change).await;
        assert_eq!(changed.state, State::Succeeded, "{changed:?}");
        let repaired =
            world.call(&format!("repair-{what}"), &credential, &json!({"action": "repair_hooks"})).await;
        assert_eq!(repaired.state, State::Succeeded, "{repaired:?}");
        let after = world.registered(WEBSITE).await;
        assert_eq!(after.len(), 1, "{what}");
        for name in ["uuid", "active", "events", "secret_set"] {
            assert_eq!(after[0][name], before[name], "{what}");
        }
    }
}

#[tokio::test]
async fn workers_that_register_at_once_leave_one_hook() {
    let world = World::new().await;
    let credential = world.connect("race", |_| {}).await;
    world.ensure("first", &credential, WEBSITE).await;
    for round in 0..5 {
        let uuid = world.registered(WEBSITE).await[0]["uuid"].as_str().expect("a uuid").to_owned();
        let delete = json!({"method": "DELETE", "path": format!("repositories/{WEBSITE}/hooks/{uuid}")});
        world.call(&format!("delete-{round}"), &credential, &delete).await;
        let repair = json!({"action": "repair_hooks"});
        let ids = ["a", "b", "c"].map(|name| format!("{name}-{round}"));
        let visits = ids.iter().map(|id| world.visit(id, &credential, &repair));
        futures_util::future::join_all(visits).await.into_iter().for_each(drop);
        assert_eq!(world.registered(WEBSITE).await.len(), 1);
    }
}
