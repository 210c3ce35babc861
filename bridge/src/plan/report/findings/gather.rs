//! Goes through everything that findings can be about: what is wrong with it now, and of what nobody can say that.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use mappings::checks::{self, ApiVersion};
use mappings::findings::life::Sight;
use mappings::findings::{Advice, Problem, Status, Subject, Target};
use mappings::selector::Verdict;
use vsphere_client::ids::VcenterUuid;

use super::checks::{Dictionary, Meaning, meaning, problem};
use super::rules::Own;
use super::subject::{self, Spot};
use super::vm::{Bad, Found, Look};
use super::{Sink, subject::of_setup, subject::of_vm};
use crate::config::FindingsSettings;
use crate::fleet::{Part, SetupView};
use crate::plan::identity::Candidate;
use crate::plan::reason::Reason;
use crate::plan::snapshots::{LastWindows, Scene};
use crate::plan::{Capability, Plan};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Of what nobody can say anything.
    pub blind: HashSet<Spot>,
    /// Of what nobody can say whether it meets a rule. Only where something was told of it.
    pub unknown: HashSet<(Spot, Arc<str>)>,
    /// What nobody asks about any more. Only where something was told of it.
    pub unasked: HashSet<Spot>,
    /// Why nothing is told of a rule that is not met, or not asked for, where something was told of the object.
    pub quiet: HashMap<(Spot, Arc<str>), Sight>,
    /// The hosts, clusters and port groups that there are.
    pub setups: HashSet<Spot>,
}

/// Gathers all of it. `told`: objects of which something was told.
pub(super) fn gather(
    scene: &Scene<'_, '_>,
    sinks: &[Option<Sink<'_>>],
    told: &HashSet<Spot>,
    twins: &HashSet<VcenterUuid>,
    plan: &Plan,
) -> Gathered {
    let settings = &scene.policy.report.findings;
    let mut gatherer = Gatherer {
        scene,
        sinks,
        told,
        settings,
        windows: LastWindows::of(scene.memory, scene.now),
        words: Dictionary::default(),
        out: Gathered::default(),
    };
    for (number, candidate) in scene.candidates.iter().enumerate() {
        let (part, stale) = &scene.parts[candidate.part];
        if stale.is_none() && !twins.contains(&candidate.id.vcenter) {
            gatherer.vm(number, candidate, part, plan);
        }
    }
    for (part, stale) in scene.parts {
        let Some(vcenter) = part.uuid().filter(|uuid| stale.is_none() && !twins.contains(uuid)) else {
            continue;
        };
        for setup in part.setups() {
            gatherer.setup(&setup, vcenter, part);
        }
    }
    gatherer.out
}

struct Gatherer<'s, 'a, 'f> {
    scene: &'s Scene<'a, 'f>,
    sinks: &'s [Option<Sink<'s>>],
    told: &'s HashSet<Spot>,
    settings: &'s FindingsSettings,
    windows: LastWindows<'s>,
    words: Dictionary,
    out: Gathered,
}

impl Gatherer<'_, '_, '_> {
    fn blind(&mut self, spot: Spot) {
        if self.told.contains(&spot) {
            self.out.blind.insert(spot);
        }
    }

    fn unasked(&mut self, spot: Spot) {
        if self.told.contains(&spot) {
            self.out.unasked.insert(spot);
        }
    }

    fn quiet(&mut self, spot: &Spot, rule: &str, sight: Sight) {
        if self.told.contains(spot) {
            self.out.quiet.insert((spot.clone(), rule.into()), sight);
        }
    }

    fn unknown(&mut self, spot: &Spot, rule: &str) {
        if self.told.contains(spot) {
            self.out.unknown.insert((spot.clone(), rule.into()));
        }
    }

    fn vm(&mut self, number: usize, candidate: &Candidate<'_>, part: &Part, plan: &Plan) {
        let view = &candidate.view;
        let spot: Spot = (mappings::findings::Kind::Vm, candidate.id.vcenter, candidate.id.vm.clone());
        let target = match &candidate.route {
            Ok(target) => *target,
            Err(Reason::NoTarget | Reason::Template | Reason::ManagedBy(_)) => return self.unasked(spot),
            Err(_) => return self.blind(spot),
        };
        let Some(sink) = &self.sinks[target] else { return self.blind(spot) };
        let link = sink.matching.links.get(&number);
        let enrol = plan.vms.get(number).map(|vm| vm.verdict(Capability::Enrol).reason.as_ref());
        let Some(enrol) = enrol else { return self.blind(spot) };
        let look = Look {
            view,
            id: &candidate.id,
            enrol,
            disputed: sink.matching.disputed.contains_key(&number),
            node: link.map(|link| sink.cloud.nodes.get(&link.node).map(|node| &**node)),
            last_window: self.windows.get(&candidate.id),
            patches: link.and_then(|link| sink.patches?.get(&link.node)),
            memory: self.scene.memory,
            policy: self.scene.policy,
            now: self.scene.now,
        };
        let mut subject: Option<Arc<Subject>> = None;
        let target = Arc::clone(&sink.target);
        let node = link.map(|link| (sink.nodes, &link.node));
        let owner_tag = self.settings.owner_tag.as_deref();
        let make = || Arc::new(of_vm(view, candidate.id.vcenter, node, owner_tag));
        for (rule, found) in look.found(self.settings) {
            match found {
                Found::Good => {}
                Found::NotAsked => self.quiet(&spot, rule.id, Sight::NotAsked),
                Found::Unknown => self.unknown(&spot, rule.id),
                Found::Bad(bad) => {
                    let subject = subject.get_or_insert_with(make);
                    self.out.problems.push(own(rule, bad, subject, &target));
                }
            }
        }
        let facts = checks::Subject {
            kind: checks::Kind::Vm,
            version: version(view.host_version(), part),
            is_provider_managed: part.is_provider_managed(),
            facts: view,
        };
        self.checks(&spot, part, &facts, view.readings().as_deref(), &target, &mut subject, &make);
    }

    fn setup(&mut self, setup: &SetupView<'_>, vcenter: VcenterUuid, part: &Part) {
        let spot: Spot = (subject::kind(setup.kind()), vcenter, setup.moref().shared_value());
        self.out.setups.insert(spot.clone());
        let Some(target) = self.target_of(setup) else { return self.unasked(spot) };
        let Some(sink) = &self.sinks[target] else { return self.blind(spot) };
        let facts = checks::Subject {
            kind: setup.kind(),
            version: version(setup.version(), part),
            is_provider_managed: setup.is_provider_managed(),
            facts: setup,
        };
        let target = Arc::clone(&sink.target);
        let make = || Arc::new(of_setup(setup, vcenter));
        self.checks(&spot, part, &facts, setup.readings().as_deref(), &target, &mut None, &make);
    }

    /// The target that is told of a host, a cluster or a port group, which may bear VMs of several: the first in the configuration
    /// whose `vms` selects it by its place, or else the first whose `vms` may select VMs there. So there is one, and it is the same
    /// whatever VMs run there.
    fn target_of(&self, setup: &SetupView<'_>) -> Option<usize> {
        let mut possible = None;
        for (at, target) in self.scene.policy.targets.iter().enumerate() {
            match target.vms.verdict(&setup.of_its_vms()) {
                Verdict::Selected => return Some(at),
                Verdict::Unknown(_) => possible = possible.or(Some(at)),
                Verdict::NotIncluded | Verdict::Excluded(_) => {}
            }
        }
        possible
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is what is known of one object")]
    fn checks(
        &mut self,
        spot: &Spot,
        part: &Part,
        facts: &checks::Subject<'_>,
        readings: Option<&[checks::Reading]>,
        target: &Arc<Target>,
        subject: &mut Option<Arc<Subject>>,
        make: &dyn Fn() -> Arc<Subject>,
    ) {
        let Some(reads) = part.reads().filter(|_| self.settings.checks) else { return };
        let rules = reads.rules();
        let Some(readings) = readings else {
            let ids: Vec<&str> = rules.rules(facts.kind).map(|rule| rule.id.as_str()).collect();
            ids.into_iter().for_each(|id| self.unknown(spot, id));
            return;
        };
        for outcome in rules.evaluate(facts, readings, self.scene.now) {
            match meaning(&outcome) {
                Meaning::Good => {}
                Meaning::Accepted => self.quiet(spot, outcome.rule.id.as_str(), Sight::Accepted),
                Meaning::NotAsked => self.quiet(spot, outcome.rule.id.as_str(), Sight::NotAsked),
                Meaning::Unknown => self.unknown(spot, outcome.rule.id.as_str()),
                Meaning::Bad => {
                    let subject = subject.get_or_insert_with(make);
                    self.out.problems.push(problem(&outcome, subject, target, &mut self.words));
                }
            }
        }
    }
}

/// Its own version, or that of vCenter.
fn version(own: Option<&str>, part: &Part) -> Option<ApiVersion> {
    own.or_else(|| part.about().map(|about| &*about.api_version)).and_then(ApiVersion::parse)
}

fn own(rule: &'static Own, bad: Bad, subject: &Arc<Subject>, target: &Arc<Target>) -> Problem {
    let Bad { why, advice, severity, evidence } = bad;
    let description = match why {
        Some(why) => format!("{}: {why}. {}", rule.title, rule.rationale),
        None => format!("{}. {}", rule.title, rule.rationale),
    };
    Problem {
        rule: rule.id.into(),
        family: rule.family.into(),
        class: rule.class,
        subject: Arc::clone(subject),
        target: Arc::clone(target),
        title: rule.title.into(),
        description: description.into(),
        severity,
        status: Status::Failed,
        advice: Some(Advice { text: advice.as_deref().unwrap_or(rule.advice).into(), url: None }),
        requirements: Vec::new(),
        evidence,
    }
}
