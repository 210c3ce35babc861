//! The checks of one `[[aws]]` target: who we are there, and whether everything may be read that has to be.
//!
//! What only writing would show is not tried: nothing is changed by a check.

use futures_util::FutureExt as _;

use super::Setting;
use super::course::{Blocked, Course, Finding};
use super::privileges::SNAPSHOTS;
use super::report::{SourceKind, SourceReport};
use crate::aws::{
    AwsError, AwsErrorKind, FindingFilter, HubState, Identity, ManagedNodeId, Node, Place, Services,
    found_credentials,
};
use crate::clock;
use crate::config::{AwsTarget, Config, Mode};

/// The checks in their order.
const PLAN: &[&str] = &["credentials", "identity", "clock", "permission"];

/// What to do about a clock that is wrong.
const CLOCK_FIX: &str = "synchronise the clock of this machine with NTP: `timedatectl`";

/// Checks a target.
pub(super) async fn check(target: &AwsTarget, config: &Config, setting: &Setting<'_>) -> Vec<SourceReport> {
    let address = match &target.endpoint {
        Some(endpoint) => format!("{} ({endpoint})", target.region),
        None => target.region.clone(),
    };
    // A call is tried three times, and the credentials may have to be fetched first.
    let limit = setting.limits.request_timeout * 4;
    let mut course = Course::new(SourceKind::Aws, &target.name, address, limit);
    // What blocked it is in the report.
    let _: Result<(), Blocked> = walk(target, config, setting, &mut course).await;
    vec![course.finish(PLAN)]
}

async fn walk(
    target: &AwsTarget,
    config: &Config,
    setting: &Setting<'_>,
    course: &mut Course,
) -> Result<(), Blocked> {
    let section = format!("[[aws]] {:?}", target.name);
    let services = course.need("credentials", credentials(target, setting, &section)).await?;
    let identity = services.sts.identity().boxed();
    let answer = course.need("identity", async { who(target, &section, identity.await) }).await?;
    let clock = async {
        match &answer {
            Who::Known(_) => Finding::pass((), "AWS accepts our signatures"),
            Who::WrongTime(said) => Finding::fail(said.clone(), CLOCK_FIX),
        }
    };
    course.need("clock", clock).await?;
    let nodes = course
        .try_it("permission ssm:DescribeInstanceInformation", async {
            permitted(services.ssm.nodes(None).await, |page| {
                let more = if page.next.is_some() { " and more" } else { "" };
                format!("{} hybrid nodes{more}", page.items.len())
            })
        })
        .await;
    course
        .try_it("permission ssm:DescribeActivations", async {
            permitted(services.ssm.activations(None).await, |_| "allowed".to_owned())
        })
        .await;
    course
        .try_it("permission tag:GetResources", async {
            permitted(services.tagging.node_tags(None).await, |_| "allowed".to_owned())
        })
        .await;
    let node: Option<Node> = nodes.and_then(|page| page.items.into_iter().next());
    course
        .try_it("permission ssm:ListTagsForResource", async {
            let Some(node) = &node else {
                return Finding::pass((), "not tried: there is no node to try it on");
            };
            let tags = services.ssm.tags_of(&node.id).await;
            // One that was deregistered meanwhile was looked for, so that was allowed.
            let gone = tags.as_ref().is_err_and(|error| error.kind == AwsErrorKind::NotFound);
            if gone {
                Finding::pass((), "allowed")
            } else {
                permitted(tags.map(drop), |()| "allowed".to_owned())
            }
        })
        .await;
    if setting.capabilities.iter().any(|(capability, _)| capability.name == SNAPSHOTS) {
        windows(course, &services, node.as_ref()).await;
    }
    reports(course, config, &services, node.as_ref()).await;
    if let Who::Known(account) = &answer {
        hub(course, config.findings.mode, &services, &Place::new(account, target.hub_region())).await;
    }
    Ok(())
}

/// What is read of inventory and compliance. What is only observed does not need it yet.
async fn reports(course: &mut Course, config: &Config, services: &Services, node: Option<&Node>) {
    let reports = &services.reports;
    if config.inventory.mode != Mode::Off {
        course
            .try_it("permission ssm:GetInventory", async {
                let answer = reports.inventory(mappings::inventory::VM_TYPE, None).await;
                // Before the first VM was told of, nobody knows the type.
                let unknown = answer.as_ref().is_err_and(|error| error.kind == AwsErrorKind::Invalid);
                if unknown {
                    return Finding::pass((), "allowed; nothing was put yet");
                }
                needed(config.inventory.mode, answer.map(drop))
            })
            .await;
    }
    if config.compliance.mode == Mode::Off {
        return;
    }
    course
        .try_it("permission ssm:ListResourceComplianceSummaries", async {
            needed(config.compliance.mode, reports.compliance(&["Association"], None).await.map(drop))
        })
        .await;
    if let Some(node) = node.and_then(|node| ManagedNodeId::parse(node.id.as_str()).ok()) {
        course
            .try_it("permission ssm:DescribeInstancePatchStates for compliance", async {
                let answer = reports.patches(std::slice::from_ref(&node), None).await;
                needed(config.compliance.mode, answer.map(drop))
            })
            .await;
    }
}

/// Whether findings can go where they are to go.
async fn hub(course: &mut Course, mode: Mode, services: &Services, place: &Place) {
    if mode == Mode::Off {
        return;
    }
    let state = course
        .try_it("Security Hub", async {
            match services.hub.hub().await {
                Ok(HubState::Enabled) => {
                    Finding::pass(HubState::Enabled, format!("enabled in {}", place.region()))
                }
                Ok(HubState::NotEnabled) => {
                    let detail = format!("not enabled in {}", place.region());
                    let fix = AwsErrorKind::NotEnabled.fix().unwrap_or_default();
                    missing(mode, HubState::NotEnabled, detail, fix)
                }
                Err(error) => needed(mode, Err(error)).map(|()| HubState::NotEnabled),
            }
        })
        .await;
    if state != Some(HubState::Enabled) {
        return;
    }
    course
        .try_it("permission securityhub:GetFindings", async {
            needed(mode, services.hub.findings(&FindingFilter::ours(place), None).await.map(drop))
        })
        .await;
    course
        .try_it("aggregation Region", async {
            let region = place.region();
            match services.hub.aggregation().await {
                Ok(None) => Finding::pass((), "none: findings stay in their Region"),
                Ok(Some(found)) if found.home == region => {
                    Finding::pass((), format!("this one, {region}; findings of other Regions are here too"))
                }
                Ok(Some(found)) => match found.covers(region) {
                    Some(true) => {
                        Finding::pass((), format!("{}; Security Hub copies findings there", found.home))
                    }
                    Some(false) => Finding::warn(
                        (),
                        format!("{}; findings of {region} are not copied there", found.home),
                        format!("link {region} to it, or set `findings_region = \"{}\"`", found.home),
                    ),
                    None => {
                        Finding::pass((), format!("{}; whether {region} is linked is not known", found.home))
                    }
                },
                // It is told to people, and needed by nothing.
                Err(error) if error.kind == AwsErrorKind::Denied => {
                    Finding::pass((), "not known: asking for it is not permitted, which does no harm")
                }
                Err(error) => needed(Mode::Observe, Err(error)),
            }
        })
        .await;
}

/// What a capability needs in order to do its work; as long as it is only observed, nothing fails for want of it.
fn needed<T: Default>(mode: Mode, answer: Result<T, AwsError>) -> Finding<T> {
    match answer {
        Ok(value) => Finding::pass(value, "allowed"),
        Err(error) => {
            let fix = match error.kind {
                AwsErrorKind::Denied => format!("grant {}: docs/iam.md has the policies", error.operation),
                _ => remedy(&error, "this [[aws]] target"),
            };
            missing(mode, T::default(), error.to_string(), &fix)
        }
    }
}

fn missing<T>(mode: Mode, value: T, detail: String, fix: &str) -> Finding<T> {
    match mode {
        Mode::Off | Mode::Observe => Finding::warn(value, detail, format!("before it is enforced: {fix}")),
        Mode::Enforce => Finding::fail(detail, fix),
    }
}

/// What snapshots read of maintenance windows and patches, as far as there is something to try it on. What comes of an
/// execution is read later, and not tried.
async fn windows(course: &mut Course, services: &Services, node: Option<&Node>) {
    let ssm = &services.ssm;
    let listed = course
        .try_it("permission ssm:DescribeMaintenanceWindows", async {
            permitted(ssm.windows(None).await, |page| {
                let more = if page.next.is_some() { " and more" } else { "" };
                format!("{} maintenance windows{more}", page.items.len())
            })
        })
        .await;
    let window = listed.and_then(|page| page.items.into_iter().next()).map(|window| window.id);
    if let Some(window) = window {
        let now = clock::now();
        let asked = [
            ("Schedule", ssm.window_schedule(&window).map(|answer| answer.map(drop)).boxed()),
            ("Targets", ssm.window_targets(&window, None).map(|answer| answer.map(drop)).boxed()),
            ("Tasks", ssm.window_tasks(&window, None).map(|answer| answer.map(drop)).boxed()),
            ("Executions", ssm.window_executions(&window, now, None).map(|answer| answer.map(drop)).boxed()),
        ];
        for (what, answer) in asked {
            let check = format!("permission ssm:DescribeMaintenanceWindow{what}");
            course.try_it(&check, async { permitted(answer.await, |()| "allowed".to_owned()) }).await;
        }
    }
    if let Some(node) = node {
        let nodes = std::slice::from_ref(&node.id);
        course
            .try_it("permission ssm:DescribeInstancePatchStates", async {
                permitted(ssm.patch_states(nodes, None).await, |_| "allowed".to_owned())
            })
            .await;
    }
}

/// Finds the credentials, as every call will.
async fn credentials(target: &AwsTarget, setting: &Setting<'_>, section: &str) -> Finding<Services> {
    let services = match Services::connect(target, setting.limits).await {
        Ok(services) => services,
        Err(error) => return Finding::fail(error.to_string(), format!("correct `ca_file` in {section}")),
    };
    match found_credentials(target, setting.limits).await {
        Ok(key) => {
            let role = target.role_arn.as_ref().map(|role| format!(", with the role {role}"));
            Finding::pass(services, format!("access key {key}{}", role.unwrap_or_default()))
        }
        Err(error) => {
            let fix = match (&target.role_arn, &target.profile) {
                (Some(role), _) => format!(
                    "let the trust policy of {role} name these credentials (and `external_id`), and allow them sts:AssumeRole on it: docs/iam.md"
                ),
                (None, Some(profile)) => format!(
                    "see to the profile {profile:?} in the AWS configuration files, or correct `profile` in {section}"
                ),
                (None, None) => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a `profile`, or give this machine a role; IAM Roles Anywhere is a profile with `credential_process`".to_owned(),
            };
            Finding::fail(error, fix)
        }
    }
}

/// What asking who we are gave.
#[derive(Debug, PartialEq, Eq)]
enum Who {
    /// As this account.
    Known(String),
    /// AWS refuses our signatures because of the time in them.
    WrongTime(String),
}

fn who(target: &AwsTarget, section: &str, answer: Result<Identity, AwsError>) -> Finding<Who> {
    match answer {
        Ok(identity) => match &target.account {
            Some(wanted) if *wanted != identity.account => Finding::fail(
                format!("account {}, and not {wanted}: {}", identity.account, identity.arn),
                format!("use credentials of account {wanted}, or correct `account` in {section}"),
            ),
            _ => {
                let said = format!("account {}, {}", identity.account, identity.arn);
                Finding::pass(Who::Known(identity.account), said)
            }
        },
        Err(error) if is_about_time(&error) => Finding::warn(
            Who::WrongTime(error.to_string()),
            "not known: AWS refuses the time of the request",
            CLOCK_FIX,
        ),
        Err(error) => {
            let fix = match error.kind {
                AwsErrorKind::Credentials => {
                    "the access key is wrong, inactive or expired: replace it".to_owned()
                }
                _ => remedy(&error, section),
            };
            Finding::fail(error.to_string(), fix)
        }
    }
}

fn permitted<T>(answer: Result<T, AwsError>, detail: impl FnOnce(&T) -> String) -> Finding<T> {
    match answer {
        Ok(value) => {
            let detail = detail(&value);
            Finding::pass(value, detail)
        }
        Err(error) => {
            let fix = match error.kind {
                AwsErrorKind::Denied => format!("grant {}: docs/iam.md has the policies", error.operation),
                _ => remedy(&error, "this [[aws]] target"),
            };
            Finding::fail(error.to_string(), fix)
        }
    }
}

/// Signatures are good for five minutes before and after.
fn is_about_time(error: &AwsError) -> bool {
    ["Signature expired", "Signature not yet current", "RequestTimeTooSkewed", "RequestExpired"]
        .iter()
        .any(|sign| error.detail.contains(sign))
}

fn remedy(error: &AwsError, section: &str) -> String {
    match error.kind {
        AwsErrorKind::NotSent | AwsErrorKind::Lost => format!(
            "let this machine reach the endpoints of sts, ssm and tagging in the Region (name resolution, firewall, proxy), and see to `endpoint` and `ca_file` in {section}"
        ),
        AwsErrorKind::Throttled => "other users of the account make too many calls; try again".to_owned(),
        AwsErrorKind::Server => {
            "AWS has trouble of its own; try again, and see its health dashboard".to_owned()
        }
        AwsErrorKind::TooManyTypes | AwsErrorKind::NotEnabled => {
            error.kind.fix().unwrap_or_default().to_owned()
        }
        AwsErrorKind::Invalid
        | AwsErrorKind::NotFound
        | AwsErrorKind::OtherContent
        | AwsErrorKind::TooManyTags => {
            format!("is `region` in {section} right, and is Systems Manager offered there?")
        }
        AwsErrorKind::Credentials | AwsErrorKind::Denied => {
            "see to the credentials and their policies: docs/iam.md".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_not_taken_for_a_wrong_key() {
        let said = |detail: &str| AwsError {
            operation: "sts:GetCallerIdentity",
            object: None,
            kind: AwsErrorKind::Credentials,
            detail: detail.to_owned(),
        };
        let expired = "SignatureDoesNotMatch: Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z (20260101T011500Z - 15 min.)";
        assert!(is_about_time(&said(expired)));
        assert!(is_about_time(&said("InvalidSignatureException: Signature not yet current: …")));
        assert!(!is_about_time(&said(
            "InvalidClientTokenId: The security token included in the request is invalid."
        )));
        assert!(!is_about_time(&said(
            "SignatureDoesNotMatch: The request signature we calculated does not match"
        )));
    }
}
