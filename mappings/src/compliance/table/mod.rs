//! One table of EC2 instances and VMs: what is patched, hardened and protected, and what is not known.
//!
//! A join and a judgement, no more: who has the rows reads them from AWS and vSphere, who shows them is a command. A machine that
//! nobody can say anything about is not compliant and not failed, but *unknown*, and stands before those that are well. A VM that is no
//! managed node is a row as well: else the table would be the better the fewer machines are in it.

mod reason;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::{List, Severity, Status};
use crate::selector::Fact;

pub use reason::Reason;

/// The id of a managed node: `mi-…` for a hybrid one, `i-…` for an EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Box<str>);

/// A text that is no node's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a managed node's id is `mi-` or `i-` and 17 hexadecimal digits, or 8 after `i-`")]
pub struct NodeIdError;

impl NodeId {
    /// Reads an id.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(text: &str) -> Result<Self, NodeIdError> {
        let (prefix, digits) = text.split_once('-').ok_or(NodeIdError)?;
        let long_enough = match prefix {
            "mi" => digits.len() == 17,
            "i" => matches!(digits.len(), 8 | 17),
            _ => false,
        };
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        (long_enough && hexadecimal).then(|| Self(text.into())).ok_or(NodeIdError)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is the id of.
    #[must_use]
    pub fn machine(&self) -> Machine {
        if self.0.starts_with("mi-") { Machine::Hybrid } else { Machine::Ec2 }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of machine a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Machine {
    /// A hybrid node, which may be a VM or something else.
    Hybrid,
    /// An EC2 instance.
    Ec2,
    /// A VM that is no managed node.
    Unmanaged,
}

impl Machine {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Ec2 => "ec2",
            Self::Unmanaged => "unmanaged",
        }
    }
}

/// What patches a node has and lacks (`DescribeInstancePatchStates`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patches {
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
    /// Of those that make it not compliant: critical ones.
    pub critical: u32,
    /// Of those that make it not compliant: security updates.
    pub security: u32,
    /// When this was found (`OperationEndTime`); none while the first run is under way.
    pub scanned: Option<Timestamp>,
}

/// How the associations of State Manager stand with a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Associations {
    /// Those that are as they should be.
    pub compliant: u32,
    /// Those that are not.
    pub non_compliant: u32,
}

/// What the inventory of a node has of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The type, such as `AWS:InstanceDetailedInformation`.
    pub type_name: &'static str,
    /// When it was captured.
    pub captured: Option<Timestamp>,
    /// The hash that was put with it.
    pub hash: Option<Box<str>>,
}

/// What came out of checks, without the checks that are well by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    /// How many are as they should be.
    pub compliant: u32,
    /// Ids of those that are not, the worst first.
    pub failing: Vec<String>,
    /// The worst severity among them.
    pub worst: Option<Severity>,
    /// How many cannot be said.
    pub unreadable: u32,
}

impl Checks {
    /// What a list of ours says.
    #[must_use]
    pub fn of(list: &List) -> Self {
        let unreadable = u32::try_from(list.not_read.len()).unwrap_or(u32::MAX);
        let mut checks = Self { unreadable, ..Self::default() };
        for item in list.items.iter().filter(|item| !item.is_not_read()) {
            match item.status {
                Status::Compliant => checks.compliant += 1,
                Status::NonCompliant => {
                    checks.failing.push(item.id.clone());
                    let severity = item.severity;
                    checks.worst = Some(checks.worst.map_or(severity, |worst| worst.min(severity)));
                }
            }
        }
        checks
    }
}

/// A maintenance window of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its name.
    pub name: String,
    /// When it opens next, if that is known.
    pub opens: Option<Timestamp>,
}

/// What is known of a machine. [`Fact::Absent`] is what it has none of, such as hardening rules for an EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its id in Systems Manager; none for a VM that is no node.
    pub node: Option<NodeId>,
    /// Account and Region, by the target's name in the configuration.
    pub target: Option<String>,
    /// The vCenter's name in the configuration, for a VM.
    pub vcenter: Option<String>,
    /// Which VM it is, `<vCenter>/<managed object id>`, where it is one.
    pub vm: Option<String>,
    /// The VM's name, or what the machine calls itself.
    pub name: Option<String>,
    /// Its operating system.
    pub platform: Option<String>,
    /// Whether its agent answers; absent while nobody expects it to, as of a VM that is off.
    pub agent_online: Fact<bool>,
    /// Its patches; absent if it was never scanned.
    pub patches: Fact<Patches>,
    /// Its associations.
    pub associations: Fact<Associations>,
    /// What its inventory has, type by type; absent if it has none. Nothing is judged by it: it says how old other facts of Systems
    /// Manager may be.
    pub inventory: Fact<Vec<Inventory>>,
    /// Its hardening.
    pub hardening: Fact<Checks>,
    /// Its protection.
    pub protection: Fact<Checks>,
    /// The windows it is in.
    pub windows: Vec<Window>,
}

/// How it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A scan says nothing any more after this time.
    pub scan_valid: SignedDuration,
}

impl Default for Rules {
    /// Patch Manager is usually told to scan every day; a week without is a gap.
    fn default() -> Self {
        Self { scan_valid: SignedDuration::from_hours(24 * 7) }
    }
}

/// What becomes of a machine when everything is put together; the worst is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Overall {
    /// Something is not as it should be.
    NonCompliant,
    /// Nothing is known to be wrong, but not everything is known.
    Unknown,
    /// Everything is as it should be.
    Compliant,
}

impl Overall {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NonCompliant => "non-compliant",
            Self::Unknown => "unknown",
            Self::Compliant => "compliant",
        }
    }
}

/// A machine and what it is judged to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What is known.
    pub facts: Facts,
    /// What kind of machine it is.
    pub machine: Machine,
    /// The judgement.
    pub overall: Overall,
    /// Why, the worst first; empty if it is compliant.
    pub reasons: Vec<Reason>,
}

impl Row {
    fn new(facts: Facts, now: Timestamp, rules: &Rules) -> Self {
        let machine = facts.node.as_ref().map_or(Machine::Unmanaged, NodeId::machine);
        let reasons = reason::all(&facts, now, rules);
        let overall = reasons.first().map_or(Overall::Compliant, Reason::overall);
        Self { facts, machine, overall, reasons }
    }

    /// Why, in one sentence.
    #[must_use]
    pub fn reason(&self) -> String {
        match &*self.reasons {
            [] => String::new(),
            [only] => only.to_string(),
            [worst, rest @ ..] => format!("{worst} (and {} more)", rest.len()),
        }
    }

    /// The worst first: by judgement, reason and how much of it; then by name, so that the table is always the same.
    fn worse_first(&self) -> impl Ord + '_ {
        let worst = self.reasons.first();
        (
            self.overall,
            worst.map(Reason::rank),
            Reverse(worst.map(Reason::count)),
            Reverse(self.reasons.len()),
            (&self.facts.name, &self.facts.node),
            (&self.facts.vcenter, &self.facts.target, &self.facts.vm),
            &self.reasons,
        )
    }
}

/// Which rows are wanted. What is not set wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this kind.
    pub machine: Option<Machine>,
    /// With this judgement.
    pub overall: Option<Overall>,
    /// In the window of this name.
    pub window: Option<String>,
    /// In which the check with this id fails, or against which the reason of this word stands.
    pub check: Option<String>,
    /// Of this target.
    pub target: Option<String>,
}

impl Filter {
    /// Whether a row is wanted.
    #[must_use]
    pub fn wants(&self, row: &Row) -> bool {
        let Self { machine, overall, window, check, target } = self;
        let fails = |id: &String| {
            [&row.facts.hardening, &row.facts.protection]
                .into_iter()
                .any(|checks| matches!(checks, Fact::Known(checks) if checks.failing.contains(id)))
                || row.reasons.iter().any(|reason| reason.word() == id)
                || match id.as_str() {
                    // Of these only the worst is a reason.
                    "patches-missing" => matches!(&row.facts.patches, Fact::Known(one) if one.missing > 0),
                    // A node that is no VM has no list of checks.
                    "agent-online" => row.facts.agent_online == Fact::Known(false),
                    _ => false,
                }
        };
        machine.is_none_or(|machine| machine == row.machine)
            && overall.is_none_or(|overall| overall == row.overall)
            && window.as_ref().is_none_or(|name| row.facts.windows.iter().any(|window| window.name == *name))
            && check.as_ref().is_none_or(fails)
            && target.as_ref().is_none_or(|target| row.facts.target.as_ref() == Some(target))
    }
}

/// How many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Machines.
    pub machines: usize,
    /// Those that are compliant.
    pub compliant: usize,
    /// Those that are not.
    pub non_compliant: usize,
    /// Those of which it is not known.
    pub unknown: usize,
}

impl Count {
    fn add(&mut self, overall: Overall) {
        self.machines += 1;
        match overall {
            Overall::Compliant => self.compliant += 1,
            Overall::NonCompliant => self.non_compliant += 1,
            Overall::Unknown => self.unknown += 1,
        }
    }
}

/// What all rows come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// All.
    pub all: Count,
    /// By kind of machine.
    pub by_machine: BTreeMap<Machine, Count>,
    /// Patches that are missing.
    pub missing: u64,
    /// Patches that failed.
    pub failed: u64,
    /// Critical ones among those that make machines not compliant.
    pub critical: u64,
    /// Security updates among them.
    pub security: u64,
    /// Machines in which each check fails, by its id.
    pub failing: BTreeMap<String, usize>,
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// The table of these machines, in whatever order they come.
    #[must_use]
    pub fn new(machines: impl IntoIterator<Item = Facts>, now: Timestamp, rules: &Rules) -> Self {
        let mut rows: Vec<Row> = machines.into_iter().map(|facts| Row::new(facts, now, rules)).collect();
        rows.sort_by(|one, other| one.worse_first().cmp(&other.worse_first()));
        Self { rows }
    }

    /// The rows, the worst first.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Keeps the rows that are wanted; `also` is for what a filter does not know, such as a selector.
    #[must_use]
    pub fn filtered(mut self, filter: &Filter, mut also: impl FnMut(&Row) -> bool) -> Self {
        self.rows.retain(|row| filter.wants(row) && also(row));
        self
    }

    /// What the rows come to.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for row in &self.rows {
            totals.all.add(row.overall);
            totals.by_machine.entry(row.machine).or_default().add(row.overall);
            if let Fact::Known(patches) = &row.facts.patches {
                totals.missing += u64::from(patches.missing);
                totals.failed += u64::from(patches.failed);
                totals.critical += u64::from(patches.critical);
                totals.security += u64::from(patches.security);
            }
            for checks in [&row.facts.hardening, &row.facts.protection] {
                let Fact::Known(checks) = checks else { continue };
                for id in &checks.failing {
                    *totals.failing.entry(id.clone()).or_default() += 1;
                }
            }
        }
        totals
    }
}
