//! What is counted. A metric is a name of this table and a number; no text of a request or a secret can get
//! into one.
//!
//! A function counts into a [`Tally`] while it works; its `main.rs` hands the tally to `telemetry::write` at
//! the end of each invocation, and that is one line in CloudWatch's embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//! To count something new, add a line to the table and call [`Tally::add`].

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

/// The namespace of all of them.
pub const NAMESPACE: &str = "Bucketwheel";
/// The one dimension: the function's name in AWS, which begins with the stack's.
pub const DIMENSION: &str = "function";

/// Makes the enum, its names, and the list of all.
macro_rules! metrics {
    ($($(#[doc = $meaning:literal])+ $metric:ident = $name:literal,)+) => {
        /// One thing that is counted. Its doc is its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $($(#[doc = $meaning])+ $metric,)+
        }

        impl Metric {
            /// Every metric there is.
            pub const ALL: &[Self] = &[$(Self::$metric,)+];

            /// Its name in CloudWatch.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$metric => $name,)+
                }
            }
        }
    };
}

metrics! {
    // webhook-ingest
    /// Deliveries put on the events queue.
    DeliveryAccepted = "delivery_accepted",
    /// Of those, how many while the table could not be asked whether others wait before them.
    DeliveryUnasked = "delivery_unasked",
    /// Deliveries that wait in the table, because the queue did not take them.
    DeliveryParked = "delivery_parked",
    /// Deliveries that a filter dropped.
    DeliveryFiltered = "delivery_filtered",
    /// Deliveries refused because no signature can be read.
    RejectedUnsigned = "rejected_unsigned",
    /// Deliveries refused because the signature is wrong, or the credential is unknown.
    RejectedSignature = "rejected_signature",
    /// Deliveries refused because they are too large.
    RejectedSize = "rejected_size",
    /// Deliveries that could not be stored: answered 503, so that Bitbucket sends again.
    DeliveryUnavailable = "delivery_unavailable",
    /// Runs of the drain.
    Drain = "drain",
    /// Parked deliveries that it put on the queue.
    Drained = "drained",
    /// Drains after which something still waits.
    DrainLeft = "drain_left",

    // token-refresh
    /// Sweeps that ended.
    Sweep = "sweep",
    /// Sweeps that left something for the next one.
    SweepCutShort = "sweep_cut_short",
    /// Runs that brought a new pair.
    RefreshRotated = "refresh_rotated",
    /// Runs that failed and are tried again.
    RefreshTransient = "refresh_transient",
    /// Runs that found another one at work.
    RefreshContested = "refresh_contested",
    /// Runs whose pair waits on the refresh queue, because the table did not take it.
    RefreshParked = "refresh_parked",
    /// Runs after which the chain may be lost.
    RefreshSuspect = "refresh_suspect",
    /// Runs after which the chain is certainly lost.
    RefreshRevoked = "refresh_revoked",
    /// Runs that failed for a reason that an operator must mend.
    RefreshMisconfigured = "refresh_misconfigured",
    /// Runs held back, because Bitbucket fails.
    RefreshHeldBack = "refresh_held_back",
    /// Credentials that came up.
    CredentialUp = "credential_up",
    /// Credentials that became degraded.
    CredentialDegraded = "credential_degraded",
    /// Credentials that went down.
    CredentialDown = "credential_down",
    /// Credentials that an operator switched off.
    CredentialDisabled = "credential_disabled",
    /// Chains that a run met with a spend whose end nobody has stored yet.
    OpenIntent = "open_intent",
    /// Chains that can still be saved, if something happens soon.
    ChainEndangered = "chain_endangered",
    /// Chains whose token was refused and is being confirmed, or whose grace window is over.
    ChainDoubtful = "chain_doubtful",
    /// Tokens made by hand that were tried.
    TokenProbed = "token_probed",
    /// Tokens made by hand that were looked at and expire soon, or have expired.
    TokenExpiring = "token_expiring",

    // api-worker
    /// Answers of Bitbucket with a status of 200 to 399.
    Answer2xx = "answer_2xx",
    /// Answers of Bitbucket with a status of 400 to 499, without 429.
    Answer4xx = "answer_4xx",
    /// Answers of Bitbucket that the allowance is used up.
    Answer429 = "answer_429",
    /// Answers of Bitbucket with a status of 500 to 599.
    Answer5xx = "answer_5xx",
    /// Requests that may have reached Bitbucket, and whose answer did not come.
    AnswerLost = "answer_lost",
    /// Requests that did not reach Bitbucket.
    AnswerUnsent = "answer_unsent",
    /// Calls that succeeded.
    CallSucceeded = "call_succeeded",
    /// Calls that failed.
    CallFailed = "call_failed",
    /// Calls of which nobody can say whether they were done.
    CallUnknown = "call_unknown",
    /// Calls that were not made in time.
    CallExpired = "call_expired",
    /// Messages that are no calls.
    CallMalformed = "call_malformed",
    /// Deliveries that came, where missed events are searched for.
    EventCame = "event_came",
    /// Events that never came, and were made up for.
    EventMissed = "event_missed",
    /// Of those, how many came after all.
    EventLate = "event_late",
    /// Seconds that the slowest delivery took which a sweep has seen, where Bitbucket says when it happened.
    EventDelay = "event_delay_seconds",
    // gitops-sync
    /// Runs of gitops-sync.
    GitopsRun = "gitops_run",
    /// Attachments that a run left in step, or as far as they come for now.
    GitopsRested = "gitops_rested",
    /// Attachments that a run left while answers to their calls were still to come.
    GitopsWaiting = "gitops_waiting",
    /// Attachments that a run could not work on, because the table or a queue failed.
    GitopsFailed = "gitops_failed",
    /// Steps that failed and are tried again: Bitbucket refused a call, or did not answer it.
    GitopsTrouble = "gitops_trouble",
    /// Messages on the changes queue.
    GitopsTold = "gitops_told",

    // api-worker's allowance
    /// What is left of the hourly allowance, as the last request found it.
    BudgetLeft = "budget_left",
    /// Requests that had to wait, because the hourly allowance is used up.
    BudgetExhausted = "budget_exhausted",
}

/// What one invocation has counted so far.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<Metric, u64>>);

impl Tally {
    /// Counts `number` more. Nought is written too: it says that there was somebody to count.
    pub fn add(&self, metric: Metric, number: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(metric).or_default() += number;
    }

    /// Says how much there is of something; what was said before is forgotten.
    pub fn set(&self, metric: Metric, number: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(metric, number);
    }

    /// All counts, and begins anew.
    pub fn take(&self) -> BTreeMap<Metric, u64> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The counts as CloudWatch reads them out of a log; none where nothing was counted.
pub fn line(function: &str, counts: &BTreeMap<Metric, u64>, now: Timestamp) -> Option<Value> {
    if counts.is_empty() {
        return None;
    }
    let metrics: Vec<_> =
        counts.keys().map(|metric| json!({"Name": metric.name(), "Unit": "Count"})).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}
            ],
        },
        DIMENSION: function,
    });
    for (metric, count) in counts {
        line[metric.name()] = json!(count);
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_count_is_named_in_the_directive_and_stands_at_the_root() {
        let tally = Tally::default();
        tally.add(Metric::CredentialDown, 1);
        tally.add(Metric::CredentialDown, 1);
        tally.set(Metric::BudgetLeft, 9);
        tally.set(Metric::BudgetLeft, 7);
        let line = line("stack-f", &tally.take(), Timestamp::from_second(1).unwrap()).unwrap();
        let expected = json!({
            "_aws": {
                "Timestamp": 1_000,
                "CloudWatchMetrics": [{
                    "Namespace": "Bucketwheel",
                    "Dimensions": [["function"]],
                    "Metrics": [
                        {"Name": "credential_down", "Unit": "Count"},
                        {"Name": "budget_left", "Unit": "Count"},
                    ],
                }],
            },
            "function": "stack-f",
            "credential_down": 2,
            "budget_left": 7,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn what_is_taken_is_counted_once() {
        let tally = Tally::default();
        tally.add(Metric::Sweep, 0);
        assert_eq!(tally.take(), BTreeMap::from([(Metric::Sweep, 0)]));
        assert_eq!(line("f", &tally.take(), Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn names_are_told_apart_and_fit_one_line() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        assert!(names.len() <= 100, "CloudWatch takes a hundred metrics in one directive");
        assert!(!names.contains(DIMENSION));
    }
}
