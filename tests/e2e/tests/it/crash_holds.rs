//! The crash matrix of holds: the tag that keeps a VM out of its window, and its return, killed at every point.
//!
//! They are tags like others to AWS, but here nobody has another source of what is right: whether a VM is held is only in what
//! the program remembers.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::task::JoinSet;
use vmbridge::plan::ActionKind;
use vmbridge_e2e::managed::Managed;
use vmbridge_simulator::{Mutation, TaskKind, TaskOutcome, TaskScript};

use super::crash::{POINTS, Point, interrupt, once};
use super::snapshots::PRIVILEGES;

const SECTIONS: &str = r#"
[tags]
mode = "enforce"
defaults = false

[guard]
max_change_percent = 100

[snapshots]
mode = "enforce"
floor_percent = 0
floor_gib = 0

[[snapshots.policy]]
name = "all"
lead = "30m"
deadline = "1m"
if_impossible = "hold"
uncovered_disks = true
max_chain = 31
"#;

/// A VM that cannot be snapshotted and that a window reaches soon, and the id of the window.
async fn before_the_window() -> Result<(Managed, String)> {
    let mut managed = Managed::with_privileges(1, SECTIONS, &PRIVILEGES).await?;
    managed.tag(0, "Patch Group", Some("red"))?;
    // Its own tags are not all gone with this one, so that the mark of their owner stays.
    managed.tag(0, "Crash", Some("blue"))?;
    let synced = managed.ran(&["sync"]).await?;
    ensure!(synced.code == Some(0) && managed.tags(0).contains_key("Patch Group"), "{synced:?}");
    let fails = TaskOutcome::Fails { fault: "SnapshotDisabled".to_owned(), percent: 10 };
    let script = TaskScript {
        times: 100,
        ..TaskScript::once(TaskKind::CreateSnapshot, fails).on(&managed.vms[0].moref)
    };
    managed.mutate(&Mutation::ScriptTasks { scripts: vec![script], clear: false })?;
    let opens = vmbridge::clock::now() + SignedDuration::from_mins(10);
    let opens = Timestamp::from_second(opens.as_second())?;
    let schedule = format!("at({})", opens.strftime("%Y-%m-%dT%H:%M:%S"));
    let window = json!({ "name": "tonight", "schedule": schedule, "duration": 1,
        "targets": { "tag:Patch Group": ["red"] } });
    let id = managed.mutate_aws(json!({ "op": "addWindow", "window": window }))?;
    Ok((managed, id.context("the id of a window")?))
}

/// What was done to the tag that makes the VM a target, since the first `before` effects.
fn changes(managed: &Managed, before: usize) -> Vec<String> {
    let effects = managed.simulator.effects().into_iter().skip(before);
    let told = effects.map(|effect| format!("{} {}", effect.operation, effect.detail));
    told.filter(|told| told.contains("Patch Group")).collect()
}

async fn cell(kind: ActionKind, point: Point) -> Result<()> {
    let (managed, window) = before_the_window().await?;
    let is_held = kind == ActionKind::RemoveTags;
    if !is_held {
        managed.ran(&["sync"]).await?;
        ensure!(!managed.tags(0).contains_key("Patch Group"), "it is held");
        managed.mutate_aws(json!({ "op": "removeWindow", "window": window }))?;
    }
    let before = managed.simulator.effects().len();
    interrupt(&managed, kind, point).await?;
    managed.ran(&["sync"]).await?;
    let told = changes(&managed, before);
    ensure!(told.len() == 1, "changed once: {told:?}");
    ensure!(managed.tags(0).contains_key("Patch Group") != is_held, "{:?}", managed.tags(0));
    once(&managed.simulator.effects()[before..])?;
    managed.ran(&["sync"]).await?;
    ensure!(changes(&managed, before) == told, "nothing is left to do: {:?}", changes(&managed, before));
    ensure!(managed.aws().mistakes().is_empty(), "{:?}", managed.aws().mistakes());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_of_a_hold_and_of_its_end() {
    let room = Arc::new(tokio::sync::Semaphore::new(4));
    let mut cells = JoinSet::new();
    for kind in [ActionKind::RemoveTags, ActionKind::AddTags] {
        for point in POINTS {
            let room = room.clone();
            cells.spawn(async move {
                let _permit = room.acquire_owned().await.unwrap();
                cell(kind, point).await.with_context(|| format!("{} {point:?}", kind.word()))
            });
        }
    }
    let (mut failures, mut ended) = (Vec::new(), 0);
    while let Some(cell) = cells.join_next().await {
        ended += 1;
        if let Err(error) = cell.unwrap() {
            failures.push(format!("{error:#}"));
        }
    }
    assert_eq!(ended, 2 * POINTS.len());
    assert!(failures.is_empty(), "{} of {ended}:\n{}", failures.len(), failures.join("\n\n"));
}
