//! VMs, people, a store, clocks and a network, to which things happen.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::step::{Fate, Step};
use crate::findings::life::{
    Batch, Call, Change, Closing, Policy, Record, WorkflowStatus, adopt, batches, closing,
};
use crate::findings::tests::hub::{Hub, People};
use crate::findings::tests::*;
use crate::findings::{Content, Folding, RecordState, Severity, Status, Subject};

pub(super) const VMS: usize = 3;
pub(super) const RULES: [(&str, &str); 4] = [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")];
/// The name that makes Security Hub refuse whatever has it.
const REFUSED: u8 = 3;
/// Another installation, which lives and shares the account.
const STRANGER: &str = "ffffffff";
/// How late Security Hub shows what it has.
const LAG: SignedDuration = SignedDuration::from_mins(20);

#[derive(Debug, Clone)]
struct Vm {
    generation: u32,
    alive: bool,
    hidden: bool,
    nameless: bool,
    moved: bool,
    name: u8,
    rules: [Option<u8>; 4],
    unreadable: [bool; 4],
    accepted: [bool; 4],
}

pub(super) struct World {
    vms: Vec<Vm>,
    folding: Folding,
    /// How far our clock is ahead.
    ahead: SignedDuration,
    installations: u32,
    /// This installation, and those that it was.
    owners: Vec<Owner>,
    former: Vec<Owner>,
    book: Book,
    older: BTreeMap<FindingId, Record>,
    pub(super) hub: Hub,
    /// The workflow status that a person set last.
    decided: BTreeMap<FindingId, WorkflowStatus>,
    /// What else people set.
    people: BTreeMap<FindingId, People>,
}

impl World {
    pub(super) fn new() -> Self {
        let vm = Vm {
            generation: 0,
            alive: true,
            hidden: false,
            nameless: false,
            moved: false,
            name: 0,
            rules: [None; 4],
            unreadable: [false; 4],
            accepted: [false; 4],
        };
        Self {
            vms: vec![vm; VMS],
            folding: Folding::Folded,
            ahead: SignedDuration::ZERO,
            installations: 0,
            owners: vec![owner()],
            former: Vec::new(),
            book: Book::default(),
            older: BTreeMap::new(),
            hub: Hub::late(LAG),
            decided: BTreeMap::new(),
            people: BTreeMap::new(),
        }
    }

    fn targets() -> [Target; 2] {
        [target(), Target { region: "us-east-1".into(), ..target() }]
    }

    fn now(&self) -> Timestamp {
        self.hub.now + self.ahead
    }

    /// A VM as it is, whether that can be seen or not.
    fn object(&self, at: usize) -> Object {
        let instance = format!("50000000-0000-0000-0000-{at:04}{:08}", self.vms[at].generation);
        Object {
            moref: format!("vm-{at}").as_str().into(),
            instance: Some(instance.as_str().into()),
            ..subject().object
        }
    }

    fn problems_of(&self, at: usize, rules: impl Fn(usize) -> Option<u8>) -> Vec<Problem> {
        let vm = &self.vms[at];
        let mut object = self.object(at);
        object.instance = object.instance.filter(|_| !vm.nameless);
        let subject = Arc::new(Subject { object, name: format!("vm {at} {}", vm.name).into(), ..subject() });
        let there = RULES.iter().enumerate().filter_map(|(rule, named)| Some((named, rules(rule)?)));
        let problems = there.map(|((id, family), variant)| Problem {
            family: (*family).into(),
            target: Arc::new(Self::targets()[usize::from(vm.moved)].clone()),
            ..problem_of(
                &subject,
                id,
                [Severity::Low, Severity::High, Severity::Critical][usize::from(variant % 3)],
            )
        });
        problems.collect()
    }

    fn problems(&self) -> Vec<Problem> {
        let seen = self.vms.iter().enumerate().filter(|(_, vm)| vm.alive && !vm.hidden);
        let problems = seen.flat_map(|(at, vm)| {
            self.problems_of(at, |rule| vm.rules[rule].filter(|_| !vm.unreadable[rule] && !vm.accepted[rule]))
        });
        problems.collect()
    }

    fn sight(&self, object: &Object, rule: &RuleId) -> Sight {
        let is = |at: &usize| self.object(*at).moref == object.moref;
        let at = (0..VMS).find(is).expect("findings are about VMs that there were");
        let vm = &self.vms[at];
        let rule = RULES.iter().position(|(id, _)| *id == rule.as_str()).unwrap();
        if vm.hidden {
            return Sight::Unknown;
        }
        let mut seen = self.object(at);
        seen.instance = seen.instance.filter(|_| !vm.nameless);
        if !vm.alive || !seen.is_same(object) {
            return Sight::Gone;
        }
        match vm.rules[rule] {
            _ if vm.unreadable[rule] => Sight::Unknown,
            Some(_) if vm.accepted[rule] => Sight::Accepted,
            _ => Sight::Seen,
        }
    }

    fn policy(&self) -> Policy {
        Policy { folding: self.folding, ..Policy::default() }
    }

    fn plan(&self) -> Plan {
        let sight = |object: &Object, rule: &RuleId| self.sight(object, rule);
        plan(&self.problems(), &self.book, sight, &self.owners[0], &self.policy(), self.now())
    }

    /// What people set of a finding, to be set.
    fn nth(&mut self, at: usize) -> Option<(FindingId, &mut People)> {
        let count = self.hub.held.len();
        let (id, held) = self.hub.held.iter_mut().nth(at.checked_rem(count)?)?;
        Some((id.clone(), &mut held.people))
    }

    /// A person sets something.
    fn set(&mut self, at: usize, set: impl FnOnce(&mut People)) {
        if let Some((id, people)) = self.nth(at) {
            set(people);
            let people = people.clone();
            self.people.insert(id, people);
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Toggle(vm, rule) => {
                let rule = &mut self.vms[vm].rules[rule];
                *rule = if rule.is_some() { None } else { Some(0) };
            }
            Step::Vary(vm, rule, variant) => self.vms[vm].rules[rule] = Some(variant),
            Step::Accept(vm, rule) => self.vms[vm].accepted[rule] ^= true,
            Step::Rename(vm, name) => self.vms[vm].name = name,
            Step::Move(vm) => self.vms[vm].moved ^= true,
            Step::Delete(vm) => self.vms[vm].alive = false,
            Step::Recreate(vm) => {
                self.vms[vm].alive = true;
                self.vms[vm].generation += 1;
            }
            Step::Hide(vm) => self.vms[vm].hidden ^= true,
            Step::HideRule(vm, rule) => self.vms[vm].unreadable[rule] ^= true,
            Step::HideInstance(vm) => self.vms[vm].nameless ^= true,
            Step::Fold => {
                self.folding = if self.folding == Folding::Full { Folding::Folded } else { Folding::Full };
            }
            Step::Advance(minutes) => self.pass(SignedDuration::from_mins(minutes.into())),
            Step::SetClock(minutes) => self.ahead = SignedDuration::from_mins(minutes.into()),
            Step::Workflow(at, status) => {
                if let Some((id, people)) = self.nth(at) {
                    people.workflow = status;
                    self.decided.insert(id, status);
                }
            }
            Step::Note(at, note) => self.set(at, |people| people.note = Some(note.to_string())),
            Step::Field(at, field) => {
                self.set(at, |people| drop(people.fields.insert("ticket".to_owned(), field.to_string())));
            }
            Step::Severity(at, severity) => self.set(at, |people| people.severity = Some(severity)),
            Step::Keep => self.older = self.book.records.clone(),
            Step::Restart { lost } => {
                self.book = Book::default();
                if !lost {
                    self.book.records = self.older.clone();
                }
                self.read();
            }
            Step::NewInstallation => {
                self.installations += 1;
                self.former.append(&mut self.owners);
                self.owners = vec![format!("{:08x}", self.installations).into()];
                self.book = Book::default();
                self.older.clear();
                self.read();
            }
            Step::Recover => {
                self.owners.append(&mut self.former);
                self.read();
            }
            Step::Read => self.read(),
            Step::Stranger { vm, rule, there } => self.stranger(vm, rule, there),
            Step::Cycle { fates, killed } => self.cycle(&fates, killed),
        }
    }

    fn pass(&mut self, time: SignedDuration) {
        for id in self.hub.pass(time) {
            // Nobody keeps what people set longer than Security Hub does.
            self.decided.remove(&id);
            self.people.remove(&id);
        }
    }

    fn read(&mut self) {
        let now = self.now();
        for target in Self::targets() {
            let arn = target.product_arn();
            let listed: Vec<_> =
                self.hub.listed().into_iter().filter(|listed| listed.content.product_arn == arn).collect();
            let adopted = adopt(&listed, &target, &self.owners);
            assert!(adopted.others.unusable.is_empty(), "{:?}", adopted.others.unusable);
            self.book.reconcile(adopted, &target, now, now);
        }
    }

    /// The other installation looks at all that there is, and tells of one rule or ends that.
    fn stranger(&mut self, vm: usize, rule: usize, there: bool) {
        if self.vms[vm].name == REFUSED {
            return;
        }
        let mut theirs = Book::default();
        for target in Self::targets() {
            let arn = target.product_arn();
            let all = self.hub.held.keys().cloned().collect::<BTreeSet<_>>();
            let listed = self.hub.listed().into_iter().filter(|one| one.content.product_arn == arn);
            let listed: Vec<_> = listed.filter(|one| all.contains(&one.content.id)).collect();
            let adopted = adopt(&listed, &target, &[STRANGER.into()]);
            theirs.reconcile(adopted, &target, self.hub.now, self.hub.now);
        }
        let problems = self.problems_of(vm, |one| (one == rule && there).then_some(0));
        let (object, family) = (self.object(vm), RULES[rule].1);
        let sight = |other: &Object, id: &RuleId| {
            let is_asked = other.moref == object.moref && RULES.contains(&(id.as_str(), family));
            if is_asked { Sight::Seen } else { Sight::Unknown }
        };
        let plan = plan(&problems, &theirs, sight, &STRANGER.into(), &self.policy(), self.hub.now);
        for change in plan.changes {
            let is_free = self.hub.held.get(&change.record.id).is_none_or(|held| {
                owner_of(&held.finding.content) == STRANGER
                    || held.finding.content.record_state == RecordState::Archived
            });
            if let Some(finding) = change.finding().filter(|_| is_free) {
                self.send(&finding);
            }
        }
    }

    fn send(&mut self, finding: &crate::findings::Finding) {
        let id = &finding.content.id;
        let before = self.hub.workflow(id);
        self.hub.import(finding);
        if before.is_some() && before != self.hub.workflow(id) {
            // Security Hub itself has made it new.
            self.decided.remove(id);
        }
    }

    pub(super) fn cycle(&mut self, fates: &[Fate], killed: Option<usize>) {
        let plan = self.plan();
        for id in &plan.forget {
            self.book.records.remove(id);
        }
        let batches = batches(&plan.changes);
        assert!(batches.too_large.is_empty());
        let mut sent = 0;
        let mut fates = fates.iter().copied().cycle();
        for batch in &batches.batches {
            for change in &batch.changes {
                let intent = change.intent(self.now());
                self.book.records.insert(intent.id.clone(), intent);
            }
            for part in self.parts(batch) {
                for change in &part {
                    let fate = fates.next().unwrap_or(Fate::Taken);
                    let outcome = match batch.call {
                        Call::Import => self.import(change, fate),
                        Call::Close => self.close(change, fate),
                    };
                    sent += 1;
                    if killed == Some(sent) {
                        return;
                    }
                    if let Some(record) = settle(change, &outcome, self.now()) {
                        self.book.records.insert(record.id.clone(), record);
                    }
                }
            }
        }
    }

    /// One finding may be refused with its whole call: the halves are tried by themselves until it stands alone.
    fn parts<'c>(&mut self, batch: &Batch<'c>) -> Vec<Vec<&'c Change>> {
        let mut out = Vec::new();
        let mut parts = vec![batch.changes.clone()];
        while let Some(mut part) = parts.pop() {
            let is_refused = batch.call == Call::Import && part.iter().any(|change| is_refused(change));
            if is_refused && part.len() > 1 {
                self.hub.calls += 1;
                let second = part.split_off(part.len() / 2);
                parts.extend([second, part]);
            } else {
                out.push(part);
            }
        }
        out
    }

    fn import(&mut self, change: &Change, fate: Fate) -> Outcome {
        let finding = change.finding().unwrap();
        let id = &finding.content.id;
        let foreign = self.book.others.foreign.get(id);
        assert!(!foreign.is_some_and(|foreign| foreign.is_open), "{id} is known to be another's");
        if is_refused(change) {
            self.hub.calls += 1;
            return match fate {
                Fate::Lost | Fate::AnswerLost => Outcome::Lost,
                _ => Outcome::Refused { code: "InvalidInput".into(), message: "its name".into() },
            };
        }
        if matches!(fate, Fate::Taken | Fate::AnswerLost) {
            self.send(&finding);
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

    fn is_full(&self) -> bool {
        self.folding == Folding::Full
    }
}

fn owner_of(content: &Content) -> &str {
    &content.product_fields["vmbridge/owner"]
}

/// Whether Security Hub refuses it for as long as it says this.
fn is_refused(change: &Change) -> bool {
    change.record.content.title.contains(&format!(" {REFUSED})"))
}

fn result(fate: Fate) -> Outcome {
    match fate {
        Fate::Taken => Outcome::Accepted,
        Fate::Throttled => Outcome::Failed { code: "TooManyRequests".into(), message: "slow down".into() },
        Fate::Refused => Outcome::Failed { code: "InternalException".into(), message: "sorry".into() },
        Fate::AnswerLost | Fate::Lost => Outcome::Lost,
    }
}
