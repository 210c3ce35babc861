//! Limits, retry and counting around the ports.
//!
//! Each operation has a lane of its own, because AWS limits each by itself. A call that AWS refused as one too many, or
//! that was never sent, is tried three times in all; one that may have taken place is not repeated, because only who made it
//! knows how to find out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use mappings::tags::{TagKey, TagValue};
use metrics::counter;

use super::port::{ActivationRequest, Answer, Groups, Identity, NewActivation, Page, Ssm, Sts, Tagging};
use super::{
    Activation, ActivationId, AwsError, AwsErrorKind, ExecutionTask, Invocation, ManagedNodeId, Node, NodeId,
    NodeTags, PatchState, TargetName, TaskExecutionId, TaskParameters, WindowExecution, WindowExecutionId,
    WindowId, WindowIdentity, WindowTarget, WindowTask, WindowTaskId,
};
use crate::lane::{Lane, LaneLimits, jitter};

/// Attempts for one call, the first included.
const ATTEMPTS: u32 = 3;

/// The speed limits of one target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// For calls that only read.
    pub reads: LaneLimits,
    /// For calls that change something.
    pub writes: LaneLimits,
}

/// How many calls of one operation AWS permits, as its documentation says. Whoever else is in the account has a part in it; what is
/// too much is refused, and the lane slows down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published {
    /// Calls in a second.
    pub rate: f64,
    /// Calls at once, after a pause.
    pub burst: f64,
}

/// The part of a published burst that is used. Calls that waited for their connections arrive together with later ones, and what AWS
/// refuses has to be sent again.
const PART_OF_BURST: f64 = 5.0 / 6.0;

impl Published {
    fn with(self, configured: LaneLimits) -> LaneLimits {
        LaneLimits { rate: self.rate, burst: self.burst * PART_OF_BURST, ..configured }
    }
}

/// The lanes of one target, one for each operation.
#[derive(Debug)]
pub struct Lanes {
    target: TargetName,
    speed: Speed,
    jitter: fn() -> f64,
    lanes: Mutex<BTreeMap<&'static str, Lane>>,
}

impl Lanes {
    /// The lanes of a target.
    #[must_use]
    pub fn new(target: TargetName, speed: Speed) -> Arc<Self> {
        Self::with_jitter(target, speed, jitter)
    }

    /// Lanes whose pauses are spread by what `jitter` gives, a number in 0..1.
    pub(crate) fn with_jitter(target: TargetName, speed: Speed, jitter: fn() -> f64) -> Arc<Self> {
        Arc::new(Self { target, speed, jitter, lanes: Mutex::default() })
    }

    fn lane(&self, operation: &'static str, limits: LaneLimits) -> Lane {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.entry(operation).or_insert_with(|| Lane::new(limits)).clone()
    }

    /// The operations whose lanes are slowed now, because AWS asked for it.
    #[must_use]
    pub fn slowed(&self) -> Vec<&'static str> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().filter(|(_, lane)| lane.is_slowed()).map(|(name, _)| *name).collect()
    }

    async fn call<'a, T>(
        &self,
        operation: &'static str,
        limits: LaneLimits,
        repeat_lost: bool,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, AwsError>>,
    ) -> Result<T, AwsError> {
        let lane = self.lane(operation, limits);
        let mut attempts = 1;
        loop {
            let admission = lane.admit().await;
            let result = attempt().await;
            let word = match &result {
                Ok(_) => "ok",
                Err(error) if error.kind == AwsErrorKind::Throttled => "throttled",
                Err(_) => "failed",
            };
            counter!(
                "vmbridge_aws_calls_total",
                "target" => self.target.as_str().to_owned(), "operation" => operation, "result" => word
            )
            .increment(1);
            match &result {
                Err(error) if error.kind == AwsErrorKind::Throttled => {
                    tracing::debug!(target = %self.target, operation, "AWS throttles; the lane slows down");
                    admission.refused((self.jitter)());
                }
                _ => admission.passed(),
            }
            match result {
                Err(error)
                    if attempts < ATTEMPTS
                        && error.kind.is_transient()
                        && (repeat_lost || !error.kind.may_have_taken_place()) =>
                {
                    // A refusal has already slowed the lane; what was not sent waits for its turn like all else.
                    attempts += 1;
                }
                result => return result,
            }
        }
    }

    pub(super) async fn read<'a, T>(
        &self,
        operation: &'static str,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, AwsError>>,
    ) -> Result<T, AwsError> {
        self.call(operation, self.speed.reads, true, attempt).await
    }

    pub(super) async fn write<'a, T>(
        &self,
        operation: &'static str,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, AwsError>>,
    ) -> Result<T, AwsError> {
        self.call(operation, self.speed.writes, false, attempt).await
    }

    /// A call that reads, where AWS says how many it permits: as fast as that.
    pub(super) async fn read_within<'a, T>(
        &self,
        operation: &'static str,
        published: Published,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, AwsError>>,
    ) -> Result<T, AwsError> {
        self.call(operation, published.with(self.speed.reads), true, attempt).await
    }

    /// A call that changes something, where AWS says how many it permits: as fast as that, because what is configured is for
    /// operations of which it says nothing.
    pub(super) async fn write_within<'a, T>(
        &self,
        operation: &'static str,
        published: Published,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, AwsError>>,
    ) -> Result<T, AwsError> {
        self.call(operation, published.with(self.speed.writes), false, attempt).await
    }
}

/// A port with limits, retry and counting.
pub struct Paced<P> {
    pub(super) inner: P,
    pub(super) lanes: Arc<Lanes>,
}

impl<P> Paced<P> {
    /// Puts limits around `inner`.
    #[must_use]
    pub fn new(inner: P, lanes: Arc<Lanes>) -> Self {
        Self { inner, lanes }
    }
}

impl<P: Ssm> Ssm for Paced<P> {
    fn nodes(&self, next: Option<String>) -> Answer<'_, Page<Node>> {
        Box::pin(async move {
            self.lanes.read("ssm:DescribeInstanceInformation", || self.inner.nodes(next.clone())).await
        })
    }

    fn activations(&self, next: Option<String>) -> Answer<'_, Page<Activation>> {
        Box::pin(async move {
            self.lanes.read("ssm:DescribeActivations", || self.inner.activations(next.clone())).await
        })
    }

    fn tags_of<'a>(&'a self, node: &'a NodeId) -> Answer<'a, NodeTags> {
        Box::pin(self.lanes.read("ssm:ListTagsForResource", || self.inner.tags_of(node)))
    }

    fn add_tags<'a>(&'a self, node: &'a NodeId, tags: &'a [(TagKey, TagValue)]) -> Answer<'a, ()> {
        Box::pin(self.lanes.write("ssm:AddTagsToResource", || self.inner.add_tags(node, tags)))
    }

    fn remove_tags<'a>(&'a self, node: &'a NodeId, keys: &'a [TagKey]) -> Answer<'a, ()> {
        Box::pin(self.lanes.write("ssm:RemoveTagsFromResource", || self.inner.remove_tags(node, keys)))
    }

    fn create_activation<'a>(&'a self, wanted: &'a ActivationRequest) -> Answer<'a, NewActivation> {
        Box::pin(self.lanes.write("ssm:CreateActivation", || self.inner.create_activation(wanted)))
    }

    fn delete_activation<'a>(&'a self, activation: &'a ActivationId) -> Answer<'a, ()> {
        Box::pin(self.lanes.write("ssm:DeleteActivation", || self.inner.delete_activation(activation)))
    }

    fn deregister<'a>(&'a self, node: &'a NodeId) -> Answer<'a, ()> {
        Box::pin(self.lanes.write("ssm:DeregisterManagedInstance", || self.inner.deregister(node)))
    }

    fn windows(&self, next: Option<String>) -> Answer<'_, Page<WindowIdentity>> {
        Box::pin(async move {
            self.lanes.read("ssm:DescribeMaintenanceWindows", || self.inner.windows(next.clone())).await
        })
    }

    fn window_schedule<'a>(&'a self, window: &'a WindowId) -> Answer<'a, Vec<Timestamp>> {
        Box::pin(
            self.lanes.read("ssm:DescribeMaintenanceWindowSchedule", || self.inner.window_schedule(window)),
        )
    }

    fn window_targets<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTarget>> {
        const NAME: &str = "ssm:DescribeMaintenanceWindowTargets";
        Box::pin(
            async move { self.lanes.read(NAME, || self.inner.window_targets(window, next.clone())).await },
        )
    }

    fn window_tasks<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTask>> {
        const NAME: &str = "ssm:DescribeMaintenanceWindowTasks";
        Box::pin(async move { self.lanes.read(NAME, || self.inner.window_tasks(window, next.clone())).await })
    }

    fn window_task<'a>(&'a self, window: &'a WindowId, task: &'a WindowTaskId) -> Answer<'a, TaskParameters> {
        Box::pin(self.lanes.read("ssm:GetMaintenanceWindowTask", || self.inner.window_task(window, task)))
    }

    fn window_executions<'a>(
        &'a self,
        window: &'a WindowId,
        after: Timestamp,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowExecution>> {
        const NAME: &str = "ssm:DescribeMaintenanceWindowExecutions";
        Box::pin(async move {
            self.lanes.read(NAME, || self.inner.window_executions(window, after, next.clone())).await
        })
    }

    fn execution_tasks<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<ExecutionTask>> {
        const NAME: &str = "ssm:DescribeMaintenanceWindowExecutionTasks";
        Box::pin(async move {
            self.lanes.read(NAME, || self.inner.execution_tasks(execution, next.clone())).await
        })
    }

    fn execution_invocations<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        task: &'a TaskExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<Invocation>> {
        const NAME: &str = "ssm:DescribeMaintenanceWindowExecutionTaskInvocations";
        Box::pin(async move {
            self.lanes.read(NAME, || self.inner.execution_invocations(execution, task, next.clone())).await
        })
    }

    fn patch_states<'a>(
        &'a self,
        nodes: &'a [NodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(NodeId, PatchState)>> {
        const NAME: &str = "ssm:DescribeInstancePatchStates";
        Box::pin(async move { self.lanes.read(NAME, || self.inner.patch_states(nodes, next.clone())).await })
    }
}

impl<P: Groups> Groups for Paced<P> {
    fn nodes_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<NodeId>> {
        const NAME: &str = "resource-groups:ListGroupResources";
        Box::pin(async move { self.lanes.read(NAME, || self.inner.nodes_of(group, next.clone())).await })
    }

    fn instances_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<ManagedNodeId>> {
        const NAME: &str = "resource-groups:ListGroupResources";
        Box::pin(async move { self.lanes.read(NAME, || self.inner.instances_of(group, next.clone())).await })
    }
}

impl<P: Tagging> Tagging for Paced<P> {
    fn node_tags(&self, next: Option<String>) -> Answer<'_, Page<(NodeId, NodeTags)>> {
        Box::pin(
            async move { self.lanes.read("tag:GetResources", || self.inner.node_tags(next.clone())).await },
        )
    }

    fn instance_tags(&self, next: Option<String>) -> Answer<'_, Page<(ManagedNodeId, NodeTags)>> {
        const NAME: &str = "tag:GetResources";
        Box::pin(async move { self.lanes.read(NAME, || self.inner.instance_tags(next.clone())).await })
    }
}

impl<P: Sts> Sts for Paced<P> {
    fn identity(&self) -> Answer<'_, Identity> {
        Box::pin(self.lanes.read("sts:GetCallerIdentity", || self.inner.identity()))
    }
}
