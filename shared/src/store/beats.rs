//! `BEAT#name`: when each schedule last did its work. Without it nobody could tell a quiet
//! system from one whose schedules have stopped.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{from_attributes, to_attributes};
use crate::ports::{Condition, Key, Table, TableError, Write};

/// What a schedule of the template wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// token-refresh looks for tokens that fall due.
    Sweep,
    /// webhook-ingest puts parked deliveries on the events queue.
    Drain,
    /// api-worker goes round the credentials.
    Round,
}

impl Schedule {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sweep, Self::Drain, Self::Round];

    /// The end of the schedule's name in the template.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Drain => "drain",
            Self::Round => "round",
        }
    }

    /// The function that it wakes.
    pub fn function(self) -> &'static str {
        match self {
            Self::Sweep => "token-refresh",
            Self::Drain => "webhook-ingest",
            Self::Round => "api-worker",
        }
    }

    /// After so long without it something is wrong. Sweep and drain tick each minute, and access tokens are
    /// renewed twenty minutes before they end; the round ticks each five minutes.
    pub fn late_after(self) -> SignedDuration {
        match self {
            Self::Sweep | Self::Drain => SignedDuration::from_mins(10),
            Self::Round => SignedDuration::from_mins(30),
        }
    }

    fn key(self) -> Key {
        Key::new(format!("BEAT#{}", self.name()), "BEAT")
    }
}

#[derive(Serialize, Deserialize)]
struct Beat {
    at: Timestamp,
}

/// Notes that a schedule's work was done.
pub async fn beat(table: &impl Table, schedule: Schedule, now: Timestamp) -> Result<(), TableError> {
    let (key, attributes) = (schedule.key(), to_attributes(&Beat { at: now }));
    table.write(vec![Write::Put { key, attributes, condition: Condition::Always }]).await
}

/// When a schedule's work was last done.
pub async fn last(table: &impl Table, schedule: Schedule) -> Result<Option<Timestamp>, TableError> {
    let found = table.get(&schedule.key()).await?;
    Ok(found.map(from_attributes::<Beat>).transpose()?.map(|beat| beat.at))
}
