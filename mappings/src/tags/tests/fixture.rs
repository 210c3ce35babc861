//! A VM made of plain data, and short ways to write rules.

use std::ops::ControlFlow;

use crate::glob::same_name;
use crate::selector::{Fact, GuestFamily, PowerState, TagsKnown, VmFacts};
use crate::tags::{Desired, RuleSet, RuleSpec, TagFacts};

#[derive(Debug, Clone)]
pub(super) struct Vm {
    pub(super) texts: [Fact<String>; 7],
    pub(super) guest: Fact<GuestFamily>,
    pub(super) power: Fact<PowerState>,
    pub(super) template: Fact<bool>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) tags_known: bool,
    pub(super) attributes: Vec<(String, Fact<String>)>,
}

pub(super) const NAME: usize = 0;
pub(super) const FOLDER: usize = 1;
pub(super) const DATACENTER: usize = 2;
pub(super) const CLUSTER: usize = 3;
pub(super) const POOL: usize = 4;
pub(super) const OS: usize = 5;
pub(super) const HOST: usize = 6;

pub(super) fn vm() -> Vm {
    let known = |text: &str| Fact::Known(text.to_owned());
    Vm {
        texts: [
            known("web-01"),
            known("/Prod/Web"),
            known("Frankfurt 1"),
            known("Gold"),
            known("Resources"),
            known("Ubuntu Linux (64-bit)"),
            known("web-01.corp.example"),
        ],
        guest: Fact::Known(GuestFamily::Linux),
        power: Fact::Known(PowerState::On),
        template: Fact::Known(false),
        tags: Vec::new(),
        tags_known: true,
        attributes: Vec::new(),
    }
}

impl Vm {
    pub(super) fn tag(mut self, category: &str, name: &str) -> Self {
        self.tags.push((category.to_owned(), name.to_owned()));
        self
    }

    pub(super) fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.push((name.to_owned(), Fact::Known(value.to_owned())));
        self
    }

    pub(super) fn with(mut self, fact: usize, value: Fact<&str>) -> Self {
        self.texts[fact] = match value {
            Fact::Known(text) => Fact::Known(text.to_owned()),
            Fact::Absent => Fact::Absent,
            Fact::Unknown => Fact::Unknown,
        };
        self
    }

    pub(super) fn tags_unknown(mut self) -> Self {
        self.tags_known = false;
        self
    }

    fn text(&self, fact: usize) -> Fact<&str> {
        lent(&self.texts[fact])
    }
}

fn lent(fact: &Fact<String>) -> Fact<&str> {
    match fact {
        Fact::Known(text) => Fact::Known(text),
        Fact::Absent => Fact::Absent,
        Fact::Unknown => Fact::Unknown,
    }
}

impl VmFacts for Vm {
    fn vcenter(&self) -> &'static str {
        "dc1"
    }
    fn name(&self) -> Fact<&str> {
        self.text(NAME)
    }
    fn folder(&self) -> Fact<&str> {
        self.text(FOLDER)
    }
    fn datacenter(&self) -> Fact<&str> {
        self.text(DATACENTER)
    }
    fn cluster(&self) -> Fact<&str> {
        self.text(CLUSTER)
    }
    fn guest_family(&self) -> Fact<GuestFamily> {
        self.guest
    }
    fn power_state(&self) -> Fact<PowerState> {
        self.power
    }
    fn is_template(&self) -> Fact<bool> {
        self.template
    }
    fn visit_tags(&self, visit: &mut dyn FnMut(&str, &str) -> ControlFlow<()>) -> TagsKnown {
        for (category, name) in &self.tags {
            if visit(category, name).is_break() {
                break;
            }
        }
        if self.tags_known { TagsKnown::Yes } else { TagsKnown::No }
    }
    fn custom_attribute(&self, name: &str) -> Fact<&str> {
        match self.attributes.iter().find(|(attribute, _)| same_name(attribute, name)) {
            Some((_, Fact::Known(value))) if value.is_empty() => Fact::Absent,
            Some((_, value)) => lent(value),
            None => Fact::Absent,
        }
    }
}

impl TagFacts for Vm {
    fn resource_pool(&self) -> Fact<&str> {
        self.text(POOL)
    }
    fn guest_os(&self) -> Fact<&str> {
        self.text(OS)
    }
    fn host_name(&self) -> Fact<&str> {
        self.text(HOST)
    }
}

/// Reads rules as they stand in a file.
pub(super) fn specs(text: &str) -> Vec<RuleSpec> {
    let table: toml::Table = text.parse().unwrap();
    let Some(rules) = table.get("rule") else { return Vec::new() };
    rules.as_array().unwrap().iter().map(|rule| spec(rule.as_table().unwrap())).collect()
}

fn spec(table: &toml::Table) -> RuleSpec {
    let mut spec = RuleSpec::default();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let list = |value: &toml::Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
    for (key, value) in table {
        match key.as_str() {
            "name" => spec.name = text(value),
            "category" => spec.category = Some(text(value)),
            "except_category" => spec.except_category = list(value),
            "attribute" => spec.attribute = Some(text(value)),
            "value" => spec.value = Some(text(value)),
            "key" => spec.key = Some(text(value)),
            "kind" => spec.kind = Some(text(value)),
            "several" => spec.several = Some(text(value)),
            "separator" => spec.separator = Some(text(value)),
            "only" => spec.only = list(value),
            "except" => spec.except = list(value),
            "include" => spec.include = list(value),
            "exclude" => spec.exclude = list(value),
            "invalid" => spec.invalid = Some(text(value)),
            "replacement" => spec.replacement = Some(text(value)),
            "long" => spec.long = Some(text(value)),
            "case" => spec.case = Some(text(value)),
            "empty" => spec.empty = Some(text(value)),
            "map" => {
                let pair = |pair: Vec<String>| <[String; 2]>::try_from(pair).unwrap().into();
                spec.map = value.as_array().unwrap().iter().map(|entry| pair(list(entry))).collect();
            }
            other => panic!("no field `{other}`"),
        }
    }
    spec
}

/// Rules that are right, one text of `key = value` lines per rule; rules without a name are called `r1`, `r2`, …
pub(super) fn rules(texts: &[&str]) -> RuleSet {
    RuleSet::new(unchecked(texts)).unwrap_or_else(|errors| panic!("{}", said(&errors)))
}

/// What is wrong with rules.
pub(super) fn mistakes(texts: &[&str]) -> String {
    match RuleSet::new(unchecked(texts)) {
        Ok(_) => panic!("nothing is wrong with {texts:?}"),
        Err(errors) => said(&errors),
    }
}

fn unchecked(texts: &[&str]) -> Vec<RuleSpec> {
    let numbered = texts.iter().enumerate().map(|(index, text)| {
        let mut spec = specs(&format!("[[rule]]\n{text}")).remove(0);
        if spec.name.is_empty() && !text.contains("name =") {
            spec.name = format!("r{}", index + 1);
        }
        spec
    });
    numbered.collect()
}

fn said(errors: &[crate::tags::SpecError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Everything that is desired, one line each.
pub(super) fn lines(desired: &Desired) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    for tag in &desired.tags {
        line(format!("{}={}", tag.key, tag.value));
        if let Some(changed) = &tag.changed {
            line(format!("  [{}] {changed}", changed.as_str()));
        }
    }
    for entry in &desired.undetermined {
        line(format!("? [{}] {entry}", entry.as_str()));
    }
    for entry in &desired.problems {
        line(format!("! [{}] {entry}", entry.as_str()));
    }
    out.truncate(out.trim_end().len());
    out
}
