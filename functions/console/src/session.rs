//! The operator: whoever holds the token, or a cookie that was signed with it.
//!
//! The cookie is `v1.<expiry>.<HMAC-SHA256 of both>`, keyed by the token. Nothing is stored, so a session
//! ends with its expiry, with a logout in that browser, or for everybody with a new operator token.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;

/// The cookie's name. `__Host-` makes browsers insist on `Secure`, `Path=/` and no `Domain`
/// (<https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes>).
pub const COOKIE: &str = "__Host-session";

/// How long a session lasts.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(12);

/// A token that is shorter could be guessed, and an empty one would let everybody in.
const SHORTEST_TOKEN: usize = 16;

const FORMAT: &str = "v1";
/// Keeps the two uses of the key apart.
const FOR_COOKIE: &[u8] = b"bucketwheel/session/v1:";
const FOR_TOKEN: &[u8] = b"bucketwheel/operator/v1:";

/// Knows the operator's token, and shows it to nobody.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Secret")]
pub struct Operator {
    token: SecretString,
}

/// The operator secret as it lies in Secrets Manager.
#[derive(Deserialize)]
struct Secret {
    token: SecretString,
}

/// The operator token is too short.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operator token must have at least {SHORTEST_TOKEN} characters")]
pub struct WeakToken;

impl TryFrom<Secret> for Operator {
    type Error = WeakToken;

    fn try_from(secret: Secret) -> Result<Self, Self::Error> {
        Self::new(secret.token)
    }
}

impl Operator {
    /// The operator whom `token` names; refused if it has less than 16 characters.
    pub fn new(token: SecretString) -> Result<Self, WeakToken> {
        if token.expose_secret().len() < SHORTEST_TOKEN { Err(WeakToken) } else { Ok(Self { token }) }
    }

    /// Whether this is the token. Takes as long for every wrong one of the same length.
    pub fn knows(&self, presented: &str) -> bool {
        let known = self.mac(FOR_TOKEN, self.token.expose_secret()).finalize();
        self.mac(FOR_TOKEN, presented).verify(&known.into_bytes()).is_ok()
    }

    /// The value of a cookie that admits until [`LIFETIME`] from now.
    pub fn sign(&self, now: Timestamp) -> String {
        let expiry = now.as_second() + LIFETIME.as_secs();
        let signature = self.mac(FOR_COOKIE, &expiry.to_string()).finalize().into_bytes();
        format!("{FORMAT}.{expiry}.{}", hex::encode(signature))
    }

    /// Whether a cookie of this value admits now.
    pub fn admits(&self, cookie: &str, now: Timestamp) -> bool {
        let mut parts = cookie.splitn(3, '.');
        let (Some(FORMAT), Some(expiry), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let Ok(signature) = hex::decode(signature) else { return false };
        self.mac(FOR_COOKIE, expiry).verify_slice(&signature).is_ok()
            && expiry.parse::<i64>().is_ok_and(|expiry| now.as_second() < expiry)
    }

    fn mac(&self, purpose: &[u8], text: &str) -> Hmac<Sha256> {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.token.expose_secret().as_bytes()) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.chain_update(purpose).chain_update(text)
    }
}

/// The `Set-Cookie` header that begins a session.
pub fn begin(operator: &Operator, now: Timestamp) -> String {
    set_cookie(&operator.sign(now), LIFETIME)
}

/// The `Set-Cookie` header that ends a session.
pub fn end() -> String {
    set_cookie("", SignedDuration::ZERO)
}

fn set_cookie(value: &str, lifetime: SignedDuration) -> String {
    let seconds = lifetime.as_secs();
    format!("{COOKIE}={value}; Max-Age={seconds}; Path=/; HttpOnly; Secure; SameSite=Lax")
}

/// Remembers that wrong tokens came, so that each further one is answered more slowly. It never delays the
/// right one.
#[derive(Debug, Default)]
pub struct Doubt(Mutex<Option<(u32, Timestamp)>>);

/// After this long without a wrong token, all is forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(5);
/// A sleeping function costs us, too, so the pause does not grow for ever.
const LONGEST_DOUBLING: u32 = 2;

impl Doubt {
    /// Notes a wrong token, and says how long its answer waits: one second, two, and then four.
    pub fn pause(&self, now: Timestamp) -> Duration {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before =
            noted.filter(|(_, at)| now.duration_since(*at) < FORGOTTEN).map_or(0, |(times, _)| times);
        *noted = Some((before.saturating_add(1), now));
        Duration::from_secs(1 << before.min(LONGEST_DOUBLING))
    }
}

/// Finds the session in a `Cookie` header.
pub fn find(header: &str) -> Option<&str> {
    header.split(';').find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(token: &str) -> Operator {
        Operator::new(SecretString::from(token)).expect("a token")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_cookie_admits_until_it_expires_and_only_as_it_was_signed() {
        let ours = operator("0123456789abcdef");
        let cookie = ours.sign(at(1_000));
        let expiry = 1_000 + 12 * 3600;
        let (head, signature) = cookie.rsplit_once('.').expect("a signature");
        let other = if signature.starts_with('0') { "1" } else { "0" };
        for (case, value, now, want) in [
            ("fresh", cookie.clone(), 1_000, true),
            ("in its last second", cookie.clone(), expiry - 1, true),
            ("expired", cookie.clone(), expiry, false),
            ("prolonged", format!("v1.{}.{signature}", expiry + 1), 1_000, false),
            ("another signature", format!("{head}.{other}{}", &signature[1..]), 1_000, false),
            ("a shorter signature", format!("{head}.{}", &signature[2..]), 1_000, false),
            ("no signature", format!("{head}."), 1_000, false),
            ("not hexadecimal", format!("{head}.zz"), 1_000, false),
            ("another version", cookie.replacen("v1", "v2", 1), 1_000, false),
            ("nothing", String::new(), 1_000, false),
            ("another token's", operator("0123456789abcdeg").sign(at(1_000)), 1_000, false),
        ] {
            assert_eq!(ours.admits(&value, at(now)), want, "{case}");
        }
    }

    #[test]
    fn only_the_token_is_known() {
        let ours = operator("0123456789abcdef");
        assert!(ours.knows("0123456789abcdef"));
        for other in ["", "0123456789abcde", "0123456789abcdef ", "0123456789ABCDEF"] {
            assert!(!ours.knows(other), "{other}");
        }
        assert!(!format!("{ours:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn a_token_that_could_be_guessed_is_refused() {
        assert_eq!(Operator::new(SecretString::from("")).err(), Some(WeakToken));
        assert!(serde_json::from_str::<Operator>(r#"{"token":"short"}"#).is_err());
        assert!(serde_json::from_str::<Operator>(r#"{"token":"0123456789abcdef"}"#).is_ok());
    }

    #[test]
    fn each_wrong_token_in_a_row_is_answered_more_slowly_up_to_a_limit() {
        let doubt = Doubt::default();
        let pauses = [0, 10, 20, 30].map(|second| doubt.pause(at(second)).as_secs());
        assert_eq!(pauses, [1, 2, 4, 4]);
        assert_eq!(doubt.pause(at(30 + 300)).as_secs(), 1, "after five quiet minutes it is forgotten");
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        assert_eq!(find("a=1; __Host-session=v1.2.3;b=2"), Some("v1.2.3"));
        assert_eq!(find("__Host-session2=x; session=y"), None);
    }

    #[test]
    fn the_cookie_stays_with_this_host_and_away_from_scripts() {
        for header in [begin(&operator("0123456789abcdef"), at(0)), end()] {
            assert!(header.ends_with("; Path=/; HttpOnly; Secure; SameSite=Lax"), "{header}");
        }
        assert!(end().contains("=; Max-Age=0;"));
    }
}
