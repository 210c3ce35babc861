//! The forms in which compliance is told.

use std::collections::BTreeMap;

use mappings::checks::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The form of the table.
pub const COMPLIANCE_SCHEMA: &str = "vmbridge.compliance/1";
/// The form of the auditor's report.
pub const AUDIT_SCHEMA: &str = "vmbridge.audit/1";
/// The form of the list of rules.
pub const RULES_SCHEMA: &str = "vmbridge.rules/1";

/// What `vmbridge check-rules --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RulesDocument {
    /// `vmbridge.rules/1`.
    pub schema: String,
    /// The rules that apply, by kind, family and id. Nothing is evaluated, so that they have no results.
    pub rules: Vec<RuleDocument>,
}

/// Which machines are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComplianceQuery {
    /// VMs that any of these selects, and nothing that is no VM; everything if there are none.
    pub selectors: Vec<String>,
    /// VMs of these vCenters or organisations, and nothing that is no VM; everything if there are none.
    pub vcenters: Vec<String>,
    /// Only what fails this rule, with its evidence.
    pub rule: Option<String>,
    /// Only machines in the window with this id or name.
    pub window: Option<String>,
    /// Only machines of this target.
    pub target: Option<String>,
}

/// What the auditor's report is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditQuery {
    /// Which machines.
    pub scope: ComplianceQuery,
    /// With what is as it should be, and what rules are not about.
    pub all: bool,
}

/// What `vmbridge compliance --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComplianceDocument {
    /// `vmbridge.compliance/1`.
    pub schema: String,
    /// As of when.
    pub time: String,
    /// What could not be read, in sentences; empty if everything was.
    pub not_read: Vec<String>,
    /// How many machines, of all kinds.
    pub count: CountDocument,
    /// The same by kind: `hybrid`, `ec2`, `unmanaged`.
    pub by_machine: BTreeMap<String, CountDocument>,
    /// The machines, the worst first.
    pub machines: Vec<MachineDocument>,
    /// With a rule asked for: the objects that fail it or of which it is not known, VMs or not.
    pub failures: Vec<ResultDocument>,
}

/// How many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountDocument {
    /// Machines.
    pub machines: usize,
    /// Those that are compliant.
    pub compliant: usize,
    /// Those that are not.
    pub non_compliant: usize,
    /// Those of which it is not known.
    pub unknown: usize,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineDocument {
    /// `hybrid`, `ec2` or `unmanaged`.
    pub machine: String,
    /// The managed node.
    pub node: Option<String>,
    /// The target of the configuration.
    pub target: Option<String>,
    /// The VM: `<vCenter>/<managed object id>`.
    pub vm: Option<String>,
    /// The VM's name, or what the machine calls itself.
    pub name: Option<String>,
    /// Its operating system.
    pub platform: Option<String>,
    /// `compliant`, `non-compliant` or `unknown`.
    pub overall: String,
    /// Why, the worst first.
    pub reasons: Vec<ReasonDocument>,
    /// Whether its agent answers. `null`: nobody knows, or nobody expects it to.
    pub agent_online: Option<bool>,
    /// Its patches. `null`: it was never scanned, or they could not be read.
    pub patches: Option<PatchesDocument>,
    /// Associations that are as they should be, and those that are not.
    pub associations: Option<(u32, u32)>,
    /// What its inventory in Systems Manager has: what its agent gathers and what it is told of its VM; empty if nothing. `null`: it
    /// is no managed node, or could not be read.
    #[serde(default)]
    pub inventory: Option<Vec<InventoryDocument>>,
    /// Its hardening. `null`: it is not checked, or could not be.
    pub hardening: Option<ChecksDocument>,
    /// Its protection.
    pub protection: Option<ChecksDocument>,
    /// The names of the windows that it is in: of the one that was asked for, or of those that snapshots look at.
    pub windows: Vec<String>,
}

/// Why a machine is not compliant, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReasonDocument {
    /// The word for it.
    pub reason: String,
    /// The same for people.
    pub sentence: String,
}

/// The patches of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatchesDocument {
    /// Installed.
    pub installed: u32,
    /// Approved and not installed.
    pub missing: u32,
    /// Could not be installed.
    pub failed: u32,
    /// Installed, and in force after a restart only.
    pub pending_reboot: u32,
    /// Installed although rejected.
    pub rejected: u32,
    /// Critical ones among those that make it not compliant.
    pub critical: u32,
    /// Security updates among them.
    pub security: u32,
    /// When this was found.
    pub scanned: Option<String>,
}

/// What the inventory of a node has of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryDocument {
    /// The type.
    pub r#type: String,
    /// When it was captured.
    pub captured: Option<String>,
    /// The hash that was put with it.
    pub hash: Option<String>,
}

/// What came out of checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChecksDocument {
    /// How many are as they should be, or accepted.
    pub compliant: u32,
    /// Ids of those that are not, the worst first.
    pub failing: Vec<String>,
    /// How many cannot be said.
    pub unreadable: u32,
}

/// What came of one rule for one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultDocument {
    /// The rule, or the check of protection.
    pub rule: String,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `passed`, `failed`, `not-readable`, `not-applicable`, `provider-managed` or `suppressed`.
    pub status: String,
    /// `vm`, `host`, `cluster` or `portgroup`.
    pub kind: String,
    /// The object: `<vCenter>/<managed object id>`.
    pub object: String,
    /// Its name.
    pub name: String,
    /// What was found and what was expected, or why nothing is known.
    pub evidence: String,
}

/// The auditor's report: what `vmbridge report --format json` writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditDocument {
    /// `vmbridge.audit/1`.
    pub schema: String,
    /// When it was made.
    pub time: String,
    /// The version of vmbridge.
    pub version: String,
    /// The installation of vmbridge.
    pub installation: String,
    /// What it is about.
    pub scope: ScopeDocument,
    /// Where it comes from, and how current that is.
    pub sources: Vec<SourceDocument>,
    /// What could not be read, in sentences; empty if everything was.
    pub not_read: Vec<String>,
    /// How many machines, of all kinds.
    pub count: CountDocument,
    /// The rules, and what came of each.
    pub rules: Vec<RuleDocument>,
    /// What is accepted for a time.
    pub exceptions: Vec<ExceptionDocument>,
    /// The machines, the worst first.
    pub machines: Vec<MachineDocument>,
    /// What came of rules, by object: without what is as it should be, unless that was asked for.
    pub results: Vec<ResultDocument>,
}

/// What a report is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopeDocument {
    /// Selectors of VMs; all if there are none.
    pub selectors: Vec<String>,
    /// vCenters or organisations; all if there are none.
    pub vcenters: Vec<String>,
    /// The target; all if there is none.
    pub target: Option<String>,
    /// The window; all if there is none.
    pub window: Option<String>,
    /// The rule; all if there is none.
    pub rule: Option<String>,
}

/// Where facts come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceDocument {
    /// `vcenter` or `target`.
    pub kind: String,
    /// Its name in the configuration.
    pub name: String,
    /// What it is: version of the API, or account and Region.
    pub what: Option<String>,
    /// Whether it is current.
    pub current: bool,
    /// As of when it is known.
    pub as_of: Option<String>,
    /// How many objects: VMs, or managed nodes.
    pub objects: usize,
}

/// A rule, and what came of it within the scope of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleDocument {
    /// Its id.
    pub id: String,
    /// What should be.
    pub title: String,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `vm`, `host`, `cluster` or `portgroup`.
    pub kind: String,
    /// What it belongs to.
    pub family: String,
    /// The versions of vSphere that it is about.
    pub versions: String,
    /// What it reads.
    pub reads: Vec<String>,
    /// Where others say the same.
    pub references: Vec<String>,
    /// What to do.
    pub remediation: String,
    /// Numbers of objects by what came of it.
    pub results: BTreeMap<String, usize>,
}

/// A rule as the outside sees it, without results.
pub(crate) fn rule_document(rule: &Rule) -> RuleDocument {
    let mut reads: Vec<String> = rule.reads().map(ToString::to_string).collect();
    reads.dedup();
    RuleDocument {
        id: rule.id.to_string(),
        title: rule.title.to_string(),
        severity: rule.severity.to_string(),
        kind: rule.kind.to_string(),
        family: rule.family.to_string(),
        versions: rule.applies.to_string(),
        reads,
        references: rule.references.iter().collect(),
        remediation: rule.remediation.to_string(),
        results: BTreeMap::new(),
    }
}

/// Something that is accepted for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionDocument {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Patterns of rules, or a family.
    pub rules: Vec<String>,
    /// The objects, as a selector.
    pub objects: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: String,
    /// Whether that is over.
    pub expired: bool,
    /// How many results of this report it covers.
    pub covers: usize,
}
