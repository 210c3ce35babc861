use super::*;
use crate::aws::finding_format::{SCHEMA, finding_faults, problem};

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
