//! The engine: gathers what is known, plans, writes down and begins.

use std::cell::RefCell;

use super::*;
use crate::protection::judge::{After, Execution, PatchRun};
use crate::snapshot::hazard::{Hazard, Preflight, Verdict};
use crate::snapshot::space::{DatastoreId, Floor, Ledger};

/// How long the judge waits for what is not known.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

struct Maker<'w> {
    world: &'w World,
    vms: &'w [usize],
}

impl super::super::super::Maker for Maker<'_> {
    fn record(&self, subject: usize, run: &Run, attempt: u32, quiesce: bool) -> Record {
        let at = self.vms[subject];
        let vm = &self.world.vms[at];
        let policy = &self.world.policies[vm.policy.unwrap()];
        let id = format!("{at}/{}/{}/{attempt}", run.window, run.opens.as_second());
        let mut record =
            Record::new(id.into(), vm.label.clone(), Some(run.clone()), policy.keep, self.world.now);
        (record.quiesce, record.fall_back, record.consolidate) =
            (quiesce, !at.is_multiple_of(3), policy.consolidate);
        record
    }

    fn id(&self, _: usize, record: &Record, attempt: u32) -> RecordId {
        format!("{}+{attempt}", record.key()).into()
    }
}

impl World {
    /// Plans until nothing is to be written down, and begins what is to be done.
    pub(super) fn plan(&mut self) -> Result<(), Broken> {
        for round in 0.. {
            let (vms, decisions) = self.decide();
            self.counts.plans += 1;
            for (subject, record) in &decisions.steps {
                let vm = vms[*subject];
                if round > 12 {
                    let what = format!("it never comes to rest: {:?} {}", record.stage, record.id);
                    return Err(Broken { vm, what });
                }
                if decisions.doing.iter().any(|doing| doing.subject == *subject) {
                    let what = "something is done from a record that is not current".to_owned();
                    return Err(Broken { vm, what });
                }
                self.write(vm, || format!("step {} {:?}", record.id, record.stage));
                self.put(vm, record.clone());
            }
            let moved = !decisions.steps.is_empty();
            let is_again = !decisions.doing.is_empty() && self.counts.plans.is_multiple_of(16);
            for doing in &decisions.doing {
                self.begin(vms[doing.subject], doing.act, doing.record.clone())?;
            }
            self.held.clear();
            for (subject, run) in &decisions.held {
                let run = self.index[&(run.window.clone(), run.opens)];
                self.held.insert((vms[*subject], run));
            }
            self.next = decisions.next;
            if moved {
                continue;
            }
            self.check(&vms, &decisions)?;
            if is_again {
                // Others may be planned anew, since something has begun; what has begun is not begun again.
                let (_, again) = self.decide();
                let begun = |subject: usize| decisions.doing.iter().any(|doing| doing.subject == subject);
                let twice = again.doing.iter().find(|doing| begun(doing.subject)).map(|doing| doing.subject);
                if let Some(subject) = twice.or(again.steps.first().map(|(subject, _)| *subject)) {
                    return Err(Broken { vm: vms[subject], what: "it is planned twice".to_owned() });
                }
            }
            break;
        }
        self.patch()
    }

    /// Writes a record down.
    pub(super) fn put(&mut self, vm: usize, record: Record) {
        self.recorded.insert(vm);
        self.vms[vm].records.insert(record.key().clone(), record);
    }

    /// Forgets what is over, and can have left nothing.
    pub(super) fn forget(&mut self) {
        let (now, vms) = (self.now, &mut self.vms);
        self.recorded.retain(|vm| {
            let records = &mut vms[*vm].records;
            records.retain(|_, record| {
                let is_open = record.run.as_ref().is_some_and(|run| now < run.closes);
                let is_new = now < record.since + hours(6);
                record.stage.is_active() || is_open || (is_new && record.may_surface())
            });
            !records.is_empty()
        });
    }

    fn decide(&self) -> (Vec<usize>, Decisions) {
        let mut ledger = Ledger::default();
        for (id, (capacity, free)) in self.ids.iter().zip(&self.stores) {
            ledger.set(id.clone(), *capacity, *free);
        }
        let ledger = RefCell::new(ledger);
        // Who is reached by a run that matters now, or has records.
        let mut vms: Vec<usize> = self.recorded.iter().copied().collect();
        for (window, runs) in self.runs_of.iter().enumerate() {
            if runs.iter().any(|run| self.matters(*run)) {
                vms.extend(self.members[window].iter().filter(|vm| self.vms[**vm].alive));
            }
        }
        vms.sort_unstable();
        vms.dedup();
        let subjects: Vec<Subject<'_>> = vms.iter().map(|vm| self.subject(*vm, &ledger)).collect();
        let maker = Maker { world: self, vms: &vms };
        let floor = Floor { percent: 10, bytes: 0 };
        let decisions = plan(&subjects, &self.limits, &ledger.borrow(), floor, &maker, self.now);
        drop(subjects);
        (vms, decisions)
    }

    fn subject(&self, at: usize, ledger: &RefCell<Ledger>) -> Subject<'_> {
        let vm = &self.vms[at];
        let is_down = self.is_down(at);
        let tree = vm.frozen.as_ref().filter(|_| is_down).unwrap_or(&vm.tree);
        let mut runs: Vec<Run> =
            self.runs_at(at).filter(|_| vm.alive).map(|run| self.runs[run].clone()).collect();
        runs.sort();
        let records: Vec<&Record> = vm.records.values().collect();
        let needs: Vec<(DatastoreId, u64)> =
            vm.place.datastores.iter().map(|store| (self.ids[store.0 as usize].clone(), 20 << 30)).collect();
        if vm.records.values().any(Record::may_exist) {
            ledger.borrow_mut().take(&needs);
        }
        let seen = |shot: &Shot| {
            Some(Seen { record: shot.mark.clone()?, snapshot: shot.id.clone(), created: shot.created })
        };
        let presence = match (vm.alive, is_down) {
            (_, true) => Presence::NotKnown,
            (true, false) => Presence::Here,
            (false, false) => Presence::Gone,
        };
        let as_of = if is_down { self.now - mins(10) } else { self.now };
        Subject {
            label: vm.label.clone(),
            place: vm.place.clone(),
            presence,
            policy: vm.policy.map(|policy| &self.policies[policy]),
            judgements: records.iter().map(|record| self.judgement(at, record)).collect(),
            runs,
            records,
            seen: Some(tree.shots.iter().filter_map(seen).collect()),
            all: tree.shots.iter().map(|shot| shot.id.clone()).collect(),
            as_of,
            preflight: self.preflight(vm, tree),
            needs,
            // A call and its answer take their time too.
            expected: vm.takes + secs(20),
            left_over: Some(tree.left_over),
            under_way: vm.call.as_ref().map(|call| call.act),
            busy: vm.busy,
        }
    }

    fn preflight(&self, vm: &Vm, tree: &Tree) -> Preflight {
        let depth = tree.depth();
        let verdict = if vm.unfit {
            Verdict::Refuse(vec![Hazard::PhysicalRdm { disk: "Hard disk 2".into() }])
        } else if depth >= MAX_CHAIN {
            let (depth, limit) = (u32::try_from(depth).unwrap(), u32::try_from(MAX_CHAIN).unwrap());
            Verdict::Refuse(vec![Hazard::ChainTooLong { depth, limit }])
        } else if tree.left_over && vm.op.is_none() {
            Verdict::Refuse(vec![Hazard::ConsolidationNeeded])
        } else if vm.backup {
            Verdict::Wait(vec![Hazard::BackupRunning { snapshot: "backup".into(), age: None }])
        } else {
            Verdict::Go
        };
        Preflight { verdict, warnings: Vec::new(), quiesce: true, memory: false }
    }

    fn judgement(&self, at: usize, record: &Record) -> Option<Judgement> {
        if record.judgement.is_some() || record.stage != Stage::Kept {
            return None;
        }
        let run = record.run.as_ref()?;
        let number = self.index[&(run.window.clone(), run.opens)];
        let fate = self.vms[at].fates.get(&number).copied();
        let mut after = After { managed: true, execution: Some(Execution::Ended), ..After::default() };
        let patch = |started, failed| PatchRun {
            started,
            ended: Some(started),
            installs: true,
            failed,
            missing: 0,
            pending_reboot: 0,
        };
        // It is not told at once.
        let is_told = self.now >= run.closes + mins(5);
        match fate.filter(|_| is_told) {
            Some((at, Fate::Well)) => after.patch = Some(patch(at, 0)),
            Some((at, Fate::Failed)) => after.patch = Some(patch(at, 1)),
            Some((_, Fate::NotRun)) => after.execution = Some(Execution::None),
            Some((_, Fate::Unknown)) | None => {}
        }
        judge(run, &after, PATIENCE, self.now)
    }
}
