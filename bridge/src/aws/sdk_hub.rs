//! Security Hub through its SDK.

use std::collections::{HashMap, HashSet};

use aws_sdk_securityhub as hub;
use aws_sdk_securityhub::types::{
    AwsSecurityFinding, AwsSecurityFindingFilters, AwsSecurityFindingIdentifier, NoteUpdate, StringFilter,
    StringFilterComparison, WorkflowUpdate,
};
use mappings::findings::life::WorkflowStatus;
use mappings::findings::patches::Note;
use mappings::findings::{Finding, RecordState};

use super::deep_stack::on_deep_stack;
use super::hub::{
    Aggregation, FILTER_VALUES, FINDINGS_AT_ONCE, FindingFault, FindingFilter, FindingKey, FindingOutcome,
    FindingSeen, FindingUpdate, HubState, Linked,
};
use super::port::{Answer, Page, SecurityHub};
use super::sdk::more;
use super::sdk_finding::{state, told, whole, workflow};
use super::{AwsError, AwsErrorKind};

impl SecurityHub for hub::Client {
    fn in_region(&self, region: &str) -> Self {
        let region = hub::config::Region::new(region.to_owned());
        Self::from_conf(self.config().to_builder().region(region).build())
    }

    fn hub(&self) -> Answer<'_, HubState> {
        Box::pin(async move {
            let answer = self.describe_hub().send().await;
            match answer.map_err(|error| AwsError::of("securityhub:DescribeHub", None, &error)) {
                Ok(_) => Ok(HubState::Enabled),
                // Only the hub of the account itself was asked for.
                Err(error) if matches!(error.kind, AwsErrorKind::NotEnabled | AwsErrorKind::NotFound) => {
                    Ok(HubState::NotEnabled)
                }
                Err(error) => Err(error),
            }
        })
    }

    fn aggregation(&self) -> Answer<'_, Option<Aggregation>> {
        const LIST: &str = "securityhub:ListFindingAggregators";
        const GET: &str = "securityhub:GetFindingAggregator";
        Box::pin(async move {
            let listed = self
                .list_finding_aggregators()
                .send()
                .await
                .map_err(|error| AwsError::of(LIST, None, &error))?;
            // There is one at most, and from every Region the same one is seen.
            let first = listed.finding_aggregators.unwrap_or_default().into_iter().next();
            let Some(arn) = first.and_then(|aggregator| aggregator.finding_aggregator_arn) else {
                return Ok(None);
            };
            let answer = self
                .get_finding_aggregator()
                .finding_aggregator_arn(&arn)
                .send()
                .await
                .map_err(|error| AwsError::of(GET, Some(&arn), &error))?;
            let home = answer
                .finding_aggregation_region
                .ok_or_else(|| AwsError::incomplete(GET, "aggregation Region"))?;
            let regions = answer.regions.unwrap_or_default();
            let linked = match answer.region_linking_mode.as_deref() {
                Some("ALL_REGIONS") => Linked::AllBut(Vec::new()),
                Some("ALL_REGIONS_EXCEPT_SPECIFIED") => Linked::AllBut(regions),
                Some("SPECIFIED_REGIONS") => Linked::Only(regions),
                Some("NO_REGIONS") => Linked::Only(Vec::new()),
                Some(_) | None => Linked::Unknown,
            };
            Ok(Some(Aggregation { home, linked }))
        })
    }

    fn import<'a>(&'a self, findings: &'a [Finding]) -> Answer<'a, Vec<FindingOutcome>> {
        Box::pin(async move {
            let answer = self
                .batch_import_findings()
                .set_findings(Some(findings.iter().map(told).collect()))
                .send()
                .await
                .map_err(|error| AwsError::of("securityhub:BatchImportFindings", None, &error))?;
            let failed = answer.failed_findings.unwrap_or_default();
            let failed = failed.into_iter().filter_map(|failed| {
                let code = failed.error_code.unwrap_or_default();
                let message = failed.error_message.unwrap_or_default();
                Some((failed.id?, FindingFault::of(&code, &message)))
            });
            let failed: HashMap<String, FindingFault> = failed.collect();
            let count = usize::try_from(answer.failed_count.unwrap_or_default()).unwrap_or_default();
            let taken = usize::try_from(answer.success_count.unwrap_or_default()).unwrap_or_default();
            // More failed than are named, or some are not counted at all: of those that are not named nothing is known.
            let all_named = count <= failed.len() && taken + failed.len() >= findings.len();
            Ok(findings
                .iter()
                .map(|finding| match failed.get(finding.content.id.as_str()) {
                    Some(fault) => Err(fault.clone()),
                    None if all_named => Ok(()),
                    None => Err(FindingFault::unmentioned()),
                })
                .collect())
        })
    }

    fn update<'a>(
        &'a self,
        findings: &'a [FindingKey],
        update: &'a FindingUpdate,
    ) -> Answer<'a, Vec<FindingOutcome>> {
        Box::pin(async move {
            let note = update.note.as_ref();
            let note = note.map(|(text, by)| NoteUpdate::builder().text(text).updated_by(by).build());
            let workflow = update.workflow.map(status);
            let workflow = workflow.map(|status| WorkflowUpdate::builder().status(status).build());
            let fields: HashMap<String, String> = update.fields.clone().into_iter().collect();
            let answer = self
                .batch_update_findings()
                .set_finding_identifiers(Some(findings.iter().map(identifier).collect()))
                .set_note(note)
                .set_workflow(workflow)
                .set_user_defined_fields((!fields.is_empty()).then_some(fields))
                .send()
                .await
                .map_err(|error| AwsError::of("securityhub:BatchUpdateFindings", None, &error))?;
            let done: HashSet<FindingKey> =
                answer.processed_findings.unwrap_or_default().into_iter().filter_map(key).collect();
            let failed = answer.unprocessed_findings.unwrap_or_default().into_iter().filter_map(|failed| {
                let code = failed.error_code.unwrap_or_default();
                let message = failed.error_message.unwrap_or_default();
                Some((key(failed.finding_identifier?)?, FindingFault::of(&code, &message)))
            });
            let failed: HashMap<FindingKey, FindingFault> = failed.collect();
            Ok(findings
                .iter()
                .map(|finding| match failed.get(finding) {
                    Some(fault) => Err(fault.clone()),
                    None if done.contains(finding) => Ok(()),
                    None => Err(FindingFault::unmentioned()),
                })
                .collect())
        })
    }

    fn findings<'a>(
        &'a self,
        filter: &'a FindingFilter,
        next: Option<String>,
    ) -> Answer<'a, Page<FindingSeen>> {
        const NAME: &str = "securityhub:GetFindings";
        Box::pin(async move {
            debug_assert!(filter.ids.len() <= FILTER_VALUES && filter.workflow.len() <= FILTER_VALUES);
            let request = self
                .get_findings()
                .filters(filters(filter))
                .max_results(i32::try_from(FINDINGS_AT_ONCE).unwrap_or(i32::MAX))
                .set_next_token(next);
            let asked = on_deep_stack(async move {
                let answer = request.send().await.map_err(|error| AwsError::of(NAME, None, &error))?;
                let items = answer.findings.unwrap_or_default();
                Ok(Page {
                    items: items.into_iter().filter_map(seen).collect(),
                    next: more(answer.next_token),
                })
            });
            asked.await.unwrap_or_else(|error| Err(AwsError::unread(NAME, &error)))
        })
    }
}

fn identifier(key: &FindingKey) -> AwsSecurityFindingIdentifier {
    AwsSecurityFindingIdentifier::builder().id(key.id.as_str()).product_arn(key.product.as_str()).build()
}

fn key(told: AwsSecurityFindingIdentifier) -> Option<FindingKey> {
    Some(FindingKey { id: told.id?.into(), product: told.product_arn?.into() })
}

fn status(workflow: WorkflowStatus) -> hub::types::WorkflowStatus {
    match workflow {
        WorkflowStatus::New => hub::types::WorkflowStatus::New,
        WorkflowStatus::Notified => hub::types::WorkflowStatus::Notified,
        WorkflowStatus::Resolved => hub::types::WorkflowStatus::Resolved,
        WorkflowStatus::Suppressed => hub::types::WorkflowStatus::Suppressed,
    }
}

/// Values of one attribute are alternatives, attributes have to fit all.
fn filters(wanted: &FindingFilter) -> AwsSecurityFindingFilters {
    let FindingFilter { product, account, generator_prefix, state, workflow, ids } = wanted;
    let one = |value: &str, comparison| StringFilter::builder().value(value).comparison(comparison).build();
    let equals = |value: &str| one(value, StringFilterComparison::Equals);
    let some = |values: Vec<StringFilter>| (!values.is_empty()).then_some(values);
    let state = state.map(|state| match state {
        RecordState::Active => equals("ACTIVE"),
        RecordState::Archived => equals("ARCHIVED"),
    });
    let prefix = generator_prefix.as_ref().map(|prefix| one(prefix, StringFilterComparison::Prefix));
    let workflow = workflow.iter().map(|workflow| equals(status(*workflow).as_str()));
    AwsSecurityFindingFilters::builder()
        .product_arn(equals(product.as_str()))
        .aws_account_id(equals(account))
        .set_generator_id(prefix.map(|prefix| vec![prefix]))
        .set_record_state(state.map(|state| vec![state]))
        .set_workflow_status(some(workflow.collect()))
        .set_id(some(ids.iter().map(|id| equals(id.as_str())).collect()))
        .build()
}

/// A finding without its identity or its time is of no use: nothing could be done with it.
fn seen(told: AwsSecurityFinding) -> Option<FindingSeen> {
    let whole = whole(&told).map(Box::new);
    let note = told.note.map(|note| Note {
        text: note.text.unwrap_or_default(),
        updated_by: note.updated_by.unwrap_or_default(),
    });
    Some(FindingSeen {
        key: FindingKey { id: told.id?.into(), product: told.product_arn?.into() },
        updated: told.updated_at?.parse().ok()?,
        state: told.record_state.as_ref().and_then(state),
        workflow: told.workflow.as_ref().and_then(workflow),
        note,
        fields: told.user_defined_fields.unwrap_or_default().into_iter().collect(),
        resources: told
            .resources
            .unwrap_or_default()
            .into_iter()
            .filter_map(|resource| resource.id.map(Into::into))
            .collect(),
        whole,
    })
}
