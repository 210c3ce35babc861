//! Puts together what is known: pure, so that the same input gives the same answer.

use std::collections::{BTreeMap, HashMap, HashSet};

use mappings::checks::{ApiVersion, Kind, Outcome, RuleSet, Scope, Severity, Status, Subject};
use mappings::compliance::Severity as Worst;
use mappings::compliance::table::{
    Checks, Count, Facts, Filter as Wanted, Inventory, NodeId, Row, Rules, Table, Window,
};
use mappings::selector::{Fact, PowerState, Selector, Verdict, VmFacts as _};
use mappings::tags::TagFacts as _;

use super::document::{
    AUDIT_SCHEMA, AuditDocument, AuditQuery, COMPLIANCE_SCHEMA, ChecksDocument, ComplianceDocument,
    ComplianceQuery, CountDocument, ExceptionDocument, InventoryDocument, MachineDocument, PatchesDocument,
    ReasonDocument, ResultDocument, ScopeDocument, SourceDocument, rule_document,
};
use super::readback::ReadBack;
use crate::aws::{Ping, Platform};
use crate::control::Refusal;
use crate::fleet::{Part, State, VmView};
use crate::inventory::{Asked, Filter};
use crate::plan::{Plan, View, VmPlan};
use crate::store::VmId;

/// The most objects that are named where something is told of many.
const MOST_NAMED: usize = 3;

/// The table of machines, as it is asked for.
///
/// # Errors
/// When a selector is none, or there is no rule or window of the name.
pub(crate) fn compliance(
    view: &View<'_>,
    read: &ReadBack,
    query: &ComplianceQuery,
) -> Result<ComplianceDocument, Refusal> {
    let gathered = Gathered::of(view, read, query, false)?;
    let totals = gathered.table.totals();
    Ok(ComplianceDocument {
        schema: COMPLIANCE_SCHEMA.to_owned(),
        time: view.now.to_string(),
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
    let AuditQuery { scope, all } = query;
    let gathered = Gathered::of(view, read, scope, *all)?;
    let rules = &view.policy.report.rules;
    let is_meant = |id: &str| scope.rule.as_deref().is_none_or(|wanted| wanted == id);
    let documents = rules.all().filter(|rule| is_meant(rule.id.as_str())).map(|rule| {
        let results = gathered.counts.get(rule.id.as_str());
        let results = results.into_iter().flatten().map(|(word, count)| ((*word).to_owned(), *count));
        super::RuleDocument { results: results.collect(), ..rule_document(rule) }
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
        time: view.now.to_string(),
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
}

struct Gather<'v, 'a> {
    view: &'v View<'a>,
    rules: &'v RuleSet,
    read: &'v ReadBack,
    query: &'v ComplianceQuery,
    filter: Filter,
    all: bool,
    out: Gathered,
}

impl Gathered {
    fn of(view: &View<'_>, read: &ReadBack, query: &ComplianceQuery, all: bool) -> Result<Self, Refusal> {
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
        };
        let filter = Filter { selectors, vcenters: query.vcenters.clone() };
        let mut gather = Gather { view, rules, read, query, filter, all, out };
        gather.machines()?;
        gather.setups();
        let mut out = gather.out;
        out.results.sort_by(|one, other| {
            let key = |of: &ResultDocument| (of.kind.clone(), of.name.clone(), of.object.clone());
            key(one).cmp(&key(other)).then_with(|| one.rule.cmp(&other.rule))
        });
        Ok(out)
    }
}

/// Refuses names that nothing has: an empty table would look like one in which all is well.
fn refuse_unknown(view: &View<'_>, rules: &RuleSet, query: &ComplianceQuery) -> Result<(), Refusal> {
    if let Some(wanted) = &query.rule
        && !rules.all().any(|rule| rule.id.as_str() == wanted)
    {
        return Err(Refusal(format!(
            "no rule that applies is called `{wanted}`; `vmbridge check-rules` lists them"
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
    fn is_narrowed(&self) -> bool {
        !self.filter.selectors.is_empty() || !self.filter.vcenters.is_empty()
    }

    fn missing(&mut self, what: String) {
        self.out.not_read.push(what);
    }

    /// The rows of all machines, and what rules say of VMs.
    fn machines(&mut self) -> Result<(), Refusal> {
        let view = self.view;
        let plan = view.plan_with_protections();
        let windows = self.windows(&plan)?;
        for (target, read) in &self.read.targets {
            for (what, why) in read.failures() {
                self.out.not_read.push(format!("{target}: {what} cannot be read: {why}"));
            }
        }
        for target in &view.policy.targets {
            if !self.read.targets.contains_key(&target.name) {
                self.missing(format!("{}: patches and associations were not asked for", target.name));
            }
        }
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
        for target in &view.policy.targets {
            if unusable.contains(target.name.as_str()) {
                let why = view.cloud.target(&target.name).and_then(|known| known.error.clone());
                let why = why.unwrap_or_else(|| "it is being read for the first time".to_owned());
                self.missing(format!("{}: its managed nodes are not known: {why}", target.name));
            }
        }
        let (mut facts, mut undecided, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        let mut linked = HashSet::new();
        for vm in &plan.vms {
            linked.extend(vm.link.as_ref().map(|link| (vm.target.as_ref(), &link.node)));
            let Some(part) = view.fleet.part(&vm.vcenter) else { continue };
            let Some(found) = part.vm(&vm.vm.vm) else { continue };
            match if self.filter.takes(part) { self.filter.asks_for(&found) } else { Asked::No } {
                Asked::Yes => {}
                Asked::No => continue,
                Asked::Undecided => {
                    undecided.push(vm.label.to_string());
                    continue;
                }
            }
            let hardening = self.hardening(part, vm, &found);
            let is_routed = vm.target.is_some() || vm.link.is_some();
            let is_known = vm.target.as_ref().is_none_or(|target| !unusable.contains(target.as_str()));
            let is_current = part.state(view.now, view.policy.stale_after) == State::Current;
            if !is_routed {
                continue;
            }
            if vm.link.is_none() && !(is_known && is_current) {
                unread.push(vm.label.to_string());
                continue;
            }
            facts.push(self.facts_of_vm(&plan, vm, &found, hardening, windows.get(&vm.vm)));
        }
        if !self.is_narrowed() {
            self.lone(&linked, &mut facts);
        }
        if !undecided.is_empty() {
            self.missing(format!("whether the selector selects {} is not known", some(&mut undecided)));
        }
        if !unread.is_empty() {
            self.missing(format!("whether {} are managed nodes is not known", some(&mut unread)));
        }
        let wanted = Wanted {
            window: None,
            check: self.query.rule.clone(),
            target: self.query.target.clone(),
            ..Wanted::default()
        };
        let in_window: HashSet<String> = match &self.query.window {
            Some(_) => windows.keys().filter_map(|id| name_of(view, id)).collect(),
            None => HashSet::new(),
        };
        let by_window = self.query.window.is_some();
        self.out.table = Table::new(facts, view.now, &Rules::default()).filtered(&wanted, |row| {
            !by_window || row.facts.vm.as_ref().is_some_and(|vm| in_window.contains(vm))
        });
        Ok(())
    }

    /// The windows that each VM is in; of the one that is asked for only.
    fn windows(&self, plan: &Plan) -> Result<HashMap<VmId, Vec<Window>>, Refusal> {
        let mut windows: HashMap<VmId, Vec<Window>> = HashMap::new();
        let mut is_there = self.query.window.is_none();
        for window in &plan.windows {
            let run = &window.forecast.run;
            let is_meant = self
                .query
                .window
                .as_deref()
                .is_none_or(|wanted| *run.window == *wanted || run.name.eq_ignore_ascii_case(wanted));
            if !is_meant {
                continue;
            }
            is_there = true;
            for member in &window.forecast.members {
                let Some(vm) = window.vms.get(*member) else { continue };
                let of_vm = windows.entry(vm.clone()).or_default();
                if !of_vm.iter().any(|known| known.name == *run.name) {
                    of_vm.push(Window { name: run.name.to_string(), opens: Some(run.opens) });
                }
            }
        }
        if is_there {
            return Ok(windows);
        }
        let wanted = self.query.window.as_deref().unwrap_or_default();
        Err(Refusal(format!(
            "no window that comes and is looked at is called `{wanted}`; `vmbridge windows` lists them"
        )))
    }

    fn facts_of_vm(
        &self,
        plan: &Plan,
        vm: &VmPlan,
        found: &VmView<'_>,
        hardening: Fact<Checks>,
        windows: Option<&Vec<Window>>,
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
        let read = vm.target.as_ref().and_then(|target| self.read.targets.get(target));
        let of_node = |of: &NodeId| (patches(read, of), associations(read, of), inventory(read, of));
        let (patches, associations, inventory) =
            node.as_ref().map_or((Fact::Absent, Fact::Absent, Fact::Absent), of_node);
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
            windows: windows.cloned().unwrap_or_default(),
        }
    }

    /// Hybrid nodes that are no VM that is known, and EC2 instances.
    fn lone(
        &self,
        linked: &HashSet<(Option<&crate::aws::TargetName>, &crate::aws::NodeId)>,
        facts: &mut Vec<Facts>,
    ) {
        for (target, known) in self.view.cloud.targets() {
            let read = self.read.targets.get(target);
            let blank = |node: NodeId, name: Option<&str>, ping: Ping| Facts {
                target: Some(target.to_string()),
                vcenter: None,
                vm: None,
                name: name.map(str::to_owned),
                platform: None,
                agent_online: online(ping),
                patches: patches(read, &node),
                associations: associations(read, &node),
                inventory: inventory(read, &node),
                hardening: Fact::Absent,
                protection: Fact::Absent,
                windows: Vec::new(),
                node: Some(node),
            };
            for (id, node) in known.nodes.iter().filter(|(id, _)| !linked.contains(&(Some(target), *id))) {
                let Ok(parsed) = NodeId::parse(id.as_str()) else { continue };
                let row = blank(parsed, node.computer_name.as_deref(), node.ping);
                facts.push(Facts { platform: node.platform.map(platform).map(str::to_owned), ..row });
            }
            for node in read.iter().flat_map(|read| read.ec2.iter().flatten()) {
                let row = blank(node.id.clone(), node.computer_name.as_deref(), node.ping);
                let system = node.system.as_deref().or(node.platform.map(platform));
                facts.push(Facts { platform: system.map(str::to_owned), ..row });
            }
        }
    }

    fn hardening(&mut self, part: &Part, vm: &VmPlan, found: &VmView<'_>) -> Fact<Checks> {
        if part.reads().is_none() || self.rules.reads(Kind::Vm).is_empty() {
            return Fact::Absent;
        }
        let Some(readings) = found.readings() else { return Fact::Unknown };
        let api = || part.about().and_then(|about| ApiVersion::parse(&about.api_version));
        let subject = Subject {
            kind: Kind::Vm,
            version: found.checked_version().or_else(api),
            is_provider_managed: part.is_provider_managed(),
            facts: found,
        };
        let mut checks = Checks::default();
        let mut failing: Vec<(Severity, String)> = Vec::new();
        let (rules, now) = (self.rules, self.view.now);
        for outcome in rules.evaluate(&subject, &readings, now) {
            match &outcome.status {
                Status::Passed | Status::Suppressed { .. } => checks.compliant += 1,
                Status::Failed => failing.push((outcome.rule.severity, outcome.rule.id.to_string())),
                Status::NotReadable(_) => checks.unreadable += 1,
                Status::NotApplicable(_) | Status::ProviderManaged => {}
            }
            self.note(&outcome, &named(vm), &vm.label);
        }
        failing.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        checks.worst = failing.first().map(|(severity, _)| worst(*severity));
        checks.failing = failing.into_iter().map(|(_, id)| id).collect();
        Fact::Known(checks)
    }

    /// What rules say of hosts, clusters and port groups.
    fn setups(&mut self) {
        // They are in no target and no window.
        if self.query.target.is_some() || self.query.window.is_some() {
            return;
        }
        let mut unread = Vec::new();
        let (rules, now) = (self.rules, self.view.now);
        let fleet = self.view.fleet;
        for part in fleet.parts() {
            if !self.filter.takes(part) {
                continue;
            }
            let api = || part.about().and_then(|about| ApiVersion::parse(&about.api_version));
            for setup in part.setups() {
                let selected = |selector: &Selector| matches!(selector.verdict(&setup), Verdict::Selected);
                if !self.filter.selectors.is_empty() && !self.filter.selectors.iter().any(selected) {
                    continue;
                }
                if part.reads().is_none() || rules.reads(setup.kind()).is_empty() {
                    continue;
                }
                let Some(readings) = setup.readings() else {
                    unread.push(setup.label().to_owned());
                    continue;
                };
                let subject = Subject {
                    kind: setup.kind(),
                    version: setup.version().and_then(ApiVersion::parse).or_else(api),
                    is_provider_managed: setup.is_provider_managed(),
                    facts: &setup,
                };
                let object = format!("{}/{}", part.name().as_str(), setup.moref().value());
                for outcome in rules.evaluate(&subject, &readings, now) {
                    self.note(&outcome, &object, setup.label());
                }
            }
        }
        if !unread.is_empty() {
            self.missing(format!("the settings of {} were not read", some(&mut unread)));
        }
    }

    /// Counts an outcome, and keeps it if it is to be told.
    fn note(&mut self, outcome: &Outcome<'_>, object: &str, name: &str) {
        let rule = outcome.rule;
        if self.query.rule.as_deref().is_some_and(|wanted| wanted != rule.id.as_str()) {
            return;
        }
        let word = outcome.status.word();
        *self.out.counts.entry(rule.id.to_string()).or_default().entry(word).or_default() += 1;
        if let Status::Suppressed { by, .. } = outcome.status {
            let at = self.rules.suppressions().iter().position(|one| std::ptr::eq(one, by));
            if let Some(covers) = at.and_then(|at| self.out.covers.get_mut(at)) {
                *covers += 1;
            }
        }
        let is_quiet =
            matches!(outcome.status, Status::Passed | Status::NotApplicable(_) | Status::ProviderManaged);
        if is_quiet && !self.all {
            return;
        }
        self.out.results.push(ResultDocument {
            rule: rule.id.to_string(),
            severity: rule.severity.to_string(),
            status: word.to_owned(),
            kind: rule.kind.to_string(),
            object: object.to_owned(),
            name: name.to_owned(),
            evidence: outcome.evidence(),
        });
    }
}

fn sources(view: &View<'_>, scope: &ComplianceQuery) -> Vec<SourceDocument> {
    let filter = Filter { selectors: Vec::new(), vcenters: scope.vcenters.clone() };
    let vcenters = view.fleet.parts().filter(|part| filter.takes(part)).map(|part| SourceDocument {
        kind: "vcenter".to_owned(),
        name: part.name().as_str().to_owned(),
        what: part.about().map(|about| format!("vSphere API {}", about.api_version)),
        current: part.state(view.now, view.policy.stale_after) == State::Current,
        as_of: part.as_of().map(|time| time.to_string()),
        objects: part.counts().vms(),
    });
    let targets = view
        .cloud
        .targets()
        .filter(|(name, _)| scope.target.as_deref().is_none_or(|wanted| name.as_str() == wanted));
    let targets = targets.map(|(name, known)| SourceDocument {
        kind: "target".to_owned(),
        name: name.to_string(),
        what: known.place.as_ref().map(ToString::to_string),
        current: known.error.is_none() && known.as_of.is_some(),
        as_of: known.as_of.map(|time| time.to_string()),
        objects: known.nodes.len(),
    });
    vcenters.chain(targets).collect()
}

fn machine(row: &Row) -> MachineDocument {
    let Facts { node, target, vm, name, platform, windows, .. } = &row.facts;
    let known = |fact: &Fact<Checks>| match fact {
        Fact::Known(checks) => Some(ChecksDocument {
            compliant: checks.compliant,
            failing: checks.failing.clone(),
            unreadable: checks.unreadable,
        }),
        Fact::Absent | Fact::Unknown => None,
    };
    MachineDocument {
        machine: row.machine.as_str().to_owned(),
        node: node.as_ref().map(ToString::to_string),
        target: target.clone(),
        vm: vm.clone(),
        name: name.clone(),
        platform: platform.clone(),
        overall: row.overall.as_str().to_owned(),
        reasons: row
            .reasons
            .iter()
            .map(|reason| ReasonDocument { reason: reason.word().to_owned(), sentence: reason.to_string() })
            .collect(),
        agent_online: match row.facts.agent_online {
            Fact::Known(online) => Some(online),
            Fact::Absent | Fact::Unknown => None,
        },
        patches: match &row.facts.patches {
            Fact::Known(patches) => Some(PatchesDocument {
                installed: patches.installed,
                missing: patches.missing,
                failed: patches.failed,
                pending_reboot: patches.pending_reboot,
                rejected: patches.rejected,
                critical: patches.critical,
                security: patches.security,
                scanned: patches.scanned.map(|time| time.to_string()),
            }),
            Fact::Absent | Fact::Unknown => None,
        },
        associations: match &row.facts.associations {
            Fact::Known(counts) => Some((counts.compliant, counts.non_compliant)),
            Fact::Absent | Fact::Unknown => None,
        },
        inventory: match &row.facts.inventory {
            Fact::Known(types) => Some(types.iter().map(inventory_document).collect()),
            Fact::Absent if node.is_some() => Some(Vec::new()),
            Fact::Absent | Fact::Unknown => None,
        },
        hardening: known(&row.facts.hardening),
        protection: known(&row.facts.protection),
        windows: windows.iter().map(|window| window.name.clone()).collect(),
    }
}

fn count(count: Count) -> CountDocument {
    let Count { machines, compliant, non_compliant, unknown } = count;
    CountDocument { machines, compliant, non_compliant, unknown }
}

fn named(vm: &VmPlan) -> String {
    format!("{}/{}", vm.vcenter.as_str(), vm.vm.vm)
}

fn name_of(view: &View<'_>, id: &VmId) -> Option<String> {
    let part = view.fleet.parts().find(|part| part.uuid() == Some(id.vcenter))?;
    Some(format!("{}/{}", part.name().as_str(), id.vm))
}

fn online(ping: Ping) -> Fact<bool> {
    match ping {
        Ping::Online => Fact::Known(true),
        Ping::ConnectionLost | Ping::Inactive => Fact::Known(false),
        Ping::Unknown => Fact::Unknown,
    }
}

fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::Linux => "Linux",
        Platform::Windows => "Windows",
        Platform::MacOs => "macOS",
    }
}

fn patches(
    read: Option<&super::readback::TargetRead>,
    node: &NodeId,
) -> Fact<mappings::compliance::table::Patches> {
    match read.map(|read| &read.patches) {
        Some(Ok(all)) => all.get(node).map_or(Fact::Absent, |patches| Fact::Known(*patches)),
        Some(Err(_)) | None => Fact::Unknown,
    }
}

fn associations(
    read: Option<&super::readback::TargetRead>,
    node: &NodeId,
) -> Fact<mappings::compliance::table::Associations> {
    match read.map(|read| &read.associations) {
        Some(Ok(all)) => all.get(node).map_or(Fact::Absent, |counts| Fact::Known(*counts)),
        Some(Err(_)) | None => Fact::Unknown,
    }
}

fn inventory(read: Option<&super::readback::TargetRead>, node: &NodeId) -> Fact<Vec<Inventory>> {
    match read.map(|read| &read.inventory) {
        Some(Ok(all)) => all.get(node).map_or(Fact::Absent, |types| Fact::Known(types.clone())),
        Some(Err(_)) | None => Fact::Unknown,
    }
}

fn inventory_document(one: &Inventory) -> InventoryDocument {
    InventoryDocument {
        r#type: one.type_name.to_owned(),
        captured: one.captured.map(|time| time.to_string()),
        hash: one.hash.as_deref().map(str::to_owned),
    }
}

fn worst(severity: Severity) -> Worst {
    match severity {
        Severity::Critical => Worst::Critical,
        Severity::High => Worst::High,
        Severity::Medium => Worst::Medium,
        Severity::Low => Worst::Low,
        Severity::Informational => Worst::Informational,
    }
}

/// `a, b, c and 4 more`
fn some(names: &mut [String]) -> String {
    names.sort_unstable();
    let shown: Vec<&str> = names.iter().take(MOST_NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(MOST_NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
