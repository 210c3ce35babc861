//! `[checks]`: which rules VMs, hosts, clusters and port groups are held against.
//!
//! The files of rules are read with the configuration and are as much a part of it: a mistake in one is a mistake of the
//! configuration, told with its file and line beside all others, and a service that reads its configuration again takes new
//! rules or none.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::Date;
use mappings::checks::{Mistake, RuleSet, Sources, end_of_day};
use mappings::glob::NamePattern;
use mappings::selector::Selector;

use super::reader::TableReader;
use super::rule_file;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Boolean, Day, FilePaths, Name, NamePatterns, Scope, Text};

/// Which rules VMs, hosts, clusters and port groups are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSettings {
    /// Whether the rules apply that come with the program.
    pub defaults: bool,
    /// Files with rules of the operator. Absolute.
    pub files: Vec<PathBuf>,
    /// The families whose rules apply. Empty: all.
    pub families: Vec<NamePattern>,
    /// Rules that do not apply, by their ids.
    pub disable: Vec<NamePattern>,
    /// What is accepted for some VMs for some time.
    pub suppressions: Vec<Suppression>,
}

/// A failure that is accepted: who is in charge of it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The rules, by their ids.
    pub rules: Vec<NamePattern>,
    /// The VMs that it is for.
    pub vms: Selector,
    /// Why it is accepted.
    pub reason: String,
    /// The last day on which it is, in UTC.
    pub until: Date,
}

static WITH_DEFAULTS: Key<Boolean> = Key {
    name: "defaults",
    kind: Boolean,
    need: Need::Default("true"),
    doc: "Whether the rules that come with vmbridge apply besides those of `files`. They are listed in [checks.md](checks.md).",
    example: "false",
};

static FILES: Key<FilePaths> = Key {
    name: "files",
    kind: FilePaths,
    need: Need::Default(""),
    doc: "Files with rules of your own. See [custom-rules.md](custom-rules.md).",
    example: "[\"/etc/vmbridge/rules.toml\"]",
};

static FAMILIES: Key<NamePatterns> = Key {
    name: "families",
    kind: NamePatterns,
    need: Need::Default(""),
    doc: "The families whose rules apply, or patterns of them. Left out: all.",
    example: "[\"isolation\", \"boot\"]",
};

static DISABLE: Key<NamePatterns> = Key {
    name: "disable",
    kind: NamePatterns,
    need: Need::Default(""),
    doc: "Ids of rules that do not apply anywhere, or patterns of them. What a rule reads is then not read either. To accept a failure on some VMs only, write a `[[checks.suppress]]`.",
    example: "[\"vm-video-card-3d-disabled\"]",
};

static NAME: Key<Name> = Key {
    name: "name",
    kind: Name,
    need: Need::Optional,
    doc: "A name, which reports show, and by which environment variables find it.",
    example: "\"legacy-erp\"",
};

static RULES: Key<NamePatterns> = Key {
    name: "rules",
    kind: NamePatterns,
    need: Need::Required,
    doc: "Ids of the rules, or patterns of them.",
    example: "[\"vm-secure-boot\", \"vm-no-*\"]",
};

static VMS: Key<Scope> = Key {
    name: "vms",
    kind: Scope,
    need: Need::Default("all"),
    doc: "The VMs on which their failures are accepted.",
    example: "\"tag=Application:erp\"",
};

static REASON: Key<Text> = Key {
    name: "reason",
    kind: Text,
    need: Need::Required,
    doc: "Why. It stands in every report next to what is accepted.",
    example: "\"the appliance boots with BIOS only; replaced in March, CHG-4711\"",
};

static UNTIL: Key<Day> = Key {
    name: "until",
    kind: Day,
    need: Need::Required,
    doc: "The last day on which it is accepted, in UTC. After it the failure is back.",
    example: "\"2027-03-31\"",
};

static SUPPRESS: Section = Section {
    name: "suppress",
    shape: Shape::Many,
    doc: "A failure that is accepted on some VMs for some time. Reports show it as an exception with its reason; there is no finding.",
    keys: &[&NAME, &RULES, &VMS, &REASON, &UNTIL],
    sections: &[],
};

pub(super) static SECTION: Section = Section {
    name: "checks",
    shape: Shape::One,
    doc: "The rules that VMs, hosts, clusters and port groups are held against. What they read comes with the observation of vCenter and costs no call of its own.",
    keys: &[&WITH_DEFAULTS, &FILES, &FAMILIES, &DISABLE],
    sections: &[&SUPPRESS],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<(CheckSettings, Arc<RuleSet>)> {
    let defaults = table.get(&WITH_DEFAULTS);
    let files = table.get(&FILES);
    let families = table.get(&FAMILIES);
    let disable = table.get(&DISABLE);
    let tables = table.sections(&SUPPRESS);
    super::refuse_same_names(tables.iter(), "a [[checks.suppress]] has a name of its own, or none");
    let suppressions: Vec<Option<Suppression>> = tables.iter().map(suppression).collect();
    let settings = CheckSettings {
        defaults: defaults?,
        files: files?,
        families: families?,
        disable: disable?,
        suppressions: suppressions.into_iter().collect::<Option<_>>()?,
    };
    let rules = settings.rules().map_err(|mistakes| {
        for mistake in mistakes {
            tell(table, &tables, &mistake);
        }
    });
    Some((settings, Arc::new(rules.ok()?)))
}

impl CheckSettings {
    /// Reads the files and puts the rules together.
    fn rules(&self) -> Result<RuleSet, Vec<Mistake>> {
        let mut files = Vec::new();
        let mut mistakes = Vec::new();
        for path in &self.files {
            match rule_file::read(path) {
                Ok(file) => files.push(file),
                Err(found) => mistakes.extend(found),
            }
        }
        // Names that seem to be unknown may stand in the file that could not be read.
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        RuleSet::new(Sources {
            without_defaults: !self.defaults,
            files,
            suppressions: self.suppressions.iter().map(Suppression::of_rules).collect(),
            families: self.families.clone(),
            disable: self.disable.clone(),
        })
    }
}

impl Suppression {
    /// The same as rules have it.
    fn of_rules(&self) -> mappings::checks::Suppression {
        mappings::checks::Suppression {
            name: self.name.as_deref().map(Into::into),
            scope: mappings::checks::Scope::Rules(self.rules.clone()),
            objects: self.vms.clone(),
            reason: self.reason.as_str().into(),
            // A day at the end of time has no end that could be written down.
            until: end_of_day(self.until).unwrap_or(jiff::Timestamp::MAX),
        }
    }
}

/// Reports a mistake of rules where it was written: in a file of rules, or in this section.
fn tell(table: &TableReader<'_>, suppressions: &[TableReader<'_>], mistake: &Mistake) {
    let Mistake { file, key, message, help, .. } = mistake;
    if !file.is_empty() {
        let whole = Mistake { help: String::new(), ..mistake.clone() }.to_string();
        table.wrong(FILES.name, whole.trim_end_matches("; "), help);
        return;
    }
    let key = key.as_deref().unwrap_or_default();
    let number = key.strip_prefix("suppress[").and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok());
    match number.and_then(|number| suppressions.get(number.checked_sub(1)?)) {
        Some(suppression) => suppression.wrong(RULES.name, message, help),
        None if key == DISABLE.name => table.wrong(DISABLE.name, message, help),
        None if key == FAMILIES.name => table.wrong(FAMILIES.name, message, help),
        None => table.wrong(FILES.name, message, help),
    }
}

fn suppression(table: &TableReader<'_>) -> Option<Suppression> {
    let name = table.get_optional(&NAME);
    let rules = table.get(&RULES);
    let vms = table.get(&VMS);
    let reason = table.get(&REASON);
    let until = table.get(&UNTIL);
    if rules.as_ref().is_some_and(Vec::is_empty) {
        table.wrong(RULES.name, "an empty list suppresses nothing", "name at least one rule");
        return None;
    }
    Some(Suppression { name, rules: rules?, vms: vms?, reason: reason?, until: until? })
}
