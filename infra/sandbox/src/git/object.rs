//! Git's object hashes: SHA-1 over a header and the object's bytes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha1::{Digest, Sha1};

use super::{Entry, Hash, Mode, Tree};

pub(super) fn blob(content: &[u8]) -> Hash {
    hex::encode(raw("blob", content))
}

pub(super) fn commit(tree: &Hash, parents: &[Hash], author: &str, date: Timestamp, message: &str) -> Hash {
    let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    let who = format!("{author} {} +0000", date.as_second());
    let text = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{message}");
    hex::encode(raw("commit", text.as_bytes()))
}

pub(super) fn tree(tree: &Tree) -> Hash {
    let entries: Vec<(&str, &Entry)> = tree.iter().map(|(path, entry)| (path.as_str(), entry)).collect();
    hex::encode(folder(&entries))
}

fn folder<'a>(entries: &[(&'a str, &'a Entry)]) -> [u8; 20] {
    // Git sorts a folder as if its name ended in a slash.
    let mut lines: BTreeMap<String, (&str, &'a str, Vec<u8>)> = BTreeMap::new();
    let mut rest = entries;
    while let Some((path, entry)) = rest.first() {
        match path.split_once('/') {
            None => {
                let mode = match entry.mode {
                    Mode::File => "100644",
                    Mode::Executable => "100755",
                    Mode::Link => "120000",
                };
                lines.insert((*path).to_owned(), (mode, path, hex::decode(&entry.blob).unwrap_or_default()));
                rest = &rest[1..];
            }
            Some((name, _)) => {
                let prefix = format!("{name}/");
                let strip = |path: &'a str| path.strip_prefix(prefix.as_str());
                let inside: Vec<_> =
                    rest.iter().map_while(|(path, entry)| Some((strip(path)?, *entry))).collect();
                rest = &rest[inside.len()..];
                lines.insert(prefix.clone(), ("40000", name, folder(&inside).to_vec()));
            }
        }
    }
    let mut body = Vec::new();
    for (mode, name, hash) in lines.values() {
        body.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        body.extend_from_slice(hash);
    }
    raw("tree", &body)
}

fn raw(kind: &str, body: &[u8]) -> [u8; 20] {
    Sha1::new().chain_update(format!("{kind} {}\0", body.len())).chain_update(body).finalize().into()
}
