//! What Bitbucket's events speak of (<https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/>).
//! Every field may be missing, and fields that are not here are left alone: events differ by their age and
//! by the settings of a repository. This file is long because it is a list.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Who did it: a person, a team, an app's user, or nobody in particular. An anonymous one has neither `uuid`
/// nor `account_id`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Account {
    /// Bitbucket's word for what it is.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// With braces.
    pub uuid: Option<String>,
    /// The Atlassian account.
    pub account_id: Option<String>,
    /// For people.
    pub display_name: Option<String>,
    /// Not unique, and may change.
    pub nickname: Option<String>,
    /// Of a team or a workspace.
    pub username: Option<String>,
}

/// A workspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Workspace {
    /// With braces.
    pub uuid: Option<String>,
    /// As in addresses; may change.
    pub slug: Option<String>,
    /// For people.
    pub name: Option<String>,
}

/// A project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Project {
    /// With braces.
    pub uuid: Option<String>,
    /// Such as `INFRA`.
    pub key: Option<String>,
    /// For people.
    pub name: Option<String>,
}

/// A repository. Key by `uuid`: names change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Repository {
    /// With braces.
    pub uuid: Option<String>,
    /// `workspace/slug`; there is no `slug` of its own in most events.
    pub full_name: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// Absent in events from before 2020.
    pub workspace: Option<Workspace>,
    /// Who owns it.
    pub owner: Option<Account>,
    /// The project that it is in.
    pub project: Option<Project>,
    /// Whether it is private.
    pub is_private: Option<bool>,
    /// `git`.
    pub scm: Option<String>,
}

/// Who wrote a commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Author {
    /// `Name <address>`, as git has it.
    pub raw: Option<String>,
    /// The account that this address belongs to.
    pub user: Option<Account>,
}

/// A commit. In a pull request the hash is a short one of 12 characters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Commit {
    /// Hexadecimal.
    pub hash: Option<String>,
    /// RFC 3339.
    pub date: Option<String>,
    /// The whole message.
    pub message: Option<String>,
    /// Who wrote it.
    pub author: Option<Author>,
    /// With their hashes.
    #[serde(deserialize_with = "or_default")]
    pub parents: Vec<Commit>,
}

/// A branch or a tag at one side of a change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Ref {
    /// Bitbucket's word for what it is.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Without `refs/heads/` or `refs/tags/`.
    pub name: Option<String>,
    /// What it points to.
    pub target: Option<Commit>,
    /// Of an annotated tag.
    pub message: Option<String>,
    /// Of an annotated tag.
    pub date: Option<String>,
    /// Of an annotated tag.
    pub tagger: Option<Author>,
}

/// What a push did to one branch or tag.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Change {
    /// Before; absent where it is new.
    pub old: Option<Ref>,
    /// After; absent where it was deleted.
    pub new: Option<Ref>,
    /// Whether it is new.
    pub created: Option<bool>,
    /// Whether it was deleted.
    pub closed: Option<bool>,
    /// Whether history was rewritten.
    pub forced: Option<bool>,
    /// Whether there are more commits than the five listed.
    pub truncated: Option<bool>,
    /// The newest five.
    #[serde(deserialize_with = "or_default")]
    pub commits: Vec<Commit>,
}

/// What a push did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Changes {
    /// One per branch or tag; may be empty.
    #[serde(deserialize_with = "or_default")]
    pub changes: Vec<Change>,
}

/// A branch's name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Branch {
    /// Without `refs/heads/`.
    pub name: Option<String>,
}

/// One side of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Side {
    /// Its branch.
    pub branch: Option<Branch>,
    /// Its newest commit; the hash is short.
    pub commit: Option<Commit>,
    /// Absent where the fork is gone.
    pub repository: Option<Repository>,
}

/// Somebody who takes part in a pull request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Participant {
    /// Who.
    pub user: Option<Account>,
    /// `PARTICIPANT` or `REVIEWER`.
    pub role: Option<String>,
    /// Whether they approve.
    pub approved: Option<bool>,
    /// `approved`, `changes_requested`, or none.
    pub state: Option<String>,
}

/// A pull request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct PullRequest {
    /// Its number in the repository.
    pub id: Option<u64>,
    /// Its title.
    pub title: Option<String>,
    /// Its text.
    pub description: Option<String>,
    /// `OPEN`, `MERGED`, `DECLINED` or `SUPERSEDED`.
    pub state: Option<String>,
    /// Whether it is a draft.
    pub draft: Option<bool>,
    /// Who opened it.
    pub author: Option<Account>,
    /// Where it comes from.
    pub source: Option<Side>,
    /// Where it goes.
    pub destination: Option<Side>,
    /// Once it is merged.
    pub merge_commit: Option<Commit>,
    /// Whether the source branch goes with the merge.
    pub close_source_branch: Option<bool>,
    /// Who merged or declined it.
    pub closed_by: Option<Account>,
    /// Why it was declined.
    pub reason: Option<String>,
    /// Who is asked.
    #[serde(deserialize_with = "or_default")]
    pub reviewers: Vec<Account>,
    /// Who takes part.
    #[serde(deserialize_with = "or_default")]
    pub participants: Vec<Participant>,
    /// RFC 3339.
    pub created_on: Option<String>,
    /// RFC 3339.
    pub updated_on: Option<String>,
}

/// An approval, or a wish for changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Verdict {
    /// RFC 3339.
    pub date: Option<String>,
    /// Whose.
    pub user: Option<Account>,
}

/// A text in several forms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Content {
    /// As it was written.
    pub raw: Option<String>,
    /// In which language.
    pub markup: Option<String>,
    /// As it is shown.
    pub html: Option<String>,
}

/// Where in a file a comment stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Inline {
    /// The file.
    pub path: Option<String>,
    /// The line before the change.
    pub from: Option<u64>,
    /// The line after the change.
    pub to: Option<u64>,
}

/// A comment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Comment {
    /// Its number.
    pub id: Option<u64>,
    /// What it says.
    pub content: Option<Content>,
    /// Whose.
    pub user: Option<Account>,
    /// Where it stands, if not below the whole.
    pub inline: Option<Inline>,
    /// Whether it is gone.
    pub deleted: Option<bool>,
    /// RFC 3339.
    pub created_on: Option<String>,
    /// RFC 3339.
    pub updated_on: Option<String>,
}

/// What a build says of a commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CommitStatus {
    /// Bitbucket's word for what it is.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Names the status on its commit.
    pub key: Option<String>,
    /// `SUCCESSFUL`, `FAILED`, `INPROGRESS` or `STOPPED`.
    pub state: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where more is said.
    pub url: Option<String>,
    /// The branch or tag that was built.
    pub refname: Option<String>,
    /// Which commit.
    pub commit: Option<Commit>,
    /// RFC 3339.
    pub created_on: Option<String>,
    /// RFC 3339.
    pub updated_on: Option<String>,
}

/// An issue. Bitbucket has sent none since 2026-08-20.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Issue {
    /// Its number in the repository.
    pub id: Option<u64>,
    /// Its title.
    pub title: Option<String>,
    /// What it says.
    pub content: Option<Content>,
    /// Such as `new`.
    pub state: Option<String>,
    /// Such as `bug`.
    pub kind: Option<String>,
    /// Such as `major`.
    pub priority: Option<String>,
    /// Who wrote it.
    pub reporter: Option<Account>,
    /// Whose it is.
    pub assignee: Option<Account>,
}

/// The two sides of a changed attribute, in whatever form it has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Changed {
    /// Before.
    pub old: Option<Value>,
    /// After.
    pub new: Option<Value>,
}

/// `null` is what is missing.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}
