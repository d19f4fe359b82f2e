use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use http::HeaderValue;
use serde_json::json;

use super::*;
use crate::config::Settings;

/// A server that gives these answers, the last again and again, each on a connection of its own that stays
/// open; where there is none it hangs up without one. It tells what it was asked.
fn server(answers: &[&str]) -> (Api, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let answers: Vec<_> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let (asked, told) = channel();
    thread::spawn(move || {
        let mut open = Vec::new();
        for (at, stream) in listener.incoming().enumerate() {
            let mut request = BufReader::new(stream.expect("a request"));
            let (mut head, mut length) = (String::new(), 0);
            while request.read_line(&mut head).expect("a line") > 2 {
                let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                length =
                    line.strip_prefix("content-length: ").map_or(length, |n| n.parse().expect("a length"));
            }
            request.read_exact(&mut vec![0; length]).expect("a body");
            let _ = asked.send(head);
            if let Some(answer) = answers.get(at).or(answers.last()) {
                let _ = request.get_mut().write_all(answer.as_bytes());
                open.push(request);
            }
        }
    });
    let account = Account::from(&mut Settings::new(|name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        "AWS_SESSION_TOKEN" => Some("session".to_owned()),
        "AWS_CA_BUNDLE" => None,
        _ => Some("x".to_owned()),
    }));
    (Api::new(&account, TABLE), told)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn asked(answers: &[&str]) -> (Result<Value, Failure>, usize) {
    let (api, told) = server(answers);
    let answer = api.ask("GetItem", &json!({})).await;
    (answer, told.try_iter().count())
}

#[tokio::test]
async fn what_may_pass_is_tried_three_times_and_nothing_else_is() {
    let good = answer("200 OK", r#"{"Item":{}}"#);
    let away = answer("503 Service Unavailable", "");
    let throttled =
        answer("400 Bad Request", r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}"#);
    let refused = answer(
        "400 Bad Request",
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}"#,
    );

    let (found, tries) = asked(&[&away, &throttled, &good]).await;
    assert_eq!((found.expect("an answer"), tries), (json!({"Item": {}}), 3));
    let (found, tries) = asked(&[&away]).await;
    assert!(matches!(&found, Err(Failure::Refused(refusal)) if refusal.status == 503), "{found:?}");
    assert_eq!(tries, 3);
    let (found, tries) = asked(&[&refused, &good]).await;
    assert_eq!(found.expect_err("refused").code(), Some("ConditionalCheckFailedException"));
    assert_eq!(tries, 1);
    // Nobody knows what became of it, so nothing is said of it but that.
    let (found, tries) = asked(&[]).await;
    assert!(matches!(found, Err(Failure::Lost(_))), "{found:?}");
    assert_eq!(tries, 3);
}

#[tokio::test]
async fn an_attempt_ends_in_time() {
    let (api, told) = server(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"]);
    let question = json!({});
    let asking = api.ask_for::<Value>(Duration::from_millis(30), "GetItem", &question);
    let answer = timeout(Duration::from_secs(20), asking).await.expect("an end");
    assert!(matches!(answer, Err(Failure::Slow)), "{answer:?}");
    assert_eq!(told.try_iter().count(), 3);
}

#[tokio::test]
async fn a_request_is_signed_with_all_that_it_is_sent_with() {
    let (api, told) = server(&[&answer("200 OK", "{}")]);
    api.tell("PutItem", &json!({})).await.expect("told");
    let head = told.recv().expect("a request").to_ascii_lowercase();
    for line in [
        "x-amz-target: dynamodb_20120810.putitem",
        "content-type: application/x-amz-json-1.0",
        "x-amz-security-token: session",
        "x-amzn-query-mode: true",
        "signedheaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
    ] {
        assert!(head.contains(line), "{head}");
    }
}

#[test]
fn a_code_is_the_same_under_its_old_name_and_its_new_one() {
    let refusal = |before: Option<&'static str>, body: &str| {
        let header = before.map(|before| ("x-amzn-query-error", HeaderValue::from_static(before)));
        let headers =
            header.into_iter().map(|(name, value)| (name.parse().expect("a name"), value)).collect();
        Refusal::new(400, &headers, body.as_bytes()).code
    };
    let told = r#"{"__type":"com.amazonaws.sqs#MessageNotInflight","message":"m"}"#;
    assert_eq!(refusal(Some("AWS.SimpleQueueService.MessageNotInflight;Sender"), told), "MessageNotInflight");
    assert_eq!(refusal(None, told), "MessageNotInflight");
    let told = r#"{"__type":"com.amazon.coral.service#InvalidParameterValueException"}"#;
    assert_eq!(refusal(Some("InvalidParameterValue;Sender"), told), "InvalidParameterValue");
    assert_eq!(refusal(None, "no JSON"), "");
}

#[test]
fn each_region_has_an_address() {
    let address = |region: &'static str| {
        let account = Account::from(&mut Settings::new(|name: &str| match name {
            "AWS_REGION" => Some(region.to_owned()),
            "AWS_ENDPOINT_URL" | "AWS_CA_BUNDLE" => None,
            _ => Some("x".to_owned()),
        }));
        Api::new(&account, QUEUE).0.address.as_ref().map(Uri::to_string)
    };
    assert_eq!(address("eu-central-1").as_deref(), Some("https://sqs.eu-central-1.amazonaws.com/"));
    assert_eq!(address("cn-north-1").as_deref(), Some("https://sqs.cn-north-1.amazonaws.com.cn/"));
    assert_eq!(address("no region"), None);
}
