//! Who may enter, on the running system: every route of the template, knocked at by a stranger.

mod issuer;

use std::fs;
use std::path::Path;

use bucketwheel::aws::Host;
use bucketwheel::ports::Edge as _;
use bucketwheel_local::Options;
use issuer::Issuer;
use reqwest::header::{LOCATION, ORIGIN};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::World;

/// The routes as template.yaml writes them: `GET /connect/{link}`.
fn routes() -> Vec<(String, String)> {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = fs::read_to_string(template).expect("template.yaml");
    let keys = template.lines().filter_map(|line| line.split("RouteKey: ").nth(1));
    let key = |rest: &str| {
        let quoted = rest.strip_prefix('\'').and_then(|rest| rest.split('\'').next());
        let key = quoted.unwrap_or_else(|| rest.split(", ").next().unwrap_or_default());
        let (method, path) = key.trim().split_once(' ').expect("a method and a path");
        (method.to_owned(), path.to_owned())
    };
    keys.map(key).collect()
}

/// Paths that such a route leads to.
fn paths(route: &str) -> Vec<String> {
    let Some(folder) = route.strip_suffix("{proxy+}") else {
        return vec![route.replace("{credential_id}", "nobody").replace("{link}", "made-up")];
    };
    let below: &[&str] = match folder {
        "/api/" => &[
            "credentials",
            "credentials/x",
            "credentials/x/audit",
            "credentials/x/disable",
            "credentials/x/enable",
            "credentials/x/refresh",
            "connect-links",
            "calls",
            "calls/x",
            "kinds",
            "openapi.json",
            "oh/no",
        ],
        "/credentials/" => &["new", "x", "x/audit", "x/repositories", "x/y"],
        "/queues/" => &["events", "events/letter", "x"],
        "/calls/" => &["x", "x/y"],
        "/assets/" => &["console.css", "none"],
        other => panic!("say in this test what is below {other}"),
    };
    below.iter().map(|path| format!("{folder}{path}")).collect()
}

#[tokio::test]
async fn a_stranger_gets_nothing_out_of_any_route_of_the_template() {
    let world = World::running().await;
    let routes = routes();
    assert!(routes.len() >= 12, "{routes:?}");
    for (method, route) in routes {
        let methods = match method.as_str() {
            "ANY" => {
                vec![Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE]
            }
            one => vec![one.parse().expect("a method")],
        };
        for method in methods {
            for path in paths(&route) {
                let url = format!("{}{path}", world.local().public_url);
                let answer = world.http.request(method.clone(), &url).send().await.expect("an answer");
                let (status, headers) = (answer.status(), answer.headers().clone());
                let body = answer.text().await.expect("a body");
                let case = format!("{method} {path}: {status} {body}");
                let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
                match (path.split('/').nth(1).unwrap_or_default(), method.as_str()) {
                    ("api", _) => assert_eq!(status, StatusCode::UNAUTHORIZED, "{case}"),
                    ("webhooks", _) => assert_eq!(status, StatusCode::UNAUTHORIZED, "{case}"),
                    ("connect" | "oauth", _) => {
                        assert!(to.contains("bitbucket_error=") || status.is_client_error(), "{case}: {to}");
                    }
                    ("login", "GET") => assert_eq!(status, StatusCode::OK, "{case}"),
                    ("login", _) => assert!(status.is_client_error(), "{case}"),
                    ("assets", _) => assert!(status.is_success() || status.is_client_error(), "{case}"),
                    _ => {
                        assert_eq!(status, StatusCode::SEE_OTHER, "{case}");
                        assert!(to.starts_with("/login"), "{case}: {to}");
                    }
                }
            }
        }
    }
}

/// The console's routes are those that ask for a session or the token; the rest belongs to people with a
/// link and to Bitbucket.
fn is_console(path: &str) -> bool {
    !["/connect/", "/oauth/", "/webhooks/"].iter().any(|other| path.starts_with(other))
}

#[tokio::test]
async fn with_a_sign_on_in_front_no_route_of_the_console_answers_without_it() {
    let world = World::running().await;
    let issuer = Issuer::serve().await;
    let parameters = vec![("OidcIssuer".to_owned(), issuer.url.clone())];
    let local = bucketwheel_local::start(Options { parameters, ..Options::default() }, &|_| {}).await;
    let local = local.expect("a second system");
    let operator = local.outputs.operator_token.as_str();
    // The operator's token does not take the place of the sign-on, nor the other way round.
    let ask = |method: Method, path: &str, person: Option<&str>, bearer: Option<&str>| {
        let request = world.http.request(method, format!("{}{path}", local.public_url));
        let request = bearer.into_iter().fold(request, |request, token| request.bearer_auth(token));
        let request =
            person.into_iter().fold(request, |r, token| r.header("x-forwarded-access-token", token));
        async move {
            let answer = request.send().await.expect("an answer");
            (answer.status(), answer.text().await.expect("a body"))
        }
    };
    let in_an_hour = Host.now().as_second() + 3600;
    let claims = json!({
        "iss": issuer.url, "aud": "bucketwheel", "sub": "u-7", "email": "ada@example.com", "exp": in_an_hour,
    });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        issuer.token(&claims)
    };
    let right = issuer.token(&claims);
    let forged = {
        let (head, signature) = right.rsplit_once('.').expect("a signature");
        let other = if signature.starts_with('A') { "B" } else { "A" };
        format!("{head}.{other}{}", &signature[1..])
    };
    let wrong = [
        None,
        Some("not.a.token".to_owned()),
        Some(forged),
        Some(Issuer::unsigned(&claims)),
        Some(issuer.confused(&claims)),
        Some(with("exp", json!(in_an_hour - 7200))),
        Some(with("aud", json!("somebody else"))),
        Some(with("iss", json!("https://sign-on.invalid"))),
    ];
    let refused = |(status, body): &(StatusCode, String)| {
        let said: Value = serde_json::from_str(body).unwrap_or_default();
        *status == StatusCode::UNAUTHORIZED && said == json!({"message": "Unauthorized"})
    };
    for (method, route) in routes() {
        let method = if method == "ANY" { Method::GET } else { method.parse().expect("a method") };
        for path in paths(&route) {
            for person in &wrong {
                let answer = ask(method.clone(), &path, person.as_deref(), Some(operator)).await;
                assert_eq!(refused(&answer), is_console(&path), "{method} {path}: {answer:?}");
            }
            let answer = ask(method.clone(), &path, Some(&right), Some(operator)).await;
            assert!(!refused(&answer), "{method} {path}: {answer:?}");
        }
    }
    // Who signed on still needs the operator token, and stands in the audit trail.
    let (status, body) = ask(Method::GET, "/api/credentials", Some(&right), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body.contains("not_signed_in"), "{body}");
    assert_eq!(ask(Method::GET, "/api/credentials", Some(&right), Some(operator)).await.0, StatusCode::OK);
    local.stop().await;
}

#[tokio::test]
async fn a_session_begins_with_the_token_and_writes_only_for_our_own_pages() {
    let world = World::running().await;
    let credential = world.connect("By session").await;
    let mut operator = world.person();
    let url = |path: &str| format!("{}{path}", world.local().public_url);
    let wrong = operator.submit(&url("/login"), &[("token", "not the token")]).await.expect("an answer");
    assert_eq!(wrong.status, 401);
    let token = world.local().outputs.operator_token.as_str();
    operator.submit(&url("/login"), &[("token", token)]).await.expect("an answer");

    let page = url(&format!("/credentials/{credential}"));
    let renamed = operator.submit(&page, &[("deed", "rename"), ("label", "Renamed by a page")]).await;
    let renamed = renamed.expect("an answer");
    assert!(renamed.status == 200 && renamed.text.contains("Renamed by a page"), "{}", renamed.text);
    assert!(renamed.text.contains("operator, by session"), "{}", renamed.text);

    // The same with the right cookie from elsewhere.
    let login = world.http.post(url("/login")).form(&[("token", token)]).send().await.expect("an answer");
    let cookie = login.headers()["set-cookie"].to_str().expect("a cookie");
    for attribute in ["__Host-session=", "HttpOnly", "Secure", "SameSite", "Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = cookie.split(';').next().expect("a cookie");
    for (path, method) in [
        (format!("/credentials/{credential}"), Method::POST),
        (format!("/api/credentials/{credential}"), Method::DELETE),
    ] {
        let foreign = world
            .http
            .request(method, url(&path))
            .header("cookie", cookie)
            .header(ORIGIN, "https://evil.example")
            .form(&[("deed", "disable")]);
        assert_eq!(foreign.send().await.expect("an answer").status(), StatusCode::FORBIDDEN, "{path}");
    }
    let (_, shown) = world.operator("GET", &format!("credentials/{credential}"), None).await;
    assert_eq!((&shown["label"], &shown["status"]["health"]), (&json!("Renamed by a page"), &json!("up")));
}
