//! In whose name a call is made, and why it may not be.

use bucketwheel::call::{Action, Call, Message, Priority, Problem};
use bucketwheel::credential::{Credential, CredentialId};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::{credentials, tokens};
use bucketwheel::token::{AccessToken, Authorization};
use secrecy::SecretString;

use crate::Worker;
use crate::work::Again;

/// A credential with its token, and how urgent the call is that is made with it.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) credential: Credential,
    pub(crate) authorization: Authorization,
    pub(crate) priority: Priority,
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// The credential with its token, or why it makes no calls. One that is switched off makes no call but
    /// the last, for which the token may be lost too.
    pub(crate) async fn holder(&self, message: &Message) -> Result<Result<Holder, Problem>, Again> {
        let id = &message.credential;
        let Some(credential) = credentials::get(&self.table, id).await? else { return Ok(Err(unknown())) };
        let last = is_last(message);
        if credential.disabled_at.is_some() && !last {
            let cause = "The credential is switched off.";
            let resolution = "Enable it, then submit the call again.";
            return Ok(Err(Problem::new("credential_disabled", cause, resolution)));
        }
        let token = match self.token(id).await? {
            Err(_) if last => Ok(AccessToken::new(SecretString::default())),
            token => token,
        };
        let scheme = credential.kind.scheme();
        Ok(token.map(|token| {
            let authorization = Authorization::new(scheme, token);
            Holder { credential, authorization, priority: message.priority }
        }))
    }

    async fn token(&self, credential: &CredentialId) -> Result<Result<AccessToken, Problem>, Again> {
        let Some(found) = tokens::get(&self.table, credential).await? else { return Ok(Err(unknown())) };
        Ok(found.access(&self.access_ring, credential).map_err(|error| {
            let resolution = "Put the dropped key back on the keyring, or reconnect the credential.";
            Problem::new("cannot_unseal", error.to_string(), resolution)
        }))
    }
}

/// Whether it is the last call of a credential.
pub(crate) fn is_last(message: &Message) -> bool {
    matches!(message.call, Call::Action(Action::DeleteCredential))
}

/// Why a call ends whose token Bitbucket refuses and the refresher cannot renew.
pub(crate) fn token_refused() -> Problem {
    Problem::new(
        "token_refused",
        "Bitbucket refuses the token. Nobody can renew it: it was made by hand.",
        "Make a new token at Bitbucket and reconnect the credential.",
    )
}

fn unknown() -> Problem {
    Problem::new("unknown_credential", "There is no such credential.", "Connect it first, or correct the id.")
}
