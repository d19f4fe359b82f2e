//! `bucketwheel credentials`: look at them, and change them.

use clap::Subcommand;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::console::{Console, Error};
use crate::screen::{Screen, harmless, moment};

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
    /// Print the audit trail of one, also of one that is deleted; with --json an object on each line
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
        #[arg(value_parser = day)]
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
    /// Have the token of one looked at now
    Refresh {
        /// The credential's id
        id: String,
    },
    /// Delete one for good: its hooks at Bitbucket, then its tokens. Without --yes it only says so
    Delete {
        /// The credential's id
        id: String,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

fn day(text: &str) -> Result<String, String> {
    match text {
        "never" => Ok(text.to_owned()),
        day => day
            .parse::<Date>()
            .map(|day| day.to_string())
            .map_err(|_| "write 2027-01-31, or never".to_owned()),
    }
}

pub(crate) async fn obey(console: &Console, screen: Screen, verb: Credentials) -> Result<(), Error> {
    match verb {
        Credentials::List { owner, workspace } => {
            let filter = [("owner", owner), ("workspace", workspace)];
            let filter: Vec<_> =
                filter.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let columns = [
                ("CREDENTIAL", "/id"),
                ("STATE", "/status/health"),
                ("KIND", "/kind"),
                ("LABEL", "/label"),
                ("ACCOUNT", "/account/display_name"),
                ("WORKSPACE", "/workspace"),
            ];
            let nothing = "No credentials. Make a link with `bucketwheel connect --workspace … --label …`.";
            screen.table(&console.credentials(&filter).await?, &columns, nothing);
        }
        Credentials::Show { id } => {
            let credential = console.credential(&id).await?;
            screen.tell(&credential, &shown(&credential));
        }
        Credentials::Repositories { id } => {
            let list = console.repositories(&id).await?;
            if let Some(problem) = &list.blind {
                screen.aside(&format!("{} {}", problem.cause, problem.resolution));
            }
            let columns = [("REPOSITORY", "/full_name"), ("UUID", "/uuid"), ("MAIN BRANCH", "/main_branch")];
            screen.table(&list.values, &columns, "No repositories.");
        }
        Credentials::Audit { id } => {
            let columns = [
                ("WHEN", "/at"),
                ("WHO", "/actor"),
                ("WHAT", "/action"),
                ("NOTE", "/note"),
                ("REQUEST", "/request"),
            ];
            let trail = console.audit(&id).await?;
            match screen {
                Screen::Words => screen.table(&trail, &columns, "Nothing is written down about it."),
                Screen::Json => trail.iter().for_each(|line| screen.for_programs(line)),
            }
        }
        Credentials::Rename { id, label } => {
            let changed = console.change(&id, &json!({ "label": label })).await?;
            screen.tell(&changed, &format!("{id} is called {label}."));
        }
        Credentials::Keep { id, upkeep } => {
            let kept = console.change(&id, &json!({ "upkeep": upkeep })).await?;
            screen.tell(&kept, &format!("{id} is kept {upkeep}."));
        }
        Credentials::Expires { id, day } => {
            let changed = console.change(&id, &json!({ "expires_on": day })).await?;
            screen.tell(&changed, &format!("{id} expires: {day}."));
        }
        Credentials::Disable { id } => told(screen, &id, &console.switch(&id, "disable").await?),
        Credentials::Enable { id } => told(screen, &id, &console.switch(&id, "enable").await?),
        Credentials::Refresh { id } => {
            let asked = console.refresh(&id).await?;
            screen.tell(&asked, &format!("The token of {id} is looked at now."));
        }
        Credentials::Delete { id, yes: false } => {
            let credential = console.credential(&id).await?;
            let words = format!(
                "{} would be deleted for good: its hooks at Bitbucket, then its tokens. Add --yes to do it.",
                name(&credential)
            );
            screen.tell(&json!({ "dry_run": true, "credential": credential }), &words);
        }
        Credentials::Delete { id, yes: true } => {
            let deleting = console.delete(&id).await?;
            let words =
                format!("{id} is being deleted. `bucketwheel credentials audit {id}` says when it is done.");
            screen.tell(&deleting, &words);
        }
    }
    Ok(())
}

fn told(screen: Screen, id: &str, credential: &Value) {
    screen.tell(credential, &format!("{id} is {}.", text(&credential["status"]["health"])));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn name(credential: &Value) -> String {
    format!("{} ({})", text(&credential["label"]), text(&credential["id"]))
}

/// What a person wants to know of a credential, a line for each.
fn shown(credential: &Value) -> String {
    let scopes = |of: &Value| {
        let names: Vec<_> = of.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        names.join(", ")
    };
    let mut lines = vec![
        ("Credential", text(&credential["id"]).to_owned()),
        ("Label", text(&credential["label"]).to_owned()),
        ("State", text(&credential["status"]["health"]).to_owned()),
        ("Cause", text(&credential["status"]["cause"]).to_owned()),
        ("Kind", text(&credential["kind"]).to_owned()),
        ("Acts as", text(&credential["account"]["display_name"]).to_owned()),
        ("Owner", text(&credential["owner"]).to_owned()),
        ("Workspace", text(&credential["workspace"]).to_owned()),
        ("Reaches only", text(&credential["resource"]).to_owned()),
        ("Wanted scopes", scopes(&credential["wanted"])),
        ("Granted scopes", scopes(&credential["granted"])),
        ("Connected", text(&credential["connected_at"]).to_owned()),
        ("Refreshed", text(&credential["chain"]["refreshed_at"]).to_owned()),
        ("Expires", text(&credential["chain"]["expires_at"]).to_owned()),
        ("Webhooks", text(&credential["webhook_url"]).to_owned()),
    ];
    for missing in credential["missing"].as_array().into_iter().flatten() {
        lines.push(("Lacks", format!("{}: no {}", text(&missing["scope"]), text(&missing["lost"]))));
    }
    if credential["blind"].is_object() {
        let blind = &credential["blind"];
        lines.push(("Sees nothing", format!("{} {}", text(&blind["cause"]), text(&blind["resolution"]))));
    }
    let lines = lines.iter().filter(|(_, value)| !value.is_empty());
    lines
        .map(|(name, value)| (name, value.parse().map_or_else(|_| value.clone(), moment)))
        .map(|(name, value)| format!("{name:<14}  {}", harmless(&value)))
        .collect::<Vec<_>>()
        .join("\n")
}
