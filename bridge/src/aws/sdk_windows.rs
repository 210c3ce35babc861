//! Answers about maintenance windows and patches, from the types of the SDK to ours. What cannot be read is left out or
//! marked as unknown; nothing here fails.

use std::time::Duration;

use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types::{
    InstancePatchState, MaintenanceWindowExecutionStatus, MaintenanceWindowExecutionTaskIdentity,
    MaintenanceWindowExecutionTaskInvocationIdentity, MaintenanceWindowIdentity, MaintenanceWindowTaskType,
    PatchOperationType, Target,
};
use jiff::Timestamp;
use serde::Deserialize;

use super::window::{
    ExecutionStatus, ExecutionTask, Invocation, TargetSet, TaskKind, TaskParameters, WindowExecution,
    WindowIdentity, WindowTarget, WindowTask,
};
use super::{NodeId, PatchOperation, PatchState, WindowId};

/// A window is open for a day at most.
const LONGEST_HOURS: i32 = 24;

pub(super) fn identity(told: MaintenanceWindowIdentity) -> Option<WindowIdentity> {
    let hours = |hours: i32| {
        let hours = u64::try_from(hours.clamp(0, LONGEST_HOURS)).unwrap_or(0);
        Duration::from_secs(hours * 3600)
    };
    Some(WindowIdentity {
        id: WindowId::of_window(told.window_id.as_deref()?)?,
        name: told.name.unwrap_or_default().into(),
        enabled: told.enabled,
        schedule: told.schedule.unwrap_or_default().into(),
        time_zone: text(told.schedule_timezone),
        duration: hours(told.duration.unwrap_or(LONGEST_HOURS)),
        cutoff: hours(told.cutoff),
        next: text(told.next_execution_time),
    })
}

/// A moment of a schedule, such as `2026-12-01T02:00Z` or `2026-12-01T03:00:00+01:00`.
pub(super) fn moment(written: &str) -> Option<Timestamp> {
    written.parse().ok()
}

pub(super) fn sets(told: Option<Vec<Target>>) -> Vec<TargetSet> {
    let set = |target: Target| {
        let values = target.values.unwrap_or_default().into_iter().map(Into::into);
        // Without a key nobody knows what it takes; the resolver says so.
        TargetSet { key: target.key.unwrap_or_default().into(), values: values.collect() }
    };
    told.unwrap_or_default().into_iter().map(set).collect()
}

pub(super) fn target(told: aws_sdk_ssm::types::MaintenanceWindowTarget) -> Option<WindowTarget> {
    Some(WindowTarget { id: told.window_target_id?.into(), name: text(told.name), sets: sets(told.targets) })
}

pub(super) fn task(told: aws_sdk_ssm::types::MaintenanceWindowTask) -> Option<WindowTask> {
    Some(WindowTask {
        id: told.window_task_id?.into(),
        name: text(told.name),
        kind: match told.r#type {
            Some(MaintenanceWindowTaskType::RunCommand) => TaskKind::RunCommand,
            Some(MaintenanceWindowTaskType::Automation) => TaskKind::Automation,
            Some(_) | None => TaskKind::Other,
        },
        document: told.task_arn.unwrap_or_default().into(),
        sets: sets(told.targets),
        parameters: None,
    })
}

/// The parameters that are kept, from whatever holds the first value of each.
pub(super) fn parameters(mut first: impl FnMut(&str) -> Option<String>) -> TaskParameters {
    let mut get = |name: &str| text(first(name));
    TaskParameters {
        operation: get("Operation"),
        pre_install_hook: get("PreInstallHookDocName").map(Into::into),
        reboot: get("RebootOption"),
        baseline_snapshot: get("SnapshotId"),
    }
}

pub(super) fn execution(told: aws_sdk_ssm::types::MaintenanceWindowExecution) -> Option<WindowExecution> {
    Some(WindowExecution {
        id: told.window_execution_id?.into(),
        status: status(told.status.as_ref()),
        details: text(told.status_details),
        started: told.start_time.as_ref().and_then(time),
        ended: told.end_time.as_ref().and_then(time),
    })
}

pub(super) fn execution_task(told: MaintenanceWindowExecutionTaskIdentity) -> Option<ExecutionTask> {
    Some(ExecutionTask {
        id: told.task_execution_id?.into(),
        document: told.task_arn.unwrap_or_default().into(),
        status: status(told.status.as_ref()),
    })
}

pub(super) fn invocation(told: MaintenanceWindowExecutionTaskInvocationIdentity) -> Invocation {
    Invocation {
        status: status(told.status.as_ref()),
        details: text(told.status_details),
        target: text(told.window_target_id).map(|id| String::from(id).into()),
        nodes: told.parameters.as_deref().map(named_nodes).unwrap_or_default(),
    }
}

/// The nodes that the parameters of an invocation name. What else they hold is not looked at.
fn named_nodes(parameters: &str) -> Vec<NodeId> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parameters {
        #[serde(default)]
        instance_ids: Vec<String>,
    }
    let read: Option<Parameters> = serde_json::from_str(parameters).ok();
    let ids = read.map(|read| read.instance_ids).unwrap_or_default();
    ids.iter().filter_map(|id| NodeId::of_managed_instance(id)).collect()
}

pub(super) fn patch_state(told: &InstancePatchState) -> Option<(NodeId, PatchState)> {
    let count = |count: i32| u32::try_from(count).unwrap_or(0);
    let state = PatchState {
        operation: match told.operation {
            PatchOperationType::Scan => PatchOperation::Scan,
            PatchOperationType::Install => PatchOperation::Install,
            _ => PatchOperation::Unknown,
        },
        started: time(&told.operation_start_time)?,
        ended: time(&told.operation_end_time)?,
        installed: count(told.installed_count),
        installed_other: count(told.installed_other_count),
        pending_reboot: count(told.installed_pending_reboot_count.unwrap_or(0)),
        rejected: count(told.installed_rejected_count.unwrap_or(0)),
        missing: count(told.missing_count),
        failed: count(told.failed_count),
        last_without_reboot: told.last_no_reboot_install_operation_time.as_ref().and_then(time),
    };
    Some((NodeId::of_managed_instance(&told.instance_id)?, state))
}

fn status(told: Option<&MaintenanceWindowExecutionStatus>) -> ExecutionStatus {
    match told {
        Some(MaintenanceWindowExecutionStatus::Pending) => ExecutionStatus::Pending,
        Some(MaintenanceWindowExecutionStatus::InProgress) => ExecutionStatus::InProgress,
        Some(MaintenanceWindowExecutionStatus::Success) => ExecutionStatus::Success,
        Some(MaintenanceWindowExecutionStatus::Failed) => ExecutionStatus::Failed,
        Some(MaintenanceWindowExecutionStatus::TimedOut) => ExecutionStatus::TimedOut,
        Some(MaintenanceWindowExecutionStatus::Cancelling) => ExecutionStatus::Cancelling,
        Some(MaintenanceWindowExecutionStatus::Cancelled) => ExecutionStatus::Cancelled,
        Some(MaintenanceWindowExecutionStatus::SkippedOverlapping) => ExecutionStatus::SkippedOverlapping,
        Some(_) | None => ExecutionStatus::Unknown,
    }
}

/// An empty text says as much as none.
fn text(told: Option<String>) -> Option<Box<str>> {
    told.filter(|text| !text.is_empty()).map(Into::into)
}

/// To the millisecond: what happened in one second is told apart.
pub(super) fn time(time: &DateTime) -> Option<Timestamp> {
    time.to_millis().ok().and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_schedules_are_read_in_every_form_of_the_standard() {
        let expected: Timestamp = "2026-12-01T02:00:00Z".parse().unwrap();
        for written in [
            "2026-12-01T02:00Z",
            "2026-12-01T02:00:00Z",
            "2026-12-01T02:00:00.000Z",
            "2026-12-01T03:00+01:00",
            "2026-11-30T20:30:00-05:30",
        ] {
            assert_eq!(moment(written), Some(expected), "{written}");
        }
        for rubbish in ["", "soon", "2026-12-01", "2026-12-01T02:00", "99999-01-01T00:00Z"] {
            assert_eq!(moment(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn an_invocation_names_nodes_or_none() {
        let node = NodeId::from("mi-0123456789abcdef0");
        let told = r#"{"documentName":"AWS-RunPatchBaseline","instanceIds":["mi-0123456789abcdef0","i-1",""],"parameters":{}}"#;
        assert_eq!(named_nodes(told), [node]);
        for nothing in ["", "{", "[]", r#"{"targets":[]}"#, r#"{"instanceIds":"mi-0123456789abcdef0"}"#] {
            assert_eq!(named_nodes(nothing), [], "{nothing}");
        }
    }

    #[test]
    fn hours_out_of_range_are_brought_into_it() {
        let told = |duration: Option<i32>| {
            let told = MaintenanceWindowIdentity::builder().window_id("mw-0123456789abcdef0").cutoff(-1);
            identity(told.set_duration(duration).build()).unwrap()
        };
        for (hours, expected) in [(Some(3), 3), (Some(-3), 0), (Some(i32::MAX), 24), (None, 24)] {
            assert_eq!(told(hours).duration, Duration::from_secs(expected * 3600));
        }
        assert_eq!(told(None).cutoff, Duration::ZERO);
        assert!(identity(MaintenanceWindowIdentity::builder().window_id("mw-1").build()).is_none());
    }
}
