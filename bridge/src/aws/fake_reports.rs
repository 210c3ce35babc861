//! Inventory, compliance and Security Hub of a test: by the rules of AWS that matter to us, in pages, counted, and failing when
//! told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use mappings::compliance::List;
use mappings::compliance::table::Patches;
use mappings::findings::life::{Listed, Workflow, WorkflowStatus};
use mappings::findings::patches::Note;
use mappings::findings::{Finding, RecordState, Status};
use mappings::inventory::Item;

use super::{
    Aggregation, Answer, AwsError, AwsErrorKind, ComplianceSummary, Ec2Node, FILTER_VALUES, FINDINGS_AT_ONCE,
    FindingFault, FindingFilter, FindingKey, FindingOutcome, FindingSeen, FindingUpdate, HubState,
    INVENTORY_ITEMS_AT_ONCE, InventoryPut, InventorySeen, ManagedNodeId, NodeId, PATCH_STATES_AT_ONCE, Page,
    Reports, SecurityHub,
};

/// So many items are on a page.
const PAGE: usize = 3;

/// A finding of the test's Security Hub.
#[derive(Debug, Clone)]
struct Held {
    account: String,
    generator: String,
    seen: FindingSeen,
}

#[derive(Debug, Default)]
struct State {
    inventory: BTreeMap<(ManagedNodeId, String), Item>,
    compliance: BTreeMap<(NodeId, &'static str), List>,
    summaries: Vec<ComplianceSummary>,
    ec2: Vec<Ec2Node>,
    patches: BTreeMap<ManagedNodeId, Patches>,
    findings: BTreeMap<FindingKey, Held>,
    not_enabled: bool,
    aggregation: Option<Aggregation>,
    calls: BTreeMap<String, usize>,
    faults: BTreeMap<String, AwsErrorKind>,
    /// Ids of findings that are refused, with the code.
    refused: BTreeMap<String, &'static str>,
}

/// The reports of a test. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeReports(Arc<Mutex<State>>);

impl FakeReports {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Lets an operation fail, or one on one node (`put_inventory mi-…`).
    pub(crate) fn fail(&self, what: &str, kind: AwsErrorKind) {
        self.lock().faults.insert(what.to_owned(), kind);
    }

    /// Lets Security Hub refuse one finding, in whatever batch it comes.
    pub(crate) fn refuse(&self, id: &str, code: &'static str) {
        self.lock().refused.insert(id.to_owned(), code);
    }

    /// Lets everything work again.
    pub(crate) fn heal(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.refused.clear();
    }

    /// The calls by operation since this was asked for last.
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.lock().calls)
    }

    /// What the inventory of a node has of a type.
    pub(crate) fn item(&self, node: &NodeId, type_name: &str) -> Option<Item> {
        let node = ManagedNodeId::parse(node.as_str()).unwrap();
        self.lock().inventory.get(&(node, type_name.to_owned())).cloned()
    }

    /// Somebody deletes a type of inventory of all nodes.
    pub(crate) fn delete_inventory(&self, type_name: &str) {
        self.lock().inventory.retain(|(_, known), _| known != type_name);
    }

    /// Somebody puts another list, or an empty one.
    pub(crate) fn put_list(&self, node: &NodeId, list: List) {
        self.lock().compliance.insert((node.clone(), list.kind.as_str()), list);
    }

    /// The compliance of a node, of a type of ours.
    pub(crate) fn list(&self, node: &NodeId, kind: mappings::compliance::Kind) -> Option<List> {
        self.lock().compliance.get(&(node.clone(), kind.as_str())).cloned()
    }

    /// Says what is known of all nodes.
    pub(crate) fn know(&self, ec2: Vec<Ec2Node>, summaries: Vec<ComplianceSummary>) {
        let mut state = self.lock();
        (state.ec2, state.summaries) = (ec2, summaries);
    }

    /// Says what patches a node has and lacks.
    pub(crate) fn patch(&self, node: ManagedNodeId, patches: Patches) {
        self.lock().patches.insert(node, patches);
    }

    /// Turns Security Hub off and on.
    pub(crate) fn enable_hub(&self, enabled: bool) {
        self.lock().not_enabled = !enabled;
    }

    /// Says how findings are copied from Region to Region.
    pub(crate) fn aggregate(&self, aggregation: Option<Aggregation>) {
        self.lock().aggregation = aggregation;
    }

    /// Another product sends a finding, in an account.
    pub(crate) fn put_finding(&self, account: &str, generator: &str, seen: FindingSeen) {
        let held = Held { account: account.to_owned(), generator: generator.to_owned(), seen };
        self.lock().findings.insert(held.seen.key.clone(), held);
    }

    /// A person, or time, changes a finding.
    pub(crate) fn edit_finding(&self, id: &str, change: impl FnOnce(&mut FindingSeen)) {
        let mut state = self.lock();
        let held = state.findings.values_mut().find(|held| held.seen.key.id.as_str() == id);
        change(&mut held.unwrap().seen);
    }

    /// Security Hub forgets a finding.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().findings.retain(|key, _| key.id.as_str() != id);
    }

    /// All findings.
    pub(crate) fn all_findings(&self) -> Vec<FindingSeen> {
        self.lock().findings.values().map(|held| held.seen.clone()).collect()
    }

    fn answer<'a, T: Send + 'a>(
        &self,
        operation: &'static str,
        object: &str,
        work: impl FnOnce(&mut State) -> Result<T, AwsErrorKind>,
    ) -> Answer<'a, T> {
        let mut state = self.lock();
        *state.calls.entry(operation.to_owned()).or_default() += 1;
        let fault = state.faults.get(operation);
        let fault = fault.or_else(|| state.faults.get(&format!("{operation} {object}"))).copied();
        let answer = match fault {
            // It is done, and nobody hears of it.
            Some(AwsErrorKind::Lost) => work(&mut state).and(Err(AwsErrorKind::Lost)),
            Some(kind) => Err(kind),
            None => work(&mut state),
        };
        let object = Some(object.to_owned()).filter(|object| !object.is_empty());
        let detail = "a fault of the test".to_owned();
        let answer = answer.map_err(|kind| AwsError { operation, object, kind, detail });
        Box::pin(async { answer })
    }
}

impl Reports for FakeReports {
    fn put_inventory<'a>(&'a self, node: &'a NodeId, items: &'a [InventoryPut<'a>]) -> Answer<'a, ()> {
        assert!((1..=INVENTORY_ITEMS_AT_ONCE).contains(&items.len()), "not what AWS takes");
        self.answer("put_inventory", node.as_str(), |state| {
            let node = ManagedNodeId::parse(node.as_str()).map_err(|_| AwsErrorKind::NotFound)?;
            for put in items {
                let (InventoryPut::Whole(item) | InventoryPut::Confirmed(item)) = *put;
                let place = (node.clone(), item.type_name.to_string());
                match (put, state.inventory.get_mut(&place)) {
                    (InventoryPut::Whole(_), _) => {
                        state.inventory.insert(place, item.clone());
                    }
                    (InventoryPut::Confirmed(_), Some(held)) if held.content_hash == item.content_hash => {
                        held.captured = item.captured;
                    }
                    (InventoryPut::Confirmed(_), _) => return Err(AwsErrorKind::OtherContent),
                }
            }
            Ok(())
        })
    }

    fn put_compliance<'a>(&'a self, node: &'a NodeId, list: &'a List, _: Timestamp) -> Answer<'a, ()> {
        self.answer("put_compliance", node.as_str(), |state| {
            state.compliance.insert((node.clone(), list.kind.as_str()), list.clone());
            Ok(())
        })
    }

    fn ec2_nodes(&self, next: Option<String>) -> Answer<'_, Page<Ec2Node>> {
        self.answer("ec2_nodes", "", |state| Ok(page(state.ec2.iter().cloned(), next)))
    }

    fn compliance<'a>(
        &'a self,
        types: &'a [&'a str],
        next: Option<String>,
    ) -> Answer<'a, Page<ComplianceSummary>> {
        self.answer("compliance", "", |state| {
            let put = state.compliance.iter().filter_map(|((node, _), list)| summary(node, list));
            let all = state.summaries.iter().cloned().chain(put);
            Ok(page(all.filter(|summary| types.contains(&summary.kind.as_str())), next))
        })
    }

    fn patches<'a>(
        &'a self,
        nodes: &'a [ManagedNodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(ManagedNodeId, Patches)>> {
        assert!(nodes.len() <= PATCH_STATES_AT_ONCE, "more than AWS takes");
        self.answer("patches", "", |state| {
            let known = nodes.iter().filter_map(|node| Some((node.clone(), *state.patches.get(node)?)));
            Ok(page(known, next))
        })
    }

    fn inventory_of<'a>(&'a self, node: &'a NodeId, type_name: &'a str) -> Answer<'a, Option<InventorySeen>> {
        self.answer("inventory_of", node.as_str(), |state| {
            let node = ManagedNodeId::parse(node.as_str()).map_err(|_| AwsErrorKind::NotFound)?;
            let item = state.inventory.get(&(node.clone(), type_name.to_owned()));
            Ok(item.map(|item| InventorySeen {
                node,
                schema_version: item.schema_version.into(),
                captured: Some(item.captured),
                content_hash: Some(item.content_hash.as_str().into()),
                rows: item.content.len(),
            }))
        })
    }

    fn compliance_run<'a>(&'a self, node: &'a NodeId, type_name: &'a str) -> Answer<'a, Option<String>> {
        self.answer("compliance_run", node.as_str(), |state| {
            let of_node = state
                .compliance
                .iter()
                .find(|((held, kind), list)| held == node && *kind == type_name && !list.items.is_empty());
            Ok(of_node.map(|(_, list)| List::run_of(list.content_hash.as_str())))
        })
    }

    fn inventory<'a>(&'a self, type_name: &'a str, next: Option<String>) -> Answer<'a, Page<InventorySeen>> {
        self.answer("inventory", type_name, |state| {
            let of_type = state.inventory.iter().filter(|((_, known), _)| known == type_name);
            let seen = of_type.map(|((node, _), item)| InventorySeen {
                node: node.clone(),
                schema_version: item.schema_version.into(),
                captured: Some(item.captured),
                content_hash: Some(item.content_hash.as_str().into()),
                rows: item.content.len(),
            });
            Ok(page(seen, next))
        })
    }
}

impl SecurityHub for FakeReports {
    /// Findings are kept by product, which names the Region.
    fn in_region(&self, _: &str) -> Self {
        self.clone()
    }

    fn hub(&self) -> Answer<'_, HubState> {
        self.answer("hub", "", |state| {
            Ok(if state.not_enabled { HubState::NotEnabled } else { HubState::Enabled })
        })
    }

    fn aggregation(&self) -> Answer<'_, Option<Aggregation>> {
        self.answer("aggregation", "", |state| Ok(state.enabled()?.aggregation.clone()))
    }

    fn import<'a>(&'a self, findings: &'a [Finding]) -> Answer<'a, Vec<FindingOutcome>> {
        assert!((1..=FINDINGS_AT_ONCE).contains(&findings.len()), "not what AWS takes");
        let ids: BTreeSet<&str> = findings.iter().map(|finding| finding.content.id.as_str()).collect();
        assert_eq!(ids.len(), findings.len(), "the same finding twice");
        self.answer("import", "", |state| {
            let state = state.enabled()?;
            let outcomes = findings.iter().map(|finding| {
                state.refusal(finding.content.id.as_str())?;
                state.import(finding);
                Ok(())
            });
            Ok(outcomes.collect())
        })
    }

    fn update<'a>(
        &'a self,
        findings: &'a [FindingKey],
        update: &'a FindingUpdate,
    ) -> Answer<'a, Vec<FindingOutcome>> {
        assert!((1..=FINDINGS_AT_ONCE).contains(&findings.len()), "not what AWS takes");
        self.answer("update", "", |state| {
            let state = state.enabled()?;
            let outcomes = findings.iter().map(|key| {
                state.refusal(key.id.as_str())?;
                let held = state.findings.get_mut(key);
                let seen =
                    &mut held.ok_or_else(|| FindingFault::of("FindingNotFound", "there is none"))?.seen;
                if let Some((text, by)) = &update.note {
                    seen.note = Some(Note { text: text.clone(), updated_by: by.clone() });
                }
                if !update.fields.is_empty() {
                    seen.fields = update.fields.clone();
                }
                seen.workflow = update.workflow.or(seen.workflow);
                Ok(())
            });
            Ok(outcomes.collect())
        })
    }

    fn findings<'a>(
        &'a self,
        filter: &'a FindingFilter,
        next: Option<String>,
    ) -> Answer<'a, Page<FindingSeen>> {
        assert!(filter.ids.len() <= FILTER_VALUES, "more than AWS takes");
        self.answer("findings", "", |state| {
            let held = state.enabled()?.findings.values().filter(|held| held.fits(filter));
            Ok(page(held.map(|held| held.seen.clone()), next))
        })
    }
}

impl State {
    fn enabled(&mut self) -> Result<&mut Self, AwsErrorKind> {
        if self.not_enabled { Err(AwsErrorKind::NotEnabled) } else { Ok(self) }
    }

    fn refusal(&self, id: &str) -> FindingOutcome {
        self.refused.get(id).map_or(Ok(()), |code| Err(FindingFault::of(code, "a fault of the test")))
    }

    /// What is not newer is ignored. What people wrote is kept, but a problem that comes back is new.
    fn import(&mut self, finding: &Finding) {
        let Finding { content, times } = finding.clone();
        let key = FindingKey { id: content.id.clone(), product: content.product_arn.as_str().into() };
        let before = self.findings.get(&key).map(|held| held.seen.clone());
        if before.as_ref().is_some_and(|before| before.updated >= times.updated_at) {
            return;
        }
        let was = before.as_ref().and_then(|before| before.whole.as_ref()).map(|whole| &whole.content);
        let again = was.is_some_and(|was| {
            (was.compliance.status == Status::Passed && content.compliance.status == Status::Failed)
                || (was.record_state == RecordState::Archived && content.record_state == RecordState::Active)
        });
        let kept = before.as_ref().and_then(|before| before.workflow).filter(|_| !again);
        let workflow = kept.unwrap_or(WorkflowStatus::New);
        let seen = FindingSeen {
            key: key.clone(),
            updated: times.updated_at,
            state: Some(content.record_state),
            workflow: Some(workflow),
            note: before.as_ref().and_then(|before| before.note.clone()),
            fields: before.map(|before| before.fields).unwrap_or_default(),
            resources: content.resources.iter().map(|resource| resource.id.as_str().into()).collect(),
            whole: Some(Box::new(Listed {
                content: content.clone(),
                times,
                workflow: Some(Workflow { status: workflow }),
            })),
        };
        let held = Held { account: content.aws_account_id, generator: content.generator_id, seen };
        self.findings.insert(key, held);
    }
}

/// What is told of a list. There is nothing to tell of one without items.
fn summary(node: &NodeId, list: &List) -> Option<ComplianceSummary> {
    let count = |status| list.items.iter().filter(|item| item.status == status).count();
    let count = |status| u32::try_from(count(status)).unwrap();
    (!list.items.is_empty()).then(|| ComplianceSummary {
        node: ManagedNodeId::parse(node.as_str()).unwrap(),
        kind: list.kind.as_str().to_owned().into(),
        status: None,
        severity: None,
        compliant: count(mappings::compliance::Status::Compliant),
        non_compliant: count(mappings::compliance::Status::NonCompliant),
        by_severity: BTreeMap::new(),
        at: None,
        run: Some(List::run_of(list.content_hash.as_str()).into()),
    })
}

impl Held {
    fn fits(&self, filter: &FindingFilter) -> bool {
        let FindingFilter { product, account, generator_prefix, state, workflow, ids } = filter;
        self.seen.key.product == *product
            && self.account == *account
            && generator_prefix.as_ref().is_none_or(|prefix| self.generator.starts_with(prefix))
            && state.is_none_or(|state| self.seen.state == Some(state))
            && (workflow.is_empty() || self.seen.workflow.is_some_and(|status| workflow.contains(&status)))
            && (ids.is_empty() || ids.contains(&self.seen.key.id))
    }
}

fn page<T>(all: impl Iterator<Item = T>, next: Option<String>) -> Page<T> {
    let start: usize = next.map_or(0, |next| next.parse().unwrap());
    let mut items: Vec<T> = all.skip(start).take(PAGE + 1).collect();
    let more = items.len() > PAGE;
    items.truncate(PAGE);
    Page { items, next: more.then(|| (start + PAGE).to_string()) }
}
