//! Everything that exists in the sandbox: people, workspaces, repositories and what hangs on them.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Behaviour,
    clock::Clock,
    delivery::Delivery,
    git::{Git, Hash, Strategy},
    journal::Journal,
    limit::Limits,
    oauth::Ledger,
    settings::{AccessTokenSettings, ApiTokenSettings},
};

/// The whole state of a sandbox.
#[derive(Debug)]
pub(crate) struct World {
    /// The public origin, without a trailing slash.
    pub(crate) base: String,
    pub(crate) clock: Clock,
    pub(crate) behaviour: Behaviour,
    pub(crate) ledger: Ledger,
    pub(crate) limits: Limits,
    pub(crate) journal: Journal,
    pub(crate) users: Vec<User>,
    pub(crate) workspaces: Vec<Workspace>,
    pub(crate) projects: Vec<Project>,
    pub(crate) repositories: Vec<Repository>,
    pub(crate) api_tokens: Vec<ApiTokenSettings>,
    pub(crate) access_tokens: Vec<AccessTokenSettings>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) deliveries: VecDeque<Delivery>,
    /// Events that happened and wait to be delivered by the edge.
    pub(crate) outbox: Vec<Event>,
}

/// A person.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) uuid: String,
    pub(crate) display_name: String,
    pub(crate) nickname: String,
    pub(crate) email: String,
    pub(crate) created: Timestamp,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A person, by uuid.
    User(String),
    /// A consumer or an access token.
    App { uuid: String, name: String, kind: &'static str },
}

impl Actor {
    pub(crate) fn uuid(&self) -> &str {
        match self {
            Self::User(uuid) | Self::App { uuid, .. } => uuid,
        }
    }
}

/// A workspace and its people.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    pub(crate) uuid: String,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) members: Vec<(String, Role)>,
    pub(crate) created: Timestamp,
}

/// What a person may do in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Everything.
    Owner,
    /// Read and write repositories.
    Member,
}

/// A project: repositories of a workspace that belong together.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) uuid: String,
    /// The workspace's uuid.
    pub(crate) workspace: String,
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) created: Timestamp,
}

/// A repository.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) uuid: String,
    pub(crate) workspace: String,
    /// The project's uuid.
    pub(crate) project: String,
    pub(crate) workspace_slug: String,
    pub(crate) slug: String,
    /// Slugs it had before; they answer 301.
    pub(crate) former_slugs: Vec<String>,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) is_private: bool,
    pub(crate) main: Option<String>,
    pub(crate) git: Git,
    pub(crate) pull_requests: Vec<PullRequest>,
    pub(crate) statuses: Vec<BuildStatus>,
    pub(crate) merges: Vec<MergeTask>,
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Repository {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.workspace_slug, self.slug)
    }

    /// The tip of the main branch.
    pub(crate) fn main_tip(&self) -> Option<&Hash> {
        self.git.branches.get(self.main.as_ref()?)
    }
}

/// A run of a branch's pipeline. It stays as it is: only a stop ends it.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) uuid: String,
    pub(crate) number: usize,
    pub(crate) branch: String,
    pub(crate) commit: Hash,
    /// The name of a custom pipeline.
    pub(crate) custom: Option<String>,
    pub(crate) creator: Actor,
    pub(crate) created: Timestamp,
    pub(crate) stopped: Option<Timestamp>,
}

/// A pull request between two branches of one repository.
#[derive(Debug, Clone)]
pub(crate) struct PullRequest {
    pub(crate) id: u64,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) state: PullRequestState,
    pub(crate) draft: bool,
    pub(crate) source: String,
    pub(crate) source_hash: Hash,
    pub(crate) destination: String,
    pub(crate) destination_hash: Hash,
    pub(crate) author: Actor,
    pub(crate) reviewers: Vec<String>,
    pub(crate) participants: Vec<Participant>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) close_source_branch: bool,
    pub(crate) merge_commit: Option<Hash>,
    pub(crate) closed_by: Option<Actor>,
    pub(crate) reason: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// The state of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullRequestState {
    Open,
    Merged,
    Declined,
}

impl PullRequestState {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Merged => "MERGED",
            Self::Declined => "DECLINED",
        }
    }
}

/// Somebody who took part in a pull request.
#[derive(Debug, Clone)]
pub(crate) struct Participant {
    pub(crate) actor: Actor,
    /// `approved`, `changes_requested` or nothing.
    pub(crate) state: Option<&'static str>,
    pub(crate) on: Timestamp,
}

/// A comment on a pull request.
#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) actor: Actor,
    pub(crate) raw: String,
    pub(crate) parent: Option<u64>,
    pub(crate) inline: Option<Value>,
    pub(crate) deleted: bool,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// A build status of a commit.
#[derive(Debug, Clone)]
pub(crate) struct BuildStatus {
    pub(crate) commit: Hash,
    pub(crate) key: String,
    pub(crate) state: String,
    pub(crate) url: String,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) refname: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// A merge that was answered with 202.
#[derive(Debug, Clone)]
pub(crate) struct MergeTask {
    pub(crate) id: String,
    pub(crate) pull_request: u64,
    pub(crate) actor: Actor,
    pub(crate) wish: MergeWish,
    pub(crate) polls_left: u32,
    /// The error, if it was carried out and failed.
    pub(crate) outcome: Option<Result<(), crate::errors::Problem>>,
}

/// How a merge is wanted.
#[derive(Debug, Clone)]
pub(crate) struct MergeWish {
    pub(crate) strategy: Strategy,
    pub(crate) message: Option<String>,
    pub(crate) close_source_branch: Option<bool>,
}

/// A webhook subscription.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    /// With braces.
    pub(crate) uuid: String,
    pub(crate) subject: Subject,
    pub(crate) description: String,
    pub(crate) url: String,
    pub(crate) active: bool,
    pub(crate) events: Vec<String>,
    pub(crate) secret: Option<String>,
    pub(crate) created: Timestamp,
}

/// On what a hook is registered, by uuid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    Repository(String),
    Workspace(String),
}

/// Something that hooks may want to hear of.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) key: String,
    pub(crate) workspace: String,
    /// `None` reaches the hooks of the workspace only.
    pub(crate) repository: Option<String>,
    pub(crate) body: bytes::Bytes,
}

impl World {
    /// A person by uuid.
    pub(crate) fn user(&self, uuid: &str) -> Option<&User> {
        self.users.iter().find(|user| user.uuid == uuid)
    }

    /// A workspace by slug or uuid.
    pub(crate) fn workspace(&self, name: &str) -> Option<&Workspace> {
        self.workspaces.iter().find(|workspace| workspace.slug == name || workspace.uuid == name)
    }

    /// A project of a workspace, which is named by slug or uuid.
    pub(crate) fn project(&self, workspace: &str, key: &str) -> Option<&Project> {
        let workspace = &self.workspace(workspace)?.uuid;
        self.projects.iter().find(|project| project.workspace == *workspace && project.key == key)
    }

    /// The index of a repository by `workspace/slug`.
    pub(crate) fn repository_named(&self, full_name: &str) -> Option<usize> {
        self.repositories.iter().position(|repository| repository.full_name() == full_name)
    }
}
