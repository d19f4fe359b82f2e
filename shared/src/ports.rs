//! What the rooms need of the outside: a table, a queue, and an edge to ask for time and randomness.

mod backlog;
mod queue;

use std::future::Future;

pub use backlog::{Attribute, Backlog, DeadLetter, Depth, Depths};
use jiff::Timestamp;
pub use queue::{Inbox, Outgoing, Queue, QueueError};
use serde_json::{Map, Value};

use crate::call::{Answer, ApiPath};
use crate::seal::Keyring;
use crate::token::{Authorization, ExchangeError, RefreshToken, TokenSet};

/// An item's attributes besides its key: texts, whole numbers, truth values, lists and maps of them.
pub type Attributes = Map<String, Value>;

/// Where an item lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition: what is read together.
    pub pk: String,
    /// The place inside the partition.
    pub sk: String,
}

impl Key {
    /// A key of two texts.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

/// What must hold of an item for a write to take place. An absent item has no attributes.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Anything goes.
    Always,
    /// There is no such item.
    Absent,
    /// There is one.
    Present,
    /// The attribute has this value.
    Equals(&'static str, Value),
    /// The item lacks the attribute.
    Lacks(&'static str),
    /// The attribute is a number of at most this.
    AtMost(&'static str, i64),
    /// All of these hold.
    All(Vec<Condition>),
    /// One of these holds.
    Any(Vec<Condition>),
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Replaces the item, or makes it.
    Put {
        /// Which item.
        key: Key,
        /// Its attributes.
        attributes: Attributes,
        /// When.
        condition: Condition,
    },
    /// Sets and removes attributes; makes the item if there is none.
    Update {
        /// Which item.
        key: Key,
        /// The attributes to set.
        set: Attributes,
        /// The attributes to remove.
        remove: Vec<&'static str>,
        /// When.
        condition: Condition,
    },
    /// Removes the item.
    Delete {
        /// Which item.
        key: Key,
        /// When.
        condition: Condition,
    },
}

impl Write {
    /// The item that is written.
    pub fn key(&self) -> &Key {
        match self {
            Write::Put { key, .. } | Write::Update { key, .. } | Write::Delete { key, .. } => key,
        }
    }
}

/// Which items to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Those of a partition whose sort key begins so; strongly consistent, in the order of that key.
    Partition {
        /// The partition.
        pk: String,
        /// How the sort key begins.
        prefix: String,
    },
    /// The keys of those whose `due_shard` is this and whose `due_at` has come, the earliest first;
    /// eventually consistent.
    Due {
        /// The shard.
        shard: String,
        /// Milliseconds since 1970.
        until: i64,
    },
    /// Those whose `listing` is this; eventually consistent.
    Listing(String),
    /// The `summary` of those whose `recent_of` is this, by their `recent_at` the latest first; eventually
    /// consistent.
    Recent(String),
}

/// One page of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The items, with the attributes that the index holds.
    pub items: Vec<(Key, Attributes)>,
    /// Hand this back to get the next page; none if this was the last.
    pub next: Option<Cursor>,
}

/// A place in a query; only the table that gave it understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Why the table did not do it.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The condition did not hold. Nothing was written.
    #[error("the item has changed meanwhile")]
    Refused,
    /// The table did not answer, or said to slow down. A write may have taken place.
    #[error("the table is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The table will not do this, however often it is asked.
    #[error("the table refused the request")]
    Rejected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An item does not have the form that this version of the software writes.
    #[error("an item of the table cannot be read: {0}")]
    Unreadable(String),
}

impl TableError {
    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, TableError::Unavailable(_))
    }
}

/// A table with conditional writes.
pub trait Table: Send + Sync {
    /// Reads one item, strongly consistently.
    fn get(&self, key: &Key) -> impl Future<Output = Result<Option<Attributes>, TableError>> + Send;

    /// Reads up to `limit` items, from `after` on.
    fn query(
        &self,
        query: &Query,
        limit: u32,
        after: Option<&Cursor>,
    ) -> impl Future<Output = Result<Page, TableError>> + Send;

    /// Adds to a number of an item and sets other attributes, at once; what is not there begins at zero.
    /// Gives the whole item afterwards. An addition whose acknowledgement is lost may take place twice.
    fn add(
        &self,
        key: &Key,
        attribute: &str,
        by: i64,
        set: Attributes,
    ) -> impl Future<Output = Result<Attributes, TableError>> + Send;

    /// Writes all of these or none. The items must differ.
    fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Stores items, each by itself and whatever was there before. The items must differ. Where it fails,
    /// some of them may be stored.
    fn put_all(&self, items: Vec<(Key, Attributes)>) -> impl Future<Output = Result<(), TableError>> + Send {
        async move {
            for (key, attributes) in items {
                self.write(vec![Write::Put { key, attributes, condition: Condition::Always }]).await?;
            }
            Ok(())
        }
    }
}

/// Where a refresh token is spent. `bitbucket` is the real one; a simulation brings its own.
pub trait TokenEndpoint: Send + Sync {
    /// Spends a refresh token (RFC 6749 section 6): sends it once, or not at all. An answer that takes
    /// longer than [`SPEND`](crate::rotation::SPEND) counts as lost.
    fn refresh(
        &self,
        token: &RefreshToken,
        now: Timestamp,
    ) -> impl Future<Output = Result<TokenSet, ExchangeError>> + Send;

    /// Fetches an access token for the consumer itself (RFC 6749 section 4.4).
    fn renew(&self, now: Timestamp) -> impl Future<Output = Result<TokenSet, ExchangeError>> + Send;
}

/// Why Bitbucket's API gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("Bitbucket's API could not be asked")]
pub struct Unasked(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where a token is tried out. `bitbucket` is the real one; tests bring their own.
pub trait Probe: Send + Sync {
    /// Reads what is at `path`, with the token.
    fn probe(
        &self,
        authorization: &Authorization,
        path: &ApiPath,
    ) -> impl Future<Output = Result<Answer, Unasked>> + Send;
}

/// Why a keyring could not be had.
#[derive(Debug, thiserror::Error)]
#[error("the keyring is not available")]
pub struct KeysError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A keyring that is read when it is needed, by a function that must answer even where it cannot be read.
pub trait Keys: Send + Sync {
    /// Reads the ring as it is now.
    fn ring(&self) -> impl Future<Output = Result<Keyring, KeysError>> + Send;
}

/// Where the world begins: the time, and bytes nobody can guess. A function's `main.rs` hands in the
/// real one; a simulation hands in its own.
pub trait Edge: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Unguessable bytes.
    fn random<const N: usize>(&self) -> [u8; N];
}
