//! What `commit_files` is asked for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Problem;

/// One atomic commit of many files to a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// `workspace/repository`.
    pub repository: String,
    /// The branch. One that does not exist begins at the main branch's tip; none is the main branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit message. A trailer `Bucketwheel-Call: {id}` is added to it.
    pub message: String,
    /// `Name <mail>`; without it Bitbucket names the credential's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Commit only if this full hash is the branch's tip. Without it the commit goes on top of whatever the
    /// tip is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_parent: Option<String>,
    /// What to change.
    pub files: Vec<File>,
}

/// One file to write or to delete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The path from the repository's root.
    pub path: String,
    /// The new content as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The new content in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Whether it can be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// Delete it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete: bool,
}

impl File {
    /// The new content; none if the file is to be deleted.
    ///
    /// # Errors
    /// If it is not said what to do, or in two ways.
    pub fn content(&self) -> Result<Option<Vec<u8>>, Problem> {
        let bad =
            |cause: String| Err(Problem::new("bad_file", cause, "Give one of text, base64 and delete."));
        match (&self.text, &self.base64, self.delete) {
            (Some(text), None, false) => Ok(Some(text.clone().into_bytes())),
            (None, Some(text), false) => match STANDARD.decode(text) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(_) => bad(format!("The content of {} is not base64.", self.path)),
            },
            (None, None, true) => Ok(None),
            _ => bad(format!("It is unclear what becomes of {}.", self.path)),
        }
    }
}

impl Commit {
    /// Checks what can be checked before anything is sent.
    ///
    /// # Errors
    /// If there is nothing to do, or a file is named twice or unclearly.
    pub fn check(&self) -> Result<(), Problem> {
        let mut paths: Vec<_> = self.files.iter().map(|file| file.path.as_str()).collect();
        paths.sort_unstable();
        let bad = |cause: &str| Err(Problem::new("bad_commit", cause, "Correct the call."));
        if paths.is_empty() {
            return bad("There are no files to commit.");
        }
        if paths.windows(2).any(|two| two[0] == two[1]) {
            return bad("A file is named twice.");
        }
        if paths.iter().any(|path| path.is_empty() || path.starts_with('/')) {
            return bad("Paths begin at the root, without a slash.");
        }
        self.files.iter().try_for_each(|file| file.content().map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclear_commits_are_refused_before_anything_is_sent() {
        let file = |path: &str| File { path: path.into(), text: Some("x".into()), ..File::default() };
        let check = |files: Vec<File>| {
            let commit = Commit {
                repository: "w/r".into(),
                branch: None,
                message: "m".into(),
                author: None,
                expected_parent: None,
                files,
            };
            commit.check().err().map(|problem| problem.code)
        };
        assert_eq!(check(vec![file("a"), file("b")]), None);
        assert_eq!(check(vec![]).as_deref(), Some("bad_commit"));
        assert_eq!(check(vec![file("a"), file("a")]).as_deref(), Some("bad_commit"));
        assert_eq!(check(vec![file("/a")]).as_deref(), Some("bad_commit"));
        assert_eq!(check(vec![File { delete: true, ..file("a") }]).as_deref(), Some("bad_file"));
        assert_eq!(check(vec![File { text: None, ..file("a") }]).as_deref(), Some("bad_file"));
    }
}
