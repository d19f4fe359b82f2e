//! The store against git itself, and its own rules.

use std::slice;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn commit(git: &mut Git, parents: &[&Hash], files: &[(&str, Option<&str>)], second: i64) -> Hash {
    let text = |text: &str| (Bytes::from(text.to_owned()), Mode::File);
    let edits: Edits = files.iter().map(|(path, content)| ((*path).to_owned(), content.map(text))).collect();
    let before = git.tree_of(parents.first().map(|hash| hash.as_str()));
    let tree = git.edited(&before, &edits).unwrap();
    let signature = Signature {
        author: "Ada <ada@example.com>".into(),
        date: at(second),
        message: format!("at {second}\n"),
    };
    git.write(Arc::new(tree), parents.iter().map(|hash| (*hash).clone()).collect(), signature)
}

#[test]
fn hashes_are_gits_own() {
    let mut git = Git::default();
    assert_eq!(git.store(Bytes::from_static(b"hello\n")), "ce013625030ba8dba906f756967f9e9ca394464a");
    assert_eq!(object::tree(&Tree::new()), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    // `git init; mkdir a; echo hello > a/b; echo hello > a.txt; git add .; git write-tree`
    let edits: Edits = ["a/b", "a.txt"]
        .map(|path| (path.to_owned(), Some((Bytes::from_static(b"hello\n"), Mode::File))))
        .into();
    let tree = git.edited(&Tree::new(), &edits).unwrap();
    assert_eq!(object::tree(&tree), TREE_WITH_A_FOLDER);
}

const TREE_WITH_A_FOLDER: &str = "165480a8ee00d9b2e7f603ad75e7357811d78720";

#[test]
fn a_log_shows_children_before_parents_and_hides_what_is_excluded() {
    let mut git = Git::default();
    let root = commit(&mut git, &[], &[("a", Some("1"))], 10);
    let left = commit(&mut git, &[&root], &[("a", Some("2"))], 20);
    let right = commit(&mut git, &[&root], &[("b", Some("1"))], 5);
    let top = commit(&mut git, &[&left, &right], &[("c", Some("1"))], 30);
    let hashes = |log: Vec<&Commit>| log.into_iter().map(|commit| commit.hash.clone()).collect::<Vec<_>>();
    assert_eq!(hashes(git.log(slice::from_ref(&top), &[])), [&top, &left, &right, &root].map(Clone::clone));
    assert_eq!(
        hashes(git.log(slice::from_ref(&top), slice::from_ref(&left))),
        [&top, &right].map(Clone::clone)
    );
    assert_eq!(git.merge_base(&left, &right).unwrap().hash, root);
    assert!(git.is_ancestor(&root, &top) && !git.is_ancestor(&left, &right));
}

#[test]
fn a_difference_finds_renames_and_counts_lines() {
    let mut git = Git::default();
    let one = commit(
        &mut git,
        &[],
        &[("old.md", Some("a\nb\nc\n")), ("x", Some("1\n2\n")), ("gone", Some("z\n"))],
        1,
    );
    let two = commit(
        &mut git,
        &[&one],
        &[("old.md", None), ("new.md", Some("a\nb\nd\n")), ("x", Some("1\n3\n4\n")), ("gone", None)],
        2,
    );
    let changes = git.diff(&git.tree_of(Some(&one)), &git.tree_of(Some(&two)), true);
    let seen: Vec<_> = changes
        .iter()
        .map(|change| (change.status, change.new.as_deref(), change.lines_added, change.lines_removed))
        .collect();
    assert_eq!(
        seen,
        [
            (Status::Removed, None, 0, 1),
            (Status::Renamed, Some("new.md"), 1, 1),
            (Status::Modified, Some("x"), 2, 1),
        ]
    );
}

#[test]
fn a_merge_joins_changes_of_different_paths_and_refuses_the_same_path() {
    let mut git = Git::default();
    let root = commit(&mut git, &[], &[("a", Some("1")), ("b", Some("1"))], 1);
    let left = commit(&mut git, &[&root], &[("a", Some("2"))], 2);
    let right = commit(&mut git, &[&root], &[("b", Some("2"))], 3);
    let clash = commit(&mut git, &[&root], &[("a", Some("3"))], 4);
    let signature = Signature { author: "A <a@b>".into(), date: at(5), message: "Merge\n".into() };
    let merged = git.merge(&right, &left, Strategy::MergeCommit, signature.clone()).unwrap();
    assert_eq!(git.commit(&merged).unwrap().parents, [left.clone(), right.clone()]);
    assert_eq!(git.commit(&merged).unwrap().tree["a"], git.commit(&left).unwrap().tree["a"]);
    assert_eq!(
        git.merge(&clash, &left, Strategy::Squash, signature.clone()),
        Err(MergeFailure::Conflict(vec!["a".into()]))
    );
    assert_eq!(
        git.merge(&right, &left, Strategy::FastForward, signature.clone()),
        Err(MergeFailure::NotFastForward)
    );
    assert_eq!(git.merge(&left, &root, Strategy::FastForward, signature.clone()), Ok(left.clone()));
    let rebased = git.merge(&right, &left, Strategy::RebaseFastForward, signature).unwrap();
    assert_eq!(git.commit(&rebased).unwrap().parents, [left]);
}

#[test]
fn a_short_hash_and_a_branch_with_slashes_are_found() {
    let mut git = Git::default();
    let hash = commit(&mut git, &[], &[("a", Some("1"))], 1);
    git.branches.insert("feature/x".into(), hash.clone());
    assert_eq!(git.resolve(&hash[..7]).unwrap().hash, hash);
    assert!(git.resolve(&hash[..6]).is_none());
    let path = ["feature", "x", "a"].map(str::to_owned);
    assert_eq!(git.resolve_prefix(&path).map(|(_, length)| length), Some(2));
}
