//! Checks one rule and compiles it. Every mistake is found, not only the first.

use std::sync::Arc;

use super::OWN_PREFIX;
use super::chars::{self, ALLOWED};
use super::evaluate::is_patch_group;
use super::key::{KeyMaker, room};
use super::mistake::SpecError;
use super::name::{Half, TagKey, TagValue, shown};
use super::policy::{OnInvalid, Policy};
use super::rule::{CategoryPattern, Rule, Source};
use super::schedule::looks_like_schedule;
use super::spec::{Case, Empty, Invalid, Kind, Long, RuleSpec, Several};
use super::template::{Template, Token, tokens, unknown};
use crate::glob::NamePattern;
use crate::selector::{Clause, Selector, closest, listed};

/// The longest name of a rule, in characters.
const MAX_NAME: usize = 64;
/// The longest separator and replacement, in characters.
const MAX_JOINT: usize = 16;
/// How much room a category's name has to have in a key.
const MIN_ROOM: usize = 32;
/// Names that the journal uses for what no rule wants.
const RESERVED_NAMES: [&str; 2] = ["vmbridge", "recovered"];

/// Compiles a rule, or adds what is wrong with it to `errors`.
pub(super) fn compile(index: usize, spec: &RuleSpec, errors: &mut Vec<SpecError>) -> Option<Rule> {
    let before = errors.len();
    let rule = Compiler { index, spec, errors }.rule();
    rule.filter(|_| errors.len() == before)
}

struct Compiler<'a> {
    index: usize,
    spec: &'a RuleSpec,
    errors: &'a mut Vec<SpecError>,
}

impl Compiler<'_> {
    fn error(
        &mut self,
        field: &'static str,
        item: impl Into<Option<usize>>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.errors.push(SpecError {
            index: self.index,
            rule: self.spec.name.clone(),
            field,
            item: item.into(),
            message: message.into(),
            help: help.into(),
        });
    }

    fn rule(&mut self) -> Option<Rule> {
        let spec = self.spec;
        self.name();
        let kind = self.word("kind", spec.kind.as_deref(), Kind::from_word, Kind::WORDS);
        let several = self.word("several", spec.several.as_deref(), Several::from_word, Several::WORDS);
        let case = self.word("case", spec.case.as_deref(), Case::from_word, Case::WORDS);
        let empty = self.word("empty", spec.empty.as_deref(), Empty::from_word, Empty::WORDS);
        let policy = self.policy();
        let source = self.source(policy.as_ref(), empty, kind);
        let separator = self.separator(several);
        let only = self.patterns("only", &spec.only);
        let except = self.patterns("except", &spec.except);
        let map = self.map(policy.as_ref());
        let selector =
            Selector::new(self.clauses("include", &spec.include), self.clauses("exclude", &spec.exclude));
        if let (Some(kind), Some(several), Some(empty)) = (kind, several, empty) {
            self.one_value(kind, several, empty);
        }
        let (source, kind, policy) = (source?, kind?, policy?);
        if several.is_some_and(|several| several != Several::Error) && !matches!(source, Source::Category(_))
        {
            self.error("several", None, "only a category can have several values", "leave it out".to_owned());
        }
        let key = self.key(&source, kind, &policy)?;
        Some(Rule {
            name: Arc::from(&*spec.name),
            source,
            key,
            kind,
            several: several?,
            separator: separator.into(),
            only,
            except,
            map,
            case: case?,
            keep_empty: empty? == Empty::Keep,
            selector,
            policy,
        })
    }

    fn name(&mut self) {
        let name = &self.spec.name;
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() {
            self.error(
                "name",
                None,
                "a rule needs a name",
                "reports and the journal call it by that".to_owned(),
            );
        } else if name.chars().count() > MAX_NAME {
            self.error("name", None, format!("longer than {MAX_NAME} characters"), None);
        } else if let Some(c) = name.chars().find(|c| !allowed(*c)) {
            let help = "allowed are letters, digits, `-`, `_` and `.`".to_owned();
            self.error("name", None, format!("{} is not allowed in a name", shown(c)), help);
        } else if RESERVED_NAMES.contains(&&**name) {
            let help = "choose another name".to_owned();
            self.error("name", None, format!("the journal uses `{name}` for something else"), help);
        }
    }

    /// Reads a word out of a list; the default is the first.
    fn word<T: Default>(
        &mut self,
        field: &'static str,
        written: Option<&str>,
        read: impl Fn(&str) -> Option<T>,
        words: &[&'static str],
    ) -> Option<T> {
        let Some(written) = written else { return Some(T::default()) };
        let value = read(written);
        if value.is_none() {
            let help = match closest(written, words) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("allowed are {}", listed(words)),
            };
            self.error(field, None, format!("there is no `{written}` here"), help);
        }
        value
    }

    fn policy(&mut self) -> Option<Policy> {
        let spec = self.spec;
        let invalid = self.word("invalid", spec.invalid.as_deref(), Invalid::from_word, Invalid::WORDS);
        let long = self.word("long", spec.long.as_deref(), Long::from_word, Long::WORDS);
        let replacement = match &spec.replacement {
            Some(replacement) => {
                self.joint("replacement", replacement);
                if invalid.is_some_and(|invalid| invalid != Invalid::Replace) {
                    let help = "leave it out".to_owned();
                    self.error("replacement", None, "only `invalid = \"replace\"` uses this", help);
                }
                replacement.as_str()
            }
            None => "_",
        };
        let invalid = match invalid? {
            Invalid::Replace => OnInvalid::Replace(replacement.into()),
            Invalid::Encode => OnInvalid::Encode,
            Invalid::Error => OnInvalid::Error,
        };
        Some(Policy { invalid, long: long? })
    }

    fn separator(&mut self, several: Option<Several>) -> String {
        let Some(separator) = &self.spec.separator else { return "/".to_owned() };
        self.joint("separator", separator);
        if separator.is_empty() {
            self.error("separator", None, "nothing would tell the values apart", "such as `/`".to_owned());
        }
        if several.is_some_and(|several| several != Several::Join) {
            self.error("separator", None, "only `several = \"join\"` uses this", "leave it out".to_owned());
        }
        separator.clone()
    }

    /// A text that goes into values as it is.
    fn joint(&mut self, field: &'static str, text: &str) {
        if let Some(c) = text.chars().find(|c| !chars::allowed(*c)) {
            let message = format!("AWS does not accept {} in tags", shown(c));
            self.error(field, None, message, format!("allowed are {ALLOWED}"));
        }
        if text.chars().count() > MAX_JOINT {
            self.error(field, None, format!("longer than {MAX_JOINT} characters"), None);
        }
    }

    fn patterns(&mut self, field: &'static str, written: &[String]) -> Vec<NamePattern> {
        let mut patterns = Vec::with_capacity(written.len());
        for (item, pattern) in written.iter().enumerate() {
            match NamePattern::new(pattern) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.error(field, item, error.message, None),
            }
        }
        patterns
    }

    fn clauses(&mut self, field: &'static str, written: &[String]) -> Vec<Clause> {
        let mut clauses = Vec::with_capacity(written.len());
        for (item, text) in written.iter().enumerate() {
            match text.parse::<Selector>() {
                Err(error) => self.error(field, item, error.to_string(), None),
                Ok(selector) if !selector.exclude().is_empty() => {
                    let help = "write what comes after it into `exclude`".to_owned();
                    self.error(field, item, "`except` cannot stand here", help);
                }
                Ok(selector) if selector.is_everything() => {
                    let help = "a rule without `include` is for every VM".to_owned();
                    self.error(field, item, "`all` cannot stand in a list", help);
                }
                Ok(selector) => clauses.extend_from_slice(selector.include()),
            }
        }
        clauses
    }

    fn map(&mut self, policy: Option<&Policy>) -> Vec<(NamePattern, Box<str>)> {
        let spec = self.spec;
        let mut map = Vec::with_capacity(spec.map.len());
        for (item, (from, to)) in spec.map.iter().enumerate() {
            self.literal("map", item, to, policy);
            match NamePattern::new(from) {
                Ok(pattern) => map.push((pattern, Box::from(&**to))),
                Err(error) => self.error("map", item, error.message, None),
            }
        }
        map
    }

    /// A text that the rule itself has: its author can write it so that AWS accepts it.
    fn literal(
        &mut self,
        field: &'static str,
        item: impl Into<Option<usize>>,
        text: &str,
        policy: Option<&Policy>,
    ) {
        if policy.is_some_and(|policy| policy.invalid == OnInvalid::Encode) {
            return;
        }
        if let Some(c) = text.chars().find(|c| !chars::allowed(*c)) {
            let message = format!("AWS does not accept {} in tags", shown(c));
            self.error(field, item, message, format!("allowed are {ALLOWED}"));
        }
    }

    /// Patch groups and windows have one value, which is not empty.
    fn one_value(&mut self, kind: Kind, several: Several, empty: Empty) {
        if kind == Kind::Plain {
            return;
        }
        if several == Several::Join {
            let message = format!("a node has one {}: two joined are neither", thing(kind));
            self.error("several", None, message, "use `error` or `first`".to_owned());
        }
        if empty == Empty::Keep {
            let message = format!("a {} cannot be empty", thing(kind));
            self.error("empty", None, message, "leave it out".to_owned());
        }
    }

    fn source(
        &mut self,
        policy: Option<&Policy>,
        empty: Option<Empty>,
        kind: Option<Kind>,
    ) -> Option<Source> {
        let spec = self.spec;
        let all = [
            ("category", spec.category.is_some()),
            ("attribute", spec.attribute.is_some()),
            ("value", spec.value.is_some()),
        ];
        let mut given = all.iter().filter(|(_, given)| *given).map(|(field, _)| *field);
        let help = || "a rule has exactly one of `category`, `attribute` and `value`".to_owned();
        match (given.next(), given.next()) {
            (None, _) => {
                self.error("value", None, "nothing says where the value comes from", help());
                return None;
            }
            (Some(first), Some(second)) => {
                self.error(second, None, format!("there is `{first}` already"), help());
                return None;
            }
            (Some(_), None) => {}
        }
        if let Some(category) = &spec.category {
            return self.category(category).map(Source::Category);
        }
        if !spec.except_category.is_empty() {
            let help = "leave it out".to_owned();
            self.error("except_category", None, "only a rule with `category` uses this", help);
        }
        if let Some(attribute) = &spec.attribute {
            if attribute.is_empty() {
                self.error("attribute", None, "a custom attribute has a name", None);
                return None;
            }
            return Some(Source::Attribute(Arc::from(&**attribute)));
        }
        let text = spec.value.as_deref().unwrap_or_default();
        let template = match Template::new(text) {
            Ok(template) => template,
            Err(error) => {
                self.error("value", None, error.message, error.help);
                return None;
            }
        };
        if kind == Some(Kind::MaintenanceWindow) && looks_like_schedule(text) {
            let help = "name the window by a word such as `sunday-0200`, and target the tag in the window"
                .to_owned();
            self.error("value", None, "a tag cannot hold a schedule", help);
            return None;
        }
        for literal in template.literals() {
            self.literal("value", None, literal, policy);
        }
        match template.fixed() {
            Some("") if empty == Some(Empty::Skip) => {
                let help = "for a tag with an empty value set `empty = \"keep\"`".to_owned();
                self.error("value", None, "an empty value makes no tag", help);
            }
            Some(fixed) if policy.is_some_and(|policy| policy.invalid != OnInvalid::Encode) => {
                // What is wrong with its characters is said already.
                if fixed.chars().all(chars::allowed)
                    && let Err(error) = TagValue::new(fixed)
                {
                    self.error("value", None, error.to_string(), None);
                }
            }
            Some(_) | None => {}
        }
        Some(Source::Value(template))
    }

    fn category(&mut self, written: &str) -> Option<CategoryPattern> {
        let except = self.patterns("except_category", &self.spec.except_category);
        let pattern = match NamePattern::new(written) {
            Ok(pattern) => pattern,
            Err(error) => {
                self.error("category", None, error.message, None);
                return None;
            }
        };
        let Some(name) = plain_name(written) else {
            return Some(CategoryPattern::Glob { pattern, except });
        };
        if !self.spec.except_category.is_empty() {
            let message = format!("`{written}` is one category, and no pattern");
            self.error("except_category", None, message, "leave it out".to_owned());
        }
        Some(CategoryPattern::Exact(name.into()))
    }

    fn key(&mut self, source: &Source, kind: Kind, policy: &Policy) -> Option<KeyMaker> {
        let maker = match (&self.spec.key, kind, source) {
            (Some(written), _, _) => self.written_key(written, source, policy)?,
            (None, Kind::PatchGroup, _) => self.fixed_key("Patch Group", policy)?,
            (None, Kind::MaintenanceWindow, _) => self.fixed_key("Maintenance Window", policy)?,
            (None, Kind::Plain, Source::Category(CategoryPattern::Exact(name))) => {
                self.fixed_key(name, policy)?
            }
            (None, Kind::Plain, Source::Category(CategoryPattern::Glob { .. })) => {
                KeyMaker::Dynamic { prefix: "".into(), suffix: "".into() }
            }
            (None, Kind::Plain, Source::Attribute(name)) => self.fixed_key(name, policy)?,
            (None, Kind::Plain, Source::Value(_)) => {
                let help = "such as `vsphere:cluster`".to_owned();
                self.error("key", None, "a rule with `value` needs a key", help);
                return None;
            }
        };
        let begins_own = |text: &str| chars::begins(text, OWN_PREFIX);
        match (&maker, kind) {
            (KeyMaker::Fixed(key), Kind::PatchGroup)
                if !matches!(key.as_str(), "Patch Group" | "PatchGroup") =>
            {
                let help = "write `Patch Group`, or `PatchGroup` where tags are allowed in instance metadata"
                    .to_owned();
                self.error("key", None, "Patch Manager knows two keys for patch groups only", help);
            }
            (KeyMaker::Dynamic { .. }, Kind::PatchGroup | Kind::MaintenanceWindow) => {
                let message =
                    format!("a node has one {}, so that its key cannot have placeholders", thing(kind));
                self.error("key", None, message, None);
            }
            (KeyMaker::Fixed(key), Kind::Plain | Kind::MaintenanceWindow) if is_patch_group(key.as_str()) => {
                let help = "set `kind = \"patch-group\"`".to_owned();
                self.error("key", None, format!("`{key}` is the key of patch groups"), help);
            }
            (KeyMaker::Fixed(key), _) if begins_own(key.as_str()) => {
                let message = format!("vmbridge keeps keys that begin with `{OWN_PREFIX}` for itself");
                self.error("key", None, message, "choose another prefix, such as `vsphere:`".to_owned());
            }
            (KeyMaker::Dynamic { prefix, .. }, _) if begins_own(prefix) => {
                let message = format!("vmbridge keeps keys that begin with `{OWN_PREFIX}` for itself");
                self.error("key", None, message, "choose another prefix, such as `vsphere:`".to_owned());
            }
            _ => {}
        }
        Some(maker)
    }

    fn written_key(&mut self, written: &str, source: &Source, policy: &Policy) -> Option<KeyMaker> {
        let (words, name): (&[&'static str], Option<&str>) = match source {
            Source::Category(CategoryPattern::Exact(name)) => (&["category"], Some(name)),
            Source::Category(CategoryPattern::Glob { .. }) => (&["category"], None),
            Source::Attribute(name) => (&["attribute"], Some(name)),
            Source::Value(_) => (&[], None),
        };
        let tokens = match tokens(written) {
            Ok(tokens) => tokens,
            Err(error) => {
                self.error("key", None, error.message, error.help);
                return None;
            }
        };
        let (mut before, mut after, mut dynamic) = (String::new(), String::new(), false);
        for token in tokens {
            let part = if dynamic { &mut after } else { &mut before };
            match (token, name) {
                (Token::Text(text), _) => part.push_str(&text),
                (Token::Name(word), _) if !words.contains(&word) => {
                    let error = unknown(word, words);
                    self.error("key", None, error.message, error.help);
                    return None;
                }
                (Token::Name(_), Some(name)) => part.push_str(name),
                (Token::Name(_), None) if !dynamic => dynamic = true,
                (Token::Name(word), None) => {
                    self.error("key", None, format!("`{{{word}}}` can stand in a key once"), None);
                    return None;
                }
            }
        }
        if !dynamic {
            return self.fixed_key(&before, policy);
        }
        let texts = [&before, &after];
        if let Some(c) = texts.iter().flat_map(|text| text.chars()).find(|c| !chars::allowed(*c)) {
            let message = format!("{} is not allowed in a {}", shown(c), Half::Key);
            self.error("key", None, message, format!("allowed are {ALLOWED}"));
            return None;
        }
        if chars::is_reserved(&before) {
            let help = "choose another prefix, such as `vsphere:`".to_owned();
            self.error("key", None, "AWS keeps keys that begin with `aws:` for itself", help);
            return None;
        }
        if room(&before, &after) < MIN_ROOM {
            let help = format!("a key has at most {} characters", chars::MAX_KEY);
            self.error(
                "key",
                None,
                format!("there is room for fewer than {MIN_ROOM} of the category's characters"),
                help,
            );
            return None;
        }
        Some(KeyMaker::Dynamic { prefix: before.into(), suffix: after.into() })
    }

    fn fixed_key(&mut self, text: &str, policy: &Policy) -> Option<KeyMaker> {
        match TagKey::new(text) {
            Ok(key) => Some(KeyMaker::Fixed(key)),
            Err(error) => {
                let shaped = policy.shape(text, Half::Key, chars::MAX_KEY, true);
                let suggestion = shaped.ok().and_then(|(key, _)| TagKey::new(&key).ok());
                let help = suggestion.map(|key| format!("for example `key = \"{key}\"`"));
                self.error("key", None, error.to_string(), help);
                None
            }
        }
    }
}

fn thing(kind: Kind) -> &'static str {
    match kind {
        Kind::Plain => "value",
        Kind::PatchGroup => "patch group",
        Kind::MaintenanceWindow => "maintenance window",
    }
}

/// The name that a pattern stands for, if it stands for one only.
fn plain_name(pattern: &str) -> Option<String> {
    let mut name = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return None,
            '\\' => name.push(chars.next()?),
            c => name.push(c),
        }
    }
    Some(name)
}
