//! Merging a pull request: Bitbucket may take long, and then gives a task to ask for.
//!
//! A pull request is merged once, so this can be repeated: it looks at the state first.

use std::time::Duration;

use bucketwheel::call::{Answer, ApiPath, Merge, Method, Problem, Wire};
use bucketwheel::ports::{Edge, Queue, Table};
use jiff::Timestamp;
use serde_json::json;

use crate::Worker;
use crate::exchange::{Stop, unreadable};
use crate::holder::Holder;
use crate::work::Again;

/// How long to wait before the task is asked for again.
const LOOK: Duration = Duration::from_millis(500);

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    pub(crate) async fn merge(
        &self,
        holder: &Holder,
        merge: &Merge,
        until: Timestamp,
    ) -> Result<Answer, Stop> {
        let pull = format!("repositories/{}/pullrequests/{}", merge.repository, merge.id);
        let path = |rest: &str| {
            ApiPath::parse(&format!("{pull}{rest}")).map_err(|error| {
                let resolution = "Write workspace/repository.";
                Stop::Failed(Problem::new("bad_path", error.to_string(), resolution), None)
            })
        };
        let look = Wire::get(path("")?, &[]);
        let before = self.exchange(holder, &look).await?;
        match state(&before).as_deref() {
            Some("OPEN") => {}
            Some("MERGED") => return Ok(before),
            None => return Err(unreadable().into()),
            Some(other) => {
                let cause = format!("The pull request is {other}.");
                return Err(Stop::Failed(Problem::new("refused", cause, "Open a new one."), None));
            }
        }
        let mut body = json!({"type": "pullrequest_merge"});
        for (name, value) in [("message", &merge.message), ("merge_strategy", &merge.strategy)] {
            if let Some(value) = value {
                body[name] = value.as_str().into();
            }
        }
        if let Some(close) = merge.close_source_branch {
            body["close_source_branch"] = close.into();
        }
        let mut wire = Wire::json(Method::Post, path("/merge")?, &body);
        wire.query = vec![("async".to_owned(), "true".to_owned())];
        let begun = match self.exchange(holder, &wire).await {
            // The next visit looks at the state before anything else.
            Err(Stop::Unknown(_)) => return Err(Again::Later("it is unclear whether it was merged").into()),
            begun => begun?,
        };
        if begun.status != 202 {
            return Ok(begun);
        }
        let task = begun.headers.get("location").and_then(|link| ApiPath::follow(link, self.api.base()).ok());
        let Some((task, query)) = task else {
            return Err(Again::Later("Bitbucket merges and names no task").into());
        };
        let task = Wire { query, ..Wire::get(task, &[]) };
        while !self.little_time(until) {
            let told = self.read(holder, &task).await?;
            if told["task_status"] != "PENDING" {
                return self.exchange(holder, &look).await;
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Again::Later("Bitbucket is still merging").into())
    }
}

fn state(pull: &Answer) -> Option<String> {
    pull.json()?["state"].as_str().map(str::to_owned)
}
