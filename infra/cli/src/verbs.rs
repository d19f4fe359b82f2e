//! The short verbs: what an operator asks of a running system.

use bucketwheel::call::Method;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::Error;
use crate::console::Console;
use crate::profile::Profile;

/// What a connect link is for. To reconnect, the credential is enough: what is left out stays as it is.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Wanted {
    /// The workspace that the credential is meant for: its slug, or its uuid with braces
    #[arg(long, required_unless_present = "credential")]
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    /// What to call the credential
    #[arg(long, required_unless_present = "credential")]
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The end user that it belongs to, in your own words
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// How it is authorised, such as oauth_user or api_token_user; GET /api/kinds lists and explains them
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The repository's slug or the project's key, for an access token of one
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// A scope that is wanted; may be repeated
    #[arg(long = "scope")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    /// Renew this credential instead of making a new one
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    /// Let another account take the place of the one that was connected before
    #[arg(long, requires = "credential")]
    allow_other_account: bool,
}

pub(crate) async fn connect(profile: &Profile, wanted: &Wanted) -> Result<(), Error> {
    let console = Console::new(profile)?;
    let link = console.connect_link(&json!(wanted)).await?;
    say(&format!(
        "Send this link to the person whose account or token it is. It works once, until {}.",
        link.expires_at
    ));
    say(&format!("  {}", link.url));
    say(&format!("Credential: {}", link.credential));
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
    match console.credentials(&[]).await?.as_slice() {
        [one] => Ok(one["id"].as_str().unwrap_or_default().to_owned()),
        all => Err(Error::WhichCredential(all.len())),
    }
}

#[expect(clippy::print_stdout, reason = "this is what people read")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
