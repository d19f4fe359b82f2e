//! `LINK#…` and `STATE#…`: connects that are offered and connects that have begun.

use jiff::Timestamp;
use serde_json::Value;

use super::{EXPIRES_AT, from_attributes, live, to_attributes};
use crate::connect::{Begun, Link, Ticket};
use crate::ports::{Attributes, Condition, Key, Table, TableError, Write};

/// The write that stores a new connect link. It goes into one transaction with its audit line.
pub fn offer(ticket: &Ticket, link: &Link) -> Write {
    let attributes = expiring(to_attributes(link), link.until);
    Write::Put { key: link_key(&ticket.digest()), attributes, condition: Condition::Absent }
}

/// Reads a link that still works, by its ticket's digest.
pub async fn link(table: &impl Table, digest: &str, now: Timestamp) -> Result<Option<Link>, TableError> {
    live(table.get(&link_key(digest)).await?, now).map(from_attributes).transpose()
}

/// The write that uses a link up. It goes into the transaction that stores the credential, so two tabs
/// cannot both complete one link.
pub fn use_up(digest: &str) -> Write {
    Write::Delete { key: link_key(digest), condition: Condition::Present }
}

/// Stores a connect that has begun.
pub async fn begin(table: &impl Table, state: &Ticket, begun: &Begun) -> Result<(), TableError> {
    let attributes = expiring(to_attributes(begun), begun.until);
    let key = state_key(state);
    table.write(vec![Write::Put { key, attributes, condition: Condition::Absent }]).await
}

/// Takes a state out of the table. Of several that try at once, one gets it.
pub async fn take(table: &impl Table, state: &Ticket, now: Timestamp) -> Result<Option<Begun>, TableError> {
    let key = state_key(state);
    let Some(found) = live(table.get(&key).await?, now) else { return Ok(None) };
    match table.write(vec![Write::Delete { key, condition: Condition::Present }]).await {
        Ok(()) => from_attributes(found).map(Some),
        Err(TableError::Refused) => Ok(None),
        Err(error) => Err(error),
    }
}

fn expiring(mut attributes: Attributes, until: Timestamp) -> Attributes {
    attributes.insert(EXPIRES_AT.to_owned(), Value::from(until.as_second()));
    attributes
}

fn link_key(digest: &str) -> Key {
    Key::new(format!("LINK#{digest}"), "LINK")
}

fn state_key(state: &Ticket) -> Key {
    Key::new(format!("STATE#{}", state.digest()), "STATE")
}
