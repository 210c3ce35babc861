//! One condition of a selector: a key and what its value must be.

use std::fmt;
use std::ops::ControlFlow;

use super::facts::{Fact, GuestFamily, PowerState, TagsKnown, VmFacts};
use crate::glob::{NamePattern, PathPattern, PatternError};

macro_rules! keys {
    ($($(#[$meta:meta])* $variant:ident = $word:literal, $takes:literal, $example:literal;)+) => {
        /// What a condition is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key {
            $($(#[$meta])* $variant,)+
        }

        impl Key {
            /// Every key, in the order in which they are documented.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// Every key as it is written.
            pub const WORDS: &[&str] = &[$($word,)+];

            /// The key as it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What kind of value it takes, in a few words.
            #[must_use]
            pub fn takes(self) -> &'static str {
                match self { $(Self::$variant => $takes,)+ }
            }

            /// A value that it accepts.
            #[must_use]
            pub fn example(self) -> &'static str {
                match self { $(Self::$variant => $example,)+ }
            }
        }
    };
}

keys! {
    /// The vCenter's name in the configuration.
    Vcenter = "vcenter", "name pattern", "dc1";
    /// The datacenter's name.
    Datacenter = "datacenter", "name pattern", "Frankfurt*";
    /// The cluster's name.
    Cluster = "cluster", "name pattern", "prod-*";
    /// The path of the folder that holds the VM.
    Folder = "folder", "path pattern, `**` for any depth", "/Prod/**";
    /// The VM's name.
    Name = "name", "name pattern", "web-??";
    /// A tag.
    Tag = "tag", "`Category:Name`, both name patterns", "Env:prod";
    /// A custom attribute.
    Attribute = "attribute", "`Name=value`, the value a pattern", "Owner=web-*";
    /// The family of the guest operating system.
    Guest = "guest", "`linux`, `windows`, `darwin`, `solaris`, `netware` or `other`", "linux";
    /// The power state.
    Power = "power", "`on`, `off` or `suspended`", "on";
    /// Whether the VM is a template.
    Template = "template", "`yes` or `no`", "no";
}

impl Key {
    /// Reads a key. Exactly as documented: keys are lower case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.as_str() == word)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value that its key does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// Byte offset in the value at which the mistake is.
    pub offset: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
    /// The word that was probably meant, where there is a fixed list of words.
    pub suggestion: Option<&'static str>,
}

impl From<PatternError> for ValueError {
    fn from(error: PatternError) -> Self {
        Self { offset: error.offset, message: error.message, suggestion: None }
    }
}

/// What one key of a clause must be. Compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Vcenter(NamePattern),
    Datacenter(NamePattern),
    Cluster(NamePattern),
    Folder(PathPattern),
    Name(NamePattern),
    Tag { category: NamePattern, name: NamePattern },
    Attribute { name: String, value: NamePattern },
    Guest(GuestFamily),
    Power(PowerState),
    Template(bool),
}

/// How a test, a clause or a whole selector came out. The order is that of a logical "and" (the smallest wins).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    No,
    Unknown(Key),
    Yes,
}

impl Test {
    /// Compiles the value of `key`.
    pub(super) fn new(key: Key, value: &str) -> Result<Self, ValueError> {
        Ok(match key {
            Key::Vcenter => Self::Vcenter(NamePattern::new(value)?),
            Key::Datacenter => Self::Datacenter(NamePattern::new(value)?),
            Key::Cluster => Self::Cluster(NamePattern::new(value)?),
            Key::Folder => Self::Folder(PathPattern::new(value)?),
            Key::Name => Self::Name(NamePattern::new(value)?),
            Key::Tag => {
                let (category, name, at) = split_once(value, ':').ok_or_else(|| ValueError {
                    offset: 0,
                    message: format!(
                        "a tag is written `Category:Name`; for this name in any category write `*:{value}`"
                    ),
                    suggestion: None,
                })?;
                Self::Tag { category: NamePattern::new(category)?, name: half(name, at)? }
            }
            Key::Attribute => {
                let (name, pattern, at) = split_once(value, '=').ok_or_else(|| ValueError {
                    offset: 0,
                    message: format!(
                        "an attribute is written `Name=value`; for any value that is set write `{value}=*`"
                    ),
                    suggestion: None,
                })?;
                if name.is_empty() {
                    return Err(ValueError {
                        offset: 0,
                        message: "the attribute's name is missing before `=`".to_owned(),
                        suggestion: None,
                    });
                }
                Self::Attribute { name: unescape(name), value: half(pattern, at)? }
            }
            Key::Guest => {
                Self::Guest(word(value, GuestFamily::from_word, GuestFamily::WORDS, "guest family")?)
            }
            Key::Power => Self::Power(word(value, PowerState::from_word, PowerState::WORDS, "power state")?),
            Key::Template => Self::Template(word(
                value,
                |word| match word.to_ascii_lowercase().as_str() {
                    "yes" | "true" => Some(true),
                    "no" | "false" => Some(false),
                    _ => None,
                },
                &["yes", "no"],
                "answer",
            )?),
        })
    }

    /// Whether the VM passes.
    pub(super) fn outcome(&self, vm: &dyn VmFacts) -> Outcome {
        match self {
            Self::Vcenter(pattern) => yes(pattern.matches(vm.vcenter())),
            Self::Datacenter(pattern) => fact(Key::Datacenter, vm.datacenter(), |text| pattern.matches(text)),
            Self::Cluster(pattern) => fact(Key::Cluster, vm.cluster(), |text| pattern.matches(text)),
            Self::Folder(pattern) => fact(Key::Folder, vm.folder(), |text| pattern.matches(text)),
            Self::Name(pattern) => fact(Key::Name, vm.name(), |text| pattern.matches(text)),
            Self::Tag { category, name } => {
                let mut found = false;
                let known = vm.visit_tags(&mut |tag_category, tag_name| {
                    found = category.matches(tag_category) && name.matches(tag_name);
                    if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                match (found, known) {
                    (true, _) => Outcome::Yes,
                    (false, TagsKnown::Yes) => Outcome::No,
                    (false, TagsKnown::No) => Outcome::Unknown(Key::Tag),
                }
            }
            Self::Attribute { name, value } => {
                fact(Key::Attribute, vm.custom_attribute(name), |text| value.matches(text))
            }
            Self::Guest(family) => fact(Key::Guest, vm.guest_family(), |found| found == *family),
            Self::Power(state) => fact(Key::Power, vm.power_state(), |found| found == *state),
            Self::Template(wanted) => fact(Key::Template, vm.is_template(), |found| found == *wanted),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vcenter(pattern)
            | Self::Datacenter(pattern)
            | Self::Cluster(pattern)
            | Self::Name(pattern) => fmt::Display::fmt(pattern, f),
            Self::Folder(pattern) => fmt::Display::fmt(pattern, f),
            Self::Tag { category, name } => write!(f, "{category}:{name}"),
            Self::Attribute { name, value } => write!(f, "{}={value}", escape_name(name)),
            Self::Guest(family) => fmt::Display::fmt(family, f),
            Self::Power(state) => fmt::Display::fmt(state, f),
            Self::Template(wanted) => f.write_str(if *wanted { "yes" } else { "no" }),
        }
    }
}

fn yes(passed: bool) -> Outcome {
    if passed { Outcome::Yes } else { Outcome::No }
}

fn fact<T>(key: Key, fact: Fact<T>, passes: impl FnOnce(T) -> bool) -> Outcome {
    match fact {
        Fact::Known(value) => yes(passes(value)),
        Fact::Absent => Outcome::No,
        Fact::Unknown => Outcome::Unknown(key),
    }
}

/// Compiles the second half of a value that starts at `at`.
fn half(pattern: &str, at: usize) -> Result<NamePattern, ValueError> {
    NamePattern::new(pattern).map_err(|error| ValueError { offset: at + error.offset, ..error.into() })
}

/// Splits at the first separator that no backslash precedes: both halves, and the offset of the second.
fn split_once(value: &str, separator: char) -> Option<(&str, &str, usize)> {
    let mut escaped = false;
    for (at, c) in value.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            let after = at + c.len_utf8();
            return Some((&value[..at], &value[after..], after));
        }
    }
    None
}

fn unescape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

fn escape_name(name: &str) -> String {
    name.replace('\\', r"\\").replace('=', r"\=")
}

fn word<T>(
    value: &str,
    read: impl Fn(&str) -> Option<T>,
    words: &'static [&'static str],
    what: &str,
) -> Result<T, ValueError> {
    read(value).ok_or_else(|| ValueError {
        offset: 0,
        message: format!("no such {what}; allowed are {}", super::text::listed(words)),
        suggestion: super::text::closest(value, words),
    })
}
