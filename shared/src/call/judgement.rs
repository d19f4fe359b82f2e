//! What Bitbucket's answers mean: each is classed here, once.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;

use super::{Method, Problem};
use crate::credential::Scopes;

/// How many levels a body may have to be passed on as JSON.
const DEEPEST: usize = 100;

/// What Bitbucket answered, whatever the status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type, without parameters.
    pub content_type: String,
    /// The headers that a caller may need, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The scopes of the token, if the answer names them.
    pub scopes: Option<Scopes>,
    /// Whether the caller wants the bytes as they are.
    pub raw: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, if it is some. What is nested deeper than anything of Bitbucket's is not taken for
    /// JSON: readers of an outcome, which wraps the body, have a limit of their own (128 levels in Rust).
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok().filter(|body| levels(body) <= DEEPEST)
    }

    /// Whether a page stands in the place of the answer, as in an outage. A file that is one comes as an
    /// attachment
    /// (<https://developer.atlassian.com/cloud/bitbucket/rest/api-group-source/#api-repositories-workspace-repo-slug-src-commit-path-get>).
    fn is_page(&self) -> bool {
        let is_file = || {
            let disposition = self.headers.get("content-disposition");
            disposition.is_some_and(|disposition| disposition.to_ascii_lowercase().starts_with("attachment"))
        };
        self.content_type.eq_ignore_ascii_case("text/html") && !self.body.is_empty() && !is_file()
    }
}

fn levels(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(levels).max().unwrap_or_default(),
        Value::Object(map) => 1 + map.values().map(levels).max().unwrap_or_default(),
        _ => 0,
    }
}

/// What Bitbucket's answer to a call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Done.
    Succeeded,
    /// Not done, and sending it again would not help.
    Permanent(Problem),
    /// Not done, because something else was done first: read again and decide anew.
    Contested(Problem),
    /// The token is not valid (any more): the refresher is nudged, and the call waits.
    Unauthorized,
    /// Not done; later it may be.
    Transient {
        /// What Bitbucket said.
        problem: Problem,
        /// How long Bitbucket asked to wait, if it did.
        after: Option<SignedDuration>,
        /// Whether it is the rate limit.
        limited: bool,
    },
    /// Bitbucket gave up half-way: it may or may not be done.
    Unknown(Problem),
}

/// Judges an answer by its status and Bitbucket's error body, which is JSON, bare text or a page
/// (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#standardized-error-responses>).
pub fn judge(method: Method, answer: &Answer) -> Judgement {
    let said = said(&answer.body);
    let cause = |otherwise: &str| said.clone().unwrap_or_else(|| otherwise.to_owned());
    let permanent = |code: &str, otherwise: &str, resolution: &str| {
        Judgement::Permanent(Problem::new(code, cause(otherwise), resolution))
    };
    match answer.status {
        200..=299 if answer.is_page() => broken_off(method, answer, "a page"),
        200..=299 | 304 => Judgement::Succeeded,
        300..=399 => Judgement::Permanent(Problem::new(
            "redirected",
            "Bitbucket redirects to another host, and no token goes there.",
            "Open the address in the header location without a token.",
        )),
        401 => Judgement::Unauthorized,
        429 => limited(answer),
        // One client has seen the rate limit under this status.
        403 if cause("").contains("Rate limit") => limited(answer),
        403 => permanent(
            "forbidden",
            "Bitbucket refused it.",
            "Give the credential the missing scope or permission, then reconnect it.",
        ),
        404 => permanent(
            "not_found",
            "There is no such thing, or the credential's account cannot see it.",
            "Check the path, and that the account has access.",
        ),
        409 => Judgement::Contested(Problem::new(
            "conflict",
            cause("It was changed meanwhile."),
            "Read it again and decide anew.",
        )),
        410 => permanent(
            "removed",
            "Bitbucket has removed this endpoint.",
            "See Bitbucket's changelog for the replacement.",
        ),
        status @ 500.. => broken_off(method, answer, &status.to_string()),
        status => permanent("refused", &format!("Bitbucket answered {status}."), "Correct the call."),
    }
}

/// Nothing in the answer says what was done.
fn broken_off(method: Method, answer: &Answer, said: &str) -> Judgement {
    if method.mutates() {
        let cause = format!("Bitbucket answered {said} and may or may not have done it.");
        return Judgement::Unknown(Problem::outcome_unknown(cause));
    }
    let cause = format!("Bitbucket answered {said}.");
    let problem = Problem::new("bitbucket_unavailable", cause, "It is tried again later.");
    Judgement::Transient { problem, after: retry_after(answer), limited: false }
}

fn limited(answer: &Answer) -> Judgement {
    let said = said(&answer.body).unwrap_or_else(|| "Bitbucket's rate limit is exceeded.".to_owned());
    let problem = Problem::new("rate_limited", said, "It is tried again later.");
    Judgement::Transient { problem, after: retry_after(answer), limited: true }
}

/// Nobody is made to wait longer than the hour in which every allowance comes back.
const LONGEST_WAIT: i64 = 3600;

/// `Retry-After` in seconds. Bitbucket does not document the header and is not known to send a date.
fn retry_after(answer: &Answer) -> Option<SignedDuration> {
    let seconds: i64 = answer.headers.get("retry-after")?.trim().parse().ok()?;
    Some(SignedDuration::from_secs(seconds.clamp(1, LONGEST_WAIT)))
}

/// The longest error text that is passed on; whole pages never are.
const LONGEST_CAUSE: usize = 500;

/// Bitbucket's own words, with what `fields` and `detail` add to them.
fn said(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        message: String,
        #[serde(default)]
        fields: Value,
        #[serde(default)]
        detail: Value,
    }
    let text = match serde_json::from_slice(body) {
        Ok(Body { error: Error { mut message, fields, detail } }) => {
            for (name, said) in fields.as_object().into_iter().flatten() {
                let said = said.as_str().or_else(|| said.get(0)?.as_str()).unwrap_or_default();
                if !said.is_empty() && !message.contains(said) {
                    message.push_str(&format!(" {name}: {said}."));
                }
            }
            if let Some(detail) = detail.as_str() {
                message.push_str(&format!(" {detail}"));
            }
            for what in ["required", "granted"] {
                if let Some(scopes) = detail[what].as_array() {
                    let names: Vec<_> = scopes.iter().filter_map(Value::as_str).collect();
                    message.push_str(&format!(" {what}: {}.", names.join(", ")));
                }
            }
            message
        }
        // A line of text, such as `Not Found`; anything with a tag in it is a page.
        Err(_) => {
            let text = std::str::from_utf8(body).ok()?.trim();
            if text.is_empty() || text.contains(['<', '{', '\n']) {
                return None;
            }
            text.to_owned()
        }
    };
    Some(text.chars().take(LONGEST_CAUSE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: Method, status: u16, body: &str) -> Judgement {
        judge(method, &Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() })
    }

    fn cause(judgement: Judgement) -> String {
        match judgement {
            Judgement::Permanent(problem)
            | Judgement::Contested(problem)
            | Judgement::Unknown(problem)
            | Judgement::Transient { problem, .. } => problem.cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_mutation_that_broke_half_way_is_unknown() {
        for status in [500, 502, 503, 555] {
            assert!(matches!(judged(Method::Get, status, ""), Judgement::Transient { limited: false, .. }));
            assert!(matches!(judged(Method::Post, status, ""), Judgement::Unknown(_)));
        }
        assert!(matches!(judged(Method::Post, 409, ""), Judgement::Contested(_)));
        assert_eq!(judged(Method::Delete, 204, ""), Judgement::Succeeded);
        assert_eq!(judged(Method::Get, 401, ""), Judgement::Unauthorized);
    }

    #[test]
    fn a_page_in_the_place_of_an_answer_is_an_outage_and_a_file_that_is_one_is_not() {
        let page = Answer {
            status: 200,
            content_type: "text/html".to_owned(),
            body: b"<html>an outage</html>".to_vec(),
            ..Answer::default()
        };
        assert!(matches!(judge(Method::Get, &page), Judgement::Transient { limited: false, .. }));
        for method in [Method::Post, Method::Put, Method::Delete] {
            assert!(matches!(judge(method, &page), Judgement::Unknown(_)), "{method:?}");
        }
        let headers = BTreeMap::from([(
            "content-disposition".to_owned(),
            "attachment; filename=\"a.html\"".to_owned(),
        )]);
        let file = Answer { headers, ..page.clone() };
        assert_eq!(judge(Method::Get, &file), Judgement::Succeeded);
        // A commit is made without a body, whatever its type is said to be.
        let made = Answer { status: 201, body: Vec::new(), ..page };
        assert_eq!(judge(Method::Post, &made), Judgement::Succeeded);
    }

    #[test]
    fn the_rate_limit_is_known_in_each_of_its_forms() {
        const SAID: &str = "Rate limit for this resource has been exceeded";
        let json = format!(r#"{{"type":"error","error":{{"message":"{SAID}"}}}}"#);
        for (status, body) in
            [(429, SAID), (429, json.as_str()), (429, ""), (403, SAID), (403, json.as_str())]
        {
            let judgement = judged(Method::Post, status, body);
            assert!(matches!(judgement, Judgement::Transient { limited: true, after: None, .. }), "{status}");
        }
        let headers = BTreeMap::from([("retry-after".to_owned(), "17".to_owned())]);
        let answer = Answer { status: 429, headers, ..Answer::default() };
        let Judgement::Transient { after, .. } = judge(Method::Get, &answer) else { panic!("transient") };
        assert_eq!(after, Some(SignedDuration::from_secs(17)));
    }

    #[test]
    fn bitbuckets_own_words_are_passed_on_and_pages_are_not() {
        let body = r#"{"type":"error","error":{"message":"Repository w/r not found"}}"#;
        assert_eq!(cause(judged(Method::Get, 404, body)), "Repository w/r not found");
        assert_eq!(cause(judged(Method::Post, 404, "Not Found")), "Not Found");
        assert!(!cause(judged(Method::Get, 404, "<!doctype html><html>...")).contains("html"));
        assert!(!cause(judged(Method::Post, 503, "<html>...")).contains("html"));
        let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(10_000));
        assert_eq!(cause(judged(Method::Get, 400, &long)).len(), LONGEST_CAUSE);
    }

    #[test]
    fn fields_are_texts_or_lists_and_scopes_are_named() {
        let fields = r#"{"error":{"message":"Bad request","fields":{"a":"required","b":["twice"],"c":[]}}}"#;
        assert_eq!(cause(judged(Method::Post, 400, fields)), "Bad request a: required. b: twice.");
        let scopes = r#"{"error":{"message":"No.","detail":{"required":["a"],"granted":["b","c"]}}}"#;
        assert_eq!(cause(judged(Method::Get, 403, scopes)), "No. required: a. granted: b, c.");
    }
}
