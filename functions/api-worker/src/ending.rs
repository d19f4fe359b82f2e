//! The end of a call: its outcome is stored, then said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bucketwheel::call::{Answer, Call, CallId, Ending, Message, Outcome, Reply, State};
use bucketwheel::credential::CredentialId;
use bucketwheel::metric::Metric;
use bucketwheel::ports::{Edge, Outgoing, Queue, Table, TableError};
use bucketwheel::store::calls;
use bucketwheel::trace::Trace;

use crate::Worker;
use crate::work::Again;

/// Whose outcome it is, and where it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct To<'a> {
    pub(crate) id: &'a CallId,
    pub(crate) credential: &'a CredentialId,
    pub(crate) reply: Reply,
    /// None if it could not be read.
    pub(crate) call: Option<&'a Call>,
    pub(crate) trace: Option<&'a Trace>,
}

impl<'a> From<&'a Message> for To<'a> {
    fn from(message: &'a Message) -> Self {
        let Message { id, credential, reply, call, traceparent, .. } = message;
        Self { id, credential, reply: *reply, call: Some(call), trace: traceparent.as_ref() }
    }
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    pub(crate) async fn end(&self, message: &Message, mut ending: Ending) -> Result<(), Again> {
        if let (Call::Single(single), State::Succeeded, Some(answer)) =
            (&message.call, ending.state, &mut ending.answer)
            && let Some(body) = answer.json()
        {
            answer.body = single.output(&body).to_string().into_bytes();
        }
        if let (Call::Request(request), Some(answer)) = (&message.call, &mut ending.answer) {
            answer.raw = request.raw && ending.state == State::Succeeded;
        }
        self.finish(message.into(), ending).await
    }

    pub(crate) async fn finish(&self, to: To<'_>, ending: Ending) -> Result<(), Again> {
        let outcome = self.outcome(to, ending);
        let what = to.call.map_or_else(|| "unreadable".to_owned(), Call::what);
        match calls::finish(&self.table, &outcome, &what, self.edge.now()).await {
            // Another worker stored an outcome first; that one counts, and it has been replied.
            Ok(()) => self.tally.add(ended(outcome.state), 1),
            Err(TableError::Refused) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::info!(
            call = outcome.id.as_str(),
            credential = outcome.credential.as_str(),
            state = ?outcome.state,
            status = outcome.status,
            "call"
        );
        self.reply(&outcome, to.reply).await
    }

    pub(crate) async fn reply(&self, outcome: &Outcome, reply: Reply) -> Result<(), Again> {
        if reply == Reply::Queue {
            let Ok(text) = serde_json::to_string(outcome) else {
                unreachable!("an outcome is texts and numbers")
            };
            self.results.send(Outgoing::plain(text)).await?;
        }
        Ok(())
    }

    pub(crate) fn outcome(&self, to: To<'_>, ending: Ending) -> Outcome {
        let Ending { state, error, answer, evidence, pages } = ending;
        let answered = answer.is_some();
        let answer = answer.unwrap_or_default();
        let body = if answer.raw { None } else { answer.json() };
        let Answer { status, headers, body: bytes, .. } = answer;
        let is_text = body.is_some() || bytes.is_empty();
        Outcome {
            status: answered.then_some(status),
            headers,
            body,
            body_base64: (!is_text).then(|| STANDARD.encode(bytes)),
            error,
            evidence,
            pages,
            traceparent: to.trace.cloned(),
            ..Outcome::new(to.id.clone(), to.credential.clone(), state, self.edge.now())
        }
    }
}

fn ended(state: State) -> Metric {
    match state {
        State::Succeeded | State::Part => Metric::CallSucceeded,
        State::Failed => Metric::CallFailed,
        State::Unknown => Metric::CallUnknown,
        State::Expired => Metric::CallExpired,
    }
}
