//! The steps of an enrolment, and reports of guests that lie.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;

const LIMITS: Limits = Limits {
    prepare: Duration::from_secs(600),
    register: Duration::from_secs(300),
    verify: Duration::from_secs(900),
    retry: Duration::from_secs(60),
    quarantine: 3,
    push: false,
};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn fresh() -> Enrolment {
    super::testing::enrolment(now())
}

fn started() -> Event {
    Event::Started { directory: "/tmp/vmbridge-1".into(), process: 7 }
}

fn report(registered: Option<&str>) -> Report {
    let registration =
        registered.map(|node| format!(r#","registration":{{"node":"{node}","region":"eu-central-1"}}"#));
    let text = format!(
        r#"{{"v":1,"step":"register","code":0,"detail":"fine"{}}}"#,
        registration.unwrap_or_default()
    );
    Report::read(text.as_bytes(), 0).unwrap()
}

fn ended(code: i32, registered: Option<&str>) -> Event {
    Event::Ended { code, report: Ok(report(registered)) }
}

fn activated() -> Event {
    Event::Activated { activation: "a".into(), tags: Vec::new() }
}

fn all(events: impl IntoIterator<Item = Event>) -> Enrolment {
    events.into_iter().fold(fresh(), |enrolment, event| enrolment.after(event, &LIMITS, now()))
}

const NODE: &str = "mi-0123456789abcdef0";

#[test]
fn the_happy_path() {
    let online = Event::Online(NODE.into());
    let path = [
        started(),
        ended(0, None),
        activated(),
        started(),
        ended(0, Some(NODE)),
        online,
        Event::Withdrawn,
        Event::Cleaned,
    ];
    let stages =
        ["preparing", "activate", "register", "registering", "verify", "withdraw", "clean", "enrolled"];
    for (count, stage) in stages.iter().enumerate() {
        assert_eq!(all(path[..=count].iter().cloned()).stage.word(), *stage);
    }
    let enrolled = all(path);
    assert_eq!((enrolled.node, enrolled.origin), (Some(NODE.into()), Some(Origin::Registered)));
    assert_eq!((enrolled.directory, enrolled.activation, enrolled.problem), (None, None, None));
}

#[test]
fn another_node_that_is_online_is_not_believed() {
    let other = Event::Online("mi-0fedcba9876543210".into());
    let events = [started(), ended(0, None), activated(), started(), ended(0, Some(NODE))];
    let wrong = all(events.into_iter().chain([other]));
    assert_eq!(wrong.stage, Stage::Withdraw);
    assert_eq!(&*wrong.problem.as_ref().unwrap().word, "wrong-node");
    let wrong = wrong.after(Event::Withdrawn, &LIMITS, now()).after(Event::Cleaned, &LIMITS, now());
    assert_eq!(wrong.stage, Stage::Quarantined);
}

#[test]
fn what_was_begun_is_cleaned_up_whenever_it_fails() {
    let path = [started(), ended(0, None), activated(), started()];
    for count in 0..=path.len() {
        let mut failed = all(path[..count].iter().cloned());
        let had = (failed.activation.is_some(), failed.directory.is_some());
        failed = failed.after(Event::Failed(Problem::passing("test", "a test")), &LIMITS, now());
        assert_eq!(failed.stage == Stage::Withdraw, had.0);
        failed = failed.after(Event::Withdrawn, &LIMITS, now());
        assert_eq!(failed.stage == Stage::Clean, had.1);
        failed = failed.after(Event::Cleaned, &LIMITS, now());
        assert_eq!(failed.stage, Stage::Failed { retry_at: now() + SignedDuration::from_secs(60) });
        assert_eq!((failed.activation, failed.directory, failed.failures), (None, None, 1));
    }
}

#[test]
fn pauses_grow_and_end_in_quarantine() {
    let mut enrolment = fresh();
    let mut pauses = Vec::new();
    for _ in 0..3 {
        enrolment.stage = Stage::Prepare;
        enrolment = enrolment.after(Event::Failed(Problem::passing("test", "a test")), &LIMITS, now());
        pauses.push(enrolment.stage);
    }
    let retry = |seconds| Stage::Failed { retry_at: now() + SignedDuration::from_secs(seconds) };
    assert_eq!(pauses, [retry(60), retry(120), Stage::Quarantined]);
}

#[test]
fn only_aws_knows_how_a_registration_ended_that_nobody_saw() {
    let registering = [started(), ended(0, None), activated(), started()];
    for unseen in [Event::Vanished, Event::Ended { code: 0, report: Err("cut".into()) }] {
        assert_eq!(all(registering.clone().into_iter().chain([unseen])).stage, Stage::Verify);
    }
    let late = now() + SignedDuration::from_secs(301);
    let registering = all(registering);
    assert_eq!(registering.overdue(&LIMITS, now()), None);
    assert_eq!(registering.overdue(&LIMITS, late), Some(Event::Vanished));
}

#[test]
fn events_of_another_stage_change_nothing() {
    let events = [
        started(),
        ended(0, Some(NODE)),
        ended(20, None),
        Event::Vanished,
        Event::Adopted(NODE.into()),
        Event::Disowned,
        activated(),
        Event::Online(NODE.into()),
        Event::Withdrawn,
        Event::Cleaned,
        Event::Failed(Problem::passing("test", "a test")),
    ];
    let mut enrolled = fresh();
    enrolled.stage = Stage::Enrolled;
    for event in events {
        assert_eq!(enrolled.after(event.clone(), &LIMITS, now()), enrolled, "{event:?}");
    }
}

#[test]
fn a_report_is_not_believed_further_than_it_goes() {
    for (text, why) in [
        ("", "EOF"),
        ("[]", "expected"),
        (r#"{"v":2,"step":"prepare","code":0}"#, "version 2"),
        (r#"{"v":1,"step":"prepare","code":3}"#, "ended with 3"),
        (r#"{"v":1,"step":"prepare","code":0,"registration":{"node":"i-1","region":"x"}}"#, "not of a node"),
    ] {
        let error = Report::read(text.as_bytes(), 0).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
    let long = format!(r#"{{"v":1,"step":"prepare","code":0,"detail":"{}\u001b[31m"}}"#, "x".repeat(5000));
    let detail = Report::read(long.as_bytes(), 0).unwrap().detail;
    assert!(detail.chars().count() <= 300 && !detail.contains('\u{1b}'));
    let escape = br#"{"v":1,"step":"prepare","code":0,"detail":"\u001b[31mred","os":{"id":"a\nb"}}"#;
    let report = Report::read(escape, 0).unwrap();
    assert_eq!((&*report.detail, &*report.os), ("[31mred", "a b"));
}

#[test]
fn a_record_holds_no_code() {
    let enrolment = all([started(), ended(0, None), activated()]);
    let text = serde_json::to_string(&enrolment).unwrap();
    assert_eq!(serde_json::from_str::<Enrolment>(&text).unwrap(), enrolment);
}

#[test]
fn what_only_the_guest_speaks_of_is_no_node_when_failures_are_forgiven() {
    let failed = all([started(), ended(0, None), activated(), started(), ended(0, Some(NODE))]);
    let failed = failed.after(Event::Failed(Problem::passing("not-online", "a test")), &LIMITS, now());
    let failed = failed.after(Event::Withdrawn, &LIMITS, now()).after(Event::Cleaned, &LIMITS, now());
    assert_eq!((failed.stage.word(), &failed.node), ("failed", &Some(NODE.into())));
    assert_eq!(failed.forgiven(now()), None);
    // Where there was a node before, that is what is left.
    let former =
        Former { place: Place::new("111122223333", "us-east-1"), node: "mi-0fedcba9876543210".into() };
    let moved = Enrolment { former: Some(former.clone()), ..failed };
    for left in
        [moved.forgiven(now()).unwrap(), moved.after(Event::Found(former.node.clone()), &LIMITS, now())]
    {
        assert_eq!((left.stage, left.origin), (Stage::Enrolled, Some(Origin::Registered)));
        assert_eq!(
            (left.place, left.node, left.former),
            (former.place.clone(), Some(former.node.clone()), None)
        );
    }
}
