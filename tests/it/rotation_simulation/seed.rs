//! One seed: three refreshers, three credentials, and what goes wrong.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bucketwheel::connect::{Link, Ticket};
use bucketwheel::credential::{Credential, CredentialId};
use bucketwheel::memory::{MemoryQueue, MemoryTable};
use bucketwheel::ports::{Edge as _, Outgoing, Queue as _, Table, TableError, Write};
use bucketwheel::rotation::Upkeep;
use bucketwheel::store::tokens::{self, Rings, SealedPair};
use bucketwheel::store::{connects, credentials};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use token_refresh::Report;

use super::world::{Dice, Shared, Simulated, World, epoch, refresher, ring, set};
use super::{Tally, judge, locked};
use crate::rotation_model::provider::{Answers, Provider, Replay, Variant};

pub(super) const CREDENTIALS: u8 = 3;
/// Lambda ends a function after so long.
const LIFE: Duration = Duration::from_secs(120);
/// By then the last chain that cannot be saved is known to be lost: one of them waits for the other.
const END: i64 = 4 * 3600;

/// Runs one seed; gives the provider's window and what happened, or says what went wrong.
pub(super) async fn simulate(seed: u64) -> Result<(i64, Tally), String> {
    let shared = shared(Dice::new(seed));
    let (world, parking) = (World(shared.clone()), MemoryQueue::default());
    for n in 0..CREDENTIALS {
        let writes = connect(&id(n), n, None, epoch() - SignedDuration::from_hours(2));
        world.0.table.write(writes).await.expect("connected");
    }
    let skew = || i64::try_from(shared.dice.below(601)).expect("small") - 300;
    let refreshers = [skew(), skew(), skew()].map(|skew| Arc::new(refresher(&world, &parking, skew)));
    let mut queue = Vec::new();
    while shared.faulty() {
        if shared.dice.hits(2) {
            let nudge = json!({ "credential": id(any_credential(&shared)) }).to_string();
            queue.extend([nudge.clone(), nudge]);
        }
        if shared.dice.hits(8) {
            tokio::task::spawn_local(reconnect(world.clone(), any_credential(&shared)));
        }
        round(&refreshers, &parking, &mut queue);
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    // Now everything calms down. A sweep comes each minute, by anybody.
    let mut untold = [None; CREDENTIALS as usize];
    while shared.second() < END && !(queue.is_empty() && judge::settled(&shared).await) {
        judge::told_in_time(&shared, &mut untold).await;
        round(&refreshers, &parking, &mut queue);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let lost = judge::verdict(&shared).await.map_err(|breach| format!("{breach}; {:?}", shared.variant))?;
    let tally = *locked(&shared.tally);
    Ok((shared.variant.grace, Tally { seeds: 1, chains: CREDENTIALS.into(), lost, ..tally }))
}

fn shared(dice: Dice) -> Arc<Shared> {
    let variant = Variant {
        grace: dice.one_of([0, 45, 600]),
        replay: dice.one_of([Replay::Same, Replay::Sibling, Replay::Revoking]),
        family: dice.hits(2),
        answers: match dice.below(8) {
            0 => Answers::SameToken,
            1 => Answers::NoToken,
            _ => Answers::Successor,
        },
        lockout: 120,
    };
    let mut provider = Provider { tokens: Vec::new(), locked_until: 0 };
    (0..CREDENTIALS).for_each(|consent| assert_eq!(provider.consent(consent), consent));
    Arc::new(Shared {
        began: tokio::time::Instant::now(),
        provider: Mutex::new(provider),
        variant,
        table: MemoryTable::default(),
        heard: Mutex::default(),
        table_back: if dice.hits(4) { 60 + i64::try_from(dice.below(60)).expect("small") } else { 0 },
        tally: Mutex::default(),
        under_way: Mutex::default(),
        newest: Mutex::default(),
        breach: Mutex::default(),
        dice,
    })
}

/// One sweep, and whatever of the queue comes now: in any order, and some of it again later.
fn round(refreshers: &[Arc<Simulated>; 3], parking: &MemoryQueue, queue: &mut Vec<String>) {
    let shared = &refreshers[0].edge.shared;
    queue.extend(parking.take().into_iter().map(|message| message.body.into_owned()));
    let mut calls = vec![None];
    for _ in 0..queue.len() {
        let which = usize::try_from(shared.dice.below(queue.len() as u64)).expect("small");
        if shared.faulty() && shared.dice.hits(3) {
            continue;
        }
        let again = shared.faulty() && shared.dice.hits(4);
        calls.push(Some(if again { queue[which].clone() } else { queue.swap_remove(which) }));
    }
    for message in calls {
        let refresher = refreshers[usize::try_from(shared.dice.below(3)).expect("small")].clone();
        tokio::task::spawn_local(invoke(refresher, message, parking.clone()));
    }
}

/// One invocation: a message of the queue, or the schedule's tick.
async fn invoke(refresher: Arc<Simulated>, message: Option<String>, parking: MemoryQueue) {
    let shared = &refresher.edge.shared;
    let event = match &message {
        Some(body) => json!({ "Records": [{ "messageId": "m", "body": body }] }),
        None => json!({}),
    };
    let awaits = if shared.faulty() && shared.dice.hits(3) { 1 + shared.dice.below(60) } else { u64::MAX };
    let stop_at = refresher.edge.now() + SignedDuration::try_from(LIFE).expect("a short life");
    let mortal = Mortal { handled: Box::pin(refresher.handle(&event, stop_at)), awaits };
    let report = tokio::time::timeout(LIFE, mortal).await.ok().flatten();
    if report.is_none() {
        shared.count(|tally| tally.kills += 1);
    }
    // A message whose handler failed or died comes again.
    if let Some(body) = message.filter(|_| report.is_none_or(|report| !report.again.is_empty())) {
        parking.send(Outgoing::plain(body)).await.expect("the queue takes it back");
    }
}

/// A run that dies at the given await.
struct Mortal<F> {
    handled: Pin<Box<F>>,
    awaits: u64,
}

impl<F: Future<Output = Report>> Future for Mortal<F> {
    type Output = Option<Report>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(report) = self.handled.as_mut().poll(context) {
            return Poll::Ready(Some(report));
        }
        self.awaits -= 1;
        if self.awaits == 0 { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// A person consents anew by a link of their own, and the answer is stored whatever a refresh does meanwhile.
async fn reconnect(world: World, n: u8) {
    let (shared, id) = (&world.0, id(n));
    let now = epoch() + SignedDuration::from_secs(shared.second());
    let token = {
        let mut provider = locked(&shared.provider);
        let consents = provider.tokens.iter().map(|token| token.consent).max().unwrap_or(0);
        provider.consent(consents + 1)
    };
    shared.count(|tally| tally.reconnects += 1);
    let ticket = Ticket::presented(&token.to_string());
    let link = connects::offer(&ticket, &Link::sample(id.clone(), now + SignedDuration::from_hours(1)));
    shared.table.write(vec![link]).await.expect("offered");
    for _ in 0..8 {
        let (Ok(Some(found)), Ok(Some(known))) =
            (tokens::get(&world, &id).await, credentials::get(&world, &id).await)
        else {
            continue;
        };
        let mut writes = connect(&id, token, Some((found.chain().generation, &known)), now);
        // A write without an answer may have taken place. Then the link is used up, and this consent, whose
        // token may be spent by now, cannot be written once more.
        writes.push(connects::use_up(&ticket.digest()));
        if !matches!(world.write(writes).await, Err(TableError::Refused | TableError::Unavailable(_))) {
            return;
        }
    }
}

/// What a connect writes, over what it has read before, if there was anything.
fn connect(id: &CredentialId, token: u8, before: Option<(u64, &Credential)>, now: Timestamp) -> Vec<Write> {
    let generation = before.map_or(1, |(generation, _)| generation + 1);
    let ring = ring();
    let rings = Rings { access: &ring, refresh: &ring };
    let pair = SealedPair::seal(rings, id, generation, &set(Some(token), now), None, [[token; 24]; 2]);
    let revision = before.map_or(1, |(_, known)| known.revision + 1);
    let credential = Credential { revision, ..Credential::sample(id.clone(), now) };
    let before = before.map(|(generation, _)| generation);
    // As the page that stores a consent does: the refresher looks at once, and tells that it works again.
    let due = if before.is_some() { now } else { now + SignedDuration::from_mins(100) };
    vec![tokens::connect(id, &pair, before, Upkeep::Hot, now, due), credentials::put(&credential)]
}

pub(super) fn id(n: u8) -> CredentialId {
    format!("c{n}").parse().expect("an id")
}

fn any_credential(shared: &Shared) -> u8 {
    shared.dice.one_of([0, 1, 2])
}
