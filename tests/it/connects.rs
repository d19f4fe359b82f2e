//! From a connect link to a credential that is `up`.

use bucketwheel_sandbox::person::Decision;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_person_who_consents_lands_on_the_credentials_page_and_the_credential_is_up() {
    let world = World::running().await;
    let credential = world.connect("Consented").await;

    let page = world.page("/credentials").await;
    assert_eq!(page.status, 200);
    let row = page.text.split("<tr").find(|row| row.contains(&credential)).expect("the credential is listed");
    assert!(row.contains("up") && row.contains("Consented") && row.contains("Ada Lindt"), "{row}");

    let (_, shown) = world.operator("GET", &format!("credentials/{credential}"), None).await;
    assert_eq!(shown["status"]["health"], "up");
    assert_eq!(shown["account"]["display_name"], "Ada Lindt");
}

#[tokio::test]
async fn tokens_lie_sealed_in_the_table() {
    let world = World::running().await;
    let credential = world.connect("sealed").await;
    let tokens = world.tokens(&credential).await;
    for field in ["access", "refresh"] {
        let sealed = tokens[field].as_str().expect("a sealed token");
        assert!(
            sealed.starts_with("v1.k") && sealed.contains(&format!(".{credential}.{field}.1.")),
            "{field}"
        );
        assert!(sealed.len() > 2_500, "the sandbox gives long tokens, and all of it is kept");
    }
    let state = world.sandbox("GET", "state?reveal=true", None).await;
    let given = state["grants"].as_array().expect("grants");
    let stored = serde_json::Value::Object(tokens).to_string();
    for token in
        given.iter().flat_map(|g| [&g["refresh_tokens"][0]["value"], &g["access_tokens"][0]["value"]])
    {
        if let Some(token) = token.as_str() {
            assert!(!stored.contains(token), "a token lies in the table in clear");
        }
    }
}

#[tokio::test]
async fn a_person_who_refuses_lands_there_with_the_reason_and_no_credential_is_made() {
    let world = World::running().await;
    let (link, credential) = world.connect_link("Refused").await;
    let mut person = world.person();
    let landed = world.visit(&mut person, &link, Decision::Deny).await;
    assert_eq!(landed.parameter("bitbucket_error").as_deref(), Some("consent_refused"));
    assert!(landed.text.contains("Access was refused"), "{}", landed.text);
    assert!(world.item(&format!("CRED#{credential}"), "META").await.is_none());
    assert!(world.item(&format!("CRED#{credential}"), "TOKENS").await.is_none());

    // The link was not used up, so the person can change their mind.
    let landed = world.visit(&mut person, &link, Decision::Grant).await;
    assert_eq!(landed.parameter("connected"), Some(credential));
}

#[tokio::test]
async fn a_link_works_once_and_a_made_up_one_never() {
    let world = World::running().await;
    let (link, _) = world.connect_link("once").await;
    let mut person = world.person();
    world.visit(&mut person, &link, Decision::Grant).await;
    let unknown = format!("{}/connect/made-up", world.local().public_url);
    for link in [link, unknown] {
        let landed = person.open(&link).await.expect("a page");
        assert_eq!(landed.parameter("bitbucket_error").as_deref(), Some("link_unusable"));
    }
}

#[tokio::test]
async fn a_callback_is_accepted_once_and_only_in_the_browser_that_began() {
    let world = World::running().await;
    let (link, credential) = world.connect_link("callback").await;
    let mut person = world.person();
    let consent = person.open(&link).await.expect("the consent page");
    let state = consent.parameter("state").expect("a state");
    let callback = format!("{}/oauth/callback?code=stolen&state={state}", world.local().public_url);

    let mut thief = world.person();
    let landed = thief.open(&callback).await.expect("a page");
    assert_eq!(landed.parameter("bitbucket_error").as_deref(), Some("cookie_missing"));
    // The state is spent by the attempt, so nobody can try again with it, not even its owner.
    let landed = person.open(&callback).await.expect("a page");
    assert_eq!(landed.parameter("bitbucket_error").as_deref(), Some("state_unusable"));
    assert!(world.item(&format!("CRED#{credential}"), "META").await.is_none());
}

#[tokio::test]
async fn two_tabs_of_one_browser_do_not_undo_each_other() {
    let world = World::running().await;
    let (link, credential) = world.connect_link("tabs").await;
    let mut person = world.person();
    let first = person.open(&link).await.expect("the consent page");
    let second = person.open(&link).await.expect("the consent page again");
    let landed = person.decide(&first, Decision::Grant).await.expect("back");
    assert_eq!(landed.parameter("connected"), Some(credential));
    let landed = person.decide(&second, Decision::Grant).await.expect("back");
    assert_eq!(landed.parameter("bitbucket_error").as_deref(), Some("link_unusable"));
}

#[tokio::test]
async fn a_reconnect_keeps_the_id_and_raises_the_generation() {
    let world = World::running().await;
    let credential = world.connect("Before").await;
    let body = json!({"workspace": "seilbahn", "label": "After", "credential": credential});
    let (_, link) = world.operator("POST", "connect-links", Some(body)).await;
    let link = crate::world::text(&link["url"]);
    let landed = world.visit(&mut world.person(), &link, Decision::Grant).await;
    assert_eq!(landed.parameter("connected").as_deref(), Some(credential.as_str()));
    assert_eq!(world.generation(&credential).await, 2);
    let (_, shown) = world.operator("GET", &format!("credentials/{credential}"), None).await;
    assert_eq!(shown["label"], "After");
}
