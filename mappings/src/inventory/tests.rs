use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::SizeRange;

use super::text::CUT;
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-28T17:30:12.345Z")
}

/// A VM of which everything is known.
fn web() -> VmFacts<'static> {
    VmFacts {
        vcenter: "berlin",
        vcenter_uuid: Some("5d2a3c2e-6f0c-4d0e-9f4e-0123456789ab"),
        moref: "vm-1042",
        instance_uuid: Some("50112233-4455-6677-8899-aabbccddeeff"),
        bios_uuid: Some("42112233-4455-6677-8899-aabbccddeeff"),
        name: Some("web-01 Zürich 東京"),
        datacenter: Some("Berlin"),
        folder: Some("/Prod/Web"),
        cluster: Some("Compute"),
        host: Some("esx-07.example.com"),
        resource_pool: Some("Resources"),
        v_app: None,
        datastores: vec!["slow; old", "fast"],
        networks: vec!["DMZ"],
        power_state: Some("poweredOn"),
        connection_state: Some("connected"),
        guest_id: Some("ubuntu64Guest"),
        guest_full_name: Some("Ubuntu Linux (64-bit)"),
        guest_reported_full_name: Some("Ubuntu 24.04.1 LTS"),
        guest_family: Some("linuxGuest"),
        guest_host_name: Some("web-01"),
        tools_running: Some("guestToolsExecutingScripts"),
        tools_version: Some("12389"),
        tools_version_status: Some("guestToolsUnmanaged"),
        cpus: Some(4),
        cores_per_socket: Some(2),
        memory_mib: Some(16384),
        hardware_version: Some("vmx-19"),
        firmware: Some("efi"),
        created: Some(at("2024-02-29T01:02:03.999Z")),
        managed_by: None,
        fault_tolerance_role: None,
        consolidation_needed: Some(false),
        pci_passthrough: 0,
        tags: Some(vec![
            Tag { category: "Patch Group", name: "linux-prod" },
            Tag { category: "Env", name: "prod" },
        ]),
        patch_group: Some("linux-prod"),
        owner: Some("web team"),
        disks: vec![
            Disk {
                key: 2001,
                label: Some("Hard disk 2"),
                capacity_bytes: Some(500 << 30),
                mode: Some("independent_persistent"),
                backing: Some("FlatVer2"),
                thin: Some(false),
                datastore: Some("slow; old"),
                file_name: Some("[slow; old] web-01/web-01_1.vmdk"),
                ..Disk::default()
            },
            Disk {
                key: 2000,
                label: Some("Hard disk 1"),
                capacity_bytes: Some(100 << 30),
                mode: Some("persistent"),
                backing: Some("FlatVer2"),
                thin: Some(true),
                datastore: Some("fast"),
                file_name: Some("[fast] web-01/web-01-000001.vmdk"),
                ..Disk::default()
            },
        ],
        adapters: vec![Adapter {
            key: 4000,
            label: Some("Network adapter 1"),
            kind: Some("VirtualVmxnet3"),
            mac_address: Some("00:50:56:aa:bb:cc"),
            connected: Some(true),
            network: Some("DMZ"),
            ip_addresses: vec!["fe80::250:56ff:feaa:bbcc", "2001:db8::1", "192.0.2.20", "192.0.2.10"],
        }],
        snapshots: vec![SnapshotFacts {
            moref: Some("snapshot-77"),
            number: 3,
            name: "before\nupgrade",
            description: "by \u{202e}hand",
            created: Some(at("2026-11-20T20:00:00Z")),
            power_state: Some("poweredOn"),
            quiesced: false,
            parent: None,
            current: true,
            ours: false,
        }],
        unreadable: vec!["config.extraConfig"],
    }
}

fn esx() -> HostFacts<'static> {
    HostFacts {
        vcenter: "berlin",
        vcenter_uuid: Some("5d2a3c2e-6f0c-4d0e-9f4e-0123456789ab"),
        moref: "host-12",
        name: Some("esx-07.example.com"),
        datacenter: Some("Berlin"),
        cluster: Some("Compute"),
        version: Some("8.0.3"),
        build: Some("24022510"),
        vendor: Some("Dell Inc."),
        model: Some("PowerEdge R760"),
        hardware_uuid: Some("4c4c4544-0042-3110-8052-b3c04f4e3132"),
        cpu_cores: Some(64),
        memory_bytes: Some(1 << 40),
    }
}

/// The item of one type.
fn item_of(vm: &VmFacts<'_>, type_name: &str) -> Item {
    vm_items(vm, now()).into_iter().find(|item| item.type_name == type_name).unwrap()
}

/// A VM's own row.
fn own(vm: &VmFacts<'_>) -> Row {
    item_of(vm, VM_TYPE).content.remove(0)
}

fn hashes(vm: &VmFacts<'_>) -> Vec<ContentHash> {
    vm_items(vm, now()).into_iter().map(|item| item.content_hash).collect()
}

fn shown(item: &Item) -> String {
    let mut out =
        format!("{} {} {} {}\n", item.type_name, item.schema_version, item.capture_time(), item.content_hash);
    for row in &item.content {
        out.push_str("--\n");
        for (key, value) in row {
            out.push_str(format!("{key}: {value}").trim_end());
            out.push('\n');
        }
    }
    out
}

#[test]
fn rows_of_a_vm() {
    insta::assert_snapshot!(vm_items(&web(), now()).iter().map(shown).collect::<String>());
}

#[test]
fn row_of_a_host() {
    insta::assert_snapshot!(shown(&host_item(&esx(), now())));
}

/// Athena tables and queries of people hang on these: columns are added at the end of a type, nothing is renamed or removed.
#[test]
fn columns_are_a_promise() {
    let all: String = columns().map(|column| format!("{}.{}\n", column.type_name, column.name)).collect();
    insta::assert_snapshot!(all);
}

#[test]
fn names_of_columns_fit_athena_and_the_limits() {
    // What resource data sync adds to each row itself.
    let theirs =
        ["resourceid", "resourcetype", "accountid", "region", "capturetime", "schemaversion", "instanceid"];
    // Words that a query would have to quote.
    let reserved = ["group", "order", "table", "user", "values", "key", "name", "type", "time", "date"];
    for column in columns() {
        assert!(column.name.len() <= LONGEST_COLUMN);
        assert!(column.name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{}", column.name);
        assert!(column.name.starts_with(|first: char| first.is_ascii_uppercase()), "{}", column.name);
        let lower = column.name.to_ascii_lowercase();
        assert!(!theirs.contains(&&*lower) && !reserved.contains(&&*lower), "{lower}");
        assert!(column.meaning.len() > 5 && !column.meaning.ends_with('.'));
    }
}

/// More columns than this in all rows of a type, and `PutInventory` takes none of them.
#[test]
fn a_type_has_no_more_columns_than_systems_manager_allows() {
    for type_name in TYPES {
        let names: Vec<&str> =
            columns().filter(|column| column.type_name == type_name).map(|column| column.name).collect();
        // Room for columns to come.
        assert!(!names.is_empty() && names.len() <= MOST_COLUMNS - 3, "{type_name}: {}", names.len());
        let lower: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        assert_eq!(lower.len(), names.len(), "{type_name}: Athena does not tell capitals");
    }
    let mut items = vm_items(&web(), now());
    items.push(host_item(&esx(), now()));
    assert_eq!(items.iter().map(|item| &*item.type_name).collect::<Vec<_>>(), TYPES);
    for item in &items {
        assert!(!item.content.is_empty(), "{}", item.type_name);
        let documented: BTreeSet<&str> =
            columns().filter(|column| column.type_name == item.type_name).map(|column| column.name).collect();
        for row in &item.content {
            assert_eq!(row.keys().map(String::as_str).collect::<BTreeSet<_>>(), documented);
        }
    }
}

/// All that is told of a node goes in one call, of at most 1 MB; text that is not ASCII may count double there.
#[test]
fn all_types_fit_into_one_call() {
    const { assert!(TYPES.len() <= 30 && 2 * TYPES.len() * LARGEST_ITEM < 1 << 20) };
}

#[test]
fn rows_say_whose_they_are() {
    let own = own(&web());
    for item in vm_items(&web(), now()) {
        for row in &item.content {
            for key in ["VmName", "VCenterUuid", "MoRef"] {
                assert!(!row[key].is_empty() && row[key] == own[key], "{}", item.type_name);
            }
        }
    }
}

/// What there is none of is an item without rows, as for a node that is no VM any more.
#[test]
fn a_type_without_rows_is_the_cleared_one() {
    let items = vm_items(&VmFacts::default(), now());
    assert_eq!(items.iter().map(|item| &*item.type_name).collect::<Vec<_>>(), TYPES[..4]);
    for item in &items[1..] {
        assert_eq!(*item, Item::cleared(item.type_name.clone(), now()));
    }
}

#[test]
fn a_change_is_one_of_its_type() {
    let before = hashes(&web());
    let mut vm = web();
    vm.disks[0].label = None;
    let after = hashes(&vm);
    let changed: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
    assert_eq!(changed, [false, true, false, false]);
}

#[test]
fn nothing_known_is_empty_and_not_left_away() {
    let own = own(&VmFacts::default());
    let filled: Vec<_> = own.iter().filter(|(_, value)| !value.is_empty()).collect();
    let shown: Vec<String> = filled.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let counts = ["DiskCapacityBytes", "DiskCount", "NetworkAdapterCount", "PciPassthroughCount"];
    let expected: Vec<String> =
        counts.iter().chain(&["SnapshotCount"]).map(|name| format!("{name}=0")).collect();
    assert_eq!(shown, expected);
}

#[test]
fn a_disk_of_unknown_size_leaves_the_sum_unknown() {
    let mut vm = web();
    vm.disks[0].capacity_bytes = None;
    assert_eq!(own(&vm)["DiskCapacityBytes"], "");
    vm.disks[0].capacity_bytes = Some(i64::MAX);
    assert_eq!(own(&vm)["DiskCapacityBytes"], "");
}

#[test]
fn ipv6_stands_in_only() {
    use super::text::addresses;
    assert_eq!(addresses(&["2001:db8::1", "192.0.2.1"]), "192.0.2.1");
    assert_eq!(addresses(&["2001:db8::1", "fe80::1"]), "2001:db8::1");
    assert_eq!(addresses(&["169.254.1.1", "2001:db8::1"]), "2001:db8::1");
    assert_eq!(addresses(&["10.0.0.2", "10.0.0.1", "10.0.0.2"]), "10.0.0.1; 10.0.0.2");
    assert_eq!(addresses(&["no address", "10.0.0.1"]), "10.0.0.1; no address");
}

#[test]
fn what_is_too_long_says_so() {
    let long = "ü".repeat(400);
    let vm = VmFacts { name: Some(&long), ..VmFacts::default() };
    let name = &own(&vm)["VmName"];
    assert!(name.len() <= 512 && name.len() > 500 && name.ends_with(CUT), "{}", name.len());

    let names: Vec<String> = (0..1000).map(|number| format!("datastore-{number:04}")).collect();
    let vm = VmFacts { datastores: names.iter().map(String::as_str).collect(), ..VmFacts::default() };
    let list = &own(&vm)["Datastores"];
    assert!(list.len() <= LONGEST_VALUE && list.starts_with("datastore-0000; datastore-0001; "));
    let (_, more) = list.rsplit_once("; ").unwrap();
    let more: usize = more.strip_prefix("…(").unwrap().strip_suffix(" more)").unwrap().parse().unwrap();
    assert_eq!(list.matches("datastore-").count() + more, 1000);
}

#[test]
fn what_does_not_fit_is_counted() {
    let description = "\"".repeat(1000);
    let snapshot = |number| SnapshotFacts { number, description: &description, ..SnapshotFacts::default() };
    let mut vm = web();
    vm.snapshots = (0..500).map(snapshot).collect();
    let item = item_of(&vm, SNAPSHOT_TYPE);
    assert!(item.size() <= LARGEST_ITEM && item.size() > LARGEST_ITEM - 5000, "{}", item.size());
    let left_out = 500 - item.content.len();
    assert_eq!(own(&vm)["LeftOut"], format!("{left_out} Snapshot"));
    assert_eq!(own(&vm)["SnapshotCount"], "500");
    // The others have room of their own.
    assert_eq!(item_of(&vm, DISK_TYPE).content.len(), 2);
    let label = "\\".repeat(250);
    vm.disks = (0..300).map(|key| Disk { key, label: Some(&label), ..Disk::default() }).collect();
    let disks = 300 - item_of(&vm, DISK_TYPE).content.len();
    assert!(disks > 0);
    assert_eq!(own(&vm)["LeftOut"], format!("{disks} Disk; {left_out} Snapshot"));
}

#[test]
fn the_size_is_that_of_the_json() {
    for item in vm_items(&web(), now()) {
        // Two brackets of the list, and a comma less than there are rows and entries.
        let real = serde_json::to_string(&item.content).unwrap().len();
        assert!(item.size() >= real && item.size() <= real + 2 * 50 * item.content.len(), "{real}");
    }
}

#[test]
fn what_changes_all_the_time_is_not_hashed() {
    let items = vm_items(&web(), now());
    let later = vm_items(&web(), now() + SignedDuration::from_hours(100));
    for (item, later) in items.iter().zip(&later) {
        assert_eq!(item.content_hash, later.content_hash);
    }
    let mut vm = web();
    vm.tools_running = Some("guestToolsRunning");
    // Temporary addresses of IPv6.
    vm.adapters[0].ip_addresses = vec!["192.0.2.10", "192.0.2.20", "2001:db8::dead:beef"];
    assert_eq!(vm_items(&vm, now()), items);
}

#[test]
fn cleared_has_a_hash_of_its_own() {
    let cleared = Item::cleared(VM_TYPE, now());
    assert!(cleared.content.is_empty());
    assert_ne!(cleared.content_hash, Item::cleared(HOST_TYPE, now()).content_hash);
    assert_ne!(cleared.content_hash, item_of(&VmFacts::default(), VM_TYPE).content_hash);
    let all: BTreeSet<ContentHash> =
        TYPES.into_iter().map(|type_name| Item::cleared(type_name, now()).content_hash).collect();
    assert_eq!(all.len(), TYPES.len());
}

type Change = (&'static str, fn(&mut VmFacts<'static>));

#[test]
fn each_fact_changes_the_hash() {
    let changes: &[Change] = &[
        ("vcenter", |vm| vm.vcenter = "other"),
        ("vcenter_uuid", |vm| vm.vcenter_uuid = Some("other")),
        ("moref", |vm| vm.moref = "other"),
        ("instance_uuid", |vm| vm.instance_uuid = None),
        ("bios_uuid", |vm| vm.bios_uuid = None),
        ("name", |vm| vm.name = Some("other")),
        ("datacenter", |vm| vm.datacenter = None),
        ("folder", |vm| vm.folder = None),
        ("cluster", |vm| vm.cluster = None),
        ("host", |vm| vm.host = None),
        ("resource_pool", |vm| vm.resource_pool = None),
        ("v_app", |vm| vm.v_app = Some("other")),
        ("datastores", |vm| vm.datastores.push("other")),
        ("networks", |vm| vm.networks.clear()),
        ("power_state", |vm| vm.power_state = None),
        ("connection_state", |vm| vm.connection_state = None),
        ("guest_id", |vm| vm.guest_id = None),
        ("guest_full_name", |vm| vm.guest_full_name = None),
        ("guest_reported_full_name", |vm| vm.guest_reported_full_name = None),
        ("guest_family", |vm| vm.guest_family = None),
        ("guest_host_name", |vm| vm.guest_host_name = None),
        ("tools_running", |vm| vm.tools_running = Some("guestToolsNotRunning")),
        ("tools_version", |vm| vm.tools_version = None),
        ("tools_version_status", |vm| vm.tools_version_status = None),
        ("cpus", |vm| vm.cpus = Some(5)),
        ("cores_per_socket", |vm| vm.cores_per_socket = None),
        ("memory_mib", |vm| vm.memory_mib = Some(1)),
        ("hardware_version", |vm| vm.hardware_version = None),
        ("firmware", |vm| vm.firmware = None),
        ("created", |vm| vm.created = None),
        ("managed_by", |vm| vm.managed_by = Some("other")),
        ("fault_tolerance_role", |vm| vm.fault_tolerance_role = Some(1)),
        ("consolidation_needed", |vm| vm.consolidation_needed = Some(true)),
        ("pci_passthrough", |vm| vm.pci_passthrough = 1),
        ("tags", |vm| vm.tags = None),
        ("patch_group", |vm| vm.patch_group = None),
        ("owner", |vm| vm.owner = None),
        ("disk key", |vm| vm.disks[0].key = 7),
        ("disk label", |vm| vm.disks[0].label = None),
        ("disk size", |vm| vm.disks[0].capacity_bytes = Some(1)),
        ("disk mode", |vm| vm.disks[0].mode = None),
        ("disk backing", |vm| vm.disks[0].backing = None),
        ("disk thin", |vm| vm.disks[0].thin = None),
        ("disk rdm", |vm| vm.disks[0].compatibility_mode = Some("physicalMode")),
        ("disk sharing", |vm| vm.disks[0].sharing = Some("sharingMultiWriter")),
        ("disk bus", |vm| vm.disks[0].bus_sharing = Some("physicalSharing")),
        ("disk file", |vm| vm.disks[0].file_name = None),
        ("disk datastore", |vm| vm.disks[0].datastore = None),
        ("disks", |vm| vm.disks.truncate(1)),
        ("adapter key", |vm| vm.adapters[0].key = 7),
        ("adapter label", |vm| vm.adapters[0].label = None),
        ("adapter kind", |vm| vm.adapters[0].kind = None),
        ("adapter mac", |vm| vm.adapters[0].mac_address = None),
        ("adapter connected", |vm| vm.adapters[0].connected = None),
        ("adapter network", |vm| vm.adapters[0].network = None),
        ("adapter addresses", |vm| vm.adapters[0].ip_addresses = vec!["192.0.2.99"]),
        ("adapters", |vm| vm.adapters.clear()),
        ("snapshot moref", |vm| vm.snapshots[0].moref = None),
        ("snapshot number", |vm| vm.snapshots[0].number = 4),
        ("snapshot name", |vm| vm.snapshots[0].name = "other"),
        ("snapshot description", |vm| vm.snapshots[0].description = ""),
        ("snapshot created", |vm| vm.snapshots[0].created = None),
        ("snapshot power", |vm| vm.snapshots[0].power_state = None),
        ("snapshot quiesced", |vm| vm.snapshots[0].quiesced = true),
        ("snapshot parent", |vm| vm.snapshots[0].parent = Some("snapshot-1")),
        ("snapshot current", |vm| vm.snapshots[0].current = false),
        ("snapshot ours", |vm| vm.snapshots[0].ours = true),
        ("snapshots", |vm| vm.snapshots.clear()),
        ("unreadable", |vm| vm.unreadable.clear()),
    ];
    let mut seen = BTreeMap::from([(hashes(&web()), "none")]);
    for (name, change) in changes {
        let mut vm = web();
        change(&mut vm);
        let same = seen.insert(hashes(&vm), name);
        assert_eq!(same, None, "{name}");
    }
}

#[test]
fn put_only_what_changed_and_confirmed_in_time() {
    let hash = item_of(&web(), VM_TYPE).content_hash;
    let other = Item::cleared(VM_TYPE, now()).content_hash;
    let stored = |hash: &ContentHash, at| Stored { hash: hash.clone(), at };
    let refresh = Refresh::INVENTORY;
    let hours = SignedDuration::from_hours;
    assert_eq!(needs_put(&hash, None, now(), &refresh), Put::Whole);
    // Applied and planned again: nothing.
    assert_eq!(needs_put(&hash, Some(&stored(&hash, now())), now(), &refresh), Put::Nothing);
    let old = stored(&other, now() - hours(1));
    assert_eq!(needs_put(&hash, Some(&old), now(), &refresh), Put::Whole);
    let recent = stored(&other, now() - SignedDuration::from_mins(1));
    let until = now() + SignedDuration::from_mins(4);
    assert_eq!(needs_put(&hash, Some(&recent), now(), &refresh), Put::NotBefore(until));
    assert_eq!(needs_put(&hash, Some(&recent), until, &refresh), Put::Whole);
    // A clock that was put back does not keep a change back.
    let ahead = stored(&other, now() + hours(1));
    assert_eq!(needs_put(&hash, Some(&ahead), now(), &refresh), Put::Whole);
    // Confirmed between 15 and 20 days, well before AWS forgets it after 30.
    let before = |days: i64| stored(&hash, now() - hours(24 * days));
    assert_eq!(needs_put(&hash, Some(&before(15)), now(), &refresh), Put::Nothing);
    assert_eq!(needs_put(&hash, Some(&before(20)), now(), &refresh), Put::HashOnly);
    assert_eq!(needs_put(&hash, Some(&before(9999)), now(), &Refresh::COMPLIANCE), Put::Nothing);
}

#[test]
fn confirmations_are_spread() {
    let names: Vec<String> = (0..2000).map(|number| format!("vm-{number}")).collect();
    let mut days = BTreeMap::<i64, usize>::new();
    for moref in &names {
        let hash = item_of(&VmFacts { moref, ..VmFacts::default() }, VM_TYPE).content_hash;
        let stored = Stored { hash, at: now() };
        let due = (0..=20 * 24)
            .find(|&hour| {
                let then = now() + SignedDuration::from_hours(hour);
                needs_put(&stored.hash, Some(&stored), then, &Refresh::INVENTORY) == Put::HashOnly
            })
            .unwrap();
        *days.entry(due / 24).or_default() += 1;
    }
    assert_eq!(days.keys().next(), Some(&15));
    assert!(days.len() >= 5 && days.values().all(|&count| count < 600), "{days:?}");
}

#[test]
fn hashes_are_read_strictly() {
    let hash = Item::cleared(VM_TYPE, now()).content_hash;
    assert_eq!(ContentHash::parse(hash.as_str()), Ok(hash.clone()));
    for wrong in
        ["", "1", &hash.as_str()[1..], &hash.as_str().to_uppercase(), &format!("{hash}0"), &"é".repeat(32)]
    {
        assert_eq!(ContentHash::parse(wrong), Err(HashError), "{wrong}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9 ;=\"\\\\-]{0,20}",
        2 => "\\PC{0,60}",
        1 => proptest::collection::vec(any::<char>(), 0..200).prop_map(String::from_iter),
        1 => ("[\u{0}-\u{10ffff}]", 0..6000_usize).prop_map(|(text, times)| text.repeat(times)),
    ]
}

fn texts(size: impl Into<SizeRange>) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(text(), size)
}

/// A VM out of a bag of texts.
fn any_vm(texts: &[String], numbers: &[i64], children: usize) -> VmFacts<'static> {
    // Only for tests: the facts borrow, and a test may keep what it lends.
    let texts: &'static [String] = Vec::leak(texts.to_vec());
    let mut next = texts.iter().map(String::as_str).cycle();
    let mut text = move || next.next().unwrap_or("");
    let mut next = numbers.iter().copied().cycle();
    let mut number = move || next.next().unwrap_or(0);
    let mut vm = VmFacts {
        vcenter: text(),
        vcenter_uuid: Some(text()),
        moref: text(),
        instance_uuid: Some(text()),
        bios_uuid: Some(text()),
        name: Some(text()),
        datacenter: Some(text()),
        folder: Some(text()),
        cluster: Some(text()),
        host: Some(text()),
        resource_pool: Some(text()),
        v_app: Some(text()),
        datastores: (0..children).map(|_| text()).collect(),
        networks: (0..children).map(|_| text()).collect(),
        power_state: Some(text()),
        connection_state: Some(text()),
        guest_id: Some(text()),
        guest_full_name: Some(text()),
        guest_reported_full_name: Some(text()),
        guest_family: Some(text()),
        guest_host_name: Some(text()),
        tools_running: Some(text()),
        tools_version: Some(text()),
        tools_version_status: Some(text()),
        hardware_version: Some(text()),
        firmware: Some(text()),
        managed_by: Some(text()),
        tags: Some((0..children).map(|_| Tag { category: text(), name: text() }).collect()),
        patch_group: Some(text()),
        owner: Some(text()),
        unreadable: (0..children).map(|_| text()).collect(),
        ..VmFacts::default()
    };
    for _ in 0..children {
        vm.disks.push(Disk {
            key: number() as i32,
            label: Some(text()),
            capacity_bytes: Some(number()),
            file_name: Some(text()),
            datastore: Some(text()),
            ..Disk::default()
        });
        vm.adapters.push(Adapter {
            key: number() as i32,
            label: Some(text()),
            network: Some(text()),
            ip_addresses: vec![text(), text()],
            ..Adapter::default()
        });
        vm.snapshots.push(SnapshotFacts {
            number: number() as i32,
            name: text(),
            description: text(),
            created: Timestamp::from_second(number()).ok(),
            ..SnapshotFacts::default()
        });
    }
    vm
}

fn within_limits(item: &Item) -> Result<(), TestCaseError> {
    prop_assert!(item.content.len() <= MOST_ROWS);
    prop_assert!(item.size() <= LARGEST_ITEM, "{}", item.size());
    prop_assert!(serde_json::to_string(&item.content).unwrap().len() <= LARGEST_ITEM + 2);
    for row in &item.content {
        prop_assert!(row.len() <= MOST_COLUMNS);
        for (key, value) in row {
            prop_assert!((1..=LONGEST_COLUMN).contains(&key.len()));
            prop_assert!(value.len() <= LONGEST_VALUE);
            prop_assert!(!value.chars().any(char::is_control), "{value:?}");
        }
    }
    Ok(())
}

/// Turns a list around and cuts it somewhere else, which together reach every order of a few.
fn mixed<T>(list: &mut [T], by: usize) {
    if !list.is_empty() {
        let by = by % list.len();
        list.rotate_left(by);
        list[by..].reverse();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_facts_are_within_the_limits(texts in texts(1..60), numbers: [i64; 7], children in 0..80_usize) {
        let vm = any_vm(&texts, &numbers, children);
        let items = vm_items(&vm, now());
        for item in &items {
            within_limits(item)?;
        }
        prop_assert_eq!(items[0].content.len(), 1);
        let left_out: usize = items[0].content[0]["LeftOut"]
            .split("; ")
            .filter_map(|part| part.split(' ').next()?.parse::<usize>().ok())
            .sum();
        let rows: usize = items.iter().map(|item| item.content.len()).sum();
        prop_assert_eq!(rows + left_out, 1 + 3 * children);
        let host = HostFacts { name: vm.name, model: vm.folder, vendor: vm.cluster, ..HostFacts::default() };
        within_limits(&host_item(&host, now()))?;
    }

    #[test]
    fn the_order_of_lists_does_not_matter(texts in texts(1..40), numbers: [i64; 5], children in 0..20_usize, by in 0..20_usize) {
        let vm = any_vm(&texts, &numbers, children);
        let mut other = vm.clone();
        mixed(&mut other.datastores, by);
        mixed(&mut other.networks, by);
        mixed(other.tags.as_mut().unwrap(), by);
        mixed(&mut other.unreadable, by);
        mixed(&mut other.disks, by);
        mixed(&mut other.adapters, by);
        mixed(&mut other.snapshots, by);
        for adapter in &mut other.adapters {
            adapter.ip_addresses.reverse();
        }
        prop_assert_eq!(vm_items(&vm, now()), vm_items(&other, now()));
    }

    #[test]
    fn a_text_that_differs_visibly_hashes_differently(one in "\\PC{0,40}", other in "\\PC{0,40}") {
        let hash = |name: &str| hashes(&VmFacts { name: Some(name), ..VmFacts::default() });
        prop_assert_eq!(one == other, hash(&one) == hash(&other));
    }
}

#[test]
fn what_is_lost_and_what_may_only_not_be_shown_yet() {
    let put = now();
    let listed = |is_same: Option<bool>, is_empty, at| Some(Listed { is_same, at: Some(at), is_empty });
    let after = put + SignedDuration::from_hours(1);
    let cases = [
        // Nothing is shown.
        (false, None, true),
        (true, None, false),
        // What was put.
        (false, listed(Some(true), false, put), false),
        (true, listed(Some(true), true, put), false),
        // Something else.
        (false, listed(Some(false), false, put), true),
        (true, listed(Some(false), false, put), true),
        (false, listed(Some(false), true, put), true),
        (true, listed(Some(false), true, after), false),
        // Nobody says what it is; it is of then, or of later.
        (false, listed(None, false, put), false),
        (false, listed(None, false, after), true),
        (false, listed(None, true, put), true),
        (false, Some(Listed { is_same: None, at: None, is_empty: false }), false),
    ];
    for (was_empty, listed, lost) in cases {
        let judged = |read| is_lost(put, || was_empty, listed.as_ref(), read);
        assert_eq!(judged(put + LISTED_AFTER), lost, "{was_empty} {listed:?}");
        assert!(!judged(put + LISTED_AFTER - SignedDuration::from_secs(1)), "too soon");
        assert!(!judged(put - SignedDuration::from_hours(1)), "it was put since");
    }
}

proptest! {
    /// Whatever a listing shows: what it shows as it was put is not put again, and what was put since is not judged by it.
    #[test]
    fn nothing_is_put_twice_because_of_one_listing(
        age in -1_000_000_i64..1_000_000,
        was_empty: bool,
        shown in proptest::option::of((proptest::option::of(any::<bool>()), -1_000_000_i64..1_000_000, any::<bool>())),
    ) {
        let read = now();
        let put = read - SignedDuration::from_secs(age);
        let listed = shown.map(|(is_same, at, is_empty)| Listed {
            is_same,
            at: Some(read - SignedDuration::from_secs(at)),
            is_empty,
        });
        let lost = is_lost(put, || was_empty, listed.as_ref(), read);
        if lost {
            prop_assert!(age >= LISTED_AFTER.as_secs());
            prop_assert!(listed.is_none_or(|listed| listed.is_same != Some(true)));
            // Put again now, it is in order for this listing.
            prop_assert!(!is_lost(read, || was_empty, listed.as_ref(), read));
        }
    }
}
