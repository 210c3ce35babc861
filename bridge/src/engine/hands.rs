//! Hands: how actions are done, and how it is found out whether they were.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use mappings::findings::FindingId;
use mappings::findings::life::Outcome as FindingOutcome;
use mappings::protection::{SnapshotId, TaskId, Trouble};
use tokio::sync::Notify;

use super::guest::GuestHands;
use super::report;
use super::snapshot::{self, SnapshotPort};
use super::vsphere::{self, VsphereHands};
use crate::aws::{
    ActivationId, AwsError, AwsErrorKind, NodeId, NodeTags, Place, Reports, Services, TargetName,
    partition_of,
};
use crate::cloud::SharedCloud;
use crate::enrol::Problem;
use crate::observe::aws::listing;
use crate::plan::{Action, EnrolStep};

/// How long a reading may lag behind in a target that is not known now.
const UNKNOWN_SETTLE: Duration = Duration::from_secs(120);

/// An action that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectError {
    /// It may have had its effect all the same.
    pub may_have_taken_place: bool,
    /// It is about to be tried again soon: it failed for a reason that passes by itself.
    pub transient: bool,
    /// What was said, with the fix where there is one.
    pub reason: String,
    /// Why an enrolment cannot go on because of it.
    pub problem: Option<Box<Problem>>,
    /// The guest refused the credentials that have this fingerprint.
    pub refused: Option<Arc<str>>,
    /// Why the snapshot of a VM cannot go on because of it.
    pub trouble: Option<Box<Trouble>>,
}

impl EffectError {
    /// It cannot be tried now, and can be soon.
    #[must_use]
    pub fn not_now(reason: impl Into<String>) -> Self {
        Self {
            may_have_taken_place: false,
            transient: true,
            reason: reason.into(),
            problem: None,
            refused: None,
            trouble: None,
        }
    }

    /// An enrolment cannot go on.
    #[must_use]
    pub fn of_problem(problem: Problem) -> Self {
        Self {
            may_have_taken_place: false,
            transient: false,
            reason: problem.sentence.to_string(),
            problem: Some(Box::new(problem)),
            refused: None,
            trouble: None,
        }
    }
}

/// What an action gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Gain {
    /// Only its effect.
    #[default]
    Nothing,
    /// A program was started in a guest.
    Started {
        /// Our directory.
        directory: Arc<str>,
        /// The process; -1 where it cannot be told any more.
        process: i64,
    },
    /// An activation was made.
    Activation(ActivationId),
    /// A task was begun.
    Task(TaskId),
    /// What became of each finding of a call.
    Findings(Vec<(FindingId, FindingOutcome)>),
    /// The snapshot is there.
    Snapshot {
        /// Which.
        snapshot: SnapshotId,
        /// When it was taken.
        created: Timestamp,
    },
}

impl From<AwsError> for EffectError {
    fn from(error: AwsError) -> Self {
        let reason = match error.kind.fix() {
            Some(fix) => format!("{error}; {fix}"),
            None => error.to_string(),
        };
        Self {
            may_have_taken_place: error.kind.may_have_taken_place(),
            transient: error.kind.is_transient(),
            reason,
            problem: None,
            refused: None,
            trouble: None,
        }
    }
}

/// What is found out about an action whose end is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// Its effect is there, and this is what it gave.
    There(Gain),
    /// Its effect is not there (yet).
    NotThere,
    /// What it was about is gone.
    Gone,
}

/// Does actions.
pub trait Hands: Send + Sync {
    /// Does it once.
    fn perform<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<Gain, EffectError>>;
    /// Looks whether its effect is there.
    fn trace<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<Trace, EffectError>>;
    /// How long after an action its effect may still not be seen.
    fn settle(&self, action: &Action) -> Duration;
}

/// One target as far as acting is concerned.
#[derive(Clone)]
pub struct Arm {
    /// Its services.
    pub services: Services,
    /// Tells its observer that something was changed.
    pub nudge: Arc<Notify>,
    /// How long a reading may lag behind.
    pub settle: Duration,
}

/// The hands of the program: on AWS and on vCenters.
#[derive(Clone)]
pub struct RealHands {
    cloud: SharedCloud,
    arms: Arc<RwLock<BTreeMap<TargetName, Arm>>>,
    /// Arms into other Regions of the accounts of targets.
    elsewhere: Arc<Mutex<BTreeMap<Place, Arm>>>,
    vsphere: VsphereHands,
    guests: GuestHands,
    snapshots: Arc<dyn SnapshotPort>,
}

impl RealHands {
    /// Hands that find their way through what is known of the targets.
    #[must_use]
    pub fn new(cloud: SharedCloud, vsphere: VsphereHands, guests: GuestHands) -> Self {
        let snapshots = Arc::new(vsphere.clone());
        Self { cloud, arms: Arc::default(), elsewhere: Arc::default(), vsphere, guests, snapshots }
    }

    /// Takes and removes snapshots through this.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_snapshots(self, snapshots: Arc<dyn SnapshotPort>) -> Self {
        Self { snapshots, ..self }
    }

    /// The hands on snapshots.
    #[must_use]
    pub(crate) fn snapshots(&self) -> &dyn SnapshotPort {
        &*self.snapshots
    }

    /// The hands in guests.
    #[must_use]
    pub fn guests(&self) -> &GuestHands {
        &self.guests
    }

    /// Asks for a reading of the target that is here soon.
    pub fn nudge(&self, place: &Place) {
        if let Ok(arm) = self.arm(place) {
            arm.nudge.notify_one();
        }
    }

    /// The hands on vCenters.
    #[must_use]
    pub fn vsphere(&self) -> &VsphereHands {
        &self.vsphere
    }

    /// Uses these targets from now on.
    pub fn set_arms(&self, arms: BTreeMap<TargetName, Arm>) {
        *self.arms.write().unwrap_or_else(PoisonError::into_inner) = arms;
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is reported to each target, to be read back.
    pub(crate) fn reports(&self) -> Vec<(TargetName, Arc<dyn Reports>)> {
        let arms = self.arms.read().unwrap_or_else(PoisonError::into_inner);
        arms.iter().map(|(name, arm)| (name.clone(), Arc::clone(&arm.services.reports))).collect()
    }

    /// The services of each target.
    pub(crate) fn services(&self) -> Vec<(TargetName, Services)> {
        let arms = self.arms.read().unwrap_or_else(PoisonError::into_inner);
        arms.iter().map(|(name, arm)| (name.clone(), arm.services.clone())).collect()
    }

    /// Asks for a reading of every target soon.
    pub fn nudge_all(&self) {
        let arms = self.arms.read().unwrap_or_else(PoisonError::into_inner);
        arms.values().for_each(|arm| arm.nudge.notify_one());
    }

    pub(super) fn arm(&self, place: &Place) -> Result<Arm, EffectError> {
        let cloud = self.cloud.read();
        let arms = self.arms.read().unwrap_or_else(PoisonError::into_inner);
        let found = cloud
            .targets()
            .filter(|(_, view)| view.place.as_ref() == Some(place))
            .find_map(|(name, _)| arms.get(name));
        found
            .cloned()
            .ok_or_else(|| EffectError::not_now(format!("no target of the configuration is {place} now")))
    }
}

impl RealHands {
    /// The arm of a target whose findings go there, which may be another Region than that of its nodes. Where they went before, it
    /// is that of a target that has the account.
    pub(super) fn hub_arm(&self, place: &Place) -> Result<Arm, EffectError> {
        let cloud = self.cloud.read();
        let arms = self.arms.read().unwrap_or_else(PoisonError::into_inner);
        let found = cloud
            .targets()
            .filter(|(_, view)| view.hub.place.as_ref() == Some(place))
            .find_map(|(name, _)| arms.get(name));
        if let Some(arm) = found {
            return Ok(arm.clone());
        }
        let has_account = |of: &Place| {
            of.account() == place.account() && partition_of(of.region()) == partition_of(place.region())
        };
        let found = cloud
            .targets()
            .filter(|(_, view)| view.place.as_ref().is_some_and(has_account))
            .find_map(|(name, _)| arms.get(name));
        let arm = found.ok_or_else(|| {
            EffectError::not_now(format!("no target of the configuration has the account of {place} now"))
        })?;
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let made = elsewhere.entry(place.clone()).or_insert_with(|| {
            // Its credentials may have to be had anew, so it is kept.
            Arm { services: arm.services.with_hub_in(place.region()), ..arm.clone() }
        });
        Ok(made.clone())
    }
}

impl Hands for RealHands {
    fn perform<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<Gain, EffectError>> {
        Box::pin(async move {
            match action {
                Action::AddTags { place, node, tags, .. } => {
                    let arm = self.arm(place)?;
                    let tags: Vec<_> = tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
                    let done = arm.services.ssm.add_tags(node, &tags).await;
                    arm.nudge.notify_one();
                    done?;
                    Ok(Gain::Nothing)
                }
                Action::RemoveTags { place, node, tags, .. } => {
                    let arm = self.arm(place)?;
                    let keys: Vec<_> = tags.iter().map(|tag| tag.key.clone()).collect();
                    let done = arm.services.ssm.remove_tags(node, &keys).await;
                    arm.nudge.notify_one();
                    done?;
                    Ok(Gain::Nothing)
                }
                Action::DefineAttribute { vcenter, name, .. } => {
                    self.vsphere.define(*vcenter, name).await?;
                    Ok(Gain::Nothing)
                }
                Action::SetAttribute { vm, name, value, .. } => {
                    self.vsphere.set(vm, name, value).await?;
                    Ok(Gain::Nothing)
                }
                Action::Enrol { vm, step, enrolment } => self.enrol(vm, step, enrolment).await,
                Action::Snapshot { vm, act, record, mark } => {
                    snapshot::perform(self.snapshots(), vm, *act, record, mark).await
                }
                Action::PutInventory { .. }
                | Action::PutCompliance { .. }
                | Action::ImportFindings { .. }
                | Action::CloseFindings { .. }
                | Action::UpdatePatchFindings { .. } => report::perform(self, action).await,
                Action::DeregisterNode { place, node, .. } => {
                    let arm = self.arm(place)?;
                    let done = arm.services.ssm.deregister(node).await;
                    arm.nudge.notify_one();
                    gone_is_done(done)?;
                    Ok(Gain::Nothing)
                }
            }
        })
    }

    fn trace<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<Trace, EffectError>> {
        Box::pin(async move {
            match action {
                Action::AddTags { place, node, tags, .. } => {
                    self.tags_trace(place, node, |found| {
                        tags.iter().all(|tag| {
                            found.get(tag.key.as_str()).is_some_and(|value| **value == *tag.value.as_str())
                        })
                    })
                    .await
                }
                Action::RemoveTags { place, node, tags, .. } => {
                    self.tags_trace(place, node, |found| {
                        tags.iter().all(|tag| !found.contains_key(tag.key.as_str()))
                    })
                    .await
                }
                Action::DefineAttribute { vcenter, name, .. } => {
                    self.vsphere.trace_definition(*vcenter, name).await
                }
                Action::SetAttribute { vm, name, value, .. } => {
                    self.vsphere.trace_value(vm, name, value).await
                }
                Action::Enrol { vm, step, enrolment } => self.enrol_trace(vm, step, enrolment).await,
                Action::Snapshot { vm, act, record, .. } => {
                    snapshot::trace(self.snapshots(), vm, *act, record).await
                }
                Action::PutInventory { .. }
                | Action::PutCompliance { .. }
                | Action::ImportFindings { .. }
                | Action::CloseFindings { .. }
                | Action::UpdatePatchFindings { .. } => report::trace(self, action).await,
                Action::DeregisterNode { place, node, .. } => {
                    let ssm = self.arm(place)?.services.ssm;
                    let nodes = listing("nodes", |next| ssm.nodes(next)).await?;
                    let there = nodes.iter().any(|found| found.id == *node);
                    Ok(if there { Trace::NotThere } else { Trace::There(Gain::Nothing) })
                }
            }
        })
    }

    fn settle(&self, action: &Action) -> Duration {
        match action {
            Action::AddTags { place, .. } | Action::RemoveTags { place, .. } => self.settle_of(place),
            Action::DefineAttribute { .. } | Action::SetAttribute { .. } => vsphere::SETTLE,
            Action::Snapshot { .. } => snapshot::SETTLE,
            Action::Enrol { step, enrolment, .. } => match step {
                EnrolStep::Activate { .. } | EnrolStep::Withdraw => self.settle_of(&enrolment.place),
                EnrolStep::Prepare | EnrolStep::Register | EnrolStep::Clean => vsphere::SETTLE,
            },
            Action::PutInventory { place, .. }
            | Action::PutCompliance { place, .. }
            | Action::UpdatePatchFindings { place, .. }
            | Action::DeregisterNode { place, .. } => self.settle_of(place),
            Action::ImportFindings { place, .. } | Action::CloseFindings { place, .. } => {
                self.hub_arm(place).map_or(UNKNOWN_SETTLE, |arm| arm.settle)
            }
        }
    }
}

impl RealHands {
    fn settle_of(&self, place: &Place) -> Duration {
        self.arm(place).map_or(UNKNOWN_SETTLE, |arm| arm.settle)
    }

    async fn tags_trace(
        &self,
        place: &Place,
        node: &NodeId,
        there: impl FnOnce(&NodeTags) -> bool,
    ) -> Result<Trace, EffectError> {
        match self.arm(place)?.services.ssm.tags_of(node).await {
            Ok(found) if there(&found) => Ok(Trace::There(Gain::Nothing)),
            Ok(_) => Ok(Trace::NotThere),
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(Trace::Gone),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is gone already need not be removed.
pub(super) fn gone_is_done(result: Result<(), AwsError>) -> Result<(), EffectError> {
    match result {
        Err(error) if error.kind == AwsErrorKind::NotFound => Ok(()),
        result => result.map_err(EffectError::from),
    }
}
