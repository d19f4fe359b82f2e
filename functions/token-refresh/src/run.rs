//! One run over one chain: carries out what [`rotation::step`] decides, and nothing else.

use std::time::Duration;

use bucketwheel::bitbucket::ExchangeError;
use bucketwheel::credential::{Cause, CredentialId, Health, Status};
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Table, TableError};
use bucketwheel::rotation::{
    self, Answer, COMMIT_TRIES, Claim, Effect, Event, Outcome, Phase, Run, Settlement,
};
use bucketwheel::store::tokens::{SealedPair, Tokens};
use bucketwheel::store::{credentials, tokens};
use bucketwheel::token::{RefreshToken, TokenError};
use jiff::Timestamp;

use crate::Refresher;

/// What a run holds in its hands. The state machine never sees it.
#[derive(Default)]
struct Held {
    refresh: Option<RefreshToken>,
    pair: Option<SealedPair>,
}

impl<T: Table, E: Edge> Refresher<T, E> {
    pub(crate) async fn run(&self, id: &CredentialId, nudged: bool) -> Outcome {
        let run = Run { id: hex::encode(self.edge.random::<16>()), nudged };
        let mut held = Held::default();
        let mut phase = Phase::Reading;
        let mut effect = Effect::Read;
        loop {
            let event = match effect {
                Effect::Read => self.read(id, &mut held).await,
                Effect::Claim(claim) => {
                    self.stored(tokens::claim(&self.table, id, &claim, self.edge.now()).await)
                }
                Effect::Spend => self.spend(id, &phase, &mut held).await,
                Effect::Commit(claim) => self.commit(id, &claim, &held).await,
                Effect::Settle(claim, settlement) => self.settle(id, &claim, &settlement).await,
                Effect::End(outcome) => {
                    self.tell(id, outcome).await;
                    return outcome;
                }
            };
            (phase, effect) = rotation::step(phase, event, self.edge.now(), &run, &self.terms);
        }
    }

    async fn read(&self, id: &CredentialId, held: &mut Held) -> Event {
        let found = match tokens::get(&self.table, id).await {
            Ok(found) => found,
            Err(error) => return self.stored(Err(error)),
        };
        let Some(found) = found else { return Event::Read(None) };
        match found.refresh(&self.refresh_ring, id) {
            Ok(Some(refresh)) => held.refresh = Some(refresh),
            Ok(None) => return Event::Sealed,
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "not unsealed");
                return Event::Sealed;
            }
        }
        Event::Read(Some(found.chain()))
    }

    async fn spend(&self, id: &CredentialId, phase: &Phase, held: &mut Held) -> Event {
        let (Phase::Spending(claim), Some(refresh)) = (phase, held.refresh.as_ref()) else {
            unreachable!("a token is spent under a claim and after it was read")
        };
        let answer = match self.oauth.refresh(refresh, self.edge.now()).await {
            Ok(set) => {
                let nonces = [self.edge.random(), self.edge.random()];
                let generation = claim.generation + 1;
                held.pair = Some(SealedPair::seal(self.rings(), id, generation, &set, Some(refresh), nonces));
                Answer::Pair
            }
            Err(error) => {
                tracing::warn!(credential = id.as_str(), error = %Causes(&error), "not refreshed");
                match error {
                    ExchangeError::Answered(TokenError::Refused { .. }) => Answer::No,
                    _ => Answer::Lost,
                }
            }
        };
        Event::Answered(answer)
    }

    /// Stores the pair, again and again while the table does not answer. A write whose acknowledgement
    /// was lost is found by reading.
    async fn commit(&self, id: &CredentialId, claim: &Claim, held: &Held) -> Event {
        let Some(pair) = &held.pair else { unreachable!("a commit follows a pair") };
        let mut event = Event::StoreFailed;
        for attempt in 1..=COMMIT_TRIES {
            let now = self.edge.now();
            event = self.stored(tokens::commit(&self.table, id, claim, pair, now, &self.terms).await);
            match event {
                Event::StoreFailed => tokio::time::sleep(Duration::from_millis(200) * attempt).await,
                Event::Refused if attempt > 1 && self.is_stored(id, pair).await => return Event::Stored,
                _ => break,
            }
        }
        event
    }

    async fn is_stored(&self, id: &CredentialId, pair: &SealedPair) -> bool {
        matches!(tokens::get(&self.table, id).await, Ok(Some(found)) if Tokens::is(&found, pair))
    }

    async fn settle(&self, id: &CredentialId, claim: &Claim, settlement: &Settlement) -> Event {
        self.stored(tokens::settle(&self.table, id, claim, settlement).await)
    }

    fn stored(&self, result: Result<(), TableError>) -> Event {
        match result {
            Ok(()) => Event::Stored,
            Err(TableError::Refused) => Event::Refused,
            Err(error) => {
                tracing::error!(error = %Causes(&error), "the table failed");
                Event::StoreFailed
            }
        }
    }

    /// Writes what the run means for the credential, if that is news.
    async fn tell(&self, id: &CredentialId, outcome: Outcome) {
        tracing::info!(credential = id.as_str(), outcome = outcome.word(), "refresh");
        let now = self.edge.now();
        let Some(status) = status_after(outcome, now) else { return };
        let known = match credentials::get(&self.table, id).await {
            Ok(Some(credential)) => credential.status,
            Ok(None) => return,
            Err(error) => return self.untold(id, &error),
        };
        let news = (known.health, known.cause) != (status.health, status.cause);
        if news && known.health != Health::Disabled {
            match credentials::set_status(&self.table, id, &status).await {
                Ok(()) | Err(TableError::Refused) => {}
                Err(error) => self.untold(id, &error),
            }
        }
    }

    fn untold(&self, id: &CredentialId, error: &TableError) {
        tracing::error!(credential = id.as_str(), error = %Causes(error), "status not stored");
    }
}

fn status_after(outcome: Outcome, now: Timestamp) -> Option<Status> {
    let (health, cause) = match outcome {
        Outcome::NotDue | Outcome::Contested => return None,
        Outcome::Rotated => (Health::Up, None),
        Outcome::Transient => (Health::Degraded, Some(Cause::RefreshFailed)),
        Outcome::Suspect => (Health::Degraded, Some(Cause::RefreshRefused)),
        Outcome::Revoked => (Health::Down, Some(Cause::RotationLost)),
        Outcome::Misconfigured => (Health::Degraded, Some(Cause::CannotUnseal)),
    };
    Some(Status { health, cause, since: now })
}
