//! The wish to stop: Ctrl-C, SIGTERM, a terminal that was closed.
//!
//! The first one asks, so that sessions can be logged out; the second one ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What SIGHUP means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// The terminal was closed: stop.
    Stops,
    /// Something else, which somebody else listens to.
    IsNotOurs,
}

/// Whether and why to stop. Clones share one answer.
#[derive(Debug, Clone)]
pub struct Stop {
    token: CancellationToken,
    signal: Arc<AtomicU8>,
}

impl Stop {
    /// Starts listening for signals.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn listen(hangup: Hangup) -> io::Result<Self> {
        let stop = Self { token: CancellationToken::new(), signal: Arc::default() };
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        if hangup == Hangup::Stops {
            kinds.push(SignalKind::hangup());
        }
        for kind in kinds {
            let number = u8::try_from(kind.as_raw_value()).unwrap_or(0);
            tokio::spawn(stop.clone().follow(signal(kind)?, number));
        }
        Ok(stop)
    }

    async fn follow(self, mut signals: Signal, number: u8) {
        while signals.recv().await.is_some() {
            if self.token.is_cancelled() {
                std::process::exit(i32::from(super::Exit::Interrupted(number).number()));
            }
            self.signal.store(number, Ordering::Relaxed);
            self.token.cancel();
        }
    }

    /// Returns when stopping was asked for.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// The signal that asked for it.
    #[must_use]
    pub fn signal(&self) -> Option<u8> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            number => Some(number),
        }
    }

    /// How a command ends that was to end by itself, given how it would have ended.
    #[must_use]
    pub fn or(&self, exit: super::Exit) -> super::Exit {
        self.signal().map_or(exit, super::Exit::Interrupted)
    }
}
