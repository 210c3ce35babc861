//! What an hour costs in which nothing changes, in simulated time: the engine and the observer of AWS as they are, on ports
//! that answer in pages as AWS does and count every call. Everything below the ports (HTTP, retry, vCenter) is not part of
//! this; `scripts/bench tags` counts that with the whole program, in real time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use mappings::compliance::List;
use mappings::compliance::table::Patches;
use mappings::findings::Finding;
use mappings::tags::{TagKey, TagValue};
use tokio_util::sync::CancellationToken;
use vmbridge::aws::{
    Activation, ActivationId, ActivationRequest, Aggregation, Answer, ComplianceSummary, Ec2Node,
    ExecutionTask, FindingFilter, FindingKey, FindingOutcome, FindingSeen, FindingUpdate, Groups, HubState,
    Identity, InventoryPut, InventorySeen, Invocation, Lanes, ManagedNodeId, NewActivation, Node, NodeId,
    NodeTags, Page, PatchState, Place, Reports, SecurityHub, Services, Ssm, Sts, Tagging, TargetName,
    TaskExecutionId, TaskParameters, WindowExecution, WindowExecutionId, WindowId, WindowIdentity,
    WindowTarget, WindowTask, WindowTaskId,
};
use vmbridge::clock::Clock;
use vmbridge::cloud::{SharedCloud, TargetView};
use vmbridge::config::Environment;
use vmbridge::engine::{Arm, Engine, GuestHands, GuestSettings, RealHands, VsphereHands};
use vmbridge::fleet::FleetUpdate;
use vmbridge::observe::aws::Watcher;
use vmbridge::plan::Policy;
use vmbridge::secret::SecretResolver;
use vmbridge::store::Store;

use crate::world::World;

/// An AWS that answers in pages, at once, whose agents report all the time.
#[derive(Clone)]
struct Aws(Arc<Mutex<State>>, Clock);

struct State {
    view: TargetView,
    calls: BTreeMap<&'static str, usize>,
}

impl Aws {
    fn with<T>(&self, operation: &'static str, answer: impl FnOnce(&mut TargetView) -> T) -> T {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state.calls.entry(operation).or_default() += 1;
        answer(&mut state.view)
    }

    fn empty<'a, T: Send + 'a>(&self, operation: &'static str, next: Option<String>) -> Answer<'a, Page<T>> {
        self.with(operation, |_| Box::pin(async move { Ok(page(std::iter::empty(), next.as_deref(), 1)) }))
    }

    fn calls(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).calls)
    }
}

fn page<T>(all: impl Iterator<Item = T>, next: Option<&str>, size: usize) -> Page<T> {
    let start: usize = next.and_then(|next| next.parse().ok()).unwrap_or(0);
    let mut items: Vec<T> = all.skip(start).take(size + 1).collect();
    let more = items.len() > size;
    items.truncate(size);
    Page { items, next: more.then(|| (start + size).to_string()) }
}

/// Nobody reports anything in these hours: what is written is counted, and what is read is empty.
impl Reports for Aws {
    fn put_inventory<'a>(&'a self, _: &'a NodeId, _: &'a [InventoryPut<'a>]) -> Answer<'a, ()> {
        self.with("put_inventory", |_| Box::pin(async { Ok(()) }))
    }

    fn put_compliance<'a>(&'a self, _: &'a NodeId, _: &'a List, _: Timestamp) -> Answer<'a, ()> {
        self.with("put_compliance", |_| Box::pin(async { Ok(()) }))
    }

    fn ec2_nodes(&self, next: Option<String>) -> Answer<'_, Page<Ec2Node>> {
        self.empty("ec2_nodes", next)
    }

    fn compliance(&self, next: Option<String>) -> Answer<'_, Page<ComplianceSummary>> {
        self.empty("compliance", next)
    }

    fn patches<'a>(
        &'a self,
        _: &'a [ManagedNodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(ManagedNodeId, Patches)>> {
        self.empty("patches", next)
    }

    fn inventory<'a>(&'a self, _: &'a str, next: Option<String>) -> Answer<'a, Page<InventorySeen>> {
        self.empty("inventory", next)
    }

    fn inventory_of<'a>(&'a self, _: &'a NodeId, _: &'a str) -> Answer<'a, Option<InventorySeen>> {
        self.with("inventory_of", |_| Box::pin(async { Ok(None) }))
    }

    fn compliance_run<'a>(&'a self, _: &'a NodeId, _: &'a str) -> Answer<'a, Option<String>> {
        self.with("compliance_run", |_| Box::pin(async { Ok(None) }))
    }
}

impl SecurityHub for Aws {
    fn in_region(&self, _: &str) -> Self {
        self.clone()
    }

    fn hub(&self) -> Answer<'_, HubState> {
        self.with("hub", |_| Box::pin(async { Ok(HubState::Enabled) }))
    }

    fn aggregation(&self) -> Answer<'_, Option<Aggregation>> {
        self.with("aggregation", |_| Box::pin(async { Ok(None) }))
    }

    fn import<'a>(&'a self, findings: &'a [Finding]) -> Answer<'a, Vec<FindingOutcome>> {
        self.with("import", |_| Box::pin(async { Ok(vec![Ok(()); findings.len()]) }))
    }

    fn update<'a>(
        &'a self,
        findings: &'a [FindingKey],
        _: &'a FindingUpdate,
    ) -> Answer<'a, Vec<FindingOutcome>> {
        self.with("update", |_| Box::pin(async { Ok(vec![Ok(()); findings.len()]) }))
    }

    fn findings<'a>(&'a self, _: &'a FindingFilter, next: Option<String>) -> Answer<'a, Page<FindingSeen>> {
        self.empty("findings", next)
    }
}

impl Ssm for Aws {
    fn nodes(&self, next: Option<String>) -> Answer<'_, Page<Node>> {
        let now = Some(self.1.now());
        let page = self.with("ssm:DescribeInstanceInformation", |view| {
            page(
                view.nodes.values().map(|node| Node { last_ping: now, ..Node::clone(node) }),
                next.as_deref(),
                50,
            )
        });
        Box::pin(async { Ok(page) })
    }

    fn activations(&self, next: Option<String>) -> Answer<'_, Page<Activation>> {
        let page = self.with("ssm:DescribeActivations", |view| {
            let sorted: BTreeMap<_, _> = view.activations.iter().map(|(id, it)| (id.as_str(), it)).collect();
            page(sorted.into_values().map(|it| Activation::clone(it)), next.as_deref(), 50)
        });
        Box::pin(async { Ok(page) })
    }

    fn tags_of<'a>(&'a self, node: &'a NodeId) -> Answer<'a, NodeTags> {
        let tags = self.with("ssm:ListTagsForResource", |view| {
            view.tags.get(node).map(|tags| NodeTags::clone(tags)).unwrap_or_default()
        });
        Box::pin(async { Ok(tags) })
    }

    fn add_tags<'a>(&'a self, node: &'a NodeId, tags: &'a [(TagKey, TagValue)]) -> Answer<'a, ()> {
        self.with("ssm:AddTagsToResource", |view| {
            let held = Arc::make_mut(view.tags.entry(node.clone()).or_default());
            held.extend(tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())));
        });
        Box::pin(async { Ok(()) })
    }

    fn remove_tags<'a>(&'a self, node: &'a NodeId, keys: &'a [TagKey]) -> Answer<'a, ()> {
        self.with("ssm:RemoveTagsFromResource", |view| {
            let held = Arc::make_mut(view.tags.entry(node.clone()).or_default());
            keys.iter().for_each(|key| drop(held.remove(key.as_str())));
        });
        Box::pin(async { Ok(()) })
    }

    fn create_activation<'a>(&'a self, _: &'a ActivationRequest) -> Answer<'a, NewActivation> {
        unreachable!("nothing is enrolled")
    }

    fn delete_activation<'a>(&'a self, _: &'a ActivationId) -> Answer<'a, ()> {
        unreachable!("nothing is enrolled")
    }

    fn deregister<'a>(&'a self, _: &'a NodeId) -> Answer<'a, ()> {
        unreachable!("nothing is enrolled")
    }

    fn windows(&self, _: Option<String>) -> Answer<'_, Page<WindowIdentity>> {
        unreachable!("nobody needs windows")
    }

    fn window_schedule<'a>(&'a self, _: &'a WindowId) -> Answer<'a, Vec<Timestamp>> {
        unreachable!("nobody needs windows")
    }

    fn window_targets<'a>(&'a self, _: &'a WindowId, _: Option<String>) -> Answer<'a, Page<WindowTarget>> {
        unreachable!("nobody needs windows")
    }

    fn window_tasks<'a>(&'a self, _: &'a WindowId, _: Option<String>) -> Answer<'a, Page<WindowTask>> {
        unreachable!("nobody needs windows")
    }

    fn window_task<'a>(&'a self, _: &'a WindowId, _: &'a WindowTaskId) -> Answer<'a, TaskParameters> {
        unreachable!("nobody needs windows")
    }

    fn window_executions<'a>(
        &'a self,
        _: &'a WindowId,
        _: Timestamp,
        _: Option<String>,
    ) -> Answer<'a, Page<WindowExecution>> {
        unreachable!("nobody needs windows")
    }

    fn execution_tasks<'a>(
        &'a self,
        _: &'a WindowExecutionId,
        _: Option<String>,
    ) -> Answer<'a, Page<ExecutionTask>> {
        unreachable!("nobody needs windows")
    }

    fn execution_invocations<'a>(
        &'a self,
        _: &'a WindowExecutionId,
        _: &'a TaskExecutionId,
        _: Option<String>,
    ) -> Answer<'a, Page<Invocation>> {
        unreachable!("nobody needs windows")
    }

    fn patch_states<'a>(
        &'a self,
        _: &'a [NodeId],
        _: Option<String>,
    ) -> Answer<'a, Page<(NodeId, PatchState)>> {
        unreachable!("nobody needs windows")
    }
}

impl Groups for Aws {
    fn nodes_of<'a>(&'a self, _: &'a str, _: Option<String>) -> Answer<'a, Page<NodeId>> {
        unreachable!("nobody needs windows")
    }
}

impl Tagging for Aws {
    fn node_tags(&self, next: Option<String>) -> Answer<'_, Page<(NodeId, NodeTags)>> {
        let page = self.with("tag:GetResources", |view| {
            let sorted: BTreeMap<_, _> = view.tags.iter().collect();
            page(
                sorted.into_iter().map(|(id, tags)| (id.clone(), NodeTags::clone(tags))),
                next.as_deref(),
                100,
            )
        });
        Box::pin(async { Ok(page) })
    }
}

impl Sts for Aws {
    fn identity(&self) -> Answer<'_, Identity> {
        let account = self
            .with("sts:GetCallerIdentity", |view| view.place.as_ref().map_or("", Place::account).to_owned());
        Box::pin(async { Ok(Identity { account, arn: "arn".to_owned() }) })
    }
}

/// The calls of an hour, after everything was written and two quiet hours have passed.
pub(crate) fn hour() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let world = World::new("all");
        let clock = Clock::starting(world.now);
        let aws =
            Aws(Arc::new(Mutex::new(State { view: world.view.clone(), calls: BTreeMap::new() })), clock);
        let (target, name) = (world.config.aws[0].clone(), TargetName::from("main"));
        let services = Services::behind(
            Lanes::new(name.clone(), target.speed()),
            aws.clone(),
            aws.clone(),
            aws.clone(),
            aws.clone(),
            aws.clone(),
            aws.clone(),
        );
        let (cloud, nudge) = (SharedCloud::new(), Arc::default());
        let arm = Arm { services: services.clone(), nudge: Arc::clone(&nudge), settle: target.settle };
        let vsphere = VsphereHands::new(world.fleet.clone(), &world.config.writeback);
        let secrets = SecretResolver::new(Environment::default());
        let guests = GuestHands::new(Arc::new(vsphere.clone()), GuestSettings::of(&world.config), secrets);
        let hands = RealHands::new(cloud.clone(), vsphere, guests);
        hands.set_arms(BTreeMap::from([(name, arm)]));
        let directory = tempfile::tempdir().expect("a folder");
        let store = Store::open(directory.path()).await.expect("a store");
        let policy = Policy::of(&world.config);
        let (fleet, hands) = (world.fleet.clone(), Arc::new(hands));
        let engine = Engine::new(fleet, cloud.clone(), store, hands, policy, clock).await.expect("an engine");
        let watcher = Watcher { target, services, cloud, nudge, clock, windows: None, hub: None };

        // What there is to write is written first. No timer runs meanwhile: simulated time would leap ahead whenever the
        // store works.
        while watcher.read_once().await {}
        assert!(engine.settle(Duration::from_secs(3600)).await, "everything is written");

        let stop = CancellationToken::new();
        let (work, ended) = (engine.clone(), stop.clone());
        let working = tokio::spawn(async move { work.run(ended).await });
        let watching = tokio::spawn(watcher.follow(stop.clone()));
        // The vCenter says again and again that nothing has changed.
        let (fleet, vcenter) = (world.fleet.clone(), world.vcenter.clone());
        let telling = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(30)).await;
                fleet.apply(&vcenter, FleetUpdate::Current, clock.now());
            }
        });
        tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        let (_, cycles) = (aws.calls(), engine.progress().borrow().cycles);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let (calls, plans) = (aws.calls(), engine.progress().borrow().cycles - cycles);
        telling.abort();
        stop.cancel();
        let _ = tokio::join!(working, watching);
        let calls: Vec<String> =
            calls.iter().map(|(operation, count)| format!(r#""{operation}": {count}"#)).collect();
        format!(r#"{{"plans": {plans}, "calls": {{{}}}}}"#, calls.join(", "))
    })
}
