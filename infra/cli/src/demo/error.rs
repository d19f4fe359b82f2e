//! Why the demo ended early, and what to do about it.

use bucketwheel::ports::{QueueError, TableError};
use bucketwheel_sandbox::person::Lost;

use crate::profile;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the demo needs the sandbox")]
    NoSandbox,
    #[error("the sandbox cannot be reached: {0}")]
    Sandbox(#[from] reqwest::Error),
    #[error("the browser got lost: {0}")]
    Browser(#[from] Lost),
    #[error(transparent)]
    Profile(#[from] profile::Error),
    #[error("the table cannot be read: {0}")]
    Table(#[from] TableError),
    #[error("the queue cannot be read: {0}")]
    Queue(#[from] QueueError),
    #[error("{0}")]
    Unexpected(String),
}

impl Error {
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::NoSandbox => "start the system without --bitbucket",
            Self::Profile(error) => error.remedy(),
            Self::Sandbox(_) | Self::Browser(_) | Self::Table(_) | Self::Queue(_) => {
                "is the system still running?"
            }
            Self::Unexpected(_) => "the logs of the functions say more",
        }
    }
}
