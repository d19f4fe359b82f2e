//! Where Bitbucket refuses the hook of a workspace, the hooks of its repositories stand in for it: of those
//! that the credential administers.

use bucketwheel::call::{Answer, ApiPath, Wire};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::hooks::{Attached, HookSecrets};

use crate::Worker;
use crate::exchange::{Page, Stop};
use crate::holder::Holder;

/// So many at most: each is looked at in every round, and hooks have an allowance of 1,000 requests an hour.
const MOST: &str = "50";

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// The hooks to set right instead; none where it is not a workspace's that was refused.
    pub(super) async fn stand_in(
        &self,
        holder: &Holder,
        hook: &Attached,
        answer: Option<&Answer>,
    ) -> Result<Vec<Attached>, Stop> {
        let workspace = hook.subject.as_str();
        // What a credential may not see is a 404 to it.
        let refused = answer.is_some_and(|answer| matches!(answer.status, 403 | 404));
        if !refused || workspace.contains('/') {
            return Ok(Vec::new());
        }
        let Some(repositories) = self.administered(holder, workspace).await? else {
            return Ok(self.attached(&holder.credential.id).await?.stand_ins(workspace));
        };
        let written = |stored: &mut HookSecrets| stored.stand_in(workspace, &repositories);
        Ok(self.change(&holder.credential.id, written).await?.stand_ins(workspace))
    }

    /// A workspace whose hook is there needs nobody to stand in for it.
    pub(super) async fn relieve(
        &self,
        holder: &Holder,
        hook: &Attached,
        stored: &HookSecrets,
    ) -> Result<(), Stop> {
        let stand_ins = stored.stand_ins(&hook.subject);
        if stand_ins.is_empty() {
            return Ok(());
        }
        for stand_in in &stand_ins {
            self.take_away(holder, stand_in).await?;
        }
        self.change(&holder.credential.id, |stored| stored.stand_in(&hook.subject, &[])).await.map(|_| ())
    }

    /// The oldest repositories of the workspace that the credential administers; none where Bitbucket does
    /// not say.
    async fn administered(&self, holder: &Holder, workspace: &str) -> Result<Option<Vec<String>>, Stop> {
        let Ok(path) = ApiPath::parse(&format!("repositories/{workspace}")) else { return Ok(None) };
        let fields = ("fields", "values.full_name");
        let query = [("role", "admin"), ("sort", "created_on"), ("pagelen", MOST), fields];
        let listed = match self.read(holder, &Wire::get(path, &query)).await {
            Err(Stop::Failed(..)) => return Ok(None),
            listed => Page::of(listed?)?,
        };
        let names = listed.values.iter().filter_map(|value| value["full_name"].as_str());
        Ok(Some(names.map(str::to_owned).collect()))
    }
}
