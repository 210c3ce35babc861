//! The checks of one `[[aws]]` target: who we are there, and whether everything may be read that has to be.
//!
//! What only writing would show is not tried: nothing is changed by a check.

use futures_util::FutureExt as _;

use super::Setting;
use super::course::{Blocked, Course, Finding};
use super::privileges::SNAPSHOTS;
use super::report::{SourceKind, SourceReport};
use crate::aws::{AwsError, AwsErrorKind, Identity, Node, Services, found_credentials};
use crate::clock;
use crate::config::AwsTarget;

/// The checks in their order.
const PLAN: &[&str] = &["credentials", "identity", "clock", "permission"];

/// What to do about a clock that is wrong.
const CLOCK_FIX: &str = "synchronise the clock of this machine with NTP: `timedatectl`";

/// Checks a target.
pub(super) async fn check(target: &AwsTarget, setting: &Setting<'_>) -> Vec<SourceReport> {
    let address = match &target.endpoint {
        Some(endpoint) => format!("{} ({endpoint})", target.region),
        None => target.region.clone(),
    };
    // A call is tried three times, and the credentials may have to be fetched first.
    let limit = setting.limits.request_timeout * 4;
    let mut course = Course::new(SourceKind::Aws, &target.name, address, limit);
    // What blocked it is in the report.
    let _: Result<(), Blocked> = walk(target, setting, &mut course).await;
    vec![course.finish(PLAN)]
}

async fn walk(target: &AwsTarget, setting: &Setting<'_>, course: &mut Course) -> Result<(), Blocked> {
    let section = format!("[[aws]] {:?}", target.name);
    let services = course.need("credentials", credentials(target, setting, &section)).await?;
    let identity = services.sts.identity().boxed();
    let answer = course.need("identity", async { who(target, &section, identity.await) }).await?;
    let clock = async {
        match answer {
            Who::Known => Finding::pass((), "AWS accepts our signatures"),
            Who::WrongTime(said) => Finding::fail(said, CLOCK_FIX),
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
    Ok(())
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
    Known,
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
            _ => Finding::pass(Who::Known, format!("account {}, {}", identity.account, identity.arn)),
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
        AwsErrorKind::Invalid | AwsErrorKind::NotFound | AwsErrorKind::TooManyTags => {
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
