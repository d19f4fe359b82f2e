//! What goes over the wire.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use serde_json::Value;

use super::*;
use crate::config::Settings;

/// Answers so many requests, each on a connection of its own, as if nothing were found, and gives what they
/// asked.
fn nothing_found(listener: &TcpListener, requests: usize) -> Vec<Value> {
    let answer = |_| {
        let (stream, _) = listener.accept().expect("a request");
        let mut request = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while request.read_line(&mut line).expect("a line") > 2 {
            let header = line.to_ascii_lowercase();
            length = header
                .strip_prefix("content-length:")
                .map_or(length, |n| n.trim().parse().expect("a length"));
            line.clear();
        }
        let mut body = vec![0; length];
        request.read_exact(&mut body).expect("a body");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\n";
        write!(request.get_mut(), "{head}content-length: 2\r\n\r\n{{}}").expect("an answer");
        serde_json::from_slice(&body).expect("JSON")
    };
    (0..requests).map(answer).collect()
}

/// The stand-in for AWS shows no lag, so only the request can tell.
#[tokio::test]
async fn items_and_partitions_are_read_strongly() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let account = Account::from(&mut Settings::new(|name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        _ => Some("x".to_owned()),
    }));
    let table = DynamoTable::new(&account, "t".to_owned());
    let server = thread::spawn(move || nothing_found(&listener, 2));
    let found = table.get(&Key::new("CRED#c1", "TOKENS")).await;
    assert!(matches!(found, Ok(None)), "{found:?}");
    let partition = Query::Partition { pk: "CRED#c1".to_owned(), prefix: String::new() };
    let page = table.query(&partition, 10, None).await;
    assert!(page.is_ok_and(|page| page.items.is_empty()));
    for asked in server.join().expect("both were asked") {
        assert_eq!(asked["ConsistentRead"], true, "{asked}");
    }
}
