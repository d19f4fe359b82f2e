//! What a step works with, and what it leads to.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Batch, Commit, Known, Line, Put, Side, State, Step, Told, What};
use crate::call::Problem;

/// How often an attachment is looked at that nobody calls: this finds what no webhook told.
const RECONCILE: SignedDuration = SignedDuration::from_mins(15);
/// When work that was left half-way is taken up.
pub(super) const RESUME: SignedDuration = SignedDuration::from_mins(1);

/// What a step works with, besides its answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// The oldest put that waits, with its name; in `Committing` the one that is being made.
    pub put: Option<(String, Put)>,
    /// In `Reading`: the next batch, with its number.
    pub batch: Option<(u32, Batch)>,
    /// What is known of the batch's files; in `Listing` of all files. By path from the repository's root.
    pub known: BTreeMap<String, Known>,
}

/// What comes next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Next {
    /// The new state.
    pub state: State,
    /// What the changes queue is told first, in this order.
    pub told: Vec<Told>,
    /// What is known of files from now on; none if the file is gone.
    pub known: Vec<(String, Option<Known>)>,
    /// Lines for the history.
    pub lines: Vec<Line>,
    /// What is to be read.
    pub batches: Vec<Batch>,
    /// The batch that is done.
    pub read: Option<u32>,
    /// The put that is done.
    pub put: Option<String>,
}

impl Next {
    pub(super) fn line(
        &mut self,
        now: Timestamp,
        side: Side,
        what: What,
        commit: Option<&Commit>,
    ) -> &mut Line {
        self.lines.push(Line {
            at: now,
            what,
            side,
            path: String::new(),
            commit: commit.cloned(),
            note: String::new(),
        });
        let last = self.lines.len() - 1;
        &mut self.lines[last]
    }

    pub(super) fn turn(&mut self, step: Step, now: Timestamp) {
        self.state.turn += 1;
        self.state.tries = 0;
        // The question is asked after the call, so its answer serves whoever called.
        self.state.woken &= step != Step::Looking;
        self.state.trouble = None;
        self.state.due_at = now + if step == Step::Idle { RECONCILE } else { RESUME };
        self.state.step = step;
    }

    /// The same step once more, later.
    pub(super) fn failed(&mut self, problem: Problem, now: Timestamp) {
        self.state.turn += 1;
        self.state.tries += 1;
        let minutes = 1_i64 << self.state.tries.saturating_sub(1).min(4);
        self.state.due_at = now + SignedDuration::from_mins(minutes).min(RECONCILE);
        self.state.trouble = Some(problem);
    }
}
