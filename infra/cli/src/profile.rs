//! The running system, as it describes itself to the other commands: a file that only its owner can
//! read, there as long as the system runs.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bucketwheel::aws::Account;
use bucketwheel::config::Settings;
use bucketwheel_local::{KEY, Local, Options, REGION};
use serde::{Deserialize, Serialize};

/// Where everything is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) public_url: String,
    pub(crate) sandbox_url: Option<String>,
    pub(crate) aws_endpoint: String,
    pub(crate) table: String,
    pub(crate) events_queue: String,
    pub(crate) results_queue: String,
    pub(crate) hook_keyring: String,
    pub(crate) access_keyring: String,
    pub(crate) refresh_keyring: String,
    pub(crate) operator_token: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("nothing is running here; start the system first with `cargo run` in another terminal")]
    NotRunning,
    #[error("{path} cannot be written: {source}", path = .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} cannot be read ({reason}); start the system again", path = .path.display())]
    Unreadable { path: PathBuf, reason: String },
}

impl Profile {
    pub(crate) fn of(local: &Local) -> Self {
        let outputs = &local.outputs;
        Self {
            public_url: local.public_url.clone(),
            sandbox_url: local.sandbox_url.clone(),
            aws_endpoint: local.aws_endpoint.clone(),
            table: outputs.table_name.clone(),
            events_queue: outputs.events_queue_url.clone(),
            results_queue: outputs.results_queue_url.clone(),
            hook_keyring: outputs.hook_keyring.clone(),
            access_keyring: outputs.access_keyring.clone(),
            refresh_keyring: outputs.refresh_keyring.clone(),
            operator_token: outputs.operator_token.clone(),
        }
    }

    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|_| Error::NotRunning)?;
        serde_json::from_str(&text)
            .map_err(|error| Error::Unreadable { path: path.to_owned(), reason: error.to_string() })
    }

    /// Writes the file; it is removed when the guard is dropped.
    pub(crate) fn publish(&self, path: &Path) -> Result<Published, Error> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let Ok(text) = serde_json::to_string_pretty(self) else { unreachable!("a profile is texts") };
        let mut file = private(path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(Published(path.to_owned()))
    }

    pub(crate) fn account(&self) -> Account {
        let lookup = |name: &str| match name {
            "AWS_REGION" => Some(REGION.to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some(KEY.to_owned()),
            "AWS_ENDPOINT_URL" => Some(self.aws_endpoint.clone()),
            _ => None,
        };
        Account::from(&mut Settings::new(lookup))
    }
}

pub(crate) struct Published(PathBuf);

impl Drop for Published {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where the file is unless somebody says otherwise.
pub(crate) fn usual_path() -> PathBuf {
    Options::default().state.join("running.json")
}

fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
