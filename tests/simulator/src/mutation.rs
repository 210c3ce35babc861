//! Changes to a simulated inventory, as values: a test builds them in Rust, a person posts them as JSON.

use serde::{Deserialize, Serialize};

use crate::MutateError;
use crate::dice::Dice;
use crate::tasks::{Operation, TaskOutcome, TaskScript, TaskSetting, span};
use crate::world::hardening::Policy;
use crate::world::tags::{Cardinality, TagError};
use crate::world::vm::{Connection, Power};
use crate::world::{Kind, ObjId, World};

/// One change. Objects are named by MoRef (`vm-17`), tags and categories by id or as `Category:Name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields say what they are; the variants say what happens")]
pub enum Mutation {
    /// Gives any object a new name (plain; it is escaped as vCenter does).
    Rename { id: String, name: String },
    /// Powers a VM on.
    PowerOn { id: String },
    /// Powers a VM off.
    PowerOff { id: String },
    /// Suspends a VM.
    Suspend { id: String },
    /// Moves a VM to another host; across clusters its resource pool changes too.
    Migrate { id: String, host: String },
    /// Moves an object into another folder; a VM leaves its vApp by it.
    Move { id: String, folder: String },
    /// Copies a VM; returns the new MoRef. With `same_identity` the copy keeps both UUIDs, as a restored backup does.
    Clone {
        id: String,
        name: String,
        #[serde(default)]
        same_identity: bool,
    },
    /// Deletes a VM, an empty folder, a datastore, …
    Remove { id: String },
    /// Makes an empty folder; returns its MoRef.
    CreateFolder { parent: String, name: String },
    /// Changes what Tools report; absent parts stay.
    Guest {
        id: String,
        #[serde(default)]
        ip: Option<String>,
        #[serde(default)]
        host_name: Option<String>,
        #[serde(default)]
        tools_running: Option<bool>,
    },
    /// Makes a VM `connected`, `disconnected`, `orphaned`, `inaccessible` or `invalid`; the last three lose their config.
    Connection { id: String, state: String },
    /// Takes a snapshot; returns its MoRef.
    CreateSnapshot {
        id: String,
        name: String,
        #[serde(default)]
        memory: bool,
        #[serde(default)]
        quiesced: bool,
    },
    /// Removes a snapshot (`snapshot-17`).
    RemoveSnapshot {
        id: String,
        snapshot: String,
        #[serde(default)]
        children: bool,
    },
    /// Sets the notes of a VM.
    Annotate { id: String, text: String },
    /// Changes CPUs and memory (MiB).
    Resize { id: String, cpus: u32, memory_mb: u32 },
    /// Turns a powered-off VM into a template, or back.
    Template { id: String, on: bool },
    /// Marks that disks need consolidation, or not.
    ConsolidationNeeded { id: String, on: bool },
    /// Sets a custom attribute, defining it where needed; an empty value clears it.
    SetCustom { id: String, field: String, value: String },
    /// Defines a custom attribute for objects of a type (`HostSystem`), or of all; returns its key.
    DefineField {
        field: String,
        #[serde(default)]
        of: Option<String>,
    },
    /// Renames a custom attribute.
    RenameField { field: String, name: String },
    /// Host maintenance mode.
    Maintenance { id: String, on: bool },
    /// Makes a host `connected`, `disconnected` or `notResponding`.
    HostConnection { id: String, state: String },
    /// Free space of a datastore in bytes.
    FreeSpace { id: String, bytes: u64 },
    /// Attaches a tag; posts the event, changes no property.
    AttachTag { id: String, tag: String },
    /// Detaches a tag.
    DetachTag { id: String, tag: String },
    /// Makes a category; returns its id.
    CreateCategory {
        name: String,
        #[serde(default)]
        single: bool,
    },
    /// Renames a category.
    RenameCategory { category: String, name: String },
    /// Deletes a category with its tags.
    DeleteCategory { category: String },
    /// Makes a tag; returns its id.
    CreateTag { category: String, name: String },
    /// Renames a tag; no event tells of it.
    RenameTag { tag: String, name: String },
    /// Deletes a tag with its attachments; no event tells of it.
    DeleteTag { tag: String },
    /// Gives a host a new certificate. Where `told` is false, vCenter goes on telling the old one, as when somebody else
    /// answers for the host.
    HostCertificate { id: String, told: bool },
    /// Makes the guest of a VM different.
    SetGuest { id: String, guest: crate::GuestSetting },
    /// Sets an advanced setting of a VM or a host; without a value it is removed.
    SetOption {
        id: String,
        key: String,
        #[serde(default)]
        value: Option<String>,
    },
    /// Starts or stops a service of a host (`TSM-SSH`), or changes when it starts (`on`, `off`, `automatic`).
    SetService {
        id: String,
        service: String,
        #[serde(default)]
        running: Option<bool>,
        #[serde(default)]
        policy: Option<String>,
    },
    /// Changes what a port group of a distributed switch permits.
    SetPortgroupPolicy {
        id: String,
        #[serde(default)]
        promiscuous: Option<bool>,
        #[serde(default)]
        mac_changes: Option<bool>,
        #[serde(default)]
        forged_transmits: Option<bool>,
    },
    /// Sets up a VM, host, cluster or port group as badly as can be, or well.
    SetWeak { id: String, weak: bool },
    /// Moves the disks of a VM to another datastore.
    Relocate { id: String, datastore: String },
    /// Changes how long tasks take, how many run at once, and the like.
    SetTasks { tasks: TaskSetting },
    /// Decides how the next tasks end; `clear`: earlier scripts are forgotten first. VMs are named by MoRef here.
    ScriptTasks {
        #[serde(default)]
        scripts: Vec<TaskScript>,
        #[serde(default)]
        clear: bool,
    },
    /// A backup product takes a snapshot of a VM, keeps it for a while and removes it; returns the MoRef of its task.
    ForeignTask {
        id: String,
        #[serde(default = "backup_name")]
        name: String,
        #[serde(default = "backup_user")]
        user: String,
        /// Milliseconds for which it keeps the snapshot; absent: for ever.
        #[serde(default)]
        hold_ms: Option<u64>,
    },
}

fn backup_name() -> String {
    "VEEAM BACKUP TEMPORARY SNAPSHOT".to_owned()
}

fn backup_user() -> String {
    "VSPHERE.LOCAL\\backup".to_owned()
}

const USER: &str = "VSPHERE.LOCAL\\Administrator";

pub(crate) fn object(id: &str) -> Result<ObjId, MutateError> {
    ObjId::parse(id).ok_or_else(|| MutateError::NoSuchObject(id.to_owned()))
}

fn tag_id(world: &World, tag: &str) -> Result<String, MutateError> {
    if world.tags.tags.contains_key(tag) {
        return Ok(tag.to_owned());
    }
    let found = tag.split_once(':').and_then(|(category, name)| world.tags.find(category, name));
    found.map(|t| t.id.clone()).ok_or_else(|| MutateError::NoSuchObject(tag.to_owned()))
}

fn category_id(world: &World, category: &str) -> Result<String, MutateError> {
    let found = world.tags.categories.values().find(|c| c.id == category || c.name == category);
    found.map(|c| c.id.clone()).ok_or_else(|| MutateError::NoSuchObject(category.to_owned()))
}

fn refused(what: &'static str, object: &str) -> impl FnOnce(TagError) -> MutateError {
    let object = object.to_owned();
    move |error| match error {
        TagError::NotFound => MutateError::NoSuchObject(object),
        TagError::AlreadyExists | TagError::InvalidArgument => MutateError::NotPossible { what, object },
    }
}

impl Mutation {
    /// A backup product takes its snapshot of a VM and removes it after so many milliseconds.
    #[must_use]
    pub fn backup(vm: &str, hold_ms: u64) -> Self {
        let (id, hold_ms) = (vm.to_owned(), Some(hold_ms));
        Self::ForeignTask { id, name: backup_name(), user: backup_user(), hold_ms }
    }

    pub(crate) fn apply(&self, world: &mut World) -> Result<Option<String>, MutateError> {
        let mut made = None;
        match self {
            Self::Rename { id, name } => world.rename(object(id)?, name)?,
            Self::PowerOn { id } => world.set_power(object(id)?, Power::On)?,
            Self::PowerOff { id } => world.set_power(object(id)?, Power::Off)?,
            Self::Suspend { id } => world.set_power(object(id)?, Power::Suspended)?,
            Self::Migrate { id, host } => world.migrate(object(id)?, object(host)?)?,
            Self::Move { id, folder } => world.move_to(object(id)?, object(folder)?)?,
            Self::Clone { id, name, same_identity } => {
                let source = object(id)?;
                let mut dice = Dice::new(u64::from(world.fresh()), world.instance_uuid.as_u64_pair().0);
                let own = world.get(source).and_then(|e| e.vm()).and_then(|vm| vm.config.as_ref());
                let uuids = match own {
                    Some(config) if *same_identity => (config.uuid, config.instance_uuid),
                    _ => (dice.uuid(), dice.uuid()),
                };
                made = Some(world.clone_vm(source, name, uuids)?.to_string());
            }
            Self::Remove { id } => world.remove(object(id)?)?,
            Self::CreateFolder { parent, name } => {
                made = Some(world.create_folder(object(parent)?, name)?.to_string());
            }
            Self::Guest { id, ip, host_name, tools_running } => {
                world.set_guest(object(id)?, ip.as_deref(), host_name.as_deref(), *tools_running)?;
            }
            Self::Connection { id, state } => {
                let states = [
                    Connection::Connected,
                    Connection::Disconnected,
                    Connection::Orphaned,
                    Connection::Inaccessible,
                    Connection::Invalid,
                ];
                let known = states.into_iter().find(|s| s.wire() == state);
                let state = known.ok_or_else(|| not_possible("setting that connection state", id))?;
                world.set_connection(object(id)?, state)?;
            }
            Self::CreateSnapshot { id, name, memory, quiesced } => {
                let num = world.create_snapshot(object(id)?, name, "", *memory, *quiesced)?;
                made = Some(ObjId::new(Kind::Snapshot, num).to_string());
            }
            Self::RemoveSnapshot { id, snapshot, children } => {
                world.remove_snapshot(object(id)?, object(snapshot)?.num, *children)?;
                world.drop_lost_deltas(object(id)?);
            }
            Self::Annotate { id, text } => world.set_annotation(object(id)?, text)?,
            Self::Resize { id, cpus, memory_mb } => world.set_size(object(id)?, *cpus, *memory_mb)?,
            Self::Template { id, on } => world.set_template(object(id)?, *on)?,
            Self::ConsolidationNeeded { id, on } => world.set_consolidation_needed(object(id)?, *on)?,
            Self::SetCustom { id, field, value } => world.set_custom(object(id)?, field, value)?,
            Self::DefineField { field, of } => {
                let of = of.as_deref().map(|of| {
                    crate::props::entity_type(of).ok_or_else(|| not_possible("defining attributes", of))
                });
                let key = world.define_field(field, of.transpose()?);
                let key = key.ok_or_else(|| not_possible("defining an attribute twice", field))?;
                made = Some(key.to_string());
            }
            Self::RenameField { field, name } => world.rename_field(field, name)?,
            Self::Maintenance { id, on } => world.set_maintenance(object(id)?, *on)?,
            Self::HostConnection { id, state } => {
                let known = ["connected", "disconnected", "notResponding"].into_iter().find(|s| s == state);
                let state = known.ok_or_else(|| not_possible("setting that connection state", id))?;
                world.set_host_connection(object(id)?, state)?;
            }
            Self::FreeSpace { id, bytes } => world.set_free_space(object(id)?, *bytes)?,
            Self::HostCertificate { id, told } => {
                let host = object(id)?;
                if host.kind != Kind::Host || world.get(host).is_none() {
                    return Err(MutateError::NoSuchObject(id.clone()));
                }
                let renewed = world.doors.renew(host, *told);
                renewed.ok_or_else(|| not_possible("making a certificate", id))?;
            }
            Self::SetGuest { id, .. } => {
                let known = world.get(object(id)?).and_then(crate::world::Entity::vm);
                known.ok_or_else(|| MutateError::NoSuchObject(id.clone()))?;
            }
            Self::SetOption { id, key, value } => world.set_option(object(id)?, key, value.as_deref())?,
            Self::SetService { id, service, running, policy } => {
                world.set_service(object(id)?, service, *running, policy.as_deref())?;
            }
            Self::SetPortgroupPolicy { id, promiscuous, mac_changes, forged_transmits } => {
                let policy = Policy {
                    promiscuous: *promiscuous,
                    mac_changes: *mac_changes,
                    forged_transmits: *forged_transmits,
                };
                world.set_policy(object(id)?, policy)?;
            }
            Self::SetWeak { id, weak } => world.set_weak(object(id)?, *weak)?,
            Self::Relocate { id, datastore } => world.relocate(object(id)?, object(datastore)?)?,
            Self::SetTasks { tasks } => world.tasks.set(tasks),
            Self::ScriptTasks { scripts, clear } => {
                for script in scripts {
                    check_script(world, script)?;
                }
                world.tasks.script(scripts, *clear);
            }
            Self::ForeignTask { id, name, user, hold_ms } => {
                made = Some(foreign_task(world, id, name, user, *hold_ms)?);
            }
            Self::AttachTag { id, tag } => {
                let tag = tag_id(world, tag)?;
                world.attach_tag(&tag, object(id)?, USER).map_err(refused("attaching this tag", id))?;
            }
            Self::DetachTag { id, tag } => {
                let tag = tag_id(world, tag)?;
                world.detach_tag(&tag, object(id)?, USER).map_err(refused("detaching this tag", id))?;
            }
            _ => return self.apply_tagging(world),
        }
        Ok(made)
    }

    fn apply_tagging(&self, world: &mut World) -> Result<Option<String>, MutateError> {
        let uuid = || {
            let text = crate::soap::session::random_uuid();
            text.parse().unwrap_or(uuid::Uuid::nil())
        };
        match self {
            Self::CreateCategory { name, single } => {
                let cardinality = if *single { Cardinality::Single } else { Cardinality::Multiple };
                let made = world.tags.create_category(uuid(), name, "", cardinality, Vec::new());
                return made.map(Some).map_err(refused("creating a category", name));
            }
            Self::CreateTag { category, name } => {
                let category = category_id(world, category)?;
                let made = world.tags.create_tag(uuid(), &category, name, "");
                return made.map(Some).map_err(refused("creating a tag", name));
            }
            Self::RenameCategory { category, name } => {
                let id = category_id(world, category)?;
                if let Some(known) = world.tags.categories.get_mut(&id) {
                    known.name.clone_from(name);
                }
            }
            Self::DeleteCategory { category } => {
                let id = category_id(world, category)?;
                world.tags.delete_category(&id).map_err(refused("deleting", category))?;
            }
            Self::RenameTag { tag, name } => {
                let id = tag_id(world, tag)?;
                if let Some(known) = world.tags.tags.get_mut(&id) {
                    known.name.clone_from(name);
                }
            }
            Self::DeleteTag { tag } => {
                let id = tag_id(world, tag)?;
                world.tags.delete_tag(&id).map_err(refused("deleting", tag))?;
            }
            _ => {}
        }
        Ok(None)
    }
}

/// What a script names must be there, and a fault must be one that can be written.
fn check_script(world: &World, script: &TaskScript) -> Result<(), MutateError> {
    let known = |id: Option<&String>, kind: Kind| match id {
        Some(id) if ObjId::parse(id).is_none_or(|id| id.kind != kind || world.get(id).is_none()) => {
            Err(MutateError::NoSuchObject(id.clone()))
        }
        _ => Ok(()),
    };
    known(script.vm.as_ref(), Kind::Vm)?;
    match &script.outcome {
        TaskOutcome::VmMoves { host, datastore } => {
            known(host.as_ref(), Kind::Host)?;
            known(datastore.as_ref(), Kind::Datastore)
        }
        TaskOutcome::Fails { fault, .. }
            if fault.is_empty() || !fault.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            Err(not_possible("failing with that fault", fault))
        }
        _ => Ok(()),
    }
}

/// The first half of a backup: the second one follows by itself.
fn foreign_task(
    world: &mut World,
    id: &str,
    name: &str,
    user: &str,
    hold_ms: Option<u64>,
) -> Result<String, MutateError> {
    let vm = object(id)?;
    world
        .get(vm)
        .and_then(crate::world::Entity::vm)
        .ok_or_else(|| MutateError::NoSuchObject(id.to_owned()))?;
    let operation = Operation::Create {
        name: name.to_owned(),
        description: "Please do not delete this snapshot. It is being used by backup server.".to_owned(),
        memory: false,
        quiesce: false,
        extended: false,
    };
    let made = world.submit_foreign(vm, operation, user, hold_ms.map(span));
    made.map(|task| task.to_string()).ok_or_else(|| not_possible("taking a snapshot", id))
}

fn not_possible(what: &'static str, object: &str) -> MutateError {
    MutateError::NotPossible { what, object: object.to_owned() }
}
