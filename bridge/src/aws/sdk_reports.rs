//! What is reported to Systems Manager, and read there of every node at once, through its SDK.

use std::collections::HashMap;

use aws_sdk_ssm as ssm;
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types::{
    ComplianceExecutionSummary, ComplianceItemEntry, ComplianceQueryOperatorType, ComplianceSeverity,
    ComplianceStatus, ComplianceStringFilter, ComplianceUploadType, InstanceInformation,
    InstanceInformationStringFilter, InstancePatchState, InventoryFilter, InventoryItem,
    InventoryQueryOperatorType, InventoryResultEntity, ResourceComplianceSummaryItem, ResultAttribute,
    SeveritySummary,
};
use jiff::Timestamp;
use mappings::compliance::table::Patches;
use mappings::compliance::{ExecutionSummary, Item, List, Severity, Status};

use super::port::{Answer, Page, Reports};
use super::reports::{ComplianceSummary, Ec2Node, InventoryPut, InventorySeen};
use super::sdk::{more, ping, platform, time};
use super::{AwsError, ManagedNodeId, NodeId};

/// The most that each of these listings gives at once.
const PER_PAGE: i32 = 50;
/// The most that `DescribeInstancePatchStates` gives at once.
const STATES_PER_PAGE: i32 = 100;

impl Reports for ssm::Client {
    fn put_inventory<'a>(&'a self, node: &'a NodeId, items: &'a [InventoryPut<'a>]) -> Answer<'a, ()> {
        const NAME: &str = "ssm:PutInventory";
        Box::pin(async move {
            let items = items.iter().map(inventory_item).collect::<Result<Vec<_>, _>>();
            let items = items.map_err(|error| AwsError::incomplete(NAME, &error.to_string()))?;
            self.put_inventory()
                .instance_id(node.as_str())
                .set_items(Some(items))
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, Some(node.as_str()), &error))?;
            Ok(())
        })
    }

    fn put_compliance<'a>(&'a self, node: &'a NodeId, list: &'a List, found: Timestamp) -> Answer<'a, ()> {
        const NAME: &str = "ssm:PutComplianceItems";
        Box::pin(async move {
            let incomplete = |error: ssm::error::BuildError| AwsError::incomplete(NAME, &error.to_string());
            let List { kind, items, left_out: _, not_read: _, content_hash } = list;
            let items =
                items.iter().map(compliance_item).collect::<Result<Vec<_>, _>>().map_err(incomplete)?;
            let ExecutionSummary { time, id, kind: by } = list.execution(found);
            let summary = ComplianceExecutionSummary::builder()
                .execution_time(DateTime::from_secs(time.as_second()))
                .execution_id(id)
                .execution_type(by)
                .build()
                .map_err(incomplete)?;
            self.put_compliance_items()
                .resource_id(node.as_str())
                .resource_type("ManagedInstance")
                .compliance_type(kind.as_str())
                .execution_summary(summary)
                .set_items(Some(items))
                .item_content_hash(content_hash.as_str())
                .upload_type(ComplianceUploadType::Complete)
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, Some(node.as_str()), &error))?;
            Ok(())
        })
    }

    fn ec2_nodes(&self, next: Option<String>) -> Answer<'_, Page<Ec2Node>> {
        const NAME: &str = "ssm:DescribeInstanceInformation";
        Box::pin(async move {
            let ec2 = InstanceInformationStringFilter::builder()
                .key("ResourceType")
                .values("EC2Instance")
                .build()
                .map_err(|error| AwsError::incomplete(NAME, &error.to_string()))?;
            let answer = self
                .describe_instance_information()
                .filters(ec2)
                .max_results(PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, None, &error))?;
            let items = answer.instance_information_list.unwrap_or_default();
            Ok(Page {
                items: items.into_iter().filter_map(ec2_node).collect(),
                next: more(answer.next_token),
            })
        })
    }

    fn compliance<'a>(
        &'a self,
        types: &'a [&'a str],
        next: Option<String>,
    ) -> Answer<'a, Page<ComplianceSummary>> {
        Box::pin(async move {
            let of_types = ComplianceStringFilter::builder()
                .key("ComplianceType")
                .set_values(Some(types.iter().map(|name| (*name).to_owned()).collect()))
                .r#type(ComplianceQueryOperatorType::Equal)
                .build();
            let answer = self
                .list_resource_compliance_summaries()
                .filters(of_types)
                .max_results(PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of("ssm:ListResourceComplianceSummaries", None, &error))?;
            let items = answer.resource_compliance_summary_items.unwrap_or_default();
            Ok(Page { items: items.into_iter().filter_map(summary).collect(), next: more(answer.next_token) })
        })
    }

    fn patches<'a>(
        &'a self,
        nodes: &'a [ManagedNodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(ManagedNodeId, Patches)>> {
        Box::pin(async move {
            let ids = nodes.iter().map(|node| node.as_str().to_owned()).collect();
            let answer = self
                .describe_instance_patch_states()
                .set_instance_ids(Some(ids))
                .max_results(STATES_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of("ssm:DescribeInstancePatchStates", None, &error))?;
            let items = answer.instance_patch_states.unwrap_or_default();
            Ok(Page { items: items.iter().filter_map(patches).collect(), next: more(answer.next_token) })
        })
    }

    fn inventory<'a>(&'a self, type_name: &'a str, next: Option<String>) -> Answer<'a, Page<InventorySeen>> {
        const NAME: &str = "ssm:GetInventory";
        Box::pin(async move {
            let wanted = ResultAttribute::builder()
                .type_name(type_name)
                .build()
                .map_err(|error| AwsError::incomplete(NAME, &error.to_string()))?;
            let answer = self
                .get_inventory()
                .result_attributes(wanted)
                .max_results(PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, Some(type_name), &error))?;
            let items = answer.entities.unwrap_or_default();
            let items = items.into_iter().filter_map(|entity| inventory_of(entity, type_name));
            Ok(Page { items: items.collect(), next: more(answer.next_token) })
        })
    }

    fn inventory_of<'a>(&'a self, node: &'a NodeId, type_name: &'a str) -> Answer<'a, Option<InventorySeen>> {
        const NAME: &str = "ssm:GetInventory";
        Box::pin(async move {
            let incomplete = |error: ssm::error::BuildError| AwsError::incomplete(NAME, &error.to_string());
            let wanted = ResultAttribute::builder().type_name(type_name).build().map_err(incomplete)?;
            let of_node = InventoryFilter::builder()
                .key("AWS:InstanceInformation.InstanceId")
                .values(node.as_str())
                .r#type(InventoryQueryOperatorType::Equal)
                .build()
                .map_err(incomplete)?;
            let answer = self
                .get_inventory()
                .filters(of_node)
                .result_attributes(wanted)
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, Some(node.as_str()), &error))?;
            let entities = answer.entities.unwrap_or_default();
            Ok(entities.into_iter().find_map(|entity| inventory_of(entity, type_name)))
        })
    }

    fn compliance_run<'a>(&'a self, node: &'a NodeId, type_name: &'a str) -> Answer<'a, Option<String>> {
        const NAME: &str = "ssm:ListComplianceItems";
        Box::pin(async move {
            let of_type = ComplianceStringFilter::builder()
                .key("ComplianceType")
                .values(type_name)
                .r#type(ComplianceQueryOperatorType::Equal)
                .build();
            let answer = self
                .list_compliance_items()
                .resource_ids(node.as_str())
                .resource_types("ManagedInstance")
                .filters(of_type)
                .max_results(1)
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, Some(node.as_str()), &error))?;
            let items = answer.compliance_items.unwrap_or_default();
            Ok(items.into_iter().find_map(|item| item.execution_summary?.execution_id))
        })
    }
}

fn inventory_item(put: &InventoryPut<'_>) -> Result<InventoryItem, ssm::error::BuildError> {
    let (item, with_rows) = match put {
        InventoryPut::Whole(item) => (*item, true),
        InventoryPut::Confirmed(item) => (*item, false),
    };
    let mappings::inventory::Item { type_name, schema_version, captured: _, content_hash, content } = item;
    let rows = || content.iter().map(|row| row.clone().into_iter().collect::<HashMap<_, _>>()).collect();
    InventoryItem::builder()
        .type_name(&**type_name)
        .schema_version(*schema_version)
        .capture_time(item.capture_time())
        .content_hash(content_hash.as_str())
        // No rows at all clear what is there; no content at all leaves it.
        .set_content(with_rows.then(rows))
        .build()
}

fn compliance_item(item: &Item) -> Result<ComplianceItemEntry, ssm::error::BuildError> {
    let Item { id, title, severity, status, details } = item;
    let details: HashMap<String, String> = details.clone().into_iter().collect();
    ComplianceItemEntry::builder()
        .id(id)
        .title(title)
        .severity(ComplianceSeverity::from(severity.as_str()))
        .status(ComplianceStatus::from(status.as_str()))
        .set_details((!details.is_empty()).then_some(details))
        .build()
}

fn ec2_node(info: InstanceInformation) -> Option<Ec2Node> {
    let id = ManagedNodeId::parse(info.instance_id.as_deref()?).ok()?;
    let system: Vec<String> = [info.platform_name, info.platform_version].into_iter().flatten().collect();
    Some(Ec2Node {
        id,
        computer_name: info.computer_name.filter(|name| !name.is_empty()).map(Into::into),
        platform: platform(info.platform_type.as_ref()),
        system: (!system.is_empty()).then(|| system.join(" ").into()),
        agent_version: info.agent_version.map(Into::into),
        ping: ping(info.ping_status.as_ref()),
        last_ping: info.last_ping_date_time.as_ref().and_then(time),
    })
}

/// Compliance of what is no managed node, such as a resource of another kind that AWS may add, is left out.
fn summary(told: ResourceComplianceSummaryItem) -> Option<ComplianceSummary> {
    let node = ManagedNodeId::parse(told.resource_id.as_deref()?).ok()?;
    let status =
        told.status.and_then(|told| Status::ALL.iter().find(|known| known.as_str() == told.as_str()));
    let severity = told.overall_severity;
    let severity =
        severity.and_then(|told| Severity::ALL.iter().find(|known| known.as_str() == told.as_str()));
    let failed = told.non_compliant_summary;
    let by_severity = failed.as_ref().and_then(|failed| failed.severity_summary.as_ref()).map(counts);
    Some(ComplianceSummary {
        node,
        kind: told.compliance_type?.into(),
        status: status.copied(),
        severity: severity.copied(),
        compliant: told.compliant_summary.map_or(0, |summary| number(summary.compliant_count)),
        non_compliant: failed.map_or(0, |summary| number(summary.non_compliant_count)),
        by_severity: by_severity.into_iter().flatten().filter(|(_, count)| *count > 0).collect(),
        at: told.execution_summary.as_ref().and_then(|summary| time(&summary.execution_time)),
        run: told
            .execution_summary
            .and_then(|summary| summary.execution_id)
            .filter(|run| !run.is_empty())
            .map(Into::into),
    })
}

fn counts(told: &SeveritySummary) -> [(Severity, u32); 6] {
    [
        (Severity::Critical, number(told.critical_count)),
        (Severity::High, number(told.high_count)),
        (Severity::Medium, number(told.medium_count)),
        (Severity::Low, number(told.low_count)),
        (Severity::Informational, number(told.informational_count)),
        (Severity::Unspecified, number(told.unspecified_count)),
    ]
}

fn patches(told: &InstancePatchState) -> Option<(ManagedNodeId, Patches)> {
    let count = |told: Option<i32>| number(told.unwrap_or_default());
    let patches = Patches {
        installed: number(told.installed_count),
        missing: number(told.missing_count),
        failed: number(told.failed_count),
        pending_reboot: count(told.installed_pending_reboot_count),
        rejected: count(told.installed_rejected_count),
        critical: count(told.critical_non_compliant_count),
        security: count(told.security_non_compliant_count),
        scanned: time(&told.operation_end_time),
    };
    Some((ManagedNodeId::parse(&told.instance_id).ok()?, patches))
}

/// None where the node has nothing of the type.
fn inventory_of(entity: InventoryResultEntity, type_name: &str) -> Option<InventorySeen> {
    let node = ManagedNodeId::parse(entity.id.as_deref()?).ok()?;
    let item = entity.data?.remove(type_name)?;
    Some(InventorySeen {
        node,
        schema_version: item.schema_version.into(),
        captured: item.capture_time.and_then(|written| written.parse().ok()),
        content_hash: item.content_hash.filter(|hash| !hash.is_empty()).map(Into::into),
        rows: item.content.len(),
    })
}

/// What cannot be a count is none.
fn number(told: i32) -> u32 {
    u32::try_from(told).unwrap_or(0)
}
