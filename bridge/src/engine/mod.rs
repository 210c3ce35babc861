//! The engine: plans, acts, and records what it does.
//!
//! A cycle plans with what is known now and hands what is doable to a few workers. What is waiting is never older than the
//! last plan: a new plan replaces the queue, so nothing is done because of a picture that is no longer true. Before an action
//! its intent is on the disk, after it its outcome; what has no outcome, because the answer was lost or the program was
//! killed, is looked for before anything else is done to the same object. Failures end in the journal and in the next plan,
//! never in the engine.

mod assembly;
mod doubts;
mod enrol;
mod guest;
mod hands;
mod records;
mod report;
mod snapshot;
#[cfg(test)]
mod tests;
mod vsphere;
mod vsphere_guests;
mod vsphere_snapshots;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use metrics::counter;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use assembly::{Assembly, AssemblyError, Targets, engine as assemble};
pub(crate) use guest::Seen;
pub use guest::{
    Content, CredentialKeys, GuestErrorKind, GuestFailure, GuestHands, GuestPort, GuestSettings, InGuest,
    Login, Process, Program, credential_keys,
};
pub use hands::{Arm, EffectError, Gain, Hands, RealHands, Trace};
pub use records::Records;
pub use snapshot::{Look, OnVm, Shot, SnapshotPort, Spec, TaskSeen};
pub(crate) use snapshot::{record_id, settle as settle_record};
pub use vsphere::VsphereHands;
pub(crate) use vsphere_snapshots::{task_id, trouble_of};

use crate::aws::{NodeId, Place};
use crate::clock::Clock;
use crate::cloud::SharedCloud;
use crate::config::Mode;
use crate::enrol::{Enrolment, Event, Problem, Stage};
use crate::fleet::SharedFleet;
use crate::memory::{Memory, Open};
use crate::plan::{Action, Capability, EnrolStep, Plan, Planned, Policy, PortWanted, View};
use crate::store::{
    Approval, Conclusion, Entry, EntryId, Failing, Failure, FailureChange, Holder, Identity, Outcome,
    Refusal, Step, Store, StoreError, VmId,
};

/// Holders worked on at the same time. Their lanes set the pace; more would only wait there with their intents written.
const WORKERS: usize = 16;
/// Without any news a cycle comes after this time, for what only time changes: failures, approvals, the age of data.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// The shortest pause between two plans. Each step of an enrolment waits for one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// Planning takes at most one part in so many of the time.
const PLANNING_SHARE: u32 = 20;
/// The same while snapshots are being taken or removed: others wait for the room that one leaves, and a datastore that stays
/// idle for 20 plans after each is a night that takes longer.
const PLANNING_SHARE_WITH_TASKS: u32 = 4;
/// Pause between two looks for what was done.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Looks in vain before an end is left to the next time.
const LOOKS_IN_VAIN: u32 = 5;
/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The first pause after a failure that passes by itself.
const SHORT_PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// The engine. Clones share it.
pub struct Engine<S = Store>(Arc<Inner<S>>);

impl<S> Clone for Engine<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<S> {
    fleet: SharedFleet,
    cloud: SharedCloud,
    store: S,
    hands: Arc<dyn Hands>,
    clock: Clock,
    memory: Mutex<Memory>,
    /// Held while it is written down who is what: a plan that was made before a person decided must not undo that.
    deciding: tokio::sync::Mutex<()>,
    /// Held while the record of a snapshot or a finding goes on: what is seen, what a plan found and what a person wants all change
    /// it.
    keeping: tokio::sync::Mutex<()>,
    policy: RwLock<Arc<Policy>>,
    /// Only this is done.
    only: std::sync::OnceLock<Capability>,
    wake: Notify,
    progress: tokio::sync::watch::Sender<Progress>,
    /// Ports of VMs that are to be asked.
    ports: tokio::sync::watch::Sender<Vec<PortWanted>>,
}

/// How far the engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Cycles so far.
    pub cycles: u64,
    /// Actions that wait.
    pub waiting: usize,
    /// Actions under way.
    pub running: usize,
    /// Actions that were done.
    pub done: u64,
    /// Actions that failed.
    pub failed: u64,
    /// Actions whose end is not known.
    pub open: usize,
    /// Why nothing can be done.
    pub problems: Vec<String>,
    /// Changes that wait for approval, by id.
    pub held: Vec<String>,
    /// Openings of windows that come or are open, as far as they are looked at.
    pub windows: usize,
    /// Those of them that are in doubt.
    pub windows_in_doubt: usize,
}

impl<S: Records> Engine<S> {
    /// An engine on what the store remembers. Nothing happens until [`run`](Self::run) or [`settle`](Self::settle).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn new(
        fleet: SharedFleet,
        cloud: SharedCloud,
        store: S,
        hands: Arc<dyn Hands>,
        policy: Policy,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let contents = store.contents().await?;
        let mut memory = Memory::of(contents, store.installation(), store.is_copied(), clock.now());
        let window = SignedDuration::try_from(policy.guard.window).unwrap_or(SignedDuration::MAX);
        let since = clock.now().checked_sub(window).unwrap_or(Timestamp::MIN);
        for entry in store.journal_since(since).await? {
            if let Ok(action) = serde_json::from_value::<Action>(entry.intent) {
                memory.put_recent(&action, entry.intended);
            }
        }
        Ok(Self(Arc::new(Inner {
            fleet,
            cloud,
            store,
            hands,
            clock,
            memory: Mutex::new(memory),
            deciding: tokio::sync::Mutex::default(),
            keeping: tokio::sync::Mutex::default(),
            only: std::sync::OnceLock::new(),
            policy: RwLock::new(Arc::new(policy)),
            wake: Notify::new(),
            progress: tokio::sync::watch::Sender::default(),
            ports: tokio::sync::watch::Sender::default(),
        })))
    }

    /// Follows another policy from now on.
    pub fn set_policy(&self, policy: Policy) {
        *self.0.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
        self.0.wake.notify_one();
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.0.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// How far it is, as that changes.
    #[must_use]
    pub fn progress(&self) -> tokio::sync::watch::Receiver<Progress> {
        self.0.progress.subscribe()
    }

    /// Plans with what is known now. Changes nothing.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let view = |view: &View<'_>| view.plan();
        self.look(view)
    }

    /// Looks at all that a plan is made of. Nothing can be recorded meanwhile, so `look` is to be short.
    pub fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let policy = self.policy();
        let cloud = self.0.cloud.read();
        let fleet = self.0.fleet.read();
        // A copy of what is remembered would cost more than to let whoever records wait a moment.
        let memory = self.0.memory();
        look(&View {
            fleet: &fleet,
            cloud: &cloud,
            memory: &memory,
            policy: &policy,
            now: self.0.clock.now(),
        })
    }

    /// The time by the engine's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Waits, while [`run`](Self::run) works elsewhere, until there is nothing more to do with what is known, or `patience`
    /// has passed. Says whether all is done.
    pub async fn idle(&self, patience: Duration) -> bool {
        let mut progress = self.progress();
        let cycles = progress.borrow_and_update().cycles;
        let until = Instant::now() + patience;
        self.0.wake.notify_one();
        loop {
            let busy = {
                let now = progress.borrow_and_update();
                // One cycle may have begun before this was asked.
                now.cycles < cycles + 2 || now.waiting > 0 || now.running > 0
            };
            if !busy && !self.0.has_open() {
                let policy = self.policy();
                if self.plan().doable(&policy).next().is_none() && !self.0.is_enrolling(&policy) {
                    return true;
                }
            }
            if Instant::now() >= until {
                return false;
            }
            self.0.wake.notify_one();
            let _ = tokio::time::timeout(LOOK_AGAIN / 4, progress.changed()).await;
        }
    }

    /// Works until stopped, then waits for what is under way.
    pub async fn run(&self, stop: CancellationToken) {
        let mut fleet = self.0.fleet.revisions();
        let mut cloud = self.0.cloud.revisions();
        let mut work = Work::default();
        // Wherever several things are waited for, they have an order: chance would decide otherwise, and no fault could be
        // replayed.
        loop {
            let began = Instant::now();
            self.cycle(&mut work).await;
            let share = if self.0.has_tasks() { PLANNING_SHARE_WITH_TASKS } else { PLANNING_SHARE };
            let pause = (began.elapsed() * share).max(SHORTEST_PAUSE);
            // What is queued goes on meanwhile.
            let rested = tokio::time::sleep(pause);
            tokio::select! {
                biased;
                () = work.drain(self, rested) => {}
                () = stop.cancelled() => break,
            }
            let heartbeat = if self.0.has_open() { LOOK_AGAIN } else { HEARTBEAT };
            let next = work.next.and_then(|next| Duration::try_from(next.duration_since(self.now())).ok());
            let heartbeat = next.map_or(heartbeat, |next| heartbeat.min(next));
            let news = async {
                tokio::select! {
                    biased;
                    _ = fleet.changed() => {}
                    _ = cloud.changed() => {}
                    () = self.0.wake.notified() => {}
                    () = tokio::time::sleep(heartbeat) => {}
                }
            };
            tokio::select! {
                biased;
                () = work.drain(self, news) => {}
                () = stop.cancelled() => break,
            }
        }
        work.queue.clear();
        work.finish(self).await;
    }

    /// Works until there is nothing more to do with what is known, or `patience` has passed. Says whether all is done.
    pub async fn settle(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut work = Work::default();
        let mut in_vain = 0;
        loop {
            // Whoever waits for the end wants to know of everything now.
            work.reports.be_due();
            let unseen = self.cycle(&mut work).await;
            work.finish(self).await;
            let policy = self.policy();
            let plan = self.plan();
            let enrolling = self.0.is_enrolling(&policy);
            let idle = plan.doable(&policy).next().is_none() && !self.0.has_open();
            if idle && !enrolling {
                return true;
            }
            // What cannot even be looked for, because its target cannot be read, is left to the next time.
            in_vain = if unseen > 0 && unseen == self.0.count_open() { in_vain + 1 } else { 0 };
            if Instant::now() >= until || in_vain >= LOOKS_IN_VAIN {
                return false;
            }
            if self.0.has_open() {
                tokio::time::sleep(LOOK_AGAIN).await;
            } else if idle {
                // A guest or AWS is waited for.
                let _ = tokio::time::timeout(LOOK_AGAIN, self.0.wake.notified()).await;
            }
        }
    }

    /// One cycle: looks for what was left open, plans, and queues what is doable. Gives the number of open actions that could
    /// not be looked for.
    async fn cycle(&self, work: &mut Work) -> usize {
        let unseen = self.0.resolve().await;
        let policy = self.policy();
        let now = self.0.clock.now();
        self.0.memory().trim(now, policy.guard.window);
        let plan = self.plan_in_turn(&mut work.reports);
        let is_recorded = self.0.record(&plan).await;
        self.0.ports.send_replace(plan.ports.clone());
        for target in &policy.targets {
            let wanted = plan.patch_states.get(&target.name).cloned().unwrap_or_default();
            self.0.cloud.want_patch_states(&target.name, wanted);
        }
        let only = self.0.only.get();
        // What is done builds on what was to be written down.
        let wanted =
            |planned: &&Planned| is_recorded && only.is_none_or(|only| planned.action.capability() == *only);
        work.replace(plan.doable(&policy).filter(wanted));
        work.next = plan.next;
        work.doubts.look(&plan.windows).iter().for_each(doubts::News::log);
        self.0.progress.send_modify(|progress| {
            progress.cycles += 1;
            progress.windows = plan.windows.len();
            progress.windows_in_doubt = work.doubts.count();
            progress.problems.clone_from(&plan.problems);
            progress.held = plan.held.iter().map(|held| held.id.clone()).collect();
        });
        work.start(self);
        unseen
    }

    /// Allows the changes that the guard holds under this id. Gives how many they are; nothing if there is no such id.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn approve(&self, id: &str) -> Result<Option<usize>, StoreError> {
        let plan = self.plan();
        let Some(held) = plan.held.into_iter().find(|held| held.id == id) else { return Ok(None) };
        let now = self.0.clock.now();
        let lifetime =
            SignedDuration::try_from(self.policy().guard.approval_lifetime).unwrap_or(SignedDuration::MAX);
        let approval = Approval {
            plan: held.id,
            changes: held.fingerprints,
            approved: now,
            expires: now.checked_add(lifetime).unwrap_or(Timestamp::MAX),
        };
        self.0.store.approve(&approval).await?;
        self.0.memory().approve(&approval);
        self.0.wake.notify_one();
        Ok(Some(approval.changes.len()))
    }

    /// What was seen of a program in a guest.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn saw(&self, vm: &VmId, event: Event) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        let limits = self.policy().enrol.limits;
        let known = self.0.memory().enrolments.get(vm).cloned();
        let Some(known) = known else { return Ok(()) };
        let next = known.after(event, &limits, now);
        if next != known {
            let step = Step { vm: vm.clone(), enrolment: Some(next), identity: None, owned: Vec::new() };
            self.0.store.put_steps(std::slice::from_ref(&step)).await?;
            self.0.memory().put_step(step);
            self.0.wake.notify_one();
        }
        Ok(())
    }

    /// Ports of VMs that are to be asked, as that changes.
    pub(crate) fn wanted_ports(&self) -> tokio::sync::watch::Receiver<Vec<PortWanted>> {
        self.0.ports.subscribe()
    }

    /// Whether a port answered.
    pub(crate) fn saw_port(&self, port: PortWanted, answers: bool) {
        let now = self.0.clock.now();
        self.0.memory().ports.insert((port.vcenter, port.vm, port.port), (now, answers));
        self.0.wake.notify_one();
    }

    /// Does only what belongs to this capability from now on: a command that was asked for one thing does no other.
    pub fn only(&self, capability: Capability) {
        let _ = self.0.only.set(capability);
    }

    /// Enrols these VMs although the capability is only observed.
    pub fn ask(&self, vms: impl IntoIterator<Item = VmId>) {
        self.0.memory().asked.extend(vms);
        self.0.wake.notify_one();
    }

    /// Compares what is remembered of findings with what was last read of them, as the next plan with reports would.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub(crate) async fn compare_findings(&self) -> Result<(), StoreError> {
        let plan = self.plan();
        self.0.record_findings(&plan).await
    }

    /// Begins to close all findings that are open, or goes on to act as the policy says.
    pub(crate) fn withdraw_findings(&self, begin: bool) {
        self.0.memory().withdrawing = begin;
        self.0.wake.notify_one();
    }

    /// Enrolments that wait for a program in a guest, or for AWS to show their node.
    #[must_use]
    pub fn waiting_enrolments(&self) -> Vec<(VmId, Enrolment)> {
        let memory = self.0.memory();
        let waits = |stage: Stage| stage.process().is_some() || stage == Stage::Verify;
        let waiting = memory.enrolments.iter().filter(|(_, enrolment)| waits(enrolment.stage));
        waiting.map(|(vm, enrolment)| (vm.clone(), enrolment.clone())).collect()
    }

    /// What tells whether users and passwords of `[[credentials]]` are others now.
    pub fn set_keys(&self, keys: CredentialKeys) {
        let mut memory = self.0.memory();
        if memory.keys != keys {
            memory.keys = keys;
            drop(memory);
            self.0.wake.notify_one();
        }
    }

    /// Takes a person's word on who is what.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn link(&self, identity: Identity) -> Result<(), StoreError> {
        let _deciding = self.0.deciding.lock().await;
        self.0.store.put_identities(std::slice::from_ref(&identity)).await?;
        self.0.memory().put_identity(identity);
        self.0.wake.notify_one();
        Ok(())
    }

    /// Forgets who a node is and is not.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn forget(&self, place: &Place, node: &NodeId) -> Result<(), StoreError> {
        let _deciding = self.0.deciding.lock().await;
        self.0.store.forget_identities(place, node).await?;
        self.0.memory().identities.remove(&(place.clone(), node.clone()));
        self.0.wake.notify_one();
        Ok(())
    }

    /// Tries at once what failed: all of it, or what concerns these objects. Gives how many failures were dropped.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn retry(&self, objects: Option<&HashSet<String>>) -> Result<usize, StoreError> {
        let failing: Vec<Failing> = self
            .0
            .memory()
            .failures
            .keys()
            .filter(|failing| objects.is_none_or(|objects| objects.contains(&*failing.object)))
            .cloned()
            .collect();
        for failing in &failing {
            let change = FailureChange { failing: failing.clone(), failure: None };
            self.0.store.put_failure(&change).await?;
            self.0.memory().put_failure(change);
        }
        let is_asked = |vm: &VmId| objects.is_none_or(|objects| objects.contains(&*vm.vm));
        let now = self.0.clock.now();
        let (failed, refusing): (Vec<(VmId, Option<Enrolment>)>, Vec<VmId>) = {
            let memory = self.0.memory();
            let at_rest = |stage: Stage| matches!(stage, Stage::Failed { .. } | Stage::Quarantined);
            let failed = memory.enrolments.iter().filter(|(vm, one)| at_rest(one.stage) && is_asked(vm));
            let failed = failed.map(|(vm, one)| (vm.clone(), one.forgiven(now))).collect();
            (failed, memory.refusals.keys().filter(|vm| is_asked(vm)).cloned().collect())
        };
        for (vm, enrolment) in &failed {
            let step =
                Step { vm: vm.clone(), enrolment: enrolment.clone(), identity: None, owned: Vec::new() };
            self.0.store.put_steps(std::slice::from_ref(&step)).await?;
            self.0.memory().put_step(step);
        }
        for vm in &refusing {
            self.0.store.forget_refusals(vm).await?;
            self.0.memory().refusals.remove(vm);
        }
        self.0.wake.notify_one();
        Ok(failing.len() + failed.len() + refusing.len())
    }

    /// Makes this machine the one that the state belongs to.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn claim(&self) -> Result<(), StoreError> {
        self.0.store.claim().await?;
        self.0.memory().copied = false;
        self.0.wake.notify_one();
        Ok(())
    }

    /// What the store and the plan know is dropped; the database is closed when the last clone is gone.
    #[must_use]
    pub fn into_store(self) -> Option<S> {
        Arc::into_inner(self.0).map(|inner| inner.store)
    }
}

/// What waits and what is under way.
#[derive(Default)]
struct Work {
    queue: VecDeque<(Holder, Vec<Planned>)>,
    running: HashSet<Holder>,
    tasks: JoinSet<Holder>,
    /// When the last plan asks for another one.
    next: Option<Timestamp>,
    doubts: doubts::Doubts,
    /// What is to be reported, as of the last time that all of it was gone through.
    reports: report::Turn,
}

impl Work {
    /// Puts what a new plan says in the place of what waited.
    fn replace<'a>(&mut self, doable: impl Iterator<Item = &'a Planned>) {
        let mut order: Vec<Holder> = Vec::new();
        let mut by_holder: HashMap<Holder, Vec<Planned>> = HashMap::new();
        for planned in doable {
            let holder = planned.action.holder();
            if self.running.contains(&holder) {
                continue;
            }
            let actions = by_holder.entry(holder.clone()).or_default();
            if actions.is_empty() {
                order.push(holder);
            }
            actions.push(planned.clone());
        }
        // A plan goes through the fleet in no particular order; what is done has one, so that it can be done again for a test.
        order.sort_unstable();
        self.queue = order
            .into_iter()
            .filter_map(|holder| by_holder.remove(&holder).map(|actions| (holder, actions)))
            .collect();
    }

    /// Starts what there is room for.
    fn start<S: Records>(&mut self, engine: &Engine<S>) {
        while self.tasks.len() < WORKERS
            && let Some((holder, actions)) = self.queue.pop_front()
        {
            self.running.insert(holder.clone());
            let engine = engine.clone();
            self.tasks.spawn(async move {
                for planned in actions {
                    // What follows builds on what came before.
                    if !engine.0.execute(planned).await {
                        break;
                    }
                }
                holder
            });
        }
        let (waiting, running) =
            (self.queue.iter().map(|(_, actions)| actions.len()).sum(), self.tasks.len());
        engine.0.progress.send_if_modified(|progress| {
            let changed = (progress.waiting, progress.running) != (waiting, running);
            (progress.waiting, progress.running) = (waiting, running);
            changed
        });
    }

    /// Goes on with the queue until `until`.
    async fn drain<S: Records>(&mut self, engine: &Engine<S>, until: impl Future<Output = ()>) {
        let mut until = std::pin::pin!(until);
        loop {
            tokio::select! {
                biased;
                () = &mut until => return,
                Some(ended) = self.tasks.join_next() => {
                    self.ended(ended);
                    self.start(engine);
                    // The next plan may go on where this one was waiting for its own writes.
                    if self.queue.is_empty() && self.tasks.is_empty() {
                        engine.0.wake.notify_one();
                    }
                }
            }
        }
    }

    /// Works until the queue is empty and nothing is under way.
    async fn finish<S: Records>(&mut self, engine: &Engine<S>) {
        self.start(engine);
        while let Some(ended) = self.tasks.join_next().await {
            self.ended(ended);
            self.start(engine);
        }
    }

    fn ended(&mut self, ended: Result<Holder, tokio::task::JoinError>) {
        match ended {
            Ok(holder) => {
                self.running.remove(&holder);
            }
            // Its intent stays open, so its object stays reserved until it is found out what happened.
            Err(error) => tracing::error!(%error, "a worker failed"),
        }
    }
}

/// What failed once more, and when it is tried again.
fn failure(known: Option<&Failure>, transient: bool, reason: String, ended: Timestamp) -> Failure {
    let failures = known.map_or(0, |known| known.failures).saturating_add(1);
    let first = if transient { SHORT_PAUSE } else { FIRST_PAUSE };
    let pause = first.saturating_mul(2_i32.saturating_pow(failures.saturating_sub(1).min(12)));
    let retry_at = ended.checked_add(pause.min(LONGEST_PAUSE)).unwrap_or(Timestamp::MAX);
    Failure { failures, since: known.map_or(ended, |known| known.since), retry_at, reason }
}

impl<S: Records> Inner<S> {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_open(&self) -> bool {
        self.memory().open.values().any(|open| !open.running)
    }

    /// Whether tasks of snapshots are under way.
    fn has_tasks(&self) -> bool {
        let memory = self.memory();
        let mut records = memory.protections.values().flat_map(BTreeMap::values);
        records.any(|record| record.stage.task().is_some())
    }

    /// Whether a VM is on its way to being a node, and is taken there.
    fn is_enrolling(&self, policy: &Policy) -> bool {
        policy.enrol.mode != Mode::Off
            && self.memory().enrolments.values().any(|enrolment| enrolment.stage.is_active())
    }

    /// Writes down what the plan learned without doing anything. Says whether it is written.
    async fn record(&self, plan: &Plan) -> bool {
        let mut result = Ok(());
        if !plan.learned.is_empty() {
            let _deciding = self.deciding.lock().await;
            let learned: Vec<Identity> = {
                let memory = self.memory();
                plan.learned.iter().filter(|identity| !memory.overrules(identity)).cloned().collect()
            };
            result = self.store.put_identities(&learned).await;
            if result.is_ok() {
                let mut memory = self.memory();
                learned.into_iter().for_each(|identity| memory.put_identity(identity));
            }
        }
        if result.is_ok() && !plan.housekeeping.is_empty() {
            result = self.store.put_owned(&plan.housekeeping).await;
            if result.is_ok() {
                let mut memory = self.memory();
                plan.housekeeping.iter().for_each(|change| memory.put_owned(change.clone()));
            }
        }
        let mode = self.policy.read().unwrap_or_else(PoisonError::into_inner).enrol.mode;
        if result.is_ok() && mode != Mode::Off && plan.problems.is_empty() && !plan.steps.is_empty() {
            result = self.store.put_steps(&plan.steps).await;
            if result.is_ok() {
                let mut memory = self.memory();
                plan.steps.iter().for_each(|step| memory.put_step(step.clone()));
                // What comes next can be planned at once.
                self.wake.notify_one();
            }
        }
        let mode = self.policy.read().unwrap_or_else(PoisonError::into_inner).snapshots.mode;
        if result.is_ok() && mode != Mode::Off && plan.problems.is_empty() {
            result = self.record_snapshots(plan).await;
        }
        if result.is_ok() && plan.problems.is_empty() {
            result = self.record_findings(plan).await;
        }
        self.store_is(result.as_ref().err());
        result.is_ok()
    }

    /// Notes whether the store can be written.
    fn store_is(&self, error: Option<&StoreError>) {
        let text = error.map(ToString::to_string);
        let mut memory = self.memory();
        if memory.store_error != text {
            match &text {
                Some(error) => tracing::error!(error, "nothing is changed until the state can be written"),
                None => tracing::info!("the state can be written again"),
            }
            memory.store_error = text;
        }
    }

    /// Does one action: intent, effect, outcome. Says whether what follows on the same object may be done.
    async fn execute(&self, planned: Planned) -> bool {
        let Planned { action, fingerprint, .. } = planned;
        let holder = action.holder();
        let intended = self.clock.now();
        let entry = Entry {
            id: EntryId(0),
            plan: fingerprint,
            capability: action.capability().word().to_owned(),
            kind: action.kind().word().to_owned(),
            place: holder.place.to_string(),
            object: holder.object.to_string(),
            label: action.label().to_string(),
            intent: serde_json::json!(action),
            intended,
            outcome: None,
            ended: None,
            duration_micros: None,
            error: None,
        };
        // Until it is known to be under way, nobody else may change the record that it goes on from.
        let keeping = match action {
            Action::Snapshot { .. } | Action::ImportFindings { .. } | Action::CloseFindings { .. } => {
                Some(self.keeping.lock().await)
            }
            _ => None,
        };
        if !self.is_current(&action) {
            return false;
        }
        if let Err(error) = self.put_intended(&action, intended).await {
            self.store_is(Some(&error));
            return false;
        }
        let id = match self.store.begin(&entry).await {
            Ok(id) => id,
            Err(error) => {
                self.store_is(Some(&error));
                return false;
            }
        };
        {
            let _keeping = keeping;
            let mut memory = self.memory();
            memory.put_recent(&action, intended);
            memory.open.insert(id, Open { action: action.clone(), latest: intended, running: true });
        }
        let began = Instant::now();
        let result = self.hands.perform(&action).await;
        let duration = began.elapsed();
        match result {
            Ok(gain) => self.conclude(id, &action, Outcome::Done, Ok(gain), duration).await,
            Err(error) if error.may_have_taken_place => {
                tracing::warn!(
                    object = %holder.object, kind = action.kind().word(), error = error.reason,
                    "the answer was lost; it is being found out whether it was done"
                );
                self.lost(id);
                self.wake.notify_one();
                false
            }
            Err(error) => self.conclude(id, &action, Outcome::Failed, Err(error), duration).await,
        }
    }

    /// How an action ended is not known.
    fn lost(&self, id: EntryId) {
        if let Some(open) = self.memory().open.get_mut(&id) {
            open.running = false;
            open.latest = self.clock.now();
        }
    }

    /// Writes how an action ended. Says whether it was done and that is written.
    async fn conclude(
        &self,
        id: EntryId,
        action: &Action,
        outcome: Outcome,
        result: Result<Gain, EffectError>,
        duration: Duration,
    ) -> bool {
        let ended = self.clock.now();
        let holder = action.holder();
        let failing = Failing {
            capability: action.capability().word().into(),
            place: holder.place.clone(),
            object: holder.object.clone(),
        };
        let done = matches!(outcome, Outcome::Done | Outcome::FoundDone);
        let known = self.memory().failures.get(&failing).cloned();
        let _keeping = match action {
            Action::Snapshot { .. } | Action::ImportFindings { .. } | Action::CloseFindings { .. } => {
                Some(self.keeping.lock().await)
            }
            _ => None,
        };
        let protection = self.protection_of(action, outcome, &result, ended);
        let (step, refusal) = self.step_of(action, outcome, &result, ended);
        let findings = report::findings_of(action, outcome, &result, ended);
        let patches = report::patches_of(action, outcome, &result, &self.memory(), ended);
        let error = result.err();
        let failure = match (&error, known) {
            // The enrolment, the snapshot or each finding itself says when it is tried again.
            (Some(_), None) if step.is_some() || protection.is_some() || !findings.is_empty() => None,
            (Some(_), Some(_)) if step.is_some() || protection.is_some() || !findings.is_empty() => {
                Some(FailureChange { failing, failure: None })
            }
            (Some(error), known) => {
                let failure = failure(known.as_ref(), error.transient, error.reason.clone(), ended);
                Some(FailureChange { failing, failure: Some(failure) })
            }
            (None, Some(_)) if done => Some(FailureChange { failing, failure: None }),
            (None, _) => None,
        };
        let (owned, failures) = patches.unwrap_or_else(|| {
            (if done { action.owns(ended) } else { Vec::new() }, failure.into_iter().collect())
        });
        let reason = error.map(|error| error.reason);
        match &reason {
            Some(reason) => tracing::warn!(
                object = %holder.object, name = %action.label(), kind = action.kind().word(), error = reason, "failed"
            ),
            None => tracing::info!(
                object = %holder.object, name = %action.label(), kind = action.kind().word(), outcome = outcome.word(),
                "ended"
            ),
        }
        counter!("vmbridge_actions_total", "kind" => action.kind().word(), "outcome" => outcome.word())
            .increment(1);
        let conclusion = Conclusion {
            outcome,
            ended,
            duration,
            error: reason,
            owned,
            failures,
            step,
            refusal,
            protection,
            findings,
        };
        let written = self.store.conclude(id, &conclusion).await;
        self.store_is(written.as_ref().err());
        {
            if written.is_err() {
                // The disk says that it is open, so it is: it is looked for again when the store works again.
                self.lost(id);
            } else {
                let mut memory = self.memory();
                memory.open.remove(&id);
                conclusion.owned.into_iter().for_each(|change| memory.put_owned(change));
                conclusion.failures.into_iter().for_each(|change| memory.put_failure(change));
                if let Some(step) = conclusion.step {
                    memory.put_step(step);
                    // What comes next need not wait for what else is under way.
                    self.wake.notify_one();
                }
                conclusion.refusal.into_iter().for_each(|refusal| memory.put_refusal(refusal));
                if let Some(protection) = conclusion.protection {
                    memory.put_protection(protection);
                    self.wake.notify_one();
                }
                conclusion.findings.into_iter().for_each(|change| memory.put_finding(change));
            }
        }
        self.progress.send_modify(|progress| {
            if done {
                progress.done += 1;
            } else if outcome == Outcome::Failed {
                progress.failed += 1;
            }
        });
        done && written.is_ok()
    }

    /// What an action that ended makes of an enrolment.
    fn step_of(
        &self,
        action: &Action,
        outcome: Outcome,
        result: &Result<Gain, EffectError>,
        ended: Timestamp,
    ) -> (Option<Step>, Option<Refusal>) {
        if let Action::DeregisterNode { vm, node, .. } = action
            && result.is_ok()
            && outcome != Outcome::FoundNotDone
        {
            // One whose place another node has taken leaves that one behind.
            let left =
                self.memory().enrolments.get(vm).filter(|one| one.node.as_ref() != Some(node)).cloned();
            let enrolment = left.map(|enrolment| Enrolment { former: None, ..enrolment });
            let step = Step { vm: vm.clone(), enrolment, identity: None, owned: Vec::new() };
            return (Some(step), None);
        }
        let Action::Enrol { vm, step, enrolment } = action else { return (None, None) };
        let becomes = |enrolment: Option<Enrolment>| {
            Some(Step { vm: vm.clone(), enrolment, identity: None, owned: Vec::new() })
        };
        let event = match (result, step) {
            (Ok(_), _) if outcome == Outcome::FoundNotDone => return (None, None),
            (Ok(Gain::Started { directory, process }), EnrolStep::Prepare | EnrolStep::Register) => {
                Event::Started { directory: directory.clone(), process: *process }
            }
            (Ok(Gain::Activation(activation)), EnrolStep::Activate { tags, .. }) => {
                Event::Activated { activation: activation.clone(), tags: tags.clone() }
            }
            (Ok(_), EnrolStep::Withdraw) => Event::Withdrawn,
            (Ok(_), EnrolStep::Clean) => Event::Cleaned,
            (Ok(_), _) => return (None, None),
            // An activation must not stay: it is tried again for as long as it takes.
            (Err(_), EnrolStep::Withdraw) => return (None, None),
            // It is tried again as it is.
            (Err(error), _) if error.transient && error.problem.is_none() => return (None, None),
            // Nothing was left anywhere; another account may be accepted.
            (Err(EffectError { refused: Some(fingerprint), .. }), EnrolStep::Prepare) => {
                let refusal = Refusal {
                    vm: vm.clone(),
                    credentials: enrolment.credentials.clone(),
                    fingerprint: fingerprint.clone(),
                    since: ended,
                };
                return (becomes(enrolment.forgiven(ended)), Some(refusal));
            }
            (Err(error), _) => Event::Failed(match &error.problem {
                Some(problem) => (**problem).clone(),
                None => Problem::passing("refused", error.reason.as_str()),
            }),
        };
        let limits = self.policy.read().unwrap_or_else(PoisonError::into_inner).enrol.limits;
        (becomes(Some(enrolment.after(event, &limits, ended))), None)
    }

    /// Finds out how ended what has no outcome. Gives the number of actions that could not be looked for.
    async fn resolve(&self) -> usize {
        let mut unseen = 0;
        let open: BTreeMap<EntryId, Open> = {
            let memory = self.memory();
            memory
                .open
                .iter()
                .filter(|(_, open)| !open.running)
                .map(|(id, open)| (*id, open.clone()))
                .collect()
        };
        self.tell_open();
        for (id, Open { action, latest, .. }) in open {
            let now = self.clock.now();
            let age = now.duration_since(latest);
            let settle = SignedDuration::try_from(self.hands.settle(&action)).unwrap_or(SignedDuration::MAX);
            // A reading that lags behind may show the time before an earlier change of ours, which can look like this one.
            let quiet = self
                .memory()
                .owned_by(&action.holder())
                .is_none_or(|owned| owned.values().all(|owned| now.duration_since(owned.written) >= settle));
            let found = match self.hands.trace(&action).await {
                // Its effect may still come to light.
                Ok(Trace::NotThere) if age < settle => continue,
                Ok(Trace::NotThere) => self.part_there(&action).await,
                found => found.map(|found| (found, None)),
            };
            let (outcome, part, gain) = match found {
                Ok((Trace::There(gain), part)) if quiet || age >= settle => (Outcome::FoundDone, part, gain),
                Ok((Trace::There(_), _)) => continue,
                Ok((Trace::NotThere | Trace::Gone, _)) => (Outcome::FoundNotDone, None, Gain::Nothing),
                Err(error) => {
                    tracing::debug!(error = error.reason, "how an action ended cannot be found out yet");
                    unseen += 1;
                    continue;
                }
            };
            let done = part.as_ref().unwrap_or(&action);
            let _ = self.conclude(id, done, outcome, Ok(gain), Duration::ZERO).await;
        }
        self.tell_open();
        unseen
    }

    /// How many actions have no outcome, and are not being done.
    fn count_open(&self) -> usize {
        self.memory().open.values().filter(|open| !open.running).count()
    }

    /// Tells how many actions have no outcome yet.
    fn tell_open(&self) {
        let open = self.count_open();
        self.progress.send_if_modified(|progress| {
            let changed = progress.open != open;
            progress.open = open;
            changed
        });
    }

    /// Looks at each tag of an action that is not there as a whole. A call changes all of its tags or none, so where one is
    /// as it should be, it was done, and somebody else has changed the others since. What is left of it is ours: taken for
    /// another's, it would stay on the node for ever.
    async fn part_there(&self, action: &Action) -> Result<(Trace, Option<Action>), EffectError> {
        let keys = action.tag_keys();
        let mut there = Vec::new();
        if keys.len() > 1 {
            for key in keys {
                match self.hands.trace(&action.only(std::slice::from_ref(&key))).await? {
                    Trace::There(_) => there.push(key),
                    Trace::NotThere => {}
                    Trace::Gone => return Ok((Trace::Gone, None)),
                }
            }
        }
        if there.is_empty() {
            return Ok((Trace::NotThere, None));
        }
        Ok((Trace::There(Gain::Nothing), Some(action.only(&there))))
    }
}
