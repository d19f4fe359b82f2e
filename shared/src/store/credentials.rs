//! `CRED#id/META`, `CRED#id/OWNER`, `CRED#id/WORKSPACE` and `CRED#id/AUDIT#…`.
//!
//! The items `OWNER` and `WORKSPACE` hold nothing but their place in the index `listing`. They are written
//! together with the credential, so that it is found by either without a scan.

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{credential_pk, from_attributes, to_attributes};
use crate::credential::{Cause, Credential, CredentialId, Health, Sight, Status, ulid};
use crate::ports::{Attributes, Condition, Cursor, Key, Query, Table, TableError, Write};

const META: &str = "META";
const TOLD: &str = "TOLD";
const OWNER: &str = "OWNER";
const WORKSPACE: &str = "WORKSPACE";
const LISTING: &str = "listing";
const ALL: &str = "CREDENTIAL";

/// One line of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Who: an operator, an end user's link, or a function.
    pub actor: String,
    /// What, as a word: `connected`, `reconnected`, `renamed`.
    pub action: String,
    /// What more there is to say of it; empty if nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// The id of the HTTP request or of the call that did it, and where that came from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
}

/// Which credentials to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// Those that belong to this end user.
    Owner(&'a str),
    /// Those that are meant for this workspace, as it was named when they were connected.
    Workspace(&'a str),
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

/// Reads a page of credentials, in the order of their making.
pub async fn list(
    table: &impl Table,
    which: Which<'_>,
    limit: u32,
    after: Option<&Cursor>,
) -> Result<(Vec<Credential>, Option<Cursor>), TableError> {
    let name = match which {
        Which::All => ALL.to_owned(),
        Which::Owner(owner) => format!("{OWNER}#{owner}"),
        Which::Workspace(workspace) => format!("{WORKSPACE}#{workspace}"),
    };
    let page = table.query(&Query::Listing(name), limit, after).await?;
    let credentials = match which {
        Which::All => {
            page.items.into_iter().map(|(_, found)| from_attributes(found)).collect::<Result<_, _>>()?
        }
        Which::Owner(_) | Which::Workspace(_) => {
            let ids = page.items.iter().filter_map(|(key, _)| key.pk.strip_prefix("CRED#")?.parse().ok());
            let ids: Vec<CredentialId> = ids.collect();
            let found = try_join_all(ids.iter().map(|id| get(table, id))).await?;
            found.into_iter().flatten().collect()
        }
    };
    Ok((credentials, page.next))
}

/// Reads a credential's audit trail, the oldest line first. It outlives the credential.
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

/// The write that stores a credential, new or renewed: on the condition that its revision is the next.
pub fn put(credential: &Credential) -> Write {
    let mut attributes = to_attributes(credential);
    attributes.insert(LISTING.to_owned(), Value::from(ALL));
    let condition = match credential.revision.saturating_sub(1) {
        0 => Condition::Absent,
        before => revision_is(before),
    };
    Write::Put { key: meta(&credential.id), attributes, condition }
}

/// The writes by which it is found by its owner and its workspace. They go into the transaction of
/// [`put`].
pub fn lookups(credential: &Credential) -> Vec<Write> {
    [(OWNER, &credential.owner), (WORKSPACE, &credential.workspace)]
        .into_iter()
        .map(|(sk, value)| {
            let key = Key::new(credential_pk(&credential.id), sk);
            if value.is_empty() {
                return Write::Delete { key, condition: Condition::Always };
            }
            let mut attributes = Attributes::new();
            attributes.insert(LISTING.to_owned(), Value::from(format!("{sk}#{value}")));
            Write::Put { key, attributes, condition: Condition::Always }
        })
        .collect()
}

/// Another label.
pub fn rename(credential: &Credential, label: &str) -> Write {
    change(credential, json!({ "label": label }), Vec::new())
}

/// A change that is stored elsewhere: it counts as one of the credential's.
pub fn touch(credential: &Credential) -> Write {
    change(credential, json!({}), Vec::new())
}

/// Switches a credential off.
pub fn disable(credential: &Credential, status: &Status) -> Write {
    change(credential, json!({ "status": status, "disabled_at": status.since }), Vec::new())
}

/// Switches a credential on again.
pub fn enable(credential: &Credential, status: &Status) -> Write {
    change(credential, json!({ "status": status }), vec!["disabled_at"])
}

/// Marks a credential as one that is being deleted. It is switched off from then on.
pub fn begin_delete(credential: &Credential, status: &Status) -> Write {
    let set = json!({ "status": status, "disabled_at": status.since, "deleting_at": status.since });
    change(credential, set, Vec::new())
}

/// The writes that remove a credential with its sealed data, hooks apart, on the condition that it has not
/// changed since it was read. The audit trail stays.
pub fn remove(credential: &Credential) -> Vec<Write> {
    let id = &credential.id;
    let gone = |sk| Write::Delete { key: Key::new(credential_pk(id), sk), condition: Condition::Always };
    let mut writes = vec![Write::Delete { key: meta(id), condition: revision_is(credential.revision) }];
    writes.extend([OWNER, WORKSPACE, TOLD, "TOKENS", "HOOK", "DELIVERIES"].map(gone));
    writes
}

/// The write that adds a line to the audit trail. It goes into the transaction of the change itself.
pub fn audit_line(id: &CredentialId, line: &Audit, random: [u8; 10]) -> Write {
    let key = Key::new(credential_pk(id), format!("AUDIT#{}", ulid(line.at, random)));
    Write::Put { key, attributes: to_attributes(line), condition: Condition::Absent }
}

/// What the events queue was last told of a credential; none if it was never told anything.
pub async fn told(table: &impl Table, id: &CredentialId) -> Result<Option<Told>, TableError> {
    table.get(&Key::new(credential_pk(id), TOLD)).await?.map(from_attributes).transpose()
}

/// Stores a status and that the events queue was told of it, unless the credential has another status by
/// now than the one it was read with or the chain has moved on from `generation`: what an operator or a
/// reconnect did must not be followed by what an older run found out.
pub async fn tell(
    table: &impl Table,
    credential: &Credential,
    status: &Status,
    generation: u64,
    noted: Option<u64>,
) -> Result<(), TableError> {
    let id = &credential.id;
    let mut set = Attributes::new();
    set.insert("status".to_owned(), json!(status));
    let told = Told { health: status.health, cause: status.cause };
    let unchanged = Condition::Equals("status", json!(credential.status));
    let writes = vec![
        Write::Update { key: meta(id), set, remove: Vec::new(), condition: unchanged },
        Write::Put {
            key: Key::new(credential_pk(id), TOLD),
            attributes: to_attributes(&told),
            condition: Condition::Always,
        },
        super::tokens::told(id, generation, status.health, noted),
    ];
    table.write(writes).await
}

/// Stores what the credential sees now; refused if it is gone.
pub async fn see(table: &impl Table, id: &CredentialId, sight: Sight) -> Result<(), TableError> {
    let set = Attributes::from_iter([("sight".to_owned(), json!(sight))]);
    let condition = Condition::Present;
    table.write(vec![Write::Update { key: meta(id), set, remove: Vec::new(), condition }]).await
}

/// A change by a person. Unlike [`put`] it leaves alone what it does not name, such as a status that a
/// refresh writes at the same time.
fn change(credential: &Credential, set: Value, remove: Vec<&'static str>) -> Write {
    let Value::Object(mut set) = set else { unreachable!("a change is an object") };
    set.insert("revision".to_owned(), Value::from(credential.revision + 1));
    Write::Update { key: meta(&credential.id), set, remove, condition: revision_is(credential.revision) }
}

fn revision_is(revision: u64) -> Condition {
    Condition::Equals("revision", Value::from(revision))
}

fn meta(id: &CredentialId) -> Key {
    Key::new(credential_pk(id), META)
}
