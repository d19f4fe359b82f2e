//! `bucketwheel demo`: the point of it all, on the running local system.
//!
//! The terms of the sandbox are changed so that there is something to see within minutes, and set back
//! at the end: the first access token lives nine minutes, so it is due at once, and a spent refresh
//! token is refused immediately instead of after ten minutes.

mod error;

use std::time::Duration;

use bucketwheel::aws::{DynamoTable, SqsQueue};
use bucketwheel::event::Envelope;
use bucketwheel::ports::{Key, Table as _};
use bucketwheel_sandbox::person::{Decision, Person};
use bucketwheel_sandbox::seed;
pub(crate) use error::Error;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use serde_json::{Value, json};

use crate::console::{Console, client};
use crate::profile::Profile;
use crate::screen::Screen;

struct Demo {
    screen: Screen,
    profile: Profile,
    sandbox: String,
    console: Console,
    http: reqwest::Client,
}

/// In seconds: the schedule comes each minute.
const SWEPT_WITHIN: u64 = 75;
const REPOSITORY: &str = "seilbahn/infrastructure";

/// Tells people in words; programs one object for each of the four parts.
pub(crate) async fn run(profile: Profile, screen: Screen) -> Result<(), crate::Error> {
    let sandbox = profile.sandbox_url.clone().ok_or(Error::NoSandbox)?;
    let demo = Demo { screen, console: Console::new(&profile).await?, http: client()?, sandbox, profile };
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
        self.screen.aside("\nThat was the whole circle. Look around:");
        self.screen.aside(&format!("  {}/credentials/{credential}", self.profile.public_url));
        self.screen.aside(&format!("  {}/_sandbox", self.sandbox));
        Ok(())
    }

    async fn connect(&self) -> Result<String, crate::Error> {
        self.screen.aside("1  A person connects a Bitbucket account");
        let link = json!({ "workspace": seed::WORKSPACE, "label": "Demo" });
        let link = self.console.connect_link(&link).await?;
        self.screen.aside("   The operator makes a connect link; it works once.");
        let mut ada = Person::new(seed::ADA_UUID).map_err(Error::from)?;
        // Ada is the operator too, so she may see the page that the browser lands on.
        let login = format!("{}/login", self.profile.public_url);
        ada.submit(&login, &[("token", &self.profile.token().await?)]).await.map_err(Error::from)?;
        let consent = ada.open(&link.url).await.map_err(Error::from)?;
        self.screen.aside(&format!(
            "   The person opens it and comes to {}{}.",
            self.sandbox,
            consent.url.path()
        ));
        let landed = ada.decide(&consent, Decision::Grant).await.map_err(Error::from)?;
        let credential = self.console.credential(&link.credential).await?;
        let health = credential["status"]["health"].as_str().unwrap_or_default();
        self.screen.aside(&format!(
            "   Access granted; the browser lands on {}, which lists the credential.",
            landed.url.path()
        ));
        expect(landed.text.contains(&link.credential), "the credential is not on the page")?;
        self.screen.aside(&format!(
            "   Credential {} of {} is {health}. Scopes: {}.",
            link.credential,
            credential["account"]["display_name"].as_str().unwrap_or_default(),
            words(&credential["granted"]),
        ));
        expect(health == "up", "the credential is not up")?;
        let tokens = self.tokens(&link.credential).await?;
        self.screen.aside("   In the table its tokens are sealed:");
        for field in ["access", "refresh"] {
            let sealed = tokens[field].as_str().unwrap_or_default();
            self.screen.aside(&format!(
                "     {field:<8} {}… ({} characters)",
                sealed.get(..70).unwrap_or(sealed),
                sealed.len()
            ));
        }
        self.screen.for_programs(&json!({
            "part": "connect", "credential": link.credential, "account": credential["account"],
            "health": health, "granted": credential["granted"],
        }));
        Ok(link.credential)
    }

    async fn webhook(&self, credential: &str) -> Result<(), crate::Error> {
        self.screen.aside("\n2  Somebody pushes");
        let hook = json!({ "action": "ensure_hook", "repository": REPOSITORY, "events": ["repo:push"] });
        let outcome = self.console.call(&json!({ "credential": credential, "call": hook })).await?;
        let hook = outcome.body.unwrap_or_default();
        expect(hook["secret_set"] == true, "the hook was not registered")?;
        self.screen.aside(&format!(
            "   A hook is registered at Bitbucket, with a secret: {}",
            hook["url"].as_str().unwrap_or_default()
        ));
        let push = json!({
            "repository": REPOSITORY, "branch": "main", "message": "Raise the replicas",
            "files": { "clusters/demo.yaml": "replicas: 3\n" },
        });
        let pushed = self.admin_post("push", &push).await?;
        self.screen.aside(&format!(
            "   Commit {} is pushed; Bitbucket signs and delivers.",
            short(&pushed["commit"])
        ));
        let event = self.event(credential).await?;
        self.screen.aside("   On the events queue:");
        for name in ["type", "subject", "id"] {
            self.screen.aside(&format!("     {name:<7}  {}", words(&event[name])));
        }
        self.screen.aside(&format!("     data     {} bytes, as Bitbucket sent them", event["bytes"]));
        let forged = self
            .http
            .post(format!("{}/webhooks/bitbucket-cloud/{credential}", self.profile.public_url))
            .header("x-event-key", "repo:push")
            .header("x-hub-signature", format!("sha256={}", "0".repeat(64)))
            .json(&json!({ "push": { "changes": [] } }))
            .send()
            .await
            .map_err(Error::from)?;
        self.screen.aside(&format!(
            "   A delivery with a forged signature is answered {}, and nothing is queued.",
            forged.status()
        ));
        expect(forged.status() == 401, "the forged delivery was not refused")?;
        self.screen.for_programs(&json!({
            "part": "webhook", "hook": hook["url"], "commit": pushed["commit"], "event": event,
            "forged": forged.status().as_u16(),
        }));
        Ok(())
    }

    async fn refresh(&self, credential: &str) -> Result<(), crate::Error> {
        self.screen.aside("\n3  The access token nears its end");
        let old = self.refresh_token().await?;
        let before = generation(&self.tokens(credential).await?);
        self.screen.aside(&format!(
            "   The schedule looks for due tokens each minute. Waiting for it (up to {SWEPT_WITHIN} seconds) …"
        ));
        let bar = ProgressBar::new(SWEPT_WITHIN).with_finish(ProgressFinish::AndClear);
        if let Ok(style) = ProgressStyle::with_template("   {bar:40} {pos} of {len} seconds") {
            bar.set_style(style);
        }
        for _ in 0..SWEPT_WITHIN {
            tokio::time::sleep(Duration::from_secs(1)).await;
            bar.inc(1);
            if generation(&self.tokens(credential).await?) > before {
                break;
            }
        }
        drop(bar);
        let after = generation(&self.tokens(credential).await?);
        expect(after > before, "the token was not refreshed in time")?;
        self.screen.aside(&format!(
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
        self.screen.aside(&format!(
            "   The old refresh token is now worth nothing: {status}, {}.",
            words(&said["error"])
        ));
        expect(status == 400, "the old refresh token still works")?;
        self.screen.for_programs(&json!({
            "part": "refresh", "generation_before": before, "generation_after": after,
            "old_token": { "status": status.as_u16(), "error": said["error"] },
        }));
        Ok(())
    }

    async fn call(&self, credential: &str) -> Result<(), crate::Error> {
        self.screen.aside("\n4  An automation asks for an API call");
        let path = format!("repositories/{REPOSITORY}/commits");
        let call = json!({ "method": "GET", "path": path, "query": { "pagelen": "1" } });
        let outcome =
            self.console.call(&json!({ "credential": credential, "call": call, "reply": "queue" })).await?;
        let body = outcome.body.unwrap_or_default();
        let newest = &body["values"][0];
        self.screen
            .aside(&format!("   GET {path} went over the calls queue to Bitbucket: {:?}.", outcome.state));
        self.screen.aside(&format!(
            "   Newest commit: {} \"{}\"",
            short(&newest["hash"]),
            words(&newest["message"]).trim()
        ));
        self.screen.aside("   The outcome is on the results queue and at GET /api/calls/{id}.");
        expect(newest["hash"].is_string(), "the call brought no commit")?;
        self.screen.for_programs(&json!({
            "part": "call", "path": path, "id": outcome.id, "state": outcome.state, "commit": newest["hash"],
        }));
        Ok(())
    }

    /// Takes messages off the events queue until one of this credential comes.
    async fn event(&self, credential: &str) -> Result<Value, Error> {
        let queue = SqsQueue::new(&self.profile.account()?, self.profile.events_queue.clone());
        for _ in 0..10 {
            for message in queue.receive(3).await? {
                queue.delete(&message).await?;
                let Ok(envelope) = Envelope::parse(&message.body) else { continue };
                if envelope.credentialid.as_str() == credential {
                    let bytes = envelope.body().map_err(|error| Error::Unexpected(error.to_string()))?.len();
                    return Ok(json!({
                        "type": envelope.r#type, "subject": envelope.subject, "id": envelope.id, "bytes": bytes,
                    }));
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
