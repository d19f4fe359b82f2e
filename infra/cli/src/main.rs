//! The `bucketwheel` command.

mod by_hand;
mod console;
mod credentials;
mod demo;
mod dlq;
mod doctor;
mod error;
mod events;
mod gitops;
mod hooks;
mod local;
mod package;
mod profile;
mod rotate;
mod screen;
mod shell;
mod verbs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use serde_json::json;

use crate::console::Console;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::profile::Profile;
use crate::rotate::{Rotate, Step};
use crate::screen::{Screen, complain, harmless};

/// Bucketwheel: a Bitbucket Cloud integration that loses neither webhooks nor tokens.
#[derive(Debug, Parser)]
#[command(name = "bucketwheel", version, after_help = error::NUMBERS)]
struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    local: local::Arguments,
    /// The file that says where the system is. Default: the one that runs on this machine
    #[arg(long, global = true, value_name = "FILE", env = "BUCKETWHEEL_PROFILE")]
    profile: Option<PathBuf>,
    /// Print JSON, for programs; what goes wrong too
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the whole system on this machine (the default)
    Local(local::Arguments),
    /// Show on the running system: a connect, a webhook, a refresh and a call
    Demo,
    /// Look at everything that can be wrong, and say what to do about it
    Doctor,
    /// Make a link with which one person connects one Bitbucket account
    Connect(verbs::Wanted),
    /// Look at credentials, and change them
    Credentials {
        #[command(subcommand)]
        verb: Option<Credentials>,
    },
    /// Send one Bitbucket API call through the worker and print the answer
    Call(verbs::CallArguments),
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
    /// Look at dead letters, and send them again
    #[command(subcommand)]
    Dlq(dlq::Verb),
    /// Replace secrets before they grow old
    Rotate {
        #[command(subcommand)]
        what: Rotate,
    },
    /// Write the profile of a deployed stack, from its outputs
    Profile(profile::Written),
    /// Print a script that completes this command in a shell
    Completion(shell::Completion),
    /// Print the manual page
    Man(shell::Man),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Command { verb, local, profile, json } = match Command::try_parse() {
        Ok(command) => command,
        Err(wrong) if wrong.use_stderr() && std::env::args_os().any(|argument| argument == "--json") => {
            complain(&error::misused(&wrong).to_string());
            return ExitCode::from(2);
        }
        Err(wrong) => {
            // Help and the version come this way too.
            let _ = wrong.print();
            return ExitCode::from(if wrong.use_stderr() { 2 } else { 0 });
        }
    };
    let path = profile.unwrap_or_else(profile::usual_path);
    let screen = if json { Screen::Json } else { Screen::Words };
    match obey(verb.unwrap_or(Verb::Local(local)), &path, screen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match screen {
                Screen::Words => {
                    let words = format!("bucketwheel: {}", error.words());
                    words.lines().for_each(|line| complain(&harmless(line)));
                }
                Screen::Json => complain(&error.as_json().to_string()),
            }
            error.exit_code()
        }
    }
}

async fn obey(verb: Verb, path: &Path, screen: Screen) -> Result<(), Error> {
    let running = || Profile::load(path);
    let console = async || Console::new(&running()?).await;
    match verb {
        Verb::Local(arguments) => local::run(arguments, path, screen).await,
        Verb::Demo => demo::run(running()?, screen).await,
        Verb::Doctor => doctor::run(&running()?, screen).await,
        Verb::Connect(wanted) => verbs::connect(&console().await?, screen, &wanted).await,
        Verb::Credentials { verb } => {
            let verb = verb.unwrap_or(Credentials::List { owner: None, workspace: None });
            Ok(credentials::obey(&console().await?, screen, verb).await?)
        }
        Verb::Call(arguments) => verbs::call(&console().await?, screen, arguments).await,
        Verb::Events(verb) => events::obey(&running()?, screen, verb).await,
        Verb::Hooks(verb) => hooks::obey(&running()?, screen, verb).await,
        Verb::Dlq(verb) => dlq::obey(&console().await?, screen, verb).await,
        Verb::Rotate { what: Rotate::Keys { step } } => {
            rotate::keys(&running()?, screen, step.unwrap_or(Step::Report)).await
        }
        Verb::Rotate { what: Rotate::Operator { yes } } => {
            rotate::operator(running()?, path, screen, yes).await
        }
        Verb::Rotate { what: Rotate::Hook { credential } } => {
            hooks::rotate(&console().await?, screen, credential).await
        }
        Verb::Profile(wanted) => {
            let profile = Profile::write(wanted, path)?;
            let words = format!("{} leads to {} now.", path.display(), profile.public_url);
            screen.tell(&json!(profile), &words);
            Ok(())
        }
        Verb::Completion(wanted) => {
            shell::complete(Command::command(), screen, &wanted);
            Ok(())
        }
        Verb::Man(wanted) => shell::manual(Command::command(), screen, &wanted).map_err(Error::Manual),
        Verb::Package(arguments) => Ok(package::run(&arguments, screen)?),
        Verb::Gitops(verb) => gitops::obey(&console().await?, screen, verb).await,
    }
}
