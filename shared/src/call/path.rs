//! Paths that stay below the API, whatever somebody writes into a call.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::Url;

/// A path below `/2.0` that cannot lead anywhere else, encoded for the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiPath(String);

/// Why a path is refused, before a credential is anywhere near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing is left of it.
    #[error("the path is empty")]
    Empty,
    /// It names a host.
    #[error("the path must be relative to https://api.bitbucket.org/2.0, without a host")]
    Host,
    /// It climbs, or hides a slash or a dot in an escape.
    #[error("the path has an empty segment, . or .., or an escaped slash, backslash or dot")]
    Climbs,
    /// It carries a query, a fragment, a backslash or control characters.
    #[error("the path has ?, #, a backslash or control characters; query parameters go into query")]
    Characters,
}

/// Kept as they are: RFC 3986 pchar and `/`. `%` is kept too, so that an encoded path stays one.
const UNSAFE: AsciiSet =
    CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

impl ApiPath {
    /// Checks a path and encodes what needs it: spaces, braces, letters beyond ASCII.
    pub fn parse(path: &str) -> Result<Self, BadPath> {
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.is_empty() {
            return Err(BadPath::Empty);
        }
        if path.starts_with('/') || path.contains("://") {
            return Err(BadPath::Host);
        }
        if path.chars().any(|c| c.is_control() || matches!(c, '?' | '#' | '\\')) {
            return Err(BadPath::Characters);
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.split('/').any(climbs) {
            return Err(BadPath::Climbs);
        }
        Ok(Self(utf8_percent_encode(path, &UNSAFE).to_string()))
    }

    /// The path and query of a link in one of Bitbucket's answers, such as `next`, if it stays at `base`.
    ///
    /// # Errors
    /// If the link leads to another host or out of the API.
    pub fn follow(link: &str, base: &Url) -> Result<(Self, Vec<(String, String)>), BadPath> {
        let link = base.join(link).map_err(|_| BadPath::Host)?;
        let own = link.username().is_empty() && link.password().is_none();
        if link.origin() != base.origin() || !own {
            return Err(BadPath::Host);
        }
        let path = link.path().strip_prefix("/2.0/").ok_or(BadPath::Climbs)?;
        Ok((Self::parse(path)?, link.query_pairs().into_owned().collect()))
    }

    /// The path as it goes into the request line, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn climbs(segment: &str) -> bool {
    let decoded: Vec<u8> = percent_decode_str(segment).collect();
    let escaped = |byte: u8| decoded.contains(&byte) && !segment.as_bytes().contains(&byte);
    let dots = matches!(decoded.as_slice(), b"" | b"." | b"..");
    dots || escaped(b'/')
        || escaped(b'\\')
        || segment.to_ascii_lowercase().contains("%2e")
        || decoded.iter().any(u8::is_ascii_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_api() {
        for (path, want) in [
            ("user", "user"),
            ("/repositories/w/r/", "repositories/w/r"),
            ("repositories/{ab-1}/r", "repositories/%7Bab-1%7D/r"),
            ("repositories/%7Bab%7D/r", "repositories/%7Bab%7D/r"),
            ("repositories/w/r/src/main/a b/ü.txt", "repositories/w/r/src/main/a%20b/%C3%BC.txt"),
            ("repositories/w/r/diffstat/a..b", "repositories/w/r/diffstat/a..b"),
        ] {
            assert_eq!(ApiPath::parse(path).expect(path).as_str(), want);
        }
    }

    #[test]
    fn links_are_followed_only_inside_the_api() {
        let base = Url::parse("https://api.bitbucket.org").expect("a URL");
        let follow = |link| ApiPath::follow(link, &base);
        let (path, query) =
            follow("https://api.bitbucket.org/2.0/repositories/w?page=2&q=a%3D1").expect("a link");
        assert_eq!(path.as_str(), "repositories/w");
        assert_eq!(query, [("page".to_owned(), "2".to_owned()), ("q".to_owned(), "a=1".to_owned())]);
        assert_eq!(follow("/2.0/user").expect("a link").0.as_str(), "user");
        for elsewhere in [
            "https://evil.example/2.0/user",
            "http://api.bitbucket.org/2.0/user",
            "https://api.bitbucket.org:8443/2.0/user",
            "https://api.bitbucket.org.evil.example/2.0/user",
            "https://me:you@api.bitbucket.org/2.0/user",
            "//evil.example/2.0/user",
            "https://api.bitbucket.org/1.0/user",
            "https://api.bitbucket.org/2.0/../1.0/user",
            "https://api.bitbucket.org/2.0/%2e%2e%2f1.0",
            "file:///etc/passwd",
        ] {
            assert!(follow(elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for (path, want) in [
            ("", BadPath::Empty),
            ("/", BadPath::Empty),
            ("//evil.example/2.0", BadPath::Host),
            ("https://evil.example/", BadPath::Host),
            ("a/../b", BadPath::Climbs),
            ("a/%2e%2E/b", BadPath::Climbs),
            ("a/%2Fb", BadPath::Climbs),
            ("a//b", BadPath::Climbs),
            ("a/%5c..%5c", BadPath::Climbs),
            ("a/%0d%0ab", BadPath::Climbs),
            ("a?b=c", BadPath::Characters),
            ("a#b", BadPath::Characters),
            ("a\r\nHost: evil", BadPath::Characters),
            ("a\\b", BadPath::Characters),
        ] {
            assert_eq!(ApiPath::parse(path), Err(want), "{path:?}");
        }
    }
}
