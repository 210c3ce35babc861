//! The findings that Patch Manager itself writes to Security Hub: one more for every scan or installation that leaves a node
//! non-compliant. It says `AwsEc2Instance` of every node, and never looks at its findings again.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::soap::session::random_uuid;

use super::findings::{Moment, Owner};
use super::state::{Region, State};
use super::windows::PatchState;

/// A run that will be over at some time, and what it leaves behind.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub(super) at: Timestamp,
    pub(super) node: String,
    pub(super) leaves: PatchState,
}

/// ARN of the product in a Region.
fn product(region: &str) -> String {
    format!("arn:aws:securityhub:{region}::product/aws/ssm-patch-manager")
}

/// Writes the findings of the runs that are over by now.
pub(super) fn write(state: &mut State, now: Timestamp) {
    let (keep, uptime) = (state.keep(), crate::clock::uptime());
    for ((account, region), held) in &mut state.regions {
        if held.windows.due.iter().all(|due| due.at > now) {
            continue;
        }
        let (over, later) = std::mem::take(&mut held.windows.due).into_iter().partition(|due| due.at <= now);
        held.windows.due = later;
        let known = state.accounts.iter().find(|known| known.id == *account);
        if !known.is_some_and(|known| known.security_hub && known.patch_findings) {
            continue;
        }
        let mut over: Vec<Due> = over;
        over.sort_by_key(|due| due.at);
        for due in over {
            let Some(finding) = finding(held, account, region, &due) else { continue };
            let moment = Moment { date: due.at, now: uptime, keep };
            held.findings.import(finding, Owner { account, region }, moment);
        }
    }
}

/// What is written of a run; nothing when it left the node compliant.
fn finding(held: &Region, account: &str, region: &str, due: &Due) -> Option<Value> {
    held.node(&due.node)?;
    let known = &due.leaves;
    let (operation, start, end) = known.operation?;
    if known.is_compliant() {
        return None;
    }
    let (node, command) = (&due.node, random_uuid());
    let second = |moment: Timestamp| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let id = format!(
        "arn:aws:patchmanager:{region}:{account}:instance/{node}/document/AWS-RunPatchBaseline/run-command/{command}"
    );
    let mut finding = json!({
        "SchemaVersion": "2018-10-08", "Id": id, "ProductArn": product(region), "GeneratorId": command,
        "AwsAccountId": account, "Types": ["Software and Configuration Checks/Patch Management/Compliance"],
        "CreatedAt": second(end), "UpdatedAt": second(end), "Severity": { "Label": "INFORMATIONAL" },
        "Title": "Systems Manager Patch Summary - Managed Instance Non-Compliant",
        "Description": "Patches that the baseline approves are not installed on this managed instance.",
        "Remediation": { "Recommendation": {
            "Text": "Install what is missing.",
            "Url": "https://docs.aws.amazon.com/systems-manager/latest/userguide/patch-compliance-remediation.html",
        } },
        "SourceUrl": format!(
            "https://{region}.console.aws.amazon.com/systems-manager/fleet-manager/{node}/patch?region={region}"
        ),
        "ProductFields": {
            "aws/securityhub/FindingId": format!("{}/{id}", product(region)),
            "aws/securityhub/ProductName": "Systems Manager Patch Manager", "aws/securityhub/CompanyName": "AWS",
        },
        "ProductName": "Systems Manager Patch Manager", "CompanyName": "AWS",
        // Whatever the node is.
        "Resources": [{ "Type": "AwsEc2Instance", "Id": node, "Partition": "aws", "Region": region }],
        "PatchSummary": {
            "Id": "pb-0123456789abcdef0", "InstalledCount": known.installed, "MissingCount": known.missing,
            "FailedCount": known.failed, "InstalledOtherCount": 0, "InstalledRejectedCount": 0,
            "InstalledPendingReboot": known.pending_reboot, "OperationStartTime": second(start),
            "OperationEndTime": second(end), "Operation": operation.to_uppercase(),
        },
    });
    if operation == "Install" {
        finding["PatchSummary"]["RebootOption"] = "RebootIfNeeded".into();
    }
    Some(finding)
}
