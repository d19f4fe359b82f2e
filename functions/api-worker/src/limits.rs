//! Bitbucket's hourly allowance, asked before each request.

use bucketwheel::call::Wire;
use bucketwheel::metric::Metric;
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::budget::{self, Scope, Ticket};
use jiff::SignedDuration;

use crate::Worker;
use crate::exchange::Caller;
use crate::work::Again;

/// How long nothing is sent after a 429 that does not say. Bitbucket documents no `Retry-After`.
const CLOSED: SignedDuration = SignedDuration::from_secs(60);

/// Whether a request counts against the allowance for repositories. Hooks and raw files have allowances of
/// their own, and the rest has none that is known.
pub(crate) fn counts(wire: &Wire) -> bool {
    let mut segments = wire.path.as_str().split('/');
    let of_repositories = segments.next() == Some("repositories");
    let own = match segments.nth(2) {
        Some("hooks") => true,
        Some("src") => !wire.method.mutates(),
        _ => false,
    };
    of_repositories && !own
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Counts a request; gives how long to wait if there is no room for it.
    pub(crate) async fn room(
        &self,
        caller: Caller<'_>,
        wire: &Wire,
    ) -> Result<Option<SignedDuration>, Again> {
        if !counts(wire) {
            return Ok(None);
        }
        let (limits, now) = (self.limits, self.edge.now());
        let id = &caller.holder.credential.id;
        match budget::take_for(&self.table, id, limits, caller.priority, now).await? {
            Ticket::Taken(left) => {
                self.tally.set(Metric::BudgetLeft, left.into());
                Ok(None)
            }
            Ticket::Wait(wait) => {
                self.tally.add(Metric::BudgetExhausted, 1);
                Ok(Some(wait))
            }
        }
    }

    /// Notes for all workers that Bitbucket has had enough of this credential. Should it mean all of them,
    /// each is told so by its own first 429: one that is noisy must not silence the others.
    pub(crate) async fn close(&self, caller: Caller<'_>, after: Option<SignedDuration>) -> Result<(), Again> {
        let now = self.edge.now();
        let scope = Scope::Credential(caller.holder.credential.id.clone());
        Ok(budget::close(&self.table, &scope, now + after.unwrap_or(CLOSED), now).await?)
    }
}

#[cfg(test)]
mod tests {
    use bucketwheel::call::{Method, Request};

    use super::*;

    #[test]
    fn only_what_shares_the_allowance_is_counted() {
        let counts = |method, path: &str| counts(&Request::new(method, path).wire().expect(path));
        assert!(
            counts(Method::Get, "repositories/w/r/commits") && counts(Method::Post, "repositories/w/r/src")
        );
        assert!(!counts(Method::Get, "repositories/w/r/src/main/a") && !counts(Method::Get, "user"));
        assert!(!counts(Method::Post, "repositories/w/r/hooks"));
    }
}
