//! The console's JSON API, as the operator calls it.

use std::time::Duration;

use bucketwheel::call::{Outcome, Problem};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::profile::Profile;
use crate::screen::waiting;

/// The API of one deployment.
pub(crate) struct Console {
    client: Client,
    base: String,
    token: String,
    /// A header for a sign-on that stands in front.
    signed_on: Option<(String, String)>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{cause} {resolution}", cause = .0.cause, resolution = .0.resolution)]
    Refused(Problem),
    #[error("the console answered {0} without a reason")]
    Unexplained(StatusCode),
    #[error("what answers there is no console: {0}")]
    NoConsole(reqwest::Error),
    #[error("the console cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("call {0} has no outcome yet")]
    NoOutcome(String),
}

impl Error {
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::Refused(problem) => problem.resolution.clone(),
            Self::Unexplained(_) => {
                "look into its log, and whether public_url in the profile leads to it".into()
            }
            Self::NoConsole(_) => "correct public_url in the profile".into(),
            Self::Unreachable(_) => {
                "is the system running, and does public_url in the profile lead to it?".into()
            }
            Self::NoOutcome(id) => format!("ask again later with GET /api/calls/{id}"),
        }
    }
}

/// A connect link.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ConnectLink {
    pub(crate) url: String,
    pub(crate) credential: String,
    pub(crate) expires_at: jiff::Timestamp,
}

/// A list, of which each answer is a page.
#[derive(Debug, Deserialize)]
pub(crate) struct List {
    pub(crate) values: Vec<Value>,
    /// Why a list of repositories is empty.
    pub(crate) blind: Option<Problem>,
    next: Option<String>,
}

/// How the deployment is, as its console sees it.
#[derive(Debug, Deserialize)]
pub(crate) struct Health {
    pub(crate) now: jiff::Timestamp,
    pub(crate) schedules: Vec<Schedule>,
}

/// A schedule of the template.
#[derive(Debug, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) function: String,
    pub(crate) last_run: Option<jiff::Timestamp>,
    pub(crate) late_after_seconds: i64,
}

/// Some of what there is, and how much there is of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Letters {
    pub(crate) values: Vec<Value>,
    #[serde(default)]
    pub(crate) total: u64,
}

#[derive(Deserialize)]
struct Refused {
    error: Problem,
}

impl Console {
    pub(crate) async fn new(profile: &Profile) -> Result<Self, crate::Error> {
        Ok(Self {
            client: client()?,
            base: profile.public_url.clone(),
            token: profile.token().await?,
            signed_on: profile.signed_on(),
        })
    }

    /// How the deployment is.
    pub(crate) async fn health(&self) -> Result<Health, Error> {
        self.send(self.client.get(self.url("health"))).await
    }

    /// How much of Bitbucket's hourly allowance is used.
    pub(crate) async fn budget(&self) -> Result<Value, Error> {
        self.send(self.client.get(self.url("budget"))).await
    }

    /// All queues at a glance.
    pub(crate) async fn queues(&self) -> Result<Vec<Value>, Error> {
        let all: Letters = self.send(self.client.get(self.url("queues"))).await?;
        Ok(all.values)
    }

    /// Up to `most` dead letters of a queue.
    pub(crate) async fn dead_letters(&self, name: &str, most: usize) -> Result<Letters, Error> {
        let request = self.client.get(self.url(&format!("queues/{name}/dead-letters")));
        self.send(request.query(&[("limit", most)])).await
    }

    pub(crate) async fn dead_letter(&self, name: &str, id: &str) -> Result<Value, Error> {
        self.send(self.client.get(self.url(&format!("queues/{name}/dead-letters/{id}")))).await
    }

    /// Sends dead letters again, or says which that would be.
    pub(crate) async fn redrive(&self, name: &str, wish: &Value) -> Result<Value, Error> {
        self.send(self.client.post(self.url(&format!("queues/{name}/redrive"))).json(wish)).await
    }

    pub(crate) async fn connect_link(&self, body: &Value) -> Result<ConnectLink, Error> {
        self.send(self.client.post(self.url("connect-links")).json(body)).await
    }

    /// All credentials, or those that fit the filter.
    pub(crate) async fn credentials(&self, filter: &[(&'static str, String)]) -> Result<Vec<Value>, Error> {
        let asked = || self.client.get(self.url("credentials")).query(filter);
        Ok(self.whole(asked).await?.values)
    }

    /// All repositories that a credential sees.
    pub(crate) async fn repositories(&self, id: &str) -> Result<List, Error> {
        self.whole(|| self.client.get(self.url(&format!("credentials/{id}/repositories")))).await
    }

    /// Every page of a list.
    async fn whole(&self, asked: impl Fn() -> RequestBuilder) -> Result<List, Error> {
        let mut whole: List = self.send(asked().query(&[("limit", "100")])).await?;
        while let Some(after) = whole.next.take() {
            let page: List = self.send(asked().query(&[("limit", "100"), ("after", after.as_str())])).await?;
            whole.values.extend(page.values);
            whole.next = page.next;
        }
        Ok(whole)
    }

    pub(crate) async fn credential(&self, id: &str) -> Result<Value, Error> {
        self.send(self.client.get(self.url(&format!("credentials/{id}")))).await
    }

    pub(crate) async fn audit(&self, id: &str) -> Result<Vec<Value>, Error> {
        #[derive(Deserialize)]
        struct Trail {
            values: Vec<Value>,
        }
        let trail: Trail = self.send(self.client.get(self.url(&format!("credentials/{id}/audit")))).await?;
        Ok(trail.values)
    }

    pub(crate) async fn change(&self, id: &str, change: &Value) -> Result<Value, Error> {
        self.send(self.client.patch(self.url(&format!("credentials/{id}"))).json(change)).await
    }

    /// Switches a credential: `disable` or `enable`.
    pub(crate) async fn switch(&self, id: &str, to: &str) -> Result<Value, Error> {
        self.send(self.client.post(self.url(&format!("credentials/{id}/{to}")))).await
    }

    /// Has the token of a credential looked at now.
    pub(crate) async fn refresh(&self, id: &str) -> Result<Value, Error> {
        self.send(self.client.post(self.url(&format!("credentials/{id}/refresh")))).await
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<Value, Error> {
        self.send(self.client.delete(self.url(&format!("credentials/{id}")))).await
    }

    /// Attaches a cluster.
    pub(crate) async fn attach_cluster(&self, wish: &Value) -> Result<Value, Error> {
        self.send(self.client.post(self.url("gitops")).json(wish)).await
    }

    /// What is attached.
    pub(crate) async fn attachments(&self) -> Result<Vec<Value>, Error> {
        Ok(self.whole(|| self.client.get(self.url("gitops"))).await?.values)
    }

    /// Has files in an attachment's folder.
    pub(crate) async fn put_files(&self, id: &str, put: &Value) -> Result<Value, Error> {
        self.send(self.client.post(self.url(&format!("gitops/{id}/files"))).json(put)).await
    }

    /// The history of an attachment, the oldest line first.
    pub(crate) async fn attachment_history(&self, id: &str) -> Result<Vec<Value>, Error> {
        Ok(self.whole(|| self.client.get(self.url(&format!("gitops/{id}/history")))).await?.values)
    }

    /// Forgets an attachment.
    pub(crate) async fn detach(&self, id: &str) -> Result<Value, Error> {
        self.send(self.client.delete(self.url(&format!("gitops/{id}")))).await
    }

    /// Submits a call and waits up to half a minute for its outcome.
    pub(crate) async fn call(&self, message: &Value) -> Result<Outcome, Error> {
        let _bar = waiting("Waiting for the worker");
        let found: Value = self.send(self.client.post(self.url("call")).json(message)).await?;
        self.outcome(found).await
    }

    /// The credential's hooks.
    pub(crate) async fn hooks(&self, id: &str) -> Result<Value, Error> {
        self.send(self.client.get(self.url(&format!("credentials/{id}/hooks")))).await
    }

    /// Wants a hook, and waits for what becomes of that.
    pub(crate) async fn attach(&self, id: &str, wanted: &Value) -> Result<Outcome, Error> {
        #[derive(Deserialize)]
        struct Begun {
            call: String,
        }
        let _bar = waiting("Waiting for the worker");
        let request = self.client.post(self.url(&format!("credentials/{id}/hooks"))).json(wanted);
        let Begun { call } = self.send(request).await?;
        self.outcome(serde_json::json!({ "id": call })).await
    }

    /// Sets the filter of all the credential's hooks.
    pub(crate) async fn set_filter(&self, id: &str, filter: &Value) -> Result<Value, Error> {
        self.send(self.client.patch(self.url(&format!("credentials/{id}/hooks"))).json(filter)).await
    }

    async fn outcome(&self, mut found: Value) -> Result<Outcome, Error> {
        let id = found["id"].as_str().unwrap_or_default().to_owned();
        for _ in 0..100 {
            if let Ok(outcome) = serde_json::from_value(found) {
                return Ok(outcome);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            found = self.send(self.client.get(self.url(&format!("calls/{id}")))).await?;
        }
        Err(Error::NoOutcome(id))
    }

    /// One page of a paginated call.
    pub(crate) async fn part(&self, id: &str, number: u32) -> Result<Outcome, Error> {
        self.send(self.client.get(self.url(&format!("calls/{id}/parts/{number}")))).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let request = self.signed_on.iter().fold(request, |r, (name, token)| r.header(name, token));
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status();
        if status.is_success() {
            let read = answer.json().await;
            return read
                .map_err(|error| if error.is_decode() { Error::NoConsole(error) } else { error.into() });
        }
        match answer.json().await {
            Ok(Refused { error }) => Err(Error::Refused(error)),
            Err(_) => Err(Error::Unexplained(status)),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/{path}", self.base)
    }
}

/// An HTTP client that follows no redirect: the demo wants to see each of them.
pub(crate) fn client() -> Result<Client, Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "the command line calls the console, not Bitbucket")]
    let builder = Client::builder();
    Ok(builder.redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(30)).build()?)
}
