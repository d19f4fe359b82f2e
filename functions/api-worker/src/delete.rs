//! The end of a credential: its hooks at Bitbucket first, then all that is stored of it.

use bucketwheel::call::{Message, Problem};
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::credentials::{self, Audit};
use bucketwheel::store::hooks::{self, Attached};
use bucketwheel::store::{missed, repositories};
use jiff::{SignedDuration, Timestamp};

use crate::Worker;
use crate::exchange::Stop;
use crate::holder::Holder;
use crate::work::Again;

/// How long hooks are worth waiting for. A hook that stays at Bitbucket delivers to an address that refuses
/// it; sealed tokens that stay here are worse.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Can be repeated at any point: a hook that is gone stays gone.
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
        let stored = hooks::get(&self.table, id).await.map_err(Again::from)?;
        let mut left = Vec::new();
        for hook in stored.iter().flat_map(|stored| &stored.hooks) {
            if !self.remove_hook(holder, hook, since).await? {
                left.push(hook.subject.clone());
            }
        }
        self.forget(message, holder, &left).await
    }

    /// Whether the hook is gone. It is left where Bitbucket refuses us, or has not answered for too long.
    async fn remove_hook(&self, holder: &Holder, hook: &Attached, since: Timestamp) -> Result<bool, Stop> {
        match self.take_away(holder, hook).await {
            Ok(()) => Ok(true),
            Err(Stop::Failed(..)) => Ok(false),
            Err(Stop::Again(_) | Stop::Unknown(_)) if self.edge.now().duration_since(since) > PATIENCE => {
                Ok(false)
            }
            Err(stop) => Err(stop),
        }
    }

    async fn forget(&self, message: &Message, holder: &Holder, left: &[String]) -> Result<(), Stop> {
        repositories::forget(&self.table, &holder.credential.id).await.map_err(Again::from)?;
        missed::forget_all(&self.table, &holder.credential.id).await.map_err(Again::from)?;
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
