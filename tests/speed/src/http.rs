//! As much of HTTP/1.1 as a measurement needs: requests with a `Content-Length`, answered one after the
//! other on threads that block. Nothing here waits for a scheduler, so little of it is in the figures.

use std::io::{self, Read, Write};

/// The longest head that is read, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// What somebody asked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// `X-Amz-Target`, which names an action of AWS.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

/// A connection, and what of the next request has come already.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: S,
    read: Vec<u8>,
}

impl<S: Read + Write> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: Vec::with_capacity(16 * 1024) }
    }

    /// The next request; none where the other side has ended.
    pub(crate) fn next(&mut self) -> io::Result<Option<Request>> {
        let (head, mut request, length) = loop {
            if let Some(found) = parse(&self.read)? {
                break found;
            }
            if self.read.len() > LONGEST_HEAD {
                return Err(io::Error::other("the head of a request is too long"));
            }
            if self.more()? == 0 {
                return Ok(None);
            }
        };
        while self.read.len() < head + length {
            if self.more()? == 0 {
                return Ok(None);
            }
        }
        request.body = self.read[head..head + length].to_vec();
        self.read.drain(..head + length);
        Ok(Some(request))
    }

    /// Answers the last request. `headers` are whole lines.
    pub(crate) fn answer(&mut self, status: u16, headers: &str, body: &[u8]) -> io::Result<()> {
        let mut answer =
            format!("HTTP/1.1 {status} -\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend(body);
        self.stream.write_all(&answer)?;
        self.stream.flush()
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 64 * 1024];
        let count = self.stream.read(&mut chunk)?;
        self.read.extend(&chunk[..count]);
        Ok(count)
    }
}

/// The length of the head, the request without its body, and the body's length, once the head is there.
fn parse(read: &[u8]) -> io::Result<Option<(usize, Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(read).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned()).unwrap_or_default()
    };
    if !header("transfer-encoding").is_empty() {
        return Err(io::Error::other("a request in chunks is not understood here"));
    }
    let request = Request {
        path: parsed.path.unwrap_or_default().to_owned(),
        target: header("x-amz-target"),
        body: Vec::new(),
    };
    Ok(Some((head, request, header("content-length").parse().unwrap_or_default())))
}
