//! Tokens, and what Bitbucket's token endpoint answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::credential::{Scheme, Scopes};

/// The expiry of a token that nobody gave one. Bitbucket tells no expiry of a token made by hand.
pub const NEVER: Timestamp = Timestamp::constant(253_370_764_800, 0);

/// The last second of a day, in UTC.
pub fn end_of(day: Date) -> Timestamp {
    let end = day.at(23, 59, 59, 0).to_zoned(TimeZone::UTC).map(|end| end.timestamp());
    end.unwrap_or(NEVER).min(NEVER)
}

/// What a call is authorised with. Lives for two hours; often longer than 2,500 characters.
#[derive(Debug, Clone)]
pub struct AccessToken(SecretString);

/// What buys the next pair. Single use: spending it returns its successor.
#[derive(Debug, Clone)]
pub struct RefreshToken(SecretString);

impl AccessToken {
    /// Wraps a token.
    pub fn new(token: SecretString) -> Self {
        Self(token)
    }

    /// The token itself, for the `Authorization` header and for sealing.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A token as it stands on a call.
#[derive(Debug, Clone)]
pub struct Authorization {
    scheme: Scheme,
    token: AccessToken,
}

impl Authorization {
    /// The token presented so. For [`Scheme::Basic`] it is `email:token`.
    pub fn new(scheme: Scheme, token: AccessToken) -> Self {
        Self { scheme, token }
    }

    /// The token.
    pub fn token(&self) -> &AccessToken {
        &self.token
    }

    /// The value of the header `Authorization`.
    pub fn header(&self) -> SecretString {
        let token = self.token.reveal();
        SecretString::from(match self.scheme {
            Scheme::Bearer => format!("Bearer {token}"),
            Scheme::Basic => format!("Basic {}", STANDARD.encode(token)),
        })
    }
}

impl RefreshToken {
    /// Wraps a token.
    pub fn new(token: SecretString) -> Self {
        Self(token)
    }

    /// The token itself, for the token endpoint and for sealing.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What the token endpoint grants.
#[derive(Debug, Clone)]
pub struct TokenSet {
    /// For calls.
    pub access: AccessToken,
    /// For the next refresh. Absent in a `client_credentials` grant, and then the old one stays.
    pub refresh: Option<RefreshToken>,
    /// When the access token dies.
    pub expires_at: Timestamp,
    /// What it may do. Bitbucket grants the consumer's scopes, whatever was asked for.
    pub scopes: Scopes,
}

/// How the token endpoint said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// `unauthorized_client`. On a code exchange: wrong key or secret. On a refresh it may also mean
    /// a dead or rotated-away token, or that the client is locked out for some minutes.
    Client,
    /// `invalid_grant`: the code or token is used, expired or unknown.
    Grant,
    /// `invalid_client`: Bitbucket does not know us (RFC 6749 section 5.2). The token is not at fault.
    Consumer,
    /// Any other 4xx answer.
    Other,
}

/// What came back from the token endpoint.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Bitbucket said no.
    #[error("the token endpoint refused with status {status}: {refusal:?}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What kind of no.
        refusal: Refusal,
    },
    /// Bitbucket answered 5xx or a page instead of JSON: it is down, and may have spent the token.
    #[error("the token endpoint answered status {status}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// The answer says 200 and cannot be understood. The token may have been spent.
    #[error("the token endpoint's answer could not be read: {reason}")]
    Unreadable {
        /// What is wrong with it; never its text.
        reason: &'static str,
    },
}

/// Why an exchange with the token endpoint brought no tokens.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Bitbucket answered.
    #[error(transparent)]
    Answered(#[from] TokenError),
    /// No connection came about, so nothing was sent.
    #[error("no connection to the token endpoint")]
    Unsent(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was sent and no answer came. Whether it took effect is unknown.
    #[error("the token endpoint's answer was lost")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    expires_in: Option<i64>,
    token_type: Option<String>,
    // `scope` since 2026-05-04, `scopes` before.
    #[serde(alias = "scopes")]
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    error: Option<String>,
}

/// Bitbucket's own value, used only if an answer does not say.
const USUAL_LIFETIME: i64 = 7200;

/// Reads an answer of the token endpoint that came with `status` at time `now`
/// (RFC 6749 sections 5.1 and 5.2; <https://developer.atlassian.com/cloud/bitbucket/oauth-2>).
pub fn read_answer(status: u16, body: &[u8], now: Timestamp) -> Result<TokenSet, TokenError> {
    match status {
        200..=299 => read_grant(body, now),
        // Too slow, or too often: neither is about the grant.
        408 | 429 => Err(TokenError::Unavailable { status }),
        400..=499 => match serde_json::from_slice::<Refused>(body) {
            Ok(Refused { error }) => {
                let refusal = match error.as_deref() {
                    Some("unauthorized_client") => Refusal::Client,
                    Some("invalid_client") => Refusal::Consumer,
                    Some("invalid_grant") => Refusal::Grant,
                    _ => Refusal::Other,
                };
                Err(TokenError::Refused { status, refusal })
            }
            // A 4xx that is not JSON comes from something in front of Bitbucket, not from the grant.
            Err(_) => Err(TokenError::Unavailable { status }),
        },
        _ => Err(TokenError::Unavailable { status }),
    }
}

fn read_grant(body: &[u8], now: Timestamp) -> Result<TokenSet, TokenError> {
    let unreadable = |reason| TokenError::Unreadable { reason };
    let granted: Granted = serde_json::from_slice(body)
        .map_err(|_| unreadable("it is not a JSON object with an access_token and texts"))?;
    if granted.access_token.expose_secret().is_empty() {
        return Err(unreadable("its access_token is empty"));
    }
    if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unreadable("its token_type is not bearer"));
    }
    let lifetime = granted.expires_in.filter(|s| *s > 0).unwrap_or(USUAL_LIFETIME);
    let expires_at = now
        .checked_add(SignedDuration::from_secs(lifetime))
        .map_err(|_| unreadable("its expires_in is out of range"))?;
    Ok(TokenSet {
        access: AccessToken(granted.access_token),
        refresh: granted.refresh_token.filter(|t| !t.expose_secret().is_empty()).map(RefreshToken),
        expires_at,
        scopes: Scopes::parse(granted.scope.as_deref().unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn read(status: u16, body: &str) -> Result<TokenSet, TokenError> {
        read_answer(status, body.as_bytes(), at(1_000))
    }

    #[test]
    fn a_grant_of_2026_and_one_of_before_read_alike() {
        for field in ["scope", "scopes"] {
            let body = format!(
                r#"{{"access_token":"a","refresh_token":"r","expires_in":60,"token_type":"Bearer","{field}":"account repository"}}"#
            );
            let set = read(200, &body).expect("a grant");
            assert_eq!(set.access.reveal(), "a");
            assert_eq!(set.refresh.expect("a refresh token").reveal(), "r");
            assert_eq!(set.expires_at, at(1_060));
            assert_eq!(set.scopes, Scopes::parse("repository account"));
        }
    }

    #[test]
    fn a_grant_without_refresh_token_or_lifetime_is_still_a_grant() {
        let set = read(200, r#"{"access_token":"a","state":"client_credentials"}"#).expect("a grant");
        assert!(set.refresh.is_none());
        assert_eq!(set.expires_at, at(1_000 + USUAL_LIFETIME));
    }

    #[test]
    fn every_other_answer_has_its_class() {
        let client =
            r#"{"error":"unauthorized_client","error_description":"Invalid OAuth client credentials"}"#;
        for (status, body, want) in [
            (400, client, "Refused { status: 400, refusal: Client }"),
            (403, client, "Refused { status: 403, refusal: Client }"),
            (400, r#"{"error":"invalid_grant"}"#, "Refused { status: 400, refusal: Grant }"),
            (400, r#"{"error":"invalid_request"}"#, "Refused { status: 400, refusal: Other }"),
            (401, r#"{"error":"invalid_client"}"#, "Refused { status: 401, refusal: Consumer }"),
            (429, r#"{"error":"slow_down"}"#, "Unavailable { status: 429 }"),
            (429, "Rate limit for this resource has been exceeded", "Unavailable { status: 429 }"),
            (503, "<html>down</html>", "Unavailable { status: 503 }"),
            (302, "", "Unavailable { status: 302 }"),
        ] {
            assert_eq!(format!("{:?}", read(status, body).unwrap_err()), want);
        }
        for body in [
            "",
            "[]",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            "<html>",
            r#"{"access_token":"a","token_type":"mac"}"#,
            r#"{"access_token":"a","expires_in":9223372036854775807}"#,
        ] {
            assert!(matches!(read(200, body), Err(TokenError::Unreadable { .. })), "{body}");
        }
    }

    #[test]
    fn a_token_is_presented_as_its_kind_wants_it() {
        let shown = |scheme, token: &str| {
            let authorization = Authorization::new(scheme, AccessToken::new(SecretString::from(token)));
            assert!(!format!("{authorization:?}").contains(token));
            authorization.header().expose_secret().to_owned()
        };
        assert_eq!(shown(Scheme::Bearer, "hush"), "Bearer hush");
        // The example of RFC 7617, section 2.
        assert_eq!(shown(Scheme::Basic, "Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn tokens_do_not_show_in_debug() {
        let set = read(200, r#"{"access_token":"hush-a","refresh_token":"hush-r"}"#).expect("a grant");
        assert!(!format!("{set:?}").contains("hush"));
    }
}
