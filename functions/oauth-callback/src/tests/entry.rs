//! Connects by a token that somebody enters, and by the consumer's own.

use bucketwheel::credential::Sight;
use bucketwheel::ports::Query;
use reqwest::StatusCode;

use super::*;

type Form = &'static [(&'static str, &'static str)];

/// A kind, what it reaches, what is entered, and whom it acts as.
const EVERYTHING: [(Kind, &str, Form, &str); 6] = [
    (Kind::OauthClientCredentials, "", &[], "Bucketwheel"),
    (Kind::ApiTokenShared, "", &[("email", seed::ADA_EMAIL), ("token", seed::ADA_API_TOKEN)], "Ada Lindt"),
    (Kind::ApiTokenUser, "", &[("email", seed::ADA_EMAIL), ("token", seed::ADA_API_TOKEN)], "Ada Lindt"),
    (
        Kind::RepositoryAccessToken,
        "infrastructure",
        &[("token", seed::REPOSITORY_ACCESS_TOKEN)],
        "seilbahn/infrastructure",
    ),
    (Kind::ProjectAccessToken, seed::WEB_PROJECT, &[("token", seed::PROJECT_ACCESS_TOKEN)], "Web"),
    (Kind::WorkspaceAccessToken, "", &[("token", seed::WORKSPACE_ACCESS_TOKEN)], "Seilbahn"),
];

#[tokio::test]
async fn every_kind_that_is_entered_connects_and_says_whom_it_acts_as() {
    let world = World::new().await;
    for (kind, resource, form, account) in EVERYTHING {
        let name = kind.code().replace('_', "-");
        let link = world.link(&name, |link| (link.kind, link.resource) = (kind, resource.to_owned())).await;
        let mut ada = world.ada();
        let page = ada.open(&link).await.expect("a page");
        assert_eq!(page.status, 200);
        assert!(page.text.contains(kind.title()) && page.text.contains("Acts as"), "{}", page.text);
        let landed = ada.submit(&link, form).await.expect("an answer");
        assert_eq!(landed.parameter("connected"), Some(name.clone()), "{kind:?}: {}", landed.text);

        let credential = world.credential(&name).await.expect("there");
        assert_eq!(credential.account.display_name, account, "{kind:?}");
        assert_eq!(credential.sight, Sight::Repositories, "{kind:?}");
        assert!(!credential.granted.is_empty(), "{kind:?}: Bitbucket names the scopes");
        let tokens = world.tokens(&name).await.expect("there");
        assert!(tokens.contains_key("due_at"), "{kind:?} is tried from time to time");
        assert!(!tokens.contains_key("refresh"));
        let stored = as_value(tokens).to_string();
        assert!(form.iter().all(|(_, secret)| !stored.contains(secret)), "{kind:?} lies in clear");
        // The link is used up.
        let again = ada.submit(&link, form).await.expect("an answer");
        assert_eq!(failure(&again), "link_unusable");
    }
}

#[tokio::test]
async fn a_token_that_does_not_do_is_refused_with_what_is_wrong_and_the_link_stays() {
    let world = World::new().await;
    let client = client();
    let made = |path: &str, body: Value| {
        client.post(format!("{}/_sandbox/{path}", world.sandbox.url())).json(&body).send()
    };
    let no_user =
        json!({"email": seed::ADA_EMAIL, "token": "ATATT-no-user", "scopes": ["read:repository:bitbucket"]});
    assert!(made("api-tokens", no_user).await.expect("made").status().is_success());
    let no_scopes = json!({"email": seed::ADA_EMAIL, "token": "ATATT-no-scopes", "scopes": []});
    assert!(made("api-tokens", no_scopes).await.expect("made").status().is_success());

    let shared = (Kind::ApiTokenShared, seed::WORKSPACE, "");
    let repository = (Kind::RepositoryAccessToken, seed::WORKSPACE, "infrastructure");
    let project = (Kind::ProjectAccessToken, seed::WORKSPACE, seed::WEB_PROJECT);
    let blind = json!({"name": "blind", "workspace": seed::WORKSPACE, "project": seed::WEB_PROJECT,
                       "token": "ATCTT-no-project", "scopes": ["repository"]});
    assert!(made("access-tokens", blind).await.expect("made").status().is_success());
    let ada = |token: &'static str| vec![("email", seed::ADA_EMAIL), ("token", token)];
    for (case, (kind, workspace, resource), form, code) in [
        ("not an e-mail", shared, vec![("email", "ada"), ("token", "x")], "wrong_email"),
        ("no token", shared, ada(""), "wrong_token"),
        (
            "another e-mail",
            shared,
            vec![("email", "bo@example.com"), ("token", seed::ADA_API_TOKEN)],
            "wrong_email_or_token",
        ),
        ("another token", shared, ada("ATATT-made-up"), "wrong_email_or_token"),
        ("no Bitbucket scopes", shared, ada("ATATT-no-scopes"), "wrong_email_or_token"),
        ("no scope for the user", shared, ada("ATATT-no-user"), "missing_scope"),
        (
            "no such workspace",
            (Kind::ApiTokenShared, "elsewhere", ""),
            ada(seed::ADA_API_TOKEN),
            "missing_workspace",
        ),
        ("an unknown access token", repository, vec![("token", "ATCTT-made-up")], "wrong_token"),
        (
            "another repository",
            (Kind::RepositoryAccessToken, seed::WORKSPACE, "website"),
            vec![("token", seed::REPOSITORY_ACCESS_TOKEN)],
            "missing_workspace",
        ),
        ("an unknown project token", project, vec![("token", "ATCTT-made-up")], "wrong_token"),
        (
            "another project",
            (Kind::ProjectAccessToken, seed::WORKSPACE, seed::PROJECT),
            vec![("token", seed::PROJECT_ACCESS_TOKEN)],
            "missing_workspace",
        ),
        (
            "a repository's token for a project",
            project,
            vec![("token", seed::REPOSITORY_ACCESS_TOKEN)],
            "missing_workspace",
        ),
        ("no scope for the project", project, vec![("token", "ATCTT-no-project")], "missing_scope"),
    ] {
        let link = world
            .link("c-1", |link| {
                (link.kind, link.workspace, link.resource) = (kind, workspace.to_owned(), resource.to_owned())
            })
            .await;
        let page = world.ada().submit(&link, &form).await.expect("a page");
        assert_eq!(page.status, 422, "{case}");
        assert!(page.text.contains(&format!("data-code=\"{code}\"")), "{case}: {}", page.text);
        assert!(
            !page.text.contains("ATATT") && !page.text.contains("ATCTT"),
            "{case}: the token is repeated"
        );
        assert!(world.credential("c-1").await.is_none(), "{case}");
        assert_eq!(
            world.ada().open(&link).await.expect("a page").status,
            200,
            "{case}: the link still works"
        );
        if code == "missing_scope" {
            let scope = if kind == Kind::ProjectAccessToken { "project" } else { "read:user:bitbucket" };
            assert!(page.text.contains(&format!(" {scope}.")), "{}", page.text);
        }
    }
}

#[tokio::test]
async fn a_form_of_another_site_and_a_link_for_consent_take_no_token() {
    let world = World::new().await;
    let form = [("email", seed::ADA_EMAIL), ("token", seed::ADA_API_TOKEN)];
    let link = world.link("c-1", |link| link.kind = Kind::ApiTokenShared).await;
    let client = client();
    let foreign = client.post(&link).header("origin", "https://evil.example").form(&form).send().await;
    assert_eq!(foreign.expect("an answer").status(), StatusCode::FORBIDDEN);
    let consent = world.link("c-2", |_| {}).await;
    let refused = world.ada().submit(&consent, &form).await.expect("an answer");
    assert_eq!(failure(&refused), "link_unusable");
    assert!(world.credential("c-1").await.is_none() && world.credential("c-2").await.is_none());
}

#[tokio::test]
async fn a_token_of_another_account_does_not_take_over() {
    let world = World::new().await;
    let link = world.link("c-1", |link| link.kind = Kind::ApiTokenUser).await;
    let ada = [("email", seed::ADA_EMAIL), ("token", seed::ADA_API_TOKEN)];
    world.ada().submit(&link, &ada).await.expect("an answer");
    let body = json!({"email": seed::BO_EMAIL, "token": "ATATT-bo"});
    let url = format!("{}/_sandbox/api-tokens", world.sandbox.url());
    client().post(url).json(&body).send().await.expect("made");
    let again = world.link("c-1", |link| (link.kind, link.renews) = (Kind::ApiTokenUser, true)).await;
    let bo = [("email", seed::BO_EMAIL), ("token", "ATATT-bo")];
    assert_eq!(failure(&world.ada().submit(&again, &bo).await.expect("an answer")), "other_account");
    assert_eq!(generation(world.tokens("c-1").await), Some(1));
}

#[tokio::test]
async fn a_connect_writes_who_what_and_when_with_the_change_and_can_be_found() {
    let world = World::new().await;
    let link = world.link("c-1", |link| link.kind = Kind::ApiTokenShared).await;
    let ada = [("email", seed::ADA_EMAIL), ("token", seed::ADA_API_TOKEN)];
    world.ada().submit(&link, &ada).await.expect("an answer");
    let lines = credentials::audit(&world.table, &id("c-1")).await.expect("a read");
    assert_eq!((lines.len(), lines[0].action.as_str(), lines[0].at), (1, "connected", world.edge.now()));
    assert!(lines[0].actor.starts_with("link "), "{}", lines[0].actor);
    for listing in ["OWNER#ada", "WORKSPACE#seilbahn", "CREDENTIAL"] {
        let page = world.table.query(&Query::Listing(listing.to_owned()), 10, None).await.expect("a page");
        assert_eq!(page.items.len(), 1, "{listing}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a test asks the sandbox's own controls")]
fn client() -> reqwest::Client {
    reqwest::Client::new()
}
