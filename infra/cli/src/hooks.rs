//! `bucketwheel hooks` and `bucketwheel rotate hook`: the webhooks of a credential. What Bitbucket is asked
//! is asked by the worker, with the credential's own token.

use bucketwheel::call::Outcome;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::by_hand;
use crate::console::Console;
use crate::profile::Profile;
use crate::screen::{Screen, harmless, say};
use crate::verbs::{succeeded, the_credential};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the hooks, how they stand, and what became of their deliveries
    List(Whose),
    /// Show all that is known of them, as JSON
    Show(Whose),
    /// Have Bitbucket send the events of a repository, or of all of a workspace
    Attach {
        /// workspace/repository, or workspace
        subject: String,
        /// The event keys to send; may be given several times
        #[arg(long = "event", value_name = "KEY", default_value = "repo:push")]
        events: Vec<String>,
        /// Take only deliveries of repositories with such a full name; may be given several times
        #[arg(long = "repository", value_name = "PATTERN")]
        repositories: Vec<String>,
        /// Take only deliveries about such branches; may be given several times
        #[arg(long = "branch", value_name = "PATTERN")]
        branches: Vec<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Say which deliveries are wanted, from whichever hook; without patterns all of them
    Filter {
        /// Such event keys, as pullrequest:*
        #[arg(long = "event", value_name = "PATTERN")]
        events: Vec<String>,
        /// Repositories with such a full name
        #[arg(long = "repository", value_name = "PATTERN")]
        repositories: Vec<String>,
        /// Such branches, as release/*
        #[arg(long = "branch", value_name = "PATTERN")]
        branches: Vec<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Make a secret, show it this once, and say how a person registers the hook with it
    ByHand {
        /// workspace/repository, or workspace
        subject: String,
        /// The event keys to send; may be given several times
        #[arg(long = "event", value_name = "KEY", default_value = "repo:push")]
        events: Vec<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Set right what somebody changed, disabled or deleted at Bitbucket
    Repair(Whose),
    /// Look for events that Bitbucket did not deliver, where the parameter DetectMissed is on
    Missed(Whose),
    /// Take the credential's hooks away at Bitbucket, and with the last one their secrets here
    Remove {
        /// Only the one of workspace/repository, or workspace; without it all of them
        subject: Option<String>,
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// The credential to use; not needed if there is only one
    #[arg(long)]
    pub(crate) credential: Option<String>,
}

pub(crate) async fn obey(profile: &Profile, screen: Screen, verb: Verb) -> Result<(), crate::Error> {
    let console = &Console::new(profile).await?;
    match verb {
        Verb::List(whose) => {
            let credential = the_credential(console, whose.credential).await?;
            let seen = console.hooks(&credential).await?;
            match screen {
                Screen::Words => list(&seen),
                Screen::Json => screen.tell(&seen, ""),
            }
            Ok(())
        }
        Verb::Show(whose) => {
            let credential = the_credential(console, whose.credential).await?;
            let seen = console.hooks(&credential).await?;
            screen.tell(&seen, &format!("{seen:#}"));
            Ok(())
        }
        Verb::Attach { subject, events, repositories, branches, whose } => {
            let credential = the_credential(console, whose.credential).await?;
            let filter = filter(Vec::new(), repositories, branches);
            let mut wanted = json!({ "subject": subject, "events": events });
            if !filter.is_empty() {
                wanted["filter"] = Value::Object(filter);
            }
            told(screen, console.attach(&credential, &wanted).await?)
        }
        Verb::Filter { events, repositories, branches, whose } => {
            let credential = the_credential(console, whose.credential).await?;
            let filter = Value::Object(filter(events, repositories, branches));
            let seen = console.set_filter(&credential, &filter).await?;
            screen.tell(&seen["filter"], &format!("{:#}", seen["filter"]));
            Ok(())
        }
        Verb::ByHand { subject, events, whose } => {
            let credential = the_credential(console, whose.credential).await?;
            console.credential(&credential).await?;
            by_hand::show(profile, screen, &credential, &subject, &events).await
        }
        Verb::Missed(whose) => {
            act(console, screen, whose.credential, json!({"action": "detect_missed"})).await
        }
        Verb::Repair(whose) => {
            act(console, screen, whose.credential, json!({"action": "repair_hooks"})).await
        }
        Verb::Remove { subject, whose } => {
            let mut action = json!({"action": "remove_hooks"});
            if let Some(subject) = subject {
                action["repository"] = json!(subject);
            }
            act(console, screen, whose.credential, action).await
        }
    }
}

pub(crate) async fn rotate(
    console: &Console,
    screen: Screen,
    credential: Option<String>,
) -> Result<(), crate::Error> {
    act(console, screen, credential, json!({"action": "rotate_hook"})).await
}

async fn act(
    console: &Console,
    screen: Screen,
    credential: Option<String>,
    action: Value,
) -> Result<(), crate::Error> {
    let credential = the_credential(console, credential).await?;
    let call = json!({ "credential": credential, "call": action });
    told(screen, console.call(&call).await?)
}

fn told(screen: Screen, outcome: Outcome) -> Result<(), crate::Error> {
    let done = succeeded(outcome)?.body.unwrap_or_default();
    screen.tell(&done, &format!("{done:#}"));
    Ok(())
}

fn filter(events: Vec<String>, repositories: Vec<String>, branches: Vec<String>) -> Map<String, Value> {
    let lists = [("events", events), ("repositories", repositories), ("branches", branches)];
    let given = lists.into_iter().filter(|(_, list)| !list.is_empty());
    given.map(|(name, list)| (name.to_owned(), json!(list))).collect()
}

fn list(seen: &Value) {
    let say = |line: &str| say(&harmless(line));
    say(&format!("Deliveries go to {}", text(&seen["webhook_url"])));
    say(&format!(
        "{:<32}  {:<10}  {:<20}  {:<20}  {}",
        "HOOK", "STATE", "LAST DELIVERY", "EVENT", "DELIVERIES"
    ));
    let others = seen["others"].as_object().into_iter().flatten();
    let others = others.map(|(uuid, deliveries)| (uuid.as_str(), "not ours", deliveries));
    let hooks = seen["hooks"].as_array().into_iter().flatten();
    let hooks = hooks.map(|hook| (text(&hook["subject"]), text(&hook["state"]), &hook["deliveries"]));
    for (name, state, deliveries) in hooks.chain(others) {
        let counts = deliveries["counts"].as_object().into_iter().flatten();
        let counts: Vec<_> = counts.map(|(became, count)| format!("{count} {became}")).collect();
        let (at, event) = (text(&deliveries["last_at"]), text(&deliveries["last_event"]));
        let at = at.get(..19).unwrap_or("-");
        say(&format!("{name:<32}  {state:<10}  {at:<20}  {event:<20}  {}", counts.join(", ")));
    }
    for hook in seen["hooks"].as_array().into_iter().flatten().filter(|hook| hook["problem"].is_object()) {
        let problem = &hook["problem"];
        say(&format!("{}: {}", text(&hook["subject"]), text(&problem["cause"])));
        say(&format!("  {}", text(&problem["resolution"])));
    }
    for secret in seen["secrets"].as_array().into_iter().flatten() {
        let seen = secret["last_match"].as_str().unwrap_or("never");
        say(&format!("Secret {}: last seen {seen}", secret["version"]));
    }
    if seen["missed"].is_object() {
        say(&missed(&seen["missed"]));
    }
    say(&format!("Rejected: {}", seen["rejected"]));
    for rejection in seen["rejections"].as_array().into_iter().flatten() {
        let [at, cause, key] = ["at", "cause", "event_key"].map(|name| text(&rejection[name]));
        say(&format!("  {at}  {cause}  {key}"));
    }
}

/// What the search for missed events has found.
fn missed(found: &Value) -> String {
    let [came, missed, late, watched] =
        ["came", "missed", "late", "watched"].map(|name| found[name].as_u64().unwrap_or_default());
    let at = text(&found["swept_at"]).get(..19).unwrap_or("-");
    let mut line = format!("Missed: {missed} of {}, {late} came late; ", came + missed);
    let [count, total, most] =
        ["count", "total_ms", "most_ms"].map(|name| found["delays"][name].as_u64().unwrap_or_default());
    if let Some(usual) = total.checked_div(count) {
        line += &format!("a delivery takes {usual} ms, {most} ms at most; ");
    }
    line + &format!("{watched} repositories, looked at {at}")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
