//! Actions: what takes several requests.

use bucketwheel::call::{Action, Answer, Message, PULL_REQUEST, Sent, shaped};
use bucketwheel::ports::{Edge, Queue, Table};
use jiff::Timestamp;

use crate::Worker;
use crate::commit::Committing;
use crate::exchange::Stop;
use crate::holder::Holder;

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    pub(crate) async fn action(
        &self,
        message: &Message,
        action: &Action,
        holder: &Holder,
        before: Option<Sent>,
        until: Timestamp,
    ) -> Result<Option<Answer>, Stop> {
        match action {
            Action::CommitFiles(commit) => {
                Committing { worker: self, message, commit, holder, until }.run(before).await.map(Some)
            }
            Action::MergePullRequest(merge) => {
                let mut merged = self.merge(holder, merge, until).await?;
                let body = shaped(PULL_REQUEST, &merged.json().unwrap_or_default());
                merged.body = body.to_string().into_bytes();
                Ok(Some(merged))
            }
            Action::EnsureHook { repository, events } => {
                self.ensure_hook(holder, repository, events).await.map(Some)
            }
            Action::RepairHooks {} => self.repair_hooks(holder).await.map(Some),
            Action::RotateHook {} => self.rotate_hook(holder).await.map(Some),
            Action::RefreshRepositories {} => {
                self.refresh_repositories(message, holder, until).await.map(Some)
            }
            Action::DetectMissed {} => self.detect_missed(holder, until).await.map(Some),
            Action::RemoveHooks { repository } => {
                self.remove_hooks(holder, repository.as_deref()).await.map(Some)
            }
            Action::DeleteCredential => self.delete(message, holder).await.map(|()| None),
        }
    }
}
