//! Why a machine is not compliant, or why nobody can say.

use std::fmt;

use jiff::Timestamp;

use super::{Checks, Facts, Overall, Rules};
use crate::compliance::Severity;
use crate::selector::Fact;

/// What stands against a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is a VM that Systems Manager does not know.
    NotManaged,
    /// Patches could not be installed.
    PatchesFailed(u32),
    /// Critical patches are missing or not in force.
    CriticalPatches(u32),
    /// Security updates are missing or not in force.
    SecurityPatches(u32),
    /// Other patches are missing.
    PatchesMissing(u32),
    /// Patches wait for a restart.
    PendingReboot(u32),
    /// Rejected patches are installed.
    RejectedPatches(u32),
    /// Its agent does not answer.
    AgentOffline,
    /// Hardening checks fail.
    Hardening(u32, Severity),
    /// Protection checks fail.
    Protection(u32, Severity),
    /// Associations are not as they should be.
    Associations(u32),
    /// It was never scanned for patches.
    NeverScanned,
    /// The last scan is too long ago.
    ScanTooOld(Timestamp),
    /// Something cannot be read.
    Unreadable(&'static str),
    /// Some checks cannot be made.
    ChecksUnreadable(u32),
}

impl Reason {
    /// Every word.
    pub const WORDS: [&str; 15] = [
        "critical-patches",
        "patches-failed",
        "security-patches",
        "not-managed",
        "agent-offline",
        "hardening",
        "protection",
        "patches-missing",
        "pending-reboot",
        "rejected-patches",
        "associations",
        "unreadable",
        "never-scanned",
        "scan-too-old",
        "checks-unreadable",
    ];

    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotManaged => "not-managed",
            Self::PatchesFailed(_) => "patches-failed",
            Self::CriticalPatches(_) => "critical-patches",
            Self::SecurityPatches(_) => "security-patches",
            Self::PatchesMissing(_) => "patches-missing",
            Self::PendingReboot(_) => "pending-reboot",
            Self::RejectedPatches(_) => "rejected-patches",
            Self::AgentOffline => "agent-offline",
            Self::Hardening(..) => "hardening",
            Self::Protection(..) => "protection",
            Self::Associations(_) => "associations",
            Self::NeverScanned => "never-scanned",
            Self::ScanTooOld(_) => "scan-too-old",
            Self::Unreadable(_) => "unreadable",
            Self::ChecksUnreadable(_) => "checks-unreadable",
        }
    }

    /// What a machine is judged to be for it.
    pub(super) fn overall(&self) -> Overall {
        match self {
            Self::NeverScanned | Self::ScanTooOld(_) | Self::Unreadable(_) | Self::ChecksUnreadable(_) => {
                Overall::Unknown
            }
            Self::NotManaged
            | Self::PatchesFailed(_)
            | Self::CriticalPatches(_)
            | Self::SecurityPatches(_)
            | Self::PatchesMissing(_)
            | Self::PendingReboot(_)
            | Self::RejectedPatches(_)
            | Self::AgentOffline
            | Self::Hardening(..)
            | Self::Protection(..)
            | Self::Associations(_) => Overall::NonCompliant,
        }
    }

    /// How bad it is among the reasons; the worst is the least.
    pub(super) fn rank(&self) -> (u8, Option<Severity>) {
        match self {
            Self::CriticalPatches(_) => (0, None),
            Self::PatchesFailed(_) => (1, None),
            Self::SecurityPatches(_) => (2, None),
            Self::NotManaged => (3, None),
            Self::AgentOffline => (4, None),
            // A rule and a missing protection of the same severity are equally bad.
            Self::Hardening(_, severity) | Self::Protection(_, severity) if *severity <= Severity::High => {
                (5, Some(*severity))
            }
            Self::PatchesMissing(_) => (6, None),
            Self::PendingReboot(_) => (7, None),
            Self::RejectedPatches(_) => (8, None),
            Self::Hardening(_, severity) | Self::Protection(_, severity) => (9, Some(*severity)),
            Self::Associations(_) => (10, None),
            Self::Unreadable(_) => (11, None),
            Self::NeverScanned => (12, None),
            Self::ScanTooOld(_) => (13, None),
            Self::ChecksUnreadable(_) => (14, None),
        }
    }

    /// How much of it there is.
    pub(super) fn count(&self) -> u32 {
        match *self {
            Self::PatchesFailed(count)
            | Self::CriticalPatches(count)
            | Self::SecurityPatches(count)
            | Self::PatchesMissing(count)
            | Self::PendingReboot(count)
            | Self::RejectedPatches(count)
            | Self::Hardening(count, _)
            | Self::Protection(count, _)
            | Self::Associations(count)
            | Self::ChecksUnreadable(count) => count,
            Self::NotManaged
            | Self::AgentOffline
            | Self::NeverScanned
            | Self::ScanTooOld(_)
            | Self::Unreadable(_) => 1,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |f: &mut fmt::Formatter<'_>, count: u32, one: &str, many: &str| {
            if count == 1 { write!(f, "1 {one}") } else { write!(f, "{count} {many}") }
        };
        match self {
            Self::NotManaged => f.write_str("not a managed node"),
            Self::PatchesFailed(n) => count(f, *n, "patch failed", "patches failed"),
            Self::CriticalPatches(n) => count(
                f,
                *n,
                "critical patch is missing or not in force",
                "critical patches are missing or not in force",
            ),
            Self::SecurityPatches(n) => count(
                f,
                *n,
                "security update is missing or not in force",
                "security updates are missing or not in force",
            ),
            Self::PatchesMissing(n) => count(f, *n, "patch is missing", "patches are missing"),
            Self::PendingReboot(n) => count(f, *n, "patch waits for a restart", "patches wait for a restart"),
            Self::RejectedPatches(n) => {
                count(f, *n, "rejected patch is installed", "rejected patches are installed")
            }
            Self::AgentOffline => f.write_str("SSM Agent does not answer"),
            Self::Hardening(n, worst) => {
                count(f, *n, "hardening check fails", "hardening checks fail")?;
                write!(f, ", the worst {}", worst.as_str().to_lowercase())
            }
            Self::Protection(n, worst) => {
                count(f, *n, "protection check fails", "protection checks fail")?;
                write!(f, ", the worst {}", worst.as_str().to_lowercase())
            }
            Self::Associations(n) => {
                count(f, *n, "association is not as it should be", "associations are not as they should be")
            }
            Self::NeverScanned => f.write_str("never scanned for patches"),
            Self::ScanTooOld(at) => write!(f, "last scanned for patches on {}", at.strftime("%Y-%m-%d")),
            Self::Unreadable(what) => write!(f, "{what} cannot be read"),
            Self::ChecksUnreadable(n) => count(f, *n, "check cannot be made", "checks cannot be made"),
        }
    }
}

/// Everything that stands against a machine.
pub(super) fn all(facts: &Facts, now: Timestamp, rules: &Rules) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if facts.node.is_some() {
        node(facts, now, rules, &mut reasons);
    } else {
        reasons.push(Reason::NotManaged);
    }
    checks(&facts.hardening, "hardening", Reason::Hardening, &mut reasons);
    checks(&facts.protection, "protection", Reason::Protection, &mut reasons);
    reasons.sort_by_key(|reason| (reason.overall(), reason.rank()));
    reasons
}

/// What only a managed node has.
fn node(facts: &Facts, now: Timestamp, rules: &Rules, reasons: &mut Vec<Reason>) {
    match &facts.agent_online {
        Fact::Known(false) => reasons.push(Reason::AgentOffline),
        Fact::Unknown => reasons.push(Reason::Unreadable("the state of SSM Agent")),
        Fact::Known(true) | Fact::Absent => {}
    }
    match &facts.patches {
        Fact::Known(patches) => {
            // Those that are critical or security updates are among the others.
            let graver = patches.critical.saturating_add(patches.security);
            reasons.extend(
                [
                    Reason::PatchesFailed(patches.failed),
                    Reason::CriticalPatches(patches.critical),
                    Reason::SecurityPatches(patches.security),
                    Reason::PatchesMissing(if graver == 0 { patches.missing } else { 0 }),
                    Reason::PendingReboot(patches.pending_reboot),
                    Reason::RejectedPatches(patches.rejected),
                ]
                .into_iter()
                .filter(|reason| reason.count() > 0),
            );
            match patches.scanned {
                Some(at) if now.duration_since(at) > rules.scan_valid => reasons.push(Reason::ScanTooOld(at)),
                Some(_) => {}
                None => reasons.push(Reason::NeverScanned),
            }
        }
        Fact::Absent => reasons.push(Reason::NeverScanned),
        Fact::Unknown => reasons.push(Reason::Unreadable("the state of patches")),
    }
    match &facts.associations {
        Fact::Known(associations) if associations.non_compliant > 0 => {
            reasons.push(Reason::Associations(associations.non_compliant));
        }
        Fact::Known(_) | Fact::Absent => {}
        Fact::Unknown => reasons.push(Reason::Unreadable("the state of associations")),
    }
}

fn checks(
    checks: &Fact<Checks>,
    what: &'static str,
    reason: impl FnOnce(u32, Severity) -> Reason,
    reasons: &mut Vec<Reason>,
) {
    match checks {
        Fact::Known(checks) => {
            if let Ok(failing @ 1..) = u32::try_from(checks.failing.len()) {
                reasons.push(reason(failing, checks.worst.unwrap_or(Severity::Unspecified)));
            }
            if checks.unreadable > 0 {
                reasons.push(Reason::ChecksUnreadable(checks.unreadable));
            }
        }
        Fact::Absent => {}
        Fact::Unknown => reasons.push(Reason::Unreadable(what)),
    }
}
