//! The record of one snapshot.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Event, Keep, RecordId, Seen, SnapshotId, TaskId};

/// One opening of a maintenance window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The window: an id of AWS, or the name of one in the configuration.
    pub window: Arc<str>,
    /// Its name, for people.
    pub name: Arc<str>,
    /// When it opens.
    pub opens: Timestamp,
    /// When it closes.
    pub closes: Timestamp,
}

impl Run {
    /// Whether it is the same opening, whatever the window is called now and however long it lasts.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.window == other.window && self.opens == other.opens
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Stage {
    /// The snapshot is to be taken.
    Create,
    /// It is being taken.
    Creating {
        /// The task.
        task: TaskId,
    },
    /// It could not be taken, and may be tried again.
    Failed {
        /// When.
        retry_at: Timestamp,
    },
    /// It is there.
    Kept,
    /// It is to be removed.
    Remove,
    /// It is being removed.
    Removing {
        /// The task.
        task: TaskId,
    },
    /// It is removed, and it is to be seen whether disks are left over.
    Check,
    /// Disks that are left over are to be consolidated.
    Consolidate,
    /// They are being consolidated.
    Consolidating {
        /// The task.
        task: TaskId,
    },
    /// The VM is to be taken back to it.
    Revert,
    /// It is being taken back.
    Reverting {
        /// The task.
        task: TaskId,
    },
    /// It was taken back, and is to be powered on again.
    PowerOn,
    /// It is being powered on.
    PoweringOn {
        /// The task.
        task: TaskId,
    },
    /// There is nothing more to be done.
    Ended {
        /// How it ended.
        ending: Ending,
    },
}

/// How a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// We removed the snapshot.
    Removed,
    /// Somebody else removed it.
    RemovedByOthers,
    /// It was not taken before the window opened.
    Missed,
    /// The VM is gone.
    VmGone,
}

impl Stage {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Creating { .. } => "creating",
            Self::Failed { .. } => "failed",
            Self::Kept => "kept",
            Self::Remove => "remove",
            Self::Removing { .. } => "removing",
            Self::Check => "check",
            Self::Consolidate => "consolidate",
            Self::Consolidating { .. } => "consolidating",
            Self::Revert => "revert",
            Self::Reverting { .. } => "reverting",
            Self::PowerOn => "powerOn",
            Self::PoweringOn { .. } => "poweringOn",
            Self::Ended { ending: Ending::Missed } => "missed",
            Self::Ended { .. } => "ended",
        }
    }

    /// The task that is waited for.
    #[must_use]
    pub fn task(&self) -> Option<&TaskId> {
        match self {
            Self::Creating { task }
            | Self::Removing { task }
            | Self::Consolidating { task }
            | Self::Reverting { task }
            | Self::PoweringOn { task } => Some(task),
            _ => None,
        }
    }

    /// Whether anything is still to come.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !matches!(self, Self::Ended { .. })
    }
}

/// What somebody wants to be done with a snapshot that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wish {
    /// It is to be removed now.
    Remove,
    /// The VM is to be taken back to it.
    Revert,
}

/// What became of the VM in the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Judgement {
    /// It was patched and is well.
    Healthy,
    /// Nothing was done to it.
    Untouched {
        /// How that is known.
        why: Arc<str>,
    },
    /// Patching failed, or it is not well.
    Failed {
        /// Why.
        why: Arc<str>,
    },
    /// Nobody knows.
    Unknown {
        /// Why not.
        why: Arc<str>,
    },
    /// It was taken back to the snapshot.
    RolledBack,
}

impl Judgement {
    /// Whether the snapshot is not needed any more.
    #[must_use]
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Healthy | Self::Untouched { .. })
    }

    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Untouched { .. } => "untouched",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
            Self::RolledBack => "rolledBack",
        }
    }

    /// Why, where there is more to say than the word.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Untouched { why } | Self::Failed { why } | Self::Unknown { why } => Some(why),
            Self::Healthy | Self::RolledBack => None,
        }
    }
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// The word for it, which does not change between versions.
    pub word: Arc<str>,
    /// One sentence.
    pub sentence: Arc<str>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Arc<str>>,
    /// Whether trying again may help without anybody doing anything.
    pub passes: bool,
    /// Whether it is quiescing that failed.
    #[serde(default)]
    pub quiescing: bool,
}

/// A snapshot that we take, have, or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// What tells it from all others.
    pub id: RecordId,
    /// The VM's name.
    pub label: Arc<str>,
    /// The run that it is for. None: a person asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// Why a person asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// How long it is kept.
    pub keep: Keep,
    /// The snapshot's name.
    #[serde(default)]
    pub name: Arc<str>,
    /// Whether the VM's memory is in it.
    #[serde(default)]
    pub memory: bool,
    /// Whether the guest is quiesced for it.
    #[serde(default)]
    pub quiesce: bool,
    /// Whether it is taken without quiescing if that fails.
    #[serde(default)]
    pub fall_back: bool,
    /// Whether disks that are left over are consolidated after the removal.
    #[serde(default)]
    pub consolidate: bool,
    /// How far it is.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// When the record was made.
    pub began: Timestamp,
    /// The snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    /// When it was taken, by vCenter's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// How long taking it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<SignedDuration>,
    /// Ids of earlier attempts, whose snapshot may still come to light.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<RecordId>,
    /// Those of them whose snapshot did come to light, and has a record of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surfaced: Vec<RecordId>,
    /// Failures in a row of what is being tried.
    #[serde(default)]
    pub failures: u32,
    /// Not to be tried again before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// What failed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// What became of the VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
    /// When that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Timestamp>,
    /// Whether the VM was running when it was taken back.
    #[serde(default)]
    pub was_on: bool,
}

impl Record {
    /// A record of a snapshot that is to be taken.
    #[must_use]
    pub fn new(id: RecordId, label: Arc<str>, run: Option<Run>, keep: Keep, now: Timestamp) -> Self {
        Self {
            id,
            label,
            run,
            reason: None,
            keep,
            name: "".into(),
            memory: false,
            quiesce: false,
            fall_back: false,
            consolidate: true,
            stage: Stage::Create,
            since: now,
            began: now,
            snapshot: None,
            created: None,
            took: None,
            former: Vec::new(),
            surfaced: Vec::new(),
            failures: 0,
            retry_at: None,
            trouble: None,
            judgement: None,
            judged: None,
            was_on: false,
        }
    }

    /// What it is kept by: the id of its first attempt, which stays.
    #[must_use]
    pub fn key(&self) -> &RecordId {
        self.former.first().unwrap_or(&self.id)
    }

    /// Whether the VM could be taken back to it now.
    #[must_use]
    pub fn protects(&self) -> bool {
        self.snapshot.is_some() && self.stage == Stage::Kept
    }

    /// Whether a snapshot is there, or may be.
    #[must_use]
    pub fn may_exist(&self) -> bool {
        self.stage.is_active()
            && !matches!(self.stage, Stage::Check | Stage::Consolidate | Stage::Consolidating { .. })
    }

    /// Whether the snapshot of an attempt of this record may still come to light, so that the record is not to be forgotten even
    /// when it has ended.
    #[must_use]
    pub fn may_surface(&self) -> bool {
        self.former.iter().chain([&self.id]).any(|id| self.awaits(id))
    }

    /// Whether the snapshot of this attempt is not known, and may be there.
    pub(super) fn awaits(&self, attempt: &RecordId) -> bool {
        let is_open =
            if *attempt == self.id { self.snapshot.is_none() } else { self.former.contains(attempt) };
        is_open && !self.surfaced.contains(attempt)
    }

    /// With a snapshot that one of its attempts made.
    pub(super) fn adopting(&self, found: &Seen, now: Timestamp) -> Self {
        let (snapshot, created) = (found.snapshot.clone(), found.created);
        let mut next = self.after(Event::Created { snapshot, created }, now);
        if next.id != found.record {
            // It is the attempt that counts now; of the last one nobody knows yet whether it made another.
            let last = std::mem::replace(&mut next.id, found.record.clone());
            next.former.push(last);
        }
        next
    }

    /// Whether it was taken for this run.
    #[must_use]
    pub fn is_for(&self, run: &Run) -> bool {
        self.run.as_ref().is_some_and(|own| own.is_same(run))
    }

    /// When its removal begins, as far as that is known. Never before its window has closed.
    #[must_use]
    pub fn remove_at(&self) -> Option<Timestamp> {
        let created = self.created?;
        let limit = add(created, self.keep.max_age - self.keep.reserve());
        let due = match (&self.judgement, self.judged) {
            (Some(judgement), Some(judged)) if judgement.is_well() => add(judged, self.keep.success),
            (Some(_), Some(judged)) => add(judged, self.keep.failure),
            // What a person asked for is kept for as long as that person said.
            _ if self.run.is_none() => add(created, self.keep.success),
            _ => limit,
        };
        let due = due.min(limit);
        Some(match &self.run {
            Some(run) => due.max(run.closes),
            None => due,
        })
    }

    /// When it is older than it may ever be.
    #[must_use]
    pub fn overdue_at(&self) -> Option<Timestamp> {
        self.created.map(|created| add(created, self.keep.max_age))
    }
}

pub(super) fn add(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(if duration.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}
