//! Items that many write at the same time, and that forget themselves: `revision` counts their writes.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{EXPIRES_AT, from_attributes, to_attributes};
use crate::ports::{Condition, Key, Table, TableError, Write};

/// How long an item is kept that nobody writes.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);
/// How often a write is tried that others come before.
const TRIES: usize = 4;
const REVISION: &str = "revision";

/// Writes an item that was read with the revision `before`, or not found; refused if it was written since.
pub(super) async fn put(
    table: &impl Table,
    key: &Key,
    noun: &impl Serialize,
    before: Option<u64>,
    now: Timestamp,
) -> Result<(), TableError> {
    let condition = match before {
        Some(revision) => Condition::Equals(REVISION, Value::from(revision)),
        None => Condition::Absent,
    };
    let mut attributes = to_attributes(noun);
    attributes.insert(REVISION.to_owned(), Value::from(before.unwrap_or_default() + 1));
    attributes.insert(EXPIRES_AT.to_owned(), Value::from(now.as_second() + KEPT.as_secs()));
    table.write(vec![Write::Put { key: key.clone(), attributes, condition }]).await
}

/// Adds to an item, or to an empty one if there is none; refused if others come before again and again.
pub(super) async fn add<T: Default + Serialize + DeserializeOwned>(
    table: &impl Table,
    key: &Key,
    add: impl Fn(&mut T),
    now: Timestamp,
) -> Result<(), TableError> {
    for _ in 0..TRIES {
        let stored = table.get(key).await?;
        let revision = stored.as_ref().and_then(|stored| stored.get(REVISION)?.as_u64());
        let mut noun = stored.map(from_attributes).transpose()?.unwrap_or_default();
        add(&mut noun);
        match put(table, key, &noun, revision, now).await {
            Err(TableError::Refused) => {}
            written => return written,
        }
    }
    Err(TableError::Refused)
}

#[cfg(feature = "memory")]
#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use serde_json::json;

    use super::*;
    use crate::memory::MemoryTable;

    #[test]
    fn nothing_is_written_over_what_came_meanwhile_and_nothing_added_is_lost() {
        let (table, key, now) = (MemoryTable::default(), Key::new("p", "s"), Timestamp::UNIX_EPOCH);
        let noun = json!({"n": 1});
        let put = |before| put(&table, &key, &noun, before, now).now_or_never().expect("it never waits");
        assert!(put(None).is_ok() && put(Some(1)).is_ok());
        assert!(matches!(put(None), Err(TableError::Refused)), "it is there");
        assert!(matches!(put(Some(1)), Err(TableError::Refused)), "it was written since");

        let others = std::cell::Cell::new(Some(2));
        let adding = add(
            &table,
            &key,
            |noun: &mut Value| {
                // Somebody else writes between the read and the write, once.
                if let Some(before) = others.take() {
                    put(Some(before)).expect("written");
                }
                noun["n"] = json!(noun["n"].as_i64().expect("a number") + 1);
            },
            now,
        );
        adding.now_or_never().expect("it never waits").expect("added");
        let stored = table.get(&key).now_or_never().expect("it never waits").expect("a read").expect("it");
        assert_eq!((&stored["n"], &stored[REVISION]), (&json!(2), &json!(4)));
        let expires_at = stored[EXPIRES_AT].as_i64();
        assert_eq!(expires_at, Some(KEPT.as_secs()));
    }
}
