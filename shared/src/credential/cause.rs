//! What can be wrong with a credential, and what helps.

use serde::{Deserialize, Serialize};

/// Why a credential is not `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Bitbucket could not be reached or was down when the token was refreshed.
    RefreshFailed,
    /// Bitbucket answered a refresh with something that is not a token response.
    AnswerUnreadable,
    /// Bitbucket does not know the OAuth consumer.
    ConsumerRefused,
    /// Bitbucket fails or refuses everybody, so this one waits, and its access token ends soon.
    HeldBack,
    /// The table did not answer. Whatever was bought is safe on the refresh queue.
    StoreFailed,
    /// Bitbucket refused the refresh token once. It is tried again before this is believed.
    RefreshRefused,
    /// Bitbucket has refused the refresh token for good, or the rotated one was lost.
    RotationLost,
    /// The stored tokens cannot be opened: the key that sealed them has left the keyring.
    CannotUnseal,
    /// Bitbucket refused a token that was made by hand. It is tried again before this is believed.
    TokenRefused,
    /// Bitbucket refuses a token that was made by hand: it was revoked, or has expired.
    TokenRevoked,
    /// A token that was made by hand expires soon, as whoever entered it said.
    TokenExpires,
}

impl Cause {
    /// A word for machines.
    pub fn code(self) -> &'static str {
        match self {
            Cause::RefreshFailed => "refresh_failed",
            Cause::AnswerUnreadable => "answer_unreadable",
            Cause::ConsumerRefused => "consumer_refused",
            Cause::HeldBack => "held_back",
            Cause::StoreFailed => "store_failed",
            Cause::RefreshRefused => "refresh_refused",
            Cause::RotationLost => "rotation_lost",
            Cause::CannotUnseal => "cannot_unseal",
            Cause::TokenRefused => "token_refused",
            Cause::TokenRevoked => "token_revoked",
            Cause::TokenExpires => "token_expires",
        }
    }

    /// What happened, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Cause::RefreshFailed => "Bitbucket could not be reached to refresh the token.",
            Cause::AnswerUnreadable => "Bitbucket's answer to a refresh could not be read.",
            Cause::ConsumerRefused => "Bitbucket does not accept the OAuth consumer's key and secret.",
            Cause::HeldBack => {
                "Bitbucket fails for several credentials, so refreshes wait. This one's access token ends soon."
            }
            Cause::StoreFailed => "The table did not answer while the token was refreshed.",
            Cause::RefreshRefused => {
                "Bitbucket refused the refresh token. This can pass, so it is tried again in some minutes."
            }
            Cause::RotationLost => "Bitbucket no longer accepts the refresh token.",
            Cause::CannotUnseal => "The stored tokens cannot be opened with the keys on the keyring.",
            Cause::TokenRefused => {
                "Bitbucket refused the token. This can pass, so it is tried again in some minutes."
            }
            Cause::TokenRevoked => "Bitbucket no longer accepts the token: it was revoked, or has expired.",
            Cause::TokenExpires => "The token expires soon, and nobody can renew it.",
        }
    }

    /// What to do about it, for people.
    pub fn resolution(self) -> &'static str {
        match self {
            Cause::RefreshFailed => "Nothing to do: it is tried again each minute.",
            Cause::AnswerUnreadable => {
                "It is tried again each minute. If it stays, look for a proxy between the function and Bitbucket."
            }
            Cause::ConsumerRefused => "Correct the OAuth consumer's key and secret in the app secret.",
            Cause::HeldBack => {
                "Nothing to do: one credential is tried each minute, and all when it succeeds."
            }
            Cause::StoreFailed => "Nothing to do: it is tried again each minute.",
            Cause::RefreshRefused => {
                "Wait some minutes. If it stays, check the OAuth consumer's key and secret."
            }
            Cause::RotationLost => "Reconnect the credential.",
            Cause::CannotUnseal => "Put the dropped key back on the keyring, or reconnect the credential.",
            Cause::TokenRefused => "Wait some minutes.",
            Cause::TokenRevoked | Cause::TokenExpires => {
                "Make a new token at Bitbucket and reconnect the credential."
            }
        }
    }
}
