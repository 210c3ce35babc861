//! Which node is which VM.
//!
//! In falling order of certainty: a person said so, or we enrolled it; an activation that was made for exactly this VM; host
//! name, address and platform that fit exactly one VM and exactly one node. A weaker reason never overrules a stronger one,
//! and what two nodes or two VMs claim with the same right is told to people instead of being guessed. What was found once
//! by evidence is remembered, so that a VM that is switched off keeps its node; it is given up as soon as anything speaks
//! against it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

// What is hashed here is looked up for every VM of a fleet; the default is several times as slow.
use foldhash::{HashMap, HashSet};
use jiff::Timestamp;
use mappings::hostname::{self, Match};
use mappings::selector::{Fact, GuestFamily, VmFacts as _};
use serde::{Deserialize, Serialize};
use vsphere_client::ids::{InstanceUuid, VcenterUuid};

use super::reason::Reason;
use crate::aws::{Node, NodeId, Place, Platform};
use crate::cloud::TargetView;
use crate::fleet::VmView;
use crate::memory::Memory;
use crate::store::{Basis, Identity, VmId};

/// The beginning of the description of an activation that was made for one VM.
const ACTIVATION_MARK: &str = "vmbridge ";

/// A node that is a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The node.
    pub node: NodeId,
    /// Why.
    pub basis: Basis,
}

/// Why a node belongs to no VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LoneNode {
    /// Nothing fits.
    NoVm,
    /// The VM that it was is gone.
    VmGone {
        /// Its managed object id.
        vm: String,
    },
    /// The vCenter of the VM that it is cannot be read now.
    VmUnreadable {
        /// Its managed object id.
        vm: String,
    },
    /// Several VMs fit.
    SeveralVms {
        /// Their names.
        vms: Vec<String>,
    },
    /// Another node fits the same VM as well or better.
    SeveralNodes {
        /// The VM's name.
        vm: String,
        /// The other nodes.
        nodes: Vec<NodeId>,
    },
    /// The VM that fits belongs to another target.
    OtherTarget {
        /// The VM's name.
        vm: String,
    },
    /// What is remembered does not fit what is seen.
    Contradiction {
        /// What.
        detail: String,
    },
    /// One VM fits, but not every vCenter has been read yet, and there may be another one.
    NotSure {
        /// The VM's name.
        vm: String,
        /// A vCenter that has not been read.
        vcenter: String,
    },
}

impl LoneNode {
    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::NoVm => "no VM fits it".to_owned(),
            Self::VmGone { vm } => format!("its VM {vm} is gone"),
            Self::VmUnreadable { vm } => format!("the vCenter of its VM {vm} cannot be read now"),
            Self::SeveralVms { vms } => format!("several VMs fit it: {}", vms.join(", ")),
            Self::SeveralNodes { vm, nodes } => {
                let nodes: Vec<&str> = nodes.iter().map(NodeId::as_str).collect();
                format!("the VM {vm} fits it, and other nodes as well: {}", nodes.join(", "))
            }
            Self::OtherTarget { vm } => format!("the VM {vm} fits it, but belongs to another target"),
            Self::Contradiction { detail } => detail.clone(),
            Self::NotSure { vm, vcenter } => {
                format!("the VM {vm} fits it, but {vcenter} has not been read, and there may be another one")
            }
        }
    }

    /// What to do.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NoVm => "if it is a VM, say which: vmbridge link <vm> <node>",
            Self::VmGone { .. } => "deregister the node if the VM will not come back",
            Self::VmUnreadable { .. } => "see to the vCenter; nothing is changed meanwhile",
            Self::SeveralVms { .. } | Self::SeveralNodes { .. } => {
                "deregister nodes that are no longer in use, or say which it is: vmbridge link <vm> <node>"
            }
            Self::OtherTarget { .. } => "look at `vms` of the [[aws]] targets",
            Self::Contradiction { .. } => {
                "say which it is: vmbridge link <vm> <node>, or vmbridge unlink <node>"
            }
            Self::NotSure { .. } => "see to the vCenter, or say which it is: vmbridge link <vm> <node>",
        }
    }
}

/// A VM as far as matching is concerned.
pub(super) struct Candidate<'a> {
    /// The VM.
    pub view: VmView<'a>,
    /// Its id.
    pub id: VmId,
    /// What to call it.
    pub label: Arc<str>,
    /// The number of the part of the fleet that it is in.
    pub part: usize,
    /// The target that it belongs to, or why it belongs to none.
    pub route: Result<usize, Reason>,
}

impl Candidate<'_> {
    /// The target that it belongs to.
    pub(super) fn target(&self) -> Option<usize> {
        self.route.as_ref().ok().copied()
    }

    fn name(&self) -> String {
        self.label.to_string()
    }
}

/// Everything that nodes are known by, with the VMs that are known by the same. There are many more VMs than nodes, so what
/// no node is known by is not here.
pub(super) struct Keys<'a> {
    by_id: HashMap<VmId, Vec<usize>>,
    by_instance: HashMap<InstanceUuid, Vec<usize>>,
    by_host_name: HashMap<Cow<'a, str>, Vec<usize>>,
}

impl<'a> Keys<'a> {
    /// What the nodes of these targets are known by.
    pub(super) fn of(targets: impl Iterator<Item = &'a TargetView>, memory: &Memory) -> Self {
        let mut keys = Self {
            by_id: HashMap::default(),
            by_instance: HashMap::default(),
            by_host_name: HashMap::default(),
        };
        for identity in memory.identities.values().flatten() {
            keys.by_id.insert(identity.vm.clone(), Vec::new());
            keys.by_instance.extend(identity.instance.map(|instance| (instance, Vec::new())));
        }
        for view in targets {
            let descriptions = view.activations.values().filter_map(|one| one.description.as_deref());
            keys.by_id.extend(descriptions.filter_map(described_vm).map(|(vm, _)| (vm, Vec::new())));
            let names = view.nodes.values().filter_map(|node| node.computer_name.as_deref());
            keys.by_host_name.extend(names.map(|name| (hostname::short_key(name), Vec::new())));
        }
        keys
    }

    /// Takes note of the VM number `at`.
    pub(super) fn note(&mut self, at: usize, view: &VmView<'a>, id: &VmId) {
        if let Some(found) = self.by_id.get_mut(id) {
            found.push(at);
        }
        if let Some(instance) = view.instance_uuid()
            && let Some(found) = self.by_instance.get_mut(&instance)
        {
            found.push(at);
        }
        if let Some(name) = view.guest_host_name()
            && let Some(found) = self.by_host_name.get_mut(&hostname::short_key(name))
        {
            found.push(at);
        }
    }
}

/// Finds VMs by everything that nodes are known by.
pub(super) struct Index<'i, 'a> {
    /// All VMs.
    pub candidates: &'i [Candidate<'a>],
    /// Which of them are known by what.
    pub keys: Keys<'a>,
    /// vCenters (by UUID) whose part of the fleet is complete and current.
    pub readable: HashSet<VcenterUuid>,
    /// A vCenter that has never been read in full, if there is one.
    pub unread: Option<String>,
}

/// The nodes of one target, sorted out.
#[derive(Debug, Default)]
pub(super) struct Matching {
    /// By index of the candidate.
    pub links: HashMap<usize, Link>,
    /// Nodes that belong to no VM.
    pub lone: BTreeMap<NodeId, LoneNode>,
    /// VMs that several nodes claim.
    pub disputed: HashMap<usize, Vec<NodeId>>,
    /// What is to be remembered.
    pub learned: Vec<Identity>,
}

/// What a node claims to be.
struct Claim {
    vm: usize,
    basis: Basis,
    remember: bool,
}

/// Sorts out the nodes of the target number `target`.
pub(super) fn matching(
    index: &Index<'_, '_>,
    target: usize,
    place: &Place,
    view: &TargetView,
    memory: &Memory,
    now: Timestamp,
) -> Matching {
    let mut matching = Matching::default();
    let mut claims: Vec<(&NodeId, Claim)> = Vec::with_capacity(view.nodes.len());
    for (id, node) in &view.nodes {
        match claim(index, target, place, node, view, memory) {
            Ok(claim) => {
                claims.push((id, claim));
            }
            Err(lone) => {
                matching.lone.insert(id.clone(), lone);
            }
        }
    }
    // Those of one VM together, the best first.
    claims.sort_by(|(id, a), (other, b)| {
        a.vm.cmp(&b.vm).then_with(|| b.basis.cmp(&a.basis)).then_with(|| id.cmp(other))
    });
    matching.links.reserve(claims.len());
    for claimants in claims.chunk_by(|(_, a), (_, b)| a.vm == b.vm) {
        let vm = claimants[0].1.vm;
        let best = claimants[0].1.basis;
        let equals = claimants.iter().filter(|(_, claim)| claim.basis == best).count();
        let all: Vec<NodeId> = match claimants.len() {
            1 => Vec::new(),
            _ => claimants.iter().map(|(id, _)| (*id).clone()).collect(),
        };
        for (at, (id, claim)) in claimants.iter().enumerate() {
            if at == 0 && equals == 1 {
                matching.links.insert(vm, Link { node: (*id).clone(), basis: claim.basis });
                if claim.remember {
                    let candidate = &index.candidates[vm];
                    matching.learned.push(Identity {
                        place: place.clone(),
                        node: (*id).clone(),
                        vm: candidate.id.clone(),
                        instance: candidate.view.instance_uuid(),
                        basis: Some(claim.basis),
                        since: now,
                    });
                }
                continue;
            }
            let others = all.iter().filter(|other| other != id).cloned().collect();
            let name = index.candidates[vm].name();
            matching.lone.insert((*id).clone(), LoneNode::SeveralNodes { vm: name, nodes: others });
        }
        if equals > 1 {
            matching.disputed.insert(vm, all);
        }
    }
    matching
}

fn claim(
    index: &Index<'_, '_>,
    target: usize,
    place: &Place,
    node: &Node,
    view: &TargetView,
    memory: &Memory,
) -> Result<Claim, LoneNode> {
    let known =
        memory.identities.get(&(place.clone(), node.id.clone())).map(Vec::as_slice).unwrap_or_default();
    let refused = |vm: usize| {
        known.iter().any(|identity| identity.basis.is_none() && identity.vm == index.candidates[vm].id)
    };
    let here = |vm: usize, basis, remember| {
        if index.candidates[vm].target() == Some(target) {
            Ok(Claim { vm, basis, remember })
        } else {
            Err(LoneNode::OtherTarget { vm: index.candidates[vm].name() })
        }
    };
    // The strongest thing that is remembered.
    if let Some((identity, basis)) =
        known.iter().filter_map(|identity| Some((identity, identity.basis?))).max_by_key(|(_, basis)| *basis)
    {
        let (vm, moved) = remembered(index, identity)?;
        if basis == Basis::Matched {
            still_fits(index, vm, node)?;
        }
        return here(vm, basis, moved);
    }
    if let Some(vm) = by_activation(index, node, view)?
        && !refused(vm)
    {
        return here(vm, Basis::Activation, true);
    }
    let fitting: Vec<usize> = by_evidence(index, node).filter(|vm| !refused(*vm)).collect();
    match fitting[..] {
        [] => Err(LoneNode::NoVm),
        [vm] => match &index.unread {
            Some(vcenter) => {
                Err(LoneNode::NotSure { vm: index.candidates[vm].name(), vcenter: vcenter.clone() })
            }
            None => here(vm, Basis::Matched, true),
        },
        _ => {
            Err(LoneNode::SeveralVms { vms: fitting.iter().map(|vm| index.candidates[*vm].name()).collect() })
        }
    }
}

/// The VM that is remembered, and whether it is elsewhere now.
fn remembered(index: &Index<'_, '_>, identity: &Identity) -> Result<(usize, bool), LoneNode> {
    let gone = || identity.vm.vm.to_string();
    match index.keys.by_id.get(&identity.vm).map(Vec::as_slice) {
        Some([vm]) => {
            let (was, is) = (identity.instance, index.candidates[*vm].view.instance_uuid());
            if was.is_some() && is.is_some() && was != is {
                let detail = format!("{} is another VM now: its instance UUID is not what it was", gone());
                return Err(LoneNode::Contradiction { detail });
            }
            return Ok((*vm, false));
        }
        Some(several) if !several.is_empty() => {
            return Err(LoneNode::SeveralVms {
                vms: several.iter().map(|vm| index.candidates[*vm].name()).collect(),
            });
        }
        Some(_) | None => {}
    }
    // A VM that was moved to another vCenter keeps its instance UUID. A copy has it too, as long as the original is there.
    let elsewhere = identity.instance.and_then(|instance| index.keys.by_instance.get(&instance));
    if !index.readable.contains(&identity.vm.vcenter) {
        return Err(LoneNode::VmUnreadable { vm: gone() });
    }
    match elsewhere.map(Vec::as_slice) {
        Some([vm]) => Ok((*vm, true)),
        Some(several) if !several.is_empty() => {
            Err(LoneNode::SeveralVms { vms: several.iter().map(|vm| index.candidates[*vm].name()).collect() })
        }
        Some(_) | None => Err(LoneNode::VmGone { vm: gone() }),
    }
}

/// A match by evidence is given up when the guest is seen to be called something else, or when another VM fits as well.
fn still_fits(index: &Index<'_, '_>, vm: usize, node: &Node) -> Result<(), LoneNode> {
    let candidate = &index.candidates[vm];
    if let (Some(host), Some(computer)) = (candidate.view.guest_host_name(), &node.computer_name)
        && hostname::same(host, computer) == Match::No
    {
        let detail = format!(
            "it was the VM {}, but that calls itself {host} now, and the node {computer}",
            candidate.name()
        );
        return Err(LoneNode::Contradiction { detail });
    }
    let others: Vec<String> = by_evidence(index, node)
        .filter(|other| *other != vm)
        .map(|other| index.candidates[other].name())
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(LoneNode::SeveralVms { vms: std::iter::once(candidate.name()).chain(others).collect() })
}

/// The VM that the node's activation was made for.
fn by_activation(index: &Index<'_, '_>, node: &Node, view: &TargetView) -> Result<Option<usize>, LoneNode> {
    let activation = node.activation.as_ref().and_then(|id| view.activations.get(id));
    // One that several nodes can use proves nothing about any of them.
    let Some(activation) = activation.filter(|activation| activation.limit == 1) else { return Ok(None) };
    let Some((id, instance)) = activation.description.as_deref().and_then(described_vm) else {
        return Ok(None);
    };
    match index.keys.by_id.get(&id).map(Vec::as_slice) {
        Some([vm]) => {
            let is = index.candidates[*vm].view.instance_uuid();
            if instance.is_some() && is.is_some() && instance != is {
                let detail = format!("its activation was made for {}, which is another VM now", id.vm);
                return Err(LoneNode::Contradiction { detail });
            }
            Ok(Some(*vm))
        }
        Some(several) if !several.is_empty() => {
            Err(LoneNode::SeveralVms { vms: several.iter().map(|vm| index.candidates[*vm].name()).collect() })
        }
        Some(_) | None if !index.readable.contains(&id.vcenter) => {
            Err(LoneNode::VmUnreadable { vm: id.vm.to_string() })
        }
        Some(_) | None => Err(LoneNode::VmGone { vm: id.vm.to_string() }),
    }
}

/// Reads `vmbridge vcenter=<UUID> vm=<MoRef> instance=<UUID>`.
fn described_vm(description: &str) -> Option<(VmId, Option<InstanceUuid>)> {
    let rest = description.strip_prefix(ACTIVATION_MARK)?;
    let field = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let vm = VmId { vcenter: field("vcenter")?.parse().ok()?, vm: Arc::from(field("vm")?) };
    Some((vm, field("instance").and_then(|uuid| uuid.parse().ok())))
}

/// The VMs whose host name, address and platform fit a node.
fn by_evidence<'i>(index: &'i Index<'_, '_>, node: &'i Node) -> impl Iterator<Item = usize> + 'i {
    let key = node.computer_name.as_deref().map(hostname::short_key);
    let namesakes =
        key.and_then(|key| index.keys.by_host_name.get(&key)).map(Vec::as_slice).unwrap_or_default();
    namesakes.iter().copied().filter(move |vm| fits(&index.candidates[*vm], node))
}

fn fits(candidate: &Candidate<'_>, node: &Node) -> bool {
    let vm = &candidate.view;
    let names = match (vm.guest_host_name(), node.computer_name.as_deref()) {
        (Some(host), Some(computer)) => hostname::same(host, computer) != Match::No,
        _ => false,
    };
    let platforms = matches!(
        (vm.guest_family(), node.platform),
        (Fact::Known(GuestFamily::Linux), Some(Platform::Linux))
            | (Fact::Known(GuestFamily::Windows), Some(Platform::Windows))
    );
    names && platforms && node.ip_address.is_some_and(|address| has_address(vm, address))
}

fn has_address(vm: &VmView<'_>, wanted: IpAddr) -> bool {
    vm.guest_addresses().any(|address| address.parse() == Ok(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_one_vm() {
        let text = "vmbridge vcenter=11111111-2222-3333-4444-555555555555 vm=vm-42 instance=50111111-2222-3333-4444-555555555555";
        let (vm, instance) = described_vm(text).unwrap();
        assert_eq!((&*vm.vm, instance.is_some()), ("vm-42", true));
        for other in ["web servers", "vmbridge vm=vm-42", "vmbridge vcenter=x vm=vm-1", ""] {
            assert!(described_vm(other).is_none(), "{other}");
        }
    }
}
