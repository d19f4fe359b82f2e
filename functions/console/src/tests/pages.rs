//! What people see.

use super::*;
use bucketwheel::call::{Allowance, Priority};
use bucketwheel::credential::{Cause, Health};
use bucketwheel::rotation::{Claim, Intent, Lease, RunId, Upkeep};
use bucketwheel::store::budget::{self, Told};
use http::header::LOCATION;

#[tokio::test]
async fn the_first_page_says_what_to_do_and_later_ones_list() {
    let world = World::new();
    let empty = world.look("/credentials").await;
    for text in ["https://bw.example/oauth/callback", "bucketwheel connect", "/api/connect-links"] {
        assert!(empty.text.contains(text), "{text}");
    }
    assert_eq!(world.look("/").await.header(LOCATION), "/credentials");

    world.connected("c-2", "<script>alert(1)</script>").await;
    world.connected("c-1", "Build bot").await;
    let list = world.look("/credentials").await.text;
    assert!(list.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !list.contains("<script>"), "{list}");
    for text in ["Build bot", "OAuth, per user", "Ada &amp; Co", "acme", "just now", "up</span>"] {
        assert!(list.contains(text), "{text}");
    }
    assert!(list.find("c-1") < list.find("c-2"));
}

#[tokio::test]
async fn a_credential_is_shown_in_full_and_without_its_tokens() {
    let world = World::new();
    let id = world.connected("c-1", "<b>bot</b>").await;
    let now = world.edge.now();
    let down = Status { health: Health::Down, cause: Some(Cause::RotationLost), since: now };
    let read = credentials::get(&world.table, &id).await.expect("a read").expect("there");
    credentials::tell(&world.table, &read, &down, 1, None).await.expect("a write");
    let run = RunId::new([1; 16]);
    let claim = Claim {
        generation: 1,
        consent: 1,
        upkeep: Upkeep::Hot,
        over: None,
        intent: Intent { id: run, first_spent_at: now, attempts: 2 },
        lease: Lease { owner: run, until: now },
        due_at: now,
        refused_at: None,
        successor: false,
        outdated: false,
        sibling: false,
        decides: false,
    };
    tokens::claim(&world.table, &id, &claim).await.expect("a claim");

    let page = world.look("/credentials/c-1").await.text;
    for text in [
        "&lt;b&gt;bot&lt;/b&gt;",
        "https://bw.example/webhooks/bitbucket-cloud/c-1",
        Cause::RotationLost.sentence(),
        Cause::RotationLost.resolution(),
        "repository:write",
        "spends without an answer: 2",
        "connected",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let seen = world.get("/api/credentials/c-1").await;
    let detail = seen.json();
    assert_eq!(detail["status"]["health"], "down");
    assert_eq!(detail["webhook_url"], "https://bw.example/webhooks/bitbucket-cloud/c-1");
    assert_eq!(
        detail["chain"],
        json!({
            "generation": 1,
            "upkeep": "hot",
            "refreshed_at": "2026-11-21T05:10:00Z",
            "expires_at": "2026-11-21T07:10:00Z",
            "ended": false,
            "intent": { "first_spent_at": "2026-11-21T05:10:00Z", "attempts": 2 },
        })
    );
    for text in [page, seen.text] {
        assert!(!text.contains("hush") && !text.contains("v1.k1") && !text.contains("run-1"), "{text}");
    }
}

#[tokio::test]
async fn what_is_used_stands_beside_what_is_allowed_and_when_there_is_room_again() {
    let world = World::new();
    let id = world.connected("c-1", "Build bot").await;
    let bot = credentials::get(&world.table, &id).await.expect("a read").expect("there");
    let (limits, now) = (Limits { per_hour: 1_000 }, world.edge.now());
    let take = async |allowance| {
        budget::take(&world.table, limits, &bot, allowance, Priority::Interactive, now)
            .await
            .expect("counted");
    };
    take(Allowance::Repositories).await;
    for page in ["/credentials", "/credentials/c-1"] {
        let page = world.look(page).await.text;
        assert!(page.contains("1 of 1000<") && !page.contains("no room"), "{page}");
    }
    let told = Told { per_hour: Some(2), near: false };
    budget::learn(&world.table, &bot, Allowance::Repositories, told, now).await.expect("noted");
    take(Allowance::Hooks).await;
    for page in ["/credentials", "/credentials/c-1"] {
        let page = world.look(page).await.text;
        for text in ["1 of 2<", "no room</span>", "in 1 h"] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }
    let page = world.look("/credentials/c-1").await.text;
    assert!(page.contains("1 of 1000<") && page.contains("credentials of the OAuth consumer"), "{page}");
    let by = Some(SignedDuration::from_mins(5));
    budget::close(&world.table, &budget::Scope::own(&id, Allowance::Hooks), by, now).await.expect("closed");
    let page = world.look("/credentials/c-1").await.text;
    assert!(page.contains("closed by Bitbucket</span> free <time") && page.contains("in 5 min"), "{page}");
}
