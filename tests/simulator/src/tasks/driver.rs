//! Makes time pass for the tasks of a vCenter, and tells guests and their agents what became of them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::engine::Aftermath;
use crate::clock::uptime;
use crate::guest::Guests;
use crate::vcenter::Shared;
use crate::world::ObjId;

/// Runs until `stop`: sleeps until something is due, or somebody asks for something.
pub(crate) async fn drive(shared: Arc<Shared>, stop: CancellationToken) {
    let mut changed = shared.changes();
    loop {
        changed.borrow_and_update();
        let (due, now) = (shared.world().next_due(), uptime());
        if due.is_some_and(|due| due <= now) {
            let after = shared.change(|world| {
                let after = world.tick(uptime());
                // Before anybody is told that the task is over.
                after.iter().for_each(|one| change_guest(&shared.guests, one));
                after
            });
            settle(&shared, &after);
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

/// The guest is different by an operation that ended.
fn change_guest(guests: &Guests, one: &Aftermath) {
    match one {
        Aftermath::Stopped(vm) => guests.stop(*vm),
        Aftermath::Saved { vm, snapshot } => guests.save(*vm, *snapshot),
        Aftermath::Reverted { vm, snapshot } => guests.revert(*vm, *snapshot),
        Aftermath::Forgotten(snapshots) => guests.forget(snapshots),
        Aftermath::Started(_) | Aftermath::Frozen(_) | Aftermath::Thawed(_) | Aftermath::Restart => {}
    }
}

/// What others are told of it: agents come and go, and vCenter restarts.
fn settle(shared: &Shared, after: &[Aftermath]) {
    let agent = |vm: &ObjId, status| shared.guests.agent_of(&shared.config.name, *vm, status);
    for one in after {
        match one {
            Aftermath::Restart => shared.restart(),
            Aftermath::Stopped(vm) | Aftermath::Reverted { vm, .. } | Aftermath::Frozen(vm) => {
                agent(vm, "ConnectionLost");
            }
            Aftermath::Started(vm) | Aftermath::Thawed(vm) => {
                if !shared.world().tasks.is_stale(*vm) {
                    agent(vm, "Online");
                }
            }
            Aftermath::Saved { .. } | Aftermath::Forgotten(_) => {}
        }
    }
}
