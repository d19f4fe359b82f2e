//! The judgement of one sweep over one repository.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::facts::{Fact, Said};
use super::{BELIEVED, Came, Extent, GRACE, Heads, Kind, MadeUp, Missed, Reading, Thing};

/// For so long it is known what was made up for, so that a late delivery is seen to be one.
const LATE: SignedDuration = SignedDuration::from_hours(72);
/// How much of that is known at most.
const MOST_MADE_UP: usize = 100;
/// How old what is stored of an unchanged repository may become before it is stored anew.
const STORED_ANEW: SignedDuration = SignedDuration::from_hours(12);

/// What a sweep comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What is to be remembered; none if nothing is to be written.
    pub heads: Option<Heads>,
    /// What no delivery has told.
    pub missed: Vec<Missed>,
    /// How late the deliveries came that had been made up for.
    pub late: Vec<SignedDuration>,
    /// The deliveries that are not needed any more, by their places in the list.
    pub done: Vec<usize>,
}

/// Judges what was found before by what has come since, and finds what is to be judged next time.
///
/// What is remembered from before `since`, or is older than [`BELIEVED`], is not judged: then only what
/// stands now is remembered.
pub fn judge(
    before: Option<Heads>,
    since: Timestamp,
    reading: &Reading,
    came: &[Came],
    now: Timestamp,
) -> Judgement {
    let fresh = |heads: &Heads| heads.read_at >= since && now.duration_since(heads.read_at) < BELIEVED;
    let Some(before) = before.filter(fresh) else { return first(reading, came) };
    if !before.pending.is_empty() && now.duration_since(before.read_at) < GRACE {
        return Judgement::default();
    }
    let mut heads = before.clone();
    let mut judgement = Judgement::default();
    let mut used = BTreeSet::new();
    for (of, is) in std::mem::take(&mut heads.pending) {
        let facts = facts_of(came, &of);
        let was = match &is {
            Some(is) => heads.known.insert(of.clone(), is.clone()),
            None => heads.known.remove(&of),
        };
        let missed = match of.kind() {
            Kind::Refs => moved(of, was, is, &facts, &mut used),
            Kind::Pulls => pulled(of, was, is, &facts),
        };
        judgement.missed.extend(missed);
    }
    judgement.late = late(&mut heads.synthetic, came, now);
    let made_up = judgement.missed.iter().map(|missed| MadeUp { missed: missed.clone(), at: now });
    heads.synthetic.extend(made_up);
    let spare = heads.synthetic.len().saturating_sub(MOST_MADE_UP);
    heads.synthetic.drain(..spare);
    heads.find(reading);
    judgement.done = done(&heads, reading, came, &used);
    let same = Heads { read_at: before.read_at, ..heads.clone() } == before;
    if !same || now.duration_since(before.read_at) > STORED_ANEW {
        judgement.heads = Some(heads);
    }
    judgement
}

/// A repository that is seen for the first time: what happened before is nobody's concern.
fn first(reading: &Reading, came: &[Came]) -> Judgement {
    let heads = Heads {
        known: reading.heads.clone(),
        refs: reading.refs,
        pulls: reading.pulls,
        read_at: reading.at,
        ..Heads::default()
    };
    let done = done(&heads, reading, came, &BTreeSet::new());
    Judgement { heads: Some(heads), done, ..Judgement::default() }
}

type OfThing<'a> = Vec<((usize, usize), &'a Said)>;

/// What came of one thing, with its places: which delivery, and which fact of it.
fn facts_of<'a>(came: &'a [Came], of: &Thing) -> OfThing<'a> {
    let all = came.iter().enumerate().flat_map(|(number, came)| {
        let facts = came.facts.facts.iter().enumerate();
        facts.map(move |(at, fact)| ((number, at), fact))
    });
    all.filter(|(_, fact)| fact.of == *of).map(|(place, Fact { said, .. })| (place, said)).collect()
}

/// Follows the deliveries back from where it stands, and forward from where it stood. What lies between the
/// two ends, if they do not meet, was told by nobody.
fn moved(
    of: Thing,
    was: Option<String>,
    is: Option<String>,
    facts: &OfThing<'_>,
    used: &mut BTreeSet<(usize, usize)>,
) -> Option<Missed> {
    let step = |used: &mut BTreeSet<_>, wanted: &dyn Fn(&Option<String>, &Option<String>) -> bool| {
        let found = facts.iter().rev().find_map(|(place, said)| match said {
            Said::Moved { was, is } if !used.contains(place) && wanted(was, is) => Some((*place, was, is)),
            _ => None,
        })?;
        used.insert(found.0);
        Some((found.1.clone(), found.2.clone()))
    };
    let (mut fore, mut back) = (was, is);
    while back != fore {
        let Some((was, _)) = step(used, &|_, is| *is == back) else { break };
        back = was;
    }
    while fore != back {
        let Some((_, is)) = step(used, &|was, _| *was == fore) else { break };
        fore = is;
    }
    (fore != back).then_some(Missed { of, was: fore, is: back })
}

fn pulled(of: Thing, was: Option<String>, is: Option<String>, facts: &OfThing<'_>) -> Option<Missed> {
    let opened = facts.iter().find_map(|(_, said)| match said {
        Said::Opened { is } => Some(is.clone()),
        _ => None,
    });
    let Some(stands) = &is else {
        let closed = facts.iter().any(|(_, said)| **said == Said::Closed);
        return (!closed).then_some(Missed { of, was, is });
    };
    let Some(was) = was.or(opened) else { return Some(Missed { of, was: None, is }) };
    let told = facts.iter().any(|(_, said)| match said {
        Said::Opened { is } | Said::Changed { is } => is == stands,
        Said::Moved { .. } | Said::Closed => false,
    });
    (was != *stands && !told).then_some(Missed { of, was: Some(was), is })
}

/// Takes away what has come after all, and what is too long ago. Gives how late that was.
fn late(synthetic: &mut Vec<MadeUp>, came: &[Came], now: Timestamp) -> Vec<SignedDuration> {
    let mut late = Vec::new();
    synthetic.retain(|MadeUp { missed, at }| {
        let is_it = |fact: &Fact| {
            fact.of == missed.of
                && match (&fact.said, &missed.was, &missed.is) {
                    (Said::Moved { is, .. }, _, missed) => is == missed,
                    (Said::Opened { .. }, None, _) | (Said::Closed, _, None) => true,
                    (Said::Changed { is }, Some(_), Some(missed)) => is == missed,
                    _ => false,
                }
        };
        let after = came.iter().find(|came| came.at >= *at && came.facts.facts.iter().any(is_it));
        late.extend(after.map(|came| came.at.duration_since(*at)));
        after.is_none() && now.duration_since(*at) < LATE
    });
    late
}

impl Heads {
    /// What stands elsewhere than is known. Of a list that was not read whole, now or before, only what is
    /// on both is compared.
    fn find(&mut self, reading: &Reading) {
        self.read_at = reading.at;
        for kind in [Kind::Refs, Kind::Pulls] {
            let Some(extent) = reading.extent(kind) else { continue };
            let of_kind = reading.heads.iter().filter(|(of, _)| of.kind() == kind);
            let known = match kind {
                Kind::Refs => self.refs.replace(extent),
                Kind::Pulls => self.pulls.replace(extent),
            };
            let Some(known) = known else {
                self.known.extend(of_kind.map(|(of, is)| (of.clone(), is.clone())));
                continue;
            };
            for (of, is) in of_kind {
                match self.known.get(of) {
                    Some(known) if known == is => {}
                    None if known == Extent::Part => {
                        self.known.insert(of.clone(), is.clone());
                    }
                    _ => {
                        self.pending.insert(of.clone(), Some(is.clone()));
                    }
                }
            }
            if extent == Extent::Whole {
                let gone = |of: &&Thing| of.kind() == kind && !reading.heads.contains_key(of);
                let gone: BTreeMap<_, _> =
                    self.known.keys().filter(gone).map(|of| (of.clone(), None)).collect();
                self.pending.extend(gone);
            }
        }
    }
}

/// A delivery is needed while one of its facts may be the end of something that is to be judged. For a while
/// longer, too: Bitbucket's answer may be older than what it has delivered.
fn done(heads: &Heads, reading: &Reading, came: &[Came], used: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let is_done =
        |(number, came): &(usize, &Came)| {
            let old = reading.at.duration_since(came.at) >= GRACE;
            came.facts.facts.iter().enumerate().all(|(at, fact)| {
                used.contains(&(*number, at)) || old && !heads.pending.contains_key(&fact.of)
            })
        };
    came.iter().enumerate().filter(is_done).map(|(number, _)| number).collect()
}
