//! Rules that fit together, made ready: which properties they need, and what they say of an object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::Timestamp;

use super::expect::Judgement;
use super::file::{RuleFile, parse};
use super::kind::Kind;
use super::mistake::Mistake;
use super::outcome::{Inapplicable, Outcome, Status, Unread};
use super::read::{Pick, Read};
use super::reading::Reading;
use super::rule::{Rule, RuleId};
use super::suppress::{Scope, Suppression};
use super::version::ApiVersion;
use crate::glob::NamePattern;
use crate::selector::{Verdict, VmFacts};

/// The most rules of all sources together.
const MOST_RULES: usize = 2000;
/// Half sentences for what nothing has.
const OF_FAMILY: &str = "of the family";
const CALLED: &str = "called";

/// Where rules come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// Leave out the rules that come with the program. Their names stay taken.
    pub without_defaults: bool,
    /// Files of the operator, read with [`parse`].
    pub files: Vec<RuleFile>,
    /// Suppressions beside those in the files.
    pub suppressions: Vec<Suppression>,
    /// Only families that match any of these; nothing: all of them.
    pub families: Vec<NamePattern>,
    /// Without the rules whose names match any of these. What they alone read is not read.
    pub disable: Vec<NamePattern>,
}

/// Which elements of a property are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep<'a> {
    /// All of it.
    Everything,
    /// It is a list, and only the elements whose `key` is one of these are wanted. Ask [`Keep::wants`].
    Keys(&'a [Box<str>]),
}

impl Keep<'_> {
    /// Whether an element of a list with this key is wanted. Keys are compared without regard to case.
    #[must_use]
    pub fn wants(self, key: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Keys(keys) => keys.iter().any(|wanted| wanted.eq_ignore_ascii_case(key)),
        }
    }
}

/// What is known of an object beside its readings.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// What it is.
    pub kind: Kind,
    /// For a host its own version (`config.product.version`), for a VM that of its host, since what an unset value means is
    /// decided there; where that is not known, and for all others, that of vCenter.
    pub version: Option<ApiVersion>,
    /// Whether the provider runs the hosts (VMware Cloud on AWS).
    pub is_provider_managed: bool,
    /// What suppressions may ask. Of an object that is no VM: its name and place, and nothing that only VMs have.
    pub facts: &'a dyn VmFacts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Ready {
    rule: Rule,
    slot: usize,
    /// The slots of the conditions.
    when: Vec<usize>,
    /// Whether it says something of what the anchor is part of.
    is_anchored: bool,
    /// The suppressions that may be about it.
    suppressions: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Property {
    path: Box<str>,
    /// Sorted, in lower case.
    keys: Option<Box<[Box<str>]>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct OfKind {
    rules: Vec<Ready>,
    reads: Vec<Read>,
    /// The slot of the anchor.
    anchor: usize,
    properties: Vec<Property>,
}

/// Rules that fit together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleSet {
    kinds: [OfKind; Kind::ALL.len()],
    suppressions: Vec<Suppression>,
}

/// The rules that come with the program.
///
/// # Errors
/// Never in a program that passed its tests.
pub fn defaults() -> Result<Vec<Rule>, Vec<Mistake>> {
    // Their text never changes, and reading it takes longer than all the rest of a configuration.
    static READ: LazyLock<Result<Vec<Rule>, Vec<Mistake>>> = LazyLock::new(|| {
        let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
        for (name, text) in super::DEFAULTS {
            match parse(name, text) {
                Ok(file) => rules.extend(file.rules.into_iter().map(|(rule, _)| rule)),
                Err(found) => mistakes.extend(found),
            }
        }
        mistakes.extend(super::build::table().err().cloned());
        if mistakes.is_empty() { Ok(rules) } else { Err(mistakes) }
    });
    READ.clone()
}

impl RuleSet {
    /// Puts rules together.
    ///
    /// # Errors
    /// With every mistake: names that are taken, families and rules that nothing has. The key of one that is in no file says
    /// which of the [`Sources`] it is in: `families`, `disable`, or, counted from 1, `suppress[1]`.
    pub fn new(sources: Sources) -> Result<Self, Vec<Mistake>> {
        let ours = defaults()?;
        let mut mistakes = Vec::new();
        let mut taken: BTreeMap<RuleId, String> =
            ours.iter().map(|rule| (rule.id.clone(), "the rules of vmbridge".to_owned())).collect();
        let mut rules = ours;
        let known_families: BTreeSet<String> = rules
            .iter()
            .chain(sources.files.iter().flat_map(|file| file.rules.iter().map(|(rule, _)| rule)))
            .map(|rule| rule.family.as_str().to_owned())
            .collect();
        if sources.without_defaults {
            rules.clear();
        }
        let in_no_file = |at: usize| (String::new(), format!("suppress[{}]", at + 1));
        let mut suppressions: Vec<((String, String), Suppression)> = sources
            .suppressions
            .into_iter()
            .enumerate()
            .map(|(at, suppression)| (in_no_file(at), suppression))
            .collect();
        for file in sources.files {
            for (rule, line) in file.rules {
                if let Some(first) = taken.get(&rule.id) {
                    mistakes.push(Mistake {
                        file: file.name.clone(),
                        line: Some(line),
                        rule: Some(rule.id.to_string()),
                        key: Some("id".into()),
                        message: format!("the name is taken by {first}"),
                        help: "give it another; one that begins with your organisation's name stays free"
                            .into(),
                    });
                    continue;
                }
                taken.insert(rule.id.clone(), format!("{}:{line}", file.name));
                rules.push(rule);
            }
            let place = (file.name, "suppress".to_owned());
            suppressions.extend(file.suppressions.into_iter().map(|one| (place.clone(), one)));
        }
        let families: Vec<&str> = known_families.iter().map(String::as_str).collect();
        let ids: Vec<&str> = taken.keys().map(RuleId::as_str).collect();
        let mut unknown = |word: &str, names: &[&str], (file, key): (&str, &str), what: &str| {
            let mistake = alone(key, format!("no rule is {what} `{word}`"), word, names);
            mistakes.push(Mistake { file: file.to_owned(), ..mistake });
        };
        let mut known = |pattern: &NamePattern, names: &[&str], place: (&str, &str), what: &str| {
            if !names.iter().any(|name| pattern.matches(name)) {
                unknown(pattern.as_str(), names, place, what);
            }
        };
        for pattern in &sources.families {
            known(pattern, &families, ("", "families"), OF_FAMILY);
        }
        for pattern in &sources.disable {
            known(pattern, &ids, ("", "disable"), CALLED);
        }
        for ((file, key), suppression) in &suppressions {
            match &suppression.scope {
                Scope::Family(name) => {
                    // A name of a family holds no character that means anything in a pattern.
                    if let Ok(pattern) = NamePattern::new(name.as_str()) {
                        known(&pattern, &families, (file, key), OF_FAMILY);
                    }
                }
                Scope::Rules(patterns) => {
                    for pattern in patterns {
                        known(pattern, &ids, (file, key), CALLED);
                    }
                }
            }
        }
        if rules.len() > MOST_RULES {
            mistakes.push(alone("rules", format!("more than {MOST_RULES} rules"), "", &[]));
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let any = |patterns: &[NamePattern], name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        rules.retain(|rule| {
            (sources.families.is_empty() || any(&sources.families, rule.family.as_str()))
                && !any(&sources.disable, rule.id.as_str())
        });
        let suppressions = suppressions.into_iter().map(|(_, suppression)| suppression).collect();
        Ok(Self::made(&rules, suppressions))
    }

    fn made(rules: &[Rule], suppressions: Vec<Suppression>) -> Self {
        let mut kinds: [OfKind; Kind::ALL.len()] = Default::default();
        for kind in Kind::ALL {
            let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.kind == *kind).collect();
            if rules.is_empty() {
                continue;
            }
            let anchor = anchor(*kind);
            let reads: BTreeSet<&Read> =
                rules.iter().flat_map(|rule| rule.reads()).chain(std::iter::once(&anchor)).collect();
            let reads: Vec<Read> = reads.into_iter().cloned().collect();
            let properties = properties(&reads);
            let slot = |read: &Read| reads.binary_search(read).unwrap_or(usize::MAX);
            let ready = |rule: &&Rule| Ready {
                slot: slot(&rule.read),
                when: rule.when.iter().map(|condition| slot(&condition.read)).collect(),
                is_anchored: rule.reads().any(|read| root(read) == root(&anchor)),
                suppressions: (0..suppressions.len())
                    .filter(|at| suppressions[*at].scope.covers(rule))
                    .collect(),
                rule: (*rule).clone(),
            };
            let rules = rules.iter().map(ready).collect();
            let anchor = slot(&anchor);
            kinds[*kind as usize] = OfKind { rules, anchor, reads, properties };
        }
        Self { kinds, suppressions }
    }

    /// What the rules read of objects of a kind, sorted. The places in this list are the slots of an object's readings.
    #[must_use]
    pub fn reads(&self, kind: Kind) -> &[Read] {
        &self.kinds[kind as usize].reads
    }

    /// The properties that have to be read of objects of a kind, sorted, and what is wanted of each.
    pub fn properties(&self, kind: Kind) -> impl Iterator<Item = (&str, Keep<'_>)> {
        self.kinds[kind as usize].properties.iter().map(|property| {
            let keep = property.keys.as_ref().map_or(Keep::Everything, |keys| Keep::Keys(keys));
            (&*property.path, keep)
        })
    }

    /// The rules about objects of a kind.
    pub fn rules(&self, kind: Kind) -> impl Iterator<Item = &Rule> {
        self.kinds[kind as usize].rules.iter().map(|ready| &ready.rule)
    }

    /// All rules.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        Kind::ALL.iter().flat_map(|kind| self.rules(*kind))
    }

    /// The suppressions.
    #[must_use]
    pub fn suppressions(&self) -> &[Suppression] {
        &self.suppressions
    }

    /// What each rule says of an object. `readings` are by slot ([`RuleSet::reads`]); what is not there counts as
    /// unreadable.
    pub fn evaluate<'a>(
        &'a self,
        subject: &'a Subject<'a>,
        readings: &'a [Reading],
        now: Timestamp,
    ) -> impl Iterator<Item = Outcome<'a>> {
        self.kinds[subject.kind as usize].rules.iter().map(move |ready| {
            let reading = readings.get(ready.slot).unwrap_or(&Reading::Unreadable);
            let (status, case) = self.status(ready, subject, readings, now);
            Outcome { rule: &ready.rule, status, case, reading, now }
        })
    }

    fn status<'a>(
        &'a self,
        ready: &'a Ready,
        subject: &Subject<'_>,
        readings: &[Reading],
        now: Timestamp,
    ) -> (Status<'a>, Option<&'a super::rule::Case>) {
        let rule = &ready.rule;
        let reading = |slot: usize| readings.get(slot).unwrap_or(&Reading::Unreadable);
        if subject.is_provider_managed && subject.kind.is_the_providers() {
            return (Status::ProviderManaged, None);
        }
        match subject.version {
            Some(version) if !rule.applies.contains(version) => {
                return (Status::NotApplicable(Inapplicable::Version(version)), None);
            }
            None if !rule.applies.is_everything() => return (Status::NotReadable(Unread::Version), None),
            _ => {}
        }
        let of_kind = &self.kinds[subject.kind as usize];
        if ready.is_anchored && reading(of_kind.anchor).values().is_empty() {
            return (
                of_kind
                    .reads
                    .get(of_kind.anchor)
                    .map_or(Status::NotReadable(Unread::Value(&rule.read)), |anchor| {
                        Status::NotReadable(Unread::Value(anchor))
                    }),
                None,
            );
        }
        let mut unknown = None;
        for (condition, slot) in rule.when.iter().zip(&ready.when) {
            match condition.expect.judge(reading(*slot), now) {
                Judgement::Met => {}
                Judgement::NotMet | Judgement::Nothing => {
                    return (Status::NotApplicable(Inapplicable::Condition(&condition.otherwise)), None);
                }
                Judgement::Unknown => unknown = unknown.or(Some(&condition.read)),
            }
        }
        if let Some(read) = unknown {
            return (Status::NotReadable(Unread::Value(read)), None);
        }
        let Some(case) = rule.case(subject.version) else {
            let status = subject.version.map_or(Status::NotReadable(Unread::Version), |version| {
                Status::NotApplicable(Inapplicable::Version(version))
            });
            return (status, None);
        };
        let status = match case.expect.judge(reading(ready.slot), now) {
            Judgement::Met => Status::Passed,
            Judgement::Nothing => Status::NotApplicable(Inapplicable::NotSet),
            Judgement::Unknown => Status::NotReadable(Unread::Value(&rule.read)),
            Judgement::NotMet => self.failed(ready, subject, now),
        };
        (status, Some(case))
    }

    /// What a finding is where suppressions may be about it.
    fn failed(&self, ready: &Ready, subject: &Subject<'_>, now: Timestamp) -> Status<'_> {
        let mut unknown = None;
        for by in ready.suppressions.iter().map(|at| &self.suppressions[*at]) {
            if !by.holds(now) {
                continue;
            }
            match by.objects.verdict(subject.facts) {
                Verdict::Selected => return Status::Suppressed { reason: &by.reason, until: by.until, by },
                Verdict::Unknown(key) => unknown = unknown.or(Some(key)),
                Verdict::NotIncluded | Verdict::Excluded(_) => {}
            }
        }
        unknown.map_or(Status::Failed, |key| Status::NotReadable(Unread::Suppression(key)))
    }
}

/// What every object of a kind has that is there at all. A VM whose files cannot be reached has no `config`, and a value in it
/// that is not set then means nothing; without this, half of the rules would find fault with it.
fn anchor(kind: Kind) -> Read {
    let path = match kind {
        Kind::Vm => "config.instanceUuid",
        Kind::Host => "config.product",
        Kind::Cluster => "configurationEx",
        Kind::Portgroup => "config.key",
    };
    Read { path: path.into(), pick: Pick::Whole }
}

/// The first name of a path.
fn root(read: &Read) -> &str {
    read.path.split('.').next().unwrap_or_default()
}

/// The properties behind reads, which are sorted by their paths.
fn properties(reads: &[Read]) -> Vec<Property> {
    let mut properties: Vec<Property> = Vec::new();
    for of_path in reads.chunk_by(|one, two| one.path == two.path) {
        let mut keys = Some(BTreeSet::new());
        for read in of_path {
            match (&read.pick, &mut keys) {
                (Pick::Keyed { keys, .. }, Some(all)) => {
                    all.extend(keys.iter().map(|key| key.to_lowercase().into_boxed_str()));
                }
                (Pick::Keyed { .. }, None) => {}
                (
                    Pick::Whole
                    | Pick::Field(_)
                    | Pick::Elements { .. }
                    | Pick::CertificateEnd
                    | Pick::BuildReleased,
                    _,
                ) => keys = None,
            }
        }
        let keys = keys.map(|keys| keys.into_iter().collect());
        if let Some(first) = of_path.first() {
            properties.push(Property { path: first.path.clone(), keys });
        }
    }
    properties
}

/// A mistake that is in no file.
fn alone(key: &str, message: String, word: &str, words: &[&str]) -> Mistake {
    let help = match super::file::closest(word, words) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "docs/checks.md lists the rules and their families".to_owned(),
    };
    Mistake { file: String::new(), line: None, rule: None, key: Some(key.to_owned()), message, help }
}
