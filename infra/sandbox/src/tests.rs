//! The whole sandbox over HTTP, as a client in another process sees it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::*;

struct Bench {
    served: Served,
    client: Client,
}

async fn bench() -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = Sandbox::serve(listener, Settings::default()).unwrap();
    Bench { served, client: delivery::client().unwrap() }
}

impl Bench {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.served.url())
    }

    async fn admin(&self, method: &str, path: &str, body: Value) -> Value {
        let request = self.client.request(method.parse().unwrap(), self.url(&format!("/_sandbox{path}")));
        let answer = request.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    async fn token(&self, form: &[(&str, &str)]) -> reqwest::Result<Response> {
        let request = self.client.post(self.url("/site/oauth2/access_token"));
        request.basic_auth(seed::CONSUMER_KEY, Some(seed::CONSUMER_SECRET)).form(form).send().await
    }

    async fn refresh(&self, token: &Value) -> reqwest::Result<Response> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap())]).await
    }

    async fn decide(&self, decision: &str) -> Url {
        let form = [
            ("client_id", seed::CONSUMER_KEY),
            ("response_type", "code"),
            ("state", "a state & more"),
            ("redirect_uri", seed::CALLBACK_URL),
            ("user", seed::ADA_UUID),
            ("decision", decision),
        ];
        let answer = self.client.post(self.url("/site/oauth2/authorize")).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 302);
        answer.headers()["location"].to_str().unwrap().parse().unwrap()
    }

    async fn connect(&self) -> Value {
        let callback = self.decide("grant").await;
        let code = parameter(&callback, "code").unwrap();
        let form =
            [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", seed::CALLBACK_URL)];
        self.token(&form).await.unwrap().json().await.unwrap()
    }

    async fn user(&self, token: &Value) -> Response {
        self.client.get(self.url("/2.0/user")).bearer_auth(token.as_str().unwrap()).send().await.unwrap()
    }

    async fn hook(&self, url: &str, secret: &str) -> Value {
        let hook = json!({"description": "test", "url": url, "active": true, "events": ["repo:push"], "secret": secret});
        let path = self.url("/2.0/repositories/seilbahn/website/hooks");
        let request = self.client.post(path).bearer_auth(seed::WORKSPACE_ACCESS_TOKEN).json(&hook);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The deliveries, once all are done.
    async fn deliveries(&self) -> Vec<Value> {
        for _ in 0..200 {
            let log = self.admin("GET", "/deliveries", Value::Null).await;
            let values = log["values"].as_array().unwrap();
            if values.iter().all(|value| value["done"] == true) {
                return values.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        unreachable!("a delivery does not end");
    }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that answers with these statuses in turn, then with 202.
async fn receiver(statuses: &[u16]) -> (String, Received) {
    let received = Received::default();
    let (log, statuses) = (Arc::clone(&received), statuses.to_vec());
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        let mut log = log.lock().unwrap();
        log.push((headers, body));
        StatusCode::from_u16(statuses.get(log.len() - 1).copied().unwrap_or(202)).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().route("/hook", post(answer))).await });
    (url, received)
}

#[tokio::test]
async fn consent_leads_to_tokens_that_open_the_api() {
    let bench = bench().await;
    let query = format!("?client_id={}&response_type=code&state=x", seed::CONSUMER_KEY);
    let page = bench.client.get(bench.url(&format!("/site/oauth2/authorize{query}"))).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    assert!(page.contains("Bucketwheel") && page.contains("Ada Lindt") && page.contains("Bo Okafor"));

    let callback = bench.decide("grant").await;
    assert_eq!(parameter(&callback, "state").as_deref(), Some("a state & more"));
    let tokens = bench.connect().await;
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("bearer"), &json!(7200)));
    assert!(tokens["scope"].as_str().unwrap().contains("webhook"));
    let user: Value = bench.user(&tokens["access_token"]).await.json().await.unwrap();
    assert_eq!(user["display_name"], "Ada Lindt");
}

#[tokio::test]
async fn denial_comes_back_as_an_error_with_the_state() {
    let callback = bench().await.decide("deny").await;
    assert_eq!(parameter(&callback, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&callback, "state").as_deref(), Some("a state & more"));
}

#[tokio::test]
async fn a_wrong_client_or_redirect_gets_a_page_and_no_redirect() {
    let bench = bench().await;
    for query in [
        "?client_id=nobody&response_type=code".to_owned(),
        format!("?client_id={}&response_type=code&redirect_uri=http://evil/", seed::CONSUMER_KEY),
    ] {
        let answer =
            bench.client.get(bench.url(&format!("/site/oauth2/authorize{query}"))).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        assert!(!answer.headers().contains_key("location"));
    }
}

#[tokio::test]
async fn the_token_endpoint_refuses_in_bitbuckets_words() {
    let bench = bench().await;
    let request = bench.client.post(bench.url("/site/oauth2/access_token"));
    let json =
        request.basic_auth(seed::CONSUMER_KEY, Some(seed::CONSUMER_SECRET)).json(&json!({"grant_type": "x"}));
    let answer = json.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body, json!({"error": "invalid_grant", "error_description": "Unsupported grant type: None"}));

    let request = bench.client.post(bench.url("/site/oauth2/access_token")).basic_auth("nobody", Some("x"));
    let body: Value =
        request.form(&[("grant_type", "client_credentials")]).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        body,
        json!({"error": "unauthorized_client", "error_description": "Invalid OAuth client credentials"})
    );
}

#[tokio::test]
async fn a_lost_answer_is_made_good_by_the_same_token() {
    let bench = bench().await;
    let first = bench.connect().await;
    bench.admin("PATCH", "/behaviour", json!({"lose_answer": {"when": "after_commit", "count": 1}})).await;
    assert!(bench.refresh(&first["refresh_token"]).await.is_err(), "the connection must break");
    let check = json!({"refresh_token": first["refresh_token"]});
    assert_eq!(bench.admin("POST", "/refresh-tokens/check", check.clone()).await["state"], "grace");
    let second = bench.refresh(&first["refresh_token"]).await.unwrap();
    assert_eq!(second.status(), 200);
    let second: Value = second.json().await.unwrap();
    bench.admin("POST", "/clock", json!({"advance_seconds": 600})).await;
    assert_eq!(bench.admin("POST", "/refresh-tokens/check", check).await["state"], "dead");
    assert_eq!(bench.refresh(&first["refresh_token"]).await.unwrap().status(), 400);
    assert_eq!(bench.user(&first["access_token"]).await.status(), 401);
    assert_eq!(bench.user(&second["access_token"]).await.status(), 200);
    let requests = bench.admin("GET", "/requests", Value::Null).await.to_string();
    assert!(
        requests.contains("refresh_token") && !requests.contains(second["access_token"].as_str().unwrap())
    );
}

#[tokio::test]
async fn an_answer_lost_before_the_commit_has_no_effect() {
    let bench = bench().await;
    let first = bench.connect().await;
    bench.admin("PATCH", "/behaviour", json!({"lose_answer": {"when": "before_commit", "count": 1}})).await;
    assert!(bench.refresh(&first["refresh_token"]).await.is_err());
    let check = json!({"refresh_token": first["refresh_token"]});
    assert_eq!(bench.admin("POST", "/refresh-tokens/check", check).await["state"], "active");
}

#[tokio::test]
async fn a_lost_answer_of_the_api_leaves_the_commit_behind() {
    let bench = bench().await;
    let lost = json!({"when": "after_commit", "count": 1, "method": "POST", "path": "/src"});
    bench.admin("PATCH", "/behaviour", json!({ "lose_api_answer": lost })).await;
    let repository = bench.url("/2.0/repositories/seilbahn/website");
    let commit = |message: &'static str| {
        let request =
            bench.client.post(format!("{repository}/src")).bearer_auth(seed::WORKSPACE_ACCESS_TOKEN);
        request.form(&[("a", "1"), ("message", message)]).send()
    };
    assert!(commit("the marker").await.is_err(), "the connection must break");
    let list = bench.client.get(format!("{repository}/commits")).bearer_auth(seed::WORKSPACE_ACCESS_TOKEN);
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list["values"][0]["message"], "the marker");
    assert_eq!(bench.admin("GET", "/behaviour", Value::Null).await["lose_api_answer"], Value::Null);
    assert_eq!(commit("another").await.unwrap().status(), 201);
}

#[tokio::test]
async fn an_outage_is_html_and_passes() {
    let bench = bench().await;
    let first = bench.connect().await;
    let outage = json!({"fail_token_endpoint": {"count": 1, "status": 503, "html": true}});
    bench.admin("PATCH", "/behaviour", outage).await;
    let answer = bench.refresh(&first["refresh_token"]).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(bench.refresh(&first["refresh_token"]).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_push_is_delivered_signed_and_with_bitbuckets_headers() {
    let bench = bench().await;
    let (url, received) = receiver(&[]).await;
    let hook = bench.hook(&url, "secret").await;
    let push =
        json!({"repository": "seilbahn/website", "branch": "main", "message": "Hello", "files": {"a": "1"}});
    let pushed = bench.admin("POST", "/push", push).await;
    assert_eq!(pushed["deliveries"], 1);
    bench.deliveries().await;
    let received = received.lock().unwrap();
    let (headers, body) = &received[0];
    let uuid = hook["uuid"].as_str().unwrap().trim_matches(['{', '}']);
    assert_eq!(headers["x-event-key"], "repo:push");
    assert_eq!(headers["x-hook-uuid"], uuid);
    assert_eq!(headers["x-attempt-number"], "1");
    assert_eq!(headers["user-agent"], "Bitbucket-Webhooks/2.0");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-hub-signature"].to_str().unwrap(), delivery::signature("secret", body));
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["push"]["changes"][0]["new"]["target"]["hash"], pushed["commit"]);
    assert_eq!(body["actor"]["display_name"], "Ada Lindt");
}

#[tokio::test]
async fn a_5xx_is_retried_at_once_under_the_same_request_id() {
    let bench = bench().await;
    let (url, received) = receiver(&[503, 500, 502]).await;
    bench.hook(&url, "").await;
    let body = r#"{"exactly":  "these bytes"}"#;
    let request =
        format!(r#"{{"event_key": "repo:push", "repository": "seilbahn/website", "body": {body}}}"#);
    bench.client.post(bench.url("/_sandbox/deliver")).body(request).send().await.unwrap();
    let log = bench.deliveries().await;
    let statuses: Vec<_> =
        log[0]["attempts"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, [503, 500, 502]);
    let received = received.lock().unwrap();
    assert!(received.iter().all(|(headers, got)| {
        headers["x-request-uuid"] == received[0].0["x-request-uuid"]
            && !headers.contains_key("x-hub-signature")
            && got == body
    }));
    let numbers: Vec<_> = received.iter().map(|(headers, _)| headers["x-attempt-number"].clone()).collect();
    assert_eq!(numbers, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_4xx_and_a_refused_connection_are_final() {
    let bench = bench().await;
    let (url, received) = receiver(&[404]).await;
    bench.hook(&url, "").await;
    bench.hook("http://127.0.0.1:1/", "").await;
    bench.admin("POST", "/push", json!({"repository": "seilbahn/website", "files": {"a": "1"}})).await;
    let log = bench.deliveries().await;
    assert!(log.iter().all(|delivery| delivery["attempts"].as_array().unwrap().len() == 1));
    assert!(log.iter().any(|delivery| delivery["attempts"][0]["error"] == "connection refused"));
    assert_eq!(received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_too_slow_is_not_asked_again() {
    let bench = bench().await;
    bench.admin("PATCH", "/behaviour", json!({"webhook_timeout_ms": 50})).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    bench.hook(&format!("http://{}/", silent.local_addr().unwrap()), "").await;
    bench.admin("POST", "/push", json!({"repository": "seilbahn/website", "files": {"a": "1"}})).await;
    let log = bench.deliveries().await;
    assert_eq!(log[0]["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(log[0]["attempts"][0]["error"], "timeout");
}

#[tokio::test]
async fn a_multipart_form_keeps_bytes_and_attributes() {
    let bench = bench().await;
    let body = "--x\r\nContent-Disposition: form-data; name=\"bin/run.sh\"; filename=\"run.sh\"; \
                x-attributes=\"executable\"\r\n\r\n\u{0}raw\r\n--x\r\nContent-Disposition: form-data; \
                name=\"message\"\r\n\r\nAdd a script\r\n--x--\r\n";
    let src = bench.url("/2.0/repositories/seilbahn/website/src");
    let request = bench.client.post(&src).basic_auth(seed::ADA_EMAIL, Some(seed::ADA_API_TOKEN));
    let answer =
        request.header("content-type", "multipart/form-data; boundary=x").body(body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let meta = bench.client.get(format!("{src}/main/bin/run.sh?format=meta"));
    let meta: Value = meta
        .basic_auth(seed::ADA_EMAIL, Some(seed::ADA_API_TOKEN))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!((&meta["attributes"], &meta["size"]), (&json!(["executable"]), &json!(4)));
}

#[tokio::test]
async fn the_state_shows_secrets_only_of_hooks_unless_revealed() {
    let bench = bench().await;
    let tokens = bench.connect().await;
    bench.hook("http://127.0.0.1:1/", "hook secret").await;
    let token = tokens["refresh_token"].as_str().unwrap();
    let state = bench.admin("GET", "/state", Value::Null).await;
    assert_eq!(state["hooks"][0]["secret"], "hook secret");
    assert_eq!(state["grants"][0]["generation"], 1);
    assert_eq!(state["grants"][0]["refresh_tokens"][0]["sha256"], random::fingerprint(token));
    assert!(!state.to_string().contains(token) && !state.to_string().contains(seed::CONSUMER_SECRET));
    assert!(bench.admin("GET", "/state?reveal=true", Value::Null).await.to_string().contains(token));
}

#[tokio::test]
async fn people_consumers_repositories_and_tokens_can_be_added() {
    let bench = bench().await;
    let user =
        json!({"display_name": "Cy", "email": "cy@example.com", "workspace": "seilbahn", "role": "owner"});
    assert_eq!(bench.admin("POST", "/users", user).await["display_name"], "Cy");
    let consumer = bench.admin("POST", "/consumers", json!({"name": "Other", "private": false})).await;
    assert_eq!(consumer["key"].as_str().unwrap().len(), 32);
    assert_eq!(consumer["secret"].as_str().unwrap().len(), 76);
    let repository = json!({"full_name": "seilbahn/new", "files": {"README.md": "hi"}});
    assert_eq!(bench.admin("POST", "/repositories", repository).await["slug"], "new");
    let token = bench.admin("POST", "/api-tokens", json!({"email": "cy@example.com"})).await;
    let request = bench.client.get(bench.url("/2.0/repositories/seilbahn/new"));
    let answer = request.basic_auth("cy@example.com", token["token"].as_str()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let token = json!({"name": "ci", "workspace": "seilbahn", "repository": "new"});
    assert!(!bench.admin("POST", "/access-tokens", token).await["token"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_that_was_made_by_hand_can_be_revoked() {
    let bench = bench().await;
    let tokens = [("PERSON", seed::ADA_API_TOKEN), ("TOKEN", seed::WORKSPACE_ACCESS_TOKEN)];
    for (holder, token) in tokens {
        let asked = async || {
            let request = bench.client.get(bench.url("/2.0/repositories/seilbahn/website"));
            let request = match holder {
                "PERSON" => request.basic_auth(seed::ADA_EMAIL, Some(token)),
                _ => request.bearer_auth(token),
            };
            request.send().await.unwrap().status()
        };
        let revoked = async || {
            let request = bench.client.post(bench.url("/_sandbox/tokens/revoke"));
            request.json(&json!({ "token": token })).send().await.unwrap().status()
        };
        assert_eq!(asked().await, 200);
        assert_eq!(revoked().await, 204);
        assert_eq!(asked().await, 401);
        assert_eq!(revoked().await, 404);
    }
}

#[tokio::test]
async fn client_credentials_act_as_an_app_user() {
    let bench = bench().await;
    let tokens: Value =
        bench.token(&[("grant_type", "client_credentials")]).await.unwrap().json().await.unwrap();
    assert_eq!(tokens.get("refresh_token"), None);
    let user: Value = bench.user(&tokens["access_token"]).await.json().await.unwrap();
    assert_eq!(user["type"], "app_user");
}

#[tokio::test]
async fn after_a_stop_the_port_is_free() {
    let bench = bench().await;
    let address = bench.served.address;
    bench.served.stop().await;
    assert!(TcpListener::bind(address).await.is_ok());
}
