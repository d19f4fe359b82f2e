//! Which of Bitbucket's hourly allowances a request counts against.

use serde::Serialize;

use super::{Method, Wire};

/// What Bitbucket counts together, over a rolling hour
/// (<https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowance {
    /// Everything below `repositories` that has no allowance of its own.
    Repositories,
    /// Webhook subscriptions.
    Hooks,
    /// The contents of files.
    RawFiles,
    /// Application properties.
    Properties,
}

impl Allowance {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Repositories, Self::Hooks, Self::RawFiles, Self::Properties];

    /// What a request counts against; none where no limit is known.
    pub fn of(wire: &Wire) -> Option<Self> {
        let segments: Vec<_> = wire.path.as_str().split('/').collect();
        Some(match segments.as_slice() {
            ["repositories", _, _, "hooks", ..] | ["workspaces", _, "hooks", ..] => Self::Hooks,
            ["repositories", _, _, "src", _, ..] if wire.method == Method::Get => Self::RawFiles,
            ["repositories", _, _, "properties", ..] | ["repositories", _, _, _, _, "properties", ..] => {
                Self::Properties
            }
            ["repositories", ..] => Self::Repositories,
            _ => return None,
        })
    }

    /// Its name in the table.
    pub fn code(self) -> &'static str {
        match self {
            Self::Repositories => "repositories",
            Self::Hooks => "hooks",
            Self::RawFiles => "raw_files",
            Self::Properties => "properties",
        }
    }

    /// Requests per hour, as Bitbucket documents it.
    pub fn per_hour(self) -> u32 {
        match self {
            Self::Repositories | Self::Hooks => 1_000,
            Self::RawFiles => 5_000,
            Self::Properties => 2_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Request;
    use super::*;

    #[test]
    fn each_request_counts_against_its_own_allowance() {
        let of = |method, path: &str| Allowance::of(&Request::new(method, path).wire().expect(path));
        for (method, path, want) in [
            (Method::Get, "repositories/w", Some(Allowance::Repositories)),
            (Method::Get, "repositories/w/r/commits", Some(Allowance::Repositories)),
            (Method::Post, "repositories/w/r/src", Some(Allowance::Repositories)),
            (Method::Get, "repositories/w/r/src/main/a/b", Some(Allowance::RawFiles)),
            (Method::Post, "repositories/w/r/hooks", Some(Allowance::Hooks)),
            (Method::Get, "workspaces/w/hooks/{u}", Some(Allowance::Hooks)),
            (Method::Put, "repositories/w/r/commit/c/properties/a/p", Some(Allowance::Properties)),
            (Method::Get, "user", None),
            (Method::Get, "workspaces/w", None),
        ] {
            assert_eq!(of(method, path), want, "{path}");
        }
        for allowance in Allowance::ALL {
            assert_eq!(serde_json::to_value(allowance).expect("a text"), allowance.code());
        }
    }
}
