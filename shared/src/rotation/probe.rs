//! A token that was made by hand is tried now and then, since nobody tells when it is revoked.

use jiff::{SignedDuration, Timestamp};

use super::chain::{Chain, Upkeep};
use super::terms::{Terms, falls_due, later};
use crate::call::{Answer, Judgement, Method, judge};

/// How long after a refusal a token is tried once more, before the refusal is believed.
const CONFIRMATION: SignedDuration = SignedDuration::from_mins(5);
/// How long to wait after an answer that says nothing.
const UNCLEAR: SignedDuration = SignedDuration::from_mins(30);

/// What an answer of Bitbucket's API says of the token that came with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is known.
    Works,
    /// It is invalid, expired or revoked.
    Refused,
    /// Nothing.
    Unclear,
}

impl Seen {
    /// Only a 401 is about the token. Who is answered 403 is known and lacks a scope or a permission; what
    /// cannot be found, the rate limit and an outage are about something else.
    pub fn of(answer: &Answer) -> Self {
        match judge(Method::Get, answer) {
            Judgement::Succeeded => Seen::Works,
            Judgement::Unauthorized => Seen::Refused,
            Judgement::Permanent(_) if answer.status == 403 => Seen::Works,
            _ => Seen::Unclear,
        }
    }
}

/// What a probe leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// Since when the token is refused.
    pub refused_at: Option<Timestamp>,
    /// The refusal is confirmed.
    pub ended: bool,
    /// When it is tried again; also one that is refused for good, in case that was a mistake.
    pub due_at: Timestamp,
}

impl Probed {
    /// The chain as it is from now on.
    pub fn of(self, chain: &Chain) -> Chain {
        Chain { refused_at: self.refused_at, ended: self.ended, ..*chain }
    }
}

/// Decides it: a refusal is believed when it is repeated after a while.
pub fn probed(chain: &Chain, seen: Seen, now: Timestamp, terms: &Terms, random: [u8; 2]) -> Probed {
    let next = falls_due(Upkeep::Fixed, now, chain.expires_at, terms, random);
    match seen {
        Seen::Works => Probed { refused_at: None, ended: false, due_at: next },
        Seen::Unclear => {
            Probed { refused_at: chain.refused_at, ended: chain.ended, due_at: later(now, UNCLEAR).min(next) }
        }
        Seen::Refused => {
            let since = chain.refused_at.unwrap_or(now);
            let confirmation = later(since, CONFIRMATION);
            let ended = chain.ended || now >= confirmation;
            Probed { refused_at: Some(since), ended, due_at: if ended { next } else { confirmation } }
        }
    }
}
