//! The console in a real browser, on the running system: what an operator and an end user do with it.

mod looks;
mod pictures;
mod session;

use bucketwheel::aws::Host;
use bucketwheel::credential::{Cause, Health, Status};
use bucketwheel::ports::Edge as _;
use bucketwheel::store::credentials;
use bucketwheel_sandbox::seed;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::browser::{Browser, ENTER, SPACE, TAB};
use crate::world::{World, text, until};

impl Browser {
    /// Fills in the form of a connect link and makes it.
    async fn make_link(&self, kind: &str, label: &str) {
        self.open(&format!("/credentials/new?kind={kind}")).await;
        self.find("#label").await.fill(label).await;
        self.find("#workspace").await.fill(seed::WORKSPACE).await;
        self.press("Make the link").await;
        self.sees("The link is made.").await;
    }

    /// Opens the credential of this label from the list.
    async fn open_credential(&self, label: &str) {
        self.open("/credentials").await;
        self.find("#q").await.fill(label).await;
        self.press("Find").await;
        self.press(label).await;
        self.sees("They send to").await;
    }

    /// The browser has nothing to complain about, but for a form that was refused.
    async fn is_content(&self) {
        let mut complaints = self.complaints().await;
        complaints.retain(|line| !line.contains("status of 400"));
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

impl World {
    /// Gives a credential another state, as the refresher does.
    async fn fall(&self, id: &str, health: Health, cause: Cause) {
        let (table, id) = (self.table(), id.parse().expect("an id"));
        let credential = credentials::get(&table, &id).await.expect("read").expect("a credential");
        let status = Status { health, cause: Some(cause), since: Host.now() };
        credentials::tell(&table, &credential, &status, 1, None).await.expect("told");
    }
}

#[tokio::test]
async fn an_operator_connects_their_own_account_with_a_link_and_sees_it_up() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    browser.make_link("oauth_user", "Browser consent").await;
    browser.press("Connect my own account").await;
    browser.press("Grant access").await;
    browser.sees("Your Bitbucket account is connected.").await;
    browser.open_credential("Browser consent").await;
    let page = browser.text().await;
    for seen in ["Browser consent", "up", "Ada Lindt", "Access token", "next rotation in"] {
        assert!(page.contains(seen), "{seen}: {page}");
    }
    browser.is_content().await;
}

#[tokio::test]
async fn a_refused_consent_is_explained_and_can_be_repeated() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    browser.make_link("oauth_user", "Browser refused").await;
    let link = browser.find("#link").await.text().await;
    browser.press("Connect my own account").await;
    browser.press("Deny").await;
    browser.sees("Access was refused on Bitbucket's page.").await;
    browser.sees("Open the connect link again and choose Grant access.").await;
    browser.open(&link).await;
    browser.press("Grant access").await;
    browser.sees("Your Bitbucket account is connected.").await;
}

#[tokio::test]
async fn a_credential_that_is_down_says_why_and_is_reconnected() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    let id = world.connect("Browser down").await;
    world.fall(&id, Health::Down, Cause::RotationLost).await;
    browser.open_credential("Browser down").await;
    browser.sees(Cause::RotationLost.sentence()).await;
    browser.find(".banner button").await.click().await;
    browser.sees("The link is made.").await;
    browser.press("Connect my own account").await;
    browser.press("Grant access").await;
    browser.sees("Your Bitbucket account is connected.").await;
    let (_, shown) = world.operator("GET", &format!("credentials/{id}"), None).await;
    assert_eq!(shown["status"]["health"], "up");
}

#[tokio::test]
async fn a_wrong_api_token_is_explained_and_the_right_one_connects() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    browser.make_link("api_token_shared", "Browser token").await;
    browser.press("Enter the token myself").await;
    browser.find("#email").await.fill(seed::ADA_EMAIL).await;
    browser.find("#token").await.fill("ATATT-not-this-one").await;
    browser.press("Connect").await;
    browser.sees("Bitbucket refuses this e-mail and token together.").await;
    assert_eq!(browser.find("#email").await.property("value").await, seed::ADA_EMAIL);
    assert_eq!(browser.find("#token").await.property("value").await, "", "the token is not repeated");
    browser.find("#token").await.fill(seed::ADA_API_TOKEN).await;
    browser.press("Connect").await;
    browser.sees("Your Bitbucket account is connected.").await;
    browser.open_credential("Browser token").await;
    assert!(!browser.find("html").await.property("outerHTML").await.contains(seed::ADA_API_TOKEN));
}

#[tokio::test]
async fn a_hook_is_attached_and_repaired() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    let id = world.connect("Browser hooks").await;
    browser.open_credential("Browser hooks").await;
    browser.press("Attach a hook").await;
    browser.find("#subject").await.fill("seilbahn/website").await;
    browser.find("#branches").await.fill("main").await;
    browser.press("Attach").await;
    browser.sees("succeeded").await;

    let ours = async || {
        let state = world.sandbox("GET", "state?reveal=true", None).await;
        let hooks = state["hooks"].as_array().expect("hooks").clone();
        hooks.into_iter().find(|hook| hook["url"].as_str().is_some_and(|url| url.ends_with(&id)))
    };
    let hook = ours().await.expect("it is at Bitbucket");
    let path = format!("repositories/seilbahn/website/hooks/{}", text(&hook["uuid"]));
    let deleted = world.call(&id, json!({"method": "DELETE", "path": path})).await;
    assert!(deleted.error.is_none() && ours().await.is_none(), "somebody deletes it: {deleted:?}");

    browser.open_credential("Browser hooks").await;
    for seen in ["registered", "only branches", "Version 1"] {
        browser.sees(seen).await;
    }
    browser.press("Repair hooks").await;
    browser.sees("succeeded").await;
    assert!(ours().await.is_some(), "it is there again");
    browser.is_content().await;
}

#[tokio::test]
async fn a_dead_letter_is_looked_at_tried_and_sent_again() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    let credential = world.connect("Browser dead letter").await;
    let (marker, id) = ("<b>hostile</b> & no call", format!("dead-{credential}"));
    world
        .bury(
            &json!({"credential": credential, "id": id, "call": {"method": "GET", "path": "user"}})
                .to_string(),
            marker,
        )
        .await;
    // Other tests look at the dead letters too, and hide them meanwhile.
    until("the dead letter is in sight", async || {
        browser.open("/queues/calls").await;
        browser.text().await.contains(&credential).then_some(())
    })
    .await;
    assert!(browser.text().await.contains(marker), "the cause is shown as it is");
    let chosen = format!("tr:has(a[href='/credentials/{credential}']) input");
    browser.find(&chosen).await.click().await;
    browser.press("Try the chosen ones").await;
    browser.sees("Nothing is moved yet.").await;
    browser.press("Send 1 again").await;
    browser.sees("1 sent again.").await;
    let outcome = until("the call is made", async || {
        let (_, outcome) = world.operator("GET", &format!("calls/{id}"), None).await;
        (outcome["state"] == "succeeded").then_some(outcome)
    })
    .await;
    assert_eq!(outcome["credential"], json!(credential));
    browser.is_content().await;
}

#[tokio::test]
async fn a_call_is_tried_and_its_answer_shown() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    let id = world.connect("Browser call").await;
    browser.open(&format!("/calls?credential={id}&operation=GET%20/repositories/%7Bworkspace%7D")).await;
    assert_eq!(browser.find("#path").await.property("value").await, "repositories/seilbahn");
    browser.sees("this credential has them").await;
    // What is wrong is said, and what was typed stays.
    browser.find("#body").await.fill("{no json").await;
    browser.press("Send the call").await;
    browser.sees("The body is not JSON").await;
    assert_eq!(browser.find("#body").await.property("value").await, "{no json");
    browser.find("#body").await.fill("").await;
    browser.press("Send the call").await;
    browser.sees("succeeded").await;
    browser.sees("seilbahn/website").await;
    browser.is_content().await;
}

#[tokio::test]
async fn the_keyboard_alone_is_enough() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    world.connect("Browser keyboard").await;
    browser.open("/credentials").await;
    let mut seen = Vec::new();
    for _ in 0..7 {
        browser.keys(TAB).await;
        seen.push(browser.focus().await);
    }
    let order =
        ["Skip to the content", "Bucketwheel", "Credentials", "Queues", "Try a call", "Connect", "Sign out"];
    assert_eq!(seen, order);
    // Further on: the button, the search, and what it finds.
    browser.keys(TAB).await;
    browser.keys(TAB).await;
    assert_eq!(browser.focus().await, "Search");
    browser.keys(&format!("Browser keyboard{ENTER}")).await;
    browser.sees("Clear").await;
    until("the link has the focus", async || {
        browser.keys(TAB).await;
        (browser.focus().await == "Browser keyboard").then_some(())
    })
    .await;
    browser.keys(ENTER).await;
    browser.sees("Danger zone").await;
    until("the box has the focus", async || {
        browser.keys(TAB).await;
        (browser.focus().await == "Yes, delete Browser keyboard for good").then_some(())
    })
    .await;
    browser.keys(&format!("{SPACE}{ENTER}")).await;
    until("it is being deleted", async || {
        let (_, list) = world.operator("GET", "credentials?limit=100", None).await;
        let named = |one: &&Value| one["label"] == "Browser keyboard" && one.get("deleting_at").is_none();
        let left = list["values"].as_array().expect("a list").iter().filter(named).count();
        (left == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn hostile_names_are_shown_as_they_are() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    let id = world.connect("Browser hostile").await;
    let label = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>";
    world.operator("PATCH", &format!("credentials/{id}"), Some(json!({"label": label}))).await;
    let typed = "/credentials?q=%22%3E%3Cscript%3Ealert(3)%3C%2Fscript%3E";
    for path in
        ["/credentials?q=onerror", &format!("/credentials/{id}"), &format!("/calls?credential={id}"), typed]
    {
        browser.open(path).await;
        if path != typed {
            assert!(
                browser.find("html").await.property("outerHTML").await.contains("&lt;img")
                    || path.contains("calls")
            );
        }
        assert_eq!(browser.count("main img, main script").await, 0, "{path}");
        // An open alert would refuse this.
        browser.script("return 1").await;
        browser.is_content().await;
    }
}
