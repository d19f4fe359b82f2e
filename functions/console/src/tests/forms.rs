//! Forms: what is typed, who may send it, and what a page never holds.

use super::*;
use bucketwheel::ports::DeadLetter;
use http::header::{LOCATION, ORIGIN, SET_COOKIE};

const OURS: (HeaderName, &str) = (ORIGIN, "https://bw.example");
const FORM: (HeaderName, &str) = (CONTENT_TYPE, "application/x-www-form-urlencoded");
const HOSTILE: &str = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>";

fn hostile_letter() -> DeadLetter {
    DeadLetter {
        id: HOSTILE.to_owned(),
        body: json!({"credential": HOSTILE, "call": {"method": "GET", "path": HOSTILE}}).to_string(),
        cause: Some(HOSTILE.to_owned()),
        attributes: Vec::new(),
        group: Some(HOSTILE.to_owned()),
        sent_at: "2026-11-21T05:00:00Z".parse().expect("a time"),
        receives: 1,
        receipt: String::new(),
    }
}

#[tokio::test]
async fn hostile_names_stay_texts_and_no_page_needs_anything_inline() {
    let world = World::new();
    world.connected("c-1", HOSTILE).await;
    world.dead_calls.bury(hostile_letter());
    let query: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let mut pages = Vec::new();
    for uri in [
        "/login".to_owned(),
        "/credentials".to_owned(),
        format!("/credentials?q={query}&owner={query}&workspace={query}&state={query}&after={query}"),
        format!("/credentials?bitbucket_error={query}"),
        format!("/credentials/new?kind={query}"),
        "/credentials/c-1".to_owned(),
        "/credentials/c-1/audit".to_owned(),
        "/credentials/c-1/repositories".to_owned(),
        format!("/calls?credential={query}&operation=GET+{query}"),
        "/queues".to_owned(),
        "/queues/calls?sent=1&missing=1&more=1".to_owned(),
        format!("/queues/calls/letter?id={query}"),
        format!("/queues/calls/letter?id={query}x"),
        format!("/oh/no?{query}"),
    ] {
        pages.push((uri.clone(), world.look(&uri).await.text));
    }
    let chosen = format!("do=try-these&id={query}");
    pages.push(("a dry run".to_owned(), world.press("/queues/calls", &chosen).await.text));
    let typed = format!("kind=oauth_user&label=&workspace={query}&owner={query}&scopes={query}");
    pages.push(("a refused form".to_owned(), world.press("/credentials/new", &typed).await.text));
    let typed = format!("credential={query}&method={query}&path={query}&body={query}");
    pages.push(("a refused call".to_owned(), world.press("/calls", &typed).await.text));
    for (page, text) in pages {
        assert!(!text.contains("<img src=x") && !text.contains("<script>"), "{page}: {text}");
        for inline in [" style=", " onclick=", "javascript:", "<style", "http://"] {
            assert!(!text.contains(inline), "{page} has {inline}: {text}");
        }
        assert!(text.contains("<h1>"), "{page}: {text}");
    }
}

#[tokio::test]
async fn no_form_is_taken_from_another_site() {
    let world = World::new();
    world.connected("c-1", "Build bot").await;
    let cookie = format!("{}={}", session::COOKIE, operator().sign(world.edge.now()));
    for uri in ["/credentials/new", "/credentials/c-1", "/calls", "/queues/calls", "/logout"] {
        for origin in ["https://evil.example", "null", "http://bw.example"] {
            let headers = [(COOKIE, cookie.as_str()), (ORIGIN, origin), FORM];
            let answer = world.send(Method::POST, uri, &headers, "deed=disable".to_owned()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{uri} from {origin}");
        }
    }
    assert!(world.calls.sent().is_empty());
}

#[tokio::test]
async fn what_was_typed_is_carried_through_the_login_and_nothing_is_done_by_it() {
    let world = World::new();
    let typed = "kind=api_token_user&label=Build+%3Cbot%3E&workspace=acme&owner=ada";
    let knock = |headers: Vec<(HeaderName, &'static str)>, uri: &'static str, body: String| {
        let world = &world;
        async move { world.send(Method::POST, uri, &headers, body).await }
    };
    let ended = knock(vec![OURS, FORM], "/credentials/new", typed.to_owned()).await;
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED);
    assert!(ended.text.contains("name=\"typed_path\" value=\"/credentials/new\""), "{}", ended.text);
    let carried = |token: &str| {
        let carried: String = url::form_urlencoded::byte_serialize(typed.as_bytes()).collect();
        format!("token={token}&typed_path=%2Fcredentials%2Fnew&typed={carried}")
    };
    let wrong = knock(vec![OURS, FORM], "/login", carried("wrong")).await;
    assert!(wrong.status == StatusCode::UNAUTHORIZED && wrong.text.contains("label=Build"), "{}", wrong.text);
    let again = knock(vec![OURS, FORM], "/login", carried(TOKEN)).await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(again.header(SET_COOKIE).starts_with(session::COOKIE));
    for text in
        ["value=\"Build &lt;bot&gt;\"", "value=\"acme\"", "Nothing was sent yet", "api_token_user\" checked"]
    {
        assert!(again.text.contains(text), "{text}: {}", again.text);
    }
    assert!(world.table.items().is_empty(), "the login makes no link");

    // Words of another site are not put into our forms.
    let foreign = (ORIGIN, "https://evil.example");
    let planted = knock(vec![foreign.clone(), FORM], "/credentials/new", typed.to_owned()).await;
    assert_eq!((planted.status, planted.text.as_str()), (StatusCode::SEE_OTHER, ""));
    let planted = knock(vec![foreign, FORM], "/login", carried(TOKEN)).await;
    assert_eq!((planted.status, planted.header(LOCATION)), (StatusCode::SEE_OTHER, "/credentials"));
}

#[tokio::test]
async fn a_short_form_comes_back_with_its_values_too() {
    let world = World::new();
    world.connected("c-1", "Build bot").await;
    let body = format!("token={TOKEN}&typed_path=%2Fcredentials%2Fc-1&typed=deed%3Drename%26label%3DDeploy");
    let again = world.send(Method::POST, "/login", &[OURS, FORM], body).await;
    assert!(again.text.contains("action=\"/credentials/c-1\"") && again.text.contains("value=\"Deploy\""));
    for path in ["https://evil.example/", "//evil.example/", "/login", "/logout", "/api/calls"] {
        let path: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        let body = format!("token={TOKEN}&typed_path={path}&typed=a%3Db");
        let answer = world.send(Method::POST, "/login", &[OURS, FORM], body).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
    }
}

#[tokio::test]
async fn credentials_are_found_among_many() {
    let world = World::new();
    for number in 0..130 {
        world.connected(&format!("c-{number:03}"), &format!("Bot number {number}")).await;
    }
    world.post("/api/credentials/c-077/disable", "").await;
    let rows = |page: &str| page.matches("role=\"rowheader\"").count();
    let first = world.look("/credentials").await.text;
    assert_eq!(rows(&first), 50);
    let next = first.split("rel=\"next\"").next().and_then(|before| before.rsplit("href=\"").next());
    let next = next.and_then(|rest| rest.split('"').next()).expect("a next page").replace("&amp;", "&");
    let second = world.look(&next).await.text;
    assert!(rows(&second) == 50 && second.contains("Bot number 50<") && !second.contains("Bot number 49<"));
    for (query, count, label) in [
        ("q=NUMBER+129", 1, "Bot number 129"),
        ("q=c-012", 1, "Bot number 12"),
        ("q=ada+%26+co&state=disabled", 1, "Bot number 77"),
        ("state=disabled&workspace=ACME&owner=ada", 1, "Bot number 77"),
        ("kind=api_token_user", 0, "No credential fits"),
        ("owner=nobody", 0, "No credential fits"),
    ] {
        let page = world.look(&format!("/credentials?{query}")).await.text;
        assert!(rows(&page) == count && page.contains(label), "{query}: {page}");
    }
    let bad = world.look("/credentials?after=junk").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn dead_letters_are_tried_before_they_are_sent_again() {
    let world = World::new();
    let letter = |id: &str| DeadLetter { id: id.to_owned(), ..hostile_letter() };
    for id in ["m-1", "m-2", "m-3"] {
        world.dead_calls.bury(letter(id));
    }
    let tried = world.press("/queues/calls", "do=try-these&id=m-1&id=m-3").await.text;
    assert!(
        tried.contains("Send 2 again") && tried.contains("value=\"m-3\"") && !tried.contains("m-2"),
        "{tried}"
    );
    assert_eq!(world.dead_calls.dead().len(), 3);
    let sent = world.press("/queues/calls", "do=these&id=m-1&id=m-3").await;
    assert_eq!(sent.header(LOCATION), "/queues/calls?sent=2");
    assert_eq!((world.dead_calls.dead().len(), world.dead_calls.living().len()), (1, 2));
    assert!(world.press("/queues/calls", "do=try-all").await.text.contains("Send 1 again?"));
    assert_eq!(world.press("/queues/calls", "do=all").await.header(LOCATION), "/queues/calls?sent=1");
    let none = world.press("/queues/calls", "do=try-these").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert!(world.look("/queues/calls").await.text.contains("No dead letters"));
}
