//! The switches of the sandbox: everything in which Bitbucket differs from day to day, or in which
//! its sources disagree, can be chosen here while the sandbox runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All switches. The defaults are Bitbucket Cloud as observed in autumn 2026.
///
/// In JSON every field may be left out; an unknown field is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Seconds for which a refresh token keeps working after its first use. An Atlassian engineer
    /// named "about 10 minutes" in September 2026 (git-credential-manager, pull request 2429).
    pub grace_window_seconds: u32,
    /// What a repeated use of a refresh token inside the grace window answers.
    pub replay: Replay,
    /// Whether the access tokens issued before a refresh die with the grace window.
    pub old_access_token_dies: bool,
    /// Whether the use of a refresh token after its grace window kills the whole chain.
    pub family_revocation: bool,
    /// Seconds for which every refresh of a client is refused after one of its dead refresh tokens
    /// was presented; 0 switches the lockout off.
    pub lockout_seconds: u32,
    /// Answer a refresh with the same refresh token, as before rotation came (CHANGE-3052).
    pub same_token: bool,
    /// Leave `refresh_token` out of the answer to a refresh; the old one stays valid.
    pub no_refresh_token: bool,
    /// Tokens longer than 2,500 characters, as Bitbucket issues them since 2026.
    pub long_tokens: bool,
    /// Seconds for which an access token lives (`expires_in`).
    pub access_token_lifetime: u32,
    /// Days after which an unused refresh token dies.
    pub refresh_token_lifetime_days: u32,
    /// Seconds for which an authorisation code can be exchanged.
    pub code_lifetime_seconds: u32,
    /// The name of the field that lists the granted scopes.
    pub scope_field: ScopeField,
    /// How a `redirect_uri` is compared with the registered callback URLs.
    pub redirect_match: RedirectMatch,
    /// Refuse a code exchange whose PKCE verifier (RFC 7636) does not fit. Nobody has shown that
    /// Bitbucket does, so it is off.
    pub check_pkce: bool,
    /// Close the connection of token requests instead of answering.
    pub lose_answer: Option<LostAnswer>,
    /// Close the connection of API requests instead of answering.
    pub lose_api_answer: Option<LostAnswer>,
    /// Send API clients to another host, as no honest Bitbucket would.
    pub lure: Option<Lure>,
    /// Make the token endpoint fail.
    pub fail_token_endpoint: Option<Failure>,
    /// Make the API fail.
    pub fail_api: Option<Failure>,
    /// Milliseconds by which answers are delayed.
    pub slow_ms: Delay,
    /// Requests per rolling hour and caller to `/2.0/repositories/*`.
    pub rate_limit: u32,
    /// Requests per rolling hour and caller to hooks.
    pub hook_rate_limit: u32,
    /// Requests per rolling hour and caller to raw files.
    pub raw_rate_limit: u32,
    /// Answer 429 as bare text instead of JSON; both have been seen.
    pub rate_limit_text: bool,
    /// Seconds to send as `Retry-After` with a 429. Bitbucket does not document the header.
    pub retry_after_seconds: Option<u32>,
    /// Milliseconds which a webhook receiver has to answer.
    pub webhook_timeout_ms: u32,
    /// Lose deliveries, as networks do: how many more, by the repository's full name. They are listed, and can
    /// be sent again.
    pub lose_deliveries: BTreeMap<String, u32>,
    /// Retry deliveries that were not answered at all, as an older page of Atlassian said.
    pub retry_unanswered: bool,
    /// Answer every merge with 202 and a task, as if it took long.
    pub merge_slow: bool,
    /// How often a merge task answers `PENDING` before it is carried out.
    pub merge_pending_polls: u32,
    /// What `POST src` does on an existing branch when nothing changes; not documented.
    pub unchanged_commit: UnchangedCommit,
    /// Whether `branch` may be sent with the first commit of a repository; the sources disagree.
    pub first_commit_with_branch: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            grace_window_seconds: 600,
            replay: Replay::SameSuccessor,
            old_access_token_dies: true,
            family_revocation: false,
            lockout_seconds: 0,
            same_token: false,
            no_refresh_token: false,
            long_tokens: true,
            access_token_lifetime: 7200,
            refresh_token_lifetime_days: 90,
            code_lifetime_seconds: 600,
            scope_field: ScopeField::Scope,
            redirect_match: RedirectMatch::Exact,
            check_pkce: false,
            lose_answer: None,
            lose_api_answer: None,
            lure: None,
            fail_token_endpoint: None,
            fail_api: None,
            slow_ms: Delay::default(),
            rate_limit: 1000,
            hook_rate_limit: 1000,
            raw_rate_limit: 5000,
            rate_limit_text: false,
            retry_after_seconds: None,
            webhook_timeout_ms: 10_000,
            lose_deliveries: BTreeMap::new(),
            retry_unanswered: false,
            merge_slow: false,
            merge_pending_polls: 2,
            unchanged_commit: UnchangedCommit::Created,
            first_commit_with_branch: true,
        }
    }
}

impl Behaviour {
    /// These switches with the fields of a JSON object changed.
    ///
    /// # Errors
    /// If the patch is no object, names an unknown switch or has a value of the wrong kind.
    pub fn patched(&self, patch: &Value) -> Result<Self, serde_json::Error> {
        let mut whole = serde_json::to_value(self)?;
        let patch: &serde_json::Map<String, Value> = &serde_json::from_value(patch.clone())?;
        if let Some(fields) = whole.as_object_mut() {
            fields.extend(patch.clone());
        }
        serde_json::from_value(whole)
    }
}

/// What a refresh token answers when it is used again inside its grace window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// The same pair as the first time.
    SameSuccessor,
    /// Another pair; the first one stays valid.
    Sibling,
    /// Another pair; the first one and all that came from it die.
    Revoking,
}

/// Which field of a token answer lists the scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeField {
    /// `scope`, since 2026-05-04.
    Scope,
    /// `scopes`, before that.
    Scopes,
}

/// How a `redirect_uri` is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectMatch {
    /// It must equal a registered callback URL, as a live test found.
    Exact,
    /// It must start with one, as the documentation says.
    Prefix,
}

/// What a commit without a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnchangedCommit {
    /// A commit with the same files is created.
    Created,
    /// Nothing is created; the answer names the tip of the branch.
    Kept,
}

/// Answers that never arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostAnswer {
    /// Whether the request takes effect.
    pub when: Lost,
    /// How many answers are lost; counted down as they are.
    pub count: u32,
    /// Only requests of this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests whose path contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Where answers point away from the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lure {
    /// Only requests whose path contains this text.
    pub path: String,
    /// Where to.
    pub to: String,
    /// How.
    pub by: LureBy,
}

/// How an answer points away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LureBy {
    /// By a redirect, 302.
    Redirect,
    /// By the link `next` of a page.
    Next,
}

/// When a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// Before anything is stored: the request has no effect.
    BeforeCommit,
    /// After everything is stored: only the answer is lost.
    AfterCommit,
}

/// Answers that are errors; the request has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// How many requests fail; counted down as they do.
    pub count: u32,
    /// The HTTP status.
    pub status: u16,
    /// Answer with an HTML page, as Bitbucket does in an outage, instead of JSON.
    #[serde(default)]
    pub html: bool,
    /// Only requests of this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests whose path contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Delays of the two kinds of answers, in milliseconds of real time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delay {
    /// Of the token endpoint.
    pub token: u64,
    /// Of the API.
    pub api: u64,
}

/// Takes one from a lost answer's count if it applies to this request.
pub(crate) fn take_lost(slot: &mut Option<LostAnswer>, method: &str, path: &str) -> Option<Lost> {
    let lost = slot.as_mut().filter(|lost| applies(&lost.method, &lost.path, method, path))?;
    let when = lost.when;
    lost.count = lost.count.saturating_sub(1);
    if lost.count == 0 {
        *slot = None;
    }
    Some(when)
}

/// Takes one from a failure's count if it applies to this request.
pub(crate) fn take_failure(slot: &mut Option<Failure>, method: &str, path: &str) -> Option<(u16, bool)> {
    let failure = slot.as_mut().filter(|failure| applies(&failure.method, &failure.path, method, path))?;
    let taken = (failure.status, failure.html);
    failure.count = failure.count.saturating_sub(1);
    if failure.count == 0 {
        *slot = None;
    }
    Some(taken)
}

fn applies(wanted_method: &Option<String>, wanted_path: &Option<String>, method: &str, path: &str) -> bool {
    wanted_method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
        && wanted_path.as_ref().is_none_or(|wanted| path.contains(wanted))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_only_the_switches_it_names() {
        let patched =
            Behaviour::default().patched(&json!({"replay": "sibling", "slow_ms": {"api": 5}})).unwrap();
        assert_eq!(patched.replay, Replay::Sibling);
        assert_eq!(patched.slow_ms, Delay { token: 0, api: 5 });
        assert_eq!(patched.grace_window_seconds, 600);
    }

    #[test]
    fn an_unknown_switch_is_refused() {
        assert!(Behaviour::default().patched(&json!({"replays": "sibling"})).is_err());
        assert!(Behaviour::default().patched(&json!([])).is_err());
    }

    #[test]
    fn a_failure_is_spent_after_its_count_and_only_where_it_applies() {
        let mut slot = Some(Failure {
            count: 1,
            status: 503,
            html: false,
            method: Some("POST".into()),
            path: Some("/src".into()),
        });
        assert_eq!(take_failure(&mut slot, "GET", "/2.0/repositories/a/b/src"), None);
        assert_eq!(take_failure(&mut slot, "POST", "/2.0/repositories/a/b/src"), Some((503, false)));
        assert_eq!(slot, None);
    }
}
