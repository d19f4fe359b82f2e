//! What is known of a chain besides its sealed tokens.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::adopt::Origin;
use crate::credential::CredentialId;

/// A message of the refresh queue: look at this credential now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nudge {
    /// Which credential.
    pub credential: CredentialId,
    /// What for.
    #[serde(default)]
    pub wish: Wish,
}

/// What a nudge is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// A call met a 401, or an operator asks: refresh the token although it has time left. A token that
    /// was made by hand is probed.
    #[default]
    Refresh,
    /// A person changed the credential's state: announce it.
    Tell,
}

/// The random name of one run: owner of its lease and id of its intent. No two runs share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(u128);

impl RunId {
    /// A name of 128 random bits.
    pub fn new(random: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(random))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

impl FromStr for RunId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl TryFrom<String> for RunId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// How a credential's tokens are kept alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upkeep {
    /// Rotated before each access token expires: a call never waits for a refresh.
    #[default]
    Hot,
    /// Rotated when somebody uses it (the call's 401 nudges), and otherwise only as often as keeps the
    /// chain inside Bitbucket's three months.
    Lazy,
    /// There is no refresh token: a new access token is fetched before the old one expires
    /// (`client_credentials`, RFC 6749 section 4.4). Nothing is single use, so nothing can be lost.
    Renew,
    /// There is one token, entered by hand: whoever made it must make the next one. It is only probed.
    Fixed,
}

impl Upkeep {
    /// Whether it is kept alive at the token endpoint.
    pub fn asks_token_endpoint(self) -> bool {
        self != Upkeep::Fixed
    }

    /// Whether there is a refresh token to spend.
    pub fn spends(self) -> bool {
        matches!(self, Upkeep::Hot | Upkeep::Lazy)
    }
}

/// What the table knows of a chain, besides its sealed tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chain {
    /// Counts the pairs; goes up by one with each commit and each reconnect.
    pub generation: u64,
    /// The generation that the newest consent began with. A pair bought under an older consent is never
    /// stored under a newer one.
    pub consent: u64,
    /// How it is kept alive.
    pub upkeep: Upkeep,
    /// When the access token dies.
    pub expires_at: Timestamp,
    /// When the newest pair was stored.
    pub refreshed_at: Timestamp,
    /// That somebody set out to spend the refresh token of this generation.
    pub intent: Option<Intent>,
    /// Who is at it right now. Its owner is also the intent's.
    pub lease: Option<Lease>,
    /// When Bitbucket first refused this generation's refresh token.
    pub refused_at: Option<Timestamp>,
    /// The second pair that is kept: one that was bought and came too late to be committed.
    pub spare: Option<Spare>,
    /// The chain has ended: only a reconnect helps.
    pub ended: bool,
}

impl Chain {
    /// The kept pair, if it is a successor of this generation's token, or its sibling.
    pub fn spare(&self) -> Option<Spare> {
        let near = [self.generation, self.generation + 1];
        self.spare.filter(|spare| near.contains(&spare.generation))
    }

    /// The kept pair, if it was bought with this generation's token, or is the better of the two for
    /// another reason.
    pub fn successor(&self) -> Option<Spare> {
        self.spare.filter(|spare| spare.generation == self.generation + 1)
    }

    /// A pair is kept that was bought after the one of `origin`, with the same token or a later one.
    pub fn keeps_better(&self, origin: &Origin) -> bool {
        let kept = self.spare.map(|spare| (spare.generation, spare.attempt));
        kept > Some((origin.generation + 1, origin.attempt))
    }
}

/// What is known of a pair that is kept beside the chain's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spare {
    /// For which generation it is kept. Worth something only for the present one or the next.
    pub generation: u64,
    /// Which attempt bought it. A pair that was bought by an earlier one does not take its place.
    pub attempt: u32,
    /// It was refused when it was the chain's own.
    pub refused: bool,
}

/// The written intention to spend this generation's refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Intent {
    /// Names the claim that wrote it; the commit must still find it.
    pub id: RunId,
    /// When the token was first spent. Kept over repetitions, since Bitbucket's window starts there.
    pub first_spent_at: Timestamp,
    /// How many spends of it may have been served.
    pub attempts: u32,
}

/// The right to work on a chain, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The run that holds it.
    pub owner: RunId,
    /// When it lapses, by the owner's clock.
    pub until: Timestamp,
}
