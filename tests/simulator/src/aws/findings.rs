//! Findings of Security Hub and the rules of their life: what a provider may change after the start, and when a finding
//! that was dealt with opens again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::model::Models;
use super::protocol::Service;
use super::timeline::Timeline;
use super::validate;

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
/// What a provider says in `FindingProviderFields`. It shows above as well, until a customer says something else there.
const PROVIDERS: &[&str] = &["Confidence", "Criticality", "RelatedFindings", "Severity", "Types"];
/// How long a finding is kept that nobody updates: while it is active, and when it was archived.
const KEPT: [SignedDuration; 2] = [SignedDuration::from_hours(90 * 24), SignedDuration::from_hours(30 * 24)];

/// What a finding is called: the product and its id.
pub(crate) type FindingKey = (String, String);

/// The findings of a Region.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    held: BTreeMap<FindingKey, Held>,
    /// No finding is too old before this moment.
    next: Option<Timestamp>,
}

/// A finding with its past.
#[derive(Debug)]
struct Held {
    line: Timeline<Arc<Value>>,
    /// When anybody updated it last.
    touched: Timestamp,
    /// Members of [`PROVIDERS`] that a customer has set.
    taken: BTreeSet<String>,
}

impl Held {
    /// When it is forgotten.
    fn until(&self) -> Timestamp {
        let [active, archived] = KEPT;
        let kept = if self.line.now()["RecordState"] == "ARCHIVED" { archived } else { active };
        self.touched.checked_add(kept).unwrap_or(Timestamp::MAX)
    }
}

/// The next writes of findings that are to fail.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    /// `BatchImportFindings` or `BatchUpdateFindings`.
    pub(crate) operation: String,
    /// Ids; with a `*` at the end all that begin so.
    pub(crate) id: String,
    pub(crate) times: u32,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The failure that a write of a finding is to meet, used up by this.
pub(crate) fn fails(all: &mut Vec<Failing>, operation: &str, id: &str) -> Option<(String, String)> {
    let hit = all
        .iter_mut()
        .find(|failing| failing.operation == operation && crate::fault::matches(&failing.id, id))?;
    let told = (hit.code.clone(), hit.message.clone());
    hit.times = hit.times.saturating_sub(1);
    all.retain(|failing| failing.times > 0);
    Some(told)
}

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

/// Fills in the half of a severity that was not given.
pub(crate) fn whole_severity(finding: &mut Value) {
    let Some(severity) = finding.get_mut("Severity").filter(|severity| severity.is_object()) else { return };
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

/// Puts what a provider says where it belongs: among its own fields, and above.
fn provide(finding: &mut Value) {
    for member in PROVIDERS {
        let own = finding["FindingProviderFields"].get(*member).filter(|value| !value.is_null()).cloned();
        let above = finding.get(*member).filter(|value| !value.is_null()).cloned();
        match (own, above) {
            (Some(own), _) => {
                finding[*member] = own;
                if *member == "Severity" {
                    whole_severity(finding);
                }
            }
            (None, Some(above)) => {
                let mut own = above;
                if *member == "Severity"
                    && let Value::Object(parts) = &mut own
                {
                    parts.retain(|part, _| part == "Label" || part == "Original");
                }
                if !finding["FindingProviderFields"].is_object() {
                    finding["FindingProviderFields"] = json!({});
                }
                finding["FindingProviderFields"][*member] = own;
            }
            (None, None) => {}
        }
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
        self.held.values().map(|held| &**held.line.now()).collect()
    }

    /// What readers of this moment see after a key, in the order of product and id.
    pub(crate) fn seen(
        &self,
        moment: Duration,
        after: Option<FindingKey>,
    ) -> impl Iterator<Item = (&FindingKey, &Value)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.held.range((after, Bound::Unbounded));
        range.filter_map(move |(key, held)| Some((key, &**held.line.at(moment)?)))
    }

    /// Forgets what was not updated for too long.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        self.held.retain(|_, held| held.until() > now);
        self.next = self.held.values().map(Held::until).min();
    }

    fn watch(&mut self, until: Timestamp) {
        self.next = Some(self.next.map_or(until, |next| next.min(until)));
    }

    /// Takes a finding of a provider; false when it changes nothing because it is no newer, or the same.
    pub(crate) fn import(&mut self, mut finding: Value, owner: Owner<'_>, moment: Moment) -> bool {
        whole_severity(&mut finding);
        provide(&mut finding);
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
        let Some(held) = self.held.get_mut(&key) else {
            finding["ProcessedAt"] = moment.date.to_string().into();
            let line = Timeline::new(moment.now, Arc::new(finding));
            let held = Held { line, touched: moment.date, taken: BTreeSet::new() };
            let until = held.until();
            self.held.insert(key, held);
            self.watch(until);
            return true;
        };
        let before = Arc::clone(held.line.now());
        if date(&finding, "UpdatedAt") <= date(&before, "UpdatedAt") {
            return false;
        }
        let taken = held.taken.iter().map(String::as_str);
        for member in CUSTOMERS.iter().copied().chain(taken) {
            match before.get(member) {
                Some(value) => finding[member] = value.clone(),
                None => {
                    if let Value::Object(members) = &mut finding {
                        members.remove(member);
                    }
                }
            }
        }
        if opens_again(&before, &finding) {
            finding["Workflow"] = json!({ "Status": "NEW" });
        }
        finding["ProcessedAt"] = moment.date.to_string().into();
        held.line.set(moment.now, moment.keep, Arc::new(finding));
        held.touched = moment.date;
        let until = held.until();
        self.watch(until);
        true
    }

    /// Lets a customer change a finding; `None` when there is none, else whether anything is different.
    pub(crate) fn update(
        &mut self,
        key: &FindingKey,
        moment: Moment,
        change: impl FnOnce(&mut Value),
    ) -> Option<bool> {
        let held = self.held.get_mut(key)?;
        let before = Arc::clone(held.line.now());
        let mut after = Value::clone(&before);
        change(&mut after);
        let changed = after != *before;
        if changed {
            let set = PROVIDERS.iter().filter(|member| after.get(**member) != before.get(**member));
            held.taken.extend(set.map(|member| (*member).to_owned()));
            held.line.set(moment.now, moment.keep, Arc::new(after));
        }
        held.touched = moment.date;
        let until = held.until();
        self.watch(until);
        Some(changed)
    }

    /// The finding with this key as it is now.
    pub(crate) fn now(&self, key: &FindingKey) -> Option<&Value> {
        self.held.get(key).map(|held| &**held.line.now())
    }

    /// The finding with this id, of whatever product.
    pub(crate) fn find(&self, id: &str) -> Option<FindingKey> {
        self.held.keys().find(|(_, known)| known == id).cloned()
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

    fn at(hours: i64) -> Moment {
        Moment { date: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours), ..moment() }
    }

    fn forgotten_after(hours: i64, findings: &mut Findings) -> bool {
        findings.forget(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours));
        findings.all().is_empty()
    }

    #[test]
    fn a_finding_is_kept_for_some_time_after_its_last_update() {
        let day = 24;
        let mut findings = Findings::default();
        findings.import(finding(1, "FAILED"), OWNER, at(0));
        assert!(!forgotten_after(89 * day, &mut findings));
        // Importing the same again is no update; one by a customer is.
        assert!(!findings.import(finding(1, "FAILED"), OWNER, at(80 * day)));
        let key = findings.find("one").unwrap();
        findings.update(&key, at(60 * day), |finding| finding["Workflow"] = json!({ "Status": "NOTIFIED" }));
        assert!(!forgotten_after(149 * day, &mut findings));
        let archive = |finding: &mut Value| finding["RecordState"] = "ARCHIVED".into();
        findings.update(&key, at(149 * day), archive);
        assert!(!forgotten_after(178 * day, &mut findings));
        assert!(forgotten_after(179 * day, &mut findings));
        assert!(findings.import(finding(1, "FAILED"), OWNER, at(180 * day)));
    }

    #[test]
    fn a_providers_fields_show_until_a_customer_sets_them() {
        let mut findings = Findings::default();
        let provided = |minute, label: &str| {
            let mut finding = finding(minute, "FAILED");
            finding.as_object_mut().unwrap().remove("Severity");
            finding["FindingProviderFields"] = json!({ "Severity": { "Label": label } });
            finding
        };
        findings.import(provided(1, "HIGH"), OWNER, moment());
        assert_eq!(findings.all()[0]["Severity"], json!({ "Label": "HIGH", "Normalized": 70 }));
        assert_eq!(
            findings.all()[0]["FindingProviderFields"]["Types"],
            json!(["Software and Configuration Checks/Patch Management"])
        );
        findings.import(provided(2, "LOW"), OWNER, moment());
        assert_eq!(findings.all()[0]["Severity"]["Normalized"], 1);
        let key = findings.find("one").unwrap();
        findings.update(&key, moment(), |finding| finding["Severity"] = json!({ "Label": "MEDIUM" }));
        findings.import(provided(3, "CRITICAL"), OWNER, moment());
        let now = findings.all()[0];
        assert_eq!(
            (&now["Severity"]["Label"], &now["FindingProviderFields"]["Severity"]["Label"]),
            (&json!("MEDIUM"), &json!("CRITICAL"))
        );
    }

    #[test]
    fn what_was_dealt_with_opens_again_only_when_it_is_back() {
        // Workflow before, what the provider says before and after, workflow after.
        for (workflow, before, after, wanted) in [
            ("RESOLVED", ("PASSED", "ACTIVE"), ("FAILED", "ACTIVE"), "NEW"),
            ("NOTIFIED", ("PASSED", "ACTIVE"), ("WARNING", "ACTIVE"), "NEW"),
            ("NOTIFIED", ("PASSED", "ACTIVE"), ("NOT_AVAILABLE", "ACTIVE"), "NEW"),
            ("RESOLVED", ("FAILED", "ARCHIVED"), ("FAILED", "ACTIVE"), "NEW"),
            ("RESOLVED", ("FAILED", "ACTIVE"), ("FAILED", "ACTIVE"), "RESOLVED"),
            ("RESOLVED", ("FAILED", "ACTIVE"), ("PASSED", "ARCHIVED"), "RESOLVED"),
            ("RESOLVED", ("WARNING", "ACTIVE"), ("FAILED", "ACTIVE"), "RESOLVED"),
            ("SUPPRESSED", ("PASSED", "ARCHIVED"), ("FAILED", "ACTIVE"), "SUPPRESSED"),
        ] {
            let told = |minute, (status, record): (&str, &str)| {
                let mut finding = finding(minute, status);
                finding["RecordState"] = record.into();
                finding
            };
            let mut findings = Findings::default();
            findings.import(told(1, before), OWNER, moment());
            let key = findings.find("one").unwrap();
            findings.update(&key, moment(), |finding| finding["Workflow"] = json!({ "Status": workflow }));
            findings.import(told(2, after), OWNER, moment());
            assert_eq!(findings.all()[0]["Workflow"]["Status"], wanted, "{workflow} {before:?} {after:?}");
        }
    }

    #[test]
    fn failures_are_used_up() {
        let failing = |id: &str, times| Failing {
            operation: "BatchImportFindings".to_owned(),
            id: id.to_owned(),
            times,
            code: "InternalFailure".to_owned(),
            message: String::new(),
        };
        let mut all = vec![failing("vm/*", 2)];
        let mut fails = |operation, id| fails(&mut all, operation, id).is_some();
        assert!(!fails("BatchUpdateFindings", "vm/1") && !fails("BatchImportFindings", "host/1"));
        assert!(fails("BatchImportFindings", "vm/1") && fails("BatchImportFindings", "vm/2"));
        assert!(!fails("BatchImportFindings", "vm/3"));
    }

    #[test]
    fn what_the_format_forbids_is_told() {
        assert_eq!(problem(&finding(1, "FAILED"), OWNER), None);
        assert_eq!(finding_faults(&finding(1, "FAILED"), OWNER.account, OWNER.region), Vec::<String>::new());
        let odd = finding_faults(&finding(1, "SOMETIMES"), OWNER.account, OWNER.region);
        assert!(odd[0].contains("compliance.status"), "{odd:?}");
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
