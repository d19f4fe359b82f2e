//! Rotation: how a chain of refresh tokens survives crashes and races.
//!
//! Since 2026-05-04 Bitbucket's refresh tokens are single use: spending one returns its successor, and
//! a lost successor ends the chain. Bitbucket keeps a spent token valid for about ten minutes, so a
//! refresher that lost an answer may spend the *same* token again, soon, and must not do so later.
//!
//! One run over one chain is a pure state machine: [`step`] takes the phase, what happened and the
//! time, and says what to do next. The machine holds no token; whoever carries out its effects does.
//!
//! ```text
//! Read ─▶ Claim ─▶ Spend ─▶ Commit ─▶ End(Rotated)
//!  │        │        │        ├─ a successor is there already ─▶ Keep beside it ─▶ End(Contested)
//!  │        │        │        └─ the table is gone ─▶ Park on the queue ─▶ End(Parked)
//!  │        │        ├─ answer lost ─▶ Settle (intent stays) ─▶ End(Transient)
//!  │        │        └─ refused ─▶ Read again ─▶ a kept pair is there ─▶ Promote ─▶ End(Rotated)
//!  │        │                          ├─ first time ─▶ Settle (wait out a lockout) ─▶ End(Suspect)
//!  │        │                          └─ after the wait ─▶ Settle ─▶ End(Revoked)
//!  │        ├─ too little of the lease is left ─▶ Settle (unspent) ─▶ End(Transient)
//!  │        ├─ the token may be spent beyond the window ─▶ Promote, or Settle (wait) ─▶ End(Suspect)
//!  │        └─ claim lost ─▶ End(Contested)
//!  ├─ a lease that may have lapsed ─▶ Wait for as long as a lease lasts ─▶ Read
//!  └─ nothing due ─▶ End(NotDue)
//! ```
//!
//! `functions/token-refresh/README.md` tells the protocol, its crash windows and how it is proven.

mod adopt;
mod chain;
mod forecast;
mod probe;
mod step;
mod terms;

pub use adopt::{Adoption, Origin, adopt};
pub use chain::{Chain, Intent, Lease, Nudge, RunId, Spare, Upkeep, Wish};
pub use forecast::{Forecast, Outlook, forecast};
pub use probe::{Probed, Seen, probed};
pub use step::{Answer, Claim, Effect, Event, Outcome, Phase, Present, Run, Settlement, step};
pub(crate) use terms::later;
pub use terms::{IDLE_LIMIT, PROBE, SPEND, Terms, WARNING, due_at, falls_due};

#[cfg(test)]
mod tests;
