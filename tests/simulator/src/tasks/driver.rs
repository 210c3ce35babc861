//! Makes time pass for the tasks of a vCenter, and tells guests and their agents what became of them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::engine::Aftermath;
use crate::clock::uptime;
use crate::vcenter::Shared;

/// Runs until `stop`: sleeps until something is due, or somebody asks for something.
pub(crate) async fn drive(shared: Arc<Shared>, stop: CancellationToken) {
    let mut changed = shared.changes();
    loop {
        changed.borrow_and_update();
        let (due, now) = (shared.world().next_due(), uptime());
        if due.is_some_and(|due| due <= now) {
            let after = shared.change(|world| world.tick(uptime()));
            settle(&shared, after);
            continue;
        }
        let sleep = async {
            match due {
                Some(due) => tokio::time::sleep(due.saturating_sub(now)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            _ = changed.changed() => {}
            () = sleep => {}
        }
    }
}

/// Does outside of the inventory what follows from operations that ended.
fn settle(shared: &Shared, after: Vec<Aftermath>) {
    for one in after {
        match one {
            Aftermath::Restart => shared.restart(),
            Aftermath::Stopped(vm) => {
                shared.guests.stop(vm);
                shared.guests.agent_of(&shared.config.name, vm, "ConnectionLost");
            }
            Aftermath::Started(vm) | Aftermath::Thawed(vm) => {
                if !shared.world().tasks.is_stale(vm) {
                    shared.guests.agent_of(&shared.config.name, vm, "Online");
                }
            }
            Aftermath::Frozen(vm) => shared.guests.agent_of(&shared.config.name, vm, "ConnectionLost"),
            Aftermath::Saved { vm, snapshot } => shared.guests.save(vm, snapshot),
            Aftermath::Reverted { vm, snapshot } => {
                shared.guests.revert(vm, snapshot);
                shared.guests.agent_of(&shared.config.name, vm, "ConnectionLost");
            }
            Aftermath::Forgotten(snapshots) => shared.guests.forget(&snapshots),
        }
    }
}
