//! The inventory of one vCenter: objects, tags, events, and a log of what changed.
//!
//! The log is what makes the property collector cheap: a collector remembers a position in it instead of a copy of
//! the fleet. A collector that falls behind the part of the log that is kept is told `InvalidCollectorVersion`.

pub(crate) mod changes;
pub(crate) mod entity;
pub(crate) mod events;
pub(crate) mod hardening;
mod id;
pub(crate) mod mutate;
pub(crate) mod tags;
pub(crate) mod vm;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

pub(crate) use self::changes::{Change, ChangeLog};
pub(crate) use self::entity::{Body, CustomField, Entity};
pub(crate) use self::events::EventStore;
pub(crate) use self::id::{Kind, ObjId};
pub(crate) use self::tags::TagStore;
use crate::guest::Doors;
use crate::tasks::Tasks;

/// Everything that one vCenter knows.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) instance_uuid: Uuid,
    pub(crate) root: ObjId,
    objects: BTreeMap<u32, Entity>,
    children: BTreeMap<u32, BTreeSet<ObjId>>,
    pub(crate) fields: Vec<CustomField>,
    pub(crate) tags: TagStore,
    pub(crate) events: EventStore,
    pub(crate) tasks: Tasks,
    pub(crate) log: ChangeLog,
    pub(crate) clock_skew: i64,
    pub(crate) hardening: hardening::Hardening,
    /// The hosts as far as files of guests go over them.
    pub(crate) doors: Arc<Doors>,
    next: u32,
}

impl World {
    /// A vCenter with nothing but its root folder. Object numbers start after `first`.
    pub(crate) fn new(instance_uuid: Uuid, first: u32, clock_skew: i64, log_limit: usize) -> Self {
        let root = ObjId::new(Kind::RootFolder, first + 1);
        let mut world = Self {
            instance_uuid,
            root,
            objects: BTreeMap::new(),
            children: BTreeMap::new(),
            fields: Vec::new(),
            tags: TagStore::default(),
            events: EventStore::default(),
            tasks: Tasks::default(),
            log: ChangeLog::new(log_limit),
            clock_skew,
            hardening: hardening::Hardening::new(instance_uuid.as_u64_pair().0),
            doors: Arc::default(),
            next: first + 1,
        };
        world.insert(Entity {
            id: root,
            name: "Datacenters".into(),
            parent: None,
            custom: Vec::new(),
            body: Body::Folder,
        });
        world
    }

    /// The time of day as this vCenter sees it.
    pub(crate) fn now(&self) -> Timestamp {
        crate::clock::now(self.clock_skew)
    }

    /// A number that no object has had yet.
    pub(crate) fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    pub(crate) fn get(&self, id: ObjId) -> Option<&Entity> {
        self.objects.get(&id.num).filter(|e| e.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: ObjId) -> Option<&mut Entity> {
        self.objects.get_mut(&id.num).filter(|e| e.id == id)
    }

    /// Whether there is an object of this name: in the inventory, a snapshot, a task, or a manager.
    pub(crate) fn exists(&self, id: ObjId) -> bool {
        match id.kind {
            Kind::CustomFieldsManager | Kind::TaskManager => true,
            Kind::Task => self.tasks.get(id).is_some(),
            Kind::Snapshot => self.vm_of_snapshot(id).is_some(),
            _ => self.get(id).is_some(),
        }
    }

    /// The object that decides who may see another one: for a task or a snapshot its VM, else the object itself.
    pub(crate) fn seen_by(&self, id: ObjId) -> ObjId {
        match id.kind {
            Kind::Task => self.tasks.get(id).map_or(id, |task| task.entity),
            Kind::Snapshot => self.vm_of_snapshot(id).unwrap_or(id),
            _ => id,
        }
    }

    /// Every object, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Entity> {
        self.objects.values()
    }

    /// Direct children in the tree of container views.
    pub(crate) fn children(&self, id: ObjId) -> impl Iterator<Item = ObjId> + '_ {
        self.children.get(&id.num).into_iter().flatten().copied()
    }

    /// Puts an object into the inventory without telling anybody: for the generator.
    pub(crate) fn insert(&mut self, entity: Entity) {
        if let Some(parent) = entity.container() {
            self.children.entry(parent.num).or_default().insert(entity.id);
        }
        self.next = self.next.max(entity.id.num);
        self.objects.insert(entity.id.num, entity);
    }

    /// Takes an object out without telling anybody.
    pub(crate) fn take(&mut self, id: ObjId) -> Option<Entity> {
        self.get(id)?;
        let entity = self.objects.remove(&id.num)?;
        if let Some(siblings) = entity.container().and_then(|parent| self.children.get_mut(&parent.num)) {
            siblings.remove(&id);
        }
        self.children.remove(&id.num);
        Some(entity)
    }

    /// Whether `id` hangs somewhere below `container`.
    pub(crate) fn is_below(&self, id: ObjId, container: ObjId) -> bool {
        let mut at = self.get(id).and_then(Entity::container);
        // A cycle cannot be built, but a bound costs nothing.
        for _ in 0..64 {
            match at {
                Some(parent) if parent == container => return true,
                Some(parent) => at = self.get(parent).and_then(Entity::container),
                None => return false,
            }
        }
        false
    }

    /// The chain of names from the datacenter's folder down to the object, escaped as vCenter gives them.
    pub(crate) fn path_names(&self, id: ObjId) -> Vec<&str> {
        let mut names = Vec::new();
        let mut at = self.get(id);
        while let Some(entity) = at {
            names.push(&*entity.name);
            at = entity.container().and_then(|parent| self.get(parent));
        }
        names.reverse();
        names
    }

    /// The nearest ancestor of a kind.
    pub(crate) fn ancestor(&self, id: ObjId, kind: Kind) -> Option<&Entity> {
        let mut at = self.get(id);
        while let Some(entity) = at {
            if entity.id.kind == kind {
                return Some(entity);
            }
            at = entity.container().and_then(|parent| self.get(parent));
        }
        None
    }

    /// Every VM.
    pub(crate) fn vms(&self) -> impl Iterator<Item = (&Entity, &vm::Vm)> {
        self.all().filter_map(|e| e.vm().map(|vm| (e, vm)))
    }
}

/// Escapes a name as vCenter shows it: `%`, `/` and `\` only.
pub(crate) fn escape_name(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2f").replace('\\', "%5c")
}

/// What the person typed who gave the name.
pub(crate) fn unescape_name(name: &str) -> String {
    name.replace("%2f", "/").replace("%2F", "/").replace("%5c", "\\").replace("%5C", "\\").replace("%25", "%")
}
