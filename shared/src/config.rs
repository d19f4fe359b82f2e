//! Settings from the environment, read once at start. Everything that is missing or wrong is named at
//! once, and the function does not start without it.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use url::Url;

/// How a certificate begins (RFC 7468 section 5.1).
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Reads settings and remembers what is wrong with them.
#[derive(Debug)]
pub struct Settings<L> {
    lookup: L,
    wrong: Vec<String>,
}

/// What is wrong with the settings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct BadSettings(Vec<String>);

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment is incomplete: {}", self.0.join("; "))
    }
}

/// Settings from the process environment.
pub fn from_env() -> Settings<impl Fn(&str) -> Option<String>> {
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    Settings::new(|name: &str| std::env::var(name).ok())
}

impl<L: Fn(&str) -> Option<String>> Settings<L> {
    /// Settings from any source of texts.
    pub fn new(lookup: L) -> Self {
        Self { lookup, wrong: Vec::new() }
    }

    /// A text that must be there. Where a setting is missing or wrong, these functions give something
    /// empty in its place, and [`Settings::finish`] fails.
    pub fn text(&mut self, name: &str) -> String {
        let found = self.optional(name);
        found.unwrap_or_else(|| {
            self.wrong.push(format!("{name} is not set"));
            String::new()
        })
    }

    /// A text that may be missing or empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// What is in the file that this names, if it names one: certificates in PEM.
    pub fn certificates(&mut self, name: &str) -> Option<Vec<u8>> {
        let path = self.optional(name)?;
        let read = std::fs::read(&path).map_err(|error| error.to_string());
        let certificates = read.and_then(|bytes| {
            let found = bytes.windows(PEM.len()).any(|bytes| bytes == PEM);
            found.then_some(bytes).ok_or_else(|| "the file holds no certificate".to_owned())
        });
        certificates.map_err(|why| self.wrong.push(format!("{name} cannot be read: {why}"))).ok()
    }

    /// An address that must be there.
    pub fn url(&mut self, name: &str) -> Url {
        let unset = || Url::parse("http://unset.invalid");
        self.parsed(name, unset)
    }

    /// An address that may be missing.
    pub fn optional_url(&mut self, name: &str) -> Option<Url> {
        self.optional(name).map(|_| self.url(name))
    }

    /// A whole number of seconds that must be there.
    pub fn seconds(&mut self, name: &str) -> SignedDuration {
        let unset = || Ok::<i64, std::num::ParseIntError>(0);
        SignedDuration::from_secs(self.parsed(name, unset))
    }

    /// A whole number that must be there.
    pub fn number(&mut self, name: &str) -> u32 {
        let unset = || Ok::<u32, std::num::ParseIntError>(0);
        self.parsed(name, unset)
    }

    fn parsed<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        unset: impl Fn() -> Result<T, T::Err>,
    ) -> T {
        let text = self.text(name);
        let parsed = if text.is_empty() { unset() } else { text.parse() };
        parsed
            .or_else(|error| {
                self.wrong.push(format!("{name} cannot be read: {error}"));
                unset()
            })
            .unwrap_or_else(|_| unreachable!("what stands for an unset value can be read"))
    }

    /// Says whether all was there.
    pub fn finish(self) -> Result<(), BadSettings> {
        if self.wrong.is_empty() { Ok(()) } else { Err(BadSettings(self.wrong)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_named_at_once() {
        let mut settings = Settings::new(|name: &str| match name {
            "NUMBER" => Some("x".to_owned()),
            "EMPTY" => Some(String::new()),
            "THERE" => Some("yes".to_owned()),
            "NOWHERE" => Some("/nowhere/at/all".to_owned()),
            "NOT_PEM" => Some(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").to_owned()),
            _ => None,
        });
        assert_eq!(settings.text("THERE"), "yes");
        settings.text("MISSING");
        settings.text("EMPTY");
        settings.seconds("NUMBER");
        settings.url("THERE");
        assert_eq!((settings.certificates("NOWHERE"), settings.certificates("NOT_PEM")), (None, None));
        assert_eq!(settings.certificates("MISSING"), None);
        let message = settings.finish().unwrap_err().to_string();
        for name in [
            "MISSING is not set",
            "EMPTY is not set",
            "NUMBER cannot be read",
            "THERE cannot be read",
            "NOWHERE cannot be read",
            "NOT_PEM cannot be read: the file holds no certificate",
        ] {
            assert!(message.contains(name), "{message}");
        }
    }
}
