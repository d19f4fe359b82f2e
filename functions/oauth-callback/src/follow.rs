//! What follows a connect: calls in the background, through the calls queue.
//!
//! The connect does not depend on them. What cannot be sent here, the worker's schedule makes good.

use std::time::Duration;

use axum::response::Response;
use bucketwheel::call::{Action, CallId, Message};
use bucketwheel::credential::Credential;
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Outgoing, Queue, Table};

use crate::Connect;

/// How long the browser waits for the queue at most.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is done for a credential that was just connected: a word for the call's id, and the call.
fn following() -> [(&'static str, Action); 2] {
    [("list-repositories", Action::RefreshRepositories {}), ("hooks", Action::RepairHooks {})]
}

impl<T: Table, Q: Queue, E: Edge> Connect<T, Q, E> {
    /// The credential is stored: sends what follows, and the browser to the console.
    pub(crate) async fn connected(&self, credential: &Credential) -> Response {
        tracing::info!(credential = credential.id.as_str(), kind = credential.kind.code(), "connected");
        // One that is switched off makes no calls.
        if credential.disabled_at.is_none()
            && tokio::time::timeout(PATIENCE, self.follow(credential)).await.is_err()
        {
            tracing::warn!(credential = credential.id.as_str(), "the calls queue takes too long");
        }
        self.land("connected", credential.id.as_str())
    }

    async fn follow(&self, credential: &Credential) {
        for (what, action) in following() {
            let id = CallId::own(what, &credential.id, credential.revision);
            let message = Message::own(id, credential.id.clone(), action);
            if let Err(error) = self.calls.send(Outgoing::call(&message)).await {
                tracing::warn!(call = message.id.as_str(), error = %Causes(&error), "a call was not submitted");
            }
        }
    }
}
