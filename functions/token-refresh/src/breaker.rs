//! A circuit breaker for our consumer: while Bitbucket is down or refuses everybody, one run after the
//! other is tried instead of all of them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use bucketwheel::credential::CredentialId;
use bucketwheel::rotation::Terms;
use jiff::Timestamp;

/// So many credentials that fail, with no success among them, open it. One alone never does.
const FAILURES: usize = 3;

/// Closed, open until a time, or half-open from then on. It lives as long as the process: a new one finds
/// out by itself.
#[derive(Debug, Default)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Who failed since the last success.
    failed: BTreeSet<CredentialId>,
    open_until: Option<Timestamp>,
}

/// Leave to send one refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Go ahead.
    Granted,
    /// Go ahead; the others wait for what you find.
    Probe,
    /// Not now.
    Refused,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Bitbucket gave tokens.
    Success,
    /// It refused, or did not answer.
    Failure,
    /// It was not asked.
    Nothing,
}

impl Breaker {
    /// May this one go ahead? Who has failed before is a probe only a while after everybody else could
    /// have been: a few that always fail must not be all that is ever tried.
    pub(crate) fn leave(&self, id: &CredentialId, now: Timestamp, terms: &Terms) -> Leave {
        let mut state = self.state();
        let Some(until) = state.open_until else { return Leave::Granted };
        let until = if state.failed.contains(id) { until + terms.backoff } else { until };
        if now < until {
            return Leave::Refused;
        }
        // A probe that never comes back is replaced when its lease is over.
        state.open_until = Some(now + terms.lease);
        Leave::Probe
    }

    pub(crate) fn found(&self, id: &CredentialId, leave: Leave, found: Found, now: Timestamp, terms: &Terms) {
        let mut state = self.state();
        match found {
            Found::Success => *state = State::default(),
            Found::Nothing if leave == Leave::Probe => state.open_until = Some(now),
            Found::Nothing => {}
            Found::Failure => {
                state.failed.insert(id.clone());
                let opens = state.open_until.is_none() && state.failed.len() >= FAILURES;
                if opens || leave == Leave::Probe {
                    state.open_until = Some(now + terms.backoff);
                }
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn id(name: &str) -> CredentialId {
        name.parse().expect("an id")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    struct Tried {
        breaker: Breaker,
        terms: Terms,
    }

    impl Tried {
        fn new() -> Self {
            let terms = Terms::with_grace(SignedDuration::from_mins(8));
            Self { breaker: Breaker::default(), terms }
        }

        fn leave(&self, name: &str, second: i64) -> Leave {
            self.breaker.leave(&id(name), at(second), &self.terms)
        }

        fn found(&self, name: &str, leave: Leave, found: Found, second: i64) {
            self.breaker.found(&id(name), leave, found, at(second), &self.terms);
        }

        fn opened() -> Self {
            let tried = Self::new();
            for name in ["a", "b", "c"] {
                assert_eq!(tried.leave(name, 0), Leave::Granted);
                tried.found(name, Leave::Granted, Found::Failure, 0);
            }
            tried
        }
    }

    #[test]
    fn it_opens_after_three_failures_probes_once_and_closes_on_success() {
        let tried = Tried::opened();
        assert_eq!(tried.leave("d", 59), Leave::Refused);
        assert_eq!(tried.leave("d", 60), Leave::Probe);
        assert_eq!(tried.leave("e", 60), Leave::Refused, "one probe at a time");
        tried.found("d", Leave::Probe, Found::Failure, 61);
        assert_eq!(tried.leave("e", 120), Leave::Refused);
        assert_eq!(tried.leave("e", 121), Leave::Probe);
        tried.found("e", Leave::Probe, Found::Nothing, 121);
        assert_eq!(tried.leave("f", 121), Leave::Probe, "a probe that asked nothing is given back");
        tried.found("f", Leave::Probe, Found::Success, 121);
        assert_eq!(tried.leave("a", 121), Leave::Granted);
    }

    #[test]
    fn a_probe_that_never_comes_back_does_not_keep_it_open() {
        let tried = Tried::opened();
        assert_eq!(tried.leave("d", 60), Leave::Probe);
        assert_eq!(tried.leave("e", 99), Leave::Refused);
        assert_eq!(tried.leave("e", 100), Leave::Probe);
    }

    #[test]
    fn one_that_always_fails_neither_opens_it_nor_takes_the_probes_of_others() {
        let tried = Tried::new();
        for second in 0..10 {
            tried.found("a", Leave::Granted, Found::Failure, second);
        }
        assert_eq!(tried.leave("b", 10), Leave::Granted);

        let tried = Tried::opened();
        assert_eq!(tried.leave("a", 60), Leave::Refused, "others come first");
        assert_eq!(tried.leave("d", 60), Leave::Probe);
        let alone = Tried::opened();
        assert_eq!(alone.leave("a", 120), Leave::Probe, "and if there are none, it may");
        // What fails although it had no leave does not put the next probe off.
        let urgent = Tried::opened();
        urgent.found("a", Leave::Refused, Found::Failure, 59);
        assert_eq!(urgent.leave("d", 60), Leave::Probe);
    }
}
