//! How the pages look, to an accessibility checker, to different readers, and in the README's pictures.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;

/// The pages, with a credential that has something to show.
async fn pages(world: &World) -> Vec<String> {
    let id = world.connect("Looked at").await;
    let hook = json!({"action": "ensure_hook", "repository": "seilbahn/website", "events": ["repo:push", "pullrequest:created"]});
    assert!(world.call(&id, hook).await.error.is_none());
    let call = world.call(&id, json!({"method": "GET", "path": "repositories/seilbahn/nowhere"})).await;
    world.bury(&json!({"credential": id}).to_string(), "it is no call").await;
    let mut pages: Vec<_> = [
        "/credentials",
        "/credentials?q=nobody-has-this",
        "/credentials?bitbucket_error=consent_refused",
        "/credentials/new",
        "/credentials/nobody",
        "/queues",
        "/queues/calls",
        "/queues/events",
        "/calls",
    ]
    .map(str::to_owned)
    .into();
    pages.push(format!("/credentials/{id}"));
    pages.push(format!("/credentials/{id}/audit"));
    pages.push(format!(
        "/calls?credential={id}&operation=POST%20/repositories/%7Bworkspace%7D/%7Brepo_slug%7D"
    ));
    pages.push(format!("/calls/{}", call.id));
    pages
}

#[tokio::test]
async fn an_accessibility_checker_finds_nothing_serious_in_light_and_dark() {
    let world = World::running().await;
    let Some(axe) = axe() else { return };
    let Some(browser) = Browser::new(&world).await else { return };
    let mut breaches = Vec::new();
    let check = async |browser: &Browser, path: &str, breaches: &mut Vec<String>| {
        browser.open(path).await;
        for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 390)] {
            browser.scheme(scheme).await;
            browser.width(width).await;
            for found in browser.inspect(&axe).await {
                breaches.push(format!("{path}, {scheme}, {width} wide: {found}"));
            }
        }
        let (shown, page) = (browser.script("return document.documentElement.scrollWidth").await, 390);
        if shown.as_u64() > Some(page) {
            breaches.push(format!("{path} is {shown} wide on a phone of {page}"));
        }
    };
    let (link, _) = world.connect_link("Looked at without a session").await;
    let body = json!({"workspace": "seilbahn", "label": "Token page", "kind": "api_token_shared"});
    let (_, token) = world.operator("POST", "connect-links", Some(body)).await;
    check(&browser, "/login", &mut breaches).await;
    check(&browser, &text(&token["url"]), &mut breaches).await;
    drop(link);
    browser.open("/login").await;
    browser.sign_in(&world).await;
    let pages = pages(&world).await;
    for path in &pages {
        check(&browser, path, &mut breaches).await;
    }
    // The page that tells is not at an address of its own.
    browser.make_link("oauth_user", "Looked at link").await;
    for found in browser.inspect(&axe).await {
        breaches.push(format!("the link: {found}"));
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[tokio::test]
async fn no_link_is_dead_and_nothing_comes_from_elsewhere() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    let home = world.local().public_url.clone();
    let mut known = std::collections::BTreeSet::new();
    for path in pages(&world).await {
        browser.open(&path).await;
        let complaints = browser.complaints().await;
        let expected = path == "/credentials/nobody";
        assert!(expected || complaints.is_empty(), "{path}: {complaints:?}");
        let loaded = browser.script("return performance.getEntriesByType('resource').map(e => e.name)").await;
        for address in loaded.as_array().expect("addresses") {
            assert!(text(address).starts_with(&home), "{path} loads {address}");
        }
        let links =
            browser.script("return [...document.links].filter(a => a.hash == '').map(a => a.href)").await;
        known.extend(links.as_array().expect("links").iter().map(text));
    }
    // The policy lets no page fetch anything, so somebody else follows the links.
    let mut operator = world.person();
    let token = world.local().outputs.operator_token.as_str();
    operator.submit(&format!("{home}/login"), &[("token", token)]).await.expect("the login answers");
    for link in known {
        assert!(link.starts_with(&home), "a link leads away: {link}");
        let status = operator.open(&link).await.expect("an answer").status;
        // Other tests delete what they made.
        assert!(status == 200 || link.contains("/credentials/0") && status == 404, "{link}: {status}");
    }
}

#[tokio::test]
async fn dates_are_in_the_readers_zone_and_texts_are_copied() {
    let world = World::running().await;
    let Some(browser) = Browser::signed_in(&world).await else { return };
    let id = world.connect("Browser dates").await;
    browser.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": "Asia/Tokyo"})).await;
    browser.open(&format!("/credentials/{id}")).await;
    let dates = browser.script("return [...document.querySelectorAll('time:not([data-relative])')].map(t => [t.dateTime, t.textContent, t.title])").await;
    let [stamp, shown, exact] = [0, 1, 2].map(|at| text(&dates[0][at]));
    let there = stamp.parse::<Timestamp>().expect("a time").in_tz("Asia/Tokyo");
    // The tests' own library knows zones only where the system has them.
    if let Ok(there) = there {
        assert!(shown.contains(&there.strftime("%H:%M").to_string()), "{stamp} is {shown}");
    }
    assert!(exact.contains("GMT+9") && exact.contains(&stamp), "{exact}");

    let granted = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
    browser.devtools("Browser.grantPermissions", granted).await;
    browser.find("button[aria-label='Copy the webhook address']").await.click().await;
    browser.sees("Copied").await;
    let copied = browser.script("return navigator.clipboard.readText()").await;
    assert_eq!(text(&copied), format!("{}/webhooks/bitbucket-cloud/{id}", world.local().public_url));
}

#[tokio::test]
async fn everything_works_without_script() {
    let world = World::running().await;
    let Some(browser) = Browser::new(&world).await else { return };
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    browser.open("/login").await;
    browser.sign_in(&world).await;
    browser.make_link("oauth_user", "Browser plain").await;
    browser.press("Connect my own account").await;
    browser.press("Grant access").await;
    browser.sees("Your Bitbucket account is connected.").await;
    browser.open_credential("Browser plain").await;
    let page = browser.text().await;
    assert!(page.contains("UTC") && !page.contains("Copy"), "{page}");
    let id = browser.address().await;
    let id = id.rsplit('/').next().expect("an id");
    browser.open(&format!("/calls?credential={id}")).await;
    browser.press("Send the call").await;
    browser.sees("succeeded").await;
}

impl Browser {
    /// What the checker finds that is serious, in words.
    async fn inspect(&self, axe: &str) -> Vec<String> {
        self.script(&format!("{axe}; return true")).await;
        let run = "return axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)";
        let found = self.script(run).await;
        let serious = |one: &&Value| matches!(one["impact"].as_str(), Some("serious" | "critical"));
        let found = found.as_array().expect("a list").iter().filter(serious);
        found.map(|one| format!("{} at {}", one["help"], one["nodes"][0]["html"])).collect()
    }
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// axe-core, which `.ci/run` puts below `target/tools`. It is a tool of the tests (MPL-2.0), not a part of
/// anything here.
fn axe() -> Option<String> {
    let file = root().join("target/tools/axe/package/axe.min.js");
    let axe = fs::read_to_string(&file).ok();
    if axe.is_none() {
        let required = crate::browser::required();
        assert!(!required, "axe-core is required and not there: .ci/run browser");
        println!("SKIPPED: axe-core is not at {}; .ci/run browser installs it", file.display());
    }
    axe
}
