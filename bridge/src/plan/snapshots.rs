//! Snapshots: which windows come, which VMs they reach, and what is to be done about those now.
//!
//! What is decided is decided in [`mappings::protection`], of which this is the eye and the mouth: it gathers what the fleet,
//! AWS and the memory say of each VM that a window reaches or that has a record, and makes actions, reasons and tags to hold
//! of what comes back.

mod hold;
mod index;
mod last;
mod on_demand;
mod runs;
mod subjects;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mappings::protection::{self, Act, Decisions, Forecast, IfImpossible, Keep, Record, RecordId, Run, Say};
use mappings::snapshot::name::{Mark, snapshot_name};
use mappings::snapshot::space::Ledger;

use super::identity::{Candidate, Matching};
use super::reason::{Note, Reason};
use super::{CapabilityVerdict, Plan, Planned, ProtectionStep, planned};
use crate::aws::Place;
use crate::cloud::{Cloud, TargetView};
use crate::config::Mode;
use crate::fleet::Part;
use crate::memory::Memory;
use crate::plan::Policy;
use crate::plan::action::{Action, short_hash};
use crate::snapshot::{HoldBy, Member, Scope};
use crate::store::{ScopeChange, VmId};

pub(super) use hold::Hold;
pub(super) use last::{LastWindows, was_withheld};
pub(crate) use on_demand::{OnDemand, Unfit, kept_for, new_id, on_demand};
use runs::Runs;
pub(super) use subjects::{own_mark, policy_of};

/// What is remembered of an opening is forgotten so long after its end, if the window has opened again since.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// What is remembered of the last opening of a window is forgotten so long after its end: windows of a month come again before.
const LAST_REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 35);

/// An opening of a window, as far as it is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowPlan {
    /// How it looks.
    pub forecast: Forecast,
    /// The account and Region. None: AWS does not know it.
    pub place: Option<Place>,
    /// The VMs, in the order of their numbers in the forecast.
    pub vms: Arc<[VmId]>,
    /// VMs that are to be held if they have no snapshot, and cannot be.
    pub cannot_hold: Vec<(VmId, Arc<str>)>,
    /// VMs that came after its scope had frozen.
    pub joined: Vec<VmId>,
    /// VMs that are not reached any more although they were when its scope froze.
    pub left: Vec<VmId>,
    /// Why it cannot be said for certain whom it reaches.
    pub doubts: Vec<String>,
}

/// Why a person should look at a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt<'a> {
    /// So many snapshots come after the deadline.
    Late(usize),
    /// So many VMs cannot have one.
    Unfit(usize),
    /// So many VMs cannot be kept out of it, although they are to be.
    CannotHold(usize),
    /// Whom it reaches is not certain.
    Uncertain(&'a [String]),
}

impl Doubt<'_> {
    /// The word for its kind.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Late(_) => "late",
            Self::Unfit(_) => "unfit",
            Self::CannotHold(_) => "cannotHold",
            Self::Uncertain(_) => "uncertain",
        }
    }
}

impl std::fmt::Display for Doubt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Late(1) => f.write_str("1 VM would have its snapshot after the deadline"),
            Self::Late(count) => write!(f, "{count} VMs would have their snapshots after the deadline"),
            Self::Unfit(1) => f.write_str("1 VM cannot have a snapshot"),
            Self::Unfit(count) => write!(f, "{count} VMs cannot have a snapshot"),
            Self::CannotHold(1) => f.write_str("1 VM cannot be held"),
            Self::CannotHold(count) => write!(f, "{count} VMs cannot be held"),
            Self::Uncertain(why) => {
                write!(f, "it cannot be said for certain whom it reaches: {}", why.join(", "))
            }
        }
    }
}

impl WindowPlan {
    /// Why a person should look at it before it opens.
    #[must_use]
    pub fn in_doubt(&self) -> Vec<Doubt<'_>> {
        let counted = [
            (self.forecast.late.len(), Doubt::Late as fn(usize) -> Doubt<'static>),
            (self.forecast.unfit.len(), Doubt::Unfit),
            (self.cannot_hold.len(), Doubt::CannotHold),
        ];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, doubt)| doubt(count));
        let uncertain = (!self.doubts.is_empty()).then_some(Doubt::Uncertain(&self.doubts));
        counted.chain(uncertain).collect()
    }
}

/// What a plan has to say of snapshots.
#[derive(Default)]
pub(super) struct Snapshots {
    /// What is said of each candidate, by its number.
    verdicts: HashMap<usize, CapabilityVerdict>,
    /// How VMs are kept out of windows now.
    pub(super) holds: HashMap<VmId, Vec<Hold>>,
    otherwise: Option<Reason>,
}

impl Snapshots {
    /// What is said of a candidate.
    pub(super) fn verdict(&mut self, number: usize) -> CapabilityVerdict {
        self.verdicts.remove(&number).unwrap_or_else(|| CapabilityVerdict {
            reason: Some(self.otherwise.clone().unwrap_or(Reason::NoWindow)),
            notes: Vec::new(),
        })
    }
}

/// All that is looked at.
pub(super) struct Scene<'a, 'f> {
    pub(super) candidates: &'a [Candidate<'f>],
    pub(super) parts: &'a [(&'f Part, Option<Reason>)],
    pub(super) matchings: &'a [Result<(Place, &'a TargetView, Matching), String>],
    pub(super) cloud: &'a Cloud,
    pub(super) memory: &'a Memory,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
}

/// Plans the snapshots of all VMs.
pub(super) fn plan(scene: &Scene<'_, '_>, plan: &mut Plan) -> Snapshots {
    let settings = &scene.policy.snapshots;
    if settings.mode == Mode::Off {
        return Snapshots { otherwise: Some(Reason::Off), ..Snapshots::default() };
    }
    let runs = Runs::of(scene);
    let mut ledger = Ledger::default();
    let gathered = subjects::gather(scene, &runs, &mut ledger, plan);
    let maker = Maker { scene, gathered: &gathered };
    let decisions =
        protection::plan(&gathered.subjects, &settings.limits, &ledger, settings.floor, &maker, scene.now);
    let mut out = Snapshots::default();
    plan.next = decisions.next;
    act(scene, &gathered, &decisions, &maker, plan);
    scopes(scene, &gathered, &runs, &decisions, plan);
    hold::holds(scene, &gathered, &decisions, &mut out);
    windows(&gathered, &runs, &decisions, plan);
    say(&gathered, decisions, &mut out);
    out
}

/// Makes records, with ids and names that no other has.
struct Maker<'a, 'f> {
    scene: &'a Scene<'a, 'f>,
    gathered: &'a subjects::Gathered<'a>,
}

impl Maker<'_, '_> {
    fn id_of(&self, subject: usize, what: &str, attempt: u32) -> RecordId {
        let vm = &self.gathered.vms[subject];
        let installation = &self.scene.memory.installation;
        short_hash(&format!("{installation}\n{}\n{}\n{what}\n{attempt}", vm.vcenter, vm.vm)).into()
    }

    /// The description by which the snapshot of a record is found again.
    fn description(&self, subject: usize, record: &Record) -> Option<Arc<str>> {
        let vm = &self.gathered.vms[subject];
        let number = u64::from_str_radix(record.id.as_str(), 16).ok()?;
        let instance = self.gathered.instances[subject].map(|instance| instance.to_string());
        let (owner, vcenter) = (&self.scene.memory.installation, vm.vcenter.to_string());
        let mark = Mark::new(owner, &vcenter, &vm.vm, instance.as_deref(), number).ok()?;
        let (window, opens) = match &record.run {
            Some(run) => (&*run.name, run.opens),
            None => (record.reason.as_deref().unwrap_or("on demand"), record.began),
        };
        Some(mark.description(window, opens).into())
    }
}

impl protection::Maker for Maker<'_, '_> {
    fn record(&self, subject: usize, run: &Run, attempt: u32, quiesce: bool) -> Record {
        let id = self.id_of(subject, &format!("{}\n{}", run.window, run.opens), attempt);
        let subject_of = &self.gathered.subjects[subject];
        let keep = subject_of.policy.map_or_else(Keep::default, |policy| policy.keep);
        let rules = self.gathered.rules[subject];
        Record {
            name: snapshot_name(&run.name, run.opens).into(),
            memory: subject_of.preflight.memory,
            quiesce,
            fall_back: rules
                .is_none_or(|rules| rules.quiesce != mappings::snapshot::hazard::Quiesce::Required),
            consolidate: subject_of.policy.is_none_or(|policy| policy.consolidate),
            ..Record::new(id, subject_of.label.clone(), Some(run.clone()), keep, self.scene.now)
        }
    }

    fn id(&self, subject: usize, record: &Record, attempt: u32) -> RecordId {
        self.id_of(subject, record.key().as_str(), attempt)
    }
}

/// What is to be done and written down.
fn act(
    scene: &Scene<'_, '_>,
    gathered: &subjects::Gathered<'_>,
    decisions: &Decisions,
    maker: &Maker<'_, '_>,
    plan: &mut Plan,
) {
    let known = |vm: &VmId, record: &Record| {
        scene.memory.protections.get(vm).and_then(|records| records.get(record.key()))
    };
    for (subject, record) in &decisions.steps {
        let vm = &gathered.vms[*subject];
        let before = known(vm, record).cloned();
        plan.protections.push(ProtectionStep { vm: vm.clone(), before, after: record.clone() });
    }
    for doing in &decisions.doing {
        let vm = gathered.vms[doing.subject].clone();
        let mark = match doing.act {
            Act::Create => match maker.description(doing.subject, &doing.record) {
                Some(mark) => mark,
                // Ids of vSphere that cannot stand in a mark: what could not be found again is not made.
                None => continue,
            },
            _ => "".into(),
        };
        // What was begun is ended, and what a person asked for is done, however far the capability may go.
        let asked = doing.act != Act::Create || doing.record.run.is_none();
        let action = Action::Snapshot { vm, mark, act: doing.act, record: Box::new(doing.record.clone()) };
        plan.actions.push(Planned { asked, ..planned(action) });
    }
}

/// Fixes the scope of runs whose snapshots begin, and forgets those that are long over.
fn scopes(
    scene: &Scene<'_, '_>,
    gathered: &subjects::Gathered<'_>,
    runs: &Runs<'_>,
    decisions: &Decisions,
    plan: &mut Plan,
) {
    for forecast in &decisions.forecasts {
        let with_policy = forecast.members.len() > forecast.without_policy.len();
        if forecast.freezes > scene.now || !with_policy {
            continue;
        }
        let key = (forecast.run.window.clone(), forecast.run.opens);
        let known = scene.memory.scopes.get(&key);
        let frozen = known.map_or(scene.now, |scope| scope.frozen);
        let mut members: BTreeMap<VmId, Member> = known
            .map(|scope| scope.members.iter().map(|member| (member.vm.clone(), member.clone())).collect())
            .unwrap_or_default();
        for subject in &forecast.members {
            let vm = &gathered.vms[*subject];
            let hold = gathered.hold_by(*subject, &forecast.run);
            let member = members.entry(vm.clone()).or_insert_with(|| Member {
                vm: vm.clone(),
                hold: HoldBy::NotAsked,
                joined: known.is_some().then_some(scene.now),
                entered: None,
            });
            member.hold = hold;
            if forecast.run.opens <= scene.now {
                member.entered = last::entered(scene, gathered, *subject, &forecast.run, &member.hold);
            }
        }
        let scope = Scope {
            run: forecast.run.clone(),
            place: runs.place(&forecast.run),
            frozen,
            members: members.into_values().collect(),
        };
        if known != Some(&scope) {
            plan.scopes.push(ScopeChange::Put(scope));
        }
    }
    for scope in scene.memory.scopes.values() {
        let kept = if last::is_last(scene, scope) { LAST_REMEMBERED } else { REMEMBERED };
        let over = scope.run.closes.checked_add(kept).unwrap_or(Timestamp::MAX) < scene.now;
        if over || runs::is_cancelled(scene, scope) {
            plan.scopes
                .push(ScopeChange::Forget { window: scope.run.window.clone(), opens: scope.run.opens });
        }
    }
}

fn windows(gathered: &subjects::Gathered<'_>, runs: &Runs<'_>, decisions: &Decisions, plan: &mut Plan) {
    for forecast in &decisions.forecasts {
        let scope = runs.scope(&forecast.run);
        let reached: std::collections::BTreeSet<&VmId> = forecast
            .members
            .iter()
            .filter(|subject| !gathered.has_left(**subject, &forecast.run))
            .map(|subject| &gathered.vms[*subject])
            .collect();
        let cannot_hold = forecast.members.iter().filter_map(|subject| {
            let policy = gathered.subjects[*subject].policy?;
            let holds = policy.if_impossible == IfImpossible::Hold;
            match gathered.hold_by(*subject, &forecast.run) {
                HoldBy::Cannot { why } if holds => Some((gathered.vms[*subject].clone(), why)),
                _ => None,
            }
        });
        let members = || scope.into_iter().flat_map(|scope| &scope.members);
        plan.windows.push(WindowPlan {
            place: runs.place(&forecast.run),
            vms: gathered.vms.clone(),
            cannot_hold: cannot_hold.collect(),
            joined: members()
                .filter(|member| member.joined.is_some())
                .map(|member| member.vm.clone())
                .collect(),
            left: members()
                .filter(|member| !reached.contains(&member.vm))
                .map(|member| member.vm.clone())
                .collect(),
            doubts: runs.doubts(&forecast.run),
            forecast: forecast.clone(),
        });
    }
}

/// The notes of a VM whose tag should be a window and is none.
fn stray(tag: &str, why: &str) -> Note {
    let sentence = format!("the tag `{tag}` is no window: {why}");
    Note::Rule { word: "notAWindow", sentence, problem: true }
}

fn say(gathered: &subjects::Gathered<'_>, decisions: Decisions, out: &mut Snapshots) {
    let begins: std::collections::HashSet<usize> =
        decisions.doing.iter().map(|doing| doing.subject).collect();
    for (subject, says) in decisions.says.into_iter().enumerate() {
        let mut says = says.into_iter();
        let mut verdict = CapabilityVerdict { reason: None, notes: Vec::new() };
        let first = says.next();
        if begins.contains(&subject) {
            verdict.notes.extend(first.map(|say: Say| Note::Snapshot(Box::new(say))));
        } else {
            verdict.reason = Some(first.map_or(Reason::NoWindow, |say| Reason::Snapshot(Box::new(say))));
        }
        verdict.notes.extend(says.map(|say| Note::Snapshot(Box::new(say))));
        let warnings = gathered.subjects[subject].preflight.warnings.iter();
        verdict.notes.extend(warnings.map(|hazard| Note::Hazard(Box::new(hazard.clone()))));
        for hold in out.holds.get(&gathered.vms[subject]).into_iter().flatten() {
            verdict.notes.extend(hold.notes());
        }
        out.verdicts.insert(gathered.numbers[subject], verdict);
    }
    for (number, tag, why) in &gathered.strays {
        let none = || CapabilityVerdict { reason: Some(Reason::NoWindow), notes: Vec::new() };
        out.verdicts.entry(*number).or_insert_with(none).notes.push(stray(tag, why));
    }
}
