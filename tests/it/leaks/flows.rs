//! Every flow, once right and once wrong, with everything that was shown on the way: consent, tokens entered by
//! hand, hooks and deliveries, and the console.

use bucketwheel::signature::sign;
use bucketwheel_sandbox::person::Decision;
use bucketwheel_sandbox::seed;
use proof::way::Gate;
use reqwest::header::SET_COOKIE;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::canaries::{Canaries, Place};
use super::{ends, refreshes, work};
use crate::world::{World, text};

pub(super) const REPOSITORY: &str = "seilbahn/infrastructure";
pub(super) const PAYLOAD: &str = "canary-payload-3f9c1b7e5d2a4c8f9e0b";
pub(super) const CALL: &str = "canary-call-body-7d1e9a3b5c2f4e8d6a0c";
/// What is in the folder of a cluster.
pub(super) const FILE: &str = "canary-file-1c8e5f7a9b3d4e6c8d0f2a";

pub(super) type Seen = Vec<(Place, String)>;

/// The payload of a delivery belongs on the events queue, and on the gitops queue, which has a copy of each
/// push.
fn payload(place: &Place) -> bool {
    place.is_queue(&["events", "gitops"])
}

/// A call waits on its queue. What it wrote comes back in Bitbucket's answer, which is its outcome and is kept,
/// and in the payload of its push.
fn call_body(place: &Place) -> bool {
    place.is_queue(&["calls", "results", "events", "gitops"]) || matches!(place, Place::Table | Place::Page)
}

/// A cluster's files go to Bitbucket as calls, and what people change in them is told and kept.
fn file(place: &Place) -> bool {
    place.is_queue(&["calls", "results", "changes"]) || matches!(place, Place::Table | Place::Page)
}

/// A connect link is seen by whoever holds it.
fn on_its_page(place: &Place) -> bool {
    *place == Place::Link
}

/// Goes through every flow; gives what was shown, and a credential that was used in most of them.
pub(super) async fn all(world: &World, gate: &Gate, canaries: &mut Canaries) -> (Seen, String) {
    let mut seen = Vec::new();
    canaries.add("the operator's token", &world.local().outputs.operator_token);
    canaries.add("the consumer's secret", seed::CONSUMER_SECRET);
    canaries.add_but("a delivery's body", PAYLOAD, payload);
    canaries.add_but("a call's body", CALL, call_body);
    canaries.add_but("a cluster's file", FILE, file);
    keys(world, canaries).await;
    let credential = consent(world, canaries, &mut seen).await;
    enter(world, canaries, &mut seen).await;
    hooks(world, gate, canaries, &credential, &mut seen).await;
    refreshes::all(world, canaries, &credential, &mut seen).await;
    work::calls(world, canaries, &credential, &mut seen).await;
    work::odd_answers(world, canaries, &credential, &mut seen).await;
    work::by_hand(world, canaries, &mut seen).await;
    work::gitops(world, canaries, &credential, &mut seen).await;
    work::missed(world, canaries).await;
    work::deleted(world, canaries, &mut seen).await;
    pages(world, canaries, &credential, &mut seen).await;
    ends::commands(world, &credential, &mut seen).await;
    ends::keys(world, canaries, &mut seen).await;
    tokens(world, canaries).await;
    (seen, credential)
}

/// Every key that is on a ring now.
pub(super) async fn keys(world: &World, canaries: &mut Canaries) {
    for ring in rings(world) {
        let text = world.secrets().text(&ring).await.expect("the keyring");
        let keys: Value = serde_json::from_str(text.expose_secret()).expect("JSON");
        for key in keys.as_object().expect("keys").values() {
            canaries.add("a key", key.as_str().or_else(|| key["key"].as_str()).expect("a key"));
        }
    }
}

pub(super) fn rings(world: &World) -> [String; 3] {
    let outputs = &world.local().outputs;
    [outputs.hook_keyring.clone(), outputs.access_keyring.clone(), outputs.refresh_keyring.clone()]
}

/// Every token and secret that Bitbucket knows now.
pub(super) async fn tokens(world: &World, canaries: &mut Canaries) {
    let state = world.sandbox("GET", "state?reveal=true", None).await;
    for grant in state["grants"].as_array().expect("grants") {
        for (kind, name) in [("refresh_tokens", "a refresh token"), ("access_tokens", "an access token")] {
            for token in grant[kind].as_array().expect("tokens") {
                canaries.add(name, token["value"].as_str().expect("revealed"));
            }
        }
    }
    for hook in state["hooks"].as_array().expect("hooks") {
        canaries.add("a hook's secret", hook["secret"].as_str().expect("a secret"));
    }
}

async fn consent(world: &World, canaries: &mut Canaries, seen: &mut Seen) -> String {
    let (url, credential) = world.connect_link("Canary").await;
    canaries.add_but("a connect link", url.rsplit('/').next().expect("a ticket"), on_its_page);
    let mut person = world.person();
    let consent = person.open(&url).await.expect("the consent page");
    canaries.add("a state", &consent.parameter("state").expect("a state"));
    let refused = person.decide(&consent, Decision::Deny).await.expect("back");
    seen.push((Place::Error, refused.text));
    // Bitbucket's token endpoint fails in each way, and in the end does not.
    for failure in [
        json!({"fail_token_endpoint": {"count": 1, "status": 500, "html": true}}),
        json!({"fail_token_endpoint": {"count": 1, "status": 200, "html": true}}),
        json!({"fail_token_endpoint": {"count": 1, "status": 400}}),
        json!({"lose_answer": {"count": 1, "when": "after_commit"}}),
        json!({}),
    ] {
        world.behave(failure).await;
        let consent = person.open(&url).await.expect("the consent page");
        if consent.url.path() != "/site/oauth2/authorize" {
            seen.push((Place::Error, consent.text));
            continue;
        }
        canaries.add("a state", &consent.parameter("state").expect("a state"));
        let landed = person.decide(&consent, Decision::Grant).await.expect("back");
        seen.push((Place::Page, landed.text));
        tokens(world, canaries).await;
    }
    // A callback that never began.
    let forged = format!("{}/oauth/callback?code={PAYLOAD}&state={CALL}", world.local().public_url);
    seen.push((Place::Error, world.person().open(&forged).await.expect("a page").text));
    let connected = world.item(&format!("CRED#{credential}"), "TOKENS").await.is_some();
    if connected { credential } else { world.connect("Canary again").await }
}

/// The kinds that are entered by hand: wrong first, then right.
async fn enter(world: &World, canaries: &mut Canaries, seen: &mut Seen) {
    let wrong = "ATATT-canary-wrong-api-token-0c9e8d7f6a5b";
    canaries.add("a wrong token", wrong);
    let ada = json!({"email": seed::ADA_EMAIL, "scopes": ["read:user:bitbucket", "read:repository:bitbucket", "read:workspace:bitbucket"]});
    let made = world.sandbox("POST", "api-tokens", Some(ada)).await;
    let api = text(made.get("token").unwrap_or(&made["value"]));
    canaries.add("an API token", &api);
    let mut access = Vec::new();
    for place in [json!({"repository": "infrastructure"}), json!({"project": "WEB"}), json!({})] {
        let mut wish = json!({"name": "canary", "workspace": seed::WORKSPACE});
        wish.as_object_mut().expect("an object").extend(place.as_object().expect("an object").clone());
        let made = world.sandbox("POST", "access-tokens", Some(wish)).await;
        let token = text(made.get("token").unwrap_or(&made["value"]));
        canaries.add("an access token that was made by hand", &token);
        access.push(token);
    }
    for (kind, resource, token) in [
        ("oauth_client_credentials", None, ""),
        ("api_token_shared", None, api.as_str()),
        ("api_token_user", None, &api),
        ("repository_access_token", Some("infrastructure"), &access[0]),
        ("project_access_token", Some("WEB"), &access[1]),
        ("workspace_access_token", None, &access[2]),
    ] {
        let mut body = json!({"workspace": seed::WORKSPACE, "label": kind, "kind": kind});
        if let Some(resource) = resource {
            body["resource"] = json!(resource);
        }
        let (status, link) = world.operator("POST", "connect-links", Some(body)).await;
        assert!(status.is_success(), "{link}");
        let url = text(&link["url"]);
        canaries.add_but("a connect link", url.rsplit('/').next().expect("a ticket"), on_its_page);
        let mut person = world.person();
        seen.push((Place::Link, person.open(&url).await.expect("a page").text));
        for token in [wrong, token] {
            let form = [("email", seed::ADA_EMAIL), ("token", token)];
            let landed = person.submit(&url, &form).await.expect("an answer");
            let place = if landed.url.path().starts_with("/connect/") { Place::Link } else { Place::Page };
            seen.push((place, format!("{} {}", landed.url, landed.text)));
        }
        tokens(world, canaries).await;
    }
}

async fn hooks(world: &World, gate: &Gate, canaries: &mut Canaries, credential: &str, seen: &mut Seen) {
    let secret = world.hook(credential, REPOSITORY).await;
    tokens(world, canaries).await;
    deliveries(world, canaries, credential, &secret).await;
    work::parked(world, gate, canaries, credential, &secret).await;
    let push =
        json!({"repository": REPOSITORY, "branch": "main", "message": PAYLOAD, "files": {"c": PAYLOAD}});
    world.sandbox("POST", "push", Some(push)).await;
    world.events(credential, 3).await;
    for action in ["rotate_hook", "repair_hooks", "list_hooks"] {
        let call = json!({"action": action, "repository": REPOSITORY});
        let call = json!({"credential": credential, "call": call});
        seen.push((Place::Page, world.operator("POST", "call", Some(call)).await.1.to_string()));
        tokens(world, canaries).await;
    }
    let (_, shown) = world.operator("GET", &format!("credentials/{credential}/hooks"), None).await;
    seen.push((Place::Page, shown.to_string()));
}

async fn deliveries(world: &World, canaries: &mut Canaries, credential: &str, secret: &SecretString) {
    let body = format!(r#"{{"repository":{{"uuid":"{{canary}}"}},"pad":"{PAYLOAD}"}}"#);
    let right = sign(body.as_bytes(), secret);
    canaries.add("a signature", right.trim_start_matches("sha256="));
    let wrong = "5ca1ab1e".repeat(8);
    canaries.add("a wrong signature", &wrong);
    for (to, signature) in [
        (credential, Some(right.clone())),
        (credential, Some(format!("sha256={wrong}"))),
        (credential, Some(format!("sha1={wrong}"))),
        (credential, None),
        ("nobody", Some(right)),
    ] {
        world.deliver_signed(to, "repo:push", body.as_bytes(), signature.as_deref()).await;
    }
    world.deliver_signed(credential, "repo:push", PAYLOAD.as_bytes(), Some("sha256=00")).await;
}

async fn pages(world: &World, canaries: &mut Canaries, credential: &str, seen: &mut Seen) {
    let url = |path: &str| format!("{}{path}", world.local().public_url);
    let token = world.local().outputs.operator_token.as_str();
    let wrong = "canary-wrong-operator-token-4b8d0f2c6e";
    canaries.add("a wrong operator's token", wrong);
    let refused = world.http.post(url("/login")).form(&[("token", wrong)]).send().await.expect("an answer");
    seen.push((Place::Error, refused.text().await.expect("a page")));
    let login = world.http.post(url("/login")).form(&[("token", token)]).send().await.expect("an answer");
    let cookie = login.headers()[SET_COOKIE].to_str().expect("a cookie");
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();
    canaries.add("a session", cookie.rsplit('.').next().expect("a signature"));
    for path in [
        "/credentials".to_owned(),
        "/credentials/new".to_owned(),
        format!("/credentials/{credential}"),
        format!("/credentials/{credential}/audit"),
        format!("/credentials/{credential}/repositories"),
        format!("/calls?credential={credential}"),
        "/queues".to_owned(),
        "/queues/calls".to_owned(),
        "/login".to_owned(),
        "/nowhere".to_owned(),
    ] {
        let page = world.http.get(url(&path)).header("cookie", &cookie).send().await.expect("a page");
        seen.push((Place::Page, page.text().await.expect("a page")));
    }
    for path in [
        "credentials".to_owned(),
        "kinds".to_owned(),
        "budget".to_owned(),
        format!("credentials/{credential}"),
        format!("credentials/{credential}/audit"),
        format!("credentials/{credential}/calls"),
        format!("credentials/{credential}/repositories"),
        "credentials/nobody".to_owned(),
        "calls/nothing".to_owned(),
        "queues".to_owned(),
    ] {
        let (status, answer) = world.operator("GET", &path, None).await;
        let place = if status.is_success() { Place::Page } else { Place::Error };
        seen.push((place, answer.to_string()));
    }
    let refused = world.http.get(url("/api/credentials")).bearer_auth(wrong).send().await.expect("an answer");
    seen.push((Place::Error, refused.text().await.expect("a text")));
}
