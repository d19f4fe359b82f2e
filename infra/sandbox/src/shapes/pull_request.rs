//! Pull requests and what hangs on them.

use serde_json::{Value, json};

use super::{link, rendered, short};
use crate::{
    clock::written,
    world::{Actor, Comment, Participant, PullRequest, Repository, World},
};

impl World {
    pub(crate) fn pull_request_json(&self, repository: &Repository, pull: &PullRequest) -> Value {
        let own = format!("{}/pullrequests/{}", self.repository_api(repository), pull.id);
        let html = format!("{}/pull-requests/{}", self.repository_html(repository), pull.id);
        let mut links = json!({"self": link(own.clone()), "html": link(html)});
        for name in
            ["commits", "approve", "request-changes", "comments", "activity", "merge", "decline", "statuses"]
        {
            links[name] = link(format!("{own}/{name}"));
        }
        for name in ["diff", "diffstat"] {
            let spec = format!(
                "{}:{}%0D{}?from_pullrequest_id={}&topic=true",
                repository.full_name(),
                short(&pull.source_hash),
                short(&pull.destination_hash),
                pull.id
            );
            links[name] = link(format!("{}/{name}/{spec}", self.repository_api(repository)));
        }
        let side = |branch: &str, hash: &str| {
            json!({
                "branch": {"name": branch},
                "commit": self.commit_short_json(repository, short(hash)),
                "repository": self.repository_short_json(repository),
            })
        };
        json!({
            "type": "pullrequest",
            "id": pull.id,
            "title": pull.title,
            "description": pull.description,
            "rendered": {"title": rendered(&pull.title), "description": rendered(&pull.description)},
            "summary": rendered(&pull.description),
            "state": pull.state.word(),
            "draft": pull.draft,
            "comment_count": pull.comments.iter().filter(|comment| !comment.deleted).count(),
            "task_count": 0,
            "author": self.actor_json(&pull.author),
            "source": side(&pull.source, &pull.source_hash),
            "destination": side(&pull.destination, &pull.destination_hash),
            "merge_commit": pull.merge_commit.as_ref()
                .map_or(Value::Null, |hash| self.commit_short_json(repository, short(hash))),
            "close_source_branch": pull.close_source_branch,
            "closed_by": pull.closed_by.as_ref().map_or(Value::Null, |actor| self.actor_json(actor)),
            "reason": pull.reason,
            "reviewers": pull.reviewers.iter()
                .map(|uuid| self.actor_json(&Actor::User(uuid.clone()))).collect::<Vec<_>>(),
            "participants": pull.participants.iter()
                .map(|participant| self.participant_json(pull, participant)).collect::<Vec<_>>(),
            "created_on": written(pull.created),
            "updated_on": written(pull.updated),
            "links": links,
        })
    }

    pub(crate) fn participant_json(&self, pull: &PullRequest, participant: &Participant) -> Value {
        let reviews = pull.reviewers.iter().any(|uuid| uuid == participant.actor.uuid());
        json!({
            "type": "participant",
            "user": self.actor_json(&participant.actor),
            "role": if reviews { "REVIEWER" } else { "PARTICIPANT" },
            "approved": participant.state == Some("approved"),
            "state": participant.state,
            "participated_on": written(participant.on),
        })
    }

    pub(crate) fn comment_json(
        &self,
        repository: &Repository,
        pull: &PullRequest,
        comment: &Comment,
    ) -> Value {
        let own = format!("{}/pullrequests/{}", self.repository_api(repository), pull.id);
        let html = format!("{}/pull-requests/{}", self.repository_html(repository), pull.id);
        let mut json = json!({
            "type": "pullrequest_comment",
            "id": comment.id,
            "content": rendered(&comment.raw),
            "user": self.actor_json(&comment.actor),
            "deleted": comment.deleted,
            "pending": false,
            "created_on": written(comment.created),
            "updated_on": written(comment.updated),
            "pullrequest": {
                "type": "pullrequest",
                "id": pull.id,
                "title": pull.title,
                "links": {"self": link(own.clone()), "html": link(html.clone())},
            },
            "links": {
                "self": link(format!("{own}/comments/{}", comment.id)),
                "html": link(format!("{html}/_/diff#comment-{}", comment.id)),
            },
        });
        if let Some(parent) = comment.parent {
            json["parent"] =
                json!({"id": parent, "links": {"self": link(format!("{own}/comments/{parent}"))}});
        }
        if let Some(inline) = &comment.inline {
            json["inline"] = inline.clone();
        }
        json
    }
}
