//! A faithful fake of Bitbucket Cloud, in memory and on one origin.
//!
//! It is a fake, not a mock: it really rotates refresh tokens and refuses old ones, retries
//! webhooks on 5xx only, limits rates, keeps files in a git-like store and answers with Bitbucket's
//! own error bodies. What differs from day to day, or from source to source, is a switch of
//! [`Behaviour`].
//!
//! | path | what |
//! |---|---|
//! | `/site/oauth2/authorize`, `/site/oauth2/access_token` | OAuth 2.0 |
//! | `/2.0/…` | the REST API |
//! | `/_sandbox` | the sandbox's own controls; `GET /_sandbox` lists them |
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bucketwheel_sandbox::{Sandbox, Settings};
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let served = Sandbox::serve(listener, Settings::default())?;
//! println!("Bitbucket is at {}", served.url());
//! served.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Inside, everything that decides is pure: [`oauth`](self), `git`, `api` and `limit` take the time
//! and random bytes as arguments, and `http` is the only edge.

mod admin;
mod api;
mod behaviour;
mod caller;
mod clock;
mod delivery;
mod errors;
mod events;
mod git;
mod http;
mod journal;
mod limit;
mod oauth;
mod pages;
pub mod person;
mod plant;
mod random;
mod scope;
pub mod seed;
mod settings;
mod shapes;
mod site;
#[cfg(test)]
mod tests;
mod world;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle, task::JoinSet};

pub use behaviour::{
    Behaviour, Delay, Failure, Lost, LostAnswer, Lure, LureBy, RedirectMatch, Replay, ScopeField,
    UnchangedCommit,
};
pub use errors::Error;
pub use settings::{AccessTokenSettings, ApiTokenSettings, ConsumerSettings, Settings};
use world::{Event, World};

/// A handle to a sandbox; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    http: reqwest::Client,
    deliveries: Mutex<JoinSet<()>>,
}

/// A sandbox that answers until this is dropped or stopped.
#[derive(Debug)]
#[must_use = "the sandbox stops when this is dropped"]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    sandbox: Sandbox,
    task: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Serves on the listener until the answer is dropped or stopped. Installs rustls' ring
    /// provider as the process's default if there is none yet.
    ///
    /// # Errors
    /// If called outside a tokio runtime, if the listener has no address, or if the settings name
    /// somebody or something that does not exist.
    pub fn serve(listener: TcpListener, settings: Settings) -> Result<Served, Error> {
        let runtime = Handle::try_current().map_err(Error::NoRuntime)?;
        let address = listener.local_addr().map_err(Error::Listener)?;
        let base = settings.base_url.clone().unwrap_or_else(|| format!("http://{address}"));
        let world = World::new(base.trim_end_matches('/').to_owned(), settings, &random::seed()?)?;
        let sandbox = Self(Arc::new(Inner {
            world: Mutex::new(world),
            http: delivery::client()?,
            deliveries: Mutex::new(JoinSet::new()),
        }));
        let task = Some(runtime.spawn(http::serve(listener, sandbox.clone())));
        Ok(Served { address, sandbox, task })
    }

    /// The switches as they stand.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.world().behaviour.clone()
    }

    /// Sets all switches.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.world().behaviour = behaviour;
    }

    /// Puts the sandbox's clock forward, or back if negative.
    pub fn advance_clock(&self, seconds: i64) {
        self.world().clock.advance(seconds);
    }

    /// The world, locked. A poisoned lock is no reason to stop: every change is made in one go.
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    /// Starts one delivery in the background, or loses it.
    fn deliver(&self, world: &mut World, hook: usize, event: &Event, request_id: String, lost: bool) {
        let hook = &world.hooks[hook];
        let delivery = delivery::Delivery {
            request_id,
            hook: hook.uuid.trim_matches(['{', '}']).to_owned(),
            event: event.key.clone(),
            url: hook.url.clone(),
            body: event.body.clone(),
            bytes: event.body.len(),
            signed: hook.secret.is_some(),
            done: lost,
            attempts: Vec::new(),
        };
        let secret = hook.secret.clone();
        if world.deliveries.len() == delivery::KEPT {
            world.deliveries.pop_front();
        }
        world.deliveries.push_back(delivery.clone());
        if !lost {
            self.start(delivery, secret);
        }
    }

    fn start(&self, delivery: delivery::Delivery, secret: Option<String>) {
        let mut deliveries = self.0.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        while deliveries.try_join_next().is_some() {}
        deliveries.spawn(delivery::carry(self.clone(), delivery, secret));
    }

    fn abort_deliveries(&self) {
        self.0.deliveries.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Served {
    /// The origin, `http://ADDRESS`, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The handle.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Stops serving; when this returns, the port is free and no delivery is under way.
    pub async fn stop(mut self) {
        self.sandbox.abort_deliveries();
        if let Some(task) = self.task.take() {
            task.abort();
            // The error says that it was aborted.
            let _aborted = task.await;
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.sandbox.abort_deliveries();
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}
