//! What is told of snapshots: those that vmbridge takes, has or had, those that carry its mark and have no record, and those
//! of others.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use mappings::protection::{Judgement, Record, SnapshotId, Stage};
use mappings::selector::Fact;
use mappings::snapshot::name::Mark;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vsphere_client::model::{SnapshotTree, unescape_name};

use super::{PlanQuery, Refusal, selection::Selection};
use crate::fleet::{Fleet, VmView};
use crate::plan::View;
use crate::store::VmId;

/// From this age on the vendor advises against a snapshot.
const OLD: SignedDuration = SignedDuration::from_hours(72);

/// Which snapshots are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotQuery {
    /// Those that are over too.
    pub all: bool,
    /// VMs that any of these selects; all if there are none.
    pub selectors: Vec<String>,
    /// VMs of these vCenters or organisations; all if there are none.
    pub vcenters: Vec<String>,
}

/// The snapshots of the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotsDocument {
    /// Those that vmbridge takes, has or had.
    pub ours: Vec<SnapshotDocument>,
    /// Those that carry the mark of this installation, and that nothing is remembered of.
    pub orphans: Vec<ForeignDocument>,
    /// Those of others. They are never touched.
    pub foreign: Vec<ForeignDocument>,
}

/// A snapshot of vmbridge's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotDocument {
    /// The id of its record.
    pub record: String,
    /// `<vCenter>/<managed object id>`
    pub vm: String,
    /// The VM's name.
    pub name: String,
    /// The window that it is for: its id, or its name in the configuration. `null`: a person asked for it.
    pub window: Option<String>,
    /// The name of the window.
    pub window_name: Option<String>,
    /// When the window opens.
    pub opens: Option<String>,
    /// Why a person asked for it.
    pub reason: Option<String>,
    /// How far it is: `create`, `creating`, `failed`, `kept`, `remove`, `removing`, `check`, `consolidate`, `consolidating`,
    /// `revert`, `reverting`, `powerOn`, `poweringOn`, `missed`, `ended`.
    pub stage: String,
    /// Since when.
    pub since: String,
    /// The snapshot, by its managed object id.
    pub snapshot: Option<String>,
    /// The snapshot's name.
    pub snapshot_name: String,
    /// Whether vCenter shows it. `null`: that is not known.
    pub seen: Option<bool>,
    /// When it was taken.
    pub created: Option<String>,
    /// Its age in seconds.
    pub age_seconds: Option<i64>,
    /// When its removal begins, as far as that is known.
    pub kept_until: Option<String>,
    /// Whether it is older than it may ever be.
    pub overdue: bool,
    /// Whether the VM's memory is in it.
    pub memory: bool,
    /// Whether the guest is quiesced for it.
    pub quiesced: bool,
    /// What became of the VM: `healthy`, `untouched`, `failed`, `unknown`, `rolledBack`.
    pub judgement: Option<String>,
    /// Why.
    pub judgement_why: Option<String>,
    /// What failed last.
    pub trouble: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// When it is tried again.
    pub retry_at: Option<String>,
    /// Whether a person should look at it.
    pub problem: bool,
}

/// A snapshot that vmbridge knows nothing of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForeignDocument {
    /// `<vCenter>/<managed object id>`
    pub vm: String,
    /// The VM's name.
    pub name: String,
    /// The snapshot, by its managed object id.
    pub snapshot: String,
    /// The snapshot's name, as whoever made it wrote it.
    pub snapshot_name: String,
    /// The installation of vmbridge that made it, if its description says so.
    pub installation: Option<String>,
    /// When it was taken, by the host's clock.
    pub created: Option<String>,
    /// Its age in seconds.
    pub age_seconds: Option<i64>,
    /// Whether it is older than the vendor advises: 72 hours.
    pub old: bool,
    /// How many snapshots are in the longest chain of the VM.
    pub chain: usize,
    /// How to take it over.
    pub adopt: String,
}

/// The view of a VM, if the fleet has it now.
pub(super) fn view_of<'a>(fleet: &'a Fleet, vm: &VmId) -> Option<VmView<'a>> {
    fleet.parts().find(|part| part.uuid() == Some(vm.vcenter))?.vm(&vm.vm)
}

/// How a VM is named to people and programs; it may have gone.
pub(super) fn named(view: Option<&VmView<'_>>, vm: &VmId) -> String {
    match view {
        Some(view) => format!("{}/{}", view.vcenter_name().as_str(), vm.vm),
        None => format!("{}/{}", vm.vcenter, vm.vm),
    }
}

/// The snapshots of a VM, each before those made after it. `None`: they are not known.
pub(super) fn trees<'a>(view: &VmView<'a>) -> Option<Vec<&'a SnapshotTree>> {
    match view.snapshots() {
        Fact::Known(info) => Some(info.iter().collect()),
        Fact::Absent => Some(Vec::new()),
        Fact::Unknown => None,
    }
}

/// The reference of a snapshot, as records have it.
pub(super) fn id_of(tree: &SnapshotTree) -> Option<SnapshotId> {
    tree.reference().map(|reference| reference.to_string().into())
}

/// Whether this installation made a snapshot of this VM, as its description says.
pub(super) fn is_ours(mark: &Mark, vm: &VmId, installation: &str) -> bool {
    mark.owner() == installation && mark.vcenter() == vm.vcenter.to_string() && mark.vm() == &*vm.vm
}

impl SnapshotDocument {
    /// The document of a record.
    pub(super) fn of(view: &View<'_>, vm: &VmId, record: &Record) -> Self {
        let now = view.now;
        let found = view_of(view.fleet, vm);
        let shown = found.as_ref().and_then(trees);
        let seen = shown
            .zip(record.snapshot.as_ref())
            .map(|(trees, own)| trees.into_iter().filter_map(id_of).any(|shown| shown == *own));
        let active = record.stage.is_active();
        let overdue = active && record.overdue_at().is_some_and(|limit| limit <= now);
        let trouble = record.trouble.as_ref().filter(|_| active || record.snapshot.is_none());
        let fails = active && record.failures > 0 && record.trouble.is_some();
        let unwell = matches!(record.judgement, Some(Judgement::Failed { .. } | Judgement::Unknown { .. }));
        let retry_at = match record.stage {
            Stage::Failed { retry_at } => Some(retry_at),
            _ => record.retry_at.filter(|at| *at > now),
        };
        Self {
            record: record.key().to_string(),
            vm: named(found.as_ref(), vm),
            name: record.label.to_string(),
            window: record.run.as_ref().map(|run| run.window.to_string()),
            window_name: record.run.as_ref().map(|run| run.name.to_string()),
            opens: record.run.as_ref().map(|run| run.opens.to_string()),
            reason: record.reason.as_deref().map(str::to_owned),
            stage: record.stage.word().to_owned(),
            since: record.since.to_string(),
            snapshot: record.snapshot.as_ref().map(ToString::to_string),
            snapshot_name: record.name.to_string(),
            seen,
            created: record.created.map(|created| created.to_string()),
            age_seconds: record
                .created
                .filter(|_| active)
                .map(|created| now.duration_since(created).as_secs()),
            kept_until: record.remove_at().filter(|_| active).map(|until| until.to_string()),
            overdue,
            memory: record.memory,
            quiesced: record.quiesce,
            judgement: record.judgement.as_ref().map(|judgement| judgement.word().to_owned()),
            judgement_why: record.judgement.as_ref().and_then(Judgement::why).map(str::to_owned),
            trouble: trouble.map(|trouble| trouble.sentence.to_string()),
            fix: trouble.and_then(|trouble| trouble.fix.as_deref()).map(str::to_owned),
            retry_at: retry_at.map(|at| at.to_string()),
            problem: overdue || fails || (active && unwell) || seen == Some(false) && record.protects(),
        }
    }
}

impl ForeignDocument {
    fn of(
        vm: &VmView<'_>,
        id: &VmId,
        tree: &SnapshotTree,
        chain: usize,
        ours: bool,
        now: Timestamp,
    ) -> Option<Self> {
        let snapshot = id_of(tree)?;
        let mark = Mark::parse(&tree.description);
        let age = tree.created.map(|created| now.duration_since(created));
        let vm_name = named(Some(vm), id);
        let foreign = if ours { "" } else { " --foreign" };
        Some(Self {
            adopt: format!("vmbridge snapshot adopt {vm_name} {snapshot}{foreign}"),
            vm: vm_name,
            name: vm.label().to_string(),
            snapshot: snapshot.to_string(),
            snapshot_name: unescape_name(&tree.name).into_owned(),
            installation: mark.map(|mark| mark.owner().to_owned()),
            created: tree.created.map(|created| created.to_string()),
            age_seconds: age.map(|age| age.as_secs()),
            old: age.is_some_and(|age| age > OLD),
            chain,
        })
    }
}

/// The records of one VM, also those that are over, the latest last.
pub(crate) fn snapshots_of(view: &View<'_>, vm: &VmId) -> Vec<SnapshotDocument> {
    let records = view.memory.protections.get(vm);
    let mut records: Vec<&Record> = records.into_iter().flat_map(|records| records.values()).collect();
    records.sort_by_key(|record| (record.began, record.key().clone()));
    records.into_iter().map(|record| SnapshotDocument::of(view, vm, record)).collect()
}

/// Whether a record waits for the snapshot with this mark: then it is listed with the record.
fn is_awaited(mark: &Mark, records: &[&Record]) -> bool {
    let id = crate::engine::record_id(mark);
    records.iter().any(|record| {
        let attempts = || record.former.iter().chain([&record.id]);
        record.snapshot.is_none() && attempts().any(|attempt| attempt.as_str() == id)
    })
}

/// The snapshots of the fleet, by the names of the VMs.
///
/// # Errors
/// When a selector is none.
pub(crate) fn snapshots(view: &View<'_>, query: &SnapshotQuery) -> Result<SnapshotsDocument, Refusal> {
    let SnapshotQuery { all, selectors, vcenters } = query;
    let selection = Selection::of(
        view.fleet,
        &PlanQuery { capabilities: Vec::new(), selectors: selectors.clone(), vcenters: vcenters.clone() },
    )?;
    let mut out = SnapshotsDocument::default();
    for (vm, records) in view.memory.protections.iter().filter(|(vm, _)| selection.has(vm)) {
        let told = records.values().filter(|record| *all || record.stage.is_active());
        out.ours.extend(told.map(|record| SnapshotDocument::of(view, vm, record)));
    }
    for part in view.fleet.parts() {
        let Some(vcenter) = part.uuid() else { continue };
        for vm in part.vms() {
            let Fact::Known(info) = vm.snapshots() else { continue };
            let id = VmId { vcenter, vm: vm.moref().shared_value() };
            if !selection.has(&id) {
                continue;
            }
            let records = view.memory.protections.get(&id);
            let active: Vec<&Record> = records
                .into_iter()
                .flatten()
                .map(|(_, record)| record)
                .filter(|one| one.stage.is_active())
                .collect();
            let known: BTreeSet<&SnapshotId> =
                active.iter().filter_map(|record| record.snapshot.as_ref()).collect();
            let chain = info.depth();
            for tree in info.iter() {
                if id_of(tree).is_some_and(|snapshot| known.contains(&snapshot)) {
                    continue;
                }
                let mark = Mark::parse(&tree.description)
                    .filter(|mark| is_ours(mark, &id, &view.memory.installation));
                if mark.as_ref().is_some_and(|mark| is_awaited(mark, &active)) {
                    continue;
                }
                let ours = mark.is_some();
                let list = if ours { &mut out.orphans } else { &mut out.foreign };
                list.extend(ForeignDocument::of(&vm, &id, tree, chain, ours, view.now));
            }
        }
    }
    out.ours.sort_by(|a, b| {
        (&a.name, &a.vm, &a.created, &a.record).cmp(&(&b.name, &b.vm, &b.created, &b.record))
    });
    for list in [&mut out.orphans, &mut out.foreign] {
        list.sort_by(|a, b| (&a.name, &a.vm, &a.created).cmp(&(&b.name, &b.vm, &b.created)));
    }
    Ok(out)
}
