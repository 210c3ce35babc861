//! The catalogue of rules, as people read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use super::kind::Kind;
use super::rule::{Missing, Rule, Severity};

const HEAD: &str = "\
<!-- Written by the program: `cargo test -p mappings --test checks catalogue` says how to renew it. -->

# Checks

What vmbridge checks, why, and what to do. [custom-rules.md](custom-rules.md) says how to add rules of your own and how to
accept a finding for a time.

Each rule reads what vCenter tells anyway; no machine is asked. A value that cannot be read is neither good nor bad: its
finding stays as it was. In VMware Cloud on AWS the provider looks after hosts, clusters and port groups, and rules about
them say `provider-managed`. \"SCG\" is the vendor's security configuration guide, \"STIG\" the guide of DISA for vSphere, and
\"CIS\" the CIS benchmark for a version of ESXi, whose own version is given since its numbers change; the rules cover the same
ground in their own words, so meeting them proves no conformity with any of them.
";

/// The catalogue in Markdown, as it stands in `docs/checks.md`.
#[must_use]
pub fn markdown(rules: &[Rule]) -> String {
    let mut out = HEAD.to_owned();
    // Writing to a string does not fail.
    let _ = all(&mut out, rules);
    out
}

fn all(out: &mut String, rules: &[Rule]) -> fmt::Result {
    let families: BTreeSet<&str> = rules.iter().map(|rule| rule.family.as_str()).collect();
    writeln!(out, "\n{} rules in {} families:\n", rules.len(), families.len())?;
    writeln!(out, "| family | rules | the worst |\n|---|---|---|")?;
    let mut of_family: BTreeMap<&str, (usize, Severity)> = BTreeMap::new();
    for rule in rules {
        let entry = of_family.entry(rule.family.as_str()).or_insert((0, Severity::Informational));
        *entry = (entry.0 + 1, entry.1.max(rule.severity));
    }
    for (family, (count, worst)) in of_family {
        writeln!(out, "| `{family}` | {count} | {worst} |")?;
    }
    for kind in Kind::ALL {
        let mut rules: Vec<&Rule> = rules.iter().filter(|rule| rule.kind == *kind).collect();
        if rules.is_empty() {
            continue;
        }
        rules.sort_by_key(|rule| (&rule.family, &rule.id));
        let what = match kind {
            Kind::Vm => "VMs",
            Kind::Host => "Hosts",
            Kind::Cluster => "Clusters",
            Kind::Portgroup => "Port groups of distributed switches",
        };
        writeln!(out, "\n## {what}")?;
        for rule in rules {
            one(out, rule)?;
        }
    }
    Ok(())
}

fn one(out: &mut String, rule: &Rule) -> fmt::Result {
    writeln!(out, "\n### `{}`\n", rule.id)?;
    writeln!(out, "**{}** ({}, `{}`)\n", rule.title, rule.severity, rule.family)?;
    writeln!(out, "{}\n", rule.rationale)?;
    writeln!(out, "- Reads: `{}`", rule.read)?;
    if !rule.applies.is_everything() {
        writeln!(out, "- Only for vSphere {}", rule.applies)?;
    }
    for condition in &rule.when {
        writeln!(out, "- Not where {}", condition.otherwise)?;
    }
    for case in &rule.cases {
        let versions = if case.versions.is_everything() {
            if rule.cases.len() > 1 { "In all other versions it should" } else { "It should" }.to_owned()
        } else {
            format!("In vSphere {} it should", case.versions)
        };
        let unset = match case.expect.missing {
            Missing::Pass => "not set is good",
            Missing::Fail => "not set is a finding",
            Missing::NotApplicable => "not set: the rule has nothing to say",
        };
        writeln!(out, "- {versions} be {} ({unset})", case.expect)?;
    }
    writeln!(out, "- What to do: {}", rule.remediation)?;
    let references: Vec<String> = rule.references.iter().collect();
    if !references.is_empty() {
        writeln!(out, "- See also: {}", references.join(", "))?;
    }
    match &rule.link {
        Some(link) => writeln!(out, "- More: <{link}>"),
        None => Ok(()),
    }
}
