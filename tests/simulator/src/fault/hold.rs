//! Calls that are held: a test stops a call at a known point, kills or disturbs its client there, and lets it go on.
//!
//! A held call waits until somebody releases it or its client is gone. The server drops the work of a call whose
//! connection has ended, so a call that is held before its effect and whose client is gone is never applied.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::vcenter::lock;

/// After a release, the end of a connection that came before it gets so long to be noticed: a client that was killed
/// before the release must not have its call applied.
const NOTICE: Duration = Duration::from_millis(50);

/// Where a call is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HoldPoint {
    /// It has arrived, and nothing was done yet.
    Before,
    /// It was applied, and its answer was not sent.
    After,
}

/// A call that is held now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldCall {
    /// Numbers the held calls in the order in which they were stopped.
    pub id: u64,
    /// Name of the vCenter; `vmc` or `aws` for those services.
    pub vcenter: String,
    /// Which call.
    pub operation: String,
    /// Where it was stopped.
    pub point: HoldPoint,
    /// When it was stopped.
    pub since: Timestamp,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    held: BTreeMap<u64, (HeldCall, oneshot::Sender<()>)>,
}

/// All calls that are held.
#[derive(Debug, Default)]
pub(crate) struct Holds(Mutex<Inner>);

/// Takes a call out of the list when it goes on, and also when its connection ends.
struct Waiting<'a> {
    holds: &'a Holds,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.holds.0).held.remove(&self.id);
    }
}

impl Holds {
    /// Waits until the call is released. Being dropped means that the client is gone.
    pub(super) async fn wait(&self, vcenter: &str, operation: &str, point: HoldPoint) {
        let (release, released) = oneshot::channel();
        let id = {
            let mut inner = lock(&self.0);
            inner.last += 1;
            let id = inner.last;
            let call = HeldCall {
                id,
                vcenter: vcenter.to_owned(),
                operation: operation.to_owned(),
                point,
                since: crate::clock::now(0),
            };
            inner.held.insert(id, (call, release));
            id
        };
        let waiting = Waiting { holds: self, id };
        // An error means that the list was emptied, which is a release too.
        let _ = released.await;
        drop(waiting);
        tokio::time::sleep(NOTICE).await;
    }

    pub(crate) fn held(&self) -> Vec<HeldCall> {
        lock(&self.0).held.values().map(|(call, _)| call.clone()).collect()
    }

    /// Lets the held calls go on that match an operation (`None`: all); returns how many.
    pub(crate) fn release(&self, operation: Option<&str>) -> usize {
        let mut inner = lock(&self.0);
        let ids: Vec<u64> = inner
            .held
            .iter()
            .filter(|(_, (call, _))| operation.is_none_or(|wanted| super::matches(wanted, &call.operation)))
            .map(|(id, _)| *id)
            .collect();
        let mut released = 0;
        for id in ids {
            if let Some((_, release)) = inner.held.remove(&id)
                && release.send(()).is_ok()
            {
                released += 1;
            }
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_call_waits_for_its_release_and_is_forgotten_when_dropped() {
        let holds = Arc::new(Holds::default());
        let start = |operation: &'static str| {
            let holds = Arc::clone(&holds);
            tokio::spawn(async move { holds.wait("aws", operation, HoldPoint::Before).await })
        };
        let (one, two) = (start("ssm:AddTagsToResource"), start("ssm:CreateActivation"));
        while holds.held().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(holds.release(Some("ssm:Add*")), 1);
        one.await.unwrap();
        two.abort();
        assert!(two.await.unwrap_err().is_cancelled());
        assert_eq!((holds.held().len(), holds.release(None)), (0, 0));
    }
}
