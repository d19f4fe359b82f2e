//! A token that was made by hand is tried at Bitbucket's API: its owner may revoke it at any time, and no
//! call should have to find that out.

use bucketwheel::call::{Allowance, Answer, ApiPath, Judgement, Method, Priority, Wire, judge};
use bucketwheel::credential::{Cause, Credential, CredentialId, Health};
use bucketwheel::error::Causes;
use bucketwheel::ports::{Edge, Probe, Queue, Table, TableError, TokenEndpoint};
use bucketwheel::rotation::{Chain, Seen, probed};
use bucketwheel::store::budget::{self, Scope, Ticket};
use bucketwheel::store::{credentials, tokens};
use bucketwheel::token::{AccessToken, Authorization};

use crate::Refresher;
use crate::tell::Verdict;

impl<T: Table, Q: Queue, E: Edge, O: TokenEndpoint, A: Probe> Refresher<T, Q, E, O, A> {
    /// Tries a token whose time has come, or that somebody asks for. Gives the chain as it is afterwards
    /// and what that means; nothing if it was not tried.
    pub(crate) async fn probe(
        &self,
        id: &CredentialId,
        nudged: bool,
    ) -> Result<Option<(Chain, Verdict)>, TableError> {
        let Some(tokens) = tokens::get(&self.table, id).await? else { return Ok(None) };
        let Some(credential) = credentials::get(&self.table, id).await? else { return Ok(None) };
        let (chain, now) = (tokens.chain(), self.edge.now());
        let due = tokens.due_at().is_none_or(|due| due <= now);
        // Many calls that fail with one token cause one probe.
        let fresh = tokens.probed_at().is_some_and(|at| now.duration_since(at).abs() < self.terms.fresh);
        if !due && (!nudged || fresh) {
            return Ok(None);
        }
        let token = match tokens.access(&self.access_ring, id) {
            Ok(token) => token,
            Err(error) => {
                tracing::error!(credential = id.as_str(), error = %Causes(&error), "not unsealed");
                return Ok(Some((chain, (Health::Degraded, Some(Cause::CannotUnseal)))));
            }
        };
        let seen = self.try_out(&credential, token).await?;
        let now = self.edge.now();
        let mut probed = probed(&chain, seen, now, &self.terms, self.edge.random());
        tracing::info!(credential = id.as_str(), ?seen, "probe");
        let after = probed.of(&chain);
        let (verdict, status) = (after.standing(now), &credential.status);
        if status.health != Health::Disabled && verdict != (status.health, status.cause) {
            // This run may not live to tell, so what is news is looked at again.
            probed.due_at = probed.due_at.min(now + self.terms.backoff);
        }
        tokens::probed(&self.table, id, &chain, &probed, now).await?;
        Ok(Some((after, verdict)))
    }

    /// One request, if the hourly allowance has room for what can wait.
    async fn try_out(&self, credential: &Credential, token: AccessToken) -> Result<Seen, TableError> {
        let path = credential.kind.probe_path(&credential.workspace, &credential.resource);
        let Ok(path) = ApiPath::parse(&path) else { return Ok(Seen::Unclear) };
        let (limits, priority, now) = (self.limits, Priority::Background, self.edge.now());
        let allowance = Allowance::of(&Wire::get(path.clone(), &[]));
        if let Some(allowance) = allowance {
            let room = budget::take(&self.table, limits, credential, allowance, priority, now).await?;
            if let Ticket::Wait(_) = room {
                return Ok(Seen::Unclear);
            }
        }
        let authorization = Authorization::new(credential.kind.scheme(), token);
        match self.api.probe(&authorization, &path).await {
            Ok(answer) => {
                self.heed(credential, allowance, &answer).await?;
                Ok(Seen::of(&answer))
            }
            Err(error) => {
                tracing::warn!(credential = credential.id.as_str(), error = %Causes(&error), "not tried");
                Ok(Seen::Unclear)
            }
        }
    }

    /// Notes for everybody that Bitbucket has had enough of this credential.
    async fn heed(
        &self,
        credential: &Credential,
        allowance: Option<Allowance>,
        answer: &Answer,
    ) -> Result<(), TableError> {
        if let (Judgement::Transient { after, limited: true, .. }, Some(allowance)) =
            (judge(Method::Get, answer), allowance)
        {
            let scope = Scope::own(&credential.id, allowance);
            budget::close(&self.table, &scope, after, self.edge.now()).await?;
        }
        Ok(())
    }
}
