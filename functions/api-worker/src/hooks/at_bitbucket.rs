//! One hook at Bitbucket: looked for by our address, set right, taken away.

use std::collections::BTreeSet;

use bucketwheel::call::{Answer, ApiPath, Method, Problem, Wire};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::hooks::Attached;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::Worker;
use crate::exchange::{Page, Stop, made};
use crate::holder::Holder;
use crate::work::Again;

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Looks first, so it can be repeated: a hook with our address is set right, a missing one is made.
    /// The secret is stored before Bitbucket learns it, since the first delivery may come at once.
    pub(super) async fn set_right(
        &self,
        holder: &Holder,
        hook: &Attached,
        newest: u64,
        secret: &SecretString,
    ) -> Result<Answer, Stop> {
        let address = self.webhook_url(&holder.credential.id);
        let wanted = json!({
            "description": "Bucketwheel",
            "url": address,
            "active": true,
            "events": hook.events,
            "secret": secret.expose_secret(),
        });
        let mut ours = ours(self.listed(holder, hook).await?, &address);
        if ours.is_empty() {
            let wire = Wire::json(Method::Post, path(&hook.subject, "")?, &wanted);
            let answer = self.exchange(holder, &wire).await?;
            ours = self::ours(self.listed(holder, hook).await?, &address);
            if ours.len() < 2 {
                return Ok(answer);
            }
        }
        let Some((found, others)) = ours.split_first() else {
            return Err(Stop::Again(Again::Later("the hook is gone again")));
        };
        // Two workers that looked at once have made one each. Both keep the first.
        for other in others {
            self.delete_hook(holder, hook, other).await?;
        }
        if others.is_empty() && hook.registered == newest && is_right(found, &hook.events) {
            return Ok(made(found));
        }
        let path = path(&hook.subject, &format!("/{}", found["uuid"].as_str().unwrap_or_default()))?;
        self.exchange(holder, &Wire::json(Method::Put, path, &wanted)).await
    }

    /// Removes every hook with our address. What is gone already is gone.
    pub(crate) async fn take_away(&self, holder: &Holder, hook: &Attached) -> Result<(), Stop> {
        let address = self.webhook_url(&holder.credential.id);
        let listed = match self.listed(holder, hook).await {
            Err(stop) if is_gone(&stop) => return Ok(()),
            listed => listed?,
        };
        for found in ours(listed, &address) {
            self.delete_hook(holder, hook, &found).await?;
        }
        Ok(())
    }

    async fn delete_hook(&self, holder: &Holder, hook: &Attached, found: &Value) -> Result<(), Stop> {
        let path = path(&hook.subject, &format!("/{}", found["uuid"].as_str().unwrap_or_default()))?;
        match self.exchange(holder, &Wire { method: Method::Delete, ..Wire::get(path, &[]) }).await {
            Err(stop) if is_gone(&stop) => Ok(()),
            Err(Stop::Unknown(_)) => {
                Err(Stop::Again(Again::Later("it is unclear whether the hook was removed")))
            }
            deleted => deleted.map(|_| ()),
        }
    }

    async fn listed(&self, holder: &Holder, hook: &Attached) -> Result<Vec<Value>, Stop> {
        let wire = Wire::get(path(&hook.subject, "")?, &[("pagelen", "100")]);
        Ok(Page::of(self.read(holder, &wire).await?)?.values)
    }
}

/// The hooks of a workspace or of a repository.
fn path(subject: &str, rest: &str) -> Result<ApiPath, Stop> {
    let of = if subject.contains('/') { "repositories" } else { "workspaces" };
    ApiPath::parse(&format!("{of}/{subject}/hooks{rest}")).map_err(|error| {
        let resolution = "Write workspace/repository, or workspace.";
        Stop::Failed(Problem::new("bad_repository", error.to_string(), resolution), None)
    })
}

fn is_gone(stop: &Stop) -> bool {
    matches!(stop, Stop::Failed(_, Some(answer)) if matches!(answer.status, 403 | 404 | 410))
}

/// The hooks with our address, in Bitbucket's order.
fn ours(listed: Vec<Value>, address: &str) -> Vec<Value> {
    listed.into_iter().filter(|hook| hook["url"] == address).collect()
}

fn is_right(found: &Value, events: &[String]) -> bool {
    let has: BTreeSet<_> =
        found["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wanted: BTreeSet<_> = events.iter().map(String::as_str).collect();
    found["active"] == true && found["secret_set"] == true && has == wanted
}
