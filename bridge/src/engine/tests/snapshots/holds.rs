//! Nodes that are kept out of a window because their VMs have no snapshot.

use super::*;
use crate::fleet::FleetUpdate;
use crate::plan::tags::HOLD_TAG;
use crate::snapshot::Entered;

fn always(mishap: Mishap) -> impl Iterator<Item = Mishap> {
    std::iter::repeat_n(mishap, 500)
}

#[tokio::test(start_paused = true)]
async fn without_a_snapshot_the_tag_goes_before_the_window_opens_and_comes_back_after_it() {
    // Many more than the guard would let lose their tags.
    let mut estate = Estate::new(30, true);
    for number in 1..=25 {
        estate.vms.fail(number, Act::Create, always(Mishap::Space));
    }
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let program = estate.start().await;
    estate.until(mins(29)).await;
    assert_eq!(estate.tagged(), (26..=30).collect::<Vec<u32>>());
    assert!(program.engine.plan().held.is_empty());
    assert_eq!(program.word(1), "snapshotFailed");
    assert!(program.notes(1).contains(&"held".to_owned()), "{:?}", program.notes(1));
    assert_eq!(program.entered(1), None, "it has not opened yet");
    estate.until(mins(31)).await;
    assert_eq!(program.entered(1), Some(Entered::Held));
    assert!(matches!(program.entered(26), Some(Entered::Protected { taken }) if taken < estate.at(mins(30))));
    assert_eq!(
        estate.patched().iter().map(|patched| patched.vm).collect::<Vec<u32>>(),
        (26..=30).collect::<Vec<u32>>()
    );
    assert_eq!(program.word(1), "held");
    estate.until(mins(49)).await;
    assert_eq!(estate.tagged().len(), 5, "until it has closed");
    estate.until(mins(52)).await;
    assert_eq!(estate.tagged().len(), 30);
    estate.until(mins(120)).await;
    assert_eq!(estate.ours(), 0);
    estate.until(mins(25 * 60)).await;
    assert_eq!(program.entered(1), Some(Entered::Held), "as long as the window has not opened again");
    assert!(matches!(program.entered(26), Some(Entered::Protected { .. })));
    estate.journal_explains("a hold");
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_guard_holds_does_not_keep_nodes_in_a_window() {
    let mut estate = Estate::new(30, true);
    estate.vms.fail(1, Act::Create, always(Mishap::Space));
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let program = estate.start().await;
    estate.until(mins(15)).await;
    // Somebody strips a category of the whole fleet.
    for number in 1..=30 {
        estate.world.retag(number, &["Patch Group:Prod"]);
    }
    estate.until(mins(29)).await;
    assert_eq!(program.engine.plan().held.len(), 1);
    assert!(estate.numbers().all(|number| estate.world.aws.tags(number).contains_key("Env")));
    assert_eq!(estate.tagged(), (2..=30).collect::<Vec<u32>>());
    estate.until(mins(31)).await;
    assert!(estate.patched().iter().all(|patched| patched.snapshots == 1), "{:?}", estate.patched());
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_window_with_the_hook_leaves_the_tags_alone() {
    let mut estate = Estate::new(3, true);
    estate.vms.fail(2, Act::Create, always(Mishap::Quiesce));
    estate.vms.fail(3, Act::Create, always(Mishap::Space));
    estate.window(WINDOW, By::Hook, mins(30), mins(20));
    let program = estate.start().await;
    estate.until(mins(29)).await;
    assert_eq!(estate.tagged().len(), 3);
    let held = |number: u32| estate.world.aws.tags(number).get(HOLD_TAG).cloned();
    assert_eq!((held(1), held(2), held(3)), (None, None, Some(WINDOW.to_owned())));
    estate.until(mins(31)).await;
    let patched: Vec<u32> = estate.patched().iter().map(|patched| patched.vm).collect();
    assert_eq!(patched, [1, 2], "what cannot be quiesced is taken without");
    estate.until(mins(52)).await;
    assert_eq!(held(3), None);
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn that_nothing_can_hold_a_vm_is_said_when_the_window_appears() {
    let told = async |estate: &Estate| {
        let program = estate.start().await;
        estate.until(mins(5)).await;
        let plan = program.engine.plan();
        let told: Vec<String> = plan
            .windows
            .iter()
            .flat_map(|window| &window.cannot_hold)
            .map(|(_, why)| why.to_string())
            .collect();
        program.stop().await;
        told
    };
    let mut by_id = Estate::new(2, true);
    by_id.window(WINDOW, By::Ids, mins(300), mins(20));
    let said = told(&by_id).await;
    assert!(said.len() == 2 && said[0].contains("names its node by id"), "{said:?}");

    let mut observing = Estate::new(2, true);
    observing.world.policy.tags = Mode::Observe;
    for number in 1..=2 {
        observing.world.aws.set_by_hand(number, "Patch Group", Some("Prod"));
    }
    observing.window(WINDOW, By::Tag, mins(300), mins(20));
    let said = told(&observing).await;
    assert!(said.len() == 2 && said[0].contains("is not `enforce`"), "{said:?}");

    let mut reporting = Estate::new(2, false);
    reporting.window(WINDOW, By::Ids, mins(300), mins(20));
    assert_eq!(told(&reporting).await, Vec::<String>::new(), "nobody wants to hold them");
}

#[tokio::test(start_paused = true)]
async fn a_window_does_not_wait_for_a_vcenter() {
    let mut estate = Estate::new(2, true);
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let program = estate.start().await;
    estate.until(mins(15)).await;
    // Nothing is heard of the vCenter from before the scope freezes until after the window.
    estate.seen.send_replace(false);
    let lost = |estate: &Estate| {
        let error = "gone".to_owned();
        let update = FleetUpdate::Interrupted { error, retry_at: None };
        estate.world.fleet.apply(&estate.world.vcenter.name, update, estate.world.clock.now());
    };
    lost(&estate);
    estate.until(mins(31)).await;
    assert_eq!(estate.patched(), [], "nobody is patched without a snapshot");
    assert_eq!(program.word(1), "held");
    estate.until(mins(55)).await;
    assert_eq!(estate.tagged(), Vec::<u32>::new(), "what the rules want cannot be told");
    estate.seen.send_replace(true);
    estate.world.vcenter.read(&estate.world.vms, estate.world.clock.now());
    estate.until(mins(60)).await;
    assert_eq!(estate.tagged(), [1, 2]);
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_kept_out_of_one_window_belongs_to_the_next_one_all_the_same() {
    let mut estate = Estate::new(1, true);
    // Its first window comes when nothing can be taken, its second one opens while it is still kept out of the first.
    estate.vms.fail(1, Act::Create, always(Mishap::Space));
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let second = "mw-00000000000000002";
    estate.window(second, By::Tag, mins(45), mins(20));
    let program = estate.start().await;
    estate.until(mins(40)).await;
    assert_eq!(estate.tagged(), Vec::<u32>::new());
    let members = |program: &Program| {
        let memory = program.engine.0.memory();
        memory.scopes.values().map(|scope| scope.members.len()).collect::<Vec<_>>()
    };
    assert_eq!(members(&program), [1, 1]);
    let mut tagged = 0;
    for minute in 41..=64 {
        estate.until(mins(minute)).await;
        tagged += estate.tagged().len();
    }
    assert_eq!((tagged, estate.patched()), (0, vec![]), "not for a moment");
    estate.until(mins(67)).await;
    assert_eq!(estate.tagged(), [1]);
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn members_that_leave_are_told_and_a_cancelled_window_lets_go() {
    let mut estate = Estate::new(2, true);
    estate.vms.fail(1, Act::Create, always(Mishap::Space));
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let program = estate.start().await;
    estate.until(mins(22)).await;
    assert_eq!(estate.tagged(), Vec::<u32>::new());
    estate.world.retag(2, &["Patch Group:Test"]);
    estate.until(mins(23)).await;
    let plan = program.engine.plan();
    let left: Vec<&str> = plan.windows[0].left.iter().map(|vm| &*vm.vm).collect();
    assert_eq!(left, ["vm-2"]);
    estate.world.aws.windows.edit(&WINDOW.into(), |window| window.identity.enabled = false);
    estate.until(mins(26)).await;
    assert_eq!(estate.tagged(), [1, 2]);
    assert!(program.engine.0.memory().scopes.is_empty());
    program.stop().await;
}
