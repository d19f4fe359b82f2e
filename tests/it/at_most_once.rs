//! A mutation is executed once at most, whatever happens to the worker at whichever step.

use std::time::Duration;

use bucketwheel::call::{Outcome, State};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::lambda::{FAULTS, Fault, Invocation, invoke, record, visit};
use crate::world::World;

/// How long a worker lives in these tests. Whoever finds its entry later knows that it is dead.
const LIFE: Duration = Duration::from_secs(10);
const REPOSITORY: &str = "repositories/seilbahn/website";

/// A call to make, of its own for each try.
struct Case {
    credential: String,
    head: Value,
    pull: u64,
}

impl Case {
    async fn new(world: &World, label: &str) -> Self {
        let credential = world.connect(label).await;
        let main = json!({"method": "GET", "path": format!("{REPOSITORY}/refs/branches/main")});
        let head = world.call(&credential, main).await.body.expect("a branch")["target"]["hash"].clone();
        let branch = format!("source-{credential}");
        world.sandbox("POST", "push", Some(json!({
            "repository": "seilbahn/website", "branch": branch, "message": "x", "files": {"x.txt": credential},
        }))).await;
        let body = json!({"title": "For comments", "source": {"branch": {"name": branch}}});
        let pull = json!({"method": "POST", "path": format!("{REPOSITORY}/pullrequests"), "body": body});
        let pull = world.call(&credential, pull).await;
        let pull =
            pull.body.as_ref().and_then(|body| body["id"].as_u64()).unwrap_or_else(|| panic!("{pull:?}"));
        Self { credential, head, pull }
    }

    /// No recipe finds a comment.
    fn comment(&self, id: &str) -> Value {
        let path = format!("{REPOSITORY}/pullrequests/{}/comments", self.pull);
        self.message(id, &json!({"method": "POST", "path": path, "body": {"content": {"raw": id}}}))
    }

    /// A branch is looked for by its name.
    fn branch(&self, id: &str) -> Value {
        let body = json!({"name": id, "target": {"hash": self.head}});
        let path = format!("{REPOSITORY}/refs/branches");
        self.message(id, &json!({"method": "POST", "path": path, "body": body}))
    }

    fn message(&self, id: &str, call: &Value) -> Value {
        json!({"id": id, "credential": self.credential, "call": call})
    }
}

/// Lets each step of a call fail in each way, delivers the message again until it is acknowledged, and gives
/// for each try: the fault, how often it took effect, and the outcome.
pub(crate) async fn every_fault(
    world: &World,
    what: &str,
    kind: &str,
    message: impl Fn(&str) -> Value,
) -> Vec<(String, Fault, usize, Outcome)> {
    let smooth = visit(world, &message(&format!("{kind}-smooth")).to_string(), 1, LIFE, None).await;
    assert!(smooth.acknowledged() && smooth.sent == 1, "{smooth:?}");
    let tries = smooth.steps.iter().enumerate().flat_map(|(at, step)| FAULTS.map(|fault| (at, step, fault)));
    // The first two steps read keyrings, before there is a message.
    let tries = tries.filter(|(_, step, _)| !step.contains("GetSecretValue"));
    let tries = tries.map(|(at, step, fault)| {
        let id = format!("{kind}-{at}-{fault:?}");
        let text = message(&id).to_string();
        async move {
            let first = visit(world, &text, 1, LIFE, Some((at, fault))).await;
            let (mut sent, mut over, mut receives) = (first.sent, first.acknowledged(), 1);
            while !over {
                tokio::time::sleep(Duration::from_secs(2)).await;
                receives += 1;
                let next = visit(world, &text, receives, LIFE, None).await;
                sent += next.sent;
                over = next.acknowledged();
                assert!(receives < 12, "{id} does not end: {next:?}");
            }
            let outcome = world.result(&id).await;
            (step.clone(), fault, sent, outcome)
        }
    });
    let tries: Vec<_> = stream::iter(tries.collect::<Vec<_>>()).buffer_unordered(8).collect().await;
    let are = |wanted: State| tries.iter().filter(|(_, _, _, outcome)| outcome.state == wanted).count();
    let twice = tries.iter().filter(|(_, _, sent, _)| *sent > 1).count();
    let (done, unknown) = (are(State::Succeeded), are(State::Unknown));
    println!("{what}: {} faults, {twice} done twice, {done} succeeded, {unknown} unknown", tries.len());
    tries
}

/// What an outage or a proxy shows with 200 where Bitbucket's answer should be.
const PAGE: Fault = Fault::Answered("identity", b"<html>an outage</html>");

/// Loses the answer to a mutation, shows nothing but pages to who looks for it, and then everything again;
/// gives how often it took effect, and the outcome.
pub(crate) async fn looked_for_among_pages(world: &World, message: &Value) -> (usize, Outcome) {
    let text = message.to_string();
    let (mut sent, mut over, mut receives) = (0, false, 0);
    while !over {
        receives += 1;
        assert!(receives < 12, "{text} does not end");
        let shows_pages = receives < 3;
        let trouble = move |steps: &[String]| match steps.split_last() {
            Some((last, _)) if receives == 1 && last.starts_with("POST /2.0") => Some(Fault::LostAfter),
            Some((last, before)) if shows_pages && last.starts_with("GET /2.0") => {
                let is_lost = receives > 1 || before.iter().any(|step| step.starts_with("POST /2.0"));
                is_lost.then_some(PAGE)
            }
            _ => None,
        };
        let event = record(&text, receives);
        let trouble = Box::new(trouble);
        let what = Invocation { function: "api-worker", event, life: LIFE, trouble, killed_after: None };
        let visit = invoke(world, what).await;
        sent += visit.sent;
        over = visit.acknowledged();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    (sent, world.result(message["id"].as_str().expect("an id")).await)
}

#[tokio::test]
async fn a_page_in_the_place_of_an_answer_is_no_sign_that_nothing_was_done() {
    let world = World::running().await;
    let case = Case::new(&world, "pages").await;
    let (sent, outcome) = looked_for_among_pages(&world, &case.branch("among-pages")).await;
    assert_eq!((sent, outcome.state), (1, State::Unknown));
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_sent_once_or_its_outcome_is_unknown() {
    let world = World::running().await;
    let case = Case::new(&world, "killed-comment").await;
    let tries = every_fault(&world, "comments", &case.credential, |id| case.comment(id)).await;
    assert!(tries.len() >= 5 * 5, "{}", tries.len());
    for (step, fault, sent, outcome) in &tries {
        let (state, evidence) = (&outcome.state, outcome.evidence.is_some());
        let told = format!("{fault:?} at {step}: sent {sent} times, {state:?}");
        match state {
            State::Succeeded => assert_eq!(*sent, 1, "{told}"),
            State::Unknown => assert!(*sent <= 1 && evidence, "{told}"),
            _ => panic!("{told}"),
        }
        // Only what happens between the writing down and the outcome leaves a doubt.
        if step.contains("GetItem") || step.contains("SendMessage") {
            assert_eq!(*state, State::Succeeded, "{told}");
        }
        if step.starts_with("POST") && *fault != Fault::KilledBefore && *fault != Fault::LostBefore {
            assert_eq!((*sent, *state), (1, State::Unknown), "{told}");
        }
    }
    let path = format!("{REPOSITORY}/pullrequests/{}/comments", case.pull);
    let listed = json!({"method": "GET", "path": path, "query": {"pagelen": "100"}});
    let listed = world.call(&case.credential, listed).await.body.expect("comments");
    let mut texts: Vec<_> =
        listed["values"].as_array().expect("values").iter().map(|c| c["content"]["raw"].clone()).collect();
    let all = texts.len();
    texts.sort_by_key(Value::to_string);
    texts.dedup();
    assert_eq!(texts.len(), all, "a comment is there twice");
}

#[tokio::test]
async fn what_can_be_looked_for_is_done_exactly_once() {
    let world = World::running().await;
    let case = Case::new(&world, "killed-branch").await;
    let tries = every_fault(&world, "branches", &case.credential, |id| case.branch(id)).await;
    for (step, fault, sent, outcome) in &tries {
        assert_eq!((*sent, outcome.state), (1, State::Succeeded), "{fault:?} at {step}");
    }
}
