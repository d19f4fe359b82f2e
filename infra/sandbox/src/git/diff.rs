//! Differences between two trees, by path, with renames and line counts.

use super::{Entry, Git, Tree};

/// A path that differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) status: Status,
    pub(crate) old: Option<String>,
    pub(crate) new: Option<String>,
    pub(crate) lines_added: usize,
    pub(crate) lines_removed: usize,
}

/// How it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Added,
    Removed,
    Modified,
    Renamed,
}

impl Status {
    /// Bitbucket's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Modified => "modified",
            Self::Renamed => "renamed",
        }
    }
}

/// The least share of common lines, in percent, with which a removed and an added file count as one
/// renamed file; git's default.
const SIMILAR_PERCENT: usize = 50;

/// Above this product of line counts, lines are compared as a set.
const CAREFUL_LINES: usize = 4_000_000;

impl Git {
    /// What changed from `old` to `new`, sorted by path.
    pub(crate) fn diff(&self, old: &Tree, new: &Tree, renames: bool) -> Vec<Change> {
        let mut removed: Vec<&str> = Vec::new();
        let mut added: Vec<&str> = Vec::new();
        let mut changes = Vec::new();
        for (path, before) in old {
            match new.get(path) {
                None => removed.push(path),
                Some(after) if after != before => {
                    changes.push(self.change(Status::Modified, Some((path, before)), Some((path, after))));
                }
                Some(_) => {}
            }
        }
        added.extend(new.keys().filter(|path| !old.contains_key(*path)).map(String::as_str));
        if renames {
            self.pair_renames(old, new, &mut removed, &mut added, &mut changes);
        }
        let gone = removed.iter().filter_map(|path| Some((*path, old.get(*path)?)));
        changes.extend(gone.map(|before| self.change(Status::Removed, Some(before), None)));
        let come = added.iter().filter_map(|path| Some((*path, new.get(*path)?)));
        changes.extend(come.map(|after| self.change(Status::Added, None, Some(after))));
        changes.sort_by(|a, b| (a.new.as_ref().or(a.old.as_ref())).cmp(&b.new.as_ref().or(b.old.as_ref())));
        changes
    }

    fn pair_renames(
        &self,
        old: &Tree,
        new: &Tree,
        removed: &mut Vec<&str>,
        added: &mut Vec<&str>,
        changes: &mut Vec<Change>,
    ) {
        // Identical content first, so that a merely similar file cannot take its place.
        for threshold in [100, SIMILAR_PERCENT] {
            added.retain(|to| {
                let Some(after) = new.get(*to) else { return true };
                let similarity =
                    |from: &&str| old.get(*from).map_or(0, |before| self.similarity(before, after));
                let best = removed.iter().enumerate().map(|(at, from)| (similarity(from), at)).max();
                let Some((_, at)) = best.filter(|(similarity, _)| *similarity >= threshold) else {
                    return true;
                };
                let from = removed.remove(at);
                if let Some(before) = old.get(from) {
                    changes.push(self.change(Status::Renamed, Some((from, before)), Some((to, after))));
                }
                false
            });
        }
    }

    /// The share of common lines in percent; 100 only for identical content.
    fn similarity(&self, before: &Entry, after: &Entry) -> usize {
        if before.blob == after.blob {
            return 100;
        }
        let (old, new) = (self.lines(Some(before)), self.lines(Some(after)));
        let longer = old.len().max(new.len());
        let (added, _) = line_counts(&old, &new);
        let common = new.len() - added;
        (common * 100).checked_div(longer).unwrap_or(0).min(99)
    }

    fn change(&self, status: Status, old: Option<(&str, &Entry)>, new: Option<(&str, &Entry)>) -> Change {
        let lines = |side: Option<(&str, &Entry)>| self.lines(side.map(|(_, entry)| entry));
        let (lines_added, lines_removed) = line_counts(&lines(old), &lines(new));
        let path = |side: Option<(&str, &Entry)>| side.map(|(path, _)| path.to_owned());
        Change { status, old: path(old), new: path(new), lines_added, lines_removed }
    }

    fn lines(&self, entry: Option<&Entry>) -> Vec<&[u8]> {
        let Some(content) = entry.and_then(|entry| self.blob(&entry.blob)) else { return Vec::new() };
        content.split_inclusive(|byte| *byte == b'\n').collect()
    }
}

/// How many lines were added and removed.
fn line_counts(old: &[&[u8]], new: &[&[u8]]) -> (usize, usize) {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[start..], &new[start..]);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
    let common = if old.len().saturating_mul(new.len()) <= CAREFUL_LINES {
        longest_common(old, new)
    } else {
        common_lines(old, new)
    };
    (new.len() - common, old.len() - common)
}

/// The length of the longest common subsequence, row by row.
fn longest_common(old: &[&[u8]], new: &[&[u8]]) -> usize {
    let mut row = vec![0; new.len() + 1];
    for a in old {
        let mut diagonal = 0;
        for (at, b) in new.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if a == b { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// How many lines both have, wherever they stand.
fn common_lines(old: &[&[u8]], new: &[&[u8]]) -> usize {
    let mut counts = std::collections::HashMap::new();
    for line in old {
        *counts.entry(line).or_insert(0usize) += 1;
    }
    new.iter()
        .filter(|line| {
            counts.get_mut(*line).is_some_and(|left| left.checked_sub(1).map(|less| *left = less).is_some())
        })
        .count()
}
