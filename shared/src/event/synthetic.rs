//! An event that Bitbucket did not deliver, made up from how the repository stands.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Enveloped, Origin};
use crate::credential::CredentialId;
use crate::trace::Trace;

/// The same in an envelope as a delivery, but that nobody signed it: it says `"synthetic": true`.
#[derive(Debug, Clone, Copy)]
pub struct Synthetic<'a> {
    /// Whose hook should have sent it.
    pub credential: &'a CredentialId,
    /// Such as `repo:push`.
    pub event_key: &'a str,
    /// A body in the shape of Bitbucket's.
    pub body: &'a [u8],
    /// The hook that should have sent it: its uuid without braces.
    pub hook_id: Option<&'a str>,
    /// Names what happened. One thing that is said twice has one id.
    pub about: &'a str,
    /// A new trace.
    pub trace: &'a Trace,
    /// When it was found to be missing.
    pub found_at: Timestamp,
}

impl Synthetic<'_> {
    /// Wraps it.
    pub fn envelope(&self) -> Enveloped {
        let mut hash = Sha256::new();
        for part in ["synthetic", self.credential.as_str(), self.event_key, self.about] {
            hash.update(part);
            hash.update([0]);
        }
        let origin = Origin {
            credential: self.credential,
            event_key: self.event_key,
            hook_id: self.hook_id,
            request_id: None,
            attempt: None,
            secret_version: 0,
            synthetic: true,
            trace: self.trace,
            at: self.found_at,
        };
        origin.wrap(hex::encode(hash.finalize()), self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Envelope;

    #[test]
    fn what_is_said_twice_has_one_id_and_says_that_it_is_synthetic() {
        let credential: CredentialId = "c1".parse().expect("an id");
        let wrap = |about: &str, second: i64| {
            let found_at = Timestamp::from_second(second).expect("a time");
            let body = format!(r#"{{"repository":{{"uuid":"{{r}}","full_name":"w/r"}},"n":{second}}}"#);
            Synthetic {
                credential: &credential,
                event_key: "repo:push",
                body: body.as_bytes(),
                hook_id: Some("h"),
                about,
                trace: &Trace::new([3; 24]),
                found_at,
            }
            .envelope()
        };
        let once = wrap("{r} branch/main a b", 1_000);
        assert_eq!(once.id, wrap("{r} branch/main a b", 2_000).id);
        assert_ne!(once.id, wrap("{r} branch/main b c", 1_000).id);
        let envelope = Envelope::parse(&once.text).expect("an envelope");
        assert!(envelope.synthetic);
        assert_eq!((envelope.partitionkey.as_str(), envelope.subject.as_deref()), ("{r}", Some("w/r")));
        assert!(once.text.contains(r#""secretversion":0,"synthetic":true"#), "{}", once.text);
    }
}
