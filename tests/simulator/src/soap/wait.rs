//! WaitForUpdatesEx and its relatives: the long poll.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::vcenter::{Shared, lock};

use super::fault::Fault;
use super::properties::collector;
use super::request::Node;
use super::service::Reader;
use super::{Answer, Caller};

/// Changes that come in a burst are sent together.
const GATHER: Duration = Duration::from_millis(10);

/// Answers with what is new, waiting for it where there is nothing.
pub(super) async fn wait(
    shared: &Arc<Shared>,
    caller: &Caller,
    call: &Node,
    over: CancellationToken,
) -> Answer {
    let collector = collector(shared, caller, call)?;
    let options = call.child("options");
    let seconds = match call.name.as_str() {
        "CheckForUpdates" => Some(0),
        _ => options.and_then(|o| o.int("maxWaitSeconds")),
    };
    let deadline = match seconds {
        Some(..0) => return Err(Fault::invalid_argument("options.maxWaitSeconds")),
        Some(n) => Some(tokio::time::Instant::now() + Duration::from_secs(n.unsigned_abs())),
        None => None,
    };
    let limit = match options.and_then(|o| o.int("maxObjectUpdates")) {
        Some(..0) => return Err(Fault::invalid_argument("options.maxObjectUpdates")),
        Some(0) => shared.config.update_page,
        Some(n) => usize::try_from(n).unwrap_or(usize::MAX).min(shared.config.update_page),
        // Only the newer method pages.
        None if call.name == "WaitForUpdatesEx" => shared.config.update_page,
        None => usize::MAX,
    };
    let version = call.str("version").unwrap_or_default();
    let cancelled = lock(&collector).start_wait();
    let mut changed = shared.changes();
    loop {
        changed.borrow_and_update();
        let answer = {
            let world = shared.world();
            let reader = Reader { world: &world, user: &caller.user, shared, secret: &caller.secret };
            lock(&collector).updates(&reader, version, limit)?
        };
        if let Some(answer) = answer {
            return Ok(answer);
        }
        let timeout = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = over.cancelled() => return Err(Fault::not_authenticated("PropertyCollector", "propertyCollector")),
            () = cancelled.cancelled() => return Err(Fault::request_canceled()),
            _ = changed.changed() => tokio::time::sleep(GATHER).await,
            () = timeout => return Ok(String::new()),
        }
    }
}

/// CancelWaitForUpdates: the pending wait ends with RequestCanceled.
pub(super) fn cancel(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let collector = collector(shared, caller, call)?;
    lock(&collector).cancel_wait();
    Ok(String::new())
}
