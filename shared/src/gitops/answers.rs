//! What Bitbucket answered, as far as it matters here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Commit, Content};
use crate::call::{Outcome, Problem, State};

/// One call's outcome, with its pages if it has some.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The verdict.
    pub outcome: Outcome,
    /// The pages of a paginated call.
    pub pages: Vec<Value>,
}

/// Where a branch stands.
#[derive(Debug, PartialEq)]
pub(super) struct Stand {
    /// The tip; none if there is no such branch.
    pub(super) tip: Option<Commit>,
    /// The repository's uuid, where the answer tells it.
    pub(super) repository: Option<String>,
}

impl Answered {
    /// What came, or why nothing did.
    pub(super) fn result(&self) -> Result<&Value, Problem> {
        match (&self.outcome.state, &self.outcome.error) {
            (State::Succeeded, _) => Ok(self.outcome.body.as_ref().unwrap_or(&Value::Null)),
            (_, Some(problem)) => Err(problem.clone()),
            (state, None) => {
                let cause = format!("The call ended as {state:?}.");
                Err(Problem::new("call_ended", cause, "It is tried again."))
            }
        }
    }

    /// Whether Bitbucket does not know what was asked for.
    pub(super) fn is_missing(&self) -> bool {
        self.outcome.status == Some(404)
    }

    /// The values of a list. An answer without any list does not say that there are none.
    fn list(&self) -> Result<&[Value], Problem> {
        let values = self.result()?["values"].as_array().map(Vec::as_slice);
        values.ok_or_else(|| Problem::new("bad_answer", "The answer is no list.", "It is asked again."))
    }

    /// The first branch of a list.
    pub(super) fn stand(&self) -> Result<Stand, Problem> {
        let found = self.list()?.first().unwrap_or(&Value::Null);
        let tip = commit(&found["target"]);
        let repository = found["target"]["repository"]["uuid"].as_str().map(str::to_owned);
        Ok(Stand { tip, repository })
    }

    /// The commits of a list, the newest first.
    pub(super) fn commits(&self) -> Result<Vec<Commit>, Problem> {
        Ok(self.list()?.iter().filter_map(commit).collect())
    }

    /// The paths of a diffstat: those that differ, and whether they are there now. A rename is a path that
    /// is gone and one that is there, so whether Bitbucket finds renames does not matter.
    pub(super) fn differing(&self) -> Vec<(String, bool)> {
        let mut paths = Vec::new();
        for value in self.values() {
            let (old, new) = (value["old"]["path"].as_str(), value["new"]["path"].as_str());
            paths.extend(old.filter(|old| Some(*old) != new).map(|old| (old.to_owned(), false)));
            paths.extend(new.map(|new| (new.to_owned(), true)));
        }
        paths
    }

    /// The files of a listing.
    pub(super) fn listed(&self) -> Vec<String> {
        let files = self.values().filter(|value| value["type"] == "commit_file");
        files.filter_map(|file| file["path"].as_str().map(str::to_owned)).collect()
    }

    /// A file's content.
    pub(super) fn content(&self, last_try: bool) -> Result<Content, Problem> {
        match self.result() {
            Ok(_) => {
                let encoded = self.outcome.body_base64.as_deref().unwrap_or_default();
                STANDARD.decode(encoded).map(Content::Bytes).map_err(|_| {
                    Problem::new("bad_answer", "The content is not base64.", "It is tried again.")
                })
            }
            Err(problem) if problem.code == "answer_too_large" => Ok(Content::Omitted("too_large")),
            // Some entries of a tree have no content: a submodule, a file kept elsewhere.
            Err(problem) if last_try && is_about_the_file(&problem) => Ok(Content::Omitted("unreadable")),
            Err(problem) => Err(problem),
        }
    }

    fn values(&self) -> impl Iterator<Item = &Value> {
        self.pages.iter().flat_map(|page| page["values"].as_array().into_iter().flatten())
    }
}

fn is_about_the_file(problem: &Problem) -> bool {
    ["not_found", "refused", "redirected", "bad_path"].contains(&problem.code.as_str())
}

fn commit(value: &Value) -> Option<Commit> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some(Commit {
        hash: value["hash"].as_str()?.to_owned(),
        author: text(&value["author"]["raw"]),
        account: value["author"]["user"]["display_name"].as_str().map(str::to_owned),
        date: text(&value["date"]),
        message: text(&value["message"]).lines().next().unwrap_or_default().to_owned(),
    })
}
