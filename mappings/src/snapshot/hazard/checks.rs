//! The checks, one function for each thing that is looked at.

use super::{
    BusSharing, Connection, DiskMode, Facts, FaultTolerance, GuestFamily, HARD_CHAIN_LIMIT, Hazard,
    LARGE_DISK, LARGE_MEMORY, Missing, NoQuiesce, OLD, PowerState, Preflight, Quiesce, Rules, Tools, Verdict,
};
use crate::backup::is_backup_snapshot;
use crate::snapshot::space::bytes;

/// What was found so far.
#[derive(Default)]
struct Found {
    refuse: Vec<Hazard>,
    wait: Vec<Hazard>,
    warn: Vec<Hazard>,
}

impl Found {
    fn refuse_if(&mut self, is_so: bool, hazard: Hazard) {
        if is_so {
            self.refuse.push(hazard);
        }
    }

    /// A fact that would decide: its absence is told once.
    fn known<T>(&mut self, fact: Option<T>, missing: Missing) -> Option<T> {
        let told = Hazard::NotKnown(missing);
        if fact.is_none() && !self.wait.contains(&told) {
            self.wait.push(told);
        }
        fact
    }

    /// A disk that the snapshot leaves out.
    fn uncovered(&mut self, hazard: Hazard, rules: &Rules) {
        if rules.allow_uncovered_disks { self.warn.push(hazard) } else { self.refuse.push(hazard) }
    }
}

pub(super) fn preflight(facts: &Facts, rules: &Rules) -> Preflight {
    let mut found = Found::default();
    // What a suspended VM had in memory is in its snapshot, asked or not.
    let memory = rules.memory && facts.power == Some(PowerState::On);
    let with_memory = memory || facts.power == Some(PowerState::Suspended);

    machine(&mut found, facts);
    disks(&mut found, facts, rules, with_memory);
    snapshots(&mut found, facts, rules);
    at_work(&mut found, facts);
    datastores(&mut found, facts, rules);
    let quiesce = quiesce(&mut found, facts, rules, memory);
    guest(&mut found, facts, memory);

    let verdict = if !found.refuse.is_empty() {
        Verdict::Refuse(found.refuse)
    } else if !found.wait.is_empty() {
        Verdict::Wait(found.wait)
    } else {
        Verdict::Go
    };
    Preflight { verdict, warnings: found.warn, quiesce, memory }
}

fn machine(found: &mut Found, facts: &Facts) {
    found.known(facts.power, Missing::Power);
    match found.known(facts.connection, Missing::Connection) {
        Some(state @ (Connection::Disconnected | Connection::Inaccessible)) => {
            found.wait.push(Hazard::NotConnected(state));
        }
        Some(state @ (Connection::Orphaned | Connection::Invalid)) => found.refuse.push(Hazard::Lost(state)),
        Some(Connection::Connected) | None => {}
    }
    let template = found.known(facts.template, Missing::Template);
    found.refuse_if(template == Some(true), Hazard::Template);
    let devices = found.known(facts.pci_passthrough, Missing::Passthrough).unwrap_or(0);
    found.refuse_if(devices > 0, Hazard::Passthrough { devices });
    let role = found.known(facts.fault_tolerance, Missing::FaultTolerance);
    found.refuse_if(role.is_some_and(|role| role != FaultTolerance::None), Hazard::FaultTolerance);
}

fn disks(found: &mut Found, facts: &Facts, rules: &Rules, with_memory: bool) {
    for disk in found.known(facts.disks.as_ref(), Missing::Disks).into_iter().flatten() {
        let label = || disk.label.clone();
        let physical_rdm = found.known(disk.physical_rdm, Missing::Disks) == Some(true);
        found.refuse_if(physical_rdm, Hazard::PhysicalRdm { disk: label() });
        let sharing = found.known(disk.bus_sharing, Missing::Disks).unwrap_or(BusSharing::None);
        found.refuse_if(sharing != BusSharing::None, Hazard::BusSharing { disk: label() });
        let multi_writer = found.known(disk.multi_writer, Missing::Disks) == Some(true);
        found.refuse_if(multi_writer, Hazard::MultiWriter { disk: label() });
        let mode = found.known(disk.mode, Missing::Disks);
        let independent =
            matches!(mode, Some(DiskMode::IndependentPersistent | DiskMode::IndependentNonpersistent));
        if independent && with_memory {
            found.refuse.push(Hazard::MemoryWithIndependentDisk { disk: label() });
        }
        // A mapping in physical mode has been refused already.
        if matches!(mode, Some(DiskMode::IndependentPersistent | DiskMode::Other)) && !physical_rdm {
            found.uncovered(Hazard::UncoveredDisk { disk: label() }, rules);
        }
        let size = disk.capacity.map_or(0, bytes);
        if size > LARGE_DISK && mode == Some(DiskMode::Persistent) {
            found.warn.push(Hazard::LargeDisk { disk: label(), size });
        }
    }
    if facts.guest_iscsi == Some(true) {
        found.uncovered(Hazard::GuestIscsi, rules);
    }
}

fn snapshots(found: &mut Found, facts: &Facts, rules: &Rules) {
    let all = found.known(facts.snapshots.as_deref(), Missing::Snapshots).unwrap_or_default();
    let mut passing = 0;
    for snapshot in all {
        if is_backup_snapshot(&snapshot.name) && !snapshot.ours {
            passing += 1;
            let (name, age) = (snapshot.name.clone(), snapshot.age);
            found.wait.push(Hazard::BackupRunning { snapshot: name, age });
        } else if let Some(age) = snapshot.age.filter(|age| *age > OLD && !snapshot.ours) {
            found.warn.push(Hazard::OldSnapshot { snapshot: snapshot.name.clone(), age });
        }
    }
    // A chain is never longer than there are snapshots.
    let count = facts.snapshots.as_ref().map(|all| u32::try_from(all.len()).unwrap_or(u32::MAX));
    let limit = rules.max_chain.min(HARD_CHAIN_LIMIT);
    // What a backup has made goes with it, and is waited for anyway.
    let depth = facts.chain_depth.or(count).map(|depth| depth.saturating_sub(passing));
    if let Some(depth) = depth.filter(|depth| *depth >= limit) {
        found.refuse.push(Hazard::ChainTooLong { depth, limit });
    }
}

fn at_work(found: &mut Found, facts: &Facts) {
    let mut consolidating = false;
    for task in facts.tasks.iter().flatten() {
        let kind = task.to_ascii_lowercase();
        if ["consolidate", "removesnapshot", "removeallsnapshots", "snapshot.remove"]
            .iter()
            .any(|part| kind.contains(part))
        {
            consolidating = true;
        } else {
            found.wait.push(Hazard::TaskRunning { task: task.clone() });
        }
    }
    let needed = found.known(facts.consolidation_needed, Missing::Consolidation) == Some(true);
    if consolidating {
        // Consolidation is needed while it is done.
        found.wait.push(Hazard::ConsolidationUnderWay);
    } else if needed {
        found.refuse.push(Hazard::ConsolidationNeeded);
    }
    if facts.create_disabled == Some(true) {
        found.wait.push(Hazard::CreateDisabled);
    }
}

fn datastores(found: &mut Found, facts: &Facts, rules: &Rules) {
    for store in found.known(facts.datastores.as_ref(), Missing::Datastores).into_iter().flatten() {
        let name = || store.name.clone();
        if found.known(store.accessible, Missing::Datastores) == Some(false) {
            found.wait.push(Hazard::DatastoreInaccessible { datastore: name() });
            // What is free on it is not true any more.
            continue;
        }
        if store.maintenance == Some(true) {
            found.wait.push(Hazard::DatastoreMaintenance { datastore: name() });
        }
        let space = found.known(store.capacity.zip(store.free), Missing::Datastores);
        if let Some((capacity, free)) = space {
            let (floor, free) = (rules.floor.of(bytes(capacity)), bytes(free));
            found.refuse_if(free < floor, Hazard::DatastoreLow { datastore: name(), free, floor });
        }
    }
}

/// Whether to quiesce.
fn quiesce(found: &mut Found, facts: &Facts, rules: &Rules, memory: bool) -> bool {
    // While the power state is not known, the verdict waits for it.
    if rules.quiesce == Quiesce::Off || matches!(facts.power, Some(PowerState::Off) | None) {
        return false;
    }
    let supported = !facts
        .guest_family
        .is_some_and(|family| !matches!(family, GuestFamily::Windows | GuestFamily::Linux));
    let why = match (facts.power, facts.tools) {
        (Some(PowerState::Suspended), _) => NoQuiesce::Suspended,
        _ if memory => NoQuiesce::Memory,
        _ if !supported => NoQuiesce::Guest,
        (_, Some(Tools::Running)) => return true,
        (_, Some(Tools::NotRunning)) => NoQuiesce::Tools,
        (_, Some(Tools::Starting)) => NoQuiesce::ToolsStarting,
        (_, None) => NoQuiesce::ToolsUnknown,
    };
    if rules.quiesce == Quiesce::Preferred {
        found.warn.push(Hazard::NotQuiesced(why));
        return false;
    }
    match why {
        // They come up, or become known.
        NoQuiesce::ToolsStarting => found.wait.push(Hazard::CannotQuiesce(why)),
        NoQuiesce::ToolsUnknown => found.wait.push(Hazard::NotKnown(Missing::Tools)),
        _ => found.refuse.push(Hazard::CannotQuiesce(why)),
    }
    true
}

fn guest(found: &mut Found, facts: &Facts, memory: bool) {
    if facts.domain_joined == Some(true) && facts.guest_family == Some(GuestFamily::Windows) {
        found.warn.push(Hazard::DomainJoined);
    }
    if facts.tools_current == Some(false) {
        found.warn.push(Hazard::ToolsOld);
    }
    let size = facts.memory.map_or(0, bytes);
    if memory && size >= LARGE_MEMORY {
        found.warn.push(Hazard::LargeMemory { size });
    }
}
