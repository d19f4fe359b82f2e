//! How long things take.

use jiff::{SignedDuration, Timestamp};

use super::chain::{Chain, Upkeep};

/// How long one request to the token endpoint may take.
pub const SPEND: SignedDuration = SignedDuration::from_secs(15);

/// After so long without use a refresh token dies: three months
/// (<https://developer.atlassian.com/cloud/bitbucket/oauth-2>), counted as 90 days.
pub const IDLE_LIMIT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How often a token that was made by hand is tried.
pub const PROBE: SignedDuration = SignedDuration::from_hours(6);

/// How long before it expires somebody is told to replace a token that was made by hand.
pub const WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long before its expiry a token is refreshed. Longer than [`lockout`](Self::lockout), so that a
    /// refusal which passes does not interrupt anybody's calls.
    pub margin: SignedDuration,
    /// How long a claim holds. Longer than one spend, shorter than the grace window.
    pub lease: SignedDuration,
    /// How long one spend may take, after which its answer counts as lost.
    pub spend: SignedDuration,
    /// How long a spent refresh token may be spent again. Bitbucket gives about ten minutes.
    pub grace: SignedDuration,
    /// How far the clocks of two refreshers may lie apart.
    pub skew: SignedDuration,
    /// How long to wait after a refusal: Bitbucket may refuse a whole client for some minutes, and the
    /// one who waits may have another clock than the one who was refused.
    pub lockout: SignedDuration,
    /// How long to wait where nothing was spent, or where there is no time for a longer wait.
    pub backoff: SignedDuration,
    /// A pair younger than this is not refreshed because of a nudge: many calls that fail with one
    /// expired token cause one refresh.
    pub fresh: SignedDuration,
    /// How often a chain is rotated that nobody uses.
    pub idle: SignedDuration,
}

impl Terms {
    /// The usual terms with the given grace window.
    pub fn with_grace(grace: SignedDuration) -> Self {
        Self {
            margin: SignedDuration::from_mins(20),
            lease: SignedDuration::from_secs(40),
            spend: SPEND,
            grace,
            skew: SignedDuration::from_mins(10),
            lockout: SignedDuration::from_mins(15),
            backoff: SignedDuration::from_secs(60),
            fresh: SignedDuration::from_secs(60),
            idle: SignedDuration::from_hours(30 * 24),
        }
    }
}

/// When a pair is due at the latest that was stored at `refreshed_at` and whose access token dies at
/// `expires_at`. For a token made by hand: when it is probed that was stored or probed at `refreshed_at`.
pub fn due_at(upkeep: Upkeep, refreshed_at: Timestamp, expires_at: Timestamp, terms: &Terms) -> Timestamp {
    let idle = later(refreshed_at, terms.idle);
    match upkeep {
        Upkeep::Hot => idle.min(later(expires_at, -terms.margin)),
        Upkeep::Renew => later(expires_at, -terms.margin),
        Upkeep::Lazy => idle,
        Upkeep::Fixed => {
            // It is not missed by a probe's length that a token is about to expire, or that it has.
            let marks = [later(expires_at, -WARNING), expires_at].into_iter().filter(|at| *at > refreshed_at);
            marks.fold(later(refreshed_at, PROBE), Timestamp::min)
        }
    }
}

/// When a pair falls due: by chance up to a tenth of its time before it is [due](due_at) at the latest, so
/// that those that were stored together do not stay together.
pub fn falls_due(
    upkeep: Upkeep,
    refreshed_at: Timestamp,
    expires_at: Timestamp,
    terms: &Terms,
    random: [u8; 2],
) -> Timestamp {
    let latest = due_at(upkeep, refreshed_at, expires_at, terms);
    let early = spread(refreshed_at, latest) / 0x1_0000 * i32::from(u16::from_be_bytes(random));
    later(latest, -early)
}

/// From when on a pair may fall due.
pub(super) fn may_fall_due(chain: &Chain, terms: &Terms) -> Timestamp {
    let latest = due_at(chain.upkeep, chain.refreshed_at, chain.expires_at, terms);
    later(latest, -spread(chain.refreshed_at, latest))
}

fn spread(refreshed_at: Timestamp, latest: Timestamp) -> SignedDuration {
    latest.duration_since(refreshed_at).max(SignedDuration::ZERO) / 10
}

pub(crate) fn later(from: Timestamp, by: SignedDuration) -> Timestamp {
    from.checked_add(by).unwrap_or(from)
}
