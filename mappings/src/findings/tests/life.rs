//! The steps of a finding's life, one by one.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::super::life::{
    Call, ChangeKind, Closing, Outcome, Policy, Sight, State, WorkflowDue, WorkflowStatus, batches, closing,
    settle, withdraw,
};
use super::super::{Folding, RecordState, Resolution, Severity, Status, Subject};
use super::hub::Hub;
use super::*;

#[test]
fn it_is_resolved_closed_and_reopened() {
    let policy = Policy::default();
    let mut book = created(&policy);
    let now = start() + hours(1);
    let plan = planned(&[], &book, &policy, now);
    assert_eq!(kinds(&plan), [ChangeKind::Resolve(Resolution::Fixed)]);
    let finding = plan.changes[0].finding().unwrap();
    assert_eq!(finding.content.compliance.status, Status::Passed);
    assert_eq!(finding.content.record_state, RecordState::Archived);
    assert_eq!(finding.content.product_fields["vmbridge/resolution"], "fixed");
    assert_eq!(finding.times.created_at, at("2026-11-28T10:00:00.123Z"));
    accept(&mut book, &plan, now);
    let plan = planned(&[], &book, &policy, now);
    assert_eq!(kinds(&plan), [ChangeKind::Close]);
    assert_eq!(plan.changes[0].finding(), None);
    assert_eq!(batches(&plan.changes).batches[0].call, Call::Close);
    accept(&mut book, &plan, now);
    let plan = planned(&[], &book, &policy, now);
    assert!(plan.is_empty());
    assert_eq!(plan.next, Some(now + hours(30 * 24)));
    // It is back before Security Hub has set the status: it waits, so that the status does not hide it.
    let plan = planned(&one(), &book, &policy, now);
    assert_eq!((plan.is_empty(), plan.waiting, plan.next), (true, 1, Some(now + policy.workflow_settles)));
    let now = now + policy.workflow_settles;
    let plan = planned(&one(), &book, &policy, now);
    assert_eq!(kinds(&plan), [ChangeKind::Reopen]);
    let finding = plan.changes[0].finding().unwrap();
    assert_eq!(finding.times.created_at, at("2026-11-28T10:00:00.123Z"));
    assert_eq!(finding.content.record_state, RecordState::Active);
    accept(&mut book, &plan, now);
    assert!(planned(&one(), &book, &policy, now).is_empty());
}

#[test]
fn it_is_forgotten_when_security_hub_has() {
    let policy = Policy::default();
    let mut book = created(&policy);
    for _ in 0..2 {
        let plan = planned(&[], &book, &policy, start());
        accept(&mut book, &plan, start());
    }
    let almost = start() + hours(30 * 24 - 1);
    assert!(planned(&[], &book, &policy, almost).is_empty());
    let plan = planned(&[], &book, &policy, start() + hours(30 * 24));
    assert_eq!((plan.forget.len(), plan.changes.len()), (1, 0));
    accept(&mut book, &plan, start());
    assert!(book.records.is_empty());
    assert!(planned(&[], &book, &policy, start() + hours(31 * 24)).is_empty());
}

#[test]
fn it_is_refreshed_before_it_ages_out() {
    let policy = Policy::default();
    let mut book = created(&policy);
    assert!(planned(&one(), &book, &policy, start() + hours(44 * 24)).is_empty());
    let due = planned(&one(), &book, &policy, start()).next.unwrap();
    assert!(due > start() + hours(45 * 24) && due <= start() + hours(60 * 24));
    assert!(planned(&one(), &book, &policy, due - hours(1)).is_empty());
    let plan = planned(&one(), &book, &policy, due);
    assert_eq!(kinds(&plan), [ChangeKind::Refresh]);
    accept(&mut book, &plan, due);
    assert!(planned(&one(), &book, &policy, due).is_empty());
    // What cannot be seen does not age out either.
    let unseen = |_: &Object, _: &RuleId| Sight::Unknown;
    let late = due + hours(60 * 24);
    let plan = plan_with(&[], &book, unseen, late);
    assert_eq!((kinds(&plan), plan.unseen), (vec![ChangeKind::Refresh], 1));
    accept(&mut book, &plan, late);
    assert!(plan_with(&[], &book, unseen, late).is_empty());
}

#[test]
fn what_cannot_be_seen_stays_as_it_is() {
    let mut book = created(&Policy::default());
    let unknown = |_: &Object, _: &RuleId| Sight::Unknown;
    let plan = plan_with(&[], &book, unknown, start() + hours(1));
    assert!(plan.is_empty());
    assert_eq!(plan.unseen, 1);
    let gone = |_: &Object, _: &RuleId| Sight::Gone;
    let plan = plan_with(&[], &book, gone, start() + hours(1));
    assert_eq!(kinds(&plan), [ChangeKind::Resolve(Resolution::Gone)]);
    accept(&mut book, &plan, start());
    // A finding that is over needs nobody to see anything.
    assert_eq!(kinds(&plan_with(&[], &book, unknown, start())), [ChangeKind::Close]);
}

#[test]
fn of_a_folded_finding_unreadable_rules_stay_told() {
    let both = [problem("a", Severity::Low), problem("b", Severity::Critical)];
    let mut book = Book::default();
    let plan = planned(&both, &book, &Policy::default(), start());
    accept(&mut book, &plan, start());
    // b cannot be read, a stays: nothing changes.
    let b_unknown =
        |_: &Object, rule: &RuleId| if rule.as_str() == "b" { Sight::Unknown } else { Sight::Seen };
    assert!(plan_with(&both[..1], &book, b_unknown, start()).is_empty());
    // c comes: b is still told.
    let with_c = [problem("a", Severity::Low), problem("c", Severity::Low)];
    let plan = plan_with(&with_c, &book, b_unknown, start());
    assert_eq!(kinds(&plan), [ChangeKind::Update]);
    let content = &plan.changes[0].record.content;
    assert_eq!(content.product_fields["vmbridge/rules"], "a:LOW:FAILED,b:CRITICAL:FAILED,c:LOW:FAILED");
    assert_eq!(content.finding_provider_fields.severity.label, Severity::Critical);
    accept(&mut book, &plan, start());
    assert!(plan_with(&with_c, &book, b_unknown, start()).is_empty());
    // b is seen to be well.
    let plan = planned(&with_c, &book, &Policy::default(), start());
    assert_eq!(plan.changes[0].record.content.product_fields["vmbridge/rules"], "a:LOW:FAILED,c:LOW:FAILED");
}

#[test]
fn a_move_to_another_host_is_not_told_for_its_own_sake() {
    let policy = Policy::default();
    let mut book = created(&policy);
    let moved = Arc::new(Subject { host: Some("esx-08".into()), ..subject() });
    let problems = [problem_of(&moved, "vm.copy", Severity::Medium)];
    assert!(planned(&problems, &book, &policy, start()).is_empty());
    let problems = [problem_of(&moved, "vm.copy", Severity::High)];
    let plan = planned(&problems, &book, &policy, start());
    let resource = &plan.changes[0].record.content.resources[0];
    assert_eq!(resource.details.as_ref().unwrap().other["host"], "esx-08");
    accept(&mut book, &plan, start());
    assert!(planned(&problems, &book, &policy, start()).is_empty());
}

#[test]
fn updates_are_newer_even_when_the_clock_goes_back() {
    let policy = Policy::default();
    let book = created(&policy);
    let changed = [problem("vm.copy", Severity::High)];
    let plan = planned(&changed, &book, &policy, start() - hours(5));
    let (before, after) = (only(&book).updated_at, plan.changes[0].finding().unwrap().times.updated_at);
    assert_eq!(after, before + SignedDuration::from_millis(1));
}

#[test]
fn a_lost_answer_is_sent_again_and_newer() {
    let policy = Policy::default();
    let (mut book, mut hub) = (Book::default(), Hub::default());
    let plan = planned(&one(), &book, &policy, start());
    let change = &plan.changes[0];
    // Killed after it arrived.
    let intent = change.intent(start());
    book.records.insert(intent.id.clone(), intent);
    hub.import(&change.finding().unwrap());
    let again = planned(&one(), &book, &policy, start());
    assert_eq!(kinds(&again), [ChangeKind::Update]);
    let second = again.changes[0].finding().unwrap();
    assert!(second.times.updated_at > change.finding().unwrap().times.updated_at);
    accept(&mut book, &again, start());
    assert!(planned(&one(), &book, &policy, start()).is_empty());
    // The same, and the problem is over before it is sent again.
    let mut book = Book::default();
    let intent = change.intent(start());
    book.records.insert(intent.id.clone(), intent);
    let plan = planned(&[], &book, &policy, start());
    assert_eq!(kinds(&plan), [ChangeKind::Resolve(Resolution::Fixed)]);
}

#[test]
fn failures_are_retried_ever_more_rarely_and_hold_up_nobody() {
    let policy = Policy { folding: Folding::Full, ..Policy::default() };
    let problems = [problem("a", Severity::Low), problem("b", Severity::Low)];
    let mut book = Book::default();
    let plan = planned(&problems, &book, &policy, start());
    let failed = Outcome::Failed { code: "Throttled".into(), message: "slow down\n".into() };
    let records =
        [settle(&plan.changes[0], &failed, start()), settle(&plan.changes[1], &Outcome::Accepted, start())];
    book.records.extend(records.into_iter().flatten().map(|record| (record.id.clone(), record)));
    let mut now = start();
    let mut distances = Vec::new();
    for _ in 0..14 {
        let plan = planned(&problems, &book, &policy, now);
        assert_eq!((plan.changes.len(), plan.waiting), (0, 1));
        let next = plan.next.unwrap();
        distances.push(next.duration_since(now).as_secs());
        now = next;
        let plan = planned(&problems, &book, &policy, now);
        assert_eq!(kinds(&plan), [ChangeKind::Create]);
        outcome(&mut book, &plan, &failed, now);
    }
    assert_eq!(distances[..4], [30, 60, 120, 240]);
    assert_eq!(distances.last(), Some(&(6 * 3600)));
    // Never sent, and not wanted any more: nothing is to be sent.
    let plan = planned(&problems[1..], &book, &policy, now);
    assert_eq!((plan.changes.len(), plan.forget.len()), (0, 1));
}

#[test]
fn what_is_refused_is_told_until_it_says_something_else() {
    let policy = Policy::default();
    let mut book = Book::default();
    let plan = planned(&one(), &book, &policy, start());
    let refused = Outcome::Refused { code: "InvalidInput".into(), message: "no".into() };
    outcome(&mut book, &plan, &refused, start());
    let later = start() + hours(1000);
    let plan = planned(&one(), &book, &policy, later);
    assert_eq!((plan.is_empty(), plan.refused.len()), (true, 1));
    assert_eq!(&*plan.refused[0].code, "InvalidInput");
    let plan = planned(&[problem("vm.copy", Severity::High)], &book, &policy, later);
    assert_eq!(kinds(&plan), [ChangeKind::Create]);
}

#[test]
fn only_what_nobody_decided_is_closed() {
    let mut book = created(&Policy::default());
    let plan = planned(&[], &book, &Policy::default(), start());
    accept(&mut book, &plan, start());
    let record = only(&book);
    assert_eq!(closing(record, Some(WorkflowStatus::New)), Closing::Set);
    assert_eq!(closing(record, Some(WorkflowStatus::Notified)), Closing::Set);
    assert_eq!(closing(record, Some(WorkflowStatus::Suppressed)), Closing::Leave);
    assert_eq!(closing(record, Some(WorkflowStatus::Resolved)), Closing::Leave);
    let missing = Outcome::Failed { code: "NotFound".into(), message: "not shown yet".into() };
    for attempt in 0..5 {
        assert_eq!(closing(only(&book), None), Closing::Wait, "{attempt}");
        let now = start() + hours(10 * attempt);
        let plan = planned(&[], &book, &Policy::default(), now);
        outcome(&mut book, &plan, &missing, now);
    }
    assert_eq!(closing(only(&book), None), Closing::Leave);
    let now = start() + hours(100);
    let plan = planned(&[], &book, &Policy::default(), now);
    outcome(&mut book, &plan, &Outcome::Left, now);
    assert!(matches!(only(&book).state, State::Resolved { workflow: WorkflowDue::Done, .. }));
    // Nothing was set, so nothing has to settle.
    assert_eq!(kinds(&planned(&one(), &book, &Policy::default(), now)), [ChangeKind::Reopen]);
}

#[test]
fn a_cycle_has_a_limit_and_the_worst_come_first() {
    let policy =
        Policy { folding: Folding::Full, most_per_cycle: NonZeroUsize::new(2).unwrap(), ..Policy::default() };
    let problems =
        [problem("a", Severity::Low), problem("b", Severity::Critical), problem("c", Severity::High)];
    let mut book = Book::default();
    let plan = planned(&problems, &book, &policy, start());
    assert_eq!((plan.changes.len(), plan.held_back), (2, 1));
    let severities: Vec<Severity> = plan
        .changes
        .iter()
        .map(|change| change.record.content.finding_provider_fields.severity.label)
        .collect();
    assert_eq!(severities, [Severity::Critical, Severity::High]);
    accept(&mut book, &plan, start());
    let plan = planned(&problems, &book, &policy, start());
    assert_eq!((plan.changes.len(), plan.held_back), (1, 0));
}

#[test]
fn folding_and_moving_replace_findings() {
    let mut book = created(&Policy::default());
    let full = Policy { folding: Folding::Full, ..Policy::default() };
    let plan = planned(&one(), &book, &full, start());
    assert_eq!(kinds(&plan), [ChangeKind::Create, ChangeKind::Resolve(Resolution::Replaced)]);
    accept(&mut book, &plan, start());
    let plan = planned(&one(), &book, &full, start());
    accept(&mut book, &plan, start());
    assert!(planned(&one(), &book, &full, start()).is_empty());
    let mut moved = one();
    moved[0].target = Arc::new(Target { region: "eu-west-1".into(), ..target() });
    let plan = planned(&moved, &book, &full, start());
    assert_eq!(kinds(&plan), [ChangeKind::Create, ChangeKind::Resolve(Resolution::Replaced)]);
    assert_eq!(batches(&plan.changes).batches.len(), 2);
}

#[test]
fn another_vm_under_the_same_reference_is_another_finding() {
    let mut book = created(&Policy::default());
    let object = Object { instance: Some("50999999-0000-0000-0000-000000000000".into()), ..subject().object };
    let other = problem_of(&Arc::new(Subject { object, ..subject() }), "vm.copy", Severity::Medium);
    let gone = |object: &Object, _: &RuleId| {
        if object.instance == subject().object.instance { Sight::Gone } else { Sight::Seen }
    };
    let problems = [other];
    let plan = plan_with(&problems, &book, gone, start());
    assert_eq!(kinds(&plan), [ChangeKind::Create, ChangeKind::Resolve(Resolution::Gone)]);
    accept(&mut book, &plan, start());
    assert_eq!(book.records.len(), 2);
}

#[test]
fn an_instance_that_cannot_be_read_is_no_other_vm() {
    let mut book = created(&Policy::default());
    let object = Object { instance: None, ..subject().object };
    let unread = [problem_of(&Arc::new(Subject { object, ..subject() }), "vm.copy", Severity::High)];
    let plan = planned(&unread, &book, &Policy::default(), start());
    assert_eq!(kinds(&plan), [ChangeKind::Update]);
    assert_eq!(ids(&plan.changes), [only(&book).id.clone()]);
    accept(&mut book, &plan, start());
    assert!(planned(&unread, &book, &Policy::default(), start()).is_empty());
    assert_eq!(only(&book).object, subject().object);
    // The other way round: it was first seen without.
    let mut book = Book::default();
    let plan = planned(&unread, &book, &Policy::default(), start());
    accept(&mut book, &plan, start());
    let plan = planned(&one(), &book, &Policy::default(), start());
    assert_eq!(kinds(&plan), [ChangeKind::Update]);
    accept(&mut book, &plan, start());
    assert!(planned(&one(), &book, &Policy::default(), start()).is_empty());
}

#[test]
fn records_survive_the_store() {
    let mut book = created(&Policy::default());
    let plan = planned(&[], &book, &Policy::default(), start());
    outcome(&mut book, &plan, &Outcome::Lost, start());
    let record = only(&book);
    let read: super::super::life::Record =
        serde_json::from_str(&serde_json::to_string(record).unwrap()).unwrap();
    assert_eq!(read, *record);
}

#[test]
fn what_was_taken_last_is_kept_while_its_update_is_refused() {
    let policy = Policy::default();
    let mut book = created(&policy);
    let refused = Outcome::Refused { code: "InvalidInput".into(), message: "no".into() };
    let worse = [problem("vm.copy", Severity::High)];
    let plan = planned(&worse, &book, &policy, start());
    outcome(&mut book, &plan, &refused, start());
    let plan = planned(&worse, &book, &policy, start());
    assert_eq!((plan.is_empty(), plan.refused.len()), (true, 1));
    // It would age out with its problem there.
    let mut now = plan.next.unwrap();
    assert!(now < start() + hours(60 * 24 + 1));
    let plan = planned(&worse, &book, &policy, now);
    assert_eq!((kinds(&plan), plan.refused.len()), (vec![ChangeKind::Refresh], 1));
    assert_eq!(plan.changes[0].record.content.finding_provider_fields.severity.label, Severity::Medium);
    // That it is not taken now holds it up, and that it is not taken at all is no reason to send the other again.
    for answer in [Outcome::Lost, refused.clone()] {
        outcome(&mut book, &plan, &answer, now);
        let plan = planned(&worse, &book, &policy, now);
        assert_eq!((plan.changes.len(), plan.refused.len(), plan.waiting), (0, 1, 1));
        assert_eq!(&*plan.refused[0].message, "no");
        now = plan.next.unwrap();
        assert_eq!(kinds(&planned(&worse, &book, &policy, now)), [ChangeKind::Refresh]);
    }
    let plan = planned(&worse, &book, &policy, now);
    accept(&mut book, &plan, now);
    let plan = planned(&worse, &book, &policy, now);
    assert_eq!((plan.is_empty(), plan.refused.len()), (true, 1));
    assert!(plan.next.unwrap() > now + hours(44 * 24));
    // It says something else.
    let plan = planned(&[problem("vm.copy", Severity::Critical)], &book, &policy, now);
    assert_eq!(kinds(&plan), [ChangeKind::Update]);
    accept(&mut book, &plan, now);
    assert_eq!(only(&book).failure, None);
}

#[test]
fn what_is_accepted_or_not_asked_for_has_not_passed() {
    let both = [problem("a", Severity::Low), problem("b", Severity::Low)];
    let policy = Policy::default();
    for (a, b, status, word) in [
        (Sight::Seen, Sight::Seen, Status::Passed, "fixed"),
        (Sight::Gone, Sight::Gone, Status::Passed, "gone"),
        (Sight::NotAsked, Sight::Seen, Status::NotAvailable, "not-asked"),
        (Sight::Seen, Sight::Accepted, Status::NotAvailable, "accepted"),
        (Sight::Accepted, Sight::NotAsked, Status::NotAvailable, "accepted"),
        (Sight::Moved, Sight::Accepted, Status::Passed, "replaced"),
    ] {
        let mut book = Book::default();
        let plan = planned(&both, &book, &policy, start());
        accept(&mut book, &plan, start());
        let sight = |_: &Object, rule: &RuleId| if rule.as_str() == "a" { a } else { b };
        let plan = plan_with(&[], &book, sight, start());
        let content = &plan.changes[0].record.content;
        assert_eq!(content.product_fields["vmbridge/resolution"], word);
        assert_eq!((content.compliance.status, content.record_state), (status, RecordState::Archived));
        // It is dealt with like any other that is over, and comes back like any other.
        accept(&mut book, &plan, start());
        let plan = plan_with(&[], &book, sight, start());
        assert_eq!(kinds(&plan), [ChangeKind::Close]);
        outcome(&mut book, &plan, &Outcome::Left, start());
        assert!(plan_with(&[], &book, sight, start()).is_empty());
        let plan = planned(&both, &book, &policy, start());
        assert_eq!(kinds(&plan), [ChangeKind::Reopen]);
        assert!(!plan.changes[0].record.content.product_fields.contains_key("vmbridge/resolution"));
    }
}

#[test]
fn all_are_withdrawn_when_a_person_wants_none_any_more() {
    let policy = Policy::default();
    let owner: Owner = "0b0b0b0b".into();
    let withdrawn = |book: &Book, now| withdraw(book.records.values(), &owner, &policy, now);
    let mut book = created(&policy);
    // What failed waits, but not for a clock that was ahead.
    let ahead = start() + hours(365 * 24);
    let failed = Outcome::Failed { code: "Throttling".into(), message: "later".into() };
    let plan = withdrawn(&book, ahead);
    outcome(&mut book, &plan, &failed, ahead);
    let plan = withdrawn(&book, ahead);
    assert_eq!((plan.changes.len(), plan.waiting, plan.next.is_some()), (0, 1, true));
    let now = start() + hours(1);
    let plan = withdrawn(&book, now);
    assert_eq!(kinds(&plan), [ChangeKind::Resolve(Resolution::Withdrawn)]);
    let finding = plan.changes[0].finding().unwrap();
    assert!(finding.times.updated_at > ahead);
    // Its problem may be there: it has not passed. And it may have been told by a former installation.
    assert_eq!(finding.content.compliance.status, Status::NotAvailable);
    assert_eq!(finding.content.record_state, RecordState::Archived);
    assert_eq!(finding.content.product_fields["vmbridge/resolution"], "withdrawn");
    assert_eq!(finding.content.product_fields["vmbridge/owner"], "0b0b0b0b");
    accept(&mut book, &plan, now);
    let plan = withdrawn(&book, now);
    assert_eq!(kinds(&plan), [ChangeKind::Close]);
    accept(&mut book, &plan, now);
    assert!(withdrawn(&book, now).is_empty());
    // What Security Hub never had is forgotten.
    let mut book = Book::default();
    let plan = planned(&one(), &book, &policy, now);
    let refused = Outcome::Refused { code: "InvalidInput".into(), message: "no".into() };
    outcome(&mut book, &plan, &refused, now);
    let plan = withdrawn(&book, now);
    assert_eq!((plan.forget.len(), plan.changes.len()), (1, 0));
    accept(&mut book, &plan, now);
    assert!(withdrawn(&book, now).is_empty());
}

#[test]
fn a_clock_that_was_ahead_stops_nothing() {
    let policy = Policy::default();
    let ahead = start() + hours(3 * 365 * 24);
    let told = |kinds: Vec<ChangeKind>, book: &Book, problems: &[Problem]| {
        let plan = planned(problems, book, &policy, start());
        assert_eq!(super::kinds(&plan), kinds);
        plan
    };
    // Refresh: once, and not again.
    let mut book = Book::default();
    let plan = planned(&one(), &book, &policy, ahead);
    accept(&mut book, &plan, ahead);
    let plan = told(vec![ChangeKind::Refresh], &book, &one());
    assert!(plan.changes[0].record.updated_at > ahead - hours(1), "newer than what is there");
    accept(&mut book, &plan, start());
    assert!(told(vec![], &book, &one()).next.unwrap() > start() + hours(44 * 24));
    // What failed.
    let failed = Outcome::Failed { code: "Throttled".into(), message: "slow down".into() };
    let plan = planned(&[problem("vm.copy", Severity::High)], &book, &policy, ahead);
    outcome(&mut book, &plan, &failed, ahead);
    told(vec![ChangeKind::Update], &book, &[problem("vm.copy", Severity::High)]);
    // What is over, closed and back.
    let mut book = Book::default();
    for problems in [&one()[..], &[], &[]] {
        let plan = planned(problems, &book, &policy, ahead);
        accept(&mut book, &plan, ahead);
    }
    told(vec![], &book, &[]);
    assert_eq!(book.records.len(), 1);
    let plan = told(vec![ChangeKind::Reopen], &book, &one());
    assert!(plan.changes[0].record.updated_at > ahead);
    // A clock that is corrected by a minute changes nothing.
    let mut book = created(&policy);
    let minute = SignedDuration::from_mins(1);
    assert!(planned(&one(), &book, &policy, start() - minute).is_empty());
    for _ in 0..2 {
        let plan = planned(&[], &book, &policy, start());
        accept(&mut book, &plan, start());
    }
    let plan = planned(&one(), &book, &policy, start() - minute);
    assert_eq!((plan.is_empty(), plan.waiting), (true, 1));
}

#[test]
fn a_vm_is_never_told_twice_because_its_instance_could_not_be_read() {
    let policy = Policy::default();
    let object = Object { instance: None, ..subject().object };
    let unread = [problem_of(&Arc::new(Subject { object, ..subject() }), "vm.copy", Severity::Medium)];
    // Told under both names, as two lives of a store did it.
    let mut book = created(&policy);
    let plan = planned(&unread, &Book::default(), &policy, start());
    accept(&mut book, &plan, start());
    assert_eq!(book.records.len(), 2);
    for problems in [&one()[..], &unread[..]] {
        let mut book = book.clone();
        let plan = planned(problems, &book, &policy, start());
        assert_eq!(kinds(&plan), [ChangeKind::Resolve(Resolution::Replaced)]);
        accept(&mut book, &plan, start());
        let plan = planned(problems, &book, &policy, start());
        accept(&mut book, &plan, start());
        // The open one goes on, whichever it is.
        for problems in [&one()[..], &unread[..]] {
            let plan = planned(problems, &book, &policy, start());
            assert!(!kinds(&plan).iter().any(|kind| *kind != ChangeKind::Update), "{:?}", kinds(&plan));
            accept(&mut book, &plan, start());
            assert!(planned(problems, &book, &policy, start()).is_empty());
        }
    }
}
