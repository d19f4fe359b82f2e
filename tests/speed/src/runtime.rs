//! Lambda's Runtime API, as a function sees it
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>), with a stop watch.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::Connection;

/// How long anything may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a function did, and when.
#[derive(Debug)]
pub(crate) enum Mark {
    /// It asked for its next event.
    Polled(Instant),
    /// It has that event from now on.
    Served(Instant),
    /// It has answered.
    Answered(Instant, Vec<u8>),
}

/// One environment's Runtime API.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) address: SocketAddr,
    events: Sender<Arc<[u8]>>,
    marks: Receiver<Mark>,
}

/// How long one invocation took, and what came of it.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) took: Duration,
    pub(crate) answered_at: Instant,
    pub(crate) answer: Vec<u8>,
}

impl Runtime {
    /// A Runtime API on a free port.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (events, waiting) = channel();
        let (mark, marks) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (waiting, mark) = (Arc::clone(&waiting), mark.clone());
                thread::spawn(move || serve(stream, &waiting, &mark));
            }
        });
        Ok(Self { address, events, marks })
    }

    /// Waits until the function asks for its first event.
    pub(crate) fn polled(&self) -> io::Result<Instant> {
        match self.mark()? {
            Mark::Polled(at) => Ok(at),
            other => Err(io::Error::other(format!("expected a poll, not {other:?}"))),
        }
    }

    /// Hands out one event and waits for its answer and the next poll.
    pub(crate) fn invoke(&self, event: &Arc<[u8]>) -> io::Result<Invocation> {
        self.events.send(Arc::clone(event)).map_err(io::Error::other)?;
        let mut served = None;
        let mut done = None;
        let mut polled = false;
        while done.is_none() || !polled {
            match self.mark()? {
                Mark::Served(at) => served = Some(at),
                Mark::Answered(at, answer) => {
                    let took = at - served.unwrap_or(at);
                    done = Some(Invocation { took, answered_at: at, answer });
                }
                Mark::Polled(_) => polled = true,
            }
        }
        done.ok_or_else(|| io::Error::other("no answer"))
    }

    fn mark(&self) -> io::Result<Mark> {
        let given_up = |_| io::Error::new(io::ErrorKind::TimedOut, "the function did not do anything");
        self.marks.recv_timeout(PATIENCE).map_err(given_up)
    }
}

fn serve(stream: TcpStream, events: &Mutex<Receiver<Arc<[u8]>>>, mark: &Sender<Mark>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.next()? {
        if request.path.ends_with("/invocation/next") {
            let _ = mark.send(Mark::Polled(Instant::now()));
            let event = events.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(event) = event else { return Ok(()) };
            let _ = mark.send(Mark::Served(Instant::now()));
            connection.answer(200, HEADERS, &event)?;
        } else {
            let at = Instant::now();
            let worked = request.path.ends_with("/response");
            let answer = if worked { request.body } else { [b"failed: ", &*request.body].concat() };
            let _ = mark.send(Mark::Answered(at, answer));
            connection.answer(202, "Content-Type: application/json\r\n", b"{\"status\":\"OK\"}")?;
        }
    }
    Ok(())
}

/// The deadline lies far ahead: what is slow is to be measured, not cut off.
const HEADERS: &str = "Content-Type: application/json\r\n\
    Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
    Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
    Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:111122223333:function:measured\r\n\
    Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n";
