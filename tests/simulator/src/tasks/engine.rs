//! Time: operations wait for a place, begin, make progress and end; tasks are told about, and forgotten.

use std::collections::VecDeque;
use std::time::Duration;

use super::refusal::{no_snapshot, not_supported, over};
use super::task::{Maker, Operation, Task, TaskState};
use super::truth::Counts;
use super::{FinishedTask, Job, Later, Run, TaskKind, TaskOutcome, span};
use crate::clock::uptime;
use crate::soap::fault::Fault;
use crate::world::{Change, Entity, Kind, ObjId, World};

/// Progress is told at most so often.
const PROGRESS: Duration = Duration::from_millis(50);
/// A removal takes its snapshots out of the tree when so much is done, in percent.
const TREE: u32 = 10;
/// Somebody's product that finds a VM busy tries again after this time.
const AGAIN: Duration = Duration::from_millis(100);

/// Something that happens at a known moment of an operation.
#[derive(Debug)]
pub(super) enum Step {
    /// Snapshots leave the tree.
    Tree,
    /// The operation fails.
    Fail(Fault),
    /// The task fails while the operation goes on.
    TaskFails(Fault),
    /// The datastore is full.
    Fill,
    Freeze(Option<Duration>),
    Move {
        host: Option<ObjId>,
        datastore: Option<ObjId>,
    },
    Vanish,
    Restart,
    Done,
}

/// What is to be done outside of the inventory after something ended.
#[derive(Debug)]
pub(crate) enum Aftermath {
    /// vCenter restarts.
    Restart,
    /// The guest is gone with all that ran in it.
    Stopped(ObjId),
    /// The guest starts.
    Started(ObjId),
    /// The guest is as it was when a snapshot was made, and does not run unless it is started.
    Reverted { vm: ObjId, snapshot: u32 },
    /// A snapshot has the state of the guest.
    Saved { vm: ObjId, snapshot: u32 },
    /// These snapshots are gone.
    Forgotten(Vec<u32>),
    /// Nothing in the guest answers.
    Frozen(ObjId),
    /// It answers again.
    Thawed(ObjId),
}

/// What came of a call that asks for a task.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) task: ObjId,
    /// The answer is to be lost.
    pub(crate) lost: bool,
    /// Whether an operation was begun; else the task has failed already.
    pub(crate) accepted: bool,
}

impl World {
    /// Makes a task of what somebody asks for. Where it cannot be done, the task has failed already, or the call fails,
    /// as the settings say.
    pub(crate) fn submit(
        &mut self,
        vm: ObjId,
        operation: Operation,
        by: Maker,
        hold: Option<Duration>,
    ) -> Result<Submitted, Fault> {
        let fault = self.busy(vm).or_else(|| self.refusal(vm, &operation));
        if let Some(fault) = fault.as_ref().filter(|_| self.tasks.rules.faults_at_call) {
            return Err(fault.clone());
        }
        let (name, description_id) = operation.names();
        let (num, now) = (self.fresh(), self.now());
        let id = ObjId::new(Kind::Task, num);
        let task = Task {
            name,
            description_id,
            entity: vm,
            entity_name: self.get(vm).map(|entity| entity.name.clone()).unwrap_or_default(),
            state: TaskState::Queued,
            cancelled: false,
            cancelable: true,
            error: None,
            result: None,
            progress: None,
            user: by.user.clone(),
            queued: now,
            started: None,
            completed: None,
        };
        self.tasks.known.insert(num, task);
        self.log.push(Change::Created(id));
        self.recent_changed(vm);
        let kind = operation.kind();
        let lost = fault.is_none() && self.answer_is_lost(vm, kind);
        let outcome = if fault.is_some() { None } else { self.draw(vm, &operation) };
        let job = Job {
            vm,
            operation,
            by,
            task: num,
            queued: now,
            outcome,
            hold,
            run: None,
            touched: Vec::new(),
            removed: Vec::new(),
            filled: None,
        };
        let accepted = fault.is_none();
        if let Some(fault) = fault {
            self.finish(job, &Err(fault), uptime());
        } else {
            self.tasks.last_job += 1;
            self.tasks.jobs.insert(self.tasks.last_job, job);
            self.tasks.fresh = true;
            let pending = self.count(|_| true);
            self.tasks.pending.reach(&pending);
        }
        Ok(Submitted { task: id, lost, accepted })
    }

    /// The task of somebody else's product; `None`, and no task, when it cannot be done.
    pub(crate) fn submit_foreign(
        &mut self,
        vm: ObjId,
        operation: Operation,
        user: &str,
        hold: Option<Duration>,
    ) -> Option<ObjId> {
        if self.busy(vm).is_some() || self.refusal(vm, &operation).is_some() {
            return None;
        }
        let by = Maker { user: user.to_owned(), session: None, foreign: true };
        self.submit(vm, operation, by, hold).ok().map(|made| made.task)
    }

    fn recent_changed(&mut self, vm: ObjId) {
        self.log.push(Change::Modified(vm, &["recentTask"]));
        self.log.push(Change::Modified(ObjId::TASK_MANAGER, &["recentTask"]));
    }

    /// The outcome that a script has for an operation. Those that would not fit are not used up by it.
    fn draw(&mut self, vm: ObjId, operation: &Operation) -> Option<TaskOutcome> {
        let quiesced = matches!(operation, Operation::Create { quiesce: true, .. }) && self.can_quiesce(vm);
        let kind = operation.kind();
        self.hit(vm, kind, |outcome| match outcome {
            TaskOutcome::QuiesceFails | TaskOutcome::GuestFrozen { .. } => quiesced,
            TaskOutcome::ConsolidationNeeded { .. } => kind.removes(),
            TaskOutcome::DatastoreFull => kind.is_on_disks(),
            TaskOutcome::AnswerLost => false,
            _ => true,
        })
    }

    fn answer_is_lost(&mut self, vm: ObjId, kind: TaskKind) -> bool {
        self.hit(vm, kind, |outcome| *outcome == TaskOutcome::AnswerLost).is_some()
    }

    /// The first script that hits. Every one that matches counts the task.
    fn hit(&mut self, vm: ObjId, kind: TaskKind, fits: impl Fn(&TaskOutcome) -> bool) -> Option<TaskOutcome> {
        let mut hit = None;
        let tasks = &mut self.tasks;
        for armed in &mut tasks.scripts {
            let script = &armed.script;
            if armed.vm.is_some_and(|one| one != vm)
                || script.task.is_some_and(|one| one != kind)
                || !fits(&script.outcome)
                || (script.chance < 100 && !tasks.dice.chance(script.chance))
            {
                continue;
            }
            armed.seen = armed.seen.saturating_add(1);
            let due = armed.seen > script.skip
                && (script.times == 0 || armed.seen <= script.skip.saturating_add(script.times));
            if due && hit.is_none() {
                hit = Some(script.outcome.clone());
            }
        }
        hit
    }

    /// Counts operations on disks that are not foreign.
    fn count(&self, wanted: impl Fn(&Job) -> bool) -> Counts {
        let mut counts = Counts::default();
        for job in self
            .tasks
            .jobs
            .values()
            .filter(|job| job.operation.kind().is_on_disks() && !job.by.foreign && wanted(job))
        {
            let (datastores, host) = self.places(job);
            counts.count(&datastores, host);
        }
        counts
    }

    /// Where a job works: where it began, or where it would.
    fn places(&self, job: &Job) -> (Vec<ObjId>, Option<ObjId>) {
        match &job.run {
            Some(run) => (run.datastores.clone(), run.host),
            None => match self.get(job.vm).and_then(Entity::vm) {
                Some(vm) => (vm.datastores.clone(), vm.host),
                None => (Vec::new(), None),
            },
        }
    }

    /// The next moment at which [`Self::tick`] has something to do; `None`: never, unless somebody asks for something.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let tasks = &self.tasks;
        if tasks.fresh || tasks.jobs.values().any(|job| self.get(job.vm).is_none()) {
            return Some(Duration::ZERO);
        }
        let runs = tasks.jobs.values().filter_map(|job| job.run.as_ref());
        let steps = runs
            .flat_map(|run| run.steps.front().map(|(due, _)| *due).into_iter().chain([run.next_progress]));
        let later = tasks.later.iter().map(|(due, _)| *due);
        let expiry = tasks.over.front().map(|(ended, _)| ended.saturating_add(tasks.rules.retention));
        let growth = tasks.disks.grow().then(|| tasks.grown + tasks.rules.growth_every);
        steps.chain(later).chain(expiry).chain(growth).min()
    }

    /// Does everything that is due.
    pub(crate) fn tick(&mut self, now: Duration) -> Vec<Aftermath> {
        let mut after = Vec::new();
        self.tasks.fresh = false;
        self.grow(now);
        self.do_later(now, &mut after);
        let ids: Vec<u64> = self.tasks.jobs.keys().copied().collect();
        for id in ids {
            self.advance(id, now, &mut after);
        }
        self.begin_waiting(now);
        let retention = self.tasks.rules.retention;
        while self.tasks.over.front().is_some_and(|(ended, _)| ended.saturating_add(retention) <= now) {
            if let Some((_, num)) = self.tasks.over.pop_front() {
                self.forget(num);
            }
        }
        after
    }

    fn grow(&mut self, now: Duration) {
        for vm in self.tasks.disks.vms() {
            if self.get(vm).is_none() {
                self.move_space(vm, None);
            }
        }
        let every = self.tasks.rules.growth_every;
        if !self.tasks.disks.grow() {
            // What has just begun grows from then on.
            self.tasks.grown = now;
        } else if now >= self.tasks.grown + every {
            let passed = now.saturating_sub(self.tasks.grown);
            self.tasks.grown = now;
            let milliseconds = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            let bytes = self.tasks.rules.growth.saturating_mul(milliseconds) / 1000;
            self.grow_deltas(bytes);
        }
    }

    fn do_later(&mut self, now: Duration, after: &mut Vec<Aftermath>) {
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.tasks.later).into_iter().partition(|(due, _)| *due <= now);
        self.tasks.later = rest;
        for (_, later) in due {
            match later {
                Later::Thaw(vm) => {
                    // It may be off or gone meanwhile.
                    let on = self.get(vm).and_then(Entity::vm).is_some_and(|vm| vm.boot_time.is_some());
                    if on && self.set_guest(vm, None, None, Some(true)).is_ok() {
                        after.push(Aftermath::Thawed(vm));
                    }
                }
                Later::RemoveSnapshot { vm, snapshot, by } => {
                    let operation = Operation::Remove { snapshot, children: false, consolidate: true };
                    if self.busy(vm).is_some() {
                        self.tasks.later.push((now + AGAIN, Later::RemoveSnapshot { vm, snapshot, by }));
                    } else if self.refusal(vm, &operation).is_none() {
                        // Whatever hinders it now, the product gives up.
                        let _ = self.submit(vm, operation, by, None);
                    }
                }
            }
        }
    }

    /// Does what is due of one job.
    fn advance(&mut self, id: u64, now: Duration, after: &mut Vec<Aftermath>) {
        let Some(mut job) = self.tasks.jobs.remove(&id) else { return };
        if self.get(job.vm).is_none() {
            let gone = Fault::no_such_object("VirtualMachine", &job.vm.to_string());
            return self.finish(job, &Err(gone), now);
        }
        while let Some(run) = job.run.as_mut() {
            if run.steps.front().is_none_or(|(due, _)| *due > now) {
                break;
            }
            let Some((_, step)) = run.steps.pop_front() else { break };
            match self.step(step, &mut job, now, after) {
                None => {}
                Some(result) => return self.finish(job, &result, now),
            }
        }
        if let Some(run) = job.run.as_mut().filter(|run| run.next_progress <= now) {
            let whole = run.until.saturating_sub(run.from).as_millis().max(1);
            let percent = now.saturating_sub(run.from).as_millis() * 100 / whole;
            let pause = (run.until.saturating_sub(run.from) / 10).max(PROGRESS);
            run.next_progress = now + pause;
            if let Some(task) = self.tasks.known.get_mut(&job.task).filter(|task| !task.state.is_over()) {
                task.progress = u32::try_from(percent.min(99)).ok();
                self.log.push(Change::Modified(ObjId::new(Kind::Task, job.task), &["info.progress"]));
            }
        }
        self.tasks.jobs.insert(id, job);
    }

    /// Does one step; gives the result of a job that is over by it.
    fn step(
        &mut self,
        step: Step,
        job: &mut Job,
        now: Duration,
        after: &mut Vec<Aftermath>,
    ) -> Option<Result<Option<ObjId>, Fault>> {
        match step {
            Step::Tree => return self.take_out(job).err().map(Err),
            Step::Fail(fault) => return Some(Err(fault)),
            Step::TaskFails(fault) => {
                self.end_task(job.task, &Err(fault), now);
            }
            Step::Fill => {
                let datastore = self.home_of(job.vm);
                let taken = self.take_space(datastore, u64::MAX);
                job.filled = datastore.map(|datastore| (datastore, taken));
            }
            Step::Freeze(thaw) => {
                // It exists.
                let _ = self.set_guest(job.vm, None, None, Some(false));
                if let Some(thaw) = thaw {
                    self.tasks.later.push((now + thaw, Later::Thaw(job.vm)));
                }
                after.push(Aftermath::Frozen(job.vm));
            }
            Step::Move { host, datastore } => {
                // What it should move to may be gone; then it stays.
                if let Some(host) = host {
                    let _ = self.migrate(job.vm, host);
                }
                if let Some(datastore) = datastore {
                    let _ = self.relocate(job.vm, datastore);
                }
            }
            Step::Vanish => {
                let _ = self.remove(job.vm);
                let gone = Fault::no_such_object("VirtualMachine", &job.vm.to_string());
                return Some(Err(gone));
            }
            Step::Restart => after.push(Aftermath::Restart),
            Step::Done => return Some(self.complete(job, after)),
        }
        None
    }

    /// Begins what has a place, in the order in which it was asked for.
    fn begin_waiting(&mut self, now: Duration) {
        let waiting: Vec<u64> =
            self.tasks.jobs.iter().filter(|(_, job)| job.run.is_none()).map(|(id, _)| *id).collect();
        if waiting.is_empty() {
            return;
        }
        let mut used = Counts::default();
        for job in self.tasks.jobs.values().filter(|job| job.run.is_some()) {
            if let Some(run) = job.run.as_ref().filter(|_| job.operation.kind().is_on_disks()) {
                used.count(&run.datastores, run.host);
            }
        }
        for id in waiting {
            let Some(job) = self.tasks.jobs.get(&id) else { continue };
            let (datastores, host) = self.places(job);
            if job.operation.kind().is_on_disks() {
                let rules = &self.tasks.rules;
                let full = |used: Option<&usize>, depth| used.copied().unwrap_or(0) >= depth;
                let mut stores = datastores.iter();
                if used.vcenter >= rules.vcenter_depth
                    || stores.any(|id| full(used.datastores.get(id), rules.datastore_depth))
                    || host.is_some_and(|id| full(used.hosts.get(&id), rules.host_depth))
                {
                    continue;
                }
                used.count(&datastores, host);
            }
            self.begin(id, now, datastores, host);
        }
        let running = self.count(|job| job.run.is_some());
        self.tasks.running.reach(&running);
    }

    fn begin(&mut self, id: u64, now: Duration, datastores: Vec<ObjId>, host: Option<ObjId>) {
        let Some(mut job) = self.tasks.jobs.remove(&id) else { return };
        // The world may have changed while it waited.
        if let Some(fault) = self.refusal(job.vm, &job.operation) {
            return self.finish(job, &Err(fault), now);
        }
        let started = self.now();
        let kind = job.operation.kind();
        let usual = Duration::from_millis(kind.usual());
        let usual = self.tasks.rules.durations.get(&kind).copied().unwrap_or(usual);
        let jitter = self.tasks.rules.jitter;
        let percent = 100 - jitter + self.tasks.dice.between(0, 2 * jitter);
        let length = usual * percent / 100;
        let (until, mut steps) = self.plan(&job, now, length);
        if kind.removes() {
            steps.push((now + length * TREE / 100, Step::Tree));
        }
        // Stable: what fails at the same moment at which something else happens, fails after it. A removal that fails at
        // once changes nothing.
        steps.sort_by_key(|(due, step)| (*due, matches!(step, Step::Done)));
        let pause = (until.saturating_sub(now) / 10).max(PROGRESS);
        job.run = Some(Run {
            from: now,
            until,
            started,
            datastores,
            host,
            next_progress: now + pause,
            steps: VecDeque::from(steps),
        });
        let cancelable = job.operation.is_cancelable();
        if let Some(task) = self.tasks.known.get_mut(&job.task) {
            task.state = TaskState::Running;
            task.started = Some(started);
            task.cancelable = cancelable;
            task.progress = Some(0);
            let paths = &["info.state", "info.startTime", "info.cancelable", "info.progress"];
            self.log.push(Change::Modified(ObjId::new(Kind::Task, job.task), paths));
        }
        self.tasks.jobs.insert(id, job);
    }

    /// When an operation that takes `length` ends, and what happens before.
    fn plan(&mut self, job: &Job, now: Duration, length: Duration) -> (Duration, Vec<(Duration, Step)>) {
        let at = |percent: u32| now + length * percent.min(100) / 100;
        let mut until = now + length;
        let mut steps = match &job.outcome {
            None | Some(TaskOutcome::AnswerLost | TaskOutcome::ConsolidationNeeded { .. }) => Vec::new(),
            Some(TaskOutcome::Fails { fault, percent }) => {
                vec![(at(*percent), Step::Fail(self.fault_by_name(fault, job.vm)))]
            }
            Some(TaskOutcome::QuiesceFails) => vec![(at(30), Step::Fail(self.not_quiesced(job.vm)))],
            Some(TaskOutcome::GuestFrozen { thaw_after_ms }) => {
                let fault = self.not_quiesced(job.vm);
                let thaw = thaw_after_ms.map(span);
                vec![(at(30), Step::Freeze(thaw)), (at(60), Step::Fail(fault))]
            }
            Some(TaskOutcome::DatastoreFull) => {
                vec![(at(50), Step::Fill), (at(75), Step::Fail(self.no_space(job.vm)))]
            }
            Some(TaskOutcome::Slow { extra_ms }) => {
                until += span(*extra_ms);
                Vec::new()
            }
            Some(TaskOutcome::TimesOut { extra_ms }) => {
                let fault = Fault::new("Timedout", "Operation timed out.");
                let steps = vec![(until, Step::TaskFails(fault))];
                until += span(*extra_ms);
                steps
            }
            Some(TaskOutcome::VmMoves { host, datastore }) => {
                let mut host = host.as_deref().and_then(ObjId::parse);
                let datastore = datastore.as_deref().and_then(ObjId::parse);
                if host.is_none() && datastore.is_none() {
                    host = self.another_host(job.vm);
                }
                vec![(at(50), Step::Move { host, datastore })]
            }
            Some(TaskOutcome::VmVanishes) => vec![(at(50), Step::Vanish)],
            Some(TaskOutcome::VcenterRestarts) => vec![(at(50), Step::Restart)],
        };
        steps.push((until, Step::Done));
        (until, steps)
    }

    /// Another host of the same cluster.
    fn another_host(&mut self, vm: ObjId) -> Option<ObjId> {
        let here = self.get(vm).and_then(Entity::vm)?.host?;
        let compute = self.get(here)?.parent?;
        let others: Vec<ObjId> = match &self.get(compute)?.body {
            crate::world::Body::Compute(compute) => {
                compute.hosts.iter().copied().filter(|host| *host != here).collect()
            }
            _ => Vec::new(),
        };
        if others.is_empty() { None } else { Some(*self.tasks.dice.pick(&others)) }
    }

    /// A job is over: its task says so, the log of the truth too.
    fn finish(&mut self, mut job: Job, result: &Result<Option<ObjId>, Fault>, now: Duration) {
        if let Some((datastore, bytes)) = job.filled.take() {
            self.give_space(Some(datastore), bytes);
        }
        // What a removal that fails took out of the tree is not merged.
        self.settle_disks(&mut job, false);
        let cancelled = self.tasks.known.get(&job.task).is_some_and(|task| task.cancelled);
        self.end_task(job.task, result, now);
        if let (Ok(Some(snapshot)), Some(hold)) = (result, job.hold) {
            let later = Later::RemoveSnapshot { vm: job.vm, snapshot: snapshot.num, by: job.by.clone() };
            self.tasks.later.push((now + hold, later));
        }
        let outcome = match result {
            Ok(_) => "success".to_owned(),
            Err(_) if cancelled => "cancelled".to_owned(),
            Err(fault) => fault.name.clone(),
        };
        self.write_down(job, outcome);
    }

    fn write_down(&mut self, job: Job, outcome: String) {
        let time = self.now();
        let finished = &mut self.tasks.truth.finished;
        finished.push(FinishedTask {
            seq: finished.len() as u64 + 1,
            time,
            task: ObjId::new(Kind::Task, job.task).to_string(),
            kind: job.operation.kind(),
            vm: job.vm.to_string(),
            by: job.by,
            queued: job.queued,
            started: job.run.map(|run| run.started),
            snapshots: job.touched,
            outcome,
        });
    }

    /// A task says how it ended, unless it has said so before or is forgotten.
    fn end_task(&mut self, num: u32, result: &Result<Option<ObjId>, Fault>, now: Duration) {
        let time = self.now();
        let Some(task) = self.tasks.known.get_mut(&num).filter(|task| !task.state.is_over()) else { return };
        match result {
            Ok(made) => {
                task.state = TaskState::Success;
                task.result = *made;
            }
            Err(fault) => {
                task.state = TaskState::Error;
                task.error = Some(fault.clone());
            }
        }
        task.progress = None;
        task.cancelable = false;
        task.started.get_or_insert(time);
        task.completed = Some(time);
        let at = self.tasks.over.partition_point(|(other, _)| *other <= now);
        self.tasks.over.insert(at, (now, num));
        self.log.push(Change::Modified(ObjId::new(Kind::Task, num), &["info"]));
    }

    /// vCenter does not know a task any more.
    fn forget(&mut self, num: u32) {
        if let Some(task) = self.tasks.known.remove(&num) {
            self.log.push(Change::Removed(ObjId::new(Kind::Task, num), None));
            self.recent_changed(task.entity);
        }
    }

    /// CancelTask: what waits, or can be cancelled while it runs, ends at once.
    pub(crate) fn cancel(&mut self, task: ObjId) -> Result<(), Fault> {
        let missing = || Fault::no_such_object("Task", &task.to_string());
        let known =
            self.tasks.known.get_mut(&task.num).filter(|_| task.kind == Kind::Task).ok_or_else(missing)?;
        if known.state.is_over() {
            return Err(over());
        }
        if !known.cancelable {
            return Err(not_supported());
        }
        known.cancelled = true;
        let job = self.tasks.jobs.iter().find(|(_, job)| job.task == task.num).map(|(id, _)| *id);
        if let Some(job) = job.and_then(|id| self.tasks.jobs.remove(&id)) {
            self.finish(job, &Err(Fault::request_canceled()), uptime());
            // Somebody else has a place now.
            self.tasks.fresh = true;
        }
        Ok(())
    }

    /// vCenter restarts: it forgets all tasks and what it had not begun. The hosts go on.
    pub(crate) fn forget_tasks(&mut self) {
        let waiting: Vec<u64> =
            self.tasks.jobs.iter().filter(|(_, job)| job.run.is_none()).map(|(id, _)| *id).collect();
        for id in waiting {
            if let Some(job) = self.tasks.jobs.remove(&id) {
                self.write_down(job, "lost".to_owned());
            }
        }
        let known: Vec<u32> = self.tasks.known.keys().copied().collect();
        for num in known {
            self.forget(num);
        }
        self.tasks.over.clear();
    }

    /// A snapshot that a call names, and its VM.
    pub(crate) fn find_snapshot(&self, id: ObjId) -> Result<(ObjId, u32), Fault> {
        self.vm_of_snapshot(id).map(|vm| (vm, id.num)).ok_or_else(|| no_snapshot(id.num))
    }
}
