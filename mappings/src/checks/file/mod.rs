//! Files of rules: TOML, in which every mistake is told with its place.

mod expect;
mod read;
mod rule;
mod suppress;
mod table;

use toml::de::DeTable;

use super::mistake::Mistake;
use super::rule::Rule;
use super::suppress::Suppression;

use table::{Told, View};

/// The longest file, in bytes.
pub const LONGEST: usize = 4 << 20;

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Its name, for messages.
    pub name: String,
    /// Its rules, each with the line on which it begins.
    pub rules: Vec<(Rule, usize)>,
    /// Its suppressions.
    pub suppressions: Vec<Suppression>,
}

/// Reads a file of rules: `[[rule]]` and `[[suppress]]` in any number and order. `name` is how the file is called in
/// messages.
///
/// # Errors
/// With every mistake; of a file that is not TOML, the first.
pub fn parse(name: &str, text: &str) -> Result<RuleFile, Vec<Mistake>> {
    let mut told = Told::new(name, text);
    if text.len() > LONGEST {
        told.plain(format!("the file is longer than {} MiB", LONGEST >> 20), "split it");
        return Err(told.mistakes);
    }
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let message = format!("this is not TOML: {}", error.message());
            told.at(error.span().as_ref(), None, message, "see https://toml.io for the form");
            return Err(told.mistakes);
        }
    };
    let root = View::new(document.get_ref(), String::new(), document.span());
    root.only(&mut told, &["rule", "suppress"]);
    let mut file = RuleFile { name: name.to_owned(), rules: Vec::new(), suppressions: Vec::new() };
    for view in root.tables(&mut told, "rule") {
        let line = told.line(&view.span);
        if let Some(rule) = rule::rule(&mut told, &view) {
            if file.rules.iter().any(|(other, _)| other.id == rule.id) {
                told.at(
                    Some(&view.span),
                    Some("id"),
                    format!("another rule of this file is called `{}` too", rule.id),
                    "give each its own name",
                );
            }
            file.rules.push((rule, line));
        }
        told.rule = None;
    }
    for view in root.tables(&mut told, "suppress") {
        told.rule = Some("suppress".into());
        file.suppressions.extend(suppress::suppression(&mut told, &view));
        told.rule = None;
    }
    told.mistakes.sort_by_key(|mistake| mistake.line);
    if told.mistakes.is_empty() { Ok(file) } else { Err(told.mistakes) }
}

/// The word that was probably meant.
pub(super) fn closest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    words
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .max_by(|one, two| one.0.total_cmp(&two.0))
        .filter(|(similarity, _)| *similarity >= 0.8)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
