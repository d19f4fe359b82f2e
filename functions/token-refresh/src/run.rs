//! One run over one chain: carries out what [`rotation::step`] decides, and nothing else.

use std::time::Duration;

use bucketwheel::credential::{Cause, CredentialId};
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Outgoing, Probe, Queue, Table, TableError, TokenEndpoint};
use bucketwheel::rotation::{
    self, Answer, Chain, Claim, Effect, Event, Outcome, Phase, Present, Run, RunId, Upkeep,
};
use bucketwheel::store::tokens::{Parked, Promotion, SealedPair, Shown, Tokens};
use bucketwheel::store::{refusals, tokens};
use bucketwheel::token::{ExchangeError, RefreshToken, Refusal, TokenError};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::Refresher;
use crate::breaker::Found;
use crate::tell::Verdict;

/// What a run holds in its hands. The state machine never sees it.
#[derive(Default)]
struct Held {
    tokens: Option<Tokens>,
    refresh: Option<RefreshToken>,
    pair: Option<SealedPair>,
    cause: Option<Cause>,
    found: Option<Found>,
}

impl Held {
    fn shown(&self, now: Timestamp) -> Shown {
        self.tokens.as_ref().map_or(Shown::Well, |tokens| tokens.shown(now))
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    /// Why, where the outcome alone does not say.
    pub(crate) cause: Option<Cause>,
    /// What it says of Bitbucket.
    pub(crate) found: Found,
    /// The chain as it was read, or as a probe left it.
    pub(crate) chain: Option<Chain>,
    /// What people were told of it.
    pub(crate) shown: Shown,
    /// What a probe found.
    pub(crate) verdict: Option<Verdict>,
}

impl Ran {
    /// It did not run, since Bitbucket fails.
    pub(crate) fn held_back(chain: Chain, shown: Shown) -> Self {
        let (outcome, cause) = (Outcome::Transient, Some(Cause::HeldBack));
        Self { outcome, cause, found: Found::Nothing, chain: Some(chain), shown, verdict: None }
    }
}

impl<T: Table, Q: Queue, E: Edge, O: TokenEndpoint, A: Probe> Refresher<T, Q, E, O, A> {
    pub(crate) async fn run(&self, id: &CredentialId, nudged: bool) -> Ran {
        let run = RunId::new(self.edge.random());
        let mut held = Held::default();
        let (mut phase, mut effect) = Phase::START;
        loop {
            let event = match effect {
                Effect::Read => self.read(id, &mut held).await,
                Effect::Wait => {
                    tokio::time::sleep(duration(self.terms.lease)).await;
                    Event::Waited
                }
                Effect::Claim(claim) => stored(&mut held, tokens::claim(&self.table, id, &claim).await),
                Effect::Ask(claim) => {
                    let now = self.edge.now();
                    stored(&mut held, refusals::ask(&self.table, &claim, now, &self.terms).await)
                }
                Effect::Spend(claim) => self.spend(id, &claim, &mut held).await,
                Effect::Commit(claim) => self.commit(id, &phase, &claim, &mut held).await,
                Effect::Keep(claim) => self.keep(id, &claim, &mut held).await,
                Effect::Park(claim) => self.park(id, &claim, &held).await,
                Effect::Promote(claim, present) => self.promote(id, &claim, present, &mut held).await,
                Effect::Settle(claim, settlement) => {
                    stored(&mut held, tokens::settle(&self.table, id, &claim, &settlement).await)
                }
                Effect::End(outcome) => {
                    let found = held.found.unwrap_or(Found::Nothing);
                    let chain = held.tokens.as_ref().map(Tokens::chain);
                    let shown = held.shown(self.edge.now());
                    return Ran { outcome, cause: held.cause, found, chain, shown, verdict: None };
                }
            };
            let now = self.edge.now();
            // Where people were told of trouble it is tried, due or not, until they can be told of its end.
            let nudged = nudged || held.shown(now) == Shown::Troubled;
            (phase, effect) = rotation::step(phase, event, now, &Run { id: run, nudged }, &self.terms);
        }
    }

    async fn read(&self, id: &CredentialId, held: &mut Held) -> Event {
        let found = match tokens::get(&self.table, id).await {
            Ok(found) => found,
            Err(error) => return stored(held, Err(error)),
        };
        let Some(found) = found else { return Event::Read(None) };
        let chain = found.chain();
        let refresh = found.refresh(&self.refresh_ring, id);
        held.tokens = Some(found);
        match refresh {
            Ok(refresh) if refresh.is_some() || !chain.upkeep.spends() => held.refresh = refresh,
            Ok(_) => return Event::Sealed,
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "not unsealed");
                return Event::Sealed;
            }
        }
        Event::Read(Some(chain))
    }

    async fn spend(&self, id: &CredentialId, claim: &Claim, held: &mut Held) -> Event {
        let now = self.edge.now();
        let exchange = async {
            match (&held.refresh, claim.upkeep) {
                (_, Upkeep::Renew) => self.oauth.renew(now).await,
                (Some(refresh), _) => self.oauth.refresh(refresh, now).await,
                (None, _) => unreachable!("a token is spent after it was read"),
            }
        };
        let answered = match tokio::time::timeout(duration(self.terms.spend), exchange).await {
            Ok(answered) => answered,
            Err(late) => Err(ExchangeError::Lost(late.into())),
        };
        let error = match answered {
            Ok(set) => {
                let nonces = [self.edge.random(), self.edge.random()];
                let kept = held.refresh.as_ref();
                held.pair =
                    Some(SealedPair::seal(self.rings(), id, claim.generation + 1, &set, kept, nonces));
                held.found = Some(Found::Success);
                return Event::Answered(Answer::Pair);
            }
            Err(error) => error,
        };
        tracing::warn!(credential = id.as_str(), error = %Causes(&error), "not refreshed");
        held.found = Some(Found::Failure);
        let (answer, cause) = match error {
            ExchangeError::Answered(TokenError::Refused { refusal: Refusal::Consumer, .. }) => {
                (Answer::Unknown, Cause::ConsumerRefused)
            }
            // No token was sent that could be at fault.
            ExchangeError::Answered(TokenError::Refused { .. }) if claim.upkeep == Upkeep::Renew => {
                (Answer::Unknown, Cause::ConsumerRefused)
            }
            ExchangeError::Answered(TokenError::Refused { .. }) => {
                // Whether another refused token explains this refusal is asked only where it decides.
                let alone = !claim.decides
                    || self.terms.lockout.is_zero()
                    || matches!(refusals::last_is(&self.table, claim).await, Ok(true));
                (if alone { Answer::No } else { Answer::Doubtful }, Cause::RefreshRefused)
            }
            ExchangeError::Answered(TokenError::Unreadable { .. }) => (Answer::Lost, Cause::AnswerUnreadable),
            ExchangeError::Answered(TokenError::Unavailable { .. }) | ExchangeError::Lost(_) => {
                (Answer::Lost, Cause::RefreshFailed)
            }
            ExchangeError::Unsent(_) => (Answer::Unsent, Cause::RefreshFailed),
        };
        held.cause = Some(cause);
        Event::Answered(answer)
    }

    /// Stores the pair. A refusal may mean that an earlier try was accepted and its acknowledgement lost.
    async fn commit(&self, id: &CredentialId, phase: &Phase, claim: &Claim, held: &mut Held) -> Event {
        let Some(pair) = held.pair.clone() else { unreachable!("a commit follows a pair") };
        let failures = if let Phase::Committing(_, failures) = phase { *failures } else { 0 };
        if failures > 0 {
            tokio::time::sleep(Duration::from_millis(200) * failures).await;
        }
        let now = self.edge.now();
        let due = rotation::falls_due(claim.upkeep, now, pair.expires_at(), &self.terms, self.edge.random());
        match stored(held, tokens::commit(&self.table, id, &claim.origin(), &pair, now, due).await) {
            Event::Refused => self.or_ours(id, &pair, held).await,
            event => event,
        }
    }

    async fn or_ours(&self, id: &CredentialId, pair: &SealedPair, held: &mut Held) -> Event {
        match tokens::get(&self.table, id).await {
            Ok(Some(found)) if found.is(pair) => Event::Stored,
            Ok(_) => Event::Refused,
            Err(error) => stored(held, Err(error)),
        }
    }

    async fn keep(&self, id: &CredentialId, claim: &Claim, held: &mut Held) -> Event {
        let Some(pair) = held.pair.clone() else { unreachable!("a pair is kept that was bought") };
        stored(held, tokens::keep(&self.table, id, &claim.origin(), &pair).await)
    }

    async fn park(&self, id: &CredentialId, claim: &Claim, held: &Held) -> Event {
        let Some(pair) = held.pair.clone() else { unreachable!("a pair is parked that was bought") };
        let parked = Parked { credential: id.clone(), origin: claim.origin(), pair };
        match self.parking.send(Outgoing::plain(json!(parked).to_string())).await {
            Ok(()) => Event::Stored,
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "the queue failed");
                Event::StoreFailed
            }
        }
    }

    async fn promote(&self, id: &CredentialId, claim: &Claim, present: Present, held: &mut Held) -> Event {
        let Some(tokens) = &held.tokens else { unreachable!("a pair is promoted that was read") };
        let Some(spare) = tokens.spare().cloned() else { return Event::Sealed };
        let seal = |pair: &SealedPair, generation| {
            let nonces = [self.edge.random(), self.edge.random()];
            pair.reseal(self.rings(), id, generation, nonces)
        };
        let next = claim.generation + 1;
        let kept = present.as_spare(claim.generation);
        let kept = kept.map(|kept| seal(&tokens.pair(), kept.generation)).transpose();
        match seal(&spare, next).and_then(|pair| Ok(Promotion { pair, spare, kept: kept?, present })) {
            Ok(promotion) => {
                let now = self.edge.now();
                stored(held, tokens::promote(&self.table, id, claim, &promotion, now, &self.terms).await)
            }
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "not unsealed");
                Event::Sealed
            }
        }
    }
}

fn stored(held: &mut Held, result: Result<(), TableError>) -> Event {
    match result {
        Ok(()) => Event::Stored,
        Err(TableError::Refused) => Event::Refused,
        Err(error) => {
            tracing::error!(error = %Causes(&error), "the table failed");
            held.cause.get_or_insert(Cause::StoreFailed);
            Event::StoreFailed
        }
    }
}

fn duration(of: SignedDuration) -> Duration {
    of.unsigned_abs()
}
