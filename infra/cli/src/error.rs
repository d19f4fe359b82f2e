//! What goes wrong, how it is told, and with which number the command ends.

use std::error::Error as _;
use std::iter::successors;
use std::process::ExitCode;

use bucketwheel::call::Problem;
use serde_json::{Value, json};

use crate::{by_hand, console, demo, profile, rotate};

/// What the command ends with: the end of its help, and of its manual page.
pub(crate) const NUMBERS: &str = "\
Exit status:
  0    it is done
  1    it could not be done; the text says why and what to do
  2    the command line is wrong
  3    doctor found something wrong
  4    there is no profile, or nothing answers at its address
  5    nobody knows yet what became of a call: look at Bitbucket before you repeat it
  141  whoever read the output went away, as head does";

/// What went wrong. [`Error::remedy`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Local(#[from] bucketwheel_local::Error),
    #[error(transparent)]
    Profile(#[from] profile::Error),
    #[error(transparent)]
    Console(#[from] console::Error),
    #[error(transparent)]
    Demo(#[from] demo::Error),
    #[error(transparent)]
    ByHand(#[from] by_hand::Error),
    #[error(transparent)]
    Rotate(#[from] rotate::Error),
    #[error("the events queue cannot be read: {0}")]
    Events(#[from] bucketwheel::ports::QueueError),
    #[error("{} dead letters were not met: {}", .0.len(), .0.join(", "))]
    Missing(Vec<String>),
    #[error("there {}", match .0 { 0 => "is no credential yet".to_owned(), n => format!("are {n} credentials") })]
    WhichCredential(usize),
    #[error("the call did not succeed: {code}\n  cause       {cause}\n  resolution  {resolution}", code = .0.code, cause = .0.cause, resolution = .0.resolution)]
    Call(Problem),
    #[error("nobody knows what became of the call: {code}\n  cause       {cause}\n  resolution  {resolution}", code = .0.code, cause = .0.cause, resolution = .0.resolution)]
    Unknown(Problem),
    #[error("{0} of the checks found something wrong")]
    Findings(usize),
    #[error("the body is not JSON: {0}")]
    Body(serde_json::Error),
    #[error("the file {0} cannot be read: {1}")]
    File(String, std::io::Error),
    #[error("the manual cannot be written: {0}")]
    Manual(std::io::Error),
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

impl Error {
    /// The number that the command ends with. `infra/cli/README.md` lists them; clap ends with 2.
    fn number(&self) -> u8 {
        match self {
            Error::Findings(_) => 3,
            Error::Profile(profile::Error::NotRunning(_) | profile::Error::Unreadable { .. })
            | Error::Console(console::Error::Unreachable(_)) => 4,
            Error::Unknown(_) | Error::Console(console::Error::NoOutcome(_)) => 5,
            _ => 1,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    /// What happened, with what the operating system or the network said of it.
    pub(crate) fn cause(&self) -> String {
        let text = self.to_string();
        match successors(self.source(), |error: &&(dyn std::error::Error + 'static)| (*error).source())
            .last()
            .map(ToString::to_string)
        {
            Some(innermost) if !text.contains(&innermost) => format!("{text}: {innermost}"),
            _ => text,
        }
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        let remedy = match self {
            Error::Local(error) => return error.remedy(),
            Error::Console(error) => return error.remedy(),
            Error::Call(problem) | Error::Unknown(problem) => return problem.resolution.clone(),
            Error::Profile(error) => error.remedy(),
            Error::Demo(error) => error.remedy(),
            Error::ByHand(error) => error.remedy(),
            Error::Rotate(error) => error.remedy(),
            Error::Events(_) => "do your AWS credentials allow it, and does the system run?",
            Error::WhichCredential(0) => "make one with `bucketwheel connect`",
            Error::WhichCredential(_) => "say which with --credential",
            Error::Findings(_) => "do as they say",
            Error::Missing(_) => {
                "list them again: they were sent again already, or somebody else is looking at them"
            }
            Error::Body(_) => "correct --body, or the file that it names",
            Error::File(..) => "name a file that you can read",
            Error::Manual(_) => "name another folder",
            Error::Signals(_) => "run it again",
        };
        remedy.to_owned()
    }

    /// For people: what happened and what to do, on one line, or on three for a call.
    pub(crate) fn words(&self) -> String {
        match self {
            Error::Call(_) | Error::Unknown(_) | Error::Console(console::Error::Refused(_)) => {
                self.to_string()
            }
            _ => format!("{}; {}", self.cause(), self.remedy()),
        }
    }

    /// The same for programs.
    pub(crate) fn as_json(&self) -> Value {
        let problem = match self {
            Error::Call(problem) | Error::Unknown(problem) => problem.clone(),
            Error::Console(console::Error::Refused(problem)) => problem.clone(),
            other => {
                let code = match (other, other.number()) {
                    (Error::Profile(_), 4) => "no_profile",
                    (_, 3) => "findings",
                    (_, 4) => "unreachable",
                    (_, 5) => "unknown",
                    _ => "failed",
                };
                Problem::new(code, other.cause(), other.remedy())
            }
        };
        json!({ "error": problem })
    }
}

/// A wrong command line, for programs.
pub(crate) fn misused(wrong: &clap::Error) -> Value {
    let text = wrong.render().to_string();
    let (cause, usage) = text.split_once("\n\n").unwrap_or((&text, ""));
    let on_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cause = on_one_line(cause.trim_start_matches("error: "));
    json!({ "error": Problem::new("misused", cause, on_one_line(usage)) })
}
