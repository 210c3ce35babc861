//! Ending sessions that nobody holds any more.
//!
//! A session is given up in many ways: its client is dropped, a caller gives up while it is being made, or the server says that it
//! has ended, which is not always true. Each leaves one on the server unless it is told. So a session carries its farewell, which is
//! said in the background when the session is dropped, and whoever closes a client waits for those that are under way.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;

/// How long a client that is closed waits for farewells.
const PATIENCE: Duration = Duration::from_secs(3);

type End = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// All farewells of one client.
#[derive(Clone, Default)]
pub(crate) struct Farewells(TaskTracker);

/// What is said when this is dropped, unless it was [called off](Self::call_off).
pub(crate) struct Farewell {
    end: Mutex<Option<End>>,
    all: TaskTracker,
}

impl Farewells {
    /// A farewell to say at the end of a session.
    pub(crate) fn prepare(&self, end: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static) -> Farewell {
        Farewell { end: Mutex::new(Some(Box::new(end))), all: self.0.clone() }
    }

    /// Waits until those under way have been said, but not for long.
    pub(crate) async fn said(&self) {
        self.0.close();
        if tokio::time::timeout(PATIENCE, self.0.wait()).await.is_err() {
            tracing::debug!("an abandoned session could not be ended in time");
        }
    }
}

impl Farewell {
    /// The session was ended in another way.
    pub(crate) fn call_off(&self) {
        self.take();
    }

    fn take(&self) -> Option<End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // Without a runtime nothing can be sent any more; the server ends the session when it has been idle for long enough.
        if let (Some(end), Ok(runtime)) = (self.take(), tokio::runtime::Handle::try_current()) {
            self.all.spawn_on(end(), &runtime);
        }
    }
}

impl fmt::Debug for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Farewell").finish_non_exhaustive()
    }
}
