//! One message: carries out what the verdicts say.

use bucketwheel::call::{
    self, Answer, Call, CallId, Ending, Entry, Evidence, Message, Problem, Reaction, Reply, Sent, State,
    Verdict, Wire,
};
use bucketwheel::credential::{CredentialId, Health};
use bucketwheel::ports::{Edge, Queue, QueueError, Table, TableError};
use bucketwheel::store::calls;
use bucketwheel::trace::{self, Trace};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::Worker;
use crate::ending::To;
use crate::exchange::Stop;
use crate::holder::{Holder, is_last};

/// The queue gives a message up after fifty receives. Shortly before that its call is ended, with its
/// cause, instead of being lost among the dead letters.
const MOST_RECEIVES: u32 = 48;
/// How often one visit may send or look.
const MOST_TURNS: usize = 6;
/// A request is not begun when less time than this is left.
const LEAST_TIME: SignedDuration = SignedDuration::from_secs(2);

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
    #[error("not done yet: {1}")]
    After(SignedDuration, &'static str),
}

impl Again {
    /// How long to wait, if that is known.
    pub(crate) fn after(&self) -> Option<SignedDuration> {
        match self {
            Again::After(after, _) => Some(*after),
            _ => None,
        }
    }

    fn wait(after: Option<SignedDuration>, why: &'static str) -> Self {
        match after {
            Some(after) => Again::After(after, why),
            None => Again::Later(why),
        }
    }
}

/// What can be read of a message that is not a call: enough to answer it.
#[derive(Deserialize)]
struct Addressed {
    id: CallId,
    credential: CredentialId,
    #[serde(default, deserialize_with = "trace::lenient")]
    traceparent: Option<Trace>,
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    pub(crate) async fn work(&self, text: &str, receives: u32, until: Timestamp) -> Result<(), Again> {
        let message: Message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                let Ok(Addressed { id, credential, traceparent }) = serde_json::from_str(text) else {
                    return Err(Again::NotACall(error));
                };
                let trace = traceparent.as_ref();
                let to = To { id: &id, credential: &credential, reply: Reply::Queue, call: None, trace };
                let problem = Problem::new("bad_call", error.to_string(), "Correct the message.");
                return self.finish(to, Ending::failed(problem)).await;
            }
        };
        match self.carry_out(&message, until).await {
            Err(Again::Later(why) | Again::After(_, why)) if receives >= MOST_RECEIVES => {
                let entry = calls::get(&self.table, &message.id, self.edge.now()).await?;
                match call::given_up(entry, receives, why) {
                    Verdict::Finish(ending) => self.end(&message, *ending).await,
                    Verdict::Reply(outcome) => self.reply(&outcome, message.reply).await,
                    _ => unreachable!("who gives up neither sends nor waits"),
                }
            }
            // Nobody waits beyond the deadline to be told that it has passed.
            Err(Again::After(after, why)) if message.deadline.is_some() => {
                let left = message.deadline.map(|deadline| deadline.duration_since(self.edge.now()));
                Err(Again::After(after.min(left.unwrap_or(after)).max(SignedDuration::from_secs(1)), why))
            }
            carried_out => carried_out,
        }
    }

    async fn carry_out(&self, message: &Message, until: Timestamp) -> Result<(), Again> {
        let now = self.edge.now();
        let mut verdict = call::arrived(calls::get(&self.table, &message.id, now).await?, message, now);
        for _ in 0..MOST_TURNS {
            verdict = match verdict {
                Verdict::Send(before) => self.send(message, before, until).await?,
                Verdict::Look(sent, evidence) => self.look(message, sent, evidence, until).await?,
                Verdict::Finish(ending) => return self.end(message, *ending).await,
                Verdict::Reply(outcome) => return self.reply(&outcome, message.reply).await,
                Verdict::Wait(after, why) => return Err(Again::wait(after, why)),
                Verdict::Nudge => {
                    self.nudge(&message.credential).await?;
                    return Err(Again::Later("the token is being refreshed"));
                }
            };
        }
        Err(Again::Later("Bitbucket's answers are lost again and again"))
    }

    /// Sends it. If it could do something twice it is written down first, and that is taken back only
    /// where Bitbucket certainly did nothing.
    async fn send(
        &self,
        message: &Message,
        before: Option<Sent>,
        until: Timestamp,
    ) -> Result<Verdict, Again> {
        let verdict = self.send_if_allowed(message, before, until).await?;
        let sent = match &verdict {
            Verdict::Finish(ending) if ending.state == State::Unknown => {
                match calls::get(&self.table, &message.id, self.edge.now()).await? {
                    Entry::Sent(sent) => Some(sent),
                    _ => before,
                }
            }
            _ => before,
        };
        Ok(call::in_doubt(sent, verdict))
    }

    async fn send_if_allowed(
        &self,
        message: &Message,
        before: Option<Sent>,
        until: Timestamp,
    ) -> Result<Verdict, Again> {
        if self.little_time(until) {
            return Ok(Verdict::Wait(Some(SignedDuration::from_secs(1)), "no time was left for it"));
        }
        let holder = match self.holder(message).await? {
            Ok(holder) => holder,
            Err(problem) => return Ok(Ending::failed(problem).into()),
        };
        if holder.credential.status.health == Health::Down && !is_last(message) {
            return Ok(Verdict::Wait(None, "the credential is down"));
        }
        let wire = match &message.call {
            Call::Request(request) => request.wire(),
            Call::Single(single) => single.request().and_then(|request| request.wire()),
            Call::Action(action) => {
                let mut requests = action.requests().into_iter();
                let refusal =
                    requests.find_map(|(method, path)| call::refusal(method, &path, &holder.credential));
                return match refusal.filter(|_| !message.force) {
                    Some(problem) => Ok(Ending::failed(problem).into()),
                    None => verdict(self.action(message, action, &holder, before, until).await),
                };
            }
        };
        let wire = match wire {
            Ok(wire) => wire,
            Err(problem) => return Ok(Ending::failed(problem).into()),
        };
        let refusal = call::refusal(wire.method, &wire.path, &holder.credential);
        if let Some(problem) = refusal.filter(|_| !message.force) {
            return Ok(Ending::failed(problem).into());
        }
        match message.paginate {
            Some(paginate) => self.pages(message, paginate, wire, &holder, until).await,
            None => self.send_once(message, before, &holder, &wire, until).await,
        }
    }

    async fn send_once(
        &self,
        message: &Message,
        before: Option<Sent>,
        holder: &Holder,
        wire: &Wire,
        until: Timestamp,
    ) -> Result<Verdict, Again> {
        // Asked before anything is written down, so that whoever dies here leaves no doubt.
        if let Some(wait) = self.room(holder, wire).await? {
            return Ok(call::answered(before, Reaction::NotYet(wait)));
        }
        let now = self.edge.now();
        let sent = Sent { at: now, until, by: u32::from_be_bytes(self.edge.random()) };
        let sent = wire.method.mutates().then_some(sent);
        if let Some(sent) = sent {
            match calls::about_to_send(&self.table, &message.id, sent, before, now).await {
                Err(TableError::Refused) => return Err(Again::Elsewhere),
                written => written?,
            }
        }
        let verdict = call::answered(sent, self.transmit(holder, wire, until).await?);
        if let (Some(sent), Verdict::Wait(..) | Verdict::Nudge) = (sent, &verdict) {
            calls::not_sent(&self.table, &message.id, sent, self.edge.now()).await?;
        }
        Ok(verdict)
    }

    /// Looks at Bitbucket for what became of a request whose answer never came.
    async fn look(
        &self,
        message: &Message,
        sent: Sent,
        evidence: Evidence,
        until: Timestamp,
    ) -> Result<Verdict, Again> {
        // Who may not send may not look either.
        let Ok(holder) = self.holder(message).await? else { return Ok(call::looked(sent, evidence, None)) };
        let recipe = match &message.call {
            Call::Request(request) => call::look(request),
            Call::Single(single) => single.request().ok().and_then(|request| call::look(&request)),
            // Such an action looks by itself.
            Call::Action(_) => return self.send(message, Some(sent), until).await,
        };
        let Some(recipe) = recipe else { return Ok(call::looked(sent, evidence, None)) };
        if self.little_time(until) {
            return Ok(Verdict::Wait(Some(SignedDuration::from_secs(1)), "no time was left to look"));
        }
        Ok(match call::answered(None, self.react(&holder, &recipe.wire, until).await?) {
            Verdict::Finish(ending) => {
                let answer = ending.answer.unwrap_or_default();
                let seen = recipe.read(&answer);
                call::looked(sent, evidence, Some((seen, recipe.shown(answer))))
            }
            other => other,
        })
    }

    pub(crate) fn little_time(&self, until: Timestamp) -> bool {
        until.duration_since(self.edge.now()) < LEAST_TIME
    }
}

/// What an action of several requests comes to.
fn verdict(done: Result<Option<Answer>, Stop>) -> Result<Verdict, Again> {
    Ok(match done {
        Ok(answer) => Ending { answer, ..Ending::new(State::Succeeded) }.into(),
        Err(Stop::Failed(problem, answer)) => {
            Ending { answer: answer.map(|answer| *answer), ..Ending::failed(problem) }.into()
        }
        Err(Stop::Unknown(problem)) => Ending { error: Some(problem), ..Ending::new(State::Unknown) }.into(),
        Err(Stop::Again(again)) => return Err(again),
    })
}
