//! One message: from its text to a verdict.

use bucketwheel::call::{Action, ApiPath, Call, CallId, Message, Outcome, Problem, Reply, Request, State};
use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Outgoing, Queue, QueueError, Table, TableError};
use bucketwheel::store::calls::{self, Entry};
use bucketwheel::store::{credentials, tokens};
use bucketwheel::token::{AccessToken, Authorization};
use jiff::SignedDuration;
use secrecy::SecretString;
use serde::Deserialize;

use crate::exchange::{Holder, Received, Stop};
use crate::{Verdict, Worker};

/// A call that was sent this long ago and has no outcome is not being worked on any more: it is longer
/// than a worker lives.
const WORKER_LIFE: SignedDuration = SignedDuration::from_mins(2);

/// Why a message has to come again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Again {
    #[error("the message is not a call")]
    NotACall(#[source] serde_json::Error),
    #[error("the table failed")]
    Table(#[from] TableError),
    #[error("a queue failed")]
    Queue(#[from] QueueError),
    #[error("another worker is at it")]
    Elsewhere,
    #[error("not done yet: {0}")]
    Later(&'static str),
}

/// What can be read of a message that is not a call: enough to answer it.
#[derive(Deserialize)]
struct Addressed {
    id: CallId,
    credential: CredentialId,
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    pub(crate) async fn work(&self, text: &str) -> Verdict {
        match self.outcome(text).await {
            Ok(()) => Verdict::Ack,
            Err(again) => {
                tracing::warn!(error = %Causes(&again), "call not finished");
                Verdict::Retry
            }
        }
    }

    async fn outcome(&self, text: &str) -> Result<(), Again> {
        let message: Message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                let Ok(Addressed { id, credential }) = serde_json::from_str(text) else {
                    return Err(Again::NotACall(error));
                };
                let problem = Problem::new("bad_call", error.to_string(), "Correct the message.");
                let failed = self.finished(id, credential, State::Failed, Some(problem));
                return self.finish(failed, Reply::Queue).await;
            }
        };
        let now = self.edge.now();
        let done = |state, problem| {
            self.finished(message.id.clone(), message.credential.clone(), state, Some(problem))
        };
        let outcome = match calls::get(&self.table, &message.id, now).await? {
            Entry::Finished(outcome) => return self.reply(&outcome, message.reply).await,
            Entry::Sent(at) if now.duration_since(at) < WORKER_LIFE => return Err(Again::Elsewhere),
            Entry::Sent(_) => done(State::Unknown, unknown("A worker died after it may have sent the call.")),
            Entry::New | Entry::Queued(_) if message.deadline.is_some_and(|deadline| deadline <= now) => {
                done(State::Expired, Problem::new("expired", "The deadline has passed.", "Submit it again."))
            }
            Entry::New | Entry::Queued(_) => match self.holder(&message).await? {
                Ok(holder) => self.carry_out(&message, &holder).await?,
                Err(problem) => done(State::Failed, problem),
            },
        };
        self.finish(outcome, message.reply).await
    }

    async fn carry_out(&self, message: &Message, holder: &Holder) -> Result<Outcome, Again> {
        let sent = match &message.call {
            Call::Request(request) => self.request(message, request, holder).await.map(Some),
            Call::Action(action) => self.action(message, action, holder).await,
        };
        let (id, credential) = (message.id.clone(), message.credential.clone());
        match sent {
            Ok(answer) => Ok(with(answer, self.finished(id, credential, State::Succeeded, None))),
            Err(Stop::Failed(problem, answer)) => Ok(with(
                answer.map(|answer| *answer),
                self.finished(id, credential, State::Failed, Some(problem)),
            )),
            Err(Stop::Unknown(problem)) => Ok(self.finished(id, credential, State::Unknown, Some(problem))),
            Err(Stop::Again(again)) => Err(again),
        }
    }

    /// One request. If it could do something twice, it is written down first, and that is taken back
    /// only where Bitbucket certainly did nothing.
    async fn request(&self, message: &Message, request: &Request, holder: &Holder) -> Result<Received, Stop> {
        let path = ApiPath::parse(&request.path).map_err(|error| {
            Stop::Failed(Problem::new("bad_path", error.to_string(), "Correct the path."), None)
        })?;
        if request.method.mutates() {
            match calls::about_to_send(&self.table, &message.id, self.edge.now()).await {
                Ok(()) => {}
                Err(TableError::Refused) => return Err(Stop::Again(Again::Elsewhere)),
                Err(error) => return Err(Stop::Again(error.into())),
            }
        }
        let body = request.body.as_ref();
        let sent = self.exchange(holder, request.method, &path, &request.query, body).await;
        if request.method.mutates() && matches!(sent, Err(Stop::Again(_))) {
            calls::not_sent(&self.table, &message.id, self.edge.now()).await.map_err(Again::from)?;
        }
        sent
    }

    /// The credential with its token, or why it makes no calls. One that is switched off makes no call but
    /// the last, for which the token may be lost too.
    async fn holder(&self, message: &Message) -> Result<Result<Holder, Problem>, Again> {
        let id = &message.credential;
        let Some(credential) = credentials::get(&self.table, id).await? else { return Ok(Err(nobody())) };
        let last = matches!(message.call, Call::Action(Action::DeleteCredential));
        if credential.disabled_at.is_some() && !last {
            let cause = "The credential is switched off.";
            return Ok(Err(Problem::new(
                "credential_disabled",
                cause,
                "Enable it, then submit the call again.",
            )));
        }
        let token = match tokens::get(&self.table, id).await? {
            Some(tokens) => tokens.access(&self.access_ring, id).map_err(|error| {
                let resolution = "Put the dropped key back on the keyring, or reconnect the credential.";
                Problem::new("cannot_unseal", error.to_string(), resolution)
            }),
            None => Err(nobody()),
        };
        let token = if last {
            Ok(token.unwrap_or_else(|_| AccessToken::new(SecretString::default())))
        } else {
            token
        };
        let scheme = credential.kind.scheme();
        Ok(token.map(|token| Holder { credential, authorization: Authorization::new(scheme, token) }))
    }

    async fn finish(&self, outcome: Outcome, reply: Reply) -> Result<(), Again> {
        match calls::finish(&self.table, &outcome, self.edge.now()).await {
            // Another worker stored an outcome first; that one counts, and it has been replied.
            Ok(()) | Err(TableError::Refused) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::info!(
            call = outcome.id.as_str(),
            credential = outcome.credential.as_str(),
            state = ?outcome.state,
            status = outcome.status,
            "call"
        );
        self.reply(&outcome, reply).await
    }

    async fn reply(&self, outcome: &Outcome, reply: Reply) -> Result<(), Again> {
        if reply == Reply::Queue {
            let Ok(text) = serde_json::to_string(outcome) else {
                unreachable!("an outcome is texts and numbers")
            };
            self.results.send(Outgoing::plain(text)).await?;
        }
        Ok(())
    }

    fn finished(
        &self,
        id: CallId,
        credential: CredentialId,
        state: State,
        error: Option<Problem>,
    ) -> Outcome {
        Outcome {
            id,
            credential,
            state,
            status: None,
            headers: std::collections::BTreeMap::new(),
            body: None,
            body_base64: None,
            error,
            finished_at: self.edge.now(),
        }
    }
}

fn nobody() -> Problem {
    Problem::new("unknown_credential", "There is no such credential.", "Connect it first, or correct the id.")
}

fn with(answer: Option<Received>, outcome: Outcome) -> Outcome {
    match answer {
        Some(answer) => answer.into_outcome(outcome),
        None => outcome,
    }
}

pub(crate) fn unknown(cause: &str) -> Problem {
    Problem::new(
        "outcome_unknown",
        cause,
        "Look at Bitbucket whether it was done, then submit it under a new id if not.",
    )
}
