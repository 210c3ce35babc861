//! Everything that can happen to the inventory while somebody watches. Each function changes the objects, logs which
//! properties are new, and posts the event that vCenter would post.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::events::Event;
use super::tags::TagError;
use super::vm::{Connection, GuestAddress, GuestNic, Power, Snapshot, Snapshots, Vm};
use super::{Body, Change, CustomField, Entity, Kind, ObjId, World};

/// Why a change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MutateError {
    /// No object is called so.
    #[error("there is no object {0}")]
    NoSuchObject(String),
    /// The object exists, but this cannot be done to it.
    #[error("{what} cannot be done to {object}")]
    NotPossible {
        /// The change that was asked for.
        what: &'static str,
        /// The MoRef or id of the object.
        object: String,
    },
}

type Done = Result<(), MutateError>;

const GUEST_PATHS: &[&str] = &[
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "guest.guestState",
    "guest.guestOperationsReady",
    "guest.ipAddress",
    "guest.net",
    "guest.hostName",
    "summary.guest",
];
const POWER_PATHS: &[&str] = &[
    "runtime.powerState",
    "runtime.bootTime",
    "guest.toolsRunningStatus",
    "guest.guestState",
    "guest.guestOperationsReady",
    "guest.ipAddress",
    "guest.net",
    "summary.runtime",
    "summary.guest",
];

fn missing(id: ObjId) -> MutateError {
    MutateError::NoSuchObject(id.to_string())
}

impl World {
    fn vm_mut(&mut self, id: ObjId) -> Result<&mut Vm, MutateError> {
        self.get_mut(id).and_then(Entity::vm_mut).ok_or_else(|| missing(id))
    }

    fn modified(&mut self, id: ObjId, paths: &'static [&'static str]) {
        self.log.push(Change::Modified(id, paths));
    }

    fn named(&self, id: ObjId) -> Option<(ObjId, Box<str>)> {
        self.get(id).map(|e| (id, e.name.clone()))
    }

    /// Posts an event about an object.
    fn post(&mut self, class: &'static str, about: ObjId, message: String, extra: String) {
        let host = if about.kind == Kind::Host {
            self.named(about)
        } else {
            self.get(about).and_then(Entity::vm).and_then(|vm| vm.host).and_then(|host| self.named(host))
        };
        let event = Event {
            key: 0,
            created: self.now(),
            user: "VSPHERE.LOCAL\\Administrator".to_owned(),
            class,
            event_type_id: None,
            message,
            vm: if about.kind == Kind::Vm { self.named(about) } else { None },
            host,
            datacenter: self.ancestor(about, Kind::Datacenter).map(|dc| (dc.id, dc.name.clone())),
            extra,
            arguments: Vec::new(),
        };
        let key = self.events.post(event);
        self.log.push(Change::Event(key));
    }

    fn post_vm(&mut self, class: &'static str, vm: ObjId, what: &str) {
        let name = self.get(vm).map(|e| e.name.to_string()).unwrap_or_default();
        self.post(class, vm, format!("{name} {what}"), "<template>false</template>".to_owned());
    }

    /// Gives any entity a new name (as a person types it).
    pub(crate) fn rename(&mut self, id: ObjId, name: &str) -> Done {
        let escaped = super::escape_name(name);
        let entity = self.get_mut(id).ok_or_else(|| missing(id))?;
        let old = std::mem::replace(&mut entity.name, escaped.clone().into());
        self.modified(id, &["name", "config.name", "summary.config"]);
        if id.kind == Kind::Vm {
            let mut extra = crate::xml::Xml::new();
            extra.val("template", false);
            extra.text("oldName", &old);
            extra.text("newName", &escaped);
            self.post(
                "VmRenamedEvent",
                id,
                format!("Renamed {old} from {old} to {escaped}"),
                extra.into_string(),
            );
        }
        Ok(())
    }

    /// Powers a VM on, off, or suspends it; the guest follows.
    pub(crate) fn set_power(&mut self, id: ObjId, power: Power) -> Done {
        let now = self.now();
        let nets = self.network_names(id);
        let vm = self.vm_mut(id)?;
        let Some(config) = &vm.config else {
            return Err(MutateError::NotPossible {
                what: "changing the power state",
                object: id.to_string(),
            });
        };
        if config.template {
            return Err(MutateError::NotPossible {
                what: "changing the power state",
                object: id.to_string(),
            });
        }
        if vm.power == power {
            return Ok(());
        }
        vm.power = power;
        if power == Power::On {
            vm.boot_time = Timestamp::from_second(now.as_second()).ok();
            if vm.guest.tools_version.is_some() {
                vm.guest.tools_running = "guestToolsRunning";
                vm.guest.operations_ready = Some(true);
                let nics = config.nics.iter().enumerate().map(|(at, nic)| GuestNic {
                    network: nets.get(at).cloned().flatten(),
                    mac: nic.mac,
                    device_key: nic.key,
                    addresses: vec![GuestAddress {
                        ip: format!("10.200.{}.{}", id.num / 250 % 250, id.num % 250 + 1).into(),
                        prefix: 24,
                        state: Some("preferred"),
                    }],
                });
                vm.guest.nics = nics.collect();
                vm.guest.ip = vm.guest.nics.first().and_then(|n| n.addresses.first()).map(|a| a.ip.clone());
            }
            vm.guest.state = "running";
        } else {
            vm.boot_time = None;
            vm.guest = vm.guest.down();
        }
        self.modified(id, POWER_PATHS);
        let (class, what) = match power {
            Power::On => ("VmPoweredOnEvent", "is powered on"),
            Power::Off => ("VmPoweredOffEvent", "is powered off"),
            Power::Suspended => ("VmSuspendedEvent", "is suspended"),
        };
        self.post_vm(class, id, what);
        Ok(())
    }

    fn network_names(&self, vm: ObjId) -> Vec<Option<Box<str>>> {
        let nics =
            self.get(vm).and_then(Entity::vm).and_then(|vm| vm.config.as_ref()).map(|c| c.nics.as_slice());
        nics.unwrap_or_default().iter().map(|nic| self.get(nic.network).map(|n| n.name.clone())).collect()
    }

    /// Moves a VM to another host (vMotion).
    pub(crate) fn migrate(&mut self, id: ObjId, host: ObjId) -> Done {
        let compute = self.get(host).ok_or_else(|| missing(host))?.parent;
        let pool = compute.and_then(|c| self.get(c)).and_then(|c| match &c.body {
            Body::Compute(compute) => Some(compute.root_pool),
            _ => None,
        });
        let old_compute =
            self.get(id).and_then(Entity::vm).and_then(|vm| vm.host).and_then(|h| self.get(h)?.parent);
        let vm = self.vm_mut(id)?;
        vm.host = Some(host);
        if old_compute != compute && vm.pool.is_some() {
            vm.pool = pool;
            self.modified(id, &["resourcePool"]);
        }
        self.modified(id, &["runtime.host", "summary.runtime"]);
        self.post_vm("VmMigratedEvent", id, "was migrated to another host");
        Ok(())
    }

    /// Moves an object into another folder.
    pub(crate) fn move_to(&mut self, id: ObjId, folder: ObjId) -> Done {
        if self.get(folder).is_none() || !folder.kind.is_folder() {
            return Err(missing(folder));
        }
        if folder == id || self.is_below(folder, id) {
            return Err(MutateError::NotPossible { what: "moving below itself", object: id.to_string() });
        }
        let mut entity = self.get(id).cloned().ok_or_else(|| missing(id))?;
        let was = entity.container();
        if let Some(siblings) = was.and_then(|w| self.children.get_mut(&w.num)) {
            siblings.remove(&id);
        }
        entity.parent = Some(folder);
        if let Some(vm) = entity.vm_mut() {
            vm.parent_vapp = None;
        }
        self.insert(entity);
        self.log.push(Change::Moved(id, was));
        self.modified(id, &["parent", "parentVApp"]);
        Ok(())
    }

    /// Puts a finished object into the inventory and tells everybody.
    pub(crate) fn create(&mut self, entity: Entity) {
        let id = entity.id;
        self.insert(entity);
        self.log.push(Change::Created(id));
        if id.kind == Kind::Vm {
            self.post_vm("VmCreatedEvent", id, "was created");
        }
    }

    /// A copy of a VM under a new name, in the same folder, with identities of its own.
    pub(crate) fn clone_vm(
        &mut self,
        id: ObjId,
        name: &str,
        uuids: (Uuid, Uuid),
    ) -> Result<ObjId, MutateError> {
        let mut copy = self.get(id).cloned().ok_or_else(|| missing(id))?;
        let now = self.now();
        copy.id = ObjId::new(Kind::Vm, self.fresh());
        copy.name = super::escape_name(name).into();
        let new = copy.id;
        let vm = copy.vm_mut().ok_or_else(|| missing(id))?;
        vm.snapshots = None;
        vm.power = Power::Off;
        vm.boot_time = None;
        vm.guest = vm.guest.down();
        vm.guest.host_name = None;
        if let Some(config) = &mut vm.config {
            (config.uuid, config.instance_uuid) = uuids;
            config.create_date = Some(now);
            config.template = false;
            config.managed_by = None;
        }
        self.hardening.copy(id, new);
        self.create(copy);
        self.post_vm("VmClonedEvent", new, "was cloned");
        Ok(new)
    }

    /// Deletes an object; a folder only when it is empty.
    pub(crate) fn remove(&mut self, id: ObjId) -> Done {
        if self.children(id).next().is_some() {
            return Err(MutateError::NotPossible {
                what: "removing (it is not empty)",
                object: id.to_string(),
            });
        }
        let was = self.get(id).ok_or_else(|| missing(id))?.container();
        if id.kind == Kind::Vm {
            self.post_vm("VmRemovedEvent", id, "was removed");
        }
        self.take(id);
        self.tags.forget(id);
        self.log.push(Change::Removed(id, was));
        Ok(())
    }

    /// Changes what VMware Tools report; `None` leaves a part as it is.
    pub(crate) fn set_guest(
        &mut self,
        id: ObjId,
        ip: Option<&str>,
        host_name: Option<&str>,
        tools_running: Option<bool>,
    ) -> Done {
        let vm = self.vm_mut(id)?;
        if let Some(running) = tools_running {
            vm.guest.tools_running = if running { "guestToolsRunning" } else { "guestToolsNotRunning" };
            vm.guest.operations_ready = Some(running);
            if running {
                vm.guest.tools_version.get_or_insert(12389);
            }
        }
        if let Some(ip) = ip {
            vm.guest.ip = Some(ip.into());
            let address = GuestAddress { ip: ip.into(), prefix: 24, state: Some("preferred") };
            match vm.guest.nics.first_mut() {
                Some(nic) => nic.addresses = vec![address],
                None => vm.guest.nics.push(GuestNic {
                    network: None,
                    mac: [0, 0x50, 0x56, 1, 2, 3],
                    device_key: 4000,
                    addresses: vec![address],
                }),
            }
        }
        if let Some(name) = host_name {
            vm.guest.host_name = Some(name.into());
        }
        self.modified(id, GUEST_PATHS);
        Ok(())
    }

    /// Sets the connection state; orphaned, inaccessible and invalid VMs lose their configuration.
    pub(crate) fn set_connection(&mut self, id: ObjId, connection: Connection) -> Done {
        let vm = self.vm_mut(id)?;
        vm.connection = connection;
        if matches!(connection, Connection::Inaccessible | Connection::Orphaned | Connection::Invalid) {
            vm.config = None;
        }
        self.modified(id, &["runtime.connectionState", "config", "summary.runtime", "summary.config"]);
        Ok(())
    }

    /// Takes a snapshot and returns its number.
    pub(crate) fn create_snapshot(
        &mut self,
        id: ObjId,
        name: &str,
        description: &str,
        memory: bool,
        quiesced: bool,
    ) -> Result<u32, MutateError> {
        let now = self.now();
        let num = self.fresh();
        let vm = self.vm_mut(id)?;
        let state = if memory { vm.power } else { Power::Off };
        let tree =
            vm.snapshots.get_or_insert_with(|| Box::new(Snapshots { current: None, roots: Vec::new() }));
        let snapshot = Snapshot {
            num,
            id: i32::try_from(num).unwrap_or(i32::MAX),
            name: name.into(),
            description: description.into(),
            created: now,
            state,
            quiesced,
            children: Vec::new(),
        };
        match tree.current.and_then(|current| tree.find_mut(current)) {
            Some(parent) => parent.children.push(snapshot),
            None => tree.roots.push(snapshot),
        }
        tree.current = Some(num);
        self.modified(id, &["snapshot", "layoutEx"]);
        self.post_vm("VmReconfiguredEvent", id, "was reconfigured");
        Ok(num)
    }

    /// Removes a snapshot, and its children where asked.
    pub(crate) fn remove_snapshot(&mut self, id: ObjId, num: u32, with_children: bool) -> Done {
        let vm = self.vm_mut(id)?;
        let no_such = || MutateError::NoSuchObject(ObjId::new(Kind::Snapshot, num).to_string());
        let tree = vm.snapshots.as_mut().ok_or_else(no_such)?;
        let parent = tree.remove(num, with_children).ok_or_else(no_such)?;
        if let Some(current) = tree.current
            && tree.find_mut(current).is_none()
        {
            tree.current = parent;
        }
        if tree.roots.is_empty() {
            vm.snapshots = None;
        }
        self.modified(id, &["snapshot", "layoutEx"]);
        Ok(())
    }

    /// Goes back to a snapshot: it is the current one, and the VM has the power state that it had then, or another one.
    pub(crate) fn revert_to(&mut self, id: ObjId, num: u32, power: Power) -> Done {
        let vm = self.vm_mut(id)?;
        let no_such = || MutateError::NoSuchObject(ObjId::new(Kind::Snapshot, num).to_string());
        let tree = vm.snapshots.as_mut().filter(|tree| tree.find(num).is_some()).ok_or_else(no_such)?;
        tree.current = Some(num);
        self.modified(id, &["snapshot", "layoutEx"]);
        // Whatever ran is gone, also where a saved memory runs on.
        self.set_power(id, Power::Off)?;
        self.set_power(id, power)?;
        let event = Event {
            key: 0,
            created: self.now(),
            user: "VSPHERE.LOCAL\\Administrator".to_owned(),
            class: "EventEx",
            event_type_id: Some("com.vmware.vc.vm.VmStateRevertedToSnapshot"),
            message: "The execution state of the virtual machine has been reverted to a snapshot".to_owned(),
            vm: self.named(id),
            host: None,
            datacenter: None,
            extra: String::new(),
            arguments: Vec::new(),
        };
        let key = self.events.post(event);
        self.log.push(Change::Event(key));
        Ok(())
    }

    /// Moves all disks of a VM to another datastore, with its snapshots.
    pub(crate) fn relocate(&mut self, id: ObjId, datastore: ObjId) -> Done {
        if !matches!(self.get(datastore).map(|entity| &entity.body), Some(Body::Datastore(_))) {
            return Err(missing(datastore));
        }
        let vm = self.vm_mut(id)?;
        vm.datastores = vec![datastore];
        if let Some(config) = &mut vm.config {
            for disk in &mut config.disks {
                disk.datastore = datastore;
            }
        }
        self.move_space(id, Some(datastore));
        self.modified(id, &["datastore", "config.hardware.device", "layoutEx", "summary.config"]);
        self.post_vm("VmRelocatedEvent", id, "was relocated");
        Ok(())
    }

    /// Sets the notes of a VM.
    pub(crate) fn set_annotation(&mut self, id: ObjId, text: &str) -> Done {
        let vm = self.vm_mut(id)?;
        match &mut vm.config {
            Some(config) => config.annotation = text.into(),
            None => return Err(MutateError::NotPossible { what: "annotating", object: id.to_string() }),
        }
        self.modified(id, &["config.annotation", "summary.config"]);
        self.post_vm("VmReconfiguredEvent", id, "was reconfigured");
        Ok(())
    }

    /// Changes CPU count and memory.
    pub(crate) fn set_size(&mut self, id: ObjId, cpus: u32, memory_mb: u32) -> Done {
        let vm = self.vm_mut(id)?;
        match &mut vm.config {
            Some(config) => {
                config.cpus = cpus;
                config.memory_mb = memory_mb;
            }
            None => return Err(MutateError::NotPossible { what: "resizing", object: id.to_string() }),
        }
        self.modified(id, &["config.hardware.numCPU", "config.hardware.memoryMB", "summary.config"]);
        self.post_vm("VmReconfiguredEvent", id, "was reconfigured");
        Ok(())
    }

    /// Turns a powered-off VM into a template or back.
    pub(crate) fn set_template(&mut self, id: ObjId, template: bool) -> Done {
        let vm = self.vm_mut(id)?;
        match &mut vm.config {
            Some(config) if vm.power == Power::Off => config.template = template,
            _ => {
                return Err(MutateError::NotPossible { what: "marking as template", object: id.to_string() });
            }
        }
        self.modified(id, &["config.template", "summary.config"]);
        Ok(())
    }

    /// Marks a VM whose disks need consolidation.
    pub(crate) fn set_consolidation_needed(&mut self, id: ObjId, needed: bool) -> Done {
        self.vm_mut(id)?.consolidation_needed = needed;
        self.modified(id, &["runtime.consolidationNeeded", "summary.runtime"]);
        Ok(())
    }

    /// Defines a custom attribute for objects of a type, or of any, and gives its key; `None` when its name is in use.
    pub(crate) fn define_field(&mut self, name: &str, managed_type: Option<&'static str>) -> Option<i32> {
        if self.fields.iter().any(|field| &*field.name == name) {
            return None;
        }
        let key = self.fields.iter().map(|f| f.key).max().unwrap_or(100) + 1;
        self.fields.push(CustomField { key, name: name.into(), managed_type });
        self.fields_changed();
        Some(key)
    }

    fn fields_changed(&mut self) {
        self.modified(ObjId::CUSTOM_FIELDS, &["field"]);
        self.log.push(Change::Everywhere(&["availableField"]));
    }

    /// Sets a custom attribute by its key; an empty value clears it. Says whether anything is different.
    pub(crate) fn set_field(&mut self, id: ObjId, key: i32, value: &str) -> Result<bool, MutateError> {
        let entity = self.get_mut(id).ok_or_else(|| missing(id))?;
        let before = entity.custom.iter().position(|(known, _)| *known == key);
        let before = before.map(|at| entity.custom.remove(at).1).unwrap_or_default();
        if !value.is_empty() {
            entity.custom.push((key, value.into()));
        }
        self.modified(id, &["customValue", "value", "summary.customValue"]);
        Ok(*before != *value)
    }

    /// Sets a custom attribute by name, defining it first where nobody has; an empty value clears it.
    pub(crate) fn set_custom(&mut self, id: ObjId, field: &str, value: &str) -> Done {
        if self.get(id).is_none() {
            return Err(missing(id));
        }
        let known = self.fields.iter().find(|f| &*f.name == field).map(|f| f.key);
        let Some(key) = known.or_else(|| self.define_field(field, None)) else { return Err(missing(id)) };
        self.set_field(id, key, value).map(|_| ())
    }

    /// Renames a custom attribute.
    pub(crate) fn rename_field(&mut self, field: &str, name: &str) -> Done {
        match self.fields.iter_mut().find(|f| &*f.name == field) {
            Some(known) => known.name = name.into(),
            None => return Err(MutateError::NoSuchObject(field.to_owned())),
        }
        self.fields_changed();
        Ok(())
    }

    /// Puts a host into maintenance mode or back.
    pub(crate) fn set_maintenance(&mut self, id: ObjId, on: bool) -> Done {
        match self.get_mut(id).map(|e| &mut e.body) {
            Some(Body::Host(host)) => host.maintenance = on,
            _ => return Err(missing(id)),
        }
        self.modified(id, &["runtime.inMaintenanceMode", "summary.runtime"]);
        let class = if on { "EnteredMaintenanceModeEvent" } else { "ExitMaintenanceModeEvent" };
        self.post(class, id, format!("Host {id} changed its maintenance mode"), String::new());
        Ok(())
    }

    /// Sets the connection state of a host: `connected`, `disconnected` or `notResponding`.
    pub(crate) fn set_host_connection(&mut self, id: ObjId, state: &'static str) -> Done {
        match self.get_mut(id).map(|e| &mut e.body) {
            Some(Body::Host(host)) => host.connection = state,
            _ => return Err(missing(id)),
        }
        self.modified(id, &["runtime.connectionState", "summary.runtime"]);
        Ok(())
    }

    /// Sets the free space of a datastore, in bytes.
    pub(crate) fn set_free_space(&mut self, id: ObjId, free: u64) -> Done {
        match self.get_mut(id).map(|e| &mut e.body) {
            Some(Body::Datastore(datastore)) => datastore.free = free.min(datastore.capacity),
            _ => return Err(missing(id)),
        }
        self.modified(id, &["summary.freeSpace"]);
        Ok(())
    }

    /// A new, empty folder.
    pub(crate) fn create_folder(&mut self, parent: ObjId, name: &str) -> Result<ObjId, MutateError> {
        if self.get(parent).is_none() || !parent.kind.is_folder() {
            return Err(missing(parent));
        }
        let id = ObjId::new(parent.kind, self.fresh());
        let name = super::escape_name(name).into();
        self.create(Entity { id, name, parent: Some(parent), custom: Vec::new(), body: Body::Folder });
        Ok(id)
    }

    fn tag_event(&mut self, attach: bool, tag: &str, object: ObjId, user: &str) {
        let Some(known) = self.tags.tags.get(tag) else { return };
        let tag_name = known.name.clone();
        let category = self.tags.categories.get(&known.category).map(|c| c.name.clone()).unwrap_or_default();
        let object_name = self.get(object).map(|e| e.name.to_string()).unwrap_or_default();
        let (id, verb) = if attach {
            ("com.vmware.cis.tagging.attach", "Attached")
        } else {
            ("com.vmware.cis.tagging.detach", "Detached")
        };
        let event = Event {
            key: 0,
            created: self.now(),
            user: user.to_owned(),
            class: "EventEx",
            event_type_id: Some(id),
            message: format!(
                "User {user} {} tag {tag_name} {} object {object_name}",
                verb.to_lowercase(),
                if attach { "to" } else { "from" }
            ),
            vm: None,
            host: None,
            datacenter: None,
            extra: String::new(),
            arguments: vec![
                ("Category", category),
                ("Tag", tag_name),
                ("User", user.to_owned()),
                ("Object", object_name),
            ],
        };
        let key = self.events.post(event);
        self.log.push(Change::Event(key));
    }

    /// Attaches a tag (by id). Only an event tells of it; no property changes.
    pub(crate) fn attach_tag(&mut self, tag: &str, object: ObjId, user: &str) -> Result<(), TagError> {
        if self.get(object).is_none() {
            return Err(TagError::NotFound);
        }
        if self.tags.attach(tag, object)? {
            self.tag_event(true, tag, object, user);
        }
        Ok(())
    }

    /// Detaches a tag (by id).
    pub(crate) fn detach_tag(&mut self, tag: &str, object: ObjId, user: &str) -> Result<(), TagError> {
        if self.tags.detach(tag, object)? {
            self.tag_event(false, tag, object, user);
        }
        Ok(())
    }

    /// Moves the clock: what CurrentTime and every later time stamp say.
    pub(crate) fn set_clock_skew(&mut self, skew: SignedDuration) {
        self.clock_skew = skew.as_secs();
    }
}
