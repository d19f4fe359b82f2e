//! `GET /oauth/callback`: from Bitbucket's answer to a stored credential, or to a reason why not.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use bucketwheel::bitbucket::ExchangeError;
use bucketwheel::connect::{Failure, Link, Ticket};
use bucketwheel::credential::{Account, Credential, Status};
use bucketwheel::ports::{Edge, Table, TableError};
use bucketwheel::rotation::{Terms, Upkeep};
use bucketwheel::store::connects;
use bucketwheel::store::credentials::{self, Audit};
use bucketwheel::store::tokens::{self, Rings, SealedPair};
use bucketwheel::token::{Refusal, TokenError, TokenSet};
use http::HeaderMap;
use jiff::SignedDuration;
use serde::Deserialize;

use crate::{Connect, Failed, cookie};

/// How often a connect is stored anew because the chain that it replaces has changed meanwhile. More often
/// than a claim and what ends it can change it while a person looks on.
const RECONNECT_TRIES: u32 = 4;

/// What Bitbucket adds to the callback's address (RFC 6749 sections 4.1.2 and 4.1.2.1).
#[derive(Deserialize)]
pub(crate) struct Callback {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

pub(crate) async fn complete<T: Table, E: Edge>(
    State(connect): State<Arc<Connect<T, E>>>,
    Query(callback): Query<Callback>,
    headers: HeaderMap,
) -> Response {
    match connect.complete(callback, cookie(&headers)).await {
        Ok(credential) => {
            tracing::info!(credential = credential.id.as_str(), "connected");
            connect.land("connected", credential.id.as_str())
        }
        Err(failed) => connect.fail(failed),
    }
}

impl<T: Table, E: Edge> Connect<T, E> {
    async fn complete(&self, callback: Callback, browser: Option<&str>) -> Result<Credential, Failed> {
        let now = self.edge.now();
        let state = Ticket::presented(callback.state.as_deref().unwrap_or_default());
        let begun = connects::take(&self.table, &state, now)
            .await
            .map_err(try_again)?
            .ok_or(Failure::StateUnusable)?;
        if browser.map(|cookie| Ticket::presented(cookie).digest()).as_deref() != Some(begun.browser.as_str())
        {
            return Err(Failure::OtherBrowser.into());
        }
        let code = match (callback.code, callback.error.as_deref()) {
            (Some(code), None) => code,
            (_, Some("access_denied")) => return Err(Failure::ConsentRefused.into()),
            _ => return Err(Failure::NoCode.into()),
        };
        let link = connects::link(&self.table, &begun.link, now)
            .await
            .map_err(try_again)?
            .ok_or(Failure::LinkUnusable)?;

        let exchanged = self.oauth.exchange(&code, &self.redirect_uri(), &begun.verifier, now).await;
        let tokens = exchanged.map_err(|error| Failed::because(failure_of(&error), error))?;
        let account = self.api.whoami(&tokens.access).await;
        let account = account.map_err(|error| Failed::because(Failure::BitbucketDown, error))?;
        let account = account.ok_or(Failure::AccountUnreadable)?;
        // A refresh that commits in between raises the generation, too. The reconnect reads it again and
        // wins.
        for _ in 0..RECONNECT_TRIES {
            match self.store(&begun.link, link.clone(), account.clone(), tokens.clone()).await {
                Err(Failed { failure: Failure::LinkUnusable, .. }) => {}
                stored => return stored,
            }
        }
        Err(Failure::LinkUnusable.into())
    }

    /// Stores the credential, its tokens and the audit line, and uses the link up: all or nothing. The
    /// generation goes up, so a refresh of the old pair that is under way cannot overwrite the new one.
    async fn store(
        &self,
        digest: &str,
        link: Link,
        account: Account,
        set: TokenSet,
    ) -> Result<Credential, Failed> {
        let now = self.edge.now();
        let id = &link.credential;
        let known = credentials::get(&self.table, id).await.map_err(try_again)?;
        let before = tokens::get(&self.table, id).await.map_err(try_again)?.map(|t| t.chain().generation);
        let generation = before.map_or(1, |generation| generation + 1);
        let rings = Rings { access: &self.access_ring, refresh: &self.refresh_ring };
        let nonces = [self.edge.random(), self.edge.random()];
        let pair = SealedPair::seal(rings, id, generation, &set, None, nonces);
        let action = if known.is_some() { "reconnected" } else { "connected" };
        let audit = Audit { actor: format!("link {}", &digest[..8]), action: action.to_owned(), at: now };
        let credential = Credential {
            id: link.credential.clone(),
            kind: link.kind,
            label: link.label,
            owner: link.owner,
            workspace: link.workspace,
            account,
            granted: set.scopes,
            status: Status::up(now),
            created_at: known.map_or(now, |known| known.created_at),
            connected_at: now,
        };
        // Only the margin matters to the first pair; the grace window belongs to the refresher.
        let terms = Terms::with_grace(SignedDuration::ZERO);
        let writes = vec![
            connects::use_up(digest),
            credentials::put(&credential),
            tokens::connect(id, &pair, before, Upkeep::Hot, now, &terms),
            credentials::audit_line(id, &audit, self.edge.random()),
        ];
        self.table.write(writes).await.map_err(|error| match error {
            TableError::Refused => Failed::from(Failure::LinkUnusable),
            error => try_again(error),
        })?;
        Ok(credential)
    }
}

fn try_again(error: TableError) -> Failed {
    Failed::because(Failure::TryAgain, error)
}

/// `unauthorized_client` on a code exchange means a wrong key or secret, whatever it may mean on a
/// refresh.
fn failure_of(error: &ExchangeError) -> Failure {
    match error {
        ExchangeError::Answered(TokenError::Refused { refusal: Refusal::Client, .. }) => {
            Failure::ConsumerRefused
        }
        ExchangeError::Answered(TokenError::Refused { .. }) => Failure::CodeRefused,
        ExchangeError::Answered(TokenError::Unreadable { .. }) => Failure::AnswerUnreadable,
        ExchangeError::Answered(TokenError::Unavailable { .. }) => Failure::BitbucketDown,
        ExchangeError::Unsent(_) | ExchangeError::Lost(_) => Failure::BitbucketDown,
    }
}
