//! Rotation: how a chain of refresh tokens survives crashes and races.
//!
//! Since 2026-05-04 Bitbucket's refresh tokens are single use: spending one returns its successor, and
//! a lost successor ends the chain. Bitbucket keeps a spent token valid for about ten minutes, so a
//! refresher that lost an answer may spend the *same* token again, soon, and must not do so later.
//!
//! One run over one chain is a pure state machine: [`step`] takes the phase, what happened and the
//! time, and says what to do next. The machine holds no token; whoever carries out its effects does.
//!
//! ```text
//! Read ──▶ Claim ──▶ Spend ──▶ Commit ──▶ End(Rotated)
//!   │        │         │          └─ somebody else was faster ─▶ End(Contested)
//!   │        │         ├─ answer lost ─▶ Settle (intent stays) ─▶ End(Transient)
//!   │        │         └─ refused ─▶ Settle (wait out a lockout) ─▶ End(Suspect)
//!   │        │                        └─ refused again ─▶ End(Revoked)
//!   │        ├─ the token may be spent beyond the window ─▶ Settle (wait) ─▶ End(Suspect)
//!   │        └─ claim lost ─▶ End(Contested)
//!   └─ nothing due ─▶ End(NotDue)
//! ```
//!
//! The claim writes the intent to spend *before* anything is sent. So a run that dies after Bitbucket
//! rotated leaves an intent behind, and the next run knows that this token may already be spent.
//!
//! This file is long because the whole protocol stands in one place.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::credential::CredentialId;

/// A message of the refresh queue: look at this credential now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nudge {
    /// Which credential.
    pub credential: CredentialId,
}

/// What the table knows of a chain, besides its sealed tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Chain {
    /// Counts the pairs; goes up by one with each commit and each reconnect.
    pub generation: u64,
    /// When the access token dies.
    pub expires_at: Timestamp,
    /// When the newest pair was stored.
    pub refreshed_at: Timestamp,
    /// That somebody set out to spend the refresh token of this generation.
    pub intent: Option<Intent>,
    /// Who is at it right now.
    pub lease: Option<Lease>,
    /// When Bitbucket first refused this generation's refresh token.
    pub refused_at: Option<Timestamp>,
    /// The chain has ended: only a reconnect helps.
    pub ended: bool,
}

/// The written intention to spend this generation's refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Intent {
    /// Names the claim that wrote it; the commit must still find it.
    pub id: String,
    /// When the token was first spent. Kept over repetitions, since Bitbucket's window starts there.
    pub first_spent_at: Timestamp,
    /// How many runs have spent it.
    pub attempts: u32,
}

/// The right to work on a chain, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The run that holds it.
    pub owner: String,
    /// When it lapses, whether or not that run still lives.
    pub until: Timestamp,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long before its expiry a token is refreshed.
    pub margin: SignedDuration,
    /// How long a claim holds. Longer than one spend with its time-out, shorter than the grace window.
    pub lease: SignedDuration,
    /// How long a spent refresh token may be spent again. Bitbucket gives about ten minutes.
    pub grace: SignedDuration,
    /// How long to wait after a refusal: Bitbucket may refuse a whole client for some minutes.
    pub lockout: SignedDuration,
    /// How long to wait after Bitbucket was down.
    pub backoff: SignedDuration,
    /// A pair younger than this is not refreshed because of a nudge: many calls that fail with one
    /// expired token cause one refresh.
    pub fresh: SignedDuration,
}

impl Terms {
    /// The usual terms with the given grace window.
    pub fn with_grace(grace: SignedDuration) -> Self {
        Self {
            margin: SignedDuration::from_mins(10),
            lease: SignedDuration::from_secs(45),
            grace,
            lockout: SignedDuration::from_mins(5),
            backoff: SignedDuration::from_secs(20),
            fresh: SignedDuration::from_secs(60),
        }
    }
}

/// One run: who it is, and whether somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Run {
    /// A random name: owner of the lease and id of the intent.
    pub id: String,
    /// A call met a 401, or an operator asked: refresh although the token has time left.
    pub nudged: bool,
}

/// What a claim writes, on the condition that the generation is still the one it was decided on and
/// the lease is free or lapsed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The generation whose token will be spent.
    pub generation: u64,
    /// The intent to write.
    pub intent: Intent,
    /// The lease to write.
    pub lease: Lease,
    /// When this generation's token was refused before, if it was.
    pub refused_at: Option<Timestamp>,
}

/// What a run that did not get a new pair leaves behind, on the condition that its intent still stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settlement {
    /// When the next run may try; never, if the chain has ended.
    pub due_at: Option<Timestamp>,
    /// When the token was first refused.
    pub refused_at: Option<Timestamp>,
    /// Why the run ended.
    pub outcome: Outcome,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has asked for the chain.
    Reading,
    /// It has asked for the claim.
    Claiming(Claim),
    /// It holds the claim and has sent the refresh token.
    Spending(Claim),
    /// It has a new pair and has asked to store it.
    Committing(Claim),
    /// It has no new pair and has asked to leave word.
    Settling(Outcome),
    /// It is over.
    Ended(Outcome),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The chain, read strongly consistently; none if the credential is gone.
    Read(Option<Chain>),
    /// The chain was read, and its refresh token is missing or cannot be unsealed.
    Sealed,
    /// The conditional write was accepted.
    Stored,
    /// The conditional write was refused: the chain has changed.
    Refused,
    /// The table did not answer in time. Whether a write took place is unknown.
    StoreFailed,
    /// What the token endpoint said.
    Answered(Answer),
}

/// What a spend brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A pair.
    Pair,
    /// No.
    No,
    /// Nothing that can be used. The token may have been spent.
    Lost,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Read the chain, strongly consistently.
    Read,
    /// Write the claim.
    Claim(Claim),
    /// Send the refresh token, once.
    Spend,
    /// Store the new pair as generation + 1. Nothing comes between spend and commit.
    Commit(Claim),
    /// Leave word and give the lease back.
    Settle(Claim, Settlement),
    /// Nothing more.
    End(Outcome),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A new pair is stored.
    Rotated,
    /// There was nothing to do.
    NotDue,
    /// Somebody else is at it, or was faster.
    Contested,
    /// It did not work this time; the next run tries again.
    Transient,
    /// Bitbucket refused; this may pass and is confirmed before it is believed.
    Suspect,
    /// Bitbucket refused again, after the wait: the chain has ended.
    Revoked,
    /// Our own settings are wrong: the keyring lacks the key that the token was sealed with.
    Misconfigured,
}

impl Outcome {
    /// The word in logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Rotated => "rotated",
            Outcome::NotDue => "not_due",
            Outcome::Contested => "contested",
            Outcome::Transient => "transient",
            Outcome::Suspect => "suspect",
            Outcome::Revoked => "revoked",
            Outcome::Misconfigured => "misconfigured",
        }
    }
}

/// The commit is tried this often while the table does not answer.
pub const COMMIT_TRIES: u32 = 5;

/// Decides what comes next in a run.
pub fn step(phase: Phase, event: Event, now: Timestamp, run: &Run, terms: &Terms) -> (Phase, Effect) {
    match (phase, event) {
        (Phase::Reading, Event::Read(chain)) => match chain.and_then(|c| claim(&c, now, run, terms)) {
            Some(claim) => (Phase::Claiming(claim.clone()), Effect::Claim(claim)),
            None => end(Outcome::NotDue),
        },
        (Phase::Claiming(claim), Event::Stored) if too_late(&claim, now, terms) => {
            leave_word(claim, true, now, terms)
        }
        (Phase::Claiming(claim), Event::Stored) => (Phase::Spending(claim), Effect::Spend),
        (Phase::Claiming(_), Event::Refused) => end(Outcome::Contested),
        (Phase::Reading, Event::Sealed) => end(Outcome::Misconfigured),

        (Phase::Spending(claim), Event::Answered(Answer::Pair)) => {
            (Phase::Committing(claim.clone()), Effect::Commit(claim))
        }
        (Phase::Spending(claim), Event::Answered(answer)) => {
            leave_word(claim, answer == Answer::No, now, terms)
        }

        (Phase::Committing(_), Event::Stored) => end(Outcome::Rotated),
        (Phase::Committing(_), Event::Refused) => end(Outcome::Contested),

        (Phase::Settling(outcome), Event::Stored) => end(outcome),
        (Phase::Settling(_), Event::Refused) => end(Outcome::Contested),

        // The lease lapses and the intent, where one was written, tells the next run what may have
        // happened.
        (_, Event::StoreFailed) => end(Outcome::Transient),
        (Phase::Ended(outcome), _) => end(outcome),
        (phase, event) => unreachable!("{event:?} cannot follow {phase:?}"),
    }
}

fn end(outcome: Outcome) -> (Phase, Effect) {
    (Phase::Ended(outcome), Effect::End(outcome))
}

fn claim(chain: &Chain, now: Timestamp, run: &Run, terms: &Terms) -> Option<Claim> {
    if chain.ended || chain.lease.as_ref().is_some_and(|lease| lease.until > now) {
        return None;
    }
    let unfinished = chain.intent.is_some();
    let expiring = now >= due_at(chain.expires_at, terms);
    let asked = run.nudged && now.duration_since(chain.refreshed_at) >= terms.fresh;
    let waiting = chain.refused_at.is_some_and(|at| now.duration_since(at) < terms.lockout);
    if waiting || !(unfinished || expiring || asked) {
        return None;
    }
    let before = chain.intent.as_ref();
    Some(Claim {
        generation: chain.generation,
        intent: Intent {
            id: run.id.clone(),
            first_spent_at: before.map_or(now, |intent| intent.first_spent_at),
            attempts: before.map_or(0, |intent| intent.attempts) + 1,
        },
        lease: Lease { owner: run.id.clone(), until: later(now, terms.lease) },
        refused_at: chain.refused_at,
    })
}

/// A token that was first spent before the grace window is not spent again at once: that would look
/// like theft. The chain is suspect, a possible lockout is waited out, and then it is tried once.
fn too_late(claim: &Claim, now: Timestamp, terms: &Terms) -> bool {
    claim.refused_at.is_none() && now.duration_since(claim.intent.first_spent_at) >= terms.grace
}

fn leave_word(claim: Claim, refused: bool, now: Timestamp, terms: &Terms) -> (Phase, Effect) {
    let settlement = settle(&claim, refused, now, terms);
    (Phase::Settling(settlement.outcome), Effect::Settle(claim, settlement))
}

fn settle(claim: &Claim, refused: bool, now: Timestamp, terms: &Terms) -> Settlement {
    let refused_at = claim.refused_at;
    match (refused, refused_at) {
        (false, _) => {
            Settlement { due_at: Some(later(now, terms.backoff)), refused_at, outcome: Outcome::Transient }
        }
        (true, None) => Settlement {
            due_at: Some(later(now, terms.lockout)),
            refused_at: Some(now),
            outcome: Outcome::Suspect,
        },
        (true, Some(_)) => Settlement { due_at: None, refused_at, outcome: Outcome::Revoked },
    }
}

/// When a token that dies at `expires_at` is due.
pub fn due_at(expires_at: Timestamp, terms: &Terms) -> Timestamp {
    later(expires_at, -terms.margin)
}

fn later(from: Timestamp, by: SignedDuration) -> Timestamp {
    from.checked_add(by).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        margin: SignedDuration::from_mins(10),
        lease: SignedDuration::from_secs(45),
        grace: SignedDuration::from_mins(8),
        lockout: SignedDuration::from_mins(5),
        backoff: SignedDuration::from_secs(20),
        fresh: SignedDuration::from_secs(60),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn run(nudged: bool) -> Run {
        Run { id: "me".into(), nudged }
    }

    /// Refreshed at 0, dies at 7200.
    fn chain() -> Chain {
        Chain {
            generation: 3,
            expires_at: at(7_200),
            refreshed_at: at(0),
            intent: None,
            lease: None,
            refused_at: None,
            ended: false,
        }
    }

    fn on_read(chain: Chain, now: i64, nudged: bool) -> Effect {
        step(Phase::Reading, Event::Read(Some(chain)), at(now), &run(nudged), &TERMS).1
    }

    fn claimed(chain: Chain, now: i64) -> Claim {
        match on_read(chain, now, false) {
            Effect::Claim(claim) => claim,
            other => panic!("expected a claim, got {other:?}"),
        }
    }

    fn not_due() -> Effect {
        Effect::End(Outcome::NotDue)
    }

    #[test]
    fn a_token_is_claimed_from_ten_minutes_before_its_expiry() {
        assert_eq!(on_read(chain(), 6_599, false), not_due());
        let claim = claimed(chain(), 6_600);
        assert_eq!((claim.generation, claim.intent.attempts), (3, 1));
        assert_eq!(claim.lease.until, at(6_645));
    }

    #[test]
    fn a_nudge_refreshes_early_but_not_a_pair_that_is_fresh() {
        assert_eq!(on_read(chain(), 59, true), not_due());
        assert!(matches!(on_read(chain(), 60, true), Effect::Claim(_)));
    }

    #[test]
    fn a_live_lease_is_respected_and_a_lapsed_one_is_not() {
        let leased = Chain { lease: Some(Lease { owner: "other".into(), until: at(7_000) }), ..chain() };
        assert_eq!(on_read(leased.clone(), 6_999, false), not_due());
        assert!(matches!(on_read(leased, 7_000, false), Effect::Claim(_)));
    }

    #[test]
    fn an_intent_left_behind_is_repeated_with_its_first_time() {
        let left = Intent { id: "dead".into(), first_spent_at: at(100), attempts: 1 };
        let claim = claimed(Chain { intent: Some(left), ..chain() }, 200);
        assert_eq!(claim.intent, Intent { id: "me".into(), first_spent_at: at(100), attempts: 2 });
    }

    #[test]
    fn the_first_refusal_waits_and_the_second_ends_the_chain() {
        let refuse = |chain, now| {
            let claim = claimed(chain, now);
            match step(Phase::Spending(claim), Event::Answered(Answer::No), at(now), &run(false), &TERMS).1 {
                Effect::Settle(_, settlement) => settlement,
                other => panic!("expected a settlement, got {other:?}"),
            }
        };
        let first = refuse(chain(), 7_000);
        assert_eq!(first.outcome, Outcome::Suspect);
        assert_eq!(first.due_at, Some(at(7_300)));

        let suspect = Chain { refused_at: first.refused_at, ..chain() };
        assert_eq!(on_read(suspect.clone(), 7_299, true), not_due());
        let second = refuse(suspect, 7_300);
        assert_eq!((second.outcome, second.due_at), (Outcome::Revoked, None));
    }

    #[test]
    fn a_token_first_spent_before_the_window_is_not_spent_again_at_once() {
        let left = |now: i64| {
            let left = Intent { id: "dead".into(), first_spent_at: at(100), attempts: 1 };
            let claim = claimed(Chain { intent: Some(left), ..chain() }, now);
            step(Phase::Claiming(claim), Event::Stored, at(now), &run(false), &TERMS)
        };
        assert_eq!(left(100 + 8 * 60 - 1).1, Effect::Spend);
        assert_eq!(left(100 + 8 * 60).0, Phase::Settling(Outcome::Suspect));
    }

    #[test]
    fn a_lost_answer_keeps_the_intent_and_comes_back_soon() {
        let claim = claimed(chain(), 7_000);
        let phase = Phase::Spending(claim);
        let (phase, effect) = step(phase, Event::Answered(Answer::Lost), at(7_010), &run(false), &TERMS);
        assert_eq!(phase, Phase::Settling(Outcome::Transient));
        assert!(
            matches!(effect, Effect::Settle(_, Settlement { due_at: Some(due), .. }) if due == at(7_030))
        );
    }

    #[test]
    fn nothing_comes_between_a_pair_and_its_commit() {
        let claim = claimed(chain(), 7_000);
        let (phase, effect) = step(
            Phase::Spending(claim.clone()),
            Event::Answered(Answer::Pair),
            at(7_001),
            &run(false),
            &TERMS,
        );
        assert_eq!(effect, Effect::Commit(claim));
        assert_eq!(
            step(phase, Event::Refused, at(7_002), &run(false), &TERMS).1,
            Effect::End(Outcome::Contested)
        );
    }

    #[test]
    fn an_ended_chain_or_a_missing_one_is_left_alone() {
        assert_eq!(on_read(Chain { ended: true, ..chain() }, 9_000, true), not_due());
        let gone = step(Phase::Reading, Event::Read(None), at(9_000), &run(true), &TERMS).1;
        assert_eq!(gone, not_due());
    }
}
