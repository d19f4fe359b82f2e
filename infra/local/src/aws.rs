//! Signed requests to the local AWS stand-in.
//!
//! Five APIs with seven operations do not need five SDK crates.

use std::{collections::HashMap, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use axum::body::{self, Body};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{Error, Local, STACK};

/// The region that everything here is in.
pub const REGION: &str = "us-east-1";
/// Both halves of the key with which the stand-in's owner signs. It guards nothing.
pub const KEY: &str = "test";

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The stand-in, seen by its owner.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    /// Host and port.
    pub authority: String,
}

impl Aws {
    fn at(endpoint: &str) -> Self {
        Self { authority: endpoint.trim_start_matches("http://").to_owned() }
    }

    /// Stores an object, or with an empty path makes a bucket.
    pub(crate) async fn put(&self, path: &str, content: Bytes) -> Result<(), Error> {
        let request = self.request(Method::PUT, &format!("/{path}"));
        self.send("s3", "s3:PutObject", request, content).await.map(drop)
    }

    /// Asks CloudFormation, which answers with XML.
    pub(crate) async fn stack(&self, action: &str, fields: &[(&str, &str)]) -> Result<String, Error> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2010-05-15").extend_pairs(fields);
        let request = self
            .request(Method::POST, "/")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8");
        let answer = self
            .send("cloudformation", &format!("cloudformation:{action}"), request, form.finish().into())
            .await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Reads a secret.
    pub(crate) async fn secret(&self, id: &str) -> Result<String, Error> {
        let request = self
            .request(Method::POST, "/")
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", "secretsmanager.GetSecretValue");
        let body = serde_json::json!({"SecretId": id}).to_string();
        let answer =
            self.send("secretsmanager", "secretsmanager:GetSecretValue", request, body.into()).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        Ok(answer["SecretString"].as_str().unwrap_or_default().to_owned())
    }

    /// Every item of a table, page by page, as DynamoDB writes them.
    pub(crate) async fn items(&self, table: &str) -> Result<String, Error> {
        let (mut all, mut body) = (String::new(), serde_json::json!({"TableName": table}));
        loop {
            let request = self
                .request(Method::POST, "/")
                .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
                .header("x-amz-target", "DynamoDB_20120810.Scan");
            let page = self.send("dynamodb", "dynamodb:Scan", request, body.to_string().into()).await?;
            all += &String::from_utf8_lossy(&page);
            let page: serde_json::Value = serde_json::from_slice(&page).unwrap_or_default();
            match page.get("LastEvaluatedKey") {
                Some(key) if key.is_object() => body["ExclusiveStartKey"] = key.clone(),
                _ => return Ok(all),
            }
        }
    }

    /// Makes a queue, ordered if its name says `.fifo`, and gives its address.
    pub(crate) async fn queue(&self, name: &str) -> Result<String, Error> {
        let request = self
            .request(Method::POST, "/")
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", "AmazonSQS.CreateQueue");
        let mut body = serde_json::json!({"QueueName": name});
        if name.ends_with(".fifo") {
            body["Attributes"] = serde_json::json!({"FifoQueue": "true"});
        }
        let answer = self.send("sqs", "sqs:CreateQueue", request, body.to_string().into()).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        Ok(answer["QueueUrl"].as_str().unwrap_or_default().to_owned())
    }

    /// Runs a function and returns what it answered, which is an error's description if it failed.
    pub(crate) async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, Error> {
        let request = self.request(Method::POST, &format!("/2015-03-31/functions/{function}/invocations"));
        self.send("lambda", "lambda:Invoke", request, event).await
    }

    /// What a function is set up with, as Lambda describes it.
    pub(crate) async fn configuration(&self, function: &str) -> Result<serde_json::Value, Error> {
        let request = self.request(Method::GET, &format!("/2015-03-31/functions/{function}/configuration"));
        let answer = self.send("lambda", "lambda:GetFunctionConfiguration", request, Bytes::new()).await?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.authority))
    }

    async fn send(
        &self,
        service: &str,
        name: &str,
        request: http::request::Builder,
        content: Bytes,
    ) -> Result<Bytes, Error> {
        let unreachable = |source| Error::Unreachable { request: name.to_owned(), source };
        let request = signed(service, request, &content).map_err(unreachable)?;
        let response = exchange(&self.authority, request.map(|()| Body::from(content))).await;
        let (head, body) = response.map_err(unreachable)?.into_parts();
        let answer = body::to_bytes(body, usize::MAX).await.map_err(|error| unreachable(error.into()))?;
        if head.status.is_success() {
            return Ok(answer);
        }
        let text: String = String::from_utf8_lossy(&answer).chars().take(300).collect();
        Err(Error::Refused {
            request: name.to_owned(),
            status: head.status.as_u16(),
            answer: text.replace('\n', " "),
        })
    }
}

/// What tests and the command line ask of the running stack.
impl Local {
    /// Runs a function, such as `token-refresh`, with an event and returns its answer: what a schedule
    /// does, only now. The answer describes the error if the function failed.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and [`Error::Refused`].
    pub async fn invoke(&self, function: &str, event: impl Into<Bytes>) -> Result<Bytes, Error> {
        invoke(&self.aws_endpoint, function, event).await
    }

    /// The environment variables that the template gives a function, such as `token-refresh`.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and [`Error::Refused`].
    pub async fn environment(&self, function: &str) -> Result<HashMap<String, String>, Error> {
        environment(&self.aws_endpoint, function).await
    }

    /// Makes a queue besides those of the template, ordered if its name says `.fifo`, and gives its address.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and [`Error::Refused`].
    pub async fn queue(&self, name: &str) -> Result<String, Error> {
        queue(&self.aws_endpoint, name).await
    }
}

/// Every item of the table, as DynamoDB writes them: what somebody would see who may read it all.
///
/// # Errors
/// [`Error::Unreachable`] and [`Error::Refused`].
pub async fn items(endpoint: &str, table: &str) -> Result<String, Error> {
    Aws::at(endpoint).items(table).await
}

/// [`Local::invoke`] for who knows only where the stand-in is.
///
/// # Errors
/// [`Error::Unreachable`] and [`Error::Refused`].
pub async fn invoke(endpoint: &str, function: &str, event: impl Into<Bytes>) -> Result<Bytes, Error> {
    Aws::at(endpoint).invoke(&format!("{STACK}-{function}"), event.into()).await
}

/// [`Local::environment`] for who knows only where the stand-in is.
///
/// # Errors
/// [`Error::Unreachable`] and [`Error::Refused`].
pub async fn environment(endpoint: &str, function: &str) -> Result<HashMap<String, String>, Error> {
    let configuration = Aws::at(endpoint).configuration(&format!("{STACK}-{function}")).await?;
    let variables = configuration["Environment"]["Variables"].as_object().into_iter().flatten();
    Ok(variables.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect())
}

/// [`Local::queue`] for who knows only where the stand-in is.
///
/// # Errors
/// [`Error::Unreachable`] and [`Error::Refused`].
pub async fn queue(endpoint: &str, name: &str) -> Result<String, Error> {
    Aws::at(endpoint).queue(name).await
}

fn signed(service: &str, request: http::request::Builder, content: &[u8]) -> Result<Request<()>, Cause> {
    let mut request = request.body(())?;
    let identity = Credentials::new(KEY, KEY, None, None, "the stand-in's owner").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the edge: a signature holds the time at which it is sent"
    )]
    let now = SystemTime::now();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name(service)
        .time(now)
        .settings(settings)
        .build()?
        .into();
    // Hashing tens of megabytes of code would protect nothing on the way to a neighbouring process.
    let body = if service == "s3" { SignableBody::UnsignedPayload } else { SignableBody::Bytes(content) };
    let uri = request.uri().to_string();
    let headers =
        request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, body)?;
    let (instructions, _) = sign(signable, &params)?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

/// Sends one request over its own connection, as it is: no header is added but a missing `Host`, no
/// redirect followed, nothing decoded.
pub(crate) async fn exchange(authority: &str, mut request: Request<Body>) -> Result<Response<Body>, Cause> {
    let stream = TcpStream::connect(authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    if !request.headers().contains_key(header::HOST) {
        request.headers_mut().insert(header::HOST, authority.parse()?);
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).parse::<Uri>()?;
    *request.uri_mut() = target;
    Ok(sender.send_request(request).await?.map(Body::new))
}

/// Whether the stand-in answers yet.
pub(crate) async fn answers(authority: &str) -> bool {
    let request = Request::builder().uri("/_ministack/health").body(Body::empty());
    match request {
        Ok(request) => {
            exchange(authority, request).await.is_ok_and(|answer| answer.status() == StatusCode::OK)
        }
        Err(_) => false,
    }
}
