//! The short verbs: what an operator asks of a running system.

use bucketwheel::call::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::console::Console;
use crate::profile::Profile;

pub(crate) async fn connect(
    profile: &Profile,
    workspace: &str,
    label: &str,
    owner: Option<String>,
    credential: Option<String>,
) -> Result<(), Error> {
    let console = Console::new(profile)?;
    let mut body = json!({ "workspace": workspace, "label": label });
    if let Some(owner) = owner {
        body["owner"] = owner.into();
    }
    if let Some(credential) = credential {
        body["credential"] = credential.into();
    }
    let link = console.connect_link(&body).await?;
    say(&format!(
        "Send this link to the person whose account it is. It works once, until {}.",
        link.expires_at
    ));
    say(&format!("  {}", link.url));
    say(&format!("Credential: {}", link.credential));
    Ok(())
}

pub(crate) async fn credentials(profile: &Profile) -> Result<(), Error> {
    let all = Console::new(profile)?.credentials().await?;
    if all.is_empty() {
        say("No credentials yet. Make a link with `bucketwheel connect --workspace … --label …`.");
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    say(&format!(
        "{:<26}  {:<8}  {:<20}  {:<20}  {}",
        "CREDENTIAL", "STATE", "LABEL", "ACCOUNT", "WORKSPACE"
    ));
    for one in &all {
        let account = text(&one["account"]["display_name"]);
        let (id, label, workspace) = (text(&one["id"]), text(&one["label"]), text(&one["workspace"]));
        let state = text(&one["status"]["health"]);
        say(&format!("{id:<26}  {state:<8}  {label:<20}  {account:<20}  {workspace}"));
    }
    Ok(())
}

pub(crate) async fn call(
    profile: &Profile,
    method: Method,
    path: String,
    credential: Option<String>,
    body: Option<String>,
) -> Result<(), Error> {
    let console = Console::new(profile)?;
    let credential = the_credential(&console, credential).await?;
    let mut call = json!({ "method": method.as_str(), "path": path });
    if let Some(body) = body {
        call["body"] = serde_json::from_str(&body).map_err(Error::Body)?;
    }
    let outcome = console.call(&credential, &call).await?;
    match outcome.error {
        Some(problem) => Err(Error::Call(problem)),
        None => {
            say(&format!("{:#}", outcome.body.unwrap_or_default()));
            Ok(())
        }
    }
}

/// The credential that was named, or the only one.
pub(crate) async fn the_credential(console: &Console, named: Option<String>) -> Result<String, Error> {
    if let Some(named) = named {
        return Ok(named);
    }
    match console.credentials().await?.as_slice() {
        [one] => Ok(one["id"].as_str().unwrap_or_default().to_owned()),
        all => Err(Error::WhichCredential(all.len())),
    }
}

#[expect(clippy::print_stdout, reason = "this is what people read")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
