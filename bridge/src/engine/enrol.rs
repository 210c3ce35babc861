//! Hands for enrolment: activations at AWS, programs in guests.
//!
//! The code of an activation is told once, when it is made. It is kept in memory until the guest has it and nowhere else;
//! a program that was ended in between has lost it, withdraws the activation and begins again.

use std::sync::Arc;

use super::guest::Launch;
use super::hands::{EffectError, Gain, RealHands, Trace, gone_is_done};
use crate::aws::{Activation, ActivationRequest};
use crate::enrol::{Enrolment, Problem};
use crate::observe::aws::listing;
use crate::plan::EnrolStep;
use crate::store::VmId;

/// The longest description and default name of an activation (`CreateActivation`).
const LONGEST: usize = 256;

impl RealHands {
    pub(super) async fn enrol(
        &self,
        vm: &VmId,
        step: &EnrolStep,
        enrolment: &Enrolment,
    ) -> Result<Gain, EffectError> {
        match step {
            EnrolStep::Prepare => self.guests().launch(vm, enrolment, Launch::Prepare).await,
            EnrolStep::Activate { role, expires, tags } => {
                let arm = self.arm(&enrolment.place)?;
                let wanted = ActivationRequest {
                    role: role.to_string(),
                    description: description(vm, enrolment),
                    name: instance_name(&enrolment.label),
                    expires: *expires,
                    tags: tags
                        .iter()
                        .map(|tag| (tag.key.as_str().into(), tag.value.as_str().into()))
                        .collect(),
                };
                let made = arm.services.ssm.create_activation(&wanted).await?;
                self.guests().keep_code(&made.id, made.code);
                Ok(Gain::Activation(made.id))
            }
            EnrolStep::Register => {
                let activation = enrolment.activation.as_ref();
                let Some((activation, code)) = activation.and_then(|id| Some((id, self.guests().code(id)?)))
                else {
                    let sentence = "the activation code is not known any more: vmbridge was started again";
                    return Err(EffectError::of_problem(Problem::passing("code-lost", sentence)));
                };
                let launch = Launch::Register { activation, code: &code };
                let started = self.guests().launch(vm, enrolment, launch).await;
                self.nudge(&enrolment.place);
                started
            }
            EnrolStep::Withdraw => {
                if let Some(activation) = &enrolment.activation {
                    let arm = self.arm(&enrolment.place)?;
                    self.guests().forget_code(activation);
                    gone_is_done(arm.services.ssm.delete_activation(activation).await)?;
                }
                Ok(Gain::Nothing)
            }
            EnrolStep::Clean => {
                self.guests().clean(vm, enrolment).await?;
                Ok(Gain::Nothing)
            }
        }
    }

    pub(super) async fn enrol_trace(
        &self,
        vm: &VmId,
        step: &EnrolStep,
        enrolment: &Enrolment,
    ) -> Result<Trace, EffectError> {
        match step {
            EnrolStep::Prepare => self.guests().trace_launch(vm, enrolment, false).await,
            EnrolStep::Register => self.guests().trace_launch(vm, enrolment, true).await,
            EnrolStep::Clean => self.guests().trace_clean(vm, enrolment).await,
            EnrolStep::Activate { .. } => {
                let wanted = description(vm, enrolment);
                let found = self
                    .activations(enrolment)
                    .await?
                    .into_iter()
                    .find(|found| found.description.as_deref() == Some(wanted.as_str()));
                Ok(found.map_or(Trace::NotThere, |found| Trace::There(Gain::Activation(found.id))))
            }
            EnrolStep::Withdraw => {
                let found = self.activations(enrolment).await?;
                let there = found.iter().any(|found| Some(&found.id) == enrolment.activation.as_ref());
                Ok(if there { Trace::NotThere } else { Trace::There(Gain::Nothing) })
            }
        }
    }

    async fn activations(&self, enrolment: &Enrolment) -> Result<Vec<Activation>, EffectError> {
        let ssm: Arc<_> = self.arm(&enrolment.place)?.services.ssm;
        Ok(listing("activations", |next| ssm.activations(next)).await?)
    }
}

/// A VM's name as the default name of a node: what `CreateActivation` does not accept in it is replaced.
fn instance_name(label: &str) -> String {
    let accepted =
        |character: char| character.is_alphanumeric() || character == ' ' || "_.:/=+-@".contains(character);
    label.chars().take(LONGEST).map(|character| if accepted(character) { character } else { '_' }).collect()
}

/// Tells which VM an activation is for, and which attempt. The planner reads it as well: see `plan/identity.rs`.
fn description(vm: &VmId, enrolment: &Enrolment) -> String {
    let instance = enrolment.instance.map(|instance| format!(" instance={instance}")).unwrap_or_default();
    format!("vmbridge vcenter={} vm={}{instance} mark={}", vm.vcenter, vm.vm, enrolment.mark)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_of_a_vm_becomes_one_of_a_node() {
        assert_eq!(super::instance_name("100% load (87) äöü\n"), "100_ load _87_ äöü_");
        assert_eq!(super::instance_name(&"x".repeat(300)).len(), 256);
    }
}
