//! The search for missed events. Deliveries are noted by webhook-ingest; here the test notes those that came.

use bucketwheel::bitbucket::TIME_OUT;
use bucketwheel::call::{ApiPath, Method, Wire};
use bucketwheel::credential::Scheme;
use bucketwheel::event::{Envelope, Event, Filter};
use bucketwheel::missed::{Facts, GRACE};
use bucketwheel::ports::Outgoing;
use bucketwheel::store::hooks::{self, HookSecrets};
use bucketwheel::store::missed;
use bucketwheel::token::Authorization;

use super::*;

const REPOSITORY: &str = "seilbahn/infrastructure";
const EVENTS: [&str; 5] = [
    "repo:push",
    "pullrequest:created",
    "pullrequest:updated",
    "pullrequest:fulfilled",
    "pullrequest:rejected",
];

impl World {
    pub(super) async fn watching(id: &str, events: &[&str]) -> (Self, CredentialId) {
        let world = World::new().await;
        // One whose requests count against those of all the consumer's credentials.
        let id = world.connect(id, |credential| credential.kind = Kind::OauthUser).await;
        let mut stored = HookSecrets::unmade();
        let events: Vec<_> = events.iter().map(|key| (*key).to_owned()).collect();
        stored.attach(REPOSITORY, &events);
        stored.hooks[0].registered = 1;
        hooks::put_first(&world.worker.table, &id, &stored).await.expect("stored");
        (world, id)
    }

    /// Sweeps an hour after the sweep before. Gives what the call says and the events on the queue.
    pub(super) async fn sweep(&self, credential: &CredentialId) -> (Value, Vec<Outgoing<'static>>) {
        self.advance(SignedDuration::from_hours(1));
        let id = format!("sweep-{}", self.worker.edge.now().as_second());
        let outcome = self.call(&id, credential, &json!({"action": "detect_missed"})).await;
        assert!(outcome.error.is_none(), "{outcome:?}");
        (outcome.body.expect("a body"), self.worker.events.as_ref().expect("a queue").take())
    }

    /// Something that a client does at Bitbucket.
    async fn at_bitbucket(&self, method: Method, path: &str, body: Value) -> Value {
        let token = AccessToken::new(SecretString::from(seed::WORKSPACE_ACCESS_TOKEN));
        let token = Authorization::new(Scheme::Bearer, token);
        let path = ApiPath::parse(&format!("repositories/{REPOSITORY}/{path}")).expect("a path");
        let wire = Wire::json(method, path, &body);
        let answer = self.worker.api.send(&token, &wire, TIME_OUT).await.expect("an answer");
        assert!(answer.status < 300, "{answer:?}");
        answer.json().unwrap_or_default()
    }

    async fn push(&self, wish: Value) -> String {
        let mut body = json!({"repository": REPOSITORY});
        body.as_object_mut().expect("an object").extend(wish.as_object().expect("an object").clone());
        let url = format!("{}/_sandbox/push", self.sandbox.url());
        #[expect(clippy::disallowed_methods, reason = "a test asks the sandbox's own controls")]
        let answer = reqwest::Client::new().post(url).body(body.to_string()).send().await.expect("pushed");
        let pushed = answer.bytes().await.expect("an answer");
        let pushed: Value = serde_json::from_slice(&pushed).expect("JSON");
        pushed["commit"].as_str().unwrap_or_default().to_owned()
    }

    async fn tip(&self, branch: &str) -> String {
        let branch = self.at_bitbucket(Method::Get, &format!("refs/branches/{branch}"), Value::Null).await;
        branch["target"]["hash"].as_str().expect("a hash").to_owned()
    }

    /// Notes that a push came.
    async fn came(&self, credential: &CredentialId, branch: &str, was: &str, is: &str) {
        let side = |hash| json!({"type": "branch", "name": branch, "target": {"hash": hash}});
        let uuid = self.at_bitbucket(Method::Get, "", Value::Null).await["uuid"].clone();
        let change = json!({"old": side(was), "new": side(is)});
        let body = json!({"repository": {"uuid": uuid}, "push": {"changes": [change]}});
        let facts = Facts::read("repo:push", body.to_string().as_bytes()).expect("facts");
        let now = self.worker.edge.now();
        missed::note(&self.worker.table, credential, facts, now).await.expect("noted");
    }
}

/// The one event, and its body.
fn only(sent: &[Outgoing<'_>]) -> (String, Event, Value) {
    let [message] = sent else { panic!("one event: {sent:?}") };
    let envelope = Envelope::parse(&message.body).expect("an envelope");
    assert!(envelope.synthetic);
    assert_eq!(message.dedup.as_deref(), Some(envelope.id.as_str()));
    assert_eq!(message.group.as_deref(), Some(envelope.partitionkey.as_str()));
    assert_eq!(envelope.subject.as_deref(), Some(REPOSITORY));
    assert!(envelope.source.starts_with("https://bitbucket.org/{"), "{}", envelope.source);
    let body = serde_json::from_slice(&envelope.body().expect("a body")).expect("JSON");
    (envelope.r#type.clone(), envelope.event().expect("an event"), body)
}

#[tokio::test]
async fn a_push_whose_delivery_was_lost_comes_once_as_bitbucket_would_have_told_it() {
    let (world, id) = World::watching("lost", &EVENTS).await;
    assert!(world.sweep(&id).await.1.is_empty(), "the first sweep only looks");
    let was = world.tip("main").await;
    let is =
        world.push(json!({"branch": "main", "files": {"a": "1"}, "commits": 7, "message": "Seven"})).await;
    assert!(world.sweep(&id).await.1.is_empty(), "it may be on the way");
    let (said, sent) = world.sweep(&id).await;
    assert_eq!((&said["missed"], &said["watched"]), (&json!(1), &json!(1)));
    let (kind, event, body) = only(&sent);
    assert_eq!(kind, "org.bitbucket.repo.push");
    let Event::RepoPush(push) = event else { panic!("a push") };
    let [change] = push.push.changes.as_slice() else { panic!("one change") };
    let hash = |side: &Option<bucketwheel::event::nouns::Ref>| {
        side.as_ref().and_then(|side| side.target.as_ref()?.hash.clone())
    };
    assert_eq!((hash(&change.old), hash(&change.new)), (Some(was), Some(is)));
    assert_eq!((change.forced, change.truncated, change.commits.len()), (Some(false), Some(true), 5));
    assert_eq!(change.commits[0].message.as_deref(), Some("Seven"));
    assert_eq!(
        (&body["push"]["changes"][0]["new"]["type"], &body["actor"]),
        (&json!("branch"), &Value::Null)
    );
    assert!(world.sweep(&id).await.1.is_empty(), "once");
    let found = missed::found(&world.worker.table, &id, world.worker.edge.now()).await.expect("a read");
    let found = found.expect("found").sums;
    assert_eq!((found.missed, found.came, found.late), (1, 0, 0));
}

#[tokio::test]
async fn a_push_that_came_is_no_event_again_and_a_late_one_is_known_as_late() {
    let (world, id) = World::watching("came", &EVENTS).await;
    world.sweep(&id).await;
    let was = world.tip("main").await;
    let is = world.push(json!({"branch": "main", "files": {"a": "1"}})).await;
    world.came(&id, "main", &was, &is).await;
    for _ in 0..3 {
        assert!(world.sweep(&id).await.1.is_empty());
    }
    let next = world.push(json!({"branch": "main", "files": {"a": "2"}})).await;
    world.sweep(&id).await;
    only(&world.sweep(&id).await.1);
    world.came(&id, "main", &is, &next).await;
    assert!(world.sweep(&id).await.1.is_empty());
    world.sweep(&id).await;
    let found = missed::found(&world.worker.table, &id, world.worker.edge.now()).await.expect("a read");
    let found = found.expect("found").sums;
    assert_eq!((found.missed, found.came, found.late), (1, 2, 1));
}

#[tokio::test]
async fn force_pushes_deletions_and_new_refs_are_told_as_what_they_are() {
    let (world, id) = World::watching("kinds", &["repo:push"]).await;
    world.push(json!({"branch": "feature", "files": {"f": "1"}, "commits": 2})).await;
    world.sweep(&id).await;
    world.push(json!({"branch": "feature", "files": {"f": "2"}, "force": true})).await;
    world.sweep(&id).await;
    let change = only(&world.sweep(&id).await.1).2["push"]["changes"][0].clone();
    assert_eq!(
        (&change["forced"], &change["closed"], &change["created"]),
        (&json!(true), &json!(false), &json!(false))
    );

    world.push(json!({"branch": "feature", "delete": true})).await;
    world.sweep(&id).await;
    let change = only(&world.sweep(&id).await.1).2["push"]["changes"][0].clone();
    assert_eq!(
        (&change["closed"], &change["new"], &change["old"]["name"]),
        (&json!(true), &Value::Null, &json!("feature"))
    );

    let tip = world.push(json!({"branch": "main", "tag": "v1"})).await;
    world.sweep(&id).await;
    let change = only(&world.sweep(&id).await.1).2["push"]["changes"][0].clone();
    assert_eq!((&change["created"], &change["new"]["type"]), (&json!(true), &json!("tag")));
    assert_eq!(change["new"]["target"]["hash"], json!(tip));
}

#[tokio::test]
async fn a_pull_request_that_nobody_told_of_is_opened_and_merged() {
    let (world, id) = World::watching("pulls", &EVENTS).await;
    let was = world.tip("main").await;
    let is = world.push(json!({"branch": "feature", "files": {"f": "1"}})).await;
    world.sweep(&id).await;
    let create = json!({"title": "Feature", "source": {"branch": {"name": "feature"}}});
    let pull = world.at_bitbucket(Method::Post, "pullrequests", create).await;
    world.sweep(&id).await;
    let (kind, _, body) = only(&world.sweep(&id).await.1);
    assert_eq!(
        (kind.as_str(), &body["pullrequest"]["id"]),
        ("org.bitbucket.pullrequest.created", &pull["id"])
    );
    assert_eq!(body["pullrequest"]["title"], json!("Feature"));

    let next = world.push(json!({"branch": "feature", "files": {"f": "2"}})).await;
    world.came(&id, "feature", &is, &next).await;
    world.sweep(&id).await;
    assert_eq!(only(&world.sweep(&id).await.1).0, "org.bitbucket.pullrequest.updated");

    world.at_bitbucket(Method::Post, &format!("pullrequests/{}/merge", pull["id"]), json!({})).await;
    world.came(&id, "main", &was, &world.tip("main").await).await;
    world.sweep(&id).await;
    let (kind, _, body) = only(&world.sweep(&id).await.1);
    assert_eq!(
        (kind.as_str(), &body["pullrequest"]["state"]),
        ("org.bitbucket.pullrequest.fulfilled", &json!("MERGED"))
    );
}

#[tokio::test]
async fn what_the_hook_is_not_to_send_or_a_filter_drops_is_not_missed() {
    let (world, id) = World::watching("filtered", &["repo:push"]).await;
    let mut stored = hooks::get(&world.worker.table, &id).await.expect("a read").expect("hooks");
    stored.filter = serde_json::from_value::<Filter>(json!({"branches": ["main"]})).expect("a filter");
    hooks::replace(&world.worker.table, &id, &mut stored).await.expect("stored");
    world.sweep(&id).await;
    world.push(json!({"branch": "feature", "files": {"f": "1"}})).await;
    let create = json!({"title": "Feature", "source": {"branch": {"name": "feature"}}});
    world.at_bitbucket(Method::Post, "pullrequests", create).await;
    world.sweep(&id).await;
    let (said, sent) = world.sweep(&id).await;
    assert!(sent.is_empty() && said["missed"] == 0, "{said}");
}

#[tokio::test]
async fn all_sweeps_of_an_hour_keep_to_their_share_and_the_next_goes_on() {
    let (mut world, id) = World::watching("share", &EVENTS).await;
    // Two requests an hour: one repository, as each takes one for its refs and one for its pull requests.
    world.worker.limits = Limits { per_hour: 20 };
    let mut stored = hooks::get(&world.worker.table, &id).await.expect("a read").expect("hooks");
    stored.hooks.clear();
    stored.attach(seed::WORKSPACE, &EVENTS.map(str::to_owned));
    stored.hooks[0].registered = 1;
    hooks::replace(&world.worker.table, &id, &mut stored).await.expect("stored");
    world.call("list", &id, &json!({"action": "refresh_repositories"})).await;
    let repositories = 3;
    let mut visited = Vec::new();
    for _ in 0..=repositories {
        let said = world.sweep(&id).await.0;
        assert_eq!(said["watched"], json!(repositories));
        visited.push(said["stopped_after"].clone());
    }
    let stops: std::collections::BTreeSet<_> = visited.iter().map(Value::to_string).collect();
    assert_eq!(stops.len(), repositories, "each sweep goes on where the one before stopped: {visited:?}");
    assert!(visited.contains(&Value::Null), "it came to the end: {visited:?}");
}

#[tokio::test]
async fn deliveries_that_wait_in_the_table_are_not_overtaken() {
    let (world, id) = World::watching("behind", &EVENTS).await;
    world.sweep(&id).await;
    world.push(json!({"branch": "main", "files": {"a": "1"}})).await;
    world.sweep(&id).await;
    let uuid =
        world.at_bitbucket(Method::Get, "", Value::Null).await["uuid"].as_str().expect("a uuid").to_owned();
    let waits = bucketwheel::event::Enveloped { id: "w".into(), group: uuid.clone(), text: "{}".into() };
    let (table, ring) = (&world.worker.table, ring());
    bucketwheel::store::deliveries::park(table, None, &id, &waits, &ring, [1; 24]).await.expect("parked");
    assert!(world.sweep(&id).await.1.is_empty());
    let parked = bucketwheel::store::deliveries::oldest(table, &uuid).await.expect("a read");
    bucketwheel::store::deliveries::done(table, &parked).await.expect("taken");
    let head = bucketwheel::store::deliveries::head(table, &uuid).await.expect("a read").expect("a head");
    bucketwheel::store::deliveries::end(table, &uuid, &head).await.expect("ended");
    only(&world.sweep(&id).await.1);
}

#[tokio::test]
async fn where_it_is_off_nothing_is_asked_of_bitbucket() {
    let (mut world, id) = World::watching("off", &EVENTS).await;
    world.worker.events = None;
    let outcome = world.call("off", &id, &json!({"action": "detect_missed"})).await;
    assert_eq!(outcome.error.expect("a problem").code, "switched_off");
}

#[tokio::test]
async fn a_break_in_the_search_makes_nothing_missing() {
    let (world, id) = World::watching("break", &EVENTS).await;
    world.sweep(&id).await;
    world.push(json!({"branch": "main", "files": {"a": "1"}})).await;
    world.sweep(&id).await;
    // Off for a while: what came meanwhile is noted by nobody.
    world.advance(SignedDuration::from_hours(4));
    assert!(world.sweep(&id).await.1.is_empty());
    assert!(world.sweep(&id).await.1.is_empty());
    assert!(GRACE < SignedDuration::from_hours(1), "a sweep an hour later may judge");
}
