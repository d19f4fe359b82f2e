//! Actions that are one request: checked input in, the parts of Bitbucket's answer that last out.
//!
//! Each is a line of what it takes, and a line of the request that it becomes. This file is long because
//! it lists them all.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::operations::no_issue_tracker;
use super::{Method, Problem, Request};

/// An action that is one request. `repository` is `workspace/repository`; an `id` is a pull request's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields have Bitbucket's names and meaning")]
pub enum Single {
    /// The workspaces of the credential's account.
    ListWorkspaces {},
    /// One workspace.
    GetWorkspace { workspace: String },

    /// A workspace's repositories.
    ListRepositories { workspace: String, q: Option<String> },
    /// One repository.
    GetRepository { repository: String },
    /// Makes a repository, private unless said otherwise.
    CreateRepository {
        repository: String,
        description: Option<String>,
        is_private: Option<bool>,
        project: Option<String>,
    },
    /// Changes a repository; a new name moves its address.
    UpdateRepository {
        repository: String,
        name: Option<String>,
        description: Option<String>,
        is_private: Option<bool>,
    },
    /// Deletes a repository with all that is in it.
    DeleteRepository { repository: String },

    /// A repository's branches.
    ListBranches { repository: String, q: Option<String> },
    /// One branch.
    GetBranch { repository: String, name: String },
    /// Makes a branch at a commit.
    CreateBranch { repository: String, name: String, target: String },
    /// Deletes a branch.
    DeleteBranch { repository: String, name: String },

    /// Pull requests, the open ones unless said otherwise.
    ListPullRequests { repository: String, state: Option<String>, q: Option<String> },
    /// One pull request with its state.
    GetPullRequest { repository: String, id: u64 },
    /// Opens a pull request. If one of the same branches is open, Bitbucket updates that one.
    CreatePullRequest {
        repository: String,
        title: String,
        source: String,
        destination: Option<String>,
        description: Option<String>,
        /// Uuids of accounts, with braces.
        reviewers: Option<Vec<String>>,
        close_source_branch: Option<bool>,
        draft: Option<bool>,
    },
    /// Changes an open pull request; `reviewers` replaces all of them.
    UpdatePullRequest {
        repository: String,
        id: u64,
        title: Option<String>,
        destination: Option<String>,
        description: Option<String>,
        /// Uuids of accounts, with braces.
        reviewers: Option<Vec<String>>,
    },
    /// Approves a pull request.
    ApprovePullRequest { repository: String, id: u64 },
    /// Takes the approval back.
    UnapprovePullRequest { repository: String, id: u64 },
    /// Asks for changes to a pull request.
    RequestChanges { repository: String, id: u64 },
    /// Declines a pull request.
    DeclinePullRequest { repository: String, id: u64 },
    /// Comments on a pull request: in general, on another comment, or on a line of a file.
    CommentPullRequest {
        repository: String,
        id: u64,
        text: String,
        parent: Option<u64>,
        path: Option<String>,
        line: Option<u64>,
    },

    /// A commit's build statuses.
    ListBuildStatuses { repository: String, commit: String },
    /// Writes a build status; the same key on the same commit overwrites.
    SetBuildStatus {
        repository: String,
        commit: String,
        /// At most 40 characters.
        key: String,
        /// `SUCCESSFUL`, `FAILED`, `INPROGRESS` or `STOPPED`.
        state: String,
        url: String,
        name: Option<String>,
        description: Option<String>,
        refname: Option<String>,
    },

    /// A repository's pipelines, the newest first.
    ListPipelines { repository: String },
    /// One pipeline with its state.
    GetPipeline { repository: String, pipeline: String },
    /// Starts a branch's pipeline, or one of its custom pipelines.
    RunPipeline {
        repository: String,
        branch: String,
        custom: Option<String>,
        variables: Option<Vec<Variable>>,
    },
    /// Stops a pipeline.
    StopPipeline { repository: String, pipeline: String },

    /// A repository's hooks.
    ListHooks { repository: String },
    /// Deletes a hook.
    DeleteHook { repository: String, hook: String },

    /// Refused: Bitbucket removed its issue tracker.
    CreateIssue(Removed),
    /// Refused: Bitbucket removed its issue tracker.
    UpdateIssue(Removed),
    /// Refused: Bitbucket removed its issue tracker.
    GetIssue(Removed),
    /// Refused: Bitbucket removed its issue tracker.
    ListIssues(Removed),
    /// Refused: Bitbucket removed its issue tracker.
    CommentIssue(Removed),
    /// Refused: Bitbucket removed its issue tracker.
    DeleteIssue(Removed),
}

/// Whatever an action that is gone was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Removed(Map<String, Value>);

/// A variable of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Whether Bitbucket hides the value.
    #[serde(default)]
    pub secured: bool,
}

impl Single {
    /// The request that it is.
    ///
    /// # Errors
    /// If Bitbucket would refuse the input, or has removed what it is about.
    pub fn request(&self) -> Result<Request, Problem> {
        use Method::{Delete, Get, Post, Put};
        let new = |method, path: String| Ok(Request::new(method, path));
        let repo = |repository: &str, rest: &str| format!("repositories/{repository}{rest}");
        let pull =
            |repository: &str, id: u64, rest: &str| repo(repository, &format!("/pullrequests/{id}{rest}"));
        let send = |method, path: String, body: Value| Ok(Request::new(method, path).with(given(body)));
        let query = |path: String, given: &[(&str, Option<&str>)]| {
            let mut request = Request::new(Get, path);
            let given =
                given.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.to_owned())));
            request.query.extend(given);
            Ok(request)
        };
        match self {
            Self::ListWorkspaces {} => new(Get, "user/workspaces".to_owned()),
            Self::GetWorkspace { workspace } => new(Get, format!("workspaces/{workspace}")),
            Self::ListRepositories { workspace, q } => {
                query(format!("repositories/{workspace}"), &[("pagelen", Some("100")), ("q", q.as_deref())])
            }
            Self::GetRepository { repository } => new(Get, repo(repository, "")),
            Self::CreateRepository { repository, description, is_private, project } => {
                let project = project.as_ref().map(|key| json!({ "key": key }));
                let private = is_private.unwrap_or(true);
                let body = json!({"scm": "git", "is_private": private, "description": description, "project": project});
                send(Post, repo(repository, ""), body)
            }
            Self::UpdateRepository { repository, name, description, is_private } => {
                let body = json!({"name": name, "description": description, "is_private": is_private});
                send(Put, repo(repository, ""), body)
            }
            Self::DeleteRepository { repository } => new(Delete, repo(repository, "")),
            Self::ListBranches { repository, q } => {
                query(repo(repository, "/refs/branches"), &[("pagelen", Some("100")), ("q", q.as_deref())])
            }
            Self::GetBranch { repository, name } => {
                new(Get, repo(repository, &format!("/refs/branches/{name}")))
            }
            Self::CreateBranch { repository, name, target } => send(
                Post,
                repo(repository, "/refs/branches"),
                json!({"name": name, "target": {"hash": target}}),
            ),
            Self::DeleteBranch { repository, name } => {
                new(Delete, repo(repository, &format!("/refs/branches/{name}")))
            }
            Self::ListPullRequests { repository, state, q } => {
                let given = [("pagelen", Some("50")), ("state", state.as_deref()), ("q", q.as_deref())];
                query(repo(repository, "/pullrequests"), &given)
            }
            Self::GetPullRequest { repository, id } => new(Get, pull(repository, *id, "")),
            Self::CreatePullRequest {
                repository,
                title,
                source,
                destination,
                description,
                reviewers,
                close_source_branch,
                draft,
            } => {
                let body = json!({
                    "title": title, "description": description, "draft": draft,
                    "source": {"branch": {"name": source}},
                    "destination": destination.as_deref().map(branch),
                    "reviewers": reviewers.as_deref().map(accounts),
                    "close_source_branch": close_source_branch,
                });
                send(Post, repo(repository, "/pullrequests"), body)
            }
            Self::UpdatePullRequest { repository, id, title, destination, description, reviewers } => {
                let body = json!({
                    "title": title, "description": description,
                    "destination": destination.as_deref().map(branch),
                    "reviewers": reviewers.as_deref().map(accounts),
                });
                send(Put, pull(repository, *id, ""), body)
            }
            Self::ApprovePullRequest { repository, id } => new(Post, pull(repository, *id, "/approve")),
            Self::UnapprovePullRequest { repository, id } => new(Delete, pull(repository, *id, "/approve")),
            Self::RequestChanges { repository, id } => new(Post, pull(repository, *id, "/request-changes")),
            Self::DeclinePullRequest { repository, id } => new(Post, pull(repository, *id, "/decline")),
            Self::CommentPullRequest { repository, id, text, parent, path, line } => {
                let inline = path.as_ref().map(|path| given(json!({"path": path, "to": line})));
                let parent = parent.map(|id| json!({ "id": id }));
                let body = json!({"content": {"raw": text}, "parent": parent, "inline": inline});
                send(Post, pull(repository, *id, "/comments"), body)
            }
            Self::ListBuildStatuses { repository, commit } => {
                new(Get, repo(repository, &format!("/commit/{commit}/statuses")))
            }
            Self::SetBuildStatus { repository, commit, key, state, url, name, description, refname } => {
                if key.is_empty() || key.chars().count() > 40 {
                    return bad(
                        "A build status's key has 1 to 40 characters.",
                        "Use a hash of a longer one.",
                    );
                }
                if !["SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"].contains(&state.as_str()) {
                    return bad("There is no such state.", "Use SUCCESSFUL, FAILED, INPROGRESS or STOPPED.");
                }
                let body = json!({
                    "key": key, "state": state, "url": url, "name": name, "description": description,
                    "refname": refname,
                });
                send(Post, repo(repository, &format!("/commit/{commit}/statuses/build")), body)
            }
            Self::ListPipelines { repository } => query(
                repo(repository, "/pipelines"),
                &[("sort", Some("-created_on")), ("pagelen", Some("100"))],
            ),
            Self::GetPipeline { repository, pipeline } => {
                new(Get, repo(repository, &format!("/pipelines/{pipeline}")))
            }
            Self::RunPipeline { repository, branch, custom, variables } => {
                let selector = custom.as_ref().map(|name| json!({"type": "custom", "pattern": name}));
                let target = json!({
                    "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": branch, "selector": selector,
                });
                send(
                    Post,
                    repo(repository, "/pipelines"),
                    json!({"target": given(target), "variables": variables}),
                )
            }
            Self::StopPipeline { repository, pipeline } => {
                new(Post, repo(repository, &format!("/pipelines/{pipeline}/stopPipeline")))
            }
            Self::ListHooks { repository } => query(repo(repository, "/hooks"), &[("pagelen", Some("100"))]),
            Self::DeleteHook { repository, hook } => new(Delete, repo(repository, &format!("/hooks/{hook}"))),
            Self::CreateIssue(_)
            | Self::UpdateIssue(_)
            | Self::GetIssue(_)
            | Self::ListIssues(_)
            | Self::CommentIssue(_)
            | Self::DeleteIssue(_) => Err(no_issue_tracker()),
        }
    }

    /// The parts of Bitbucket's answer that last, by steady names; of a list, those of each value.
    pub fn output(&self, answer: &Value) -> Value {
        let Some(shape) = self.shape() else { return answer.clone() };
        match answer.get("values").and_then(Value::as_array) {
            Some(values) => {
                let values: Vec<_> = values.iter().map(|value| shaped(shape, value)).collect();
                json!({"values": values, "more": answer.get("next").is_some()})
            }
            None => shaped(shape, answer),
        }
    }

    fn shape(&self) -> Option<Shape> {
        Some(match self {
            Self::ListWorkspaces { .. } => WORKSPACE_ACCESS,
            Self::GetWorkspace { .. } => WORKSPACE,
            Self::ListRepositories { .. }
            | Self::GetRepository { .. }
            | Self::CreateRepository { .. }
            | Self::UpdateRepository { .. } => REPOSITORY,
            Self::ListBranches { .. } | Self::GetBranch { .. } | Self::CreateBranch { .. } => BRANCH,
            Self::ListPullRequests { .. }
            | Self::GetPullRequest { .. }
            | Self::CreatePullRequest { .. }
            | Self::UpdatePullRequest { .. }
            | Self::DeclinePullRequest { .. } => PULL_REQUEST,
            Self::ApprovePullRequest { .. } | Self::RequestChanges { .. } => PARTICIPANT,
            Self::CommentPullRequest { .. } => COMMENT,
            Self::ListBuildStatuses { .. } | Self::SetBuildStatus { .. } => BUILD_STATUS,
            Self::ListPipelines { .. } | Self::GetPipeline { .. } | Self::RunPipeline { .. } => PIPELINE,
            Self::ListHooks { .. } => HOOK,
            _ => return None,
        })
    }
}

/// A field's name, and where Bitbucket's answer has it (RFC 6901).
type Shape = &'static [(&'static str, &'static str)];

const WORKSPACE: Shape = &[("uuid", "/uuid"), ("slug", "/slug"), ("name", "/name")];
const WORKSPACE_ACCESS: Shape =
    &[("uuid", "/workspace/uuid"), ("slug", "/workspace/slug"), ("administrator", "/administrator")];
const REPOSITORY: Shape = &[
    ("uuid", "/uuid"),
    ("full_name", "/full_name"),
    ("name", "/name"),
    ("description", "/description"),
    ("is_private", "/is_private"),
    ("main_branch", "/mainbranch/name"),
    ("url", "/links/html/href"),
    ("updated_on", "/updated_on"),
];
const BRANCH: Shape = &[("name", "/name"), ("commit", "/target/hash")];
/// A pull request as actions give it.
pub const PULL_REQUEST: Shape = &[
    ("id", "/id"),
    ("title", "/title"),
    ("state", "/state"),
    ("draft", "/draft"),
    ("source", "/source/branch/name"),
    ("destination", "/destination/branch/name"),
    ("source_commit", "/source/commit/hash"),
    ("merge_commit", "/merge_commit/hash"),
    ("author", "/author/uuid"),
    ("url", "/links/html/href"),
    ("created_on", "/created_on"),
    ("updated_on", "/updated_on"),
];
const PARTICIPANT: Shape = &[("user", "/user/uuid"), ("approved", "/approved"), ("state", "/state")];
const COMMENT: Shape = &[
    ("id", "/id"),
    ("text", "/content/raw"),
    ("parent", "/parent/id"),
    ("path", "/inline/path"),
    ("line", "/inline/to"),
    ("user", "/user/uuid"),
    ("url", "/links/html/href"),
];
const BUILD_STATUS: Shape = &[
    ("key", "/key"),
    ("state", "/state"),
    ("url", "/url"),
    ("name", "/name"),
    ("description", "/description"),
];
const PIPELINE: Shape = &[
    ("uuid", "/uuid"),
    ("build_number", "/build_number"),
    ("state", "/state/name"),
    ("result", "/state/result/name"),
    ("branch", "/target/ref_name"),
    ("commit", "/target/commit/hash"),
    ("created_on", "/created_on"),
    ("completed_on", "/completed_on"),
];
const HOOK: Shape = &[("uuid", "/uuid"), ("url", "/url"), ("active", "/active"), ("events", "/events")];

/// Those fields of an answer that are there.
pub fn shaped(shape: Shape, answer: &Value) -> Value {
    let found =
        shape.iter().filter_map(|(name, pointer)| Some(((*name).to_owned(), answer.pointer(pointer)?)));
    found
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name, value.clone()))
        .collect::<Map<_, _>>()
        .into()
}

/// An object without what was left out.
fn given(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    body
}

fn branch(name: &str) -> Value {
    json!({"branch": {"name": name}})
}

fn accounts(uuids: &[String]) -> Value {
    uuids.iter().map(|uuid| json!({ "uuid": uuid })).collect()
}

fn bad(cause: &str, resolution: &str) -> Result<Request, Problem> {
    Err(Problem::new("bad_call", cause, resolution))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(action: Value) -> Single {
        serde_json::from_value(action).expect("an action")
    }

    #[test]
    fn an_action_becomes_the_request_that_bitbucket_documents() {
        let action = single(json!({
            "action": "create_pull_request", "repository": "w/r", "title": "T", "source": "x",
            "reviewers": ["{a}"],
        }));
        let request = action.request().expect("a request");
        assert_eq!((request.method, request.path.as_str()), (Method::Post, "repositories/w/r/pullrequests"));
        let want = json!({"title": "T", "source": {"branch": {"name": "x"}}, "reviewers": [{"uuid": "{a}"}]});
        assert_eq!(request.body, Some(want));
    }

    #[test]
    fn input_that_cannot_be_right_is_refused() {
        let status = |key: &str, state: &str| {
            let action = json!({"action": "set_build_status", "repository": "w/r", "commit": "c", "key": key,
                                "state": state, "url": "https://example.com"});
            single(action).request().is_ok()
        };
        assert!(status("k", "FAILED") && !status(&"k".repeat(41), "FAILED") && !status("k", "GREEN"));
        let extra = json!({"action": "get_repository", "repository": "w/r", "extra": 1});
        assert!(serde_json::from_value::<Single>(extra).is_err());
    }

    #[test]
    fn issue_actions_say_what_to_use() {
        let action = single(json!({"action": "create_issue", "repository": "w/r", "title": "T"}));
        let problem = action.request().expect_err("gone");
        assert_eq!(problem.code, "removed");
        assert!(problem.resolution.contains("Jira"));
    }

    #[test]
    fn an_output_has_steady_names() {
        let action = single(json!({"action": "list_branches", "repository": "w/r"}));
        let answer =
            json!({"values": [{"name": "main", "target": {"hash": "1", "type": "commit"}}], "next": "…"});
        let want = json!({"values": [{"name": "main", "commit": "1"}], "more": true});
        assert_eq!(action.output(&answer), want);
    }
}
