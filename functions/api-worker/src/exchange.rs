//! One request to Bitbucket and what came of it.

use std::time::Duration;

use bucketwheel::bitbucket::{SendError, TIME_OUT};
use bucketwheel::call::{Allowance, Answer, ApiPath, Judgement, Method, Problem, Reaction, Wire, judge};
use bucketwheel::credential::CredentialId;
use bucketwheel::error::Causes;
use bucketwheel::metric::Metric;
use bucketwheel::ports::{Edge, Outgoing, Queue, Table};
use bucketwheel::rotation::{Nudge, Wish};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::Worker;
use crate::holder::{Holder, token_refused};
use crate::work::Again;

/// What is left of an invocation's time after the last answer: enough to store the outcome.
const TO_STORE: SignedDuration = SignedDuration::from_secs(1);

/// Why an action of several requests does not simply succeed.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was not done, and trying again would not help.
    Failed(Problem, Option<Box<Answer>>),
    /// It was sent, and may or may not have been done.
    Unknown(Problem),
    /// It was not done, and comes again.
    Again(Again),
}

pub(crate) fn unreadable() -> Again {
    Again::Later("Bitbucket's answer cannot be read")
}

/// One page of a list (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination>).
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) values: Vec<Value>,
    /// Where the next page is.
    pub(crate) next: Option<String>,
}

impl Page {
    /// Reads an answer. Bitbucket gives values where there are none too, so an answer without them says
    /// nothing of what there is.
    pub(crate) fn of(answer: Value) -> Result<Self, Stop> {
        serde_json::from_value(answer).map_err(|_| unreadable().into())
    }
}

impl From<Again> for Stop {
    fn from(again: Again) -> Self {
        Self::Again(again)
    }
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Sends one request if the hourly allowance has room for it, and waits for its answer while there is
    /// time.
    pub(crate) async fn react(
        &self,
        holder: &Holder,
        wire: &Wire,
        until: Timestamp,
    ) -> Result<Reaction, Again> {
        match self.room(holder, wire).await? {
            Some(wait) => Ok(Reaction::NotYet(wait)),
            None => self.transmit(holder, wire, until).await,
        }
    }

    /// Sends one request for which there is [room](Self::room).
    pub(crate) async fn transmit(
        &self,
        holder: &Holder,
        wire: &Wire,
        until: Timestamp,
    ) -> Result<Reaction, Again> {
        let mut reaction = self.answer_to(holder, wire, until).await;
        if let Reaction::Answered(judgement, answer) = &mut reaction
            && let Some(allowance) = Allowance::of(wire)
        {
            self.learn(holder, allowance, answer).await?;
            if let Judgement::Transient { after, limited: true, .. } = judgement {
                *after = Some(self.close(holder, allowance, *after).await?);
            }
        }
        Ok(reaction)
    }

    async fn answer_to(&self, holder: &Holder, wire: &Wire, until: Timestamp) -> Reaction {
        let left = until.duration_since(self.edge.now()) - TO_STORE;
        let patience = Duration::try_from(left).unwrap_or_default();
        match self.api.send(&holder.authorization, wire, patience).await {
            Ok(answer) => {
                self.tally.add(answered(answer.status), 1);
                let judgement = match judge(wire.method, &answer) {
                    Judgement::Unauthorized if !holder.credential.kind.renews_itself() => {
                        Judgement::Permanent(token_refused())
                    }
                    judgement => judgement,
                };
                Reaction::Answered(judgement, answer)
            }
            Err(error) => {
                tracing::warn!(error = %Causes(&error), "no answer");
                let unsent = matches!(error, SendError::Unsent(_));
                self.tally.add(if unsent { Metric::AnswerUnsent } else { Metric::AnswerLost }, 1);
                match error {
                    SendError::Unsent(_) => Reaction::Unsent,
                    SendError::Lost(_) => Reaction::Lost("The answer was lost."),
                    SendError::TooLarge if wire.method.mutates() => {
                        Reaction::Lost("The answer was too large to be read.")
                    }
                    SendError::TooLarge => {
                        let resolution = "Ask for less: use the query parameters fields, pagelen or q.";
                        let problem = Problem::new("answer_too_large", error.to_string(), resolution);
                        Reaction::Answered(Judgement::Permanent(problem), Answer::default())
                    }
                }
            }
        }
    }

    /// One request of an action of several.
    pub(crate) async fn exchange(&self, holder: &Holder, wire: &Wire) -> Result<Answer, Stop> {
        let patience = SignedDuration::try_from(TIME_OUT).unwrap_or_default() + TO_STORE;
        let reaction = self.react(holder, wire, self.edge.now() + patience).await?;
        self.settle(&holder.credential.id, wire.method, reaction).await
    }

    /// The same, where the answer is an object. A page that stands in its place says nothing of what is there
    /// and what is not.
    pub(crate) async fn read(&self, holder: &Holder, wire: &Wire) -> Result<Value, Stop> {
        let answer = self.exchange(holder, wire).await?;
        answer.json().filter(Value::is_object).ok_or_else(|| unreadable().into())
    }

    /// Where the link to a list's next page leads, if that is at Bitbucket's API.
    pub(crate) fn follow(&self, next: &str) -> Result<(ApiPath, Vec<(String, String)>), Stop> {
        ApiPath::follow(next, self.api.base()).map_err(|error| {
            let cause = format!("The link to the next page is not followed: {error}.");
            Stop::Failed(Problem::new("foreign_link", cause, "Look at Bitbucket's answer."), None)
        })
    }

    /// What came of one request of an action of several.
    pub(crate) async fn settle(
        &self,
        credential: &CredentialId,
        method: Method,
        reaction: Reaction,
    ) -> Result<Answer, Stop> {
        match reaction {
            Reaction::NotYet(wait) => Err(Again::After(wait, "the hourly allowance is used up").into()),
            Reaction::Unsent => Err(Again::Later("Bitbucket could not be reached").into()),
            Reaction::Lost(what) if method.mutates() => Err(Stop::Unknown(Problem::outcome_unknown(what))),
            Reaction::Lost(_) => Err(Again::Later("Bitbucket's answer was lost").into()),
            Reaction::Answered(judgement, answer) => match judgement {
                Judgement::Succeeded => Ok(answer),
                Judgement::Permanent(problem) | Judgement::Contested(problem) => {
                    Err(Stop::Failed(problem, Some(Box::new(answer))))
                }
                Judgement::Unknown(problem) => Err(Stop::Unknown(problem)),
                Judgement::Transient { after: Some(after), .. } => {
                    Err(Again::After(after, "Bitbucket asked to wait").into())
                }
                Judgement::Transient { .. } => Err(Again::Later("Bitbucket asked to wait").into()),
                Judgement::Unauthorized => {
                    self.nudge(credential).await?;
                    Err(Again::Later("the token is being refreshed").into())
                }
            },
        }
    }

    /// The worker never spends a refresh token: it asks the refresher to.
    pub(crate) async fn nudge(&self, credential: &CredentialId) -> Result<(), Again> {
        let nudge = Nudge { credential: credential.clone(), wish: Wish::Refresh };
        Ok(self.nudges.send(Outgoing::nudge(&nudge)).await?)
    }
}

fn answered(status: u16) -> Metric {
    match status {
        429 => Metric::Answer429,
        400..500 => Metric::Answer4xx,
        500.. => Metric::Answer5xx,
        _ => Metric::Answer2xx,
    }
}

/// An answer of ours, where several requests were made.
pub(crate) fn made(body: &Value) -> Answer {
    let content_type = "application/json".to_owned();
    Answer { status: 200, content_type, body: body.to_string().into_bytes(), ..Answer::default() }
}
