//! What is told before a VM is taken back: what will be lost, and what to think of.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use mappings::protection::{Record, Run, Stage};
use mappings::selector::{Fact, GuestFamily, VmFacts as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vsphere_client::model::{PowerState, unescape_name};

use super::snapshots::{id_of, named, trees, view_of};
use super::windows::is_called;
use super::{Found, Refusal, find};
use crate::config::Mode;
use crate::fleet::{State, VmView};
use crate::plan::{Plan, View};
use crate::store::VmId;

/// A Windows machine changes its password in the domain after this time.
const MACHINE_PASSWORD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is to be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RollbackQuery {
    /// The VMs of a window.
    Window {
        /// Its id or name.
        window: String,
        /// Which opening: a time at which it was open. The latest one that has opened if that is not said.
        at: Option<String>,
        /// Only these VMs, as a person names them.
        vms: Vec<String>,
    },
    /// One VM, to the snapshot of this record.
    Record {
        /// The id of the record.
        record: String,
    },
}

/// What taking VMs back means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackDocument {
    /// The window: its id, or its name in the configuration.
    pub window: Option<String>,
    /// Its name.
    pub window_name: Option<String>,
    /// When it opened.
    pub opens: Option<String>,
    /// When it closes.
    pub closes: Option<String>,
    /// The VMs, by name.
    pub vms: Vec<RollbackVmDocument>,
    /// VMs that belong to it and cannot be taken back, and why: `<vCenter>/<managed object id>`, name and sentence.
    pub without: Vec<(String, String, String)>,
    /// What to think of.
    pub warnings: Vec<String>,
}

/// What taking one VM back means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackVmDocument {
    /// The id of the record.
    pub record: String,
    /// `<vCenter>/<managed object id>`
    pub vm: String,
    /// The VM's name.
    pub name: String,
    /// The snapshot, by its managed object id.
    pub snapshot: String,
    /// When it was taken. All that was written since is lost.
    pub created: Option<String>,
    /// Its age in seconds.
    pub age_seconds: Option<i64>,
    /// Whether the VM is on now; then it is on afterwards too.
    pub powered_on: bool,
    /// What became of it in the window.
    pub judgement: Option<String>,
    /// Its node in Systems Manager.
    pub node: Option<String>,
    /// Snapshots that were made after it, whoever made them: they stay, and the VM leaves what is in them.
    pub later: Vec<LaterDocument>,
    /// What to think of.
    pub warnings: Vec<String>,
}

/// A snapshot that was made later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaterDocument {
    /// The snapshot, by its managed object id.
    pub snapshot: String,
    /// Its name.
    pub name: String,
    /// When it was taken.
    pub created: Option<String>,
    /// Whether vmbridge made it.
    pub ours: bool,
}

/// What taking back means.
///
/// # Errors
/// When nothing is meant by that, or several things are.
pub(super) fn rollback(view: &View<'_>, query: &RollbackQuery) -> Result<RollbackDocument, Refusal> {
    let plan = view.plan();
    let (run, records, wanted, asked) = match query {
        RollbackQuery::Record { record } => {
            let (vm, record) = record_called(view, record)?;
            (record.run.clone(), vec![(vm, record)], None, true)
        }
        RollbackQuery::Window { window, at, vms } => {
            let run = run_called(view, window, at.as_deref())?;
            let wanted = named_vms(view, &plan, vms)?;
            let of_run = all(view).filter(|(_, record)| record.is_for(&run));
            let records = of_run.filter(|(vm, _)| wanted.as_ref().is_none_or(|wanted| wanted.contains(vm)));
            let records: Vec<_> = records.collect();
            missing(view, &run, wanted.as_deref(), &records)?;
            (Some(run), records, wanted, false)
        }
    };
    let mut out = RollbackDocument {
        window: run.as_ref().map(|run| run.window.to_string()),
        window_name: run.as_ref().map(|run| run.name.to_string()),
        opens: run.as_ref().map(|run| run.opens.to_string()),
        closes: run.as_ref().map(|run| run.closes.to_string()),
        vms: Vec::new(),
        without: Vec::new(),
        warnings: Vec::new(),
    };
    // Of several records of one VM, such as that of an attempt that came too late, the one that can be gone back to counts.
    let mut by_vm: BTreeMap<&VmId, Result<RollbackVmDocument, (String, String, String)>> = BTreeMap::new();
    for (vm, record) in records {
        let told = of_vm(view, &plan, vm, record);
        if !matches!(by_vm.get(vm), Some(Ok(_))) || told.is_ok() {
            by_vm.insert(vm, told);
        }
    }
    if let Some(run) = &run
        && !asked
    {
        without_record(view, wanted.as_deref(), run, &mut by_vm);
    }
    for told in by_vm.into_values() {
        match told {
            Ok(vm) => out.vms.push(vm),
            Err((vm, name, why)) if asked => return Err(Refusal(format!("{name} ({vm}): {why}"))),
            Err(without) => out.without.push(without),
        }
    }
    out.vms.sort_by(|a, b| (&a.name, &a.vm).cmp(&(&b.name, &b.vm)));
    out.without.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    out.warnings = warnings(view, run.as_ref(), &out.vms);
    Ok(out)
}

fn all<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a VmId, &'a Record)> + use<'a> {
    let protections = &view.memory.protections;
    protections.iter().flat_map(|(vm, records)| records.values().map(move |record| (vm, record)))
}

/// The record with this id.
pub(super) fn record_called<'a>(view: &View<'a>, text: &str) -> Result<(&'a VmId, &'a Record), Refusal> {
    let is_it = |record: &Record| record.former.iter().chain([&record.id]).any(|id| id.as_str() == text);
    let mut all = all(view).filter(|(_, record)| is_it(record));
    // The id by which a record is known comes first: an attempt that came to light has a record of its own.
    let first = all.next();
    let exact = first.into_iter().chain(all).find(|(_, record)| record.key().as_str() == text).or(first);
    exact.ok_or_else(|| {
        Refusal(format!(
            "there is no snapshot with the record `{text}`; `vmbridge snapshot list` has them all"
        ))
    })
}

/// The VMs that a person names. `None`: all.
fn named_vms(view: &View<'_>, plan: &Plan, vms: &[String]) -> Result<Option<Vec<VmId>>, Refusal> {
    if vms.is_empty() {
        return Ok(None);
    }
    let found = vms.iter().map(|text| {
        let Found { vcenter, moref } = find(view.fleet, plan, text)?;
        let uuid = view.fleet.part(&vcenter).and_then(crate::fleet::Part::uuid);
        let vcenter =
            uuid.ok_or_else(|| Refusal(format!("the vCenter of {text} has not been reached yet")))?;
        Ok(VmId { vcenter, vm: moref.as_str().into() })
    });
    found.collect::<Result<Vec<_>, Refusal>>().map(Some)
}

/// A VM that was named must have been in the window.
fn missing(
    view: &View<'_>,
    run: &Run,
    wanted: Option<&[VmId]>,
    records: &[(&VmId, &Record)],
) -> Result<(), Refusal> {
    let scope = view.memory.scopes.get(&(run.window.clone(), run.opens));
    for vm in wanted.into_iter().flatten() {
        let is_member = scope.is_some_and(|scope| scope.member(vm).is_some());
        if !is_member && !records.iter().any(|(known, _)| *known == vm) {
            let name = named(view_of(view.fleet, vm).as_ref(), vm);
            return Err(Refusal(format!(
                "the window `{}` of {:.0} did not reach {name}",
                run.name, run.opens
            )));
        }
    }
    Ok(())
}

/// VMs of the window that never had a record.
fn without_record<'a>(
    view: &View<'a>,
    wanted: Option<&[VmId]>,
    run: &Run,
    by_vm: &mut BTreeMap<&'a VmId, Result<RollbackVmDocument, (String, String, String)>>,
) {
    let scope = view.memory.scopes.get(&(run.window.clone(), run.opens));
    for member in scope.into_iter().flat_map(|scope| &scope.members) {
        if wanted.is_some_and(|wanted| !wanted.contains(&member.vm)) {
            continue;
        }
        let found = view_of(view.fleet, &member.vm);
        let name = found.as_ref().map_or_else(|| member.vm.vm.to_string(), |vm| vm.label().to_string());
        let why = "it had no snapshot in this window".to_owned();
        by_vm.entry(&member.vm).or_insert_with(|| Err((named(found.as_ref(), &member.vm), name, why)));
    }
}

/// The opening that a person means.
fn run_called(view: &View<'_>, text: &str, at: Option<&str>) -> Result<Run, Refusal> {
    let mut runs: Vec<&Run> =
        all(view).filter_map(|(_, record)| record.run.as_ref()).filter(|run| is_called(run, text)).collect();
    runs.sort_by_key(|run| (run.opens, run.window.clone()));
    runs.dedup_by(|a, b| a.is_same(b));
    if runs.is_empty() {
        return Err(Refusal(format!(
            "there is no snapshot for a window called `{text}`; `vmbridge snapshot list` has them all"
        )));
    }
    let mut windows: Vec<&str> = runs.iter().map(|run| &*run.window).collect();
    windows.sort_unstable();
    windows.dedup();
    if windows.len() > 1 {
        return Err(Refusal(format!(
            "`{text}` fits {} windows; say which: {}",
            windows.len(),
            windows.join(", ")
        )));
    }
    let times = || runs.iter().map(|run| format!("{:.0}", run.opens)).collect::<Vec<_>>().join(", ");
    let found = match at {
        None => runs.iter().rev().find(|run| run.opens <= view.now).ok_or_else(|| {
            Refusal(format!(
                "the window `{text}` has not opened yet; with --at one can go back all the same: {}",
                times()
            ))
        }),
        Some(at) => {
            let time: Timestamp = at.parse().map_err(|_| {
                Refusal(format!("`{at}` is no time such as 2026-01-02T03:04:05Z; it opened at {}", times()))
            })?;
            let is_it = |run: &&&Run| run.opens == time;
            let is_within = |run: &&&Run| run.opens <= time && time < run.closes;
            let found = runs.iter().find(is_it).or_else(|| runs.iter().find(is_within));
            found.ok_or_else(|| {
                Refusal(format!(
                    "there is no snapshot for an opening of `{text}` at {at}, but for {}",
                    times()
                ))
            })
        }
    };
    found.map(|run| (*run).clone())
}

/// What taking a VM back means; otherwise why it cannot be: `<vCenter>/<managed object id>`, name and sentence.
fn of_vm(
    view: &View<'_>,
    plan: &Plan,
    vm: &VmId,
    record: &Record,
) -> Result<RollbackVmDocument, (String, String, String)> {
    let found = view_of(view.fleet, vm);
    let told = named(found.as_ref(), vm);
    let cannot = |why: &str| Err((told.clone(), record.label.to_string(), why.to_owned()));
    if let Err(why) = is_ready(view, vm, record, found.as_ref()) {
        return cannot(&why);
    }
    let (Some(found), Some(own)) = (found, record.snapshot.as_ref()) else { return cannot("it has gone") };
    let ours = view.memory.protections.get(vm);
    let is_ours = |snapshot: &mappings::protection::SnapshotId| {
        ours.into_iter().flatten().any(|(_, one)| one.snapshot.as_ref() == Some(snapshot))
    };
    let trees = trees(&found).unwrap_or_default();
    let own_tree = trees.iter().find(|tree| id_of(tree).as_ref() == Some(own));
    let below: Vec<_> = own_tree.map(|tree| tree.iter().filter_map(id_of).collect()).unwrap_or_default();
    let mut later = Vec::new();
    for tree in &trees {
        let Some(snapshot) = id_of(tree).filter(|snapshot| snapshot != own) else { continue };
        let is_younger = tree.created.zip(record.created).is_some_and(|(created, own)| created > own);
        if is_younger || below.contains(&snapshot) {
            later.push(LaterDocument {
                ours: is_ours(&snapshot),
                snapshot: snapshot.to_string(),
                name: unescape_name(&tree.name).into_owned(),
                created: tree.created.map(|created| created.to_string()),
            });
        }
    }
    let age = record.created.map(|created| view.now.duration_since(created));
    let powered_on = found.power() == Some(PowerState::PoweredOn);
    let node = plan.vms.iter().find(|planned| planned.vm == *vm).and_then(|planned| planned.link.as_ref());
    Ok(RollbackVmDocument {
        record: record.key().to_string(),
        vm: told,
        name: record.label.to_string(),
        snapshot: own.to_string(),
        created: record.created.map(|created| created.to_string()),
        age_seconds: age.map(|age| age.as_secs()),
        powered_on,
        judgement: record.judgement.as_ref().map(|judgement| judgement.word().to_owned()),
        node: node.map(|link| link.node.to_string()),
        later,
        warnings: vm_warnings(&found, record, age, powered_on),
    })
}

/// Whether a VM could be taken back to the snapshot of a record now; otherwise why not.
pub(super) fn is_ready(
    view: &View<'_>,
    vm: &VmId,
    record: &Record,
    found: Option<&VmView<'_>>,
) -> Result<(), String> {
    match &record.stage {
        Stage::Kept | Stage::Remove => {}
        Stage::Create | Stage::Creating { .. } | Stage::Failed { .. } => {
            return Err("its snapshot is not there yet".to_owned());
        }
        Stage::Ended { .. } => return Err("its snapshot is not there any more".to_owned()),
        Stage::Revert | Stage::Reverting { .. } => {
            return Err("it is being taken back already".to_owned());
        }
        Stage::PowerOn | Stage::PoweringOn { .. } => {
            return Err("it was taken back and is being powered on".to_owned());
        }
        _ => return Err("its snapshot is being removed".to_owned()),
    }
    is_seen(view, vm, record, found)
}

/// Whether the VM and its snapshot are seen now; otherwise why nothing may be done to them.
pub(super) fn is_seen(
    view: &View<'_>,
    vm: &VmId,
    record: &Record,
    found: Option<&VmView<'_>>,
) -> Result<(), String> {
    let part = view.fleet.parts().find(|part| part.uuid() == Some(vm.vcenter));
    let current = part.is_some_and(|part| {
        part.is_complete() && part.state(view.now, view.policy.stale_after) == State::Current
    });
    if !current {
        return Err("its vCenter cannot be read now".to_owned());
    }
    let Some(found) = found else { return Err("the VM has gone".to_owned()) };
    let Some(trees) = trees(found) else { return Err("its snapshots may not be read".to_owned()) };
    let is_shown = record.snapshot.is_some() && trees.into_iter().any(|tree| id_of(tree) == record.snapshot);
    if is_shown { Ok(()) } else { Err("vCenter does not show its snapshot".to_owned()) }
}

fn vm_warnings(
    vm: &VmView<'_>,
    record: &Record,
    age: Option<SignedDuration>,
    powered_on: bool,
) -> Vec<String> {
    let mut out = Vec::new();
    if vm.guest_family() == Fact::Known(GuestFamily::Windows) {
        out.push(if age.is_some_and(|age| age > MACHINE_PASSWORD) {
            "if it belongs to a Windows domain, it has changed its machine password since and loses its trust: `Test-ComputerSecureChannel -Repair`"
                .to_owned()
        } else {
            "if it belongs to a Windows domain and changed its machine password since, it loses its trust: `Test-ComputerSecureChannel -Repair`"
                .to_owned()
        });
    }
    if !record.memory && powered_on {
        out.push("its memory is not in the snapshot: it is powered on and boots".to_owned());
    }
    if !record.quiesce && !record.memory {
        out.push(
            "the snapshot was taken without quiescing: its disks are as after a power failure".to_owned(),
        );
    }
    out
}

fn warnings(view: &View<'_>, run: Option<&Run>, vms: &[RollbackVmDocument]) -> Vec<String> {
    let mut out = Vec::new();
    if vms.is_empty() {
        return out;
    }
    if run.is_some_and(|run| run.opens <= view.now && view.now < run.closes) {
        out.push("the window is open: what it still runs may change the VMs again; stop it first".to_owned());
    }
    out.push(
        "what others have of these VMs does not go back with them: databases with replicas, clusters and domain controllers may disagree with what they find"
            .to_owned(),
    );
    if vms.iter().any(|vm| vm.node.is_some()) {
        out.push(if view.policy.enrol.mode == Mode::Enforce {
            "SSM Agent goes back to the keys it had: expect it to be offline for a while; vmbridge brings it back as [enrol] says"
                .to_owned()
        } else {
            "SSM Agent goes back to the keys it had: expect it to be offline for a while, and `vmbridge enroll` the VM again if it stays so"
                .to_owned()
        });
    }
    out
}
