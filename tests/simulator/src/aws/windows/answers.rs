//! What SSM and Resource Groups tell of windows, their executions, patch states and groups.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::vcenter::lock;

use super::super::access::node_arn;
use super::super::caller::Wish;
use super::super::error::Error;
use super::super::patches::is_windows;
use super::super::service::{Call, invalid};
use super::super::state::{State, seconds};
use super::run::is_member;
use super::{Execution, Invocation, TaskExecution, Window, Windows};

/// So many openings of a window are told at most.
const OPENINGS: usize = 100;
/// How many are told when nobody says.
const PAGE: usize = 50;

/// What is asked for does not exist.
pub(super) fn gone(what: &str) -> Error {
    Error::bad("DoesNotExistException", format!("{what} does not exist"))
}

/// The windows of the caller's Region.
pub(super) fn held<'a>(state: &'a State, call: &Call<'_>) -> Option<&'a Windows> {
    state.region(&call.caller.account, &call.caller.region).map(|held| &held.windows)
}

fn window<'a>(state: &'a State, call: &Call<'_>) -> Result<&'a Window, Error> {
    let id = call.text("WindowId").unwrap_or_default();
    held(state, call)
        .and_then(|held| held.windows.get(id))
        .ok_or_else(|| gone(&format!("Maintenance window {id}")))
}

fn execution<'a>(state: &'a State, call: &Call<'_>) -> Result<&'a Execution, Error> {
    let id = call.text("WindowExecutionId").unwrap_or_default();
    held(state, call)
        .and_then(|held| held.executions.get(id))
        .ok_or_else(|| gone(&format!("Window execution {id}")))
}

/// The page that is asked for, of items that are sorted by their keys.
fn page(call: &Call<'_>, member: &str, items: Vec<(String, Value)>) -> Result<Value, Error> {
    let most = call.number("MaxResults").unwrap_or(PAGE);
    let query = call.query(&["NextToken", "MaxResults"]);
    let after = match call.text("NextToken") {
        Some(token) => {
            let taken = call.shared.tokens.take(&query, token);
            Some(taken.ok_or_else(|| invalid(call.service, "The specified token is not valid."))?)
        }
        None => None,
    };
    let mut rest = items.into_iter().skip_while(|(key, _)| after.as_ref().is_some_and(|after| key <= after));
    let mut last = String::new();
    let list: Vec<Value> = rest
        .by_ref()
        .take(most)
        .map(|(key, item)| {
            last = key;
            item
        })
        .collect();
    let mut answer = json!({ member: list });
    if rest.next().is_some() {
        answer["NextToken"] = call.shared.tokens.give(&query, &last).into();
    }
    Ok(answer)
}

/// The filters of a request, if they have no other keys than these.
fn filters<'a>(call: &'a Call<'_>, known: &[&str]) -> Result<Vec<(&'a str, Vec<&'a str>)>, Error> {
    let mut filters = Vec::new();
    for filter in call.list("Filters") {
        let key = filter["Key"].as_str().unwrap_or_default();
        if !known.contains(&key) {
            return Err(invalid(call.service, format!("{key} is not a valid filter key")));
        }
        let values = filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        filters.push((key, values.collect()));
    }
    Ok(filters)
}

/// A moment as schedules write it.
fn written(moment: Timestamp) -> String {
    let form = if moment.as_second() % 60 == 0 { "%Y-%m-%dT%H:%MZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    moment.strftime(form).to_string()
}

/// DescribeMaintenanceWindows.
pub(in super::super) fn list(call: &Call<'_>) -> Result<Value, Error> {
    let filters = filters(call, &["Name", "Enabled"])?;
    let state = lock(&call.shared.state);
    let now = state.window_time();
    let fits = |window: &Window| {
        filters.iter().all(|(key, values)| match *key {
            "Name" => values.iter().any(|value| window.told["Name"] == **value),
            _ => values.iter().any(|value| value.eq_ignore_ascii_case(&window.is_enabled().to_string())),
        })
    };
    let windows = held(&state, call).into_iter().flat_map(|held| &held.windows);
    let told = windows.filter(|(_, window)| fits(window)).map(|(id, window)| {
        let mut told = window.told.clone();
        if let Some(next) = window.next(now) {
            told["NextExecutionTime"] = written(next).into();
        }
        (id.clone(), told)
    });
    page(call, "WindowIdentities", told.collect())
}

/// DescribeMaintenanceWindowSchedule.
pub(in super::super) fn schedule_of(call: &Call<'_>) -> Result<Value, Error> {
    filters(call, &[])?;
    let state = lock(&call.shared.state);
    let now = state.window_time();
    let wanted = call.input.get("Targets").filter(|targets| !targets.is_null());
    let has = |window: &Window| {
        wanted.is_none_or(|wanted| window.targets.values().any(|target| target["Targets"] == *wanted))
    };
    let windows: Vec<(&str, &Window)> = match call.text("WindowId") {
        Some(id) => vec![(id, window(&state, call)?)],
        None => {
            let all = held(&state, call).into_iter().flat_map(|held| &held.windows);
            all.map(|(id, window)| (id.as_str(), window)).collect()
        }
    };
    let mut items = Vec::new();
    for (id, window) in windows.into_iter().filter(|(_, window)| has(window)) {
        for opening in std::iter::successors(window.next(now), |last| window.next(*last)).take(OPENINGS) {
            let told =
                json!({ "WindowId": id, "Name": window.told["Name"], "ExecutionTime": written(opening) });
            items.push((format!("{:020} {id}", opening.as_second()), told));
        }
    }
    items.sort_by(|one, other| one.0.cmp(&other.0));
    page(call, "ScheduledWindowExecutions", items)
}

/// DescribeMaintenanceWindowTargets.
pub(in super::super) fn target_list(call: &Call<'_>) -> Result<Value, Error> {
    let filters = filters(call, &["Type", "WindowTargetId", "OwnerInformation"])?;
    let state = lock(&call.shared.state);
    let member = |key: &str| if key == "Type" { "ResourceType".to_owned() } else { key.to_owned() };
    let fits = |target: &Value| {
        filters.iter().all(|(key, values)| values.iter().any(|value| target[member(key)] == **value))
    };
    let targets = window(&state, call)?.targets.iter().filter(|(_, target)| fits(target));
    page(call, "Targets", targets.map(|(id, target)| (id.clone(), target.clone())).collect())
}

/// DescribeMaintenanceWindowTasks.
pub(in super::super) fn task_list(call: &Call<'_>) -> Result<Value, Error> {
    let filters = filters(call, &["WindowTaskId", "TaskArn", "Priority", "TaskType"])?;
    let state = lock(&call.shared.state);
    let fits = |task: &Value| {
        filters.iter().all(|(key, values)| {
            let found = match &task[*key] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            values.iter().any(|value| *value == found)
        })
    };
    let tasks = window(&state, call)?.tasks.iter().filter(|(_, task)| fits(task)).map(|(id, task)| {
        let mut told = task.clone();
        if let Value::Object(members) = &mut told {
            // The listing keeps these to itself, and calls the type by another name.
            members.remove("TaskInvocationParameters");
            let kind = members.remove("TaskType").unwrap_or_default();
            members.insert("Type".to_owned(), kind);
        }
        (id.clone(), told)
    });
    page(call, "Tasks", tasks.collect())
}

/// GetMaintenanceWindowTask.
pub(in super::super) fn task(call: &Call<'_>) -> Result<Value, Error> {
    let state = lock(&call.shared.state);
    let id = call.text("WindowTaskId").unwrap_or_default();
    let found = window(&state, call)?.tasks.get(id).cloned();
    found.ok_or_else(|| gone(&format!("Maintenance window task {id}")))
}

/// How several things are together.
fn together(statuses: impl Iterator<Item = &'static str>) -> &'static str {
    let rank = |status: &&str| match *status {
        "PENDING" | "IN_PROGRESS" => 3,
        "FAILED" => 2,
        "TIMED_OUT" => 1,
        _ => 0,
    };
    match statuses.max_by_key(rank) {
        None => "SUCCESS",
        Some("PENDING") => "IN_PROGRESS",
        Some(worst) => worst,
    }
}

impl Invocation {
    fn status(&self, start: Timestamp, now: Timestamp) -> &'static str {
        if now < start {
            return "PENDING";
        }
        together(self.nodes.iter().map(|run| if run.end <= now { run.ends } else { "IN_PROGRESS" }))
    }
}

impl TaskExecution {
    fn status(&self, now: Timestamp) -> &'static str {
        if self.too_late {
            return "TIMED_OUT";
        }
        if now < self.start {
            return "PENDING";
        }
        together(self.invocations.iter().map(|invocation| invocation.status(self.start, now)))
    }
}

impl Execution {
    pub(super) fn status(&self, now: Timestamp) -> &'static str {
        if self.skipped {
            return "SKIPPED_OVERLAPPING";
        }
        // For a moment it has not begun.
        if now.duration_since(self.start) < jiff::SignedDuration::from_secs(1) {
            return "PENDING";
        }
        together(self.tasks.iter().map(|task| task.status(now)))
    }
}

fn ended(told: &mut Value, status: &str, end: Timestamp) {
    if !matches!(status, "PENDING" | "IN_PROGRESS") {
        told["EndTime"] = seconds(end);
    }
}

/// DescribeMaintenanceWindowExecutions.
pub(in super::super) fn executions(call: &Call<'_>) -> Result<Value, Error> {
    let mut bounds = Vec::new();
    for (key, values) in filters(call, &["ExecutedBefore", "ExecutedAfter"])? {
        let moment = values.first().and_then(|value| value.parse::<Timestamp>().ok());
        let moment = moment.ok_or_else(|| invalid(call.service, format!("{key} needs a date and time")))?;
        bounds.push((key == "ExecutedAfter", moment));
    }
    let state = lock(&call.shared.state);
    let now = state.window_time();
    let id = call.text("WindowId").unwrap_or_default();
    let all = held(&state, call).into_iter().flat_map(|held| held.executions.values());
    let fits = |execution: &&Execution| {
        execution.window == id && bounds.iter().all(|(after, moment)| (execution.start > *moment) == *after)
    };
    let mut told: Vec<_> = all
        .filter(fits)
        .map(|execution| {
            let status = execution.status(now);
            let mut told = json!({
                "WindowId": id, "WindowExecutionId": execution.id, "Status": status,
                "StartTime": seconds(execution.start),
            });
            ended(&mut told, status, execution.end());
            (format!("{:020} {}", i64::MAX - execution.start.as_second(), execution.id), told)
        })
        .collect();
    // The newest first.
    told.sort_by(|one, other| one.0.cmp(&other.0));
    page(call, "WindowExecutions", told)
}

/// DescribeMaintenanceWindowExecutionTasks.
pub(in super::super) fn tasks_of_execution(call: &Call<'_>) -> Result<Value, Error> {
    let filters = filters(call, &["STATUS"])?;
    let state = lock(&call.shared.state);
    let now = state.window_time();
    let found = execution(&state, call)?;
    let mut told = Vec::new();
    for (at, task) in found.tasks.iter().enumerate() {
        let status = task.status(now);
        if !filters.iter().all(|(_, values)| values.contains(&status)) {
            continue;
        }
        let mut one = json!({
            "WindowExecutionId": found.id, "TaskExecutionId": task.id, "Status": status,
            "StartTime": seconds(task.start), "TaskArn": task.document, "TaskType": task.kind,
        });
        ended(&mut one, status, task.end());
        told.push((format!("{at:09}"), one));
    }
    page(call, "WindowExecutionTaskIdentities", told)
}

/// DescribeMaintenanceWindowExecutionTaskInvocations.
pub(in super::super) fn invocations(call: &Call<'_>) -> Result<Value, Error> {
    let filters = filters(call, &["STATUS"])?;
    let state = lock(&call.shared.state);
    let now = state.window_time();
    let found = execution(&state, call)?;
    let id = call.text("TaskId").unwrap_or_default();
    let task = found.tasks.iter().find(|task| task.id == id).ok_or_else(|| gone(&format!("Task {id}")))?;
    let mut told = Vec::new();
    for (at, invocation) in task.invocations.iter().enumerate() {
        let status = invocation.status(task.start, now);
        if !filters.iter().all(|(_, values)| values.contains(&status)) {
            continue;
        }
        let mut one = json!({
            "WindowExecutionId": found.id, "TaskExecutionId": task.id, "InvocationId": invocation.id,
            "ExecutionId": invocation.id, "TaskType": task.kind, "Parameters": invocation.parameters,
            "Status": status, "StartTime": seconds(task.start),
        });
        if let Some(target) = &invocation.target {
            one["WindowTargetId"] = target.clone().into();
        }
        ended(&mut one, status, invocation.end().max(task.start));
        told.push((format!("{at:09}"), one));
    }
    page(call, "WindowExecutionTaskInvocationIdentities", told)
}

/// DescribeInstancePatchStates.
pub(in super::super) fn patch_states(call: &Call<'_>) -> Result<Value, Error> {
    let state = lock(&call.shared.state);
    let now = state.window_time();
    let mut told = Vec::new();
    let held = state.region(&call.caller.account, &call.caller.region);
    for id in call.list("InstanceIds").iter().filter_map(Value::as_str) {
        let Some(held) = held.filter(|held| held.node(id).is_some()) else { continue };
        let Some(known) = held.windows.patch_states.get(id).and_then(|known| known.at(now)) else { continue };
        let Some((operation, start, end)) = known.operation else { continue };
        let [critical, security, other] = known.non_compliant(is_windows(held, id));
        let mut one = json!({
            "InstanceId": id, "BaselineId": "pb-0123456789abcdef0",
            // The model wants a text; a node without a patch group has the default one.
            "PatchGroup": if known.group.is_empty() { "default" } else { known.group.as_str() },
            "InstalledCount": known.installed, "InstalledOtherCount": 0, "InstalledRejectedCount": 0,
            "InstalledPendingRebootCount": known.pending_reboot, "MissingCount": known.missing,
            "FailedCount": known.failed, "NotApplicableCount": 0, "UnreportedNotApplicableCount": 0,
            "CriticalNonCompliantCount": critical, "SecurityNonCompliantCount": security,
            "OtherNonCompliantCount": other, "Operation": operation,
            "OperationStartTime": seconds(start), "OperationEndTime": seconds(end),
        });
        if operation == "Install" {
            one["RebootOption"] = "RebootIfNeeded".into();
        }
        told.push((id.to_owned(), one));
    }
    told.sort_by(|one, other| one.0.cmp(&other.0));
    told.dedup_by(|one, other| one.0 == other.0);
    page(call, "InstancePatchStates", told)
}

/// What ListGroupResources wants, for policies.
pub(in super::super) fn groups_wishes(call: &Call<'_>) -> Vec<Wish> {
    let name = call.text("Group").or_else(|| call.text("GroupName")).unwrap_or("*");
    let arn = if name.starts_with("arn:") {
        name.to_owned()
    } else {
        format!("arn:aws:resource-groups:{}:{}:group/{name}", call.caller.region, call.caller.account)
    };
    vec![Wish::new(format!("resource-groups:{}", call.operation), arn)]
}

/// ListGroupResources.
pub(in super::super) fn members(call: &Call<'_>) -> Result<Value, Error> {
    let (group, name) = (call.text("Group"), call.text("GroupName"));
    let name = match (group, name) {
        (Some(name), None) | (None, Some(name)) => name.rsplit('/').next().unwrap_or(name),
        (Some(name), Some(older)) if name == older => name,
        _ => return Err(invalid(call.service, "Either Group or GroupName is needed")),
    };
    let types: Vec<&str> = call
        .list("Filters")
        .iter()
        .flat_map(|filter| filter["Values"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    let state = lock(&call.shared.state);
    let held = state.region(&call.caller.account, &call.caller.region);
    let held = held.filter(|held| held.windows.groups.contains_key(name));
    let held =
        held.ok_or_else(|| Error::new(404, "NotFoundException", format!("Cannot find group {name}")))?;
    let moment = state.seen(|delay| delay.tagging);
    let mut items = Vec::new();
    for (id, node) in &held.nodes {
        let Some(Some(info)) = node.info.at(moment) else { continue };
        let tags = node.tags.at(moment).and_then(Option::as_deref).cloned().unwrap_or_default();
        let kind = if info.is_managed() { "AWS::SSM::ManagedInstance" } else { "AWS::EC2::Instance" };
        if !is_member(held, name, id, &tags) || !(types.is_empty() || types.contains(&kind)) {
            continue;
        }
        let arn = node_arn(&call.caller.account, &call.caller.region, id);
        items.push((id.clone(), json!({ "ResourceArn": arn, "ResourceType": kind })));
    }
    let mut answer = page(call, "ResourceIdentifiers", items)?;
    let told = answer["ResourceIdentifiers"].as_array().cloned().unwrap_or_default();
    let resources = told.into_iter().map(|identifier| {
        let mut one = Map::new();
        one.insert("Identifier".to_owned(), identifier);
        Value::Object(one)
    });
    answer["Resources"] = resources.collect();
    Ok(answer)
}
