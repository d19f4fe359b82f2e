//! The repositories that a credential sees: listed once it is connected, and kept current.

use bucketwheel::aws::Host;
use bucketwheel::credential::Repository;
use bucketwheel::ports::Edge as _;
use bucketwheel::store::repositories;
use bucketwheel_sandbox::seed;

use crate::world::{World, until};

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
