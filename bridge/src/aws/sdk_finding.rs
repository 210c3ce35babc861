//! Findings as the SDK of Security Hub takes them, and back. Everything is taken apart by name, so that nothing that is added to a
//! finding can be forgotten here.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_securityhub::types as sdk;
use jiff::Timestamp;
use mappings::findings::life::{Listed, Workflow, WorkflowStatus};
use mappings::findings::{
    Compliance, Content, Details, Finding, ProviderFields, ProviderSeverity, Recommendation, RecordState,
    Remediation, Resource, Severity, Status, Times,
};

/// What the SDK sends of a finding.
pub(super) fn told(finding: &Finding) -> sdk::AwsSecurityFinding {
    let Finding { content, times } = finding;
    let Content {
        schema_version,
        id,
        product_arn,
        product_name,
        generator_id,
        aws_account_id,
        title,
        description,
        remediation,
        product_fields,
        resources,
        compliance,
        record_state,
        finding_provider_fields,
    } = content;
    let Times { first_observed_at, last_observed_at, created_at, updated_at } = times;
    sdk::AwsSecurityFinding::builder()
        .schema_version(schema_version)
        .id(id.as_str())
        .product_arn(product_arn)
        .product_name(product_name)
        .generator_id(generator_id)
        .aws_account_id(aws_account_id)
        .title(title)
        .description(description)
        .set_remediation(remediation.as_ref().map(remedy))
        .set_product_fields(map(product_fields))
        .set_resources(Some(resources.iter().map(resource).collect()))
        .compliance(checked(compliance))
        .record_state(match record_state {
            RecordState::Active => sdk::RecordState::Active,
            RecordState::Archived => sdk::RecordState::Archived,
        })
        .finding_provider_fields(provided(finding_provider_fields))
        .first_observed_at(written(*first_observed_at))
        .last_observed_at(written(*last_observed_at))
        .created_at(written(*created_at))
        .updated_at(written(*updated_at))
        .build()
}

fn remedy(remediation: &Remediation) -> sdk::Remediation {
    let Remediation { recommendation: Recommendation { text, url } } = remediation;
    let recommendation = sdk::Recommendation::builder().text(text).set_url(url.clone()).build();
    sdk::Remediation::builder().recommendation(recommendation).build()
}

fn resource(resource: &Resource) -> sdk::Resource {
    let Resource { r#type, id, partition, region, tags, details } = resource;
    sdk::Resource::builder()
        .r#type(r#type)
        .id(id)
        .set_partition(partition.as_deref().map(sdk::Partition::from))
        .set_region(region.clone())
        .set_tags(map(tags))
        .set_details(
            details
                .as_ref()
                .map(|Details { other }| sdk::ResourceDetails::builder().set_other(map(other)).build()),
        )
        .build()
}

fn checked(compliance: &Compliance) -> sdk::Compliance {
    let Compliance { status, related_requirements } = compliance;
    sdk::Compliance::builder()
        .status(sdk::ComplianceStatus::from(status.label()))
        .set_related_requirements((!related_requirements.is_empty()).then(|| related_requirements.clone()))
        .build()
}

fn provided(fields: &ProviderFields) -> sdk::FindingProviderFields {
    let ProviderFields { severity: ProviderSeverity { label, original }, types } = fields;
    let severity = sdk::FindingProviderSeverity::builder()
        .label(sdk::SeverityLabel::from(label.label()))
        .original(original)
        .build();
    sdk::FindingProviderFields::builder().severity(severity).set_types(Some(types.clone())).build()
}

fn map(fields: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!fields.is_empty()).then(|| fields.clone().into_iter().collect())
}

/// As the finding's own JSON has it: Security Hub keeps milliseconds.
fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// All of a finding that has the form of ours. What Security Hub adds to it is left out.
pub(super) fn whole(told: &sdk::AwsSecurityFinding) -> Option<Listed> {
    let time = |written: &Option<String>| written.as_ref()?.parse::<Timestamp>().ok();
    let compliance = told.compliance.as_ref()?;
    let provided = told.finding_provider_fields.as_ref()?;
    let severity = provided.severity.as_ref()?;
    let content = Content {
        schema_version: told.schema_version.clone()?,
        id: told.id.as_deref()?.into(),
        product_arn: told.product_arn.clone()?,
        product_name: told.product_name.clone().unwrap_or_default(),
        generator_id: told.generator_id.clone()?,
        aws_account_id: told.aws_account_id.clone()?,
        title: told.title.clone()?,
        description: told.description.clone()?,
        remediation: told.remediation.as_ref().and_then(|remediation| {
            let sdk::Recommendation { text, url, .. } = remediation.recommendation.as_ref()?;
            Some(Remediation { recommendation: Recommendation { text: text.clone()?, url: url.clone() } })
        }),
        product_fields: sorted(told.product_fields.as_ref()),
        resources: told.resources.as_ref()?.iter().map(resource_seen).collect::<Option<_>>()?,
        compliance: Compliance {
            status: status(compliance.status.as_ref()?)?,
            related_requirements: compliance.related_requirements.clone().unwrap_or_default(),
        },
        record_state: state(told.record_state.as_ref()?)?,
        finding_provider_fields: ProviderFields {
            severity: ProviderSeverity {
                label: label(severity.label.as_ref()?)?,
                original: severity.original.clone().unwrap_or_default(),
            },
            types: provided.types.clone().unwrap_or_default(),
        },
    };
    let times = Times {
        first_observed_at: time(&told.first_observed_at)?,
        last_observed_at: time(&told.last_observed_at)?,
        created_at: time(&told.created_at)?,
        updated_at: time(&told.updated_at)?,
    };
    let workflow = told.workflow.as_ref().and_then(workflow).map(|status| Workflow { status });
    Some(Listed { content, times, workflow })
}

fn resource_seen(told: &sdk::Resource) -> Option<Resource> {
    Some(Resource {
        r#type: told.r#type.clone()?,
        id: told.id.clone()?,
        partition: told.partition.as_ref().map(|partition| partition.as_str().to_owned()),
        region: told.region.clone(),
        tags: sorted(told.tags.as_ref()),
        details: told.details.as_ref().map(|details| Details { other: sorted(details.other.as_ref()) }),
    })
}

fn sorted(fields: Option<&HashMap<String, String>>) -> BTreeMap<String, String> {
    fields.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn status(told: &sdk::ComplianceStatus) -> Option<Status> {
    let known = [Status::Passed, Status::NotAvailable, Status::Warning, Status::Failed];
    known.into_iter().find(|status| status.label() == told.as_str())
}

fn label(told: &sdk::SeverityLabel) -> Option<Severity> {
    use Severity::{Critical, High, Informational, Low, Medium};
    [Informational, Low, Medium, High, Critical].into_iter().find(|label| label.label() == told.as_str())
}

/// Whether a finding is there still.
pub(super) fn state(told: &sdk::RecordState) -> Option<RecordState> {
    match told {
        sdk::RecordState::Active => Some(RecordState::Active),
        sdk::RecordState::Archived => Some(RecordState::Archived),
        _ => None,
    }
}

/// How far people are with a finding.
pub(super) fn workflow(told: &sdk::Workflow) -> Option<WorkflowStatus> {
    match told.status.as_ref()? {
        sdk::WorkflowStatus::New => Some(WorkflowStatus::New),
        sdk::WorkflowStatus::Notified => Some(WorkflowStatus::Notified),
        sdk::WorkflowStatus::Suppressed => Some(WorkflowStatus::Suppressed),
        sdk::WorkflowStatus::Resolved => Some(WorkflowStatus::Resolved),
        _ => None,
    }
}
