//! Whether a credential sees what it is meant for, and if not, why.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Credential, Scopes};

/// What a look at the workspace's repositories brought, right after the connect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// At least one repository is visible.
    Repositories,
    /// A scope is missing.
    ScopeMissing,
    /// Bitbucket shows an empty list: there is no repository, or no permission on any.
    NoPermission,
    /// Bitbucket does not show the workspace, project or repository at all.
    Unseen,
    /// Bitbucket gave no usable answer.
    #[default]
    Unknown,
}

impl Sight {
    /// Reads the answer to a look: a list of repositories, or one repository.
    pub fn of(status: u16, body: &[u8]) -> Self {
        match status {
            200 => match serde_json::from_slice::<Value>(body) {
                Ok(Value::Object(list)) => match list.get("values").map(Value::as_array) {
                    Some(Some(values)) if values.is_empty() => Sight::NoPermission,
                    Some(None) => Sight::Unknown,
                    _ => Sight::Repositories,
                },
                _ => Sight::Unknown,
            },
            401 | 403 => Sight::ScopeMissing,
            404 => Sight::Unseen,
            _ => Sight::Unknown,
        }
    }

    /// Why no repository is visible, and what to do about it; nothing if some are, or if nobody knows.
    pub fn explanation(self) -> Option<(&'static str, &'static str)> {
        match self {
            Sight::Repositories | Sight::Unknown => None,
            Sight::ScopeMissing => Some((
                "No repositories are visible: the scope for reading repositories is missing.",
                "Add the scope (repository, or read:repository:bitbucket for an API token), then reconnect.",
            )),
            Sight::NoPermission => Some((
                "No repositories are visible: the account has no permission on any repository of the workspace, \
                 or the workspace has none.",
                "Let an admin of the workspace grant the account access to a repository.",
            )),
            Sight::Unseen => Some((
                "No repositories are visible: Bitbucket does not show the account this workspace.",
                "Correct the workspace's name, or let an admin invite the account into it.",
            )),
        }
    }
}

impl Credential {
    /// The wanted scopes that were not granted.
    pub fn missing(&self) -> Vec<super::Missing> {
        self.granted.missing(&self.wanted)
    }
}

/// The scopes that Bitbucket's 403 says are required
/// (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#standardized-error-responses>).
pub fn required(body: &[u8]) -> Scopes {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let names = body["error"]["detail"]["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
    let scopes = Scopes::parse(&names.join(" "));
    if scopes.well_formed() { scopes } else { Scopes::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_explains_what_is_not_seen() {
        for (status, body, want) in [
            (200, r#"{"values":[{"uuid":"{a}"}]}"#, Sight::Repositories),
            (200, r#"{"uuid":"{a}","full_name":"w/r"}"#, Sight::Repositories),
            (200, r#"{"values":[]}"#, Sight::NoPermission),
            (200, "<html>", Sight::Unknown),
            (403, "", Sight::ScopeMissing),
            (404, "Not Found", Sight::Unseen),
            (503, "", Sight::Unknown),
        ] {
            assert_eq!(Sight::of(status, body.as_bytes()), want, "{status} {body}");
        }
    }

    #[test]
    fn required_scopes_are_read_and_nothing_odd_is_repeated() {
        let body = br#"{"error":{"detail":{"required":["account"],"granted":[]}}}"#;
        assert_eq!(required(body), Scopes::parse("account"));
        let hostile = br#"{"error":{"detail":{"required":["<script>"]}}}"#;
        assert_eq!(required(hostile), Scopes::default());
        assert_eq!(required(b"Not Found"), Scopes::default());
    }
}
