//! What Bitbucket's answers mean.

use serde::Deserialize;

use super::{Method, Problem};

/// What Bitbucket's answer to a call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Done.
    Succeeded,
    /// Not done, and sending it again would not help.
    Failed(Problem),
    /// The token is not valid (any more): the refresher is nudged, and the call waits.
    Unauthorized,
    /// Not done; later it may be.
    Later(Problem),
    /// Bitbucket gave up half-way: it may or may not be done.
    Unclear(Problem),
}

/// Judges an answer by its status and Bitbucket's error body
/// (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#standardized-error-responses>).
pub fn judge(method: Method, status: u16, body: &[u8]) -> Judgement {
    let said = said(body);
    let cause = |otherwise: &str| said.clone().unwrap_or_else(|| otherwise.to_owned());
    match status {
        200..=299 | 304 => Judgement::Succeeded,
        401 => Judgement::Unauthorized,
        429 => Judgement::Later(Problem::new(
            "rate_limited",
            cause("Bitbucket's rate limit is exceeded."),
            "It is tried again later.",
        )),
        500.. if method.mutates() => Judgement::Unclear(Problem::new(
            "outcome_unknown",
            format!("Bitbucket answered {status} and may or may not have done it."),
            "Look at Bitbucket whether it was done, then submit it under a new id if not.",
        )),
        500.. => Judgement::Later(Problem::new(
            "bitbucket_unavailable",
            format!("Bitbucket answered {status}."),
            "It is tried again later.",
        )),
        403 => Judgement::Failed(Problem::new(
            "forbidden",
            cause("Bitbucket refused it."),
            "Give the credential the missing scope or permission, then reconnect it.",
        )),
        404 => Judgement::Failed(Problem::new(
            "not_found",
            cause("There is no such thing, or the credential's account cannot see it."),
            "Check the path, and that the account has access.",
        )),
        409 => Judgement::Failed(Problem::new(
            "conflict",
            cause("It was changed meanwhile."),
            "Read it again and decide anew.",
        )),
        410 => Judgement::Failed(Problem::new(
            "removed",
            cause("Bitbucket has removed this endpoint."),
            "See Bitbucket's changelog for the replacement.",
        )),
        _ => Judgement::Failed(Problem::new(
            "refused",
            cause(&format!("Bitbucket answered {status}.")),
            "Correct the call.",
        )),
    }
}

/// The longest error text that is passed on; whole pages never are.
const LONGEST_CAUSE: usize = 500;

fn said(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    let Body { error } = serde_json::from_slice(body).ok()?;
    Some(error.message.chars().take(LONGEST_CAUSE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mutation_that_broke_half_way_is_unclear() {
        assert!(matches!(judge(Method::Get, 555, b""), Judgement::Later(_)));
        assert!(matches!(judge(Method::Post, 555, b""), Judgement::Unclear(_)));
        assert!(matches!(judge(Method::Post, 429, b"Rate limit"), Judgement::Later(_)));
        assert_eq!(judge(Method::Delete, 204, b""), Judgement::Succeeded);
        assert_eq!(judge(Method::Get, 401, b""), Judgement::Unauthorized);
    }

    #[test]
    fn bitbuckets_own_words_are_passed_on_and_pages_are_not() {
        let body = br#"{"type":"error","error":{"message":"Repository w/r not found"}}"#;
        let Judgement::Failed(problem) = judge(Method::Get, 404, body) else { panic!("failed") };
        assert_eq!(problem.cause, "Repository w/r not found");
        let Judgement::Failed(problem) = judge(Method::Get, 404, b"<html>...") else { panic!("failed") };
        assert!(!problem.cause.contains("html"));
    }
}
