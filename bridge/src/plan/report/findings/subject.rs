//! Who a finding is about, for people and automation rules.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use mappings::checks;
use mappings::findings::{Kind, Node, Object, Subject, Tag};
use mappings::selector::{Fact, VmFacts};
use mappings::tags::TagFacts as _;
use vsphere_client::ids::VcenterUuid;

use crate::aws::{NodeId, Place};
use crate::fleet::{SetupView, VmView};

/// Where an object is: its kind, its vCenter and its reference.
pub(super) type Spot = (Kind, VcenterUuid, Arc<str>);

/// The object of vSphere that a finding is about, as it is known within a fleet.
pub(super) fn spot(object: &Object) -> Option<Spot> {
    Some((object.kind, object.vcenter.as_str().parse().ok()?, object.moref.as_str().into()))
}

fn known(fact: Fact<&str>) -> Option<Arc<str>> {
    match fact {
        Fact::Known(text) => Some(text.into()),
        Fact::Absent | Fact::Unknown => None,
    }
}

/// The tags of a VM, and among them its owner.
fn tags(facts: &dyn VmFacts, owner_tag: Option<&str>) -> (Vec<Tag>, Option<Arc<str>>) {
    let (mut tags, mut owners) = (Vec::new(), BTreeSet::new());
    let _ = facts.visit_tags(&mut |category, name| {
        if owner_tag == Some(category) {
            owners.insert(name.to_owned());
        }
        tags.push(Tag { category: category.into(), name: name.into() });
        ControlFlow::Continue(())
    });
    // The order in which vCenter tells them must not be a change.
    tags.sort_by(|one, two| (&one.category, &one.name).cmp(&(&two.category, &two.name)));
    let owner = owners.into_iter().collect::<Vec<_>>().join(", ");
    (tags, Some(owner).filter(|owner| !owner.is_empty()).map(Into::into))
}

/// A VM, and the node that it is.
pub(super) fn of_vm(
    view: &VmView<'_>,
    vcenter: VcenterUuid,
    node: Option<(&Place, &NodeId)>,
    owner_tag: Option<&str>,
) -> Subject {
    let (tags, owner) = tags(view, owner_tag);
    Subject {
        object: Object {
            kind: Kind::Vm,
            vcenter: vcenter.to_string().into(),
            moref: view.moref().value().into(),
            instance: view.instance_uuid().map(|instance| instance.to_string().into()),
        },
        name: view.label(),
        vcenter_name: view.vcenter_name().as_str().into(),
        datacenter: known(view.datacenter()),
        cluster: known(view.cluster()),
        host: view.host_label().map(Into::into),
        folder: known(view.folder()),
        guest_os: known(view.guest_os()),
        tags,
        owner,
        node: node.map(|(place, node)| Node {
            id: node.as_str().into(),
            account: place.account().into(),
            region: place.region().into(),
        }),
    }
}

/// A host, cluster or port group.
pub(super) fn of_setup(setup: &SetupView<'_>, vcenter: VcenterUuid) -> Subject {
    Subject {
        object: Object {
            kind: kind(setup.kind()),
            vcenter: vcenter.to_string().into(),
            moref: setup.moref().value().into(),
            instance: None,
        },
        name: setup.label().into(),
        vcenter_name: setup.vcenter_name().as_str().into(),
        datacenter: known(VmFacts::datacenter(setup)),
        cluster: known(VmFacts::cluster(setup)),
        host: None,
        folder: None,
        guest_os: None,
        tags: Vec::new(),
        owner: None,
        node: None,
    }
}

pub(super) fn kind(kind: checks::Kind) -> Kind {
    match kind {
        checks::Kind::Vm => Kind::Vm,
        checks::Kind::Host => Kind::Host,
        checks::Kind::Cluster => Kind::Cluster,
        checks::Kind::Portgroup => Kind::Portgroup,
    }
}

/// The same the other way round.
pub(super) fn kind_of_checks(of: Kind) -> checks::Kind {
    match of {
        Kind::Vm => checks::Kind::Vm,
        Kind::Host => checks::Kind::Host,
        Kind::Cluster => checks::Kind::Cluster,
        Kind::Portgroup => checks::Kind::Portgroup,
    }
}
