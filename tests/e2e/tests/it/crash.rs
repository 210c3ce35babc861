//! The crash matrix: for every kind of action the process is killed (SIGKILL) before the intent, between intent and effect,
//! between effect and outcome, and after. It ends in the same state, and nothing is done twice.
//!
//! The kinds are those of the program's own enum: a new one does not compile here until it is covered. What is done to
//! snapshots has a matrix of its own in `crash_snapshots.rs`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use vmbridge::plan::ActionKind;
use vmbridge_e2e::managed::Managed;
use vmbridge_e2e::program::Running;
use vmbridge_simulator::{Effect, FaultEffect, FaultRule, GUEST_PASSWORD, Mutation};

/// Cells of the matrix at the same time.
const AT_ONCE: usize = 8;

/// When the process is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Point {
    BeforeIntent,
    BeforeEffect,
    BeforeOutcome,
    After,
}

pub(crate) const POINTS: [Point; 4] =
    [Point::BeforeIntent, Point::BeforeEffect, Point::BeforeOutcome, Point::After];

/// The operation that has the effect of a kind, as the simulator calls it, and as its ledger does.
pub(crate) fn operation(kind: ActionKind) -> (&'static str, &'static str) {
    match kind {
        ActionKind::AddTags => ("ssm:AddTagsToResource", "AddTagsToResource"),
        ActionKind::RemoveTags => ("ssm:RemoveTagsFromResource", "RemoveTagsFromResource"),
        ActionKind::DefineAttribute => ("AddCustomFieldDef", "AddCustomFieldDef"),
        ActionKind::SetAttribute => ("SetField", "SetField"),
        ActionKind::PrepareGuest | ActionKind::RegisterAgent => {
            ("StartProgramInGuest", "StartProgramInGuest")
        }
        ActionKind::CreateActivation => ("ssm:CreateActivation", "CreateActivation"),
        ActionKind::DeleteActivation => ("ssm:DeleteActivation", "DeleteActivation"),
        ActionKind::CleanGuest => ("DeleteDirectoryInGuest", "DeleteDirectoryInGuest"),
        ActionKind::DeregisterNode => ("ssm:DeregisterManagedInstance", "DeregisterManagedInstance"),
        ActionKind::CreateSnapshot => ("CreateSnapshot_Task", "CreateSnapshot_Task"),
        ActionKind::RemoveSnapshot => ("RemoveSnapshot_Task", "RemoveSnapshot_Task"),
        ActionKind::ConsolidateDisks => ("ConsolidateVMDisks_Task", "ConsolidateVMDisks_Task"),
        ActionKind::RevertToSnapshot => ("RevertToSnapshot_Task", "RevertToSnapshot_Task"),
        ActionKind::PowerOn => ("PowerOnVM_Task", "PowerOnVM_Task"),
        ActionKind::PutInventory => ("ssm:PutInventory", "PutInventory"),
        ActionKind::PutCompliance => ("ssm:PutComplianceItems", "PutComplianceItems"),
        ActionKind::ImportFindings => ("securityhub:BatchImportFindings", "BatchImportFindings"),
        ActionKind::CloseFindings | ActionKind::UpdatePatchFindings => {
            ("securityhub:BatchUpdateFindings", "BatchUpdateFindings")
        }
    }
}

/// An estate in which an action of this kind is the next thing to do.
async fn ready_for(kind: ActionKind) -> Result<Managed> {
    const TAGS: &str = "[tags]\nmode = \"enforce\"\ndefaults = false\n[guard]\nmax_change_percent = 100\n";
    const WRITEBACK: &str =
        "[tags]\nmode = \"off\"\ndefaults = false\n[writeback]\nmode = \"enforce\"\nwrites_per_second = 50\n";
    match kind {
        ActionKind::AddTags | ActionKind::RemoveTags => {
            let mut managed = Managed::new(3, TAGS).await?;
            for vm in 0..3 {
                managed.tag(vm, "Crash", Some("red"))?;
                managed.tag(vm, "Patch Group", Some("green"))?;
            }
            if kind == ActionKind::RemoveTags {
                let synced = managed.ran(&["sync"]).await?;
                ensure!(synced.code == Some(0), "{synced:?}");
                managed.tag(0, "Crash", None)?;
            }
            Ok(managed)
        }
        ActionKind::PrepareGuest
        | ActionKind::CreateActivation
        | ActionKind::RegisterAgent
        | ActionKind::DeleteActivation
        | ActionKind::CleanGuest => to_be_enrolled().await,
        ActionKind::DeregisterNode => {
            let managed = to_be_enrolled().await?;
            settled(&managed).await?;
            let vm = managed.simulator.vcenters()[0].guests().remove(0).vm;
            managed.mutate(&Mutation::Remove { id: vm })?;
            // Since when it is gone is noted, and has to be long enough ago.
            managed.ran(&["sync"]).await?;
            tokio::time::sleep(Duration::from_secs(11)).await;
            Ok(managed)
        }
        ActionKind::CreateSnapshot
        | ActionKind::RemoveSnapshot
        | ActionKind::ConsolidateDisks
        | ActionKind::RevertToSnapshot
        | ActionKind::PowerOn => bail!("{} is in the matrix of snapshots", kind.word()),
        ActionKind::PutInventory
        | ActionKind::PutCompliance
        | ActionKind::ImportFindings
        | ActionKind::CloseFindings
        | ActionKind::UpdatePatchFindings => to_be_reported(kind).await,
        ActionKind::DefineAttribute => Managed::new(2, WRITEBACK).await,
        ActionKind::SetAttribute => {
            let managed = Managed::new(2, WRITEBACK).await?;
            for field in ["vmbridge.node", "vmbridge.patch-group", "vmbridge.status"] {
                let of = Some("VirtualMachine".to_owned());
                managed.mutate(&Mutation::DefineField { field: field.to_owned(), of })?;
            }
            Ok(managed)
        }
    }
}

/// An estate in which something is to be told to AWS, of one kind.
async fn to_be_reported(kind: ActionKind) -> Result<Managed> {
    let mode = |kinds: &[ActionKind]| if kinds.contains(&kind) { "enforce" } else { "off" };
    let findings = [ActionKind::ImportFindings, ActionKind::CloseFindings, ActionKind::UpdatePatchFindings];
    let of_patch_manager = kind == ActionKind::UpdatePatchFindings;
    let sections = format!(
        "[tags]\nmode = \"off\"\ndefaults = false\n[guard]\nmax_change_percent = 100\n\
         [inventory]\nmode = \"{}\"\n[compliance]\nmode = \"{}\"\nhardening = false\n\
         [findings]\nmode = \"{}\"\nchecks = false\nunmanaged = false\noffline = false\nprotection = false\n\
         patches = {}\nresolve_patch_manager = {of_patch_manager}\n",
        mode(&[ActionKind::PutInventory]),
        mode(&[ActionKind::PutCompliance]),
        mode(&findings),
        !of_patch_manager,
    );
    let managed = Managed::new(2, &sections).await?;
    if findings.contains(&kind) {
        managed.mutate_aws(json!({ "op": "setPatchFindings", "on": of_patch_manager }))?;
        lacks_patches(&managed, 2)?;
    }
    if kind == ActionKind::CloseFindings {
        let synced = managed.ran(&["sync"]).await?;
        ensure!(synced.code == Some(0), "{synced:?}");
        lacks_patches(&managed, 0)?;
    }
    Ok(managed)
}

/// A scan finds that the first node lacks so many patches.
fn lacks_patches(managed: &Managed, missing: u32) -> Result<()> {
    let node = &managed.vms[0].node;
    managed.mutate_aws(json!({ "op": "setMissing", "node": node, "missing": missing }))?;
    managed.mutate_aws(json!({ "op": "patch", "node": node, "outcome": "scanned" }))?;
    Ok(())
}

/// An estate in which one VM is to be enrolled.
async fn to_be_enrolled() -> Result<Managed> {
    const OFF: &str = "[tags]\nmode = \"off\"\ndefaults = false\n[guard]\nmax_change_percent = 100\n";
    let mut managed = Managed::with_privileges(0, OFF, &super::enrol::PRIVILEGES).await?;
    let more = "retry_after = \"1s\"\nderegister_after = \"10s\"\nvms = \"name=crash-me\"";
    managed.credentials_with("enforce", GUEST_PASSWORD, more)?;
    let inventory: Value = serde_json::from_str(&managed.ran(&["inventory", "--json"]).await?.stdout)?;
    let vms = inventory["vms"].as_array().context("VMs")?;
    let suitable = vms.iter().find(|vm| {
        vm["template"] == false
            && vm["managedBy"].is_null()
            && vm["guest"]["operationsReady"] == true
            && vm["powerState"] == "poweredOn"
    });
    let id = suitable.and_then(|vm| vm["moref"].as_str()).with_context(|| format!("a VM: {:#}", vms[0]))?;
    managed.mutate(&Mutation::Rename { id: id.to_owned(), name: "crash-me".to_owned() })?;
    Ok(managed)
}

/// Does what is to be done, as often as it takes: what failed is tried again a second later.
async fn settled(managed: &Managed) -> Result<()> {
    for _ in 0..5 {
        managed.ran(&["sync"]).await?;
        let (code, _) = managed.plan().await?;
        if code == Some(0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    bail!("something is left to do: {:#}", managed.plan().await?.1)
}

fn is_of_snapshots(kind: ActionKind) -> bool {
    matches!(
        kind,
        ActionKind::CreateSnapshot
            | ActionKind::RemoveSnapshot
            | ActionKind::ConsolidateDisks
            | ActionKind::RevertToSnapshot
            | ActionKind::PowerOn
    )
}

fn is_of_enrolment(kind: ActionKind) -> bool {
    matches!(
        kind,
        ActionKind::PrepareGuest
            | ActionKind::CreateActivation
            | ActionKind::RegisterAgent
            | ActionKind::DeleteActivation
            | ActionKind::CleanGuest
            | ActionKind::DeregisterNode
    )
}

/// Waits until `done` says so.
async fn until<F: Future<Output = Result<bool>>>(what: &str, done: impl Fn() -> F) -> Result<()> {
    for _ in 0..600 {
        if done().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("it never came to this: {what}")
}

pub(crate) async fn killed(running: Running) -> Result<()> {
    running.signal("KILL").await?;
    let ended = running.ended().await?;
    ensure!(ended.code.is_none(), "it ended before it was killed: {ended:?}");
    Ok(())
}

pub(crate) fn of_kind<'a>(journal: &'a [Value], kind: ActionKind, outcome: Option<&str>) -> Vec<&'a Value> {
    let wanted = json!(outcome);
    journal.iter().filter(|entry| entry["kind"] == kind.word() && entry["outcome"] == wanted).collect()
}

/// Kills the program at this point of the next action of a kind.
pub(crate) async fn interrupt(managed: &Managed, kind: ActionKind, point: Point) -> Result<()> {
    let before = managed.journal().await?;
    let done_before = managed.simulator.effects().len();
    let (operation, recorded) = operation(kind);
    let effects = || {
        managed
            .effects(recorded)
            .into_iter()
            .filter(|effect| usize::try_from(effect.seq).unwrap_or(0) > done_before)
            .count()
    };
    let held = || async { Ok(!managed.simulator.holds().is_empty()) };
    let open = |journal: &[Value]| of_kind(journal, kind, None).len();
    match point {
        Point::BeforeIntent => {
            managed.simulator.add_faults([FaultRule::once("tagging:GetResources", FaultEffect::HoldBefore)]);
            let running = managed.vmbridge(&["sync"])?.start()?;
            until("the reading is held", held).await?;
            killed(running).await?;
            ensure!(managed.journal().await? == before, "nothing was intended yet");
            ensure!(effects() == 0);
        }
        Point::BeforeEffect | Point::BeforeOutcome => {
            let late = point == Point::BeforeOutcome;
            let hold = if late { FaultEffect::HoldAfter } else { FaultEffect::HoldBefore };
            // The registration is the second program that is started in the guest.
            let skip = u32::from(kind == ActionKind::RegisterAgent);
            managed.simulator.add_faults([FaultRule { skip, ..FaultRule::once(operation, hold) }]);
            let running = managed.vmbridge(&["sync"])?.start()?;
            until("the call is held", held).await?;
            killed(running).await?;
            let journal = managed.journal().await?;
            ensure!(open(&journal) >= 1, "the intent is in the journal: {journal:#?}");
            ensure!(!late || effects() >= 1, "the effect was there");
        }
        Point::After => {
            let running = managed.vmbridge(&["run"])?.start()?;
            let came = until("an outcome is in the journal", || async {
                let journal = managed.journal().await?;
                Ok(of_kind(&journal, kind, Some("done")).len() > of_kind(&before, kind, Some("done")).len())
            })
            .await;
            if let Err(error) = came {
                let plan = managed.vmbridge(&["plan"])?.run().await;
                running.signal("TERM").await?;
                return Err(error.context(format!("{plan:#?} {:#?}", running.ended().await)));
            }
            killed(running).await?;
        }
    }
    managed.simulator.clear_faults();
    managed.simulator.release_holds();
    Ok(())
}

async fn cell(kind: ActionKind, point: Point) -> Result<()> {
    let managed = ready_for(kind).await?;
    interrupt(&managed, kind, point).await?;

    if is_of_enrolment(kind) {
        settled(&managed).await?;
    } else {
        let synced = managed.ran(&["sync", "--json"]).await?;
        ensure!(synced.code == Some(0), "the restart does the rest: {synced:?}");
    }
    right(&managed, kind)?;
    once(&managed.simulator.effects())?;
    let journal = managed.journal().await?;
    ensure!(journal.iter().all(|entry| !entry["outcome"].is_null()), "every end is known: {journal:#?}");
    let found = journal.iter().filter(|entry| entry["outcome"] == "found-done").count();
    ensure!(point != Point::BeforeOutcome || found >= 1, "what was done was found: {journal:#?}");
    let (code, plan) = managed.plan().await?;
    ensure!(code == Some(0), "nothing is left: {plan:#}");
    ensure!(managed.aws().mistakes().is_empty(), "{:?}", managed.aws().mistakes());
    Ok(())
}

/// The state that it has to end in, however it got there.
fn right(managed: &Managed, kind: ActionKind) -> Result<()> {
    match kind {
        ActionKind::AddTags | ActionKind::RemoveTags => {
            for vm in 0..managed.vms.len() {
                ensure!(managed.tags(vm) == managed.wanted(vm), "{:?}", managed.tags(vm));
            }
        }
        ActionKind::DeregisterNode => {
            let nodes = managed.nodes();
            ensure!(nodes.is_empty(), "{nodes:#?}");
        }
        ActionKind::PutInventory | ActionKind::PutCompliance => {
            let (what, name) = match kind {
                ActionKind::PutInventory => ("inventory", "Custom:VSphereVirtualMachine"),
                _ => ("compliance", "Custom:VSphereProtection"),
            };
            let region = super::reports::region(managed);
            for vm in &managed.vms {
                ensure!(region[what]["nodes"][&*vm.node][name].is_object(), "{:#}", region[what]);
            }
        }
        ActionKind::ImportFindings | ActionKind::CloseFindings => {
            let found = super::reports::findings(managed);
            let over = kind == ActionKind::CloseFindings;
            let (state, workflow) = if over { ("ARCHIVED", "RESOLVED") } else { ("ACTIVE", "NEW") };
            ensure!(
                found.len() == 1
                    && found[0]["RecordState"] == state
                    && found[0]["Workflow"]["Status"] == workflow,
                "{found:#?}"
            );
        }
        ActionKind::UpdatePatchFindings => {
            let found = super::reports::findings(managed);
            let named = |one: &Value| one["Note"]["Text"].to_string().contains(&managed.vms[0].name);
            ensure!(found.len() == 1 && found.iter().all(named), "{found:#?}");
        }
        _ if is_of_enrolment(kind) => {
            let nodes = managed.nodes();
            ensure!(nodes.len() == 1, "{nodes:#?}");
            ensure!(managed.effects("RegisterManagedInstance").len() == 1, "it registers once");
            let activations = managed.activations();
            ensure!(activations.is_empty(), "{activations:#?}");
            let guest = managed.simulator.vcenters()[0].guests().remove(0);
            // The installer knows the word; a value has it only in what it is told.
            let told = guest.files.iter().filter(|(path, _)| path.ends_with("parameters"));
            ensure!(!told.into_iter().any(|(_, text)| text.contains("ACTIVATION_CODE=")), "{guest:#?}");
        }
        _ => {
            let truth = managed.simulator.vcenters()[0].truth();
            for vm in &managed.vms {
                let vms = truth["vms"].as_array().context("VMs")?;
                let known = vms.iter().find(|one| one["id"] == *vm.moref).context("the VM")?;
                let value = &known["customAttributes"]["vmbridge.node"];
                ensure!(*value == *vm.node, "{known:#}");
            }
        }
    }
    Ok(())
}

/// Every change made a difference, so none was made twice.
pub(crate) fn once(effects: &[Effect]) -> Result<()> {
    for (at, effect) in effects.iter().enumerate() {
        ensure!(effect.effective, "done twice: {effect:?}");
        let same = |other: &&Effect| {
            (&other.operation, &other.resource, &other.detail)
                == (&effect.operation, &effect.resource, &effect.detail)
        };
        ensure!(effects[..at].iter().find(same).is_none(), "done twice: {effect:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_of_any_action_it_ends_in_the_same_state() {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut cells = JoinSet::new();
    // What is not here is in the other matrix.
    let kinds: Vec<ActionKind> =
        ActionKind::ALL.iter().copied().filter(|kind| !is_of_snapshots(*kind)).collect();
    let elsewhere = super::crash_snapshots::KINDS;
    assert!(elsewhere.into_iter().all(is_of_snapshots));
    assert!(ActionKind::ALL.iter().all(|kind| kinds.contains(kind) != elsewhere.contains(kind)));
    for kind in kinds.iter().copied() {
        for point in POINTS {
            let room = room.clone();
            cells.spawn(async move {
                let _permit = room.acquire_owned().await.unwrap();
                cell(kind, point).await.with_context(|| format!("{} {point:?}", kind.word()))
            });
        }
    }
    let (mut failures, mut ended) = (Vec::new(), 0);
    while let Some(cell) = cells.join_next().await {
        ended += 1;
        if let Err(error) = cell.unwrap() {
            failures.push(format!("{error:#}"));
        }
    }
    assert_eq!(ended, kinds.len() * POINTS.len());
    assert!(failures.is_empty(), "{} of {ended}:\n{}", failures.len(), failures.join("\n\n"));
}
