//! Why there is no profile, and what to do about it.

use std::io;
use std::path::PathBuf;

use bucketwheel::aws::SecretError;
use bucketwheel::config::BadSettings;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("nothing is running here: there is no profile {}", .0.display())]
    NotRunning(PathBuf),
    #[error("{} is there, and is not the profile of a local system", .0.display())]
    NotLocal(PathBuf),
    #[error("{path} cannot be written: {source}", path = .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} cannot be read: {reason}", path = .path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the outputs {path} cannot be read: {reason}", path = .path.display())]
    NoOutputs { path: PathBuf, reason: String },
    #[error("the outputs of the stack lack {}", .0.join(", "))]
    Outputs(Vec<&'static str>),
    #[error("AWS cannot be asked: {0}")]
    Account(#[from] BadSettings),
    #[error("the operator token cannot be read: {0}")]
    Token(#[from] SecretError),
}

impl Error {
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::NotRunning(_) => {
                "start the system with `cargo run` in another terminal, or name the profile of a deployed one with --profile"
            }
            Self::NotLocal(_) => "name another file with --profile: this one would be written over",
            Self::Write { .. } => "name another file with --profile",
            Self::Unreadable { .. } => {
                "write it again, with `bucketwheel profile` or by a new `bucketwheel local`"
            }
            Self::NoOutputs { .. } => "give what `aws cloudformation describe-stacks --stack-name …` prints",
            Self::Outputs(_) => "give those of the main stack",
            Self::Account(_) => {
                "give AWS credentials, for example by `aws configure export-credentials --format env`"
            }
            Self::Token(_) => "put operator_token into the profile, or use AWS credentials that may read it",
        }
    }
}
