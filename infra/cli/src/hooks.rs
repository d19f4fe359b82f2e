//! `bucketwheel hooks` and `bucketwheel rotate hook`: the webhooks of a credential. All of it is done by
//! the worker, with the credential's own token.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::console::Console;
use crate::profile::Profile;
use crate::verbs::{say, the_credential};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Have Bitbucket send the events of a repository, or of all of a workspace
    Attach {
        /// workspace/repository, or workspace
        subject: String,
        /// The event keys to send; may be given several times
        #[arg(long = "event", value_name = "KEY", default_value = "repo:push")]
        events: Vec<String>,
        /// The credential to use; not needed if there is only one
        #[arg(long)]
        credential: Option<String>,
    },
    /// Set right what somebody changed, disabled or deleted at Bitbucket
    Repair {
        /// The credential to use; not needed if there is only one
        #[arg(long)]
        credential: Option<String>,
    },
    /// Take the credential's hooks away at Bitbucket, and their secrets here
    Remove {
        /// The credential to use; not needed if there is only one
        #[arg(long)]
        credential: Option<String>,
    },
}

pub(crate) async fn obey(profile: &Profile, verb: Verb) -> Result<(), crate::Error> {
    let (credential, action) = match verb {
        Verb::Attach { subject, events, credential } => {
            (credential, json!({ "action": "ensure_hook", "repository": subject, "events": events }))
        }
        Verb::Repair { credential } => (credential, json!({ "action": "repair_hooks" })),
        Verb::Remove { credential } => (credential, json!({ "action": "remove_hooks" })),
    };
    act(profile, credential, &action).await
}

pub(crate) async fn rotate(profile: &Profile, credential: Option<String>) -> Result<(), crate::Error> {
    act(profile, credential, &json!({ "action": "rotate_hook" })).await
}

async fn act(profile: &Profile, credential: Option<String>, action: &Value) -> Result<(), crate::Error> {
    let console = Console::new(profile)?;
    let credential = the_credential(&console, credential).await?;
    let outcome = console.call(&json!({ "credential": credential, "call": action })).await?;
    match outcome.error {
        Some(problem) => Err(crate::Error::Call(problem)),
        None => {
            say(&format!("{:#}", outcome.body.unwrap_or_default()));
            Ok(())
        }
    }
}
