//! Who gets in, and how.

use super::*;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};

#[tokio::test]
async fn a_stranger_gets_nowhere_but_to_the_login() {
    let world = World::new();
    world.connected("c-1", "Build bot").await;
    let pages = [
        "/",
        "/credentials",
        "/credentials/c-1",
        "/credentials/nobody",
        "/logout",
        "/oh/no",
        "/apiary",
        "/login/x",
    ];
    let api = [
        "/api",
        "/api/credentials",
        "/api/credentials/c-1",
        "/api/credentials/c-1/refresh",
        "/api/connect-links",
        "/api/calls",
        "/api/calls/x",
        "/api/oh/no",
    ];
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        for uri in pages {
            let answer = world.knock(method.clone(), uri).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{method} {uri}");
            assert!(answer.header(LOCATION).starts_with("/login"), "{method} {uri}");
            assert_eq!(answer.text, "");
        }
        for uri in api {
            let answer = world.knock(method.clone(), uri).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {uri}");
            if method != Method::HEAD {
                assert_eq!(answer.error(), "not_signed_in");
            }
            assert_eq!(answer.header(WWW_AUTHENTICATE), "Bearer");
        }
    }
    assert!(world.calls.sent().is_empty() && world.nudges.sent().is_empty());
    assert_eq!(world.knock(Method::GET, "/login").await.status, StatusCode::OK);
    assert_eq!(world.knock(Method::GET, "/assets/console.css").await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let world = World::new();
    for uri in ["/login", "/", "/credentials", "/api/credentials", "/assets/console.css", "/assets/none"] {
        let answer = world.knock(Method::GET, uri).await;
        assert_eq!(
            answer.header(CONTENT_SECURITY_POLICY),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        );
        assert_eq!(answer.header(X_CONTENT_TYPE_OPTIONS), "nosniff", "{uri}");
        assert_eq!(answer.header(REFERRER_POLICY), "same-origin", "{uri}");
        let cached = uri == "/assets/console.css";
        assert_eq!(answer.header(CACHE_CONTROL), if cached { "public, max-age=300" } else { "no-store" });
    }
}

#[tokio::test]
async fn signing_in_takes_the_token_and_leads_back_and_guesses_wait() {
    let world = World::new();
    let asked = world.knock(Method::GET, "/credentials/c-1?x=1").await;
    assert_eq!(asked.header(LOCATION), "/login?next=%2Fcredentials%2Fc-1%3Fx%3D1");
    let form = world.knock(Method::GET, asked.header(LOCATION)).await;
    assert!(form.text.contains(r#"name="next" value="/credentials/c-1?x=1""#), "{}", form.text);

    let typed = (CONTENT_TYPE, "application/x-www-form-urlencoded");
    let enter =
        |body: &str| world.send(Method::POST, "/login", std::slice::from_ref(&typed), body.to_owned());
    let before = tokio::time::Instant::now();
    let wrong = enter("token=wrong&next=%2Fcredentials").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(before.elapsed() >= std::time::Duration::from_secs(1));
    assert_eq!(wrong.header(SET_COOKIE), "");
    assert!(!wrong.text.contains("wrong"), "{}", wrong.text);

    // The API doubts as the login does, and remembers what came there; the right token never waits.
    let before = tokio::time::Instant::now();
    let guess = (AUTHORIZATION, "Bearer a-guess");
    let guessed = world.send(Method::GET, "/api/credentials", &[guess], String::new()).await;
    assert_eq!(guessed.status, StatusCode::UNAUTHORIZED);
    assert!(before.elapsed() >= std::time::Duration::from_secs(2));
    let before = tokio::time::Instant::now();
    assert_eq!(world.get("/api/kinds").await.status, StatusCode::OK);
    assert!(before.elapsed() < std::time::Duration::from_secs(1));

    let right = enter(&format!("token={TOKEN}&next=%2Fcredentials%2Fc-1%3Fx%3D1")).await;
    assert_eq!(right.status, StatusCode::SEE_OTHER);
    assert_eq!(right.header(LOCATION), "/credentials/c-1?x=1");
    let cookie = right.header(SET_COOKIE).split(';').next().expect("a cookie");
    let page = world.send(Method::GET, "/credentials", &[(COOKIE, cookie)], String::new()).await;
    assert_eq!(page.status, StatusCode::OK);

    let away = enter(&format!("token={TOKEN}&next=%2F%2Fevil.example")).await;
    assert_eq!(away.header(LOCATION), "/credentials");

    world.edge.advance(session::LIFETIME);
    let late = world.send(Method::GET, "/credentials", &[(COOKIE, cookie)], String::new()).await;
    assert_eq!(late.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_foreign_page_cannot_write_with_the_operators_cookie() {
    let world = World::new();
    world.connected("c-1", "Build bot").await;
    let cookie = format!("{}={}", session::COOKIE, operator().sign(world.edge.now()));
    let send = |uri: &'static str, origin: &'static str| {
        let headers = [(COOKIE, cookie.as_str()), (ORIGIN, origin)];
        let world = &world;
        async move { world.send(Method::POST, uri, &headers, String::new()).await }
    };
    let foreign = send("/api/credentials/c-1/refresh", "https://evil.example").await;
    assert_eq!((foreign.status, foreign.error().as_str()), (StatusCode::FORBIDDEN, "foreign_origin"));
    let foreign = send("/logout", "https://evil.example").await;
    assert_eq!((foreign.status, foreign.header(SET_COOKIE)), (StatusCode::FORBIDDEN, ""));
    assert!(world.nudges.sent().is_empty());

    assert_eq!(send("/api/credentials/c-1/refresh", "https://bw.example").await.status, StatusCode::ACCEPTED);
    let left = send("/logout", "https://bw.example").await;
    assert_eq!((left.status, left.header(LOCATION)), (StatusCode::SEE_OTHER, "/login"));
    assert!(left.header(SET_COOKIE).contains("Max-Age=0"));
}

#[tokio::test]
async fn an_end_user_without_a_session_learns_how_the_connect_went() {
    let world = World::new();
    for (uri, way, shown) in [
        (
            "/credentials?connected=c-1",
            "/login?next=%2Fcredentials&connected=c-1",
            "Your Bitbucket account is connected. You can close this window.",
        ),
        (
            "/credentials?bitbucket_error=consent_refused",
            "/login?next=%2Fcredentials&bitbucket_error=consent_refused",
            "Open the connect link again and choose Grant access.",
        ),
        (
            "/credentials?bitbucket_error=%3Cscript%3Eevil",
            "/login?next=%2Fcredentials&bitbucket_error=other",
            "The connect did not work.",
        ),
    ] {
        let sent_on = world.knock(Method::GET, uri).await;
        assert_eq!(sent_on.header(LOCATION), way);
        for page in [world.knock(Method::GET, way).await, world.look(uri).await] {
            assert_eq!(page.status, StatusCode::OK);
            assert!(page.text.contains(shown), "{}", page.text);
            assert!(!page.text.contains("evil"), "{}", page.text);
        }
    }
}

/// As API Gateway sends it (payload 2.0): cookies apart, a form in base64, the stage named.
#[tokio::test]
async fn an_event_of_the_gateway_arrives_as_a_request() {
    let world = World::new();
    let event = |method: &str, path: &str, more: Value| {
        let mut event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": { "host": "api.example", "content-type": "application/x-www-form-urlencoded" },
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "api.example", "requestId": "r", "stage": "$default",
                "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1" },
                "timeEpoch": 0,
            },
            "isBase64Encoded": false,
        });
        event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let request = lambda_http::request::from_str(&event.to_string()).expect("an event");
        world.router.clone().oneshot(request)
    };
    let form = "dG9rZW49b3BlcmF0b3ItdG9rZW4tb2YtdGhlLXRlc3Rz";
    let entered =
        event("POST", "/login", json!({ "body": form, "isBase64Encoded": true })).await.expect("an answer");
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let cookie = entered.headers()[SET_COOKIE].to_str().expect("a text");
    let cookie = cookie.split(';').next().expect("a cookie");
    let page = event("GET", "/credentials", json!({ "cookies": ["a=1", cookie] })).await.expect("an answer");
    assert_eq!(page.status(), StatusCode::OK);
}
