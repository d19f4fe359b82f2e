//! A credential: one authorised link to Bitbucket.

mod kind;
mod repository;
mod scopes;
mod sight;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
pub use kind::{Entry, Kind, Resource, Scheme, Trade};
pub use repository::{FIELDS, Repository};
pub use scopes::{Missing, Scopes, purpose};
use serde::{Deserialize, Serialize};
pub use sight::{Sight, required};

/// The name of a credential, as it stands in the webhook address. Opaque; up to 64 characters
/// `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialId(String);

/// The text is not a credential id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a credential id has 1 to 64 characters a-z, 0-9 and -")]
pub struct BadCredentialId;

impl CredentialId {
    /// A new id: it sorts by the time of its making and carries 80 random bits.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self(ulid(now, random))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A lower-case ULID: sorts by time, unguessable enough for an id, not for a secret.
pub fn ulid(now: Timestamp, random: [u8; 10]) -> String {
    let mut bytes = [0; 16];
    bytes[6..].copy_from_slice(&random);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    ulid::Ulid::from_parts(millis, u128::from_be_bytes(bytes)).to_string().to_lowercase()
}

impl FromStr for CredentialId {
    type Err = BadCredentialId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadCredentialId)
        }
    }
}

impl TryFrom<String> for CredentialId {
    type Error = BadCredentialId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CredentialId> for String {
    fn from(id: CredentialId) -> Self {
        id.0
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The Bitbucket account that a credential acts as. An access token acts as no person: there it is what
/// the token reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The account's uuid, with braces: the only name of it that never changes.
    pub uuid: String,
    /// The name it shows to people.
    pub display_name: String,
}

/// What a credential is worth right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It works.
    Up,
    /// It works for now, and something is wrong.
    Degraded,
    /// It does not work.
    Down,
    /// An operator switched it off.
    Disabled,
}

impl Health {
    /// The word people see.
    pub fn word(self) -> &'static str {
        match self {
            Health::Up => "up",
            Health::Degraded => "degraded",
            Health::Down => "down",
            Health::Disabled => "disabled",
        }
    }
}

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

/// A credential's health with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The verdict.
    pub health: Health,
    /// Its reason; none when the credential is `up` or `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Since when the verdict holds.
    pub since: Timestamp,
}

impl Status {
    /// The status of a credential that works since `since`.
    pub fn up(since: Timestamp) -> Self {
        Self { health: Health::Up, cause: None, since }
    }
}

/// All that is known of a credential besides its tokens. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its name.
    pub id: CredentialId,
    /// How it is authorised.
    pub kind: Kind,
    /// What the operator calls it.
    pub label: String,
    /// The end user whom it belongs to, in the operator's own words; empty if shared.
    #[serde(default)]
    pub owner: String,
    /// The workspace it is meant for: slug, or uuid with braces.
    pub workspace: String,
    /// The repository's slug or the project's key, if the kind reaches only that; else empty.
    #[serde(default)]
    pub resource: String,
    /// Whom it acts as.
    pub account: Account,
    /// The scopes that the operator asked for. Empty: whatever there is.
    #[serde(default)]
    pub wanted: Scopes,
    /// The scopes that Bitbucket said it granted. Empty: it did not say.
    pub granted: Scopes,
    /// Whether it sees repositories.
    #[serde(default)]
    pub sight: Sight,
    /// What it is worth now.
    pub status: Status,
    /// When it was first connected.
    pub created_at: Timestamp,
    /// When its newest consent was given.
    pub connected_at: Timestamp,
    /// Counts the changes that people made, from 1. Each is made on the condition that it is the next.
    pub revision: u64,
    /// Since when it is switched off. Calls are refused; its tokens are kept alive, and its deliveries are
    /// taken, so that nothing is lost when it is switched on again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Since when it is being deleted. It stays for as long as its hooks at Bitbucket are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleting_at: Option<Timestamp>,
}

#[cfg(any(test, feature = "memory"))]
impl Credential {
    /// A credential as tests need one: connected at `now`, and up.
    pub fn sample(id: CredentialId, now: Timestamp) -> Self {
        Self {
            id,
            kind: Kind::OauthUser,
            label: "Build bot".to_owned(),
            owner: "ada".to_owned(),
            workspace: "acme".to_owned(),
            resource: String::new(),
            account: Account { uuid: "{u-1}".to_owned(), display_name: "Ada & Co".to_owned() },
            wanted: Scopes::default(),
            granted: Scopes::parse("account repository:write"),
            sight: Sight::Repositories,
            status: Status::up(now),
            created_at: now,
            connected_at: now,
            revision: 1,
            disabled_at: None,
            deleting_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_id_takes_only_what_is_safe_in_an_address() {
        for good in ["a", "01k0", "team-a", &"x".repeat(64)] {
            assert!(good.parse::<CredentialId>().is_ok(), "{good}");
        }
        for bad in ["", "A", "a/b", "a.b", "a b", "ä", "a%2f", &"x".repeat(65)] {
            assert_eq!(bad.parse::<CredentialId>(), Err(BadCredentialId), "{bad}");
        }
    }

    #[test]
    fn a_new_id_is_a_valid_one_and_sorts_by_time() {
        let early = CredentialId::new(Timestamp::from_second(1_000).expect("time"), [255; 10]);
        let late = CredentialId::new(Timestamp::from_second(2_000).expect("time"), [0; 10]);
        assert!(early.as_str().parse::<CredentialId>().is_ok());
        assert!(early < late);
    }
}
