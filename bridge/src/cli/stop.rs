//! The wish to stop: Ctrl-C, SIGTERM, a terminal that was closed.
//!
//! The first one asks, so that sessions can be logged out; a later one ends the process at once.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Signals that follow the first one this closely are the same wish: `timeout` and terminals send it to the process and to its
/// group, so that it comes twice.
const ECHO: Duration = Duration::from_secs(1);

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
    first: Arc<OnceLock<Instant>>,
}

impl Stop {
    /// Starts listening for signals.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn listen(hangup: Hangup) -> io::Result<Self> {
        let stop = Self { token: CancellationToken::new(), signal: Arc::default(), first: Arc::default() };
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
            if self.first.get_or_init(Instant::now).elapsed() > ECHO {
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
