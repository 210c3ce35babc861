//! What happens when windows open.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::soap::session::random_uuid;

use super::super::patch_findings::{self, Due};
use super::super::state::{Region, State};
use super::{
    AwsPatchOutcome, AwsPatchRun, Execution, Invocation, NodeRun, PatchState, TaskExecution, Window,
};

/// Commands reach agents so fast, and are given up after so long when there is no agent.
const UNDELIVERED: SignedDuration = SignedDuration::from_mins(10);
/// Openings that happen at once, after a very long time in which nobody looked.
const MOST: usize = 100_000;

/// Lets everything happen that is due, in order.
pub(in super::super) fn advance(state: &mut State) {
    let now = state.window_time();
    for held in state.regions.values_mut() {
        for _ in 0..MOST {
            let due = held.windows.windows.iter().filter_map(|(id, window)| {
                let opening = window.next(window.seen)?;
                (opening <= now).then(|| (opening, id.clone()))
            });
            let Some((opening, id)) = due.min() else { break };
            open(held, &id, opening);
            if let Some(window) = held.windows.windows.get_mut(&id) {
                window.seen = opening;
            }
        }
        for window in held.windows.windows.values_mut() {
            window.seen = window.seen.max(now);
        }
    }
    patch_findings::write(state, now);
    for held in state.regions.values_mut() {
        held.findings.forget(now);
    }
}

impl Execution {
    /// When the last of its nodes is done.
    pub(super) fn end(&self) -> Timestamp {
        self.tasks.iter().map(TaskExecution::end).max().unwrap_or(self.start)
    }
}

impl TaskExecution {
    pub(super) fn end(&self) -> Timestamp {
        self.invocations.iter().map(Invocation::end).max().unwrap_or(self.start)
    }
}

impl Invocation {
    pub(super) fn end(&self) -> Timestamp {
        self.nodes.iter().map(|run| run.end).max().unwrap_or(Timestamp::MIN)
    }
}

fn open(held: &mut Region, id: &str, opening: Timestamp) {
    let Some(window) = held.windows.windows.get(id).cloned() else { return };
    let before = held.windows.executions.values().filter(|execution| execution.window == id);
    let skipped = before.into_iter().any(|execution| !execution.skipped && execution.end() > opening);
    let mut execution =
        Execution { id: random_uuid(), window: id.to_owned(), start: opening, skipped, tasks: Vec::new() };
    if !skipped {
        let mut tasks: Vec<_> = window.tasks.values().collect();
        tasks.sort_by_key(|task| task["Priority"].as_i64());
        let no_more = opening + window.hours("Duration") - window.hours("Cutoff");
        let (mut start, mut priority) = (opening, None);
        for task in tasks {
            // Tasks of the same priority run together, others one after the other.
            if priority.is_some() && priority != task["Priority"].as_i64() {
                start = execution.end().max(start);
            }
            priority = task["Priority"].as_i64();
            let run = perform(held, &window, task, &execution, start, no_more);
            execution.tasks.push(run);
        }
    }
    held.windows.executions.insert(execution.id.clone(), execution);
}

/// Runs a task on everything that it reaches at this moment.
fn perform(
    held: &mut Region,
    window: &Window,
    task: &Value,
    execution: &Execution,
    start: Timestamp,
    no_more: Timestamp,
) -> TaskExecution {
    let document = task["TaskArn"].as_str().unwrap_or_default().to_owned();
    let mut run = TaskExecution {
        id: random_uuid(),
        document: document.clone(),
        kind: task["TaskType"].as_str().unwrap_or_default().to_owned(),
        start,
        too_late: start > no_more,
        invocations: Vec::new(),
    };
    if run.too_late {
        return run;
    }
    let command = &task["TaskInvocationParameters"]["RunCommand"]["Parameters"];
    for (target, sets) in parts(window, task) {
        let nodes = reached(held, &sets);
        let named = sets.iter().all(|set| set["Key"] == "InstanceIds");
        let name = document.rsplit('/').next().unwrap_or_default();
        let mut invocation = |nodes: &[String], about: Value| {
            let mut parameters = json!({ "documentName": name, "parameters": command });
            if let (Value::Object(all), Value::Object(about)) = (&mut parameters, about) {
                all.extend(about);
            }
            let ends = nodes.iter().map(|node| on_node(held, node, execution, task, name, start)).collect();
            run.invocations.push(Invocation {
                id: random_uuid(),
                target: target.clone(),
                parameters: parameters.to_string(),
                nodes: ends,
            });
        };
        if named {
            for node in nodes {
                let about = json!({ "instanceIds": [node.as_str()] });
                invocation(&[node], about);
            }
        } else {
            let targets: Vec<Value> =
                sets.iter().map(|set| json!({ "key": set["Key"], "values": set["Values"] })).collect();
            invocation(&nodes, json!({ "targets": targets }));
        }
    }
    run
}

/// What a task runs on: registered targets, and what it names itself.
fn parts(window: &Window, task: &Value) -> Vec<(Option<String>, Vec<Value>)> {
    let mut parts = Vec::new();
    let mut own = Vec::new();
    for set in task["Targets"].as_array().into_iter().flatten() {
        if set["Key"] != "WindowTargetIds" {
            own.push(set.clone());
            continue;
        }
        for id in set["Values"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let target = window.targets.get(id);
            let sets = target.and_then(|target| target["Targets"].as_array()).cloned().unwrap_or_default();
            parts.push((Some(id.to_owned()), sets));
        }
    }
    if !own.is_empty() {
        parts.push((None, own));
    }
    parts
}

/// The nodes that fit all conditions, by the tags that they have now.
fn reached(held: &Region, sets: &[Value]) -> Vec<String> {
    let fits = |node: &str, tags: &BTreeMap<String, String>, set: &Value| {
        let values: Vec<&str> =
            set["Values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        match set["Key"].as_str().unwrap_or_default() {
            "InstanceIds" => values.contains(&node),
            "tag-key" => values.iter().any(|key| tags.contains_key(*key)),
            "resource-groups:Name" => values.iter().any(|name| is_member(held, name, node, tags)),
            "resource-groups:ResourceTypeFilters" => {
                values.iter().any(|kind| kind.eq_ignore_ascii_case("AWS::SSM::ManagedInstance"))
            }
            key => {
                let value = key.strip_prefix("tag:").and_then(|key| tags.get(key));
                value.is_some_and(|value| values.contains(&value.as_str()))
            }
        }
    };
    let registered = held.nodes.iter().filter(|(_, node)| node.info.now().is_some());
    let all = registered.filter(|(id, node)| {
        let tags = node.tags_now();
        !sets.is_empty() && sets.iter().all(|set| fits(id, &tags, set))
    });
    all.map(|(id, _)| id.clone()).collect()
}

/// Whether a node belongs to a group.
pub(super) fn is_member(held: &Region, name: &str, node: &str, tags: &BTreeMap<String, String>) -> bool {
    held.windows.groups.get(name).is_some_and(|group| {
        group.nodes.contains(node)
            || (!group.tags.is_empty() && group.tags.iter().all(|(key, value)| tags.get(key) == Some(value)))
    })
}

fn parameter<'a>(task: &'a Value, name: &str) -> Option<&'a str> {
    let of = &task["TaskInvocationParameters"]["RunCommand"]["Parameters"][name];
    let of = of.as_array().or_else(|| task["TaskParameters"][name]["Values"].as_array());
    of?.first()?.as_str()
}

/// What the task does on a node.
fn on_node(
    held: &mut Region,
    node: &str,
    execution: &Execution,
    task: &Value,
    document: &str,
    start: Timestamp,
) -> NodeRun {
    let found = held.node(node).map(|(node, info)| (node.tags_now(), info.ping_status == "Online"));
    let (tags, online) = found.unwrap_or_default();
    let script = held.windows.scripts.nodes.get(node).copied().unwrap_or(held.windows.scripts.all);
    let patches = document.starts_with("AWS-RunPatchBaseline");
    let outcome = if !online {
        AwsPatchOutcome::Undeliverable
    } else if patches && parameter(task, "Operation") == Some("Scan") {
        AwsPatchOutcome::Scanned
    } else if document == "AWS-RunPatchBaselineWithHooks" && is_held(held, task, node, &tags) {
        AwsPatchOutcome::Refused
    } else {
        script.outcome
    };
    let end = match outcome {
        AwsPatchOutcome::Undeliverable => start + UNDELIVERED,
        _ => start + SignedDuration::from_secs(i64::from(script.seconds)),
    };
    if patches {
        let state = held.windows.patch_states.entry(node.to_owned()).or_default();
        state.group = tags.get("Patch Group").or_else(|| tags.get("PatchGroup")).cloned().unwrap_or_default();
        state.patched(outcome, start, end);
        if !matches!(outcome, AwsPatchOutcome::Refused | AwsPatchOutcome::Undeliverable) {
            let leaves = PatchState { before: None, ..state.clone() };
            held.windows.due.push(Due { at: end, node: node.to_owned(), leaves });
        }
        held.windows.runs.push(AwsPatchRun {
            time: start,
            ended: end,
            node: node.to_owned(),
            window: execution.window.clone(),
            execution: execution.id.clone(),
            document: document.to_owned(),
            outcome,
        });
    }
    let ends = match outcome {
        AwsPatchOutcome::Installed | AwsPatchOutcome::RebootPending | AwsPatchOutcome::Scanned => "SUCCESS",
        AwsPatchOutcome::Undeliverable => "TIMED_OUT",
        AwsPatchOutcome::Failed | AwsPatchOutcome::Refused => "FAILED",
    };
    NodeRun { end, ends }
}

/// Whether the hook of the task fails on a node.
fn is_held(held: &Region, task: &Value, node: &str, tags: &BTreeMap<String, String>) -> bool {
    let hook = parameter(task, "PreInstallHookDocName").and_then(|hook| hook.rsplit('/').next());
    hook.and_then(|hook| held.windows.hooks.get(hook)).is_some_and(|hook| {
        hook.nodes.contains(node) || hook.tag.as_ref().is_some_and(|key| tags.contains_key(key))
    })
}

impl PatchState {
    pub(in super::super) fn patched(&mut self, outcome: AwsPatchOutcome, start: Timestamp, end: Timestamp) {
        let operation = match outcome {
            // Nothing came of it, and nothing is told.
            AwsPatchOutcome::Refused | AwsPatchOutcome::Undeliverable => return,
            AwsPatchOutcome::Scanned => "Scan",
            AwsPatchOutcome::Installed | AwsPatchOutcome::RebootPending | AwsPatchOutcome::Failed => {
                "Install"
            }
        };
        self.before = self.operation.map(|operation| {
            Box::new(PatchState { before: None, operation: Some(operation), ..self.clone() })
        });
        self.operation = Some((operation, start, end));
        let missing = std::mem::take(&mut self.missing) + std::mem::take(&mut self.failed);
        match outcome {
            AwsPatchOutcome::Installed => {
                self.installed += missing + std::mem::take(&mut self.pending_reboot);
            }
            AwsPatchOutcome::RebootPending => self.pending_reboot += missing.max(1),
            AwsPatchOutcome::Failed => self.failed = missing.max(1),
            AwsPatchOutcome::Scanned | AwsPatchOutcome::Refused | AwsPatchOutcome::Undeliverable => {
                self.missing = missing;
            }
        }
    }

    /// What AWS tells of it at a moment: a run shows when it is over.
    pub(in super::super) fn at(&self, now: Timestamp) -> Option<&Self> {
        let (_, _, end) = self.operation?;
        if end <= now { Some(self) } else { self.before.as_deref() }
    }
}
