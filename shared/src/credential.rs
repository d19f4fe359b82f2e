//! A credential: one authorised link to Bitbucket.

mod cause;
mod kind;
mod repository;
mod scopes;
mod sight;

use std::fmt;
use std::str::FromStr;

use crate::rotation::Chain;
use crate::token::NEVER;
pub use cause::Cause;
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
    /// How long calls go on to work although something is wrong, if that is known.
    pub fn works_until(&self, chain: &Chain) -> Option<Timestamp> {
        let known = Some(chain.expires_at).filter(|expiry| *expiry < NEVER);
        known.filter(|_| self.health == Health::Degraded)
    }

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
