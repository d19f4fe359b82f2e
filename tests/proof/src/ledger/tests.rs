use super::*;

fn taken(group: usize, number: u64) -> Delivered {
    Delivered { group, number, size: 9, answered: Answered::Taken, attempts: 1 }
}

fn seen_at(group: usize, number: u64, seconds: u64) -> Seen {
    Seen { number, id: number.to_string(), whole: Some((group, 9)), at: Duration::from_secs(seconds) }
}

/// Deliveries of the first group.
fn seen(numbers: &[u64]) -> Vec<Seen> {
    numbers.iter().map(|number| seen_at(0, *number, *number)).collect()
}

fn breaches(facts: &Facts) -> Vec<String> {
    judge(facts).breaches
}

#[test]
fn what_came_once_and_in_order_breaks_nothing() {
    let delivered = vec![taken(0, 1), taken(1, 2), taken(0, 3)];
    // Between repositories there is no order.
    let seen = vec![seen_at(1, 2, 2), seen_at(0, 1, 1), seen_at(0, 3, 3)];
    assert!(breaches(&Facts { delivered, seen, ..Facts::default() }).is_empty());
}

#[test]
fn a_lost_delivery_is_a_breach_and_a_refused_one_is_not() {
    let refused = Delivered { answered: Answered::Refused, ..taken(0, 2) };
    let facts = Facts { delivered: vec![taken(0, 1), refused], ..Facts::default() };
    assert_eq!(breaches(&facts), ["P1: delivery 1 was answered 2xx and is lost"]);
}

#[test]
fn a_delivery_that_is_answered_4xx_is_a_breach() {
    let wrong = Delivered { answered: Answered::Wrong(429), ..taken(0, 1) };
    let facts = Facts { delivered: vec![wrong], ..Facts::default() };
    assert_eq!(breaches(&facts), ["P1: delivery 1 was answered 429"]);
}

#[test]
fn a_double_is_a_breach_for_five_minutes() {
    let twice = |apart| {
        let seen = [0, apart].map(|at| seen_at(0, 1, at)).to_vec();
        breaches(&Facts { delivered: vec![taken(0, 1)], seen, ..Facts::default() })
    };
    assert_eq!(twice(299), ["P1: delivery 1 came twice within five minutes"]);
    assert!(twice(300).is_empty());
}

#[test]
fn what_comes_changed_is_a_breach() {
    let came = |seen| breaches(&Facts { delivered: vec![taken(0, 1)], seen, ..Facts::default() });
    let whole = seen_at(0, 1, 1);
    assert!(came(vec![whole.clone()]).is_empty());
    for other in [None, Some((0, 8)), Some((1, 9))] {
        let changed = Seen { whole: other, ..whole.clone() };
        assert_eq!(came(vec![changed]), ["P1: delivery 1 came with another body or id"], "{other:?}");
    }
    let renamed = Seen { id: "another".to_owned(), ..seen_at(0, 1, 400) };
    assert_eq!(came(vec![whole, renamed]), ["P1: delivery 1 came with another body or id"]);
}

#[test]
fn a_storm_in_which_nothing_happened_proves_nothing() {
    let mut verdict = Verdict::default();
    verdict.must_have_met(1);
    assert_eq!(verdict.breaches.len(), 5, "{:?}", verdict.breaches);
}

#[test]
fn who_overtakes_where_its_process_could_not_ask_is_excused_and_nobody_else() {
    let delivered = vec![taken(0, 1), taken(0, 2), taken(0, 3)];
    let facts = Facts { delivered, seen: seen(&[2, 1, 3]), ..Facts::default() };
    assert_eq!(breaches(&facts).len(), 1);
    let unasked = |number| {
        let unasked = vec![Unasked { number, noticed: false }];
        breaches(&Facts { unasked, ..facts.clone() }).len()
    };
    assert_eq!((unasked(2), unasked(1), unasked(3)), (0, 1, 1));
}

#[test]
fn who_had_noticed_that_something_waits_may_not_send_past_it() {
    let unasked = vec![Unasked { number: 1, noticed: true }];
    let facts = Facts { delivered: vec![taken(0, 1)], seen: seen(&[1]), unasked, ..Facts::default() };
    assert_eq!(breaches(&facts), ["P5: delivery 1 was sent past what was known to wait"]);
}

#[test]
fn a_forgery_that_is_let_in_and_a_secret_in_a_log_are_breaches() {
    let ok = |answered, seen: &[u64]| {
        let forged = vec![Forged { number: 1, answered }];
        breaches(&Facts { forged, seen: self::seen(seen), ..Facts::default() }).is_empty()
    };
    assert!(ok(Some(401), &[]) && ok(Some(503), &[]) && ok(None, &[2]));
    assert!(!ok(Some(202), &[]) && !ok(Some(401), &[1]));
    assert!(!breaches(&Facts { leaked: vec!["x".to_owned()], ..Facts::default() }).is_empty());
}

fn chain() -> Chain {
    Chain {
        credential: "c".to_owned(),
        rotations: 1,
        goes_on: true,
        health: "up".to_owned(),
        at_bitbucket: "active".to_owned(),
        open_intent: false,
    }
}

#[test]
fn a_chain_that_stands_still_or_lies_or_is_lost_is_a_breach() {
    let ok = |chain| breaches(&Facts { chains: vec![chain], ..Facts::default() }).is_empty();
    assert!(ok(chain()));
    assert!(!ok(Chain { goes_on: false, ..chain() }));
    assert!(!ok(Chain { open_intent: true, ..chain() }));
    assert!(!ok(Chain { health: "degraded".to_owned(), ..chain() }));
    let lost =
        Chain { goes_on: false, health: "down".to_owned(), at_bitbucket: "dead".to_owned(), ..chain() };
    assert!(!ok(lost));
}

#[test]
fn a_mutation_is_carried_out_once_at_most_and_reported_as_it_was() {
    let ok = |reported: &[&str], effects| {
        let reported = reported.iter().map(|state| (*state).to_owned()).collect();
        let call = Called { id: "c".to_owned(), mutates: true, confirmed: true, reported, effects };
        breaches(&Facts { called: vec![call], ..Facts::default() }).is_empty()
    };
    assert!(ok(&["succeeded"], 1) && ok(&["failed"], 0) && ok(&["expired"], 0));
    assert!(ok(&["unknown"], 0) && ok(&["unknown"], 1));
    for (reported, effects) in [
        (&["succeeded"][..], 2),
        (&["unknown"], 2),
        (&["succeeded"], 0),
        (&["failed"], 1),
        (&["expired"], 1),
        (&["failed", "succeeded"], 1),
        (&[], 0),
    ] {
        assert!(!ok(reported, effects), "{reported:?} {effects}");
    }
}

#[test]
fn what_is_left_over_is_a_breach() {
    let dead = [("calls".to_owned(), 1), ("events".to_owned(), 0)].into();
    let left = Left { restless: vec!["parked deliveries".to_owned()], dead };
    let facts = Facts { left, ..Facts::default() };
    assert_eq!(breaches(&facts), ["1 messages are dead letters of calls", "not at rest: parked deliveries"]);
}
