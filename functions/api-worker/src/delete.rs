//! The end of a credential: its hooks at Bitbucket first, then all that is stored of it.

use bucketwheel::call::{Message, Method, Problem, Wire};
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::credentials::{self, Audit};
use bucketwheel::store::hooks;
use jiff::{SignedDuration, Timestamp};

use crate::Worker;
use crate::action::{hook_path, hooks_of, ours};
use crate::exchange::Stop;
use crate::holder::Holder;
use crate::work::Again;

/// How long hooks are worth waiting for. A hook that stays at Bitbucket delivers to an address that refuses
/// it; sealed tokens that stay here are worse.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Can be repeated at any point: a hook is forgotten only once it is gone, or given up.
    pub(crate) async fn delete(&self, message: &Message, holder: &Holder) -> Result<(), Stop> {
        let id = &holder.credential.id;
        let Some(since) = holder.credential.deleting_at else {
            let problem = Problem::new(
                "not_marked",
                "The credential is not marked for deletion.",
                "Delete it in the console, or with DELETE /api/credentials/{id}.",
            );
            return Err(Stop::Failed(problem, None));
        };
        let mut left = Vec::new();
        loop {
            let noted = hooks::noted(&self.table, id).await.map_err(Again::from)?;
            if noted.is_empty() {
                break;
            }
            for repository in noted {
                if !self.remove_hook(holder, &repository, since).await? {
                    left.push(repository.clone());
                }
                hooks::forget(&self.table, id, &repository).await.map_err(Again::from)?;
            }
        }
        self.forget(message, holder, &left).await
    }

    /// Whether the hook is gone. It is left where Bitbucket refuses us, or has not answered for too long.
    async fn remove_hook(&self, holder: &Holder, repository: &str, since: Timestamp) -> Result<bool, Stop> {
        match self.try_to_remove(holder, repository).await {
            Ok(()) => Ok(true),
            Err(Stop::Failed(..)) => Ok(false),
            Err(Stop::Again(_) | Stop::Unknown(_)) if self.edge.now().duration_since(since) > PATIENCE => {
                Ok(false)
            }
            Err(Stop::Unknown(_)) => {
                Err(Stop::Again(Again::Later("it is unclear whether the hook was removed")))
            }
            Err(stop) => Err(stop),
        }
    }

    async fn try_to_remove(&self, holder: &Holder, repository: &str) -> Result<(), Stop> {
        let listed = self.exchange(holder, &hooks_of(repository)?).await?;
        if let Some(uuid) = ours(&listed, &self.webhook_url(&holder.credential.id)) {
            let path = hook_path(repository, &format!("/{uuid}"))?;
            let remove = Wire { method: Method::Delete, ..Wire::get(path, &[]) };
            self.exchange(holder, &remove).await?;
        }
        Ok(())
    }

    async fn forget(&self, message: &Message, holder: &Holder, left: &[String]) -> Result<(), Stop> {
        let note = match left {
            [] => "no hook is left at Bitbucket".to_owned(),
            left => format!("hooks may be left at Bitbucket in {}", left.join(", ")),
        };
        let line = Audit {
            actor: "api-worker".to_owned(),
            action: "deleted".to_owned(),
            note,
            at: self.edge.now(),
            request: format!("call {}", message.id),
        };
        let mut writes = credentials::remove(&holder.credential);
        writes.push(credentials::audit_line(&holder.credential.id, &line, self.edge.random()));
        match self.table.write(writes).await {
            Ok(()) => Ok(()),
            Err(TableError::Refused) => Err(Stop::Again(Again::Later("the credential changes meanwhile"))),
            Err(error) => Err(Stop::Again(error.into())),
        }
    }
}
