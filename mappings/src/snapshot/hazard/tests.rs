use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const GIB: i64 = 1 << 30;

fn disk(label: &str) -> Disk {
    Disk {
        label: label.to_owned(),
        mode: Some(DiskMode::Persistent),
        physical_rdm: Some(false),
        bus_sharing: Some(BusSharing::None),
        multi_writer: Some(false),
        datastore: Some(DatastoreId::new("vc/datastore-1")),
        capacity: Some(100 * GIB),
    }
}

fn datastore() -> Datastore {
    Datastore {
        id: DatastoreId::new("vc/datastore-1"),
        name: "fast".to_owned(),
        capacity: Some(1000 * GIB),
        free: Some(500 * GIB),
        accessible: Some(true),
        maintenance: Some(false),
    }
}

/// A VM of which everything is known and nothing is wrong.
fn good() -> Facts {
    Facts {
        power: Some(PowerState::On),
        connection: Some(Connection::Connected),
        template: Some(false),
        tools: Some(Tools::Running),
        tools_current: Some(true),
        guest_family: Some(GuestFamily::Linux),
        domain_joined: Some(false),
        guest_iscsi: Some(false),
        memory: Some(8 * GIB),
        chain_depth: Some(0),
        snapshots: Some(Vec::new()),
        disks: Some(vec![disk("Hard disk 1")]),
        pci_passthrough: Some(0),
        fault_tolerance: Some(FaultTolerance::None),
        consolidation_needed: Some(false),
        datastores: Some(vec![datastore()]),
        tasks: Some(Vec::new()),
        create_disabled: Some(false),
    }
}

fn existing(name: &str, hours: i64) -> Existing {
    Existing { name: name.to_owned(), age: Some(SignedDuration::from_hours(hours)), ours: false }
}

/// The verdict and the warnings in words.
fn words(preflight: &Preflight) -> String {
    let list = |hazards: &[Hazard]| hazards.iter().map(Hazard::word).collect::<Vec<_>>().join(" ");
    let verdict = match &preflight.verdict {
        Verdict::Go => "go".to_owned(),
        Verdict::Wait(hazards) => format!("wait: {}", list(hazards)),
        Verdict::Refuse(hazards) => format!("refuse: {}", list(hazards)),
    };
    if preflight.warnings.is_empty() {
        verdict
    } else {
        format!("{verdict}; warn: {}", list(&preflight.warnings))
    }
}

fn judged(change: impl FnOnce(&mut Facts)) -> String {
    judged_by(&Rules::default(), change)
}

fn judged_by(rules: &Rules, change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = good();
    change(&mut facts);
    words(&preflight(&facts, rules))
}

fn with_disk(change: impl FnOnce(&mut Disk)) -> impl FnOnce(&mut Facts) {
    |facts| {
        let mut second = disk("Hard disk 2");
        change(&mut second);
        facts.disks = Some(vec![disk("Hard disk 1"), second]);
    }
}

fn with_datastore(change: impl FnOnce(&mut Datastore)) -> impl FnOnce(&mut Facts) {
    |facts| {
        let mut second = datastore();
        change(&mut second);
        facts.datastores = Some(vec![datastore(), second]);
    }
}

#[test]
fn a_good_vm_goes() {
    let before = preflight(&good(), &Rules::default());
    assert_eq!(
        before,
        Preflight { verdict: Verdict::Go, warnings: Vec::new(), quiesce: true, memory: false }
    );
}

#[test]
fn what_vsphere_cannot_do_is_refused() {
    for (change, word) in [
        (
            Box::new(|facts: &mut Facts| facts.template = Some(true)) as Box<dyn FnOnce(&mut Facts)>,
            "template",
        ),
        (Box::new(|facts| facts.pci_passthrough = Some(1)), "pci-passthrough"),
        (Box::new(|facts| facts.fault_tolerance = Some(FaultTolerance::Primary)), "fault-tolerance"),
        (Box::new(|facts| facts.fault_tolerance = Some(FaultTolerance::Secondary)), "fault-tolerance"),
        (Box::new(|facts| facts.connection = Some(Connection::Orphaned)), "lost"),
        (Box::new(|facts| facts.connection = Some(Connection::Invalid)), "lost"),
        (Box::new(with_disk(|disk| disk.physical_rdm = Some(true))), "physical-rdm"),
        (Box::new(with_disk(|disk| disk.bus_sharing = Some(BusSharing::Virtual))), "bus-sharing"),
        (Box::new(with_disk(|disk| disk.bus_sharing = Some(BusSharing::Physical))), "bus-sharing"),
        (Box::new(with_disk(|disk| disk.multi_writer = Some(true))), "multi-writer"),
        (Box::new(|facts| facts.consolidation_needed = Some(true)), "consolidation-needed"),
        (Box::new(|facts| facts.chain_depth = Some(3)), "chain-too-long"),
        (Box::new(with_datastore(|store| store.free = Some(99 * GIB))), "datastore-low"),
        (Box::new(with_datastore(|store| store.free = Some(-1))), "datastore-low"),
    ] {
        assert_eq!(judged(change), format!("refuse: {word}"));
    }
    // Off, these stand just the same.
    let off = |change: fn(&mut Facts)| {
        judged(|facts| {
            facts.power = Some(PowerState::Off);
            change(facts);
        })
    };
    assert_eq!(off(|facts| facts.pci_passthrough = Some(2)), "refuse: pci-passthrough");
    // An independent mapping in physical mode is told once.
    let both = with_disk(|disk| {
        disk.physical_rdm = Some(true);
        disk.mode = Some(DiskMode::IndependentPersistent);
    });
    assert_eq!(judged(both), "refuse: physical-rdm");
}

#[test]
fn what_passes_is_waited_for() {
    for (change, word) in [
        (
            Box::new(|facts: &mut Facts| facts.connection = Some(Connection::Disconnected))
                as Box<dyn FnOnce(&mut Facts)>,
            "not-connected",
        ),
        (Box::new(|facts| facts.connection = Some(Connection::Inaccessible)), "not-connected"),
        (
            Box::new(|facts| facts.snapshots = Some(vec![existing("VEEAM BACKUP TEMPORARY SNAPSHOT", 1)])),
            "backup-running",
        ),
        (Box::new(|facts| facts.tasks = Some(vec!["VirtualMachine.relocate".to_owned()])), "task-running"),
        (
            Box::new(|facts| facts.tasks = Some(vec!["VirtualMachine.consolidateDisks".to_owned()])),
            "consolidation-under-way",
        ),
        (
            Box::new(|facts| facts.tasks = Some(vec!["vm.Snapshot.remove".to_owned()])),
            "consolidation-under-way",
        ),
        // It is needed because it is under way.
        (
            Box::new(|facts| {
                facts.tasks = Some(vec!["VirtualMachine.removeAllSnapshots".to_owned()]);
                facts.consolidation_needed = Some(true);
            }),
            "consolidation-under-way",
        ),
        (Box::new(|facts| facts.create_disabled = Some(true)), "create-disabled"),
        (Box::new(with_datastore(|store| store.accessible = Some(false))), "datastore-inaccessible"),
        (Box::new(with_datastore(|store| store.maintenance = Some(true))), "datastore-maintenance"),
    ] {
        assert_eq!(judged(change), format!("wait: {word}"));
    }
    // Refusing is told before waiting.
    let both = judged(|facts| {
        facts.template = Some(true);
        facts.create_disabled = Some(true);
    });
    assert_eq!(both, "refuse: template");
}

#[test]
fn what_may_go_wrong_later_is_a_warning() {
    let old = judged(|facts| {
        let ours = Existing { ours: true, ..existing("vmbridge/Sunday/x", 500) };
        facts.snapshots = Some(vec![existing("before the upgrade", 73), existing("new", 72), ours]);
        facts.chain_depth = Some(1);
    });
    assert_eq!(old, "go; warn: old-snapshot");
    assert_eq!(judged(|facts| facts.tools_current = Some(false)), "go; warn: tools-old");
    assert_eq!(judged(with_disk(|disk| disk.capacity = Some(3 << 40))), "go; warn: large-disk");
    let joined = |family| {
        judged(move |facts| {
            facts.guest_family = Some(family);
            facts.domain_joined = Some(true);
        })
    };
    assert_eq!(joined(GuestFamily::Windows), "go; warn: domain-joined");
    assert_eq!(joined(GuestFamily::Linux), "go");
    let memory = Rules { memory: true, quiesce: Quiesce::Off, ..Rules::default() };
    assert_eq!(judged_by(&memory, |facts| facts.memory = Some(32 * GIB)), "go; warn: large-memory");
    assert_eq!(judged_by(&memory, |facts| facts.memory = Some(31 * GIB)), "go");
    assert_eq!(judged(|facts| facts.memory = Some(32 * GIB)), "go");
}

#[test]
fn a_disk_that_a_rollback_does_not_bring_back() {
    let allowed = Rules { allow_uncovered_disks: true, ..Rules::default() };
    for mode in [DiskMode::IndependentPersistent, DiskMode::Other] {
        let with_mode = || with_disk(move |disk| disk.mode = Some(mode));
        assert_eq!(judged(with_mode()), "refuse: uncovered-disk");
        assert_eq!(judged_by(&allowed, with_mode()), "go; warn: uncovered-disk");
        // Off, the disk is left out as well.
        let off = |facts: &mut Facts| {
            with_mode()(facts);
            facts.power = Some(PowerState::Off);
        };
        assert_eq!(judged(off), "refuse: uncovered-disk");
    }
    // One that forgets needs no cover.
    assert_eq!(judged(with_disk(|disk| disk.mode = Some(DiskMode::IndependentNonpersistent))), "go");
    assert_eq!(judged(|facts| facts.guest_iscsi = Some(true)), "refuse: guest-iscsi");
    assert_eq!(judged_by(&allowed, |facts| facts.guest_iscsi = Some(true)), "go; warn: guest-iscsi");
    assert_eq!(judged(|facts| facts.guest_iscsi = None), "go");
}

#[test]
fn memory_and_independent_disks_do_not_go_together() {
    let memory =
        Rules { memory: true, quiesce: Quiesce::Off, allow_uncovered_disks: true, ..Rules::default() };
    let independent = |mode, power| {
        move |facts: &mut Facts| {
            with_disk(move |disk| disk.mode = Some(mode))(facts);
            facts.power = Some(power);
        }
    };
    for (rules, mode, power, words) in [
        (
            &memory,
            DiskMode::IndependentPersistent,
            PowerState::On,
            "refuse: memory-with-independent-disk; warn: uncovered-disk",
        ),
        (&memory, DiskMode::IndependentNonpersistent, PowerState::On, "refuse: memory-with-independent-disk"),
        (&memory, DiskMode::IndependentNonpersistent, PowerState::Off, "go"),
        // What was in memory is in the snapshot of a suspended VM in any case.
        (
            &Rules { memory: false, ..memory.clone() },
            DiskMode::IndependentNonpersistent,
            PowerState::Suspended,
            "refuse: memory-with-independent-disk",
        ),
        (
            &Rules { memory: false, ..memory.clone() },
            DiskMode::IndependentNonpersistent,
            PowerState::On,
            "go",
        ),
    ] {
        assert_eq!(judged_by(rules, independent(mode, power)), words, "{mode:?} {power:?}");
    }
    let off = |facts: &mut Facts| facts.power = Some(PowerState::Off);
    let mut facts = good();
    off(&mut facts);
    assert!(!preflight(&facts, &memory).memory);
    assert!(preflight(&good(), &memory).memory);
}

#[test]
fn quiescing_is_done_required_or_told() {
    let rules = |quiesce| Rules { quiesce, ..Rules::default() };
    let with =
        |power, tools, family| Facts { power: Some(power), tools, guest_family: Some(family), ..good() };
    let (on, linux) = (PowerState::On, GuestFamily::Linux);
    for (facts, required, preferred) in [
        (with(on, Some(Tools::Running), linux), ("go", true), ("go", true)),
        (with(on, Some(Tools::Running), GuestFamily::Windows), ("go", true), ("go", true)),
        (
            with(on, Some(Tools::NotRunning), linux),
            ("refuse: cannot-quiesce", true),
            ("go; warn: not-quiesced", false),
        ),
        (
            with(on, Some(Tools::Starting), linux),
            ("wait: cannot-quiesce", true),
            ("go; warn: not-quiesced", false),
        ),
        (with(on, None, linux), ("wait: not-known", true), ("go; warn: not-quiesced", false)),
        (
            with(on, Some(Tools::Running), GuestFamily::Other),
            ("refuse: cannot-quiesce", true),
            ("go; warn: not-quiesced", false),
        ),
        (
            with(PowerState::Suspended, Some(Tools::Running), linux),
            ("refuse: cannot-quiesce", true),
            ("go; warn: not-quiesced", false),
        ),
        (with(PowerState::Off, Some(Tools::NotRunning), linux), ("go", false), ("go", false)),
        (with(PowerState::Off, None, GuestFamily::Other), ("go", false), ("go", false)),
    ] {
        for (quiesce, (expected, quiesced)) in
            [(Quiesce::Required, required), (Quiesce::Preferred, preferred), (Quiesce::Off, ("go", false))]
        {
            let before = preflight(&facts, &rules(quiesce));
            assert_eq!(
                (words(&before).as_str(), before.quiesce),
                (expected, quiesced),
                "{quiesce:?} {facts:?}"
            );
        }
    }
    // A family that is not known is no reason.
    assert!(preflight(&Facts { guest_family: None, ..good() }, &rules(Quiesce::Required)).quiesce);
    // With memory it is one or the other.
    let memory = |quiesce| Rules { memory: true, ..rules(quiesce) };
    assert_eq!(words(&preflight(&good(), &memory(Quiesce::Required))), "refuse: cannot-quiesce");
    let preferred = preflight(&good(), &memory(Quiesce::Preferred));
    assert_eq!(preferred.warnings, [Hazard::NotQuiesced(NoQuiesce::Memory)]);
    assert!(preferred.memory && !preferred.quiesce);
}

#[test]
fn chains_have_a_limit() {
    let with = |limit: u32, depth: Option<u32>, count: usize| {
        let rules = Rules { max_chain: limit, ..Rules::default() };
        let facts = Facts { chain_depth: depth, snapshots: Some(vec![existing("x", 1); count]), ..good() };
        match preflight(&facts, &rules).verdict {
            Verdict::Go => None,
            Verdict::Refuse(hazards) => match hazards[..] {
                [Hazard::ChainTooLong { depth, limit }] => Some((depth, limit)),
                _ => panic!("{hazards:?}"),
            },
            Verdict::Wait(hazards) => panic!("{hazards:?}"),
        }
    };
    assert_eq!(with(3, Some(2), 5), None);
    assert_eq!(with(3, Some(3), 3), Some((3, 3)));
    assert_eq!(with(0, Some(0), 0), Some((0, 0)));
    // A limit that vSphere would not follow.
    assert_eq!(with(100, Some(31), 31), None);
    assert_eq!(with(100, Some(32), 32), Some((32, HARD_CHAIN_LIMIT)));
    // That of a backup goes when the backup has ended.
    let backup = judged(|facts| {
        facts.chain_depth = Some(3);
        facts.snapshots = Some(vec![existing("a", 1), existing("b", 1), existing("NBU_SNAPSHOT x", 1)]);
    });
    assert_eq!(backup, "wait: backup-running");
    // How deep is not known, but how many.
    assert_eq!(with(3, None, 2), None);
    assert_eq!(with(3, None, 3), Some((3, 3)));
}

#[test]
fn nothing_is_done_on_a_guess() {
    for change in [
        (|facts| facts.power = None) as fn(&mut Facts),
        |facts| facts.connection = None,
        |facts| facts.template = None,
        |facts| facts.disks = None,
        |facts| facts.snapshots = None,
        |facts| facts.pci_passthrough = None,
        |facts| facts.fault_tolerance = None,
        |facts| facts.consolidation_needed = None,
        |facts| facts.datastores = None,
        |facts| with_disk(|disk| disk.mode = None)(facts),
        |facts| with_disk(|disk| disk.physical_rdm = None)(facts),
        |facts| with_disk(|disk| disk.bus_sharing = None)(facts),
        |facts| with_disk(|disk| disk.multi_writer = None)(facts),
        |facts| with_datastore(|store| store.free = None)(facts),
        |facts| with_datastore(|store| store.accessible = None)(facts),
    ] {
        assert_eq!(judged(change), "wait: not-known");
    }
    // What is missing of several disks is told once, and what is known to be wrong before what is missing.
    let bare = Disk { label: "x".to_owned(), ..Disk::default() };
    assert_eq!(judged(|facts| facts.disks = Some(vec![bare.clone(), bare.clone()])), "wait: not-known");
    let also = judged(|facts| {
        facts.disks = None;
        facts.template = Some(true);
    });
    assert_eq!(also, "refuse: template");
    // These say nothing while they are not known.
    let rest = judged(|facts| {
        facts.tools_current = None;
        facts.domain_joined = None;
        facts.guest_iscsi = None;
        facts.memory = None;
        facts.chain_depth = None;
        facts.tasks = None;
        facts.create_disabled = None;
        with_datastore(|store| store.maintenance = None)(facts);
        with_disk(|disk| (disk.capacity, disk.datastore) = (None, None))(facts);
    });
    assert_eq!(rest, "go");
}

#[test]
fn covered_disks_are_those_that_grow() {
    let mut facts = good();
    let with = |change: fn(&mut Disk)| {
        let mut disk = disk("x");
        change(&mut disk);
        disk
    };
    facts.disks = Some(vec![
        disk("one"),
        with(|disk| disk.mode = Some(DiskMode::IndependentPersistent)),
        with(|disk| disk.mode = None),
        with(|disk| disk.physical_rdm = Some(true)),
        with(|disk| disk.capacity = None),
        with(|disk| disk.datastore = None),
        with(|disk| disk.capacity = Some(7)),
    ]);
    let sizes: Vec<i64> = facts.covered_disks().iter().map(|disk| disk.capacity).collect();
    assert_eq!(sizes, [100 * GIB, 7]);
    assert!(Facts::default().covered_disks().is_empty());
}

/// One of each.
fn each() -> Vec<Hazard> {
    let name = || "a name".to_owned();
    let all = vec![
        Hazard::NotKnown(Missing::Disks),
        Hazard::NotConnected(Connection::Disconnected),
        Hazard::Lost(Connection::Orphaned),
        Hazard::Template,
        Hazard::PhysicalRdm { disk: name() },
        Hazard::BusSharing { disk: name() },
        Hazard::MultiWriter { disk: name() },
        Hazard::Passthrough { devices: 2 },
        Hazard::FaultTolerance,
        Hazard::UncoveredDisk { disk: name() },
        Hazard::MemoryWithIndependentDisk { disk: name() },
        Hazard::GuestIscsi,
        Hazard::ChainTooLong { depth: 3, limit: 3 },
        Hazard::ConsolidationNeeded,
        Hazard::ConsolidationUnderWay,
        Hazard::BackupRunning { snapshot: name(), age: None },
        Hazard::TaskRunning { task: name() },
        Hazard::CreateDisabled,
        Hazard::DatastoreInaccessible { datastore: name() },
        Hazard::DatastoreMaintenance { datastore: name() },
        Hazard::DatastoreLow { datastore: name(), free: 1 << 30, floor: 20 << 30 },
        Hazard::CannotQuiesce(NoQuiesce::Tools),
        Hazard::NotQuiesced(NoQuiesce::Tools),
        Hazard::DomainJoined,
        Hazard::ToolsOld,
        Hazard::OldSnapshot { snapshot: name(), age: SignedDuration::from_hours(100) },
        Hazard::LargeMemory { size: 64 << 30 },
        Hazard::LargeDisk { disk: name(), size: 3 << 40 },
    ];
    // A hazard that is new must be put into the list above: this stops compiling then.
    for hazard in &all {
        match hazard {
            Hazard::NotKnown(_)
            | Hazard::NotConnected(_)
            | Hazard::Lost(_)
            | Hazard::Template
            | Hazard::PhysicalRdm { .. }
            | Hazard::BusSharing { .. }
            | Hazard::MultiWriter { .. }
            | Hazard::Passthrough { .. }
            | Hazard::FaultTolerance
            | Hazard::UncoveredDisk { .. }
            | Hazard::MemoryWithIndependentDisk { .. }
            | Hazard::GuestIscsi
            | Hazard::ChainTooLong { .. }
            | Hazard::ConsolidationNeeded
            | Hazard::ConsolidationUnderWay
            | Hazard::BackupRunning { .. }
            | Hazard::TaskRunning { .. }
            | Hazard::CreateDisabled
            | Hazard::DatastoreInaccessible { .. }
            | Hazard::DatastoreMaintenance { .. }
            | Hazard::DatastoreLow { .. }
            | Hazard::CannotQuiesce(_)
            | Hazard::NotQuiesced(_)
            | Hazard::DomainJoined
            | Hazard::ToolsOld
            | Hazard::OldSnapshot { .. }
            | Hazard::LargeMemory { .. }
            | Hazard::LargeDisk { .. } => {}
        }
    }
    all
}

#[test]
fn each_has_a_word_a_sentence_and_a_fix() {
    let all = each();
    let words: BTreeSet<&str> = all.iter().map(Hazard::word).collect();
    assert_eq!(words.len(), all.len());
    let told: Vec<String> = all
        .iter()
        .map(|hazard| format!("{}: {}\n    {}", hazard.word(), hazard.sentence(), hazard.fix()))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    for hazard in &all {
        assert!(hazard.word().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{hazard:?}");
        assert!(!hazard.sentence().ends_with('.') && !hazard.fix().ends_with('.'), "{hazard:?}");
    }
}

#[test]
fn sentences_are_about_the_case() {
    let stale = Hazard::BackupRunning {
        snapshot: "VEEAM BACKUP TEMPORARY SNAPSHOT".to_owned(),
        age: Some(SignedDuration::from_hours(96)),
    };
    assert_eq!(
        stale.sentence(),
        "the backup snapshot `VEEAM BACKUP TEMPORARY SNAPSHOT` has been there for 4 days: it may be left over"
    );
    assert!(stale.fix().starts_with("look in the backup product"));
    let hard = Hazard::ChainTooLong { depth: 32, limit: 32 };
    assert_eq!(hard.sentence(), "there are 32 snapshots in its chain, and vSphere allows 32");
    // Names come from outside.
    let hostile = Hazard::TaskRunning { task: format!("a\n\u{1b}[31m\u{202e}{}", "b".repeat(1000)) };
    assert!(hostile.sentence().starts_with("another task works on it: a [31mbbb"));
    assert!(hostile.sentence().chars().count() < 100 && !hostile.sentence().contains(char::is_control));
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = Option<T>> + use<T> {
    prop::option::weighted(0.9, prop::sample::select(values.to_vec()))
}

fn disks() -> impl Strategy<Value = Disk> {
    let modes = [
        DiskMode::Persistent,
        DiskMode::IndependentPersistent,
        DiskMode::IndependentNonpersistent,
        DiskMode::Other,
    ];
    let sharing = [BusSharing::None, BusSharing::Virtual, BusSharing::Physical];
    let flags = (maybe(&[false, true]), maybe(&[false, true]));
    (maybe(&modes), flags, maybe(&sharing), prop::option::of(any::<i64>()), any::<bool>()).prop_map(
        |(mode, (physical_rdm, multi_writer), bus_sharing, capacity, harmless)| {
            let strange = Disk { mode, physical_rdm, multi_writer, bus_sharing, capacity, ..disk("x") };
            if harmless { disk("y") } else { strange }
        },
    )
}

proptest! {
    /// Whatever the disks are: it goes only when a rollback brings back every disk that remembers, or the policy knows.
    #[test]
    fn what_goes_is_covered(
        disks in prop::collection::vec(disks(), 0..4),
        power in maybe(&[PowerState::On, PowerState::Off, PowerState::Suspended]),
        memory: bool,
        allow: bool,
        quiesce in prop::sample::select(vec![Quiesce::Required, Quiesce::Preferred, Quiesce::Off]),
        tools in maybe(&[Tools::Running, Tools::Starting, Tools::NotRunning]),
        free: i64,
        depth: u32,
        max_chain: u32,
    ) {
        let facts = Facts {
            disks: Some(disks.clone()),
            power,
            tools,
            chain_depth: Some(depth),
            datastores: Some(vec![Datastore { free: Some(free), ..datastore() }]),
            ..good()
        };
        let rules = Rules { memory, quiesce, max_chain, allow_uncovered_disks: allow, ..Rules::default() };
        let before = preflight(&facts, &rules);
        prop_assert!(!(before.memory && before.quiesce && before.verdict == Verdict::Go));
        if before.verdict == Verdict::Go {
            prop_assert!(power.is_some() && depth < HARD_CHAIN_LIMIT && depth < max_chain && free >= 100 * GIB);
            for disk in &disks {
                prop_assert_eq!(disk.physical_rdm, Some(false));
                prop_assert_eq!(disk.multi_writer, Some(false));
                prop_assert_eq!(disk.bus_sharing, Some(BusSharing::None));
                let forgets = disk.mode == Some(DiskMode::IndependentNonpersistent);
                prop_assert!(allow || forgets || disk.mode == Some(DiskMode::Persistent));
            }
            let quiesced = before.quiesce || power == Some(PowerState::Off);
            prop_assert!(quiesce != Quiesce::Required || quiesced);
            let told = before.warnings.iter().any(|hazard| matches!(hazard, Hazard::NotQuiesced(_)));
            prop_assert!(quiesce != Quiesce::Preferred || quiesced || told);
        }
    }
}
