//! Nodes that were enrolled: whose agent is to be brought back or updated, and which are to be deregistered.

use jiff::{SignedDuration, Timestamp};

use super::identity::Link;
use super::reason::Reason;
use super::{Capability, Planner, planned};
use crate::aws::{Node, Ping};
use crate::cloud::{Cloud, TargetView};
use crate::config::Mode;
use crate::enrol::{Enrolment, Former, Origin, Purpose, Stage};
use crate::fleet::VmView;
use crate::plan::Action;
use crate::store::{Holder, Step, VmId};
use mappings::guest::Version;
use vsphere_client::ids::{InstanceUuid, VcenterUuid};

impl Planner<'_> {
    /// What the agent of a node needs, or why it needs nothing.
    pub(super) fn need(
        &self,
        view: &VmView<'_>,
        cloud: &TargetView,
        link: &Link,
        known: Option<&Enrolment>,
    ) -> Result<Purpose, Reason> {
        let Some(node) = cloud.nodes.get(&link.node) else { return Err(Reason::InStep) };
        // What was enrolled by others is theirs to see to.
        let Some(known) = known else { return Err(Reason::InStep) };
        if node.ping == Ping::Online {
            return if self.is_outdated(node) { Ok(Purpose::Update) } else { Err(Reason::InStep) };
        }
        if !view.runs() {
            return Err(Reason::InStep);
        }
        let silent = [node.last_ping, view.boot_time(), node.registered].into_iter().flatten().max();
        let since = silent.unwrap_or(known.since);
        let offline = |repair_at| Reason::AgentOffline { since, repair_at };
        let Some(patience) = self.policy.enrol.repair_after else { return Err(offline(None)) };
        let repair_at = since.checked_add(patience).unwrap_or(Timestamp::MAX);
        if repair_at > self.now {
            return Err(offline(Some(repair_at)));
        }
        let may_register = known.origin == Some(Origin::Registered)
            || known.former.is_some()
            || self.policy.enrol.reregister;
        Ok(match known.failures {
            0 => Purpose::Restart,
            1 => Purpose::Reinstall,
            _ if may_register => Purpose::Reregister,
            _ => Purpose::Reinstall,
        })
    }

    /// Whether the agent of a node is older than it may be.
    pub(super) fn is_outdated(&self, node: &Node) -> bool {
        let version = node.agent_version.as_deref().and_then(Version::new);
        self.policy
            .enrol
            .minimum_version
            .as_ref()
            .zip(version)
            .is_some_and(|(least, version)| version < *least)
    }

    /// Deregisters nodes that we registered: whose VM has been gone for long enough, and those whose place another one took.
    pub(super) fn deregister(
        &mut self,
        readable: &dyn Fn(VcenterUuid) -> bool,
        is_there: &dyn Fn(&VmId, Option<InstanceUuid>) -> bool,
        cloud: &Cloud,
    ) {
        if self.policy.enrol.mode == Mode::Off {
            return;
        }
        let memory = self.memory;
        let mut at_rest: Vec<(&VmId, &Enrolment)> =
            memory.enrolments.iter().filter(|(_, one)| !one.stage.is_active()).collect();
        at_rest.sort_unstable_by_key(|(vm, _)| *vm);
        for (vm, enrolment) in at_rest {
            match &enrolment.former {
                Some(former)
                    if enrolment.stage == Stage::Enrolled
                        && enrolment.node.as_ref().is_some_and(|node| *node != former.node) =>
                {
                    self.deregister_one(vm, enrolment, former, cloud);
                }
                _ => {}
            }
            let place = enrolment.place.clone();
            let ours = match (&enrolment.node, enrolment.origin) {
                (Some(node), Some(Origin::Registered)) => Some(Former { place, node: node.clone() }),
                // It had just been given up for another one, which never came to be.
                (_, None) => enrolment.former.clone(),
                _ => None,
            };
            let Some((grace, ours)) = self.policy.enrol.deregister_after.zip(ours) else { continue };
            self.outlived(vm, enrolment, &ours, grace, readable, is_there, cloud);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is what is known of one VM")]
    fn outlived(
        &mut self,
        vm: &VmId,
        enrolment: &Enrolment,
        ours: &Former,
        grace: SignedDuration,
        readable: &dyn Fn(VcenterUuid) -> bool,
        is_there: &dyn Fn(&VmId, Option<InstanceUuid>) -> bool,
        cloud: &Cloud,
    ) {
        let note = |gone| Step {
            vm: vm.clone(),
            enrolment: Some(Enrolment { gone, ..enrolment.clone() }),
            identity: None,
            owned: Vec::new(),
        };
        // A VM that moved to another vCenter keeps its instance UUID, and its node.
        match (is_there(vm, enrolment.instance), enrolment.gone) {
            (true, Some(_)) => self.plan.steps.push(note(None)),
            (true, None) => {}
            // A vCenter that cannot be read says nothing of what is gone.
            (false, _) if !readable(vm.vcenter) => {}
            (false, None) => self.plan.steps.push(note(Some(self.now))),
            (false, Some(gone)) if self.now.duration_since(gone) >= grace => {
                self.deregister_one(vm, enrolment, ours, cloud);
            }
            (false, Some(_)) => {}
        }
    }

    fn deregister_one(&mut self, vm: &VmId, enrolment: &Enrolment, ours: &Former, cloud: &Cloud) {
        let target = self.target_at(&ours.place, cloud);
        let is_node = target.is_some_and(|target| target.nodes.contains_key(&ours.node));
        let holder = Holder::node(&ours.place, &ours.node);
        if is_node && self.hindered(Capability::Enrol, &holder).is_none() {
            self.plan.actions.push(planned(Action::DeregisterNode {
                place: ours.place.clone(),
                node: ours.node.clone(),
                vm: vm.clone(),
                label: enrolment.label.clone(),
            }));
        }
    }
}
