//! The `bucketwheel` command.

mod console;
mod demo;
mod events;
mod hooks;
mod local;
mod profile;
mod verbs;

use std::path::PathBuf;
use std::process::ExitCode;

use bucketwheel::call::{Method, Problem};
use clap::{Parser, Subcommand};

use crate::profile::Profile;

/// Bucketwheel: a Bitbucket Cloud integration that loses neither webhooks nor tokens.
#[derive(Debug, Parser)]
#[command(name = "bucketwheel", version)]
struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    local: local::Arguments,
    /// The file that says where the running system is
    #[arg(long, global = true, value_name = "FILE", env = "BUCKETWHEEL_PROFILE")]
    profile: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the whole system on this machine (the default)
    Local(local::Arguments),
    /// Show on the running system: a connect, a webhook, a refresh and a call
    Demo,
    /// Make a link with which one person connects one Bitbucket account
    Connect {
        /// The workspace that the credential is meant for: its slug, or its uuid with braces
        #[arg(long)]
        workspace: String,
        /// What to call the credential
        #[arg(long)]
        label: String,
        /// The end user that it belongs to, in your own words
        #[arg(long)]
        owner: Option<String>,
        /// Renew this credential instead of making a new one
        #[arg(long)]
        credential: Option<String>,
    },
    /// List the credentials and what they are worth
    Credentials,
    /// See what is on the events queue
    #[command(subcommand)]
    Events(events::Verb),
    /// Register, repair and remove the webhooks of a credential
    #[command(subcommand)]
    Hooks(hooks::Verb),
    /// Give secrets and keys successors
    #[command(subcommand)]
    Rotate(hooks::Rotate),
    /// Send one Bitbucket API call through the worker and print the answer
    Call {
        /// GET, POST, PUT, PATCH or DELETE
        #[arg(value_parser = method)]
        method: Method,
        /// The path below /2.0, such as repositories/seilbahn
        path: String,
        /// The credential to use; not needed if there is only one
        #[arg(long)]
        credential: Option<String>,
        /// A JSON body
        #[arg(long)]
        body: Option<String>,
    },
}

fn method(text: &str) -> Result<Method, String> {
    serde_json::from_value(text.to_uppercase().into())
        .map_err(|_| "use GET, POST, PUT, PATCH or DELETE".to_owned())
}

/// What went wrong, for people: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Local(#[from] bucketwheel_local::Error),
    #[error(transparent)]
    Profile(#[from] profile::Error),
    #[error(transparent)]
    Console(#[from] console::Error),
    #[error(transparent)]
    Demo(#[from] demo::Error),
    #[error("the events queue cannot be read: {0}")]
    Events(#[from] bucketwheel::ports::QueueError),
    #[error("there {}; say which with --credential", match .0 { 0 => "is no credential yet".to_owned(), n => format!("are {n} credentials") })]
    WhichCredential(usize),
    #[error("the call did not succeed: {code}\n  cause       {cause}\n  resolution  {resolution}", code = .0.code, cause = .0.cause, resolution = .0.resolution)]
    Call(Problem),
    #[error("the body is not JSON: {0}")]
    Body(serde_json::Error),
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "this is what people read")]
async fn main() -> ExitCode {
    let command = Command::parse();
    let path = command.profile.unwrap_or_else(profile::usual_path);
    match obey(command.verb.unwrap_or(Verb::Local(command.local)), path).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bucketwheel: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn obey(verb: Verb, path: PathBuf) -> Result<(), Error> {
    let running = || Profile::load(&path);
    match verb {
        Verb::Local(arguments) => local::run(arguments, &path).await,
        Verb::Demo => demo::run(running()?).await,
        Verb::Connect { workspace, label, owner, credential } => {
            verbs::connect(&running()?, &workspace, &label, owner, credential).await
        }
        Verb::Credentials => verbs::credentials(&running()?).await,
        Verb::Hooks(verb) => hooks::obey(&running()?, verb).await,
        Verb::Rotate(verb) => hooks::rotate(&running()?, verb).await,
        Verb::Events(verb) => events::obey(&running()?, verb).await,
        Verb::Call { method, path, credential, body } => {
            verbs::call(&running()?, method, path, credential, body).await
        }
    }
}
