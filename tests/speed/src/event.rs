//! The events that the functions are woken with.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::contents::{CREDENTIAL, HOOK_SECRET, OPERATOR_TOKEN, link};

/// An event of API Gateway's HTTP API, payload format 2.0.
fn http(method: &str, path: &str, variable: (&str, &str), headers: Value, body: Option<&str>) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": headers, "pathParameters": {variable.0: variable.1}, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "111122223333", "apiId": "abcdefghij", "domainName": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abcdefghij", "requestId": "JKJaXmPLvHcESHA=", "routeKey": "$default", "stage": "$default",
            "time": "21/Nov/2026:05:10:09 +0000", "timeEpoch": 1_795_237_809_000_u64,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "104.192.136.10", "userAgent": "Bitbucket-Webhooks/2.0"},
        },
        "body": body,
    })
}

/// A `repo:push` of about so many bytes, signed.
pub(crate) fn push(bytes: usize) -> Arc<[u8]> {
    let body = push_body(bytes);
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(HOOK_SECRET.as_bytes()) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac.update(body.as_bytes());
    let headers = json!({
        "content-type": "application/json", "user-agent": "Bitbucket-Webhooks/2.0",
        "x-event-key": "repo:push", "x-attempt-number": "1", "host": "hooks.example.com",
        "x-hook-uuid": "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9",
        "x-request-uuid": "9e107d9d-372b-4b6e-8f4d-1a2b3c4d5e6f", "x-forwarded-proto": "https",
        "x-hub-signature": format!("sha256={}", hex::encode(mac.finalize().into_bytes())),
    });
    let path = format!("/webhooks/bitbucket-cloud/{CREDENTIAL}");
    bytes_of(&http("POST", &path, ("credential_id", CREDENTIAL), headers, Some(&body)))
}

/// A push whose commits are as many as it takes.
fn push_body(bytes: usize) -> String {
    let commit = |n: usize| {
        let hash = format!("{n:040x}");
        let api = "https://api.bitbucket.org/2.0/repositories/seilbahn/website";
        json!({
            "type": "commit", "hash": hash, "date": "2026-11-20T16:41:07+00:00",
            "message": "Raise the \"replicas\" of the web tier\n\nBecause of the load on Friday.\n",
            "author": {"type": "author", "raw": "Ada Lindt <ada@example.com>", "user": {"type": "user", "display_name": "Ada Lindt", "uuid": "{b7a8d1c4-2f36-4e0c-a7c5-90cf6be1d203}"}},
            "links": {"self": {"href": format!("{api}/commit/{hash}")}, "html": {"href": format!("https://bitbucket.org/seilbahn/website/commits/{hash}")}},
        })
    };
    let body = |commits: &[Value]| {
        json!({
            "actor": {"type": "user", "uuid": "{b7a8d1c4-2f36-4e0c-a7c5-90cf6be1d203}", "display_name": "Ada Lindt"},
            "repository": {
                "type": "repository", "uuid": "{0a3c1f2e-7d55-4a38-9b1e-3f7f5a1c2b01}", "full_name": "seilbahn/website",
                "workspace": {"type": "workspace", "uuid": "{5d2f8c11-9e07-4c64-8a43-61d1b7f0e902}", "slug": "seilbahn"},
            },
            "push": {"changes": [{
                "old": {"type": "branch", "name": "main"}, "new": {"type": "branch", "name": "main"},
                "created": false, "closed": false, "forced": false, "truncated": false, "commits": commits,
            }]},
        })
        .to_string()
    };
    let mut commits = Vec::new();
    while body(&commits).len() < bytes {
        let missing = bytes - body(&commits).len();
        let more = (missing / commit(0).to_string().len()).max(1);
        commits.extend((commits.len()..commits.len() + more).map(commit));
    }
    body(&commits)
}

/// Somebody opens a connect link.
pub(crate) fn open_link() -> Arc<[u8]> {
    let link = link();
    let headers = json!({"host": "bucketwheel.example.com", "accept": "text/html"});
    bytes_of(&http("GET", &format!("/connect/{link}"), ("link", &link), headers, None))
}

/// An operator's program asks for a credential.
pub(crate) fn show_credential() -> Arc<[u8]> {
    let headers =
        json!({"host": "bucketwheel.example.com", "authorization": format!("Bearer {OPERATOR_TOKEN}")});
    let path = format!("/api/credentials/{CREDENTIAL}");
    bytes_of(&http("GET", &path, ("proxy", CREDENTIAL), headers, None))
}

/// The schedule wakes the refresher, and nothing is due.
pub(crate) fn sweep() -> Arc<[u8]> {
    bytes_of(&json!({}))
}

/// One call is on the queue.
pub(crate) fn call() -> Arc<[u8]> {
    let call = json!({
        "id": "measured", "credential": CREDENTIAL,
        "call": {"method": "GET", "path": "repositories/seilbahn/website"},
    });
    bytes_of(&json!({"Records": [{
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d", "receiptHandle": STANDARD.encode([9; 96]),
        "body": call.to_string(), "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:calls", "awsRegion": "eu-central-1",
    }]}))
}

/// A batch without a message.
pub(crate) fn nothing() -> Arc<[u8]> {
    bytes_of(&json!({"Records": []}))
}

fn bytes_of(event: &Value) -> Arc<[u8]> {
    event.to_string().into_bytes().into()
}
