//! What is told of enrolments and nodes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::enrol::{Enrolment, Stage};
use crate::plan::{Capability, Plan, Reason, View, VmPlan};

/// The answer to a wish that VMs be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Those that are enrolled now, by `<vCenter>/<managed object id>`.
    pub vms: Vec<String>,
    /// Why others are not: name and sentence, with the fix.
    pub not: Vec<(String, String)>,
}

/// How far an enrolment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrolmentDocument {
    /// `<vCenter>/<managed object id>`
    pub vm: String,
    /// The VM's name.
    pub name: String,
    /// The word for its stage.
    pub stage: String,
    /// Whether it is on its way.
    pub active: bool,
    /// Since when it is at this stage.
    pub since: String,
    /// The node, if it is known.
    pub node: Option<String>,
    /// Why it fails, with the fix.
    pub problem: Option<String>,
}

impl EnrolmentDocument {
    pub(super) fn of(vm: &VmPlan, enrolment: &Enrolment, asked: bool) -> Self {
        // A node whose agent is to be seen to is at rest only when that was done.
        let reason = vm.verdict(Capability::Enrol).reason.as_ref();
        let is_next = asked && matches!(reason, None | Some(Reason::WaitsForOthers | Reason::UnderWay));
        let problem = enrolment.problem.as_ref().map(|problem| match &problem.fix {
            Some(fix) => format!("{}: {}; {fix}", problem.word, problem.sentence),
            None => format!("{}: {}", problem.word, problem.sentence),
        });
        Self {
            vm: named(vm),
            name: vm.label.to_string(),
            stage: enrolment.stage.word().to_owned(),
            active: enrolment.stage.is_active() || is_next,
            since: enrolment.since.to_string(),
            node: enrolment.node.as_ref().map(ToString::to_string),
            problem,
        }
    }
}

/// A managed node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeDocument {
    /// The target of the configuration.
    pub target: String,
    /// Its id.
    pub node: String,
    /// The VM that it is: `<vCenter>/<managed object id>`.
    pub vm: Option<String>,
    /// The VM's name.
    pub name: Option<String>,
    /// Why it is taken for that VM.
    pub basis: Option<String>,
    /// Whether the agent reports: `online`, `connection lost`, `inactive`, `state unknown`.
    pub ping: String,
    /// When it last did.
    pub last_ping: Option<String>,
    /// Version of SSM Agent.
    pub agent_version: Option<String>,
    /// When it was registered.
    pub registered: Option<String>,
    /// Its tags, whoever wrote them.
    pub tags: BTreeMap<String, String>,
    /// What somebody should look at.
    pub problem: Option<String>,
}

/// How a VM is named to people and programs.
pub(super) fn named(vm: &VmPlan) -> String {
    format!("{}/{}", vm.vcenter.as_str(), vm.vm.vm)
}

/// A reason as one line.
pub(super) fn line(reason: &Reason) -> String {
    match reason.fix() {
        Some(fix) => format!("{}; {fix}", reason.sentence()),
        None => reason.sentence(),
    }
}

/// All nodes of all targets, in the order of targets and names.
pub(super) fn nodes(view: &View<'_>, plan: &Plan) -> Vec<NodeDocument> {
    let mut nodes = Vec::new();
    for target in &view.policy.targets {
        let Some(cloud) = view.cloud.target(&target.name) else { continue };
        for (id, node) in &cloud.nodes {
            let is_it = |vm: &&VmPlan| {
                vm.target.as_ref() == Some(&target.name)
                    && vm.link.as_ref().is_some_and(|link| link.node == *id)
            };
            let vm = plan.vms.iter().find(is_it);
            let lone = plan.lone.iter().find(|(at, lone, _)| *at == target.name && lone == id);
            let troubles = vm
                .into_iter()
                .flat_map(|vm| &vm.verdicts)
                .filter_map(|verdict| verdict.reason.as_ref().filter(|reason| reason.is_problem()).map(line));
            nodes.push(NodeDocument {
                target: target.name.to_string(),
                node: id.to_string(),
                vm: vm.map(named),
                name: vm.map(|vm| vm.label.to_string()),
                basis: vm.and_then(|vm| Some(vm.link.as_ref()?.basis.word().to_owned())),
                ping: node.ping.words().to_owned(),
                last_ping: node.last_ping.map(|time| time.to_string()),
                agent_version: node.agent_version.as_deref().map(str::to_owned),
                registered: node.registered.map(|time| time.to_string()),
                tags: cloud
                    .tags
                    .get(id)
                    .into_iter()
                    .flat_map(|tags| tags.iter())
                    .map(|(key, value)| (key.to_string(), value.to_string()))
                    .collect(),
                problem: lone
                    .map(|(_, _, why)| format!("{}; {}", why.sentence(), why.fix()))
                    .or_else(|| troubles.into_iter().next()),
            });
        }
    }
    nodes.sort_by(|one, other| {
        (&one.target, &one.name, &one.node).cmp(&(&other.target, &other.name, &other.node))
    });
    nodes
}

/// How far all enrolments are, in the order of their names.
pub(super) fn enrolments(view: &View<'_>, plan: &Plan) -> Vec<EnrolmentDocument> {
    let document =
        |vm: &VmPlan| match (view.memory.enrolments.get(&vm.vm), &vm.verdict(Capability::Enrol).reason) {
            (Some(enrolment), _) => {
                Some(EnrolmentDocument::of(vm, enrolment, view.memory.asked.contains(&vm.vm)))
            }
            // A guest that refuses everybody is left as it was, so nothing else is known of it.
            (None, Some(reason @ Reason::CredentialsRefused(_))) => Some(EnrolmentDocument {
                vm: named(vm),
                name: vm.label.to_string(),
                stage: "refused".to_owned(),
                active: false,
                since: view.now.to_string(),
                node: None,
                problem: Some(format!("{}: {}", reason.word(), line(reason))),
            }),
            (None, _) => None,
        };
    let mut documents: Vec<_> = plan.vms.iter().filter_map(document).collect();
    documents.sort_by(|one, other| (&one.name, &one.vm).cmp(&(&other.name, &other.vm)));
    documents
}

/// Whether a person's wish to enrol this VM can be met now.
pub(super) fn can_be_asked(reason: Option<&Reason>, stage: Option<Stage>) -> bool {
    stage.is_some_and(Stage::is_active)
        || matches!(reason, None | Some(Reason::WaitsForOthers | Reason::UnderWay))
}
