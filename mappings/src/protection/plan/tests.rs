//! Single decisions. What many of them come to is in `protection/tests/month.rs`.

use std::num::NonZeroU32;

use super::*;
use crate::protection::{
    Ending, Event, IfImpossible, Judgement, Keep, Place, Policy, Seen, SnapshotId, Stage, TaskId, Trouble,
    Wish,
};
use crate::snapshot::hazard::{Preflight, Verdict};
use crate::snapshot::pacing::Resource;
use crate::snapshot::space::DatastoreId;

fn at(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

fn mins(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn run() -> Run {
    Run {
        window: "mw-0123456789abcdef0".into(),
        name: "Sunday".into(),
        opens: at("28T02:00:00"),
        closes: at("28T06:00:00"),
    }
}

fn policy() -> Policy {
    Policy {
        name: "all".into(),
        lead: mins(120),
        deadline: mins(15),
        keep: Keep::default(),
        if_impossible: IfImpossible::Hold,
        consolidate: true,
    }
}

/// Everything that a plan for one VM is made of.
#[derive(Clone)]
struct Vm {
    now: Timestamp,
    policy: Option<Policy>,
    runs: Vec<Run>,
    records: Vec<Record>,
    judgement: Option<Judgement>,
    presence: Presence,
    seen: Option<Vec<Seen>>,
    verdict: Verdict,
    free: i64,
    left_over: Option<bool>,
    under_way: Option<Act>,
    busy: bool,
}

struct Ids;

impl Maker for Ids {
    fn record(&self, _: usize, run: &Run, attempt: u32, quiesce: bool) -> Record {
        let id = format!("first-{attempt}");
        let now = at("28T01:40:00");
        Record { quiesce, ..Record::new(id.into(), "web-1".into(), Some(run.clone()), Keep::default(), now) }
    }

    fn id(&self, _: usize, record: &Record, attempt: u32) -> RecordId {
        format!("{}+{attempt}", record.key()).into()
    }
}

fn limits(most: u32) -> Limits {
    let most = NonZeroU32::new(most).unwrap();
    let all = pacing::Limits { per_datastore: most, per_host: most, per_vcenter: most };
    Limits { create: all, remove: all }
}

impl Vm {
    fn new(now: &str) -> Self {
        Self {
            now: at(now),
            policy: Some(policy()),
            runs: vec![run()],
            records: Vec::new(),
            judgement: None,
            presence: Presence::Here,
            seen: Some(Vec::new()),
            verdict: Verdict::Go,
            free: 500 << 30,
            left_over: Some(false),
            under_way: None,
            busy: false,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// With a record, and the snapshot in its tree if the record has one.
    fn having(mut self, record: Record) -> Self {
        if let (Some(snapshot), Some(created)) = (&record.snapshot, record.created) {
            let seen = Seen { record: record.id.clone(), snapshot: snapshot.clone(), created };
            self.seen.get_or_insert_default().push(seen);
        }
        self.records.push(record);
        self
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            label: "web-1".into(),
            place: Place { vcenter: Resource(1), host: Some(Resource(1)), datastores: vec![Resource(1)] },
            presence: self.presence,
            policy: self.policy.as_ref(),
            runs: self.runs.clone(),
            records: self.records.iter().collect(),
            judgements: self.records.iter().map(|_| self.judgement.clone()).collect(),
            seen: self.seen.clone(),
            all: self.seen.iter().flatten().map(|seen| seen.snapshot.clone()).collect(),
            as_of: self.now,
            preflight: Preflight {
                verdict: self.verdict.clone(),
                warnings: Vec::new(),
                quiesce: true,
                memory: false,
            },
            needs: vec![(DatastoreId::new("a"), 10 << 30)],
            expected: mins(5),
            left_over: self.left_over,
            under_way: self.under_way,
            busy: self.busy,
        }
    }
}

fn planned(vms: &[Vm], most: u32) -> Decisions {
    let mut ledger = Ledger::default();
    ledger.set(DatastoreId::new("a"), 1000 << 30, vms[0].free);
    let subjects: Vec<Subject<'_>> = vms.iter().map(Vm::subject).collect();
    plan(&subjects, &limits(most), &ledger, Floor { percent: 10, bytes: 0 }, &Ids, vms[0].now)
}

fn words(vm: &Vm) -> Vec<&'static str> {
    planned(std::slice::from_ref(vm), 9).says[0].iter().map(Say::word).collect()
}

/// What is done, or the stage that is written down.
fn does(vm: &Vm) -> Vec<String> {
    let decisions = planned(std::slice::from_ref(vm), 9);
    let steps = decisions.steps.iter().map(|(_, record)| record.stage.word().to_owned());
    steps.chain(decisions.doing.iter().map(|doing| format!("{:?}", doing.act))).collect()
}

fn record() -> Record {
    Ids.record(0, &run(), 0, true)
}

fn creating() -> Record {
    record().after(Event::Started { task: TaskId::from("task-1") }, at("28T01:40:00"))
}

fn kept() -> Record {
    let created = at("28T01:41:00");
    creating().after(Event::Created { snapshot: "snapshot-1".into(), created }, created)
}

fn failed() -> Record {
    let trouble = Trouble {
        word: "space".into(),
        sentence: "no space".into(),
        fix: None,
        passes: true,
        quiescing: false,
    };
    creating().after(Event::Failed(trouble), at("28T01:41:00"))
}

fn judged(judgement: Judgement) -> Record {
    kept().after(Event::Judged(judgement), at("28T06:10:00"))
}

fn removing() -> Record {
    judged(Judgement::Healthy).after(Event::Due, at("28T10:10:00"))
}

fn hazard() -> Vec<Hazard> {
    vec![Hazard::CreateDisabled]
}

#[test]
fn each_thing_is_said() {
    let vm = Vm::new;
    let missed = || record().after(Event::TooLate, at("28T02:00:00"));
    let reverting = || kept().after(Event::Wished(Wish::Revert), at("28T07:00:00"));
    let orphan = Seen { record: "x".into(), snapshot: "s".into(), created: at("27T00:00:00") };
    let long_ago = |mut record: Record| {
        record.created = Some(at("24T00:00:00"));
        record
    };
    let no_runs = |vm: &mut Vm| vm.runs.clear();
    for (case, said) in [
        (vm("27T20:00:00"), "snapshotPlanned"),
        (vm("28T01:58:00"), "snapshotLate"),
        (vm("27T20:00:00").with(|vm| vm.verdict = Verdict::Wait(hazard())), "snapshotPlanned"),
        (vm("28T01:00:00").with(|vm| vm.verdict = Verdict::Wait(hazard())), "snapshotWaits"),
        (vm("28T01:00:00").with(|vm| vm.presence = Presence::NotKnown), "snapshotWaits"),
        (vm("28T01:00:00").with(|vm| vm.verdict = Verdict::Refuse(hazard())), "snapshotRefused"),
        (vm("28T01:00:00").with(|vm| vm.free = 105 << 30), "noSpace"),
        (vm("28T01:00:00").with(|vm| vm.policy = None), "noSnapshotPolicy"),
        (vm("28T01:42:00").having(creating()), "snapshotBeingTaken"),
        (vm("28T01:41:10").having(failed()), "snapshotFailed"),
        (
            vm("28T01:50:00").having(record()).with(|vm| vm.verdict = Verdict::Refuse(hazard())),
            "snapshotRefused",
        ),
        (vm("28T01:20:00").having(record()).with(|vm| vm.verdict = Verdict::Wait(hazard())), "snapshotWaits"),
        (vm("28T02:10:00").having(missed()), "held"),
        (vm("28T02:10:00"), "held"),
        (
            vm("28T02:10:00").with(|vm| vm.policy.as_mut().unwrap().if_impossible = IfImpossible::Report),
            "notProtected",
        ),
        (vm("28T01:50:00").having(kept()), "protected"),
        (vm("28T01:50:00").having(kept()).with(|vm| vm.seen = None), "snapshotWaits"),
        (vm("28T02:50:00").having(kept()).with(|vm| vm.seen = None), "held"),
        (
            vm("28T07:00:00").with(no_runs).having(judged(Judgement::Failed { why: "?".into() })),
            "snapshotKept",
        ),
        (vm("28T10:11:00").with(no_runs).having(removing()), "snapshotBeingRemoved"),
        (vm("28T10:11:00").with(no_runs).having(long_ago(removing())), "snapshotOverdue"),
        (vm("28T05:00:00").having(long_ago(kept())), "snapshotOverdue"),
        (vm("28T07:01:00").with(no_runs).having(reverting()), "rollingBack"),
        (vm("28T07:01:00").with(no_runs).having(long_ago(reverting())), "snapshotOverdue"),
        (vm("28T07:01:00").with(no_runs).with(|vm| vm.seen = Some(vec![orphan.clone()])), "orphanSnapshot"),
    ] {
        assert_eq!(words(&case).first(), Some(&said), "{:?} at {}", case.records, case.now);
        let says = planned(&[case], 9).says.remove(0);
        assert!(says.iter().all(|say| !say.sentence().is_empty()), "{says:?}");
        assert!(says.iter().filter(|say| say.is_problem()).count() <= says.len());
    }
    let coming = vm("27T20:00:00").with(|vm| vm.verdict = Verdict::Wait(hazard()));
    assert!(words(&coming).contains(&"windowComing"));
}

#[test]
fn each_step_is_taken_and_then_no_more() {
    let vm = Vm::new;
    let no_runs = |vm: &mut Vm| vm.runs.clear();
    let checking = || {
        let removing = removing().after(Event::Started { task: "task-2".into() }, at("28T10:11:00"));
        let mut checking = removing.after(Event::Succeeded, at("28T10:12:00"));
        (checking.snapshot, checking.created) = (Some("snapshot-1".into()), Some(at("28T01:41:00")));
        checking
    };
    let unseen = |vm: &mut Vm| vm.seen = Some(Vec::new());
    let asked = || Record { run: None, ..record() };
    for (case, done) in [
        // Taking it.
        (vm("28T01:50:00"), vec!["Create"]),
        (vm("27T20:00:00"), vec![]),
        (vm("28T01:50:00").with(|vm| vm.busy = true), vec![]),
        (vm("28T01:50:00").with(|vm| vm.verdict = Verdict::Wait(hazard())), vec![]),
        (vm("28T01:50:00").having(failed()), vec!["Create"]),
        (vm("28T01:41:10").having(failed()), vec![]),
        (vm("28T02:00:00").having(failed()), vec!["missed"]),
        (vm("28T02:00:00").having(creating()), vec![]),
        (vm("28T02:00:00").having(failed()).with(|vm| vm.under_way = Some(Act::Create)), vec![]),
        (vm("28T01:50:00").having(asked()).with(no_runs), vec!["Create"]),
        (vm("28T01:50:00").having(asked()).with(|vm| vm.verdict = Verdict::Refuse(hazard())), vec!["failed"]),
        (
            vm("29T01:50:00").having(asked()).with(no_runs).with(|vm| vm.verdict = Verdict::Wait(hazard())),
            vec!["missed"],
        ),
        // Having it.
        (vm("28T01:50:00").having(kept()), vec![]),
        (vm("28T01:50:00").having(kept()).with(unseen), vec!["ended"]),
        (vm("28T01:41:20").having(kept()).with(unseen), vec![]),
        (vm("28T01:50:00").having(kept()).with(|vm| vm.presence = Presence::Gone), vec!["ended"]),
        (
            vm("28T07:00:00").having(kept()).with(no_runs).with(|vm| vm.judgement = Some(Judgement::Healthy)),
            vec!["kept"],
        ),
        (vm("28T10:10:00").having(judged(Judgement::Healthy)).with(no_runs), vec!["remove"]),
        (vm("28T10:10:00").having(judged(Judgement::Failed { why: "?".into() })).with(no_runs), vec![]),
        // Removing it.
        (vm("28T10:11:00").having(removing()).with(no_runs), vec!["Remove"]),
        (vm("28T10:11:00").having(removing()).with(no_runs).with(|vm| vm.busy = true), vec![]),
        (
            vm("28T10:11:00").having(removing()).with(no_runs).with(|vm| vm.presence = Presence::NotKnown),
            vec![],
        ),
        (vm("28T10:11:00").having(removing()).with(no_runs).with(unseen), vec!["ended"]),
        (vm("28T10:13:00").having(checking()).with(no_runs), vec!["remove"]),
        (vm("28T10:13:00").having(checking()).with(no_runs).with(unseen), vec!["ended"]),
        (vm("28T10:12:20").having(checking()).with(no_runs).with(unseen), vec![]),
        (
            vm("28T10:13:00")
                .having(checking())
                .with(no_runs)
                .with(unseen)
                .with(|vm| vm.left_over = Some(true)),
            vec!["consolidate"],
        ),
        // Going back to it.
        (
            vm("28T07:00:00")
                .having(kept().after(Event::Wished(Wish::Revert), at("28T06:50:00")))
                .with(no_runs),
            vec!["Revert"],
        ),
    ] {
        assert_eq!(does(&case), done, "{:?} at {}", case.records, case.now);
        // Applied, there is nothing left to be done at that time.
        let decisions = planned(std::slice::from_ref(&case), 9);
        let mut next = case.clone();
        for (_, record) in &decisions.steps {
            next.records.retain(|old| old.key() != record.key());
            next.records.push(record.clone());
        }
        for doing in &decisions.doing {
            next.records.retain(|old| old.key() != doing.record.key());
            let started = Event::Started { task: "task-9".into() };
            next.records.push(doing.record.after(started, next.now));
        }
        let again = planned(std::slice::from_ref(&next), 9);
        assert!(again.steps.is_empty(), "{:?}", again.steps);
        let waits = done.first().is_some_and(|word| word.chars().all(char::is_lowercase));
        assert!(again.doing.is_empty() || waits, "{:?}", again.doing);
    }
}

#[test]
fn who_is_held_has_no_snapshot_that_is_seen() {
    let held = |vm: &Vm| !planned(std::slice::from_ref(vm), 9).held.is_empty();
    let vm = Vm::new;
    assert!(!held(&vm("27T23:59:59")), "not before the lead");
    assert!(held(&vm("28T00:00:00")));
    assert!(held(&vm("28T05:59:59")));
    assert!(!held(&vm("28T06:00:00")), "the window is closed");
    assert!(held(&vm("28T01:50:00").having(creating())));
    assert!(!held(&vm("28T01:50:00").having(kept())));
    assert!(held(&vm("28T01:50:00").having(kept()).with(|vm| vm.seen = Some(Vec::new()))));
    assert!(held(&vm("28T01:50:00").with(|vm| vm.presence = Presence::NotKnown)), "nobody knows");
    let unreadable = vm("28T01:50:00").having(kept()).with(|vm| vm.presence = Presence::NotKnown);
    assert!(!held(&unreadable), "it was seen before");
    assert!(held(&unreadable.with(|vm| vm.seen = None)));
    assert!(!held(
        &vm("28T01:50:00").with(|vm| vm.policy.as_mut().unwrap().if_impossible = IfImpossible::Report)
    ));
}

#[test]
fn what_is_decided_in_one_plan_keeps_within_the_limits_together() {
    let kept_now = |number: u32| {
        let mut record = kept();
        record.snapshot = Some(SnapshotId::from(format!("snapshot-{number}")));
        record.after(Event::Wished(Wish::Revert), at("28T01:45:00"))
    };
    let revert = |number| Vm::new("28T01:50:00").having(kept_now(number)).with(|vm| vm.runs.clear());
    let vms = [revert(1), Vm::new("28T01:50:00"), revert(2), Vm::new("28T01:50:00").having(creating())];
    let acts = |most| -> Vec<(usize, Act)> {
        planned(&vms, most).doing.iter().map(|doing| (doing.subject, doing.act)).collect()
    };
    assert_eq!(acts(9), [(0, Act::Revert), (2, Act::Revert), (1, Act::Create)]);
    // A person waits for the reverts; one is being taken already.
    assert_eq!(acts(3), [(0, Act::Revert), (2, Act::Revert)]);
    assert_eq!(acts(2), [(0, Act::Revert)]);
    assert_eq!(acts(1), []);
}

#[test]
fn one_thing_at_a_time_is_done_to_a_vm_that_two_windows_reach() {
    let other = Run { window: "mw-1".into(), opens: at("28T02:05:00"), ..run() };
    let vm = Vm::new("28T01:50:00").with(|vm| vm.runs.push(other.clone()));
    let decisions = planned(std::slice::from_ref(&vm), 9);
    assert_eq!(decisions.doing.len(), 1);
    assert_eq!(decisions.forecasts.len(), 2);
    // It has one for the first; that does not count for the second.
    let vm = vm.having(kept());
    let decisions = planned(std::slice::from_ref(&vm), 9);
    assert_eq!(decisions.doing[0].record.run.as_ref(), Some(&other));
    assert_eq!(decisions.held, [(0, other)]);
}

#[test]
fn what_comes_to_light_late_is_taken_or_removed_and_a_copy_is_left_alone() {
    let seen = |record: &str, snapshot: &str| Seen {
        record: record.into(),
        snapshot: snapshot.into(),
        created: at("28T01:42:00"),
    };
    let again = failed().after(Event::Renewed("first-0+1".into()), at("28T01:43:00"));
    // While nothing is at work, the earlier attempt's is as good as a new one.
    let vm =
        Vm::new("28T01:50:00").having(again.clone()).with(|vm| vm.seen = Some(vec![seen("first-0", "s1")]));
    let adopted = planned(std::slice::from_ref(&vm), 9).steps.remove(0).1;
    assert_eq!(
        (adopted.stage.word(), adopted.id.as_str(), adopted.key().as_str()),
        ("kept", "first-0", "first-0")
    );
    assert!(adopted.may_surface(), "nobody knows of the other attempt yet");
    // Both came: the one that counts stays, the other is removed under a record of its own.
    let both = vec![seen("first-0", "s1"), seen("first-0+1", "s2")];
    let started = again.after(Event::Started { task: "task-2".into() }, at("28T01:43:00"));
    let at_work =
        Vm::new("28T01:50:00").having(started.clone()).with(|vm| vm.seen = Some(both[..1].to_vec()));
    assert_eq!(does(&at_work), Vec::<String>::new(), "the attempt at work is waited for");
    let owner = started
        .after(Event::Created { snapshot: "s2".into(), created: at("28T01:44:00") }, at("28T01:44:00"));
    let vm = Vm::new("28T01:50:00").with(|vm| (vm.records, vm.seen) = (vec![owner], Some(both.clone())));
    let steps = planned(std::slice::from_ref(&vm), 9).steps;
    let [(_, late), (_, told)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((late.stage.word(), late.snapshot.as_ref().unwrap().as_str()), ("remove", "s1"));
    assert_ne!(late.key(), told.key());
    assert!(told.protects() && !told.may_surface());
    // A copy of either description is not ours.
    let copies = [both, vec![seen("first-0", "copy"), seen("first-0+1", "copy-2")]].concat();
    let vm = vm.with(|vm| (vm.records, vm.seen) = (vec![late.clone(), told.clone()], Some(copies.clone())));
    let decisions = planned(std::slice::from_ref(&vm), 9);
    assert!(decisions.steps.is_empty(), "{:?}", decisions.steps);
    let orphans = decisions.says[0].iter().filter(|say| matches!(say, Say::Orphan { .. })).count();
    assert_eq!(orphans, 2);
    // Also when the late one is gone, and its record forgotten.
    let vm = vm.with(|vm| (vm.records, vm.seen) = (vec![told.clone()], Some(copies[1..].to_vec())));
    assert!(planned(std::slice::from_ref(&vm), 9).steps.is_empty());
}

#[test]
fn a_removal_waits_for_windows_and_goes_before_one_that_lasts_too_long() {
    let open = Run { window: "mw-1".into(), opens: at("28T10:00:00"), closes: at("28T12:00:00"), ..run() };
    let vm = Vm::new("28T11:00:00").having(removing()).with(|vm| vm.runs = vec![open.clone()]);
    assert_eq!(does(&vm), ["missed"; 0]);
    assert_eq!(planned(std::slice::from_ref(&vm), 9).next, Some(open.closes));
    // None is begun just before one opens.
    let soon = Run { opens: at("28T11:10:00"), ..open };
    assert_eq!(does(&vm.clone().with(|vm| vm.runs = vec![soon])), ["Create"]);
    // This would pass its hard limit while the window is open: it goes in time.
    let long = Run { window: "mw-1".into(), opens: at("30T18:00:00"), closes: at("30T23:00:00"), ..run() };
    let long = Run { closes: long.opens + SignedDuration::from_hours(24), ..long };
    let failed = judged(Judgement::Failed { why: "?".into() });
    let mut failed = failed;
    failed.keep.failure = SignedDuration::from_hours(100);
    let due = |runs: &[Run], now: &str| {
        does(&Vm::new(now).having(failed.clone()).with(|vm| vm.runs = runs.to_vec()))
    };
    assert_eq!(due(&[], "30T13:00:00"), ["missed"; 0]);
    assert_eq!(due(&[long], "30T13:00:00"), ["remove"]);
}

#[test]
fn what_cannot_be_done_does_not_go_on_for_ever() {
    let trouble =
        || Trouble { word: "x".into(), sentence: "x".into(), fix: None, passes: true, quiescing: false };
    // A VM that cannot be powered on loses its snapshot all the same.
    let mut off = kept().after(Event::Wished(Wish::Revert), at("28T07:00:00"));
    off.was_on = true;
    off = off
        .after(Event::Started { task: "t".into() }, at("28T07:00:00"))
        .after(Event::Succeeded, at("28T07:01:00"));
    for _ in 0..5 {
        off = off.after(Event::Failed(trouble()), at("28T07:02:00"));
    }
    let vm = |now| Vm::new(now).having(off.clone()).with(|vm| vm.runs.clear());
    assert_eq!(does(&vm("28T12:00:00")), ["PowerOn"]);
    assert_eq!(does(&vm("30T20:00:00")), ["remove"]);
    // Consolidation that says it is done, and is not, is repeated with pauses.
    let mut record = removing().after(Event::Started { task: "t".into() }, at("28T11:00:00"));
    let mut now = at("28T11:00:00");
    let mut pauses = Vec::new();
    for _ in 0..4 {
        record = record.after(Event::Succeeded, now).after(Event::Checked { left_over: true }, now);
        pauses.push(record.retry_at.unwrap().duration_since(now));
        now = record.retry_at.unwrap();
        record = record.after(Event::Started { task: "t".into() }, now);
    }
    assert!(pauses.is_sorted_by(|a, b| a < b), "{pauses:?}");
    // Who asked for a rollback that does not begin may think better of it.
    let waits = kept().after(Event::Wished(Wish::Revert), at("28T07:00:00"));
    assert_eq!(waits.after(Event::Wished(Wish::Remove), at("28T07:01:00")).stage, Stage::Remove);
    // A snapshot that failed to be removed and is gone leaves its disks to be looked at.
    let failed = removing().after(Event::Failed(trouble()), at("28T11:00:00"));
    assert_eq!(failed.after(Event::Vanished, at("28T11:01:00")).stage, Stage::Check);
    let ended = Stage::Ended { ending: Ending::RemovedByOthers };
    assert_eq!(removing().after(Event::Vanished, at("28T11:01:00")).stage, ended);
}

#[test]
fn a_later_deadline_leaves_the_time_before_it_to_an_earlier_one() {
    // Two windows, five minutes apart, and one at a time: the later cannot have all the time before its opening.
    let other = Run { window: "mw-1".into(), opens: at("28T02:05:00"), ..run() };
    let mut vms = vec![Vm::new("28T00:30:00"); 3];
    vms.extend(vec![Vm::new("28T00:30:00").with(|vm| vm.runs = vec![other.clone()]); 3]);
    let decisions = planned(&vms, 1);
    assert_eq!(decisions.forecasts.len(), 2);
    for forecast in &decisions.forecasts {
        assert_eq!((forecast.planned.len(), forecast.late.len()), (3, 0), "{forecast:?}");
        assert!(forecast.finish.unwrap() <= forecast.deadline);
    }
    // One after the other, and as late as can be.
    assert!(decisions.forecasts[0].finish.unwrap() <= at("28T01:33:00"));
    let begins = decisions.forecasts[0].planned.iter().map(|planned| planned.1).min();
    assert_eq!(begins, Some(at("28T01:18:00")));
}
