//! Snapshots through vCenter, in the session that observes it.

use mappings::protection::{Act, SnapshotId, TaskId, Trouble};
use vsphere_client::error::{Error, chain};
use vsphere_client::ids::{SnapshotRef, TaskRef};
use vsphere_client::model::{SnapshotInfo, TaskFailure, TaskInfo};
use vsphere_client::vcenter::snapshot::{Quiesce, SnapshotFault, SnapshotSpec};
use vsphere_client::vcenter::{Vcenter, WriteError};

use super::hands::EffectError;
use super::snapshot::{Look, OnVm, Shot, SnapshotPort, Spec, TaskSeen};
use super::vsphere::{Arm, Purpose, VsphereHands, moref, read_error};
use crate::store::VmId;

impl SnapshotPort for VsphereHands {
    fn create<'a>(&'a self, vm: &'a VmId, spec: &'a Spec) -> OnVm<'a, TaskId> {
        Box::pin(async move {
            let arm = self.arm(vm.vcenter).await?;
            let object = moref(vm);
            let wanted = SnapshotSpec {
                name: spec.name.to_string(),
                description: spec.description.to_string(),
                memory: spec.memory,
                quiesce: if spec.quiesce { Quiesce::On } else { Quiesce::Off },
            };
            let call = arm.client.create_snapshot(&object, &wanted);
            self.begin(&arm, "CreateSnapshot", call).await
        })
    }

    fn remove<'a>(&'a self, vm: &'a VmId, snapshot: &'a SnapshotId) -> OnVm<'a, TaskId> {
        Box::pin(async move {
            let arm = self.arm(vm.vcenter).await?;
            let snapshot = SnapshotRef::new(snapshot.as_str());
            self.begin(&arm, "RemoveSnapshot", arm.client.remove_snapshot(&snapshot, true)).await
        })
    }

    fn revert<'a>(&'a self, vm: &'a VmId, snapshot: &'a SnapshotId) -> OnVm<'a, TaskId> {
        Box::pin(async move {
            let arm = self.arm(vm.vcenter).await?;
            let snapshot = SnapshotRef::new(snapshot.as_str());
            self.begin(&arm, "RevertToSnapshot", arm.client.revert_to_snapshot(&snapshot, false)).await
        })
    }

    fn consolidate<'a>(&'a self, vm: &'a VmId) -> OnVm<'a, TaskId> {
        Box::pin(async move {
            let arm = self.arm(vm.vcenter).await?;
            let object = moref(vm);
            self.begin(&arm, "ConsolidateVMDisks", arm.client.consolidate_disks(&object)).await
        })
    }

    fn power_on<'a>(&'a self, vm: &'a VmId) -> OnVm<'a, Option<TaskId>> {
        Box::pin(async move {
            let arm = self.arm(vm.vcenter).await?;
            let object = moref(vm);
            // The fleet may not have heard yet that the VM is off since it was taken back.
            if arm.client.is_powered_on(&object).await.map_err(|error| read_error(&error))? {
                return Ok(None);
            }
            self.begin(&arm, "PowerOnVM", arm.client.power_on(&object)).await.map(Some)
        })
    }

    fn look<'a>(&'a self, vm: &'a VmId) -> OnVm<'a, Option<Look>> {
        Box::pin(async move {
            let arm = self.arm(vm.vcenter).await?;
            let object = moref(vm);
            // Tasks first: one that ends in between has left its snapshot by then.
            let tasks = match arm.client.recent_tasks(&object).await {
                Ok(tasks) => tasks,
                Err(error) => return gone_or(&error),
            };
            let snapshots = match arm.client.snapshots(&object).await {
                Ok(snapshots) => snapshots,
                Err(error) => return gone_or(&error),
            };
            let powered_on = match arm.client.is_powered_on(&object).await {
                Ok(powered_on) => powered_on,
                Err(error) => return gone_or(&error),
            };
            let left_over = match arm.client.consolidation_needed(&object).await {
                Ok(left_over) => left_over,
                Err(error) => return gone_or(&error),
            };
            let snapshots = snapshots.iter().flat_map(SnapshotInfo::iter).filter_map(|tree| {
                Some(Shot {
                    snapshot: tree.reference()?.to_string().into(),
                    description: tree.description.clone(),
                    created: tree.created?,
                })
            });
            let running = tasks.iter().filter(|task| !task.is_finished());
            Ok(Some(Look {
                snapshots: snapshots.collect(),
                tasks: running
                    .map(|task| TaskSeen { task: task_id(&task.task), act: act_of(task) })
                    .collect(),
                powered_on,
                left_over: Some(left_over),
            }))
        })
    }
}

impl VsphereHands {
    async fn begin(
        &self,
        arm: &Arm,
        operation: &'static str,
        call: impl Future<Output = Result<TaskRef, WriteError>>,
    ) -> Result<TaskId, EffectError> {
        let begun = self.write(arm, Purpose::Task, operation, call).await;
        begun.map(|task| task_id(&task)).map_err(|error| self.refused_snapshot(arm, &error))
    }

    fn refused_snapshot(&self, arm: &Arm, error: &WriteError) -> EffectError {
        let base = self.effect_error(arm, error);
        let trouble = SnapshotFault::of(error.error()).map(|fault| Box::new(trouble(fault, chain(error))));
        EffectError { trouble, ..base }
    }

    /// The client of a vCenter, for watching its tasks.
    pub(crate) async fn client_of(&self, vcenter: vsphere_client::ids::VcenterUuid) -> Option<Vcenter> {
        self.arm(vcenter).await.ok().map(|arm| arm.client)
    }
}

pub(crate) fn task_id(task: &TaskRef) -> TaskId {
    task.to_string().into()
}

/// Why a task failed, as a record keeps it.
pub(crate) fn trouble_of(failure: &TaskFailure) -> Trouble {
    let sentence = if failure.message.is_empty() {
        format!("vCenter says {}", if failure.fault.is_empty() { "nothing of why" } else { &failure.fault })
    } else {
        format!("{} ({})", failure.message, failure.fault)
    };
    trouble(SnapshotFault::of_task(failure), sentence)
}

fn trouble(fault: SnapshotFault, sentence: String) -> Trouble {
    Trouble {
        word: format!("{fault:?}").into(),
        sentence: sentence.into(),
        fix: fault.remedy().map(Into::into),
        passes: fault.is_passing(),
        quiescing: fault.is_quiescing(),
    }
}

/// What a task does, where it is one of what we do.
fn act_of(task: &TaskInfo) -> Option<Act> {
    // `vm.Snapshot.remove` and `.revert` in vCenter, `VirtualMachine.removeSnapshot` and `.revertToSnapshot` in the simulator of
    // VMware.
    Some(match &*task.description_id {
        "VirtualMachine.createSnapshot" | "VirtualMachine.createSnapshotEx" => Act::Create,
        "vm.Snapshot.remove" | "VirtualMachine.removeSnapshot" => Act::Remove,
        "vm.Snapshot.revert" | "VirtualMachine.revertSnapshot" | "VirtualMachine.revertToSnapshot" => {
            Act::Revert
        }
        "VirtualMachine.consolidateDisks" => Act::Consolidate,
        "VirtualMachine.powerOn" => Act::PowerOn,
        _ => return None,
    })
}

fn gone_or(error: &Error) -> Result<Option<Look>, EffectError> {
    match SnapshotFault::of(error) {
        Some(SnapshotFault::VmGone) => Ok(None),
        _ => Err(read_error(error)),
    }
}
