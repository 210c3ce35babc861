//! The services of AWS as the rest of the program sees them: one trait for each.
//!
//! Everything between a caller and the SDK is a decorator around these: limits and back-off (`paced`), and in tests fakes.

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use mappings::tags::{TagKey, TagValue};
use secrecy::SecretString;

use super::{
    Activation, ActivationId, AwsError, ExecutionTask, Invocation, Node, NodeId, NodeTags, PatchState,
    TaskExecutionId, TaskParameters, WindowExecution, WindowExecutionId, WindowId, WindowIdentity,
    WindowTarget, WindowTask, WindowTaskId,
};

/// What a call gives, later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, AwsError>>;

/// A page of a listing and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The token for the next page.
    pub next: Option<String>,
}

/// AWS Systems Manager.
pub trait Ssm: Send + Sync {
    /// `DescribeInstanceInformation`: hybrid nodes, 50 on a page.
    fn nodes(&self, next: Option<String>) -> Answer<'_, Page<Node>>;
    /// `DescribeActivations`: 50 on a page.
    fn activations(&self, next: Option<String>) -> Answer<'_, Page<Activation>>;
    /// `ListTagsForResource` of one node.
    fn tags_of<'a>(&'a self, node: &'a NodeId) -> Answer<'a, NodeTags>;
    /// `AddTagsToResource`: adds tags to a node, or gives those that it has other values.
    fn add_tags<'a>(&'a self, node: &'a NodeId, tags: &'a [(TagKey, TagValue)]) -> Answer<'a, ()>;
    /// `RemoveTagsFromResource`.
    fn remove_tags<'a>(&'a self, node: &'a NodeId, keys: &'a [TagKey]) -> Answer<'a, ()>;
    /// `CreateActivation`, for one node. There is no idempotency token: asking again makes another one.
    fn create_activation<'a>(&'a self, wanted: &'a ActivationRequest) -> Answer<'a, NewActivation>;
    /// `DeleteActivation`. Nodes that were registered with it stay.
    fn delete_activation<'a>(&'a self, activation: &'a ActivationId) -> Answer<'a, ()>;
    /// `DeregisterManagedInstance`.
    fn deregister<'a>(&'a self, node: &'a NodeId) -> Answer<'a, ()>;

    /// `DescribeMaintenanceWindows`: the maintenance windows, 100 on a page.
    fn windows(&self, next: Option<String>) -> Answer<'_, Page<WindowIdentity>>;
    /// `DescribeMaintenanceWindowSchedule` of one window: when it opens next, the soonest first, at most
    /// [`COMING`](super::COMING) times. What is later is told when it is nearer.
    fn window_schedule<'a>(&'a self, window: &'a WindowId) -> Answer<'a, Vec<Timestamp>>;
    /// `DescribeMaintenanceWindowTargets`: what is registered as a target with one window, 100 on a page.
    fn window_targets<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTarget>>;
    /// `DescribeMaintenanceWindowTasks`: the tasks of one window, 100 on a page. Their parameters are not in it.
    fn window_tasks<'a>(&'a self, window: &'a WindowId, next: Option<String>)
    -> Answer<'a, Page<WindowTask>>;
    /// `GetMaintenanceWindowTask`: the parameters of one task, as far as patching needs them.
    fn window_task<'a>(&'a self, window: &'a WindowId, task: &'a WindowTaskId) -> Answer<'a, TaskParameters>;
    /// `DescribeMaintenanceWindowExecutions` with `ExecutedAfter`: the executions of one window, 100 on a page.
    fn window_executions<'a>(
        &'a self,
        window: &'a WindowId,
        after: Timestamp,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowExecution>>;
    /// `DescribeMaintenanceWindowExecutionTasks`: what each task did in one execution, 100 on a page.
    fn execution_tasks<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<ExecutionTask>>;
    /// `DescribeMaintenanceWindowExecutionTaskInvocations`: what one task did for each of its targets, 100 on a page.
    fn execution_invocations<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        task: &'a TaskExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<Invocation>>;
    /// `DescribeInstancePatchStates` of at most [`PATCH_STATES_AT_ONCE`](super::PATCH_STATES_AT_ONCE) nodes. Nodes that
    /// were never scanned or patched are not in it.
    fn patch_states<'a>(
        &'a self,
        nodes: &'a [NodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(NodeId, PatchState)>>;
}

/// An activation that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivationRequest {
    /// The IAM role that the node takes on: its name, or path and name.
    pub role: String,
    /// At most 256 characters.
    pub description: String,
    /// The name of the node, at most 256 characters.
    pub name: String,
    /// When it ends; AWS allows 30 days.
    pub expires: Timestamp,
    /// Tags that the node gets.
    pub tags: Vec<(String, String)>,
}

/// An activation that was made.
#[derive(Debug, Clone)]
pub struct NewActivation {
    /// Its id.
    pub id: ActivationId,
    /// Its code, which is told only once.
    pub code: SecretString,
}

/// The Resource Groups Tagging API.
pub trait Tagging: Send + Sync {
    /// `GetResources`: tags of managed nodes, 100 on a page. Nodes that never had a tag are not in it, and what was changed
    /// lately may not be yet.
    fn node_tags(&self, next: Option<String>) -> Answer<'_, Page<(NodeId, NodeTags)>>;
}

/// AWS Resource Groups.
pub trait Groups: Send + Sync {
    /// `ListGroupResources` of one group by its name: its hybrid nodes, 50 on a page. Other members are left out.
    fn nodes_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<NodeId>>;
}

/// AWS Security Token Service.
pub trait Sts: Send + Sync {
    /// `GetCallerIdentity`: the account and the ARN that the credentials belong to.
    fn identity(&self) -> Answer<'_, Identity>;
}

/// Who we are to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's number.
    pub account: String,
    /// The user's or role's ARN.
    pub arn: String,
}
