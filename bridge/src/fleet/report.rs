//! A VM, and the host that it is on, as reports to AWS see them.

use mappings::checks::ApiVersion;
use mappings::inventory::{Adapter, Disk, HostFacts, SnapshotFacts, Tag, VmFacts};
use mappings::selector::{Fact, VmFacts as _};
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::model::{SnapshotTree, ToolsRunningStatus};
use vsphere_client::xml::Named;

use super::facts::VmView;
use super::node::Host;
use super::vm::Nic;

/// The ids of a VM as text, which facts borrow.
#[derive(Debug)]
pub struct ReportIds {
    vcenter: Option<String>,
    instance: Option<String>,
    bios: Option<String>,
}

/// How old VMware Tools are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolsAge<'a> {
    /// They are what they should be; the word that vCenter has for it.
    Current(&'a str),
    /// They are not; the word that vCenter has for it.
    NotCurrent(&'a str),
    /// There are none.
    Missing,
}

impl<'a> VmView<'a> {
    /// Its ids as text.
    #[must_use]
    pub fn report_ids(&self) -> ReportIds {
        ReportIds {
            vcenter: self.vcenter_uuid.map(|uuid| uuid.to_string()),
            instance: self.instance_uuid().map(|uuid| uuid.to_string()),
            bios: self.bios_uuid().map(|uuid| uuid.to_string()),
        }
    }

    /// What inventory says of it. `is_ours` says which snapshots are. Its patch group and its owner are for the caller to add.
    #[must_use]
    pub fn inventory_facts<'b>(
        &'b self,
        ids: &'b ReportIds,
        is_ours: &dyn Fn(&SnapshotTree) -> bool,
    ) -> VmFacts<'b> {
        let (vm, lookup) = (self.vm, self.lookup);
        let name = |reference: Option<&MoRef>| reference.and_then(|reference| lookup.name(reference));
        let names = |references: &'b [MoRef]| {
            references.iter().map(|one| lookup.name(one).unwrap_or_else(|| one.value())).collect()
        };
        let place = self.place();
        VmFacts {
            vcenter: self.vcenter.as_str(),
            vcenter_uuid: ids.vcenter.as_deref(),
            moref: self.moref.value(),
            instance_uuid: ids.instance.as_deref(),
            bios_uuid: ids.bios.as_deref(),
            name: vm.core.name.as_deref(),
            datacenter: place.datacenter.and_then(|(_, name)| name),
            folder: place.path.as_deref(),
            cluster: known(self.cluster()),
            host: name(vm.host.as_ref()),
            resource_pool: name(vm.resource_pool.as_ref()),
            v_app: name(vm.parent_vapp.as_ref()),
            datastores: names(&vm.datastores),
            networks: names(&vm.networks),
            power_state: word(vm.power_state.as_ref()),
            connection_state: word(vm.connection_state.as_ref()),
            guest_id: vm.guest_id.as_deref(),
            guest_full_name: vm.guest_full_name.as_deref(),
            guest_reported_full_name: vm.guest_reported_full_name.as_deref(),
            guest_family: word(vm.guest_family.as_ref()),
            guest_host_name: self.guest_host_name(),
            tools_running: word(vm.tools_running.as_ref()),
            tools_version: vm.tools_version.as_deref(),
            tools_version_status: vm.tools_version_status.as_deref(),
            cpus: vm.cpus,
            cores_per_socket: vm.cores_per_socket,
            memory_mib: vm.memory_mib,
            hardware_version: vm.hardware_version.as_deref(),
            firmware: vm.firmware.as_deref(),
            created: vm.created,
            managed_by: self.managed_by(),
            fault_tolerance_role: vm.fault_tolerance_role,
            consolidation_needed: self.needs_consolidation(),
            pci_passthrough: vm.devices.pci_passthrough,
            tags: vm.tags.as_ref().map(|tags| {
                tags.iter().map(|tag| Tag { category: &tag.category, name: &tag.name }).collect()
            }),
            patch_group: None,
            owner: None,
            disks: vm.devices.disks.iter().map(|disk| self.inventory_disk(disk)).collect(),
            adapters: vm.devices.nics.iter().map(|nic| self.inventory_adapter(nic)).collect(),
            snapshots: self.inventory_snapshots(is_ours),
            unreadable: vm.unreadable.paths().to_vec(),
        }
    }

    fn inventory_disk(&self, disk: &'a super::vm::Disk) -> Disk<'a> {
        let name = |datastore: &'a MoRef| self.lookup.name(datastore).unwrap_or_else(|| datastore.value());
        Disk {
            key: disk.key,
            label: disk.label.as_deref(),
            capacity_bytes: Some(disk.capacity_bytes),
            mode: word(disk.mode.as_ref()),
            backing: disk.backing.as_deref(),
            thin: disk.thin,
            compatibility_mode: disk.compatibility_mode.as_deref(),
            sharing: disk.sharing.as_deref(),
            bus_sharing: word(disk.bus_sharing.as_ref()),
            file_name: disk.file_name.as_deref(),
            datastore: disk.datastore.as_ref().map(name),
        }
    }

    fn inventory_adapter(&self, nic: &'a Nic) -> Adapter<'a> {
        // The VM's own list says what kind of network it is, which its name is looked up by.
        let name = |id: &'a str| {
            let network = self.vm.networks.iter().find(|network| network.value() == id);
            network.and_then(|network| self.lookup.name(network)).unwrap_or(id)
        };
        let reported = self.vm.guest_nics.iter().filter(|reported| reported.device_key == nic.key);
        Adapter {
            key: nic.key,
            label: nic.label.as_deref(),
            kind: Some(&nic.type_name),
            mac_address: nic.mac_address.as_deref(),
            connected: nic.connected,
            network: nic.network.as_deref().map(name),
            ip_addresses: reported.flat_map(|nic| nic.ip_addresses.iter().map(|ip| &**ip)).collect(),
        }
    }

    fn inventory_snapshots(&self, is_ours: &dyn Fn(&SnapshotTree) -> bool) -> Vec<SnapshotFacts<'a>> {
        let Some(info) = self.vm.snapshot.as_deref() else { return Vec::new() };
        let current = info.current.as_ref();
        // From the roots down, each with the one that it was made from.
        let mut rest: Vec<(&'a SnapshotTree, Option<&'a str>)> =
            info.roots.iter().map(|root| (root, None)).collect();
        let mut out = Vec::new();
        while let Some((tree, parent)) = rest.pop() {
            let moref = tree.snapshot.as_ref().map(MoRef::value);
            rest.extend(tree.children.iter().map(|child| (child, moref)));
            out.push(SnapshotFacts {
                moref,
                number: tree.id,
                name: &tree.name,
                description: &tree.description,
                created: tree.created,
                power_state: word(tree.state.as_ref()),
                quiesced: tree.quiesced,
                parent,
                current: current.is_some() && current == tree.snapshot.as_ref(),
                ours: is_ours(tree),
            });
        }
        out
    }

    /// What inventory says of the host that it is on; nothing while that is not known.
    #[must_use]
    pub fn host_facts<'b>(&'b self, ids: &'b ReportIds) -> Option<HostFacts<'b>> {
        let moref = self.vm.host.as_ref()?;
        let node = self.lookup.node(moref)?;
        let host: &Host = node.host()?;
        let product = host.product.as_deref();
        let parent = node.parent.as_ref();
        let cluster = parent.filter(|parent| *parent.mo_kind() == MoKind::ClusterComputeResource);
        Some(HostFacts {
            vcenter: self.vcenter.as_str(),
            vcenter_uuid: ids.vcenter.as_deref(),
            moref: moref.value(),
            name: node.name.as_deref(),
            datacenter: self.lookup.datacenter(parent).and_then(|(_, name)| name),
            cluster: cluster.and_then(|cluster| self.lookup.name(cluster)),
            version: product.map(|product| product.version.as_str()),
            build: product.map(|product| product.build.as_str()),
            vendor: host.vendor.as_deref(),
            model: host.model.as_deref(),
            hardware_uuid: host.hardware_uuid.as_deref(),
            cpu_cores: host.cpu_cores,
            memory_bytes: host.memory_bytes,
        })
    }

    /// The names of its tags of a category; nothing while its tags are not known.
    #[must_use]
    pub fn tags_of(&self, category: &str) -> Option<impl Iterator<Item = &'a str>> {
        let tags = self.vm.tags.as_deref()?.iter();
        let of_category = tags.filter(move |tag| mappings::glob::same_name(&tag.category, category));
        Some(of_category.map(|tag| &*tag.name).collect::<Vec<_>>().into_iter())
    }

    /// Whether its tags were read.
    #[must_use]
    pub fn knows_tags(&self) -> bool {
        self.vm.tags.is_some()
    }

    /// The version of vSphere that decides what unset values mean: that of its host.
    #[must_use]
    pub fn checked_version(&self) -> Option<ApiVersion> {
        self.host_version().and_then(ApiVersion::parse)
    }

    /// Whether VMware Tools run, also while they run scripts. Absent: it is not on, so that nobody expects them to.
    #[must_use]
    pub fn tools_running(&self) -> Fact<bool> {
        use mappings::selector::PowerState;
        match self.power_state() {
            Fact::Unknown | Fact::Absent => Fact::Unknown,
            Fact::Known(PowerState::Off | PowerState::Suspended) => Fact::Absent,
            // A VM that runs has some state, so that one that is not told is not known.
            Fact::Known(PowerState::On) => match self.vm.tools_running.as_ref().and_then(Named::known) {
                Some(ToolsRunningStatus::NotRunning) => Fact::Known(false),
                Some(_) => Fact::Known(true),
                None => Fact::Unknown,
            },
        }
    }

    /// How old VMware Tools are.
    #[must_use]
    pub fn tools_age(&self) -> Fact<ToolsAge<'a>> {
        let status = self.vm.tools_version_status.as_deref().filter(|status| !status.is_empty());
        match status {
            Some("guestToolsNotInstalled") => Fact::Known(ToolsAge::Missing),
            // Newer than the host has is not old, as the rule about their age says too.
            Some(
                word @ ("guestToolsCurrent"
                | "guestToolsSupportedNew"
                | "guestToolsTooNew"
                | "guestToolsUnmanaged"),
            ) => Fact::Known(ToolsAge::Current(word)),
            Some(word) => Fact::Known(ToolsAge::NotCurrent(word)),
            None => Fact::Unknown,
        }
    }
}

fn known<T>(fact: Fact<T>) -> Option<T> {
    match fact {
        Fact::Known(value) => Some(value),
        Fact::Absent | Fact::Unknown => None,
    }
}

/// The name of an enumeration's value; nothing where vCenter sent an empty element.
fn word<N: AsRef<str>>(value: Option<&Named<N>>) -> Option<&str> {
    value.map(Named::as_str).filter(|word| !word.is_empty())
}
