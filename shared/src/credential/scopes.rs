//! Scopes: what a credential may do, and what will not work without one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A set of Bitbucket scopes, such as `repository:write` of OAuth and access tokens, or
/// `write:repository:bitbucket` of API tokens
/// (<https://developer.atlassian.com/cloud/bitbucket/bitbucket-cloud-rest-api-scopes>).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<String>);

/// A scope that was wanted and not granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Its name.
    pub scope: String,
    /// What will not work.
    pub lost: &'static str,
}

impl Scopes {
    /// Reads a list parted by spaces, as RFC 6749 section 3.3 writes it, or by commas, as Bitbucket's
    /// header `X-OAuth-Scopes` does.
    pub fn parse(text: &str) -> Self {
        let parted = text.split(|c: char| c.is_whitespace() || c == ',');
        Self(parted.filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none. Of a granted set it means that Bitbucket did not say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every name can be one: up to 64 of `a-z`, `-` and `:`.
    pub fn well_formed(&self) -> bool {
        let fits = |b: u8| b.is_ascii_lowercase() || b == b'-' || b == b':';
        self.iter().all(|scope| scope.len() <= 64 && scope.bytes().all(fits))
    }

    /// Whether the set gives this scope for sure, by itself or by one that implies it.
    pub fn gives(&self, wanted: &str) -> bool {
        self.iter().any(|scope| scope == wanted || implied(scope).surely.contains(&wanted))
    }

    /// Whether the set may give this scope: for sure, or by an implication that is not documented clearly.
    /// Where this is false, a call that needs the scope cannot succeed.
    pub fn may_give(&self, wanted: &str) -> bool {
        self.gives(wanted) || self.iter().any(|scope| implied(scope).perhaps.contains(&wanted))
    }

    /// What of `wanted` this set does not give. Where Bitbucket did not say what it granted, nothing can
    /// be missed.
    pub fn missing(&self, wanted: &Scopes) -> Vec<Missing> {
        if self.is_empty() {
            return Vec::new();
        }
        let missing = wanted.iter().filter(|scope| !self.gives(scope));
        missing.map(|scope| Missing { scope: scope.to_owned(), lost: purpose(scope) }).collect()
    }
}

/// What a scope implies.
#[derive(Debug)]
struct Implied {
    /// So the documentation says.
    surely: &'static [&'static str],
    /// So it seems; the documentation leaves it open.
    perhaps: &'static [&'static str],
}

/// What a scope of OAuth implies
/// (<https://developer.atlassian.com/cloud/bitbucket/bitbucket-cloud-rest-api-scopes>). `repository:admin`,
/// `repository:delete` and the scopes of API tokens imply nothing.
fn implied(scope: &str) -> Implied {
    let (surely, perhaps): (&[&str], &[&str]) = match scope {
        "repository:write" => (&["repository"], &[]),
        "pullrequest" => (&["repository"], &[]),
        "pullrequest:write" => (&["pullrequest", "repository"], &["repository:write"]),
        "account" => (&[], &["email"]),
        "account:write" => (&["account"], &["email"]),
        "team:write" => (&["team"], &[]),
        "project:admin" => (&["project"], &[]),
        "pipeline:write" => (&["pipeline"], &[]),
        "pipeline:variable" => (&["pipeline", "pipeline:write"], &[]),
        "snippet:write" => (&["snippet"], &[]),
        "runner:write" => (&["runner"], &[]),
        "test:write" => (&[], &["test"]),
        _ => (&[], &[]),
    };
    Implied { surely, perhaps }
}

/// What a scope is for: that which will not work without it.
pub fn purpose(scope: &str) -> &'static str {
    match scope {
        "account" | "read:user:bitbucket" => "reading whose account it is",
        "email" => "reading the account's e-mail addresses",
        "read:workspace:bitbucket" => "listing the workspaces of the account",
        "repository" | "read:repository:bitbucket" => {
            "reading repositories, files, commits and build statuses, and receiving the events of repositories"
        }
        "repository:write" | "write:repository:bitbucket" => "pushing files and branches",
        "repository:admin" | "admin:repository:bitbucket" => {
            "creating repositories and changing their settings"
        }
        "repository:delete" | "delete:repository:bitbucket" => "deleting repositories",
        "pullrequest" | "read:pullrequest:bitbucket" => {
            "reading and commenting on pull requests, and receiving their events"
        }
        "pullrequest:write" | "write:pullrequest:bitbucket" => {
            "creating, approving, declining and merging pull requests"
        }
        "webhook" | "write:webhook:bitbucket" => "registering webhooks",
        "read:webhook:bitbucket" => "looking up webhooks, without which none can be registered twice safely",
        "delete:webhook:bitbucket" => "removing webhooks",
        "project" | "read:project:bitbucket" => "reading projects",
        "project:admin" | "admin:project:bitbucket" => "changing projects",
        "pipeline" | "read:pipeline:bitbucket" => "reading pipelines and their logs",
        "pipeline:write" | "write:pipeline:bitbucket" => "starting and stopping pipelines",
        "pipeline:variable" => "setting variables of pipelines",
        "snippet" | "read:snippet:bitbucket" => "reading snippets",
        "snippet:write" | "write:snippet:bitbucket" => "writing snippets",
        "runner" | "read:runner:bitbucket" => "reading runners",
        "runner:write" | "write:runner:bitbucket" => "managing runners",
        "account:write" => "changing the account",
        "issue" | "issue:write" | "wiki" => "nothing any more: issues and wikis were removed in 2026",
        _ => "the calls that Bitbucket's documentation lists for it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_gives_reading_but_administration_gives_nothing() {
        for (granted, wanted, gives) in [
            ("repository:write", "repository", true),
            ("pullrequest:write", "pullrequest", true),
            ("pullrequest:write", "repository", true),
            ("pullrequest", "repository", true),
            ("repository", "pullrequest", false),
            ("repository:admin", "repository", false),
            ("repository:delete", "repository:admin", false),
            ("write:repository:bitbucket", "read:repository:bitbucket", false),
        ] {
            assert_eq!(Scopes::parse(granted).gives(wanted), gives, "{granted} → {wanted}");
            assert!(!gives || Scopes::parse(granted).may_give(wanted), "{granted} → {wanted}");
        }
    }

    #[test]
    fn a_doubtful_implication_is_missed_and_yet_refuses_no_call() {
        let granted = Scopes::parse("pullrequest:write account");
        for doubtful in ["repository:write", "email"] {
            assert!(granted.may_give(doubtful) && !granted.gives(doubtful), "{doubtful}");
        }
        assert!(!granted.may_give("webhook"));
    }

    #[test]
    fn what_is_missing_is_named_with_what_is_lost() {
        let granted = Scopes::parse("account pullrequest");
        let missing = granted.missing(&Scopes::parse("repository webhook pullrequest"));
        assert_eq!(missing, [Missing { scope: "webhook".into(), lost: "registering webhooks" }]);
    }

    #[test]
    fn nothing_is_missed_where_bitbucket_did_not_say() {
        assert_eq!(Scopes::default().missing(&Scopes::parse("webhook")), []);
    }

    #[test]
    fn commas_and_spaces_part_alike_and_odd_names_are_seen() {
        assert_eq!(Scopes::parse("account, repository:write"), Scopes::parse("repository:write account"));
        assert!(Scopes::parse("read:repository:bitbucket").well_formed());
        for odd in ["<b>", "A", "a/b", &"x".repeat(65)] {
            assert!(!Scopes::parse(odd).well_formed(), "{odd}");
        }
    }
}
