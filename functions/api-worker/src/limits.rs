//! Bitbucket's hourly allowances: asked before each request, and learnt from each answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bucketwheel::call::{Allowance, Answer, Wire};
use bucketwheel::metric::Metric;
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::budget::{self, Scope, Ticket, Told, Who};
use jiff::SignedDuration;

use crate::Worker;
use crate::holder::Holder;
use crate::work::Again;

/// What this process has noted of limits, so that an answer which says nothing new costs no write.
#[derive(Debug, Default)]
pub struct Learnt(Mutex<HashMap<(Who, Allowance), Told>>);

impl Learnt {
    /// Whether it is new.
    fn take_in(&self, who: Who, allowance: Allowance, told: Told) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That little is left is believed for a time only, so it is noted each time.
        known.insert((who, allowance), told) != Some(told) || told.near
    }
}

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    /// Counts a request; gives how long to wait if there is no room for it.
    pub(crate) async fn room(&self, holder: &Holder, wire: &Wire) -> Result<Option<SignedDuration>, Again> {
        let Some(allowance) = Allowance::of(wire) else { return Ok(None) };
        let (credential, now) = (&holder.credential, self.edge.now());
        match budget::take(&self.table, self.limits, credential, allowance, holder.priority, now).await? {
            Ticket::Taken(left) => {
                if (Who::counted(credential), allowance) == (Who::Consumer, Allowance::Repositories) {
                    self.tally.set(Metric::BudgetLeft, left.into());
                }
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
    pub(crate) async fn close(
        &self,
        holder: &Holder,
        allowance: Allowance,
        after: Option<SignedDuration>,
    ) -> Result<SignedDuration, Again> {
        let now = self.edge.now();
        let scope = Scope::own(&holder.credential.id, allowance);
        Ok(budget::close(&self.table, &scope, after, now).await?.duration_since(now))
    }

    /// Notes what an answer says of the limit. Bitbucket says it to access tokens, not to OAuth.
    pub(crate) async fn learn(
        &self,
        holder: &Holder,
        allowance: Allowance,
        answer: &Answer,
    ) -> Result<(), Again> {
        let Some(told) = told(answer) else { return Ok(()) };
        let who = Who::counted(&holder.credential);
        if self.learnt.take_in(who, allowance, told) {
            budget::learn(&self.table, &holder.credential, allowance, told, self.edge.now()).await?;
        }
        Ok(())
    }
}

/// The headers `X-RateLimit-Limit`, of which only the first number counts (`60, 60;w=3600` was seen), and
/// `X-RateLimit-NearLimit`
/// (<https://bitbucket.org/blog/introducing-scaled-rate-limits-for-bitbucket-cloud-api>).
fn told(answer: &Answer) -> Option<Told> {
    let header = |name: &str| answer.headers.get(name).map(|value| value.trim());
    let near = header("x-ratelimit-nearlimit").map(|near| near.eq_ignore_ascii_case("true"));
    let limit = header("x-ratelimit-limit").and_then(|limit| limit.split([',', ';']).next());
    let per_hour = limit.and_then(|limit| limit.trim().parse().ok()).filter(|limit| *limit > 0);
    (near.is_some() || per_hour.is_some()).then(|| Told { per_hour, near: near.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(limit: &str, near: Option<&str>) -> Answer {
        let mut answer = Answer::default();
        answer.headers.insert("x-ratelimit-limit".to_owned(), limit.to_owned());
        answer.headers.extend(near.map(|near| ("x-ratelimit-nearlimit".to_owned(), near.to_owned())));
        answer
    }

    #[test]
    fn what_bitbucket_says_of_its_limit_is_read_in_each_of_its_forms() {
        assert_eq!(told(&Answer::default()), None);
        let of = |limit, near| told(&answer(limit, near)).map(|told| (told.per_hour, told.near));
        assert_eq!(of("5000", Some("true")), Some((Some(5000), true)));
        assert_eq!(of("60, 60;w=3600", None), Some((Some(60), false)));
        assert_eq!(of("none", Some("false")), Some((None, false)));
        assert_eq!(of("0", None), None);
    }

    #[test]
    fn only_what_is_new_is_noted() {
        let learnt = Learnt::default();
        let take = |per_hour, near| {
            learnt.take_in(Who::Consumer, Allowance::Hooks, Told { per_hour: Some(per_hour), near })
        };
        assert_eq!([take(1, false), take(1, false), take(2, false)], [true, false, true]);
        assert_eq!([take(2, true), take(2, true), take(2, false)], [true, true, true]);
    }
}
