//! What one step decides. Whole runs, and many at once, are tried in `tests/it/rotation_model.rs`.

use jiff::{SignedDuration, Timestamp};

use super::*;

const TERMS: Terms = Terms {
    margin: SignedDuration::from_mins(20),
    lease: SignedDuration::from_secs(40),
    spend: SignedDuration::from_secs(15),
    grace: SignedDuration::from_mins(8),
    skew: SignedDuration::from_mins(10),
    lockout: SignedDuration::from_mins(15),
    backoff: SignedDuration::from_secs(20),
    fresh: SignedDuration::from_secs(60),
    idle: SignedDuration::from_hours(30 * 24),
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn id(n: u8) -> RunId {
    RunId::new([n; 16])
}

fn run(nudged: bool) -> Run {
    Run { id: id(1), nudged }
}

/// Refreshed at 0, dies at 7200.
fn chain() -> Chain {
    Chain {
        generation: 3,
        consent: 1,
        upkeep: Upkeep::Hot,
        expires_at: at(7_200),
        refreshed_at: at(0),
        intent: None,
        lease: None,
        refused_at: None,
        spare: None,
        ended: false,
    }
}

fn spare(generation: u64) -> Spare {
    Spare { generation, attempt: 1, refused: false }
}

/// Somebody set out to spend it at `second` and died.
fn left(second: i64) -> Chain {
    let intent = Intent { id: id(9), first_spent_at: at(second), attempts: 1 };
    Chain { intent: Some(intent), ..chain() }
}

fn leased(until: i64) -> Chain {
    Chain { lease: Some(Lease { owner: id(9), until: at(until) }), ..left(6_960) }
}

fn read(chain: Chain, now: i64, nudged: bool) -> (Phase, Effect) {
    step(Phase::Reading(None), Event::Read(Some(chain)), at(now), &run(nudged), &TERMS)
}

fn next(phase: Phase, event: Event, now: i64) -> (Phase, Effect) {
    step(phase, event, at(now), &run(false), &TERMS)
}

fn claimed(chain: Chain, now: i64) -> Claim {
    match read(chain, now, false).1 {
        Effect::Claim(claim) => claim,
        other => panic!("expected a claim, got {other:?}"),
    }
}

/// What follows a claim that was written `later` seconds after it was decided.
fn after_claim(chain: Chain, now: i64, later: i64) -> (Phase, Effect) {
    next(Phase::Claiming(claimed(chain, now)), Event::Stored, now + later)
}

fn not_due() -> Effect {
    Effect::End(Outcome::NotDue)
}

#[test]
fn a_token_is_claimed_up_to_a_tenth_of_its_time_before_the_margin() {
    assert_eq!(read(chain(), 5_399, false).1, not_due());
    let claim = claimed(chain(), 5_400);
    assert_eq!((claim.generation, claim.intent.attempts, claim.over), (3, 1, None));
    assert_eq!((claim.lease.until, claim.due_at), (at(5_440), at(4_800)));
}

#[test]
fn chance_spreads_what_was_stored_together() {
    let falls = |upkeep, expires, random| falls_due(upkeep, at(0), at(expires), &TERMS, random).as_second();
    assert_eq!(falls(Upkeep::Hot, 7_200, [0, 0]), 6_000);
    assert_eq!(falls(Upkeep::Hot, 7_200, [128, 0]), 5_700);
    assert_eq!(falls(Upkeep::Hot, 7_200, [255, 255]), 5_400);
    assert_eq!(falls(Upkeep::Lazy, 7_200, [128, 0]), 30 * 86_400 / 20 * 19);
    // There is nothing to spread where it is due at once.
    assert_eq!(falls(Upkeep::Hot, 600, [255, 255]), -600);
}

#[test]
fn a_token_made_by_hand_is_due_for_a_probe_for_its_warning_and_for_its_end() {
    let (hours, days) = (3_600, 86_400);
    let due = |from, expires| due_at(Upkeep::Fixed, at(from), at(expires), &TERMS).as_second();
    assert_eq!(due(0, 365 * days), 6 * hours);
    assert_eq!(due(350 * days + 20 * hours, 365 * days), 351 * days);
    assert_eq!(due(364 * days + 20 * hours, 365 * days), 365 * days);
    assert_eq!(due(365 * days, 365 * days), 365 * days + 6 * hours);
}

#[test]
fn a_lazy_chain_waits_for_a_nudge_or_for_thirty_days() {
    let lazy = Chain { upkeep: Upkeep::Lazy, ..chain() };
    let month = 30 * 86_400;
    let three_days = 3 * 86_400;
    assert_eq!(read(lazy, month - three_days - 1, false).1, not_due());
    assert!(matches!(read(lazy, month - three_days, false).1, Effect::Claim(_)));
    assert!(matches!(read(lazy, 7_300, true).1, Effect::Claim(_)));
}

#[test]
fn a_nudge_refreshes_early_but_not_a_pair_that_is_fresh() {
    assert_eq!(read(chain(), 59, true).1, not_due());
    assert!(matches!(read(chain(), 60, true).1, Effect::Claim(_)));
    let expired = Chain { upkeep: Upkeep::Lazy, expires_at: at(59), ..chain() };
    assert!(matches!(read(expired, 59, true).1, Effect::Claim(_)), "it is of no use to anybody");
    // The pair was stored by a clock that is ahead: nobody knows how fresh it is.
    assert!(matches!(read(chain(), -1, true).1, Effect::Claim(_)));
}

#[test]
fn a_lease_that_looks_alive_is_respected_and_any_other_is_outlasted() {
    for alive in [7_001, 7_040] {
        assert_eq!(read(leased(alive), 7_000, false).1, Effect::End(Outcome::Contested));
    }
    for odd in [7_000, 6_000, 7_041] {
        let (phase, effect) = read(leased(odd), 7_000, false);
        assert_eq!(effect, Effect::Wait);
        let (phase, effect) = next(phase, Event::Waited, 7_040);
        assert_eq!(effect, Effect::Read);
        let (_, effect) = next(phase, Event::Read(Some(leased(odd))), 7_040);
        assert!(matches!(effect, Effect::Claim(claim) if claim.over == Some(id(9))), "{effect:?}");
        let other = Lease { owner: id(8), until: at(7_060) };
        let (_, effect) = next(phase, Event::Read(Some(Chain { lease: Some(other), ..leased(odd) })), 7_040);
        assert_eq!(effect, Effect::End(Outcome::Contested), "another lease begins anew");
    }
}

#[test]
fn a_refusal_is_not_waited_out_where_somebody_has_spent_since_and_may_have_been_served() {
    let refused = Chain { refused_at: Some(at(6_900)), ..left(6_000) };
    assert_eq!(read(refused, 7_000, false).1, Effect::End(Outcome::NotDue));
    let since = Chain { lease: Some(Lease { owner: id(9), until: at(6_980) }), ..refused };
    assert_eq!(read(since, 7_000, false).1, Effect::Wait);
}

#[test]
fn an_intent_left_behind_is_repeated_with_its_first_time() {
    let claim = claimed(left(100), 200);
    assert_eq!(claim.intent, Intent { id: id(1), first_spent_at: at(100), attempts: 2 });
    assert_eq!(claim.over, Some(id(9)));
}

#[test]
fn a_run_that_was_held_up_past_the_fence_spends_nothing_and_takes_its_intent_back() {
    assert!(matches!(after_claim(chain(), 7_000, 25).1, Effect::Spend(_)));
    let (_, effect) = after_claim(chain(), 7_000, 26);
    assert!(matches!(effect, Effect::Settle(_, Settlement { unspent: true, .. })), "{effect:?}");
    // An older intent stays in the index: somebody else may have spent the token.
    let (phase, _) = after_claim(left(6_950), 7_000, 1);
    let (_, effect) = next(phase, Event::Stored, 7_026);
    let Effect::Settle(claim, settlement) = effect else { panic!("{effect:?}") };
    assert_eq!((claim.over, settlement.unspent, settlement.due_at), (Some(id(9)), true, claim.due_at));
}

#[test]
fn a_token_that_may_be_refused_is_announced_before_it_is_sent() {
    let (phase, effect) = after_claim(left(6_900), 7_000, 1);
    assert!(matches!(effect, Effect::Ask(_)));
    assert!(matches!(next(phase, Event::Stored, 7_002).1, Effect::Spend(_)));
    assert!(matches!(next(phase, Event::Refused, 7_002).0, Phase::Settling(Outcome::Suspect)));
}

#[test]
fn a_token_first_spent_before_the_window_is_not_spent_again_at_once() {
    let window_and_skew = 18 * 60;
    assert!(matches!(after_claim(left(7_000 - window_and_skew + 1), 7_000, 0).1, Effect::Ask(_)));
    assert_eq!(after_claim(left(7_000 - window_and_skew), 7_000, 0).0, Phase::Settling(Outcome::Suspect));
    // A successor that is known is better than either.
    let kept = Chain { spare: Some(spare(4)), ..left(6_990) };
    assert!(matches!(after_claim(kept, 7_000, 0).1, Effect::Promote(..)));
}

#[test]
fn a_token_stays_beside_a_successor_that_it_may_have_revoked_while_any_clock_may_call_its_window_open() {
    let since = |age: i64| left(7_000 - age);
    let spent_again = |age| {
        let intent = since(age).intent.map(|intent| Intent { attempts: 2, ..intent });
        Chain { intent, ..since(age) }
    };
    let stays = |chain| {
        let kept = Chain { spare: Some(spare(4)), ..chain };
        match after_claim(kept, 7_000, 0).1 {
            Effect::Promote(_, present) => present != Present::Goes,
            other => panic!("{other:?}"),
        }
    };
    let (window, window_and_skew) = (8 * 60, 18 * 60);
    assert!(stays(since(window - 1)) && !stays(since(window)));
    assert!(stays(spent_again(window)) && stays(spent_again(window_and_skew - 1)));
    assert!(!stays(spent_again(window_and_skew)));
}

/// What follows a refusal, if the chain is found to be `again` then.
fn refused(before: Chain, now: i64, answer: Answer, again: impl FnOnce(Claim) -> Chain) -> (Phase, Effect) {
    let claim = claimed(before, now);
    let (phase, effect) = next(Phase::Spending(claim), Event::Answered(answer), now);
    assert_eq!(effect, Effect::Read, "a refusal is not believed before the chain is read again");
    next(phase, Event::Read(Some(again(claim))), now)
}

fn still(before: Chain) -> impl FnOnce(Claim) -> Chain {
    move |claim| Chain { intent: Some(claim.intent), lease: Some(claim.lease), ..before }
}

#[test]
fn the_first_refusal_waits_and_the_second_ends_the_chain() {
    let (_, effect) = refused(chain(), 7_000, Answer::No, still(chain()));
    let Effect::Settle(claim, first) = effect else { panic!("{effect:?}") };
    assert_eq!((first.due_at, first.refused_at, first.ended), (at(7_900), Some(at(7_000)), false));

    let suspect = Chain { refused_at: first.refused_at, intent: Some(claim.intent), ..chain() };
    assert_eq!(read(suspect, 7_899, true).1, not_due());
    let (phase, effect) = refused(suspect, 7_900, Answer::No, still(suspect));
    assert_eq!(phase, Phase::Settling(Outcome::Revoked));
    assert!(matches!(effect, Effect::Settle(_, Settlement { ended: true, .. })));
    // Something else may explain it.
    let (phase, effect) = refused(suspect, 7_900, Answer::Doubtful, still(suspect));
    assert_eq!(phase, Phase::Settling(Outcome::Suspect));
    assert!(
        matches!(effect, Effect::Settle(_, Settlement { refused_at: Some(again), .. }) if again == at(7_900))
    );
}

#[test]
fn inside_the_window_it_is_tried_sooner_and_believed_no_sooner() {
    let suspect = Chain { refused_at: Some(at(7_000)), ..left(6_960) };
    assert_eq!(read(suspect, 7_019, true).1, not_due());
    let (phase, effect) = refused(suspect, 7_020, Answer::No, still(suspect));
    assert_eq!(phase, Phase::Settling(Outcome::Suspect));
    assert!(matches!(effect, Effect::Settle(_, Settlement { ended: false, .. })), "{effect:?}");
}

#[test]
fn a_refusal_is_not_believed_of_a_chain_that_has_moved_on() {
    let suspect = Chain { refused_at: Some(at(6_000)), ..left(5_900) };
    let contested = Effect::End(Outcome::Contested);
    let reconnected = |_| Chain { generation: 4, consent: 4, ..chain() };
    assert_eq!(refused(suspect, 7_000, Answer::No, reconnected).1, contested);
    assert_eq!(refused(suspect, 7_000, Answer::No, |_| left(5_900)).1, contested);
}

#[test]
fn a_kept_pair_is_tried_before_a_chain_is_given_up() {
    let suspect = Chain { refused_at: Some(at(6_000)), ..left(5_900) };
    for (generation, worth) in [(2, false), (3, true), (4, true)] {
        let kept = Chain { spare: Some(spare(generation)), ..suspect };
        let (_, effect) = refused(suspect, 7_000, Answer::No, still(kept));
        assert_eq!(matches!(effect, Effect::Promote(..)), worth, "{generation}: {effect:?}");
    }
}

#[test]
fn a_lost_answer_keeps_the_intent_and_is_due_at_once_by_every_clock() {
    let claim = claimed(chain(), 7_000);
    let (phase, effect) = next(Phase::Spending(claim), Event::Answered(Answer::Lost), 7_010);
    assert_eq!(phase, Phase::Settling(Outcome::Transient));
    let Effect::Settle(_, settlement) = effect else { panic!("{effect:?}") };
    assert_eq!((settlement.unspent, settlement.due_at), (false, at(7_000 - 600)));
}

#[test]
fn what_was_certainly_not_sent_leaves_no_intent() {
    let claim = claimed(chain(), 7_000);
    for answer in [Answer::Unsent, Answer::Unknown] {
        let (_, effect) = next(Phase::Spending(claim), Event::Answered(answer), 7_010);
        assert!(matches!(effect, Effect::Settle(_, Settlement { unspent: true, .. })), "{effect:?}");
    }
}

#[test]
fn nothing_comes_between_a_pair_and_its_commit() {
    let claim = claimed(chain(), 7_000);
    let (phase, effect) = next(Phase::Spending(claim), Event::Answered(Answer::Pair), 7_001);
    assert_eq!(effect, Effect::Commit(claim));
    assert_eq!(next(phase, Event::Stored, 7_002).1, Effect::End(Outcome::Rotated));
}

#[test]
fn a_pair_that_was_bought_is_never_thrown_away() {
    let claim = claimed(chain(), 7_000);
    let committing = Phase::Committing(claim, 0);
    // Somebody was faster: it is kept beside theirs.
    let (keeping, effect) = next(committing, Event::Refused, 7_002);
    assert_eq!(effect, Effect::Keep(claim));
    assert_eq!(next(keeping, Event::Stored, 7_003).1, Effect::End(Outcome::Contested));
    // The table is gone: it is tried again, then parked.
    let mut at_hand = (committing, Effect::Commit(claim));
    for _ in 0..3 {
        at_hand = next(at_hand.0, Event::StoreFailed, 7_003);
        assert_eq!(at_hand.1, Effect::Commit(claim));
    }
    let (parking, effect) = next(at_hand.0, Event::StoreFailed, 7_004);
    assert_eq!(effect, Effect::Park(claim));
    assert_eq!(next(parking, Event::Stored, 7_005).1, Effect::End(Outcome::Parked));
    // Neither store answers: both are tried for as long as the lease lasts.
    assert_eq!(next(parking, Event::StoreFailed, 7_039).1, Effect::Commit(claim));
    assert_eq!(next(parking, Event::StoreFailed, 7_040).1, Effect::End(Outcome::Transient));
}

#[test]
fn an_ended_chain_or_a_missing_one_is_left_alone() {
    assert_eq!(read(Chain { ended: true, ..chain() }, 9_000, true).1, Effect::End(Outcome::Revoked));
    assert_eq!(next(Phase::Reading(None), Event::Read(None), 9_000).1, not_due());
}

#[test]
fn a_parked_pair_goes_where_it_came_from_or_beside_it() {
    let origin = Origin { consent: 1, generation: 3, intent: id(9), attempt: 2 };
    let cases = [
        (Some(left(100)), Adoption::Commit),
        (Some(chain()), Adoption::Keep),
        (Some(Chain { generation: 4, ..chain() }), Adoption::Keep),
        (Some(Chain { generation: 4, spare: Some(spare(4)), ..chain() }), Adoption::Keep),
        (Some(Chain { spare: Some(Spare { attempt: 3, ..spare(4) }), ..chain() }), Adoption::Drop),
        (
            Some(Chain { generation: 4, spare: Some(Spare { attempt: 0, ..spare(5) }), ..chain() }),
            Adoption::Drop,
        ),
        (Some(Chain { generation: 5, ..chain() }), Adoption::Drop),
        (Some(Chain { generation: 4, consent: 4, ..chain() }), Adoption::Drop),
        (None, Adoption::Drop),
    ];
    for (chain, want) in cases {
        assert_eq!(adopt(chain.as_ref(), &origin), want, "{chain:?}");
    }
}

#[test]
fn a_forecast_warns_before_a_chain_breaks() {
    let outlook = |chain, now| forecast(&chain, None, at(now), &TERMS).outlook;
    assert_eq!(outlook(chain(), 100), Outlook::Sound);
    assert_eq!(outlook(left(100), 100 + 4 * 60 - 1), Outlook::Sound);
    assert_eq!(outlook(left(100), 100 + 4 * 60), Outlook::Endangered);
    assert_eq!(outlook(left(100), 100 + 8 * 60), Outlook::Doubtful);
    assert_eq!(outlook(chain(), 60 * 86_400), Outlook::Endangered);
    assert_eq!(outlook(Chain { refused_at: Some(at(50)), ..chain() }, 100), Outlook::Doubtful);
    assert_eq!(outlook(Chain { ended: true, ..chain() }, 100), Outlook::Ended);
    let ahead = forecast(&left(100), None, at(86_400), &TERMS);
    assert_eq!((ahead.idle_days_left, ahead.window_ends_at), (Some(89), Some(at(580))));
    let renewed = forecast(&Chain { upkeep: Upkeep::Renew, ..chain() }, None, at(86_400 * 80), &TERMS);
    assert_eq!((renewed.outlook, renewed.idle_days_left), (Outlook::Sound, None));
}
