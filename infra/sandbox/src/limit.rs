//! Rate limits over a rolling hour
//! (<https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/>).

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use crate::{Behaviour, clock::after};

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Resource {
    Repositories,
    Hooks,
    RawFiles,
}

impl Resource {
    /// What an API path counts as; the segments follow `/2.0`.
    pub(crate) fn of(method: &str, segments: &[&str]) -> Option<Self> {
        match segments {
            ["repositories", _, _, "hooks", ..] | ["workspaces", _, "hooks", ..] => Some(Self::Hooks),
            ["repositories", _, _, "src", _, ..] if method == "GET" => Some(Self::RawFiles),
            ["repositories", ..] => Some(Self::Repositories),
            _ => None,
        }
    }

    /// The name in `X-RateLimit-Resource`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Repositories => "api-repositories",
            Self::Hooks => "api-webhooks",
            Self::RawFiles => "raw-files",
        }
    }

    /// Requests per hour.
    pub(crate) fn limit(self, behaviour: &Behaviour) -> usize {
        let limit = match self {
            Self::Repositories => behaviour.rate_limit,
            Self::Hooks => behaviour.hook_rate_limit,
            Self::RawFiles => behaviour.raw_rate_limit,
        };
        usize::try_from(limit).unwrap_or(usize::MAX)
    }
}

/// The requests of the last hour.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    taken: HashMap<(String, Resource), VecDeque<Timestamp>>,
}

impl Limits {
    /// Counts a request and says how many are left after it; `None` if there were none. A refused
    /// request does not count.
    pub(crate) fn take(
        &mut self,
        who: &str,
        resource: Resource,
        limit: usize,
        now: Timestamp,
    ) -> Option<usize> {
        let taken = self.taken.entry((who.to_owned(), resource)).or_default();
        while taken.front().is_some_and(|first| after(*first, 3600) <= now) {
            taken.pop_front();
        }
        let left = limit.checked_sub(taken.len() + 1)?;
        taken.push_back(now);
        Some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_rolls() {
        let mut limits = Limits::default();
        let start = Timestamp::UNIX_EPOCH;
        let mut take = |seconds| limits.take("key", Resource::Hooks, 2, after(start, seconds));
        assert_eq!([take(0), take(1800), take(3599)], [Some(1), Some(0), None]);
        assert_eq!([take(3600), take(3601)], [Some(0), None]);
    }

    #[test]
    fn hooks_and_raw_files_have_their_own_allowance() {
        let of = |path: &str| Resource::of("GET", &path.split('/').collect::<Vec<_>>());
        assert_eq!(of("repositories/a/b/hooks"), Some(Resource::Hooks));
        assert_eq!(of("repositories/a/b/src/main/x"), Some(Resource::RawFiles));
        assert_eq!(of("repositories/a/b/src"), Some(Resource::Repositories));
        assert_eq!(of("user"), None);
    }
}
