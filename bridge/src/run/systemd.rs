//! What systemd is told, if it is systemd that runs us; otherwise nothing happens here.
//!
//! The watchdog is fed only while every loop beats (see [`super::heartbeat`]). Failure to tell is logged once and harms
//! nothing by itself; systemd then acts as if the service had hung, which is its job.

use std::time::Duration;

use sd_notify::NotifyState;

use super::heartbeat::Heartbeats;

/// Tells systemd that the service is up.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells systemd how things are, in one line.
pub(super) fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Tells systemd that the configuration is being read again; [`ready`] ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => {
            tell(&[NotifyState::Reloading, now, NotifyState::Status("reading the configuration again")]);
        }
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells systemd that the service is ending.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("closing sessions")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

/// Feeds the watchdog, if there is one, for as long as every loop beats. Never returns.
pub(super) async fn watchdog(hearts: Heartbeats) {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    feed(hearts, period, || tell(&[NotifyState::Watchdog])).await;
}

async fn feed(hearts: Heartbeats, period: Duration, mut ping: impl FnMut()) {
    // Half of it is what systemd recommends; the bound is against a period of nothing.
    let mut ticks = tokio::time::interval((period / 2).max(Duration::from_millis(50)));
    let mut starving = false;
    loop {
        ticks.tick().await;
        let hanging = hearts.hanging();
        if hanging.is_empty() {
            ping();
            starving = false;
        } else if !starving {
            starving = true;
            tracing::error!(?hanging, "a part of the service hangs; systemd's watchdog will restart it");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_twice_a_period_and_not_while_something_hangs() {
        let hearts = Heartbeats::default();
        let heart = hearts.join("fleet");
        let pings = Cell::new(0);
        let feeding = feed(hearts, Duration::from_secs(10), || pings.set(pings.get() + 1));
        let watching = async {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                heart.beat();
            }
            let fed = pings.get();
            assert!((4..=5).contains(&fed), "{fed}");
            tokio::time::sleep(Duration::from_secs(16)).await;
            let before = pings.get();
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(pings.get(), before, "nothing beats any more");
        };
        tokio::select! { () = feeding => {}, () = watching => {} }
    }
}
