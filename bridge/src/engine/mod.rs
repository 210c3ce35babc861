//! The engine: plans, acts, and records what it does.
//!
//! A cycle plans with what is known now and hands what is doable to a few workers. What is waiting is never older than the
//! last plan: a new plan replaces the queue, so nothing is done because of a picture that is no longer true. Before an action
//! its intent is on the disk, after it its outcome; what has no outcome, because the answer was lost or the program was
//! killed, is looked for before anything else is done to the same object. Failures end in the journal and in the next plan,
//! never in the engine.

mod act;
mod assembly;
mod doubts;
mod enrol;
mod guest;
mod hands;
mod people;
mod records;
mod report;
mod snapshot;
#[cfg(test)]
mod tests;
mod vsphere;
mod vsphere_guests;
mod vsphere_snapshots;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
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

use self::work::Work;
use crate::clock::Clock;
use crate::cloud::SharedCloud;
use crate::config::Mode;
use crate::enrol::{Enrolment, Event, Stage};
use crate::fleet::SharedFleet;
use crate::memory::Memory;
use crate::plan::{Action, Capability, Plan, Planned, Policy, PortWanted, View};
use crate::store::{Identity, Step, Store, StoreError, VmId};

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

    /// Enrolments that wait for a program in a guest, or for AWS to show their node.
    #[must_use]
    pub fn waiting_enrolments(&self) -> Vec<(VmId, Enrolment)> {
        let memory = self.0.memory();
        let waits = |stage: Stage| stage.process().is_some() || stage == Stage::Verify;
        let waiting = memory.enrolments.iter().filter(|(_, enrolment)| waits(enrolment.stage));
        waiting.map(|(vm, enrolment)| (vm.clone(), enrolment.clone())).collect()
    }

    /// What the store and the plan know is dropped; the database is closed when the last clone is gone.
    #[must_use]
    pub fn into_store(self) -> Option<S> {
        Arc::into_inner(self.0).map(|inner| inner.store)
    }
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
}
