//! What is due for one credential. A new chore is a line in [`chores`], and a field in [`Seen`] for what it
//! is decided by.

use bucketwheel::call::Action;
use bucketwheel::store::hooks::HookSecrets;
use jiff::{SignedDuration, Timestamp};

/// What a visit has seen of a credential.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) hooks: Option<&'a HookSecrets>,
    /// After so many days a hook secret is replaced; 0: never.
    pub(super) secret_days: u32,
    /// When the repositories were last listed.
    pub(super) listed_at: Option<Timestamp>,
    /// After so many hours they are listed anew; 0: never.
    pub(super) list_hours: u32,
    /// Whether missed events are searched for.
    pub(super) search: bool,
    pub(super) now: Timestamp,
}

/// What is due now: a word for the call's id, and the call.
pub(super) fn chores(seen: Seen<'_>) -> Vec<(&'static str, Action)> {
    let mut due = Vec::new();
    if let Some(hooks) = seen.hooks.filter(|hooks| !hooks.hooks.is_empty()) {
        let days = i64::from(seen.secret_days);
        let age = seen.now.duration_since(hooks.made_at);
        // While a rotation is under way a repair brings it to its end. A rotation repairs too.
        let rotate = days > 0
            && age >= SignedDuration::from_hours(24 * days)
            && hooks.secrets.len() == 1
            && !hooks.by_hand();
        due.push(if rotate {
            ("rotate-hook", Action::RotateHook {})
        } else {
            ("repair-hooks", Action::RepairHooks {})
        });
        if seen.search {
            due.push(("detect-missed", Action::DetectMissed {}));
        }
    }
    let hours = i64::from(seen.list_hours);
    let is_old = |at| seen.now.duration_since(at) >= SignedDuration::from_hours(hours);
    if hours > 0 && seen.listed_at.is_none_or(is_old) {
        due.push((REPOSITORIES, Action::RefreshRepositories {}));
    }
    due
}

/// The word for a call that lists the repositories.
pub(super) const REPOSITORIES: &str = "list-repositories";
