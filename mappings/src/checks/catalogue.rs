//! The catalogue of rules, as people read it.

use std::fmt::Write as _;

use super::kind::Kind;
use super::rule::Rule;

/// The catalogue in Markdown, as it stands in `docs/checks.md`.
#[must_use]
pub fn markdown(rules: &[Rule]) -> String {
    let mut out = String::new();
    let _ = kinds(&mut out, rules);
    out
}

fn kinds(out: &mut String, rules: &[Rule]) -> std::fmt::Result {
    for kind in Kind::ALL {
        writeln!(out, "## {kind}\n")?;
        for rule in rules.iter().filter(|rule| rule.kind == *kind) {
            writeln!(out, "### `{}`\n", rule.id)?;
        }
    }
    Ok(())
}
