//! The steps of a record.

use jiff::{SignedDuration, Timestamp};

use super::record::add;
use super::{Ending, Judgement, Record, RecordId, SnapshotId, Stage, TaskId, Trouble, Wish};

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The longest pause between two attempts to take a snapshot: its window does not wait.
const LONGEST_CREATE: SignedDuration = SignedDuration::from_mins(10);
/// The longest pause between two attempts of anything else.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// Something that moves a record on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The task of the step was started.
    Started {
        /// The task.
        task: TaskId,
    },
    /// The snapshot is there.
    Created {
        /// The snapshot.
        snapshot: SnapshotId,
        /// When it was taken, by vCenter's clock.
        created: Timestamp,
    },
    /// The task of the step succeeded.
    Succeeded,
    /// The step failed; it certainly had no effect, or its task says so.
    Failed(Trouble),
    /// Nobody knows how the task of the step ended, and what is seen says that it had no effect.
    NotDone,
    /// The snapshot that is to be taken is taken under another id from now on.
    Renewed(RecordId),
    /// The snapshot is not there any more.
    Vanished,
    /// Whether disks are left over after the removal.
    Checked {
        /// They are.
        left_over: bool,
    },
    /// The VM is gone.
    VmGone,
    /// The window opened before the snapshot was there.
    TooLate,
    /// The window is over before its time: nothing more is done in it.
    Closed(Timestamp),
    /// What became of the VM in the window.
    Judged(Judgement),
    /// It is time to remove it.
    Due,
    /// A person wants something.
    Wished(Wish),
}

impl Record {
    /// What an event makes of it. What does not fit the stage changes nothing: it is about an earlier one.
    #[must_use]
    pub fn after(&self, event: Event, now: Timestamp) -> Self {
        let mut next = self.clone();
        match (&self.stage, event) {
            (stage, Event::Closed(at)) if stage.is_active() => {
                if let Some(run) = next.run.as_mut().filter(|run| at >= run.opens) {
                    run.closes = run.closes.min(at);
                }
            }
            (stage, Event::VmGone) if stage.is_active() => next.end(Ending::VmGone, now),

            // Taking it
            (Stage::Create, Event::Started { task }) => next.enter(Stage::Creating { task }, now),
            (
                Stage::Create | Stage::Creating { .. } | Stage::Failed { .. },
                Event::Created { snapshot, created },
            ) => {
                if matches!(self.stage, Stage::Creating { .. }) {
                    next.took = Some(now.duration_since(self.since));
                }
                (next.snapshot, next.created) = (Some(snapshot), Some(created));
                next.trouble = None;
                next.enter(Stage::Kept, now);
            }
            (Stage::Create | Stage::Creating { .. } | Stage::Failed { .. }, Event::Failed(trouble)) => {
                // The fall-back that the policy allows is taken at once.
                if trouble.quiescing && self.quiesce && self.fall_back {
                    next.quiesce = false;
                    next.trouble = Some(trouble);
                    next.enter(Stage::Failed { retry_at: now }, now);
                    return next;
                }
                let retry_at = next.failed(trouble, LONGEST_CREATE, now);
                next.stage = Stage::Failed { retry_at };
                next.since = now;
            }
            (Stage::Create | Stage::Creating { .. }, Event::NotDone) => {
                let retry_at = next.tried(LONGEST_CREATE, true, now);
                next.enter_trying(Stage::Failed { retry_at }, now);
            }
            // What was tried under the former id may still come to light.
            (Stage::Failed { .. }, Event::Renewed(id)) => {
                next.former.push(std::mem::replace(&mut next.id, id));
                (next.stage, next.since) = (Stage::Create, now);
            }
            (Stage::Create | Stage::Failed { .. }, Event::TooLate) => next.end(Ending::Missed, now),

            // Having it
            (
                Stage::Kept
                | Stage::Remove
                | Stage::Removing { .. }
                | Stage::Revert
                | Stage::Reverting { .. }
                | Stage::PowerOn
                | Stage::PoweringOn { .. },
                Event::Vanished,
            ) => match self.stage {
                Stage::Removing { .. } => next.enter_trying(Stage::Check, now),
                // A removal that failed can have left the disks alone.
                Stage::Remove if self.failures > 0 => next.enter_trying(Stage::Check, now),
                _ => next.end(Ending::RemovedByOthers, now),
            },
            (Stage::Kept, Event::Judged(judgement)) => next.judge(judgement, now),
            (Stage::Kept, Event::Due | Event::Wished(Wish::Remove)) => next.enter(Stage::Remove, now),
            // Who asked for it may think better of it, as long as it does not begin.
            (Stage::Revert | Stage::PowerOn, Event::Wished(Wish::Remove)) | (Stage::PowerOn, Event::Due) => {
                next.enter(Stage::Remove, now);
            }
            (Stage::Kept | Stage::Remove, Event::Wished(Wish::Revert)) => next.enter(Stage::Revert, now),

            // Removing it
            (Stage::Remove, Event::Started { task }) => next.enter_trying(Stage::Removing { task }, now),
            (Stage::Removing { .. }, Event::Succeeded) => next.ended(now),
            (Stage::Removing { .. } | Stage::Remove, Event::Failed(trouble)) => {
                next.try_again(Stage::Remove, trouble, now);
            }
            (Stage::Removing { .. }, Event::NotDone) => next.enter_trying(Stage::Remove, now),
            // The task that ended was another one, or did not do what it said.
            (Stage::Check, Event::NotDone) => {
                next.retry_at = Some(next.pause(LONGEST_PAUSE, true, now));
                next.enter_trying(Stage::Remove, now);
            }
            (Stage::Check, Event::Checked { left_over }) => {
                if left_over && self.consolidate {
                    next.retry_at = Some(next.pause(LONGEST_PAUSE, true, now));
                    next.enter_trying(Stage::Consolidate, now);
                } else {
                    next.end(Ending::Removed, now);
                }
            }
            (Stage::Consolidate, Event::Started { task }) => {
                next.enter_trying(Stage::Consolidating { task }, now);
            }
            (Stage::Consolidating { .. }, Event::Succeeded) => next.ended(now),
            (Stage::Consolidating { .. } | Stage::Consolidate, Event::Failed(trouble)) => {
                next.try_again(Stage::Consolidate, trouble, now);
            }
            (Stage::Consolidating { .. }, Event::NotDone) => next.enter_trying(Stage::Check, now),

            // Going back to it
            (Stage::Revert, Event::Started { task }) => next.enter_trying(Stage::Reverting { task }, now),
            (Stage::Reverting { .. }, Event::Succeeded) => {
                next.judge(Judgement::RolledBack, now);
                if self.was_on {
                    next.enter(Stage::PowerOn, now);
                } else {
                    next.enter(Stage::Kept, now);
                }
            }
            (Stage::Reverting { .. } | Stage::Revert, Event::Failed(trouble)) => {
                next.try_again(Stage::Revert, trouble, now);
            }
            (Stage::Reverting { .. }, Event::NotDone) => next.enter_trying(Stage::Revert, now),
            (Stage::PowerOn, Event::Started { task }) => next.enter_trying(Stage::PoweringOn { task }, now),
            (Stage::PowerOn | Stage::PoweringOn { .. }, Event::Succeeded) => next.enter(Stage::Kept, now),
            (Stage::PoweringOn { .. } | Stage::PowerOn, Event::Failed(trouble)) => {
                next.try_again(Stage::PowerOn, trouble, now);
            }
            (Stage::PoweringOn { .. }, Event::NotDone) => next.enter_trying(Stage::PowerOn, now),
            _ => {}
        }
        next
    }

    /// A new stage, in which nothing has failed yet.
    fn enter(&mut self, stage: Stage, now: Timestamp) {
        (self.failures, self.retry_at) = (0, None);
        self.enter_trying(stage, now);
    }

    /// A new stage of the same attempt.
    fn enter_trying(&mut self, stage: Stage, now: Timestamp) {
        (self.stage, self.since) = (stage, now);
    }

    fn judge(&mut self, judgement: Judgement, now: Timestamp) {
        (self.judgement, self.judged) = (Some(judgement), Some(now));
    }

    fn end(&mut self, ending: Ending, now: Timestamp) {
        self.enter(Stage::Ended { ending }, now);
    }

    fn try_again(&mut self, stage: Stage, trouble: Trouble, now: Timestamp) {
        self.retry_at = Some(self.failed(trouble, LONGEST_PAUSE, now));
        self.enter_trying(stage, now);
    }

    /// A removal or consolidation that ended well, as its task says. It counts as an attempt until the VM shows it, so that one
    /// that does not help is not repeated without a pause.
    fn ended(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        (self.trouble, self.retry_at) = (None, None);
        self.enter_trying(Stage::Check, now);
    }

    /// Takes note of a failure. Gives when it may be tried again.
    fn failed(&mut self, trouble: Trouble, longest: SignedDuration, now: Timestamp) -> Timestamp {
        let passes = trouble.passes;
        self.trouble = Some(trouble);
        self.tried(longest, passes, now)
    }

    /// Takes note of an attempt that came to nothing. Gives when it may be tried again.
    fn tried(&mut self, longest: SignedDuration, passes: bool, now: Timestamp) -> Timestamp {
        self.failures = self.failures.saturating_add(1);
        self.pause(longest, passes, now)
    }

    /// When it may be tried again after so many failures.
    fn pause(&self, longest: SignedDuration, passes: bool, now: Timestamp) -> Timestamp {
        let doublings = self.failures.saturating_sub(1).min(12);
        let doubled = FIRST_PAUSE.saturating_mul(2_i32.saturating_pow(doublings));
        // What does not pass by itself is tried again all the same: whoever mends it need not tell us.
        add(now, if passes { doubled.min(longest) } else { longest })
    }
}
