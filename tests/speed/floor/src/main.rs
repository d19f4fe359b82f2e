//! The floor: the least program that takes a delivery's event, checks its signature and makes the same HTTP
//! exchanges as webhook-ingest. No SDK, no runtime crate, no async; it checks nothing else, keeps nothing
//! sealed, and handles no failure. It shows what the exchanges themselves cost, and is of no other use.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "it handles no failure")]

use std::borrow::Cow;
use std::env::var;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    headers: Headers<'a>,
    #[serde(borrow)]
    body: Cow<'a, str>,
    path_parameters: PathParameters<'a>,
}

#[derive(Deserialize)]
struct Headers<'a> {
    #[serde(rename = "x-hub-signature")]
    signature: &'a str,
}

#[derive(Deserialize)]
struct PathParameters<'a> {
    credential_id: &'a str,
}

fn main() {
    let runtime = var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let (table, queue) = (var("BUCKETWHEEL_TABLE").unwrap(), var("BUCKETWHEEL_EVENTS_QUEUE").unwrap());
    let mut aws = None;
    let mut secret = None;
    let mut lambda = TcpStream::connect(&runtime).unwrap();
    lambda.set_nodelay(true).unwrap();
    let mut read = Vec::new();
    loop {
        lambda
            .write_all(
                format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {runtime}\r\n\r\n")
                    .as_bytes(),
            )
            .unwrap();
        let (head, body) = response(&mut lambda, &mut read);
        let id = head.lines().find_map(|line| line.strip_prefix("Lambda-Runtime-Aws-Request-Id: ")).unwrap();
        let event: Event<'_> = serde_json::from_slice(&body).unwrap();
        let aws = aws.get_or_insert_with(Aws::connect);
        let get = |sk: &str| {
            let pk = event.path_parameters.credential_id;
            format!(
                r#"{{"TableName":"{table}","Key":{{"pk":{{"S":"{pk}"}},"sk":{{"S":"{sk}"}}}},"ConsistentRead":true}}"#
            )
        };
        let secret = secret.get_or_insert_with(|| {
            let found = aws.ask(
                "secretsmanager",
                "secretsmanager.GetSecretValue",
                br#"{"SecretId":"webhook-secret"}"#,
            );
            aws.ask("dynamodb", "DynamoDB_20120810.GetItem", get("HOOK").as_bytes());
            let found: serde_json::Value = serde_json::from_slice(&found).unwrap();
            found["SecretString"].as_str().unwrap().to_owned()
        });
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(event.body.as_bytes());
        let digest = mac.finalize().into_bytes();
        let signed = event.headers.signature == format!("sha256={}", hex::encode(digest));
        let status = if signed {
            aws.ask("dynamodb", "DynamoDB_20120810.GetItem", get("HEAD").as_bytes());
            let mut message = format!(
                r#"{{"QueueUrl":"{queue}","MessageGroupId":"g","MessageDeduplicationId":"{}","MessageBody":"#,
                hex::encode(digest)
            )
            .into_bytes();
            serde_json::to_writer(&mut message, &event.body).unwrap();
            message.push(b'}');
            aws.ask("sqs", "AmazonSQS.SendMessage", &message);
            202
        } else {
            401
        };
        let answer = format!(r#"{{"statusCode":{status}}}"#);
        let post = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: {runtime}\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        lambda.write_all(post.as_bytes()).unwrap();
        response(&mut lambda, &mut read);
    }
}

/// Reads one response with a `Content-Length`.
fn response(stream: &mut impl Read, read: &mut Vec<u8>) -> (String, Vec<u8>) {
    let mut chunk = [0; 64 * 1024];
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(read[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            let length: usize = length.parse().unwrap();
            while read.len() < end + 4 + length {
                more(stream, read, &mut chunk);
            }
            let body = read[end + 4..end + 4 + length].to_vec();
            read.drain(..end + 4 + length);
            return (head, body);
        }
        more(stream, read, &mut chunk);
    }
}

fn more(stream: &mut impl Read, read: &mut Vec<u8>, chunk: &mut [u8]) {
    let count = stream.read(chunk).unwrap();
    assert!(count > 0, "the connection ended");
    read.extend(&chunk[..count]);
}

/// One connection to AWS, and what signs its requests (Signature Version 4).
struct Aws {
    stream: StreamOwned<ClientConnection, TcpStream>,
    read: Vec<u8>,
    host: String,
    region: String,
    key: String,
    secret: String,
}

impl Aws {
    fn connect() -> Self {
        let host = var("AWS_ENDPOINT_URL").unwrap().replace("https://", "");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(var("AWS_CA_BUNDLE").unwrap()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.split(':').next().unwrap().to_owned()).unwrap();
        let tcp = TcpStream::connect(&host).unwrap();
        tcp.set_nodelay(true).unwrap();
        let stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp);
        let (key, secret) = (var("AWS_ACCESS_KEY_ID").unwrap(), var("AWS_SECRET_ACCESS_KEY").unwrap());
        Self { stream, read: Vec::new(), host, region: var("AWS_REGION").unwrap(), key, secret }
    }

    fn ask(&mut self, service: &str, target: &str, body: &[u8]) -> Vec<u8> {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let (date, host, region) = (&time[..8], &self.host, &self.region);
        let payload = hex::encode(Sha256::digest(body));
        let canonical = format!(
            "POST\n/\n\nhost:{host}\nx-amz-date:{time}\nx-amz-target:{target}\n\nhost;x-amz-date;x-amz-target\n{payload}"
        );
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [date, region, service, "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex::encode(mac(&key, &text));
        let mut request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Date: {time}\r\n\
             X-Amz-Target: {target}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={}/{scope}, \
             SignedHeaders=host;x-amz-date;x-amz-target, Signature={signature}\r\nContent-Length: {}\r\n\r\n",
            self.key,
            body.len()
        )
        .into_bytes();
        request.extend(body);
        self.stream.write_all(&request).unwrap();
        self.stream.flush().unwrap();
        let (head, body) = response(&mut self.stream, &mut self.read);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        body
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
