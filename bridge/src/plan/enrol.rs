//! Enrolment: which VMs are to become managed nodes, which of them can, and what is the next step of those on their way.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::HashSet;
use jiff::{SignedDuration, Timestamp};
use mappings::backup::is_backup_snapshot;
use mappings::guest::Version;
use mappings::guest::platform::{self, Support};
use mappings::hours::Hours;
use mappings::selector::Fact;
use mappings::selector::{GuestFamily, Selector, Verdict, VmFacts as _};
use vsphere_client::ids::{MoRef, VcenterUuid};
use vsphere_client::model::PowerState;

use super::action::{Action, EnrolStep, short_hash};
use super::identity::Candidate;
use super::reason::Reason;
use super::{Capability, CapabilityVerdict, Planned, Planner, Sight, TagWrite, planned, signed, tags};
use crate::aws::{NodeId, NodeTags, Ping, Place, TargetName};
use crate::cloud::{Cloud, TargetView};
use crate::config::{Config, Mode};
use crate::enrol::{Enrolment, Event, Former, Limits, Origin, Problem, Purpose, Stage, System};
use crate::fleet::VmView;
use crate::memory::Memory;
use crate::store::{Basis, Holder, Identity, Step, VmId};

/// How long an activation is good for. It is used within minutes.
const ACTIVATION: SignedDuration = SignedDuration::from_mins(60);

/// What the operator wants of enrolment.
#[derive(Debug, Clone)]
pub struct EnrolPolicy {
    /// How far it may go.
    pub mode: Mode,
    /// The VMs that are to be enrolled.
    pub vms: Selector,
    /// Accounts inside guests, in the order in which they are tried.
    pub credentials: Vec<CredentialsPolicy>,
    /// How long stages may take, and what comes of failures.
    pub limits: Limits,
    /// Whether a package can be told from a forged one.
    pub can_verify: bool,
    /// Whether a registration that does not count is replaced.
    pub reregister: bool,
    /// VMs of one vCenter at the same time.
    pub per_vcenter: usize,
    /// VMs of one host at the same time.
    pub per_host: usize,
    /// Nodes in one account and Region.
    pub node_limit: usize,
    /// When work in guests may begin.
    pub hours: Hours,
    /// The lowest version of the agent.
    pub minimum_version: Option<Version>,
    /// How long an agent may be silent although its VM runs.
    pub repair_after: Option<SignedDuration>,
    /// How long a node outlives its VM.
    pub deregister_after: Option<SignedDuration>,
}

/// An account inside guests.
#[derive(Debug, Clone)]
pub struct CredentialsPolicy {
    /// The name of the entry.
    pub name: Arc<str>,
    /// The guests that have it.
    pub vms: Selector,
}

impl EnrolPolicy {
    /// Nothing is enrolled.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        use std::time::Duration;
        Self {
            mode: Mode::Off,
            vms: Selector::default(),
            credentials: Vec::new(),
            limits: Limits {
                prepare: Duration::from_secs(600),
                register: Duration::from_secs(300),
                verify: Duration::from_secs(600),
                retry: Duration::from_secs(60),
                quarantine: 5,
                push: false,
            },
            can_verify: true,
            reregister: false,
            per_vcenter: 20,
            per_host: 4,
            node_limit: 1000,
            hours: Hours::default(),
            minimum_version: None,
            repair_after: None,
            deregister_after: None,
        }
    }

    /// The policy of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let settings = &config.enrol;
        let credentials = config.credentials.iter().map(|credentials| CredentialsPolicy {
            name: credentials.name.as_str().into(),
            vms: credentials.vms.clone(),
        });
        Self {
            mode: settings.mode,
            vms: settings.vms.clone(),
            credentials: credentials.collect(),
            limits: Limits::of(settings),
            can_verify: settings.can_verify(),
            reregister: settings.reregister,
            per_vcenter: settings.per_vcenter,
            per_host: settings.per_host,
            node_limit: settings.node_limit,
            hours: settings.hours.clone(),
            minimum_version: settings.minimum_version.as_deref().and_then(Version::new),
            repair_after: settings.repair_after.map(signed),
            deregister_after: settings.deregister_after.map(signed),
        }
    }
}

/// How much of what is limited is taken: by what is under way or may begin, and by what is only looked at as if it did.
#[derive(Default, Clone, Copy)]
struct Slots {
    real: usize,
    imagined: usize,
}

impl Slots {
    fn has_room(self, limit: usize, is_real: bool) -> bool {
        (if is_real { self.real } else { self.real + self.imagined }) < limit
    }

    fn take(&mut self, is_real: bool) {
        *(if is_real { &mut self.real } else { &mut self.imagined }) += 1;
    }
}

/// What is taken up by enrolments that are under way.
#[derive(Default)]
pub(super) struct Taken<'a> {
    by_vcenter: HashMap<VcenterUuid, Slots>,
    by_host: HashMap<(VcenterUuid, &'a str), Slots>,
    by_place: HashMap<&'a str, usize>,
    /// VMs on their way whose VM is in the fleet.
    seen: HashSet<VmId>,
}

impl<'a> Taken<'a> {
    /// Counts what is under way. Hosts are counted as their VMs are met.
    pub(super) fn of(memory: &'a Memory) -> Self {
        let mut taken = Self::default();
        for (vm, enrolment) in memory.enrolments.iter().filter(|(_, one)| one.stage.is_active()) {
            if enrolment.stage.is_in_guest() {
                taken.by_vcenter.entry(vm.vcenter).or_default().take(true);
            }
            // What is already registered is counted as a node.
            if !matches!(enrolment.stage, Stage::Withdraw | Stage::Clean) {
                *taken.by_place.entry(enrolment.place.as_str()).or_default() += 1;
            }
        }
        taken
    }

    fn meets(&mut self, vm: &VmId, host: Option<&'a str>) {
        if let Some(host) = host {
            self.by_host.entry((vm.vcenter, host)).or_default().take(true);
        }
    }
}

impl<'a> Planner<'a> {
    /// Counts an enrolment that is under way to the host that its VM is on.
    pub(super) fn meet<'v: 'a>(&mut self, vm: &VmId, view: &VmView<'v>) {
        let stage = self.memory.enrolments.get(vm).map(|enrolment| enrolment.stage);
        if stage.is_some_and(Stage::is_active) {
            self.taken.seen.insert(vm.clone());
        }
        if stage.is_some_and(Stage::is_in_guest) {
            self.taken.meets(vm, view.host().map(MoRef::value));
        }
    }

    pub(super) fn enrol<'v: 'a>(
        &mut self,
        candidate: &Candidate<'_>,
        view: &VmView<'v>,
        sight: &Sight<'_>,
        stale: Option<Reason>,
        cloud: &Cloud,
    ) -> CapabilityVerdict {
        let blocked = |reason| CapabilityVerdict { reason: Some(reason), notes: Vec::new() };
        let policy = &self.policy.enrol;
        if policy.mode == Mode::Off {
            return blocked(Reason::Off);
        }
        let known = self.memory.enrolments.get(&candidate.id);
        if let Some(enrolment) = known.filter(|enrolment| enrolment.stage.is_active()) {
            return blocked(self.go_on(&candidate.id, enrolment, Some((candidate, view)), cloud));
        }
        let target = match (sight, &candidate.route) {
            (Sight::Node { target, cloud, link, .. }, _) => {
                let need = self.need(view, cloud, link, known);
                return match need {
                    Err(reason) => {
                        // Whatever failed: a node that is online is one.
                        let node = cloud.nodes.get(&link.node);
                        let is_online = node.is_some_and(|node| node.ping == Ping::Online);
                        let rests = known.filter(|known| known.stage != Stage::Enrolled);
                        if let Some(enrolment) = rests.filter(|_| is_online) {
                            self.step(&candidate.id, enrolment, Event::Found(link.node.clone()), None);
                        }
                        blocked(reason)
                    }
                    Ok(purpose) => self.attempt(candidate, view, *target, stale, purpose),
                };
            }
            (Sight::Blocked(Reason::NotManaged), Ok(target)) => *target,
            (Sight::Blocked(reason), _) => return blocked(reason.clone()),
        };
        // A node of ours that belongs to another account or Region now becomes one there.
        let moves = known.is_some_and(|known| {
            let place = self.places.get(&self.policy.targets[target].name).map(|(place, _)| place);
            known.origin == Some(Origin::Registered) && place.is_some_and(|place| *place != known.place)
                || known.former.is_some()
        });
        let purpose = if moves { Purpose::Reregister } else { Purpose::Enrol };
        self.attempt(candidate, view, target, stale, purpose)
    }

    /// Begins an attempt, if it may be made now.
    fn attempt<'v: 'a>(
        &mut self,
        candidate: &Candidate<'_>,
        view: &VmView<'v>,
        target: usize,
        stale: Option<Reason>,
        purpose: Purpose,
    ) -> CapabilityVerdict {
        let blocked = |reason| CapabilityVerdict { reason: Some(reason), notes: Vec::new() };
        if let Some(stale) = stale {
            return blocked(stale);
        }
        match self.policy.enrol.vms.verdict(view) {
            Verdict::Selected => {}
            Verdict::NotIncluded | Verdict::Excluded(_) => return blocked(Reason::NotToBeEnrolled),
            Verdict::Unknown(_) => return blocked(Reason::EnrolUndecided),
        }
        let known = self.memory.enrolments.get(&candidate.id);
        let failures = match known {
            Some(Enrolment { stage: Stage::Quarantined, problem: Some(problem), .. }) => {
                return blocked(Reason::EnrolQuarantined(problem.clone()));
            }
            Some(Enrolment {
                stage: Stage::Failed { retry_at }, problem: Some(problem), failures, ..
            }) => {
                if *retry_at > self.now {
                    let (failures, retry_at) = (*failures, *retry_at);
                    return blocked(Reason::EnrolFailed { problem: problem.clone(), failures, retry_at });
                }
                *failures
            }
            // The node that it was is gone, or is to be seen to.
            Some(_) | None => 0,
        };
        let asked = self.memory.asked.contains(&candidate.id);
        match self.begin(candidate, view, target, failures, purpose, asked) {
            Err(reason) => blocked(reason),
            Ok(action) => {
                self.plan.actions.push(Planned { asked, ..planned(action) });
                CapabilityVerdict { reason: None, notes: Vec::new() }
            }
        }
    }

    /// The first step, if it can be made.
    fn begin<'v: 'a>(
        &mut self,
        candidate: &Candidate<'_>,
        view: &VmView<'v>,
        target: usize,
        failures: u32,
        purpose: Purpose,
        asked: bool,
    ) -> Result<Action, Reason> {
        let policy = &self.policy.enrol;
        let system = eligible(view)?;
        if system == System::Linux && !policy.can_verify {
            return Err(Reason::CannotVerify);
        }
        let credentials = self.credentials(&candidate.id, view)?;
        if let Some(snapshot) = view.snapshot_names().find(|name| is_backup_snapshot(name)) {
            return Err(Reason::BackupUnderWay { snapshot: snapshot.into() });
        }
        // Who asks for it by name has chosen the hour.
        if !asked && !policy.hours.contain(self.now) {
            return Err(Reason::OutsideHours { opens: policy.hours.next(self.now) });
        }
        if let Some(reason) = self.hindered(Capability::Enrol, &Holder::vm(&candidate.id)) {
            return Err(reason);
        }
        let target = &self.policy.targets[target].name;
        let (place, nodes) = self.places.get(target).cloned().ok_or(Reason::NotManaged)?;
        let coming = self.taken.by_place.get(place.as_str()).copied().unwrap_or(0);
        let makes_a_node = matches!(purpose, Purpose::Enrol | Purpose::Reregister);
        if makes_a_node && nodes + coming >= policy.node_limit {
            return Err(Reason::NodeLimit { place, limit: policy.node_limit });
        }
        let vcenter = candidate.id.vcenter;
        let host = view.host().map(|host| (vcenter, host.value()));
        // What is only observed must not take the place of what may begin.
        let is_real = asked || policy.mode == Mode::Enforce;
        let of_vcenter = self.taken.by_vcenter.entry(vcenter).or_default();
        let mut none = Slots::default();
        let of_host = host.map_or(&mut none, |host| self.taken.by_host.entry(host).or_default());
        if !of_vcenter.has_room(policy.per_vcenter, is_real) || !of_host.has_room(policy.per_host, is_real) {
            return Err(Reason::WaitsForOthers);
        }
        of_vcenter.take(is_real);
        of_host.take(is_real);
        // An attempt is told from every other one by the time at which it was planned last before it began.
        let began = self.now.as_microsecond();
        let text = format!("{}\n{vcenter}\n{}\n{began}", self.memory.installation, candidate.id.vm);
        let known = self.memory.enrolments.get(&candidate.id).cloned();
        let former = known.as_ref().and_then(|known| known.former.as_ref());
        if former.is_some_and(|former| self.busy.contains(&Holder::node(&former.place, &former.node))) {
            return Err(Reason::UnderWay);
        }
        let (node, origin, former, was) = match known {
            Some(known) => (known.node, known.origin, known.former, Some(known.place)),
            None => (None, None, None, None),
        };
        let ours = node.clone().zip(was).filter(|_| origin == Some(Origin::Registered));
        let former = former.or(ours.map(|(node, place)| Former { place, node }));
        let enrolment = Enrolment {
            place,
            label: candidate.label.clone(),
            instance: view.instance_uuid(),
            mark: short_hash(&text).into(),
            purpose,
            failures,
            stage: Stage::Prepare,
            since: self.now,
            credentials,
            system,
            directory: None,
            report: None,
            activation: None,
            tags: Vec::new(),
            reregister: false,
            node,
            origin,
            former,
            gone: None,
            problem: None,
        };
        let (vm, enrolment) = (candidate.id.clone(), Box::new(enrolment));
        Ok(Action::Enrol { vm, step: EnrolStep::Prepare, enrolment })
    }

    /// The first account that the guest has not refused.
    fn credentials(&self, vm: &VmId, view: &VmView<'_>) -> Result<Arc<str>, Reason> {
        let (mut refused, mut unreadable) = (Vec::new(), None);
        for credentials in &self.policy.enrol.credentials {
            match credentials.vms.verdict(view) {
                Verdict::Selected => {}
                Verdict::NotIncluded | Verdict::Excluded(_) => continue,
                Verdict::Unknown(_) => return Err(Reason::EnrolUndecided),
            }
            let key = match self.memory.keys.get(&credentials.name) {
                Some(Ok(key)) => key,
                Some(Err(why)) => {
                    unreadable = Some((credentials.name.clone(), why.clone()));
                    continue;
                }
                // It is being read.
                None => return Err(Reason::UnderWay),
            };
            let refusals = self.memory.refusals.get(vm);
            let refusal = refusals.and_then(|refusals| refusals.get(&credentials.name));
            if refusal.is_some_and(|refusal| refusal.fingerprint == *key) {
                refused.push(credentials.name.clone());
            } else {
                return Ok(credentials.name.clone());
            }
        }
        match unreadable {
            Some((name, why)) => Err(Reason::CredentialsUnreadable { name, why }),
            None if refused.is_empty() => Err(Reason::NoCredentials),
            None => Err(Reason::CredentialsRefused(refused)),
        }
    }

    /// The next step of an enrolment that is under way, and where it is.
    fn go_on<'v>(
        &mut self,
        vm: &VmId,
        enrolment: &Enrolment,
        seen: Option<(&Candidate<'_>, &VmView<'v>)>,
        cloud: &Cloud,
    ) -> Reason {
        let reason = Reason::Enrolling(enrolment.stage.word());
        let holder = Holder::vm(vm);
        if self.busy.contains(&holder) {
            return reason;
        }
        let limits = &self.policy.enrol.limits;
        let target = self.target_at(&enrolment.place, cloud);
        if let Some((event, identity)) = self.event(vm, enrolment, target) {
            self.step(vm, enrolment, event, identity);
            return reason;
        }
        if let Some(event) = enrolment.overdue(limits, self.now) {
            self.step(vm, enrolment, event, None);
            return reason;
        }
        let step = match enrolment.stage {
            Stage::Activate => {
                let Some((candidate, view)) = seen else { return reason };
                let Some(role) = self.role(&enrolment.place, cloud) else { return reason };
                let expires = self.now.checked_add(ACTIVATION).unwrap_or(Timestamp::MAX);
                EnrolStep::Activate {
                    role,
                    expires,
                    tags: self.first_tags(candidate, view, &enrolment.place),
                }
            }
            Stage::Prepare => EnrolStep::Prepare,
            Stage::Register => EnrolStep::Register,
            Stage::Withdraw => EnrolStep::Withdraw,
            Stage::Clean => EnrolStep::Clean,
            _ => return reason,
        };
        if let Some(hindrance) = self.hindered(Capability::Enrol, &holder) {
            return hindrance;
        }
        let action = Action::Enrol { vm: vm.clone(), step, enrolment: Box::new(enrolment.clone()) };
        self.plan.actions.push(Planned { asked: true, ..planned(action) });
        reason
    }

    /// Goes on with enrolments whose VM is not in the fleet (any more).
    pub(super) fn enrol_the_unseen(&mut self, readable: &dyn Fn(VcenterUuid) -> bool, cloud: &Cloud) {
        if self.policy.enrol.mode == Mode::Off {
            return;
        }
        let memory = self.memory;
        let mut unseen: Vec<(&VmId, &Enrolment)> = memory
            .enrolments
            .iter()
            .filter(|(vm, enrolment)| {
                enrolment.stage.is_active() && !self.taken.seen.contains(*vm) && readable(vm.vcenter)
            })
            .collect();
        unseen.sort_unstable_by_key(|(vm, _)| *vm);
        for (vm, enrolment) in unseen {
            match enrolment.stage {
                Stage::Withdraw => drop(self.go_on(vm, enrolment, None, cloud)),
                Stage::Clean => self.step(vm, enrolment, Event::Cleaned, None),
                _ => {
                    let problem = Problem::passing("vm-gone", "its VM is gone");
                    self.step(vm, enrolment, Event::Failed(problem), None);
                }
            }
        }
    }

    /// What AWS, or what is remembered, says of an enrolment.
    fn event(
        &self,
        vm: &VmId,
        enrolment: &Enrolment,
        target: Option<&TargetView>,
    ) -> Option<(Event, Option<Identity>)> {
        let cloud = target?;
        let identity = |node: &NodeId, basis| Identity {
            place: enrolment.place.clone(),
            node: node.clone(),
            vm: vm.clone(),
            instance: enrolment.instance,
            basis: Some(basis),
            since: self.now,
        };
        match enrolment.stage {
            Stage::Decide => {
                // Only a reading that is younger than the report can say that there is no such node.
                let young = cloud.as_of.is_some_and(|as_of| as_of >= enrolment.since);
                let registration = enrolment.registration()?;
                if enrolment.purpose == Purpose::Reregister {
                    return Some((Event::Disowned, None));
                }
                let here = &*registration.region == enrolment.place.region();
                let node = cloud.nodes.get(&registration.node).filter(|_| here);
                let Some(node) = node else {
                    if here && !young {
                        return None;
                    }
                    return Some((
                        self.replaced_or(
                            "registered-elsewhere",
                            format!(
                                "its agent is registered as {} in {}, which is not a node of {}",
                                registration.node, registration.region, enrolment.place
                            ),
                        ),
                        None,
                    ));
                };
                let claimed = self.memory.identities.get(&(enrolment.place.clone(), node.id.clone()));
                let other = claimed.into_iter().flatten().find(|identity| {
                    identity.basis.is_some()
                        && identity.vm != *vm
                        // A VM that moved to another vCenter keeps its instance UUID, and its node.
                        && (identity.instance.is_none() || identity.instance != enrolment.instance)
                });
                if let Some(other) = other {
                    return Some((self.replaced_or("clone", format!(
                        "its agent has the registration {} of another VM, {}: one is a clone of the other",
                        node.id, other.vm.vm
                    )), None));
                }
                Some((Event::Adopted(node.id.clone()), Some(identity(&node.id, Basis::Enrolled))))
            }
            Stage::Verify => {
                let node = match (&enrolment.activation, &enrolment.node) {
                    (Some(activation), _) => {
                        cloud.nodes.values().find(|node| node.activation.as_ref() == Some(activation))?
                    }
                    (None, Some(node)) => cloud.nodes.get(node)?,
                    (None, None) => return None,
                };
                let is_young_enough = enrolment.purpose != Purpose::Update || !self.is_outdated(node);
                if node.ping != Ping::Online || !is_young_enough {
                    return None;
                }
                Some((Event::Online(node.id.clone()), Some(identity(&node.id, Basis::Enrolled))))
            }
            _ => None,
        }
    }

    fn replaced_or(&self, word: &str, sentence: String) -> Event {
        if self.policy.enrol.reregister {
            return Event::Disowned;
        }
        Event::Failed(Problem::lasting(
            word,
            sentence,
            "if it is to be registered here: set `reregister = true` in [enrol], or remove its registration; then: vmbridge retry <vm>",
        ))
    }

    /// Makes a step that has no effect outside.
    fn step(&mut self, vm: &VmId, enrolment: &Enrolment, event: Event, identity: Option<Identity>) {
        let next = enrolment.after(event, &self.policy.enrol.limits, self.now);
        // That it is another node than it should be is no reason to believe that it is.
        let identity =
            identity.filter(|identity| next.node.as_ref() == Some(&identity.node) && next.problem.is_none());
        let owned = match &identity {
            Some(identity) if !next.tags.is_empty() => Action::AddTags {
                place: identity.place.clone(),
                node: identity.node.clone(),
                vm: vm.clone(),
                label: next.label.clone(),
                tags: next.tags.clone(),
            }
            .owns(self.now),
            _ => Vec::new(),
        };
        if let Some(identity) = &identity {
            // The VM is no other node any more.
            for other in self.memory.identities.values().flatten() {
                if other.vm == *vm && other.node != identity.node && other.basis.is_some() {
                    self.plan.learned.push(Identity { basis: None, since: self.now, ..other.clone() });
                }
            }
        }
        self.plan.steps.push(Step { vm: vm.clone(), enrolment: Some(next), identity, owned });
    }

    /// The tags that a new node of this VM has to have.
    fn first_tags(&self, candidate: &Candidate<'_>, view: &VmView<'_>, place: &Place) -> Vec<TagWrite> {
        if self.policy.tags != Mode::Enforce {
            return Vec::new();
        }
        let (node, observed) = (NodeId::from(""), NodeTags::new());
        let holder = Holder::node(place, &node);
        let subject = tags::Subject {
            place,
            node: &node,
            vm: candidate.id.clone(),
            label: candidate.label.clone(),
            holder: &holder,
            installation: &self.memory.installation,
            observed: &observed,
            as_of: self.now,
            settle: signed(std::time::Duration::ZERO),
            owned: None,
            adopt: false,
            withheld: &[],
            was_withheld: &|_| false,
            hold: None,
            hashes: &self.hashes,
        };
        let desired = self.policy.rules.desired(view);
        let difference = tags::difference(&subject, &self.policy.rules, &desired).unwrap_or_default();
        difference
            .actions
            .into_iter()
            .find_map(|action| match action {
                Action::AddTags { tags, .. } => Some(tags),
                _ => None,
            })
            .unwrap_or_default()
    }

    pub(super) fn target_at<'c>(&self, place: &Place, cloud: &'c Cloud) -> Option<&'c TargetView> {
        let targets = self.policy.targets.iter().filter_map(|target| cloud.target(&target.name));
        targets.into_iter().find(|view| view.place.as_ref() == Some(place))
    }

    fn role(&self, place: &Place, cloud: &Cloud) -> Option<Arc<str>> {
        let here = |name: &TargetName| cloud.target(name).and_then(|view| view.place.as_ref()) == Some(place);
        self.policy.targets.iter().find(|target| here(&target.name)).map(|target| target.node_role.clone())
    }
}

/// Whether the installer can be started in the guest now, as far as vSphere knows.
fn eligible(view: &VmView<'_>) -> Result<System, Reason> {
    if view.is_secondary() {
        return Err(Reason::FaultToleranceSecondary);
    }
    if !view.is_connected() {
        return Err(Reason::VmNotConnected);
    }
    if view.power() != Some(PowerState::PoweredOn) {
        return Err(Reason::PoweredOff);
    }
    let system = match view.guest_id().map(platform::by_guest_id) {
        Some(Support::Supported { os: platform::Os::Linux }) => System::Linux,
        Some(Support::Supported { os: platform::Os::Windows }) => System::Windows,
        Some(Support::Unsupported { reason }) => {
            return Err(Reason::GuestNotSupported {
                guest: view.guest_id().unwrap_or_default().into(),
                why: reason.into(),
            });
        }
        // The guest itself tells more when it is asked.
        Some(Support::Unknown) | None => match view.guest_family() {
            Fact::Known(GuestFamily::Linux) => System::Linux,
            Fact::Known(GuestFamily::Windows) => System::Windows,
            _ => {
                return Err(Reason::GuestNotSupported {
                    guest: view.guest_id().unwrap_or("unknown").into(),
                    why: "it is neither Linux nor Windows".into(),
                });
            }
        },
    };
    if !view.runs_tools() {
        return Err(Reason::ToolsNotRunning);
    }
    if !view.is_ready_for_guest_operations() {
        return Err(Reason::GuestNotReady);
    }
    Ok(system)
}
