//! What happens, one thing at a time.

use proptest::prelude::*;

use super::world::{RULES, VMS};
use crate::findings::Severity;
use crate::findings::life::WorkflowStatus;

/// What happens to a call, or to one finding in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Taken,
    Throttled,
    Refused,
    /// It arrived, and its answer did not.
    AnswerLost,
    /// It did not arrive, and nobody knows.
    Lost,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Toggle(usize, usize),
    Vary(usize, usize, u8),
    Accept(usize, usize),
    Rename(usize, u8),
    Move(usize),
    Delete(usize),
    Recreate(usize),
    Hide(usize),
    HideRule(usize, usize),
    /// The instance UUID cannot be read, or can be again.
    HideInstance(usize),
    Fold,
    /// So many minutes pass.
    Advance(u32),
    /// Our clock is so many minutes ahead of the true time from now on.
    SetClock(i32),
    Workflow(usize, WorkflowStatus),
    Note(usize, u8),
    Field(usize, u8),
    Severity(usize, Severity),
    /// The store is lost, or is an older copy; then Security Hub is read.
    Restart {
        lost: bool,
    },
    /// The store is lost, the id of the installation with it.
    NewInstallation,
    /// A person says that the former ones were this one.
    Recover,
    Keep,
    /// Security Hub is read.
    Read,
    /// Another installation tells of the same VM, or ends that.
    Stranger {
        vm: usize,
        rule: usize,
        there: bool,
    },
    Cycle {
        fates: Vec<Fate>,
        /// The process is killed after so many findings.
        killed: Option<usize>,
    },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let vm = || 0..VMS;
    let rule = || 0..RULES.len();
    let fate = prop_oneof![
        3 => Just(Fate::Taken), 1 => Just(Fate::Throttled), 1 => Just(Fate::Refused),
        1 => Just(Fate::AnswerLost), 1 => Just(Fate::Lost),
    ];
    let status = prop_oneof![
        Just(WorkflowStatus::New),
        Just(WorkflowStatus::Notified),
        Just(WorkflowStatus::Suppressed),
        Just(WorkflowStatus::Resolved),
    ];
    let severity = prop_oneof![Just(Severity::Low), Just(Severity::Critical)];
    let cycle = (proptest::collection::vec(fate, 0..6), proptest::option::weighted(0.2, 1..6_usize));
    let seen = prop_oneof![
        2 => vm().prop_map(Step::Hide),
        2 => (vm(), rule()).prop_map(|(vm, rule)| Step::HideRule(vm, rule)),
        3 => vm().prop_map(Step::HideInstance),
        2 => (vm(), rule()).prop_map(|(vm, rule)| Step::Accept(vm, rule)),
        2 => Just(Step::Fold),
    ];
    let moved = prop_oneof![
        // The last name is one that Security Hub refuses.
        2 => (vm(), 0..4_u8).prop_map(|(vm, name)| Step::Rename(vm, name)),
        1 => vm().prop_map(Step::Move),
        1 => vm().prop_map(Step::Delete),
        1 => vm().prop_map(Step::Recreate),
    ];
    let time = prop_oneof![
        6 => (0..2000_u32).prop_map(Step::Advance),
        2 => (0..100 * 24 * 60_u32).prop_map(Step::Advance),
        3 => (-600..600_i32).prop_map(Step::SetClock),
        2 => (-600_000..600_000_i32).prop_map(Step::SetClock),
    ];
    let people = prop_oneof![
        3 => (any::<usize>(), status).prop_map(|(at, status)| Step::Workflow(at, status)),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, note)| Step::Note(at, note)),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, field)| Step::Field(at, field)),
        1 => (any::<usize>(), severity).prop_map(|(at, severity)| Step::Severity(at, severity)),
    ];
    let store = prop_oneof![
        2 => Just(Step::Keep),
        2 => any::<bool>().prop_map(|lost| Step::Restart { lost }),
        2 => Just(Step::NewInstallation),
        1 => Just(Step::Recover),
        2 => Just(Step::Read),
        2 => (vm(), rule(), any::<bool>()).prop_map(|(vm, rule, there)| Step::Stranger { vm, rule, there }),
    ];
    prop_oneof![
        6 => (vm(), rule()).prop_map(|(vm, rule)| Step::Toggle(vm, rule)),
        2 => (vm(), rule(), 0..3_u8).prop_map(|(vm, rule, variant)| Step::Vary(vm, rule, variant)),
        4 => seen,
        4 => moved,
        5 => time,
        4 => people,
        4 => store,
        4 => Just(Step::Cycle { fates: vec![], killed: None }),
        4 => cycle.prop_map(|(fates, killed)| Step::Cycle { fates, killed }),
    ]
}
