//! What was gathered, in the forms in which it is told.

use jiff::Timestamp;
use mappings::compliance::table::{Checks, Count, Facts, Inventory, Row};
use mappings::selector::Fact;

use crate::fleet::State;
use crate::inventory::Filter;
use crate::plan::View;
use crate::report::document::{
    ChecksDocument, ComplianceQuery, CountDocument, InventoryDocument, MachineDocument, PatchesDocument,
    ReasonDocument, SourceDocument,
};

/// The most objects that are named where something is told of many.
const MOST_NAMED: usize = 3;

pub(super) fn sources(view: &View<'_>, scope: &ComplianceQuery) -> Vec<SourceDocument> {
    let filter = Filter { selectors: Vec::new(), vcenters: scope.vcenters.clone() };
    let vcenters = view.fleet.parts().filter(|part| filter.takes(part)).map(|part| SourceDocument {
        kind: "vcenter".to_owned(),
        name: part.name().as_str().to_owned(),
        what: part.about().map(|about| format!("vSphere API {}", about.api_version)),
        current: part.state(view.now, view.policy.stale_after) == State::Current,
        as_of: part.as_of().map(seconds),
        objects: part.counts().vms(),
    });
    let targets = view
        .cloud
        .targets()
        .filter(|(name, _)| scope.target.as_deref().is_none_or(|wanted| name.as_str() == wanted));
    let targets = targets.map(|(name, known)| SourceDocument {
        kind: "target".to_owned(),
        name: name.to_string(),
        what: known.place.as_ref().map(ToString::to_string),
        current: known.error.is_none() && known.as_of.is_some(),
        as_of: known.as_of.map(seconds),
        objects: known.nodes.len(),
    });
    vcenters.chain(targets).collect()
}

pub(super) fn machine(row: &Row) -> MachineDocument {
    let Facts { node, target, vm, name, platform, windows, .. } = &row.facts;
    let known = |fact: &Fact<Checks>| match fact {
        Fact::Known(checks) => Some(ChecksDocument {
            compliant: checks.compliant,
            failing: checks.failing.clone(),
            unreadable: checks.unreadable,
        }),
        Fact::Absent | Fact::Unknown => None,
    };
    MachineDocument {
        machine: row.machine.as_str().to_owned(),
        node: node.as_ref().map(ToString::to_string),
        target: target.clone(),
        vm: vm.clone(),
        name: name.clone(),
        platform: platform.clone(),
        overall: row.overall.as_str().to_owned(),
        reasons: row
            .reasons
            .iter()
            .map(|reason| ReasonDocument { reason: reason.word().to_owned(), sentence: reason.to_string() })
            .collect(),
        agent_online: match row.facts.agent_online {
            Fact::Known(online) => Some(online),
            Fact::Absent | Fact::Unknown => None,
        },
        patches: match &row.facts.patches {
            Fact::Known(patches) => Some(PatchesDocument {
                installed: patches.installed,
                missing: patches.missing,
                failed: patches.failed,
                pending_reboot: patches.pending_reboot,
                rejected: patches.rejected,
                critical: patches.critical,
                security: patches.security,
                scanned: patches.scanned.map(seconds),
            }),
            Fact::Absent | Fact::Unknown => None,
        },
        associations: match &row.facts.associations {
            Fact::Known(counts) => Some((counts.compliant, counts.non_compliant)),
            Fact::Absent | Fact::Unknown => None,
        },
        inventory: match &row.facts.inventory {
            Fact::Known(types) => Some(types.iter().map(inventory).collect()),
            Fact::Absent if node.is_some() => Some(Vec::new()),
            Fact::Absent | Fact::Unknown => None,
        },
        hardening: known(&row.facts.hardening),
        protection: known(&row.facts.protection),
        windows: windows.iter().map(|window| window.name.clone()).collect(),
    }
}

fn inventory(one: &Inventory) -> InventoryDocument {
    InventoryDocument {
        r#type: one.type_name.to_owned(),
        captured: one.captured.map(|time| time.to_string()),
        hash: one.hash.as_deref().map(str::to_owned),
    }
}

pub(super) fn count(count: Count) -> CountDocument {
    let Count { machines, compliant, non_compliant, unknown } = count;
    CountDocument { machines, compliant, non_compliant, unknown }
}

/// A moment to the second: more says nothing to people.
pub(super) fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// `a, b, c and 4 more`
pub(super) fn some(names: &mut [String]) -> String {
    names.sort_unstable();
    let shown: Vec<&str> = names.iter().take(MOST_NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(MOST_NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
