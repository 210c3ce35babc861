//! What is made of what Security Hub shows: after the store was lost, beside other installations, and when it shows things in
//! another way than they were sent.

use super::super::life::{Listed, Others, adopt, claims};
use super::super::{Folding, RecordState, Resolution, Severity};
use super::hub::Hub;
use super::*;

fn read(book: &mut Book, listed: &[Listed], now: Timestamp) {
    read_as(book, listed, &[owner()], now);
}

fn read_as(book: &mut Book, listed: &[Listed], owners: &[Owner], now: Timestamp) {
    book.reconcile(adopt(listed, &target(), owners), &target(), now, now);
}

/// Sends a plan, and records that it was taken.
fn send(hub: &mut Hub, book: &mut Book, plan: &Plan, now: Timestamp) {
    plan.changes.iter().filter_map(Change::finding).for_each(|finding| hub.import(&finding));
    accept(book, plan, now);
}

fn planned_as(problems: &[Problem], book: &Book, owner: &Owner, now: Timestamp) -> Plan {
    plan(problems, book, seen, owner, &Policy::default(), now)
}

#[test]
fn what_is_shown_is_what_there_is_when_the_last_attempt_never_came() {
    let policy = Policy::default();
    let (mut hub, mut book) = (Hub::default(), Book::default());
    let plan = planned(&one(), &book, &policy, start());
    hub.import(&plan.changes[0].finding().unwrap());
    outcome(&mut book, &plan, &Outcome::Lost, start());
    // Before that is known, it is to say something that is refused, whatever else it says.
    let now = start() + hours(1);
    let worse = [problem("b", Severity::Critical)];
    let plan = planned(&worse, &book, &policy, now);
    let refused = Outcome::Refused { code: "InvalidInput".into(), message: "no".into() };
    outcome(&mut book, &plan, &refused, now);
    let told = only(&book).hash.clone();
    hub.now = now + hours(2);
    read_as(&mut book, &hub.listed(), &[owner()], hub.now);
    let record = only(&book);
    assert!(!record.in_doubt && record.hash != told && record.failure.is_none());
    assert_eq!(*record.content, hub.only().finding.content);
    // It is over, as what was taken.
    let plan = planned(&[], &book, &policy, hub.now);
    assert_eq!(plan.changes[0].record.content.title, hub.only().finding.content.title);
}

#[test]
fn a_lost_store_is_rebuilt_and_nothing_is_sent() {
    let policy = Policy { folding: Folding::Full, ..Policy::default() };
    let problems: Vec<Problem> =
        ["a", "b", "c, d:e"].map(|rule| problem(rule, Severity::Low)).into_iter().collect();
    let (mut book, mut hub) = (Book::default(), Hub::default());
    for wanted in [&problems[..], &problems[1..]] {
        let plan = planned(wanted, &book, &policy, start());
        plan.changes.iter().for_each(|change| hub.import(&change.finding().unwrap()));
        accept(&mut book, &plan, start());
    }
    let adopted = adopt(&hub.listed(), &target(), &[owner()]);
    assert_eq!(adopted.records.len(), 3);
    assert_eq!(adopted.others, Others::default());
    let mut book = Book::default();
    book.reconcile(adopted, &target(), start(), start());
    let plan = planned(&problems[1..], &book, &policy, start());
    assert_eq!(kinds(&plan), [ChangeKind::Close]);
}

#[test]
fn what_only_looks_like_ours_is_told() {
    let mut hub = Hub::default();
    let plan = planned(&one(), &Book::default(), &Policy::default(), start());
    hub.import(&plan.changes[0].finding().unwrap());
    let listed = hub.listed();
    type Spoil = fn(&mut super::super::life::Listed);
    let spoils: [(Spoil, &str); 6] = [
        (|listed| listed.content.product_arn.push('x'), "another product"),
        (|listed| listed.content.id = "vmbridge/else".into(), "its id"),
        (|listed| drop(listed.content.product_fields.remove("vmbridge/rules")), "no rules"),
        (
            |listed| drop(listed.content.product_fields.insert("vmbridge/rules".into(), "a:b".into())),
            "cannot be read",
        ),
        (|listed| drop(listed.content.product_fields.insert("vmbridge/kind".into(), "x".into())), "its kind"),
        (|listed| drop(listed.content.product_fields.remove("vmbridge/family")), "one rule or family"),
    ];
    for (spoil, why) in spoils {
        let mut spoiled = listed.clone();
        spoil(&mut spoiled[0]);
        let adopted = adopt(&spoiled, &target(), &[owner()]);
        assert!(adopted.records.is_empty());
        let told: Vec<String> = adopted.others.unusable.values().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains(why), "{told:?}");
        let id = &spoiled[0].content.id;
        let mut book = Book::default();
        book.reconcile(adopted, &target(), start(), start());
        assert_eq!(book.others.unusable(&book.records).map(|one| &one.id).collect::<Vec<_>>(), [id]);
        // Where its name is needed it is written anew, and later than what is there.
        let plan = planned(&one(), &book, &Policy::default(), start() - hours(5));
        assert_eq!(kinds(&plan), [ChangeKind::Create]);
        if *id == plan.changes[0].record.id {
            assert!(plan.changes[0].record.updated_at > spoiled[0].times.updated_at);
            accept(&mut book, &plan, start());
            assert_eq!(book.others.unusable(&book.records).count(), 0);
        }
    }
    // Somebody has changed what it says: it is sent again.
    let mut changed = listed;
    changed[0].content.title.push('!');
    let mut book = Book::default();
    book.reconcile(adopt(&changed, &target(), &[owner()]), &target(), start(), start());
    assert_eq!(kinds(&planned(&one(), &book, &Policy::default(), start())), [ChangeKind::Update]);
}

#[test]
fn findings_that_security_hub_lost_are_made_again() {
    let mut book = created(&Policy::default());
    let read = |book: &mut Book, target: &Target, at: Timestamp| {
        book.reconcile(adopt(&[], target, &[owner()]), target, at, at);
    };
    read(&mut book, &target(), start() + SignedDuration::from_mins(30));
    assert_eq!(book.records.len(), 1, "it may not be shown yet");
    let elsewhere = Target { region: "us-east-1".into(), ..target() };
    read(&mut book, &elsewhere, start() + hours(2));
    assert_eq!(book.records.len(), 1, "it is not there that it is");
    read(&mut book, &target(), start() + hours(2));
    assert_eq!(kinds(&planned(&one(), &book, &Policy::default(), start() + hours(2))), [ChangeKind::Create]);
}

#[test]
fn what_another_installation_tells_is_left_alone_and_named() {
    let (mut hub, other): (_, Owner) = (Hub::default(), "ffffffff".into());
    let mut book = Book::default();
    send(&mut hub, &mut Book::default(), &planned_as(&one(), &Book::default(), &other, start()), start());
    read(&mut book, &hub.listed(), start());
    assert!(book.records.is_empty());
    let plan = planned(&one(), &book, &Policy::default(), start());
    assert_eq!((plan.changes.len(), plan.foreign.len()), (0, 1));
    assert_eq!((&plan.foreign[0].owner, &plan.foreign[0].object), (&Some(other.clone()), &subject().object));
    let (_, stranger) = book.others.strangers(&book.records).next().unwrap();
    assert_eq!(stranger.vcenter.as_ref().map(super::super::VcenterId::as_str), Some(VCENTER));
    // What was shown of another place stays known, what was shown of this one before does not.
    let elsewhere = Target { region: "us-east-1".into(), ..target() };
    book.reconcile(adopt(&[], &elsewhere, &[owner()]), &elsewhere, start(), start());
    assert_eq!(book.others.strangers(&book.records).count(), 1);
    read(&mut book, &[], start());
    assert_eq!(book.others.strangers(&book.records).count(), 0);
    assert_eq!(kinds(&planned(&one(), &book, &Policy::default(), start())), [ChangeKind::Create]);
}

#[test]
fn what_another_installation_has_ended_is_free() {
    let (mut hub, other): (_, Owner) = (Hub::default(), "ffffffff".into());
    let mut theirs = Book::default();
    for problems in [&one()[..], &[]] {
        let plan = planned_as(problems, &theirs, &other, start());
        send(&mut hub, &mut theirs, &plan, start());
    }
    let mut book = Book::default();
    read(&mut book, &hub.listed(), start());
    assert_eq!(book.others.strangers(&book.records).count(), 0);
    // Our clock is behind theirs.
    let now = start() - hours(3);
    let plan = planned(&one(), &book, &Policy::default(), now);
    assert_eq!((kinds(&plan), plan.foreign.len()), (vec![ChangeKind::Create], 0));
    send(&mut hub, &mut book, &plan, now);
    assert_eq!(hub.only().finding.content.record_state, RecordState::Active);
    assert!(planned(&one(), &book, &Policy::default(), now).is_empty());
    read(&mut book, &hub.listed(), now);
    assert!(planned(&one(), &book, &Policy::default(), now).is_empty());
    // They see that it is ours now.
    read_as(&mut theirs, &hub.listed(), std::slice::from_ref(&other), start());
    assert!(theirs.records.is_empty());
    assert_eq!(planned_as(&one(), &theirs, &other, start()).foreign.len(), 1);
}

#[test]
fn findings_of_a_former_installation_go_on_under_their_ids() {
    let (mut hub, former, new): (_, Owner, Owner) = (Hub::default(), "0a0a0a0a".into(), "0b0b0b0b".into());
    let policy = Policy { folding: Folding::Full, ..Policy::default() };
    let problems = [problem("a", Severity::Low), problem("b", Severity::Low), problem("c", Severity::Low)];
    let as_of = |problems: &[Problem], book: &Book, owner: &Owner, now: Timestamp| {
        plan(problems, book, seen, owner, &policy, now)
    };
    let mut book = Book::default();
    let plan = as_of(&problems, &book, &former, start());
    send(&mut hub, &mut book, &plan, start());
    let told = claims(&hub.listed());
    assert_eq!(told.keys().collect::<Vec<_>>(), [&former]);
    assert_eq!((told[&former].open, told[&former].over), (3, 0));
    assert_eq!(told[&former].vcenters.iter().collect::<Vec<_>>(), ["onprem"]);
    // The store is lost, and its findings are somebody else's.
    let now = start() + hours(1);
    let mut book = Book::default();
    read_as(&mut book, &hub.listed(), std::slice::from_ref(&new), now);
    let plan = as_of(&problems[1..], &book, &new, now);
    assert_eq!((plan.changes.len(), plan.foreign.len()), (0, 2));
    // Until somebody says that they are ours.
    let owners = [new.clone(), former.clone()];
    read_as(&mut book, &hub.listed(), &owners, now);
    let plan = as_of(&problems[1..], &book, &new, now);
    assert_eq!(
        kinds(&plan),
        [ChangeKind::Resolve(Resolution::Fixed), ChangeKind::Update, ChangeKind::Update]
    );
    assert_eq!(hub.held.len(), 3);
    send(&mut hub, &mut book, &plan, now);
    assert_eq!(hub.held.len(), 3, "nothing is told twice");
    let told = claims(&hub.listed());
    assert_eq!((told.len(), told[&new].open, told[&new].over), (1, 2, 1));
    assert_eq!(kinds(&as_of(&problems[1..], &book, &new, now)), [ChangeKind::Close]);
}

#[test]
fn a_finding_keeps_its_name_when_the_store_is_lost_while_the_instance_cannot_be_read() {
    let object = Object { instance: None, ..subject().object };
    let unread = [problem_of(&Arc::new(Subject { object, ..subject() }), "vm.copy", Severity::Medium)];
    for first in [&one()[..], &unread[..]] {
        for second in [&one()[..], &unread[..]] {
            for third in [&one()[..], &unread[..]] {
                let (mut hub, mut book) = (Hub::default(), Book::default());
                for problems in [first, second] {
                    let plan = planned(problems, &book, &Policy::default(), start());
                    send(&mut hub, &mut book, &plan, start());
                }
                let mut book = Book::default();
                read(&mut book, &hub.listed(), start());
                assert_eq!((book.records.len(), book.others.unusable(&book.records).count()), (1, 0));
                let plan = planned(third, &book, &Policy::default(), start());
                assert!(kinds(&plan).iter().all(|kind| *kind == ChangeKind::Update), "{:?}", kinds(&plan));
                send(&mut hub, &mut book, &plan, start());
                assert_eq!(hub.held.len(), 1, "it is told once");
                assert!(planned(third, &book, &Policy::default(), start()).is_empty());
                let plan = planned(&[], &book, &Policy::default(), start());
                send(&mut hub, &mut book, &plan, start());
                assert_eq!(hub.only().finding.content.record_state, RecordState::Archived);
            }
        }
    }
}

#[test]
fn what_is_written_in_another_way_is_not_sent_again_and_again() {
    let (mut hub, mut book) = (Hub::default(), Book::default());
    let plan = planned(&one(), &book, &Policy::default(), start());
    send(&mut hub, &mut book, &plan, start());
    let shown = |hub: &Hub| {
        let mut listed = hub.listed();
        for one in &mut listed {
            one.content.description = one.content.description.to_uppercase();
            one.content.finding_provider_fields.types.push("Software and Configuration Checks".into());
        }
        listed
    };
    // After a start, and every day.
    for day in 1..5 {
        let now = start() + hours(day * 24);
        read(&mut book, &shown(&hub), now);
        assert!(planned(&one(), &book, &Policy::default(), now).is_empty(), "day {day}");
    }
    // With the store lost nobody knows that it is only the writing: once.
    let now = start() + hours(6 * 24);
    let mut book = Book::default();
    read(&mut book, &shown(&hub), now);
    let plan = planned(&one(), &book, &Policy::default(), now);
    assert_eq!(kinds(&plan), [ChangeKind::Update]);
    send(&mut hub, &mut book, &plan, now);
    for day in 7..9 {
        let now = start() + hours(day * 24);
        read(&mut book, &shown(&hub), now);
        assert!(planned(&one(), &book, &Policy::default(), now).is_empty(), "day {day}");
    }
    // What somebody else sent later is not it, whatever hash it carries.
    let mut forged = shown(&hub);
    forged[0].times.updated_at += hours(1);
    read(&mut book, &forged, start() + hours(9 * 24));
    let plan = planned(&one(), &book, &Policy::default(), start() + hours(9 * 24));
    assert_eq!(kinds(&plan), [ChangeKind::Update]);
}

#[test]
fn a_lost_answer_is_found_in_what_is_shown() {
    let (mut hub, mut book) = (Hub::default(), Book::default());
    let plan = planned(&one(), &book, &Policy::default(), start());
    outcome(&mut book, &plan, &Outcome::Lost, start());
    read(&mut book, &hub.listed(), start());
    assert!(only(&book).in_doubt, "it may come yet");
    hub.import(&plan.changes[0].finding().unwrap());
    read(&mut book, &hub.listed(), start());
    assert!(!only(&book).in_doubt && only(&book).imported_at.is_some());
    assert!(planned(&one(), &book, &Policy::default(), start()).is_empty());
}

#[test]
fn a_clock_that_was_ahead_hides_no_loss() {
    let ahead = start() + hours(365 * 24);
    let mut book = Book::default();
    let plan = planned(&one(), &book, &Policy::default(), ahead);
    accept(&mut book, &plan, ahead);
    // Security Hub does not have it, and has had time to show it.
    read(&mut book, &[], start());
    assert_eq!(kinds(&planned(&one(), &book, &Policy::default(), start())), [ChangeKind::Create]);
    // It was only just sent, by a clock that is a minute ahead.
    let mut book = Book::default();
    let soon = start() + SignedDuration::from_mins(1);
    let plan = planned(&one(), &book, &Policy::default(), soon);
    accept(&mut book, &plan, soon);
    read(&mut book, &[], start());
    assert_eq!(book.records.len(), 1);
}

#[test]
fn what_was_lost_is_kept_for_as_long_as_it_is_shown() {
    let (mut hub, mut book) = (Hub::default(), Book::default());
    for problems in [&one()[..], &[]] {
        let plan = planned(problems, &book, &Policy::default(), start());
        send(&mut hub, &mut book, &plan, start());
    }
    // It was forgotten here, and Security Hub has it still.
    let now = start() + hours(31 * 24);
    let mut book = Book::default();
    read(&mut book, &hub.listed(), now);
    let plan = planned(&[], &book, &Policy::default(), now);
    assert_eq!((kinds(&plan), plan.forget.len()), (vec![ChangeKind::Close], 0));
    accept(&mut book, &plan, now);
    assert!(planned(&[], &book, &Policy::default(), now).is_empty());
    read(&mut book, &[], now + hours(24));
    assert!(book.records.is_empty());
}
