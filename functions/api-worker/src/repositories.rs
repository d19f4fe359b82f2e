//! The list of repositories that a credential sees.
//!
//! How far the list was read is stored with each page, so that a list which takes longer than one visit, or
//! than the hourly allowance lasts, is read on in the next.

use bucketwheel::call::{Answer, ApiPath, Message, Method, Problem, Wire};
use bucketwheel::credential::{Credential, FIELDS, Repository, Sight};
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::credentials;
use bucketwheel::store::repositories::{self, Walk};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::Worker;
use crate::exchange::{Stop, made, unreadable};
use crate::holder::Holder;
use crate::work::Again;

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Reads the list to its end, and removes what is not on it any more.
    pub(crate) async fn refresh_repositories(
        &self,
        message: &Message,
        holder: &Holder,
        until: Timestamp,
    ) -> Result<Answer, Stop> {
        let (credential, table) = (&holder.credential, &self.table);
        let begun = repositories::walk(table, &message.id, self.edge.now()).await.map_err(Again::from)?;
        let mut walk = begun.unwrap_or_else(|| Walk { began_at: self.edge.now(), next: None, seen: 0 });
        let whole = loop {
            let wire = self.wire_of_page(credential, &walk)?;
            if self.little_time(until) {
                let wait = SignedDuration::from_secs(1);
                return Err(Again::After(wait, "more repositories are to come").into());
            }
            let body = self.repository_page(holder, &wire, until).await?;
            let page = read(&body).ok_or_else(unreadable)?;
            let now = self.edge.now().max(walk.began_at);
            repositories::put_page(table, &credential.id, &page, now).await.map_err(Again::from)?;
            walk.seen += page.len() as u64;
            walk.next = body["next"].as_str().map(str::to_owned);
            if walk.next.is_none() {
                break is_whole(&body, walk.seen);
            }
            repositories::put_walk(table, &message.id, &walk, now).await.map_err(Again::from)?;
        };
        let now = self.edge.now();
        let removed = if whole {
            repositories::finish(table, &credential.id, &walk, now).await
        } else {
            repositories::note(table, &credential.id, &walk, now).await.map(|()| 0)
        };
        let removed = removed.map_err(Again::from)?;
        let sight = if walk.seen == 0 { Sight::NoPermission } else { Sight::Repositories };
        self.see(credential, sight).await?;
        Ok(made(&json!({ "repositories": walk.seen, "removed": removed })))
    }

    fn wire_of_page(&self, credential: &Credential, walk: &Walk) -> Result<Wire, Stop> {
        let Credential { kind, workspace, resource, .. } = credential;
        let (path, query) = match &walk.next {
            Some(next) => self.follow(next)?,
            None => {
                let path = ApiPath::parse(&kind.repositories(workspace, resource)).map_err(|error| {
                    let resolution = "Reconnect the credential with the workspace's right name.";
                    Stop::Failed(Problem::new("bad_path", error.to_string(), resolution), None)
                })?;
                // The oldest first: what is made meanwhile comes last.
                let query = [("pagelen", "100"), ("sort", "created_on"), ("fields", FIELDS)];
                // One repository has no pages.
                let query = if path.as_str().matches('/').count() == 1 { query.as_slice() } else { &[] };
                (path, query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
            }
        };
        Ok(Wire { method: Method::Get, path, query, body: None })
    }

    async fn repository_page(&self, holder: &Holder, wire: &Wire, until: Timestamp) -> Result<Value, Stop> {
        let reaction = self.react(holder, wire, until).await?;
        let answer = match self.settle(&holder.credential.id, wire.method, reaction).await {
            Err(Stop::Failed(problem, Some(answer))) => {
                if let 403 | 404 = answer.status {
                    self.see(&holder.credential, Sight::of(answer.status, &answer.body)).await?;
                }
                return Err(Stop::Failed(problem, Some(answer)));
            }
            settled => settled?,
        };
        Ok(answer.json().unwrap_or_default())
    }

    /// Stores what the credential sees, if that has changed. One that is deleted meanwhile sees nothing.
    async fn see(&self, credential: &Credential, sight: Sight) -> Result<(), Again> {
        if credential.sight == sight {
            return Ok(());
        }
        match credentials::see(&self.table, &credential.id, sight).await {
            Ok(()) | Err(TableError::Refused) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The repositories of a page, or the one that the answer is; none if it is neither, which does not say that
/// there are no repositories.
fn read(body: &Value) -> Option<Vec<Repository>> {
    let mut page: Vec<_> = match body["values"].as_array() {
        Some(values) => values.iter().filter_map(Repository::read).collect(),
        None => vec![Repository::read(body)?],
    };
    page.sort_by(|a, b| a.uuid.cmp(&b.uuid));
    page.dedup_by(|a, b| a.uuid == b.uuid);
    Some(page)
}

/// Whether everything was seen. When a repository goes while the list is read, the next page begins one too
/// late; then the last page counts more than was seen, if Bitbucket counts at all.
fn is_whole(last: &Value, seen: u64) -> bool {
    last["size"].as_u64().is_none_or(|size| size <= seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_moved_while_it_was_read_removes_nothing() {
        assert!(is_whole(&json!({"size": 200}), 200) && is_whole(&json!({}), 5));
        assert!(!is_whole(&json!({"size": 200}), 199));
    }

    #[test]
    fn a_page_holds_each_repository_once() {
        let one = |uuid: &str| json!({"uuid": uuid, "full_name": "w/r"});
        let page =
            read(&json!({"values": [one("{b}"), one("{a}"), one("{b}"), {"uuid": "{c}"}]})).expect("a page");
        let uuids: Vec<_> = page.iter().map(|repository| repository.uuid.as_str()).collect();
        assert_eq!(uuids, ["{a}", "{b}"]);
        assert_eq!(read(&one("{a}")).map(|page| page.len()), Some(1));
    }

    #[test]
    fn what_is_neither_list_nor_repository_does_not_say_that_there_are_none() {
        assert!(read(&json!({"values": []})).is_some_and(|page| page.is_empty()));
        for other in [json!({}), json!({"values": null}), json!({"uuid": "{a}"}), json!([]), Value::Null] {
            assert!(read(&other).is_none(), "{other}");
        }
    }
}
