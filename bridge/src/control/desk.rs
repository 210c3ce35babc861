//! The desk: where what was asked is answered, and what a person decided is written down.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use mappings::selector::Selector;
use serde::Serialize;
use serde_json::Value;
use vsphere_client::ids::InstanceUuid;

use super::{Asked, Found, PlanQuery, Refusal, Request, documents, find, findings, snapshots, windows};
use crate::aws::{NodeId, Place};
use crate::cloud::SharedCloud;
use crate::engine::{Engine, RealHands};
use crate::explain;
use crate::fleet::{SharedFleet, VmView};
use crate::inventory::Filter;
use crate::plan::{Capability, Plan, PlanDocument, View};
use crate::store::{Basis, Identity, Reader, StoreError, VmId};

/// How long a reading that was asked for may take before what is known has to do.
const READING: Duration = Duration::from_secs(120);
/// How long `sync` works at most.
const WORKING: Duration = Duration::from_secs(3600);

/// Answers requests about one engine.
#[derive(Clone)]
pub struct Desk {
    pub(super) engine: Engine,
    fleet: SharedFleet,
    pub(super) cloud: SharedCloud,
    /// With a daemon's hands, everything can be asked to be read anew.
    pub(super) hands: Option<RealHands>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// A node as a person named it, and where it is.
struct NamedNode {
    place: Place,
    node: NodeId,
}

/// A VM as a person named it.
pub(super) struct NamedVm {
    /// `<vCenter>/<managed object id>`
    name: String,
    pub(super) id: VmId,
    instance: Option<InstanceUuid>,
}

impl NamedNode {
    /// That it is this VM for that reason, or that it is not.
    fn identity(self, vm: &NamedVm, basis: Option<Basis>, since: Timestamp) -> Identity {
        let Self { place, node } = self;
        Identity { place, node, vm: vm.id.clone(), instance: vm.instance, basis, since }
    }
}

impl Desk {
    /// The desk of an engine. With `hands`, observers run and can be asked to read anew.
    #[must_use]
    pub fn new(engine: Engine, fleet: SharedFleet, cloud: SharedCloud, hands: Option<RealHands>) -> Self {
        Self { engine, fleet, cloud, hands }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// When it cannot be done, in words for people.
    pub async fn answer(&self, request: Request) -> Result<Value, Refusal> {
        match request {
            Request::Plan(query) => {
                let filter = filter(&query)?;
                json(&self.engine.look(|view| plan_document(view, &query, &filter)))
            }
            Request::Explain { vm } => self.explain(&vm).await,
            Request::Approve { id } => match self.engine.approve(&id).await? {
                Some(changes) => json(&changes),
                None => Err(Refusal(format!(
                    "nothing is held under {id}; what is held changes with the plan: `vmbridge plan` shows it"
                ))),
            },
            Request::Link { vm, node } => self.link(&vm, &node).await,
            Request::Unlink { node, vm, forget } => self.unlink(&node, vm.as_deref(), forget).await,
            Request::Retry { objects } => self.retry(&objects).await,
            Request::Enrol { vms, selectors, retry } => self.enrol(&vms, selectors, retry).await,
            Request::Enrolments => json(&self.engine.look(|view| documents::enrolments(view, &view.plan()))),
            Request::Nodes => json(&self.engine.look(|view| documents::nodes(view, &view.plan()))),
            Request::Windows(query) => json(&self.engine.look(|view| windows::windows(view, &query))?),
            Request::Snapshots(query) => json(&self.engine.look(|view| snapshots::snapshots(view, &query))?),
            Request::TakeSnapshots(query) => self.take(query).await,
            Request::RemoveSnapshots { what } => self.remove(&what).await,
            Request::AdoptSnapshot { vm, snapshot, keep, foreign } => {
                self.adopt(&vm, &snapshot, keep, foreign).await
            }
            Request::Rollback(query) => self.look_back(&query),
            Request::Revert { records } => self.revert(&records).await,
            Request::SnapshotProgress { records, nodes } => self.snapshot_progress(&records, nodes),
            Request::Compliance(query) => self.compliance(&query).await,
            Request::Audit(query) => self.audit(&query).await,
            Request::Findings(query) => json(&self.engine.look(|view| findings::findings(view, &query))?),
            Request::WithdrawFindings => self.withdraw().await,
            Request::Claim => {
                self.engine.claim().await?;
                json(&())
            }
            Request::Sync => self.sync().await,
            Request::Progress => json(&*self.engine.progress().borrow()),
        }
    }

    async fn explain(&self, vm: &str) -> Result<Value, Refusal> {
        let mut explanation = self.engine.look(|view| explain::explain(view, vm))?;
        let reader = Reader::open(self.engine.store().directory()).await?;
        explanation.read_journal(&reader).await?;
        json(&explanation)
    }

    /// The VM that is meant, with its id.
    pub(super) fn vm(&self, plan: &Plan, text: &str) -> Result<NamedVm, Refusal> {
        let fleet = self.fleet.read();
        let Found { vcenter, moref } = find(&fleet, plan, text)?;
        let view = fleet.part(&vcenter).and_then(|part| part.vm(&moref));
        let view: VmView<'_> = view.ok_or_else(|| Refusal(format!("{text} has just gone")))?;
        let uuid = view
            .vcenter_uuid()
            .ok_or_else(|| Refusal(format!("{} has not been reached yet", vcenter.as_str())))?;
        let id = VmId { vcenter: uuid, vm: moref.as_str().into() };
        Ok(NamedVm { name: format!("{}/{moref}", vcenter.as_str()), id, instance: view.instance_uuid() })
    }

    fn node(&self, text: &str) -> Result<NamedNode, Refusal> {
        let node = NodeId::of_managed_instance(text).ok_or_else(|| {
            Refusal(format!("`{text}` is not the id of a managed node; it is mi- and 17 hexadecimal digits"))
        })?;
        let cloud = self.cloud.read();
        let places: Vec<&Place> = cloud
            .targets()
            .filter(|(_, view)| view.nodes.contains_key(&node))
            .filter_map(|(_, view)| view.place.as_ref())
            .collect();
        match places[..] {
            [place, ..] => Ok(NamedNode { place: place.clone(), node }),
            [] => {
                Err(Refusal(format!("no target has the node {text}; `vmbridge plan --json` lists them all")))
            }
        }
    }

    async fn link(&self, vm: &str, node: &str) -> Result<Value, Refusal> {
        let node = self.node(node)?;
        let vm = self.vm(&self.engine.plan(), vm)?;
        let other = self.engine.look(|view| {
            view.memory
                .identities
                .values()
                .flatten()
                .find(|other| {
                    other.vm == vm.id
                        && other.basis == Some(Basis::Linked)
                        && (&other.place, &other.node) != (&node.place, &node.node)
                })
                .map(|other| other.node.clone())
        });
        if let Some(other) = other {
            return Err(Refusal(format!(
                "{} is linked to {other} already; first: vmbridge unlink {other}",
                vm.name
            )));
        }
        // What was said of the node before no longer holds.
        self.engine.forget(&node.place, &node.node).await?;
        let told = format!("{} is {} from now on", node.node, vm.name);
        self.engine.link(node.identity(&vm, Some(Basis::Linked), self.engine.now())).await?;
        json(&told)
    }

    async fn unlink(&self, node: &str, vm: Option<&str>, forget: bool) -> Result<Value, Refusal> {
        let node = self.node(node)?;
        let name = node.node.clone();
        if forget {
            self.engine.forget(&node.place, &name).await?;
            return json(&format!("all that was known of {name} is forgotten; it is matched anew"));
        }
        let plan = self.engine.plan();
        let vm = match vm {
            Some(vm) => self.vm(&plan, vm)?,
            None => {
                let linked =
                    plan.vms.iter().find(|vm| vm.link.as_ref().is_some_and(|link| link.node == name));
                let linked = linked.ok_or_else(|| {
                    Refusal(format!(
                        "{name} is not taken for any VM; name the one that it is not, or forget what is known: vmbridge unlink {name} --forget"
                    ))
                })?;
                self.vm(&plan, &format!("{}/{}", linked.vcenter.as_str(), linked.vm.vm))?
            }
        };
        self.engine.link(node.identity(&vm, None, self.engine.now())).await?;
        json(&format!("{name} is no longer taken for {}", vm.name))
    }

    async fn retry(&self, objects: &[String]) -> Result<Value, Refusal> {
        if objects.is_empty() {
            return json(&self.engine.retry(None).await?);
        }
        let plan = self.engine.plan();
        let mut wanted = HashSet::new();
        for text in objects {
            if let Some(node) = NodeId::of_managed_instance(text) {
                wanted.insert(node.as_str().to_owned());
                continue;
            }
            let NamedVm { id, .. } = self.vm(&plan, text)?;
            let node = plan.vms.iter().find(|vm| vm.vm == id).and_then(|vm| vm.link.as_ref());
            wanted.extend(node.map(|link| link.node.to_string()));
            wanted.insert(id.vm.to_string());
        }
        json(&self.engine.retry(Some(&wanted)).await?)
    }

    async fn enrol(&self, vms: &[String], selectors: Vec<String>, retry: bool) -> Result<Value, Refusal> {
        let query = PlanQuery { selectors, ..PlanQuery::default() };
        let filter = filter(&query)?;
        let plan = self.engine.plan();
        let mut wanted = HashSet::new();
        for text in vms {
            wanted.insert(self.vm(&plan, text)?.id);
        }
        let everything = vms.is_empty() && filter.selectors.is_empty();
        {
            let fleet = self.fleet.read();
            let views = fleet.parts().flat_map(|part| part.vms().map(move |view| (part.uuid(), view)));
            for (uuid, view) in views {
                let Some(vcenter) = uuid else { continue };
                if everything
                    || (!filter.selectors.is_empty()
                        && filter.asks_for(&view) == crate::inventory::Asked::Yes)
                {
                    wanted.insert(VmId { vcenter, vm: view.moref().shared_value() });
                }
            }
        }
        if retry {
            let objects: HashSet<String> = wanted.iter().map(|vm| vm.vm.to_string()).collect();
            self.engine.retry(Some(&objects)).await?;
        }
        let (mut asked, mut answer) = (Vec::new(), Asked { vms: Vec::new(), not: Vec::new() });
        self.engine.look(|view| {
            for vm in view.plan().vms.iter().filter(|vm| wanted.contains(&vm.vm)) {
                let verdict = vm.verdict(Capability::Enrol);
                let stage = view.memory.enrolments.get(&vm.vm).map(|enrolment| enrolment.stage);
                if documents::can_be_asked(verdict.reason.as_ref(), stage) {
                    asked.push(vm.vm.clone());
                    answer.vms.push(documents::named(vm));
                } else if let Some(reason) = &verdict.reason
                    // Of a whole fleet only what somebody should look at is of interest.
                    && (!everything || reason.is_problem())
                {
                    answer.not.push((vm.label.to_string(), documents::line(reason)));
                }
            }
        });
        self.engine.ask(asked);
        json(&answer)
    }

    async fn sync(&self) -> Result<Value, Refusal> {
        let Some(hands) = &self.hands else {
            self.engine.settle(WORKING).await;
            return json(&*self.engine.progress().borrow());
        };
        let asked = self.engine.now();
        let mut revisions = self.cloud.revisions();
        hands.nudge_all();
        let read = async {
            loop {
                let all =
                    self.cloud.read().targets().all(|(_, view)| {
                        view.error.is_some() || view.as_of.is_some_and(|as_of| as_of >= asked)
                    });
                if all || revisions.changed().await.is_err() {
                    return;
                }
            }
        };
        // A target that cannot be read is told by the plan.
        let _ = tokio::time::timeout(READING, read).await;
        self.engine.idle(WORKING).await;
        json(&*self.engine.progress().borrow())
    }
}

/// The filter of a query.
pub(super) fn filter(query: &PlanQuery) -> Result<Filter, Refusal> {
    let selectors = query.selectors.iter().map(|text| text.parse::<Selector>());
    let selectors: Vec<Selector> =
        selectors.collect::<Result<_, _>>().map_err(|error| Refusal(error.to_string()))?;
    Ok(Filter { selectors, vcenters: query.vcenters.clone() })
}

/// The plan for what is known, as the outside sees it, of what is asked for.
#[must_use]
pub(crate) fn plan_document(view: &View<'_>, query: &PlanQuery, filter: &Filter) -> PlanDocument {
    let mut plan = view.plan();
    if !query.capabilities.is_empty() {
        plan.actions.retain(|planned| query.capabilities.contains(&planned.action.capability()));
    }
    let everything = filter.selectors.is_empty() && filter.vcenters.is_empty();
    let selected: HashSet<_> = if everything {
        HashSet::new()
    } else {
        view.fleet
            .parts()
            .filter(|part| filter.takes(part))
            .flat_map(crate::fleet::Part::vms)
            .filter(|vm| {
                filter.selectors.is_empty() || filter.selectors.iter().any(|selector| selector.selects(vm))
            })
            .map(|vm| (vm.vcenter_name().clone(), vm.moref().value().to_owned()))
            .collect()
    };
    PlanDocument::of(&plan, view.policy, view.now, |vm| {
        everything || selected.contains(&(vm.vcenter.clone(), vm.vm.vm.to_string()))
    })
}

pub(super) fn json(value: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|error| Refusal(error.to_string()))
}
