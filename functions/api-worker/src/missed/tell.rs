//! The events that were missed, in the shape that Bitbucket would have given them.
//!
//! They have no `actor`, for the API does not tell who it was. A push has the commits that lie between, the
//! newest five as always.

use bucketwheel::call::Wire;
use bucketwheel::event::{Enveloped, Synthetic};
use bucketwheel::missed::{Kind, Missed};
use bucketwheel::ports::{Edge, Outgoing, Queue, Table};
use bucketwheel::trace::Trace;
use serde_json::{Value, json};

use super::reading::path;
use super::{Sweep, Watched};
use crate::exchange::{Page, Stop};
use crate::work::Again;

/// How many commits Bitbucket lists in a push.
const LISTED: usize = 5;

impl<T: Table, Q: Queue, E: Edge> Sweep<'_, T, Q, E> {
    /// The event key and the body, but for the repository; none if there was no event.
    pub(super) async fn event(
        &self,
        watched: &Watched,
        missed: &Missed,
    ) -> Result<Option<(&'static str, Value)>, Stop> {
        match missed.of.kind() {
            Kind::Refs if watched.events.contains_key("repo:push") => {
                let change = self.change(watched, missed).await?;
                Ok(Some(("repo:push", json!({ "push": { "changes": [change] } }))))
            }
            Kind::Refs => Ok(None),
            Kind::Pulls => self.pull_request(watched, missed).await,
        }
    }

    async fn pull_request(
        &self,
        watched: &Watched,
        missed: &Missed,
    ) -> Result<Option<(&'static str, Value)>, Stop> {
        let rest = format!("pullrequests/{}", missed.of.parts().1);
        let asked = self.ask(&Wire::get(path(&watched.repository, &rest)?, &[])).await;
        let Some(pull) = there(asked)? else { return Ok(None) };
        let key = match (&missed.was, &missed.is, pull["state"].as_str()) {
            (None, Some(_), _) => "pullrequest:created",
            (Some(_), Some(_), _) => "pullrequest:updated",
            (_, None, Some("MERGED")) => "pullrequest:fulfilled",
            (_, None, Some("DECLINED")) => "pullrequest:rejected",
            // Superseded by another one: Bitbucket has no event for that.
            _ => return Ok(None),
        };
        Ok(Some((key, json!({ "pullrequest": pull }))))
    }

    /// One change of a push.
    async fn change(&self, watched: &Watched, missed: &Missed) -> Result<Value, Stop> {
        let (kind, name) = missed.of.parts();
        let side = |target: Value| json!({"type": kind, "name": name, "target": target});
        let bare = |hash: &String| json!({"type": "commit", "hash": hash});
        let mut change = json!({
            "old": missed.was.as_ref().map(|was| side(bare(was))), "new": null,
            "created": missed.was.is_none(), "closed": missed.is.is_none(),
            "forced": false, "truncated": false,
        });
        let Some(is) = &missed.is else { return Ok(change) };
        let mut commits = self.commits(watched, is, missed.was.as_deref(), LISTED + 1).await?;
        if let Some(was) = &missed.was {
            // What is gone from the branch, or from Bitbucket, was pushed away.
            let gone = self.commits(watched, was, Some(is), 1).await?;
            change["forced"] = json!(gone.is_none_or(|gone| !gone.is_empty()));
            if commits.is_none() {
                commits = self.commits(watched, is, None, LISTED + 1).await?;
            }
        }
        let mut commits = commits.unwrap_or_default();
        let tip = match commits.first() {
            Some(tip) if tip["hash"] == is.as_str() => Some(tip.clone()),
            // It was moved back, so nothing lies between.
            _ => self.commits(watched, is, None, 1).await?.and_then(|tip| tip.into_iter().next()),
        };
        change["new"] = side(tip.unwrap_or_else(|| bare(is)));
        change["truncated"] = json!(commits.len() > LISTED);
        commits.truncate(LISTED);
        change["commits"] = Value::Array(commits);
        Ok(change)
    }

    /// The newest commits that one has and the other has not; none if Bitbucket does not know one of them.
    async fn commits(
        &self,
        watched: &Watched,
        of: &str,
        without: Option<&str>,
        most: usize,
    ) -> Result<Option<Vec<Value>>, Stop> {
        let most = most.to_string();
        let mut query = vec![("include", of), ("pagelen", most.as_str())];
        query.extend(without.map(|without| ("exclude", without)));
        let asked = self.ask(&Wire::get(path(&watched.repository, "commits")?, &query)).await;
        let page = there(asked)?.map(Page::of).transpose()?;
        Ok(page.map(|page| page.values))
    }

    pub(super) fn enveloped(
        &self,
        event_key: &str,
        body: &str,
        hook_id: Option<&str>,
        missed: &Missed,
        uuid: &str,
    ) -> Enveloped {
        let side = |side: &Option<String>| side.clone().unwrap_or_default();
        let about = format!("{uuid} {} {} {}", missed.of, side(&missed.was), side(&missed.is));
        Synthetic {
            credential: self.id(),
            event_key,
            body: body.as_bytes(),
            hook_id,
            about: &about,
            trace: &Trace::new(self.worker.edge.random()),
            found_at: self.worker.edge.now(),
        }
        .envelope()
    }

    pub(super) async fn send(&self, enveloped: Enveloped) -> Result<(), Stop> {
        let Some(events) = &self.worker.events else { return Ok(()) };
        events.send(Outgoing::event(&enveloped)).await.map_err(|error| Again::from(error).into())
    }
}

/// The answer; none if Bitbucket does not know what was asked for.
fn there(asked: Result<Value, Stop>) -> Result<Option<Value>, Stop> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(Stop::Failed(_, Some(answer))) if answer.status == 404 => Ok(None),
        Err(stop) => Err(stop),
    }
}
