//! Without a session, and after it has ended.

use super::*;

#[tokio::test]
async fn an_end_user_without_a_session_learns_that_it_worked() {
    let world = World::running().await;
    let Some(browser) = Browser::new(&world).await else { return };
    let (link, _) = world.connect_link("Browser end user").await;
    browser.open(&link).await;
    browser.press("Grant access").await;
    browser.sees("Your Bitbucket account is connected. You can close this window.").await;
}

#[tokio::test]
async fn what_was_typed_survives_the_end_of_the_session() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    browser.open("/credentials/new").await;
    browser.find("#label").await.fill("Typed <before> & \"after\"").await;
    browser.find("#workspace").await.fill("seilbahn").await;
    browser.forget().await;
    browser.press("Make the link").await;
    browser.sees("Your session has ended.").await;
    browser.find("#token").await.fill("a wrong one, first").await;
    browser.press("Sign in").await;
    browser.sees("That is not the operator token.").await;
    browser.sign_in(&world).await;
    browser.sees("Nothing was sent yet").await;
    assert_eq!(browser.find("#label").await.property("value").await, "Typed <before> & \"after\"");
    browser.press("Make the link").await;
    browser.sees("The link is made.").await;

    // A page that was only looked at is led back to.
    browser.forget().await;
    browser.open("/queues/calls").await;
    browser.sign_in(&world).await;
    browser.sees("Dead letters of calls").await;
    assert!(browser.address().await.ends_with("/queues/calls"));
}
