//! What an hour costs in which nothing changes: no write, and few reads, all of them in bulk.

use std::sync::Mutex;

use mappings::tags::{TagKey, TagValue};

use super::*;
use crate::aws::fake_reports::FakeReports;
use crate::aws::{
    Activation, ActivationId, ActivationRequest, Answer, AwsError, ExecutionTask, Groups, Identity,
    Invocation, ManagedNodeId, NewActivation, Node, NodeTags, Page, PatchState, Ping, Ssm, Sts, Tagging,
    TaskExecutionId, TaskParameters, WindowExecution, WindowExecutionId, WindowId, WindowIdentity,
    WindowTarget, WindowTask, WindowTaskId,
};
use crate::fleet::FleetUpdate;

/// An AWS that answers in pages as the real one does, counts every one of them, and whose agents report all the time.
#[derive(Clone)]
struct Paged {
    inner: FakeAws,
    clock: Clock,
    calls: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Paged {
    fn count(&self, operation: &'static str) {
        *self.calls.lock().unwrap().entry(operation).or_default() += 1;
    }

    fn calls(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

fn page_of<T>(all: Result<Page<T>, AwsError>, next: Option<&str>, size: usize) -> Result<Page<T>, AwsError> {
    let all = all?.items;
    let start: usize = next.map_or(0, |next| next.parse().unwrap());
    let more = start + size < all.len();
    let items = all.into_iter().skip(start).take(size).collect();
    Ok(Page { items, next: more.then(|| (start + size).to_string()) })
}

impl Ssm for Paged {
    fn nodes(&self, next: Option<String>) -> Answer<'_, Page<Node>> {
        self.count("nodes");
        Box::pin(async move {
            let mut page = page_of(self.inner.nodes(None).await, next.as_deref(), 50)?;
            let now = self.clock.now();
            for node in &mut page.items {
                node.last_ping = Some(now);
                // Every time, others are out of reach.
                let gone = (node.id.as_str().len() as i64 + now.as_second()) % 7 == 0;
                node.ping = if gone { Ping::ConnectionLost } else { Ping::Online };
            }
            Ok(page)
        })
    }

    fn activations(&self, next: Option<String>) -> Answer<'_, Page<Activation>> {
        self.count("activations");
        Ssm::activations(&self.inner, next)
    }

    fn tags_of<'a>(&'a self, node: &'a NodeId) -> Answer<'a, NodeTags> {
        self.count("tags_of");
        self.inner.tags_of(node)
    }

    fn add_tags<'a>(&'a self, node: &'a NodeId, tags: &'a [(TagKey, TagValue)]) -> Answer<'a, ()> {
        self.count("add_tags");
        self.inner.add_tags(node, tags)
    }

    fn remove_tags<'a>(&'a self, node: &'a NodeId, keys: &'a [TagKey]) -> Answer<'a, ()> {
        self.count("remove_tags");
        self.inner.remove_tags(node, keys)
    }

    fn create_activation<'a>(&'a self, wanted: &'a ActivationRequest) -> Answer<'a, NewActivation> {
        self.count("create_activation");
        self.inner.create_activation(wanted)
    }

    fn delete_activation<'a>(&'a self, activation: &'a ActivationId) -> Answer<'a, ()> {
        self.count("delete_activation");
        self.inner.delete_activation(activation)
    }

    fn deregister<'a>(&'a self, node: &'a NodeId) -> Answer<'a, ()> {
        self.count("deregister");
        self.inner.deregister(node)
    }

    fn windows(&self, next: Option<String>) -> Answer<'_, Page<WindowIdentity>> {
        self.count("windows");
        Ssm::windows(&self.inner, next)
    }

    fn window_schedule<'a>(&'a self, window: &'a WindowId) -> Answer<'a, Vec<Timestamp>> {
        self.count("window_schedule");
        Ssm::window_schedule(&self.inner, window)
    }

    fn window_targets<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTarget>> {
        self.count("window_targets");
        Ssm::window_targets(&self.inner, window, next)
    }

    fn window_tasks<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTask>> {
        self.count("window_tasks");
        Ssm::window_tasks(&self.inner, window, next)
    }

    fn window_task<'a>(&'a self, window: &'a WindowId, task: &'a WindowTaskId) -> Answer<'a, TaskParameters> {
        self.count("window_task");
        Ssm::window_task(&self.inner, window, task)
    }

    fn window_executions<'a>(
        &'a self,
        window: &'a WindowId,
        after: Timestamp,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowExecution>> {
        self.count("window_executions");
        Ssm::window_executions(&self.inner, window, after, next)
    }

    fn execution_tasks<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<ExecutionTask>> {
        self.count("execution_tasks");
        Ssm::execution_tasks(&self.inner, execution, next)
    }

    fn execution_invocations<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        task: &'a TaskExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<Invocation>> {
        self.count("execution_invocations");
        Ssm::execution_invocations(&self.inner, execution, task, next)
    }

    fn patch_states<'a>(
        &'a self,
        nodes: &'a [NodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(NodeId, PatchState)>> {
        self.count("patch_states");
        Ssm::patch_states(&self.inner, nodes, next)
    }
}

impl Groups for Paged {
    fn nodes_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<NodeId>> {
        Groups::nodes_of(&self.inner, group, next)
    }

    fn instances_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<ManagedNodeId>> {
        self.count("instances_of");
        Groups::instances_of(&self.inner, group, next)
    }
}

impl Tagging for Paged {
    fn instance_tags(&self, next: Option<String>) -> Answer<'_, Page<(ManagedNodeId, NodeTags)>> {
        self.count("instance_tags");
        Tagging::instance_tags(&self.inner, next)
    }

    fn node_tags(&self, next: Option<String>) -> Answer<'_, Page<(NodeId, NodeTags)>> {
        self.count("node_tags");
        Box::pin(async move { page_of(self.inner.node_tags(None).await, next.as_deref(), 100) })
    }
}

impl Sts for Paged {
    fn identity(&self) -> Answer<'_, Identity> {
        self.count("identity");
        self.inner.identity()
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_changes_costs_six_readings_and_no_write() {
    const NODES: u32 = 201;
    let mut world = World::new(fleet_of(NODES), 0);
    let aws = Paged { inner: world.aws.clone(), clock: world.clock, calls: Arc::default() };
    let lane = LaneLimits { concurrency: 4, rate: 50.0, burst: 50.0 };
    let speed = Speed { reads: lane, writes: lane };
    let reports = FakeReports::default();
    world.services = Services::behind(
        Lanes::new(TargetName::from("main"), speed),
        aws.clone(),
        aws.clone(),
        aws.clone(),
        aws.clone(),
        reports.clone(),
        reports,
    );
    world.observe().await;
    let engine = world.engine().await;
    assert!(engine.settle(Duration::from_secs(600)).await);
    assert_eq!(aws.calls().get("add_tags"), Some(&(NODES as usize)));

    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let watching = tokio::spawn(world.watcher().follow(stop.clone()));
    // What was written just now is read soon, and then ever more rarely.
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let calls = aws.calls();
    assert!(calls["activations"] > 12, "soon at first: {calls:?}");

    let (cycles, effects) = (engine.progress().borrow().cycles, world.aws.effects().len());
    // The vCenter says again and again that nothing has changed.
    for _ in 0..120 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        world.fleet.apply(&world.vcenter.name, FleetUpdate::Current, world.clock.now());
    }
    let calls = aws.calls();
    assert_eq!(world.aws.effects().len(), effects);
    assert!(engine.progress().borrow().cycles > cycles + 100, "it was awake all the time");
    // One reading in ten minutes: 201 nodes are five pages of 50, and their tags three pages of 100.
    assert_eq!(calls, BTreeMap::from([("activations", 6), ("node_tags", 18), ("nodes", 30)]));
    stop.cancel();
    let _ = tokio::join!(working, watching);
}
