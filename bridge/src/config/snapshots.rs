//! `[snapshots]`: the safety net of VMs before their maintenance windows.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use mappings::glob::NamePattern;
use mappings::protection::{IfImpossible, Keep, Limits, Policy};
use mappings::recurrence::Recurrence;
use mappings::selector::Selector;
use mappings::snapshot::hazard::{Quiesce, Rules};
use mappings::snapshot::pacing;
use mappings::snapshot::space::Floor;

use super::capability::{MODE, Mode};
use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Boolean, Integer, Name, OneOf, Scope, Span, Text, Texts};

/// The safety net of VMs before their maintenance windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// How far it may go.
    pub mode: Mode,
    /// Documents that change guests, besides those of Patch Manager: windows that run one of them count.
    pub documents: Vec<NamePattern>,
    /// The document of the hook that keeps a node from being patched.
    pub hold_document: String,
    /// The tag category of vSphere whose tags are windows.
    pub window_category: Option<String>,
    /// The time zone of windows that name none.
    pub time_zone: TimeZone,
    /// Windows that open within this time are looked at.
    pub horizon: Duration,
    /// How much may be done at the same time.
    pub limits: Limits,
    /// Space that stays free on each datastore.
    pub floor: Floor,
    /// How much of its disks a VM is expected to write while its snapshot is there.
    pub growth_percent: u32,
    /// How long after a window it may take until what became of a VM is known.
    pub judge_within: Duration,
    /// The policies, in the order in which they are tried.
    pub policies: Vec<SnapshotPolicy>,
    /// Windows that AWS does not know.
    pub windows: Vec<OwnWindow>,
}

impl SnapshotSettings {
    /// No snapshots are taken.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        let environment = crate::config::Environment::default();
        let text = "[[vcenter]]\nname='a'\nurl='https://a'\nusername='u'\npassword={file='/x'}\n[snapshots]\nmode='off'";
        let config = crate::config::parse(text, std::path::Path::new("vmbridge.toml"), &environment);
        config.expect("it is correct").snapshots
    }
}

/// The policy for some VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Its name, times and limits.
    pub policy: Policy,
    /// The VMs that it is for.
    pub vms: Selector,
    /// What makes a VM unfit for a snapshot.
    pub rules: Rules,
    /// What has to be well after the window.
    pub probes: Vec<ProbeKind>,
}

/// Something that is looked at after a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// VMware Tools run.
    Tools,
    /// SSM Agent is online.
    Agent,
    /// A TCP port answers.
    Tcp(u16),
}

/// A window that AWS does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnWindow {
    /// Its name.
    pub name: Arc<str>,
    /// When it opens and closes.
    pub recurrence: Recurrence,
    /// The VMs that it is for.
    pub vms: Selector,
}

static DOCUMENTS: Key<Texts> = Key {
    name: "documents",
    kind: Texts,
    need: Need::Default(""),
    doc: "Names of documents, or patterns of them, that change guests. A maintenance window of Systems Manager counts if a task of it patches (`AWS-RunPatchBaseline*` with `Operation=Install`) or runs one of these.",
    example: "[\"Corp-Install*\"]",
};

static HOLD_DOCUMENT: Key<Text> = Key {
    name: "hold_document",
    kind: Text,
    need: Need::Default("vmbridge-pre-install"),
    doc: "The name of the document that windows run as `PreInstallHookDocName` of `AWS-RunPatchBaselineWithHooks`, and that refuses nodes which are held. See [snapshots.md](snapshots.md).",
    example: "\"vmbridge-pre-install\"",
};

static WINDOW_CATEGORY: Key<Text> = Key {
    name: "window_category",
    kind: Text,
    need: Need::Optional,
    doc: "A tag category of vSphere whose tags are windows by themselves, such as `Sun 02:00 4h` or `2nd Tue 22:00 6h Europe/Berlin`, for people without maintenance windows of Systems Manager.",
    example: "\"Snapshot window\"",
};

static TIME_ZONE: Key<Text> = Key {
    name: "time_zone",
    kind: Text,
    need: Need::Default("UTC"),
    doc: "The time zone of windows that name none, by its IANA name.",
    example: "\"Europe/Berlin\"",
};

static HORIZON: Key<Span> = Key {
    name: "horizon",
    kind: Span { min: Duration::from_secs(3600), max: Duration::from_secs(60 * 24 * 3600) },
    need: Need::Default("168h"),
    doc: "Windows that open within this time are looked at: whether all their VMs can have a snapshot in time is said as soon as a window comes this near.",
    example: "\"336h\"",
};

const fn limit(name: &'static str, default: &'static str, doc: &'static str) -> Key<Integer> {
    Key { name, kind: Integer { min: 1, max: 1000 }, need: Need::Default(default), doc, example: default }
}

static PER_DATASTORE: Key<Integer> =
    limit("per_datastore", "4", "Snapshots that are taken at the same time on one datastore.");
static PER_HOST: Key<Integer> =
    limit("per_host", "4", "Snapshots that are taken at the same time on one ESXi host.");
static PER_VCENTER: Key<Integer> =
    limit("per_vcenter", "32", "Snapshots that are taken at the same time in one vCenter.");
static REMOVE_PER_DATASTORE: Key<Integer> = limit(
    "remove_per_datastore",
    "2",
    "Snapshots that are removed at the same time on one datastore. Removing is the expensive part: it may run for hours.",
);
static REMOVE_PER_HOST: Key<Integer> =
    limit("remove_per_host", "2", "Snapshots that are removed at the same time on one ESXi host.");
static REMOVE_PER_VCENTER: Key<Integer> =
    limit("remove_per_vcenter", "16", "Snapshots that are removed at the same time in one vCenter.");

static FLOOR_PERCENT: Key<Integer> = Key {
    name: "floor_percent",
    kind: Integer { min: 0, max: 90 },
    need: Need::Default("10"),
    doc: "The share of each datastore that stays free, in percent, with what snapshots are expected to grow to already taken off.",
    example: "15",
};

static FLOOR_GIB: Key<Integer> = Key {
    name: "floor_gib",
    kind: Integer { min: 0, max: 1_000_000 },
    need: Need::Default("20"),
    doc: "The space of each datastore that stays free, in GiB. The larger of both floors counts.",
    example: "100",
};

static GROWTH_PERCENT: Key<Integer> = Key {
    name: "growth_percent",
    kind: Integer { min: 0, max: 100 },
    need: Need::Default("10"),
    doc: "How much of the size of its disks a VM is expected to write while its snapshot is there, in percent.",
    example: "5",
};

static JUDGE_WITHIN: Key<Span> = Key {
    name: "judge_within",
    kind: Span { min: Duration::from_secs(10), max: Duration::from_secs(24 * 3600) },
    need: Need::Default("1h"),
    doc: "How long after the end of a window it may take until it is known what became of a VM. Then what is not known counts as such, and the snapshot is kept for `keep_failure`.",
    example: "\"2h\"",
};

static NAME: Key<Name> = Key {
    name: "name",
    kind: Name,
    need: Need::Required,
    doc: "Its name, shown wherever it matters.",
    example: "\"production\"",
};

static POLICY_VMS: Key<Scope> = Key {
    name: "vms",
    kind: Scope,
    need: Need::Default("all"),
    doc: "The VMs that the policy is for. The first policy that selects a VM counts.",
    example: "\"tag=Environment:prod\"",
};

static LEAD: Key<Span> = Key {
    name: "lead",
    kind: Span { min: Duration::from_secs(10), max: Duration::from_secs(48 * 3600) },
    need: Need::Default("4h"),
    doc: "The first snapshot is taken so long before the window opens at the earliest. From then on a VM with `if_impossible = \"hold\"` is kept out of the window until it has its snapshot.",
    example: "\"2h\"",
};

static DEADLINE: Key<Span> = Key {
    name: "deadline",
    kind: Span { min: Duration::ZERO, max: Duration::from_secs(24 * 3600) },
    need: Need::Default("15m"),
    doc: "All snapshots are planned to be there so long before the window opens.",
    example: "\"30m\"",
};

static QUIESCE: Key<OneOf<Quiesce>> = Key {
    name: "quiesce",
    kind: OneOf(&[("required", Quiesce::Required), ("preferred", Quiesce::Preferred), ("off", Quiesce::Off)]),
    need: Need::Default("preferred"),
    doc: "Whether the guest's file systems are quiesced. `preferred`: where that fails or Tools do not run, the snapshot is taken without, and that is said.",
    example: "\"required\"",
};

static MEMORY: Key<Boolean> = Key {
    name: "memory",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Whether the VM's memory is in the snapshot. That is slow, takes the space of the memory, and is rarely wanted.",
    example: "true",
};

static KEEP_SUCCESS: Key<Span> = Key {
    name: "keep_success",
    kind: Span { min: Duration::ZERO, max: Duration::from_secs(14 * 24 * 3600) },
    need: Need::Default("4h"),
    doc: "How long the snapshot of a VM that is patched and well is kept after that was found.",
    example: "\"24h\"",
};

static KEEP_FAILURE: Key<Span> = Key {
    name: "keep_failure",
    kind: Span { min: Duration::ZERO, max: Duration::from_secs(14 * 24 * 3600) },
    need: Need::Default("48h"),
    doc: "How long it is kept when patching failed, or when nobody knows.",
    example: "\"48h\"",
};

static MAX_AGE: Key<Span> = Key {
    name: "max_age",
    kind: Span { min: Duration::from_secs(60), max: Duration::from_secs(14 * 24 * 3600) },
    need: Need::Default("72h"),
    doc: "The hard limit of its age, whatever happened. The vendor advises 72 hours. The removal begins a twelfth of this time earlier, at most six hours.",
    example: "\"72h\"",
};

static MAX_CHAIN: Key<Integer> = Key {
    name: "max_chain",
    kind: Integer { min: 1, max: 31 },
    need: Need::Default("3"),
    doc: "Snapshots that a VM may have one after the other, those of others included. The vendor advises 2 to 3; 32 is the end.",
    example: "2",
};

static IF_IMPOSSIBLE: Key<OneOf<IfImpossible>> = Key {
    name: "if_impossible",
    kind: OneOf(&[("report", IfImpossible::Report), ("hold", IfImpossible::Hold)]),
    need: Need::Default("report"),
    doc: "What is done with a VM that has no snapshot when its window opens. `report`: it is patched all the same. `hold`: it is not patched; the tag that makes it a target is taken from its node from `lead` on, until the snapshot is there or the window is over.",
    example: "\"hold\"",
};

static UNCOVERED_DISKS: Key<Boolean> = Key {
    name: "uncovered_disks",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Whether a VM with independent disks has a snapshot all the same. Such disks are not in it: a rollback leaves them as they are.",
    example: "true",
};

static CONSOLIDATE: Key<Boolean> = Key {
    name: "consolidate",
    kind: Boolean,
    need: Need::Default("true"),
    doc: "Whether disks that are left over after the removal are consolidated.",
    example: "false",
};

static PROBES: Key<Texts> = Key {
    name: "probes",
    kind: Texts,
    need: Need::Default("agent"),
    doc: "What has to be well after the window, besides what Patch Manager says: `tools` (VMware Tools run), `agent` (SSM Agent is online), `tcp:<port>` (the port answers at the VM's primary address).",
    example: "[\"agent\", \"tools\", \"tcp:443\"]",
};

static WINDOW_VMS: Key<Scope> = Key {
    name: "vms",
    kind: Scope,
    need: Need::Required,
    doc: "The VMs that are changed in this window.",
    example: "\"tag=Window:sunday\"",
};

static SCHEDULE: Key<Text> = Key {
    name: "schedule",
    kind: Text,
    need: Need::Required,
    doc: "When it opens and how long it lasts: `Sun 02:00 4h`, `Mon-Fri 22:00 90m`, `daily 03:00 2h`, `2nd Tue 22:00 6h`, `2nd Tue +4d 22:00 6h`, `last Sat 01:00 4h`, `15 23:00 3h`, `2026-12-24 20:00 4h`; with a time zone at the end, or in that of [snapshots].",
    example: "\"2nd Tue +4d 22:00 6h Europe/Berlin\"",
};

static POLICY: Section = Section {
    name: "policy",
    shape: Shape::Many,
    doc: "What is wanted for the snapshots of some VMs. See [snapshots.md](snapshots.md) for common cases.",
    keys: &[
        &NAME,
        &POLICY_VMS,
        &LEAD,
        &DEADLINE,
        &QUIESCE,
        &MEMORY,
        &KEEP_SUCCESS,
        &KEEP_FAILURE,
        &MAX_AGE,
        &MAX_CHAIN,
        &IF_IMPOSSIBLE,
        &UNCOVERED_DISKS,
        &CONSOLIDATE,
        &PROBES,
    ],
    sections: &[],
};

static WINDOW: Section = Section {
    name: "window",
    shape: Shape::Many,
    doc: "A window that Systems Manager does not know, because something else changes the VMs in it.",
    keys: &[&NAME, &WINDOW_VMS, &SCHEDULE],
    sections: &[],
};

pub(super) static SECTION: Section = Section {
    name: "snapshots",
    shape: Shape::One,
    doc: "The safety net of VMs before their maintenance windows: snapshots that are taken in time and removed again. See [snapshots.md](snapshots.md).",
    keys: &[
        &MODE,
        &DOCUMENTS,
        &HOLD_DOCUMENT,
        &WINDOW_CATEGORY,
        &TIME_ZONE,
        &HORIZON,
        &PER_DATASTORE,
        &PER_HOST,
        &PER_VCENTER,
        &REMOVE_PER_DATASTORE,
        &REMOVE_PER_HOST,
        &REMOVE_PER_VCENTER,
        &FLOOR_PERCENT,
        &FLOOR_GIB,
        &GROWTH_PERCENT,
        &JUDGE_WITHIN,
    ],
    sections: &[&POLICY, &WINDOW],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<SnapshotSettings> {
    let mode = table.get(&MODE);
    let documents = globs(table, &DOCUMENTS);
    let hold_document = table.get(&HOLD_DOCUMENT);
    let window_category = table.get_optional(&WINDOW_CATEGORY);
    let zone = table.get(&TIME_ZONE).and_then(|name| {
        let zone = TimeZone::get(&name).ok();
        if zone.is_none() {
            let help = "give its IANA name, such as Europe/Berlin";
            table.wrong(TIME_ZONE.name, "there is no such time zone", help);
        }
        zone
    });
    let horizon = table.get(&HORIZON);
    let limits = |keys: [&Key<Integer>; 3]| {
        let number = |key| u32::try_from(table.get(key)?).ok().and_then(NonZeroU32::new);
        let [per_datastore, per_host, per_vcenter] = keys.map(number);
        Some(pacing::Limits { per_datastore: per_datastore?, per_host: per_host?, per_vcenter: per_vcenter? })
    };
    let take = limits([&PER_DATASTORE, &PER_HOST, &PER_VCENTER]);
    let remove = limits([&REMOVE_PER_DATASTORE, &REMOVE_PER_HOST, &REMOVE_PER_VCENTER]);
    let floor_percent = table.get(&FLOOR_PERCENT);
    let floor_gib = table.get(&FLOOR_GIB);
    let growth_percent = table.get(&GROWTH_PERCENT);
    let judge_within = table.get(&JUDGE_WITHIN);
    let (policies, windows) = (table.sections(&POLICY), table.sections(&WINDOW));
    super::refuse_same_names(policies.iter(), "every [[snapshots.policy]] needs its own name");
    super::refuse_same_names(windows.iter(), "every [[snapshots.window]] needs its own name");
    let windows: Vec<Option<OwnWindow>> =
        windows.iter().map(|window| own_window(window, zone.as_ref())).collect();
    let floor = Floor {
        percent: u8::try_from(floor_percent.unwrap_or_default()).unwrap_or(100),
        bytes: u64::try_from(floor_gib.unwrap_or_default()).unwrap_or(u64::MAX).saturating_mul(1 << 30),
    };
    let policies: Vec<Option<SnapshotPolicy>> = policies.iter().map(|table| policy(table, floor)).collect();
    floor_percent?;
    floor_gib?;
    Some(SnapshotSettings {
        mode: mode?,
        documents: documents?,
        hold_document: hold_document?,
        window_category,
        time_zone: zone?,
        horizon: horizon?,
        limits: Limits { create: take?, remove: remove? },
        floor,
        growth_percent: u32::try_from(growth_percent?).unwrap_or(100),
        judge_within: judge_within?,
        policies: policies.into_iter().collect::<Option<_>>()?,
        windows: windows.into_iter().collect::<Option<_>>()?,
    })
}

fn policy(table: &TableReader<'_>, floor: Floor) -> Option<SnapshotPolicy> {
    let name = table.get(&NAME);
    let vms = table.get(&POLICY_VMS);
    let (lead, deadline) = (table.get(&LEAD), table.get(&DEADLINE));
    let (quiesce, memory) = (table.get(&QUIESCE), table.get(&MEMORY));
    let (success, failure) = (table.get(&KEEP_SUCCESS), table.get(&KEEP_FAILURE));
    let (max_age, max_chain) = (table.get(&MAX_AGE), table.get(&MAX_CHAIN));
    let if_impossible = table.get(&IF_IMPOSSIBLE);
    let uncovered_disks = table.get(&UNCOVERED_DISKS);
    let consolidate = table.get(&CONSOLIDATE);
    let probes = table.get(&PROBES).and_then(|words| {
        let probes: Option<Vec<ProbeKind>> = words.iter().map(|word| probe(word)).collect();
        if probes.is_none() {
            let help = "write `tools`, `agent` or `tcp:<port>`";
            table.wrong(PROBES.name, "one of these probes does not exist", help);
        }
        probes
    });
    if lead.zip(deadline).is_some_and(|(lead, deadline)| deadline >= lead) {
        table.wrong(DEADLINE.name, "it leaves no time: `lead` is not longer", "make `lead` longer");
    }
    if success.zip(failure).is_some_and(|(success, failure)| failure < success) {
        let help = "keep the snapshots of VMs that failed at least as long as those of VMs that are well";
        table.wrong(KEEP_FAILURE.name, "it is shorter than `keep_success`", help);
    }
    // Else a snapshot would have to go while its window is open: nothing less than the limit would hold then.
    if lead.zip(max_age).is_some_and(|(lead, max_age)| max_age <= lead) {
        table.wrong(
            MAX_AGE.name,
            "it is not longer than `lead`",
            "make it longer than `lead` and the window",
        );
    }
    let keep = Keep { success: signed(success?), failure: signed(failure?), max_age: signed(max_age?) };
    Some(SnapshotPolicy {
        policy: Policy {
            name: name?.into(),
            lead: signed(lead?),
            deadline: signed(deadline?),
            keep,
            if_impossible: if_impossible?,
            consolidate: consolidate?,
        },
        vms: vms?,
        rules: Rules {
            quiesce: quiesce?,
            memory: memory?,
            max_chain: u32::try_from(max_chain?).unwrap_or(u32::MAX),
            floor,
            allow_uncovered_disks: uncovered_disks?,
        },
        probes: probes?,
    })
}

fn own_window(table: &TableReader<'_>, zone: Option<&TimeZone>) -> Option<OwnWindow> {
    let name = table.get(&NAME);
    let vms = table.get(&WINDOW_VMS);
    let schedule = table.get(&SCHEDULE);
    let recurrence = match Recurrence::parse(&schedule?, zone?) {
        Ok(recurrence) => Some(recurrence),
        Err(error) => {
            table.wrong(SCHEDULE.name, error.to_string(), "write such as \"Sun 02:00 4h\"");
            None
        }
    };
    Some(OwnWindow { name: name?.into(), recurrence: recurrence?, vms: vms? })
}

fn probe(word: &str) -> Option<ProbeKind> {
    match word.split_once(':') {
        None if word == "tools" => Some(ProbeKind::Tools),
        None if word == "agent" => Some(ProbeKind::Agent),
        Some(("tcp", port)) => port.parse().ok().filter(|port| *port > 0).map(ProbeKind::Tcp),
        _ => None,
    }
}

fn globs(table: &TableReader<'_>, key: &Key<Texts>) -> Option<Vec<NamePattern>> {
    let words = table.get(key)?;
    let globs: Result<Vec<NamePattern>, _> = words.iter().map(|word| NamePattern::new(word)).collect();
    globs.map_err(|error| table.wrong(key.name, error.to_string(), "write such as \"prod-*\"")).ok()
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}
