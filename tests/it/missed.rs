//! Deliveries that Bitbucket loses, in the whole system.

use bucketwheel::event::Envelope;
use bucketwheel::ports::{Condition, Key, Table, Write};
use serde_json::{Value, json};

use crate::world::{World, text, until};

const EVENTS: [&str; 3] = ["repo:push", "pullrequest:created", "pullrequest:fulfilled"];

impl World {
    pub(crate) async fn watch(&self, label: &str, repository: &str) -> String {
        let credential = self.connect(label).await;
        let hook = json!({"action": "ensure_hook", "repository": repository, "events": EVENTS});
        assert!(self.call(&credential, hook).await.error.is_none());
        credential
    }

    /// Looks for missed events, as the round does, and lets what it finds be old enough for the next look.
    pub(crate) async fn look(&self, credential: &str, repository: &str) -> Value {
        let outcome = self.call(credential, json!({"action": "detect_missed"})).await;
        assert!(outcome.error.is_none(), "{outcome:?}");
        let answer =
            self.call(credential, json!({"method": "GET", "path": format!("repositories/{repository}")}));
        let uuid = text(&answer.await.body.expect("a repository")["uuid"]);
        for (sk, attribute, minutes) in
            [(format!("HEADS#{uuid}"), "read_at", 11), ("MISSED".to_owned(), "since", 60)]
        {
            let key = Key::new(format!("CRED#{credential}"), sk);
            let mut attributes = self.table().get(&key).await.expect("read").expect("how it stands");
            let at: jiff::Timestamp = text(&attributes[attribute]).parse().expect("a time");
            attributes[attribute] = json!((at - jiff::SignedDuration::from_mins(minutes)).to_string());
            let write = Write::Put { key, attributes, condition: Condition::Always };
            self.table().write(vec![write]).await.expect("written");
        }
        outcome.body.expect("what it found")
    }

    pub(crate) async fn lose(&self, repository: &str, count: u32) {
        self.behave(json!({"lose_deliveries": {repository: count}})).await;
    }

    /// The synthetic events of a credential, once there are so many: type and body.
    pub(crate) async fn made_up(&self, credential: &str, count: usize) -> Vec<(String, Value)> {
        until("the missing events come", async || {
            let made_up: Vec<_> = self
                .event_texts()
                .iter()
                .map(|text| Envelope::parse(text).expect("an envelope"))
                .filter(|event| event.synthetic && event.credentialid.as_str() == credential)
                .map(|event| (event.r#type.clone(), event.body().expect("a body")))
                .map(|(kind, body)| (kind, serde_json::from_slice(&body).expect("JSON")))
                .collect();
            (made_up.len() >= count).then_some(made_up)
        })
        .await
    }
}

#[tokio::test]
async fn what_bitbucket_lost_comes_once_and_what_it_delivered_does_not_come_again() {
    let world = World::apart(&[("DetectMissed", "on")], json!({})).await;
    let repository = world.repository("missed", json!({"README.md": "Hello"})).await;
    let credential = world.watch("missed", &repository).await;
    let push = async |files: Value| {
        let push = json!({"repository": repository, "branch": "main", "files": files});
        text(&world.sandbox("POST", "push", Some(push)).await["commit"])
    };
    world.look(&credential, &repository).await;

    // One is delivered, one is lost, and another one is delivered.
    push(json!({"a": "1"})).await;
    world.events(&credential, 1).await;
    world.lose(&repository, 1).await;
    let lost = push(json!({"a": "2"})).await;
    push(json!({"a": "3"})).await;
    world.events(&credential, 2).await;
    world.look(&credential, &repository).await;
    let found = world.look(&credential, &repository).await;
    assert_eq!(found["missed"], 1, "{found}");
    let made_up = world.made_up(&credential, 1).await;
    assert_eq!(made_up[0].0, "org.bitbucket.repo.push");
    assert_eq!(made_up[0].1["push"]["changes"][0]["new"]["target"]["hash"], json!(lost));

    // The lost one comes after all: it has another id, and is known as late.
    let deliveries = world.sandbox("GET", "deliveries", None).await;
    let never = |delivery: &&Value| delivery["attempts"] == json!([]) && delivery["done"] == true;
    let never = deliveries["values"]
        .as_array()
        .expect("deliveries")
        .iter()
        .find(never)
        .expect("the lost one")
        .clone();
    world.sandbox("POST", &format!("deliveries/{}/resend", text(&never["request_id"])), None).await;
    world.events(&credential, 4).await;
    let found = world.look(&credential, &repository).await;
    assert_eq!((&found["late"], &found["missed"]), (&json!(1), &json!(0)), "{found}");

    // A pull request of which nobody hears.
    let feature = json!({"repository": repository, "branch": "feature", "files": {"f": "1"}});
    world.sandbox("POST", "push", Some(feature)).await;
    world.events(&credential, 5).await;
    world.lose(&repository, 1).await;
    let create = json!({"action": "create_pull_request", "repository": repository, "title": "Quiet", "source": "feature"});
    assert!(world.call(&credential, create).await.error.is_none());
    world.look(&credential, &repository).await;
    world.look(&credential, &repository).await;
    let made_up = world.made_up(&credential, 2).await;
    assert_eq!(made_up[1].0, "org.bitbucket.pullrequest.created");
    assert_eq!(made_up[1].1["pullrequest"]["title"], "Quiet");
    world.look(&credential, &repository).await;
    assert_eq!(world.made_up(&credential, 2).await.len(), 2, "each once");

    let (_, seen) = world.operator("GET", &format!("credentials/{credential}/hooks"), None).await;
    assert_eq!((&seen["missed"]["missed"], &seen["missed"]["late"]), (&json!(2), &json!(1)), "{seen}");
    world.stop();
}

#[tokio::test]
async fn nothing_is_searched_for_unless_it_is_switched_on() {
    let world = World::running().await;
    let repository = world.repository("unsearched", json!({"README.md": "Hello"})).await;
    let credential = world.watch("unsearched", &repository).await;
    let push = json!({"repository": repository, "branch": "main", "files": {"a": "1"}});
    world.sandbox("POST", "push", Some(push)).await;
    world.events(&credential, 1).await;
    let outcome = world.call(&credential, json!({"action": "detect_missed"})).await;
    assert_eq!(outcome.error.expect("a problem").code, "switched_off");
    let (pk, prefix) = (format!("CRED#{credential}"), "CAME#".to_owned());
    let noted = world.table().query(&bucketwheel::ports::Query::Partition { pk, prefix }, 10, None).await;
    assert!(noted.expect("read").items.is_empty(), "no delivery costs a write");
}
