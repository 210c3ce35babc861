//! Maintenance windows, patch states and resource groups of a test: in pages, counted, and failing when told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use mappings::tags::{TagKey, TagValue};

use super::{
    Activation, ActivationId, ActivationRequest, Answer, AwsError, AwsErrorKind, COMING, ExecutionTask,
    Groups, Identity, Invocation, ManagedNodeId, NewActivation, Node, NodeId, NodeTags, Page, PatchState,
    Ssm, Sts, Tagging, TaskExecutionId, TaskParameters, WindowExecution, WindowExecutionId, WindowId,
    WindowIdentity, WindowTarget, WindowTask, WindowTaskId,
};
use crate::clock::Clock;

/// So many items are on a page.
const PAGE: usize = 3;

/// A window of a test.
#[derive(Debug, Clone)]
pub(crate) struct FakeWindow {
    /// What the listing says; `next` is made from `openings`.
    pub identity: WindowIdentity,
    /// All openings, in order; those that have passed are not told.
    pub openings: Vec<Timestamp>,
    /// Its targets.
    pub targets: Vec<WindowTarget>,
    /// Its tasks, with their parameters, which the listing leaves out.
    pub tasks: Vec<WindowTask>,
    /// Its executions.
    pub executions: Vec<(WindowExecution, Done)>,
}

/// What each task of an execution did.
pub(crate) type Done = Vec<(ExecutionTask, Vec<Invocation>)>;

#[derive(Debug, Default)]
struct State {
    windows: BTreeMap<WindowId, FakeWindow>,
    patch_states: BTreeMap<NodeId, PatchState>,
    groups: BTreeMap<String, BTreeSet<NodeId>>,
    /// EC2 instances that are in groups.
    instance_groups: BTreeMap<String, BTreeSet<ManagedNodeId>>,
    instance_tags: BTreeMap<ManagedNodeId, NodeTags>,
    /// Calls by operation, and by operation and object.
    calls: BTreeMap<String, usize>,
    faults: BTreeMap<String, AwsErrorKind>,
}

/// The windows of a test. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct FakeWindows {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

impl FakeWindows {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { state: Arc::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts a window in the place of the one with its id.
    pub(crate) fn put(&self, window: FakeWindow) {
        self.lock().windows.insert(window.identity.id.clone(), window);
    }

    /// Changes a window.
    pub(crate) fn edit(&self, id: &WindowId, change: impl FnOnce(&mut FakeWindow)) {
        change(self.lock().windows.get_mut(id).unwrap());
    }

    /// Deletes a window.
    pub(crate) fn delete(&self, id: &WindowId) {
        self.lock().windows.remove(id);
    }

    /// Says what the last patch operation of a node was.
    pub(crate) fn patch(&self, node: &NodeId, state: PatchState) {
        self.lock().patch_states.insert(node.clone(), state);
    }

    /// Makes a group of these nodes.
    pub(crate) fn group(&self, name: &str, nodes: impl IntoIterator<Item = NodeId>) {
        self.lock().groups.insert(name.to_owned(), nodes.into_iter().collect());
    }

    /// Puts EC2 instances into a group.
    pub(crate) fn group_instances(&self, name: &str, instances: impl IntoIterator<Item = ManagedNodeId>) {
        let mut state = self.lock();
        state.groups.entry(name.to_owned()).or_default();
        state.instance_groups.insert(name.to_owned(), instances.into_iter().collect());
    }

    /// Gives an EC2 instance these tags and no others.
    pub(crate) fn tag_instance(&self, instance: &ManagedNodeId, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        self.lock().instance_tags.insert(instance.clone(), tags);
    }

    /// Lets an operation fail, or an operation on one object (`window_tasks mw-…`).
    pub(crate) fn fail(&self, what: &str, kind: AwsErrorKind) {
        self.lock().faults.insert(what.to_owned(), kind);
    }

    /// Lets everything work again.
    pub(crate) fn heal(&self) {
        self.lock().faults.clear();
    }

    /// The calls by operation since this was asked for last.
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.lock().calls)
    }

    fn answer<'a, T: Send + 'a>(
        &self,
        operation: &'static str,
        object: &str,
        found: impl FnOnce(&State) -> Option<T>,
    ) -> Answer<'a, T> {
        let mut state = self.lock();
        *state.calls.entry(operation.to_owned()).or_default() += 1;
        let fault =
            state.faults.get(operation).or_else(|| state.faults.get(&format!("{operation} {object}")));
        let answer = match fault {
            Some(kind) => Err(*kind),
            None => found(&state).ok_or(AwsErrorKind::NotFound),
        };
        let object = Some(object.to_owned()).filter(|object| !object.is_empty());
        let answer = answer.map_err(|kind| AwsError {
            operation,
            object,
            kind,
            detail: "a fault of the test".to_owned(),
        });
        Box::pin(async { answer })
    }
}

impl Ssm for FakeWindows {
    fn nodes(&self, _: Option<String>) -> Answer<'_, Page<Node>> {
        self.answer("nodes", "", |_| Some(page(std::iter::empty(), None)))
    }

    fn activations(&self, _: Option<String>) -> Answer<'_, Page<Activation>> {
        self.answer("activations", "", |_| Some(page(std::iter::empty(), None)))
    }

    fn tags_of<'a>(&'a self, node: &'a NodeId) -> Answer<'a, NodeTags> {
        self.answer("tags_of", node.as_str(), |_| Some(NodeTags::new()))
    }

    fn add_tags<'a>(&'a self, _: &'a NodeId, _: &'a [(TagKey, TagValue)]) -> Answer<'a, ()> {
        unreachable!("who reads windows writes nothing")
    }

    fn remove_tags<'a>(&'a self, _: &'a NodeId, _: &'a [TagKey]) -> Answer<'a, ()> {
        unreachable!("who reads windows writes nothing")
    }

    fn create_activation<'a>(&'a self, _: &'a ActivationRequest) -> Answer<'a, NewActivation> {
        unreachable!("who reads windows writes nothing")
    }

    fn delete_activation<'a>(&'a self, _: &'a ActivationId) -> Answer<'a, ()> {
        unreachable!("who reads windows writes nothing")
    }

    fn deregister<'a>(&'a self, _: &'a NodeId) -> Answer<'a, ()> {
        unreachable!("who reads windows writes nothing")
    }

    fn windows(&self, next: Option<String>) -> Answer<'_, Page<WindowIdentity>> {
        let now = self.clock.now();
        self.answer("windows", "", |state| {
            let told = state.windows.values().map(|window| WindowIdentity {
                next: window.coming(now).next().map(|opening| opening.to_string().into()),
                ..window.identity.clone()
            });
            Some(page(told, next))
        })
    }

    fn window_schedule<'a>(&'a self, window: &'a WindowId) -> Answer<'a, Vec<Timestamp>> {
        let now = self.clock.now();
        self.answer("window_schedule", window.as_str(), |state| {
            Some(state.windows.get(window)?.coming(now).take(COMING).collect())
        })
    }

    fn window_targets<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTarget>> {
        self.answer("window_targets", window.as_str(), |state| {
            Some(page(state.windows.get(window)?.targets.iter().cloned(), next))
        })
    }

    fn window_tasks<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTask>> {
        self.answer("window_tasks", window.as_str(), |state| {
            let tasks = state.windows.get(window)?.tasks.iter().cloned();
            Some(page(tasks.map(|task| WindowTask { parameters: None, ..task }), next))
        })
    }

    fn window_task<'a>(&'a self, window: &'a WindowId, task: &'a WindowTaskId) -> Answer<'a, TaskParameters> {
        self.answer("window_task", task.as_str(), |state| {
            let found = state.windows.get(window)?.tasks.iter().find(|known| known.id == *task)?;
            Some(found.parameters.clone().unwrap_or_default())
        })
    }

    fn window_executions<'a>(
        &'a self,
        window: &'a WindowId,
        after: Timestamp,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowExecution>> {
        self.answer("window_executions", window.as_str(), |state| {
            let all = state.windows.get(window)?.executions.iter().map(|(told, _)| told.clone());
            Some(page(all.filter(|told| told.started.is_none_or(|started| started > after)), next))
        })
    }

    fn execution_tasks<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<ExecutionTask>> {
        self.answer("execution_tasks", execution.as_str(), |state| {
            Some(page(state.tasks_of(execution)?.iter().map(|(task, _)| task.clone()), next))
        })
    }

    fn execution_invocations<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        task: &'a TaskExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<Invocation>> {
        self.answer("execution_invocations", task.as_str(), |state| {
            let (_, invocations) = state.tasks_of(execution)?.iter().find(|(known, _)| known.id == *task)?;
            Some(page(invocations.iter().cloned(), next))
        })
    }

    fn patch_states<'a>(
        &'a self,
        nodes: &'a [NodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(NodeId, PatchState)>> {
        assert!(nodes.len() <= super::PATCH_STATES_AT_ONCE, "more than AWS takes");
        self.answer("patch_states", "", |state| {
            let found =
                nodes.iter().filter_map(|node| Some((node.clone(), state.patch_states.get(node)?.clone())));
            Some(page(found, next))
        })
    }
}

impl Groups for FakeWindows {
    fn nodes_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<NodeId>> {
        self.answer("nodes_of", group, |state| Some(page(state.groups.get(group)?.iter().cloned(), next)))
    }

    fn instances_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<ManagedNodeId>> {
        self.answer("instances_of", group, |state| {
            // A group without any instance is a group all the same.
            state.groups.get(group)?;
            Some(page(state.instance_groups.get(group).into_iter().flatten().cloned(), next))
        })
    }
}

impl Tagging for FakeWindows {
    fn node_tags(&self, _: Option<String>) -> Answer<'_, Page<(NodeId, NodeTags)>> {
        self.answer("node_tags", "", |_| Some(page(std::iter::empty(), None)))
    }

    fn instance_tags(&self, next: Option<String>) -> Answer<'_, Page<(ManagedNodeId, NodeTags)>> {
        self.answer("instance_tags", "", |state| {
            let tags = state.instance_tags.iter().map(|(id, tags)| (id.clone(), tags.clone()));
            Some(page(tags, next))
        })
    }
}

impl Sts for FakeWindows {
    fn identity(&self) -> Answer<'_, Identity> {
        let (account, arn) = ("111122223333".to_owned(), "arn".to_owned());
        self.answer("identity", "", |_| Some(Identity { account, arn }))
    }
}

impl FakeWindow {
    fn coming(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let enabled = self.identity.enabled;
        self.openings.iter().copied().filter(move |opening| enabled && *opening > now)
    }
}

impl State {
    fn tasks_of(&self, execution: &WindowExecutionId) -> Option<&[(ExecutionTask, Vec<Invocation>)]> {
        let mut all = self.windows.values().flat_map(|window| &window.executions);
        all.find(|(told, _)| told.id == *execution).map(|(_, tasks)| &**tasks)
    }
}

fn page<T>(all: impl Iterator<Item = T>, next: Option<String>) -> Page<T> {
    let start: usize = next.map_or(0, |next| next.parse().unwrap());
    let mut items: Vec<T> = all.skip(start).take(PAGE + 1).collect();
    let more = items.len() > PAGE;
    items.truncate(PAGE);
    Page { items, next: more.then(|| (start + PAGE).to_string()) }
}
