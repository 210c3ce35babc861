//! The steps of an enrolment.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mappings::guest;

use super::{
    ACTING, Enrolment, Former, LONGEST_PAUSE, Limits, Origin, Problem, Purpose, Registration, Report, Stage,
};
use crate::aws::{ActivationId, NodeId};
use crate::plan::TagWrite;

/// Something that moves an enrolment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A program was started in the guest.
    Started {
        /// Our directory.
        directory: Arc<str>,
        /// The process.
        process: i64,
    },
    /// The program in the guest ended.
    Ended {
        /// Its exit code.
        code: i32,
        /// What it reported.
        report: Result<Report, Arc<str>>,
    },
    /// Nobody knows how the program in the guest ended: the guest was started again, or it was too long ago.
    Vanished,
    /// The registration that the guest has is taken over.
    Adopted(NodeId),
    /// The registration that the guest has does not count, and is to be replaced.
    Disowned,
    /// The activation was made.
    Activated {
        /// Its id.
        activation: ActivationId,
        /// The tags that come with it.
        tags: Vec<TagWrite>,
    },
    /// AWS shows the node online.
    Online(NodeId),
    /// The activation is gone.
    Withdrawn,
    /// The guest is clean.
    Cleaned,
    /// It turned out that it is this node, although something had failed.
    Found(NodeId),
    /// It cannot go on.
    Failed(Problem),
}

impl Enrolment {
    /// What an event makes of it. What does not fit the stage changes nothing: it is about an earlier one.
    #[must_use]
    pub fn after(&self, event: Event, limits: &Limits, now: Timestamp) -> Self {
        let mut next = self.clone();
        match (self.stage, event) {
            (Stage::Prepare, Event::Started { directory, process }) => {
                next.directory = Some(directory);
                next.enter(Stage::Preparing { process }, now);
            }
            (Stage::Preparing { .. }, Event::Ended { code: 0, report: Ok(report) }) => {
                // A guest that was only looked at gets its package now.
                let wants = report.agent.is_none() || self.purpose.installs();
                let only_looked =
                    limits.push && self.report.is_none() && wants && self.purpose != Purpose::Restart;
                let stage = match report.registration {
                    _ if only_looked => Stage::Prepare,
                    Some(_) => Stage::Decide,
                    None => Stage::Activate,
                };
                next.report = Some(report);
                next.enter(stage, now);
            }
            (Stage::Decide, Event::Adopted(node)) => {
                // One that we registered stays ours.
                if self.node.as_ref() != Some(&node) || self.origin.is_none() {
                    next.origin = Some(Origin::Adopted);
                }
                next.node = Some(node);
                // Whether what was done to its agent helped is seen at AWS.
                let stage = if self.purpose == Purpose::Enrol { Stage::Clean } else { Stage::Verify };
                next.enter(stage, now);
            }
            (Stage::Decide, Event::Disowned) => {
                next.reregister = true;
                next.enter(Stage::Activate, now);
            }
            (Stage::Activate, Event::Activated { activation, tags }) => {
                next.activation = Some(activation);
                next.tags = tags;
                // From here on it becomes another node.
                (next.node, next.origin) = (None, None);
                next.enter(Stage::Register, now);
            }
            (Stage::Register, Event::Started { process, .. }) => {
                next.enter(Stage::Registering { process }, now);
            }
            (Stage::Registering { .. }, Event::Ended { code: 0, report: Ok(report) }) => {
                next.node = report.registration.as_ref().map(|registration| registration.node.clone());
                next.report = Some(report);
                next.enter(Stage::Verify, now);
            }
            // Whether it was registered is seen at AWS: only then is it known that another attempt makes no second node.
            (Stage::Registering { .. }, Event::Vanished | Event::Ended { report: Err(_), .. }) => {
                next.enter(Stage::Verify, now);
            }
            (Stage::Preparing { .. } | Stage::Registering { .. }, Event::Ended { code, report }) => {
                next.fail(problem_of(code, &report), limits, now);
            }
            (Stage::Preparing { .. }, Event::Vanished) => {
                let sentence = "the installer in the guest vanished: the guest was probably started again";
                next.fail(Problem::passing("interrupted", sentence), limits, now);
            }
            (Stage::Verify, Event::Online(node)) => match &self.node {
                Some(ours) if *ours != node => {
                    let sentence =
                        format!("the guest says that it is {ours}, and AWS shows {node} for its activation");
                    let fix = "find out which VM used the activation, deregister that node, then: vmbridge retry <vm>";
                    next.fail(Problem::lasting("wrong-node", sentence, fix), limits, now);
                }
                _ if self.activation.is_some() => {
                    next.node = Some(node);
                    next.origin = Some(Origin::Registered);
                    next.enter(Stage::Withdraw, now);
                }
                _ => next.clean_or_rest(limits, now),
            },
            (Stage::Withdraw, Event::Withdrawn) => {
                next.activation = None;
                next.clean_or_rest(limits, now);
            }
            (Stage::Clean, Event::Cleaned) => {
                next.directory = None;
                next.rest(limits, now);
            }
            // What cannot be cleaned up must not keep a node from being one, nor a failure from being told.
            (Stage::Clean, Event::Failed(problem)) => {
                tracing::warn!(
                    vm = %self.label, directory = self.directory.as_deref(), error = %problem.sentence,
                    "our directory stays in the guest"
                );
                next.rest(limits, now);
            }
            (Stage::Failed { .. } | Stage::Quarantined, Event::Found(node)) => {
                next.origin =
                    self.origin.filter(|_| self.node.as_ref() == Some(&node)).or(Some(Origin::Adopted));
                if let Some(former) = next.former.take_if(|former| former.node == node) {
                    (next.place, next.origin) = (former.place, Some(Origin::Registered));
                }
                next.node = Some(node);
                next.problem = None;
                next.rest(limits, now);
            }
            (stage, Event::Failed(problem)) if stage.is_active() => next.fail(problem, limits, now),
            _ => {}
        }
        next
    }

    /// What comes of time alone.
    #[must_use]
    pub fn overdue(&self, limits: &Limits, now: Timestamp) -> Option<Event> {
        let (limit, what) = match self.stage {
            Stage::Preparing { .. } => (limits.prepare, "preparing the guest"),
            Stage::Registering { .. } => (limits.register, "registering"),
            Stage::Verify => (limits.verify, "waiting for the node to be online"),
            Stage::Prepare | Stage::Decide | Stage::Activate | Stage::Register | Stage::Clean => {
                (ACTING, "the next step")
            }
            // Nothing is given up here: an activation that stays could be used by others.
            Stage::Withdraw | Stage::Enrolled | Stage::Failed { .. } | Stage::Quarantined => return None,
        };
        let late = now.duration_since(self.since) > signed(limit);
        late.then(|| match self.stage {
            // Only AWS knows whether it was registered.
            Stage::Registering { .. } => Event::Vanished,
            Stage::Verify => {
                let node = self.node.as_ref().map_or("no node", NodeId::as_str);
                let sentence = format!("AWS did not show {node} online within {limit:?}");
                Event::Failed(Problem {
                    fix: Some("see to the agent's log in the guest: it has to reach its endpoints".into()),
                    ..Problem::passing("not-online", sentence)
                })
            }
            _ => Event::Failed(Problem::passing("timed-out", format!("{what} took longer than {limit:?}"))),
        })
    }

    /// The registration that the guest reported.
    #[must_use]
    pub fn registration(&self) -> Option<&Registration> {
        self.report.as_ref().and_then(|report| report.registration.as_ref())
    }

    /// What is left when its failures are forgotten: nothing, unless there is a node that is remembered by it.
    #[must_use]
    pub fn forgiven(&self, now: Timestamp) -> Option<Self> {
        let mut next = self.clone();
        // A node that only the guest speaks of was never seen to be one.
        if next.origin.is_none() {
            let Former { place, node } = next.former.take()?;
            (next.place, next.node, next.origin) = (place, Some(node), Some(Origin::Registered));
        }
        next.problem = None;
        next.enter(Stage::Enrolled, now);
        next.come_to_be();
        Some(next)
    }

    fn enter(&mut self, stage: Stage, now: Timestamp) {
        self.stage = stage;
        self.since = now;
    }

    fn fail(&mut self, problem: Problem, limits: &Limits, now: Timestamp) {
        self.problem = Some(problem);
        if self.activation.is_some() {
            self.enter(Stage::Withdraw, now);
        } else {
            self.clean_or_rest(limits, now);
        }
    }

    fn clean_or_rest(&mut self, limits: &Limits, now: Timestamp) {
        if self.directory.is_some() {
            self.enter(Stage::Clean, now);
        } else {
            self.rest(limits, now);
        }
    }

    /// Nothing of the attempt matters any more: it is a node.
    fn come_to_be(&mut self) {
        (self.failures, self.purpose) = (0, Purpose::Enrol);
        // It is the node that it was.
        if self.former.as_ref().map(|former| &former.node) == self.node.as_ref() {
            self.former = None;
        }
    }

    fn rest(&mut self, limits: &Limits, now: Timestamp) {
        let stage = match &self.problem {
            None => {
                self.come_to_be();
                Stage::Enrolled
            }
            Some(problem) => {
                self.failures = self.failures.saturating_add(1);
                // When starting it again fails for whatever reason, more is done the next time.
                let lasts = !problem.passes && self.purpose != Purpose::Restart;
                if lasts || self.failures >= limits.quarantine {
                    Stage::Quarantined
                } else {
                    let doubled = 2_u32.saturating_pow((self.failures - 1).min(16));
                    let pause = limits.retry.saturating_mul(doubled).min(LONGEST_PAUSE);
                    Stage::Failed { retry_at: now.checked_add(signed(pause)).unwrap_or(Timestamp::MAX) }
                }
            }
        };
        self.enter(stage, now);
    }
}

/// What an exit code means.
fn problem_of(code: i32, report: &Result<Report, Arc<str>>) -> Problem {
    let detail = match report {
        Ok(report) => report.detail.to_string(),
        Err(why) => why.to_string(),
    };
    match guest::reason(code) {
        Some(reason) => {
            let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
            Problem {
                word: reason.word.as_str().into(),
                sentence: format!("{}{detail}", reason.sentence).into(),
                fix: Some(reason.fix.as_str().into()),
                passes: reason.retry,
            }
        }
        None if code == 0 => Problem::passing("no-report", detail),
        None => Problem::passing("unexpected-exit", format!("the installer ended with {code} ({detail})")),
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
