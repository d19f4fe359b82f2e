//! How long a chain will last, as far as can be told without asking Bitbucket.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::chain::{Chain, Upkeep};
use super::terms::{IDLE_LIMIT, Terms, WARNING, later};
use crate::credential::{Cause, Health};
use crate::token::NEVER;

/// How a chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// As it should be.
    Sound,
    /// It can still be saved, and something must happen soon: a spend is open and its window is half
    /// over, or the chain has been idle for two thirds of the three months.
    Endangered,
    /// It was made by hand and must be replaced soon.
    Expiring,
    /// The token was refused and is being confirmed, or its window is over.
    Doubtful,
    /// It is over; only a reconnect helps.
    Ended,
}

impl Outlook {
    /// The word in logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Outlook::Sound => "sound",
            Outlook::Endangered => "endangered",
            Outlook::Expiring => "expiring",
            Outlook::Doubtful => "doubtful",
            Outlook::Ended => "ended",
        }
    }
}

/// What is to be expected of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// How it stands.
    pub outlook: Outlook,
    /// When the newest pair was stored.
    pub rotated_at: Timestamp,
    /// When calls stop working unless it is refreshed or replaced; none if nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_expires_at: Option<Timestamp>,
    /// When it is due for its next refresh, or a probe, now or later; none once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Whole days until Bitbucket drops the chain for want of use; none if it has no refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_days_left: Option<i64>,
    /// When the window ends in which an open spend can be repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_ends_at: Option<Timestamp>,
}

impl Chain {
    /// What a credential with this chain is worth, as far as the table tells.
    pub fn standing(&self, now: Timestamp) -> (Health, Option<Cause>) {
        let by_hand = self.upkeep == Upkeep::Fixed;
        let cause = |rotated, entered| Some(if by_hand { entered } else { rotated });
        if self.ended {
            (Health::Down, cause(Cause::RotationLost, Cause::TokenRevoked))
        } else if self.refused_at.is_some() {
            (Health::Degraded, cause(Cause::RefreshRefused, Cause::TokenRefused))
        } else if by_hand && self.expires_at.duration_since(now) <= WARNING {
            (Health::Degraded, Some(Cause::TokenExpires))
        } else {
            (Health::Up, None)
        }
    }
}

/// Looks ahead. `due_at` is where the index shows the chain.
pub fn forecast(chain: &Chain, due_at: Option<Timestamp>, now: Timestamp, terms: &Terms) -> Forecast {
    let window_ends_at = chain.intent.map(|intent| later(intent.first_spent_at, terms.grace));
    let idle_ends_at = later(chain.refreshed_at, IDLE_LIMIT);
    let rotates = chain.upkeep.spends();
    let open = chain.intent.map(|intent| now.duration_since(intent.first_spent_at));
    let idle = now.duration_since(chain.refreshed_at);
    let outlook = if chain.ended {
        Outlook::Ended
    } else if chain.refused_at.is_some() || rotates && open.is_some_and(|open| open >= terms.grace) {
        Outlook::Doubtful
    } else if rotates && (open.is_some_and(|open| open >= terms.grace / 2) || idle >= IDLE_LIMIT / 3 * 2) {
        Outlook::Endangered
    } else if chain.upkeep == Upkeep::Fixed && chain.expires_at.duration_since(now) <= WARNING {
        Outlook::Expiring
    } else {
        Outlook::Sound
    };
    Forecast {
        outlook,
        rotated_at: chain.refreshed_at,
        access_expires_at: Some(chain.expires_at).filter(|expiry| *expiry < NEVER),
        due_at: due_at.map(|due| due.max(now)),
        idle_days_left: rotates.then(|| days(idle_ends_at.duration_since(now))),
        window_ends_at,
    }
}

fn days(left: SignedDuration) -> i64 {
    left.as_hours().max(0) / 24
}
