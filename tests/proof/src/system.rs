//! The running system as those outside see it: the webhook address, the console's API, the queues, and
//! Bitbucket's sandbox.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use bucketwheel::aws::{Account, DynamoTable, SqsBacklog, SqsQueue};
use bucketwheel::config::Settings;
use bucketwheel::signature::sign;
use bucketwheel_local::{KEY, Local, Outputs, REGION};
use bucketwheel_sandbox::person::{Decision, Person};
use bucketwheel_sandbox::seed;
use reqwest::RequestBuilder;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::Failure;

/// Bitbucket's own patience with a receiver of webhooks
/// (<https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/>).
const PATIENCE: Duration = Duration::from_secs(10);

/// Addresses and connections; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct System {
    pub(crate) http: reqwest::Client,
    pub(crate) account: Account,
    pub(crate) outputs: Outputs,
    pub(crate) public_url: String,
    pub(crate) aws_endpoint: String,
    pub(crate) logs: PathBuf,
    sandbox_url: String,
}

/// A credential that hooks deliver to, and their secret.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) credential: String,
    pub(crate) secret: SecretString,
}

/// A request with a JSON body, where there is one.
pub fn with_body(request: RequestBuilder, body: Option<Value>) -> RequestBuilder {
    match body {
        Some(body) => request.json(&body),
        None => request,
    }
}

/// An HTTP client that follows no redirect.
///
/// # Errors
/// If TLS cannot be set up.
pub fn client() -> Result<reqwest::Client, Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "it calls what people and Bitbucket call")]
    let builder = reqwest::Client::builder();
    Ok(builder.redirect(reqwest::redirect::Policy::none()).build()?)
}

/// AWS at the stand-in.
pub fn account(endpoint: &str) -> Account {
    let endpoint = endpoint.to_owned();
    Account::from(&mut Settings::new(move |name: &str| match name {
        "AWS_REGION" => Some(REGION.to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some(KEY.to_owned()),
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        _ => None,
    }))
}

impl System {
    pub(crate) fn of(local: &Local, http: reqwest::Client) -> Result<Self, Failure> {
        Ok(Self {
            http,
            account: account(&local.aws_endpoint),
            outputs: local.outputs.clone(),
            public_url: local.public_url.clone(),
            aws_endpoint: local.aws_endpoint.clone(),
            logs: local.logs(),
            sandbox_url: local.sandbox_url.clone().ok_or("a sandbox is needed")?,
        })
    }

    pub(crate) fn queue(&self, url: &str) -> SqsQueue {
        SqsQueue::new(&self.account, url.to_owned())
    }

    pub(crate) fn backlog(&self, url: &str, dead: &str) -> SqsBacklog {
        SqsBacklog::new(&self.account, url.to_owned(), dead.to_owned())
    }

    pub(crate) fn table(&self) -> DynamoTable {
        DynamoTable::new(&self.account, self.outputs.table_name.clone())
    }

    /// Asks the console's JSON API as the operator.
    pub(crate) async fn operator(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let request = self.http.request(method.parse()?, format!("{}/api/{path}", self.public_url));
        let request = request.bearer_auth(&self.outputs.operator_token).timeout(Duration::from_secs(30));
        let answer = with_body(request, body).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            return Err(format!("{method} {path}: {status} {text}").into());
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// Runs a function now, as its schedule does, and gives its report.
    pub(crate) async fn invoke(&self, function: &str) -> Result<Value, Failure> {
        let report = bucketwheel_local::invoke(&self.aws_endpoint, function, "{}").await?;
        Ok(serde_json::from_slice(&report).unwrap_or_default())
    }

    /// The environment variables that the template gives a function.
    pub(crate) async fn environment(&self, function: &str) -> Result<HashMap<String, String>, Failure> {
        Ok(bucketwheel_local::environment(&self.aws_endpoint, function).await?)
    }

    /// Asks the sandbox's own controls.
    pub(crate) async fn sandbox(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let request = self.http.request(method.parse()?, format!("{}/_sandbox/{path}", self.sandbox_url));
        let answer = with_body(request, body).send().await?.error_for_status()?;
        Ok(answer.json().await.unwrap_or_default())
    }

    /// Asks Bitbucket's API as Ada, who needs none of our functions for it.
    pub(crate) async fn bitbucket(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let request = self.http.request(method.parse()?, format!("{}/2.0/{path}", self.sandbox_url));
        let request = request.basic_auth(seed::ADA_EMAIL, Some(seed::ADA_API_TOKEN));
        Ok(with_body(request, body).send().await?.error_for_status()?.json().await?)
    }

    /// All values of a list of Bitbucket's.
    pub(crate) async fn all(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let (mut values, mut page) = (Vec::new(), 1);
        loop {
            let mut answer = self.bitbucket("GET", &format!("{path}?pagelen=100&page={page}"), None).await?;
            let Value::Array(found) = answer["values"].take() else { return Err("no list".into()) };
            values.extend(found);
            if answer["next"].is_null() {
                return Ok(values);
            }
            page += 1;
        }
    }

    /// Ada connects her account; gives the credential.
    pub(crate) async fn connect(&self, label: &str) -> Result<String, Failure> {
        let wish = json!({"workspace": seed::WORKSPACE, "label": label});
        let link = self.operator("POST", "connect-links", Some(wish)).await?;
        let mut ada = Person::new(seed::ADA_UUID)?;
        let consent = ada.open(link["url"].as_str().ok_or("no link")?).await?;
        let landed = ada.decide(&consent, Decision::Grant).await?;
        landed.parameter("connected").ok_or_else(|| format!("not connected: {}", landed.url).into())
    }

    /// Ada connects her account, and a hook is registered at Bitbucket.
    pub(crate) async fn hook(&self, label: &str, repository: &str) -> Result<Hook, Failure> {
        let credential = self.connect(label).await?;
        let action = json!({"action": "ensure_hook", "repository": repository, "events": ["repo:push"]});
        let call = json!({"credential": credential, "call": action});
        let outcome = self.operator("POST", "call", Some(call)).await?;
        let state = self.sandbox("GET", "state?reveal=true", None).await?;
        let hooks = state["hooks"].as_array().into_iter().flatten();
        let mut ours =
            hooks.filter(|hook| hook["url"].as_str().is_some_and(|url| url.ends_with(&credential)));
        let hook = ours.next().ok_or_else(|| format!("no hook was registered: {outcome}"))?;
        let secret = SecretString::from(hook["secret"].as_str().ok_or("a hook without a secret")?.to_owned());
        Ok(Hook { credential, secret })
    }

    /// Posts a signed body to the webhook address, as Bitbucket does; gives the status, or none if no answer
    /// came in time.
    pub(crate) async fn deliver(&self, hook: &Hook, request_id: &str, body: String) -> Option<u16> {
        let url = format!("{}/webhooks/bitbucket-cloud/{}", self.public_url, hook.credential);
        let signature = sign(body.as_bytes(), &hook.secret);
        let request = self.http.post(url).timeout(PATIENCE).body(body).header("x-hub-signature", signature);
        let request = request.header("content-type", "application/json").header("x-event-key", "repo:push");
        let request = request.header("x-request-uuid", request_id).header("x-attempt-number", "1");
        request.send().await.ok().map(|answer| answer.status().as_u16())
    }
}
