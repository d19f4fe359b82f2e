//! The `bucketwheel` command.

mod by_hand;
mod console;
mod credentials;
mod demo;
mod events;
mod gitops;
mod hooks;
mod local;
mod package;
mod profile;
mod rotate;
mod verbs;

use std::path::PathBuf;
use std::process::ExitCode;

use bucketwheel::call::Problem;
use clap::{Parser, Subcommand};

use crate::credentials::Credentials;
use crate::profile::Profile;
use crate::rotate::{Rotate, Step};

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
    Connect(verbs::Wanted),
    /// Look at credentials, and change them
    Credentials {
        #[command(subcommand)]
        verb: Option<Credentials>,
    },
    /// Replace secrets before they grow old
    Rotate {
        #[command(subcommand)]
        what: Rotate,
    },
    /// See what is on the events queue
    #[command(subcommand)]
    Events(events::Verb),
    /// The webhooks of a credential: register, filter, repair, remove, and what they delivered
    #[command(subcommand)]
    Hooks(hooks::Verb),
    /// Put built functions and templates into a folder that CloudFormation deploys
    Package(package::Arguments),
    /// Keep clusters and folders of repositories in step
    #[command(subcommand)]
    Gitops(gitops::Verb),
    /// Send one Bitbucket API call through the worker and print the answer
    Call(verbs::CallArguments),
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
    #[error("the body is not JSON: {0}")]
    Body(serde_json::Error),
    #[error("the file {0} cannot be read: {1}")]
    File(String, std::io::Error),
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
        Verb::Connect(wanted) => verbs::connect(&running()?, &wanted).await,
        Verb::Credentials { verb } => {
            let verb = verb.unwrap_or(Credentials::List { owner: None, workspace: None });
            Ok(credentials::obey(&running()?, verb).await?)
        }
        Verb::Rotate { what: Rotate::Keys { step } } => {
            Ok(rotate::keys(&running()?, step.unwrap_or(Step::Report)).await?)
        }
        Verb::Rotate { what: Rotate::Hook { credential } } => hooks::rotate(&running()?, credential).await,
        Verb::Hooks(verb) => hooks::obey(&running()?, verb).await,
        Verb::Gitops(verb) => gitops::obey(&running()?, verb).await,
        Verb::Events(verb) => events::obey(&running()?, verb).await,
        Verb::Package(arguments) => Ok(package::run(&arguments)?),
        Verb::Call(arguments) => verbs::call(&running()?, arguments).await,
    }
}
