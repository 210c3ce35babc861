//! Hands on vCenter: custom attributes, written in the session that observes it.
//!
//! An action names a vCenter by its instance UUID. Where two of the configuration have the same one, which is meant cannot be
//! told, and nothing is written. What fails says whether it may have been done all the same, so that it is looked for
//! and never simply repeated.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use metrics::counter;
use vsphere_client::error::{Error, chain};
use vsphere_client::ids::{MoKind, MoRef, VcenterUuid};
use vsphere_client::model::CustomFieldDef;
use vsphere_client::property::{Properties as _, VirtualMachine};
use vsphere_client::retry::{Classify as _, Verdict};
use vsphere_client::soap::FaultKind;
use vsphere_client::vcenter::{Vcenter, WriteError};

use super::hands::{EffectError, Gain, Trace};
use crate::clock;
use crate::config::WritebackSettings;
use crate::fleet::{FleetUpdate, SharedFleet, VcenterName};
use crate::lane::{Lane, LaneLimits, jitter};
use crate::observe::Connected;
use crate::store::VmId;

/// A lost call may still be under way in the vCenter for so long.
pub(super) const SETTLE: Duration = Duration::from_secs(30);

/// Hands on the vCenters of a fleet. Clones share them.
#[derive(Clone)]
pub struct VsphereHands(Arc<Inner>);

struct Inner {
    fleet: SharedFleet,
    connected: RwLock<Connected>,
    lanes: Mutex<Lanes>,
}

/// How tasks are begun in one vCenter. How many may be under way has limits of its own, which the plan keeps to; this only
/// spreads the calls that begin them. Tasks of 20 s, begun 5 times a second as values of attributes are written, would never be
/// more than 100 at a time.
const TASKS: LaneLimits = LaneLimits { concurrency: 8, rate: 20.0, burst: 20.0 };

/// What one call of many in a vCenter is for; each has a lane of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// A value of an attribute, or its definition.
    Attribute,
    /// The begin of a task.
    Task,
}

/// The lanes of each vCenter.
struct Lanes {
    /// Those of attributes.
    limits: LaneLimits,
    lanes: BTreeMap<(VcenterUuid, Purpose), Lane>,
}

/// One vCenter to act on.
pub(super) struct Arm {
    pub(super) name: VcenterName,
    uuid: VcenterUuid,
    pub(super) client: Vcenter,
}

fn limits(settings: &WritebackSettings) -> LaneLimits {
    let rate = f64::from(u32::try_from(settings.writes_per_second).unwrap_or(u32::MAX));
    LaneLimits { concurrency: settings.concurrency, rate, burst: rate }
}

impl VsphereHands {
    /// Hands that find their way through the fleet. They reach nothing until [`use_sessions`](Self::use_sessions).
    #[must_use]
    pub fn new(fleet: SharedFleet, settings: &WritebackSettings) -> Self {
        let lanes = Lanes { limits: limits(settings), lanes: BTreeMap::new() };
        Self(Arc::new(Inner { fleet, connected: RwLock::default(), lanes: Mutex::new(lanes) }))
    }

    /// Works in the sessions of these observers from now on.
    pub fn use_sessions(&self, connected: Connected) {
        *self.0.connected.write().unwrap_or_else(PoisonError::into_inner) = connected;
    }

    /// Keeps to these limits from now on.
    pub fn set_pace(&self, settings: &WritebackSettings) {
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = limits(settings);
        if lanes.limits != limits {
            lanes.limits = limits;
            lanes.lanes.retain(|(_, purpose), _| *purpose == Purpose::Task);
        }
    }

    /// The host that a VM is on, as the fleet knows it.
    pub(super) fn host_of(&self, vcenter: &VcenterName, vm: &VmId) -> Option<MoRef> {
        self.0.fleet.read().part(vcenter)?.vm(&vm.vm)?.host().cloned()
    }

    /// Defines an attribute for VMs.
    pub(super) async fn define(&self, vcenter: VcenterUuid, name: &str) -> Result<(), EffectError> {
        let arm = self.arm(vcenter).await?;
        let done = self
            .write(
                &arm,
                Purpose::Attribute,
                "AddCustomFieldDef",
                arm.client.add_custom_field(name, VirtualMachine::TYPE),
            )
            .await;
        let duplicate = match done {
            Ok(_) => None,
            // Somebody was faster, or the fleet does not know yet: fine if it is one that VMs can have.
            Err(error) if is_duplicate(&error) => Some(error),
            Err(error) => return Err(self.effect_error(&arm, &error)),
        };
        let fields = match (arm.client.custom_fields().await, &duplicate) {
            (Ok(fields), _) => fields,
            // It was made; the watch tells it as well, a little later.
            (Err(_), None) => return Ok(()),
            (Err(error), Some(_)) => return Err(read_error(&error)),
        };
        let is_there = key_of(&fields, name).is_some();
        self.tell(&arm, fields);
        match duplicate {
            Some(error) if !is_there => {
                let fix = "it is for other objects than VMs: rename or remove it in the vSphere client";
                let reason = format!("{}; {fix}", chain(&error));
                Err(EffectError { transient: false, ..EffectError::not_now(reason) })
            }
            _ => Ok(()),
        }
    }

    /// Sets an attribute of a VM.
    pub(super) async fn set(&self, vm: &VmId, name: &str, value: &str) -> Result<(), EffectError> {
        let arm = self.arm(vm.vcenter).await?;
        let key = self.key(&arm.name, name);
        let Some(key) = key else {
            return Err(not_now(format!(
                "the custom attribute {name} is not defined (any more) in {}",
                arm.name
            )));
        };
        let object = moref(vm);
        let call = arm.client.set_custom_field(&object, key, value);
        self.write(&arm, Purpose::Attribute, "SetField", call)
            .await
            .map_err(|error| self.effect_error(&arm, &error))
    }

    /// The key of an attribute, as the fleet knows it now.
    fn key(&self, vcenter: &VcenterName, name: &str) -> Option<i32> {
        self.0.fleet.read().part(vcenter).and_then(|part| part.attribute_key(name))
    }

    /// Looks whether an attribute is defined for VMs.
    pub(super) async fn trace_definition(
        &self,
        vcenter: VcenterUuid,
        name: &str,
    ) -> Result<Trace, EffectError> {
        let arm = self.arm(vcenter).await?;
        let fields = arm.client.custom_fields().await.map_err(|error| read_error(&error))?;
        let there = key_of(&fields, name).is_some();
        self.tell(&arm, fields);
        Ok(if there { Trace::There(Gain::Nothing) } else { Trace::NotThere })
    }

    /// Looks whether an attribute of a VM has a value. None and an empty one are the same.
    pub(super) async fn trace_value(&self, vm: &VmId, name: &str, value: &str) -> Result<Trace, EffectError> {
        let arm = self.arm(vm.vcenter).await?;
        let fields = arm.client.custom_fields().await.map_err(|error| read_error(&error))?;
        let values = arm.client.custom_values(&moref(vm)).await.map_err(|error| read_error(&error))?;
        let Some(values) = values else { return Ok(Trace::Gone) };
        let found = key_of(&fields, name)
            .and_then(|key| values.iter().find(|found| found.key == key))
            .map_or("", |found| &*found.value);
        Ok(if found == value { Trace::There(Gain::Nothing) } else { Trace::NotThere })
    }

    /// The vCenter that is meant, if it can be told and reached.
    pub(super) async fn arm(&self, uuid: VcenterUuid) -> Result<Arm, EffectError> {
        let names: Vec<VcenterName> = {
            let fleet = self.0.fleet.read();
            fleet.parts().filter(|part| part.uuid() == Some(uuid)).map(|part| part.name().clone()).collect()
        };
        let name = match &names[..] {
            [name] => name.clone(),
            [] => return Err(not_now(format!("no vCenter of the configuration is {uuid} now"))),
            [one, other, ..] => {
                let reason = format!(
                    "{one} and {other} have the same instance UUID, so which is meant cannot be told; nothing is written to either"
                );
                return Err(EffectError { transient: false, ..EffectError::not_now(reason) });
            }
        };
        let connected = self.0.connected.read().unwrap_or_else(PoisonError::into_inner).clone();
        let client = connected.get(&name).ok_or_else(|| not_now(format!("{name} is not connected now")))?;
        let session = client.session().await.map_err(|error| {
            self.forget_refused(&name, &error);
            read_error(&error)
        })?;
        // Another vCenter may answer at this address by now, with other VMs under the same references.
        if session.vcenter_uuid() != Some(uuid) {
            return Err(not_now(format!("another vCenter answers at the address of {name} now")));
        }
        Ok(Arm { name, uuid, client })
    }

    /// An account that was refused is not tried again until its observer does so, or it would soon be locked.
    pub(super) fn forget_refused(&self, name: &VcenterName, error: &Error) {
        if error.is_login_refused() {
            self.0.connected.read().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
    }

    fn lane(&self, uuid: VcenterUuid, purpose: Purpose) -> Lane {
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = match purpose {
            Purpose::Attribute => lanes.limits,
            Purpose::Task => TASKS,
        };
        lanes.lanes.entry((uuid, purpose)).or_insert_with(|| Lane::new(limits)).clone()
    }

    /// Makes one call when it is its turn.
    pub(super) async fn write<T>(
        &self,
        arm: &Arm,
        purpose: Purpose,
        operation: &'static str,
        call: impl Future<Output = Result<T, WriteError>>,
    ) -> Result<T, WriteError> {
        let admission = self.lane(arm.uuid, purpose).admit().await;
        let result = call.await;
        let word = match &result {
            Ok(_) => "ok",
            Err(error) if error.may_have_taken_place() => "lost",
            Err(_) => "failed",
        };
        counter!(
            "vmbridge_vcenter_writes_total",
            "vcenter" => arm.name.as_str().to_owned(), "operation" => operation, "result" => word
        )
        .increment(1);
        match &result {
            Err(error) if error.is_overload() => admission.refused(jitter()),
            _ => admission.passed(),
        }
        result
    }

    /// What was read of the definitions is news for the fleet: what comes next is planned with them.
    fn tell(&self, arm: &Arm, fields: Vec<CustomFieldDef>) {
        self.0.fleet.apply(&arm.name, FleetUpdate::Definitions(fields), clock::now());
    }

    pub(super) fn effect_error(&self, arm: &Arm, error: &WriteError) -> EffectError {
        self.forget_refused(&arm.name, error.error());
        let fix = match error.error().fault() {
            Some(FaultKind::NoPermission { privilege, .. }) if !error.error().is_login_refused() => {
                Some(format!("add {privilege} to the role of the account; see docs/privileges.md"))
            }
            Some(FaultKind::InvalidArgument(_)) => {
                Some("the attribute was removed, or is not for VMs".to_owned())
            }
            _ => None,
        };
        let reason = match fix {
            Some(fix) => format!("{}; {fix}", chain(error)),
            None => chain(error),
        };
        let transient = matches!(error.error().classify(), Verdict::Transient { .. });
        EffectError {
            may_have_taken_place: error.may_have_taken_place(),
            transient,
            ..EffectError::not_now(reason)
        }
    }
}

pub(super) fn moref(vm: &VmId) -> MoRef {
    MoRef::of(MoKind::VirtualMachine, &vm.vm)
}

/// The key of an attribute that VMs can have.
fn key_of(fields: &[CustomFieldDef], name: &str) -> Option<i32> {
    fields
        .iter()
        .find(|field| *field.name == *name && field.is_for(VirtualMachine::TYPE))
        .map(|field| field.key)
}

fn is_duplicate(error: &WriteError) -> bool {
    matches!(error.error().fault(), Some(FaultKind::DuplicateName(_)))
}

/// A failure before anything was written.
fn not_now(reason: String) -> EffectError {
    EffectError::not_now(reason)
}

pub(super) fn read_error(error: &Error) -> EffectError {
    let transient = matches!(error.classify(), Verdict::Transient { .. });
    EffectError { transient, ..EffectError::not_now(error.line()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time stands still unless nothing else can be done, so that what has passed is what was waited for.
    #[tokio::test(start_paused = true)]
    async fn a_task_does_not_wait_for_the_pace_of_attributes() {
        let settings = WritebackSettings {
            mode: crate::config::Mode::Enforce,
            adopt: false,
            writes_per_second: 1,
            concurrency: 1,
        };
        let hands = VsphereHands::new(SharedFleet::new(), &settings);
        let uuid: VcenterUuid = "73061e7d-6c54-ad54-e98c-72b57a919ce6".parse().unwrap();
        let began = tokio::time::Instant::now();
        for _ in 0..3 {
            hands.lane(uuid, Purpose::Attribute).admit().await.passed();
        }
        assert!(began.elapsed() >= std::time::Duration::from_millis(1_900), "{:?}", began.elapsed());
        let began = tokio::time::Instant::now();
        for _ in 0..20 {
            hands.lane(uuid, Purpose::Task).admit().await.passed();
        }
        assert_eq!(began.elapsed(), std::time::Duration::ZERO);
        // Another pace of attributes leaves what is known of the other lane.
        hands.set_pace(&WritebackSettings { writes_per_second: 100, ..settings });
        hands.lane(uuid, Purpose::Task).admit().await.passed();
        assert!(began.elapsed() > std::time::Duration::ZERO);
    }
}
