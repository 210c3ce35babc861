//! The methods that give a task, and CancelTask.

use serde_json::{Value, json};

use crate::tasks::{Maker, Operation};
use crate::vcenter::Shared;
use crate::world::{Entity, Kind, ObjId, World};
use crate::xml::Xml;

use super::fault::Fault;
use super::request::Node;
use super::select::{object, sees};
use super::{Answer, Caller};

const CREATE: &str = "VirtualMachine.State.CreateSnapshot";
const REMOVE: &str = "VirtualMachine.State.RemoveSnapshot";
const REVERT: &str = "VirtualMachine.State.RevertToSnapshot";
const POWER_ON: &str = "VirtualMachine.Interact.PowerOn";
const POWER_OFF: &str = "VirtualMachine.Interact.PowerOff";

fn may(world: &World, caller: &Caller, id: ObjId, privilege: &str) -> Result<(), Fault> {
    let at = world.get(id).and_then(Entity::container);
    if caller.user.has(privilege) && sees(world, &caller.user, id, at) {
        return Ok(());
    }
    Err(Fault::no_permission(id, privilege))
}

/// The VM that a method is called on.
fn this_vm(world: &World, call: &Node) -> Result<ObjId, Fault> {
    object(world, &call.children[0])
}

/// The VM of the snapshot that a method is called on, and the number of that snapshot.
fn this_snapshot(world: &World, call: &Node) -> Result<(ObjId, u32), Fault> {
    world.find_snapshot(object(world, &call.children[0])?)
}

/// Checks the privilege and makes the task.
fn submit(
    shared: &Shared,
    caller: &Caller,
    call: &Node,
    privilege: &str,
    wanted: impl FnOnce(&World) -> Result<(ObjId, Operation, Value), Fault>,
) -> Answer {
    let session = shared.sessions().get_mut(&caller.secret).map(|session| session.key.clone());
    shared.change(|world| {
        let (vm, operation, detail) = wanted(world)?;
        may(world, caller, vm, privilege)?;
        // A host that is named must exist; the simulator leaves the VM where it is.
        if let Some(host) = call.child("host") {
            object(world, host)
                .ok()
                .filter(|id| id.kind == Kind::Host)
                .ok_or_else(|| Fault::invalid_argument("host"))?;
        }
        let by = Maker { user: caller.user.name.clone(), session, foreign: false };
        let made = world.submit(vm, operation, by, None)?;
        let mut detail = detail;
        detail["task"] = made.task.to_string().into();
        shared.record(&call.name, &vm.to_string(), detail, made.accepted);
        if made.lost {
            return Err(Fault::lost());
        }
        let mut xml = Xml::new();
        xml.moref("returnval", made.task);
        Ok(xml.into_string())
    })
}

/// CreateSnapshot_Task and CreateSnapshotEx_Task.
pub(super) fn create(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let name = call.str("name").unwrap_or_default().to_owned();
    let quiesce_spec = call.child("quiesceSpec");
    if let Some(minutes) = quiesce_spec.and_then(|spec| spec.int("timeout"))
        && !(5..=240).contains(&minutes)
    {
        return Err(Fault::invalid_argument("quiesceSpec.timeout"));
    }
    if name.is_empty() {
        return Err(Fault::new("InvalidName", "The name is not valid.").with(|xml| xml.text("name", "")));
    }
    let operation = Operation::Create {
        description: call.str("description").unwrap_or_default().to_owned(),
        memory: call.bool("memory"),
        quiesce: quiesce_spec.is_some() || call.bool("quiesce"),
        extended: call.name == "CreateSnapshotEx_Task",
        name: name.clone(),
    };
    let memory = call.bool("memory");
    submit(shared, caller, call, CREATE, |world| {
        Ok((this_vm(world, call)?, operation, json!({ "name": name, "memory": memory })))
    })
}

/// Absent means true.
fn consolidate_too(call: &Node) -> bool {
    call.child("consolidate").is_none() || call.bool("consolidate")
}

/// RemoveSnapshot_Task.
pub(super) fn remove(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let (children, consolidate) = (call.bool("removeChildren"), consolidate_too(call));
    submit(shared, caller, call, REMOVE, |world| {
        let (vm, snapshot) = this_snapshot(world, call)?;
        let detail = json!({ "snapshot": call.children[0].text.trim(), "removeChildren": children });
        Ok((vm, Operation::Remove { snapshot, children, consolidate }, detail))
    })
}

/// RemoveAllSnapshots_Task.
pub(super) fn remove_all(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    if call.child("spec").is_some_and(|spec| spec.child("retentionDays").is_some()) {
        return Err(Fault::new("NotSupported", "The simulator does not select snapshots by their age."));
    }
    let operation = Operation::RemoveAll { consolidate: consolidate_too(call) };
    submit(shared, caller, call, REMOVE, |world| Ok((this_vm(world, call)?, operation, json!({}))))
}

/// RevertToSnapshot_Task.
pub(super) fn revert(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let suppress_power_on = call.bool("suppressPowerOn");
    submit(shared, caller, call, REVERT, |world| {
        let (vm, num) = this_snapshot(world, call)?;
        let operation = Operation::Revert { snapshot: Some(num), suppress_power_on };
        Ok((vm, operation, json!({ "snapshot": call.children[0].text.trim() })))
    })
}

/// RevertToCurrentSnapshot_Task.
pub(super) fn revert_to_current(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let operation = Operation::Revert { snapshot: None, suppress_power_on: call.bool("suppressPowerOn") };
    submit(shared, caller, call, REVERT, |world| Ok((this_vm(world, call)?, operation, json!({}))))
}

/// ConsolidateVMDisks_Task.
pub(super) fn consolidate(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    submit(shared, caller, call, REMOVE, |world| {
        Ok((this_vm(world, call)?, Operation::Consolidate, json!({})))
    })
}

/// PowerOnVM_Task.
pub(super) fn power_on(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    submit(shared, caller, call, POWER_ON, |world| Ok((this_vm(world, call)?, Operation::PowerOn, json!({}))))
}

/// PowerOffVM_Task.
pub(super) fn power_off(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    submit(shared, caller, call, POWER_OFF, |world| {
        Ok((this_vm(world, call)?, Operation::PowerOff, json!({})))
    })
}

/// CancelTask: of one's own, or with the privilege for those of others.
pub(super) fn cancel(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    const PRIVILEGE: &str = "Global.CancelTask";
    shared.change(|world| {
        let id = object(world, &call.children[0])?;
        let own = world.tasks.get(id).is_some_and(|task| task.user == caller.user.name);
        if !own {
            may(world, caller, id, PRIVILEGE)?;
        }
        world.cancel(id)?;
        shared.record("CancelTask", &id.to_string(), json!({}), true);
        Ok(String::new())
    })
}
