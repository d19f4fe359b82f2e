//! What credentials are used for: deliveries that wait, calls, folders of clusters, missed events, and the end.

use bucketwheel::signature::sign;
use proof::way::{Blocked, Gate, Obstacle};
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::canaries::{Canaries, Place};
use super::flows::{CALL, FILE, PAYLOAD, REPOSITORY, Seen, tokens};
use crate::pagination::paginated;
use crate::upkeep::counted;
use crate::world::{World, text, until};

/// A delivery that neither queue nor table takes, and one that waits in the table and is drained.
pub(super) async fn parked(
    world: &World,
    gate: &Gate,
    canaries: &mut Canaries,
    credential: &str,
    secret: &SecretString,
) {
    let body = format!(r#"{{"repository":{{"uuid":"{{parked}}"}},"pad":"{PAYLOAD}"}}"#);
    let signature = sign(body.as_bytes(), secret);
    canaries.add("a signature", signature.trim_start_matches("sha256="));
    let before = world.events(credential, 0).await.len();
    for (down, status) in [
        (&["AmazonSQS", "DynamoDB"][..], StatusCode::SERVICE_UNAVAILABLE),
        (&["AmazonSQS"], StatusCode::ACCEPTED),
    ] {
        let down = down.iter().map(|service| Blocked { service, obstacle: Obstacle::Down, one_in: 1 });
        gate.way.set(&down.collect::<Vec<_>>());
        let answer = world.deliver_signed(credential, "repo:push", body.as_bytes(), Some(&signature)).await;
        gate.way.set(&[]);
        assert_eq!(answer, status);
    }
    until("it is drained", async || {
        let drained = world.local().invoke("webhook-ingest", "{}").await.expect("the drain answers");
        let drained: Value = serde_json::from_slice(&drained).expect("a report");
        (drained["left"] == false).then_some(())
    })
    .await;
    world.events(credential, before + 1).await;
    let log = world.local().log("webhook-ingest");
    assert_eq!(["delivery_parked", "drained"].map(|metric| counted(&log, metric)), [1, 1]);
}

pub(super) async fn calls(world: &World, canaries: &mut Canaries, credential: &str, seen: &mut Seen) {
    let branch = json!({"repository": REPOSITORY, "branch": "canary", "message": "one", "files": {"d": "1"}});
    world.sandbox("POST", "push", Some(branch)).await;
    for call in [
        json!({"method": "GET", "path": "user"}),
        json!({"method": "GET", "path": "repositories/seilbahn/nowhere"}),
        json!({"method": "POST", "path": format!("repositories/{REPOSITORY}/pullrequests"),
            "body": {"title": CALL, "source": {"branch": {"name": "canary"}}}}),
        json!({"action": "commit_files", "repository": REPOSITORY, "branch": "main", "message": CALL,
            "files": [{"path": "e", "text": CALL}]}),
        json!({"action": CALL}),
    ] {
        let (status, answer) =
            world.operator("POST", "call", Some(json!({"credential": credential, "call": call}))).await;
        let place = if status.is_success() { Place::Page } else { Place::Error };
        seen.push((place, answer.to_string()));
    }
    // A token that Bitbucket takes no more: the worker meets a 401, and the refresher is asked.
    tokens(world, canaries).await;
    world.pass(credential, 3).await;
    let before = world.generation(credential).await;
    world.behave(json!({"fail_api": {"count": 1, "status": 401, "path": "/user"}})).await;
    let outcome = world.call(credential, json!({"method": "GET", "path": "user"})).await;
    assert_eq!((outcome.status, world.generation(credential).await), (Some(200), before + 1), "{outcome:?}");
    seen.push((Place::Page, format!("{outcome:?}")));
    world.behave(json!({"lose_api_answer": {"count": 1, "when": "after_commit", "method": "POST", "path": "/refs"}})).await;
    let make = json!({"method": "POST", "path": format!("repositories/{REPOSITORY}/refs/branches"),
        "body": {"name": "lost", "target": {"hash": CALL}}});
    let make = json!({"credential": credential, "call": make});
    seen.push((Place::Page, world.operator("POST", "call", Some(make)).await.1.to_string()));
    world.behave(json!({"lose_api_answer": null})).await;
    let list = json!({"method": "GET", "path": "repositories/seilbahn", "query": {"pagelen": "2"}});
    paginated(world, credential, "canary", list, json!({})).await;
    for nonsense in [
        format!("{{\"id\": \"{CALL}\", \"credential\": \"{credential}\""),
        format!("{{\"id\":\"x\",\"credential\":\"{credential}\",\"call\":\"{CALL}\"}}"),
    ] {
        world.submit(nonsense).await;
    }
    let malformed = async || (counted(&world.local().log("api-worker"), "call_malformed") == 1).then_some(());
    until("what is no call is a dead letter", malformed).await;
    tokens(world, canaries).await;
}

/// What Bitbucket answers on other days: a redirect to another host, a page, and that it is enough.
pub(super) async fn odd_answers(world: &World, canaries: &mut Canaries, credential: &str, seen: &mut Seen) {
    let path = "repositories/seilbahn/leer/refs";
    let fails = |status: u16, html: bool| json!({"count": 1, "status": status, "html": html, "path": path});
    for odd in [
        json!({"lure": {"path": path, "to": "https://elsewhere.example/2.0/user", "by": "redirect"}}),
        json!({"fail_api": fails(200, true)}),
        json!({"fail_api": fails(429, false), "retry_after_seconds": 1}),
    ] {
        world.behave(odd).await;
        let call = json!({"credential": credential, "call": {"method": "GET", "path": path}});
        seen.push((Place::Page, world.operator("POST", "call", Some(call)).await.1.to_string()));
        world.behave(json!({"lure": null, "fail_api": null, "retry_after_seconds": null})).await;
    }
    tokens(world, canaries).await;
}

/// A hook that a person makes: the command shows its secret once, and nothing else does.
pub(super) async fn by_hand(world: &World, canaries: &mut Canaries, seen: &mut Seen) {
    let credential = world.connect("Canary by hand").await;
    tokens(world, canaries).await;
    let make = ["hooks", "by-hand", REPOSITORY, "--event", "repo:push", "--credential", &credential];
    let made = world.command(&make).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    let secret = said.lines().find_map(|line| line.trim().strip_prefix("Secret"));
    let secret = secret.unwrap_or_else(|| panic!("no secret in {said}")).trim();
    canaries.add("the secret of a hook by hand", secret);
    let signature = sign(PAYLOAD.as_bytes(), &SecretString::from(secret));
    canaries.add("a signature", signature.trim_start_matches("sha256="));
    let answer = world.deliver_signed(&credential, "repo:push", PAYLOAD.as_bytes(), Some(&signature)).await;
    assert_eq!(answer, StatusCode::ACCEPTED);
    for (method, path) in [("GET", "hooks"), ("GET", "audit")] {
        let (_, shown) = world.operator(method, &format!("credentials/{credential}/{path}"), None).await;
        seen.push((Place::Page, shown.to_string()));
    }
}

/// A cluster gets a folder, hears of a change and makes one, and leaves.
pub(super) async fn gitops(world: &World, canaries: &mut Canaries, credential: &str, seen: &mut Seen) {
    let repository = world.repository("canary-gitops", json!({"README.md": "Hello"})).await;
    let files = json!([{"path": "a.yaml", "text": FILE}]);
    let cluster = world.attach(credential, &repository, "canary", files).await;
    tokens(world, canaries).await;
    let pushed = json!({"message": "Theirs", "files": {(format!("{}/b.yaml", cluster.folder)): FILE}});
    world.push(&cluster, pushed).await;
    world.told(&cluster, |told| told.iter().any(|told| told.change() == ("added", "b.yaml", FILE))).await;
    world.put_files(&cluster, json!([{"path": "c.yaml", "text": FILE}])).await;
    world.until_history(&cluster, |lines| lines.iter().any(|line| line["path"] == "c.yaml")).await;
    for (method, path) in [("GET", ""), ("GET", "/history"), ("DELETE", "")] {
        let (_, answer) = world.operator(method, &format!("gitops/{}{path}", cluster.id), None).await;
        seen.push((Place::Page, answer.to_string()));
    }
}

/// A delivery that Bitbucket loses is made up for.
pub(super) async fn missed(world: &World, canaries: &mut Canaries) {
    let repository = world.repository("canary-missed", json!({"README.md": "Hello"})).await;
    let credential = world.watch("Canary missed", &repository).await;
    tokens(world, canaries).await;
    let push = async |content: &str| {
        let push =
            json!({"repository": repository, "branch": "main", "message": PAYLOAD, "files": {"a": content}});
        world.sandbox("POST", "push", Some(push)).await;
    };
    world.look(&credential, &repository).await;
    push("1").await;
    world.events(&credential, 1).await;
    world.lose(&repository, 1).await;
    push("2").await;
    push("3").await;
    world.events(&credential, 2).await;
    world.look(&credential, &repository).await;
    world.look(&credential, &repository).await;
    world.made_up(&credential, 1).await;
}

/// A credential whose hooks are taken away, which is switched off and on, and deleted with its hooks.
pub(super) async fn deleted(world: &World, canaries: &mut Canaries, seen: &mut Seen) {
    let credential = world.connect("Canary deleted").await;
    world.hook(&credential, REPOSITORY).await;
    tokens(world, canaries).await;
    let removed = world.call(&credential, json!({"action": "remove_hooks"})).await;
    assert!(removed.error.is_none(), "{removed:?}");
    world.hook(&credential, REPOSITORY).await;
    tokens(world, canaries).await;
    for (step, refused) in [("disable", true), ("enable", false)] {
        let (_, answer) = world.operator("POST", &format!("credentials/{credential}/{step}"), None).await;
        seen.push((Place::Page, answer.to_string()));
        let outcome = world.call(&credential, json!({"method": "GET", "path": "user"})).await;
        assert_eq!(outcome.error.is_some(), refused, "{outcome:?}");
        seen.push((if refused { Place::Error } else { Place::Page }, format!("{outcome:?}")));
    }
    let (_, begun) = world.operator("DELETE", &format!("credentials/{credential}"), None).await;
    seen.push((Place::Page, begun.to_string()));
    until("it is gone", async || {
        let (status, _) = world.operator("GET", &format!("credentials/{credential}"), None).await;
        (status == StatusCode::NOT_FOUND).then_some(())
    })
    .await;
    let (_, trail) = world.operator("GET", &format!("credentials/{credential}/audit"), None).await;
    assert_eq!(text(&trail["values"].as_array().expect("lines").last().expect("one")["action"]), "deleted");
    seen.push((Place::Page, trail.to_string()));
}
