//! An answer as a list of steps: bytes, pauses, and breaks in the connection.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

/// A piece of an answer's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Data(Bytes),
    Sleep(Duration),
    /// The connection ends here, whatever was promised.
    Abort,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
    /// `Content-Length` where it is to differ from the truth.
    pub(crate) declared: Option<u64>,
    /// Break the connection instead of sending anything.
    pub(crate) reset: bool,
}

impl Reply {
    pub(crate) fn text(status: u16, content_type: &str, body: String) -> Self {
        Self {
            status,
            headers: vec![
                ("content-type".to_owned(), content_type.to_owned()),
                ("cache-control".to_owned(), "no-cache".to_owned()),
            ],
            steps: vec![Step::Data(Bytes::from(body))],
            declared: None,
            reset: false,
        }
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::text(status, "application/json", value.to_string())
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), steps: Vec::new(), declared: None, reset: false }
    }

    /// Breaks the connection with a TCP reset.
    pub(crate) fn reset() -> Self {
        Self { reset: true, ..Self::empty(500) }
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// All bytes of the body.
    pub(crate) fn bytes(&self) -> Bytes {
        match self.steps.as_slice() {
            [Step::Data(only)] => only.clone(),
            steps => {
                let mut all = Vec::new();
                for step in steps {
                    if let Step::Data(data) = step {
                        all.extend_from_slice(data);
                    }
                }
                all.into()
            }
        }
    }
}

/// A body that plays its steps.
pub(crate) struct Body {
    steps: VecDeque<Step>,
    length: Option<u64>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Called for when the connection is to be torn down.
    abort: tokio_util::sync::CancellationToken,
}

impl Body {
    pub(crate) fn new(reply: Reply, abort: tokio_util::sync::CancellationToken) -> Self {
        let plain = reply.steps.iter().all(|s| matches!(s, Step::Data(_)));
        let length: usize = reply.steps.iter().map(|s| if let Step::Data(d) = s { d.len() } else { 0 }).sum();
        let length = match reply.declared {
            Some(declared) => Some(declared),
            None if plain => u64::try_from(length).ok(),
            None => None,
        };
        Self { steps: reply.steps.into(), length, sleep: None, abort }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                match sleep.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => self.sleep = None,
                }
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Data(data)) if data.is_empty() => {}
                Some(Step::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Step::Sleep(duration)) => self.sleep = Some(Box::pin(tokio::time::sleep(duration))),
                Some(Step::Abort) => {
                    self.abort.cancel();
                    // What was written must leave before the connection goes: the server waits a moment.
                    return Poll::Pending;
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

use std::future::Future as _;
