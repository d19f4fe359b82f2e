//! What happens in repositories, as the bodies of webhooks
//! (<https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/>).

use serde_json::{Value, json};

use crate::{
    git::Hash,
    world::{Actor, Event, PullRequestState, Repository, Subject, World},
};

/// All event keys that can be subscribed to.
pub(crate) const KEYS: [&str; 29] = [
    "repo:push",
    "repo:fork",
    "repo:updated",
    "repo:transfer",
    "repo:created",
    "repo:deleted",
    "repo:imported",
    "repo:commit_comment_created",
    "repo:commit_status_created",
    "repo:commit_status_updated",
    "pullrequest:created",
    "pullrequest:updated",
    "pullrequest:push",
    "pullrequest:approved",
    "pullrequest:unapproved",
    "pullrequest:changes_request_created",
    "pullrequest:changes_request_removed",
    "pullrequest:fulfilled",
    "pullrequest:rejected",
    "pullrequest:comment_created",
    "pullrequest:comment_updated",
    "pullrequest:comment_deleted",
    "pullrequest:comment_resolved",
    "pullrequest:comment_reopened",
    "pipeline:span_created",
    "project:updated",
    "issue:created",
    "issue:updated",
    "issue:comment_created",
];

/// How many commits a push lists.
const LISTED: usize = 5;

/// The category and label of an event key.
pub(crate) fn words(key: &str) -> (&'static str, String) {
    let (subject, what) = key.split_once(':').unwrap_or((key, ""));
    let category = match subject {
        "repo" => "Repository",
        "pullrequest" => "Pull Request",
        "pipeline" => "Pipeline",
        "project" => "Project",
        _ => "Issue",
    };
    let mut label = what.replace('_', " ");
    if let Some(first) = label.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    (category, label)
}

/// A branch or tag that is made, moved or deleted.
#[derive(Debug, Clone)]
pub(crate) struct RefMove {
    pub(crate) name: String,
    pub(crate) is_tag: bool,
    pub(crate) old: Option<Hash>,
    pub(crate) new: Option<Hash>,
}

impl World {
    /// Puts an event about a repository into the outbox.
    pub(crate) fn emit(&mut self, at: usize, actor: &Actor, key: &str, extra: Value) {
        let repository = &self.repositories[at];
        let mut body = json!({
            "actor": self.actor_json(actor),
            "repository": self.repository_event_json(repository),
        });
        if let (Some(body), Value::Object(extra)) = (body.as_object_mut(), extra) {
            body.extend(extra);
        }
        self.outbox.push(Event {
            key: key.to_owned(),
            workspace: repository.workspace.clone(),
            repository: Some(repository.uuid.clone()),
            body: body.to_string().into(),
        });
    }

    /// Puts an event about a pull request into the outbox.
    pub(crate) fn emit_pull_request(
        &mut self,
        at: usize,
        pull: usize,
        actor: &Actor,
        key: &str,
        mut extra: Value,
    ) {
        let repository = &self.repositories[at];
        extra["pullrequest"] = self.pull_request_json(repository, &repository.pull_requests[pull]);
        self.emit(at, actor, key, extra);
    }

    /// Moves refs in one push, and tells of it. Open pull requests follow their source.
    pub(crate) fn push(&mut self, at: usize, actor: &Actor, moves: &[RefMove], now: jiff::Timestamp) {
        let changes: Vec<Value> =
            moves.iter().map(|moved| self.change_json(&self.repositories[at], moved)).collect();
        let repository = &mut self.repositories[at];
        repository.updated = now;
        for moved in moves {
            let git = &mut repository.git;
            let refs = if moved.is_tag { &mut git.tags } else { &mut git.branches };
            match &moved.new {
                Some(hash) => refs.insert(moved.name.clone(), hash.clone()),
                None => refs.remove(&moved.name),
            };
        }
        self.emit(at, actor, "repo:push", json!({"push": {"changes": changes}}));
        for moved in moves.iter().filter(|moved| !moved.is_tag) {
            self.follow(at, actor, moved, now);
        }
    }

    fn follow(&mut self, at: usize, actor: &Actor, moved: &RefMove, now: jiff::Timestamp) {
        let Some(new) = &moved.new else { return };
        for pull in 0..self.repositories[at].pull_requests.len() {
            let target = &mut self.repositories[at].pull_requests[pull];
            if target.state != PullRequestState::Open {
                continue;
            }
            if target.destination == moved.name {
                target.destination_hash.clone_from(new);
            }
            if target.source == moved.name {
                target.source_hash.clone_from(new);
                target.updated = now;
                self.emit_pull_request(at, pull, actor, "pullrequest:updated", json!({}));
            }
        }
    }

    /// One entry of `push.changes`, before the ref moves.
    fn change_json(&self, repository: &Repository, moved: &RefMove) -> Value {
        let git = &repository.git;
        let side = |hash: &Option<Hash>| {
            let commit = hash.as_ref().and_then(|hash| git.commit(hash));
            commit.map_or(Value::Null, |commit| {
                let target = self.commit_event_json(repository, commit);
                self.ref_json(repository, &moved.name, moved.is_tag, target)
            })
        };
        let mut change = json!({
            "old": side(&moved.old),
            "new": side(&moved.new),
            "created": moved.old.is_none(),
            "closed": moved.new.is_none(),
            "forced": false,
            "truncated": false,
        });
        let Some(new) = &moved.new else { return change };
        // What the repository has already is not listed again for a new ref.
        let hidden: Vec<Hash> = match &moved.old {
            Some(old) => vec![old.clone()],
            None => git.branches.values().chain(git.tags.values()).cloned().collect(),
        };
        let log = git.log(std::slice::from_ref(new), &hidden);
        let listed = log.iter().take(LISTED).map(|commit| self.commit_event_json(repository, commit));
        change["commits"] = listed.collect();
        change["truncated"] = json!(log.len() > LISTED);
        change["forced"] = json!(moved.old.as_ref().is_some_and(|old| !git.is_ancestor(old, new)));
        let api = format!("{}/repositories/{}", self.api(), repository.full_name());
        let html = format!("{}/{}", self.base, repository.full_name());
        change["links"] = match &moved.old {
            Some(old) => json!({
                "commits": {"href": format!("{api}/commits?include={new}&exclude={old}")},
                "html": {"href": format!("{html}/branches/compare/{new}..{old}")},
                "diff": {"href": format!("{api}/diff/{new}..{old}")},
            }),
            None => json!({
                "commits": {"href": format!("{api}/commits?include={new}")},
                "html": {"href": format!("{html}/commits/branch/{}", moved.name)},
            }),
        };
        change
    }

    /// Whether this delivery is to be lost; counts it.
    pub(crate) fn loses(&mut self, event: &Event) -> bool {
        let of = |repository: &&Repository| event.repository.as_ref() == Some(&repository.uuid);
        let name = self.repositories.iter().find(of).map(Repository::full_name);
        let left = name.and_then(|name| self.behaviour.lose_deliveries.get_mut(&name));
        let Some(left) = left.filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    }

    /// The indexes of the active hooks that want an event.
    pub(crate) fn listeners(&self, event: &Event) -> Vec<usize> {
        let wants = |hook: &crate::world::Hook| {
            let subject = match &hook.subject {
                Subject::Repository(uuid) => event.repository.as_ref() == Some(uuid),
                Subject::Workspace(uuid) => event.workspace == *uuid,
            };
            hook.active && subject && hook.events.contains(&event.key)
        };
        (0..self.hooks.len()).filter(|at| wants(&self.hooks[*at])).collect()
    }
}

impl crate::api::Call<'_> {
    /// An event by the caller.
    pub(crate) fn emit(&mut self, at: usize, key: &str, extra: Value) {
        if let Some(caller) = self.caller {
            self.world.emit(at, &caller.actor, key, extra);
        }
    }

    /// An event about a pull request by the caller.
    pub(crate) fn emit_pull_request(&mut self, at: usize, pull: usize, key: &str, extra: Value) {
        if let Some(caller) = self.caller {
            self.world.emit_pull_request(at, pull, &caller.actor, key, extra);
        }
    }

    /// A push of one ref by the caller.
    pub(crate) fn move_ref(&mut self, at: usize, moved: RefMove) {
        if let Some(caller) = self.caller {
            self.world.push(at, &caller.actor, &[moved], self.now);
        }
    }
}
