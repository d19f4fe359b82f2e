//! The body of each kind of event. A missing part is an empty one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::nouns::{
    Account, Changed, Changes, Comment, Commit, CommitStatus, Issue, Project, PullRequest, Repository,
    Verdict,
};

/// `repo:push`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RepositoryPush {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// What was pushed.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub push: Changes,
}

/// `repo:fork`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RepositoryForked {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// The new repository.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub fork: Repository,
}

/// `repo:updated`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RepositoryUpdated {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// By attribute.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub changes: BTreeMap<String, Changed>,
}

/// `repo:transfer`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RepositoryTransferred {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// Who had it before.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub previous_owner: Account,
}

/// `repo:created`, `repo:deleted` and `repo:imported`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RepositoryEvent {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
}

/// `repo:commit_comment_created`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CommitCommented {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// The comment.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub comment: Comment,
    /// What it is about.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub commit: Commit,
}

/// `repo:commit_status_created` and `repo:commit_status_updated`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CommitStatusEvent {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// The status.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub commit_status: CommitStatus,
}

/// `pullrequest:created`, `updated`, `push`, `fulfilled` and `rejected`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct PullRequestEvent {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// As it is now.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub pullrequest: PullRequest,
}

/// `pullrequest:approved` and `unapproved`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct PullRequestApproval {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// As it is now.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub pullrequest: PullRequest,
    /// Whose approval.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub approval: Verdict,
}

/// `pullrequest:changes_request_created` and `changes_request_removed`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct PullRequestChangesRequest {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// As it is now.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub pullrequest: PullRequest,
    /// Whose wish.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub changes_request: Verdict,
}

/// `pullrequest:comment_created`, `updated`, `deleted`, `resolved` and `reopened`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct PullRequestComment {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// As it is now.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub pullrequest: PullRequest,
    /// The comment.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub comment: Comment,
}

/// `project:updated`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ProjectUpdated {
    /// Who did it.
    pub actor: Option<Account>,
    /// As it is now.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub project: Project,
    /// By attribute.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub changes: BTreeMap<String, Changed>,
}

/// `issue:created`, `issue:updated` and `issue:comment_created`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct IssueEvent {
    /// Who did it.
    pub actor: Option<Account>,
    /// Where.
    pub repository: Option<Repository>,
    /// As it is now.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub issue: Issue,
    /// If one was written.
    pub comment: Option<Comment>,
    /// By attribute.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub changes: BTreeMap<String, Changed>,
}
