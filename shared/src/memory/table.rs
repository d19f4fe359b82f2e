//! The port [`Table`] as a map, with the indexes `due`, `listing` and `recent`.

mod items;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::items::{Items, size};
use super::{SwitchedOff, locked};
use crate::ports::{Attributes, Condition, Cursor, Key, Page, Query, Table, TableError, Write};

/// DynamoDB's limit for one transaction
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
const MOST_WRITES: usize = 100;

/// DynamoDB ends a page once it has read so many bytes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html>).
const MOST_READ: usize = 1024 * 1024;

/// A table that forgets everything with its last handle. Unlike DynamoDB's, its indexes never lag, and
/// nothing is ever removed because of its `expires_at`.
#[derive(Debug, Clone, Default)]
pub struct MemoryTable {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    items: Items,
    down: bool,
}

impl MemoryTable {
    /// Everything that the table holds, in the order of the keys.
    pub fn items(&self) -> Vec<(Key, Attributes)> {
        let inner = locked(&self.inner);
        inner.items.from(Bound::Unbounded).map(|(key, found)| (key.clone(), found.clone())).collect()
    }

    /// Switches the table off or on. While it is off it changes nothing and says that it is unavailable.
    pub fn set_down(&self, down: bool) {
        locked(&self.inner).down = down;
    }

    fn with<T>(&self, act: impl FnOnce(&mut Items) -> Result<T, TableError>) -> Result<T, TableError> {
        let mut inner = locked(&self.inner);
        if inner.down {
            return Err(TableError::Unavailable(Box::new(SwitchedOff)));
        }
        act(&mut inner.items)
    }
}

impl Table for MemoryTable {
    async fn get(&self, key: &Key) -> Result<Option<Attributes>, TableError> {
        self.with(|items| Ok(items.get(key).cloned()))
    }

    async fn query(&self, query: &Query, limit: u32, after: Option<&Cursor>) -> Result<Page, TableError> {
        let after = after.map(|cursor| Place::decode(cursor, query)).transpose()?;
        if limit == 0 {
            return rejected("a page has at least one item");
        }
        self.with(|items| Ok(page(items, query, limit as usize, after.as_ref())))
    }

    async fn add(
        &self,
        key: &Key,
        attribute: &str,
        by: i64,
        set: Attributes,
    ) -> Result<Attributes, TableError> {
        self.with(|items| {
            let mut item = items.get(key).cloned().unwrap_or_default();
            let before = item.get(attribute).and_then(Value::as_i64).unwrap_or_default();
            item.insert(attribute.to_owned(), Value::from(before + by));
            item.extend(set);
            items.set(key.clone(), Some(item.clone()));
            Ok(item)
        })
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        check(&writes)?;
        self.with(|items| {
            if !writes.iter().all(|write| holds(condition(write), items.get(write.key()))) {
                return Err(TableError::Refused);
            }
            // All before any, so that a write which the table rejects takes the others with it.
            let after: Result<Vec<_>, _> = writes.into_iter().map(|write| applied(items, write)).collect();
            after?.into_iter().for_each(|(key, item)| items.set(key, item));
            Ok(())
        })
    }
}

fn rejected<T>(why: &'static str) -> Result<T, TableError> {
    Err(TableError::Rejected(why.into()))
}

/// What DynamoDB rejects whatever the table holds.
fn check(writes: &[Write]) -> Result<(), TableError> {
    if writes.is_empty() || writes.len() > MOST_WRITES {
        return rejected("a transaction has 1 to 100 writes");
    }
    let keys: BTreeSet<_> = writes.iter().map(Write::key).collect();
    if keys.len() != writes.len() {
        return rejected("a transaction writes no item twice");
    }
    if keys.iter().any(|key| key.pk.is_empty() || key.sk.is_empty()) {
        return rejected("a key is never empty");
    }
    for write in writes {
        match write {
            Write::Put { attributes, .. } => check_names(attributes)?,
            Write::Update { set, remove, .. } => {
                check_names(set)?;
                if set.is_empty() && remove.is_empty() {
                    return rejected("an update changes something");
                }
                let names: BTreeSet<_> = remove.iter().collect();
                if names.len() != remove.len() || remove.iter().any(|name| set.contains_key(*name)) {
                    return rejected("an update touches no attribute twice");
                }
            }
            Write::Delete { .. } => {}
        }
    }
    Ok(())
}

fn check_names(attributes: &Attributes) -> Result<(), TableError> {
    if attributes.contains_key("pk") || attributes.contains_key("sk") {
        return rejected("pk and sk are the key's names");
    }
    Ok(())
}

/// An index's keys have their type, or are not there at all.
fn check_indexes(attributes: &Attributes) -> Result<(), TableError> {
    let text = |name: &&str| attributes.get(*name).is_none_or(|v| v.as_str().is_some_and(|t| !t.is_empty()));
    let number = |name: &&str| attributes.get(*name).is_none_or(Value::is_number);
    if !["due_shard", "listing", "recent_of"].iter().all(text) || !["due_at", "recent_at"].iter().all(number)
    {
        return rejected("due_shard, listing and recent_of are texts, due_at and recent_at are numbers");
    }
    Ok(())
}

fn condition(write: &Write) -> &Condition {
    match write {
        Write::Put { condition, .. } | Write::Update { condition, .. } | Write::Delete { condition, .. } => {
            condition
        }
    }
}

fn holds(condition: &Condition, item: Option<&Attributes>) -> bool {
    let attribute = |name: &str| item.and_then(|item| item.get(name));
    match condition {
        Condition::Always => true,
        Condition::Absent => item.is_none(),
        Condition::Present => item.is_some(),
        Condition::Equals(name, value) => attribute(name) == Some(value),
        Condition::Lacks(name) => attribute(name).is_none(),
        Condition::AtMost(name, most) => {
            attribute(name).and_then(Value::as_i64).is_some_and(|number| number <= *most)
        }
        Condition::All(all) => all.iter().all(|condition| holds(condition, item)),
        Condition::Any(any) => any.iter().any(|condition| holds(condition, item)),
    }
}

/// The item as it is after the write.
fn applied(items: &Items, write: Write) -> Result<(Key, Option<Attributes>), TableError> {
    let (key, item) = match write {
        Write::Put { key, attributes, .. } => (key, Some(attributes)),
        Write::Update { key, set, remove, .. } => {
            let mut item = items.get(&key).cloned().unwrap_or_default();
            item.extend(set);
            for name in remove {
                item.remove(name);
            }
            (key, Some(item))
        }
        Write::Delete { key, .. } => (key, None),
    };
    item.as_ref().map_or(Ok(()), check_indexes)?;
    Ok((key, item))
}

/// Where an item stands in the order of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// What was asked for. DynamoDB, too, takes no cursor of another partition.
    of: String,
    /// The time that it is sorted by, if there is one.
    at: i64,
    pk: String,
    sk: String,
}

impl Place {
    fn new(query: &Query, key: &Key, attributes: &Attributes) -> Self {
        let at = match query {
            Query::Due { .. } => number(attributes, "due_at"),
            Query::Recent(_) => -number(attributes, "recent_at"),
            Query::Partition { .. } | Query::Listing(_) => 0,
        };
        Self { of: asked(query).to_owned(), at, pk: key.pk.clone(), sk: key.sk.clone() }
    }

    fn encode(&self) -> Option<Cursor> {
        serde_json::to_vec(self).ok().map(|text| Cursor(URL_SAFE_NO_PAD.encode(text)))
    }

    fn decode(cursor: &Cursor, query: &Query) -> Result<Self, TableError> {
        let text = URL_SAFE_NO_PAD.decode(&cursor.0).ok();
        let Some(place) = text.and_then(|text| serde_json::from_slice::<Self>(&text).ok()) else {
            return Err(TableError::Unreadable("the cursor is not one of this table".to_owned()));
        };
        if place.of != asked(query) {
            return rejected("the cursor is of another query");
        }
        Ok(place)
    }
}

fn asked(query: &Query) -> &str {
    match query {
        Query::Partition { pk, .. } => pk,
        Query::Due { shard, .. } => shard,
        Query::Listing(name) | Query::Recent(name) => name,
    }
}

fn number(attributes: &Attributes, name: &str) -> i64 {
    attributes.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// As in DynamoDB, a page that is full names a next one even where nothing follows, and one that would be too
/// large ends before its limit.
fn page(items: &Items, query: &Query, limit: usize, after: Option<&Place>) -> Page {
    let behind = |place: &Place| Key::new(place.pk.as_str(), place.sk.as_str());
    let from = |first: Key| after.map_or(Bound::Included(first), |place| Bound::Excluded(behind(place)));
    let found: Vec<_> = match query {
        Query::Partition { pk, prefix } => {
            let ours = |(key, _): &(&Key, _)| key.pk == *pk && key.sk.starts_with(prefix);
            items.from(from(Key::new(pk.as_str(), prefix.as_str()))).take_while(ours).take(limit).collect()
        }
        Query::Due { shard, until } => {
            let after = after.map_or(Bound::Unbounded, |place| Bound::Excluded((place.at, behind(place))));
            items.due(shard, after, *until).take(limit).collect()
        }
        Query::Listing(name) => {
            let ours = |(_, item): &(_, &Attributes)| item.get("listing").is_some_and(|of| of == name);
            items.from(from(Key::new("", ""))).filter(ours).take(limit).collect()
        }
        Query::Recent(name) => {
            let ours = |(_, item): &(_, &Attributes)| item.get("recent_of").is_some_and(|of| of == name);
            let order = |(key, item): &(&Key, &Attributes)| (-number(item, "recent_at"), (*key).clone());
            let mut all: Vec<_> = items.from(Bound::Unbounded).filter(ours).collect();
            all.sort_by_key(order);
            let later = |one: &_| after.is_none_or(|place| order(one) > (place.at, behind(place)));
            all.into_iter().filter(later).take(limit).collect()
        }
    };
    let read = found.iter().scan(0, |read, (_, item)| {
        *read += size(item);
        Some(*read)
    });
    let fit = read.enumerate().take_while(|(before, read)| *before == 0 || *read <= MOST_READ).count();
    let last = found[..fit].last().filter(|_| fit < found.len() || fit == limit);
    let next = last.and_then(|(key, item)| Place::new(query, key, item).encode());
    let items =
        found.into_iter().take(fit).map(|(key, item)| (key.clone(), projected(query, item))).collect();
    Page { items, next }
}

/// The index `due` holds the keys alone: those of the table and its own; `recent` a little more.
fn projected(query: &Query, attributes: &Attributes) -> Attributes {
    let held: &[&str] = match query {
        Query::Due { .. } => &["due_shard", "due_at"],
        Query::Recent(_) => &["recent_of", "recent_at", "summary", "expires_at"],
        Query::Partition { .. } | Query::Listing(_) => return attributes.clone(),
    };
    let held = attributes.iter().filter(|(name, _)| held.contains(&name.as_str()));
    held.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;
