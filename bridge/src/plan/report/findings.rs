//! Findings: what Security Hub is told.
//!
//! What is wrong is [gathered](gather) from what is known of VMs, hosts, clusters and port groups, and compared with what Security
//! Hub has by [`mappings::findings::life`], which says what is to be sent. Each object is told in one account and Region: that of
//! the target that it belongs to.

mod checks;
mod former;
mod gather;
mod patch;
pub(crate) mod reach;
mod reconcile;
mod rules;
mod sight;
mod steps;
pub(crate) mod strangers;
mod subject;
#[cfg(test)]
mod tests;
mod told;
mod vm;
pub(crate) mod withdraw;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use foldhash::HashSet;
use jiff::SignedDuration;
use mappings::findings::life::{self, Book, Call, Change, ChangeKind, Outcome, State};
use mappings::findings::{
    Family, FindingId, Folding, Kind, Object, Owner, PREFIX, Problem, Resolution, RuleId, Target,
};
use vsphere_client::ids::VcenterUuid;

use self::former::Former;
use self::reach::Reach;
use self::sight::Sights;
use self::steps::Steps;
use self::subject::Spot;
pub use self::told::{FindingStep, FindingsPlan, HubPlan, Reconciled};
use crate::aws::{Place, TargetName};
use crate::cloud::hub::{HubView, PatchesOfNodes};
use crate::cloud::{Cloud, TargetView};
use crate::config::{FindingFolding, FindingsSettings, Mode};
use crate::fleet::Fleet;
use crate::memory::Memory;
use crate::plan::action::{Action, Sent};
use crate::plan::identity::Matching;
use crate::plan::reason::{Note, Reason};
use crate::plan::snapshots::Scene;
use crate::plan::{Capability, CapabilityVerdict, Plan, planned};
use crate::store::FindingChange;

/// One target as far as findings are concerned.
struct Sink<'a> {
    name: &'a TargetName,
    /// Where its nodes are.
    nodes: &'a Place,
    /// Where its findings go.
    place: Place,
    /// The same, for findings.
    target: Arc<Target>,
    hub: &'a HubView,
    /// The patches of its nodes, if what is known of them is new enough.
    patches: Option<&'a PatchesOfNodes>,
    cloud: &'a TargetView,
    matching: &'a Matching,
}

/// Plans what is told. The verdicts of all other capabilities are in the plan.
pub(in crate::plan) fn plan(scene: &Scene<'_, '_>, fleet: &Fleet, cloud: &Cloud, plan: &mut Plan) {
    let settings = &scene.policy.report.findings;
    if scene.memory.withdrawing && settings.mode != Mode::Enforce {
        return withdraw::plan(scene, cloud, plan);
    }
    if settings.mode == Mode::Off {
        return;
    }
    let sinks = sinks(scene);
    let busy = busy(scene.memory);
    let book = reconcile::book(scene.memory, &sinks, &busy, scene.now, plan);
    let told: HashSet<Spot> = book
        .records
        .values()
        .filter(|record| record.state == State::Open)
        .filter_map(|record| subject::spot(&record.object))
        .collect();
    let twins = twins(scene);
    let gathered = gather::gather(scene, &sinks, &told, &twins, plan);
    let sights = Sights {
        scene,
        fleet,
        gathered: &gathered,
        twins: &twins,
        instances: OnceCell::new(),
        all_current: OnceCell::new(),
    };
    let owner = (&*scene.memory.installation).into();
    let sight = |object: &Object, rule: &RuleId| sights.of(object, rule);
    let mut life = life::plan(&gathered.problems, &book, sight, &owner, &life_policy(settings), scene.now);
    let former = Former::of(&sinks, Reach::of(scene.policy, cloud));
    let able: BTreeSet<&Target> = sinks
        .iter()
        .flatten()
        .filter(|sink| sink.hub.trouble().is_none())
        .map(|sink| &*sink.target)
        .collect();
    let mut steps = Steps::of(plan);
    let over = former.forgotten(&book, scene.now);
    let is_able = |target: &Target| able.contains(target) || former.is_within_reach(target);
    life.changes.retain(|change| {
        let Change { record, .. } = change;
        is_able(&record.target) && !busy.contains(&record.id) && !over.ids.contains(&record.id)
    });
    // What the guard judges is judged as a whole, and what it holds must not keep anything else from being sent.
    let (gone, mut changes): (Vec<_>, Vec<_>) =
        life.changes.drain(..).partition(|change| is_guarded(scene, change));
    life.held_back = changes.len().saturating_sub(settings.most_per_cycle);
    changes.truncate(settings.most_per_cycle);
    for id in life.forget.iter().chain(&over.ids).filter(|id| !busy.contains(*id)) {
        steps.put(&book, FindingChange { id: id.clone(), record: None });
    }
    send(scene, &book, &changes, &mut steps, plan);
    send(scene, &book, &gone, &mut steps, plan);
    steps.into(plan);
    life.changes = changes;
    life.changes.extend(gone);
    plan.next = [plan.next, life.next, over.next].into_iter().flatten().min();
    patch::plan(scene, &sinks, plan);
    verdicts(scene, &sinks, &book, &life, &busy, plan);
    plan.findings = Some(FindingsPlan {
        hubs: hubs(scene, &sinks, &former, &gathered.problems, &book, &life.changes),
        out_of_reach: former.out_of_reach(&book),
        refused: life.refused,
        foreign: life.foreign,
        waiting: life.waiting,
        held_back: life.held_back,
        unseen: life.unseen,
    });
}

fn life_policy(settings: &FindingsSettings) -> life::Policy {
    life::Policy {
        folding: match settings.folding {
            FindingFolding::Folded => Folding::Folded,
            FindingFolding::Full => Folding::Full,
        },
        refresh_after: SignedDuration::try_from(settings.refresh_after).unwrap_or(SignedDuration::MAX),
        // What is left out is left out before it is counted.
        most_per_cycle: NonZeroUsize::MAX,
        ..life::Policy::default()
    }
}

/// What is known of each target, where that is enough.
fn sinks<'s>(scene: &'s Scene<'_, '_>) -> Vec<Option<Sink<'s>>> {
    let targets = scene.policy.targets.iter().zip(scene.matchings);
    let sinks = targets.map(|(target, matching)| {
        let (nodes, cloud, matching) = matching.as_ref().ok()?;
        let hub = &*cloud.hub;
        let place = hub.place.clone()?;
        Some(Sink {
            name: &target.name,
            nodes,
            target: reach::target(&place).into(),
            place,
            hub,
            patches: hub.patches.fresh(scene.now, patch::OLDEST),
            cloud,
            matching,
        })
    });
    sinks.collect()
}

/// vCenters that are there twice. Which of the two an id means cannot be told, so nothing is certain of their objects.
fn twins(scene: &Scene<'_, '_>) -> HashSet<VcenterUuid> {
    let mut once = HashSet::default();
    scene.parts.iter().filter_map(|(part, _)| part.uuid()).filter(|uuid| !once.insert(*uuid)).collect()
}

/// Findings that are being sent, or of which it is being found out what became of them.
fn busy(memory: &Memory) -> BTreeSet<FindingId> {
    let sent = memory.open.values().filter_map(|open| match &open.action {
        Action::ImportFindings { findings, .. } | Action::CloseFindings { findings, .. } => Some(findings),
        _ => None,
    });
    sent.flatten().map(|sent| sent.id.clone()).collect()
}

/// Whether the guard has to judge a change: what it is about is gone, and nobody has approved that it ends. A login that lost its
/// view makes everything look gone.
fn is_guarded(scene: &Scene<'_, '_>, change: &Change) -> bool {
    if scene.policy.guard.max_change_percent >= 100 || change.kind != ChangeKind::Resolve(Resolution::Gone) {
        return false;
    }
    let fingerprint = Sent::of(change).gone_fingerprint(&reach::place(&change.record.target));
    let approved = scene.memory.approvals.get(&fingerprint);
    approved.is_none_or(|until| *until <= scene.now)
}

/// Makes calls of changes.
fn send(scene: &Scene<'_, '_>, book: &Book, changes: &[Change], steps: &mut Steps, plan: &mut Plan) {
    let batches = life::batches(changes);
    for change in batches.too_large {
        let (code, message) = ("TooLarge".into(), "a finding has 240 KB at most".into());
        let record = life::settle(change, &Outcome::Refused { code, message }, scene.now);
        steps.put(book, FindingChange { id: change.record.id.clone(), record });
    }
    for batch in batches.batches {
        let place = reach::place(batch.target);
        let findings = batch.changes.iter().map(|change| Sent::of(change)).collect();
        let label = label(&batch.changes);
        let changes = batch.changes.into_iter().cloned().collect();
        plan.actions.push(planned(match batch.call {
            Call::Import => Action::ImportFindings { place, label, findings, changes },
            Call::Close => Action::CloseFindings { place, label, findings, changes },
        }));
    }
}

/// How many, and of whom.
fn label(changes: &[&Change]) -> Arc<str> {
    let name = |change: &Change| {
        let fields = &change.record.content.product_fields;
        let name = fields.get(&format!("{PREFIX}name")).map(String::as_str);
        name.unwrap_or(change.record.object.moref.as_str()).to_owned()
    };
    let objects: BTreeSet<&Object> = changes.iter().map(|change| &change.record.object).collect();
    let of = changes.first().map(|first| name(first)).unwrap_or_default();
    let more = match objects.len() {
        0 | 1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    let count = changes.len();
    format!("{count} {} of {of}{more}", if count == 1 { "finding" } else { "findings" }).into()
}

fn hubs(
    scene: &Scene<'_, '_>,
    sinks: &[Option<Sink<'_>>],
    former: &Former<'_>,
    problems: &[Problem],
    book: &Book,
    changes: &[Change],
) -> Vec<HubPlan> {
    let others = strangers::of(&book.others, &book.records, scene.parts.iter().map(|(part, _)| *part));
    type Counts<'p> = (usize, HashSet<(&'p Object, &'p Family)>, HashSet<(&'p Object, &'p RuleId)>);
    let mut counts: HashMap<&Target, Counts<'_>> = HashMap::new();
    for problem in problems {
        let (count, folded, full) = counts.entry(&*problem.target).or_default();
        *count += 1;
        folded.insert((&problem.subject.object, &problem.family));
        full.insert((&problem.subject.object, &problem.rule));
    }
    let (mut open, mut changing) = (BTreeMap::<&Target, usize>::new(), BTreeMap::<&Target, usize>::new());
    for record in book.records.values().filter(|record| record.state == State::Open && record.may_exist()) {
        *open.entry(&record.target).or_default() += 1;
    }
    for change in changes {
        *changing.entry(&change.record.target).or_default() += 1;
    }
    let mut hubs: BTreeMap<Place, HubPlan> = BTreeMap::new();
    for sink in sinks.iter().flatten() {
        let warnings = warning(sink).into_iter();
        if let Some(known) = hubs.get_mut(&sink.place) {
            known.warnings.extend(warnings);
            continue;
        }
        let (problems, folded, full) = counts
            .get(&*sink.target)
            .map_or((0, 0, 0), |(count, folded, full)| (*count, folded.len(), full.len()));
        hubs.insert(
            sink.place.clone(),
            HubPlan {
                place: sink.place.clone(),
                problems,
                folded,
                full,
                open: open.get(&*sink.target).copied().unwrap_or_default(),
                changes: changing.get(&*sink.target).copied().unwrap_or_default(),
                trouble: sink.hub.trouble(),
                warnings: others.warnings(&sink.place).chain(warnings).collect(),
            },
        );
    }
    for (target, open) in open {
        let place = reach::place(target);
        let Some(warning) = former.warning(target).filter(|_| !hubs.contains_key(&place)) else { continue };
        let changes = changing.get(target).copied().unwrap_or_default();
        let warnings = vec![warning];
        let hub = HubPlan { place, problems: 0, folded: 0, full: 0, open, changes, trouble: None, warnings };
        hubs.insert(hub.place.clone(), hub);
    }
    hubs.into_values().collect()
}

/// What a person should know of how findings are copied from Region to Region. No finding of ours is there twice: each is sent to
/// one Region, and Security Hub copies it. But some may be missed where people look for them.
fn warning(sink: &Sink<'_>) -> Option<String> {
    let aggregation = sink.hub.aggregation.value.as_deref()?.as_ref()?;
    let (home, here, nodes) = (&aggregation.home, sink.place.region(), sink.nodes.region());
    if aggregation.covers(here) == Some(false) {
        return Some(format!(
            "findings of {here} are not copied to the aggregation Region {home}; link {here} to it, or set `findings_region = \"{home}\"`"
        ));
    }
    if here != nodes && aggregation.covers(nodes) == Some(false) {
        return Some(format!(
            "findings of Patch Manager are in {nodes}, which is not linked to the aggregation Region {home}; they cannot be seen from {here}"
        ));
    }
    None
}

/// Says of each VM how it stands with its findings.
fn verdicts(
    scene: &Scene<'_, '_>,
    sinks: &[Option<Sink<'_>>],
    book: &Book,
    life: &life::Plan,
    busy: &BTreeSet<FindingId>,
    plan: &mut Plan,
) {
    #[derive(Default)]
    struct Standing<'b> {
        open: usize,
        refused: usize,
        changes: bool,
        busy: bool,
        failure: Option<&'b life::Failure>,
        foreign: Option<(usize, &'b Option<Owner>)>,
    }
    let mut standings: HashMap<Spot, Standing<'_>> = HashMap::new();
    let of_vm = |object: &Object| subject::spot(object).filter(|spot| spot.0 == Kind::Vm);
    for record in book.records.values() {
        let Some(spot) = of_vm(&record.object) else { continue };
        let standing = standings.entry(spot).or_default();
        standing.open += usize::from(record.state == State::Open && record.may_exist());
        standing.busy |= busy.contains(&record.id);
        match &record.failure {
            Some(failure) if failure.permanent => standing.refused += 1,
            Some(failure) if failure.retry_at > scene.now => {
                let first = standing.failure.is_none_or(|known| failure.retry_at < known.retry_at);
                standing.failure = if first { Some(failure) } else { standing.failure };
            }
            _ => {}
        }
    }
    for change in &life.changes {
        if let Some(spot) = of_vm(&change.record.object) {
            standings.entry(spot).or_default().changes = true;
        }
    }
    for foreign in &life.foreign {
        if let Some(spot) = of_vm(&foreign.object) {
            standings.entry(spot).or_default().foreign.get_or_insert((0, &foreign.owner)).0 += 1;
        }
    }
    for (number, candidate) in scene.candidates.iter().enumerate() {
        let spot = (Kind::Vm, candidate.id.vcenter, candidate.id.vm.clone());
        let standing = standings.get(&spot);
        let hindered = standing.and_then(|standing| match standing.failure {
            _ if standing.busy => Some(Reason::UnderWay),
            Some(failure) => Some(Reason::Failed {
                failures: failure.attempts,
                retry_at: failure.retry_at,
                reason: failure.message.to_string(),
            }),
            None => None,
        });
        let blocked = blocked(scene, sinks, number);
        let changes = standing.is_some_and(|standing| standing.changes);
        let reason = match (blocked, changes) {
            (Some(blocked), _) => Some(blocked),
            (None, true) => None,
            (None, false) => Some(hindered.unwrap_or(Reason::InStep)),
        };
        let counts = standing.map_or((0, 0), |standing| (standing.open, standing.refused));
        let mut notes = match counts {
            (0, 0) => Vec::new(),
            (open, refused) => vec![Note::Findings { open, refused }],
        };
        notes.extend(standing.and_then(|standing| standing.foreign).map(|(count, owner)| {
            Note::FindingsOfOthers { count, installation: owner.as_ref().map(|id| id.as_str().into()) }
        }));
        if let Some(vm) = plan.vms.get_mut(number) {
            *vm.verdict_mut(Capability::Findings) = CapabilityVerdict { reason, notes };
        }
    }
}

/// Why nothing can be told of a VM.
fn blocked(scene: &Scene<'_, '_>, sinks: &[Option<Sink<'_>>], number: usize) -> Option<Reason> {
    let candidate = &scene.candidates[number];
    let target = match &candidate.route {
        Ok(target) => *target,
        Err(reason) => return Some(reason.clone()),
    };
    if let Some(stale) = &scene.parts[candidate.part].1 {
        return Some(stale.clone());
    }
    let unreadable = |why: String| {
        Some(Reason::TargetUnreadable { target: scene.policy.targets[target].name.clone(), why })
    };
    if let Err(why) = &scene.matchings[target] {
        return unreadable(why.clone());
    }
    let Some(sink) = &sinks[target] else {
        return unreadable("Security Hub is being asked for the first time".to_owned());
    };
    sink.hub.trouble().map(|why| Reason::HubUnusable { place: sink.place.clone(), why })
}
