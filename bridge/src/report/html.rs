//! The auditor's report as one page of HTML: without scripts, pictures or anything from elsewhere, fit to be printed.
//!
//! Every text from outside goes through maud's escaping; characters that cannot be seen or change the direction of writing are
//! shown as what they are, so that a name cannot dress up as another. What an auditor asks first stands on the first page of
//! paper: what this is about, of when, and how many; then come the machines, and rule by rule the objects that do not meet it.

mod tables;

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::AuditDocument;
use crate::inventory::text::{for_terminal, shortened};

const STYLE: &str = include_str!("report.css");
/// Longer texts are shortened, in characters: a row is to fit on a page of paper.
const LONGEST_TEXT: usize = 500;
/// More machines are not on the page: nobody reads them there, and no browser shows them.
const MOST_MACHINES: usize = 5000;
/// The same of objects for one rule.
const MOST_OBJECTS: usize = 1000;

/// The sections, and whether each begins on a new page of paper.
const SECTIONS: [(&str, &str, bool); 7] = [
    ("scope", "Scope", false),
    ("summary", "Summary", false),
    ("sources", "Sources", false),
    ("machines", "Machines", true),
    ("results", "Results by rule", true),
    ("exceptions", "Exceptions", false),
    ("rules", "Rules", true),
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
                    ul { @for (id, title, _) in SECTIONS { li { a href={ "#" (id) } { (title) } } } }
                }
                main {
                    (scope(audit))
                    (summary(audit))
                    (sources(audit))
                    (tables::machines(audit))
                    (tables::results(audit))
                    (tables::exceptions(audit))
                    (tables::rules(audit))
                }
            }
        }
    };
    page.into_string()
}

/// A text from outside, not too long and with what cannot be seen made visible. Maud escapes the rest.
fn shown(text: &str) -> String {
    // First what is not seen, which takes more room when it is.
    shortened(&for_terminal(text), LONGEST_TEXT).into_owned()
}

fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

fn section(id: &str, content: &Markup) -> Markup {
    let known = SECTIONS.iter().find(|(known, ..)| *known == id);
    let (title, on_new_page) = known.map_or((id, false), |(_, title, on_new_page)| (*title, *on_new_page));
    html! {
        section class=[on_new_page.then_some("page")] aria-labelledby=(id) { h2 id=(id) { (title) } (content) }
    }
}

fn table(class: &str, caption: &str, head: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        table class=(class) {
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

/// A word with `-` between its parts.
fn words(status: &str) -> String {
    status.replace('-', " ")
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

fn summary(audit: &AuditDocument) -> Markup {
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    for (status, count) in audit.rules.iter().flat_map(|rule| &rule.results) {
        *statuses.entry(status).or_default() += count;
    }
    let failed = audit.rules.iter().filter(|rule| rule.results.contains_key("failed")).count();
    let count = &audit.count;
    section(
        "summary",
        &html! {
            dl {
                dt { "Machines" }
                dd {
                    (count.machines) ": " (count.compliant) " compliant, " (count.non_compliant) " not compliant, "
                    (count.unknown) " unknown"
                }
                dt { "Rules" } dd { (audit.rules.len()) ", " (failed) " of them failed by something" }
                dt { "Results" }
                dd {
                    @if statuses.is_empty() { "none" }
                    @for (at, (status, count)) in statuses.iter().enumerate() {
                        @if at > 0 { ", " }
                        (count) " " (words(status))
                    }
                }
                dt { "Gaps" }
                dd {
                    @if audit.not_read.is_empty() { "none: everything was read" }
                    @else { span class="odd" { (audit.not_read.len()) ", which stand under “Sources”" } }
                }
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
            @if rows.is_empty() { p class="bad" { "There is no source within the scope." } }
            @else { (table("sources", "Where this comes from, and how current it is", &head, &rows)) }
            h3 { "What could not be read" }
            @if audit.not_read.is_empty() {
                p { "Everything was read." }
            } @else {
                ul { @for missing in &audit.not_read { li class="odd" { (shown(missing)) } } }
            }
        },
    )
}
