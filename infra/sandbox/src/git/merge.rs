//! Merges, decided path by path: a path that both sides changed differently is a conflict.

use std::{collections::BTreeSet, sync::Arc};

use super::{Git, Hash, Signature, Tree};

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// A commit with two parents.
    MergeCommit,
    /// One commit on top of the destination.
    Squash,
    /// The destination moves to the source, which must contain it; else a merge commit is refused.
    FastForward,
    /// A squash, only if the destination has not moved.
    SquashFastForward,
    /// The source's commits anew on top of the destination.
    RebaseFastForward,
    /// The same, then a merge commit.
    RebaseMerge,
}

impl Strategy {
    /// All of them, by Bitbucket's names.
    pub(crate) const NAMES: [(&str, Self); 6] = [
        ("merge_commit", Self::MergeCommit),
        ("squash", Self::Squash),
        ("fast_forward", Self::FastForward),
        ("squash_fast_forward", Self::SquashFastForward),
        ("rebase_fast_forward", Self::RebaseFastForward),
        ("rebase_merge", Self::RebaseMerge),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, strategy)| *strategy)
    }
}

/// Why a merge is not possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MergeFailure {
    /// The paths that both sides changed differently.
    Conflict(Vec<String>),
    /// The destination is not contained in the source.
    NotFastForward,
    /// The two have nothing in common, or one of them does not exist.
    Unrelated,
}

impl Git {
    /// The commit to which the destination moves when `source` is merged into it. No ref is moved.
    pub(crate) fn merge(
        &mut self,
        source: &str,
        destination: &str,
        strategy: Strategy,
        signature: Signature,
    ) -> Result<Hash, MergeFailure> {
        let base = self.merge_base(source, destination).ok_or(MergeFailure::Unrelated)?.hash.clone();
        let straight = base == destination;
        let merged = Arc::new(three_way(
            &self.tree_of(Some(&base)),
            &self.tree_of(Some(destination)),
            &self.tree_of(Some(source)),
        )?);
        match strategy {
            Strategy::FastForward | Strategy::SquashFastForward if !straight => {
                Err(MergeFailure::NotFastForward)
            }
            Strategy::FastForward => Ok(source.to_owned()),
            Strategy::MergeCommit => {
                Ok(self.write(merged, vec![destination.to_owned(), source.to_owned()], signature))
            }
            Strategy::Squash | Strategy::SquashFastForward => {
                Ok(self.write(merged, vec![destination.to_owned()], signature))
            }
            Strategy::RebaseFastForward => self.rebase(source, destination),
            Strategy::RebaseMerge => {
                let rebased = self.rebase(source, destination)?;
                Ok(self.write(merged, vec![destination.to_owned(), rebased], signature))
            }
        }
    }

    /// The commits that only `source` has, one by one on top of `destination`. Merges are left out.
    fn rebase(&mut self, source: &str, destination: &str) -> Result<Hash, MergeFailure> {
        let own: Vec<_> =
            self.log(&[source.to_owned()], &[destination.to_owned()]).into_iter().cloned().collect();
        let mut tip = destination.to_owned();
        for commit in own.into_iter().rev().filter(|commit| commit.parents.len() < 2) {
            let before = self.tree_of(commit.parents.first().map(String::as_str));
            let tree = three_way(&before, &self.tree_of(Some(&tip)), &commit.tree)?;
            let signature = Signature { author: commit.author, date: commit.date, message: commit.message };
            tip = self.write(Arc::new(tree), vec![tip], signature);
        }
        Ok(tip)
    }
}

/// The tree with the changes of both sides since their base.
fn three_way(base: &Tree, ours: &Tree, theirs: &Tree) -> Result<Tree, MergeFailure> {
    let paths: BTreeSet<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    let mut merged = Tree::new();
    let mut conflicts = Vec::new();
    for path in paths {
        let (before, our, their) = (base.get(path), ours.get(path), theirs.get(path));
        let entry = match () {
            () if our == their || their == before => our,
            () if our == before => their,
            () => {
                conflicts.push(path.clone());
                continue;
            }
        };
        if let Some(entry) = entry {
            merged.insert(path.clone(), entry.clone());
        }
    }
    if conflicts.is_empty() { Ok(merged) } else { Err(MergeFailure::Conflict(conflicts)) }
}
