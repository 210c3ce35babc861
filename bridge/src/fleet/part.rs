//! One vCenter's part of the fleet: its records, and how news on them is taken.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashSet};
use jiff::Timestamp;
use mappings::selector::Selector;
use serde::Serialize;
use serde_json::Value;
use vsphere_client::ids::{MoKind, MoRef, VcenterUuid};
use vsphere_client::model::{AboutInfo, CustomFieldDef, PowerState};
use vsphere_client::property::{
    Change as PropertyChange, ExtraReport, ObjectProperties, ObjectReport, Properties as _, ReportKind,
    VirtualMachine,
};

use super::change::{Change, ObjectChange, ObjectType, SourceChange, What};
use super::document::{ClusterDocument, DatastoreDocument, HostDocument};
use super::facts::VmView;
use super::intern::Interner;
use super::node::Node;
use super::place::{Lookup, Places};
use super::readings::{self, Present, Readings, Reads};
use super::setup::SetupView;
use super::take::Take;
use super::update::{FleetUpdate, TagName, TagUpdate};
use super::vm::Vm;
use super::{State, VcenterName};

/// One vCenter's part of the fleet.
#[derive(Debug)]
pub struct Part {
    name: VcenterName,
    scope: Selector,
    about: Option<AboutInfo>,
    uuid: Option<VcenterUuid>,
    /// Counts readings from the beginning, to tell what the last one did not report.
    reading: u32,
    /// Between the start of a reading and its end.
    in_reading: bool,
    complete: bool,
    as_of: Option<Timestamp>,
    tags_as_of: Option<Timestamp>,
    tags_error: Option<String>,
    trouble: Option<Trouble>,
    vms: HashMap<MoRef, Entry<Box<Vm>>>,
    nodes: HashMap<MoRef, Node>,
    /// Nodes that the current reading has reported.
    nodes_seen: HashSet<MoRef>,
    /// Names of custom attributes by key.
    fields: HashMap<i32, Arc<str>>,
    /// Keys of those that VMs can have.
    vm_fields: HashMap<Box<str>, i32>,
    places: Places,
    intern: Interner,
    /// What is read for hardening rules.
    reads: Option<Arc<Reads>>,
    is_provider_managed: bool,
}

#[derive(Debug)]
struct Entry<T> {
    /// The reading that reported it last.
    seen: u32,
    value: T,
}

/// Why a part is not current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What went wrong.
    pub error: String,
    /// Since when nothing has been known to be current.
    pub since: Timestamp,
    /// When the next attempt is made, if there will be one.
    pub retry_at: Option<Timestamp>,
}

/// How many objects there are in the scope of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// VMs that are powered on.
    pub on: usize,
    /// VMs that are powered off.
    pub off: usize,
    /// VMs that are suspended.
    pub suspended: usize,
    /// VMs whose power state is not known.
    pub unknown: usize,
    /// Hosts.
    pub hosts: usize,
    /// Datastores.
    pub datastores: usize,
}

impl Counts {
    /// All VMs.
    #[must_use]
    pub fn vms(&self) -> usize {
        self.on + self.off + self.suspended + self.unknown
    }
}

impl Part {
    pub(super) fn new(name: VcenterName, scope: Selector) -> Self {
        Self {
            name,
            scope,
            about: None,
            uuid: None,
            reading: 0,
            in_reading: false,
            complete: false,
            as_of: None,
            tags_as_of: None,
            tags_error: None,
            trouble: None,
            vms: HashMap::default(),
            nodes: HashMap::default(),
            nodes_seen: HashSet::default(),
            fields: HashMap::default(),
            vm_fields: HashMap::default(),
            places: Places::default(),
            intern: Interner::default(),
            reads: None,
            is_provider_managed: false,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &VcenterName {
        &self.name
    }

    /// What the vCenter says of itself.
    #[must_use]
    pub fn about(&self) -> Option<&AboutInfo> {
        self.about.as_ref()
    }

    /// The vCenter's own id.
    #[must_use]
    pub fn uuid(&self) -> Option<VcenterUuid> {
        self.uuid
    }

    /// Whether all of it was read at least once.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// When it was last known to be current.
    #[must_use]
    pub fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    /// When its tags were last read.
    #[must_use]
    pub fn tags_as_of(&self) -> Option<Timestamp> {
        self.tags_as_of
    }

    /// Why its tags could not be read the last time.
    #[must_use]
    pub fn tags_error(&self) -> Option<&str> {
        self.tags_error.as_deref()
    }

    /// Why it is not current.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// How far it can be relied on at `now`, given how old it may be.
    #[must_use]
    pub fn state(&self, now: Timestamp, stale_after: Duration) -> State {
        if !self.complete {
            return match (&self.trouble, self.in_reading) {
                (Some(_), _) => State::Failed,
                (None, true) => State::Loading,
                (None, false) => State::Connecting,
            };
        }
        let age = self.as_of.map_or(Duration::MAX, |as_of| now.duration_since(as_of).unsigned_abs());
        if age > stale_after {
            State::Stale
        } else if self.trouble.is_some() {
            State::Interrupted
        } else {
            State::Current
        }
    }

    /// The VMs in scope, in no order.
    pub fn vms(&self) -> impl Iterator<Item = VmView<'_>> {
        self.vms
            .iter()
            .map(|(moref, entry)| self.view(moref, &entry.value))
            .filter(|vm| self.scope.selects(vm))
    }

    /// The VMs in scope, by reference.
    #[must_use]
    pub fn vms_in_order(&self) -> Vec<VmView<'_>> {
        let mut vms: Vec<_> = self.vms().collect();
        vms.sort_by_cached_key(|vm| order(vm.moref));
        vms
    }

    /// One VM, if it is in scope.
    #[must_use]
    pub fn vm(&self, moref: &str) -> Option<VmView<'_>> {
        let (moref, entry) = self.vms.get_key_value(&MoRef::of(MoKind::VirtualMachine, moref))?;
        Some(self.view(moref, &entry.value)).filter(|vm| self.scope.selects(vm))
    }

    /// One VM, also if it is not in scope (any more).
    #[must_use]
    pub(crate) fn vm_anywhere(&self, moref: &str) -> Option<VmView<'_>> {
        let (moref, entry) = self.vms.get_key_value(&MoRef::of(MoKind::VirtualMachine, moref))?;
        Some(self.view(moref, &entry.value))
    }

    /// Whether a custom attribute of this name is defined, in this case of letters or another.
    #[must_use]
    pub fn has_attribute(&self, name: &str) -> bool {
        self.attribute_key(name).is_some()
    }

    /// The key of the custom attribute of exactly this name, if VMs can have it.
    #[must_use]
    pub fn attribute_key(&self, name: &str) -> Option<i32> {
        self.vm_fields.get(name).copied()
    }

    /// The hosts, by reference.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostDocument<'_>> {
        self.nodes_of(|moref, node| HostDocument::new(self, moref, node, self.lookup()))
    }

    /// The clusters, by reference.
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterDocument<'_>> {
        self.nodes_of(|moref, node| ClusterDocument::new(self, moref, node, self.lookup()))
    }

    /// The datastores, by reference.
    #[must_use]
    pub fn datastores(&self) -> Vec<DatastoreDocument<'_>> {
        self.nodes_of(|moref, node| DatastoreDocument::new(self, moref, node, self.lookup()))
    }

    /// What is read for hardening rules, if they are checked here.
    #[must_use]
    pub fn reads(&self) -> Option<&Arc<Reads>> {
        self.reads.as_ref()
    }

    /// Whether a provider looks after the hosts (VMware Cloud on AWS).
    #[must_use]
    pub fn is_provider_managed(&self) -> bool {
        self.is_provider_managed
    }

    /// How the hosts, clusters and port groups are set up, by kind and reference. VMs tell of themselves.
    #[must_use]
    pub fn setups(&self) -> Vec<SetupView<'_>> {
        let mut setups: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|(moref, node)| SetupView::new(self, moref, node, self.lookup()))
            .collect();
        setups.sort_by_cached_key(|setup| (setup.kind(), order(setup.moref())));
        setups
    }

    fn nodes_of<'a, D>(&'a self, document: impl Fn(&'a MoRef, &'a Node) -> Option<D>) -> Vec<D> {
        let mut documents: Vec<_> =
            self.nodes.iter().filter_map(|(moref, node)| Some((moref, document(moref, node)?))).collect();
        documents.sort_by_cached_key(|(moref, _)| order(moref));
        documents.into_iter().map(|(_, document)| document).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for vm in self.vms() {
            match vm.power() {
                Some(PowerState::PoweredOn) => counts.on += 1,
                Some(PowerState::PoweredOff) => counts.off += 1,
                Some(PowerState::Suspended) => counts.suspended += 1,
                None => counts.unknown += 1,
            }
        }
        counts.hosts = self.nodes.values().filter(|node| node.host().is_some()).count();
        counts.datastores = self.nodes.values().filter(|node| node.store().is_some()).count();
        counts
    }

    /// References of all VMs, whether in scope or not.
    pub(super) fn vm_refs(&self) -> Vec<MoRef> {
        self.vms.keys().cloned().collect()
    }

    /// References of the VMs that are known to have a tag of this name, in whatever category.
    pub(super) fn vms_with_tag(&self, name: &str) -> Vec<MoRef> {
        let has = |entry: &Entry<Box<Vm>>| {
            entry.value.tags.as_ref().is_some_and(|tags| tags.iter().any(|tag| *tag.name == *name))
        };
        self.vms.iter().filter(|(_, entry)| has(entry)).map(|(moref, _)| moref.clone()).collect()
    }

    pub(super) fn set_scope(&mut self, scope: Selector) {
        self.scope = scope;
    }

    fn lookup(&self) -> Lookup<'_> {
        Lookup { nodes: &self.nodes, fields: &self.fields, places: &self.places, instead: None }
    }

    fn view<'a>(&'a self, moref: &'a MoRef, vm: &'a Vm) -> VmView<'a> {
        VmView::new(&self.name, self.uuid, moref, vm, self.lookup())
    }

    /// The document of a VM, if it is in scope.
    fn vm_value(&self, moref: &MoRef, vm: &Vm, lookup: Lookup<'_>) -> Option<Value> {
        let view = VmView::new(&self.name, self.uuid, moref, vm, lookup);
        if !self.scope.selects(&view) {
            return None;
        }
        to_value(&view.document())
    }

    /// The kind and document of an object that is told of by itself.
    fn node_value(&self, moref: &MoRef, node: &Node, lookup: Lookup<'_>) -> Option<(ObjectType, Value)> {
        if let Some(document) = HostDocument::new(self, moref, node, lookup) {
            return Some((ObjectType::Host, to_value(&document)?));
        }
        if let Some(document) = ClusterDocument::new(self, moref, node, lookup) {
            return Some((ObjectType::Cluster, to_value(&document)?));
        }
        let document = DatastoreDocument::new(self, moref, node, lookup)?;
        Some((ObjectType::Datastore, to_value(&document)?))
    }
}

/// Sorts `vm-9` before `vm-10`.
fn order(moref: &MoRef) -> MoRef {
    moref.clone()
}

/// Documents consist of texts and numbers, so this cannot fail.
fn to_value(document: &impl Serialize) -> Option<Value> {
    serde_json::to_value(document).ok()
}

/// Gathers changes while news is taken, if anybody wants to know.
pub(super) struct Gather {
    listening: bool,
    time: Timestamp,
    changes: Vec<Change>,
}

impl Gather {
    pub(super) fn new(listening: bool, time: Timestamp) -> Self {
        Self { listening, time, changes: Vec::new() }
    }

    pub(super) fn changes(self) -> Vec<Change> {
        self.changes
    }

    fn object(
        &mut self,
        part: &VcenterName,
        kind: ObjectType,
        moref: &MoRef,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        if let Some(change) = ObjectChange::between(kind, moref.value(), before, after) {
            self.changes.push(Change { time: self.time, vcenter: part.clone(), what: What::Object(change) });
        }
    }
}

impl Part {
    /// Takes a piece of news.
    pub(super) fn apply(&mut self, update: FleetUpdate, gather: &mut Gather) {
        let now = gather.time;
        match update {
            FleetUpdate::Setup { reads, is_provider_managed } => {
                self.is_provider_managed = is_provider_managed;
                self.set_reads(reads);
            }
            FleetUpdate::Rules(reads) => self.set_reads(Some(reads)),
            FleetUpdate::Started { about } => self.start(about),
            FleetUpdate::Objects(reports) => {
                // Before the first picture is complete, everything is new and nothing a change.
                let listening = gather.listening;
                gather.listening &= self.complete;
                for report in reports {
                    self.report(report, gather);
                }
                gather.listening = listening;
                if self.complete && !self.in_reading && self.trouble.is_none() {
                    self.as_of = Some(now);
                }
            }
            FleetUpdate::Definitions(fields) => self.set_fields(fields, gather),
            FleetUpdate::Complete => self.finish(gather),
            FleetUpdate::Current => {
                if self.complete && !self.in_reading {
                    self.as_of = Some(now);
                    self.recover(gather);
                }
            }
            FleetUpdate::Tags(update) => {
                // The first reading of the tags completes the picture; it changes nothing.
                let listening = gather.listening;
                gather.listening &= self.tags_as_of.is_some();
                let tags = match update {
                    TagUpdate::Full(tags) => {
                        self.tags_as_of = Some(now);
                        self.tags_error = None;
                        tags
                    }
                    TagUpdate::ForObjects(tags) => tags,
                };
                for (moref, tags) in tags {
                    self.set_tags(&moref, tags, gather);
                }
                gather.listening = listening;
            }
            FleetUpdate::TagsFailed { error } => self.tags_error = Some(error),
            FleetUpdate::Interrupted { error, retry_at } => {
                self.in_reading = false;
                let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
                let is_new = self.trouble.is_none();
                self.trouble = Some(Trouble { error, since, retry_at });
                if is_new {
                    self.source_changed(gather);
                }
            }
        }
    }

    fn start(&mut self, about: AboutInfo) {
        let uuid = about.instance_uuid.as_deref().and_then(|uuid| uuid.parse().ok());
        if self.uuid.is_some() && self.uuid != uuid {
            tracing::warn!(
                vcenter = %self.name,
                before = ?self.uuid, now = ?uuid,
                "another vCenter answers at this address; what was known of the former one is forgotten"
            );
            *self = Self {
                reading: self.reading,
                reads: self.reads.take(),
                is_provider_managed: self.is_provider_managed,
                ..Self::new(self.name.clone(), self.scope.clone())
            };
        }
        self.uuid = uuid;
        self.about = Some(about);
        self.reading = self.reading.wrapping_add(1);
        self.in_reading = true;
        self.nodes_seen.clear();
    }

    /// Everything has been reported: what was not does not exist any more.
    fn finish(&mut self, gather: &mut Gather) {
        let gone: Vec<MoRef> = self
            .vms
            .iter()
            .filter(|(_, entry)| entry.seen != self.reading)
            .map(|(moref, _)| moref.clone())
            .collect();
        for moref in gone {
            self.vm_left(&moref, gather);
        }
        let seen = mem::take(&mut self.nodes_seen);
        let gone: Vec<MoRef> = self.nodes.keys().filter(|moref| !seen.contains(*moref)).cloned().collect();
        for moref in gone {
            self.set_node(&moref, None, gather);
        }
        self.intern.purge();
        self.in_reading = false;
        self.as_of = Some(gather.time);
        if !mem::replace(&mut self.complete, true) {
            self.trouble = None;
            self.source_changed(gather);
        }
        self.recover(gather);
    }

    fn recover(&mut self, gather: &mut Gather) {
        if self.trouble.take().is_some() {
            self.source_changed(gather);
        }
    }

    fn source_changed(&mut self, gather: &mut Gather) {
        if !gather.listening {
            return;
        }
        let change = SourceChange {
            state: self.state(gather.time, Duration::MAX),
            error: self.trouble.as_ref().map(|trouble| trouble.error.clone()),
            vms: self.counts().vms(),
        };
        gather.changes.push(Change {
            time: gather.time,
            vcenter: self.name.clone(),
            what: What::Source(change),
        });
    }

    fn report(&mut self, report: ObjectReport, gather: &mut Gather) {
        let ObjectReport { object, kind, properties, extras } = report;
        match (kind, properties) {
            (ReportKind::Left, _) if *object.mo_kind() == MoKind::VirtualMachine => {
                self.vm_left(&object, gather);
            }
            (ReportKind::Left, _) => {
                self.nodes_seen.remove(&object);
                self.set_node(&object, None, gather);
            }
            (_, ObjectProperties::VirtualMachine(report)) => {
                let whole = kind == ReportKind::Entered;
                let known = self.vms.get(&object).map(|entry| &entry.value);
                // Tags are not part of reports: a VM that is reported anew keeps them.
                let mut vm = match (known, whole) {
                    (Some(known), false) => known.clone(),
                    (Some(known), true) => Box::new(Vm { tags: known.tags.clone(), ..Vm::default() }),
                    (None, _) => Box::default(),
                };
                let before = known.is_some_and(|known| known.has_configuration());
                vm.take(*report, &mut Take { whole, intern: &mut self.intern });
                let present = Present { before, after: vm.has_configuration() };
                vm.readings = self.readings(&object, &vm.readings, extras, (whole, present));
                self.set_vm(object, vm, gather);
            }
            (_, ObjectProperties::CustomFields(report)) => {
                if let PropertyChange::Set(fields) = report.fields {
                    self.set_fields(fields, gather);
                }
            }
            (_, ObjectProperties::EventCollector(_) | ObjectProperties::Other) => {}
            (_, properties) => {
                let whole = kind == ReportKind::Entered;
                let known = self.nodes.get(&object).filter(|_| !whole).cloned();
                let mut node = known.unwrap_or_else(|| Node::new(object.mo_kind()));
                let before = node.has_configuration();
                node.take(properties, &mut Take { whole, intern: &mut self.intern });
                let present = Present { before, after: node.has_configuration() };
                node.readings = self.readings(&object, &node.readings, extras, (whole, present));
                self.nodes_seen.insert(object.clone());
                self.set_node(&object, Some(node), gather);
            }
        }
    }

    /// The readings of an object after a report on it.
    fn readings(
        &mut self,
        object: &MoRef,
        known: &Readings,
        report: Vec<ExtraReport>,
        how: (bool, Present),
    ) -> Readings {
        let (reads, kind) = (self.reads.as_deref()?, readings::kind_of(object.mo_kind())?);
        readings::take(reads, kind, known, report, how, &mut self.intern)
    }

    /// Reads for other rules from now on. What was read for those before is forgotten unless they read the same: it has other slots.
    fn set_reads(&mut self, reads: Option<Arc<Reads>>) {
        let serves = match (&self.reads, &reads) {
            (Some(before), Some(after)) => before.reads_the_same(after),
            (before, after) => before.is_none() && after.is_none(),
        };
        self.reads = reads;
        if serves {
            return;
        }
        for entry in self.vms.values_mut() {
            entry.value.readings = None;
        }
        for node in self.nodes.values_mut() {
            node.readings = None;
        }
        self.intern.purge();
    }

    fn set_vm(&mut self, moref: MoRef, vm: Box<Vm>, gather: &mut Gather) {
        let seen = self.reading;
        if !gather.listening {
            self.vms.insert(moref, Entry { seen, value: vm });
            return;
        }
        let known = self.vms.get(&moref).map(|entry| &entry.value);
        if known != Some(&vm) {
            let before = known.and_then(|known| self.vm_value(&moref, known, self.lookup()));
            let after = self.vm_value(&moref, &vm, self.lookup());
            gather.object(&self.name, ObjectType::Vm, &moref, before, after);
        }
        self.vms.insert(moref, Entry { seen, value: vm });
    }

    fn vm_left(&mut self, moref: &MoRef, gather: &mut Gather) {
        let Some(entry) = self.vms.remove(moref) else { return };
        if gather.listening {
            let before = self.vm_value(moref, &entry.value, self.lookup());
            gather.object(&self.name, ObjectType::Vm, moref, before, None);
        }
    }

    fn set_tags(&mut self, moref: &MoRef, tags: Option<Vec<TagName>>, gather: &mut Gather) {
        let tags = tags.map(|mut tags| {
            tags.sort();
            tags.dedup();
            tags.into_boxed_slice()
        });
        let Some(entry) = self.vms.get(moref) else { return };
        if entry.value.tags == tags {
            return;
        }
        let before = gather.listening.then(|| self.vm_value(moref, &entry.value, self.lookup())).flatten();
        if let Some(entry) = self.vms.get_mut(moref) {
            entry.value.tags = tags;
        }
        if let (true, Some(entry)) = (gather.listening, self.vms.get(moref)) {
            let after = self.vm_value(moref, &entry.value, self.lookup());
            gather.object(&self.name, ObjectType::Vm, moref, before, after);
        }
    }

    /// Puts an object of the inventory in place of what was known of it, and tells what that changes: for itself, and for the
    /// VMs whose place it is part of.
    fn set_node(&mut self, moref: &MoRef, node: Option<Node>, gather: &mut Gather) {
        let known = match node {
            Some(node) => self.nodes.insert(moref.clone(), node),
            None => self.nodes.remove(moref),
        };
        let now = self.nodes.get(moref);
        let place = |node: Option<&Node>| node.map(|node| (node.name.clone(), node.parent.clone()));
        let moved = place(known.as_ref()) != place(now);
        if moved {
            self.places = Places::default();
        }
        if !gather.listening || known.as_ref() == now {
            return;
        }
        let new = self.lookup();
        let old = Lookup { instead: Some((moref, known.as_ref())), ..new };
        let before = known.as_ref().and_then(|known| self.node_value(moref, known, old));
        let after = now.and_then(|now| self.node_value(moref, now, new));
        if let Some(kind) = before.as_ref().or(after.as_ref()).map(|(kind, _)| *kind) {
            let value = |told: Option<(ObjectType, Value)>| told.map(|(_, value)| value);
            gather.object(&self.name, kind, moref, value(before), value(after));
        }
        if !moved {
            return;
        }
        for (vm_moref, entry) in &self.vms {
            let vm = &*entry.value;
            if old.depends(vm, moref) || new.depends(vm, moref) {
                let before = self.vm_value(vm_moref, vm, old);
                let after = self.vm_value(vm_moref, vm, new);
                gather.object(&self.name, ObjectType::Vm, vm_moref, before, after);
            }
        }
    }

    /// Takes over the names of custom attributes.
    fn set_fields(&mut self, fields: Vec<CustomFieldDef>, gather: &mut Gather) {
        let of_vms = fields.iter().filter(|field| field.is_for(VirtualMachine::TYPE));
        self.vm_fields = of_vms.map(|field| (field.name.clone(), field.key)).collect();
        let names = fields.into_iter().map(|field| (field.key, Arc::from(field.name))).collect();
        let known = mem::replace(&mut self.fields, names);
        if !gather.listening || known == self.fields {
            return;
        }
        let new = self.lookup();
        let old = Lookup { fields: &known, ..new };
        for (moref, entry) in self.vms.iter().filter(|(_, entry)| !entry.value.custom_values.is_empty()) {
            let before = self.vm_value(moref, &entry.value, old);
            let after = self.vm_value(moref, &entry.value, new);
            gather.object(&self.name, ObjectType::Vm, moref, before, after);
        }
    }
}
