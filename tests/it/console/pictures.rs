//! The pictures of the README, made anew by
//! `cargo test --test it -- --ignored pictures`.

use std::fs;

use bucketwheel::call::Allowance;
use bucketwheel::store::budget::{self, Told};
use bucketwheel_sandbox::person::Decision;

use super::*;

impl World {
    /// Connects an account by a link that is made with these fields.
    async fn connect_as(&self, fields: Value, form: &[(&str, &str)]) -> String {
        let mut body = json!({"workspace": seed::WORKSPACE});
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let (_, link) = self.operator("POST", "connect-links", Some(body)).await;
        if form.is_empty() {
            self.visit(&mut self.person(), &text(&link["url"]), Decision::Grant).await;
        } else {
            self.person().submit(&text(&link["url"]), form).await.expect("an answer");
        }
        text(&link["credential"])
    }

    /// Notes that Bitbucket allows so many requests per hour to whom this credential is counted with.
    async fn allow(&self, id: &str, per_hour: u32) {
        let (table, id) = (self.table(), id.parse().expect("an id"));
        let credential = credentials::get(&table, &id).await.expect("read").expect("a credential");
        let told = Told { per_hour: Some(per_hour), near: false };
        budget::learn(&table, &credential, Allowance::Repositories, told, Host.now()).await.expect("noted");
    }
}

#[tokio::test]
#[ignore = "writes the pictures of the README"]
async fn pictures() {
    let world = World::running().await;
    let browser = Browser::new(&world).await.expect("a browser");
    let ada: &[_] = &[("email", seed::ADA_EMAIL), ("token", seed::ADA_API_TOKEN)];
    let deploy = world.connect_as(json!({"label": "Deploy bot"}), &[]).await;
    world.connect_as(json!({"label": "Dependency updates", "owner": "platform"}), &[]).await;
    let release =
        world.connect_as(json!({"label": "Release notes", "owner": "grace@example.com"}), &[]).await;
    let mirror = world.connect_as(json!({"label": "Mirror of the monorepo, nightly"}), &[]).await;
    world.connect_as(json!({"label": "Code search", "kind": "api_token_shared"}), ada).await;
    let old = world.connect_as(json!({"label": "Old importer", "owner": "data"}), &[]).await;
    let reports = json!({"label": "Reports", "kind": "workspace_access_token"});
    let reports = world.connect_as(reports, &[("token", seed::WORKSPACE_ACCESS_TOKEN)]).await;
    world.fall(&release, Health::Down, Cause::RotationLost).await;
    world.fall(&mirror, Health::Degraded, Cause::RefreshFailed).await;
    world.operator("POST", &format!("credentials/{old}/disable"), None).await;
    for repository in ["seilbahn/website", "seilbahn/infrastructure"] {
        let events = ["repo:push", "pullrequest:created", "pullrequest:fulfilled"];
        world
            .call(&deploy, json!({"action": "ensure_hook", "repository": repository, "events": events}))
            .await;
        world.call(&deploy, json!({"method": "GET", "path": format!("repositories/{repository}")})).await;
    }
    let commit =
        json!({"credential": deploy, "call": {"action": "commit_files", "repository": "seilbahn/website"}});
    world.bury(&commit.to_string(), "The call cannot be read: missing field `branch`").await;
    let odd =
        json!({"credential": deploy, "call": {"method": "FETCH", "path": "repositories/seilbahn/website"}});
    world.bury(&odd.to_string(), "The call cannot be read: unknown variant `FETCH`").await;

    // The tests have far more than Bitbucket allows anybody.
    for id in [&deploy, &reports] {
        world.allow(id, 1_000).await;
    }

    browser.open("/login").await;
    browser.sign_in(&world).await;
    let folder = looks::root().join("functions/console/screenshots");
    fs::create_dir_all(&folder).expect("a folder");
    let credential = format!("/credentials/{deploy}");
    for (name, path, scheme, width) in [
        ("credentials-light", "/credentials", "light", 1280),
        ("credentials-dark", "/credentials", "dark", 1280),
        ("credential-light", &credential, "light", 1280),
        ("credential-dark", &credential, "dark", 1280),
        ("connect-light", "/credentials/new", "light", 1280),
        ("queue-dark", "/queues/calls", "dark", 1280),
        ("credentials-phone", "/credentials", "light", 390),
        ("credential-phone", &credential, "dark", 390),
    ] {
        browser.scheme(scheme).await;
        browser.width(width).await;
        browser.open(path).await;
        let picture = browser.picture(width, if width < 600 { 1400 } else { 1000 }).await;
        fs::write(folder.join(format!("{name}.webp")), picture).expect("written");
    }
}
