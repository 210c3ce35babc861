//! What is wrong with one VM beside failed checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mappings::compliance::table::Patches;
use mappings::findings::Severity;
use mappings::protection::{Run, SnapshotId};
use mappings::selector::Fact;
use vsphere_client::model::PowerState;

use super::rules::{
    OFFLINE, OLD_SNAPSHOT, ORPHANED_SNAPSHOT, Own, PATCHES, QUARANTINED, UNMANAGED, UNPROTECTED,
};
use crate::aws::{Node, Ping};
use crate::config::{FindingsSettings, Mode, SnapshotSettings};
use crate::engine::record_id;
use crate::fleet::VmView;
use crate::memory::Memory;
use crate::plan::snapshots::{own_mark, policy_of};
use crate::plan::{Policy, Reason};
use crate::snapshot::Entered;
use crate::store::VmId;

/// An agent reports every five minutes. One that has not for so long, while its VM runs, is a problem.
const OFFLINE_AFTER: SignedDuration = SignedDuration::from_mins(30);
/// What a VM that was just powered on lacks may come yet.
const BOOTING: SignedDuration = SignedDuration::from_mins(15);
/// The advice of VMware.
const OLD_AFTER: SignedDuration = mappings::compliance::protection::OLD_AFTER;
/// The record of a snapshot that was just taken may follow.
const RECORDED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

pub(super) type Evidence = BTreeMap<Arc<str>, Arc<str>>;

/// What is wrong.
#[derive(Debug)]
pub(super) struct Bad {
    /// More than the rule says, for this VM.
    pub why: Option<String>,
    /// What to do, where it differs from what the rule says.
    pub advice: Option<String>,
    pub severity: Severity,
    pub evidence: Evidence,
}

impl Bad {
    fn of(rule: &Own, evidence: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let evidence = evidence.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self { why: None, advice: None, severity: rule.severity, evidence }
    }
}

/// What came of a rule.
#[derive(Debug)]
pub(super) enum Found {
    Bad(Bad),
    Good,
    /// Nobody asks: it was left out, or is switched off.
    NotAsked,
    /// Nobody knows, or it passes: what was told stays.
    Unknown,
}

/// One VM.
pub(super) struct Look<'l, 'v> {
    pub view: &'l VmView<'v>,
    pub id: &'l VmId,
    /// What enrolment says of it.
    pub enrol: Option<&'l Reason>,
    /// Several nodes claim to be it.
    pub disputed: bool,
    /// Its node; `None` inside: Systems Manager does not show it any more.
    pub node: Option<Option<&'l Node>>,
    /// The last window that it was in, as far as anybody remembers.
    pub last_window: Option<(&'l Run, Entered)>,
    /// The patches of its node.
    pub patches: Option<&'l Patches>,
    pub memory: &'l Memory,
    pub policy: &'l Policy,
    pub now: Timestamp,
}

impl Look<'_, '_> {
    /// What came of each rule that is to be told.
    pub(super) fn found(&self, settings: &FindingsSettings) -> Vec<(&'static Own, Found)> {
        let mut found = Vec::new();
        if settings.unmanaged {
            let (unmanaged, quarantined) = self.managed();
            found.extend([(&UNMANAGED, unmanaged), (&QUARANTINED, quarantined)]);
        }
        if settings.offline {
            found.push((&OFFLINE, self.offline()));
        }
        if settings.protection {
            found.push((&UNPROTECTED, self.unprotected(&self.policy.snapshots)));
            let (old, orphaned) = self.snapshots();
            found.extend([(&OLD_SNAPSHOT, old), (&ORPHANED_SNAPSHOT, orphaned)]);
        }
        if settings.patches {
            found.push((&PATCHES, self.patches()));
        }
        found
    }

    fn since_boot(&self) -> Option<SignedDuration> {
        self.view.boot_time().map(|boot| self.now.duration_since(boot))
    }

    /// Whether it is the node that it is to be, and whether enrolling it was given up.
    fn managed(&self) -> (Found, Found) {
        let Some(reason) = self.enrol else {
            // There is something to do, and nobody does it.
            let begins = self.node.is_none();
            return (self.not_begun(begins), Found::Good);
        };
        if let Reason::EnrolQuarantined(problem) = reason {
            let bad = Bad {
                why: Some(problem.sentence.to_string()),
                advice: problem.fix.as_deref().map(|fix| format!("{fix}; then: vmbridge retry")),
                ..Bad::of(&QUARANTINED, [("reason", problem.word.to_string())])
            };
            // One finding is enough.
            return (Found::Good, Found::Bad(bad));
        }
        if self.node.is_some() {
            return (Found::Good, Found::Good);
        }
        if self.disputed {
            return (Found::Unknown, Found::Unknown);
        }
        let unmanaged = match reason {
            Reason::Off
            | Reason::NotToBeEnrolled
            | Reason::FaultToleranceSecondary
            | Reason::Template
            | Reason::ManagedBy(_)
            | Reason::NoTarget => Found::NotAsked,
            Reason::ToolsNotRunning | Reason::GuestNotReady
                if self.since_boot().is_some_and(|since| since < BOOTING) =>
            {
                Found::Unknown
            }
            Reason::EnrolFailed { problem, .. } => Found::Bad(Bad {
                why: Some(problem.sentence.to_string()),
                advice: problem.fix.as_deref().map(str::to_owned),
                ..Bad::of(&UNMANAGED, [("reason", problem.word.to_string())])
            }),
            Reason::Failed { .. } => Found::Bad(Bad {
                why: Some("enrolling it fails".to_owned()),
                ..Bad::of(&UNMANAGED, [("reason", "failed".to_owned())])
            }),
            Reason::VmNotConnected
            | Reason::ToolsNotRunning
            | Reason::GuestNotReady
            | Reason::GuestNotSupported { .. }
            | Reason::CannotVerify
            | Reason::NoCredentials
            | Reason::CredentialsRefused(_)
            | Reason::CredentialsUnreadable { .. }
            | Reason::NodeLimit { .. } => Found::Bad(Bad {
                why: Some(reason.sentence()),
                advice: reason.fix().map(std::borrow::Cow::into_owned),
                ..Bad::of(&UNMANAGED, [("reason", reason.word().to_owned())])
            }),
            Reason::Enrolling(_)
            | Reason::WaitsForOthers
            | Reason::UnderWay
            | Reason::OutsideHours { .. }
            | Reason::BackupUnderWay { .. } => self.not_begun(true),
            // It is off, or not enough is known of it.
            _ => Found::Unknown,
        };
        (unmanaged, Found::Good)
    }

    /// It could be enrolled, and waits for its turn: for ever, if enrolment is only observed.
    fn not_begun(&self, unmanaged: bool) -> Found {
        if !unmanaged {
            return Found::Good;
        }
        if self.policy.enrol.mode != Mode::Observe {
            return Found::Unknown;
        }
        Found::Bad(Bad {
            why: Some("it could be enrolled, and enrolment is only observed".to_owned()),
            advice: Some("Set `[enrol] mode = \"enforce\"`, or enrol it by hand.".to_owned()),
            ..Bad::of(&UNMANAGED, [("reason", "notEnrolled".to_owned())])
        })
    }

    fn offline(&self) -> Found {
        let Some(node) = self.node else { return Found::Good };
        let Some(node) = node else { return Found::Unknown };
        match (node.ping, self.view.power()) {
            (Ping::Online, _) => Found::Good,
            (Ping::Unknown, _) | (_, None) => Found::Unknown,
            // Nobody expects one of a VM that is off.
            (_, Some(PowerState::PoweredOff | PowerState::Suspended)) => Found::Good,
            (Ping::ConnectionLost | Ping::Inactive, Some(PowerState::PoweredOn)) => {
                let since =
                    [node.last_ping, self.view.boot_time(), node.registered].into_iter().flatten().max();
                if since.is_some_and(|since| self.now.duration_since(since) < OFFLINE_AFTER) {
                    return Found::Unknown;
                }
                let last = node.last_ping.map_or_else(|| "never".to_owned(), |at| format!("{at:.0}"));
                Found::Bad(Bad::of(&OFFLINE, [("lastReport", last)]))
            }
        }
    }

    fn unprotected(&self, settings: &SnapshotSettings) -> Found {
        if settings.mode == Mode::Off || policy_of(&settings.policies, self.view).is_none() {
            return Found::NotAsked;
        }
        match self.last_window {
            // Nobody remembers one.
            None => Found::Unknown,
            Some((_, Entered::Protected { .. } | Entered::Held)) => Found::Good,
            Some((run, Entered::Unprotected)) => {
                let opened = format!("{:.0}", run.opens);
                Found::Bad(Bad::of(&UNPROTECTED, [("window", run.name.to_string()), ("opened", opened)]))
            }
        }
    }

    /// Snapshots that are too old, and those of ours that nobody looks after.
    fn snapshots(&self) -> (Found, Found) {
        let info = match self.view.snapshots() {
            Fact::Unknown => return (Found::Unknown, Found::Unknown),
            Fact::Absent => return (Found::Good, Found::Good),
            Fact::Known(info) => info,
        };
        let (mut old, mut orphaned) = (Vec::new(), Vec::new());
        for tree in info.iter() {
            let Some(created) = tree.created else { continue };
            let age = self.now.duration_since(created);
            let named = || format!("{} ({created:.0})", tree.name);
            if age > OLD_AFTER {
                old.push(named());
            }
            let mark = own_mark(&tree.description, self.id, &self.memory.installation);
            let Some(mark) = mark else { continue };
            let reference = tree.reference().map(|reference| reference.to_string());
            if age > RECORDED_WITHIN && !self.is_ours(&record_id(&mark), reference.as_deref()) {
                orphaned.push(named());
            }
        }
        let told = |rule: &'static Own, names: Vec<String>| {
            if names.is_empty() {
                return Found::Good;
            }
            let count = names.len().to_string();
            Found::Bad(Bad::of(rule, [("count", count), ("snapshots", names.join(", "))]))
        };
        (told(&OLD_SNAPSHOT, old), told(&ORPHANED_SNAPSHOT, orphaned))
    }

    /// Whether there is a record of a snapshot with our mark.
    fn is_ours(&self, id: &str, reference: Option<&str>) -> bool {
        let records = self.memory.protections.get(self.id).into_iter().flat_map(BTreeMap::values);
        records.into_iter().any(|record| {
            let attempts = record.former.iter().chain([&record.id]);
            let holds = record.snapshot.as_ref().map(SnapshotId::as_str);
            match holds {
                Some(holds) => Some(holds) == reference && record.stage.is_active(),
                None => attempts.into_iter().any(|attempt| attempt.as_str() == id),
            }
        })
    }

    fn patches(&self) -> Found {
        if self.node.is_none() {
            return Found::Good;
        }
        let Some(patches) = self.patches else { return Found::Unknown };
        let lacking = [
            ("missing", patches.missing),
            ("failed", patches.failed),
            ("pendingReboot", patches.pending_reboot),
            ("rejected", patches.rejected),
            ("critical", patches.critical),
            ("security", patches.security),
        ];
        if is_patched(patches) {
            return Found::Good;
        }
        let lacking = lacking.into_iter().filter(|(_, count)| *count > 0);
        let bad = Bad::of(&PATCHES, lacking.map(|(what, count)| (what, count.to_string())));
        let severe = patches.critical + patches.security > 0;
        Found::Bad(Bad { severity: if severe { Severity::High } else { bad.severity }, ..bad })
    }
}

/// Whether all that its baseline asks for is there, and in force.
pub(super) fn is_patched(patches: &Patches) -> bool {
    [patches.missing, patches.failed, patches.pending_reboot, patches.rejected]
        .iter()
        .all(|count| *count == 0)
}
