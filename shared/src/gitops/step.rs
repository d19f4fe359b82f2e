//! What comes next: a pure function of the state and of what Bitbucket answered.
//!
//! ```text
//!            ┌───────────────── a push, a put, or the time has come
//!            ▼
//! Idle ─▶ Looking ── the tip is known ──▶ a put waits? ──▶ Committing ─┐
//!   ▲        │  ▲                              │ no                    │
//!   │        │  └──────────────────────────────┼───────────────────────┘
//!   └────────┼────────────────────────────────-┘
//!            ├── another tip ──▶ Comparing ──▶ Reading, batch by batch ──▶ Looking
//!            └── no known commit, or Bitbucket has lost it ──▶ Listing ──▶ Reading
//! ```
//!
//! The branch's tip decides, not what an event says: so truncated, doubled, late and lost events, merges
//! and force pushes are all the same. A file comes out as a change only where its content differs from what
//! our side knows, so our own commits never come back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::answers::Answered;
use super::next::RESUME;
use super::{
    Attachment, BATCH, Batch, Change, Commit, Known, Next, Operation, Side, State, Step, Told, What, Work,
};
use crate::call::Problem;

/// After so many failures a file is told without its content.
const LAST_TRY: u32 = 3;

/// Begins, or begins again: somebody called, or the time has come.
pub fn begin(mut state: State, now: Timestamp) -> Next {
    let resumes = state.trouble.take().is_some() && state.step != Step::Idle;
    state.woken = false;
    let mut next = Next { state, ..Next::default() };
    if resumes {
        next.state.due_at = now + RESUME;
    } else {
        next.turn(Step::Looking, now);
    }
    next
}

/// Takes the answers to [`wanted`](super::wanted) and says what comes next.
pub fn step(
    attachment: &Attachment,
    state: State,
    work: &Work,
    answers: &[Answered],
    now: Timestamp,
) -> Next {
    let mut next = Next { state, ..Next::default() };
    let step = next.state.step.clone();
    let taken = match (&step, answers) {
        (Step::Idle, _) => Ok(()),
        (Step::Looking, [branch]) => next.looked(work, branch, now),
        (Step::Comparing { tip }, [differing, commits, dropped]) => {
            next.compared(attachment, tip, [differing, commits, dropped], now)
        }
        (Step::Listing { tip }, [listing]) => next.listed(work, tip, listing, now),
        (Step::Reading { tip, by, .. }, answers) => {
            next.read(attachment, work, (tip, by.as_ref()), answers, now)
        }
        (Step::Committing { put }, answers) => next.committed(attachment, put, work, answers.first(), now),
        _ => Err(Problem::new("no_answer", "An answer is missing.", "It is asked again.")),
    };
    if let Err(problem) = taken {
        let Next { mut state, .. } = next;
        state.step = step;
        next = Next { state, ..Next::default() };
        next.failed(problem, now);
    }
    next
}

impl Next {
    fn looked(&mut self, work: &Work, branch: &Answered, now: Timestamp) -> Result<(), Problem> {
        let stand = branch.stand()?;
        self.state.repository = stand.repository.or(self.state.repository.take());
        let Some(tip) = stand.tip else {
            if let (Some(head), false) = (&self.state.head, self.state.branch_gone) {
                self.told.push(Told::BranchDeleted { head: head.clone() });
                self.state.branch_gone = true;
                self.line(now, Side::Bitbucket, What::BranchDeleted, None);
            }
            // A branch that never was is made by the first commit. One that was deleted stays so.
            self.rest_or_commit(work, now);
            return Ok(());
        };
        if std::mem::take(&mut self.state.branch_gone) {
            self.told.push(Told::BranchBack { tip: tip.clone() });
            self.line(now, Side::Bitbucket, What::BranchBack, Some(&tip));
        }
        match &self.state.head {
            Some(head) if *head == tip.hash => self.rest_or_commit(work, now),
            Some(_) => self.turn(Step::Comparing { tip }, now),
            None => self.turn(Step::Listing { tip }, now),
        }
        Ok(())
    }

    fn rest_or_commit(&mut self, work: &Work, now: Timestamp) {
        self.state.settled_at = Some(now);
        match &work.put {
            Some((put, _)) if !self.state.branch_gone => {
                self.turn(Step::Committing { put: put.clone() }, now)
            }
            _ => self.turn(Step::Idle, now),
        }
    }

    fn compared(
        &mut self,
        attachment: &Attachment,
        tip: &Commit,
        [differing, commits, dropped]: [&Answered; 3],
        now: Timestamp,
    ) -> Result<(), Problem> {
        if [differing, commits, dropped].iter().any(|answer| answer.is_missing()) {
            // The known commit is no longer there.
            self.turn(Step::Listing { tip: tip.clone() }, now);
            return Ok(());
        }
        differing.result()?;
        let commits = commits.commits()?;
        for commit in dropped.commits()? {
            self.line(now, Side::Bitbucket, What::Dropped, Some(&commit));
        }
        let by = match commits.as_slice() {
            [one] => Some(one.clone()),
            several => {
                for commit in several.iter().rev() {
                    self.line(now, Side::Bitbucket, What::Commit, Some(commit));
                }
                None
            }
        };
        // What a rewritten history took away was changed by no commit that is still there.
        let by = by.filter(|_| self.lines.is_empty());
        let within =
            |path: &str| path.strip_prefix(&attachment.folder).is_some_and(|rest| rest.starts_with('/'));
        let paths: BTreeMap<_, _> =
            differing.differing().into_iter().filter(|(path, _)| within(path)).collect();
        let base = self.state.head.clone();
        let of = self.state.turn;
        self.begin_reading(paths, Step::Reading { tip: tip.clone(), base, by, of }, now);
        Ok(())
    }

    fn listed(
        &mut self,
        work: &Work,
        tip: &Commit,
        listing: &Answered,
        now: Timestamp,
    ) -> Result<(), Problem> {
        // Without the folder there is nothing in it.
        if !listing.is_missing() {
            listing.result()?;
        }
        let there: BTreeSet<_> = listing.listed().into_iter().collect();
        let gone = work.known.keys().filter(|path| !there.contains(*path)).map(|path| (path.clone(), false));
        let paths: BTreeMap<_, _> = gone.chain(there.iter().map(|path| (path.clone(), true))).collect();
        if self.state.head.is_some() {
            self.line(now, Side::Bitbucket, What::Listed, Some(tip));
        }
        let of = self.state.turn;
        self.begin_reading(paths, Step::Reading { tip: tip.clone(), base: None, by: None, of }, now);
        Ok(())
    }

    fn begin_reading(&mut self, paths: BTreeMap<String, bool>, reading: Step, now: Timestamp) {
        let paths: Vec<_> = paths.into_iter().collect();
        self.batches = paths.chunks(BATCH).map(|files| Batch { files: files.to_vec() }).collect();
        self.turn(reading, now);
    }

    fn read(
        &mut self,
        attachment: &Attachment,
        work: &Work,
        (tip, by): (&Commit, Option<&Commit>),
        answers: &[Answered],
        now: Timestamp,
    ) -> Result<(), Problem> {
        let Some((number, batch)) = &work.batch else {
            // Everything is read. Somebody may have pushed meanwhile.
            self.state.head = Some(tip.hash.clone());
            self.turn(Step::Looking, now);
            return Ok(());
        };
        let mut answers = answers.iter();
        let mut take =
            || answers.next().ok_or_else(|| Problem::new("no_answer", "An answer is missing.", ""));
        let last_try = self.state.tries + 1 >= LAST_TRY;
        for (path, there) in &batch.files {
            let content = if *there { Some(take()?.content(last_try)?) } else { None };
            let by = match by {
                Some(by) => by.clone(),
                // No commit since the known one touched it: moving the branch did.
                None => take()?.commits()?.into_iter().next().unwrap_or_else(|| tip.clone()),
            };
            let known = work.known.get(path);
            let new = content.as_ref().map(|content| Known {
                digest: content.digest(&tip.hash),
                size: content.size(),
                commit: by.hash.clone(),
            });
            let (operation, what) = match (known, &new) {
                (None, None) => continue,
                (Some(old), Some(new)) if old.digest == new.digest => continue,
                (None, Some(_)) => (Operation::Added, What::Added),
                (Some(_), Some(_)) => (Operation::Modified, What::Modified),
                (Some(_), None) => (Operation::Removed, What::Removed),
            };
            let inside =
                path.strip_prefix(&attachment.folder).unwrap_or(path).trim_start_matches('/').to_owned();
            self.line(now, Side::Bitbucket, what, Some(&by)).path.clone_from(&inside);
            self.known.push((path.clone(), new));
            self.told.push(Told::Change(Change {
                operation,
                path: inside,
                content,
                by,
                tip: tip.hash.clone(),
            }));
        }
        self.read = Some(*number);
        self.turn(self.state.step.clone(), now);
        Ok(())
    }

    fn committed(
        &mut self,
        attachment: &Attachment,
        name: &str,
        work: &Work,
        answer: Option<&Answered>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        self.put = Some(name.to_owned());
        let (Some((_, put)), Some(answer)) = (&work.put, answer) else {
            self.turn(Step::Looking, now);
            return Ok(());
        };
        let message = put.message.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let author = put.author.clone().unwrap_or_default();
        match answer.result() {
            Ok(made) => {
                let hash = made["commit"].as_str().unwrap_or_default().to_owned();
                let commit = Commit {
                    hash,
                    author,
                    date: now.to_string(),
                    message: message.to_owned(),
                    account: None,
                };
                for file in &put.files {
                    let content = file.content()?.map(super::Content::Bytes);
                    let known = content.as_ref().map(|content| Known {
                        digest: content.digest(&commit.hash),
                        size: content.size(),
                        commit: commit.hash.clone(),
                    });
                    self.known.push((format!("{}/{}", attachment.folder, file.path), known.clone()));
                    // The branch may have had all of it already.
                    if made["changed"] == false {
                        continue;
                    }
                    let what = if known.is_some() { What::Modified } else { What::Removed };
                    self.line(now, Side::Us, what, Some(&commit)).path.clone_from(&file.path);
                }
            }
            // It is not made again. If it was made, the next look shows it.
            Err(problem) => {
                let unknown = problem.code == "outcome_unknown";
                let what = if unknown { What::Unknown } else { What::Refused };
                self.line(now, Side::Us, what, None).note = format!("{}: {}", problem.code, problem.cause);
            }
        }
        self.turn(Step::Looking, now);
        Ok(())
    }
}
