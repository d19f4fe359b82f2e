//! The events by their keys.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::bodies::{
    CommitCommented, CommitStatusEvent, IssueEvent, ProjectUpdated, PullRequestApproval,
    PullRequestChangesRequest, PullRequestComment, PullRequestEvent, RepositoryEvent, RepositoryForked,
    RepositoryPush, RepositoryTransferred, RepositoryUpdated,
};
use super::span::SpanCreated;

/// Defines the keys and the events together, so that none can be forgotten.
macro_rules! events {
    ($($name:ident($body:ident) = $key:literal, $words:literal;)*) => {
        /// The key of an event that Bitbucket's API lists
        /// (<https://developer.atlassian.com/cloud/bitbucket/rest/api-group-webhooks/>).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKey {
            $(#[doc = $words] $name,)*
        }

        impl EventKey {
            /// All of them.
            pub const ALL: [EventKey; [$($key),*].len()] = [$(EventKey::$name),*];

            /// As Bitbucket writes it, such as `repo:push`.
            pub fn as_str(self) -> &'static str {
                match self { $(EventKey::$name => $key,)* }
            }

            /// What the event says, in a few words.
            pub fn words(self) -> &'static str {
                match self { $(EventKey::$name => $words,)* }
            }

            /// The JSON Schema of the event's body.
            #[cfg(feature = "schema")]
            pub(super) fn schema(self) -> schemars::Schema {
                match self { $(EventKey::$name => schemars::schema_for!($body),)* }
            }
        }

        /// An event with its body.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $(#[doc = $words] $name($body),)*
            /// One whose key is not listed here.
            Other(String, Value),
        }

        impl Event {
            /// Reads the body of an event with this key. Fields that are missing or new do no harm.
            pub fn parse(key: &str, body: &[u8]) -> Result<Self, serde_json::Error> {
                Ok(match key.parse() {
                    $(Ok(EventKey::$name) => Event::$name(serde_json::from_slice(body)?),)*
                    Err(NotListed) => Event::Other(key.to_owned(), serde_json::from_slice(body)?),
                })
            }

            /// The event's key.
            pub fn key(&self) -> &str {
                match self {
                    $(Event::$name(_) => $key,)*
                    Event::Other(key, _) => key,
                }
            }
        }
    };
}

events! {
    RepoPush(RepositoryPush) = "repo:push", "Branches or tags were pushed.";
    RepoFork(RepositoryForked) = "repo:fork", "A repository was forked.";
    RepoUpdated(RepositoryUpdated) = "repo:updated", "Attributes of a repository were changed.";
    RepoTransfer(RepositoryTransferred) = "repo:transfer", "A repository has a new owner.";
    RepoCreated(RepositoryEvent) = "repo:created", "A repository was made.";
    RepoDeleted(RepositoryEvent) = "repo:deleted", "A repository was deleted.";
    RepoImported(RepositoryEvent) = "repo:imported", "A repository was imported.";
    RepoCommitCommentCreated(CommitCommented) = "repo:commit_comment_created", "Somebody commented on a commit.";
    RepoCommitStatusCreated(CommitStatusEvent) = "repo:commit_status_created", "A build said something of a commit.";
    RepoCommitStatusUpdated(CommitStatusEvent) = "repo:commit_status_updated", "A build said something new of a commit.";
    PullRequestCreated(PullRequestEvent) = "pullrequest:created", "A pull request was opened.";
    PullRequestUpdated(PullRequestEvent) = "pullrequest:updated", "A pull request was changed.";
    PullRequestPush(PullRequestEvent) = "pullrequest:push", "Commits came to a pull request.";
    PullRequestApproved(PullRequestApproval) = "pullrequest:approved", "A pull request was approved.";
    PullRequestUnapproved(PullRequestApproval) = "pullrequest:unapproved", "An approval was taken back.";
    PullRequestChangesRequestCreated(PullRequestChangesRequest) = "pullrequest:changes_request_created", "Somebody wishes for changes.";
    PullRequestChangesRequestRemoved(PullRequestChangesRequest) = "pullrequest:changes_request_removed", "A wish for changes was taken back.";
    PullRequestFulfilled(PullRequestEvent) = "pullrequest:fulfilled", "A pull request was merged.";
    PullRequestRejected(PullRequestEvent) = "pullrequest:rejected", "A pull request was declined.";
    PullRequestCommentCreated(PullRequestComment) = "pullrequest:comment_created", "Somebody commented on a pull request.";
    PullRequestCommentUpdated(PullRequestComment) = "pullrequest:comment_updated", "A comment was changed.";
    PullRequestCommentDeleted(PullRequestComment) = "pullrequest:comment_deleted", "A comment was deleted.";
    PullRequestCommentResolved(PullRequestComment) = "pullrequest:comment_resolved", "A comment was resolved.";
    PullRequestCommentReopened(PullRequestComment) = "pullrequest:comment_reopened", "A resolved comment was reopened.";
    PipelineSpanCreated(SpanCreated) = "pipeline:span_created", "A step of a pipeline ended.";
    ProjectUpdated(ProjectUpdated) = "project:updated", "Attributes of a project were changed.";
    IssueCreated(IssueEvent) = "issue:created", "An issue was written. Not sent any more.";
    IssueUpdated(IssueEvent) = "issue:updated", "An issue was changed. Not sent any more.";
    IssueCommentCreated(IssueEvent) = "issue:comment_created", "Somebody commented on an issue. Not sent any more.";
}

/// The key is not one that Bitbucket's API listed when this was written. New ones come without notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event key is not one that is known here")]
pub struct NotListed;

impl FromStr for EventKey {
    type Err = NotListed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|key| key.as_str() == text).ok_or(NotListed)
    }
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_listed_key_reads_an_empty_body_a_null_in_every_place_and_new_fields() {
        let parts = [
            "actor",
            "repository",
            "push",
            "fork",
            "changes",
            "previous_owner",
            "comment",
            "commit",
            "commit_status",
            "pullrequest",
            "approval",
            "changes_request",
            "project",
            "issue",
            "resourceSpans",
        ];
        let nulls: serde_json::Map<_, _> =
            parts.map(|part| (part.to_owned(), Value::Null)).into_iter().collect();
        for key in EventKey::ALL {
            for body in ["{}", r#"{"new":{"field":[1]}}"#, &Value::Object(nulls.clone()).to_string()] {
                let event = Event::parse(key.as_str(), body.as_bytes()).expect("an event");
                assert_eq!(event.key(), key.as_str());
                assert!(!matches!(event, Event::Other(..)));
            }
        }
        assert_eq!(EventKey::ALL.len(), 29);
    }

    #[test]
    fn what_a_push_says_is_read() {
        let body = br#"{"actor":{"type":"anonymous"},"repository":{"uuid":"{r}","full_name":"w/r","new":1},
            "push":{"changes":[{"old":null,"new":{"type":"branch","name":"a/b","target":{"hash":"c0"}},
                                "created":true,"truncated":true,"commits":null}]}}"#;
        let Ok(Event::RepoPush(push)) = Event::parse("repo:push", body) else { panic!("a push") };
        let change = &push.push.changes[0];
        let new = change.new.as_ref().expect("the new side");
        assert_eq!(
            (new.name.as_deref(), change.old.as_ref(), change.truncated),
            (Some("a/b"), None, Some(true))
        );
        assert_eq!(push.repository.and_then(|r| r.full_name).as_deref(), Some("w/r"));
    }

    #[test]
    fn a_key_that_is_not_listed_keeps_its_body() {
        let event = Event::parse("repo:not_known_yet", b"[1]").expect("an event");
        assert_eq!(event, Event::Other("repo:not_known_yet".to_owned(), serde_json::json!([1])));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_types_panic(body in proptest::collection::vec(any::<u8>(), 0..200), at in 0..29_usize) {
            let _ = Event::parse(EventKey::ALL[at].as_str(), &body);
        }
    }
}
