//! `bucketwheel credentials`: look at them, and change them.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::console::{Console, Error, List};
use crate::profile::Profile;
use crate::verbs::say;

#[derive(Debug, Subcommand)]
pub(crate) enum Credentials {
    /// List them and what they are worth (the default)
    List {
        /// Only those of this end user
        #[arg(long, conflicts_with = "workspace")]
        owner: Option<String>,
        /// Only those of this workspace
        #[arg(long)]
        workspace: Option<String>,
    },
    /// Show all that is known of one
    Show {
        /// The credential's id
        id: String,
    },
    /// List the repositories that one sees
    Repositories {
        /// The credential's id
        id: String,
    },
    /// Print the audit trail of one, a JSON object on each line; also of one that is deleted
    Audit {
        /// The credential's id
        id: String,
    },
    /// Give one another label
    Rename {
        /// The credential's id
        id: String,
        /// The new label
        label: String,
    },
    /// Choose how a chain of refresh tokens is kept alive
    Keep {
        /// The credential's id
        id: String,
        /// hot: always refreshed in time. lazy: when a call needs it, and each month
        #[arg(value_parser = ["hot", "lazy"])]
        upkeep: String,
    },
    /// Say when a token expires that was made by hand, to be warned two weeks ahead
    Expires {
        /// The credential's id
        id: String,
        /// The day, such as 2027-01-31, or never
        day: String,
    },
    /// Switch one off: its calls are refused
    Disable {
        /// The credential's id
        id: String,
    },
    /// Switch one on again
    Enable {
        /// The credential's id
        id: String,
    },
    /// Delete one for good: its hooks at Bitbucket, then its tokens
    Delete {
        /// The credential's id
        id: String,
    },
}

pub(crate) async fn obey(profile: &Profile, verb: Credentials) -> Result<(), Error> {
    let console = Console::new(profile)?;
    match verb {
        Credentials::List { owner, workspace } => {
            let filter = [("owner", owner), ("workspace", workspace)];
            let filter: Vec<_> =
                filter.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            list(&console.credentials(&filter).await?);
        }
        Credentials::Show { id } => say(&format!("{:#}", console.credential(&id).await?)),
        Credentials::Repositories { id } => repositories(&console.repositories(&id).await?),
        Credentials::Audit { id } => {
            console.audit(&id).await?.iter().for_each(|line| say(&line.to_string()));
        }
        Credentials::Rename { id, label } => {
            console.change(&id, &json!({ "label": label })).await?;
            say(&format!("{id} is called {label}."));
        }
        Credentials::Keep { id, upkeep } => {
            console.change(&id, &json!({ "upkeep": upkeep })).await?;
            say(&format!("{id} is kept {upkeep}."));
        }
        Credentials::Expires { id, day } => {
            console.change(&id, &json!({ "expires_on": day })).await?;
            say(&format!("{id} expires: {day}."));
        }
        Credentials::Disable { id } => told(&id, &console.switch(&id, "disable").await?),
        Credentials::Enable { id } => told(&id, &console.switch(&id, "enable").await?),
        Credentials::Delete { id } => {
            console.delete(&id).await?;
            say(&format!(
                "{id} is being deleted. `bucketwheel credentials audit {id}` says when it is done."
            ));
        }
    }
    Ok(())
}

fn told(id: &str, credential: &Value) {
    say(&format!("{id} is {}.", credential["status"]["health"].as_str().unwrap_or_default()));
}

fn repositories(list: &List) {
    if let Some(problem) = &list.blind {
        say(&format!("{} {}", problem.cause, problem.resolution));
    }
    for one in &list.values {
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        let (uuid, name, branch) = (text("uuid"), text("full_name"), text("main_branch"));
        say(format!("{uuid:<38}  {name:<50}  {branch}").trim_end());
    }
}

fn list(all: &[Value]) {
    if all.is_empty() {
        say("No credentials. Make a link with `bucketwheel connect --workspace … --label …`.");
        return;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    say(&format!(
        "{:<26}  {:<8}  {:<25}  {:<20}  {:<20}  {}",
        "CREDENTIAL", "STATE", "KIND", "LABEL", "ACCOUNT", "WORKSPACE"
    ));
    for one in all {
        let account = text(&one["account"]["display_name"]);
        let (id, label, workspace) = (text(&one["id"]), text(&one["label"]), text(&one["workspace"]));
        let (state, kind) = (text(&one["status"]["health"]), text(&one["kind"]));
        say(&format!("{id:<26}  {state:<8}  {kind:<25}  {label:<20}  {account:<20}  {workspace}"));
    }
}
