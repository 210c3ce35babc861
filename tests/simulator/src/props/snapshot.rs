//! The snapshot tree of a VM.

use crate::world::vm::{Snapshot, Snapshots};
use crate::world::{Kind, ObjId};
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
