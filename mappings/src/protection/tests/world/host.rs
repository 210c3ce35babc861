//! What hosts and vCenters do with calls: take them, refuse them, lose their answers, and be done with them some time.

use super::*;

impl World {
    pub(super) fn happen(&mut self, what: What) -> Result<(), Broken> {
        match what {
            What::Opens(run) => self.opens(run)?,
            What::Closes(run) => {
                self.write_all(run, "closes");
            }
            What::CallEnds(vm, number) => self.call_ends(vm, number)?,
            What::Trace(vm, number) => self.trace(vm, number),
            What::OpEnds(vm, number) => self.op_ends(vm, number),
            What::Told(vm, task, is_first) => self.told(vm, task, is_first),
            What::Settle(vm, task) => self.settle(vm, task),
            What::Ghost(vm, mark, run, max_age) => self.ghost(vm, &mark, run, max_age),
            What::BackupEnds(vm) => {
                let vm = &mut self.vms[vm];
                vm.backup = false;
                vm.hindered = self.now;
                if let Some(shot) = vm.tree.shots.iter().find(|shot| shot.owner == Owner::Backup) {
                    let id = shot.id.clone();
                    vm.tree.remove(&id);
                }
            }
            What::Idle(vm) => (self.vms[vm].busy, self.vms[vm].hindered) = (false, self.now),
            What::Up(vcenter) => self.up(vcenter),
            What::Trouble => self.trouble()?,
            What::Person => self.person()?,
            What::Restart => self.restart(),
            What::Wake => {}
        }
        Ok(())
    }

    fn write_all(&mut self, run: usize, what: &str) {
        if let Some(vm) = self.watch
            && self
                .runs_of
                .iter()
                .zip(&self.members)
                .any(|(runs, members)| runs.contains(&run) && members.contains(&vm))
        {
            self.write(vm, || format!("window {run} {what}"));
        }
    }

    pub(super) fn count(&mut self, vm: usize, act: Act, more: bool) {
        if act == Act::PowerOn {
            return;
        }
        let is_take = matches!(act, Act::Create | Act::Revert);
        let place = self.vms[vm].place.clone();
        let mut datastores = place.datastores;
        datastores.sort();
        datastores.dedup();
        let all = datastores.into_iter().map(|store| (0, store));
        for (kind, resource) in all.chain(place.host.map(|host| (1, host))).chain([(2, place.vcenter)]) {
            let count = self.at_work.entry((is_take, kind, resource)).or_default();
            *count = if more { *count + 1 } else { *count - 1 };
        }
    }

    /// The engine calls.
    pub(super) fn begin(&mut self, vm: usize, act: Act, record: Record) -> Result<(), Broken> {
        self.write(vm, || format!("begin {act:?} of {} {:?}", record.id, record.snapshot));
        self.may_begin(vm, act, &record)?;
        self.number += 1;
        let number = self.number;
        self.count(vm, act, true);
        self.within_limits(vm, act)?;
        // What is written down before the call, so that it is found again.
        self.vms[vm].call = Some(Call { number, act, record, lost: false });
        let takes = self.dice.between(1, 4);
        self.later(secs(takes), What::CallEnds(vm, number));
        Ok(())
    }

    fn call_ends(&mut self, at: usize, number: u64) -> Result<(), Broken> {
        let Some(call) = self.vms[at].call.clone().filter(|call| call.number == number) else {
            return Ok(());
        };
        let faults = self.shape.faults;
        let is_down = self.is_down(at);
        let is_lost = call.lost || is_down || (faults && self.dice.percent(4));
        let vm = &self.vms[at];
        let has_snapshot = call.record.snapshot.as_ref().is_none_or(|id| vm.tree.find(id).is_some());
        let is_missing = matches!(call.act, Act::Remove | Act::Revert) && !has_snapshot;
        let is_refused = !vm.alive
            || is_missing
            || (is_lost && self.dice.percent(50))
            || (vm.backup && self.dice.percent(60))
            || (faults && self.dice.percent(5));
        if call.act == Act::PowerOn && self.vms[at].on && !is_lost {
            self.answer(at, &call, &[Event::Succeeded]);
            return Ok(());
        }
        if is_refused {
            self.count(at, call.act, false);
            self.vms[at].hindered = self.now;
            if is_lost && call.act == Act::Create && self.dice.percent(40) && self.vms[at].alive {
                // It was on its way all the same.
                let after = mins(self.dice.between(2, 50));
                let run = self.run_of(&call.record);
                self.later(after, What::Ghost(at, call.record.id.clone(), run, call.record.keep.max_age));
            }
            if !is_lost {
                let trouble = self.a_trouble("taskInProgress", false);
                self.answer(at, &call, &[Event::Failed(trouble)]);
                return Ok(());
            }
        } else {
            self.accept(at, &call);
            if !is_lost {
                let task = self.vms[at].op.as_ref().map(|op| op.task.clone()).unwrap();
                self.answer(at, &call, &[Event::Started { task }]);
                return Ok(());
            }
        }
        self.counts.lost += 1;
        self.write(at, || format!("the answer is lost: {:?}", call.act));
        if let Some(call) = &mut self.vms[at].call {
            call.lost = true;
        }
        self.later(secs(60), What::Trace(at, number));
        Ok(())
    }

    fn a_trouble(&mut self, word: &str, quiescing: bool) -> Trouble {
        let passes = self.dice.percent(85);
        Trouble { word: word.into(), sentence: word.into(), fix: None, passes, quiescing }
    }

    pub(super) fn run_of(&self, record: &Record) -> Option<usize> {
        record.run.as_ref().map(|run| self.index[&(run.window.clone(), run.opens)])
    }

    /// A host begins with it.
    fn accept(&mut self, at: usize, call: &Call) {
        self.number += 1;
        let number = self.number;
        let faults = self.shape.faults;
        let usual = self.vms[at].takes;
        let takes = match call.act {
            // Those of one datastore stand in each other's way.
            Act::Create if faults && self.dice.percent(20) => usual * 3,
            Act::Create => usual,
            Act::Remove | Act::Consolidate if faults && self.dice.percent(4) => {
                mins(self.dice.between(60, 360))
            }
            Act::Remove | Act::Consolidate => secs(self.dice.between(20, 500)),
            Act::Revert => secs(self.dice.between(10, 120)),
            Act::PowerOn => secs(self.dice.between(5, 30)),
        };
        let task: TaskId = format!("task-{number}").into();
        self.vms[at].op = Some(Op {
            number,
            task,
            act: call.act,
            record: call.record.clone(),
            quiesce: call.record.quiesce,
        });
        self.later(takes, What::OpEnds(at, number));
    }

    /// The engine has its answer, and writes down what it makes of the record that it began with.
    fn answer(&mut self, at: usize, call: &Call, events: &[Event]) {
        let now = self.now;
        let record =
            events.iter().fold(call.record.clone(), |record, event| record.after(event.clone(), now));
        self.write(at, || format!("answer to {:?}: {:?}", call.act, record.stage));
        self.vms[at].call = None;
        self.put(at, record);
    }

    /// What became of a call without an answer?
    fn trace(&mut self, at: usize, number: u64) {
        let Some(call) = self.vms[at].call.clone().filter(|call| call.number == number) else { return };
        let vm = &self.vms[at];
        let shot = vm.tree.shots.iter().find(|shot| shot.mark.as_ref() == Some(&call.record.id));
        if self.is_down(at) {
            return self.later(secs(60), What::Trace(at, number));
        }
        let events = if !vm.alive {
            vec![Event::VmGone]
        } else if let (Act::Create, Some(shot)) = (call.act, shot) {
            vec![Event::Created { snapshot: shot.id.clone(), created: shot.created }]
        } else if let Some(op) = &vm.op {
            if call.act == Act::Create || op.act != call.act {
                return self.later(secs(30), What::Trace(at, number));
            }
            vec![Event::Started { task: op.task.clone() }]
        } else {
            let is_gone = call.record.snapshot.as_ref().is_none_or(|id| vm.tree.find(id).is_none());
            match call.act {
                Act::Create => vec![Event::NotDone],
                Act::Remove if is_gone => vec![Event::Started { task: "none".into() }, Event::Succeeded],
                Act::PowerOn if vm.on => vec![Event::Succeeded],
                _ => Vec::new(),
            }
        };
        if events.is_empty() {
            self.write(at, || format!("{:?} was not done", call.act));
            self.vms[at].call = None;
            return;
        }
        self.answer(at, &call, &events);
    }

    /// A host is done with it.
    fn op_ends(&mut self, at: usize, number: u64) {
        let Some(op) = self.vms[at].op.take_if(|op| op.number == number) else { return };
        self.count(at, op.act, false);
        let faults = self.shape.faults;
        let event = match op.act {
            Act::Create => self.created(at, &op),
            Act::Remove | Act::Consolidate if self.vms[at].locked_until > self.now => {
                self.vms[at].hindered = self.now;
                Event::Failed(self.a_trouble("locked", false))
            }
            Act::Remove => self.removed(at, &op),
            Act::Consolidate => {
                // Some say that they are done, and are not.
                self.vms[at].tree.left_over = faults && self.dice.percent(10);
                Event::Succeeded
            }
            Act::Revert if faults && self.dice.percent(15) => Event::Failed(self.a_trouble("busy", false)),
            Act::Revert => {
                let vm = &mut self.vms[at];
                let target = op.record.snapshot.clone().filter(|id| vm.tree.find(id).is_some());
                match target {
                    Some(target) => {
                        vm.tree.current = Some(target);
                        vm.on = false;
                        self.counts.reverted += 1;
                        Event::Succeeded
                    }
                    None => Event::Failed(self.a_trouble("notFound", false)),
                }
            }
            Act::PowerOn if faults && self.dice.percent(15) => Event::Failed(self.a_trouble("noHost", false)),
            Act::PowerOn => {
                self.vms[at].on = true;
                Event::Succeeded
            }
        };
        self.write(at, || format!("{} {:?} ends: {event:?}", op.task, op.act));
        if matches!(event, Event::Failed(_)) {
            self.vms[at].hindered = self.now;
        }
        self.answers.insert(op.task.clone(), event);
        let wait = self.dice.between(1, 2);
        self.later(secs(wait), What::Told(at, op.task, true));
    }

    fn created(&mut self, at: usize, op: &Op) -> Event {
        let faults = self.shape.faults;
        let run = self.run_of(&op.record);
        if faults && op.quiesce && self.dice.percent(6) {
            return Event::Failed(self.a_trouble("quiesce", true));
        }
        if faults && self.dice.percent(4) {
            return Event::Failed(self.a_trouble("space", false));
        }
        if faults && self.dice.percent(5) {
            // It is told that it took too long, and goes on.
            let after = mins(self.dice.between(1, 120));
            self.later(after, What::Ghost(at, op.record.id.clone(), run, op.record.keep.max_age));
            return Event::Failed(self.a_trouble("timedOut", false));
        }
        let (snapshot, created) = self.add_ours(at, op.record.id.clone(), run, op.record.keep.max_age);
        Event::Created { snapshot, created }
    }

    fn add_ours(
        &mut self,
        at: usize,
        mark: RecordId,
        run: Option<usize>,
        max_age: SignedDuration,
    ) -> (SnapshotId, Timestamp) {
        self.number += 1;
        let id: SnapshotId = format!("snapshot-{}", self.number).into();
        self.counts.taken += 1;
        if let Some(run) = run {
            self.vms[at].taken.entry(run).or_insert(self.now);
        }
        let shot = Shot {
            id: id.clone(),
            owner: Owner::Ours(run),
            created: self.now,
            mark: Some(mark),
            parent: None,
            limit: self.now + max_age,
        };
        self.vms[at].tree.add(shot);
        (id, self.now)
    }

    /// A snapshot that nobody waits for any more is there.
    fn ghost(&mut self, at: usize, mark: &RecordId, run: Option<usize>, max_age: SignedDuration) {
        if self.vms[at].alive {
            let (id, _) = self.add_ours(at, mark.clone(), run, max_age);
            self.counts.late += 1;
            self.write(at, || format!("{id} of {mark} comes late"));
        }
    }

    fn removed(&mut self, at: usize, op: &Op) -> Event {
        let faults = self.shape.faults;
        if faults && self.dice.percent(8) {
            return Event::Failed(self.a_trouble("busy", false));
        }
        if faults && self.dice.percent(2) {
            // It says so, and is still there.
            self.vms[at].hindered = self.now;
            return Event::Succeeded;
        }
        self.counts.removed += 1;
        let left_over = faults && self.dice.percent(10);
        let fails = left_over && self.dice.percent(50);
        let vm = &mut self.vms[at];
        if let Some(id) = &op.record.snapshot {
            vm.tree.remove(id);
        }
        vm.tree.left_over |= left_over;
        if fails { Event::Failed(self.a_trouble("consolidation", false)) } else { Event::Succeeded }
    }

    /// The engine hears of a task that ended, if its vCenter still knows of it.
    fn told(&mut self, at: usize, task: TaskId, is_first: bool) {
        if self.is_down(at) {
            return self.later(secs(120), What::Told(at, task, false));
        }
        // One that ended while nobody could read it is forgotten ten minutes later, and so is all when vCenter restarts.
        if !is_first || self.vanished.remove(&task) {
            self.counts.vanished += 1;
            return self.later(secs(60), What::Settle(at, task));
        }
        let Some(event) = self.answers.remove(&task) else { return };
        self.tell(at, &task, event);
    }

    fn tell(&mut self, at: usize, task: &TaskId, event: Event) {
        let now = self.now;
        let vm = &mut self.vms[at];
        let Some(record) = vm.records.values_mut().find(|record| record.stage.task() == Some(task)) else {
            return;
        };
        *record = record.after(event, now);
        let told = format!("{task} told: {:?}", record.stage);
        self.write(at, || told);
    }

    /// The task is not known any more: the VM itself has to tell.
    fn settle(&mut self, at: usize, task: TaskId) {
        self.answers.remove(&task);
        let vm = &self.vms[at];
        let Some(record) = vm.records.values().find(|record| record.stage.task() == Some(&task)) else {
            return;
        };
        if self.is_down(at) || vm.op.is_some() {
            return self.later(secs(60), What::Settle(at, task));
        }
        let shot = vm.tree.shots.iter().find(|shot| shot.mark.as_ref() == Some(&record.id));
        let is_gone = record.snapshot.as_ref().is_none_or(|id| vm.tree.find(id).is_none());
        let event = match (&record.stage, shot) {
            _ if !vm.alive => Event::VmGone,
            (Stage::Creating { .. }, Some(shot)) => {
                Event::Created { snapshot: shot.id.clone(), created: shot.created }
            }
            (Stage::Removing { .. }, _) if is_gone => Event::Succeeded,
            (Stage::PoweringOn { .. }, _) if vm.on => Event::Succeeded,
            _ => Event::NotDone,
        };
        self.tell(at, &task, event);
    }

    /// A vCenter can be read again.
    fn up(&mut self, vcenter: usize) {
        if self.vcenters[vcenter].down_until.is_none_or(|until| until > self.now) {
            return;
        }
        self.vcenters[vcenter].down_until = None;
        for vm in 0..self.vms.len() {
            if self.vms[vm].place.vcenter.0 as usize == vcenter {
                self.vms[vm].frozen = None;
                self.vms[vm].hindered = self.now;
            }
        }
    }
}
