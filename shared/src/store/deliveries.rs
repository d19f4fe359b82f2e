//! `PARKED#group`: deliveries that were answered 202 and wait in the table for the events queue.
//!
//! A group is what keeps its order on the queue. Its `HEAD` is there as long as something of it waits, and
//! holds the number that comes next; each number is given out by a condition on it. So a delivery that
//! finds a `HEAD` parks behind it, and one that finds none was preceded by nothing that still waits.
//! Numbers begin anew with each head, and a stamp tells the heads apart: a write that takes place late
//! must not mistake another head for its own.
//!
//! A delivery is sealed for its credential and its number. A box longer than an item may be lies in
//! several items.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{from_attributes, to_attributes};
use crate::credential::CredentialId;
use crate::event::Enveloped;
use crate::ports::{Condition, Cursor, Key, Query, Table, TableError, Write};
use crate::seal::{Field, Keyring, NONCE_LEN, OpenError, Place, Sealed};

const HEAD: &str = "HEAD";
const NEXT: &str = "next";
const STAMP: &str = "stamp";
const LISTING: &str = "listing";
const ALL: &str = "PARKED";
/// The characters of one part. An item of the table has at most 400 KB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
const PART: usize = 350_000;
/// How many items one page of [`oldest`] has at most; the table ends it at 1 MB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html>).
const PAGE: u32 = 100;
/// How many deliveries [`done`] takes away at most: each lies in up to four items, and a transaction has room
/// for a hundred (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
pub const TOGETHER: usize = 10;

/// That something of a group waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    next: u64,
    stamp: String,
}

impl Head {
    fn unchanged(&self) -> Condition {
        let Self { next, stamp } = self;
        let next = Condition::Equals(NEXT, Value::from(*next));
        Condition::All(vec![next, Condition::Equals(STAMP, Value::from(stamp.as_str()))])
    }
}

/// A delivery that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// What it keeps its order with.
    pub group: String,
    /// Digest of credential and body, which the queue deduplicates by.
    pub id: String,
    number: u64,
    credential: CredentialId,
    stamp: String,
    parts: u32,
    sealed: Sealed,
}

/// The first part of a delivery as it lies in the table.
#[derive(Serialize, Deserialize)]
struct First {
    id: String,
    credential: CredentialId,
    /// Tells this delivery from any other that ever had its number.
    stamp: String,
    parts: u32,
    sealed: String,
}

/// Asks whether something of the group waits.
pub async fn head(table: &impl Table, group: &str) -> Result<Option<Head>, TableError> {
    table.get(&Key::new(pk(group), HEAD)).await?.map(from_attributes).transpose()
}

/// Parks a delivery behind `head`; refused if another one did so first, or if the group was drained.
pub async fn park(
    table: &impl Table,
    head: Option<&Head>,
    credential: &CredentialId,
    delivery: &Enveloped,
    ring: &Keyring,
    nonce: [u8; NONCE_LEN],
) -> Result<(), TableError> {
    let (number, stamp) = head.map_or((0, hex::encode(nonce)), |head| (head.next, head.stamp.clone()));
    let condition = head.map_or(Condition::Absent, Head::unchanged);
    let mut attributes = to_attributes(&Head { next: number + 1, stamp });
    attributes.insert(LISTING.to_owned(), Value::from(ALL));
    let mut writes = vec![Write::Put { key: Key::new(pk(&delivery.group), HEAD), attributes, condition }];

    let sealed = ring.seal(delivery.text.as_bytes(), place(credential, number), nonce);
    let Value::String(sealed) = json!(sealed) else { unreachable!("a box is a text") };
    // A box is ASCII, so it may be cut anywhere.
    let mut parts = sealed.as_bytes().chunks(PART).map(|part| String::from_utf8_lossy(part).into_owned());
    let first = First {
        id: delivery.id.clone(),
        credential: credential.clone(),
        stamp: hex::encode(nonce),
        parts: u32::try_from(sealed.len().div_ceil(PART)).unwrap_or(u32::MAX),
        sealed: parts.next().unwrap_or_default(),
    };
    let put = |part: u32, attributes| Write::Put {
        key: Key::new(pk(&delivery.group), sk(number, part)),
        attributes,
        condition: Condition::Absent,
    };
    writes.push(put(0, to_attributes(&first)));
    for (part, sealed) in (1..).zip(parts) {
        writes.push(put(part, to_attributes(&json!({ "sealed": sealed }))));
    }
    table.write(writes).await
}

/// A page of the groups of which something waits.
pub async fn groups(
    table: &impl Table,
    limit: u32,
    after: Option<&Cursor>,
) -> Result<(Vec<String>, Option<Cursor>), TableError> {
    let page = table.query(&Query::Listing(ALL.to_owned()), limit, after).await?;
    let names =
        page.items.into_iter().filter_map(|(key, _)| Some(key.pk.strip_prefix("PARKED#")?.to_owned()));
    Ok((names.collect(), page.next))
}

/// Some of the deliveries of a group that wait, the oldest first; none only if none waits.
pub async fn oldest(table: &impl Table, group: &str) -> Result<Vec<Parked>, TableError> {
    let query = Query::Partition { pk: pk(group), prefix: "D#".to_owned() };
    let (mut found, mut after): (Vec<Parked>, Option<Cursor>) = (Vec::new(), None);
    // The parts that the last one still lacks: its page may end in the midst of it.
    let mut lacking = 0;
    loop {
        let page = table.query(&query, PAGE, after.as_ref()).await?;
        for (key, attributes) in page.items {
            if lacking == 0 {
                let first: First = from_attributes(attributes)?;
                lacking = first.parts.saturating_sub(1);
                found.push(Parked {
                    group: group.to_owned(),
                    id: first.id,
                    number: number(&key)?,
                    credential: first.credential,
                    stamp: first.stamp,
                    parts: first.parts,
                    sealed: from_text(first.sealed)?,
                });
            } else if let (Some(parked), Some(Value::String(part))) =
                (found.last_mut(), attributes.get("sealed"))
            {
                parked.sealed = from_text(format!("{}{part}", text_of(&parked.sealed)))?;
                lacking -= 1;
            }
        }
        match page.next {
            Some(next) if lacking > 0 || found.is_empty() => after = Some(next),
            _ if lacking > 0 => {
                return Err(TableError::Unreadable(format!("a delivery of group {group} lacks a part")));
            }
            _ => return Ok(found),
        }
    }
}

/// The keys that seal the deliveries that wait: one id for each delivery.
pub async fn keys(table: &impl Table) -> Result<Vec<String>, TableError> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let (names, next) = groups(table, 100, after.as_ref()).await?;
        for group in names {
            keys_of(table, &group, &mut ids).await?;
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(ids),
        }
    }
}

async fn keys_of(table: &impl Table, group: &str, ids: &mut Vec<String>) -> Result<(), TableError> {
    let query = Query::Partition { pk: pk(group), prefix: "D#".to_owned() };
    let mut after: Option<Cursor> = None;
    loop {
        let page = table.query(&query, PAGE, after.as_ref()).await?;
        for (key, attributes) in page.items {
            // A further part holds no more than the rest of a box.
            if key.sk == sk(number(&key)?, 0) {
                let first: First = from_attributes(attributes)?;
                ids.extend(from_text(first.sealed)?.key_id().map(str::to_owned));
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Takes deliveries away that are on the queue now, at most [`TOGETHER`]. Those that another drain took away
/// already are passed over.
pub async fn done(table: &impl Table, sent: &[Parked]) -> Result<(), TableError> {
    // One by one where another drain has taken some of them, or is about to, or a transaction is too small.
    if sent.len() > 1 && table.write(sent.iter().flat_map(Parked::removal).collect()).await.is_ok() {
        return Ok(());
    }
    for parked in sent {
        match table.write(parked.removal().collect()).await {
            Ok(()) | Err(TableError::Refused) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Ends a group of which nothing waits any more; refused if something was parked since `head` was read.
pub async fn end(table: &impl Table, group: &str, head: &Head) -> Result<(), TableError> {
    let condition = head.unchanged();
    table.write(vec![Write::Delete { key: Key::new(pk(group), HEAD), condition }]).await
}

impl Parked {
    /// Opens the message for the queue.
    pub fn open(&self, ring: &Keyring) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        ring.open(&self.sealed, place(&self.credential, self.number))
    }

    fn removal(&self) -> impl Iterator<Item = Write> {
        (0..self.parts.max(1)).map(|part| {
            let condition = match part {
                0 => Condition::Equals(STAMP, Value::from(self.stamp.as_str())),
                _ => Condition::Always,
            };
            Write::Delete { key: Key::new(pk(&self.group), sk(self.number, part)), condition }
        })
    }
}

fn place(credential: &CredentialId, number: u64) -> Place<'_> {
    Place { credential, field: Field::Delivery, generation: number }
}

fn pk(group: &str) -> String {
    format!("PARKED#{group}")
}

fn sk(number: u64, part: u32) -> String {
    format!("D#{number:020}#{part:02}")
}

fn number(key: &Key) -> Result<u64, TableError> {
    let number = key.sk.split('#').nth(1).and_then(|number| number.parse().ok());
    number.ok_or_else(|| TableError::Unreadable(format!("{} is not a parked delivery", key.sk)))
}

fn from_text(text: String) -> Result<Sealed, TableError> {
    serde_json::from_value(Value::String(text)).map_err(|error| TableError::Unreadable(error.to_string()))
}

fn text_of(sealed: &Sealed) -> String {
    match json!(sealed) {
        Value::String(text) => text,
        _ => unreachable!("a box is a text"),
    }
}
