//! Where a run is killed.

use std::time::Duration;

use crate::lambda::{Fault, Trouble, no_trouble};

const WRITE: &str = "DynamoDB_20120810.UpdateItem";
const SPEND: &str = "POST /site/oauth2/access_token";

/// A place in a run of token-refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    Claiming,
    Claimed,
    Spending,
    Spent,
    Committing,
    Committed,
    Anywhere,
}

pub(super) const POINTS: [Point; 7] = [
    Point::Spent,
    Point::Claimed,
    Point::Committing,
    Point::Anywhere,
    Point::Spending,
    Point::Committed,
    Point::Claiming,
];

impl Point {
    pub(super) fn words(self) -> &'static str {
        match self {
            Point::Claiming => "before the claim is written",
            Point::Claimed => "after the claim, before the spend",
            Point::Spending => "while the spend is on its way",
            Point::Spent => "after Bitbucket rotated",
            Point::Committing => "with the pair, before the commit",
            Point::Committed => "after the commit, unacknowledged",
            Point::Anywhere => "at any time",
        }
    }

    /// What the driver does, and after how long it kills where only chance decides.
    pub(super) fn trouble(self, random: u64) -> (Trouble, Option<Duration>) {
        let (request, spent, fault) = match self {
            Point::Claiming => (WRITE, false, Fault::KilledBefore),
            Point::Claimed => (WRITE, false, Fault::KilledAfter),
            Point::Spending => (SPEND, false, Fault::KilledBefore),
            Point::Spent => (SPEND, false, Fault::KilledAfter),
            Point::Committing => (WRITE, true, Fault::KilledBefore),
            Point::Committed => (WRITE, true, Fault::KilledAfter),
            Point::Anywhere => {
                // SplitMix64's last step.
                let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33;
                return (no_trouble(), Some(Duration::from_millis(mixed % 400)));
            }
        };
        let here = move |steps: &[String]| {
            let (now, before) = steps.split_last()?;
            let there = now == request && before.iter().any(|step| step == SPEND) == spent;
            there.then_some(fault)
        };
        (Box::new(here), None)
    }
}
