//! What is told of the windows that come: whom each reaches, who has a snapshot in time, and what is in doubt.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use mappings::protection::{Run, Say};
use mappings::snapshot::hazard::Hazard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PlanQuery, Refusal, documents, selection::Selection};
use crate::plan::{Capability, Note, Plan, Reason, View, VmPlan, WindowPlan};
use crate::store::VmId;

/// Which windows are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WindowQuery {
    /// Only the window with this id or name.
    pub window: Option<String>,
    /// VMs that any of these selects; all if there are none.
    pub selectors: Vec<String>,
    /// VMs of these vCenters or organisations; all if there are none.
    pub vcenters: Vec<String>,
}

/// An opening of a window that comes, or is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowDocument {
    /// The window: an id of AWS, or the name of one in the configuration or of a tag.
    pub window: String,
    /// Its name.
    pub name: String,
    /// The account and Region. `null`: AWS does not know it.
    pub place: Option<String>,
    /// When it opens.
    pub opens: String,
    /// When it closes.
    pub closes: String,
    /// Whether it is open.
    pub open: bool,
    /// When its first snapshot may be taken, and its scope freezes.
    pub freezes: String,
    /// When its last snapshot is to be there.
    pub deadline: String,
    /// When its last snapshot is expected to be there.
    pub finish: Option<String>,
    /// Numbers of VMs by their state.
    pub states: BTreeMap<String, usize>,
    /// Its VMs, by name.
    pub vms: Vec<WindowVmDocument>,
    /// Why it cannot be said for certain whom it reaches.
    pub doubts: Vec<String>,
    /// Whether anything of it is something that a person should look at.
    pub in_doubt: bool,
}

/// A VM that a window reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowVmDocument {
    /// `<vCenter>/<managed object id>`
    pub vm: String,
    /// Its name.
    pub name: String,
    /// `protected`: it has its snapshot. `planned`; `late`: planned, and not there by the deadline. `coming`: nothing is due
    /// yet. `beingTaken`, `waits`, `failed`: on its way. `unfit`: it cannot have one. `missed`: it had none when the window
    /// opened. `noPolicy`: none is for it. `left`: the window does not reach it any more.
    pub state: String,
    /// When its snapshot is planned to begin.
    pub begins: Option<String>,
    /// When it is expected to be there.
    pub ends: Option<String>,
    /// Whether it is kept out of the window now.
    pub held: bool,
    /// Why it cannot be kept out of the window although it is to be.
    pub cannot_hold: Option<String>,
    /// Whether it came after the scope of the window had frozen.
    pub joined: bool,
    /// What there is to say, in one sentence.
    pub sentence: Option<String>,
    /// What is in the way, where the state alone does not say it.
    pub why: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// Whether it is something that a person should look at.
    pub in_doubt: bool,
}

/// The windows that come, by their opening.
///
/// # Errors
/// When a selector is none, or no window is called as asked.
pub(crate) fn windows(view: &View<'_>, query: &WindowQuery) -> Result<Vec<WindowDocument>, Refusal> {
    let WindowQuery { window, selectors, vcenters } = query;
    let selection = Selection::of(
        view.fleet,
        &PlanQuery { capabilities: Vec::new(), selectors: selectors.clone(), vcenters: vcenters.clone() },
    )?;
    let plan = view.plan();
    let vms: HashMap<&VmId, &VmPlan> = plan.vms.iter().map(|vm| (&vm.vm, vm)).collect();
    let is_meant = |one: &&WindowPlan| {
        let run = &one.forecast.run;
        window.as_deref().is_none_or(|wanted| is_called(run, wanted))
    };
    let found: Vec<&WindowPlan> = plan.windows.iter().filter(is_meant).collect();
    if let (Some(wanted), []) = (window, &found[..]) {
        let mut names: Vec<&str> = plan.windows.iter().map(|one| &*one.forecast.run.name).collect();
        names.sort_unstable();
        names.dedup();
        return Err(Refusal(match &names[..] {
            [] => format!("no window is called `{wanted}`: none comes that is looked at"),
            names => format!("no window is called `{wanted}`; those that come are {}", names.join(", ")),
        }));
    }
    let documents = found.into_iter().map(|one| document(one, &vms, &selection, view.now));
    Ok(documents.filter(|one| selection.is_everything() || !one.vms.is_empty()).collect())
}

/// The windows that reach a VM, each with this VM only.
pub(crate) fn windows_of(plan: &Plan, vm: &VmId, now: Timestamp) -> Vec<WindowDocument> {
    let vms: HashMap<&VmId, &VmPlan> =
        plan.vms.iter().filter(|one| one.vm == *vm).map(|one| (&one.vm, one)).collect();
    let selection = Selection::only(vm);
    let documents = plan.windows.iter().map(|one| document(one, &vms, &selection, now));
    documents.filter(|one| !one.vms.is_empty()).collect()
}

/// Whether a person means this window.
pub(super) fn is_called(run: &Run, text: &str) -> bool {
    *run.window == *text || run.name.eq_ignore_ascii_case(text)
}

fn document(
    window: &WindowPlan,
    vms: &HashMap<&VmId, &VmPlan>,
    selection: &Selection,
    now: Timestamp,
) -> WindowDocument {
    let forecast = &window.forecast;
    let set = |numbers: &[usize]| numbers.iter().copied().collect::<HashSet<usize>>();
    let (protected, late) = (set(&forecast.protected), set(&forecast.late));
    let (unfit, without_policy) = (set(&forecast.unfit), set(&forecast.without_policy));
    let planned: HashMap<usize, (Timestamp, Timestamp)> =
        forecast.planned.iter().map(|(vm, begins, ends)| (*vm, (*begins, *ends))).collect();
    let left: HashSet<&VmId> = window.left.iter().collect();
    let mut told = Vec::new();
    for number in &forecast.members {
        let Some(vm) = window.vms.get(*number).and_then(|id| vms.get(id)) else { continue };
        // Those that left are told below, once.
        if !selection.has(&vm.vm) || left.contains(&vm.vm) {
            continue;
        }
        let say = says(vm).find(|say| run_of(say).is_some_and(|run| run.is_same(&forecast.run)));
        let state = if protected.contains(number) {
            "protected"
        } else if without_policy.contains(number) {
            "noPolicy"
        } else if unfit.contains(number) {
            "unfit"
        } else if late.contains(number) {
            "late"
        } else if planned.contains_key(number) {
            "planned"
        } else {
            state_of(say)
        };
        let cannot_hold =
            window.cannot_hold.iter().find(|(id, _)| *id == vm.vm).map(|(_, why)| why.to_string());
        let joined = window.joined.contains(&vm.vm);
        let is_problem = say.is_some_and(Say::is_problem) || matches!(state, "late" | "unfit");
        let is_told = state != "protected" && state != "planned";
        told.push(WindowVmDocument {
            vm: documents::named(vm),
            name: vm.label.to_string(),
            state: state.to_owned(),
            begins: planned.get(number).map(|(begins, _)| begins.to_string()),
            ends: planned.get(number).map(|(_, ends)| ends.to_string()),
            held: is_held(vm, &forecast.run),
            sentence: say.filter(|_| is_told).map(Say::sentence),
            why: say.filter(|_| is_told).and_then(why),
            fix: say.filter(|_| is_told).and_then(Say::fix),
            in_doubt: is_problem || cannot_hold.is_some() || (joined && state != "protected"),
            cannot_hold,
            joined,
        });
    }
    for id in window.left.iter().filter(|id| selection.has(id)) {
        let vm = vms.get(id);
        told.push(WindowVmDocument {
            vm: vm.map_or_else(|| format!("{}/{}", id.vcenter, id.vm), |vm| documents::named(vm)),
            name: vm.map_or_else(|| id.vm.to_string(), |vm| vm.label.to_string()),
            state: "left".to_owned(),
            begins: None,
            ends: None,
            held: false,
            cannot_hold: None,
            joined: false,
            why: None,
            sentence: Some("the window does not reach it any more, and did when its scope froze".to_owned()),
            fix: None,
            in_doubt: true,
        });
    }
    told.sort_by(|a, b| (&a.name, &a.vm).cmp(&(&b.name, &b.vm)));
    let run = &forecast.run;
    WindowDocument {
        window: run.window.to_string(),
        name: run.name.to_string(),
        place: window.place.as_ref().map(ToString::to_string),
        opens: run.opens.to_string(),
        closes: run.closes.to_string(),
        open: run.opens <= now && now < run.closes,
        freezes: forecast.freezes.to_string(),
        deadline: forecast.deadline.to_string(),
        finish: forecast.finish.map(|finish| finish.to_string()),
        states: crate::plan::tally(told.iter().map(|vm| &*vm.state)),
        in_doubt: !window.doubts.is_empty() || told.iter().any(|vm| vm.in_doubt),
        vms: told,
        doubts: window.doubts.clone(),
    }
}

/// What is said of a VM and its snapshots.
fn says(vm: &VmPlan) -> impl Iterator<Item = &Say> {
    let verdict = vm.verdict(Capability::Snapshots);
    let reason = verdict.reason.iter().filter_map(|reason| match reason {
        Reason::Snapshot(say) => Some(&**say),
        _ => None,
    });
    let notes = verdict.notes.iter().filter_map(|note| match note {
        Note::Snapshot(say) => Some(&**say),
        _ => None,
    });
    reason.chain(notes)
}

/// The run that is spoken of.
fn run_of(say: &Say) -> Option<&Run> {
    match say {
        Say::Missed { run, .. }
        | Say::Refused { run, .. }
        | Say::NoPolicy { run }
        | Say::Planned { run, .. }
        | Say::Coming { run, .. } => Some(run),
        Say::NoSpace { run, .. }
        | Say::Failed { run, .. }
        | Say::Waits { run, .. }
        | Say::Creating { run }
        | Say::Kept { run, .. } => run.as_ref(),
        Say::Overdue { .. } | Say::Orphan { .. } | Say::RollingBack { .. } | Say::Removing { .. } => None,
    }
}

fn state_of(say: Option<&Say>) -> &'static str {
    match say {
        Some(Say::Missed { .. }) => "missed",
        Some(Say::Refused { .. } | Say::NoSpace { .. }) => "unfit",
        Some(Say::Failed { .. }) => "failed",
        Some(Say::Creating { .. }) => "beingTaken",
        Some(Say::Waits { .. }) => "waits",
        _ => "coming",
    }
}

/// What is in the way, without the run: the same is true of other VMs and other openings.
fn why(say: &Say) -> Option<String> {
    match say {
        Say::Refused { why, .. } | Say::Waits { why, .. } => {
            Some(why.iter().map(Hazard::sentence).collect::<Vec<_>>().join("; "))
        }
        Say::NoSpace { shortage, .. } => Some(shortage.to_string()),
        Say::Failed { trouble, .. } => trouble.as_ref().map(|trouble| trouble.sentence.to_string()),
        _ => None,
    }
}

fn is_held(vm: &VmPlan, run: &Run) -> bool {
    let notes = &vm.verdict(Capability::Snapshots).notes;
    notes.iter().any(|note| matches!(note, Note::Held { window, .. } if **window == *run.name))
}
