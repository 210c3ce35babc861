//! What must never happen, seen by the world itself.

use super::*;

/// Longer than any single thing that keeps a removal from being tried again.
const EXCUSED: SignedDuration = SignedDuration::from_hours(3);

impl World {
    fn broken(&self, vm: usize, what: impl Into<String>) -> Result<(), Broken> {
        Err(Broken { vm, what: format!("{:.0}: {}", self.now, what.into()) })
    }

    /// Whether the engine may do this, by all that the world knows.
    pub(super) fn may_begin(&mut self, at: usize, act: Act, record: &Record) -> Result<(), Broken> {
        let vm = &self.vms[at];
        if vm.call.is_some() || vm.op.is_some() && !self.is_down(at) {
            return self.broken(at, format!("{act:?} is begun while something is at work on it"));
        }
        if self.is_down(at) || !vm.alive {
            return self.broken(at, format!("{act:?} is begun with a VM that cannot be seen"));
        }
        let target = record.snapshot.as_ref().and_then(|id| vm.tree.find(id));
        if matches!(act, Act::Remove | Act::Revert)
            && target.is_some_and(|shot| !matches!(shot.owner, Owner::Ours(_)))
        {
            return self.broken(at, format!("{act:?} of a foreign snapshot"));
        }
        if matches!(act, Act::Remove | Act::Consolidate) && self.is_open(at) {
            return self.broken(at, format!("{act:?} while a window is open"));
        }
        if act == Act::Create && vm.tree.depth() >= MAX_CHAIN {
            return self.broken(at, "the chain becomes too long");
        }
        if act == Act::Create && vm.backup {
            return self.broken(at, "a backup is at work");
        }
        if act == Act::Create
            && let Some(run) = self.run_of(record)
        {
            let run = &self.runs[run];
            let lead = vm.policy.map_or(SignedDuration::ZERO, |policy| self.policies[policy].lead);
            if self.now < run.opens - lead || self.now >= run.opens {
                return self.broken(at, "a snapshot is begun outside of its lead");
            }
        }
        if act == Act::Revert && !vm.asked.contains(record.key()) {
            return self.broken(at, "it is taken back, and nobody asked for it");
        }
        if act == Act::PowerOn && !vm.asked.contains(record.key()) {
            return self.broken(at, "it is powered on, and nobody asked for it");
        }
        Ok(())
    }

    pub(super) fn within_limits(&mut self, at: usize, act: Act) -> Result<(), Broken> {
        let is_take = matches!(act, Act::Create | Act::Revert);
        let over = self.uses(at, is_take).any(|(used, limit)| used > limit.get());
        if over && act != Act::PowerOn {
            return self.broken(at, format!("{act:?} is more than the limits allow"));
        }
        Ok(())
    }

    /// How much is at work where a VM is, and how much may be.
    fn uses(&self, at: usize, is_take: bool) -> impl Iterator<Item = (u32, std::num::NonZeroU32)> + '_ {
        let limits = if is_take { self.limits.create } else { self.limits.remove };
        let place = &self.vms[at].place;
        let stores = place.datastores.iter().map(move |store| (0, *store, limits.per_datastore));
        let hosts = place.host.into_iter().map(move |host| (1, host, limits.per_host));
        stores.chain(hosts).chain([(2, place.vcenter, limits.per_vcenter)]).map(
            move |(kind, resource, limit)| {
                (self.at_work.get(&(is_take, kind, resource)).copied().unwrap_or(0), limit)
            },
        )
    }

    pub(super) fn opens(&mut self, run: usize) -> Result<(), Broken> {
        self.open.push(run);
        if self.shape.faults && self.dice.percent(3) {
            for vm in self.members_of(run).to_vec() {
                self.vms[vm].fates.insert(run, (self.now, Fate::NotRun));
            }
        }
        self.patch_run(run)
    }

    fn members_of(&self, run: usize) -> &[usize] {
        &self.members[self.window_of[run]]
    }

    /// Patches every member of the open windows that is not kept out of them.
    pub(super) fn patch(&mut self) -> Result<(), Broken> {
        let now = self.now;
        let runs = &self.runs;
        self.open.retain(|run| now < runs[*run].closes);
        for run in self.open.clone() {
            self.patch_run(run)?;
        }
        Ok(())
    }

    fn patch_run(&mut self, run: usize) -> Result<(), Broken> {
        for number in 0..self.members_of(run).len() {
            let at = self.members_of(run)[number];
            let vm = &self.vms[at];
            if !vm.alive || vm.fates.contains_key(&run) {
                continue;
            }
            let holds =
                vm.policy.is_some_and(|policy| self.policies[policy].if_impossible == IfImpossible::Hold);
            if holds && vm.can_hold {
                if self.held.contains(&(at, run)) {
                    continue;
                }
                // Nobody can know what is done while a vCenter cannot be read, nor within the time that a plan takes.
                let known = vm.frozen.as_ref().unwrap_or(&vm.tree);
                let is_safe = known.shots.iter().any(|shot| shot.owner == Owner::Ours(Some(run)));
                let is_new = vm.removed >= self.now - secs(2 * self.shape.cycle);
                if !is_safe && !is_new {
                    return self.broken(at, format!("it is patched in window {run}, and has no snapshot"));
                }
            }
            let fate = match self.dice.roll(20) {
                _ if !self.shape.faults => Fate::Well,
                0 | 1 => Fate::Failed,
                2 => Fate::Unknown,
                _ => Fate::Well,
            };
            self.vms[at].fates.insert(run, (self.now, fate));
            self.counts.patched += 1;
            self.write(at, || format!("patched in window {run}: {fate:?}"));
        }
        Ok(())
    }

    /// What has to hold whenever a plan has been made and nothing is left to write down.
    pub(super) fn check(&mut self, vms: &[usize], decisions: &Decisions) -> Result<(), Broken> {
        self.counts.spared = self.counts.spared.max(self.held.len());
        for (subject, at) in vms.iter().copied().enumerate() {
            let says = &decisions.says[subject];
            let vm = &self.vms[at];
            let comes = vm.alive
                && self.runs_at(at).any(|run| {
                    let lead = vm.policy.map_or(SignedDuration::ZERO, |policy| self.policies[policy].lead);
                    self.now >= self.runs[run].opens - lead
                });
            let is_active = vm.records.values().any(|record| record.stage.is_active());
            if says.is_empty() && (comes || is_active) {
                return self.broken(at, "nothing is said of it");
            }
            if let Some((_, run)) = decisions.held.iter().find(|(held, _)| *held == subject)
                && vm.can_hold
                && run.opens <= self.now
                && !says.iter().any(|say| {
                    say.is_problem()
                        || matches!(say, Say::Waits { .. } | Say::Creating { .. } | Say::RollingBack { .. })
                })
            {
                return self.broken(at, format!("it is held, and nobody says why: {says:?}"));
            }
            self.age(at, says)?;
        }
        Ok(())
    }

    /// Whether its snapshots are as young as they must be.
    fn age(&mut self, at: usize, says: &[Say]) -> Result<(), Broken> {
        let vm = &self.vms[at];
        let ours = vm.tree.shots.iter().filter(|shot| matches!(shot.owner, Owner::Ours(_)));
        let Some(old) = ours.filter(|shot| shot.limit < self.now).min_by_key(|shot| shot.limit) else {
            return Ok(());
        };
        if !vm.alive || self.is_down(at) {
            return Ok(());
        }
        let first = says.first();
        if !matches!(first, Some(Say::Overdue { .. })) && !self.is_missing_yet(at, &old.id) {
            return self
                .broken(at, format!("{} is too old, and that is not what is said first: {first:?}", old.id));
        }
        let recently = vm.windows.iter().flat_map(|window| &self.runs_of[*window]).any(|run| {
            let run = &self.runs[*run];
            run.opens <= self.now + EXCUSED && self.now <= run.closes + EXCUSED
        });
        let is_kept_from_it = vm.hindered + EXCUSED >= self.now
            || vm.op.is_some()
            || vm.call.is_some()
            || vm.records.values().any(|record| record.stage.task().is_some())
            || vm.records.values().any(|record| record.retry_at.is_some_and(|at| at > self.now))
            || recently
            // Others that take hours leave it no room.
            || self.uses(at, false).any(|(used, limit)| used >= limit.get());
        if !is_kept_from_it {
            return self.broken(at, format!("{} is too old, and nothing kept it from being removed", old.id));
        }
        self.counts.overdue += 1;
        Ok(())
    }

    /// Whether it is still being found out what became of the attempt, or of the removal.
    fn is_missing_yet(&self, at: usize, id: &SnapshotId) -> bool {
        let vm = &self.vms[at];
        let mut own = vm.records.values().filter(|record| record.snapshot.as_ref() == Some(id)).peekable();
        vm.call.is_some() && own.peek().is_none() || own.any(|record| record.stage == Stage::Check)
    }

    /// After the end nothing is left, and all that others own is still there.
    pub(super) fn nothing_is_left(&mut self) -> Result<(), Broken> {
        for at in 0..self.vms.len() {
            let vm = &self.vms[at];
            if let Some(shot) = vm.tree.shots.iter().find(|shot| matches!(shot.owner, Owner::Ours(_)))
                && vm.alive
            {
                return self.broken(at, format!("{} is left: {:?}", shot.id, vm.records));
            }
            if let Some(record) = vm.records.values().find(|record| record.stage.is_active()) {
                return self.broken(at, format!("its record is still {:?}", record.stage));
            }
            if vm.tree.left_over
                && vm.alive
                && vm.policy.is_some_and(|policy| self.policies[policy].consolidate)
            {
                return self.broken(at, "disks are left over");
            }
            let foreign = vm.tree.shots.iter().filter(|shot| shot.owner == Owner::Other).count();
            if foreign != vm.foreign && vm.alive {
                return self.broken(at, "a foreign snapshot is gone");
            }
        }
        if let Some((at, run)) = self.held.iter().next().copied() {
            return self.broken(at, format!("it is still held from window {run}"));
        }
        if let Some((what, count)) = self.at_work.iter().find(|(_, count)| **count > 0) {
            return self.broken(0, format!("the world counts wrong: {count} at {what:?}"));
        }
        Ok(())
    }

    /// Of a world without faults: every snapshot that could be there in time was.
    pub(in super::super) fn all_in_time(&self) -> Result<usize, Broken> {
        let mut checked = 0;
        for (number, run) in self.runs.iter().enumerate() {
            // All that shares its limits in its time.
            let shares =
                |other: &&Run| other.opens > run.opens - hours(8) && run.opens > other.opens - hours(8);
            let others: Vec<usize> =
                (0..self.runs.len()).filter(|other| shares(&&self.runs[*other])).collect();
            let mut jobs = Vec::new();
            for vm in others.iter().flat_map(|other| self.members_of(*other)) {
                let Place { vcenter, host, datastores } = self.vms[*vm].place.clone();
                let duration = self.vms[*vm].takes + secs(20);
                jobs.push(pacing::Job { id: jobs.len(), duration, datastores, host, vcenter });
            }
            let bound = pacing::lower_bound(&jobs, &self.limits.create);
            for at in self.members_of(number) {
                let policy = &self.policies[self.vms[*at].policy.unwrap_or_default()];
                if bound + bound / 4 + mins(5) > policy.lead - policy.deadline {
                    continue;
                }
                checked += 1;
                let in_time = self.vms[*at]
                    .taken
                    .get(&number)
                    .is_some_and(|at| *at <= run.opens - policy.deadline + secs(30));
                if !in_time {
                    let what = format!(
                        "its snapshot for window {number} is late: {:?}, bound {bound:?}",
                        self.vms[*at].taken.get(&number)
                    );
                    return Err(Broken { vm: *at, what });
                }
            }
        }
        Ok(checked)
    }
}
