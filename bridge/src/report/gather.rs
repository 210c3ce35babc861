//! Puts together what is known: pure, so that the same input gives the same answer.

mod checks;
mod node;
mod say;
mod window;

use std::collections::{BTreeMap, HashMap, HashSet};

use mappings::checks::{RuleSet, Scope};
use mappings::compliance::table::{Checks, Facts, Filter as Wanted, NodeId, Reason, Rules, Table, Window};
use mappings::selector::{Fact, PowerState, Selector, VmFacts as _};
use mappings::tags::TagFacts as _;

use self::node::{At, Membership, online};
use self::say::{count, machine, seconds, some, sources};
use super::document::{
    AUDIT_SCHEMA, AuditDocument, AuditQuery, COMPLIANCE_SCHEMA, ComplianceDocument, ComplianceQuery,
    ExceptionDocument, ResultDocument, RuleDocument, ScopeDocument, rule_document,
};
use super::protection;
use super::readback::ReadBack;
use crate::aws::TargetName;
use crate::control::Refusal;
use crate::fleet::{State, VmView};
use crate::inventory::{Asked, Filter};
use crate::plan::{Plan, View, VmPlan};

/// More results are not kept, so that no report takes more than about a gigabyte of memory.
const MOST_RESULTS: usize = 500_000;

/// The table of machines, as it is asked for.
///
/// # Errors
/// When a selector is none, or there is no rule or window of the name.
pub(crate) fn compliance(
    view: &View<'_>,
    read: &ReadBack,
    query: &ComplianceQuery,
) -> Result<ComplianceDocument, Refusal> {
    let gathered = Gathered::of(view, read, query, false, MOST_RESULTS)?;
    let totals = gathered.table.totals();
    Ok(ComplianceDocument {
        schema: COMPLIANCE_SCHEMA.to_owned(),
        time: seconds(view.now),
        not_read: gathered.not_read,
        count: count(totals.all),
        by_machine: totals
            .by_machine
            .iter()
            .map(|(machine, all)| (machine.as_str().to_owned(), count(*all)))
            .collect(),
        machines: gathered.table.rows().iter().map(machine).collect(),
        failures: match query.rule {
            // What somebody accepts is no failure; the auditor's report has it.
            Some(_) => gathered.results.into_iter().filter(|one| one.status != "suppressed").collect(),
            None => Vec::new(),
        },
    })
}

/// The auditor's report.
///
/// # Errors
/// As [`compliance`].
pub(crate) fn audit(view: &View<'_>, read: &ReadBack, query: &AuditQuery) -> Result<AuditDocument, Refusal> {
    audit_within(view, read, query, MOST_RESULTS)
}

/// The same with at most so many results.
pub(super) fn audit_within(
    view: &View<'_>,
    read: &ReadBack,
    query: &AuditQuery,
    most: usize,
) -> Result<AuditDocument, Refusal> {
    let AuditQuery { scope, all } = query;
    let gathered = Gathered::of(view, read, scope, *all, most)?;
    let rules = &view.policy.report.rules;
    let is_meant = |id: &str| scope.rule.as_deref().is_none_or(|wanted| wanted == id);
    let documents =
        rules.all().map(rule_document).chain(protection::CHECKS.iter().map(protection::Check::document));
    let documents = documents.filter(|rule| is_meant(&rule.id)).map(|rule| {
        let results = gathered.counts.get(&rule.id);
        let results = results.into_iter().flatten().map(|(word, count)| ((*word).to_owned(), *count));
        RuleDocument { results: results.collect(), ..rule }
    });
    let exceptions = rules.suppressions().iter().zip(&gathered.covers).map(|(one, covers)| {
        let patterns = match &one.scope {
            Scope::Rules(patterns) => patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            Scope::Family(family) => vec![format!("family {family}")],
        };
        ExceptionDocument {
            name: one.name.as_deref().map(str::to_owned),
            rules: patterns,
            objects: one.objects.to_string(),
            reason: one.reason.to_string(),
            until: format!("{:.0}", one.until),
            expired: !one.holds(view.now),
            covers: *covers,
        }
    });
    Ok(AuditDocument {
        schema: AUDIT_SCHEMA.to_owned(),
        time: seconds(view.now),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        installation: view.memory.installation.to_string(),
        scope: ScopeDocument {
            selectors: scope.selectors.clone(),
            vcenters: scope.vcenters.clone(),
            target: scope.target.clone(),
            window: scope.window.clone(),
            rule: scope.rule.clone(),
        },
        sources: sources(view, scope),
        not_read: gathered.not_read,
        count: count(gathered.table.totals().all),
        rules: documents.collect(),
        exceptions: exceptions.collect(),
        machines: gathered.table.rows().iter().map(machine).collect(),
        results: gathered.results,
    })
}

/// What both are made of.
struct Gathered {
    table: Table,
    results: Vec<ResultDocument>,
    /// Numbers of objects by rule and status.
    counts: BTreeMap<String, BTreeMap<&'static str, usize>>,
    /// How many results each suppression covers.
    covers: Vec<usize>,
    not_read: Vec<String>,
    /// How many results were one too many.
    left_out: usize,
}

struct Gather<'v, 'a> {
    view: &'v View<'a>,
    rules: &'v RuleSet,
    read: &'v ReadBack,
    query: &'v ComplianceQuery,
    filter: Filter,
    all: bool,
    /// What was read where each target is.
    at: HashMap<&'v TargetName, At<'v>>,
    /// How many results are kept.
    most: usize,
    out: Gathered,
}

impl Gathered {
    fn of(
        view: &View<'_>,
        read: &ReadBack,
        query: &ComplianceQuery,
        all: bool,
        most: usize,
    ) -> Result<Self, Refusal> {
        let selectors = query.selectors.iter().map(|text| text.parse::<Selector>());
        let selectors: Vec<Selector> =
            selectors.collect::<Result<_, _>>().map_err(|error| Refusal(error.to_string()))?;
        let rules = &*view.policy.report.rules;
        refuse_unknown(view, rules, query)?;
        let out = Self {
            table: Table::default(),
            results: Vec::new(),
            counts: BTreeMap::new(),
            covers: vec![0; rules.suppressions().len()],
            not_read: Vec::new(),
            left_out: 0,
        };
        let filter = Filter { selectors, vcenters: query.vcenters.clone() };
        let at = At::of(view, read);
        let mut gather = Gather { view, rules, read, query, filter, all, at, most, out };
        gather.unchecked();
        gather.machines()?;
        gather.setups();
        let mut out = gather.out;
        match (out.left_out, all) {
            (0, _) => {}
            (more, true) => {
                return Err(Refusal(format!(
                    "with everything there are {} results, and a report has at most {most}: narrow it, for example with \
                     --selector, --vcenter or --rule, or leave out --all",
                    most + more
                )));
            }
            (more, false) => out.not_read.push(format!(
                "{more} results are left out, because a report has at most {most}: narrow it, for example with --selector, \
                 --vcenter or --rule; the numbers of results by rule are those of all"
            )),
        }
        out.results.sort_unstable_by(|one, other| {
            fn key(of: &ResultDocument) -> [&str; 4] {
                [&of.kind, &of.name, &of.object, &of.rule]
            }
            key(one).cmp(&key(other))
        });
        Ok(out)
    }
}

/// Refuses names that nothing has: an empty table would look like one in which all is well.
fn refuse_unknown(view: &View<'_>, rules: &RuleSet, query: &ComplianceQuery) -> Result<(), Refusal> {
    if let Some(wanted) = &query.rule
        && !rules.all().any(|rule| rule.id.as_str() == wanted)
        && !protection::is_known(wanted)
    {
        let checks: Vec<&str> = protection::CHECKS.iter().map(|check| check.id).collect();
        return Err(Refusal(format!(
            "no rule that applies is called `{wanted}`; `vmbridge check-rules` lists them, and there are {} and, as words for \
             what is wrong with a machine, {}",
            checks.join(", "),
            Reason::WORDS.join(", ")
        )));
    }
    if let Some(wanted) = &query.target
        && !view.policy.targets.iter().any(|target| target.name.as_str() == wanted)
    {
        let names: Vec<&str> = view.policy.targets.iter().map(|target| target.name.as_str()).collect();
        return Err(Refusal(format!("no target is called `{wanted}`; there are {}", names.join(", "))));
    }
    Ok(())
}

impl Gather<'_, '_> {
    /// The targets that are asked for.
    fn targets(&self) -> impl Iterator<Item = &TargetName> {
        let wanted = self.query.target.as_deref();
        let names = self.view.policy.targets.iter().map(|target| &target.name);
        names.filter(move |name| wanted.is_none_or(|wanted| wanted == name.as_str()))
    }

    fn is_narrowed(&self) -> bool {
        !self.filter.selectors.is_empty() || !self.filter.vcenters.is_empty()
    }

    fn missing(&mut self, what: String) {
        self.out.not_read.push(what);
    }

    /// What could not be read of vCenters and targets.
    fn gaps(&mut self, unusable: &HashSet<&str>) {
        let view = self.view;
        let mut gaps = Vec::new();
        for part in view.fleet.parts().filter(|part| self.filter.takes(part)) {
            let state = part.state(view.now, view.policy.stale_after);
            if state != State::Current {
                let why = part.trouble().map(|trouble| format!(": {}", trouble.error)).unwrap_or_default();
                gaps.push(format!(
                    "{}: what is known of its VMs is not current ({}){why}",
                    part.name(),
                    state.word()
                ));
            }
        }
        for (name, organisation) in view.fleet.organisations() {
            gaps.extend(
                organisation.error.as_ref().map(|why| format!("{name}: its SDDCs cannot be listed: {why}")),
            );
        }
        for target in self.targets() {
            match self.read.targets.get(target) {
                Some(read) => gaps.extend(
                    read.failures().map(|(what, why)| format!("{target}: {what} cannot be read: {why}")),
                ),
                None => gaps.push(format!("{target}: patches and associations were not asked for")),
            }
            if unusable.contains(target.as_str()) {
                let why = view.cloud.target(target).and_then(|known| known.error.clone());
                let why = why.unwrap_or_else(|| "it is being read for the first time".to_owned());
                gaps.push(format!("{target}: its managed nodes are not known: {why}"));
            }
        }
        self.out.not_read.append(&mut gaps);
    }

    /// The rows of all machines, and what rules say of VMs.
    fn machines(&mut self) -> Result<(), Refusal> {
        let view = self.view;
        let plan = view.plan_with_protections();
        let windows = self.windows(&plan)?;
        let unusable: HashSet<&str> = view
            .policy
            .targets
            .iter()
            .filter(|target| {
                let patience = view.policy.stale_after.max(target.poll_slow * 3);
                let known = view.cloud.target(&target.name);
                known.is_none_or(|known| known.usable(view.now, patience).is_err())
            })
            .map(|target| target.name.as_str())
            .collect();
        self.gaps(&unusable);
        self.window_gaps();
        let (mut facts, mut undecided, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        let mut doubtful = Vec::new();
        for vm in &plan.vms {
            let Some(part) = view.fleet.part(&vm.vcenter) else { continue };
            let Some(found) = part.vm(&vm.vm.vm) else { continue };
            let target = vm.target.as_ref().map(TargetName::as_str);
            if self.query.target.as_deref().is_some_and(|wanted| target != Some(wanted)) {
                continue;
            }
            match if self.filter.takes(part) { self.filter.asks_for(&found) } else { Asked::No } {
                Asked::Yes => {}
                Asked::No => continue,
                Asked::Undecided => {
                    undecided.push(vm.label.to_string());
                    continue;
                }
            }
            let is_known = target.is_none_or(|target| !unusable.contains(target));
            let is_current = part.state(view.now, view.policy.stale_after) == State::Current;
            let windows = match self.is_in_window(vm, windows.get(&vm.vm), is_known && is_current) {
                Membership::In(windows) => windows,
                Membership::Out => continue,
                Membership::Unknown => {
                    doubtful.push(vm.label.to_string());
                    continue;
                }
            };
            let hardening = self.hardening(part, vm, &found);
            let is_routed = vm.target.is_some() || vm.link.is_some();
            if !is_routed {
                continue;
            }
            if vm.link.is_none() && !(is_known && is_current) {
                unread.push(vm.label.to_string());
                continue;
            }
            if let Some(Some(list)) = plan.protection_lists.get(&vm.vm) {
                self.note_protection(list, vm);
            }
            facts.push(self.facts_of_vm(&plan, vm, &found, hardening, windows));
        }
        if !self.is_narrowed() {
            doubtful.extend(self.lone(&plan, &mut facts));
        }
        if !undecided.is_empty() {
            self.missing(format!("whether the selector selects {} is not known", some(&mut undecided)));
        }
        if !unread.is_empty() {
            self.missing(format!("whether {} are managed nodes is not known", some(&mut unread)));
        }
        if !doubtful.is_empty() {
            self.missing(format!("whether {} are in the window is not known", some(&mut doubtful)));
        }
        let wanted = Wanted {
            window: None,
            check: self.query.rule.clone(),
            target: self.query.target.clone(),
            ..Wanted::default()
        };
        self.out.table = Table::new(facts, view.now, &Rules::default()).filtered(&wanted, |_| true);
        Ok(())
    }

    fn facts_of_vm(
        &self,
        plan: &Plan,
        vm: &VmPlan,
        found: &VmView<'_>,
        hardening: Fact<Checks>,
        windows: Vec<Window>,
    ) -> Facts {
        let view = self.view;
        let is_off = matches!(found.power_state(), Fact::Known(PowerState::Off | PowerState::Suspended));
        let node = vm.link.as_ref().and_then(|link| NodeId::parse(link.node.as_str()).ok());
        let known = vm.target.as_ref().and_then(|target| view.cloud.target(target));
        let known = known.zip(vm.link.as_ref()).and_then(|(target, link)| target.nodes.get(&link.node));
        let agent_online = match known {
            _ if is_off => Fact::Absent,
            Some(node) => online(node.ping),
            None => Fact::Absent,
        };
        let at = vm.target.as_ref().and_then(|target| self.at.get(target));
        let (patches, associations, inventory) = match (&node, at) {
            (None, _) => (Fact::Absent, Fact::Absent, Fact::Absent),
            (Some(_), None) => (Fact::Unknown, Fact::Unknown, Fact::Unknown),
            (Some(node), Some(at)) => (at.patches(node), at.associations(node), at.inventory(node)),
        };
        Facts {
            node,
            target: vm.target.as_ref().map(ToString::to_string),
            vcenter: Some(vm.vcenter.as_str().to_owned()),
            vm: Some(named(vm)),
            name: Some(vm.label.to_string()),
            platform: match found.guest_os() {
                Fact::Known(text) => Some(text.to_owned()),
                Fact::Absent | Fact::Unknown => None,
            },
            agent_online,
            patches,
            associations,
            inventory,
            hardening,
            protection: match plan.protection_lists.get(&vm.vm) {
                Some(Some(list)) => Fact::Known(Checks::of(list)),
                Some(None) => Fact::Unknown,
                None => Fact::Absent,
            },
            windows,
        }
    }
}

fn named(vm: &VmPlan) -> String {
    format!("{}/{}", vm.vcenter.as_str(), vm.vm.vm)
}
