//! Plan: what is to be done now, and for every VM why not more.
//!
//! [`plan`] is a pure function of what was observed, what is remembered, the policy and the time. It reads no clock, starts
//! nothing and never fails: what cannot be decided is a [`Reason`]. `vmbridge plan` prints what it says, and `vmbridge run`
//! does what it says.

pub(crate) mod action;
mod document;
mod enrol;
mod guard;
mod identity;
#[cfg(test)]
mod properties;
mod reason;
mod report;
mod snapshots;
pub(crate) mod tags;
mod tend;
mod text;
mod writeback;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mappings::protection::Record;
use mappings::selector::{Fact, Selector, Verdict, VmFacts as _};
use mappings::tags::RuleSet;
use serde::{Deserialize, Serialize};

pub use action::{Action, ActionKind, EnrolStep, Sent, TagRemoval, TagWrite, Told, Why};
pub use document::{
    ActionDocument, CapabilityDocument, ChangeDocument, FindingsDocument, HeldDocument, LinkDocument,
    LoneNodeDocument, NoteDocument, PLAN_SCHEMA, PlanDocument, ReasonDocument, VmDocument,
};
pub use enrol::{CredentialsPolicy, EnrolPolicy};
pub use identity::{Link, LoneNode};
pub use reason::{Note, QUARANTINE, Reason};
pub(crate) use report::strangers;
pub use report::{FindingStep, FindingsPlan, HubPlan, Reconciled, ReportPolicy};
pub(crate) use report::{reach, withdraw};
pub use snapshots::{Doubt, WindowPlan};
pub(crate) use snapshots::{OnDemand, Unfit, kept_for, new_id, on_demand};
pub use tags::{Claimed, claimed};
pub use text::{write_action, write_plan};

use crate::aws::{NodeId, Place, TargetName};
use crate::cloud::{Cloud, TargetView};
use crate::config::{Config, Guard, Mode, SnapshotSettings};
use crate::fleet::{Fleet, Part, State, VcenterName, VmView};
use crate::memory::Memory;
use crate::store::{Failing, Holder, Identity, OwnedChange, ScopeChange, Step, VmId};
use identity::{Candidate, Index, Keys, Matching};

/// What vmbridge can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Capability {
    /// vSphere tags, attributes and facts become tags of managed nodes.
    Tags,
    /// Custom attributes show in vSphere what AWS sees.
    Writeback,
    /// VMs become managed nodes.
    Enrol,
    /// VMs have a snapshot before their maintenance windows.
    Snapshots,
    /// Systems Manager's inventory says what vSphere knows of a node.
    Inventory,
    /// Systems Manager's compliance says how hardened and how protected the VM of a node is.
    Compliance,
    /// Security Hub is told what is wrong.
    Findings,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 7] = [
        Self::Tags,
        Self::Writeback,
        Self::Enrol,
        Self::Snapshots,
        Self::Inventory,
        Self::Compliance,
        Self::Findings,
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Writeback => "writeback",
            Self::Enrol => "enrol",
            Self::Snapshots => "snapshots",
            Self::Inventory => "inventory",
            Self::Compliance => "compliance",
            Self::Findings => "findings",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.word() == word)
    }
}

/// What the operator wants.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The targets, in the order of the configuration.
    pub targets: Vec<TargetPolicy>,
    /// How far tag sync may go.
    pub tags: Mode,
    /// The rules for tags.
    pub rules: Arc<RuleSet>,
    /// Whether tags of others that a rule writes are taken over.
    pub adopt_tags: bool,
    /// How far write-back may go.
    pub writeback: Mode,
    /// Whether attributes of others are taken over.
    pub adopt_attributes: bool,
    /// How VMs become managed nodes.
    pub enrol: EnrolPolicy,
    /// The safety net of VMs before their maintenance windows.
    pub snapshots: Arc<SnapshotSettings>,
    /// What AWS is told of VMs.
    pub report: Arc<ReportPolicy>,
    /// How much may change without consent.
    pub guard: Guard,
    /// How old data may be.
    pub stale_after: Duration,
}

/// What the operator wants of one target.
#[derive(Debug, Clone)]
pub struct TargetPolicy {
    /// Its name.
    pub name: TargetName,
    /// Its Region.
    pub region: Arc<str>,
    /// The VMs that belong to it.
    pub vms: Selector,
    /// The IAM role of nodes that are enrolled here.
    pub node_role: Arc<str>,
    /// How long a reading may lag behind.
    pub settle: Duration,
    /// The longest time between two readings.
    pub poll_slow: Duration,
}

impl Policy {
    /// The policy of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let targets = config.aws.iter().map(|target| TargetPolicy {
            name: target.name.as_str().into(),
            region: target.region.as_str().into(),
            vms: target.vms.clone(),
            node_role: target.node_role.as_str().into(),
            settle: target.settle,
            poll_slow: target.poll_slow,
        });
        Self {
            targets: targets.collect(),
            tags: config.tags.mode,
            rules: config.tags.rules.clone(),
            adopt_tags: config.tags.adopt,
            writeback: config.writeback.mode,
            adopt_attributes: config.writeback.adopt,
            enrol: EnrolPolicy::of(config),
            snapshots: Arc::new(config.snapshots.clone()),
            report: Arc::new(ReportPolicy::of(config)),
            guard: config.guard.clone(),
            stale_after: config.limits.stale_after,
        }
    }

    /// How far a capability may go.
    #[must_use]
    pub fn mode(&self, capability: Capability) -> Mode {
        match capability {
            Capability::Tags => self.tags,
            Capability::Writeback => self.writeback,
            Capability::Enrol => self.enrol.mode,
            Capability::Snapshots => self.snapshots.mode,
            Capability::Inventory => self.report.inventory.mode,
            Capability::Compliance => self.report.compliance.mode,
            Capability::Findings => self.report.findings.mode,
        }
    }
}

/// All that a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What vSphere says.
    pub fleet: &'a Fleet,
    /// What AWS says.
    pub cloud: &'a Cloud,
    /// What is remembered.
    pub memory: &'a Memory,
    /// What the operator wants.
    pub policy: &'a Policy,
    /// Now.
    pub now: Timestamp,
}

impl View<'_> {
    /// What is to be done.
    #[must_use]
    pub fn plan(&self) -> Plan {
        plan(self.fleet, self.cloud, self.memory, self.policy, self.now)
    }

    /// The same without what is to be reported: that takes longer than all the rest.
    #[must_use]
    pub fn plan_without_reports(&self) -> Plan {
        plan_of(self.fleet, self.cloud, self.memory, self.policy, self.now, Extent::WithoutReports)
    }

    /// The same, with the protection of every VM that is a managed node in the place of reports.
    #[must_use]
    pub(crate) fn plan_with_protections(&self) -> Plan {
        plan_of(self.fleet, self.cloud, self.memory, self.policy, self.now, Extent::Protections)
    }
}

/// An action, and what the guard says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub action: Action,
    /// What tells it from other changes.
    pub fingerprint: String,
    /// A person approved it.
    pub approved: bool,
    /// The number of the [`Held`] that it waits for.
    pub held: Option<usize>,
    /// It is done although the capability is only observed: a person asked for it, or it ends what was begun.
    pub asked: bool,
}

impl Planned {
    /// By which it is approved.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<String> {
        let gone = self.action.gone_fingerprints();
        if gone.is_empty() { vec![self.fingerprint.clone()] } else { gone }
    }
}

/// Changes that wait for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// By which they are approved.
    pub id: String,
    /// The capability.
    pub capability: Capability,
    /// The account and Region, or the vCenter's instance UUID.
    pub place: String,
    /// Why.
    pub reason: String,
    /// The changes.
    pub fingerprints: Vec<String>,
}

/// What a capability has to say about a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityVerdict {
    /// Why nothing is to be done; nothing: something is.
    pub reason: Option<Reason>,
    /// What else there is to know.
    pub notes: Vec<Note>,
}

/// A VM in the plan.
#[derive(Debug, Clone)]
pub struct VmPlan {
    /// Its vCenter's name.
    pub vcenter: VcenterName,
    /// Its id.
    pub vm: VmId,
    /// Its name.
    pub label: Arc<str>,
    /// The target that it belongs to.
    pub target: Option<TargetName>,
    /// The node that it is.
    pub link: Option<Link>,
    /// What the capabilities say, in the order of [`Capability::ALL`].
    pub verdicts: [CapabilityVerdict; 7],
}

impl VmPlan {
    /// What a capability says of it.
    #[must_use]
    pub fn verdict(&self, capability: Capability) -> &CapabilityVerdict {
        let [tags, writeback, enrol, snapshots, inventory, compliance, findings] = &self.verdicts;
        match capability {
            Capability::Tags => tags,
            Capability::Writeback => writeback,
            Capability::Enrol => enrol,
            Capability::Snapshots => snapshots,
            Capability::Inventory => inventory,
            Capability::Compliance => compliance,
            Capability::Findings => findings,
        }
    }
}

impl VmPlan {
    fn verdict_mut(&mut self, capability: Capability) -> &mut CapabilityVerdict {
        let [tags, writeback, enrol, snapshots, inventory, compliance, findings] = &mut self.verdicts;
        match capability {
            Capability::Tags => tags,
            Capability::Writeback => writeback,
            Capability::Enrol => enrol,
            Capability::Snapshots => snapshots,
            Capability::Inventory => inventory,
            Capability::Compliance => compliance,
            Capability::Findings => findings,
        }
    }
}

/// A port of a VM that is to be asked whether it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortWanted {
    /// The vCenter, by its name.
    pub vcenter: Arc<str>,
    /// The VM's managed object id.
    pub vm: Arc<str>,
    /// Its primary address.
    pub address: std::net::IpAddr,
    /// The port.
    pub port: u16,
}

/// A record of a snapshot that goes on without any effect outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionStep {
    /// The VM.
    pub vm: VmId,
    /// The record that the plan was made from; nothing: there was none.
    pub before: Option<Record>,
    /// What it becomes.
    pub after: Record,
}

/// What is to be done now, and why not more.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What is to be done, those of one holder in order.
    pub actions: Vec<Planned>,
    /// What waits for a person.
    pub held: Vec<Held>,
    /// Every VM that is known.
    pub vms: Vec<VmPlan>,
    /// Nodes that belong to no VM.
    pub lone: Vec<(TargetName, NodeId, LoneNode)>,
    /// What is true of everything, such as that the state is a copy.
    pub problems: Vec<String>,
    /// Who is what, to be remembered.
    pub learned: Vec<Identity>,
    /// What is no longer owned, to be written down.
    pub housekeeping: Vec<OwnedChange>,
    /// Steps of enrolments that have no effect outside, to be written down.
    pub steps: Vec<Step>,
    /// Steps of snapshots that have no effect outside, to be written down.
    pub protections: Vec<ProtectionStep>,
    /// Runs of windows whose scope froze, or that are over, to be written down.
    pub scopes: Vec<ScopeChange>,
    /// Nodes whose patch state is to be read.
    pub patch_states: BTreeMap<TargetName, BTreeMap<NodeId, Timestamp>>,
    /// Ports of VMs that are to be asked.
    pub ports: Vec<PortWanted>,
    /// The windows that come, as far as they are looked at.
    pub windows: Vec<WindowPlan>,
    /// The protection of VMs that are managed nodes, where it was asked for; `None` of those of which nobody can say.
    pub(crate) protection_lists: HashMap<VmId, Option<Arc<mappings::compliance::List>>>,
    /// What is said of findings as a whole, where there are to be any.
    pub findings: Option<FindingsPlan>,
    /// What is known of findings without anything being sent, to be written down.
    pub finding_steps: Vec<FindingStep>,
    /// Where what is remembered of findings was compared with what Security Hub has.
    pub reconciled: Vec<Reconciled>,
    /// When there may be something else to do, if nothing else happens before.
    pub next: Option<Timestamp>,
}

impl Plan {
    /// What may be done: it is enforced, and waits for nobody.
    pub fn doable<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = &'a Planned> {
        let able = self.problems.is_empty();
        self.actions.iter().filter(move |planned| {
            let capability = planned.action.capability();
            let mode = policy.mode(capability);
            // Findings are withdrawn also after they were turned off.
            let is_asked = planned.asked && (mode != Mode::Off || capability == Capability::Findings);
            able && planned.held.is_none() && (mode == Mode::Enforce || is_asked)
        })
    }
}

/// What is to be done.
#[must_use]
pub fn plan<'a>(
    fleet: &'a Fleet,
    cloud: &'a Cloud,
    memory: &'a Memory,
    policy: &'a Policy,
    now: Timestamp,
) -> Plan {
    plan_of(fleet, cloud, memory, policy, now, Extent::Everything)
}

/// What a plan has beside what is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    WithoutReports,
    Everything,
    Protections,
}

fn plan_of<'a>(
    fleet: &'a Fleet,
    cloud: &'a Cloud,
    memory: &'a Memory,
    policy: &'a Policy,
    now: Timestamp,
    extent: Extent,
) -> Plan {
    let mut plan = Plan::default();
    if memory.copied {
        plan.problems.push(
            "the state was last used on another machine, so this may be a copy of it: nothing is changed until `vmbridge state claim`"
                .to_owned(),
        );
    }
    if let Some(error) = &memory.store_error {
        plan.problems.push(error.clone());
    }
    // Whether a part is current is asked once, not for each of its VMs.
    let is_current =
        |part: &Part| part.is_complete() && part.state(now, policy.stale_after) == State::Current;
    let stale = |part: &Part| {
        let word = || part.state(now, policy.stale_after).word().to_owned();
        (!is_current(part)).then(|| Reason::VcenterNotCurrent(word()))
    };
    let parts: Vec<(&Part, Option<Reason>)> = fleet.parts().map(|part| (part, stale(part))).collect();
    let targets = policy.targets.iter().filter_map(|target| cloud.target(&target.name));
    let mut keys = Keys::of(targets, memory);
    // All that is asked of every VM is asked in one go: going through a large fleet is what takes the time.
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for (at, (part, _)) in parts.iter().enumerate() {
        let Some(vcenter) = part.uuid() else { continue };
        for view in part.vms() {
            let id = VmId { vcenter, vm: view.moref().shared_value() };
            keys.note(candidates.len(), &view, &id);
            candidates.push(Candidate {
                route: route(&view, policy),
                label: view.label(),
                id,
                part: at,
                view,
            });
        }
    }
    let readable = fleet.parts().filter(|part| is_current(part)).filter_map(Part::uuid);
    let unread = fleet.parts().find(|part| !part.is_complete()).map(|part| part.name().as_str().to_owned());
    let index = Index { candidates: &candidates, keys, readable: readable.collect(), unread };
    let index_readable = index.readable.clone();

    let matchings: Vec<Result<(Place, &TargetView, Matching), String>> = policy
        .targets
        .iter()
        .enumerate()
        .map(|(at, target)| {
            let view = cloud.target(&target.name).ok_or("it is being read for the first time")?;
            let patience = policy.stale_after.max(target.poll_slow * 3);
            view.usable(now, patience)?;
            let place = view.place.clone().ok_or("its account is not known")?;
            let matching = identity::matching(&index, at, &place, view, memory, now);
            Ok((place, view, matching))
        })
        .collect();
    for (target, matching) in policy.targets.iter().zip(&matchings) {
        let Ok((_, _, matching)) = matching else { continue };
        plan.learned.extend(matching.learned.iter().cloned());
        plan.lone
            .extend(matching.lone.iter().map(|(node, why)| (target.name.clone(), node.clone(), why.clone())));
    }

    let places = policy.targets.iter().zip(&matchings).filter_map(|(target, matching)| {
        let (place, view, _) = matching.as_ref().ok()?;
        Some((&target.name, (place.clone(), view.nodes.len())))
    });
    let scene = snapshots::Scene {
        candidates: &candidates,
        parts: &parts,
        matchings: &matchings,
        cloud,
        memory,
        policy,
        now,
    };
    let mut protected = snapshots::plan(&scene, &mut plan);
    let mut reports = report::Reports::default();
    match extent {
        Extent::Everything => reports = report::plan(&scene, &mut plan),
        Extent::Protections => plan.protection_lists = report::protections(&scene),
        Extent::WithoutReports => {}
    }
    let mut planner = Planner {
        memory,
        policy,
        now,
        busy: memory.busy(),
        hashes: tags::KeyHashes::default(),
        taken: enrol::Taken::of(memory),
        places: places.collect(),
        holds: std::mem::take(&mut protected.holds),
        plan,
    };
    if !memory.enrolments.is_empty() {
        candidates.iter().for_each(|candidate| planner.meet(&candidate.id, &candidate.view));
    }
    planner.plan.vms.reserve(candidates.len());
    // Only where it matters: going through a large fleet takes time.
    let (mut present, mut instances) = (HashSet::new(), HashSet::new());
    if policy.enrol.deregister_after.is_some() && !memory.enrolments.is_empty() {
        present.extend(candidates.iter().map(|candidate| candidate.id.clone()));
        instances.extend(candidates.iter().filter_map(|candidate| candidate.view.instance_uuid()));
    }
    let mut defined: HashMap<&VcenterName, HashSet<&str>> = HashMap::new();
    for (number, candidate) in candidates.iter().enumerate() {
        let (part, stale) = &parts[candidate.part];
        let sight = match &candidate.route {
            Err(reason) => Sight::Blocked(reason.clone()),
            Ok(target) => match &matchings[*target] {
                Err(why) => Sight::Blocked(Reason::TargetUnreadable {
                    target: policy.targets[*target].name.clone(),
                    why: why.clone(),
                }),
                Ok((place, cloud, matching)) => match matching.links.get(&number) {
                    Some(link) => Sight::Node { target: *target, place, cloud, link },
                    None => Sight::Blocked(match matching.disputed.get(&number) {
                        Some(nodes) => Reason::SeveralNodes(nodes.clone()),
                        None => Reason::NotManaged,
                    }),
                },
            },
        };
        let verdicts = (protected.verdict(number), reports.verdicts(number));
        planner.vm(candidate, part, &sight, stale.clone(), &mut defined, cloud, verdicts);
    }
    let readable = |vcenter| index_readable.contains(&vcenter);
    planner.enrol_the_unseen(&readable, cloud);
    let is_there = |vm: &VmId, instance: Option<_>| {
        present.contains(vm) || instance.is_some_and(|instance| instances.contains(&instance))
    };
    planner.deregister(&readable, &is_there, cloud);
    let Planner { mut plan, .. } = planner;
    if extent == Extent::Everything {
        report::plan_findings(&scene, fleet, cloud, &mut plan);
    }
    plan.held = guard::hold(&mut plan.actions, memory, &policy.guard, now);
    plan
}

/// The target that a VM belongs to.
fn route(view: &VmView<'_>, policy: &Policy) -> Result<usize, Reason> {
    if view.is_template() == Fact::Known(true) {
        return Err(Reason::Template);
    }
    if let Some(extension) = view.managed_by() {
        return Err(Reason::ManagedBy(extension.into()));
    }
    // Nearly every VM belongs to one target: memory is asked for by the others only.
    let (mut first, mut others, mut undecided) = (None, Vec::new(), None);
    for (at, target) in policy.targets.iter().enumerate() {
        match target.vms.verdict(view) {
            Verdict::Selected if first.is_none() => first = Some(at),
            Verdict::Selected => others.push(at),
            Verdict::NotIncluded | Verdict::Excluded(_) => {}
            Verdict::Unknown(_) => undecided = Some(at),
        }
    }
    match (first, undecided) {
        (_, Some(at)) => Err(Reason::TargetUndecided(policy.targets[at].name.clone())),
        (None, None) => Err(Reason::NoTarget),
        (Some(one), None) if others.is_empty() => Ok(one),
        (Some(first), None) => {
            let several = std::iter::once(first).chain(others);
            Err(Reason::SeveralTargets(several.map(|at| policy.targets[at].name.clone()).collect()))
        }
    }
}

/// Why nothing may be done to a holder now.
fn hindered(
    memory: &Memory,
    busy: &HashSet<Holder>,
    capability: Capability,
    holder: &Holder,
    now: Timestamp,
) -> Option<Reason> {
    if busy.contains(holder) {
        return Some(Reason::UnderWay);
    }
    if memory.failures.is_empty() {
        return None;
    }
    let failing = Failing {
        capability: capability.word().into(),
        place: holder.place.clone(),
        object: holder.object.clone(),
    };
    let failure = memory.failures.get(&failing).filter(|failure| failure.retry_at > now)?;
    Some(Reason::Failed {
        failures: failure.failures,
        retry_at: failure.retry_at,
        reason: failure.reason.clone(),
    })
}

/// What AWS sees of a VM.
enum Sight<'a> {
    Blocked(Reason),
    Node { target: usize, place: &'a Place, cloud: &'a TargetView, link: &'a Link },
}

struct Planner<'a> {
    memory: &'a Memory,
    policy: &'a Policy,
    now: Timestamp,
    busy: HashSet<Holder>,
    hashes: tags::KeyHashes,
    /// What enrolments take up.
    taken: enrol::Taken<'a>,
    /// Where targets that can be read are, and how many nodes they have.
    places: HashMap<&'a TargetName, (Place, usize)>,
    /// How VMs are kept out of windows now.
    holds: HashMap<VmId, Vec<snapshots::Hold>>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    #[expect(clippy::too_many_arguments, reason = "all of it is what is known of one VM")]
    fn vm<'f>(
        &mut self,
        candidate: &Candidate<'f>,
        part: &'f Part,
        sight: &Sight<'_>,
        stale: Option<Reason>,
        defined: &mut HashMap<&'f VcenterName, HashSet<&'static str>>,
        cloud: &Cloud,
        (snapshots, [inventory, compliance, findings]): (CapabilityVerdict, [CapabilityVerdict; 3]),
    ) where
        'f: 'a,
    {
        let Candidate { view, label, .. } = candidate;
        let tags = self.tags(candidate, view, label, sight, stale.clone());
        let enrol = self.enrol(candidate, view, sight, stale.clone(), cloud);
        let writeback = self.writeback(candidate, view, part, label, sight, stale, defined);
        let link = match sight {
            Sight::Node { link, .. } => Some((*link).clone()),
            Sight::Blocked(_) => None,
        };
        self.plan.vms.push(VmPlan {
            vcenter: view.vcenter_name().clone(),
            target: candidate.target().map(|at| self.policy.targets[at].name.clone()),
            vm: candidate.id.clone(),
            label: candidate.label.clone(),
            link,
            verdicts: [tags, writeback, enrol, snapshots, inventory, compliance, findings],
        });
    }

    /// Why nothing may be done to a holder now.
    fn hindered(&self, capability: Capability, holder: &Holder) -> Option<Reason> {
        hindered(self.memory, &self.busy, capability, holder, self.now)
    }

    fn tags(
        &mut self,
        candidate: &Candidate<'_>,
        view: &VmView<'_>,
        label: &Arc<str>,
        sight: &Sight<'_>,
        stale: Option<Reason>,
    ) -> CapabilityVerdict {
        let blocked = |reason| CapabilityVerdict { reason: Some(reason), notes: Vec::new() };
        if self.policy.tags == Mode::Off {
            return blocked(Reason::Off);
        }
        let (target, place, cloud, link) = match sight {
            Sight::Blocked(reason) => return blocked(reason.clone()),
            Sight::Node { target, place, cloud, link } => (*target, *place, *cloud, *link),
        };
        let holds = self.holds.get(&candidate.id).map(Vec::as_slice).unwrap_or_default();
        if let Some(stale) = stale.as_ref().filter(|_| holds.is_empty()) {
            return blocked(stale.clone());
        }
        let (Some(observed), Some(as_of)) = (cloud.tags.get(&link.node), cloud.as_of) else {
            return blocked(tags_unknown(cloud, &link.node));
        };
        let holder = Holder::node(place, &link.node);
        if let Some(reason) = self.hindered(Capability::Tags, &holder) {
            return blocked(reason);
        }
        let withheld: Vec<Arc<str>> = holds.iter().flat_map(snapshots::Hold::keys).cloned().collect();
        let memory = self.memory;
        let was_withheld = |key: &str| snapshots::was_withheld(memory, &candidate.id, key, self.now);
        let subject = tags::Subject {
            place,
            node: &link.node,
            vm: candidate.id.clone(),
            label: label.clone(),
            holder: &holder,
            installation: &self.memory.installation,
            observed,
            as_of,
            settle: signed(self.policy.targets[target].settle),
            owned: self.memory.owned_by(&holder),
            adopt: self.policy.adopt_tags,
            withheld: &withheld,
            was_withheld: &was_withheld,
            hold: holds.iter().find_map(snapshots::Hold::hook),
            hashes: &self.hashes,
        };
        if let Some(stale) = stale {
            // What the rules want of it is not known; that it must not be patched is.
            let actions = tags::withhold(&subject);
            let reason = actions.is_empty().then_some(stale);
            self.plan.actions.extend(actions.into_iter().map(planned));
            return CapabilityVerdict { reason, notes: Vec::new() };
        }
        let desired = self.policy.rules.desired(view);
        match tags::difference(&subject, &self.policy.rules, &desired) {
            Err(reason) => blocked(reason),
            Ok(difference) => {
                let reason = difference.actions.is_empty().then_some(Reason::InStep);
                self.plan.housekeeping.extend(difference.housekeeping);
                self.plan.actions.extend(difference.actions.into_iter().map(planned));
                CapabilityVerdict { reason, notes: difference.notes }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is what is known of one VM")]
    fn writeback<'f>(
        &mut self,
        candidate: &Candidate<'_>,
        view: &VmView<'f>,
        part: &'f Part,
        label: &Arc<str>,
        sight: &Sight<'_>,
        stale: Option<Reason>,
        defined: &mut HashMap<&'f VcenterName, HashSet<&'static str>>,
    ) -> CapabilityVerdict {
        let blocked = |reason| CapabilityVerdict { reason: Some(reason), notes: Vec::new() };
        if self.policy.writeback == Mode::Off {
            return blocked(Reason::Off);
        }
        let holder = Holder::vm(&candidate.id);
        let owned = self.memory.owned_by(&holder);
        let node = match sight {
            Sight::Node { cloud, link, .. } => {
                let (Some(node), Some(tags)) = (cloud.nodes.get(&link.node), cloud.tags.get(&link.node))
                else {
                    return blocked(tags_unknown(cloud, &link.node));
                };
                Some((&**node, &**tags))
            }
            // What was written is taken back when it is certain that the VM is no node (any more).
            Sight::Blocked(Reason::NotManaged | Reason::NoTarget) if owned.is_some() => None,
            Sight::Blocked(reason) => return blocked(reason.clone()),
        };
        if let Some(stale) = stale {
            return blocked(stale);
        }
        if let Some(reason) = self.hindered(Capability::Writeback, &holder) {
            return blocked(reason);
        }
        let Some(as_of) = part.as_of() else {
            return blocked(Reason::VcenterNotCurrent("never read".to_owned()));
        };
        let subject = writeback::Subject {
            vm: candidate.id.clone(),
            label: label.clone(),
            observed: view.custom_attributes().collect(),
            as_of,
            settle: signed(SETTLE_VSPHERE),
            owned,
            adopt: self.policy.adopt_attributes,
        };
        let (actions, notes) = writeback::difference(&subject, &writeback::desired(node));
        // Attributes have to be defined once before the first VM can have them.
        let (mut undefined, mut hindered) = (false, None);
        for action in &actions {
            let Action::SetAttribute { name, .. } = action else { continue };
            let Some(name) = writeback::ATTRIBUTES.into_iter().find(|known| *known == &**name) else {
                continue;
            };
            if part.has_attribute(name) {
                continue;
            }
            undefined = true;
            let definition = Action::DefineAttribute {
                vcenter: candidate.id.vcenter,
                label: part.name().as_str().into(),
                name: name.into(),
            };
            hindered = self.hindered(Capability::Writeback, &definition.holder());
            if defined.entry(part.name()).or_default().insert(name) && hindered.is_none() {
                self.plan.actions.push(planned(definition));
            }
        }
        if undefined {
            // What keeps the definitions back keeps this VM back.
            return CapabilityVerdict { reason: hindered, notes };
        }
        let reason = actions.is_empty().then_some(Reason::InStep);
        self.plan.actions.extend(actions.into_iter().map(planned));
        CapabilityVerdict { reason, notes }
    }
}

fn tags_unknown(cloud: &TargetView, node: &NodeId) -> Reason {
    Reason::TagsUnknown { node: node.clone(), why: cloud.tags_error.clone() }
}

/// vCenter tells of its own changes at once; this is for an answer that overtakes the change.
const SETTLE_VSPHERE: Duration = Duration::from_secs(30);

fn planned(action: Action) -> Planned {
    Planned { fingerprint: action.fingerprint(), action, approved: false, held: None, asked: false }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Counts by word, for summaries.
#[must_use]
pub fn tally<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word.to_owned()).or_insert(0) += 1;
    }
    counts
}
