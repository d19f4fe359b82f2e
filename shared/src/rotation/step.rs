//! The state machine of one run. This file is long because all of its transitions stand in one place.

use jiff::Timestamp;

use super::adopt::Origin;
use super::chain::{Chain, Intent, Lease, RunId, Spare, Upkeep};
use super::terms::{Terms, later, may_fall_due};

/// One run: who it is, and whether somebody asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run {
    /// Owner of the lease and id of the intent.
    pub id: RunId,
    /// A call met a 401, or an operator asked: refresh although the token has time left.
    pub nudged: bool,
}

/// What a claim writes, on the condition that generation and intent are still those it was decided on.
/// The condition compares no clocks: every claim writes an intent of its own, so of two that were
/// decided on the same chain one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The generation whose token will be spent.
    pub generation: u64,
    /// The consent that it belongs to.
    pub consent: u64,
    /// How the chain is kept alive.
    pub upkeep: Upkeep,
    /// The intent that was found, if any.
    pub over: Option<RunId>,
    /// The intent to write.
    pub intent: Intent,
    /// The lease to write.
    pub lease: Lease,
    /// Where the index `due` shows the chain from now on: in the past by every refresher's clock, since
    /// an open intent must be found by whoever looks next.
    pub due_at: Timestamp,
    /// When this generation's token was refused before, if that is the last that is known of it.
    pub refused_at: Option<Timestamp>,
    /// A successor of this generation's token is kept in the table, and was not refused so far.
    pub successor: bool,
    /// The token may have been spent again since it bought that successor, which may have revoked it.
    pub outdated: bool,
    /// A sibling of this generation's pair is kept in the table, and was not refused so far.
    pub sibling: bool,
    /// The token was refused, the wait is over, and no answer has been lost since: another refusal is
    /// believed. A run that did not give its lease back may have bought a successor.
    pub decides: bool,
}

impl Claim {
    /// Where a pair comes from that is bought under this claim.
    pub fn origin(&self) -> Origin {
        let Intent { id: intent, attempts: attempt, .. } = self.intent;
        Origin { consent: self.consent, generation: self.generation, intent, attempt }
    }
}

/// What a run that did not get a new pair leaves behind, on the condition that its intent still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Settlement {
    /// When the next run may try.
    pub due_at: Timestamp,
    /// When the token was last refused, if that still counts.
    pub refused_at: Option<Timestamp>,
    /// This run spent nothing. Its attempt is taken back, and if it found no intent, so is the one it wrote.
    pub unspent: bool,
    /// The chain ends.
    pub ended: bool,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has asked for the chain. A lease of the run that stands here has been outlasted.
    Reading(Option<RunId>),
    /// It lets a lease lapse.
    Waiting(RunId),
    /// It has asked for the claim.
    Claiming(Claim),
    /// It holds the claim and has asked for leave to send a token that may be refused.
    Asking(Claim),
    /// It holds the claim and has sent the refresh token.
    Spending(Claim),
    /// It has a new pair and has asked to store it; so often the table did not answer.
    Committing(Claim, u32),
    /// It has a new pair and has asked to keep it beside the one that is stored.
    Keeping(Claim),
    /// It has a new pair and has asked the queue to hold it.
    Parking(Claim),
    /// It was refused and has asked for the chain once more.
    Confirming(Claim, Answer),
    /// It has asked to make the kept pair the chain's pair.
    Promoting(Claim),
    /// It has no new pair and has asked to leave word.
    Settling(Outcome),
    /// It is over.
    Ended(Outcome),
}

/// What happened.
#[expect(clippy::large_enum_variant, reason = "one event lives at a time, and copies keep the search fast")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The chain, read strongly consistently; none if the credential is gone.
    Read(Option<Chain>),
    /// The chain was read, and what is needed of it is missing or cannot be unsealed.
    Sealed,
    /// The wait is over.
    Waited,
    /// The conditional write was accepted, or the queue took the pair.
    Stored,
    /// The conditional write was refused: the chain has changed.
    Refused,
    /// The table or the queue did not answer in time. Whether a write took place is unknown.
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
    /// No, shortly after it refused another token of the same client: perhaps all are refused.
    Doubtful,
    /// No, because of who we are and not because of the token: our settings are wrong.
    Unknown,
    /// Nothing that can be used. The token may have been spent.
    Lost,
    /// There was no connection. The token was not sent.
    Unsent,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Read the chain, strongly consistently.
    Read,
    /// Wait for as long as a lease lasts, by one's own clock.
    Wait,
    /// Write the claim.
    Claim(Claim),
    /// Write down that a token will be sent which may be refused: a refusal may lock the whole client
    /// out, and who is refused shortly after must know.
    Ask(Claim),
    /// Send the refresh token, once.
    Spend(Claim),
    /// Store the new pair as generation + 1. Nothing comes between spend and commit.
    Commit(Claim),
    /// Store the new pair beside generation or generation + 1 of the same consent.
    Keep(Claim),
    /// Send the new pair, sealed, to the second store.
    Park(Claim),
    /// Make the kept pair generation + 1, due at once, since nobody knows whether it still works.
    Promote(Claim, Present),
    /// Leave word and give the lease back.
    Settle(Claim, Settlement),
    /// Nothing more.
    End(Outcome),
}

/// What becomes of the present pair when the kept one takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Present {
    /// It goes: it is known not to work.
    Goes,
    /// It is kept: it may work. Of the pairs that it has bought, one of an earlier attempt than this is
    /// worth less.
    Stays(u32),
    /// It is kept, although it was refused: this may have been a lockout.
    StaysRefused,
    /// So it is, and it is the better of the two, since nobody had spent it before.
    StaysBetter,
    /// Both were refused, the last one at this time, and the kept one is the better: the two change back,
    /// and the lockout is waited out.
    BothRefused(Timestamp),
}

impl Present {
    /// What is known of it then, if it was the pair of `generation`.
    pub fn as_spare(self, generation: u64) -> Option<Spare> {
        let kept = |generation, attempt, refused| Some(Spare { generation, attempt, refused });
        match self {
            Present::Goes => None,
            Present::Stays(attempt) => kept(generation + 1, attempt, false),
            Present::StaysRefused | Present::BothRefused(_) => kept(generation + 1, 0, true),
            Present::StaysBetter => kept(generation + 2, 0, true),
        }
    }
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
    /// The new pair is on the queue, since the table does not answer.
    Parked,
    /// Bitbucket refused; this may pass and is confirmed before it is believed.
    Suspect,
    /// Bitbucket refused again, after the wait: the chain has ended.
    Revoked,
    /// Our own settings are wrong: the keyring lacks the key that the token was sealed with, or
    /// Bitbucket does not know our consumer.
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
            Outcome::Parked => "parked",
            Outcome::Suspect => "suspect",
            Outcome::Revoked => "revoked",
            Outcome::Misconfigured => "misconfigured",
        }
    }
}

/// The commit is tried this often before the pair is parked.
const COMMIT_TRIES: u32 = 4;

impl Phase {
    /// Where every run begins.
    pub const START: (Phase, Effect) = (Phase::Reading(None), Effect::Read);
}

/// Decides what comes next in a run.
pub fn step(phase: Phase, event: Event, now: Timestamp, run: &Run, terms: &Terms) -> (Phase, Effect) {
    match (phase, event) {
        (Phase::Reading(outlasted), Event::Read(Some(chain))) => begin(&chain, outlasted, now, run, terms),
        (Phase::Reading(_), Event::Read(None)) => end(Outcome::NotDue),
        (Phase::Reading(_), Event::Sealed) => end(Outcome::Misconfigured),
        (Phase::Waiting(owner), Event::Waited) => (Phase::Reading(Some(owner)), Effect::Read),

        (Phase::Claiming(claim), Event::Stored) => go(claim, now, terms),
        (Phase::Asking(claim), Event::Stored) => spend(claim, now, terms),
        // Another token was refused, or may have been, not long ago.
        (Phase::Asking(claim), Event::Refused) => settle(claim, held_off(&claim, now, terms)),
        (Phase::Asking(claim), Event::StoreFailed) => settle(claim, unspent(&claim, now, terms)),
        (Phase::Claiming(_), Event::Refused) => end(Outcome::Contested),
        // It may have been written. Nothing was spent.
        (Phase::Claiming(claim), Event::StoreFailed) => settle(claim, unspent(&claim, now, terms)),

        (Phase::Spending(claim), Event::Answered(answer)) => match answer {
            Answer::Pair => commit(claim, 0),
            Answer::No | Answer::Doubtful => (Phase::Confirming(claim, answer), Effect::Read),
            // Whatever was refused before: this time it may have been accepted.
            Answer::Lost => {
                settle(claim, (Outcome::Transient, Settlement { refused_at: None, ..open(&claim) }))
            }
            Answer::Unsent => settle(claim, unspent(&claim, now, terms)),
            Answer::Unknown => settle(claim, (Outcome::Misconfigured, unspent(&claim, now, terms).1)),
        },

        (Phase::Committing(..), Event::Stored) => end(Outcome::Rotated),
        (Phase::Committing(claim, _), Event::Refused) => (Phase::Keeping(claim), Effect::Keep(claim)),
        (Phase::Committing(claim, failures), Event::StoreFailed) => {
            if failures + 1 < COMMIT_TRIES {
                commit(claim, failures + 1)
            } else {
                park(claim)
            }
        }
        (Phase::Keeping(_), Event::Stored | Event::Refused) => end(Outcome::Contested),
        (Phase::Keeping(claim), Event::StoreFailed) => park(claim),
        (Phase::Parking(_), Event::Stored) => end(Outcome::Parked),
        // Neither store answers. The pair is at hand for as long as this run lives, so it goes on while
        // it may.
        (Phase::Parking(claim), Event::StoreFailed | Event::Refused) if now < claim.lease.until => {
            commit(claim, COMMIT_TRIES - 1)
        }
        (Phase::Parking(_), Event::StoreFailed | Event::Refused) => end(Outcome::Transient),

        (Phase::Confirming(claim, answer), Event::Read(chain)) => {
            confirm(claim, answer, chain.as_ref(), now, terms)
        }
        (Phase::Promoting(_), Event::Stored) => end(Outcome::Rotated),
        (Phase::Promoting(_), Event::Refused) => end(Outcome::Contested),
        (Phase::Promoting(_) | Phase::Confirming(..), Event::Sealed) => end(Outcome::Misconfigured),

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

fn commit(claim: Claim, failures: u32) -> (Phase, Effect) {
    (Phase::Committing(claim, failures), Effect::Commit(claim))
}

fn park(claim: Claim) -> (Phase, Effect) {
    (Phase::Parking(claim), Effect::Park(claim))
}

fn promote(claim: Claim, present: Present) -> (Phase, Effect) {
    (Phase::Promoting(claim), Effect::Promote(claim, present))
}

fn settle(claim: Claim, (outcome, settlement): (Outcome, Settlement)) -> (Phase, Effect) {
    (Phase::Settling(outcome), Effect::Settle(claim, settlement))
}

/// What the chain asks for.
fn begin(
    chain: &Chain,
    outlasted: Option<RunId>,
    now: Timestamp,
    run: &Run,
    terms: &Terms,
) -> (Phase, Effect) {
    if chain.upkeep == Upkeep::Fixed {
        return end(Outcome::NotDue);
    }
    if chain.ended {
        return end(Outcome::Revoked);
    }
    let age = now.duration_since(chain.refreshed_at);
    let fresh = !age.is_negative() && age < terms.fresh;
    let due = now >= may_fall_due(chain, terms);
    let expired = now >= chain.expires_at;
    let unfinished = chain.intent.is_some() || chain.refused_at.is_some();
    let wanted = unfinished || due || (run.nudged && (expired || !fresh));
    if waits(chain, now, terms) || !wanted {
        return end(Outcome::NotDue);
    }
    match chain.lease {
        // It looks alive, and the next run looks again. It may be dead or have another clock; that does
        // no harm.
        Some(lease) if outlasted != Some(lease.owner) && looks_alive(&lease, now, terms) => {
            end(Outcome::Contested)
        }
        // It looks lapsed, or as if it were given by another clock. To be sure it is watched for as long
        // as it can last: its owner began before it was seen, so it has ended then whatever clock the
        // owner has.
        Some(lease) if outlasted != Some(lease.owner) => (Phase::Waiting(lease.owner), Effect::Wait),
        _ => {
            let claim = claim(chain, now, run, terms);
            (Phase::Claiming(claim), Effect::Claim(claim))
        }
    }
}

/// After a refusal a possible lockout is waited out. Inside the window there is no time for that: what a
/// lockout refuses now may be served a minute later, and not any more when the window is over.
fn waits(chain: &Chain, now: Timestamp, terms: &Terms) -> bool {
    let Some(refused_at) = refused_last(chain) else { return false };
    let window = chain.intent.is_some_and(|intent| now.duration_since(intent.first_spent_at) < terms.grace);
    let wait = if window { terms.backoff.min(terms.lockout) } else { terms.lockout };
    now.duration_since(refused_at) < wait
}

/// When the token was refused, if that is the last that is known of it. Whoever left a lease behind began
/// after the refusal, and may have been served.
fn refused_last(chain: &Chain) -> Option<Timestamp> {
    chain.refused_at.filter(|_| chain.lease.is_none())
}

fn looks_alive(lease: &Lease, now: Timestamp, terms: &Terms) -> bool {
    let left = lease.until.duration_since(now);
    left.is_positive() && left <= terms.lease
}

fn claim(chain: &Chain, now: Timestamp, run: &Run, terms: &Terms) -> Claim {
    let before = chain.intent;
    let refused_at = refused_last(chain);
    let decides = refused_at.is_some_and(|at| now.duration_since(at) >= terms.lockout);
    let attempts = before.map_or(0, |intent| intent.attempts);
    let successor = chain.successor().filter(|spare| !spare.refused);
    let sibling = chain.spare().filter(|spare| !spare.refused && successor.is_none());
    Claim {
        generation: chain.generation,
        consent: chain.consent,
        upkeep: chain.upkeep,
        over: before.map(|intent| intent.id),
        intent: Intent {
            id: run.id,
            // Every spend so far was refused, so if this one is not, it is the first.
            first_spent_at: before
                .filter(|_| !decides || chain.spare().is_some())
                .map_or(now, |intent| intent.first_spent_at),
            attempts: attempts + 1,
        },
        lease: Lease { owner: run.id, until: later(now, terms.lease) },
        due_at: later(now, -terms.skew),
        refused_at,
        successor: successor.is_some(),
        outdated: successor.is_some_and(|spare| spare.attempt < attempts),
        sibling: sibling.is_some(),
        decides,
    }
}

/// The claim is written: what is the token worth?
fn go(claim: Claim, now: Timestamp, terms: &Terms) -> (Phase, Effect) {
    if claim.over.is_none() && !claim.decides || claim.upkeep == Upkeep::Renew {
        return spend(claim, now, terms);
    }
    let age = now.duration_since(claim.intent.first_spent_at);
    // A successor, where one is known, is better than the token itself, whose window may be over; and when
    // it is over, so is a sibling. Where the successor may be worth nothing the token stays as long as
    // its window may be open by any clock.
    if claim.successor || claim.sibling && age >= terms.grace {
        let open = if claim.outdated { terms.grace.saturating_add(terms.skew) } else { terms.grace };
        let stays = claim.sibling || age < open;
        // Inside the window it is worth more than any pair that it may have revoked.
        let attempt = if age < terms.grace { claim.intent.attempts - 1 } else { 0 };
        return promote(claim, if stays { Present::Stays(attempt) } else { Present::Goes });
    }
    // A token that was first spent before the window is not spent again at once: that would look like
    // theft, and a parked successor may be on its way. The chain is suspect and is tried once, later.
    // Inside the skew the other clock may be wrong, and waiting would lose what can still be saved.
    if !claim.decides && age >= terms.grace.saturating_add(terms.skew) {
        return settle(claim, (Outcome::Suspect, refused(&claim, now, terms)));
    }
    (Phase::Asking(claim), Effect::Ask(claim))
}

/// The fence: a run that was held up does not send what would arrive after its lease.
fn spend(claim: Claim, now: Timestamp, terms: &Terms) -> (Phase, Effect) {
    if now > later(claim.lease.until, -terms.spend) {
        return settle(claim, unspent(&claim, now, terms));
    }
    (Phase::Spending(claim), Effect::Spend(claim))
}

/// A refusal is believed only of the pair that the table still holds, only if nothing else is left, and
/// only after a wait.
fn confirm(
    claim: Claim,
    answer: Answer,
    chain: Option<&Chain>,
    now: Timestamp,
    terms: &Terms,
) -> (Phase, Effect) {
    let mine = |chain: &&Chain| {
        chain.generation == claim.generation && chain.intent.is_some_and(|i| i.id == claim.intent.id)
    };
    let Some(chain) = chain.filter(mine) else { return end(Outcome::Contested) };
    let believed = claim.decides && answer == Answer::No;
    if chain.spare().is_some() && believed {
        promote(claim, Present::Goes)
    } else if chain.spare().is_some_and(|spare| !spare.refused) {
        let unspent = claim.over.is_none();
        promote(claim, if unspent { Present::StaysBetter } else { Present::StaysRefused })
    } else if chain.successor().is_some() {
        // Whoever waits for the end of a lockout must not have a window that ends before.
        promote(claim, Present::BothRefused(now))
    } else if believed {
        let ended = Settlement { ended: true, ..open(&claim) };
        settle(claim, (Outcome::Revoked, ended))
    } else {
        settle(claim, (Outcome::Suspect, refused(&claim, now, terms)))
    }
}

/// The token may have been spent: whoever looks next takes it up.
fn open(claim: &Claim) -> Settlement {
    Settlement { due_at: claim.due_at, refused_at: claim.refused_at, unspent: false, ended: false }
}

/// What was refused was not spent.
fn refused(claim: &Claim, now: Timestamp, terms: &Terms) -> Settlement {
    let window = claim.over.is_some() && now.duration_since(claim.intent.first_spent_at) < terms.grace;
    let wait = if window { terms.backoff.min(terms.lockout) } else { terms.lockout };
    Settlement { due_at: later(now, wait), refused_at: Some(now), unspent: true, ended: false }
}

/// The try that decides has to wait until no other refusal can explain its own.
fn held_off(claim: &Claim, now: Timestamp, terms: &Terms) -> (Outcome, Settlement) {
    (Outcome::Suspect, Settlement { due_at: later(now, terms.backoff), unspent: true, ..open(claim) })
}

fn unspent(claim: &Claim, now: Timestamp, terms: &Terms) -> (Outcome, Settlement) {
    let due_at = if claim.over.is_none() { later(now, terms.backoff) } else { claim.due_at };
    (Outcome::Transient, Settlement { due_at, unspent: true, ..open(claim) })
}
