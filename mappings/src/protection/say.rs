//! What is to be said of a VM and its snapshots: for every VM one sentence with the fix.

use jiff::Timestamp;

use super::plan::sentences;
use super::{IfImpossible, Judgement, Run, SnapshotId, Trouble};
use crate::snapshot::hazard::Hazard;
use crate::snapshot::space::Shortage;

/// Something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// A snapshot is older than it may be, and could not be removed.
    Overdue {
        /// Since when.
        since: Timestamp,
        /// What failed last.
        trouble: Option<Trouble>,
    },
    /// The window opened, or opens, without a snapshot of it.
    Missed {
        /// The run.
        run: Run,
        /// What becomes of the VM.
        hold: IfImpossible,
    },
    /// It cannot have a snapshot.
    Refused {
        /// The run.
        run: Run,
        /// Why.
        why: Vec<Hazard>,
        /// What becomes of the VM.
        hold: IfImpossible,
    },
    /// There is too little space for a snapshot.
    NoSpace {
        /// The run.
        run: Option<Run>,
        /// Where.
        shortage: Shortage,
    },
    /// Taking it failed, and is tried again.
    Failed {
        /// The run.
        run: Option<Run>,
        /// Why.
        trouble: Option<Trouble>,
        /// When it is tried again.
        retry_at: Timestamp,
    },
    /// No policy is for the VM.
    NoPolicy {
        /// The run.
        run: Run,
    },
    /// It has a snapshot with our mark that we know nothing of.
    Orphan {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// It is being taken back.
    RollingBack {
        /// What failed last.
        trouble: Option<Trouble>,
    },
    /// Its snapshot is being removed.
    Removing {
        /// What failed last.
        trouble: Option<Trouble>,
    },
    /// Something that passes is waited for.
    Waits {
        /// The run. None: a person asked for it.
        run: Option<Run>,
        /// What.
        why: Vec<Hazard>,
    },
    /// Its snapshot is being taken.
    Creating {
        /// The run. None: a person asked for it.
        run: Option<Run>,
    },
    /// Its snapshot is planned.
    Planned {
        /// The run.
        run: Run,
        /// When it begins.
        start: Timestamp,
        /// When it is there.
        finish: Timestamp,
        /// That is after the deadline.
        late: bool,
    },
    /// It has its snapshot.
    Kept {
        /// The run. None: a person asked for it.
        run: Option<Run>,
        /// What became of the VM.
        judgement: Option<Judgement>,
        /// When it is removed.
        until: Timestamp,
    },
    /// A window comes.
    Coming {
        /// The run.
        run: Run,
        /// When its snapshots begin.
        freezes: Timestamp,
    },
}

impl Say {
    /// What comes first, where there is several things to say.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Self::Overdue { .. } => 0,
            Self::RollingBack { .. } => 1,
            Self::Missed { .. } => 2,
            Self::Refused { .. } => 3,
            Self::NoSpace { .. } => 4,
            Self::Failed { .. } => 5,
            Self::Planned { late: true, .. } => 6,
            Self::Kept { judgement: Some(judgement), .. } if !judgement.is_well() => 7,
            Self::Removing { trouble: Some(_) } => 8,
            Self::Orphan { .. } => 9,
            Self::NoPolicy { .. } => 10,
            Self::Creating { .. } => 11,
            Self::Waits { .. } => 12,
            Self::Planned { .. } => 13,
            Self::Removing { .. } => 14,
            Self::Kept { .. } => 15,
            Self::Coming { .. } => 16,
        }
    }

    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Overdue { .. } => "snapshotOverdue",
            Self::RollingBack { .. } => "rollingBack",
            Self::Missed { hold: IfImpossible::Hold, .. } => "held",
            Self::Missed { .. } => "notProtected",
            Self::Refused { .. } => "snapshotRefused",
            Self::NoSpace { .. } => "noSpace",
            Self::Failed { .. } => "snapshotFailed",
            Self::Planned { late: true, .. } => "snapshotLate",
            Self::Kept { judgement: Some(judgement), .. } if !judgement.is_well() => "snapshotKept",
            Self::Kept { .. } => "protected",
            Self::Removing { .. } => "snapshotBeingRemoved",
            Self::Orphan { .. } => "orphanSnapshot",
            Self::NoPolicy { .. } => "noSnapshotPolicy",
            Self::Creating { .. } => "snapshotBeingTaken",
            Self::Waits { .. } => "snapshotWaits",
            Self::Planned { .. } => "snapshotPlanned",
            Self::Coming { .. } => "windowComing",
        }
    }

    /// Whether it is something that a person should look at.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        match self {
            Self::Overdue { .. }
            | Self::Missed { .. }
            | Self::Refused { .. }
            | Self::NoSpace { .. }
            | Self::Failed { .. }
            | Self::Orphan { .. } => true,
            Self::Planned { late, .. } => *late,
            Self::Kept { judgement, .. } => {
                matches!(judgement, Some(Judgement::Failed { .. } | Judgement::Unknown { .. }))
            }
            Self::Removing { trouble } | Self::RollingBack { trouble } => trouble.is_some(),
            Self::NoPolicy { .. } | Self::Creating { .. } | Self::Waits { .. } | Self::Coming { .. } => false,
        }
    }

    /// Whether something is being done, or waits for its turn.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(
            self,
            Self::Creating { .. } | Self::Removing { .. } | Self::RollingBack { .. } | Self::Failed { .. }
        )
    }

    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let of = |trouble: &Option<Trouble>| {
            trouble.as_ref().map_or_else(String::new, |trouble| format!(" ({})", trouble.sentence))
        };
        let window = |run: &Run| format!("`{}` of {:.0}", run.name, run.opens);
        let then = |hold: &IfImpossible| match hold {
            IfImpossible::Hold => "it is kept out of the window",
            IfImpossible::Report => "it is patched without one",
        };
        match self {
            Self::Overdue { since, trouble } => {
                format!("its snapshot should have been gone since {since:.0}{}", of(trouble))
            }
            Self::RollingBack { trouble } => format!("it is being taken back to its snapshot{}", of(trouble)),
            Self::Missed { run, hold } => {
                format!("it has no snapshot for the window {}: {}", window(run), then(hold))
            }
            Self::Refused { run, why, hold } => format!(
                "it cannot have a snapshot for the window {}: {}; {}",
                window(run),
                sentences(why),
                then(hold)
            ),
            Self::NoSpace { run: Some(run), shortage } => {
                format!(
                    "there is too little space for its snapshot for the window {}: {shortage}",
                    window(run)
                )
            }
            Self::NoSpace { run: None, shortage } => {
                format!("there is too little space for its snapshot: {shortage}")
            }
            Self::Failed { trouble, retry_at, .. } => {
                format!("its snapshot could not be taken{}; next try at {retry_at:.0}", of(trouble))
            }
            Self::NoPolicy { run } => {
                format!("no [[snapshots.policy]] is for it, and the window {} reaches it", window(run))
            }
            Self::Orphan { snapshot } => {
                format!("it has the snapshot {snapshot} with our mark, of which nothing is remembered")
            }
            Self::Removing { trouble } => format!("its snapshot is being removed{}", of(trouble)),
            Self::Waits { run: None, why } => format!("its snapshot waits: {}", sentences(why)),
            Self::Waits { run: Some(run), why } => {
                format!("its snapshot for the window {} waits: {}", window(run), sentences(why))
            }
            Self::Creating { run: Some(run) } => {
                format!("its snapshot for the window {} is being taken", window(run))
            }
            Self::Creating { run: None } => "its snapshot is being taken".to_owned(),
            Self::Planned { run, start, finish, late: false } => format!(
                "its snapshot for the window {} is planned for {start:.0} to {finish:.0}",
                window(run)
            ),
            Self::Planned { run, finish, late: true, .. } => format!(
                "its snapshot for the window {} comes too late, about {finish:.0}: the limits do not allow all of them in time",
                window(run)
            ),
            Self::Kept { run, judgement, until } => {
                let what = match judgement {
                    Some(judgement) => match judgement.why() {
                        Some(why) => format!("{}: {why}", judgement.word()),
                        None => judgement.word().to_owned(),
                    },
                    None => "it is there".to_owned(),
                };
                match run {
                    Some(run) => {
                        format!(
                            "its snapshot for the window {} is kept until {until:.0}; {what}",
                            window(run)
                        )
                    }
                    None => format!("its snapshot is kept until {until:.0}; {what}"),
                }
            }
            Self::Coming { run, freezes } => {
                format!("the window {} comes; its snapshots begin at {freezes:.0}", window(run))
            }
        }
    }

    /// What to do.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Refused { why, .. } | Self::Waits { why, .. } => why.first().map(|hazard| hazard.fix().to_owned()),
            Self::Overdue { trouble, .. } | Self::Failed { trouble, .. } | Self::Removing { trouble } => {
                let known = trouble.as_ref().and_then(|trouble| trouble.fix.as_deref()).map(str::to_owned);
                let by_hand = "find out in the vSphere client what keeps it, and remove it there";
                known.or_else(|| matches!(self, Self::Overdue { .. }).then(|| by_hand.to_owned()))
            }
            Self::NoSpace { .. } => {
                Some("make space on the datastore, or lower the floor in [snapshots]".to_owned())
            }
            Self::Planned { late: true, .. } => Some(
                "raise `lead` of its policy or the limits in [snapshots], or spread the VMs over more windows"
                    .to_owned(),
            ),
            Self::Orphan { .. } => {
                Some("vmbridge snapshot adopt <vm>, or remove it in the vSphere client".to_owned())
            }
            Self::Missed { .. } => Some(
                "`vmbridge snapshot list` says what kept it; raise `lead` of its policy if there was too little time"
                    .to_owned(),
            ),
            Self::NoPolicy { .. } => Some("add a [[snapshots.policy]] whose `vms` selects it".to_owned()),
            _ => None,
        }
    }
}
