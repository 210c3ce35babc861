//! When what findings need is read.

use std::sync::Arc;

use super::*;
use crate::aws::{ExecutionStatus, WindowExecution, WindowIdentity};
use crate::cloud::window::{Execution, Window, WindowsView};

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
}

fn pace() -> HubPace {
    let settings =
        FindingsSettings { mode: Mode::Observe, resolve_patch_manager: true, ..FindingsSettings::off() };
    HubPace::of(&settings).unwrap()
}

fn enabled() -> TargetView {
    let mut hub = HubView { place: Some(Place::new("111122223333", "eu-central-1")), ..HubView::default() };
    hub.state.put(Ok(HubState::Enabled), at(0));
    TargetView { hub: Arc::new(hub), as_of: Some(at(0)), ..TargetView::default() }
}

#[test]
fn nothing_is_read_when_there_are_to_be_no_findings() {
    assert_eq!(HubPace::of(&FindingsSettings::off()), None);
    let settings = FindingsSettings { mode: Mode::Enforce, patches: false, ..FindingsSettings::off() };
    let pace = HubPace::of(&settings).unwrap();
    assert!(!pace.needs_patches);
    // Findings of Patch Manager say which VM they mean, whether they are resolved or not.
    assert_eq!(dues(&enabled(), &pace)[3..], [Timestamp::MIN, Timestamp::MAX]);
}

#[test]
fn nothing_more_is_asked_of_a_security_hub_that_is_not_enabled() {
    let mut view = TargetView::default();
    let rest = |view: &TargetView| dues(view, &pace())[1..].to_vec();
    assert_eq!(dues(&view, &pace())[0], Timestamp::MIN);
    assert_eq!(rest(&view), [Timestamp::MAX; 4]);
    Arc::make_mut(&mut view.hub).state.put(Ok(HubState::NotEnabled), at(0));
    assert_eq!(dues(&view, &pace())[0], at(15));
    assert_eq!(rest(&view), [Timestamp::MAX; 4]);
    assert_eq!(rest(&enabled()), [Timestamp::MIN; 4]);
    // Patches of nodes that are not known yet cannot be asked for.
    assert_eq!(rest(&TargetView { as_of: None, ..enabled() })[3], Timestamp::MAX);
}

#[test]
fn what_failed_is_tried_again_soon_and_what_was_known_is_kept() {
    let mut known: Known<u8> = Known::default();
    assert!(known.put(Ok(7), at(0)));
    assert!(!known.put(Ok(7), at(15)), "nothing new");
    assert_eq!(due(&known, Duration::from_secs(900), &pace()), at(30));
    assert!(known.put(Err("no".to_owned()), at(30)));
    assert_eq!((known.value.as_deref(), known.as_of), (Some(&7), Some(at(15))));
    assert_eq!(due(&known, Duration::from_secs(900), &pace()), at(35));
    assert_eq!(known.fresh(at(30), Duration::from_secs(900)), Some(&7));
    assert_eq!(known.fresh(at(31), Duration::from_secs(900)), None);
    assert!(known.put(Ok(7), at(35)), "that it can be read again is something new");
}

#[test]
fn a_window_that_ended_brings_patches_forward() {
    let mut view = enabled();
    let hub = Arc::make_mut(&mut view.hub);
    hub.patches.put(Ok(PatchesOfNodes::new()), at(0));
    hub.patch_manager.put(Ok(Vec::new()), at(0));
    assert_eq!(dues(&view, &pace())[3..], [at(15), at(60)]);
    let execution = WindowExecution {
        id: "we-1".into(),
        status: ExecutionStatus::Success,
        details: None,
        started: Some(at(-20)),
        ended: Some(at(4)),
    };
    let identity = WindowIdentity {
        id: "mw-0123456789abcdef0".into(),
        name: "patch night".into(),
        enabled: true,
        schedule: "rate(7 days)".into(),
        time_zone: None,
        duration: Duration::from_secs(3 * 3600),
        cutoff: Duration::from_secs(3600),
        next: None,
    };
    let mut window = Window::new(identity);
    window.executions.push(Execution { told: execution, outcomes: None });
    let known = [(window.id().clone(), Arc::new(window))].into_iter().collect();
    view.windows = Arc::new(WindowsView { known, ..WindowsView::default() });
    assert_eq!(dues(&view, &pace())[3..], [at(9), at(9)]);
    let hub = Arc::make_mut(&mut view.hub);
    hub.patches.put(Ok(PatchesOfNodes::new()), at(9));
    assert_eq!(dues(&view, &pace())[4], at(69), "once");
}
