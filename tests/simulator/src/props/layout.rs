//! `VirtualMachineFileLayoutEx`: the files of a VM and what belongs to which snapshot. What clients add up for the size of a
//! snapshot is what [`crate::tasks`] takes from the datastore for it.

use crate::world::entity::Entity;
use crate::world::vm::{Snapshot, Vm};
use crate::world::{Kind, ObjId, World};
use crate::xml::Xml;

#[derive(Default)]
struct Files {
    xml: Xml,
    last: i32,
}

impl Files {
    fn add(&mut self, name: &str, of: &str, size: u64) -> i32 {
        self.last += 1;
        self.xml.open("file");
        self.xml.val("key", self.last);
        self.xml.text("name", name);
        self.xml.val("type", of);
        self.xml.val("size", size);
        self.xml.val("uniqueSize", size);
        self.xml.val("accessible", true);
        self.xml.close("file");
        self.last
    }
}

fn disks(chains: &[(i32, Vec<Vec<i32>>)], tag: &str, xml: &mut Xml) {
    for (key, chain) in chains {
        xml.open(tag);
        xml.val("key", key);
        for unit in chain {
            xml.open("chain");
            for file in unit {
                xml.val("fileKey", file);
            }
            xml.close("chain");
        }
        xml.close(tag);
    }
}

/// Writes the layout. Disks grow in their first file only: the simulator keeps one number for each snapshot.
pub(super) fn write(world: &World, entity: &Entity, vm: &Vm, tag: &str, xml: &mut Xml) {
    let called = &entity.name;
    let mut files = Files::default();
    files.add(&format!("[datastore] {called}/{called}.vmx"), "config", 4096);
    let base: Vec<(i32, Vec<Vec<i32>>)> = vm
        .config
        .iter()
        .flat_map(|config| config.disks.iter().enumerate())
        .map(|(at, disk)| {
            let suffix = if at == 0 { String::new() } else { format!("_{at}") };
            let name = format!("[datastore] {called}/{called}{suffix}");
            let descriptor = files.add(&format!("{name}.vmdk"), "diskDescriptor", 512);
            let extent = files.add(&format!("{name}-flat.vmdk"), "diskExtent", disk.bytes);
            (disk.key, vec![vec![descriptor, extent]])
        })
        .collect();
    let tree = vm.snapshots.as_ref();
    let mut snapshots = Xml::new();
    let mut chain = base.clone();
    for root in tree.iter().flat_map(|tree| &tree.roots) {
        walk(
            world,
            called,
            root,
            &base,
            tree.and_then(|tree| tree.current),
            &mut files,
            &mut snapshots,
            &mut chain,
        );
    }
    xml.open_typed(tag, "VirtualMachineFileLayoutEx");
    xml.raw(files.xml.as_str());
    disks(&chain, "disk", xml);
    xml.raw(snapshots.as_str());
    xml.val("timestamp", world.now());
    xml.close(tag);
}

#[expect(clippy::too_many_arguments, reason = "a walk over a tree that writes three things at once")]
fn walk(
    world: &World,
    called: &str,
    snapshot: &Snapshot,
    below: &[(i32, Vec<Vec<i32>>)],
    current: Option<u32>,
    files: &mut Files,
    snapshots: &mut Xml,
    chain: &mut Vec<(i32, Vec<Vec<i32>>)>,
) {
    let id = ObjId::new(Kind::Snapshot, snapshot.num);
    let delta = world.tasks.disks.delta(snapshot.num);
    let data = files.add(&format!("[datastore] {called}/{called}-{id}.vmsn"), "snapshotData", 20_480);
    let memory = match delta.filter(|delta| delta.memory > 0) {
        Some(delta) => {
            files.add(&format!("[datastore] {called}/{called}-{id}.vmem"), "snapshotMemory", delta.memory)
        }
        None => -1,
    };
    snapshots.open("snapshot");
    snapshots.moref("key", id);
    snapshots.val("dataKey", data);
    snapshots.val("memoryKey", memory);
    disks(below, "disk", snapshots);
    snapshots.close("snapshot");
    let above: Vec<(i32, Vec<Vec<i32>>)> = below
        .iter()
        .enumerate()
        .map(|(at, (key, units))| {
            let size = if at == 0 { delta.map_or(0, |delta| delta.bytes) } else { 0 };
            let name = format!("[datastore] {called}/{called}_{at}-{:06}", snapshot.num);
            let descriptor = files.add(&format!("{name}.vmdk"), "diskDescriptor", 512);
            let extent = files.add(&format!("{name}-sesparse.vmdk"), "diskExtent", size);
            let units = units.iter().cloned().chain([vec![descriptor, extent]]).collect();
            (*key, units)
        })
        .collect();
    if current == Some(snapshot.num) {
        chain.clone_from(&above);
    }
    for child in &snapshot.children {
        walk(world, called, child, &above, current, files, snapshots, chain);
    }
}
