//! An AWS of a test: late in what it shows, unreliable in what it answers, and exact in what it counts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use mappings::tags::{TagKey, TagValue};

use crate::aws::fake::FakeWindows;
use crate::aws::{
    Activation, ActivationId, ActivationRequest, Answer, AwsError, AwsErrorKind, ExecutionTask, Groups,
    Identity, Invocation, ManagedNodeId, NewActivation, Node, NodeId, NodeTags, Page, PatchState, Ping,
    Platform, Ssm, Sts, Tagging, TaskExecutionId, TaskParameters, WindowExecution, WindowExecutionId,
    WindowId, WindowIdentity, WindowTarget, WindowTask, WindowTaskId,
};
use crate::clock::Clock;
use crate::fleet::testing::TestVm;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Throttled,
    Denied,
    NotSent,
    /// It is done, and the answer is lost.
    LostAfter,
    /// It is not done, and the answer is lost.
    LostBefore,
    /// It is done after a moment in which the program can be killed.
    Slow,
}

pub(super) const FAULTS: [Fault; 6] =
    [Fault::Throttled, Fault::Denied, Fault::NotSent, Fault::LostAfter, Fault::LostBefore, Fault::Slow];

/// A change that took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effect {
    pub node: NodeId,
    pub added: BTreeMap<String, String>,
    pub removed: Vec<String>,
}

impl Effect {
    fn apply(&self, tags: &mut NodeTags) {
        for (key, value) in &self.added {
            tags.insert(key.as_str().into(), value.as_str().into());
        }
        for key in &self.removed {
            tags.remove(key.as_str());
        }
    }
}

/// Something that happened to a node's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Happened {
    pub time: Timestamp,
    /// Somebody else did it.
    pub by_hand: bool,
    /// It was not so before.
    pub changed: bool,
    pub effect: Effect,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<NodeId, Node>,
    tags: BTreeMap<NodeId, NodeTags>,
    /// The tags as they were before each change, with when it was.
    history: Vec<(Timestamp, NodeId, NodeTags)>,
    happened: Vec<Happened>,
    /// Activations with their codes and what they were made with.
    activations: BTreeMap<ActivationId, (String, ActivationRequest)>,
    /// Activations that were used up.
    used: Vec<ActivationId>,
    made: u32,
    faults: VecDeque<Fault>,
    calls: BTreeMap<&'static str, usize>,
}

/// Clones share it.
#[derive(Clone)]
pub(super) struct FakeAws {
    state: Arc<Mutex<State>>,
    clock: Clock,
    /// Reads show what was written so long ago.
    lag: jiff::SignedDuration,
    /// Its maintenance windows.
    pub windows: FakeWindows,
}

fn node_id(number: u32) -> NodeId {
    NodeId::from(format!("mi-{number:017x}"))
}

impl FakeAws {
    pub(super) fn new(clock: Clock, lag_seconds: i64) -> Self {
        Self {
            state: Arc::default(),
            clock,
            lag: jiff::SignedDuration::from_secs(lag_seconds),
            windows: FakeWindows::new(clock),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn register(&self, vm: &TestVm) -> NodeId {
        self.register_as(vm, node_id(vm.number))
    }

    fn register_as(&self, vm: &TestVm, id: NodeId) -> NodeId {
        let node = Node {
            id: id.clone(),
            computer_name: Some(vm.name.as_str().into()),
            ip_address: vm.address.parse().ok(),
            platform: Some(Platform::Linux),
            agent_version: None,
            ping: Ping::Online,
            last_ping: None,
            activation: None,
            registered: None,
        };
        self.lock().nodes.insert(id.clone(), node);
        id
    }

    /// The agent of a VM registers.
    pub(super) fn register_with(&self, vm: &TestVm, activation: &str, code: &str) -> Option<NodeId> {
        let activation = ActivationId::from(activation);
        let (tags, again) = {
            let mut state = self.lock();
            let (known, wanted) = state.activations.get(&activation)?;
            if known != code || state.used.contains(&activation) {
                return None;
            }
            let tags = wanted.tags.clone();
            state.used.push(activation.clone());
            (tags, state.nodes.contains_key(&node_id(vm.number)))
        };
        // Every registration makes a node of its own.
        let id = self.register_as(vm, node_id(if again { vm.number + 1000 } else { vm.number }));
        let mut state = self.lock();
        state.nodes.get_mut(&id)?.activation = Some(activation);
        let tags = tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into()));
        state.tags.insert(id.clone(), tags.collect());
        Some(id)
    }

    /// The activations that there are.
    pub(super) fn activations(&self) -> Vec<ActivationId> {
        self.lock().activations.keys().cloned().collect()
    }

    /// How many agents registered, ever.
    pub(super) fn registrations(&self) -> usize {
        self.lock().used.len()
    }

    /// How many activations were made, ever.
    pub(super) fn made(&self) -> u32 {
        self.lock().made
    }

    /// The agent of a node reports, or does not.
    pub(super) fn set_ping(&self, node: &NodeId, ping: Ping) {
        if let Some(node) = self.lock().nodes.get_mut(node) {
            node.ping = ping;
        }
    }

    /// When the agent of a node last reported.
    pub(super) fn set_last_ping(&self, node: &NodeId, last: Timestamp) {
        if let Some(node) = self.lock().nodes.get_mut(node) {
            node.last_ping = Some(last);
        }
    }

    /// The agent of a node is of this version.
    pub(super) fn set_version(&self, node: &NodeId, version: &str) {
        if let Some(node) = self.lock().nodes.get_mut(node) {
            node.agent_version = Some(version.into());
        }
    }

    /// A node is gone.
    pub(super) fn forget(&self, node: &NodeId) {
        self.lock().nodes.remove(node);
    }

    /// The guest of a node has another name.
    pub(super) fn rename(&self, node: &NodeId, name: &str) {
        if let Some(node) = self.lock().nodes.get_mut(node) {
            node.computer_name = Some(name.into());
        }
    }

    /// The ids of all nodes.
    pub(super) fn node_ids(&self) -> Vec<NodeId> {
        self.lock().nodes.keys().cloned().collect()
    }

    /// Goes wrong as the next fault says. Whether what was asked for takes place, and what is answered.
    fn fate(&self, name: &'static str) -> (bool, Result<(), AwsError>) {
        let fault = {
            let mut state = self.lock();
            *state.calls.entry(name).or_default() += 1;
            state.faults.pop_front()
        };
        let error = |kind| {
            Err(AwsError { operation: name, object: None, kind, detail: "a fault of the test".to_owned() })
        };
        match fault {
            Some(Fault::Throttled) => (false, error(AwsErrorKind::Throttled)),
            Some(Fault::Denied) => (false, error(AwsErrorKind::Denied)),
            Some(Fault::NotSent) => (false, error(AwsErrorKind::NotSent)),
            Some(Fault::LostBefore) => (false, error(AwsErrorKind::Lost)),
            Some(Fault::LostAfter) => (true, error(AwsErrorKind::Lost)),
            Some(Fault::Slow) | None => (true, Ok(())),
        }
    }

    /// Somebody else writes a tag.
    pub(super) fn set_by_hand(&self, number: u32, key: &str, value: Option<&str>) {
        let added = value.map(|value| (key.to_owned(), value.to_owned())).into_iter().collect();
        let removed = if value.is_none() { vec![key.to_owned()] } else { Vec::new() };
        self.happen(Effect { node: node_id(number), added, removed }, true);
    }

    fn happen(&self, effect: Effect, by_hand: bool) {
        let time = self.clock.now();
        let mut state = self.lock();
        let before = state.tags.get(&effect.node).cloned().unwrap_or_default();
        let tags = state.tags.entry(effect.node.clone()).or_default();
        effect.apply(tags);
        assert!(tags.len() <= 50, "more than 50 tags");
        let changed = *tags != before;
        state.history.push((time, effect.node.clone(), before));
        state.happened.push(Happened { time, by_hand, changed, effect });
    }

    pub(super) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    pub(super) fn heal(&self) {
        self.lock().faults.clear();
    }

    /// What we did.
    pub(super) fn effects(&self) -> Vec<Effect> {
        self.happened()
            .into_iter()
            .filter(|happened| !happened.by_hand)
            .map(|happened| happened.effect)
            .collect()
    }

    /// What we and others did.
    pub(super) fn happened(&self) -> Vec<Happened> {
        self.lock().happened.clone()
    }

    pub(super) fn calls(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut self.lock().calls)
    }

    /// The tags of a node, without our mark.
    pub(super) fn tags(&self, number: u32) -> BTreeMap<String, String> {
        let state = self.lock();
        let tags = state.tags.get(&node_id(number)).cloned().unwrap_or_default();
        tags.iter()
            .filter(|(key, _)| ***key != *crate::plan::tags::MARK)
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    /// What a reading shows now: what was changed lately is as it was before.
    fn shown(&self, state: &State, id: &NodeId) -> NodeTags {
        let horizon = self.clock.now() - self.lag;
        let first_hidden = state.history.iter().find(|(time, node, _)| node == id && *time > horizon);
        first_hidden
            .map_or_else(|| state.tags.get(id).cloned().unwrap_or_default(), |(_, _, before)| before.clone())
    }

    async fn change(&self, name: &'static str, effect: Effect) -> Result<(), AwsError> {
        let id = effect.node.clone();
        let fault = {
            let mut state = self.lock();
            *state.calls.entry(name).or_default() += 1;
            state.faults.pop_front()
        };
        let error = |kind| {
            let object = Some(id.to_string());
            AwsError { operation: name, object, kind, detail: "a fault of the test".to_owned() }
        };
        if !self.lock().nodes.contains_key(&id) {
            return Err(error(AwsErrorKind::NotFound));
        }
        let moment = std::time::Duration::from_secs(3);
        match fault {
            Some(Fault::Throttled) => Err(error(AwsErrorKind::Throttled)),
            Some(Fault::Denied) => Err(error(AwsErrorKind::Denied)),
            Some(Fault::NotSent) => Err(error(AwsErrorKind::NotSent)),
            Some(Fault::LostBefore) => Err(error(AwsErrorKind::Lost)),
            Some(Fault::LostAfter) => {
                self.happen(effect, false);
                Err(error(AwsErrorKind::Lost))
            }
            Some(Fault::Slow) => {
                let aws = self.clone();
                // What is under way takes place even if who asked for it is killed meanwhile.
                let under_way = tokio::spawn(async move {
                    tokio::time::sleep(moment).await;
                    aws.happen(effect, false);
                });
                let _ = under_way.await;
                tokio::time::sleep(moment).await;
                Ok(())
            }
            None => {
                self.happen(effect, false);
                Ok(())
            }
        }
    }
}

fn one_page<T>(items: Vec<T>) -> Page<T> {
    Page { items, next: None }
}

impl Ssm for FakeAws {
    fn nodes(&self, _: Option<String>) -> Answer<'_, Page<Node>> {
        let mut state = self.lock();
        *state.calls.entry("nodes").or_default() += 1;
        let page = one_page(state.nodes.values().cloned().collect());
        Box::pin(async { Ok(page) })
    }

    fn activations(&self, _: Option<String>) -> Answer<'_, Page<Activation>> {
        let mut state = self.lock();
        *state.calls.entry("activations").or_default() += 1;
        let found = state.activations.iter().map(|(id, (_, wanted))| Activation {
            id: id.clone(),
            description: Some(wanted.description.as_str().into()),
            limit: 1,
        });
        let page = one_page(found.collect());
        Box::pin(async { Ok(page) })
    }

    fn tags_of<'a>(&'a self, node: &'a NodeId) -> Answer<'a, NodeTags> {
        let mut state = self.lock();
        *state.calls.entry("tags_of").or_default() += 1;
        let known = state.nodes.contains_key(node);
        let tags = self.shown(&state, node);
        Box::pin(async move {
            if known {
                return Ok(tags);
            }
            let object = Some(node.to_string());
            Err(AwsError {
                operation: "tags_of",
                object,
                kind: AwsErrorKind::NotFound,
                detail: String::new(),
            })
        })
    }

    fn add_tags<'a>(&'a self, node: &'a NodeId, tags: &'a [(TagKey, TagValue)]) -> Answer<'a, ()> {
        let added = tags.iter().map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned()));
        let effect = Effect { node: node.clone(), added: added.collect(), removed: Vec::new() };
        Box::pin(self.change("add_tags", effect))
    }

    fn remove_tags<'a>(&'a self, node: &'a NodeId, keys: &'a [TagKey]) -> Answer<'a, ()> {
        let removed = keys.iter().map(|key| key.as_str().to_owned()).collect();
        let effect = Effect { node: node.clone(), added: BTreeMap::new(), removed };
        Box::pin(self.change("remove_tags", effect))
    }

    fn create_activation<'a>(&'a self, wanted: &'a ActivationRequest) -> Answer<'a, NewActivation> {
        let (takes_place, answer) = self.fate("create_activation");
        let mut state = self.lock();
        state.made += u32::from(takes_place);
        let id = ActivationId::from(format!("activation-{}", state.made));
        let code = format!("code-{}", state.made);
        if takes_place {
            state.activations.insert(id.clone(), (code.clone(), wanted.clone()));
        }
        Box::pin(async move { answer.map(|()| NewActivation { id, code: code.into() }) })
    }

    fn delete_activation<'a>(&'a self, activation: &'a ActivationId) -> Answer<'a, ()> {
        let (takes_place, answer) = self.fate("delete_activation");
        if takes_place {
            self.lock().activations.remove(activation);
        }
        Box::pin(async move { answer })
    }

    fn deregister<'a>(&'a self, node: &'a NodeId) -> Answer<'a, ()> {
        let (takes_place, answer) = self.fate("deregister");
        if takes_place {
            self.lock().nodes.remove(node);
        }
        Box::pin(async move { answer })
    }

    fn windows(&self, next: Option<String>) -> Answer<'_, Page<WindowIdentity>> {
        self.windows.windows(next)
    }

    fn window_schedule<'a>(&'a self, window: &'a WindowId) -> Answer<'a, Vec<Timestamp>> {
        self.windows.window_schedule(window)
    }

    fn window_targets<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTarget>> {
        self.windows.window_targets(window, next)
    }

    fn window_tasks<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTask>> {
        self.windows.window_tasks(window, next)
    }

    fn window_task<'a>(&'a self, window: &'a WindowId, task: &'a WindowTaskId) -> Answer<'a, TaskParameters> {
        self.windows.window_task(window, task)
    }

    fn window_executions<'a>(
        &'a self,
        window: &'a WindowId,
        after: Timestamp,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowExecution>> {
        self.windows.window_executions(window, after, next)
    }

    fn execution_tasks<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<ExecutionTask>> {
        self.windows.execution_tasks(execution, next)
    }

    fn execution_invocations<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        task: &'a TaskExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<Invocation>> {
        self.windows.execution_invocations(execution, task, next)
    }

    fn patch_states<'a>(
        &'a self,
        nodes: &'a [NodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(NodeId, PatchState)>> {
        self.windows.patch_states(nodes, next)
    }
}

impl Groups for FakeAws {
    fn nodes_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<NodeId>> {
        self.windows.nodes_of(group, next)
    }

    fn instances_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<ManagedNodeId>> {
        self.windows.instances_of(group, next)
    }
}

impl Tagging for FakeAws {
    fn instance_tags(&self, next: Option<String>) -> Answer<'_, Page<(ManagedNodeId, NodeTags)>> {
        self.windows.instance_tags(next)
    }

    fn node_tags(&self, _: Option<String>) -> Answer<'_, Page<(NodeId, NodeTags)>> {
        let mut state = self.lock();
        *state.calls.entry("node_tags").or_default() += 1;
        let listed = state.tags.keys().map(|id| (id.clone(), self.shown(&state, id)));
        let page = one_page(listed.collect());
        Box::pin(async { Ok(page) })
    }
}

impl Sts for FakeAws {
    fn identity(&self) -> Answer<'_, Identity> {
        Box::pin(async { Ok(Identity { account: "111122223333".to_owned(), arn: "arn".to_owned() }) })
    }
}
