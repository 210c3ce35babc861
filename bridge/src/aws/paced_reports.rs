//! Limits, retry and counting around the ports that reports are written to.

use jiff::Timestamp;
use mappings::compliance::List;
use mappings::compliance::table::Patches;
use mappings::findings::Finding;

use super::hub::{
    Aggregation, FindingFilter, FindingKey, FindingOutcome, FindingSeen, FindingUpdate, HubState,
};
use super::paced::{Paced, Published};
use super::port::{Answer, Page, Reports, SecurityHub};
use super::reports::{ComplianceSummary, Ec2Node, InventoryPut, InventorySeen};
use super::{ManagedNodeId, NodeId};

/// What Security Hub permits for each of its batch operations (quotas of Security Hub, API reference).
const BATCHES: Published = Published { rate: 10.0, burst: 30.0 };
/// What it permits for `GetFindings`.
const LISTING: Published = Published { rate: 3.0, burst: 6.0 };

impl<P: Reports> Reports for Paced<P> {
    fn put_inventory<'a>(&'a self, node: &'a NodeId, items: &'a [InventoryPut<'a>]) -> Answer<'a, ()> {
        Box::pin(self.lanes.write("ssm:PutInventory", || self.inner.put_inventory(node, items)))
    }

    fn put_compliance<'a>(&'a self, node: &'a NodeId, list: &'a List, found: Timestamp) -> Answer<'a, ()> {
        Box::pin(
            self.lanes.write("ssm:PutComplianceItems", move || self.inner.put_compliance(node, list, found)),
        )
    }

    fn ec2_nodes(&self, next: Option<String>) -> Answer<'_, Page<Ec2Node>> {
        Box::pin(async move {
            self.lanes.read("ssm:DescribeInstanceInformation", || self.inner.ec2_nodes(next.clone())).await
        })
    }

    fn compliance<'a>(
        &'a self,
        types: &'a [&'a str],
        next: Option<String>,
    ) -> Answer<'a, Page<ComplianceSummary>> {
        const NAME: &str = "ssm:ListResourceComplianceSummaries";
        Box::pin(async move { self.lanes.read(NAME, || self.inner.compliance(types, next.clone())).await })
    }

    fn patches<'a>(
        &'a self,
        nodes: &'a [ManagedNodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(ManagedNodeId, Patches)>> {
        const NAME: &str = "ssm:DescribeInstancePatchStates";
        Box::pin(async move { self.lanes.read(NAME, || self.inner.patches(nodes, next.clone())).await })
    }

    fn inventory<'a>(&'a self, type_name: &'a str, next: Option<String>) -> Answer<'a, Page<InventorySeen>> {
        const NAME: &str = "ssm:GetInventory";
        Box::pin(async move { self.lanes.read(NAME, || self.inner.inventory(type_name, next.clone())).await })
    }

    fn inventory_of<'a>(&'a self, node: &'a NodeId, type_name: &'a str) -> Answer<'a, Option<InventorySeen>> {
        Box::pin(self.lanes.read("ssm:GetInventory", move || self.inner.inventory_of(node, type_name)))
    }

    fn compliance_run<'a>(&'a self, node: &'a NodeId, type_name: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(
            self.lanes.read("ssm:ListComplianceItems", move || self.inner.compliance_run(node, type_name)),
        )
    }
}

impl<P: SecurityHub> SecurityHub for Paced<P> {
    fn in_region(&self, region: &str) -> Self {
        Self::new(self.inner.in_region(region), self.lanes.clone())
    }

    fn hub(&self) -> Answer<'_, HubState> {
        Box::pin(self.lanes.read("securityhub:DescribeHub", || self.inner.hub()))
    }

    fn aggregation(&self) -> Answer<'_, Option<Aggregation>> {
        Box::pin(self.lanes.read("securityhub:ListFindingAggregators", || self.inner.aggregation()))
    }

    fn import<'a>(&'a self, findings: &'a [Finding]) -> Answer<'a, Vec<FindingOutcome>> {
        const NAME: &str = "securityhub:BatchImportFindings";
        Box::pin(self.lanes.write_within(NAME, BATCHES, || self.inner.import(findings)))
    }

    fn update<'a>(
        &'a self,
        findings: &'a [FindingKey],
        update: &'a FindingUpdate,
    ) -> Answer<'a, Vec<FindingOutcome>> {
        const NAME: &str = "securityhub:BatchUpdateFindings";
        Box::pin(self.lanes.write_within(NAME, BATCHES, || self.inner.update(findings, update)))
    }

    fn findings<'a>(
        &'a self,
        filter: &'a FindingFilter,
        next: Option<String>,
    ) -> Answer<'a, Page<FindingSeen>> {
        const NAME: &str = "securityhub:GetFindings";
        Box::pin(async move {
            self.lanes.read_within(NAME, LISTING, || self.inner.findings(filter, next.clone())).await
        })
    }
}
