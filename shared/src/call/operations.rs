//! What is known of Bitbucket's operations, so that a call which cannot succeed is not sent.
//!
//! The table beside this file says method, path and scopes of each operation; `shared/examples/operations.rs`
//! makes it from Bitbucket's OpenAPI description. What is not in the table is sent: Bitbucket may be newer.

use std::sync::LazyLock;

use super::{ApiPath, Method, Problem};
use crate::credential::{Credential, Entry, Kind, Scopes};

const TABLE: &str = include_str!("operations.tsv");

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The HTTP method.
    pub method: &'static str,
    /// The path below `/2.0` with its blanks: `/repositories/{workspace}/{repo_slug}`.
    pub path: &'static str,
    oauth: &'static str,
    api_token: &'static str,
}

impl Operation {
    /// The scopes that it needs of a credential of this kind. API tokens have scopes of other names.
    pub fn scopes(&self, kind: Kind) -> Vec<String> {
        match kind.entry() {
            Entry::EmailAndToken => {
                self.api_token.split_whitespace().map(|scope| format!("{scope}:bitbucket")).collect()
            }
            _ => self.oauth.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// Whether the credential has them, as far as that is known.
    pub fn allowed(&self, credential: &Credential) -> bool {
        credential.granted.is_empty()
            || self.scopes(credential.kind).iter().all(|scope| credential.granted.may_give(scope))
    }
}

/// The operations that Bitbucket still has, in the order of methods and paths.
pub fn all() -> impl Iterator<Item = Operation> {
    let gone = |one: &Operation| {
        let path = one.path.trim_matches('/');
        let read = if one.method == Method::Get.as_str() { Method::Get } else { Method::Post };
        path.starts_with("addon") || REMOVED.iter().any(|(pattern, ..)| is_removed(pattern, path, read))
    };
    OPERATIONS.iter().copied().filter(move |one| !gone(one))
}

/// The table, read once.
static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let operations = TABLE.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        let (method, path, oauth) = (columns.next()?, columns.next()?, columns.next()?);
        Some(Operation { method, path, oauth, api_token: columns.next()? })
    });
    operations.collect()
});

/// Endpoints that Bitbucket has removed: path, change, what to use.
/// (<https://developer.atlassian.com/cloud/bitbucket/changelog>)
const REMOVED: [(&str, &str, &str); 9] = [
    ("repositories", "CHANGE-2770", "Ask for repositories/{workspace}, for each of user/workspaces."),
    ("workspaces", "CHANGE-2770", "Ask for user/workspaces."),
    ("user/permissions/workspaces", "CHANGE-2770", "Ask for user/workspaces/{workspace}/permission."),
    (
        "user/permissions/repositories",
        "CHANGE-2770",
        "Ask for user/workspaces/{workspace}/permissions/repositories.",
    ),
    ("repositories/*/*/issues/**", "CHANGE-3401", NO_TRACKER),
    ("repositories/*/*/components/**", "CHANGE-3401", NO_TRACKER),
    ("repositories/*/*/milestones/**", "CHANGE-3401", NO_TRACKER),
    ("repositories/*/*/versions/**", "CHANGE-3401", NO_TRACKER),
    (
        "repositories/*/*/wiki/**",
        "CHANGE-3401",
        "Keep the pages as files of the repository, or in Confluence.",
    ),
];

/// What to use instead of Bitbucket's issue tracker, which was removed on 2026-08-20.
const NO_TRACKER: &str = "Use Jira's issues, or comments on pull requests.";

/// Bitbucket removed its issue tracker.
pub(super) fn no_issue_tracker() -> Problem {
    removed("CHANGE-3401", NO_TRACKER)
}

fn removed(change: &str, instead: &str) -> Problem {
    Problem::new("removed", format!("Bitbucket has removed this endpoint ({change})."), instead)
}

/// Why Bitbucket would refuse this call of this credential, if that is known. Where Bitbucket did not say
/// what it granted, no scope is missing.
pub fn refusal(method: Method, path: &ApiPath, credential: &Credential) -> Option<Problem> {
    refused(method, path, credential.kind, &credential.granted)
}

fn refused(method: Method, path: &ApiPath, kind: Kind, granted: &Scopes) -> Option<Problem> {
    let path = path.as_str();
    if let Some((_, change, instead)) = REMOVED.iter().find(|(pattern, ..)| is_removed(pattern, path, method))
    {
        return Some(removed(change, instead));
    }
    if path.split('/').next() == Some("addon") {
        let cause = "Only Connect apps may do this; an OAuth token may not.";
        return Some(Problem::new("wrong_credential", cause, "Leave it to the app itself."));
    }
    granted.iter().next()?;
    let operation = find(method, path)?;
    let needed = operation.scopes(kind);
    let missing: Vec<_> = needed.into_iter().filter(|scope| !granted.may_give(scope)).collect();
    if missing.is_empty() {
        return None;
    }
    let granted: Vec<_> = granted.iter().collect();
    let cause =
        format!("It needs the scope {}; the credential has {}.", missing.join(" and "), granted.join(", "));
    let give = match kind.renews_itself() {
        true => "Add the scope to the OAuth consumer",
        false => "Make a token that has the scope",
    };
    let resolution = format!(
        "{give}, then reconnect the credential. To try regardless, submit it under a new id with \"force\": true."
    );
    Some(Problem::new("missing_scope", cause, resolution))
}

/// The operation with the most literal template that fits.
fn find(method: Method, path: &str) -> Option<Operation> {
    let operations = OPERATIONS.iter().copied().filter(|one| one.method == method.as_str());
    let fitting = operations.filter_map(|one| Some((fit(one.path.trim_matches('/'), path)?, one)));
    fitting.max_by_key(|(literal, _)| *literal).map(|(_, one)| one)
}

/// How many segments of the path the template names literally, twice, and one more if it has as many
/// segments; none if it does not fit. A variable at the end may stand for several segments: a file, a
/// branch.
fn fit(template: &str, path: &str) -> Option<usize> {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let open = template.last().is_some_and(|last| last.starts_with('{'));
    let exact = template.len() == path.len();
    if !(exact || open && path.len() > template.len()) {
        return None;
    }
    let mut literal = 0;
    for (one, other) in template.iter().zip(&path) {
        match one.starts_with('{') {
            true => {}
            false if one == other => literal += 1,
            false => return None,
        }
    }
    Some(2 * literal + usize::from(exact))
}

/// Whether the path is one that was removed: `*` is any segment, `**` at the end any number of them.
/// Lists were removed for reading; nothing else ever had their paths.
fn is_removed(pattern: &str, path: &str, method: Method) -> bool {
    let (pattern, open) = pattern.strip_suffix("/**").map_or((pattern, false), |pattern| (pattern, true));
    let (mut wanted, mut segments) = (pattern.split('/'), path.split('/'));
    let begins = wanted.all(|one| segments.next().is_some_and(|segment| one == "*" || one == segment));
    begins && (open || segments.next().is_none() && method == Method::Get)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, path: &str, granted: &str) -> Option<Problem> {
        refused(method, &ApiPath::parse(path).expect(path), Kind::OauthUser, &Scopes::parse(granted))
    }

    fn code(method: Method, path: &str, granted: &str) -> Option<String> {
        check(method, path, granted).map(|problem| problem.code)
    }

    #[test]
    fn a_missing_scope_is_named_with_those_that_are_there() {
        let problem =
            check(Method::Post, "repositories/w/r/pullrequests", "account pullrequest").expect("no");
        assert_eq!(problem.code, "missing_scope");
        assert!(problem.cause.contains("needs the scope pullrequest:write"), "{}", problem.cause);
        assert!(problem.cause.contains("has account, pullrequest"), "{}", problem.cause);
    }

    #[test]
    fn what_suffices_directly_or_by_implication_is_sent() {
        for (method, path, granted) in [
            (Method::Get, "user", "account"),
            (Method::Get, "repositories/w/r/src/main/a/b/c.txt", "repository"),
            (Method::Get, "repositories/w/r/refs/branches/feature/x", "pullrequest:write"),
            (Method::Delete, "repositories/w/r", "repository:delete"),
            (Method::Post, "repositories/w/r/pipelines", "pipeline:write"),
            (Method::Post, "repositories/w/r/src", "repository:write"),
            (Method::Get, "something/new", "account"),
            (Method::Delete, "repositories/w/r", ""),
        ] {
            assert_eq!(check(method, path, granted), None, "{path}");
        }
        assert!(check(Method::Get, "repositories/w/r", "repository:admin").is_some());
        assert!(check(Method::Put, "repositories/w/r", "repository:write").is_some());
    }

    #[test]
    fn scopes_of_api_tokens_have_names_of_their_own_and_imply_nothing() {
        let check = |method, granted: &str| {
            let path = ApiPath::parse("repositories/w/r").expect("a path");
            refused(method, &path, Kind::ApiTokenUser, &Scopes::parse(granted))
        };
        assert_eq!(check(Method::Get, "read:repository:bitbucket"), None);
        let problem = check(Method::Get, "write:repository:bitbucket").expect("no");
        assert!(problem.cause.contains("needs the scope read:repository:bitbucket"), "{}", problem.cause);
        assert!(problem.resolution.contains("Make a token"), "{}", problem.resolution);
    }

    #[test]
    fn removed_endpoints_name_their_replacement() {
        for path in ["repositories", "workspaces", "user/permissions/repositories", "repositories/w/r/wiki"] {
            assert_eq!(code(Method::Get, path, "account").as_deref(), Some("removed"), "{path}");
        }
        let issue = check(Method::Post, "repositories/w/r/issues/7/comments", "issue:write").expect("gone");
        assert!(issue.cause.contains("CHANGE-3401") && issue.resolution.contains("Jira"));
        assert_eq!(check(Method::Get, "repositories/w", "repository"), None);
        assert_eq!(check(Method::Get, "workspaces/w", "account"), None);
        assert_eq!(code(Method::Delete, "addon", "account").as_deref(), Some("wrong_credential"));
    }
}
