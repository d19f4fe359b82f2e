//! AWS's Signature Version 4 of the one kind of request that is made here: a POST without a query
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest, Sha256};

/// Who signs.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) key: String,
    pub(super) secret: SecretString,
    /// Of temporary credentials, which a function's always are.
    pub(super) session: Option<String>,
}

/// What is signed besides the headers' usual values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signable<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) kind: &'a str,
    pub(super) target: &'a str,
    pub(super) body: &'a [u8],
}

/// The headers that a signed request has in addition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// `X-Amz-Date`.
    pub(super) time: String,
    /// `Authorization`.
    pub(super) authorization: String,
}

/// Signs for one service.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) credentials: Credentials,
    region: String,
    name: &'static str,
    /// The key of a day, which takes four rounds of HMAC to make, and that day.
    key: Mutex<Option<(String, SecretBox<Key>)>>,
}

type Key = [u8; 32];

impl Signer {
    pub(super) fn new(credentials: Credentials, region: String, name: &'static str) -> Self {
        Self { credentials, region, name, key: Mutex::default() }
    }

    pub(super) fn sign(&self, request: Signable<'_>, now: Timestamp) -> Signed {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let (day, _) = time.split_at(8);
        let Signable { host, path, kind, target, body } = request;
        let mut canonical = format!("POST\n{path}\n\ncontent-type:{kind}\nhost:{host}\nx-amz-date:{time}\n");
        let mut names = String::from("content-type;host;x-amz-date;");
        if let Some(session) = &self.credentials.session {
            let _ = writeln!(canonical, "x-amz-security-token:{session}");
            names.push_str("x-amz-security-token;");
        }
        names.push_str("x-amz-target");
        let _ = write!(canonical, "x-amz-target:{target}\n\n{names}\n{}", hex::encode(Sha256::digest(body)));
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.name);
        let digest = hex::encode(Sha256::digest(canonical));
        let signature =
            hex::encode(mac(&self.key(day), &format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}")));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.credentials.key
        );
        Signed { time, authorization }
    }

    fn key(&self, day: &str) -> Key {
        let mut made = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Some((of, key)) if of == day => *key.expose_secret(),
            _ => {
                let secret = format!("AWS4{}", self.credentials.secret.expose_secret());
                let key = mac(secret.as_bytes(), day);
                let key =
                    [&self.region, self.name, "aws4_request"].iter().fold(key, |key, part| mac(&key, part));
                *made = Some((day.to_owned(), SecretBox::new(Box::new(key))));
                key
            }
        }
    }
}

fn mac(key: &[u8], text: &str) -> Key {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_signs_is_not_printed() {
        let credentials = Credentials { key: "AKID".into(), secret: "wJalr".into(), session: None };
        let signer = Signer::new(credentials, "eu-central-1".into(), "sqs");
        let key = format!("{:?}", signer.key("20261121"));
        let printed = format!("{signer:?}");
        assert!(!printed.contains("wJalr") && !printed.contains(&key), "{printed}");
    }

    proptest! {
        #[test]
        fn a_request_is_signed_as_the_crate_of_aws_signs_it(
            [key, secret, region, host, target] in prop::array::uniform5("[A-Za-z0-9.-]{1,40}"),
            session in prop::option::of("[A-Za-z0-9+/=]{1,400}"),
            path in "(/[a-z0-9]{1,9}){0,2}/?",
            body in prop::collection::vec(any::<u8>(), 0..300),
            seconds in 86_400_i64..4_000_000_000,
        ) {
            let path = if path.is_empty() { "/" } else { &*path };
            let host = format!("h{host}");
            let kind = "application/x-amz-json-1.0";
            let request = Signable { host: &host, path, kind, target: &target, body: &body };
            let now = Timestamp::from_second(seconds).expect("a time");
            let credentials =
                Credentials { key: key.clone(), secret: secret.clone().into(), session: session.clone() };
            let signer = Signer::new(credentials, region.clone(), "sqs");

            let identity =
                aws_credential_types::Credentials::new(key, secret, session, None, "test").into();
            let theirs = v4::SigningParams::builder()
                .identity(&identity)
                .region(&region)
                .name("sqs")
                .time(SystemTime::from(now))
                .settings(SigningSettings::default())
                .build()
                .expect("parameters")
                .into();
            let uri = format!("https://{host}{path}");
            let headers = [("content-type", kind), ("host", &host), ("x-amz-target", &target)];
            let signable = SignableRequest::new("POST", uri, headers.into_iter(), SignableBody::Bytes(&body));
            let (instructions, _) = sign(signable.expect("a request"), &theirs).expect("signed").into_parts();
            let mut theirs = http::Request::new(());
            instructions.apply_to_request_http1x(&mut theirs);
            let header = |name: &str| theirs.headers()[name].to_str().expect("text").to_owned();
            let theirs = Signed { time: header("x-amz-date"), authorization: header("authorization") };
            // The key of another day must not be used, and that of this day is used again.
            signer.sign(request, Timestamp::UNIX_EPOCH);
            for _ in 0..2 {
                prop_assert_eq!(&signer.sign(request, now), &theirs);
            }
        }
    }
}
