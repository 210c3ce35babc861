//! Following snapshots to their ends, while a person waits.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::desk::Counter;
use super::{Context, Failure, Stop};
use crate::control::{Request, SnapshotProgress};
use crate::inventory::text::for_terminal;

/// How often it is looked how far they are.
const TURN: Duration = Duration::from_millis(500);
/// So many failures in a row are told as a failure, even where the next attempt may do better.
const MOST_FAILURES: u32 = 3;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// That the snapshots are there.
    Taken,
    /// That they are gone.
    Removed,
    /// That the VMs are back at them, and then for so long that their agents are heard of.
    Back {
        /// How long, from the moment at which all are back.
        agents: Duration,
    },
}

/// How it ended for one VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Well,
    /// Not; why.
    Failed(String),
}

/// Whether the end has come, and which. Of an agent nothing is said here.
fn end(goal: Goal, one: &SnapshotProgress) -> Option<End> {
    let stage = one.snapshot.stage.as_str();
    let trouble = || one.snapshot.trouble.clone();
    let is_over = matches!(stage, "ended" | "missed");
    let well = match goal {
        Goal::Taken => stage == "kept",
        Goal::Removed => stage == "ended",
        // Before it was taken back it was kept too.
        Goal::Back { .. } => stage == "kept" && one.snapshot.judgement.as_deref() == Some("rolledBack"),
    };
    if well {
        return Some(End::Well);
    }
    if is_over {
        let why = match goal {
            Goal::Taken if stage == "missed" => "it was given up",
            _ => "the snapshot is not there any more",
        };
        return Some(End::Failed(trouble().unwrap_or_else(|| why.to_owned())));
    }
    if matches!(goal, Goal::Back { .. }) && matches!(stage, "kept" | "remove") {
        return Some(End::Failed("somebody thought better of it".to_owned()));
    }
    let is_hopeless = one.failures > 0 && (!one.passes || one.failures >= MOST_FAILURES);
    let why = trouble().filter(|_| is_hopeless)?;
    let again = one.snapshot.retry_at.as_ref().map(|at| format!("; next try at {at}")).unwrap_or_default();
    Some(End::Failed(format!("{why}{again}")))
}

/// How each ended, with how far it is then. Nothing if a signal came first.
pub(super) type Ended = Vec<(SnapshotProgress, End)>;

/// Shows how far the snapshots of these records are, until they are where they should be, or will not come there soon.
pub(super) async fn follow(
    context: &Context,
    counter: &Counter,
    records: &[String],
    goal: Goal,
    stop: &Stop,
) -> Result<Option<Ended>, Failure> {
    let bar = super::can_show_progress(&context.environment).then(|| bar(records.len()));
    let followed = tokio::select! {
        followed = turn_by_turn(counter, records, goal, bar.as_ref()) => followed.map(Some),
        () = stop.requested() => Ok(None),
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    followed
}

async fn turn_by_turn(
    counter: &Counter,
    records: &[String],
    goal: Goal,
    bar: Option<&ProgressBar>,
) -> Result<Ended, Failure> {
    let say = |line: String| match bar {
        Some(bar) => bar.println(line),
        None => eprintln!("{line}"),
    };
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    let mut all_back: Option<Instant> = None;
    loop {
        let nodes = all_back.is_some();
        let request = Request::SnapshotProgress { records: records.to_vec(), nodes };
        let all: Vec<SnapshotProgress> = counter.ask(request).await?;
        for one in &all {
            let line = line(one);
            if shown.get(&one.snapshot.record) != Some(&line) {
                say(line.clone());
                shown.insert(one.snapshot.record.clone(), line);
            }
        }
        let ended: Vec<Option<End>> = all.iter().map(|one| end(goal, one)).collect();
        let count = ended.iter().flatten().count();
        if let Some(bar) = bar {
            bar.set_position(u64::try_from(count).unwrap_or(u64::MAX));
        }
        if count == all.len() {
            let Goal::Back { agents } = goal else { return Ok(pairs(all, ended)) };
            let since = *all_back.get_or_insert_with(Instant::now);
            let waits = all.iter().zip(&ended).any(|(one, end)| {
                *end == Some(End::Well) && one.node.as_ref().is_some_and(|node| !node.is_back)
            });
            // The first turn after all are back asks for their nodes.
            if nodes && (!waits || since.elapsed() >= agents) {
                return Ok(pairs(all, ended));
            }
        }
        tokio::time::sleep(TURN).await;
    }
}

fn pairs(all: Vec<SnapshotProgress>, ended: Vec<Option<End>>) -> Ended {
    all.into_iter().zip(ended).filter_map(|(one, end)| Some((one, end?))).collect()
}

fn line(one: &SnapshotProgress) -> String {
    let SnapshotProgress { snapshot, node, .. } = one;
    let more = match (&snapshot.trouble, node) {
        (Some(trouble), _) => trouble.clone(),
        (None, Some(node)) if !node.is_back => format!("{}: not heard of yet ({})", node.id, node.ping),
        (None, Some(node)) => format!("{}: online", node.id),
        (None, None) => snapshot.snapshot.clone().unwrap_or_default(),
    };
    let line = format!("{}  {}  {}", for_terminal(&snapshot.name), snapshot.stage, for_terminal(&more));
    line.trim_end().to_owned()
}

fn bar(vms: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(vms).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} VMs, about {eta} left");
    // The template is constant and correct; if it were not, the default would do.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(TURN);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::SnapshotDocument;

    fn progress(stage: &str) -> SnapshotProgress {
        let snapshot = SnapshotDocument {
            record: "9f86d081884c7d65".to_owned(),
            vm: "dc1/vm-1".to_owned(),
            name: "web-1".to_owned(),
            window: None,
            window_name: None,
            opens: None,
            reason: None,
            stage: stage.to_owned(),
            since: "2026-11-29T01:00:00Z".to_owned(),
            snapshot: Some("snapshot-7".to_owned()),
            snapshot_name: "vmbridge/x/20261129T0200Z".to_owned(),
            seen: Some(true),
            created: None,
            age_seconds: None,
            kept_until: None,
            overdue: false,
            memory: false,
            quiesced: true,
            judgement: None,
            judgement_why: None,
            trouble: None,
            fix: None,
            retry_at: None,
            problem: false,
        };
        SnapshotProgress { snapshot, failures: 0, passes: true, node: None }
    }

    fn failing(stage: &str, failures: u32, passes: bool) -> SnapshotProgress {
        let mut one = SnapshotProgress { failures, passes, ..progress(stage) };
        one.snapshot.trouble = Some("the datastore is full".to_owned());
        one
    }

    fn is_failed(end: Option<&End>) -> bool {
        matches!(end, Some(End::Failed(_)))
    }

    #[test]
    fn a_snapshot_is_there_or_given_up() {
        let taken = |one: &SnapshotProgress| end(Goal::Taken, one);
        assert_eq!(taken(&progress("create")), None);
        assert_eq!(taken(&progress("creating")), None);
        assert_eq!(taken(&progress("kept")), Some(End::Well));
        assert!(is_failed(taken(&progress("missed")).as_ref()));
        assert!(is_failed(taken(&progress("ended")).as_ref()));
        assert_eq!(taken(&failing("failed", 1, true)), None, "it is tried again soon");
        assert!(is_failed(taken(&failing("failed", 1, false)).as_ref()));
        assert!(is_failed(taken(&failing("failed", 3, true)).as_ref()));
        assert_eq!(taken(&failing("create", 0, false)), None, "the fall-back is taken at once");
    }

    #[test]
    fn a_vm_is_back_only_when_it_was_taken_back() {
        let back = |one: &SnapshotProgress| end(Goal::Back { agents: Duration::ZERO }, one);
        for stage in ["revert", "reverting", "powerOn", "poweringOn"] {
            let mut one = progress(stage);
            one.snapshot.judgement = stage.starts_with("power").then(|| "rolledBack".to_owned());
            assert_eq!(back(&one), None, "{stage}");
        }
        let mut one = progress("kept");
        assert!(is_failed(back(&one).as_ref()), "the wish was taken back");
        one.snapshot.judgement = Some("rolledBack".to_owned());
        assert_eq!(back(&one), Some(End::Well));
        assert!(is_failed(back(&failing("powerOn", 2, false)).as_ref()));
    }

    #[test]
    fn a_removal_is_over_when_nothing_is_left_over() {
        let removed = |one: &SnapshotProgress| end(Goal::Removed, one);
        for stage in ["remove", "removing", "check", "consolidate", "consolidating"] {
            assert_eq!(removed(&progress(stage)), None, "{stage}");
        }
        assert_eq!(removed(&progress("ended")), Some(End::Well));
    }
}
