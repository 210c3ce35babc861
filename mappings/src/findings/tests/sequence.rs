//! Any sequence of what happens to VMs, to people's minds, to the store and to the network ends in the state that is computed
//! from scratch, loses nothing that people set, and then is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::life::{Call, Change, Closing, Policy, Record, WorkflowStatus, adopt, batches, closing};
use super::super::{Folding, RecordState, Severity, Status, Subject};
use super::hub::Hub;
use super::*;

const VMS: usize = 3;
const RULES: [(&str, &str); 4] = [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")];

/// What happens to a call, or to one finding in it.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Taken,
    Throttled,
    Refused,
    /// It arrived, and its answer did not.
    AnswerLost,
    /// It did not arrive, and nobody knows.
    Lost,
}

#[derive(Debug, Clone)]
enum Step {
    Toggle(usize, usize),
    Vary(usize, usize, u8),
    Rename(usize, u8),
    Move(usize),
    Delete(usize),
    Recreate(usize),
    Hide(usize),
    HideRule(usize, usize),
    Fold,
    Advance(u16),
    ClockBack(u16),
    Workflow(usize, WorkflowStatus),
    Note(usize, u8),
    /// The store is lost, or is an older copy; then Security Hub is read.
    Restart {
        lost: bool,
    },
    Keep,
    Cycle {
        fates: Vec<Fate>,
        /// The process is killed after so many findings.
        killed: Option<usize>,
    },
}

#[derive(Debug, Clone)]
struct Vm {
    generation: u32,
    alive: bool,
    hidden: bool,
    moved: bool,
    name: u8,
    rules: [Option<u8>; 4],
    unreadable: [bool; 4],
}

struct World {
    vms: Vec<Vm>,
    folding: Folding,
    now: Timestamp,
    newest: Timestamp,
    book: Book,
    older: BTreeMap<FindingId, Record>,
    hub: Hub,
    /// What a person decided last.
    decided: BTreeMap<FindingId, WorkflowStatus>,
    notes: BTreeMap<FindingId, String>,
}

impl World {
    fn new() -> Self {
        let vm = Vm {
            generation: 0,
            alive: true,
            hidden: false,
            moved: false,
            name: 0,
            rules: [None; 4],
            unreadable: [false; 4],
        };
        Self {
            vms: vec![vm; VMS],
            folding: Folding::Folded,
            now: start(),
            newest: start(),
            book: Book::default(),
            older: BTreeMap::new(),
            hub: Hub::default(),
            decided: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    fn targets() -> [Target; 2] {
        [target(), Target { region: "us-east-1".into(), ..target() }]
    }

    fn object(at: usize, generation: u32) -> Object {
        let instance = format!("50000000-0000-0000-0000-{at:04}{generation:08}");
        Object {
            moref: format!("vm-{at}").as_str().into(),
            instance: Some(instance.as_str().into()),
            ..subject().object
        }
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (at, vm) in self.vms.iter().enumerate().filter(|(_, vm)| vm.alive && !vm.hidden) {
            let name = format!("vm {at} {}", vm.name).into();
            let subject = Arc::new(Subject { object: Self::object(at, vm.generation), name, ..subject() });
            for (rule, (id, family)) in RULES.iter().enumerate() {
                let Some(variant) = vm.rules[rule].filter(|_| !vm.unreadable[rule]) else { continue };
                let severity = [Severity::Low, Severity::High, Severity::Critical][usize::from(variant % 3)];
                problems.push(Problem {
                    family: (*family).into(),
                    target: Arc::new(Self::targets()[usize::from(vm.moved)].clone()),
                    ..problem_of(&subject, id, severity)
                });
            }
        }
        problems
    }

    fn sight(&self, object: &Object, rule: &RuleId) -> Sight {
        let at = self.vms.iter().enumerate().position(|(at, _)| Self::object(at, 0).moref == object.moref);
        let vm = &self.vms[at.unwrap()];
        let rule = RULES.iter().position(|(id, _)| *id == rule.as_str()).unwrap();
        if vm.hidden {
            return Sight::Unknown;
        }
        if !vm.alive || Self::object(at.unwrap(), vm.generation) != *object {
            return Sight::Gone;
        }
        if vm.unreadable[rule] { Sight::Unknown } else { Sight::Seen }
    }

    fn policy(&self) -> Policy {
        Policy { folding: self.folding, ..Policy::default() }
    }

    fn plan(&self) -> Plan {
        let sight = |object: &Object, rule: &RuleId| self.sight(object, rule);
        plan(&self.problems(), &self.book, sight, &owner(), &self.policy(), self.now)
    }

    fn nth(&self, at: usize) -> Option<FindingId> {
        let all: Vec<&FindingId> = self.hub.held.keys().collect();
        (!all.is_empty()).then(|| all[at % all.len()].clone())
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Toggle(vm, rule) => {
                let rule = &mut self.vms[vm].rules[rule];
                *rule = if rule.is_some() { None } else { Some(0) };
            }
            Step::Vary(vm, rule, variant) => self.vms[vm].rules[rule] = Some(variant),
            Step::Rename(vm, name) => self.vms[vm].name = name,
            Step::Move(vm) => self.vms[vm].moved ^= true,
            Step::Delete(vm) => self.vms[vm].alive = false,
            Step::Recreate(vm) => {
                self.vms[vm].alive = true;
                self.vms[vm].generation += 1;
            }
            Step::Hide(vm) => self.vms[vm].hidden ^= true,
            Step::HideRule(vm, rule) => self.vms[vm].unreadable[rule] ^= true,
            Step::Fold => {
                self.folding = if self.folding == Folding::Full { Folding::Folded } else { Folding::Full };
            }
            Step::Advance(minutes) => self.now += SignedDuration::from_mins(minutes.into()),
            Step::ClockBack(minutes) => self.now -= SignedDuration::from_mins(minutes.into()),
            Step::Workflow(at, status) => {
                if let Some(id) = self.nth(at) {
                    self.hub.held.get_mut(&id).unwrap().workflow = status;
                    self.decided.insert(id, status);
                }
            }
            Step::Note(at, note) => {
                if let Some(id) = self.nth(at) {
                    self.hub.held.get_mut(&id).unwrap().note = Some(note.to_string());
                    self.notes.insert(id, note.to_string());
                }
            }
            Step::Keep => self.older = self.book.records.clone(),
            Step::Restart { lost } => {
                self.book = Book::default();
                if !lost {
                    self.book.records = self.older.clone();
                }
                self.reconcile();
            }
            Step::Cycle { fates, killed } => self.cycle(&fates, killed),
        }
        self.newest = self.newest.max(self.now);
    }

    fn reconcile(&mut self) {
        for target in Self::targets() {
            let arn = target.product_arn();
            let listed: Vec<_> =
                self.hub.listed().into_iter().filter(|listed| listed.content.product_arn == arn).collect();
            let adopted = adopt(&listed, &target, &[owner()]);
            assert!(adopted.unusable.is_empty() && adopted.foreign.is_empty());
            self.book.reconcile(adopted, &target, self.now);
        }
    }

    fn cycle(&mut self, fates: &[Fate], killed: Option<usize>) {
        let plan = self.plan();
        for id in &plan.forget {
            self.book.records.remove(id);
        }
        let batches = batches(&plan.changes);
        assert!(batches.too_large.is_empty());
        let mut sent = 0;
        for batch in &batches.batches {
            for change in &batch.changes {
                let intent = change.intent(self.now);
                self.book.records.insert(intent.id.clone(), intent);
                let fate = fates.get(sent % fates.len().max(1)).copied().unwrap_or(Fate::Taken);
                let outcome = match batch.call {
                    Call::Import => self.import(change, fate),
                    Call::Close => self.close(change, fate),
                };
                sent += 1;
                if killed == Some(sent) {
                    return;
                }
                if let Some(record) = settle(change, &outcome, self.now) {
                    self.book.records.insert(record.id.clone(), record);
                }
            }
        }
    }

    fn import(&mut self, change: &Change, fate: Fate) -> Outcome {
        let finding = change.finding().unwrap();
        if matches!(fate, Fate::Taken | Fate::AnswerLost) {
            let id = &finding.content.id;
            let before = self.hub.workflow(id);
            self.hub.import(&finding);
            if before.is_some() && before != self.hub.workflow(id) {
                // Security Hub itself has made it new.
                self.decided.remove(id);
            }
        }
        result(fate)
    }

    fn close(&mut self, change: &Change, fate: Fate) -> Outcome {
        let id = &change.record.id;
        let read = self.hub.workflow(id);
        match closing(change.before.as_ref().unwrap(), read) {
            Closing::Leave => Outcome::Left,
            Closing::Wait => Outcome::Failed { code: "NotFound".into(), message: "not shown".into() },
            Closing::Set => {
                if matches!(fate, Fate::Taken | Fate::AnswerLost) {
                    self.hub.resolve(id);
                    self.decided.remove(id);
                }
                result(fate)
            }
        }
    }

    /// Everything can be seen and reached again, and time goes on until nothing more is to be sent.
    fn heal(&mut self) {
        for vm in &mut self.vms {
            vm.hidden = false;
            vm.unreadable = [false; 4];
        }
        self.now = self.newest;
        for _ in 0..12 {
            self.now += hours(7);
            self.cycle(&[], None);
            if self.plan().is_empty() {
                return;
            }
        }
        panic!("it never comes to an end: {:?}", kinds(&self.plan()));
    }

    fn check(&self) {
        let fresh = planned(&self.problems(), &Book::default(), &self.policy(), self.now);
        let wanted: BTreeMap<&FindingId, &Change> =
            fresh.changes.iter().map(|change| (&change.record.id, change)).collect();
        let expected: BTreeSet<(usize, &str)> = self
            .vms
            .iter()
            .enumerate()
            .filter(|(_, vm)| vm.alive)
            .flat_map(|(at, vm)| {
                let there = RULES.iter().zip(vm.rules).filter(|(_, variant)| variant.is_some());
                there.map(move |((rule, family), _)| {
                    (at, if self.folding == Folding::Full { *rule } else { *family })
                })
            })
            .collect();
        assert_eq!(wanted.len(), expected.len());
        for (id, held) in &self.hub.held {
            let content = &held.finding.content;
            if let Some(change) = wanted.get(id) {
                assert_eq!(*content, *change.record.content);
                assert_eq!(content.record_state, RecordState::Active);
            } else {
                assert_eq!(content.record_state, RecordState::Archived);
                assert_eq!(content.compliance.status, Status::Passed);
                if !self.decided.contains_key(id) {
                    assert_eq!(held.workflow, WorkflowStatus::Resolved, "{id}");
                }
            }
            if let Some(decided) = self.decided.get(id) {
                assert_eq!(held.workflow, *decided, "{id}");
            }
            assert_eq!(held.note.as_ref(), self.notes.get(id));
        }
        assert!(wanted.keys().all(|id| self.hub.held.contains_key(id)));
    }
}

fn result(fate: Fate) -> Outcome {
    match fate {
        Fate::Taken => Outcome::Accepted,
        Fate::Throttled => Outcome::Failed { code: "TooManyRequests".into(), message: "slow down".into() },
        Fate::Refused => Outcome::Failed { code: "InternalException".into(), message: "sorry".into() },
        Fate::AnswerLost | Fate::Lost => Outcome::Lost,
    }
}

fn step() -> impl Strategy<Value = Step> {
    let vm = || 0..VMS;
    let rule = || 0..RULES.len();
    let fate = prop_oneof![
        3 => Just(Fate::Taken), 1 => Just(Fate::Throttled), 1 => Just(Fate::Refused),
        1 => Just(Fate::AnswerLost), 1 => Just(Fate::Lost),
    ];
    let status = prop_oneof![
        Just(WorkflowStatus::New),
        Just(WorkflowStatus::Notified),
        Just(WorkflowStatus::Suppressed),
        Just(WorkflowStatus::Resolved),
    ];
    let cycle = (proptest::collection::vec(fate, 0..6), proptest::option::weighted(0.2, 1..6_usize));
    prop_oneof![
        6 => (vm(), rule()).prop_map(|(vm, rule)| Step::Toggle(vm, rule)),
        2 => (vm(), rule(), 0..3_u8).prop_map(|(vm, rule, variant)| Step::Vary(vm, rule, variant)),
        1 => (vm(), 0..3_u8).prop_map(|(vm, name)| Step::Rename(vm, name)),
        1 => vm().prop_map(Step::Move),
        1 => vm().prop_map(Step::Delete),
        1 => vm().prop_map(Step::Recreate),
        1 => vm().prop_map(Step::Hide),
        1 => (vm(), rule()).prop_map(|(vm, rule)| Step::HideRule(vm, rule)),
        1 => Just(Step::Fold),
        3 => (0..2000_u16).prop_map(Step::Advance),
        1 => (0..600_u16).prop_map(Step::ClockBack),
        3 => (any::<usize>(), status).prop_map(|(at, status)| Step::Workflow(at, status)),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, note)| Step::Note(at, note)),
        1 => Just(Step::Keep),
        1 => any::<bool>().prop_map(|lost| Step::Restart { lost }),
        4 => Just(Step::Cycle { fates: vec![], killed: None }),
        4 => cycle.prop_map(|(fates, killed)| Step::Cycle { fates, killed }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_ends_as_if_computed_from_scratch(steps in proptest::collection::vec(step(), 0..60)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.heal();
        world.check();
        // A second run sends nothing, nor does a rebuilt store.
        let calls = world.hub.calls;
        world.cycle(&[], None);
        prop_assert_eq!(world.hub.calls, calls);
        world.step(Step::Restart { lost: true });
        world.heal();
        world.check();
    }
}

#[test]
fn hidden_things_change_nothing() {
    let mut world = World::new();
    for rule in 0..RULES.len() {
        world.step(Step::Toggle(0, rule));
    }
    world.cycle(&[], None);
    let calls = world.hub.calls;
    world.step(Step::Hide(0));
    world.step(Step::Toggle(0, 0));
    world.step(Step::Rename(0, 2));
    world.cycle(&[], None);
    assert_eq!(world.hub.calls, calls);
    world.step(Step::Hide(0));
    world.cycle(&[], None);
    assert!(world.hub.calls > calls);
}
