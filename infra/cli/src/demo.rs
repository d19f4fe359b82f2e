//! `bucketwheel demo`: the point of it all, on the running local system.
//!
//! The terms of the sandbox are changed so that there is something to see within minutes, and set back
//! at the end: the first access token lives nine minutes, so it is due at once, and a spent refresh
//! token is refused immediately instead of after ten minutes.

use std::time::Duration;

use bucketwheel::aws::{DynamoTable, SqsQueue};
use bucketwheel::event::Envelope;
use bucketwheel::ports::{Key, QueueError, Table as _, TableError};
use bucketwheel_sandbox::person::{Decision, Lost, Person};
use bucketwheel_sandbox::seed;
use serde_json::{Value, json};

use crate::console::{Console, client};
use crate::profile::{self, Profile};
use crate::screen::say;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the demo needs the sandbox; start the system without --bitbucket")]
    NoSandbox,
    #[error("the sandbox cannot be reached: {0}")]
    Sandbox(#[from] reqwest::Error),
    #[error("the browser got lost: {0}")]
    Browser(#[from] Lost),
    #[error(transparent)]
    Profile(#[from] profile::Error),
    #[error("the table cannot be read: {0}")]
    Table(#[from] TableError),
    #[error("the queue cannot be read: {0}")]
    Queue(#[from] QueueError),
    #[error("{0}; the logs of the functions say more")]
    Unexpected(String),
}

struct Demo {
    profile: Profile,
    sandbox: String,
    console: Console,
    http: reqwest::Client,
}

const REPOSITORY: &str = "seilbahn/infrastructure";

pub(crate) async fn run(profile: Profile) -> Result<(), crate::Error> {
    let sandbox = profile.sandbox_url.clone().ok_or(Error::NoSandbox)?;
    let demo = Demo { console: Console::new(&profile).await?, http: client()?, sandbox, profile };
    let before = demo.admin_get("behaviour").await?;
    let shown = demo.show().await;
    let keep = json!({
        "access_token_lifetime": before["access_token_lifetime"],
        "grace_window_seconds": before["grace_window_seconds"],
    });
    demo.behave(&keep).await?;
    shown
}

impl Demo {
    async fn show(&self) -> Result<(), crate::Error> {
        self.behave(&json!({ "access_token_lifetime": 540, "grace_window_seconds": 0 })).await?;
        let credential = self.connect().await?;
        self.webhook(&credential).await?;
        self.refresh(&credential).await?;
        self.call(&credential).await?;
        say("\nThat was the whole circle. Look around:");
        say(&format!("  {}/credentials/{credential}", self.profile.public_url));
        say(&format!("  {}/_sandbox", self.sandbox));
        Ok(())
    }

    async fn connect(&self) -> Result<String, crate::Error> {
        say("1  A person connects a Bitbucket account");
        let link = json!({ "workspace": seed::WORKSPACE, "label": "Demo" });
        let link = self.console.connect_link(&link).await?;
        say("   The operator makes a connect link; it works once.");
        let mut ada = Person::new(seed::ADA_UUID).map_err(Error::from)?;
        // Ada is the operator too, so she may see the page that the browser lands on.
        let login = format!("{}/login", self.profile.public_url);
        ada.submit(&login, &[("token", &self.profile.token().await?)]).await.map_err(Error::from)?;
        let consent = ada.open(&link.url).await.map_err(Error::from)?;
        say(&format!("   The person opens it and comes to {}{}.", self.sandbox, consent.url.path()));
        let landed = ada.decide(&consent, Decision::Grant).await.map_err(Error::from)?;
        let credential = self.console.credential(&link.credential).await?;
        let health = credential["status"]["health"].as_str().unwrap_or_default();
        say(&format!(
            "   Access granted; the browser lands on {}, which lists the credential.",
            landed.url.path()
        ));
        expect(landed.text.contains(&link.credential), "the credential is not on the page")?;
        say(&format!(
            "   Credential {} of {} is {health}. Scopes: {}.",
            link.credential,
            credential["account"]["display_name"].as_str().unwrap_or_default(),
            words(&credential["granted"]),
        ));
        expect(health == "up", "the credential is not up")?;
        let tokens = self.tokens(&link.credential).await?;
        say("   In the table its tokens are sealed:");
        for field in ["access", "refresh"] {
            let sealed = tokens[field].as_str().unwrap_or_default();
            say(&format!(
                "     {field:<8} {}… ({} characters)",
                sealed.get(..70).unwrap_or(sealed),
                sealed.len()
            ));
        }
        Ok(link.credential)
    }

    async fn webhook(&self, credential: &str) -> Result<(), crate::Error> {
        say("\n2  Somebody pushes");
        let hook = json!({ "action": "ensure_hook", "repository": REPOSITORY, "events": ["repo:push"] });
        let outcome = self.console.call(&json!({ "credential": credential, "call": hook })).await?;
        let hook = outcome.body.unwrap_or_default();
        expect(hook["secret_set"] == true, "the hook was not registered")?;
        say(&format!(
            "   A hook is registered at Bitbucket, with a secret: {}",
            hook["url"].as_str().unwrap_or_default()
        ));
        let push = json!({
            "repository": REPOSITORY, "branch": "main", "message": "Raise the replicas",
            "files": { "clusters/demo.yaml": "replicas: 3\n" },
        });
        let pushed = self.admin_post("push", &push).await?;
        say(&format!("   Commit {} is pushed; Bitbucket signs and delivers.", short(&pushed["commit"])));
        let envelope = self.event(credential).await?;
        say("   On the events queue:");
        for line in envelope {
            say(&format!("     {line}"));
        }
        let forged = self
            .http
            .post(format!("{}/webhooks/bitbucket-cloud/{credential}", self.profile.public_url))
            .header("x-event-key", "repo:push")
            .header("x-hub-signature", format!("sha256={}", "0".repeat(64)))
            .json(&json!({ "push": { "changes": [] } }))
            .send()
            .await
            .map_err(Error::from)?;
        say(&format!(
            "   A delivery with a forged signature is answered {}, and nothing is queued.",
            forged.status()
        ));
        expect(forged.status() == 401, "the forged delivery was not refused")?;
        Ok(())
    }

    async fn refresh(&self, credential: &str) -> Result<(), crate::Error> {
        say("\n3  The access token nears its end");
        let old = self.refresh_token().await?;
        let before = generation(&self.tokens(credential).await?);
        say("   The schedule looks for due tokens each minute. Waiting for it (up to 75 seconds) …");
        for _ in 0..75 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if generation(&self.tokens(credential).await?) > before {
                break;
            }
        }
        let after = generation(&self.tokens(credential).await?);
        expect(after > before, "the token was not refreshed in time")?;
        say(&format!(
            "   Refreshed: generation {before} became {after}, Bitbucket rotated the refresh token."
        ));
        let spent = self
            .http
            .post(format!("{}/site/oauth2/access_token", self.sandbox))
            .basic_auth(seed::CONSUMER_KEY, Some(seed::CONSUMER_SECRET))
            .form(&[("grant_type", "refresh_token"), ("refresh_token", &old)])
            .send()
            .await
            .map_err(Error::from)?;
        let status = spent.status();
        let said: Value = spent.json().await.map_err(Error::from)?;
        say(&format!("   The old refresh token is now worth nothing: {status}, {}.", words(&said["error"])));
        expect(status == 400, "the old refresh token still works")?;
        Ok(())
    }

    async fn call(&self, credential: &str) -> Result<(), crate::Error> {
        say("\n4  An automation asks for an API call");
        let path = format!("repositories/{REPOSITORY}/commits");
        let call = json!({ "method": "GET", "path": path, "query": { "pagelen": "1" } });
        let outcome =
            self.console.call(&json!({ "credential": credential, "call": call, "reply": "queue" })).await?;
        let body = outcome.body.unwrap_or_default();
        let newest = &body["values"][0];
        say(&format!("   GET {path} went over the calls queue to Bitbucket: {:?}.", outcome.state));
        say(&format!(
            "   Newest commit: {} \"{}\"",
            short(&newest["hash"]),
            words(&newest["message"]).trim()
        ));
        say("   The outcome is on the results queue and at GET /api/calls/{id}.");
        expect(newest["hash"].is_string(), "the call brought no commit")?;
        Ok(())
    }

    /// Takes messages off the events queue until one of this credential comes.
    async fn event(&self, credential: &str) -> Result<Vec<String>, Error> {
        let queue = SqsQueue::new(&self.profile.account()?, self.profile.events_queue.clone());
        for _ in 0..10 {
            for message in queue.receive(3).await? {
                queue.delete(&message).await?;
                let Ok(envelope) = Envelope::parse(&message.body) else { continue };
                if envelope.credentialid.as_str() == credential {
                    let bytes = envelope.body().map_err(|error| Error::Unexpected(error.to_string()))?.len();
                    return Ok(vec![
                        format!("type     {}", envelope.r#type),
                        format!("subject  {}", envelope.subject.unwrap_or_default()),
                        format!("id       {}", envelope.id),
                        format!("data     {bytes} bytes, as Bitbucket sent them"),
                    ]);
                }
            }
        }
        Err(Error::Unexpected("no event came".to_owned()))
    }

    async fn tokens(&self, credential: &str) -> Result<Value, Error> {
        let table = DynamoTable::new(&self.profile.account()?, self.profile.table.clone());
        let found = table.get(&Key::new(format!("CRED#{credential}"), "TOKENS")).await?;
        found
            .map(Value::Object)
            .ok_or_else(|| Error::Unexpected("the tokens are not in the table".to_owned()))
    }

    /// The refresh token that the sandbox gave out last.
    async fn refresh_token(&self) -> Result<String, Error> {
        let state = self.admin_get("state?reveal=true").await?;
        let grants = state["grants"].as_array().map(Vec::as_slice).unwrap_or_default();
        let newest = grants.iter().max_by_key(|grant| grant["created"].as_str());
        let token = newest.and_then(|grant| grant["refresh_tokens"][0]["value"].as_str());
        token.map(str::to_owned).ok_or_else(|| Error::Unexpected("the sandbox has no grant".to_owned()))
    }

    async fn behave(&self, switches: &Value) -> Result<(), Error> {
        let request = self.http.patch(format!("{}/_sandbox/behaviour", self.sandbox)).json(switches);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    async fn admin_get(&self, path: &str) -> Result<Value, Error> {
        Ok(self.http.get(format!("{}/_sandbox/{path}", self.sandbox)).send().await?.json().await?)
    }

    async fn admin_post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let request = self.http.post(format!("{}/_sandbox/{path}", self.sandbox)).json(body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}

fn expect(holds: bool, otherwise: &str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Unexpected(otherwise.to_owned())) }
}

fn generation(tokens: &Value) -> u64 {
    tokens["generation"].as_u64().unwrap_or_default()
}

fn short(hash: &Value) -> &str {
    hash.as_str().and_then(|hash| hash.get(..12)).unwrap_or_default()
}

fn words(value: &Value) -> String {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        value => value.as_str().unwrap_or_default().to_owned(),
    }
}
