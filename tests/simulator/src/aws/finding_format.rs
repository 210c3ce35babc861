//! The format of findings, as far as its documentation says more than the service model: lengths, numbers of things, and whose
//! findings somebody may import.

use jiff::Timestamp;
use serde_json::Value;

use super::findings::Owner;
use super::model::Models;
use super::protocol::Service;
use super::validate;

/// The version of the format that there is.
pub(super) const SCHEMA: &str = "2018-10-08";
/// Bytes of one finding.
const LARGEST: usize = 240 * 1024;
/// First parts of finding types.
const NAMESPACES: &[&str] = &[
    "Software and Configuration Checks",
    "TTPs",
    "Effects",
    "Unusual Behaviors",
    "Sensitive Data Identifications",
];
fn is_date(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok())
}

/// What is wrong with a finding beyond its shape, by the format's documentation.
pub(crate) fn problem(finding: &Value, owner: Owner<'_>) -> Option<String> {
    let text = |member: &str| finding[member].as_str().unwrap_or_default();
    for (member, most) in [("Id", 512), ("GeneratorId", 512), ("Title", 256), ("Description", 1024)] {
        if text(member).chars().count() > most {
            return Some(format!("data.{member} should NOT be longer than {most} characters"));
        }
    }
    if text("SchemaVersion") != SCHEMA {
        return Some(format!("data.SchemaVersion should be equal to {SCHEMA}"));
    }
    for member in ["CreatedAt", "UpdatedAt", "FirstObservedAt", "LastObservedAt"] {
        let there = finding.get(member).is_some();
        if there && !is_date(&finding[member]) {
            return Some(format!("data.{member} should match format \"date-time\""));
        }
    }
    if text("AwsAccountId") != owner.account {
        return Some("data.AwsAccountId should be the account of the caller".to_owned());
    }
    let product =
        format!("arn:aws:securityhub:{}:{}:product/{}/default", owner.region, owner.account, owner.account);
    if text("ProductArn") != product {
        return Some(format!("data.ProductArn should be {product}"));
    }
    let resources = finding["Resources"].as_array().map_or(0, Vec::len);
    if !(1..=32).contains(&resources) {
        return Some("data.Resources should have between 1 and 32 items".to_owned());
    }
    for (member, longest) in [("ProductFields", 2048), ("UserDefinedFields", 1024)] {
        let Some(fields) = finding[member].as_object() else { continue };
        if fields.len() > 50 {
            return Some(format!("data.{member} should NOT have more than 50 properties"));
        }
        let long = |(key, value): (&String, &Value)| {
            key.chars().count() > 128 || value.as_str().is_some_and(|value| value.chars().count() > longest)
        };
        if fields.iter().any(long) {
            return Some(format!("data.{member} has a key or value that is too long"));
        }
    }
    let provided = &finding["FindingProviderFields"];
    let severity = [&finding["Severity"], &provided["Severity"]];
    if !severity.iter().any(|severity| severity["Label"].is_string() || severity["Normalized"].is_number()) {
        return Some("data should have required property 'Severity'".to_owned());
    }
    details_problem(finding)
        .or_else(|| types_problem(&finding["Types"]))
        .or_else(|| types_problem(&provided["Types"]))
        .or_else(|| is_too_large(finding).then(|| "the finding is larger than 240 KB".to_owned()))
}

/// What is wrong with a finding that an account is to import in a Region, by the service model and by the format's
/// documentation: for tests of findings that are not sent.
#[must_use]
pub fn finding_faults(finding: &Value, account: &str, region: &str) -> Vec<String> {
    let model = Models::get().of(Service::SecurityHub);
    let faults = validate::check(model, "AwsSecurityFinding", finding);
    let told = faults.iter().map(|fault| fault.text().to_owned());
    told.chain(problem(finding, Owner { account, region })).collect()
}

/// What is wrong with parts of a finding that have limits of their own.
fn details_problem(finding: &Value) -> Option<String> {
    let longer = |value: &Value, most: usize| value.as_str().is_some_and(|text| text.chars().count() > most);
    let items = |value: &Value| value.as_array().map_or(0, Vec::len);
    for (what, value, most) in [
        ("Remediation.Recommendation.Text", &finding["Remediation"]["Recommendation"]["Text"], 512),
        ("Severity.Original", &finding["Severity"]["Original"], 64),
        ("Note.Text", &finding["Note"]["Text"], 512),
        ("ProductName", &finding["ProductName"], 128),
        ("CompanyName", &finding["CompanyName"], 128),
        (
            "FindingProviderFields.Severity.Original",
            &finding["FindingProviderFields"]["Severity"]["Original"],
            64,
        ),
    ] {
        if longer(value, most) {
            return Some(format!("data.{what} should NOT be longer than {most} characters"));
        }
    }
    for (what, value, most) in [
        ("Compliance.RelatedRequirements", &finding["Compliance"]["RelatedRequirements"], 32),
        ("RelatedFindings", &finding["RelatedFindings"], 10),
    ] {
        if items(value) > most {
            return Some(format!("data.{what} should NOT have more than {most} items"));
        }
    }
    for (at, resource) in finding["Resources"].as_array().into_iter().flatten().enumerate() {
        if longer(&resource["Type"], 256) || longer(&resource["Id"], 512) {
            return Some(format!("data.Resources[{at}] has a type or an id that is too long"));
        }
        for (what, fields, most, longest) in
            [("Tags", &resource["Tags"], 50, 256), ("Details.Other", &resource["Details"]["Other"], 50, 1024)]
        {
            let Some(fields) = fields.as_object() else { continue };
            let long = |(key, value): (&String, &Value)| key.chars().count() > 128 || longer(value, longest);
            if fields.len() > most || fields.iter().any(long) {
                return Some(format!(
                    "data.Resources[{at}].{what} has too many fields, or one that is too long"
                ));
            }
        }
    }
    None
}

/// What is wrong with the types of a finding.
fn types_problem(types: &Value) -> Option<String> {
    let types = types.as_array().map_or(&[][..], Vec::as_slice);
    if types.len() > 50 {
        return Some("data.Types should NOT have more than 50 items".to_owned());
    }
    let odd = types.iter().filter_map(Value::as_str).find(|name| {
        let mut parts = name.split('/');
        !parts.next().is_some_and(|first| NAMESPACES.contains(&first)) || parts.count() > 2
    });
    odd.map(|name| format!("data.Types: {name} is not a valid finding type"))
}

/// What is wrong with an update by a customer beyond its shape.
pub(crate) fn update_problem(update: &Value) -> Option<String> {
    let longer = |value: &Value, most: usize| value.as_str().is_some_and(|text| text.chars().count() > most);
    if longer(&update["Note"]["Text"], 512) || longer(&update["Note"]["UpdatedBy"], 512) {
        return Some("Note has a text or an author of more than 512 characters".to_owned());
    }
    if let Some(fields) = update["UserDefinedFields"].as_object() {
        let long = |(key, value): (&String, &Value)| key.chars().count() > 128 || longer(value, 1024);
        if fields.len() > 50 || fields.iter().any(long) {
            return Some("UserDefinedFields has too many fields, or one that is too long".to_owned());
        }
    }
    if update["RelatedFindings"].as_array().is_some_and(|list| list.len() > 10) {
        return Some("RelatedFindings has more than 10 items".to_owned());
    }
    types_problem(&update["Types"])
}

/// Whether a finding is larger than findings may be.
pub(crate) fn is_too_large(finding: &Value) -> bool {
    finding.to_string().len() > LARGEST
}
