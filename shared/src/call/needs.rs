//! What an action asks of Bitbucket, so that one which cannot succeed is refused before it begins.

use super::{Action, ApiPath, Merge, Method};

impl Action {
    /// Requests that it cannot do without, as far as its own words tell. It is refused before the first of
    /// them where one is known to fail.
    pub fn requests(&self) -> Vec<(Method, ApiPath)> {
        use Method::{Get, Post};
        let requests = match self {
            Action::EnsureHook { repository, .. } => {
                let of = if repository.contains('/') { "repositories" } else { "workspaces" };
                vec![(Post, format!("{of}/{repository}/hooks"))]
            }
            Action::CommitFiles(commit) => {
                let repository = format!("repositories/{}", commit.repository);
                vec![(Post, format!("{repository}/src")), (Get, repository)]
            }
            Action::MergePullRequest(Merge { repository, id, .. }) => {
                let pull = format!("repositories/{repository}/pullrequests/{id}");
                vec![(Post, format!("{pull}/merge")), (Get, pull)]
            }
            // What these ask for is in the table, or they do what is left even where Bitbucket refuses.
            Action::DeleteCredential
            | Action::DetectMissed {}
            | Action::RefreshRepositories {}
            | Action::RepairHooks {}
            | Action::RotateHook {}
            | Action::RemoveHooks { .. } => Vec::new(),
        };
        // A path that is none is refused by the action itself.
        requests
            .into_iter()
            .filter_map(|(method, path)| Some((method, ApiPath::parse(&path).ok()?)))
            .collect()
    }
}
