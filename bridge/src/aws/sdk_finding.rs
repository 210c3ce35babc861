//! Findings as the SDK of Security Hub takes them. Everything is taken apart by name, so that nothing that is added to a finding
//! can be forgotten here; a test compares what goes over the wire with the finding's own JSON.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_securityhub::types as sdk;
use jiff::Timestamp;
use mappings::findings::{
    Compliance, Content, Details, Finding, ProviderFields, ProviderSeverity, Recommendation, RecordState,
    Remediation, Resource, Times,
};

/// What the SDK sends of a finding.
pub(super) fn told(finding: &Finding) -> sdk::AwsSecurityFinding {
    let Finding { content, times } = finding;
    let Content {
        schema_version,
        id,
        product_arn,
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
        .set_details(details.as_ref().map(|Details { other }| {
            sdk::ResourceDetails::builder().set_other(map(other)).build()
        }))
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
