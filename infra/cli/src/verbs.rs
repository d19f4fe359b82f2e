//! The short verbs: what an operator asks of a running system.

use std::collections::BTreeMap;

use bucketwheel::call::{Method, Outcome, State};
use clap::Args;
use indicatif::{ProgressBar, ProgressFinish};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Error;
use crate::console::{ConnectLink, Console};
use crate::screen::{Screen, moment, say};

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
    /// How a chain of refresh tokens is kept alive: hot (always refreshed in time, the default) or lazy
    /// (when a call needs it, and each month)
    #[arg(long, value_parser = ["hot", "lazy"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    upkeep: Option<String>,
    /// An event key that is to come from the workspace, or from the token's repository; may be repeated
    #[arg(long = "event", value_name = "KEY", conflicts_with = "credential")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    /// Renew this credential instead of making a new one
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    /// Let another account take the place of the one that was connected before
    #[arg(long, requires = "credential")]
    allow_other_account: bool,
}

pub(crate) async fn connect(console: &Console, screen: Screen, wanted: &Wanted) -> Result<(), Error> {
    let link = console.connect_link(&json!(wanted)).await?;
    let ConnectLink { url, credential, expires_at } = &link;
    let words = format!(
        "Send this link to the person whose account or token it is. It works once, until {}.\n  \
         {url}\nCredential: {credential}",
        moment(*expires_at)
    );
    screen.tell(&json!(link), &words);
    Ok(())
}

/// One call, as it is written on the command line.
#[derive(Debug, Args)]
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
}

fn method(text: &str) -> Result<Method, String> {
    serde_json::from_value(text.to_uppercase().into())
        .map_err(|_| "use GET, POST, PUT, PATCH or DELETE".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// With `--json` the whole outcome is printed, also of a call that failed; with the values of all its pages.
pub(crate) async fn call(console: &Console, screen: Screen, arguments: CallArguments) -> Result<(), Error> {
    let credential = the_credential(console, arguments.credential).await?;
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
    let mut told = json!(outcome);
    let outcome = match succeeded(outcome) {
        Ok(outcome) => outcome,
        Err(error) => {
            if screen == Screen::Json {
                screen.tell(&told, "");
            }
            return Err(error);
        }
    };
    let Some(pages) = &outcome.pages else {
        screen.tell(&told, &format!("{:#}", outcome.body.unwrap_or_default()));
        return Ok(());
    };
    let bar = ProgressBar::new(pages.parts.into()).with_finish(ProgressFinish::AndClear);
    let mut values = Vec::new();
    for part in 1..=pages.parts {
        let mut page = console.part(outcome.id.as_str(), part).await?.body.unwrap_or_default();
        let Value::Array(found) = page["values"].take() else { continue };
        match screen {
            Screen::Words => bar.suspend(|| found.iter().for_each(|value| say(&value.to_string()))),
            Screen::Json => values.extend(found),
        }
        bar.inc(1);
    }
    drop(bar);
    if screen == Screen::Json {
        told["values"] = Value::Array(values);
        screen.tell(&told, "");
    }
    Ok(())
}

/// The outcome, if it is a good one.
pub(crate) fn succeeded(outcome: Outcome) -> Result<Outcome, Error> {
    match (outcome.state, &outcome.error) {
        (_, None) => Ok(outcome),
        (State::Unknown, Some(problem)) => Err(Error::Unknown(problem.clone())),
        (_, Some(problem)) => Err(Error::Call(problem.clone())),
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
