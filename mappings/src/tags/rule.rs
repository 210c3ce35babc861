//! Rules: what people write, checked and made ready.

use std::collections::HashMap;
use std::fmt;

use crate::glob::NamePattern;
use crate::selector::Selector;

use super::template::Template;
use super::text::{TagKey, TextError};
use super::value::Treatment;

/// The number of a rule in its set.
pub type RuleId = u16;

/// The most rules in a set. A node has 50 tags at most.
const MOST_RULES: usize = 200;

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+ })+) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every value with the word for it in the configuration.
            pub const WORDS: &[(&str, Self)] = &[$(($word, Self::$variant),)+];
        }
    )+ };
}

words! {
    /// What a rule is for.
    Kind {
        /// Nothing special.
        #[default]
        Plain = "plain",
        /// The patch group of Patch Manager.
        PatchGroup = "patch-group",
        /// The token by which maintenance windows find their targets.
        MaintenanceWindow = "maintenance-window",
    }
    /// What to do with several tags of one category.
    Several {
        /// It is a problem.
        #[default]
        Error = "error",
        /// The first in the alphabet is taken.
        First = "first",
        /// All of them, in the order of the alphabet.
        Join = "join",
    }
    /// What to do with characters that AWS does not accept.
    Invalid {
        /// Each is replaced.
        #[default]
        Replace = "replace",
        /// Each is written as `=` and hexadecimal digits, which can be undone.
        Encode = "encode",
        /// It is a problem.
        Error = "error",
    }
    /// What to do with values that are too long.
    Long {
        /// They are cut, and end with a hash of the whole.
        #[default]
        HashSuffix = "hash-suffix",
        /// It is a problem.
        Error = "error",
    }
    /// What to do with upper and lower case.
    Case {
        /// Nothing.
        #[default]
        Keep = "keep",
        /// All lower case.
        Lower = "lower",
        /// All upper case.
        Upper = "upper",
    }
}

/// A rule as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleSpec {
    /// Its name.
    pub name: String,
    /// A tag category, or a pattern of categories. Exactly one of this, `attribute` and `value` is given.
    pub category: Option<String>,
    /// A custom attribute.
    pub attribute: Option<String>,
    /// Fixed text, or a template of facts.
    pub value: Option<String>,
    /// The key; otherwise the name of the category or attribute.
    pub key: Option<String>,
    /// What it is for.
    pub kind: Kind,
    /// What to do with several tags of one category.
    pub several: Several,
    /// What stands between joined values; otherwise `/`.
    pub separator: Option<String>,
    /// Only these values (patterns).
    pub only: Vec<String>,
    /// Not these values (patterns).
    pub except: Vec<String>,
    /// Only these VMs.
    pub vms: Selector,
    /// What to do with characters that AWS does not accept.
    pub invalid: Invalid,
    /// What they are replaced by; otherwise `_`.
    pub replacement: Option<String>,
    /// What to do with values that are too long.
    pub long: Long,
    /// What to do with upper and lower case.
    pub case: Case,
}

/// A mistake in a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The number of the rule in what was given.
    pub rule: usize,
    /// The field.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}, {}: {}; {}", self.rule + 1, self.field, self.message, self.help)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Category(NamePattern),
    Attribute(String),
    Template(Template),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeySource {
    Fixed(TagKey),
    /// Around the category's name.
    Around(String, String),
}

impl KeySource {
    pub(super) fn could_be(&self, key: &TagKey) -> bool {
        match self {
            Self::Fixed(fixed) => fixed == key,
            Self::Around(before, after) => {
                let key = key.as_str();
                key.len() >= before.len() + after.len() && key.starts_with(before) && key.ends_with(after)
            }
        }
    }
}

/// A rule, ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub name: String,
    pub source: Source,
    pub key: KeySource,
    pub kind: Kind,
    pub several: Several,
    pub separator: String,
    pub only: Vec<NamePattern>,
    pub except: Vec<NamePattern>,
    pub vms: Selector,
    pub treatment: Treatment,
}

/// Rules that fit together. What comes first wins where there is no room for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleSet {
    pub(super) rules: Vec<Rule>,
}

/// The keys by which Patch Manager finds the patch group of a node.
const PATCH_GROUP_KEYS: [&str; 2] = ["Patch Group", "PatchGroup"];
/// The key that windows' targets look for, unless the rule says another.
const WINDOW_KEY: &str = "Maintenance Window";
/// What vmbridge keeps for itself.
const OWN: &str = "vmbridge:";

impl RuleSet {
    /// Checks rules, all of them.
    ///
    /// # Errors
    /// With every mistake.
    pub fn new(specs: Vec<RuleSpec>) -> Result<Self, Vec<SpecError>> {
        let mut errors = Vec::new();
        if specs.len() > MOST_RULES {
            let message = format!("more than {MOST_RULES} rules");
            let help = "a node has 50 tags at most".to_owned();
            errors.push(SpecError { rule: MOST_RULES, field: "name", message, help });
        }
        let rules: Vec<Option<Rule>> =
            specs.into_iter().enumerate().map(|(at, spec)| checked(at, spec, &mut errors)).collect();
        let mut names: HashMap<&str, usize> = HashMap::new();
        let mut keys: HashMap<&TagKey, usize> = HashMap::new();
        for (at, rule) in rules.iter().enumerate() {
            let Some(rule) = rule else { continue };
            if let Some(first) = names.insert(&rule.name, at) {
                let message = format!("rule {} has the name `{}` already", first + 1, rule.name);
                errors.push(SpecError {
                    rule: at,
                    field: "name",
                    message,
                    help: "give each rule its own".into(),
                });
            }
            if let KeySource::Fixed(key) = &rule.key
                && let Some(first) = keys.insert(key, at)
            {
                let message = format!("rule {} writes the key `{key}` already", first + 1);
                let help = "give one of them another `key`, or remove it".into();
                errors.push(SpecError { rule: at, field: "key", message, help });
            }
        }
        if errors.is_empty() {
            return Ok(Self { rules: rules.into_iter().flatten().collect() });
        }
        errors.sort_by_key(|error| error.rule);
        Err(errors)
    }

    /// The name of a rule.
    #[must_use]
    pub fn name(&self, rule: RuleId) -> &str {
        self.rules.get(usize::from(rule)).map_or("", |rule| &rule.name)
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule here and one there could write the same key.
    #[must_use]
    pub fn shares_key(&self, other: &Self) -> bool {
        let clash = |one: &Rule, two: &Rule| match (&one.key, &two.key) {
            (KeySource::Fixed(key), other) | (other, KeySource::Fixed(key)) => other.could_be(key),
            (KeySource::Around(..), KeySource::Around(..)) => one.key == two.key,
        };
        self.rules.iter().any(|one| other.rules.iter().any(|two| clash(one, two)))
    }

    /// Whether a rule could write this key.
    #[must_use]
    pub fn could_write(&self, rule: RuleId, key: &TagKey) -> bool {
        self.rules.get(usize::from(rule)).is_some_and(|rule| rule.key.could_be(key))
    }
}

fn checked(at: usize, spec: RuleSpec, errors: &mut Vec<SpecError>) -> Option<Rule> {
    let before = errors.len();
    let mut wrong = |field, message: String, help: &str| {
        errors.push(SpecError { rule: at, field, message, help: help.to_owned() });
    };
    if spec.name.trim().is_empty() {
        wrong("name", "it is empty".into(), "give the rule a name; it is shown where it matters");
    }
    let source = match (&spec.category, &spec.attribute, &spec.value) {
        (Some(category), None, None) => match NamePattern::new(category) {
            Ok(pattern) if !category.is_empty() => Some(Source::Category(pattern)),
            Ok(_) => {
                wrong("category", "it is empty".into(), "name a tag category of vSphere");
                None
            }
            Err(error) => {
                wrong("category", error.to_string(), "a name, or a pattern with `*`, `?` and `[a-z]`");
                None
            }
        },
        (None, Some(attribute), None) if !attribute.trim().is_empty() => {
            Some(Source::Attribute(attribute.clone()))
        }
        (None, Some(_), None) => {
            wrong("attribute", "it is empty".into(), "name a custom attribute of vSphere");
            None
        }
        (None, None, Some(value)) => match Template::new(value) {
            Ok(template) => Some(Source::Template(template)),
            Err((message, help)) => {
                wrong("value", message, &help);
                None
            }
        },
        (None, None, None) => {
            wrong(
                "category",
                "nothing says where the value comes from".into(),
                "give one of `category`, `attribute` and `value`",
            );
            None
        }
        _ => {
            wrong(
                "category",
                "several things say where the value comes from".into(),
                "keep one of `category`, `attribute` and `value`",
            );
            None
        }
    };
    let key = key_of(&spec, &mut wrong);
    if spec.kind != Kind::Plain && spec.several == Several::Join {
        wrong("several", "this key takes one value only".into(), "use `error` or `first`");
    }
    if spec.kind == Kind::Plain
        && let Some(KeySource::Fixed(key)) = &key
        && PATCH_GROUP_KEYS.contains(&key.as_str())
    {
        wrong("kind", format!("`{key}` is what Patch Manager looks for"), "write kind = \"patch-group\"");
    }
    let mut patterns = |field, texts: &[String]| -> Vec<NamePattern> {
        let mut read = Vec::new();
        for text in texts {
            match NamePattern::new(text) {
                Ok(pattern) => read.push(pattern),
                Err(error) => wrong(field, error.to_string(), "a pattern with `*`, `?` and `[a-z]`"),
            }
        }
        read
    };
    let (only, except) = (patterns("only", &spec.only), patterns("except", &spec.except));
    let replacement = spec.replacement.unwrap_or_else(|| "_".to_owned());
    if let Some(bad) = replacement.chars().find(|character| !super::text::is_allowed(*character)) {
        wrong("replacement", TextError::Character(bad).to_string(), "for example \"_\"");
    }
    let separator = spec.separator.unwrap_or_else(|| "/".to_owned());
    if let Some(bad) = separator.chars().find(|character| !super::text::is_allowed(*character)) {
        wrong("separator", TextError::Character(bad).to_string(), "for example \"/\"");
    }
    if errors.len() > before {
        return None;
    }
    Some(Rule {
        name: spec.name,
        source: source?,
        key: key?,
        kind: spec.kind,
        several: spec.several,
        separator,
        only,
        except,
        vms: spec.vms,
        treatment: Treatment { case: spec.case, invalid: spec.invalid, replacement, long: spec.long },
    })
}

fn key_of(spec: &RuleSpec, wrong: &mut impl FnMut(&'static str, String, &str)) -> Option<KeySource> {
    let own = spec.category.as_ref().or(spec.attribute.as_ref());
    let is_pattern = spec.category.as_ref().is_some_and(|category| category.contains(['*', '?', '[']));
    let text = match (&spec.key, spec.kind, own) {
        (Some(key), _, _) => key.clone(),
        (None, Kind::PatchGroup, _) => PATCH_GROUP_KEYS[0].to_owned(),
        (None, Kind::MaintenanceWindow, _) => WINDOW_KEY.to_owned(),
        (None, Kind::Plain, Some(_)) if is_pattern => "{category}".to_owned(),
        (None, Kind::Plain, Some(own)) => own.clone(),
        (None, Kind::Plain, None) => {
            wrong("key", "it is missing".into(), "say which tag the value is for");
            return None;
        }
    };
    if spec.kind == Kind::PatchGroup && !PATCH_GROUP_KEYS.contains(&text.as_str()) {
        wrong(
            "key",
            format!("`{text}` is not what Patch Manager looks for"),
            "allowed are `Patch Group` and `PatchGroup`",
        );
        return None;
    }
    let key = match text.split_once("{category}") {
        Some((before, after)) => {
            let category = spec.category.as_ref();
            match (category, is_pattern) {
                (Some(_), true) if spec.kind == Kind::Plain => {
                    if let Err(error) = TagKey::new(&format!("{before}x{after}")) {
                        wrong("key", error.to_string(), "see docs/tags.md");
                    }
                    KeySource::Around(before.to_owned(), after.to_owned())
                }
                (Some(category), false) => fixed(&format!("{before}{category}{after}"), wrong)?,
                _ => {
                    wrong("key", "`{category}` has no meaning here".into(), "write the key itself");
                    return None;
                }
            }
        }
        None if is_pattern => {
            wrong(
                "key",
                "several categories would write this key".into(),
                "use `{category}` in it, or name one category",
            );
            return None;
        }
        None => fixed(&text, wrong)?,
    };
    let start = match &key {
        KeySource::Fixed(key) => key.as_str(),
        KeySource::Around(before, _) => before,
    };
    if start.to_ascii_lowercase().starts_with(OWN) {
        wrong("key", format!("what begins with `{OWN}` is for vmbridge itself"), "use another key");
        return None;
    }
    Some(key)
}

fn fixed(text: &str, wrong: &mut impl FnMut(&'static str, String, &str)) -> Option<KeySource> {
    match TagKey::new(text) {
        Ok(key) => Some(KeySource::Fixed(key)),
        Err(error) => {
            wrong("key", error.to_string(), "give a `key` that AWS accepts");
            None
        }
    }
}
