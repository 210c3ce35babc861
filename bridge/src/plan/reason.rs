//! Why nothing is done about a VM, or not all: typed, with one sentence for people and the fix.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use mappings::protection::Say;
use mappings::snapshot::hazard::Hazard;

use crate::aws::{NodeId, Place, TargetName};
use crate::enrol::Problem;

/// Why a capability does nothing about a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is a template.
    Template,
    /// It belongs to another product, such as the cluster services of vSphere.
    ManagedBy(Arc<str>),
    /// The capability is off.
    Off,
    /// The `vms` of no target selects it.
    NoTarget,
    /// The `vms` of several targets select it.
    SeveralTargets(Vec<TargetName>),
    /// Whether a target's `vms` selects it is not known.
    TargetUndecided(TargetName),
    /// Its vCenter's data is not current.
    VcenterNotCurrent(String),
    /// The target could not be read.
    TargetUnreadable {
        /// The target.
        target: TargetName,
        /// Why.
        why: String,
    },
    /// It is not a managed node.
    NotManaged,
    /// Several nodes claim to be this VM.
    SeveralNodes(Vec<NodeId>),
    /// The tags of its node are not known yet.
    TagsUnknown {
        /// The node.
        node: NodeId,
        /// Why, where it is not only a matter of time.
        why: Option<String>,
    },
    /// Another installation of vmbridge looks after the node.
    OtherInstallation(String),
    /// Something is being done, or how it ended is being found out.
    UnderWay,
    /// It failed lately.
    Failed {
        /// How often in a row.
        failures: u32,
        /// When it may be tried again.
        retry_at: Timestamp,
        /// What was said.
        reason: String,
    },
    /// Nothing differs.
    InStep,
    /// The `vms` of `[enrol]` does not select it.
    NotToBeEnrolled,
    /// Whether it is to be enrolled, or with which credentials, depends on something that is not known.
    EnrolUndecided,
    /// It is the standby copy of a fault-tolerant VM.
    FaultToleranceSecondary,
    /// vCenter does not reach it.
    VmNotConnected,
    /// It is not powered on.
    PoweredOff,
    /// VMware Tools do not run in the guest.
    ToolsNotRunning,
    /// Tools run, and are not ready for guest operations.
    GuestNotReady,
    /// SSM Agent does not exist for the guest.
    GuestNotSupported {
        /// The guest's id.
        guest: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
    /// There is nothing to verify the package with.
    CannotVerify,
    /// No entry of `[[credentials]]` is for it.
    NoCredentials,
    /// The guest refused these.
    CredentialsRefused(Vec<Arc<str>>),
    /// The password cannot be read.
    CredentialsUnreadable {
        /// The entry.
        name: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
    /// As many VMs as may be are being enrolled.
    WaitsForOthers,
    /// The account and Region have as many nodes as they may have.
    NodeLimit {
        /// The account and Region.
        place: Place,
        /// The limit.
        limit: usize,
    },
    /// It is a node whose agent does not report, although the VM runs.
    AgentOffline {
        /// Since when.
        since: Timestamp,
        /// When something is done about it, if anything is.
        repair_at: Option<Timestamp>,
    },
    /// Guests are left alone at this time.
    OutsideHours {
        /// When that ends.
        opens: Option<Timestamp>,
    },
    /// A backup of the VM is under way.
    BackupUnderWay {
        /// The snapshot that tells of it.
        snapshot: Arc<str>,
    },
    /// It is being enrolled, and is at this stage.
    Enrolling(&'static str),
    /// It could not be enrolled, and is tried again.
    EnrolFailed {
        /// Why.
        problem: Problem,
        /// How often in a row.
        failures: u32,
        /// When it is tried again.
        retry_at: Timestamp,
    },
    /// It could not be enrolled, and is not tried again before somebody says so.
    EnrolQuarantined(Problem),
    /// What is to be said of its snapshots.
    Snapshot(Box<Say>),
    /// No window that patches reaches it in the time that is looked at.
    NoWindow,
    /// Nothing can be told to Security Hub.
    HubUnusable {
        /// The account and Region.
        place: Place,
        /// Why, with the fix.
        why: String,
    },
    /// It changed again too soon after it was told.
    ToldLately {
        /// When it is told.
        until: Timestamp,
    },
    /// Something that is told of it has not been read yet.
    NotRead(&'static str),
}

/// So many failures in a row make a quarantine.
pub const QUARANTINE: u32 = 5;

impl Reason {
    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::ManagedBy(_) => "managedBy",
            Self::Off => "off",
            Self::NoTarget => "noTarget",
            Self::SeveralTargets(_) => "severalTargets",
            Self::TargetUndecided(_) => "targetUndecided",
            Self::VcenterNotCurrent(_) => "vcenterNotCurrent",
            Self::TargetUnreadable { .. } => "targetUnreadable",
            Self::NotManaged => "notManaged",
            Self::SeveralNodes(_) => "severalNodes",
            Self::TagsUnknown { .. } => "tagsUnknown",
            Self::OtherInstallation(_) => "otherInstallation",
            Self::UnderWay => "underWay",
            Self::Failed { failures, .. } if *failures >= QUARANTINE => "quarantined",
            Self::Failed { .. } => "failed",
            Self::InStep => "inStep",
            Self::NotToBeEnrolled => "notToBeEnrolled",
            Self::EnrolUndecided => "enrolUndecided",
            Self::FaultToleranceSecondary => "faultToleranceSecondary",
            Self::VmNotConnected => "vmNotConnected",
            Self::PoweredOff => "poweredOff",
            Self::ToolsNotRunning => "toolsNotRunning",
            Self::GuestNotReady => "guestNotReady",
            Self::GuestNotSupported { .. } => "guestNotSupported",
            Self::CannotVerify => "cannotVerify",
            Self::NoCredentials => "noCredentials",
            Self::CredentialsRefused(_) => "credentialsRefused",
            Self::CredentialsUnreadable { .. } => "credentialsUnreadable",
            Self::WaitsForOthers => "waitsForOthers",
            Self::NodeLimit { .. } => "nodeLimit",
            Self::AgentOffline { .. } => "agentOffline",
            Self::OutsideHours { .. } => "outsideHours",
            Self::BackupUnderWay { .. } => "backupUnderWay",
            Self::Enrolling(_) => "enrolling",
            Self::EnrolFailed { .. } => "enrolFailed",
            Self::EnrolQuarantined(_) => "enrolQuarantined",
            Self::Snapshot(say) => say.word(),
            Self::NoWindow => "noWindow",
            Self::HubUnusable { .. } => "hubUnusable",
            Self::ToldLately { .. } => "toldLately",
            Self::NotRead(_) => "notRead",
        }
    }

    /// Whether it is something that a person should look at.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        match self {
            Self::SeveralTargets(_)
            | Self::TargetUndecided(_)
            | Self::VcenterNotCurrent(_)
            | Self::TargetUnreadable { .. }
            | Self::SeveralNodes(_)
            | Self::OtherInstallation(_)
            | Self::TagsUnknown { why: Some(_), .. }
            | Self::Failed { .. }
            | Self::EnrolUndecided
            | Self::ToolsNotRunning
            | Self::GuestNotReady
            | Self::VmNotConnected
            | Self::CredentialsRefused(_)
            | Self::CredentialsUnreadable { .. }
            | Self::NodeLimit { .. }
            | Self::AgentOffline { .. }
            | Self::EnrolFailed { .. }
            | Self::HubUnusable { .. }
            | Self::EnrolQuarantined(_) => true,
            Self::Snapshot(say) => say.is_problem(),
            Self::Template
            | Self::ManagedBy(_)
            | Self::Off
            | Self::NoTarget
            | Self::NotManaged
            | Self::TagsUnknown { why: None, .. }
            | Self::UnderWay
            | Self::NotToBeEnrolled
            | Self::FaultToleranceSecondary
            | Self::PoweredOff
            | Self::GuestNotSupported { .. }
            | Self::CannotVerify
            | Self::NoCredentials
            | Self::WaitsForOthers
            | Self::OutsideHours { .. }
            | Self::BackupUnderWay { .. }
            | Self::Enrolling(_)
            | Self::NoWindow
            | Self::ToldLately { .. }
            | Self::NotRead(_)
            | Self::InStep => false,
        }
    }

    /// Whether something could not be read, so that nobody can say whether there is something to do.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        matches!(
            self,
            Self::VcenterNotCurrent(_)
                | Self::TargetUnreadable { .. }
                | Self::TagsUnknown { why: Some(_), .. }
        )
    }

    /// Whether there is something to do that has to wait: it failed lately, or is under way.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        if let Self::Snapshot(say) = self {
            return say.is_waiting();
        }
        matches!(
            self,
            Self::Failed { .. }
                | Self::UnderWay
                | Self::WaitsForOthers
                | Self::Enrolling(_)
                | Self::EnrolFailed { .. }
                | Self::ToldLately { .. }
        )
    }

    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let names =
            |names: &[TargetName]| names.iter().map(TargetName::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Template => "it is a template".to_owned(),
            Self::ManagedBy(extension) => format!("it belongs to {extension}"),
            Self::Off => "the capability is off".to_owned(),
            Self::NoTarget => "it belongs to no [[aws]] target".to_owned(),
            Self::SeveralTargets(targets) => {
                format!("it belongs to several [[aws]] targets: {}", names(targets))
            }
            Self::TargetUndecided(target) => {
                format!("whether it belongs to {target} depends on something that is not known of it")
            }
            Self::VcenterNotCurrent(state) => format!("its vCenter's data is not current ({state})"),
            Self::TargetUnreadable { target, why } => format!("{target} cannot be read: {why}"),
            Self::NotManaged => "it is not a managed node".to_owned(),
            Self::SeveralNodes(nodes) => {
                let nodes: Vec<&str> = nodes.iter().map(NodeId::as_str).collect();
                format!("several nodes claim to be it: {}", nodes.join(", "))
            }
            Self::TagsUnknown { node, why: None } => format!("the tags of {node} are not known yet"),
            Self::TagsUnknown { node, why: Some(why) } => format!("the tags of {node} are not known: {why}"),
            Self::OtherInstallation(id) => {
                format!("another installation of vmbridge ({id}) looks after its node")
            }
            Self::UnderWay => {
                "an earlier change is still under way, or it is being found out how it ended".to_owned()
            }
            Self::Failed { failures, retry_at, reason } => {
                let times = if *failures == 1 { "once".to_owned() } else { format!("{failures} times") };
                let quarantined = if *failures >= QUARANTINE { "in quarantine: " } else { "" };
                format!("{quarantined}it failed {times} ({reason}); next try at {retry_at:.0}")
            }
            Self::InStep => "nothing differs".to_owned(),
            Self::NotToBeEnrolled => "`vms` of [enrol] does not select it".to_owned(),
            Self::EnrolUndecided => {
                "whether and how it is to be enrolled depends on something that is not known of it".to_owned()
            }
            Self::FaultToleranceSecondary => "it is the standby copy of a fault-tolerant VM".to_owned(),
            Self::VmNotConnected => "vCenter does not reach it".to_owned(),
            Self::PoweredOff => "it is not powered on".to_owned(),
            Self::ToolsNotRunning => "VMware Tools do not run in it".to_owned(),
            Self::GuestNotReady => "VMware Tools in it are not ready for guest operations".to_owned(),
            Self::GuestNotSupported { guest, why } => format!("SSM Agent does not run on {guest}: {why}"),
            Self::CannotVerify => "there is nothing to verify the agent's package with".to_owned(),
            Self::NoCredentials => "no [[credentials]] are for it".to_owned(),
            Self::CredentialsRefused(names) => {
                format!("its guest refused the [[credentials]] {}", names.join(", "))
            }
            Self::CredentialsUnreadable { name, why } => {
                format!("the password of the [[credentials]] {name} cannot be read: {why}")
            }
            Self::WaitsForOthers => "as many VMs as may be are being enrolled; it is next".to_owned(),
            Self::NodeLimit { place, limit } => format!("{place} has {limit} nodes, which is its limit"),
            Self::AgentOffline { since, repair_at } => {
                let then = match repair_at {
                    Some(at) => format!("it is seen to at {at:.0}"),
                    None => "nothing is done about it".to_owned(),
                };
                format!("its agent has not reported since {since:.0}; {then}")
            }
            Self::OutsideHours { opens: Some(opens) } => {
                format!("guests are left alone until {opens:.0} (`hours` of [enrol])")
            }
            Self::OutsideHours { opens: None } => {
                "guests are left alone for good: `hours` of [enrol] never come".to_owned()
            }
            Self::BackupUnderWay { snapshot } => {
                format!("a backup is under way: it has the snapshot `{snapshot}`")
            }
            Self::Enrolling(stage) => format!("it is being enrolled: {stage}"),
            Self::EnrolFailed { problem, failures, retry_at } => {
                let times = if *failures == 1 { "once".to_owned() } else { format!("{failures} times") };
                format!("{}; it failed {times}; next try at {retry_at:.0}", problem.sentence)
            }
            Self::EnrolQuarantined(problem) => format!("in quarantine: {}", problem.sentence),
            Self::Snapshot(say) => say.sentence(),
            Self::NoWindow => "no window that changes it comes in the time that is looked at".to_owned(),
            Self::HubUnusable { place, why } => format!("nothing can be told to {place}: {why}"),
            Self::ToldLately { until } => {
                format!("it changed again soon after it was told; the change is told at {until:.0}")
            }
            Self::NotRead(what) => format!("{what} have not been read yet"),
        }
    }

    /// What to do, where there is something.
    #[must_use]
    pub fn fix(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::EnrolFailed { problem, .. } | Self::EnrolQuarantined(problem) => {
                let fix =
                    problem.fix.as_deref().unwrap_or("see to the cause; `vmbridge retry <vm>` tries at once");
                Some(fix.to_owned().into())
            }
            Self::Snapshot(say) => say.fix().map(Cow::Owned),
            _ => self.fixed_fix().map(Cow::Borrowed),
        }
    }

    fn fixed_fix(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoTarget => "let `vms` of an [[aws]] target select it, if it should be managed",
            Self::SeveralTargets(_) => "make the `vms` of the targets exclude each other",
            Self::TargetUndecided(_) => {
                "see to the permissions of vmbridge's account in vCenter: docs/privileges.md"
            }
            Self::VcenterNotCurrent(_) => {
                "see to the vCenter: `vmbridge check`; nothing is changed meanwhile"
            }
            Self::TargetUnreadable { .. } => {
                "see to the target: `vmbridge check`; nothing is changed meanwhile"
            }
            Self::EnrolUndecided => {
                "see to the permissions of vmbridge's account in vCenter: docs/privileges.md"
            }
            Self::VmNotConnected => "see to its host in the vSphere client",
            Self::ToolsNotRunning => "install or start VMware Tools (open-vm-tools) in the guest",
            Self::GuestNotReady => "wait until the guest has started; or update VMware Tools",
            Self::CannotVerify => "give `package_sha256` or `signature_key_file` in [enrol]",
            Self::NoCredentials => "add [[credentials]] that select it; docs/enrolment.md",
            Self::CredentialsRefused(_) => {
                "correct the user or the password, or the account in the guest; docs/enrolment.md"
            }
            Self::CredentialsUnreadable { .. } => "see to where the password is; `vmbridge check` tells more",
            Self::AgentOffline { repair_at: None, .. } => {
                "see to the agent in the guest, or set `repair_after` in [enrol]"
            }
            Self::NodeLimit { .. } => {
                "deregister nodes, or enable the advanced tier (it bills) and raise `node_limit`"
            }
            Self::NotManaged => {
                "install and register SSM Agent in it; or if it is registered: vmbridge link <vm> <node>"
            }
            Self::SeveralNodes(_) => {
                "deregister the nodes that are no longer in use, or: vmbridge link <vm> <node>"
            }
            Self::OtherInstallation(_) => {
                "turn one of the two off; if it is an earlier life of this one: vmbridge state recover"
            }
            Self::Failed { .. } => "see to the cause; `vmbridge retry <vm>` tries at once",
            Self::Template
            | Self::ManagedBy(_)
            | Self::Off
            | Self::TagsUnknown { .. }
            | Self::UnderWay
            | Self::NotToBeEnrolled
            | Self::FaultToleranceSecondary
            | Self::PoweredOff
            | Self::GuestNotSupported { .. }
            | Self::WaitsForOthers
            | Self::AgentOffline { repair_at: Some(_), .. }
            | Self::OutsideHours { .. }
            | Self::BackupUnderWay { .. }
            | Self::Enrolling(_)
            | Self::EnrolFailed { .. }
            | Self::EnrolQuarantined(_)
            | Self::Snapshot(_)
            | Self::HubUnusable { .. }
            | Self::NoWindow
            | Self::ToldLately { .. }
            | Self::NotRead(_)
            | Self::InStep => {
                return None;
            }
        })
    }
}

/// Something to know about one tag of a node, or one attribute of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Somebody else wrote this key, so it is left alone.
    Foreign {
        /// The key.
        name: Arc<str>,
        /// Its value.
        value: Arc<str>,
        /// What the rules would have it be.
        wanted: Arc<str>,
    },
    /// Somebody else changed or removed what we wrote.
    Drift {
        /// The key.
        name: Arc<str>,
        /// What we wrote.
        written: Arc<str>,
        /// What is there now.
        found: Option<Arc<str>>,
    },
    /// Somebody else changed what we wrote and would now remove; it is left to them.
    LetGo {
        /// The key.
        name: Arc<str>,
        /// What is there now.
        found: Arc<str>,
    },
    /// What a rule says is not known or cannot be used; what is there stays.
    Rule {
        /// The word for it.
        word: &'static str,
        /// One sentence, with the fix.
        sentence: String,
        /// Whether something is lacking because of it.
        problem: bool,
    },
    /// Something else to say of the VM's snapshots.
    Snapshot(Box<Say>),
    /// Something that is to be known of a snapshot of the VM.
    Hazard(Box<Hazard>),
    /// The node is kept out of a window, and this tag from the node because of that.
    Held {
        /// The key.
        name: Arc<str>,
        /// The window.
        window: Arc<str>,
    },
    /// The VM has no snapshot, and cannot be kept out of the window.
    CannotHold {
        /// The window.
        window: Arc<str>,
        /// Why not.
        why: Arc<str>,
    },
    /// How many findings of it are in Security Hub.
    Findings {
        /// Those that are open.
        open: usize,
        /// Those that Security Hub refuses for as long as they say the same.
        refused: usize,
    },
    /// Problems of it that another installation tells already.
    FindingsOfOthers {
        /// How many findings that makes.
        count: usize,
        /// The installation; nothing: they do not say.
        installation: Option<Arc<str>>,
    },
    /// There is no room for it: a node has 50 tags at most.
    NoRoom {
        /// The key.
        name: Arc<str>,
        /// How many tags others wrote.
        foreign: usize,
    },
}

impl Note {
    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Foreign { .. } => "foreign",
            Self::Drift { .. } => "drift",
            Self::LetGo { .. } => "letGo",
            Self::Rule { word, .. } => word,
            Self::NoRoom { .. } => "noRoom",
            Self::Findings { .. } => "findings",
            Self::FindingsOfOthers { .. } => "findingsOfOthers",
            Self::Snapshot(say) => say.word(),
            Self::Hazard(hazard) => hazard.word(),
            Self::Held { .. } => "held",
            Self::CannotHold { .. } => "cannotHold",
        }
    }

    /// Whether it is something that a person should look at.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        match self {
            Self::Rule { problem, .. } => *problem,
            Self::Snapshot(say) => say.is_problem(),
            Self::Held { .. } | Self::Hazard(_) => false,
            Self::Findings { refused, .. } => *refused > 0,
            Self::CannotHold { .. } | Self::FindingsOfOthers { .. } => true,
            Self::Foreign { .. } | Self::Drift { .. } | Self::LetGo { .. } | Self::NoRoom { .. } => true,
        }
    }

    /// One sentence, with the fix where there is one.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Foreign { name, value, wanted } if value == wanted => format!(
                "`{name}` has the value `{value}` already, but somebody else wrote it: it is left alone; `adopt = true` takes it over"
            ),
            Self::Foreign { name, value, wanted } => format!(
                "`{name}` is `{value}`, which somebody else wrote: it is not changed to `{wanted}`; `adopt = true` takes it over"
            ),
            Self::Drift { name, written, found: Some(found) } => {
                format!(
                    "`{name}` was set to `{written}` by vmbridge, and somebody else changed it to `{found}`"
                )
            }
            Self::Drift { name, written, found: None } => {
                format!("`{name}` was set to `{written}` by vmbridge, and somebody else removed it")
            }
            Self::LetGo { name, found } => format!(
                "`{name}` is no longer wanted, but somebody else changed it to `{found}`: it is left to them"
            ),
            Self::Rule { sentence, .. } => sentence.clone(),
            Self::Snapshot(say) => match say.fix() {
                Some(fix) => format!("{}; {fix}", say.sentence()),
                None => say.sentence(),
            },
            Self::Hazard(hazard) => format!("{}; {}", hazard.sentence(), hazard.fix()),
            Self::Held { name, window } => {
                format!(
                    "`{name}` is kept from the node until the VM has its snapshot for the window {window}"
                )
            }
            Self::CannotHold { window, why } => {
                format!("it cannot be kept out of the window {window}: {why}")
            }
            Self::Findings { open, refused } => {
                let open = match open {
                    1 => "1 finding of it is open".to_owned(),
                    open => format!("{open} findings of it are open"),
                };
                match refused {
                    0 => open,
                    refused => format!(
                        "{open}, and Security Hub refuses {refused}; `vmbridge findings --state refused` says why"
                    ),
                }
            }
            Self::FindingsOfOthers { count, installation } => {
                super::report::told_by_others(*count, installation.as_deref())
            }
            Self::NoRoom { name, foreign } => format!(
                "`{name}` is left out: a node has 50 tags at most, and {foreign} were written by others; rules that come first win"
            ),
        }
    }
}
