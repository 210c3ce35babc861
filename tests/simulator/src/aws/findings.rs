//! Findings of Security Hub and the rules of their life: what a provider may change after the start, and when a finding
//! that was dealt with opens again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::timeline::Timeline;

/// The version of the format that there is.
const SCHEMA: &str = "2018-10-08";
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
/// What belongs to the customer: a provider sets it when the finding is new, and never again.
const CUSTOMERS: &[&str] = &["Note", "UserDefinedFields", "VerificationState", "Workflow"];

/// What a finding is called: the product and its id.
pub(crate) type FindingKey = (String, String);

/// The findings of a Region.
#[derive(Debug, Default)]
pub(crate) struct Findings(BTreeMap<FindingKey, Timeline<Arc<Value>>>);

/// Whose call it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
}

/// The moment of a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) date: Timestamp,
    pub(crate) now: Duration,
    pub(crate) keep: Duration,
}

pub(crate) fn key(finding: &Value) -> FindingKey {
    let text = |member: &str| finding[member].as_str().unwrap_or_default().to_owned();
    (text("ProductArn"), text("Id"))
}

fn date(finding: &Value, member: &str) -> Option<Timestamp> {
    finding[member].as_str()?.parse().ok()
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
        if there && date(finding, member).is_none() {
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
    let types = finding["Types"].as_array().map_or(&[][..], Vec::as_slice);
    if types.len() > 50 {
        return Some("data.Types should NOT have more than 50 items".to_owned());
    }
    for name in types.iter().filter_map(Value::as_str) {
        let mut parts = name.split('/');
        if !parts.next().is_some_and(|first| NAMESPACES.contains(&first)) || parts.count() > 2 {
            return Some(format!("data.Types: {name} is not a valid finding type"));
        }
    }
    (finding.to_string().len() > LARGEST).then(|| "the finding is larger than 240 KB".to_owned())
}

/// Fills in the half of a severity that was not given.
fn whole_severity(finding: &mut Value) {
    let Some(severity) = finding.get_mut("Severity") else { return };
    let label = severity["Label"].as_str().map(str::to_owned);
    let number = severity["Normalized"].as_i64();
    match (label, number) {
        (Some(label), _) => {
            severity["Normalized"] = match label.as_str() {
                "LOW" => 1,
                "MEDIUM" => 40,
                "HIGH" => 70,
                "CRITICAL" => 90,
                _ => 0,
            }
            .into();
        }
        (None, Some(number)) => {
            severity["Label"] = match number {
                ..=0 => "INFORMATIONAL",
                1..=39 => "LOW",
                40..=69 => "MEDIUM",
                70..=89 => "HIGH",
                _ => "CRITICAL",
            }
            .into();
        }
        (None, None) => {}
    }
}

fn status<'a>(finding: &'a Value, of: &str, member: &str) -> Option<&'a str> {
    finding.get(of)?.get(member)?.as_str()
}

/// Whether a finding that was dealt with has to be looked at again.
fn opens_again(before: &Value, after: &Value) -> bool {
    let dealt_with = matches!(status(before, "Workflow", "Status"), Some("NOTIFIED" | "RESOLVED"));
    let back = before["RecordState"] == "ARCHIVED" && after["RecordState"] == "ACTIVE";
    let fails = status(before, "Compliance", "Status") == Some("PASSED")
        && matches!(status(after, "Compliance", "Status"), Some("FAILED" | "WARNING" | "NOT_AVAILABLE"));
    dealt_with && (back || fails)
}

impl Findings {
    pub(crate) fn all(&self) -> Vec<&Value> {
        self.0.values().map(|line| &**line.now()).collect()
    }

    /// What readers of this moment see, in the order of product and id.
    pub(crate) fn seen(&self, moment: Duration) -> impl Iterator<Item = &Value> {
        self.0.values().filter_map(move |line| line.at(moment)).map(|finding| &**finding)
    }

    /// Takes a finding of a provider; false when it changes nothing because it is no newer, or the same.
    pub(crate) fn import(&mut self, mut finding: Value, owner: Owner<'_>, moment: Moment) -> bool {
        whole_severity(&mut finding);
        let key = key(&finding);
        for (member, value) in [
            ("RecordState", json!("ACTIVE")),
            ("Workflow", json!({ "Status": "NEW" })),
            ("ProductName", json!("Default")),
            ("CompanyName", json!("Personal")),
            ("Region", json!(owner.region)),
        ] {
            if finding.get(member).is_none_or(Value::is_null) {
                finding[member] = value;
            }
        }
        finding["WorkflowState"] = "NEW".into();
        let Some(line) = self.0.get_mut(&key) else {
            finding["ProcessedAt"] = moment.date.to_string().into();
            self.0.insert(key, Timeline::new(moment.now, Arc::new(finding)));
            return true;
        };
        let before = Arc::clone(line.now());
        if date(&finding, "UpdatedAt") <= date(&before, "UpdatedAt") {
            return false;
        }
        for member in CUSTOMERS {
            match before.get(*member) {
                Some(value) => finding[*member] = value.clone(),
                None => {
                    if let Value::Object(members) = &mut finding {
                        members.remove(*member);
                    }
                }
            }
        }
        if opens_again(&before, &finding) {
            finding["Workflow"] = json!({ "Status": "NEW" });
        }
        finding["ProcessedAt"] = moment.date.to_string().into();
        line.set(moment.now, moment.keep, Arc::new(finding));
        true
    }

    /// Lets a customer change a finding; `None` when there is none, else whether anything is different.
    pub(crate) fn update(
        &mut self,
        key: &FindingKey,
        moment: Moment,
        change: impl FnOnce(&mut Value),
    ) -> Option<bool> {
        let line = self.0.get_mut(key)?;
        let before = Arc::clone(line.now());
        let mut after = Value::clone(&before);
        change(&mut after);
        let changed = after != *before;
        if changed {
            line.set(moment.now, moment.keep, Arc::new(after));
        }
        Some(changed)
    }

    /// The finding with this id, of whatever product.
    pub(crate) fn find(&self, id: &str) -> Option<FindingKey> {
        self.0.keys().find(|(_, known)| known == id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner<'static> = Owner { account: "111122220001", region: "eu-central-1" };

    fn moment() -> Moment {
        Moment { date: Timestamp::UNIX_EPOCH, now: Duration::from_secs(1), keep: Duration::ZERO }
    }

    fn finding(minute: u32, status: &str) -> Value {
        json!({
            "SchemaVersion": SCHEMA, "Id": "one", "GeneratorId": "g", "AwsAccountId": OWNER.account,
            "ProductArn": "arn:aws:securityhub:eu-central-1:111122220001:product/111122220001/default",
            "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": format!("2026-01-01T00:{minute:02}:00Z"),
            "Title": "t", "Description": "d", "Resources": [{ "Type": "Other", "Id": "mi-1" }],
            "Compliance": { "Status": status }, "Severity": { "Label": "HIGH" },
            "Types": ["Software and Configuration Checks/Patch Management"],
        })
    }

    #[test]
    fn only_newer_findings_count_and_the_customers_part_stays() {
        let mut findings = Findings::default();
        assert!(findings.import(finding(1, "FAILED"), OWNER, moment()));
        assert!(!findings.import(finding(1, "PASSED"), OWNER, moment()));
        assert!(!findings.import(finding(0, "PASSED"), OWNER, moment()));
        assert_eq!(findings.all()[0]["Severity"], json!({ "Label": "HIGH", "Normalized": 70 }));
        let id = findings.find("one").unwrap();
        let resolve = |finding: &mut Value| finding["Workflow"] = json!({ "Status": "RESOLVED" });
        assert_eq!(findings.update(&id, moment(), resolve), Some(true));
        assert_eq!(findings.update(&id, moment(), resolve), Some(false));
        let mut newer = finding(2, "PASSED");
        newer["Workflow"] = json!({ "Status": "SUPPRESSED" });
        newer["Note"] = json!({ "Text": "x" });
        assert!(findings.import(newer, OWNER, moment()));
        let now = findings.all()[0].clone();
        assert_eq!((&now["Workflow"]["Status"], now.get("Note")), (&json!("RESOLVED"), None));
        // It passed and fails again: somebody has to look at it again.
        findings.import(finding(3, "FAILED"), OWNER, moment());
        assert_eq!(findings.all()[0]["Workflow"]["Status"], "NEW");
    }

    #[test]
    fn what_the_format_forbids_is_told() {
        assert_eq!(problem(&finding(1, "FAILED"), OWNER), None);
        for (member, value) in [
            ("Id", json!("x".repeat(513))),
            ("Title", json!("x".repeat(257))),
            ("SchemaVersion", json!("2019")),
            ("UpdatedAt", json!("yesterday")),
            ("AwsAccountId", json!("999999999999")),
            ("ProductArn", json!("arn:aws:securityhub:us-east-1::product/aws/guardduty")),
            ("Resources", json!([])),
            ("Types", json!(["Patches/Missing"])),
            ("ProductFields", (0..51).map(|n| (n.to_string(), json!("x"))).collect()),
            ("SourceUrl", json!("x".repeat(240 * 1024))),
        ] {
            let mut finding = finding(1, "FAILED");
            finding[member] = value;
            assert!(problem(&finding, OWNER).is_some(), "{member}");
        }
    }
}
