//! What people and fate do to the world.

use super::*;

impl World {
    fn a_vm(&mut self) -> usize {
        self.dice.index(self.vms.len())
    }

    /// Something goes wrong by itself.
    pub(super) fn trouble(&mut self) -> Result<(), Broken> {
        if self.now >= self.end {
            return Ok(());
        }
        let wait = self.dice.between(1, 3600);
        self.later(secs(wait), What::Trouble);
        let at = self.a_vm();
        let is_idle = self.vms[at].op.is_none() && self.vms[at].call.is_none();
        match self.dice.roll(100) {
            0..=1 => {
                let after = mins(self.dice.between(10, 300));
                self.goes_down(at, after);
            }
            2 => self.restarts(at),
            3..=35 if !self.vms[at].backup && self.vms[at].alive && is_idle => {
                self.number += 1;
                let id: SnapshotId = format!("backup-{}", self.number).into();
                let (created, limit) = (self.now, Timestamp::MAX);
                let shot = Shot { id, owner: Owner::Backup, created, mark: None, parent: None, limit };
                self.vms[at].tree.add(shot);
                self.vms[at].backup = true;
                self.vms[at].hindered = self.now;
                let after = mins(self.dice.between(10, 180));
                self.later(after, What::BackupEnds(at));
            }
            36..=50 => {
                self.vms[at].busy = true;
                let after = mins(self.dice.between(5, 60));
                self.later(after, What::Idle(at));
            }
            51..=60 if is_idle => {
                // It moves to another host and other datastores.
                let vcenter = self.vms[at].place.vcenter.0 as usize;
                self.vms[at].place = place(&mut self.dice, vcenter, self.shape.stores / self.shape.vcenters);
                self.write(at, || "it moves".to_owned());
            }
            61..=62 => self.vanishes(at),
            63..=72 => {
                let after = hours(self.dice.between(1, 90));
                let until = (self.now + after).min(self.end + hours(24));
                self.vms[at].locked_until = until;
                self.write(at, || format!("locked until {until:.0}"));
            }
            73..=80 => self.vms[at].unfit = !self.vms[at].unfit,
            81..=85 => self.vms[at].on = !self.vms[at].on,
            _ => {}
        }
        Ok(())
    }

    fn goes_down(&mut self, at: usize, after: SignedDuration) {
        let vcenter = self.vms[at].place.vcenter;
        let until = self.now + after;
        if self.vcenters[vcenter.0 as usize].down_until.is_some() {
            return;
        }
        self.vcenters[vcenter.0 as usize].down_until = Some(until);
        for vm in self.vms.iter_mut().filter(|vm| vm.place.vcenter == vcenter) {
            vm.frozen = Some(vm.tree.clone());
        }
        self.push(until, What::Up(vcenter.0 as usize));
        if let Some(vm) = self.watch.filter(|vm| self.vms[*vm].place.vcenter == vcenter) {
            self.write(vm, || format!("its vCenter cannot be read until {until:.0}"));
        }
    }

    /// A vCenter restarts amid its tasks: nobody can ask for them any more, and the hosts go on.
    fn restarts(&mut self, at: usize) {
        let vcenter = self.vms[at].place.vcenter;
        let after = mins(self.dice.between(3, 15));
        self.goes_down(at, after);
        for vm in self.vms.iter().filter(|vm| vm.place.vcenter == vcenter) {
            self.vanished.extend(vm.op.iter().map(|op| op.task.clone()));
        }
    }

    fn vanishes(&mut self, at: usize) {
        if self.vms[at].op.take().is_some_and(|op| {
            self.count(at, op.act, false);
            true
        }) {
            self.write(at, || "what was at work is at an end".to_owned());
        }
        // Some of its tasks will never be told of.
        let task = self.vms[at].records.values().find_map(|record| record.stage.task().cloned());
        if let Some(task) = task {
            self.later(secs(90), What::Settle(at, task));
        }
        self.vms[at].alive = false;
        self.write(at, || "it is gone".to_owned());
    }

    /// A person does something.
    pub(super) fn person(&mut self) -> Result<(), Broken> {
        if self.now >= self.end {
            return Ok(());
        }
        let wait = self.dice.between(1, 7200);
        self.later(secs(wait), What::Person);
        let at = self.a_vm();
        if !self.vms[at].alive {
            return Ok(());
        }
        let is_idle = self.vms[at].op.is_none() && self.vms[at].call.is_none();
        let ours = self.vms[at].tree.shots.iter().find(|shot| matches!(shot.owner, Owner::Ours(_))).cloned();
        match (self.dice.roll(10), ours) {
            (0..=1, Some(shot)) if is_idle => {
                self.vms[at].tree.remove(&shot.id);
                self.vms[at].removed = self.now;
                self.vms[at].hindered = self.now;
                self.write(at, || format!("somebody removes {}", shot.id));
            }
            (2..=4, Some(_)) if is_idle => self.wish(at, Wish::Revert),
            (5, Some(_)) if is_idle => self.wish(at, Wish::Remove),
            (6, _) if is_idle && !self.is_down(at) => {
                self.number += 1;
                let keep = Keep { success: mins(self.dice.between(5, 900)), ..Keep::default() };
                let id: RecordId = format!("{at}/asked/{}", self.number).into();
                let record = Record::new(id, self.vms[at].label.clone(), None, keep, self.now);
                self.put(at, record);
                self.write(at, || "somebody asks for a snapshot".to_owned());
            }
            (7, Some(copied)) => self.foreign(at, copied.mark),
            (8, _) => self.foreign(at, None),
            // People clean up too.
            _ if is_idle => {
                let vm = &mut self.vms[at];
                let others = vm.tree.shots.iter().filter(|shot| shot.owner == Owner::Other);
                let all: Vec<SnapshotId> = others.map(|shot| shot.id.clone()).collect();
                all.iter().for_each(|id| vm.tree.remove(id));
                vm.foreign = 0;
            }
            _ => {}
        }
        Ok(())
    }

    /// Somebody takes a snapshot, with a description that is copied, or not.
    fn foreign(&mut self, at: usize, mark: Option<RecordId>) {
        self.number += 1;
        let id: SnapshotId = format!("foreign-{}", self.number).into();
        self.write(at, || format!("somebody takes {id} with the mark {mark:?}"));
        let (created, limit) = (self.now, Timestamp::MAX);
        // The next instant, as it is seen after the one whose description it has.
        let shot = Shot { id, owner: Owner::Other, created, mark, parent: None, limit };
        self.vms[at].tree.add(shot);
        self.vms[at].foreign += 1;
        self.counts.foreign += 1;
    }

    fn wish(&mut self, at: usize, wish: Wish) {
        let now = self.now;
        let vm = &mut self.vms[at];
        let was_on = vm.on;
        let wants = |record: &&mut Record| record.snapshot.is_some() && record.stage.is_active();
        let Some(record) = vm.records.values_mut().find(wants) else { return };
        let next = Record { was_on, ..record.clone() }.after(Event::Wished(wish), now);
        if next.stage == record.stage {
            return;
        }
        *record = next;
        vm.hindered = now;
        if wish == Wish::Revert {
            vm.asked.insert(record.key().clone());
        }
        let told = format!("somebody wishes {wish:?} of {}", record.id);
        self.write(at, || told);
    }

    /// The engine is restarted: it has what it wrote down, and no answers.
    pub(super) fn restart(&mut self) {
        if self.now >= self.end {
            return;
        }
        let wait = self.dice.between(5, 60);
        self.later(hours(wait), What::Restart);
        for at in 0..self.vms.len() {
            let vm = &mut self.vms[at];
            if vm.records.is_empty() {
                continue;
            }
            let text = serde_json::to_string(&vm.records).unwrap();
            vm.records = serde_json::from_str(&text).unwrap();
            if let Some(call) = vm.call.as_mut() {
                call.lost = true;
            }
        }
    }
}
