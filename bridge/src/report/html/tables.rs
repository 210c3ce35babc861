//! The tables that go on for pages: machines, results, exceptions and rules.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use maud::{Markup, html};

use super::{MOST_MACHINES, MOST_OBJECTS, day, optional, section, shown, table, text, words};
use crate::report::{
    AuditDocument, ChecksDocument, MachineDocument, PatchesDocument, ResultDocument, RuleDocument,
};

pub(super) fn machines(audit: &AuditDocument) -> Markup {
    let rows: Vec<Vec<Markup>> = audit.machines.iter().take(MOST_MACHINES).map(machine).collect();
    let head =
        ["Name", "Status", "Kind", "Node or VM", "System", "Patches", "Hardening", "Protection", "Why"];
    let more = audit.machines.len().saturating_sub(rows.len());
    section(
        "machines",
        &html! {
            @if rows.is_empty() {
                @if audit.not_read.is_empty() { p { "No machine is in the scope." } }
                @else { p class="odd" { "No machine in the scope is known; what could not be read stands under “Sources”." } }
            }
            @else { (table("machines", "Patch state, hardening and protection, the worst first", &head, &rows)) }
            @if more > 0 {
                p class="odd" {
                    (more) " more machines are not on this page, none of them worse; "
                    code { "vmbridge report --format json" } " and " code { "vmbridge compliance --csv" } " have all of them."
                }
            }
        },
    )
}

fn machine(machine: &MachineDocument) -> Vec<Markup> {
    let checks = |checks: &Option<ChecksDocument>| match checks {
        None => "–".to_owned(),
        Some(checks) => format!(
            "{} met, {} failed, {} not readable",
            checks.compliant,
            checks.failing.len(),
            checks.unreadable
        ),
    };
    let class = match machine.overall.as_str() {
        "compliant" => "good",
        "unknown" => "odd",
        _ => "bad",
    };
    let sentences: Vec<&str> = machine.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
    vec![
        optional(machine.name.as_deref()),
        html! { span class=(class) { (machine.overall) } },
        text(&machine.machine),
        optional(machine.node.as_deref().or(machine.vm.as_deref())),
        optional(machine.platform.as_deref()),
        text(&machine.patches.as_ref().map_or_else(|| "–".to_owned(), patches)),
        text(&checks(&machine.hardening)),
        text(&checks(&machine.protection)),
        text(&sentences.join("; ")),
    ]
}

fn patches(patches: &PatchesDocument) -> String {
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
}

/// Rule by rule, the gravest first: what the rule asks is said once, and not for each of the objects that fail it.
pub(super) fn results(audit: &AuditDocument) -> Markup {
    let rules: HashMap<&str, &RuleDocument> =
        audit.rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
    let mut by_rule: BTreeMap<&str, Vec<&ResultDocument>> = BTreeMap::new();
    for one in &audit.results {
        by_rule.entry(&one.rule).or_default().push(one);
    }
    let mut by_rule: Vec<(&str, Vec<&ResultDocument>)> = by_rule.into_iter().collect();
    // Stable, so that those of equal severity stay in the order of their ids, and objects in that of their names.
    by_rule.sort_by_key(|(_, results)| Reverse(results.first().map_or(0, |one| gravity(&one.severity))));
    for (_, results) in &mut by_rule {
        results.sort_by_key(|one| rank(&one.status));
    }
    section(
        "results",
        &html! {
            @if by_rule.is_empty() {
                @if audit.not_read.is_empty() { p { "No object fails a rule, and nothing is accepted for a time." } }
                @else { p class="odd" { "Nothing is known that fails a rule; what could not be read stands under “Sources”." } }
            }
            @for (id, results) in &by_rule { (of_rule(id, rules.get(id).copied(), results)) }
        },
    )
}

fn of_rule(id: &str, rule: Option<&RuleDocument>, results: &[&ResultDocument]) -> Markup {
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    results.iter().for_each(|one| *statuses.entry(&one.status).or_default() += 1);
    let counted: Vec<String> =
        statuses.iter().map(|(status, count)| format!("{count} {}", words(status))).collect();
    let severity = results.first().map_or("", |one| one.severity.as_str());
    let rows: Vec<Vec<Markup>> = results.iter().take(MOST_OBJECTS).map(|one| result(one)).collect();
    let more = results.len() - rows.len();
    html! {
        h3 { code { (shown(id)) } @if let Some(rule) = rule { ": " (shown(&rule.title)) } " (" (severity) ")" }
        (table("results", &counted.join(", "), &["Object", "Status", "Evidence"], &rows))
        @if more > 0 {
            p class="odd" {
                (more) " more objects are not on this page; " code { "vmbridge report --format csv" } " has all of them."
            }
        }
    }
}

fn result(one: &ResultDocument) -> Vec<Markup> {
    let class = match one.status.as_str() {
        "failed" => "bad",
        "passed" => "good",
        _ => "odd",
    };
    vec![
        html! { (kind(&one.kind)) " " (shown(&one.name)) " " code { (shown(&one.object)) } },
        html! { span class=(class) { (words(&one.status)) } },
        text(&one.evidence),
    ]
}

/// What is worse stands first.
fn rank(status: &str) -> u8 {
    match status {
        "failed" => 0,
        "not-readable" => 1,
        "suppressed" => 2,
        _ => 3,
    }
}

fn gravity(severity: &str) -> u8 {
    match severity {
        "critical" => 4,
        "high" => 3,
        "medium" => 2,
        "low" => 1,
        _ => 0,
    }
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

pub(super) fn exceptions(audit: &AuditDocument) -> Markup {
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
            @else { (table("exceptions", "What is accepted for a time", &head, &rows)) }
        },
    )
}

pub(super) fn rules(audit: &AuditDocument) -> Markup {
    let rows: Vec<Vec<Markup>> = audit
        .rules
        .iter()
        .map(|rule| {
            let results: Vec<String> =
                rule.results.iter().map(|(status, count)| format!("{count} {}", words(status))).collect();
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
            @if rows.is_empty() { p { "No rule is asked for that is one of hardening or protection." } }
            @else { (table("rules", "The rules that applied, and what came of each", &head, &rows)) }
        },
    )
}
