//! Walks over the commit graph.

use std::collections::{BinaryHeap, HashSet};

use super::{Commit, Git, Hash};

impl Git {
    /// All commits reachable from `include` and not from `exclude`, newest first, children before
    /// their parents.
    pub(crate) fn log(&self, include: &[Hash], exclude: &[Hash]) -> Vec<&Commit> {
        let hidden = self.reachable(exclude);
        let wanted: HashSet<&str> =
            self.reachable(include).into_iter().filter(|hash| !hidden.contains(hash)).collect();
        // A commit is due when all its children are out; among those due the newest comes first.
        let mut waiting = std::collections::HashMap::new();
        for commit in wanted.iter().filter_map(|hash| self.commit(hash)) {
            for parent in &commit.parents {
                *waiting.entry(parent.as_str()).or_insert(0usize) += 1;
            }
        }
        let key = |hash: &str| self.commit(hash).map(|commit| (commit.date, commit.hash.as_str()));
        let mut due: BinaryHeap<_> =
            wanted.iter().filter(|hash| !waiting.contains_key(**hash)).filter_map(|hash| key(hash)).collect();
        let mut log = Vec::with_capacity(wanted.len());
        while let Some(commit) = due.pop().and_then(|(_, hash)| self.commit(hash)) {
            log.push(commit);
            for parent in commit.parents.iter().filter(|parent| wanted.contains(parent.as_str())) {
                if let Some(children) = waiting.get_mut(parent.as_str()) {
                    *children -= 1;
                    if *children == 0 {
                        due.extend(key(parent));
                    }
                }
            }
        }
        log
    }

    /// Whether `ancestor` is `descendant` or lies behind it.
    pub(crate) fn is_ancestor(&self, ancestor: &str, descendant: &str) -> bool {
        self.reachable(&[descendant.to_owned()]).contains(ancestor)
    }

    /// The newest common ancestor of two commits.
    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Option<&Commit> {
        let behind_one = self.reachable(&[one.to_owned()]);
        self.log(&[other.to_owned()], &[])
            .into_iter()
            .find(|commit| behind_one.contains(commit.hash.as_str()))
    }

    fn reachable(&self, from: &[Hash]) -> HashSet<&str> {
        let mut seen = HashSet::new();
        let mut open: Vec<&Hash> = from.iter().collect();
        while let Some(commit) = open.pop().and_then(|hash| self.commit(hash)) {
            if seen.insert(commit.hash.as_str()) {
                open.extend(&commit.parents);
            }
        }
        seen
    }
}
