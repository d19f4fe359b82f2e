//! What can be tried at the console: its login, its forms, its sessions and its pages.

use bucketwheel::aws::Host;
use bucketwheel::ports::Edge as _;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, StatusCode};
use ring::hmac;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn no_login_leads_to_another_site() {
    let world = World::running().await;
    let token = world.local().outputs.operator_token.as_str();
    for next in [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/%09/evil.example",
        "\u{a0}//evil.example",
        "@evil.example",
        ".evil.example",
        "/..//evil.example",
        "/./\\evil.example",
    ] {
        let url = format!("{}/login", world.local().public_url);
        let form = [("token", token), ("next", next)];
        let answer = world.http.post(&url).form(&form).send().await.expect("an answer");
        let to = answer.headers()[LOCATION].to_str().expect("an address").to_owned();
        let here = reqwest::Url::parse(&url).expect("an address");
        let there = here.join(&to).expect("an address");
        assert_eq!(there.origin(), here.origin(), "{next:?} leads to {to}");
        let shown = world.http.get(&url).query(&[("next", next)]).send().await.expect("the page");
        let text = shown.text().await.expect("a page");
        assert!(!text.contains("evil.example\"") || text.contains("value=\"/"), "{next:?}: {text}");
    }
}

#[tokio::test]
async fn no_foreign_page_and_no_form_without_origin_writes_with_a_session() {
    let world = World::running().await;
    let credential = world.connect("csrf").await;
    let url = |path: &str| format!("{}{path}", world.local().public_url);
    let cookie = session(&world).await;
    for origin in [Some("https://evil.example"), Some("null"), Some("http://localhost.evil.example"), None] {
        for (method, path) in [
            (Method::POST, format!("/credentials/{credential}")),
            (Method::POST, "/api/connect-links".to_owned()),
            (Method::DELETE, format!("/api/credentials/{credential}")),
            (Method::POST, "/logout".to_owned()),
        ] {
            let request = world.http.request(method, url(&path)).header(COOKIE, &cookie);
            let request = origin.into_iter().fold(request, |request, origin| request.header(ORIGIN, origin));
            let request = request.header("content-type", "text/plain").body("deed=disable");
            let status = request.send().await.expect("an answer").status();
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} from {origin:?}");
        }
    }
    let (_, shown) = world.operator("GET", &format!("credentials/{credential}"), None).await;
    assert_eq!(shown["status"]["health"], "up");
}

#[tokio::test]
async fn a_session_that_was_changed_or_made_up_admits_nobody() {
    let world = World::running().await;
    let cookie = session(&world).await;
    let (name, value) = cookie.split_once('=').expect("a cookie");
    let parts: Vec<_> = value.split('.').collect();
    let [version, expiry, signature] = parts[..] else { panic!("{value}") };
    let later = expiry.parse::<i64>().expect("a time") + 1_000_000;
    let enter = async |cookie: String| {
        let request = world.http.get(format!("{}/credentials", world.local().public_url));
        request.header(COOKIE, cookie).send().await.expect("an answer").status()
    };
    assert_eq!(enter(cookie.clone()).await, StatusCode::OK);
    for forged in [
        format!("{name}={version}.{later}.{signature}"),
        format!("{name}={version}.{expiry}."),
        format!("{name}={version}.{expiry}.{}", "0".repeat(64)),
        format!("{name}=v0.{expiry}.{signature}"),
        format!("{name}=none.{expiry}."),
        format!("{name}={version}.{expiry}.{}", &signature[..62]),
        format!("session={value}"),
        format!("{name}={}", world.local().outputs.operator_secret),
    ] {
        assert_eq!(enter(forged.clone()).await, StatusCode::SEE_OTHER, "{forged}");
    }
}

#[tokio::test]
async fn a_session_ends_with_its_time_and_with_its_operator_token_and_not_elsewhere() {
    let world = World::running().await;
    let url = |path: &str| format!("{}{path}", world.local().public_url);
    let admits = async |cookie: &str| {
        let request = world.http.get(url("/credentials")).header(COOKIE, cookie);
        request.send().await.expect("an answer").status() == StatusCode::OK
    };
    let (token, now) = (world.local().outputs.operator_token.as_str(), Host.now().as_second());
    let hour = 3_600;
    for (case, key, purpose, expiry, want) in [
        ("as the console signs", token, "session", now + hour, true),
        ("expired", token, "session", now - 1, false),
        (
            "another deployment's, or before the token was replaced",
            "another operator token",
            "session",
            now + hour,
            false,
        ),
        ("the key's other use", token, "operator", now + hour, false),
    ] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let signature = hmac::sign(&key, format!("bucketwheel/{purpose}/v1:{expiry}").as_bytes());
        let signature: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(admits(&format!("__Host-session=v1.{expiry}.{signature}")).await, want, "{case}");
    }
    // A sign-out takes the cookie from its browser. A copy lives on, which the threat model says.
    let cookie = session(&world).await;
    let origin = world.local().public_url.to_string();
    let left =
        world.http.post(url("/logout")).header(COOKIE, &cookie).header(ORIGIN, origin.trim_end_matches('/'));
    let left = left.send().await.expect("an answer");
    assert_eq!(left.status(), StatusCode::SEE_OTHER);
    let emptied = left.headers()[SET_COOKIE].to_str().expect("a cookie").to_owned();
    assert!(emptied.starts_with("__Host-session=; Max-Age=0;"), "{emptied}");
    assert!(!admits(emptied.split(';').next().expect("a cookie")).await);
    assert!(admits(&cookie).await, "nothing is stored by which a copy could end");
}

#[tokio::test]
async fn names_that_are_scripts_are_texts_on_every_page() {
    let world = World::running().await;
    let script = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'`${7*7}{{7*7}}";
    let credential = world.connect("xss").await;
    let renamed = json!({"label": script});
    let (status, answer) = world.operator("PATCH", &format!("credentials/{credential}"), Some(renamed)).await;
    assert_eq!((status, answer["label"].as_str()), (StatusCode::OK, Some(script)), "{answer}");
    let cookie = session(&world).await;
    // Where it is stored it is shown; where it was typed it may be.
    for (path, shows) in [
        (format!("/credentials/{credential}"), true),
        ("/credentials?q=onerror".to_owned(), true),
        (format!("/calls?credential={credential}"), true),
        (format!("/credentials/{credential}/audit"), true),
        (format!("/credentials/{credential}/repositories"), false),
        ("/credentials?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".to_owned(), true),
        ("/login?bitbucket_error=%3Cscript%3Ealert(1)%3C/script%3E".to_owned(), false),
    ] {
        let request = world.http.get(format!("{}{path}", world.local().public_url)).header(COOKIE, &cookie);
        let answer = request.send().await.expect("a page");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let policy =
            answer.headers().get("content-security-policy").expect("a policy").to_str().expect("text");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        let text = answer.text().await.expect("a page");
        assert!(!text.contains("<script>alert") && !text.contains("<img src=x"), "{path}: {text}");
        assert!(!shows || text.contains("&gt;&lt;script&gt;alert(1)&lt;/script&gt;"), "{path}: {text}");
    }
}

/// The cookie of a session that the operator began.
async fn session(world: &World) -> String {
    let url = format!("{}/login", world.local().public_url);
    let form = [("token", world.local().outputs.operator_token.as_str())];
    let answer = world.http.post(url).form(&form).send().await.expect("an answer");
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("a cookie");
    cookie.split(';').next().expect("a cookie").to_owned()
}
