//! The list of repositories.

use bucketwheel::bitbucket::TIME_OUT;
use bucketwheel::call::{ApiPath, Method, Wire};
use bucketwheel::credential::{Repository, Scheme, Sight};
use bucketwheel::ports::{Cursor, Key};
use bucketwheel::store::repositories;
use bucketwheel::token::Authorization;

use super::*;

const REFRESH: &str = r#"{"action": "refresh_repositories"}"#;

impl World {
    async fn refresh(&self, id: &str, credential: &CredentialId) -> Outcome {
        self.call(id, credential, &serde_json::from_str(REFRESH).expect("JSON")).await
    }

    async fn listed(&self, credential: &CredentialId) -> Vec<Repository> {
        let (table, now) = (&self.worker.table, self.worker.edge.now());
        let (mut all, mut after): (_, Option<Cursor>) = (Vec::new(), None);
        loop {
            let page = repositories::list(table, credential, 100, after.as_ref(), now).await;
            let (values, next) = page.expect("a read");
            all.extend(values);
            match next {
                Some(next) => after = Some(next),
                None => return all,
            }
        }
    }

    /// Makes so many repositories, named `many-0001` and so on.
    async fn plant(&self, count: usize) {
        let token = AccessToken::new(SecretString::from(seed::WORKSPACE_ACCESS_TOKEN));
        let token = Authorization::new(Scheme::Bearer, token);
        self.allow(1_000_000);
        for number in 1..=count {
            let path = ApiPath::parse(&format!("repositories/seilbahn/many-{number:04}")).expect("a path");
            let wire = Wire::json(Method::Post, path, &json!({}));
            let answer = self.worker.api.send(&token, &wire, TIME_OUT).await.expect("an answer");
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

fn names(all: &[Repository]) -> Vec<&str> {
    let mut names: Vec<_> = all.iter().map(|repository| repository.full_name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_long_list_is_read_within_the_allowance_over_several_visits() {
    let world = World::new().await;
    world.plant(1_000).await;
    world.advance(SignedDuration::from_hours(1));
    // Which the first answer says. Seven of them are left to what can wait.
    world.allow(10);
    let credential = world.connect("long", |_| {}).await;
    let call = serde_json::from_str(REFRESH).expect("JSON");
    let mut waits = 0;
    while let Err(again) = world.visit("long", &credential, &call).await {
        let wait = again.after().expect("it says how long");
        assert!(matches!(again, Again::After(_, why) if why.contains("allowance")), "{again:?}");
        assert_eq!(world.listed(&credential).await.len(), 700);
        world.advance(wait);
        waits += 1;
        assert!(waits < 3, "it does not end");
    }
    assert_eq!(waits, 1);
    let outcome = world.outcome("long").await;
    assert_eq!(outcome.body.expect("a count"), json!({"repositories": 1_003, "removed": 0}));
    assert_eq!(world.listed(&credential).await.len(), 1_003);
    let summary = repositories::listed(&world.worker.table, &credential).await.expect("a read");
    assert_eq!(summary.expect("listed").count, 1_003);
}

#[tokio::test]
async fn a_renamed_repository_stays_the_same_and_a_vanished_one_goes() {
    let world = World::new().await;
    let credential = world.connect("current", |_| {}).await;
    world.refresh("first", &credential).await;
    let before = world.listed(&credential).await;
    assert_eq!(names(&before), ["seilbahn/infrastructure", "seilbahn/leer", "seilbahn/website"]);

    let rename = json!({"action": "update_repository", "repository": "seilbahn/website", "name": "Pages"});
    world.call("rename", &credential, &rename).await;
    let delete = json!({"action": "delete_repository", "repository": "seilbahn/leer"});
    world.call("delete", &credential, &delete).await;
    world.worker.edge.advance(SignedDuration::from_secs(1));
    let outcome = world.refresh("second", &credential).await;
    assert_eq!(outcome.body.expect("a count"), json!({"repositories": 2, "removed": 1}));
    let after = world.listed(&credential).await;
    assert_eq!(names(&after), ["seilbahn/infrastructure", "seilbahn/pages"]);
    let uuid = |name: &str, all: &[Repository]| {
        all.iter().find(|one| one.full_name == name).map(|one| one.uuid.clone()).expect("there")
    };
    assert_eq!(uuid("seilbahn/website", &before), uuid("seilbahn/pages", &after));
}

#[tokio::test]
async fn walks_that_overlap_remove_nothing_that_is_there() {
    let world = World::new().await;
    world.plant(150).await;
    let credential = world.connect("both", |_| {}).await;
    let (one, other) = tokio::join!(world.refresh("one", &credential), world.refresh("other", &credential));
    for outcome in [one, other] {
        assert_eq!(outcome.body.expect("a count"), json!({"repositories": 153, "removed": 0}));
    }
    assert_eq!(world.listed(&credential).await.len(), 153);
}

#[tokio::test]
async fn an_access_token_of_one_repository_lists_that_one() {
    let world = World::new().await;
    let one = world.connect("one", |credential| {
        credential.kind = Kind::RepositoryAccessToken;
        credential.resource = "infrastructure".to_owned();
    });
    let credential = one.await;
    world.refresh("one", &credential).await;
    assert_eq!(names(&world.listed(&credential).await), ["seilbahn/infrastructure"]);
}

#[tokio::test]
async fn an_empty_list_and_a_workspace_that_is_not_seen_are_noted_with_their_reason() {
    let world = World::new().await;
    let blind = world.connect("blind", |credential| credential.workspace = "elsewhere".to_owned()).await;
    let outcome = world.refresh("elsewhere", &blind).await;
    assert_eq!(outcome.error.expect("a cause").code, "not_found");
    assert_eq!(world.credential(&blind).await.sight, Sight::Unseen);

    let empty = world.connect("empty", |_| {}).await;
    for name in ["infrastructure", "website", "leer"] {
        let delete = json!({"action": "delete_repository", "repository": format!("seilbahn/{name}")});
        world.call(name, &empty, &delete).await;
    }
    world.refresh("empty", &empty).await;
    assert_eq!(world.credential(&empty).await.sight, Sight::NoPermission);
}

#[tokio::test]
async fn nothing_but_the_audit_trail_is_left_of_a_deleted_credential() {
    let world = World::new().await;
    let credential = world.connect("gone", |_| {}).await;
    world.refresh("list", &credential).await;
    assert!(!world.listed(&credential).await.is_empty());
    let known = world.credential(&credential).await;
    let marked = credentials::begin_delete(&known, &known.status);
    world.worker.table.write(vec![marked]).await.expect("marked");
    world.call("delete", &credential, &json!({"action": "delete_credential"})).await;
    let of_credential = |(key, _): &(Key, _)| key.pk == "CRED#gone" && !key.sk.starts_with("AUDIT#");
    let left: Vec<_> = world.worker.table.items().into_iter().filter(of_credential).collect();
    assert!(left.is_empty(), "{left:?}");
}
