//! The operator's pages and JSON API, behind one token.
//!
//! A request passes, from the outside in: the security headers (`problem::dress`), the guard
//! (`guard::enter`), and the handler of its route. Whatever goes wrong on the way is an
//! `ErrorAnswer`, and the path decides whether a program or a person reads it.

mod api;
mod change;
mod guard;
mod hooks;
mod invite;
mod letter;
pub mod operators;
mod page;
mod pages;
mod problem;
pub mod queues;
mod request;
mod search;
pub mod session;
mod upkeep;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{get, post};
use bucketwheel::credential::CredentialId;
use bucketwheel::ports::{Backlog, Edge, Queue, Table};
use bucketwheel::rotation::{Forecast, Terms, forecast};
use bucketwheel::store::budget::Limits;
use bucketwheel::store::tokens::Tokens;
use jiff::{SignedDuration, Timestamp};
use operators::Operators;
use queues::Queues;
use session::Doubt;
use url::Url;

use problem::ErrorAnswer;

/// The longest body that is read, in bytes. A message of the calls queue must fit into SQS anyway.
const LONGEST_BODY: usize = 256 * 1024;

/// What the pages and the API work on.
#[derive(Debug)]
pub struct Console<T, Q, E> {
    /// Credentials, connect links and calls.
    pub table: T,
    /// Where calls go.
    pub calls: Q,
    /// Where a wish to refresh a credential goes.
    pub nudges: Q,
    /// Where gitops-sync is called; none if it is off.
    pub gitops: Option<Q>,
    /// Time and randomness.
    pub edge: E,
    /// Who may enter.
    pub operators: Operators,
    /// How wrong tokens are answered.
    pub doubt: Doubt,
    /// Where browsers and Bitbucket find this installation: scheme, host and port.
    pub public_url: Url,
    /// How much Bitbucket allows.
    pub limits: Limits,
}

impl<T, Q, E> Console<T, Q, E> {
    /// The public address of a path that begins with a slash.
    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.origin().ascii_serialization())
    }

    /// Answers a wrong operator token slowly, the more of them came lately.
    async fn doubt(&self)
    where
        E: Edge,
    {
        tracing::warn!("somebody came with a wrong operator token");
        tokio::time::sleep(self.doubt.pause(self.edge.now())).await;
    }

    /// Where Bitbucket sends the deliveries of a credential.
    fn webhook_url(&self, id: &CredentialId) -> String {
        self.address(&format!("/webhooks/bitbucket-cloud/{id}"))
    }
}

/// What is to be expected of a chain. The window is as Bitbucket gives it; the refresher's own is a little
/// shorter.
fn outlook(tokens: &Tokens, now: Timestamp) -> Forecast {
    forecast(&tokens.chain(), tokens.due_at(), now, &Terms::with_grace(SignedDuration::from_mins(10)))
}

/// All routes of the console.
pub fn router<T, Q, B, E>(console: Console<T, Q, E>, queues: Queues<B, E>) -> Router
where
    T: Table + 'static,
    Q: Queue + 'static,
    B: Backlog + 'static,
    E: Edge + 'static,
{
    let console = Arc::new(console);
    let of_queues = Router::new()
        .route("/queues", get(pages::queues::show::<B, E>))
        .route("/queues/{name}", get(pages::queue::show::<B, E>).post(pages::queue::act::<B, E>))
        .route("/queues/{name}/letter", get(pages::queue::letter::<B, E>))
        .route("/api/queues", get(api::queues::list::<B, E>))
        .route("/api/queues/{name}/dead-letters", get(api::queues::letters::<B, E>))
        .route("/api/queues/{name}/dead-letters/{id}", get(api::queues::letter::<B, E>))
        .route("/api/queues/{name}/redrive", post(api::queues::redrive::<B, E>))
        .with_state(Arc::new(queues));
    Router::new()
        .route("/", get(async || Redirect::to("/credentials")))
        .route("/assets/{name}", get(pages::asset))
        .route("/login", get(pages::login::show).post(pages::login::enter::<T, Q, E>))
        .route("/logout", post(pages::login::leave))
        .route("/credentials", get(pages::credentials::show::<T, Q, E>))
        .route("/credentials/new", get(pages::connect::show::<T, Q, E>).post(pages::connect::make::<T, Q, E>))
        .route(
            "/credentials/{id}",
            get(pages::credential::show::<T, Q, E>).post(pages::credential::act::<T, Q, E>),
        )
        .route("/credentials/{id}/audit", get(pages::credential::history::<T, Q, E>))
        .route("/credentials/{id}/repositories", get(pages::credential::repositories::<T, Q, E>))
        .route("/calls", get(pages::call::show::<T, Q, E>).post(pages::call::send::<T, Q, E>))
        .route("/calls/{id}", get(pages::outcome::show::<T, Q, E>))
        .route("/api/openapi.json", get(api::description))
        .route("/api/health", get(api::health::show::<T, Q, E>))
        .route("/api/kinds", get(api::kinds::list))
        .route("/api/connect-links", post(api::connect_links::make::<T, Q, E>))
        .route("/api/credentials", get(api::credentials::list::<T, Q, E>))
        .route(
            "/api/credentials/{id}",
            get(api::credentials::show::<T, Q, E>)
                .patch(api::credentials::change::<T, Q, E>)
                .delete(api::credentials::delete::<T, Q, E>),
        )
        .route("/api/credentials/{id}/audit", get(api::credentials::audit::<T, Q, E>))
        .route("/api/credentials/{id}/calls", get(api::calls::recent::<T, Q, E>))
        .route("/api/credentials/{id}/repositories", get(api::repositories::list::<T, Q, E>))
        .route("/api/credentials/{id}/disable", post(api::credentials::disable::<T, Q, E>))
        .route("/api/credentials/{id}/enable", post(api::credentials::enable::<T, Q, E>))
        .route(
            "/api/credentials/{id}/hooks",
            get(api::hooks::show::<T, Q, E>)
                .post(api::hooks::attach::<T, Q, E>)
                .patch(api::hooks::filter::<T, Q, E>),
        )
        .route("/api/credentials/{id}/refresh", post(api::credentials::refresh::<T, Q, E>))
        .route("/api/budget", get(api::budget::show::<T, Q, E>))
        .route("/api/call", post(api::calls::call::<T, Q, E>))
        .route("/api/calls", post(api::calls::submit::<T, Q, E>))
        .route("/api/calls/{id}", get(api::calls::show::<T, Q, E>))
        .route("/api/calls/{id}/parts/{number}", get(api::calls::part::<T, Q, E>))
        .merge(of_queues)
        .route("/api/gitops", get(api::gitops::list::<T, Q, E>).post(api::gitops::attach::<T, Q, E>))
        .route("/api/gitops/{id}", get(api::gitops::show::<T, Q, E>).delete(api::gitops::detach::<T, Q, E>))
        .route("/api/gitops/{id}/files", post(api::gitops::put::<T, Q, E>))
        .route("/api/gitops/{id}/history", get(api::gitops::history::<T, Q, E>))
        .method_not_allowed_fallback(async || ErrorAnswer::wrong_method())
        .fallback(async || ErrorAnswer::no_such_page())
        .layer(from_fn_with_state(Arc::clone(&console), guard::enter::<T, Q, E>))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(from_fn(problem::dress))
        .with_state(console)
}
