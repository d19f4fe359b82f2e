//! One clean origin for browsers and webhooks, in front of the stand-in's address of the HTTP API.

use std::time::Duration;

use axum::{
    Router,
    body::{self, Body},
    extract::{Request, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

use crate::{Error, aws};

/// What API Gateway accepts as a body, in bytes ("Quotas for configuring and running an HTTP API").
const PAYLOAD_LIMIT: usize = 10 * 1024 * 1024;

/// How long API Gateway waits for a function that is asked to take a delivery: `TimeoutInMillis` of the template.
/// The stand-in waits for as long as the function may take, and that is meant for drains.
const DELIVERY: Duration = Duration::from_millis(9_000);
/// How long it waits for another ("Quotas for configuring and running an HTTP API").
const OTHERS: Duration = Duration::from_secs(30);

/// Headers that concern one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Where requests go.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    /// Host and port of the stand-in.
    pub authority: String,
    /// What precedes the path that was asked for.
    pub prefix: String,
}

/// Sockets bound to one port, not serving yet.
#[derive(Debug)]
pub(crate) struct Front {
    listeners: Vec<TcpListener>,
    pub port: u16,
}

impl Front {
    /// Binds the port, or with port 0 a free one, on both addresses that `localhost` may mean.
    pub(crate) async fn bind(port: u16) -> Result<Self, Error> {
        let taken = |_| Error::PortTaken { port, purpose: "the console and webhooks", option: "--port" };
        let first = TcpListener::bind(("127.0.0.1", port)).await.map_err(taken)?;
        let port = first.local_addr().map_err(taken)?.port();
        // Not every machine speaks IPv6.
        let second = TcpListener::bind(("::1", port)).await.ok();
        Ok(Self { listeners: [first].into_iter().chain(second).collect(), port })
    }

    /// Begins to serve.
    pub(crate) fn serve(self, upstream: Upstream) -> Vec<JoinHandle<()>> {
        let router = Router::new().fallback(forward).with_state(upstream);
        let serve = |listener| {
            let router = router.clone();
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() })
        };
        self.listeners.into_iter().map(serve).collect()
    }
}

async fn forward(State(upstream): State<Upstream>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let Ok(body) = body::to_bytes(body, PAYLOAD_LIMIT).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let patience = if target.starts_with("/webhooks/") { DELIVERY } else { OTHERS };
    let Ok(uri) = format!("{}{target}", upstream.prefix).parse() else {
        return message(StatusCode::BAD_REQUEST, "Bad Request");
    };
    head.uri = uri;
    for name in HOP_BY_HOP {
        head.headers.remove(name);
    }
    let asked = aws::exchange(&upstream.authority, Request::from_parts(head, Body::from(body)));
    match timeout(patience, asked).await {
        Ok(Ok(mut response)) => {
            for name in HOP_BY_HOP {
                response.headers_mut().remove(name);
            }
            response
        }
        // What API Gateway says of a function that it cannot reach, or that does not answer in time.
        Ok(Err(_)) | Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

fn message(status: StatusCode, text: &str) -> Response {
    let body = serde_json::json!({ "message": text }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::{self, Body},
        extract::Request,
        http::{StatusCode, header},
        response::Response,
    };
    use tokio::net::TcpListener;

    use super::{Front, PAYLOAD_LIMIT, Upstream};
    use crate::aws::exchange;

    /// Answers with what it received and with two cookies.
    async fn echo(request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = body::to_bytes(body, usize::MAX).await.unwrap();
        let mut text = format!("{} {}\n", head.method, head.uri);
        for (name, value) in &head.headers {
            text += &format!("{name}: {}\n", value.to_str().unwrap());
        }
        Response::builder()
            .status(StatusCode::FOUND)
            .header(header::LOCATION, "https://bitbucket.org/")
            .header(header::SET_COOKIE, "a=1")
            .header(header::SET_COOKIE, "b=2")
            .body(Body::from([text.as_bytes(), b"\n", &body].concat()))
            .unwrap()
    }

    async fn through_the_front(request: Request) -> (Response<()>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let stand_in = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
        let front = Front::bind(0).await.unwrap();
        let address = format!("127.0.0.1:{}", front.port);
        let serving = front.serve(Upstream { authority, prefix: "/_aws/execute-api/a1/$default".into() });
        let (head, body) = exchange(&address, request).await.unwrap().into_parts();
        let body = body::to_bytes(body, usize::MAX).await.unwrap();
        stand_in.abort();
        serving.iter().for_each(tokio::task::JoinHandle::abort);
        (Response::from_parts(head, ()), body.to_vec())
    }

    #[tokio::test]
    async fn requests_and_answers_pass_unchanged() {
        let request = Request::post("/a%2Fb//c?x=1&x=%20&y")
            .header("host", "localhost:8080")
            .header("cookie", "s=1; t=2")
            .header("x-hub-signature", "sha256=00")
            .header("content-length", "4")
            .body(Body::from(&b"\xff\x00\r\n"[..]))
            .unwrap();
        let (head, body) = through_the_front(request).await;
        let expected = b"POST /_aws/execute-api/a1/$default/a%2Fb//c?x=1&x=%20&y\nhost: localhost:8080\n\
            cookie: s=1; t=2\nx-hub-signature: sha256=00\ncontent-length: 4\n\n\xff\x00\r\n";
        assert_eq!(String::from_utf8_lossy(&body), String::from_utf8_lossy(expected));
        assert_eq!(body, expected);
        assert_eq!(head.status(), StatusCode::FOUND);
        assert_eq!(head.headers()[header::LOCATION], "https://bitbucket.org/");
        assert_eq!(head.headers().get_all(header::SET_COOKIE).iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    }

    #[test]
    fn a_delivery_may_take_as_long_as_in_the_template() {
        let said = format!("TimeoutInMillis: {}", super::DELIVERY.as_millis());
        assert!(include_str!("../../../template.yaml").contains(&said), "{said}");
    }

    #[tokio::test]
    async fn a_body_above_the_gateways_limit_is_refused() {
        let request = Request::post("/").body(Body::from(vec![0; PAYLOAD_LIMIT + 1])).unwrap();
        assert_eq!(through_the_front(request).await.0.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let front = Front::bind(0).await.unwrap();
        let error = Front::bind(front.port).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {}, for the console", front.port)), "{error}");
    }

    #[tokio::test]
    async fn without_the_stand_in_the_answer_makes_bitbucket_try_again() {
        let front = Front::bind(0).await.unwrap();
        let address = format!("127.0.0.1:{}", front.port);
        front.serve(Upstream { authority: "127.0.0.1:1".into(), prefix: String::new() });
        let answer = exchange(&address, Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
