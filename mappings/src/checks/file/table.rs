//! Tables of a file, and the mistakes found in them.

use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::closest;
use crate::checks::mistake::Mistake;

/// The mistakes of a file, as they are found.
pub(super) struct Told<'t> {
    file: &'t str,
    text: &'t str,
    /// The rule that is being read.
    pub(super) rule: Option<String>,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'t> Told<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, rule: None, mistakes: Vec::new() }
    }

    /// The line, from 1, on which something begins.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn at(
        &mut self,
        span: Option<&Range<usize>>,
        key: Option<&str>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.mistakes.push(Mistake {
            file: self.file.to_owned(),
            line: span.map(|span| self.line(span)),
            rule: self.rule.clone(),
            key: key.map(str::to_owned),
            message: message.into(),
            help: help.into(),
        });
    }

    pub(super) fn plain(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.at(None, None, message, help);
    }
}

/// A table, the way to it, and where it is.
pub(super) struct View<'a> {
    table: &'a DeTable<'a>,
    prefix: String,
    pub(super) span: Range<usize>,
}

/// A value, the way to it, and where it is.
pub(super) struct Found<'a> {
    pub(super) value: &'a DeValue<'a>,
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

impl<'a> View<'a> {
    pub(super) fn new(table: &'a DeTable<'a>, prefix: String, span: Range<usize>) -> Self {
        Self { table, prefix, span }
    }

    /// The whole name of a key of this table.
    pub(super) fn key(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}.{key}", self.prefix) }
    }

    /// Tells of every key that is none of these.
    pub(super) fn only(&self, told: &mut Told<'_>, keys: &[&'static str]) {
        for key in self.table.keys() {
            let word: &str = key.get_ref();
            if keys.contains(&word) {
                continue;
            }
            let mut help = format!("allowed are {}", listed(keys));
            if let Some(near) = closest(word, keys) {
                help = format!("did you mean `{near}`? {help}");
            }
            told.at(Some(&key.span()), Some(&self.key(word)), "there is no such key", help);
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Found<'a>> {
        let value: &Spanned<DeValue<'a>> = self.table.get(key)?;
        Some(Found { value: value.get_ref(), key: self.key(key), span: value.span() })
    }

    /// Which of these keys are given.
    pub(super) fn given<'k>(&self, keys: &[&'k str]) -> Vec<&'k str> {
        keys.iter().copied().filter(|key| self.table.contains_key(*key)).collect()
    }

    /// The value of a key that must be given.
    pub(super) fn needed(&self, told: &mut Told<'_>, key: &str, example: &str) -> Option<Found<'a>> {
        let found = self.get(key);
        if found.is_none() {
            let help = format!("for example {key} = {example}");
            told.at(Some(&self.span), Some(&self.key(key)), "it is missing", help);
        }
        found
    }

    /// The tables of a list of tables.
    pub(super) fn tables(&self, told: &mut Told<'_>, key: &str) -> Vec<View<'a>> {
        let Some(found) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = found.value else {
            let help = format!("write [[{key}]], once for each");
            told.at(Some(&found.span), Some(&found.key), "this is not a list of tables", help);
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| {
                Found { value: item.get_ref(), key: String::new(), span: item.span() }.table(told)
            })
            .collect()
    }
}

impl<'a> Found<'a> {
    /// Tells of a mistake in this value.
    pub(super) fn wrong(&self, told: &mut Told<'_>, message: impl Into<String>, help: impl Into<String>) {
        told.at(Some(&self.span), Some(&self.key), message, help);
    }

    fn not(&self, told: &mut Told<'_>, wanted: &str) {
        let is = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(told, format!("this is {is}"), format!("give {wanted}"));
    }

    pub(super) fn table(self, told: &mut Told<'_>) -> Option<View<'a>> {
        match self.value {
            DeValue::Table(table) => Some(View::new(table, self.key, self.span)),
            _ => {
                self.not(told, "a table, such as { path = \"config.version\" }");
                None
            }
        }
    }

    /// A text that is not empty and not too long, in characters.
    pub(super) fn text(&self, told: &mut Told<'_>, longest: usize) -> Option<&'a str> {
        let DeValue::String(text) = self.value else {
            self.not(told, "a string");
            return None;
        };
        let text: &str = text;
        if text.trim().is_empty() {
            self.wrong(told, "it is empty", "write something, or leave the key out if it may be");
            return None;
        }
        let length = text.chars().count();
        if length > longest {
            let message = format!("it is {length} characters long");
            self.wrong(told, message, format!("at most {longest} are allowed"));
            return None;
        }
        Some(text)
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, told: &mut Told<'_>, words: &[&str], values: &[T]) -> Option<T> {
        let text = self.text(told, usize::MAX)?;
        let found = words.iter().position(|word| *word == text).and_then(|at| values.get(at)).copied();
        if found.is_none() {
            let mut help = format!("allowed are {}", listed(words));
            if let Some(near) = closest(text, words) {
                help = format!("did you mean `{near}`? {help}");
            }
            self.wrong(told, format!("`{text}` is none of the words for it"), help);
        }
        found
    }

    pub(super) fn boolean(&self, told: &mut Told<'_>) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => {
                self.not(told, "true or false");
                None
            }
        }
    }

    pub(super) fn integer(&self, told: &mut Told<'_>) -> Option<i64> {
        match self.value {
            DeValue::Integer(number) => {
                let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
                if read.is_none() {
                    self.wrong(told, "the number is too large", "it must fit in 64 bits");
                }
                read
            }
            _ => {
                self.not(told, "a whole number");
                None
            }
        }
    }

    /// A list of values, at least one; a single value stands for a list of one.
    pub(super) fn items(&self, told: &mut Told<'_>, most: usize) -> Option<Vec<Found<'a>>> {
        let items: Vec<Found<'a>> = match self.value {
            DeValue::Array(items) => items
                .iter()
                .map(|item| Found { value: item.get_ref(), key: self.key.clone(), span: item.span() })
                .collect(),
            _ => vec![Found { value: self.value, key: self.key.clone(), span: self.span.clone() }],
        };
        if items.is_empty() {
            self.wrong(told, "the list is empty", "give at least one value");
            return None;
        }
        if items.len() > most {
            self.wrong(
                told,
                format!("the list has {} values", items.len()),
                format!("at most {most} are allowed"),
            );
            return None;
        }
        Some(items)
    }

    /// A list of texts, at least one; a single text stands for a list of one.
    pub(super) fn texts(&self, told: &mut Told<'_>, longest: usize, most: usize) -> Option<Vec<&'a str>> {
        self.items(told, most)?.iter().map(|item| item.text(told, longest)).collect()
    }

    /// What a text means to somebody who knows.
    pub(super) fn read<T, E: Display>(
        &self,
        told: &mut Told<'_>,
        longest: usize,
        read: impl FnOnce(&str) -> Result<T, E>,
        help: &str,
    ) -> Option<T> {
        let text = self.text(told, longest)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(told, error.to_string(), help);
                None
            }
        }
    }
}

/// `a`, `b` and `c`
pub(super) fn listed(words: &[&str]) -> String {
    let mut out = String::new();
    for (at, word) in words.iter().enumerate() {
        out.push_str(match at {
            0 => "",
            _ if at + 1 == words.len() => " and ",
            _ => ", ",
        });
        out.push('`');
        out.push_str(word);
        out.push('`');
    }
    out
}
