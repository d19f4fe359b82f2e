//! `GET /oauth/callback`: from Bitbucket's answer to a stored credential, or to a reason why not.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use bucketwheel::bitbucket::ExchangeError;
use bucketwheel::connect::{Failure, Ticket};
use bucketwheel::credential::Credential;
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::connects;
use bucketwheel::token::{Refusal, TokenError};
use bucketwheel::web::Asked;
use http::HeaderMap;
use serde::Deserialize;

use crate::{Connect, Failed, cookie};

/// What Bitbucket adds to the callback's address (RFC 6749 sections 4.1.2 and 4.1.2.1).
#[derive(Deserialize)]
pub(crate) struct Callback {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

pub(crate) async fn complete<T: Table, Q: Queue, E: Edge>(
    State(connect): State<Arc<Connect<T, Q, E>>>,
    Query(callback): Query<Callback>,
    asked: Asked,
    headers: HeaderMap,
) -> Response {
    match connect.complete(callback, cookie(&headers), &asked).await {
        Ok(credential) => connect.connected(&credential).await,
        Err(failed) => connect.fail(failed),
    }
}

impl<T: Table, Q: Queue, E: Edge> Connect<T, Q, E> {
    async fn complete(
        &self,
        callback: Callback,
        browser: Option<&str>,
        asked: &Asked,
    ) -> Result<Credential, Failed> {
        let now = self.edge.now();
        let state = Ticket::presented(callback.state.as_deref().unwrap_or_default());
        let begun = connects::take(&self.table, &state, now).await?.ok_or(Failure::StateUnusable)?;
        let browser = Ticket::presented(browser.ok_or(Failure::CookieMissing)?);
        if browser.digest() != begun.browser {
            return Err(Failure::OtherBrowser.into());
        }
        let code = match (callback.code, callback.error) {
            (Some(code), None) => code,
            (_, error) => return Err(refused(error.as_deref()).into()),
        };
        let link = self.link(&begun.link, now).await?;

        let exchanged = self.oauth.exchange(&code, &self.redirect_uri(), &begun.verifier, now).await;
        let set = exchanged.map_err(|error| Failed::because(failure_of(&error), error))?;
        let found = self.look(&link, &set.access).await?;
        self.store(&begun.link, &link, &found, &set, asked).await
    }
}

/// What Bitbucket's `error` means. Its `error_description` is not shown: anybody can write one.
fn refused(error: Option<&str>) -> Failure {
    match error {
        Some("access_denied") => Failure::ConsentRefused,
        Some("unauthorized_client" | "invalid_client") => Failure::ConsumerRefused,
        Some("redirect_uri_mismatch" | "invalid_request") => Failure::RedirectMismatch,
        Some("server_error" | "temporarily_unavailable") => Failure::BitbucketDown,
        _ => Failure::NoCode,
    }
}

/// `unauthorized_client` on a code exchange means a wrong key or secret, whatever it may mean on a
/// refresh.
pub(crate) fn failure_of(error: &ExchangeError) -> Failure {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitbuckets_errors_have_their_reasons_and_its_words_are_not_repeated() {
        for (error, want) in [
            (Some("access_denied"), Failure::ConsentRefused),
            (Some("unauthorized_client"), Failure::ConsumerRefused),
            (Some("redirect_uri_mismatch"), Failure::RedirectMismatch),
            (Some("temporarily_unavailable"), Failure::BitbucketDown),
            (Some("<script>"), Failure::NoCode),
            (None, Failure::NoCode),
        ] {
            assert_eq!(refused(error), want, "{error:?}");
        }
    }
}
