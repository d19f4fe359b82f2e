use serde_json::json;

use super::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + minute * 60).expect("a time")
}

fn heads(things: &[(Thing, &str)]) -> BTreeMap<Thing, String> {
    things.iter().map(|(of, is)| (of.clone(), (*is).to_owned())).collect()
}

fn reading(minute: i64, things: &[(Thing, &str)]) -> Reading {
    let whole = Some(Extent::Whole);
    Reading { heads: heads(things), refs: whole, pulls: whole, at: at(minute) }
}

fn main_at(minute: i64, commit: &str) -> Reading {
    reading(minute, &[(Thing::branch("main"), commit)])
}

fn side(commit: Option<&str>) -> serde_json::Value {
    commit.map_or(json!(null), |hash| json!({"type": "branch", "name": "main", "target": {"hash": hash}}))
}

/// A push to main that came.
fn push(minute: i64, was: Option<&str>, is: Option<&str>) -> Came {
    let body =
        json!({"repository": {"uuid": "{r}"}, "push": {"changes": [{"old": side(was), "new": side(is)}]}});
    came(minute, "repo:push", &body)
}

fn pull(minute: i64, what: &str, commit: &str) -> Came {
    let body = json!({"repository": {"uuid": "{r}"}, "pullrequest": {
        "id": 7, "source": {"commit": {"hash": commit}},
        "created_on": at(minute - 2).to_string(), "updated_on": at(minute - 1).to_string(),
    }});
    came(minute, &format!("pullrequest:{what}"), &body)
}

fn came(minute: i64, event_key: &str, body: &serde_json::Value) -> Came {
    let facts = Facts::read(event_key, body.to_string().as_bytes()).expect("facts");
    Came { id: minute.to_string(), at: at(minute), facts }
}

/// Sweeps once an hour with these readings; what came stays, unless it is done.
struct Sweeps {
    heads: Option<Heads>,
    came: Vec<Came>,
    missed: Vec<String>,
    late: Vec<i64>,
}

impl Sweeps {
    fn new() -> Self {
        Self { heads: None, came: Vec::new(), missed: Vec::new(), late: Vec::new() }
    }

    fn sweep(&mut self, reading: &Reading) -> &mut Self {
        let now = reading.at;
        let judged = judge(self.heads.clone(), Timestamp::UNIX_EPOCH, reading, &self.came, now);
        self.heads = judged.heads.or(self.heads.take());
        let word = |commit: Option<String>| commit.unwrap_or_else(|| "none".to_owned());
        let missed = judged.missed.into_iter();
        self.missed.extend(missed.map(|m| format!("{} {} {}", m.of, word(m.was), word(m.is))));
        self.late.extend(judged.late.iter().map(|late| late.as_mins()));
        for place in judged.done.into_iter().rev() {
            self.came.remove(place);
        }
        self
    }

    fn came(&mut self, came: Came) -> &mut Self {
        self.came.push(came);
        self
    }
}

#[test]
fn what_happened_before_the_first_sweep_is_nobodys_concern() {
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&main_at(0, "a")).sweep(&main_at(60, "a")).sweep(&main_at(120, "a"));
    assert!(sweeps.missed.is_empty());
}

#[test]
fn a_push_that_came_is_not_missed_and_its_note_is_forgotten() {
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&main_at(0, "a")).came(push(30, Some("a"), Some("b")));
    sweeps.sweep(&main_at(60, "b")).sweep(&main_at(120, "b"));
    assert!(sweeps.missed.is_empty() && sweeps.came.is_empty());
}

#[test]
fn a_push_that_did_not_come_is_missed_once() {
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&main_at(0, "a")).sweep(&main_at(60, "b"));
    assert!(sweeps.missed.is_empty(), "it may be on the way");
    sweeps.sweep(&main_at(61, "b"));
    assert!(sweeps.missed.is_empty(), "a minute is no time");
    sweeps.sweep(&main_at(120, "b")).sweep(&main_at(180, "b"));
    assert_eq!(sweeps.missed, ["branch/main a b"]);
}

#[test]
fn what_comes_while_it_is_on_the_way_is_not_missed() {
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&main_at(0, "a")).sweep(&main_at(60, "b"));
    sweeps.came(push(61, Some("a"), Some("b"))).sweep(&main_at(120, "b"));
    assert!(sweeps.missed.is_empty());
}

#[test]
fn of_several_pushes_only_the_gap_is_missed() {
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&main_at(0, "a"));
    // a → b came, b → c and c → d did not, d → e did, and the two that did in the wrong order.
    sweeps.came(push(50, Some("d"), Some("e"))).came(push(51, Some("a"), Some("b")));
    sweeps.sweep(&main_at(60, "e")).sweep(&main_at(120, "e"));
    assert_eq!(sweeps.missed, ["branch/main b d"]);
}

#[test]
fn what_is_pushed_after_a_look_is_judged_by_the_next_one() {
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&main_at(0, "a")).came(push(59, Some("a"), Some("b"))).sweep(&main_at(60, "b"));
    sweeps.came(push(70, Some("b"), Some("c"))).sweep(&main_at(120, "c")).sweep(&main_at(180, "c"));
    assert!(sweeps.missed.is_empty() && sweeps.came.is_empty());
}

#[test]
fn an_answer_of_bitbucket_that_is_older_than_its_delivery_makes_nothing_missing() {
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&main_at(0, "a")).came(push(59, Some("a"), Some("b")));
    // It delivered the push, and still says that the branch stands where it stood.
    sweeps.sweep(&main_at(60, "a")).sweep(&main_at(120, "b")).sweep(&main_at(180, "b"));
    assert!(sweeps.missed.is_empty());
}

#[test]
fn a_deletion_and_a_new_branch_are_missed_like_a_push() {
    let (gone, made) = (Thing::branch("gone"), Thing::tag("v1"));
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&reading(0, &[(gone, "a")])).sweep(&reading(60, &[(made.clone(), "b")]));
    sweeps.sweep(&reading(120, &[(made, "b")]));
    assert_eq!(sweeps.missed, ["branch/gone a none", "tag/v1 none b"]);
}

#[test]
fn a_branch_deleted_and_made_again_is_followed_through_its_absence() {
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&main_at(0, "a"));
    sweeps.came(push(10, Some("a"), None)).came(push(20, None, Some("b")));
    sweeps.sweep(&main_at(60, "b")).sweep(&main_at(120, "b"));
    assert!(sweeps.missed.is_empty());
}

#[test]
fn a_pull_request_is_missed_where_its_own_event_did_not_come() {
    let open = |minute, commit| reading(minute, &[(Thing::pull(7), commit)]);
    // Opened, moved, closed: each is missed by itself.
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&reading(0, &[])).sweep(&open(60, "a")).sweep(&open(120, "a"));
    sweeps.sweep(&open(180, "b")).sweep(&open(240, "b"));
    sweeps.sweep(&reading(300, &[])).sweep(&reading(360, &[]));
    assert_eq!(sweeps.missed, ["pull/7 none a", "pull/7 a b", "pull/7 b none"]);

    let mut sweeps = Sweeps::new();
    sweeps
        .sweep(&reading(0, &[]))
        .came(pull(10, "created", "a"))
        .sweep(&open(60, "a"))
        .sweep(&open(120, "a"));
    sweeps.came(pull(130, "updated", "b")).sweep(&open(180, "b")).sweep(&open(240, "b"));
    sweeps.came(pull(250, "fulfilled", "b")).sweep(&reading(300, &[])).sweep(&reading(360, &[]));
    assert!(sweeps.missed.is_empty() && sweeps.came.is_empty(), "{:?}", sweeps.missed);

    // Opened and moved before anybody looked; what told of the move did not come.
    let mut sweeps = Sweeps::new();
    sweeps
        .sweep(&reading(0, &[]))
        .came(pull(10, "created", "a"))
        .sweep(&open(60, "b"))
        .sweep(&open(120, "b"));
    assert_eq!(sweeps.missed, ["pull/7 a b"]);
}

#[test]
fn a_delivery_that_comes_after_it_was_made_up_for_is_known_as_late() {
    let mut sweeps = Sweeps::new();
    sweeps.sweep(&main_at(0, "a")).sweep(&main_at(60, "b")).sweep(&main_at(120, "b"));
    sweeps.came(push(150, Some("a"), Some("b"))).sweep(&main_at(180, "b")).sweep(&main_at(240, "b"));
    assert_eq!((sweeps.missed.len(), sweeps.late.as_slice()), (1, &[30][..]));
    assert!(sweeps.came.is_empty());
}

#[test]
fn what_is_old_or_from_before_the_search_was_on_is_not_judged() {
    let judged = |since, minute| {
        let mut sweeps = Sweeps::new();
        sweeps.sweep(&main_at(0, "a")).sweep(&main_at(60, "b"));
        judge(sweeps.heads, since, &main_at(minute, "b"), &[], at(minute))
    };
    assert_eq!(judged(Timestamp::UNIX_EPOCH, 120).missed.len(), 1);
    assert!(judged(at(61), 120).missed.is_empty(), "it was off meanwhile");
    assert!(judged(Timestamp::UNIX_EPOCH, 60 + 24 * 60).missed.is_empty(), "a day is too long");
}

#[test]
fn a_list_that_is_not_read_whole_makes_nothing_gone_or_new() {
    let mut sweeps = Sweeps::new();
    let part = |minute, names: &[(&str, &str)]| {
        let things: Vec<_> = names.iter().map(|(name, commit)| (Thing::branch(name), *commit)).collect();
        Reading { refs: Some(Extent::Part), ..reading(minute, &things) }
    };
    sweeps.sweep(&part(0, &[("a", "1"), ("b", "1")])).sweep(&part(60, &[("b", "2"), ("c", "1")]));
    sweeps.sweep(&part(120, &[("b", "2"), ("c", "1")]));
    assert_eq!(sweeps.missed, ["branch/b 1 2"]);
}

#[test]
fn what_is_watched_from_now_on_is_not_missed() {
    let mut sweeps = Sweeps::new();
    let refs = Reading { pulls: None, ..main_at(0, "a") };
    sweeps.sweep(&refs);
    let all = |minute| reading(minute, &[(Thing::branch("main"), "a"), (Thing::pull(7), "c")]);
    sweeps.sweep(&all(60)).sweep(&all(120));
    assert!(sweeps.missed.is_empty());
}

#[test]
fn a_delivery_says_when_it_happened_if_bitbucket_does() {
    assert_eq!(push(5, Some("a"), None).facts.happened_at, None);
    assert_eq!(pull(5, "created", "a").facts.happened_at, Some(at(3)));
    assert_eq!(pull(5, "fulfilled", "a").facts.happened_at, Some(at(4)));
    assert_eq!(Facts::read("repo:fork", b"{}"), None);
    assert_eq!(Facts::read("repo:push", b"not json"), None);
    let facts = pull(5, "updated", "0123456789abcdef").facts.facts;
    assert_eq!(serde_json::to_value(facts).expect("JSON")[0]["is"], "0123456789ab");
}
