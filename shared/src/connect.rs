//! Connecting an account: the link that invites, and the state that ties the answer to its question.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::credential::{CredentialId, Kind, Scopes};
use crate::rotation::Upkeep;

/// How long a person has between opening a connect link and consenting.
pub const STATE_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// 256 random bits as they stand in an address or a cookie. Whoever holds them may act, so they are
/// stored only as their [`Ticket::digest`].
#[derive(Clone)]
pub struct Ticket(String);

impl Ticket {
    /// A new ticket.
    pub fn new(random: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// A ticket as somebody presents it.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The ticket for its holder.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The name under which it is stored.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(&self.0))
    }

    /// The PKCE challenge for this ticket as the verifier, method `S256` (RFC 7636 section 4.2).
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.0))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

/// An invitation to connect one account, for one use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The credential that it makes or renews.
    pub credential: CredentialId,
    /// How it will be authorised.
    pub kind: Kind,
    /// What the operator calls it.
    pub label: String,
    /// The end user it is for; empty if shared.
    pub owner: String,
    /// The workspace it is meant for.
    pub workspace: String,
    /// The repository or project it is meant for, if the kind reaches only that; else empty.
    #[serde(default)]
    pub resource: String,
    /// The scopes that are wanted.
    #[serde(default)]
    pub wanted: Scopes,
    /// The event keys that are to come from the place that it is meant for; empty if none are.
    #[serde(default)]
    pub events: Vec<String>,
    /// Whether it renews a credential, instead of making one.
    #[serde(default)]
    pub renews: bool,
    /// Whether the operator allowed another account than the one that the credential acts as so far.
    #[serde(default)]
    pub other_account: bool,
    /// How the chain is kept alive, if the operator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upkeep: Option<Upkeep>,
    /// When the link stops working.
    pub until: Timestamp,
}

#[cfg(any(test, feature = "memory"))]
impl Link {
    /// A link as tests need one.
    pub fn sample(credential: CredentialId, until: Timestamp) -> Self {
        Self {
            credential,
            kind: Kind::OauthUser,
            label: "Build bot".to_owned(),
            owner: "ada".to_owned(),
            workspace: "seilbahn".to_owned(),
            resource: String::new(),
            wanted: Scopes::default(),
            events: Vec::new(),
            renews: false,
            other_account: false,
            upkeep: None,
            until,
        }
    }
}

/// A connect that has begun: what the callback must match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The digest of the link that began it.
    pub link: String,
    /// The digest of the cookie of the browser that began it.
    pub browser: String,
    /// The PKCE verifier. Bitbucket is not known to check it, so nothing rests on it.
    pub verifier: String,
    /// When the state stops working.
    pub until: Timestamp,
}

/// Why a connect failed. The code stands in `?bitbucket_error=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The person said no.
    ConsentRefused,
    /// The link is unknown, expired or already used.
    LinkUnusable,
    /// The state is unknown, expired or already used.
    StateUnusable,
    /// The browser brought no cookie: they are off, or it was deleted.
    CookieMissing,
    /// The state was begun in another browser.
    OtherBrowser,
    /// Bitbucket says that our callback address is not the consumer's.
    RedirectMismatch,
    /// Bitbucket answered with neither a code nor a known error.
    NoCode,
    /// Bitbucket does not know the OAuth consumer's key and secret.
    ConsumerRefused,
    /// Bitbucket did not accept the code.
    CodeRefused,
    /// Bitbucket's answer could not be read.
    AnswerUnreadable,
    /// Bitbucket is down, or its answer was lost. The code may be spent.
    BitbucketDown,
    /// The OAuth consumer lacks the scope that reading the account needs.
    AccountUnreadable,
    /// The credential belongs to another account, and the operator did not allow a change.
    OtherAccount,
    /// We could not read or write our own table.
    TryAgain,
}

impl Failure {
    /// Every failure, in the order of a connect.
    pub const ALL: [Failure; 14] = [
        Failure::ConsentRefused,
        Failure::LinkUnusable,
        Failure::StateUnusable,
        Failure::CookieMissing,
        Failure::OtherBrowser,
        Failure::RedirectMismatch,
        Failure::NoCode,
        Failure::ConsumerRefused,
        Failure::CodeRefused,
        Failure::AnswerUnreadable,
        Failure::BitbucketDown,
        Failure::AccountUnreadable,
        Failure::OtherAccount,
        Failure::TryAgain,
    ];

    /// The word in the address.
    pub fn code(self) -> &'static str {
        match self {
            Failure::ConsentRefused => "consent_refused",
            Failure::LinkUnusable => "link_unusable",
            Failure::StateUnusable => "state_unusable",
            Failure::CookieMissing => "cookie_missing",
            Failure::OtherBrowser => "other_browser",
            Failure::RedirectMismatch => "redirect_mismatch",
            Failure::NoCode => "no_code",
            Failure::ConsumerRefused => "consumer_refused",
            Failure::CodeRefused => "code_refused",
            Failure::AnswerUnreadable => "answer_unreadable",
            Failure::BitbucketDown => "bitbucket_down",
            Failure::AccountUnreadable => "account_unreadable",
            Failure::OtherAccount => "other_account",
            Failure::TryAgain => "try_again",
        }
    }

    /// The failure that a word names; any other word names none.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.code() == code)
    }

    /// What happened, for people.
    pub fn cause(self) -> &'static str {
        match self {
            Failure::ConsentRefused => "Access was refused on Bitbucket's page.",
            Failure::LinkUnusable => "This connect link is unknown, has expired or was already used.",
            Failure::StateUnusable => "This attempt has expired or was already completed.",
            Failure::CookieMissing => {
                "The browser did not bring back the cookie that this connect began with."
            }
            Failure::OtherBrowser => "This connect was begun in another browser.",
            Failure::RedirectMismatch => "Bitbucket does not accept our callback address.",
            Failure::NoCode => "Bitbucket sent the browser back without a code.",
            Failure::ConsumerRefused => "Bitbucket does not accept the OAuth consumer's key and secret.",
            Failure::CodeRefused => {
                "Bitbucket did not accept the code that it had sent: it was used, too old, or sent for another callback URL."
            }
            Failure::AnswerUnreadable => "Bitbucket's answer could not be understood.",
            Failure::BitbucketDown => "Bitbucket did not answer, or its answer was lost.",
            Failure::AccountUnreadable => "Bitbucket did not let us read the account.",
            Failure::OtherAccount => {
                "This credential belongs to another Bitbucket account than the one that consented."
            }
            Failure::TryAgain => "The connect could not be saved.",
        }
    }

    /// What to do about it, for people.
    pub fn resolution(self) -> &'static str {
        match self {
            Failure::ConsentRefused => "Open the connect link again and choose Grant access.",
            Failure::LinkUnusable => "Ask the operator for a new link.",
            Failure::StateUnusable => "Open the connect link again, and finish within ten minutes.",
            Failure::CodeRefused => {
                "Open the connect link again. If it stays, the consumer's callback URL must be exactly the one that the console shows."
            }
            Failure::RedirectMismatch => {
                "An operator must set the consumer's callback URL to exactly the one that the console shows."
            }
            Failure::CookieMissing | Failure::OtherBrowser => {
                "Open the link and finish in one browser, with cookies allowed."
            }
            Failure::NoCode => {
                "Open the connect link again. If it stays, compare the consumer's callback URL with the one shown here."
            }
            Failure::ConsumerRefused => "An operator must set the consumer's key and secret again.",
            Failure::AnswerUnreadable | Failure::BitbucketDown | Failure::TryAgain => {
                "Nothing was stored. Wait a minute, then start again with the connect link."
            }
            Failure::AccountUnreadable => "Add the scope account to the OAuth consumer, then connect again.",
            Failure::OtherAccount => {
                "Sign in to Bitbucket as the account that was connected before, or ask the operator for a link that allows another one."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_own_code_and_no_other_word_is_one() {
        for failure in Failure::ALL {
            assert_eq!(Failure::from_code(failure.code()), Some(failure));
        }
        assert_eq!(Failure::from_code("<script>"), None);
    }

    #[test]
    fn a_ticket_shows_itself_to_nobody_but_its_holder() {
        let ticket = Ticket::new([7; 32]);
        assert_eq!(format!("{ticket:?}"), "Ticket(..)");
        assert_ne!(ticket.digest(), ticket.reveal());
        assert_eq!(Ticket::presented(ticket.reveal()).digest(), ticket.digest());
    }

    #[test]
    fn the_challenge_is_the_one_of_rfc_7636_appendix_b() {
        let verifier = Ticket::presented("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
