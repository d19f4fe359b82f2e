//! The repositories that a credential sees: listed once it is connected, and kept current.

use bucketwheel::aws::Host;
use bucketwheel::credential::Repository;
use bucketwheel::ports::Edge as _;
use bucketwheel::store::repositories;
use bucketwheel_sandbox::seed;
use reqwest::StatusCode;

use crate::world::{World, text, until};

impl World {
    /// What is stored of a credential's repositories.
    async fn repositories(&self, credential: &str) -> Vec<Repository> {
        let id = credential.parse().expect("an id");
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = repositories::list(&self.table(), &id, 100, after.as_ref(), Host.now()).await;
            let (values, next) = page.expect("the table answers");
            all.extend(values);
            match next {
                Some(next) => after = Some(next),
                None => return all,
            }
        }
    }
}

#[tokio::test]
async fn a_connect_lists_the_repositories_within_a_minute() {
    let world = World::running().await;
    let credential = world.connect("listed").await;
    let listed = async || world.item(&format!("CRED#{credential}"), "REPOS").await;
    let listed = until("they are listed", listed).await;
    let count = listed["count"].as_u64().expect("a count");
    let all = world.repositories(&credential).await;
    assert_eq!(all.len() as u64, count, "{all:?}");
    let website = all.iter().find(|repository| repository.uuid == seed::WEBSITE_UUID).expect("the website");
    assert_eq!((website.full_name.as_str(), website.is_private), ("seilbahn/website", true), "{website:?}");
}

#[tokio::test]
async fn an_event_that_changes_the_list_has_it_read_anew() {
    let world = World::running().await;
    let credential = world.connect("stale").await;
    let at = async || Some(world.item(&format!("CRED#{credential}"), "REPOS").await?["at"].clone());
    let before = until("they are listed", at).await;
    let secret = world.hook(&credential, "seilbahn/website").await;
    let body = format!(r#"{{"repository":{{"uuid":"{}"}},"n":"{credential}"}}"#, seed::WEBSITE_UUID);
    let status = world.deliver(&credential, "repo:updated", body.as_bytes(), &secret).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    world.local().invoke("api-worker", "{}").await.expect("the round is walked");
    until("they are listed anew", async || at().await.filter(|now| *now != before)).await;
}

#[tokio::test]
async fn the_list_is_read_page_by_page() {
    let world = World::running().await;
    let credential = world.connect("paged-list").await;
    until("they are listed", async || world.item(&format!("CRED#{credential}"), "REPOS").await).await;
    let (mut uuids, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("credentials/{credential}/repositories?limit=2{after}");
        let (status, page) = world.operator("GET", &path, None).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        assert!(page["listed_at"].is_string() && page["blind"].is_null(), "{page}");
        let values = page["values"].as_array().expect("values");
        assert!(values.len() <= 2, "{page}");
        uuids.extend(values.iter().map(|value| text(&value["uuid"])));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let all = world.repositories(&credential).await;
    assert_eq!(uuids, all.iter().map(|repository| repository.uuid.clone()).collect::<Vec<_>>());
}
