//! Much happens at once: for every seed, limits hold, nothing is lost or done twice, and all space comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine::Aftermath;
use super::{Maker, Operation, TaskKind, TaskSetting, task_scripts};
use crate::clock::uptime;
use crate::config::{FleetConfig, VcenterConfig};
use crate::dice::Dice;
use crate::fleet;
use crate::world::vm::Snapshot;
use crate::world::{Body, ObjId, World};

const STEP: Duration = Duration::from_millis(50);

fn free(world: &World) -> BTreeMap<ObjId, u64> {
    let stores = world.all().filter_map(|entity| match &entity.body {
        Body::Datastore(store) => Some((entity.id, store.free)),
        _ => None,
    });
    stores.collect()
}

fn all_snapshots(list: &[Snapshot], out: &mut Vec<u32>) {
    for snapshot in list {
        out.push(snapshot.num);
        all_snapshots(&snapshot.children, out);
    }
}

/// Something that somebody may ask for.
fn draw(world: &World, dice: &mut Dice, vm: ObjId) -> Operation {
    let mut snapshots = Vec::new();
    let tree = world.get(vm).and_then(|entity| entity.vm()).and_then(|vm| vm.snapshots.as_ref());
    all_snapshots(tree.map_or(&[], |tree| &tree.roots), &mut snapshots);
    let snapshot = if snapshots.is_empty() { 1 } else { *dice.pick(&snapshots) };
    match dice.below(10) {
        0..4 => Operation::Create {
            name: "s".to_owned(),
            description: String::new(),
            memory: dice.chance(20),
            quiesce: dice.chance(50),
            extended: false,
        },
        4 | 5 => Operation::Remove { snapshot, children: dice.chance(20), consolidate: dice.chance(80) },
        6 => Operation::Revert { snapshot: Some(snapshot), suppress_power_on: dice.chance(50) },
        7 => Operation::Consolidate,
        8 => Operation::PowerOff,
        _ => Operation::PowerOn,
    }
}

/// Lets everything happen until `until`; a restart happens when it is asked for.
fn pass(world: &mut World, now: &mut Duration, until: Duration) {
    while *now < until {
        let mut rounds = 0;
        while world.next_due().is_some_and(|due| due <= *now) {
            rounds += 1;
            assert!(rounds < 100, "it does not come to rest");
            if world.tick(*now).iter().any(|one| matches!(one, Aftermath::Restart)) {
                world.forget_tasks();
            }
        }
        *now += STEP;
    }
}

#[test]
fn whatever_happens_limits_hold_and_all_space_comes_back() {
    for seed in 0..60 {
        let fleet = FleetConfig { vms: 25, seed, tags: false, ..FleetConfig::default() };
        let mut world = fleet::generate(&VcenterConfig { fleet, ..VcenterConfig::default() });
        // What the first fleet has takes no space that anybody knows of.
        let before = free(&world);
        let setting = TaskSetting {
            datastore_depth: Some(2),
            host_depth: Some(3),
            seed: Some(seed),
            snapshot_bytes: Some(1 << 20),
            growth_every_ms: Some(500),
            retention_ms: Some(3_000),
            ..TaskSetting::default()
        };
        world.tasks.set(&setting);
        world.tasks.script(&task_scripts(seed), false);
        let mut dice = Dice::new(seed, 90);
        let mut now = uptime();
        let mut accepted = 0;
        let mut asked = 0;
        for _ in 0..60 {
            let vms: Vec<ObjId> = world.vms().map(|(entity, _)| entity.id).collect();
            let vm = *dice.pick(&vms);
            let by = Maker { user: "u".to_owned(), session: None, foreign: false };
            let operation = draw(&world, &mut dice, vm);
            let made = world.submit(vm, operation, by, None).unwrap();
            asked += 1;
            accepted += usize::from(made.accepted);
            if dice.chance(10) {
                let _ = world.cancel(made.task);
            }
            if dice.chance(5) {
                world.forget_tasks();
            }
            if dice.chance(5) {
                let stores: Vec<ObjId> = before.keys().copied().collect();
                world.relocate(*dice.pick(&vms), *dice.pick(&stores)).unwrap();
            }
            let until = now + Duration::from_millis(u64::from(dice.between(0, 1_500)));
            pass(&mut world, &mut now, until);
        }
        let end = now + Duration::from_secs(120);
        pass(&mut world, &mut now, end);
        let truth = world.tasks.truth();
        assert!(truth.active.is_empty(), "seed {seed}: {truth:?}");
        assert_eq!((truth.finished.len(), accepted > 10), (asked, true), "seed {seed}");
        assert_eq!(world.tasks.recent(None).count(), 0, "seed {seed}");
        assert!(truth.running.datastores.values().all(|count| *count <= 2), "seed {seed}: {truth:?}");
        assert!(truth.running.hosts.values().all(|count| *count <= 3), "seed {seed}: {truth:?}");
        let mut tasks: Vec<&str> = truth.finished.iter().map(|one| one.task.as_str()).collect();
        tasks.sort_unstable();
        tasks.dedup();
        assert_eq!(tasks.len(), asked, "seed {seed}: an operation ended twice");
        // What was made is in a tree, or some operation took it out, or it went with its VM: never two of these.
        let of = |kind: TaskKind| truth.finished.iter().filter(move |one| one.kind == kind);
        let removals = truth.finished.iter().filter(|one| one.kind.removes());
        let gone: Vec<&str> =
            removals.flat_map(|one| &one.snapshots).map(|snapshot| snapshot.snapshot.as_str()).collect();
        for made in of(TaskKind::CreateSnapshot).flat_map(|one| &one.snapshots) {
            let id = ObjId::parse(&made.snapshot).unwrap();
            let there = world.vm_of_snapshot(id).is_some();
            let taken = gone.iter().filter(|gone| **gone == made.snapshot).count();
            assert!(taken + usize::from(there) <= 1, "seed {seed}: {made:?}");
        }
        for vm in world.tasks.disks.vms() {
            world.remove(vm).unwrap();
        }
        let end = now + Duration::from_secs(1);
        pass(&mut world, &mut now, end);
        assert_eq!(free(&world), before, "seed {seed}");
    }
}
