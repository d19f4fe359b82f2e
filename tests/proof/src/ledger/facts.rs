//! The facts by which the ledger judges, as senders and the consumer wrote them down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How a delivery ended for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// With 2xx.
    Taken,
    /// With 5xx, three times: it was never promised.
    Refused,
    /// Not within ten seconds, after which nobody sends again: it was never promised.
    Unanswered,
    /// With anything else, though its signature was right.
    Wrong(u16),
}

/// A delivery, as its sender knows it. A group's deliveries are sent one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) group: usize,
    pub(crate) number: u64,
    /// How many characters of filling its body has.
    pub(crate) size: usize,
    pub(crate) answered: Answered,
    /// How often it was sent.
    pub(crate) attempts: u32,
}

/// A delivery whose signature is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forged {
    pub(crate) number: u64,
    pub(crate) answered: Option<u16>,
}

/// A delivery that was sent by a process which had asked the table what waits before it, and had got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unasked {
    pub(crate) number: u64,
    /// Whether that process had lately noticed that something waits. Then it should not have sent it.
    pub(crate) noticed: bool,
}

/// A delivery as it came off the queue, in the order of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    /// The event's id, by which a consumer knows a double.
    pub(crate) id: String,
    /// The group and the size that its body tells; none if it is not, byte for byte, what is sent of them.
    pub(crate) whole: Option<(usize, usize)>,
    /// When, since the beginning.
    pub(crate) at: Duration,
}

/// How a chain stands after everything came to rest and was asked to rotate once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) credential: String,
    /// How many rotations it has made since it was connected.
    pub(crate) rotations: u64,
    /// Whether it rotated when it was asked to.
    pub(crate) goes_on: bool,
    /// `up`, `degraded` or `down`.
    pub(crate) health: String,
    /// What Bitbucket thinks of the refresh token that the table holds: `active`, `grace` or `dead`.
    pub(crate) at_bitbucket: String,
    /// Whether a spend is still written down as begun.
    pub(crate) open_intent: bool,
}

/// A call, as its sender knows it, and what can be seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) mutates: bool,
    /// Whether the queue has confirmed it.
    pub(crate) confirmed: bool,
    /// The states that outcomes reported: `succeeded`, `failed`, `unknown`, `expired`.
    pub(crate) reported: BTreeSet<String>,
    /// How often it was carried out, as Bitbucket shows it.
    pub(crate) effects: u32,
}

/// What there is left where nothing should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// What had not come to rest when patience was over.
    pub(crate) restless: Vec<String>,
    /// Messages in dead-letter queues, by queue.
    pub(crate) dead: BTreeMap<String, u64>,
}

/// Everything that the ledger judges by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) delivered: Vec<Delivered>,
    pub(crate) seen: Vec<Seen>,
    /// The exception to the order that the README names.
    pub(crate) unasked: Vec<Unasked>,
    pub(crate) forged: Vec<Forged>,
    /// In which logs a secret was found, by its name.
    pub(crate) leaked: Vec<String>,
    pub(crate) chains: Vec<Chain>,
    pub(crate) called: Vec<Called>,
    pub(crate) left: Left,
}
