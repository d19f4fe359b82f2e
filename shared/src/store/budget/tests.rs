//! No rolling hour holds more than Bitbucket allows, and nobody takes all of it.

use super::*;
use crate::credential::Kind;
use crate::memory::MemoryTable;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

const LIMITS: Limits = Limits { per_hour: 100 };
const ALLOWANCE: Allowance = Allowance::Repositories;

/// Runs a future that never waits for anything outside.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("the table in memory answers at once"),
    }
}

fn credential(id: &str) -> Credential {
    Credential::sample(id.parse().expect("an id"), at(0))
}

fn ticket(table: &MemoryTable, credential: &Credential, priority: Priority, second: i64) -> Ticket {
    now(take(table, LIMITS, credential, ALLOWANCE, priority, at(second))).expect("the ledger")
}

/// A request of a credential that nobody has heard of, which has used little.
fn taken(table: &MemoryTable, priority: Priority, second: i64) -> bool {
    let fresh = credential(&format!("c{}", table.items().len()));
    matches!(ticket(table, &fresh, priority, second), Ticket::Taken(_))
}

fn count(table: &MemoryTable, credential: &Credential, priority: Priority) -> usize {
    let tickets = (0..200).map(|_| ticket(table, credential, priority, 7_000_000));
    tickets.filter(|ticket| matches!(ticket, Ticket::Taken(_))).count()
}

#[test]
fn no_rolling_hour_ever_holds_more_than_the_limit() {
    let table = MemoryTable::default();
    let mut sent: Vec<i64> = Vec::new();
    // Three hours, a try each seven seconds: five times as many as are allowed.
    for second in (1_000_000..1_000_000 + 3 * 3600).step_by(7) {
        if taken(&table, Priority::Interactive, second) {
            sent.push(second);
        }
    }
    for (index, first) in sent.iter().enumerate() {
        let hour = sent[index..].iter().take_while(|second| **second < first + 3600).count();
        assert!(hour <= 100, "{hour} from {first} on");
    }
    assert!(sent.len() > 280, "{} of at most 300", sent.len());
}

#[test]
fn the_less_urgent_leave_room_for_the_more_urgent() {
    let table = MemoryTable::default();
    let count = |priority| (0..200).filter(|_| taken(&table, priority, 5_000_000)).count();
    assert_eq!(count(Priority::Background), 70);
    assert_eq!(count(Priority::Automation), 20);
    assert_eq!(count(Priority::Interactive), 10);
}

#[test]
fn however_many_are_noisy_a_fifth_is_left_to_the_quiet() {
    let table = MemoryTable::default();
    let noisy = ["noisy", "noisier", "noisiest"].map(credential);
    let used: usize = noisy.iter().map(|one| count(&table, one, Priority::Interactive)).sum();
    // The second and the third may begin with a twentieth each, like everybody.
    assert_eq!((used, count(&table, &noisy[0], Priority::Interactive)), (90, 0));
    assert_eq!(count(&table, &credential("quiet"), Priority::Interactive), 5);
}

#[test]
fn an_access_token_has_an_allowance_of_its_own() {
    let table = MemoryTable::default();
    let kind = Kind::RepositoryAccessToken;
    let token = |id: &str| Credential { kind, ..credential(id) };
    while taken(&table, Priority::Interactive, 7_000_000) {}
    assert_eq!(count(&table, &token("a"), Priority::Interactive), 200, "of the thousand that each has");
    let told = Told { per_hour: Some(20), near: false };
    now(learn(&table, &token("b"), ALLOWANCE, told, at(7_000_000))).expect("noted");
    assert_eq!(count(&table, &token("b"), Priority::Interactive), 20, "what Bitbucket says counts more");
    assert_eq!(count(&table, &token("c"), Priority::Interactive), 200);
}

#[test]
fn the_credentials_of_one_account_share_its_allowance() {
    let table = MemoryTable::default();
    let token = |id: &str| Credential { kind: Kind::ApiTokenShared, ..credential(id) };
    let told = Told { per_hour: Some(40), near: false };
    now(learn(&table, &token("a"), ALLOWANCE, told, at(7_000_000))).expect("noted");
    assert_eq!(count(&table, &token("a"), Priority::Interactive), 32);
    assert_eq!(count(&table, &token("b"), Priority::Interactive), 2);
}

#[test]
fn hooks_and_files_are_counted_apart() {
    let table = MemoryTable::default();
    while taken(&table, Priority::Interactive, 7_000_000) {}
    for allowance in [Allowance::Hooks, Allowance::RawFiles, Allowance::Properties] {
        let one = now(take(&table, LIMITS, &credential("a"), allowance, Priority::Background, at(7_000_000)));
        assert!(matches!(one, Ok(Ticket::Taken(_))), "{allowance:?}");
    }
}

#[test]
fn what_can_wait_waits_when_bitbucket_says_that_little_is_left() {
    let table = MemoryTable::default();
    let one = Credential { kind: Kind::RepositoryAccessToken, ..credential("a") };
    let tell = |near| {
        let told = Told { per_hour: None, near };
        now(learn(&table, &one, ALLOWANCE, told, at(8_000_000))).expect("noted");
    };
    tell(true);
    let wait = ticket(&table, &one, Priority::Background, 8_000_000);
    assert_eq!(wait, Ticket::Wait(NEAR));
    assert!(matches!(ticket(&table, &one, Priority::Automation, 8_000_000), Ticket::Taken(_)));
    tell(false);
    assert!(matches!(ticket(&table, &one, Priority::Background, 8_000_000), Ticket::Taken(_)));
}

#[test]
fn whoever_waits_for_room_finds_it() {
    let table = MemoryTable::default();
    for second in 0..100 {
        assert!(taken(&table, Priority::Interactive, 3_600_000 + second));
    }
    let late = credential("late");
    let Ticket::Wait(wait) = ticket(&table, &late, Priority::Interactive, 3_600_200) else {
        panic!("it is full")
    };
    assert!(wait.as_secs() <= 3600);
    let at = 3_600_200 + wait.as_secs();
    assert!(matches!(ticket(&table, &late, Priority::Interactive, at), Ticket::Taken(_)));
}

#[test]
fn what_is_used_and_when_it_is_free_can_be_asked() {
    let table = MemoryTable::default();
    let (one, two) = (credential("a"), credential("b"));
    let used = |who, second| now(used(&table, LIMITS, who, ALLOWANCE, at(second))).expect("the ledger");
    assert_eq!(count(&table, &one, Priority::Automation), 72);
    let mine = used(Some(&one), 7_000_000);
    assert_eq!((mine.requests, mine.per_hour), (72, 100));
    let free_at = mine.free_at.expect("it is full");
    assert_eq!(used(Some(&one), free_at.as_second()).free_at, None);
    let other = used(Some(&two), 7_000_000);
    assert_eq!((other.requests, other.free_at), (0, None));
    let all = used(None, 7_000_000);
    assert_eq!((all.requests, all.free_at, all.closed_until), (72, None, None));
}

#[test]
fn what_bitbucket_closes_is_closed_for_all_workers_until_then() {
    let table = MemoryTable::default();
    let one = credential("a");
    let own = Scope::own(&one.id, ALLOWANCE);
    let close = |after, second| now(close(&table, &own, after, at(second))).expect("closed");
    close(Some(SignedDuration::from_secs(60)), 2_000_000);
    // An earlier end does not open it.
    close(Some(SignedDuration::from_secs(10)), 2_000_000);
    assert!(matches!(ticket(&table, &one, Priority::Interactive, 2_000_059), Ticket::Wait(_)));
    let used = now(used(&table, LIMITS, Some(&one), ALLOWANCE, at(2_000_059))).expect("the ledger");
    assert_eq!(
        (used.requests, used.closed_until, used.free_at),
        (0, Some(at(2_000_060)), Some(at(2_000_060)))
    );
    assert!(matches!(ticket(&table, &one, Priority::Interactive, 2_000_060), Ticket::Taken(_)));
}

#[test]
fn whoever_is_refused_again_and_again_waits_longer_each_time_and_an_hour_at_most() {
    let table = MemoryTable::default();
    let own = Scope::own(&credential("a").id, ALLOWANCE);
    let mut second = 9_000_000;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let until = now(close(&table, &own, None, at(second))).expect("closed");
        waits.push(until.as_second() - second);
        second = until.as_second() + 1;
    }
    assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    let until = now(close(&table, &own, None, at(second + 3600))).expect("closed");
    assert_eq!(until.as_second() - second - 3600, 60, "an hour in peace, and it begins anew");
}
