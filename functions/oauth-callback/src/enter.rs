//! `POST /connect/{link}`: a token that somebody entered, or the consumer's own, is tried and stored.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bucketwheel::connect::{Failure, Link, Ticket};
use bucketwheel::credential::{Credential, Entry, Scopes};
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Queue, Table, TokenEndpoint as _};
use bucketwheel::token::{AccessToken, NEVER, TokenSet, end_of};
use bucketwheel::web::{Asked, from_here};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::complete::failure_of;
use crate::form::{self, Banner};
use crate::look::{Found, LookError, Unfit};
use crate::{Connect, Failed};

/// The longest token that is tried. Bitbucket's are far below.
const LONGEST: usize = 8 * 1024;

/// The form as it is sent. Which fields it has depends on the kind.
#[derive(Deserialize)]
pub(crate) struct Entered {
    email: Option<String>,
    token: Option<SecretString>,
    expires_on: Option<String>,
}

pub(crate) async fn enter<T: Table, Q: Queue, E: Edge>(
    State(connect): State<Arc<Connect<T, Q, E>>>,
    Path(ticket): Path<String>,
    asked: Asked,
    headers: HeaderMap,
    entered: Result<Form<Entered>, FormRejection>,
) -> Response {
    let ticket = Ticket::presented(&ticket);
    // A program sends no Origin. A browser does, and then the page must be ours.
    let foreign = headers.contains_key(header::ORIGIN) && !from_here(&headers, &connect.public_url);
    let Ok(Form(entered)) = entered else { return StatusCode::BAD_REQUEST.into_response() };
    if foreign {
        return StatusCode::FORBIDDEN.into_response();
    }
    match connect.enter(&ticket, entered, &asked).await {
        Ok(Ok(credential)) => connect.connected(&credential).await,
        Ok(Err((link, banner))) => {
            tracing::warn!(credential = link.credential.as_str(), code = banner.code, "token not taken");
            (StatusCode::UNPROCESSABLE_ENTITY, form::page(&link, &ticket, Some(&banner))).into_response()
        }
        Err(failed) => connect.fail(failed),
    }
}

impl<T: Table, Q: Queue, E: Edge> Connect<T, Q, E> {
    /// The credential, or what the form says about the token.
    async fn enter(
        &self,
        ticket: &Ticket,
        entered: Entered,
        asked: &Asked,
    ) -> Result<Result<Credential, (Link, Banner)>, Failed> {
        let digest = ticket.digest();
        let now = self.edge.now();
        let link = self.link(&digest, now).await?;
        let (set, found) = match link.kind.entry() {
            // Such a link leads to Bitbucket's page, which has no form of ours.
            Entry::Consent => return Err(Failure::LinkUnusable.into()),
            Entry::Consumer => {
                let set = self.oauth.renew(now).await;
                let set = set.map_err(|error| Failed::because(failure_of(&error), error))?;
                let found = self.look(&link, &set.access).await?;
                (set, found)
            }
            Entry::EmailAndToken | Entry::Token => {
                let email = entered.email.clone();
                match self.tried(&link, entered, now).await {
                    Ok(tried) => tried,
                    Err(banner) => return Ok(Err((link, banner.with_email(email)))),
                }
            }
        };
        self.store(&digest, &link, &found, &set, asked).await.map(Ok)
    }

    /// A token that somebody entered, with what Bitbucket tells of it.
    async fn tried(
        &self,
        link: &Link,
        entered: Entered,
        now: Timestamp,
    ) -> Result<(TokenSet, Found), Banner> {
        let set = read(link, entered, now).map_err(|unfit| Banner::of(&unfit))?;
        match self.try_out(link, &set.access).await {
            Ok(found) => Ok((set, found)),
            Err(LookError::Unfit(unfit)) => Err(Banner::of(&unfit)),
            Err(error) => {
                tracing::error!(error = %Causes(&error), "the token could not be tried");
                Err(Banner::failure(Failure::BitbucketDown))
            }
        }
    }
}

/// The token that was entered, in the form in which it is sealed: an API token with its e-mail address.
fn read(link: &Link, entered: Entered, now: Timestamp) -> Result<TokenSet, Unfit> {
    let token = entered.token.as_ref().map_or("", |token| token.expose_secret().trim());
    if token.is_empty() || token.len() > LONGEST || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Unfit::NoToken);
    }
    let text = match link.kind.entry() {
        Entry::EmailAndToken => {
            let email = entered.email.as_deref().unwrap_or_default().trim();
            let (name, host) = email.split_once('@').ok_or(Unfit::NoEmail)?;
            let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != ':';
            if name.is_empty() || host.is_empty() || email.len() > 254 || !email.chars().all(plain) {
                return Err(Unfit::NoEmail);
            }
            format!("{email}:{token}")
        }
        Entry::Consent | Entry::Consumer | Entry::Token => token.to_owned(),
    };
    Ok(TokenSet {
        access: AccessToken::new(SecretString::from(text)),
        refresh: None,
        expires_at: expiry(entered.expires_on.as_deref(), now),
        scopes: Scopes::default(),
    })
}

/// The end of the day that was entered, if it is one that comes. Bitbucket does not tell when a token made
/// by hand expires.
fn expiry(entered: Option<&str>, now: Timestamp) -> Timestamp {
    let day = entered.and_then(|text| text.trim().parse::<Date>().ok());
    day.map(end_of).filter(|end| *end > now).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use bucketwheel::credential::Kind;

    use super::*;

    fn entered(kind: Kind, email: &str, token: &str) -> Result<String, Unfit> {
        let entered = Entered {
            email: Some(email.to_owned()),
            token: Some(SecretString::from(token)),
            expires_on: None,
        };
        let link = Link { kind, ..Link::sample("c-1".parse().expect("an id"), Timestamp::MAX) };
        read(&link, entered, Timestamp::UNIX_EPOCH).map(|set| set.access.reveal().to_owned())
    }

    #[test]
    fn an_api_token_is_kept_with_its_email_and_an_access_token_alone() {
        let shared = Kind::ApiTokenShared;
        assert_eq!(entered(shared, " ada@example.com ", "ATATT3x=\n"), Ok("ada@example.com:ATATT3x=".into()));
        assert_eq!(entered(Kind::WorkspaceAccessToken, "", "ATCTT3x"), Ok("ATCTT3x".into()));
        for email in ["", "ada", "@example.com", "ada@", "a:b@example.com", "a b@example.com"] {
            assert_eq!(entered(shared, email, "t"), Err(Unfit::NoEmail), "{email}");
        }
        for token in ["", " ", "a b", "ü", &"x".repeat(LONGEST + 1)] {
            assert_eq!(entered(shared, "ada@example.com", token), Err(Unfit::NoToken), "{token}");
        }
    }

    #[test]
    fn only_a_day_to_come_is_an_expiry() {
        let now: Timestamp = "2026-11-21T05:00:00Z".parse().expect("a time");
        let last: Timestamp = "2026-11-21T23:59:59Z".parse().expect("a time");
        assert_eq!(expiry(Some("2026-11-21"), now), last);
        for none in [None, Some(""), Some("soon"), Some("2026-11-20")] {
            assert_eq!(expiry(none, now), NEVER, "{none:?}");
        }
    }
}
