//! Security Hub through its SDK.

use std::collections::{BTreeMap, HashMap, HashSet};

use aws_sdk_securityhub as hub;
use aws_sdk_securityhub::types::{
    AwsSecurityFinding, AwsSecurityFindingFilters, AwsSecurityFindingIdentifier, NoteUpdate, StringFilter,
    StringFilterComparison, WorkflowStatus, WorkflowUpdate,
};
use jiff::Timestamp;
use mappings::findings::{Finding, RecordState};

use super::hub::{
    Aggregation, FILTER_VALUES, FINDINGS_AT_ONCE, FindingFault, FindingFilter, FindingKey, FindingOutcome,
    FindingSeen, FindingUpdate, HubState, Linked, NoteSeen, Workflow,
};
use super::port::{Answer, Page, SecurityHub};
use super::sdk::more;
use super::sdk_finding::told;
use super::{AwsError, AwsErrorKind};

impl SecurityHub for hub::Client {
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
            let workflow = update.workflow.and_then(status);
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
        Box::pin(async move {
            debug_assert!(filter.ids.len() <= FILTER_VALUES && filter.workflow.len() <= FILTER_VALUES);
            let answer = self
                .get_findings()
                .filters(filters(filter))
                .max_results(i32::try_from(FINDINGS_AT_ONCE).unwrap_or(i32::MAX))
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of("securityhub:GetFindings", None, &error))?;
            let items = answer.findings.unwrap_or_default();
            Ok(Page { items: items.into_iter().filter_map(seen).collect(), next: more(answer.next_token) })
        })
    }
}

fn identifier(key: &FindingKey) -> AwsSecurityFindingIdentifier {
    AwsSecurityFindingIdentifier::builder().id(key.id.as_str()).product_arn(key.product.as_str()).build()
}

fn key(told: AwsSecurityFindingIdentifier) -> Option<FindingKey> {
    Some(FindingKey { id: told.id?.into(), product: told.product_arn?.into() })
}

/// What can be written.
fn status(workflow: Workflow) -> Option<WorkflowStatus> {
    match workflow {
        Workflow::New => Some(WorkflowStatus::New),
        Workflow::Notified => Some(WorkflowStatus::Notified),
        Workflow::Resolved => Some(WorkflowStatus::Resolved),
        Workflow::Suppressed => Some(WorkflowStatus::Suppressed),
        Workflow::Unknown => None,
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
    let workflow = workflow.iter().copied().filter_map(status).map(|status| equals(status.as_str()));
    AwsSecurityFindingFilters::builder()
        .product_arn(equals(product.as_str()))
        .aws_account_id(equals(account))
        .set_generator_id(prefix.map(|prefix| vec![prefix]))
        .set_record_state(state.map(|state| vec![state]))
        .set_workflow_status(some(workflow.collect()))
        .set_id(some(ids.iter().map(|id| equals(id.as_str())).collect()))
        .build()
}

/// A finding without its identity or its times is of no use: nothing could be done with it.
fn seen(told: AwsSecurityFinding) -> Option<FindingSeen> {
    let moment = |written: Option<String>| written?.parse::<Timestamp>().ok();
    let boxed = |text: Option<String>| text.unwrap_or_default().into_boxed_str();
    let sorted = |fields: Option<HashMap<String, String>>| -> BTreeMap<String, String> {
        fields.unwrap_or_default().into_iter().collect()
    };
    Some(FindingSeen {
        key: FindingKey { id: told.id?.into(), product: told.product_arn?.into() },
        generator: told.generator_id.unwrap_or_default().into(),
        title: boxed(told.title),
        first_observed: moment(told.first_observed_at),
        created: moment(told.created_at)?,
        updated: moment(told.updated_at)?,
        state: match told.record_state {
            Some(hub::types::RecordState::Active) => Some(RecordState::Active),
            Some(hub::types::RecordState::Archived) => Some(RecordState::Archived),
            Some(_) | None => None,
        },
        compliance: told
            .compliance
            .and_then(|compliance| compliance.status)
            .map(|status| status.as_str().to_owned().into_boxed_str()),
        workflow: match told.workflow.and_then(|workflow| workflow.status) {
            Some(WorkflowStatus::New) => Workflow::New,
            Some(WorkflowStatus::Notified) => Workflow::Notified,
            Some(WorkflowStatus::Resolved) => Workflow::Resolved,
            Some(WorkflowStatus::Suppressed) => Workflow::Suppressed,
            Some(_) | None => Workflow::Unknown,
        },
        note: told.note.map(|note| NoteSeen {
            text: boxed(note.text),
            by: boxed(note.updated_by),
            at: moment(note.updated_at),
        }),
        product_fields: sorted(told.product_fields),
        fields: sorted(told.user_defined_fields),
        resources: told
            .resources
            .unwrap_or_default()
            .into_iter()
            .map(|resource| (boxed(resource.r#type), boxed(resource.id)))
            .collect(),
    })
}
