//! Trying a token: whom it acts as, what it may do, and what it sees.

use bucketwheel::bitbucket::SendError;
use bucketwheel::call::{Answer, ApiPath};
use bucketwheel::connect::{Failure, Link};
use bucketwheel::credential::{Account, Entry, Scopes, Sight, required};
use bucketwheel::error::Causes;
use bucketwheel::token::{AccessToken, Authorization};
use serde::Deserialize;

use crate::{Connect, Failed};

/// What Bitbucket tells of a token.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) account: Account,
    pub(crate) sight: Sight,
    /// The token's scopes, where an answer named them.
    pub(crate) scopes: Option<Scopes>,
}

/// Why a token that somebody entered is not taken: as far as Bitbucket tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// No e-mail address has this form.
    NoEmail,
    /// No token has this form.
    NoToken,
    /// Bitbucket knows no such e-mail and token together.
    EmailOrToken,
    /// Bitbucket does not know the token.
    Token,
    /// The token lacks these scopes.
    Scopes(Scopes),
    /// The token does not see the workspace, project or repository that the link is for.
    Place,
}

/// How trying a token failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error("the token is refused: {0:?}")]
    Unfit(Unfit),
    #[error("Bitbucket could not be asked")]
    Unasked(#[from] SendError),
    #[error("Bitbucket answered status {0}")]
    Strange(u16),
}

/// A workspace, a project or a repository.
#[derive(Deserialize)]
struct Reached {
    uuid: String,
    name: Option<String>,
    full_name: Option<String>,
}

impl<T, Q, E> Connect<T, Q, E> {
    /// Looks with the token of a consent. What the person consented to is taken as it is: a workspace that
    /// is not visible is explained later, not refused.
    pub(crate) async fn look(&self, link: &Link, token: &AccessToken) -> Result<Found, Failed> {
        let authorization = Authorization::new(link.kind.scheme(), token.clone());
        let answer = self.ask(&authorization, "user", &[]).await;
        let answer = answer.map_err(|error| Failed::because(Failure::BitbucketDown, error))?;
        let account = match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|_| Failure::AnswerUnreadable)?,
            401 | 403 => return Err(Failure::AccountUnreadable.into()),
            _ => return Err(Failure::BitbucketDown.into()),
        };
        let sight = self.sight(link, &authorization).await;
        Ok(Found { account, sight, scopes: answer.scopes })
    }

    /// Tries a token that somebody entered, and says what is wrong with it.
    pub(crate) async fn try_out(&self, link: &Link, token: &AccessToken) -> Result<Found, LookError> {
        let authorization = Authorization::new(link.kind.scheme(), token.clone());
        let answer =
            self.ask(&authorization, &link.kind.probe_path(&link.workspace, &link.resource), &[]).await?;
        let (account, scopes) = if link.kind.entry() == Entry::EmailAndToken {
            let answer = accepted(answer, Unfit::EmailOrToken)?;
            (read(&answer)?, answer.scopes)
        } else {
            let answer = accepted(answer, Unfit::Token)?;
            let Reached { uuid, name, full_name } = read(&answer)?;
            let display_name = full_name.or(name).unwrap_or_else(|| uuid.clone());
            (Account { uuid, display_name }, answer.scopes)
        };
        let sight = self.sight(link, &authorization).await;
        if sight == Sight::Unseen {
            return Err(LookError::Unfit(Unfit::Place));
        }
        Ok(Found { account, sight, scopes })
    }

    /// Whether the token sees repositories. That nobody knows is no reason to fail.
    async fn sight(&self, link: &Link, authorization: &Authorization) -> Sight {
        let path = link.kind.repositories(&link.workspace, &link.resource);
        match self.ask(authorization, &path, &[("pagelen", "1")]).await {
            Ok(answer) => Sight::of(answer.status, &answer.body),
            Err(error) => {
                tracing::warn!(error = %Causes(&error), "the workspace could not be looked at");
                Sight::Unknown
            }
        }
    }

    async fn ask(
        &self,
        authorization: &Authorization,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer, LookError> {
        // The console has checked the names of which the path is made.
        let path = ApiPath::parse(path).map_err(|_| LookError::Unfit(Unfit::Place))?;
        Ok(self.api.get(authorization, &path, query).await?)
    }
}

fn accepted(answer: Answer, unknown: Unfit) -> Result<Answer, LookError> {
    match answer.status {
        200 => Ok(answer),
        401 => Err(LookError::Unfit(unknown)),
        403 => Err(LookError::Unfit(Unfit::Scopes(required(&answer.body)))),
        404 => Err(LookError::Unfit(Unfit::Place)),
        status => Err(LookError::Strange(status)),
    }
}

fn read<'a, V: Deserialize<'a>>(answer: &'a Answer) -> Result<V, LookError> {
    serde_json::from_slice(&answer.body).map_err(|_| LookError::Strange(answer.status))
}
