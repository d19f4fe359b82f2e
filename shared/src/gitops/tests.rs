//! The table: from which state, with which answers, to what.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::call::{Call, CallId, Outcome, State as Verdict};

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).expect("a time")
}

fn attachment() -> Attachment {
    let cluster = Cluster { name: "blue".to_owned(), id: "0f3c5a7e-1b2d".to_owned() };
    Attachment {
        id: "a1".parse().expect("an id"),
        credential: "c1".parse().expect("an id"),
        repository: "w/r".to_owned(),
        branch: "main".to_owned(),
        folder: cluster.folder().expect("a folder"),
        cluster,
        attached_at: now(),
    }
}

fn commit(hash: &str) -> Commit {
    Commit { hash: hash.to_owned(), author: "Ada <a@b>".to_owned(), ..Commit::default() }
}

fn commit_json(hash: &str) -> Value {
    json!({"hash": hash, "author": {"raw": "Ada <a@b>"}})
}

fn commits(hashes: &[&str]) -> Answered {
    said(json!({"values": hashes.iter().map(|hash| commit_json(hash)).collect::<Vec<_>>()}))
}

fn outcome(state: Verdict) -> Outcome {
    Outcome::new("x".parse::<CallId>().expect("an id"), "c1".parse().expect("an id"), state, now())
}

fn said(body: Value) -> Answered {
    Answered { outcome: Outcome { body: Some(body), ..outcome(Verdict::Succeeded) }, pages: Vec::new() }
}

fn paged(values: Value) -> Answered {
    Answered { outcome: outcome(Verdict::Succeeded), pages: vec![json!({"values": values})] }
}

fn file(text: &str) -> Answered {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    Answered {
        outcome: Outcome { body_base64: Some(encoded), ..outcome(Verdict::Succeeded) },
        pages: Vec::new(),
    }
}

fn failed(status: u16, code: &str) -> Answered {
    let error = Some(Problem::new(code, "why", "what to do"));
    Answered {
        outcome: Outcome { status: Some(status), error, ..outcome(Verdict::Failed) },
        pages: Vec::new(),
    }
}

fn branch_at(hash: Option<&str>) -> Answered {
    let values: Vec<_> = hash
        .map(|hash| {
            let mut target = commit_json(hash);
            target["repository"] = json!({"uuid": "{r}"});
            json!({"name": "main", "target": target})
        })
        .into_iter()
        .collect();
    said(json!({ "values": values }))
}

fn at(step: Step, head: Option<&str>) -> State {
    State { step, head: head.map(str::to_owned), turn: 7, ..State::default() }
}

fn put() -> (String, Put) {
    let files = vec![File { path: "web.yaml".to_owned(), text: Some("new".to_owned()), ..File::default() }];
    ("p1".to_owned(), Put { files, message: None, author: None })
}

fn known(text: &str) -> Known {
    let content = Content::Bytes(text.into());
    Known { digest: content.digest(""), size: content.size(), commit: "old".to_owned() }
}

fn path(name: &str) -> String {
    format!("clusters/blue-0f3c5a7e/{name}")
}

fn go(state: State, work: &Work, answers: &[Answered]) -> Next {
    step(&attachment(), state, work, answers, now())
}

/// The word for what is under way.
fn doing(next: &Next) -> &'static str {
    match next.state.step {
        Step::Idle => "idle",
        Step::Looking => "looking",
        Step::Comparing { .. } => "comparing",
        Step::Listing { .. } => "listing",
        Step::Reading { .. } => "reading",
        Step::Committing { .. } => "committing",
    }
}

#[test]
fn where_the_branch_stands_decides_what_comes_next() {
    let waits = Work { put: Some(put()), ..Work::default() };
    let nothing = Work::default();
    for (head, gone, tip, work, then) in [
        (None, false, None, &nothing, "idle"),
        (None, false, None, &waits, "committing"),
        (None, false, Some("t"), &waits, "listing"),
        (Some("t"), false, Some("t"), &nothing, "idle"),
        (Some("t"), false, Some("t"), &waits, "committing"),
        (Some("h"), false, Some("t"), &waits, "comparing"),
        (Some("h"), false, None, &waits, "idle"),
        (Some("h"), true, None, &waits, "idle"),
        (Some("h"), true, Some("t"), &nothing, "comparing"),
        (Some("h"), true, Some("h"), &waits, "committing"),
    ] {
        let state = State { branch_gone: gone, ..at(Step::Looking, head) };
        let next = go(state, work, &[branch_at(tip)]);
        let case = format!("{head:?} {gone} {tip:?}");
        assert_eq!(doing(&next), then, "{case}");
        assert_eq!(next.state.turn, 8, "{case}");
        assert_eq!(next.state.repository.is_some(), tip.is_some(), "{case}");
        let deleted = next.told.iter().any(|told| matches!(told, Told::BranchDeleted { .. }));
        assert_eq!(deleted, head.is_some() && tip.is_none() && !gone, "{case}");
        let back = next.told.iter().any(|told| matches!(told, Told::BranchBack { .. }));
        assert_eq!(back, gone && tip.is_some(), "{case}");
    }
}

#[test]
fn an_answer_without_a_list_says_nothing_of_the_branch() {
    for body in [Value::Null, json!({}), json!({"values": null})] {
        let next = go(at(Step::Looking, Some("h")), &Work::default(), &[said(body.clone())]);
        assert_eq!((doing(&next), next.told.len(), next.state.branch_gone), ("looking", 0, false), "{body}");
        assert_eq!(next.state.tries, 1, "{body}");
    }
}

#[test]
fn a_comparison_names_what_is_to_be_read_and_who_did_it() {
    let state = || at(Step::Comparing { tip: commit("t") }, Some("h"));
    let differing = paged(json!([
        {"old": {"path": path("a")}, "new": {"path": path("a")}},
        {"old": {"path": path("b")}, "new": null},
        {"old": {"path": path("from")}, "new": {"path": path("to")}},
        {"old": {"path": "elsewhere/x"}, "new": {"path": path("x")}},
        {"old": null, "new": {"path": "clusters/blue-0f3c5a7e-other/y"}},
    ]));
    let next = go(state(), &Work::default(), &[differing.clone(), commits(&["t"]), commits(&[])]);
    let read: Vec<_> = next.batches.iter().flat_map(|batch| batch.files.clone()).collect();
    let want = [("a", true), ("b", false), ("from", false), ("to", true), ("x", true)];
    assert_eq!(read, want.map(|(name, there)| (path(name), there)));
    assert!(matches!(next.state.step, Step::Reading { by: Some(_), of: 7, .. }), "{:?}", next.state.step);

    // Several commits, and one that a force push took away: each in the history, none blamed for all.
    let next = go(state(), &Work::default(), &[differing, commits(&["t", "s"]), commits(&["h"])]);
    let what: Vec<_> = next.lines.iter().map(|line| line.what).collect();
    assert_eq!(what, [What::Dropped, What::Commit, What::Commit]);
    assert!(matches!(next.state.step, Step::Reading { by: None, .. }), "{:?}", next.state.step);

    let lost = [failed(404, "not_found"), commits(&[]), commits(&[])];
    assert_eq!(doing(&go(state(), &Work::default(), &lost)), "listing");
}

#[test]
fn a_file_comes_out_only_where_its_content_is_not_what_we_know() {
    let reading =
        Step::Reading { tip: commit("t"), base: Some("h".to_owned()), by: Some(commit("s")), of: 3 };
    let files = [("added", true), ("changed", true), ("gone", false), ("never", false), ("ours", true)];
    let work = Work {
        put: None,
        batch: Some((4, Batch { files: files.map(|(name, there)| (path(name), there)).to_vec() })),
        known: [("changed", "1"), ("gone", "1"), ("ours", "same")]
            .map(|(name, text)| (path(name), known(text)))
            .into(),
    };
    let next = go(at(reading.clone(), Some("h")), &work, &[file("1"), file("2"), file("same")]);
    let told: Vec<_> = next
        .told
        .iter()
        .map(|told| match told {
            Told::Change(change) => (change.operation, change.path.as_str(), change.by.hash.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    let want = [(Operation::Added, "added"), (Operation::Modified, "changed"), (Operation::Removed, "gone")];
    assert_eq!(told, want.map(|(operation, name)| (operation, name, "s")));
    assert_eq!((next.known.len(), next.lines.len(), next.read), (3, 3, Some(4)));
    assert_eq!((doing(&next), next.state.head.as_deref()), ("reading", Some("h")));

    let next = go(at(reading, Some("h")), &Work::default(), &[]);
    assert_eq!((doing(&next), next.state.head.as_deref()), ("looking", Some("t")));
}

#[test]
fn a_file_that_cannot_be_read_is_tried_again_and_then_told_without_its_content() {
    let reading = Step::Reading { tip: commit("t"), base: None, by: Some(commit("s")), of: 3 };
    let batch = Some((0, Batch { files: vec![(path("sub"), true)] }));
    let work = Work { batch, ..Work::default() };
    let mut state = at(reading, None);
    for tries in 1..3 {
        let next = go(state, &work, &[failed(404, "not_found")]);
        assert_eq!((next.told.len(), next.state.tries, next.state.trouble.is_some()), (0, tries, true));
        assert!(next.state.rests());
        state = next.state;
    }
    let next = go(state, &work, &[failed(404, "not_found")]);
    assert!(matches!(&next.told[..], [Told::Change(Change { content: Some(Content::Omitted(_)), .. })]));
    let large = go(at(next.state.step, None), &work, &[failed(200, "answer_too_large")]);
    assert!(matches!(
        &large.told[..],
        [Told::Change(Change { content: Some(Content::Omitted("too_large")), .. })]
    ));
}

#[test]
fn what_is_listed_no_more_is_gone() {
    let state = at(Step::Listing { tip: commit("t") }, Some("lost"));
    let work = Work { known: [(path("old"), known("1"))].into(), ..Work::default() };
    let listing = paged(json!([
        {"type": "commit_directory", "path": path("app")},
        {"type": "commit_file", "path": path("app/new")},
    ]));
    let read = |next: Next| next.batches.into_iter().flat_map(|batch| batch.files).collect::<Vec<_>>();
    let want = [(path("app/new"), true), (path("old"), false)];
    assert_eq!(read(go(state.clone(), &work, &[listing])), want);
    assert_eq!(read(go(state.clone(), &work, &[failed(404, "not_found")])), want[1..]);
    assert_eq!(doing(&go(state, &work, &[failed(403, "forbidden")])), "listing");
}

#[test]
fn a_commit_of_ours_is_known_afterwards_and_never_made_twice() {
    let state = at(Step::Committing { put: "p1".to_owned() }, Some("h"));
    let work = Work { put: Some(put()), ..Work::default() };
    let calls = wanted(&attachment(), &state, &work);
    let Call::Action(crate::call::Action::CommitFiles(wish)) = &calls[0].call else { panic!("{calls:?}") };
    assert_eq!((wish.files[0].path.as_str(), calls[0].id.as_str()), (&*path("web.yaml"), "gitops.a1.put.p1"));

    let made = go(state.clone(), &work, &[said(json!({"changed": true, "commit": "m"}))]);
    assert_eq!((doing(&made), made.put.as_deref(), made.told.len()), ("looking", Some("p1"), 0));
    assert_eq!(made.known, [(path("web.yaml"), Some(Known { commit: "m".to_owned(), ..known("new") }))]);
    let same = go(state.clone(), &work, &[said(json!({"changed": false, "commit": "h"}))]);
    assert_eq!((same.known.len(), same.lines.len()), (1, 0));
    for (code, what) in [("forbidden", What::Refused), ("outcome_unknown", What::Unknown)] {
        let next = go(state.clone(), &work, &[failed(403, code)]);
        assert_eq!((next.lines[0].what, next.known.len(), next.put.is_some()), (what, 0, true));
    }
}

#[test]
fn a_failed_step_is_taken_again_later_and_at_once_if_somebody_calls() {
    let next = go(at(Step::Looking, Some("h")), &Work::default(), &[failed(404, "not_found")]);
    assert_eq!((doing(&next), next.state.tries, next.state.turn), ("looking", 1, 8));
    assert!(next.state.rests() && next.state.due_at > now());
    let again = begin(State { woken: true, ..next.state }, now());
    assert_eq!((doing(&again), again.state.trouble, again.state.turn), ("looking", None, 8));
    assert_eq!(doing(&begin(State::default(), now())), "looking");
}

#[test]
fn whoever_calls_while_we_look_makes_us_look_again() {
    let state = State { woken: true, ..at(Step::Looking, Some("t")) };
    let next = go(state, &Work::default(), &[branch_at(Some("t"))]);
    assert!(!next.state.rests(), "the answer may be older than the call");
    assert!(begin(next.state, now()).state.step == Step::Looking);
}

#[test]
fn names_are_checked() {
    let folder = |name: &str, id: &str| Cluster { name: name.to_owned(), id: id.to_owned() }.folder().ok();
    assert_eq!(folder("blue", "0f3c-5a7e-1b2d").as_deref(), Some("clusters/blue-0f3c5a7e"));
    for (name, id) in [("", "1"), ("../x", "1"), ("a", "B"), ("a/b", "1"), ("a", "")] {
        assert_eq!(folder(name, id), None, "{name} {id}");
    }
    for path in ["/x", "../x", "a//b", "a/..", ".git/config", ""] {
        let files = vec![File { path: path.to_owned(), text: Some(String::new()), ..File::default() }];
        assert!(Put { files, message: None, author: None }.check().is_err(), "{path}");
    }
}

#[test]
fn a_change_told_twice_has_the_same_id_and_fits_a_queue_whatever_it_holds() {
    let change = |content: &[u8]| {
        Told::Change(Change {
            operation: Operation::Added,
            path: "f".to_owned(),
            content: Some(Content::Bytes(content.to_vec())),
            by: commit("s"),
            tip: "t".to_owned(),
        })
    };
    let told = |content: &[u8]| change(content).envelope(&attachment(), 7, now());
    assert_eq!(told(b"x").id, told(b"x").id);
    assert_eq!(told(b"x").group, "a1");
    let data = |content: &[u8]| {
        let told = told(content);
        assert!(told.text.len() < crate::event::LARGEST_MESSAGE);
        let envelope = crate::event::Envelope::parse(&told.text).expect("an envelope");
        serde_json::from_slice::<Value>(&envelope.body().expect("data")).expect("JSON")
    };
    assert_eq!(data("ü\n".as_bytes())["content"], "ü\n");
    for odd in [&[0xff, 0xfe][..], "\u{FFFE}".as_bytes(), &[1; 256 * 1024]] {
        let data = data(odd);
        assert!(data["content"].is_null() && data["content_base64"].is_string());
    }
}
