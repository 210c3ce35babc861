//! The auditor's report as one page of HTML: without scripts, pictures or anything from elsewhere, fit to be printed.
//!
//! Every text from outside goes through maud's escaping; characters that cannot be seen or change the direction of writing are
//! shown as what they are, so that a name cannot dress up as another.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{AuditDocument, ChecksDocument, MachineDocument, ResultDocument};
use crate::inventory::text::for_terminal;

const STYLE: &str = "\
body{font:11pt/1.45 system-ui,sans-serif;color:#111;background:#fff;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.7rem}h2{font-size:1.25rem;margin-top:2.2rem;border-bottom:2px solid #333}h3{font-size:1rem;margin:1.4rem 0 .3rem}\
table{border-collapse:collapse;width:100%;margin:.6rem 0}caption{text-align:left;font-weight:600;padding:.3rem 0}\
th,td{border:1px solid #888;padding:.25rem .45rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
thead th{background:#e8e8e8}td.number{text-align:right}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}\
dt{font-weight:600}dd{margin:0}.bad{color:#8b0000;font-weight:600}.odd{color:#6b4a00;font-weight:600}.good{color:#0a5c20}\
code{font-family:ui-monospace,monospace;font-size:.92em}nav ul{columns:2}\
@page{size:A4 landscape;margin:14mm}\
@media print{body{max-width:none;margin:0;padding:0;font-size:9pt}nav{display:none}h2{break-before:page;break-after:avoid}\
h3{break-after:avoid}thead{display:table-header-group}tr{break-inside:avoid}thead th{background:none}a{color:inherit;text-decoration:none}}";

const SECTIONS: [(&str, &str); 7] = [
    ("scope", "Scope"),
    ("sources", "Sources"),
    ("summary", "Summary"),
    ("machines", "Machines"),
    ("results", "Results by object"),
    ("exceptions", "Exceptions"),
    ("rules", "Rules"),
];

/// The page.
#[must_use]
pub fn html(audit: &AuditDocument) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="referrer" content="no-referrer";
                title { "Compliance report of " (day(&audit.time)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Compliance report" }
                    p { "Made " (audit.time) " by vmbridge " (audit.version) ", installation " code { (shown(&audit.installation)) } "." }
                }
                nav aria-label="Contents" {
                    ul { @for (id, title) in SECTIONS { li { a href={ "#" (id) } { (title) } } } }
                }
                main {
                    (scope(audit))
                    (sources(audit))
                    (summary(audit))
                    (machines(&audit.machines))
                    (results(&audit.results))
                    (exceptions(audit))
                    (rules(audit))
                }
            }
        }
    };
    page.into_string()
}

/// A text from outside, with what cannot be seen made visible. Maud escapes the rest.
fn shown(text: &str) -> String {
    for_terminal(text).into_owned()
}

fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

fn section(id: &str, content: &Markup) -> Markup {
    let title = SECTIONS.iter().find(|(known, _)| *known == id).map_or(id, |(_, title)| title);
    html! { section aria-labelledby=(id) { h2 id=(id) { (title) } (content) } }
}

fn table(caption: &str, head: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        table {
            caption { (caption) }
            thead { tr { @for cell in head { th scope="col" { (cell) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (at, cell) in row.iter().enumerate() {
                            @if at == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn text(text: &str) -> Markup {
    html! { (shown(text)) }
}

fn optional(text: Option<&str>) -> Markup {
    html! { (text.map_or_else(|| "–".to_owned(), shown)) }
}

fn scope(audit: &AuditDocument) -> Markup {
    let scope = &audit.scope;
    let listed = |texts: &[String], all: &str| {
        if texts.is_empty() { all.to_owned() } else { shown(&texts.join(" or ")) }
    };
    section(
        "scope",
        &html! {
            dl {
                dt { "VMs" } dd { (listed(&scope.selectors, "all")) }
                dt { "vCenters" } dd { (listed(&scope.vcenters, "all")) }
                dt { "Target" } dd { (scope.target.as_deref().map_or_else(|| "all".to_owned(), shown)) }
                dt { "Maintenance window" } dd { (scope.window.as_deref().map_or_else(|| "all".to_owned(), shown)) }
                dt { "Rule" } dd { (scope.rule.as_deref().map_or_else(|| "all".to_owned(), shown)) }
            }
        },
    )
}

fn sources(audit: &AuditDocument) -> Markup {
    let rows: Vec<Vec<Markup>> = audit
        .sources
        .iter()
        .map(|source| {
            let state = if source.current { ("good", "current") } else { ("bad", "not current") };
            vec![
                text(&source.name),
                text(if source.kind == "vcenter" { "vCenter" } else { "AWS target" }),
                optional(source.what.as_deref()),
                html! { span class=(state.0) { (state.1) } },
                optional(source.as_of.as_deref()),
                html! { (source.objects) },
            ]
        })
        .collect();
    let head = ["Source", "Kind", "What", "State", "As of", "VMs or nodes"];
    section(
        "sources",
        &html! {
            (table("Where this comes from, and how current it is", &head, &rows))
            h3 { "What could not be read" }
            @if audit.not_read.is_empty() {
                p { "Everything was read." }
            } @else {
                ul { @for missing in &audit.not_read { li class="odd" { (shown(missing)) } } }
            }
        },
    )
}

fn summary(audit: &AuditDocument) -> Markup {
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    for (status, count) in audit.rules.iter().flat_map(|rule| &rule.results) {
        *statuses.entry(status).or_default() += count;
    }
    let count = &audit.count;
    section(
        "summary",
        &html! {
            dl {
                dt { "Machines" } dd { (count.machines) }
                dt { "Compliant" } dd { (count.compliant) }
                dt { "Not compliant" } dd { (count.non_compliant) }
                dt { "Unknown" } dd { (count.unknown) }
                @for (status, count) in &statuses {
                    dt { "Results: " (status.replace('-', " ")) } dd { (count) }
                }
            }
        },
    )
}

fn machines(machines: &[MachineDocument]) -> Markup {
    let checks = |checks: &Option<ChecksDocument>| match checks {
        None => "–".to_owned(),
        Some(checks) => format!(
            "{} met, {} failed, {} not readable",
            checks.compliant,
            checks.failing.len(),
            checks.unreadable
        ),
    };
    let rows: Vec<Vec<Markup>> = machines
        .iter()
        .map(|machine| {
            let class = match machine.overall.as_str() {
                "compliant" => "good",
                "unknown" => "odd",
                _ => "bad",
            };
            let patches = machine.patches.as_ref().map_or_else(|| "–".to_owned(), |patches| {
                let scanned = patches.scanned.as_deref().map_or("not finished", day);
                format!(
                    "{} installed, {} missing ({} critical, {} security), {} failed, {} wait for a restart; scanned {scanned}",
                    patches.installed,
                    patches.missing,
                    patches.critical,
                    patches.security,
                    patches.failed,
                    patches.pending_reboot,
                )
            });
            let sentences: Vec<&str> =
                machine.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
            vec![
                optional(machine.name.as_deref()),
                html! { span class=(class) { (machine.overall) } },
                text(&machine.machine),
                optional(machine.node.as_deref().or(machine.vm.as_deref())),
                optional(machine.platform.as_deref()),
                text(&patches),
                text(&checks(&machine.hardening)),
                text(&checks(&machine.protection)),
                text(&sentences.join("; ")),
            ]
        })
        .collect();
    let head =
        ["Name", "Status", "Kind", "Node or VM", "System", "Patches", "Hardening", "Protection", "Why"];
    section(
        "machines",
        &html! {
            @if rows.is_empty() { p { "No machine is in the scope." } }
            @else { (table("Patch state, hardening and protection", &head, &rows)) }
        },
    )
}

fn results(results: &[ResultDocument]) -> Markup {
    let by_object = results.chunk_by(|one, two| one.object == two.object && one.kind == two.kind);
    section(
        "results",
        &html! {
            @if results.is_empty() { p { "Nothing is to be told of any object." } }
            @for of_object in by_object {
                @if let Some(first) = of_object.first() {
                    h3 { (kind(&first.kind)) " " (shown(&first.name)) " " code { (shown(&first.object)) } }
                    (table(
                        &format!("What came of rules for {}", shown(&first.name)),
                        &["Rule", "Severity", "Status", "Evidence"],
                        &of_object.iter().map(result).collect::<Vec<_>>(),
                    ))
                }
            }
        },
    )
}

fn result(one: &ResultDocument) -> Vec<Markup> {
    let class = match one.status.as_str() {
        "failed" => "bad",
        "passed" => "good",
        _ => "odd",
    };
    vec![
        html! { code { (shown(&one.rule)) } },
        text(&one.severity),
        html! { span class=(class) { (one.status.replace('-', " ")) } },
        text(&one.evidence),
    ]
}

fn kind(word: &str) -> &str {
    match word {
        "vm" => "VM",
        "host" => "Host",
        "cluster" => "Cluster",
        "portgroup" => "Port group",
        other => other,
    }
}

fn exceptions(audit: &AuditDocument) -> Markup {
    let rows: Vec<Vec<Markup>> = audit
        .exceptions
        .iter()
        .map(|one| {
            vec![
                optional(one.name.as_deref()),
                text(&one.rules.join(", ")),
                html! { code { (shown(&one.objects)) } },
                text(&one.reason),
                html! {
                    (one.until)
                    @if one.expired { " " span class="bad" { "expired" } }
                },
                html! { (one.covers) },
            ]
        })
        .collect();
    let head = ["Name", "Rules", "Objects", "Reason", "Until", "Results covered"];
    section(
        "exceptions",
        &html! {
            @if rows.is_empty() { p { "There are no exceptions." } }
            @else { (table("What is accepted for a time", &head, &rows)) }
        },
    )
}

fn rules(audit: &AuditDocument) -> Markup {
    let rows: Vec<Vec<Markup>> = audit
        .rules
        .iter()
        .map(|rule| {
            let results: Vec<String> = rule
                .results
                .iter()
                .map(|(status, count)| format!("{count} {}", status.replace('-', " ")))
                .collect();
            vec![
                html! { code { (shown(&rule.id)) } },
                text(&rule.title),
                text(&rule.severity),
                text(kind(&rule.kind)),
                text(&rule.versions),
                html! { @for read in &rule.reads { code { (shown(read)) } " " } },
                text(&rule.references.join(", ")),
                text(&results.join(", ")),
            ]
        })
        .collect();
    let head = ["Rule", "What should be", "Severity", "Of", "vSphere", "Reads", "References", "Results"];
    section(
        "rules",
        &html! {
            (table("The rules that applied", &head, &rows))
        },
    )
}
