//! What goes wrong, how it is told, and with which number the command ends.

use std::process::ExitCode;

use bucketwheel::call::Problem;
use serde_json::{Value, json};

use crate::{by_hand, console, demo, profile, rotate};

/// What went wrong, for people: one line, with the remedy.
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
    #[error("there {}; say which with --credential", match .0 { 0 => "is no credential yet".to_owned(), n => format!("are {n} credentials") })]
    WhichCredential(usize),
    #[error("the call did not succeed: {code}\n  cause       {cause}\n  resolution  {resolution}", code = .0.code, cause = .0.cause, resolution = .0.resolution)]
    Call(Problem),
    #[error("nobody knows what became of the call: {code}\n  cause       {cause}\n  resolution  {resolution}", code = .0.code, cause = .0.cause, resolution = .0.resolution)]
    Unknown(Problem),
    #[error("found wrong: {0}")]
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
            Error::Profile(_) | Error::Console(console::Error::Unreachable(_)) => 4,
            Error::Unknown(_) | Error::Console(console::Error::NoOutcome(_)) => 5,
            _ => 1,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    /// The same for programs.
    pub(crate) fn as_json(&self) -> Value {
        let problem = match self {
            Error::Call(problem) | Error::Unknown(problem) => problem.clone(),
            Error::Console(console::Error::Refused(problem)) => problem.clone(),
            other => {
                let code = match other.number() {
                    3 => "findings",
                    4 => "unreachable",
                    5 => "unknown",
                    _ => "failed",
                };
                Problem::new(code, other.to_string(), "")
            }
        };
        json!({ "error": problem })
    }
}
