//! One request to Bitbucket and what its answer means for the call.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bucketwheel::bitbucket::{Answer, SendError};
use bucketwheel::call::{ApiPath, Judgement, Method, Outcome, Problem, judge};

use bucketwheel::credential::{Credential, CredentialId};
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Outgoing, Queue, Table};
use bucketwheel::rotation::Nudge;
use bucketwheel::token::Authorization;
use serde_json::Value;

use crate::Worker;
use crate::work::{Again, unknown};

/// Why a call does not simply succeed.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was not done, and trying again would not help.
    Failed(Problem, Option<Box<Received>>),
    /// It was sent, and may or may not have been done.
    Unknown(Problem),
    /// It was not done, and comes again.
    Again(Again),
}

impl From<Again> for Stop {
    fn from(again: Again) -> Self {
        Self::Again(again)
    }
}

/// In whose name a call is made.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) credential: Credential,
    pub(crate) authorization: Authorization,
}

/// An answer that is passed on.
#[derive(Debug)]
pub(crate) struct Received(Answer);

impl Received {
    /// The answer's JSON, if it is some.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.0.body).ok()
    }

    /// An answer of ours, where several requests were made.
    pub(crate) fn made(body: Value) -> Self {
        let headers = BTreeMap::new();
        let content_type = "application/json".to_owned();
        Self(Answer { status: 200, content_type, headers, scopes: None, body: body.to_string().into_bytes() })
    }

    /// The answer's HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    /// Adds the answer to the outcome.
    pub(crate) fn into_outcome(self, mut outcome: Outcome) -> Outcome {
        outcome.body = self.json();
        let Answer { status, headers, body, .. } = self.0;
        if outcome.body.is_none() && !body.is_empty() {
            outcome.body_base64 = Some(STANDARD.encode(body));
        }
        outcome.status = Some(status);
        outcome.headers = headers;
        outcome
    }
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    pub(crate) async fn exchange(
        &self,
        holder: &Holder,
        method: Method,
        path: &ApiPath,
        query: &BTreeMap<String, String>,
        body: Option<&Value>,
    ) -> Result<Received, Stop> {
        let answer = match self.api.send(&holder.authorization, method, path, query, body).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(error = %Causes(&error), "no answer");
                return Err(match error {
                    SendError::Unsent(_) => Stop::Again(Again::Later("Bitbucket could not be reached")),
                    SendError::Lost(_) if method.mutates() => {
                        Stop::Unknown(unknown("Bitbucket's answer was lost."))
                    }
                    SendError::Lost(_) => Stop::Again(Again::Later("Bitbucket's answer was lost")),
                    SendError::TooLarge if method.mutates() => {
                        Stop::Unknown(unknown("Bitbucket's answer was too large to be read."))
                    }
                    SendError::TooLarge => Stop::Failed(
                        Problem::new(
                            "answer_too_large",
                            error.to_string(),
                            "Ask for less: use the query parameters fields, pagelen or q.",
                        ),
                        None,
                    ),
                });
            }
        };
        match judge(method, answer.status, &answer.body) {
            Judgement::Succeeded => Ok(Received(answer)),
            Judgement::Failed(problem) => Err(Stop::Failed(problem, Some(Box::new(Received(answer))))),
            Judgement::Unclear(problem) => Err(Stop::Unknown(problem)),
            Judgement::Later(_) => Err(Stop::Again(Again::Later("Bitbucket asked to wait"))),
            Judgement::Unauthorized if !holder.credential.kind.renews_itself() => {
                let problem = Problem::new(
                    "token_refused",
                    "Bitbucket refuses the token. Nobody can renew it: it was made by hand.",
                    "Make a new token at Bitbucket and reconnect the credential.",
                );
                Err(Stop::Failed(problem, Some(Box::new(Received(answer)))))
            }
            Judgement::Unauthorized => {
                self.nudge(&holder.credential.id).await?;
                Err(Stop::Again(Again::Later("the token is being refreshed")))
            }
        }
    }

    /// The worker never spends a refresh token: it asks the refresher to.
    async fn nudge(&self, credential: &CredentialId) -> Result<(), Again> {
        let Ok(text) = serde_json::to_string(&Nudge { credential: credential.clone() }) else {
            unreachable!("a nudge is one text")
        };
        Ok(self.nudges.send(Outgoing::plain(text)).await?)
    }
}
