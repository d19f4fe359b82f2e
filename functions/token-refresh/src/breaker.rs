//! A circuit breaker for our consumer: while Bitbucket is down or refuses everybody, one run after the
//! other is tried instead of all of them.

use std::sync::{Mutex, PoisonError};

use bucketwheel::rotation::Terms;
use jiff::{SignedDuration, Timestamp};

/// So many failures in a row open it.
const FAILURES: u32 = 3;

/// Closed, open until a time, or half-open with one probe under way. It lives as long as the process:
/// a new one finds out by itself.
#[derive(Debug, Default)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Timestamp>,
    probing: bool,
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

/// What came of a run that had leave.
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
    pub(crate) fn leave(&self, now: Timestamp) -> Leave {
        let mut state = self.state();
        match state.open_until {
            None => Leave::Granted,
            Some(until) if now < until || state.probing => Leave::Refused,
            Some(_) => {
                state.probing = true;
                Leave::Probe
            }
        }
    }

    pub(crate) fn found(&self, leave: Leave, found: Found, now: Timestamp, terms: &Terms) {
        let mut state = self.state();
        if leave == Leave::Probe {
            state.probing = false;
        }
        match found {
            Found::Nothing => {}
            Found::Success => (state.failures, state.open_until) = (0, None),
            Found::Failure => {
                state.failures = state.failures.saturating_add(1);
                if state.failures >= FAILURES {
                    state.open_until = now.checked_add(pause(state.failures, terms)).ok();
                }
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Doubles with each failure, up to the longest lockout.
fn pause(failures: u32, terms: &Terms) -> SignedDuration {
    let doublings = failures.saturating_sub(FAILURES).min(10);
    terms.backoff.saturating_mul(1 << doublings).min(terms.lockout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_three_failures_probes_once_and_closes_on_success() {
        let terms = Terms::with_grace(SignedDuration::from_mins(8));
        let at = |second| Timestamp::from_second(second).expect("a time");
        let breaker = Breaker::default();
        for _ in 0..3 {
            assert_eq!(breaker.leave(at(0)), Leave::Granted);
            breaker.found(Leave::Granted, Found::Failure, at(0), &terms);
        }
        assert_eq!(breaker.leave(at(59)), Leave::Refused);
        assert_eq!(breaker.leave(at(60)), Leave::Probe);
        assert_eq!(breaker.leave(at(60)), Leave::Refused, "one probe at a time");
        breaker.found(Leave::Probe, Found::Failure, at(60), &terms);
        assert_eq!(breaker.leave(at(179)), Leave::Refused, "the pause doubles");
        assert_eq!(breaker.leave(at(180)), Leave::Probe);
        breaker.found(Leave::Probe, Found::Nothing, at(180), &terms);
        assert_eq!(breaker.leave(at(180)), Leave::Probe, "a probe that asked nothing is given back");
        breaker.found(Leave::Probe, Found::Success, at(180), &terms);
        assert_eq!(breaker.leave(at(180)), Leave::Granted);
    }
}
