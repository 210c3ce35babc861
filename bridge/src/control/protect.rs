//! What a person decides about snapshots: to take some now, to remove one, to adopt one, to take VMs back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use mappings::backup::is_backup_snapshot;
use mappings::protection::{Event, Record, Stage, Wish};
use mappings::snapshot::hazard::{Hazard, Quiesce};
use mappings::snapshot::name::Mark;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vsphere_client::model::{PowerState, SnapshotTree, unescape_name};

use super::desk::json;
use super::rollback::{RollbackQuery, is_ready, is_seen, record_called, rollback};
use super::selection::Selection;
use super::snapshots::{SnapshotDocument, id_of, is_ours, named, trees, view_of};
use super::{Desk, PlanQuery, Refusal};
use crate::config::Mode;
use crate::plan::{OnDemand, Unfit, View, kept_for, new_id, on_demand};
use crate::store::VmId;

/// The longest reason, in characters.
const LONGEST_REASON: usize = 200;
/// The shortest time that a snapshot is kept.
const SHORTEST_KEEP: SignedDuration = SignedDuration::from_mins(1);
/// The longest time. Policies may ask for no more either.
const LONGEST_KEEP: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A wish for snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TakeQuery {
    /// VMs, as a person names them.
    pub vms: Vec<String>,
    /// VMs that any of these selects.
    pub selectors: Vec<String>,
    /// Why.
    pub reason: String,
    /// How long they are kept.
    pub keep: Duration,
    /// `required`, `preferred` or `off`; as the policy says if there is none.
    pub quiesce: Option<String>,
    /// Whether the memory goes into them.
    pub memory: bool,
}

/// The answer to a wish for snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenDocument {
    /// Those that are taken now, as soon as the limits allow it.
    pub taken: Vec<TakenVmDocument>,
    /// VMs of which none is taken, and why.
    pub refused: Vec<RefusedVmDocument>,
}

/// A VM whose snapshot is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenVmDocument {
    /// The id of the record.
    pub record: String,
    /// `<vCenter>/<managed object id>`
    pub vm: String,
    /// The VM's name.
    pub name: String,
    /// What passes by itself, and is waited for.
    pub waits: Vec<HazardDocument>,
    /// What else there is to know.
    pub warnings: Vec<HazardDocument>,
}

/// A VM of which no snapshot is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedVmDocument {
    /// `<vCenter>/<managed object id>`
    pub vm: String,
    /// The VM's name.
    pub name: String,
    /// Why.
    pub why: Vec<HazardDocument>,
}

/// Something in the way of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HazardDocument {
    /// The word for it.
    pub hazard: String,
    /// One sentence.
    pub sentence: String,
    /// What to do.
    pub fix: Option<String>,
}

impl From<&Hazard> for HazardDocument {
    fn from(hazard: &Hazard) -> Self {
        Self {
            hazard: hazard.word().to_owned(),
            sentence: hazard.sentence(),
            fix: Some(hazard.fix().to_owned()),
        }
    }
}

/// What was begun with snapshots that are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// The ids of their records.
    pub records: Vec<String>,
    /// Of what it was not begun, and why: the VM's name and a sentence.
    pub not: Vec<(String, String)>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// How far a snapshot is, and its VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotProgress {
    /// The snapshot.
    pub snapshot: SnapshotDocument,
    /// Failures in a row of what is being tried.
    pub failures: u32,
    /// Whether what failed last may pass by itself.
    pub passes: bool,
    /// The VM's node.
    pub node: Option<NodeProgress>,
}

/// A node after its VM was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeProgress {
    /// Its id.
    pub id: String,
    /// Whether the agent was heard of since the VM was as it is now.
    pub is_back: bool,
    /// How the agent is, in words.
    pub ping: String,
}

/// A reason that a person gave, if it may stand in records, names and descriptions.
fn reason(text: &str) -> Result<Arc<str>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Refusal("say why with --reason: whoever finds the snapshot wants to know".to_owned()));
    }
    if text.chars().count() > LONGEST_REASON {
        return Err(Refusal(format!("the reason is longer than {LONGEST_REASON} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal(
            "the reason has characters that cannot be seen; it is one line of text".to_owned(),
        ));
    }
    Ok(text.into())
}

fn keep(keep: Duration) -> Result<SignedDuration, Refusal> {
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    if keep < SHORTEST_KEEP || keep > LONGEST_KEEP {
        return Err(Refusal("a snapshot is kept for 1 minute to 14 days".to_owned()));
    }
    Ok(keep)
}

fn quiesce(word: &str) -> Result<Quiesce, Refusal> {
    match word {
        "required" => Ok(Quiesce::Required),
        "preferred" => Ok(Quiesce::Preferred),
        "off" => Ok(Quiesce::Off),
        other => Err(Refusal(format!("`{other}` is no way to quiesce; there are required, preferred, off"))),
    }
}

/// Why nothing could be done about snapshots at all.
fn is_able(view: &View<'_>) -> Result<(), Refusal> {
    if view.policy.snapshots.mode == Mode::Off {
        return Err(Refusal("snapshots are off: write `mode = \"observe\"` in [snapshots]".to_owned()));
    }
    if view.memory.copied {
        return Err(Refusal(
            "the state was last used on another machine, so this may be a copy of it: nothing is changed until `vmbridge state claim`"
                .to_owned(),
        ));
    }
    match &view.memory.store_error {
        Some(error) => Err(Refusal(error.clone())),
        None => Ok(()),
    }
}

impl Desk {
    /// Takes snapshots of VMs that are fit for one.
    pub(super) async fn take(&self, query: TakeQuery) -> Result<Value, Refusal> {
        let reason = reason(&query.reason)?;
        let keep = keep(query.keep)?;
        let quiesce = query.quiesce.as_deref().map(quiesce).transpose()?;
        if query.vms.is_empty() && query.selectors.is_empty() {
            return Err(Refusal("name VMs or give a --selector".to_owned()));
        }
        self.engine.look(is_able)?;
        let mut vms = HashSet::new();
        if !query.vms.is_empty() {
            let plan = self.engine.plan();
            for text in &query.vms {
                vms.insert(self.vm(&plan, text)?.id);
            }
        }
        if !query.selectors.is_empty() {
            let selected = self.engine.look(|view| {
                let query = PlanQuery { selectors: query.selectors.clone(), ..PlanQuery::default() };
                Selection::of(view.fleet, &query)
            })?;
            vms.extend(selected.into_vms().into_iter().flatten());
        }
        let wish = OnDemand { vms, reason, keep, quiesce, memory: query.memory };
        let answers = self.engine.look(|view| on_demand(view, &wish));
        let mut out = TakenDocument::default();
        for answer in answers {
            let vm = format!("{}/{}", answer.vcenter.as_str(), answer.vm.vm);
            let name = answer.label.to_string();
            match answer.record {
                Ok(record) => {
                    let told = record.key().to_string();
                    self.engine.put_record(&answer.vm, record).await?;
                    out.taken.push(TakenVmDocument {
                        record: told,
                        vm,
                        name,
                        waits: answer.waits.iter().map(HazardDocument::from).collect(),
                        warnings: answer.warnings.iter().map(HazardDocument::from).collect(),
                    });
                }
                Err(unfit) => out.refused.push(RefusedVmDocument { vm, name, why: why(&unfit) }),
            }
        }
        json(&out)
    }

    /// Removes snapshots of vmbridge's: all that are named, or none.
    pub(super) async fn remove(&self, what: &[String]) -> Result<Value, Refusal> {
        self.engine.look(is_able)?;
        let plan = self.engine.plan();
        let mut found: Vec<(VmId, Record)> = Vec::new();
        for text in what {
            let by_record = self
                .engine
                .look(|view| record_called(view, text).map(|(vm, record)| (vm.clone(), record.clone())));
            let one = match by_record {
                Ok(found) => found,
                Err(no_record) => {
                    let Ok(vm) = self.vm(&plan, text) else {
                        return Err(self.neither(text, no_record, &plan));
                    };
                    self.engine.look(|view| only_one(view, &vm.id, text))?
                }
            };
            self.engine.look(|view| {
                let seen = is_seen(view, &one.0, &one.1, view_of(view.fleet, &one.0).as_ref());
                seen.map_err(|why| Refusal(format!("{}: {why}", one.1.label)))
            })?;
            if !found.iter().any(|(vm, record)| *vm == one.0 && record.key() == one.1.key()) {
                found.push(one);
            }
        }
        let mut out = Begun::default();
        for (vm, record) in found {
            let event = Event::Wished(Wish::Remove);
            match self.engine.wish(&vm, &record, event, record.was_on).await? {
                Some(record) => {
                    if let Some(run) = record.run.as_ref().filter(|run| self.engine.now() < run.opens) {
                        out.notes.push(format!(
                            "{}: the window `{}` of {:.0} is still to come, so another one is taken for it",
                            record.label, run.name, run.opens
                        ));
                    }
                    out.records.push(record.key().to_string());
                }
                None => out.not.push((record.label.to_string(), cannot(&record))),
            }
        }
        json(&out)
    }

    /// What a text is that is neither a record nor a VM.
    fn neither(&self, text: &str, no_record: Refusal, plan: &crate::plan::Plan) -> Refusal {
        let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id { no_record } else { self.vm(plan, text).err().unwrap_or(no_record) }
    }

    /// Takes a snapshot over that is there and has no record.
    pub(super) async fn adopt(
        &self,
        vm: &str,
        snapshot: &str,
        keep_for: Duration,
        foreign: bool,
    ) -> Result<Value, Refusal> {
        let keep_for = keep(keep_for)?;
        self.engine.look(is_able)?;
        let named = self.vm(&self.engine.plan(), vm)?;
        let record = self.engine.look(|view| adopted(view, &named.id, snapshot, keep_for, foreign))?;
        let told = format!(
            "the snapshot `{}` of {} is vmbridge's from now on, with the record {}; it is removed at {:.0}",
            record.name,
            record.label,
            record.key(),
            record.remove_at().unwrap_or(record.since)
        );
        self.engine.put_record(&named.id, record).await?;
        json(&told)
    }

    /// Takes VMs back to the snapshots of these records.
    pub(super) async fn revert(&self, records: &[String]) -> Result<Value, Refusal> {
        self.engine.look(is_able)?;
        let mut out = Begun::default();
        for text in records {
            let looked = self.engine.look(|view| {
                let (vm, record) = record_called(view, text)?;
                let found = view_of(view.fleet, vm);
                let was_on = found.as_ref().is_some_and(|vm| vm.power() == Some(PowerState::PoweredOn));
                let ready = is_ready(view, vm, record, found.as_ref());
                Ok::<_, Refusal>((vm.clone(), record.clone(), was_on, ready))
            })?;
            let (vm, record, was_on, ready) = looked;
            if let Err(why) = ready {
                out.not.push((record.label.to_string(), why));
                continue;
            }
            match self.engine.wish(&vm, &record, Event::Wished(Wish::Revert), was_on).await? {
                Some(record) => out.records.push(record.key().to_string()),
                None => out.not.push((record.label.to_string(), cannot(&record))),
            }
        }
        json(&out)
    }

    /// What taking VMs back means.
    pub(super) fn look_back(&self, query: &RollbackQuery) -> Result<Value, Refusal> {
        self.engine.look(is_able)?;
        json(&self.engine.look(|view| rollback(view, query))?)
    }

    /// How far the snapshots of these records are; with `nodes`, their nodes too.
    pub(super) fn snapshot_progress(&self, records: &[String], nodes: bool) -> Result<Value, Refusal> {
        let told = self.engine.look(|view| {
            // A plan says which node is which VM, and takes its time.
            let plan = nodes.then(|| view.plan());
            records
                .iter()
                .map(|text| {
                    let (vm, record) = record_called(view, text)?;
                    let planned = plan.as_ref().and_then(|plan| plan.vms.iter().find(|one| one.vm == *vm));
                    let link =
                        planned.and_then(|planned| Some((planned.target.as_ref()?, planned.link.as_ref()?)));
                    let node =
                        link.and_then(|(target, link)| view.cloud.target(target)?.nodes.get(&link.node));
                    Ok(SnapshotProgress {
                        snapshot: SnapshotDocument::of(view, vm, record),
                        failures: record.failures,
                        passes: record.trouble.as_ref().is_none_or(|trouble| trouble.passes),
                        node: node.map(|node| NodeProgress {
                            id: node.id.to_string(),
                            is_back: node.ping == crate::aws::Ping::Online
                                && node.last_ping.is_some_and(|at| at >= record.since),
                            ping: node.ping.words().to_owned(),
                        }),
                    })
                })
                .collect::<Result<Vec<_>, Refusal>>()
        })?;
        json(&told)
    }
}

fn why(unfit: &Unfit) -> Vec<HazardDocument> {
    let one = |hazard: &str, sentence: String, fix: Option<String>| {
        vec![HazardDocument { hazard: hazard.to_owned(), sentence, fix }]
    };
    match unfit {
        Unfit::Hazards(why) => why.iter().map(HazardDocument::from).collect(),
        Unfit::Not(reason) => {
            one(reason.word(), reason.sentence(), reason.fix().map(std::borrow::Cow::into_owned))
        }
        Unfit::OnItsWay(record) => one(
            "onItsWay",
            format!("a snapshot of it is on its way already, with the record {record}"),
            Some("`vmbridge run` takes it, or `vmbridge sync`".to_owned()),
        ),
        Unfit::NoMark => one(
            "noMark",
            "its ids in vSphere cannot stand in the description of a snapshot, so it could not be found again".to_owned(),
            None,
        ),
    }
}

/// Why a wish came to nothing.
fn cannot(record: &Record) -> String {
    match record.stage {
        Stage::Create | Stage::Creating { .. } | Stage::Failed { .. } => "its snapshot is not there yet",
        Stage::Ended { .. } => "its snapshot is not there any more",
        Stage::Remove
        | Stage::Removing { .. }
        | Stage::Check
        | Stage::Consolidate
        | Stage::Consolidating { .. } => "its snapshot is being removed already",
        _ => "something is being done to the VM now; try again when that has ended",
    }
    .to_owned()
}

/// The one snapshot of vmbridge's that a VM has.
fn only_one(view: &View<'_>, vm: &VmId, text: &str) -> Result<(VmId, Record), Refusal> {
    let records = view.memory.protections.get(vm);
    let there = |record: &&Record| record.stage.is_active() && record.snapshot.is_some();
    let found: Vec<&Record> =
        records.into_iter().flat_map(|records| records.values()).filter(there).collect();
    match found[..] {
        [one] => Ok((vm.clone(), one.clone())),
        [] => Err(Refusal(format!(
            "{text} has no snapshot of vmbridge's, and nothing else is ever removed; `vmbridge snapshot list` has them all"
        ))),
        _ => {
            let ids: Vec<&str> = found.iter().map(|record| record.key().as_str()).collect();
            Err(Refusal(format!(
                "{text} has {} snapshots of vmbridge's; say which: {}",
                ids.len(),
                ids.join(", ")
            )))
        }
    }
}

/// The record of a snapshot that is there and has none.
fn adopted(
    view: &View<'_>,
    vm: &VmId,
    text: &str,
    keep: SignedDuration,
    foreign: bool,
) -> Result<Record, Refusal> {
    let found = view_of(view.fleet, vm);
    let told = named(found.as_ref(), vm);
    let Some(found) = found else { return Err(Refusal(format!("{told} has just gone"))) };
    let trees = trees(&found).ok_or_else(|| Refusal(format!("the snapshots of {told} may not be read")))?;
    let tree = tree_called(&trees, text, &told)?;
    let (Some(snapshot), Some(created)) = (id_of(tree), tree.created) else {
        return Err(Refusal(format!(
            "vCenter does not say all that has to be known of the snapshot `{text}`"
        )));
    };
    let records = view.memory.protections.get(vm);
    let known = records.into_iter().flatten().map(|(_, record)| record);
    let mut known = known.filter(|record| record.stage.is_active());
    let claimed = known.clone().find(|record| record.snapshot.as_ref() == Some(&snapshot));
    if let Some(record) = claimed {
        return Err(Refusal(format!("{snapshot} is vmbridge's already, with the record {}", record.key())));
    }
    let mark = Mark::parse(&tree.description);
    let ours = mark.as_ref().filter(|mark| is_ours(mark, vm, &view.memory.installation));
    let id = ours.map(crate::engine::record_id);
    if let Some(record) =
        known.find(|record| record.snapshot.is_none() && id.as_deref() == Some(record.id.as_str()))
    {
        return Err(Refusal(format!("{snapshot} is being taken now, with the record {}", record.key())));
    }
    if ours.is_none() && !foreign {
        let by = mark.map_or("somebody else made it".to_owned(), |mark| {
            format!("the vmbridge {} made it", mark.owner())
        });
        return Err(Refusal(format!(
            "{snapshot} does not carry the mark of this vmbridge: {by}. With --foreign it is adopted all the same, and removed after --keep"
        )));
    }
    let name = unescape_name(&tree.name);
    if is_backup_snapshot(&name) {
        return Err(Refusal(format!("{snapshot} belongs to a backup: its product removes it")));
    }
    let part = view.fleet.parts().find(|part| part.uuid() == Some(vm.vcenter));
    let probe = Record {
        snapshot: Some(snapshot.clone()),
        ..Record::new("".into(), "".into(), None, kept_for(keep), created)
    };
    if part.is_none() || is_seen(view, vm, &probe, Some(&found)).is_err() {
        return Err(Refusal(format!("the vCenter of {told} cannot be read now")));
    }
    // Kept for so long from now on, however old it is.
    let age = view.now.duration_since(created).max(SignedDuration::ZERO);
    let id = new_id(view.memory, vm, &format!("adopted\n{snapshot}"));
    Ok(Record {
        stage: Stage::Kept,
        reason: Some("adopted".into()),
        name: name.as_ref().into(),
        snapshot: Some(snapshot),
        created: Some(created),
        quiesce: tree.quiesced,
        memory: tree.state.as_ref().and_then(vsphere_client::xml::Named::known)
            == Some(PowerState::PoweredOn),
        began: view.now,
        since: view.now,
        ..Record::new(id.into(), found.label(), None, kept_for(age.saturating_add(keep)), view.now)
    })
}

/// The snapshot that a person names by its managed object id or its name.
fn tree_called<'a>(trees: &[&'a SnapshotTree], text: &str, vm: &str) -> Result<&'a SnapshotTree, Refusal> {
    let by_id = trees.iter().find(|tree| id_of(tree).is_some_and(|id| id.as_str() == text));
    let by_name: Vec<&&SnapshotTree> =
        trees.iter().filter(|tree| unescape_name(&tree.name) == text).collect();
    match (by_id, &by_name[..]) {
        (Some(one), _) => Ok(one),
        (None, [one]) => Ok(one),
        (None, []) => Err(Refusal(format!(
            "{vm} has no snapshot `{text}`; name it by its managed object id, as `vmbridge snapshot list` shows it"
        ))),
        (None, several) => {
            let ids: Vec<String> =
                several.iter().filter_map(|tree| id_of(tree)).map(|id| id.to_string()).collect();
            Err(Refusal(format!(
                "{vm} has {} snapshots `{text}`; say which: {}",
                several.len(),
                ids.join(", ")
            )))
        }
    }
}
