//! `GITOPS#…`: attachments, what is known of their files, what is to be done, and their history.
//!
//! The item `STATE` is written last, on the condition that nobody wrote it since it was read: whoever loses
//! has done nothing that the winner has not done too. This file is long because all items of an attachment
//! are written here.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{EXPIRES_AT, credential_pk, from_attributes, to_attributes};
use crate::credential::CredentialId;
use crate::gitops::{Attachment, AttachmentId, Batch, Known, Line, Next, Put, State, Step, Work};
use crate::ports::{Attributes, Condition, Cursor, Key, Query, Table, TableError, Write};

/// What `listing` and `due_shard` say of an attachment.
const ALL: &str = "GITOPS";
/// How many items one transaction takes, with some room.
const MOST_WRITES: usize = 90;
/// How long a batch is kept that nobody read.
const BATCH_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An attachment with its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// What was attached.
    pub attachment: Attachment,
    /// How far it has come.
    pub state: State,
}

/// Attaches: refused if the folder is attached already. The first put is written with it.
pub async fn attach(
    table: &impl Table,
    attachment: &Attachment,
    state: &State,
    put: (&str, &Put),
    line: &Line,
) -> Result<(), TableError> {
    let id = &attachment.id;
    let folder = json!({ "attachment": id });
    let held = Held { attachment: attachment.clone(), state: state.clone() };
    let writes = vec![
        Write::Put { key: state_key(id), attributes: item(&held), condition: Condition::Absent },
        Write::Put { key: by_folder(attachment), attributes: object(folder), condition: Condition::Absent },
        Write::Put {
            key: by_credential(attachment),
            attributes: Attributes::new(),
            condition: Condition::Absent,
        },
        put_write(id, put.0, put.1),
        line_write(id, 0, line),
    ];
    table.write(writes).await
}

/// Reads one.
pub async fn get(table: &impl Table, id: &AttachmentId) -> Result<Option<Held>, TableError> {
    table.get(&state_key(id)).await?.map(held).transpose()
}

/// Reads a page of all of them.
pub async fn list(
    table: &impl Table,
    limit: u32,
    after: Option<&Cursor>,
) -> Result<(Vec<Held>, Option<Cursor>), TableError> {
    let page = table.query(&Query::Listing(ALL.to_owned()), limit, after).await?;
    let found = page.items.into_iter().map(|(_, found)| held(found)).collect::<Result<_, _>>()?;
    Ok((found, page.next))
}

/// Those of a credential.
pub async fn of_credential(
    table: &impl Table,
    credential: &CredentialId,
) -> Result<Vec<AttachmentId>, TableError> {
    let items = all(table, &credential_pk(credential), "GITOPS#").await?;
    Ok(items.iter().filter_map(|(key, _)| key.sk.strip_prefix("GITOPS#")?.parse().ok()).collect())
}

/// A page of those whose time has come, the earliest first.
pub async fn due(
    table: &impl Table,
    now: Timestamp,
    limit: u32,
    after: Option<&Cursor>,
) -> Result<(Vec<AttachmentId>, Option<Cursor>), TableError> {
    let query = Query::Due { shard: ALL.to_owned(), until: now.as_millisecond() };
    let page = table.query(&query, limit, after).await?;
    let ids = page.items.iter().filter_map(|(key, _)| key.pk.strip_prefix("GITOPS#")?.parse().ok());
    Ok((ids.collect(), page.next))
}

/// Notes that somebody called; false if there is no such attachment.
pub async fn wake(table: &impl Table, id: &AttachmentId, now: Timestamp) -> Result<bool, TableError> {
    change(table, id, |state| {
        state.woken = true;
        state.due_at = now;
    })
    .await
}

/// Notes that it is to be forgotten; false if there is no such attachment.
pub async fn detach(table: &impl Table, id: &AttachmentId, now: Timestamp) -> Result<bool, TableError> {
    change(table, id, |state| {
        state.detaching = true;
        state.due_at = now;
    })
    .await
}

async fn change(
    table: &impl Table,
    id: &AttachmentId,
    change: impl Fn(&mut State),
) -> Result<bool, TableError> {
    loop {
        let Some(Held { attachment, mut state }) = get(table, id).await? else { return Ok(false) };
        let before = state.revision;
        change(&mut state);
        match table.write(vec![state_write(attachment, state, before)]).await {
            Err(TableError::Refused) => {}
            written => return written.map(|()| true),
        }
    }
}

/// Takes a put; false if there is no such attachment. Puts are made in the order of their names.
pub async fn add_put(
    table: &impl Table,
    id: &AttachmentId,
    name: &str,
    put: &Put,
    now: Timestamp,
) -> Result<bool, TableError> {
    if get(table, id).await?.is_none() {
        return Ok(false);
    }
    table.write(vec![put_write(id, name, put)]).await?;
    wake(table, id, now).await
}

/// What the step works with.
pub async fn work(table: &impl Table, held: &Held) -> Result<Work, TableError> {
    let id = &held.attachment.id;
    let mut work = Work::default();
    match &held.state.step {
        Step::Idle | Step::Comparing { .. } => {}
        Step::Looking => work.put = first(table, id, "PUT#").await?.map(read_put).transpose()?,
        Step::Committing { put } => {
            let found = table.get(&key(id, &format!("PUT#{put}"))).await?;
            work.put = found.map(|found| read_put((put.clone(), found))).transpose()?;
        }
        Step::Listing { .. } => {
            for (_, found) in all(table, &pk(id), "FILE#").await? {
                let (path, known) = read_file(found)?;
                work.known.insert(path, known);
            }
        }
        Step::Reading { of, .. } => {
            if let Some((number, found)) = first(table, id, &batch_name(*of, None)).await? {
                let batch: Batch = from_attributes(found)?;
                for (path, _) in &batch.files {
                    if let Some(found) = table.get(&file_key(id, path)).await? {
                        work.known.insert(path.clone(), read_file(found)?.1);
                    }
                }
                work.batch = Some((number.parse().unwrap_or_default(), batch));
            }
        }
    }
    Ok(work)
}

/// Stores what comes next; refused if the state is not `before` any more.
pub async fn advance(table: &impl Table, before: &Held, next: Next) -> Result<State, TableError> {
    let Held { attachment, state: old } = before;
    let (id, mut state) = (&attachment.id, next.state);
    let lines = (state.lines..).zip(&next.lines).map(|(number, line)| line_write(id, number, line));
    let mut early: Vec<_> = lines.collect();
    state.lines += next.lines.len() as u64;
    if let Step::Reading { of, .. } = &state.step {
        let expires_at = state.due_at + BATCH_KEPT;
        for (number, batch) in (0..).zip(&next.batches) {
            let mut attributes = to_attributes(batch);
            attributes.insert(EXPIRES_AT.to_owned(), Value::from(expires_at.as_second()));
            let key = key(id, &batch_name(*of, Some(number)));
            early.push(Write::Put { key, attributes, condition: Condition::Always });
        }
    }
    let mut last: Vec<_> =
        next.known.iter().map(|(path, known)| file_write(id, path, known.as_ref())).collect();
    // Only a put has so many files, and what it knows of them does not depend on what was known.
    if last.len() > MOST_WRITES {
        early.append(&mut last);
    }
    let gone = |sk: &str| Write::Delete { key: key(id, sk), condition: Condition::Always };
    last.extend(next.put.iter().map(|put| gone(&format!("PUT#{put}"))));
    if let (Some(number), Step::Reading { of, .. }) = (next.read, &old.step) {
        last.push(gone(&batch_name(*of, Some(number))));
    }
    for writes in early.chunks(MOST_WRITES) {
        table.write(writes.to_vec()).await?;
    }
    let revision = old.revision;
    last.push(state_write(attachment.clone(), state.clone(), revision));
    table.write(last).await?;
    Ok(State { revision: revision + 1, ..state })
}

/// Forgets an attachment. Its history stays, as does the folder in the repository.
pub async fn remove(table: &impl Table, attachment: &Attachment) -> Result<(), TableError> {
    let id = &attachment.id;
    let gone = |key| Write::Delete { key, condition: Condition::Always };
    for prefix in ["FILE#", "PUT#", "READ#"] {
        for (key, _) in all(table, &pk(id), prefix).await? {
            table.write(vec![gone(key)]).await?;
        }
    }
    let last = [by_folder(attachment), by_credential(attachment), state_key(id)];
    table.write(last.map(gone).into()).await
}

/// Reads a page of the history, the oldest line first.
pub async fn history(
    table: &impl Table,
    id: &AttachmentId,
    limit: u32,
    after: Option<&Cursor>,
) -> Result<(Vec<Line>, Option<Cursor>), TableError> {
    let query = Query::Partition { pk: pk(id), prefix: "LINE#".to_owned() };
    let page = table.query(&query, limit, after).await?;
    let lines = page.items.into_iter().map(|(_, found)| from_attributes(found)).collect::<Result<_, _>>()?;
    Ok((lines, page.next))
}

async fn all(table: &impl Table, pk: &str, prefix: &str) -> Result<Vec<(Key, Attributes)>, TableError> {
    let query = Query::Partition { pk: pk.to_owned(), prefix: prefix.to_owned() };
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = table.query(&query, 500, after.as_ref()).await?;
        items.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(items),
        }
    }
}

/// The first item whose name begins so, with the rest of its name.
async fn first(
    table: &impl Table,
    id: &AttachmentId,
    prefix: &str,
) -> Result<Option<(String, Attributes)>, TableError> {
    let query = Query::Partition { pk: pk(id), prefix: prefix.to_owned() };
    let page = table.query(&query, 1, None).await?;
    let rest = |(key, found): (Key, Attributes)| Some((key.sk.strip_prefix(prefix)?.to_owned(), found));
    Ok(page.items.into_iter().next().and_then(rest))
}

fn item(held: &Held) -> Attributes {
    object(json!({
        "attachment": held.attachment,
        "state": held.state,
        "revision": held.state.revision,
        "listing": ALL,
        "due_shard": ALL,
        "due_at": held.state.due_at.as_millisecond(),
    }))
}

fn held(mut found: Attributes) -> Result<Held, TableError> {
    Ok(Held { attachment: part(&mut found, "attachment")?, state: part(&mut found, "state")? })
}

fn part<T: DeserializeOwned>(found: &mut Attributes, name: &str) -> Result<T, TableError> {
    serde_json::from_value(found.remove(name).unwrap_or_default())
        .map_err(|error| TableError::Unreadable(error.to_string()))
}

fn state_write(attachment: Attachment, mut state: State, before: u64) -> Write {
    state.revision = before + 1;
    Write::Put {
        key: state_key(&attachment.id),
        attributes: item(&Held { attachment, state }),
        condition: Condition::Equals("revision", Value::from(before)),
    }
}

fn put_write(id: &AttachmentId, name: &str, put: &Put) -> Write {
    // As one text: a put holds whatever a file may hold.
    let attributes = object(json!({ "put": text(put) }));
    Write::Put { key: key(id, &format!("PUT#{name}")), attributes, condition: Condition::Absent }
}

fn read_put((name, found): (String, Attributes)) -> Result<(String, Put), TableError> {
    let text = found.get("put").and_then(Value::as_str).unwrap_or_default();
    let put = serde_json::from_str(text).map_err(|error| TableError::Unreadable(error.to_string()))?;
    Ok((name, put))
}

fn file_write(id: &AttachmentId, path: &str, known: Option<&Known>) -> Write {
    let (key, condition) = (file_key(id, path), Condition::Always);
    match known {
        None => Write::Delete { key, condition },
        Some(known) => {
            Write::Put { key, attributes: object(json!({ "path": path, "known": known })), condition }
        }
    }
}

fn read_file(mut found: Attributes) -> Result<(String, Known), TableError> {
    Ok((part(&mut found, "path")?, part(&mut found, "known")?))
}

fn line_write(id: &AttachmentId, number: u64, line: &Line) -> Write {
    let key = key(id, &format!("LINE#{number:012}"));
    Write::Put { key, attributes: to_attributes(line), condition: Condition::Always }
}

fn object(value: Value) -> Attributes {
    match value {
        Value::Object(attributes) => attributes,
        _ => unreachable!("an item is an object"),
    }
}

fn text(value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(_) => unreachable!("a put is texts"),
    }
}

/// Of all batches of a turn, or of one of them.
fn batch_name(of: u64, number: Option<u32>) -> String {
    let number = number.map(|number| format!("{number:06}")).unwrap_or_default();
    format!("READ#{of:012}#{number}")
}

fn pk(id: &AttachmentId) -> String {
    format!("GITOPS#{id}")
}

fn key(id: &AttachmentId, sk: &str) -> Key {
    Key::new(pk(id), sk)
}

fn state_key(id: &AttachmentId) -> Key {
    key(id, "STATE")
}

/// A path may be longer than a key.
fn file_key(id: &AttachmentId, path: &str) -> Key {
    key(id, &format!("FILE#{}", hex::encode(Sha256::digest(path))))
}

fn by_credential(attachment: &Attachment) -> Key {
    Key::new(credential_pk(&attachment.credential), format!("GITOPS#{}", attachment.id))
}

fn by_folder(attachment: &Attachment) -> Key {
    let Attachment { repository, branch, folder, .. } = attachment;
    Key::new(format!("GITOPS-FOLDER#{}#{branch}", repository.to_lowercase()), folder.clone())
}
