use proptest::prelude::*;

use super::*;
use crate::compliance::{Check, Kind, NotRead};

fn now() -> Timestamp {
    "2026-11-28T17:30:00Z".parse().unwrap()
}

fn days_ago(days: i64) -> Timestamp {
    now() - SignedDuration::from_hours(24 * days)
}

fn machine(node: &str, name: &str) -> Facts {
    let hybrid = node.starts_with("mi-");
    let checks =
        || if hybrid { Fact::Known(Checks { compliant: 5, ..Checks::default() }) } else { Fact::Absent };
    Facts {
        node: Some(NodeId::parse(node).unwrap()),
        target: Some("prod".to_owned()),
        vcenter: hybrid.then(|| "berlin".to_owned()),
        vm: None,
        name: Some(name.to_owned()),
        platform: Some("Linux".to_owned()),
        agent_online: Fact::Known(true),
        patches: Fact::Known(Patches { installed: 100, scanned: Some(days_ago(1)), ..Patches::default() }),
        associations: Fact::Known(Associations { compliant: 2, non_compliant: 0 }),
        inventory: Fact::Absent,
        hardening: checks(),
        protection: checks(),
        windows: vec![Window { name: "Sundays".to_owned(), opens: None }],
    }
}

fn vm(name: &str) -> Facts {
    machine("mi-0123456789abcdef0", name)
}

fn ec2(name: &str) -> Facts {
    machine("i-0123456789abcdef0", name)
}

fn table(machines: impl IntoIterator<Item = Facts>) -> Table {
    Table::new(machines, now(), &Rules::default())
}

fn judged(change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = vm("web");
    change(&mut facts);
    let table = table([facts]);
    let row = &table.rows()[0];
    format!("{}: {}", row.overall.as_str(), row.reason())
}

fn patches(change: impl FnOnce(&mut Patches)) -> impl FnOnce(&mut Facts) {
    |facts| {
        let Fact::Known(patches) = &mut facts.patches else { panic!("patches are known") };
        change(patches);
    }
}

fn fails(id: &str, worst: Severity) -> Fact<Checks> {
    Fact::Known(Checks { failing: vec![id.to_owned()], worst: Some(worst), ..Checks::default() })
}

#[test]
fn each_reason_in_words() {
    let told = [
        judged(|_| ()),
        judged(|facts| facts.node = None),
        judged(patches(|patches| patches.failed = 1)),
        judged(patches(|patches| (patches.missing, patches.critical) = (7, 3))),
        judged(patches(|patches| (patches.missing, patches.security) = (7, 1))),
        judged(patches(|patches| patches.missing = 7)),
        judged(patches(|patches| patches.pending_reboot = 2)),
        judged(patches(|patches| patches.rejected = 1)),
        judged(|facts| facts.agent_online = Fact::Known(false)),
        judged(|facts| facts.agent_online = Fact::Absent),
        judged(|facts| facts.hardening = fails("a", Severity::High)),
        judged(|facts| facts.protection = fails("b", Severity::Low)),
        judged(|facts| facts.associations = Fact::Known(Associations { compliant: 1, non_compliant: 2 })),
        judged(|facts| facts.patches = Fact::Absent),
        judged(patches(|patches| patches.scanned = None)),
        judged(patches(|patches| patches.scanned = Some(days_ago(7)))),
        judged(patches(|patches| patches.scanned = Some(days_ago(8)))),
        judged(|facts| facts.patches = Fact::Unknown),
        judged(|facts| facts.agent_online = Fact::Unknown),
        judged(|facts| facts.associations = Fact::Unknown),
        judged(|facts| facts.hardening = Fact::Unknown),
        judged(|facts| facts.protection = Fact::Unknown),
        judged(|facts| facts.hardening = Fact::Known(Checks { unreadable: 4, ..Checks::default() })),
        judged(|facts| {
            facts.patches = Fact::Absent;
            facts.agent_online = Fact::Known(false);
        }),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_ec2_instance_needs_no_vsphere() {
    let rows = table([ec2("db")]);
    assert_eq!((rows.rows()[0].machine, rows.rows()[0].overall), (Machine::Ec2, Overall::Compliant));
}

#[test]
fn the_worst_comes_first_and_ties_go_by_name() {
    let mut all = vec![vm("well-b"), ec2("well-a")];
    let mut add = |name: &str, change: &dyn Fn(&mut Facts)| {
        let mut facts = vm(name);
        change(&mut facts);
        all.push(facts);
    };
    let missing = |count| {
        move |facts: &mut Facts| {
            facts.patches =
                Fact::Known(Patches { missing: count, scanned: Some(now()), ..Patches::default() });
        }
    };
    add("missing-3", &missing(3));
    add("missing-9", &missing(9));
    add("unknown", &|facts| facts.patches = Fact::Absent);
    add("rule-low", &|facts| facts.hardening = fails("a", Severity::Low));
    add("rule-critical", &|facts| facts.hardening = fails("a", Severity::Critical));
    add("unmanaged", &|facts| facts.node = None);
    let names = |table: &Table| {
        table.rows().iter().filter_map(|row| row.facts.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let expected = "unmanaged rule-critical missing-9 missing-3 rule-low unknown well-a well-b";
    assert_eq!(names(&table(all.clone())), expected);
    all.reverse();
    assert_eq!(names(&table(all)), expected);
}

#[test]
fn filters_and_totals() {
    let mut failing = vm("web");
    failing.hardening = fails("vm-secure-boot", Severity::Medium);
    failing.windows.clear();
    let mut missing = ec2("db");
    missing.patches = Fact::Known(Patches {
        missing: 5,
        failed: 1,
        security: 2,
        critical: 1,
        scanned: Some(now()),
        ..Patches::default()
    });
    missing.target = Some("test".to_owned());
    let mut unmanaged = vm("old");
    unmanaged.node = None;
    let mut unknown = vm("new");
    unknown.patches = Fact::Absent;
    let all = table([failing, missing, unmanaged, unknown, vm("well")]);
    let names = |filter: Filter| {
        let rows = all.clone().filtered(&filter, |_| true);
        rows.rows().iter().filter_map(|row| row.facts.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(names(Filter { machine: Some(Machine::Ec2), ..Filter::default() }), "db");
    assert_eq!(names(Filter { overall: Some(Overall::Unknown), ..Filter::default() }), "new");
    assert_eq!(names(Filter { check: text("vm-secure-boot"), ..Filter::default() }), "web");
    assert_eq!(names(Filter { check: text("none"), ..Filter::default() }), "");
    assert_eq!(names(Filter { check: text("not-managed"), ..Filter::default() }), "old");
    assert_eq!(names(Filter { check: text("never-scanned"), ..Filter::default() }), "new");
    // Only what is worst of it is a reason, and all of it is missing.
    assert_eq!(names(Filter { check: text("critical-patches"), ..Filter::default() }), "db");
    assert_eq!(names(Filter { check: text("patches-missing"), ..Filter::default() }), "db");
    assert_eq!(names(Filter { target: text("test"), ..Filter::default() }), "db");
    assert_eq!(
        names(Filter { window: text("Sundays"), machine: Some(Machine::Hybrid), ..Filter::default() }),
        "new well"
    );
    let selected = all.clone().filtered(&Filter::default(), |row| row.facts.vcenter.is_none());
    assert_eq!(selected.totals().all.machines, 1);

    let totals = all.totals();
    assert_eq!(totals.all, Count { machines: 5, compliant: 1, non_compliant: 3, unknown: 1 });
    assert_eq!(
        totals.by_machine[&Machine::Hybrid],
        Count { machines: 3, compliant: 1, non_compliant: 1, unknown: 1 }
    );
    assert_eq!(totals.by_machine[&Machine::Unmanaged].non_compliant, 1);
    assert_eq!((totals.missing, totals.failed, totals.critical, totals.security), (5, 1, 1, 2));
    assert_eq!(totals.failing, BTreeMap::from([("vm-secure-boot".to_owned(), 1)]));
}

#[test]
fn an_agent_that_does_not_answer_fails_its_check_on_ec2_too() {
    let mut silent = ec2("db");
    silent.agent_online = Fact::Known(false);
    let rows = table([silent, ec2("well")]);
    let filter = Filter { check: Some("agent-online".to_owned()), ..Filter::default() };
    assert_eq!(rows.filtered(&filter, |_| true).totals().all.machines, 1);
}

#[test]
fn checks_of_a_list() {
    let check = |id: &str, severity, status| Check {
        id: id.to_owned(),
        title: String::new(),
        severity,
        status,
        details: Vec::new(),
    };
    let list = List::with_not_read(
        Kind::Hardening,
        [
            check("low", Severity::Low, Status::NonCompliant),
            check("high", Severity::High, Status::NonCompliant),
            check("well", Severity::Critical, Status::Compliant),
        ],
        [NotRead { id: "dark".to_owned(), why: "no permission".to_owned() }],
    );
    let failing = vec!["high".to_owned(), "low".to_owned()];
    assert_eq!(
        Checks::of(&list),
        Checks { compliant: 1, failing, worst: Some(Severity::High), unreadable: 1 }
    );
}

#[test]
fn ids_of_nodes() {
    for (id, machine) in [
        ("mi-0123456789abcdef0", Machine::Hybrid),
        ("i-0123456789abcdef0", Machine::Ec2),
        ("i-01234567", Machine::Ec2),
    ] {
        assert_eq!(NodeId::parse(id).map(|id| id.machine()), Ok(machine));
    }
    for wrong in
        ["", "mi", "mi-01234567", "i-0123456", "x-0123456789abcdef0", "mi-0123456789abcdeg0", "mi-éé"]
    {
        assert_eq!(NodeId::parse(wrong), Err(NodeIdError), "{wrong}");
    }
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let count = || prop_oneof![3 => Just(0_u32), 1 => 0..9_u32, 1 => Just(u32::MAX)];
    let patches = (count(), count(), count(), count(), -40..2_i64).prop_map(
        |(missing, failed, critical, security, day)| Patches {
            missing,
            failed,
            critical,
            security,
            scanned: Some(days_ago(-day)),
            ..Patches::default()
        },
    );
    let checks = || {
        (count(), 0..3_usize, count()).prop_map(|(compliant, failing, unreadable)| Checks {
            compliant,
            failing: vec!["rule".to_owned(); failing],
            worst: (failing > 0).then_some(Severity::Medium),
            unreadable,
        })
    };
    fn fact<T: Clone + std::fmt::Debug>(known: impl Strategy<Value = T>) -> impl Strategy<Value = Fact<T>> {
        prop_oneof![4 => known.prop_map(Fact::Known), 1 => Just(Fact::Absent), 1 => Just(Fact::Unknown)]
    }
    let node = proptest::sample::select(&["", "mi-0123456789abcdef0", "i-01234567"][..]);
    (node, "[ab]{0,2}", fact(patches), fact(checks()), fact(checks()), fact(any::<bool>())).prop_map(
        |(node, name, patches, hardening, protection, agent_online)| Facts {
            node: NodeId::parse(node).ok(),
            patches,
            hardening,
            protection,
            agent_online,
            ..vm(&name)
        },
    )
}

proptest! {
    #[test]
    fn any_machines_make_the_same_table_in_any_order(all in proptest::collection::vec(any_facts(), 0..12), by in 0..12_usize) {
        let one = table(all.clone());
        let mut other = all;
        if !other.is_empty() {
            let by = by % other.len();
            other.rotate_left(by);
            other[by..].reverse();
        }
        let other = table(other);
        // Rows that are equal in all that is compared may stand either way round; what is shown is the same.
        let shown = |table: &Table| {
            table.rows().iter().map(|row| (row.overall, row.reason(), row.facts.name.clone())).collect::<Vec<_>>()
        };
        prop_assert_eq!(shown(&one), shown(&other));
        prop_assert!(one.rows().is_sorted_by_key(|row| row.overall));
        prop_assert_eq!(one.totals(), other.totals());
        let totals = one.totals().all;
        prop_assert_eq!(totals.machines, totals.compliant + totals.non_compliant + totals.unknown);
        for row in one.rows() {
            prop_assert_eq!(row.overall == Overall::Compliant, row.reasons.is_empty());
            for reason in &row.reasons {
                prop_assert!(Reason::WORDS.contains(&reason.word()), "{}", reason.word());
                let filter = Filter { check: Some(reason.word().to_owned()), ..Filter::default() };
                prop_assert!(filter.wants(row));
            }
        }
    }
}
