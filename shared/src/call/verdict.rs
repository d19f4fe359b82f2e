//! What happens to a call: from what the journal says, what Bitbucket answered and the time, to a verdict.
//!
//! ```text
//! arrived ─▶ Send ─▶ answered ─▶ Finish
//!    │                  │ lost: Look ─▶ looked ─▶ Finish, or Send again what cannot be done twice
//!    ├▶ Reply (the outcome is stored)
//!    └▶ Wait (another worker is at it)
//! ```

use jiff::{SignedDuration, Timestamp};

use super::{Answer, Evidence, Judgement, Message, Outcome, Pages, Problem, Seen, State};

/// What the journal knows of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Nothing.
    New,
    /// It was put on the calls queue by the console at that time, and no worker has sent it.
    Queued(Timestamp),
    /// It was about to be sent, and no outcome was stored.
    Sent(Sent),
    /// It is over.
    Finished(Box<Outcome>),
}

/// A mutation that was written down before it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Timestamp,
    /// Until when its worker may live. Lambda ends it then, whatever it does.
    pub until: Timestamp,
    /// A number that only this worker's entry has.
    pub by: u32,
}

/// The clocks of two machines may differ so much.
const SKEW: SignedDuration = SignedDuration::from_secs(1);

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Send it. A mutation is written down first; the entry that it replaces is given.
    Send(Option<Sent>),
    /// It was sent and its end is not known: look at Bitbucket, if there is a recipe.
    Look(Sent, Evidence),
    /// It is over: store the outcome.
    Finish(Box<Ending>),
    /// It was over before: say it again.
    Reply(Box<Outcome>),
    /// Put the message back: for so long, or for the usual time.
    Wait(Option<SignedDuration>, &'static str),
    /// The token is not valid (any more): ask for a new one, and put the message back.
    Nudge,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The verdict.
    pub state: State,
    /// What went wrong.
    pub error: Option<Problem>,
    /// Bitbucket's answer.
    pub answer: Option<Answer>,
    /// What is known if the answer was lost.
    pub evidence: Option<Evidence>,
    /// What a paginated call brought.
    pub pages: Option<Pages>,
}

impl Ending {
    /// It was not done.
    pub fn failed(error: Problem) -> Self {
        Self { error: Some(error), ..Self::new(State::Failed) }
    }

    /// It was done; this is the answer.
    pub fn succeeded(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::new(State::Succeeded) }
    }

    /// An ending of which nothing but the verdict is known.
    pub fn new(state: State) -> Self {
        Self { state, error: None, answer: None, evidence: None, pages: None }
    }
}

impl From<Ending> for Verdict {
    fn from(ending: Ending) -> Self {
        Verdict::Finish(Box::new(ending))
    }
}

/// What came of sending.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// Bitbucket answered.
    Answered(Judgement, Answer),
    /// There is no room for it before so much time is over, so it was not sent.
    NotYet(SignedDuration),
    /// No connection came about.
    Unsent,
    /// It was sent, and no answer came.
    Lost(&'static str),
}

/// A message has come, for the first time or again.
pub fn arrived(entry: Entry, message: &Message, now: Timestamp) -> Verdict {
    match entry {
        Entry::Finished(outcome) => Verdict::Reply(outcome),
        Entry::Sent(sent) if now < sent.until + SKEW => {
            let left = (sent.until + SKEW).duration_since(now);
            Verdict::Wait(Some(left), "another worker is at it")
        }
        Entry::Sent(sent) => {
            let instead = "The worker that was about to send it died.".to_owned();
            Verdict::Look(sent, Evidence { sent_at: sent.at, instead, looked: None })
        }
        Entry::New | Entry::Queued(_) if message.deadline.is_some_and(|deadline| deadline <= now) => {
            let problem = Problem::new("expired", "The deadline has passed.", "Submit it again.");
            Ending { error: Some(problem), ..Ending::new(State::Expired) }.into()
        }
        Entry::New | Entry::Queued(_) => Verdict::Send(None),
    }
}

/// A request was sent. `sent` is its entry in the journal, which only a mutation has.
pub fn answered(sent: Option<Sent>, reaction: Reaction) -> Verdict {
    let lost = |instead: String| match sent {
        Some(sent) => Verdict::Look(sent, Evidence { sent_at: sent.at, instead, looked: None }),
        None => Verdict::Wait(None, "Bitbucket's answer was lost"),
    };
    match reaction {
        Reaction::NotYet(wait) => Verdict::Wait(Some(wait), "the hourly allowance is used up"),
        Reaction::Unsent => Verdict::Wait(None, "Bitbucket could not be reached"),
        Reaction::Lost(instead) => lost(instead.to_owned()),
        Reaction::Answered(judgement, answer) => match judgement {
            Judgement::Succeeded => Ending::succeeded(answer).into(),
            Judgement::Permanent(problem) | Judgement::Contested(problem) => {
                Ending { answer: Some(answer), ..Ending::failed(problem) }.into()
            }
            Judgement::Unauthorized => Verdict::Nudge,
            Judgement::Transient { after, .. } => Verdict::Wait(after, "Bitbucket asked to wait"),
            Judgement::Unknown(problem) => lost(problem.cause),
        },
    }
}

/// A look was taken, or there is no recipe for one.
pub fn looked(sent: Sent, evidence: Evidence, seen: Option<(Seen, Answer)>) -> Verdict {
    let told = |looked: &str| Evidence { looked: Some(looked.to_owned()), ..evidence.clone() };
    let unknown = |cause: String, evidence| {
        let error = Some(Problem::outcome_unknown(cause));
        Ending { error, evidence: Some(evidence), ..Ending::new(State::Unknown) }.into()
    };
    match seen {
        None => unknown(evidence.instead.clone(), evidence),
        Some((Seen::Done(what), answer)) => {
            Ending { evidence: Some(told(what)), ..Ending::succeeded(answer) }.into()
        }
        Some((Seen::NotDone(_), _)) => Verdict::Send(Some(sent)),
        Some((Seen::Unclear(what), _)) => {
            unknown(format!("{} A look at Bitbucket: {what}.", evidence.instead), told(what))
        }
    }
}

/// A call that may have been sent `before` was about to be looked for or sent again. If that ended without
/// an answer of Bitbucket, the end of the first request stays unknown.
pub fn in_doubt(before: Option<Sent>, verdict: Verdict) -> Verdict {
    match (before, verdict) {
        (Some(sent), Verdict::Finish(ending)) if ending.answer.is_none() => {
            let instead = match ending.error {
                Some(problem) if ending.state == State::Unknown => problem.cause,
                // Bitbucket has shown that nothing was done.
                Some(problem) if problem.code == "conflict" => return Ending::failed(problem).into(),
                Some(problem) => {
                    format!("The answer was lost, and it cannot be looked for: {}", problem.cause)
                }
                None => "The answer was lost.".to_owned(),
            };
            looked(sent, Evidence { sent_at: sent.at, instead, looked: None }, None)
        }
        (_, verdict) => verdict,
    }
}

/// The message was received so often that it would end among the dead letters next. `why` says what it
/// waits for.
pub fn given_up(entry: Entry, receives: u32, why: &str) -> Verdict {
    let cause = format!("It was tried {receives} times; the last time {why}.");
    match entry {
        Entry::Finished(outcome) => Verdict::Reply(outcome),
        Entry::Sent(sent) => {
            let instead = format!("No answer came. {cause}");
            looked(sent, Evidence { sent_at: sent.at, instead, looked: None }, None)
        }
        Entry::New | Entry::Queued(_) => {
            let error = Some(Problem::new("gave_up", cause, "Mend that, then submit it again."));
            Ending { error, ..Ending::new(State::Expired) }.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn message(deadline: Option<i64>) -> Message {
        let text = r#"{"id":"a","credential":"c","call":{"method":"POST","path":"user"}}"#;
        let message: Message = serde_json::from_str(text).expect("a message");
        Message { deadline: deadline.map(at), ..message }
    }

    const fn sent() -> Sent {
        Sent { at: Timestamp::UNIX_EPOCH, until: Timestamp::UNIX_EPOCH, by: 1 }
    }

    #[test]
    fn what_may_have_been_sent_is_never_sent_again_without_a_look() {
        let alive = Entry::Sent(Sent { at: at(10), until: at(60), by: 1 });
        assert!(matches!(arrived(alive.clone(), &message(None), at(60)), Verdict::Wait(Some(_), _)));
        assert!(matches!(arrived(alive.clone(), &message(None), at(61)), Verdict::Look(..)));
        // A deadline does not undo it.
        assert!(matches!(arrived(alive, &message(Some(1)), at(61)), Verdict::Look(..)));
        for reaction in [
            Reaction::Lost("The connection broke."),
            Reaction::Answered(Judgement::Unknown(Problem::outcome_unknown("555")), Answer::default()),
        ] {
            assert!(matches!(answered(Some(sent()), reaction), Verdict::Look(..)));
        }
    }

    #[test]
    fn only_a_look_that_shows_nothing_sends_again() {
        let evidence = Evidence { sent_at: at(0), instead: "It broke.".into(), looked: None };
        let look = |seen| looked(sent(), evidence.clone(), seen);
        let state = |verdict: Verdict| match verdict {
            Verdict::Finish(ending) => Some((ending.state, ending.evidence.and_then(|e| e.looked))),
            _ => None,
        };
        assert_eq!(state(look(None)), Some((State::Unknown, None)));
        let seen = |seen| Some((seen, Answer::default()));
        assert_eq!(
            state(look(seen(Seen::Done("there")))),
            Some((State::Succeeded, Some("there".to_owned())))
        );
        assert_eq!(state(look(seen(Seen::Unclear("?")))), Some((State::Unknown, Some("?".to_owned()))));
        assert_eq!(look(seen(Seen::NotDone("none"))), Verdict::Send(Some(sent())));
    }

    #[test]
    fn a_call_that_was_not_sent_expires() {
        assert_eq!(arrived(Entry::New, &message(Some(5)), at(4)), Verdict::Send(None));
        let late = arrived(Entry::Queued(at(0)), &message(Some(5)), at(5));
        assert!(matches!(late, Verdict::Finish(ending) if ending.state == State::Expired));
    }

    #[test]
    fn a_call_that_is_given_up_is_unknown_if_it_may_have_been_sent() {
        let state = |entry| match given_up(entry, 48, "it rained") {
            Verdict::Finish(ending) => ending.state,
            other => panic!("{other:?}"),
        };
        assert_eq!(state(Entry::Queued(at(0))), State::Expired);
        assert_eq!(state(Entry::Sent(sent())), State::Unknown);
    }

    #[test]
    fn what_cannot_be_looked_for_any_more_is_unknown_and_not_failed() {
        let state = |before, problem: &str| match in_doubt(
            before,
            Ending::failed(Problem::new(problem, "why", "what")).into(),
        ) {
            Verdict::Finish(ending) => (ending.state, ending.evidence.is_some()),
            other => panic!("{other:?}"),
        };
        assert_eq!(state(Some(sent()), "disabled"), (State::Unknown, true));
        assert_eq!(state(Some(sent()), "conflict"), (State::Failed, false));
        assert_eq!(state(None, "disabled"), (State::Failed, false));
    }

    #[test]
    fn a_read_whose_answer_was_lost_waits_and_is_read_again() {
        assert!(matches!(answered(None, Reaction::Lost("x")), Verdict::Wait(..)));
        assert!(matches!(answered(None, Reaction::Unsent), Verdict::Wait(..)));
        let refused = Reaction::Answered(Judgement::Unauthorized, Answer::default());
        assert_eq!(answered(None, refused), Verdict::Nudge);
    }
}
