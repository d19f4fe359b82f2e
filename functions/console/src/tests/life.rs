//! What an operator does to a credential.

use super::*;
use bucketwheel::call::{Action, Call, Message};
use bucketwheel::credential::Health;
use bucketwheel::ports::TableError;
use http::header::{LOCATION, ORIGIN};

impl World {
    async fn with_body(&self, method: Method, uri: &str, body: Value) -> Answer {
        // The audit trail is in the order of time.
        self.edge.advance(SignedDuration::from_secs(1));
        self.send(method, uri, &[BEARER], body.to_string()).await
    }

    async fn actions(&self, id: &str) -> Vec<String> {
        let lines = self.get(&format!("/api/credentials/{id}/audit")).await.json();
        let lines = lines["values"].as_array().expect("lines").clone();
        assert!(lines.iter().skip(1).all(|line| line["actor"] == "operator, by token"), "{lines:?}");
        lines.iter().map(|line| line["action"].as_str().expect("a word").to_owned()).collect()
    }

    /// Sends a form of a page, as an operator in a browser.
    pub(super) async fn press(&self, uri: &str, form: &str) -> Answer {
        let cookie = format!("{}={}", session::COOKIE, operator().sign(self.edge.now()));
        let headers = [
            (COOKIE, cookie.as_str()),
            (ORIGIN, "https://bw.example"),
            (CONTENT_TYPE, "application/x-www-form-urlencoded"),
        ];
        self.send(Method::POST, uri, &headers, form.to_owned()).await
    }
}

#[tokio::test]
async fn each_change_is_made_with_its_audit_line() {
    let world = World::new();
    world.connected("c-1", "Build bot").await;
    let renamed =
        world.with_body(Method::PATCH, "/api/credentials/c-1", json!({"label": "Deploy bot"})).await;
    assert_eq!((renamed.status, renamed.json()["label"].as_str()), (StatusCode::OK, Some("Deploy bot")));
    world.edge.advance(SignedDuration::from_secs(1));
    let off = world.post("/api/credentials/c-1/disable", "").await.json();
    assert_eq!(off["status"]["health"], "disabled");
    world.post("/api/credentials/c-1/disable", "").await;
    world.edge.advance(SignedDuration::from_secs(1));
    let on = world.post("/api/credentials/c-1/enable", "").await.json();
    assert_eq!((on["status"]["health"].as_str(), on.get("disabled_at")), (Some("up"), None));
    assert_eq!(world.actions("c-1").await, ["connected", "renamed", "disabled", "enabled"]);
    let bad = world.with_body(Method::PATCH, "/api/credentials/c-1", json!({"label": ""})).await;
    assert_eq!((bad.status, bad.error().as_str()), (StatusCode::BAD_REQUEST, "bad_field"));
}

#[tokio::test]
async fn what_a_refresh_says_does_not_switch_on_what_an_operator_switched_off() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let read = credentials::get(&world.table, &id).await.expect("a read").expect("there");
    world.post("/api/credentials/c-1/disable", "").await;
    let up = Status::up(world.edge.now());
    let told = credentials::tell(&world.table, &read, &up, 1, None).await;
    assert!(matches!(told, Err(TableError::Refused)));
    let shown = world.get("/api/credentials/c-1").await.json();
    assert_eq!(shown["status"]["health"], "disabled");
}

#[tokio::test]
async fn of_two_changes_at_once_the_second_is_told() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let seen = credentials::get(&world.table, &id).await.expect("a read").expect("there");
    world.post("/api/credentials/c-1/disable", "").await;
    let late = world.table.write(vec![credentials::rename(&seen, "Late")]).await;
    assert!(matches!(late, Err(TableError::Refused)));
}

#[tokio::test]
async fn a_deletion_marks_queues_and_can_be_repeated() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let begun = world.with_body(Method::DELETE, "/api/credentials/c-1", json!(null)).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    let sent: Message = serde_json::from_str(&world.calls.take()[0].body).expect("a message");
    assert_eq!((&sent.credential, &sent.call), (&id, &Call::Action(Action::DeleteCredential)));
    assert_eq!(begun.json()["call"], sent.id.as_str());
    let known = credentials::get(&world.table, &id).await.expect("a read").expect("still there");
    assert!(known.deleting_at.is_some() && known.status.health == Health::Disabled);
    // Nothing else can be done to it, but the deletion can be asked for again.
    for uri in ["enable", "disable", "refresh"] {
        assert_eq!(
            world.post(&format!("/api/credentials/c-1/{uri}"), "").await.status,
            StatusCode::NOT_FOUND
        );
    }
    let link = world.post("/api/connect-links", r#"{"credential":"c-1"}"#).await;
    assert_eq!(link.status, StatusCode::NOT_FOUND);
    world.with_body(Method::DELETE, "/api/credentials/c-1", json!(null)).await;
    assert_eq!(world.calls.take().len(), 1);

    world.table.write(credentials::remove(&known)).await.expect("removed");
    assert_eq!(world.get("/api/credentials/c-1").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.actions("c-1").await, ["connected", "delete_begun"], "the audit trail stays");
}

#[tokio::test]
async fn credentials_are_found_by_owner_and_by_workspace() {
    let world = World::new();
    world.connected("c-1", "one").await;
    for (query, found) in [
        ("owner=ada", 1),
        ("owner=bo", 0),
        ("workspace=acme", 1),
        ("workspace=ACME", 1),
        ("workspace=ac", 0),
        ("owner=&workspace=", 1),
    ] {
        let page = world.get(&format!("/api/credentials?{query}")).await.json();
        assert_eq!(page["values"].as_array().map(Vec::len), Some(found), "{query}");
    }
    assert_eq!(world.get("/api/credentials?owner=a&workspace=b").await.error(), "one_filter");
}

#[tokio::test]
async fn a_token_made_by_hand_cannot_be_refreshed_and_a_kind_stays() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let other = world.post("/api/connect-links", r#"{"credential":"c-1","kind":"api_token_shared"}"#).await;
    assert_eq!((other.status, other.error().as_str()), (StatusCode::CONFLICT, "kind_is_fixed"));
    let mut known = credentials::get(&world.table, &id).await.expect("a read").expect("there");
    (known.kind, known.revision) = (Kind::ApiTokenShared, 2);
    world.table.write(vec![credentials::put(&known)]).await.expect("a write");
    let refused = world.post("/api/credentials/c-1/refresh", "").await;
    assert_eq!((refused.status, refused.error().as_str()), (StatusCode::CONFLICT, "cannot_be_refreshed"));
    assert!(world.nudges.sent().is_empty());
}

#[tokio::test]
async fn missing_scopes_and_invisible_repositories_are_explained() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let mut known = credentials::get(&world.table, &id).await.expect("a read").expect("there");
    known.revision = 2;
    known.wanted = Scopes::parse("repository webhook");
    known.sight = Sight::NoPermission;
    world.table.write(vec![credentials::put(&known)]).await.expect("a write");
    let shown = world.get("/api/credentials/c-1").await.json();
    assert_eq!(shown["missing"], json!([{"scope": "webhook", "lost": "registering webhooks"}]));
    assert_eq!(shown["blind"]["code"], "no_repositories");
    let page = world.look("/credentials/c-1").await.text;
    assert!(page.contains("registering webhooks") && page.contains("No repositories are visible"), "{page}");
}

#[tokio::test]
async fn the_pages_offer_every_kind_with_its_trade_and_do_what_the_api_does() {
    let world = World::new();
    let page = world.look("/credentials/new").await.text;
    let kinds = world.get("/api/kinds").await.json();
    for kind in Kind::ALL {
        let trade = kind.trade();
        for text in [kind.title(), trade.acts_as, trade.rotates, trade.cannot] {
            let escaped = maud::html! { (text) }.into_string();
            assert!(page.contains(&escaped), "{kind:?}: {text}");
        }
        let offered = kinds["values"].as_array().expect("kinds").iter().find(|k| k["kind"] == kind.code());
        assert_eq!(offered.expect("offered")["acts_as"], trade.acts_as);
    }
    let made = world
        .press("/credentials/new", "kind=api_token_user&label=Bot&workspace=acme&owner=&scopes=&resource=")
        .await;
    assert!(
        made.status == StatusCode::OK && made.text.contains("https://bw.example/connect/"),
        "{}",
        made.text
    );

    world.connected("c-1", "Build bot").await;
    let pressed = world.press("/credentials/c-1", "deed=rename&label=Deploy+bot").await;
    assert_eq!((pressed.status, pressed.header(LOCATION)), (StatusCode::SEE_OTHER, "/credentials/c-1"));
    world.press("/credentials/c-1", "deed=disable").await;
    let page = world.look("/credentials/c-1").await.text;
    assert!(
        page.contains("Deploy bot")
            && page.contains("switched it off")
            && page.contains("operator, by session")
    );
    let again = world.press("/credentials/c-1", "deed=reconnect").await;
    assert!(again.text.contains("https://bw.example/connect/"), "{}", again.text);
    let unsure = world.press("/credentials/c-1", "deed=delete").await;
    assert_eq!(unsure.status, StatusCode::BAD_REQUEST);
    assert!(world.calls.sent().is_empty());
    let gone = world.press("/credentials/c-1", "deed=delete&sure=yes").await;
    assert_eq!((gone.header(LOCATION), world.calls.sent().len()), ("/credentials", 1));
}

#[tokio::test]
async fn names_that_are_no_slugs_and_scopes_that_are_none_are_refused() {
    let world = World::new();
    for wanted in [
        json!({"workspace": "a/b", "label": "l"}),
        json!({"workspace": "..", "label": "l"}),
        json!({"workspace": "acme", "label": "l", "kind": "repository_access_token"}),
        json!({"workspace": "acme", "label": "l", "resource": "r"}),
        json!({"workspace": "acme", "label": "l", "scopes": ["<b>"]}),
    ] {
        let answer = world.post("/api/connect-links", wanted.to_string()).await;
        assert_eq!(
            (answer.status, answer.error().as_str()),
            (StatusCode::BAD_REQUEST, "bad_field"),
            "{wanted}"
        );
    }
}

#[tokio::test]
async fn how_a_chain_is_kept_alive_is_chosen_and_written_down() {
    let world = World::new();
    world.connected("c-1", "Build bot").await;
    let lazy = world.with_body(Method::PATCH, "/api/credentials/c-1", json!({"upkeep": "lazy"})).await;
    assert_eq!((lazy.status, &lazy.json()["chain"]["upkeep"]), (StatusCode::OK, &json!("lazy")));
    assert!(world.nudges.take().is_empty(), "it waits until somebody needs it");
    world.with_body(Method::PATCH, "/api/credentials/c-1", json!({"upkeep": "hot"})).await;
    assert_eq!(world.nudges.take().len(), 1, "it may have waited for long");
    assert_eq!(world.actions("c-1").await, ["connected", "upkeep_chosen", "upkeep_chosen"]);
    for (change, error) in [
        (json!({"upkeep": "fixed"}), "bad_field"),
        (json!({"label": "Other", "expires_on": "2027-01-31"}), "renews_itself"),
        (json!({"expires_on": "soon"}), "body_unreadable"),
    ] {
        let refused = world.with_body(Method::PATCH, "/api/credentials/c-1", change).await;
        assert_eq!(refused.error(), error);
    }
    assert_eq!(world.get("/api/credentials/c-1").await.json()["label"], "Build bot", "all or nothing");
}

#[tokio::test]
async fn when_a_token_expires_is_said_by_who_made_it() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let mut known = credentials::get(&world.table, &id).await.expect("a read").expect("there");
    (known.kind, known.revision) = (Kind::ApiTokenShared, 2);
    world.table.write(vec![credentials::put(&known)]).await.expect("a write");
    for (day, expires_at) in [("2027-01-31", json!("2027-01-31T23:59:59Z")), ("never", json!(null))] {
        let said = world.with_body(Method::PATCH, "/api/credentials/c-1", json!({"expires_on": day})).await;
        assert_eq!((said.status, &said.json()["chain"]["expires_at"]), (StatusCode::OK, &expires_at));
        assert_eq!(world.nudges.take().len(), 1, "it is tried at once");
    }
    let refused = world.with_body(Method::PATCH, "/api/credentials/c-1", json!({"upkeep": "lazy"})).await;
    assert_eq!((refused.status, refused.error().as_str()), (StatusCode::CONFLICT, "no_refresh_token"));
}
