//! Requests of `PutInventory` and `PutComplianceItems` for 2,000 hostile VMs, as JSON lines, for `tests/referees/test_ssm_items.py`:
//! `cargo run -p mappings --example ssm_items`. The same ones every time.

use std::error::Error;
use std::io::Write as _;

use jiff::Timestamp;
use mappings::compliance::protection::{self, Agent, Before, Currency, LastWindow, OldSnapshot};
use mappings::compliance::{Check, Kind, List, NotRead, Severity, Status};
use mappings::inventory::{
    Adapter, Disk, HostFacts, Item, SnapshotFacts, TYPES, Tag, VmFacts, host_item, vm_items,
};
use mappings::selector::Fact;
use serde_json::{Value, json};

const VMS: u64 = 2000;

/// What people and guests call things when nobody looks.
const TEXTS: &[&str] = &[
    "",
    " ",
    "web-01",
    "guestToolsRunning",
    "東京のサーバー",
    "\u{1F98A}\u{200d}\u{1F525}",
    "\u{0}\u{7}\u{1b}[31m",
    "line\r\nbreak\ttab",
    "\u{202e}gnp.exe",
    "\u{feff}bom\u{2028}\u{fffe}\u{10ffff}",
    "\"quoted\"; DROP TABLE vms; --",
    "=HYPERLINK(\"http://example.com\")",
    "a;b; c",
    "aws:reserved",
    "fe80::1%eth0",
    "2001:db8::5",
    "192.0.2.5",
    "%2f%25%5c",
];

/// A generator of pseudo-random numbers (SplitMix64), so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.roll() % most.max(1)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A text, now and then far too long.
    fn text(&mut self) -> String {
        let mut text: String = (0..=self.below(3)).map(|_| self.of(TEXTS)).collect();
        if self.below(12) == 0 {
            text = text.repeat(self.below(100) as usize + 1);
        }
        text
    }

    fn seen<T>(&mut self, known: T) -> Fact<T> {
        match self.below(4) {
            0 => Fact::Absent,
            1 => Fact::Unknown,
            _ => Fact::Known(known),
        }
    }

    fn time(&mut self) -> Option<Timestamp> {
        Timestamp::from_second(self.below(4_000_000_000) as i64).ok()
    }
}

/// Texts of one VM, from which its facts borrow.
fn texts(dice: &mut Dice) -> Vec<String> {
    (0..100).map(|_| dice.text()).collect()
}

fn vm<'a>(dice: &mut Dice, texts: &'a [String]) -> VmFacts<'a> {
    let children = if dice.below(40) == 0 { dice.below(200) } else { dice.below(6) };
    let text = |dice: &mut Dice| texts[dice.below(texts.len() as u64) as usize].as_str();
    let maybe = |dice: &mut Dice| (dice.below(5) > 0).then(|| text(dice));
    let list = |dice: &mut Dice| (0..children).map(|_| text(dice)).collect::<Vec<_>>();
    VmFacts {
        vcenter: text(dice),
        vcenter_uuid: maybe(dice),
        moref: text(dice),
        instance_uuid: maybe(dice),
        bios_uuid: maybe(dice),
        name: maybe(dice),
        datacenter: maybe(dice),
        folder: maybe(dice),
        cluster: maybe(dice),
        host: maybe(dice),
        resource_pool: maybe(dice),
        v_app: maybe(dice),
        datastores: list(dice),
        networks: list(dice),
        power_state: maybe(dice),
        connection_state: maybe(dice),
        guest_id: maybe(dice),
        guest_full_name: maybe(dice),
        guest_reported_full_name: maybe(dice),
        guest_family: maybe(dice),
        guest_host_name: maybe(dice),
        tools_running: maybe(dice),
        tools_version: maybe(dice),
        tools_version_status: maybe(dice),
        cpus: Some(dice.roll() as i32),
        cores_per_socket: None,
        memory_mib: Some(dice.roll() as i32),
        hardware_version: maybe(dice),
        firmware: maybe(dice),
        created: dice.time(),
        managed_by: maybe(dice),
        fault_tolerance_role: None,
        consolidation_needed: Some(dice.below(2) == 0),
        pci_passthrough: dice.roll() as u16,
        tags: Some((0..children).map(|_| Tag { category: text(dice), name: text(dice) }).collect()),
        patch_group: maybe(dice),
        owner: maybe(dice),
        disks: (0..children)
            .map(|_| Disk {
                key: dice.roll() as i32,
                label: maybe(dice),
                capacity_bytes: Some(dice.roll() as i64),
                mode: maybe(dice),
                file_name: maybe(dice),
                datastore: maybe(dice),
                ..Disk::default()
            })
            .collect(),
        adapters: (0..children)
            .map(|_| Adapter {
                key: dice.roll() as i32,
                label: maybe(dice),
                network: maybe(dice),
                ip_addresses: (0..3).map(|_| text(dice)).collect(),
                ..Adapter::default()
            })
            .collect(),
        snapshots: (0..children)
            .map(|_| SnapshotFacts {
                moref: maybe(dice),
                number: dice.roll() as i32,
                name: text(dice),
                description: text(dice),
                created: dice.time(),
                ..SnapshotFacts::default()
            })
            .collect(),
        unreadable: list(dice),
    }
}

fn hardening(dice: &mut Dice) -> List {
    let count = if dice.below(20) == 0 { dice.below(3000) } else { dice.below(90) };
    let check = |dice: &mut Dice| Check {
        id: dice.text(),
        title: dice.text(),
        severity: dice.of(Severity::ALL),
        status: dice.of(Status::ALL),
        details: (0..dice.below(4)).map(|_| (dice.text(), dice.text())).collect(),
    };
    let checks: Vec<_> = (0..count).map(|_| check(dice)).collect();
    let not_read: Vec<_> =
        (0..dice.below(60)).map(|_| NotRead { id: dice.text(), why: dice.text() }).collect();
    List::with_not_read(Kind::Hardening, checks, not_read)
}

fn protection(dice: &mut Dice, texts: &[String], now: Timestamp) -> List {
    let count = dice.below(40) as usize;
    let snapshots: Vec<_> =
        texts.iter().take(count).map(|name| OldSnapshot { name, created: dice.time() }).collect();
    let tools = dice.of(&[Currency::Missing, Currency::Old(&texts[0]), Currency::Current(&texts[1])]);
    let at = dice.time();
    let agent = dice.of(&[Agent::Online, Agent::Offline(at)]);
    let snapshot = dice.of(&[Before::Held, Before::Missing, Before::Taken(now)]);
    let yes = dice.below(2) == 0;
    let facts = protection::Facts {
        agent: dice.seen(agent),
        tools_running: dice.seen(yes),
        tools: dice.seen(tools),
        last_window: dice.seen(LastWindow { name: &texts[2], opened: now, snapshot }),
        snapshots: dice.seen(&snapshots),
        consolidation_needed: dice.seen(yes),
    };
    let (checks, not_read) = protection::checks(&facts, now, protection::OLD_AFTER);
    List::with_not_read(Kind::Protection, checks, not_read)
}

fn inventory(node: &str, items: &[Item]) -> Value {
    let item = |item: &Item| {
        json!({
            "TypeName": item.type_name,
            "SchemaVersion": item.schema_version,
            "CaptureTime": item.capture_time(),
            "ContentHash": item.content_hash.as_str(),
            "Content": item.content,
        })
    };
    let items: Vec<Value> = items.iter().map(item).collect();
    json!({ "operation": "PutInventory", "input": { "InstanceId": node, "Items": items } })
}

fn compliance(node: &str, list: &List, now: Timestamp) -> Value {
    let execution = list.execution(now);
    let item = |item: &mappings::compliance::Item| {
        json!({
            "Id": item.id,
            "Title": item.title,
            "Severity": item.severity.as_str(),
            "Status": item.status.as_str(),
            "Details": item.details,
        })
    };
    let items: Vec<Value> = list.items.iter().map(item).collect();
    json!({
        "operation": "PutComplianceItems",
        "input": {
            "ResourceId": node,
            "ResourceType": "ManagedInstance",
            "ComplianceType": list.kind.as_str(),
            "ExecutionSummary": {
                "ExecutionTime": execution.time.to_string(),
                "ExecutionId": execution.id,
                "ExecutionType": execution.kind,
            },
            "Items": items,
            "ItemContentHash": list.content_hash.as_str(),
        },
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let now: Timestamp = "2026-11-28T17:30:12.999Z".parse()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut dice = Dice(6);
    for number in 0..VMS {
        let texts = texts(&mut dice);
        let vm = vm(&mut dice, &texts);
        let host = HostFacts { vcenter: vm.vcenter, name: vm.host, model: vm.folder, ..HostFacts::default() };
        let node = format!("mi-{number:017x}");
        let mut items = vm_items(&vm, now);
        items.push(host_item(&host, now));
        writeln!(out, "{}", inventory(&node, &items))?;
        writeln!(out, "{}", compliance(&node, &hardening(&mut dice), now))?;
        writeln!(out, "{}", compliance(&node, &protection(&mut dice, &texts, now), now))?;
    }
    let cleared = TYPES.map(|type_name| Item::cleared(type_name, now));
    writeln!(out, "{}", inventory("mi-0123456789abcdef0", &cleared))?;
    out.flush()?;
    Ok(())
}
