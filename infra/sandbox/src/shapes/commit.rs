//! Commits, the refs that point at them, and their build statuses.

use serde_json::{Value, json};

use super::{link, rendered};
use crate::{
    clock::{written, written_seconds},
    git::Commit,
    world::{BuildStatus, Repository, World},
};

/// The strategies offered for merges into a branch.
const MERGE_STRATEGIES: [&str; 6] =
    ["merge_commit", "squash", "fast_forward", "squash_fast_forward", "rebase_fast_forward", "rebase_merge"];

impl World {
    /// A commit by its hash alone.
    pub(crate) fn commit_short_json(&self, repository: &Repository, hash: &str) -> Value {
        json!({
            "type": "commit",
            "hash": hash,
            "links": {
                "self": link(format!("{}/commit/{hash}", self.repository_api(repository))),
                "html": link(format!("{}/commits/{hash}", self.repository_html(repository))),
            },
        })
    }

    /// A commit as a branch's target or in a push: without its repository.
    pub(crate) fn commit_event_json(&self, repository: &Repository, commit: &Commit) -> Value {
        let mut json = self.commit_short_json(repository, &commit.hash);
        let mail = commit.author.split_once('<').map_or("", |(_, rest)| rest.trim_end_matches('>'));
        let mut author = json!({"type": "author", "raw": commit.author});
        if let Some(user) = self.users.iter().find(|user| user.email == mail) {
            author["user"] = self.user_json(user);
        }
        let own = self.repository_api(repository);
        for (name, path) in [
            ("diff", "diff/{}"),
            ("approve", "commit/{}/approve"),
            ("comments", "commit/{}/comments"),
            ("statuses", "commit/{}/statuses"),
            ("patch", "patch/{}"),
        ] {
            json["links"][name] = link(format!("{own}/{}", path.replace("{}", &commit.hash)));
        }
        let parents = commit.parents.iter().map(|parent| self.commit_short_json(repository, parent));
        json["parents"] = parents.collect();
        json["date"] = json!(written_seconds(commit.date));
        json["author"] = author;
        json["committer"] = json!({});
        json["message"] = json!(commit.message);
        json["summary"] = rendered(&commit.message);
        json["rendered"] = json!({});
        json["properties"] = json!({});
        json
    }

    /// A commit of the API.
    pub(crate) fn commit_json(&self, repository: &Repository, commit: &Commit) -> Value {
        let mut json = self.commit_event_json(repository, commit);
        json["repository"] = self.repository_short_json(repository);
        json["rendered"] = json!({"message": rendered(&commit.message)});
        json
    }

    /// A branch or a tag, with its target as given.
    pub(crate) fn ref_json(&self, repository: &Repository, name: &str, is_tag: bool, target: Value) -> Value {
        let (kind, path, page) =
            if is_tag { ("tag", "tags", "commits/tag") } else { ("branch", "branches", "branch") };
        let mut json = json!({
            "type": kind,
            "name": name,
            "target": target,
            "links": {
                "self": link(format!("{}/refs/{path}/{name}", self.repository_api(repository))),
                "commits": link(format!("{}/commits/{name}", self.repository_api(repository))),
                "html": link(format!("{}/{page}/{name}", self.repository_html(repository))),
            },
        });
        if is_tag {
            json["date"] = Value::Null;
            json["message"] = Value::Null;
            json["tagger"] = Value::Null;
        } else {
            let new = format!("pull-requests/new?source={name}&t=1");
            json["links"]["pullrequest_create"] = link(format!("{}/{new}", self.repository_html(repository)));
            json["merge_strategies"] = json!(MERGE_STRATEGIES);
            json["sync_strategies"] = json!(["merge_commit", "rebase"]);
            json["default_merge_strategy"] = json!("merge_commit");
        }
        json
    }

    pub(crate) fn status_json(&self, repository: &Repository, status: &BuildStatus) -> Value {
        let commit = format!("{}/commit/{}", self.repository_api(repository), status.commit);
        json!({
            "type": "build",
            "key": status.key,
            "state": status.state,
            "name": status.name,
            "description": status.description,
            "url": status.url,
            "refname": status.refname,
            "commit": self.commit_short_json(repository, &status.commit),
            "repository": self.repository_short_json(repository),
            "created_on": written(status.created),
            "updated_on": written(status.updated),
            "links": {
                "commit": link(commit.clone()),
                "self": link(format!("{commit}/statuses/build/{}", status.key)),
            },
        })
    }
}
