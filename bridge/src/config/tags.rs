//! `[tags]`: how vSphere tags become tags of managed nodes.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use mappings::tags::{Case, DEFAULTS, Invalid, Kind, Long, RuleSet, RuleSpec, Several};
use toml::de::DeTable;

use super::capability::{MODE, Mode};
use super::environment::Environment;
use super::node::{Origin, Table};
use super::reader::{Context, TableReader};
use super::schema::{Key, Need, Section, Shape};
use super::source::SourceText;
use super::values::{Boolean, Name, OneOf, Scope, Text, Texts};

/// How vSphere tags become tags of managed nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagsSettings {
    /// How far it may go.
    pub mode: Mode,
    /// Whether tags of others that a rule writes are taken over.
    pub adopt: bool,
    /// The rules, those of the program included where they are wanted.
    pub rules: Arc<RuleSet>,
}

static ADOPT: Key<Boolean> = Key {
    name: "adopt",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Whether a tag that a rule writes and that somebody else wrote before is taken over. Otherwise it is reported and left alone.",
    example: "true",
};

static WITH_DEFAULTS: Key<Boolean> = Key {
    name: "defaults",
    kind: Boolean,
    need: Need::Default("true"),
    doc: "Whether the rules that come with vmbridge apply after those that are written here. A rule with the same name or key takes the place of one of them.",
    example: "false",
};

static NAME: Key<Name> = Key {
    name: "name",
    kind: Name,
    need: Need::Required,
    doc: "The rule's name, shown wherever the rule matters.",
    example: "\"cost-center\"",
};

static CATEGORY: Key<Text> = Key {
    name: "category",
    kind: Text,
    need: Need::Optional,
    doc: "A tag category of vSphere whose tags are the values, or a pattern of categories. Each rule has exactly one of `category`, `attribute` and `value`.",
    example: "\"Environment\"",
};

static ATTRIBUTE: Key<Text> = Key {
    name: "attribute",
    kind: Text,
    need: Need::Optional,
    doc: "A custom attribute of vSphere that holds the value.",
    example: "\"Cost center\"",
};

static VALUE: Key<Text> = Key {
    name: "value",
    kind: Text,
    need: Need::Optional,
    doc: "The value itself, in which facts may stand: `{vcenter}`, `{datacenter}`, `{cluster}`, `{folder}`, `{resource-pool}`, `{name}`, `{host-name}`, `{guest-family}`, `{guest-os}`, `{power-state}`. Where the VM has no such fact, there is no tag.",
    example: "\"{datacenter}/{cluster}\"",
};

static KEY: Key<Text> = Key {
    name: "key",
    kind: Text,
    need: Need::Optional,
    doc: "The key of the tag. Left out: the name of the category or attribute. With a pattern of categories `{category}` stands for the name of each.",
    example: "\"vsphere:{category}\"",
};

static KIND: Key<OneOf<Kind>> = Key {
    name: "kind",
    kind: OneOf(Kind::WORDS),
    need: Need::Default("plain"),
    doc: "`patch-group`: the key is `Patch Group` (or `PatchGroup`), there is one value. `maintenance-window`: the key is `Maintenance Window` unless `key` says otherwise, the value is a token by which windows find their targets.",
    example: "\"plain\"",
};

static SEVERAL: Key<OneOf<Several>> = Key {
    name: "several",
    kind: OneOf(Several::WORDS),
    need: Need::Default("error"),
    doc: "What to do when a VM has several tags of the category: report it and leave the node's tag as it is, take the `first` in the alphabet, or `join` all of them.",
    example: "\"join\"",
};

static SEPARATOR: Key<Text> = Key {
    name: "separator",
    kind: Text,
    need: Need::Optional,
    doc: "What stands between joined values; `/` if left out.",
    example: "\"+\"",
};

static ONLY: Key<Texts> = Key {
    name: "only",
    kind: Texts,
    need: Need::Default(""),
    doc: "Patterns of values: others are ignored.",
    example: "[\"prod-*\"]",
};

static EXCEPT: Key<Texts> = Key {
    name: "except",
    kind: Texts,
    need: Need::Default(""),
    doc: "Patterns of values that are ignored.",
    example: "[\"none\"]",
};

static VMS: Key<Scope> = Key {
    name: "vms",
    kind: Scope,
    need: Need::Default("all"),
    doc: "The VMs that the rule applies to.",
    example: "\"guest=windows\"",
};

static INVALID: Key<OneOf<Invalid>> = Key {
    name: "invalid",
    kind: OneOf(Invalid::WORDS),
    need: Need::Default("replace"),
    doc: "What to do with characters that AWS does not accept (all but letters, digits, spaces and `_.:/=+-@`): `replace` each, `encode` each as `=` and hexadecimal digits, which can be undone, or report an `error` and leave the node's tag as it is.",
    example: "\"encode\"",
};

static REPLACEMENT: Key<Text> = Key {
    name: "replacement",
    kind: Text,
    need: Need::Optional,
    doc: "What such characters are replaced by; `_` if left out.",
    example: "\"-\"",
};

static LONG: Key<OneOf<Long>> = Key {
    name: "long",
    kind: OneOf(Long::WORDS),
    need: Need::Default("hash-suffix"),
    doc: "What to do with values of more than 256 characters: cut them and put a hash of the whole at the end, or report an `error` and leave the node's tag as it is.",
    example: "\"error\"",
};

static CASE: Key<OneOf<Case>> = Key {
    name: "case",
    kind: OneOf(Case::WORDS),
    need: Need::Default("keep"),
    doc: "Whether the value is changed to `lower` or `upper` case.",
    example: "\"lower\"",
};

static RULE: Section = Section {
    name: "rule",
    shape: Shape::Many,
    doc: "A rule: where a value comes from, and which tag it becomes. Where a node has no room for all tags (50), rules that come first win. See docs/tags.md.",
    keys: &[
        &NAME,
        &CATEGORY,
        &ATTRIBUTE,
        &VALUE,
        &KEY,
        &KIND,
        &SEVERAL,
        &SEPARATOR,
        &ONLY,
        &EXCEPT,
        &VMS,
        &INVALID,
        &REPLACEMENT,
        &LONG,
        &CASE,
    ],
    sections: &[],
};

pub(super) static SECTION: Section = Section {
    name: "tags",
    shape: Shape::One,
    doc: "How vSphere tags, custom attributes and facts become tags of managed nodes in Systems Manager.",
    keys: &[&MODE, &ADOPT, &WITH_DEFAULTS],
    sections: &[&RULE],
};

/// The form of the rules that come with the program.
static OWN: Section = Section { name: "", shape: Shape::One, doc: "", keys: &[], sections: &[&RULE] };

pub(super) fn read(table: &TableReader<'_>) -> Option<TagsSettings> {
    let mode = table.get(&MODE);
    let adopt = table.get(&ADOPT);
    let with_defaults = table.get(&WITH_DEFAULTS);
    let tables = table.sections(&RULE);
    let specs: Vec<Option<RuleSpec>> = tables.iter().map(rule).collect();
    let mut specs: Vec<RuleSpec> = specs.into_iter().collect::<Option<_>>()?;
    let written = RuleSet::new(specs.clone());
    if let Err(errors) = &written {
        for error in errors {
            if let Some(table) = tables.get(error.rule) {
                table.wrong(error.field, error.message.clone(), error.help.clone());
            }
        }
    }
    let mut rules = written.ok()?;
    if with_defaults? {
        for spec in defaults()? {
            let own = RuleSet::new(vec![spec.clone()]).ok()?;
            if !specs.iter().any(|known| known.name == spec.name) && !rules.shares_key(&own) {
                specs.push(spec);
                rules = RuleSet::new(specs.clone()).ok()?;
            }
        }
    }
    Some(TagsSettings { mode: mode?, adopt: adopt?, rules: Arc::new(rules) })
}

/// The rules that come with the program.
fn defaults() -> Option<Vec<RuleSpec>> {
    let document = DeTable::parse(DEFAULTS).ok()?;
    let table = Table::from_toml(document.get_ref());
    let environment: Environment = [("", ""); 0].into_iter().collect();
    let context = Context {
        environment: &environment,
        base: Path::new("/"),
        source: RefCell::new(SourceText::new(DEFAULTS.to_owned())),
        problems: RefCell::default(),
        secret_variables: RefCell::default(),
        misread: false,
    };
    let reader = TableReader::new(&context, &OWN, &table, Origin::File(0..0), String::new());
    let specs: Option<Vec<RuleSpec>> = reader.sections(&RULE).iter().map(rule).collect();
    specs.filter(|_| context.problems.borrow().is_empty())
}

fn rule(table: &TableReader<'_>) -> Option<RuleSpec> {
    let name = table.get(&NAME);
    let category = table.get_optional(&CATEGORY);
    let attribute = table.get_optional(&ATTRIBUTE);
    let value = table.get_optional(&VALUE);
    let key = table.get_optional(&KEY);
    let kind = table.get(&KIND);
    let several = table.get(&SEVERAL);
    let separator = table.get_optional(&SEPARATOR);
    let only = table.get(&ONLY);
    let except = table.get(&EXCEPT);
    let vms = table.get(&VMS);
    let invalid = table.get(&INVALID);
    let replacement = table.get_optional(&REPLACEMENT);
    let long = table.get(&LONG);
    let case = table.get(&CASE);
    Some(RuleSpec {
        name: name?,
        category,
        attribute,
        value,
        key,
        kind: kind?,
        several: several?,
        separator,
        only: only?,
        except: except?,
        vms: vms?,
        invalid: invalid?,
        replacement,
        long: long?,
        case: case?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_come_with_the_program_can_be_used() {
        let specs = defaults().unwrap();
        assert!(specs.len() >= 5);
        assert!(RuleSet::new(specs).is_ok());
    }
}
