//! Gathers what a plan for snapshots has to know of each VM.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::HashSet;
use jiff::{SignedDuration, Timestamp};
use mappings::protection::{
    Act, After, Event, Execution, Judgement, PatchRun, Place, Policy, Presence, Probe, Record, RecordId, Run,
    Seen, SnapshotId, Subject, judge,
};
use mappings::selector::{Fact, Verdict};
use mappings::snapshot::hazard::{Rules, preflight};
use mappings::snapshot::name::Mark;
use mappings::snapshot::pacing::Resource;
use mappings::snapshot::space::{self, DatastoreId, Ledger};
use vsphere_client::ids::{InstanceUuid, MoRef, VcenterUuid};
use vsphere_client::model::PowerState;

use super::runs::{Reach, Runs};
use super::{Scene, hold, on_demand};
use crate::aws::{NodeId, PatchOperation, Ping, WindowId};
use crate::cloud::TargetView;
use crate::config::{ProbeKind, SnapshotPolicy};
use crate::engine::record_id;
use crate::fleet::VmView;
use crate::memory::Memory;
use crate::plan::identity::Candidate;
use crate::plan::reason::Reason;
use crate::plan::{Action, Plan, ProtectionStep};
use crate::snapshot::HoldBy;
use crate::store::VmId;

/// How long taking a snapshot takes, as long as nothing is known of that.
const FIRST_GUESS: SignedDuration = SignedDuration::from_secs(60);
/// Space is reserved for what is written in so long a time.
const GROWS: SignedDuration = SignedDuration::from_hours(24);
/// An execution begins about when its window opens.
const PUNCTUAL: SignedDuration = SignedDuration::from_mins(10);

/// VMs that a window reaches or that have a record. All lists are in the same order.
pub(super) struct Gathered<'a> {
    pub(super) subjects: Vec<Subject<'a>>,
    /// Their numbers among the candidates.
    pub(super) numbers: Vec<usize>,
    pub(super) vms: Arc<[VmId]>,
    pub(super) instances: Vec<Option<InstanceUuid>>,
    pub(super) rules: Vec<Option<&'a Rules>>,
    /// Tags of VMs, by candidate, that should be windows and are none, and why.
    pub(super) strays: Vec<(usize, String, String)>,
    /// How each is kept out of the runs that reach it, and whether it only did so when the scope froze.
    holds: Vec<Vec<(Run, HoldBy, bool)>>,
}

impl Gathered<'_> {
    /// How a VM is kept out of a run.
    pub(super) fn hold_by(&self, subject: usize, run: &Run) -> HoldBy {
        let found = self.holds[subject].iter().find(|(known, ..)| known.is_same(run));
        found.map(|(_, by, _)| by.clone()).unwrap_or_default()
    }

    /// Whether a VM belongs to a run although it is not reached any more.
    pub(super) fn has_left(&self, subject: usize, run: &Run) -> bool {
        self.holds[subject].iter().any(|(known, _, is_left)| *is_left && known.is_same(run))
    }
}

/// A node and what AWS says of it.
struct Linked<'a> {
    target: usize,
    node: &'a NodeId,
    view: &'a TargetView,
    place: &'a crate::aws::Place,
}

/// A VM that a window reaches, or that has a record.
struct Found<'a> {
    number: usize,
    reach: Vec<Reach<'a>>,
    records: Vec<&'a Record>,
    linked: Option<Linked<'a>>,
}

/// Gathers what is known.
pub(super) fn gather<'a>(
    scene: &Scene<'a, '_>,
    runs: &Runs<'a>,
    ledger: &mut Ledger,
    plan: &mut Plan,
) -> Gathered<'a> {
    let memory = scene.memory;
    let mut out = Gathered {
        subjects: Vec::new(),
        numbers: Vec::new(),
        vms: Arc::default(),
        instances: Vec::new(),
        rules: Vec::new(),
        strays: Vec::new(),
        holds: Vec::new(),
    };
    let mut vms = Vec::new();
    let mut present: HashSet<&VmId> = HashSet::default();
    let mut numbers = Numbers::default();
    let work = Work::of(memory);
    let durations = Durations::of(memory);
    let mut maker = Maker { scene, work: &work, durations: &durations, plan, ledger, numbers: &mut numbers };
    let has_runs = !runs.is_empty();
    let twins = twins(scene);
    let mut found = Vec::new();
    for (number, candidate) in scene.candidates.iter().enumerate() {
        let records = memory.protections.get(&candidate.id);
        if (records.is_some() || twins.contains(&candidate.id.vcenter)) && !present.insert(&candidate.id) {
            // It has been looked at under the name of the other vCenter.
            continue;
        }
        if records.is_none() && (!has_runs || candidate.route.is_err() && !has_own(&candidate.view)) {
            continue;
        }
        let strays = runs.not_windows(&candidate.view).into_iter();
        out.strays.extend(strays.map(|(tag, why)| (number, tag, why)));
        let linked = linked(scene, number, candidate.target());
        // Also while its vCenter cannot be read: a window does not wait for that.
        let node = linked.as_ref().map(|linked| {
            (linked.target, linked.node, linked.view.tags.get(linked.node).map(|tags| &**tags))
        });
        let reach = runs.reach(&candidate.id, &candidate.view, node);
        let begun = work.begun.get(&candidate.id).copied();
        let records = records_of(records, begun, &reach, scene.now);
        if reach.is_empty() && records.is_empty() {
            continue;
        }
        found.push(Found { number, reach, records, linked });
    }
    // What is planned for several VMs has an order that does not change from plan to plan.
    found.sort_unstable_by(|a, b| scene.candidates[a.number].id.cmp(&scene.candidates[b.number].id));
    for Found { number, reach, records, linked } in found {
        let candidate = &scene.candidates[number];
        let (part, stale) = &scene.parts[candidate.part];
        let policy = policy_of(&scene.policy.snapshots.policies, &candidate.view);
        let is_known = stale.is_none() && !twins.contains(&candidate.id.vcenter);
        let presence = if is_known { Presence::Here } else { Presence::NotKnown };
        let subject =
            maker.subject(candidate, part.as_of(), presence, policy, &reach, records, linked.as_ref());
        out.holds.push(
            reach
                .iter()
                .map(|reach| {
                    (
                        reach.run.clone(),
                        hold::by(
                            scene,
                            &candidate.id,
                            reach,
                            linked.as_ref().map(|linked| (linked.place, linked.node)),
                        ),
                        reach.is_left,
                    )
                })
                .collect(),
        );
        out.rules.push(policy.map(|policy| &policy.rules));
        out.instances.push(candidate.view.instance_uuid());
        out.subjects.push(subject);
        out.numbers.push(number);
        vms.push(candidate.id.clone());
    }
    absent(maker, &present, &twins, &mut out, &mut vms);
    out.vms = vms.into();
    out
}

/// vCenters that are there twice. Which of the two an id means cannot be told, so nothing is certain of their VMs.
fn twins(scene: &Scene<'_, '_>) -> HashSet<VcenterUuid> {
    let mut once = HashSet::default();
    scene.parts.iter().filter_map(|(part, _)| part.uuid()).filter(|uuid| !once.insert(*uuid)).collect()
}

/// The records that matter, and the one of a snapshot whose taking was begun and has no outcome yet.
fn records_of<'a>(
    known: Option<&'a BTreeMap<RecordId, Record>>,
    begun: Option<&'a Record>,
    reach: &[Reach<'_>],
    now: Timestamp,
) -> Vec<&'a Record> {
    let begun = begun.filter(|begun| known.is_none_or(|known| !known.contains_key(begun.key())));
    let known = known.into_iter().flat_map(BTreeMap::values).filter(|one| matters(one, reach, now));
    known.chain(begun).collect()
}

/// Templates and VMs of other products have no windows, whatever selects them.
fn has_own(view: &VmView<'_>) -> bool {
    use mappings::selector::VmFacts as _;
    view.is_template() != Fact::Known(true) && view.managed_by().is_none()
}

/// Records that are over matter as long as their window comes or is open, and for some days while a snapshot of theirs may come
/// to light.
fn matters(record: &Record, reach: &[Reach<'_>], now: Timestamp) -> bool {
    let is_recent = now.duration_since(record.since) < SignedDuration::from_hours(72);
    record.stage.is_active()
        || record.may_surface() && is_recent
        || reach.iter().any(|reach| record.is_for(&reach.run))
}

/// VMs with records that are not among the candidates: they are gone, cannot be seen, or are in the scope of the configuration
/// no longer. What we made in the latter is removed all the same.
fn absent<'a>(
    mut maker: Maker<'_, 'a, '_>,
    present: &HashSet<&VmId>,
    twins: &HashSet<VcenterUuid>,
    out: &mut Gathered<'a>,
    vms: &mut Vec<VmId>,
) {
    let scene = maker.scene;
    for (vm, records) in &scene.memory.protections {
        if present.contains(vm) || !records.values().any(|record| record.stage.is_active()) {
            continue;
        }
        let number = scene.parts.iter().position(|(part, _)| part.uuid() == Some(vm.vcenter));
        let part = number.map(|number| &scene.parts[number]);
        let readable = part.is_some_and(|(part, stale)| part.is_complete() && stale.is_none())
            && !twins.contains(&vm.vcenter);
        let view = part.and_then(|(part, _)| part.vm_anywhere(&vm.vm));
        let active = || records.values().filter(|record| record.stage.is_active()).collect::<Vec<_>>();
        let Some(label) = records.values().next().map(|record| record.label.clone()) else { continue };
        let subject = match view.zip(number) {
            Some((view, number)) => {
                let presence = if readable { Presence::Here } else { Presence::NotKnown };
                let as_of = scene.parts[number].0.as_of();
                let route = Err(Reason::NoTarget);
                let outside = Candidate { view, id: vm.clone(), label, part: number, route };
                let records = records_of(Some(records), None, &[], scene.now);
                maker.subject(&outside, as_of, presence, None, &[], records, None)
            }
            None => Subject {
                label,
                place: Place {
                    vcenter: maker.numbers.of(&vm.vcenter.to_string()),
                    host: None,
                    datastores: Vec::new(),
                },
                presence: if readable { Presence::Gone } else { Presence::NotKnown },
                policy: None,
                runs: Vec::new(),
                judgements: vec![None; active().len()],
                records: active(),
                seen: None,
                all: Vec::new(),
                as_of: Timestamp::MIN,
                preflight: preflight(&mappings::snapshot::hazard::Facts::default(), &Rules::default()),
                needs: Vec::new(),
                expected: FIRST_GUESS,
                left_over: None,
                under_way: maker.work.acts.get(vm).copied(),
                busy: false,
            },
        };
        out.subjects.push(subject);
        // It is no candidate; what is said of it is in the list of snapshots.
        out.numbers.push(usize::MAX);
        out.rules.push(None);
        out.instances.push(None);
        out.holds.push(Vec::new());
        vms.push(vm.clone());
    }
}

fn linked<'a>(scene: &Scene<'a, '_>, number: usize, target: Option<usize>) -> Option<Linked<'a>> {
    let target = target?;
    let Ok((place, view, matching)) = &scene.matchings[target] else { return None };
    let link = matching.links.get(&number)?;
    Some(Linked { target, node: &link.node, view, place })
}

/// The first policy that selects it.
pub(in crate::plan) fn policy_of<'a>(
    policies: &'a [SnapshotPolicy],
    view: &VmView<'_>,
) -> Option<&'a SnapshotPolicy> {
    for policy in policies {
        match policy.vms.verdict(view) {
            Verdict::Selected => return Some(policy),
            Verdict::NotIncluded | Verdict::Excluded(_) => {}
            // One that may be stricter must not be passed over because a fact is not known.
            Verdict::Unknown(_) => return Some(policy),
        }
    }
    None
}

/// Numbers that stand for things with long names.
#[derive(Default)]
struct Numbers(HashMap<String, u32>);

impl Numbers {
    fn of(&mut self, name: &str) -> Resource {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        Resource(match self.0.get(name) {
            Some(known) => *known,
            None => *self.0.entry(name.to_owned()).or_insert(next),
        })
    }
}

/// What is being done to VMs.
struct Work<'a> {
    acts: HashMap<&'a VmId, Act>,
    /// Records of snapshots whose taking has no outcome yet.
    begun: HashMap<&'a VmId, &'a Record>,
    busy: HashSet<&'a VmId>,
}

impl<'a> Work<'a> {
    fn of(memory: &'a Memory) -> Self {
        let mut work = Self { acts: HashMap::new(), begun: HashMap::new(), busy: HashSet::default() };
        for open in memory.open.values() {
            match &open.action {
                Action::Snapshot { vm, act, record, .. } => {
                    work.acts.insert(vm, *act);
                    if *act == Act::Create {
                        work.begun.insert(vm, record);
                    }
                }
                Action::Enrol { vm, .. } | Action::SetAttribute { vm, .. } => {
                    work.busy.insert(vm);
                }
                _ => {}
            }
        }
        let enrolling = memory.enrolments.iter().filter(|(_, one)| one.stage.is_in_guest());
        work.busy.extend(enrolling.map(|(vm, _)| vm));
        work
    }
}

/// How long snapshots took lately, by vCenter.
struct Durations(HashMap<VcenterUuid, SignedDuration>);

impl Durations {
    fn of(memory: &Memory) -> Self {
        let mut sums: HashMap<VcenterUuid, (SignedDuration, i32)> = HashMap::new();
        for (vm, records) in &memory.protections {
            for took in records.values().filter_map(|record| record.took) {
                let (sum, count) = sums.entry(vm.vcenter).or_default();
                *sum = sum.saturating_add(took);
                *count += 1;
            }
        }
        // A quarter more than the mean: who plans for the mean is late every second time.
        Self(sums.into_iter().map(|(vcenter, (sum, count))| (vcenter, sum / count * 5 / 4)).collect())
    }

    fn expected(&self, vcenter: VcenterUuid) -> SignedDuration {
        self.0.get(&vcenter).copied().unwrap_or(FIRST_GUESS).max(SignedDuration::from_secs(1))
    }
}

struct Maker<'m, 'a, 'f> {
    scene: &'m Scene<'a, 'f>,
    work: &'m Work<'a>,
    durations: &'m Durations,
    plan: &'m mut Plan,
    ledger: &'m mut Ledger,
    numbers: &'m mut Numbers,
}

impl<'a> Maker<'_, 'a, '_> {
    #[expect(clippy::too_many_arguments, reason = "all of it is what is known of one VM")]
    fn subject(
        &mut self,
        candidate: &Candidate<'_>,
        as_of: Option<Timestamp>,
        presence: Presence,
        policy: Option<&'a SnapshotPolicy>,
        reach: &[Reach<'_>],
        records: Vec<&'a Record>,
        linked: Option<&Linked<'_>>,
    ) -> Subject<'a> {
        let (view, id, now) = (&candidate.view, &candidate.id, self.scene.now);
        let vcenter = view.vcenter_name().as_str();
        let mut of = |what: &MoRef| self.numbers.of(&format!("{vcenter} {}", what.value()));
        let place = Place {
            datastores: view.datastores().iter().map(&mut of).collect(),
            host: view.host().map(&mut of),
            vcenter: self.numbers.of(vcenter),
        };
        let ours = |snapshot: &str| {
            records.iter().any(|record| record.snapshot.as_ref().is_some_and(|own| own.as_str() == snapshot))
        };
        let facts = view.hazard_facts(&ours, now);
        let rules = on_demand::rules_of(policy, &records);
        let preflight = preflight(&facts, &rules);
        for datastore in facts.datastores.iter().flatten() {
            if let (Some(capacity), Some(free)) = (datastore.capacity, datastore.free) {
                self.ledger.set(datastore.id.clone(), capacity, free);
            }
        }
        let disks = facts.covered_disks();
        let memory = disks.first().zip(view.memory_bytes()).filter(|_| preflight.memory);
        let memory = memory.map(|(disk, size)| space::Memory { datastore: disk.datastore.clone(), size });
        let growth = self.scene.policy.snapshots.growth_percent;
        let needs: Vec<(DatastoreId, u64)> = space::estimate(&disks, memory.as_ref(), growth, GROWS);
        // What is there already goes on growing until its window is over.
        let grows = |record: &&Record| {
            record.may_exist()
                && record.snapshot.is_some()
                && record.run.as_ref().is_some_and(|run| run.closes > now)
        };
        if records.iter().any(grows) {
            self.ledger.take(&needs);
        }
        let (seen, all) = snapshots(view, id, &self.scene.memory.installation);
        let mut judgements = Vec::with_capacity(records.len());
        for record in &records {
            self.close(id, record, linked);
            judgements.push(self.judgement(record, view, policy, linked));
        }
        if let Some(linked) = linked {
            for record in &records {
                if let Some(run) = record
                    .run
                    .as_ref()
                    .filter(|run| record.judgement.is_none() && record.protects() && run.opens <= now)
                {
                    let name = &self.scene.policy.targets[linked.target].name;
                    let wanted = self.plan.patch_states.entry(name.clone()).or_default();
                    wanted.insert(linked.node.clone(), run.opens);
                }
            }
        }
        Subject {
            label: candidate.label.clone(),
            place,
            presence,
            policy: policy.map(|policy| &policy.policy as &Policy),
            runs: reach.iter().map(|reach| reach.run.clone()).collect(),
            judgements,
            records,
            seen,
            all,
            as_of: as_of.unwrap_or(Timestamp::MIN),
            preflight,
            needs,
            expected: self.durations.expected(id.vcenter),
            left_over: view.needs_consolidation(),
            under_way: self.work.acts.get(id).copied(),
            busy: self.work.busy.contains(id),
        }
    }

    /// A window in which all has been done is over for the record too.
    fn close(&mut self, vm: &VmId, record: &Record, linked: Option<&Linked<'_>>) {
        let ended = record.run.as_ref().zip(linked).and_then(|(run, linked)| {
            let window = linked.view.windows.known.get(&WindowId::from(&*run.window))?;
            super::runs::ended(window, run).filter(|ended| *ended < run.closes)
        });
        if let Some(ended) = ended.filter(|_| record.stage.is_active()) {
            let after = record.after(Event::Closed(ended), self.scene.now);
            let before = Some(record.clone());
            self.plan.protections.push(ProtectionStep { vm: vm.clone(), before, after });
        }
    }

    /// What became of the VM in the run of a record.
    fn judgement(
        &mut self,
        record: &Record,
        view: &VmView<'_>,
        policy: Option<&SnapshotPolicy>,
        linked: Option<&Linked<'_>>,
    ) -> Option<Judgement> {
        let run = record.run.as_ref()?;
        if self.scene.now < run.closes || record.judgement.is_some() || !record.protects() {
            return None;
        }
        let managed = run.window.starts_with("mw-");
        let mut after = After { managed, ..After::default() };
        if let Some(linked) = linked {
            let windows = &linked.view.windows;
            let read_since = |as_of: Option<Timestamp>| as_of.is_some_and(|as_of| as_of >= run.closes);
            if let Some(window) = windows.known.get(&WindowId::from(&*run.window)) {
                let begins = run.opens.checked_sub(PUNCTUAL).unwrap_or(Timestamp::MIN);
                let execution = window.executions.iter().find(|execution| {
                    execution.told.started.is_some_and(|at| at >= begins && at < run.closes)
                });
                after.execution = match execution {
                    Some(execution) if execution.told.status.is_final() => Some(Execution::Ended),
                    Some(_) => Some(Execution::UnderWay),
                    None if read_since(window.executions_as_of) => Some(Execution::None),
                    None => None,
                };
            }
            let reading = windows.patch_states.get(linked.node);
            after.patch = reading.and_then(|reading| reading.state.as_deref()).map(|state| PatchRun {
                started: state.started,
                ended: Some(state.ended),
                installs: state.operation == PatchOperation::Install,
                failed: state.failed,
                missing: state.missing,
                pending_reboot: state.pending_reboot,
            });
        }
        let runs = view.power() == Some(PowerState::PoweredOn);
        after.powered_on = Some(runs);
        for probe in policy.map(|policy| &*policy.probes).unwrap_or_default() {
            let well = |well: bool| Some(if well { Probe::Well } else { Probe::NotWell });
            match probe {
                // A VM that was off before has no agent to be online.
                _ if !runs && !record.was_on => {}
                ProbeKind::Tools => after.tools = well(view.runs_tools()),
                ProbeKind::Agent => {
                    after.agent = match linked.and_then(|linked| linked.view.nodes.get(linked.node)) {
                        Some(node) => well(node.ping == Ping::Online),
                        None if managed => Some(Probe::NotKnown),
                        None => None,
                    };
                }
                ProbeKind::Tcp(port) => {
                    let since = |(at, well): &(Timestamp, bool)| (*at >= run.closes).then_some(*well);
                    let known = self.scene.memory.ports.get(&candidate_key(view, *port)).and_then(since);
                    let (vcenter, vm, _) = candidate_key(view, *port);
                    let address = view.guest_addresses().next().and_then(|address| address.parse().ok());
                    if let Some(address) = address.filter(|_| known != Some(true)) {
                        self.plan.ports.push(crate::plan::PortWanted { vcenter, vm, address, port: *port });
                    }
                    after.port = Some(match known {
                        Some(true) => Probe::Well,
                        Some(false) => Probe::NotWell,
                        None => Probe::NotKnown,
                    });
                }
            }
        }
        let patience =
            SignedDuration::try_from(self.scene.policy.snapshots.judge_within).unwrap_or(SignedDuration::MAX);
        judge(run, &after, patience, self.scene.now)
    }
}

/// What the answer of a port is remembered by.
fn candidate_key(view: &VmView<'_>, port: u16) -> (Arc<str>, Arc<str>, u16) {
    (view.vcenter_name().as_str().into(), view.moref().shared_value(), port)
}

/// Our mark on a snapshot of a VM, by the snapshot's description. One that a clone brought along names another VM.
pub(in crate::plan) fn own_mark(description: &str, vm: &VmId, installation: &str) -> Option<Mark> {
    Mark::parse(description).filter(|mark| {
        mark.owner() == installation && mark.vcenter() == vm.vcenter.to_string() && mark.vm() == &*vm.vm
    })
}

/// Snapshots with our mark, and all snapshots. None: they are not known.
fn snapshots(view: &VmView<'_>, vm: &VmId, installation: &str) -> (Option<Vec<Seen>>, Vec<SnapshotId>) {
    let info = match view.snapshots() {
        Fact::Unknown => return (None, Vec::new()),
        Fact::Absent => return (Some(Vec::new()), Vec::new()),
        Fact::Known(info) => info,
    };
    let (mut seen, mut all) = (Vec::new(), Vec::new());
    for tree in info.iter() {
        let Some(reference) = tree.reference() else { continue };
        let snapshot = SnapshotId::from(reference.to_string());
        all.push(snapshot.clone());
        if let Some((mark, created)) = own_mark(&tree.description, vm, installation).zip(tree.created) {
            seen.push(Seen { record: record_id(&mark).into(), snapshot, created });
        }
    }
    (Some(seen), all)
}
