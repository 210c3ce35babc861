//! What is written of a report, with names that mean harm; an HTML parser is the judge.

mod daemon;
mod gather;

use std::collections::BTreeMap;

use scraper::{Html, Selector};

use super::*;

/// Names as somebody would choose them who may name a VM.
const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "=cmd|'/c calc'!A1",
    "gpj.\u{202e}exe \u{1b}[31m & </table>",
];

/// A report of a little of everything.
pub(crate) fn sample() -> AuditDocument {
    let machine = |number: usize, overall: &str, reasons: &[(&str, &str)]| MachineDocument {
        machine: ["hybrid", "ec2", "unmanaged"][number % 3].to_owned(),
        node: (number < 2).then(|| format!("mi-0000000000000000{number}")),
        target: Some("prod".to_owned()),
        vm: (number != 1).then(|| format!("dc1/vm-{number}")),
        name: Some(HOSTILE[number].to_owned()),
        platform: Some("Debian GNU/Linux 13".to_owned()),
        overall: overall.to_owned(),
        reasons: reasons
            .iter()
            .map(|(reason, sentence)| ReasonDocument {
                reason: (*reason).to_owned(),
                sentence: (*sentence).to_owned(),
            })
            .collect(),
        agent_online: (number == 0).then_some(true),
        patches: (number < 2).then(|| PatchesDocument {
            installed: 120,
            missing: 3,
            failed: 0,
            pending_reboot: 1,
            rejected: 0,
            critical: 2,
            security: 1,
            scanned: Some("2027-01-14T03:00:00Z".to_owned()),
        }),
        associations: (number == 0).then_some((2, 1)),
        inventory: (number < 2).then(|| {
            let captured = Some("2027-01-13T02:00:00Z".to_owned());
            let one = InventoryDocument { r#type: HOSTILE[2].to_owned(), captured, hash: None };
            if number == 0 { vec![one] } else { Vec::new() }
        }),
        hardening: (number != 1).then(|| ChecksDocument {
            compliant: 40,
            failing: vec!["vm-secure-boot".to_owned()],
            unreadable: u32::from(number == 2),
        }),
        protection: (number == 0).then(|| ChecksDocument {
            compliant: 5,
            failing: Vec::new(),
            unreadable: 0,
        }),
        windows: vec!["Sundays".to_owned()],
    };
    let result = |kind: &str, object: &str, name: &str, status: &str| ResultDocument {
        rule: "vm-secure-boot".to_owned(),
        severity: "high".to_owned(),
        status: status.to_owned(),
        kind: kind.to_owned(),
        object: object.to_owned(),
        name: name.to_owned(),
        evidence: format!("`config.bootOptions` is `{name}`; it should be `true`"),
    };
    let rules = mappings::checks::defaults().unwrap();
    let rule = rules.iter().find(|rule| rule.id.as_str() == "vm-secure-boot").unwrap();
    let results = BTreeMap::from([("failed".to_owned(), 1), ("suppressed".to_owned(), 1)]);
    AuditDocument {
        schema: AUDIT_SCHEMA.to_owned(),
        time: "2027-01-15T02:00:00Z".to_owned(),
        version: "0.0.0".to_owned(),
        installation: "0123abcd".to_owned(),
        scope: ScopeDocument {
            selectors: vec!["name=\"<b>\"".to_owned()],
            window: Some("Sundays".to_owned()),
            ..ScopeDocument::default()
        },
        sources: vec![
            SourceDocument {
                kind: "vcenter".to_owned(),
                name: "dc1".to_owned(),
                what: Some("vSphere API 8.0.3.0".to_owned()),
                current: true,
                as_of: Some("2027-01-15T01:59:00Z".to_owned()),
                objects: 3,
            },
            SourceDocument {
                kind: "target".to_owned(),
                name: "prod".to_owned(),
                what: None,
                current: false,
                as_of: None,
                objects: 0,
            },
        ],
        not_read: vec![format!("prod: its patch states cannot be read: {}", HOSTILE[3])],
        count: CountDocument { machines: 3, compliant: 0, non_compliant: 2, unknown: 1 },
        rules: vec![RuleDocument { results, ..rule_document(rule) }],
        exceptions: vec![ExceptionDocument {
            name: Some("erp".to_owned()),
            rules: vec!["vm-secure-boot".to_owned(), "vm-no-*".to_owned()],
            objects: "tag=Application:erp".to_owned(),
            reason: HOSTILE[1].to_owned(),
            until: "2026-12-31T23:59:59Z".to_owned(),
            expired: true,
            covers: 1,
        }],
        machines: vec![
            machine(
                0,
                "non-compliant",
                &[("critical-patches", "2 critical patches are missing"), ("a", "b")],
            ),
            machine(1, "unknown", &[("never-scanned", "it was never scanned for patches")]),
            machine(2, "non-compliant", &[("not-managed", "it is no managed node")]),
        ],
        results: vec![
            result("host", "dc1/host-9", "esx-1", "not-readable"),
            result("vm", "dc1/vm-0", HOSTILE[0], "failed"),
            result("vm", "dc1/vm-2", HOSTILE[2], "suppressed"),
        ],
    }
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<scraper::ElementRef<'a>> {
    let selector = Selector::parse(selector).unwrap();
    page.select(&selector).collect()
}

#[test]
fn the_page_is_html_without_anything_that_acts_or_comes_from_elsewhere() {
    let audit = sample();
    let text = html(&audit);
    let page = Html::parse_document(&text);
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    // A name that became markup would be an element that the page has no use for.
    let allowed = [
        "html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "h1", "h2",
        "h3", "p", "ul", "li", "a", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td",
        "code", "span",
    ];
    for element in all(&page, "*") {
        let name = element.value().name();
        assert!(allowed.contains(&name), "<{name}> is not of ours");
        for (attribute, value) in element.value().attrs() {
            assert!(
                !attribute.starts_with("on") && attribute != "src" && attribute != "style",
                "{attribute}"
            );
            assert!(attribute != "href" || value.starts_with('#'), "{value}");
        }
    }
    // And it is there as text, with what cannot be seen made visible.
    let body: String = all(&page, "body")[0].text().collect();
    for name in &HOSTILE[..3] {
        assert!(body.contains(name), "{name}");
    }
    assert!(body.contains("gpj.\\u{202e}exe \\u{1b}[31m & </table>"), "{body}");
    assert!(!body.contains("Everything was read"), "what is missing is told");
    let links: Vec<String> =
        all(&page, "nav a").iter().map(|link| link.value().attr("href").unwrap()[1..].to_owned()).collect();
    assert_eq!(links.len(), 7);
    for id in links {
        assert_eq!(all(&page, &format!("h2[id={id}]")).len(), 1, "{id}");
    }
}

#[test]
fn its_tables_can_be_heard_and_printed() {
    let text = html(&sample());
    let page = Html::parse_document(&text);
    let tables = all(&page, "table");
    assert!(tables.len() >= 5, "{}", tables.len());
    let cells =
        |of: &scraper::ElementRef<'_>, selector: &str| of.select(&Selector::parse(selector).unwrap()).count();
    for table in &tables {
        assert_eq!(cells(table, "caption"), 1);
        let columns = cells(table, "thead > tr > th[scope=col]");
        assert!(columns > 0);
        for row in table.select(&Selector::parse("tbody > tr").unwrap()) {
            assert_eq!(cells(&row, "th[scope=row]"), 1);
            assert_eq!(cells(&row, "th, td"), columns);
        }
    }
    assert_eq!(all(&page, "html[lang=en]").len(), 1);
    for needed in ["@media print", "@page", "display: table-header-group", "break-inside: avoid"] {
        assert!(text.contains(needed), "{needed}");
    }
}

#[test]
fn the_same_input_gives_the_same_page() {
    let audit = sample();
    assert_eq!(html(&audit), html(&audit));
    let page = html(&audit);
    let body = page
        .split_once("<body>")
        .unwrap()
        .1
        .replace("</tr>", "</tr>\n")
        .replace("</section>", "</section>\n");
    insta::assert_snapshot!(body);
}

#[test]
fn a_spreadsheet_runs_nothing() {
    let audit = sample();
    let mut out = Vec::new();
    write_machines(&mut out, &audit.machines, &audit.results).unwrap();
    write_results(&mut out, &audit).unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut csv = ::csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_bytes());
    for record in csv.records() {
        for cell in &record.unwrap() {
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
        }
    }
    insta::assert_snapshot!(text.replace('\r', ""));
}

#[test]
fn what_is_not_met_is_in_a_spreadsheet_whether_it_is_a_machine_or_not() {
    let audit = sample();
    let records = |machines: &[MachineDocument], failures: &[ResultDocument]| {
        let mut out = Vec::new();
        write_machines(&mut out, machines, failures).unwrap();
        let mut csv = ::csv::Reader::from_reader(&out[..]);
        let heads = csv.headers().unwrap().clone();
        let records = csv.records().map(|record| record.unwrap());
        let named = |record: ::csv::StringRecord| -> BTreeMap<String, String> {
            heads.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect()
        };
        records.map(named).collect::<Vec<_>>()
    };
    // A host that fails a rule is no machine.
    let hosts = records(&[], &audit.results[..1]);
    let [host] = &hosts[..] else { panic!("{hosts:?}") };
    assert_eq!((&*host["name"], &*host["object"], &*host["rule"]), ("esx-1", "dc1/host-9", "vm-secure-boot"));
    assert_eq!((&*host["status"], &*host["overall"]), ("not-readable", ""));
    let all = records(&audit.machines, &audit.results);
    assert_eq!(all.len(), 4, "the two VMs have lines already");
    let failed: Vec<&str> = all.iter().map(|line| &*line["object"]).collect();
    assert_eq!(failed, ["dc1/vm-0", "", "dc1/vm-2", "dc1/host-9"]);
    // Two results of one VM are two lines.
    let twice = [audit.results[1].clone(), audit.results[1].clone()];
    assert_eq!(records(&audit.machines[..1], &twice).len(), 2);
}

/// A fleet as large as one vCenter can be, in which every VM fails three rules.
fn large() -> AuditDocument {
    let small = sample();
    let (machine, result) = (&small.machines[0], &small.results[1]);
    let machines = (0..45_000).map(|number| MachineDocument {
        name: Some(format!("web-{number}")),
        vm: Some(format!("dc1/vm-{number}")),
        ..machine.clone()
    });
    let results = (0..135_000).map(|number| ResultDocument {
        rule: ["vm-secure-boot", "b", "c"][number % 3].to_owned(),
        name: format!("web-{}", number / 3),
        object: format!("dc1/vm-{}", number / 3),
        ..result.clone()
    });
    AuditDocument { machines: machines.collect(), results: results.collect(), ..small.clone() }
}

#[test]
fn a_large_fleet_is_a_page_that_a_browser_can_show_and_says_what_is_not_on_it() {
    let audit = large();
    let text = html(&audit);
    assert!(text.len() < 12 << 20, "{} bytes", text.len());
    let page = Html::parse_document(&text);
    assert_eq!(all(&page, "table.machines tbody tr").len(), 5000);
    assert_eq!(
        all(&page, "table.results").len(),
        3,
        "one table for each rule, whatever the number of objects"
    );
    assert_eq!(all(&page, "table.results tbody tr").len(), 3000);
    let told: String = all(&page, "p.odd").iter().flat_map(scraper::ElementRef::text).collect();
    assert!(told.contains("40000 more machines") && told.contains("44000 more objects"), "{told}");
    // Nothing is left out of what programs read.
    let mut out = Vec::new();
    write_results(&mut out, &audit).unwrap();
    assert_eq!(::csv::Reader::from_reader(&out[..]).records().count(), 135_000);
    let mut out = Vec::new();
    write_machines(&mut out, &audit.machines, &audit.results).unwrap();
    assert_eq!(::csv::Reader::from_reader(&out[..]).records().count(), 135_000);
}

#[test]
fn an_empty_report_does_not_look_clean_while_something_is_missing() {
    let mut audit = AuditDocument { machines: Vec::new(), results: Vec::new(), ..sample() };
    let body = |audit: &AuditDocument| -> String {
        let page = Html::parse_document(&html(audit));
        all(&page, "section").iter().flat_map(scraper::ElementRef::text).collect()
    };
    let text = body(&audit);
    assert!(
        text.contains("No machine in the scope is known") && text.contains("Nothing is known that fails"),
        "{text}"
    );
    audit.not_read.clear();
    let text = body(&audit);
    assert!(text.contains("No machine is in the scope") && text.contains("No object fails a rule"), "{text}");
}

#[test]
fn the_gravest_rules_and_the_failed_objects_stand_first() {
    let mut audit = sample();
    let result = audit.results[1].clone();
    let one = |rule: &str, severity: &str, status: &str| ResultDocument {
        rule: rule.to_owned(),
        severity: severity.to_owned(),
        status: status.to_owned(),
        ..result.clone()
    };
    audit.results = vec![
        one("a", "low", "failed"),
        one("b", "critical", "passed"),
        one("b", "critical", "suppressed"),
        one("b", "critical", "failed"),
        one("c", "high", "not-readable"),
    ];
    let page = Html::parse_document(&html(&audit));
    let heads: Vec<String> = all(&page, "h3 code").iter().map(|head| head.text().collect()).collect();
    assert_eq!(heads, ["b", "c", "a"]);
    let statuses: Vec<String> =
        all(&page, "table.results td span").iter().map(|status| status.text().collect()).collect();
    assert_eq!(statuses, ["failed", "suppressed", "passed", "not readable", "failed"]);
    assert_eq!(
        all(&page, "table.results caption")[0].text().collect::<String>(),
        "1 failed, 1 passed, 1 suppressed"
    );
}

#[test]
fn what_is_written_as_json_is_read_again() {
    let audit = sample();
    let text = serde_json::to_string(&audit).unwrap();
    assert_eq!(serde_json::from_str::<AuditDocument>(&text).unwrap(), audit);
}
