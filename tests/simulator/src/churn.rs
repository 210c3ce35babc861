//! What happens in an estate by itself: one plausible change after the other, from a seed.

use crate::dice::Dice;
use crate::handle::Vcenter;
use crate::mutation::Mutation;
use crate::world::tags::Cardinality;
use crate::world::vm::Power;
use crate::world::{Body, Entity, Kind, ObjId, World, unescape_name};

/// What separates a name from the mark of its latest change.
const MARK: &str = " · ";

/// Draws changes. The same seed and the same inventory give the same change.
#[derive(Debug)]
pub struct Churn {
    dice: Dice,
    count: u32,
    /// Copies that were made here, and may be deleted here: the fleet neither grows without end nor shrinks.
    copies: Vec<(String, String)>,
}

impl Churn {
    /// A source of changes.
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed, 41), count: 0, copies: Vec::new() }
    }

    /// Draws a number in `0..n` (0 when `n` is 0): which vCenter is next, how long to wait.
    pub fn below(&mut self, n: usize) -> usize {
        self.dice.below(n)
    }

    /// Does one change to a vCenter and returns it; `None` when nothing could be done there.
    pub fn change(&mut self, vcenter: &Vcenter) -> Option<Mutation> {
        // Not every idea fits the machine that was drawn; a few attempts always find one that does.
        for _ in 0..20 {
            let Some(mutation) = self.draw(vcenter) else { continue };
            let Ok(made) = vcenter.mutate(&mutation) else { continue };
            match &mutation {
                Mutation::Clone { .. } => {
                    self.copies.extend(made.map(|id| (vcenter.name().to_owned(), id)));
                }
                Mutation::Remove { id } => {
                    self.copies.retain(|(at, copy)| at != vcenter.name() || copy != id);
                }
                _ => {}
            }
            return Some(mutation);
        }
        None
    }

    /// Moves a VM that runs from one tag of a category to another one, every other time its patch group; returns what was
    /// done, which is nothing where there are no such tags.
    pub fn retag(&mut self, vcenter: &Vcenter) -> Vec<Mutation> {
        let moves = {
            let world = vcenter.shared.world();
            self.moves(&world).unwrap_or_default()
        };
        moves.into_iter().filter(|mutation| vcenter.mutate(mutation).is_ok()).collect()
    }

    /// A backup product takes a snapshot of a VM that runs, keeps it for so many milliseconds and removes it; `None` when that
    /// cannot be done to the VM that was drawn.
    pub fn backup(&mut self, vcenter: &Vcenter, hold_ms: u64) -> Option<Mutation> {
        let id = {
            let world = vcenter.shared.world();
            let vms: Vec<ObjId> = world
                .vms()
                .filter(|(_, vm)| ordinary(vm) && vm.power == Power::On)
                .map(|(entity, _)| entity.id)
                .collect();
            if vms.is_empty() {
                return None;
            }
            self.dice.pick(&vms).to_string()
        };
        let mutation = Mutation::backup(&id, hold_ms);
        vcenter.mutate(&mutation).is_ok().then_some(mutation)
    }

    fn moves(&mut self, world: &World) -> Option<Vec<Mutation>> {
        let vms: Vec<ObjId> = world
            .vms()
            .filter(|(_, vm)| ordinary(vm) && vm.power == Power::On)
            .map(|(entity, _)| entity.id)
            .collect();
        if vms.is_empty() {
            return None;
        }
        let patch_group = self.dice.chance(50);
        let categories: Vec<_> = world
            .tags
            .categories
            .values()
            .filter(|category| category.cardinality == Cardinality::Single)
            .filter(|category| !patch_group || category.name == "Patch Group")
            .collect();
        if categories.is_empty() {
            return None;
        }
        let (vm, category) = (*self.dice.pick(&vms), *self.dice.pick(&categories));
        let present =
            world.tags.tags_of(vm).find(|tag| tag.category == category.id).map(|tag| tag.id.clone());
        let others: Vec<_> = world
            .tags
            .tags
            .values()
            .filter(|tag| tag.category == category.id && Some(&tag.id) != present.as_ref())
            .collect();
        if others.is_empty() {
            return None;
        }
        let (id, next) = (vm.to_string(), self.dice.pick(&others).id.clone());
        let detach = present.map(|tag| Mutation::DetachTag { id: id.clone(), tag });
        Some(detach.into_iter().chain([Mutation::AttachTag { id, tag: next }]).collect())
    }

    fn draw(&mut self, vcenter: &Vcenter) -> Option<Mutation> {
        self.count += 1;
        let world = vcenter.shared.world();
        let vms: Vec<&Entity> =
            world.vms().filter(|(_, vm)| ordinary(vm)).map(|(entity, _)| entity).collect();
        let idea = self.dice.between(0, 99);
        if idea >= 96 {
            return self.infrastructure(&world);
        }
        if vms.is_empty() {
            return None;
        }
        let entity = *self.dice.pick(&vms);
        let vm = entity.vm()?;
        let id = entity.id.to_string();
        let n = self.count;
        Some(match idea {
            0..=19 => match vm.power {
                Power::On if self.dice.chance(15) => Mutation::Suspend { id },
                Power::On => Mutation::PowerOff { id },
                Power::Off | Power::Suspended => Mutation::PowerOn { id },
            },
            20..=33 => self.tag(&world, entity.id)?,
            34..=43 => {
                vm.guest.ip.as_ref()?;
                let ip = format!(
                    "10.{}.{}.{}",
                    self.dice.below(256),
                    self.dice.below(256),
                    self.dice.between(1, 254)
                );
                Mutation::Guest { id, ip: Some(ip), host_name: None, tools_running: None }
            }
            44..=51 => {
                let name = unescape_name(&entity.name);
                let base = name.split(MARK).next().unwrap_or(&name);
                Mutation::Rename { id, name: format!("{base}{MARK}{n}") }
            }
            52..=59 => Mutation::Annotate { id, text: format!("Change {n}: checked by the night shift") },
            60..=69 => match &vm.snapshots {
                Some(tree) if self.dice.chance(60) => {
                    let snapshot = ObjId::new(Kind::Snapshot, tree.roots.last()?.num).to_string();
                    Mutation::RemoveSnapshot { id, snapshot, children: false }
                }
                _ => {
                    let name = format!("before change {n}");
                    Mutation::CreateSnapshot { id, name, memory: false, quiesced: false }
                }
            },
            70..=77 => self.migrate(&world, entity)?,
            78..=80 => Mutation::Resize {
                id,
                cpus: *self.dice.pick(&[1, 2, 4, 8]),
                memory_mb: 1024 * *self.dice.pick(&[2, 4, 8, 16, 32]),
            },
            81..=84 => {
                let field = "Ticket".to_owned();
                Mutation::SetCustom { id, field, value: format!("CHG{:06}", self.dice.between(1, 999_999)) }
            }
            85..=87 => self.move_elsewhere(&world, entity)?,
            88..=91 => {
                let name = format!("{}{MARK}copy {n}", unescape_name(&entity.name));
                Mutation::Clone { id, name, same_identity: self.dice.chance(10) }
            }
            _ => {
                let own: Vec<&String> =
                    self.copies.iter().filter(|(at, _)| at == vcenter.name()).map(|(_, id)| id).collect();
                let id = (*own.first()?).clone();
                let running = ObjId::parse(&id).and_then(|id| world.get(id)).and_then(Entity::vm);
                // A VM that runs cannot be deleted.
                match running.map(|vm| vm.power) {
                    Some(Power::Off) => Mutation::Remove { id },
                    _ => Mutation::PowerOff { id },
                }
            }
        })
    }

    /// Attaches a tag, or detaches one where it is there or in the way.
    fn tag(&mut self, world: &World, vm: ObjId) -> Option<Mutation> {
        let all: Vec<_> = world.tags.tags.values().collect();
        if all.is_empty() {
            return None;
        }
        let tag = *self.dice.pick(&all);
        let category = world.tags.categories.get(&tag.category)?;
        let single = category.cardinality == Cardinality::Single;
        let in_the_way =
            world.tags.tags_of(vm).find(|t| t.id == tag.id || (single && t.category == tag.category));
        let id = vm.to_string();
        Some(match in_the_way {
            Some(present) => Mutation::DetachTag { id, tag: present.id.clone() },
            None => Mutation::AttachTag { id, tag: tag.id.clone() },
        })
    }

    /// To another host of the same cluster.
    fn migrate(&mut self, world: &World, entity: &Entity) -> Option<Mutation> {
        let here = entity.vm()?.host?;
        let compute = world.get(world.get(here)?.parent?)?;
        let Body::Compute(compute) = &compute.body else { return None };
        let others: Vec<_> = compute.hosts.iter().filter(|host| **host != here).collect();
        let host = if others.is_empty() { return None } else { self.dice.pick(&others).to_string() };
        Some(Mutation::Migrate { id: entity.id.to_string(), host })
    }

    /// To another folder of the same datacenter.
    fn move_elsewhere(&mut self, world: &World, entity: &Entity) -> Option<Mutation> {
        let here = entity.parent?;
        let datacenter = world.ancestor(entity.id, Kind::Datacenter)?.id;
        let folders: Vec<ObjId> = world
            .all()
            .map(|e| e.id)
            .filter(|id| id.kind == Kind::VmFolder && *id != here && world.is_below(*id, datacenter))
            .collect();
        let folder = if folders.is_empty() { return None } else { self.dice.pick(&folders).to_string() };
        Some(Mutation::Move { id: entity.id.to_string(), folder })
    }

    fn infrastructure(&mut self, world: &World) -> Option<Mutation> {
        if self.dice.chance(60) {
            let stores: Vec<_> = world.all().filter(|e| e.id.kind == Kind::Datastore).collect();
            let store = if stores.is_empty() { return None } else { *self.dice.pick(&stores) };
            let Body::Datastore(body) = &store.body else { return None };
            let bytes = body.capacity / 100 * u64::from(self.dice.between(5, 70));
            return Some(Mutation::FreeSpace { id: store.id.to_string(), bytes });
        }
        let hosts: Vec<_> = world.all().filter(|e| e.id.kind == Kind::Host).collect();
        let host = if hosts.is_empty() { return None } else { *self.dice.pick(&hosts) };
        let Body::Host(body) = &host.body else { return None };
        Some(Mutation::Maintenance { id: host.id.to_string(), on: !body.maintenance })
    }
}

/// A machine that people work with: no template, no agent, nothing lost.
fn ordinary(vm: &crate::world::vm::Vm) -> bool {
    vm.config.as_ref().is_some_and(|config| !config.template && config.managed_by.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Simulator, SimulatorConfig};

    #[tokio::test]
    async fn a_backup_product_finds_vms_that_run() {
        let simulator = Simulator::start(SimulatorConfig::single(30, 5)).await.unwrap();
        let vcenter = &simulator.vcenters()[0];
        let mut churn = Churn::new(9);
        let made = (0..20).filter(|_| churn.backup(vcenter, 1000).is_some()).count();
        let active = vcenter.tasks().active;
        assert!(made > 5 && active.len() == made && active.iter().all(|one| one.by.foreign), "{active:?}");
        simulator.shutdown().await;
    }

    #[tokio::test]
    async fn changes_repeat_from_a_seed_and_the_fleet_keeps_its_size() {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let simulator = Simulator::start(SimulatorConfig::single(30, 5)).await.unwrap();
            let vcenter = &simulator.vcenters()[0];
            let mut churn = Churn::new(9);
            let before = vcenter.truth();
            let done: Vec<Mutation> = (0..300).map(|_| churn.change(vcenter).unwrap()).collect();
            assert_ne!(before, vcenter.truth());
            assert!(vcenter.vm_ids().len() >= 30 && vcenter.vm_ids().len() < 60);
            runs.push(done);
            simulator.shutdown().await;
        }
        let kinds = |run: &[Mutation]| {
            let mut kinds: Vec<_> = run.iter().map(std::mem::discriminant).collect();
            let mut seen = Vec::new();
            kinds.retain(|k| {
                !seen.contains(k) && {
                    seen.push(*k);
                    true
                }
            });
            kinds.len()
        };
        assert!(kinds(&runs[0]) >= 12, "{:?}", runs[0]);
        assert_eq!(runs[0], runs[1]);
    }
}
