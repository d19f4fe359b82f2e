//! `CRED#id/META` and `CRED#id/AUDIT#…`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{credential_pk, from_attributes, to_attributes};
use crate::credential::{Cause, Credential, CredentialId, Health, Status, ulid};
use crate::ports::{Attributes, Condition, Cursor, Key, Query, Table, TableError, Write};

const META: &str = "META";
const TOLD: &str = "TOLD";
const LISTING: &str = "listing";
const ALL: &str = "CREDENTIAL";

/// One line of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Who: an operator, an end user's link, or a function.
    pub actor: String,
    /// What, as a word: `connected`, `reconnected`.
    pub action: String,
    /// When.
    pub at: Timestamp,
}

/// Which state of a credential the events queue was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The verdict.
    pub health: Health,
    /// Its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// Reads one credential.
pub async fn get(table: &impl Table, id: &CredentialId) -> Result<Option<Credential>, TableError> {
    table.get(&meta(id)).await?.map(from_attributes).transpose()
}

/// Reads a page of all credentials, in the order of their making.
pub async fn list(
    table: &impl Table,
    limit: u32,
    after: Option<&Cursor>,
) -> Result<(Vec<Credential>, Option<Cursor>), TableError> {
    let page = table.query(&Query::Listing(ALL.to_owned()), limit, after).await?;
    let credentials =
        page.items.into_iter().map(|(_, found)| from_attributes(found)).collect::<Result<_, _>>()?;
    Ok((credentials, page.next))
}

/// Reads a credential's audit trail, the oldest line first.
pub async fn audit(table: &impl Table, id: &CredentialId) -> Result<Vec<Audit>, TableError> {
    let query = Query::Partition { pk: credential_pk(id), prefix: "AUDIT#".to_owned() };
    let mut lines = Vec::new();
    let mut after = None;
    loop {
        let page = table.query(&query, 100, after.as_ref()).await?;
        for (_, found) in page.items {
            lines.push(from_attributes(found)?);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(lines),
        }
    }
}

/// The write that stores a credential, new or renewed.
pub fn put(credential: &Credential) -> Write {
    let mut attributes = to_attributes(credential);
    attributes.insert(LISTING.to_owned(), Value::from(ALL));
    Write::Put { key: meta(&credential.id), attributes, condition: Condition::Always }
}

/// The write that adds a line to the audit trail. It goes into the transaction of the change itself.
pub fn audit_line(id: &CredentialId, line: &Audit, random: [u8; 10]) -> Write {
    let key = Key::new(credential_pk(id), format!("AUDIT#{}", ulid(line.at, random)));
    Write::Put { key, attributes: to_attributes(line), condition: Condition::Absent }
}

/// Stores a new status, unless the credential is gone.
pub async fn set_status(table: &impl Table, id: &CredentialId, status: &Status) -> Result<(), TableError> {
    let mut set = Attributes::new();
    set.insert("status".to_owned(), json!(status));
    let write = Write::Update { key: meta(id), set, remove: Vec::new(), condition: Condition::Present };
    table.write(vec![write]).await
}

/// What the events queue was last told of a credential; none if it was never told anything.
pub async fn told(table: &impl Table, id: &CredentialId) -> Result<Option<Told>, TableError> {
    table.get(&Key::new(credential_pk(id), TOLD)).await?.map(from_attributes).transpose()
}

/// Stores a status and that the events queue was told of it, unless the chain has moved on from
/// `generation`: a reconnect must not be followed by what an older run found out.
pub async fn tell(
    table: &impl Table,
    id: &CredentialId,
    status: &Status,
    generation: u64,
) -> Result<(), TableError> {
    let mut set = Attributes::new();
    set.insert("status".to_owned(), json!(status));
    let told = Told { health: status.health, cause: status.cause };
    let writes = vec![
        Write::Update { key: meta(id), set, remove: Vec::new(), condition: Condition::Present },
        Write::Put {
            key: Key::new(credential_pk(id), TOLD),
            attributes: to_attributes(&told),
            condition: Condition::Always,
        },
        super::tokens::still_at(id, generation),
    ];
    table.write(writes).await
}

fn meta(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), META)
}
