//! A repository in memory: blobs, flat trees, commits, branches and tags, with git's own hashes.
//!
//! Pure. A tree is kept as one sorted map from path to entry, so a look-up, a difference and a
//! merge of two trees are walks over maps; nested tree objects exist only while a hash is made.

mod diff;
mod history;
mod merge;
mod object;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use jiff::Timestamp;

pub(crate) use diff::Change;
#[cfg(test)]
pub(crate) use diff::Status;
pub(crate) use merge::{MergeFailure, Strategy};

/// A hash in 40 lower-case hexadecimal digits.
pub(crate) type Hash = String;

/// All files of a commit by path from the root, without a leading slash.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// A file in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) blob: Hash,
    pub(crate) mode: Mode,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    File,
    Executable,
    Link,
}

/// A commit.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) hash: Hash,
    pub(crate) tree: Arc<Tree>,
    pub(crate) parents: Vec<Hash>,
    /// `Name <mail>`.
    pub(crate) author: String,
    pub(crate) date: Timestamp,
    pub(crate) message: String,
}

/// What a new commit says about itself.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) author: String,
    pub(crate) date: Timestamp,
    pub(crate) message: String,
}

/// A change to one path: new content, or `None` to delete it.
pub(crate) type Edits = BTreeMap<String, Option<(Bytes, Mode)>>;

/// The objects and refs of one repository.
#[derive(Debug, Clone, Default)]
pub(crate) struct Git {
    blobs: HashMap<Hash, Bytes>,
    commits: HashMap<Hash, Commit>,
    pub(crate) branches: BTreeMap<String, Hash>,
    pub(crate) tags: BTreeMap<String, Hash>,
}

impl Git {
    /// The commit with this full hash.
    pub(crate) fn commit(&self, hash: &str) -> Option<&Commit> {
        self.commits.get(hash)
    }

    /// The content of a blob.
    pub(crate) fn blob(&self, hash: &str) -> Option<&Bytes> {
        self.blobs.get(hash)
    }

    /// The commit meant by a branch, a tag, a hash or at least seven digits of one.
    pub(crate) fn resolve(&self, spec: &str) -> Option<&Commit> {
        let named = self.branches.get(spec).or_else(|| self.tags.get(spec));
        if let Some(hash) = named {
            return self.commits.get(hash);
        }
        if let Some(commit) = self.commits.get(spec) {
            return Some(commit);
        }
        let short = spec.len() >= 7 && spec.chars().all(|digit| digit.is_ascii_hexdigit());
        let mut fitting = self.commits.values().filter(|commit| short && commit.hash.starts_with(spec));
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// The longest branch or tag, or the hash, with which a path begins; and what follows it. Branch
    /// names may contain slashes.
    pub(crate) fn resolve_prefix(&self, segments: &[String]) -> Option<(&Commit, usize)> {
        (1..=segments.len())
            .rev()
            .find_map(|length| Some((self.resolve(&segments[..length].join("/"))?, length)))
    }

    /// Stores content; the same content is stored once.
    pub(crate) fn store(&mut self, content: Bytes) -> Hash {
        let hash = object::blob(&content);
        self.blobs.entry(hash.clone()).or_insert(content);
        hash
    }

    /// The tree that comes from editing another one, or the path that was to be deleted but is not
    /// there.
    pub(crate) fn edited(&mut self, tree: &Tree, edits: &Edits) -> Result<Tree, String> {
        let mut tree = tree.clone();
        for (path, edit) in edits {
            match edit {
                Some((content, mode)) => {
                    let blob = self.store(content.clone());
                    tree.insert(path.clone(), Entry { blob, mode: *mode });
                }
                None => {
                    tree.remove(path).ok_or_else(|| path.clone())?;
                }
            }
        }
        Ok(tree)
    }

    /// Stores a commit without moving any ref.
    pub(crate) fn write(&mut self, tree: Arc<Tree>, parents: Vec<Hash>, signature: Signature) -> Hash {
        let Signature { author, date, message } = signature;
        let hash = object::commit(&object::tree(&tree), &parents, &author, date, &message);
        let commit = Commit { hash: hash.clone(), tree, parents, author, date, message };
        self.commits.entry(hash.clone()).or_insert(commit);
        hash
    }

    /// The tree of a commit, or an empty one.
    pub(crate) fn tree_of(&self, hash: Option<&str>) -> Arc<Tree> {
        hash.and_then(|hash| self.commits.get(hash))
            .map(|commit| Arc::clone(&commit.tree))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
