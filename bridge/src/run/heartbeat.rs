//! Whether the parts of the service that must never stand still are moving.
//!
//! A process that exists proves nothing: what counts is that its loops come round. Each loop beats; the health page and
//! systemd's watchdog look at the oldest beat. A part that hangs therefore ends as a restart, not as a fleet that silently
//! grows old.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often a loop beats.
pub(super) const PERIOD: Duration = Duration::from_secs(1);
/// A loop that has been silent for this long hangs.
const SILENCE: Duration = Duration::from_secs(15);

/// All loops. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Heartbeats {
    loops: Arc<Mutex<Vec<(&'static str, Instant)>>>,
}

impl Heartbeats {
    /// A new loop, beating from now on.
    pub(super) fn join(&self, name: &'static str) -> Heart {
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.push((name, Instant::now()));
        Heart { all: self.clone(), index: loops.len() - 1 }
    }

    /// The loops that hang, and for how long.
    #[must_use]
    pub(super) fn hanging(&self) -> Vec<(&'static str, Duration)> {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = loops.iter().map(|(name, last)| (*name, last.elapsed()));
        silent.filter(|(_, silence)| *silence > SILENCE).collect()
    }
}

/// The beat of one loop.
#[derive(Debug)]
pub(super) struct Heart {
    all: Heartbeats,
    index: usize,
}

impl Heart {
    /// The loop has come round.
    pub(super) fn beat(&self) {
        let mut loops = self.all.loops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, last)) = loops.get_mut(self.index) {
            *last = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_loop_that_hangs_is_enough_and_one_that_moves_again_is_forgiven() {
        let hearts = Heartbeats::default();
        let (moving, hangs) = (hearts.join("main"), hearts.join("fleet"));
        tokio::time::advance(Duration::from_secs(10)).await;
        moving.beat();
        assert_eq!(hearts.hanging(), []);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(hearts.hanging(), [("fleet", Duration::from_secs(20))]);
        hangs.beat();
        assert_eq!(hearts.hanging(), []);
    }
}
