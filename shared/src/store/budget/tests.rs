//! No rolling hour holds more than Bitbucket allows.

use super::*;
use crate::memory::MemoryTable;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

const LIMITS: Limits = Limits { per_hour: 100 };

/// Runs a future that never waits for anything outside.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("the table in memory answers at once"),
    }
}

fn taken(table: &MemoryTable, priority: Priority, second: i64) -> bool {
    let ticket = now(take(table, &Scope::Consumer, LIMITS, priority, at(second))).expect("the ledger");
    matches!(ticket, Ticket::Taken(_))
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
fn one_credential_leaves_a_fifth_to_the_others() {
    let table = MemoryTable::default();
    let scope = Scope::Credential("noisy".parse().expect("an id"));
    let take = || now(take(&table, &scope, LIMITS, Priority::Interactive, at(7_000_000)));
    let taken = (0..200).filter(|_| matches!(take(), Ok(Ticket::Taken(_)))).count();
    assert_eq!(taken, 80);
}

#[test]
fn whoever_waits_for_room_finds_it() {
    let table = MemoryTable::default();
    for second in 0..100 {
        assert!(taken(&table, Priority::Interactive, 3_600_000 + second));
    }
    let ticket = now(take(&table, &Scope::Consumer, LIMITS, Priority::Interactive, at(3_600_200)));
    let Ok(Ticket::Wait(wait)) = ticket else { panic!("{ticket:?}") };
    assert!(taken(&table, Priority::Interactive, 3_600_200 + wait.as_secs()));
    assert!(wait.as_secs() <= 3600);
}

#[test]
fn what_bitbucket_closes_is_closed_for_all_workers_until_then() {
    let table = MemoryTable::default();
    now(close(&table, &Scope::Consumer, at(2_000_060), at(2_000_000))).expect("closed");
    // An earlier end does not open it.
    now(close(&table, &Scope::Consumer, at(2_000_010), at(2_000_000))).expect("closed");
    assert!(!taken(&table, Priority::Interactive, 2_000_059));
    let used = now(used(&table, &Scope::Consumer, at(2_000_059))).expect("the ledger");
    assert_eq!(used, Used { requests: 0, closed_until: Some(at(2_000_060)) });
    assert!(taken(&table, Priority::Interactive, 2_000_060));
}
