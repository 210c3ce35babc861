mod month;
mod world;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn run() -> Run {
    Run {
        window: "mw-0123456789abcdef0".into(),
        name: "Sunday".into(),
        opens: at("2026-11-29T02:00:00Z"),
        closes: at("2026-11-29T06:00:00Z"),
    }
}

fn record() -> Record {
    let mut record =
        Record::new("0000000000000001".into(), "web-1".into(), Some(run()), Keep::default(), before());
    (record.quiesce, record.fall_back) = (true, true);
    record
}

fn before() -> Timestamp {
    at("2026-11-29T01:00:00Z")
}

fn kept() -> Record {
    let started = record().after(Event::Started { task: "task-1".into() }, before());
    started.after(Event::Created { snapshot: "snapshot-1".into(), created: before() }, before())
}

fn trouble(passes: bool, quiescing: bool) -> Trouble {
    Trouble { word: "word".into(), sentence: "sentence".into(), fix: None, passes, quiescing }
}

#[test]
fn a_snapshot_is_taken_kept_removed_and_its_disks_are_consolidated() {
    let kept = kept();
    assert!(kept.protects());
    let closed = at("2026-11-29T06:10:00Z");
    let well = kept.after(Event::Judged(Judgement::Healthy), closed);
    assert_eq!(well.remove_at(), Some(at("2026-11-29T10:10:00Z")));
    let removing = well.after(Event::Due, closed).after(Event::Started { task: "task-2".into() }, closed);
    let checking = removing.after(Event::Succeeded, closed);
    assert_eq!(checking.stage, Stage::Check);
    let consolidating = checking
        .after(Event::Checked { left_over: true }, closed)
        .after(Event::Started { task: "task-3".into() }, closed);
    let ended =
        consolidating.after(Event::Succeeded, closed).after(Event::Checked { left_over: false }, closed);
    assert_eq!(ended.stage, Stage::Ended { ending: Ending::Removed });
}

#[test]
fn what_failed_or_is_not_known_keeps_its_snapshot_longer_and_nothing_outlives_the_limit() {
    let closed = at("2026-11-29T06:10:00Z");
    let failed = kept().after(Event::Judged(Judgement::Failed { why: "2 failed".into() }), closed);
    assert_eq!(failed.remove_at(), Some(at("2026-12-01T06:10:00Z")));
    let mut long = kept();
    long.keep.failure = SignedDuration::from_hours(500);
    let long = long.after(Event::Judged(Judgement::Unknown { why: "?".into() }), closed);
    // 72 hours after it was taken, less a twelfth of them for the removal itself.
    assert_eq!(long.remove_at(), Some(at("2026-12-01T19:00:00Z")));
    // Whatever the limits say, a window that is open has its safety net.
    let mut short = kept();
    short.keep.max_age = SignedDuration::from_hours(1);
    assert_eq!(short.remove_at(), Some(run().closes));
}

#[test]
fn a_guest_that_cannot_be_quiesced_is_tried_without_if_that_is_allowed() {
    let creating = record().after(Event::Started { task: "task-1".into() }, before());
    let again = creating.after(Event::Failed(trouble(true, true)), before());
    assert_eq!((again.quiesce, again.failures), (false, 0));
    assert_eq!(again.stage, Stage::Failed { retry_at: before() });
    let mut strict = creating.clone();
    strict.fall_back = false;
    let again = strict.after(Event::Failed(trouble(true, true)), before());
    assert_eq!((again.quiesce, again.failures), (true, 1));
}

#[test]
fn a_further_attempt_has_another_id_and_the_earlier_one_is_not_forgotten() {
    let failed = record().after(Event::Failed(trouble(true, false)), before());
    let again = failed.after(Event::Renewed("0000000000000002".into()), before());
    assert_eq!(again.stage, Stage::Create);
    assert_eq!(again.former, [RecordId::from("0000000000000001")]);
    assert_eq!(again.failures, 1, "the pauses go on growing");
}

#[test]
fn a_rollback_powers_on_what_was_on_and_says_what_it_did() {
    let mut kept = kept();
    kept.was_on = true;
    let reverting = kept
        .after(Event::Wished(Wish::Revert), before())
        .after(Event::Started { task: "task-2".into() }, before());
    let done = reverting.after(Event::Succeeded, before());
    assert_eq!(done.stage, Stage::PowerOn);
    let done =
        done.after(Event::Started { task: "task-3".into() }, before()).after(Event::Succeeded, before());
    assert_eq!((done.stage.clone(), done.judgement.clone()), (Stage::Kept, Some(Judgement::RolledBack)));
}

#[test]
fn a_vm_is_well_only_when_that_is_known() {
    let patience = SignedDuration::from_hours(1);
    let (soon, late) = (at("2026-11-29T06:05:00Z"), at("2026-11-29T07:00:00Z"));
    let patch = PatchRun {
        started: at("2026-11-29T02:10:00Z"),
        ended: Some(at("2026-11-29T02:40:00Z")),
        installs: true,
        failed: 0,
        missing: 0,
        pending_reboot: 0,
    };
    let well = After {
        execution: Some(Execution::Ended),
        patch: Some(patch.clone()),
        managed: true,
        agent: Some(Probe::Well),
        ..After::default()
    };
    let judged = |after: &After, now| judge(&run(), after, patience, now).map(|one| one.word());
    assert_eq!(judged(&well, at("2026-11-29T05:00:00Z")), None, "the window is open");
    assert_eq!(judged(&well, soon), Some("healthy"));
    let with = |change: &dyn Fn(&mut After)| {
        let mut after = well.clone();
        change(&mut after);
        (judged(&after, soon), judged(&after, late))
    };
    let of_patch =
        |change: &dyn Fn(&mut PatchRun)| with(&|after| after.patch.as_mut().into_iter().for_each(change));
    assert_eq!(of_patch(&|patch| patch.failed = 1), (Some("failed"), Some("failed")));
    assert_eq!(of_patch(&|patch| patch.missing = 1), (Some("failed"), Some("failed")));
    assert_eq!(of_patch(&|patch| patch.pending_reboot = 1), (Some("failed"), Some("failed")));
    assert_eq!(of_patch(&|patch| patch.ended = None), (None, Some("unknown")));
    // A scan, or the run of last month, says nothing.
    assert_eq!(of_patch(&|patch| (patch.installs, patch.missing) = (false, 1)), (None, Some("unknown")));
    // Where nothing was missing, only that is said.
    assert_eq!(of_patch(&|patch| patch.installs = false), (Some("untouched"), Some("untouched")));
    assert_eq!(of_patch(&|patch| patch.started = before()), (None, Some("unknown")));
    assert_eq!(with(&|after| after.patch = None), (None, Some("unknown")));
    assert_eq!(with(&|after| after.agent = Some(Probe::NotWell)), (None, Some("failed")));
    assert_eq!(with(&|after| after.tools = Some(Probe::NotKnown)), (None, Some("unknown")));
    assert_eq!(with(&|after| after.execution = Some(Execution::UnderWay)), (None, Some("healthy")));
    let unused = |after: &mut After| (after.execution, after.patch) = (Some(Execution::None), None);
    assert_eq!(with(&unused), (Some("untouched"), Some("untouched")));
    // A window that AWS does not know has only its probes.
    let own = |after: &mut After| (after.managed, after.patch, after.execution) = (false, None, None);
    assert_eq!(with(&own), (Some("healthy"), Some("healthy")));
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Started { task: "task-9".into() }),
        Just(Event::Created { snapshot: "snapshot-1".into(), created: before() }),
        Just(Event::Succeeded),
        (any::<bool>(), any::<bool>())
            .prop_map(|(passes, quiescing)| Event::Failed(trouble(passes, quiescing))),
        Just(Event::NotDone),
        Just(Event::Renewed("0000000000000002".into())),
        Just(Event::Vanished),
        any::<bool>().prop_map(|left_over| Event::Checked { left_over }),
        Just(Event::VmGone),
        Just(Event::TooLate),
        Just(Event::Judged(Judgement::Healthy)),
        Just(Event::Due),
        Just(Event::Closed(at("2026-11-29T03:00:00Z"))),
        Just(Event::Wished(Wish::Remove)),
        Just(Event::Wished(Wish::Revert)),
    ]
}

proptest! {
    /// Whatever happens in whatever order: a record that has a snapshot never forgets which, none ends as if removed
    /// without having been, and what has ended stays as it is.
    #[test]
    fn no_order_of_events_loses_a_snapshot(events in proptest::collection::vec(event(), 0..40)) {
        let mut record = record();
        let mut now = before();
        let mut seen_removed = false;
        for event in events {
            now += SignedDuration::from_mins(7);
            let next = record.after(event.clone(), now);
            if record.snapshot.is_some() {
                prop_assert_eq!(&next.snapshot, &record.snapshot);
            }
            if !record.stage.is_active() {
                prop_assert_eq!(&next, &record);
            }
            seen_removed |= matches!(record.stage, Stage::Removing { .. } | Stage::Remove)
                && matches!(event, Event::Succeeded | Event::Vanished);
            if next.stage == (Stage::Ended { ending: Ending::Removed }) {
                prop_assert!(seen_removed);
            }
            if matches!(next.stage, Stage::Kept | Stage::Remove | Stage::Removing { .. } | Stage::Revert) {
                prop_assert!(next.snapshot.is_some());
            }
            if next.stage == (Stage::Ended { ending: Ending::Missed }) {
                prop_assert!(next.snapshot.is_none());
            }
            let text = serde_json::to_string(&next).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Record>(&text).unwrap(), &next);
            record = next;
        }
    }
}
