//! The items of the table in memory, with the index `due`: as in DynamoDB, what is not due costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde_json::Value;

use crate::ports::{Attributes, Key};

/// Every item, and the keys of those that carry `due_shard` and `due_at`, in that order.
#[derive(Debug, Default)]
pub(super) struct Items {
    all: BTreeMap<Key, Attributes>,
    due: BTreeSet<(String, i64, Key)>,
}

impl Items {
    pub(super) fn get(&self, key: &Key) -> Option<&Attributes> {
        self.all.get(key)
    }

    /// Replaces the item, or removes it.
    pub(super) fn set(&mut self, key: Key, item: Option<Attributes>) {
        if let Some(place) = self.all.get(&key).and_then(|before| place(&key, before)) {
            self.due.remove(&place);
        }
        match item {
            Some(item) => {
                self.due.extend(place(&key, &item));
                self.all.insert(key, item);
            }
            None => drop(self.all.remove(&key)),
        }
    }

    /// The items behind `after`, in the order of their keys.
    pub(super) fn from(&self, after: Bound<Key>) -> impl Iterator<Item = (&Key, &Attributes)> {
        self.all.range((after, Bound::Unbounded))
    }

    /// The items of a shard behind `after`, the earliest first, until the time that is given.
    pub(super) fn due(
        &self,
        shard: &str,
        after: Bound<(i64, Key)>,
        until: i64,
    ) -> impl Iterator<Item = (&Key, &Attributes)> {
        let after = match after {
            Bound::Excluded((due_at, key)) => Bound::Excluded((shard.to_owned(), due_at, key)),
            _ => Bound::Included((shard.to_owned(), i64::MIN, Key::new("", ""))),
        };
        let ours = move |(of, due_at, _): &&(String, i64, Key)| of == shard && *due_at <= until;
        let keys = self.due.range((after, Bound::Unbounded)).take_while(ours);
        keys.filter_map(|(_, _, key)| self.all.get_key_value(key))
    }
}

/// About as many bytes as DynamoDB counts of an item: what is no text counts little.
pub(super) fn size(item: &Attributes) -> usize {
    item.iter().map(|(name, value)| name.len() + value.as_str().map_or(8, str::len)).sum()
}

fn place(key: &Key, item: &Attributes) -> Option<(String, i64, Key)> {
    let shard = item.get("due_shard").and_then(Value::as_str)?;
    Some((shard.to_owned(), item.get("due_at").and_then(Value::as_i64)?, key.clone()))
}
