//! Where Bitbucket does not let a credential register what is wanted: the hooks of repositories stand in for
//! a workspace's, or a person makes the hook with a secret that the command shows.

use bucketwheel::store;
use bucketwheel_sandbox::person::{Decision, Person};
use bucketwheel_sandbox::seed;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::command::text as said;
use crate::hooks::{done, registered};
use crate::world::{World, text, until};

/// Whether the command succeeds, and what it says.
async fn command(world: &World, arguments: &[&str]) -> (bool, String) {
    let output = world.command(arguments).output().await.expect("it runs");
    (output.status.success(), said(&output))
}

/// What `hooks by-hand` shows: address, secret and triggers.
async fn shown(world: &World, credential: &str, repository: &str) -> [String; 3] {
    let arguments = ["hooks", "by-hand", repository, "--event", "repo:push", "--credential", credential];
    let (well, said) = command(world, &arguments).await;
    assert!(well, "{said}");
    ["URL", "Secret", "Triggers"].map(|name| {
        let value = said.lines().find_map(|line| line.trim().strip_prefix(name));
        value.unwrap_or_else(|| panic!("{name} is not in:\n{said}")).trim().to_owned()
    })
}

/// Ada, who administers the repository, enters it on Bitbucket's page: that is this call of its API.
async fn enter(world: &World, repository: &str, [url, secret, triggers]: &[String; 3]) {
    let sandbox = world.local().sandbox_url.as_deref().expect("a sandbox");
    let hooks = format!("{sandbox}/2.0/repositories/{repository}/hooks");
    let ask = |request: reqwest::RequestBuilder| {
        request.basic_auth(seed::ADA_EMAIL, Some(seed::ADA_API_TOKEN)).send()
    };
    let listed = ask(world.http.get(&hooks)).await.expect("an answer").json::<Value>().await.expect("JSON");
    let all = listed["values"].as_array().expect("hooks");
    let hook =
        json!({"description": "By hand", "url": url, "active": true, "secret": secret, "events": [triggers]});
    let request = match all.iter().find(|hook| hook["url"] == json!(url)) {
        Some(found) => world.http.put(format!("{hooks}/{}", text(&found["uuid"]))),
        None => world.http.post(&hooks),
    };
    let answer = ask(request.json(&hook)).await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
}

#[tokio::test]
async fn a_hook_that_a_person_makes_with_what_the_command_shows_delivers() {
    let world = World::running().await;
    // Bo is a member of the workspace, and may register no hook.
    let (link, credential) = world.connect_link("by hand").await;
    let mut bo = Person::new(seed::BO_UUID).expect("a browser");
    world.visit(&mut bo, &link, Decision::Grant).await;
    let repository = format!("seilbahn/h-{credential}");
    world.sandbox("POST", "repositories", Some(json!({"full_name": repository, "files": {"a": "b"}}))).await;
    let attach = ["hooks", "attach", &repository, "--credential", &credential];
    let (well, said) = command(&world, &attach).await;
    assert!(!well && said.contains(&format!("bucketwheel hooks by-hand {repository}")), "{said}");

    let first = shown(&world, &credential, &repository).await;
    assert_eq!((first[1].len(), first[2].as_str()), (128, "repo:push"));
    enter(&world, &repository, &first).await;
    let push = async |number: usize| {
        let push = json!({"repository": repository, "branch": "main", "message": "m", "files": {"n": number.to_string()}});
        world.sandbox("POST", "push", Some(push)).await;
        assert_eq!(world.events(&credential, number).await.len(), number);
    };
    push(1).await;
    let (_, listed) = command(&world, &["hooks", "list", "--credential", &credential]).await;
    assert!(listed.contains("by_hand") && !listed.contains(&first[1]), "{listed}");
    // Nobody asks Bitbucket for it, and nothing breaks it.
    done(&world, &credential, json!({"action": "repair_hooks"})).await;
    let (well, refused) = command(&world, &["rotate", "hook", "--credential", &credential]).await;
    assert!(!well && refused.contains("hooks by-hand"), "{refused}");
    push(2).await;

    // The next secret: the one before is taken until the person has entered the new one, and after.
    let second = shown(&world, &credential, &repository).await;
    assert!(second[0] == first[0] && second[1] != first[1]);
    push(3).await;
    enter(&world, &repository, &second).await;
    push(4).await;
    assert_eq!(registered(&world, &credential).await.len(), 1);
    let old = SecretString::from(first[1].clone());
    assert_eq!(world.deliver(&credential, "repo:push", b"{\"late\":1}", &old).await, StatusCode::ACCEPTED);
    until("the new secret's match is noted", async || {
        let id = credential.parse().expect("an id");
        let stored = store::hooks::get(&world.table(), &id).await.expect("the table answers")?;
        (stored.matched == Some(stored.newest())).then_some(())
    })
    .await;
    // The third takes the place of the first.
    let third = shown(&world, &credential, &repository).await;
    enter(&world, &repository, &third).await;
    push(6).await;
    // Another environment may go on believing for a minute what it has read.
    until("the first secret is refused", async || {
        let answer = world.deliver(&credential, "repo:push", b"{\"late\":2}", &old).await;
        (answer == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_of_a_project_gets_the_events_of_its_repositories() {
    let world = World::running().await;
    let wanted = json!({"workspace": seed::WORKSPACE, "label": "project", "kind": "project_access_token",
                        "resource": seed::WEB_PROJECT, "events": ["repo:push"]});
    let (status, link) = world.operator("POST", "connect-links", Some(wanted)).await;
    assert_eq!(status, StatusCode::CREATED, "{link}");
    let credential = text(&link["credential"]);
    let landed = world.person().submit(&text(&link["url"]), &[("token", seed::PROJECT_ACCESS_TOKEN)]).await;
    let landed = landed.expect("it is entered");
    assert_eq!(landed.parameter("connected").as_deref(), Some(credential.as_str()), "{}", landed.text);

    let path = format!("credentials/{credential}/hooks");
    let seen = until("the hooks are registered", async || {
        let (_, seen) = world.operator("GET", &path, None).await;
        (seen["hooks"][1]["state"] == json!("registered")).then_some(seen)
    })
    .await;
    assert_eq!(seen["hooks"][0]["state"], json!("refused"), "{seen}");
    let resolution = text(&seen["hooks"][0]["problem"]["resolution"]);
    assert!(resolution.contains("stand in for it"), "{resolution}");
    let push = json!({"repository": "seilbahn/website", "branch": "main", "message": "m", "files": {"p": credential}});
    world.sandbox("POST", "push", Some(push)).await;
    assert_eq!(world.events(&credential, 1).await[0].0, "org.bitbucket.repo.push");

    let (well, said) = command(&world, &["hooks", "remove", "seilbahn", "--credential", &credential]).await;
    assert!(well, "{said}");
    assert!(registered(&world, &credential).await.is_empty());
}
