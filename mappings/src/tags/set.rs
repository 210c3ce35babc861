//! All rules, and what holds between them.

use std::collections::HashMap;
use std::sync::Arc;

use super::compile::compile;
use super::key::KeyMaker;
use super::mistake::SpecError;
use super::name::TagKey;
use super::rule::{CategoryPattern, Rule, RuleId};
use super::spec::{Kind, RuleSpec};

/// The most rules in a set. A resource has 50 tags at most.
pub const MAX_RULES: usize = 500;

/// Rules that were checked, compiled, and can be applied to VMs. The default has no rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Positions of those that read categories.
    by_category: Vec<RuleId>,
    /// Whether two rules may write the same key: only one whose key depends on the category can meet another.
    can_conflict: bool,
}

impl RuleSet {
    /// Checks and compiles rules. Their order matters: earlier ones win when there is no room for all tags, and when two
    /// turn out to write the same key.
    ///
    /// # Errors
    /// All mistakes in all rules, in the order of the rules.
    #[expect(clippy::needless_pass_by_value, reason = "a set replaces its specs; taking them says so")]
    pub fn new(specs: Vec<RuleSpec>) -> Result<Self, Vec<SpecError>> {
        let mut errors = Vec::new();
        if specs.len() > MAX_RULES {
            errors.push(error(
                MAX_RULES,
                &specs[MAX_RULES],
                "name",
                format!("more than {MAX_RULES} rules"),
                None,
            ));
            return Err(errors);
        }
        let compiled: Vec<Option<Rule>> =
            specs.iter().enumerate().map(|(index, spec)| compile(index, spec, &mut errors)).collect();
        names(&specs, &mut errors);
        keys(&specs, &compiled, &mut errors);
        if !errors.is_empty() {
            errors.sort_by_key(|error| error.index);
            return Err(errors);
        }
        let rules: Vec<Rule> = compiled.into_iter().flatten().collect();
        let by_category =
            ids(&rules).filter(|(_, rule)| rule.categories().is_some()).map(|(id, _)| id).collect();
        let can_conflict = rules.iter().any(|rule| rule.key.fixed().is_none());
        Ok(Self { rules, by_category, can_conflict })
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

    /// Every rule's id, in order.
    pub fn ids(&self) -> impl Iterator<Item = RuleId> {
        ids(&self.rules).map(|(id, _)| id)
    }

    /// The name of a rule; nothing for the id of another set that this one does not have.
    #[must_use]
    pub fn name(&self, rule: RuleId) -> &str {
        self.rules.get(rule.index()).map_or("", |rule| &rule.name)
    }

    /// What a rule is for.
    #[must_use]
    pub fn kind(&self, rule: RuleId) -> Kind {
        self.rules.get(rule.index()).map_or_else(Kind::default, |rule| rule.kind)
    }

    /// The key of a rule, unless it depends on the category.
    #[must_use]
    pub fn key(&self, rule: RuleId) -> Option<&TagKey> {
        self.rules.get(rule.index())?.key.fixed()
    }

    /// Whether the rule may write this key for some VM. Where that cannot be told, it may.
    #[must_use]
    pub fn could_write(&self, rule: RuleId, key: &TagKey) -> bool {
        self.rules.get(rule.index()).is_some_and(|rule| rule.could_write(key))
    }

    pub(super) fn shared_name(&self, rule: RuleId) -> Arc<str> {
        self.rules.get(rule.index()).map_or_else(|| "".into(), |rule| rule.name.clone())
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        ids(&self.rules)
    }

    pub(super) fn reads_tags(&self) -> bool {
        !self.by_category.is_empty()
    }

    pub(super) fn can_conflict(&self) -> bool {
        self.can_conflict
    }

    pub(super) fn categories(&self) -> impl Iterator<Item = (RuleId, &CategoryPattern)> {
        self.by_category.iter().filter_map(|id| Some((*id, self.rules.get(id.index())?.categories()?)))
    }
}

fn ids(rules: &[Rule]) -> impl Iterator<Item = (RuleId, &Rule)> {
    (0..).map(RuleId).zip(rules)
}

fn error(
    index: usize,
    spec: &RuleSpec,
    field: &'static str,
    message: String,
    help: impl Into<Option<&'static str>>,
) -> SpecError {
    let help = help.into().map(str::to_owned);
    SpecError { index, rule: spec.name.clone(), field, item: None, message, help }
}

fn names(specs: &[RuleSpec], errors: &mut Vec<SpecError>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, spec) in specs.iter().enumerate().filter(|(_, spec)| !spec.name.is_empty()) {
        if let Some(first) = seen.get(&*spec.name) {
            let message = format!("rule {} has this name too", first + 1);
            errors.push(error(index, spec, "name", message, "every rule needs its own"));
        } else {
            seen.insert(&spec.name, index);
        }
    }
}

/// No two rules may be known to write the same key.
fn keys(specs: &[RuleSpec], compiled: &[Option<Rule>], errors: &mut Vec<SpecError>) {
    let rules: Vec<(usize, &Rule)> =
        compiled.iter().enumerate().filter_map(|(index, rule)| Some((index, rule.as_ref()?))).collect();
    for (at, (index, rule)) in rules.iter().enumerate() {
        // One mistake per rule is enough here: the others have the same remedy.
        let clash = rules[..at].iter().find_map(|(_, earlier)| clash(earlier, rule));
        if let Some((message, help)) = clash {
            errors.push(error(*index, &specs[*index], "key", message, help));
        }
    }
}

fn clash(earlier: &Rule, later: &Rule) -> Option<(String, &'static str)> {
    let name = &earlier.name;
    match (&earlier.key, &later.key) {
        (KeyMaker::Fixed(a), KeyMaker::Fixed(b)) if a == b => {
            let message = format!("the rule `{name}` writes the key `{a}` too");
            Some((message, "make one rule of them, or give them different keys"))
        }
        (KeyMaker::Fixed(a), KeyMaker::Fixed(_))
            if earlier.kind == Kind::PatchGroup && later.kind == Kind::PatchGroup =>
        {
            let message = format!("the rule `{name}` writes a patch group too, with the key `{a}`");
            Some((message, "a node has one patch group: keep one of the rules"))
        }
        (KeyMaker::Fixed(key), KeyMaker::Dynamic { .. }) => same_category(later, earlier, key),
        (KeyMaker::Dynamic { .. }, KeyMaker::Fixed(key)) => same_category(earlier, later, key),
        (KeyMaker::Dynamic { .. }, KeyMaker::Dynamic { .. }) if earlier.key == later.key => {
            let (Some(a), Some(b)) = (earlier.categories(), later.categories()) else { return None };
            (is_everything(a) || is_everything(b) || a == b).then(|| {
                let message = format!("the rule `{name}` writes the same keys for the same categories");
                (
                    message,
                    "add a prefix to the key of one, such as `vsphere:{category}`, or use `except_category`",
                )
            })
        }
        _ => None,
    }
}

/// Whether a rule with a pattern makes the key of another rule out of the very category that the other one reads.
fn same_category(pattern: &Rule, other: &Rule, key: &TagKey) -> Option<(String, &'static str)> {
    let CategoryPattern::Exact(category) = other.categories()? else { return None };
    let (made, _) =
        pattern.categories()?.takes(category).then(|| pattern.key.make(&pattern.policy, category).ok())??;
    (made == *key).then(|| {
        let message = format!(
            "`{}` and `{}` both write the key `{key}` for tags of the category `{category}`",
            pattern.name, other.name
        );
        (
            message,
            "add the category to `except_category` of the rule with the pattern, or add a prefix to its key",
        )
    })
}

fn is_everything(pattern: &CategoryPattern) -> bool {
    matches!(pattern, CategoryPattern::Glob { pattern, except } if pattern.as_str() == "*" && except.is_empty())
}
