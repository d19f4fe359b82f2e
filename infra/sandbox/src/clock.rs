//! The sandbox's own clock: real time plus an offset, so that two hours or ninety days pass at once.

use jiff::{SignedDuration, Timestamp};

/// A clock that can be put forward.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    offset: SignedDuration,
}

impl Clock {
    /// The sandbox's time. The only place that reads the machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the edge reads the clock here")]
    pub(crate) fn now(self) -> Timestamp {
        Timestamp::now().saturating_add(self.offset).unwrap_or(Timestamp::MAX)
    }

    /// Puts the clock forward (or back, if negative).
    pub(crate) fn advance(&mut self, seconds: i64) {
        self.offset = self.offset.saturating_add(SignedDuration::from_secs(seconds));
    }

    /// By how many seconds it differs from real time.
    pub(crate) fn offset_seconds(self) -> i64 {
        self.offset.as_secs()
    }
}

/// `now` plus some seconds, at the end of time at the latest.
pub(crate) fn after(now: Timestamp, seconds: u64) -> Timestamp {
    let seconds = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.saturating_add(seconds).unwrap_or(Timestamp::MAX)
}

/// The way Bitbucket writes times: microseconds and a numeric offset.
pub(crate) fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

/// The way Bitbucket writes the times of commits: whole seconds.
pub(crate) fn written_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
