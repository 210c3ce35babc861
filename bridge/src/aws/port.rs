//! The services of AWS as the rest of the program sees them: one trait for each.
//!
//! Everything between a caller and the SDK is a decorator around these: limits and back-off (`paced`), and in tests fakes.

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use mappings::compliance::List;
use mappings::compliance::table::Patches;
use mappings::findings::Finding;
use mappings::tags::{TagKey, TagValue};
use secrecy::SecretString;

use super::{
    Activation, ActivationId, Aggregation, AwsError, ComplianceSummary, Ec2Node, ExecutionTask,
    FindingFilter, FindingKey, FindingOutcome, FindingSeen, FindingUpdate, HubState, InventoryPut,
    InventorySeen, Invocation, ManagedNodeId, Node, NodeId, NodeTags, PatchState, TaskExecutionId,
    TaskParameters, WindowExecution, WindowExecutionId, WindowId, WindowIdentity, WindowTarget, WindowTask,
    WindowTaskId,
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

/// What is reported to AWS Systems Manager, and read there of every managed node at once. A trait of its own, so that who only
/// reports need not know of windows and activations.
pub trait Reports: Send + Sync {
    /// `PutInventory`: puts items of one node, at most [`INVENTORY_ITEMS_AT_ONCE`](super::INVENTORY_ITEMS_AT_ONCE). Each takes the
    /// place of what the node has of its type.
    fn put_inventory<'a>(&'a self, node: &'a NodeId, items: &'a [InventoryPut<'a>]) -> Answer<'a, ()>;
    /// `PutComplianceItems` with `UploadType` `COMPLETE`: the list takes the place of the one that the node has of its type, unless
    /// that has the same hash. `found` is when the checks were made.
    fn put_compliance<'a>(&'a self, node: &'a NodeId, list: &'a List, found: Timestamp) -> Answer<'a, ()>;
    /// `DescribeInstanceInformation`: managed nodes that are EC2 instances, 50 on a page. Inventory could tell them too
    /// (`AWS:InstanceInformation`), in pages of the same size; but it keeps instances that are gone for a month, and does not say
    /// whether their agent reports.
    fn ec2_nodes(&self, next: Option<String>) -> Answer<'_, Page<Ec2Node>>;
    /// `ListResourceComplianceSummaries`: one summary for each node and type, of at most 20 types, 50 on a page. Nodes about which
    /// nothing is known are not in it.
    fn compliance<'a>(
        &'a self,
        types: &'a [&'a str],
        next: Option<String>,
    ) -> Answer<'a, Page<ComplianceSummary>>;
    /// `DescribeInstancePatchStates` of at most [`PATCH_STATES_AT_ONCE`](super::PATCH_STATES_AT_ONCE) nodes of either kind, as the table
    /// of compliance needs it. Nodes that were never scanned or patched are not in it.
    fn patches<'a>(
        &'a self,
        nodes: &'a [ManagedNodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(ManagedNodeId, Patches)>>;
    /// `GetInventory`: what each node has of one type, 50 nodes on a page. A page may be empty and not be the last.
    fn inventory<'a>(&'a self, type_name: &'a str, next: Option<String>) -> Answer<'a, Page<InventorySeen>>;
    /// `GetInventory` of one node: what it has of one type. None: nothing.
    fn inventory_of<'a>(&'a self, node: &'a NodeId, type_name: &'a str) -> Answer<'a, Option<InventorySeen>>;
    /// `ListComplianceItems` of one node: the run (`ExecutionId`) that its list of one type comes from. None: there is no list, or
    /// it is empty.
    fn compliance_run<'a>(&'a self, node: &'a NodeId, type_name: &'a str) -> Answer<'a, Option<String>>;
}

/// AWS Security Hub, in the one Region to which findings of a target go.
pub trait SecurityHub: Send + Sync {
    /// The same, with the same credentials, in another Region: findings may have gone there before.
    fn in_region(&self, region: &str) -> Self
    where
        Self: Sized;
    /// `DescribeHub`: whether it is enabled.
    fn hub(&self) -> Answer<'_, HubState>;
    /// `ListFindingAggregators` and `GetFindingAggregator`: how findings are copied to an aggregation Region. None: they are not.
    fn aggregation(&self) -> Answer<'_, Option<Aggregation>>;
    /// `BatchImportFindings` of at most [`FINDINGS_AT_ONCE`](super::FINDINGS_AT_ONCE) findings, 240 KB each and 6 MB in all: creates
    /// those that are new and updates the others. Gives an outcome for each, in their order. A finding that is not newer than what
    /// Security Hub has is ignored, so that sending it again does no harm.
    fn import<'a>(&'a self, findings: &'a [Finding]) -> Answer<'a, Vec<FindingOutcome>>;
    /// `BatchUpdateFindings` of at most [`FINDINGS_AT_ONCE`](super::FINDINGS_AT_ONCE) findings: changes the same in all of them, and
    /// what people wrote there with it. Gives an outcome for each, in their order.
    fn update<'a>(
        &'a self,
        findings: &'a [FindingKey],
        update: &'a FindingUpdate,
    ) -> Answer<'a, Vec<FindingOutcome>>;
    /// `GetFindings`: 100 on a page.
    fn findings<'a>(
        &'a self,
        filter: &'a FindingFilter,
        next: Option<String>,
    ) -> Answer<'a, Page<FindingSeen>>;
}

/// The Resource Groups Tagging API.
pub trait Tagging: Send + Sync {
    /// `GetResources`: tags of managed nodes, 100 on a page. Nodes that never had a tag are not in it, and what was changed
    /// lately may not be yet.
    fn node_tags(&self, next: Option<String>) -> Answer<'_, Page<(NodeId, NodeTags)>>;
    /// `GetResources`: tags of EC2 instances, managed nodes or not, 100 on a page, with the same gaps.
    fn instance_tags(&self, next: Option<String>) -> Answer<'_, Page<(ManagedNodeId, NodeTags)>>;
}

/// AWS Resource Groups.
pub trait Groups: Send + Sync {
    /// `ListGroupResources` of one group by its name: its hybrid nodes, 50 on a page. Other members are left out.
    fn nodes_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<NodeId>>;
    /// `ListGroupResources` of one group by its name: its EC2 instances, 50 on a page. Other members are left out.
    fn instances_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<ManagedNodeId>>;
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
