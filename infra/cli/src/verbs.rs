//! The short verbs: what an operator asks of a running system.

use std::collections::BTreeMap;

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

/// One call, as it is written on the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct CallArguments {
    /// GET, POST, PUT, PATCH or DELETE
    #[arg(value_parser = method)]
    method: Method,
    /// The path below /2.0, such as repositories/seilbahn
    path: String,
    /// The credential to use; not needed if there is only one
    #[arg(long)]
    credential: Option<String>,
    /// A query parameter, also Bitbucket's q, sort and fields; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    query: Vec<(String, String)>,
    /// A JSON body, or @FILE to read one
    #[arg(long, value_name = "JSON|@FILE")]
    body: Option<String>,
    /// Follow the answer's pages and print the values of all of them
    #[arg(long)]
    paginate: bool,
    /// With --paginate: stop after so many values
    #[arg(long, value_name = "N", requires = "paginate")]
    items: Option<u64>,
    /// Send it even if it is known that it cannot succeed
    #[arg(long)]
    force: bool,
    /// Print the whole outcome as JSON, also of a call that failed
    #[arg(long)]
    json: bool,
}

fn method(text: &str) -> Result<Method, String> {
    serde_json::from_value(text.to_uppercase().into())
        .map_err(|_| "use GET, POST, PUT, PATCH or DELETE".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(crate) async fn call(profile: &Profile, arguments: CallArguments) -> Result<(), Error> {
    let console = Console::new(profile)?;
    let credential = match arguments.credential {
        Some(credential) => credential,
        None => match console.credentials().await?.as_slice() {
            [one] => one["id"].as_str().unwrap_or_default().to_owned(),
            all => return Err(Error::WhichCredential(all.len())),
        },
    };
    let query: BTreeMap<_, _> = arguments.query.into_iter().collect();
    let mut call = json!({ "method": arguments.method.as_str(), "path": arguments.path, "query": query });
    if let Some(body) = arguments.body {
        let text = match body.strip_prefix('@') {
            Some(file) => {
                std::fs::read_to_string(file).map_err(|error| Error::File(file.to_owned(), error))?
            }
            None => body,
        };
        call["body"] = serde_json::from_str(&text).map_err(Error::Body)?;
    }
    let mut message = json!({ "credential": credential, "call": call, "force": arguments.force });
    if arguments.paginate {
        message["paginate"] = json!({ "items": arguments.items });
    }
    let outcome = console.call(&message).await?;
    if arguments.json {
        say(&format!("{:#}", json!(outcome)));
    }
    if let Some(problem) = outcome.error {
        return Err(Error::Call(problem));
    }
    for part in 1..=outcome.pages.as_ref().map_or(0, |pages| pages.parts) {
        let page = console.part(outcome.id.as_str(), part).await?.body.unwrap_or_default();
        for value in page["values"].as_array().into_iter().flatten() {
            say(&value.to_string());
        }
    }
    if outcome.pages.is_none() && !arguments.json {
        say(&format!("{:#}", outcome.body.unwrap_or_default()));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what people read")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
