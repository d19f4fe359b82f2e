//! The life of a credential of every kind, on the running system.

use bucketwheel::call::State;
use bucketwheel_sandbox::seed;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, text, until};

const ADA: &[(&str, &str)] = &[("email", seed::ADA_EMAIL), ("token", seed::ADA_API_TOKEN)];

impl World {
    /// Makes a link of a kind and enters the token at it; gives the credential.
    pub(crate) async fn enter(&self, body: Value, form: &[(&str, &str)]) -> String {
        let (status, link) = self.operator("POST", "connect-links", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{link}");
        let landed = self.person().submit(&text(&link["url"]), form).await.expect("an answer");
        assert_eq!(landed.parameter("connected"), Some(text(&link["credential"])), "{}", landed.text);
        text(&link["credential"])
    }

    async fn audit(&self, credential: &str) -> Vec<String> {
        let (status, trail) = self.operator("GET", &format!("credentials/{credential}/audit"), None).await;
        assert_eq!(status, StatusCode::OK, "{trail}");
        let lines = trail["values"].as_array().expect("lines").clone();
        assert!(lines.iter().all(|line| line["request"].as_str().is_some_and(|request| !request.is_empty())));
        lines.iter().map(|line| text(&line["action"])).collect()
    }
}

#[tokio::test]
async fn a_credential_of_every_kind_makes_calls() {
    let world = World::running().await;
    for (kind, resource, form) in [
        ("oauth_client_credentials", None, &[][..]),
        ("api_token_shared", None, ADA),
        ("api_token_user", None, ADA),
        ("repository_access_token", Some("infrastructure"), &[("token", seed::REPOSITORY_ACCESS_TOKEN)]),
        ("project_access_token", Some("WEB"), &[("token", seed::PROJECT_ACCESS_TOKEN)]),
        ("workspace_access_token", None, &[("token", seed::WORKSPACE_ACCESS_TOKEN)]),
    ] {
        let mut body = json!({"workspace": seed::WORKSPACE, "label": kind, "kind": kind});
        if let Some(resource) = resource {
            body["resource"] = json!(resource);
        }
        let credential = world.enter(body, form).await;
        let repository = if kind == "project_access_token" { "website" } else { "infrastructure" };
        let read = json!({"method": "GET", "path": format!("repositories/seilbahn/{repository}")});
        let outcome = world.call(&credential, read).await;
        assert_eq!(outcome.state, State::Succeeded, "{kind}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_refused_token_that_nobody_can_renew_fails_its_call_at_once() {
    let world = World::running().await;
    let body = json!({"workspace": seed::WORKSPACE, "label": "refused", "kind": "api_token_shared"});
    let credential = world.enter(body, ADA).await;
    // No other test asks for this path.
    world.behave(json!({"fail_api": {"count": 1, "status": 401, "path": "/user/emails"}})).await;
    let outcome = world.call(&credential, json!({"method": "GET", "path": "user/emails"})).await;
    assert_eq!(outcome.error.map(|error| error.code).as_deref(), Some("token_refused"));
}

#[tokio::test]
async fn a_credential_that_is_switched_off_makes_no_calls_and_still_takes_deliveries() {
    let world = World::running().await;
    let credential = world.connect("Switched off").await;
    let secret = world.hook(&credential, "seilbahn/infrastructure").await;
    let (status, off) = world.operator("POST", &format!("credentials/{credential}/disable"), None).await;
    assert_eq!((status, off["status"]["health"].as_str()), (StatusCode::OK, Some("disabled")));

    let refused = world.call(&credential, json!({"method": "GET", "path": "user"})).await;
    assert_eq!(refused.error.map(|error| error.code).as_deref(), Some("credential_disabled"));
    let body = br#"{"repository":{"uuid":"{5e11ba47-0000-4000-8000-0000000000a1}"}}"#;
    assert_eq!(world.deliver(&credential, "repo:push", body, &secret).await, StatusCode::ACCEPTED);

    world.operator("POST", &format!("credentials/{credential}/enable"), None).await;
    let served = world.call(&credential, json!({"method": "GET", "path": "user"})).await;
    assert_eq!(served.state, State::Succeeded);
    assert_eq!(world.audit(&credential).await, ["link_made", "connected", "disabled", "enabled"]);
}

#[tokio::test]
async fn a_deleted_credential_leaves_no_hook_and_no_secret_but_its_audit_trail() {
    let world = World::running().await;
    let credential = world.connect("Deleted").await;
    world.hook(&credential, "seilbahn/website").await;
    let (status, begun) = world.operator("DELETE", &format!("credentials/{credential}"), None).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun}");

    until("the credential is gone", async || {
        let (status, _) = world.operator("GET", &format!("credentials/{credential}"), None).await;
        (status == StatusCode::NOT_FOUND).then_some(())
    })
    .await;
    let state = world.sandbox("GET", "state", None).await;
    let hooks = state["hooks"].as_array().expect("hooks");
    assert!(!hooks.iter().any(|hook| hook["url"].as_str().is_some_and(|url| url.ends_with(&credential))));
    for sk in ["META", "TOKENS", "HOOK", "OWNER", "WORKSPACE", "HOOK#seilbahn/website"] {
        assert!(world.item(&format!("CRED#{credential}"), sk).await.is_none(), "{sk} is still there");
    }
    assert_eq!(world.audit(&credential).await, ["link_made", "connected", "delete_begun", "deleted"]);
    let outcome = world.call(&credential, json!({"method": "GET", "path": "user"})).await;
    assert_eq!(outcome.error.map(|error| error.code).as_deref(), Some("unknown_credential"));
}

#[tokio::test]
async fn nobody_deletes_a_credential_through_the_calls_queue() {
    let world = World::running().await;
    let credential = world.connect("Not deleted").await;
    let outcome = world.call(&credential, json!({"action": "delete_credential"})).await;
    assert_eq!(outcome.error.map(|error| error.code).as_deref(), Some("not_marked"));
    assert!(world.item(&format!("CRED#{credential}"), "TOKENS").await.is_some());
}

#[tokio::test]
async fn a_credential_is_found_by_its_owner() {
    let world = World::running().await;
    let body = json!({
        "workspace": seed::WORKSPACE, "label": "found", "kind": "api_token_user", "owner": "end user 7",
    });
    let credential = world.enter(body, ADA).await;
    let found = until("the index has it", async || {
        let (_, page) = world.operator("GET", "credentials?owner=end%20user%207", None).await;
        page["values"].as_array().filter(|values| !values.is_empty()).cloned()
    })
    .await;
    assert_eq!((found.len(), text(&found[0]["id"])), (1, credential));
}
