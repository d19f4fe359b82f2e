//! What an operator does to a credential, for the API and for the pages. Each change and its audit line
//! are one transaction.

use bucketwheel::call::{Action, CallId, Message, Priority};
use bucketwheel::credential::{Cause, Credential, Health, Status};
use bucketwheel::ports::{Edge, Outgoing, Queue, Table, Write};
use bucketwheel::rotation::{Nudge, Wish};
use bucketwheel::store::credentials::{self, Audit};
use bucketwheel::store::{calls, tokens};

use crate::Console;
use crate::guard::Who;
use crate::invite::text;
use crate::problem::ErrorAnswer;

impl<T: Table, Q: Queue, E: Edge> Console<T, Q, E> {
    /// Gives a credential another label.
    pub(crate) async fn rename(&self, who: &Who, known: &Credential, label: &str) -> Result<(), ErrorAnswer> {
        let label = text("label", label, 1, 100)?;
        let note = format!("{} became {label}", known.label);
        self.commit(who, known, "renamed", note, credentials::rename(known, &label)).await
    }

    /// Switches a credential off. Doing it again changes nothing, but has it announced if it was not.
    pub(crate) async fn disable(&self, who: &Who, known: &Credential) -> Result<(), ErrorAnswer> {
        if known.disabled_at.is_none() {
            let change = credentials::disable(known, &self.switched_off());
            self.commit(who, known, "disabled", String::new(), change).await?;
        }
        self.nudge(known, Wish::Tell).await
    }

    /// Switches a credential on again, with what its tokens are worth now.
    pub(crate) async fn enable(&self, who: &Who, known: &Credential) -> Result<(), ErrorAnswer> {
        if known.disabled_at.is_some() {
            let chain = tokens::get(&self.table, &known.id).await?.map(|tokens| tokens.chain());
            let now = self.edge.now();
            let lost = (Health::Down, Some(Cause::RotationLost));
            let (health, cause) = chain.map_or(lost, |chain| chain.standing(now));
            let status = Status { health, cause, since: now };
            let change = credentials::enable(known, &status);
            self.commit(who, known, "enabled", String::new(), change).await?;
        }
        self.nudge(known, Wish::Tell).await
    }

    /// Begins to delete a credential: from now on it does nothing, and the worker removes its hooks and then
    /// all that is stored of it. Gives the call that does it. Can be repeated until it is gone.
    pub(crate) async fn delete(&self, who: &Who, known: &Credential) -> Result<CallId, ErrorAnswer> {
        let now = self.edge.now();
        if known.deleting_at.is_none() {
            let change = credentials::begin_delete(known, &self.switched_off());
            self.commit(who, known, "delete_begun", String::new(), change).await?;
            self.nudge(known, Wish::Tell).await?;
        }
        let id = CallId::own("delete", &known.id, now.as_second());
        let message = Message {
            priority: Priority::default(),
            ..Message::own(id.clone(), known.id.clone(), Action::DeleteCredential)
        };
        calls::about_to_queue(&self.table, &id, now).await?;
        self.calls.send(Outgoing::call(&message)).await?;
        Ok(id)
    }

    /// Asks for a refresh now.
    pub(crate) async fn refresh(&self, known: &Credential) -> Result<(), ErrorAnswer> {
        if !known.kind.renews_itself() {
            return Err(ErrorAnswer::conflict(
                "cannot_be_refreshed",
                "The token of this credential was made by hand: nobody can renew it.",
                "Make a new token at Bitbucket and reconnect the credential.",
            ));
        }
        self.nudge(known, Wish::Refresh).await
    }

    pub(crate) async fn nudge(&self, known: &Credential, wish: Wish) -> Result<(), ErrorAnswer> {
        let nudge = Nudge { credential: known.id.clone(), wish };
        Ok(self.nudges.send(Outgoing::nudge(&nudge)).await?)
    }

    fn switched_off(&self) -> Status {
        Status { health: Health::Disabled, cause: None, since: self.edge.now() }
    }

    /// Writes a change with its audit line.
    pub(crate) async fn commit(
        &self,
        who: &Who,
        known: &Credential,
        action: &str,
        note: String,
        change: Write,
    ) -> Result<(), ErrorAnswer> {
        self.commit_all(who, known, action, note, vec![change]).await
    }

    pub(crate) async fn commit_all(
        &self,
        who: &Who,
        known: &Credential,
        action: &str,
        note: String,
        mut changes: Vec<Write>,
    ) -> Result<(), ErrorAnswer> {
        let line = Audit {
            actor: who.actor.clone(),
            action: action.to_owned(),
            note,
            at: self.edge.now(),
            request: who.request.clone(),
        };
        changes.push(credentials::audit_line(&known.id, &line, self.edge.random()));
        self.table.write(changes).await?;
        tracing::info!(credential = %known.id, action, "credential changed");
        Ok(())
    }
}
