//! The snapshot tree of a VM.

use crate::world::vm::{Snapshot, Snapshots};
use crate::world::{Entity, Kind, ObjId, World};
use crate::xml::Xml;

/// Writes `VirtualMachineSnapshotInfo`.
pub(super) fn write(tree: &Snapshots, vm: ObjId, tag: &str, xml: &mut Xml) {
    xml.open_typed(tag, "VirtualMachineSnapshotInfo");
    if let Some(current) = tree.current {
        xml.moref("currentSnapshot", ObjId::new(Kind::Snapshot, current));
    }
    for root in &tree.roots {
        node(root, vm, "rootSnapshotList", xml);
    }
    xml.close(tag);
}

fn node(snapshot: &Snapshot, vm: ObjId, tag: &str, xml: &mut Xml) {
    xml.open(tag);
    xml.moref("snapshot", ObjId::new(Kind::Snapshot, snapshot.num));
    xml.moref("vm", vm);
    xml.text("name", &snapshot.name);
    xml.text("description", &snapshot.description);
    xml.val("id", snapshot.id);
    xml.val("createTime", snapshot.created);
    xml.val("state", snapshot.state.wire());
    xml.val("quiesced", snapshot.quiesced);
    for child in &snapshot.children {
        node(child, vm, "childSnapshotList", xml);
    }
    xml.val("replaySupported", false);
    xml.close(tag);
}

/// Writes a property of a snapshot itself; false when it is unset.
pub(super) fn write_own(world: &World, id: ObjId, path: &str, tag: &str, xml: &mut Xml) -> bool {
    let Some(vm) = world.vm_of_snapshot(id) else { return false };
    let tree = world.get(vm).and_then(Entity::vm).and_then(|vm| vm.snapshots.as_ref());
    let Some(snapshot) = tree.and_then(|tree| tree.find(id.num)) else { return false };
    match path {
        "vm" => xml.moref_val(tag, vm),
        "childSnapshot" => {
            xml.moref_array(tag, snapshot.children.iter().map(|child| ObjId::new(Kind::Snapshot, child.num)));
        }
        _ => return false,
    }
    true
}
