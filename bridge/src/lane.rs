//! Lanes: how many calls of one kind may be under way, and how fast they may follow each other.
//!
//! A lane belongs to one limit of one remote system: an operation of AWS in an account and Region, or a vCenter. When the
//! remote side says that there are too many calls, the whole lane slows down, not each call by itself: a thousand calls that
//! each wait and try again are the same storm a little later. Nothing here fails; a lane only makes its users wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The limits of a lane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaneLimits {
    /// Calls at the same time.
    pub concurrency: usize,
    /// Calls in a second, in the long run.
    pub rate: f64,
    /// Calls that may follow each other without a pause after a time of rest.
    pub burst: f64,
}

/// A lane is never slower than this share of its rate, so that it finds out when the remote side has recovered.
const SLOWEST: f64 = 1.0 / 64.0;
/// How much of its full rate a lane gains back with each call that goes well.
const RECOVERY: f64 = 0.05;
/// The pause after the first refusal; each further one in a row doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// One lane. Clones share it.
#[derive(Debug, Clone)]
pub struct Lane(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    slots: Arc<Semaphore>,
    limits: LaneLimits,
    state: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    /// The share of the full rate that is used now.
    share: f64,
    /// Nothing starts before this.
    pause_until: Option<Instant>,
    refusals: u32,
}

/// The right to make one call.
#[derive(Debug)]
pub struct Admission {
    lane: Lane,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Lane {
    /// A lane with these limits.
    #[must_use]
    pub fn new(limits: LaneLimits) -> Self {
        let bucket = Bucket {
            tokens: limits.burst,
            filled: Instant::now(),
            share: 1.0,
            pause_until: None,
            refusals: 0,
        };
        let slots = Arc::new(Semaphore::new(limits.concurrency.max(1)));
        Self(Arc::new(Inner { slots, limits, state: Mutex::new(bucket) }))
    }

    /// Waits until a call may be made.
    pub async fn admit(&self) -> Admission {
        // The semaphore is never closed.
        let slot = self.0.slots.clone().acquire_owned().await.ok();
        while let Some(wait) = self.take() {
            tokio::time::sleep(wait).await;
        }
        Admission { lane: self.clone(), _slot: slot }
    }

    /// Whether the lane is slower than it could be, because the remote side asked for it.
    #[must_use]
    pub fn is_slowed(&self) -> bool {
        self.lock().share < 1.0
    }

    /// Takes a token, or says how long to wait for one.
    fn take(&self) -> Option<Duration> {
        let now = Instant::now();
        let limits = self.0.limits;
        let mut bucket = self.lock();
        if let Some(until) = bucket.pause_until {
            if now < until {
                return Some(until - now);
            }
            bucket.pause_until = None;
        }
        let rate = limits.rate * bucket.share;
        let gained = now.duration_since(bucket.filled).as_secs_f64() * rate;
        // A slowed lane has no bursts: they are what is refused first.
        let room = if bucket.share < 1.0 { 1.0 } else { limits.burst.max(1.0) };
        bucket.tokens = (bucket.tokens + gained).min(room);
        bucket.filled = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return None;
        }
        // A little more than needed, so that rounding does not make a second, tiny wait.
        Some(Duration::from_secs_f64((1.0 - bucket.tokens) / rate) + Duration::from_millis(1))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    /// The call went through: the lane gains back some of its speed.
    pub fn passed(self) {
        let mut bucket = self.lane.lock();
        bucket.refusals = 0;
        bucket.share = (bucket.share + RECOVERY).min(1.0);
    }

    /// The remote side refused the call because there were too many: everything in the lane waits, then goes at half the
    /// speed. `jitter` in 0..1 spreads the users of several appliances.
    pub fn refused(self, jitter: f64) {
        let now = Instant::now();
        let mut bucket = self.lane.lock();
        // Calls that were under way together are refused together, and that is one refusal.
        if bucket.pause_until.is_some_and(|until| now < until) {
            return;
        }
        bucket.share = (bucket.share / 2.0).max(SLOWEST);
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(bucket.refusals.min(10));
        bucket.refusals = bucket.refusals.saturating_add(1);
        bucket.tokens = 0.0;
        bucket.pause_until = Some(now + pause.min(LONGEST_PAUSE).mul_f64(0.5 + jitter.clamp(0.0, 1.0)));
    }
}

/// A number in 0..1, for [`Admission::refused`].
pub(crate) fn jitter() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u64_pair().0 >> 12;
    bits as f64 / (1_u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LaneLimits = LaneLimits { concurrency: 2, rate: 10.0, burst: 5.0 };

    async fn seconds_for(lane: &Lane, calls: usize) -> f64 {
        let start = Instant::now();
        for _ in 0..calls {
            lane.admit().await.passed();
        }
        start.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_burst_calls_follow_at_the_rate() {
        let lane = Lane::new(LIMITS);
        assert!(seconds_for(&lane, 5).await < 0.01);
        let took = seconds_for(&lane, 20).await;
        assert!((1.9..2.3).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_at_once_than_allowed() {
        let lane = Lane::new(LIMITS);
        let (_one, two) = (lane.admit().await, lane.admit().await);
        let third = tokio::time::timeout(Duration::from_secs(60), lane.admit());
        assert!(third.await.is_err());
        two.passed();
        assert!(tokio::time::timeout(Duration::from_secs(60), lane.admit()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_refusal_slows_everybody_and_success_heals() {
        let lane = Lane::new(LIMITS);
        let (one, two) = (lane.admit().await, lane.admit().await);
        one.refused(0.5);
        two.refused(0.5);
        assert!(lane.is_slowed());
        assert!((lane.lock().share - 0.5).abs() < 1e-9, "two refusals at once are one");
        let took = seconds_for(&lane, 2).await;
        assert!((0.5..0.9).contains(&took), "a pause, then 5 in a second: {took}");
        let _ = seconds_for(&lane, 30).await;
        assert!(!lane.is_slowed());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_but_not_without_limit() {
        let lane = Lane::new(LIMITS);
        let mut last = 0.0;
        for round in 0..12 {
            let start = Instant::now();
            lane.admit().await.refused(0.5);
            let took = start.elapsed().as_secs_f64();
            assert!(took < 40.0, "{took}");
            if (2..6).contains(&round) {
                assert!(took > last, "{took} after {last}");
            }
            last = took;
        }
        assert!((lane.lock().share - SLOWEST).abs() < 1e-9);
    }
}
