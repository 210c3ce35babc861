//! The bytes of an answer, as they arrive: a blocking reader for the decoder's side, a feed for the network's side.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Bounds on what one answer may make us do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the whole body. The answer for 45,000 VMs is about 500 MB when asked for without pages.
    pub body: u64,
    /// Bytes of one tag, text or other token. The longest honest ones are notes and certificates of some kilobytes.
    pub token: usize,
    /// Elements inside elements. A snapshot chain, the deepest thing in the API, adds one for each of at most 32 snapshots.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 4 << 30, token: 4 << 20, depth: 128 }
    }
}

/// The network's side of a [`Body`].
#[derive(Debug)]
pub struct BodyFeed(mpsc::Sender<io::Result<Bytes>>);

impl BodyFeed {
    /// Hands over the next piece, or the reason why there will be none. Waits while the decoder is busy.
    /// Returns `false` when the decoder has gone away: then nobody wants the rest.
    pub async fn send(&self, piece: io::Result<Bytes>) -> bool {
        self.0.send(piece).await.is_ok()
    }
}

/// The decoder's side: the body of one answer, complete or still arriving.
#[derive(Debug)]
pub struct Body {
    current: Bytes,
    rest: Rest,
    limits: Limits,
    taken: u64,
    token: usize,
    arriving: bool,
}

/// What follows the current piece.
#[derive(Debug)]
enum Rest {
    None,
    Pieces(std::vec::IntoIter<Bytes>),
    Arriving(mpsc::Receiver<io::Result<Bytes>>),
}

/// Marks errors that come from a limit, so that they can be told from those of the network.
#[derive(Debug, thiserror::Error)]
#[error("limit on {0}")]
pub(super) struct LimitExceeded(pub(super) &'static str);

impl Body {
    /// A body that is already complete.
    #[must_use]
    pub fn complete(bytes: Bytes, limits: Limits) -> Self {
        Self { current: bytes, rest: Rest::None, limits, taken: 0, token: 0, arriving: false }
    }

    /// A body that is complete, in pieces.
    #[must_use]
    pub fn of_pieces(pieces: Vec<Bytes>, limits: Limits) -> Self {
        Self { rest: Rest::Pieces(pieces.into_iter()), ..Self::complete(Bytes::new(), limits) }
    }

    /// A body that begins with `start` and continues with what the feed sends. Reading it blocks the thread.
    #[must_use]
    pub fn arriving(start: Bytes, limits: Limits) -> (Self, BodyFeed) {
        let (sender, receiver) = mpsc::channel(8);
        (
            Self { rest: Rest::Arriving(receiver), arriving: true, ..Self::complete(start, limits) },
            BodyFeed(sender),
        )
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether reading may block, so that it happens on a thread where blocking is allowed.
    pub(super) fn may_block(&self) -> bool {
        self.arriving
    }

    /// A token was completed: the next one may be as large again.
    #[inline]
    pub(super) fn token_done(&mut self) {
        self.token = 0;
    }
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(out.len());
        out[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Body {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.token > self.limits.token {
            return Err(io::Error::other(LimitExceeded("the length of one value")));
        }
        if self.current.is_empty() {
            self.next_piece()?;
        }
        Ok(&self.current)
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        let n = n.min(self.current.len());
        bytes::Buf::advance(&mut self.current, n);
        self.taken += n as u64;
        self.token += n;
    }
}

impl Body {
    fn next_piece(&mut self) -> io::Result<()> {
        if self.taken > self.limits.body {
            return Err(io::Error::other(LimitExceeded("the size of one answer")));
        }
        while self.current.is_empty() {
            let next = match &mut self.rest {
                Rest::None => return Ok(()),
                Rest::Pieces(pieces) => pieces.next().map(Ok),
                Rest::Arriving(receiver) => receiver.blocking_recv(),
            };
            match next {
                Some(piece) => self.current = piece?,
                None => self.rest = Rest::None,
            }
        }
        Ok(())
    }
}
