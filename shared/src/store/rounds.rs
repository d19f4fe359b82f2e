//! `ROUND`: how far the worker's round through all credentials has come.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{from_attributes, to_attributes};
use crate::ports::{Condition, Cursor, Key, Table, TableError, Write};

const STEP: &str = "step";

/// One round. It is made by many runs, of which each goes on where the one before stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The hour in which it began, in hours since 1970. What is done in a round is named by it.
    pub number: i64,
    /// Where to go on; none at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Whether every credential was visited.
    #[serde(default)]
    pub ended: bool,
    /// Counts the writes of this item.
    step: u64,
}

impl Round {
    /// Where to go on.
    pub fn after(&self) -> Option<Cursor> {
        self.after.clone().map(Cursor)
    }

    /// The next round, from the beginning.
    #[must_use]
    pub fn next(before: Option<Self>, number: i64) -> Self {
        Self { number, after: None, ended: false, step: before.map_or(0, |before| before.step) }
    }
}

/// Reads the round that is under way, or that ended last.
pub async fn get(table: &impl Table) -> Result<Option<Round>, TableError> {
    table.get(&key()).await?.map(from_attributes).transpose()
}

/// Notes that the round has come to `next`, or to its end; refused if another run has noted something
/// since this round was read.
pub async fn go_on(table: &impl Table, round: &mut Round, next: Option<Cursor>) -> Result<(), TableError> {
    let same = Condition::Equals(STEP, Value::from(round.step));
    let condition = if round.step > 0 { same } else { Condition::Absent };
    let after = next.map(|cursor| cursor.0);
    let onward = Round { ended: after.is_none(), after, step: round.step + 1, ..round.clone() };
    let attributes = to_attributes(&onward);
    table.write(vec![Write::Put { key: key(), attributes, condition }]).await?;
    *round = onward;
    Ok(())
}

fn key() -> Key {
    Key::new("ROUND", "ROUND")
}
