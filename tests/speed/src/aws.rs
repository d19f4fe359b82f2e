//! AWS, and Bitbucket, without delay: real TLS, real protocols, answers from memory. Reads give what was
//! put there before the measurement; writes are taken and forgotten.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bucketwheel::ports::{Attributes, Key};
use md5::{Digest as _, Md5};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Map, Value, json};

use crate::http::{Connection, Request};

/// What can be read.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) items: BTreeMap<Key, Attributes>,
    pub(crate) secrets: BTreeMap<&'static str, String>,
    /// How long Bitbucket's API takes for an answer.
    pub(crate) bitbucket_takes: Duration,
}

/// Where it is.
#[derive(Debug)]
pub(crate) struct Endpoints {
    /// AWS, over TLS.
    pub(crate) aws: String,
    /// Bitbucket, without TLS: its client has its own trust, which a measurement cannot extend. AWS answers
    /// here too.
    pub(crate) bitbucket: String,
    /// The certificate to trust.
    pub(crate) authority: PathBuf,
}

impl Endpoints {
    /// Starts it, with a file in `scratch`.
    pub(crate) fn start(contents: Contents, scratch: &Path) -> io::Result<Self> {
        let contents = Arc::new(contents);
        let (listener, plain) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        let port = listener.local_addr()?.port();
        let endpoints = Self {
            aws: format!("https://localhost:{port}"),
            bitbucket: format!("http://{}", plain.local_addr()?),
            authority: scratch.join(format!("authority-{port}.pem")),
        };
        let config = Arc::new(certificate(&endpoints.authority)?);
        let shared = Arc::clone(&contents);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, contents) = (Arc::clone(&config), Arc::clone(&shared));
                thread::spawn(move || {
                    stream.set_nodelay(true)?;
                    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
                    serve(Connection::new(StreamOwned::new(tls, stream)), &contents)
                });
            }
        });
        thread::spawn(move || {
            for stream in plain.incoming().flatten() {
                let contents = Arc::clone(&contents);
                thread::spawn(move || {
                    stream.set_nodelay(true)?;
                    serve(Connection::new(stream), &contents)
                });
            }
        });
        Ok(endpoints)
    }
}

fn serve<S: io::Read + io::Write>(mut connection: Connection<S>, contents: &Contents) -> io::Result<()> {
    while let Some(request) = connection.next()? {
        match contents.answer(&request) {
            Some(answer) => {
                let body = answer.to_string();
                connection.answer(200, "Content-Type: application/x-amz-json-1.0\r\n", body.as_bytes())?;
            }
            None => connection.answer(400, "", b"{\"__type\":\"NotMeasured\"}")?,
        }
    }
    Ok(())
}

impl Contents {
    fn answer(&self, request: &Request) -> Option<Value> {
        if request.path == "/site/oauth2/access_token" {
            let (access, refresh) = ("a".repeat(TOKEN), "r".repeat(TOKEN));
            return Some(json!({
                "access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": 7200,
            }));
        }
        if request.path.starts_with("/2.0/") {
            thread::sleep(self.bitbucket_takes);
            return Some(json!({"type": "repository", "full_name": "seilbahn/website"}));
        }
        let asked: Value = serde_json::from_slice(&request.body).ok()?;
        let (service, action) = request.target.split_once('.')?;
        Some(match (service, action) {
            ("secretsmanager", "GetSecretValue") => {
                let name = asked["SecretId"].as_str()?;
                json!({"Name": name, "SecretString": self.secrets.get(name)?})
            }
            ("AmazonSQS", "SendMessage") => {
                let digest = Md5::digest(asked["MessageBody"].as_str()?);
                json!({"MessageId": "1", "SequenceNumber": "1", "MD5OfMessageBody": hex::encode(digest)})
            }
            ("DynamoDB_20120810", "GetItem") => {
                let (pk, sk) = (asked["Key"]["pk"]["S"].as_str()?, asked["Key"]["sk"]["S"].as_str()?);
                let key = Key::new(pk, sk);
                match self.items.get(&key) {
                    Some(attributes) => json!({"Item": item(&key, attributes)}),
                    None => json!({}),
                }
            }
            ("DynamoDB_20120810", "Query") => {
                let found: Vec<_> = self
                    .items
                    .iter()
                    .filter(|(key, attributes)| matches(&asked, key, attributes))
                    .map(|(key, attributes)| item(key, attributes))
                    .collect();
                json!({"Count": found.len(), "Items": found})
            }
            ("DynamoDB_20120810", "UpdateItem") if asked["ReturnValues"] == "ALL_NEW" => {
                json!({"Attributes": updated(&asked)})
            }
            ("DynamoDB_20120810" | "AmazonSQS", _) => json!({}),
            _ => return None,
        })
    }
}

/// How long a token is: Bitbucket's exceed 2,500 characters.
pub(crate) const TOKEN: usize = 2_600;

/// The queries that the functions make here.
fn matches(asked: &Value, key: &Key, attributes: &Attributes) -> bool {
    let value = |name: &str| asked["ExpressionAttributeValues"][name]["S"].as_str().unwrap_or_default();
    match asked["IndexName"].as_str() {
        None => key.pk == value(":pk") && key.sk.starts_with(value(":prefix")),
        Some("listing") => attributes.get("listing").and_then(Value::as_str) == Some(value(":listing")),
        Some("due") => attributes.get("due_shard").and_then(Value::as_str) == Some(value(":shard")),
        Some(_) => false,
    }
}

/// An item that was only written to: what the update sets and adds is all that it has.
fn updated(asked: &Value) -> Value {
    let mut item = asked["Key"].clone();
    let words: Vec<_> = asked["UpdateExpression"].as_str().unwrap_or_default().split([' ', ',']).collect();
    let name = |word: &str| asked["ExpressionAttributeNames"][word].as_str();
    for (at, word) in words.iter().enumerate() {
        let value = words[at + 1..].iter().find(|word| word.starts_with(':'));
        if let (Some(name), Some(value)) = (name(word), value) {
            item[name] = asked["ExpressionAttributeValues"][*value].clone();
        }
    }
    item
}

fn item(key: &Key, attributes: &Attributes) -> Value {
    let texts = [("pk", &key.pk), ("sk", &key.sk)].map(|(name, text)| (name.to_owned(), json!({"S": text})));
    let rest = attributes.iter().map(|(name, value)| (name.clone(), typed(value)));
    Value::Object(texts.into_iter().chain(rest).collect())
}

fn typed(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(truth) => json!({"BOOL": truth}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) => json!({"S": text}),
        Value::Array(list) => json!({"L": list.iter().map(typed).collect::<Vec<_>>()}),
        Value::Object(map) => {
            json!({"M": map.iter().map(|(name, value)| (name.clone(), typed(value))).collect::<Map<_, _>>()})
        }
    }
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.authority);
    }
}

/// A certificate for this machine, by an authority of its own.
fn certificate(authority: &Path) -> io::Result<ServerConfig> {
    let mut root = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(rcgen::DnType::CommonName, "Measurement");
    let root_key = KeyPair::generate().map_err(io::Error::other)?;
    let root = CertifiedIssuer::self_signed(root, root_key).map_err(io::Error::other)?;
    std::fs::write(authority, root.pem())?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let leaf = CertificateParams::new(names).map_err(io::Error::other)?;
    let leaf = leaf.signed_by(&key, &root).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
    config.with_single_cert(vec![leaf.der().clone()], key).map_err(io::Error::other)
}
