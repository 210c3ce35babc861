//! Scripted faults: what goes wrong, at which call, how often. Everything injected is logged and can be read back.

mod apply;
mod hold;

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

pub(crate) use self::apply::{Voice, after, before};
pub use self::hold::{HeldCall, HoldPoint};

use self::hold::Holds;
use crate::dice::Dice;
use crate::vcenter::lock;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FaultEffect {
    /// The answer comes late.
    Delay {
        /// By how many milliseconds.
        milliseconds: u64,
    },
    /// No answer comes; after so many milliseconds the connection is closed.
    Hang {
        /// Until the server gives up.
        milliseconds: u64,
    },
    /// An HTTP status instead of an answer; the call is not executed.
    Status {
        /// The status code.
        code: u16,
    },
    /// The connection is reset; the call is not executed.
    ResetBefore,
    /// The call is executed, then the connection is reset: the answer is lost.
    ResetAfter,
    /// The connection is reset in the middle of the answer.
    ResetMiddle,
    /// A SOAP fault of this type instead of an answer (REST: a vAPI error of that name); the call is not executed.
    SoapFault {
        /// WSDL type, for example `NotAuthenticated`.
        name: String,
    },
    /// Half of the body, with a Content-Length to match: valid HTTP, invalid content.
    Truncate,
    /// The body is damaged in the middle.
    Malformed,
    /// The answer is declared to be a picture.
    WrongContentType,
    /// The answer is in UTF-16 while it says UTF-8.
    WrongEncoding,
    /// A document type with entities that would expand to gigabytes.
    EntityBomb,
    /// An endless body of so many bytes.
    Huge {
        /// Size in bytes.
        bytes: u64,
    },
    /// An answer nested 100,000 elements deep.
    Deep,
    /// The session of the caller ends just before the call.
    ExpireSession,
    /// 200 with no body at all.
    Empty,
    /// The answer comes in small pieces.
    Drip {
        /// Bytes at a time.
        bytes: usize,
        /// Pause between pieces.
        milliseconds: u64,
    },
    /// A web page with status 200, as a proxy or a starting service shows it.
    Html,
    /// An error of AWS with this code, in the form of the service that is called; the call is not executed. A vCenter
    /// answers with the status alone.
    AwsError {
        /// The code, for example `ThrottlingException`.
        code: String,
        /// The HTTP status.
        #[serde(default = "bad_request")]
        status: u16,
        /// The text.
        #[serde(default)]
        message: String,
    },
    /// The call is held when it has arrived, before it has any effect: until it is released, or for ever when its
    /// client goes away, and then it is not executed.
    HoldBefore,
    /// The call is executed and its answer is held, until it is released.
    HoldAfter,
    /// The call is executed, then the vCenter restarts: the answer is lost, sessions and tasks are gone. For another
    /// server it is a reset.
    Restart,
}

fn bad_request() -> u16 {
    400
}

/// When something goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// Name of the vCenter (`vmc` for the VMC service, `aws` for all services of AWS); `*` or nothing: any.
    #[serde(default = "any")]
    pub vcenter: String,
    /// The operation: a SOAP method (`WaitForUpdatesEx`), `REST GET /api/session`, `CSP POST /csp/…`, `VMC GET /vmc/…`.
    /// The word before the method may be left out, and calls of the tagging service and of VMware Cloud have short
    /// names: `GET tag`, `GET category/{id}`, `list-attached-tags-on-objects`, `csp-authorize`, `list-sddcs`, …
    /// Calls of AWS are called `ssm:AddTagsToResource`, `sts:AssumeRole`, `tagging:GetResources`, …
    /// A `*` at the end matches any rest.
    #[serde(default = "any")]
    pub operation: String,
    /// Let so many matching calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// Then hit so many; 0: all further ones.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens to them.
    pub effect: FaultEffect,
}

fn any() -> String {
    "*".to_owned()
}

fn once() -> u32 {
    1
}

impl FaultRule {
    /// One fault at the first call of an operation, on every vCenter.
    pub fn once(operation: &str, effect: FaultEffect) -> Self {
        Self { vcenter: any(), operation: operation.to_owned(), skip: 0, times: 1, effect }
    }
}

/// A fault that was injected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InjectedFault {
    /// Where.
    pub vcenter: String,
    /// At which call.
    pub operation: String,
    /// What.
    pub effect: FaultEffect,
}

/// The operations that a client of the whole surface uses, for generated scripts.
pub const OPERATIONS: &[&str] = &[
    "GET /sdk/vimServiceVersions.xml",
    "RetrieveServiceContent",
    "Login",
    "Logout",
    "SessionIsActive",
    "CurrentTime",
    "CreateContainerView",
    "DestroyView",
    "RetrievePropertiesEx",
    "ContinueRetrievePropertiesEx",
    "CancelRetrievePropertiesEx",
    "CreateFilter",
    "DestroyPropertyFilter",
    "WaitForUpdatesEx",
    "CancelWaitForUpdates",
    "HasPrivilegeOnEntities",
    "CreateCollectorForEvents",
    "ReadNextEvents",
    "SetCollectorPageSize",
    "DestroyCollector",
    "REST POST /api/session",
    "REST GET /api/session",
    "REST DELETE /api/session",
    "REST GET /api/cis/tagging/category",
    "REST GET /api/cis/tagging/category/{id}",
    "REST GET /api/cis/tagging/tag",
    "REST GET /api/cis/tagging/tag/{id}",
    "REST POST /api/cis/tagging/tag-association?action=list-attached-tags-on-objects",
    "REST POST /api/cis/tagging/tag-association?action=list-attached-objects-on-tags",
    "REST POST /rest/com/vmware/cis/session",
    "REST DELETE /rest/com/vmware/cis/session",
    "REST GET /rest/com/vmware/cis/tagging/*",
    "REST POST /rest/com/vmware/cis/tagging/*",
    "CSP POST /csp/gateway/am/api/auth/api-tokens/authorize",
    "CSP POST /csp/gateway/am/api/auth/authorize",
    "VMC GET /vmc/api/orgs/{id}/sddcs",
];

/// The operations of AWS, for generated scripts; apart from [`OPERATIONS`], so that a seed goes on meaning what it meant.
pub const AWS_OPERATIONS: &[&str] = &[
    "sts:GetCallerIdentity",
    "sts:AssumeRole",
    "ssm:DescribeInstanceInformation",
    "ssm:AddTagsToResource",
    "ssm:RemoveTagsFromResource",
    "ssm:ListTagsForResource",
    "ssm:DescribeActivations",
    "ssm:CreateActivation",
    "ssm:DeleteActivation",
    "ssm:DeregisterManagedInstance",
    "ssm:GetParameter",
    "tagging:GetResources",
    "securityhub:BatchImportFindings",
    "securityhub:BatchUpdateFindings",
    "securityhub:GetFindings",
    "securityhub:DescribeHub",
];

/// Guest operations, for generated scripts; apart from [`OPERATIONS`], so that a seed goes on meaning what it meant.
pub const GUEST_OPERATIONS: &[&str] = &[
    "ValidateCredentialsInGuest",
    "CreateTemporaryDirectoryInGuest",
    "InitiateFileTransferToGuest",
    "PUT /guestFile",
    "StartProgramInGuest",
    "ListProcessesInGuest",
    "InitiateFileTransferFromGuest",
    "GET /guestFile",
    "ListFilesInGuest",
    "DeleteDirectoryInGuest",
];

/// Operations that give tasks and follow them, for generated scripts; apart from [`OPERATIONS`], so that a seed goes on
/// meaning what it meant.
pub const TASK_OPERATIONS: &[&str] = &[
    "CreateSnapshot_Task",
    "CreateSnapshotEx_Task",
    "RemoveSnapshot_Task",
    "RemoveAllSnapshots_Task",
    "RevertToSnapshot_Task",
    "RevertToCurrentSnapshot_Task",
    "ConsolidateVMDisks_Task",
    "PowerOnVM_Task",
    "PowerOffVM_Task",
    "CancelTask",
    "CreateListView",
    "ModifyListView",
    "ResetListView",
];

/// Every effect that calls about tasks can meet: those of all calls, a restart, and what hosts say.
pub fn task_effects() -> Vec<FaultEffect> {
    let of_hosts = ["TaskInProgress", "InvalidState", "InvalidPowerState", "FileLocked", "HostNotConnected"];
    let fault = |name: &str| FaultEffect::SoapFault { name: name.to_owned() };
    effects().into_iter().chain(of_hosts.map(fault)).chain([FaultEffect::Restart]).collect()
}

/// A script of faults at calls about tasks from a seed, made like those of [`from_seed`].
pub fn task_from_seed(seed: u64) -> Vec<FaultRule> {
    script(seed, 82, "*", TASK_OPERATIONS, &task_effects())
}

/// Every effect that guest operations can meet: those of all calls, and what guests say.
pub fn guest_effects() -> Vec<FaultEffect> {
    let of_guests = [
        "InvalidGuestLogin",
        "GuestOperationsUnavailable",
        "InvalidPowerState",
        "TaskInProgress",
        "TooManyGuestLogons",
        "FileFault",
    ];
    let fault = |name: &str| FaultEffect::SoapFault { name: name.to_owned() };
    effects().into_iter().chain(of_guests.map(fault)).collect()
}

/// A script of faults at guest operations from a seed, made like those of [`from_seed`].
pub fn guest_from_seed(seed: u64) -> Vec<FaultRule> {
    script(seed, 79, "*", GUEST_OPERATIONS, &guest_effects())
}

/// Every effect that calls of AWS can meet, with moderate numbers.
pub fn aws_effects() -> Vec<FaultEffect> {
    let error = |code: &str, status, message: &str| FaultEffect::AwsError {
        code: code.to_owned(),
        status,
        message: message.to_owned(),
    };
    let of_aws = [
        error("ThrottlingException", 400, "Rate exceeded"),
        error("InternalServerError", 500, "An internal error occurred"),
        error("ServiceUnavailable", 503, "The service is unavailable"),
        error("AccessDeniedException", 400, "User is not authorized to perform this action"),
        error("ExpiredTokenException", 400, "The security token included in the request is expired"),
        error("TooManyUpdates", 400, ""),
    ];
    let general = effects().into_iter().filter(|effect| !matches!(effect, FaultEffect::SoapFault { .. }));
    general.chain(of_aws).collect()
}

/// A script of faults at calls of AWS from a seed, made like those of [`from_seed`].
pub fn aws_from_seed(seed: u64) -> Vec<FaultRule> {
    script(seed, 78, "aws", AWS_OPERATIONS, &aws_effects())
}

/// Every effect, with moderate numbers. Those that concern AWS alone are in [`aws_effects`], and those that wait for a
/// release are in neither.
pub fn effects() -> Vec<FaultEffect> {
    vec![
        FaultEffect::Delay { milliseconds: 300 },
        FaultEffect::Hang { milliseconds: 20_000 },
        FaultEffect::Status { code: 503 },
        FaultEffect::Status { code: 500 },
        FaultEffect::Status { code: 429 },
        FaultEffect::Status { code: 404 },
        FaultEffect::Status { code: 302 },
        FaultEffect::ResetBefore,
        FaultEffect::ResetAfter,
        FaultEffect::ResetMiddle,
        FaultEffect::SoapFault { name: "NotAuthenticated".to_owned() },
        FaultEffect::SoapFault { name: "HostCommunication".to_owned() },
        FaultEffect::SoapFault { name: "ManagedObjectNotFound".to_owned() },
        FaultEffect::SoapFault { name: "InvalidCollectorVersion".to_owned() },
        FaultEffect::Truncate,
        FaultEffect::Malformed,
        FaultEffect::WrongContentType,
        FaultEffect::WrongEncoding,
        FaultEffect::EntityBomb,
        FaultEffect::Huge { bytes: 64 << 20 },
        FaultEffect::Deep,
        FaultEffect::ExpireSession,
        FaultEffect::Empty,
        FaultEffect::Drip { bytes: 512, milliseconds: 2 },
        FaultEffect::Html,
    ]
}

/// A script from a seed. Consecutive seeds walk through every effect at every operation once before anything repeats;
/// how many calls pass first, and how many are hit, is drawn from the seed.
pub fn from_seed(seed: u64) -> Vec<FaultRule> {
    script(seed, 77, "*", OPERATIONS, &effects())
}

fn script(
    seed: u64,
    stream: u64,
    vcenter: &str,
    operations: &[&str],
    effects: &[FaultEffect],
) -> Vec<FaultRule> {
    let pairs = (operations.len() * effects.len()) as u64;
    let at = usize::try_from(seed % pairs).unwrap_or(0);
    let mut dice = Dice::new(seed, stream);
    let first = FaultRule {
        vcenter: vcenter.to_owned(),
        operation: operations[at % operations.len()].to_owned(),
        // Many calls are made once only: the first walk meets those, later ones also meet the later calls of the others.
        skip: if seed < pairs { 0 } else { [0, 1, 2, 5][dice.below(4)] },
        times: [1, 1, 1, 2, 3][dice.below(5)],
        effect: effects[at / operations.len()].clone(),
    };
    let mut rules = vec![first];
    // Troubles come in company in one case of four.
    if dice.chance(25) {
        rules.push(FaultRule {
            vcenter: vcenter.to_owned(),
            operation: (*dice.pick(operations)).to_owned(),
            skip: dice.between(0, 4),
            times: dice.between(1, 3),
            effect: dice.pick(effects).clone(),
        });
    }
    rules
}

#[derive(Debug)]
struct Armed {
    rule: FaultRule,
    seen: u32,
}

/// The rules that are set, and what they did.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    inner: Mutex<(Vec<Armed>, Vec<InjectedFault>)>,
    pub(crate) holds: Holds,
}

impl FaultBook {
    pub(crate) fn add(&self, rules: impl IntoIterator<Item = FaultRule>) {
        lock(&self.inner).0.extend(rules.into_iter().map(|rule| Armed { rule, seen: 0 }));
    }

    pub(crate) fn clear(&self) {
        lock(&self.inner).0.clear();
    }

    pub(crate) fn injected(&self) -> Vec<InjectedFault> {
        lock(&self.inner).1.clone()
    }

    /// Holds a call that has arrived, when its rule says so.
    pub(crate) async fn hold_before(&self, effect: Option<&FaultEffect>, vcenter: &str, operation: &str) {
        if effect == Some(&FaultEffect::HoldBefore) {
            self.holds.wait(vcenter, operation, HoldPoint::Before).await;
        }
    }

    /// Holds the answer of a call that was executed, when its rule says so.
    pub(crate) async fn hold_after(&self, effect: Option<&FaultEffect>, vcenter: &str, operation: &str) {
        if effect == Some(&FaultEffect::HoldAfter) {
            self.holds.wait(vcenter, operation, HoldPoint::After).await;
        }
    }

    /// The effect for this call, when a rule hits it. Every matching rule counts the call; the first that hits wins.
    pub(crate) fn draw(&self, vcenter: &str, operation: &str) -> Option<FaultEffect> {
        let mut inner = lock(&self.inner);
        let (armed, log) = &mut *inner;
        let mut hit = None;
        for one in armed {
            let rule = &one.rule;
            if !(rule.vcenter == "*" || rule.vcenter == vcenter) || !matches(&rule.operation, operation) {
                continue;
            }
            one.seen += 1;
            let due = one.seen > rule.skip && (rule.times == 0 || one.seen <= rule.skip + rule.times);
            if due && hit.is_none() {
                hit = Some(rule.effect.clone());
            }
        }
        if let Some(effect) = &hit {
            log.push(InjectedFault {
                vcenter: vcenter.to_owned(),
                operation: operation.to_owned(),
                effect: effect.clone(),
            });
        }
        hit
    }
}

/// Whether a pattern of a rule means an operation.
pub(crate) fn matches(pattern: &str, operation: &str) -> bool {
    let fits = |name: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    };
    if fits(operation) {
        return true;
    }
    let Some((service @ ("REST" | "CSP" | "VMC"), call)) = operation.split_once(' ') else { return false };
    fits(call) || short_name(service, call).is_some_and(|name| fits(&name))
}

/// The name that people use for a call, whatever its dialect.
fn short_name(service: &str, call: &str) -> Option<String> {
    match service {
        "CSP" => Some("csp-authorize".to_owned()),
        "VMC" => Some(if call.ends_with("/sddcs") { "list-sddcs" } else { "list-orgs" }.to_owned()),
        _ => {
            if let Some((_, action)) = call.split_once("action=") {
                return Some(action.to_owned());
            }
            let (method, path) = call.split_once(' ')?;
            let (_, what) = path.split_once("/cis/tagging/").or_else(|| path.split_once("/cis/"))?;
            Some(format!("{method} {}", what.replace("id:{id}", "{id}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_skips_hits_and_is_done() {
        let book = FaultBook::default();
        book.add([FaultRule { skip: 1, times: 2, ..FaultRule::once("Login", FaultEffect::Empty) }]);
        let hits: Vec<bool> = (0..5).map(|_| book.draw("vc1", "Login").is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert!(book.draw("vc1", "Logout").is_none());
        assert_eq!(book.injected().len(), 2);
    }

    #[test]
    fn seeds_walk_through_every_fault_at_every_call() {
        let pairs = OPERATIONS.len() * effects().len();
        let mut seen = std::collections::HashSet::new();
        for seed in 0..pairs as u64 {
            let rules = from_seed(seed);
            assert_eq!(rules, from_seed(seed));
            seen.insert(format!("{:?}{:?}", rules[0].operation, rules[0].effect));
        }
        assert_eq!(seen.len(), pairs);
    }

    #[test]
    fn seeds_for_aws_walk_through_every_fault_too() {
        let pairs = AWS_OPERATIONS.len() * aws_effects().len();
        let seen: std::collections::HashSet<String> = (0..pairs as u64)
            .map(|seed| {
                let first = aws_from_seed(seed).swap_remove(0);
                assert_eq!(first.vcenter, "aws");
                format!("{:?}{:?}", first.operation, first.effect)
            })
            .collect();
        assert_eq!(seen.len(), pairs);
    }

    #[test]
    fn seeds_for_tasks_walk_through_every_fault_too() {
        let pairs = TASK_OPERATIONS.len() * task_effects().len();
        let seen: std::collections::HashSet<String> = (0..pairs as u64)
            .map(|seed| {
                let first = task_from_seed(seed).swap_remove(0);
                format!("{:?}{:?}", first.operation, first.effect)
            })
            .collect();
        assert_eq!(seen.len(), pairs);
    }

    #[test]
    fn rules_read_as_json() {
        let text = r#"{"operation":"REST GET /api/*","effect":{"kind":"drip","bytes":3,"milliseconds":1}}"#;
        let rule: FaultRule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.times, 1);
        assert!(matches(&rule.operation, "REST GET /api/session"));
    }

    #[test]
    fn calls_have_short_names() {
        for (pattern, operation) in [
            ("POST /api/session", "REST POST /api/session"),
            ("GET tag", "REST GET /api/cis/tagging/tag"),
            ("GET tag/{id}", "REST GET /api/cis/tagging/tag/{id}"),
            ("GET tag/{id}", "REST GET /rest/com/vmware/cis/tagging/tag/id:{id}"),
            ("POST session", "REST POST /rest/com/vmware/cis/session"),
            (
                "list-attached-*",
                "REST POST /api/cis/tagging/tag-association?action=list-attached-tags-on-objects",
            ),
            (
                "list-attached-tags-on-objects",
                "REST POST /rest/com/vmware/cis/tagging/tag-association?~action=list-attached-tags-on-objects",
            ),
            ("csp-authorize", "CSP POST /csp/gateway/am/api/auth/authorize"),
            ("list-sddcs", "VMC GET /vmc/api/orgs/{id}/sddcs"),
        ] {
            assert!(matches(pattern, operation), "{pattern} {operation}");
        }
        assert!(!matches("GET tag", "REST GET /api/cis/tagging/tag/{id}"));
        assert!(!matches("Login", "REST POST /api/session"));
    }
}
